package tcp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

const never = timer.Never

// Delayed acknowledgments (RFC 1122, section 4.2.3.2) with Linux's timing: the
// first segments of a connection, and those after a pause, are acknowledged at
// once; then every second full segment, or after the time that the peer's pace
// suggests.
const (
	ackMin     = 40 * time.Millisecond
	ackMax     = 200 * time.Millisecond
	quickCount = 16
	// ackTick is how long a FIN waits for company where no data has set the pace.
	ackTick = time.Millisecond
)

type acking struct {
	ato      time.Duration // how long an acknowledgment may wait; 0: no data yet
	lastRcv  time.Duration // when data last arrived
	oowAt    time.Duration // when an invalid segment was last answered
	quick    uint8         // acknowledgments to be sent without delay
	pingpong bool          // the program answers: let the answer carry the ACK
	owed     bool          // something is not acknowledged yet
	pushed   uint8         // small segments since the last acknowledgment, at most 2
}

// ackNow has the next Poll acknowledge.
func (c *Conn) ackNow() { c.todo |= todoAck }

// ackSent notes that a segment that leaves acknowledges everything.
func (c *Conn) ackSent(now time.Duration) {
	c.todo &^= todoAck
	c.rcv.lastAck = c.rcv.nxt
	c.ack.owed, c.ack.pushed = false, 0
	if c.ack.quick > 0 {
		c.ack.quick--
		if c.ack.quick == 0 {
			c.ack.ato = ackMin
		}
	}
	c.timer.ack = never
}

// quickAck has up to n acknowledgments sent without delay, as many as half a
// window of segments.
func (c *Conn) quickAck(now time.Duration, n uint32) {
	k := c.window() / (2 * uint32(max(c.rcv.mss, 1)))
	if k == 0 {
		k = 2
	}
	c.ack.quick = max(c.ack.quick, uint8(min(k, n)))
	c.ack.pingpong = false
	c.ack.ato = ackMin
}

// dataArrived adapts to the pace of in-order data.
func (c *Conn) dataArrived(now time.Duration, n int, f wire.TCPFlags) {
	c.ack.owed = true
	c.measureMSS(n, f)
	c.measureRTT(now)
	a := &c.ack
	switch since := now - a.lastRcv; {
	case a.ato == 0:
		k := c.window() / (2 * uint32(max(c.rcv.mss, 1)))
		if k == 0 {
			k = 2
		}
		a.quick = max(a.quick, uint8(min(k, quickCount)))
		a.ato = ackMin
	case since <= ackMin/2:
		a.ato = a.ato/2 + ackMin/2
	case since < a.ato:
		a.ato = min(a.ato/2+since, c.rtt.timeout())
	case since > c.rtt.timeout():
		k := c.window() / (2 * uint32(max(c.rcv.mss, 1)))
		a.quick = max(a.quick, uint8(min(max(k, 2), quickCount)))
	}
	a.lastRcv = now
	c.growWindow(n)
}

// measureMSS estimates the size of the peer's segments.
func (c *Conn) measureMSS(n int, f wire.TCPFlags) {
	if n >= int(c.rcv.mss) {
		c.rcv.mss = uint16(min(n, int(c.rcv.advMSS)))
		if f&wire.PSH != 0 {
			// One whole segment may be the end of a write, too, and its sender may wait
			// for the acknowledgment (Linux, tcp_measure_rcv_mss).
			c.ack.pushed = max(c.ack.pushed, 1)
		}
		return
	}
	if f&wire.PSH != 0 {
		c.ack.pushed = min(c.ack.pushed+1, 2)
	}
}

// judgeAck decides when the data that just arrived is acknowledged. The second full
// segment is at once only if the window need not be told smaller than last time: a
// program that does not keep up is not worth the packets.
func (c *Conn) judgeAck(now time.Duration, n int) {
	if !c.ack.owed || c.todo&todoAck != 0 {
		return
	}
	if c.rcv.nxt-c.rcv.lastAck > uint64(c.rcv.mss) &&
		(c.rcv.q.Len() < int(c.opt.RcvLowat) || uint64(c.wouldAdvertise()) >= c.rcv.adv-c.rcv.lastAck) ||
		c.ack.quick > 0 && !c.ack.pingpong || c.ooo != nil {
		c.ackNow()
		return
	}
	c.delayAck(now)
}

// delayAck has the acknowledgment wait for more to acknowledge or for data to ride
// on.
func (c *Conn) delayAck(now time.Duration) {
	c.ack.owed = true
	ato := max(c.ack.ato, ackTick)
	if ato > ackMin {
		most := 500 * time.Millisecond
		if c.ack.pingpong || c.ack.pushed > 0 {
			most = ackMax
		}
		if c.rtt.srtt != 0 {
			most = min(most, max(c.rtt.smoothed(), ackMin))
		}
		ato = min(ato, most)
	}
	ato = min(ato, ackMax)
	at := now + ato
	if c.timer.ack != never {
		if c.timer.ack <= now+ato/4 {
			c.ackNow()
			return
		}
		at = min(at, c.timer.ack)
	}
	c.timer.ack = at
}

// ackExpired sends the acknowledgment that was delayed.
func (c *Conn) ackExpired(now time.Duration) {
	c.timer.ack = never
	if !c.ack.owed {
		return
	}
	if !c.ack.pingpong {
		c.ack.ato = min(c.ack.ato*2, c.rtt.timeout())
	} else {
		c.ack.pingpong = false
		c.ack.ato = ackMin
	}
	c.ackNow()
}

// answered notes that the program's data leaves: soon after the peer's it is an answer.
func (c *Conn) answered(now time.Duration) {
	if now-c.ack.lastRcv < c.ack.ato {
		c.ack.pingpong = true
	}
}
