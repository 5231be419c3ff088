package tcp

import (
	"time"

	"usock/cc"
	"usock/trace"
)

// advanceRecovery moves between the states of recovery after an acknowledgment.
func (s *sender) advanceRecovery(t *tcb, now time.Duration, a *ackInfo) {
	f := s.flight
	l := &f.loss

	// Most acknowledgments by far: nothing is missing, and nothing says that something is.
	if l.state == cc.Open && l.sacked == 0 && l.lost == 0 && !a.duplicate && !a.dsack && !a.ece {
		return
	}

	l.preferNew = false

	// RecoveryPoint of RFC 6675 §5, recover of RFC 6582.
	done := s.una >= l.high
	more := false // losses behind the recovery point were found: they begin the next recovery

	// First the way out: is what was entered over, or was it needless?
	switch l.state {
	case cc.CWR:
		// All that was in flight at the mark was answered by a reduced window (RFC 3168
		// §6.1.2).
		if done && a.acked > 0 {
			s.endReduction(t, now)
		}
	case cc.Recovery:
		if s.tryUndo(t, now, a) {
			switch {
			case done:
				inc(&t.count().TCPFullUndo)
			case a.acked > 0 && s.delayedOnly(t):
				inc(&t.count().TCPPartialUndo)
			default:
				inc(&t.count().TCPDSACKUndo)
			}
			s.endReduction(t, now)
		} else if done && a.acked > 0 {
			// A full acknowledgment (RFC 6582 §3.2 step 3).
			s.endReduction(t, now)
			more = l.retrans > 0
		} else if a.acked > 0 && t.flags&useSACK == 0 {
			s.markFirst(t, now, a) // the next hole (RFC 6582 §3.2, step 3)
		}
	case cc.Loss:
		if s.inLoss(t, now, a) {
			return
		}
	}

	s.undoLate(t, now, a)

	// Then the way in.
	s.identifyLost(t, now, a)
	if (l.lost > 0 || more) && l.state < cc.Recovery {
		// A lost probe says that the path takes no packet so large, not that it is full (RFC
		// 4821 §7.6).
		if s.mtuProbeFailed(t, now) {
			return
		}
		s.enterRecovery(t, now)
	}

	// Marks last: a loss that the same acknowledgment shows has reduced the window, and once in
	// a round trip is enough (RFC 3168 §6.1.2).
	s.hearECE(t, a)
}

// undoLate takes back a reduction that is over: the DSACKs of the last retransmissions come when recovery
// has ended (Linux, tcp_try_undo_dsack).
func (s *sender) undoLate(t *tcb, now time.Duration, a *ackInfo) {
	if s.flight.loss.state == cc.Open && a.dsack && s.tryUndo(t, now, a) {
		inc(&t.count().TCPDSACKUndo)
	}
}

// onDSACK takes an acknowledgment while nothing is in flight: all that it can tell is that what was sent
// again had arrived before.
func (s *sender) onDSACK(t *tcb, now time.Duration, ack uint64, seg *Segment) {
	if s.flight == nil || t.flags&useSACK == 0 || seg.Options.NSACK == 0 {
		return
	}
	a := ackInfo{now: now, priorUna: s.una, reord: ^uint64(0)}
	s.takeSACK(t, now, ack, &seg.Options, &a)
	s.undoLate(t, now, &a)
}

// identifyLost marks what the acknowledgment shows to be lost.
func (s *sender) identifyLost(t *tcb, now time.Duration, a *ackInfo) {
	l := &s.flight.loss
	if t.flags&useSACK != 0 {
		if l.advanced {
			l.advanced = false

			a.wait = s.detectLoss(t, now, a)
		}
		return
	}

	// Without SACK duplicates are all there is to go by.
	if !a.duplicate {
		return
	}
	// Each duplicate says that a segment has left the network.
	l.dup = min(l.dup+1, 254)
	a.delivered += uint32(s.mss)

	// They cannot all have left: at least the one that is asked for has not. So a receiver gains
	// no window by duplicates without end, the attack in RFC 5681 §3.2 step 4.
	l.reno = min(l.reno+uint32(s.mss), uint32(s.nxt-s.una)-min(uint32(s.nxt-s.una), uint32(s.mss)))

	// DupThresh duplicates, three to begin with (RFC 5681 §3.2 step 2). Duplicates for data
	// from before the recovery point may be answers to retransmissions (RFC 6582 §3.2 step 2).
	if l.state == cc.Open && uint16(l.dup) >= l.reordering && s.una >= l.high {
		s.markFirst(t, now, a)
	}
}

// enterRecovery begins fast recovery (RFC 6675 §5; RFC 6937).
func (s *sender) enterRecovery(t *tcb, now time.Duration) {
	if t.flags&useSACK != 0 {
		inc(&t.count().TCPSackRecovery)
	} else {
		inc(&t.count().TCPRenoRecovery)
	}

	s.beginReduction(t, now, cc.Recovery, cc.ByLoss)
	s.startUndo()
}

// startUndo begins to look for signs that the recovery is needless. As long as
// nothing was sent again, undoRetrans is -1: there is nothing for DSACKs to answer.
func (s *sender) startUndo() {
	l := &s.flight.loss
	l.undo, l.undoMarker, l.undoRetrans = true, s.una, int32(l.retrans)
	if l.retrans == 0 {
		l.undoRetrans = -1
	}

	s.forgetResent()
}

// forgetResent begins anew to look for the first retransmission, unless some from
// before are still out: an acknowledgment of theirs must not look like one of a
// first transmission (RFC 3522 asks for the first of all that may be answered).
func (s *sender) forgetResent() {
	l, b := &s.flight.loss, &s.flight.scoreboard
	if l.retrans == 0 && (b.n == 0 || b.at(b.first()).sent < 2) {
		l.firstResent = 0
	}
}

// beginReduction begins a reduction of the window.
func (s *sender) beginReduction(t *tcb, now time.Duration, st cc.State, why cc.Cause) {
	f := s.flight
	l := &f.loss
	prior := f.cc.CWnd()

	// CWR that turns out to be loss goes on as one reduction: one a round trip (RFC 3168
	// §6.1.2).
	if l.state == cc.Open {
		f.cc.Congestion(&cc.Event{
			Now: now, Cause: why, InFlight: uint32(s.nxt - s.una), SndNxt: s.nxt,
		})
		l.prior, l.prrDelivered, l.prrOut = prior, 0, 0

		// RecoverPoint, and PRR's start (RFC 6937 §3). A controller with a model of its own
		// leads the window itself.
		if !f.cc.OwnsRecovery() {
			l.cwnd = prior
		}
		l.high = s.nxt

		// An undo would take this reduction back, not the one that retransmissions have answered.
		l.undo = false
	}

	// What a loss probe was to find out, recovery finds (RFC 8985 §7.1).
	l.state = st
	l.tlpHigh = 0
	if t.cfg.Trace != 0 {
		why := trace.RecoveryBegan
		if st == cc.CWR {
			why = trace.CongestionCE
		}
		s.tellWindow(t, why)
	}
}

// prr is proportional rate reduction with the slow-start bound (RFC 6937
// §3): what may be sent follows what was delivered.
func (s *sender) prr(a *ackInfo, inFlight uint32) {
	l := &s.flight.loss
	mss := uint32(s.mss)
	target := s.flight.cc.CWnd()
	l.prrDelivered += a.delivered

	var n uint32
	if inFlight > target {
		// Rounded up to a segment, as Linux does: half of one waits for nothing.
		// Proportional: in the round trip in which prior bytes are delivered, target bytes
		// leave.
		unit := uint64(max(l.prior, 1)) * uint64(mss)
		n = uint32((uint64(target)*uint64(l.prrDelivered)+unit-1)/unit) * mss

		n -= min(n, l.prrOut)
	} else {
		// The slow-start bound: below the aim the window grows with what is delivered, so that
		// losses beyond the reduction do not leave the path empty.
		n = max(l.prrDelivered-min(l.prrDelivered, l.prrOut), a.delivered)
		if a.acked > 0 && a.lost == 0 {
			n += mss // progress without loss: one segment more (RFC 9937)
		}
		n = min(n, target-inFlight)
	}

	if l.prrOut == 0 {
		n = max(n, mss) // the fast retransmission
	}
	l.cwnd = inFlight + n
}

// endReduction returns to Open.
func (s *sender) endReduction(t *tcb, now time.Duration) {
	f := s.flight
	l := &f.loss

	// Sixteen recoveries without a DSACK, and the reordering window has its first size again
	// (RFC 8985 §6.2 step 4).
	if l.state == cc.Recovery && l.persist > 0 {
		l.persist--
	}

	// undo stays: the DSACKs of the last retransmissions come later.
	l.state, l.cwnd, l.frto = cc.Open, 0, false
	f.cc.Recovered(now)
	if t.cfg.Trace != 0 {
		s.tellWindow(t, trace.RecoveryEnded)
	}
}

// tryUndo takes back a reduction that proves needless, and reports whether it did:
// everything that was sent again had arrived before, or the acknowledgment was
// caused by a first transmission.
func (s *sender) tryUndo(t *tcb, now time.Duration, a *ackInfo) bool {
	l := &s.flight.loss
	if !l.undo {
		return false
	}

	if l.undoRetrans != 0 && !(a.acked > 0 && s.delayedOnly(t)) {
		return false
	}

	// After recovery only DSACKs can still tell: timestamps would be of what was sent since.
	if l.state == cc.Open && l.undoRetrans != 0 {
		return false
	}

	// Zero because nothing was sent again: there is no sign in that.
	if l.undoRetrans == 0 && l.firstResent == 0 {
		return false
	}

	s.undoReduction(t, now)
	return true
}

// delayedOnly is the Eifel test (RFC 3522): the peer echoes a timestamp from before
// the first retransmission.
func (s *sender) delayedOnly(t *tcb) bool {
	l := &s.flight.loss
	if t.flags&useTS == 0 || l.firstResent == 0 || s.tsEcr == 0 {
		return false
	}

	// Strictly before: of the same tick the echo may be of either transmission.
	return int32(s.tsEcr-s.tsNow(l.firstResent)) < 0
}

// undoReduction restores the window and takes back what was marked lost. It may be
// found lost again: what was sent once by the cursor, which goes back, and what was
// sent again by its queue, which is made anew.
func (s *sender) undoReduction(t *tcb, now time.Duration) {
	f := s.flight
	l := &f.loss
	b := &f.scoreboard
	if l.lost > 0 {
		for i := b.find(max(l.hint, s.una)); i < b.end() && l.lost > 0; i = b.next(i) {
			if r := b.at(i); r.flags&segLost != 0 {
				r.flags &^= segLost
				l.lost -= r.n
			}
		}
	}

	f.cc.Undo(now)
	l.undo, l.frto, l.cwnd = false, false, 0

	// What looked like loss was reordering: RACK gives it more time from now on (RFC 8985 §6.2
	// step 4).
	l.rack.seen = l.rack.seen || l.state == cc.Recovery
	l.next = s.una
	l.requeue(b)

	// The backoff was needless, too.
	t.rtt.setRTO(t.cfg)
	s.retrans = 0
	if t.cfg.Trace != 0 {
		s.tellWindow(t, trace.Undone)
	}
}

// onTimeout takes what is in flight to be lost (RFC 5681 §3.1), except
// what RACK knows to have been sent just now.
func (s *sender) onTimeout(t *tcb, now time.Duration) {
	f := s.flight
	l := &f.loss
	b := &f.scoreboard

	// The peer may drop what it has SACKed (RFC 2018 §8). If it has SACKed what it now misses,
	// no SACK counts any more.
	reneged := b.n > 0 && b.at(b.first()).flags&segSacked != 0

	if reneged {
		inc(&t.count().TCPSACKReneging)
	}

	if l.state <= cc.CWR || l.state == cc.Loss && s.una >= l.high || !l.undo {
		s.startUndo()
	}

	fresh := l.state < cc.Recovery

	// ssthresh is reduced once for a segment, however often it times out (RFC 5681 §3.1).
	e := cc.Event{
		Now: now, InFlight: uint32(s.nxt - s.una), SndNxt: s.nxt,
		Repeated: s.retrans > 1 || l.state == cc.Recovery || l.state == cc.Loss && s.una < l.high,
	}

	for i := b.first(); i < b.end(); i = b.next(i) {
		r := b.at(i)
		if reneged && r.flags&segSacked != 0 {
			r.flags &^= segSacked
			l.sacked -= r.n
		}

		// Sent less than a round trip ago: an acknowledgment may be on its way (RFC 8985 §6.3).
		if i > b.first() && t.flags&useSACK != 0 && !reneged && l.rtt > 0 && r.Sent+l.rtt > now {
			continue
		}
		s.markLost(t, now, i, trace.ByTimeout)
	}

	if reneged {
		l.seen, l.fack = [4]span{}, s.una
	}

	// Slow start from one segment is the controller's business (RFC 5681 §3.1): PRR, duplicates
	// and the loss probe (RFC 8985 §7.1) are over.
	l.state, l.cwnd = cc.Loss, 0
	l.reno, l.dup, l.tlpHigh = 0, 0, 0
	l.hint = s.una
	l.high = s.nxt

	// F-RTO begins (RFC 5682 §3.1 step 1), but where this timeout follows partial progress of the
	// last one, or fast recovery, whose retransmissions blur what the answers mean.
	l.frto = fresh || s.retrans > 1
	l.preferNew = false

	f.cc.Timeout(&e)
	if t.cfg.Trace != 0 {
		s.tellWindow(t, trace.TimedOut)
	}
}

// inLoss takes an acknowledgment after a timeout. It reports true if the rest of
// advanceRecovery is not to be done.
func (s *sender) inLoss(t *tcb, now time.Duration, a *ackInfo) bool {
	l := &s.flight.loss
	if a.acked > 0 && s.tryUndo(t, now, a) || s.undoByFRTO(t, now, a) {
		inc(&t.count().TCPLossUndo)
		s.endReduction(t, now)
		return false
	}

	done := s.una >= l.high

	if l.frto {
		switch {
		case s.nxt > l.high:
			if a.dataSacked || a.duplicate {
				l.frto = false // the loss was real (step 3a)
			}
		case a.acked > 0 && !done:
			// Step 2b: new data may tell.
			l.high = s.nxt
			if s.sndEnd(t) > s.nxt && s.una+uint64(s.wnd) > s.nxt {
				l.preferNew = true
				return true
			}

			// Nothing may leave that would tell: the timeout is believed (step 2b).
			l.frto = false
		}
	}

	if done {
		s.endReduction(t, now)
	}
	return false
}

// undoByFRTO takes the timeout back if data that was sent once, before it, has arrived
// (RFC 5682 §3.1 step 3b), and reports whether it did.
func (s *sender) undoByFRTO(t *tcb, now time.Duration, a *ackInfo) bool {
	if !s.flight.loss.frto || !a.origAcked {
		return false
	}

	// An acknowledgment of what was sent once, and before the timeout, cannot be an answer to
	// the retransmission: it was late, and nothing was lost.
	inc(&t.count().TCPSpuriousRTOs)
	s.undoReduction(t, now)
	return true
}
