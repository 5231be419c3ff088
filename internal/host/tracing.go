package host

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"usock/clock"
	"usock/trace"
)

// Events of the stack (package trace) are written on the tape of the lane that makes them, and read there by the listeners, once the
// lane is left:
//
//	tcp.Conn, calls ──► Lane.tape ── cut ──► each listener's queue (t.mu) ── handOn ──► listener
//
// What a lane has written in a domain is cut off before others can learn of what it tells: the locks of domains order
// what depends on each other. Two entries at one time have read the clock one after the other, and come in
// any order: an event's time is no earlier than that of the one before it.
//
// One goroutine at a time hands on what is in a listener's queue, so that the order stays; who comes
// meanwhile leaves his events there and goes on. So a listener may use the host: what that brings
// about comes after what it is told now. One that does not return holds up the goroutine that has
// called it, and no other listener.

// maxTraced is how many events wait for a listener that does not keep up.
const maxTraced = 1 << 16

// maxSpare is how long a queue may be that is kept for reuse.
const maxSpare = 1 << 8

// tracing is the state of a host's events.
type tracing struct {
	on       atomic.Bool // changed under the host's lock
	audience uint32      // how often somebody has begun to listen where nobody did; under the host's lock

	mu        sync.Mutex
	last      time.Duration // mu: of the event that was cut last
	kinds     trace.Kinds   // mu: that somebody listens to: what is on tapes
	listeners []*listener   // mu; a slice that was read stays as it is
}

// listener is who is told of events. Its fields are guarded by tracing.mu.
type listener struct {
	f       func([]trace.Event) // not guarded: it does not change
	kinds   trace.Kinds         // that it is told of; likewise
	queue   []trace.Run
	told    int           // of queue: before, all was handed on
	waiting int           // events in queue
	missed  int           // events for which there was no room; they come after the queue's
	until   time.Duration // of the last of those
	busy    bool          // somebody hands on
}

// Trace has f called with all events, or all of some kinds, from now on, until stop is called. f is called by one
// goroutine at a time, without the lock; it must neither keep the slice nor write to it.
func (h *Host) Trace(f func([]trace.Event), kinds ...trace.Kind) (stop func()) {
	l := &listener{f: f, kinds: trace.KindsOf(kinds...)}
	t := &h.tracing
	h.Enter()
	h.Lane().cut() // which is not for l
	t.mu.Lock()

	// A new array, as handOn goes over the old one without the lock.
	t.listeners = append(slices.Clone(t.listeners), l)
	t.mu.Unlock()
	h.setTracing()
	h.Leave()

	return func() {
		h.Enter()
		h.Lane().cut()
		t.mu.Lock()
		t.listeners = slices.DeleteFunc(slices.Clone(t.listeners), func(o *listener) bool { return o == l })

		l.drop()
		t.mu.Unlock()
		h.setTracing()
		h.Leave()
	}
}

// drop forgets what waits for the listener.
func (l *listener) drop() {
	for _, r := range l.queue[l.told:] {
		r.Done()
	}
	l.queue, l.told, l.waiting, l.missed = nil, 0, 0, 0
}

// setTracing tells those who make events whether somebody listens, and the tapes to what. Locked.
func (h *Host) setTracing() {
	t := &h.tracing
	t.mu.Lock()
	on := len(t.listeners) > 0
	t.kinds = 0
	for _, l := range t.listeners {
		t.kinds |= l.kinds
	}
	kinds := t.kinds
	t.mu.Unlock()
	changed := on != t.on.Load()
	for i := range h.lanes {
		if changed {
			h.lanes[i].tape.Reset()
		}
		h.lanes[i].tape.LeaveOut(^kinds)
	}
	t.on.Store(on)
	audience := uint32(0)
	if on {
		if changed {
			t.audience = max(1, t.audience+1)
		}
		audience = t.audience
	}
	if h.Traced != nil {
		h.Traced(audience, kinds)
	}
}

// cut has the listeners be told of what was written on the lane's tape, once it is left.
func (l *Lane) cut() {
	if l.tape.Written() != 0 {
		l.host.tracing.queue(l.tape.Cut())
		l.told = true
	}
}

// queue puts events into the listeners' queues.
func (t *tracing) queue(r trace.Run) {
	t.mu.Lock()
	events := r.Events()
	if events[0].Time < t.last {
		for i := range events {
			events[i].Time = max(events[i].Time, t.last)
		}
	}
	t.last = events[len(events)-1].Time
	for _, l := range t.listeners {
		if l.kinds == t.kinds {
			l.put(r)
			continue
		}
		// Others listen to more, and the tape has that, too.
		some := slices.DeleteFunc(slices.Clone(events), func(e trace.Event) bool { return !l.kinds.Has(e.Kind) })
		if len(some) > 0 {
			own := trace.RunOf(some...)
			l.put(own)
			own.Done()
		}
	}
	t.mu.Unlock()
	r.Done()
}

// put queues events, as far as there is room: a listener that does not keep up misses events, is told how many, and holds up no packet.
func (l *listener) put(r trace.Run) {
	n := max(min(r.Len(), maxTraced-l.waiting), 0) // what is missing counts as one
	if n > 0 {
		l.putMissed()
		l.waiting += n
		part := r.Share(n)
		if k := len(l.queue); k == l.told || !l.queue[k-1].Follow(part) {
			l.queue = append(l.queue, part)
		}
	}
	if n < r.Len() {
		l.missed += r.Len() - n
		l.until = r.Events()[r.Len()-1].Time
	}
}

// putMissed queues how many events are missing behind what is queued.
func (l *listener) putMissed() {
	if l.missed > 0 {
		l.queue = append(l.queue, trace.RunOf(trace.Event{Time: l.until, Kind: trace.Missed, Result: l.missed}))
		l.waiting++
		l.missed = 0
	}
}

// take returns the first of what is queued; something is, or is missing.
func (l *listener) take() trace.Run {
	if l.told == len(l.queue) {
		l.putMissed()
	}
	r := l.queue[l.told]
	l.queue[l.told] = trace.Run{}
	l.waiting -= r.Len()
	if l.told++; l.told == len(l.queue) {
		l.queue, l.told = l.queue[:0], 0
		if cap(l.queue) > maxSpare {
			l.queue = nil
		}
	}
	return r
}

// handOn calls the listeners that nobody calls already until their queues are empty. Without
// the host's lock.
func (h *Host) handOn() {
	t := &h.tracing
	t.mu.Lock()
	defer t.mu.Unlock()
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
	for handed := 0; l.waiting+l.missed > 0; {
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
		// What is there, and what is missing behind it.
		for there := l.waiting; there > 0 && l.waiting > 0 || l.waiting == 0 && l.missed > 0; {
			r := l.take()
			there -= r.Len()
			handed += r.Len()
			t.call(l, r)
		}
	}
}

// call calls a listener, without the lock that its caller holds, and holds again whatever the
// listener does: it may panic, or end its goroutine.
func (t *tracing) call(l *listener, r trace.Run) {
	t.mu.Unlock()
	defer func() {
		r.Done()
		t.mu.Lock()
	}()
	l.f(r.Events())
}
