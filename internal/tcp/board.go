package tcp

import (
	"sync"

	"usock/internal/cc"
)

// A rec is a range of the stream that is in flight: when it was last sent, how
// often, and what became of it. Ranges of full segments that were sent at one
// moment share a record; a SACK or a loss splits them again, at multiples of the
// MSS.
type rec struct {
	cc.Stamp
	start uint64
	n     uint32
	sent  uint8 // transmissions, at most 255
	flags recFlags
}

type recFlags uint8

const (
	recSacked  recFlags = 1 << iota // the peer has it (RFC 2018)
	recLost                         // taken to be lost, not sent again since
	recRetrans                      // sent again, and neither lost again nor delivered
)

func (r *rec) end() uint64 { return r.start + uint64(r.n) }

// board is the list of records from snd.una to snd.nxt: a ring in the order of
// the stream. Its array comes from a pool and goes back when nothing is in
// flight.
type board struct {
	a    *recArray
	head uint32
	n    uint32
}

type recArray struct {
	r     []rec
	class int
}

// Arrays have 8, 32, 128, … records.
const (
	recArrayMin   = 8
	recArrayShift = 2
)

var recArrays [12]sync.Pool

func newRecArray(class int) *recArray {
	if a, _ := recArrays[class].Get().(*recArray); a != nil {
		return a
	}
	return &recArray{r: make([]rec, recArrayMin<<(recArrayShift*class)), class: class}
}

func (b *board) at(i uint32) *rec { return &b.a.r[(b.head+i)&uint32(len(b.a.r)-1)] }

func (b *board) back() *rec { return b.at(b.n - 1) }

func (b *board) grow() {
	if b.a == nil {
		b.a, b.head = newRecArray(0), 0
		return
	}
	if int(b.n) < len(b.a.r) {
		return
	}
	a := newRecArray(b.a.class + 1)
	k := copy(a.r, b.a.r[b.head:])
	copy(a.r[k:], b.a.r[:b.head])
	recArrays[b.a.class].Put(b.a)
	b.a, b.head = a, 0
}

// push adds an empty record at the end and returns it.
func (b *board) push() *rec {
	b.grow()
	b.n++
	r := b.back()
	*r = rec{}
	return r
}

func (b *board) popFront() {
	b.head = (b.head + 1) & uint32(len(b.a.r)-1)
	b.n--
	if b.n == 0 {
		b.free()
	}
}

func (b *board) free() {
	if b.a != nil {
		recArrays[b.a.class].Put(b.a)
	}
	b.a, b.head, b.n = nil, 0, 0
}

// find returns the index of the first record that ends behind off.
func (b *board) find(off uint64) uint32 {
	lo, hi := uint32(0), b.n
	for lo < hi {
		if m := (lo + hi) / 2; b.at(m).end() > off {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// split cuts the record i at off, which lies inside it, in two.
func (b *board) split(i uint32, off uint64) {
	b.grow()
	if i < b.n/2 {
		b.head = (b.head - 1) & uint32(len(b.a.r)-1)
		b.n++
		for j := uint32(0); j <= i; j++ {
			*b.at(j) = *b.at(j + 1)
		}
	} else {
		b.n++
		for j := b.n - 1; j > i; j-- {
			*b.at(j) = *b.at(j - 1)
		}
	}
	l, r := b.at(i), b.at(i+1)
	l.n = uint32(off - l.start)
	r.n -= l.n
	r.start = off
}
