package tcp

import (
	"time"

	"usock/internal/timer"
)

// armWindowProbe sets the timer for probing a window that is closed (RFC 9293 §3.8.6.1).
func (s *sender) armWindowProbe(t *tcb, now time.Duration) {
	// Each Poll comes by here while the window is closed: the wait must not begin anew with it.
	if t.timer.rtx != never && t.timer.kind == rtxWindowProbe {
		return
	}
	t.timer.rtx, t.timer.kind = now+s.windowProbeDelay(t), rtxWindowProbe
}

// windowProbeExpired probes a closed window: with data if it is not quite closed, else
// with an old number.
func (c *Conn) windowProbeExpired(now time.Duration) {
	// Nothing waits any more, or something is in flight, whose own timer runs.
	if c.snd.nxt >= c.snd.sndEnd(&c.tcb) || c.snd.nxt != c.snd.una {
		return
	}

	if c.timer.since == timer.Never {
		c.timer.since = now
	}

	// A window may stay closed for ever as long as the peer answers (RFC 9293 §3.8.6.1), but for
	// a program that has set a limit, and for an orphan.
	limit := c.cfg.Retries2
	if c.shut&orphan != 0 {
		limit = c.orphanRetries()
	}
	if u := c.userTimeout(); u != 0 && now-c.timer.since >= u || int(c.snd.probes) >= limit || c.orphanTired() {
		c.timedOut()
		return
	}
	if c.orphanAborted(now, true) {
		return
	}

	if c.snd.wnd > 0 && c.snd.nxt < c.snd.q.End() {
		// The window takes a little: that is sent, and its own timer takes over
		// (Linux, tcp_send_probe0). A window that stays small is no closed one.
		c.todo |= todoForce
		c.snd.probes, c.rtt.backoff = 0, 0
	} else {
		c.todo |= todoProbe
		inc(&c.count().TCPWinProbe)
		c.snd.probes = min(c.snd.probes+1, 254)
		if int(c.rtt.backoff) < c.cfg.Retries2 {
			c.rtt.backoff++
		}
	}

	c.timer.rtx, c.timer.kind = now+c.untilUser(now, c.snd.windowProbeDelay(&c.tcb)), rtxWindowProbe
}

// orphanTired reports whether a connection without program has probed until the probes were as far
// apart as they get: an answer to each must not keep it for ever, as nobody is there to end it
// (Linux, tcp_probe_timer). By default that is after about five minutes.
func (c *Conn) orphanTired() bool {
	return c.shut&orphan != 0 && c.snd.windowProbeDelay(&c.tcb) >= c.cfg.MaxRTO && int(c.rtt.backoff) >= c.cfg.OrphanRetries
}

// windowProbeDelay is the time between probes: it doubles until the window opens, however
// often the peer answers (RFC 9293 §3.8.6.1).
func (s *sender) windowProbeDelay(t *tcb) time.Duration {
	d := max(t.rtt.timeout(), t.cfg.MinRTO)
	for i := uint8(0); i < t.rtt.backoff && d < t.cfg.MaxRTO; i++ {
		d *= 2
	}
	return min(d, t.cfg.MaxRTO)
}

// ackedWindowProbe is called for an acknowledgment while a probe timer is set and nothing
// is in flight. The peer is alive; whether it takes anything is another question.
func (s *sender) ackedWindowProbe(t *tcb, now time.Duration, sackLen uint32) {
	// An answer, whatever it says: the connection is not given up (RFC 9293 §3.8.6.1, MUST-37).
	s.probes = 0

	if t.timer.kind != rtxWindowProbe || t.timer.rtx == never {
		return
	}

	next := min(s.q.End(), s.nxt+uint64(s.sendMSS(t, sackLen)))
	if s.una+uint64(s.wnd) >= next && s.wnd > 0 {
		// It takes something again: Poll sends it.
		t.timer.rtx, t.timer.since, t.rtt.backoff = never, never, 0
		return
	}

	// Still closed, or too small: probing goes on, with its backoff.
	t.timer.rtx = now + t.untilUser(now, s.windowProbeDelay(t))
}
