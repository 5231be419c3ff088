package tcp

import (
	"time"

	"usock/internal/wire"
)

// TimeWaitState is what is left of a connection in TIME-WAIT: little enough that
// an endpoint can be replaced by it.
type TimeWaitState struct {
	expires        time.Duration
	length         time.Duration
	oowAt          time.Duration
	tsRecentAt     time.Duration // when tsRecent was taken
	rcvNxt, sndNxt uint32
	tsRecent       uint32
	tsOffset       uint32
	window         uint16
	hasTS, rfc1337 bool
	limit          uint16 // ms between answers
}

// Verdict says what a segment that met TIME-WAIT is to lead to.
type Verdict uint8

// The verdicts.
const (
	Drop  Verdict = iota // nothing
	Reply                // send the reply
	Reuse                // hand the SYN to the listener, with ISS at or above NextISS
	End                  // the state is over
)

// TimeWait returns the state's record if the connection is in TIME-WAIT and has
// nothing to send any more.
func (c *Conn) TimeWait() (TimeWaitState, bool) {
	if c.state != TimeWait {
		return TimeWaitState{}, false
	}
	return TimeWaitState{
		expires: c.timer.keep, length: c.cfg.TimeWait,
		rcvNxt: c.rcv.rcvSeq(c.rcv.nxt), sndNxt: c.snd.sndSeq(c.snd.nxt),
		tsRecent: c.rcv.tsRecent, tsOffset: c.snd.tsOffset,
		window:     uint16(c.rcv.window() >> c.rcv.wscale),
		tsRecentAt: c.timer.heard,
		hasTS:      c.flags&useTS != 0, rfc1337: c.cfg.RFC1337,
		limit: uint16(c.cfg.InvalidRateLimit / time.Millisecond),
	}, true
}

// NextISS returns the least initial sequence number of a connection that
// replaces this one.
func (t *TimeWaitState) NextISS() uint32 {
	// Above all numbers that were used (RFC 9293 §3.6.1), by more than a window that is not
	// scaled (Linux, tcp_timewait_state_process).
	return t.sndNxt + 65537
}

// Expires returns when the state ends.
func (t *TimeWaitState) Expires() time.Duration { return t.expires }

// Segment takes a segment that arrived (RFC 9293 §3.10.7.4; RFC 1122
// §4.2.2.13; RFC 6191; RFC 1337). With Reply, *reply is to be sent, its
// ports filled in by the caller. The segment stays the caller's.
func (t *TimeWaitState) Segment(now time.Duration, s, reply *Segment) Verdict {
	o := &s.Options
	old := t.hasTS && o.HasTimestamp && int32(o.TSVal-t.tsRecent) < 0
	rst := s.Flags&wire.RST != 0

	// In order: a FIN or RST that repeats itself, or nothing at all.
	if !old && s.Seq == t.rcvNxt && (s.Len() == 0 || rst) {
		if rst {
			if !t.rfc1337 {
				// RFC 1337's assassination, which Linux allows unless told otherwise
				// (tcp_rfc1337).
				return End
			}
			return Drop
		}
		t.expires = now + t.length
		if o.HasTimestamp {
			t.tsRecent, t.tsRecentAt = o.TSVal, now
		}
		return Drop
	}

	// A SYN that is newer by number or by timestamp may open a new connection (RFC 1122
	// §4.2.2.13, RFC 6191 §2).
	if s.Flags&(wire.SYN|wire.RST|wire.ACK) == wire.SYN && !old &&
		(int32(s.Seq-t.rcvNxt) > 0 || t.hasTS && o.HasTimestamp && int32(o.TSVal-t.tsRecent) > 0) {
		return Reuse
	}

	if rst {
		return Drop
	}

	// 2 MSL begin anew: the peer has not heard our last acknowledgment (RFC 9293 §3.10.7.4).
	if old || s.Flags&wire.ACK != 0 {
		t.expires = now + t.length
	}

	// At a limited rate: what has no data may itself be such an answer, and two of them would
	// go on for ever.
	if s.Flags&wire.SYN != 0 || s.Len() == 0 {
		if t.oowAt != 0 && now-t.oowAt < time.Duration(t.limit)*time.Millisecond {
			return Drop
		}
		t.oowAt = max(now, 1)
	}

	*reply = Segment{}
	reply.Flags = wire.ACK
	reply.Seq, reply.Ack, reply.Window = t.sndNxt, t.rcvNxt, t.window
	if t.hasTS {
		reply.Options.HasTimestamp = true
		reply.Options.TSVal = uint32(now/time.Millisecond) + t.tsOffset
		reply.Options.TSEcr = t.tsRecent
	}
	return Reply
}

// inTimeWait takes a segment while the connection itself still holds the state.
// A SYN that could reuse the port is for the owner to see, through TimeWait.
func (c *Conn) inTimeWait(now time.Duration, s *Segment) {
	t, _ := c.TimeWait()

	// The limit goes on where the connection was with it.
	t.oowAt = c.rcv.ack.oowAt
	var reply Segment
	switch t.Segment(now, s, &reply) {
	case Reply:
		c.ackNow()
	case End:
		c.over()
		return
	}
	c.timer.keep, c.rcv.ack.oowAt, c.rcv.tsRecent = t.expires, t.oowAt, t.tsRecent
}

// Reusable reports whether a new active open may take the tuple over now, and with
// which initial sequence number: the old connection used timestamps, and the clock
// that they come from has moved on since the last of them, so that every segment of
// the new one is newer by PAWS (RFC 6191 §2; Linux, tcp_twsk_unique). Where the
// program has chosen the port, the sequence numbers, which are newer, are enough.
func (t *TimeWaitState) Reusable(now time.Duration, chosen bool) (iss uint32, ok bool) {
	return t.NextISS(), t.hasTS && (chosen || now-(t.expires-t.length) >= time.Millisecond)
}

// Yields reports whether Reusable can come to be true of a port that the program has not chosen.
func (t *TimeWaitState) Yields() bool { return t.hasTS }
