package tcp

import (
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
)

// ShutdownWrite ends the program's direction: a FIN follows the data that is
// queued.
func (c *Conn) ShutdownWrite(now time.Duration) {
	if c.shut&shutWrite != 0 {
		return
	}
	c.shut |= shutWrite

	// Before the handshake's end the FIN waits for it (RFC 9293 §3.10.4, SYN-RECEIVED):
	// established queues it then.
	if c.state.synchronized() {
		c.finState()
	}
}

// finState queues the FIN and enters the state that goes with it.
func (c *Conn) finState() {
	c.flags |= finQueued

	// The state says that the FIN is queued, not that it has left: with data before it it
	// waits.
	switch c.state {
	case Established:
		c.setState(FinWait1)
	case CloseWait:
		c.setState(LastAck)
	}
}

// ShutdownRead ends reading: what is queued can still be read, and what arrives is
// queued as before, but the end of the stream shows at once (Linux).
func (c *Conn) ShutdownRead(now time.Duration) {
	c.shut |= shutRead
}

// ReadShut reports whether reading has ended: by the program, the peer's FIN or the
// end of the connection.
func (c *Conn) ReadShut() bool { return c.shut&shutRead != 0 }

// Close says that the program has let go. Unread data is lost, which the peer is
// told by a reset (RFC 2525 §2.17); else the rest is sent, and a FIN. The
// owner keeps the connection until it is CLOSED and Poll declines.
func (c *Conn) Close(now time.Duration) {
	c.letGo(now)
	c.account()
}

// letGo is Close without the account.
func (c *Conn) letGo(now time.Duration) {
	// Before anything else: whether something was lost decides how it ends.
	unread := c.rcv.q.Len() > 0
	c.rcv.q.Reset(c.rcv.q.End())

	switch {
	case c.state == Closed:
		c.shut |= orphan
		return
	case c.state == SynSent:
		// Nobody has answered: there is nobody to tell (RFC 9293 §3.10.4).
		c.over()
		return
	case c.state == TimeWait:
		c.shut |= orphan | shutRead | shutWrite
		return
	case unread:
		// Data that the program will not read is lost, and the peer must not believe it taken
		// (RFC 9293 §3.6.1, SHLD-3).
		inc(&c.count().TCPAbortOnClose)
		c.resetNow()
		c.over()
		return
	}

	// Nobody has accepted it, nor will.
	if c.state == SynRcvd && c.flags&active == 0 && !c.fastOpened() {
		c.resetNow()
		c.over()
		return
	}

	wasFin := c.flags&finQueued != 0
	c.ShutdownWrite(now)
	if c.fastOpened() {
		c.flags |= finQueued // behind the data, which does not wait for the handshake's end (Linux, tcp_close_state)
	}
	c.shut |= orphan | shutRead | shutWrite
	c.rcv.dropOutOfOrder()

	tooMany := c.addOrphan()

	// From here on the timer is for FIN-WAIT-2.
	c.timer.keep = never
	if wasFin && c.state == FinWait2 {
		c.orphanFinWait2(now)
	}
	if tooMany && c.flags&countedOrphan != 0 {
		c.abortOnMemory(true)
	}
}

// orphanFinWait2 bounds the time that an orphan waits for the peer's FIN.
func (c *Conn) orphanFinWait2(now time.Duration) {
	d := c.cfg.FinTimeout
	switch s := c.opt.Linger2; {
	case s < 0:
		// TCP_LINGER2 below zero: the peer's direction is given up rather than waited for.
		inc(&c.count().TCPAbortOnLinger)
		c.resetNow()
		c.over()
		return
	case s > 0:
		d = time.Duration(s) * time.Second
	}

	// One that lasts no longer than TIME-WAIT is counted as that on Linux, and is as small here.
	if d <= c.cfg.TimeWait {
		c.dropOrphan()
	}

	// RFC 9293 lets FIN-WAIT-2 last; with no program it must not last for ever (Linux,
	// tcp_fin_timeout).
	c.timer.keep = now + d
}

// Abort ends the connection at once, with a RST where the peer has to be told.
func (c *Conn) Abort(now time.Duration) {
	switch c.state {
	case Established, FinWait1, FinWait2, CloseWait, SynRcvd:
		// The states in which RFC 9293 §3.10.5 asks for a RST.
		c.resetNow()
	case Closing, LastAck:
		// Only where something that the peer should have had will not come.
		if c.snd.nxt < c.snd.sndEnd(&c.tcb) {
			c.resetNow()
		}
	}

	c.over()
	c.rcv.q.Reset(c.rcv.q.End())
	c.account()
}

// resetNow has Poll send a RST.
func (c *Conn) resetNow() {
	// A number that the peer accepts, even one that has shrunk its window: a RST outside it is
	// dropped in silence (RFC 9293 §3.10.7.4, second check).
	r := Segment{}
	r.Flags = wire.RST | wire.ACK
	r.Seq, r.Ack = c.snd.sndSeq(c.acceptableSeq()), c.rcv.rcvSeq(c.rcv.nxt)

	c.setReset(&r)
	c.todo |= todoReset
}

// resetWith has Poll send <SEQ=seq><CTL=RST>, which answers a segment with an
// acknowledgment of something else (RFC 9293 §3.5.2).
func (t *tcb) resetWith(seq uint32) {
	r := Segment{}
	r.Flags, r.Seq = wire.RST, seq
	t.setReset(&r)
	t.todo |= todoReset
}

// answerReset answers a segment that no connection is there for. The RST takes 600 bytes of stack, which
// are not to be those of every segment.
//
//go:noinline
func (c *Conn) answerReset(s *Segment) {
	if r, ok := ResetFor(s); ok {
		c.todo |= todoReset
		c.setReset(&r)
	}
}

// setReset keeps the RST until Poll.
func (t *tcb) setReset(r *Segment) {
	t.makeLazy().reset = rst{r.Seq, r.Ack, r.Flags}
}

type rst struct {
	seq, ack uint32
	flags    wire.TCPFlags
}

// fail ends the connection with an error for the program.
func (c *Conn) fail(err syscall.Errno) {
	// What a listener has not handed out yet is no attempt of anybody's (Linux counts only those
	// that a segment ends: endSynRcvd).
	if c.state == SynSent || c.state == SynRcvd && !c.embryonic() {
		inc(&c.count().AttemptFails)
	}
	c.err = err
	c.over()
	c.events |= wait.Err
}

// Fail ends the connection with an error, without a word to the peer.
func (c *Conn) Fail(err syscall.Errno) wait.Events {
	c.fail(err)
	return c.take()
}

// over enters CLOSED. What was received can still be read.
func (c *Conn) over() {
	c.setState(Closed)
	c.shut |= shutRead | shutWrite

	// A RST is still to leave; nothing else is.
	c.todo &= todoReset
	c.free()
	c.events |= wait.In | wait.Out | wait.RdHup | wait.Hup
}

// Err returns the pending error, nil if there is none.
func (c *Conn) Err() error {
	if c.err == 0 {
		return nil
	}
	return c.err
}

// TakeErr returns the pending error and clears it.
func (c *Conn) TakeErr() error {
	err := c.Err()
	c.err = 0
	return err
}

// TakeSoftErr returns the last error that ICMP told and that was not reason enough
// to end the connection, and clears it. SO_ERROR tells it where no other is pending.
func (c *Conn) TakeSoftErr() error {
	if c.lazy == nil || c.lazy.softErr == 0 {
		return nil
	}
	err := c.lazy.softErr
	c.lazy.softErr = 0
	return err
}

// enterTimeWait enters TIME-WAIT for 2 MSL.
func (c *Conn) enterTimeWait(now time.Duration) {
	c.setState(TimeWait)
	todo := c.todo

	// The acknowledgment of the FIN is still to be sent.
	c.free()
	c.todo = todo
	c.shut |= shutWrite | shutRead

	// 2 MSL, in which the last acknowledgment can be given again (RFC 9293 §3.6.1).
	c.timer.keep = now + c.cfg.TimeWait
	c.events |= wait.In | wait.Out | wait.RdHup | wait.Hup
}
