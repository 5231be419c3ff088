package tcp

import (
	"fmt"
	"testing"
	"time"

	"usock/internal/wire"
)

// The estimate of the round trip and what is measured for it: RFC 6298 §2 and 3, RFC 7323 §4, with
// the variance of Linux (tcp_rtt_estimator). All numbers are worked by hand from the rules.

// rttStep is a sample and what the estimate is after it. srtt is in eighths of a microsecond,
// mdev and rttvar in quarters.
type rttStep struct {
	us                 int
	una, nxt           uint64
	srtt, mdev, rttvar uint32
}

func TestRTTEstimator(t *testing.T) {
	for _, c := range []struct {
		name   string
		minRTO uint32 // µs
		steps  []rttStep
	}{
		{"a round trip with a rise, one with falls", 1000, []rttStep{
			{100_000, 1, 11, 800_000, 200_000, 200_000}, // RFC 6298 §2.2: RTTVAR is half
			{120_000, 11, 21, 820_000, 170_000, 200_000},
			{180_000, 12, 31, 897_500, 205_000, 205_000}, // a rise counts at once
			{100_000, 20, 41, 885_313, 165_937, 205_000}, // the same round trip still
			{112_000, 32, 51, 886_649, 125_789, 195_235}, // the next: a quarter of the way down
			{10_000, 33, 61, 785_818, 134_462, 195_235},  // a fall of the RTT widens by 1/32 of it
			{98_000, 34, 71, 785_591, 101_074, 195_235},
			{98_000, 52, 81, 785_393, 76_004, 180_042}, // mdevMax was 134 462
			{98_000, 82, 91, 785_219, 57_177, 149_326}, // and this once it is 57 177
		}},
		{"the floor", 200_000, []rttStep{
			{1000, 1, 11, 8000, 2000, 200_000},
			{1000, 12, 21, 8000, 1500, 200_000},
			{400_000, 22, 31, 407_000, 400_125, 400_125},
			{50_000, 23, 41, 406_125, 300_969, 400_125},
			{50_000, 32, 51, 405_360, 226_492, 375_336},
			{50_000, 52, 61, 404_690, 170_539, 331_502},
		}},
		{"no time at all counts as a microsecond", 1000, []rttStep{
			{0, 1, 11, 8, 2, 1000},
			{1, 12, 21, 8, 2, 1000},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r rtt
			for i, s := range c.steps {
				r.sample(time.Minute, time.Duration(s.us)*time.Microsecond, s.una, s.nxt, c.minRTO)
				if r.srtt != s.srtt || r.mdev != s.mdev || r.rttvar != s.rttvar {
					t.Errorf("sample %d: srtt %d mdev %d rttvar %d, want %d %d %d",
						i, r.srtt, r.mdev, r.rttvar, s.srtt, s.mdev, s.rttvar)
				}
			}
		})
	}
}

// The smallest RTT is that of the last five minutes (RFC 8985 §6.2 step 1): an equal one makes it
// new, a larger one takes its place when it is too old.
func TestMinRTTWindow(t *testing.T) {
	var r rtt
	for _, s := range []struct{ at, us, min int }{
		{10, 5000, 5000}, {20, 7000, 5000}, {210, 5000, 5000}, {510, 6000, 5000}, {511, 6000, 6000},
		{600, 4000, 4000}, {900, 9000, 4000}, {901, 9000, 9000},
	} {
		r.sample(secs(s.at)+msec(400), time.Duration(s.us)*time.Microsecond, 1, 1, 200_000)
		if got := r.least(); got != time.Duration(s.min)*time.Microsecond {
			t.Errorf("at %d s: %v", s.at, got)
		}
	}
}

// Rules 2.1, 2.5 and 5.5: the first timeout, the largest, and the doubling, as far as it goes.
func TestRTOBounds(t *testing.T) {
	cfg := DefaultConfig()
	cfg.InitialRTO, cfg.MaxRTO = 1500*time.Millisecond, 100*time.Second

	var r rtt
	if r.setRTO(cfg); r.timeout() != cfg.InitialRTO {
		t.Errorf("%v before the first sample", r.timeout())
	}
	for i, want := range []int{3000, 6000, 12000, 24000, 48000, 96000, 100_000, 100_000} {
		if r.backOff(cfg); r.timeout() != msec(want) || int(r.backoff) != i+1 {
			t.Errorf("%v after %d timeouts, which count as %d", r.timeout(), i+1, r.backoff)
		}
	}
	for range 40 {
		r.backOff(cfg)
	}
	if r.timeout() != cfg.MaxRTO || r.backoff != 32 {
		t.Errorf("%v in the end, backoff %d", r.timeout(), r.backoff)
	}

	r.sample(time.Minute, 20*time.Second, 1, 10, 200_000)
	if r.setRTO(cfg); r.timeout() != 60*time.Second || r.backoff != 0 {
		t.Errorf("%v after a sample of 20 s, backoff %d", r.timeout(), r.backoff)
	}
	r = rtt{}
	r.sample(time.Minute, 90*time.Second, 1, 10, 200_000)
	if r.setRTO(cfg); r.timeout() != cfg.MaxRTO {
		t.Errorf("%v after a sample of 90 s", r.timeout())
	}
}

func (s *script) wantSRTT(us uint32) {
	s.t.Helper()
	if got := s.c.rtt.srtt; got != 8*us {
		s.t.Fatalf("SRTT is %d/8 µs, want %d", got, us)
	}
}

// Which acknowledgments give a sample, and of which segment: after a handshake of 100 ms a sample of m
// moves SRTT to 100 ms + (m - 100 ms)/8.
func TestRTTSamples(t *testing.T) {
	t.Run("acknowledged at once", func(t *testing.T) {
		tc := newScript(t, plain)
		tc.connectIn(msec(100))
		tc.write(100)
		tc.rest("P. 1+100 ack 1")
		tc.recv(". 1 ack 101")
		if got := tc.c.rtt.srtt; got != 700_001 { // a microsecond
			t.Fatalf("SRTT is %d/8 µs", got)
		}
	})
	t.Run("the oldest of those acknowledged", func(t *testing.T) {
		tc := newScript(t, plain)
		tc.c.SetNoDelay(tc.now, true)
		tc.connectIn(msec(100))
		tc.write(100)
		tc.sleep(msec(40))
		tc.write(100)
		tc.sleep(msec(140))
		tc.rest("P. 1+100 ack 1", "P. 101+100 ack 1")
		tc.recv(". 1 ack 201")
		tc.wantSRTT(110_000) // 180 ms
	})
	t.Run("the oldest of those SACKed", func(t *testing.T) {
		tc := newScript(t, noTS)
		tc.c.SetNoDelay(tc.now, true)
		tc.connectIn(msec(100))
		for range 3 {
			tc.write(100)
			tc.sleep(msec(5))
		}
		tc.sleep(msec(85))
		tc.rest("P. 1+100 ack 1", "P. 101+100 ack 1", "P. 201+100 ack 1")
		tc.recv(". 1 ack 1 <sack 201-301>")
		tc.wantSRTT(98_750) // 90 ms
		tc.recv(". 1 ack 1 <sack 1-301>")
		if got := tc.c.rtt.srtt; got != 791_250 { // 100 ms: as many eighths as that is more
			t.Fatalf("SRTT is %d/8 µs", got)
		}
	})
	t.Run("timestamps are not looked at where they were not agreed on", func(t *testing.T) {
		tc := newScript(t, plain)
		tc.connectIn(msec(100))
		tc.write(100)
		tc.want("P. 1+100 ack 1")
		tc.wantAfter(msec(300), "P. 1+100 ack 1")
		tc.sleep(msec(20))
		tc.recv(fmt.Sprintf(". 1 ack 101 <ts 5:%d>", tc.lastTS()-20))
		tc.wantSRTT(100_000)
	})
	for _, c := range []struct {
		name string
		ack  int
		ecr  int // ms ago; -1: none
		srtt uint32
	}{
		{"a retransmission, by its timestamp", 101, 20, 90_000},
		{"the same millisecond", 101, 0, 87_625},
		{"no echo", 101, -1, 100_000},
		{"an echo from the future", 101, -500, 100_000},
		{"a duplicate acknowledgment", 1, 20, 100_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, noSACK)
			tc.connectIn(msec(100))
			tc.write(100)
			tc.want("P. 1+100 ack 1")
			tc.wantAfter(msec(300), "P. 1+100 ack 1")
			tc.sleep(msec(20))
			ecr := tc.lastTS() - uint32(c.ecr)
			if c.ecr == -1 {
				ecr = 0
			}
			tc.recv(fmt.Sprintf(". 1 ack %d <ts %d:%d>", c.ack, tc.tsv(), ecr))
			tc.wantSRTT(c.srtt)
		})
	}
}

// The handshake's sample (RFC 6298 §3): of a SYN that was sent twice only where a timestamp tells
// which of the two was answered.
func TestRTTOfSYN(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  []scriptOption
		after time.Duration // the answer comes so long after the last SYN
		again bool
		echo  string // of the last SYN, the first, or none
		us    uint32
	}{
		{"first SYN", []scriptOption{plain}, msec(70), false, "", 70_000},
		{"second SYN", []scriptOption{plain}, msec(70), true, "", 0},
		{"second SYN, echoed", nil, msec(70), true, "last", 70_000},
		{"second SYN, the first echoed", nil, msec(70), true, "first", 1_070_000},
		{"second SYN, no echo", nil, msec(70), true, "none", 0},
		{"second SYN, an echo that was not asked for", []scriptOption{plain}, msec(70), true, "last", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, c.opts...)
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			syn := "S 0 " + tc.synOpts(0)
			tc.want(syn)
			first, last := tc.lastTS(), tc.lastTS()
			if c.again {
				tc.silent(msec(999), "the first timeout")
				tc.sleep(msec(1))
				tc.want("S 0 " + tc.synOpts(0))
				last = tc.lastTS()
			}
			tc.sleep(c.after)

			g, _ := tc.parse("S. 0 ack 1 " + tc.peerOpts())
			g.Options.HasTimestamp = c.echo != ""
			g.Options.TSVal, g.Options.TSEcr = 7, map[string]uint32{"last": last, "first": first}[c.echo]
			tc.c.Segment(tc.now, &g)
			tc.pump()
			tc.want(". 1 ack 1" + map[bool]string{true: fmt.Sprintf(" <ts %d:7>", tc.lastTS())}[len(c.opts) == 0])
			if got := tc.c.rtt.smoothed(); got != time.Duration(c.us)*time.Microsecond {
				t.Fatalf("SRTT %v", got)
			}
		})
	}
}

// A listener's connection measures its SYN-ACK by the same rule.
func TestRTTOfSYNACK(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []scriptOption
		echo bool
		ts   bool
		us   uint32
	}{
		{"no timestamps", []scriptOption{plain}, false, false, 0},
		{"an echo", nil, true, true, 30_000},
		{"no echo", nil, false, true, 0},
		{"not agreed on", []scriptOption{plain}, true, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, c.opts...)
			g, _ := tc.parse("S 0 " + tc.peerOpts())
			g.Options.TSEcr, g.Ack = 0, 0
			tc.c.Accept(tc.now, &tc.p, &g)
			tc.pump()
			tc.want("S. 0 ack 1 " + tc.synOpts(tc.tsv()))
			first := tc.tsv()
			tc.silent(msec(999), "the first timeout")
			tc.sleep(msec(1))
			tc.want("S. 0 ack 1 " + tc.synOpts(first))
			sent := tc.lastTS()
			tc.sleep(msec(30))
			a, _ := tc.parse(". 1 ack 1")
			a.Options = wire.TCPOptions{HasTimestamp: c.ts, TSVal: tc.tsv()}
			if c.echo {
				a.Options.TSEcr = sent
			}
			tc.c.Segment(tc.now, &a)
			tc.pump()
			tc.wantState(Established)
			if got := tc.c.rtt.smoothed(); got != time.Duration(c.us)*time.Microsecond {
				t.Fatalf("SRTT %v", got)
			}
		})
	}
}
