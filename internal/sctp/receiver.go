package sctp

import (
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// inData is a DATA or I-DATA chunk that has arrived.
type inData struct {
	wire.Data
	mid, fsn uint32 // of I-DATA
}

// dataResult is what a DATA chunk came to.
type dataResult uint8

const (
	dataTaken     dataResult = iota // kept, delivered, known, or dropped for want of memory
	dataBadStream                   // tell Invalid Stream Identifier in an ERROR; it is acknowledged all the same
	dataNone                        // no user data: ABORT with No User Data
	dataViolation                   // ABORT with Protocol Violation
)

// receiver is the half that takes the peer's data.
type receiver struct {
	cum         uint64 // Cumulative TSN
	bufSize     uint32 // SO_RCVBUF; half of it is the window
	sackDelay   time.Duration
	sackFreq    uint32 // packets
	pdPoint     uint32 // SCTP_PARTIAL_DELIVERY_POINT; 0: only where the window would stay shut
	interleaved bool
	sackAt      time.Duration // when a SACK is due at the latest; timer.Never
	delivered   uint64        // messages that have become ready in all, and that were read: the owner orders its
	read        uint64        // notifications by these
}

// begin sets the peer's initial TSN, the streams it may use and the buffer.
func (r *receiver) begin(tsn uint32, streams uint16, bufSize uint32) { panic("soon") }

// initialWindow is a_rwnd of INIT and INIT-ACK.
func (r *receiver) initialWindow() uint32 { panic("soon") }

// data takes a chunk, whose n bytes of user data stand in p from off on; p keeps its references.
func (r *receiver) data(now time.Duration, d *inData, p *packet.Vec, off, n int) dataResult {
	panic("soon")
}

// packet says that the packet of the last chunks is over: it decides when the SACK goes.
func (r *receiver) packet(now time.Duration) { panic("soon") }

// ackNow has a SACK leave with the next packet. sackDue says that one must leave now.
func (r *receiver) ackNow()                        { panic("soon") }
func (r *receiver) sackDue(now time.Duration) bool { panic("soon") }

// sackPending says that one may be bundled with DATA that leaves.
func (r *receiver) sackPending() bool { panic("soon") }

// appendSack writes a SACK chunk of at most room bytes behind b, and counts as sent.
func (r *receiver) appendSack(b []byte, room int) []byte { panic("soon") }

// inMessage describes what is read.
type inMessage struct {
	stream    uint16
	ssn       uint16 // or the low bits of the MID
	mid       uint32
	ppid      uint32
	tsn       uint32 // of its first chunk
	cumTSN    uint32 // when read
	unordered bool
	eor       bool // the last byte of the message is among what was taken
	length    int  // bytes of it that are there to be read
}

// readable says that front has something.
func (r *receiver) readable() bool { panic("soon") }

// front describes the message that is read next, without taking (MSG_PEEK, NXTINFO: behind says the one behind it).
func (r *receiver) front(m *inMessage) bool  { panic("soon") }
func (r *receiver) behind(m *inMessage) bool { panic("soon") }

// take appends views of up to most bytes of the front message to dst, with their references, and fills m.
func (r *receiver) take(most int, dst []packet.View, m *inMessage) ([]packet.View, bool) {
	panic("soon")
}

// peek is take that leaves all in its place, from byte off of the message on: each view has a reference.
func (r *receiver) peek(off, most int, dst []packet.View) []packet.View { panic("soon") }

// pdAborted hands over that a message was given up of which the program has read a part (SCTP_PARTIAL_DELIVERY_EVENT).
func (r *receiver) pdAborted(m *inMessage) bool { panic("soon") }

func (r *receiver) free() { panic("soon") }
