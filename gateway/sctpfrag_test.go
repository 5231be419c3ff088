//go:build linux

package gateway

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// cut returns the fragments of a packet of SCTP's with the data, n bytes in each.
func cut(data []byte, n int, v4 bool, id byte) (out [][]byte) {
	for off := 0; off < len(data); off += n {
		part := data[off:min(off+n, len(data))]
		last := off+n >= len(data)
		var b []byte
		if v4 {
			b = make([]byte, minIPv4)
			b[0], b[5], b[9] = 0x45, id, unix.IPPROTO_SCTP
			at := uint16(off / 8)
			if !last {
				at |= moreFragments4
			}
			binary.BigEndian.PutUint16(b[6:], at)
		} else {
			b = make([]byte, lenIPv6+lenFragment)
			b[0], b[6], b[lenIPv6], b[lenIPv6+7] = 0x60, nextFragment, unix.IPPROTO_SCTP, id
			at := uint16(off)
			if !last {
				at |= 1
			}
			binary.BigEndian.PutUint16(b[lenIPv6+2:], at)
		}
		out = append(out, append(b, part...))
	}
	return out
}

// Packets are put together from fragments in any order, with others between them; those that never become whole are
// given up.
func TestSCTPFragments(t *testing.T) {
	data := make([]byte, 4001)
	for i := range data {
		data[i] = byte(i / 7)
	}
	for _, v4 := range []bool{true, false} {
		for name, order := range map[string]func([][]byte){
			"in order": func([][]byte) {}, "backwards": func(l [][]byte) { slices.Reverse(l) },
			"the last one in between": func(l [][]byte) { l[1], l[len(l)-1] = l[len(l)-1], l[1] },
		} {
			f := make(fragments)
			list, others := cut(data, 1000, v4, 1), cut(data, 1600, v4, 2)
			order(list)
			var got []byte
			for i, b := range list {
				if !isFragment(b, v4) {
					t.Fatalf("IPv4 %v: %d is no fragment", v4, i)
				}
				if whole := f.add(b, v4); whole != nil {
					if i != len(list)-1 {
						t.Errorf("IPv4 %v, %s: whole after %d", v4, name, i+1)
					}
					got = whole
				}
				if i < len(others)-1 && f.add(others[i], v4) != nil {
					t.Errorf("IPv4 %v, %s: another is whole", v4, name)
				}
			}
			k, ok := sctpPacket{}, false
			if got != nil && !isFragment(got, v4) {
				k, ok = parseSCTP(got, v4)
			}
			if !ok || !bytes.Equal(k.body, data) {
				t.Errorf("IPv4 %v, %s: %d bytes of %d", v4, name, len(k.body), len(data))
			}
			if len(f) != 1 {
				t.Errorf("IPv4 %v, %s: %d packets wait, want the other one", v4, name, len(f))
			}
			for i := range 4 * maxFragmented {
				f.add(cut(data, 1000, v4, byte(i))[0], v4)
			}
			if len(f) > maxFragmented {
				t.Errorf("%d packets wait", len(f))
			}
		}
	}
}
