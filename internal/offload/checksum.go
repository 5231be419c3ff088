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
	start := int(p.ChecksumStart) - skip
	field := start + int(p.ChecksumOffset)
	if start < 0 || field+2 > p.Len() {
		return false
	}
	own(p, field+2)
	b := writable(p)
	c := sumFrom(p, start)
	s := c.Sum()
	if s == 0 && p.ChecksumOffset == udpField {
		s = 0xffff // zero would say that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(b[field:], s)
	p.ChecksumStart, p.ChecksumOffset = 0, 0
	return true
}

const udpField = 6 // where a UDP header has its checksum

// sumFrom returns the sum over p's bytes from start on.
func sumFrom(p *packet.Packet, start int) (c wire.Checksum) {
	if h := p.Head(); start < len(h) {
		c.Add(h[start:])
		start = 0
	} else {
		start -= len(h)
	}
	for _, v := range p.Payload.Views() {
		if b := v.Bytes(); start < len(b) {
			c.Add(b[start:])
			start = 0
		} else {
			start -= len(b)
		}
	}
	return c
}

// own makes the first n bytes of p bytes that nothing else refers to: in its head
// or, where that is too small, in a block made for it. p has at least n bytes.
func own(p *packet.Packet, n int) {
	h := len(p.Head())
	if h >= n {
		return
	}
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
