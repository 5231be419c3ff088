package host

import (
	"runtime"
	"time"

	"usock/clock"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/packet"
	"usock/trace"
)

// Domain is a lock domain. Make one with New.
type Domain struct {
	// Input takes a packet that the host has sent to itself. It is called with
	// the lock held. Set once, before the first Enter.
	Input func(*packet.Packet)
	// Traced, if not nil, is told where to put events; nil: nobody listens any more. It is
	// called with the lock held. Set once, before the first Enter.
	Traced func(*trace.Log)

	mu    mutex
	clock clock.Clock
	alarm clock.Alarm

	// All below is guarded by mu.

	now    time.Duration // read from the clock, if fresh
	fresh  bool
	timers timer.Queue
	armed  time.Duration // when the alarm goes off; timer.Never: not set
	loop   packet.Queue
	dirty  []*port // ports that have packets to be sent after unlocking
	wakes  wait.List
	idle   []*wait.Waiter // waiters for reuse
	after  []func()       // to be called after unlocking
	closed bool
	yield  bool // Leave lets other goroutines run

	tracing tracing // see there
}

// New returns a host on the clock c.
func New(c clock.Clock) *Domain {
	h := &Domain{clock: c, armed: timer.Never}
	h.alarm = c.NewAlarm(h.expire)
	return h
}

// Enter locks the host.
func (h *Domain) Enter() {
	h.mu.Lock()
	h.fresh = false
}

// Now returns the time since the host's epoch. All calls between Enter and Leave
// return the same. The lock must be held.
func (h *Domain) Now() time.Duration {
	if !h.fresh {
		h.now, h.fresh = h.clock.Now(), true
	}
	return h.now
}

// Clock returns the host's clock.
func (h *Domain) Clock() clock.Clock { return h.clock }

// Wall returns the time of day on the host's clock.
func (h *Domain) Wall() time.Time { return clock.Wall(h.clock) }

// Stamp returns Wall in ns since 1970: what packets are stamped with.
func (h *Domain) Stamp() int64 { return h.Wall().UnixNano() }

// maxDirty is how many ports a Leave flushes, and functions it calls, without allocating.
const maxDirty = 4

// Leave carries out what the entry has brought about and unlocks the host. See
// the package comment.
func (h *Domain) Leave() {
	// First: what the host sends to itself can set timers, wake programs and fill ports, all of
	// which the rest of Leave carries out.
	for p := h.loop.Pop(); p != nil; p = h.loop.Pop() {
		h.Input(p)
	}

	// Earlier deadlines only. An alarm that goes off too soon finds nothing due and is set
	// anew, which is cheaper than to move it with each segment.
	if next := h.timers.Next(); next < h.armed && !h.closed {
		h.armed = next
		h.alarm.Set(next - h.Now())
	}
	traced := h.tracing.on.Load() && h.tracing.queueTraced()

	// All that is done without the lock is taken along, as others enter as soon as it is free.
	wakes := h.wakes.Take()
	var calls [maxDirty]func()
	after := append(calls[:0], h.after...)
	clear(h.after)
	h.after = h.after[:0]
	var few [maxDirty]*port
	dirty := few[:0]
	if len(h.dirty) > 0 {
		dirty = append(dirty, h.dirty...)
		for _, p := range dirty {
			// Before unlocking: what others push while this flush runs makes the port dirty
			// again.
			p.dirty = false
		}
		clear(h.dirty)
		h.dirty = h.dirty[:0]
	}
	yield := h.yield
	h.yield = false
	h.mu.Unlock()

	// Programs before packets: a flush may run a whole other host on this goroutine, and nobody
	// need wait for that.
	wakes.Signal()
	for _, f := range after {
		f()
	}
	for _, p := range dirty {
		p.Flush()
	}
	if traced {
		h.tracing.handOn()
	}
	if yield {
		runtime.Gosched()
	}
}

// Yield has the goroutine that leaves the host let others run once: what it brings finds no room, and those
// who are to take it wait for a processor, on which Go would leave it for 10 ms. The lock must be held.
func (h *Domain) Yield() { h.yield = true }

func (h *Domain) expire() {
	h.Enter()

	// It has gone off: Leave sets it for what is next.
	h.armed = timer.Never
	if !h.closed {
		h.timers.Expire(h.Now())
	}
	h.Leave()
}

// Loop queues a packet that the host sends to itself. The lock must be held.
func (h *Domain) Loop(p *packet.Packet) { h.loop.Push(p) }

// After has f called by the goroutine that leaves the host, once it has unlocked: f may
// enter the host. The lock must be held.
func (h *Domain) After(f func()) { h.after = append(h.after, f) }

// SetTimer gives e the deadline at; timer.Never stops it. The lock must be held.
func (h *Domain) SetTimer(e *timer.Entry, at time.Duration) { h.timers.Set(e, at) }

// RemoveTimer takes e out of the queue. The lock must be held.
func (h *Domain) RemoveTimer(e *timer.Entry) { h.timers.Remove(e) }

// Timers returns how many timers have a deadline. The lock must be held.
func (h *Domain) Timers() int { return h.timers.Active() }

// Notify tells those who wait in q that ev happened; goroutines are signalled
// after Leave has unlocked. The lock must be held.
func (h *Domain) Notify(q *wait.Queue, ev wait.Events) {
	if !q.Empty() {
		q.Notify(ev, &h.wakes)
	}
}

// Wake has w signalled once Leave has unlocked. The lock must be held.
func (h *Domain) Wake(w *wait.Waiter) { h.wakes.Push(w) }

// Waiter returns a waiter that is in no queue. The lock must be held.
func (h *Domain) Waiter() *wait.Waiter {
	if n := len(h.idle); n > 0 {
		w := h.idle[n-1]
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		return w
	}
	return wait.NewWaiter()
}

// PutWaiter takes w back. It must be in no queue and have no signal under way.
// The lock must be held.
func (h *Domain) PutWaiter(w *wait.Waiter) {
	w.Mask, w.Exclusive = 0, false

	if len(h.idle) < 64 {
		h.idle = append(h.idle, w)
	}
}

// Close stops the alarm. Entering goes on to work, but no timer expires any
// more. The lock must be held.
func (h *Domain) Close() {
	h.closed = true
	h.alarm.Stop()
	h.loop.Free()
}

// Closed reports whether Close was called. The lock must be held.
func (h *Domain) Closed() bool { return h.closed }
