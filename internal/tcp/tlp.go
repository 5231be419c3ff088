package tcp

import (
	"time"

	"usock/cc"
	"usock/trace"
)

// tlpDelay returns the probe timeout PTO (RFC 8985 §7.2), and false if no probe may
// be sent.
func (s *sender) tlpDelay(t *tcb) (time.Duration, bool) {
	l := &s.flight.loss

	// Without SACK the probe's answer could not be told from others; in recovery there is no
	// tail to probe for, nor behind what is SACKed, which RACK's timer watches over; and one
	// probe is out at a time.
	if t.flags&useSACK == 0 || l.state > cc.CWR || l.sacked > 0 || l.tlpHigh != 0 {
		return 0, false
	}

	// Before the first sample one second is assumed (RFC 8985 §7.2).
	if t.rtt.srtt == 0 {
		return time.Second, true
	}

	// PTO = 2 * SRTT ...
	d := 2 * t.rtt.smoothed()
	if s.flight.scoreboard.n == 1 && s.nxt-s.una <= uint64(s.mss) {
		// A single segment may wait for a delayed acknowledgment. TLP.max_ack_delay is the peer's
		// and unknown; the least RTO stands for it, as on Linux.
		return d + t.cfg.MinRTO, true
	}

	// ... and a little, for timers that are coarse.
	return d + timeoutMin, true
}

// tlpExpired sends a probe: new data if there is some, else the last segment again
// (RFC 8985 §7.3).
func (s *sender) tlpExpired(t *tcb, now time.Duration) {
	if s.flight == nil || s.una == s.nxt {
		return
	}

	l := &s.flight.loss

	// One probe at a time exceeds the congestion window by one segment at most; the RTO follows
	// it, should it be lost too, and never another probe (RFC 8985 §7.3).
	if l.tlpHigh == 0 {
		t.todo |= todoTLP
		t.timer.rtx, t.timer.kind = now+t.rtt.timeout(), rtxRTO
		return
	}
	s.armRTO(t, now)
}

// ackTLP takes an acknowledgment while a probe is out (RFC 8985 §7.4).
func (s *sender) ackTLP(t *tcb, now time.Duration, ack uint64, a *ackInfo) {
	l := &s.flight.loss
	if ack < l.tlpHigh {
		return
	}

	switch {
	// New data that arrived, or a DSACK: both the segment and the probe came through (RFC 8985
	// §7.4.2).
	case !l.tlpRetrans, a.dsackTLP:
		l.tlpHigh = 0
	case ack > l.tlpHigh:
		// By now the answers to both copies have come, and none said that the segment came twice:
		// the probe repaired a loss, which counts as one (RFC 8985 §7.4.2). Nothing is left to
		// recover, so that the reduction ends as it begins.
		inc(&t.count().TCPLossProbeRecovery)
		l.tlpHigh = 0
		f := s.flight
		if l.state == cc.Open {
			f.cc.Congestion(&cc.Event{Now: now, InFlight: uint32(s.nxt - a.priorUna), SndNxt: s.nxt})
			f.cc.Recovered(now)
			if t.cfg.Trace != 0 {
				s.tellWindow(t, trace.TLPRepaired)
			}
		}
	// A duplicate without news is the probe's: the segment itself was there.
	case a.acked == 0 && !a.dataSacked && a.duplicate:
		l.tlpHigh = 0
	}
}

// buildTLP builds the tail loss probe: the last segment again.
func (s *sender) buildTLP(t *tcb, now time.Duration, seg *Segment, sackLen uint32) bool {
	f := s.flight
	b := &f.scoreboard
	l := &f.loss
	t.todo &^= todoTLP
	if b.n == 0 || s.una == s.nxt {
		return false
	}
	mss := s.sendMSS(t, sackLen)
	i := b.last()
	r := b.at(i)

	// An answer to what the peer has anyway would tell nothing.
	if r.flags&segSacked != 0 {
		return false
	}

	// The last segment of a run: the highest number tells most about those before it (RFC 8985
	// §7.3).
	if r.n > mss {
		i = b.next(b.split(i, r.start+uint64((r.n-1)/mss*mss)))
	}
	start := b.at(i).start
	s.retransmit(t, now, seg, i, mss, mss)
	if t.cfg.Trace != 0 {
		t.noteAgain(trace.ByProbe, b.at(b.find(start)).sent)
	}
	l.tlpHigh, l.tlpRetrans = s.nxt, true
	inc(&t.count().TCPLossProbes)
	return true
}
