package ip

import (
	"net/netip"
	"syscall"
)

// Route is a row of the routing table.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // the gateway; the zero Addr: Dst is on the link
	Iface  *Iface     // nil, with a Via: the one through which Via is reached
	Src    netip.Addr // preferred source; the zero Addr: chosen by the rules
	Metric int        // of two routes to the same Dst the lower one is used
	MTU    int        // 0: the interface's
}

// same reports whether r and o are the same row: their rest may differ.
func (r Route) same(o *Route) bool {
	return r.Dst == o.Dst && r.Via == o.Via && r.Iface == o.Iface && r.Metric == o.Metric
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
	// a large segment (packet.Packet.SegmentSize); 0 if neither the link takes any nor the interface cuts them.
	MaxSegment int

	Gen       uint32
	Local     bool // Dst is this host
	Broadcast bool
}

// InMemory reports whether packets along the path stay in the host's memory, where nobody
// minds how large they are.
func (p *Path) InMemory() bool { return p.Iface.cfg.Out == nil }

// AddRoute adds a route. EEXIST if it is there; EINVAL if it makes no sense;
// ENETUNREACH if the gateway is not on a link.
func (l *Layer) AddRoute(r Route) error {
	if !r.Dst.IsValid() || r.Dst.Addr().Is4In6() || r.Dst != r.Dst.Masked() || r.MTU < 0 {
		return syscall.EINVAL
	}
	r.Via = r.Via.WithZone("")
	if r.Via.IsValid() {
		if r.Via.Is4() != r.Dst.Addr().Is4() || r.Via.IsUnspecified() || r.Via.IsMulticast() || l.IsLocal(r.Via) {
			return syscall.EINVAL
		}

		// A gateway must be a neighbour: a route through a route could lead in a circle.
		on := l.routes(r.Via).lookup(r.Via, r.Iface)
		if on == nil || on.Via.IsValid() {
			return syscall.ENETUNREACH
		}
		r.Iface = on.Iface
	}
	if r.Iface == nil || r.Iface.index == 0 {
		return syscall.ENODEV
	}
	if r.Src.IsValid() && !l.IsLocal(r.Src) {
		return syscall.EINVAL
	}
	if !l.routes(r.Dst.Addr()).add(r) {
		return syscall.EEXIST
	}
	l.changed()
	return nil
}

// RemoveRoute removes the route with r's Dst, Via, Iface and Metric; ESRCH without
// one. A nil Iface is any.
func (l *Layer) RemoveRoute(r Route) error {
	t := l.routes(r.Dst.Addr())
	if r.Iface == nil {
		for _, o := range t.nets[r.Dst.Bits()][r.Dst.Addr()] {
			if o.Via == r.Via && o.Metric == r.Metric {
				r.Iface = o.Iface
				break
			}
		}
	}
	if !t.remove(r) {
		return syscall.ESRCH
	}
	l.changed()
	return nil
}

// Routes returns the routing table, networks of the interfaces' addresses
// included.
func (l *Layer) Routes() []Route { return l.rt6.all(l.rt4.all(nil)) }

// Route finds the path to dst. src is the source address, if one is bound, else
// the zero or the unspecified Addr; ifindex, if not 0, is the interface that must
// be used (SO_BINDTODEVICE, a scope, IP_MULTICAST_IF). The errors are Linux's:
// ENETUNREACH, EADDRNOTAVAIL, EINVAL, ENODEV.
func (l *Layer) Route(dst, src netip.Addr, ifindex int) (Path, error) {
	if src.IsUnspecified() {
		src = netip.Addr{}
	}
	var via *Iface
	if ifindex != 0 {
		if via = l.Iface(ifindex); via == nil {
			return Path{}, syscall.ENODEV
		}
	}
	if dst.IsUnspecified() {
		// The unspecified destination is this host: the bound source if there is
		// one (IPv4), else the loopback address.
		switch {
		case dst.Is6():
			dst = netip.IPv6Loopback()
		case src.IsValid():
			dst, via = src, nil
		default:
			dst, src, via = loopback4, loopback4, nil
		}
	}
	if src.IsValid() {
		if src.Is4() != dst.Is4() || src.IsMulticast() || src == limitedBroadcast {
			return Path{}, syscall.EINVAL
		}
		if !l.speaksFor(src) {
			return Path{}, syscall.ENETUNREACH
		}
	}

	// Before the table: no route can lead away what is this host's own.
	if l.IsLocal(dst) {
		if p, ok := l.localPath(dst, src, via); ok {
			return p, nil
		}
	}
	if dst.Is4() {
		return l.route4(dst, src, via)
	}
	return l.route6(dst, src, via)
}

// speaksFor reports whether this host may send from src.
func (l *Layer) speaksFor(src netip.Addr) bool {
	return l.IsLocal(src) || l.cfg.Foreign && !src.IsLoopback()
}

// localPath is the path to an address of this host. A packet for it can be asked
// to leave by the interface that has the address or, in IPv4, by the loopback
// interface.
func (l *Layer) localPath(dst, src netip.Addr, via *Iface) (Path, bool) {
	if l.lo == nil {
		return Path{}, false
	}
	sel, at := loopback4, l.lo
	if o := l.own[dst]; o != nil {
		sel, at = o.src, o.iface
	}
	if via != nil && via != at && (via != l.lo || dst.Is6()) {
		return Path{}, false
	}
	if !src.IsValid() {
		src = sel
	}
	p := Path{Dst: dst, Src: src, Next: dst, Iface: l.lo, Local: true}
	l.finish(&p, 0)
	return p, true
}

func (l *Layer) route4(dst, src netip.Addr, via *Iface) (Path, error) {
	p := Path{Dst: dst, Src: src, Next: dst, Iface: via, Broadcast: l.IsBroadcast(dst)}
	if via == nil && src.IsValid() && (dst.IsMulticast() || dst == limitedBroadcast) {
		// The bound source names the interface.
		if o := l.own[src]; o != nil {
			p.Iface = o.iface
		} else if src.IsLoopback() {
			p.Iface = l.lo
		}
	}
	var r *Route
	switch {
	case p.Broadcast && dst == loopbackBroadcast:
		if l.lo == nil || via != nil && via != l.lo {
			return Path{}, syscall.ENETUNREACH
		}
		p.Iface = l.lo
		if !p.Src.IsValid() {
			p.Src = loopback4
		}
	case p.Iface != nil && (dst.IsMulticast() || dst == limitedBroadcast):
		// On the link, whatever the table says.
	default:
		r = l.rt4.lookup(dst, p.Iface)
		if r == nil && p.Iface == nil {
			return Path{}, syscall.ENETUNREACH
		}
		// Linux takes a destination to be on the link of an interface that was
		// asked for and has no route to it.
	}
	mtu := 0
	if r != nil {
		p.Iface, mtu = r.Iface, r.MTU
		if r.Via.IsValid() && !dst.IsMulticast() && !p.Broadcast {
			p.Next = r.Via
		}
		if !p.Src.IsValid() {
			p.Src = r.Src
		}
	}
	if !p.Src.IsValid() {
		p.Src = l.source4(p.Iface, p.Next)
	}

	// 127.0.0.0/8 must not be seen outside of a host (RFC 1122, section 3.2.1.3).
	if p.Src.IsLoopback() && !p.Iface.cfg.Loopback {
		return Path{}, syscall.EINVAL
	}
	l.finish(&p, mtu)
	return p, nil
}

// source4 selects the source for packets to next over i: an address of i in next's
// network, else i's first, else another interface's. Loopback addresses stay on
// the loopback interface, and are its choice where there are no others. A host
// that has no address at all says so with 0.0.0.0.
func (l *Layer) source4(i *Iface, next netip.Addr) netip.Addr {
	var first netip.Addr
	for _, a := range i.addrs {
		if !a.Addr().Is4() || a.Addr().IsLoopback() {
			continue
		}
		if a.Contains(next) {
			return a.Addr()
		}
		if !first.IsValid() {
			first = a.Addr()
		}
	}
	if first.IsValid() {
		return first
	}
	for _, o := range l.ifaces {
		if o == nil || o.cfg.Loopback {
			continue
		}
		for _, a := range o.addrs {
			if a.Addr().Is4() {
				return a.Addr()
			}
		}
	}
	if i.cfg.Loopback {
		return loopback4
	}
	return netip.IPv4Unspecified()
}

func (l *Layer) route6(dst, src netip.Addr, via *Iface) (Path, error) {
	// ::1 was found by localPath, or there is no loopback; mapped addresses are IPv4's business
	// and are not to be on a wire.
	if dst.IsLoopback() || dst.Is4In6() {
		return Path{}, syscall.ENETUNREACH
	}
	p := Path{Dst: dst, Src: src, Next: dst, Iface: via}
	r := l.rt6.lookup(dst, via)
	mtu := 0
	switch {
	case r != nil:
		p.Iface, mtu = r.Iface, r.MTU
		if r.Via.IsValid() {
			p.Next = r.Via
		}
		if !p.Src.IsValid() {
			p.Src = r.Src
		}
	case dst.IsMulticast():
		// Each interface but lo has a route for groups.
		if p.Iface = l.multicastIface(via); p.Iface == nil {
			return Path{}, syscall.ENETUNREACH
		}
	default:
		return Path{}, syscall.ENETUNREACH
	}
	if dst.IsMulticast() {
		p.Next = dst
	}
	if !p.Src.IsValid() {
		p.Src = l.source6(p.Iface, dst)
	}
	if !p.Src.IsValid() {
		return Path{}, syscall.EADDRNOTAVAIL
	}
	l.finish(&p, mtu)
	return p, nil
}

func (l *Layer) multicastIface(via *Iface) *Iface {
	if via != nil {
		if via.cfg.Loopback {
			return nil
		}
		return via
	}
	for _, i := range l.ifaces {
		if i != nil && !i.cfg.Loopback {
			return i
		}
	}
	return nil
}

// source6 selects the source for packets to dst over i by the rules of RFC 6724,
// section 5, that apply here: the scope that fits best, then an address of i, then
// the longest common prefix.
func (l *Layer) source6(i *Iface, dst netip.Addr) netip.Addr {
	want := scope6(dst)
	var best netip.Addr
	var bestScope, bestBits int
	bestOut := false
	for _, o := range l.ifaces {
		if o == nil {
			continue
		}
		out := o == i
		for _, a := range o.addrs {
			c := a.Addr()
			if !c.Is6() || c.IsLoopback() != i.cfg.Loopback {
				continue
			}
			s := scope6(c)
			if s <= scopeLink && !out {
				continue // has no meaning outside of its link
			}
			n := commonBits(c, dst)
			better := !best.IsValid()
			if !better && s != bestScope {
				// Rule 2: the smaller scope that reaches, or else the larger one.
				if better = s < bestScope; better {
					better = s >= want
				} else {
					better = bestScope < want
				}
			} else if !better && out != bestOut {
				better = out
			} else if !better {
				better = n > bestBits
			}
			if better {
				best, bestScope, bestBits, bestOut = c, s, n, out
			}
		}
	}
	return best
}

// Scopes (RFC 4291, section 2.7).
const (
	scopeLink   = 2
	scopeGlobal = 14
)

func scope6(a netip.Addr) int {
	switch {
	case a.IsMulticast():
		b := a.As16()
		return int(b[1] & 15)
	case a.IsLinkLocalUnicast() || a.IsLoopback():
		return scopeLink
	}
	return scopeGlobal
}

func commonBits(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	n := 0
	for i := range x {
		d := x[i] ^ y[i]
		if d == 0 {
			n += 8
			continue
		}
		for d&0x80 == 0 {
			n++
			d <<= 1
		}
		break
	}
	return n
}

// Bytes of the largest packet that the length fields can express.
const (
	maxLen4 = 65535
	maxLen6 = 65535 + 40
)

// finish fills in what follows from the interface and what is known of the path.
func (l *Layer) finish(p *Path, mtu int) {
	if mtu == 0 || mtu > p.Iface.cfg.MTU {
		mtu = p.Iface.cfg.MTU
	}

	// What a router has said bounds the first link's MTU; for the host itself there is no
	// router.
	if known := l.PathMTU(p.Dst); known != 0 && !p.Local {
		mtu = min(mtu, known)
	}
	most, header := maxLen6, 40
	if p.Dst.Is4() {
		most, header = maxLen4, 20
	}
	p.MTU = min(mtu, most)
	if p.Iface.cfg.Segments || p.Iface.cfg.Cuts {
		p.MaxSegment = most - header
	}
	p.Gen = l.gen
}
