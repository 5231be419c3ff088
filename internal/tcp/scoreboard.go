package tcp

import (
	"sync"

	"usock/internal/congestion"
	"usock/trace"
)

// A rec is a range of the stream that is in flight: when it was last sent, how
// often, and what became of it. Ranges of full segments that were sent at one
// moment share a sent segment; a SACK or a loss splits them again, at multiples of the
// MSS.
type sentSegment struct {
	congestion.Stamp
	start uint64
	n     uint32
	sent  uint8 // transmissions, at most 255
	flags sentFlags
	why   trace.Why // it was last taken to be lost
}

type sentFlags uint8

const (
	segSacked  sentFlags = 1 << iota // the peer has it (RFC 2018)
	segLost                          // taken to be lost, not sent again since
	segRetrans                       // sent again, and neither lost again nor delivered
)

func (r *sentSegment) end() uint64 { return r.start + uint64(r.n) }

// scoreboard is the list of sent segments from snd.una to snd.nxt: a ring in the order of
// the stream. Its array comes from a pool and goes back when nothing is in
// flight.
type scoreboard struct {
	a    *segmentArray
	head uint32
	n    uint32
}

type segmentArray struct {
	r     []sentSegment
	class int
}

// Arrays have 8, 32, 128, … sent segments.
const (
	segmentArrayMin   = 8
	segmentArrayShift = 2
)

var segmentArrays [12]sync.Pool

func newSegmentArray(class int) *segmentArray {
	if a, _ := segmentArrays[class].Get().(*segmentArray); a != nil {
		return a
	}
	return &segmentArray{r: make([]sentSegment, segmentArrayMin<<(segmentArrayShift*class)), class: class}
}

func (b *scoreboard) at(i uint32) *sentSegment { return &b.a.r[(b.head+i)&uint32(len(b.a.r)-1)] }

func (b *scoreboard) back() *sentSegment { return b.at(b.n - 1) }

func (b *scoreboard) grow() {
	if b.a == nil {
		b.a, b.head = newSegmentArray(0), 0
		return
	}
	if int(b.n) < len(b.a.r) {
		return
	}

	// In order from the start of the new array, so that index arithmetic stays a mask.
	a := newSegmentArray(b.a.class + 1)
	k := copy(a.r, b.a.r[b.head:])
	copy(a.r[k:], b.a.r[:b.head])
	segmentArrays[b.a.class].Put(b.a)
	b.a, b.head = a, 0
}

// push adds an empty sent segment at the end and returns it.
func (b *scoreboard) push() *sentSegment {
	b.grow()
	b.n++
	r := b.back()
	*r = sentSegment{}
	return r
}

func (b *scoreboard) popFront() {
	b.head = (b.head + 1) & uint32(len(b.a.r)-1)
	b.n--

	// Most connections are idle most of the time: they hold no array.
	if b.n == 0 {
		b.free()
	}
}

func (b *scoreboard) free() {
	if b.a != nil {
		segmentArrays[b.a.class].Put(b.a)
	}
	b.a, b.head, b.n = nil, 0, 0
}

// find returns the index of the first sent segment that ends behind off.
func (b *scoreboard) find(off uint64) uint32 {
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

// split cuts the sent segment i at off, which lies inside it, in two.
func (b *scoreboard) split(i uint32, off uint64) {
	b.grow()

	// The shorter side moves.
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
