package tcp

import (
	"time"

	"usock/cc"
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

// mtuReprobe is how long to wait before trying again what did not pass (RFC 8899
// §5.1.1, PMTU_RAISE_TIMER).
const mtuReprobe = 600 * time.Second

// mtuRetry is how long a first suspicion lasts where there is too little to send
// for probes.
const mtuRetry = 30 * time.Second

// ICMP takes an error message about the connection. The owner has looked up the
// connection by the quoted addresses and ports.
func (c *Conn) ICMP(now time.Duration, e *ICMPError) wait.Events {
	// The quoted segment must be in flight (RFC 5927 §4.1).
	seq := c.snd.sndOff(e.Seq)
	if c.state == Closed || seq < c.snd.una || seq >= c.snd.nxt {
		return 0
	}
	if c.cfg.Trace != 0 && e.Errno != 0 {
		refused := c.tell(trace.Refused, trace.NoReason)
		refused.Seq, refused.Err = offset(seq), e.Errno.Error()
	}

	switch {
	case e.MSS != 0:
		c.tooBig(now, e.MSS)
	case e.Errno == 0:
	case c.state == SynSent || c.state == SynRcvd && !c.fastOpened():
		// Nothing is established that could be lost: the error is the answer (RFC 9293
		// §3.9.2.2, hard and soft errors alike on Linux).
		c.fail(e.Errno)
	case e.Errno != 0:
		// Soft for an established connection (RFC 5927 §5.2): told when it times out.
		c.makeLazy().softErr = e.Errno
	}
	return c.take()
}

// tooBig takes the news that the path takes segments of mss at most. During the handshake the SYN,
// should it be sent again, tells it to the peer, whose segments are likely to come the same way
// (Linux, tcp_advertise_mss). A SYN with data was itself what is too big: it is sent again at once,
// and without.
func (c *Conn) tooBig(now time.Duration, mss int) {
	before := c.snd.pathMSS
	c.snd.tooBig(&c.tcb, now, mss)
	if c.snd.pathMSS == before || c.state.synchronized() {
		return
	}
	c.rcv.advMSS = min(c.rcv.advMSS, c.snd.pathMSS)
	if c.state == SynSent && c.lazy != nil && c.lazy.fo.syn {
		c.todo |= todoSYN
	}
}

// tooBig lowers the path's MSS and sends again at once what did not fit.
func (s *sender) tooBig(t *tcb, now time.Duration, mss int) {
	// Nobody can make us send smaller than that: a forged message costs little (RFC 5927 §7).
	mss = max(mss, minPathMSS)

	// News only: a flight of large segments brings as many messages, and an answer to each would
	// send the same data over and over (RFC 1191 §6.4). A larger size is never believed: only
	// probes, and time, raise it.
	if mss >= int(s.pathMSS) {
		return
	}

	s.pathMSS = uint16(mss)
	if t.lazy != nil && t.lazy.mtu.on {
		t.lazy.mtu.high = min(t.lazy.mtu.high, uint16(mss))
		t.lazy.mtu.low = min(t.lazy.mtu.low, uint16(mss))
	}

	s.setMSS(t)
	s.simpleRetransmit(t, now)
}

// simpleRetransmit marks what is larger than the MSS lost. That is no sign of
// congestion, so that the window stays (RFC 8201 §5.4; RFC 1191 §6.4).
func (s *sender) simpleRetransmit(t *tcb, now time.Duration) {
	f := s.flight
	if f == nil || !t.state.synchronized() {
		return
	}
	mss := uint32(s.mss)

	any := false
	b := &f.scoreboard
	for i := b.first(); i < b.end(); i = b.next(i) {
		if b.at(i).n > mss && s.markLost(t, now, i, trace.ByMTU) > 0 {
			any = true
		}
	}

	if any {
		s.lostInName(t)
	}

	// At once: no timer has to find out what ICMP has told.
	t.todo |= todoRtx
}

// lostInName has what is marked lost sent again at once and without a reduction.
func (s *sender) lostInName(t *tcb) {
	l := &s.flight.loss
	if l.state < cc.Recovery {
		l.state, l.high = cc.Loss, s.nxt
		l.frto, l.undo, l.cwnd = false, false, 0
	}
	t.todo |= todoRtx
}

// suspectBlackHole is called at each retransmission timeout. Enough of them in a row
// make smaller segments worth a try (RFC 4821 §7.7).
func (s *sender) suspectBlackHole(t *tcb, now time.Duration) {
	if t.cfg.MTUProbing == 0 || int(s.retrans) < t.cfg.Retries1 || !t.state.synchronized() {
		return
	}

	m := &t.makeLazy().mtu

	base := uint16(min(t.cfg.BaseMSS, 65535))
	full := min(s.pathMSS, s.peerMSS)

	// Small packets pass where large ones do not: this is what is tried first, and smaller ones
	// if the timeouts go on.
	if !m.on {
		if full <= base {
			base = max(full/2, uint16(t.cfg.MinSendMSS))
		}
		falls := m.falls + 1
		if now-m.again > mtuRetry {
			falls = 1 // full segments have come through since
		}
		*m = mtuProbe{on: true, low: min(base, full), high: full, falls: falls}
	} else {
		m.low = max(min(base, m.low/2), min(minPathMSS, full), uint16(t.cfg.MinSendMSS))
	}

	m.size, m.next = 0, now+mtuReprobe/60
	m.again = now + min(mtuRetry<<min(m.falls-1, 8), mtuReprobe)
	s.setMSS(t)
}

// trustAgain ends a suspicion that could not be looked into, as there was too
// little to send for probes: on a path that loses much, timeouts in a row mean
// little. The next ones bring it back, for longer.
func (s *sender) trustAgain(t *tcb) {
	m := &t.lazy.mtu
	m.on = false
	s.setMSS(t)
}

// mtuProbeSize returns the size of data of the next probe, 0 if none is due.
func (s *sender) mtuProbeSize(t *tcb, now time.Duration, avail, room uint64) uint32 {
	if t.lazy == nil || !t.lazy.mtu.on || t.lazy.mtu.size != 0 {
		return 0
	}

	m := &t.lazy.mtu
	l := &s.flight.loss

	// Recovery and probing would each take the other's losses for its own.
	if l.state != cc.Open || l.sacked > 0 || now < m.next {
		return 0
	}

	// A probe that is lost must not cost a timeout: segments behind it have to tell (RFC 4821
	// §7.4).
	if s.cwnd() < 11*uint32(s.mss) {
		if now >= m.again {
			s.trustAgain(t)
		}
		return 0
	}

	// Close enough: the rest is not worth the probes (RFC 4821 §7.3).
	if m.high < m.low+8 {
		m.next, m.high = now+mtuReprobe, min(s.pathMSS, s.peerMSS)
		return 0
	}

	// Half way between what passes and what may not, with data to follow it.
	size := uint32(m.low+(m.high-m.low+1)/2) - uint32(t.optionLen())
	if uint64(size)+uint64(3*s.mss) > min(avail, room) || s.inFlight()+size > s.cwnd() {
		return 0
	}
	return size
}

// sentMTUProbe takes note of the probe that was sent.
func (s *sender) sentMTUProbe(t *tcb, start uint64, size uint32) {
	m := &t.lazy.mtu
	m.size, m.start, m.end = uint16(size)+uint16(t.optionLen()), start, start+uint64(size)
}

// ackedMTUProbe raises the MSS once a probe has arrived.
func (s *sender) ackedMTUProbe(t *tcb, now time.Duration) {
	if t.lazy == nil || t.lazy.mtu.size == 0 || s.una < t.lazy.mtu.end {
		return
	}
	m := &t.lazy.mtu

	// It has arrived: the size is proven.
	m.low, m.size = m.size, 0
	inc(&t.count().TCPMTUPSuccess)
	s.setMSS(t)
}

// isMTUProbe reports whether the segment is a probe of the path's MTU that is under way.
func (s *sender) isMTUProbe(t *tcb, r *sentSegment) bool {
	return t.lazy != nil && t.lazy.mtu.size != 0 && t.lazy.mtu.start == r.start && r.sent == 1
}

// mtuProbeFailed reports whether the one thing lost is the probe, which then is sent
// again in smaller segments, and not taken for congestion (RFC 4821 §7.6.2).
func (s *sender) mtuProbeFailed(t *tcb, now time.Duration) bool {
	if t.lazy == nil || t.lazy.mtu.size == 0 {
		return false
	}
	m := &t.lazy.mtu
	if s.una > m.start {
		return false
	}

	// Alone: with other losses it may as well be the path that is full.
	b := &s.flight.scoreboard
	i := b.find(m.start)
	if i == b.end() || b.at(i).flags&segLost == 0 || s.flight.loss.lost != b.at(i).n {
		return false
	}
	m.high, m.size = m.size-1, 0
	b.at(i).why = trace.ByMTU
	inc(&t.count().TCPMTUPFail)
	return true
}

// Covers reports whether seq is the sequence number of something sent and not
// acknowledged: what an ICMP message must quote to be believed (RFC 5927
// §4.1).
func (c *Conn) Covers(seq uint32) bool {
	off := c.snd.sndOff(seq)
	return c.state != Closed && off >= c.snd.una && off < c.snd.nxt
}

// LowerPathMSS tells the connection that the path takes less than it thought: what
// another connection to the same host has learnt (RFC 8201 §5.2). mss is
// what the path's MTU leaves for data and TCP options; a larger one than before has
// no effect.
func (c *Conn) LowerPathMSS(now time.Duration, mss int) {
	if c.state != Closed {
		c.tooBig(now, mss)
	}
}
