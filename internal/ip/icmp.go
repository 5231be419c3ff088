package ip

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
	"usock/packet"
)

// inputICMP4 takes over an ICMP message (RFC 1122, section 3.2.2).
func (l *Lane) inputICMP4(p *packet.Packet, m *Meta) {
	l.ICMP.InMsgs++
	h, err := wire.ParseICMP(p.Front())
	if err != nil {
		l.badICMP(m.Iface, p)
		return
	}
	if !p.Trusted && sumOf(p, 0) != 0 {
		l.ICMP.InCsumErrors++
		l.badICMP(m.Iface, p)
		return
	}
	l.ICMP.countIn(false, h.Type)
	switch {
	case h.Type == wire.ICMPv4Echo:
		// Not to everybody at once (Linux's icmp_echo_ignore_broadcasts).
		if m.Broadcast || m.Multicast() {
			p.Free()
			return
		}
		l.asked(p, m, h, wire.ICMPv4EchoReply)
	case h.Type == wire.ICMPv4EchoReply:
		l.toTransport(p, m)
	case wire.IsError4(h.Type):
		// The quotation is parsed as a packet is, which takes it in one piece.
		if pullUp(p, p.Len()) {
			l.error4(p.Front(), m, h)
		}
		p.Free()
	default:
		p.Free()
	}
}

// inputICMP6 takes over an ICMPv6 message (RFC 4443).
func (l *Lane) inputICMP6(p *packet.Packet, m *Meta) {
	l.ICMP.InMsgs++
	h, err := wire.ParseICMP(p.Front())
	if err != nil {
		l.badICMP(m.Iface, p)
		return
	}
	if !p.Trusted {
		var c wire.Checksum
		c.AddPseudo(m.Src, m.Dst, ProtoICMPv6, p.Len())
		if sumOf(p, c.Partial()) != 0 {
			l.ICMP.InCsumErrors++
			l.badICMP(m.Iface, p)
			return
		}
	}
	l.ICMP.countIn(true, h.Type)
	switch {
	case h.Type == wire.ICMPv6Echo:
		l.asked(p, m, h, wire.ICMPv6EchoReply)
	case h.Type == wire.ICMPv6EchoReply:
		l.toTransport(p, m)
	case wire.IsError6(h.Type):
		if pullUp(p, p.Len()) {
			l.error6(p.Front(), m, h)
		}
		p.Free()
	case h.Type == wire.MLDQuery, h.Type == wire.MLDv1Report:
		l.inputMLD(p, m, h.Type)
	default:
		p.Free() // neighbour discovery is the business of links that need it
	}
}

// badICMP drops a message that makes no sense.
func (l *Lane) badICMP(i *Iface, p *packet.Packet) {
	l.ICMP.InErrors++
	l.carried(i).RxErrors++
	p.Free()
}

func (l *Lane) toTransport(p *packet.Packet, m *Meta) {
	if t := l.table.Transport[m.Proto]; t == nil || !t.Input(p, m) {
		p.Free()
	}
}

// sumOf returns the checksum of p's bytes, beginning with the partial sum start.
func sumOf(p *packet.Packet, start uint16) uint16 {
	var c wire.Checksum
	c.AddUint16(start)
	c.Add(p.Head())
	for _, v := range p.Payload.Views() {
		c.Add(v.Bytes())
	}
	return c.Sum()
}

// asked answers an echo request, if nobody else does.
func (l *Lane) asked(p *packet.Packet, m *Meta, h wire.ICMP, reply uint8) {
	if l.table.Echo == nil || !l.table.Echo(p, m, h) {
		l.echo(p, m, h, reply)
	}
}

// echo turns the request p into the reply. Its data is sent back as it lies.
func (l *Lane) echo(p *packet.Packet, m *Meta, h wire.ICMP, reply uint8) {
	// From the address that was asked, so that the asker knows the answer; a group has none to
	// answer from.
	src, ifindex := m.Dst, 0
	if m.Multicast() {
		src = netip.Addr{}
	}

	// A link-local asker is on the link that the request came by, and nowhere else.
	if m.Src.IsLinkLocalUnicast() && m.V6 {
		ifindex = m.Iface.index
	}
	path, err := l.Route(m.Src, src, ifindex)
	if err != nil {
		p.Free()
		return
	}
	o := Out{Src: path.Src, Dst: m.Src, Proto: m.Proto, TOS: m.TOS, Flow: m.Flow}
	p.Consume(wire.ICMPLen)

	// The request's notes are of its sender: the reply has a sum and a program of its own, or
	// none.
	p.ChecksumStart, p.ChecksumOffset, p.Owner = 0, 0, packet.Owner{}
	r := wire.ICMP{Type: reply, Info: h.Info}
	if m.V6 {
		o.Checksum = ChecksumICMPv6
	}
	b := p.Prepend(wire.ICMPLen)
	r.Put(b)
	if !m.V6 {
		binary.BigEndian.PutUint16(b[2:], sumOf(p, 0))
	}
	l.ICMP.CountOut(m.V6, reply)
	l.Output(p, &path, &o)
}

// How much an error message may hold in all: RFC 1812, section 4.3.2.3, and RFC
// 4443, section 2.4(c).
const (
	maxError4 = 576
	maxError6 = 1280
)

// sendError4 answers the packet p, whose header m.Header was consumed, with an ICMP
// error, unless the rules forbid one (RFC 1122, section 3.2.2). p stays the
// caller's. firstFragment is false for later fragments.
func (l *Lane) sendError4(p *packet.Packet, m *Meta, firstFragment bool, typ, code uint8, info uint32) {
	// One packet to everybody must not bring an answer of each: that is how networks are
	// flooded with the address of a victim.
	if m.Broadcast || m.Multicast() || !firstFragment {
		return
	}

	// A source that is no single host's.
	if a := m.Src.As4(); a[0] == 0 || m.Src.IsMulticast() || l.IsBroadcast(m.Src) || a[0] >= 240 {
		return
	}

	// Never an error about an error, or two hosts would go on for ever. What is too short to
	// tell may be one.
	if m.Proto == ProtoICMP {
		if f := p.Front(); len(f) == 0 || wire.IsError4(f[0]) {
			return
		}
	}
	l.sendError(p, m, ProtoICMP, wire.ICMP{Type: typ, Code: code, Info: info},
		maxError4-wire.IPv4MinLen-wire.ICMPLen)
}

// sendError6 answers the packet p with an ICMPv6 error, unless the rules forbid one
// (RFC 4443, section 2.4(e)). p stays the caller's.
func (l *Lane) sendError6(p *packet.Packet, m *Meta, typ, code uint8, info uint32) {
	if m.Src.IsUnspecified() || m.Src.IsMulticast() {
		return
	}

	// Of groups only what path MTU discovery needs, and what an unknown option asks for by its
	// two highest bits.
	if m.Multicast() && typ != wire.ICMPv6PacketTooBig &&
		(typ != wire.ICMPv6ParameterProblem || code != wire.ICMPv6UnknownOption) {
		return
	}
	if m.Proto == ProtoICMPv6 {
		if f := p.Front(); len(f) == 0 || wire.IsError6(f[0]) || f[0] == wire.ICMPv6Redirect {
			return
		}
	}
	l.sendError(p, m, ProtoICMPv6, wire.ICMP{Type: typ, Code: code, Info: info},
		maxError6-wire.IPv6Len-wire.ICMPLen)
}

// sendError builds the message and sends it. room is how much of the packet may be
// quoted.
func (l *Lane) sendError(p *packet.Packet, m *Meta, proto uint8, h wire.ICMP, room int) {
	src, ifindex := netip.Addr{}, 0

	// From where the packet was sent to, if that is ours: the sender believes nobody else as
	// readily.
	if !m.Multicast() && l.IsLocal(m.Dst) {
		src = m.Dst
	}
	if m.V6 && m.Src.IsLinkLocalUnicast() {
		ifindex = m.Iface.index
	}
	path, err := l.Route(m.Src, src, ifindex)
	if err != nil {
		return
	}

	// Programs of this host are told at once and always, as on Linux: what they do to their own
	// host is their affair.
	if !path.Iface.cfg.Loopback && limited(m.V6, &h) && !l.mayTell(m.Src) {
		return
	}
	l.ICMP.CountOut(m.V6, h.Type)
	n := min(room, len(m.Header)+p.Len())
	q := packet.NewBlock(n)
	k := copy(q.Bytes()[:n], m.Header)
	k += copy(q.Bytes()[k:n], p.Head())
	p.Payload.CopyTo(q.Bytes()[k:n], 0)
	e := packet.New()
	e.Payload.Append(q.View(0, n))
	b := e.Prepend(wire.ICMPLen)
	h.Put(b)
	o := Out{Src: path.Src, Dst: m.Src, Proto: proto}
	if m.V6 {
		o.Checksum = ChecksumICMPv6
	} else {
		o.TOS = m.TOS&0x1e | 0xc0 // internetwork control, as Linux sends it
		binary.BigEndian.PutUint16(b[2:], sumOf(e, 0))
	}
	l.Output(e, &path, &o)
}
