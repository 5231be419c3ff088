package sctp

import (
	"syscall"
	"time"

	"usock/internal/wait"
)

// Deadline returns when Expire is to be called; timer.Never: not at all.
func (a *Assoc) Deadline() time.Duration {
	if a.state == Closed {
		return never
	}
	d := never
	if a.opening != nil {
		d = a.opening.t1
	}
	if a.reconf != nil {
		d = min(d, a.reconf.at)
	}
	if a.asconf != nil {
		d = min(d, a.asconf.at)
	}
	d = min(d, a.timer.t2, a.timer.t5, a.timer.close)
	if a.state != ShutdownAckSent {
		d = min(d, a.rcv.ack.at)
	}
	for _, p := range a.paths {
		d = min(d, p.t3, p.hb.at)
		if p.probe != nil {
			d = min(d, p.probe.at)
		}
	}
	return d
}

// Expire is called when Deadline has passed.
func (a *Assoc) Expire(now time.Duration) wait.Events {
	if a.state == Closed {
		return 0
	}
	defer a.observe()
	switch {
	case a.opening != nil && a.opening.t1 <= now:
		a.t1Expired(now)
	case a.timer.t5 <= now:
		a.t5Expired()
	case a.timer.t2 <= now:
		a.t2Expired(now)
	}
	if a.state != ShutdownAckSent && a.rcv.ack.at <= now {
		a.cfg.Counters.DelaySackExpireds++
		a.rcv.ackNow()
	}
	for _, p := range a.paths {
		if a.state == Closed {
			break
		}
		if p.t3 <= now {
			a.t3Expired(now, p)
		}
		if p.hb.at <= now && a.state != Closed {
			a.heartbeatExpired(now, p)
		}
		if p.probe != nil && p.probe.at <= now {
			a.probeExpired(now, p)
		}
	}
	if r := a.reconf; r != nil && r.at <= now && a.state != Closed {
		a.t4Expired(now)
	}
	if d := a.asconf; d != nil && d.at <= now && a.state != Closed {
		a.asconfExpired(now)
	}
	if a.timer.close <= now && a.state != Closed {
		a.cfg.Counters.AutocloseExpireds++
		a.timer.close = never
		a.shutdown(now)
	}
	return a.take()
}

// t3Expired goes on elsewhere with what was lost on p, and counts (section 6.3.3).
func (a *Assoc) t3Expired(now time.Duration, p *path) {
	a.cfg.Counters.T3RtxExpireds++

	// A closed window is probed for as long as the peer answers (section 6.1 A); before the handshake
	// is over T1 counts.
	answered := a.heard >= p.lastSent
	if a.state != CookieEchoed && !(a.snd.probing() && answered) {
		if !a.failed(now, p) {
			a.end(syscall.ETIMEDOUT, CommLost, 0, nil)
			return
		}
	}
	a.snd.timeout(now, &p.flow)
	a.tellFailed(0)
}

// startAutoClose begins to wait for the association to be idle for long enough (SCTP_AUTOCLOSE).
func (a *Assoc) startAutoClose(now time.Duration) {
	if a.opt.AutoClose > 0 && a.state == Established {
		a.timer.close = now + a.opt.AutoClose
	}
}
