package host

import (
	"sync/atomic"
	"time"
	"unsafe"

	"usock/clock"
	"usock/internal/rank"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/trace"
)

// Domain is a lock domain: what is of one connection with both its ends, or of one socket.
type Domain struct {
	host *Host
	box  atomic.Pointer[box] // nil until something was left for the domain
	mu   rank.Domain
	lane *Lane // that has entered it; else the first one, which works for the whole host. Guarded by mu
}

// NewDomain returns a domain of h.
func (h *Host) NewDomain() *Domain {
	return &Domain{host: h, lane: &h.lanes[0]}
}

// NewDomainApart returns a domain that shares no cache line with another: for what is entered from two
// processors for each packet.
func (h *Host) NewDomainApart() *Domain {
	d := new(struct {
		Domain
		_ [CacheLine - unsafe.Sizeof(Domain{})%CacheLine]byte
	})
	d.Domain = Domain{host: h, lane: &h.lanes[0]}
	return &d.Domain
}

// CacheLine is the size in bytes of what processors take from each other.
const CacheLine = 64

// home returns a number by which domains are spread over what there are a few of: the lanes in which they are entered
// where there is a choice, and the parts of the timers. It is made of the address, which no object changes.
func (d *Domain) home() int {
	return int(uint32(uintptr(unsafe.Pointer(d))>>5) * 0x9e3779b1 >> 16)
}

// Part returns the number, always the same, of the part that d has in what is in as many parts as there are lanes. The domain need not be
// entered.
func (d *Domain) Part() int { return d.home() & (len(d.host.lanes) - 1) }

// isWhole reports whether d is the whole host.
func (d *Domain) isWhole() bool { return d == &d.host.Domain }

// Host returns the host that the domain is of.
func (d *Domain) Host() *Host { return d.host }

// Enter locks the domain, or waits until that is possible. It must not be called by whoever has entered
// this or another domain of the host.
func (d *Domain) Enter() {
	h := d.host
	if h.one || d.isWhole() {
		h.enter()
		return
	}
	// The domain before the lane: who waits for the one must not keep the other from those that the
	// whole host waits for.
	if !d.mu.TryLock() {
		d.lockSlow()
	}
	l := h.acquire(d.home())
	l.goInto(d)
	if d.left() {
		l.drain(d)
	}
}

// EnterWhole locks the whole host, and the domain with it. Leave leaves it.
func (d *Domain) EnterWhole() {
	d.host.enter()
	if d.left() {
		d.host.lanes[0].drain(d)
	}
}

// Leave carries out what the entry has brought about and unlocks the domain, or the whole host. See the
// package comment.
func (d *Domain) Leave() { d.Lane().Leave() }

// Lane returns the lane of whoever has entered the domain, or the whole host.
func (d *Domain) Lane() *Lane { return d.lane }

// InWhole reports whether whoever has entered the domain has the whole host.
func (d *Domain) InWhole() bool { return d.lane.whole }

// Now returns the time since the host's epoch. All calls between Enter and Leave
// return the same. The domain must be entered, as for all below but where they say otherwise.
func (d *Domain) Now() time.Duration { return d.Lane().Now() }

// Clock returns the host's clock. The domain need not be entered.
func (d *Domain) Clock() clock.Clock { return d.host.clock }

// Wall returns the time of day on the host's clock. The domain need not be entered.
func (d *Domain) Wall() time.Time { return clock.Wall(d.host.clock) }

// Stamp returns Wall in ns since 1970: what packets are stamped with.
func (d *Domain) Stamp() int64 { return d.Wall().UnixNano() }

// Yield has the goroutine that leaves the domain let others run once: what it brings finds no room, and those
// who are to take it wait for a processor, on which Go would leave it for 10 ms.
func (d *Domain) Yield() { d.Lane().yield = true }

// Settle carries out now what the domain has brought about for itself (Lane.LoopFirst). What is for another one waits until the
// domain is left, which it stays entered until then.
func (d *Domain) Settle() {
	l := d.Lane()
	pinned := l.pinned
	l.pinned = true
	for t := l.first.pop(); t != nil; t = l.first.pop() {
		l.do(t, nil)
	}
	l.pinned = pinned
}

// After has f called by the goroutine that leaves the domain, once it has unlocked: f may
// enter the host.
func (d *Domain) After(f func()) {
	l := d.Lane()
	l.after = append(l.after, f)
}

// SetTimer gives e the deadline at; timer.Never stops it. An entry's timers are always set by one
// domain, which is the one that its owner names (Homed), or by the whole host.
func (d *Domain) SetTimer(e *timer.Entry, at time.Duration) { d.shard().set(e, at, d.Now()) }

// RemoveTimer takes e out of the queue.
func (d *Domain) RemoveTimer(e *timer.Entry) { d.shard().remove(e) }

func (d *Domain) shard() *shard { return &d.host.shards[d.Part()] }

// Notify tells those who wait in q that ev happened; goroutines are signalled
// after Leave has unlocked.
func (d *Domain) Notify(q *wait.Queue, ev wait.Events) {
	if !q.Empty() {
		q.Notify(ev, &d.Lane().wakes)
	}
}

// Wakes returns the list of those who are signalled once Leave has unlocked.
func (d *Domain) Wakes() *wait.List { return &d.Lane().wakes }

// Wake has w signalled once Leave has unlocked.
func (d *Domain) Wake(w *wait.Waiter) { d.Lane().wakes.Push(w) }

// Waiter returns a waiter that is in no queue.
func (d *Domain) Waiter() *wait.Waiter { return d.Lane().waiter() }

// PutWaiter takes w back. It must be in no queue and have no signal under way.
func (d *Domain) PutWaiter(w *wait.Waiter) { d.Lane().putWaiter(w) }

// Closed reports whether the host is closed. The domain need not be entered.
func (d *Domain) Closed() bool { return d.host.closed.Load() }

// Tracing reports whether somebody listens to events. The domain need not be entered.
func (d *Domain) Tracing() bool { return d.host.tracing.on.Load() }

// Tape returns where events are written; nil if nobody listens.
func (d *Domain) Tape() *trace.Tape {
	if !d.Tracing() {
		return nil
	}
	return &d.lane.tape
}
