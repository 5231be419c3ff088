package sctp

import (
	"usock/internal/wire"
	"usock/packet"
)

// place puts a chunk's data where it belongs, and returns the run that it is a part of then; nil where
// it is dropped. It reports false where the chunk contradicts others.
func (r *receiver) place(tsn uint64, d *inData, p *packet.Vec, off, n int) (*run, bool) {
	st := r.streams.at(d.Stream)
	begin, end := d.Flags&wire.DataB != 0, d.Flags&wire.DataE != 0
	unordered := d.Flags&wire.DataU != 0
	id, pos, ok := r.position(st, tsn, d)
	if !ok {
		return nil, false
	}
	list, over := &st.ordered, st.next
	if unordered {
		list, over = &st.unordered, st.unext
	}
	if id < over {
		// Its turn is over. Of a message that was given up a chunk may come late.
		return nil, r.skips
	}

	prev := list.before(id, pos)
	next := list.first
	if prev != nil {
		next = prev.snext
	}

	joinsPrev := prev != nil && prev.id == id && prev.last+1 == pos && !prev.end && !begin
	joinsNext := next != nil && next.id == id && next.first == pos+1 && !next.begin && !end
	if r.interleaved || !unordered {
		// One message: before its beginning and behind its end there is nothing of it.
		if prev != nil && prev.id == id && (pos <= prev.last || prev.end || begin) ||
			next != nil && next.id == id && (next.begin || end) {
			return nil, false
		}
	}
	if !r.interleaved {
		// The neighbours by TSN are of the same message, if they are there: they must be found here.
		if !begin && !joinsPrev && r.has(tsn-1) || !end && !joinsNext && r.has(tsn+1) {
			return nil, false
		}
	}

	switch {
	case joinsPrev:
		r.attach(prev, tsn, p, off, n)
		prev.last, prev.end = pos, end
		if joinsNext {
			r.join(prev, next)
		}
		return prev, true
	case joinsNext:
		r.prepend(next, tsn, p, off, n)
		next.first, next.begin, next.tsn = pos, begin, tsn
		if begin {
			next.ppid = d.PPID
		}
		return next, true
	}

	x := runs.Get().(*run)
	*x = run{
		stream: st, number: d.Stream, id: id, first: pos, last: pos, begin: begin, end: end, unordered: unordered,
		ppid: d.PPID, tsn: tsn, low: tsn, high: tsn,
	}
	list.insert(prev, x)
	r.held.add(x)
	r.attach(x, tsn, p, off, n)
	return x, true
}

// position returns which message of its stream a chunk is of, and its place in the message.
func (r *receiver) position(st *inStream, tsn uint64, d *inData) (id, pos uint64, ok bool) {
	unordered := d.Flags&wire.DataU != 0
	switch {
	case !r.interleaved && unordered:
		return 0, tsn, true
	case !r.interleaved:
		return wide16(st.next, d.SSN), tsn, true
	case unordered:
		id = wide(st.umid, d.mid)
		st.umid = max(st.umid, id)
	default:
		id = wide(st.next, d.mid)
	}

	// Only the first fragment has the number 0, which its header has no room for (RFC 8260, section 2.1).
	if d.Flags&wire.DataB == 0 {
		return id, uint64(d.fsn), d.fsn != 0
	}
	return id, 0, true
}

// has reports whether a TSN has come, and is known not to be one that was skipped.
func (r *receiver) has(tsn uint64) bool {
	if tsn <= r.cum {
		return tsn == r.cum && r.lastKnow
	}
	return r.tsns.seen(tsn, r.cum)
}

// attach adds a chunk's data at the end of a run.
func (r *receiver) attach(x *run, tsn uint64, p *packet.Vec, off, n int) {
	// What is acknowledged for good may be joined: it is never dropped by TSN.
	inOrder := tsn == r.cum+1 && r.high == r.cum
	x.low, x.high = min(x.low, tsn), max(x.high, tsn)
	x.n += uint32(n)
	for _, v := range p.Views() {
		if off >= v.Len() {
			off -= v.Len()
			continue
		}
		v = v.Slice(off, min(v.Len(), off+n))
		off, n = 0, n-v.Len()
		if inOrder && x.tail != nil && x.tail.view.Join(v) {
			r.payload += uint32(v.Len())
			r.charged += uint32(v.Len())
		} else {
			q := r.newPiece(tsn, v)
			if x.tail != nil {
				x.tail.next = q
			} else {
				x.head = q
			}
			x.tail = q
		}
		if n == 0 {
			break
		}
	}
}

// prepend adds a chunk's data in front of a run.
func (r *receiver) prepend(x *run, tsn uint64, p *packet.Vec, off, n int) {
	head, tail := x.head, x.tail
	x.head, x.tail = nil, nil
	r.attach(x, tsn, p, off, n)
	x.tail.next, x.tail = head, tail
}

// join adds the run y, which continues x, to it.
func (r *receiver) join(x, y *run) {
	x.tail.next, x.tail = y.head, y.tail
	x.n += y.n
	x.last, x.end = y.last, y.end
	x.low, x.high = min(x.low, y.low), max(x.high, y.high)
	y.head = nil
	r.discard(y)
}

// settle looks what has become of a run that has grown: whether messages of its stream are ready now.
func (r *receiver) settle(x *run) {
	n, whole := x.n, x.whole()
	if st := x.stream; !x.unordered {
		r.deliver(st)
	} else if whole {
		r.finish(x)
	}

	switch {
	case r.parts > 0 && !r.mixed:
	case !whole && r.pdPoint > 0 && n >= r.pdPoint && r.mayBegin(x):
		r.deliverPart(x)
	case r.short() && !r.readable():
		r.relieve()
	}
}

// deliver gives the program the ordered messages of a stream whose turn has come.
func (r *receiver) deliver(st *inStream) {
	for x := st.ordered.first; x != nil && x.id == st.next && x.whole(); x = st.ordered.first {
		st.next++
		r.finish(x)
	}
}

// finish has a message that is whole be ready.
func (r *receiver) finish(x *run) {
	x.list().remove(x)
	r.held.remove(x)
	x.stream = nil
	switch {
	case x.ready:
		r.parts-- // it is already
		return
	case r.deaf:
		r.freeRun(x)
		r.opened()
		return
	}
	x.ready = true
	r.ready.push(x)
	r.delivered++
}

// mayBegin reports whether a run is the beginning of a message whose turn it is, with nothing missing
// in front: what continues it comes soon.
func (r *receiver) mayBegin(x *run) bool {
	return x.stream != nil && !x.ready && x.begin && !x.end && x.low <= r.cum &&
		(x.unordered || x.id == x.stream.next) && !r.waits(x)
}

// deliverPart gives the program a message that is not whole.
func (r *receiver) deliverPart(x *run) {
	if r.deaf {
		r.freePieces(x)
		x.tail, x.n = nil, 0
		r.opened()
		return
	}
	r.parts++
	x.ready = true
	r.ready.push(x)
	r.delivered++
}

// relieve delivers the longest beginning in part: where the window is full of beginnings, and nothing
// of them is given to the program, they stay beginnings (RFC 9260, section 6.9).
func (r *receiver) relieve() {
	if r.parts > 0 && !r.mixed {
		return
	}
	var best *run
	for x := r.held.first; x != nil; x = x.hnext {
		if r.mayBegin(x) && (best == nil || x.n > best.n) {
			best = x
		}
	}
	if best != nil {
		r.deliverPart(best)
	}
}

// discard drops a run that is held, and what is in it.
func (r *receiver) discard(x *run) {
	x.list().remove(x)
	r.held.remove(x)
	r.freeRun(x)
}

// freeRun lets go of a run that is in no list.
func (r *receiver) freeRun(x *run) {
	r.freePieces(x)
	*x = run{}
	runs.Put(x)
}

func (r *receiver) freePieces(x *run) {
	for q := x.head; q != nil; q = x.head {
		x.head = q.next
		v := q.view
		r.freePiece(q)
		v.Release()
	}
}

// skip drops what FORWARD-TSN or I-FORWARD-TSN says nobody should wait for: what is not whole of the
// messages that it names, and without I-DATA whatever is not whole up to its TSN.
func (r *receiver) skip(tsn uint64, f *wire.ForwardTSN) {
	r.skips = true
	for i := range f.Streams() {
		k := f.Stream(i)
		st := r.streams.at(k.Stream)
		if k.Unordered {
			r.skipUnordered(st, wide(st.umid, k.MID))
			continue
		}
		id := wide16(st.next, uint16(k.MID))
		if f.Interleaved {
			id = wide(st.next, k.MID)
		}
		if id < st.next {
			continue
		}
		r.skipOrdered(st, id)
	}
	if f.Interleaved {
		return
	}
	for x := r.held.first; x != nil; {
		next := x.hnext
		if x.low <= tsn && !x.whole() {
			r.abort(x)
		}
		x = next
	}
}

// skipOrdered passes over the messages of a stream up to the number id. Those that are whole are
// delivered.
func (r *receiver) skipOrdered(st *inStream, id uint64) {
	for x := st.ordered.first; x != nil && x.id <= id; {
		next := x.snext
		if x.whole() {
			r.finish(x)
		} else {
			r.abort(x)
		}
		x = next
	}
	st.next = id + 1
	r.deliver(st)
}

// skipUnordered drops what there is of unordered messages of a stream up to the number id. Those that
// went before in the stream have TSNs below, and so are whole or given up, too.
func (r *receiver) skipUnordered(st *inStream, id uint64) {
	for x := st.unordered.first; x != nil && x.id <= id; x = st.unordered.first {
		r.abort(x)
	}
	st.unext = max(st.unext, id+1)
}

// abort drops a message that will never be whole. If it was delivered in part the program may have read
// some of it, and is told. What it is about to read of it comes before that.
func (r *receiver) abort(x *run) {
	if !r.interleaved && x.last == r.cum && !x.end {
		r.lastKnow = false // its rest may still come
	}
	if !x.ready {
		r.discard(x)
		return
	}

	r.parts--
	m := x.describe()
	if x.n > 0 && r.ready.first == x {
		x.list().remove(x)
		r.held.remove(x)
		x.stream, x.cut = nil, true
		m.behind = r.read + 1
	} else {
		m.stood = r.read + 1
		for o := r.ready.first; o != x; o = o.rnext {
			m.stood++
		}
		r.ready.remove(x)
		r.discard(x)
		r.read++
		m.behind = r.read
	}
	r.aborted = append(r.aborted, m)
}

// abandon drops all that is not whole: the association is over, or begins anew.
func (r *receiver) abandon() {
	if r.incoming == nil {
		return
	}
	for x := r.held.first; x != nil; x = r.held.first {
		r.abort(x)
	}
	r.tsns.drop()
	r.high = r.cum
}
