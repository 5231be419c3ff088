package sctp

import "usock/packet"

// inMessage describes a message that is read, or a part of it.
type inMessage struct {
	stream    uint16
	ssn       uint16
	mid       uint32
	ppid      uint32
	tsn       uint32 // of the first chunk of which something is left
	cum       uint32 // Cumulative TSN when the message's first chunk had come
	at        int64  // when that came, as In has it
	unordered bool
	eor       bool   // the message ends with what was taken, or is whole
	length    int    // bytes of it that are there to be read
	behind    uint64 // of pdAborted: the count of messages read (receiver.read) from which on the program is told
	stood     uint64 // of pdAborted: the count with which it would have been read; 0: its parts stay
}

// describe returns what the program is told of x.
func (x *run) describe() inMessage {
	m := inMessage{
		stream: x.number, ssn: uint16(x.id), mid: uint32(x.id), ppid: x.ppid, tsn: uint32(x.tsn), cum: uint32(x.cum), at: x.at,
		unordered: x.unordered, eor: x.whole(), length: int(x.n),
	}
	if x.head != nil {
		m.tsn = uint32(x.head.tsn)
	}
	return m
}

// next returns the message that is read next, nil if there is none to be read. While one is delivered
// in part none follows it, or none of its stream where others may come between: a program knows a part
// by its stream.
func (r *receiver) next() *run {
	if r.incoming == nil {
		return nil
	}
	x := r.ready.first
	for r.mixed && x != nil && (x.n == 0 || r.waits(x)) {
		x = x.rnext
	}
	if x == nil || x.n == 0 {
		return nil
	}
	return x
}

// waits reports whether a message of x's stream is delivered in part, and there is nothing of it now.
func (r *receiver) waits(x *run) bool {
	if r.parts == 0 {
		return false
	}
	for o := r.ready.first; o != nil && o != x; o = o.rnext {
		if o.number == x.number && !o.whole() {
			return true
		}
	}
	return false
}

// readable says that take has something.
func (r *receiver) readable() bool { return r.next() != nil }

// front describes the message that is read next (MSG_PEEK).
func (r *receiver) front(m *inMessage) bool {
	x := r.next()
	if x != nil {
		*m = x.describe()
	}
	return x != nil
}

// behind describes the one after that, if it is there (SCTP_NXTINFO).
func (r *receiver) behind(m *inMessage) bool {
	x := r.next()
	if x == nil || x.rnext == nil {
		return false
	}
	*m = x.rnext.describe()
	return true
}

// take moves up to most bytes of the message that is read next to dst, with their references, and
// describes what was moved. It reports false if there is nothing.
func (r *receiver) take(most int, dst []packet.View, m *inMessage) ([]packet.View, bool) {
	x := r.next()
	if x == nil {
		return dst, false
	}
	*m = x.describe()
	left := uint32(min(most, int(x.n)))
	x.n -= left
	m.eor = x.whole() && x.n == 0
	for left > 0 {
		q := x.head
		if n := uint32(q.view.Len()); n > left {
			// Two views of one block: each has a reference of its own.
			v := q.view.Slice(0, int(left))
			v.Retain()
			dst = append(dst, v)
			q.view = q.view.Slice(int(left), int(n))
			r.payload -= left
			r.charged -= left
			break
		}
		left -= uint32(q.view.Len())
		dst = append(dst, q.view)
		x.head = q.next
		if x.head == nil {
			x.tail = nil
		}
		r.freePiece(q)
	}

	if m.eor || x.cut && x.n == 0 {
		r.ready.remove(x)
		r.freeRun(x)
		r.read++
	}
	if r.short() && !r.readable() {
		r.relieve()
	}
	r.opened()
	return dst, true
}

// peek appends views of up to most bytes of the message that is read next, from byte off on, to dst.
// Each has a reference.
func (r *receiver) peek(off, most int, dst []packet.View) []packet.View {
	x := r.next()
	if x == nil {
		return dst
	}
	for q := x.head; q != nil && most > 0; q = q.next {
		if off >= q.view.Len() {
			off -= q.view.Len()
			continue
		}
		v := q.view.Slice(off, min(q.view.Len(), off+most))
		v.Retain()
		dst = append(dst, v)
		most -= v.Len()
		off = 0
	}
	return dst
}

// ahead copies the messages that are read next to b, and returns how many those are (Assoc.Ahead).
func (r *receiver) ahead(b []byte, ends []uint16) (n int) {
	if r.incoming == nil || r.parts > 0 {
		return 0
	}
	at, left := uint32(0), r.bufSize>>4
	for x := r.ready.first; x != nil && n < len(ends) && at+x.n <= uint32(len(b)); x = x.rnext {
		if x.n+pieceCost > left || !x.whole() {
			break
		}
		left -= x.n + pieceCost
		for q := x.head; q != nil; q = q.next {
			at += uint32(copy(b[at:], q.view.Bytes()))
		}
		ends[n] = uint16(at)
		n++
	}
	return n
}

// pdAborted hands over that a message was given up that is delivered in part
// (SCTP_PARTIAL_DELIVERY_EVENT).
func (r *receiver) pdAborted(m *inMessage) bool {
	if r.incoming == nil || len(r.aborted) == 0 {
		return false
	}
	*m = r.aborted[0]
	if r.aborted = r.aborted[1:]; len(r.aborted) == 0 {
		r.aborted = nil
	}
	return true
}
