package tcp

import (
	"syscall"
	"time"

	"usock/internal/timer"
	"usock/internal/wait"
	"usock/internal/wire"
)

// Connect opens the connection actively: CLOSED to SYN-SENT. Poll then yields the
// SYN.
func (c *Conn) Connect(now time.Duration, p *Params) {
	c.start(now, p)
	c.flags |= active

	c.rcv.initWindow(&c.tcb, uint32(c.rcv.advMSS))
	c.snd.una, c.snd.nxt = origin, origin
	c.setState(SynSent)
	if !p.Hold {
		c.todo |= todoSYN
	}
	c.startFastOpen(p)
	c.timer.since = now
}

// Accept opens the connection passively, for a SYN that met a listener: to
// SYN-RECEIVED. Poll then yields the SYN-ACK. The segment stays the caller's.
func (c *Conn) Accept(now time.Duration, p *Params, syn *Segment) {
	c.start(now, p)
	if c.cfg.Trace != 0 {
		c.tellReceived(syn)
	}
	c.accept(now, p, syn)
}

// accept is Accept of a connection that was started, for a SYN that has come, or must have.
func (c *Conn) accept(now time.Duration, p *Params, syn *Segment) {
	c.snd.una, c.snd.nxt = origin, origin
	c.synOptions(now, syn)
	if c.cfg.ECN != ECNOff && syn.Flags&(wire.ECE|wire.CWR) == wire.ECE|wire.CWR && !syn.CE {
		// An ECN-setup SYN, and not itself marked: Linux takes a mark for a sign that the path
		// mangles the field.
		c.flags |= useECN
	}

	c.rcv.receivedSYN(syn)
	c.snd.wl1 = origin

	mss := uint32(c.rcv.advMSS)
	if c.flags&useTS != 0 {
		mss -= tsOptionLen
	}
	c.rcv.initWindow(&c.tcb, mss)

	c.setState(SynRcvd)
	c.acceptFastOpen(now, p, syn)
	c.todo |= todoSYN
	c.timer.since = now
}

// AcceptCookie opens the connection for the acknowledgment of a SYN-ACK whose SYN
// was answered by a cookie: k is what the cookie held. The connection is
// SYN-RECEIVED, and the segment is then to be given to Segment. p.ISS is the
// cookie.
func (c *Conn) AcceptCookie(now time.Duration, p *Params, ack *Segment, k *CookieState) {
	// The SYN that must have come before, made again of the acknowledgment and the cookie.
	syn := Segment{TCP: wire.TCP{Seq: ack.Seq - 1, Flags: wire.SYN}}
	o := &syn.Options
	o.MSS, o.HasWScale, o.WScale, o.SACKPermitted = k.MSS, k.HasWScale, k.WScale, k.SACKPermitted
	if k.Timestamps && ack.Options.HasTimestamp {
		o.HasTimestamp, o.TSVal = true, ack.Options.TSVal
	}
	if k.ECN {
		syn.Flags |= wire.ECE | wire.CWR
	}

	c.start(now, p)
	c.accept(now, p, &syn)
	c.todo &^= todoSYN

	// The SYN-ACK has left already: the listener sent it without keeping anything (RFC 4987
	// §3.6).
	c.snd.nxt = origin + 1
	c.rcv.lastAck = c.rcv.nxt
	c.rcv.adv = c.rcv.nxt + uint64(min(c.rcv.ssthresh, 65535))
}

// synOptions takes the peer's options. An option is in use if both sides have
// sent it.
func (c *Conn) synOptions(now time.Duration, s *Segment) {
	o := &s.Options
	if o.MSS != 0 {
		// A tiny MSS would have us make a packet of every few bytes, at our cost: no peer can
		// ask for less than this (Linux, tcp_min_snd_mss).
		c.snd.peerMSS = uint16(max(int(o.MSS), c.cfg.MinSendMSS))
	}

	if o.HasTimestamp && c.cfg.Timestamps {
		c.flags |= useTS
		c.rcv.tsRecent, c.rcv.tsAt = o.TSVal, uint32(now/time.Second)
	}
	if o.SACKPermitted && c.cfg.SACK {
		c.flags |= useSACK
	}

	// Both scale or none does (RFC 7323 §2.2).
	if o.HasWScale && c.cfg.WindowScaling {
		c.flags |= useWScale
		c.snd.wscale = min(o.WScale, 14) // RFC 7323 §2.3
	} else {
		c.rcv.wscale = 0
	}

	c.snd.setMSS(&c.tcb)
	c.rcv.mss = uint16(min(max(uint32(c.rcv.advMSS)-uint32(c.optionLen()), 88), uint32(c.snd.mss), 536))
}

// inSynSent takes a segment in SYN-SENT (RFC 9293 §3.10.7.3).
func (c *Conn) inSynSent(now time.Duration, s *Segment) {
	ackOK := false

	// First check: the acknowledgment. One of something else, or with an echo of no SYN of
	// ours, belongs to an older connection, and is reset (RFC 9293 §3.10.7.3).
	if s.Flags&wire.ACK != 0 {
		ack := c.snd.sndOff(s.Ack)
		tsBad := s.Options.HasTimestamp && s.Options.TSEcr != 0 && c.cfg.Timestamps &&
			!c.snd.plausibleEcho(&c.tcb, now, s.Options.TSEcr)
		if ack <= origin || ack > c.snd.nxt || tsBad {
			if ack > origin && ack <= c.snd.nxt {
				inc(&c.count().PAWSActive)
			} else if c.snd.retrans == 0 && c.timer.rtx != never {
				// The reset frees the ports of what the peer has taken us for: the SYN that follows it
				// finds it gone (Linux, tcp_rcv_synsent_state_process).
				c.timer.rtx = min(c.timer.rtx, now+timeoutMin)
			}
			if s.Flags&wire.RST == 0 {
				c.resetWith(s.Ack)
			}
			return
		}
		ackOK = true
	}

	// Second: a RST counts only if it acknowledges our SYN, or anybody could refuse it.
	if s.Flags&wire.RST != 0 {
		if ackOK {
			c.fail(syscall.ECONNREFUSED)
		}
		return
	}

	// Fourth: the SYN.
	if s.Flags&wire.SYN == 0 {
		return
	}

	c.rcv.receivedSYN(s)
	c.snd.wl1 = origin
	c.synOptions(now, s)
	if !ackOK {
		// Simultaneous open. What data the SYN had may have been taken, which the peer's acknowledgment tells.
		if c.cfg.ECN != ECNOff && s.Flags&(wire.ECE|wire.CWR) == wire.ECE|wire.CWR {
			c.flags |= useECN
		}
		c.snd.wnd, c.snd.maxWnd = uint32(s.Window), uint32(s.Window)
		c.setState(SynRcvd)

		// The SYN of before now leaves as a SYN-ACK.
		c.flags &^= synOnce
		c.todo |= todoSYN
		return
	}

	// ECE without CWR agrees (RFC 3168 §6.1.1); a SYN sent again without the marks cannot have
	// been agreed to.
	if c.cfg.ECN == ECNOn && s.Flags&(wire.ECE|wire.CWR) == wire.ECE && c.snd.retrans < 2 {
		c.flags |= useECN
	}
	ack := c.snd.sndOff(s.Ack)
	if c.flags&synOnce != 0 {
		c.snd.synSample(&c.tcb, now, s)
	}

	// What our SYN has offered: its window is never scaled (RFC 7323 §2.2).
	c.rcv.adv = c.rcv.nxt + uint64(min(c.rcv.ssthresh, 65535))
	c.snd.wnd, c.snd.maxWnd = uint32(s.Window), uint32(s.Window)
	c.snd.una = origin + 1
	c.stats.bytesAcked = 1
	c.snd.wl1 = origin

	c.established(now)
	c.ackedFastOpen(now, ack, s)
	c.finishUrgent(s)

	// Data may come with the SYN-ACK (RFC 9293 §3.10.7.3, fourth check).
	if s.Data.Len() > 0 || s.Flags&wire.FIN != 0 {
		c.inData(now, s, origin+1)
		c.ackNow()
		return
	}
	c.ackHandshake(now)
}

// ackHandshake acknowledges a SYN-ACK that brought nothing else.
func (c *Conn) ackHandshake(now time.Duration) {
	// Who has said that it will write (TCP_QUICKACK 0), or asks it of its peers
	// (TCP_DEFER_ACCEPT), saves a segment: its data completes the handshake (Linux,
	// tcp_rcv_synsent_state_process).
	if c.rcv.ack.pingpong || c.opt.DeferAccept > 0 {
		c.rcv.quickAck(now, quickCount)
		c.rcv.ack.owed, c.timer.ack = true, now+ackMax
		return
	}
	c.ackNow()
}

// established enters ESTABLISHED.
func (c *Conn) established(now time.Duration) {
	c.setState(Established)

	// From here on ESTABLISHED says what the flag did, and the SYN's timer has nothing to wait
	// for.
	c.flags &^= serverFast
	c.timer.rtx, c.timer.since = timer.Never, timer.Never
	c.snd.small = c.snd.una
	c.snd.lastData = now
	if c.snd.retrans > 0 {
		c.flags |= synLost
	}
	c.snd.retrans = 0

	c.rtt.setRTO(c.cfg)
	if c.rtt.srtt == 0 && c.flags&synLost != 0 {
		// The SYN was lost and gave no sample: RFC 6298, rule 5.7.
		c.rtt.rto = 3_000_000
	}

	// The peer has just been heard: silence is counted from here (TCP_KEEPIDLE, tcpi_last_ack_recv).
	c.timer.heard, c.rcv.ack.lastRcv = now, now
	c.snd.growSndBuf(&c.tcb, uint32(c.cfg.InitialCwnd))
	c.rcv.drsAt = now
	c.rcv.drsSeq = c.rcv.q.Base()
	c.rcv.drsSpace = min(c.rcv.ssthresh, c.rcv.bufSize/2, peerInitialCwnd*uint32(c.rcv.advMSS))

	c.events |= wait.Out
	c.setKeepTimer(now)
	if c.shut&shutWrite != 0 {
		c.finState()
	}
}

// embryonic reports whether a connection in SYN-RECEIVED is a listener's, and nobody else's yet.
func (t *tcb) embryonic() bool { return t.flags&active == 0 && !t.fastOpened() }

// inSynRcvd takes a segment in SYN-RECEIVED (RFC 9293 §3.10.7.4). An embryonic
// connection of a listener ends with any RST or SYN in its window, as on Linux; one
// that others know of already is guarded as RFC 5961 says.
func (c *Conn) inSynRcvd(now time.Duration, s *Segment) {
	seq := c.rcv.rcvOff(s.Seq)
	embryonic := c.embryonic()
	again := false // the SYN has come before

	if s.Flags&wire.SYN != 0 && seq == origin && s.Flags&wire.RST == 0 {
		if s.Flags&wire.ACK == 0 {
			if c.flags&active != 0 {
				// The SYN that has crossed ours is challenged as in a connection that is made:
				// the SYN-ACK has its timer (Linux, tcp_validate_incoming).
				inc(&c.count().TCPSYNChallenge)
				c.rcv.challenge(&c.tcb, now)
				return
			}
			// The SYN again: our SYN-ACK was lost.
			if c.rcv.oowAllowed(&c.tcb, now, &c.count().TCPACKSkippedSynRecv) {
				c.todo |= todoSYN
				c.timer.rtx, c.timer.kind = now+c.rtt.timeout(), rtxRTO
			}
			return
		}
		// The SYN-ACK of a simultaneous open; its SYN is old.
		s.Flags &^= wire.SYN
		s.Seq++
		seq++
		again = true
	}

	ack := c.snd.sndOff(s.Ack)
	badAck := s.Flags&wire.ACK != 0 && (ack <= origin || ack > c.snd.nxt)
	if embryonic && badAck && s.Flags&wire.RST == 0 {
		// RFC 9293 §3.10.7.4, fifth check: an acknowledgment of something else is reset.
		c.resetWith(s.Ack)
		return
	}

	if !c.rcv.checkPAWS(&c.tcb, now, s) || !c.rcv.inWindow(&c.tcb, seq, s) {
		if s.Flags&wire.RST == 0 && c.rcv.oowAllowed(&c.tcb, now, &c.count().TCPACKSkippedSynRecv) {
			c.ackNow()
		}
		return
	}

	if s.Flags&(wire.RST|wire.SYN) != 0 {
		c.endSynRcvd(now, seq, s, embryonic)
		return
	}
	if s.Flags&wire.ACK == 0 {
		return
	}

	if badAck {
		c.resetWith(s.Ack)
		return
	}
	if c.deferAccept(s) {
		return
	}

	c.completeSynRcvd(now, seq, ack, s)
	if again && c.state.synchronized() {
		// The SYN is a duplicate like any, to be acknowledged at once and told by DSACK
		// (RFC 2883 §4).
		syn := Segment{TCP: wire.TCP{Flags: wire.SYN}}
		c.rcv.answerOld(&c.tcb, now, origin, &syn, nil)
		c.rcv.ack.ato = 0 // there was no data: what the program sends next is no answer to it
	}
}

// endSynRcvd takes a RST or SYN in the window.
func (c *Conn) endSynRcvd(now time.Duration, seq uint64, s *Segment, embryonic bool) {
	switch {
	case embryonic:
		// Back to LISTEN, says RFC 9293 §3.10.7.4 (second and fourth check). Here that is the
		// listener's own endpoint: this one is over, and no program has seen it.
		inc(&c.count().AttemptFails)
		c.fail(syscall.ECONNRESET)
		c.answerReset(s)
	case s.Flags&wire.RST == 0 || seq != c.rcv.nxt:
		// Not exactly the number that is expected: it may be a guess (RFC 5961 §3.2).
		c.rcv.challenge(&c.tcb, now)
	case c.flags&active != 0:
		// A simultaneous open began as an active one, which is refused (RFC 9293 §3.10.7.4,
		// second check).
		c.fail(syscall.ECONNREFUSED)
	default:
		c.fail(syscall.ECONNRESET)
	}
}

// completeSynRcvd ends the handshake with the acknowledgment of our SYN, and takes
// the rest of the segment as ESTABLISHED does.
func (c *Conn) completeSynRcvd(now time.Duration, seq, ack uint64, s *Segment) {
	// The only sample for a server that sends nothing for long.
	c.snd.synSample(&c.tcb, now, s)

	c.snd.una = origin + 1

	// From now on windows are scaled (RFC 7323 §2.2).
	c.snd.wnd = uint32(s.Window) << c.snd.wscale
	c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
	c.snd.wl1 = seq

	c.todo &^= todoSYN
	if c.embryonic() {
		inc(&c.count().PassiveOpens)
	}
	c.established(now)
	if c.flags&active != 0 && c.lazy != nil && c.lazy.fo.syn {
		c.ackedSYNData(now, ack)
	} else if c.snd.flight != nil && c.snd.nxt > c.snd.una {
		// What a Fast Open server has sent runs its own timer now.
		c.snd.armRTO(&c.tcb, now)
	}

	// The same segment may bring data, a FIN, or a newer window: it goes through all checks of
	// ESTABLISHED.
	c.inSynchronized(now, s)
}

// deferAccept reports whether a bare ACK is to be ignored because data is waited
// for (TCP_DEFER_ACCEPT), as long as the SYN-ACK has retransmissions left for it.
func (c *Conn) deferAccept(s *Segment) bool {
	if c.opt.DeferAccept > 0 && c.flags&active == 0 && s.Data.Len() == 0 &&
		s.Flags&wire.FIN == 0 && c.snd.retrans < c.opt.DeferAccept {
		inc(&c.count().TCPDeferAcceptDrop)
		return true
	}
	return false
}
