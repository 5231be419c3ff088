package ip

import (
	"usock/internal/wire"
	"usock/packet"
)

// A packet that a host sends to itself is made, queued, parsed and checked, and comes out as it went in. A transport may spare
// itself the packet where nobody looks at it on its way:
//
//	Output ──► loopback queue ──► input4, input6 ──► deliver ──► Transport.Input
//	Straight ──────────────────── GoStraight ──────────────────► the transport's
//
// Nobody can tell the difference. What a packet counts is counted, and what would become of it is known: the lane's last packet on
// the interface had the same addresses, and nothing has been configured since.

// Straight reports whether a packet of n bytes behind its network header, which Output would send along path, would come whole
// to its transport, would be seen by nobody before, and would leave nothing behind but counts. o.Src and o.Dst are set.
func (l *Lane) Straight(path *Path, o *Out, n int) bool {
	i := path.Iface
	if i != l.lo || i == nil || i.cfg.Out != nil || l.closed || l.tap != nil || path.Gen != l.gen || !l.lean(o.Proto) {
		return false
	}
	if o.HeaderIncluded || o.Unverified || o.Options != nil || o.Copy != nil {
		return false
	}

	// Whoever is admitted is plausible, and the destination is the host's.
	if !i.lanes[l.at.ID].admitted.has(o.Src, o.Dst, l.gen) {
		return false
	}
	mtu := o.mtu(path)
	if o.Dst.Is4() {
		return wire.IPv4MinLen+n <= min(mtu, maxLen4) && (o.DontFragment || o.Discover) // else it would take an identification
	}
	return wire.IPv6Len+n <= mtu
}

// Watched reports whether somebody looks at packets who has begun to since Straight held: one that has waited in a domain's box goes
// its way only now.
func (l *Lane) Watched(o *Out) bool { return l.tap != nil || !l.lean(o.Proto) }

// GoStraight counts a packet for which Straight holds as sent and received, and returns what its header would say. The
// header itself there is not.
func (l *Lane) GoStraight(path *Path, o *Out, n int) *Meta {
	v6 := !o.Dst.Is4()
	if v6 {
		n += wire.IPv6Len
	} else {
		n += wire.IPv4MinLen
	}
	c := l.carried(path.Iface)
	c.TxPackets++
	c.TxBytes += uint64(n)
	c.RxPackets++
	c.RxBytes += uint64(n)
	l.Stats.OutRequests++
	l.Stats.InDelivers++
	l.meta = Meta{
		Src: o.Src, Dst: o.Dst, Iface: path.Iface, Lane: l, Proto: o.Proto, TTL: l.ttl(o, o.Dst), TOS: o.TOS, V6: v6,
		DontFragment: o.DontFragment || !v6,
	}
	if v6 {
		l.meta.Flow = o.Flow & 0xfffff
	}
	return &l.meta
}

// DropStraight is GoStraight for a packet that finds no room where it would wait for its transport.
func (l *Lane) DropStraight(path *Path, o *Out, n int) {
	l.GoStraight(path, o, n)
	l.carried(path.Iface).RxDropped++
}

// OutputInPlace is Output for a task that stands for the packet, and finds that it must be one: it comes in the task's place.
func (l *Lane) OutputInPlace(p *packet.Packet, path *Path, o *Out) {
	l.at.InPlace(true)
	l.Output(p, path, o)
	l.at.InPlace(false)
}
