package tcp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"usock/cc"
	"usock/internal/congestion"
	"usock/internal/wire"
	"usock/packet"
	"usock/trace"
)

// Segment is one TCP segment, arriving or leaving. The ports of the header are
// the caller's to fill in on the way out and are ignored on the way in.
type Segment struct {
	wire.TCP

	// Data is the payload. Conn.Segment takes over the references of an arriving
	// segment; Conn.Poll hands the references of a leaving one to the caller.
	Data packet.Vec

	// CE says of an arriving segment that its IP header was marked Congestion
	// Experienced (RFC 3168).
	CE bool

	// ECT says of a leaving segment that its packet is to be marked ECT(0).
	ECT bool

	// SegmentSize, if not zero, says of a leaving segment that it is larger than
	// the MSS and is to be cut into segments of this many bytes of data, and of an
	// arriving one that it is a run of such segments.
	SegmentSize uint16
}

// Len returns SEG.LEN: the sequence numbers that the segment occupies, SYN and
// FIN included.
func (s *Segment) Len() uint32 {
	n := uint32(s.Data.Len())
	if s.Flags&wire.SYN != 0 {
		n++
	}
	if s.Flags&wire.FIN != 0 {
		n++
	}
	return n
}

// Segments returns how many segments on the link s is: one, but for large ones.
func (s *Segment) Segments() uint64 {
	if s.SegmentSize == 0 {
		return 1
	}
	return (uint64(s.Data.Len()) + uint64(s.SegmentSize) - 1) / uint64(s.SegmentSize)
}

// When Explicit Congestion Notification is used (RFC 3168), with the numbers of
// Linux's net.ipv4.tcp_ecn.
const (
	ECNOff     = 0 // never
	ECNOn      = 1 // asked for and agreed to
	ECNPassive = 2 // agreed to when the peer asks
)

// When Fast Open is used (RFC 7413), with the bits of Linux's net.ipv4.tcp_fastopen.
const (
	FastOpenClient         = 0x1   // sends may open connections
	FastOpenServer         = 0x2   // listeners that ask for it take data in SYNs
	FastOpenClientNoCookie = 0x4   // data is sent in the SYN without having a cookie
	FastOpenServerNoCookie = 0x200 // data in the SYN is taken without one
	FastOpenListeners      = 0x400 // listeners need not ask for it: their backlog is the bound
)

// Config holds what is the same for all connections of a host.
type Config struct {
	Settings

	// Trace is who listens to events: another number where it is others, who have been told nothing; 0: nobody. It may change
	// between calls of the core.
	Trace uint32

	// Kinds are the kinds of events that they listen to: of the others the core need not look whether there are such. It changes
	// as Trace does.
	Kinds trace.Kinds

	// Counters is where all connections count; never nil.
	Counters *Counters

	// KeepFlight has a connection that is over, or in TIME-WAIT, keep what Info knows of its sending, until Told or Release.
	KeepFlight bool

	// Memory is the account of all connections; never nil.
	Memory *Memory
}

// Settings are what a host's owner chooses. They must not change once a connection uses them.
type Settings struct {
	SACK          bool
	Timestamps    bool
	WindowScaling bool
	ECN           int // ECNOff, ECNOn or ECNPassive
	FastOpen      int // FastOpenClient and its neighbours

	RMem, WMem [3]int // bytes of receive and send buffer: least, initial, most
	CC         string // congestion control of a connection that names none

	// Controllers are congestion controls besides those of package cc, by name.
	Controllers map[string]func() cc.Controller

	SynRetries       int // of an active open, before the linear ones are added
	SynLinear        int // how many retransmissions of a SYN come without backoff
	SynAckRetries    int
	Retries1         int // retransmissions after which the path is doubted
	Retries2         int // retransmissions after which a connection fails
	OrphanRetries    int // the same, once the program has closed; 0: 8
	FinTimeout       time.Duration
	TimeWait         time.Duration
	InitialRTO       time.Duration
	MinRTO, MaxRTO   time.Duration
	KeepIdle         time.Duration
	KeepIntvl        time.Duration
	KeepCnt          int
	MinSendMSS       int // floor under what a peer's MSS option can ask for
	InitialCwnd      int // segments (RFC 6928)
	SlowStartIdle    bool
	RFC1337          bool // TIME-WAIT ignores RSTs
	MTUProbing       int  // 0: never, 1: when a black hole is suspected, 2: always
	BaseMSS          int  // first size that MTU probing tries
	Reordering       int  // initial tolerance in segments
	NotSentLowat     uint32
	AbortOnOverflow  bool
	MaxReordering    int
	InvalidRateLimit time.Duration // least time between answers to out-of-window segments
	Mem              [3]int        // bytes that all queues may hold: pressure ends, begins, and no more; 0: ScaleTo decides
	MaxOrphans       int           // connections that no program holds; 0: ScaleTo decides
}

// DefaultConfig returns a Config with Linux's defaults (DefaultSettings).
func DefaultConfig() *Config {
	c := &Config{Settings: *DefaultSettings(), Counters: new(Counters), Memory: new(Memory)}
	c.ScaleTo(8 << 30)
	return c
}

// DefaultSettings returns Linux's defaults, but for what buffers grow to: 60 MiB, in place of 32 and 4,
// carry 10 Gbit/s over 20 ms, and the window scale that goes with them is Linux's, 10.
func DefaultSettings() *Settings {
	return &Settings{
		SACK:             true,
		Timestamps:       true,
		WindowScaling:    true,
		ECN:              ECNPassive,
		FastOpen:         FastOpenClient,
		RMem:             [3]int{4096, 131072, 60 << 20},
		WMem:             [3]int{4096, 16384, 60 << 20},
		CC:               "cubic",
		SynRetries:       6,
		SynLinear:        4,
		SynAckRetries:    5,
		Retries1:         3,
		Retries2:         15,
		FinTimeout:       60 * time.Second,
		TimeWait:         60 * time.Second,
		InitialRTO:       time.Second,
		MinRTO:           200 * time.Millisecond,
		MaxRTO:           120 * time.Second,
		KeepIdle:         2 * time.Hour,
		KeepIntvl:        75 * time.Second,
		KeepCnt:          9,
		MinSendMSS:       48,
		InitialCwnd:      10,
		SlowStartIdle:    true,
		MTUProbing:       1,
		BaseMSS:          1024,
		Reordering:       3,
		MaxReordering:    300,
		NotSentLowat:     ^uint32(0),
		InvalidRateLimit: 500 * time.Millisecond,
	}
}

// controller makes the congestion control of the name; false if there is none. The empty
// name gives the default.
func (c *Config) controller(name string) (cc.Controller, bool) {
	if c != nil {
		if f := c.Controllers[name]; f != nil {
			return f(), true
		}
	}
	return congestion.New(name)
}

// maxCCName is the length in bytes of the longest name of a congestion control: Linux's
// TCP_CA_NAME_MAX less the NUL.
const maxCCName = 15

// CheckControllers returns an error in words if CC or Controllers make no sense.
func (c *Config) CheckControllers() error {
	names := congestion.Names()
	for _, name := range slices.Sorted(maps.Keys(c.Controllers)) {
		f := c.Controllers[name]
		switch {
		case name == "" || len(name) > maxCCName || strings.ContainsAny(name, "\x00 "):
			return fmt.Errorf("congestion control %q: want a name of 1 to %d bytes without spaces", name, maxCCName)
		case slices.Contains(congestion.Names(), name):
			return fmt.Errorf("congestion control %q: the name is taken", name)
		case f == nil:
			return fmt.Errorf("congestion control %q: no function makes it", name)
		}
		if own := f().Name(); own != name {
			return fmt.Errorf("congestion control %q calls itself %q", name, own)
		}
		names = append(names, name)
	}
	if c.CC != "" && !slices.Contains(names, c.CC) {
		return fmt.Errorf("congestion control %q is not one of %v", c.CC, names)
	}
	return nil
}

// Params is what a connection starts from.
type Params struct {
	Config   *Config
	ISS      uint32 // initial send sequence number
	TSOffset uint32 // added to the clock in timestamps

	// MSS is what is advertised, and the most that is sent: the route's MTU less
	// the fixed IP and TCP headers.
	MSS int

	// AssumedMSS is what a peer is sent whose SYN has no MSS option; 0: 536 (RFC 9293 §3.7.1).
	AssumedMSS uint16

	// MaxSegment is the largest payload of one segment where the link cuts large
	// ones itself; 0: the MSS.
	MaxSegment int

	// RcvBuf and SndBuf fix the buffers' sizes in bytes; 0: tuned automatically.
	RcvBuf, SndBuf int

	// Options are copied into the connection; nil: those it has.
	Options *Options

	// Hold has an active open keep its SYN until SendSYN.
	Hold bool

	// FastOpen is used by an active open.
	FastOpen FastOpen

	// ServerFastOpen is used by a passive one.
	ServerFastOpen ServerFastOpen
}

// FastOpen is what a client knows about a server's support of RFC 7413.
type FastOpen struct {
	Ask      bool // ask for a cookie or, with one, send data in the SYN
	NoCookie bool // send data in the SYN without the option
	Wait     bool // SendSYN is called before the SYN leaves
	Exp      bool // the option has the experimental form
	NCookie  uint8
	Cookie   [wire.MaxFastOpenCookie]byte
	MSS      uint16 // the server's, as remembered with the cookie; 0: not known
}

// FastOpenAnswer is what a client learns of Fast Open from a handshake.
type FastOpenAnswer struct {
	MSS     uint16 // the server's
	Refused bool   // the first SYN asked for a cookie, and the SYN-ACK had none
	Exp     bool   // form of the cookie, or of the request that was refused
	NCookie uint8  // 0: none came
	Cookie  [wire.MaxFastOpenCookie]byte
}

// ServerFastOpen is what a server does with a SYN by RFC 7413.
type ServerFastOpen struct {
	Data    bool  // the cookie was valid: take the SYN's data and send at once
	Exp     bool  // the option in the SYN-ACK has the experimental form
	NCookie uint8 // a cookie to hand out in the SYN-ACK; 0: no option
	Cookie  [wire.MaxFastOpenCookie]byte
}

// CookieState is what a SYN cookie has carried over from a SYN whose state was
// not kept, together with the numbers that its acknowledgement gives.
type CookieState struct {
	MSS           uint16 // peer's, as far as the cookie could hold it
	HasWScale     bool
	WScale        uint8 // peer's
	SACKPermitted bool
	Timestamps    bool
	ECN           bool
}

// ICMPError is an ICMP error message about a segment of the connection.
type ICMPError struct {
	Seq   uint32        // sequence number of the quoted header
	Errno syscall.Errno // what Linux makes of the type and code; 0: none (source quench)
	MSS   int           // not zero: packet too big; what the reported MTU leaves for data and TCP options
}
