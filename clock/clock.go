package clock

import "time"

// Clock is where time comes from and what wakes at a deadline. Its methods may be called
// from any goroutine, and with locks of the caller held: they neither wait nor call back.
type Clock interface {
	// Now returns the time since the clock's epoch. It never goes back.
	Now() time.Duration

	// NewAlarm returns an alarm, not set, that calls f when it goes off: on a goroutine of
	// its own or on the one that moves the clock, with no lock held.
	NewAlarm(f func()) Alarm
}

// Alarm calls its function at a set time, once for each setting. Its methods may be called
// from any goroutine, its own function included.
type Alarm interface {
	// Set has the alarm go off d from now, in place of an earlier setting; at once, though
	// not before Set has returned, if d is not positive.
	Set(d time.Duration)

	// Stop undoes the setting. A call of the function that has begun goes on, and one that
	// is about to begin may still come.
	Stop()
}

// Wall returns the time of day: what c.Wall() says, if c has that method, else Now after
// 2000-01-01 00:00 UTC.
func Wall(c Clock) time.Time {
	if w, ok := c.(interface{ Wall() time.Time }); ok {
		return w.Wall()
	}
	return time.Unix(epoch2000, 0).UTC().Add(c.Now())
}

// epoch2000 is 2000-01-01 00:00 UTC in seconds since 1970.
const epoch2000 = 946684800

// System returns a clock that runs on package time, which testing/synctest makes virtual.
// Its epoch is the call of System. Its alarms go off on goroutines of their own.
func System() Clock { return &system{epoch: time.Now()} }

// IsSystem reports whether c was made by System or NewPrecise: it goes on by itself, and what is not
// done in time comes late.
func IsSystem(c Clock) bool {
	switch c.(type) {
	case *system, *Precise:
		return true
	}
	return false
}

// Go has f called soon, and not by the caller: on a goroutine of its own with the system's
// clock, as an alarm that is due at once with another one.
func Go(c Clock, f func()) {
	if IsSystem(c) {
		go f()
		return
	}
	c.NewAlarm(f).Set(0)
}

type system struct{ epoch time.Time }

func (c *system) Now() time.Duration { return time.Since(c.epoch) }

// Wall is the machine's time of day, which is set now and then, and not Now after what it
// was at the epoch.
func (*system) Wall() time.Time { return time.Now() }

func (c *system) NewAlarm(f func()) Alarm {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return systemAlarm{t}
}

type systemAlarm struct{ t *time.Timer }

func (a systemAlarm) Set(d time.Duration) { a.t.Reset(d) }
func (a systemAlarm) Stop()               { a.t.Stop() }
