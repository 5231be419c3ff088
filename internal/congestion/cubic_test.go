package congestion

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"usock/cc"
)

// RFC 9438 sections 4.2 and 4.6: with W_max = 1000 segments and beta 0.7, K is
// cbrt(300/0.4) = 9.086 s; the window comes back to W_max at K and is a cubic
// about that point.
func TestCubicCurve(t *testing.T) {
	d := drive(t, "cubic", cc.Start{CWnd: 1000 * testMSS, SSThresh: 1000 * testMSS})
	d.c.Congestion(&cc.Event{InFlight: 1000 * testMSS})
	d.want(700*testMSS, 700*testMSS)
	d.c.Recovered(0)
	k := math.Cbrt(300 / 0.4)
	start := d.now
	for _, at := range []float64{1, 3, 6, 9.086, 12, 15} {
		for (d.now - start).Seconds() < at {
			w := d.c.CWnd() / testMSS
			d.now += d.rtt / time.Duration(w)
			d.acks(testMSS, cc.Open, true)
		}
		want := 0.4*math.Pow(at-k, 3) + 1000
		if got := float64(d.c.CWnd()) / testMSS; math.Abs(got-want) > 8 {
			t.Errorf("after %v s the window is %.1f segments, want %.1f", at, got, want)
		}
	}
}

// RFC 9438 section 4.7.
func TestCubicFastConvergence(t *testing.T) {
	c := new(Cubic)
	c.Start(cc.Start{MSS: testMSS, CWnd: 100000})
	c.Congestion(&cc.Event{InFlight: 100000})
	if c.shape.wMax != 100000 || c.cwnd != 70000 {
		t.Fatalf("W_max %d, cwnd %d", c.shape.wMax, c.cwnd)
	}
	c.Recovered(0)
	c.Congestion(&cc.Event{InFlight: 70000}) // below the last W_max
	if c.shape.wMax != 59500 || c.cwnd != 49000 {
		t.Errorf("W_max %d, cwnd %d; want 70000*0.85 and 49000", c.shape.wMax, c.cwnd)
	}
	if c.cwnd = 2000; true {
		c.Congestion(&cc.Event{InFlight: 2000})
	}
	if c.ssthresh != 2000 {
		t.Errorf("ssthresh is %d, want two segments at least", c.ssthresh)
	}
}

// RFC 9438 section 4.3: at short round trips the window is Reno's, with alpha
// 9/17 of a segment a round trip until it is back where it was, and 1 from then.
func TestCubicRenoFriendly(t *testing.T) {
	d := drive(t, "cubic", cc.Start{CWnd: 10 * testMSS, SSThresh: 10 * testMSS})
	d.rtt = time.Millisecond
	d.c.Congestion(&cc.Event{InFlight: 10 * testMSS})
	d.c.Recovered(0)
	d.rounds(4)
	if got, want := float64(d.c.CWnd()), 7000+4*1000*9/17.0; math.Abs(got-want) > 200 {
		t.Errorf("after four round trips the window is %.0f, want %.0f", got, want)
	}
	for d.c.CWnd() < 11*testMSS {
		d.rounds(1)
	}
	before := d.c.CWnd()
	d.rounds(5)
	if got := float64(d.c.CWnd() - before); math.Abs(got-5000) > 700 {
		t.Errorf("five round trips added %.0f bytes, want 5000", got)
	}
}

// RFC 9438 section 4.4: however late, the window grows by half in a round trip at
// most.
func TestCubicGrowthIsBounded(t *testing.T) {
	d := drive(t, "cubic", cc.Start{CWnd: 100 * testMSS, SSThresh: 100 * testMSS})
	d.c.Congestion(&cc.Event{InFlight: 100 * testMSS})
	d.c.Recovered(0)
	d.rounds(1)
	d.now += time.Minute // a minute without an acknowledgment, the window full
	w := d.c.CWnd()
	d.acks(w, cc.Open, true)
	if got := d.c.CWnd(); got > w+w/2 {
		t.Errorf("the window went from %d to %d at once", w, got)
	}
}

// RFC 9438 section 5.8: time in which the window was not the limit is no time.
func TestCubicDoesNotCountIdleness(t *testing.T) {
	run := func(pause func(d *driver)) uint32 {
		d := drive(t, "cubic", cc.Start{CWnd: 100 * testMSS, SSThresh: 100 * testMSS})
		d.c.Congestion(&cc.Event{InFlight: 100 * testMSS})
		d.c.Recovered(0)
		d.rounds(5)
		pause(d)
		d.rounds(5)
		return d.c.CWnd()
	}
	want := run(func(*driver) {})
	idle := run(func(d *driver) {
		d.now += time.Minute
		d.c.Sent(d.now, 0, testMSS)
	})
	limited := run(func(d *driver) {
		for range 600 {
			d.now += d.rtt
			d.acks(testMSS, cc.Open, false)
		}
	})
	if idle != want || limited != want {
		t.Errorf("window %d after idleness, %d after an application limit, want %d", idle, limited, want)
	}
}

// RFC 9438 section 4.9.
func TestCubicUndo(t *testing.T) {
	c := new(Cubic)
	c.Start(cc.Start{MSS: testMSS, CWnd: 100000, SSThresh: 50000})
	c.Congestion(&cc.Event{InFlight: 100000})
	c.Recovered(0)
	c.Ack(&cc.Ack{Now: time.Second, SRTT: time.Second, Acked: 1000, Delivered: 1000, CWndLimited: true})
	before, cwnd, ssthresh := c.shape, c.cwnd, c.ssthresh
	c.Congestion(&cc.Event{Now: time.Second, InFlight: 70000})
	c.Timeout(&cc.Event{Now: time.Second, InFlight: 70000})
	c.Undo(time.Second)
	if c.shape != before || c.cwnd != cwnd || c.ssthresh != ssthresh {
		t.Errorf("after undo %+v %d %d, want %+v %d %d", c.shape, c.cwnd, c.ssthresh, before, cwnd, ssthresh)
	}
}

// RFC 9438 section 4.8: after a timeout the curve starts from the window at which
// congestion avoidance begins.
func TestCubicTimeout(t *testing.T) {
	c := new(Cubic)
	c.Start(cc.Start{MSS: testMSS, CWnd: 100000})
	c.Timeout(&cc.Event{InFlight: 100000})
	if c.cwnd != 1000 || c.ssthresh != 70000 {
		t.Fatalf("cwnd %d, ssthresh %d", c.cwnd, c.ssthresh)
	}
	c.Ack(&cc.Ack{Now: time.Second, SRTT: time.Second, Acked: 70000, Delivered: 70000, CWndLimited: true})
	if c.shape.k != 0 || c.shape.wMax != 70000 {
		t.Errorf("K %v, W_max %d", c.shape.k, c.shape.wMax)
	}
}

// RFC 9438 section 5.1, equation 5: the mean window is
// (C*(3+beta)/(4*(1-beta)))^(1/4) * RTT^(3/4) / p^(3/4) segments.
func TestCubicResponse(t *testing.T) {
	n := newNetwork(1000, 100*time.Millisecond, 1000, 0, 1)
	n.every = 10000
	s := n.add("cubic", 1448)
	want := math.Pow(0.4*3.7/1.2, 0.25) * math.Pow(0.1, 0.75) / math.Pow(1e-4, 0.75)
	meanWindow(t, n, s, want, 0.1)
}

// RFC 9406: a queue that builds up ends slow start before a deep one overflows.
func TestHyStartLeavesSlowStart(t *testing.T) {
	// 100 Mbit/s and 40 ms: 345 segments fill the path.
	for name, loses := range map[string]bool{"cubic": false, "reno": true} {
		n := newNetwork(100, 40*time.Millisecond, 5000, 0, 1)
		s := n.add(name, 1448)
		n.run(3 * time.Second)
		if s.c.SSThresh() == cc.MaxWindow || s.events != 0 != loses {
			t.Errorf("%s: ssthresh %d after %d losses", name, s.c.SSThresh(), s.events)
		}
		if got := goodput(s.delivered, n.now) / n.rate; got < 0.85 {
			t.Errorf("%s: %.0f %% of the path used in the first three seconds", name, got*100)
		}
	}
}

// RFC 9406 section 4.2: round-trip times that fall back show that the growth was
// noise, and slow start resumes.
func TestHyStartResumes(t *testing.T) {
	var h hyStart
	una := uint64(0)
	round := func(rtt time.Duration) (grew uint32, done bool) {
		for range 10 {
			una += testMSS
			g, d := h.grow(&cc.Ack{RTT: rtt, SndUna: una, SndNxt: una + 9*testMSS}, testMSS, testMSS)
			grew, done = grew+g, done || d
		}
		return grew, done
	}
	round(40 * time.Millisecond)
	if g, _ := round(41 * time.Millisecond); g != 10*testMSS || h.baseline != 0 {
		t.Fatalf("one more millisecond counts as a queue (grew %d)", g)
	}
	round(47 * time.Millisecond) // more than 41+41/8
	if h.baseline == 0 {
		t.Fatal("six more milliseconds do not count as a queue")
	}
	if g, _ := round(47 * time.Millisecond); g != 10*testMSS/4 {
		t.Errorf("conservative slow start grew by %d bytes, want a quarter of 10000", g)
	}
	round(40 * time.Millisecond)
	if h.baseline != 0 {
		t.Error("slow start did not resume")
	}
	round(60 * time.Millisecond)
	for i := 1; i < hsRounds; i++ {
		if _, done := round(60 * time.Millisecond); done {
			t.Fatalf("slow start ended after %d rounds", i)
		}
	}
	if _, done := round(60 * time.Millisecond); !done {
		t.Error("slow start did not end after five rounds")
	}
}

// Flows that start at different times come to equal shares.
func TestCubicFairness(t *testing.T) {
	for _, flows := range []int{2, 10} {
		n := newNetwork(40, 20*time.Millisecond, 70, 0, 3)
		for i := range flows {
			n.run(time.Duration(i) * 200 * time.Millisecond)
			n.add("cubic", 1448)
		}
		n.run(20 * time.Second)
		if j, used := shares(n, 30*time.Second); j < 0.9 || used < 0.95 {
			t.Errorf("%d flows: Jain's index %.3f, %.1f %% used", flows, j, used*100)
		}
	}
}

// shares returns Jain's fairness index over d, and how much of the bottleneck was
// used.
func shares(n *network, d time.Duration) (jain, used float64) {
	from := make([]uint64, len(n.senders))
	for i, s := range n.senders {
		from[i] = s.delivered
	}
	n.run(n.now + d)
	sum, squares := 0.0, 0.0
	for i, s := range n.senders {
		x := float64(s.delivered - from[i])
		sum += x
		squares += x * x
	}
	return sum * sum / squares / float64(len(n.senders)), sum / d.Seconds() / n.rate
}

// ECN marks reduce as losses do (RFC 3168 section 6.1.2), BBR excepted.
func TestECN(t *testing.T) {
	for name, want := range map[string]uint32{"reno": 50000, "cubic": 70000, "bbr": 100000} {
		d := drive(t, name, cc.Start{CWnd: 100000})
		d.c.Congestion(&cc.Event{Cause: cc.ByECN, InFlight: 100000})
		if d.c.CWnd() != want {
			t.Errorf("%s: window %d, want %d", name, d.c.CWnd(), want)
		}
	}
}

// A connection's controller must stay small, and cost no allocation per packet.
func TestCost(t *testing.T) {
	if n := unsafe.Sizeof(Cubic{}); n > 192 {
		t.Errorf("CUBIC has %d bytes", n)
	}
	for _, name := range Names() {
		n := newNetwork(100, 20*time.Millisecond, 100, 0.01, 1)
		s := n.add(name, 1448)
		n.run(time.Second)
		a := cc.Ack{Now: n.now, RTT: s.srtt, SRTT: s.srtt, Delivered: 1448, Acked: 1448, CWndLimited: true,
			Rate: cc.Sample{Delivered: 14480, Interval: s.srtt, Total: s.delivered, PriorDelivered: s.delivered - 14480}}
		if got := testing.AllocsPerRun(100, func() {
			a.Now += time.Millisecond
			s.c.Sent(a.Now, 1000, 1448)
			s.c.Ack(&a)
		}); got != 0 {
			t.Errorf("%s: %v allocations an acknowledgment", name, got)
		}
	}
}

// The cube root is that of package math, as far as a float32 goes.
func TestCubeRoot(t *testing.T) {
	for x := 1e-6; x < 1e10; x *= 1.01 {
		if got, want := cubeRoot(x), math.Cbrt(x); math.Abs(got-want) > 1e-12*want {
			t.Fatalf("of %v: %v, want %v", x, got, want)
		}
	}
}
