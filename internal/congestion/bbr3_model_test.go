package congestion

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"usock/cc"
)

// steadyBBR3 has found a path of 1 MB/s and 20 ms, whose BDP is 20 segments, and cruises since the
// first second. Nothing bounds its window but the model.
func steadyBBR3() *BBR3 {
	b := new(BBR3)
	b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS, SRTT: 20 * ms, MinRTT: 20 * ms})
	b.maxBW[1] = 1_000_000
	b.full, b.mode, b.cycleStart, b.probeWait = true, bbr3Cruise, time.Second, 2500*ms
	b.pacing, b.cwnd, b.fullBW = 1_000_000, 40*testMSS, 1_000_000
	b.delivered, b.nextRound, b.lossRoundEnd = 200_000, 200_000, 200_000
	b.inFlight = 20 * testMSS
	return b
}

// bbr3Ack is an acknowledgment of one segment of that path, within a round trip.
func bbr3Ack() *cc.Ack {
	return &cc.Ack{
		Now: time.Second + ms, RTT: 20 * ms, SRTT: 20 * ms, Delivered: 1000, Acked: 1000, InFlight: 20_000,
		Rate: cc.Sample{Delivered: 20_000, Interval: 20 * ms, PriorDelivered: 181_000, Total: 201_000, InFlight: 20_000},
	}
}

// The table of section "Summary of Control Behavior in the State Machine".
func TestBBR3Control(t *testing.T) {
	const long = 100_000
	for _, c := range []struct {
		mode    bbr3Mode
		pacing  float64
		window  float64
		bound   uint32 // with inflight_longterm 100 kB
		accel   bool
		probing bool
	}{
		{bbr3Startup, 2.77, 2, bbr3NoVolume, true, false},
		{bbr3Drain, 0.5, 2, bbr3NoVolume, false, false},
		{bbr3Down, 0.9, 2, long, false, true},
		{bbr3Cruise, 1, 2, 85_000, false, true},
		{bbr3Refill, 1, 2, long, true, true},
		{bbr3Up, 1.25, 2.25, long, true, true},
		{bbr3ProbeRTT, 1, 0.5, 85_000, false, false},
	} {
		b := steadyBBR3()
		b.mode = c.mode
		if b.pacingGain() != c.pacing || b.windowGain() != c.window {
			t.Errorf("mode %d: gains %v and %v", c.mode, b.pacingGain(), b.windowGain())
		}
		if b.bound() != bbr3NoVolume {
			t.Errorf("mode %d: bound by %d without any", c.mode, b.bound())
		}
		b.inflightLong = long
		if b.bound() != c.bound {
			t.Errorf("mode %d: bound by %d, want %d", c.mode, b.bound(), c.bound)
		}
		if b.inflightShort = 9000; b.bound() != 9000 {
			t.Errorf("mode %d: bound by %d, want the short-term bound", c.mode, b.bound())
		}
		if b.inflightShort = 3000; b.bound() != 4000 {
			t.Errorf("mode %d: bound by %d, want four segments at least", c.mode, b.bound())
		}
		if c.mode.accelerates() != c.accel || c.mode.probesBW() != c.probing {
			t.Errorf("mode %d: accelerates %v, probes %v", c.mode, c.mode.accelerates(), c.mode.probesBW())
		}
	}
}

// SetPacingRateWithGain: the bandwidth times the gain, less one per cent; it falls only once the
// pipe is known to be full, and the least window goes out in a round trip.
func TestBBR3Pacing(t *testing.T) {
	for _, c := range []struct {
		name         string
		full         bool
		srtt         time.Duration
		short        uint64
		before, want uint64
	}{
		{"up", false, 20 * ms, bbr3NoRate, 1_000_000, 1_237_500},
		{"not down in Startup", false, 20 * ms, bbr3NoRate, 2_000_000, 2_000_000},
		{"down", true, 20 * ms, bbr3NoRate, 2_000_000, 1_237_500},
		{"short-term bound", true, 20 * ms, 500_000, 2_000_000, 618_750},
		{"least window", true, 20 * ms, 10_000, 2_000_000, 200_000},
		{"no bandwidth", true, 20 * ms, 0, 2_000_000, 2_000_000},
	} {
		b := steadyBBR3()
		b.full, b.srtt, b.pacing, b.bwShort = c.full, c.srtt, c.before, c.short
		if b.setPacing(1.25); b.pacing != c.want {
			t.Errorf("%s: %d, want %d", c.name, b.pacing, c.want)
		}
	}
}

// UpdateMaxBw: rounds are counted by what is delivered; a sample of a sender that had nothing to
// send counts only if it is not lower.
func TestBBR3Bandwidth(t *testing.T) {
	for _, c := range []struct {
		name   string
		sample cc.Sample
		max    uint64
		rounds uint32
	}{
		{"higher", cc.Sample{Delivered: 40_000, Interval: 20 * ms, PriorDelivered: 200_000}, 2_000_000, 1},
		{"in the same round", cc.Sample{Delivered: 40_000, Interval: 20 * ms, PriorDelivered: 199_999}, 2_000_000, 0},
		{"lower", cc.Sample{Delivered: 10_000, Interval: 20 * ms, PriorDelivered: 200_000}, 1_000_000, 1},
		{"limited and lower", cc.Sample{Delivered: 18_000, Interval: 20 * ms, PriorDelivered: 200_000, AppLimited: true}, 1_000_000, 1},
		{"limited and higher", cc.Sample{Delivered: 40_000, Interval: 20 * ms, PriorDelivered: 200_000, AppLimited: true}, 2_000_000, 1},
		{"too short an interval", cc.Sample{Delivered: 40_000, PriorDelivered: 200_000}, 1_000_000, 1},
		{"nothing delivered", cc.Sample{}, 1_000_000, 0},
	} {
		b := steadyBBR3()
		b.roundStart = true
		c.sample.Total = 250_000
		b.updateMaxBW(&c.sample)
		if b.max() != c.max || b.round != c.rounds || b.sinceProbe != c.rounds || b.roundStart != (c.rounds == 1) {
			t.Errorf("%s: %d, round %d, %d since the probe, want %d, %d", c.name, b.max(), b.round, b.sinceProbe, c.max, c.rounds)
		}
		if next := map[uint32]uint64{0: 200_000, 1: 250_000}[c.rounds]; b.nextRound != next {
			t.Errorf("%s: the next round ends at %d, want %d", c.name, b.nextRound, next)
		}
	}

	// One as good as the best is of this cycle, too.
	b := steadyBBR3()
	b.maxBW = [2]uint64{1_000_000, 0}
	if b.updateMaxBW(&cc.Sample{Delivered: 20_000, Interval: 20 * ms, AppLimited: true}); b.maxBW[1] != 1_000_000 {
		t.Errorf("limited and equal: %d", b.maxBW[1])
	}

	// What ProbeRTT sends says nothing about the path, but what is sent after it does.
	for prior, want := range map[uint64]uint64{299_999: 0, 300_000: 500_000} {
		b := steadyBBR3()
		b.maxBW, b.limited = [2]uint64{1_000_000, 0}, 300_000
		if b.updateMaxBW(&cc.Sample{Delivered: 10_000, Interval: 20 * ms, PriorDelivered: prior}); b.maxBW[1] != want {
			t.Errorf("sent at %d: %d, want %d", prior, b.maxBW[1], want)
		}
	}
}

// AdvanceMaxBwFilter: the filter holds this cycle and the last one; a cycle without samples is none.
func TestBBR3BandwidthFilter(t *testing.T) {
	b := steadyBBR3()
	for i, c := range []struct {
		bw   uint64 // 0: no sample
		want uint64
	}{
		{3_000_000, 3_000_000}, {2_000_000, 3_000_000}, {1_500_000, 2_000_000}, {0, 1_500_000}, {0, 1_500_000},
		{1_000_000, 1_500_000}, {4_000_000, 4_000_000},
	} {
		if i > 0 {
			b.advanceMaxBW()
		}
		if c.bw > 0 {
			b.updateMaxBW(&cc.Sample{Delivered: c.bw / 50, Interval: 20 * ms})
		}
		if b.max() != c.want {
			t.Errorf("cycle %d: %d, want %d", i, b.max(), c.want)
		}
	}
}

// UpdateLatestDeliverySignals and AdvanceLatestDeliverySignals: the most that the path has carried
// since the round trip began that losses are counted by.
func TestBBR3Latest(t *testing.T) {
	b := steadyBBR3()
	b.startDown(time.Second) // begins anew
	for i, c := range []struct {
		delivered      uint64
		prior          uint64
		bw             uint64
		inflight       uint32
		start          bool
		bwLeft, inLeft uint64
	}{
		{10_000, 199_999, 500_000, 10_000, false, 500_000, 10_000},
		{16_000, 199_999, 800_000, 16_000, false, 800_000, 16_000},
		{12_000, 199_999, 800_000, 16_000, false, 800_000, 16_000},
		{0, 300_000, 800_000, 16_000, false, 800_000, 16_000},
		{14_000, 200_000, 800_000, 16_000, true, 700_000, 14_000},
		{12_000, 259_999, 700_000, 14_000, false, 700_000, 14_000},
	} {
		r := cc.Sample{Delivered: c.delivered, Interval: 20 * ms, PriorDelivered: c.prior, Total: 260_000}
		b.updateLatest(&r)
		if b.bwLatest != c.bw || b.inflightLatest != c.inflight || b.lossRoundStart != c.start {
			t.Errorf("step %d: %d, %d, start %v", i, b.bwLatest, b.inflightLatest, b.lossRoundStart)
		}
		a := bbr3Ack()
		a.Rate = r
		if c.delivered == 0 {
			continue
		}
		d := *b
		d.lossRoundEnd = map[bool]uint64{true: 0, false: 1 << 40}[c.start]
		d.bwLatest, d.inflightLatest = 0, 0
		if d = *b; c.start {
			d.lossRoundEnd = r.PriorDelivered
		}
		d.Ack(a)
		if d.bwLatest != c.bwLeft || uint64(d.inflightLatest) != c.inLeft {
			t.Errorf("step %d: %d and %d are left, want %d and %d", i, d.bwLatest, d.inflightLatest, c.bwLeft, c.inLeft)
		}
		if c.start {
			b.bwLatest, b.inflightLatest = c.bwLeft, uint32(c.inLeft)
		}
	}
}

// IsInflightTooHigh: more than two per cent, or any loss where no more can show.
func TestBBR3TooHigh(t *testing.T) {
	for _, c := range []struct {
		lost     uint64
		inFlight uint32
		noSACK   bool
		want     bool
	}{
		{2000, 100_000, false, false},
		{2001, 100_000, false, true},
		{0, 0, false, false},
		{0, 100_000, true, false},
		{1, 100_000, true, true},
	} {
		b := steadyBBR3()
		b.noSACK = c.noSACK
		if got := b.isTooHigh(c.lost, c.inFlight); got != c.want {
			t.Errorf("%d of %d, no SACK %v: %v", c.lost, c.inFlight, c.noSACK, got)
		}
	}
}

// InflightAtLoss: where in the segment two per cent were passed.
func TestBBR3InflightAtLoss(t *testing.T) {
	for _, c := range []struct {
		name string
		l    cc.LostSegment
		want uint32
	}{
		// 90 kB before it, of which 1.8 kB may be lost: with x bytes of it (0 + x)/(90 kB + x) is 2 %.
		{"within a burst", cc.LostSegment{Bytes: 10_000, InFlight: 100_000, Lost: 10_000}, 91_836},
		// 1 kB was lost before: (1 kB + x)/(90 kB + x).
		{"some before", cc.LostSegment{Bytes: 10_000, InFlight: 100_000, Lost: 11_000}, 90_816},
		{"too many before", cc.LostSegment{Bytes: 1000, InFlight: 50_000, Lost: 3000}, 47_959},
		{"nothing left", cc.LostSegment{Bytes: 1000, InFlight: 2000, Lost: 90_000}, 0},
		{"out of step", cc.LostSegment{Bytes: 2000, InFlight: 1000, Lost: 1000}, 0},
	} {
		if got := inflightAtLoss(&c.l); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// HandleLostPacket and HandleInflightTooHigh: what was sent while probing, and lost beyond two per
// cent, lowers the long-term bound, once, no further than to Beta of the target, and ends the probe.
func TestBBR3Lost(t *testing.T) {
	lost := cc.LostSegment{Now: 2 * time.Second, Start: 5000, Bytes: 3000, InFlight: 40_000, Lost: 3000, Delivered: 210_000, SACK: true}
	mend := func(f func(*cc.LostSegment)) cc.LostSegment { l := lost; f(&l); return l }
	for _, c := range []struct {
		name    string
		mode    bbr3Mode
		sample  bool
		l       cc.LostSegment
		long    uint32
		after   bbr3Mode
		tooHigh bool
	}{
		{"probing", bbr3Up, true, lost, 37_755, bbr3Down, true},
		{"of the probe, later", bbr3Down, true, lost, 37_755, bbr3Down, true},
		{"filling", bbr3Refill, true, lost, 37_755, bbr3Refill, true},
		{"not of a probe", bbr3Cruise, false, lost, bbr3NoVolume, bbr3Cruise, false},
		{"two per cent", bbr3Up, true, mend(func(l *cc.LostSegment) { l.Lost = 800 }), bbr3NoVolume, bbr3Up, false},
		{"Beta of the target", bbr3Up, true, mend(func(l *cc.LostSegment) { l.InFlight = 10_000 }), 14_000, bbr3Down, true},
		{"limited by the program", bbr3Up, true, mend(func(l *cc.LostSegment) { l.AppLimited = true }), bbr3NoVolume, bbr3Down, true},
		{"in ProbeRTT", bbr3ProbeRTT, true, lost, bbr3NoVolume, bbr3ProbeRTT, true},
		{"without SACK", bbr3Up, true, mend(func(l *cc.LostSegment) { l.SACK, l.Lost, l.Bytes = false, 1, 1 }), 40_815, bbr3Down, true},
	} {
		b := steadyBBR3()
		b.mode, b.probeSample = c.mode, c.sample
		b.Lost(c.l)
		if b.inflightLong != c.long || b.mode != c.after || b.tooHigh != c.tooHigh || b.probeSample != (c.sample && !c.tooHigh) {
			t.Errorf("%s: bound %d, mode %d, too high %v, samples %v", c.name, b.inflightLong, b.mode, b.tooHigh, b.probeSample)
		}
		if wantTo := map[bool]bbr3Mode{true: bbr3Up, false: bbr3None}[c.mode == bbr3Up && c.tooHigh]; b.undoTo != wantTo {
			t.Errorf("%s: undo leads to %d, want %d", c.name, b.undoTo, wantTo)
		}
		if b.inFlight != 20_000-c.l.Bytes || b.noSACK == c.l.SACK {
			t.Errorf("%s: %d in flight, no SACK %v", c.name, b.inFlight, b.noSACK)
		}
		if ended := c.mode == bbr3Up && c.tooHigh; ended && (b.cycleStart != c.l.Now || b.nextRound != 210_000 || b.lossInRound) {
			t.Errorf("%s: the cycle began at %v, its round ends at %d, loss %v", c.name, b.cycleStart, b.nextRound, b.lossInRound)
		}
	}
}

// NoteLoss: the first loss begins the round trip in which losses count, and the episode that undo
// takes back. Pieces of the stream that lie side by side are one loss.
func TestBBR3NoteLoss(t *testing.T) {
	b := steadyBBR3()
	b.inFlight, b.undoTo = 2500, bbr3Up // as the last episode left it
	b.bwShort, b.inflightShort, b.inflightLong = 900_000, 19_000, 50_000
	for i, c := range []struct {
		start  uint64
		ranges uint8
		left   uint32
	}{{0, 1, 1500}, {1000, 1, 500}, {3000, 2, 0}, {4000, 2, 0}, {1000, 3, 0}} {
		b.Lost(cc.LostSegment{Start: c.start, Bytes: 1000, InFlight: 20_000, Lost: 1000, Delivered: 210_000 + uint64(i), SACK: true})
		if b.lossRanges != c.ranges || b.inFlight != c.left {
			t.Errorf("loss %d: %d ranges, %d in flight, want %d, %d", i, b.lossRanges, b.inFlight, c.ranges, c.left)
		}
		if !b.lossInRound || b.lossRoundEnd != 210_000 || b.delivered != 210_000+uint64(i) {
			t.Errorf("loss %d: the round ends at %d, %d delivered", i, b.lossRoundEnd, b.delivered)
		}
		if b.undoBW != 900_000 || b.undoShort != 19_000 || b.undoLong != 50_000 || b.undoTo != bbr3None {
			t.Errorf("loss %d: saved %d, %d, %d, %d", i, b.undoBW, b.undoShort, b.undoLong, b.undoTo)
		}
		b.bwShort, b.inflightShort, b.inflightLong = 1, 2, 3
	}

	// What Lost has told is noted. A probe that it has ended is over: what comes then begins without it.
	b = steadyBBR3()
	b.mode, b.probeSample = bbr3Up, true
	b.Lost(cc.LostSegment{Start: 5000, Bytes: 3000, InFlight: 40_000, Lost: 3000, Delivered: 210_000, SACK: true})
	if b.Congestion(&cc.Event{}); b.mode != bbr3Down || b.lossInRound {
		t.Errorf("mode %d, loss in its round %v", b.mode, b.lossInRound)
	}
	b.Lost(cc.LostSegment{Start: 9000, Bytes: 1000, InFlight: 40_000, Lost: 4000, Delivered: 210_000, SACK: true})
	if !b.lossInRound {
		t.Error("a loss after the probe does not count")
	}
	b.Recovered(0)
	if b.lossInRound = false; b.episode {
		t.Error("the episode does not end")
	}
	if b.Congestion(&cc.Event{}); !b.lossInRound || !b.episode {
		t.Error("a loss that a probe has repaired does not count")
	}

	b.lossRanges = 255
	if b.Lost(cc.LostSegment{Start: 9000, Bytes: 1000}); b.lossRanges != 255 {
		t.Errorf("%d ranges after 255", b.lossRanges)
	}
}

// AdaptLowerBoundsFromCongestion: a round trip with loss lowers the short-term bounds to what it has
// delivered, by 0.3 at most, but not while accelerating.
func TestBBR3ShortTerm(t *testing.T) {
	for _, c := range []struct {
		name            string
		mode            bbr3Mode
		lost            bool
		bw              uint64
		inflight        uint32
		latest, carried uint32
		wantBW          uint64
		want            uint32
	}{
		{"first loss", bbr3Cruise, true, bbr3NoRate, bbr3NoVolume, 900_000, 30_000, 900_000, 30_000},
		{"by Beta at most", bbr3Cruise, true, bbr3NoRate, bbr3NoVolume, 100_000, 10_000, 700_000, 28_000},
		{"once more", bbr3Down, true, 800_000, 20_000, 600_000, 15_000, 600_000, 15_000},
		{"once more, by Beta", bbr3Drain, true, 800_000, 20_000, 100_000, 1000, 560_000, 14_000},
		{"in ProbeRTT", bbr3ProbeRTT, true, 800_000, 20_000, 600_000, 15_000, 600_000, 15_000},
		{"hardly anything", bbr3Cruise, true, 1, 20_000, 0, 0, 1, 14_000},
		{"no loss", bbr3Cruise, false, bbr3NoRate, bbr3NoVolume, 900_000, 30_000, bbr3NoRate, bbr3NoVolume},
		{"accelerating", bbr3Up, true, bbr3NoRate, bbr3NoVolume, 900_000, 30_000, bbr3NoRate, bbr3NoVolume},
	} {
		b := steadyBBR3()
		b.mode, b.lossInRound, b.bwShort, b.inflightShort = c.mode, c.lost, c.bw, c.inflight
		b.bwLatest, b.inflightLatest = uint64(c.latest), c.carried
		if b.adaptShortTerm(); b.bwShort != c.wantBW || b.inflightShort != c.want {
			t.Errorf("%s: %d and %d, want %d and %d", c.name, b.bwShort, b.inflightShort, c.wantBW, c.want)
		}
	}
}

// Of an acknowledgment: the bounds are lowered where the round trip with the loss ends, and the
// next one begins without any.
func TestBBR3LossRound(t *testing.T) {
	b := steadyBBR3()
	b.Lost(cc.LostSegment{Start: 1000, Bytes: 1000, InFlight: 20_000, Lost: 1000, Delivered: 200_500, SACK: true})
	b.bwLatest, b.inflightLatest = 900_000, 18_000
	for i, c := range []struct {
		prior uint64
		short uint64
		lost  bool
	}{{200_499, bbr3NoRate, true}, {200_500, 900_000, false}, {240_000, 900_000, false}} {
		a := bbr3Ack()
		a.Rate = cc.Sample{Delivered: 16_000, Interval: 20 * ms, PriorDelivered: c.prior, Total: 220_000 + uint64(i)*20_000, InFlight: 20_000}
		b.Ack(a)
		if b.bwShort != c.short || b.lossInRound != c.lost || (b.lossRanges > 0) != c.lost {
			t.Errorf("step %d: %d, loss %v of %d", i, b.bwShort, b.lossInRound, b.lossRanges)
		}
	}
	if b.pacing != 891_000 {
		t.Errorf("paced at %d, want 0.99 of the bound", b.pacing)
	}
}

// BDPMultiple, QuantizationBudget and Inflight.
func TestBBR3Inflight(t *testing.T) {
	for _, c := range []struct {
		name string
		bw   uint64
		rtt  time.Duration
		mode bbr3Mode
		gain float64
		want uint32
	}{
		{"BDP", 1_000_000, 20 * ms, bbr3Cruise, 1, 20_000},
		{"gain", 1_000_000, 20 * ms, bbr3Cruise, 1.5, 30_000},
		{"three quanta at least", 100_000, 20 * ms, bbr3Cruise, 1, 6000},
		{"probing", 1_000_000, 20 * ms, bbr3Up, 1, 22_000},
		{"no bandwidth", 0, 20 * ms, bbr3Cruise, 1, 10_000},
		{"no round-trip time", 1_000_000, 0, bbr3Cruise, 1, 10_000},
		{"without bound", 1 << 36, time.Minute, bbr3Cruise, 2, cc.MaxWindow},
	} {
		b := steadyBBR3()
		b.minRTT, b.mode = c.rtt, c.mode
		if got := b.inflight(c.bw, c.gain); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	b := steadyBBR3()
	if b.pacing = 100_000; b.inflight(1000, 1) != 4000 {
		t.Errorf("with quanta of a segment: %d, want four segments", b.inflight(1000, 1))
	}
}

// SetCwnd.
func TestBBR3SetWindow(t *testing.T) {
	for _, c := range []struct {
		name      string
		full      bool
		mode      bbr3Mode
		cwnd      uint32
		delivered uint32
		total     uint64
		want      uint32
	}{
		{"up by what is delivered", true, bbr3Cruise, 30_000, 3000, 1e6, 33_000},
		{"not beyond twice the BDP", true, bbr3Cruise, 39_000, 3000, 1e6, 40_000},
		{"down to it at once", true, bbr3Cruise, 90_000, 3000, 1e6, 40_000},
		{"2.25 times and two segments", true, bbr3Up, 90_000, 3000, 1e6, 47_000},
		{"not down in Startup", false, bbr3Startup, 90_000, 3000, 1e6, 90_000},
		{"up in Startup", false, bbr3Startup, 39_000, 8000, 1e6, 47_000},
		{"no further", false, bbr3Startup, 40_000, 8000, 1e6, 40_000},
		{"less than the initial window delivered", false, bbr3Startup, 90_000, 3000, 9_999, 93_000},
		{"the initial window delivered", false, bbr3Startup, 90_000, 3000, 10_000, 90_000},
		{"four segments at least", true, bbr3Cruise, 1000, 1000, 1e6, 4000},
		{"ProbeRTT", true, bbr3ProbeRTT, 40_000, 1000, 1e6, 9000},
		{"ProbeRTT, since the MSS grew", true, bbr3ProbeRTT, 40_000, 1000, 1e6, 8000},
		{"nothing delivered", true, bbr3Cruise, 90_000, 0, 1e6, 90_000},
		{"nothing delivered in ProbeRTT", true, bbr3ProbeRTT, 90_000, 0, 1e6, 9000},
	} {
		b := steadyBBR3()
		b.full, b.mode, b.cwnd, b.probeRTTWindow = c.full, c.mode, c.cwnd, 9000
		if c.name == "ProbeRTT, since the MSS grew" {
			b.mss = 2 * testMSS
			b.probeRTTWindow = 1000
		}
		b.setWindow(&cc.Ack{Delivered: c.delivered, Rate: cc.Sample{Total: c.total}})
		if b.cwnd != c.want {
			t.Errorf("%s: %d, want %d", c.name, b.cwnd, c.want)
		}
	}

	// The window has room for what is acknowledged in one go, and for no more than losses allow.
	b := steadyBBR3()
	b.extra = [2]uint32{3000, 7000}
	if b.setWindow(&cc.Ack{Delivered: 20_000}); b.cwnd != 47_000 {
		t.Errorf("with 7000 bytes extra: %d, want 47000", b.cwnd)
	}
	b.inflightLong = 30_000
	if b.setWindow(&cc.Ack{}); b.cwnd != 25_500 {
		t.Errorf("with a bound of 30000: %d, want 0.85 of it", b.cwnd)
	}
}

// BBR.extra_acked: kept for five to ten rounds, in Startup for one.
func TestBBR3ExtraAcked(t *testing.T) {
	for full, want := range map[bool]int{true: 10, false: 2} {
		b := steadyBBR3()
		b.full = full
		b.aggStart = time.Second
		b.extra[0] = 9000
		rounds := 0
		for ; max(b.extra[0], b.extra[1]) >= 9000 && rounds < 20; rounds++ {
			a := bbr3Ack()
			a.Now += time.Duration(rounds) * 20 * ms
			a.Rate.PriorDelivered, a.Rate.Total = b.nextRound, b.nextRound+20_000
			b.Ack(a)
		}
		if rounds != want {
			t.Errorf("full %v: forgotten after %d rounds, want %d", full, rounds, want)
		}
	}
}

// HandleRestartFromIdle: after idleness ProbeBW paces at the bandwidth, and ProbeRTT, if its time is
// over, ends. Nothing in flight after a timeout is no idleness.
func TestBBR3Restart(t *testing.T) {
	for _, c := range []struct {
		name     string
		mode     bbr3Mode
		state    cc.State
		inFlight uint32
		now      time.Duration
		pacing   uint64
		after    bbr3Mode
	}{
		{"probing", bbr3Up, cc.Open, 0, time.Second, 990_000, bbr3Up},
		{"draining", bbr3Down, cc.CWR, 0, time.Second, 990_000, bbr3Down},
		{"not idle", bbr3Up, cc.Open, 1, time.Second, 1_237_500, bbr3Up},
		{"after a timeout", bbr3Up, cc.Loss, 0, time.Second, 1_237_500, bbr3Up},
		{"in recovery", bbr3Up, cc.Recovery, 0, time.Second, 1_237_500, bbr3Up},
		{"Startup", bbr3Startup, cc.Open, 0, time.Second, 1_237_500, bbr3Startup},
		{"ProbeRTT, not over", bbr3ProbeRTT, cc.Open, 0, time.Second, 1_237_500, bbr3ProbeRTT},
		{"ProbeRTT, over", bbr3ProbeRTT, cc.Open, 0, time.Second + 1, 1_237_500, bbr3Cruise},
	} {
		b := steadyBBR3()
		b.mode, b.state, b.pacing, b.probeRTTDone = c.mode, c.state, 1_237_500, time.Second
		b.aggAcked = 500
		if b.Sent(c.now, c.inFlight, testMSS); b.pacing != c.pacing || b.mode != c.after || b.inFlight != c.inFlight+testMSS {
			t.Errorf("%s: %d bytes a second in mode %d with %d in flight, want %d, %d", c.name, b.pacing, b.mode, b.inFlight, c.pacing, c.after)
		}
		idle := c.inFlight == 0 && c.state < cc.Recovery
		if (b.aggStart == c.now && b.aggAcked == 0) != idle {
			t.Errorf("%s: aggregation since %v of %d", c.name, b.aggStart, b.aggAcked)
		}
		for _, delivered := range []uint32{0, 1000} { // until data is acknowledged
			if b.idleRestart != idle {
				t.Errorf("%s: restart %v before an acknowledgment of %d bytes", c.name, b.idleRestart, delivered)
			}
			b.checkProbeRTT(&cc.Ack{Now: c.now, Delivered: delivered, InFlight: 40_000})
		}
		if b.idleRestart {
			t.Errorf("%s: the restart does not end", c.name)
		}
	}
}

// SaveCwnd: the last good window, which in recovery and in ProbeRTT is the greater of what was saved
// and what is.
func TestBBR3SaveWindow(t *testing.T) {
	for _, c := range []struct {
		state cc.State
		mode  bbr3Mode
		prior uint32
		want  uint32
	}{
		{cc.Open, bbr3Cruise, 90_000, 40_000},
		{cc.CWR, bbr3Cruise, 90_000, 40_000},
		{cc.Recovery, bbr3Cruise, 90_000, 90_000},
		{cc.Loss, bbr3Cruise, 90_000, 90_000},
		{cc.Recovery, bbr3Cruise, 9_000, 40_000},
		{cc.Open, bbr3ProbeRTT, 90_000, 90_000},
		{cc.Open, bbr3ProbeRTT, 9_000, 40_000},
	} {
		for event, call := range map[string]func(*BBR3){
			"loss":    func(b *BBR3) { b.Congestion(&cc.Event{}) },
			"mark":    func(b *BBR3) { b.Congestion(&cc.Event{Cause: cc.ByECN}) },
			"timeout": func(b *BBR3) { b.Timeout(&cc.Event{}) },
		} {
			b := steadyBBR3()
			b.state, b.mode, b.prior = c.state, c.mode, c.prior
			if call(b); b.prior != c.want || !b.lossInRound || b.episode == (event == "mark") {
				t.Errorf("%s in state %d, mode %d with %d saved: %d, want %d", event, c.state, c.mode, c.prior, b.prior, c.want)
			}
		}
	}
}

// OnEnterRTO: the window begins with a segment beyond what is in flight, and Startup's search for a
// plateau anew; the end of the repair brings the window back, and the next loss is of another
// episode.
func TestBBR3Timeout(t *testing.T) {
	b := steadyBBR3()
	b.inFlight, b.fullCount = 2000, 2
	b.Timeout(&cc.Event{InFlight: 40_000})
	if b.cwnd != 3000 || b.fullBW != 0 || b.fullCount != 0 || b.state != cc.Loss {
		t.Errorf("window %d, plateau %d after %d rounds, state %d", b.cwnd, b.fullBW, b.fullCount, b.state)
	}
	b.Recovered(0)
	if b.cwnd != 40_000 || b.episode {
		t.Errorf("window %d after the repair, episode %v", b.cwnd, b.episode)
	}

	// The short-term volume is of the window before, unless losses have set it, or it does not hold.
	for _, c := range []struct {
		mode        bbr3Mode
		short, want uint32
	}{{bbr3Cruise, bbr3NoVolume, 40_000}, {bbr3Cruise, 9000, 9000}, {bbr3Up, bbr3NoVolume, bbr3NoVolume}} {
		b := steadyBBR3()
		b.mode, b.inflightShort = c.mode, c.short
		b.Timeout(&cc.Event{})
		if b.inflightShort != c.want || b.undoShort != c.short {
			t.Errorf("mode %d, bound %d: %d, and %d to undo", c.mode, c.short, b.inflightShort, b.undoShort)
		}
		b.Timeout(&cc.Event{Repeated: true})
		if b.inflightShort != c.want || b.undoShort != c.short {
			t.Errorf("mode %d, bound %d: %d, and %d to undo after another", c.mode, c.short, b.inflightShort, b.undoShort)
		}
	}

	b.cwnd = 50_000
	if b.Recovered(0); b.cwnd != 50_000 {
		t.Errorf("a larger window became %d", b.cwnd)
	}
	a := bbr3Ack()
	a.State = cc.CWR
	if b.Ack(a); b.state != cc.CWR {
		t.Errorf("state %d", b.state)
	}
}

// HandleSpuriousLossDetection.
func TestBBR3Undo(t *testing.T) {
	for _, c := range []struct {
		name   string
		undoTo bbr3Mode
		mode   bbr3Mode
		after  bbr3Mode
		full   bool
	}{
		{"nothing ended", bbr3None, bbr3Cruise, bbr3Cruise, true},
		{"Startup ended", bbr3Startup, bbr3Drain, bbr3Startup, false},
		{"Startup ended, in ProbeRTT", bbr3Startup, bbr3ProbeRTT, bbr3ProbeRTT, false},
		{"a probe ended", bbr3Up, bbr3Down, bbr3Refill, true},
		{"a probe ended, in the next", bbr3Up, bbr3Up, bbr3Up, true},
		{"a probe ended, in ProbeRTT", bbr3Up, bbr3ProbeRTT, bbr3ProbeRTT, true},
	} {
		b := steadyBBR3()
		b.mode, b.undoTo, b.prior, b.episode = c.mode, c.undoTo, 60_000, true
		b.bwShort, b.inflightShort, b.inflightLong = 500_000, 10_000, 20_000
		b.undoBW, b.undoShort, b.undoLong = 800_000, 30_000, 50_000
		b.lossInRound, b.fullNow, b.fullCount = true, true, 2
		b.Undo(0)
		if b.mode != c.after || b.full != c.full || b.undoTo != bbr3None || b.episode {
			t.Errorf("%s: mode %d, full %v, undo to %d", c.name, b.mode, b.full, b.undoTo)
		}
		if b.cwnd != 60_000 || b.lossInRound || b.fullNow || b.fullBW != 0 || b.fullCount != 0 || b.inflightLong != 50_000 {
			t.Errorf("%s: window %d, loss %v, plateau %v of %d, long-term bound %d", c.name, b.cwnd, b.lossInRound, b.fullNow, b.fullBW, b.inflightLong)
		}
		bw, short := uint64(800_000), uint32(30_000)
		if c.after == bbr3Refill {
			bw, short = bbr3NoRate, bbr3NoVolume
		}
		if b.bwShort != bw || b.inflightShort != short {
			t.Errorf("%s: short-term bounds %d and %d", c.name, b.bwShort, b.inflightShort)
		}
	}

	// What is more by now stays.
	b := steadyBBR3()
	b.bwShort, b.inflightShort, b.inflightLong = 500_000, 10_000, 20_000
	if b.Undo(0); b.cwnd != 40_000 || b.bwShort != 500_000 || b.inflightShort != 10_000 || b.inflightLong != 20_000 {
		t.Errorf("undone without an episode: %d, %d, %d, %d", b.cwnd, b.bwShort, b.inflightShort, b.inflightLong)
	}
}

// RFC 3168: a mark is congestion. It ends Startup and a probe at once, and counts as loss elsewhere.
func TestBBR3ECN(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   bbr3Mode
		sample bool
		cause  cc.Cause
		long   uint32
		full   bool
		after  bbr3Mode
	}{
		{"Startup", bbr3Startup, false, cc.ByECN, 25_000, true, bbr3Startup},
		{"Startup, by loss", bbr3Startup, false, cc.ByLoss, bbr3NoVolume, false, bbr3Startup},
		{"probing", bbr3Up, true, cc.ByECN, 21_000, true, bbr3Down},
		{"probing, by loss", bbr3Up, true, cc.ByLoss, bbr3NoVolume, true, bbr3Up},
		{"cruising", bbr3Cruise, false, cc.ByECN, bbr3NoVolume, true, bbr3Cruise},
	} {
		b := steadyBBR3()
		b.mode, b.full, b.probeSample, b.inFlight, b.inflightLatest = c.mode, c.mode != bbr3Startup, c.sample, 30_000, 25_000
		b.episode, b.undoLong = c.cause == cc.ByECN, bbr3NoVolume
		b.Congestion(&cc.Event{Now: 2 * time.Second, Cause: c.cause, InFlight: 30_000})
		if b.inflightLong != c.long || b.full != c.full || b.mode != c.after {
			t.Errorf("%s: bound %d, full %v, mode %d", c.name, b.inflightLong, b.full, b.mode)
		}

		// Losses before and after it that turn out to be none take nothing back of what the mark has done.
		if c.cause != cc.ByECN {
			continue
		}
		d := *b
		if d.Undo(0); d.full != c.full || d.mode != c.after {
			t.Errorf("%s, undone: full %v, mode %d", c.name, d.full, d.mode)
		}
		b.Lost(cc.LostSegment{Bytes: 1000, InFlight: 30_000, Lost: 1000, SACK: true})
		if b.Undo(0); b.inflightLong != c.long || b.full != c.full || b.mode != c.after {
			t.Errorf("%s, losses undone: bound %d, full %v, mode %d", c.name, b.inflightLong, b.full, b.mode)
		}
	}
}

// The window of a new connection follows a smaller MSS, and what is counted in segments, too.
func TestBBR3SetMSS(t *testing.T) {
	b := new(BBR3)
	b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS})
	b.SetMSS(500)
	if b.cwnd != 5000 || b.mss != 500 || b.bdp(0, 1) != cc.InitialWindow(500) {
		t.Errorf("window %d, MSS %d, initial %d", b.cwnd, b.mss, b.initial)
	}
}

// A controller that is taken up later begins with what is known.
func TestBBR3Start(t *testing.T) {
	b := steadyBBR3()
	b.Start(cc.Start{Now: time.Minute, MSS: testMSS, CWnd: 90_000, SRTT: 30 * ms, MinRTT: 20 * ms})
	if b.mode != bbr3Startup || b.full || b.cwnd != 90_000 || b.minRTT != 20*ms || b.SSThresh() != cc.MaxWindow || !b.OwnsRecovery() {
		t.Errorf("%+v", b)
	}
	// ProbeRTT is not due.
	if b.updateMinRTT(&cc.Ack{Now: time.Minute + 5*time.Second, RTT: 30 * ms}); b.mode != bbr3Startup || b.minRTT != 20*ms {
		t.Errorf("mode %d, min_rtt %v", b.mode, b.minRTT)
	}
	// Nor does the first acknowledgment look like one of many seconds.
	if b.acked(&cc.Ack{Now: time.Minute + ms, Delivered: 5000}, 1_000_000, 90_000, false, 5); b.aggStart != time.Minute+ms {
		t.Errorf("aggregation since %v", b.aggStart)
	}
}

// struct tcp_bbr_info of linux/inet_diag.h.
func TestBBR3Info(t *testing.T) {
	type info struct {
		BW                         uint64
		MinRTT, PacingGain, CwGain uint32
	}
	probing := steadyBBR3()
	probing.mode, probing.bwShort = bbr3Up, 900_000
	for _, c := range []struct {
		name string
		b    *BBR3
		want info
	}{
		{"not begun", new(BBR3), info{}},
		{"probing", probing, info{900_000, 20_000, 320, 576}},
	} {
		p := c.b.AppendInfo(nil)
		var got info
		if n, err := binary.Decode(p, binary.NativeEndian, &got); err != nil || n != len(p) || got != c.want {
			t.Errorf("%s: %+v, want %+v (%d of %d bytes, %v)", c.name, got, c.want, n, len(p), err)
		}
	}
	if got := fmt.Sprint(Names()); got != "[cubic reno bbr bbr3]" {
		t.Errorf("controllers %s", got)
	}
}
