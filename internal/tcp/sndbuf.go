package tcp

import (
	"time"

	"usock/packet"
)

// coalesce is the size up to which a write is copied into the block before it.
const coalesce = 2 << 10

// Write queues the bytes of v and takes over the reference. The caller has asked Room. It returns the number of bytes queued: all, or
// 0 where the state allows no sending.
func (c *Conn) Write(now time.Duration, v packet.View) int {
	n := v.Len()
	if c.shut&shutWrite != 0 || !(c.state.canSend() || c.state == SynSent || c.state == SynRcvd) {
		v.Release()
		return 0
	}

	c.flags &^= moreHeld | moreTail
	c.snd.checkAppLimited(&c.tcb)

	if c.cfg.Memory.pressed() && 2*n < v.Cap() {
		w := packet.Copy(v.Bytes()) // rather than hold a large block for a part of it
		v.Release()
		v = w
	}
	c.snd.queue(&c.tcb, v)
	if f := c.snd.flight; f != nil && c.snd.q.Len() >= nearLeast && c.snd.near(&c.tcb) {
		f.fullAt = c.cfg.Memory.streams.full(now, f.fullAt)
	}
	c.account()
	return n
}

// queue puts v at the end of the queue.
func (s *sender) queue(t *tcb, v packet.View) {
	q := &s.q
	if v.Len() > coalesce {
		q.Push(v)
		return
	}

	// Short writes are copied together: a block for each would cost more than its bytes. What
	// is sent refers to the blocks, so that a block can grow at its end only (Extend).
	switch {
	case q.Len() > 0 && q.Extend(v.Bytes()):
		v.Release()
	case s.unsent(t) > 0:
		// Behind a backlog of short writes: gather what follows in one block.
		q.Append(v.Bytes())
		v.Release()
	default:
		q.Push(v)
	}
}

// checkAppLimited notes that the program had nothing more to send while the window
// would have allowed it: what is delivered now does not show what the path can do.
func (s *sender) checkAppLimited(t *tcb) {
	f := s.flight

	// A lost segment to send again, or a full one to send, is no want of data
	// (draft-cheng-iccrg-delivery-rate-estimation).
	if f == nil || f.loss.lost > 0 || s.unsent(t) >= int(s.mss) {
		return
	}

	if n := s.inFlight(); n < s.cwnd() {
		f.rate.OnAppLimited(n)
	}
}

// SendSpace returns how many bytes may be queued now; 0: the program has to wait
// for Out.
func (c *Conn) SendSpace() int {
	used := c.snd.sndUsed(&c.tcb)
	space := min(c.snd.limit(&c.tcb, used)-used, c.notSentLimit()-c.snd.unsent(&c.tcb))

	// Who finds no room waits for Out, and is to be woken (afterAck).
	if space <= 0 || c.snd.starved(&c.tcb) {
		c.flags |= noSpace
		return 0
	}

	return space
}

// Room returns how many of n bytes a write takes now. Where not all fit, the buffer is exceeded by
// what fills the last segment, as Linux asks for room when it begins one: it would be sent in two
// for nothing. Who cannot write all waits for Out, whether or not he asks again.
func (c *Conn) Room(n int) int {
	space := c.SendSpace()
	m := c.cfg.Memory
	switch {
	case space == 0:
	case m.pressed() && c.overShare():
		if space = min(space, c.snd.least(&c.tcb)); n > space {
			m.starved.Store(true)
		}
	case n > space:
		size := int(c.snd.largeMSS(&c.tcb))
		if rest := space % size; rest != 0 {
			space += size - rest
		}
	}
	if n <= space {
		return n
	}
	c.flags |= noSpace
	return space
}

// largeMSS returns how many bytes the largest segment has that may leave at once: whole segments of
// the MSS where the link cuts large ones, and no more than half of the largest window that the peer
// has offered (Linux, tcp_xmit_size_goal).
func (s *sender) largeMSS(t *tcb) uint32 {
	mss := s.sendMSS(t, 0)
	large := min(s.maxSeg, s.maxWnd/2)
	return max(large-large%mss, mss)
}

// sentCost is what a sent segment of something in flight counts for beside its data, so
// that a peer that never acknowledges cannot make many small segments costly.
const sentCost = 64

// sndUsed returns what is taken of the send buffer.
func (s *sender) sndUsed(t *tcb) int {
	n := s.q.Len()

	// The first entry is free: a program that fills the buffer with one large write gets all of
	// it.
	if s.flight != nil && s.flight.scoreboard.n > 1 {
		n += int(s.flight.scoreboard.n-1) * sentCost
	}
	if t.lazy != nil {
		n += len(t.lazy.records) * sentCost // each is a segment of its own
	}
	return n
}

func (t *tcb) notSentLimit() int {
	n := t.opt.NotSentLowat
	if n == 0 {
		n = t.cfg.NotSentLowat
	}
	return int(n)
}

// writable is Linux's rule for Out: a third of the buffer is free, and less than
// half of the limit on unsent data is waiting.
func (s *sender) writable(t *tcb) bool {
	used := s.sndUsed(t)

	// Not the first free byte: the program is woken for a third of the buffer, so that it
	// writes much at a time (Linux, sk_stream_is_writeable).
	if s.limit(t, used)-used >= used>>1 && s.unsent(t)*2 < t.notSentLimit() && !s.starved(t) {
		return true
	}
	t.flags |= noSpace
	return false
}

// Unsent returns the bytes that were never sent (SIOCOUTQNSD).
func (c *Conn) Unsent() int { return c.snd.unsent(&c.tcb) }

func (s *sender) unsent(t *tcb) int {
	if t.state == Closed {
		return 0
	}
	return int(s.q.End() - min(max(s.nxt, 1), s.q.End()))
}

// Outstanding returns the bytes that are not acknowledged, sent or not (SIOCOUTQ).
func (c *Conn) Outstanding() int {
	n := c.snd.q.Len()
	if c.flags&finQueued != 0 && c.state.finSent() && c.snd.una <= c.snd.q.End() && c.state != Closed {
		n++
	}
	return n
}

// Sequence returns the offsets in the stream that is sent up to which it is acknowledged,
// was sent, and was written.
func (c *Conn) Sequence() (una, nxt, end uint64) { return c.snd.una, c.snd.nxt, c.snd.q.End() }

// followedSndBuf is up to where the send buffer follows the window: Linux's tcp_wmem[2]. Where round
// trips are short the window says little of what is of use: over a loopback interface it grows with the
// buffer, and the buffer with the window, until no cache holds what is sent.
const followedSndBuf = 4 << 20

// In a short round trip, as long as it has not become a long one, what is written and not read should stay in a cache, and a
// writer that finds no room leaves his processor to the reader. It is segments that are handed over: one stream is fastest with
// nearSegments of the largest queued, so that both ends seldom wait for each other. The segments of many streams drive each other
// out of the cache, and while one waits others run: so they share these, and each has nearLeast at least. Where segments
// are small, nearSndBuf is enough.
const (
	nearSndBuf   = 1 << 20
	nearSegments = 64
	nearLeast    = 256 << 10
)

// near reports whether round trips are short.
func (s *sender) near(t *tcb) bool {
	return t.rtt.min != 0 && time.Duration(t.rtt.min)*time.Microsecond < longTrip && t.rtt.smoothed() < 10*longTrip
}

// nearMost returns how many bytes all streams with short round trips and such segments may have queued together.
func (s *sender) nearMost() int { return min(max(nearSndBuf, nearSegments*int(s.mss)), followedSndBuf) }

// pathSndBuf returns the bytes of send buffer that a path needs: four times what is delivered in its shortest round trip. One is
// in flight, in slow start twice that is a round trip later, and a program that waits is woken only when a third of the
// buffer is free.
func (s *sender) pathSndBuf(t *tcb) int {
	return int(4 * (s.flight.delivery / 1000 * uint64(t.rtt.min) / 1000))
}

// usefulSndBuf returns up to how many bytes the send buffer follows the window.
func (s *sender) usefulSndBuf(t *tcb) uint64 {
	switch {
	case s.flight == nil:
		return followedSndBuf
	case s.near(t):
		return uint64(max(s.pathSndBuf(t), s.nearMost()))
	}
	return uint64(max(s.pathSndBuf(t), followedSndBuf))
}

// limit returns how many bytes may be queued, where used are: what the buffer has, or of a short round trip this stream's share.
func (s *sender) limit(t *tcb, used int) int {
	size := int(s.bufSize)
	if used < nearLeast || size <= nearLeast || s.flight == nil || t.flags&fixedSnd != 0 || !s.near(t) {
		return size
	}
	return min(size, max(s.nearMost()/t.cfg.Memory.streams.lately(), s.pathSndBuf(t), nearLeast))
}

// growSndBuf lets the send buffer hold twice the window of n segments, as Linux
// counts the memory of a segment.
func (s *sender) growSndBuf(t *tcb, n uint32) {
	if t.flags&fixedSnd != 0 || t.cfg.Memory.pressed() {
		return
	}

	// Linux counts the memory of a segment: a power of two for data and headers, and the
	// descriptor.
	mss := uint32(max(s.mss, 536))
	per := uint64(1)
	for per < uint64(mss)+640 {
		per *= 2
	}

	// What the peer's window does not take is never in flight. A window that was not scaled yet may be larger. In a short round
	// trip it is small, and what is queued behind it has both ends go on.
	n = max(n, uint32(t.cfg.InitialCwnd))
	if !s.near(t) {
		n = min(n, (max(s.maxWnd, 1<<16)+mss-1)/mss)
	}

	// Twice the window: as much again can be queued while a window is in flight.
	want := 2 * uint64(n) * (per + 256)
	s.bufSize = max(s.bufSize, uint32(min(want, uint64(t.cfg.WMem[2]), s.usefulSndBuf(t))))
}

// tuneSndBuf lets the send buffer grow with the windows, the congestion's and the peer's.
func (s *sender) tuneSndBuf(t *tcb) {
	if t.flags&fixedSnd == 0 && s.bufSize < uint32(t.cfg.WMem[2]) {
		s.growSndBuf(t, s.flight.cc.CWnd()/uint32(s.mss))
	}
}

// SndBuf returns the size of the send buffer in bytes.
func (c *Conn) SndBuf() int {
	if c.state == Closed && c.snd.bufSize == 0 {
		return c.cfg.WMem[1]
	}
	return int(c.snd.bufSize)
}

// SetSndBuf fixes the send buffer at n bytes.
func (c *Conn) SetSndBuf(n int) {
	c.flags |= fixedSnd
	c.snd.bufSize = uint32(n)
}
