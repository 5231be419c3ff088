package sctp

import (
	"cmp"
	"slices"

	"usock/packet"
)

// pieceCost is what a piece is charged beside its bytes: itself, its run, and a block that holds little
// else.
const pieceCost = 256

// initialWindow is the window while nothing is held.
func (r *receiver) initialWindow() uint32 { return firstWindow(int(r.bufSize)) }

// memory is what may be charged: a window full of small messages, of 100 bytes, fits.
func (r *receiver) memory() uint32 { return 2 * r.bufSize }

// minWindow is the least that the RFC lets an end advertise (RFC 9260, section 3.3.2).
const minWindow = 1500

// window is the user data that there is room for.
func (r *receiver) window() uint32 {
	w := r.initialWindow()
	w -= min(w, r.payload)
	return min(w, r.worth(r.charged))
}

// widest is the window that there is once everything is read.
func (r *receiver) widest() uint32 { return min(r.initialWindow(), r.worth(0)) }

// worth is the user data that the memory that is not charged has room for, in chunks like those that have come:
// where they are small it is used up before the window is. An eighth is not told of, for those that are smaller.
func (r *receiver) worth(charged uint32) uint32 {
	memory := r.memory() - r.memory()/8
	memory -= min(memory, charged)
	if r.incoming == nil {
		return memory
	}
	return uint32(uint64(memory) * uint64(r.mean) / uint64(r.mean+pieceCost<<8))
}

// sized notes the size of a chunk.
func (r *receiver) sized(n uint32) { r.mean += n<<5 - r.mean>>3 }

// short says that there is no room, or no memory.
func (r *receiver) short() bool {
	return r.payload >= r.initialWindow() || r.charged >= r.memory()
}

// advertise returns the a_rwnd to be told now.
func (r *receiver) advertise() uint32 {
	told, w := uint32(r.edge-min(r.edge, r.got)), r.window()

	// It grows by a packet at least, or the sender would fill it with small ones (silly window
	// avoidance; RFC 9260, section 6.2).
	if w < told || w-told >= min(r.mtu, r.widest()/2) {
		told = w
	}
	r.edge = r.got + uint64(told)
	return told
}

// opened says that the program has read something. The peer is told at once if the window has grown by
// much.
func (r *receiver) opened() {
	told, w := uint32(r.edge-min(r.edge, r.got)), r.window()
	if w > told && w-told >= min(max(r.bufSize>>4, min(r.mtu, r.initialWindow()/4)), r.widest()/2) {
		r.ack.now = true
	}
}

// admit reports whether there is room for a chunk of n bytes. What came highest makes room for what came
// before it.
func (r *receiver) admit(tsn uint64, n uint32) bool {
	cost := n + pieceCost
	if r.charged == 0 || r.fits(cost) {
		return true
	}
	if tsn < r.high {
		r.renege(tsn, cost)
		if r.fits(cost) {
			return true
		}
	}

	// The program has read all that it can, and waits for this.
	if tsn == r.cum+1 && !r.readable() {
		r.relieve()
		return r.charged < 2*r.memory()
	}
	return false
}

// fits reports whether the window is open, and cost can be charged. A window that is shut takes no probe either: one that
// is acknowledged would be followed by the next, and the sender never know that it has to wait.
func (r *receiver) fits(cost uint32) bool {
	return r.payload < r.initialWindow() && r.charged+cost <= r.memory()
}

// renege drops what came highest, as long as it came behind tsn, until cost bytes are free: a sender
// keeps what only Gap Ack Blocks have acknowledged (RFC 9260, section 6.2).
func (r *receiver) renege(tsn uint64, cost uint32) {
	// More than needed, as they are sorted for it.
	free := max(cost, r.memory()/16)
	var held []*run
	for x := r.held.first; x != nil; x = x.hnext {
		if x.low > tsn && !x.ready {
			held = append(held, x)
		}
	}
	slices.SortFunc(held, func(x, y *run) int { return cmp.Compare(y.high, x.high) })
	for _, worst := range held {
		if r.fits(free) {
			break
		}
		if r.interleaved {
			for q := worst.head; q != nil; q = q.next {
				r.tsns.clear(q.tsn)
			}
		} else {
			r.tsns.forget(worst.first, worst.last+1)
		}
		r.got -= uint64(worst.n) // it will come again
		r.discard(worst)
	}
	if r.high = r.tsns.top(r.cum, r.high); r.high == r.cum {
		r.tsns.release()
	}
}

// newPiece returns a piece that refers to v.
func (r *receiver) newPiece(tsn uint64, v packet.View) *piece {
	q := pieces.Get().(*piece)
	first := r.recent
	switch {
	case first != nil && first.view.Shares(v):
		v.Retain() // its block is charged already
	case r.stored+uint64(v.Cap()) > uint64(r.bufSize) && 2*v.Len() < v.Cap():
		// Blocks may be up to twice as large as what they hold. A peer that sends little in each
		// packet would have each hold a whole block.
		v = packet.Copy(v.Bytes())
		first = q
		r.stored += uint64(v.Cap())
	default:
		v.Retain()
		first, r.recent = q, q
		r.stored += uint64(v.Cap())
	}
	*q = piece{view: v, tsn: tsn, first: first}
	first.pieces++
	n := uint32(v.Len())
	r.payload += n
	r.charged += n + pieceCost
	return q
}

// freePiece takes a piece, whose reference has gone, out of the accounts.
func (r *receiver) freePiece(q *piece) {
	n := uint32(q.view.Len())
	r.payload -= n
	r.charged -= n + pieceCost
	first := q.first
	if q.next = nil; first != q {
		*q = piece{}
		pieces.Put(q)
	}
	if first.pieces--; first.pieces > 0 {
		return
	}
	if r.recent == first {
		r.recent = nil
	}
	r.stored -= uint64(first.view.Cap())
	*first = piece{}
	pieces.Put(first)
}
