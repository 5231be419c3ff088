package link

import (
	"math"
	"time"
)

// pie is PIE (RFC 8033), with the numbers of Linux's sch_pie: packets are dropped as they come, with a probability that
// follows how long packets wait.
//
// The probability is worked out every TUpdate, and needs no timer: nothing that it depends on changes but by a packet
// that comes or leaves, and each of those first makes up for the updates that were due before it (catchUp).
type pie struct {
	store
	fifo fifo

	updated   time.Duration // when the probability was worked out last
	prob      uint64        // in parts of maxProb; more than one after a long flood, as in Linux
	accuProb  uint64        // sum of the probabilities since the last drop (RFC 8033 section 5.4)
	burstTime time.Duration // how long packets are yet let pass whatever their delay (section 4.4)

	qdelay, qdelayOld time.Duration

	// The time of a departure: of the last one or, with DQRateEstimator, of the one with which the measurement began of
	// which dqCount bytes have left so far; each -1: none.
	dqTime    time.Duration
	dqCount   int
	avgDQRate int64 // bytes a second; 0: not known
}

const (
	fatePie = "pie"

	maxProb = math.MaxUint64 >> 8

	pieMaxBurst     = 150 * time.Millisecond
	pieQueue        = 16384 // bytes that must wait, and leave, for a rate to be measured
	pieLongDelay    = 250 * time.Millisecond
	pieLongestDelay = 10 * time.Second // that counts; what it is multiplied with must not grow too large
)

func newPie(e *qdiscEnv) *pie {
	q := &pie{store: store{env: e}, updated: -1}
	q.reset()
	return q
}

// reset begins anew, with a burst that is let pass.
func (q *pie) reset() {
	q.burstTime, q.accuProb, q.avgDQRate = pieMaxBurst, 0, 0
	q.dqTime, q.dqCount = -1, -1
}

func (q *pie) admit(p *Packet, now time.Duration) verdict {
	q.catchUp(now)
	switch {
	case q.full(p):
		q.accuProb = 0
		return verdict{fate: fateFull}
	case !q.dropEarly(p):
		return verdict{}
	case q.env.ECN && q.prob <= maxProb/10 && ecnOf(p) != 0:
		// Beyond a tenth marks do not suffice (RFC 8033 section 5.1).
		return verdict{mark: true}
	}
	q.accuProb = 0
	return verdict{fate: fatePie}
}

// dropEarly draws whether p is dropped.
func (q *pie) dropEarly(p *Packet) bool {
	mtu := q.mtu()
	switch {
	case q.burstTime > 0:
		return false

	// Where there is no congestion to speak of, nothing is dropped (section 4.1).
	case q.qdelay < q.env.Target/2 && q.prob < maxProb/5, q.total.Bytes < 2*mtu:
		return false
	}
	prob := q.prob
	if n := p.Len(); q.env.ByteMode && n <= mtu {
		prob = prob / uint64(mtu) * uint64(n)
	}

	// Drops are spread: none comes soon after another, and none lets itself be waited for long.
	q.accuProb += prob
	switch {
	case prob == 0:
		q.accuProb = 0
		return false
	case q.accuProb < maxProb/100*85:
		return false
	case q.accuProb >= maxProb/2*17:
		return true
	case q.env.rnd.Uint64()>>8 < prob:
		q.accuProb = 0
		return true
	}
	return false
}

func (q *pie) push(p *Packet, now time.Duration) { q.store.push(&q.fifo, p, now) }

func (q *pie) pop(now time.Duration) *Packet {
	q.catchUp(now)
	p, came := q.store.pop(&q.fifo)
	if p == nil {
		return nil
	}
	if q.env.DQRateEstimator {
		q.burstTime = max(q.burstTime-q.measure(p.Len(), now), 0)
		return p
	}
	q.qdelay = now - came
	if q.total.Packets == 0 {
		q.qdelay = 0
	}
	if q.dqTime >= 0 {
		q.burstTime = max(q.burstTime-(now-q.dqTime), 0)
	}
	q.dqTime = now
	return p
}

// measure measures the rate at which packets leave (section 5.3), and returns how long the measurement took that ends
// with this packet of n bytes, 0 if none does.
func (q *pie) measure(n int, now time.Duration) time.Duration {
	if q.total.Bytes >= pieQueue && q.dqCount < 0 {
		q.dqTime, q.dqCount = now, 0
	}
	if q.dqCount < 0 {
		return 0
	}
	q.dqCount += n
	took := now - q.dqTime
	if q.dqCount < pieQueue || took == 0 {
		return 0
	}
	rate := int64(q.dqCount) * int64(time.Second) / int64(took)
	if q.avgDQRate == 0 {
		q.avgDQRate = rate
	} else {
		q.avgDQRate += rate>>3 - q.avgDQRate>>3
	}
	q.dqTime, q.dqCount = now, 0
	if q.total.Bytes < pieQueue {
		q.dqCount = -1
	}
	return took
}

// catchUp does the updates that have been due by now.
func (q *pie) catchUp(now time.Duration) {
	if q.updated < 0 {
		q.updated = now
	}
	for now-q.updated >= q.env.TUpdate {
		// Where nothing waits and nothing is left of the past, one update is like the next.
		if q.idle() {
			q.updated += (now - q.updated) / q.env.TUpdate * q.env.TUpdate
			q.update()
			return
		}
		q.updated += q.env.TUpdate
		q.update()
	}
}

func (q *pie) idle() bool {
	return q.total.Packets == 0 && q.prob == 0 && q.qdelay == 0 && q.qdelayOld == 0
}

// update works out the probability (section 4.2).
func (q *pie) update() {
	delay, old := q.qdelay, q.qdelayOld
	if q.env.DQRateEstimator {
		delay, old = 0, q.qdelay
		q.qdelayOld = old
		if q.avgDQRate > 0 {
			delay = time.Duration(min(int64(q.total.Bytes)*int64(time.Second)/q.avgDQRate, int64(pieLongestDelay)))
		}
	}

	// No delay and yet a queue: there are too few packets to tell by.
	tell := delay != 0 || q.total.Bytes == 0
	alpha, beta := q.gains()
	bound := func(t time.Duration) int64 { return int64(min(t, pieLongestDelay)) }
	delta := alpha*(bound(delay)-bound(q.env.Target)) + beta*(bound(delay)-bound(old))
	if delta > maxProb/50 && q.prob >= maxProb/10 {
		delta = maxProb / 50
	}
	if delay > pieLongDelay {
		delta += maxProb / 50
	}
	switch {
	case delta <= 0:
		q.prob -= min(uint64(-delta), q.prob)
	case q.prob > math.MaxUint64-uint64(delta):
		q.prob, tell = maxProb, false
	default:
		q.prob += uint64(delta)
	}
	if delay == 0 && old == 0 && tell {
		q.prob -= q.prob / 64
	}
	q.qdelay = delay
	if delay < q.env.Target/2 && q.qdelayOld < q.env.Target/2 && q.prob == 0 && (!q.env.DQRateEstimator || q.avgDQRate > 0) {
		q.reset()
	}
	if !q.env.DQRateEstimator {
		q.qdelayOld = delay
	}
}

// gains are alpha and beta, in parts of maxProb a nanosecond: the smaller the probability, the smaller its steps.
func (q *pie) gains() (alpha, beta int64) {
	alpha = int64(q.env.Alpha) * (maxProb / int64(time.Second)) >> 4
	beta = int64(q.env.Beta) * (maxProb / int64(time.Second)) >> 4
	if q.prob < maxProb/10 {
		alpha, beta = alpha>>1, beta>>1
		for power := uint64(100); power <= 1_000_000 && q.prob < maxProb/power; power *= 10 {
			alpha, beta = alpha>>2, beta>>2
		}
	}
	return alpha, beta
}

func (q *pie) take() *Packet {
	p, _ := q.store.pop(&q.fifo)
	return p
}
