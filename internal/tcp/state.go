package tcp

// State is a connection's state (RFC 9293 §3.3.2).
type State uint8

// The states. LISTEN is the endpoint's, not a connection's.
const (
	Closed State = iota
	Listen
	SynSent
	SynRcvd
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

var stateNames = [...]string{
	"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
	"FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
}

// String returns the RFC's name.
func (s State) String() string { return stateNames[s] }

// linuxStates are the values of tcpi_state.
var linuxStates = [...]uint8{
	Closed: 7, Listen: 10, SynSent: 2, SynRcvd: 3, Established: 1, FinWait1: 4,
	FinWait2: 5, CloseWait: 8, Closing: 11, LastAck: 9, TimeWait: 6,
}

// Linux returns the number that Linux has for the state.
func (s State) Linux() uint8 { return linuxStates[s] }

// synchronized reports whether both sides know each other's numbers.
func (s State) synchronized() bool { return s >= Established }

// canSend reports whether the program may still queue data.
func (s State) canSend() bool { return s == Established || s == CloseWait }

// finSent reports whether the program has ended its direction.
func (s State) finSent() bool {
	return s == FinWait1 || s == FinWait2 || s == Closing || s == LastAck || s == TimeWait
}
