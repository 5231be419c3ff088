package tcp

import (
	"time"

	"usock/internal/buf"
	"usock/internal/wait"
)

// coalesce is the size up to which a write is copied into the block before it.
const coalesce = 2 << 10

// Write queues the bytes of v and takes over the reference. The caller has checked
// SendSpace; a write may exceed it. It returns the number of bytes queued: all, or
// 0 where the state allows no sending.
func (c *Conn) Write(now time.Duration, v buf.View) int {
	n := v.Len()
	if c.shut&shutWrite != 0 || !(c.state.canSend() || c.state == SynSent || c.state == SynRcvd) {
		v.Release()
		return 0
	}
	c.snd.checkAppLimited(&c.tcb)
	q := &c.snd.q
	if n <= coalesce && q.Len() > 0 && q.Extend(v.Bytes()) {
		v.Release()
		return n
	}
	if n <= coalesce && c.snd.unsent(&c.tcb) > 0 {
		// Behind a backlog of short writes: gather what follows in one block.
		q.Append(v.Bytes())
		v.Release()
		return n
	}
	q.Push(v)
	return n
}

// checkAppLimited notes that the program had nothing more to send while the window
// would have allowed it: what is delivered now does not show what the path can do.
func (s *sender) checkAppLimited(t *tcb) {
	f := s.fl
	if f == nil || f.loss.lost > 0 || s.unsent(t) >= int(s.mss) {
		return
	}
	if n := s.inFlight(); n < s.cwnd() {
		f.rate.OnAppLimited(n)
	}
}

// SendSpace returns how many bytes may be queued now; 0: the program has to wait
// for Out.
func (c *Conn) SendSpace() int {
	space := int(c.snd.bufSize) - c.snd.sndUsed()
	if space <= 0 || c.notSentLimit() <= c.snd.unsent(&c.tcb) {
		c.flags |= noSpace
		return 0
	}
	return space
}

// recCost is what a record of something in flight counts for beside its data, so
// that a peer that never acknowledges cannot make many small segments costly.
const recCost = 64

// sndUsed returns what is taken of the send buffer.
func (s *sender) sndUsed() int {
	n := s.q.Len()
	if s.fl != nil && s.fl.board.n > 1 {
		n += int(s.fl.board.n-1) * recCost
	}
	return n
}

func (t *tcb) notSentLimit() int {
	n := t.opt.NotSentLowat
	if n == 0 {
		n = t.cfg.NotSentLowat
	}
	return int(n)
}

// writable is Linux's rule for Out: a third of the buffer is free, and less than
// half of the limit on unsent data is waiting.
func (s *sender) writable(t *tcb) bool {
	used := s.sndUsed()
	if int(s.bufSize)-used >= used>>1 && s.unsent(t)*2 < t.notSentLimit() {
		return true
	}
	t.flags |= noSpace
	return false
}

// Unsent returns the bytes that were never sent (SIOCOUTQNSD).
func (c *Conn) Unsent() int { return c.snd.unsent(&c.tcb) }

func (s *sender) unsent(t *tcb) int {
	if t.state == Closed {
		return 0
	}
	return int(s.q.End() - min(max(s.nxt, 1), s.q.End()))
}

// Outstanding returns the bytes that are not acknowledged, sent or not (SIOCOUTQ).
func (c *Conn) Outstanding() int {
	n := c.snd.q.Len()
	if c.flags&finQueued != 0 && c.state.finSent() && c.snd.una <= c.snd.q.End() && c.state != Closed {
		n++
	}
	return n
}

// Sequence returns the offsets in the stream that is sent up to which it is acknowledged,
// was sent, and was written.
func (c *Conn) Sequence() (una, nxt, end uint64) { return c.snd.una, c.snd.nxt, c.snd.q.End() }

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
func (c *Conn) Read(now time.Duration, max int, dst []buf.View) []buf.View {
	if c.rare != nil {
		c.PassUrgent(now)
		max = c.rcv.untilMark(&c.tcb, max)
	}
	before := c.rcv.q.Base()
	dst = c.rcv.q.Take(max, dst)
	if n := c.rcv.q.Base() - before; n > 0 {
		c.rcv.readSome(&c.tcb, now, int(n))
	}
	return dst
}

// Peek appends views of up to max bytes from the one at off on, with a reference
// for each.
func (c *Conn) Peek(max, off int, dst []buf.View) []buf.View {
	from := c.rcv.q.Base() + uint64(off)
	if mark, ok := c.rcv.urgentMark(&c.tcb); ok {
		if from == mark && !c.opt.OOBInline {
			from++
		} else if from < mark {
			max = int(min(uint64(max), mark-from))
		}
	}
	return c.rcv.q.Peek(from, max, dst)
}

// Ready returns what poll(2) returns on Linux in every state (tcp_poll).
func (c *Conn) Ready() wait.Events {
	var ev wait.Events
	if c.shut&(shutRead|shutWrite) == shutRead|shutWrite || c.state == Closed {
		ev |= wait.Hup
	}
	if c.shut&shutRead != 0 {
		ev |= wait.In | wait.RdHup
	}
	if c.state != SynSent && (c.state != SynRcvd || c.fastOpened()) {
		if c.rcv.readable(&c.tcb) {
			ev |= wait.In
		}
		if c.shut&shutWrite != 0 || c.snd.writable(&c.tcb) {
			ev |= wait.Out
		}
		if c.rcv.urgentReady(&c.tcb) {
			ev |= wait.Pri
		}
	}
	if c.err != 0 {
		ev |= wait.Err
	}
	return ev
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
	return r.window() <= uint32(r.mss)
}
