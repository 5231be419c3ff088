package clock_test

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"usock/clock"
)

func newPrecise(tb testing.TB) *clock.Precise {
	tb.Helper()
	p, err := clock.NewPrecise()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			tb.Error(err)
		}
	})
	return p
}

// Alarms go off not before their times, once for each setting, and those that are set again or stopped not at the old one.
func TestPreciseAlarms(t *testing.T) {
	p := newPrecise(t)
	type ring struct {
		name string
		at   time.Duration
	}
	rings := make(chan ring, 16)
	alarm := func(name string) clock.Alarm {
		return p.NewAlarm(func() { rings <- ring{name, p.Now()} })
	}
	begun := p.Now()
	late, early, again, never := alarm("late"), alarm("early"), alarm("again"), alarm("never")
	late.Set(30 * time.Millisecond)
	never.Set(20 * time.Millisecond)
	again.Set(time.Hour)
	early.Set(10 * time.Millisecond)
	again.Set(15 * time.Millisecond)
	never.Stop()
	for _, want := range []ring{{"early", 10 * time.Millisecond}, {"again", 15 * time.Millisecond}, {"late", 30 * time.Millisecond}} {
		got := <-rings
		if got.name != want.name || got.at-begun < want.at {
			t.Errorf("%s after %v, want %s after %v", got.name, got.at-begun, want.name, want.at)
		}
	}
	early.Set(-1)
	if got := <-rings; got.name != "early" {
		t.Errorf("%s, want early: one whose time has passed goes off at once", got.name)
	}
}

// Closing ends the goroutine and gives the descriptor back, and alarms go off no more, whatever is set meanwhile.
func TestPreciseClose(t *testing.T) {
	p := newPrecise(t)
	var mu sync.Mutex
	closed, after := false, 0
	var setters sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		setters.Go(func() {
			a := p.NewAlarm(func() {
				mu.Lock()
				defer mu.Unlock()
				if closed {
					after++
				}
			})
			for {
				select {
				case <-stop:
					return
				default:
					a.Set(50 * time.Microsecond)
				}
			}
		})
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	close(stop)
	setters.Wait()
	mu.Lock()
	closed = true
	mu.Unlock()
	fired := make(chan struct{})
	p.NewAlarm(func() { close(fired) }).Set(0)
	other := newPrecise(t) // may have the descriptor's number
	rang := make(chan struct{})
	other.NewAlarm(func() { close(rang) }).Set(time.Millisecond)
	select {
	case <-rang:
	case <-fired:
		t.Error("an alarm of a closed clock went off")
	}
	if err := p.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}

// No alarm waits until another one's call has ended, and a call may close the clock.
func TestPreciseCallsAreApart(t *testing.T) {
	p := newPrecise(t)
	rang, closed := make(chan struct{}), make(chan error, 1)
	p.NewAlarm(func() {
		<-rang
		closed <- p.Close()
	}).Set(0)
	p.NewAlarm(func() { close(rang) }).Set(2 * time.Millisecond)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// BenchmarkLateness tells how late alarms are, in µs, on the two clocks of the machine.
func BenchmarkLateness(b *testing.B) {
	for _, c := range []struct {
		name  string
		clock clock.Clock
	}{{"precise", newPrecise(b)}, {"system", clock.System()}} {
		b.Run(c.name, func(b *testing.B) {
			rang := make(chan time.Duration, 1)
			a := c.clock.NewAlarm(func() { rang <- c.clock.Now() })
			var late []float64
			for i := range b.N {
				wait := 3*time.Millisecond + time.Duration(i%97)*7*time.Microsecond
				at := c.clock.Now() + wait
				a.Set(wait)
				late = append(late, float64(<-rang-at)/1e3)
			}
			slices.Sort(late)
			b.ReportMetric(late[len(late)/2], "p50-µs")
			b.ReportMetric(late[len(late)*99/100], "p99-µs")
		})
	}
}
