package congestion

import (
	"time"

	"usock/cc"
)

// What Reno and CUBIC have in common.

// undo is what a reduction replaced, for Controller.Undo.
type undo struct {
	cwnd, ssthresh uint32 // cwnd 0: nothing to undo
	ended          bool   // Recovered was called since
}

// save keeps the state before the first reduction of an episode and reports
// whether this was it.
func (u *undo) save(cwnd, ssthresh uint32) bool {
	if u.cwnd != 0 && !u.ended {
		return false
	}
	*u = undo{cwnd: cwnd, ssthresh: ssthresh}
	return true
}

// counted returns the bytes for which the window may grow: what an acknowledgment of new
// data shows to be delivered, be it acknowledged or SACKed. A jump of snd.una over what was
// SACKed before counts nothing again and releases no burst. Where the path reorders, what is
// SACKed counts at once (Linux, tcp_may_raise_cwnd): acknowledgments of new data come seldom.
func counted(a *cc.Ack) uint32 {
	if a.Acked == 0 && !a.Reordering {
		return 0
	}
	return a.Delivered
}

// decay returns the window and threshold after idleness: the window halves for
// each retransmission timeout, down to the restart window, and the threshold
// remembers three quarters of the window that was in use (RFC 2861 section 3.2,
// RFC 5681 section 4.1).
func decay(cwnd, ssthresh, mss uint32, idle, rto time.Duration) (uint32, uint32) {
	// The window that was reached is not forgotten: slow start leads back to near it.
	ssthresh = max(ssthresh, cwnd/4*3)
	restart := min(cc.InitialWindow(mss), cwnd)
	for ; rto > 0 && idle > rto && cwnd > restart; idle -= rto {
		cwnd /= 2
	}
	return max(cwnd, restart), ssthresh
}

// resize keeps a window that is within the initial window at the same number of
// segments when they become smaller (RFC 5681 section 3.1; RFC 1191 section 6.4 leaves
// others alone), and never below one segment.
func resize(cwnd, old, mss uint32) uint32 {
	if mss < old && cwnd <= cc.InitialWindow(old) {
		cwnd = uint32(uint64(cwnd) * uint64(mss) / uint64(old))
	}
	return max(cwnd, mss)
}
