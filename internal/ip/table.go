package ip

import (
	"cmp"
	"net/netip"
	"slices"
)

// routeTable is the routes of one address family. A lookup asks the map of each
// prefix length in use, the longest first: as many steps as there are lengths,
// however many routes there are.
type routeTable struct {
	lens []int                           // in use, longest first
	nets map[int]map[netip.Addr][]*Route // by length and network; each by metric
}

func (l *Layer) routes(a netip.Addr) *routeTable {
	if a.Is4() {
		return &l.rt4
	}
	return &l.rt6
}

// add inserts r, of whose Dst no host bits are set. It reports false if the table
// has it.
func (t *routeTable) add(r Route) bool {
	bits, net := r.Dst.Bits(), r.Dst.Addr()
	rows := t.nets[bits][net]
	if slices.ContainsFunc(rows, r.same) {
		return false
	}
	if t.nets == nil {
		t.nets = make(map[int]map[netip.Addr][]*Route)
	}
	if t.nets[bits] == nil {
		t.nets[bits] = make(map[netip.Addr][]*Route)
		i, _ := slices.BinarySearchFunc(t.lens, bits, func(a, b int) int { return cmp.Compare(b, a) })
		t.lens = slices.Insert(t.lens, i, bits)
	}

	// Behind those of the same metric: of equal routes the first that was added is used.
	i := 0
	for i < len(rows) && rows[i].Metric <= r.Metric {
		i++
	}
	t.nets[bits][net] = slices.Insert(rows, i, &r)
	return true
}

func (t *routeTable) remove(r Route) bool {
	bits, net := r.Dst.Bits(), r.Dst.Addr()
	rows := t.nets[bits][net]
	i := slices.IndexFunc(rows, r.same)
	if i < 0 {
		return false
	}
	t.set(bits, net, slices.Delete(rows, i, i+1))
	return true
}

func (t *routeTable) set(bits int, net netip.Addr, rows []*Route) {
	if len(rows) > 0 {
		t.nets[bits][net] = rows
		return
	}
	delete(t.nets[bits], net)
	if len(t.nets[bits]) == 0 {
		delete(t.nets, bits)
		t.lens = slices.DeleteFunc(t.lens, func(n int) bool { return n == bits })
	}
}

func (t *routeTable) removeIface(i *Iface) {
	for _, bits := range slices.Clone(t.lens) {
		for net, rows := range t.nets[bits] {
			t.set(bits, net, slices.DeleteFunc(rows, func(r *Route) bool { return r.Iface == i }))
		}
	}
}

// lookup returns the route for dst with the longest prefix and, of those, the
// lowest metric; only one over the interface i, if i is not nil.
func (t *routeTable) lookup(dst netip.Addr, i *Iface) *Route {
	for _, bits := range t.lens {
		p, err := dst.Prefix(bits)
		if err != nil {
			continue
		}

		// By metric already: the first that fits is the best.
		for _, r := range t.nets[bits][p.Addr()] {
			if i == nil || r.Iface == i {
				return r
			}
		}
	}
	return nil
}

// all appends the routes to out: longest prefixes first, then by network.
func (t *routeTable) all(out []Route) []Route {
	for _, bits := range t.lens {
		from := len(out)
		for _, rows := range t.nets[bits] {
			for _, r := range rows {
				out = append(out, *r)
			}
		}
		slices.SortStableFunc(out[from:], func(a, b Route) int {
			return a.Dst.Addr().Compare(b.Dst.Addr())
		})
	}
	return out
}
