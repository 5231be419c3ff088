package sctp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// The receiver takes the peer's chunks, puts messages together, gives them to the program, and says
// what is acknowledged, with which window and when:
//
//	chunk ──► data: new? consistent? room? ──► place ──► run of fragments, in its stream
//	             tsnmap.go       rcvwindow.go  reassembly.go     │ whole, and its turn; or a part, early
//	                                                             ▼
//	packet ──► SACK now or later (rcvack.go)                  ready ──► take
//	             ──► Poll: appendSack                            delivery.go │ the window opens
//
// What has come is known by TSN: all up to cum, and behind it what the map says. What is kept is known by
// stream: a run is a part of a message without a hole. Runs grow and join until one has both
// ends. A message whose turn has come goes to the ready queue, which is in the order in which the
// program reads. Payloads stay where they came: a run is a list of views.
//
// Memory is counted in two ways. The window is user data, half of SO_RCVBUF, as blocks may be up to
// twice as large as what they hold. What is charged has an overhead for each piece, too, and is never
// more than twice SO_RCVBUF: a peer that sends single bytes is told of a smaller window, and what it
// sends all the same is dropped. Where the chunk that all wait for finds no room, what came highest
// goes instead: a Gap Ack Block is no promise (RFC 9260, section 6.2).

// receiver is the half of an association that takes the peer's data. TSNs are 64-bit numbers (serial.go).
type receiver struct {
	cum      uint64 // Cumulative TSN
	high     uint64 // highest TSN that has come
	inbound  int    // streams, as agreed
	asked    bool   // the peer was asked to begin TSNs anew, and has not answered yet
	skips    bool   // FORWARD-TSN has come: chunks of messages that were passed over may come late
	lastKnow bool   // lastEnd is known: cum was not skipped
	lastEnd  bool   // chunk cum was the end of its message

	payload uint32 // bytes of user data that are held, read ones excepted
	charged uint32 // the same, with overhead
	got     uint64 // bytes of user data that were ever taken
	edge    uint64 // got + a_rwnd when that was last advertised

	delivered, read uint64 // messages that have become ready, and that were read, in all: notifications are ordered by these
	ack             acking

	*incoming // nil until something has come

	receiverOptions
}

// incoming is what receiving messages needs.
type incoming struct {
	tsns    tsnMap // of (cum, high]
	limit   uint64 // TSNs above wait for the answer to asked; 0: none do
	stored  uint64 // capacity of the blocks of what is held
	mean    uint32 // of the user data in a chunk, the last ones above all, in bytes/256
	parts   int    // messages that are being delivered before they are whole
	streams inStreams
	held    runList // runs that are not ready, or are being delivered in part
	ready   runQueue
	recent  *piece // the first of the block of which a piece came last; nil: none of it is held
	aborted []inMessage
	dups    []uint32 // TSNs that came twice since the last SACK
	gaps    []wire.GapBlock
	ecn     ecnReceiver
}

// makeIncoming has what receiving messages needs be there.
func (r *receiver) makeIncoming() {
	if r.incoming == nil {
		r.incoming = &incoming{mean: r.mtu << 8}
	}
}

// receiverOptions are what the program and the handshake decide.
type receiverOptions struct {
	bufSize     uint32        // SO_RCVBUF
	sackDelay   time.Duration // SCTP_DELAYED_SACK
	sackFreq    uint32        // packets that are acknowledged at the latest at once
	pdPoint     uint32        // SCTP_PARTIAL_DELIVERY_POINT in bytes; 0: only where the window would stay shut
	mtu         uint32        // of the path that data comes by: what the window opens by at least
	interleaved bool          // I-DATA (RFC 8260)

	// While a message is delivered in part those of other streams may be read: with I-DATA, and with a
	// SCTP_FRAGMENT_INTERLEAVE of 2.
	mixed bool

	deaf bool // the program reads no more: what has not come yet is dropped
}

// begin sets the peer's initial TSN, and how many streams it may use. The buffer's size is known.
func (r *receiver) begin(tsn uint32, streams uint16) {
	r.cum = epoch + uint64(tsn) - 1
	r.high = r.cum
	r.lastKnow, r.lastEnd = true, true
	r.inbound = int(streams)
	r.skips, r.asked = false, false
	r.edge = r.got + uint64(r.window())
	r.ack = acking{at: timer.Never}
	if r.incoming != nil {
		r.limit = 0
		r.streams, r.dups, r.ecn = inStreams{}, r.dups[:0], ecnReceiver{}
	}
	r.ack.immediate = true // the first packet, for the peer's first round trip
}

// inData is the header of a DATA or I-DATA chunk that has arrived.
type inData struct {
	wire.Data
	mid, fsn uint32 // of I-DATA
	at       int64  // of the packet, as In has it
}

// dataResult is what a chunk came to.
type dataResult uint8

const (
	dataTaken     dataResult = iota // kept, or known already, or dropped for want of room
	dataBadStream                   // ERROR with Invalid Stream Identifier; it is acknowledged all the same
	dataNone                        // ABORT with No User Data
	dataViolation                   // ABORT with Protocol Violation
)

// data takes a chunk whose n bytes of user data stand in p from off on. p keeps its references.
func (r *receiver) data(d *inData, p *packet.Vec, off, n int) dataResult {
	r.ack.data = true
	if n == 0 {
		return dataNone
	}

	r.makeIncoming()
	tsn := wide(r.cum, d.TSN)
	if r.ecn.lowest == 0 || tsn < r.ecn.lowest {
		r.ecn.lowest = tsn
	}
	switch r.judge(d) {
	case tsnSeen:
		r.duplicate(d.TSN)
		return dataTaken
	case tsnTooHigh:
		r.ack.immediate = true
		return dataTaken
	}
	if d.Flags&wire.DataI != 0 || r.high > r.cum {
		r.ack.immediate = true
	}

	if !r.interleaved && !r.adjoins(tsn, d.Flags) {
		return dataViolation
	}
	if int(d.Stream) >= r.inbound {
		r.arrived(tsn, d.Flags)
		return dataBadStream
	}
	if d.Flags&wire.DataB == 0 && tsn == r.cum+1 && !r.lastKnow && !r.interleaved {
		// The rest of a message whose beginning was skipped, and so is what follows.
		r.arrived(tsn, d.Flags)
		r.lastKnow = r.cum != tsn || d.Flags&wire.DataE != 0
		return dataTaken
	}
	r.sized(uint32(n))
	if !r.admit(tsn, uint32(n)) {
		r.ack.immediate = true
		return dataTaken
	}

	x, ok := r.place(tsn, d, p, off, n)
	if !ok && r.asked {
		// The peer has begun anew, and its answer was lost. It will come, and this again.
		r.limit = tsn - 1
		r.ack.immediate = true
		return dataTaken
	}
	if !ok {
		return dataViolation
	}
	r.arrived(tsn, d.Flags)
	if x != nil {
		if x.tsn == tsn {
			x.cum, x.at = r.cum, d.at
		}
		r.got += uint64(n)
		r.settle(x)
	}
	return dataTaken
}

// tsnJudgement is what is known of a chunk by its TSN alone.
type tsnJudgement uint8

const (
	tsnNew tsnJudgement = iota
	tsnSeen
	tsnTooHigh
)

func (r *receiver) judge(d *inData) tsnJudgement {
	switch tsn := wide(r.cum, d.TSN); {
	case tsn <= r.cum:
		return tsnSeen
	case tsn > r.cum+maxAhead:
		return tsnTooHigh
	case r.incoming == nil:
		return tsnNew
	case r.tsns.seen(tsn, r.cum):
		return tsnSeen
	case r.limit != 0 && tsn > r.limit:
		return tsnTooHigh
	}
	return tsnNew
}

// adjoins reports whether a chunk agrees with its neighbours: without I-DATA a message's chunks have
// TSNs in a row, so that where one ends the next begins and nowhere else.
func (r *receiver) adjoins(tsn uint64, flags uint8) bool {
	begin, end := flags&wire.DataB != 0, flags&wire.DataE != 0
	switch {
	case tsn-1 == r.cum:
		if r.lastKnow && r.lastEnd != begin {
			return false
		}
	case r.tsns.seen(tsn-1, r.cum):
		if r.tsns.ends(tsn-1) != begin {
			return false
		}
	}
	return !r.tsns.seen(tsn+1, r.cum) || r.tsns.begins(tsn+1) == end
}

// arrived notes that a TSN has come, and moves cum.
func (r *receiver) arrived(tsn uint64, flags uint8) {
	begin, end := flags&wire.DataB != 0, flags&wire.DataE != 0
	if tsn == r.cum+1 && tsn > r.high {
		r.cum, r.high = tsn, tsn
		r.lastKnow, r.lastEnd = true, end
		return
	}
	r.tsns.set(tsn, r.cum, begin, end)
	r.high = max(r.high, tsn)
	if tsn == r.cum+1 {
		r.pass(r.tsns.run(tsn, r.high-r.cum, true))
	}
}

// pass moves cum by n TSNs that have come.
func (r *receiver) pass(n uint64) {
	if n == 0 {
		return
	}
	r.lastKnow, r.lastEnd = true, r.tsns.ends(r.cum+n)
	r.tsns.forget(r.cum+1, r.cum+n+1)
	r.cum += n
	if r.cum == r.high {
		r.tsns.release()
	}
}

// forward takes a FORWARD-TSN or I-FORWARD-TSN: all up to its TSN counts as received (RFC 3758, section
// 3.6). It reports false for a protocol violation.
func (r *receiver) forward(f *wire.ForwardTSN) bool {
	r.ack.data = true
	tsn := wide(r.cum, f.CumTSN)
	if tsn <= r.cum {
		r.ack.immediate = true // our SACK was lost
		return true
	}
	if tsn > r.cum+maxAhead {
		return false
	}
	if r.high > r.cum {
		r.ack.immediate = true
	}
	for i := range f.Streams() {
		if int(f.Stream(i).Stream) >= r.inbound {
			return false
		}
	}

	r.makeIncoming()
	if r.high > r.cum {
		r.tsns.forget(r.cum+1, min(tsn, r.high)+1)
	}
	r.cum = tsn
	r.lastKnow = false
	if r.high <= r.cum {
		r.high = r.cum
		r.tsns.release()
	} else {
		r.pass(r.tsns.run(r.cum+1, r.high-r.cum, true))
	}
	r.skip(tsn, f)
	return true
}

// free lets go of everything.
func (r *receiver) free() {
	if r.incoming == nil {
		return
	}
	for x := r.held.first; x != nil; x = r.held.first {
		if x.ready {
			r.ready.remove(x)
		}
		r.discard(x)
	}
	for x := r.ready.first; x != nil; x = r.ready.first {
		r.ready.pop()
		r.freeRun(x)
	}
	r.parts = 0
	r.tsns.drop()
	r.high = r.cum
}

// missing returns how many TSNs have not come below the highest that has.
func (r *receiver) missing() (n int) {
	for tsn := r.cum + 1; tsn < r.high; tsn++ {
		if !r.tsns.seen(tsn, r.cum) {
			n++
		}
	}
	return n
}
