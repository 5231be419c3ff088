package control

import (
	"encoding/json"
	"time"
)

// Version is that of the messages. A server greets with it; a client that does not know it
// goes.
const Version = 1

// Greeting is the first line of a server.
type Greeting struct {
	Version int    `json:"usock"`
	Run     *Run   `json:"run,omitempty"`
	Error   *Error `json:"error,omitempty"` // no request will be answered
}

// Run is what is known of a run, or of another process with a host.
type Run struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Program []string `json:"program"` // with its arguments
	PID     int      `json:"pid"`     // the process that has the host
	Start   int64    `json:"start"`   // ms since 1970
	Epoch   int64    `json:"epoch"`   // that of the host's clock, likewise
	Shape   string   `json:"shape,omitempty"`
}

// Age returns how long the run has lasted.
func (r *Run) Age(now time.Time) time.Duration { return now.Sub(time.UnixMilli(r.Start)) }

// What a request asks for.
const (
	DoTraffic = "traffic"
	DoStats   = "stats"
	DoSockets = "sockets"
	DoEvents  = "events"
	DoCapture = "capture"
	DoTrace   = "trace"
	DoSet     = "set"
)

// Request is a line of a client's.
type Request struct {
	ID int64  `json:"id"` // stands in the replies
	Do string `json:"do"`

	// Of sockets and events: a filter as ss(8) has it; "": everything.
	Filter string `json:"filter,omitempty"`

	// Of sockets.
	Protocols []string `json:"protocols,omitempty"` // as Socket.Proto; none: all
	States    []string `json:"states,omitempty"`    // as Socket.State; none: all
	Detail    bool     `json:"detail,omitempty"`    // with Socket.TCP
	Inodes    bool     `json:"inodes,omitempty"`    // with Socket.Inode, and what waits between program and host

	// Of events.
	Kinds   []string `json:"kinds,omitempty"`   // in the words of package trace; none: all
	Process int32    `json:"process,omitempty"` // 0: all
	Looks   bool     `json:"looks,omitempty"`   // calls, too, that have found nothing to do (EAGAIN): usock's own, mostly
	Text    bool     `json:"text,omitempty"`    // each with a line for people

	// Of capture: filters as pcap-filter(7) has them, of which a packet must match each, and how many bytes of each packet
	// are recorded; 0: all. Behind the reply, which is not Done, the connection carries a capture in pcapng. It
	// ends when the client sends something, or nothing more; the server closes the connection then.
	Packets []string `json:"packets,omitempty"`
	SnapLen int      `json:"snaplen,omitempty"`

	// Of trace: the next bytes of traces' texts, which the next set of the connection has.
	Piece []byte `json:"piece,omitempty"`

	// Of set: what is to be done to the host's links otherwise. What is missing stays as it is.
	Reset    bool      `json:"reset,omitempty"`     // first of all, what was done at the start
	Profile  string    `json:"profile,omitempty"`   // "none": no profile
	Options  []Setting `json:"options,omitempty"`   // the value "none" takes an option away
	Rules    []string  `json:"rules,omitempty"`     // more of them, behind the others
	NoRules  []string  `json:"no_rules,omitempty"`  // those of these texts are taken away before
	Heal     bool      `json:"heal,omitempty"`      // and those, since the start, that cut
	Traces   []Trace   `json:"traces,omitempty"`    // in the order in which their texts have come
	Faults   []string  `json:"faults,omitempty"`    // more of them
	NoFaults []string  `json:"no_faults,omitempty"` // those of these texts are taken away before
}

// Setting is an option of a link's impairment, as --delay or --up-rate without the dashes.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Trace is a trace in place of a link's rate.
type Trace struct {
	Name string `json:"name"` // trace, up-trace or down-trace
	File string `json:"file"` // its name, for people
	Size int    `json:"size"` // bytes of its text
}

// Reply is a line of a server's. A request has one or more; the last has Done.
type Reply struct {
	ID      int64           `json:"id"`
	Traffic *Traffic        `json:"traffic,omitempty"`
	Stats   json.RawMessage `json:"stats,omitempty"` // usock.Stats, with its names
	Sockets []Socket        `json:"sockets,omitempty"`
	Events  []Event         `json:"events,omitempty"`
	Shape   *Shape          `json:"shape,omitempty"`
	Error   *Error          `json:"error,omitempty"`
	Done    bool            `json:"done,omitempty"`
}

// Shape is what is done to a host's links.
type Shape struct {
	Text string `json:"text"` // as flags
}

// Error is why something was not done.
type Error struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// The codes of errors.
const (
	Refused   = "refused"   // by who asks
	Busy      = "busy"      // too many clients
	Malformed = "malformed" // no request, or one that is too long
	Unknown   = "unknown"   // a request that this server does not have
	Invalid   = "invalid"   // one whose values make no sense
	Over      = "over"      // the run ends: the last line of a connection
)

// Traffic is what a host's interfaces have carried.
type Traffic struct {
	At         int64              `json:"at"` // µs of a clock that only goes forward
	Interfaces []InterfaceTraffic `json:"interfaces"`
}

// InterfaceTraffic counts packets and their bytes.
type InterfaceTraffic struct {
	Name      string `json:"name"`
	RxPackets uint64 `json:"rx_packets"`
	RxBytes   uint64 `json:"rx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxBytes   uint64 `json:"tx_bytes"`
}

// Event is an event of package trace in its JSON.
type Event struct {
	Data    json.RawMessage `json:"event"`
	Text    string          `json:"text,omitempty"`
	Program string          `json:"program,omitempty"`
}

// Socket is a socket, or a connection that outlives its own.
type Socket struct {
	ID         uint64 `json:"id,omitempty"` // 0: without socket
	Proto      string `json:"proto"`
	State      string `json:"state"`
	RecvQ      int    `json:"recv_q"`
	SendQ      int    `json:"send_q"`
	Local      string `json:"local,omitempty"`
	Peer       string `json:"peer,omitempty"`
	Process    int32  `json:"process,omitempty"`
	Program    string `json:"program,omitempty"` // the name of that process's
	Inode      uint32 `json:"inode,omitempty"`
	Drops      uint64 `json:"drops,omitempty"`
	RxBytes    uint64 `json:"rx_bytes,omitempty"` // but of TCP
	TxBytes    uint64 `json:"tx_bytes,omitempty"`
	V6         bool   `json:"v6,omitempty"`
	V6Only     bool   `json:"v6only,omitempty"`
	Device     string `json:"device,omitempty"`
	Congestion string `json:"congestion,omitempty"`
	Left       int64  `json:"time_wait_ms,omitempty"`
	TCP        *TCP   `json:"tcp,omitempty"`
	Stall      string `json:"stall,omitempty"` // who waits for whom, in words
}
