package tcp

import (
	"time"

	"usock/packet"
)

// Received returns the offsets in the stream that is received up to which it was read, and
// has come.
func (c *Conn) Received() (base, end uint64) { return c.rcv.q.Base(), c.rcv.q.End() }

// Memory returns the bytes of memory that are held by what was received and by what is
// being sent.
func (c *Conn) Memory() (received, sent int) {
	received = c.rcv.q.Mem()
	if c.rcv.ooo != nil {
		received += c.rcv.ooo.q.Mem()
	}
	return received, c.snd.q.Mem()
}

// InqHint is the bytes that were received and not read, with one for the end of the
// stream: a receive will not wait for it either (Linux, tcp_inq_hint).
func (c *Conn) InqHint() int {
	n := c.rcv.q.Len()
	if c.flags&finRcvd != 0 {
		n++
	}
	return n
}

// Buffered returns the bytes that can be read.
func (c *Conn) Buffered() int { return c.rcv.q.Len() - c.rcv.hidden(&c.tcb) }

// BufferedFrom is Buffered without off bytes at the front (SO_PEEK_OFF). An urgent byte
// among those counts as one of them.
func (c *Conn) BufferedFrom(off int) int {
	n := c.rcv.q.Len() - off
	if mark, ok := c.rcv.urgentMark(&c.tcb); !ok || mark >= c.rcv.q.Base()+uint64(off) {
		n -= c.rcv.hidden(&c.tcb)
	}
	return n
}

// EOF reports whether the peer's FIN was reached and everything before it read.
func (c *Conn) EOF() bool { return c.flags&finRcvd != 0 && c.Buffered() == 0 }

// Read detaches up to max bytes and appends their views to dst; the references
// pass to the caller. It passes over the urgent byte, which PassUrgent does before one
// asks whether there is something to read.
func (c *Conn) Read(now time.Duration, max int, dst []packet.View) []packet.View {
	if c.lazy != nil {
		// Reading stops before the urgent byte, and passes over it when it is next, as
		// on Linux.
		c.PassUrgent(now)
		max = c.rcv.untilMark(&c.tcb, max)
	}

	before := c.rcv.q.Base()
	dst = c.rcv.q.Take(max, dst)

	if n := c.rcv.q.Base() - before; n > 0 {
		c.account() // before: the window depends on it
		c.rcv.readSome(&c.tcb, now, int(n))
	}
	return dst
}

// Peek appends views of up to max bytes from the one at off on, with a reference
// for each.
func (c *Conn) Peek(max, off int, dst []packet.View) []packet.View {
	from := c.rcv.q.Base() + uint64(off)
	if mark, ok := c.rcv.urgentMark(&c.tcb); ok {
		// As Read would, the urgent byte is passed over, or stopped at.
		if from == mark && !c.opt.OOBInline {
			from++
		} else if from < mark {
			max = int(min(uint64(max), mark-from))
		}
	}
	return c.rcv.q.Peek(from, max, dst)
}

// readable is Linux's rule for In (tcp_poll): SO_RCVLOWAT bytes, or what there is when no
// more can come. An urgent byte is one of them, but where it is the next.
func (r *receiver) readable(t *tcb) bool {
	n, low := r.q.Len(), int(t.opt.RcvLowat)
	if n == 0 {
		return false
	}
	if r.atMark(t) && !t.opt.OOBInline {
		low++
	}

	if n >= low {
		return true
	}

	// Less than SO_RCVLOWAT is all that can come, as the window has no room for more.
	return r.window() <= uint32(r.mss)
}

// RcvBuf returns the size of the receive buffer in bytes.
func (c *Conn) RcvBuf() int {
	if c.state == Closed && c.rcv.bufSize == 0 {
		return c.cfg.RMem[1]
	}
	return int(c.rcv.bufSize)
}

// SetRcvBuf fixes the receive buffer's memory at n bytes, half of which is window.
func (c *Conn) SetRcvBuf(now time.Duration, n int) {
	c.flags |= fixedRcv
	c.rcv.bufSize = uint32(n)
}

// SetRcvLowat sets how many bytes make the socket readable (SO_RCVLOWAT). The
// buffer grows so that they fit.
func (c *Conn) SetRcvLowat(now time.Duration, n int) {
	// Linux takes a negative number for all that there can be.
	if n < 0 {
		n = 1<<31 - 1
	}
	if c.flags&fixedRcv != 0 {
		n = min(n, int(c.rcv.bufSize/2))
	} else {
		n = min(n, c.cfg.RMem[2]/2)
	}

	c.opt.RcvLowat = int32(max(n, 1))

	// What is waited for has to fit, or it would be waited for in vain.
	if c.flags&fixedRcv == 0 && c.rcv.bufSize < uint32(2*n) && c.state != Closed {
		c.rcv.bufSize = uint32(2 * n)
		c.rcv.ssthresh = max(c.rcv.ssthresh, uint32(n))
		if c.state.synchronized() {
			c.ackNow()
		}
	}
}
