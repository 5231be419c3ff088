package trace

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var kindNames = [kinds]string{
	Sent: "sent", Received: "received", Acknowledged: "acknowledged", Lost: "lost", State: "state",
	Window: "window", Rate: "rate", TimerSet: "timer set", TimerExpired: "timer expired",
	Stalled: "stalled", Called: "called", Dropped: "dropped", Refused: "refused", Struck: "fault", Missed: "missed", Shaped: "shaped",
}

var whyNames = [reasons]string{
	ByRACK: "RACK", ByDuplicates: "duplicate ACKs", ByTimeout: "timeout", ByProbe: "tail loss probe", ByMTU: "path MTU", ByHandshake: "the handshake",
	ByPeer:        "the peer's SYN",
	RecoveryBegan: "recovery began", RecoveryEnded: "recovery ended", TimedOut: "timed out", CongestionCE: "ECN", TLPRepaired: "TLP repaired",
	Undone: "undone", AfterIdle: "after idle", PeerClosed: "peer's window closed", PeerOpened: "peer's window open",
	ProgramSet: "set by the program", ByController: "congestion control",
	TimerRetransmit: "retransmission", TimerTailLoss: "tail loss", TimerReordering: "reordering", TimerPersist: "persist",
	TimerDelayedAck: "delayed ACK", TimerKeepAlive: "keepalive",
	ByNobody: "nobody", ByProgram: "the program", ByWindow: "the receiver's window", ByCWnd: "acknowledgments", ByPacing: "pacing",
	ByNagle: "Nagle", ByPath: "the path",
	NoRoom: "no room", ByFilter: "filter", BadChecksum: "checksum", NoSocket: "no socket",
}

// String returns the kind in words.
func (k Kind) String() string {
	if k > 0 && k < kinds {
		return kindNames[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// String returns the reason in words; "" for NoReason.
func (w Why) String() string {
	if w < reasons {
		return whyNames[w]
	}
	return "Why(" + strconv.Itoa(int(w)) + ")"
}

// String returns the flags in tcpdump's letters, '.' for ACK.
func (f Flags) String() string {
	var b strings.Builder
	for i, c := range "FSRP.UEW" {
		if f&(1<<i) != 0 {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// String returns the event as one line: when, whose, and what.
func (e *Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.6f", e.Time.Seconds())
	if e.Owner != 0 {
		fmt.Fprintf(&b, " [%d]", e.Owner)
	}
	if e.Local.IsValid() {
		fmt.Fprintf(&b, " %s %s", protocolName(e.Protocol), e.Local)
		if e.Peer.IsValid() {
			fmt.Fprintf(&b, " > %s", e.Peer)
		}
	}
	b.WriteByte(' ')
	b.WriteString(e.Text())
	return b.String()
}

// protocolTCP is IPPROTO_TCP.
const protocolTCP = 6

// datagram reports whether what was sent or received is one, and not a segment, which has numbers and flags.
// A raw socket's may have TCP's protocol number; what nobody has signed yet has none.
func (e *Event) datagram() bool {
	return e.Protocol != 0 && e.Flags == 0 && e.Seq == 0 && e.Ack == 0 && e.Window == 0
}

func protocolName(p uint8) string {
	switch p {
	case 1:
		return "icmp"
	case protocolTCP:
		return "tcp"
	case 17:
		return "udp"
	case 58:
		return "icmp6"
	case 132:
		return "sctp"
	}
	return "proto " + strconv.Itoa(int(p))
}

// Text returns what happened, without time and addresses.
func (e *Event) Text() string {
	var b strings.Builder
	switch e.Kind {
	case Sent, Received:
		if e.datagram() {
			fmt.Fprintf(&b, "%v %d", e.Kind, e.Len)
			break
		}
		e.segment(&b)
	case Acknowledged:
		fmt.Fprintf(&b, "acknowledged %d+%d", e.Seq, e.Len)
		if e.RTT > 0 {
			fmt.Fprintf(&b, " rtt %v", round(e.RTT))
		}
		fmt.Fprintf(&b, " cwnd %d in flight %d", e.CWnd, e.InFlight)
	case Lost:
		fmt.Fprintf(&b, "lost %d+%d: %v", e.Seq, e.Len, e.Why)
	case State:
		fmt.Fprintf(&b, "%s -> %s", e.Before, e.State)
	case Window:
		e.window(&b)
	case Rate:
		fmt.Fprintf(&b, "paced at %d B/s", e.Rate)
	case TimerSet:
		fmt.Fprintf(&b, "%v timer set to %v", e.Why, round(e.At))
	case TimerExpired:
		fmt.Fprintf(&b, "%v timer expired", e.Why)
	case Stalled:
		if e.Why == ByNobody {
			b.WriteString("goes on")
		} else {
			fmt.Fprintf(&b, "waits for %v", e.Why)
		}
	case Called:
		fmt.Fprintf(&b, "%s = %d", e.Call, e.Result)
		if e.Err != "" {
			b.WriteString(", " + e.Err)
		}
	case Dropped:
		fmt.Fprintf(&b, "dropped %d: %v", e.Len, e.Why)
	case Refused:
		b.WriteString("refused")
		if e.Protocol == protocolTCP || e.Protocol == 0 {
			fmt.Fprintf(&b, " %d", e.Seq)
		}
		b.WriteString(": " + e.Err)
	case Struck:
		b.WriteString("fault: " + e.Err)
	case Missed:
		fmt.Fprintf(&b, "%d events are missing: who listens was too slow", e.Result)
	case Shaped:
		b.WriteString("links are shaped: " + cmp.Or(e.State, "not at all"))
	default:
		b.WriteString(e.Kind.String())
	}
	return b.String()
}

func (e *Event) segment(b *strings.Builder) {
	fmt.Fprintf(b, "%v %v %d", e.Kind, e.Flags, e.Seq)
	if e.Len > 0 {
		fmt.Fprintf(b, "+%d", e.Len)
	}
	if e.Flags&ACK != 0 {
		fmt.Fprintf(b, " ack %d", e.Ack)
	}
	fmt.Fprintf(b, " win %d", e.Window)
	if e.Why != NoReason {
		fmt.Fprintf(b, ", again (%d): %v", e.Times, e.Why)
	}
}

// window tells of the peer's window, or the congestion window.
func (e *Event) window(b *strings.Builder) {
	switch e.Why {
	case PeerClosed, PeerOpened:
		fmt.Fprintf(b, "%v: %d", e.Why, e.Window)
		return
	case RecoveryEnded:
		b.WriteString("cwnd")
	case Undone:
		b.WriteString("cwnd restored")
	case ProgramSet:
		b.WriteString("cwnd kept")
	case ByController:
		b.WriteString("cwnd set")
	default:
		b.WriteString("cwnd reduced")
	}
	fmt.Fprintf(b, ": %v, cwnd %d", e.Why, e.CWnd)
	if e.SSThresh != NoThreshold {
		fmt.Fprintf(b, " ssthresh %d", e.SSThresh)
	}
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}
