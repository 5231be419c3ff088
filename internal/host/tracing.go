package host

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"usock/clock"
	"usock/trace"
)

// Events of the stack (package trace) go from whoever makes them into the host's log, and from there to the listeners once an
// entry has ended:
//
//	tcp.Conn, calls ──► log (its own lock) ── handOn ──► each listener's queue (t.mu) ──► listener
//
// A connection puts its events into the log together, before others can learn of what they tell: the locks of domains order
// what depends on each other. Two entries at one time have read the clock one after the other, and come in
// any order: an event's time is no earlier than that of the one before it.
//
// Arrays of events change hands and are not copied, but for further listeners.
//
// One goroutine at a time hands on what is in a listener's queue, so that the order stays; who comes
// meanwhile leaves his events there and goes on. So a listener may use the host: what that brings
// about comes after what it is told now. One that does not return holds up the goroutine that has
// called it, and no other listener.

// maxTraced is how many events wait for a listener that does not keep up.
const maxTraced = 1 << 16

// maxSpare is how long a queue may be that is kept for reuse.
const maxSpare = 1 << 12

// tracing is the state of a host's events.
type tracing struct {
	on  atomic.Bool // changed under the host's lock
	log *trace.Log  // nil: nobody listens. Changed under the host's lock and mu

	mu        sync.Mutex
	spare     []trace.Event // mu: for the log
	last      time.Duration // mu: of the event that was queued last
	listeners []*listener   // mu; a slice that was read stays as it is
}

// logged returns the log if there is something to hand on, else nil. The host must be entered.
func (t *tracing) logged() *trace.Log {
	if !t.on.Load() || t.log.Empty() {
		return nil
	}
	return t.log
}

// listener is who is told of events. Its fields are guarded by tracing.mu.
type listener struct {
	f            func([]trace.Event) // not guarded: it does not change
	queue, spare []trace.Event       // spare is for reuse
	missed       int                 // events for which there was no room; they come after the queue's
	busy         bool                // somebody hands on
	stopped      bool
}

// Trace has f called with all events from now on, until stop is called. f is called by one
// goroutine at a time, without the lock; the slice is the caller's, f must not keep it.
func (h *Host) Trace(f func([]trace.Event)) (stop func()) {
	l := &listener{f: f}
	t := &h.tracing
	h.Enter()
	t.mu.Lock()
	t.queue(t.log) // which is not for l

	// A new array, as handOn goes over the old one without the lock.
	t.listeners = append(slices.Clone(t.listeners), l)
	t.mu.Unlock()
	h.setTracing()
	h.Leave()

	return func() {
		h.Enter()
		t.mu.Lock()
		t.queue(t.log)
		t.listeners = slices.DeleteFunc(slices.Clone(t.listeners), func(o *listener) bool { return o == l })
		l.stopped, l.queue, l.missed = true, nil, 0
		t.mu.Unlock()
		h.setTracing()
		h.Leave()
	}
}

// setTracing tells those who make events whether somebody listens. Locked.
func (h *Host) setTracing() {
	t := &h.tracing
	t.mu.Lock()
	defer t.mu.Unlock()
	on := len(t.listeners) > 0
	if on == t.on.Load() {
		return
	}
	t.on.Store(on)

	// Whoever makes events has the log's address, or none: one comparison where nobody listens. A connection that was
	// told to another log has told this one nothing.
	t.log = nil
	if on {
		t.log = new(trace.Log)
	}
	if h.Traced != nil {
		h.Traced(t.log)
	}
}

// queue moves what was logged into the listeners' queues, unless those that the log is for have gone; t.mu must be held.
func (t *tracing) queue(log *trace.Log) {
	if log == nil || log != t.log || log.Empty() {
		return
	}
	events := log.Take(t.spare)
	t.spare = nil
	for i := range events {
		t.last = max(t.last, events[i].Time)
		events[i].Time = t.last
	}
	for i, l := range t.listeners {
		if i == len(t.listeners)-1 && len(l.queue) == 0 && len(events) <= maxTraced {
			l.queue, events = events, l.queue
			break
		}

		// A listener that does not keep up misses events, is told how many, and holds up no
		// packet.
		n := min(len(events), maxTraced-len(l.queue))
		l.queue = append(l.queue, events[:n]...)
		l.missed += len(events) - n
	}
	if cap(events) <= maxSpare {
		t.spare = events[:0]
	}
}

// handOn calls the listeners that nobody calls already until their queues are empty, after what was put into the log is there. Without
// the host's lock.
func (h *Host) handOn(log *trace.Log) {
	t := &h.tracing
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue(log)
	for _, l := range t.listeners {
		h.handTo(l)
	}
}

// maxHanded is after how many events a goroutine leaves the rest to another one, so that no program's call carries
// the others' events for ever.
const maxHanded = 4096

// handTo calls one listener; t.mu must be held, but not while the listener is called.
func (h *Host) handTo(l *listener) {
	t := &h.tracing

	// Whoever is at it takes these along, after those before.
	if l.busy {
		return
	}
	l.busy = true
	goesOn := false
	defer func() { l.busy = goesOn }() // a listener that panics is called again
	for handed := 0; len(l.queue) > 0; {
		if handed >= maxHanded {
			goesOn = true
			clock.Go(h.clock, func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				l.busy = false
				h.handTo(l)
			})
			return
		}
		events := l.queue
		handed += len(events)
		if l.missed > 0 {
			last := events[len(events)-1]
			events = append(events, trace.Event{Time: last.Time, Kind: trace.Missed, Result: l.missed})
			l.missed = 0
		}

		// Exchanged and not emptied: the listener has the slice while others add to the queue.
		l.queue, l.spare = l.spare[:0], nil
		t.call(l, events)
		if cap(events) <= maxSpare {
			l.spare = events
		}
	}
}

// call calls a listener, without the lock that its caller holds, and holds again whatever the
// listener does: it may panic, or end its goroutine.
func (t *tracing) call(l *listener, events []trace.Event) {
	t.mu.Unlock()
	defer t.mu.Lock()
	l.f(events)
}
