package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

// In the draft's terms: BtlBw and RTprop are found, and the path is used, with at
// most a few times the BDP in flight.
func TestBBRFindsThePath(t *testing.T) {
	for _, mbit := range []float64{1, 10, 100} {
		n := newNetwork(mbit, 40*time.Millisecond, 10000, 0, 1)
		s := n.add("bbr", 1448)
		n.run(5 * time.Second)
		b := s.c.(*BBR)
		if bw := float64(b.bw.max()); bw < 0.95*n.rate || bw > 1.06*n.rate {
			t.Errorf("%v Mbit/s: BtlBw %.0f, want %.0f", mbit, bw, n.rate)
		}
		serial := time.Duration(1448 / n.rate * 1e9)
		if b.minRTT < n.delay || b.minRTT > n.delay+2*serial+time.Millisecond {
			t.Errorf("%v Mbit/s: RTprop %v, want %v", mbit, b.minRTT, n.delay+serial)
		}
		if b.mode != bbrProbeBW {
			t.Errorf("%v Mbit/s: mode %d, want ProbeBW", mbit, b.mode)
		}
		bdp := uint32(n.rate * (n.delay + serial).Seconds())
		if s.inFlight > 2*bdp+12*1448 {
			t.Errorf("%v Mbit/s: %d bytes in flight, BDP %d", mbit, s.inFlight, bdp)
		}
		if got := goodput(s.delivered, n.now); got < 0.93*n.rate {
			t.Errorf("%v Mbit/s: %.1f %% used", mbit, 100*got/n.rate)
		}
		if s.lostBytes != 0 {
			t.Errorf("%v Mbit/s: %d bytes lost", mbit, s.lostBytes)
		}
	}
}

// Random loss costs about what is lost.
func TestBBRWithLoss(t *testing.T) {
	for _, loss := range []float64{0.001, 0.01, 0.03, 0.1} {
		n := newNetwork(20, 20*time.Millisecond, 200, loss, 5)
		s := n.add("bbr", 1448)
		n.run(15 * time.Second)
		if got := goodput(s.delivered, n.now) / n.rate; got < 0.97*(1-2*loss) {
			t.Errorf("loss %.1f %%: %.1f %% of the rate", loss*100, got*100)
		}
	}
}

// Section 4.3.5: RTprop is sought again after ten seconds, by emptying the pipe for
// 200 ms, and this costs about two per cent.
func TestBBRProbeRTT(t *testing.T) {
	n := newNetwork(20, 20*time.Millisecond, 1000, 0, 1)
	s := n.add("bbr", 1448)
	n.run(9 * time.Second)
	b := s.c.(*BBR)
	probed, least := time.Duration(0), uint32(cc.MaxWindow)
	for n.now < 21*time.Second {
		n.run(n.now + 10*time.Millisecond)
		if b.mode == bbrProbeMinRTT {
			probed += 10 * time.Millisecond
			least = min(least, s.inFlight)
		}
	}
	if probed < 200*time.Millisecond || probed > 600*time.Millisecond {
		t.Errorf("ProbeRTT took %v", probed)
	}
	if least > 4*1448 {
		t.Errorf("at least %d bytes in flight in ProbeRTT, want four segments", least)
	}
	if b.mode != bbrProbeBW || b.cwnd < uint32(n.rate*n.delay.Seconds()) {
		t.Errorf("mode %d, window %d after it", b.mode, b.cwnd)
	}
}

// A longer path is believed once the least round-trip time is ten seconds old, by both versions.
func TestBBRFollowsTheDelay(t *testing.T) {
	for name, minRTT := range map[string]func(cc.Controller) time.Duration{
		"bbr":  func(c cc.Controller) time.Duration { return c.(*BBR).minRTT },
		"bbr3": func(c cc.Controller) time.Duration { return c.(*BBR3).minRTT },
	} {
		n := newNetwork(20, 20*time.Millisecond, 1000, 0, 1)
		s := n.add(name, 1448)
		n.run(5 * time.Second)
		n.delay = 60 * time.Millisecond
		n.run(30 * time.Second)
		from, at := s.delivered, n.now
		n.run(40 * time.Second)
		if got := goodput(s.delivered-from, n.now-at) / n.rate; got < 0.9 {
			t.Errorf("%s: %.1f %% of the rate on the longer path", name, got*100)
		}
		if least := minRTT(s.c); least < 60*time.Millisecond {
			t.Errorf("%s: least round-trip time %v", name, least)
		}
	}
}

// A slower path is found within the ten round trips of the filter.
func TestBBRFollowsTheRate(t *testing.T) {
	n := newNetwork(20, 20*time.Millisecond, 10000, 0, 1)
	s := n.add("bbr", 1448)
	n.run(5 * time.Second)
	n.rate /= 4
	n.run(8 * time.Second)
	if bw := float64(s.c.(*BBR).bw.max()); bw > 1.1*n.rate {
		t.Errorf("BtlBw %.0f three seconds after the rate fell to %.0f", bw, n.rate)
	}
	n.rate *= 4
	n.run(13 * time.Second)
	if bw := float64(s.c.(*BBR).bw.max()); bw < 0.9*n.rate {
		t.Errorf("BtlBw %.0f five seconds after the rate rose to %.0f", bw, n.rate)
	}
}

// What an application does not send is not evidence of a slow path (section
// 4.1.1.4), and does not end Startup.
func TestBBRApplicationLimited(t *testing.T) {
	n := newNetwork(100, 20*time.Millisecond, 1000, 0, 1)
	s := n.add("bbr", 1448)
	n.run(3 * time.Second)
	b := s.c.(*BBR)
	before := b.bw.max()
	s.appRate = 2
	n.run(6 * time.Second)
	if b.bw.max() < before*9/10 {
		t.Errorf("BtlBw fell from %d to %d", before, b.bw.max())
	}

	n = newNetwork(100, 20*time.Millisecond, 1000, 0, 1)
	s = n.add("bbr", 1448)
	s.appRate = 2
	n.run(3 * time.Second)
	if b := s.c.(*BBR); b.filled {
		t.Error("Startup ended without having tried")
	}
}

// A receive window that opens slowly does not look like a full pipe.
func TestBBRReceiveLimited(t *testing.T) {
	n := newNetwork(100, 20*time.Millisecond, 1000, 0, 1)
	s := n.add("bbr", 1448)
	for s.window = 8; s.window < 400; s.window *= 2 {
		n.run(n.now + 200*time.Millisecond)
		if b := s.c.(*BBR); s.window < 64 && b.filled {
			t.Fatalf("Startup ended at a receive window of %d segments", s.window)
		}
	}
	from, at := s.delivered, n.now
	n.run(at + time.Second)
	if got := goodput(s.delivered-from, n.now-at) / n.rate; got < 0.9 {
		t.Errorf("%.0f %% of the rate once the window is open", got*100)
	}
}

// The least window is paced over a round trip at most, whatever the estimate.
func TestBBRLeastRate(t *testing.T) {
	b := new(BBR)
	b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS, SRTT: 20 * ms, MinRTT: 20 * ms})
	b.filled = true
	b.Ack(&cc.Ack{
		Now: 10 * time.Second, SRTT: 20 * ms, Delivered: 1000,
		Rate: cc.Sample{Delivered: 1000, Interval: 10 * time.Second, Total: 1000},
	})
	if got := b.PacingRate(); got != 4*testMSS*50 {
		t.Errorf("%d bytes a second, want four segments in 20 ms", got)
	}
}

func TestBBRFairness(t *testing.T) {
	n := newNetwork(20, 20*time.Millisecond, 1000, 0, 3)
	for i := range 2 {
		n.run(time.Duration(i) * time.Second)
		n.add("bbr", 1448)
	}
	n.run(30 * time.Second)
	if j, used := shares(n, 60*time.Second); j < 0.8 || used < 0.9 {
		t.Errorf("Jain's index %.3f, %.1f %% used", j, used*100)
	}
}

// Section 4.2.3.4: the first round trip of recovery sends what is delivered, and
// afterwards the window is what it was.
func TestBBRRecovery(t *testing.T) {
	b := new(BBR)
	b.Start(cc.Start{MSS: testMSS, CWnd: 100000})
	b.Congestion(&cc.Event{InFlight: 100000})
	b.Ack(&cc.Ack{Delivered: 1000, Lost: 3000, InFlight: 96000, State: cc.Recovery})
	if b.cwnd != 97000 {
		t.Errorf("window %d, want in flight plus delivered", b.cwnd)
	}
	// Held back by other things than the window, it begins with the BDP: 200 kB/s for 100 ms, three
	// quanta of two segments, an even number of segments.
	c := new(BBR)
	c.Start(cc.Start{MSS: testMSS, CWnd: 100000, SRTT: 100 * ms, MinRTT: 100 * ms})
	c.Ack(&cc.Ack{Now: ms, SRTT: 100 * ms, Delivered: 1000, Rate: cc.Sample{Delivered: 20000, Interval: 100 * ms, Total: 20000}})
	for _, limited := range []bool{false, true} {
		d := *c
		d.Congestion(&cc.Event{InFlight: 10000})
		want := d.target(1)
		if limited {
			want = 6000
		}
		d.Ack(&cc.Ack{Now: 2 * ms, SRTT: 100 * ms, Delivered: 1000, Lost: 1000, InFlight: 5000, State: cc.Recovery, CWndLimited: limited})
		if d.cwnd != want || !limited && want < 20000 {
			t.Errorf("limited %v: window %d, want %d", limited, d.cwnd, want)
		}
	}
	b.Ack(&cc.Ack{Delivered: 1000, Acked: 100000, InFlight: 20000, State: cc.Open})
	if b.cwnd < 100000 {
		t.Errorf("window %d after recovery, want 100000", b.cwnd)
	}
	b.Timeout(&cc.Event{InFlight: 100000})
	if b.cwnd != testMSS {
		t.Errorf("window %d after a timeout", b.cwnd)
	}
	b.Undo(0)
	if b.cwnd < 100000 {
		t.Errorf("window %d after undo", b.cwnd)
	}
}

func TestMaxFilter(t *testing.T) {
	var f maxFilter
	steps := []struct {
		value uint64
		round uint32
		want  uint64
	}{
		{5, 0, 5}, {9, 1, 9}, {3, 4, 9}, {7, 7, 9}, {2, 10, 9}, {2, 12, 7}, {1, 18, 2}, {8, 19, 8}, {1, 40, 1},
	}
	for _, s := range steps {
		f.update(s.value, s.round, 10)
		if f.max() != s.want {
			t.Errorf("round %d: %d, want %d", s.round, f.max(), s.want)
		}
	}
}
