package usock

import (
	"time"

	"usock/cc"
	"usock/internal/tcp"
)

// TCPConfig is a host's settings of TCP. A setting that Linux has is named after its
// sysctl (tcp(7), Documentation/networking/ip-sysctl.rst), which stands beside it.
// DefaultTCPConfig has Linux's values but for the limits of buffers; the zero TCPConfig is of no use.
type TCPConfig struct {
	SACK          bool // tcp_sack: selective acknowledgements (RFC 2018)
	Timestamps    bool // tcp_timestamps (RFC 7323 section 3)
	WindowScaling bool // tcp_window_scaling (RFC 7323 section 2)
	ECN           int  // tcp_ecn (RFC 3168): ECNOff, ECNOn or ECNPassive

	FastOpen int // tcp_fastopen (RFC 7413): FastOpenClient and its neighbours, added up

	// RMem and WMem are the sizes in bytes of a connection's receive and send buffer
	// (tcp_rmem, tcp_wmem): the least, the initial one, and the most that it grows to
	// where no SO_RCVBUF or SO_SNDBUF fixes it. A receive buffer grows with what is read in a
	// round trip, and half of it is window; a send buffer grows with the congestion window as far as the peer's takes it, above
	// 4 MiB only to what the path delivers in four of its shortest round trips. The
	// most is 60 MiB for both by default, which carries 10 Gbit/s over 20 ms (Linux: 32 and 4 MiB,
	// or a 128th of the machine's memory where that is less). Mem bounds what all
	// buffers hold together.
	RMem, WMem [3]int

	CC string // tcp_congestion_control: of connections that name none (Config.Congestion goes before it)

	// Controllers are congestion controls besides "cubic", "reno", "bbr" and "bbr3", by name, each
	// with a function that makes one for a connection. Name of what it makes is the name here, 1 to 15
	// bytes. Programs choose among them by TCP_CONGESTION. The functions are called with
	// the host locked, and once by NewHost, which reports what makes no sense.
	Controllers map[string]func() cc.Controller

	SynRetries     int           // tcp_syn_retries: retransmissions of a SYN, before the linear ones are added
	SynLinear      int           // tcp_syn_linear_timeouts: retransmissions of a SYN that come without backoff
	SynAckRetries  int           // tcp_synack_retries
	Retries1       int           // tcp_retries1: retransmissions after which the path is doubted
	Retries2       int           // tcp_retries2: retransmissions after which a connection fails
	OrphanRetries  int           // tcp_orphan_retries: the same, once the program has closed; 0: 8
	FinTimeout     time.Duration // tcp_fin_timeout: of a closed connection in FIN-WAIT-2
	TimeWait       time.Duration // how long TIME-WAIT lasts; fixed to a minute on Linux
	InitialRTO     time.Duration // before the first sample of the round trip (RFC 6298)
	MinRTO, MaxRTO time.Duration // tcp_rto_min_us, tcp_rto_max_ms
	KeepIdle       time.Duration // tcp_keepalive_time
	KeepIntvl      time.Duration // tcp_keepalive_intvl
	KeepCnt        int           // tcp_keepalive_probes

	MinSendMSS       int           // tcp_min_snd_mss: floor in bytes under what a peer's MSS option can ask for
	InitialCwnd      int           // first congestion window, in segments (RFC 6928)
	SlowStartIdle    bool          // tcp_slow_start_after_idle
	RFC1337          bool          // tcp_rfc1337: TIME-WAIT ignores resets
	MTUProbing       int           // tcp_mtu_probing (RFC 4821): 0 never, 1 when a black hole is suspected, 2 always
	BaseMSS          int           // tcp_base_mss: the first size in bytes that MTU probing tries
	Reordering       int           // tcp_reordering: initial tolerance, in segments
	NotSentLowat     uint32        // tcp_notsent_lowat: bytes not sent yet above which POLLOUT waits
	AbortOnOverflow  bool          // tcp_abort_on_overflow: a full backlog is answered with a reset
	MaxReordering    int           // tcp_max_reordering: most tolerance, in segments
	InvalidRateLimit time.Duration // tcp_invalid_ratelimit: least time between answers to segments out of the window

	// Mem is how many bytes the queues of all connections may hold together (tcp_mem, which counts
	// pages): above the second, memory is scarce until they hold no more than the first, and
	// above the third nobody gets more than RMem[0] and WMem[0]. All 0: the second is a sixteenth of the
	// machine's memory, the others are three quarters and one and a half of it, as on Linux.
	Mem [3]int

	// MaxOrphans is how many connections whose programs have closed them may still send
	// (tcp_max_orphans); one more is reset. 0: one for each 256 KiB of the machine's memory.
	MaxOrphans int
}

// The modes of TCPConfig.ECN, with the numbers of net.ipv4.tcp_ecn.
const (
	ECNOff     = tcp.ECNOff     // never
	ECNOn      = tcp.ECNOn      // asked for and agreed to
	ECNPassive = tcp.ECNPassive // agreed to when the peer asks
)

// The bits of TCPConfig.FastOpen, with the numbers of net.ipv4.tcp_fastopen.
const (
	FastOpenClient         = tcp.FastOpenClient         // MSG_FASTOPEN and TCP_FASTOPEN_CONNECT may be used
	FastOpenServer         = tcp.FastOpenServer         // listeners with TCP_FASTOPEN take data in SYNs
	FastOpenClientNoCookie = tcp.FastOpenClientNoCookie // TCP_FASTOPEN_NO_COOKIE for all that connect
	FastOpenServerNoCookie = tcp.FastOpenServerNoCookie // TCP_FASTOPEN_NO_COOKIE for all that listen
	FastOpenListeners      = tcp.FastOpenListeners      // TCP_FASTOPEN for all that listen, with their backlog
)

// DefaultTCPConfig returns Linux's defaults, with larger limits of buffers, to be changed and put into a
// Config.
func DefaultTCPConfig() *TCPConfig { return (*TCPConfig)(tcp.DefaultSettings()) }
