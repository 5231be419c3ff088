package link

import (
	"encoding/binary"

	"usock/internal/wire"
	"usock/packet"
)

// The ECN field (RFC 3168 section 5).
const (
	ecnMask = 3
	ecnCE   = 3
)

// ecnOf returns the ECN field of an IP packet, 0 (Not-ECT) of what is none.
func ecnOf(p *Packet) uint8 {
	b := p.Front()
	switch {
	case len(b) < wire.IPv4MinLen:
		return 0
	case b[0]>>4 == 4:
		return b[1] & ecnMask
	}
	return b[1] >> 4 & ecnMask
}

// mark sets Congestion Experienced in p, an IP packet, and reports whether it did
// so: not for packets that are not ECN-capable, or marked already.
func mark(p *Packet) bool {
	// Not-ECT must be dropped instead: its sender would not understand the mark (RFC 3168
	// section 5).
	if e := ecnOf(p); e == 0 || e == ecnCE {
		return false
	}
	b := p.Front()
	v4 := b[0]>>4 == 4

	// The header is in a block that others may hold.
	if len(p.Head()) == 0 {
		if p.Len() > packet.MaxBlock {
			return false
		}
		b = own(p)
	}
	if v4 {
		// The sum is brought up to date and not made anew: one that was wrong stays wrong.
		old := binary.BigEndian.Uint16(b)
		b[1] |= ecnCE
		sum := binary.BigEndian.Uint16(b[10:])
		binary.BigEndian.PutUint16(b[10:], wire.UpdateChecksum(sum, old, binary.BigEndian.Uint16(b)))
	} else {
		b[1] |= ecnCE << 4
	}
	return true
}
