package tcp

import (
	"sync"
	"time"

	"usock/internal/buf"
	"usock/internal/cc"
	"usock/internal/wire"
	"usock/trace"
)

// Poll builds the next segment into *s, or declines. It is the only builder of
// segments, and there is no other function that asks whether there is something
// to send. The views of s.Data have references for the caller; what *s held
// before is overwritten.
func (c *Conn) Poll(now time.Duration, s *Segment) bool {
	if c.todo == 0 && c.idle() {
		return false
	}
	*s = Segment{}
	if c.todo&todoReset != 0 {
		c.buildReset(now, s)
		return true
	}
	switch c.state {
	case Closed:
		return false
	case SynSent, SynRcvd:
		if c.todo&todoSYN != 0 {
			c.buildSYN(now, s)
			return true
		}
		if c.state == SynSent || !c.fastOpened() {
			return c.state == SynRcvd && c.buildAck(now, s)
		}
	}
	if c.buildData(now, s) {
		return true
	}
	return c.buildAck(now, s)
}

// idle reports that there is neither data nor a FIN that was not sent, nor
// anything lost.
func (c *Conn) idle() bool {
	return c.snd.nxt >= c.sndEnd() && (c.fl == nil || c.fl.loss.lost == 0)
}

// sndEnd returns the offset behind everything there is to send, the FIN included.
func (c *Conn) sndEnd() uint64 {
	if c.flags&finQueued != 0 {
		return c.snd.q.End() + 1
	}
	return c.snd.q.End()
}

// buildAck builds a segment without data, if one is due: an acknowledgment or a
// probe.
func (c *Conn) buildAck(now time.Duration, s *Segment) bool {
	switch {
	case c.todo&todoProbe != 0:
		// An old number makes the peer acknowledge (RFC 9293, section 3.8.4).
		c.todo &^= todoProbe
		c.header(now, s, c.snd.una-1, 0)
	case c.todo&todoAck != 0:
		c.header(now, s, c.acceptableSeq(), 0)
		if c.state == SynRcvd {
			s.Window = uint16(min(c.rcv.ssthresh, 65535))
		}
	default:
		return false
	}
	c.putECN(s, false)
	return true
}

// buildData builds a segment with data or a FIN: first what is lost, then what is
// new.
func (c *Conn) buildData(now time.Duration, s *Segment) bool {
	end := c.sndEnd()
	if c.snd.una >= end {
		return false
	}
	f := c.fl
	if f == nil {
		f = c.newFlight(now)
	}
	if c.timer.pace > now && c.timer.pace != never && c.todo&(todoRtx|todoTLP) == 0 {
		return false
	}
	if f.loss.lost > 0 {
		if done, ok := c.buildRetransmission(now, s); ok {
			return done
		}
	}
	c.todo &^= todoRtx
	if c.snd.nxt >= end {
		if c.todo&todoTLP != 0 {
			return c.buildProbe(now, s)
		}
		return false
	}
	if c.todo&todoTLP != 0 {
		c.todo |= todoForce
	}
	n, full, probe := c.sendable(now)
	inFlight := c.inFlight()
	if n < 0 {
		c.todo &^= todoForce
		if c.todo&todoTLP != 0 && c.snd.una != c.snd.nxt {
			return c.buildProbe(now, s)
		}
		f.use.Sent(c.snd.una, c.snd.nxt, inFlight, full)
		if !full && c.snd.una+uint64(c.snd.wnd) < min(c.snd.q.End(), c.snd.nxt+uint64(c.snd.mss)) {
			f.chrono.set(now, chronoWindow)
		}
		if c.snd.una == c.snd.nxt {
			c.armProbe(now)
		}
		return false
	}
	c.restart(now)
	c.sendNew(now, s, n, probe)
	return true
}

// none is what sendable returns where nothing may be sent.
const none = -1

// sendable returns how many bytes of new data one segment may carry now: 0 for a FIN
// alone, or none. full says that the congestion window alone forbids more, and
// probe that the segment is larger than the MSS to try the path.
func (c *Conn) sendable(now time.Duration) (n int, full, probe bool) {
	q := &c.snd.q
	mss := uint64(c.sendMSS())
	avail := q.End() - c.snd.nxt
	force := c.todo&todoForce != 0
	edge := c.snd.una + uint64(c.snd.wnd)
	if edge < c.snd.nxt {
		edge = c.snd.nxt
	}
	room := edge - c.snd.nxt
	if avail == 0 {
		// The FIN alone needs room in the window, but none in cwnd.
		if room == 0 && !force {
			return none, false, false
		}
		return 0, false, false
	}
	if room < min(mss, avail) && !(force && room > 0) {
		return none, false, false
	}
	limit := min(avail, room, uint64(max(c.snd.maxSeg, uint32(mss))))
	cwnd, inFlight := uint64(c.cwnd()), uint64(c.inFlight())
	if !force {
		if inFlight+min(avail, mss) > cwnd && inFlight > 0 {
			return none, true, false
		}
		limit = min(limit, max(cwnd-min(cwnd, inFlight), mss))
		limit = min(limit, c.burst())
	}
	if c.rare != nil {
		if size := c.probeSize(now, avail, room); size != 0 {
			return int(size), false, true
		}
	}
	if limit > mss {
		limit = c.wholeSegments(limit, avail, mss)
	}
	if limit < mss && !force && !c.allowSmall(limit, avail) {
		return none, false, false
	}
	return int(limit), false, false
}

// wholeSegments cuts a large segment at a multiple of the MSS, unless it takes all
// there is and may end in a small one.
func (c *Conn) wholeSegments(limit, avail, mss uint64) uint64 {
	rest := limit % mss
	if rest == 0 || limit == avail && c.allowSmall(rest, rest) {
		return limit
	}
	return limit - rest
}

// allowSmall is Nagle's rule in Minshall's form (RFC 1122, section 4.2.3.4): a
// segment below the MSS may leave if it is the last data before a FIN, if the
// program asked for no delay, or if no other small segment is in flight. A cork
// holds it back in any case.
func (c *Conn) allowSmall(n, avail uint64) bool {
	if n < avail {
		return false
	}
	if c.flags&finQueued != 0 {
		return true
	}
	if c.opt.Cork {
		return c.todo&todoPush != 0
	}
	return c.opt.NoDelay || c.todo&todoPush != 0 || c.snd.small <= c.snd.una
}

// sendMSS is the MSS less what SACK blocks take of it, but no more than half of
// the largest window the peer has offered (RFC 1122, section 4.2.3.4: small
// windows).
func (c *Conn) sendMSS() uint32 {
	mss := max(uint32(c.snd.mss), 8+c.sackLen()) - c.sackLen()
	if w := c.snd.maxWnd; w > 0 {
		if w > 536 {
			w >>= 1
		}
		if mss > w {
			mss = max(w, 68-20-uint32(c.optionLen()))
		}
	}
	return mss
}

// inFlight is what the network is believed to hold: "pipe" of RFC 6675, in bytes.
func (c *Conn) inFlight() uint32 {
	n := uint32(c.snd.nxt - max(c.snd.una, origin+1))
	if f := c.fl; f != nil {
		n -= f.loss.sacked + f.loss.lost
		n -= min(n, f.loss.reno)
	}
	return n
}

// sendNew builds a segment with n bytes of new data, and the FIN behind the last.
func (c *Conn) sendNew(now time.Duration, s *Segment, n int, probe bool) {
	q := &c.snd.q
	start := c.snd.nxt
	mss := int(c.sendMSS())
	if probe {
		mss = n
	}
	if n > 0 {
		n = c.fill(s, start, n, mss)
	}
	var fl wire.TCPFlags
	if start+uint64(n) == q.End() {
		if n > 0 {
			fl |= wire.PSH
			c.todo &^= todoPush
		}
		if c.flags&finQueued != 0 && c.finFits(n) {
			fl |= wire.FIN
		}
	}
	if n > mss || n > 0 && c.todo&todoForce != 0 {
		fl |= wire.PSH // as Linux does: the peer shall not wait for more
	}
	c.header(now, s, start, fl)
	if n > mss {
		s.SegmentSize = uint16(mss)
	}
	c.putUrgent(s, start)
	c.putECN(s, true)
	size := uint32(n)
	if fl&wire.FIN != 0 {
		size++
	}
	inFlight := c.inFlight()
	f := c.fl
	f.cc.Sent(now, inFlight, size)
	f.chrono.set(now, chronoBusy)
	c.record(now, start, size, inFlight)
	if probe {
		c.probed(start, uint32(n))
	}
	c.snd.nxt = start + uint64(size)
	if n > 0 {
		if n%mss != 0 {
			c.snd.small = c.snd.nxt
		}
		c.stats.dataOut++
		c.stats.bytesSent += uint64(n)
		c.dataSent(now)
	}
	if f.loss.cwnd != 0 {
		f.loss.prrOut += size
	}
	if c.todo&todoTLP != 0 {
		f.loss.tlpHigh, f.loss.tlpRetrans = c.snd.nxt, false
	}
	c.todo &^= todoForce | todoProbe | todoTLP
	// Where data is left, Poll says next what forbids it. The last data may fill the
	// window, too: that lets it grow (Linux), but says nothing to a controller that goes
	// by rates.
	full := c.snd.nxt == q.End() && inFlight+size+uint32(mss) > c.cwnd() && !f.cc.OwnsRecovery()
	f.use.Sent(c.snd.una, c.snd.nxt, inFlight+size, full)
	c.pace(now, size)
	c.armRetransmit(now, false)
}

// finFits reports whether the FIN may ride on n bytes: the window has room for it.
func (c *Conn) finFits(n int) bool {
	return n == 0 || c.snd.nxt+uint64(n)+1 <= c.snd.una+uint64(c.snd.wnd)
}

// fill puts n bytes from start on into the segment and returns how many fitted: n,
// or less at a multiple of mss. Pieces too small for a Vec are copied.
func (c *Conn) fill(s *Segment, start uint64, n, mss int) int {
	got := c.snd.q.Slice(start, n, &s.Data)
	if got == n {
		return n
	}
	if got >= mss {
		got -= got % mss
		s.Data.Truncate(got)
		return got
	}
	s.Data.Release()
	n = min(n, mss)
	b := buf.New(n)
	c.snd.q.CopyTo(b.Bytes()[:n], start)
	s.Data.Append(b.View(0, n))
	return n
}

// record notes that a range was sent.
func (c *Conn) record(now time.Duration, start uint64, size, inFlight uint32) {
	b := &c.fl.board
	mss := uint32(c.snd.mss)
	if b.n > 0 && size%mss == 0 {
		r := b.back()
		if r.Sent == now && r.sent == 1 && r.flags == 0 && r.n%mss == 0 && r.end() == start &&
			r.n+size <= 1<<16 {
			r.n += size
			return
		}
	}
	r := b.push()
	r.start, r.n, r.sent = start, size, 1
	c.fl.rate.OnSend(&r.Stamp, now, inFlight, size)
}

// flights keeps what connections that are over had for sending.
var flights sync.Pool

// newFlight makes what is needed to send data.
func (c *Conn) newFlight(now time.Duration) *flight {
	f, _ := flights.Get().(*flight)
	if f == nil {
		f = &flight{}
	}
	name := c.opt.CC
	if name == "" {
		name = c.cfg.CC
	}
	if f.cc == nil || f.cc.Name() != name {
		ctl, ok := cc.New(name)
		if !ok {
			ctl, _ = cc.New("")
		}
		f.cc = ctl
	}
	mss := uint32(c.snd.mss)
	w := uint32(c.cfg.InitialCwnd) * mss
	if c.flags&synLost != 0 {
		w = mss // RFC 5681, section 3.1
	}
	f.cc.Start(cc.Start{Now: now, MSS: mss, CWnd: w, SRTT: c.rtt.smoothed(), MinRTT: c.rtt.least()})
	c.fl = f
	f.loss.init(c)
	return f
}

// freeFlight gives it back.
func (c *Conn) freeFlight() {
	f := c.fl
	if f == nil {
		return
	}
	c.fl = nil
	f.board.free()
	queue := f.loss.queue[:0]
	if cap(queue) > 64 {
		queue = nil
	}
	*f = flight{cc: f.cc}
	f.loss.queue = queue
	flights.Put(f)
}

// cwnd returns the congestion window in force.
func (c *Conn) cwnd() uint32 {
	f := c.fl
	if f.loss.cwnd != 0 {
		return f.loss.cwnd
	}
	return f.cc.CWnd()
}

// restart reduces the window of a connection that was idle (RFC 5681, section
// 4.1).
func (c *Conn) restart(now time.Duration) {
	if c.snd.una != c.snd.nxt || !c.cfg.SlowStartIdle || c.snd.lastData == 0 {
		return
	}
	if idle := now - c.snd.lastData; idle > c.rtt.timeout() {
		before := c.cwnd()
		c.fl.cc.Restart(now, idle, c.rtt.timeout())
		if c.cfg.Trace != nil && c.cwnd() < before {
			c.tellWindow(trace.AfterIdle)
		}
	}
}
