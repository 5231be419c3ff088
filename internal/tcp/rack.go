package tcp

import (
	"cmp"
	"slices"
	"time"

	"usock/internal/cc"
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

// rackAdvance takes note that a record was delivered up to end (section 6.2, step 2). One that was
// sent again and came back faster than any round trip was the first transmission.
func (l *loss) rackAdvance(now time.Duration, r *rec, end uint64, minRTT time.Duration) {
	rtt := now - r.Sent
	if r.sent > 1 && rtt < minRTT {
		return
	}
	l.advanced = true
	l.rtt = rtt
	if sentAfter(r.Sent, end, l.rack.at, l.end) {
		l.rack.at, l.end = r.Sent, end
	}
}

// reoWnd is RACK_update_reo_wnd (step 4): none while no reordering was seen and
// losses are certain, else a part of the smallest RTT that grows with DSACKs.
func (c *Conn) reoWnd() time.Duration {
	l := &c.fl.loss
	if !l.rack.seen {
		if l.state >= cc.Recovery || l.sacked >= uint32(l.reordering)*uint32(c.snd.mss) ||
			l.sackedSegs(c) >= uint32(l.reordering) {
			return 0
		}
	}
	return min(c.rtt.least()/4*time.Duration(l.steps), c.rtt.smoothed())
}

// sackedSegs counts the records SACKed, up to the reordering degree: small segments
// count as much as large ones.
func (l *loss) sackedSegs(c *Conn) uint32 {
	if l.sacked == 0 {
		return 0
	}
	n := uint32(0)
	b := &c.fl.board
	mss := uint32(c.snd.mss)
	for i := b.n; i > 0 && n < uint32(l.reordering) && b.n-i < 64; i-- {
		if r := b.at(i - 1); r.flags&recSacked != 0 {
			n += (r.n + mss - 1) / mss
		}
	}
	return n
}

// adaptReoWnd widens the reordering window once a round trip while DSACKs show
// that retransmissions were needless (step 4).
func (l *loss) adaptReoWnd(delivered, prior uint64) {
	if prior < l.lastDelivered {
		l.dsackSeen = false
	}
	if l.dsackSeen {
		l.steps = uint8(min(int(l.steps)+1, 255))
		l.dsackSeen = false
		l.lastDelivered = delivered
		l.persist = 16
	} else if l.persist == 0 {
		l.steps = 1
	}
}

// detect is RACK_detect_loss (step 5). It returns how long to wait until the next
// range would be lost, 0 if none.
func (c *Conn) detect(now time.Duration, a *ackInfo) time.Duration {
	l := &c.fl.loss
	b := &c.fl.board
	wait := l.rtt + c.reoWnd()
	next := time.Duration(0)
	i := b.find(max(l.next, c.snd.una))
	for ; i < b.n; i++ {
		r := b.at(i)
		if r.flags&(recSacked|recLost) == 0 && r.sent == 1 {
			if !sentAfter(l.rack.at, l.end, r.Sent, r.end()) {
				break
			}
			if left := r.Sent + wait - now; left > 0 {
				next = left
				break
			}
			a.lost += c.markLost(i, trace.ByRACK)
		}
	}
	if i < b.n {
		l.next = b.at(i).start
	} else {
		l.next = c.snd.nxt
	}
	if left := c.detectResent(now, wait, a); left > 0 && (next == 0 || left < next) {
		next = left
	}
	return next
}

// detectResent is detect for what was sent more than once.
func (c *Conn) detectResent(now, wait time.Duration, a *ackInfo) time.Duration {
	l := &c.fl.loss
	b := &c.fl.board
	for ; l.head < len(l.queue); l.head++ {
		e := &l.queue[l.head]
		for i := b.find(max(e.start, c.snd.una)); i < b.n && b.at(i).start < e.end; i++ {
			r := b.at(i)
			if r.Sent != e.at || r.sent < 2 || r.flags&(recSacked|recLost) != 0 {
				continue
			}
			if !sentAfter(l.rack.at, l.end, r.Sent, r.end()) {
				return 0
			}
			if left := r.Sent + wait - now; left > 0 {
				return left
			}
			a.lost += c.markLost(i, trace.ByRACK)
			a.lostAgain = true
		}
	}
	l.queue, l.head = l.queue[:0], 0
	return 0
}

// noteResent puts a retransmission into the queue.
func (l *loss) noteResent(r *rec) {
	if l.head > 32 && l.head > len(l.queue)/2 {
		l.queue = l.queue[:copy(l.queue, l.queue[l.head:])]
		l.head = 0
	}
	if n := len(l.queue); n > l.head {
		if e := &l.queue[n-1]; e.at == r.Sent && e.end == r.start {
			e.end = r.end()
			return
		}
	}
	l.queue = append(l.queue, resent{span{r.start, r.end()}, r.Sent})
}

// requeue fills the queue with all that was sent again and not delivered.
func (l *loss) requeue(b *board) {
	l.queue, l.head = l.queue[:0], 0
	for i := uint32(0); i < b.n; i++ {
		if r := b.at(i); r.sent > 1 && r.flags&recSacked == 0 {
			l.queue = append(l.queue, resent{span{r.start, r.end()}, r.Sent})
		}
	}
	slices.SortStableFunc(l.queue, func(a, b resent) int { return cmp.Compare(a.at, b.at) })
}

// checkReordering learns the degree of reordering from a first transmission that
// was delivered behind later ones.
func (c *Conn) checkReordering(low uint64) {
	l := &c.fl.loss
	if low >= l.fack {
		return
	}
	mss := uint64(c.snd.mss)
	if segs := (l.fack - low + mss - 1) / mss; segs > uint64(l.reordering) {
		l.reordering = uint16(min(segs, uint64(c.cfg.MaxReordering)))
	}
	l.rack.seen = true
	c.stats.reordSeen++
}

// rackTimeout detects losses when the reordering timer has expired.
func (c *Conn) rackTimeout(now time.Duration) {
	f := c.fl
	if f == nil || c.snd.una == c.snd.nxt {
		return
	}
	var a ackInfo
	wait := c.detect(now, &a)
	if a.lost > 0 && f.loss.state < cc.Recovery {
		c.enterRecovery(now)
		if !f.cc.OwnsRecovery() {
			c.prr(&a, c.inFlight())
		}
	}
	if wait > 0 {
		c.armReorder(now, wait)
	} else {
		c.armRTO(now)
	}
}

// tlpDelay returns the probe timeout PTO (section 7.2), and false if no probe may
// be sent.
func (c *Conn) tlpDelay() (time.Duration, bool) {
	l := &c.fl.loss
	if c.flags&useSACK == 0 || l.state > cc.CWR || l.tlpHigh != 0 {
		return 0, false
	}
	if c.rtt.srtt == 0 {
		return time.Second, true
	}
	d := 2 * c.rtt.smoothed()
	if c.fl.board.n == 1 && c.snd.nxt-c.snd.una <= uint64(c.snd.mss) {
		// A single segment may wait for a delayed acknowledgment.
		return d + c.cfg.MinRTO, true
	}
	return d + 2*time.Millisecond, true
}

// tlpExpired sends a probe: new data if there is some, else the last segment again
// (section 7.3).
func (c *Conn) tlpExpired(now time.Duration) {
	if c.fl == nil || c.snd.una == c.snd.nxt {
		return
	}
	l := &c.fl.loss
	if l.tlpHigh == 0 {
		c.todo |= todoTLP
		c.timer.rtx, c.timer.kind = now+c.rtt.timeout(), rtxRTO
		return
	}
	c.armRTO(now)
}

// ackTLP takes an acknowledgment while a probe is out (section 7.4).
func (c *Conn) ackTLP(now time.Duration, ack uint64, a *ackInfo) {
	l := &c.fl.loss
	if ack < l.tlpHigh {
		return
	}
	switch {
	case !l.tlpRetrans, a.dsackTLP:
		l.tlpHigh = 0
	case ack > l.tlpHigh:
		// The probe repaired a loss: the window is reduced for it.
		l.tlpHigh = 0
		f := c.fl
		if l.state == cc.Open {
			f.cc.Congestion(&cc.Event{Now: now, InFlight: uint32(c.snd.nxt - a.priorUna), SndNxt: c.snd.nxt})
			f.cc.Recovered(now)
			if c.cfg.Trace != nil {
				c.tellWindow(trace.TLPRepaired)
			}
		}
	case a.acked == 0 && !a.dataSacked && a.duplicate:
		l.tlpHigh = 0
	}
}
