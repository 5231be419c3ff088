package sctp

import (
	"math"
	"net/netip"
	"syscall"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// In is a packet that arrives: what stands behind the IP header, whose checksum is right.
type In struct {
	Src, Dst netip.Addr
	wire.SCTP

	// Head and Body are the chunks. Head is only valid during the call; the references of Body pass
	// to whoever takes the packet.
	Head []byte
	Body packet.Vec

	Encap uint16 // source port of the UDP packet that it was in (RFC 6951); 0: none

	At int64 // when it came, by a clock of the owner's: RcvInfo.At of its messages

	ZeroSum bool // its checksum is zero, which is wrong (RFC 9653)

	CE bool // the IP header was marked Congestion Experienced (RFC 3168)

	dear int // chunks of it whose work may be more than their bytes
}

// headCap is what a packet's chunks take of its headroom (packet.Headroom) in bytes at most.
const headCap = 48

// Out is a packet that leaves. Its checksum is left to the owner.
type Out struct {
	Src netip.Addr // not valid: whatever the owner's route to Dst gives
	Dst netip.Addr
	wire.SCTP

	Encap uint16 // goes in a UDP packet to this port (RFC 6951); 0: does not

	// Body is what stands behind Head; its references pass to the caller of Poll.
	Body packet.Vec

	ZeroSum  bool // leaves with a checksum of zero (RFC 9653)
	ECT      bool // mark the packet ECT(0)
	Fragment bool // IP may fragment it: it is larger than what the path is known to carry

	head  [headCap]byte
	nhead uint8
	build builder
}

// Head returns the bytes behind the common header that stand before Body.
func (o *Out) Head() []byte { return o.head[:o.nhead] }

// Len returns the length in bytes, common header included.
func (o *Out) Len() int { return wire.SCTPLen + int(o.nhead) + o.Body.Len() }

// ICMPError is an ICMP error about a packet of the association.
type ICMPError struct {
	Peer  netip.Addr // where the packet went
	VTag  uint32     // of the quoted packet; 0 with InitTag: the quoted chunk is an INIT of that tag
	Init  uint32
	Errno syscall.Errno // what Linux makes of type and code; 0: none
	MTU   int           // not zero: packet too big
	Proto bool          // protocol unreachable: there is no SCTP (RFC 9260, section 10, ICMP5)
}

// Settings are what a host's owner chooses: Linux's net.sctp. They must not change once an
// association uses them.
type Settings struct {
	RTOInitial, RTOMin, RTOMax time.Duration
	CookieLife                 time.Duration
	CookiePreserve             bool // a peer may ask for a longer life of its cookie
	MaxBurst                   int
	MaxRetrans                 int // of an association
	PathMaxRetrans             int
	MaxInitRetrans             int
	PFRetrans                  int // errors behind which a path is potentially failed (RFC 7829)
	PSRetrans                  int // errors behind which the primary path is switched for good
	PFExpose                   int // what is told of potentially failed paths: the owner's to go by
	MaxAutoClose               time.Duration
	SndBufPolicy               bool // each association has a send buffer of its own: the owner's to go by
	HBInterval                 time.Duration
	SackDelay                  time.Duration
	SackFreq                   int
	RcvBuf, SndBuf             int
	Scope                      int // net.sctp.addr_scope_policy: ScopeOff to ScopeLink
	PRSCTP, ReConf, Auth       bool
	Addip, Interleave, ECN     bool
	UDPPort                    uint16        // of this host, where UDP encapsulation is received; 0: it is off
	EncapPort                  uint16        // the peers' UDP port; 0: no encapsulation
	EncapVia                   string        // the interface by which it leaves in UDP; "": whichever
	TranslatedVia              string        // the interface behind which addresses are translated
	ProbeInterval              time.Duration // of path MTU discovery (RFC 8899); 0: off
}

// DefaultSettings returns Linux's defaults.
func DefaultSettings() *Settings {
	return &Settings{
		RTOInitial: 3 * time.Second, RTOMin: time.Second, RTOMax: 60 * time.Second,
		CookieLife: 60 * time.Second, CookiePreserve: true,
		MaxBurst: 4, MaxRetrans: 10, PathMaxRetrans: 5, MaxInitRetrans: 8,
		PFRetrans: 0, PSRetrans: 0xffff,
		MaxAutoClose: math.MaxInt32 / 100 * time.Second, // what a number of Linux's ticks can hold, 100 a second
		HBInterval:   30 * time.Second, SackDelay: 200 * time.Millisecond, SackFreq: 2,
		RcvBuf: 212992, SndBuf: 212992,
		Scope: ScopeAll, PRSCTP: true, ECN: true,
	}
}

// Which addresses are told to which peers (net.sctp.addr_scope_policy).
const (
	ScopeOff     = 0 // all to all
	ScopeAll     = 1 // what the peer's address can reach: the draft's rule
	ScopePrivate = 2 // as ScopeAll, private ones to global peers, too
	ScopeLink    = 3 // as ScopeAll, link-local ones, too
)

// Config holds what is the same for all associations of a host.
type Config struct {
	Settings

	// Counters is where all associations count; never nil.
	Counters *Counters

	// Rand fills b with random bytes that nobody can guess: tags, initial TSNs, secrets, nonces.
	Rand func(b []byte)

	secret secret
	drawn  [8]byte // random bytes on their way
}

// Counters count by the names of Linux's /proc/net/sctp/snmp. Packets, the out of the blue and wrong checksums are the
// owner's to count.
type Counters struct {
	ActiveEstabs, PassiveEstabs, Aborteds, Shutdowns      uint64
	OutOfBlues, ChecksumErrors                            uint64
	OutCtrlChunks, OutOrderChunks, OutUnorderChunks       uint64
	InCtrlChunks, InOrderChunks, InUnorderChunks          uint64
	OutPackets, InPackets                                 uint64
	T1InitExpireds, T1CookieExpireds, T2ShutdownExpireds  uint64
	T3RtxExpireds, T4RtoExpireds, T5ShutdownGuardExpireds uint64
	DelaySackExpireds, AutocloseExpireds                  uint64
	PmtudRetransmits, InPktDiscards                       uint64
}

// Options are what a program sets for an association before or while it lives. A socket has them for
// the associations to come. Sockets and associations share what none of them has changed: who changes
// options changes a copy of them. The Set methods of Assoc change those whose change has an effect of
// its own; the others may be written through Assoc.Change.
type Options struct {
	// SCTP_INITMSG
	OutStreams     uint16
	MaxInStreams   uint16
	MaxInitRetrans uint16
	MaxInitTimeout time.Duration

	RTOBounds // SCTP_RTOINFO

	// SCTP_ASSOCINFO
	MaxRetrans uint16
	CookieLife time.Duration

	// Path is what new paths start from (SCTP_PEER_ADDR_PARAMS and its neighbours).
	Path PathOptions

	SackDelay  time.Duration // SCTP_DELAYED_SACK; with a frequency of 1 there is none
	SackFreq   uint32
	MaxBurst   uint32 // SCTP_MAX_BURST; 0: no bound
	MaxSeg     uint32 // SCTP_MAXSEG: largest fragment in bytes of user data; 0: what the path carries
	NoDelay    bool   // SCTP_NODELAY
	NoFragment bool   // SCTP_DISABLE_FRAGMENTS
	Interleave uint32 // SCTP_FRAGMENT_INTERLEAVE: 0, 1 or 2
	PDPoint    uint32 // SCTP_PARTIAL_DELIVERY_POINT in bytes
	Adaptation uint32 // SCTP_ADAPTATION_LAYER
	HasAdapt   bool   // and whether it is sent in INIT
	Context    uint32 // SCTP_CONTEXT: of messages that are received
	AutoClose  time.Duration
	Scheduler  uint16 // SCTP_STREAM_SCHEDULER

	PR     bool // PR-SCTP is offered and taken
	ReConf bool // stream reconfiguration
	IData  bool // message interleaving
	ECN    bool // explicit congestion notification
	Auth   bool // RFC 4895
	Asconf bool // RFC 5061

	Translated bool // the addresses of packets are, on their way: INIT tells no others

	EDMID uint32 // SCTP_ACCEPT_ZERO_CHECKSUM: what protects packets instead of the checksum; 0: nothing does
	Reset uint32 // SCTP_ENABLE_STREAM_RESET: which requests of the peer are granted

	AuthSetup *AuthOptions // nil: nothing is set; not changed once an association has it

	Events EventMask // which notifications are queued

	Default SendInfo // SCTP_DEFAULT_SNDINFO and SCTP_DEFAULT_PRINFO
}

// Buffers are SO_RCVBUF and SO_SNDBUF in bytes.
type Buffers struct{ RcvBuf, SndBuf int }

// PathOptions are the parameters of a path.
type PathOptions struct {
	HBInterval time.Duration
	ProbeIntvl time.Duration // of packetization layer path MTU discovery; 0: off
	PathMTU    uint32        // with NoPMTUD: the fixed path MTU
	FlowLabel  uint32
	MaxRetrans uint16
	PFRetrans  uint16
	PSRetrans  uint16
	EncapPort  uint16 // the peer's UDP port (RFC 6951); 0: no encapsulation
	DSCP       uint8
	NoHB       bool // no heartbeats
	NoPMTUD    bool
	HasDSCP    bool
	HasFlow    bool
	ExposePF   bool // SCTP_EXPOSE_POTENTIALLY_FAILED_STATE: tell of it
}

// DefaultOptions returns the options of a socket that nobody has set any of.
func (c *Config) DefaultOptions() *Options {
	encap := c.EncapPort
	if c.EncapVia != "" {
		encap = 0 // the route says
	}
	return &Options{
		OutStreams: 10, MaxInStreams: 65535, MaxInitRetrans: uint16(c.MaxInitRetrans),
		RTOBounds:  RTOBounds{c.RTOInitial, c.RTOMin, c.RTOMax},
		MaxRetrans: uint16(c.MaxRetrans), CookieLife: c.CookieLife,
		Path: PathOptions{
			HBInterval: c.HBInterval, MaxRetrans: uint16(c.PathMaxRetrans),
			PFRetrans: uint16(c.PFRetrans), PSRetrans: uint16(c.PSRetrans), ProbeIntvl: c.ProbeInterval, EncapPort: encap,
		},
		SackDelay: c.SackDelay, SackFreq: uint32(c.SackFreq), MaxBurst: uint32(c.MaxBurst),
		PDPoint: uint32(c.RcvBuf / 2), PR: c.PRSCTP, ReConf: c.ReConf, IData: c.Interleave, ECN: c.ECN,
		Auth: c.Auth, Asconf: c.Addip,
	}
}

// DefaultBuffers returns those of a socket that nobody has set any of.
func (c *Config) DefaultBuffers() Buffers { return Buffers{c.RcvBuf, c.SndBuf} }

// Params is what an association starts from that this end opens.
type Params struct {
	Port, PeerPort uint16
	Peers          []netip.Addr // the first is tried first
	Options        *Options     // shared
}

// SendInfo says how a message is sent: struct sctp_sndinfo and sctp_prinfo.
type SendInfo struct {
	Stream    uint16
	Unordered bool
	SackNow   bool   // SCTP_SACK_IMMEDIATELY
	PPID      uint32 // as in the packet: network order is the program's business
	Context   uint32
	Dst       netip.Addr // SCTP_ADDR_OVER: this path; not valid: the primary one
	PR        PRPolicy
	PRValue   uint32 // TTL in ms, retransmissions or priority, by the policy
	Key       uint16 // SCTP_AUTHINFO: with HasKey, the key by which it is authenticated
	HasKey    bool
	More      bool // MSG_MORE: it waits for company, whatever SCTP_NODELAY says
}

// PRPolicy is a policy of partial reliability, with Linux's numbers (RFC 7496).
type PRPolicy uint16

// The policies.
const (
	PRNone PRPolicy = 0x0000
	PRTTL  PRPolicy = 0x0010
	PRRtx  PRPolicy = 0x0020
	PRPrio PRPolicy = 0x0030
)

// RcvInfo says how a message came: struct sctp_rcvinfo.
type RcvInfo struct {
	Stream    uint16
	SSN       uint32 // with interleaving the MID
	Unordered bool
	PPID      uint32
	TSN       uint32 // of the first fragment that this is a part of
	CumTSN    uint32 // when the first fragment had come
	At        int64  // In.At of that fragment
	Context   uint32
	Src       netip.Addr
	EOR       bool // the message ends with these bytes
}

// Received is what Recv gives: bytes of a message, or a notification.
type Received struct {
	RcvInfo
	Notification *Notification // nil: of a message
}

// State is the state of an association (RFC 9260, section 4).
type State uint8

// The states.
const (
	Closed State = iota
	CookieWait
	CookieEchoed
	Established
	ShutdownPending
	ShutdownSent
	ShutdownReceived
	ShutdownAckSent
)

var stateNames = [...]string{
	"CLOSED", "COOKIE-WAIT", "COOKIE-ECHOED", "ESTABLISHED",
	"SHUTDOWN-PENDING", "SHUTDOWN-SENT", "SHUTDOWN-RECEIVED", "SHUTDOWN-ACK-SENT",
}

// String returns the RFC's name.
func (s State) String() string { return stateNames[s] }

// Linux returns the number of enum sctp_sstat_state.
func (s State) Linux() int32 { return int32(s) + 1 }

// Status is what SCTP_STATUS tells.
type Status struct {
	State                 State
	RWnd                  uint32 // the peer's
	Unacked               int    // DATA chunks
	Pending               int    // messages that were received and not read
	Missing               int    // TSNs that have not come, below the highest that has
	Advertised            uint32 // what is left of the window that the peer was told of last
	InStreams, OutStreams uint16
	FragmentPoint         int
	Primary               netip.Addr
	Held                  uint32 // bytes of user data that were received and not read
	Waiting               uint32 // messages that have not left whole
	Errors                uint16 // packets without answer in a row
	AckDue                bool   // the next DATA is acknowledged with what came before, or is the first
}

// PathState is the state of a path, with Linux's numbers (enum sctp_spinfo_state).
type PathState int32

// The states.
const (
	PathInactive PathState = iota
	PathPF                 // potentially failed (RFC 7829)
	PathActive
	PathUnconfirmed
)

// PathInfo is what SCTP_GET_PEER_ADDR_INFO tells of a path.
type PathInfo struct {
	Addr      netip.Addr
	State     PathState
	Primary   bool
	Cwnd      int
	SRTT, RTO time.Duration
	MTU       int
	Options   PathOptions

	SSThresh, PartialAcked, InFlight uint32 // bytes
	Errors                           uint16
}
