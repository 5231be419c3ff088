package trace

// Log takes the events of one host. The zero Log is empty. It has the lock of whoever makes the
// events.
type Log struct {
	events []Event
	makers []any // of the events that are not signed yet, which are the last ones
	memory map[any]any
	note   struct {
		why   Why
		times uint8
	}
}

// Last returns the event that was added last, to be completed.
func (l *Log) Last() *Event { return &l.events[len(l.events)-1] }

// Note keeps why the next segment is sent again, and for which time, until TakeNote.
func (l *Log) Note(why Why, times uint8) { l.note.why, l.note.times = why, times }

// TakeNote returns what was noted, and forgets it; NoReason: nothing.
func (l *Log) TakeNote() (why Why, times uint8) {
	why, times = l.note.why, l.note.times
	l.note.why, l.note.times = NoReason, 0
	return why, times
}

// Memory returns what a maker of events has kept here, to know what is new; nil: nothing.
func (l *Log) Memory(maker any) any { return l.memory[maker] }

// Remember keeps v for a maker, until it keeps nil.
func (l *Log) Remember(maker, v any) {
	if v == nil {
		delete(l.memory, maker)
		return
	}
	if l.memory == nil {
		l.memory = make(map[any]any)
	}
	l.memory[maker] = v
}

// Add appends an event. maker is whoever has made it; nil: the event says itself whose it is.
func (l *Log) Add(maker any, e Event) {
	if maker == nil && len(l.makers) == 0 {
		l.events = append(l.events, e)
		return
	}
	l.events, l.makers = append(l.events, e), append(l.makers, maker)
}

// Sign has sign complete the events that maker has made since it was last called: the core of a protocol knows no
// addresses, but its owner does.
func (l *Log) Sign(maker any, sign func(*Event)) {
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
		clear(l.makers)
		l.makers = l.makers[:0]
	}
}

// Take returns the events and empties the log. They are the caller's until the next Add.
func (l *Log) Take() []Event {
	e := l.events
	l.events = l.events[:0]
	clear(l.makers)
	l.makers = l.makers[:0]
	return e
}
