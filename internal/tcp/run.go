package tcp

import "usock/internal/wire"

// A run is segments behind one another that arrive together, and differ in their data only. It is taken as one segment (Segment.SegmentSize),
// and what comes of it is what would come of them one by one, but that at most one acknowledgment answers it, as with Linux's GRO (RFC 9293
// §3.8.6.3 knows of that). What an acknowledgment does for the sender goes by the bytes that it acknowledges: so the congestion window
// grows as it would. Where each segment counts there is no run: what is out of order, or comes while something is missing, is answered one by
// one, as three duplicates are a loss (RFC 5681 §4.2).

// TakesRun returns how many bytes of data a run that begins with s may have; 0: s must come alone.
func (c *Conn) TakesRun(s *Segment) int {
	switch c.state {
	case Established, FinWait1, FinWait2:
	default:
		return 0
	}
	if s.Flags&^wire.PSH != wire.ACK || s.Seq != c.rcv.rcvSeq(c.rcv.nxt) || c.rcv.ooo != nil {
		return 0
	}
	if c.shut&(shutRead|orphan) != 0 || c.lazy != nil || c.cfg.Trace != 0 || c.cfg.Memory.pressed() {
		return 0
	}

	// Nothing of it is cut off.
	return int(c.rcv.window())
}

// measureRun is measureMSS of n bytes that arrived in order as s.
func (r *receiver) measureRun(s *Segment, n int) {
	if size := int(s.SegmentSize); size != 0 && n > size {
		r.measureMSS(size, 0)
		n = (n-1)%size + 1 // the last one, which PSH is of
	}
	r.measureMSS(n, s.Flags)
}
