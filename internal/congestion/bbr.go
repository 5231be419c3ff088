package congestion

import (
	"time"

	"usock/cc"
)

// The constants of the draft's section 4; rates of gain are of Startup, of the
// eight phases of ProbeBW, and of the window.
const (
	bbrHighGain   = 2.885 // 2/ln(2): doubles the rate every round trip
	bbrCwndGain   = 2
	bbrMargin     = 0.99 // pace below the estimate, so that queues drain
	bbrMinPipe    = 4    // BBRMinPipeCwnd, segments
	bbrBWRounds   = 10   // BtlBwFilterLen
	bbrRTTFilter  = 10 * time.Second
	bbrProbeRTT   = 200 * time.Millisecond
	bbrFullGrowth = 1.25
	bbrFullRounds = 3
)

var bbrCycle = [8]float64{1.25, 0.75, 1, 1, 1, 1, 1, 1}

type bbrMode uint8

const (
	bbrStartup bbrMode = iota
	bbrDrain
	bbrProbeBW
	bbrProbeMinRTT
)

// BBR is version 1 of BBR: draft-cardwell-iccrg-bbr-congestion-control-00, with
// the two things that Linux's version 1 has beyond it: a window that allows for
// the aggregation of acknowledgments, and a pacing rate one per cent below the
// bandwidth found. Linux's detection of token-bucket policers is left out. Where
// the receive window holds a sender back, two rules differ: such rounds do not end
// Startup (checkFull), and recovery begins with the BDP (recover).
//
// Version 1 models the path's bandwidth and round-trip time and does not take a
// lost packet for a full queue, so that random loss costs no more than what is
// lost. Versions 2 and 3 give way above two per cent of loss. ECN marks have no
// meaning for it.
//
// It needs a core that paces and that fills in Ack.Rate.
type BBR struct {
	bbrCommon

	bw            maxFilter // BtlBwFilter, bytes a second
	round         uint32    // round_count
	nextRound     uint64    // next_round_delivered
	roundStart    bool
	idleRestart   bool
	conservation  bool // packet_conservation: first round trip of recovery
	filled        bool // filled_pipe
	fullCount     uint8
	fullBW        uint64
	mode          bbrMode
	phase         uint8 // of ProbeBW
	probeRTTRound bool  // probe_rtt_round_done
	cycleStart    time.Duration
	minRTT        time.Duration // RTprop; 0: unknown
	minRTTAt      time.Duration
	probeRTTDone  time.Duration // 0: not set
}

// Name implements Controller.
func (*BBR) Name() string { return "bbr" }

// Start implements Controller.
func (b *BBR) Start(s cc.Start) {
	*b = BBR{
		bbrCommon: newBBRCommon(&s, bbrHighGain), minRTT: s.MinRTT, minRTTAt: s.Now,
	}
}

// Sent implements Controller. After idleness the rate is the bandwidth itself,
// lest the queue be filled by a gain, and ProbeRTT need not be entered: idleness
// was one.
func (b *BBR) Sent(now time.Duration, inFlight, bytes uint32) {
	if inFlight != 0 {
		return
	}

	b.idleRestart = true // the path's queue is empty
	b.begin(now)
	switch b.mode {
	case bbrProbeBW:
		b.setPacing(1)
	case bbrProbeMinRTT:
		b.leaveProbeRTT(now)
	}
}

// Ack implements Controller.
func (b *BBR) Ack(a *cc.Ack) {
	// The model first, then the state, then what both lead to: the draft's order
	// (BBRUpdateModelAndState, BBRUpdateControlParameters).
	b.updateBW(a)
	b.acked(a, b.bw.max(), b.cwnd, b.roundStart, bbrAggRounds)
	if b.mode == bbrProbeBW && b.phaseOver(a) {
		b.enterPhase(a.Now, (b.phase+1)%uint8(len(bbrCycle)))
	}
	b.checkFull(a)
	b.checkDrain(a)
	b.updateMinRTT(a)
	b.takeSRTT(bbrHighGain, a.SRTT)
	b.setPacing(b.pacingGain())
	b.setWindow(a)
}

// updateBW counts round trips and takes in the rate sample. A sample of a sender
// that had nothing to send counts only if it is better.
func (b *BBR) updateBW(a *cc.Ack) {
	b.roundStart = false
	r := &a.Rate
	if r.Interval <= 0 {
		return
	}

	// A round trip has passed when something is delivered that was sent after its beginning.
	if r.PriorDelivered >= b.nextRound {
		b.nextRound = r.Total
		b.round++
		b.roundStart, b.conservation = true, false
	}

	// What a sender without data delivers is a lower bound of the bandwidth. It counts where
	// the path proves to be faster than was thought.
	if bw := r.BytesPerSecond(); !b.isLimited(r) || bw >= b.bw.max() {
		b.bw.update(bw, b.round, bbrBWRounds)
	}
}

// checkFull finds the end of Startup: three rounds that did not give a quarter
// more bandwidth (section 4.3.2.2). Rounds in which the receive window held the
// sender back, which grows no faster than the receiver learns the rate, say nothing
// about the path.
func (b *BBR) checkFull(a *cc.Ack) {
	if b.filled || !b.roundStart || a.Rate.AppLimited || !a.CWndLimited {
		return
	}

	// Still growing by a quarter: the pipe is not full yet, and patience begins anew.
	if bw := b.bw.max(); float64(bw) >= float64(b.fullBW)*bbrFullGrowth {
		b.fullBW, b.fullCount = bw, 0
		return
	}
	b.fullCount++
	b.filled = b.fullCount >= bbrFullRounds
}

// checkDrain goes from Startup to Drain, and from there to ProbeBW once the queue
// that Startup made is gone.
func (b *BBR) checkDrain(a *cc.Ack) {
	if b.mode == bbrStartup && b.filled {
		b.mode = bbrDrain
	}
	if b.mode == bbrDrain && a.InFlight <= b.target(1) {
		b.enterProbeBW(a.Now)
	}
}

// enterProbeBW begins in any phase but the one that drains (section 4.3.4.3), so
// that flows do not probe in step.
func (b *BBR) enterProbeBW(now time.Duration) {
	b.mode = bbrProbeBW

	phase := uint8(draw(now, b.nextRound) % uint64(len(bbrCycle)-1))
	if phase > 0 {
		phase++
	}
	b.enterPhase(now, phase)
}

func (b *BBR) enterPhase(now time.Duration, phase uint8) {
	b.phase, b.cycleStart = phase, now
}

// phaseOver says when the next phase of ProbeBW is due (section 4.3.4.3).
func (b *BBR) phaseOver(a *cc.Ack) bool {
	// Probing up lasts a round trip and until the queue shows (that much in flight, or loss).
	// Draining ends as soon as the queue is gone, as below it bandwidth would be lost.
	full := a.Now-b.cycleStart > b.minRTT
	switch gain := bbrCycle[b.phase]; {
	case gain > 1:
		return full && (a.Lost > 0 || a.PriorInFlight >= b.target(gain))
	case gain < 1:
		return full || a.PriorInFlight <= b.target(1)
	}
	return full
}

// updateMinRTT keeps RTprop, and enters and leaves ProbeRTT, in which the queue
// is let run dry if RTprop was not seen for ten seconds (section 4.3.5).
func (b *BBR) updateMinRTT(a *cc.Ack) {
	// A queue that never empties looks like a longer path: once in ten seconds it is made to.
	expired := a.Now > b.minRTTAt+bbrRTTFilter
	if a.RTT > 0 && (b.minRTT == 0 || a.RTT <= b.minRTT || expired) {
		b.minRTT, b.minRTTAt = a.RTT, a.Now
	}
	if expired && !b.idleRestart && b.mode != bbrProbeMinRTT {
		b.saveWindow(false)
		b.mode, b.probeRTTDone = bbrProbeMinRTT, 0
	}
	if b.mode == bbrProbeMinRTT {
		b.probeRTT(a)
	}
	if a.Delivered > 0 {
		b.idleRestart = false
	}
}

func (b *BBR) probeRTT(a *cc.Ack) {
	b.limitSamples(a)
	if b.probeRTTDone == 0 {
		// At least 200 ms and a round trip, counted from when the queue can be gone.
		if a.InFlight <= bbrMinPipe*b.mss {
			b.probeRTTDone = a.Now + bbrProbeRTT
			b.probeRTTRound = false
			b.nextRound = a.Rate.Total
		}
		return
	}
	if b.roundStart {
		b.probeRTTRound = true
	}
	if b.probeRTTRound {
		b.leaveProbeRTT(a.Now)
	}
}

func (b *BBR) leaveProbeRTT(now time.Duration) {
	if b.probeRTTDone == 0 || now <= b.probeRTTDone {
		return
	}
	b.minRTTAt = now
	b.cwnd = max(b.cwnd, b.prior)
	if b.filled {
		b.enterProbeBW(now)
	} else {
		b.mode = bbrStartup
	}
}

func (b *BBR) pacingGain() float64 {
	switch b.mode {
	case bbrStartup:
		return bbrHighGain
	case bbrDrain:
		return 1 / bbrHighGain
	case bbrProbeBW:
		return bbrCycle[b.phase]
	}
	return 1
}

func (b *BBR) windowGain() float64 {
	switch b.mode {
	case bbrStartup, bbrDrain:
		return bbrHighGain
	case bbrProbeBW:
		return bbrCwndGain
	}
	return 1
}

// setPacing sets the rate (section 4.2.1).
func (b *BBR) setPacing(gain float64) { b.pace(gain, b.bw.max(), b.filled) }

// target is the BDP times gain, with room for what the ends hold up: three
// quanta, and an even number of segments for a peer that delays acknowledgments
// (section 4.2.3.2). The phase that probes has two more, so that it fills a small BDP
// too (Linux, bbr_quantization_budget).
func (b *BBR) target(gain float64) uint32 {
	if b.minRTT == 0 || b.bw.max() == 0 {
		return b.initial
	}
	bdp := gain * float64(volume(b.bw.max(), b.minRTT))

	// One burst in the sender's queue, one in what cuts its segments, and one in the receiver,
	// which gathers and delays (Linux, bbr_quantization_budget).
	w := uint64(bdp) + 3*uint64(Quantum(b.pacing, b.mss))
	pair := 2 * uint64(b.mss)
	w = (w + pair - 1) / pair * pair
	if b.mode == bbrProbeBW && b.phase == 0 {
		w += pair
	}
	return uint32(min(w, cc.MaxWindow))
}

// aggregation is what the window allows for held-up acknowledgments.
func (b *BBR) aggregation() uint32 {
	if !b.filled {
		return 0
	}
	return b.allowance(b.bw.max())
}

// setWindow moves the window towards the target by what was delivered (section
// 4.2.3.6). In the first round trip of recovery it sends as much as is delivered.
func (b *BBR) setWindow(a *cc.Ack) {
	if a.Delivered > 0 && !b.recover(a) {
		target := add(b.target(b.windowGain()), b.aggregation())
		if b.filled {
			b.cwnd = min(add(b.cwnd, a.Delivered), target)
		} else if b.cwnd < target || a.Rate.Total < uint64(b.initial) {
			b.cwnd = add(b.cwnd, a.Delivered)
		}
		b.cwnd = max(b.cwnd, bbrMinPipe*b.mss)
	}
	if b.mode == bbrProbeMinRTT {
		b.cwnd = min(b.cwnd, bbrMinPipe*b.mss)
	}
}

// recover adapts the window to losses and reports whether it is settled by that
// (section 4.2.3.4). If the receive window or the program held the sender back, so
// that little is in flight, recovery begins with no less than the BDP: the rest of
// the pipe would stay empty for a round trip with each random loss.
func (b *BBR) recover(a *cc.Ack) bool {
	// What is lost has left the network: as much less is in flight, and is to be.
	if a.Lost > 0 {
		b.cwnd = max(b.cwnd-min(b.cwnd, a.Lost), b.mss)
	}
	was := b.state
	b.state = a.State
	switch {
	case a.State == cc.Recovery && was != cc.Recovery:
		b.conservation = true
		b.nextRound = a.Rate.Total
		w := max(add(a.InFlight, a.Delivered), b.mss) // small segments may be all there was
		if !a.CWndLimited {
			w = max(w, min(b.cwnd, b.target(1)))
		}
		b.cwnd = w
	case was >= cc.Recovery && a.State < cc.Recovery:
		b.cwnd = max(b.cwnd, b.prior)
		b.conservation = false
	}
	if b.conservation {
		b.cwnd = max(b.cwnd, add(a.InFlight, a.Delivered))
	}
	return b.conservation
}

// Congestion implements Controller.
func (b *BBR) Congestion(e *cc.Event) {
	if e.Cause == cc.ByLoss {
		b.saveWindow(b.mode == bbrProbeMinRTT)
	}
}

// Recovered implements Controller; Ack sees it by its state.
func (*BBR) Recovered(time.Duration) {}

// Timeout implements Controller.
func (b *BBR) Timeout(e *cc.Event) {
	// After a timeout the model stays: only the window begins anew, with one segment, and comes
	// back as soon as something is delivered.
	b.saveWindow(b.mode == bbrProbeMinRTT)
	b.state = cc.Loss
	b.fullBW, b.conservation = 0, false
	b.cwnd = b.mss
}

// Undo implements Controller.
func (b *BBR) Undo(time.Duration) {
	b.fullBW, b.fullCount = 0, 0
	b.conservation = false
	if b.mode != bbrProbeMinRTT {
		b.cwnd = max(b.cwnd, b.prior)
	}
}

// AppendInfo implements Informer.
func (b *BBR) AppendInfo(p []byte) []byte {
	if b.mss == 0 {
		return appendBBRInfo(p, 0, 0, 0, 0) // not begun
	}
	return appendBBRInfo(p, b.bw.max(), b.minRTT, b.pacingGain(), b.windowGain())
}
