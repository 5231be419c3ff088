package sctp

import (
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// Signatures first: bodies follow in this branch within the hour.

// flow is what the sender knows of one path: the owner's path embeds it, and keeps it at its place.
type flow struct {
	t3       time.Duration // when T3-rtx expires; timer.Never: it does not run
	rto      time.Duration // RTO, with backoff
	srtt     time.Duration
	rttvar   time.Duration
	cwnd     uint32
	ssthresh uint32
	pba      uint32 // partial_bytes_acked
	flight   uint32 // bytes outstanding
	acked    uint32 // bytes that the last SACK acknowledged newly: more than 0 clears the error count
	room     uint32 // bytes for chunks in a full packet: PMTU less headers; set by sender.setMTU
	mtu      uint32
}

// sample takes a round trip that was measured by a HEARTBEAT or the handshake (section 6.3.1).
func (f *flow) sample(rtt time.Duration, b *rtoBounds) { panic("soon") }

// backOff doubles the RTO (section 6.3.3 E2, 8.3).
func (f *flow) backOff(b *rtoBounds) { panic("soon") }

// rtoBounds are RTO.Initial, RTO.Min and RTO.Max.
type rtoBounds struct{ initial, min, max time.Duration }

// sender is the half that sends. The owner sets primary and retran whenever states of paths change.
type sender struct {
	flows       []*flow
	primary     *flow // where new data goes
	retran      *flow // where what is marked for retransmission goes
	rto         rtoBounds
	maxBurst    uint32 // packets; 0: no limit
	maxSeg      uint32 // SCTP_MAXSEG: most user data in one chunk; 0: no limit
	noDelay     bool   // SCTP_NODELAY
	flush       bool   // no waiting for company: SHUTDOWN-PENDING
	interleaved bool   // I-DATA
	una, nxt    uint64 // lowest TSN not acknowledged cumulatively, next TSN to be given
	queued      uint32 // bytes of user data, sent and not acknowledged or not sent yet: against SO_SNDBUF
	numStreams  uint32 // outgoing streams, as agreed
}

// begin sets the initial TSN; the window and the streams come with the peer's INIT (agree).
func (s *sender) begin(tsn uint32)                   { panic("soon") }
func (s *sender) agree(arwnd uint32, streams uint16) { panic("soon") }
func (s *sender) addFlow(f *flow, mtu, overhead int) { panic("soon") } // overhead: IP, UDP and common header, AUTH
func (s *sender) removeFlow(f *flow)                 { panic("soon") } // what is outstanding there is marked
func (s *sender) setMTU(f *flow, mtu, overhead int)  { panic("soon") }
func (s *sender) maxPayload() int                    { panic("soon") } // most user data in one chunk now (SCTP_DISABLE_FRAGMENTS)

// outMessage is a message as the program sends it.
type outMessage struct {
	stream    uint16
	ppid      uint32
	context   uint32
	flags     uint16 // as the owner likes: kept for notifications
	unordered bool
	immediate bool  // SCTP_SACK_IMMEDIATELY
	to        *flow // SCTP_ADDR_OVER; nil: the primary
}

// push takes a message over, with its references. The owner has looked at queued and at the stream's number.
func (s *sender) push(now time.Duration, m *outMessage, views []packet.View) { panic("soon") }

// load is the DATA of a packet that is being built.
type load struct {
	room int  // bytes that are left for chunks
	bare bool // the packet holds no chunk yet: one that is too long may still go (IP fragments it)
	n    int  // DATA chunks chosen
}

// outData is a DATA or I-DATA chunk to be sent. The payload is lent: who keeps a view retains it.
type outData struct {
	wire.Data   // of I-DATA the SSN is not used
	interleaved bool
	mid, fsn    uint32
	payload     packet.Vec
}

// headerLen and put write the chunk's header. The owner pads.
func (d *outData) headerLen() int { panic("soon") }
func (d *outData) put(b []byte)   { panic("soon") }

// next chooses the next DATA chunk for a packet to f with the room that l has, or declines. What it returns counts as sent: T3
// runs. A packet is begun with l.n == 0.
func (s *sender) next(now time.Duration, f *flow, l *load, d *outData) bool { panic("soon") }

// sackResult is what a SACK came to.
type sackResult struct {
	invalid bool // acknowledges what was never sent: the owner aborts (protocol violation)
	old     bool // Cumulative TSN Ack below ours: nothing was done
	newly   bool // something was acknowledged newly
	room    bool // queued became less
}

func (s *sender) onSACK(now time.Duration, k *wire.Sack) sackResult { panic("soon") }

// onCumTSN takes the Cumulative TSN Ack of a SHUTDOWN chunk.
func (s *sender) onCumTSN(now time.Duration, tsn uint32) sackResult { panic("soon") }

// timeout does what follows from f's T3-rtx (section 6.3.3), the error counts excepted. The owner sets retran before.
func (s *sender) timeout(now time.Duration, f *flow) { panic("soon") }

// probing says that T3 runs for a zero window probe: such timeouts do not count as errors while the peer answers (section 6.1 A).
func (s *sender) probing() bool { panic("soon") }

// empty: nothing is queued and nothing outstanding: SHUTDOWN may go, SENDER_DRY is true.
func (s *sender) empty() bool { panic("soon") }

// takeFailed hands over a message that will never be delivered (abandoned; after fail: each that is left), nil: none.
func (s *sender) takeFailed() *message { panic("soon") }
func (s *sender) fail()                { panic("soon") } // the association is over: all that is queued has failed
func (s *sender) free()                { panic("soon") }

// message is one message that is queued or partly outstanding.
type message struct {
	outMessage
	n    uint32 // bytes
	sent bool   // some of it was sent
}

func (m *message) free() { panic("soon") }
