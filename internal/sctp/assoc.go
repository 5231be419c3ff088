package sctp

import (
	"net/netip"
	"syscall"
	"time"

	"usock/internal/wait"
)

// The life of an association:
//
//	         Connect                      INIT: answered, nothing kept
//	            |                            |
//	       COOKIE-WAIT                       |
//	            |  INIT ACK                  |
//	      COOKIE-ECHOED                      |
//	            |  COOKIE ACK                |  COOKIE ECHO
//	            `------> ESTABLISHED <-------'
//	    Shutdown |                     | SHUTDOWN arrives
//	   SHUTDOWN-PENDING          SHUTDOWN-RECEIVED
//	    all acked|                     | all acked
//	      SHUTDOWN-SENT                |
//	             | SHUTDOWN ACK        |  (both at once: from SHUTDOWN-SENT, too)
//	             |               SHUTDOWN-ACK-SENT
//	             |                     | SHUTDOWN COMPLETE
//	             `------> CLOSED <-----'
//
// From every state an ABORT, one's own or the peer's, and too many packets without an answer lead to
// CLOSED. What the peer has sent before can still be read there. A peer that restarts makes an
// association begin anew in its place (collision.go).

// Assoc is one association. Its zero value is CLOSED.
type Assoc struct {
	cfg    *Config
	opt    *Options // shared: never changed, but replaced
	snd    sender
	rcv    receiver
	state  State
	todo   todo
	flags  flags
	caps   caps          // agreed
	err    syscall.Errno // pending error
	events wait.Events   // that happened in the current call

	port, peerPort uint16
	tag, peerTag   uint32 // Verification Tags: that of packets that arrive, that of packets that leave
	tie, peerTie   uint32 // Tie-Tags: by them a cookie shows that it is of this association's restart
	tsn, peerTSN   uint32 // initial TSNs
	out, in        uint16 // streams, as offered, then as agreed
	errors         uint16 // error count of the association
	initErrors     uint16 // packets of the handshake without an answer
	peerAdaptation uint32

	paths   []*path
	primary *path // the program's choice
	use     *path // where data goes
	lost    *path // where a packet was lost last, nil: nowhere since it carried something
	ctl     *path // where the chunks of handshake and shutdown go
	ackTo   *path // where the last DATA came from

	local   []netip.Addr // addresses of this end that the peer is told of
	reconf  *reconf      // nil until it is needed
	asconf  *asconf      // nil until it is needed
	auth    *auth        // nil: chunks are not authenticated
	opening *opening     // nil once the handshake is over
	waiting *waiting     // nil: nothing of it
	noted   uint64       // notifications so far

	low   [numOften]uint16 // bits of counts: tally has the rest
	tally *tally           // nil until it is needed

	timer timers
	heard time.Duration // when the peer was last heard of
}

// todo is what Poll has to send besides data, acknowledgments and heartbeats.
type todo uint16

const (
	todoInit todo = 1 << iota
	todoCookieEcho
	todoCookieAck
	todoShutdown
	todoShutdownAck
	todoShutdownComplete
	todoAbort // with opening or not, the cause is in abortCause
)

type flags uint16

const (
	addrsChanged flags = 1 << iota
	hasAdaptation
	over      // the end was told
	passive   // the peer has opened the association
	wantClose // the program has asked for the end
)

// timers are the association's deadlines besides those of the paths; timer.Never where there is none.
type timers struct {
	t2    time.Duration // T2-shutdown
	t5    time.Duration // T5-shutdown-guard
	close time.Duration // autoclose
}

// opening is what an association has until it is established.
type opening struct {
	cookie   []byte // to be echoed
	unknown  []byte // parameters of the INIT ACK to be reported
	vector   []byte // this end's key vector (RFC 4895)
	stale    uint32 // µs by which the last cookie was too old: another is asked for that lives longer
	sent     time.Duration
	timeouts int
	rto      time.Duration
	t1       time.Duration // when T1-init or T1-cookie expires
}

// waiting is what waits for others besides messages, which is seldom anything.
type waiting struct {
	replies   []reply // for Poll
	notes     []note  // for Recv
	noteBytes int     // what notes are charged
}

// makeWaiting returns what waits, to be added to.
func (a *Assoc) makeWaiting() *waiting {
	if a.waiting == nil {
		a.waiting = new(waiting)
	}
	return a.waiting
}

// waited says that something that has waited is gone.
func (a *Assoc) waited() {
	if w := a.waiting; w != nil && len(w.replies) == 0 && len(w.notes) == 0 {
		a.waiting = nil
	}
}

// replies returns the answers that wait for Poll.
func (a *Assoc) replies() []reply {
	if a.waiting == nil {
		return nil
	}
	return a.waiting.replies
}

// notes returns the notifications that wait for Recv.
func (a *Assoc) notes() []note {
	if a.waiting == nil {
		return nil
	}
	return a.waiting.notes
}

// reply is a chunk that answers a packet.
type reply struct {
	dst, src netip.Addr
	tag      uint32
	encap    uint16
	chunk    []byte
	alone    bool // not with others: INIT ACK, or with another tag
}

// maxReplies is how many answers wait for Poll at most: a packet can ask for many.
const maxReplies = 16

// reply queues an answer to a packet.
func (a *Assoc) reply(in *In, tag uint32, chunk []byte, alone bool) {
	if w := a.makeWaiting(); len(w.replies) < maxReplies {
		w.replies = append(w.replies, reply{in.Src, in.Dst, tag, in.Encap, chunk, alone})
	}
}

// setup begins an association with nothing agreed.
func (a *Assoc) setup(c *Config, o *Options, b Buffers, port, peerPort uint16) {
	*a = Assoc{cfg: c, opt: o, port: port, peerPort: peerPort}
	a.timer = timers{never, never, never}
	a.tie, a.peerTie = c.random32(), c.random32()
	a.heed()
	a.snd.bufSize, a.rcv.bufSize = b.SndBuf, uint32(b.RcvBuf)
	a.rcv.mtu = leastMTU
	a.rcv.ack.at = never
}

// agree sets what both ends have told of streams and extensions.
func (a *Assoc) agree(tsn, peerTSN uint32, arwnd uint32, out, in uint16, c caps) {
	a.tsn, a.peerTSN, a.out, a.in, a.caps = tsn, peerTSN, out, in, c
	a.reconf, a.asconf = nil, nil
	a.snd.interleaved = c&capIData != 0
	a.rcv.interleaved = a.snd.interleaved
	a.rcv.mixed = a.rcv.interleaved || a.opt.Interleave == 2
	a.snd.partial = c&capPR != 0
	a.snd.agree(arwnd, out)
	a.rcv.begin(peerTSN, in)
}

// State returns the state.
func (a *Assoc) State() State { return a.state }

// Options returns the options, to be read.
func (a *Assoc) Options() *Options { return a.opt }

// Change returns the options, to be changed. OptionsChanged has to follow.
func (a *Assoc) Change() *Options {
	o := new(Options)
	if a.opt != nil {
		*o = *a.opt
	}
	a.opt = o
	return o
}

// Ports returns this end's and the peer's port.
func (a *Assoc) Ports() (port, peer uint16) { return a.port, a.peerPort }

// Tags returns this end's verification tag, which arriving packets carry, and the peer's.
func (a *Assoc) Tags() (tag, peer uint32) { return a.tag, a.peerTag }

// take returns the events that happened in the call that ends now.
func (a *Assoc) take() wait.Events {
	ev := a.events
	a.events = 0
	return ev
}

// TakeError returns the pending error and forgets it.
func (a *Assoc) TakeError() syscall.Errno {
	err := a.err
	a.err = 0
	return err
}

// Ready returns what can be done now.
func (a *Assoc) Ready() wait.Events {
	var ev wait.Events
	if a.readable() {
		ev |= wait.In
	}
	switch a.state {
	case Closed:
		if a.flags&over != 0 {
			ev |= wait.In | wait.Hup | wait.RdHup
		}
	case CookieWait, CookieEchoed, Established:
		if a.SendSpace() > 0 {
			ev |= wait.Out
		}
	case ShutdownReceived, ShutdownAckSent:
		ev |= wait.In | wait.RdHup
	}
	if a.err != 0 {
		ev |= wait.Err
	}
	return ev
}

// setState takes a transition.
func (a *Assoc) setState(s State) {
	before := a.state
	a.state = s
	if s != Closed {
		return
	}
	switch before {
	case Established, ShutdownReceived, ShutdownPending:
		a.cfg.Counters.Aborteds++
	case ShutdownSent, ShutdownAckSent:
		a.cfg.Counters.Shutdowns++
	}
}

// end is the last transition: nothing is sent any more but what todo and replies hold, and the program
// is told.
func (a *Assoc) end(err syscall.Errno, state int32, cause uint16, causes []byte) {
	if a.state == Closed {
		return
	}
	a.setState(Closed)
	a.err = err
	a.timer = timers{never, never, never}
	a.opening = nil
	a.flags |= over
	a.rcv.abandon()
	a.tellAborted()
	a.notify(Notification{Type: EventAssocChange, State: state, Error: uint32(cause), Data: causes})
	a.snd.fail()
	a.tellFailed(cause)
	a.events |= wait.In | wait.Out | wait.Hup | wait.RdHup
	if err != 0 {
		a.events |= wait.Err
	}
}

// Release frees everything that the association holds. It is CLOSED afterwards.
func (a *Assoc) Release() {
	a.state = Closed
	a.todo, a.waiting = 0, nil
	a.timer = timers{never, never, never}
	if a.cfg != nil {
		a.snd.free()
		a.rcv.free()
	}
}
