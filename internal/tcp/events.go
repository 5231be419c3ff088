package tcp

import (
	"time"

	"usock/cc"
	"usock/internal/wire"
	"usock/trace"
)

// What the core tells of itself (package trace). Config.Trace says whether anybody listens, and
// all below is called only then. An event carries no addresses and no time: whoever called the
// core signs what it has made.
//
// Segments, losses and windows are told where they happen. What a connection waits for, its timers
// and its pacing rate are told by what changed since they were last told (tales).

// tales are what a connection tells, and has told. They are made when it first tells something, so that a connection
// that nobody looks at is not larger for it.
type tales struct {
	audience uint32        // that they are for: another one has been told nothing
	tape     *trace.Tape   // where events go; nil: the owner has not said so in this entry
	from     int           // of those written on the tape: where the connection's begin
	early    []trace.Event // told while there was no tape

	// Why the next segment is sent again, and for which time; NoReason: it is not.
	why   trace.Why
	times uint8

	// What was last told.
	stall trace.Why
	syns  uint8 // timeouts when the SYN was last sent again
	rate  uint64
	due   [1 + trace.TimerKeepAlive - trace.TimerRetransmit]time.Duration // of each timer

	// Of the congestion control: what was last told, or has grown since; 0: nothing was told.
	cwnd, ssthresh uint32
}

// tales returns the connection's, and makes them if need be.
func (t *tcb) tales() *tales {
	if l := t.lazy; l != nil && l.tales != nil && l.tales.audience == t.cfg.Trace {
		return l.tales
	}
	return t.makeTales()
}

//go:noinline
func (t *tcb) makeTales() *tales {
	l := t.makeLazy()
	l.tales = &tales{audience: t.cfg.Trace, stall: trace.ByNobody}
	return l.tales
}

// tell returns an event to be completed, which comes after those told before it.
func (t *tcb) tell(k trace.Kind, why trace.Why) *trace.Event {
	s := t.tales()
	if s.tape != nil {
		return s.tape.Next(k, why)
	}
	s.early = append(s.early, trace.Event{Kind: k, Why: why})
	return &s.early[len(s.early)-1]
}

// TellOn has the connection write what it tells on the tape, until Events is called, and what it has told before. It
// is called only if Config.Trace is set. Nobody else writes on the tape meanwhile.
func (c *Conn) TellOn(tape *trace.Tape) {
	s := c.tales()
	if s.tape != nil {
		return
	}
	s.tape, s.from = tape, tape.Written()
	if s.early != nil {
		for i := range s.early {
			*tape.Next(s.early[i].Kind, s.early[i].Why) = s.early[i]
		}
		s.early = nil
	}
}

// Events returns what the connection has told since TellOn was called, for the owner to say when they were and whose they are. It
// is called only if Config.Trace is set.
func (c *Conn) Events() []trace.Event {
	if c.lazy == nil || c.lazy.tales == nil {
		return nil
	}
	s := c.lazy.tales
	if s.tape == nil {
		return nil
	}
	told := s.tape.From(s.from)
	s.tape = nil
	if c.state == Closed {
		c.lazy.tales = nil
	}
	return told
}

// offset is a stream offset as events have it: the SYN's is 0.
func offset(off uint64) uint64 {
	if off < origin {
		return 0
	}
	return off - origin
}

// tellSent tells of a segment that leaves.
func (c *Conn) tellSent(s *Segment) {
	if !c.cfg.Kinds.Has(trace.Sent) {
		return
	}
	e := c.tell(trace.Sent, trace.NoReason)
	e.Flags, e.Times = trace.Flags(s.Flags), 1
	e.Seq, e.Len, e.Window = offset(c.snd.sndOff(s.Seq)), uint32(s.Len()), uint32(s.Window)
	if s.Flags&wire.SYN == 0 {
		e.Window <<= c.rcv.wscale
	} else if c.flags&synOnce != 0 {
		e.Times, e.Why = uint8(min(c.stats.retransSegs+1, 255)), c.whySYN()
	}
	if s.Flags&wire.ACK != 0 {
		e.Ack = offset(c.rcv.nxt)
	}
	if t := c.lazy.tales; t.why != trace.NoReason {
		e.Why, e.Times = t.why, t.times
		t.why = trace.NoReason
	}
}

// whySYN returns why a SYN is sent again: only the timer counts.
func (c *Conn) whySYN() trace.Why {
	m := c.tales()
	if c.snd.retrans == m.syns {
		return trace.ByPeer
	}
	m.syns = c.snd.retrans
	return trace.ByTimeout
}

// noteAgain notes why the segment that is being built is sent again, and for which time.
func (t *tcb) noteAgain(why trace.Why, times uint8) {
	if !t.cfg.Kinds.Has(trace.Sent) {
		return
	}
	s := t.tales()
	s.why, s.times = why, times
}

// tellReceived tells of a segment that has arrived.
func (c *Conn) tellReceived(s *Segment) {
	if !c.cfg.Kinds.Has(trace.Received) {
		return
	}
	e := c.tell(trace.Received, trace.NoReason)
	e.Flags, e.Len, e.Window = trace.Flags(s.Flags), uint32(s.Len()), uint32(s.Window)
	if s.Flags&wire.SYN == 0 {
		e.Seq = offset(c.rcv.rcvOff(s.Seq))
		e.Window <<= c.snd.wscale
	}
	if s.Flags&wire.ACK != 0 {
		e.Ack = offset(c.snd.sndOff(s.Ack))
	}
}

// tellState tells of a change of state.
func (t *tcb) tellState(before State) {
	if before != t.state {
		e := t.tell(trace.State, trace.NoReason)
		e.Before, e.State = before.String(), t.state.String()
	}
}

// tellLost tells that r is taken to be lost.
func (t *tcb) tellLost(r *sentSegment, why trace.Why) {
	e := t.tell(trace.Lost, why)
	e.Seq, e.Len, e.Times = offset(r.start), r.n, r.sent
}

// tellAcked tells that n bytes from start on have arrived, with the sender as it is after.
func (s *sender) tellAcked(t *tcb, start uint64, n uint32, rtt time.Duration) {
	if !t.cfg.Kinds.Has(trace.Acknowledged) {
		return
	}
	e := s.tellSender(t, trace.Acknowledged, trace.NoReason)
	e.Seq, e.Len, e.RTT, e.Rate = offset(start), n, rtt, s.flight.delivery
}

// tellWindow tells that the congestion window was changed by something other than growth.
func (s *sender) tellWindow(t *tcb, why trace.Why) {
	s.tellSender(t, trace.Window, why)
	m := t.lazy.tales
	m.cwnd, m.ssthresh = s.flight.cc.CWnd(), s.flight.cc.SSThresh()
}

// tellController tells what the congestion control has decided of itself: HyStart++'s end of slow start
// (RFC 9406), or a window that its model has reduced by more than an eighth.
func (s *sender) tellController(t *tcb, m *tales) {
	cwnd, ssthresh := s.flight.cc.CWnd(), s.flight.cc.SSThresh()
	if m.cwnd != 0 && (ssthresh != m.ssthresh || cwnd+cwnd/8 < m.cwnd) {
		s.tellWindow(t, trace.ByController)
		return
	}
	m.cwnd, m.ssthresh = max(m.cwnd, cwnd), ssthresh
}

// tellSender tells with the state of a connection that has sent.
func (s *sender) tellSender(t *tcb, k trace.Kind, why trace.Why) *trace.Event {
	e := t.tell(k, why)
	ssthresh := s.flight.cc.SSThresh()
	if ssthresh == cc.MaxWindow {
		ssthresh = trace.NoThreshold
	}
	e.Window, e.CWnd, e.SSThresh, e.InFlight = s.wnd, s.cwnd(), ssthresh, s.inFlight()
	e.SRTT, e.RTTVar = t.rtt.smoothed(), time.Duration(t.rtt.rttvar)*time.Microsecond/4
	return e
}

// tellPeerWindow tells that the peer's window was closed, or opened again.
func (c *Conn) tellPeerWindow(before uint32) {
	switch {
	case before > 0 && c.snd.wnd == 0:
		c.tell(trace.Window, trace.PeerClosed)
	case before == 0 && c.snd.wnd > 0:
		c.tell(trace.Window, trace.PeerOpened).Window = c.snd.wnd
	}
}

// tellExpired tells which timers Expire finds due.
func (c *Conn) tellExpired(now time.Duration) {
	if c.timer.rtx <= now {
		c.tell(trace.TimerExpired, rtxTimers[c.timer.kind])
	}
	if c.timer.ack <= now {
		c.tell(trace.TimerExpired, trace.TimerDelayedAck)
	}
	if c.timer.keep <= now {
		c.tell(trace.TimerExpired, trace.TimerKeepAlive)
	}
}

// rtxTimers are the names of the timers that are one deadline.
var rtxTimers = [...]trace.Why{
	rtxRTO: trace.TimerRetransmit, rtxTLP: trace.TimerTailLoss, rtxReorder: trace.TimerReordering, rtxWindowProbe: trace.TimerPersist,
}

// Tell tells, once Poll has declined, what has changed: which timer is next, at which rate data
// leaves, and whom what is left waits for. It is called only if Config.Trace is set.
func (c *Conn) Tell(now time.Duration) {
	if c.state == Closed {
		return
	}
	kinds, m := c.cfg.Kinds, c.tales()
	if kinds.Has(trace.TimerSet) {
		c.tellTimer(now, m)
	}
	if c.snd.flight != nil {
		if kinds.Has(trace.Rate) {
			c.tellRate(m)
		}
		if kinds.Has(trace.Window) {
			c.snd.tellController(&c.tcb, m)
		}
	}
	if !kinds.Has(trace.Stalled) {
		return
	}
	if why := c.stall(now); why != m.stall {
		m.stall = why
		c.tell(trace.Stalled, why).At = now
	}
}

// tellTimer tells which timer is next. What was told of one stands until it is over: a timer that progress has put off is no news.
func (c *Conn) tellTimer(now time.Duration, m *tales) {
	at, why := c.timer.rtx, rtxTimers[c.timer.kind]
	if c.timer.ack < at {
		at, why = c.timer.ack, trace.TimerDelayedAck
	}
	if c.timer.keep < at {
		at, why = c.timer.keep, trace.TimerKeepAlive
	}
	if due := &m.due[why-trace.TimerRetransmit]; at != never && (at < *due || *due <= now) {
		*due = at
		c.tell(trace.TimerSet, why).At = at
	}
}

// tellRate tells the pacing rate, if it has changed by more than an eighth.
func (c *Conn) tellRate(m *tales) {
	if rate := c.snd.pacingRate(&c.tcb); rate > m.rate+m.rate/8 || rate+rate/8 < m.rate {
		m.rate = rate
		c.tell(trace.Rate, trace.NoReason).Rate = rate
	}
}

// WaitsFor says whom the sender waits for, once Poll has declined: as an event of kind trace.Stalled does.
func (c *Conn) WaitsFor(now time.Duration) trace.Why { return c.stall(now) }

// stall says whom the sender waits for, now that Poll declines. The order is that of what would
// still be in the way if the others were not.
func (c *Conn) stall(now time.Duration) trace.Why {
	s := &c.snd
	switch {
	case s.retrans > 0 && s.una != s.nxt && (s.wnd > 0 || !c.state.synchronized()):
		return trace.ByPath
	case !c.state.synchronized():
		return trace.ByNobody
	case s.una == s.sndEnd(&c.tcb) && c.state.canSend():
		return trace.ByProgram
	}

	// What leaves next: something lost, or new data, or the FIN.
	left := s.sndEnd(&c.tcb) - s.nxt
	lost := s.flight != nil && s.flight.loss.lost > 0
	if left == 0 && !lost {
		return trace.ByNobody
	}
	mss := uint64(s.sendMSS(&c.tcb, c.rcv.sackLen(&c.tcb)))
	next, least := s.nxt, min(max(s.q.End(), s.nxt+1)-s.nxt, mss)
	if lost {
		i, _ := s.nextLost()
		r := s.flight.scoreboard.at(i)
		next, least = r.start, min(uint64(r.n), mss)
	}

	edge := s.una + uint64(s.wnd)
	switch inFlight := uint64(s.inFlight()); {
	case lost && next >= edge && next > s.una, !lost && edge < next+least:
		return trace.ByWindow
	case s.flight != nil && inFlight > 0 && inFlight+least > uint64(s.cwnd()):
		return trace.ByCWnd
	case c.timer.pace != never && c.timer.pace > now:
		return trace.ByPacing
	case lost || left >= mss:
		return trace.ByNobody
	case c.opt.Cork:
		return trace.ByProgram
	}
	return trace.ByNagle
}
