package tcp

import (
	"syscall"
	"time"

	"usock/internal/timer"
	"usock/internal/wait"
)

// The life of a connection:
//
//	           Connect                    Accept
//	              |                          |
//	          SYN-SENT --- SYN arrives --> SYN-RECEIVED
//	              \  SYN+ACK arrives        /  ACK arrives
//	               `----> ESTABLISHED <----'
//	   ShutdownWrite,  /               \  FIN arrives
//	   Close          /                 \
//	        FIN-WAIT-1 -- FIN arrives ->  CLOSE-WAIT
//	 ACK of  |      \                          | ShutdownWrite, Close
//	 the FIN |       `--> CLOSING           LAST-ACK
//	        FIN-WAIT-2       | ACK             | ACK
//	     FIN |               v                 v
//	         `---------> TIME-WAIT --------> CLOSED <-- reset, timeout, Abort
//
// A connection that the program has let go of (Close) is an orphan: it lives on
// until its data and FIN are acknowledged, and its owner drops it when the state
// is CLOSED and Poll declines.

// Conn is one connection. Its zero value is CLOSED; Init makes it ready.
type Conn struct {
	tcb
	snd sender
	rcv receiver
}

// tcb is what both halves of a connection go by, of its transmission control block
// (RFC 9293 §3.3.1): the state, what was agreed and asked for, the timers, and what
// is to be sent. Neither half knows the other; what crosses between them is an
// argument.
type tcb struct {
	cfg    *Config
	lazy   *lazyState // what few connections need; nil: nothing of it
	opt    Options
	err    syscall.Errno // pending error
	state  State
	shut   shutdown
	todo   todo
	flags  flags
	events wait.Events // that happened in the current call
	rtt    rtt         // measured by the sender, read by both
	timer  timers
	stats  stats
	held   int // bytes that the host's memory is charged with
}

// stats are counters for Info.
type stats struct {
	segsOut, segsIn       uint32
	dataOut, dataIn       uint32
	retransSegs           uint32
	born                  uint32 // ms of the clock, modulo 2^32: when the handshake began
	retransBytes          uint64
	bytesAcked, bytesSent uint64
	oooPackets            uint32
	dsackDups             uint32
	reordSeen             uint32
	totalRTO              uint16
	rtoRecoveries         uint16
}

// shutdown says which directions the program or the peer has ended.
type shutdown uint8

const (
	shutRead shutdown = 1 << iota
	shutWrite
	orphan // the program has let go
)

// todo is what Poll has to send besides data.
type todo uint16

const (
	todoAck   todo = 1 << iota // acknowledge now
	todoSYN                    // send a SYN or SYN-ACK, for the first time or again
	todoReset                  // send a RST
	todoProbe                  // window probe or keepalive: an old sequence number
	todoRtx                    // send the first lost segment, whatever the congestion window
	todoTLP                    // tail loss probe
	todoForce                  // send one segment though it is small or the congestion window is full
	todoPush                   // let the small segment at the end go, Nagle or not
)

type flags uint32

const (
	useTS flags = 1 << iota
	useSACK
	useWScale
	useECN
	active     // opened by Connect
	finQueued  // the program has ended its direction: a FIN follows the data
	finRcvd    // rcv.nxt is behind the peer's FIN
	noSpace    // the program found no room to write
	fixedRcv   // SO_RCVBUF was set
	fixedSnd   // SO_SNDBUF was set
	ceSeen     // echo ECE until CWR arrives
	ecnSeen    // a packet that arrived was ECN-capable or marked
	sendCWR    // the next new data carries CWR
	synOnce    // the SYN was sent at least once
	resetNoAck // the RST to be sent has the number resetSeq and no ACK
	synLost    // the handshake needed a retransmission
	serverFast // Fast Open: sending is allowed in SYN-RECEIVED
	moreHeld   // the last call had MSG_MORE, and no segment has come since
	moreTail   // the last call had MSG_MORE: the last byte is not pushed

	noMemory      // the next acknowledgment offers no window: there is no memory
	countedOrphan // one of the host's orphans
)

// timers are the connection's deadlines; timer.Never where there is none.
type timers struct {
	rtx   time.Duration // retransmission, loss probe, reordering or window probe
	ack   time.Duration // delayed acknowledgment
	keep  time.Duration // keepalive, FIN-WAIT-2 or TIME-WAIT
	pace  time.Duration // when the next segment may leave
	since time.Duration // when the data that is being retransmitted or probed for was first due; Never: nothing is
	heard time.Duration // when a segment last arrived
	kind  rtxKind
}

type rtxKind uint8

const (
	rtxRTO rtxKind = iota
	rtxTLP
	rtxReorder
	rtxWindowProbe
)

// Init prepares a zero Conn: its options can be set and read before it is opened.
func (c *Conn) Init(cfg *Config) {
	c.cfg = cfg
	c.opt.RcvLowat = 1
	c.timer = noTimers()
}

func noTimers() timers {
	return timers{rtx: timer.Never, ack: timer.Never, keep: timer.Never, pace: timer.Never, since: timer.Never}
}

// State returns the state.
func (c *Conn) State() State { return c.state }

// Options returns the settings, which are changed by the Set methods.
func (c *Conn) Options() *Options { return &c.opt }

// start resets everything but the options.
func (c *Conn) start(now time.Duration, p *Params) {
	opt := c.opt

	// A listener's options go on to what it accepts; others keep their own.
	if p.Options != nil {
		opt = *p.Options
	}

	// What SO_RCVBUF and SO_SNDBUF have fixed holds for every attempt to connect; nothing else
	// of an earlier attempt must, its pending error least of all.
	if c.held != 0 {
		c.charge(0)
	}
	keep := c.flags & (fixedRcv | fixedSnd)
	rb, sb := c.rcv.bufSize, c.snd.bufSize
	waits := c.rcv.ack.pingpong // TCP_QUICKACK before connect
	*c = Conn{tcb: tcb{opt: opt, cfg: p.Config, flags: keep}}
	c.rcv.ack.pingpong = waits

	c.timer = noTimers()
	c.timer.heard = now
	c.stats.born = clockMS(now)
	if c.opt.RcvLowat == 0 {
		c.opt.RcvLowat = 1
	}

	c.snd.iss, c.snd.tsOffset = p.ISS, p.TSOffset

	// The SYN takes the number before the first byte's.
	c.snd.q.Reset(origin + 1)
	c.rcv.q.Reset(origin + 1)
	c.startBuffers(p, rb, sb)

	// 65495 is what the largest IPv4 packet leaves behind the two least headers. A program that
	// asks for smaller segments (TCP_MAXSEG) has the peer send such, too.
	mss := min(p.MSS, 65495)
	if m := int(c.opt.MaxSeg); m != 0 {
		mss = min(mss, m)
	}

	c.rcv.advMSS = uint16(mss)
	c.snd.pathMSS = uint16(min(p.MSS, 65535-20))
	c.snd.peerMSS = max(p.AssumedMSS, 536) // RFC 9293 §3.7.1
	c.snd.maxSeg = uint32(p.MaxSegment)

	c.snd.wl1 = 0
	c.rtt.rto = uint32(c.cfg.InitialRTO / time.Microsecond)

	// A guess until segments show how large the peer makes them, and a low one: it decides
	// which segment is the second full one, to be acknowledged at once.
	c.rcv.mss = uint16(min(mss, 536))
	c.snd.q.Reset(origin + 1)
}

// startBuffers sets the sizes of the buffers: those asked for now, those set
// before, or the host's.
func (c *Conn) startBuffers(p *Params, rb, sb uint32) {
	if p.RcvBuf > 0 {
		rb = uint32(p.RcvBuf)
		c.flags |= fixedRcv
	}

	if p.SndBuf > 0 {
		sb = uint32(p.SndBuf)
		c.flags |= fixedSnd
	}

	if c.flags&fixedRcv == 0 {
		rb = uint32(c.cfg.RMem[1])
	}

	if c.flags&fixedSnd == 0 {
		sb = uint32(c.cfg.WMem[1])
	}

	c.rcv.bufSize, c.snd.bufSize = rb, sb
}

// Deadline returns when Expire is to be called; timer.Never: not at all.
func (c *Conn) Deadline() time.Duration {
	return min(c.timer.rtx, c.timer.ack, c.timer.keep, c.timer.pace)
}

// take returns the events that happened in the call that ends now.
func (c *Conn) take() wait.Events {
	c.account()
	ev := c.events
	c.events = 0
	return ev
}

// Release frees everything that the connection holds. It is CLOSED afterwards.
func (c *Conn) Release() {
	c.state = Closed
	if c.lazy != nil {
		c.lazy.tales = nil
	}
	c.dropOrphan()
	c.free()
	c.Told()
	c.rcv.q.Reset(c.rcv.q.End())
	c.todo = 0
	if c.held != 0 {
		c.charge(0)
	}
}

// Told frees what Config.KeepFlight has kept.
func (c *Conn) Told() { c.snd.freeFlight(&c.tcb) }

// free gives back what a connection that is over no longer needs: all but what
// the program can still read.
func (c *Conn) free() {
	c.snd.q.Reset(c.snd.q.End())
	if c.snd.flight != nil && !c.cfg.KeepFlight {
		c.snd.freeFlight(&c.tcb)
	}

	// What came out of order never reached the program's queue, and now cannot.
	if c.rcv.ooo != nil {
		c.rcv.ooo.q.Reset()
		c.rcv.ooo = nil
	}
	c.timer.rtx, c.timer.ack, c.timer.keep, c.timer.pace = timer.Never, timer.Never, timer.Never, timer.Never
}

func (t *tcb) setState(s State) {
	before := t.state
	t.state = s
	if s == Closed || s == TimeWait {
		t.dropOrphan()
	}
	if s == Closed && (before == Established || before == CloseWait) {
		inc(&t.count().EstabResets)
	}
	if t.cfg.Trace != 0 {
		t.tellState(before)
	}
}

// Ready returns what poll(2) returns on Linux in every state (tcp_poll).
func (c *Conn) Ready() wait.Events {
	var ev wait.Events
	if c.shut&(shutRead|shutWrite) == shutRead|shutWrite || c.state == Closed {
		// Both directions have ended: POLLHUP, which cannot be masked.
		ev |= wait.Hup
	}

	if c.shut&shutRead != 0 {
		ev |= wait.In | wait.RdHup
	}

	// Before the handshake has ended neither room nor data means anything, but for a Fast Open
	// server, which may write already.
	if c.state != SynSent && (c.state != SynRcvd || c.fastOpened()) {
		if c.rcv.readable(&c.tcb) {
			ev |= wait.In
		}
		if c.shut&shutWrite != 0 || c.snd.writable(&c.tcb) {
			ev |= wait.Out
		}
		if c.rcv.urgentReady(&c.tcb) {
			ev |= wait.Pri
		}
	}

	// POLLERR cannot be masked, and lasts until somebody has taken the error.
	if c.err != 0 {
		ev |= wait.Err
	}
	return ev
}
