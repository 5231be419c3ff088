package host

import (
	"runtime"
	"time"
	"unsafe"

	"usock/clock"
	"usock/internal/relay"
	"usock/internal/wait"
	"usock/packet"
	"usock/trace"
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
	told   bool    // events were told, to be handed on
	fresh  bool

	since time.Duration // when entries began that follow each other closely
	last  time.Duration // when the last of them was

	now     time.Duration  // read from the clock, if fresh
	first   tasks          // to be done before what is in loop is taken
	loop    packet.Queue   // sent by the host to itself
	inPlace bool           // the next of those is taken at once: it stands for a task
	next    *packet.Packet // that one
	visits  []*Domain      // into whose boxes something was put
	drained int            // tasks that were done for others
	wakes   wait.List
	idle    []*wait.Waiter // for reuse
	dirty   []*relay.Relay // that have packets to be sent after unlocking
	after   []func()       // to be called after unlocking
	wholes  []left         // to be done in the whole host
	tape    trace.Tape     // empty while nobody listens

	_ [CacheLine]byte // others' lanes are on other cache lines
}

// Now returns the time since the host's epoch, the same for all that is done in one domain.
func (l *Lane) Now() time.Duration {
	if !l.fresh {
		l.look()
	}
	return l.now
}

// look looks at the clock.
//
//go:noinline
func (l *Lane) look() { l.now, l.fresh = l.host.clock.Now(), true }

// Host returns the host that the lane is of.
func (l *Lane) Host() *Host { return l.host }

// Tape returns where events are written. It is called only where somebody listens (Domain.Tracing).
func (l *Lane) Tape() *trace.Tape { return &l.tape }

// Whole reports whether the entry has the whole host.
func (l *Lane) Whole() bool { return l.whole }

// Domain returns the domain that the lane is in; nil: none, or the whole host.
func (l *Lane) Domain() *Domain { return l.dom }

// In reports whether the lane is in d, or has the whole host.
func (l *Lane) In(d *Domain) bool { return l.whole || l.dom == d }

// Loop queues a packet that the host sends to itself.
func (l *Lane) Loop(p *packet.Packet) {
	if l.inPlace {
		l.inPlace, l.next = false, p
		return
	}
	l.loop.Push(p)
}

// LoopFirst has t done in place of a packet that the host sends to itself, and reports whether it will: not if such packets wait
// already, which come before. t is called where they would be taken, and behind those for which LoopFirst was called before. It
// may go into another domain (Visit), and may after all send the packet (InPlace).
func (l *Lane) LoopFirst(t Task) bool {
	if l.loop.Peek() != nil {
		return false
	}
	l.first.push(t)
	return true
}

// InPlace says whether the packet that the host sends to itself next is taken once the task that calls it has returned, before all that
// waits. So the order stays where a task finds that it must be a packet.
func (l *Lane) InPlace(yes bool) { l.inPlace = yes }

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
	l.goInto(d)
	return true
}

// goInto has the lane be in d, which is locked. Others may have come later than the lane, and have been in d
// before: in no domain does time go back.
func (l *Lane) goInto(d *Domain) {
	d.lane, l.dom = l, d
	l.fresh = false
}

// Refresh has Now look at the clock again: for what is in no domain, and was seen by another lane before.
func (l *Lane) Refresh() { l.fresh = false }

// Found returns a domain for what is to be made, and has the lane be there: a new one, or that in whose
// box the lane is at work, which it may not leave.
func (l *Lane) Found() *Domain {
	if l.pinned && !l.whole {
		return l.dom
	}
	d := l.host.NewDomain()
	l.depart()
	if !l.whole && d.mu.TryLock() { // nobody else knows of it yet
		l.goInto(d)
	}
	return d
}

// Post has t done in d: now if the lane is there, else before it leaves the host, or by whoever is in d.
// Everything that is posted to a domain is done in that order.
func (l *Lane) Post(d *Domain, t Task, p *packet.Packet) {
	if (l.whole || l.dom == d) && !d.left() {
		t.Run(l, p)
		return
	}
	d.leaveFor(t, p)
	if n := len(l.visits); n == 0 || l.visits[n-1] != d {
		l.visits = append(l.visits, d)
	}
}

// AfterWhole has t done in the whole host before whoever is in the lane goes on; at once if he has it.
func (l *Lane) AfterWhole(t Task, p *packet.Packet) {
	if l.whole {
		t.Run(l, p)
		return
	}
	l.wholes = append(l.wholes, left{t, p})
}

// tasks are tasks, first in, first out.
type tasks struct {
	list []Task
	done int // the first of list, which are no more
}

func (q *tasks) push(t Task) {
	if n := len(q.list); n == cap(q.list) && q.done > n/2 {
		// Tasks that make tasks may leave none of them the last one for long.
		k := copy(q.list, q.list[q.done:])
		clear(q.list[k:])
		q.list, q.done = q.list[:k], 0
	}
	q.list = append(q.list, t)
}

// maxSpareTasks is how long a list of tasks may be that is kept for reuse.
const maxSpareTasks = 1024

// pop returns nil if there is none.
func (q *tasks) pop() Task {
	if q.done == len(q.list) {
		return nil
	}
	t := q.list[q.done]
	q.list[q.done] = nil
	if q.done++; q.done == len(q.list) {
		q.list, q.done = q.list[:0], 0
		if cap(q.list) > maxSpareTasks {
			q.list = nil
		}
	}
	return t
}

// depart unlocks the domain that the lane is in.
func (l *Lane) depart() {
	d := l.dom
	if d == nil {
		return
	}
	l.cut()
	l.dom, d.lane = nil, &l.host.lanes[0]
	d.mu.Unlock()
	if d.left() {
		l.visits = append(l.visits, d)
	}
}

// maxDrained is after how many tasks for others a lane leaves the rest to another goroutine, so that no
// program's call carries the others' packets for ever.
const maxDrained = 4096

// run takes the packets that the host has sent to itself, or does what stands for one, and does what is in the boxes of the domains that
// are to be visited, until there is nothing left. The lane is in no domain then.
func (l *Lane) run() {
	for {
		for t := l.first.pop(); t != nil; t = l.first.pop() {
			l.do(t, nil)
		}
		if p := l.loop.Pop(); p != nil {
			l.host.Input(l, p)
			continue
		}
		if l.dom != nil {
			l.depart()
		}
		if len(l.visits) == 0 {
			return
		}
		l.visit()
	}
}

// do does a task, and takes the packet that it has become.
func (l *Lane) do(t Task, p *packet.Packet) {
	t.Run(l, p)
	if p := l.next; p != nil {
		l.next = nil
		l.host.Input(l, p)
	}
}

// visit goes into the next of the domains that are to be visited.
func (l *Lane) visit() {
	n := len(l.visits)
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
	case l.whole:
		l.drain(d)
	case d.mu.TryLock():
		l.goInto(d)
		l.drain(d)
	}
}

// maxDirty is how many relays an entry flushes, and functions it calls, without allocating.
const maxDirty = 4

// Leave ends an entry: it carries out what that has brought about, and unlocks. See the package comment.
func (l *Lane) Leave() {
	h := l.host

	if l.fresh && !l.whole {
		l.takeTurn()
	}

	// First: what the host sends to itself can set timers, wake programs and fill relays, all of
	// which the rest carries out.
	l.run()
	whole := l.whole
	if whole {
		if h.one {
			for i := range h.shards {
				if s := &h.shards[i]; s.queue.Next() < s.armed {
					s.rearm(l.Now())
				}
			}
		}
	}
	l.cut()
	told := l.told
	l.told = false

	// All that is done without the lock is taken along, as others enter as soon as it is free.
	wakes := l.wakes.Take()
	if l.yield || len(l.dirty)|len(l.after)|len(l.wholes) != 0 {
		l.finish(whole, told, wakes)
		return
	}
	l.drained = 0
	l.unlock(whole)
	wakes.Signal()
	if told {
		h.handOn()
	}
}

// turn is for how long goroutines that wake each other keep others from running, and not for Go's 10 ms: who is taken
// off his processor at the end of these has a lane, more often than not, and keeps it until all others have had their
// turns. So he lets them run before, at a time when he has none.
const turn = 500 * time.Microsecond

// pauses is after how long without an entry a turn begins anew: who comes now and then yields to nobody.
const pauses = 100 * time.Microsecond

// takeTurn has the goroutine yield, once the turn is over, unless the last turn was over in the same domain: then no
// entry of others waits to be gone on with, and Go's 10 ms are as fair to the rest of the program as to this. The lane has
// looked at the clock.
func (l *Lane) takeTurn() {
	if l.now-l.last > pauses {
		l.since = l.now
	}
	l.last = l.now
	if l.now-l.since > turn {
		l.since = l.now
		in := uintptr(unsafe.Pointer(l.dom))
		l.yield = l.yield || l.host.turned.Swap(in) != in
	}
}

// unlock unlocks the lane, or all.
func (l *Lane) unlock(whole bool) {
	h := l.host
	if !whole || h.one {
		l.whole = false
		l.mu.Unlock()
		return
	}
	l.whole = false
	for i := len(h.lanes) - 1; i >= 0; i-- {
		h.lanes[i].mu.Unlock()
	}
	h.gate.open()
}

// finish is the rest of Leave where there is more to be done without the lock than to wake programs.
func (l *Lane) finish(whole, told bool, wakes wait.List) {
	h := l.host
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
	l.unlock(whole)

	// Programs before packets: a flush may run a whole other host on this goroutine, and nobody
	// need wait for that.
	wakes.Signal()
	if len(wholes) > 0 {
		h.Enter()
		for _, x := range wholes {
			x.task.Run(&h.lanes[0], x.p)
		}
		if clear(wholes); l.wholes == nil {
			l.wholes = wholes[:0] // for reuse: who has the whole host has the lane
		}
		h.Leave()
	}
	h.carryOut(after, dirty, told)
	if yield {
		runtime.Gosched()
	}
}

// carryOut calls the functions, flushes the relays and hands events on, each also where one before it panics or ends its
// goroutine: they are the user's, or call the user's links and listeners, and what the others are for is others'.
func (h *Host) carryOut(after []func(), dirty []*relay.Relay, told bool) {
	switch {
	case len(after) > 0:
		defer h.carryOut(after[1:], dirty, told)
		after[0]()
	case len(dirty) > 0:
		if len(dirty) > 1 || told {
			defer h.carryOut(nil, dirty[1:], told)
		}
		dirty[0].Flush()
	case told:
		h.handOn()
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
