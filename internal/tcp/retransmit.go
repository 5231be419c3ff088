package tcp

import (
	"time"

	"usock/cc"
	"usock/internal/wire"
)

// buildRetransmission builds a segment again: from the first sent segment that is lost,
// or a tail loss probe. ok is false if there is nothing of the kind to do and new
// data may be sent.
func (s *sender) buildRetransmission(t *tcb, now time.Duration, seg *Segment, sackLen uint32) (done, ok bool) {
	f := s.flight
	l := &f.loss

	// F-RTO sends new data first: the answer to that tells whether the timeout was needless
	// (RFC 5682 §3.1 step 2b).
	if l.preferNew && s.nxt == l.high && s.sndEnd(t) > s.nxt {
		return false, false
	}
	if l.preferNew && s.nxt > l.high {
		return false, false
	}

	i, found := s.nextLost()
	if !found {
		return false, false
	}

	mss := s.sendMSS(t, sackLen)
	n := min(f.scoreboard.at(i).n, mss)
	inFlight := s.inFlight()

	// The congestion window holds for retransmissions, too, but for the one of the timer (RFC
	// 6298 §5.4).
	if t.todo&todoRtx == 0 && inFlight+n > s.cwnd() {
		return false, true
	}

	// A window that was shrunk is respected (RFC 9293 §3.8.6, SHLD-16), but for the first
	// segment, which serves as a probe (MAY-7).
	start, edge := f.scoreboard.at(i).start, s.una+uint64(s.wnd)
	switch {
	case start < edge:
		mss = uint32(min(uint64(mss), edge-start))
	case start > s.una:
		return false, true
	}

	// The one of the timer is in TCPTimeouts.
	switch {
	case t.todo&todoRtx != 0:
	case l.state == cc.Loss:
		t.count().TCPSlowStartRetrans++
	default:
		t.count().TCPFastRetrans++
	}

	s.retransmit(t, now, seg, i, mss)
	return true, true
}

// retransmit builds the sent segment i again, cut to mss bytes.
func (s *sender) retransmit(t *tcb, now time.Duration, seg *Segment, i, mss uint32) {
	f := s.flight
	l := &f.loss
	b := &f.scoreboard

	t.todo &^= todoRtx
	inFlight := s.inFlight()

	if b.at(i).n > mss {
		// One segment of it; the rest stays lost.
		b.split(i, b.at(i).start+uint64(mss))
	}
	r := b.at(i)

	// The FIN takes a number and no byte.
	data := int(min(r.end(), s.q.End()) - min(r.start, s.q.End()))
	var fl wire.TCPFlags
	if data > 0 {
		got := s.fill(seg, r.start, data, int(mss))

		if got < data {
			b.split(i, r.start+uint64(got))
			r, data = b.at(i), got
		}

		if r.start+uint64(data) == s.q.End() {
			fl |= wire.PSH
		}
	}

	if r.end() > s.q.End() {
		fl |= wire.FIN
	}

	seg.Seq, seg.Flags = s.sndSeq(r.start), fl
	s.putUrgent(t, seg, r.start)

	// From lost to sent again: it counts as in flight once more (SetPipe, RFC 6675 §4).
	if r.flags&segLost != 0 {
		l.lost -= r.n
		l.hint = max(l.hint, r.start)
	}
	if r.flags&segRetrans == 0 {
		l.retrans += r.n
	}
	r.flags = r.flags&^segLost | segRetrans

	r.sent = min(r.sent+1, 255)
	if t.cfg.Trace != nil {
		s.noteAgain(t, r)
	}

	f.rate.OnSend(&r.Stamp, now, inFlight, r.n)
	f.cc.Sent(now, inFlight, r.n)
	l.noteResent(r)

	// What tells later whether this was needless: the time, for timestamps (RFC 3522), and the
	// bytes, for DSACKs (RFC 3708).
	if l.firstResent == 0 {
		l.firstResent = max(now, 1)
	}
	if l.undo {
		l.undoRetrans = max(l.undoRetrans, 0) + int32(r.n)
	}

	if l.cwnd != 0 {
		l.prrOut += r.n
	}

	t.stats.retransSegs++
	t.count().RetransSegs++
	t.stats.retransBytes += uint64(data)
	t.stats.bytesSent += uint64(data)
	t.stats.dataOut++
	s.lastData = now

	s.pace(t, now, r.n)

	// The timer is for the oldest segment (RFC 6298 §5.1).
	if i == 0 || t.timer.rtx == never {
		t.timer.rtx, t.timer.kind = now+t.untilUser(now, t.rtt.timeout()), rtxRTO
	}
}

// nextLost returns the index of the first sent segment that is marked lost.
func (s *sender) nextLost() (uint32, bool) {
	f := s.flight
	b := &f.scoreboard

	// From the cursor: whatever was marked below it has been sent again or delivered since.
	i := b.find(max(f.loss.hint, s.una))
	for i < b.n && b.at(i).flags&segLost == 0 {
		i++
	}
	return i, i < b.n
}
