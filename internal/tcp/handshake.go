package tcp

import (
	"math/bits"
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
	c.initWindow(uint32(c.rcv.advMSS))
	c.snd.una, c.snd.nxt = origin, origin
	c.setState(SynSent)
	c.startFastOpen(p)
	c.todo |= todoSYN
	c.timer.since = now
}

// Accept opens the connection passively, for a SYN that met a listener: to
// SYN-RECEIVED. Poll then yields the SYN-ACK. The segment stays the caller's.
func (c *Conn) Accept(now time.Duration, p *Params, syn *Segment) {
	c.start(now, p)
	c.snd.una, c.snd.nxt = origin, origin
	c.synOptions(now, syn)
	if c.cfg.ECN != ECNOff && syn.Flags&(wire.ECE|wire.CWR) == wire.ECE|wire.CWR && !syn.CE {
		c.flags |= useECN
	}
	c.receivedSYN(syn)
	if c.cfg.Trace != nil {
		c.tellReceived(syn)
	}
	mss := uint32(c.rcv.advMSS)
	if c.flags&useTS != 0 {
		mss -= tsOptionLen
	}
	c.initWindow(mss)
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
	syn := Segment{TCP: wire.TCP{Seq: ack.Seq - 1, Flags: wire.SYN}}
	o := &syn.Options
	o.MSS, o.HasWScale, o.WScale, o.SACKPermitted = k.MSS, k.HasWScale, k.WScale, k.SACKPermitted
	if k.Timestamps && ack.Options.HasTimestamp {
		o.HasTimestamp, o.TSVal = true, ack.Options.TSVal
	}
	if k.ECN {
		syn.Flags |= wire.ECE | wire.CWR
	}
	c.Accept(now, p, &syn)
	c.todo &^= todoSYN
	c.snd.nxt = origin + 1
	c.rcv.lastAck = c.rcv.nxt
	c.rcv.adv = c.rcv.nxt + uint64(min(c.rcv.ssthresh, 65535))
}

// initWindow sets the first window and the scale, both from the receive buffer
// and the limit of its growth, as Linux does: the two show in every SYN. mss is
// what the peer can put into a segment.
func (c *Conn) initWindow(mss uint32) {
	space := c.rcv.bufSize / 2
	if w := c.opt.WindowClamp; w != 0 {
		space = min(space, w)
	}
	full := space
	if space > mss && mss > 0 {
		space -= space % mss
	}
	c.rcv.ssthresh = min(space, 65535)
	c.rcv.drsSpace = c.rcv.ssthresh
	if c.cfg.WindowScaling && (c.flags&active != 0 || c.flags&useWScale != 0) {
		most := max(full, uint32(c.cfg.RMem[2]))
		if w := c.opt.WindowClamp; w != 0 {
			most = min(most, w)
		}
		if c.flags&fixedRcv != 0 {
			most = min(most, full)
		}
		c.rcv.wscale = uint8(min(max(bits.Len32(most)-1-15, 0), 14))
	}
	c.rcv.adv = c.rcv.nxt
}

// receivedSYN takes over the peer's initial sequence number.
func (c *Conn) receivedSYN(s *Segment) {
	c.rcv.irs = s.Seq
	c.rcv.nxt = origin + 1
	c.rcv.lastAck = c.rcv.nxt
	c.rcv.q.Reset(origin + 1)
	c.rcv.adv = c.rcv.nxt
	c.rcv.drsSeq = c.rcv.nxt
	c.snd.wl1 = origin
}

// synOptions takes the peer's options. An option is in use if both sides have
// sent it.
func (c *Conn) synOptions(now time.Duration, s *Segment) {
	o := &s.Options
	if o.MSS != 0 {
		c.snd.peerMSS = uint16(max(int(o.MSS), c.cfg.MinSendMSS))
	}
	if o.HasTimestamp && c.cfg.Timestamps {
		c.flags |= useTS
		c.rcv.tsRecent, c.rcv.tsAt = o.TSVal, uint32(now/time.Second)
	}
	if o.SACKPermitted && c.cfg.SACK {
		c.flags |= useSACK
	}
	if o.HasWScale && c.cfg.WindowScaling {
		c.flags |= useWScale
		c.snd.wscale = min(o.WScale, 14) // RFC 7323, section 2.3
	} else {
		c.rcv.wscale = 0
	}
	c.setMSS()
	c.rcv.mss = uint16(min(max(uint32(c.rcv.advMSS)-uint32(c.optionLen()), 88), uint32(c.snd.mss), 536))
}

// setMSS computes the effective send MSS (RFC 9293, section 3.7.1; RFC 6691).
func (c *Conn) setMSS() {
	mss := min(c.snd.peerMSS, c.snd.pathMSS)
	if c.rare != nil && c.rare.mtu.on {
		mss = min(mss, c.rare.mtu.low)
	}
	if m := c.opt.MaxSeg; m != 0 {
		mss = min(mss, m)
	}
	c.snd.mss = uint16(max(int(mss)-c.optionLen(), 8))
	if c.fl != nil {
		c.fl.cc.SetMSS(uint32(c.snd.mss))
	}
}

// buildSYN builds a SYN or SYN-ACK.
func (c *Conn) buildSYN(now time.Duration, s *Segment) {
	c.todo &^= todoSYN | todoAck
	s.Seq, s.Flags = c.sndSeq(origin), wire.SYN
	o := &s.Options
	mss := c.rcv.advMSS
	o.MSS = mss
	passive := c.state == SynRcvd
	if passive {
		s.Flags |= wire.ACK
		s.Ack = c.rcvSeq(c.rcv.nxt)
		c.rcv.lastAck = c.rcv.nxt
	}
	if passive && c.flags&useTS != 0 || !passive && c.cfg.Timestamps {
		o.HasTimestamp, o.TSVal = true, c.tsNow(now)
		o.TSEcr = c.rcv.tsRecent
	}
	o.SACKPermitted = passive && c.flags&useSACK != 0 || !passive && c.cfg.SACK
	if passive && c.flags&useWScale != 0 || !passive && c.cfg.WindowScaling {
		o.HasWScale, o.WScale = true, c.rcv.wscale
	}
	switch {
	case passive && c.flags&useECN != 0:
		s.Flags |= wire.ECE
	case !passive && c.cfg.ECN == ECNOn && c.snd.retrans < 2:
		s.Flags |= wire.ECE | wire.CWR
	}
	wnd := min(c.rcv.ssthresh, 65535)
	s.Window = uint16(wnd)
	c.rcv.adv = c.rcv.nxt + uint64(wnd)
	c.stats.segsOut++
	if c.flags&synOnce != 0 {
		c.stats.retransSegs++
	}
	c.synFastOpen(now, s)
	if c.cfg.Trace != nil {
		c.tellSent(s, origin)
	}
	c.snd.nxt = max(c.snd.nxt, origin+1)
	if c.flags&synOnce == 0 || c.timer.rtx == timer.Never {
		c.timer.rtx, c.timer.kind = now+c.rtt.timeout(), rtxRTO
	}
	if c.flags&synOnce == 0 {
		c.timer.since = now
	}
	c.flags |= synOnce
}

// inSynSent takes a segment in SYN-SENT (RFC 9293, section 3.10.7.3).
func (c *Conn) inSynSent(now time.Duration, s *Segment) {
	ackOK := false
	if s.Flags&wire.ACK != 0 {
		ack := c.sndOff(s.Ack)
		tsBad := s.Options.HasTimestamp && s.Options.TSEcr != 0 && c.cfg.Timestamps &&
			!c.plausibleEcho(now, s.Options.TSEcr)
		if ack <= origin || ack > c.snd.nxt || tsBad {
			if s.Flags&wire.RST == 0 {
				c.resetWith(s.Ack)
			}
			return
		}
		ackOK = true
	}
	if s.Flags&wire.RST != 0 {
		if ackOK {
			c.fail(syscall.ECONNREFUSED)
		}
		return
	}
	if s.Flags&wire.SYN == 0 {
		return
	}
	c.receivedSYN(s)
	c.synOptions(now, s)
	if !ackOK {
		// Simultaneous open.
		if c.cfg.ECN != ECNOff && s.Flags&(wire.ECE|wire.CWR) == wire.ECE|wire.CWR {
			c.flags |= useECN
		}
		c.snd.nxt = origin + 1
		c.snd.wnd, c.snd.maxWnd = uint32(s.Window), uint32(s.Window)
		c.setState(SynRcvd)
		c.flags &^= synOnce
		c.todo |= todoSYN
		c.forgetSYNData()
		return
	}
	if c.cfg.ECN == ECNOn && s.Flags&(wire.ECE|wire.CWR) == wire.ECE && c.snd.retrans < 2 {
		c.flags |= useECN
	}
	ack := c.sndOff(s.Ack)
	if c.flags&synOnce != 0 {
		c.synSample(now, s)
	}
	c.rcv.adv = c.rcv.nxt + uint64(min(c.rcv.ssthresh, 65535))
	c.snd.wnd, c.snd.maxWnd = uint32(s.Window), uint32(s.Window)
	c.snd.una = origin + 1
	c.stats.bytesAcked = 1
	c.snd.wl1 = origin
	c.established(now)
	c.ackedFastOpen(now, ack, s)
	c.finishUrgent(s)
	if s.Data.Len() > 0 || s.Flags&wire.FIN != 0 {
		c.inData(now, s, origin+1)
	}
	c.ackNow()
}

// plausibleEcho reports whether TSecr can be of a SYN that we sent.
func (c *Conn) plausibleEcho(now time.Duration, ecr uint32) bool {
	first := c.tsNow(c.timer.since)
	return int32(ecr-first) >= 0 && int32(c.tsNow(now)-ecr) >= 0
}

// synSample takes the handshake's RTT (RFC 6298, section 3: not of a SYN sent
// twice, unless timestamps tell which).
func (c *Conn) synSample(now time.Duration, s *Segment) {
	var m time.Duration
	switch {
	case c.snd.retrans == 0:
		m = now - c.timer.since
	case c.flags&useTS != 0 && s.Options.HasTimestamp && s.Options.TSEcr != 0:
		m = time.Duration(c.tsNow(now)-s.Options.TSEcr) * time.Millisecond
	default:
		return
	}
	c.sampleRTT(now, m)
}

// established enters ESTABLISHED.
func (c *Conn) established(now time.Duration) {
	c.setState(Established)
	c.flags &^= serverFast
	c.timer.rtx, c.timer.since = timer.Never, 0
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
	c.ack.lastRcv = now
	c.growSndBuf(uint32(c.cfg.InitialCwnd))
	c.rcv.drsAt = now
	c.rcv.drsSeq = c.rcv.q.Base()
	c.rcv.drsSpace = min(c.rcv.drsSpace, c.rcv.bufSize/2)
	c.events |= wait.Out
	c.setKeepTimer(now)
	if c.shut&shutWrite != 0 {
		c.finState()
	}
}

// inSynRcvd takes a segment in SYN-RECEIVED (section 3.10.7.4). An embryonic
// connection of a listener ends with any RST or SYN in its window, as on Linux; one
// that others know of already is guarded as RFC 5961 says.
func (c *Conn) inSynRcvd(now time.Duration, s *Segment) {
	seq := c.rcvOff(s.Seq)
	embryonic := c.flags&active == 0 && !c.fastOpened()
	if s.Flags&wire.SYN != 0 && seq == origin && s.Flags&wire.RST == 0 {
		if s.Flags&wire.ACK == 0 {
			// The SYN again: our SYN-ACK was lost.
			if c.oowAllowed(now) {
				c.todo |= todoSYN
				c.timer.rtx, c.timer.kind = now+c.rtt.timeout(), rtxRTO
			}
			return
		}
		// The SYN-ACK of a simultaneous open; its SYN is old.
		s.Flags &^= wire.SYN
		s.Seq++
		seq++
	}
	ack := c.sndOff(s.Ack)
	badAck := s.Flags&wire.ACK != 0 && (ack <= origin || ack > c.snd.nxt)
	if embryonic && badAck && s.Flags&wire.RST == 0 {
		c.resetWith(s.Ack)
		return
	}
	if !c.checkPAWS(now, s) || !c.inWindow(seq, s) {
		if s.Flags&wire.RST == 0 && c.oowAllowed(now) {
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
}

// endSynRcvd takes a RST or SYN in the window.
func (c *Conn) endSynRcvd(now time.Duration, seq uint64, s *Segment, embryonic bool) {
	switch {
	case embryonic:
		c.fail(syscall.ECONNRESET)
		if r, ok := ResetFor(s); ok {
			c.setReset(&r)
			c.todo |= todoReset
		}
	case s.Flags&wire.RST == 0 || seq != c.rcv.nxt:
		c.challenge(now)
	case c.flags&active != 0:
		c.fail(syscall.ECONNREFUSED)
	default:
		c.fail(syscall.ECONNRESET)
	}
}

// completeSynRcvd ends the handshake with the acknowledgment of our SYN, and takes
// the rest of the segment as ESTABLISHED does.
func (c *Conn) completeSynRcvd(now time.Duration, seq, ack uint64, s *Segment) {
	c.synSample(now, s)
	c.snd.una = origin + 1
	c.snd.wnd = uint32(s.Window) << c.snd.wscale
	c.snd.maxWnd = max(c.snd.maxWnd, c.snd.wnd)
	c.snd.wl1 = seq
	c.todo &^= todoSYN
	c.established(now)
	if c.fl != nil && c.snd.nxt > c.snd.una {
		c.armRTO(now)
	}
	c.inSynchronized(now, s)
}

// deferAccept reports whether a bare ACK is to be ignored because data is waited
// for (TCP_DEFER_ACCEPT), as long as the SYN-ACK has retransmissions left for it.
func (c *Conn) deferAccept(s *Segment) bool {
	return c.opt.DeferAccept > 0 && c.flags&active == 0 && s.Data.Len() == 0 &&
		s.Flags&wire.FIN == 0 && c.snd.retrans < c.opt.DeferAccept
}
