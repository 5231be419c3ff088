package tcp

import (
	"time"

	"usock/internal/cc"
	"usock/internal/wait"
	"usock/trace"
)

// Path MTU discovery: by ICMP (RFC 1191, RFC 8201, believed by the rules of RFC
// 5927), and by packetization-layer probing (RFC 4821, RFC 8899) where ICMP does
// not come. Probing begins when a black hole is suspected: the size falls to
// Config.BaseMSS, or further to what every path carries, and larger ones are then
// tried with data.

// minPathMSS is the least that ICMP can make of the MSS: Linux's least path MTU of
// 552, less the IPv4 and TCP headers.
const minPathMSS = 512

// mtuProbe is the state of probing. Sizes are MSS before TCP options.
type mtuProbe struct {
	on         bool
	low, high  uint16 // low is known to pass, high is believed not to be exceeded
	size       uint16 // of the probe that is out; 0: none
	start, end uint64 // its range
	next       time.Duration
	again      time.Duration // when full segments are sent again without a probe
	falls      uint8         // suspicions in a row
}

// mtuReprobe is how long to wait before trying again what did not pass (RFC 8899,
// section 5.1.1, PMTU_RAISE_TIMER).
const mtuReprobe = 600 * time.Second

// mtuRetry is how long a first suspicion lasts where there is too little to send
// for probes.
const mtuRetry = 30 * time.Second

// ICMP takes an error message about the connection. The owner has looked up the
// connection by the quoted addresses and ports.
func (c *Conn) ICMP(now time.Duration, e *ICMPError) wait.Events {
	// The quoted segment must be in flight (RFC 5927, section 4.1).
	seq := c.sndOff(e.Seq)
	if c.state == Closed || seq < c.snd.una || seq >= c.snd.nxt {
		return 0
	}
	switch {
	case e.MSS != 0:
		c.tooBig(now, e.MSS)
	case e.Errno == 0:
	case c.state == SynSent || c.state == SynRcvd && !c.fastOpened():
		c.fail(e.Errno)
	case e.Errno != 0:
		// Soft for an established connection (section 5.2): told when it times out.
		c.rareState().softErr = e.Errno
	}
	return c.take()
}

// tooBig lowers the path's MSS and sends again at once what did not fit.
func (c *Conn) tooBig(now time.Duration, mss int) {
	mss = max(mss, minPathMSS)
	if mss >= int(c.snd.pathMSS) {
		return
	}
	c.snd.pathMSS = uint16(mss)
	if c.rare != nil && c.rare.mtu.on {
		c.rare.mtu.high = min(c.rare.mtu.high, uint16(mss))
		c.rare.mtu.low = min(c.rare.mtu.low, uint16(mss))
	}
	c.setMSS()
	c.simpleRetransmit(now)
}

// simpleRetransmit marks what is larger than the MSS lost. That is no sign of
// congestion, so that the window stays (RFC 8201, section 5.4; RFC 1191).
func (c *Conn) simpleRetransmit(now time.Duration) {
	f := c.fl
	if f == nil || !c.state.synchronized() {
		return
	}
	l := &f.loss
	mss := uint32(c.snd.mss)
	any := false
	for i := uint32(0); i < f.board.n; i++ {
		if f.board.at(i).n > mss && c.markLost(i, trace.ByMTU) > 0 {
			any = true
		}
	}
	if any && l.state < cc.Recovery {
		l.state, l.high = cc.Loss, c.snd.nxt
		l.frto, l.undo, l.cwnd = false, false, 0
	}
	c.todo |= todoRtx
}

// suspectBlackHole is called at each retransmission timeout. Enough of them in a row
// make smaller segments worth a try (RFC 4821, section 7.7).
func (c *Conn) suspectBlackHole(now time.Duration) {
	if c.cfg.MTUProbing == 0 || int(c.snd.retrans) < c.cfg.Retries1 || !c.state.synchronized() {
		return
	}
	m := &c.rareState().mtu
	base := uint16(min(c.cfg.BaseMSS, 65535))
	full := min(c.snd.pathMSS, c.snd.peerMSS)
	if !m.on {
		if full <= base {
			base = max(full/2, uint16(c.cfg.MinSendMSS))
		}
		falls := m.falls + 1
		if now-m.again > mtuRetry {
			falls = 1 // full segments have come through since
		}
		*m = mtuProbe{on: true, low: min(base, full), high: full, falls: falls}
	} else {
		m.low = max(min(base, m.low/2), min(minPathMSS, full), uint16(c.cfg.MinSendMSS))
	}
	m.size, m.next = 0, now+mtuReprobe/60
	m.again = now + min(mtuRetry<<min(m.falls-1, 8), mtuReprobe)
	c.setMSS()
}

// trustAgain ends a suspicion that could not be looked into, as there was too
// little to send for probes: on a path that loses much, timeouts in a row mean
// little. The next ones bring it back, for longer.
func (c *Conn) trustAgain() {
	m := &c.rare.mtu
	m.on = false
	c.setMSS()
}

// probeSize returns the size of data of the next probe, 0 if none is due.
func (c *Conn) probeSize(now time.Duration, avail, room uint64) uint32 {
	if c.rare == nil || !c.rare.mtu.on || c.rare.mtu.size != 0 {
		return 0
	}
	m := &c.rare.mtu
	l := &c.fl.loss
	if l.state != cc.Open || l.sacked > 0 || now < m.next {
		return 0
	}
	if c.cwnd() < 11*uint32(c.snd.mss) {
		if now >= m.again {
			c.trustAgain()
		}
		return 0
	}
	if m.high < m.low+8 {
		m.next, m.high = now+mtuReprobe, min(c.snd.pathMSS, c.snd.peerMSS)
		return 0
	}
	size := uint32(m.low+(m.high-m.low+1)/2) - uint32(c.optionLen())
	if uint64(size)+uint64(3*c.snd.mss) > min(avail, room) || c.inFlight()+size > c.cwnd() {
		return 0
	}
	return size
}

// probed takes note of the probe that was sent.
func (c *Conn) probed(start uint64, size uint32) {
	m := &c.rare.mtu
	m.size, m.start, m.end = uint16(size)+uint16(c.optionLen()), start, start+uint64(size)
}

// ackedMTUProbe raises the MSS once a probe has arrived.
func (c *Conn) ackedMTUProbe(now time.Duration) {
	if c.rare == nil || c.rare.mtu.size == 0 || c.snd.una < c.rare.mtu.end {
		return
	}
	m := &c.rare.mtu
	m.low, m.size = m.size, 0
	c.setMSS()
}

// probeFailed reports whether the one thing lost is the probe, which then is sent
// again in smaller segments, and not taken for congestion (RFC 4821, section 7.6.2).
func (c *Conn) probeFailed(now time.Duration) bool {
	if c.rare == nil || c.rare.mtu.size == 0 {
		return false
	}
	m := &c.rare.mtu
	if c.snd.una > m.start {
		return false
	}
	b := &c.fl.board
	i := b.find(m.start)
	if i == b.n || b.at(i).flags&recLost == 0 || c.fl.loss.lost != b.at(i).n {
		return false
	}
	m.high, m.size = m.size-1, 0
	return true
}
