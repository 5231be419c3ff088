package tcp

import (
	"syscall"
	"time"

	"usock/internal/wait"
	"usock/internal/wire"
	"usock/packet"
)

// Urgent data as Linux has it: the urgent byte is the one before the urgent pointer
// (RFC 6093 leaves that to the system), it stays in the stream, and reading stops
// at it. Without SO_OOBINLINE the byte is skipped and read by MSG_OOB.

// urgent is the state of the urgent byte of each direction.
type urgent struct {
	sndUp uint64 // behind the last byte sent with MSG_OOB; 0: none
	mark  uint64 // offset of the urgent byte that arrives
	state urgentState
	b     byte
}

type urgentState uint8

const (
	urgentNone   urgentState = iota
	urgentNotYet             // announced, not arrived
	urgentValid              // to be read by MSG_OOB
	urgentRead               // read, not passed yet
)

// WriteUrgent is Write, with the last byte urgent (MSG_OOB).
func (c *Conn) WriteUrgent(now time.Duration, v packet.View) int {
	n := c.Write(now, v)
	if n > 0 {
		c.makeLazy().urg.sndUp = c.snd.q.End()
		c.snd.push(&c.tcb)
	}
	return n
}

// putUrgent sets the urgent pointer of a segment that leaves (RFC 9293
// §3.8.5).
func (s *sender) putUrgent(t *tcb, seg *Segment, start uint64) {
	if t.lazy == nil || t.lazy.urg.sndUp == 0 {
		return
	}

	// The pointer is behind the urgent byte (RFC 9293 §3.8.5, MUST-62) and has 16 bits: from
	// further away it points as far ahead as it can, so that the peer hears early that
	// something urgent comes.
	up := t.lazy.urg.sndUp
	switch {
	case up <= s.una:
		t.lazy.urg.sndUp = 0
	case start >= up:
	case up < start+0x10000:
		seg.Flags |= wire.URG
		seg.Urgent = uint16(up - start)
	case start+0xffff > s.nxt:
		seg.Flags |= wire.URG
		seg.Urgent = 0xffff
	}
}

// urgentMode reports whether an urgent byte is on its way to the peer.
func (s *sender) urgentMode(t *tcb) bool { return t.lazy != nil && t.lazy.urg.sndUp > s.una }

// inUrgent takes the urgent pointer (RFC 9293 §3.10.7.4, sixth check), and the urgent
// byte if the segment has it.
func (r *receiver) inUrgent(t *tcb, seq uint64, s *Segment) {
	// Behind the peer's FIN nothing urgent can come (sixth check).
	switch t.state {
	case Established, FinWait1, FinWait2:
	default:
		return
	}

	if s.Urgent == 0 {
		return
	}

	// Only an advance is news: the pointer cannot recede, and the program is told once (RFC
	// 9293 §3.8.5).
	mark := seq + uint64(s.Urgent) - 1
	u := &t.makeLazy().urg
	if mark < r.q.Base() || mark < r.nxt || u.state != urgentNone && mark <= u.mark {
		return
	}
	// An older urgent byte that was not read is skipped: it is the next to be read.
	if u.state != urgentNone && u.mark == r.q.Base() && !t.opt.OOBInline && r.q.Len() > 0 {
		r.q.Drop(u.mark + 1)
	}

	u.mark, u.state = mark, urgentNotYet
	t.events |= wait.Pri
}

// urgentByte looks for the urgent byte in a segment of data.
func (r *receiver) urgentByte(t *tcb, seq uint64, s *Segment) {
	if t.lazy == nil || t.lazy.urg.state != urgentNotYet {
		return
	}
	u := &t.lazy.urg
	if u.mark < seq || u.mark >= seq+uint64(s.Data.Len()) {
		return
	}
	var b [1]byte
	s.Data.CopyTo(b[:], int(u.mark-seq))
	u.b, u.state = b[0], urgentValid
	t.events |= wait.Pri
}

// finishUrgent takes the urgent pointer of a SYN-ACK's data.
func (c *Conn) finishUrgent(s *Segment) {
	if s.Flags&wire.URG != 0 {
		c.rcv.inUrgent(&c.tcb, origin+1, s)
	}
}

// urgentReady reports whether MSG_OOB has a byte to read.
func (r *receiver) urgentReady(t *tcb) bool { return t.lazy != nil && t.lazy.urg.state == urgentValid }

// urgentMark returns the offset at which reading stops, and false if there is none
// ahead.
func (r *receiver) urgentMark(t *tcb) (uint64, bool) {
	if t.lazy == nil || t.lazy.urg.state == urgentNone || t.lazy.urg.mark < r.q.Base() {
		return 0, false
	}
	return t.lazy.urg.mark, true
}

// MarkAt reports whether the byte that follows off bytes of the queue is the urgent one.
func (c *Conn) MarkAt(off int) bool {
	mark, ok := c.rcv.urgentMark(&c.tcb)
	return ok && mark == c.rcv.q.Base()+uint64(off)
}

// hidden returns how many bytes of the queue are not part of what Read gives: the
// urgent byte, where it is not inline.
func (r *receiver) hidden(t *tcb) int {
	if mark, ok := r.urgentMark(t); ok && !t.opt.OOBInline && mark < r.q.End() {
		return 1
	}
	return 0
}

// untilMark cuts a read at the urgent byte.
func (r *receiver) untilMark(t *tcb, max int) int {
	// The program must be able to tell where the mark is: no read goes past it (SIOCATMARK,
	// tcp(7)).
	if mark, ok := r.urgentMark(t); ok && r.q.Base() < mark {
		return int(min(uint64(max), mark-r.q.Base()))
	}
	return max
}

// PassUrgent begins a read of at least one byte, which passes over the urgent byte if that
// is the next, whether or not it was looked at and anything follows it (Linux,
// tcp_recvmsg_locked).
func (c *Conn) PassUrgent(now time.Duration) {
	mark, ok := c.rcv.urgentMark(&c.tcb)
	if !ok || c.opt.OOBInline || c.rcv.q.Base() != mark || c.rcv.q.Len() == 0 {
		return
	}

	c.rcv.q.Drop(mark + 1)
	c.account()
	c.rcv.readSome(&c.tcb, now, 1)
}

// readUrgentPassed forgets the urgent byte once reading has passed it.
func (r *receiver) readUrgentPassed(t *tcb) {
	if t.lazy != nil && t.lazy.urg.state != urgentNone && r.q.Base() > t.lazy.urg.mark {
		t.lazy.urg.state = urgentNone
	}
}

// ReadUrgent reads the urgent byte (MSG_OOB). EAGAIN: it has been announced and has
// not arrived. EINVAL: there is none, or it is inline.
func (c *Conn) ReadUrgent(peek bool) (byte, error) {
	if c.opt.OOBInline || c.lazy == nil {
		return 0, syscall.EINVAL
	}
	u := &c.lazy.urg

	switch u.state {
	case urgentValid:
		// The mark stays until reading passes it, for SIOCATMARK and for the read that stops
		// there.
		if !peek {
			u.state = urgentRead
		}
		return u.b, nil
	case urgentNotYet:
		return 0, syscall.EAGAIN
	}
	return 0, syscall.EINVAL
}

// AtMark reports whether the next byte to be read is the urgent one (SIOCATMARK).
func (c *Conn) AtMark() bool { return c.MarkAt(0) }

func (r *receiver) atMark(t *tcb) bool {
	mark, ok := r.urgentMark(t)
	return ok && mark == r.q.Base()
}

// InQueue returns what FIONREAD tells: the bytes before the urgent byte, or all.
func (c *Conn) InQueue() int {
	if mark, ok := c.rcv.urgentMark(&c.tcb); ok && !c.opt.OOBInline && mark < c.rcv.nxt {
		return int(mark - c.rcv.q.Base())
	}
	return c.rcv.q.Len()
}

// SetOOBInline has the urgent byte read in its place in the stream (SO_OOBINLINE).
func (c *Conn) SetOOBInline(now time.Duration, on bool) { c.opt.OOBInline = on }
