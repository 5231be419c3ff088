package tcp

import (
	"time"
)

// The receive window. Half of the buffer's memory is window: a segment's block may
// be up to twice as large as its data. What is advertised grows from the initial
// window as full segments arrive, and the buffer by dynamic right-sizing: twice
// what the program reads in a round trip.

// window returns RCV.WND: what of the advertised window is left.
func (c *Conn) window() uint32 {
	if c.rcv.adv <= c.rcv.nxt {
		return 0
	}
	return uint32(c.rcv.adv - c.rcv.nxt)
}

// space returns how many bytes the buffer could take behind those in order. What
// came out of order takes up window that is promised already: it is bounded by it,
// and does not reduce it.
func (c *Conn) space() uint32 {
	return uint32(max(int(c.rcv.bufSize/2)-c.rcv.q.Len(), 0))
}

// wouldAdvertise returns the window for the next segment, before the rule that it
// must not shrink (RFC 9293, section 3.8.6.2.2, and Linux's rounding).
func (c *Conn) wouldAdvertise() uint32 {
	full := c.rcv.bufSize / 2
	if w := c.opt.WindowClamp; w != 0 {
		full = min(full, w)
	}
	free := min(c.space(), full)
	mss := min(uint32(c.rcv.mss), full)
	if free < full/2 {
		c.ack.quick = 0
		free = free >> c.rcv.wscale << c.rcv.wscale
		if free < full>>4 || free < mss {
			return 0
		}
	}
	free = min(free, c.rcv.ssthresh)
	if c.rcv.wscale > 0 {
		unit := uint32(1) << c.rcv.wscale
		return (free + unit - 1) &^ (unit - 1)
	}
	w := c.window()
	if w+mss <= free || w > free {
		w = free - free%max(mss, 1)
	} else if mss == full && free > w+full/2 {
		w = free
	}
	return min(w, 65535)
}

// advertise chooses the window of a segment that leaves and returns the header's
// field. The right edge never moves back (section 3.8.6).
func (c *Conn) advertise(now time.Duration) uint16 {
	cur, w := c.window(), c.wouldAdvertise()
	unit := uint32(1)<<c.rcv.wscale - 1
	if w < cur {
		w = (cur + unit) &^ unit
	}
	if c.rcv.wscale == 0 {
		w = min(w, 65535)
	} else {
		w = min(w, 65535<<c.rcv.wscale)
	}
	if c.flags&finRcvd == 0 {
		c.rcv.adv = max(c.rcv.adv, c.rcv.nxt+uint64(w))
	}
	return uint16(w >> c.rcv.wscale)
}

// growWindow lets the advertised window grow as data arrives, by two segments for
// each full one.
func (c *Conn) growWindow(n int) {
	full := c.rcv.bufSize / 2
	if w := c.opt.WindowClamp; w != 0 {
		full = min(full, w)
	}
	room := min(full, c.space())
	if c.rcv.ssthresh < room {
		c.rcv.ssthresh = min(room, c.rcv.ssthresh+2*max(uint32(n), uint32(c.rcv.advMSS)))
	}
}

// measureRTT estimates the round trip from the receiver's side: the time in which
// one window of data arrives, or what timestamps say.
func (c *Conn) measureRTT(now time.Duration) {
	if c.rcv.rttSeq == 0 {
		c.rcv.rttSeq, c.rcv.rttAt = c.rcv.nxt+uint64(c.window()), now
		return
	}
	if c.rcv.nxt < c.rcv.rttSeq {
		return
	}
	us := uint32(max((now-c.rcv.rttAt)/time.Microsecond, 1)) << 3
	if c.rcv.rtt == 0 || us < c.rcv.rtt {
		c.rcv.rtt = us
	}
	c.rcv.rttSeq, c.rcv.rttAt = c.rcv.nxt+uint64(c.window()), now
}

// readSome is called when the program has read n bytes.
func (c *Conn) readSome(now time.Duration, n int) {
	c.rightSize(now)
	c.readUrgentPassed()
	if c.flags&finRcvd != 0 || c.state == Closed {
		return
	}
	if c.ack.owed && (c.rcv.nxt-c.rcv.lastAck > uint64(c.rcv.mss) ||
		c.rcv.q.Len() == 0 && (c.ack.pushed > 1 || c.ack.pushed == 1 && !c.ack.pingpong)) {
		c.ackNow()
		return
	}
	// A window that at least doubles is worth telling.
	cur := c.window()
	if w := c.opt.WindowClamp; w != 0 && cur > w/2 || cur > c.rcv.bufSize/4 {
		return
	}
	if w := c.wouldAdvertise(); w > 0 && w >= 2*cur {
		c.ackNow()
	}
}

// rightSize grows the buffer to twice what the program reads in a round trip, and
// sixteen segments (Linux's dynamic right-sizing).
func (c *Conn) rightSize(now time.Duration) {
	rt := c.rtt.smoothed()
	if c.rcv.rtt != 0 {
		rt = time.Duration(c.rcv.rtt>>3) * time.Microsecond
	}
	if rt == 0 || now-c.rcv.drsAt < rt {
		return
	}
	if copied := c.rcv.q.Base() - c.rcv.drsSeq; copied > uint64(c.rcv.drsSpace) {
		c.growRcvBuf(copied)
	}
	c.rcv.drsSeq, c.rcv.drsAt = c.rcv.q.Base(), now
}

// growRcvBuf lets the buffer hold twice what was read in a round trip, as much
// again as that grew, and what is out of order besides: while a hole is filled the
// peer shall go on at its rate.
func (c *Conn) growRcvBuf(space uint64) {
	old := uint64(max(c.rcv.drsSpace, 1))
	c.rcv.drsSpace = uint32(min(space, 1<<30))
	if c.flags&fixedRcv != 0 {
		return
	}
	want := 2*space + 16*uint64(c.rcv.advMSS)
	want += 2 * space * (space - min(space, old)) / old
	if c.ooo != nil && !c.ooo.q.Empty() {
		want += c.ooo.q.End() - c.rcv.nxt
	}
	c.rcv.bufSize = max(c.rcv.bufSize, uint32(min(2*want, uint64(c.cfg.RMem[2]))))
}

// growSndBuf lets the send buffer hold twice the window of n segments, as Linux
// counts the memory of a segment.
func (c *Conn) growSndBuf(n uint32) {
	if c.flags&fixedSnd != 0 {
		return
	}
	per := uint64(1)
	for per < uint64(max(c.snd.mss, 536))+640 {
		per *= 2
	}
	want := 2 * uint64(max(n, uint32(c.cfg.InitialCwnd))) * (per + 256)
	c.snd.bufSize = max(c.snd.bufSize, uint32(min(want, uint64(c.cfg.WMem[2]))))
}
