package congestion

import (
	"time"

	"usock/cc"
)

// The constants of the draft; gains are of the pacing rate, if they do not say window.
const (
	bbr3StartupGain    = 2.77 // 4 ln 2: doubles the rate every round trip
	bbr3DrainGain      = 0.5
	bbr3DownGain       = 0.9
	bbr3UpGain         = 1.25
	bbr3WindowGain     = 2
	bbr3UpWindowGain   = 2.25
	bbr3ProbeRTTGain   = 0.5  // of the window
	bbr3LossThresh     = 0.02 // LossThresh: what may be lost in a round trip
	bbr3Beta           = 0.7  // how much one round trip with loss takes away at most
	bbr3Headroom       = 0.15 // of inflight_longterm, for other flows
	bbr3FullLosses     = 6    // StartupFullLossCnt
	bbr3DrainRounds    = 3
	bbr3RTTFilter      = 10 * time.Second // MinRTTFilterLen
	bbr3ProbeRTTEvery  = 5 * time.Second  // ProbeRTTInterval
	bbr3ProbeWait      = 2 * time.Second  // between probes for bandwidth, and up to
	bbr3ProbeSpread    = time.Second      // so much more
	bbr3RenoRounds     = 63               // nor longer than so many round trips
	bbr3NoRate         = ^uint64(0)       // a rate without bound
	bbr3NoVolume       = ^uint32(0)       // a volume without bound
	bbr3MostGrowth     = 30               // doublings of the growth of inflight_longterm
	bbr3StartupExtra   = 1                // rounds of a slot of extra_acked in Startup
	bbr3MostLossRanges = 255
)

// bbr3Mode is the state of the draft's section "State Machine".
type bbr3Mode uint8

const (
	bbr3Startup bbr3Mode = iota
	bbr3Drain
	bbr3Down
	bbr3Cruise
	bbr3Refill
	bbr3Up
	bbr3ProbeRTT
	bbr3None // undoTo: no state to go back to
)

// probesBW says that the mode is one of ProbeBW's.
func (m bbr3Mode) probesBW() bool { return m >= bbr3Down && m <= bbr3Up }

// accelerates says that the mode seeks bandwidth, so that loss is no news (IsProbingBW).
func (m bbr3Mode) accelerates() bool { return m == bbr3Startup || m == bbr3Refill || m == bbr3Up }

// bbr3Acks is which acknowledgments come now: ack_phase.
type bbr3Acks uint8

const (
	bbr3AcksInit     bbr3Acks = iota
	bbr3AcksRefill            // of what Refill sends
	bbr3AcksStarting          // not yet of what Up sends
	bbr3AcksFeedback          // of what Up sent
	bbr3AcksStopping          // still of what Up sent
)

// BBR3 is version 3 of BBR: draft-ietf-ccwg-bbr. Like version 1 it paces at the bandwidth found,
// but it takes losses above two per cent for a full queue, shares with Reno and CUBIC by probing
// as seldom as they, and leaves room.
//
// Two pairs of bounds make the model: what the path has shown to carry over the last two cycles
// of probing (maxBW, inflightLong), and what it has carried since loss was seen in this one
// (bwShort, inflightShort). Refill drops the second pair, so that each probe starts from the
// first.
//
// Where the draft leaves open or differs from Linux's version 3:
//   - ProbeRTT is sought every five seconds and the round-trip time is forgotten after ten, as in
//     Linux and revisions up to 05; its window is fixed when it begins, as in later revisions.
//   - A better sample counts against the plateau on any acknowledgment (Linux), and not only on
//     the first of a round trip.
//   - A round trip that the receive window held back does not end Startup, as in version 1.
//   - A mark of ECN (RFC 3168) is a loss in its round trip. In Startup and while the path is
//     probed it is one that is too much at once, since marks do not tell how many there were.
//   - What is saved for undo is saved when an episode of loss begins, not in each round trip, and
//     a mark is not undone.
//   - After a timeout the short-term volume is of the window before it (Linux), and not of the few
//     segments that are left.
//
// It needs a core that paces, that fills in Ack.Rate and that calls Lost.
type BBR3 struct {
	bbrCommon

	inFlight  uint32
	delivered uint64 // C.delivered

	// Rates in bytes a second.
	maxBW    [2]uint64 // max_bw_filter: of the last cycle and of this
	bwShort  uint64    // bw_shortterm
	bwLatest uint64    // bw_latest: of this round trip
	fullBW   uint64    // full_bw: the plateau under observation

	// Volumes in bytes.
	inflightLong   uint32 // inflight_longterm
	inflightShort  uint32 // inflight_shortterm
	inflightLatest uint32 // inflight_latest: of this round trip
	probeRTTWindow uint32 // probe_rtt_cwnd
	upAcked        uint32 // bw_probe_up_acked
	upPerStep      uint32 // probe_up_acked_per_inc: bytes acknowledged for a segment of growth

	nextRound    uint64 // next_round_delivered
	lossRoundEnd uint64 // loss_round_delivered
	lossEnd      uint64 // stream offset behind the last segment lost
	round        uint32 // round_count
	drainRound   uint32 // drain_start_round
	sinceProbe   uint32 // rounds_since_probe_up

	cycleStart   time.Duration // cycle_stamp
	probeWait    time.Duration // bw_probe_wait
	minRTT       time.Duration // 0: unknown
	minRTTAt     time.Duration
	probeRTT     time.Duration // probe_rtt_min_delay: the least since the last ProbeRTT
	probeRTTAt   time.Duration
	probeRTTDone time.Duration // probe_rtt_done_stamp; 0: not set

	mode       bbr3Mode
	acks       bbr3Acks
	fullCount  uint8
	lossRanges uint8 // pieces of the stream lost in this round trip
	upRounds   uint8 // bw_probe_up_rounds

	roundStart, lossRoundStart bool
	lossInRound                bool
	full                       bool // full_bw_reached
	fullNow                    bool // full_bw_now
	probeSample                bool // is_bw_probe_sample
	tooHigh                    bool // prev_probe_too_high
	precautionary              bool // prev_probe_precautionary
	idleRestart                bool
	probeRTTRound              bool // probe_rtt_round_done
	noSACK                     bool // one loss a round trip is all that shows

	// For Undo.
	episode   bool // losses are under repair, and what was before is saved
	undoTo    bbr3Mode
	undoBW    uint64
	undoShort uint32
	undoLong  uint32
}

// Name implements Controller. Linux's module of version 3 calls itself "bbr", as the mainline's
// of version 1 does; here both stand side by side.
func (*BBR3) Name() string { return "bbr3" }

// Start implements Controller.
func (b *BBR3) Start(s cc.Start) {
	*b = BBR3{
		bbrCommon: newBBRCommon(&s, bbr3StartupGain),
		minRTT:    s.MinRTT, minRTTAt: s.Now, probeRTT: s.MinRTT, probeRTTAt: s.Now,
		bwShort: bbr3NoRate, inflightLong: bbr3NoVolume, inflightShort: bbr3NoVolume,
		upPerStep: bbr3NoVolume, undoTo: bbr3None,
	}
}

// Sent implements Controller: HandleRestartFromIdle. Nothing in flight after a timeout is no
// idleness.
func (b *BBR3) Sent(now time.Duration, inFlight, bytes uint32) {
	b.inFlight = add(inFlight, bytes)
	if inFlight != 0 || b.state >= cc.Recovery {
		return
	}

	// The path's queue is empty: the bandwidth itself fills the pipe without making one, and
	// idleness was as good as ProbeRTT.
	b.idleRestart = true
	b.begin(now)
	switch {
	case b.mode.probesBW():
		b.setPacing(1)
	case b.mode == bbr3ProbeRTT:
		b.checkProbeRTTDone(now)
	}
}

// Ack implements Controller.
func (b *BBR3) Ack(a *cc.Ack) {
	b.inFlight, b.delivered = a.InFlight, a.Rate.Total

	// UpdateModelAndState, in the draft's order.
	b.updateLatest(&a.Rate)
	b.updateMaxBW(&a.Rate)
	if b.lossRoundStart {
		b.adaptShortTerm()
	}
	b.acked(a, b.bw(), b.cwnd, b.roundStart, b.extraRounds())
	b.checkFull(a)
	b.checkStartup(a)
	b.checkDrain(a)
	if a.Delivered > 0 && b.full {
		b.updateCycle(a)
	}
	b.updateMinRTT(a)
	b.checkProbeRTT(a)
	if b.lossRoundStart {
		b.bwLatest, b.inflightLatest = a.Rate.BytesPerSecond(), sampleVolume(&a.Rate)
		b.lossInRound, b.lossRanges = false, 0
	}

	// UpdateControlParameters.
	b.takeSRTT(bbr3StartupGain, a.SRTT)
	b.setPacing(b.pacingGain())
	b.setWindow(a)
	b.state = a.State
}

// max is max_bw.
func (b *BBR3) max() uint64 { return max(b.maxBW[0], b.maxBW[1]) }

// bw is the bandwidth that losses leave (BoundBWForModel).
func (b *BBR3) bw() uint64 { return min(b.max(), b.bwShort) }

// sampleVolume is RS.delivered.
func sampleVolume(r *cc.Sample) uint32 { return uint32(min(r.Delivered, cc.MaxWindow)) }

// updateLatest keeps what the path carries in this round trip (UpdateLatestDeliverySignals). Its
// end is found apart from other rounds' ends, as it is counted from the first loss.
func (b *BBR3) updateLatest(r *cc.Sample) {
	b.lossRoundStart = false
	if r.Delivered == 0 {
		return
	}
	b.bwLatest = max(b.bwLatest, r.BytesPerSecond())
	b.inflightLatest = max(b.inflightLatest, sampleVolume(r))
	if r.PriorDelivered >= b.lossRoundEnd {
		b.lossRoundEnd = r.Total
		b.lossRoundStart = true
	}
}

// updateMaxBW counts round trips and takes in the rate (UpdateMaxBw).
func (b *BBR3) updateMaxBW(r *cc.Sample) {
	b.roundStart = false
	if r.Delivered == 0 {
		return
	}
	if r.PriorDelivered >= b.nextRound {
		b.nextRound = r.Total
		b.round++
		b.sinceProbe++
		b.roundStart = true
	}

	if bw := r.BytesPerSecond(); !b.isLimited(r) || bw >= b.max() {
		b.maxBW[1] = max(b.maxBW[1], bw)
	}
}

// advanceMaxBW begins the next cycle of the filter (AdvanceMaxBwFilter). A cycle without a sample
// does not count: the last one would be forgotten for nothing (Linux).
func (b *BBR3) advanceMaxBW() {
	if b.maxBW[1] != 0 {
		b.maxBW[0], b.maxBW[1] = b.maxBW[1], 0
	}
}

// extraRounds is how long extra_acked is remembered: ten rounds, one in Startup, in which the
// bandwidth grows.
func (b *BBR3) extraRounds() uint8 {
	if b.full {
		return bbrAggRounds
	}
	return bbr3StartupExtra
}

// noteLoss is SaveStateUponLoss, for the first loss of an episode, and NoteLoss.
func (b *BBR3) noteLoss() {
	if !b.episode {
		b.episode = true
		b.undoTo = bbr3None
		b.undoBW, b.undoShort, b.undoLong = b.bwShort, b.inflightShort, b.inflightLong
	}
	b.noteRound()
}

// noteRound says that this round trip has congestion. The first sign begins one that ends when
// what is sent from here on is delivered.
func (b *BBR3) noteRound() {
	if !b.lossInRound {
		b.lossInRound = true
		b.lossRoundEnd = b.delivered
	}
}

// Lost implements LossObserver: HandleLostPacket.
func (b *BBR3) Lost(l cc.LostSegment) {
	b.delivered = l.Delivered
	b.inFlight -= min(b.inFlight, l.Bytes)
	b.noSACK = !l.SACK
	b.noteLoss()

	// Losses side by side are one event, of a queue that was full for a moment.
	if (l.Start != b.lossEnd || b.lossRanges == 0) && b.lossRanges < bbr3MostLossRanges {
		b.lossRanges++
	}
	b.lossEnd = l.Start + uint64(l.Bytes)

	// ProbeRTT is without data, too: what little it has in flight is no bound.
	if b.probeSample && b.isTooHigh(l.Lost, l.InFlight) {
		b.handleTooHigh(l.Now, inflightAtLoss(&l), l.AppLimited || b.mode == bbr3ProbeRTT)
	}
}

// isTooHigh says that so much lost of what was in flight is more than the path should lose
// (IsInflightTooHigh).
func (b *BBR3) isTooHigh(lost uint64, inFlight uint32) bool {
	return float64(lost) > bbr3LossThresh*float64(inFlight) || lost > 0 && b.noSACK
}

// inflightAtLoss is how much was in flight where the losses passed the threshold, which may be
// within the segment (InflightAtLoss).
func inflightAtLoss(l *cc.LostSegment) uint32 {
	before := float64(l.InFlight - min(l.InFlight, l.Bytes))
	lost := float64(l.Lost - min(l.Lost, uint64(l.Bytes)))
	prefix := (float64(bbr3LossThresh*before) - lost) / (1 - bbr3LossThresh)
	return uint32(max(before+prefix, 0))
}

// handleTooHigh lowers the long-term bound once for each probe, and ends the probe
// (HandleInflightTooHigh).
func (b *BBR3) handleTooHigh(now time.Duration, inFlight uint32, limited bool) {
	b.tooHigh, b.probeSample = true, false
	if !limited {
		b.inflightLong = max(inFlight, uint32(bbr3Beta*float64(b.targetInflight())))
	}
	if b.mode == bbr3Up {
		b.undoTo = bbr3Up
		b.startDown(now)
	}
}

// targetInflight is the BDP, unless congestion has cut the window.
func (b *BBR3) targetInflight() uint32 { return min(b.bdp(b.bw(), 1), b.cwnd) }

// adaptShortTerm gives way to the losses of the round trip that ends, down to what it has
// delivered (AdaptLowerBoundsFromCongestion).
func (b *BBR3) adaptShortTerm() {
	if b.mode.accelerates() || !b.lossInRound {
		return
	}
	if b.bwShort == bbr3NoRate {
		b.bwShort = b.max()
	}
	if b.inflightShort == bbr3NoVolume {
		b.inflightShort = b.cwnd
	}
	b.bwShort = max(b.bwLatest, uint64(bbr3Beta*float64(b.bwShort)), 1) // 0 is unknown
	b.inflightShort = max(b.inflightLatest, uint32(bbr3Beta*float64(b.inflightShort)))
}

// resetShortTerm is ResetShortTermModel.
func (b *BBR3) resetShortTerm() { b.bwShort, b.inflightShort = bbr3NoRate, bbr3NoVolume }

func (b *BBR3) pacingGain() float64 {
	switch b.mode {
	case bbr3Startup:
		return bbr3StartupGain
	case bbr3Drain:
		return bbr3DrainGain
	case bbr3Down:
		return bbr3DownGain
	case bbr3Up:
		return bbr3UpGain
	}
	return 1
}

func (b *BBR3) windowGain() float64 {
	switch b.mode {
	case bbr3Up:
		return bbr3UpWindowGain
	case bbr3ProbeRTT:
		return bbr3ProbeRTTGain
	}
	return bbr3WindowGain
}

// setPacing is SetPacingRateWithGain.
func (b *BBR3) setPacing(gain float64) { b.pace(gain, b.bw(), b.full) }

// bdp is the BDP times gain; the initial window while a factor is unknown (BDPMultiple).
func (b *BBR3) bdp(bw uint64, gain float64) uint32 {
	if b.minRTT == 0 || bw == 0 {
		return b.initial
	}
	return uint32(min(gain*float64(volume(bw, b.minRTT)), cc.MaxWindow))
}

// inflight is the BDP times gain, and no less than the ends need (Inflight).
func (b *BBR3) inflight(bw uint64, gain float64) uint32 { return b.quantized(b.bdp(bw, gain)) }

// quantized allows for three quanta, of which the sender's queue, its offload and the receiver
// hold one each, and for the least pipe (QuantizationBudget).
func (b *BBR3) quantized(w uint32) uint32 {
	w = max(w, 3*Quantum(b.pacing, b.mss), bbrMinPipe*b.mss)
	if b.mode == bbr3Up {
		w = add(w, 2*b.mss)
	}
	return w
}

// setWindow moves the window towards what the model asks for by what was delivered, and bounds it
// by what the path has shown not to carry (SetCwnd).
func (b *BBR3) setWindow(a *cc.Ack) {
	if a.Delivered > 0 {
		most := b.quantized(add(b.bdp(b.bw(), b.windowGain()), b.allowance(b.bw())))
		if b.full {
			b.cwnd = min(add(b.cwnd, a.Delivered), most)
		} else if b.cwnd < most || a.Rate.Total < uint64(b.initial) {
			b.cwnd = add(b.cwnd, a.Delivered)
		}
		b.cwnd = max(b.cwnd, bbrMinPipe*b.mss)
	}
	if b.mode == bbr3ProbeRTT {
		b.cwnd = min(b.cwnd, max(b.probeRTTWindow, bbrMinPipe*b.mss))
	}
	b.cwnd = min(b.cwnd, b.bound())
}

// bound is the volume that losses allow (BoundCwndForModel).
func (b *BBR3) bound() uint32 {
	w := bbr3NoVolume
	switch b.mode {
	case bbr3Down, bbr3Refill, bbr3Up:
		w = b.inflightLong
	case bbr3Cruise, bbr3ProbeRTT:
		w = b.withHeadroom()
	}
	return max(min(w, b.inflightShort), bbrMinPipe*b.mss)
}

// Congestion implements Controller.
func (b *BBR3) Congestion(e *cc.Event) {
	b.saveWindow(b.mode == bbr3ProbeRTT)
	if e.Cause != cc.ByECN {
		b.noteEvent()
		return
	}

	// How much was in flight when the mark was made is not known: back off by Beta.
	b.noteRound()
	switch {
	case b.mode == bbr3Startup:
		b.fullByCongestion()
	case b.probeSample:
		b.handleTooHigh(e.Now, uint32(bbr3Beta*float64(b.inFlight)), false)
	}
	b.undoTo, b.episode = bbr3None, false // losses that turn out to be none do not undo it
}

// noteEvent notes a loss that Lost has not told of: one that a tail loss probe has repaired. What
// Lost has told is noted, and if it has ended a probe the next phase begins without it.
func (b *BBR3) noteEvent() {
	if !b.episode {
		b.noteLoss()
	}
}

// Recovered implements Controller: all is repaired, and the last good window is back, within the
// bounds that Ack sets.
func (b *BBR3) Recovered(time.Duration) {
	b.cwnd = max(b.cwnd, b.prior)
	b.episode = false
}

// Timeout implements Controller. The model stays; the window begins anew with one segment beyond
// what is still in flight (OnEnterRTO), and the search for a plateau, too (Linux).
func (b *BBR3) Timeout(e *cc.Event) {
	b.saveWindow(b.mode == bbr3ProbeRTT)
	b.noteEvent()
	if !b.mode.accelerates() && b.inflightShort == bbr3NoVolume {
		b.inflightShort = b.prior
	}
	b.state = cc.Loss
	b.resetFull(0)
	b.cwnd = add(b.inFlight, b.mss)
}

// Undo implements Controller: HandleSpuriousLossDetection.
func (b *BBR3) Undo(time.Duration) {
	b.cwnd = max(b.cwnd, b.prior)
	b.lossInRound = false
	b.resetFull(0)
	b.bwShort = max(b.bwShort, b.undoBW)
	b.inflightShort = max(b.inflightShort, b.undoShort)
	b.inflightLong = max(b.inflightLong, b.undoLong)

	// What the losses have ended goes on.
	switch b.undoTo {
	case bbr3Startup:
		b.full = false
		if b.mode != bbr3ProbeRTT {
			b.mode = bbr3Startup
		}
	case bbr3Up:
		if b.mode != bbr3Up && b.mode != bbr3ProbeRTT {
			b.startRefill()
		}
	}
	b.undoTo, b.episode = bbr3None, false
}

// AppendInfo implements Informer.
func (b *BBR3) AppendInfo(p []byte) []byte {
	if b.mss == 0 {
		return appendBBRInfo(p, 0, 0, 0, 0) // not begun
	}
	return appendBBRInfo(p, b.bw(), b.minRTT, b.pacingGain(), b.windowGain())
}
