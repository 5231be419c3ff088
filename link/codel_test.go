package link

import (
	"math"
	"slices"
	"testing"
	"time"
)

// A queue that is emptied of one packet every 10 ms, with packets that have all come at 0. Worked by hand: at 10 ms the
// delay is above the target for the first time, so that 110 ms is when it has been for an interval, and the first after
// that is at 120. From there dropNext is 220 and, with 1/sqrt(count) by Newton's steps from 1 as 1, .5, .5625, .4878,
// .4415, .4041, .3752, …: 270, 326.2, 375.0, 419.2, 459.6, 497.1, each served by the packet that is next.
func TestCoDelLaw(t *testing.T) {
	w := newWaiter(t, "queue codel")
	w.add(0, 80, 1, 1000, 0)
	var at []int
	for now := time.Duration(0); now <= 500*ms; now += 10 * ms {
		before := len(w.lost)
		w.pop(now)
		if len(w.lost) > before {
			at = append(at, int(now/ms))
		}
	}
	if want := []int{120, 220, 270, 330, 380, 420, 460, 500}; !slices.Equal(at, want) {
		t.Errorf("drops at %v, want %v", at, want)
	}
	w.wantLost("12 codel", "23 codel", "29 codel", "36 codel", "42 codel", "47 codel", "52 codel", "57 codel")
}

// Where packets leave more slowly than drops are due, one departure has several.
func TestCoDelDropsSeveral(t *testing.T) {
	w := newWaiter(t, "queue codel")
	w.add(0, 80, 1, 1000, 0)
	for _, now := range []time.Duration{10 * ms, 120 * ms} {
		w.pop(now)
	}
	w.wantLost("1 codel")

	// Due at 220, 270 and 326.
	if got := w.pop(330 * ms); got != 6 {
		t.Errorf("packet %d, want 6", got)
	}
	w.wantLost("1 codel", "3 codel", "4 codel", "5 codel")
}

// Neither a short queue nor a short wait is one that stands: the interval begins again.
func TestCoDelBelow(t *testing.T) {
	for name, relief := range map[string]func(w *waiter, now time.Duration){
		"a packet that waited for less than the target": func(w *waiter, now time.Duration) {
			w.add(now-4*ms, 40, 1, 1000, 0)
		},
		"an MTU left": func(w *waiter, now time.Duration) {
			w.add(now-50*ms, 2, 1, 1000, 0)
		},
	} {
		w := newWaiter(t, "queue codel")
		w.add(0, 2, 1, 1000, 0)
		w.add(0, 1, 1, 1000, 0)
		w.pop(10 * ms) // above, since two are left
		w.pop(20 * ms) // not any more: one is
		w.pop(30 * ms)
		relief(w, 100*ms)
		w.pop(100 * ms)
		w.add(100*ms, 40, 1, 1000, 0)
		for now := 110 * ms; now < 200*ms; now += 10 * ms {
			w.pop(now)
		}
		if w.lost != nil {
			t.Errorf("%s: lost %v", name, w.lost)
		}
	}
}

// Dropping that begins again soon does so at the rate that did it last time, and not later than 16 intervals.
func TestCoDelRemembers(t *testing.T) {
	for _, c := range []struct {
		pause time.Duration
		count uint32
	}{{200 * ms, 7}, {3 * time.Second, 1}} {
		w := newWaiter(t, "queue codel")
		w.add(0, 60, 1, 1000, 0)
		now := time.Duration(0)
		for ; now <= 500*ms; now += 10 * ms {
			w.pop(now)
		}
		q := w.q.(*codelQdisc)
		if w.pop(now) != 59 || q.codel.count != 8 || q.codel.dropping {
			t.Fatalf("%+v", q.codel)
		}
		now += c.pause
		w.add(now, 40, 1, 1000, 0)
		for range 13 {
			w.pop(now)
			now += 10 * ms
		}
		if len(w.lost) != 9 || q.codel.count != c.count || !q.codel.dropping {
			t.Errorf("after %v: lost %v, %+v", c.pause, w.lost, q.codel)
		}
	}
}

// With ECN what is capable is marked, at the same times, and what is marked already passes.
func TestCoDelMarks(t *testing.T) {
	w := newWaiter(t, "queue codel,ecn")
	w.add(0, 23, 1, 1000, 2)
	w.add(0, 10, 1, 1000, 3) // marked already: 22 is the second that would be dropped
	w.add(0, 10, 1, 1000, 0)
	for now := time.Duration(0); now <= 330*ms; now += 10 * ms {
		if got := w.pop(now); now < 330*ms && got != int(now/(10*ms)) {
			t.Fatalf("packet %d at %v", got, now)
		}
	}
	if w.ce != 2 {
		t.Errorf("%d marked, want those of 120 and 220 ms", w.ce)
	}
	w.wantLost("33 codel")
}

// Beyond ce_threshold every packet is marked, without CoDel's interval and without ecn.
func TestCoDelThreshold(t *testing.T) {
	w := newWaiter(t, "queue codel,ce_threshold,20ms")
	w.add(0, 10, 1, 1000, 1)
	for now := time.Duration(0); now < 50*ms; now += 10 * ms {
		w.pop(now)
	}
	if w.ce != 2 || w.lost != nil {
		t.Errorf("%d marked, want those of 30 and 40 ms; lost %v", w.ce, w.lost)
	}
}

// As the count grows by ones, Newton's step keeps to the root; after leaps as well.
func TestCoDelRoot(t *testing.T) {
	c := codel{recInvSqrt: math.MaxUint16}
	for c.count = 1; c.count < 20000; {
		c.count++
		c.newton()
		want := 65536 / math.Sqrt(float64(c.count))
		if off := math.Abs(float64(c.recInvSqrt)-want) / want; off > 0.03 && c.count > 2 {
			t.Fatalf("count %d: %d, want %.0f", c.count, c.recInvSqrt, want)
		}
	}
	for _, leap := range []uint32{1, 64, 100, 64 << 10, math.MaxUint32} {
		c := codel{count: leap, recInvSqrt: math.MaxUint16}
		for range 40 {
			c.newton()
		}
		want := 65536 / math.Sqrt(float64(leap))
		if math.Abs(float64(c.recInvSqrt)-want) > 2 {
			t.Errorf("a leap to %d: %d, want %.0f", leap, c.recInvSqrt, want)
		}
	}
}
