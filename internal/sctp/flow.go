package sctp

import (
	"time"

	"usock/internal/timer"
)

// Congestion control is of RFC 9260, section 7.2: every path has a window of its own, which counts bytes
// of user data. Slow start adds what was acknowledged, a packet at most for each SACK; congestion
// avoidance adds a packet for each window that was acknowledged. Neither adds where the window was not
// used. A loss that SACKs tell halves the window once in a round trip; one that T3-rtx tells makes it one
// packet. Where the RFC counts PMDCS, the PMTU without headers, Linux counts the PMTU, and so does this:
// SCTP_STATUS and SCTP_GET_PEER_ADDR_INFO show the windows.

// flow is what the sender knows of one path. The owner's path embeds it, and keeps it at its place.
type flow struct {
	next     *flow
	*traffic               // nil until there is a message, as the sender's outgoing is
	t3       time.Duration // when T3-rtx expires; timer.Never: it does not run
	lastSent time.Duration // when DATA was last sent; 0: never
	rtt

	cwnd, ssthresh uint32
	mtu            uint32 // PMTU in bytes
	room           uint32 // bytes for chunks in a packet
	down           bool   // the owner's: no message that asks for this path gets it
}

// traffic is what a flow has of the chunks that it carries.
type traffic struct {
	flight  uint32        // bytes outstanding
	pba     uint32        // partial_bytes_acked
	idled   time.Duration // the window has been reduced for being idle until then
	timed   uint64        // TSN of the chunk whose round trip is being measured; 0: none
	timedAt time.Duration
	low     uint64 // no chunk below is outstanding here

	// Of the SACK that was last processed: bytes that it acknowledged, which the owner takes for
	// a sign of life where they are more than 0, what was outstanding before it, the highest TSN
	// that it acknowledged, and whether the earliest one that was outstanding is among them.
	acked    uint32
	before   uint32
	htna     uint64
	earliest bool

	burst   uint32 // window in force for what one event has leave
	turn    uint32 // of the sender, that burst is of
	reduced uint32 // turn in which the window was last reduced for a loss
}

// start makes a path ready to be sent to. Slow start goes on up to the peer's window, as section 7.2.1
// allows.
func (f *flow) start(mtu, overhead uint32, arwnd uint32, b *RTOBounds) {
	if f.traffic != nil {
		*f.traffic = traffic{}
	}
	*f = flow{next: f.next, traffic: f.traffic, t3: timer.Never, mtu: mtu, room: mtu - overhead}
	f.rto = b.RTOInitial
	f.cwnd = initialWindow(mtu)
	f.ssthresh = arwnd
}

// initialWindow is cwnd of a path that was not sent to yet (section 7.2.1).
func initialWindow(mtu uint32) uint32 { return min(4*mtu, max(2*mtu, 4380)) }

// idle reduces the window of a path that was not sent to: by half for each RTO (section 7.2.1). It may
// be called at any time.
func (f *flow) idle(now time.Duration) {
	if f.flight > 0 || f.lastSent == 0 {
		return
	}
	since, rto := max(f.lastSent, f.idled), max(f.rto, time.Millisecond)
	n := (now - since) / rto
	if n <= 0 {
		return
	}
	f.idled = since + n*rto
	if f.cwnd <= 4*f.mtu {
		return
	}
	if since == f.lastSent {
		f.ssthresh = f.cwnd // before the first reduction
	}
	for ; n > 0 && f.cwnd > 4*f.mtu; n-- {
		f.cwnd = max(f.cwnd/2, 4*f.mtu)
	}
}

// limit is how many bytes may be outstanding. What one event has leave is maxBurst packets at most, lest
// a window that opens at a stroke becomes one burst (section 6.1 D); 0 means no limit.
func (f *flow) limit(turn, maxBurst uint32) uint32 {
	if f.turn != turn || f.burst == 0 {
		f.turn = turn
		f.burst = f.cwnd
		if maxBurst > 0 && maxBurst < 1<<12 {
			f.burst = min(f.cwnd, f.flight+maxBurst*f.mtu)
		}
	}
	return min(f.burst, f.cwnd)
}

// grow opens the window for what a SACK has acknowledged.
func (f *flow) grow(inFastRecovery bool) {
	switch {
	case f.cwnd <= f.ssthresh:
		// Slow start (section 7.2.1).
		if !inFastRecovery && f.before >= f.cwnd {
			f.cwnd += min(f.acked, f.mtu)
		}
	default:
		// Congestion avoidance (section 7.2.2). What is counted while the window was not used
		// must not open it at a stroke later.
		f.pba += f.acked
		if f.pba > f.cwnd && f.before < f.cwnd {
			f.pba = f.cwnd
		}
		if f.pba >= f.cwnd && f.before >= f.cwnd {
			f.pba -= f.cwnd
			f.cwnd += f.mtu
		}
	}
	if f.flight == 0 {
		f.pba = 0
	}
}

// halve reduces the window for a loss or ECN-Echo (sections 7.2.3 and 7.2.4).
func (f *flow) halve() {
	f.ssthresh = max(f.cwnd/2, 4*f.mtu)
	f.cwnd, f.pba = f.ssthresh, 0
}

// collapse reduces the window for a timeout (section 7.2.3).
func (f *flow) collapse() {
	f.ssthresh = max(f.cwnd/2, 4*f.mtu)
	f.cwnd, f.pba = f.mtu, 0
}
