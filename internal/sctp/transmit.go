package sctp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// load is the DATA of a packet that is being built.
type load struct {
	room   int      // bytes that are left for chunks
	n      int      // DATA chunks that were chosen; a packet is begun with 0
	bare   bool     // nothing else stands in the packet: a chunk that is too long may go, and IP fragments it
	urgent bool     // goes whatever the congestion window is
	keyed  bool     // the packet is authenticated by key, and takes no message of another
	key    *AuthKey // nil: the active one
}

// of reports whether the packet takes chunks of a message: all of it are authenticated by one key.
func (l *load) of(m *message) bool {
	if l.keyed && m.key != l.key {
		return false
	}
	l.key = m.key
	return true
}

// take has the load hold a chunk of so many bytes.
func (l *load) take(length uint32) {
	l.room -= wire.Pad4(int(length))
	l.n++
}

// fits reports whether a chunk that was cut before may be added.
func (l *load) fits(length uint32) bool {
	return wire.Pad4(int(length)) <= l.room || l.n == 0 && l.bare
}

// outData is a DATA or I-DATA chunk that leaves.
type outData struct {
	wire.Data
	interleaved bool // I-DATA
	again       bool // it is sent again
	mid, fsn    uint32
	payload     packet.Vec // lent until the sender is called again: who keeps a view retains it
}

// headerLen is the size of the chunk's header.
func (d *outData) headerLen() int {
	if d.interleaved {
		return wire.IDataLen
	}
	return wire.DataLen
}

// chunkType is the chunk's type.
func (d *outData) chunkType() wire.ChunkType {
	if d.interleaved {
		return wire.ChunkIData
	}
	return wire.ChunkData
}

// put writes the header, of headerLen bytes. The owner pads behind the payload.
func (d *outData) put(b []byte) {
	if !d.interleaved {
		d.Put(b, d.payload.Len())
		return
	}
	i := wire.IData{Flags: d.Flags, TSN: d.TSN, Stream: d.Stream, MID: d.mid, PPID: d.PPID, FSN: d.fsn}
	i.Put(b, d.payload.Len())
}

// next chooses the next chunk for a packet that leaves by f, or declines. What it chooses is sent: the
// owner sends the packet.
func (s *sender) next(now time.Duration, f *flow, l *load, d *outData) bool {
	if s.outgoing == nil {
		return false
	}
	if l.n == 0 {
		f.idle(now)
		s.schedule.packet()
	}

	// What is marked goes before what is new (RFC 9260, section 6.1 C), also where its path has no
	// room for it.
	if s.marked > 0 {
		return f == s.retran && s.nextMarked(now, f, l, d)
	}
	return s.nextNew(now, f, l, d)
}

// nextMarked chooses the earliest chunk that is marked for retransmission.
func (s *sender) nextMarked(now time.Duration, f *flow, l *load, d *outData) bool {
	for s.chunks.at(s.markFrom).state&chunkMarked == 0 {
		s.markFrom++
	}
	tsn := s.markFrom
	c := s.chunks.at(tsn)
	if s.outlived(now, c.msg) {
		s.abandon(c.msg)
		s.advance()
		return s.next(now, f, l, d)
	}

	length := s.headerLen() + c.n
	if !l.fits(length) || !l.of(c.msg) {
		return false
	}
	if l.n == 0 {
		l.urgent = s.urgent
		s.urgent = false
	}
	if !l.urgent && (f.flight >= f.limit(s.turn, s.maxBurst) || s.inFlight > 0 && c.n > s.rwnd()) {
		return false
	}

	s.unmark(c)
	c.sends += min(1, 1<<16-1-c.sends)
	c.miss = 0
	s.leave(now, f, tsn, c)
	l.take(length)
	s.describe(tsn, c, d)
	return true
}

// nextNew cuts the next chunk of what waits.
func (s *sender) nextNew(now time.Duration, f *flow, l *load, d *outData) bool {
	st := s.schedule.first()
	if st == nil || f.flight >= f.limit(s.turn, s.maxBurst) || s.nxt-s.una >= maxAhead {
		return false
	}
	m := st.head
	if s.outlived(now, m) {
		s.abandon(m)
		s.advance()
		return s.next(now, f, l, d)
	}
	if s.route(m) != f {
		return false
	}

	n := s.cutting(m, f, l)
	if n == 0 {
		return false
	}

	// Where the window is too small, one chunk may be outstanding, which probes it (section 6.1 A).
	shut := n > s.rwnd()
	if s.inFlight > 0 && (shut || s.crowded()) {
		return false
	}
	if s.waits(m, n, f, l) || !l.of(m) {
		return false
	}

	tsn, c := s.cut(st, m, n, &d.payload)
	s.leave(now, f, tsn, c)
	if shut {
		s.probe = tsn
	}
	if f.timed == 0 {
		f.timed, f.timedAt = tsn, now
	}
	l.take(s.headerLen() + c.n)
	s.describe(tsn, c, d)
	return true
}

// route is the path that a message takes.
func (s *sender) route(m *message) *flow {
	if m.to != nil && !m.to.down {
		return m.to
	}
	return s.primary
}

// cutting says how many bytes of m the next chunk takes, 0 if the packet has no room that is worth it.
func (s *sender) cutting(m *message, f *flow, l *load) uint32 {
	rest, most := m.n-m.cut, uint32(s.maxPayload())
	room := l.room&^3 - int(s.headerLen()) // chunks are padded
	if int(min(rest, most)) <= room {
		return min(rest, most)
	}

	switch {
	case l.n == 0 && l.bare:
		// The path takes less than any: a PMTU that fell to next to nothing.
		return min(rest, most)
	case room < minCut || rest <= most && l.n > 0:
		return 0 // a message that fits into the next packet whole is not torn for this one
	}
	return uint32(room)
}

// minCut is the least that is cut off a message to fill a packet.
const minCut = 256

// waits reports whether a chunk of n bytes waits for company: Nagle's algorithm. A full packet does not
// wait, nor the rest of a message that was cut, nor anything while nothing is outstanding, unless the
// program asks for it (MSG_MORE).
func (s *sender) waits(m *message, n uint32, f *flow, l *load) bool {
	if s.flush || l.n > 0 || m.begun() || n < m.n {
		return false
	}
	if !s.more && (s.noDelay || s.inFlight == 0) {
		return false
	}

	// Where packets are large the buffer may be full before one is: the program, which has no room left,
	// cannot bring the company.
	if s.bufSize > 0 && s.charged() >= s.bufSize/2 {
		return false
	}
	return s.waiting+s.messages*s.headerLen() < f.room
}

// cut gives the next n bytes of m, or as many as x holds, a TSN. The bytes stand in x.
func (s *sender) cut(st *outStream, m *message, n uint32, x *packet.Vec) (uint64, *sentChunk) {
	state := chunkState(0)
	if !m.begun() {
		state |= chunkBegin
		m.tsn = s.nxt
		switch {
		case !m.unordered:
			m.id = st.ssn
			st.ssn++
		case s.interleaved:
			m.id = st.umid
			st.umid++
		}
	}

	tsn := s.nxt
	n = m.slice(m.cut, n, x)
	c := s.chunks.push(s.una, s.nxt)
	s.nxt++
	*c = sentChunk{msg: m, off: m.cut, n: n, fsn: m.fsn, sends: 1}
	m.cut += n
	m.fsn++
	m.chunks++
	st.unacked++
	s.waiting -= n
	if m.cut == m.n {
		state |= chunkEnd
		st.remove(m)
		s.messages--
	}
	c.state = state
	s.schedule.sent(st, n, m.cut == m.n, s.interleaved)
	return tsn, c
}

// leave notes that a chunk leaves by f.
func (s *sender) leave(now time.Duration, f *flow, tsn uint64, c *sentChunk) {
	c.flow = f
	if f.flight == 0 {
		f.low = tsn
	}
	f.low = min(f.low, tsn)
	f.flight += c.n
	s.inFlight += c.n
	s.missFrom = min(s.missFrom, tsn)
	f.lastSent = max(now, 1)

	// Rule R1 of section 6.3.2. It starts anew with the earliest chunk that is outstanding, which
	// was sent again (section 7.2.4, step 4).
	if f.t3 == timer.Never || c.sends > 1 && f.low == tsn {
		f.t3 = now + f.rto
	}
}

// describe sets d to a chunk, but for the payload of one that was just cut.
func (s *sender) describe(tsn uint64, c *sentChunk, d *outData) {
	m := c.msg
	d.interleaved = s.interleaved
	d.Data = wire.Data{TSN: uint32(tsn), Stream: m.stream, PPID: m.ppid}
	d.mid, d.fsn = uint32(m.id), c.fsn
	d.again = c.sends > 1
	if c.state&chunkBegin != 0 {
		d.Flags |= wire.DataB
	}
	if c.state&chunkEnd != 0 {
		d.Flags |= wire.DataE
		if m.immediate || s.flush {
			d.Flags |= wire.DataI
		}
	}
	if m.unordered {
		d.Flags |= wire.DataU
	} else {
		d.SSN = uint16(m.id)
	}
	if c.sends > 1 {
		m.slice(c.off, c.n, &d.payload)
	}
}

// mark has a chunk that is outstanding be sent again.
func (s *sender) mark(tsn uint64, c *sentChunk) {
	s.settle(tsn, c)
	c.state |= chunkMarked
	s.marked++
	s.markFrom = min(s.markFrom, tsn)
}

func (s *sender) unmark(c *sentChunk) {
	c.state &^= chunkMarked
	s.marked--
}

// settle takes a chunk that is outstanding out of the flight.
func (s *sender) settle(tsn uint64, c *sentChunk) {
	f := c.flow
	f.flight -= c.n
	s.inFlight -= c.n

	// Of a chunk that is sent again nobody knows which transmission is acknowledged (Karn's rule,
	// C5 of section 6.3.1).
	if f.timed == tsn {
		f.timed = 0
	}
}
