package tcp

import (
	"time"

	"usock/internal/wait"
)

// Expire does what is due. It returns the events that happened.
func (c *Conn) Expire(now time.Duration) wait.Events {
	if c.cfg.Trace != 0 {
		c.tellExpired(now)
	}
	if c.timer.ack <= now {
		c.rcv.ackExpired(&c.tcb, now)
	}
	if c.timer.pace <= now {
		c.timer.pace = never
	}
	if c.timer.rtx <= now {
		// First: what is called sets it anew, or nothing is to be waited for any more.
		c.timer.rtx = never
		switch c.timer.kind {
		case rtxRTO:
			c.retransmitExpired(now)
		case rtxWindowProbe:
			c.windowProbeExpired(now)
		case rtxTLP:
			c.snd.tlpExpired(&c.tcb, now)
		case rtxReorder:
			c.snd.rackTimeout(&c.tcb, now)
		}
	}
	if c.timer.keep <= now {
		c.timer.keep = never
		c.keepExpired(now)
	}
	return c.take()
}
