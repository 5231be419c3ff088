package tcp

import (
	"time"

	"usock/internal/cc"
	"usock/internal/wire"
	"usock/trace"
)

// alert moves between the states of recovery after an acknowledgment.
func (c *Conn) alert(now time.Duration, a *ackInfo) {
	f := c.fl
	l := &f.loss
	if l.state == cc.Open && l.sacked == 0 && l.lost == 0 && !a.duplicate && !a.dsack && !a.ece {
		return
	}
	l.preferNew = false
	done := c.snd.una >= l.high
	more := false // losses behind the recovery point were found: they begin the next recovery
	switch l.state {
	case cc.CWR:
		if done && a.acked > 0 {
			c.endReduction(now)
		}
	case cc.Recovery:
		if c.tryUndo(now, a) {
			c.endReduction(now)
		} else if done && a.acked > 0 {
			c.endReduction(now)
			more = l.retrans > 0
		} else if a.acked > 0 && c.flags&useSACK == 0 {
			c.markFirst(a) // the next hole (RFC 6582, section 3.2, step 3)
		}
	case cc.Loss:
		if c.inLoss(now, a) {
			return
		}
	}
	if l.state == cc.Open && a.dsack {
		c.tryUndo(now, a)
	}
	c.identify(now, a)
	if (l.lost > 0 || more) && l.state < cc.Recovery {
		if c.probeFailed(now) {
			return
		}
		c.enterRecovery(now)
	}
	c.hearECE(a)
}

// identify marks what the acknowledgment shows to be lost.
func (c *Conn) identify(now time.Duration, a *ackInfo) {
	l := &c.fl.loss
	if c.flags&useSACK != 0 {
		if l.advanced {
			l.advanced = false
			a.wait = c.detect(now, a)
		}
		return
	}
	if !a.duplicate {
		return
	}
	// Each duplicate says that a segment has left the network.
	l.dup = min(l.dup+1, 254)
	a.delivered += uint32(c.snd.mss)
	l.reno = min(l.reno+uint32(c.snd.mss), uint32(c.snd.nxt-c.snd.una)-min(uint32(c.snd.nxt-c.snd.una), uint32(c.snd.mss)))
	if l.state == cc.Open && uint16(l.dup) >= l.reordering && c.snd.una >= l.high {
		c.markFirst(a)
	}
}

// enterRecovery begins fast recovery (RFC 6675, section 5; RFC 6937).
func (c *Conn) enterRecovery(now time.Duration) {
	c.reduce(now, cc.Recovery, cc.ByLoss)
	c.startUndo()
}

// startUndo begins to look for signs that the recovery is needless. As long as
// nothing was sent again, undoRetrans is -1: there is nothing for DSACKs to answer.
func (c *Conn) startUndo() {
	l := &c.fl.loss
	l.undo, l.undoMarker, l.undoRetrans = true, c.snd.una, int32(l.retrans)
	if l.retrans == 0 {
		l.undoRetrans = -1
	}
	c.forgetResent()
}

// forgetResent begins anew to look for the first retransmission, unless some from
// before are still out: an acknowledgment of theirs must not look like one of a
// first transmission (RFC 3522 asks for the first of all that may be answered).
func (c *Conn) forgetResent() {
	l, b := &c.fl.loss, &c.fl.board
	if l.retrans == 0 && (b.n == 0 || b.at(0).sent < 2) {
		l.firstResent = 0
	}
}

// reduce begins a reduction of the window.
func (c *Conn) reduce(now time.Duration, st cc.State, why cc.Cause) {
	f := c.fl
	l := &f.loss
	prior := f.cc.CWnd()
	if l.state == cc.Open {
		f.cc.Congestion(&cc.Event{
			Now: now, Cause: why, InFlight: uint32(c.snd.nxt - c.snd.una), SndNxt: c.snd.nxt,
		})
		l.prior, l.prrDelivered, l.prrOut = prior, 0, 0
		if !f.cc.OwnsRecovery() {
			l.cwnd = prior
		}
		l.high = c.snd.nxt
	}
	l.state = st
	l.tlpHigh = 0
	if c.cfg.Trace != nil {
		why := trace.RecoveryBegan
		if st == cc.CWR {
			why = trace.CongestionCE
		}
		c.tellWindow(why)
	}
}

// prr is proportional rate reduction with the slow-start bound (RFC 6937, section
// 3): what may be sent follows what was delivered.
func (c *Conn) prr(a *ackInfo, inFlight uint32) {
	l := &c.fl.loss
	mss := uint32(c.snd.mss)
	target := c.fl.cc.CWnd()
	l.prrDelivered += a.delivered
	var n uint32
	if inFlight > target {
		// Rounded up to a segment, as Linux does: half of one waits for nothing.
		unit := uint64(max(l.prior, 1)) * uint64(mss)
		n = uint32((uint64(target)*uint64(l.prrDelivered)+unit-1)/unit) * mss
		n -= min(n, l.prrOut)
	} else {
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
func (c *Conn) endReduction(now time.Duration) {
	f := c.fl
	l := &f.loss
	if l.state == cc.Recovery && l.persist > 0 {
		l.persist--
	}
	l.state, l.cwnd, l.undo, l.frto = cc.Open, 0, false, false
	f.cc.Recovered(now)
	if c.cfg.Trace != nil {
		c.tellWindow(trace.RecoveryEnded)
	}
}

// tryUndo takes back a reduction that proves needless, and reports whether it did:
// everything that was sent again had arrived before, or the acknowledgment was
// caused by a first transmission.
func (c *Conn) tryUndo(now time.Duration, a *ackInfo) bool {
	l := &c.fl.loss
	if !l.undo {
		return false
	}
	if l.undoRetrans != 0 && !(a.acked > 0 && c.delayedOnly()) {
		return false
	}
	if l.state == cc.Open && l.undoRetrans != 0 {
		return false
	}
	if l.undoRetrans == 0 && l.firstResent == 0 {
		return false
	}
	c.undoReduction(now)
	return true
}

// delayedOnly is the Eifel test (RFC 3522): the peer echoes a timestamp from before
// the first retransmission.
func (c *Conn) delayedOnly() bool {
	l := &c.fl.loss
	if c.flags&useTS == 0 || l.firstResent == 0 || c.rcv.tsEcr == 0 {
		return false
	}
	return int32(c.rcv.tsEcr-c.tsNow(l.firstResent)) < 0
}

// undoReduction restores the window and takes back what was marked lost. It may be
// found lost again: what was sent once by the cursor, which goes back, and what was
// sent again by its queue, which is made anew.
func (c *Conn) undoReduction(now time.Duration) {
	f := c.fl
	l := &f.loss
	b := &f.board
	if l.lost > 0 {
		for i := b.find(max(l.hint, c.snd.una)); i < b.n && l.lost > 0; i++ {
			if r := b.at(i); r.flags&recLost != 0 {
				r.flags &^= recLost
				l.lost -= r.n
			}
		}
	}
	f.cc.Undo(now)
	l.undo, l.frto, l.cwnd = false, false, 0
	l.rack.seen = l.rack.seen || l.state == cc.Recovery
	l.next = c.snd.una
	l.requeue(b)
	c.rtt.setRTO(c.cfg)
	c.snd.retrans = 0
	if c.cfg.Trace != nil {
		c.tellWindow(trace.Undone)
	}
}

// onTimeout takes what is in flight to be lost (RFC 5681, section 3.1), except
// what RACK knows to have been sent just now.
func (c *Conn) onTimeout(now time.Duration) {
	f := c.fl
	l := &f.loss
	b := &f.board
	reneged := b.n > 0 && b.at(0).flags&recSacked != 0
	if l.state <= cc.CWR || l.state == cc.Loss && c.snd.una >= l.high || !l.undo {
		c.startUndo()
	}
	fresh := l.state <= cc.Recovery
	e := cc.Event{
		Now: now, InFlight: uint32(c.snd.nxt - c.snd.una), SndNxt: c.snd.nxt,
		Repeated: c.snd.retrans > 1 || l.state == cc.Recovery || l.state == cc.Loss && c.snd.una < l.high,
	}
	for i := uint32(0); i < b.n; i++ {
		r := b.at(i)
		if reneged && r.flags&recSacked != 0 {
			r.flags &^= recSacked
			l.sacked -= r.n
		}
		if i > 0 && c.flags&useSACK != 0 && !reneged && l.rtt > 0 && r.Sent+l.rtt > now {
			continue
		}
		c.markLost(i, trace.ByTimeout)
	}
	if reneged {
		l.seen, l.fack = [4]span{}, c.snd.una
	}
	l.state, l.cwnd = cc.Loss, 0
	l.reno, l.dup, l.tlpHigh = 0, 0, 0
	l.hint = c.snd.una
	l.high = c.snd.nxt
	l.frto = fresh || c.snd.retrans > 1
	l.preferNew = false
	f.cc.Timeout(&e)
	if c.cfg.Trace != nil {
		c.tellWindow(trace.TimedOut)
	}
}

// inLoss takes an acknowledgment after a timeout. It reports true if the rest of
// alert is not to be done.
func (c *Conn) inLoss(now time.Duration, a *ackInfo) bool {
	l := &c.fl.loss
	if a.acked > 0 && c.tryUndo(now, a) || l.frto && a.origAcked && c.undoLoss(now) {
		c.endReduction(now)
		return false
	}
	done := c.snd.una >= l.high
	if l.frto {
		switch {
		case c.snd.nxt > l.high:
			if a.dataSacked || a.duplicate {
				l.frto = false // the loss was real (step 3a)
			}
		case a.acked > 0 && !done:
			// Step 2b: new data may tell.
			l.high = c.snd.nxt
			if c.sndEnd() > c.snd.nxt && c.snd.una+uint64(c.snd.wnd) > c.snd.nxt {
				l.preferNew = true
				return true
			}
			l.frto = false
		}
	}
	if done {
		c.endReduction(now)
	}
	return false
}

// undoLoss is F-RTO's verdict: data that was sent once, before the timeout, has
// arrived (RFC 5682, section 3.1, step 3b).
func (c *Conn) undoLoss(now time.Duration) bool {
	c.undoReduction(now)
	return true
}

// nextLost returns the index of the first record that is marked lost.
func (c *Conn) nextLost() (uint32, bool) {
	f := c.fl
	b := &f.board
	i := b.find(max(f.loss.hint, c.snd.una))
	for i < b.n && b.at(i).flags&recLost == 0 {
		i++
	}
	return i, i < b.n
}

// buildRetransmission builds a segment again: from the first record that is lost,
// or a tail loss probe. ok is false if there is nothing of the kind to do and new
// data may be sent.
func (c *Conn) buildRetransmission(now time.Duration, s *Segment) (done, ok bool) {
	f := c.fl
	l := &f.loss
	if l.preferNew && c.snd.nxt == l.high && c.sndEnd() > c.snd.nxt {
		return false, false
	}
	if l.preferNew && c.snd.nxt > l.high {
		return false, false
	}
	i, found := c.nextLost()
	if !found {
		return false, false
	}
	mss := c.sendMSS()
	n := min(f.board.at(i).n, mss)
	inFlight := c.inFlight()
	if c.todo&todoRtx == 0 && inFlight+n > c.cwnd() {
		return false, true
	}
	// A window that was shrunk is respected, but for the first segment, which serves
	// as a probe.
	start, edge := f.board.at(i).start, c.snd.una+uint64(c.snd.wnd)
	switch {
	case start < edge:
		mss = uint32(min(uint64(mss), edge-start))
	case start > c.snd.una:
		return false, true
	}
	c.resend(now, s, i, mss)
	return true, true
}

// buildProbe builds the tail loss probe: the last segment again.
func (c *Conn) buildProbe(now time.Duration, s *Segment) bool {
	f := c.fl
	b := &f.board
	l := &f.loss
	c.todo &^= todoTLP
	if b.n == 0 || c.snd.una == c.snd.nxt {
		return false
	}
	mss := c.sendMSS()
	r := b.back()
	if r.flags&recSacked != 0 {
		return false
	}
	i := b.n - 1
	if r.n > mss {
		b.split(i, r.start+uint64((r.n-1)/mss*mss))
		i++
	}
	c.resend(now, s, i, mss)
	if c.cfg.Trace != nil {
		c.cfg.Trace.Last().Why = trace.ByProbe
	}
	l.tlpHigh, l.tlpRetrans = c.snd.nxt, true
	return true
}

// resend builds the record i again, cut to mss bytes.
func (c *Conn) resend(now time.Duration, s *Segment, i, mss uint32) {
	f := c.fl
	l := &f.loss
	b := &f.board
	c.todo &^= todoRtx
	inFlight := c.inFlight()
	if b.at(i).n > mss {
		b.split(i, b.at(i).start+uint64(mss))
	}
	r := b.at(i)
	data := int(min(r.end(), c.snd.q.End()) - min(r.start, c.snd.q.End()))
	var fl wire.TCPFlags
	if data > 0 {
		got := c.fill(s, r.start, data, int(mss))
		if got < data {
			b.split(i, r.start+uint64(got))
			r, data = b.at(i), got
		}
		if r.start+uint64(data) == c.snd.q.End() {
			fl |= wire.PSH
		}
	}
	if r.end() > c.snd.q.End() {
		fl |= wire.FIN
	}
	c.header(now, s, r.start, fl)
	c.putUrgent(s, r.start)
	c.putECN(s, false)
	if r.flags&recLost != 0 {
		l.lost -= r.n
		l.hint = max(l.hint, r.start)
	}
	if r.flags&recRetrans == 0 {
		l.retrans += r.n
	}
	r.flags = r.flags&^recLost | recRetrans
	r.sent = min(r.sent+1, 255)
	if c.cfg.Trace != nil {
		c.tellAgain(r)
	}
	f.rate.OnSend(&r.Stamp, now, inFlight, r.n)
	f.cc.Sent(now, inFlight, r.n)
	l.noteResent(r)
	if l.firstResent == 0 {
		l.firstResent = max(now, 1)
	}
	if l.undo {
		l.undoRetrans = max(l.undoRetrans, 0) + int32(r.n)
	}
	if l.cwnd != 0 {
		l.prrOut += r.n
	}
	c.stats.retransSegs++
	c.stats.retransBytes += uint64(data)
	c.stats.bytesSent += uint64(data)
	c.stats.dataOut++
	c.snd.lastData = now
	c.pace(now, r.n)
	if i == 0 || c.timer.rtx == never {
		c.timer.rtx, c.timer.kind = now+c.untilUser(now, c.rtt.timeout()), rtxRTO
	}
}
