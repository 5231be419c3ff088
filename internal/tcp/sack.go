package tcp

import (
	"time"

	"usock/internal/wire"
)

// Selective acknowledgments as the sender sees them (RFC 2018, RFC 2883).

// ackInfo is what one acknowledgment brought, while it is processed.
type ackInfo struct {
	now        time.Duration
	ece        bool   // the peer echoes a congestion mark
	delivered  uint32 // bytes acknowledged or SACKed for the first time
	acked      uint32 // bytes by which snd.una advanced
	lost       uint32 // bytes newly marked lost
	priorUna   uint64
	priorFack  uint64
	reord      uint64        // lowest first transmission delivered behind a SACK; ^0: none
	firstSent  time.Duration // of the oldest first transmission acknowledged
	lastSent   time.Duration // of the newest
	sackSent   time.Duration // of the oldest first transmission SACKed
	wait       time.Duration // until more would be lost; 0: nothing
	haveAcked  bool          // firstSent and lastSent are set
	haveSacked bool          // sackSent is set
	retransAck bool          // a retransmission was acknowledged
	dataSacked bool          // something was newly SACKed
	origAcked  bool          // a first transmission from before the recovery point was
	dsack      bool          // the first block was a DSACK
	dsackTLP   bool          // of the tail loss probe
	duplicate  bool          // a duplicate acknowledgment by RFC 5681, section 2
	lostAgain  bool          // a retransmission was found lost
}

// takeSACK marks what the blocks tell.
func (c *Conn) takeSACK(now time.Duration, ack uint64, o *wire.TCPOptions, a *ackInfo) {
	l := &c.fl.loss
	blocks := o.SACK[:o.NSACK]
	first := 0
	if sp, ok := c.sackSpan(blocks[0]); ok && c.isDSACK(sp, ack, blocks) {
		c.takeDSACK(now, sp, a)
		first = 1
	}
	var seen [4]span
	k := 0
	for _, b := range blocks[first:] {
		sp, ok := c.sackSpan(b)
		if !ok || sp.end <= ack || sp.start < c.snd.una || sp.end > c.snd.nxt {
			continue
		}
		seen[k] = sp
		k++
		c.markSpan(now, sp, a)
	}
	l.seen = seen
}

// sackSpan returns the offsets of a block, and false if it is empty or backwards.
func (c *Conn) sackSpan(b wire.SACKBlock) (span, bool) {
	sp := span{c.sndOff(b.Left), c.sndOff(b.Right)}
	return sp, sp.start < sp.end
}

// isDSACK reports whether the first block tells of a duplicate: it is below the
// acknowledgment or inside the second block (RFC 2883, section 4).
func (c *Conn) isDSACK(sp span, ack uint64, blocks []wire.SACKBlock) bool {
	if sp.end <= ack {
		return true
	}
	if len(blocks) < 2 {
		return false
	}
	second, ok := c.sackSpan(blocks[1])
	return ok && sp.start >= second.start && sp.end <= second.end
}

// takeDSACK learns that something sent again had arrived before.
func (c *Conn) takeDSACK(now time.Duration, sp span, a *ackInfo) {
	l := &c.fl.loss
	// What was never sent, or long ago, says nothing.
	if sp.end > c.snd.nxt || sp.start+uint64(max(c.snd.maxWnd, 1<<16)) < c.snd.una {
		return
	}
	mss := uint64(c.snd.mss)
	segs := uint32((sp.end - sp.start + mss - 1) / mss)
	a.dsack = true
	c.stats.dsackDups += segs
	if l.tlpRetrans && sp.end == l.tlpHigh {
		a.dsackTLP = true
	} else {
		l.dsackSeen = true
	}
	if l.undo && l.undoRetrans > 0 && sp.end > l.undoMarker {
		l.undoRetrans -= min(l.undoRetrans, int32(sp.end-sp.start))
	}
}

// markSpan marks the records in sp that are not marked yet. The blocks of the
// acknowledgment before, which are in l.seen, need no look.
func (c *Conn) markSpan(now time.Duration, sp span, a *ackInfo) {
	for _, o := range c.fl.loss.seen {
		if o.start <= sp.start && sp.start < o.end {
			sp.start = min(o.end, sp.end)
		}
		if o.start < sp.end && sp.end <= o.end {
			sp.end = max(o.start, sp.start)
		}
	}
	if sp.start >= sp.end {
		return
	}
	b := &c.fl.board
	i := b.find(sp.start)
	for ; i < b.n && b.at(i).start < sp.end; i++ {
		if b.at(i).flags&recSacked != 0 {
			continue
		}
		if !c.cutTo(&i, sp) {
			continue
		}
		c.markSacked(now, b.at(i), a)
	}
}

// cutTo splits the record *i so that what lies in sp is a record of its own, at
// multiples of the MSS from the record's start: bounds elsewhere are rounded
// inwards, so that a peer cannot make us keep a record a byte. It reports false if
// nothing whole is left, and moves *i to the record.
func (c *Conn) cutTo(i *uint32, sp span) bool {
	b := &c.fl.board
	mss := uint64(c.snd.mss)
	r := b.at(*i)
	if sp.start > r.start {
		off := r.start + (sp.start-r.start+mss-1)/mss*mss
		if off >= r.end() || off >= sp.end {
			return false
		}
		b.split(*i, off)
		*i++
		r = b.at(*i)
	}
	if sp.end < r.end() {
		n := (sp.end - r.start) / mss * mss
		if n == 0 {
			return false
		}
		b.split(*i, r.start+n)
	}
	return true
}

// markSacked marks a whole record SACKed.
func (c *Conn) markSacked(now time.Duration, r *rec, a *ackInfo) {
	f := c.fl
	l := &f.loss
	l.rackAdvance(now, r, r.end(), c.rtt.least())
	if r.sent == 1 {
		if r.start < l.fack {
			a.reord = min(a.reord, r.start)
		}
		if r.end() <= l.high {
			a.origAcked = true
		}
		if !a.haveSacked || r.Sent < a.sackSent {
			a.haveSacked, a.sackSent = true, r.Sent
		}
	}
	if r.flags&recLost != 0 {
		l.lost -= r.n
	}
	if r.flags&recRetrans != 0 {
		l.retrans -= r.n
	}
	r.flags = r.flags&^(recLost|recRetrans) | recSacked
	l.sacked += r.n
	l.fack = max(l.fack, r.end())
	a.delivered += r.n
	a.dataSacked = true
	f.rate.OnDelivered(&r.Stamp, now, r.n, r.sent > 1)
	if c.cfg.Trace != nil {
		c.tellAcked(r.start, r.n, 0)
	}
}
