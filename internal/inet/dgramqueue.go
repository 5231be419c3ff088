package inet

import (
	"iter"
	"sync"

	"usock/internal/socket"
	"usock/packet"
)

// dgramQueue is the datagrams that wait for a program, in order. They lie in chunks: the first is the
// queue's own, as small as what a socket needs that keeps up, and for what is more there come chunks
// from a pool, which go back as soon as they are empty. So a queue that grows moves nothing, one that is
// filled and emptied again and again takes no new memory, and an idle one keeps its own chunk alone.
//
//	own [····5678] ──► pooled [9······] ──► nil
//	     head ▲                ▲ tail
//
// A chunk can be taken out whole (detach), for a receiver that wants many, and comes back empty (takeBack).
//
// The zero value is an empty queue without memory.
type dgramQueue struct {
	own         *chunk // once there was a datagram; nil while it is detached
	first, last *chunk // of the list; nil if it is empty
	head, tail  uint16 // the first datagram in first, and the place behind the last one in last
	detached    bool   // own is
	n           int
}

const (
	ownChunk    = 8
	pooledChunk = 32
)

// chunk is places for datagrams. Those that hold none are zero: what is in a pool must keep nothing
// alive.
//
// It has a room for the bytes of small datagrams. Who puts one in copies it there and keeps its block and
// packet: a receiver on another processor frees a room for many instead of a block for each, which the
// sender would have to take back from that processor's pool. The room's references are taken beforehand,
// for the same reason.
type chunk struct {
	next *chunk
	p    []datagram
	cost int // of the datagrams that are in it

	room   *packet.Block // nil until there is a small one
	used   int           // bytes of room
	unused int           // references of room that no datagram has
}

// maxCopied is the most bytes that a datagram has which is copied: what the smallest block holds.
const maxCopied = socket.MaxSmall

var chunks = sync.Pool{New: func() any { return &chunk{p: make([]datagram, pooledChunk)} }}

// copy puts the bytes into the room of the chunk and returns a view of them with a reference.
func (c *chunk) copy(b []byte) packet.View {
	if c.room == nil {
		c.room = packet.NewBlock(len(c.p) * maxCopied)
		c.room.RetainBy(len(c.p) - 1)
		c.unused = len(c.p)
	}
	at := c.used
	c.used += copy(c.room.Bytes()[at:], b)
	c.unused--
	return c.room.View(at, c.used)
}

// reset gives the room back. The chunk's datagrams have their references of it.
func (c *chunk) reset() {
	if c.room != nil && c.unused > 0 {
		c.room.ReleaseBy(c.unused)
	}
	c.next, c.cost, c.room, c.used, c.unused = nil, 0, nil, 0, 0
}

func (q *dgramQueue) len() int { return q.n }

// push makes place for a datagram behind the others, in the last chunk. It is zero, and valid until it is
// popped.
func (q *dgramQueue) push() *datagram {
	switch {
	case q.first == nil:
		if q.own == nil && !q.detached {
			q.own = &chunk{p: make([]datagram, ownChunk)}
		}
		c := q.own
		if c == nil {
			c = chunks.Get().(*chunk)
		}
		q.first, q.last = c, c
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
	q.first.cost -= int(g.cost)
	q.head++
	q.n--
	if q.n == 0 || int(q.head) == len(q.first.p) {
		q.recycle(q.unlink())
	}
	return g
}

// unlink takes the first chunk out of the list.
func (q *dgramQueue) unlink() *chunk {
	c := q.first
	q.first, q.head = c.next, 0
	if q.first == nil {
		q.last = nil
	}
	return c
}

// recycle keeps an empty chunk that is the queue's own, and gives another one back.
func (q *dgramQueue) recycle(c *chunk) {
	c.reset()
	if c != q.own {
		chunks.Put(c)
	}
}

// detach takes the first chunk out of a queue that has one, with the datagrams c.p[from:to].
func (q *dgramQueue) detach() (c *chunk, from, to int) {
	from, to = int(q.head), len(q.first.p)
	if q.first == q.last {
		to = int(q.tail)
	}
	c = q.unlink()
	q.n -= to - from
	if c == q.own {
		q.own, q.detached = nil, true
	}
	return c, from, to
}

// takeBack takes a chunk that was detached, from which all datagrams have been taken.
func (q *dgramQueue) takeBack(c *chunk) {
	clear(c.p)
	if len(c.p) == ownChunk {
		q.own, q.detached = c, false
	}
	q.recycle(c)
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

// free gives all memory back. Datagrams that are left are forgotten, what they hold is not freed.
func (q *dgramQueue) free() {
	for q.first != nil {
		c := q.unlink()
		clear(c.p)
		q.recycle(c)
	}
	*q = dgramQueue{}
}
