package tcp

import (
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
	"usock/trace"
)

// TCP Fast Open (RFC 7413). The cookies are the owner's: a client is given the one
// it may use and tells the one it got; a server is told whether the SYN's was valid.

// fastOpen is the state of Fast Open during the handshake.
type fastOpen struct {
	req      FastOpen       // what goes into the SYN, or the SYN-ACK
	answer   FastOpenAnswer // what the SYN-ACK has said
	send     bool           // req is still to be sent
	asked    bool
	answered bool
	syn      bool // the SYN had data
	synAck   bool // the SYN's data was acknowledged by the SYN-ACK, or taken by us
}

// startFastOpen prepares an active open.
func (c *Conn) startFastOpen(p *Params) {
	if !p.FastOpen.Ask {
		return
	}
	r := c.makeLazy()
	r.fo = fastOpen{req: p.FastOpen, send: true, asked: true}
	if p.FastOpen.Wait {
		c.todo &^= todoSYN
	}
}

// SendSYN lets the SYN leave that FastOpen.Wait or Hold has kept, with what was written by now.
func (c *Conn) SendSYN() {
	if c.state == SynSent && c.flags&synOnce == 0 {
		c.todo |= todoSYN
	}
}

// SYNRoom returns how many bytes of data the SYN can take that has not left yet: none without a
// cookie, where one is needed.
func (c *Conn) SYNRoom() int {
	if c.state != SynSent || c.lazy == nil || !c.lazy.fo.send {
		return 0
	}

	fo := &c.lazy.fo
	if fo.req.NCookie == 0 && !fo.req.NoCookie {
		return 0
	}

	// The MSS is the one remembered with the cookie (RFC 7413 §4.1.3), and all options may come
	// with the data.
	mss := int(c.snd.pathMSS)
	if fo.req.MSS != 0 {
		mss = min(mss, int(fo.req.MSS))
	}
	if m := c.opt.MaxSeg; m != 0 {
		mss = min(mss, int(m))
	}
	return max(0, mss-(wire.TCPMaxLen-wire.TCPMinLen))
}

// acceptFastOpen takes a SYN's data if its cookie was valid.
func (c *Conn) acceptFastOpen(now time.Duration, p *Params, syn *Segment) {
	o := &p.ServerFastOpen
	if o.NCookie > 0 {
		fo := &c.makeLazy().fo
		fo.send, fo.req.NCookie, fo.req.Cookie, fo.req.Exp = true, o.NCookie, o.Cookie, o.Exp
	}

	if !o.Data {
		return
	}

	// The cookie proves the address: the server may answer before the handshake has ended (RFC
	// 7413 §4.2.2).
	c.flags |= serverFast
	inc(&c.count().PassiveOpens)
	inc(&c.count().TCPFastOpenPassive)
	c.snd.wnd, c.snd.maxWnd = uint32(syn.Window), uint32(syn.Window)
	c.snd.growSndBuf(&c.tcb, uint32(c.cfg.InitialCwnd))
	c.snd.small = origin
	c.events |= wait.Out

	n := syn.Data.Len()
	if n == 0 {
		return
	}

	// No window was told yet: what the SYN brings is measured by the one that the SYN-ACK will
	// tell.
	c.rcv.adv = c.rcv.nxt + uint64(c.rcv.ssthresh)
	c.makeLazy().fo.synAck = true

	// The SYN stays the caller's.
	own := *syn
	own.Data.Retain()
	c.rcv.deliver(&c.tcb, now, &own, n)
	own.Data.Release()

	// The SYN-ACK acknowledges the data, which says nothing yet of the peer's pace: what follows is
	// acknowledged as a connection's first segments are (Linux, tcp_fastopen_add_skb).
	c.rcv.ack = acking{}
	c.timer.ack = never
	c.account()
}

// fastOpened reports whether the connection is a server's that may send before the
// handshake has ended.
func (t *tcb) fastOpened() bool { return t.flags&serverFast != 0 }

// synFastOpen adds the option, and the data of a client that has a cookie, to a SYN
// or SYN-ACK. Neither is sent twice.
func (c *Conn) synFastOpen(now time.Duration, s *Segment) {
	if c.lazy == nil || !c.lazy.fo.send {
		return
	}

	fo := &c.lazy.fo
	o := &s.Options
	if !fo.req.NoCookie {
		o.HasFastOpen, o.ExpFastOpen, o.NCookie, o.Cookie = true, fo.req.Exp, fo.req.NCookie, fo.req.Cookie
	}
	if c.state == SynRcvd {
		return // the SYN-ACK keeps its cookie when it is sent again
	}

	// Sent again, the SYN goes without: the option, or data in a SYN, may be what was dropped
	// (RFC 7413).
	n := min(c.snd.q.Len(), c.SYNRoom())
	fo.send = false
	if n <= 0 {
		return
	}

	c.snd.mss = uint16(n)
	c.snd.newFlight(&c.tcb, now)
	n = c.snd.fill(s, origin+1, n, n)
	fo.syn = true
	c.snd.recordSent(now, origin+1, uint32(n), 0, false, false)
	c.snd.nxt = origin + 1 + uint64(n)
	c.stats.dataOut++
	c.stats.bytesSent += uint64(n)
}

// forgetSYNData makes what is in flight unsent again.
func (s *sender) forgetSYNData(t *tcb) {
	s.nxt = max(s.una, origin+1)
	s.freeFlight(t) // its MSS was a guess
}

// ackedFastOpen takes the SYN-ACK: what of the SYN's data it acknowledges, and the
// cookie.
func (c *Conn) ackedFastOpen(now time.Duration, ack uint64, s *Segment) {
	if c.lazy == nil || !c.lazy.fo.asked {
		return
	}

	fo := &c.lazy.fo
	a := &fo.answer
	*a = FastOpenAnswer{MSS: c.snd.peerMSS, Exp: fo.req.Exp}
	switch o := &s.Options; {
	case o.HasFastOpen && o.NCookie >= 4 && !fo.req.NoCookie:
		a.NCookie, a.Cookie, a.Exp = o.NCookie, o.Cookie, o.ExpFastOpen
	case !o.HasFastOpen && !fo.syn && !fo.req.NoCookie:
		// Of a SYN that was sent again it is not known which one was answered.
		a.Refused = c.flags&synLost == 0
	}
	fo.answered = true

	if fo.syn {
		c.ackedSYNData(now, ack)
	}
}

// ackedSYNData takes the first acknowledgment after a SYN with data: what it does not cover is sent again.
func (c *Conn) ackedSYNData(now time.Duration, ack uint64) {
	c.lazy.fo.synAck = ack > origin+1
	c.stats.bytesAcked += ack - c.snd.una
	c.snd.una = ack
	c.snd.q.Drop(ack)
	if nxt := c.snd.nxt; ack == nxt {
		inc(&c.count().TCPFastOpenActive)
		c.snd.forgetSYNData(&c.tcb)
	} else {
		inc(&c.count().TCPFastOpenActiveFail)
		c.snd.forgetSYNData(&c.tcb)
		c.snd.resendSYNData(&c.tcb, now, nxt)
	}
}

// resendSYNData has what the SYN-ACK does not cover, up to nxt, sent again at once (RFC 7413 §4.2.2).
// It is a retransmission, of which Nagle's rule knows nothing, and its loss is no sign of
// congestion (Linux, tcp_rcv_fastopen_synack).
func (s *sender) resendSYNData(t *tcb, now time.Duration, nxt uint64) {
	s.newFlight(t, now)
	s.recordSent(now, s.una, uint32(nxt-s.una), 0, false, nxt == s.q.End() && t.flags&moreTail == 0)
	s.nxt = nxt
	s.markLost(t, now, 0, trace.ByHandshake)
	s.lostInName(t)
}

// FastOpenAnswer returns what to remember about the server, and false if the SYN had nothing
// of Fast Open, or was not answered yet.
func (c *Conn) FastOpenAnswer() (a FastOpenAnswer, ok bool) {
	if c.lazy == nil || !c.lazy.fo.answered {
		return a, false
	}
	return c.lazy.fo.answer, true
}

// SYNDataAcked reports whether data in a SYN was taken (TCPI_OPT_SYN_DATA).
func (c *Conn) SYNDataAcked() bool { return c.lazy != nil && c.lazy.fo.synAck }
