package tcp

import (
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// The way of a segment, in the order of RFC 9293, section 3.10.7:
//
//	Segment
//	  inSynSent, inSynRcvd      handshake.go
//	  inSynchronized
//	    acceptable              timestamps, sequence number, RST, SYN
//	    inAck                   window, acknowledgment, recovery (loss.go)
//	    inData                  text, FIN
//	    judgeAck                acknowledge now or later (ack.go)

// Segment takes a segment that arrived, and its data. It returns the events that
// happened.
func (c *Conn) Segment(now time.Duration, s *Segment) wait.Events {
	c.stats.segsIn++
	switch c.state {
	case Closed, Listen:
		if r, ok := ResetFor(s); ok {
			c.todo |= todoReset
			c.setReset(&r)
		}
	case SynSent:
		c.inSynSent(now, s)
	case SynRcvd:
		c.inSynRcvd(now, s)
	case TimeWait:
		c.inTimeWait(now, s)
	default:
		c.inSynchronized(now, s)
	}
	s.Data.Release()
	return c.take()
}

// inSynchronized takes a segment in ESTABLISHED and the states after it, except
// TIME-WAIT.
func (c *Conn) inSynchronized(now time.Duration, s *Segment) {
	seq := c.rcv.rcvOff(s.Seq)
	if !c.acceptable(now, seq, s) {
		return
	}
	c.timer.heard = now
	if !c.inAck(now, seq, s) {
		return
	}
	c.rcv.hearECN(&c.tcb, s)
	if s.Flags&wire.URG != 0 {
		c.rcv.inUrgent(&c.tcb, seq, s)
	}
	switch c.state {
	case Closed:
		return
	case CloseWait, LastAck, Closing, TimeWait:
		// The peer has ended its direction: there is no more text (section 3.10.7.4).
		// What repeats something is acknowledged again.
		if s.Len() > 0 && seq < c.rcv.nxt {
			c.rcv.duplicate(&c.tcb, seq, s)
			c.ackNow()
		}
		return
	}
	if s.Data.Len() > 0 || s.Flags&wire.FIN != 0 {
		if c.shut&orphan != 0 || c.shut&shutRead != 0 && c.state.finSent() {
			if seq+uint64(s.Data.Len()) > c.rcv.nxt && s.Data.Len() > 0 {
				// Data for a program that has gone (RFC 1122, section 4.2.2.13).
				c.fail(syscall.ECONNRESET)
				c.resetWith(s.Ack)
				return
			}
		}
		c.inData(now, s, seq)
	}
}

// acceptable applies the first, second and fourth check: timestamps (RFC 7323,
// section 5), sequence number, RST, SYN. A segment that fails is answered.
func (c *Conn) acceptable(now time.Duration, seq uint64, s *Segment) bool {
	if !c.rcv.checkPAWS(&c.tcb, now, s) {
		if s.Flags&wire.RST == 0 {
			c.rcv.answerOld(&c.tcb, now, seq, s)
			return false
		}
	}
	if !c.rcv.inWindow(seq, s) {
		if s.Flags&wire.RST != 0 {
			// A RST one below RCV.NXT may follow our peer's FIN.
			if seq == c.rcv.nxt-1 && c.flags&finRcvd != 0 {
				c.inReset()
			}
			return false
		}
		if s.Flags&wire.SYN != 0 {
			c.rcv.challenge(&c.tcb, now)
		} else {
			c.rcv.answerOld(&c.tcb, now, seq, s)
		}
		return false
	}
	if s.Flags&(wire.RST|wire.SYN) != 0 {
		if s.Flags&wire.RST == 0 {
			c.rcv.challenge(&c.tcb, now) // RFC 5961, section 4
		} else if seq == c.rcv.nxt || c.rcv.atSACKEdge(&c.tcb, seq) {
			c.inReset()
		} else {
			c.rcv.challenge(&c.tcb, now) // RFC 5961, section 3
		}
		return false
	}
	return s.Flags&wire.ACK != 0
}

// checkPAWS reports whether the timestamp is not older than the last one taken
// (RFC 7323, section 5.3). One that was taken 24 days ago says nothing.
func (r *receiver) checkPAWS(t *tcb, now time.Duration, s *Segment) bool {
	if t.flags&useTS == 0 || !s.Options.HasTimestamp {
		return true
	}
	if int32(s.Options.TSVal-r.tsRecent) >= 0 {
		return true
	}
	const old = 24 * 24 * 3600
	return uint32(now/time.Second)-r.tsAt > old
}

// inWindow is the acceptance test of section 3.4 in Linux's form: the segment
// must not end before the last acknowledgment sent, nor begin behind the window.
// A segment at the right edge of a zero window is let through for its ACK.
func (r *receiver) inWindow(seq uint64, s *Segment) bool {
	if seq+uint64(s.Len()) < r.lastAck {
		return false
	}
	return seq <= max(r.adv, r.nxt)
}

// answerOld acknowledges a segment that is outside the window or old, at a
// limited rate where it has no data, so that two peers cannot keep each other
// busy.
func (r *receiver) answerOld(t *tcb, now time.Duration, seq uint64, s *Segment) {
	if s.Data.Len() == 0 && s.Flags&(wire.SYN|wire.FIN) == 0 {
		if !r.oowAllowed(t, now) {
			return
		}
	} else {
		if seq < r.nxt {
			r.duplicate(t, seq, s)
			r.quickAck(now, quickCount)
		}
	}
	t.ackNow()
}

// oowAllowed reports whether an answer to an invalid segment may be sent.
func (r *receiver) oowAllowed(t *tcb, now time.Duration) bool {
	if r.ack.oowAt != 0 && now-r.ack.oowAt < t.cfg.InvalidRateLimit {
		return false
	}
	r.ack.oowAt = max(now, 1)
	return true
}

// challenge sends a challenge ACK (RFC 5961).
func (r *receiver) challenge(t *tcb, now time.Duration) {
	if r.oowAllowed(t, now) {
		t.ackNow()
	}
}

// inReset takes a valid RST (section 3.10.7.4, second check).
func (c *Conn) inReset() {
	switch c.state {
	case CloseWait:
		c.fail(syscall.EPIPE)
	default:
		c.fail(syscall.ECONNRESET)
	}
}

// inAck takes the acknowledgment and the window. It reports false if the segment
// is to be dropped.
func (c *Conn) inAck(now time.Duration, seq uint64, s *Segment) bool {
	ack := c.snd.sndOff(s.Ack)
	if ack > c.snd.nxt {
		// Acknowledges what was never sent.
		c.rcv.challenge(&c.tcb, now)
		return false
	}
	if ack+min(uint64(c.snd.maxWnd), c.stats.bytesAcked) < c.snd.una {
		c.rcv.challenge(&c.tcb, now) // RFC 5961, section 5.2
		return false
	}
	if c.flags&useTS != 0 && s.Options.HasTimestamp && seq <= c.rcv.lastAck && c.rcv.checkPAWS(&c.tcb, now, s) {
		c.rcv.tsRecent, c.rcv.tsAt = s.Options.TSVal, uint32(now/time.Second)
	}
	c.snd.tsEcr = s.Options.TSEcr
	update := ack >= c.snd.una && c.snd.updateWindow(seq, ack, uint32(s.Window)<<c.snd.wscale)
	if c.snd.nxt == c.snd.una {
		// Nothing is in flight.
		if c.snd.probes != 0 || c.timer.kind == rtxProbe && c.timer.rtx != never {
			c.snd.ackedProbe(&c.tcb, now, c.rcv.sackLen(&c.tcb))
		}
		return true
	}
	c.snd.onAck(&c.tcb, now, ack, s, update)
	if c.flags&finQueued != 0 && c.snd.una > c.snd.q.End() {
		c.ackedFIN(now)
	}
	return c.state != Closed
}

// updateWindow takes SEG.WND if the segment is not older than the one that the
// window was last taken from (section 3.10.7.4, fifth check), and reports whether it
// did.
func (s *sender) updateWindow(seq, ack uint64, wnd uint32) bool {
	if ack > s.una || seq > s.wl1 ||
		seq == s.wl1 && (wnd > s.wnd || wnd == 0) {
		s.wl1 = seq
		s.wnd = wnd
		s.maxWnd = max(s.maxWnd, wnd)
		return true
	}
	return false
}

// ackedFIN moves on once our FIN is acknowledged.
func (c *Conn) ackedFIN(now time.Duration) {
	switch c.state {
	case FinWait1:
		c.setState(FinWait2)
		if c.shut&orphan != 0 {
			c.orphanFinWait2(now)
		}
	case Closing:
		c.enterTimeWait(now)
	case LastAck:
		c.over()
	}
}

// inData takes the text and the FIN (RFC 9293 §3.10.7.4, seventh and eighth check).
func (c *Conn) inData(now time.Duration, s *Segment, seq uint64) {
	if c.rare != nil {
		c.rcv.urgentByte(&c.tcb, seq, s)
	}
	if s.Data.Len() > 0 {
		c.stats.dataIn++
	}
	seq, fin, ok := c.rcv.trim(&c.tcb, now, s, seq)
	if !ok {
		return
	}

	// What lies behind a gap waits for it, its FIN with it.
	if seq > c.rcv.nxt {
		c.rcv.inDisorder(&c.tcb, now, s, seq, fin)
		return
	}

	n := s.Data.Len()
	if n > 0 {
		c.rcv.deliver(&c.tcb, now, s, n)
	}
	if c.rcv.ooo != nil {
		fin = c.rcv.closeGap(&c.tcb) || fin
	}
	if fin && c.rcv.nxt >= seq+uint64(n) {
		c.inFIN(now)
	}
	c.rcv.judgeAck(&c.tcb, now, n)
}

// trim cuts a segment to what is new and inside the window (RFC 9293 §3.10.7.4, first
// check) and returns where it begins then and whether its FIN is left. It reports false
// if nothing is: the peer is told at once what is expected.
func (r *receiver) trim(t *tcb, now time.Duration, s *Segment, seq uint64) (start uint64, fin, ok bool) {
	n := s.Data.Len()
	fin = s.Flags&wire.FIN != 0
	end := seq + uint64(n)
	edge := max(r.adv, r.nxt)
	switch {
	case end < r.nxt || end == r.nxt && !fin && n > 0 && seq < r.nxt:
		// All of it is old.
		r.duplicate(t, seq, s)
		r.quickAck(now, quickCount)
		t.ackNow()
		return seq, false, false
	case seq >= edge && n > 0:
		// Behind the window: a probe, or a peer that ignores it.
		r.quickAck(now, quickCount)
		t.ackNow()
		return seq, false, false
	}

	if seq < r.nxt {
		if n > 0 {
			r.duplicate(t, seq, s)
		}
		s.Data.TrimFront(int(min(r.nxt-seq, uint64(n))))
		seq = min(r.nxt, end)
	}

	// Without the data before it a FIN does not count either.
	if end > edge {
		s.Data.Truncate(int(edge - seq))
		fin = false
		r.quickAck(now, quickCount)
	}
	return seq, fin, true
}

// deliver moves in-order data to the receive queue.
func (r *receiver) deliver(t *tcb, now time.Duration, s *Segment, n int) {
	q := &r.q
	if q.Mem() > int(r.bufSize) {
		r.pushDense(s)
	} else {
		q.PushVec(&s.Data)
	}
	r.nxt = q.End()
	r.dataArrived(t, now, n, s.Flags)
	if r.readable(t) {
		t.events |= wait.In
	}
}

// pushDense is for a queue whose blocks take more than the buffer: what fills less
// than half of its block is copied, rather than a large block held for a few bytes.
func (r *receiver) pushDense(s *Segment) {
	q := &r.q
	for _, v := range s.Data.Views() {
		if 2*v.Len() < v.Cap() {
			q.Append(v.Bytes())
			continue
		}
		v.Retain()
		q.Push(v)
	}
}

// inFIN takes the peer's FIN, which comes next.
func (c *Conn) inFIN(now time.Duration) {
	c.rcv.nxt = c.rcv.q.End() + 1
	c.flags |= finRcvd
	c.shut |= shutRead
	c.rcv.dropDisorder()
	c.events |= wait.In | wait.RdHup
	if c.shut&shutWrite != 0 {
		c.events |= wait.Hup
	}
	switch c.state {
	case Established:
		c.setState(CloseWait)
		c.rcv.ack.pingpong = true
		c.rcv.delayAck(&c.tcb, now)
	case FinWait1:
		// Our FIN is not acknowledged yet, or the state were FIN-WAIT-2.
		c.setState(Closing)
		c.ackNow()
	case FinWait2:
		c.ackNow()
		c.enterTimeWait(now)
	}
}
