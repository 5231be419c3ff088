package buf

import "usock/packet"

// Queue is a run of a stream's bytes: what a sender keeps until it is
// acknowledged, or what a receiver keeps until it is read. Bytes enter at the
// end and leave at the front; between, each keeps its stream offset.
//
//	    Base()                         End()
//	      |  piece  |  piece  |  piece  |
//	drop, take                        push, append
//
// The zero Queue is empty at offset 0. A Queue owns a reference for each piece.
type Queue struct {
	r         ring
	base, end uint64
	mem       int64  // capacity of the blocks, once for each piece
	hint      uint32 // piece that the last slice ended in
	own       bool   // the bytes behind the last piece in its block are the queue's
}

// Reset frees everything and sets the offset of the next byte.
func (q *Queue) Reset(off uint64) {
	for q.r.n > 0 {
		q.r.at(0).Release()
		q.r.popFront()
	}
	q.base, q.end, q.mem, q.hint, q.own = off, off, 0, 0, false
}

// Base returns the offset of the first byte.
func (q *Queue) Base() uint64 { return q.base }

// End returns the offset behind the last byte.
func (q *Queue) End() uint64 { return q.end }

// Len returns the number of bytes.
func (q *Queue) Len() int { return int(q.end - q.base) }

// Mem returns what the queue costs: the capacity of each piece's block.
func (q *Queue) Mem() int { return int(q.mem) }

// Push adds v at the end and takes over the reference. A view that continues the
// last one in its block is joined to it.
func (q *Queue) Push(v packet.View) {
	if v.Len() == 0 {
		v.Release()
		return
	}
	if q.r.n > 0 {
		// A stream that is read from a device, or cut and sent on, mostly continues in the same
		// block: one piece is one step for whoever walks over it later.
		if q.r.back().Join(v) {
			q.end += uint64(v.Len())
			v.Release()
			return
		}
	}

	// Bytes behind the view may be written to only while nobody else has a view of the block,
	// who may do the same.
	q.own = v.Sole()
	q.mem += int64(v.Cap())
	q.r.push(piece{v, q.end})
	q.end += uint64(v.Len())
}

// PushVec moves the views of x to the end.
func (q *Queue) PushVec(x *packet.Vec) {
	for _, v := range x.Views() {
		q.Push(v)
	}
	x.Moved()
}

// small is the size of the block that short appends are gathered in.
const small = 16 << 10

// Append copies p to the end: into the last block if it has room, else into a new
// one.
func (q *Queue) Append(p []byte) {
	if q.r.n > 0 && q.own && q.r.back().Extend(p) {
		q.end += uint64(len(p))
		return
	}
	b := packet.NewBlock(max(small, len(p)))
	q.Push(b.View(0, copy(b.Bytes(), p)))
}

// Extend copies p into the last block, and reports false if there is no room.
func (q *Queue) Extend(p []byte) bool {
	if q.r.n == 0 || !q.own || !q.r.back().Extend(p) {
		return false
	}
	q.end += uint64(len(p))
	return true
}

// find returns the index of the piece that holds the byte off.
func (q *Queue) find(off uint64) uint32 {
	// Segments are built in a row: the next begins where the last ended, or in the piece
	// behind.
	for i := q.hint; i < q.r.n && i < q.hint+2; i++ {
		if p := q.r.at(i); p.pos <= off && off < p.end() {
			return i
		}
	}
	return q.r.after(off)
}

// Slice appends the bytes [off, off+n) to x, with a reference for each view, and
// returns how many: fewer than n only if x became full.
func (q *Queue) Slice(off uint64, n int, x *packet.Vec) int {
	if off < q.base || off+uint64(n) > q.end {
		panic("buf: slice outside the queue")
	}
	if n == 0 {
		return 0
	}
	done := 0
	for i := q.find(off); done < n && !x.Full(); i++ {
		p := q.r.at(i)
		from := int(off - p.pos)
		v := p.Slice(from, min(p.Len(), from+n-done))
		v.Retain()
		x.Append(v)
		done += v.Len()
		off += uint64(v.Len())
		q.hint = i
	}
	return done
}

// Drop frees the bytes before off.
func (q *Queue) Drop(off uint64) {
	if off > q.end {
		panic("buf: drop beyond the end")
	}
	popped := uint32(0)
	for q.r.n > 0 {
		p := q.r.at(0)
		if p.end() > off {
			// A part of a piece was acknowledged: its block stays until the rest is.
			if off > p.pos {
				p.View = p.Slice(int(off-p.pos), p.Len())
				p.pos = off
			}
			break
		}
		q.mem -= int64(p.Cap())
		p.Release()
		q.r.popFront()
		popped++
	}

	// Indices count from the front, which has moved.
	q.hint -= min(popped, q.hint)
	q.base = max(q.base, off)
}

// Take detaches up to max bytes from the front and appends their views to dst;
// the references pass to the caller.
func (q *Queue) Take(max int, dst []packet.View) []packet.View {
	for max > 0 && q.r.n > 0 {
		p := q.r.at(0)
		if p.Len() > max {
			// Two views of one block: each has a reference of its own.
			v := p.Slice(0, max)
			v.Retain()
			p.View = p.Slice(max, p.Len())
			p.pos += uint64(max)
			q.base += uint64(max)
			return append(dst, v)
		}
		dst = append(dst, p.View)
		max -= p.Len()
		q.base += uint64(p.Len())
		q.mem -= int64(p.Cap())
		q.r.popFront()
	}
	q.hint = 0
	return dst
}

// Peek appends views of up to max bytes from offset off on to dst, with a
// reference for each.
func (q *Queue) Peek(off uint64, max int, dst []packet.View) []packet.View {
	if off < q.base || off >= q.end {
		return dst
	}
	for i := q.r.after(off); max > 0 && i < q.r.n; i++ {
		p := q.r.at(i)
		from := int(off - p.pos)
		v := p.Slice(from, min(p.Len(), from+max))
		v.Retain()
		dst = append(dst, v)
		max -= v.Len()
		off += uint64(v.Len())
	}
	return dst
}

// CopyByte returns the byte at off.
func (q *Queue) CopyByte(off uint64) byte {
	p := q.r.at(q.r.after(off))
	return p.Bytes()[off-p.pos]
}

// CopyTo copies len(p) bytes from offset off on, all of which are in the queue.
func (q *Queue) CopyTo(p []byte, off uint64) {
	for i := q.r.after(off); len(p) > 0; i++ {
		s := q.r.at(i)
		n := copy(p, s.Bytes()[off-s.pos:])
		p, off = p[n:], off+uint64(n)
	}
}
