package sctp

import (
	"math/bits"
	"sync"
)

// sentChunk is a DATA chunk that has a TSN.
type sentChunk struct {
	msg   *message
	flow  *flow // that it last left by
	off   uint32
	n     uint32 // bytes of user data, from off on
	fsn   uint32
	sends uint16 // transmissions, at most 65535
	state chunkState
	miss  uint8 // miss indications (RFC 9260, section 7.2.4)
}

type chunkState uint8

const (
	chunkBegin     chunkState = 1 << iota // first fragment of its message
	chunkEnd                              // last one
	chunkAcked                            // by a Gap Ack Block
	chunkMarked                           // for retransmission: not outstanding
	chunkFast                             // not to be retransmitted fast again (section 7.2.4, step 4)
	chunkAbandoned                        // given up (RFC 3758): neither outstanding nor to be sent
)

// outstanding says that the network or the peer may have it, and nobody has said so.
func (c *sentChunk) outstanding() bool {
	return c.state&(chunkAcked|chunkMarked|chunkAbandoned) == 0
}

// sentChunks is a ring of the chunks with TSNs in a row: the TSN is the index.
type sentChunks struct {
	a *chunkArray // nil while there is none
}

type chunkArray struct {
	c     []sentChunk
	acked []uint64 // a bit for each: that of a TSN is TSN%64 of word TSN/64, and words are a ring, too
	class int
}

// Arrays have 16, 64, 256 ... chunks, and come from pools.
const (
	chunkArrayMin   = 16
	chunkArrayShift = 2
)

var chunkArrays [14]sync.Pool

func newChunkArray(class int) *chunkArray {
	if a, _ := chunkArrays[class].Get().(*chunkArray); a != nil {
		return a
	}
	n := chunkArrayMin << (chunkArrayShift * class)
	return &chunkArray{make([]sentChunk, n), make([]uint64, (n+63)/64), class}
}

func (q *sentChunks) at(tsn uint64) *sentChunk { return &q.a.c[tsn&uint64(len(q.a.c)-1)] }

// push makes room for the chunk nxt behind those from una on, and returns it, empty.
func (q *sentChunks) push(una, nxt uint64) *sentChunk {
	switch {
	case q.a == nil:
		q.a = newChunkArray(0)
	case nxt-una == uint64(len(q.a.c)):
		old := *q
		q.a = newChunkArray(old.a.class + 1)
		for t := una; t < nxt; t++ {
			*q.at(t) = *old.at(t)
			q.setAcked(t, old.at(t).state&chunkAcked != 0)
			*old.at(t) = sentChunk{}
		}
		old.release()
	}
	c := q.at(nxt)
	*c = sentChunk{}
	q.setAcked(nxt, false)
	return c
}

// setAcked notes that a chunk was acknowledged by a Gap Ack Block, or was not.
func (q *sentChunks) setAcked(tsn uint64, acked bool) {
	w, bit := &q.a.acked[tsn>>6&uint64(len(q.a.acked)-1)], uint64(1)<<(tsn&63)
	if c := q.at(tsn); acked {
		c.state |= chunkAcked
		*w |= bit
	} else {
		c.state &^= chunkAcked
		*w &^= bit
	}
}

// seek returns the first TSN of [from, to) that is acknowledged so, or is not; to if there is none.
func (q *sentChunks) seek(from, to uint64, acked bool) uint64 {
	for from < to {
		w := q.a.acked[from>>6&uint64(len(q.a.acked)-1)]
		if !acked {
			w = ^w
		}
		if w >>= from & 63; w != 0 {
			return min(from+uint64(bits.TrailingZeros64(w)), to)
		}
		from = (from | 63) + 1
	}
	return to
}

// release gives the array back, of which every chunk has been cleared: an association that has nothing
// outstanding holds nothing for it.
func (q *sentChunks) release() {
	if q.a != nil {
		chunkArrays[q.a.class].Put(q.a)
		q.a = nil
	}
}
