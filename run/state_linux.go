//go:build amd64 || arm64

package run

import (
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// A socket that a program has, and what becomes of it. All that changes a socket's
// state stands in this file; the handlers of calls, the pumps and the stack's events
// are what calls it.
//
//	                         socket()
//	                            │
//	                            ▼          renew: connect or listen again,
//	       ┌───────────────── fresh ◄──────────────────────────────────────┐
//	       │                  │   │       with a new file in the old one's  │
//	       │ listens    begin │   │ attach                       place      │
//	       ▼                  ▼   │                                         │
//	   listening       connecting │                                         │
//	       │             │    │   │                                         │
//	accept │ (a new one) │    │ made                                        │
//	       ▼             │    ▼   ▼                                         │
//	       └─────────────┼─► connected ──── failed: a reset, a time-out ──► over
//	                     │        │                                         ▲
//	                     └────────┼── refused ──────────────────────────────┘
//	                              │ closes: the program has closed it, and
//	                              ▼ what it has sent is still on its way
//	                           closing
//	                              │
//	from every state: release ────┴──► released
//
// Each direction of a connected one has an end of its own (half): up is from the
// program to the stack, down the other way.
type state uint8

const (
	fresh      state = iota // the program's end is not connected
	connecting              // it is joined, and filled so that it is not writable
	connected               // bytes are pumped
	listening
	over    // it broke down, or was refused: the far end is closed
	closing // bytes are pumped up, for nobody in particular
	released
)

// transitions are those of the drawing: what may follow each state.
var transitions = [...]uint8{
	fresh:      1<<connecting | 1<<connected | 1<<listening | 1<<over | 1<<released,
	connecting: 1<<connected | 1<<over | 1<<fresh | 1<<released,
	connected:  1<<over | 1<<closing | 1<<fresh | 1<<released,
	listening:  1<<fresh | 1<<released,
	over:       1<<fresh | 1<<released,
	closing:    1 << released,
	released:   0,
}

// onTransition is told of each transition, and whether the drawing has it; set by
// tests.
var onTransition func(from, to state, drawn bool)

func (s *sock) to(next state) {
	if onTransition != nil {
		onTransition(s.state, next, transitions[s.state]&(1<<next) != 0)
	}
	s.state = next
}

// half is how far one direction of a connection is.
type half uint8

const (
	flowing half = iota
	ending       // its end was asked for, and comes after what is pending
	ended
)

// direction is one direction of a connection: what a pump has taken from one side
// and could not pass on yet, and how far it is.
type direction struct {
	pending
	half half
}

// sock is a socket that a program has: the host's, and the far end of the program's.
type sock struct {
	l    *loop
	u    *usock.Socket
	id   inode // of the program's end; zero: it was not accepted yet
	name name  // which proves that the two ends are a pair; 0: none yet

	stream bool
	state  state
	queued bool // in loop.again
	toEnd  bool // in loop.ending

	far      end
	up, down direction

	tid, fd int   // who named it last, and how
	pid     int32 // its process

	err     syscall.Errno // pending, taken from the stack: SO_ERROR
	raised  bool          // the program's end showed an error when the connection broke down
	peeked  int           // bytes at the head of what the program has sent that are passed on already
	inPeeks bool          // in loop.peeks
	asked   bool          // it has sent something since it was given something last
	waits   bool          // its program waits in its calls, as far as that is known
	much    bool          // it has sent more at once than is peeked at
	wide    bool          // the program's end has a large buffer (widen)
	filler  int           // bytes at the head of what the program has sent that are not its own
	abort   bool          // closing: it was closed with bytes unread, and ends with a reset
	lost    bool          // bytes for it found nobody who reads: its close is a reset
	giving  bool          // accept gives the program its end, of which the supervisor has a copy still
	delayed bool          // there was something to pump meanwhile
	shutRd  bool          // SHUT_RD
	pieces  bool          // a fault has given the program less than there is (pieceWaits)

	given  uint64         // streams: bytes that the program's end was given, over all
	native []nativeOption // set on the program's end
	times  [2]timeout     // SO_RCVTIMEO, SO_SNDTIMEO
	linger bool           // SO_LINGER was set, here or of its listener: the loop must not wait for it
	inq    bool           // TCP_INQ

	listen *listenQueue // listening
	sctp   *sctpSock    // SCTP's
	scan   uint64       // the last scan begun before it came, or got its name
	from   senders      // datagrams: where the program's unread ones are from
	most   int          // datagrams: how many can be unread
	peer   bool         // datagrams: it is connected, and sends without a trap
	held   [][]byte     // datagrams: taken from the far end, and not sent yet

	waiting   waiters // calls that wait for it
	lingering waiters // close(2), with SO_LINGER
	lingered  bool    // what that waits for has come

	dissolved uint32 // how many attempts to connect have failed or were dissolved
	taking    taking // a call takes from the program's end, and may be away
}

// taking says whether a call takes from a program's end.
type taking uint8

const (
	notTaking taking = iota
	isTaking
	takingWoken // another one waits, or something has happened
)

// adopt makes the sock of the program's end fd, which holds the host's socket u.
func (l *loop) adopt(fd int, u *usock.Socket, stream bool) *sock {
	s := &sock{l: l, u: u, stream: stream, far: end{fd: -1}, fd: -1}
	s.identify(fd)
	return s
}

// identify enters the socket under the inode of its program's end fd.
func (s *sock) identify(fd int) {
	l := s.l
	if l.socks[s.id] == s {
		delete(l.socks, s.id)
	}
	s.id, _ = statInode(fd)
	if old := l.socks[s.id]; old != nil {
		old.closed() // the number was used again: the old one is closed
	}
	if old := l.netlinks[s.id]; old != nil {
		old.release()
	}
	l.socks[s.id] = s
	s.touch()
}

// joined reports whether the kernel carries out the program's reads and writes.
func (s *sock) joined() bool {
	return s.stream && (s.state == connected || s.state == connecting)
}

// attach joins the ends of a connection that was made: fresh → connected. dup is a
// duplicate of the program's end. Who gets here has nearly always waited: O_NONBLOCK is not
// asked for.
func (s *sock) attach(dup int) syscall.Errno {
	if e := s.join(dup, true); e != 0 {
		return e
	}
	s.to(connected)
	return 0
}

// begin joins the ends of a connection under way: fresh → connecting. Where its
// outcome is known already, as on loopback, the program finds the socket ready.
// blocks says that O_NONBLOCK is not set.
func (s *sock) begin(dup int, blocks bool) syscall.Errno {
	if e := s.join(dup, blocks); e != 0 {
		return e
	}
	if ev := s.u.Events(); ev&usock.POLLHUP == 0 && ev&usock.POLLOUT != 0 {
		s.to(connected)
		s.pump()
		return 0
	}
	s.to(connecting)
	s.fill(dup)
	s.outcome(s.u.Events())
	return 0
}

// outcome looks what has become of a connection under way: connecting → connected or
// over.
func (s *sock) outcome(ev usock.Events) {
	switch {
	case ev&usock.POLLHUP != 0: // POLLERR alone is an entry in the error queue
		// The error stays with the stack, whose connect tells it. The far end is
		// closed with the filler unread: the program sees an error.
		s.to(over)
		s.raised = true
		s.dropFar()
		s.hush(true)
	case ev&usock.POLLOUT != 0:
		s.to(connected)
		s.unfill()
	}
}

// listens makes the program's end, of which dup is a duplicate, listen: fresh →
// listening.
func (s *sock) listens(dup int) syscall.Errno {
	path, err := s.l.dir.bind(dup)
	if err != nil {
		return errno(err)
	}
	s.touch()
	// What waits for a connection waits here; the supervisor's accept never does.
	sysSetOpt(dup, unix.SOL_SOCKET, unix.SO_RCVTIMEO, shortest)
	s.l.space.force(1)
	s.listen = &listenQueue{path: path}
	if a, err := s.u.GetSockName(); err == nil {
		s.listen.port = a.Port
		s.l.ports[a.Port] = append(s.l.ports[a.Port], s)
	}
	s.to(listening)
	s.hush(true)
	return 0
}

// failed passes on that the connection has broken down: connected → over. The
// program's next call fails. A close with bytes unread is what raises an error at the
// other end of an AF_UNIX stream, so one is put there unless there is one.
func (s *sock) failed(e syscall.Errno) {
	if s.state == closing {
		s.release()
		return
	}
	if s.state != connected {
		return
	}
	s.err = e
	s.takePeeked()
	s.flushDown()
	s.to(over)
	s.l.drop(&s.up.pending)
	s.wakeAll()
	if s.id == (inode{}) {
		return // not accepted yet: it is broken when it is
	}
	if s.quiet() || unread(s.far.fd) > 0 || s.filler > 0 {
		s.breakFar(-1)
		return
	}
	s.reach(func(dup int) {
		if s.state == over && s.far.fd >= 0 {
			s.breakFar(dup)
		}
		s.wakeAll()
	})
}

// quiet reports whether the program's end shows no error: the end of the stream came
// before it, and reading goes on to give 0. SHUT_RD alone is no such end.
func (s *sock) quiet() bool { return s.err == unix.EPIPE || s.down.half == ended && !s.shutRd }

// breakFar closes the far end of a connection that has broken down with s.err, so
// that the program's end, of which dup is a duplicate or -1, shows an error, or none.
func (s *sock) breakFar(dup int) {
	if s.quiet() {
		s.discard()
	} else if dup >= 0 {
		sysSend(dup, []byte{0})
	}
	s.raised = unread(s.far.fd) > 0
	s.dropFar()
	s.hush(true)
}

// discard takes what the program has written, and lets it write no more.
func (s *sock) discard() {
	sysShutdown(s.far.fd, unix.SHUT_RD)
	for {
		if n, e := sysRecv(s.far.fd, s.l.arrivalsRoom(), 0); e != 0 || n == 0 {
			return
		}
	}
}

// closes says that the program has closed its end: connected → closing, and released
// once all that it sent was handed to the stack. With unread, it left bytes unread,
// and the connection is reset then.
func (s *sock) closes(unread bool) {
	s.abort = s.abort || unread
	if s.state == connected {
		s.to(closing)
	}
	if !s.up.empty() {
		return
	}
	s.abort = s.abort || !s.down.empty()
	s.closed()
}

// renewed says that the program has a new file, which dup is a duplicate of, in place
// of its end: any state → fresh.
func (s *sock) renewed(dup int) {
	s.setNative(dup)
	s.dropFar()
	if s.listen != nil {
		s.unlisten()
	}
	s.identify(dup)
	s.to(fresh)
	s.name, s.err, s.raised, s.filler, s.shutRd, s.lost = 0, 0, false, 0, false, false
	s.l.drop(&s.up.pending)
	s.l.drop(&s.down.pending)
	s.up.half, s.down.half = flowing, flowing
	s.asked, s.much = false, false
	s.hush(true)
}

// spoiled says that the ends could not be joined, though the program's end is
// connected by now: fresh → over, without an error to tell.
func (s *sock) spoiled() {
	s.to(over)
	s.hush(true)
}

// release closes the socket, which the program has closed: any state → released.
func (s *sock) release() {
	if s.state == released {
		return
	}
	if s.listen != nil {
		s.l.vacate(s)
		s.unlisten()
	}
	if s.sctp != nil {
		s.sctp.refuse()
	}
	s.to(released)
	for len(s.waiting) > 0 {
		s.waiting[0].end(result{err: unix.EBADF})
	}
	s.dropFar()
	s.l.drop(&s.up.pending)
	s.l.drop(&s.down.pending)
	s.l.set.Remove(s.u)
	s.closeStack()
	if s.l.socks[s.id] == s {
		delete(s.l.socks, s.id)
	}
	delete(s.l.silent, s)
	delete(s.l.messageListeners, s)
	s.l.space.give(1)
}

// closed closes the socket, which the program has closed. Linux answers bytes that
// come to nobody with a reset. They came after the close, and so after the end of the
// stream that it has sent: what comes before a close is the program's by then.
func (s *sock) closed() {
	if s.sctp != nil {
		s.messagesClosed()
		return
	}
	if !s.stream {
		s.datagramsClosed()
		return
	}
	if s.abort {
		s.reset()
		return
	}
	if s.lost || s.state != listening && s.u.Events()&usock.POLLIN != 0 {
		if l := s.lingers(); !l.On || l.Seconds > 0 {
			s.u.Shutdown(usock.SHUT_WR)
		}
	}
	if s.lost {
		s.reset()
		return
	}
	s.release()
}

// reset closes the socket with an RST.
func (s *sock) reset() {
	if s.state == released {
		return
	}
	s.linger = false
	s.u.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, lingerAbort)
	s.release()
}

// hush says whether the kernel announces the end of the program's end. Where it
// does not, the scan finds it.
func (s *sock) hush(silent bool) {
	if silent {
		s.l.silent[s] = struct{}{}
		s.l.scanner.later()
	} else {
		delete(s.l.silent, s)
	}
}

// takeError returns the pending error and clears it, as SO_ERROR does.
func (s *sock) takeError() syscall.Errno {
	if e := s.err; e != 0 {
		s.err = 0
		return e
	}
	v, err := s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ERROR)
	if err != nil {
		return 0
	}
	return syscall.Errno(v)
}
