package link

import (
	"encoding/binary"
	"math/rand/v2"

	"usock/internal/buf"
	"usock/internal/offload"
	"usock/internal/wire"
)

// corrupt turns one bit of p over. Its checksum is filled in before, so that the
// receiver can notice, and the bytes are copied: others hold the same blocks, the
// sender for one.
func corrupt(p *Packet, rnd *rand.Rand) {
	if p.Len() == 0 || p.Len() > buf.MaxBlock || !offload.Complete(p, 0) {
		return
	}
	p.Trusted = false
	b := own(p)
	bit := rnd.IntN(len(b) * 8)
	b[bit/8] ^= 1 << (bit % 8)
}

// own moves all of p into a block of its own and returns its bytes.
func own(p *Packet) []byte {
	n := p.Len()
	b := buf.New(n)
	k := copy(b.Bytes(), p.Head())
	p.Payload.CopyTo(b.Bytes()[k:n], 0)
	p.Truncate(0)
	p.Payload.Append(b.View(0, n))
	return b.Bytes()[:n]
}

// The ECN field (RFC 3168 section 5).
const (
	ecnMask = 3
	ecnCE   = 3
)

// mark sets Congestion Experienced in p, an IP packet, and reports whether it did
// so: not for packets that are not ECN-capable, or marked already.
func mark(p *Packet) bool {
	b := p.Front()
	if len(b) < wire.IPv4MinLen {
		return false
	}
	v4 := b[0]>>4 == 4
	tos := b[1]
	if !v4 {
		tos = b[0]<<4 | b[1]>>4
	}
	if e := tos & ecnMask; e == 0 || e == ecnCE {
		return false
	}
	if len(p.Head()) == 0 {
		if p.Len() > buf.MaxBlock {
			return false
		}
		b = own(p)
	}
	if v4 {
		old := binary.BigEndian.Uint16(b)
		b[1] |= ecnCE
		sum := binary.BigEndian.Uint16(b[10:])
		binary.BigEndian.PutUint16(b[10:], wire.UpdateChecksum(sum, old, binary.BigEndian.Uint16(b)))
	} else {
		b[1] |= ecnCE << 4
	}
	return true
}
