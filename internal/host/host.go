package host

import (
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"usock/clock"
	"usock/internal/rank"
	"usock/internal/timer"
	"usock/internal/wait"
	"usock/packet"
	"usock/trace"
)

// Host is the lock domains of a network host, and the lanes in which they are entered. Make one with
// New. The Domain that it has is the whole host: who has entered that is alone in it.
type Host struct {
	Domain

	// Input takes a packet that the host has sent to itself. It is called in a lane that is in no
	// domain, or in that of whoever sent the packet, or in the whole host. Set once, before the first
	// Enter.
	Input func(*Lane, *packet.Packet)
	// Traced, if not nil, is told who listens to events, by a number that is another one where nobody has listened before (0: nobody does
	// any more), and to which kinds. It is called in the whole host. Set once, before the first Enter.
	Traced func(audience uint32, kinds trace.Kinds)

	clock  clock.Clock
	lanes  []Lane
	shards []shard // as many as lanes for what is in a domain, and as many for what is Loose
	one    bool    // there is one lane: every entry is one of the whole host
	gate   gate
	closed atomic.Bool // changed in the whole host

	turned atomic.Uintptr // address of the domain in which a turn was over last (Lane.takeTurn); it keeps nothing alive

	tracing tracing // see there

	endsMu rank.Leaf
	ends   map[*func(*wait.List)]struct{} // endsMu: to be called by Close
}

// lanesPerProcessor is how many entries there may be at once for each processor: those that Go has
// taken off it in midst of one keep their lanes.
const lanesPerProcessor = 4

// New returns a host on the clock c. With a clock of its own a network is to be a function of its
// seed: such a host has one lane, and so has nothing to do with how goroutines are scheduled. So has one that is
// made where there is one processor, which has no use for more.
func New(c clock.Clock) *Host {
	n := 1
	if clock.IsSystem(c) && runtime.GOMAXPROCS(0) > 1 {
		for n < lanesPerProcessor*runtime.GOMAXPROCS(0) {
			n *= 2
		}
	}
	return NewWithLanes(c, n)
}

// NewWithLanes is New with n lanes, a power of two.
func NewWithLanes(c clock.Clock, n int) *Host {
	h := &Host{clock: c, one: n == 1, lanes: make([]Lane, n), shards: make([]shard, 2*n)}
	h.Domain.host, h.Domain.lane = h, &h.lanes[0]
	for i := range h.lanes {
		h.lanes[i].host, h.lanes[i].ID = h, i
	}
	for i := range h.shards {
		h.shards[i].init(h)
	}
	return h
}

// Lanes returns how many lanes there are.
func (h *Host) Lanes() int { return len(h.lanes) }

// LaneAt returns the lane with the number, for those who keep something for each.
func (h *Host) LaneAt(n int) *Lane { return &h.lanes[n] }

// Clock returns the host's clock.
func (h *Host) Clock() clock.Clock { return h.clock }

// Alone reports whether all entries are of the whole host, for good.
func (h *Host) Alone() bool { return h.one }

// enter takes all lanes.
func (h *Host) enter() {
	if h.one {
		h.lanes[0].mu.Lock()
	} else {
		h.gate.shut()
		for i := range h.lanes {
			h.lanes[i].mu.lockAlone()
		}
	}
	l := &h.lanes[0]
	l.whole, l.fresh = true, false
}

// EnterLane enters a lane that is in no domain: for packets that come from outside, whose domains are found
// by looking at them. The number tells who comes, so that different ones take different lanes. Lane.Leave
// leaves it.
func (h *Host) EnterLane(number int) *Lane {
	if !h.one {
		return h.acquire(number)
	}
	h.enter()
	return &h.lanes[0]
}

// acquire locks a lane that is free, if possible the home.
func (h *Host) acquire(home int) *Lane {
	if l := &h.lanes[home&(len(h.lanes)-1)]; !h.gate.closed.Load() && l.mu.TryLock() {
		l.fresh = false
		return l
	}
	l := h.acquireSlow(home)
	l.fresh = false
	return l
}

func (h *Host) acquireSlow(home int) *Lane {
	mask := len(h.lanes) - 1
	h.gate.pass()
	for i := range h.lanes {
		if l := &h.lanes[(home+i)&mask]; l.mu.TryLock() {
			return l
		}
	}

	// Those who have lost their processors come to their end first, so that this is rare.
	h.gate.shut()
	defer h.gate.open()
	for i := 1; i < len(h.lanes); i++ {
		l := &h.lanes[(home+i)&mask]
		l.mu.lockAlone()
		l.mu.Unlock() // it is only waited for
	}
	l := &h.lanes[home&mask]
	l.mu.lockAlone()
	return l
}

// Timers returns how many timers have a deadline. The whole host must be entered, and the locks of those that are
// Loose must be free.
func (h *Host) Timers() int {
	n := 0
	for i := range h.shards {
		h.shards[i].mu.Lock()
		n += h.shards[i].queue.Active()
		h.shards[i].mu.Unlock()
	}
	return n
}

// Close stops the alarms, and wakes whom AtClose is for. Entering goes on to work, but no timer expires any
// more. The whole host must be entered.
func (h *Host) Close() {
	h.closed.Store(true)
	for i := range h.shards {
		h.shards[i].stop()
	}
	for i := range h.lanes {
		h.lanes[i].loop.Free()
	}
	h.endsMu.Lock()
	ends := slices.Collect(maps.Keys(h.ends))
	h.endsMu.Unlock()
	for _, f := range ends {
		(*f)(h.Wakes())
	}
}

// AtClose has f called when the host is closed, with the whole host entered, to say who is to be signalled
// then, unless stop is called before. Who has called AtClose looks at Closed after that. The host need not be
// entered.
func (h *Host) AtClose(f func(*wait.List)) (stop func()) {
	h.endsMu.Lock()
	defer h.endsMu.Unlock()
	if h.ends == nil {
		h.ends = make(map[*func(*wait.List)]struct{})
	}
	h.ends[&f] = struct{}{}
	return func() {
		h.endsMu.Lock()
		defer h.endsMu.Unlock()
		delete(h.ends, &f)
	}
}

// Closed reports whether Close was called.
func (h *Host) Closed() bool { return h.closed.Load() }

// Wall returns the time of day on the host's clock.
func (h *Host) Wall() time.Time { return clock.Wall(h.clock) }

// shard is a part of the host's timers, with a lock and an alarm of its own.
type shard struct {
	mu    rank.Leaf
	host  *Host
	queue timer.Queue
	armed time.Duration // when the alarm goes off; timer.Never: not set
	alarm clock.Alarm

	_ [CacheLine]byte // others' are on other cache lines
}
