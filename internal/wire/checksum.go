package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Checksum adds up the Internet checksum (RFC 1071) of bytes that come in pieces
// of any length. The zero value has seen none.
type Checksum struct {
	sum uint32 // ones' complement sum of the 16-bit words so far, folded
	odd bool   // the next byte is the low half of a word
}

// Add goes on with the bytes of b.
func (c *Checksum) Add(b []byte) {
	s := sum16(b)

	// A piece that begins with the second byte of a word is summed with its bytes changed over:
	// to change the sum over is the same (RFC 1071, section 2B).
	if c.odd {
		s = bits.ReverseBytes16(s)
	}
	c.sum = fold(c.sum + uint32(s))
	c.odd = c.odd != (len(b)&1 != 0)
}

// AddUint16 goes on with a word, in network order. The number of bytes so far must
// be even.
func (c *Checksum) AddUint16(v uint16) { c.sum = fold(c.sum + uint32(v)) }

// AddPseudo goes on with the pseudo-header of a transport (RFC 9293, section
// 3.1; RFC 8200, section 8.1). src and dst are of one family. n is the length of
// transport header and data.
func (c *Checksum) AddPseudo(src, dst netip.Addr, proto uint8, n int) {
	// The words of the pseudo-header, in any order and any width: the sum is of 16-bit words
	// with end-around carry, and 2^16 is one in it.
	s := uint64(proto) + uint64(uint32(n)>>16) + uint64(n&0xffff)
	if src.Is4() {
		a, b := src.As4(), dst.As4()
		s += uint64(binary.BigEndian.Uint32(a[:])) + uint64(binary.BigEndian.Uint32(b[:]))
	} else {
		a, b := src.As16(), dst.As16()
		for i := 0; i < 16; i += 4 {
			s += uint64(binary.BigEndian.Uint32(a[i:])) + uint64(binary.BigEndian.Uint32(b[i:]))
		}
	}
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	c.sum = fold(c.sum + uint32(s>>16) + uint32(s&0xffff))
}

// Partial returns the sum itself: what a header's checksum field holds when a
// device is to complete it.
func (c *Checksum) Partial() uint16 { return uint16(c.sum) }

// Sum returns the complement of the sum: the value of a checksum field. Over bytes
// that contain their own correct checksum it is zero.
func (c *Checksum) Sum() uint16 { return ^uint16(c.sum) }

// ChecksumOf returns the checksum of b.
func ChecksumOf(b []byte) uint16 { return ^sum16(b) }

func fold(s uint32) uint32 {
	s = s>>16 + s&0xffff
	return s>>16 + s&0xffff
}

// sum16 returns the ones' complement sum of b's 16-bit words. The sum does not
// depend on byte order (RFC 1071, section 2B), so it is taken eight bytes at a
// time, little end first, and swapped at the end.
func sum16(b []byte) uint16 {
	var s, carry uint64

	// A chain of additions with carry, eight words a turn, so that the loop itself costs
	// little.
	for len(b) >= 64 {
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[24:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[32:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[40:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[48:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[56:]), carry)
		b = b[64:]
	}
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	var tail uint64
	if len(b) >= 4 {
		tail = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		tail += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		tail += uint64(b[0])
	}

	// The last carry can bring one more, and no third.
	s, carry = bits.Add64(s, tail, carry)
	s, carry = bits.Add64(s, 0, carry)
	s += carry
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return bits.ReverseBytes16(uint16(s))
}

// UpdateChecksum returns the checksum field sum after a word that it covers has
// changed from old to new (RFC 1624, section 3).
func UpdateChecksum(sum, old, new uint16) uint16 {
	// Equation 3, which is right where the sum comes to zero, as RFC 1141's is not.
	return ^uint16(fold(uint32(^sum) + uint32(^old) + uint32(new)))
}
