package tcp

import (
	"syscall"

	"usock/internal/wait"
)

// SetLimit lets no more than the first n bytes of the stream leave, and no FIN behind them. What was sent before stays
// sent. It is called after Connect or Accept.
func (c *Conn) SetLimit(n uint64) { c.makeLazy().limit = origin + 1 + n }

// Unlimit ends SetLimit.
func (c *Conn) Unlimit() {
	if c.lazy != nil {
		c.lazy.limit = 0
	}
}

// AtLimit reports whether all bytes that SetLimit lets leave have left, once at least.
func (c *Conn) AtLimit() bool {
	if !c.limited() || !c.state.synchronized() || c.state == TimeWait {
		return false
	}
	return min(c.snd.nxt, c.snd.q.End()) >= c.lazy.limit // the FIN is no byte
}

func (t *tcb) limited() bool { return t.lazy != nil && t.lazy.limit != 0 }

// sendLimit is the least of the offset end and SetLimit's.
func (t *tcb) sendLimit(end uint64) uint64 {
	if t.limited() {
		return min(end, t.lazy.limit)
	}
	return end
}

// Reset ends a connection at once, for both its ends as if the other one had: the peer is sent a RST, whose number is
// that behind the last byte sent, and the program gets ECONNRESET. It can still read what has come, if keep is set.
func (c *Conn) Reset(keep bool) wait.Events {
	if c.state.synchronized() && c.state != TimeWait {
		c.resetNow()
	}
	if !keep {
		c.rcv.q.Reset(c.rcv.q.End())
		c.flags &^= finRcvd
	}
	c.fail(syscall.ECONNRESET)
	return c.take()
}
