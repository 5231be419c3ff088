package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// slowSum is the sum by its definition (RFC 1071, section 1).
func slowSum(b []byte) uint16 {
	var s uint32
	for i, c := range b {
		if i%2 == 0 {
			s += uint32(c) << 8
		} else {
			s += uint32(c)
		}
		s = s>>16 + s&0xffff
	}
	return uint16(s>>16 + s&0xffff)
}

// The example of RFC 1071, section 3.
func TestChecksumExample(t *testing.T) {
	if s := ChecksumOf([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); s != ^uint16(0xddf2) {
		t.Errorf("%04x", s)
	}
}

func TestChecksumLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		b := make([]byte, n)
		for i := range b {
			if r.IntN(3) == 0 {
				b[i] = 0xff // carries
			} else {
				b[i] = byte(r.Uint32())
			}
		}
		want := ^slowSum(b)
		if got := ChecksumOf(b); got != want {
			t.Fatalf("%d bytes: %04x, want %04x", n, got, want)
		}
		var c Checksum
		for rest := b; len(rest) > 0; {
			k := r.IntN(len(rest)) + 1
			c.Add(rest[:k])
			c.Add(nil)
			rest = rest[k:]
		}
		if got := c.Sum(); got != want {
			t.Fatalf("%d bytes in pieces: %04x, want %04x", n, got, want)
		}
	}
}

func TestChecksumSaturated(t *testing.T) {
	b := make([]byte, 65536)
	for i := range b {
		b[i] = 0xff
	}
	if s := ChecksumOf(b); s != 0 {
		t.Errorf("%04x", s)
	}
}

func TestChecksumPseudo(t *testing.T) {
	for _, a := range [][2]string{{"1.2.3.4", "255.255.255.255"}, {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1"}} {
		src, dst := netip.MustParseAddr(a[0]), netip.MustParseAddr(a[1])
		for _, n := range []int{0, 1, 65535, 65536, 70000} {
			b := append(src.AsSlice(), dst.AsSlice()...)
			b = binary.BigEndian.AppendUint32(b, uint32(n))
			b = append(b, 0, 0, 0, 17)
			var c Checksum
			c.AddPseudo(src, dst, 17, n)
			if c.Partial() != slowSum(b) {
				t.Errorf("%v %d: %04x, want %04x", a, n, c.Partial(), slowSum(b))
			}
		}
	}
}

func TestUpdateChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		b := make([]byte, 20)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		old := binary.BigEndian.Uint16(b[6:])
		before := ChecksumOf(b)
		v := uint16(r.Uint32())
		binary.BigEndian.PutUint16(b[6:], v)
		if got, want := UpdateChecksum(before, old, v), ChecksumOf(b); got != want {
			t.Fatalf("%04x, want %04x", got, want)
		}
	}
}

func BenchmarkChecksum1500(b *testing.B) {
	p := make([]byte, 1500)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		ChecksumOf(p)
	}
}

func BenchmarkChecksum64K(b *testing.B) {
	p := make([]byte, 65536)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		ChecksumOf(p)
	}
}
