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
	if c.cfg.Trace != nil {
		c.tellReceived(s)
	}
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
	seq := c.rcvOff(s.Seq)
	if !c.acceptable(now, seq, s) {
		return
	}
	c.timer.heard = now
	if !c.inAck(now, seq, s) {
		return
	}
	c.hearECN(s)
	if s.Flags&wire.URG != 0 {
		c.inUrgent(seq, s)
	}
	switch c.state {
	case Closed:
		return
	case CloseWait, LastAck, Closing, TimeWait:
		// The peer has ended its direction: there is no more text (section 3.10.7.4).
		// What repeats something is acknowledged again.
		if s.Len() > 0 && seq < c.rcv.nxt {
			c.duplicate(seq, s)
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
	if !c.checkPAWS(now, s) {
		if s.Flags&wire.RST == 0 {
			c.answerOld(now, seq, s)
			return false
		}
	}
	if !c.inWindow(seq, s) {
		if s.Flags&wire.RST != 0 {
			// A RST one below RCV.NXT may follow our peer's FIN.
			if seq == c.rcv.nxt-1 && c.flags&finRcvd != 0 {
				c.inReset()
			}
			return false
		}
		if s.Flags&wire.SYN != 0 {
			c.challenge(now)
		} else {
			c.answerOld(now, seq, s)
		}
		return false
	}
	if s.Flags&(wire.RST|wire.SYN) != 0 {
		if s.Flags&wire.RST == 0 {
			c.challenge(now) // RFC 5961, section 4
		} else if seq == c.rcv.nxt || c.atSACKEdge(seq) {
			c.inReset()
		} else {
			c.challenge(now) // RFC 5961, section 3
		}
		return false
	}
	return s.Flags&wire.ACK != 0
}

// checkPAWS reports whether the timestamp is not older than the last one taken
// (RFC 7323, section 5.3). One that was taken 24 days ago says nothing.
func (c *Conn) checkPAWS(now time.Duration, s *Segment) bool {
	if c.flags&useTS == 0 || !s.Options.HasTimestamp {
		return true
	}
	if int32(s.Options.TSVal-c.rcv.tsRecent) >= 0 {
		return true
	}
	const old = 24 * 24 * 3600
	return uint32(now/time.Second)-c.rcv.tsAt > old
}

// inWindow is the acceptance test of section 3.4 in Linux's form: the segment
// must not end before the last acknowledgment sent, nor begin behind the window.
// A segment at the right edge of a zero window is let through for its ACK.
func (c *Conn) inWindow(seq uint64, s *Segment) bool {
	if seq+uint64(s.Len()) < c.rcv.lastAck {
		return false
	}
	return seq <= max(c.rcv.adv, c.rcv.nxt)
}

// answerOld acknowledges a segment that is outside the window or old, at a
// limited rate where it has no data, so that two peers cannot keep each other
// busy.
func (c *Conn) answerOld(now time.Duration, seq uint64, s *Segment) {
	if s.Data.Len() == 0 && s.Flags&(wire.SYN|wire.FIN) == 0 {
		if !c.oowAllowed(now) {
			return
		}
	} else {
		if seq < c.rcv.nxt {
			c.duplicate(seq, s)
			c.quickAck(now, quickCount)
		}
	}
	c.ackNow()
}

// oowAllowed reports whether an answer to an invalid segment may be sent.
func (c *Conn) oowAllowed(now time.Duration) bool {
	if c.ack.oowAt != 0 && now-c.ack.oowAt < c.cfg.InvalidRateLimit {
		return false
	}
	c.ack.oowAt = max(now, 1)
	return true
}

// challenge sends a challenge ACK (RFC 5961).
func (c *Conn) challenge(now time.Duration) {
	if c.oowAllowed(now) {
		c.ackNow()
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
	ack := c.sndOff(s.Ack)
	if ack > c.snd.nxt {
		// Acknowledges what was never sent.
		c.challenge(now)
		return false
	}
	if ack+min(uint64(c.snd.maxWnd), c.stats.bytesAcked) < c.snd.una {
		c.challenge(now) // RFC 5961, section 5.2
		return false
	}
	if c.flags&useTS != 0 && s.Options.HasTimestamp && seq <= c.rcv.lastAck && c.checkPAWS(now, s) {
		c.rcv.tsRecent, c.rcv.tsAt = s.Options.TSVal, uint32(now/time.Second)
	}
	c.rcv.tsEcr = s.Options.TSEcr
	update := ack >= c.snd.una && c.updateWindow(seq, ack, uint32(s.Window)<<c.snd.wscale)
	if c.snd.nxt == c.snd.una {
		// Nothing is in flight.
		if c.snd.probes != 0 || c.timer.kind == rtxProbe && c.timer.rtx != never {
			c.ackedProbe(now)
		}
		return true
	}
	c.onAck(now, ack, s, update)
	if c.flags&finQueued != 0 && c.snd.una > c.snd.q.End() {
		c.ackedFIN(now)
	}
	return c.state != Closed
}

// updateWindow takes SEG.WND if the segment is not older than the one that the
// window was last taken from (section 3.10.7.4, fifth check), and reports whether it
// did.
func (c *Conn) updateWindow(seq, ack uint64, wnd uint32) bool {
	if ack > c.snd.una || seq > c.snd.wl1 ||
		seq == c.snd.wl1 && (wnd > c.snd.wnd || wnd == 0) {
		c.snd.wl1 = seq
		before := c.snd.wnd
		c.snd.wnd = wnd
		if c.cfg.Trace != nil {
			c.tellPeerWindow(before)
		}
		c.snd.maxWnd = max(c.snd.maxWnd, wnd)
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

// inData takes the text and the FIN (section 3.10.7.4, seventh and eighth check).
func (c *Conn) inData(now time.Duration, s *Segment, seq uint64) {
	n := s.Data.Len()
	fin := s.Flags&wire.FIN != 0
	if c.rare != nil {
		c.urgentByte(seq, s)
	}
	end := seq + uint64(n)
	if n > 0 {
		c.stats.dataIn++
	}
	edge := max(c.rcv.adv, c.rcv.nxt)
	switch {
	case end < c.rcv.nxt || end == c.rcv.nxt && !fin && n > 0 && seq < c.rcv.nxt:
		// All of it is old.
		c.duplicate(seq, s)
		c.quickAck(now, quickCount)
		c.ackNow()
		return
	case seq >= edge && n > 0:
		// Behind the window: a probe, or a peer that ignores it.
		c.quickAck(now, quickCount)
		c.ackNow()
		return
	}
	if seq < c.rcv.nxt {
		if n > 0 {
			c.duplicate(seq, s)
		}
		s.Data.TrimFront(int(min(c.rcv.nxt-seq, uint64(n))))
		seq = min(c.rcv.nxt, end)
		n = s.Data.Len()
	}
	if end > edge {
		s.Data.Truncate(int(edge - seq))
		n = s.Data.Len()
		end, fin = edge, false
		c.quickAck(now, quickCount)
	}
	if seq > c.rcv.nxt {
		c.inDisorder(now, s, seq, fin)
		return
	}
	if n > 0 {
		c.deliver(now, s, n)
	}
	if c.ooo != nil {
		fin = c.closeGap() || fin
	}
	if fin && c.rcv.nxt == max(end, c.rcv.nxt) {
		c.inFIN(now)
	}
	c.judgeAck(now, n)
}

// deliver moves in-order data to the receive queue.
func (c *Conn) deliver(now time.Duration, s *Segment, n int) {
	q := &c.rcv.q
	if q.Mem() > int(c.rcv.bufSize) {
		c.pushDense(s)
	} else {
		q.PushVec(&s.Data)
	}
	c.rcv.nxt = q.End()
	c.dataArrived(now, n, s.Flags)
	if c.readable() {
		c.events |= wait.In
	}
}

// pushDense is for a queue whose blocks take more than the buffer: what fills less
// than half of its block is copied, rather than a large block held for a few bytes.
func (c *Conn) pushDense(s *Segment) {
	q := &c.rcv.q
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
	c.dropDisorder()
	c.events |= wait.In | wait.RdHup
	if c.shut&shutWrite != 0 {
		c.events |= wait.Hup
	}
	switch c.state {
	case Established:
		c.setState(CloseWait)
		c.ack.pingpong = true
		c.delayAck(now)
	case FinWait1:
		// Our FIN is not acknowledged yet, or the state were FIN-WAIT-2.
		c.setState(Closing)
		c.ackNow()
	case FinWait2:
		c.ackNow()
		c.enterTimeWait(now)
	}
}
