package tcp

import (
	"time"

	"usock/internal/congestion"
)

// Pacing: segments leave at the controller's rate, in bursts of about a
// millisecond. timer.pace is when the next burst may leave.

// maxGap bounds the wait between bursts, so that a rate that was estimated too low
// does not hold the connection up before it is corrected.
const maxGap = time.Second

// unpaced is how many segments leave before any rate holds, as Linux does
// (tcp_update_skb_after_send): a short exchange is not slowed, nor held up by a rate that one
// sample of the round-trip time, spoilt by a lost SYN, has made.
const unpaced = 10

// pacingRate returns the rate in bytes a second: the controller's within the program's
// bound. 0: no pacing.
func (s *sender) pacingRate(t *tcb) uint64 {
	rate := s.flight.cc.PacingRate()

	// SO_MAX_PACING_RATE: 0 turns pacing off, all ones leave it to the controller.
	switch bound := t.opt.pacingBound(); {
	case bound == 0:
		return 0
	case bound == ^uint64(0):
	case rate == 0, rate > bound:
		return bound
	}
	return rate
}

// pace notes that n bytes leave.
func (s *sender) pace(t *tcb, now time.Duration, n uint32) {
	rate := s.pacingRate(t)
	if rate == 0 || t.stats.bytesSent < unpaced*uint64(s.mss) {
		return
	}

	f := s.flight

	// Within a burst segments leave back to back: a timer for each would cost more than the
	// queue that a burst makes.
	if f.burst > n {
		f.burst -= n
		return
	}
	// The burst is used up: the next may leave when this one would have been sent.
	q := congestion.Quantum(rate, uint32(s.mss))
	sent := uint64(f.quantum) + uint64(n-min(n, f.burst))
	if f.quantum == 0 {
		sent = uint64(n)
	}

	// The program's own bound is meant as it stands, however slow; an estimate may be wrong,
	// and is put right by what it lets pass.
	gap := time.Duration(sent * uint64(time.Second) / rate)
	if rate != t.opt.pacingBound() {
		gap = min(gap, maxGap)
	}

	from := now
	if f.paceAt != 0 && now-f.paceAt < gap/2+time.Millisecond {
		from = f.paceAt // late timers do not slow the rate
	}

	f.paceAt = from + gap
	f.quantum, f.burst = q, q
	if f.paceAt > now {
		t.timer.pace = f.paceAt
	}
}

// largest is the most that a segment for a link that cuts it may carry.
const largest = 1 << 16

// autosize returns how many bytes one segment for a link that cuts it may carry: about what
// a millisecond of the rate is, so that the receiver's acknowledgments still clock what is sent
// and queues are shared with others (Linux, tcp_tso_autosize).
func (s *sender) autosize(t *tcb) uint64 {
	mss := uint64(s.mss)

	// No segment is larger than the burst that is paid for.
	if rate := s.pacingRate(t); rate != 0 {
		return max(uint64(congestion.Quantum(rate, uint32(s.mss))), mss)
	}

	// Near peers have shallow queues between: 64 KiB more, halved for each half millisecond of the
	// least round trip.
	near := uint64(largest) >> min(t.rtt.min>>9, 63)
	if near == largest {
		return largest
	}

	// Without a sample there is no rate to go by.
	rate := congestion.WindowRate(s.flight.cc, t.rtt.smoothed())
	if rate == 0 {
		return largest
	}
	return min(max(rate/1000+near, 2*mss), largest)
}
