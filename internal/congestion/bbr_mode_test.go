package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

// Section 4.2.1, BBRInitPacingRate, of version 1, and InitPacingRate of version 3: the initial window in a
// round trip, 1 ms while that is unknown, times the gain of Startup.
func TestBBRInitialRate(t *testing.T) {
	for _, version := range []struct {
		b interface {
			cc.Controller
			PacingRate() uint64
		}
		gain float64
	}{{new(BBR), 2.885}, {new(BBR3), 2.77}} {
		b, gain := version.b, version.gain
		b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS, SRTT: 100 * ms})
		if want := uint64(gain * 10 * testMSS * 10); b.PacingRate() != want {
			t.Errorf("%s: %d with a round trip of 100 ms, want %d", b.Name(), b.PacingRate(), want)
		}

		b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS})
		for i, c := range []struct {
			srtt time.Duration
			want float64
		}{
			{0, gain * 10 * testMSS * 1000},
			{0, gain * 10 * testMSS * 1000},
			{50 * ms, gain * 12 * testMSS * 20}, // what the window is by now
			{60 * ms, gain * 12 * testMSS * 20},
		} {
			if b.Ack(&cc.Ack{SRTT: c.srtt, Delivered: 1000}); b.PacingRate() != uint64(c.want) {
				t.Errorf("%s: %d after acknowledgment %d with a round trip of %v, want %.0f", b.Name(), b.PacingRate(), i, c.srtt, c.want)
			}
		}
	}
}

// Section 4.2.1: the rate is the bandwidth times the gain, less one per cent, and falls only once
// the pipe is known to be full.
func TestBBRPacing(t *testing.T) {
	for _, c := range []struct {
		name         string
		filled       bool
		srtt         time.Duration
		before, want uint64
	}{
		{"up", false, 20 * ms, 1_000_000, 1_237_500},
		{"not down in Startup", false, 20 * ms, 2_000_000, 2_000_000},
		{"down", true, 20 * ms, 2_000_000, 1_237_500},
		{"no round-trip time", true, 0, 2_000_000, 1_237_500},
	} {
		b := steadyBBR()
		b.filled, b.srtt, b.pacing = c.filled, c.srtt, c.before
		if b.setPacing(1.25); b.pacing != c.want {
			t.Errorf("%s: %d, want %d", c.name, b.pacing, c.want)
		}
	}
}

// Section 4.1.1.3 counts a round trip when what was sent after the last one's end is acknowledged;
// section 4.1.1.4 takes a sample of a sender that had nothing to send only if it is not lower.
func TestBBRBandwidth(t *testing.T) {
	for _, c := range []struct {
		name   string
		sample cc.Sample
		max    uint64
		at     uint32 // round of the maximum
		round  uint32
	}{
		{"higher", cc.Sample{Delivered: 40_000, Interval: 20 * ms, PriorDelivered: 100_000}, 2_000_000, 1, 1},
		{"in the same round", cc.Sample{Delivered: 40_000, Interval: 20 * ms, PriorDelivered: 99_999}, 2_000_000, 0, 0},
		{"lower", cc.Sample{Delivered: 10_000, Interval: 20 * ms, PriorDelivered: 200_000}, 1_000_000, 0, 1},
		{"limited and equal", cc.Sample{Delivered: 20_000, Interval: 20 * ms, PriorDelivered: 100_000, AppLimited: true}, 1_000_000, 1, 1},
		{"limited and higher", cc.Sample{Delivered: 40_000, Interval: 20 * ms, PriorDelivered: 100_000, AppLimited: true}, 2_000_000, 1, 1},
		{"no sample", cc.Sample{Delivered: 40_000, PriorDelivered: 100_000}, 1_000_000, 0, 0},
	} {
		b := steadyBBR()
		b.nextRound = 100_000
		c.sample.Total = 250_000
		b.updateBW(&cc.Ack{Rate: c.sample})
		if best := b.bw.best[0]; best.value != c.max || best.round != c.at || b.round != c.round || b.roundStart != (c.round == 1) {
			t.Errorf("%s: %d of round %d in round %d, want %d of %d in %d", c.name, best.value, best.round, b.round, c.max, c.at, c.round)
		}
		if c.round == 1 && b.nextRound != 250_000 {
			t.Errorf("%s: the next round ends at %d", c.name, b.nextRound)
		}
	}

	// The four segments of ProbeRTT say nothing about the path either, but what is sent after them does.
	for prior, want := range map[uint64]uint64{99_999: 1_000_000, 100_000: 500_000} {
		b := steadyBBR()
		b.limited, b.round = 100_000, 20
		if b.updateBW(&cc.Ack{Rate: cc.Sample{Delivered: 10_000, Interval: 20 * ms, PriorDelivered: prior, Total: prior}}); b.bw.max() != want {
			t.Errorf("sent at %d: %d, want %d", prior, b.bw.max(), want)
		}
	}
}

// Section 4.3.2.2, BBRCheckFullPipe: three rounds in a row without a quarter more.
func TestBBRFullPipe(t *testing.T) {
	for _, c := range []struct {
		name   string
		rounds []uint64
		filled bool
	}{
		{"one round", []uint64{1000}, false},
		{"two rounds without growth", []uint64{1000, 1000, 1000}, false},
		{"three", []uint64{1000, 1000, 1000, 1000}, true},
		{"less than a quarter each", []uint64{1000, 1100, 1200, 1249}, true},
		{"a quarter in three rounds", []uint64{1000, 1100, 1200, 1250}, false},
		{"growth begins the count anew", []uint64{1000, 1000, 1000, 1250, 1250, 1250}, false},
		{"a quarter each", []uint64{1000, 1250, 1563, 1954, 2443}, false},
	} {
		b := new(BBR)
		for i, bw := range c.rounds {
			b.bw.update(bw, uint32(i), bbrBWRounds)
			b.roundStart = true
			b.checkFull(&cc.Ack{CWndLimited: true})
		}
		if b.filled != c.filled {
			t.Errorf("%s: full %v", c.name, b.filled)
		}
	}
}

// Section 4.3.3: Drain ends when no more is in flight than the BDP and its allowance.
func TestBBRDrain(t *testing.T) {
	for inFlight, want := range map[uint32]bbrMode{26_001: bbrDrain, 26_000: bbrProbeBW} {
		b := steadyBBR()
		b.mode = bbrStartup
		if b.checkDrain(&cc.Ack{InFlight: inFlight}); b.mode != want {
			t.Errorf("%d in flight: mode %d, want %d", inFlight, b.mode, want)
		}
	}
}

// Section 4.3.4.3: ProbeBW begins at random in any phase but the one that drains.
func TestBBRFirstPhase(t *testing.T) {
	const flows = 7000
	var seen [len(bbrCycle)]int
	b := steadyBBR()
	for i := range flows {
		now := time.Second + time.Duration(i)*137*time.Microsecond
		b.enterProbeBW(now)
		if b.cycleStart != now {
			t.Fatalf("the phase began at %v, not %v", b.cycleStart, now)
		}
		seen[b.phase]++
	}
	for phase, n := range seen {
		if phase == 1 && n != 0 || phase != 1 && (n < 800 || n > 1200) {
			t.Errorf("phase %d: %d of %d", phase, n, flows)
		}
	}
}

// Section 4.3.4.3, BBRIsNextCyclePhase: a phase lasts a round trip; the one that probes until it has
// filled the pipe or lost, the one that drains no longer than it has to.
func TestBBRPhaseOver(t *testing.T) {
	for _, c := range []struct {
		name    string
		phase   uint8
		after   time.Duration
		lost    uint32
		flight  uint32
		over    bool
		becomes uint8
	}{
		{"cruises for RTprop", 2, 20 * ms, 0, 20_000, false, 2},
		{"no longer", 2, 20*ms + 1, 0, 20_000, true, 3},
		{"the last", 7, 20*ms + 1, 0, 20_000, true, 0},
		{"probes, not full", 0, 50 * ms, 0, 33_999, false, 0},
		{"full", 0, 50 * ms, 0, 34_000, true, 1},
		{"full too early", 0, 20 * ms, 0, 34_000, false, 0},
		{"lost", 0, 50 * ms, 1, 20_000, true, 1},
		{"lost too early", 0, 20 * ms, 1, 20_000, false, 0},
		{"drains", 1, 20 * ms, 0, 26_001, false, 1},
		{"drained", 1, ms, 0, 26_000, true, 2},
		{"not drained in time", 1, 20*ms + 1, 0, 26_001, true, 2},
	} {
		b := steadyBBR()
		b.phase, b.cycleStart = c.phase, time.Second
		a := cc.Ack{Now: time.Second + c.after, SRTT: 20 * ms, Lost: c.lost, PriorInFlight: c.flight}
		if got := b.phaseOver(&a); got != c.over {
			t.Errorf("%s: over %v", c.name, got)
		}
		if b.Ack(&a); b.phase != c.becomes || c.over && b.cycleStart != a.Now {
			t.Errorf("%s: phase %d since %v, want %d", c.name, b.phase, b.cycleStart, c.becomes)
		}
	}
}

// Section 4.3.5: RTprop is the least RTT of ten seconds, and ProbeRTT begins when that is older,
// unless the sender comes from idleness, which emptied the pipe as well.
func TestBBRRTProp(t *testing.T) {
	const at = time.Second
	for _, c := range []struct {
		name  string
		after time.Duration
		rtt   time.Duration
		idle  bool
		want  time.Duration
		fresh bool
		mode  bbrMode
	}{
		{"lower", ms, 19 * ms, false, 19 * ms, true, bbrProbeBW},
		{"equal renews", ms, 20 * ms, false, 20 * ms, true, bbrProbeBW},
		{"higher", ms, 21 * ms, false, 20 * ms, false, bbrProbeBW},
		{"higher after ten seconds", 10 * time.Second, 21 * ms, false, 20 * ms, false, bbrProbeBW},
		{"higher later", 10*time.Second + 1, 21 * ms, false, 21 * ms, true, bbrProbeMinRTT},
		{"no sample", 10*time.Second + 1, 0, false, 20 * ms, false, bbrProbeMinRTT},
		{"after idleness", 10*time.Second + 1, 21 * ms, true, 21 * ms, true, bbrProbeBW},
	} {
		b := steadyBBR()
		b.minRTTAt, b.prior = at, 9000
		if c.idle {
			b.Sent(at+c.after-20*ms, 0, testMSS)
		}
		b.updateMinRTT(&cc.Ack{Now: at + c.after, RTT: c.rtt, Delivered: 1000, InFlight: 40_000})
		if b.minRTT != c.want || (b.minRTTAt == at+c.after) != c.fresh || b.mode != c.mode {
			t.Errorf("%s: RTprop %v of %v, mode %d, want %v, %d", c.name, b.minRTT, b.minRTTAt, b.mode, c.want, c.mode)
		}
		if b.mode == bbrProbeMinRTT && b.prior != b.cwnd {
			t.Errorf("%s: ProbeRTT will leave with a window of %d, not %d", c.name, b.prior, b.cwnd)
		}
	}
}

// Section 4.3.5, BBRHandleProbeRTT: once four segments are in flight, for 200 ms and a round trip;
// then RTprop is fresh, the window is what it was, and the sender does what it did before.
func TestBBRProbeRTTSteps(t *testing.T) {
	for filled, after := range map[bool]bbrMode{true: bbrProbeBW, false: bbrStartup} {
		b := steadyBBR()
		b.filled, b.probeRTTRound = filled, true // as the last time left it
		start := 11 * time.Second
		for _, c := range []struct {
			name         string
			at           time.Duration
			inFlight     uint32
			prior, total uint64
			mode         bbrMode
		}{
			{"begins", 0, 40_000, 60_000, 100_000, bbrProbeMinRTT},
			{"more than four segments", 10 * ms, 4001, 90_000, 130_000, bbrProbeMinRTT},
			{"four segments", 20 * ms, 4000, 99_999, 140_000, bbrProbeMinRTT},
			{"sent before that", 221 * ms, 4000, 139_999, 143_000, bbrProbeMinRTT},
		} {
			b.Ack(probeAck(start+c.at, c.inFlight, c.prior, c.total))
			if b.mode != c.mode || b.cwnd != 4*testMSS {
				t.Fatalf("%s: mode %d, window %d", c.name, b.mode, b.cwnd)
			}
			if want := c.total + uint64(c.inFlight); b.limited != want {
				t.Errorf("%s: samples count from %d on, want %d", c.name, b.limited, want)
			}
		}

		early := *b
		early.Ack(probeAck(start+220*ms, 4000, 140_000, 144_000))
		if early.mode != bbrProbeMinRTT {
			t.Error("ProbeRTT ended at 200 ms, not after")
		}
		early.Ack(probeAck(start+221*ms, 4000, 143_500, 145_000))
		if early.mode != after {
			t.Error("the round trip that was complete before the 200 ms did not count")
		}

		late := start + 222*ms
		b.Ack(probeAck(late, 4000, 140_000, 144_000))
		if b.mode != after || b.minRTTAt != late || b.cwnd < 46*testMSS {
			t.Errorf("filled %v: mode %d, RTprop of %v, window %d", filled, b.mode, b.minRTTAt, b.cwnd)
		}
	}
}

func probeAck(now time.Duration, inFlight uint32, prior, total uint64) *cc.Ack {
	return &cc.Ack{
		Now: now, SRTT: 20 * ms, Delivered: 1000, InFlight: inFlight,
		Rate: cc.Sample{Delivered: 4000, Interval: 20 * ms, PriorDelivered: prior, Total: total, AppLimited: true},
	}
}

// Section 4.3.4.4, BBRHandleRestartFromIdle: after idleness ProbeBW paces at the bandwidth, and ProbeRTT,
// if its time is over, ends.
func TestBBRRestart(t *testing.T) {
	for _, c := range []struct {
		name     string
		mode     bbrMode
		inFlight uint32
		now      time.Duration
		pacing   uint64
		after    bbrMode
	}{
		{"probing", bbrProbeBW, 0, time.Second, 990_000, bbrProbeBW},
		{"not idle", bbrProbeBW, 1, time.Second, 1_237_500, bbrProbeBW},
		{"Startup", bbrStartup, 0, time.Second, 1_237_500, bbrStartup},
		{"ProbeRTT, not over", bbrProbeMinRTT, 0, time.Second, 1_237_500, bbrProbeMinRTT},
		{"ProbeRTT, over", bbrProbeMinRTT, 0, time.Second + 1, 1_237_500, bbrProbeBW},
	} {
		b := steadyBBR()
		b.mode, b.phase, b.pacing, b.probeRTTDone = c.mode, 0, 1_237_500, time.Second
		if b.Sent(c.now, c.inFlight, testMSS); b.pacing != c.pacing || b.mode != c.after {
			t.Errorf("%s: %d bytes a second in mode %d, want %d, %d", c.name, b.pacing, b.mode, c.pacing, c.after)
		}
		idle := c.inFlight == 0
		for _, delivered := range []uint32{0, 1000} { // until data is acknowledged
			if b.idleRestart != idle {
				t.Errorf("%s: restart %v before an acknowledgment of %d bytes", c.name, b.idleRestart, delivered)
			}
			b.updateMinRTT(&cc.Ack{Now: c.now, Delivered: delivered, InFlight: 40_000})
		}
		if b.idleRestart {
			t.Errorf("%s: the restart does not end", c.name)
		}
	}
}
