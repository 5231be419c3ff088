package tcp

import (
	"time"

	"usock/cc"
	"usock/internal/timer"
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
	sacked    uint32 // bytes marked segSacked
	lost      uint32 // bytes marked segLost
	retrans   uint32 // bytes marked segRetrans
	reno      uint32 // bytes that duplicate ACKs say have left the network, without SACK
	seen      [4]span

	// Proportional rate reduction, in bytes.
	cwnd                        uint32 // the window in force; 0: the controller's
	prior, prrDelivered, prrOut uint32
	undoMarker                  uint64
	undoRetrans                 int32         // bytes sent again that no DSACK has answered
	firstResent                 time.Duration // when recovery first sent again; 0: not yet
}

func (l *loss) init(una uint64, reordering int) {
	l.reordering = uint16(reordering)
	l.steps = 1
	l.high, l.hint, l.next = una, una, una
	l.fack = una
}

// onAck takes an acknowledgment while data is in flight. update says that the window
// was taken from it: then it is no duplicate.
func (s *sender) onAck(t *tcb, now time.Duration, ack uint64, seg *Segment, update bool) {
	f := s.flight
	if f == nil {
		f = s.newFlight(t, now)
	}

	l := &f.loss

	// As things were before the acknowledgment: what controllers, PRR and the search for
	// reordering compare with.
	ece := seg.Flags&wire.ECE != 0 && t.flags&useECN != 0
	a := ackInfo{now: now, ece: ece, priorUna: s.una, priorFack: l.fack, reord: ^uint64(0)}
	priorInFlight := s.inFlight()

	// SACK blocks first: what they mark is not counted again when snd.una passes it.
	f.rate.Begin()
	if t.flags&useSACK != 0 && seg.Options.NSACK > 0 {
		s.takeSACK(t, now, ack, &seg.Options, &a)
	}

	if ack > s.una {
		s.advanceUna(t, now, ack, &a)
	} else {
		// All five conditions of a duplicate but the first, that data is in flight, which is so
		// here (RFC 5681 §2).
		a.duplicate = ack == s.una && seg.Len() == 0 && !update
	}

	// Neither news nor a duplicate: a window update, or an old segment.
	if a.acked == 0 && !a.dataSacked && !a.duplicate && !a.dsack && !a.ece {
		return
	}

	// RACK's steps 1 to 4 (RFC 8985 §6.2): the round trip and its minimum, what was delivered
	// last (done above, sent segment by sent segment), reordering, and how much of it to allow.
	rtt := s.takeRTT(t, now, seg, &a)
	if a.reord < a.priorFack && t.flags&useSACK != 0 {
		s.checkReordering(t, a.reord)
	}

	// The probe's outcome is judged before losses are detected, which would forget it.
	if l.tlpHigh != 0 {
		s.ackTLP(t, now, ack, &a)
	}

	sample := f.rate.Sample(t.rtt.least())

	// A rate that the program has limited is a lower bound only.
	if r := sample.BytesPerSecond(); r > 0 && (!sample.AppLimited || r >= f.delivery) {
		f.delivery, f.deliveryLimited = r, sample.AppLimited
	}
	l.adaptReoWnd(sample.Total, sample.PriorDelivered)

	// Step 5 is in here: it detects losses, and the state follows.
	s.advanceRecovery(t, now, &a)

	// The controller hears of the acknowledgment as a whole, in the state that it led to. What
	// it answers with is the aim; while a reduction lasts, PRR approaches it.
	told := &f.told
	*told = cc.Ack{
		Now: now, RTT: rtt, SRTT: t.rtt.smoothed(), MinRTT: t.rtt.least(),
		Delivered: a.delivered, Acked: a.acked, Lost: a.lost,
		PriorInFlight: priorInFlight, InFlight: s.inFlight(),
		SndUna: s.una, SndNxt: s.nxt, State: l.state,
		CWndLimited: f.use.Limited(f.cc), CWndFull: f.use.Full(), ECE: ece,
		Reordering: int(l.reordering) > t.cfg.Reordering,
		Rate:       sample,
	}
	f.cc.Ack(told)
	if l.cwnd != 0 {
		s.prr(&a, told.InFlight)
	}

	if t.cfg.Trace != 0 && a.acked > 0 {
		s.tellAcked(t, a.priorUna, a.acked, rtt)
	}
	s.afterAck(t, now, &a)
}

// afterAck sets the timer and tells the program about room.
func (s *sender) afterAck(t *tcb, now time.Duration, a *ackInfo) {
	l := &s.flight.loss

	// Progress: timeouts and probes count anew, and the timer runs anew (RFC 6298 §5.3).
	if a.acked > 0 {
		if t.lazy != nil {
			s.forgetRecords(t)
		}
		s.retrans, s.probes = 0, 0
		t.timer.since = timer.Never
		s.armRetransmit(t, now, true)

		// Only a program that has found no room waits for it.
		if t.flags&noSpace != 0 && t.shut&shutWrite == 0 && s.writable(t) {
			t.flags &^= noSpace
			t.events |= wait.Out
		}

		s.tuneSndBuf(t)
		s.ackedMTUProbe(t, now)
	}

	// Who holds the stream up is accounted for from here: the program, or the send buffer
	// (tcp_info's busy, rwnd_limited and sndbuf_limited).
	switch {
	case s.una == s.sndEnd(t):
		s.flight.chrono.set(now, chronoIdle)
	case s.nxt == s.sndEnd(t) && t.flags&noSpace != 0:
		s.flight.chrono.set(now, chronoBuffer)
	}

	if s.una == s.nxt {
		// Nothing is in flight: nothing can be SACKed, and duplicates count anew.
		l.seen = [4]span{}
		l.reno, l.dup = 0, 0
		return
	}

	// What is not lost yet may be later, without a further acknowledgment (RFC 8985 §6.2 step
	// 5).
	if a.wait > 0 {
		s.armReorder(t, now, a.wait)
	}
	if a.acked > 0 && s.flight.scoreboard.n > 0 && s.flight.scoreboard.at(s.flight.scoreboard.first()).flags&segSacked != 0 {
		// The peer has SACKed what it now asks for: it reneged (RFC 2018 §8), or an ACK is late.
		// Half a round trip lets the late one come; after that the timeout believes no SACK
		// (Linux, tcp_check_sack_reneging).
		t.timer.rtx, t.timer.kind = now+max(t.rtt.smoothed()/2, 10*time.Millisecond), rtxRTO
	}
}

// advanceUna takes what is newly acknowledged off the scoreboard and the queue.
func (s *sender) advanceUna(t *tcb, now time.Duration, ack uint64, a *ackInfo) {
	f := s.flight
	b, l := &f.scoreboard, &f.loss
	for b.n > 0 {
		r := b.at(b.first())
		if r.start >= ack {
			break
		}

		n := uint32(min(r.end(), ack) - r.start)
		s.ackedSegment(t, now, r, n, a)

		// Part of a sent segment: the peer acknowledges what it has been sent in smaller
		// pieces.
		if r.end() > ack {
			r.segs = uint8((uint64(r.segs)*uint64(r.n-n) + uint64(r.n) - 1) / uint64(r.n))
			r.start += uint64(n)
			r.n -= n
			break
		}
		b.popFront()
	}

	a.acked = uint32(ack - s.una)
	t.stats.bytesAcked += uint64(a.acked)
	s.una = ack
	s.q.Drop(min(ack, s.q.End()))

	// The cursors stay inside the scoreboard, and duplicates in a row (RFC 5681 §2) end with
	// news.
	l.hint = max(l.hint, ack)
	l.fack = max(l.fack, ack)
	l.dup = 0

	// Without SACK the duplicates have said that as many segments have left, which now turn out
	// to be those acknowledged, but the one that was missing (RFC 6582 §3.2 step 3).
	if l.reno > 0 {
		told := min(l.reno, a.acked-min(a.acked, uint32(s.mss)))
		l.reno -= told
		a.delivered -= min(told, a.delivered)
	}
}

// ackedSegment takes n bytes off the front of a sent segment.
func (s *sender) ackedSegment(t *tcb, now time.Duration, r *sentSegment, n uint32, a *ackInfo) {
	f := s.flight
	l := &f.loss
	if r.sent > 1 {
		a.retransAck = true
		if r.flags&segRetrans != 0 {
			l.retrans -= n
		}
	}

	// Counted as delivered when it was SACKed.
	if r.flags&segSacked != 0 {
		l.sacked -= n
		return
	}

	a.delivered += n
	if r.flags&segLost != 0 {
		l.lost -= n
	}

	// A first transmission tells the round trip without doubt (Karn, RFC 6298 §3), and shows
	// reordering if it comes behind what was SACKed, or a needless timeout if it is from before
	// that (RFC 5682 §3.1).
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

	l.rackUpdate(now, r, r.start+uint64(n), t.rtt.least())

	// A copy for each part: what is left of the segment is to be counted with the time it was
	// sent, too.
	stamp := r.Stamp
	stamp.Narrow(r.n - n)
	f.rate.OnDelivered(&stamp, now, n, r.sent > 1)
	if n == r.n {
		r.Stamp = stamp
	}
}

// markLost marks the sent segment at i lost and returns its bytes if it was not before.
func (s *sender) markLost(t *tcb, now time.Duration, i place, why trace.Why) uint32 {
	f := s.flight
	r := f.scoreboard.at(i)
	r.why = why
	if r.flags&(segLost|segSacked) != 0 {
		return 0
	}

	// Lost again: it is no longer in flight a second time.
	if r.flags&segRetrans != 0 {
		f.loss.retrans -= r.n

		// A probe was no repair of a loss, and none is lost again with it.
		if l := &f.loss; !l.tlpRetrans || l.tlpHigh != r.end() || r.sent > 2 {
			inc(&t.count().TCPLostRetransmit)
		}
	}

	// From here on it is not in flight, until it is sent again: inFlight and PRR go by these
	// counts (RFC 6675 §4, SetPipe).
	r.flags = r.flags&^segRetrans | segLost
	f.loss.lost += r.n
	l := f.rate.OnLost(&r.Stamp, r.n)
	// What the path does not carry for its size, and what a server left of the SYN's data, says
	// nothing about how much is in the path.
	if o, ok := f.cc.(cc.LossObserver); ok && why != trace.ByMTU && why != trace.ByHandshake && !s.isMTUProbe(t, r) {
		l.Now, l.Start, l.SACK = now, r.start, t.flags&useSACK != 0
		o.Lost(l)
	}
	f.loss.hint = min(f.loss.hint, r.start)

	if t.cfg.Trace != 0 {
		t.tellLost(r, why)
	}
	return r.n
}

// markFirst marks the first segment lost, for a peer without SACK.
func (s *sender) markFirst(t *tcb, now time.Duration, a *ackInfo) {
	b := &s.flight.scoreboard
	if b.n == 0 {
		return
	}

	// Duplicates tell of one hole, at snd.una. Of what lies behind it nothing is known: one
	// segment is taken to be lost, and the next partial acknowledgment shows the next one (RFC
	// 6582 §3.2 step 3).
	p := b.first()
	if mss := uint32(s.mss); b.at(p).n > mss {
		p = b.split(p, b.at(p).start+uint64(mss))
	}
	a.lost += s.markLost(t, now, p, trace.ByDuplicates)
}
