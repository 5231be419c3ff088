package tcp

import (
	"time"

	"usock/internal/cc"
	"usock/internal/wait"
	"usock/internal/wire"
)

// loss is the state of loss detection and recovery.
type loss struct {
	state  cc.State
	high   uint64 // recovery point: snd.nxt when recovery began
	hint   uint64 // nothing below is marked lost
	sacked uint32 // bytes marked recSacked
	lost   uint32 // bytes marked recLost
	dup    uint32 // duplicate acknowledgments in a row
	cwnd   uint32 // the window in recovery; 0: the controller's
}

func (l *loss) init(c *Conn) {}
func (l *loss) free()        {}

// onAck takes an acknowledgment while data is in flight. sameWnd says that the
// segment left the window as it was.
func (c *Conn) onAck(now time.Duration, ack uint64, s *Segment, sameWnd bool) {
	f := c.fl
	if f == nil {
		// Only a FIN or SYN is in flight.
		f = c.newFlight(now)
	}
	if ack < c.snd.una {
		return
	}
	f.rate.Begin()
	a := cc.Ack{Now: now, PriorInFlight: c.inFlight()}
	if ack > c.snd.una {
		c.advanceUna(now, ack, s, &a)
	} else if s.Len() == 0 && sameWnd {
		f.loss.dup++
		if f.loss.dup == 3 && f.loss.state == cc.Open {
			c.enterRecovery(now)
		}
	}
	if f.loss.state != cc.Open && c.snd.una >= f.loss.high {
		f.loss.state = cc.Open
		f.cc.Recovered(now)
	}
	a.RTT = 0
	a.SRTT, a.MinRTT = c.rtt.smoothed(), c.rtt.least()
	a.InFlight = c.inFlight()
	a.SndUna, a.SndNxt = c.snd.una, c.snd.nxt
	a.State = f.loss.state
	a.CWndLimited = f.use.Limited(f.cc)
	a.Rate = f.rate.Sample(a.MinRTT)
	f.cc.Ack(&a)
}

// advanceUna takes what is newly acknowledged off the board and the queue.
func (c *Conn) advanceUna(now time.Duration, ack uint64, s *Segment, a *cc.Ack) {
	f := c.fl
	b := &f.board
	var sent time.Duration
	clean := false
	for b.n > 0 {
		r := b.at(0)
		if r.start >= ack {
			break
		}
		n := uint32(min(r.end(), ack) - r.start)
		if r.flags&recSacked != 0 {
			f.loss.sacked -= n
		} else {
			a.Delivered += n
			if r.flags&recLost != 0 {
				f.loss.lost -= n
			}
			if r.sent == 1 {
				clean, sent = true, r.Sent
			}
			f.rate.OnDelivered(&r.Stamp, now, n, r.sent > 1)
		}
		if r.end() > ack {
			r.start += uint64(n)
			r.n -= n
			break
		}
		b.popFront()
	}
	a.Acked = uint32(ack - c.snd.una)
	c.stats.bytesAcked += uint64(a.Acked)
	c.snd.una = ack
	c.snd.q.Drop(min(ack, c.snd.q.End()))
	f.loss.dup = 0
	f.loss.hint = max(f.loss.hint, ack)
	if clean {
		a.RTT = now - sent
		c.sampleRTT(now, a.RTT)
	} else if c.flags&useTS != 0 && s.Options.HasTimestamp && s.Options.TSEcr != 0 {
		c.sampleRTT(now, time.Duration(c.tsNow(now)-s.Options.TSEcr)*time.Millisecond)
	}
	c.snd.retrans, c.snd.probes = 0, 0
	c.timer.since = 0
	if c.rtt.backoff > 0 {
		c.rtt.setRTO(c.cfg)
	}
	if f.loss.state == cc.Recovery && ack < f.loss.high && f.loss.lost == 0 && b.n > 0 {
		// NewReno: the next hole (RFC 6582, section 3.2, step 3).
		c.markLost(0)
	}
	c.armRetransmit(now, true)
	if c.flags&noSpace != 0 && c.shut&shutWrite == 0 && c.writable() {
		c.flags &^= noSpace
		c.events |= wait.Out
	}
}

// sampleRTT takes a measurement of the round trip.
func (c *Conn) sampleRTT(now, m time.Duration) {
	if m < 0 {
		return
	}
	c.rtt.sample(now, m, c.snd.una, c.snd.nxt, uint32(c.cfg.MinRTO/time.Microsecond))
	c.rtt.setRTO(c.cfg)
}

// markLost marks the record i lost.
func (c *Conn) markLost(i uint32) {
	f := c.fl
	r := f.board.at(i)
	if r.flags&(recLost|recSacked) != 0 {
		return
	}
	r.flags |= recLost
	f.loss.lost += r.n
	f.rate.OnLost(r.n)
	f.loss.hint = min(f.loss.hint, r.start)
}

// enterRecovery begins fast recovery.
func (c *Conn) enterRecovery(now time.Duration) {
	f := c.fl
	e := cc.Event{Now: now, InFlight: uint32(c.snd.nxt - c.snd.una), SndNxt: c.snd.nxt}
	f.loss.state, f.loss.high = cc.Recovery, c.snd.nxt
	f.cc.Congestion(&e)
	c.markLost(0)
	c.todo |= todoTLP
}

// onTimeout takes all that is in flight to be lost (RFC 5681, section 3.1).
func (c *Conn) onTimeout(now time.Duration) {
	f := c.fl
	e := cc.Event{Now: now, InFlight: uint32(c.snd.nxt - c.snd.una), SndNxt: c.snd.nxt, Repeated: c.snd.retrans > 1}
	for i := uint32(0); i < f.board.n; i++ {
		c.markLost(i)
	}
	f.loss.state, f.loss.high = cc.Loss, c.snd.nxt
	f.loss.hint = c.snd.una
	f.loss.dup = 0
	f.cc.Timeout(&e)
}

// buildRetransmission builds a segment again from the first record that is lost.
// ok is false if there is none.
func (c *Conn) buildRetransmission(now time.Duration, s *Segment) (done, ok bool) {
	f := c.fl
	b := &f.board
	i := b.find(max(f.loss.hint, c.snd.una))
	for i < b.n && b.at(i).flags&recLost == 0 {
		i++
	}
	if i == b.n {
		return false, false
	}
	inFlight := c.inFlight()
	if inFlight > 0 && inFlight+uint32(c.snd.mss) > c.cwnd() && c.todo&todoTLP == 0 {
		return false, true
	}
	c.todo &^= todoTLP
	mss := uint32(c.sendMSS())
	if b.at(i).n > mss {
		b.split(i, b.at(i).start+uint64(mss))
	}
	r := b.at(i)
	f.loss.hint = r.start
	data := int(min(r.end(), c.snd.q.End()) - r.start)
	var fl wire.TCPFlags
	if data > 0 {
		data = c.fill(s, r.start, data, int(mss))
	}
	if r.end() > c.snd.q.End() {
		fl |= wire.FIN
	}
	if r.start+uint64(data) == c.snd.q.End() && data > 0 {
		fl |= wire.PSH
	}
	c.header(now, s, r.start, fl)
	c.putUrgent(s, r.start)
	c.putECN(s, false)
	f.loss.lost -= r.n
	r.flags = r.flags&^recLost | recRetrans | recEver
	r.sent = min(r.sent+1, 255)
	f.rate.OnSend(&r.Stamp, now, inFlight, r.n)
	f.cc.Sent(now, inFlight, r.n)
	c.stats.retransSegs++
	c.stats.retransBytes += uint64(r.n)
	c.stats.bytesSent += uint64(data)
	c.pace(now, r.n)
	c.armRetransmit(now, false)
	return true, true
}
