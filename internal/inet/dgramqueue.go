package inet

import (
	"iter"
	"sync"
)

// dgramQueue is the datagrams that wait for a program, in order. They lie in chunks: the first is the
// queue's own, as small as what a socket needs that keeps up, and for what is more there come chunks
// from a pool, which go back as soon as they are empty. So a queue that grows moves nothing, one that is
// filled and emptied again and again takes no new memory, and an idle one keeps its own chunk alone.
//
//	own [····5678] ──► pooled [9······] ──► nil
//	     head ▲                ▲ tail
//
// The zero value is an empty queue without memory.
type dgramQueue struct {
	own         *chunk // once there was a datagram
	first, last *chunk // of the list; nil if it is empty
	head, tail  uint16 // the first datagram in first, and the place behind the last one in last
	n           int
}

const (
	ownChunk    = 8
	pooledChunk = 64
)

// chunk is places for datagrams. Those that hold none are zero: what is in a pool must keep nothing
// alive.
type chunk struct {
	next *chunk
	p    []datagram
}

var chunks = sync.Pool{New: func() any { return &chunk{p: make([]datagram, pooledChunk)} }}

func (q *dgramQueue) len() int { return q.n }

// push makes place for a datagram behind the others. It is zero, and valid until it is popped.
func (q *dgramQueue) push() *datagram {
	switch {
	case q.first == nil:
		if q.own == nil {
			q.own = &chunk{p: make([]datagram, ownChunk)}
		}
		q.first, q.last = q.own, q.own
		q.head, q.tail = 0, 0
	case int(q.tail) == len(q.last.p):
		c := chunks.Get().(*chunk)
		q.last.next = c
		q.last, q.tail = c, 0
	}
	q.tail++
	q.n++
	return &q.last.p[q.tail-1]
}

// pop takes the first datagram out of a queue that has one.
func (q *dgramQueue) pop() datagram {
	at := &q.first.p[q.head]
	g := *at
	*at = datagram{}
	q.head++
	q.n--
	if q.n == 0 || int(q.head) == len(q.first.p) {
		q.pass()
	}
	return g
}

// pass takes the first chunk, which is empty, out of the list.
func (q *dgramQueue) pass() {
	c := q.first
	q.first, q.head = c.next, 0
	if q.first == nil {
		q.last = nil
	}
	c.next = nil
	if c != q.own {
		chunks.Put(c)
	}
}

// front returns the first datagram, nil if there is none.
func (q *dgramQueue) front() *datagram {
	if q.n == 0 {
		return nil
	}
	return &q.first.p[q.head]
}

// back returns the last datagram, nil if there is none.
func (q *dgramQueue) back() *datagram {
	if q.n == 0 {
		return nil
	}
	return &q.last.p[q.tail-1]
}

// all are the datagrams in order. The queue must not change meanwhile.
func (q *dgramQueue) all() iter.Seq[*datagram] {
	return func(yield func(*datagram) bool) {
		for c, i := q.first, q.head; c != nil; c, i = c.next, 0 {
			end := uint16(len(c.p))
			if c == q.last {
				end = q.tail
			}
			for ; i < end; i++ {
				if !yield(&c.p[i]) {
					return
				}
			}
		}
	}
}

// free gives all memory back. Datagrams that are left are forgotten, their packets are not freed.
func (q *dgramQueue) free() {
	for q.first != nil {
		clear(q.first.p)
		q.pass()
	}
	*q = dgramQueue{}
}
