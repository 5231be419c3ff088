package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

// RFC 9438 section 4.10: a stage of congestion avoidance begins when slow start has ended, with K = 0
// and the window of that time, and what is acknowledged beyond ssthresh counts for it: it does not
// matter how acknowledgments are cut.
func TestCubicStageBegins(t *testing.T) {
	start := func() *driver {
		d := drive(t, "cubic", cc.Start{CWnd: 100_000})
		d.c.Timeout(&cc.Event{InFlight: 100_000})
		d.now = time.Second
		d.acks(60_000, cc.Open, true)
		if c := d.c.(*Cubic); c.shape.started || c.cwnd != 61_000 {
			t.Fatalf("in slow start: window %d, %+v", c.cwnd, c.shape)
		}
		d.now = 2 * time.Second
		return d
	}
	whole, cut := start(), start()
	whole.acks(9000+20_000, cc.Open, true)
	cut.acks(9000, cc.Open, true)
	cut.want(70_000, 70_000)
	cut.acks(20_000, cc.Open, true)

	w, c := whole.c.(*Cubic), cut.c.(*Cubic)
	if w.cwnd != c.cwnd || w.shape != c.shape || w.cwnd <= 70_000 {
		t.Errorf("at once: window %d, %+v; in two: %d, %+v", w.cwnd, w.shape, c.cwnd, c.shape)
	}
	if w.shape.epoch != 2*time.Second || w.shape.wMax != 70_000 || w.shape.k != 0 {
		t.Errorf("the stage began at %v with W_max %d, K %v", w.shape.epoch, w.shape.wMax, w.shape.k)
	}
}

// RFC 9438 section 4.3: alpha is 1 from the window on at which the last reduction was, which for the
// least window of two segments is at once.
func TestCubicAlpha(t *testing.T) {
	d := drive(t, "cubic", cc.Start{CWnd: 2000, SSThresh: 2000})
	d.c.Congestion(&cc.Event{InFlight: 2000})
	d.c.Recovered(0)
	d.want(2000, 2000)
	d.acks(1000, cc.Open, true)
	d.want(2500, 2000)
}

// RFC 9438 section 4.7: fast convergence is for a window that had not come back to W_max.
func TestCubicNoFastConvergence(t *testing.T) {
	c := new(Cubic)
	c.Start(cc.Start{MSS: testMSS, CWnd: 100_000})
	for range 2 {
		c.cwnd = 100_000
		c.Congestion(&cc.Event{InFlight: 100_000})
		if c.shape.wMax != 100_000 {
			t.Errorf("W_max %d", c.shape.wMax)
		}
	}
}

// No window is beyond MaxWindow.
func TestCubicMaxWindow(t *testing.T) {
	d := drive(t, "cubic", cc.Start{CWnd: cc.MaxWindow - 100, SSThresh: 10_000})
	for range 10 {
		d.now += 10 * time.Second
		d.acks(1<<30, cc.Open, true)
	}
	d.want(cc.MaxWindow, 10_000)
}

// RFC 9438 section 4.9: a spurious timeout, or fast retransmit, leaves window, threshold and curve as
// they were, its beginning included.
func TestCubicUndoes(t *testing.T) {
	for name, event := range map[string]func(*Cubic, *cc.Event){"timeout": (*Cubic).Timeout, "loss": (*Cubic).Congestion} {
		d := drive(t, "cubic", cc.Start{CWnd: 100_000, SSThresh: 50_000})
		d.c.Congestion(&cc.Event{InFlight: 100_000})
		d.c.Recovered(0)
		d.rounds(5)
		c := d.c.(*Cubic)
		shape, cwnd, ssthresh := c.shape, c.cwnd, c.ssthresh
		event(c, &cc.Event{Now: d.now, InFlight: cwnd})
		d.now += time.Second
		d.acks(1000, cc.Recovery, true)
		d.now += time.Second
		c.Undo(d.now)
		if c.shape != shape || c.cwnd != cwnd || c.ssthresh != ssthresh {
			t.Errorf("%s: %+v %d %d, want %+v %d %d", name, c.shape, c.cwnd, c.ssthresh, shape, cwnd, ssthresh)
		}
	}
}

// After idleness that took from the window the curve begins anew (RFC 9438 section 4.10); a window
// that stays is still on it.
func TestCubicRestart(t *testing.T) {
	for cwnd, started := range map[uint32]bool{40_000: false, 9000: true} {
		d := drive(t, "cubic", cc.Start{CWnd: cwnd, SSThresh: 5000})
		d.acks(1234, cc.Open, true)
		c := d.c.(*Cubic)
		frac := c.frac
		if !c.shape.started || frac == 0 {
			t.Fatalf("%d: not in congestion avoidance: %+v", cwnd, *c)
		}
		if started {
			c.cwnd = cwnd // within the initial window
		} else {
			frac = 0
		}
		c.Restart(d.now+time.Second, time.Second, 200*ms)
		if c.shape.started != started || c.frac != frac {
			t.Errorf("from %d to %d: on the curve %v, part of a byte %v", cwnd, c.cwnd, c.shape.started, c.frac)
		}
	}
}
