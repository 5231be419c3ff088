package gateway

import (
	"container/list"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"usock/internal/target"
)

// nameTable knows which names the run's resolver gave for an address. It keeps them for as
// long as the run goes on, whatever their TTL, as programs do with addresses that they have;
// of too many addresses those are forgotten that were given longest ago.
type nameTable struct {
	fixed  map[netip.Addr][]string // that the machine or the user says
	given  map[netip.Addr]*givenNames
	recent list.List                // of *givenNames, the one that was given last in front
	named  func(netip.Addr, string) // is told of each; may be nil
	gen    uint64                   // changes when what of returns does for some address
}

// givenNames are the names of an address, the one that was asked for last in front.
type givenNames struct {
	addr  netip.Addr
	names []string
	place *list.Element
}

const (
	maxGivenAddrs = 16384
	maxGivenNames = 64 // of an address
)

func newNameTable() *nameTable {
	return &nameTable{fixed: make(map[netip.Addr][]string), given: make(map[netip.Addr]*givenNames), gen: 1}
}

// fix notes a name of an address for good.
func (t *nameTable) fix(addr netip.Addr, name string) {
	addr, name = addr.Unmap(), bare(name)
	if !slices.Contains(t.fixed[addr], name) {
		t.fixed[addr] = append(t.fixed[addr], name)
		t.gen++
	}
}

// give notes that a resolver gave an address for names, the one that was asked for first. An
// address that is no other host's is left out: else who owns a name that is allowed could
// have it lead to the machine's own servers.
func (t *nameTable) give(addr netip.Addr, names []string) {
	addr = addr.Unmap()
	if addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() {
		return
	}
	g := t.given[addr]
	if g == nil {
		if len(t.given) >= maxGivenAddrs {
			oldest := t.recent.Remove(t.recent.Back()).(*givenNames)
			delete(t.given, oldest.addr)
		}
		g = &givenNames{addr: addr}
		g.place = t.recent.PushFront(g)
		t.given[addr] = g
		t.gen++
	}
	t.recent.MoveToFront(g.place)
	if t.named != nil {
		t.named(addr, bare(names[0]))
	}
	for _, n := range slices.Backward(names) {
		n = bare(n)
		switch i := slices.Index(g.names, n); {
		case i == 0:
			continue
		case i > 0:
			g.names = slices.Delete(g.names, i, i+1)
		default:
			t.gen++
			if len(g.names) >= maxGivenNames {
				g.names = g.names[:maxGivenNames-1]
			}
		}
		g.names = slices.Insert(g.names, 0, n)
	}
}

// of returns the names of an address. t may be nil.
func (t *nameTable) of(addr netip.Addr) []string {
	if t == nil {
		return nil
	}
	fixed, g := t.fixed[addr], t.given[addr]
	switch {
	case g == nil:
		return fixed
	case len(fixed) == 0:
		return g.names
	}
	return append(slices.Clone(g.names), fixed...)
}

// last returns the name that an address was given for last; "" if it was not given.
func (t *nameTable) last(addr netip.Addr) string {
	if g := t.given[addr]; g != nil {
		return g.names[0]
	}
	return ""
}

// bare returns a name as the table has it: in lower case, without a dot at its end.
func bare(name string) string { return target.Bare(name) }

// reversed returns the address that a name stands for (PTR; see reverse).
func reversed(name string) (netip.Addr, bool) {
	if head, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		f := strings.Split(head, ".")
		slices.Reverse(f)
		a, err := netip.ParseAddr(strings.Join(f, "."))
		return a, err == nil && a.Is4()
	}
	head, ok := strings.CutSuffix(name, ".ip6.arpa")
	if f := strings.Split(head, "."); ok && len(f) == 32 {
		var raw [16]byte
		for i, digit := range f {
			n, err := strconv.ParseUint(digit, 16, 4)
			if err != nil || len(digit) != 1 {
				return netip.Addr{}, false
			}
			raw[15-i/2] |= byte(n) << (4 * (i % 2))
		}
		return netip.AddrFrom16(raw).Unmap(), true
	}
	return netip.Addr{}, false
}
