package tcp

import (
	"time"

	"usock/internal/wire"
)

// origin is the stream offset of a SYN; the first byte of data is at origin+1. It
// leaves room below for the offsets of old segments, and its low 32 bits are zero.
const origin = 1 << 32

// sndSeq returns the sequence number of an offset of ours.
func (c *Conn) sndSeq(off uint64) uint32 { return c.snd.iss + uint32(off) }

// sndOff returns the offset, near snd.una, that the peer's SEG.ACK means.
func (c *Conn) sndOff(seq uint32) uint64 {
	return c.snd.una + uint64(int64(int32(seq-c.sndSeq(c.snd.una))))
}

// rcvSeq returns the sequence number of an offset of the peer's.
func (c *Conn) rcvSeq(off uint64) uint32 { return c.rcv.irs + uint32(off) }

// rcvOff returns the offset, near rcv.nxt, that the peer's SEG.SEQ means.
func (c *Conn) rcvOff(seq uint32) uint64 {
	return c.rcv.nxt + uint64(int64(int32(seq-c.rcvSeq(c.rcv.nxt))))
}

// tsNow is the timestamp clock: milliseconds and an offset of the connection's
// own (RFC 7323, sections 5.4 and 7.1).
func (c *Conn) tsNow(now time.Duration) uint32 {
	return uint32(now/time.Millisecond) + c.snd.tsOffset
}

// tsOptionLen is what a timestamp takes in every segment.
const tsOptionLen = 12

// optionLen returns the length of the options that every segment has.
func (c *Conn) optionLen() int {
	if c.flags&useTS != 0 {
		return tsOptionLen
	}
	return 0
}

// header fills in what all segments of a synchronized connection have.
func (c *Conn) header(now time.Duration, s *Segment, seq uint64, f wire.TCPFlags) {
	s.Seq, s.Flags = c.sndSeq(seq), f|wire.ACK
	s.Ack = c.rcvSeq(c.rcv.nxt)
	s.Window = c.advertise(now)
	if c.flags&useTS != 0 {
		s.Options.HasTimestamp = true
		s.Options.TSVal, s.Options.TSEcr = c.tsNow(now), c.rcv.tsRecent
	}
	if c.ooo != nil && c.flags&useSACK != 0 {
		c.putSACK(&s.Options)
	}
	c.stats.segsOut++
	c.ackSent(now)
	if c.cfg.Trace != nil {
		c.tellSent(s, seq)
	}
}

// acceptableSeq is the number of a segment without data: snd.nxt, but no number that
// a peer that has shrunk its window would not accept.
func (c *Conn) acceptableSeq() uint64 {
	edge := c.snd.una + uint64(c.snd.wnd)
	if edge >= c.snd.nxt || !c.state.synchronized() || c.flags&useWScale != 0 && c.snd.nxt-edge < 1<<c.rcv.wscale {
		return c.snd.nxt
	}
	return edge
}

// ResetFor returns the RST that answers a segment to a port where nothing
// listens, and false if the segment is itself a RST (RFC 9293, section 3.10.7.1).
func ResetFor(s *Segment) (Segment, bool) {
	var r Segment
	if s.Flags&wire.RST != 0 {
		return r, false
	}
	r.SrcPort, r.DstPort = s.DstPort, s.SrcPort
	r.Flags = wire.RST
	if s.Flags&wire.ACK != 0 {
		r.Seq = s.Ack
	} else {
		r.Flags |= wire.ACK
		r.Ack = s.Seq + s.Len()
	}
	return r, true
}
