package trace

import (
	"net/netip"
	"time"
)

// Event is one thing that happened. Which fields have a meaning depends on its Kind; the others
// are zero. Sequence numbers are offsets in the stream: 0 is the SYN's, 1 the first byte's.
type Event struct {
	Time time.Duration // since the host's epoch
	Kind Kind
	Why  Why

	// Whose it is.
	Socket   uint64 // its number, as SocketInfo.ID; 0: without socket, not yet or not any more
	Owner    int32  // the process, under usock run; 0: not known
	Protocol uint8  // IPPROTO_TCP, IPPROTO_UDP, ...
	Local    netip.AddrPort
	Peer     netip.AddrPort

	// Of segments, and of ranges of the stream: [Seq, Seq+Len).
	Seq    uint64
	Len    uint32 // SYN and FIN are counted; of a datagram: its payload
	Ack    uint64 // of a segment with the ACK flag
	Window uint32 // bytes: what a segment offers, or, in an event of Kind Window, the peer's
	Flags  Flags  // of a segment
	Times  uint8  // how often this was sent, this time counted: Sent, Lost

	// Of State, RFC 9293's names; of Shaped, what is done to the host's links, in words.
	Before, State string

	// Of Window, Rate and Acknowledged: the sender as it is after the event.
	CWnd, SSThresh uint32 // bytes; NoThreshold: none was found yet
	InFlight       uint32 // bytes
	SRTT, RTTVar   time.Duration
	RTT            time.Duration // a sample; 0: none
	Rate           uint64        // bytes per second: delivered (Acknowledged), or to be paced at (Rate)

	// Of TimerSet, when it is due; of Stalled, since when.
	At time.Duration

	// Of Called.
	Call   string // the call's name
	Result int    // what it returned
	Err    string // its error; "": none; of Refused and Struck: what it is
}

// NoThreshold is the SSThresh of a sender that has seen no congestion yet.
const NoThreshold = ^uint32(0)

// Kind is what sort of event it is.
type Kind uint8

// The kinds.
const (
	Sent         Kind = 1 + iota // a segment or datagram was handed to IP; Why, where it was sent before: what has it sent again
	Received                     // a segment of this connection arrived, or a datagram for this socket
	Acknowledged                 // Len bytes from Seq on were acknowledged, cumulatively (Ack) or by SACK
	Lost                         // the range is taken to be lost, and Why
	State                        // the connection's state changed
	Window                       // the congestion window, ssthresh or the peer's window changed by more than growth
	Rate                         // the pacing rate changed by more than an eighth
	TimerSet                     // Why says which timer; not told again while it is only put off, until what was told is over
	TimerExpired
	Stalled // data waits, and Why says for whom; ByNobody: it goes on
	Called  // a call of the program ended
	Dropped // a datagram is not for the program, and Why
	Refused // an ICMP error about what was sent came, of which Err is the meaning; of TCP, about the segment at Seq
	Struck  // a fault that somebody has asked for (usock.Config.Faults) strikes, of which Err is the text
	Missed  // Result events are missing here: who listens was too slow
	Shaped  // what is done to the host's links has changed
	kinds
)

// Kinds is a set of kinds.
type Kinds uint32

// KindsOf is the set of these; of none, all of them.
func KindsOf(list ...Kind) (s Kinds) {
	if len(list) == 0 {
		return ^s
	}
	for _, k := range list {
		s |= 1 << k
	}
	return s
}

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// Why is the reason of an event.
type Why uint8

// The reasons.
const (
	NoReason Why = iota

	// Of Lost, and of segments sent again.
	ByRACK       // one sent later was delivered, and the reordering window has passed (RFC 8985 §6.2)
	ByDuplicates // three duplicate acknowledgments, or a partial one (RFC 5681 §3.2, RFC 6582)
	ByTimeout    // the retransmission timer (RFC 6298 §5)
	ByProbe      // a tail loss probe (RFC 8985 §7)
	ByMTU        // the path takes less, or a probe of its MTU was lost (RFC 4821, RFC 8899)
	ByHandshake  // the SYN-ACK did not acknowledge the SYN's data (RFC 7413)
	ByPeer       // the peer's SYN has come again (RFC 9293 §3.10.7.4)

	// Of Window.
	RecoveryBegan // fast recovery (RFC 5681 §3.2, RFC 6937)
	RecoveryEnded
	TimedOut     // a retransmission timeout (RFC 5681 §3.1)
	CongestionCE // the peer echoes congestion experienced (RFC 3168 §6.1.2)
	TLPRepaired  // a tail loss probe has repaired a loss (RFC 8985 §7.4.2)
	Undone       // a reduction was needless: RFC 3522, RFC 5682 or RFC 3708
	AfterIdle    // a pause longer than the timeout (RFC 5681 §4.1)
	PeerClosed   // the peer's window is closed
	PeerOpened   // and open again
	ProgramSet   // the program chose another congestion control
	ByController // the congestion control's own decision, such as HyStart++'s (RFC 9406)

	// Of timers.
	TimerRetransmit // RFC 6298
	TimerTailLoss   // RFC 8985 §7.2
	TimerReordering // RFC 8985 §6.3
	TimerPersist    // window probes (RFC 9293 §3.8.6.1)
	TimerDelayedAck // RFC 9293 §3.8.6.3
	TimerKeepAlive  // RFC 9293 §3.8.4; FIN-WAIT-2 and TIME-WAIT, too

	// Of Stalled: whom the sender waits for.
	ByNobody  // data moves
	ByProgram // for the program to write, or to take its cork out
	ByWindow  // for the receiver's window
	ByCWnd    // for acknowledgments: the congestion window is full
	ByPacing  // for the time of the next segment
	ByNagle   // a small segment for the acknowledgment of another one (RFC 896)
	ByPath    // for the answer to what was sent again by timeout

	// Of Dropped.
	NoRoom      // the socket's receive buffer is full
	ByFilter    // the socket's filter does not let it through
	BadChecksum // or a length that is wrong
	NoSocket    // none is bound to where it goes
	reasons
)

// Flags are a segment's, with the bits of the TCP header.
type Flags uint16

// The flags (RFC 9293 §3.1, RFC 3168).
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)
