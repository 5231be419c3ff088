package clock

import (
	"sync"
	"time"
)

// Manual is a clock that stands still until it is advanced. Its zero value is at its
// epoch and ready for use; it must not be copied. Its methods may be called from any
// goroutine, but for what happens to be a function of the calls it is one.
type Manual struct {
	mu     sync.Mutex
	now    time.Duration // mu
	alarms alarms        // mu
}

// Now implements Clock.
func (m *Manual) Now() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// NewAlarm implements Clock.
func (m *Manual) NewAlarm(f func()) Alarm { return &manualAlarm{m, newSetting(f)} }

// Next returns the time since the epoch at which the first alarm goes off, and whether one
// is set.
func (m *Manual) Next() (at time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.alarms.next()
}

// Advance moves the clock on by d, which must not be negative; by 0 it has those alarms go
// off that are due. Alarms that come due go off one after another on the caller's
// goroutine, each at its own time, those of one time in the order in which they were set.
// So do the ones that they set in turn, if these are due by then.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	end := m.now + max(d, 0)
	for a := m.alarms.due(end); a != nil; a = m.alarms.due(end) {
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
	setting
}

// Set implements Alarm.
func (a *manualAlarm) Set(d time.Duration) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	a.m.alarms.set(&a.setting, a.m.now+max(d, 0))
}

// Stop implements Alarm.
func (a *manualAlarm) Stop() {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	a.m.alarms.stop(&a.setting)
}
