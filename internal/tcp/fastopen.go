package tcp

import (
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// TCP Fast Open (RFC 7413). The cookies are the owner's: a client is given the one
// it may use and tells the one it got; a server is told whether the SYN's was valid.

// fastOpen is the state of Fast Open during the handshake.
type fastOpen struct {
	req    FastOpen // what goes into the SYN, or the SYN-ACK
	send   bool     // req is still to be sent
	got    bool     // req came from the peer
	asked  bool
	syn    bool // the SYN had data
	synAck bool // the SYN's data was acknowledged by the SYN-ACK, or taken by us
}

// startFastOpen prepares an active open.
func (c *Conn) startFastOpen(p *Params) {
	if !p.FastOpen.Ask {
		return
	}
	r := c.makeLazy()
	r.fo = fastOpen{req: p.FastOpen, send: true, asked: true}
}

// acceptFastOpen takes a SYN's data if its cookie was valid.
func (c *Conn) acceptFastOpen(now time.Duration, p *Params, syn *Segment) {
	o := &p.ServerFastOpen
	if o.NCookie > 0 {
		fo := &c.makeLazy().fo
		fo.send, fo.req.NCookie, fo.req.Cookie = true, o.NCookie, o.Cookie
	}

	if !o.Data {
		return
	}

	// The cookie proves the address: the server may answer before the handshake has ended (RFC
	// 7413 §4.2.2).
	c.flags |= serverFast
	c.count().PassiveOpens++
	c.count().TCPFastOpenPassive++
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

	// The SYN-ACK acknowledges the data.
	c.rcv.ack.owed = false
	c.timer.ack = never
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
	o.HasFastOpen, o.NCookie, o.Cookie = true, fo.req.NCookie, fo.req.Cookie
	if c.state == SynRcvd {
		return // the SYN-ACK keeps its cookie when it is sent again
	}

	// Sent again, the SYN goes without: the option, or data in a SYN, may be what was dropped
	// (RFC 7413).
	fo.send = false
	if fo.req.NCookie == 0 || c.snd.q.Len() == 0 {
		return
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

	n := min(c.snd.q.Len(), mss-(wire.TCPMaxLen-wire.TCPMinLen))
	if n <= 0 {
		return
	}

	c.snd.mss = uint16(n)
	c.snd.newFlight(&c.tcb, now)
	n = c.snd.fill(s, origin+1, n, n)
	fo.syn = true
	c.snd.recordSent(now, origin+1, uint32(n), 0, false)
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
	if s.Options.HasFastOpen && s.Options.NCookie >= 4 {
		fo.got = true
		fo.req.NCookie, fo.req.Cookie = s.Options.NCookie, s.Options.Cookie
	}

	// Remembered with the cookie, for the data in the next SYN (RFC 7413 §4.1.3).
	fo.req.MSS = c.snd.peerMSS
	if !fo.syn {
		return
	}

	// What the SYN-ACK does not cover is sent again at once, as ordinary data (RFC 7413
	// §4.2.2).
	fo.synAck = ack > origin+1
	if ack == c.snd.nxt {
		c.count().TCPFastOpenActive++
	} else {
		c.count().TCPFastOpenActiveFail++
	}
	c.stats.bytesAcked += ack - c.snd.una
	c.snd.una = ack
	c.snd.q.Drop(ack)
	c.snd.forgetSYNData(&c.tcb)
}

// FastOpenCookie returns what to remember about the server, and false if the
// handshake brought no cookie.
func (c *Conn) FastOpenCookie() (FastOpen, bool) {
	if c.lazy == nil || !c.lazy.fo.got {
		return FastOpen{}, false
	}
	r := c.lazy.fo.req
	r.Ask = true
	return r, true
}

// SYNDataAcked reports whether data in a SYN was taken (TCPI_OPT_SYN_DATA).
func (c *Conn) SYNDataAcked() bool { return c.lazy != nil && c.lazy.fo.synAck }
