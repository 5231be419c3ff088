package link

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
)

// flowHash returns a number that is the same for all packets of a flow, in both directions. A flow
// is what has the same two ends: addresses and ports, of protocols whose headers begin with those.
// Packets of other protocols, and all fragments, since the later ones have no ports, go by their
// addresses alone, as in the kernel's flow dissector. What is no IP packet has 0.
func flowHash(p *Packet) uint64 {
	b := p.Front()
	if len(b) == 0 {
		return 0
	}
	if b[0]>>4 == 4 {
		h, n, err := wire.ParseIPv4(b)
		if err != nil {
			return 0
		}
		src, dst := uint64(bits4(h.Src)), uint64(bits4(h.Dst))
		if h.IsFragment() || !wire.HasPorts(h.Proto) {
			return joinEnds(mix(src), mix(dst), 0)
		}
		sport, dport := ports(p, n)
		return joinEnds(mix(src|sport<<32), mix(dst|dport<<32), h.Proto)
	}
	h, err := wire.ParseIPv6(b)
	if err != nil {
		return 0
	}
	src, dst := mix6(h.Src), mix6(h.Dst)
	next, at := h.Next, wire.IPv6Len
	if !wire.HasPorts(next) {
		chain := wire.WalkIPv6(next, b[at:], true)
		if chain.Fault != wire.NoFault || !wire.HasPorts(chain.Next) {
			return joinEnds(src, dst, 0)
		}
		next, at = chain.Next, at+chain.Len
	}
	sport, dport := ports(p, at)
	return joinEnds(mix(src^sport), mix(dst^dport), next)
}

// ports returns the ports of the transport header that begins at byte at of p: of what remains of
// the head or, where the head ends with the network header, of the payload. 0 and 0 if there are none.
func ports(p *Packet, at int) (src, dst uint64) {
	b := p.Front()
	if head := len(p.Head()); head != 0 && at >= head {
		b, at = p.Payload.Front(), at-head
	}
	if at+4 > len(b) {
		return 0, 0
	}
	return uint64(binary.BigEndian.Uint16(b[at:])), uint64(binary.BigEndian.Uint16(b[at+2:]))
}

func bits4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func mix6(a netip.Addr) uint64 {
	b := a.As16()
	return mix(mix(binary.BigEndian.Uint64(b[:])) ^ binary.BigEndian.Uint64(b[8:]))
}

// joinEnds puts the numbers of two ends together, neither of which is the first.
func joinEnds(a, b uint64, proto uint8) uint64 { return mix(a + b + uint64(proto)) }

// mix spreads what differs in a few bits over all of them: by the odd multiplier of the golden ratio,
// whose products differ most in their upper half, which is folded onto the lower one.
func mix(x uint64) uint64 {
	for range 2 {
		x *= 0x9e3779b97f4a7c15
		x ^= x >> 32
	}
	return x
}

// share maps a hash onto one of n.
func share(hash uint64, n int) int { return int(hash >> 32 * uint64(n) >> 32) }
