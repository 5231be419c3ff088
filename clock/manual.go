package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Manual is a clock that stands still until it is advanced. Its zero value is at its
// epoch and ready for use; it must not be copied. Its methods may be called from any
// goroutine, but for what happens to be a function of the calls it is one.
type Manual struct {
	mu     sync.Mutex
	now    time.Duration // mu
	alarms alarmHeap     // mu: those that are set
	serial uint64        // mu: of the last setting
}

// Now implements Clock.
func (m *Manual) Now() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// NewAlarm implements Clock.
func (m *Manual) NewAlarm(f func()) Alarm { return &manualAlarm{m: m, f: f, index: -1} }

// Next returns the time since the epoch at which the first alarm goes off, and whether one
// is set.
func (m *Manual) Next() (at time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.alarms) == 0 {
		return 0, false
	}
	return m.alarms[0].at, true
}

// Advance moves the clock on by d, which must not be negative; by 0 it has those alarms go
// off that are due. Alarms that come due go off one after another on the caller's
// goroutine, each at its own time, those of one time in the order in which they were set.
// So do the ones that they set in turn, if these are due by then.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	end := m.now + max(d, 0)
	for len(m.alarms) > 0 && m.alarms[0].at <= end {
		a := heap.Pop(&m.alarms).(*manualAlarm)
		m.now = max(m.now, a.at) // an alarm may itself have advanced the clock
		m.mu.Unlock()
		a.f()
		m.mu.Lock()
	}
	m.now = max(m.now, end)
	m.mu.Unlock()
}

type manualAlarm struct {
	m *Manual
	f func()

	at     time.Duration // m.mu
	serial uint64        // m.mu: of its setting
	index  int           // m.mu: in m.alarms; -1: not set
}

// Set implements Alarm.
func (a *manualAlarm) Set(d time.Duration) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	a.m.serial++
	a.at, a.serial = a.m.now+max(d, 0), a.m.serial
	if a.index < 0 {
		heap.Push(&a.m.alarms, a)
	} else {
		heap.Fix(&a.m.alarms, a.index)
	}
}

// Stop implements Alarm.
func (a *manualAlarm) Stop() {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	if a.index >= 0 {
		heap.Remove(&a.m.alarms, a.index)
	}
}

// alarmHeap orders alarms by their times, and by their setting where those are equal.
type alarmHeap []*manualAlarm

func (h alarmHeap) Len() int { return len(h) }

func (h alarmHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].serial < h[j].serial
}

func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *alarmHeap) Push(x any) {
	a := x.(*manualAlarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarmHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	a.index = -1
	return a
}
