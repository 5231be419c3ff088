package tcp

import "time"

// setKeepTimer starts or stops the keepalive timer (RFC 9293 §3.8.4).
func (c *Conn) setKeepTimer(now time.Duration) {
	// One timer serves keepalive, FIN-WAIT-2 and TIME-WAIT: no two of them run at once, as the
	// latter two have no program any more.
	if c.shut&orphan != 0 || !c.state.synchronized() || c.state == TimeWait {
		return
	}
	if !c.opt.KeepAlive {
		c.timer.keep = never
		return
	}
	c.timer.keep = now + c.keepIdle()
}

func (t *tcb) keepIdle() time.Duration {
	if n := t.opt.KeepIdle; n != 0 {
		return time.Duration(n) * time.Second
	}
	return t.cfg.KeepIdle
}

func (t *tcb) keepIntvl() time.Duration {
	if n := t.opt.KeepIntvl; n != 0 {
		return time.Duration(n) * time.Second
	}
	return t.cfg.KeepIntvl
}

func (t *tcb) keepCnt() int {
	if n := t.opt.KeepCnt; n != 0 {
		return int(n)
	}
	return t.cfg.KeepCnt
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

	if c.snd.una != c.snd.nxt || c.snd.nxt < c.snd.sndEnd(&c.tcb) {
		// Data is in flight or waits: its own timer finds a dead peer.
		c.timer.keep = now + c.keepIdle()
		return
	}

	// Any segment shows that the peer lives (RFC 9293 §3.8.4).
	silent := now - c.timer.heard
	if silent < c.keepIdle() {
		// It has spoken meanwhile: the silence is counted from there.
		c.snd.probes = 0
		c.timer.keep = c.timer.heard + c.keepIdle()
		return
	}

	// No single probe's silence proves anything, as acknowledgments get lost (RFC 9293 §3.8.4,
	// MUST-29): all of them have to stay unanswered, or the time that TCP_USER_TIMEOUT sets in
	// their place has to pass (tcp(7)).
	u := c.userTimeout()
	if u != 0 && silent >= u && c.snd.probes > 0 || u == 0 && int(c.snd.probes) >= c.keepCnt() {
		// The peer is told, should it still be there (Linux, tcp_keepalive_timer).
		c.resetNow()
		c.timedOut()
		return
	}

	// An old number that asks for an answer, without data: the peer need not have anything to
	// say.
	c.snd.probes = min(c.snd.probes+1, 254)
	c.todo |= todoProbe
	inc(&c.count().TCPKeepAlive)
	c.timer.keep = now + c.keepIntvl()
}
