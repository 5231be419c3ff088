package sctp

import (
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// Abort ends the association with an ABORT that carries the reason (section 9.1).
func (a *Assoc) Abort(now time.Duration, reason []byte) wait.Events {
	if a.state != Closed {
		a.abortAs(syscall.ECONNABORTED, appendCause(nil, wire.CauseUserAbort, reason), wire.CauseUserAbort)
	}
	return a.take()
}

// Fail ends the association with an ABORT, where the peer knows of it, as what the program is to have for an error.
func (a *Assoc) Fail(err syscall.Errno) wait.Events {
	a.abortAs(err, nil, 0)
	return a.take()
}

// abort ends the association for what the peer has done.
func (a *Assoc) abort(cause uint16, v []byte) { a.abortWith(appendCause(nil, cause, v), cause) }

// abortWith is abort with causes that are written already.
func (a *Assoc) abortWith(causes []byte, cause uint16) {
	a.abortAs(syscall.ECONNABORTED, causes, cause)
}

func (a *Assoc) abortAs(err syscall.Errno, causes []byte, cause uint16) {
	if a.state == Closed {
		return
	}
	state := int32(CommLost)
	if a.state == CookieWait || a.state == CookieEchoed {
		state = CantStart
		if err == syscall.ECONNABORTED {
			err = syscall.ECONNREFUSED
		}
	}
	a.end(err, state, cause, nil)

	// In COOKIE-WAIT the peer has no association to be ended, nor is its tag known.
	a.todo = 0
	if a.peerTag != 0 {
		a.todo = todoAbort
		a.makeWaiting().replies = []reply{{chunk: (&wire.Chunk{Type: wire.ChunkAbort, Value: causes}).Append(nil)}}
	}
}

// inAbort takes an ABORT that is the peer's (section 9.1).
func (a *Assoc) inAbort(c *wire.Chunk) {
	var cause uint16
	if x, _, err := wire.ParseTLV(c.Value); err == nil {
		cause = x.Type
	}
	causes := append([]byte(nil), c.Value...)
	a.todo = 0
	if w := a.waiting; w != nil {
		w.replies = nil
		a.waited()
	}
	if a.state == CookieWait || a.state == CookieEchoed {
		a.end(syscall.ECONNREFUSED, CantStart, cause, causes)
		return
	}
	a.end(syscall.ECONNRESET, CommLost, cause, causes)
}

// inError takes an ERROR (section 3.3.10).
func (a *Assoc) inError(now time.Duration, c *wire.Chunk) {
	if a.state == CookieWait {
		return
	}
	for b := c.Value; len(b) > 0 && a.state != Closed; {
		x, rest, err := wire.ParseTLV(b)
		if err != nil {
			return
		}
		if x.Type == wire.CauseStaleCookie && a.state == CookieEchoed {
			a.inStaleCookie(now, x.Value)
			return
		}
		if a.state != CookieEchoed {
			a.notify(Notification{Type: EventRemoteError, Error: uint32(x.Type), Data: append([]byte(nil), x.Value...)})
		}
		b = rest
	}
}

// inStaleCookie begins the handshake again, and asks for a cookie that lives longer (section 5.2.6).
func (a *Assoc) inStaleCookie(now time.Duration, v []byte) {
	if len(v) != 4 {
		return
	}
	a.initErrors++
	if a.initErrors > a.opt.MaxInitRetrans {
		a.end(syscall.ESTALE, CantStart, wire.CauseStaleCookie, nil)
		return
	}
	a.opening.stale = uint32(v[0])<<24 | uint32(v[1])<<16 | uint32(v[2])<<8 | uint32(v[3])
	a.opening.cookie, a.opening.timeouts = nil, 0
	a.opening.t1 = never
	a.peerTag, a.auth = 0, nil
	a.setState(CookieWait)
	a.todo = todoInit
}

// ICMP takes an ICMP error about a packet of the association (section 10).
func (a *Assoc) ICMP(now time.Duration, e *ICMPError) wait.Events {
	p := a.path(e.Peer)
	if p == nil || a.state == Closed {
		return 0
	}

	// ICMP7 and ICMP8: the quoted tag is the peer's, or it is 0 and the chunk is this end's INIT.
	if e.VTag != a.peerTag || e.VTag == 0 && e.Init != a.tag {
		return 0
	}
	switch {
	case e.MTU != 0:
		a.lowerMTU(p, e.MTU)
	case e.Proto:
		// ICMP5: there is no SCTP at all, as an ABORT.
		if a.state == CookieWait || a.state == CookieEchoed {
			a.todo = 0
			a.end(syscall.EPROTONOSUPPORT, CantStart, 0, nil)
		}
	case e.Errno != 0 && a.state == CookieWait:
		a.err = e.Errno
		a.events |= wait.Err
	}
	return a.take()
}
