package tcp

import (
	"time"

	"usock/internal/buf"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
)

// outOfOrder is what arrived out of order.
type outOfOrder struct {
	q     buf.Reassembly
	fin   uint64 // offset of the FIN; 0: not seen
	sacks [4]span
	n     uint8 // of sacks
	dsack span  // to be told first (RFC 2883)
}

type span struct{ start, end uint64 }

// maxPieces bounds the pieces that are kept out of order.
const maxPieces = 8192

// queueOutOfOrder keeps data that arrived before what is in front of it.
func (r *receiver) queueOutOfOrder(t *tcb, now time.Duration, s *Segment, seq uint64, fin bool) {
	if r.ooo == nil {
		r.ooo = new(outOfOrder)
	}

	o := r.ooo
	end := seq + uint64(s.Data.Len())
	if fin && o.fin == 0 {
		o.endAt(end)
	}
	if o.fin != 0 && end > o.fin {
		end = max(o.fin, seq)
		s.Data.Truncate(int(end - seq))
	}

	t.stats.oooPackets++
	inc(&t.count().TCPOFOQueue)
	added := 0
	var dup span // what was held already
	r.measureMSS(s.Data.Len(), s.Flags)

	pos := seq
	for _, v := range s.Data.Views() {
		// What is nearest to rcv.nxt is worth most: it makes room from the far end. A SACK is
		// no promise (RFC 2018 §8).
		if o.q.Pieces() >= maxPieces || o.q.Len() >= int(r.bufSize/2) {
			if o.q.End() <= pos {
				break
			}
			o.q.DropBack()
		}

		n := v.Len()

		// Blocks may be up to twice as large as what they hold. A peer that sends single bytes
		// far apart would have each hold a whole block.
		if (o.q.Mem() > int(r.bufSize) || t.cfg.Memory.pressed()) && 2*n < v.Cap() {
			v = packet.Copy(v.Bytes()) // rather than hold a large block for a few bytes
		} else {
			v.Retain()
		}

		a, from, to := o.q.Insert(pos, v)
		added += a
		if from < to && dup.end == 0 {
			dup = span{from, to}
		}
		pos += uint64(n)
	}

	if pos < end {
		end = pos // no room for the rest, nor for its FIN
		if fin {
			o.fin = 0
		}
	}

	if t.flags&useSACK != 0 {
		o.dsack = dup
		if dup.end != 0 {
			inc(&t.count().TCPDSACKOfoSent)
		}
	}
	if end > seq && t.flags&useSACK != 0 {
		o.noteSACK(seq, end)
	}

	if added > 0 && t.flags&useSACK != 0 {
		// Else a lossy path, whose data mostly comes so, would keep the window small.
		r.growRcvBuf(t, uint64(r.drsSpace), 0)
		r.growWindow(t, added)
	}

	// A duplicate acknowledgment, at once: it tells the sender of the gap (RFC 5681 §4.2).
	t.ackNow()
}

// endAt notes the peer's FIN, which comes behind a gap. Nothing behind it is part of the stream, whatever
// has come (RFC 9293 §3.10.7.4, eighth check).
func (o *outOfOrder) endAt(fin uint64) {
	o.fin = fin
	for !o.q.Empty() && o.q.End() > fin {
		o.q.DropBack()
		o.n = 0
	}
}

// closeGap moves to the receive queue what now is in order, and reports whether
// the FIN comes next.
func (r *receiver) closeGap(t *tcb) (fin bool) {
	o := r.ooo
	o.q.MoveTo(&r.q)
	r.nxt = r.q.End()

	if o.fin != 0 && r.nxt == o.fin {
		fin = true
	}

	// What is acknowledged is no block any more (RFC 2018 §4).
	o.trimSACK(r.nxt)
	if o.q.Empty() && o.fin == 0 && o.dsack.end == 0 || fin {
		r.dropOutOfOrder()
	}

	if r.readable(t) {
		t.events |= wait.In
	}

	// At once when a gap is filled, all or in part (RFC 5681 §4.2).
	t.ackNow()
	return fin
}

// dropOutOfOrder frees what is out of order.
func (r *receiver) dropOutOfOrder() {
	if r.ooo != nil {
		r.ooo.q.Reset()
		r.ooo = nil
	}
}

// noteSACK makes the range the first of the blocks to be told, joined to those that
// it touches (RFC 2018 §4).
func (o *outOfOrder) noteSACK(start, end uint64) {
	k := uint8(0)
	for _, b := range o.sacks[:o.n] {
		if b.start <= end && start <= b.end {
			start, end = min(start, b.start), max(end, b.end)
			continue
		}
		o.sacks[k] = b
		k++
	}

	// The block that has just changed is the first (RFC 2018 §4).
	o.n = min(k+1, uint8(len(o.sacks)))
	copy(o.sacks[1:o.n], o.sacks[:k])
	o.sacks[0] = span{start, end}
}

// trimSACK forgets the blocks that rcv.nxt has passed.
func (o *outOfOrder) trimSACK(nxt uint64) {
	k := uint8(0)
	for _, b := range o.sacks[:o.n] {
		if b.end > nxt && b.start >= nxt {
			o.sacks[k] = b
			k++
		}
	}
	o.n = k
}

// duplicate notes that a segment repeated what had been received, for the next
// acknowledgment to tell (RFC 2883).
func (r *receiver) duplicate(t *tcb, seq uint64, s *Segment) {
	end := seq + uint64(s.Len())
	if t.flags&useSACK == 0 || end <= seq || !t.state.synchronized() {
		return
	}

	if r.ooo == nil {
		r.ooo = new(outOfOrder)
	}

	// Of a segment that is new in part only what is old is a duplicate.
	if seq < r.nxt {
		end = min(end, r.nxt)
	}

	r.ooo.dsack = span{seq, end}
	if seq < r.nxt {
		inc(&t.count().TCPDSACKOldSent)
	} else {
		inc(&t.count().TCPDSACKOfoSent)
	}
}

// putSACK puts the blocks into an acknowledgment: a DSACK first, then the ranges,
// the one that changed last before the others, as many as fit.
func (r *receiver) putSACK(t *tcb, opt *wire.TCPOptions) {
	o := r.ooo
	room := len(opt.SACK)
	if t.flags&useTS != 0 {
		room--
	}

	// Of 40 bytes of options four blocks take 34, and three are left room for beside timestamps
	// (RFC 2018 §3).
	n := 0
	put := func(b span) {
		if n < room {
			opt.SACK[n] = wire.SACKBlock{Left: r.rcvSeq(b.start), Right: r.rcvSeq(b.end)}
			n++
		}
	}

	// The duplicate goes first, and once (RFC 2883 §4).
	if o.dsack.end != 0 {
		put(o.dsack)
		o.dsack = span{}
	}
	for _, b := range o.sacks[:o.n] {
		put(b)
	}

	opt.NSACK = uint8(n)

	// Only a DSACK was to be told: the queue goes as soon as it is.
	if o.q.Empty() && o.fin == 0 {
		r.ooo = nil
	}
}

// sackLen returns what the next segment's SACK blocks take of the MSS (RFC 6691).
func (r *receiver) sackLen(t *tcb) uint32 {
	o := r.ooo
	if o == nil || t.flags&useSACK == 0 {
		return 0
	}
	n, room := uint32(o.n), uint32(4)
	if o.dsack.end != 0 {
		n++
	}

	if n == 0 {
		return 0
	}

	if t.flags&useTS != 0 {
		room--
	}
	return 4 + 8*min(n, room)
}

// atSACKEdge reports whether a RST stands behind the last range that was SACKed:
// the peer may have reset with its newest number.
func (r *receiver) atSACKEdge(t *tcb, seq uint64) bool {
	if r.ooo == nil || t.flags&useSACK == 0 || r.ooo.n == 0 {
		return false
	}

	edge := uint64(0)
	for _, b := range r.ooo.sacks[:r.ooo.n] {
		edge = max(edge, b.end)
	}
	return seq == edge
}
