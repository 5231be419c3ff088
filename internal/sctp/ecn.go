package sctp

import "usock/internal/wire"

// Explicit congestion notification (RFC 4960, appendix A; RFC 9260 leaves it to another document, and
// Linux has it so). A packet of DATA that was marked on its way is told of by ECNE in front of each
// SACK, with the lowest TSN of the packet. The sender reduces its window as for a loss, once for what
// is outstanding, and says so by CWR, which ends the telling.

// ecnSender is what the sender knows of it.
type ecnSender struct {
	told   uint64 // TSN of the last ECNE that was acted upon; 0: none
	exit   uint64 // the window was reduced for all that was outstanding up to this TSN
	cwrDue bool
}

// onECNE takes an ECNE.
func (s *sender) onECNE(tsn uint32) {
	t := wide(s.una-1, tsn)
	if t >= s.nxt || s.outgoing == nil {
		return // of what was never sent
	}
	if t > s.ecn.exit {
		f := s.primary
		if t >= s.una {
			f = s.chunks.at(t).flow
		}
		s.ecn.exit, s.ecn.told = s.nxt-1, t
		if s.fastExit == 0 {
			f.halve()
			s.turn++
		}
	}

	// Also where it was known: the last CWR may have been lost.
	s.ecn.told = max(s.ecn.told, t)
	s.ecn.cwrDue = true
}

// appendCWR writes a CWR behind b, if one is due and has room.
func (s *sender) appendCWR(b []byte, room int) []byte {
	if s.outgoing == nil || !s.ecn.cwrDue || room < tsnChunkLen {
		return b
	}
	s.ecn.cwrDue = false
	return wire.AppendTSN(b, wire.ChunkCWR, uint32(s.ecn.told))
}

// tsnChunkLen is the size of a chunk that is one TSN in bytes.
const tsnChunkLen = wire.ChunkHeaderLen + 4

// ecnReceiver is what the receiver knows of it.
type ecnReceiver struct {
	lowest  uint64 // TSN of the packet that is being processed; 0: it has no DATA
	tsn     uint64 // of the last packet that was marked
	telling bool   // until CWR says that it was heard
}

// congested says that the packet whose chunks were taken was marked. It is called before packet.
func (r *receiver) congested() {
	if r.incoming == nil || r.ecn.lowest == 0 {
		return
	}
	r.ecn.tsn, r.ecn.telling = r.ecn.lowest, true
	r.ack.immediate = true
}

// onCWR takes a CWR.
func (r *receiver) onCWR(tsn uint32) {
	if r.incoming != nil && r.ecn.telling && wide(r.ecn.tsn, tsn) >= r.ecn.tsn {
		r.ecn.telling = false
	}
}

// appendECNE writes an ECNE behind b, if the SACK that follows goes with one and there is room for both.
func (r *receiver) appendECNE(b []byte, room int) []byte {
	if r.incoming == nil || !r.ecn.telling || room < tsnChunkLen+wire.SackLen(0, 0) {
		return b
	}
	return wire.AppendTSN(b, wire.ChunkECNE, uint32(r.ecn.tsn))
}

// inECN takes an ECNE or a CWR.
func (a *Assoc) inECN(c *wire.Chunk) {
	tsn, err := wire.ParseTSN(c.Value)
	if err != nil || a.caps&capECN == 0 {
		return
	}
	switch {
	case c.Type == wire.ChunkCWR:
		a.rcv.onCWR(tsn)
	case a.state == Established || a.state == ShutdownPending || a.state == ShutdownReceived:
		a.snd.onECNE(tsn)
	}
}
