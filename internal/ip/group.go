package ip

import (
	"maps"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/internal/wire"
)

// Filter says which sources a member of a group wants to hear (RFC 3376, section 3.1):
// with Include those of Sources alone, else all but those.
type Filter struct {
	Include bool
	Sources []netip.Addr
}

// Allows reports whether the filter lets src through.
func (f *Filter) Allows(src netip.Addr) bool { return slices.Contains(f.Sources, src) == f.Include }

// group is what the members of a group on an interface want together (RFC 3376, section
// 3.2).
type group struct {
	members int
	exclude int                // members whose filter excludes
	wanted  map[netip.Addr]int // by how many filters a source is included
	blocked map[netip.Addr]int // and excluded
}

func (g *group) allows(src netip.Addr) bool {
	// A source is received if one member wants it: named by a filter that includes, or let through
	// by at least one that excludes others.
	return g.wanted[src] > 0 || g.exclude > g.blocked[src]
}

// count adds n members with the filter.
func (g *group) count(f *Filter, n int) {
	g.members += n
	list := &g.wanted
	if !f.Include {
		g.exclude += n
		list = &g.blocked
	}
	for _, src := range f.Sources {
		if *list == nil {
			*list = make(map[netip.Addr]int)
		}
		if (*list)[src] += n; (*list)[src] == 0 {
			delete(*list, src)
		}
	}
}

// Join makes the interface receive the group from the sources that the filter allows; each
// Join needs its Leave. EINVAL if group is no multicast address.
func (l *Layer) Join(i *Iface, addr netip.Addr, f *Filter) error {
	// The interface was removed; its groups went with it.
	if i.index == 0 {
		return syscall.ENODEV
	}
	if !addr.IsMulticast() || addr.Is4In6() {
		return syscall.EINVAL
	}
	g := i.groups[addr]
	if g == nil {
		g = new(group)
		i.groups[addr] = g
	}
	g.count(f, 1)
	i.reportLater(addr)
	return nil
}

// Leave undoes a Join with the same filter; EADDRNOTAVAIL without one.
func (l *Layer) Leave(i *Iface, addr netip.Addr, f *Filter) error {
	g := i.groups[addr]
	if g == nil {
		return syscall.EADDRNOTAVAIL
	}
	if g.count(f, -1); g.members == 0 {
		delete(i.groups, addr)
	}
	i.reportLater(addr)
	return nil
}

// want returns what the members want together, as routers are told (RFC 3376, section 3.2): one
// that excludes sources hears all others, and so does the interface but for those that all such
// members exclude and nobody includes.
func (g *group) want() (w want) {
	if g == nil {
		return w
	}
	list := g.wanted
	if w.exclude = g.exclude > 0; w.exclude {
		list = g.blocked
	}
	for a, n := range list {
		if !w.exclude || n == g.exclude && g.wanted[a] == 0 {
			w.sources = append(w.sources, a)
		}
	}
	slices.SortFunc(w.sources, netip.Addr.Compare)
	return w
}

// reportable reports whether routers are told of the group: not of those that all hosts are in, nor
// of those that never leave a host (RFC 3376, section 6; RFC 3810, section 6).
func reportable(addr netip.Addr) bool {
	return addr != allHosts && addr != allNodes && (addr.Is4() || scope6(addr) > 1)
}

// reports is what is said of groups on an interface, with IGMP and MLD.
type reports struct {
	of      [2]*reporting           // IPv4, IPv6; nil where nothing was said yet
	changed map[netip.Addr]struct{} // groups to look at when the host's entry is over
}

func (r *reports) family(v6 bool) **reporting {
	if v6 {
		return &r.of[1]
	}
	return &r.of[0]
}

// reportLater has routers told of what is wanted of the group, if that has changed, once all is done
// that the host is about to do: a filter is changed by leaving and joining.
func (i *Iface) reportLater(addr netip.Addr) {
	if i.cfg.Loopback || i.index == 0 || !reportable(addr) {
		return
	}
	if i.reports.changed == nil {
		i.reports.changed = make(map[netip.Addr]struct{})
	}
	i.reports.changed[addr] = struct{}{}
	i.layer.arm(i.layer.host.Now())
}

// reporting returns the state of one protocol.
func (i *Iface) reporting(v6 bool) *reporting {
	m := i.reports.family(v6)
	if *m == nil {
		*m = newReporting(i.layer.cfg.Rand)
	}
	return *m
}

// reportDue sends what is due, and arms the timer for what comes next.
func (i *Iface) reportDue(now time.Duration) {
	for _, addr := range slices.SortedFunc(maps.Keys(i.reports.changed), netip.Addr.Compare) {
		for _, r := range i.reporting(addr.Is6()).set(addr, i.groups[addr].want(), now) {
			i.sendReport(addr.Is6(), &r)
		}
	}
	clear(i.reports.changed)
	for k, m := range i.reports.of {
		if m == nil {
			continue
		}
		for _, r := range m.expire(now) {
			i.sendReport(k == 1, &r)
		}
		i.layer.arm(m.deadline())
	}
}

// asked takes in a router's question about groups.
func (i *Iface) asked(v6 bool, q *wire.GroupQuery) {
	if i.cfg.Loopback {
		return
	}
	m := i.reporting(v6)
	m.query(q, i.layer.host.Now())
	i.layer.arm(m.deadline())
}

// heardReport takes in that another host has reported a group, with one of the older versions.
func (i *Iface) heardReport(group netip.Addr) {
	if m := *i.reports.family(group.Is6()); m != nil {
		m.heard(group, i.layer.host.Now())
	}
}

// sendReport sends a message, or several if one has no room for all.
func (i *Iface) sendReport(v6 bool, r *report) {
	send, width, head := i.sendIGMP, 4, wire.IPv4MinLen+len(routerAlert4)
	if v6 {
		send, width, head = i.sendMLD, 16, wire.IPv6Len+len(routerAlert6)
	}
	if r.generation != wire.ThirdGeneration {
		send(r.generation, r.records)
		return
	}
	room := i.cfg.MTU - head - wire.GroupReportLen
	pack(r.records, room, wire.GroupRecordLen+width, width, func(records []wire.GroupRecord) { send(r.generation, records) })
}

var (
	allHosts    = netip.AddrFrom4([4]byte{224, 0, 0, 1})
	allNodes    = netip.MustParseAddr("ff02::1")
	allNodesOwn = netip.MustParseAddr("ff01::1")
	solicited   = netip.MustParsePrefix("ff02::1:ff00:0/104")
)

// hears reports whether the interface receives the group from src: someone has joined it,
// or it is one that every host is in (RFC 1112, section 4; RFC 4291, section 2.8).
func (i *Iface) hears(addr, src netip.Addr) bool {
	if addr == allHosts || addr == allNodes || addr == allNodesOwn {
		return true
	}
	if g := i.groups[addr]; g != nil && g.allows(src) {
		return true
	}
	if !addr.Is6() || !solicited.Contains(addr) {
		return false
	}
	b := addr.As16()

	// The group of an address is its last three bytes: neighbours that ask for it disturb few
	// other hosts (RFC 4291, section 2.7.1).
	for _, p := range i.addrs {
		if a := p.Addr().As16(); p.Addr().Is6() && [3]byte(a[13:]) == [3]byte(b[13:]) {
			return true
		}
	}
	return false
}
