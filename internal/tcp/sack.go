package tcp

import (
	"time"

	"usock/internal/wire"
)

// Selective acknowledgments as the sender sees them (RFC 2018, RFC 2883).

// ackInfo is what one acknowledgment brought, while it is processed.
type ackInfo struct {
	now        time.Duration
	ece        bool   // the peer echoes a congestion mark
	delivered  uint32 // bytes acknowledged or SACKed for the first time
	acked      uint32 // bytes by which snd.una advanced
	lost       uint32 // bytes newly marked lost
	priorUna   uint64
	priorFack  uint64
	reord      uint64        // lowest first transmission delivered behind a SACK; ^0: none
	firstSent  time.Duration // of the oldest first transmission acknowledged
	lastSent   time.Duration // of the newest
	sackSent   time.Duration // of the oldest first transmission SACKed
	wait       time.Duration // until more would be lost; 0: nothing
	haveAcked  bool          // firstSent and lastSent are set
	haveSacked bool          // sackSent is set
	retransAck bool          // a retransmission was acknowledged
	dataSacked bool          // something was newly SACKed
	origAcked  bool          // a first transmission from before the recovery point was
	dsack      bool          // the first block was a DSACK
	dsackTLP   bool          // of the tail loss probe
	duplicate  bool          // a duplicate acknowledgment by RFC 5681 §2
}

// takeSACK marks what the blocks tell.
func (s *sender) takeSACK(t *tcb, now time.Duration, ack uint64, o *wire.TCPOptions, a *ackInfo) {
	l := &s.flight.loss
	blocks := o.SACK[:o.NSACK]
	first := 0

	if sp, ok := s.sackSpan(blocks[0]); ok && s.isDSACK(sp, ack, blocks) {
		if sp.end <= ack {
			inc(&t.count().TCPDSACKRecv)
		} else {
			inc(&t.count().TCPDSACKOfoRecv)
		}
		s.takeDSACK(t, now, sp, a)

		// What is a duplicate is no news about the scoreboard.
		first = 1
	}

	var seen [4]span
	k := 0
	for _, b := range blocks[first:] {
		sp, ok := s.sackSpan(b)

		// Nonsense, or older than the acknowledgment: SACKs may arrive in any order.
		if !ok || sp.end <= max(ack, s.una) || sp.start < s.una || sp.end > s.nxt {
			continue
		}
		seen[k] = sp
		k++

		s.markSpan(t, now, sp, a)
	}

	l.seen = seen
}

// sackSpan returns the offsets of a block, and false if it is empty or backwards.
func (s *sender) sackSpan(b wire.SACKBlock) (span, bool) {
	sp := span{s.sndOff(b.Left), s.sndOff(b.Right)}
	return sp, sp.start < sp.end
}

// isDSACK reports whether the first block tells of a duplicate: it is below the
// acknowledgment of the same segment or inside the second block (RFC 2883 §4). What snd.una has
// passed since says nothing: an acknowledgment that others have overtaken is no duplicate's.
func (s *sender) isDSACK(sp span, ack uint64, blocks []wire.SACKBlock) bool {
	// Below the acknowledgment nothing can be missing: a block there repeats what had come.
	if sp.end <= ack {
		return true
	}

	if len(blocks) < 2 {
		return false
	}
	second, ok := s.sackSpan(blocks[1])
	return ok && sp.start >= second.start && sp.end <= second.end
}

// takeDSACK learns that something sent again had arrived before.
func (s *sender) takeDSACK(t *tcb, now time.Duration, sp span, a *ackInfo) {
	l := &s.flight.loss
	// What was never sent, or long ago, says nothing.
	if sp.end > s.nxt || sp.start+uint64(max(s.maxWnd, 1<<16)) < s.una {
		return
	}

	mss := uint64(s.mss)
	segs := uint32((sp.end - sp.start + mss - 1) / mss)
	a.dsack = true
	t.stats.dsackDups += segs
	add(&t.count().TCPDSACKRecvSegs, uint64(segs))

	// A DSACK of the probe is no sign of reordering: it was sent on suspicion (RFC 8985
	// §7.4.2).
	if l.tlpRetrans && sp.end == l.tlpHigh {
		a.dsackTLP = true
	} else {
		l.dsackSeen = true
	}

	// What was sent again and had arrived was sent needlessly.
	if l.undo && l.undoRetrans > 0 && sp.end > l.undoMarker {
		l.undoRetrans -= min(l.undoRetrans, int32(sp.end-sp.start))
	}
}

// markSpan marks the sent segments in sp that are not marked yet. The blocks of the
// acknowledgment before, which are in l.seen, need no look.
func (s *sender) markSpan(t *tcb, now time.Duration, sp span, a *ackInfo) {
	for _, o := range s.flight.loss.seen {
		// Blocks mostly grow at one end or the other: what is left is what is new.
		if o.start <= sp.start && sp.start < o.end {
			sp.start = min(o.end, sp.end)
		}
		if o.start < sp.end && sp.end <= o.end {
			sp.end = max(o.start, sp.start)
		}
	}

	// Each acknowledgment repeats up to three blocks of a long list: without this, each would
	// walk over all that they cover.
	if sp.start >= sp.end {
		return
	}

	b := &s.flight.scoreboard
	for p := b.find(sp.start); p < b.end() && b.at(p).start < sp.end; {
		// Less than a whole segment of it: it stays unmarked, and is SACKed again with its rest.
		r, ok := s.covered(b.at(p), sp)
		if !ok {
			p = b.next(p)
			continue
		}
		s.markSacked(t, now, &r, a)
		p = b.sack(p, &r)
	}
}

// covered returns what of a sent segment lies in sp and is not SACKed, at multiples of the MSS from
// its start: bounds elsewhere are rounded inwards, so that a peer cannot make us keep a sent segment a
// byte. It reports false if nothing whole is left.
func (s *sender) covered(whole *sentSegment, sp span) (r sentSegment, ok bool) {
	if whole.flags&segSacked != 0 {
		return r, false
	}
	mss := uint64(s.mss)
	r = *whole
	if sp.start > r.start {
		// Rounded up: the peer can have whole segments only.
		off := r.start + (sp.start-r.start+mss-1)/mss*mss
		if off >= r.end() || off >= sp.end {
			return r, false
		}
		r.n -= uint32(off - r.start)
		r.start = off
	}

	if sp.end < r.end() {
		// Rounded down, likewise.
		r.n = uint32((sp.end - r.start) / mss * mss)
	}
	r.Narrow(uint32(whole.end() - r.end()))
	return r, r.n > 0
}

// markSacked marks a sent segment, or part of one, SACKed.
func (s *sender) markSacked(t *tcb, now time.Duration, r *sentSegment, a *ackInfo) {
	f := s.flight
	l := &f.loss

	l.rackUpdate(now, r, r.end(), t.rtt.least())

	if r.sent == 1 {
		// Behind what was SACKed before: the network has changed the order (RFC 8985 §6.2 step
		// 3).
		if r.start < l.fack {
			a.reord = min(a.reord, r.start)
		}
		if r.end() <= l.high {
			a.origAcked = true
		}

		// The oldest, as for the timer in takeRTT.
		if !a.haveSacked || r.Sent < a.sackSent {
			a.haveSacked, a.sackSent = true, r.Sent
		}
	}

	// Neither lost nor in flight twice, whatever was believed.
	if r.flags&segLost != 0 {
		l.lost -= r.n
	}
	if r.flags&segRetrans != 0 {
		l.retrans -= r.n
	}
	r.flags = r.flags&^(segLost|segRetrans|segPushed) | segSacked
	r.segs = uint8(min((r.n+uint32(s.mss)-1)/uint32(s.mss), 255))

	l.sacked += r.n
	l.fack = max(l.fack, r.end())
	a.delivered += r.n
	a.dataSacked = true
	f.rate.OnDelivered(&r.Stamp, now, r.n, r.sent > 1)
	if t.cfg.Trace != 0 {
		s.tellAcked(t, r.start, r.n, 0)
	}
}
