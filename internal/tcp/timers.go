package tcp

import (
	"syscall"
	"time"

	"usock/internal/wait"
)

// Expire does what is due. It returns the events that happened.
func (c *Conn) Expire(now time.Duration) wait.Events {
	if c.cfg.Trace != nil {
		c.tellExpired(now)
	}
	if c.timer.ack <= now {
		c.ackExpired(now)
	}
	if c.timer.pace <= now {
		c.timer.pace = never
	}
	if c.timer.rtx <= now {
		c.timer.rtx = never
		switch c.timer.kind {
		case rtxRTO:
			c.retransmitExpired(now)
		case rtxProbe:
			c.probeExpired(now)
		case rtxTLP:
			c.tlpExpired(now)
		case rtxReorder:
			c.rackTimeout(now)
		}
	}
	if c.timer.keep <= now {
		c.timer.keep = never
		c.keepExpired(now)
	}
	return c.take()
}

// armRetransmit sets the timer for what is in flight: of the tail loss probe where
// one may be sent, at the retransmission timeout at the latest, else of the timeout
// itself (RFC 6298, section 5). It runs anew when data was acknowledged; when new
// data leaves, only the probe is put off.
func (c *Conn) armRetransmit(now time.Duration, acked bool) {
	if c.snd.una == c.snd.nxt {
		c.timer.rtx = never
		return
	}
	rto := now + c.rtt.timeout()
	if !acked && c.timer.rtx != never && c.timer.kind != rtxProbe {
		rto = c.headRTO(now)
	}
	if d, ok := c.tlpDelay(); ok {
		c.timer.rtx, c.timer.kind = min(now+d, rto), rtxTLP
		return
	}
	if acked || c.timer.rtx == never || c.timer.kind == rtxProbe || c.timer.kind == rtxTLP {
		c.timer.rtx, c.timer.kind = rto, rtxRTO
	}
}

// headRTO returns when the oldest segment in flight times out.
func (c *Conn) headRTO(now time.Duration) time.Duration {
	b := &c.fl.board
	if b.n == 0 {
		return now + c.rtt.timeout()
	}
	return max(b.at(0).Sent+c.rtt.timeout(), now+time.Millisecond)
}

// armRTO sets the retransmission timer after a probe or a reordering timeout.
func (c *Conn) armRTO(now time.Duration) {
	if c.fl == nil || c.snd.una == c.snd.nxt {
		c.timer.rtx = never
		return
	}
	c.timer.rtx, c.timer.kind = c.headRTO(now), rtxRTO
}

// armReorder sets the timer for losses that reordering may still explain, unless
// the retransmission timer comes first.
func (c *Conn) armReorder(now, wait time.Duration) {
	at := now + wait + 2*time.Millisecond
	if rto := c.headRTO(now); rto < at {
		c.timer.rtx, c.timer.kind = rto, rtxRTO
		return
	}
	c.timer.rtx, c.timer.kind = at, rtxReorder
}

// armProbe sets the timer for probing a window that is closed (section 3.8.6.1).
func (c *Conn) armProbe(now time.Duration) {
	if c.timer.rtx != never && c.timer.kind == rtxProbe {
		return
	}
	c.timer.rtx, c.timer.kind = now+c.probeDelay(), rtxProbe
}

// retransmitExpired takes the expiry of the retransmission timer (RFC 6298,
// section 5.4 to 5.7).
func (c *Conn) retransmitExpired(now time.Duration) {
	if c.snd.una == c.snd.nxt {
		return
	}
	if c.gaveUp(now) {
		return
	}
	if c.timer.since == 0 {
		c.timer.since = now
	}
	c.snd.retrans = min(c.snd.retrans+1, 254)
	c.stats.totalRTO++
	if c.snd.retrans == 1 {
		c.stats.rtoRecoveries++
	}
	if c.state == SynSent || c.state == SynRcvd {
		// Data that went with or behind the SYN waits for its acknowledgment.
		c.todo |= todoSYN
		if c.state == SynRcvd || int(c.snd.retrans) > c.cfg.SynLinear {
			c.rtt.backOff(c.cfg)
		}
		c.timer.rtx, c.timer.kind = now+c.untilUser(now, c.rtt.timeout()), rtxRTO
		return
	}
	c.suspectBlackHole(now)
	c.onTimeout(now)
	c.todo |= todoRtx
	if c.thin() {
		c.rtt.setRTO(c.cfg)
	} else {
		c.rtt.backOff(c.cfg)
	}
	c.timer.rtx, c.timer.kind = now+c.untilUser(now, c.rtt.timeout()), rtxRTO
}

// userTimeout returns the limit of TCP_USER_TIMEOUT, 0 for none.
func (c *Conn) userTimeout() time.Duration {
	return time.Duration(c.opt.UserTimeout) * time.Millisecond
}

// untilUser cuts a wait where the user timeout ends.
func (c *Conn) untilUser(now, d time.Duration) time.Duration {
	u := c.userTimeout()
	if u == 0 || c.timer.since == 0 {
		return d
	}
	return min(d, max(c.timer.since+u-now, 2*time.Millisecond))
}

// thinRetries is how many timeouts of a thin stream come without backoff.
const thinRetries = 6

// thin reports whether the next timeout is not to be doubled, because the
// connection has asked for that and has little in flight (Linux).
func (c *Conn) thin() bool {
	return c.opt.ThinLinear && c.state == Established && c.snd.retrans <= thinRetries &&
		c.snd.nxt-c.snd.una < 4*uint64(c.snd.mss)
}

// gaveUp fails the connection if retransmitting was of no use for long enough (RFC
// 9293, section 3.8.3): for the user timeout, or as long as Retries2 timeouts take
// that begin with the least RTO (Linux). A SYN is counted.
func (c *Conn) gaveUp(now time.Duration) bool {
	switch c.state {
	case SynRcvd:
		if int(c.snd.retrans) < max(c.cfg.SynAckRetries, int(c.opt.DeferAccept)) {
			return false
		}
		c.timedOut()
		return true
	case SynSent:
		return c.connectGaveUp(now)
	}
	limit := c.userTimeout()
	switch {
	case limit != 0:
	case c.shut&orphan != 0:
		limit = modelTimeout(c.orphanRetries(), c.cfg.MinRTO, c.cfg.MaxRTO)
	default:
		limit = modelTimeout(c.cfg.Retries2, c.cfg.MinRTO, c.cfg.MaxRTO)
	}
	if c.timer.since == 0 || now-c.timer.since < limit {
		return false
	}
	c.timedOut()
	return true
}

// connectGaveUp fails an attempt to connect after SynRetries retransmissions and the
// linear ones, or sooner: after the user timeout, or after the time that the SYN and
// SynRetries retransmissions with backoff would take (Linux).
func (c *Conn) connectGaveUp(now time.Duration) bool {
	n := c.cfg.SynRetries
	if c.opt.SynCnt != 0 {
		n = int(c.opt.SynCnt)
	}
	limit := c.userTimeout()
	if limit == 0 {
		limit = modelTimeout(n, c.cfg.InitialRTO, c.cfg.MaxRTO)
	}
	if int(c.snd.retrans) < n+c.cfg.SynLinear && now-c.timer.since < limit {
		return false
	}
	c.timedOut()
	return true
}

// modelTimeout returns how long it takes until a segment that was sent again n times
// times out again, where the first timeout is first and the longest most.
func modelTimeout(n int, first, most time.Duration) time.Duration {
	total := time.Duration(0)
	for range n + 1 {
		total += first
		first = min(2*first, most)
	}
	return total
}

func (c *Conn) orphanRetries() int {
	if n := c.cfg.OrphanRetries; n != 0 {
		return n
	}
	return 8
}

// timedOut ends the connection with the error of the path, if ICMP told one.
func (c *Conn) timedOut() {
	err := syscall.ETIMEDOUT
	if c.rare != nil && c.rare.softErr != 0 {
		err = c.rare.softErr
	}
	c.fail(err)
}

// probeExpired probes a closed window: with data if it is not quite closed, else
// with an old number.
func (c *Conn) probeExpired(now time.Duration) {
	if c.snd.nxt >= c.sndEnd() || c.snd.nxt != c.snd.una {
		return
	}
	if c.timer.since == 0 {
		c.timer.since = now
	}
	limit := c.cfg.Retries2
	if c.shut&orphan != 0 {
		limit = c.orphanRetries()
	}
	if u := c.userTimeout(); u != 0 && now-c.timer.since >= u || int(c.snd.probes) >= limit {
		c.timedOut()
		return
	}
	if c.snd.wnd > 0 && c.snd.nxt < c.snd.q.End() {
		// The window takes a little: that is sent, and its own timer takes over
		// (Linux, tcp_send_probe0). A window that stays small is no closed one.
		c.todo |= todoForce
		c.snd.probes, c.rtt.backoff = 0, 0
	} else {
		c.todo |= todoProbe
		c.snd.probes = min(c.snd.probes+1, 254)
		if int(c.rtt.backoff) < c.cfg.Retries2 {
			c.rtt.backoff++
		}
	}
	c.timer.rtx, c.timer.kind = now+c.untilUser(now, c.probeDelay()), rtxProbe
}

// probeDelay is the time between probes: it doubles until the window opens, however
// often the peer answers (section 3.8.6.1).
func (c *Conn) probeDelay() time.Duration {
	d := max(c.rtt.timeout(), c.cfg.MinRTO)
	for i := uint8(0); i < c.rtt.backoff && d < c.cfg.MaxRTO; i++ {
		d *= 2
	}
	return min(d, c.cfg.MaxRTO)
}

// ackedProbe is called for an acknowledgment while a probe timer is set and nothing
// is in flight. The peer is alive; whether it takes anything is another question.
func (c *Conn) ackedProbe(now time.Duration) {
	c.snd.probes = 0
	if c.timer.kind != rtxProbe || c.timer.rtx == never {
		return
	}
	next := min(c.snd.q.End(), c.snd.nxt+uint64(c.sendMSS()))
	if c.snd.una+uint64(c.snd.wnd) >= next && c.snd.wnd > 0 {
		c.timer.rtx, c.timer.since, c.rtt.backoff = never, 0, 0
		return
	}
	c.timer.rtx = now + c.untilUser(now, c.probeDelay())
}

// setKeepTimer starts or stops the keepalive timer (RFC 9293, section 3.8.4).
func (c *Conn) setKeepTimer(now time.Duration) {
	if c.shut&orphan != 0 || !c.state.synchronized() || c.state == TimeWait {
		return
	}
	if !c.opt.KeepAlive {
		c.timer.keep = never
		return
	}
	c.timer.keep = now + c.keepIdle()
}

func (c *Conn) keepIdle() time.Duration {
	if n := c.opt.KeepIdle; n != 0 {
		return time.Duration(n) * time.Second
	}
	return c.cfg.KeepIdle
}

func (c *Conn) keepIntvl() time.Duration {
	if n := c.opt.KeepIntvl; n != 0 {
		return time.Duration(n) * time.Second
	}
	return c.cfg.KeepIntvl
}

func (c *Conn) keepCnt() int {
	if n := c.opt.KeepCnt; n != 0 {
		return int(n)
	}
	return c.cfg.KeepCnt
}

// keepExpired probes a silent peer, or ends FIN-WAIT-2 or TIME-WAIT.
func (c *Conn) keepExpired(now time.Duration) {
	switch {
	case c.state == TimeWait:
		c.over()
		return
	case c.shut&orphan != 0:
		if c.state == FinWait2 {
			c.over()
		}
		return
	case !c.opt.KeepAlive || !c.state.synchronized():
		return
	}
	if c.snd.una != c.snd.nxt || c.snd.nxt < c.sndEnd() {
		// Data is in flight or waits: its own timer finds a dead peer.
		c.timer.keep = now + c.keepIdle()
		return
	}
	silent := now - c.timer.heard
	if silent < c.keepIdle() {
		c.snd.probes = 0
		c.timer.keep = c.timer.heard + c.keepIdle()
		return
	}
	u := c.userTimeout()
	if u != 0 && silent >= u && c.snd.probes > 0 || u == 0 && int(c.snd.probes) >= c.keepCnt() {
		c.resetNow()
		c.timedOut()
		return
	}
	c.snd.probes = min(c.snd.probes+1, 254)
	c.todo |= todoProbe
	c.timer.keep = now + c.keepIntvl()
}
