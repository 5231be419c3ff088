package congestion

import (
	"time"

	"usock/cc"
)

// Reno is NewReno: slow start and congestion avoidance by RFC 5681, with
// appropriate byte counting (RFC 3465) and the reductions of RFC 6582 and, for
// ECN, RFC 3168 section 6.1.2.
type Reno struct {
	mss      uint32
	cwnd     uint32
	ssthresh uint32
	acked    uint32 // bytes acknowledged in congestion avoidance since cwnd last grew
	undo     undo
}

// Name implements Controller.
func (*Reno) Name() string { return "reno" }

// Start implements Controller.
func (r *Reno) Start(s cc.Start) {
	*r = Reno{mss: s.MSS, cwnd: s.CWnd, ssthresh: s.SSThresh}
	if r.ssthresh == 0 {
		r.ssthresh = cc.MaxWindow
	}
}

// Sent implements Controller.
func (*Reno) Sent(now time.Duration, inFlight, bytes uint32) {}

// Ack implements Controller.
func (r *Reno) Ack(a *cc.Ack) {
	if a.State == cc.Recovery || a.State == cc.CWR || !a.CWndLimited {
		return
	}
	n := counted(a)
	if r.cwnd < r.ssthresh {
		n = r.slowStart(n)
	}
	if n > 0 {
		r.avoid(n)
	}
}

// slowStart grows the window by the bytes acknowledged, up to ssthresh, and
// returns the bytes that are left for congestion avoidance.
func (r *Reno) slowStart(n uint32) uint32 {
	grow := min(n, r.ssthresh-r.cwnd)
	r.cwnd = add(r.cwnd, grow)
	return n - grow
}

// avoid grows the window by one segment for each window of bytes acknowledged
// (RFC 5681 section 3.1).
func (r *Reno) avoid(n uint32) {
	r.acked = add(r.acked, n)
	if r.acked >= r.cwnd {
		r.acked -= r.cwnd
		r.cwnd = add(r.cwnd, r.mss)

		// One segment a round trip, however much one acknowledgment brings.
		r.acked = min(r.acked, r.cwnd)
	}
}

// Congestion implements Controller: ssthresh = max(FlightSize/2, 2*SMSS), RFC
// 5681 equation 4.
func (r *Reno) Congestion(e *cc.Event) {
	// FlightSize, and not cwnd: a window that was not used says nothing about the path. Not
	// more than cwnd either, beyond which only probes go.
	r.undo.save(r.cwnd, r.ssthresh)
	r.ssthresh = max(min(e.InFlight, r.cwnd)/2, 2*r.mss)
	r.cwnd, r.acked = r.ssthresh, 0
}

// Recovered implements Controller.
func (r *Reno) Recovered(time.Duration) { r.undo.ended = true }

// Timeout implements Controller. A repeated timeout leaves ssthresh alone (RFC
// 5681 section 3.1).
func (r *Reno) Timeout(e *cc.Event) {
	r.undo.save(r.cwnd, r.ssthresh)
	if !e.Repeated {
		r.ssthresh = max(min(e.InFlight, r.cwnd)/2, 2*r.mss)
	}
	r.cwnd, r.acked = r.mss, 0
}

// Undo implements Controller.
func (r *Reno) Undo(time.Duration) {
	if r.undo.cwnd != 0 {
		r.cwnd, r.ssthresh = max(r.cwnd, r.undo.cwnd), r.undo.ssthresh
	}
	r.undo, r.acked = undo{}, 0
}

// Restart implements Controller: the window halves for each retransmission
// timeout of idleness, down to the restart window (RFC 2861, RFC 5681 section
// 4.1).
func (r *Reno) Restart(now, idle, rto time.Duration) {
	r.cwnd, r.ssthresh = decay(r.cwnd, r.ssthresh, r.mss, idle, rto)
}

// SetMSS implements Controller.
func (r *Reno) SetMSS(mss uint32) { r.cwnd, r.mss = resize(r.cwnd, r.mss, mss), mss }

// CWnd implements Controller.
func (r *Reno) CWnd() uint32 { return r.cwnd }

// SSThresh implements Controller.
func (r *Reno) SSThresh() uint32 { return r.ssthresh }

// PacingRate implements Controller.
func (*Reno) PacingRate() uint64 { return 0 }

// OwnsRecovery implements Controller.
func (*Reno) OwnsRecovery() bool { return false }
