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
	switch c.state {
	case Closed, Listen, TimeWait:
		c.shut |= shutWrite
		return
	}
	c.shut |= shutWrite
	if c.state.synchronized() {
		c.finState()
	}
}

// finState queues the FIN and enters the state that goes with it.
func (c *Conn) finState() {
	if c.flags&finQueued != 0 {
		return
	}
	c.flags |= finQueued
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
// told by a reset (RFC 2525, section 2.17); else the rest is sent, and a FIN. The
// owner keeps the connection until it is CLOSED and Poll declines.
func (c *Conn) Close(now time.Duration) {
	unread := c.rcv.q.Len() > 0
	c.rcv.q.Reset(c.rcv.q.End())
	switch {
	case c.state == Closed:
		c.shut |= orphan
		return
	case c.state == SynSent:
		c.over()
		return
	case c.state == TimeWait:
		c.shut |= orphan | shutRead | shutWrite
		return
	case unread:
		c.resetNow()
		c.over()
		return
	}
	if c.state == SynRcvd && c.flags&active == 0 && !c.fastOpened() {
		c.resetNow()
		c.over()
		return
	}
	wasFin := c.flags&finQueued != 0
	c.ShutdownWrite(now)
	c.shut |= orphan | shutRead | shutWrite
	c.dropDisorder()
	c.timer.keep = never
	if wasFin && c.state == FinWait2 {
		c.orphanFinWait2(now)
	}
}

// orphanFinWait2 bounds the time that an orphan waits for the peer's FIN.
func (c *Conn) orphanFinWait2(now time.Duration) {
	d := c.cfg.FinTimeout
	switch s := c.opt.Linger2; {
	case s < 0:
		c.resetNow()
		c.over()
		return
	case s > 0:
		d = time.Duration(s) * time.Second
	}
	c.timer.keep = now + d
}

// Abort ends the connection at once, with a RST where the peer has to be told.
func (c *Conn) Abort(now time.Duration) {
	switch c.state {
	case Established, FinWait1, FinWait2, CloseWait, SynRcvd:
		c.resetNow()
	case Closing, LastAck:
		if c.snd.nxt < c.sndEnd() {
			c.resetNow()
		}
	}
	c.over()
	c.rcv.q.Reset(c.rcv.q.End())
}

// resetNow has Poll send a RST.
func (c *Conn) resetNow() {
	r := Segment{}
	r.Flags = wire.RST | wire.ACK
	r.Seq, r.Ack = c.sndSeq(c.acceptableSeq()), c.rcvSeq(c.rcv.nxt)
	c.setReset(&r)
	c.todo |= todoReset
}

// resetWith has Poll send <SEQ=seq><CTL=RST>, which answers a segment with an
// acknowledgment of something else (RFC 9293, section 3.5.2).
func (c *Conn) resetWith(seq uint32) {
	r := Segment{}
	r.Flags, r.Seq = wire.RST, seq
	c.setReset(&r)
	c.todo |= todoReset
}

// setReset keeps the RST until Poll.
func (c *Conn) setReset(r *Segment) {
	c.rareState().reset = rst{r.Seq, r.Ack, r.Flags}
}

type rst struct {
	seq, ack uint32
	flags    wire.TCPFlags
}

func (c *Conn) buildReset(now time.Duration, s *Segment) {
	c.todo &^= todoReset
	r := &c.rare.reset
	s.Seq, s.Ack, s.Flags = r.seq, r.ack, r.flags
	if c.flags&useTS != 0 && r.flags&wire.ACK != 0 {
		s.Options.HasTimestamp = true
		s.Options.TSVal, s.Options.TSEcr = c.tsNow(now), c.rcv.tsRecent
	}
	c.stats.segsOut++
	if c.cfg.Trace != nil {
		c.tellSent(s, c.sndOff(s.Seq))
	}
}

// fail ends the connection with an error for the program.
func (c *Conn) fail(err syscall.Errno) {
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
	if c.rare == nil || c.rare.softErr == 0 {
		return nil
	}
	err := c.rare.softErr
	c.rare.softErr = 0
	return err
}

// enterTimeWait enters TIME-WAIT for 2 MSL.
func (c *Conn) enterTimeWait(now time.Duration) {
	c.setState(TimeWait)
	todo := c.todo
	c.free()
	c.todo = todo
	c.shut |= shutWrite | shutRead
	c.timer.keep = now + c.cfg.TimeWait
	c.events |= wait.In | wait.Out | wait.RdHup | wait.Hup
}
