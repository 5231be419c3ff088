package tcp

import (
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// buildData builds a segment with data or a FIN: first what is lost, then what is
// new.
func (s *sender) buildData(t *tcb, now time.Duration, seg *Segment, sackLen uint32) bool {
	end := s.sndEnd(t)
	if s.una >= end {
		return false
	}

	f := s.flight
	if f == nil {
		f = s.newFlight(t, now)
	}

	// The pace holds back all but what a timer has asked for.
	if t.timer.pace > now && t.timer.pace != never && t.todo&(todoRtx|todoTLP) == 0 {
		return false
	}

	// What is lost goes before what is new (NextSeg, rules 1 and 2: RFC 6675 §4).
	if f.loss.lost > 0 {
		if done, ok := s.buildRetransmission(t, now, seg, sackLen); ok {
			return done
		}
	}

	// The timer's retransmission is done, or there was none to do. Nothing new means that a
	// loss probe repeats the last segment (RFC 8985 §7.3).
	t.todo &^= todoRtx
	if s.nxt >= end {
		if t.todo&todoTLP != 0 {
			return s.buildTLP(t, now, seg, sackLen)
		}
		return false
	}

	// New data is the better probe, whatever the window says of congestion (RFC 8985 §7.3).
	if t.todo&todoTLP != 0 {
		t.todo |= todoForce
	}

	n, full, probe := s.sendable(t, now, sackLen)
	inFlight := s.inFlight()

	if n < 0 {
		t.todo &^= todoForce
		if t.todo&todoTLP != 0 && s.una != s.nxt {
			return s.buildTLP(t, now, seg, sackLen)
		}

		// What is in the way is told to those who ask: the controller (a full window may grow),
		// tcpi_rwnd_limited and its kin, and the timer for probing a window that is closed (RFC 9293
		// §3.8.6.1).
		f.use.Sent(s.una, s.nxt, inFlight, full)
		switch {
		case full:
			f.chrono.set(now, chronoCWnd)
		case s.una+uint64(s.wnd) < min(s.q.End(), s.nxt+uint64(s.mss)):
			f.chrono.set(now, chronoWindow)
		case !t.opt.Cork && t.flags&moreHeld == 0:
			f.chrono.set(now, chronoNagle)
		}
		if s.una == s.nxt {
			s.armWindowProbe(t, now)
		}
		return false
	}

	s.restart(t, now)
	s.sendNew(t, now, seg, n, int(s.sendMSS(t, sackLen)), probe)
	return true
}

// none is what sendable returns where nothing may be sent.
const none = -1

// sendable returns how many bytes of new data one segment may carry now: 0 for a FIN
// alone, or none. full says that the congestion window alone forbids more, and
// probe that the segment is larger than the MSS to try the path.
func (s *sender) sendable(t *tcb, now time.Duration, sackLen uint32) (n int, full, probe bool) {
	q := &s.q
	mss := uint64(s.sendMSS(t, sackLen))
	avail := s.recordEnd(t, s.nxt) - s.nxt
	force := t.todo&todoForce != 0

	// The peer may have taken back window that it had offered (RFC 9293 §3.8.6): what was sent
	// stays sent.
	edge := s.una + uint64(s.wnd)
	if edge < s.nxt {
		edge = s.nxt
	}
	room := edge - s.nxt

	if avail == 0 {
		// The FIN alone needs room in the window, but none in cwnd.
		if room == 0 && !force {
			return none, false, false
		}
		return 0, false, false
	}

	// No silly windows: a segment is full, or has all there is (RFC 9293 §3.8.6.2.1). A small
	// window is waited out, with a probe if need be.
	if room < min(mss, avail) && !(force && room > 0) {
		return none, false, false
	}

	// A large segment for a link that cuts it, or one of the MSS.
	limit := min(avail, room, uint64(max(s.maxSeg, uint32(mss))))
	cwnd, inFlight := uint64(s.cwnd()), uint64(s.inFlight())

	// Congestion control counts what is in flight. With nothing in flight one segment always
	// may go, or a window below the MSS would stop the connection.
	if force {
		// A probe is one segment, whatever the link would cut: the congestion window does not
		// bound it (RFC 8985 §7.3; RFC 9293 §3.8.6.1).
		limit = min(limit, mss)
	} else {
		if inFlight+min(avail, mss) > cwnd && inFlight > 0 {
			return none, true, false
		}

		limit = min(limit, max(cwnd-min(cwnd, inFlight), mss))

		// Half of the window at most, so that two are on their way at least and the one's
		// acknowledgment comes while the other is (Linux, tcp_cwnd_test).
		if limit > mss {
			limit = min(limit, max(cwnd/2, mss), s.autosize(t))
		}
	}

	if t.lazy != nil {
		if size := s.mtuProbeSize(t, now, avail, room); size != 0 {
			return int(size), false, true
		}
	}

	last := s.nxt+avail == q.End()
	if limit > mss {
		limit = s.wholeSegments(t, limit, avail, mss, last)
	}

	if limit < mss && !force && !s.allowSmall(t, limit, avail, last) {
		return none, false, false
	}
	return int(limit), false, false
}

// wholeSegments cuts a large segment at a multiple of the MSS, unless it takes all
// there is and may end in a small one.
func (s *sender) wholeSegments(t *tcb, limit, avail, mss uint64, last bool) uint64 {
	rest := limit % mss

	if rest == 0 || limit == avail && s.allowSmall(t, rest, rest, last) {
		return limit
	}
	return limit - rest
}

// allowSmall is Nagle's rule in Minshall's form (RFC 1122 §4.2.3.4): a
// segment below the MSS may leave if it is the last data before a FIN, if the
// program asked for no delay, or if no other small segment is in flight. A cork, and
// MSG_MORE for a while, hold it back in any case. What ends a record leaves as it is unless it
// is the last. Nothing waits while the peer has not acknowledged an urgent byte (Linux, tcp_nagle_test).
func (s *sender) allowSmall(t *tcb, n, avail uint64, last bool) bool {
	if n < avail {
		return false
	}

	// Nothing will come that could fill it up: a FIN is queued, or another record.
	if t.flags&finQueued != 0 || !last || s.urgentMode(t) {
		return true
	}

	if t.opt.Cork || t.flags&moreHeld != 0 {
		return t.todo&todoPush != 0
	}

	// Minshall: small segments in flight hold others back, large ones do not
	// (draft-minshall-nagle).
	return t.opt.NoDelay || t.todo&todoPush != 0 || s.small <= s.una
}

// sendMSS is the MSS less what SACK blocks take of it, but no more than half of
// the largest window the peer has offered (RFC 1122 §4.2.3.4: small
// windows).
func (s *sender) sendMSS(t *tcb, sackLen uint32) uint32 {
	mss := max(uint32(s.mss), 8+sackLen) - sackLen

	// Rule 3 of RFC 9293 §3.8.6.2.1: half of the largest window seen is as good as a full
	// segment, or a peer with a small buffer would wait for one for ever. Windows of up to 536
	// bytes are not halved, and 68 bytes of packet pass everywhere (Linux,
	// tcp_bound_to_half_wnd).
	if w := s.maxWnd; w > 0 {
		if w > 536 {
			w >>= 1
		}
		if mss > w {
			mss = max(w, 68-20-uint32(t.optionLen()))
		}
	}
	return mss
}

// sendNew builds a segment with n bytes of new data, and the FIN behind the last.
func (s *sender) sendNew(t *tcb, now time.Duration, seg *Segment, n, mss int, probe bool) {
	q := &s.q
	start := s.nxt

	// Only a probe of the path is longer than the MSS and not to be cut.
	if probe {
		mss = n
	}

	if n > 0 {
		n = s.fill(seg, start, n, mss)
	}

	var fl wire.TCPFlags

	pushed := n > 0 && s.pushes(t, start+uint64(n))

	// The FIN rides on the last byte.
	if start+uint64(n) == q.End() {
		if n > 0 {
			t.todo &^= todoPush
		}
		if s.sndEnd(t) > start+uint64(n) && s.finFits(n) {
			fl |= wire.FIN
		}
	}

	if pushed || n > mss {
		fl |= wire.PSH // as Linux does: the peer shall not wait for more
	}

	seg.Seq, seg.Flags = s.sndSeq(start), fl
	if n > mss {
		// Longer than the MSS: the link, or its driver, cuts it.
		seg.SegmentSize = uint16(mss)
	}
	s.putUrgent(t, seg, start)
	s.putECT(t, seg)

	// From here on the segment counts as sent.
	size := uint32(n)
	if fl&wire.FIN != 0 {
		size++
	}
	inFlight := s.inFlight()
	f := s.flight
	f.cc.Sent(now, inFlight, size)
	f.chrono.set(now, chronoBusy)
	s.recordSent(now, start, size, inFlight, !t.endsRecord(start), pushed)
	if probe {
		s.sentMTUProbe(t, start, uint32(n))
	}

	s.nxt = start + uint64(size)
	if n > 0 {
		if n%mss != 0 {
			// What Nagle's rule waits for.
			s.small = s.nxt
		}
		t.stats.dataOut += uint32(seg.Segments())
		t.stats.bytesSent += uint64(n)
		s.lastData = now
	}

	if f.loss.cwnd != 0 {
		f.loss.prrOut += size
	}

	// TLP.end_seq and TLP.is_retrans (RFC 8985 §7.3).
	if t.todo&todoTLP != 0 {
		inc(&t.count().TCPLossProbes)
		f.loss.tlpHigh, f.loss.tlpRetrans = s.nxt, false
	}
	t.todo &^= todoForce | todoProbe | todoTLP
	// Where data is left, Poll says next what forbids it. The last data may fill the
	// window, too: that lets it grow (Linux), but says nothing to a controller that goes
	// by rates.
	full := s.nxt == q.End() && inFlight+size+uint32(mss) > s.cwnd() && !f.cc.OwnsRecovery()
	f.use.Sent(s.una, s.nxt, inFlight+size, full)

	s.pace(t, now, size)
	s.armRetransmit(t, now, false)
}

// pushes reports whether the byte before end is pushed: the last one that the program has written (RFC 9293
// §3.9.1.2), unless it said that more follows, that of a record, and what is sent though more may follow. It is
// pushed again when it is sent again.
func (s *sender) pushes(t *tcb, end uint64) bool {
	return end == s.q.End() && t.flags&moreTail == 0 || t.todo&todoForce != 0 || t.pushesRecord(end)
}

// finFits reports whether the FIN may ride on n bytes: the window has room for it.
func (s *sender) finFits(n int) bool {
	return n == 0 || s.nxt+uint64(n)+1 <= s.una+uint64(s.wnd)
}

// fill puts n bytes from start on into the segment and returns how many fitted: n,
// or less at a multiple of mss. Pieces too small for a Vec are copied.
func (s *sender) fill(seg *Segment, start uint64, n, mss int) int {
	got := s.q.Slice(start, n, &seg.Data)
	if got == n {
		return n
	}

	if got >= mss {
		// The queue's pieces do not fit a segment's views: whole segments of it leave now.
		got -= got % mss
		seg.Data.Truncate(got)
		return got
	}

	seg.Data.Release()
	n = min(n, mss)
	b := packet.NewBlock(n)
	s.q.CopyTo(b.Bytes()[:n], start)
	seg.Data.Append(b.View(0, n))
	return n
}

// recordSent notes that a range was sent. join allows it to be one with what was sent before it; pushed says that
// its last byte was.
func (s *sender) recordSent(now time.Duration, start uint64, size, inFlight uint32, join, pushed bool) {
	b := &s.flight.scoreboard
	mss := uint32(s.mss)
	fl := sentFlags(0)
	if pushed {
		fl = segPushed
	}

	// Full segments of one moment can only be judged alike until a SACK comes between: they
	// share an entry, so that a large window stays a short list.
	if b.n > 0 && size%mss == 0 && join {
		r := b.at(b.last())
		if r.Sent == now && r.sent == 1 && r.flags == 0 && r.n%mss == 0 && r.end() == start &&
			r.n+size <= 1<<16 {
			r.n += size
			r.Widen(size)
			r.flags = fl
			return
		}
	}

	r := b.push()
	r.start, r.n, r.sent, r.flags = start, size, 1, fl
	s.flight.rate.OnSend(&r.Stamp, now, inFlight, size)
}
