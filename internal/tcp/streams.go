package tcp

import (
	"sync/atomic"
	"time"
)

// streamsTurn is for how long streams are counted: each of some dozens that share a processor has run in it.
const streamsTurn = 4 * time.Millisecond

// streams counts the connections of a host that have had much queued lately, without a list of them: each tells of itself once a
// turn. It is read more often than written, and has the number of a turn and what was counted in the turn before and in
// this one, so that all change at once.
type streams struct{ word atomic.Uint64 }

const (
	streamsBits = 16
	streamsMost = 1<<streamsBits - 1
)

// full counts a connection that has much queued now and has done so last in the turn last. It returns the turn.
func (s *streams) full(now time.Duration, last uint32) uint32 {
	turn := uint32(now/streamsTurn) | 1<<31 // never 0, which is none
	if turn == last {
		return turn
	}
	for {
		w := s.word.Load()
		at, before, n := uint32(w>>(2*streamsBits)), w>>streamsBits&streamsMost, w&streamsMost
		switch turn - at {
		case 0:
			n = min(n+1, streamsMost)
		case 1:
			at, before, n = turn, n, 1
		case 1<<32 - 1: // another lane's clock is ahead
			n = min(n+1, streamsMost)
		default:
			at, before, n = turn, 0, 1
		}
		if s.word.CompareAndSwap(w, uint64(at)<<(2*streamsBits)|before<<streamsBits|n) {
			return turn
		}
	}
}

// lately returns how many were counted in the last turn in which there was one, or in the one before it; at least 1.
func (s *streams) lately() int {
	w := s.word.Load()
	return max(int(w>>streamsBits&streamsMost), int(w&streamsMost), 1)
}
