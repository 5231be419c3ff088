package trace

import (
	"sync"
	"sync/atomic"
)

// Tape is where events are written, once: who listens reads them where they are. The zero Tape is empty.
//
//	Next ──► chunk ── Cut ──► Run ──► listener ── Done ──► the chunk is written anew
//
// It belongs to one goroutine at a time; the runs that were cut from it to others.
type Tape struct {
	chunk *chunk
	slots []Event // the chunk's
	from  int     // of slots: before, all was cut
	n     int     // of slots: from here on nothing was written
	kinds Kinds   // what is left out; the zero Tape leaves out nothing
	spare Event   // for what is left out
}

// chunk is a part of a tape.
type chunk struct {
	users atomic.Int32 // the tape that writes it, and the runs of it
	slots []Event
}

// chunkSize is how many events a chunk has, unless more than so many are written before they are cut.
const chunkSize = 64

// chunks are for reuse. They may refer to what events refer to, which is texts.
var chunks = sync.Pool{New: func() any { return &chunk{slots: make([]Event, chunkSize)} }}

// LeaveOut has events of these kinds not be on the tape from now on.
func (t *Tape) LeaveOut(kinds Kinds) { t.kinds = kinds }

// Next returns the next event, to be completed; of a kind that is left out, one that nobody reads.
func (t *Tape) Next(k Kind, why Why) *Event {
	if t.kinds.Has(k) {
		return &t.spare
	}
	if t.n == len(t.slots) || t.n == t.from && t.n != 0 {
		t.turn()
	}
	e := &t.slots[t.n]
	t.n++
	*e = Event{}
	e.Kind, e.Why = k, why
	return e
}

// turn makes room: at the chunk's beginning, if nobody reads it any more, or in another chunk, into which goes what was not cut yet.
func (t *Tape) turn() {
	written := t.slots[t.from:t.n]
	switch {
	case len(written) == 0 && t.n < len(t.slots) && t.chunk.users.Load() > 1:
		return // there is room behind what is being read
	case len(written) == 0 && len(t.slots) == chunkSize && t.chunk.users.Load() == 1:
	case len(written) < chunkSize:
		c := chunks.Get().(*chunk)
		t.put(c, written)
	default:
		t.put(&chunk{slots: make([]Event, 2*len(written))}, written)
	}
	t.from, t.n = 0, len(written)
}

// put goes on in another chunk.
func (t *Tape) put(c *chunk, written []Event) {
	copy(c.slots, written)
	c.users.Store(1)
	if t.chunk != nil {
		t.chunk.leave()
	}
	t.chunk, t.slots = c, c.slots
}

// leave is called by who has no more to do with the chunk.
func (c *chunk) leave() {
	if c.users.Add(-1) == 0 && len(c.slots) == chunkSize {
		chunks.Put(c)
	}
}

// Written returns how many events were written and not cut.
func (t *Tape) Written() int { return t.n - t.from }

// From returns those that were written and not cut, but for the first few.
func (t *Tape) From(few int) []Event { return t.slots[t.from+few : t.n] }

// Cut returns what was written since it was last called, of which there must be some.
func (t *Tape) Cut() Run {
	r := Run{t.chunk, t.from, t.n}
	t.chunk.users.Add(1)
	t.from = t.n
	return r
}

// Reset empties the tape, and keeps nothing.
func (t *Tape) Reset() {
	if t.chunk != nil {
		t.chunk.leave()
	}
	*t = Tape{}
}

// Run is events that follow each other on a tape. Each copy of it is to be given back (Done) if it was cut, or counted (Share).
type Run struct {
	chunk    *chunk
	from, to int // of the chunk's slots
}

// RunOf is a run of events that were on no tape.
func RunOf(events ...Event) Run {
	c := &chunk{slots: events}
	c.users.Store(1)
	return Run{c, 0, len(events)}
}

// Len returns how many events there are.
func (r Run) Len() int { return r.to - r.from }

// Events returns the events, which are to be read only, and until Done is called.
func (r Run) Events() []Event { return r.chunk.slots[r.from:r.to:r.to] }

// Share returns the first n events for one reader more.
func (r Run) Share(n int) Run {
	r.chunk.users.Add(1)
	return Run{r.chunk, r.from, r.from + n}
}

// Follow makes r, which follows the run before it on its tape, a part of that, and reports false where it does not.
func (r *Run) Follow(next Run) bool {
	if r.chunk != next.chunk || r.to != next.from {
		return false
	}
	r.to = next.to
	next.Done()
	return true
}

// Done gives the run back.
func (r Run) Done() { r.chunk.leave() }
