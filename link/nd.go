package link

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
)

// Neighbour discovery (RFC 4861 sections 4.3, 4.4 and 7.2).
const (
	ndSolicitation  = 135
	ndAdvertisement = 136
	ndLen           = 24 // without options
	ndHopLimit      = 255

	ndSourceAddress = 1 // options
	ndTargetAddress = 2

	ndSolicited = 0x40 // flags of an advertisement, in its first byte
	ndOverride  = 0x20

	protoICMPv6 = 58
)

var allNodes = netip.MustParseAddr("ff02::1")

// solicitedNode is the group that an address belongs to (RFC 4291 section 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// sendND queues one message about target, with the host's Ethernet address as an
// option. The caller holds mu.
func (f *Framed) sendND(kind, flags, option byte, src, dst, target netip.Addr, to hardware) {
	p, b := newFrame(ndLen + 8)
	clear(b)
	b[0], b[4] = kind, flags
	t := target.As16()
	copy(b[8:], t[:])
	b[24], b[25] = option, 1
	copy(b[26:], f.address[:])
	var c wire.Checksum
	c.AddPseudo(src, dst, protoICMPv6, len(b))
	c.Add(b)
	binary.BigEndian.PutUint16(b[2:], c.Sum())

	// The highest hop limit: no router has passed on a message that arrives with it.
	h := wire.IPv6{Src: src, Dst: dst, Next: protoICMPv6, HopLimit: ndHopLimit, PayloadLen: uint16(len(b))}
	h.Put(p.Prepend(wire.IPv6Len))
	frame(p, to, f.address, etherIPv6)
	f.out.Push(p)
}

func (f *Framed) askND(src, a netip.Addr, n *neighbour) {
	dst := solicitedNode(a)
	to, _ := f.group(dst)
	if n.known {
		// Of a neighbour that is known only itself is asked (RFC 4861 section 7.3).
		dst, to = a, n.address
	}
	f.sendND(ndSolicitation, 0, ndSourceAddress, src, dst, a, to)
}

// advertise says that the host has the address a.
func (f *Framed) advertise(a, dst netip.Addr, solicited bool) {
	flags := byte(ndOverride)
	if solicited {
		flags |= ndSolicited
	}
	to, ok := f.group(dst)
	if n := f.neighbours[dst]; !ok && n != nil && n.known {
		to, ok = n.address, true
	}
	if ok {
		f.sendND(ndAdvertisement, flags, ndTargetAddress, a, dst, a, to)
	}
}

// inputND handles an IPv6 packet if it is one of the two messages, and reports
// whether it is. The rules of validity are those of sections 7.1.1 and 7.1.2.
func (f *Framed) inputND(b []byte) bool {
	h, err := wire.ParseIPv6(b)
	if err != nil || h.Next != protoICMPv6 || len(b) == wire.IPv6Len {
		return false
	}
	kind := b[wire.IPv6Len]
	if kind != ndSolicitation && kind != ndAdvertisement {
		return false
	}
	m := b[wire.IPv6Len:]

	// A hop limit below 255 has come through a router: nobody beyond this link may say where
	// its neighbours are.
	if len(m) < int(h.PayloadLen) || h.PayloadLen < ndLen || h.HopLimit != ndHopLimit || m[1] != 0 {
		return true
	}
	m = m[:h.PayloadLen]
	var c wire.Checksum
	c.AddPseudo(h.Src, h.Dst, protoICMPv6, len(m))
	c.Add(m)
	target := netip.AddrFrom16([16]byte(m[8:24]))
	if c.Sum() != 0 || target.IsMulticast() || h.Src.IsMulticast() {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		return true
	}
	if kind == ndSolicitation {
		f.solicited(&h, target, m[ndLen:])
	} else {
		f.advertised(&h, target, m[4], m[ndLen:])
	}
	return true
}

// solicited answers for the host's addresses. Whoever asks without an address of
// its own is about to take it (RFC 4862 section 5.4.3).
func (f *Framed) solicited(h *wire.IPv6, target netip.Addr, options []byte) {
	// Who has no address yet must not say where it is (RFC 4861 section 7.1.1),
	// nor ask others than those whose address it may be.
	from, has, valid := ndOption(options, ndSourceAddress)
	if !valid || !f.own(target) || h.Src.IsUnspecified() && (has || h.Dst != solicitedNode(target)) {
		return
	}
	if h.Src.IsUnspecified() {
		f.advertise(target, allNodes, false)
		return
	}
	if has {
		f.learn(h.Src, from, news{add: true})
	}
	f.advertise(target, h.Src, true)
}

// advertised takes in an answer. One that does not override leaves a neighbour that
// is known to be elsewhere alone (section 7.2.5).
func (f *Framed) advertised(h *wire.IPv6, target netip.Addr, flags byte, options []byte) {
	// An answer to a question goes to who has asked, never to a group (RFC 4861 section 7.1.2).
	to, has, valid := ndOption(options, ndTargetAddress)
	if !valid || flags&ndSolicited != 0 && h.Dst.IsMulticast() {
		return
	}
	n := f.neighbours[target]

	// Nobody has asked for it: what is not needed is not remembered (RFC 4861 section 7.2.5).
	if n == nil {
		return
	}
	if !has {
		if !n.known {
			return
		}
		to = n.address
	}
	if n.known && flags&ndOverride == 0 && to != n.address {
		// Two say that they are it: the next packet asks.
		if n.certainty(f.clock.Now()) == Reachable {
			n.sure, n.heard = false, f.clock.Now()-reachable-1
		}
		return
	}
	f.learn(target, to, news{confirmed: flags&ndSolicited != 0})
}

// ndOption finds an option with an Ethernet address. valid is false if the options
// are not.
func ndOption(b []byte, kind byte) (h hardware, has, valid bool) {
	for len(b) > 0 {
		// A length of zero would never get on (RFC 4861 section 4.6).
		if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return h, false, false
		}
		if b[0] == kind && b[1] == 1 {
			h, has = hardware(b[2:8]), true
		}
		b = b[int(b[1])*8:]
	}
	return h, has, true
}
