package host

import (
	"slices"
	"sync"
	"sync/atomic"

	"usock/trace"
)

// Events of the stack (package trace) go from whoever makes them into the host's log, under the
// lock, and from there to the listeners once the lock is free:
//
//	tcp.Conn, calls ──► log (the host's lock) ── Leave ──► queue (its own lock) ──► listeners
//
// One goroutine at a time hands on what is in the queue, so that the order stays; who comes
// meanwhile leaves his events there and goes on. So a listener may use the host: what that brings
// about comes after what it is told now.

// maxTraced is how many events wait for a listener that does not keep up.
const maxTraced = 1 << 16

// tracing is the state of a host's events.
type tracing struct {
	on  atomic.Bool // changed under the host's lock
	log trace.Log   // the host's lock

	mu        sync.Mutex
	queue     []trace.Event // mu
	spare     []trace.Event // mu: for reuse
	missed    int           // mu: events for which there was no room
	busy      bool          // mu: somebody hands on
	listeners []*listener   // mu
}

type listener struct{ f func([]trace.Event) }

// Trace has f called with all events from now on, until stop is called. f is called by one
// goroutine at a time, without the lock; the slice is the caller's, f must not keep it.
func (h *Host) Trace(f func([]trace.Event)) (stop func()) {
	l := &listener{f}
	h.Enter()
	t := &h.tracing
	t.mu.Lock()
	t.listeners = append(t.listeners, l)
	t.mu.Unlock()
	h.setTracing()
	h.Leave()

	return func() {
		h.Enter()
		t.mu.Lock()
		t.listeners = slices.DeleteFunc(slices.Clone(t.listeners), func(o *listener) bool { return o == l })
		t.mu.Unlock()
		h.setTracing()
		h.Leave()
	}
}

// setTracing tells those who make events whether somebody listens. Locked.
func (h *Host) setTracing() {
	t := &h.tracing
	t.mu.Lock()
	on := len(t.listeners) > 0
	t.mu.Unlock()
	if on == t.on.Load() {
		return
	}
	t.on.Store(on)
	log := &t.log
	if !on {
		log = nil
		t.log = trace.Log{}
	}
	if h.Traced != nil {
		h.Traced(log)
	}
}

// Tracing reports whether somebody listens to events. It may be called without the lock.
func (h *Host) Tracing() bool { return h.tracing.on.Load() }

// Log returns where events go; nil if nobody listens. The lock must be held.
func (h *Host) Log() *trace.Log {
	if !h.tracing.on.Load() {
		return nil
	}
	return &h.tracing.log
}

// queueTraced moves what was logged into the queue and reports whether there is something to
// hand on. The host's lock is held.
func (t *tracing) queueTraced() bool {
	events := t.log.Take()
	if len(events) == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(events), maxTraced-len(t.queue))
	t.queue = append(t.queue, events[:n]...)
	t.missed += len(events) - n
	clear(events)
	return !t.busy
}

// handOn calls the listeners until the queue is empty. Without the host's lock.
func (t *tracing) handOn() {
	t.mu.Lock()
	if t.busy {
		t.mu.Unlock()
		return
	}
	t.busy = true
	for len(t.queue) > 0 {
		events := t.queue
		if t.missed > 0 {
			last := events[len(events)-1]
			events = append(events, trace.Event{Time: last.Time, Kind: trace.Missed, Result: t.missed})
			t.missed = 0
		}
		t.queue, t.spare = t.spare[:0], nil
		listeners := t.listeners
		t.mu.Unlock()
		for _, l := range listeners {
			l.f(events)
		}
		t.mu.Lock()
		clear(events)
		t.spare = events
	}
	t.busy = false
	t.mu.Unlock()
}
