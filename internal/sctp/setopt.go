package sctp

import (
	"syscall"
	"time"

	"usock/internal/wait"
)

// OptionsChanged has the association heed what its owner has written through Change. What the
// handshake has settled, such as the number of streams, stays as it is.
func (a *Assoc) OptionsChanged(now time.Duration) wait.Events {
	if a.cfg == nil {
		return 0
	}
	a.heed()
	if a.opt.AutoClose == 0 {
		a.timer.close = never
	}
	return a.take()
}

// SetBuffers changes the size of the buffers.
func (a *Assoc) SetBuffers(b Buffers) wait.Events {
	a.snd.bufSize, a.rcv.bufSize = b.SndBuf, uint32(b.RcvBuf)
	return a.take()
}

// heed hands the halves what is theirs of the options.
func (a *Assoc) heed() {
	o := a.opt
	if len(a.paths) > 0 && o.RTOInitial != a.snd.rto.RTOInitial {
		a.makeTally() // which remembers it
	}
	a.snd.rto = &o.RTOBounds
	a.snd.maxBurst, a.snd.maxSeg, a.snd.noDelay = o.MaxBurst, o.MaxSeg, o.NoDelay
	a.rcv.sackDelay, a.rcv.sackFreq, a.rcv.pdPoint = o.SackDelay, o.SackFreq, o.PDPoint
	for _, p := range a.paths {
		if *p.opt == o.Path {
			p.opt = &o.Path // and nothing refers to what the options were before
		}
	}
	a.rcv.mixed = a.rcv.interleaved || o.Interleave == 2
	a.snd.setScheduler(Sched(o.Scheduler))
}

// SetStreamValue sets what the scheduler goes by for an outgoing stream, its priority or weight
// (SCTP_STREAM_SCHEDULER_VALUE).
func (a *Assoc) SetStreamValue(stream, value uint16) syscall.Errno {
	if stream >= a.out {
		return syscall.EINVAL
	}
	a.snd.setSchedule(stream, value)
	return 0
}

// StreamValue returns it.
func (a *Assoc) StreamValue(stream uint16) (value uint16, errno syscall.Errno) {
	if stream >= a.out {
		return 0, syscall.EINVAL
	}
	if st := a.snd.known(stream); st != nil {
		value = st.prio
	}
	return value, 0
}

// Readable reports whether Recv has something.
func (a *Assoc) Readable() bool { return a.readable() }
