package tcp

import (
	"cmp"
	"slices"
	"time"

	"usock/cc"
	"usock/trace"
)

// RACK-TLP (RFC 8985). A range is lost if one sent sufficiently later was
// delivered. Ranges that were sent once are in the order of time as they are in the
// order of the stream, so that a cursor walks over them once; what was sent again
// stands in a queue in the order of time. Each detection therefore looks only at
// what it decides.

// resent is a range that was sent again at one time.
type resent struct {
	span
	at time.Duration
}

// rack is the state of RACK.
type rack struct {
	at       time.Duration // RACK.xmit_ts
	end      uint64        // RACK.end_seq
	rtt      time.Duration // RACK.rtt
	next     uint64        // first transmissions below are decided
	queue    []resent      // sent again, in the order of time
	head     int           // of queue
	advanced bool

	reordering    uint16 // degree of reordering, in segments
	steps         uint8  // RACK.reo_wnd_mult
	persist       uint8  // RACK.reo_wnd_persist
	seen          bool   // reordering was seen
	dsackSeen     bool
	lastDelivered uint64 // when steps was last raised

	tlpHigh    uint64 // TLP.end_seq; 0: no probe is out
	tlpRetrans bool   // TLP.is_retrans
}

// sentAfter is RACK_sent_after: order of time, and of the stream at one time.
func sentAfter(t1 time.Duration, end1 uint64, t2 time.Duration, end2 uint64) bool {
	return t1 > t2 || t1 == t2 && end1 > end2
}

// rackUpdate takes note that a sent segment was delivered up to end (RFC 8985 §6.2, step 2). One that was
// sent again and came back faster than any round trip was the first transmission.
func (l *loss) rackUpdate(now time.Duration, r *sentSegment, end uint64, minRTT time.Duration) {
	rtt := now - r.Sent

	// Step 2: an acknowledgment sooner than any round trip answers the first transmission,
	// which is of no use here.
	if r.sent > 1 && rtt < minRTT {
		return
	}

	l.advanced = true
	l.rtt = rtt

	// RACK.segment is the one that was sent last, which after reordering is not the one that
	// was delivered last.
	if sentAfter(r.Sent, end, l.rack.at, l.end) {
		l.rack.at, l.end = r.Sent, end
	}
}

// reoWnd is RACK_update_reo_wnd (step 4): none while no reordering was seen and
// losses are certain, else a part of the smallest RTT that grows with DSACKs.
func (s *sender) reoWnd(t *tcb) time.Duration {
	l := &s.flight.loss

	// Without reordering seen, DupThresh segments SACKed are proof enough (RFC 8985 §6.2 step
	// 4: RACK.reordering_seen).
	if !l.rack.seen {
		if l.state >= cc.Recovery || l.sacked >= uint32(l.reordering)*uint32(s.mss) ||
			l.sackedSegs(&s.flight.scoreboard) >= uint32(l.reordering) {
			return 0
		}
	}

	// min_RTT / 4, as often as DSACKs have asked for, and a round trip at most.
	return min(t.rtt.least()/4*time.Duration(l.steps), t.rtt.smoothed())
}

// sackedSegs counts the sent segments SACKed, up to the reordering degree: small segments
// count as much as large ones.
func (l *loss) sackedSegs(b *scoreboard) uint32 {
	if l.sacked == 0 {
		return 0
	}
	n := uint32(0)

	// From the end, where what was SACKed lies; a look at some is enough, as only DupThresh of
	// them matter.
	p := b.end()
	for looks := 0; p > b.first() && n < uint32(l.reordering) && looks < 64; looks++ {
		p = b.prev(p)
		if r := b.at(p); r.flags&segSacked != 0 {
			n += uint32(r.segs)
		}
	}
	return n
}

// adaptReoWnd widens the reordering window once a round trip while DSACKs show
// that retransmissions were needless (step 4).
func (l *loss) adaptReoWnd(delivered, prior uint64) {
	// Sent before the window was last widened: its DSACK is of the same round trip, which
	// counts once (RACK.dsack_round).
	if prior < l.lastDelivered {
		l.dsackSeen = false
	}

	// One step a round trip, kept for 16 recoveries (RFC 8985 §6.2 step 4).
	if l.dsackSeen {
		l.steps = uint8(min(int(l.steps)+1, 255))
		l.dsackSeen = false
		l.lastDelivered = delivered
		l.persist = 16
	} else if l.persist == 0 {
		l.steps = 1
	}
}

// detectLoss is RACK_detect_loss (step 5). It returns how long to wait until the next
// range would be lost, 0 if none.
func (s *sender) detectLoss(t *tcb, now time.Duration, a *ackInfo) time.Duration {
	l := &s.flight.loss
	b := &s.flight.scoreboard

	// Lost is what was sent this long ago or longer. The RFC has the timer wait for the last of
	// those that are not yet; here it waits for the first, and finds each when it is due.
	wait := l.rtt + s.reoWnd(t)
	next := time.Duration(0)

	i := b.find(max(l.next, s.una))
	for ; i < b.end(); i = b.next(i) {
		r := b.at(i)

		// What was sent again has a queue of its own, in the order of its time.
		if r.flags&(segSacked|segLost) == 0 && r.sent == 1 {
			// Ordered by time: none behind it was sent before what was delivered last.
			if !sentAfter(l.rack.at, l.end, r.Sent, r.end()) {
				break
			}

			// RACK.rtt + RACK.reo_wnd have not passed yet: it may be late only.
			if left := r.Sent + wait - now; left > 0 {
				next = left
				break
			}

			a.lost += s.markLost(t, now, i, trace.ByRACK)
		}
	}

	// What was decided need not be looked at again.
	if i < b.end() {
		l.next = b.at(i).start
	} else {
		l.next = s.nxt
	}

	if left := s.detectLossResent(t, now, wait, a); left > 0 && (next == 0 || left < next) {
		next = left
	}
	return next
}

// detectLossResent is detect for what was sent more than once.
func (s *sender) detectLossResent(t *tcb, now, wait time.Duration, a *ackInfo) time.Duration {
	l := &s.flight.loss
	b := &s.flight.scoreboard
	for ; l.head < len(l.queue); l.head++ {
		e := &l.queue[l.head]
		for i := b.find(max(e.start, s.una)); i < b.end() && b.at(i).start < e.end; i = b.next(i) {
			r := b.at(i)

			// What is decided need not be looked at again.
			e.start = max(e.start, r.start)

			// Delivered, lost, or sent once more since it was queued.
			if r.Sent != e.at || r.sent < 2 || r.flags&(segSacked|segLost) != 0 {
				continue
			}
			if !sentAfter(l.rack.at, l.end, r.Sent, r.end()) {
				return 0
			}

			if left := r.Sent + wait - now; left > 0 {
				return left
			}
			a.lost += s.markLost(t, now, i, trace.ByRACK)
		}
	}

	l.queue, l.head = l.queue[:0], 0
	return 0
}

// noteResent puts a retransmission into the queue.
func (l *loss) noteResent(r *sentSegment) {
	if l.head > 32 && l.head > len(l.queue)/2 {
		// What was decided at the front is let go before the array grows.
		l.queue = l.queue[:copy(l.queue, l.queue[l.head:])]
		l.head = 0
	}

	// Neighbours of one moment are one entry.
	if n := len(l.queue); n > l.head {
		if e := &l.queue[n-1]; e.at == r.Sent && e.end == r.start {
			e.end = r.end()
			return
		}
	}

	l.queue = append(l.queue, resent{span{r.start, r.end()}, r.Sent})
}

// requeue fills the queue with all that was sent again and not delivered.
func (l *loss) requeue(b *scoreboard) {
	l.queue, l.head = l.queue[:0], 0
	for i := b.first(); i < b.end(); i = b.next(i) {
		if r := b.at(i); r.sent > 1 && r.flags&segSacked == 0 {
			l.queue = append(l.queue, resent{span{r.start, r.end()}, r.Sent})
		}
	}

	// In the stream's order they are not in that of time.
	slices.SortStableFunc(l.queue, func(a, b resent) int { return cmp.Compare(a.at, b.at) })
}

// checkReordering learns the degree of reordering from a first transmission that
// was delivered behind later ones: low, where it begins, is below fack.
func (s *sender) checkReordering(t *tcb, low uint64) {
	l := &s.flight.loss
	mss := uint64(s.mss)

	// DupThresh follows the degree that was seen, for paths on which three duplicates mean
	// nothing (Linux, tcp_check_sack_reordering).
	if segs := (l.fack - low + mss - 1) / mss; segs > uint64(l.reordering) {
		l.reordering = uint16(min(segs, uint64(t.cfg.MaxReordering)))
	}
	l.rack.seen = true
	t.stats.reordSeen++
	inc(&t.count().TCPSACKReorder)
}

// rackTimeout detects losses when the reordering timer has expired.
func (s *sender) rackTimeout(t *tcb, now time.Duration) {
	f := s.flight
	if f == nil || s.una == s.nxt {
		return
	}

	var a ackInfo
	wait := s.detectLoss(t, now, &a)

	if a.lost > 0 && f.loss.state < cc.Recovery {
		s.enterRecovery(t, now)

		// No acknowledgment brings PRR in: the first retransmission is let go here (RFC 6937
		// §3).
		if !f.cc.OwnsRecovery() {
			s.prr(&a, s.inFlight())
		}
	}

	if wait > 0 {
		s.armReorder(t, now, wait)
	} else {
		s.armRTO(t, now)
	}
}
