package sctp

import (
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// Shutdown ends the association once all that was sent is acknowledged (section 9.2). One that is not
// established yet is forgotten.
func (a *Assoc) Shutdown(now time.Duration) wait.Events {
	a.shutdown(now)
	return a.take()
}

func (a *Assoc) shutdown(now time.Duration) {
	switch a.state {
	case CookieWait, CookieEchoed:
		a.end(0, ShutdownComp, 0, nil)
		a.todo = 0
	case Established:
		a.setState(ShutdownPending)
		a.snd.flush = true
		a.allAcked(now)
	}
}

// allAcked goes on with the shutdown once nothing is outstanding.
func (a *Assoc) allAcked(now time.Duration) {
	if a.state != ShutdownPending && a.state != ShutdownReceived || !a.snd.empty() {
		return
	}
	a.ctl = a.use
	if a.state == ShutdownPending {
		a.setState(ShutdownSent)
		a.todo |= todoShutdown

		// It bounds the shutdown, not what was to be sent before.
		a.timer.t5 = now + 5*a.opt.RTOMax
	} else {
		a.setState(ShutdownAckSent)
		a.todo |= todoShutdownAck
	}
	a.timer.close = never
	a.startT2(now)
}

// startT2 begins to wait for the answer to SHUTDOWN or SHUTDOWN ACK.
func (a *Assoc) startT2(now time.Duration) { a.timer.t2 = now + a.ctl.flow.rto }

// inShutdown takes a SHUTDOWN.
func (a *Assoc) inShutdown(now time.Duration, c *wire.Chunk) {
	tsn, err := wire.ParseTSN(c.Value)
	if err != nil {
		a.abort(wire.CauseProtocolViolation, []byte("SHUTDOWN of a wrong length"))
		return
	}
	switch a.state {
	case Established, ShutdownPending:
		if a.snd.unsent(tsn) && !a.rcv.asked {
			a.ackViolation() // before anything else (Linux, sctp_sf_do_9_2_shutdown)
			return
		}
		a.setState(ShutdownReceived)
		a.snd.flush = true
		a.timer.close = never
		a.notify(Notification{Type: EventShutdown})
		a.events |= wait.In | wait.RdHup
		a.acked(now, a.snd.onCumTSN(now, tsn))
	case ShutdownReceived:
		a.acked(now, a.snd.onCumTSN(now, tsn))
	case ShutdownSent:
		// Both have sent one (section 9.2).
		a.setState(ShutdownAckSent)
		a.todo = a.todo&^todoShutdown | todoShutdownAck
		a.startT2(now)
	case ShutdownAckSent:
		a.todo |= todoShutdownAck
	}
}

// inShutdownAck takes a SHUTDOWN ACK.
func (a *Assoc) inShutdownAck(in *In) {
	if a.state != ShutdownSent && a.state != ShutdownAckSent {
		return
	}
	if p := a.path(in.Src); p != nil {
		a.ctl = p
	}
	a.end(0, ShutdownComp, 0, nil)
	a.todo = todoShutdownComplete
}

// inShutdownComplete takes a SHUTDOWN COMPLETE, which is nothing in other states than SHUTDOWN-ACK-SENT.
func (a *Assoc) inShutdownComplete() {
	if a.state == ShutdownAckSent {
		a.end(0, ShutdownComp, 0, nil)
		a.todo = 0
	}
}

// t2Expired sends SHUTDOWN or SHUTDOWN ACK again, elsewhere if it can.
func (a *Assoc) t2Expired(now time.Duration) {
	a.cfg.Counters.T2ShutdownExpireds++
	a.timer.t2 = never
	p := a.ctl
	p.backOff(a.snd.rto)
	if !a.failed(now, p) {
		a.end(syscall.ETIMEDOUT, CommLost, 0, nil)
		a.todo = 0
		return
	}
	a.ctl = a.pathOf(a.snd.retran)
	if a.state == ShutdownSent {
		a.todo |= todoShutdown
	} else {
		a.todo |= todoShutdownAck
	}
	a.startT2(now)
}

// t5Expired ends a shutdown that takes too long (section 9.2).
func (a *Assoc) t5Expired() {
	a.cfg.Counters.T5ShutdownGuardExpireds++
	a.timer.t5 = never
	a.abortAs(syscall.ETIMEDOUT, nil, 0)
}
