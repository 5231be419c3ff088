package offload

import (
	"encoding/binary"

	"usock/internal/wire"
	"usock/packet"
)

// Complete fills in the checksum of p that was left to a device, if any, and
// removes the note. p begins skip bytes behind the start of its network header,
// but not behind the start of the transport header. It reports false, and changes
// nothing, if the note points beyond the packet.
func Complete(p *packet.Packet, skip int) bool {
	if p.ChecksumOffset == 0 {
		return true
	}

	// The note may come from a device or another program: it is believed within the packet
	// only.
	start := int(p.ChecksumStart) - skip
	field := start + int(p.ChecksumOffset)
	end := field + fieldLen(p)
	if start < 0 || end > p.Len() {
		return false
	}

	// The field is in a block that the sender keeps for a retransmission, or that copies share:
	// it is written in bytes of the packet's own.
	own(p, end)
	b := writable(p)[field:]

	if p.CRC32c {
		var c wire.CRC32c
		from(p, start, c.Add)
		binary.LittleEndian.PutUint32(b, uint32(c))
	} else {
		// The field holds the pseudo-header's sum, and so counts.
		var c wire.Checksum
		from(p, start, c.Add)
		binary.BigEndian.PutUint16(b, internet(c.Sum(), p))
	}
	p.ChecksumStart, p.ChecksumOffset, p.CRC32c = 0, 0, false
	return true
}

// CompleteCopy is Complete in b, a copy of p's bytes from the network header on; p stays as
// it is.
func CompleteCopy(b []byte, p *packet.Packet) {
	start := int(p.ChecksumStart)
	field := start + int(p.ChecksumOffset)
	switch {
	case p.ChecksumOffset == 0 || field+fieldLen(p) > len(b):
	case p.CRC32c:
		var c wire.CRC32c
		c.Add(b[start:])
		binary.LittleEndian.PutUint32(b[field:], uint32(c))
	default:
		binary.BigEndian.PutUint16(b[field:], internet(wire.ChecksumOf(b[start:]), p))
	}
}

// fieldLen returns how many bytes p's checksum has.
func fieldLen(p *packet.Packet) int {
	if p.CRC32c {
		return 4
	}
	return 2
}

const udpField = 6 // where a UDP header has its checksum

// internet returns how the Internet checksum s stands in p.
func internet(s uint16, p *packet.Packet) uint16 {
	if s == 0 && p.ChecksumOffset == udpField {
		return 0xffff // zero would say that there is none (RFC 768)
	}
	return s
}

// from calls add with p's bytes from start on, piece by piece.
func from(p *packet.Packet, start int, add func([]byte)) {
	if h := p.Head(); start < len(h) {
		add(h[start:])
		start = 0
	} else {
		start -= len(h)
	}
	for _, v := range p.Payload.Views() {
		if b := v.Bytes(); start < len(b) {
			add(b[start:])
			start = 0
		} else {
			start -= len(b)
		}
	}
}

// own makes the first n bytes of p bytes that nothing else refers to: in its head
// or, where that is too small, in a block made for it. p has at least n bytes.
func own(p *packet.Packet, n int) {
	h := len(p.Head())
	if h >= n {
		return
	}

	// Headers that stand in a block move into the head: the data is not copied.
	if h == 0 && n <= packet.Headroom {
		var b [packet.Headroom]byte
		p.Payload.CopyTo(b[:n], 0)
		p.Payload.TrimFront(n)
		copy(p.Prepend(n), b[:n])
		return
	}
	b := packet.NewBlock(p.Len())
	k := copy(b.Bytes(), p.Head())
	k += p.Payload.CopyTo(b.Bytes()[k:], 0)
	p.Truncate(0)
	p.Payload.Append(b.View(0, k))
}

// writable returns the bytes that own has provided.
func writable(p *packet.Packet) []byte { return p.Front() }
