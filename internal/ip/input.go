package ip

import (
	"net/netip"
	"sync"

	"usock/internal/host"
	"usock/internal/wire"
	"usock/packet"
)

// Input takes over the packets of batch, which a link delivered to i. The slice
// stays the caller's. The host must not be entered.
func (l *Layer) Input(i *Iface, batch []*packet.Packet) {
	at := l.host.EnterLane(i.number)
	l.lanes[at.ID].Input(i, batch)
	at.Leave()
}

// Input is Layer.Input in a lane.
func (l *Lane) Input(i *Iface, batch []*packet.Packet) {
	for len(batch) > 0 {
		l.behind = batch[1:]
		l.receive(i, batch[0], false)
		batch = l.behind
	}
	l.behind = nil
}

// inputLooped takes a packet from the host's loopback queue.
func (l *Lane) inputLooped(p *packet.Packet) {
	i, copied := l.lo, false
	if l.at.Whole() && len(l.looped) > 0 {
		if at, ok := l.looped[p]; ok {
			delete(l.looped, p)
			i, copied = at, true
		}
	}
	l.receive(i, p, copied)
}

// receive takes over a packet that came in on i. copied says that it is a copy of
// one that this host has sent there.
func (l *Lane) receive(i *Iface, p *packet.Packet, copied bool) {
	// A packet may have been on its way when the interface or the layer went.
	if l.closed || i == nil || i.index == 0 {
		p.Free()
		return
	}
	c := l.carried(i)
	c.RxPackets++
	c.RxBytes += uint64(p.Len())
	if l.tap != nil && !copied && !i.cfg.Loopback {
		l.tap(l, i, p, false)
	}
	l.again(i, p, copied)
}

// again is receive for a packet that is counted already: one that had to wait for the whole host.
func (l *Lane) again(i *Iface, p *packet.Packet, copied bool) {
	if l.closed || i == nil || i.index == 0 {
		p.Free()
		return
	}
	b := p.Front()
	if len(b) == 0 {
		l.malformed(i, p)
		return
	}
	l.meta = Meta{Iface: i, Lane: l}
	switch b[0] >> 4 {
	case 4:
		if p = l.input4(i, p, copied); p != nil {
			l.deliver(p, &l.meta)
		}
	case 6:
		if p = l.input6(i, p, copied); p != nil {
			l.chain6(p, &l.meta, true)
		}
	default:
		l.malformed(i, p)
	}
}

func (l *Lane) malformed(i *Iface, p *packet.Packet) {
	l.Stats.InHdrErrors++
	l.carried(i).RxErrors++
	p.Free()
}

// truncated drops a packet that is shorter than its header says.
func (l *Lane) truncated(i *Iface, p *packet.Packet) {
	l.Stats.InTruncatedPkts++
	l.carried(i).RxErrors++
	p.Free()
}

func (l *Lane) martian(i *Iface, p *packet.Packet) {
	l.Stats.InMartians++
	l.carried(i).RxDropped++
	p.Free()
}

// pullUp makes the first n bytes of p stand in one piece. It reports false if p
// has not so many, or is larger than a block.
func pullUp(p *packet.Packet, n int) bool {
	if len(p.Front()) >= n {
		return true
	}

	// All of it, not n bytes alone: the next header would only have to be pulled up in its
	// turn.
	if p.Len() < n || p.Len() > packet.MaxBlock {
		return false
	}
	b := packet.NewBlock(p.Len())
	k := copy(b.Bytes(), p.Head())
	k += p.Payload.CopyTo(b.Bytes()[k:], 0)
	p.Truncate(0)
	p.Payload.Append(b.View(0, k))
	return true
}

// keepHeader stores the first n bytes of p as the packet's header and consumes
// them. What stands in the head stays there; bytes of a block may go with it.
func (l *Lane) keepHeader(p *packet.Packet, n int) {
	m := &l.meta
	if h := p.Head(); len(h) >= n && m.Header == nil {
		m.Header = h[:n:n]
	} else {
		// What is in scratch already stays there: a packet of a thousand headers must not cost a
		// million bytes.
		if len(m.Header) == 0 || len(l.scratch) == 0 || &m.Header[0] != &l.scratch[0] {
			l.scratch = append(l.scratch[:0], m.Header...)
		}
		l.scratch = append(l.scratch[:len(m.Header)], p.Front()[:n]...)
		m.Header = l.scratch
	}
	p.Consume(n)
}

// input4 takes an IPv4 packet and returns what is to be delivered with l.meta; nil: nothing. The caller
// delivers: a goroutine's stack need not hold this frame and the transport's at once.
func (l *Lane) input4(i *Iface, p *packet.Packet, copied bool) *packet.Packet {
	if !pullUp(p, wire.IPv4MinLen) || !pullUp(p, int(p.Front()[0]&15)*4) {
		l.malformed(i, p)
		return nil
	}
	b := p.Front()
	h, n, err := wire.ParseIPv4(b)
	if err != nil {
		l.malformed(i, p)
		return nil
	}

	// In memory nothing is damaged; what comes from a link is verified (RFC 1122, section
	// 3.2.1.2).
	if !p.Trusted && wire.ChecksumOf(b[:n]) != 0 {
		l.Stats.InCsumErrors++
		l.malformed(i, p)
		return nil
	}
	if int(h.TotalLen) > p.Len() {
		l.truncated(i, p)
		return nil
	}

	// Ethernet pads short frames: what is behind the datagram is not of it.
	if p.Len() > int(h.TotalLen) {
		p.Truncate(int(h.TotalLen))
	}
	m := &l.meta
	m.Src, m.Dst, m.Proto, m.TTL, m.TOS, m.DontFragment = h.Src, h.Dst, h.Proto, h.TTL, h.TOS, h.DontFragment

	// Addresses that were plausible a moment ago still are, as long as nothing was configured.
	known := i.lanes[l.at.ID].admitted.has(h.Src, h.Dst, l.gen)
	mine := p.ForHost && i.cfg.Loopback
	local := known || mine || l.IsLocal(h.Dst)
	if !known && !mine {
		m.Broadcast = !local && l.IsBroadcast(h.Dst)
		if !copied && !l.plausible4(i, &h, m.Broadcast) {
			l.martian(i, p)
			return nil
		}
		if local && !copied {
			i.lanes[l.at.ID].admitted.add(h.Src, h.Dst, l.gen)
		}
	}

	if !l.at.Whole() && (h.Options != nil || h.IsFragment() || !l.lean(h.Proto) || !local && (h.Dst.IsMulticast() || !l.standsIn(i, h.Dst))) {
		l.inWhole(i, p, copied)
		return nil
	}

	// Options come before anything is decided by the destination: a source route would change
	// it.
	if h.Options != nil && !l.checkOptions4(p, m, &h) {
		return nil
	}
	if !local && !m.Broadcast {
		if !h.Dst.IsMulticast() && !l.standsIn(i, h.Dst) {
			l.forward4(i, p, &h, n)
			return nil
		}
		if h.Dst.IsMulticast() && !i.hears(h.Dst, h.Src) && (h.Proto != ProtoIGMP || i.groups[h.Dst] == nil) {
			l.Stats.InAddrErrors++
			l.carried(i).RxDropped++
			p.Free()
			return nil
		}
	}

	// Here, at the destination, and nowhere before are fragments put together.
	l.keepHeader(p, n)
	if h.IsFragment() {
		return l.frags.input4(p, m, &h)
	}
	return p
}

// lean reports whether packets of the protocol for one address of the host are taken in any lane. All
// others need the whole host: they change what everybody reads, or are for more than one.
func (l *Lane) lean(proto uint8) bool {
	return (proto == ProtoTCP || proto == ProtoUDP || proto == ProtoSCTP) && l.table.Transport[proto] != nil && (l.table.Raw == nil || !l.table.Raw.Has(proto))
}

// inWhole has a packet, of which nothing is consumed yet, received in the whole host.
func (l *Lane) inWhole(i *Iface, p *packet.Packet, copied bool) {
	if copied {
		l.at.AfterWhole((*copyArrival)(i), p)
	} else {
		l.at.AfterWhole((*arrival)(i), p)
	}
}

// arrival is an interface as what takes a packet in the whole host, copyArrival as what takes a copy.
type (
	arrival     Iface
	copyArrival Iface
)

// Run implements host.Task.
func (i *arrival) Run(_ *host.Lane, p *packet.Packet) { i.layer.Whole().again((*Iface)(i), p, false) }

// Run implements host.Task.
func (i *copyArrival) Run(_ *host.Lane, p *packet.Packet) {
	i.layer.Whole().again((*Iface)(i), p, true)
}

// InWhole is for a transport that needs the whole host for what it was given by Input: it gets that once
// more, with the whole host entered.
func (l *Lane) InWhole(p *packet.Packet, m *Meta) {
	l.at.AfterWhole(l.keep(m), p)
}

// Busy is for a transport that cannot go into d for what it was given by Input (host.Lane.Visit): it gets
// that once more, from whoever can. It is dropped if too many wait already.
func (l *Lane) Busy(d *host.Domain, p *packet.Packet, m *Meta) {
	if d.Full() {
		l.carried(m.Iface).RxDropped++
		p.Free()
		return
	}
	l.at.Post(d, l.keep(m), p)
}

// delivery is what the header said of a packet that waits for its transport to take it.
type delivery struct {
	layer  *Layer
	meta   Meta
	header []byte
}

var deliveries = sync.Pool{New: func() any { return new(delivery) }}

// keep returns a copy of what was found out of a packet, whose header is consumed.
func (l *Lane) keep(m *Meta) *delivery {
	w := deliveries.Get().(*delivery)
	w.layer, w.meta = l.Layer, *m
	w.header = append(w.header[:0], m.Header...)
	w.meta.Header = w.header
	return w
}

// Run implements host.Task.
func (w *delivery) Run(at *host.Lane, p *packet.Packet) {
	l := w.layer.lanes[at.ID]
	if l.closed || w.meta.Iface.index == 0 {
		p.Free()
	} else {
		w.meta.Lane = l
		l.give(l.table.Transport[w.meta.Proto], p, &w.meta)
	}
	w.layer, w.meta = nil, Meta{}
	deliveries.Put(w)
}

// standsIn reports whether this host takes what came on i for dst, which is not its own.
func (l *Layer) standsIn(i *Iface, dst netip.Addr) bool {
	return l.cfg.Foreign && !i.cfg.Loopback && !dst.IsLoopback() && !dst.IsLinkLocalUnicast()
}

// plausible4 reports whether a packet with these addresses can have come in on i
// (RFC 1122, section 3.2.1.3; RFC 6890).
func (l *Layer) plausible4(i *Iface, h *wire.IPv4, broadcast bool) bool {
	if h.Src.IsMulticast() || h.Dst.IsUnspecified() || l.IsBroadcast(h.Src) {
		return false
	}
	if h.Src.As4()[0] == 0 && !(broadcast && h.Src.IsUnspecified()) {
		return false // 0.0.0.0 is the source of a host that asks for its address
	}
	if i.cfg.Loopback {
		return true
	}
	return !h.Src.IsLoopback() && !h.Dst.IsLoopback() && l.own[h.Src] == nil
}

// checkOptions4 frees p and returns false if its options forbid to accept it:
// they make no sense, or ask for source routing (RFC 7126, sections 4.3 and 4.4).
func (l *Lane) checkOptions4(p *packet.Packet, m *Meta, h *wire.IPv4) bool {
	at := wire.CheckIPv4Options(h.Options)
	if at >= 0 {
		n := h.Len()
		l.keepHeader(p, n)
		l.sendError4(p, m, h.FragmentOff == 0, wire.ICMPv4ParameterProblem, 0, uint32(wire.IPv4MinLen+at)<<24)
		l.Stats.InHdrErrors++
		p.Free()
		return false
	}

	// Whoever can choose the way of a packet passes by filters and is answered behind them.
	for o := h.Options; len(o) > 0 && o[0] != wire.IPv4OptEnd; {
		switch o[0] {
		case wire.IPv4OptLSRR, wire.IPv4OptSSRR:
			l.martian(m.Iface, p)
			return false
		case wire.IPv4OptNOP:
			o = o[1:]
			continue
		}
		o = o[o[1]:]
	}
	return true
}

// input6 is input4 for IPv6: the headers behind the first are the caller's, too.
func (l *Lane) input6(i *Iface, p *packet.Packet, copied bool) *packet.Packet {
	if !pullUp(p, wire.IPv6Len) {
		l.malformed(i, p)
		return nil
	}
	h, err := wire.ParseIPv6(p.Front())
	total := wire.IPv6Len + int(h.PayloadLen)
	if err != nil {
		l.malformed(i, p)
		return nil
	}
	if total > p.Len() {
		l.truncated(i, p)
		return nil
	}
	if p.Len() > total {
		p.Truncate(total)
	}
	m := &l.meta
	m.V6 = true
	m.Src, m.Dst, m.Proto, m.TTL, m.TOS, m.Flow = h.Src, h.Dst, h.Next, h.HopLimit, h.TOS, h.Flow
	m.DontFragment = p.DontFragment
	known := i.lanes[l.at.ID].admitted.has(h.Src, h.Dst, l.gen) || p.ForHost && i.cfg.Loopback
	if !known && !copied && !l.plausible6(i, &h) {
		l.martian(i, p)
		return nil
	}
	if !l.at.Whole() && (!l.lean(h.Next) || h.Dst.IsMulticast() || !known && l.own[h.Dst] == nil && !l.standsIn(i, h.Dst)) {
		l.inWhole(i, p, copied)
		return nil
	}
	switch {
	case known:
	case h.Dst.IsMulticast():
		if !i.hears(h.Dst, h.Src) && !(pullUp(p, wire.IPv6Len+1) && i.asksAbout(&h, p.Front())) {
			l.Stats.InAddrErrors++
			l.carried(i).RxDropped++
			p.Free()
			return nil
		}
	case h.Dst.IsLinkLocalUnicast():
		// Of this link, or of this host by way of the loopback interface.
		if o := l.own[h.Dst]; o == nil || o.iface != i && !i.cfg.Loopback {
			l.Stats.InAddrErrors++
			p.Free()
			return nil
		}
	case l.own[h.Dst] == nil && !l.standsIn(i, h.Dst):
		l.forward6(i, p, &h)
		return nil
	case !copied:
		i.lanes[l.at.ID].admitted.add(h.Src, h.Dst, l.gen)
	}
	l.keepHeader(p, wire.IPv6Len)
	return p
}

// asksAbout reports whether an IPv6 packet may be a router's question about a group that the
// interface is in: who sends to the group is another matter than who may ask about it.
func (i *Iface) asksAbout(h *wire.IPv6, b []byte) bool {
	return i.groups[h.Dst] != nil && h.Next == wire.IPv6HopByHop && h.Src.IsLinkLocalUnicast() && b[wire.IPv6Len] == ProtoICMPv6
}

// plausible6 reports whether a packet with these addresses can have come in on i
// (RFC 4291, sections 2.5.2, 2.5.3, 2.7).
func (l *Layer) plausible6(i *Iface, h *wire.IPv6) bool {
	if h.Src.IsMulticast() || h.Dst.IsUnspecified() || h.Src.Is4In6() || h.Dst.Is4In6() {
		return false
	}
	if h.Dst.IsMulticast() && scope6(h.Dst) == 0 {
		return false
	}
	if i.cfg.Loopback {
		return true
	}
	if h.Dst.IsMulticast() && scope6(h.Dst) == 1 {
		return false // is never on a link
	}
	return !h.Src.IsLoopback() && !h.Dst.IsLoopback() && l.own[h.Src] == nil
}

// chain6 goes through the extension headers, of which the first has type m.Proto,
// and delivers what they lead to.
func (l *Lane) chain6(p *packet.Packet, m *Meta, first bool) {
	for {
		if !isExtension(m.Proto) {
			l.deliver(p, m)
			return
		}

		// The chain is mostly in one piece, and is joined only if it proves not to be.
		c := wire.WalkIPv6(m.Proto, p.Front(), first)
		if c.Fault == wire.Truncated && len(p.Front()) < p.Len() && pullUp(p, p.Len()) {
			c = wire.WalkIPv6(m.Proto, p.Front(), first)
		}
		if c.Fault != wire.NoFault {
			l.fault6(p, m, &c)
			return
		}
		if c.Len > 0 {
			l.keepHeader(p, c.Len)
			m.Proto, first = c.Next, false
		}
		if m.Proto != wire.IPv6Fragment {
			continue
		}
		if !pullUp(p, wire.IPv6FragmentLen) {
			l.malformed(m.Iface, p)
			return
		}

		// Behind the fragment header the chain goes on, once the datagram is whole.
		f, _ := wire.ParseFragmentHeader(p.Front())
		at := len(m.Header)
		l.keepHeader(p, wire.IPv6FragmentLen)
		m.Proto, first = f.Next, false
		if f.Off == 0 && !f.More {
			continue // a whole datagram all the same (RFC 6946)
		}
		if p = l.frags.input6(p, m, &f, at); p == nil {
			return
		}
	}
}

func isExtension(next uint8) bool {
	switch next {
	case wire.IPv6HopByHop, wire.IPv6Routing, wire.IPv6Fragment, wire.IPv6DestOpts:
		return true
	}
	return false
}

// fault6 answers and frees a packet whose extension headers cannot be accepted.
func (l *Lane) fault6(p *packet.Packet, m *Meta, c *wire.IPv6Chain) {
	l.Stats.InHdrErrors++
	l.carried(m.Iface).RxErrors++
	if c.Fault == wire.Complain || c.Fault == wire.ComplainHost && !m.Multicast() {
		at := len(m.Header) + c.Pointer
		if c.Pointer < 0 {
			at = l.nextAt(m)
		}
		l.sendError6(p, m, wire.ICMPv6ParameterProblem, c.Code, uint32(at))
	}
	p.Free()
}

// nextAt returns where in m.Header the type of the header behind it stands.
func (l *Layer) nextAt(m *Meta) int {
	at, next, off := 6, m.Header[6], wire.IPv6Len
	for off+8 <= len(m.Header) {
		at = off
		if next == wire.IPv6Fragment {
			next, off = m.Header[off], off+8
		} else {
			next, off = m.Header[off], off+(int(m.Header[off+1])+1)*8
		}
	}
	return at
}

// deliver hands a whole datagram to the transport, and takes it over.
func (l *Lane) deliver(p *packet.Packet, m *Meta) {
	if !ensureTransport(p, m.Proto) {
		l.malformed(m.Iface, p)
		return
	}

	// Raw sockets first, as on Linux: the transport may take the packet away.
	tapped := false
	if l.table.Raw != nil {
		tapped = l.table.Raw.Tap(p, m)
	}
	switch {
	case m.Proto == ProtoICMP && !m.V6:
		l.Stats.InDelivers++
		l.inputICMP4(p, m)
		return
	case m.Proto == ProtoICMPv6 && m.V6:
		l.Stats.InDelivers++
		l.inputICMP6(p, m)
		return
	case m.Proto == ProtoIGMP && !m.V6:
		l.Stats.InDelivers++
		l.inputIGMP(p, m)
		return
	}

	// Without a transport nobody knows the protocol. A raw socket that has taken a copy does know it.
	t := l.table.Transport[m.Proto]
	if t != nil || tapped {
		l.Stats.InDelivers++
	} else {
		l.Stats.InUnknownProtos++
	}
	switch {
	case t != nil:
		l.give(t, p, m)
		return
	case tapped || m.V6 && m.Proto == wire.IPv6NoNext:
	case m.V6:
		l.sendError6(p, m, wire.ICMPv6ParameterProblem, wire.ICMPv6UnknownNext, uint32(l.nextAt(m)))
	default:
		l.sendError4(p, m, true, wire.ICMPv4Unreachable, wire.ICMPv4ProtoUnreachable, 0)
	}
	p.Free()
}

// give hands a datagram to its transport, and takes it over. What that does not want has no such port.
func (l *Lane) give(t Transport, p *packet.Packet, m *Meta) {
	if t.Input(p, m) {
		return
	}
	if m.V6 {
		l.sendError6(p, m, wire.ICMPv6Unreachable, wire.ICMPv6PortUnreachable, 0)
	} else {
		l.sendError4(p, m, true, wire.ICMPv4Unreachable, wire.ICMPv4PortUnreachable, 0)
	}
	p.Free()
}

// ensureTransport makes the transport header stand in one piece. It reports false
// if that is impossible. A packet too short for its header is the transport's
// business.
func ensureTransport(p *packet.Packet, proto uint8) bool {
	need := 8
	if proto == ProtoTCP {
		need = wire.TCPMinLen
		if f := p.Front(); len(f) > 12 {
			need = max(need, int(f[12]>>4)*4)
		}
	}
	if len(p.Front()) >= need {
		return true
	}
	return pullUp(p, min(need, p.Len()))
}
