package rtnl

import (
	"net/netip"
	"strings"
)

// Source says what there is to tell of a host.
type Source struct {
	// View returns the interfaces and routes as they are.
	View func() *View

	// Find looks for the path to a destination.
	Find func(Query) (Path, Errno)

	// User returns the user of the program that asks; nil: root.
	User func() uint32

	// Sockets begins a list of the sockets of an IP protocol that inet_diag tells of. What
	// it returns gives them part by part, and says whether there are more.
	Sockets func(protocol uint8) (next func() (list []Socket, more bool))

	// Foreign is given a request of NETLINK_SOCK_DIAG about another family, whole. It
	// returns what yields the answer's datagrams, each as it comes from the kernel, and
	// nil at the end. A nil Foreign, or result, is a family that nobody knows.
	Foreign func(request []byte) (next func() []byte)
}

// View is what a host has of interfaces and routes.
type View struct {
	Links  []Link // by index
	Routes []Route
}

// Link is an interface.
type Link struct {
	Index    int
	Name     string
	MTU      int
	Loopback bool
	Addrs    []netip.Prefix
	Stats    Stats
}

// Stats counts what a link carried.
type Stats struct {
	RxPackets, RxBytes, RxErrors, RxDropped uint64
	TxPackets, TxBytes, TxErrors, TxDropped uint64
}

// Route is a row of a routing table. A view's are those of the main table.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // the gateway; invalid: Dst is on the link
	Src    netip.Addr // preferred source; may be invalid
	Link   int
	Metric int
	MTU    int // 0: the link's

	table, proto, scope, typ uint8
}

// Query asks for the path to Dst.
type Query struct {
	Dst  netip.Addr
	Src  netip.Addr // invalid: to be chosen
	Link int        // 0: any
}

// Path is how a destination is reached.
type Path struct {
	Src       netip.Addr
	Via       netip.Addr // invalid: on the link
	Link      int
	MTU       int // 0: the link's
	Local     bool
	Broadcast bool
}

// Flags returns the link's flags (IFF_*).
func (l *Link) Flags() uint32 {
	if l.Loopback {
		return FlagUp | FlagLoopback | FlagRunning | FlagLowerUp
	}
	return FlagUp | FlagBroadcast | FlagRunning | FlagNoARP | FlagMulticast | FlagLowerUp
}

// Type returns the kind of the link's hardware (ARPHRD_*): an IP link has none.
func (l *Link) Type() uint16 {
	if l.Loopback {
		return arphrdLoopback
	}
	return arphrdNone
}

// TxQueueLen returns the link's queue, in packets.
func (l *Link) TxQueueLen() int { return 1000 }

// Label is the name that fits into a struct ifreq.
func (l *Link) Label() string { return l.Name[:min(len(l.Name), ifNameSize-1)] }

const ifNameSize = 16 // IFNAMSIZ

// Link returns the link with the index, nil if there is none.
func (v *View) Link(index int) *Link {
	for i := range v.Links {
		if v.Links[i].Index == index {
			return &v.Links[i]
		}
	}
	return nil
}

// LinkByName returns the link with the name, nil if there is none. Of an alias' name, such as
// "eth0:1", the part before the colon counts.
func (v *View) LinkByName(name string) *Link {
	name, _, _ = strings.Cut(name, ":")
	for i := range v.Links {
		if v.Links[i].Label() == name {
			return &v.Links[i]
		}
	}
	return nil
}

// Broadcast returns the broadcast address of the network of an address on the link; an
// invalid one if it has none (RFC 3021).
func (l *Link) Broadcast(a netip.Prefix) netip.Addr {
	if !a.Addr().Is4() || a.Bits() > 30 || l.Loopback {
		return netip.Addr{}
	}
	return lastOf(a)
}

// lastOf returns the last address of an IPv4 network.
func lastOf(a netip.Prefix) netip.Addr {
	b := a.Masked().Addr().As4()
	for i := a.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// secondary reports whether an earlier address of the link is of the same network.
func (l *Link) secondary(n int) bool {
	a := l.Addrs[n]
	for _, o := range l.Addrs[:n] {
		if a.Addr().Is4() && o.Masked() == a.Masked() {
			return true
		}
	}
	return false
}

// addrScope is the scope of an address.
func addrScope(a netip.Addr) uint8 {
	switch {
	case a.IsLoopback():
		return scopeHost
	case a.Is6() && a.IsLinkLocalUnicast():
		return scopeLink
	}
	return scopeUniverse
}

// Metrics of IPv6 routes that say none (IP6_RT_PRIO_KERN, IP6_RT_PRIO_USER).
const (
	metricKernel6 = 256
	metricUser6   = 1024
)

// table returns the rows of all tables for a family: main first, then local, as the kernel
// keeps them. The local one follows from the addresses.
func (v *View) table(family uint8) (rows []Route) {
	for _, r := range v.Routes {
		if familyOf(r.Dst.Addr()) != family {
			continue
		}
		r.table, r.typ, r.proto, r.scope = tableMain, typeUnicast, protoStatic, scopeUniverse
		if !r.Via.IsValid() {
			r.scope = scopeLink
			if r.Src.IsValid() {
				r.proto = protoKernel
			}
		}
		if family == afInet6 {
			r.scope = scopeUniverse
			switch {
			case r.Metric == 0 && r.proto == protoKernel:
				r.Metric = metricKernel6
				r.Src = netip.Addr{} // the kernel chooses it at each look-up
			case r.Metric == 0:
				r.Metric = metricUser6
			}
		}
		rows = append(rows, r)
	}
	for i := range v.Links {
		rows = append(rows, v.Links[i].localRoutes(family)...)
	}
	return rows
}

// localRoutes are the rows of the table local that a link's addresses bring.
func (l *Link) localRoutes(family uint8) (rows []Route) {
	row := func(p netip.Prefix, src netip.Addr, typ, scope uint8) {
		rows = append(rows, Route{Dst: p, Src: src, Link: l.Index, table: tableLocal, proto: protoKernel, typ: typ, scope: scope})
	}
	for n, p := range l.Addrs {
		a := p.Addr()
		if familyOf(a) != family {
			continue
		}
		if family == afInet6 {
			row(netip.PrefixFrom(a, 128), netip.Addr{}, typeLocal, scopeUniverse)
			continue
		}
		if l.Loopback && !p.IsSingleIP() && !l.secondary(n) {
			row(p.Masked(), a, typeLocal, scopeHost)
		}
		row(netip.PrefixFrom(a, 32), a, typeLocal, scopeHost)
		if p.Bits() <= 30 && !l.secondary(n) {
			row(netip.PrefixFrom(lastOf(p), 32), a, typeBroadcast, scopeLink)
		}
	}
	if family == afInet6 && !l.Loopback && len(rows) > 0 {
		rows = append(rows, Route{
			Dst: netip.MustParsePrefix("ff00::/8"), Link: l.Index, Metric: metricKernel6,
			table: tableLocal, proto: protoKernel, typ: typeMulticast,
		})
	}
	return rows
}

func familyOf(a netip.Addr) uint8 {
	if a.Is4() {
		return afInet
	}
	return afInet6
}
