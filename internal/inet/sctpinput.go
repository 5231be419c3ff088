package inet

import (
	"net/netip"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/sctp"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
)

// Input implements ip.Transport: the way in of every packet.
func (t *sctpProto) Input(p *packet.Packet, m *ip.Meta) bool {
	if m.Broadcast || m.Dst.IsMulticast() {
		p.Free() // RFC 9260, section 8.4, rule 1
		return true
	}
	if t.enters(p, m) {
		t.input(p, m, 0)
	}
	return true
}

// enters has the lane that a packet has come in go into SCTP's domain. False: that is busy, and the packet left in its box.
func (t *sctpProto) enters(p *packet.Packet, m *ip.Meta) bool {
	if m.Lane.At().Visit(t.dom) {
		return true
	}
	m.Lane.Busy(t.dom, p, m)
	return false
}

// input takes a packet, which came in UDP from the port encap if that is not 0.
func (t *sctpProto) input(p *packet.Packet, m *ip.Meta, encap uint16) {
	c := t.cfg.Counters
	c.InPackets++
	h, err := wire.ParseSCTP(p.Front())
	if err != nil {
		c.InPktDiscards++
		p.Free()
		return
	}
	x := t.find(h.DstPort, netip.AddrPortFrom(m.Src, h.SrcPort), m.Dst)
	zero := false
	if (!p.Trusted || encap != 0) && !sctpKind.sum.OK(p, m) {
		// Without a checksum it may be an association's that has agreed to it (RFC 9653).
		if zero = h.Checksum == 0 && x != nil && x.core.Options().EDMID != 0; !zero {
			c.ChecksumErrors++
			p.Free()
			return
		}
	}
	in := &t.in
	*in = sctp.In{Src: m.Src, Dst: m.Dst, SCTP: h, Encap: encap, CE: m.TOS&3 == 3, ZeroSum: zero}
	var l *sctpEndpoint
	if x == nil {
		l = t.listening(&h, m)
	}
	if e := l; x != nil || e != nil {
		if x != nil {
			e = x.e
		}
		if !e.keep(p, m, 0, wire.SCTPLen) {
			p.Free()
			return
		}
		if e.s != nil && e.s.Opt.WantsArrival() {
			in.At = e.s.Host.Stamp()
		}
	}
	p.Consume(wire.SCTPLen)
	in.Head = p.Head()
	in.Body, p.Payload = p.Payload, packet.Vec{}
	if x != nil && !x.core.Concerns(t.now(), in) {
		if x = t.concerned(in); x == nil {
			l = t.listening(&h, m)
		}
	}
	if x == nil {
		x = t.findNamed(in)
	}
	switch {
	case x != nil:
		t.update(x, x.core.Packet(t.now(), in))
	case l != nil:
		t.answer(l, in, m)
	default:
		send := sctp.OutOfTheBlue(in, &t.out)
		c.OutOfBlues++
		in.Body.Release()
		if send {
			t.reply(m)
		}
	}
	p.Free()
}

// listening returns the socket that listens for a packet of no association; nil: none does.
func (t *sctpProto) listening(h *wire.SCTP, m *ip.Meta) *sctpEndpoint {
	k := tuple{laddr: m.Dst, raddr: m.Src, lport: h.DstPort, rport: h.SrcPort}
	return t.listenerFor(netip.AddrPortFrom(m.Dst, h.DstPort), m.Iface.Index(), k)
}

// answer takes a packet of no association to a socket that listens.
func (t *sctpProto) answer(l *sctpEndpoint, in *sctp.In, m *ip.Meta) {
	core, send := t.endpoint(l).Answer(t.now(), in, &t.out)
	in.Body.Release()
	if send {
		t.reply(m)
	}
	if core == nil {
		return
	}
	t.update(t.adopt(l, core), wait.In)
}

// endpoint returns what answers packets for e without an association, and what its associations
// begin with. It holds until the next.
func (t *sctpProto) endpoint(e *sctpEndpoint) *sctp.Endpoint {
	t.at = sctp.Endpoint{
		Config: t.cfg, Port: e.lport, Local: e.appendLocal(t.at.Local[:0]), Options: e.options, Buffers: e.buffers(),
		Listen: e.stage == sctpListening && (e.many || e.count <= e.backlog),
	}
	return &t.at
}

// buffers returns the sizes of the socket's buffers.
func (e *sctpEndpoint) buffers() sctp.Buffers {
	return sctp.Buffers{RcvBuf: int(e.s.Opt.RcvBuf), SndBuf: int(e.s.Opt.SndBuf)}
}

// reply sends the packet that answers one of no association, the way back.
func (t *sctpProto) reply(m *ip.Meta) {
	path, err := t.path(m.Src, m.Dst, linkOf(m.Src, uint32(m.Iface.Index())))
	if err != nil {
		t.out.Body.Release()
		return
	}
	t.ipOut = ip.Out{Src: m.Dst, Dst: m.Src, Proto: ip.ProtoSCTP, Checksum: sctpKind.sum}
	t.put(packet.New(), &t.out, path)
}

// put sends what a core has built.
func (t *sctpProto) put(p *packet.Packet, out *sctp.Out, path *ip.Path) {
	p.Payload, out.Body = out.Body, packet.Vec{}
	head := out.Head()
	b := p.Prepend(wire.SCTPLen + len(head))
	out.SCTP.Put(b)
	copy(b[wire.SCTPLen:], head)
	if out.Encap != 0 {
		t.encapsulate(p, out.Encap, path)
	} else {
		t.output(p, path)
	}
}

// output sends a packet, of which ipOut says what the network header is to say.
func (t *sctpProto) output(p *packet.Packet, path *ip.Path) {
	t.cfg.Counters.OutPackets++
	t.IP.In(t.dom).Output(p, path, &t.ipOut)
}

// transmit sends a packet of an association; without a route it is dropped.
func (t *sctpProto) transmit(x *sctpAssoc, out *sctp.Out) {
	var path *ip.Path
	if p := x.path(out.Dst); p != nil {
		path = p.route
	} else {
		path, _ = t.path(out.Dst, out.Src, x.e.device()) // it answers a packet that has named one of the peer's
	}
	if path == nil {
		out.Body.Release()
		return
	}
	e := x.e
	p := packet.New()
	if e.s != nil {
		p.Owner = packet.Owner{PID: e.s.Owner.Load(), Socket: e.s.ID}
	}
	if f := t.faultyOf(x); f != nil {
		p.Note, f.told = f.told, "" // nothing but the ABORT is left to leave
	}
	t.ipOut = ip.Out{Src: out.Src, Dst: out.Dst, Proto: ip.ProtoSCTP, Checksum: sctpKind.sum}
	if out.ZeroSum {
		t.ipOut.Checksum = 0
	}
	opt := e.ip()
	opt.out(&t.ipOut, out.Dst)
	if info, ok := x.core.Path(out.Dst); ok {
		if o := &info.Options; o.HasDSCP {
			t.ipOut.TOS = o.DSCP&^3 | t.ipOut.TOS&3
		}
		t.ipOut.Flow = info.Options.FlowLabel
	}
	if out.ECT {
		t.ipOut.TOS = t.ipOut.TOS&^3 | 2
	}
	if opt.discovery(out.Dst) != abi.PMTUDISC_DONT && !out.Fragment {
		// The core keeps to the path's MTU itself, but for probes of it.
		t.ipOut.DontFragment, t.ipOut.IgnorePathMTU = true, true
	}
	t.put(p, out, path)
}

// route looks up how the addresses are reached that the core asks for, and all anew once routes have
// changed.
func (x *sctpAssoc) route() {
	if gen := x.proto.IP.Generation(); x.gen != gen {
		x.gen = gen
		for p := x.paths; p != nil; p = p.next {
			x.look(p)
		}
	}
	for addr, ok := x.core.Unrouted(); ok; addr, ok = x.core.Unrouted() {
		x.look(x.path(addr))
	}
}

// look brings the route of a path up to date.
func (x *sctpAssoc) look(p *sctpPath) {
	p.route = x.proto.pathFrom(x.e, p.addr)
	if p.route == nil {
		x.core.SetRoute(p.addr, netip.Addr{}, 0)
	} else {
		x.core.SetRoute(p.addr, p.route.Src, min(p.route.MTU, mostPacket(p.addr))&^3) // chunks are multiples of 4 bytes
		if q, ok := x.core.Path(netip.Addr{}); ok && q.Addr == p.addr {
			x.e.name = p.route.Src // Linux, sctp_transport_route
		}
	}
}

// mostPacket is the most that an IP packet to dst has in bytes: IPv6 does not count its header.
func mostPacket(dst netip.Addr) int {
	if dst.Is4() {
		return 1<<16 - 1
	}
	return 1<<16 - 1 + ipHeaderLen(false)
}

// device is what SO_BINDTODEVICE says.
func (e *sctpEndpoint) device() int {
	if e.s == nil {
		return 0
	}
	return int(e.s.Opt.Device)
}

// pathFrom returns the path from one of e's addresses to dst: that of the route, if it is one of
// them, else the first from which there is a route (Linux, sctp_v4_get_dst). nil: there is none.
func (t *sctpProto) pathFrom(e *sctpEndpoint, dst netip.Addr) *ip.Path {
	device := e.device()
	path, err := t.path(dst, netip.Addr{}, device)
	if err == nil && e.has(path.Src) {
		return path
	}
	for _, b := range e.locals {
		if b.addr.IsUnspecified() || b.addr.Is4() != dst.Is4() {
			continue
		}
		if path, err := t.path(dst, b.addr, device); err == nil {
			return path
		}
	}
	return nil
}

// Error implements ip.Transport: an ICMP error about a packet of ours.
func (t *sctpProto) Error(x *ip.Error) {
	if len(x.Quote) < 8 {
		return
	}
	in := sctp.ICMPError{Peer: x.Dst, VTag: be32(x.Quote[4:]), Errno: x.Errno, MTU: x.MTU}
	const typeInit, initTag = 12, 16 // in the quote, of a packet that begins with an INIT
	if in.VTag == 0 && len(x.Quote) >= initTag+4 && wire.ChunkType(x.Quote[typeInit]) == wire.ChunkInit {
		in.Init = be32(x.Quote[initTag:])
	}
	in.Proto = x.Type == wire.ICMPv4Unreachable && x.Code == wire.ICMPv4ProtoUnreachable
	if x.V6 {
		in.Proto = x.Type == wire.ICMPv6ParameterProblem && x.Code == wire.ICMPv6UnknownNext
	}

	// Of several the tag says which one is meant.
	k := sctpPeer{x.Dst, be16(x.Quote), be16(x.Quote[2:])}
	for at := t.assocs.first(k); at != nil; at = at.behind.of(k) {
		a := at.x
		if _, peer := a.core.Tags(); peer != in.VTag || !a.e.has(x.Src) {
			continue
		}
		if x.MTU == 0 || a.e.ip().discovery(x.Dst) != abi.PMTUDISC_DONT {
			if x.MTU != 0 {
				t.IP.LowerPathMTU(x.Dst, x.MTU) // what was cut larger leaves in fragments
			}
			t.update(a, a.core.ICMP(t.now(), &in))
		}
		return
	}
}
