package sctp

import (
	"sync"

	"usock/packet"
)

// run is a part of a message without a hole, or all of it.
type run struct {
	stream       *inStream
	sprev, snext *run // in its stream, by id and first
	left, right  *run // and in the tree of these (runtree.go)
	hprev, hnext *run // in receiver.held
	rnext        *run // in receiver.ready

	head, tail *piece
	n          uint32 // bytes that are there to be read
	ppid       uint32
	number     uint16 // of the stream
	id         uint64 // Stream Sequence Number or Message Identifier; of unordered DATA 0
	first      uint64 // place of its first chunk in the message: TSN, or of I-DATA the Fragment Sequence Number
	last       uint64 // of its last chunk
	low, high  uint64 // lowest and highest TSN
	tsn        uint64 // of its first chunk
	cum        uint64 // Cumulative TSN when that had come
	at         int64  // when that came, as In has it
	begin, end bool   // the first chunk begins the message, the last one ends it
	unordered  bool
	ready      bool // in receiver.ready
	cut        bool // nothing more comes of it
	height     int8 // of the tree that it is the root of
}

// piece is user data of a chunk, or of several in a row that lie in one block in a row.
type piece struct {
	view   packet.View
	next   *piece
	tsn    uint64
	first  *piece // of the view's block: it counts those that are held
	pieces int    // of the first: how many are held, with itself
}

var (
	runs   = sync.Pool{New: func() any { return new(run) }}
	pieces = sync.Pool{New: func() any { return new(piece) }}
)

// whole says that the message is complete.
func (x *run) whole() bool { return x.begin && x.end }

// before orders runs of a stream.
func (x *run) before(id, pos uint64) bool { return x.id < id || x.id == id && x.first <= pos }

// runList is the list of the runs that are held, in no order.
type runList struct{ first *run }

func (l *runList) add(x *run) {
	x.hprev, x.hnext = nil, l.first
	if l.first != nil {
		l.first.hprev = x
	}
	l.first = x
}

func (l *runList) remove(x *run) {
	if x.hprev != nil {
		x.hprev.hnext = x.hnext
	} else {
		l.first = x.hnext
	}
	if x.hnext != nil {
		x.hnext.hprev = x.hprev
	}
	x.hprev, x.hnext = nil, nil
}

// runQueue is a queue of messages.
type runQueue struct {
	first, last *run
	n           int
}

func (q *runQueue) push(x *run) {
	if q.last != nil {
		q.last.rnext = x
	} else {
		q.first = x
	}
	q.last = x
	q.n++
}

func (q *runQueue) pop() {
	x := q.first
	q.first = x.rnext
	if q.first == nil {
		q.last = nil
	}
	x.rnext = nil
	q.n--
}

// remove takes x out, wherever it stands.
func (q *runQueue) remove(x *run) {
	if q.first == x {
		q.pop()
		return
	}
	for o := q.first; o != nil; o = o.rnext {
		if o.rnext == x {
			o.rnext, x.rnext = x.rnext, nil
			if q.last == x {
				q.last = o
			}
			q.n--
			return
		}
	}
}

// inStream is an incoming stream.
type inStream struct {
	ordered, unordered streamRuns
	next               uint64 // Stream Sequence Number or MID of the message whose turn it is
	umid               uint64 // highest MID of unordered messages that came
	unext              uint64 // unordered messages of a MID below were given up, or came
}

// list is where x stands in its stream.
func (x *run) list() *streamRuns {
	if x.unordered {
		return &x.stream.unordered
	}
	return &x.stream.ordered
}

// inStreams is the table of incoming streams, as outStreams is of the others.
type inStreams struct{ pages []*inPage }

type inPage [1 << inPageShift]inStream

const inPageShift = 2

func (t *inStreams) at(number uint16) *inStream {
	k := int(number >> inPageShift)
	if k >= len(t.pages) {
		pages := make([]*inPage, k+1, max(k+1, 2*k))
		copy(pages, t.pages)
		t.pages = pages
	}
	if t.pages[k] == nil {
		p := new(inPage)
		for i := range p {
			p[i].next, p[i].umid = epoch, epoch
		}
		t.pages[k] = p
	}
	return &t.pages[k][number&(1<<inPageShift-1)]
}

// known returns the stream of the number if something has come in it or in a neighbour, else nil.
func (t *inStreams) known(number uint16) *inStream {
	k := int(number >> inPageShift)
	if k >= len(t.pages) || t.pages[k] == nil {
		return nil
	}
	return &t.pages[k][number&(1<<inPageShift-1)]
}

// each calls f for every stream that is known.
func (t *inStreams) each(f func(*inStream)) {
	for _, p := range t.pages {
		if p != nil {
			for i := range p {
				f(&p[i])
			}
		}
	}
}
