package buf

import "usock/packet"

// Reassembly holds the bytes of a stream that arrived before those in front of
// them. Its pieces do not overlap and are in the order of the stream. The zero
// Reassembly is empty. It owns a reference for each piece.
type Reassembly struct {
	r   ring
	n   int64 // bytes
	mem int64 // capacity of the blocks, once for each piece
}

// Len returns the number of bytes.
func (q *Reassembly) Len() int { return int(q.n) }

// Pieces returns the number of pieces.
func (q *Reassembly) Pieces() int { return int(q.r.n) }

// Mem returns what the pieces cost: the capacity of each one's block.
func (q *Reassembly) Mem() int { return int(q.mem) }

// Empty reports whether there is nothing.
func (q *Reassembly) Empty() bool { return q.r.n == 0 }

// End returns the offset behind the last byte, 0 if empty.
func (q *Reassembly) End() uint64 {
	if q.r.n == 0 {
		return 0
	}
	return q.r.back().end()
}

// Insert adds the view at offset off and takes over the reference. Bytes that are
// held already are left as they are. It returns how many bytes were new, and the
// first range [from, to) that was not.
func (q *Reassembly) Insert(off uint64, v packet.View) (added int, from, to uint64) {
	i := q.r.after(off)
	for v.Len() > 0 {
		if i < q.r.n {
			if p := q.r.at(i); p.pos <= off {
				// What is there stays: a second copy may differ, and must not change bytes that
				// were acknowledged (SACK).
				have := min(p.end()-off, uint64(v.Len()))
				if from == to {
					from, to = off, off
				}
				if to == off {
					to += have
				}
				v = v.Slice(int(have), v.Len())
				off += have
				i++
				continue
			}
		}

		// The hole in front of the next piece, or all that is left.
		n := uint64(v.Len())
		if i < q.r.n {
			n = min(n, q.r.at(i).pos-off)
		}
		i = q.put(i, off, v.Slice(0, int(n)))
		added += int(n)
		v = v.Slice(int(n), v.Len())
		off += n
	}
	v.Release()
	q.n += int64(added)
	return added, from, to
}

// put inserts a piece before index i, with a reference of its own, or joins it to
// the one before. It returns the index behind it.
func (q *Reassembly) put(i uint32, off uint64, v packet.View) uint32 {
	if i > 0 {
		p := q.r.at(i - 1)

		// In one block and in a row: no reference more, as the piece has one already.
		if p.end() == off && p.Join(v) {
			return i
		}
	}
	v.Retain()
	q.mem += int64(v.Cap())
	q.r.insert(i, piece{v, off})
	return i + 1
}

// MoveTo pushes the bytes that continue dst to it. Bytes that dst has already are
// freed.
func (q *Reassembly) MoveTo(dst *Queue) {
	for q.r.n > 0 {
		p := *q.r.at(0)
		if p.pos > dst.end {
			return
		}
		q.n -= int64(p.Len())
		q.mem -= int64(p.Cap())
		q.r.popFront()

		// It came in order as well, by a retransmission.
		if p.end() <= dst.end {
			p.Release()
			continue
		}
		dst.Push(p.Slice(int(dst.end-p.pos), p.Len()))
	}
}

// DropBack frees the last piece, to make room for bytes that come before it.
func (q *Reassembly) DropBack() {
	p := q.r.back()
	q.n -= int64(p.Len())
	q.mem -= int64(p.Cap())
	p.Release()
	q.r.popBack()
}

// Reset frees everything.
func (q *Reassembly) Reset() {
	for q.r.n > 0 {
		q.DropBack()
	}
}
