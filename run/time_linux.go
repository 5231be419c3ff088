//go:build amd64 || arm64

package run

import (
	"time"

	"usock/clock"
)

// machineClock is the clock of the supervisor: the machine's, whatever that of the host. The
// programs live in the machine's time, and the kernel wakes the loop by it.
var machineClock = clock.System()

// wall returns the time of day. Where somebody sets the machine's date, two of them are
// compared as if he had not (package time's monotonic readings).
func wall() time.Time { return clock.Wall(machineClock) }

// since returns how long ago t was.
func since(t time.Time) time.Duration { return wall().Sub(t) }

// alarm is an alarm that is heard from a channel.
type alarm struct {
	clock.Alarm
	C <-chan struct{}
}

func newAlarm() alarm {
	c := make(chan struct{}, 1)
	return alarm{machineClock.NewAlarm(func() {
		select {
		case c <- struct{}{}:
		default: // it has not been heard yet
		}
	}), c}
}
