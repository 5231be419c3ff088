package host

import (
	"runtime"
	"time"

	"usock/clock"
	"usock/internal/relay"
	"usock/internal/wait"
	"usock/packet"
)

// Lane is what one entry into the host works with: the time, the packets that it sends, those whom it
// wakes. At any time a lane belongs to one entry; who has all of them has the whole host. Nobody waits for
// a domain while he has a lane.
type Lane struct {
	mu   mutex
	host *Host
	ID   int // from 0

	// All below is guarded by mu.

	dom    *Domain // that it is in; nil: none
	whole  bool    // all lanes are taken; this one works for them
	pinned bool    // it stays in dom
	yield  bool    // others are let run at the end
	fresh  bool

	now     time.Duration // read from the clock, if fresh
	loop    packet.Queue  // sent by the host to itself
	visits  []*Domain     // into whose boxes something was put
	drained int           // tasks that were done for others
	wakes   wait.List
	idle    []*wait.Waiter // for reuse
	dirty   []*relay.Relay // that have packets to be sent after unlocking
	after   []func()       // to be called after unlocking
	wholes  []func()       // to be called in the whole host

	_ [64]byte // others' lanes are on other cache lines
}

// Now returns the time since the host's epoch, the same for the whole entry.
func (l *Lane) Now() time.Duration {
	if !l.fresh {
		l.now, l.fresh = l.host.clock.Now(), true
	}
	return l.now
}

// Host returns the host that the lane is of.
func (l *Lane) Host() *Host { return l.host }

// Whole reports whether the entry has the whole host.
func (l *Lane) Whole() bool { return l.whole }

// Domain returns the domain that the lane is in; nil: none, or the whole host.
func (l *Lane) Domain() *Domain { return l.dom }

// Loop queues a packet that the host sends to itself.
func (l *Lane) Loop(p *packet.Packet) { l.loop.Push(p) }

// Send puts a packet into a relay, which is flushed once the host is left.
func (l *Lane) Send(r *relay.Relay, p *packet.Packet) {
	if !r.Push(p) {
		return
	}
	for _, o := range l.dirty {
		if o == r {
			return
		}
	}
	l.dirty = append(l.dirty, r)
}

// Visit has the lane go into d, out of the domain that it was in, and reports whether it is there: d may be
// busy, or have something in its box that comes first. Then the caller leaves what he has for it (Post). Only
// those who take packets call it (Host.Input, and who has come by Host.EnterLane).
func (l *Lane) Visit(d *Domain) bool {
	if l.whole {
		return !d.left()
	}
	if l.dom == d {
		return true
	}
	if l.pinned || d.left() {
		return false
	}
	l.depart()
	if !d.mu.TryLock() {
		return false
	}
	d.in, l.dom = uint16(l.ID+1), d
	return true
}

// Found returns a domain for something new, and has the lane go there: one that nobody else knows of yet, or that
// in which the lane has to stay. Only those call it who may call Visit.
func (l *Lane) Found() *Domain {
	if l.pinned && !l.whole {
		return l.dom
	}
	d := l.host.NewDomain()
	if !l.whole {
		l.depart()
		d.mu.TryLock()
		d.in, l.dom = uint16(l.ID+1), d
	}
	return d
}

// Post has t done in d: now if the lane is there, else before it leaves the host, or by whoever is in d.
// Everything that is posted to a domain is done in that order.
func (l *Lane) Post(d *Domain, t Task, p *packet.Packet) {
	if l.whole && d.left() {
		l.drain(d) // whoever has locked the domain waits for a lane
	}
	if l.whole || l.dom == d && !d.left() {
		t.Run(l, p)
		return
	}
	d.leaveFor(t, p)
	l.visits = append(l.visits, d)
}

// AfterWhole has f called in the whole host before whoever is in the lane goes on; at once if he has it.
func (l *Lane) AfterWhole(f func()) {
	if l.whole {
		f()
		return
	}
	l.wholes = append(l.wholes, f)
}

// depart unlocks the domain that the lane is in.
func (l *Lane) depart() {
	d := l.dom
	if d == nil {
		return
	}
	l.dom, d.in = nil, 0
	d.mu.Unlock()
	if d.left() {
		l.visits = append(l.visits, d)
	}
}

// maxDrained is after how many tasks for others a lane leaves the rest to another goroutine, so that no
// program's call carries the others' packets for ever.
const maxDrained = 4096

// run takes the packets that the host has sent to itself, and does what is in the boxes of the domains that
// are to be visited, until there is nothing left.
func (l *Lane) run() {
	for {
		if p := l.loop.Pop(); p != nil {
			l.host.Input(l, p)
			continue
		}
		l.depart()
		n := len(l.visits)
		if n == 0 {
			return
		}
		d := l.visits[0]
		copy(l.visits, l.visits[1:])
		l.visits[n-1] = nil
		l.visits = l.visits[:n-1]
		switch {
		case !d.left():
		case l.drained > maxDrained:
			l.after = append(l.after, func() {
				clock.Go(l.host.clock, func() {
					d.Enter()
					d.Leave()
				})
			})
		case d.mu.TryLock():
			d.in, l.dom = uint16(l.ID+1), d
			l.drain(d)
		}
	}
}

// maxDirty is how many relays an entry flushes, and functions it calls, without allocating.
const maxDirty = 4

// Leave ends an entry: it carries out what that has brought about, and unlocks. See the package comment.
func (l *Lane) Leave() {
	h := l.host

	// First: what the host sends to itself can set timers, wake programs and fill relays, all of
	// which the rest carries out.
	traced := false
	if l.whole {
		for p := l.loop.Pop(); p != nil; p = l.loop.Pop() {
			h.Input(l, p)
		}
		if h.one {
			h.shards[0].arm(l)
		}
		traced = h.tracing.on.Load() && h.tracing.queueTraced()
	} else {
		l.run()
	}

	// All that is done without the lock is taken along, as others enter as soon as it is free.
	wakes := l.wakes.Take()
	var calls [maxDirty]func()
	after := append(calls[:0], l.after...)
	clear(l.after)
	l.after = l.after[:0]
	var few [maxDirty]*relay.Relay
	dirty := append(few[:0], l.dirty...)
	clear(l.dirty)
	l.dirty = l.dirty[:0]
	wholes := l.wholes
	l.wholes = nil
	yield := l.yield
	l.yield, l.drained = false, 0
	if l.whole {
		l.whole = false
		for i := len(h.lanes) - 1; i > 0; i-- {
			h.lanes[i].mu.Unlock()
		}
	}
	l.mu.Unlock()

	// Programs before packets: a flush may run a whole other host on this goroutine, and nobody
	// need wait for that.
	wakes.Signal()
	for _, f := range wholes {
		h.Enter()
		f()
		h.Leave()
	}
	for _, f := range after {
		f()
	}
	for _, r := range dirty {
		r.Flush()
	}
	if traced {
		h.tracing.handOn()
	}
	if yield {
		runtime.Gosched()
	}
}

// waiter returns a waiter that is in no queue.
func (l *Lane) waiter() *wait.Waiter {
	if n := len(l.idle); n > 0 {
		w := l.idle[n-1]
		l.idle[n-1] = nil
		l.idle = l.idle[:n-1]
		return w
	}
	return wait.NewWaiter()
}

// putWaiter takes w back.
func (l *Lane) putWaiter(w *wait.Waiter) {
	w.Mask, w.Exclusive = 0, false
	if len(l.idle) < 64 {
		l.idle = append(l.idle, w)
	}
}
