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
		out = append(out, fragment(data[off:min(off+n, len(data))], off, off+n < len(data), v4, id))
	}
	return out
}

// fragment returns one with a part of the data, from off on.
func fragment(part []byte, off int, more, v4 bool, id byte) (b []byte) {
	if v4 {
		b = make([]byte, minIPv4)
		b[0], b[5], b[9] = 0x45, id, unix.IPPROTO_SCTP
		at := uint16(off / 8)
		if more {
			at |= moreFragments4
		}
		binary.BigEndian.PutUint16(b[6:], at)
	} else {
		b = make([]byte, lenIPv6+lenFragment)
		b[0], b[6], b[lenIPv6], b[lenIPv6+7] = 0x60, nextFragment, unix.IPPROTO_SCTP, id
		at := uint16(off)
		if more {
			at |= 1
		}
		binary.BigEndian.PutUint16(b[lenIPv6+2:], at)
	}
	return append(b, part...)
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

// piece is a fragment: its data's place, and whether it says that it is the last.
type piece struct {
	from, to int
	last     bool
}

// TestSCTPFragmentsMeet looks at fragments that do not make a packet: they overlap, contradict each other, or leave a hole as long as
// what is there twice.
func TestSCTPFragmentsMeet(t *testing.T) {
	data := make([]byte, maxWhole+100)
	for i := range data {
		data[i] = byte(i / 8)
	}
	for name, c := range map[string]struct {
		pieces []piece
		whole  int // how long the packet is that comes of them; 0: none does
	}{
		"they make a packet":               {[]piece{{0, 16, false}, {16, 24, false}, {24, 29, true}}, 29},
		"one comes twice":                  {[]piece{{0, 16, false}, {0, 16, false}, {16, 24, true}}, 24},
		"a part of one comes again":        {[]piece{{8, 32, false}, {16, 24, false}, {32, 40, true}, {0, 8, false}}, 40},
		"what two have comes again":        {[]piece{{0, 16, false}, {16, 32, false}, {8, 24, false}, {32, 40, true}}, 40},
		"a hole and an overlap of a size":  {[]piece{{0, 16, false}, {8, 24, false}, {32, 40, true}}, 0},
		"a hole and a second time":         {[]piece{{0, 16, false}, {0, 16, false}, {32, 40, true}}, 0},
		"an overlap on the left":           {[]piece{{16, 32, false}, {8, 24, false}, {0, 16, false}, {32, 40, true}}, 0},
		"one over two":                     {[]piece{{0, 8, false}, {16, 24, false}, {0, 24, false}, {24, 32, true}, {8, 16, false}}, 0},
		"two ends":                         {[]piece{{16, 24, true}, {8, 16, true}, {0, 8, false}, {0, 16, false}}, 0},
		"an end before what came":          {[]piece{{16, 24, false}, {0, 8, true}}, 0},
		"data behind the end":              {[]piece{{8, 16, true}, {16, 24, false}, {0, 8, false}}, 0},
		"not a multiple of eight":          {[]piece{{0, 12, false}, {12, 20, true}}, 0},
		"no data":                          {[]piece{{0, 8, false}, {8, 8, true}}, 0},
		"longer than a packet can be":      {[]piece{{0, 65528, false}, {65528, 65560, true}}, 0},
		"begun anew after an overlap":      {[]piece{{8, 24, false}, {16, 32, false}, {8, 16, true}, {0, 8, false}}, 16},
		"the end comes first, whole later": {[]piece{{24, 29, true}, {8, 24, false}, {0, 8, false}}, 29},
	} {
		for _, v4 := range []bool{true, false} {
			f, whole := make(fragments), 0
			for i, p := range c.pieces {
				b := fragment(data[p.from:p.to], p.from, !p.last, v4, 1)
				if got := f.add(b, v4); got != nil {
					k, ok := parseSCTP(got, v4)
					if whole = len(k.body); !ok || i != len(c.pieces)-1 || !bytes.Equal(k.body, data[:whole]) {
						t.Errorf("IPv4 %v, %s: %d bytes after %d", v4, name, whole, i+1)
					}
				}
			}
			if whole != c.whole {
				t.Errorf("IPv4 %v, %s: %d bytes, want %d", v4, name, whole, c.whole)
			}
		}
	}
}
