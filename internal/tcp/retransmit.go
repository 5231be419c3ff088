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
	n, limit := f.scoreboard.at(i).n, mss
	if t.todo&todoRtx == 0 {
		// The congestion window holds for retransmissions, too, but for the one of the timer (RFC
		// 6298 §5.4), which is one segment.
		cwnd, inFlight := s.cwnd(), s.inFlight()
		if inFlight+min(n, mss) > cwnd {
			return false, true
		}

		// A range that was lost as a whole leaves as large as new data would.
		if n > mss && s.maxSeg > mss {
			limit = min(cwnd-inFlight, s.maxSeg, uint32(s.autosize(t)))
			limit = max(limit-limit%mss, mss)
		}
	}

	// A window that was shrunk is respected (RFC 9293 §3.8.6, SHLD-16), but for the first
	// segment, which serves as a probe (MAY-7).
	start, edge := f.scoreboard.at(i).start, s.una+uint64(s.wnd)
	switch {
	case start < edge:
		limit = uint32(min(uint64(limit), edge-start))
	case start > s.una:
		return false, true
	}

	// The one of the timer is in TCPTimeouts.
	timer := t.todo&todoRtx != 0
	segs := uint64(s.retransmit(t, now, seg, i, limit, mss))
	switch {
	case timer:
	case l.state == cc.Loss:
		add(&t.count().TCPSlowStartRetrans, segs)
	default:
		add(&t.count().TCPFastRetrans, segs)
	}
	return true, true
}

// retransmit builds the sent range i again, cut to limit bytes, as segments of mss bytes, and
// returns how many of those it is.
func (s *sender) retransmit(t *tcb, now time.Duration, seg *Segment, i place, limit, mss uint32) uint32 {
	f := s.flight
	l := &f.loss
	b := &f.scoreboard

	t.todo &^= todoRtx
	inFlight := s.inFlight()

	if b.at(i).n > limit {
		// The rest stays lost.
		i = b.split(i, b.at(i).start+uint64(limit))
	}
	r := b.at(i)

	// The FIN takes a number and no byte.
	data := int(min(r.end(), s.q.End()) - min(r.start, s.q.End()))
	var fl wire.TCPFlags
	if data > 0 {
		got := s.fill(seg, r.start, data, int(mss))

		if got < data {
			i = b.split(i, r.start+uint64(got))
			r, data = b.at(i), got
		}

		if r.flags&segPushed != 0 {
			fl |= wire.PSH
		}
		if data > int(mss) {
			fl |= wire.PSH // as Linux does: the peer shall not wait for more
			seg.SegmentSize = uint16(mss)
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

	if r.sent < 255 {
		r.sent++
	}
	if t.cfg.Trace != 0 {
		t.noteAgain(r.why, r.sent)
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

	segs := t.countResent(seg)
	s.lastData = now
	s.pace(t, now, r.n)

	// The timer is for the oldest segment (RFC 6298 §5.1).
	if i == b.first() || t.timer.rtx == never {
		t.timer.rtx, t.timer.kind = now+t.untilUser(now, t.rtt.timeout()), rtxRTO
	}
	return segs
}

// countResent counts a retransmission, and returns how many segments it is.
func (t *tcb) countResent(seg *Segment) uint32 {
	segs, n := uint32(seg.Segments()), uint64(seg.Data.Len())
	t.stats.retransSegs += segs
	t.stats.retransBytes += n
	t.stats.bytesSent += n
	t.stats.dataOut += segs
	add(&t.count().RetransSegs, uint64(segs))
	return segs
}

// nextLost returns the place of the first sent segment that is marked lost.
func (s *sender) nextLost() (place, bool) {
	f := s.flight
	b := &f.scoreboard

	// From the cursor: whatever was marked below it has been sent again or delivered since.
	i := b.find(max(f.loss.hint, s.una))
	for i < b.end() && b.at(i).flags&segLost == 0 {
		i = b.next(i)
	}
	if i == b.end() {
		return i, false
	}
	f.loss.hint = b.at(i).start
	return i, true
}
