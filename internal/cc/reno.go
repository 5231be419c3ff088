package cc

import "time"

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

// undo is what a reduction replaced, for Controller.Undo.
type undo struct {
	cwnd, ssthresh uint32 // cwnd 0: nothing to undo
}

// save keeps the state before the first of several reductions.
func (u *undo) save(cwnd, ssthresh uint32) {
	if u.cwnd == 0 {
		u.cwnd, u.ssthresh = cwnd, ssthresh
	}
}

// Name implements Controller.
func (*Reno) Name() string { return "reno" }

// Start implements Controller.
func (r *Reno) Start(s Start) {
	*r = Reno{mss: s.MSS, cwnd: s.CWnd, ssthresh: s.SSThresh}
	if r.ssthresh == 0 {
		r.ssthresh = MaxWindow
	}
}

// Sent implements Controller.
func (*Reno) Sent(now time.Duration, inFlight, bytes uint32) {}

// Ack implements Controller.
func (r *Reno) Ack(a *Ack) {
	if a.State == Recovery || a.State == CWR || !a.CWndLimited || a.Acked == 0 {
		return
	}
	n := a.Acked
	if r.cwnd < r.ssthresh {
		n = r.slowStart(n, a.State)
	}
	if n > 0 && r.cwnd >= r.ssthresh {
		r.avoid(n)
	}
}

// slowStart grows the window by the bytes acknowledged, up to ssthresh, and
// returns the bytes that are left for congestion avoidance. After a timeout no
// acknowledgment counts for more than one segment (RFC 3465 section 2.3).
func (r *Reno) slowStart(n uint32, s State) uint32 {
	if s == Loss {
		n = min(n, r.mss)
	}
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
		r.acked = min(r.acked, r.cwnd)
	}
}

// Congestion implements Controller: ssthresh = max(FlightSize/2, 2*SMSS), RFC
// 5681 equation 4.
func (r *Reno) Congestion(e *Event) {
	r.undo.save(r.cwnd, r.ssthresh)
	r.ssthresh = max(min(e.InFlight, r.cwnd)/2, 2*r.mss)
	r.cwnd, r.acked = r.ssthresh, 0
}

// Recovered implements Controller.
func (r *Reno) Recovered(time.Duration) { r.undo = undo{} }

// Timeout implements Controller. A repeated timeout leaves ssthresh alone (RFC
// 5681 section 3.1).
func (r *Reno) Timeout(e *Event) {
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

// decay returns the window and threshold after idleness: the threshold remembers
// three quarters of the window that was in use (RFC 2861 section 3.2).
func decay(cwnd, ssthresh, mss uint32, idle, rto time.Duration) (uint32, uint32) {
	ssthresh = max(ssthresh, cwnd/4*3)
	restart := min(InitialWindow(mss), cwnd)
	for ; rto > 0 && idle > rto && cwnd > restart; idle -= rto {
		cwnd /= 2
	}
	return max(cwnd, restart), ssthresh
}

// SetMSS implements Controller.
func (r *Reno) SetMSS(mss uint32) { r.cwnd, r.mss = resize(r.cwnd, r.mss, mss), mss }

// resize keeps a window that is within the initial window at the same number of
// segments when the segment size changes (RFC 1191 section 6.5 leaves others
// alone), and never below one segment.
func resize(cwnd, old, mss uint32) uint32 {
	if old > 0 && mss < old && cwnd <= InitialWindow(old) {
		cwnd = uint32(uint64(cwnd) * uint64(mss) / uint64(old))
	}
	return max(cwnd, mss)
}

// CWnd implements Controller.
func (r *Reno) CWnd() uint32 { return r.cwnd }

// SSThresh implements Controller.
func (r *Reno) SSThresh() uint32 { return r.ssthresh }

// PacingRate implements Controller.
func (*Reno) PacingRate() uint64 { return 0 }

// OwnsRecovery implements Controller.
func (*Reno) OwnsRecovery() bool { return false }
