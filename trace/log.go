package trace

import "sync"

// Log takes the events of one host, in the order in which they are made, by several goroutines at once. The zero Log is empty.
type Log struct {
	mu sync.Mutex

	// All below is guarded by mu.

	events []Event
	makers []any   // of the last events, from the first on that is not signed yet; nil: of one that is
	spare  []Event // for reuse
	memory map[any]any
	notes  map[any]note
}

// note is why the next segment is sent again.
type note struct {
	why   Why
	times uint8
}

// Note keeps why a maker's next segment is sent again, and for which time, until TakeNote.
func (l *Log) Note(maker any, why Why, times uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.notes == nil {
		l.notes = make(map[any]note)
	}
	l.notes[maker] = note{why, times}
}

// TakeNote returns what a maker has noted, and forgets it; NoReason: nothing.
func (l *Log) TakeNote(maker any) (why Why, times uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.notes) == 0 {
		return NoReason, 0
	}
	n := l.notes[maker]
	delete(l.notes, maker)
	return n.why, n.times
}

// Memory returns what a maker of events has kept here, to know what is new; nil: nothing.
func (l *Log) Memory(maker any) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory[maker]
}

// Remember keeps v for a maker, until it keeps nil.
func (l *Log) Remember(maker, v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v == nil {
		delete(l.memory, maker)
		delete(l.notes, maker)
		return
	}
	if l.memory == nil {
		l.memory = make(map[any]any)
	}
	l.memory[maker] = v
}

// Add appends an event. maker is whoever has made it; nil: the event says itself whose it is.
func (l *Log) Add(maker any, e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	if maker != nil || len(l.makers) > 0 {
		l.makers = append(l.makers, maker)
	}
}

// Sign has sign complete the events that maker has made since it was last called: the core of a protocol knows no
// addresses, but its owner does. sign must not use the log.
func (l *Log) Sign(maker any, sign func(*Event)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := len(l.events) - len(l.makers)
	left := false
	for i, m := range l.makers {
		switch m {
		case nil:
		case maker:
			sign(&l.events[first+i])
			l.makers[i] = nil
		default:
			left = true
		}
	}
	if !left {
		l.makers = l.makers[:0]
	}
}

// Take returns the events and empties the log. They are the caller's until it is called again.
func (l *Log) Take() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(len(l.events))
}

// TakeSigned is Take of the events before the first that is not signed: those behind it stay until its maker's entry ends.
func (l *Log) TakeSigned() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.events) - len(l.makers)
	for i := 0; i < len(l.makers) && l.makers[i] == nil; i++ {
		n++
	}
	return l.take(n)
}

// take is Take of the first n.
func (l *Log) take(n int) []Event {
	if n == 0 {
		return nil
	}
	taken, rest := l.events[:n], l.events[n:]
	if gone := len(l.makers) - len(rest); gone > 0 {
		kept := copy(l.makers, l.makers[gone:])
		clear(l.makers[kept:])
		l.makers = l.makers[:kept]
	}
	l.events, l.spare = append(l.spare[:0], rest...), taken[:0]
	clear(rest) // which is not to keep alive what its events refer to
	return taken
}
