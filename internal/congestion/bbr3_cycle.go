package congestion

import (
	"time"

	"usock/cc"
)

// The state machine of BBR3: Startup, Drain, the four phases of ProbeBW, and ProbeRTT.

// resetFull is ResetFullBW, with the plateau to compare with.
func (b *BBR3) resetFull(bw uint64) { b.fullBW, b.fullCount, b.fullNow = bw, 0, false }

// checkFull looks for a plateau: three rounds that did not give a quarter more (CheckFullBWReached).
func (b *BBR3) checkFull(a *cc.Ack) {
	if b.fullNow || a.Rate.Interval <= 0 || b.isLimited(&a.Rate) {
		return
	}
	if bw := a.Rate.BytesPerSecond(); float64(bw) >= bbrFullGrowth*float64(b.fullBW) {
		b.resetFull(bw)
		return
	}
	if !b.roundStart || !b.full && !a.CWndLimited {
		return
	}
	b.fullCount++
	if b.fullCount >= bbrFullRounds {
		b.fullNow, b.full = true, true
	}
}

// checkStartup ends Startup at a plateau or at loss (CheckStartupDone).
func (b *BBR3) checkStartup(a *cc.Ack) {
	if b.mode != bbr3Startup {
		return
	}

	// Recovery for a round trip, many losses in it and more than two per cent: noise, and a
	// burst that was lost at once, do not end it. Without SACK any loss is all that shows.
	if !b.full && b.lossRoundStart && a.State == cc.Recovery && b.lossInRound &&
		b.isTooHigh(a.Rate.Lost, a.Rate.InFlight) && (b.lossRanges >= bbr3FullLosses || b.noSACK) {
		b.fullByCongestion()
	}
	if b.full {
		b.mode, b.drainRound = bbr3Drain, b.round
	}
}

// fullByCongestion takes what was delivered for what the path holds.
func (b *BBR3) fullByCongestion() {
	b.undoTo, b.full = bbr3Startup, true
	b.inflightLong = max(b.bdp(b.bw(), 1), b.inflightLatest)
}

// checkDrain ends Drain when the queue that Startup has made is gone, or after three rounds: the
// bandwidth may have been overestimated (CheckDrainDone).
func (b *BBR3) checkDrain(a *cc.Ack) {
	if b.mode == bbr3Drain &&
		(a.InFlight <= b.inflight(b.bw(), 1) || b.round-b.drainRound > bbr3DrainRounds) {
		b.startDown(a.Now)
	}
}

// startRound is StartRound.
func (b *BBR3) startRound() { b.nextRound = b.delivered }

// startDown begins a cycle of ProbeBW.
func (b *BBR3) startDown(now time.Duration) {
	b.lossInRound, b.bwLatest, b.inflightLatest = false, 0, 0
	b.upPerStep = bbr3NoVolume
	b.pickProbeWait(now)
	b.cycleStart = now
	b.acks = bbr3AcksStopping
	b.startRound()
	b.mode = bbr3Down
}

// pickProbeWait decides how long to wait for the next probe, at random so that flows do not probe
// in step and mix (PickProbeWait).
func (b *BBR3) pickProbeWait(now time.Duration) {
	x := draw(now, b.delivered)
	b.sinceProbe = uint32(x & 1)

	// The spread by 30 bits: the product stays within 64.
	b.probeWait = bbr3ProbeWait + bbr3ProbeSpread*time.Duration(x>>1&(1<<30-1))>>30
}

// startRefill forgets the short-term bounds and fills the pipe for a round trip, so that the
// probe that follows does not mistake the headroom's end for the queue's.
func (b *BBR3) startRefill() {
	b.resetShortTerm()
	b.upRounds, b.upAcked = 0, 0
	b.precautionary = false
	b.acks = bbr3AcksRefill
	b.startRound()
	b.mode = bbr3Refill
}

// startUp begins to probe.
func (b *BBR3) startUp(a *cc.Ack) {
	b.probeSample = true
	b.acks = bbr3AcksStarting
	b.startRound()
	b.resetFull(a.Rate.BytesPerSecond())
	b.mode = bbr3Up
	b.raiseSlope()
}

// updateCycle advances ProbeBW (UpdateProbeBWCyclePhase).
func (b *BBR3) updateCycle(a *cc.Ack) {
	if b.adaptLongTerm(a) {
		return
	}
	switch b.mode {
	case bbr3Down:
		if !b.checkProbeTime(a.Now) && b.isTimeToCruise(a) {
			b.mode = bbr3Cruise
		}
	case bbr3Cruise:
		b.checkProbeTime(a.Now)
	case bbr3Refill:
		if b.roundStart {
			b.startUp(a)
		}
	case bbr3Up:
		if b.isTimeToGoDown(a) {
			b.tooHigh = false
			b.startDown(a.Now)
		}
	}
}

// checkProbeTime begins a probe when it is time: after two to three seconds, or as many round
// trips as Reno needs to grow by as much (IsTimeToProbeBW).
func (b *BBR3) checkProbeTime(now time.Duration) bool {
	rounds := min(b.targetInflight()/b.mss, bbr3RenoRounds)
	if now <= b.cycleStart+b.probeWait && b.sinceProbe < rounds {
		return false
	}
	b.startRefill()
	return true
}

// isTimeToCruise says that the queue is gone and that others have room (IsTimeToCruise).
func (b *BBR3) isTimeToCruise(a *cc.Ack) bool {
	return a.InFlight <= b.withHeadroom() && a.InFlight <= b.inflight(b.max(), 1)
}

// withHeadroom is the long-term bound less what is left to others (InflightWithHeadroom).
func (b *BBR3) withHeadroom() uint32 {
	if b.inflightLong == bbr3NoVolume {
		return bbr3NoVolume
	}
	room := max(b.mss, uint32(bbr3Headroom*float64(b.inflightLong)))
	return max(b.inflightLong-min(b.inflightLong, room), bbrMinPipe*b.mss)
}

// isTimeToGoDown ends the probe (IsTimeToGoDown): where the last one was too much, when it comes
// there again, until a whole round trip has shown that this much is safe; and at a plateau, which
// shows only where the long-term bound is not in the way.
func (b *BBR3) isTimeToGoDown(a *cc.Ack) bool {
	if b.tooHigh && a.InFlight >= b.inflightLong {
		b.precautionary = true
		return true
	}
	if a.CWndFull && b.cwnd >= b.inflightLong {
		b.resetFull(a.Rate.BytesPerSecond())
		return false
	}
	return b.fullNow
}

// adaptLongTerm follows the acknowledgments of a probe through the cycle, raises the long-term
// bound where it proves to be low, and reports whether it began a phase (AdaptLongTermModel).
func (b *BBR3) adaptLongTerm(a *cc.Ack) bool {
	if b.roundStart {
		switch b.acks {
		case bbr3AcksStarting:
			b.acks = bbr3AcksFeedback
		case bbr3AcksStopping:
			b.probeSample, b.acks = false, bbr3AcksInit
			if b.mode.probesBW() && !b.isLimited(&a.Rate) {
				b.advanceMaxBW()
			}

			// The careful probe lost nothing: the one that stays follows at once.
			if b.mode.probesBW() && b.precautionary && !b.tooHigh {
				b.startRefill()
				return true
			}
		}
	}
	if b.inflightLong == bbr3NoVolume || b.isTooHigh(a.Rate.Lost, a.Rate.InFlight) {
		return false
	}
	b.inflightLong = max(b.inflightLong, a.Rate.InFlight)
	if b.mode == bbr3Up {
		b.probeUpward(a)
	}
	return false
}

// raiseSlope doubles the growth of the long-term bound: 1, 2, 4 ... segments a round trip
// (RaiseInflightLongtermSlope).
func (b *BBR3) raiseSlope() {
	b.upPerStep = max(b.cwnd>>b.upRounds, b.mss)
	b.upRounds = min(b.upRounds+1, bbr3MostGrowth)
}

// probeUpward raises the long-term bound where it is what holds the sender back
// (ProbeInflightLongtermUpward).
func (b *BBR3) probeUpward(a *cc.Ack) {
	if !a.CWndFull || b.cwnd < b.inflightLong {
		return
	}
	b.upAcked = add(b.upAcked, a.Delivered)
	steps := b.upAcked / b.upPerStep
	b.upAcked -= steps * b.upPerStep
	b.inflightLong = uint32(min(uint64(b.inflightLong)+uint64(steps)*uint64(b.mss), cc.MaxWindow))
	if b.roundStart {
		b.raiseSlope()
	}
}

// updateMinRTT keeps the least round-trip time of ten seconds, and the least since ProbeRTT was
// due, which says when it is due again (UpdateMinRTT).
func (b *BBR3) updateMinRTT(a *cc.Ack) {
	due := a.Now > b.probeRTTAt+bbr3ProbeRTTEvery
	if due && b.mode != bbr3ProbeRTT && !b.idleRestart {
		b.enterProbeRTT()
	}
	if a.RTT > 0 && (b.probeRTT == 0 || a.RTT < b.probeRTT || due) {
		b.probeRTT, b.probeRTTAt = a.RTT, a.Now
	}
	if b.probeRTT > 0 &&
		(b.minRTT == 0 || b.probeRTT <= b.minRTT || a.Now > b.minRTTAt+bbr3RTTFilter) {
		b.minRTT, b.minRTTAt = b.probeRTT, b.probeRTTAt
	}
}

// enterProbeRTT lets the queue run dry. The window for that is of the round-trip time known until
// here: one that is measured now, in a queue, would be too long to drain it.
func (b *BBR3) enterProbeRTT() {
	b.probeRTTWindow = max(b.bdp(b.bw(), bbr3ProbeRTTGain), bbrMinPipe*b.mss)
	b.saveWindow(false)
	b.mode, b.probeRTTDone = bbr3ProbeRTT, 0
	b.acks = bbr3AcksStopping
	b.startRound()
}

// checkProbeRTT counts the 200 ms and the round trip of ProbeRTT from when the queue can be gone
// (CheckProbeRTT).
func (b *BBR3) checkProbeRTT(a *cc.Ack) {
	if b.mode == bbr3ProbeRTT {
		b.limitSamples(a)
		if b.probeRTTDone == 0 {
			if a.InFlight <= b.probeRTTWindow {
				b.probeRTTDone = a.Now + bbrProbeRTT
				b.probeRTTRound = false
				b.startRound()
			}
		} else {
			b.probeRTTRound = b.probeRTTRound || b.roundStart
			if b.probeRTTRound {
				b.checkProbeRTTDone(a.Now)
			}
		}
	}
	if a.Delivered > 0 {
		b.idleRestart = false
	}
}

// checkProbeRTTDone leaves ProbeRTT when its time is over. The queue is empty: there is nothing
// to drain, but the next probe takes its time (ExitProbeRTT).
func (b *BBR3) checkProbeRTTDone(now time.Duration) {
	if b.probeRTTDone == 0 || now <= b.probeRTTDone {
		return
	}
	b.probeRTTAt = now
	b.cwnd = max(b.cwnd, b.prior)
	b.resetShortTerm()
	if !b.full {
		b.mode = bbr3Startup
		return
	}
	b.startDown(now)
	b.mode = bbr3Cruise
}
