package clock_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"usock/clock"
)

// Alarms go off at their times, those of one time in the order of their setting, also
// those that were set by others meanwhile.
func TestManualOrder(t *testing.T) {
	c := new(clock.Manual)
	var got []string
	alarm := func(name string, more func()) clock.Alarm {
		return c.NewAlarm(func() {
			got = append(got, fmt.Sprint(name, c.Now()))
			if more != nil {
				more()
			}
		})
	}
	e := alarm("e", nil)
	a, b := alarm("a", nil), alarm("b", func() { e.Set(0) })
	d, f := alarm("d", nil), alarm("f", nil)
	a.Set(3)
	b.Set(2)
	d.Set(2)
	f.Set(1)
	f.Set(2) // set again: after d
	stopped := alarm("stopped", nil)
	stopped.Set(1)
	stopped.Stop()
	stopped.Stop()
	late := alarm("late", nil)
	late.Set(5)

	if at, ok := c.Next(); at != 2 || !ok {
		t.Errorf("the first is at %v, %v", at, ok)
	}
	c.Advance(4)
	if want := []string{"b2ns", "d2ns", "f2ns", "e2ns", "a3ns"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if c.Now() != 4 {
		t.Errorf("it is %v", c.Now())
	}
	late.Set(-1)
	c.Advance(0)
	if at, ok := c.Next(); ok || got[len(got)-1] != "late4ns" {
		t.Errorf("%v, and the next is at %v", got, at)
	}
}

// An alarm that advances the clock itself makes no time go back.
func TestManualNested(t *testing.T) {
	c := new(clock.Manual)
	var at []time.Duration
	c.NewAlarm(func() { c.Advance(10); at = append(at, c.Now()) }).Set(1)
	c.NewAlarm(func() { at = append(at, c.Now()) }).Set(2)
	c.Advance(3)
	if want := []time.Duration{2, 11}; !slices.Equal(at, want) || c.Now() != 11 {
		t.Errorf("%v, want %v; it is %v", at, want, c.Now())
	}
}

// A clock of one's own has a date, too.
type bare struct{ now time.Duration }

func (b bare) Now() time.Duration          { return b.now }
func (bare) NewAlarm(f func()) clock.Alarm { return nil }

func TestWall(t *testing.T) {
	want := time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC)
	if got := clock.Wall(bare{5 * time.Second}); !got.Equal(want) {
		t.Errorf("a clock without a date: %v", got)
	}
	c := new(clock.Manual)
	c.Advance(5 * time.Second)
	if got := clock.Wall(c); !got.Equal(want) {
		t.Errorf("a manual clock: %v", got)
	}
	synctest.Test(t, func(t *testing.T) {
		c := clock.System()
		time.Sleep(time.Minute)
		if got := clock.Wall(c); !got.Equal(time.Now()) || c.Now() != time.Minute || !clock.IsSystem(c) {
			t.Errorf("the system's: %v, %v after its epoch", got, c.Now())
		}
	})
}

// The system's alarms go off at their times, once for each setting.
func TestSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.System()
		var at []time.Duration
		a := c.NewAlarm(func() { at = append(at, c.Now()) })
		time.Sleep(2 * time.Hour)
		a.Set(time.Second)
		a.Set(2 * time.Second)
		time.Sleep(time.Minute)
		a.Set(time.Second)
		a.Stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []time.Duration{2*time.Hour + 2*time.Second}; !slices.Equal(at, want) {
			t.Errorf("%v, want %v", at, want)
		}
	})
}

// Many alarms: the first is found without looking at all of them.
func BenchmarkManual(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := new(clock.Manual)
			for i := range n {
				var a clock.Alarm
				a = c.NewAlarm(func() { a.Set(time.Duration(n)) })
				a.Set(time.Duration(i))
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Advance(1)
			}
		})
	}
}

// A network is moved on from one event to the next.
func ExampleManual() {
	c := new(clock.Manual)
	ring := c.NewAlarm(func() { fmt.Println("it rings at", c.Now()) })
	ring.Set(90 * time.Second)
	for {
		at, ok := c.Next()
		if !ok {
			break
		}
		c.Advance(at - c.Now())
	}
	fmt.Println(clock.Wall(c).Format(time.DateTime))
	// Output:
	// it rings at 1m30s
	// 2000-01-01 00:01:30
}
