package link

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// A neighbour that is known is used at once. One that was not heard of for
// reachable is asked for meanwhile, and forgotten if it does not answer.
const (
	reachable   = 30 * time.Second // ReachableTime (RFC 4861 section 10)
	firstProbe  = 5 * time.Second  // DELAY_FIRST_PROBE_TIME: unconfirmed, a neighbour is believed so long
	retransTime = time.Second      // RETRANS_TIMER
	maxAsks     = 3                // MAX_MULTICAST_SOLICIT
	maxPending  = 64               // packets that wait for one neighbour
	maxWaiting  = 4 << 20          // bytes that wait for all of them
)

// neighbour is what is known of an address on the link.
type neighbour struct {
	address hardware
	known   bool
	sure    bool          // it has answered a question (RFC 4861 section 7.3.2: REACHABLE)
	heard   time.Duration // when address was last confirmed
	used    time.Duration // when a packet was last sent to it; before that, when it was added
	asks    int           // requests without an answer; 0: it is not asked for
	pending packet.Queue  // packets that wait for the address

	list       *neighbourList // that it is in; nil: none
	next, prev *neighbour
	at         netip.Addr
}

// destination returns where an IP packet is bound for, and whether it is one.
func destination(p *Packet) (netip.Addr, bool) {
	b := p.Front()
	switch {
	case len(b) >= wire.IPv4MinLen && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[16:20])), true
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[24:40])), true
	}
	return netip.Addr{}, false
}

// resolve finds the Ethernet address for p. If ok is false it has taken p over, to
// wait for its neighbour if taken, to be freed otherwise. The caller holds mu.
func (f *Framed) resolve(p *Packet) (to hardware, ok, taken bool) {
	dst, valid := destination(p)
	if !valid || f.shut {
		p.Free()
		return to, false, false
	}
	if to, ok := f.group(dst); ok {
		return to, true, false
	}
	hop := f.nextHop(dst)

	// What was added by hand is neither asked for nor doubted.
	if to, ok := f.fixed[hop]; ok {
		return to, true, false
	}
	n := f.neighbours[hop]
	now := f.clock.Now()
	if n == nil {
		if n = f.newNeighbour(hop, &f.sought); n == nil {
			p.Free() // all that are known are in use
			return to, false, false
		}
	}
	n.used = now
	if n.known {
		if n.list == &f.guests {
			f.guests.remove(n)
		}

		// Asked for in passing: packets go on to where it was, and it loses only what it is not
		// there to take. The states STALE, DELAY and PROBE of RFC 4861 section 7.3.2 in one,
		// without upper layers' hints.
		if now-n.heard > reachable && n.asks == 0 {
			f.ask(hop, n)
		}
		return n.address, true, false
	}
	if n.asks == 0 {
		f.ask(hop, n)
	}
	// Its oldest packets make room (RFC 4861 section 7.2.2).
	for n.pending.Len() >= maxPending || n.pending.Len() > 0 && f.waiting+p.Len() > maxWaiting {
		f.popPending(n).Free()
	}
	if f.waiting+p.Len() > maxWaiting {
		p.Free()
		return to, false, false
	}
	f.waiting += p.Len()
	n.pending.Push(p)
	return to, false, true
}

// popPending takes the first of the packets that wait for n; nil if there is none.
func (f *Framed) popPending(n *neighbour) *Packet {
	p := n.pending.Pop()
	if p != nil {
		f.waiting -= p.Len()
	}
	return p
}

// group returns the Ethernet address of a multicast or broadcast address (RFC
// 1112 section 6.4, RFC 2464 section 7).
func (f *Framed) group(dst netip.Addr) (hardware, bool) {
	switch {
	case dst.Is4() && dst.IsMulticast():
		a := dst.As4()
		return hardware{0x01, 0, 0x5e, a[1] & 0x7f, a[2], a[3]}, true
	case dst.IsMulticast():
		a := dst.As16()
		return hardware{0x33, 0x33, a[12], a[13], a[14], a[15]}, true
	case dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return everyone, true
	case dst.Is4():
		for _, p := range f.config.Addresses {
			if p.Addr().Is4() && p.Bits() < 31 && dst == broadcast(p) {
				return everyone, true
			}
		}
	}
	return hardware{}, false
}

// broadcast returns the last address of an IPv4 network.
func broadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(a)
}

// nextHop returns the neighbour that is on the way to dst.
func (f *Framed) nextHop(dst netip.Addr) netip.Addr {
	// Never by way of a gateway.
	if dst.IsLinkLocalUnicast() {
		return dst
	}
	for _, p := range f.config.Addresses {
		if p.Contains(dst) {
			return dst
		}
	}
	for _, g := range f.config.Gateways {
		if g.Is4() == dst.Is4() {
			return g
		}
	}
	return dst
}

// own reports whether a is an address of the host.
func (f *Framed) own(a netip.Addr) bool {
	for _, p := range f.config.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// source returns the host's address from which to ask for hop: on the same network
// if there is one, else any of the family.
func (f *Framed) source(hop netip.Addr) (src netip.Addr, ok bool) {
	for _, p := range f.config.Addresses {
		if p.Contains(hop) {
			return p.Addr(), true
		}
		if p.Addr().Is4() == hop.Is4() && !ok {
			src, ok = p.Addr(), true
		}
	}
	return src, ok
}

// ask queues a request for a neighbour: to itself while it is known, to all
// otherwise.
func (f *Framed) ask(a netip.Addr, n *neighbour) {
	n.asks++
	if src, ok := f.source(a); ok {
		if a.Is4() {
			f.askARP(src, a, n)
		} else {
			f.askND(src, a, n)
		}
	}
	if !f.ticking {
		f.ticking = true
		f.alarm.Set(retransTime)
	}
}

// news is what a message says of where a neighbour is.
type news struct {
	add       bool // its sender is about to talk to the host: it may be new
	confirmed bool // it answers a question of ours
}

// learn notes where a neighbour is, and queues what waits for it. The caller holds mu.
func (f *Framed) learn(a netip.Addr, h hardware, w news) {
	// An address that is nobody's or ours, or a group's hardware address: to believe it would
	// send a neighbour's packets to all, or to nobody.
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || h[0]&1 != 0 || f.own(a) {
		return
	}
	if _, ok := f.fixed[a]; ok {
		return
	}
	n := f.neighbours[a]
	if n == nil {
		// Who is behind a gateway is no neighbour, nor is a broadcast address: nothing would ever be
		// sent to it.
		if _, all := f.group(a); !w.add || all || f.nextHop(a) != a {
			return
		}
		if n = f.newNeighbour(a, &f.guests); n == nil {
			return
		}
	}
	if !n.known || n.address != h {
		f.changed()
	} else if !w.confirmed {
		return // nothing new: that it is there is only known when it answers (RFC 4861 section 7.2.3)
	}
	if n.list == &f.sought {
		f.sought.remove(n)
	}
	now := f.clock.Now()
	n.address, n.known, n.sure, n.asks, n.heard = h, true, w.confirmed, 0, now
	if !w.confirmed {
		n.heard -= reachable - firstProbe
	}

	// In the order in which they came.
	for p := f.popPending(n); p != nil; p = f.popPending(n) {
		frame(p, h, f.address, etherType(p))
		f.out.Push(p)
	}
}

// tick asks again for those that have not answered, and gives up in the end.
func (f *Framed) tick() {
	var errors []*Packet
	f.mu.Lock()
	f.ticking = false
	if f.shut {
		f.mu.Unlock()
		return
	}

	// In the order of addresses, as what is sent must not depend on that of a map.
	for _, a := range slices.SortedFunc(maps.Keys(f.neighbours), netip.Addr.Compare) {
		n := f.neighbours[a]
		switch {
		case n.asks == 0:
		case n.asks < maxAsks:
			f.ask(a, n)
		default:
			for p := f.popPending(n); p != nil; p = f.popPending(n) {
				if e := unreachable(p, a); e != nil {
					errors = append(errors, e)
				}
				p.Free()
			}

			// Forgotten, and not remembered as gone: the next packet asks again.
			f.forget(a)
		}
	}
	f.mu.Unlock()
	f.flush()

	// Without mu: what the host makes of an error may come back as a Send.
	f.hand(errors)
}
