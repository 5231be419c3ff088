package link

import (
	"math/rand/v2"

	"usock/internal/offload"
	"usock/packet"
)

// corrupt turns one bit of p over. Its checksum is filled in before, so that the
// receiver can notice, and the bytes are copied: others hold the same blocks, the
// sender for one.
func corrupt(p *Packet, rnd *rand.Rand) {
	if p.Len() == 0 || p.Len() > packet.MaxBlock || !offload.Complete(p, 0) {
		return
	}

	// In memory nobody would look at the sum.
	p.Trusted = false
	b := own(p)
	bit := rnd.IntN(len(b) * 8)
	b[bit/8] ^= 1 << (bit % 8)
}

// own moves all of p into a block of its own and returns its bytes.
func own(p *Packet) []byte {
	n := p.Len()
	b := packet.NewBlock(n)
	k := copy(b.Bytes(), p.Head())
	p.Payload.CopyTo(b.Bytes()[k:n], 0)
	p.Truncate(0)
	p.Payload.Append(b.View(0, n))
	return b.Bytes()[:n]
}
