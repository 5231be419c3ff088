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

	// Not-ECT must be dropped instead: its sender would not understand the mark (RFC 3168
	// section 5).
	if e := tos & ecnMask; e == 0 || e == ecnCE {
		return false
	}

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
