package tcp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

const never = timer.Never

// Delayed acknowledgments (RFC 1122 §4.2.3.2) with Linux's timing: the
// first segments of a connection, and those after a pause, are acknowledged at
// once; then every second full segment, or after the time that the peer's pace
// suggests.
const (
	ackMin     = 40 * time.Millisecond
	ackMax     = 200 * time.Millisecond
	quickCount = 16
	// ackTick is how long a FIN waits for company where no data has set the pace.
	ackTick = time.Millisecond
	// leastGrowth is how many bytes a segment in order has for which the window grows (Linux, tcp_event_data_recv).
	leastGrowth = 128
)

type acking struct {
	ato      time.Duration // how long an acknowledgment may wait; 0: no data yet
	lastRcv  time.Duration // when data last arrived
	oowAt    time.Duration // when an invalid segment was last answered
	quick    uint8         // acknowledgments to be sent without delay
	pingpong bool          // the program answers: let the answer carry the ACK
	owed     bool          // something is not acknowledged yet
	pushed   uint8         // small segments since the last acknowledgment, at most 2
}

// ackNow has the next Poll acknowledge.
func (t *tcb) ackNow() { t.todo |= todoAck }

// ackSent notes that a segment that leaves acknowledges everything.
func (r *receiver) ackSent(t *tcb, now time.Duration) {
	t.todo &^= todoAck

	// Last.ACK.sent (RFC 7323 §4.3), from which the second full segment is counted, too.
	r.lastAck = r.nxt

	// The last of those without delay: the sender is taken to be past its slow start, and waits
	// are tried from the shortest on. A segment that acknowledges nothing new is none of them
	// (Linux, tcp_dec_quickack_mode).
	if r.ack.quick > 0 && r.ack.owed {
		r.ack.quick--
		if r.ack.quick == 0 {
			r.ack.ato = ackMin
		}
	}

	r.ack.owed, r.ack.pushed = false, 0
	t.timer.ack = never
}

// quickAck has up to n acknowledgments sent without delay, as many as half a
// window of segments.
func (r *receiver) quickAck(now time.Duration, n uint32) {
	k := r.window() / (2 * uint32(max(r.mss, 1)))
	if k == 0 {
		k = 2
	}

	// Something was amiss: the sender needs acknowledgments more than they need company.
	r.ack.quick = max(r.ack.quick, uint8(min(k, n)))
	r.ack.pingpong = false
	r.ack.ato = ackMin
}

// dataArrived adapts to the pace of in-order data.
func (r *receiver) dataArrived(t *tcb, now time.Duration, n int, s *Segment) {
	r.ack.owed = true
	r.measureRun(s, n)

	a := &r.ack

	// The shorter the gaps, the shorter the wait, 40 ms at the least (Linux,
	// tcp_event_data_recv).
	switch since := now - a.lastRcv; {
	case a.ato == 0:
		// The first data: its sender is in slow start and waits for every acknowledgment.
		k := r.window() / (2 * uint32(max(r.mss, 1)))
		if k == 0 {
			k = 2
		}
		a.quick = max(a.quick, uint8(min(k, quickCount)))
		a.ato = ackMin
	case since <= ackMin/2:
		a.ato = a.ato/2 + ackMin/2
	case since < a.ato:
		a.ato = min(a.ato/2+since, t.rtt.timeout())
	case since > t.rtt.timeout():
		// After a pause its sender may have begun anew (RFC 5681 §4.1).
		k := r.window() / (2 * uint32(max(r.mss, 1)))
		a.quick = max(a.quick, uint8(min(max(k, 2), quickCount)))
	}

	a.lastRcv = now
	if n >= leastGrowth {
		r.growWindow(t, n)
	}
}

// measureMSS estimates the size of the peer's segments.
func (r *receiver) measureMSS(n int, f wire.TCPFlags) {
	if n >= int(r.mss) {
		r.mss = uint16(min(n, int(r.advMSS)))
		if f&wire.PSH != 0 {
			// One whole segment may be the end of a write, too, and its sender may wait
			// for the acknowledgment (Linux, tcp_measure_rcv_mss).
			r.ack.pushed = max(r.ack.pushed, 1)
		}
		return
	}

	if f&wire.PSH != 0 {
		r.ack.pushed = min(r.ack.pushed+1, 2)
	}
}

// scheduleAck decides when the data that just arrived is acknowledged. The second full
// segment is at once only if the window need not be told smaller than last time: a
// program that does not keep up is not worth the packets.
func (r *receiver) scheduleAck(t *tcb, now time.Duration, n int) {
	if !r.ack.owed || t.todo&todoAck != 0 {
		return
	}

	// At once: the second full segment (RFC 9293 §3.8.6.3, RFC 5681 §4.2), while quick
	// acknowledgments are due, and as long as something is missing, so that the sender hears of
	// each segment that fills the gap or does not (RFC 5681 §4.2).
	if r.nxt-r.lastAck > uint64(r.mss) &&
		(r.q.Len() < int(t.opt.RcvLowat) || uint64(r.wouldAdvertise(t)) >= r.adv-r.lastAck) ||
		r.ack.quick > 0 && !r.ack.pingpong || r.ooo != nil {
		t.ackNow()
		return
	}

	r.delayAck(t, now)
}

// delayAck has the acknowledgment wait for more to acknowledge or for data to ride
// on.
func (r *receiver) delayAck(t *tcb, now time.Duration) {
	r.ack.owed = true

	ato := max(r.ack.ato, ackTick)

	// At most the half second of RFC 9293 §3.8.6.3; where somebody may wait for it, less; and
	// there is no use in more than a round trip.
	if ato > ackMin {
		most := 500 * time.Millisecond
		if r.ack.pingpong || r.ack.pushed > 0 {
			most = ackMax
		}
		if t.rtt.srtt != 0 {
			most = min(most, max(t.rtt.smoothed(), ackMin))
		}
		ato = min(ato, most)
	}

	// Linux's bound (TCP_DELACK_MAX), well below what the RFC allows.
	ato = min(ato, ackMax)
	at := now + ato

	// A wait that is nearly over is not begun again.
	if t.timer.ack != never {
		if t.timer.ack <= now+ato/4 {
			t.ackNow()
			return
		}
		at = min(at, t.timer.ack)
	}

	t.timer.ack = at
}

// ackExpired sends the acknowledgment that was delayed.
func (r *receiver) ackExpired(t *tcb, now time.Duration) {
	t.timer.ack = never
	if !r.ack.owed {
		return
	}

	// The wait was in vain: the peer's pace is slower than thought, or the program does not
	// answer after all.
	if !r.ack.pingpong {
		r.ack.ato = min(r.ack.ato*2, t.rtt.timeout())
	} else {
		r.ack.pingpong = false
		r.ack.ato = ackMin
	}

	inc(&t.count().DelayedACKs)
	t.ackNow()
}

// answered notes that the program's data leaves: soon after the peer's it is an answer.
func (r *receiver) answered(now time.Duration) {
	if now-r.ack.lastRcv < r.ack.ato {
		r.ack.pingpong = true
	}
}
