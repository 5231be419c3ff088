package tcp

import (
	"time"

	"usock/internal/cc"
	"usock/internal/wait"
	"usock/internal/wire"
	"usock/trace"
)

// Loss recovery. States and what leads from one to the next:
//
//	       lost range found            RTO
//	Open ------------------> Recovery -----> Loss
//	  | ECE                     |             |
//	  v                         | una >= high |
//	 CWR -- una >= high --> Open <------------'
//
// high is snd.nxt when the state was entered. In Recovery and CWR proportional
// rate reduction (RFC 6937) leads the window to what the controller aims at; in
// Loss the controller starts slowly. Recovery and Loss are undone if they turn out
// to have been needless: the acknowledgment is of a first transmission by its
// timestamp (RFC 3522) or by F-RTO (RFC 5682), or DSACKs answer all that was sent
// again (RFC 3708).

// loss is the state of loss detection and recovery.
type loss struct {
	rack
	state     cc.State
	frto      bool   // a timeout may have been spurious: RFC 5682 is at step 2 or 3
	preferNew bool   // new data goes before retransmissions (RFC 5682, step 2b)
	undo      bool   // undoMarker and undoRetrans are set
	dup       uint8  // duplicate acknowledgments in a row
	high      uint64 // recovery point
	hint      uint64 // nothing below is marked lost
	fack      uint64 // behind the highest byte SACKed
	sacked    uint32 // bytes marked recSacked
	lost      uint32 // bytes marked recLost
	retrans   uint32 // bytes marked recRetrans
	reno      uint32 // bytes that duplicate ACKs say have left the network, without SACK
	seen      [4]span

	// Proportional rate reduction, in bytes.
	cwnd                        uint32 // the window in force; 0: the controller's
	prior, prrDelivered, prrOut uint32
	undoMarker                  uint64
	undoRetrans                 int32         // bytes sent again that no DSACK has answered
	firstResent                 time.Duration // when recovery first sent again; 0: not yet
}

func (l *loss) init(c *Conn) {
	l.reordering = uint16(c.cfg.Reordering)
	l.steps = 1
	l.high, l.hint, l.next = c.snd.una, c.snd.una, c.snd.una
	l.fack = c.snd.una
}

// onAck takes an acknowledgment while data is in flight. update says that the window
// was taken from it: then it is no duplicate.
func (c *Conn) onAck(now time.Duration, ack uint64, s *Segment, update bool) {
	f := c.fl
	if f == nil {
		f = c.newFlight(now)
	}
	l := &f.loss
	ece := s.Flags&wire.ECE != 0 && c.flags&useECN != 0
	a := ackInfo{now: now, ece: ece, priorUna: c.snd.una, priorFack: l.fack, reord: ^uint64(0)}
	priorInFlight := c.inFlight()
	f.rate.Begin()
	if c.flags&useSACK != 0 && s.Options.NSACK > 0 {
		c.takeSACK(now, max(ack, c.snd.una), &s.Options, &a)
	}
	if ack > c.snd.una {
		c.advanceUna(now, ack, &a)
	} else {
		a.duplicate = ack == c.snd.una && s.Len() == 0 && !update
	}
	if a.acked == 0 && !a.dataSacked && !a.duplicate && !a.dsack && !a.ece {
		return
	}
	rtt := c.takeRTT(now, s, &a)
	if a.reord < a.priorFack && c.flags&useSACK != 0 {
		c.checkReordering(a.reord)
	}
	if l.tlpHigh != 0 {
		c.ackTLP(now, ack, &a)
	}
	sample := f.rate.Sample(c.rtt.least())
	if r := sample.BytesPerSecond(); r > 0 && (!sample.AppLimited || r >= f.delivery) {
		f.delivery, f.deliveryLimited = r, sample.AppLimited
	}
	l.adaptReoWnd(sample.Total, sample.PriorDelivered)
	c.alert(now, &a)
	told := &f.told
	*told = cc.Ack{
		Now: now, RTT: rtt, SRTT: c.rtt.smoothed(), MinRTT: c.rtt.least(),
		Delivered: a.delivered, Acked: a.acked, Lost: a.lost,
		PriorInFlight: priorInFlight, InFlight: c.inFlight(),
		SndUna: c.snd.una, SndNxt: c.snd.nxt, State: l.state,
		CWndLimited: f.use.Limited(f.cc), ECE: ece,
		Rate: sample,
	}
	f.cc.Ack(told)
	if l.cwnd != 0 {
		c.prr(&a, told.InFlight)
	}
	if c.cfg.Trace != nil && a.acked > 0 {
		c.tellAcked(a.priorUna, a.acked, rtt)
	}
	c.afterAck(now, &a)
}

// afterAck sets the timer and tells the program about room.
func (c *Conn) afterAck(now time.Duration, a *ackInfo) {
	l := &c.fl.loss
	if a.acked > 0 {
		c.snd.retrans, c.snd.probes = 0, 0
		c.timer.since = 0
		c.armRetransmit(now, true)
		if c.flags&noSpace != 0 && c.shut&shutWrite == 0 && c.writable() {
			c.flags &^= noSpace
			c.events |= wait.Out
		}
		c.tuneSndBuf()
		c.ackedMTUProbe(now)
	}
	switch {
	case c.snd.una == c.sndEnd():
		c.fl.chrono.set(now, chronoIdle)
	case c.snd.nxt == c.sndEnd() && c.flags&noSpace != 0:
		c.fl.chrono.set(now, chronoBuffer)
	}
	if c.snd.una == c.snd.nxt {
		l.seen = [4]span{}
		l.reno, l.dup = 0, 0
		return
	}
	if a.wait > 0 {
		c.armReorder(now, a.wait)
	}
	if a.acked > 0 && c.fl.board.n > 0 && c.fl.board.at(0).flags&recSacked != 0 {
		// The peer has SACKed what it now asks for: it reneged, or an ACK is late.
		c.timer.rtx, c.timer.kind = now+max(c.rtt.smoothed()/2, 10*time.Millisecond), rtxRTO
	}
}

// advanceUna takes what is newly acknowledged off the board and the queue.
func (c *Conn) advanceUna(now time.Duration, ack uint64, a *ackInfo) {
	f := c.fl
	b, l := &f.board, &f.loss
	for b.n > 0 {
		r := b.at(0)
		if r.start >= ack {
			break
		}
		n := uint32(min(r.end(), ack) - r.start)
		c.ackedRec(now, r, n, a)
		if r.end() > ack {
			r.start += uint64(n)
			r.n -= n
			break
		}
		b.popFront()
	}
	a.acked = uint32(ack - c.snd.una)
	c.stats.bytesAcked += uint64(a.acked)
	c.snd.una = ack
	c.snd.q.Drop(min(ack, c.snd.q.End()))
	l.hint = max(l.hint, ack)
	l.fack = max(l.fack, ack)
	l.dup = 0
	if l.reno > 0 {
		told := min(l.reno, a.acked-min(a.acked, uint32(c.snd.mss)))
		l.reno -= told
		a.delivered -= min(told, a.delivered)
	}
}

// ackedRec takes n bytes off the front of a record.
func (c *Conn) ackedRec(now time.Duration, r *rec, n uint32, a *ackInfo) {
	f := c.fl
	l := &f.loss
	if r.sent > 1 {
		a.retransAck = true
		if r.flags&recRetrans != 0 {
			l.retrans -= n
		}
	}
	if r.flags&recSacked != 0 {
		l.sacked -= n
		return
	}
	a.delivered += n
	if r.flags&recLost != 0 {
		l.lost -= n
	}
	if r.sent == 1 {
		a.lastSent = r.Sent
		if !a.haveAcked {
			a.haveAcked, a.firstSent = true, r.Sent
		}
		if r.start < l.fack {
			a.reord = min(a.reord, r.start)
		}
		if r.end() <= l.high {
			a.origAcked = true
		}
	}
	l.rackAdvance(now, r, r.start+uint64(n), c.rtt.least())
	stamp := r.Stamp
	f.rate.OnDelivered(&stamp, now, n, r.sent > 1)
	if n == r.n {
		r.Stamp = stamp
	}
}

// takeRTT samples the round trip by what was acknowledged, not by what was sent
// twice (Karn), unless timestamps tell which transmission arrived. It returns the
// newest sample, for the controller.
func (c *Conn) takeRTT(now time.Duration, s *Segment, a *ackInfo) time.Duration {
	rto, newest := time.Duration(-1), time.Duration(0)
	switch {
	case a.haveAcked && !a.retransAck:
		rto, newest = now-a.firstSent, now-a.lastSent
	case a.haveSacked:
		rto = now - a.sackSent
		newest = rto
	case c.flags&useTS != 0 && s.Options.HasTimestamp && s.Options.TSEcr != 0 && a.acked > 0:
		d := int32(c.tsNow(now) - s.Options.TSEcr)
		if d >= 0 {
			rto = max(time.Duration(d)*time.Millisecond, time.Millisecond)
			newest = rto
		}
	}
	if rto < 0 {
		return 0
	}
	c.sampleRTT(now, rto)
	return max(newest, 1)
}

// sampleRTT takes a measurement of the round trip.
func (c *Conn) sampleRTT(now, m time.Duration) {
	if m < 0 {
		return
	}
	c.rtt.sample(now, m, c.snd.una, c.snd.nxt, uint32(c.cfg.MinRTO/time.Microsecond))
	c.rtt.setRTO(c.cfg)
}

// markLost marks the record i lost and returns its bytes if it was not before.
func (c *Conn) markLost(i uint32, why trace.Why) uint32 {
	f := c.fl
	r := f.board.at(i)
	if r.flags&(recLost|recSacked) != 0 {
		return 0
	}
	if r.flags&recRetrans != 0 {
		f.loss.retrans -= r.n
	}
	r.flags = r.flags&^recRetrans | recLost
	f.loss.lost += r.n
	f.rate.OnLost(r.n)
	f.loss.hint = min(f.loss.hint, r.start)
	if c.cfg.Trace != nil {
		c.tellLost(r, why)
	}
	return r.n
}

// markFirst marks the first segment lost, for a peer without SACK.
func (c *Conn) markFirst(a *ackInfo) {
	b := &c.fl.board
	if b.n == 0 {
		return
	}
	if mss := uint32(c.snd.mss); b.at(0).n > mss {
		b.split(0, b.at(0).start+uint64(mss))
	}
	a.lost += c.markLost(0, trace.ByDuplicates)
}
