package tcp

import (
	"syscall"
	"time"

	"usock/internal/timer"
)

// timeoutMin is the shortest wait of a timer, and what comes on top of short ones, for timers that are coarse (Linux,
// TCP_TIMEOUT_MIN).
const timeoutMin = 2 * time.Millisecond

// armRetransmit sets the timer for what is in flight: of the tail loss probe where
// one may be sent, at the retransmission timeout at the latest, else of the timeout
// itself (RFC 6298 §5). It runs anew when data was acknowledged; when new
// data leaves, only the probe is put off.
func (s *sender) armRetransmit(t *tcb, now time.Duration, acked bool) {
	if s.una == s.nxt {
		// All is acknowledged: the timer is off (RFC 6298 §5.2).
		t.timer.rtx = never
		return
	}

	// New data does not put the timeout off: it is the oldest segment's, and only an
	// acknowledgment of new data starts it anew (RFC 6298 §5.1 and 5.3).
	rto := now + t.rtt.timeout()
	if !acked && t.timer.rtx != never && t.timer.kind != rtxWindowProbe {
		rto = s.headRTO(t, now)
	}

	// A loss probe comes first where it can, but never later than the RTO (RFC 8985 §7.2).
	if d, ok := s.tlpDelay(t); ok {
		t.timer.rtx, t.timer.kind = min(now+d, rto), rtxTLP
		return
	}

	if acked || t.timer.rtx == never || t.timer.kind == rtxWindowProbe || t.timer.kind == rtxTLP {
		t.timer.rtx, t.timer.kind = rto, rtxRTO
	}
}

// headRTO returns when the oldest segment in flight times out.
func (s *sender) headRTO(t *tcb, now time.Duration) time.Duration {
	b := &s.flight.scoreboard
	if b.n == 0 {
		return now + t.rtt.timeout()
	}

	// A retransmission starts it anew; with what is overdue there is a moment for the
	// acknowledgment that may be on its way.
	return max(b.at(b.first()).Sent+t.rtt.timeout(), now+time.Millisecond)
}

// armRTO sets the retransmission timer after a probe or a reordering timeout.
func (s *sender) armRTO(t *tcb, now time.Duration) {
	if s.flight == nil || s.una == s.nxt {
		t.timer.rtx = never
		return
	}
	t.timer.rtx, t.timer.kind = s.headRTO(t, now), rtxRTO
}

// armReorder sets the timer for losses that reordering may still explain, unless
// the retransmission timer comes first.
func (s *sender) armReorder(t *tcb, now, wait time.Duration) {
	at := now + wait + timeoutMin

	// Whatever the RTO finds lost, the reordering timer need not.
	if rto := s.headRTO(t, now); rto < at {
		t.timer.rtx, t.timer.kind = rto, rtxRTO
		return
	}

	t.timer.rtx, t.timer.kind = at, rtxReorder
}

// retransmitExpired takes the expiry of the retransmission timer (RFC 6298
// §5.4 to 5.7).
func (c *Conn) retransmitExpired(now time.Duration) {
	if c.snd.una == c.snd.nxt {
		return
	}

	if !(c.state == SynRcvd && c.embryonic()) {
		inc(&c.count().TCPTimeouts)
	}
	if c.gaveUp(now) || c.orphanAborted(now, c.rtt.timeout() < c.cfg.MaxRTO) {
		return
	}

	if c.timer.since == timer.Never {
		// What gaveUp goes by: the first timeout of a row.
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

		// Linux sends the first SYNs again at an even pace (tcp_syn_linear_timeouts).
		if c.state == SynRcvd || int(c.snd.retrans) > c.cfg.SynLinear {
			c.rtt.backOff(c.cfg)
		}
		c.timer.rtx, c.timer.kind = now+c.untilUser(now, c.rtt.timeout()), rtxRTO
		return
	}

	// Before anything is marked: what is sent again is then cut to the smaller size at once.
	c.snd.suspectBlackHole(&c.tcb, now)
	c.snd.onTimeout(&c.tcb, now)

	// The earliest segment leaves whatever the congestion window (RFC 6298 §5.4), and the
	// timeout doubles (§5.5), except where the program has asked for the contrary.
	c.todo |= todoRtx
	if c.snd.thin(&c.tcb) {
		// A thin stream: without doubling (Linux, tcp_thin_linear_timeouts).
		c.rtt.setRTO(c.cfg)
	} else {
		c.rtt.backOff(c.cfg)
	}

	c.timer.rtx, c.timer.kind = now+c.untilUser(now, c.rtt.timeout()), rtxRTO
}

// thinRetries is how many timeouts of a thin stream come without backoff.
const thinRetries = 6

// thin reports whether the next timeout is not to be doubled, because the
// connection has asked for that and has little in flight (Linux).
func (s *sender) thin(t *tcb) bool {
	// With fewer than four segments in flight three duplicates can never come: the timer is all
	// that such a stream has, and doubling it would be felt at once. Where the path is dead,
	// doubling begins after the sixth timeout.
	return t.opt.ThinLinear && t.state == Established && s.retrans <= thinRetries &&
		s.nxt-s.una < 4*uint64(s.mss)
}

// gaveUp fails the connection if retransmitting was of no use for long enough (
// RFC 9293 §3.8.3): for the user timeout, or as long as Retries2 timeouts take
// that begin with the least RTO (Linux). A SYN is counted.
func (c *Conn) gaveUp(now time.Duration) bool {
	switch c.state {
	case SynRcvd:
		// R2 for a SYN is a count (RFC 9293 §3.8.3); data that is waited for may need more of
		// them.
		if int(c.snd.retrans) < max(c.cfg.SynAckRetries, int(c.opt.DeferAccept)) {
			return false
		}
		c.timedOut()
		return true
	case SynSent:
		return c.connectGaveUp(now)
	}

	// R2 of RFC 9293 §3.8.3 is a time: the program's own (RFC 5482), or what so many
	// retransmissions would take.
	limit := c.userTimeout()
	switch {
	case limit != 0:
	case c.shut&orphan != 0:
		// Nobody waits for an orphan's data any more: it may go sooner.
		limit = modelTimeout(c.orphanRetries(), c.cfg.MinRTO, c.cfg.MaxRTO)
	default:
		limit = modelTimeout(c.cfg.Retries2, c.cfg.MinRTO, c.cfg.MaxRTO)
	}

	if c.timer.since == timer.Never || now-c.timer.since < limit {
		return false
	}
	c.timedOut()
	return true
}

// connectGaveUp fails an attempt to connect after SynRetries retransmissions and the
// linear ones, or sooner: after the user timeout, or after the time that the SYN and
// SynRetries retransmissions with backoff would take (Linux).
func (c *Conn) connectGaveUp(now time.Duration) bool {
	// TCP_SYNCNT takes the place of the host's count; the linear ones come on top of either.
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
	// Linux's tcp_model_timeout: 15 retransmissions, from 200 ms up to 120 s, are 924.6 s.
	total := time.Duration(0)
	for range n + 1 {
		total += first
		first = min(2*first, most)
	}
	return total
}

func (t *tcb) orphanRetries() int {
	// Linux's tcp_orphan_retries: nobody waits for what an orphan still sends.
	if n := t.cfg.OrphanRetries; n != 0 {
		return n
	}
	return 8
}

// timedOut ends the connection with the error of the path, if ICMP told one.
func (c *Conn) timedOut() {
	err := syscall.ETIMEDOUT

	// What a router has said explains the silence better (RFC 9293 §3.9.2.2: soft errors).
	if c.lazy != nil && c.lazy.softErr != 0 {
		err = c.lazy.softErr
	}
	if !(c.state == SynRcvd && c.embryonic()) {
		inc(&c.count().TCPAbortOnTimeout)
	}
	c.fail(err)
}

// userTimeout returns the limit of TCP_USER_TIMEOUT, 0 for none.
func (t *tcb) userTimeout() time.Duration {
	return time.Duration(t.opt.UserTimeout) * time.Millisecond
}

// untilUser cuts a wait where the user timeout ends.
func (t *tcb) untilUser(now, d time.Duration) time.Duration {
	// The timer goes off where the limit ends: else a timeout of a minute would be noticed with
	// the backoff's next expiry, minutes later.
	u := t.userTimeout()
	if u == 0 || t.timer.since == timer.Never {
		return d
	}

	return min(d, max(t.timer.since+u-now, timeoutMin))
}
