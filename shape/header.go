package shape

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/target"
	"usock/internal/wire"
	"usock/link"
)

// endpoints are what the packets of one direction of a flow have in common.
type endpoints struct {
	src, dst     [2]uint64 // IPv4: the first one is the address
	sport, dport uint16    // 0 where there are none: other protocols, and later fragments
	proto        uint8     // as rules name it: ICMPv6 is ICMP
	v6           bool
	quoted       bool // they are those of a packet that an ICMP error quotes, the other way round
}

// header is what of a packet tells which flow it belongs to.
type header struct {
	endpoints
	begins  bool   // it is a SYN, or an INIT: its sender has connected
	answers bool   // a SYN with ACK, or an INIT-ACK
	serial  uint32 // begins, answers: what tells one beginning from others: the sequence number, or the tag

	fragment fragment
	id       uint32 // of the datagram that it is a fragment of
}

type fragment uint8

const (
	whole fragment = iota
	firstFragment
	laterFragment
)

const icmp6 = 58

// read reads what tells the flow of p, an IP packet, which stays as it is. Not ok: it is none.
func (h *header) read(p *link.Packet) (ok bool) {
	b := p.Front()
	at, ok := h.network(b)
	if !ok || at < 0 {
		return ok
	}
	// Where the head ends before the transport header, that is in the payload.
	if n := len(p.Head()); n != 0 && at >= n {
		b, at = p.Payload.Front(), at-n
	}
	if b = b[min(at, len(b)):]; h.proto != target.ICMP {
		h.transport(b)
		return true
	}
	const icmpLen = 8
	if n := len(p.Head()); len(b) == icmpLen && n != 0 && h.isError(b) {
		b = append(b[:icmpLen:icmpLen], p.Payload.Front()...) // the packet that it quotes
	}
	h.icmp(b)
	return true
}

// network reads the IP header at the start of b, and returns where the transport header is; -1: not here, or it cannot be told.
func (h *header) network(b []byte) (at int, ok bool) {
	if len(b) < wire.IPv4MinLen {
		return 0, false
	}
	switch b[0] >> 4 {
	case 4:
		at = int(b[0]&15) * 4
		h.src[0], h.dst[0] = uint64(binary.BigEndian.Uint32(b[12:])), uint64(binary.BigEndian.Uint32(b[16:]))
		h.proto = b[9]
		if at < wire.IPv4MinLen {
			return 0, false
		}
		const more, offset = 0x2000, 0x1fff
		if f := binary.BigEndian.Uint16(b[6:]); f&(more|offset) != 0 {
			h.fragment, h.id = firstFragment, uint32(binary.BigEndian.Uint16(b[4:]))
			if f&offset != 0 {
				h.fragment = laterFragment
			}
		}
	case 6:
		if len(b) < wire.IPv6Len {
			return 0, false
		}
		h.v6, h.proto, at = true, b[6], wire.IPv6Len
		h.src = [2]uint64{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
		h.dst = [2]uint64{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}
		if !wire.HasPorts(h.proto) && h.proto != icmp6 {
			at = h.extensions(b, at)
		}
		if h.proto == icmp6 {
			h.proto = target.ICMP
		}
	default:
		return 0, false
	}
	if h.fragment == laterFragment {
		return -1, true
	}
	return at, true
}

// extensions walks over IPv6's extension headers.
func (h *header) extensions(b []byte, at int) int {
	for {
		chain := wire.WalkIPv6(h.proto, b[at:], at == wire.IPv6Len)
		if chain.Fault != wire.NoFault {
			return -1
		}
		h.proto, at = chain.Next, at+chain.Len
		if h.proto != wire.IPv6Fragment || h.fragment != whole {
			return at
		}
		f, err := wire.ParseFragmentHeader(b[at:])
		if err != nil {
			return -1
		}
		h.proto, at = f.Next, at+wire.IPv6FragmentLen
		if f.Off != 0 {
			h.fragment, h.id = laterFragment, f.ID
			return -1
		}
		if f.More {
			h.fragment, h.id = firstFragment, f.ID
		}
	}
}

// transport reads the ports at the start of b, and whether a connection begins.
func (h *header) transport(b []byte) {
	const ports = 8 // of all of these headers, as much as an ICMP error quotes at least
	if len(b) < ports || !wire.HasPorts(h.proto) {
		return
	}
	h.sport, h.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	switch h.proto {
	case target.TCP:
		if len(b) < wire.TCPMinLen {
			return
		}
		switch syn, ack := b[13]&2 != 0, b[13]&16 != 0; {
		case syn && ack:
			h.answers, h.serial = true, binary.BigEndian.Uint32(b[8:])-1
		case syn:
			h.begins, h.serial = true, binary.BigEndian.Uint32(b[4:])
		}
	case target.SCTP:
		const initChunk, initAckChunk, chunk = 1, 2, 12
		if len(b) < chunk+8 {
			return
		}
		switch b[chunk] {
		case initChunk: // with its sender's tag
			h.begins, h.serial = true, binary.BigEndian.Uint32(b[chunk+4:])
		case initAckChunk: // to that tag
			h.answers, h.serial = true, binary.BigEndian.Uint32(b[4:])
		}
	}
}

// isError reports whether an ICMP message quotes a packet.
func (h *header) isError(b []byte) bool {
	if h.v6 {
		return b[0] < 128
	}
	switch b[0] {
	case 3, 4, 5, 11, 12:
		return true
	}
	return false
}

// icmp reads an ICMP message. Of an echo the identifier stands for a port, on the side that asks.
func (h *header) icmp(b []byte) {
	if len(b) < 8 {
		return
	}
	switch id := binary.BigEndian.Uint16(b[4:]); {
	case !h.v6 && b[0] == 8, h.v6 && b[0] == 128:
		h.sport = id
	case !h.v6 && b[0] == 0, h.v6 && b[0] == 129:
		h.dport = id
	case h.isError(b):
		var q header
		at, ok := q.network(b[8:])
		if !ok {
			return
		}
		if at >= 0 {
			if b = b[min(8+at, len(b)):]; q.proto == target.ICMP {
				if len(b) < 8 || q.isError(b) {
					return
				}
				q.icmp(b)
			} else {
				q.transport(b)
			}
		}
		h.fragment, h.id = q.fragment, q.id // it is looked up, and remembered by, as that one's
		h.endpoints = endpoints{q.dst, q.src, q.dport, q.sport, q.proto, q.v6, true}
	}
}

// ends is a flow: what its packets have in common, in both directions.
type ends struct {
	low, high         [2]uint64
	lowPort, highPort uint16
	proto             uint8
	v6                bool
}

// ends returns the flow, and whether packets go from its low end to the high one.
func (e *endpoints) ends() (f ends, rises bool) {
	rises = less(e.src, e.dst) || e.src == e.dst && e.sport <= e.dport
	f = ends{e.src, e.dst, e.sport, e.dport, e.proto, e.v6}
	if !rises {
		f.low, f.high, f.lowPort, f.highPort = e.dst, e.src, e.dport, e.sport
	}
	return f, rises
}

func less(a, b [2]uint64) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// address returns an address of endpoints.
func address(a [2]uint64, v6 bool) netip.Addr {
	if !v6 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(a[0]))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a[0])
	binary.BigEndian.PutUint64(b[8:], a[1])
	return netip.AddrFrom16(b).Unmap()
}

// same reports whether both are the same. It is asked about each packet.
func (e *endpoints) same(o *endpoints) bool {
	return e.src[0] == o.src[0] && e.dst[0] == o.dst[0] && e.sport == o.sport && e.dport == o.dport && e.proto == o.proto &&
		e.src[1] == o.src[1] && e.dst[1] == o.dst[1] && e.v6 == o.v6 && e.quoted == o.quoted
}

// hash spreads flows over the cache.
func (e *endpoints) hash() uint64 {
	const m = 0x9e3779b97f4a7c15
	x := (e.src[0]^e.src[1]<<1)*m ^ (e.dst[0] ^ e.dst[1]<<1)
	x = (x ^ uint64(e.sport)<<32 ^ uint64(e.dport)<<8 ^ uint64(e.proto)) * m
	return x >> 32
}
