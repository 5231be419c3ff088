package wire

import "testing"

// The check value of CRC32c, and 32 zeros (RFC 3720, appendix B.4), in one piece and in two.
func TestCRC32c(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want CRC32c
	}{
		{[]byte("123456789"), 0xe3069283},
		{make([]byte, 32), 0x8a9136aa},
	} {
		for cut := range c.b {
			var sum CRC32c
			sum.Add(c.b[:cut])
			sum.Add(c.b[cut:])
			if sum != c.want {
				t.Errorf("%q cut at %d: %#x, want %#x", c.b, cut, uint32(sum), uint32(c.want))
			}
		}
	}
}
