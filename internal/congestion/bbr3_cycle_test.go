package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

// CheckFullBWReached: three rounds in a row without a quarter more. In Startup rounds that the
// window did not bound do not count, and limited samples never do.
func TestBBR3FullPipe(t *testing.T) {
	type ack struct {
		bw      uint64
		start   bool
		limited bool
	}
	rounds := func(bw ...uint64) (out []ack) {
		for _, bw := range bw {
			out = append(out, ack{bw: bw, start: true})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		acks   []ack
		filled bool
	}{
		{"one round", rounds(1000), false},
		{"two rounds without growth", rounds(1000, 1000, 1000), false},
		{"three", rounds(1000, 1000, 1000, 1000), true},
		{"less than a quarter each", rounds(1000, 1100, 1200, 1249), true},
		{"a quarter in three rounds", rounds(1000, 1100, 1200, 1250), false},
		{"growth begins the count anew", rounds(1000, 1000, 1000, 1250, 1250, 1250), false},
		{"a quarter each", rounds(1000, 1250, 1563, 1954, 2443), false},
		{"within a round", []ack{{1000, true, false}, {900, false, false}, {900, false, false}, {900, false, false}, {900, false, false}}, false},
		{"growth within a round", []ack{{1000, true, false}, {1000, true, false}, {1000, true, false}, {1300, false, false}, {1000, true, false}}, false},
		{"limited", []ack{{1000, true, false}, {900, true, true}, {900, true, true}, {900, true, true}}, false},
		{"growth of a limited sender", []ack{{1000, true, false}, {2000, true, true}, {1000, true, false}, {1000, true, false}, {1000, true, false}}, true},
	} {
		b := new(BBR3)
		b.Start(cc.Start{MSS: testMSS, CWnd: 10 * testMSS})
		for _, a := range c.acks {
			b.roundStart = a.start
			b.checkFull(&cc.Ack{CWndLimited: true, Rate: cc.Sample{Delivered: a.bw, Interval: time.Second, AppLimited: a.limited}})
		}
		if b.full != c.filled || b.fullNow != c.filled {
			t.Errorf("%s: full %v, %v", c.name, b.full, b.fullNow)
		}
	}

	for full, want := range map[bool]bool{true: true, false: false} {
		b := steadyBBR3()
		b.full, b.roundStart = full, true
		for range 4 {
			b.checkFull(&cc.Ack{Rate: cc.Sample{Delivered: 20_000, Interval: 20 * ms}})
		}
		if b.fullNow != want {
			t.Errorf("three rounds that the window did not bound, full before %v: %v", full, b.fullNow)
		}
		// Once it is found it stays.
		b.checkFull(&cc.Ack{Rate: cc.Sample{Delivered: 90_000, Interval: 20 * ms}})
		if b.fullNow != want {
			t.Errorf("a better sample after the plateau was found: %v", b.fullNow)
		}
	}

	b := steadyBBR3()
	b.limited, b.roundStart, b.fullCount = 300_000, true, 2
	if b.checkFull(&cc.Ack{Rate: cc.Sample{Delivered: 2000, Interval: 20 * ms, PriorDelivered: 299_999}}); b.fullNow {
		t.Error("what ProbeRTT sends looks like a plateau")
	}
	if b.checkFull(&cc.Ack{Rate: cc.Sample{PriorDelivered: 300_000}}); b.fullNow {
		t.Error("no sample looks like a plateau")
	}
}

// CheckStartupDone and CheckStartupHighLoss: a plateau, or a round trip of recovery with more than two
// per cent and six pieces of the stream lost; any loss of one, without SACK.
func TestBBR3StartupEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		full   bool
		start  bool
		state  cc.State
		losses bool
		ranges uint8
		noSACK bool
		lost   uint64
		ends   bool
		undo   bbr3Mode
	}{
		{"plateau", true, false, cc.Open, false, 0, false, 0, true, bbr3None},
		{"nothing", false, true, cc.Open, false, 0, false, 0, false, bbr3None},
		{"loss", false, true, cc.Recovery, true, 6, false, 1001, true, bbr3Startup},
		{"two per cent", false, true, cc.Recovery, true, 6, false, 1000, false, bbr3None},
		{"few pieces", false, true, cc.Recovery, true, 5, false, 9000, false, bbr3None},
		{"not in recovery", false, true, cc.Loss, true, 6, false, 9000, false, bbr3None},
		{"within the round", false, false, cc.Recovery, true, 6, false, 9000, false, bbr3None},
		{"of a round before", false, true, cc.Recovery, false, 6, false, 9000, false, bbr3None},
		{"without SACK", false, true, cc.Recovery, true, 1, true, 1, true, bbr3Startup},
		{"without SACK, nothing lost", false, true, cc.Recovery, true, 0, true, 0, false, bbr3None},
		{"loss at a plateau", true, true, cc.Recovery, true, 6, false, 9000, true, bbr3None},
	} {
		b := steadyBBR3()
		b.mode, b.full, b.round = bbr3Startup, c.full, 7
		b.lossRoundStart, b.lossInRound, b.lossRanges, b.noSACK, b.inflightLatest = c.start, c.losses, c.ranges, c.noSACK, 24_000
		b.checkStartup(&cc.Ack{State: c.state, Rate: cc.Sample{Lost: c.lost, InFlight: 50_000}})
		mode, long := bbr3Startup, bbr3NoVolume
		if c.ends {
			mode = bbr3Drain
		}
		if c.undo == bbr3Startup {
			long = 24_000
		}
		if b.mode != mode || b.full != c.ends || b.undoTo != c.undo || b.inflightLong != long || c.ends && b.drainRound != 7 {
			t.Errorf("%s: mode %d, full %v, undo to %d, bound %d, since round %d", c.name, b.mode, b.full, b.undoTo, b.inflightLong, b.drainRound)
		}
	}

	// What little was delivered does not make the bound less than the BDP.
	b := steadyBBR3()
	b.inflightLatest = 3000
	if b.fullByCongestion(); b.inflightLong != 20_000 {
		t.Errorf("the bound is %d", b.inflightLong)
	}
	// Not Startup: loss does not make it Drain.
	if b.checkStartup(&cc.Ack{State: cc.Recovery}); b.mode != bbr3Cruise {
		t.Errorf("mode %d", b.mode)
	}
}

// CheckDrainDone: the BDP, or more than three rounds.
func TestBBR3Drain(t *testing.T) {
	for _, c := range []struct {
		mode     bbr3Mode
		inFlight uint32
		rounds   uint32
		want     bbr3Mode
	}{
		{bbr3Drain, 20_001, 3, bbr3Drain},
		{bbr3Drain, 20_000, 0, bbr3Down},
		{bbr3Drain, 90_000, 4, bbr3Down},
		{bbr3Up, 1000, 9, bbr3Up},
	} {
		b := steadyBBR3()
		b.mode, b.drainRound, b.round = c.mode, 5, 5+c.rounds
		if b.checkDrain(&cc.Ack{Now: 3 * time.Second, InFlight: c.inFlight}); b.mode != c.want {
			t.Errorf("%d in flight after %d rounds: mode %d, want %d", c.inFlight, c.rounds, b.mode, c.want)
		}
		if b.mode == bbr3Down && b.cycleStart != 3*time.Second {
			t.Errorf("the cycle begins at %v", b.cycleStart)
		}
	}
}

// PickProbeWait: two to three seconds, and no or one round trip, at random.
func TestBBR3ProbeWait(t *testing.T) {
	const flows = 8000
	var tenths [10]int
	ones := uint32(0)
	b := steadyBBR3()
	for i := range flows {
		b.startDown(time.Second + time.Duration(i)*137*time.Microsecond)
		if b.probeWait < 2*time.Second || b.probeWait >= 3*time.Second || b.sinceProbe > 1 {
			t.Fatalf("%v, %d rounds", b.probeWait, b.sinceProbe)
		}
		tenths[(b.probeWait-2*time.Second)/(100*ms)]++
		ones += b.sinceProbe
	}
	for i, n := range tenths {
		if n < flows/10*8/10 || n > flows/10*12/10 {
			t.Errorf("tenth %d of the second: %d of %d", i, n, flows)
		}
	}
	if ones < flows*4/10 || ones > flows*6/10 {
		t.Errorf("a round trip less in %d of %d", ones, flows)
	}
}

// StartProbeBW_DOWN, _REFILL and _UP.
func TestBBR3Phases(t *testing.T) {
	b := steadyBBR3()
	b.lossInRound, b.bwLatest, b.inflightLatest, b.upPerStep = true, 9, 9, 9
	b.delivered = 300_000
	b.startDown(2 * time.Second)
	if b.mode != bbr3Down || b.lossInRound || b.bwLatest != 0 || b.inflightLatest != 0 || b.upPerStep != bbr3NoVolume ||
		b.cycleStart != 2*time.Second || b.acks != bbr3AcksStopping || b.nextRound != 300_000 {
		t.Errorf("down: %+v", b)
	}
	b.bwShort, b.inflightShort, b.upRounds, b.upAcked, b.precautionary = 1, 2, 3, 4, true
	b.delivered = 400_000
	b.startRefill()
	if b.mode != bbr3Refill || b.bwShort != bbr3NoRate || b.inflightShort != bbr3NoVolume || b.upRounds != 0 || b.upAcked != 0 ||
		b.precautionary || b.acks != bbr3AcksRefill || b.nextRound != 400_000 {
		t.Errorf("refill: %+v", b)
	}
	b.fullNow, b.fullCount, b.delivered = true, 2, 500_000
	b.startUp(&cc.Ack{Rate: cc.Sample{Delivered: 18_000, Interval: 20 * ms}})
	if b.mode != bbr3Up || b.fullNow || b.fullCount != 0 || b.fullBW != 900_000 || !b.probeSample || b.acks != bbr3AcksStarting ||
		b.nextRound != 500_000 || b.upRounds != 1 || b.upPerStep != 40_000 {
		t.Errorf("up: %+v", b)
	}
}

// UpdateProbeBWCyclePhase: what leads from phase to phase.
func TestBBR3Cycle(t *testing.T) {
	for _, c := range []struct {
		name     string
		mode     bbr3Mode
		now      time.Duration // since the cycle began
		inFlight uint32
		start    bool
		fullNow  bool
		tooHigh  bool
		want     bbr3Mode
	}{
		{"drains", bbr3Down, 100 * ms, 20_001, false, false, false, bbr3Down},
		{"drained", bbr3Down, 100 * ms, 20_000, false, false, false, bbr3Cruise},
		{"drains for long", bbr3Down, 2500*ms + 1, 30_000, false, false, false, bbr3Refill},
		{"cruises", bbr3Cruise, 2500 * ms, 20_000, false, false, false, bbr3Cruise},
		{"time to probe", bbr3Cruise, 2500*ms + 1, 20_000, false, false, false, bbr3Refill},
		{"fills", bbr3Refill, 3 * time.Second, 20_000, false, false, false, bbr3Refill},
		{"filled", bbr3Refill, 3 * time.Second, 20_000, true, false, false, bbr3Up},
		{"probes", bbr3Up, 9 * time.Second, 25_000, true, false, true, bbr3Up},
		{"plateau", bbr3Up, 9 * time.Second, 25_000, false, true, true, bbr3Down},
		{"another mode", bbr3ProbeRTT, 9 * time.Second, 1000, true, true, false, bbr3ProbeRTT},
		{"another mode", bbr3Drain, 9 * time.Second, 1000, true, true, false, bbr3Drain},
	} {
		b := steadyBBR3()
		b.mode, b.roundStart, b.fullNow, b.tooHigh = c.mode, c.start, c.fullNow, c.tooHigh
		a := bbr3Ack()
		a.Now, a.InFlight = time.Second+c.now, c.inFlight
		if b.updateCycle(a); b.mode != c.want {
			t.Errorf("%s: mode %d, want %d", c.name, b.mode, c.want)
		}
		if c.mode == bbr3Up && b.tooHigh == (c.want == bbr3Down) {
			t.Errorf("%s: too high %v", c.name, b.tooHigh)
		}
	}

	// Ack does so once the pipe is known to be full, and where something was delivered.
	for _, c := range []struct {
		full      bool
		delivered uint32
		want      bbr3Mode
	}{{true, 1000, bbr3Refill}, {false, 1000, bbr3Cruise}, {true, 0, bbr3Cruise}} {
		b := steadyBBR3()
		b.full = c.full
		a := bbr3Ack()
		a.Now, a.Delivered = 4*time.Second, c.delivered
		if b.Ack(a); b.mode != c.want {
			t.Errorf("%+v: mode %d", c, b.mode)
		}
	}
}

// IsRenoCoexistenceProbeTime: as many round trips as there are segments in the target, 63 at most.
func TestBBR3RenoRounds(t *testing.T) {
	for _, c := range []struct {
		bw     uint64
		cwnd   uint32
		rounds uint32
		want   bool
	}{
		{1_000_000, 40_000, 19, false}, {1_000_000, 40_000, 20, true},
		{1_000_000, 12_999, 11, false}, {1_000_000, 12_999, 12, true},
		{9_000_000, 400_000, 62, false}, {9_000_000, 400_000, 63, true},
	} {
		b := steadyBBR3()
		b.maxBW[1], b.cwnd, b.sinceProbe = c.bw, c.cwnd, c.rounds
		got := b.checkProbeTime(time.Second)
		if got != c.want || (b.mode == bbr3Refill) != c.want {
			t.Errorf("%d rounds at %d bytes a second, window %d: %v, mode %d", c.rounds, c.bw, c.cwnd, got, b.mode)
		}
	}
}

// IsTimeToCruise and InflightWithHeadroom.
func TestBBR3Cruise(t *testing.T) {
	for _, c := range []struct {
		long, room uint32
		inFlight   uint32
		want       bool
	}{
		{bbr3NoVolume, bbr3NoVolume, 20_000, true},
		{bbr3NoVolume, bbr3NoVolume, 20_001, false},
		{20_000, 17_000, 17_000, true},
		{20_000, 17_000, 17_001, false},
		{6000, 5000, 5000, true}, // a segment at least
		{4500, 4000, 4000, true}, // four segments are left
		{500, 4000, 4001, false},
		{90_000, 76_500, 20_001, false},
	} {
		b := steadyBBR3()
		b.inflightLong = c.long
		b.bwShort = 100_000 // does not count
		if got := b.isTimeToCruise(&cc.Ack{InFlight: c.inFlight}); got != c.want || b.withHeadroom() != c.room {
			t.Errorf("%d in flight, bound %d: %v, room to %d", c.inFlight, c.long, got, b.withHeadroom())
		}
	}
}

// IsTimeToGoDown.
func TestBBR3GoDown(t *testing.T) {
	for _, c := range []struct {
		name          string
		tooHigh       bool
		long          uint32
		inFlight      uint32
		windowFull    bool
		fullNow       bool
		want          bool
		precautionary bool
		bw            uint64
	}{
		{"probes", false, bbr3NoVolume, 25_000, true, false, false, false, 1_000_000},
		{"plateau", false, bbr3NoVolume, 25_000, true, true, true, false, 1_000_000},
		{"careful, not there", true, 30_000, 29_999, false, false, false, false, 1_000_000},
		{"careful", true, 30_000, 30_000, false, false, true, true, 1_000_000},
		{"not careful any more", false, 30_000, 30_000, false, false, false, false, 1_000_000},
		{"held back by the bound", false, 40_000, 30_000, true, true, false, false, 900_000},
		{"the window is not full", false, 40_000, 30_000, false, true, true, false, 1_000_000},
		{"the window is below the bound", false, 40_001, 30_000, true, true, true, false, 1_000_000},
	} {
		b := steadyBBR3()
		b.mode, b.tooHigh, b.inflightLong, b.fullNow = bbr3Up, c.tooHigh, c.long, c.fullNow
		a := &cc.Ack{InFlight: c.inFlight, CWndFull: c.windowFull, CWndLimited: true, Rate: cc.Sample{Delivered: 18_000, Interval: 20 * ms}}
		if got := b.isTimeToGoDown(a); got != c.want || b.precautionary != c.precautionary || b.fullBW != c.bw {
			t.Errorf("%s: %v, careful %v, plateau %d", c.name, got, b.precautionary, b.fullBW)
		}
	}
}

// AdaptLongTermModel: how acknowledgments of the probe follow it.
func TestBBR3LongTerm(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    bbr3Mode
		acks    bbr3Acks
		start   bool
		limited bool
		careful bool
		tooHigh bool
		after   bbr3Acks
		sample  bool
		advance bool
		refill  bool
	}{
		{"feedback comes", bbr3Up, bbr3AcksStarting, true, false, false, false, bbr3AcksFeedback, true, false, false},
		{"not yet", bbr3Up, bbr3AcksStarting, false, false, false, false, bbr3AcksStarting, true, false, false},
		{"stops", bbr3Down, bbr3AcksStopping, true, false, false, false, bbr3AcksInit, false, true, false},
		{"stops later", bbr3Down, bbr3AcksStopping, false, false, false, false, bbr3AcksStopping, true, false, false},
		{"stops, limited", bbr3Down, bbr3AcksStopping, true, true, false, false, bbr3AcksInit, false, false, false},
		{"stops in ProbeRTT", bbr3ProbeRTT, bbr3AcksStopping, true, false, true, false, bbr3AcksInit, false, false, false},
		{"stops after a careful probe", bbr3Down, bbr3AcksStopping, true, false, true, false, bbr3AcksRefill, false, true, true},
		{"stops after one that was too much", bbr3Down, bbr3AcksStopping, true, false, true, true, bbr3AcksInit, false, true, false},
		{"of no probe", bbr3Cruise, bbr3AcksInit, true, false, true, false, bbr3AcksInit, true, false, false},
	} {
		b := steadyBBR3()
		b.mode, b.acks, b.roundStart, b.probeSample = c.mode, c.acks, c.start, true
		b.precautionary, b.tooHigh = c.careful, c.tooHigh
		a := bbr3Ack()
		a.Rate.AppLimited = c.limited
		if got := b.adaptLongTerm(a); got != c.refill || (b.mode == bbr3Refill) != c.refill {
			t.Errorf("%s: %v, mode %d", c.name, got, b.mode)
		}
		if b.acks != c.after || b.probeSample != c.sample || (b.maxBW[1] == 0) != c.advance {
			t.Errorf("%s: phase %d, samples %v, filter %v", c.name, b.acks, b.probeSample, b.maxBW)
		}
	}

	// The bound rises to what was in flight without too much loss, whatever the phase.
	for _, c := range []struct {
		long     uint32
		inFlight uint32
		lost     uint64
		want     uint32
	}{
		{30_000, 40_000, 800, 40_000}, {30_000, 40_000, 801, 30_000}, {50_000, 40_000, 0, 50_000}, {bbr3NoVolume, 40_000, 0, bbr3NoVolume},
	} {
		b := steadyBBR3()
		b.inflightLong = c.long
		a := bbr3Ack()
		a.Rate.InFlight, a.Rate.Lost = c.inFlight, c.lost
		if b.adaptLongTerm(a) || b.inflightLong != c.want {
			t.Errorf("%+v: bound %d", c, b.inflightLong)
		}
	}
}

// ProbeInflightLongtermUpward and RaiseInflightLongtermSlope: 1, 2, 4 ... segments in the round trips
// of the probe, if the bound is what holds the sender back.
func TestBBR3Upward(t *testing.T) {
	b := steadyBBR3()
	b.mode, b.inflightLong, b.cwnd = bbr3Up, 40_000, 40_000
	b.raiseSlope()
	grown := uint32(40_000)
	for round := range 4 {
		for i := range 40 {
			b.roundStart = i == 0 && round > 0
			a := bbr3Ack()
			a.CWndFull = true
			b.adaptLongTerm(a)
			b.cwnd = 40_000
			b.inflightLong, grown = 40_000, grown+b.inflightLong-40_000
		}
		// The first acknowledgment of a round trip counts by the slope of the last one.
		if want := []uint32{41_000, 43_000, 47_000, 55_000}[round]; grown < want-1000 || grown > want {
			t.Errorf("after round %d: %d, want %d", round, grown, want)
		}
	}

	for _, c := range []struct {
		name      string
		mode      bbr3Mode
		full      bool
		cwnd      uint32
		delivered uint32
		acked     uint32 // before
		want      uint32
		left      uint32
	}{
		{"a step", bbr3Up, true, 40_000, 2000, 8000, 41_000, 0},
		{"not yet", bbr3Up, true, 40_000, 1000, 8000, 40_000, 9000},
		{"two steps", bbr3Up, true, 40_000, 15_000, 8000, 42_000, 3000},
		{"the window is not full", bbr3Up, false, 40_000, 2000, 8000, 40_000, 8000},
		{"the window is below the bound", bbr3Up, true, 39_999, 2000, 8000, 40_000, 8000},
		{"not probing", bbr3Cruise, true, 40_000, 2000, 8000, 40_000, 8000},
	} {
		b := steadyBBR3()
		b.mode, b.inflightLong, b.cwnd, b.upAcked, b.upPerStep = c.mode, 40_000, c.cwnd, c.acked, 10_000
		a := bbr3Ack()
		a.CWndFull, a.Delivered = c.full, c.delivered
		b.adaptLongTerm(a)
		if b.inflightLong != c.want || b.upAcked != c.left {
			t.Errorf("%s: bound %d, %d left, want %d, %d", c.name, b.inflightLong, b.upAcked, c.want, c.left)
		}
	}

	// A segment for each segment at most, and no more doublings than make sense.
	b = steadyBBR3()
	for range 40 {
		b.raiseSlope()
	}
	if b.upPerStep != testMSS || b.upRounds != 30 {
		t.Errorf("a segment for %d bytes after %d doublings", b.upPerStep, b.upRounds)
	}
	b.inflightLong, b.cwnd, b.upAcked, b.upPerStep = cc.MaxWindow-500, cc.MaxWindow, 0, testMSS
	a := bbr3Ack()
	a.CWndFull = true
	if b.probeUpward(a); b.inflightLong != cc.MaxWindow {
		t.Errorf("the bound grows to %d", b.inflightLong)
	}
}

// UpdateMinRTT: the least round-trip time of ten seconds; every five ProbeRTT begins, if none lower
// was seen since, unless the sender comes from idleness.
func TestBBR3MinRTT(t *testing.T) {
	const at = time.Second
	for _, c := range []struct {
		name  string
		after time.Duration
		rtt   time.Duration
		idle  bool
		old   bool // min_rtt is ten seconds old
		want  time.Duration
		least time.Duration // since ProbeRTT
		fresh bool
		mode  bbr3Mode
	}{
		{"lower", ms, 19 * ms, false, false, 19 * ms, 19 * ms, true, bbr3Cruise},
		{"equal does not renew", ms, 20 * ms, false, false, 20 * ms, 20 * ms, false, bbr3Cruise},
		{"higher", ms, 21 * ms, false, false, 20 * ms, 20 * ms, false, bbr3Cruise},
		{"higher after five seconds", 5 * time.Second, 21 * ms, false, false, 20 * ms, 20 * ms, false, bbr3Cruise},
		{"higher later", 5*time.Second + 1, 21 * ms, false, false, 20 * ms, 21 * ms, true, bbr3ProbeRTT},
		{"equal later", 5*time.Second + 1, 20 * ms, false, false, 20 * ms, 20 * ms, true, bbr3ProbeRTT},
		{"lower later", 5*time.Second + 1, 18 * ms, false, false, 18 * ms, 18 * ms, true, bbr3ProbeRTT},
		{"no sample", 5*time.Second + 1, 0, false, false, 20 * ms, 20 * ms, false, bbr3ProbeRTT},
		{"after idleness", 5*time.Second + 1, 21 * ms, true, false, 20 * ms, 21 * ms, true, bbr3Cruise},
		{"higher after ten seconds", 5*time.Second + 1, 21 * ms, false, true, 21 * ms, 21 * ms, true, bbr3ProbeRTT},
	} {
		b := steadyBBR3()
		b.minRTTAt, b.probeRTTAt, b.prior = at, at, 9000
		b.delivered = 210_000
		if c.old {
			b.minRTTAt = at + c.after - 10*time.Second - 1
		}
		if c.idle {
			b.Sent(at+c.after-20*ms, 0, testMSS)
		}
		b.updateMinRTT(&cc.Ack{Now: at + c.after, RTT: c.rtt, Delivered: 1000, InFlight: 40_000})
		if b.minRTT != c.want || b.probeRTT != c.least || (b.probeRTTAt == at+c.after) != c.fresh || b.mode != c.mode {
			t.Errorf("%s: min_rtt %v, least %v of %v, mode %d", c.name, b.minRTT, b.probeRTT, b.probeRTTAt, b.mode)
		}
		if b.minRTT == b.probeRTT && b.minRTTAt != b.probeRTTAt {
			t.Errorf("%s: min_rtt is of %v, the least of %v", c.name, b.minRTTAt, b.probeRTTAt)
		}
		if b.mode == bbr3ProbeRTT && (b.prior != 40_000 || b.probeRTTWindow != 10_000 || b.acks != bbr3AcksStopping || b.nextRound != b.delivered) {
			t.Errorf("%s: ProbeRTT with a window of %d, after it %d", c.name, b.probeRTTWindow, b.prior)
		}
	}

	// Ten seconds to the point.
	b := steadyBBR3()
	b.minRTTAt, b.probeRTTAt, b.probeRTT = 0, 9*time.Second, 25*ms
	if b.updateMinRTT(&cc.Ack{Now: 10 * time.Second, RTT: 30 * ms}); b.minRTT != 20*ms {
		t.Errorf("min_rtt %v after ten seconds", b.minRTT)
	}
	if b.updateMinRTT(&cc.Ack{Now: 10*time.Second + 1, RTT: 30 * ms}); b.minRTT != 25*ms || b.minRTTAt != 9*time.Second {
		t.Errorf("min_rtt %v of %v later", b.minRTT, b.minRTTAt)
	}

	// The first sample, and none at all.
	b.Start(cc.Start{MSS: testMSS, CWnd: 10_000})
	if b.updateMinRTT(&cc.Ack{Now: ms}); b.minRTT != 0 || b.minRTTAt != 0 {
		t.Errorf("min_rtt %v of %v without a sample", b.minRTT, b.minRTTAt)
	}
	if b.updateMinRTT(&cc.Ack{Now: 2 * ms, RTT: 30 * ms}); b.minRTT != 30*ms || b.probeRTTAt != 2*ms {
		t.Errorf("min_rtt %v", b.minRTT)
	}

	// A window of four segments at least.
	b = steadyBBR3()
	b.maxBW[1] = 100_000
	if b.enterProbeRTT(); b.probeRTTWindow != 4000 {
		t.Errorf("ProbeRTT with a window of %d", b.probeRTTWindow)
	}
}

// CheckProbeRTT: once half of the BDP is in flight, for 200 ms and a round trip; then the sender does
// what it did before, with the window it had and without short-term bounds.
func TestBBR3ProbeRTTSteps(t *testing.T) {
	for full, after := range map[bool]bbr3Mode{true: bbr3Cruise, false: bbr3Startup} {
		b := steadyBBR3()
		b.full, b.probeRTTRound = full, true // as the last time left it
		b.probeRTTDone, b.bwShort, b.inflightShort = ms, 900_000, 39_000
		start := 7 * time.Second
		b.prior, b.cycleStart = 40_000, start
		for _, c := range []struct {
			name         string
			at           time.Duration
			inFlight     uint32
			prior, total uint64
		}{
			{"begins", 0, 40_000, 180_000, 220_000},
			{"more than half of the BDP", 10 * ms, 9001, 190_000, 230_000},
			{"half of the BDP", 20 * ms, 9000, 219_999, 240_000},
			{"sent before that", 221 * ms, 9000, 239_999, 243_000},
		} {
			b.Ack(probeAck(start+c.at, c.inFlight, c.prior, c.total))
			if b.mode != bbr3ProbeRTT || b.cwnd != 9000 {
				t.Fatalf("%s: mode %d, window %d", c.name, b.mode, b.cwnd)
			}
			if want := c.total + uint64(c.inFlight); b.limited != want {
				t.Errorf("%s: samples count from %d on, want %d", c.name, b.limited, want)
			}
		}

		early := *b
		early.Ack(probeAck(start+220*ms, 9000, 240_000, 244_000))
		if early.mode != bbr3ProbeRTT {
			t.Error("ProbeRTT ended at 200 ms, not after")
		}
		early.Ack(probeAck(start+221*ms, 9000, 243_500, 245_000))
		if early.mode != after {
			t.Error("the round trip that was complete before the 200 ms did not count")
		}

		late := start + 222*ms
		b.Ack(probeAck(late, 9000, 240_000, 244_000))
		if b.mode != after || b.probeRTTAt != late || b.cwnd < 40_000 || b.bwShort != bbr3NoRate || b.inflightShort != bbr3NoVolume {
			t.Errorf("full %v: mode %d, due since %v, window %d, bounds %d and %d", full, b.mode, b.probeRTTAt, b.cwnd, b.bwShort, b.inflightShort)
		}
		if full && b.cycleStart != late {
			t.Errorf("the next probe is counted from %v", b.cycleStart)
		}
	}
}
