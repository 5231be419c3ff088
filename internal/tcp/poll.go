package tcp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

// Poll builds the next segment into *s, or declines. It is the only builder of
// segments, and there is no other function that asks whether there is something
// to send. The views of s.Data have references for the caller; what *s held
// before is overwritten.
func (c *Conn) Poll(now time.Duration, s *Segment) bool {
	// Callers poll until this declines: it costs nothing where there is nothing.
	if c.todo == 0 && c.snd.idle(&c.tcb) {
		return false
	}

	*s = Segment{}

	// A reset comes first: with it the connection is over, and in CLOSED nothing else leaves.
	if c.todo&todoReset != 0 {
		c.buildReset(now, s)
		return true
	}

	switch c.state {
	case Closed:
		return false
	case SynSent, SynRcvd:
		// Nothing leaves before the SYN.
		if c.todo&todoSYN != 0 {
			c.buildSYN(now, s)
			return true
		}

		// The peer's SYN is there in SYN-RECEIVED, so that it can be acknowledged; data waits
		// for the handshake's end, but with Fast Open (RFC 7413 §4.2.2).
		if c.state == SynSent || !c.fastOpened() {
			return c.state == SynRcvd && c.buildAck(now, s)
		}
	}

	// Data carries the acknowledgment; only without data a segment is built for its sake.
	nxt := c.snd.nxt
	if c.snd.buildData(&c.tcb, now, s, c.rcv.sackLen(&c.tcb)) {
		c.header(now, s)

		// A retransmission does not advance snd.nxt: it is no answer of the program's.
		if c.snd.nxt != nxt && s.Data.Len() > 0 {
			c.rcv.answered(now)
		}
		return true
	}
	return c.buildAck(now, s)
}

// idle reports that there is neither data nor a FIN that was not sent, nor
// anything lost.
func (s *sender) idle(t *tcb) bool {
	return s.nxt >= s.sndEnd(t) && (s.flight == nil || s.flight.loss.lost == 0)
}

// buildAck builds a segment without data, if one is due: an acknowledgment or a
// probe.
func (c *Conn) buildAck(now time.Duration, s *Segment) bool {
	switch {
	case c.todo&todoProbe != 0:
		// An old number makes the peer acknowledge (RFC 9293 §3.8.4).
		c.todo &^= todoProbe
		s.Seq = c.snd.sndSeq(c.snd.una - 1)
		c.header(now, s)
	case c.todo&todoAck != 0:
		s.Seq = c.snd.sndSeq(c.acceptableSeq())
		c.header(now, s)

		// The same window as in the SYN-ACK, not scaled.
		if c.state == SynRcvd {
			s.Window = uint16(min(c.rcv.ssthresh, 65535))
		}
	default:
		return false
	}
	return true
}

// acceptableSeq is the number of a segment without data: snd.nxt, but no number that
// a peer that has shrunk its window would not accept.
func (c *Conn) acceptableSeq() uint64 {
	edge := c.snd.una + uint64(c.snd.wnd)

	// A window may be short by less than its unit because of rounding alone: that is no
	// shrinking.
	if edge >= c.snd.nxt || !c.state.synchronized() || c.flags&useWScale != 0 && c.snd.nxt-edge < 1<<c.rcv.wscale {
		return c.snd.nxt
	}
	return edge
}

// header adds to a segment of a synchronized connection what the receiver has to
// say: whatever leaves acknowledges.
func (c *Conn) header(now time.Duration, s *Segment) {
	s.Flags |= wire.ACK
	s.Ack = c.rcv.rcvSeq(c.rcv.nxt)
	s.Window = c.rcv.advertise(&c.tcb, now)

	// Once both have sent it in a SYN, every segment has it (RFC 7323 §3.2).
	if c.flags&useTS != 0 {
		s.Options.HasTimestamp = true
		s.Options.TSVal, s.Options.TSEcr = c.snd.tsNow(now), c.rcv.tsRecent
	}

	// Each acknowledgment while something is missing reports what is not (RFC 2018 §4).
	if c.rcv.ooo != nil && c.flags&useSACK != 0 {
		c.rcv.putSACK(&c.tcb, &s.Options)
	}

	// ECE is repeated in every acknowledgment until CWR arrives (RFC 3168 §6.1.3).
	if c.flags&(useECN|ceSeen) == useECN|ceSeen {
		s.Flags |= wire.ECE
	}

	c.stats.segsOut += uint32(s.Segments())
	c.rcv.ackSent(&c.tcb, now)
	if c.cfg.Trace != 0 {
		c.tellSent(s)
	}
}

func (c *Conn) buildReset(now time.Duration, s *Segment) {
	c.todo &^= todoReset
	r := &c.lazy.reset
	s.Seq, s.Ack, s.Flags = r.seq, r.ack, r.flags

	// A RST should have the option where it is in use; TSecr counts only with ACK (RFC 7323
	// §3.2).
	if c.flags&useTS != 0 && r.flags&wire.ACK != 0 {
		s.Options.HasTimestamp = true
		s.Options.TSVal, s.Options.TSEcr = c.snd.tsNow(now), c.rcv.tsRecent
	}

	c.stats.segsOut++
	inc(&c.count().OutRsts)
	if c.cfg.Trace != 0 {
		c.tellSent(s)
	}
}

// buildSYN builds a SYN or SYN-ACK.
func (c *Conn) buildSYN(now time.Duration, s *Segment) {
	c.todo &^= todoSYN | todoAck
	s.Seq, s.Flags = c.snd.sndSeq(origin), wire.SYN

	o := &s.Options
	mss := c.rcv.advMSS
	o.MSS = mss

	// An option in the SYN-ACK answers one in the SYN; a SYN offers what the host has turned
	// on.
	passive := c.state == SynRcvd
	if passive {
		s.Flags |= wire.ACK
		s.Ack = c.rcv.rcvSeq(c.rcv.nxt)
		c.rcv.lastAck = c.rcv.nxt
	}

	if passive && c.flags&useTS != 0 || !passive && c.cfg.Timestamps {
		o.HasTimestamp, o.TSVal = true, c.snd.tsNow(now)
		o.TSEcr = c.rcv.tsRecent
	}

	o.SACKPermitted = passive && c.flags&useSACK != 0 || !passive && c.cfg.SACK
	if passive && c.flags&useWScale != 0 || !passive && c.cfg.WindowScaling {
		o.HasWScale, o.WScale = true, c.rcv.wscale
	}

	// An ECN-setup SYN has ECE and CWR, the SYN-ACK that agrees ECE alone (RFC 3168 §6.1.1). A
	// SYN sent again twice goes without: something on the path may drop the marks (RFC 3168
	// §6.1.1.1).
	switch {
	case passive && c.flags&useECN != 0:
		s.Flags |= wire.ECE
	case !passive && c.cfg.ECN == ECNOn && c.snd.retrans < 2:
		s.Flags |= wire.ECE | wire.CWR
	}

	// The window of a SYN is never scaled (RFC 7323 §2.2).
	wnd := min(c.rcv.ssthresh, 65535)
	s.Window = uint16(wnd)
	c.rcv.adv = c.rcv.nxt + uint64(wnd)

	c.stats.segsOut++
	if c.flags&synOnce != 0 {
		c.stats.retransSegs++
		inc(&c.count().RetransSegs)
		inc(&c.count().TCPSynRetrans)
		if passive {
			inc(&c.count().OutSegs) // of what is sent again Linux counts SYN-ACKs alone
		}
	}

	c.synFastOpen(now, s)
	if c.cfg.Trace != 0 {
		c.tellSent(s)
	}
	c.snd.nxt = max(c.snd.nxt, origin+1)

	// Sent again by its timer, the SYN finds the timer set already, with backoff.
	if c.flags&synOnce == 0 || c.timer.rtx == timer.Never {
		c.timer.rtx, c.timer.kind = now+c.rtt.timeout(), rtxRTO
	}
	if c.flags&synOnce == 0 {
		c.timer.since = now
	}
	c.flags |= synOnce
}
