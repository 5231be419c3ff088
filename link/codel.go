package link

import (
	"math"
	"time"
)

// codel is CoDel's state of one queue (RFC 8289 section 5), with the arithmetic of Linux's codel_impl.h.
//
// The packet at the head is dropped when, for an interval, no packet has waited for less than the target. From then on
// further ones are, each interval/sqrt(count) after the one before, until a packet has not waited that long.
type codel struct {
	dropping       bool
	count          uint32        // drops since dropping began
	lastCount      uint32        // count when it began
	recInvSqrt     uint16        // 1/sqrt(count), in 2^-16
	firstAboveTime time.Duration // when packets will have waited too long for an interval; 0: they do not
	dropNext       time.Duration
}

const fateCodel = "codel"

// pop takes the packet of f that is sent now, and has those before it dropped that are to be.
func (c *codel) pop(s *store, f *fifo, now time.Duration) *Packet {
	p, sojourn, drop := c.next(s, f, now)
	switch {
	case p == nil:
		c.dropping = false
		return nil
	case c.dropping && !drop:
		c.dropping = false
	case c.dropping:
		for c.dropping && now >= c.dropNext {
			c.count++
			c.newton()
			if s.env.signal(p) {
				c.dropNext = c.controlLaw(c.dropNext, s.env.Interval)
				break
			}
			s.env.lost(p, fateCodel)
			if p, sojourn, drop = c.next(s, f, now); !drop {
				c.dropping = false
			} else {
				c.dropNext = c.controlLaw(c.dropNext, s.env.Interval)
			}
		}
	case drop:
		if !s.env.signal(p) {
			s.env.lost(p, fateCodel)
			p, sojourn, _ = c.next(s, f, now)
		}
		c.begin(now, s.env.Interval)
	}
	if p != nil && sojourn > s.env.CEThreshold {
		s.env.markIt(p)
	}
	return p
}

// next takes the first packet, how long it has waited, and whether it may be dropped.
func (c *codel) next(s *store, f *fifo, now time.Duration) (p *Packet, sojourn time.Duration, drop bool) {
	p, came := s.pop(f)
	if p == nil {
		c.firstAboveTime = 0 // as in the RFC; Linux 6.1 lets it stand where a flow's queue has run empty
		return nil, 0, false
	}
	sojourn = now - came

	// What is left is all that waits, in whichever flow, as in Linux: fewer bytes than an MTU keep nobody waiting.
	switch {
	case sojourn < s.env.Target || s.total.Bytes <= s.mtu():
		c.firstAboveTime = 0
	case c.firstAboveTime == 0:
		c.firstAboveTime = now + s.env.Interval
	case now > c.firstAboveTime:
		drop = true
	}
	return p, sojourn, drop
}

// begin begins to drop: at the rate that did it last time, where that is not long ago.
func (c *codel) begin(now, interval time.Duration) {
	c.dropping = true
	delta := c.count - c.lastCount
	if delta > 1 && now-c.dropNext < 16*interval {
		c.count = delta
		c.newton()
	} else {
		c.count, c.recInvSqrt = 1, math.MaxUint16
	}
	c.lastCount = c.count
	c.dropNext = c.controlLaw(now, interval)
}

// controlLaw is when to drop next after t (RFC 8289 section 5.3).
func (c *codel) controlLaw(t, interval time.Duration) time.Duration {
	whole, part := interval>>16, interval&0xffff // the product of the whole could be too large
	return t + whole*time.Duration(c.recInvSqrt) + part*time.Duration(c.recInvSqrt)>>16
}

// newton brings recInvSqrt nearer to 1/sqrt(count) by one of Newton's steps, x(3 - count*x^2)/2. After the count has become
// smaller it is too small for a while, and the drops the closer together for that, as with Linux.
func (c *codel) newton() {
	x := uint64(c.recInvSqrt) << 16
	square := x * x >> 32
	if minus := uint64(c.count) * square; minus < 3<<32 {
		x = (3<<32 - minus) >> 2 * x >> 31
		c.recInvSqrt = uint16(x >> 16)
		return
	}

	// The count has grown by a batch of drops, so much that the step would lead beyond zero.
	c.recInvSqrt = uint16(min(1<<16/math.Sqrt(float64(c.count)), math.MaxUint16))
}

// codelQdisc is CoDel for all packets in one queue.
type codelQdisc struct {
	store
	codel codel
	fifo  fifo
}

func (q *codelQdisc) admit(p *Packet, _ time.Duration) verdict {
	if q.full(p) {
		return verdict{fate: fateFull}
	}
	return verdict{}
}

func (q *codelQdisc) push(p *Packet, now time.Duration) { q.store.push(&q.fifo, p, now) }

func (q *codelQdisc) pop(now time.Duration) *Packet { return q.codel.pop(&q.store, &q.fifo, now) }

func (q *codelQdisc) take() *Packet {
	p, _ := q.store.pop(&q.fifo)
	return p
}
