package ip

import (
	"net/netip"

	"usock/internal/offload"
	"usock/internal/wire"
	"usock/packet"
)

// forward4 passes on a packet that is for another host, or drops it.
func (l *Lane) forward4(i *Iface, p *packet.Packet, h *wire.IPv4, n int) {
	if !l.mayForward(i, p, h.Dst) {
		return
	}
	m := &l.meta

	// The header as it came, for the quotation in an error: TTL and checksum are changed below.
	l.keepHeader(p, n)
	if h.Options != nil {
		h.Options = m.Header[wire.IPv4MinLen:] // p may be without the bytes now
	}

	// Only about a first fragment may there be an error: others do not have the ports by which
	// the sender finds whom it concerns.
	first := h.FragmentOff == 0
	if h.TTL <= 1 {
		l.Stats.InHdrErrors++
		l.sendError4(p, m, first, wire.ICMPv4TimeExceeded, wire.ICMPHopLimit, 0)
		p.Free()
		return
	}
	path, err := l.Route(h.Dst, netip.Addr{}, 0)
	if err != nil || path.Iface.cfg.Loopback || path.Broadcast {
		l.Stats.InNoRoutes++
		l.sendError4(p, m, first, wire.ICMPv4Unreachable, wire.ICMPv4NetUnreachable, 0)
		p.Free()
		return
	}
	h.TTL--

	// Cut to the size that the sender has noted, which the path's MTU has led it to. That is no
	// fragmenting: each segment has a header of its own.
	if p.SegmentSize != 0 && !path.Iface.cfg.Segments {
		h.Put(p.Prepend(n))
		l.forwardSegments(p, &path)
		return
	}
	mtu := path.Iface.cfg.MTU
	if n+p.Len() > mtu && p.SegmentSize == 0 {
		// What path MTU discovery lives on: without the size of the next link the sender would
		// have to guess (RFC 1191).
		if h.DontFragment {
			l.Stats.FragFails++
			l.sendError4(p, m, first, wire.ICMPv4Unreachable, wire.ICMPv4FragNeeded, uint32(mtu))
			p.Free()
			return
		}
		offload.Complete(p, n)
		l.Stats.ForwDatagrams++
		l.fragment4(p, &path, h, mtu, &Out{})
		return
	}

	// A sum that was left to a device ends here, as the next link takes none that is not
	// complete.
	if p.ChecksumOffset != 0 && !path.Iface.completes(p.CRC32c) {
		offload.Complete(p, n)
	}
	h.Put(p.Prepend(n))
	l.Stats.ForwDatagrams++
	l.transmit(path.Iface, p)
}

// forward6 passes on a packet that is for another host, or drops it.
func (l *Lane) forward6(i *Iface, p *packet.Packet, h *wire.IPv6) {
	if !l.mayForward(i, p, h.Dst) {
		return
	}
	m := &l.meta
	l.keepHeader(p, wire.IPv6Len)
	if h.Next == wire.IPv6HopByHop {
		// The one extension header that routers look at (RFC 8200, section 4.3).
		if !pullUp(p, p.Len()) {
			l.malformed(i, p)
			return
		}
		if c := wire.CheckHopByHop(p.Front()); c.Fault != wire.NoFault {
			l.fault6(p, m, &c)
			return
		}
	}

	// Before the route is looked up: traceroute counts on an answer of every router.
	if h.HopLimit <= 1 {
		l.Stats.InHdrErrors++
		l.sendError6(p, m, wire.ICMPv6TimeExceeded, wire.ICMPHopLimit, 0)
		p.Free()
		return
	}
	path, err := l.Route(h.Dst, netip.Addr{}, 0)
	if err != nil || path.Iface.cfg.Loopback {
		l.Stats.InNoRoutes++
		l.sendError6(p, m, wire.ICMPv6Unreachable, wire.ICMPv6NoRoute, 0)
		p.Free()
		return
	}

	// No answer could find its way to a source that has a meaning on its own link only (RFC
	// 4443, section 3.1, code 2).
	if h.Src.IsLinkLocalUnicast() {
		l.sendError6(p, m, wire.ICMPv6Unreachable, wire.ICMPv6BeyondScope, 0)
		p.Free()
		return
	}
	h.HopLimit--
	if p.SegmentSize != 0 && !path.Iface.cfg.Segments {
		h.Put(p.Prepend(wire.IPv6Len))
		l.forwardSegments(p, &path)
		return
	}
	mtu := path.Iface.cfg.MTU

	// Only the source fragments in IPv6.
	if wire.IPv6Len+p.Len() > mtu && p.SegmentSize == 0 {
		l.Stats.FragFails++
		l.sendError6(p, m, wire.ICMPv6PacketTooBig, 0, uint32(mtu))
		p.Free()
		return
	}
	if p.ChecksumOffset != 0 && !path.Iface.completes(p.CRC32c) {
		offload.Complete(p, wire.IPv6Len)
	}
	h.Put(p.Prepend(wire.IPv6Len))
	l.Stats.ForwDatagrams++
	l.transmit(path.Iface, p)
}

// forwardSegments cuts a large segment for an interface that takes none.
func (l *Lane) forwardSegments(p *packet.Packet, path *Path) {
	l.Stats.ForwDatagrams++
	offload.Segment(p, func(p *packet.Packet) { l.transmit(path.Iface, p) })
}

// mayForward frees p and returns false if it cannot be passed on at all.
func (l *Lane) mayForward(i *Iface, p *packet.Packet, dst netip.Addr) bool {
	// Link-local destinations stay on their link, and 127.0.0.0/8 and ::1 in their host:
	// whoever forwards them opens services to a network that trust it not to come there.
	if l.cfg.Forwarding && !i.cfg.Loopback && !dst.IsLinkLocalUnicast() && !dst.IsLoopback() {
		return true
	}
	l.Stats.InAddrErrors++
	l.carried(i).RxDropped++
	p.Free()
	return false
}
