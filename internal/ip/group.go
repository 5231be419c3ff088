package ip

import (
	"net/netip"
	"slices"
	"syscall"
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
	return nil
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
