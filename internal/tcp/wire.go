package tcp

import "usock/internal/wire"

// origin is the stream offset of a SYN; the first byte of data is at origin+1. It
// leaves room below for the offsets of old segments, and its low 32 bits are zero.
const origin = 1 << 32

// tsOptionLen is what a timestamp takes in every segment.
const tsOptionLen = 12

// optionLen returns the length of the options that every segment has.
func (t *tcb) optionLen() int {
	if t.flags&useTS != 0 {
		return tsOptionLen
	}
	return 0
}

// ResetFor returns the RST that answers a segment to a port where nothing
// listens, and false if the segment is itself a RST (RFC 9293 §3.10.7.1).
func ResetFor(s *Segment) (Segment, bool) {
	var r Segment
	if s.Flags&wire.RST != 0 {
		return r, false
	}
	r.SrcPort, r.DstPort = s.DstPort, s.SrcPort
	r.Flags = wire.RST

	// What makes the peer believe it: in SYN-SENT that it acknowledges the SYN, elsewhere that
	// its number is in the window (RFC 9293 §3.5.3).
	if s.Flags&wire.ACK != 0 {
		r.Seq = s.Ack
	} else {
		r.Flags |= wire.ACK
		r.Ack = s.Seq + s.Len()
	}
	return r, true
}
