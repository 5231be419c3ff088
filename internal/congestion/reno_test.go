package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

const testMSS = 1000

// driver feeds a controller with acknowledgments of a sender that keeps its
// window full.
type driver struct {
	t   *testing.T
	c   cc.Controller
	now time.Duration
	rtt time.Duration
	una uint64
}

func drive(t *testing.T, name string, s cc.Start) *driver {
	t.Helper()
	c, ok := New(name)
	if !ok {
		t.Fatalf("no controller %q", name)
	}
	s.MSS = testMSS
	c.Start(s)
	return &driver{t: t, c: c, rtt: 100 * time.Millisecond}
}

// acks has n bytes acknowledged in the given state.
func (d *driver) acks(n uint32, state cc.State, limited bool) {
	d.una += uint64(n)
	d.c.Ack(&cc.Ack{
		Now: d.now, RTT: d.rtt, SRTT: d.rtt, MinRTT: d.rtt, Delivered: n, Acked: n,
		PriorInFlight: d.c.CWnd(), InFlight: d.c.CWnd() - min(n, d.c.CWnd()),
		SndUna: d.una, SndNxt: d.una + uint64(d.c.CWnd()), State: state, CWndLimited: limited,
	})
}

// rounds lets n round trips go by, in each of which the whole window is
// acknowledged segment by segment.
func (d *driver) rounds(n int) {
	for range n {
		w := d.c.CWnd() / testMSS
		for range w {
			d.now += d.rtt / time.Duration(w)
			d.acks(testMSS, cc.Open, true)
		}
	}
}

func (d *driver) want(cwnd, ssthresh uint32) {
	d.t.Helper()
	if d.c.CWnd() != cwnd || d.c.SSThresh() != ssthresh {
		d.t.Fatalf("cwnd %d, ssthresh %d; want %d, %d", d.c.CWnd(), d.c.SSThresh(), cwnd, ssthresh)
	}
}

// RFC 6928 section 2.
func TestInitialWindow(t *testing.T) {
	for _, c := range []struct{ mss, want uint32 }{
		{536, 5360}, {1460, 14600}, {1448, 14480}, {4000, 14600}, {8960, 17920}, {65483, 130966},
	} {
		if got := cc.InitialWindow(c.mss); got != c.want {
			t.Errorf("InitialWindow(%d) = %d, want %d", c.mss, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range Names() {
		c, ok := New(name)
		if !ok || c.Name() != name {
			t.Errorf("New(%q) = %v, %v", name, c, ok)
		}
	}
	if c, ok := New(""); !ok || c.Name() != "cubic" {
		t.Errorf("the default is %v, want cubic", c)
	}
	if _, ok := New("vegas"); ok {
		t.Error("New made an unknown controller")
	}
}

// RFC 5681 section 3.1.
func TestRenoSlowStart(t *testing.T) {
	d := drive(t, "reno", cc.Start{CWnd: 10000})
	d.want(10000, cc.MaxWindow)
	d.acks(1000, cc.Open, true)
	d.want(11000, cc.MaxWindow)
	d.acks(2000, cc.Open, true) // a delayed acknowledgment counts all its bytes
	d.want(13000, cc.MaxWindow)
	d.rounds(1)
	d.want(26000, cc.MaxWindow)
}

// RFC 5681 section 3.1: one segment a round trip.
func TestRenoCongestionAvoidance(t *testing.T) {
	d := drive(t, "reno", cc.Start{CWnd: 20000, SSThresh: 20000})
	d.rounds(1)
	d.want(21000, 20000)
	d.rounds(10)
	d.want(31000, 20000)
	// An acknowledgment that passes ssthresh counts for both.
	d = drive(t, "reno", cc.Start{CWnd: 19500, SSThresh: 20000})
	d.acks(20500, cc.Open, true)
	d.want(21000, 20000)
}

// RFC 5681 equation 4.
func TestRenoReduction(t *testing.T) {
	for _, c := range []struct{ cwnd, flight, want uint32 }{
		{20000, 20000, 10000},
		{20000, 12000, 6000}, // less than the window was used
		{20000, 22000, 10000},
		{3000, 3000, 2000}, // two segments at least
	} {
		d := drive(t, "reno", cc.Start{CWnd: c.cwnd})
		d.c.Congestion(&cc.Event{InFlight: c.flight})
		d.want(c.want, c.want)
		d.acks(5000, cc.Recovery, true) // the window is PRR's business
		d.want(c.want, c.want)
	}
}

func TestRenoTimeout(t *testing.T) {
	d := drive(t, "reno", cc.Start{CWnd: 20000})
	d.c.Timeout(&cc.Event{InFlight: 20000})
	d.want(1000, 10000)
	d.c.Timeout(&cc.Event{InFlight: 20000, Repeated: true})
	d.want(1000, 10000)
	d.c.Undo(0)
	d.want(20000, cc.MaxWindow)
	small := drive(t, "reno", cc.Start{CWnd: 3000})
	small.c.Timeout(&cc.Event{InFlight: 3000})
	small.want(1000, 2000) // two segments at least
	d.c.Timeout(&cc.Event{InFlight: 20000})
	// Slow start up to ssthresh; a jump over data that had arrived counts only
	// for what is new.
	d.c.Ack(&cc.Ack{State: cc.Loss, Acked: 9000, Delivered: 1000, CWndLimited: true})
	d.want(2000, 10000)
}

func TestRenoUndo(t *testing.T) {
	d := drive(t, "reno", cc.Start{CWnd: 20000, SSThresh: 15000})
	d.c.Congestion(&cc.Event{InFlight: 20000})
	d.c.Timeout(&cc.Event{InFlight: 20000})
	d.c.Undo(0)
	d.want(20000, 15000)
	d.c.Undo(0) // there is nothing more to undo
	d.want(20000, 15000)
	// What is undone is done with.
	d.c.Congestion(&cc.Event{InFlight: 20000})
	d.c.Undo(0)
	d.acks(20000, cc.Open, true)
	d.want(21000, 15000)
	d.c.Congestion(&cc.Event{InFlight: 21000})
	d.c.Undo(0)
	d.want(21000, 15000)
	d.c.Congestion(&cc.Event{InFlight: 21000})
	d.c.Undo(0)
	d.acks(20000, cc.Open, true) // less than a window: what was counted before went with the reduction
	d.want(21000, 15000)
	d = drive(t, "reno", cc.Start{CWnd: 20000, SSThresh: 15000})
	// A DSACK that comes after recovery undoes it still.
	d.c.Congestion(&cc.Event{InFlight: 20000})
	d.c.Recovered(0)
	d.c.Undo(0)
	d.want(20000, 15000)
	// The next episode starts from its own state.
	d.c.Congestion(&cc.Event{InFlight: 20000})
	d.c.Recovered(0)
	d.c.Congestion(&cc.Event{InFlight: 10000})
	d.want(5000, 5000)
	d.c.Undo(0)
	d.want(10000, 10000)
}

// RFC 2861: a window that was not filled does not grow.
func TestNoGrowthUnlessLimited(t *testing.T) {
	for _, name := range []string{"reno", "cubic"} {
		for _, ssthresh := range []uint32{0, 5000} {
			d := drive(t, name, cc.Start{CWnd: 20000, SSThresh: ssthresh})
			for range 100 {
				d.now += d.rtt
				d.acks(1000, cc.Open, false)
			}
			if d.c.CWnd() != 20000 {
				t.Errorf("%s: window grew to %d", name, d.c.CWnd())
			}
		}
	}
}

// RFC 2861 section 3.2, RFC 5681 section 4.1.
func TestRestartAfterIdle(t *testing.T) {
	for _, name := range []string{"reno", "cubic"} {
		d := drive(t, name, cc.Start{CWnd: 64000, SSThresh: 16000})
		d.c.Restart(time.Second, 500*time.Millisecond, 200*time.Millisecond)
		d.want(16000, 48000)
		d.c.Restart(time.Hour, time.Hour, 200*time.Millisecond)
		d.want(10000, 48000)
	}
}

func TestSmallerSegments(t *testing.T) {
	for _, name := range Names() {
		d := drive(t, name, cc.Start{CWnd: 10000})
		d.c.SetMSS(500)
		if d.c.CWnd() != 5000 {
			t.Errorf("%s: %d bytes, want ten segments of 500", name, d.c.CWnd())
		}
	}
}

func TestUsage(t *testing.T) {
	c := new(Reno)
	c.Start(cc.Start{MSS: 1000, CWnd: 10000})
	var u Usage
	u.Sent(0, 3000, 3000, false)
	if u.Limited(c) {
		t.Error("three of ten segments count as a full window")
	}
	u.Sent(0, 6000, 6000, false) // in slow start more than half is enough
	if !u.Limited(c) {
		t.Error("six of ten segments in slow start do not count as a full window")
	}
	c.ssthresh = 5000
	if u.Limited(c) {
		t.Error("six of ten segments in congestion avoidance count as a full window")
	}
	u.Sent(1000, 11000, 10000, true)
	u.Sent(2000, 11000, 9000, false) // the same round trip
	if !u.Limited(c) {
		t.Error("a full window was forgotten within its round trip")
	}
	u.Sent(11000, 12000, 1000, false)
	if u.Limited(c) {
		t.Error("a full window is remembered after its round trip")
	}
}

// With one packet in 1/p lost the mean window is sqrt(3/(2p)) segments (RFC 5681
// with an acknowledgment for each; Mathis et al.).
func TestRenoResponse(t *testing.T) {
	n := newNetwork(1000, 100*time.Millisecond, 1000, 0, 1)
	n.every = 1000
	s := n.add("reno", 1448)
	meanWindow(t, n, s, 38.7, 0.1)
}

func meanWindow(t *testing.T, n *network, s *sender, want, tolerance float64) {
	t.Helper()
	n.run(30 * time.Second)
	from, at := s.delivered, n.now
	n.run(n.now + 80*time.Second)
	got := goodput(s.delivered-from, n.now-at) * n.delay.Seconds() / float64(s.mss)
	if got < want*(1-tolerance) || got > want*(1+tolerance) {
		t.Errorf("the mean window is %.1f segments, want %.1f", got, want)
	}
}

// The window does not grow while it is being reduced, for losses or for marks (RFC 6582 section 3.2,
// RFC 3168 section 6.1.2).
func TestNoGrowthInReduction(t *testing.T) {
	for _, name := range []string{"reno", "cubic"} {
		for _, state := range []cc.State{cc.CWR, cc.Recovery} {
			d := drive(t, name, cc.Start{CWnd: 20000, SSThresh: 10000})
			for range 100 {
				d.now += d.rtt
				d.acks(1000, state, true)
			}
			d.want(20000, 10000)
		}
	}
}

// RFC 3465 section 2.1: one segment a window of bytes, however they are acknowledged; what one
// acknowledgment brings beyond a window is worth one more segment.
func TestRenoByteCounting(t *testing.T) {
	d := drive(t, "reno", cc.Start{CWnd: 9000, SSThresh: 10000})
	d.acks(3000, cc.Open, true) // 2000 of them beyond ssthresh
	d.want(10000, 10000)
	d.acks(7999, cc.Open, true)
	d.want(10000, 10000)
	d.acks(1, cc.Open, true)
	d.want(11000, 10000)

	d = drive(t, "reno", cc.Start{CWnd: 10000, SSThresh: 10000})
	d.acks(50000, cc.Open, true)
	d.want(11000, 10000)
	d.acks(1000, cc.Open, true)
	d.want(12000, 10000)
	d.acks(10000, cc.Open, true)
	d.want(12000, 10000)
}

// What was counted in congestion avoidance is not spent in the slow start that follows idleness.
func TestRenoSlowStartAfterIdle(t *testing.T) {
	d := drive(t, "reno", cc.Start{CWnd: 64000, SSThresh: 16000})
	d.acks(63000, cc.Open, true)
	d.c.Restart(time.Second, 500*ms, 200*ms)
	d.want(16000, 48000)
	d.acks(1000, cc.Open, true)
	d.want(17000, 48000)
}

// RFC 2861 section 3.2: half for each timeout that has passed, and no more than once for one that is
// just over; without a timeout known there is nothing to reckon by.
func TestDecay(t *testing.T) {
	for _, c := range []struct {
		cwnd      uint32
		idle, rto time.Duration
		want      uint32
	}{
		{64000, 200 * ms, 200 * ms, 64000},
		{64000, 201 * ms, 200 * ms, 32000},
		{64000, 400 * ms, 200 * ms, 32000},
		{64000, 401 * ms, 200 * ms, 16000},
		{64000, time.Hour, 200 * ms, 10000},
		{4000, time.Hour, 200 * ms, 4000},
		{64000, time.Hour, 0, 64000},
	} {
		if got, _ := decay(c.cwnd, 0, 1000, c.idle, c.rto); got != c.want {
			t.Errorf("%d after %v with a timeout of %v: %d, want %d", c.cwnd, c.idle, c.rto, got, c.want)
		}
	}
}

// RFC 1191 section 6.5: a new segment size leaves the window alone, except that the initial one stays
// ten of the smaller segments.
func TestResize(t *testing.T) {
	for _, c := range []struct{ cwnd, old, mss, want uint32 }{
		{10000, 1000, 500, 5000},
		{10001, 1000, 500, 10001},
		{10000, 1000, 1000, 10000},
		{4000, 1000, 2000, 4000},
		{1000, 1000, 1400, 1400},
	} {
		if got := resize(c.cwnd, c.old, c.mss); got != c.want {
			t.Errorf("%d from segments of %d to %d: %d, want %d", c.cwnd, c.old, c.mss, got, c.want)
		}
	}
}

// What a round trip has shown holds for it and no longer; a full window outweighs all else in it.
func TestUsageRounds(t *testing.T) {
	type sent struct {
		una, nxt uint64
		inFlight uint32
		full     bool
	}
	for _, c := range []struct {
		name           string
		sent           []sent
		cwnd, ssthresh uint32
		limited        bool
	}{
		{"half the window in slow start", []sent{{0, 5000, 5000, false}}, 10000, 20000, false},
		{"more", []sent{{0, 5001, 5001, false}}, 10000, 20000, true},
		{"not in slow start", []sent{{0, 5001, 5001, false}}, 10000, 10000, false},
		{"the most counts", []sent{{0, 6000, 6000, false}, {1000, 6000, 5000, false}}, 10000, 20000, true},
		{"until its round trip is over", []sent{{0, 6000, 6000, false}, {6000, 7000, 1000, false}}, 10000, 20000, false},
		{"as much does not extend it", []sent{{0, 6000, 6000, false}, {1000, 7000, 6000, false}, {6000, 7000, 1000, false}}, 10000, 20000, false},
		{"full", []sent{{0, 9000, 9000, true}, {1000, 12000, 11000, false}}, 10000, 5000, true},
	} {
		r := new(Reno)
		r.Start(cc.Start{MSS: 1000, CWnd: c.cwnd, SSThresh: c.ssthresh})
		var u Usage
		for _, s := range c.sent {
			u.Sent(s.una, s.nxt, s.inFlight, s.full)
		}
		if got := u.Limited(r); got != c.limited {
			t.Errorf("%s: limited %v", c.name, got)
		}
	}
}
