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

// Segments that share a stamp were each sent with the ones before them in flight.
func TestStampShared(t *testing.T) {
	var r Rate
	var p Stamp
	r.OnSend(&p, 0, 5000, 1000)
	p.Widen(2000)
	q := p
	p.Narrow(2000)
	for i, c := range []struct {
		p    *Stamp
		want uint32
	}{{&p, 6000}, {&q, 8000}} {
		r.Begin()
		r.OnDelivered(c.p, 10*ms, 1000, false)
		if s := r.Sample(0); s.InFlight != c.want {
			t.Errorf("part %d: %d bytes in flight, want %d", i, s.InFlight, c.want)
		}
	}
	if p.Narrow(9000); p.inFlight != 0 {
		t.Errorf("%d bytes in flight", p.inFlight)
	}
}

// A segment counts once, and a lost one in the interval it was lost in.
func TestRateLossAndDuplicates(t *testing.T) {
	var r Rate
	var a, b Stamp
	r.OnSend(&a, 0, 0, 1000)
	r.OnSend(&b, 0, 1000, 1000)
	if l, want := r.OnLost(&a, 1000), (cc.LostSegment{Bytes: 1000, InFlight: 1000, Lost: 1000}); l != want {
		t.Errorf("lost: %+v, want %+v", l, want)
	}
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
		{100_000, 1448}, {149_999, 1448}, {150_000, 2896}, {1_000_000, 2896}, {2_999_999, 2896}, {3_000_000, 3000},
		{10_000_000, 10000}, {1_250_000_000, 64 << 10},
	} {
		if got := Quantum(c.rate, 1448); got != c.want {
			t.Errorf("Quantum(%d) = %d, want %d", c.rate, got, c.want)
		}
	}
	if got := Quantum(10_000_000, 9000); got != 18_000 {
		t.Errorf("with segments of 9000 bytes %d, want two", got)
	}
}

func TestWindowRate(t *testing.T) {
	r := new(Reno)
	r.Start(cc.Start{MSS: 1000, CWnd: 10000})
	if got := WindowRate(r, 100*ms); got != 200_000 {
		t.Errorf("in slow start %d bytes a second, want 200000", got)
	}
	for ssthresh, want := range map[uint32]uint64{10_000: 120_000, 20_000: 120_000, 20_002: 200_000} {
		r.ssthresh = ssthresh
		if got := WindowRate(r, 100*ms); got != want {
			t.Errorf("%d bytes a second with ssthresh %d, want %d", got, ssthresh, want)
		}
	}
	if got := WindowRate(r, 0); got != 0 {
		t.Errorf("without an RTT %d", got)
	}
}

// Section 3.3: of the segments that one acknowledgment tells of, in whatever order, the one sent
// last gives the sample, and of those sent at once the last one told of.
func TestRateNewestSegment(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}} {
		var r Rate
		var first Stamp
		var p [4]Stamp
		// Two are sent before the first segment is acknowledged, and two after it.
		r.OnSend(&first, 0, 0, 1000)
		r.OnSend(&p[0], 1*ms, 1000, 1000)
		r.OnSend(&p[1], 2*ms, 2000, 1000)
		r.Begin()
		r.OnDelivered(&first, 20*ms, 1000, false)
		r.OnSend(&p[2], 21*ms, 2000, 1000)
		r.OnSend(&p[3], 22*ms, 3000, 1000)
		r.Begin()
		for _, i := range order {
			r.OnDelivered(&p[i], 50*ms, 1000, i == 3)
		}
		want := cc.Sample{Delivered: 4000, Interval: 30 * ms, PriorDelivered: 1000, Total: 5000, InFlight: 4000, Retransmitted: true}
		if s := r.Sample(0); s != want {
			t.Errorf("order %v: %+v, want %+v", order, s, want)
		}
	}

	var r Rate
	var p [2]Stamp
	r.OnSend(&p[0], 0, 0, 1000)
	r.OnSend(&p[1], 0, 1000, 1000)
	r.Begin()
	r.OnDelivered(&p[0], 10*ms, 1000, false)
	r.OnDelivered(&p[1], 10*ms, 1000, false)
	if s := r.Sample(0); s.InFlight != 2000 {
		t.Errorf("two sent at once: in flight %d, want both", s.InFlight)
	}
}

// Section 3.3: each acknowledgment has a sample of its own, after reordering too.
func TestRateReordered(t *testing.T) {
	var r Rate
	var a, b Stamp
	r.OnSend(&a, 0, 0, 1000)
	r.OnSend(&b, 5*ms, 1000, 1000)
	for _, c := range []struct {
		p        *Stamp
		at       time.Duration
		inFlight uint32
		interval time.Duration
	}{{&b, 20 * ms, 2000, 20 * ms}, {&a, 21 * ms, 1000, 21 * ms}} {
		r.Begin()
		r.OnDelivered(c.p, c.at, 1000, false)
		if s := r.Sample(0); s.InFlight != c.inFlight || s.Interval != c.interval {
			t.Errorf("at %v: %+v", c.at, s)
		}
	}
}

// Section 2.2: acknowledgments that come compressed do not make the path look faster than it was
// sent at; nor (section 3.3) does an interval below the least RTT count, but one equal to it does.
func TestRateSendElapsed(t *testing.T) {
	var r Rate
	var a, b, c Stamp
	r.OnSend(&a, 0, 0, 1000)
	r.OnSend(&b, 0, 1000, 1000)
	r.Begin()
	r.OnDelivered(&a, 100*ms, 1000, false)
	r.OnSend(&c, 101*ms, 1000, 1000) // 101 ms after the segment that was acknowledged last
	r.Begin()
	r.OnDelivered(&b, 150*ms, 1000, false)
	r.OnDelivered(&c, 150*ms, 1000, false) // 50 ms after the last acknowledgment
	for minRTT, want := range map[time.Duration]time.Duration{0: 101 * ms, 101 * ms: 101 * ms, 101*ms + 1: 0} {
		if s := r.Sample(minRTT); s.Interval != want || s.Delivered != 2000 {
			t.Errorf("least RTT %v: %+v, want %v", minRTT, s, want)
		}
	}
}

// Section 3.4: the mark goes when more is delivered than was in flight at the end of the data; what
// is sent when just that much has been delivered follows the pause, and has it.
func TestRateAppLimitedEnd(t *testing.T) {
	var r Rate
	var a, b Stamp
	r.OnSend(&a, 0, 0, 1000)
	r.OnAppLimited(1000)
	r.Begin()
	r.OnDelivered(&a, 10*ms, 1000, false)
	r.Sample(0)
	r.OnSend(&b, 50*ms, 0, 1000)
	r.Begin()
	r.OnDelivered(&b, 60*ms, 1000, false)
	if s := r.Sample(0); !s.AppLimited {
		t.Errorf("sent after a pause, and not marked: %+v", s)
	}
}

// A segment gives one sample; if it is told of again, after the receiver has reneged (RFC 2018
// section 8), its bytes count. Losses count from when the segment was sent.
func TestRateOnce(t *testing.T) {
	var r Rate
	var p Stamp
	r.OnLost(new(Stamp), 3000)
	r.OnAppLimited(0)
	r.OnSend(&p, 0, 5000, 1000)
	if l, want := r.OnLost(&p, 2000), (cc.LostSegment{Bytes: 2000, InFlight: 6000, Lost: 2000, AppLimited: true}); l != want {
		t.Errorf("lost: %+v, want %+v", l, want)
	}
	for i, want := range []cc.Sample{
		{Delivered: 1000, Interval: 10 * ms, Total: 1000, Lost: 2000, InFlight: 6000, AppLimited: true},
		{Total: 2000},
	} {
		r.Begin()
		r.OnDelivered(&p, 10*ms, 1000, false)
		if s := r.Sample(0); s != want {
			t.Errorf("told of %d times: %+v, want %+v", i+1, s, want)
		}
	}
}
