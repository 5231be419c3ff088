package tcp

import (
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// The way of a segment, in the order of RFC 9293 §3.10.7:
//
//	Segment
//	  inSynSent, inSynRcvd      handshake.go
//	  inSynchronized
//	    acceptable              timestamps, sequence number, RST, SYN
//	    inAck                   window, then sender.onAck (loss.go)
//	    inData                  text (receiver.go), FIN
//	    scheduleAck             acknowledge now or later (ack.go)

// Segment takes a segment that arrived, and its data. It returns the events that
// happened.
func (c *Conn) Segment(now time.Duration, s *Segment) wait.Events {
	k := uint32(s.Segments())
	c.stats.segsIn += k
	if s.Data.Len() > 0 {
		c.stats.dataIn += k // whatever becomes of it (Linux, tcp_segs_in)
	}
	if c.cfg.Trace != 0 {
		c.tellReceived(s)
	}

	switch c.state {
	case Closed, Listen:
		// Nothing but a RST is due to a connection that does not exist (RFC 9293 §3.10.7.1).
		c.answerReset(s)
	case SynSent:
		c.inSynSent(now, s)
	case SynRcvd:
		c.inSynRcvd(now, s)
	case TimeWait:
		c.inTimeWait(now, s)
	default:
		c.inSynchronized(now, s)
	}

	// Whoever keeps a part of it has taken a reference of his own.
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

	// A sign of life only now that it is acceptable: else anybody who knows the ports could
	// keep a dead connection from its keepalive.
	c.timer.heard = now

	if !c.inAck(now, seq, s) {
		return
	}

	// Marks count on segments in the window alone: a forged one must not halve the peer's rate
	// (RFC 3168 §6.1.5).
	c.rcv.hearECN(&c.tcb, s)
	if s.Flags&wire.URG != 0 {
		c.rcv.inUrgent(&c.tcb, seq, s)
	}

	switch c.state {
	case Closed:
		return
	case CloseWait, LastAck, Closing, TimeWait:
		// The peer has ended its direction: there is no more text (RFC 9293 §3.10.7.4).
		// What repeats something is acknowledged again.
		if s.Len() > 0 && seq < c.rcv.nxt {
			inc(&c.count().DelayedACKLost)
			c.rcv.duplicate(&c.tcb, seq, s)
			c.ackNow()
		}
		return
	}

	if s.Data.Len() > 0 || s.Flags&wire.FIN != 0 {
		if c.shut&orphan != 0 || c.shut&shutRead != 0 && c.state.finSent() {
			if seq+uint64(s.Data.Len()) > c.rcv.nxt && s.Data.Len() > 0 {
				// Data for a program that has gone: it is lost, and the peer is told so (RFC 9293
				// §3.6.1, SHLD-3).
				inc(&c.count().TCPAbortOnData)
				c.fail(syscall.ECONNRESET)
				c.resetWith(s.Ack)
				return
			}
		}
		c.inData(now, s, seq)
	}
}

// acceptable applies the first, second and fourth check: timestamps (RFC 7323
// §5), sequence number, RST, SYN. A segment that fails is answered.
func (c *Conn) acceptable(now time.Duration, seq uint64, s *Segment) bool {
	if !c.rcv.checkPAWS(&c.tcb, now, s) {
		// A RST is let on: it may come from a host that has lost its clock, and its number is
		// checked (RFC 7323 §5.3 R1).
		if s.Flags&wire.RST == 0 {
			inc(&c.count().PAWSEstab)
			c.rcv.answerOld(&c.tcb, now, seq, s, &c.count().TCPACKSkippedPAWS)
			return false
		}
	}

	if !c.rcv.inWindow(&c.tcb, seq, s) {
		if s.Flags&wire.RST != 0 {
			// A RST one below RCV.NXT may follow our peer's FIN.
			if seq == c.rcv.nxt-1 && c.flags&finRcvd != 0 {
				c.inReset()
			}
			return false
		}

		// A SYN gets a challenge wherever it is (RFC 5961 §4.2).
		if s.Flags&wire.SYN != 0 {
			c.challengeSYN(now)
		} else {
			c.rcv.answerOld(&c.tcb, now, seq, s, &c.count().TCPACKSkippedSeq)
			if s.Flags&wire.ACK != 0 && c.rcv.heardBehind(&c.tcb, seq, seq+uint64(s.Len())) {
				c.inAck(now, seq, s)
			}
		}
		return false
	}

	// Second and fourth check, with the guards against blind attacks. A RST ends the connection
	// with exactly the next number only (RFC 5961 §3.2), or with the one behind the last byte
	// SACKed, which a peer that we still miss something of takes for its next (Linux,
	// tcp_validate_incoming). Others in the window, and every SYN (§4.2), are challenged: a
	// peer that really has lost the connection answers that with a RST of the right number.
	if s.Flags&(wire.RST|wire.SYN) != 0 {
		if s.Flags&wire.RST == 0 {
			c.challengeSYN(now)
		} else if seq == c.rcv.nxt || c.rcv.atSACKEdge(&c.tcb, seq) {
			c.inReset()
		} else {
			c.rcv.challenge(&c.tcb, now) // RFC 5961 §3.2
		}
		return false
	}

	// Fifth check: without ACK the segment is dropped (RFC 9293 §3.10.7.4).
	return s.Flags&wire.ACK != 0
}

// challengeSYN answers a SYN that comes to a synchronized connection (RFC 5961 §4.2).
func (c *Conn) challengeSYN(now time.Duration) {
	if c.state == Established {
		inc(&c.count().InErrs)
	}
	inc(&c.count().TCPSYNChallenge)
	c.rcv.challenge(&c.tcb, now)
}

// inReset takes a valid RST (RFC 9293 §3.10.7.4, second check).
func (c *Conn) inReset() {
	switch c.state {
	case CloseWait:
		// The peer had ended its direction already: only writing is hurt (Linux, tcp_reset).
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
		// What was never sent (RFC 9293 §3.10.7.4, fifth check). A lie, or a peer that has lost its
		// state: the answer shows it where we are, and nothing is taken from the segment.
		c.rcv.challenge(&c.tcb, now)
		return false
	}

	// Acknowledgments far below snd.una are guesses of somebody who does not see the stream: the
	// peer has none on the way that is older than its largest window, nor from before the stream
	// began.
	if ack+min(uint64(c.snd.maxWnd), c.stats.bytesAcked) < c.snd.una {
		c.rcv.challenge(&c.tcb, now) // RFC 5961 §5.2
		return false
	}

	// The timestamp to echo is of the segment that lies at the last acknowledgment sent: not of
	// one that comes out of order (RFC 7323 §4.3).
	if c.flags&useTS != 0 && s.Options.HasTimestamp && seq <= c.rcv.lastAck && c.rcv.checkPAWS(&c.tcb, now, s) {
		c.rcv.tsRecent, c.rcv.tsAt = s.Options.TSVal, uint32(now/time.Second)
	}

	// Zero where the segment has no timestamp, which delayedOnly takes for no sign.
	c.snd.tsEcr = s.Options.TSEcr

	// An acknowledgment from below snd.una is old, and its window with it (RFC 9293 §3.8.6).
	before := c.snd.wnd
	update := ack >= c.snd.una && c.snd.updateWindow(seq, ack, uint32(s.Window)<<c.snd.wscale)
	if c.cfg.Trace != 0 {
		c.tellPeerWindow(before)
	}

	c.answeredMore(s, ack > c.snd.una)
	if c.snd.nxt == c.snd.una {
		// Nothing is in flight: at most it answers a probe.
		if c.snd.probes != 0 || c.timer.kind == rtxWindowProbe && c.timer.rtx != never {
			c.snd.ackedWindowProbe(&c.tcb, now, c.rcv.sackLen(&c.tcb))
		}
		c.snd.onDSACK(&c.tcb, now, ack, s)
		return true
	}

	c.snd.onAck(&c.tcb, now, ack, s, update)

	// The FIN has the number behind the last byte.
	if c.flags&finQueued != 0 && c.snd.una > c.snd.q.End() {
		c.ackedFIN(now)
	}

	return c.state != Closed
}

// ackedFIN moves on once our FIN is acknowledged.
func (c *Conn) ackedFIN(now time.Duration) {
	switch c.state {
	case FinWait1:
		c.setState(FinWait2)

		// A program that still reads may wait for the peer's FIN as long as it likes; nobody
		// waits for an orphan.
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
	if c.lazy != nil {
		c.rcv.urgentByte(&c.tcb, seq, s)
	}
	seq, fin, ok := c.rcv.trim(&c.tcb, now, s, seq)
	if !ok {
		return
	}

	if c.cfg.Memory.pressed() && s.Data.Len() > 0 && !c.makeRoom(s, seq) {
		return
	}

	// What lies behind a gap waits for it, its FIN with it.
	if seq > c.rcv.nxt {
		c.rcv.queueOutOfOrder(&c.tcb, now, s, seq, fin)
		return
	}

	n := s.Data.Len()
	if n > 0 {
		c.rcv.deliver(&c.tcb, now, s, n)
		if c.rcv.windowCame() {
			c.rcv.measureRTT(now, c.snd.tripOf(&c.tcb, now, s))
		}
	}
	// What is held behind a FIN is no part of the stream.
	if c.rcv.ooo != nil && !fin {
		fin = c.rcv.closeGap(&c.tcb)
	}
	if fin {
		c.inFIN(now)
	}
	c.rcv.scheduleAck(&c.tcb, now, n)
}

// inFIN takes the peer's FIN, which comes next.
func (c *Conn) inFIN(now time.Duration) {
	// A FIN takes a number: acknowledging it shows that the end was reached (RFC 9293
	// §3.10.7.4, eighth check).
	c.rcv.nxt = c.rcv.q.End() + 1
	c.flags |= finRcvd
	c.shut |= shutRead

	// Nothing behind a FIN is part of the stream.
	c.rcv.dropOutOfOrder()

	c.events |= wait.In | wait.RdHup
	if c.shut&shutWrite != 0 {
		c.events |= wait.Hup
	}

	switch c.state {
	case Established:
		c.setState(CloseWait)

		// The program is likely to close as well: its FIN can carry the acknowledgment.
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
