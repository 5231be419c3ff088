package tcp

import (
	"usock/cc"
	"usock/internal/wire"
)

// Explicit congestion notification (RFC 3168 §6.1).

// putECT marks a segment of new data. Nothing else is ECN-capable: neither pure
// acknowledgments nor retransmissions are (RFC 3168 §6.1.4 and 6.1.5).
func (s *sender) putECT(t *tcb, seg *Segment) {
	if t.flags&useECN == 0 || seg.Data.Len() == 0 {
		return
	}

	seg.ECT = true

	// On the first new data behind the reduction, and never on a retransmission: should it be
	// lost, the loss reduces the window again, and says so again (RFC 3168 §6.1.2).
	if t.flags&sendCWR != 0 {
		t.flags &^= sendCWR
		seg.Flags |= wire.CWR
	}
}

// hearECN takes the marks of a segment that arrived: CE is echoed until CWR says
// that the peer has heard (RFC 3168 §6.1.3).
func (r *receiver) hearECN(t *tcb, s *Segment) {
	if t.flags&useECN == 0 {
		return
	}

	if s.Flags&wire.CWR != 0 {
		t.flags &^= ceSeen

		// A sender that has just reduced may have a window of one segment and wait for this
		// acknowledgment (Linux, tcp_ecn_accept_cwr).
		if s.Data.Len() > 0 {
			t.ackNow()
		}
	}

	if s.CE {
		t.flags |= ecnSeen
	}

	// The sender hears of it at once, and in each acknowledgment until it has.
	if s.CE && s.Data.Len() > 0 {
		if t.flags&ceSeen == 0 {
			t.ackNow()
		}
		t.flags |= ceSeen
	}
}

// hearECE reduces the window for an echoed mark, at most once for a window of data
// (RFC 3168 §6.1.2).
func (s *sender) hearECE(t *tcb, a *ackInfo) {
	if !a.ece {
		return
	}

	f := s.flight

	f.deliveredCE += (a.delivered + uint32(s.mss) - 1) / uint32(s.mss)

	// A reduction is under way: what is marked now left before it could help.
	if f.loss.state != cc.Open {
		return
	}

	s.beginReduction(t, a.now, cc.CWR, cc.ByECN)
	t.flags |= sendCWR
	if s.una == s.nxt {
		// Nothing is in flight that the reduction could wait for.
		s.endReduction(t, a.now)
	}
}
