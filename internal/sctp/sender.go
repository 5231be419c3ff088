package sctp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// The sender takes messages from the program, and SACKs from the peer:
//
//	push ──► streams ──► schedule ──► next: cut a chunk, give it a TSN ─────────┐
//	         outstream.go scheduler.go transmit.go                              ├──► Poll: packet
//	                                  next: what is marked for retransmission ──┘
//	         una               nxt         ▲
//	          ├── sent chunks ──┤          │ mark
//	              ▲                        │
//	onSACK: acknowledge ──► miss, grow ────┤
//	        sack.go                        │
//	timeout (T3-rtx): collapse, mark all ──┘
//
// A chunk that has a TSN is outstanding, acknowledged by a gap block, marked for retransmission, or
// abandoned. What is outstanding counts into the flight of the flow that it last left by, and into
// inFlight; a chunk that is marked counts nowhere until it is sent again. The peer's window, rwnd, is
// what it last advertised less inFlight.
//
// Messages are cut into chunks as late as can be, when a packet has room: the chunk suits the PMTU
// of then, and a message that is given up before takes no numbers. A chunk that has been cut keeps its
// size: if the PMTU is less later, IP fragments it (RFC 9260, section 7.3).
//
// Paths are the owner's. It says which one takes new data (primary), and which one takes what is sent
// again (retran); it starts, counts and judges heartbeats and errors. What the sender knows of a path is
// its flow (flow.go).

// sender is the half of an association that sends the program's messages. TSNs are 64-bit numbers
// (serial.go).
type sender struct {
	una, nxt uint64 // lowest TSN that is not acknowledged cumulatively, next TSN to be given

	*outgoing // nil until there is a message: many associations only listen, or wait

	flows           *flow // a list
	primary, retran *flow // where new data goes, and what is marked; set by the owner

	queued   uint32 // bytes of user data, waiting or sent and not acknowledged cumulatively
	held     uint32 // messages of which there is something among these
	waiting  uint32 // of these, bytes that no chunk was cut of
	messages uint32 // with a part that is waiting
	arwnd    uint32 // last a_rwnd
	widest   uint32 // the largest one
	turn     uint32 // counts events that may open a window
	urgent   bool   // the next packet of retransmissions goes whatever cwnd is (sections 6.3.3 E3 and 7.2.4)
	forward  bool   // FORWARD-TSN is due

	senderOptions
}

// outgoing is what sending messages needs.
type outgoing struct {
	chunks   sentChunks
	inFlight uint32 // bytes outstanding, on all flows
	marked   uint32 // chunks that are marked for retransmission
	markFrom uint64 // no chunk below is marked
	highGap  uint64 // highest TSN that gap blocks acknowledge; below una: none
	fastExit uint64 // Fast Recovery lasts until this is acknowledged; 0: not in Fast Recovery
	ahead    uint64 // Advanced.Peer.Ack.Point (RFC 3758, section 3.5)
	missFrom uint64 // no chunk below can be missed, as countMisses counts
	probe    uint64 // TSN of the chunk that went to a window without room for it; below una: none
	arrived  uint64 // messages that were ever pushed
	streams  outStreams
	schedule schedule
	ecn      ecnSender
	failed   failed
	given    *givenUp       // nil: nothing was given up
	skipped  []wire.Skipped // of the last FORWARD-TSN: kept for its array
}

// makeOutgoing has what sending messages needs be there.
func (s *sender) makeOutgoing() {
	if s.outgoing != nil {
		return
	}
	s.outgoing = new(outgoing)
	s.schedule.kind = s.scheduler
	s.start()
	for f := s.flows; f != nil; f = f.next {
		f.traffic = new(traffic)
	}
}

// start has nothing be sent yet from una on.
func (s *sender) start() {
	s.markFrom, s.missFrom, s.fastExit, s.probe = s.una, 0, 0, 0
	s.highGap, s.ahead = s.una-1, s.una-1
}

// known returns the stream of the number if it was used, else nil.
func (s *sender) known(number uint16) *outStream {
	if s.outgoing == nil {
		return nil
	}
	return s.streams.known(number)
}

// eachStream calls f for every stream that was used.
func (s *sender) eachStream(f func(*outStream)) {
	if s.outgoing != nil {
		s.streams.each(f)
	}
}

// senderOptions are what the program and the handshake decide.
type senderOptions struct {
	rto         *RTOBounds
	bufSize     int    // SO_SNDBUF; 0: no limit
	maxBurst    uint32 // packets; 0: no limit
	maxSeg      uint32 // SCTP_MAXSEG: most user data in a chunk; 0: what the PMTU allows
	noDelay     bool   // SCTP_NODELAY
	more        bool   // the program has said that more follows what it sent last (MSG_MORE)
	flush       bool   // nothing waits for company: the association is shutting down
	interleaved bool   // I-DATA (RFC 8260)
	partial     bool   // the peer knows FORWARD-TSN (RFC 3758)
	scheduler   Sched
}

// begin sets the initial TSN, of an association that begins or, with nothing queued, of one that begins
// anew.
func (s *sender) begin(tsn uint32) {
	s.una = epoch + uint64(tsn)
	s.nxt = s.una
	if s.outgoing != nil {
		s.start()
		s.ecn = ecnSender{}
	}
	s.eachStream(func(st *outStream) { st.ssn, st.umid, st.held = 0, 0, false })
	for f := s.flows; f != nil; f = f.next {
		f.start(f.mtu, f.mtu-f.room, s.arwnd, s.rto)
	}
}

// agree takes the window and the number of streams of the handshake. Messages of streams that there are
// not have failed.
func (s *sender) agree(arwnd uint32, streams uint16) {
	s.arwnd, s.widest = arwnd, arwnd
	for f := s.flows; f != nil; f = f.next {
		f.ssthresh = arwnd // as Linux; section 7.2.1 allows any
	}
	s.eachStream(func(st *outStream) {
		if st.number >= streams {
			for st.head != nil {
				s.giveUp(st.head)
			}
		}
	})
}

// addFlow takes another path, whose packets have overhead bytes of headers in front of the chunks.
func (s *sender) addFlow(f *flow, mtu, overhead int) {
	f.start(uint32(mtu), uint32(overhead), s.arwnd, s.rto)
	if s.outgoing != nil {
		f.traffic = new(traffic)
	}
	at := &s.flows
	for *at != nil {
		at = &(*at).next
	}
	*at = f
	if s.primary == nil {
		s.primary, s.retran = f, f
	}
}

// removeFlow forgets a path. What is outstanding there is sent again by another one: the owner has set
// primary and retran before.
func (s *sender) removeFlow(f *flow) {
	at := &s.flows
	for *at != f {
		at = &(*at).next
	}
	*at, f.next, f.t3 = f.next, nil, timer.Never
	for t := s.una; t < s.nxt; t++ {
		if c := s.chunks.at(t); c.flow == f {
			if c.outstanding() {
				s.mark(t, c)
			}
			c.flow = s.retran
		}
	}
	s.eachStream(func(st *outStream) {
		for m := st.head; m != nil; m = m.next {
			if m.to == f {
				m.to = nil
			}
		}
	})
	s.forward = s.outgoing != nil && s.ahead >= s.una // its timer may have been f's
	s.turn++
}

// setMTU takes the PMTU of a path.
func (s *sender) setMTU(f *flow, mtu, overhead int) {
	f.mtu, f.room = uint32(mtu), uint32(mtu-overhead)
	if f.lastSent == 0 {
		f.cwnd = initialWindow(f.mtu)
	}
}

// headerLen is the size of a data chunk without user data.
func (s *sender) headerLen() uint32 {
	if s.interleaved {
		return wire.IDataLen
	}
	return wire.DataLen
}

// maxPayload is the most user data of a chunk: what fits into a packet of every path, so that each of
// them can take it when it is sent again (RFC 9260, section 6.9).
func (s *sender) maxPayload() int {
	n := uint32(maxChunk)
	for f := s.flows; f != nil; f = f.next {
		n = min(n, f.room)
	}
	n -= s.headerLen()
	if s.maxSeg != 0 {
		n = min(n, s.maxSeg)
	}
	n &^= 3 // a longer chunk would be padded, perhaps beyond the room
	return int(max(n, 4))
}

// maxChunk is the longest chunk, padded.
const maxChunk = 1<<16 - 4

// push takes a message over, with the references of its views. It holds a byte or more, and its
// stream's number is below that of the streams agreed; the owner has seen to it that there is room.
func (s *sender) push(now time.Duration, o *outMessage, views []packet.View) {
	s.makeOutgoing()
	m := newMessage(o, views)
	s.arrived++
	m.arrived = s.arrived
	if m.policy == PRTTL {
		// A lifetime of none is over before it begins, as Linux has it.
		m.until = -1
		if m.value > 0 {
			m.until = now + time.Duration(m.value)*time.Millisecond
		}
	}
	s.queued += m.n
	s.held++
	s.waiting += m.n
	s.messages++

	st := s.streams.at(m.stream)
	st.push(m)
	if !st.held {
		s.schedule.join(st)
	}
	s.turn++
}

// messageCost is what a message is charged to SO_SNDBUF beside its bytes: itself, its chunks, and a
// block that is not full.
const messageCost = 256

// charged is what counts against SO_SNDBUF.
func (s *sender) charged() int { return int(s.queued) + messageCost*int(s.held) }

// rwnd is what is left of the peer's window (section 6.2.1).
func (s *sender) rwnd() uint32 {
	if s.outgoing == nil {
		return s.arwnd
	}
	return s.arwnd - min(s.arwnd, s.inFlight)
}

// crowded says that the peer may have no memory for another chunk, however few bytes it has: each costs it more than
// these, of a buffer that is twice the widest window as a rule. What found no room would wait for T3-rtx.
func (s *sender) crowded() bool { return (s.nxt-s.una)*pieceCost > 2*uint64(s.widest) }

// probing says that what is outstanding probes a window that is shut: if the peer answers, timeouts are
// no errors (section 6.1 A).
func (s *sender) probing() bool {
	return s.nxt > s.una && s.arwnd < s.chunks.at(s.una).n
}

// needsKey reports whether a message waits or is outstanding that is authenticated by the key.
func (s *sender) needsKey(id uint16) (found bool) {
	is := func(m *message) bool { return m.key != nil && m.key.ID == id }
	for t := s.una; t < s.nxt && !found; t++ {
		found = is(s.chunks.at(t).msg)
	}
	s.eachStream(func(st *outStream) {
		for m := st.head; m != nil && !found; m = m.next {
			found = is(m)
		}
	})
	return found
}

// empty says that nothing waits and nothing is outstanding.
func (s *sender) empty() bool { return s.messages == 0 && s.una == s.nxt }

// unacked is the number of chunks that are not acknowledged cumulatively (SCTP_STATUS).
func (s *sender) unacked() int { return int(s.nxt - s.una) }

// deadline is when the first T3-rtx expires.
func (s *sender) deadline() time.Duration {
	at := timer.Never
	for f := s.flows; f != nil; f = f.next {
		at = min(at, f.t3)
	}
	return at
}

// takeFailed hands over a message that the peer will never have, nil if there is none. The owner frees
// it.
func (s *sender) takeFailed() *message {
	if s.outgoing == nil {
		return nil
	}
	return s.failed.take()
}

// fail has every message that was not acknowledged fail: the association is over.
func (s *sender) fail() {
	if s.outgoing == nil {
		return
	}
	// What was sent comes first, as it was sent first.
	for t := s.una; t < s.nxt; t++ {
		if m := s.chunks.at(t).msg; m.fate&fateAbandoned == 0 {
			s.giveUp(m)
		}
	}
	s.eachStream(func(st *outStream) {
		for st.head != nil {
			s.giveUp(st.head)
		}
	})
	for t := s.una; t < s.nxt; t++ {
		s.drop(s.chunks.at(t))
	}
	s.chunks.release()
	s.una = s.nxt
	s.inFlight, s.marked = 0, 0
	s.forward, s.urgent = false, false
	for f := s.flows; f != nil; f = f.next {
		f.flight, f.t3, f.timed = 0, timer.Never, 0
	}
}

// free lets go of everything.
func (s *sender) free() {
	s.fail()
	for m := s.takeFailed(); m != nil; m = s.takeFailed() {
		m.free()
	}
}

// drop lets go of a chunk that is acknowledged cumulatively, and of its message with the last one.
func (s *sender) drop(c *sentChunk) {
	m := c.msg
	*c = sentChunk{}
	s.streams.at(m.stream).unacked--
	if m.chunks--; m.chunks > 0 {
		return
	}
	switch {
	case m.fate&fateAbandoned == 0:
		if m.cut == m.n {
			s.held--
			m.free()
		}
	case m.fate&fateReturned != 0:
		m.free()
	}
}
