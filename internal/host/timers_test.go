package host

import (
	"runtime"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/timer"
)

type told struct {
	timer.Entry
	c chan struct{}
}

func (x *told) Expired(*timer.Entry, time.Duration) { close(x.c) }

// Whose deadline has passed while the host was entered has it still, so that who sets a timer to go off
// earlier only does not put off what is due.
func TestDueDeadline(t *testing.T) {
	h := NewWithLanes(clock.System(), 2)
	x := &told{c: make(chan struct{})}
	x.On = x
	h.Enter()
	h.SetTimer(&x.Entry, h.Now())
	for h.Timers() > 0 { // until the alarm has gone off
		runtime.Gosched()
	}
	if later := h.Now() + time.Hour; later < x.At() {
		h.SetTimer(&x.Entry, later)
	}
	h.Leave()
	await(t, x.c)
	h.Enter()
	defer h.Leave()
	if at := x.At(); at != timer.Never {
		t.Errorf("a deadline of %v after it was told", at)
	}
}

// A deadline that comes nearer from far away, past a stop or not, is not lost.
func TestNearerDeadline(t *testing.T) {
	h := NewWithLanes(clock.System(), 2)
	for days := time.Duration(1); days <= 400; days++ {
		for _, stopped := range []bool{false, true} {
			x := &told{c: make(chan struct{})}
			x.On = x
			h.Enter()
			h.SetTimer(&x.Entry, h.Now()+days*24*time.Hour)
			if stopped {
				h.SetTimer(&x.Entry, timer.Never)
			}
			h.SetTimer(&x.Entry, h.Now())
			h.Leave()
			await(t, x.c)
		}
	}
}
