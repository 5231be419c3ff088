package ip

import "usock/internal/wire"

// A packet that a host sends to itself is made, queued, parsed and checked, and comes out as it went in. Where nobody looks at
// it on its way, a transport may spare it all that:
//
//	Output ──► loopback queue ──► input4 or input6 ──► deliver ──► Transport.Input
//	   └── Straight? ── Straightly ───────────────────────────────────────┘
//
// Nobody can tell the difference: what a packet would have counted is counted, and what would have become of it is known from
// the packet before.

// Straight reports whether a packet of n bytes behind its network header, which Output would send along path, is whole when
// it comes to its transport, is seen by nobody before, and leaves nothing behind but counts. o.Src and o.Dst are set.
func (l *Lane) Straight(path *Path, o *Out, n int) bool {
	i := path.Iface
	if i != l.lo || i == nil || i.cfg.Out != nil || l.closed || l.tap != nil || path.Gen != l.gen || !l.lean(o.Proto) {
		return false
	}
	if o.HeaderIncluded || o.Unverified || o.Options != nil || o.Copy != nil {
		return false
	}

	// The lane's last packet on the interface had these addresses, and they were the host's.
	if !i.lanes[l.at.ID].admitted.has(o.Src, o.Dst, l.gen) {
		return false
	}
	mtu := path.MTU
	if o.IgnorePathMTU {
		mtu = i.cfg.MTU
	}
	if o.Dst.Is4() {
		return wire.IPv4MinLen+n <= mtu && (o.DontFragment || o.Discover) // else it would take an identification
	}
	return wire.IPv6Len+n <= mtu
}

// Straightly counts a packet for which Straight holds as sent and received, and returns what its header would have said of it. There is no
// header.
func (l *Lane) Straightly(path *Path, o *Out, n int) *Meta {
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
