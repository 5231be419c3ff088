package tcp

import (
	"math/bits"
	"time"

	"usock/internal/buf"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
)

// The receiver takes the peer's data, gives it to the program in order, and says what is
// acknowledged, with which window and when:
//
//	              acceptable: checkPAWS, inWindow                                  input.go
//	segment ──► trim ──► deliver ──► q ───► Read ──► readSome
//	              │         ▲                          │ the window opens, the buffer grows
//	              │         │ closeGap                 ▼
//	              └─ behind a gap ──► ooo           rcvwindow.go
//	                 outoforder.go
//	scheduleAck: now, or when the timer says (ack.go) ──► Poll: header ──► advertise, putSACK
//
// The offsets, of which none ever moves back:
//
//	        q.Base         nxt                  adv
//	─────────┼──────────────┼────────────────────┼────────────
//	  read   │ to be read   │ RCV.WND: may come, │ not acceptable
//	                          or lies in ooo
//
// Half of the buffer is window, as blocks may be up to twice as large as what they hold.
// Data is acknowledged by the second segment, at once where something is missing, and else
// after a while, so that the program's answer can carry it (RFC 9293 §3.8.6.3).
//
// The receiver does not see the sender. It reads the round trip that the sender has
// measured, which stands in the tcb.

// receiver is the half of a connection that takes the peer's data. Its variables are those
// of RFC 9293 §3.3.1, as stream offsets.
type receiver struct {
	ooo      *outOfOrder // what arrived out of order; nil: nothing
	q        buf.Queue   // in order, not read yet
	nxt      uint64
	adv      uint64 // right edge of the window advertised
	irs      uint32
	bufSize  uint32 // memory that may be used; half of it is window
	ssthresh uint32 // most that is advertised at present
	tsRecent uint32
	tsAt     uint32 // s: when tsRecent was set
	rttRate  uint32 // bytes a ms that came when rtt last became longer
	lastAck  uint64 // last ACK sent (RFC 7323)
	mss      uint16 // estimate of the peer's segment size
	advMSS   uint16 // what we advertise
	wscale   uint8
	// Dynamic right-sizing: see rcvwindow.go.
	drsSeq   uint64
	drsAt    time.Duration
	drsSpace uint32
	rtt      uint32 // µs, times 8
	rttSeq   uint32 // where the window ends that is measured
	rttWnd   uint32 // how long that is
	rttAt    time.Duration
	ack      acking
}

// rcvSeq returns the sequence number of an offset of the peer's.
func (r *receiver) rcvSeq(off uint64) uint32 { return r.irs + uint32(off) }

// rcvOff returns the offset, near rcv.nxt, that the peer's SEG.SEQ means.
func (r *receiver) rcvOff(seq uint32) uint64 {
	// A signed difference, as in sndOff: an old segment is below RCV.NXT, wherever the 32 bits
	// wrap.
	return r.nxt + uint64(int64(int32(seq-r.rcvSeq(r.nxt))))
}

// checkPAWS reports whether the timestamp is not older than the last one taken
// (RFC 7323 §5.3). One that was taken 24 days ago says nothing.
func (r *receiver) checkPAWS(t *tcb, now time.Duration, s *Segment) bool {
	if t.flags&useTS == 0 || !s.Options.HasTimestamp {
		return true
	}

	// Serial numbers compare by their difference (RFC 7323 §5.2).
	if int32(s.Options.TSVal-r.tsRecent) >= 0 {
		return true
	}

	// A connection that was idle for 24 days cannot tell old from new (RFC 7323 §5.5).
	const old = 24 * 24 * 3600
	return uint32(now/time.Second)-r.tsAt > old
}

// inWindow is the acceptance test of RFC 9293 §3.4 in Linux's form: the segment
// must not end before the last acknowledgment sent, nor begin behind the window.
// A segment at the right edge of a zero window is let through for its ACK, as is one in a window that
// was taken back.
func (r *receiver) inWindow(t *tcb, seq uint64, s *Segment) bool {
	if seq+uint64(s.Len()) < r.lastAck {
		return false
	}
	return seq <= max(r.adv, r.nxt) || t.lazy != nil && seq <= t.lazy.tookBack.end
}

// trim cuts a segment to what is new and inside the window (RFC 9293 §3.10.7.4, first
// check) and returns where it begins then and whether its FIN is left. It reports false
// if nothing is: the peer is told at once what is expected.
func (r *receiver) trim(t *tcb, now time.Duration, s *Segment, seq uint64) (start uint64, fin, ok bool) {
	n := s.Data.Len()
	fin = s.Flags&wire.FIN != 0
	end := seq + uint64(n)
	edge := max(r.adv, r.nxt)
	switch {
	case end < r.nxt || end == r.nxt && !fin && n > 0 && seq < r.nxt:
		// All of it is old.
		inc(&t.count().DelayedACKLost)
		r.duplicate(t, seq, s)
		r.quickAck(now, quickCount)
		t.ackNow()
		return seq, false, false
	case seq >= edge && n > 0:
		// Behind the window: a probe, or a peer that ignores it.
		r.quickAck(now, quickCount)
		t.ackNow()
		return seq, false, false
	}

	if seq < r.nxt {
		if n > 0 {
			r.duplicate(t, seq, s)
		}

		s.Data.TrimFront(int(min(r.nxt-seq, uint64(n))))
		seq = min(r.nxt, end)
	}

	// Without the data before it a FIN does not count either.
	if end > edge {
		s.Data.Truncate(int(edge - seq))
		fin = false
		r.quickAck(now, quickCount)
	}
	return seq, fin, true
}

// deliver moves in-order data to the receive queue.
func (r *receiver) deliver(t *tcb, now time.Duration, s *Segment, n int) {
	q := &r.q

	if q.Mem() > int(r.bufSize) || t.cfg.Memory.pressed() {
		// A peer that sends little at a time must not cost more memory than the buffer's size, nor
		// what others need.
		r.pushDense(s)
	} else {
		q.PushVec(&s.Data)
	}

	r.nxt = q.End()
	r.dataArrived(t, now, n, s)

	if r.readable(t) {
		t.events |= wait.In
	}
}

// pushDense is for a queue whose blocks take more than the buffer: what fills less
// than half of its block is copied, rather than a large block held for a few bytes.
func (r *receiver) pushDense(s *Segment) {
	q := &r.q
	for _, v := range s.Data.Views() {
		if 2*v.Len() < v.Cap() {
			if q.Mem() > int(r.bufSize) {
				q.Append(v.Bytes())
			} else if !q.Extend(v.Bytes()) {
				q.Push(packet.Copy(v.Bytes()))
			}
			continue
		}
		v.Retain()
		q.Push(v)
	}
}

// answerOld acknowledges a segment that is outside the window or old, at a
// limited rate where it has no data, so that two peers cannot keep each other
// busy. skipped counts those that the rate leaves out.
func (r *receiver) answerOld(t *tcb, now time.Duration, seq uint64, s *Segment, skipped *uint64) {
	// Two ends that each take the other's segments for old would answer one another for ever
	// (RFC 5961 §7).
	if s.Data.Len() == 0 && s.Flags&(wire.SYN|wire.FIN) == 0 {
		if !r.oowAllowed(t, now, skipped) {
			return
		}
	} else {
		// The peer sends again what has come: our acknowledgments were lost, and it needs this
		// one.
		if seq < r.nxt {
			inc(&t.count().DelayedACKLost)
			r.duplicate(t, seq, s)
			r.quickAck(now, quickCount)
		}
	}

	t.ackNow()
}

// oowAllowed reports whether an answer to an invalid segment may be sent, or else counts it
// in skipped.
func (r *receiver) oowAllowed(t *tcb, now time.Duration, skipped *uint64) bool {
	// One limit for invalid segments of all kinds: whoever sends them in turns gains nothing
	// (RFC 5961 §7).
	if r.ack.oowAt != 0 && now-r.ack.oowAt < t.cfg.InvalidRateLimit {
		inc(skipped)
		return false
	}

	// 0 means never.
	r.ack.oowAt = max(now, 1)
	return true
}

// challenge sends a challenge ACK (RFC 5961).
func (r *receiver) challenge(t *tcb, now time.Duration) {
	if r.oowAllowed(t, now, &t.count().TCPACKSkippedChallenge) {
		inc(&t.count().TCPChallengeACK)
		t.ackNow()
	}
}

// receivedSYN takes over the peer's initial sequence number.
func (r *receiver) receivedSYN(s *Segment) {
	r.irs = s.Seq
	r.nxt = origin + 1
	r.lastAck = r.nxt
	r.q.Reset(origin + 1)
	r.adv = r.nxt
	r.drsSeq = r.nxt
}

// initWindow sets the first window and the scale, both from the receive buffer
// and the limit of its growth, as Linux does: the two show in every SYN. mss is
// what the peer can put into a segment.
func (r *receiver) initWindow(t *tcb, mss uint32) {
	space := r.bufSize / 2
	if w := t.opt.WindowClamp; w != 0 {
		space = min(space, w)
	}

	full := space
	if space > mss && mss > 0 {
		space -= space % mss
	}

	// A SYN has 16 bits for it; the rest is offered as data comes (growWindow).
	r.ssthresh = min(space, 65535)
	r.drsSpace = r.ssthresh

	// The scale is for good, so it must suit the largest window that the buffer can grow to; 14
	// at most (RFC 7323 §2.3).
	if t.cfg.WindowScaling && (t.flags&active != 0 || t.flags&useWScale != 0) {
		most := max(full, uint32(t.cfg.RMem[2]))
		if w := t.opt.WindowClamp; w != 0 {
			most = min(most, w)
		}
		if t.flags&fixedRcv != 0 {
			most = min(most, full)
		}
		r.wscale = uint8(min(max(bits.Len32(most)-1-15, 0), 14))
	}

	r.adv = r.nxt
}
