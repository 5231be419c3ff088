package tcp

import (
	"cmp"
	"slices"
)

// How the program's calls cut what is sent. MSG_EOR ends a record: what is written behind it does
// not share a segment with it, now or when it is sent again. MSG_MORE says that more follows: the
// call does not push what does not fill a segment, which goes as soon as anything else lets
// small segments go (Linux, tcp_push).

// Written says how the call was made that has written last: more with MSG_MORE, eor that the last byte
// ends a record.
func (c *Conn) Written(more, eor bool) {
	if more {
		c.flags |= moreHeld | moreTail
	}
	if eor {
		c.endRecord(more)
	}
}

// Cut lets go what a call has written so far that finds no room for the rest, whatever holds small
// segments back: what would fill them up waits for the room that they take (Linux, tcp_sendmsg).
func (c *Conn) Cut() { c.snd.push(&c.tcb) }

// record is where a record ends, and whether its last byte is pushed, which MSG_MORE forbids.
type record struct {
	end    uint64
	pushed bool
}

// at compares a record's end with off.
func (r record) at(off uint64) int { return cmp.Compare(r.end, off) }

// endRecord ends a record behind the last byte in the queue.
func (c *Conn) endRecord(more bool) {
	end := c.snd.q.End()
	if end <= c.snd.una {
		return
	}
	l := c.makeLazy()
	if n := len(l.records); n == 0 || l.records[n-1].end < end {
		l.records = append(l.records, record{end, !more})
	}
}

// recordEnd returns where the record ends that holds the byte off, or what there is to send of the queue.
func (s *sender) recordEnd(t *tcb, off uint64) uint64 {
	if t.lazy != nil && len(t.lazy.records) > 0 {
		// Searched for the first end behind off.
		if i, _ := slices.BinarySearchFunc(t.lazy.records, off+1, record.at); i < len(t.lazy.records) {
			return t.sendLimit(t.lazy.records[i].end)
		}
	}
	return t.sendLimit(s.q.End())
}

// endsRecord reports whether a record ends at off.
func (t *tcb) endsRecord(off uint64) bool {
	if t.lazy == nil {
		return false
	}
	_, found := slices.BinarySearchFunc(t.lazy.records, off, record.at)
	return found
}

// pushesRecord reports whether a record ends at off whose last byte is pushed.
func (t *tcb) pushesRecord(off uint64) bool {
	if t.lazy == nil {
		return false
	}
	i, found := slices.BinarySearchFunc(t.lazy.records, off, record.at)
	return found && t.lazy.records[i].pushed
}

// forgetRecords forgets the records that are acknowledged.
func (s *sender) forgetRecords(t *tcb) {
	r := t.lazy.records
	i, _ := slices.BinarySearchFunc(r, s.una+1, record.at)
	switch {
	case i == len(r):
		t.lazy.records = nil
	case i > 0:
		t.lazy.records = slices.Delete(r, 0, i)
	}
}

// answeredMore ends the effect of MSG_MORE: a segment that acknowledges has Nagle's rule decide
// (Linux, tcp_data_snd_check). One that is expected and brings but data is passed on so quickly
// that nothing is looked for.
func (t *tcb) answeredMore(s *Segment, news bool) {
	if t.flags&moreHeld != 0 && (news || s.Data.Len() == 0) {
		t.flags &^= moreHeld
	}
}
