package sctp

import (
	"time"

	"usock/internal/wait"
)

// OptionsChanged has the association heed what its owner has written through Options. What the
// handshake agrees on stays as it is.
func (a *Assoc) OptionsChanged(now time.Duration) wait.Events {
	o := &a.opt
	a.snd.rto = rtoBounds{o.RTOInitial, o.RTOMin, o.RTOMax}
	a.snd.maxBurst, a.snd.maxSeg, a.snd.noDelay = o.MaxBurst, o.MaxSeg, o.NoDelay
	a.rcv.sackDelay, a.rcv.sackFreq, a.rcv.pdPoint = o.SackDelay, o.SackFreq, o.PDPoint
	a.rcv.bufSize = uint32(o.RcvBuf)
	return a.take()
}

// Readable reports whether Recv has something.
func (a *Assoc) Readable() bool { return a.readable() }
