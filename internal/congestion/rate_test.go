package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

const ms = time.Millisecond

// draft-cheng-iccrg-delivery-rate-estimation section 2: the rate is what was
// delivered over the longer of the time to send and the time to acknowledge it.
func TestRateSample(t *testing.T) {
	var r Rate
	var p [10]Stamp
	// Ten segments, one every millisecond; acknowledged every two milliseconds
	// from 100 ms on.
	for i := range p {
		r.OnSend(&p[i], time.Duration(i)*ms, uint32(i)*1000, 1000)
	}
	var s cc.Sample
	for i := range p {
		r.Begin()
		r.OnDelivered(&p[i], 100*ms+2*time.Duration(i)*ms, 1000, false)
		s = r.Sample(0)
	}
	// Sent over 9 ms, acknowledged over 118 ms since the flight began.
	if s.Delivered != 10000 || s.Interval != 118*ms || s.Total != 10000 {
		t.Errorf("%+v", s)
	}
	// The next flight is measured between acknowledgments.
	var q [2]Stamp
	r.OnSend(&q[0], 118*ms, 1000, 1000)
	r.OnSend(&q[1], 119*ms, 2000, 1000)
	r.Begin()
	r.OnDelivered(&q[0], 218*ms, 1000, false)
	r.OnDelivered(&q[1], 218*ms, 1000, false)
	s = r.Sample(0)
	if s.Delivered != 2000 || s.Interval != 110*ms && s.Interval != 100*ms || s.InFlight != 3000 {
		t.Errorf("%+v", s)
	}
	if got := s.BytesPerSecond(); got != 2000*uint64(time.Second)/uint64(s.Interval) {
		t.Errorf("rate %d", got)
	}
	// Section 3.3: an interval shorter than the least RTT is no sample.
	r.Begin()
	if s = r.Sample(0); s.Interval != 0 {
		t.Errorf("a sample without a segment: %+v", s)
	}
	r.OnSend(&q[0], 300*ms, 0, 1000)
	r.OnDelivered(&q[0], 310*ms, 1000, false)
	if s = r.Sample(50 * ms); s.Interval != 0 {
		t.Errorf("a sample of 10 ms with a path of 50 ms: %+v", s)
	}
}

// Section 3.2: segments sent while there was nothing more to send are marked
// until those have been delivered.
func TestRateAppLimited(t *testing.T) {
	var r Rate
	var a, b, c Stamp
	r.OnSend(&a, 0, 0, 1000)
	r.OnAppLimited(1000)
	r.OnSend(&b, ms, 1000, 1000)
	deliver := func(p *Stamp, now time.Duration) cc.Sample {
		r.Begin()
		r.OnDelivered(p, now, 1000, false)
		return r.Sample(0)
	}
	if s := deliver(&a, 10*ms); s.AppLimited {
		t.Error("sent before the limit, marked")
	}
	if s := deliver(&b, 11*ms); !s.AppLimited {
		t.Error("sent after the limit, not marked")
	}
	r.OnSend(&c, 12*ms, 0, 1000)
	if s := deliver(&c, 22*ms); s.AppLimited {
		t.Error("the limit outlived what was in flight")
	}
}

// A segment counts once, and a lost one in the interval it was lost in.
func TestRateLossAndDuplicates(t *testing.T) {
	var r Rate
	var a, b Stamp
	r.OnSend(&a, 0, 0, 1000)
	r.OnSend(&b, 0, 1000, 1000)
	r.OnLost(1000)
	r.Begin()
	r.OnDelivered(&b, 10*ms, 1000, true)
	s := r.Sample(0)
	if s.Lost != 1000 || s.Delivered != 1000 || !s.Retransmitted {
		t.Errorf("%+v", s)
	}
	if r.Delivered() != 1000 {
		t.Errorf("%d bytes delivered", r.Delivered())
	}
}

func TestQuantum(t *testing.T) {
	for _, c := range []struct {
		rate uint64
		want uint32
	}{
		{100_000, 1448}, {1_000_000, 2896}, {10_000_000, 10000}, {1_250_000_000, 64 << 10},
	} {
		if got := Quantum(c.rate, 1448); got != c.want {
			t.Errorf("Quantum(%d) = %d, want %d", c.rate, got, c.want)
		}
	}
}

func TestWindowRate(t *testing.T) {
	r := new(Reno)
	r.Start(cc.Start{MSS: 1000, CWnd: 10000})
	if got := WindowRate(r, 100*ms); got != 200_000 {
		t.Errorf("in slow start %d bytes a second, want 200000", got)
	}
	r.ssthresh = 10000
	if got := WindowRate(r, 100*ms); got != 120_000 {
		t.Errorf("in congestion avoidance %d bytes a second, want 120000", got)
	}
	if got := WindowRate(r, 0); got != 0 {
		t.Errorf("without an RTT %d", got)
	}
}
