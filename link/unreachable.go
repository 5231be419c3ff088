package link

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
	"usock/packet"
)

// unreachable returns the error that tells a host that its packet p did not reach
// the neighbour hop, nil if there must be none (RFC 1122 section 3.2.2, RFC 4443
// sections 2.4 and 3.1). It comes from that neighbour, since what comes from the
// host's own address cannot have come over a link.
func unreachable(p *Packet, hop netip.Addr) *Packet {
	b := p.Front()
	if b[0]>>4 == 6 {
		h, err := wire.ParseIPv6(b)
		if err != nil || h.Src.IsUnspecified() || h.Next == protoICMPv6 && len(b) > wire.IPv6Len && b[wire.IPv6Len] < 128 {
			return nil
		}

		// As much as fits the least MTU (RFC 4443, section 2.4(c)).
		const quoted = 1280 - wire.IPv6Len - wire.ICMPLen
		e := quote(p, quoted, 1, 3)
		n := e.Len()
		var c wire.Checksum
		c.AddPseudo(hop, h.Src, protoICMPv6, n)
		sum(e, &c)
		head := wire.IPv6{Src: hop, Dst: h.Src, Next: protoICMPv6, HopLimit: 64, PayloadLen: uint16(n)}
		head.Put(e.Prepend(wire.IPv6Len))
		return e
	}
	h, n, err := wire.ParseIPv4(b)
	if err != nil || h.Src.IsUnspecified() || h.FragmentOff != 0 {
		return nil
	}

	// No error about an error.
	if h.Proto == 1 && len(b) > n && b[n] != wire.ICMPv4Echo && b[n] != wire.ICMPv4EchoReply {
		return nil
	}

	// No more than 576 bytes in all (RFC 1812, section 4.3.2.3).
	const quoted = 576 - wire.IPv4MinLen - wire.ICMPLen
	e := quote(p, quoted, wire.ICMPv4Unreachable, wire.ICMPv4HostUnreachable)
	sum(e, &wire.Checksum{})
	head := wire.IPv4{Src: hop, Dst: h.Src, Proto: 1, TTL: 64, TotalLen: uint16(wire.IPv4MinLen + e.Len())}
	head.Put(e.Prepend(wire.IPv4MinLen))
	return e
}

// quote returns an ICMP message with the beginning of p.
func quote(p *Packet, n int, kind, code byte) *Packet {
	all := p.AppendTo(nil)
	e := packet.FromBytes(all[:min(len(all), n)])
	b := e.Prepend(wire.ICMPLen)
	clear(b)
	b[0], b[1] = kind, code
	return e
}

// sum fills in the checksum of an ICMP message.
func sum(e *Packet, c *wire.Checksum) {
	c.Add(e.AppendTo(nil))
	binary.BigEndian.PutUint16(e.Head()[2:], c.Sum())
}
