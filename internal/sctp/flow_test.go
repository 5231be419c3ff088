package sctp

import (
	"testing"
	"time"
)

// full is the user data of a chunk that fills a packet.
const full = testMTU - testOverhead - 16

// TestInitialWindow: 7.2.1, with Linux's numbers.
func TestInitialWindow(t *testing.T) {
	for _, c := range []struct{ mtu, cwnd uint32 }{{512, 2048}, {1280, 4380}, {1500, 4380}, {9000, 18000}, {65535, 131070}} {
		var f flow
		f.start(c.mtu, 32, 5000, &RTOBounds{RTOInitial: time.Second})
		if f.cwnd != c.cwnd || f.ssthresh != 5000 || f.rto != time.Second || f.room != c.mtu-32 {
			t.Errorf("MTU %d: cwnd %d ssthresh %d RTO %v, want cwnd %d", c.mtu, f.cwnd, f.ssthresh, f.rto, c.cwnd)
		}
	}
}

// TestSlowStart: 7.2.1. What was acknowledged is added, a PMTU at most for each SACK, if the window was
// used.
func TestSlowStart(t *testing.T) {
	s := newSends(t)
	s.queue(20 * full)
	s.want(s.tsns(s.f), "1 | 2 | 3 | 4") // the last one exceeds cwnd
	s.windows(4380, testWindow, 0, 4*full)
	s.sack(2)
	s.windows(4380+1500, testWindow, 0, 2*full)
	s.want(s.tsns(s.f), "5 | 6 | 7")
	s.sack(3)
	s.windows(5880+full, testWindow, 0, 4*full)
}

// TestSlowStartUnused: a window that was not used does not grow.
func TestSlowStartUnused(t *testing.T) {
	s := newSends(t)
	s.queue(full)
	s.tsns(s.f)
	s.sack(1)
	s.windows(4380, testWindow, 0, 0)
}

// TestCongestionAvoidance: 7.2.2. A PMTU for each window that was acknowledged.
func TestCongestionAvoidance(t *testing.T) {
	s := newSends(t)
	s.f.ssthresh = 4000
	s.queue(30 * full)
	s.tsns(s.f)
	s.sack(2)
	s.windows(4380, 4000, 2*full, 2*full)
	s.want(s.tsns(s.f), "5 | 6")
	s.sack(4)
	s.windows(4380+1500, 4000, 4*full-4380, 2*full)
}

// TestCongestionAvoidanceUnused: partial_bytes_acked does not add up to more than a window while the
// window is not used, and is forgotten when nothing is outstanding.
func TestCongestionAvoidanceUnused(t *testing.T) {
	s := newSends(t)
	s.f.ssthresh, s.f.cwnd = 4000, 4*full
	s.queue(full, full, full)
	s.tsns(s.f)
	s.sack(2)
	s.windows(4*full, 4000, 2*full, full)
	s.queue(full, full)
	s.tsns(s.f)
	s.sack(4)
	s.windows(4*full, 4000, 4*full, full)
	s.queue(full)
	s.tsns(s.f)
	s.sack(5)
	s.windows(4*full, 4000, 4*full, full)
	s.sack(6)
	s.windows(4*full, 4000, 0, 0)
}

// TestGrowExact: the window grows when it has been acknowledged to the byte.
func TestGrowExact(t *testing.T) {
	f := flow{cwnd: 3000, ssthresh: 2000, mtu: 1500, traffic: &traffic{pba: 2000, acked: 1000, before: 3000, flight: 2000}}
	f.grow(false)
	if f.cwnd != 4500 || f.pba != 0 {
		t.Fatalf("cwnd %d, pba %d", f.cwnd, f.pba)
	}
}

// TestMaxBurst: 6.1 D. A SACK that opens the window wide has four packets leave.
func TestMaxBurst(t *testing.T) {
	s := newSends(t, func(s *sends) { s.maxBurst = 4 })
	s.f.cwnd = 40 * full
	s.queue(100 * full)
	s.want(s.tsns(s.f), "1 | 2 | 3 | 4 | 5")
	s.want(s.tsns(s.f), "")
	s.sack(2)
	s.want(s.tsns(s.f), "6 | 7 | 8 | 9 | 10")
	s.windows(40*full, testWindow, 0, 8*full)

	// A message of the program begins another burst.
	s.queue(1)
	s.want(s.tsns(s.f), "11 | 12 | 13 | 14 | 15")
}

// TestIdle: 7.2.1. The window of a path that is not sent to is halved once an RTO, down to four packets.
func TestIdle(t *testing.T) {
	for _, c := range []struct {
		rtos           int
		cwnd, ssthresh uint32
	}{{0, 40000, testWindow}, {1, 20000, 40000}, {2, 10000, 40000}, {9, 6000, 40000}} {
		s := newSends(t)
		s.queue(full)
		s.tsns(s.f)
		s.sack(1)
		s.f.cwnd = 40000
		for range c.rtos {
			s.now += s.f.rto
			s.tsns(s.f) // nothing is sent
			s.tsns(s.f)
		}
		s.now += time.Millisecond
		s.queue(full)
		s.tsns(s.f)
		s.windows(c.cwnd, c.ssthresh, 0, full)
	}
}

// TestIdleSmall: a window of less than four packets stays as it is.
func TestIdleSmall(t *testing.T) {
	s := newSends(t)
	s.queue(full)
	s.tsns(s.f)
	s.sack(1)
	s.now += 5 * s.f.rto
	s.tsns(s.f)
	s.windows(4380, testWindow, 0, 0)
}

// TestTimeout: 7.2.3, 6.3.3. One packet at once, the rest as cwnd allows.
func TestTimeout(t *testing.T) {
	s := newSends(t)
	s.f.cwnd = 10 * full
	s.queue(9 * full)
	s.want(s.tsns(s.f), "1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9")
	s.timer(3 * time.Second)
	s.now += 3 * time.Second
	s.timeout(s.now, s.f)
	s.windows(1500, 5*full, 0, 0)
	s.want(s.tsns(s.f), "1 | 2") // full is less than cwnd: one packet exceeds it
	s.timer(6 * time.Second)
	s.sack(2)
	s.want(s.tsns(s.f), "3 | 4 | 5")
	s.now += 6 * time.Second
	s.timeout(s.now, s.f)
	s.windows(1500, 6000, 0, 0)
	s.timer(0)
	s.want(s.tsns(s.f), "3 | 4")
	s.timer(12 * time.Second)
}

// TestRTO: 6.3.1, numbers worked by hand.
func TestRTO(t *testing.T) {
	b := RTOBounds{3 * time.Second, time.Second, 60 * time.Second}
	ms := time.Millisecond
	r := rtt{rto: b.RTOInitial}
	for i, c := range []struct{ m, srtt, rttvar, rto time.Duration }{
		{800 * ms, 800 * ms, 400 * ms, 2400 * ms},
		{400 * ms, 750 * ms, 400 * ms, 2350 * ms},
		{750 * ms, 750 * ms, 300 * ms, 1950 * ms},
		{750 * ms, 750 * ms, 225 * ms, 1650 * ms},
	} {
		r.sample(c.m, &b)
		if r.srtt != c.srtt || r.rttvar != c.rttvar || r.rto != c.rto {
			t.Fatalf("%d: %+v, want %+v", i, r, c)
		}
	}
	r.backOff(&b)
	if r.rto != 3300*ms {
		t.Fatalf("RTO backed off is %v", r.rto)
	}
	for range 10 {
		r.backOff(&b)
	}
	if r.rto != b.RTOMax {
		t.Fatalf("RTO is %v, want RTO.Max", r.rto)
	}
	fast := rtt{}
	fast.sample(0, &b)
	if fast.rto != b.RTOMin || fast.rttvar != granularity || fast.srtt == 0 {
		t.Fatalf("a round trip of nothing makes %+v", fast)
	}
}
