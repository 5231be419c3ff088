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
	segs  uint8     // of those SACKed: segments that it was sent in, at most 255
	why   trace.Why // it was last taken to be lost
}

type sentFlags uint8

const (
	segSacked  sentFlags = 1 << iota // the peer has it (RFC 2018)
	segLost                          // taken to be lost, not sent again since
	segRetrans                       // sent again, and neither lost again nor delivered
	segPushed                        // its last byte was pushed
)

func (r *sentSegment) end() uint64 { return r.start + uint64(r.n) }

// absorb makes r, which is SACKed, stand for its neighbour o as well.
func (r *sentSegment) absorb(o *sentSegment) {
	r.n += o.n
	r.sent = max(r.sent, o.sent)
	r.segs = uint8(min(int(r.segs)+int(o.segs), 255))
}

// scoreboard is the list of sent segments from snd.una to snd.nxt, in the order of the stream: a few
// arrays one behind another, so that a SACK that splits one of a hundred thousand moves some of one
// array. What is SACKed in a row is one sent segment: each acknowledgment looks at little more than
// it marks. The arrays come from pools and go back when nothing is in flight.
type scoreboard struct {
	parts []boardPart
	n     uint32       // sent segments
	few   [2]boardPart // of parts, while they are few
}

// boardPart is the sent segments a.r[lo:hi], of which there is at least one.
type boardPart struct {
	a      *segmentArray
	lo, hi uint16
}

type segmentArray struct {
	r     []sentSegment
	class int
}

// Arrays have 8, 32 or 128 sent segments. Only of the largest are there several.
const (
	segmentArrayMin   = 8
	segmentArrayShift = 2
	segmentArrayTop   = 2
)

var segmentArrays [segmentArrayTop + 1]sync.Pool

func newSegmentArray(class int) *segmentArray {
	if a, _ := segmentArrays[class].Get().(*segmentArray); a != nil {
		return a
	}
	return &segmentArray{r: make([]sentSegment, segmentArrayMin<<(segmentArrayShift*class)), class: class}
}

func (a *segmentArray) free() { segmentArrays[a.class].Put(a) }

// place is where a sent segment is: the part, and the index in its array. Places are in the order of
// the stream, and hold until a sent segment is added or taken out.
type place uint32

const placeShift = 8

func (b *scoreboard) at(p place) *sentSegment {
	return &b.parts[p>>placeShift].a.r[p&(1<<placeShift-1)]
}

// first returns the place of the first sent segment, end that behind the last one.
func (b *scoreboard) first() place {
	if len(b.parts) == 0 {
		return 0
	}
	return place(b.parts[0].lo)
}

func (b *scoreboard) end() place { return place(len(b.parts)) << placeShift }

func (b *scoreboard) last() place {
	k := len(b.parts) - 1
	return place(k)<<placeShift | place(b.parts[k].hi-1)
}

func (b *scoreboard) next(p place) place {
	k := p >> placeShift
	if i := p&(1<<placeShift-1) + 1; i < place(b.parts[k].hi) {
		return k<<placeShift | i
	}
	if k++; k < place(len(b.parts)) {
		return k<<placeShift | place(b.parts[k].lo)
	}
	return b.end()
}

// prev returns the place before p, which is not the first one.
func (b *scoreboard) prev(p place) place {
	k := p >> placeShift
	if k < place(len(b.parts)) && p&(1<<placeShift-1) > place(b.parts[k].lo) {
		return p - 1
	}
	return (k-1)<<placeShift | place(b.parts[k-1].hi-1)
}

// enlarge makes room for sent segments behind those of the part k, which is the last one or has an
// array that is not of the largest.
func (b *scoreboard) enlarge(k int) {
	q := &b.parts[k]
	n := q.hi - q.lo
	if q.lo >= n && n > 0 {
		copy(q.a.r, q.a.r[q.lo:q.hi])
		q.lo, q.hi = 0, n
		return
	}
	if q.a.class == segmentArrayTop {
		b.parts = append(b.parts, boardPart{a: newSegmentArray(segmentArrayTop)})
		return
	}
	a := newSegmentArray(q.a.class + 1)
	copy(a.r, q.a.r[q.lo:q.hi])
	q.a.free()
	*q = boardPart{a, 0, n}
}

// push adds an empty sent segment at the end and returns it.
func (b *scoreboard) push() *sentSegment {
	if len(b.parts) == 0 {
		b.parts = append(b.few[:0], boardPart{a: newSegmentArray(0)})
	} else if q := &b.parts[len(b.parts)-1]; int(q.hi) == len(q.a.r) {
		b.enlarge(len(b.parts) - 1)
	}
	q := &b.parts[len(b.parts)-1]
	r := &q.a.r[q.hi]
	*r = sentSegment{}
	q.hi++
	b.n++
	return r
}

func (b *scoreboard) popFront() {
	q := &b.parts[0]
	q.lo++
	b.n--
	if q.lo == q.hi {
		b.dropPart(0)
	}
}

// dropPart takes an empty part out. Most connections are idle most of the time: with the last one
// goes all that is held.
func (b *scoreboard) dropPart(k int) {
	b.parts[k].a.free()
	copy(b.parts[k:], b.parts[k+1:])
	b.parts[len(b.parts)-1] = boardPart{}
	b.parts = b.parts[:len(b.parts)-1]
	if len(b.parts) == 0 {
		b.parts = nil
	}
}

func (b *scoreboard) free() {
	for _, q := range b.parts {
		q.a.free()
	}
	*b = scoreboard{}
}

// find returns the place of the first sent segment that ends behind off.
func (b *scoreboard) find(off uint64) place {
	k, top := 0, len(b.parts)
	for k < top {
		m := (k + top) / 2
		if q := &b.parts[m]; q.a.r[q.hi-1].end() > off {
			top = m
		} else {
			k = m + 1
		}
	}
	if k == len(b.parts) {
		return b.end()
	}
	q := &b.parts[k]
	lo, hi := q.lo, q.hi
	for lo < hi {
		if m := (lo + hi) / 2; q.a.r[m].end() > off {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return place(k)<<placeShift | place(lo)
}

// split cuts the sent segment at p at off, which lies inside it, in two, and returns the place of the
// first.
func (b *scoreboard) split(p place, off uint64) place {
	p = b.room(p)
	k, i := p>>placeShift, uint16(p&(1<<placeShift-1))
	q := &b.parts[k]
	b.n++

	// The shorter side moves.
	if q.lo > 0 && (int(q.hi) == len(q.a.r) || i-q.lo < q.hi-i) {
		copy(q.a.r[q.lo-1:], q.a.r[q.lo:i+1])
		q.lo--
		i--
		p--
	} else {
		copy(q.a.r[i+1:], q.a.r[i:q.hi])
		q.hi++
	}

	l, r := &q.a.r[i], &q.a.r[i+1]
	l.n = uint32(off - l.start)
	l.flags &^= segPushed
	r.n -= l.n
	r.start = off
	l.Narrow(r.n)
	return p
}

// room makes room for one more in the part of p, and returns where p is then.
func (b *scoreboard) room(p place) place {
	k, i := int(p>>placeShift), uint16(p&(1<<placeShift-1))
	q := &b.parts[k]
	n := q.hi - q.lo
	switch {
	case int(n) < len(q.a.r):
		return p
	case q.a.class < segmentArrayTop:
		b.enlarge(k)
		return place(k)<<placeShift | place(i)
	}

	// The upper half becomes a part of its own.
	a := newSegmentArray(segmentArrayTop)
	half := n / 2
	copy(a.r, q.a.r[half:])
	q.hi = half
	b.parts = append(b.parts, boardPart{})
	copy(b.parts[k+2:], b.parts[k+1:])
	b.parts[k+1] = boardPart{a, 0, n - half}
	if i < half {
		return p
	}
	return place(k+1)<<placeShift | place(i-half)
}

// remove takes the sent segment at p out.
func (b *scoreboard) remove(p place) {
	k, i := int(p>>placeShift), uint16(p&(1<<placeShift-1))
	q := &b.parts[k]
	b.n--
	if i-q.lo < q.hi-i {
		copy(q.a.r[q.lo+1:], q.a.r[q.lo:i])
		q.lo++
	} else {
		copy(q.a.r[i:], q.a.r[i+1:q.hi])
		q.hi--
	}
	if q.lo == q.hi {
		b.dropPart(k)
		return
	}

	// Parts that are nearly empty are joined, or each could come to hold a single one.
	if k > 0 {
		b.join(k - 1)
	} else if len(b.parts) > 1 {
		b.join(0)
	}
}

// join makes one part of k and the one behind it, if that is half full at most.
func (b *scoreboard) join(k int) {
	q, o := &b.parts[k], &b.parts[k+1]
	n, more := q.hi-q.lo, o.hi-o.lo
	if int(n+more) > len(q.a.r)/2 {
		return
	}
	if int(q.hi+more) > len(q.a.r) {
		copy(q.a.r, q.a.r[q.lo:q.hi])
		q.lo, q.hi = 0, n
	}
	copy(q.a.r[q.hi:], o.a.r[o.lo:o.hi])
	q.hi += more
	b.dropPart(k + 1)
}

// sack puts r, which is SACKed, in the place of as much of the sent segment at p, joined to what is
// SACKed beside it, and returns the place behind it.
func (b *scoreboard) sack(p place, r *sentSegment) place {
	whole := b.at(p)
	left, right := r.start > whole.start, r.end() < whole.end()

	if !left && p > b.first() {
		if o := b.at(b.prev(p)); o.flags&segSacked != 0 {
			o.absorb(r)
			if right {
				whole.start += uint64(r.n)
				whole.n -= r.n
				return p
			}
			if next := b.next(p); next < b.end() && b.at(next).flags&segSacked != 0 {
				o.absorb(b.at(next))
				b.remove(next) // moves nothing that is before it, but perhaps into another part
				p = b.find(r.start - 1)
				p = b.next(p)
			}
			end := b.at(b.prev(p)).end()
			b.remove(p)
			return b.find(end)
		}
	}
	if !right {
		if next := b.next(p); next < b.end() && b.at(next).flags&segSacked != 0 {
			o := b.at(next)
			o.start = r.start
			o.absorb(r)
			if left {
				whole.n -= r.n
				whole.Narrow(r.n)
				whole.flags &^= segPushed
				return b.next(next)
			}
			end := o.end()
			b.remove(p)
			return b.find(end)
		}
	}

	if left {
		p = b.next(b.split(p, r.start))
	}
	if right {
		p = b.split(p, r.end())
	}
	*b.at(p) = *r
	return b.next(p)
}
