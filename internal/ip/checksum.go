package ip

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
	"usock/packet"
)

// Checksum says where a protocol's header has its checksum, and which one that is: a byte
// offset, with CRC32c or without. 0: the protocol has none, or its packets are ready as they are.
type Checksum uint8

// CRC32c, or-ed to the offset, says that the checksum is 4 bytes of CRC32c over header and
// payload, the least significant byte first (RFC 9260, section 6.8). Without it the checksum
// is the Internet checksum over pseudo-header, header and payload (RFC 9293, section 3.1).
const CRC32c Checksum = 0x80

// ChecksumICMPv6 is that of ICMPv6 (RFC 4443, section 2.3), which the layer speaks itself.
const ChecksumICMPv6 Checksum = 2

func (c Checksum) offset() int { return int(c &^ CRC32c) }

// OK verifies the checksum of p, which begins with the protocol's header, as it came in.
func (c Checksum) OK(p *packet.Packet, m *Meta) bool {
	if c&CRC32c != 0 {
		return c.crcOK(p)
	}
	return InternetSumOK(p, m)
}

// InternetSumOK verifies an Internet checksum over pseudo-header, header and payload, wherever
// in p it stands.
func InternetSumOK(p *packet.Packet, m *Meta) bool {
	var sum wire.Checksum
	sum.AddPseudo(m.Src, m.Dst, m.Proto, p.Len())
	sum.Add(p.Head())
	for _, v := range p.Payload.Views() {
		sum.Add(v.Bytes())
	}
	return sum.Sum() == 0
}

// noSum is what stands in the sum's place while it is made (RFC 9260, section 6.8).
var noSum [4]byte

// crcOK compares the CRC32c in p's header, which is Front, with that over p, where the field
// counts as zero.
func (c Checksum) crcOK(p *packet.Packet) bool {
	at, head := c.offset(), p.Front()
	if len(head) < at+4 {
		return false
	}
	var sum wire.CRC32c
	sum.Add(head[:at])

	sum.Add(noSum[:])
	sum.Add(head[at+4:])
	rest := p.Payload.Views()
	if len(p.Head()) == 0 {
		rest = rest[1:] // the first is Front
	}
	for _, v := range rest {
		sum.Add(v.Bytes())
	}
	return uint32(sum) == binary.LittleEndian.Uint32(head[at:])
}

// checksum fills in the transport checksum, or leaves it to the link. hl is the
// length of the network header that is to come in front.
func (l *Layer) checksum(p *packet.Packet, path *Path, src, dst netip.Addr, o *Out, hl int, whole bool) {
	if o.Checksum == 0 {
		return
	}
	i := path.Iface
	if whole && i.cfg.Out == nil && o.Proto != ProtoICMPv6 {
		return // never leaves memory, and only ICMPv6's is what programs see
	}

	// A fragment's sum is made here, however able the link: it is over the whole datagram, of
	// which the link sees pieces.
	at, crc := o.Checksum.offset(), o.Checksum&CRC32c != 0
	field := p.Head()[at:]
	left := whole && i.completes(crc)
	if left {
		p.ChecksumStart, p.ChecksumOffset, p.CRC32c = uint16(hl), uint16(at), crc
	}

	if crc {
		if !left {
			var c wire.CRC32c
			c.Add(p.Head())
			for _, v := range p.Payload.Views() {
				c.Add(v.Bytes())
			}
			binary.LittleEndian.PutUint32(field, uint32(c))
		}
		return
	}
	var c wire.Checksum
	c.AddPseudo(src, dst, o.Proto, p.Len())
	if left {
		binary.BigEndian.PutUint16(field, c.Partial())
		return
	}
	c.Add(p.Head())
	for _, v := range p.Payload.Views() {
		c.Add(v.Bytes())
	}
	s := c.Sum()
	if s == 0 && o.Proto == ProtoUDP {
		s = 0xffff // zero would say that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(field, s)
}

// completes reports whether checksums are left to the interface's link.
func (i *Iface) completes(crc bool) bool {
	if crc {
		return i.cfg.CRC32c
	}
	return i.cfg.Checksum
}
