package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

// The path is found and used, with little in flight beyond the BDP and without loss.
func TestBBR3FindsThePath(t *testing.T) {
	for _, mbit := range []float64{1, 10, 100} {
		n := newNetwork(mbit, 40*time.Millisecond, 10000, 0, 1)
		s := n.add("bbr3", 1448)
		n.run(5 * time.Second)
		b := s.c.(*BBR3)
		if bw := float64(b.max()); bw < 0.95*n.rate || bw > 1.06*n.rate {
			t.Errorf("%v Mbit/s: max_bw %.0f, want %.0f", mbit, bw, n.rate)
		}
		serial := time.Duration(1448 / n.rate * 1e9)
		if b.minRTT < n.delay || b.minRTT > n.delay+2*serial+time.Millisecond {
			t.Errorf("%v Mbit/s: min_rtt %v, want %v", mbit, b.minRTT, n.delay+serial)
		}
		if !b.mode.probesBW() {
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

// LossThresh: up to two per cent of random loss cost little, and above it the flow gives way. CUBIC
// gets a seventh of this path at one per cent.
func TestBBR3WithLoss(t *testing.T) {
	for _, c := range []struct{ loss, least, most float64 }{
		{0.001, 0.9, 1}, {0.01, 0.7, 1}, {0.1, 0.02, 0.5},
	} {
		n := newNetwork(20, 20*time.Millisecond, 200, c.loss, 5)
		s := n.add("bbr3", 1448)
		n.run(15 * time.Second)
		if got := goodput(s.delivered, n.now) / n.rate; got < c.least || got > c.most {
			t.Errorf("loss %.1f %%: %.1f %% of the rate", c.loss*100, got*100)
		}
	}
}

// A queue of a quarter of the BDP: few packets are lost, and the path is used.
func TestBBR3ShallowQueue(t *testing.T) {
	n := newNetwork(100, 40*time.Millisecond, 86, 0, 1)
	s := n.add("bbr3", 1448)
	n.run(10 * time.Second)
	from, lost, at := s.delivered, s.lostBytes, n.now
	n.run(30 * time.Second)
	if got := goodput(s.delivered-from, n.now-at) / n.rate; got < 0.85 {
		t.Errorf("%.1f %% of the rate", got*100)
	}
	if share := float64(s.lostBytes-lost) / float64(s.delivered-from); share > 0.005 {
		t.Errorf("%.2f %% lost", 100*share)
	}
}

// ProbeRTT comes every five seconds, empties half of the pipe for 200 ms, and the window is back
// after it.
func TestBBR3ProbesRTT(t *testing.T) {
	n := newNetwork(20, 20*time.Millisecond, 1000, 0, 1)
	s := n.add("bbr3", 1448)
	n.run(3 * time.Second)
	b := s.c.(*BBR3)
	bdp := n.rate * n.delay.Seconds()
	probes, probed, least := 0, time.Duration(0), uint32(cc.MaxWindow)
	for was := b.mode; n.now < 18*time.Second; was = b.mode {
		n.run(n.now + 10*time.Millisecond)
		if b.mode != bbr3ProbeRTT {
			continue
		}
		if was != bbr3ProbeRTT {
			probes++
		}
		probed += 10 * time.Millisecond
		least = min(least, s.inFlight)
	}
	if probes < 2 || probes > 3 || probed < 200*time.Millisecond*time.Duration(probes) || probed > 400*time.Millisecond*time.Duration(probes) {
		t.Errorf("ProbeRTT %d times, for %v", probes, probed)
	}
	if least < uint32(bdp/4) || least > uint32(bdp*0.6) {
		t.Errorf("at least %d bytes in flight in ProbeRTT, the BDP is %.0f", least, bdp)
	}
	if !b.mode.probesBW() || b.cwnd < uint32(bdp) {
		t.Errorf("mode %d, window %d after it", b.mode, b.cwnd)
	}
}

// A slower path is found within two cycles of probing, and a faster one, too.
func TestBBR3FollowsTheRate(t *testing.T) {
	n := newNetwork(20, 20*time.Millisecond, 10000, 0, 1)
	s := n.add("bbr3", 1448)
	n.run(5 * time.Second)
	n.rate /= 4
	n.run(17 * time.Second)
	if bw := float64(s.c.(*BBR3).max()); bw > 1.1*n.rate {
		t.Errorf("max_bw %.0f after the rate fell to %.0f", bw, n.rate)
	}
	n.rate *= 4
	n.run(30 * time.Second)
	if bw := float64(s.c.(*BBR3).max()); bw < 0.9*n.rate {
		t.Errorf("max_bw %.0f after the rate rose to %.0f", bw, n.rate)
	}
}

// What an application does not send is not evidence of a slow path, and does not end Startup.
func TestBBR3ApplicationLimited(t *testing.T) {
	n := newNetwork(100, 20*time.Millisecond, 1000, 0, 1)
	s := n.add("bbr3", 1448)
	n.run(3 * time.Second)
	b := s.c.(*BBR3)
	before := b.max()
	s.appRate = 2
	n.run(9 * time.Second)
	if b.max() < before*9/10 {
		t.Errorf("max_bw fell from %d to %d", before, b.max())
	}

	n = newNetwork(100, 20*time.Millisecond, 1000, 0, 1)
	s = n.add("bbr3", 1448)
	s.appRate = 2
	n.run(12 * time.Second)
	if b := s.c.(*BBR3); b.full {
		t.Error("Startup ended without having tried")
	}
}

// A receive window that opens slowly does not look like a full pipe.
func TestBBR3ReceiveLimited(t *testing.T) {
	n := newNetwork(100, 20*time.Millisecond, 1000, 0, 1)
	s := n.add("bbr3", 1448)
	for s.window = 8; s.window < 400; s.window *= 2 {
		n.run(n.now + 200*time.Millisecond)
		if b := s.c.(*BBR3); s.window < 64 && b.full {
			t.Fatalf("Startup ended at a receive window of %d segments", s.window)
		}
	}
	from, at := s.delivered, n.now
	n.run(at + time.Second)
	if got := goodput(s.delivered-from, n.now-at) / n.rate; got < 0.9 {
		t.Errorf("%.0f %% of the rate once the window is open", got*100)
	}
}

func TestBBR3Fairness(t *testing.T) {
	n := newNetwork(20, 20*time.Millisecond, 1000, 0, 3)
	for i := range 2 {
		n.run(time.Duration(i) * time.Second)
		n.add("bbr3", 1448)
	}
	n.run(30 * time.Second)
	if j, used := shares(n, 60*time.Second); j < 0.9 || used < 0.9 {
		t.Errorf("Jain's index %.3f, %.1f %% used", j, used*100)
	}
}

// Beside CUBIC on a queue of one BDP neither is driven out, which version 1 does to CUBIC.
func TestBBR3BesideCubic(t *testing.T) {
	share := func(name string) float64 {
		n := newNetwork(20, 30*time.Millisecond, 52, 0, 3)
		a, b := n.add(name, 1448), n.add("cubic", 1448)
		n.run(10 * time.Second)
		x, y := a.delivered, b.delivered
		n.run(60 * time.Second)
		x, y = a.delivered-x, b.delivered-y
		return float64(x) / float64(x+y)
	}
	v1, v3 := share("bbr"), share("bbr3")
	t.Logf("beside CUBIC version 1 gets %.2f, version 3 %.2f", v1, v3)
	if v3 < 0.2 || v3 > 0.8 || v3 > v1+0.05 {
		t.Errorf("version 3 gets %.2f beside CUBIC, version 1 %.2f", v3, v1)
	}
}

// The same acknowledgments give the same: a network in manual time is a function of its seed.
func TestBBR3Repeatable(t *testing.T) {
	var got [2]uint64
	for i := range got {
		n := newNetwork(20, 20*time.Millisecond, 60, 0.01, 3)
		a, b := n.add("bbr3", 1448), n.add("bbr3", 1448)
		n.run(10 * time.Second)
		got[i] = a.delivered<<32 ^ b.delivered
	}
	if got[0] != got[1] {
		t.Errorf("%x and %x", got[0], got[1])
	}
}

func TestBBR3AllocatesNothing(t *testing.T) {
	b := steadyBBR3()
	var c cc.Controller = b
	a := bbr3Ack()
	if got := testing.AllocsPerRun(100, func() {
		c.Sent(a.Now, a.InFlight, testMSS)
		if o, ok := c.(cc.LossObserver); ok {
			o.Lost(cc.LostSegment{Now: a.Now, Bytes: testMSS, InFlight: 20_000})
		}
		c.Ack(a)
	}); got != 0 {
		t.Errorf("%v allocations per acknowledgment", got)
	}
}

// BenchmarkAck is what an acknowledgment costs in the controller.
func BenchmarkAck(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			n := newNetwork(100, 40*time.Millisecond, 1000, 0, 1)
			s := n.add(name, 1448)
			n.run(4 * time.Second)
			a := cc.Ack{
				SRTT: 41 * ms, MinRTT: 40 * ms, Delivered: 2896, Acked: 2896,
				PriorInFlight: 500_000, InFlight: 497_000, CWndLimited: true,
				Rate: cc.Sample{Delivered: 500_000, Interval: 40 * ms, InFlight: 500_000},
			}
			now, total := n.now, s.rate.Delivered()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				now += 230 * time.Microsecond
				total += 2896
				a.Now, a.RTT = now, 41*ms
				a.Rate.Total, a.Rate.PriorDelivered = total, total-500_000
				s.c.Ack(&a)
			}
		})
	}
}
