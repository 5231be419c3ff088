package shape

import (
	"encoding/binary"
	"sync"

	"usock/internal/wire"
	"usock/link"
)

// header is what of a packet tells which flow it belongs to.
type header struct {
	src, dst     [2]uint64 // IPv4: the first one is the address
	sport, dport uint16    // 0 where there are none: other protocols, and fragments
	proto        uint8
	v6           bool
	begins       bool // it is a SYN, or an INIT: its sender has connected
	answers      bool // a SYN with ACK, or an INIT-ACK
}

// ends is a flow: what its packets have in common, in both directions.
type ends struct {
	low, high         [2]uint64
	lowPort, highPort uint16
	proto             uint8
	v6                bool
}

// The protocols whose headers begin with the two ports, and ICMP's.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

// parse reads what tells the flow of p, an IP packet, which stays as it is. Not ok: it is none.
func parse(p *link.Packet) (h header, ok bool) {
	b := p.Front()
	if len(b) < wire.IPv4MinLen {
		return h, false
	}
	at := 0
	switch b[0] >> 4 {
	case 4:
		at = int(b[0]&15) * 4
		h.src[0], h.dst[0] = uint64(binary.BigEndian.Uint32(b[12:])), uint64(binary.BigEndian.Uint32(b[16:]))
		h.proto = b[9]
		if at < wire.IPv4MinLen || at > len(b) || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 { // later fragments have no ports
			return h, at >= wire.IPv4MinLen
		}
	case 6:
		if len(b) < wire.IPv6Len {
			return h, false
		}
		h.v6, h.proto, at = true, b[6], wire.IPv6Len
		h.src = [2]uint64{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
		h.dst = [2]uint64{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}
		if !hasPorts(h.proto) && h.proto != protoICMPv6 {
			chain := wire.WalkIPv6(h.proto, b[at:], true)
			if chain.Fault != wire.NoFault {
				return h, true
			}
			h.proto, at = chain.Next, at+chain.Len
		}
	default:
		return h, false
	}
	h.transport(p, at)
	return h, true
}

// transport reads the transport header, which begins at byte at of p: where the head ends before that, in the payload.
func (h *header) transport(p *link.Packet, at int) {
	b := p.Front()
	if n := len(p.Head()); n != 0 && at >= n {
		b, at = p.Payload.Front(), at-n
	}
	if b = b[min(at, len(b)):]; len(b) < 8 {
		return
	}
	switch h.proto {
	case protoTCP:
		if len(b) >= wire.TCPMinLen {
			syn, ack := b[13]&2 != 0, b[13]&16 != 0
			h.begins, h.answers = syn && !ack, syn && ack
		}
	case protoSCTP:
		const initChunk, initAckChunk, commonHeader = 1, 2, 12
		if len(b) > commonHeader {
			h.begins, h.answers = b[commonHeader] == initChunk, b[commonHeader] == initAckChunk
		}
	case protoICMP, protoICMPv6:
		// Echo: the identifier stands for a port, on the side that asks.
		switch {
		case h.proto == protoICMP && b[0] == 8, h.proto == protoICMPv6 && b[0] == 128:
			h.sport = binary.BigEndian.Uint16(b[4:])
		case h.proto == protoICMP && b[0] == 0, h.proto == protoICMPv6 && b[0] == 129:
			h.dport = binary.BigEndian.Uint16(b[4:])
		}
		return
	}
	if hasPorts(h.proto) {
		h.sport, h.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
}

func hasPorts(proto uint8) bool {
	const dccp, udpLite = 33, 136
	switch proto {
	case protoTCP, protoUDP, protoSCTP, dccp, udpLite:
		return true
	}
	return false
}

// ends returns the flow, and whether the packet goes from its low end to the high one.
func (h *header) ends() (e ends, rises bool) {
	rises = less(h.src, h.dst) || h.src == h.dst && h.sport <= h.dport
	e = ends{h.src, h.dst, h.sport, h.dport, h.proto, h.v6}
	if !rises {
		e.low, e.high, e.lowPort, e.highPort = h.dst, h.src, h.dport, h.sport
	}
	return e, rises
}

func less(a, b [2]uint64) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// flows knows of each flow who has begun it. Of more than maxFlows it forgets those of which nothing came for longest.
type flows struct {
	mu     sync.Mutex
	recent map[ends]bool // mu: whether its low end has
	before map[ends]bool // mu: those that have become old when recent was full
}

// maxFlows bounds what is remembered in each of the two maps.
const maxFlows = 1 << 15

func newFlows() *flows { return &flows{recent: make(map[ends]bool)} }

// The directions, as the indices of a loopback link's stages.
const (
	up = iota
	down
)

// direction returns which way p goes: up from the end that has connected or, where nobody connects, from that whose packet was
// the first one.
func (f *flows) direction(p *link.Packet) int {
	h, ok := parse(p)
	if !ok {
		return up
	}
	e, rises := h.ends()
	f.mu.Lock()
	defer f.mu.Unlock()
	low, known := f.recent[e]
	if !known {
		low, known = f.before[e]
		f.remember(e, low)
	}
	if !known || h.begins || h.answers {
		low = rises != h.answers
		f.recent[e] = low
	}
	if low == rises {
		return up
	}
	return down
}

// remember has a flow be a recent one. The caller holds mu.
func (f *flows) remember(e ends, low bool) {
	if len(f.recent) >= maxFlows {
		f.before, f.recent = f.recent, make(map[ends]bool)
	}
	f.recent[e] = low
}
