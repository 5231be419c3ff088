package pcapfilter

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
)

// Flow is from where to where a packet of TCP, UDP or SCTP goes.
type Flow struct {
	Proto    uint8
	Src, Dst netip.AddrPort
}

// Reverse returns the flow of the answers.
func (f Flow) Reverse() Flow { return Flow{f.Proto, f.Dst, f.Src} }

// FlowOf returns the flow of an IP packet, of which b is at least the headers; not ok: it has none, or is a fragment that has not got its ports.
func FlowOf(b []byte) (f Flow, ok bool) {
	var p packet
	p.parse(b, len(b), Process{})
	return p.flow(), p.ports
}

func (p *packet) flow() Flow {
	return Flow{p.proto, netip.AddrPortFrom(p.src, p.sport), netip.AddrPortFrom(p.dst, p.dport)}
}

// FlowWithin is FlowOf for who asks whose a packet is: one of UDP from or to the port sctp, which is not 0, is of the SCTP in it (RFC 6951),
// and a request for an echo, or its answer, of ICMP, from its identifier to it. An error of ICMP is of the flow that would answer the packet
// that it quotes; quotes says so.
func FlowWithin(b []byte, sctp uint16) (f Flow, quotes, ok bool) {
	var p packet
	p.parse(b, len(b), Process{})
	if p.frag && len(b) >= fragmented && b[wire.IPv6Len+2]|b[wire.IPv6Len+3]&0xf8 == 0 { // the first one
		p.upper = fragmented
		p.parsePorts()
	}
	if quoted := p.quoted(); quoted != nil {
		p.parse(quoted, len(quoted), Process{})
		quotes = true
	}
	p.within(sctp)
	if f = p.flow(); quotes {
		f = f.Reverse()
	}
	return f, quotes, p.ports
}

// fragmented is how long IPv6's headers are with a fragment's.
const fragmented = wire.IPv6Len + 8

// Fragment is which packet a fragment is of.
type Fragment struct {
	Src, Dst netip.Addr
	Proto    uint8
	ID       uint32
}

// FragmentOf returns which packet an IP packet is a fragment of, of which b is at least the headers; not ok: of none.
func FragmentOf(b []byte) (f Fragment, ok bool) {
	var p packet
	switch {
	case len(b) >= wire.IPv4MinLen && b[0]>>4 == 4 && binary.BigEndian.Uint16(b[6:])&0x3fff != 0: // more follow, or it is not the first
		f.ID = uint32(binary.BigEndian.Uint16(b[4:]))
	case len(b) >= fragmented && b[0]>>4 == 6 && b[6] == protoFrag:
		f.ID = binary.BigEndian.Uint32(b[wire.IPv6Len+4:])
	default:
		return f, false
	}
	p.parse(b, len(b), Process{})
	f.Src, f.Dst, f.Proto = p.src, p.dst, p.proto
	return f, true
}

// within has a packet with SCTP in UDP, or an echo, have the ports that FlowWithin says.
func (p *packet) within(sctp uint16) {
	body := p.b[min(p.upper, len(p.b)):]
	switch {
	case p.upper == 0:
	case p.proto == protoUDP && p.ports && sctp != 0 && (p.sport == sctp || p.dport == sctp) && len(body) >= wire.UDPLen+4:
		p.proto, p.sport, p.dport = protoSCTP, binary.BigEndian.Uint16(body[wire.UDPLen:]), binary.BigEndian.Uint16(body[wire.UDPLen+2:])
	case (p.proto == protoICMP || p.proto == protoICMPv6) && len(body) >= wire.ICMPLen && isEcho(p.proto, body[0]):
		id := binary.BigEndian.Uint16(body[4:])
		p.ports, p.sport, p.dport = true, id, id
	}
}

// quoted returns what an error of ICMP quotes; nil: the packet is none.
func (p *packet) quoted() []byte {
	if p.upper == 0 || len(p.b) < p.upper+wire.ICMPLen {
		return nil
	}
	body := p.b[p.upper:]
	if p.proto == protoICMP && wire.IsError4(body[0]) || p.proto == protoICMPv6 && wire.IsError6(body[0]) {
		return body[wire.ICMPLen:]
	}
	return nil
}

// isEcho reports whether a message of ICMP, of such a type, is a request for an echo or its answer.
func isEcho(proto, typ uint8) bool {
	if proto == protoICMP {
		return typ == wire.ICMPv4Echo || typ == wire.ICMPv4EchoReply
	}
	return typ == wire.ICMPv6Echo || typ == wire.ICMPv6EchoReply
}
