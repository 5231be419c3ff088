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
// and its pacing rate are told by what changed since they were last told (memory).

// memory is what was last told of a connection. It lives in the log, so that a connection that nobody
// looks at is not larger for it.
type memory struct {
	timer trace.Why // the one that is set; NoReason: none
	at    time.Duration
	stall trace.Why
	rate  uint64
	syns  uint8 // timeouts when the SYN was last sent again

	// Of the congestion control: what was last told, or has grown since; 0: nothing was told.
	cwnd, ssthresh uint32
}

// tell logs an event, whose maker is the part that both halves of a connection know.
func (t *tcb) tell(e trace.Event) { t.cfg.Trace.Add(t, e) }

// memory returns what was last told.
func (t *tcb) memory() *memory {
	m, _ := t.cfg.Trace.Memory(t).(*memory)
	if m == nil {
		m = &memory{stall: trace.ByNobody}
		t.cfg.Trace.Remember(t, m)
	}
	return m
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
	e := trace.Event{
		Kind: trace.Sent, Flags: trace.Flags(s.Flags), Seq: offset(c.snd.sndOff(s.Seq)), Len: uint32(s.Len()),
		Window: uint32(s.Window), Times: 1,
	}
	if s.Flags&wire.SYN == 0 {
		e.Window <<= c.rcv.wscale
	} else if c.flags&synOnce != 0 {
		e.Times, e.Why = uint8(min(c.stats.retransSegs+1, 255)), c.whySYN()
	}
	if s.Flags&wire.ACK != 0 {
		e.Ack = offset(c.rcv.nxt)
	}
	if why, times := c.cfg.Trace.TakeNote(&c.tcb); why != trace.NoReason {
		e.Why, e.Times = why, times
	}
	c.tell(e)
}

// whySYN returns why a SYN is sent again: only the timer counts.
func (c *Conn) whySYN() trace.Why {
	m := c.memory()
	if c.snd.retrans == m.syns {
		return trace.ByPeer
	}
	m.syns = c.snd.retrans
	return trace.ByTimeout
}

// noteAgain notes that the segment that is being built is r again, and why.
func (s *sender) noteAgain(t *tcb, r *sentSegment) { t.cfg.Trace.Note(t, r.why, r.sent) }

// tellReceived tells of a segment that has arrived.
func (c *Conn) tellReceived(s *Segment) {
	e := trace.Event{
		Kind: trace.Received, Flags: trace.Flags(s.Flags), Len: uint32(s.Len()), Window: uint32(s.Window),
	}
	if s.Flags&wire.SYN == 0 {
		e.Seq = offset(c.rcv.rcvOff(s.Seq))
		e.Window <<= c.snd.wscale
	}
	if s.Flags&wire.ACK != 0 {
		e.Ack = offset(c.snd.sndOff(s.Ack))
	}
	c.tell(e)
}

// tellState tells of a change of state.
func (t *tcb) tellState(before State) {
	if before != t.state {
		t.tell(trace.Event{Kind: trace.State, Before: before.String(), State: t.state.String()})
	}
	if t.state == Closed {
		t.cfg.Trace.Remember(t, nil)
	}
}

// tellLost tells that r is taken to be lost.
func (t *tcb) tellLost(r *sentSegment, why trace.Why) {
	t.tell(trace.Event{Kind: trace.Lost, Why: why, Seq: offset(r.start), Len: r.n, Times: r.sent})
}

// tellAcked tells that n bytes from start on have arrived, with the sender as it is after.
func (s *sender) tellAcked(t *tcb, start uint64, n uint32, rtt time.Duration) {
	e := s.event(t, trace.Acknowledged, trace.NoReason)
	e.Seq, e.Len, e.RTT, e.Rate = offset(start), n, rtt, s.flight.delivery
	t.tell(e)
}

// tellWindow tells that the congestion window was changed by something other than growth.
func (s *sender) tellWindow(t *tcb, why trace.Why) {
	t.tell(s.event(t, trace.Window, why))
	if m, _ := t.cfg.Trace.Memory(t).(*memory); m != nil {
		m.cwnd, m.ssthresh = s.flight.cc.CWnd(), s.flight.cc.SSThresh()
	}
}

// tellController tells what the congestion control has decided of itself: HyStart++'s end of slow start
// (RFC 9406), or a window that its model has reduced by more than an eighth.
func (s *sender) tellController(t *tcb, m *memory) {
	cwnd, ssthresh := s.flight.cc.CWnd(), s.flight.cc.SSThresh()
	if m.cwnd != 0 && (ssthresh != m.ssthresh || cwnd+cwnd/8 < m.cwnd) {
		s.tellWindow(t, trace.ByController)
		return
	}
	m.cwnd, m.ssthresh = max(m.cwnd, cwnd), ssthresh
}

// event returns an event with the state of a connection that has sent.
func (s *sender) event(t *tcb, k trace.Kind, why trace.Why) trace.Event {
	ssthresh := s.flight.cc.SSThresh()
	if ssthresh == cc.MaxWindow {
		ssthresh = trace.NoThreshold
	}
	return trace.Event{
		Kind: k, Why: why, Window: s.wnd, CWnd: s.cwnd(), SSThresh: ssthresh, InFlight: s.inFlight(),
		SRTT: t.rtt.smoothed(), RTTVar: time.Duration(t.rtt.rttvar) * time.Microsecond / 4,
	}
}

// tellPeerWindow tells that the peer's window was closed, or opened again.
func (c *Conn) tellPeerWindow(before uint32) {
	switch {
	case before > 0 && c.snd.wnd == 0:
		c.tell(trace.Event{Kind: trace.Window, Why: trace.PeerClosed})
	case before == 0 && c.snd.wnd > 0:
		c.tell(trace.Event{Kind: trace.Window, Why: trace.PeerOpened, Window: c.snd.wnd})
	}
}

// tellExpired tells which timers Expire finds due.
func (c *Conn) tellExpired(now time.Duration) {
	for _, t := range c.deadlines() {
		if t.at <= now {
			c.tell(trace.Event{Kind: trace.TimerExpired, Why: t.why})
		}
	}
}

type deadline struct {
	at  time.Duration
	why trace.Why
}

// deadlines returns the timers, but for pacing's.
func (c *Conn) deadlines() [3]deadline {
	rtx := [...]trace.Why{
		rtxRTO: trace.TimerRetransmit, rtxTLP: trace.TimerTailLoss, rtxReorder: trace.TimerReordering, rtxWindowProbe: trace.TimerPersist,
	}[c.timer.kind]
	return [3]deadline{{c.timer.rtx, rtx}, {c.timer.ack, trace.TimerDelayedAck}, {c.timer.keep, trace.TimerKeepAlive}}
}

// Tell tells, once Poll has declined, what has changed: which timer is next, at which rate data
// leaves, and whom what is left waits for. It is called only if Config.Trace is set.
func (c *Conn) Tell(now time.Duration) {
	if c.state == Closed {
		return
	}
	m := c.memory()

	next := deadline{at: never}
	for _, d := range c.deadlines() {
		if d.at < next.at {
			next = d
		}
	}
	if next.why != m.timer || next.at != m.at {
		m.timer, m.at = next.why, next.at
		if next.why != trace.NoReason {
			c.tell(trace.Event{Kind: trace.TimerSet, Why: next.why, At: next.at})
		}
	}

	if c.snd.flight != nil {
		if rate := c.snd.pacingRate(&c.tcb); rate > m.rate+m.rate/8 || rate+rate/8 < m.rate {
			m.rate = rate
			c.tell(trace.Event{Kind: trace.Rate, Rate: rate})
		}
		c.snd.tellController(&c.tcb, m)
	}

	if why := c.stall(now); why != m.stall {
		m.stall = why
		c.tell(trace.Event{Kind: trace.Stalled, Why: why, At: now})
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
	mss := uint64(s.sendMSS(&c.tcb, c.rcv.sackLen(&c.tcb)))
	next, least := s.nxt, min(max(s.q.End(), s.nxt+1)-s.nxt, mss)
	lost := s.flight != nil && s.flight.loss.lost > 0
	if lost {
		i, _ := s.nextLost()
		r := s.flight.scoreboard.at(i)
		next, least = r.start, min(uint64(r.n), mss)
	} else if left == 0 {
		return trace.ByNobody
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

// Sign has sign complete the events that the connection has made. It is called only if
// Config.Trace is set.
func (c *Conn) Sign(sign func(*trace.Event)) { c.cfg.Trace.Sign(&c.tcb, sign) }
