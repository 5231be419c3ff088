package ip

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"syscall"
	"time"

	"usock/internal/host"
	"usock/internal/wire"
	"usock/packet"
)

// Out says what the network header of a packet is to say.
type Out struct {
	Src, Dst netip.Addr // the zero Addr: the path's
	Flow     uint32     // IPv6 flow label, 20 bits
	Proto    uint8
	TTL      uint8 // 0: the layer's default, or 1 for multicast destinations
	TOS      uint8 // or traffic class

	// Checksum is to be filled in; 0: the packet is ready as it is. The field must be
	// zero. Where the link allows it the sum is left to it, or left out.
	Checksum Checksum

	// DontFragment refuses packets larger than the path's MTU with EMSGSIZE and, in
	// IPv4, forbids routers to fragment.
	DontFragment bool

	// IgnorePathMTU sends packets up to the interface's MTU, whatever the path's
	// (IP_PMTUDISC_PROBE, IP_PMTUDISC_INTERFACE).
	IgnorePathMTU bool

	// FragmentSize is an MTU that holds besides the path's, if it is less (IPV6_MTU); 0: none.
	FragmentSize int

	// Discover forbids routers to fragment an IPv4 packet that needs no fragmenting
	// here: IP_PMTUDISC_WANT, Linux's default.
	Discover bool

	NoLoop   bool // no copy of a multicast to this host (IP_MULTICAST_LOOP 0)
	HostOnly bool // a multicast does not leave this host (IP_MULTICAST_TTL 0)

	// HeaderIncluded says that the packet begins with its network header, which may be
	// any. The layer completes an IPv4 one: length, checksum and, where they are zero,
	// identification and source (IP_HDRINCL). It goes to Dst all the same.
	HeaderIncluded bool

	// Unverified says that the transport header is a program's: whoever receives the
	// packet is to look at its checksum.
	Unverified bool

	Options []byte // IPv4 options, at most 40 bytes

	Copy *[]byte // if not nil, gets a copy of the packet, or of the first fragment
}

// Output sends p, which begins with the transport header, along path. It takes
// over p, also when it fails.
func (l *Lane) Output(p *packet.Packet, path *Path, o *Out) error {
	if l.closed || path.Iface == nil || path.Iface.index == 0 {
		p.Free()
		return syscall.ENETDOWN
	}
	l.Stats.OutRequests++
	if o.HeaderIncluded {
		return l.outputIncluded(p, path, o)
	}
	src, dst := o.Src, o.Dst
	if !src.IsValid() {
		src = path.Src
	}
	if !dst.IsValid() {
		dst = path.Dst
	}
	ttl := l.ttl(o, dst)
	if (src.IsLoopback() || dst.IsLoopback()) && !path.Iface.cfg.Loopback {
		l.Stats.InMartians++ // loopback addresses are not seen on a link
		p.Free()
		return nil
	}
	mtu := o.mtu(path)
	n := p.Len()
	p.Trusted = !o.Unverified
	if dst.Is4() {
		h := wire.IPv4{
			Src: src, Dst: dst, TOS: o.TOS, TTL: ttl, Proto: o.Proto,
			Options: o.Options,
		}
		hl := h.Len()
		if hl+n > maxLen4 || hl > wire.IPv4MaxLen {
			p.Free()
			return syscall.EMSGSIZE
		}
		h.TotalLen = uint16(hl + n)
		fits := hl+n <= mtu || p.SegmentSize != 0 && path.MaxSegment != 0
		if !fits && o.DontFragment {
			p.Free()
			return syscall.EMSGSIZE
		}
		h.DontFragment = o.DontFragment || o.Discover && fits
		if !h.DontFragment {
			h.ID = l.ident(dst)
		}
		l.checksum(p, path, src, dst, o, hl, fits)
		if !fits {
			return l.fragment4(p, path, &h, mtu, o)
		}
		h.Put(p.Prepend(hl))
	} else {
		if n > maxLen6-wire.IPv6Len {
			p.Free()
			return syscall.EMSGSIZE
		}
		h := wire.IPv6{
			Src: src, Dst: dst, TOS: o.TOS, HopLimit: ttl, Next: o.Proto, Flow: o.Flow,
			PayloadLen: uint16(n),
		}
		fits := wire.IPv6Len+n <= mtu || p.SegmentSize != 0 && path.MaxSegment != 0
		if !fits && o.DontFragment {
			p.Free()
			return syscall.EMSGSIZE
		}
		l.checksum(p, path, src, dst, o, wire.IPv6Len, fits)
		if !fits {
			return l.fragment6(p, path, &h, mtu, o)
		}
		p.DontFragment = o.DontFragment
		h.Put(p.Prepend(wire.IPv6Len))
	}
	l.send(p, path, src, dst, o)
	return nil
}

// mtu returns what a packet along path may have without being fragmented.
func (o *Out) mtu(path *Path) int {
	mtu := path.MTU
	if o.IgnorePathMTU {
		mtu = path.Iface.cfg.MTU
	}
	if o.FragmentSize > 0 {
		mtu = min(mtu, o.FragmentSize)
	}
	return mtu
}

// ttl returns the time to live or hop limit of a packet to dst.
func (l *Layer) ttl(o *Out, dst netip.Addr) uint8 {
	switch {
	case o.TTL != 0:
		return o.TTL
	case dst.IsMulticast():
		return 1
	}
	return l.cfg.HopLimit
}

// send passes a complete packet to the path's interface, and a copy to this host
// where it belongs to a group or network that hears itself.
func (l *Lane) send(p *packet.Packet, path *Path, src, dst netip.Addr, o *Out) {
	i := path.Iface

	// Of several fragments the first, which has the ports.
	if o.Copy != nil && *o.Copy == nil {
		*o.Copy = p.AppendTo(nil)
	}
	if !i.cfg.Loopback && (path.Broadcast || dst.IsMulticast()) {
		// Who sends to a network or group that he is in hears himself: the link would not bring
		// it back.
		if path.Broadcast || !o.NoLoop && i.hears(dst, src) {
			c := p.Clone()
			layer := l.Layer
			l.at.AfterWhole(host.Call(func() {
				layer.looped[c] = i
				layer.Whole().at.Loop(c)
			}), nil)
		}
		if o.HostOnly {
			p.Free()
			return
		}
	}
	l.transmit(i, p)
}

// identCounter is what destinations that share it have their identifications from.
type identCounter struct {
	last uint16
	at   uint32 // ms, when it was given
}

// ident returns an identification for a datagram to dst that may be fragmented.
// Destinations share counters by hash, so that one does not learn another's rate
// (RFC 7739), and a number does not come back early (RFC 6864, section
// 4.3).
func (l *Lane) ident(dst netip.Addr) uint16 {
	// A hash with a secret key: who sees the numbers for one destination cannot tell which
	// others share its counter.
	b := dst.As16()
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(b[:])^l.identKey[0], binary.LittleEndian.Uint64(b[8:])^l.identKey[1])
	c := &l.idents[(hi^lo)%uint64(len(l.idents))]
	l.identMu.Lock()
	defer l.identMu.Unlock()

	// Nor can who has found such a one count what was sent to it: each millisecond may have taken
	// a number, or not (Linux, ip_idents_reserve).
	now := uint32(l.at.Now() / time.Millisecond)
	if gone := now - c.at; gone > 0 {
		c.last += uint16(l.cfg.Rand() % uint64(gone))
	}
	c.at = now
	c.last++
	return c.last
}

// outputIncluded sends a packet that brings its own network header.
func (l *Lane) outputIncluded(p *packet.Packet, path *Path, o *Out) error {
	// The program's packet is one of bytes: no note of it can be trusted to be true of them.
	n := p.Len()
	b := p.AppendTo(make([]byte, 0, n))
	owner := p.Owner
	var src netip.Addr
	p.Free()
	if n > path.Iface.cfg.MTU || n > maxLen4 {
		return syscall.EMSGSIZE
	}
	switch {
	case path.Dst.Is4() && !l.complete4(b, path), !path.Dst.Is4() && n < wire.IPv6Len:
		return syscall.EINVAL
	case path.Dst.Is4():
		src = netip.AddrFrom4([4]byte(b[12:16]))
	default:
		src = netip.AddrFrom16([16]byte(b[8:24]))
	}
	p = packet.FromBytes(b)
	p.Owner, p.ForHost = owner, path.Iface.cfg.Loopback
	l.send(p, path, src, path.Dst, o)
	return nil
}

// complete4 fills in what a raw socket's IPv4 header leaves open, and reports whether its
// length is one. What else stands in it is the receiver's business (Linux,
// raw_send_hdrinc).
func (l *Lane) complete4(b []byte, path *Path) bool {
	if len(b) < wire.IPv4MinLen {
		return false
	}
	hl := int(b[0]&15) * 4
	if hl < wire.IPv4MinLen || hl > len(b) {
		return false
	}

	// Length and checksum are always set, identification and source where they are zero
	// (raw(7), IP_HDRINCL).
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	if b[4]|b[5] == 0 {
		binary.BigEndian.PutUint16(b[4:], l.ident(path.Dst))
	}
	if src := b[12:16]; binary.BigEndian.Uint32(src) == 0 {
		a := path.Src.As4()
		copy(src, a[:])
	}
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], wire.ChecksumOf(b[:hl]))
	return true
}
