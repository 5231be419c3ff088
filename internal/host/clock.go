package host

import (
	"sync"
	"time"
)

// Clock is where a host's time comes from and what wakes it at a deadline.
type Clock interface {
	// Now returns the time since the clock's epoch. It never goes back.
	Now() time.Duration
	// NewAlarm returns an alarm that calls f, on a goroutine of its own or on the
	// one that moves a manual clock, when it is due.
	NewAlarm(f func()) Alarm
}

// Alarm calls its function at a set time. Set replaces an earlier setting; an
// alarm that has gone off is silent until it is set again.
type Alarm interface {
	Set(d time.Duration) // d from now
	Stop()
}

// System returns a clock that runs on the time package.
func System() Clock { return &system{epoch: time.Now()} }

type system struct{ epoch time.Time }

func (c *system) Now() time.Duration { return time.Since(c.epoch) }

func (c *system) NewAlarm(f func()) Alarm {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return systemAlarm{t}
}

type systemAlarm struct{ t *time.Timer }

func (a systemAlarm) Set(d time.Duration) { a.t.Reset(d) }
func (a systemAlarm) Stop()               { a.t.Stop() }

// Manual is a clock that stands still until it is advanced. Its methods may be
// called from any goroutine.
type Manual struct {
	mu     sync.Mutex
	now    time.Duration
	alarms []*manualAlarm
}

// Now implements Clock.
func (m *Manual) Now() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// NewAlarm implements Clock.
func (m *Manual) NewAlarm(f func()) Alarm {
	a := &manualAlarm{m: m, f: f}
	m.mu.Lock()
	m.alarms = append(m.alarms, a)
	m.mu.Unlock()
	return a
}

// Advance moves the clock on by d. Alarms that come due go off one after another
// on the caller's goroutine, each at its own time.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	end := m.now + d
	for {
		var first *manualAlarm
		for _, a := range m.alarms {
			if a.set && a.at <= end && (first == nil || a.at < first.at) {
				first = a
			}
		}
		if first == nil {
			break
		}
		first.set = false
		m.now = max(m.now, first.at)
		m.mu.Unlock()
		first.f()
		m.mu.Lock()
	}
	m.now = end
	m.mu.Unlock()
}

type manualAlarm struct {
	m   *Manual
	f   func()
	at  time.Duration // m.mu
	set bool          // m.mu
}

func (a *manualAlarm) Set(d time.Duration) {
	a.m.mu.Lock()
	a.at, a.set = a.m.now+max(d, 0), true
	a.m.mu.Unlock()
}

func (a *manualAlarm) Stop() {
	a.m.mu.Lock()
	a.set = false
	a.m.mu.Unlock()
}
