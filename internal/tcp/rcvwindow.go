package tcp

import "time"

// The receive window. Half of the buffer's memory is window: a segment's block may
// be up to twice as large as its data. What is advertised grows from the initial
// window as full segments arrive, and the buffer by dynamic right-sizing: twice
// what the program reads in a round trip.

// window returns RCV.WND: what of the advertised window is left.
func (r *receiver) window() uint32 {
	if r.adv <= r.nxt {
		return 0
	}
	return uint32(r.adv - r.nxt)
}

// space returns how many bytes the buffer could take behind those in order. What
// came out of order takes up window that is promised already: it is bounded by it,
// and does not reduce it.
func (r *receiver) space() uint32 {
	return uint32(max(int(r.bufSize/2)-r.q.Len(), 0))
}

// wouldAdvertise returns the window for the next segment, before the rule that it
// must not shrink (RFC 9293 §3.8.6.2.2, and Linux's rounding).
func (r *receiver) wouldAdvertise(t *tcb) uint32 {
	full := r.bufSize / 2
	if w := t.opt.WindowClamp; w != 0 {
		full = min(full, w)
	}

	// What would be dropped is not asked for.
	if !r.mayHold(t) {
		return 0
	}

	free := min(r.space(), full)
	mss := min(uint32(r.mss), full)

	// The program does not keep up. A window that could not even hold one segment is no window
	// (RFC 9293 §3.8.6.2.2), nor is a sixteenth of the buffer (Linux).
	if free < full/2 {
		r.ack.quick = 0
		if t.cfg.Memory.pressed() {
			r.ssthresh = min(r.ssthresh, 4*uint32(r.advMSS))
		}
		free = free >> r.wscale << r.wscale
		if free < full>>4 || free < mss {
			return 0
		}
	}

	free = min(free, r.ssthresh)

	// Rounded up to the unit: what is cut off would be a window that seems to shrink.
	if r.wscale > 0 {
		unit := uint32(1) << r.wscale
		return (free + unit - 1) &^ (unit - 1)
	}

	// Without scaling the edge moves by whole segments, or by half of the buffer (RFC 9293
	// §3.8.6.2.2: silly window syndrome).
	w := r.window()
	if w+mss <= free || w > free {
		w = free - free%max(mss, 1)
	} else if mss == full && free > w+full/2 {
		w = free
	}

	return min(w, 65535)
}

// advertise chooses the window of a segment that leaves and returns the header's
// field. The right edge never moves back (RFC 9293 §3.8.6).
func (r *receiver) advertise(t *tcb, now time.Duration) uint16 {
	if t.flags&noMemory != 0 {
		t.flags &^= noMemory
		r.takeBack(t)
		return 0
	}

	cur, w := r.window(), r.wouldAdvertise(t)
	unit := uint32(1)<<r.wscale - 1

	// What was offered stays offered, rounded up to the unit: shrinking is strongly discouraged
	// (RFC 9293 §3.8.6).
	if w < cur {
		w = (cur + unit) &^ unit
	}

	if r.wscale == 0 {
		w = min(w, 65535)
	} else {
		w = min(w, 65535<<r.wscale)
	}

	// Behind a FIN there is nothing to come.
	if t.flags&finRcvd == 0 {
		r.adv = max(r.adv, r.nxt+uint64(w))
	}

	return uint16(w >> r.wscale)
}

// takeBack closes the window that was offered, and remembers it.
func (r *receiver) takeBack(t *tcb) {
	if r.adv <= r.nxt {
		return
	}
	b := &t.makeLazy().tookBack
	if r.nxt > b.end {
		*b = span{r.nxt, r.adv}
	}
	b.end = max(b.end, r.adv)
	r.adv = r.nxt
}

// heardBehind reports whether a segment from seq to end, which has been received, may be of a peer that has not
// heard of that since the window was taken back: its acknowledgments are numbered from where it believes that the
// window ends (acceptableSeq). Where both ends have taken their windows back neither would hear the other again
// (RFC 9293 §3.10.7.4: valid ACKs are taken while the window is closed; RFC 7323 §2.4). What has been received
// from beyond that window shows that the peer has heard of a later one.
func (r *receiver) heardBehind(t *tcb, seq, end uint64) bool {
	if t.lazy == nil {
		return false
	}
	b := &t.lazy.tookBack
	return r.nxt <= b.end && end >= b.start && seq <= r.nxt
}

// growWindow lets the advertised window grow as data arrives, by two segments for
// each full one. The sender is told of it at once (Linux, tcp_grow_window).
func (r *receiver) growWindow(t *tcb, n int) {
	if t.cfg.Memory.pressed() {
		return
	}

	full := r.bufSize / 2
	if w := t.opt.WindowClamp; w != 0 {
		full = min(full, w)
	}

	room := min(full, r.space())

	// At least as fast as a sender in slow start: the receiver must not be what holds it back
	// (Linux, tcp_grow_window).
	if r.ssthresh < room {
		r.ssthresh = min(room, r.ssthresh+2*max(uint32(n), uint32(r.advMSS)))
		r.ack.quick = max(r.ack.quick, 1)
	}
}

// windowCame reports whether the window that is measured has come, or none is measured yet.
func (r *receiver) windowCame() bool {
	return r.rttAt == 0 || int32(uint32(r.nxt)-r.rttSeq) >= 0
}

// measureRTT estimates the round trip from the receiver's side: the shortest time in which
// one window of data arrives. trip is how long the last one was at least, as timestamps say; 0: they say nothing.
// It is called when windowCame.
func (r *receiver) measureRTT(now, trip time.Duration) {
	if r.rttAt != 0 {
		// The shortest time counts: a program that reads slowly makes windows take longer than the
		// path does.
		took := min(max(now-r.rttAt, time.Microsecond), longestTrip)
		if us := uint32(took/time.Microsecond) << 3; r.rtt == 0 || us < r.rtt {
			r.rtt = us
		} else {
			r.lengthenRTT(took, min(trip, longestTrip))
		}
	}
	r.rttWnd = r.window()
	r.rttSeq, r.rttAt = uint32(r.nxt)+r.rttWnd, now
}

// longestTrip is more than any round trip, and fits in receiver.rtt.
const longestTrip = 8 * time.Minute

// lengthenRTT lets the round trip become longer, where a window took as long to arrive as trip: the window holds the peer
// back, and what is read in the time of a shorter path would not let it grow (Linux, tcp_rcv_rtt_measure_ts). But a queue, too, lengthens
// the trip, and would grow with the window: only where a larger window has brought more, or comes less than before, is it the path.
func (r *receiver) lengthenRTT(took, trip time.Duration) {
	us := uint32(trip/time.Microsecond) << 3
	if us <= r.rtt+r.rtt/8 || took > trip+trip/8+2*time.Millisecond {
		return
	}
	rate := uint32(uint64(r.rttWnd) * uint64(time.Millisecond) / uint64(took))
	if rate >= r.rttRate-r.rttRate/4 && rate <= r.rttRate+r.rttRate/8 {
		return
	}
	r.rttRate = rate
	r.rtt += (us - r.rtt) / 8
}

// readSome is called when the program has read n bytes.
func (r *receiver) readSome(t *tcb, now time.Duration, n int) {
	r.rightSize(t, now)
	r.readUrgentPassed(t)

	// A peer that has ended wants no window.
	if t.flags&finRcvd != 0 || t.state == Closed {
		return
	}

	// A program that has read all it was sent is likely to answer next; else the peer waits for
	// this acknowledgment (Linux, tcp_cleanup_rbuf).
	if r.ack.owed && (r.nxt-r.lastAck > uint64(r.mss) ||
		r.q.Len() == 0 && (r.ack.pushed > 1 || r.ack.pushed == 1 && !r.ack.pingpong)) {
		t.ackNow()
		return
	}
	// A window that at least doubles is worth telling.
	cur := r.window()
	if w := t.opt.WindowClamp; w != 0 && cur > w/2 || cur > r.bufSize/4 {
		return
	}

	if w := r.wouldAdvertise(t); w > 0 && w >= 2*cur {
		t.ackNow()
	}
}

// rightSize grows the buffer to twice what the program reads in a round trip, and
// sixteen segments (Linux's dynamic right-sizing).
func (r *receiver) rightSize(t *tcb, now time.Duration) {
	rt := t.rtt.smoothed()
	if r.rtt != 0 {
		rt = time.Duration(r.rtt>>3) * time.Microsecond
	}

	// What was read in less than a round trip says nothing of what a window should hold.
	if rt == 0 || now-r.drsAt < rt {
		return
	}

	if copied := r.q.Base() - r.drsSeq; copied > uint64(r.drsSpace) {
		r.growRcvBuf(t, copied, rt)
	}

	r.drsSeq, r.drsAt = r.q.Base(), now
}

// peerInitialCwnd is how many segments are expected of a peer's first round trip (RFC 6928): what reading is compared with at first
// (Linux, TCP_INIT_CWND), so that the buffer grows before a peer in slow start has filled it.
const peerInitialCwnd = 10

// longTrip is from when on a round trip is worth a buffer that holds more than what is read takes. In a shorter one, as on the
// loopback interface, that costs more than it gains: what waits in it is in no cache when it is read.
const longTrip = time.Millisecond

// nearLead is the most that a buffer has over what is read in a short round trip: two of the largest segments, one that is read while
// the other comes. Sixteen of the loopback interface's would be a megabyte.
const nearLead = 128 << 10

// growRcvBuf lets the buffer hold twice what was read in a round trip and sixteen segments, twice that
// once more for as much as it grew, to its double at most, where it is long, and what is out of order besides: while a hole
// is filled the peer shall go on at its rate.
func (r *receiver) growRcvBuf(t *tcb, space uint64, rt time.Duration) {
	old := uint64(max(r.drsSpace, 1))
	r.drsSpace = uint32(min(space, 1<<30))
	if t.flags&fixedRcv != 0 || t.cfg.Memory.pressed() {
		return
	}

	// Twice what is read in a round trip, as the sender doubles in slow start. What has been read is what it sent a round trip
	// ago, and grows by another one until the window is known to it (Linux, tcp_rcv_space_adjust). No sender more than doubles: what seems
	// to have was read in more than a round trip.
	lead := 16 * uint64(r.advMSS)
	if rt < longTrip {
		lead = min(lead, nearLead)
	}
	want := 2*space + lead
	if rt >= longTrip {
		want += 2 * want * min(space-min(space, old), old) / old
	}

	if r.ooo != nil && !r.ooo.q.Empty() {
		want += r.ooo.q.End() - r.nxt
	}

	r.bufSize = max(r.bufSize, uint32(min(2*want, uint64(t.cfg.RMem[2]))))
}
