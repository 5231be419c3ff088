package buf

import (
	"sync"

	"usock/packet"
)

// piece is a view with its place in a stream.
type piece struct {
	packet.View
	pos uint64 // stream offset of the first byte
}

func (p *piece) end() uint64 { return p.pos + uint64(p.Len()) }

// ring is a double-ended list of pieces. Its array comes from a pool and goes
// back when the list becomes empty, so that an idle stream holds none.
type ring struct {
	a    *array
	head uint32
	n    uint32
}

type array struct {
	p     []piece // a power of two of them
	class int
}

// Arrays have 16, 64, 256, … pieces.
const (
	arrayMin   = 16
	arrayShift = 2
)

var arrays [10]sync.Pool

func newArray(class int) *array {
	if a, _ := arrays[class].Get().(*array); a != nil {
		return a
	}
	return &array{p: make([]piece, arrayMin<<(arrayShift*class)), class: class}
}

func (r *ring) at(i uint32) *piece { return &r.a.p[(r.head+i)&uint32(len(r.a.p)-1)] }

func (r *ring) back() *piece { return r.at(r.n - 1) }

// grow makes room for one more piece.
func (r *ring) grow() {
	if r.a == nil {
		r.a, r.head = newArray(0), 0
		return
	}
	if int(r.n) < len(r.a.p) {
		return
	}

	// Straightened out on the way, so that the index stays a mask of the new size.
	a := newArray(r.a.class + 1)
	k := copy(a.p, r.a.p[r.head:])
	copy(a.p[k:], r.a.p[:r.head])

	// What is in a pool must hold no block.
	clear(r.a.p)
	arrays[r.a.class].Put(r.a)
	r.a, r.head = a, 0
}

func (r *ring) push(p piece) {
	r.grow()
	r.n++
	*r.back() = p
}

// insert puts p before the piece i, moving the shorter side.
func (r *ring) insert(i uint32, p piece) {
	r.grow()
	if i < r.n/2 {
		r.head = (r.head - 1) & uint32(len(r.a.p)-1)
		r.n++
		for j := uint32(0); j < i; j++ {
			*r.at(j) = *r.at(j + 1)
		}
	} else {
		r.n++
		for j := r.n - 1; j > i; j-- {
			*r.at(j) = *r.at(j - 1)
		}
	}
	*r.at(i) = p
}

// popFront takes the first piece out.
func (r *ring) popFront() {
	// A place that is free must not keep a block alive.
	*r.at(0) = piece{}
	r.head = (r.head + 1) & uint32(len(r.a.p)-1)
	r.shrink()
}

// popBack takes the last piece out.
func (r *ring) popBack() {
	*r.back() = piece{}
	r.shrink()
}

func (r *ring) shrink() {
	r.n--

	// Most streams are idle most of the time, and hold no array then.
	if r.n == 0 {
		arrays[r.a.class].Put(r.a)
		r.a, r.head = nil, 0
	}
}

// after returns the index of the first piece that ends behind off, n if none.
func (r *ring) after(off uint64) uint32 {
	lo, hi := uint32(0), r.n
	for lo < hi {
		if m := (lo + hi) / 2; r.at(m).end() > off {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}
