package ip

import (
	"net/netip"
	"syscall"
)

// Route is a row of the routing table.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // the gateway; the zero Addr: Dst is on the link
	Iface  *Iface
	Src    netip.Addr // preferred source; the zero Addr: chosen by the rules
	Metric int        // of two routes to the same Dst the lower one is used
	MTU    int        // 0: the interface's
}

// Path is how to reach a destination. It may be kept as long as Layer.Generation
// returns Gen.
type Path struct {
	Dst   netip.Addr // as asked; the host's own address where that was unspecified
	Src   netip.Addr // as asked, or selected
	Next  netip.Addr // the gateway, or Dst
	Iface *Iface
	MTU   int // of the path: bytes of the largest IP packet

	// MaxSegment is how many bytes of TCP header and data one packet may carry as
	// a large segment (pkt.Packet.SegmentSize); 0 if the link takes none.
	MaxSegment int

	Gen       uint32
	Local     bool // Dst is this host
	Broadcast bool
}

// AddRoute adds a route; EEXIST if it is there, EINVAL if it makes no sense.
func (l *Layer) AddRoute(r Route) error { return nil }

// RemoveRoute removes the route with r's Dst, Via, Iface and Metric; ESRCH without
// one.
func (l *Layer) RemoveRoute(r Route) error { return syscall.ESRCH }

// Routes returns the routing table, connected networks included.
func (l *Layer) Routes() []Route { return nil }

// Route finds the path to dst. src is the source address, if one is bound, else
// the zero or the unspecified Addr; ifindex, if not 0, is the interface that must
// be used (SO_BINDTODEVICE, a scope, IP_MULTICAST_IF). The errors are Linux's:
// ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EINVAL, ENODEV.
func (l *Layer) Route(dst, src netip.Addr, ifindex int) (Path, error) {
	return Path{}, syscall.ENETUNREACH
}

// PathMTU returns what is known of the MTU on the way to dst beyond the first
// link, 0 if nothing.
func (l *Layer) PathMTU(dst netip.Addr) int { return 0 }

// LowerPathMTU records a smaller path MTU to dst, at least 552 (IPv4) or 1280
// (IPv6); it is forgotten after 10 minutes. It reports whether anything changed.
func (l *Layer) LowerPathMTU(dst netip.Addr, mtu int) bool { return false }
