package cc

import "time"

// MaxWindow is the largest window in bytes that a controller gives.
const MaxWindow = 1 << 30

// Controller is one connection's congestion control. The core calls Start before anything else.
//
// Its methods are called one at a time, with the host locked: they must not block, nor call
// anything of a host, and what they are given is theirs during the call.
type Controller interface {
	// Name is the name under which programs choose the controller (TCP_CONGESTION). It is
	// always the same.
	Name() string

	// Start begins with a new connection, or takes one over from another
	// controller.
	Start(s Start)

	// Sent is called when data leaves for the first time or again, before
	// inFlight counts it.
	Sent(now time.Duration, inFlight, bytes uint32)

	// Ack is called for each acknowledgment that brings news: bytes acknowledged
	// or SACKed for the first time, losses, an RTT or rate sample. If it also
	// begins or ends recovery, Congestion or Recovered is called first.
	Ack(a *Ack)

	// Congestion says that data was lost or marked by the network, at most once
	// for each window of data: not again before all that was outstanding at the
	// last call is acknowledged. The core is then in recovery (Cause Loss), or
	// in its CWR state (Cause ECN), until Recovered.
	Congestion(e *Event)

	// Recovered says that all data outstanding at Congestion or Timeout is
	// acknowledged.
	Recovered(now time.Duration)

	// Timeout says that the retransmission timer expired, and that all
	// outstanding data is taken to be lost.
	Timeout(e *Event)

	// Undo takes back what Congestion and Timeout did since the last Recovered, or
	// before it if nothing has happened since: the loss was none, or the timeout
	// spurious.
	Undo(now time.Duration)

	// Restart is called before data is sent when nothing was in flight for idle,
	// which is longer than the retransmission timeout rto.
	Restart(now, idle, rto time.Duration)

	// SetMSS says that the maximum segment size changed to mss bytes.
	SetMSS(mss uint32)

	// CWnd is the congestion window. While the core is in recovery and
	// OwnsRecovery is false it is the window that recovery aims at.
	CWnd() uint32

	// SSThresh is the slow-start threshold, MaxWindow before the first loss.
	SSThresh() uint32

	// PacingRate is the rate in bytes a second at which to send, 0 for no pacing.
	PacingRate() uint64

	// OwnsRecovery reports that CWnd holds in recovery too, in place of PRR.
	OwnsRecovery() bool
}

// Informer is a Controller that tells about itself (TCP_CC_INFO).
type Informer interface {
	// AppendInfo appends what Linux's controller of the name tells, in its layout.
	AppendInfo(b []byte) []byte
}

// LossObserver is a Controller that looks at each segment that is lost, and not only at their
// sum (Ack.Lost).
type LossObserver interface {
	// Lost is called for each segment that is marked lost, again if it is lost again, before
	// the Congestion, Timeout or Ack that goes with it; not for one that was too large for the
	// path, nor for data of a SYN that the server left.
	Lost(l LostSegment)
}

// LostSegment is a segment that is marked lost. A segment is what was sent at once, which may be
// several times the MSS.
type LostSegment struct {
	Now       time.Duration
	Start     uint64 // stream offset of its first byte
	Bytes     uint32
	InFlight  uint32 // bytes in flight when it was sent, itself included
	Lost      uint64 // bytes lost since it was sent, itself included
	Delivered uint64 // C.delivered now: Sample.Total of the last Ack or later

	AppLimited bool // the sender had run out of data when it was sent
	SACK       bool // SACK is in use; without it one loss a round trip is all that shows
}

// Start is the state of the connection that a controller begins with.
type Start struct {
	Now      time.Duration
	MSS      uint32        // SMSS: bytes of data in a full segment
	CWnd     uint32        // InitialWindow(MSS), one MSS after a lost SYN, or the predecessor's window
	SSThresh uint32        // 0: none yet
	SRTT     time.Duration // 0: unknown
	MinRTT   time.Duration // 0: unknown
}

// State says what the sender is doing about losses.
type State uint8

// The states.
const (
	Open     State = iota // nothing is amiss, or only segments out of order
	CWR                   // the window is being reduced after an ECN mark
	Recovery              // fast recovery
	Loss                  // recovery after a timeout
)

// Ack is what one acknowledgment brought. Its fields describe the connection
// after the acknowledgment was processed, unless they say otherwise.
type Ack struct {
	Now    time.Duration
	RTT    time.Duration // newest RTT sample; 0: this acknowledgment gave none
	SRTT   time.Duration // smoothed RTT; 0: none yet
	MinRTT time.Duration // smallest RTT known to the core; 0: none yet

	// Bytes. Acked counts what SACK had told before, Delivered counts it there.
	Delivered     uint32 // bytes acknowledged or SACKed for the first time
	Acked         uint32 // bytes by which snd.una advanced
	Lost          uint32 // bytes newly marked lost
	PriorInFlight uint32 // bytes in flight before the acknowledgment
	InFlight      uint32 // bytes in flight now

	SndUna, SndNxt uint64 // stream offsets

	State       State
	CWndLimited bool // Usage.Limited: the window is what holds the sender back
	CWndFull    bool // Usage.Full: it was used up; half of it does not count, below SSThresh either
	Reordering  bool // the path was seen to reorder by more than the core takes for granted
	ECE         bool // the peer echoed an ECN mark

	Rate Sample // delivery rate; Rate.Interval 0: no sample
}

// Cause is why a window is reduced.
type Cause uint8

// The causes.
const (
	ByLoss Cause = iota
	ByECN
)

// Event is the state of the connection when congestion is found.
type Event struct {
	Now      time.Duration
	Cause    Cause
	InFlight uint32 // FlightSize: snd.nxt - snd.una, in bytes, before anything is marked lost
	SndNxt   uint64
	Repeated bool // Timeout only: ssthresh was reduced for this window of data already
}

// InitialWindow is the window of a new connection: ten segments, but no more
// than 14600 bytes unless that is less than two segments (RFC 6928 section 2).
func InitialWindow(mss uint32) uint32 {
	return min(10*mss, max(2*mss, 14600))
}
