//go:build !linux

package clock

import (
	"os"
	"sync/atomic"
	"time"
)

// Precise is the machine's time, with alarms that are as exact as package time's. It is not virtual in testing/synctest where there
// is a better one, on Linux.
type Precise struct {
	system
	closed atomic.Bool
}

// NewPrecise returns a clock whose epoch is now.
func NewPrecise() (*Precise, error) {
	return &Precise{system: system{epoch: time.Now()}}, nil
}

// NewAlarm implements Clock.
func (p *Precise) NewAlarm(f func()) Alarm {
	return p.system.NewAlarm(func() {
		if !p.closed.Load() {
			f()
		}
	})
}

// Close ends the clock: alarms go off no more.
func (p *Precise) Close() error {
	if p.closed.Swap(true) {
		return os.ErrClosed
	}
	return nil
}
