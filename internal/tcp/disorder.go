package tcp

import (
	"time"

	"usock/internal/buf"
	"usock/internal/wire"
)

// reorder is what arrived out of order.
type reorder struct {
	q     buf.Reassembly
	fin   uint64 // offset of the FIN; 0: not seen
	sacks [4]span
	n     uint8 // of sacks
	dsack span  // to be told first (RFC 2883)
}

type span struct{ start, end uint64 }

// maxPieces bounds the pieces that are kept out of order.
const maxPieces = 8192

// inDisorder keeps data that arrived before what is in front of it.
func (c *Conn) inDisorder(now time.Duration, s *Segment, seq uint64, fin bool) {
	if c.ooo == nil {
		c.ooo = new(reorder)
	}
	o := c.ooo
	end := seq + uint64(s.Data.Len())
	c.stats.oooPackets++
	if fin {
		o.fin = end
	}
	c.measureMSS(s.Data.Len(), s.Flags)
	pos := seq
	for _, v := range s.Data.Views() {
		if o.q.Pieces() >= maxPieces || o.q.Len() >= int(c.rcv.bufSize/2) {
			if o.q.End() <= pos {
				break
			}
			o.q.DropBack()
		}
		v.Retain()
		o.q.Insert(pos, v)
		pos += uint64(v.Len())
	}
	if o.q.Mem() > int(c.rcv.bufSize) {
		o.q.Compact()
	}
	c.noteSACK(seq, end)
	c.ackNow()
}

// closeGap moves to the receive queue what now is in order, and reports whether
// the FIN comes next.
func (c *Conn) closeGap() (fin bool) {
	o := c.ooo
	before := c.rcv.q.End()
	o.q.MoveTo(&c.rcv.q)
	c.rcv.nxt = c.rcv.q.End()
	if o.fin != 0 && c.rcv.nxt == o.fin {
		fin = true
	}
	if c.rcv.nxt != before || true {
		c.trimSACK()
	}
	if o.q.Empty() && o.fin == 0 && o.dsack.end == 0 || fin {
		c.ooo = nil
	}
	if c.readable() {
		c.events |= 1
	}
	c.ackNow()
	return fin
}

// dropDisorder frees what is out of order.
func (c *Conn) dropDisorder() {
	if c.ooo != nil {
		c.ooo.q.Reset()
		c.ooo = nil
	}
}

func (c *Conn) duplicate(seq uint64, s *Segment) {}
func (c *Conn) noteSACK(start, end uint64)       {}
func (c *Conn) trimSACK()                        {}
func (c *Conn) putSACK(o *wire.TCPOptions)       {}
func (c *Conn) atSACKEdge(seq uint64) bool       { return false }
