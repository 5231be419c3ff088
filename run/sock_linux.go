//go:build amd64 || arm64

package run

import (
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// phase is where a stream socket's descriptor is in its life. The transitions:
//
//	fresh ──connect──► connecting ──► connected ──► over
//	  │                    └──────refused─────────►  │
//	  ├──connect, waiting──────────► connected       │
//	  └──listen──► listens              connect again: fresh, with a new descriptor
type phase uint8

const (
	fresh      phase = iota // the program's end is not connected
	connecting              // it is connected, and filled so that it is not writable
	connected               // bytes are pumped
	listens
	over // reset or refused: the far end is closed
)

// sock is a socket that a program has: the host's, and the far end of the
// program's.
type sock struct {
	l  *loop
	u  *usock.Socket
	id inode // of the program's end

	stream bool
	phase  phase
	gone   bool // released
	queued bool // in loop.again

	far      int  // the far end; -1: there is none
	readable bool // the far end may have something to read
	ended    bool // the program's end was shut down or closed: reads go on to the end
	writable bool // the far end may take more
	armed    bool // the kernel tells when it takes more

	tid, fd int // who named it last, and how

	err    syscall.Errno // pending, taken from the stack: SO_ERROR
	raised bool          // the program's end showed an error when the connection broke down
	filler int           // bytes at the head of what the program has sent that are not its own
	linger bool          // SO_LINGER with a time: close must not wait for it

	up   pending // on the way to the stack
	down pending // on the way to the program

	endUp   bool // the program has shut down for writing, and there is more to send before
	upEnd   bool // the program sends nothing more: SHUT_WR
	downEnd bool // the stack's end of stream was passed on
	closed  bool // the program has closed it, and up is being sent
	abort   bool // with data unread: the connection is reset

	native []nativeOption // set on the program's end
	listen *listening     // listens
	shutRd bool           // datagrams: SHUT_RD
	from   senders        // datagrams: where the program's unread ones are from

	waiting []*parked // calls that wait for it
}

// joined reports whether the kernel carries out the program's reads and writes.
func (s *sock) joined() bool {
	return s.stream && (s.phase == connected || s.phase == connecting)
}

// pending are bytes that a pump has taken from one side and could not pass on.
type pending struct {
	buf   []byte // nil if empty
	off   int
	whole []byte // the loop's buffer that buf is in; nil: buf is its own
	from  sender // datagrams: where it is from
}

func (p *pending) empty() bool { return p.buf == nil }

// Little is copied, so that a buffer is held only where it is used.
const (
	littlePending = 16 << 10
	spareBuffers  = 16
)

// keep makes b, which is in the loop's buffer whole, the pending bytes, and gives
// the loop another buffer if it has to.
func (l *loop) keep(p *pending, whole *[]byte, b []byte) {
	p.off = 0
	if len(b) <= littlePending {
		p.buf = append(make([]byte, 0, max(len(b), 1)), b...)
		return
	}
	p.buf, p.whole = b, *whole
	if n := len(l.spare); n > 0 {
		*whole, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		*whole = make([]byte, pumpSize)
	}
}

// drop forgets the pending bytes.
func (l *loop) drop(p *pending) {
	if p.whole != nil && len(l.spare) < spareBuffers {
		l.spare = append(l.spare, p.whole)
	}
	*p = pending{}
}

// adopt makes the sock of the program's end fd, which holds the host's socket u.
func (l *loop) adopt(fd int, u *usock.Socket, stream bool) *sock {
	id, _ := sysInode(fd)
	s := &sock{l: l, u: u, id: id, stream: stream, far: -1, fd: -1}
	if old := l.socks[id]; old != nil {
		old.release() // the number was used again: the old one is closed
	}
	l.socks[id] = s
	return s
}

// watchStack has the loop told of the host's socket's events.
func (s *sock) watchStack() {
	s.l.set.Add(s.u, usock.POLLIN|usock.POLLOUT|usock.POLLRDHUP|usock.POLLPRI|usock.EPOLLET, s)
}

const farEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// setFar makes fd the far end.
func (s *sock) setFar(fd int) {
	s.far, s.readable, s.writable = fd, false, true
	s.l.watch(fd, farEvents, s)
}

// full says that the far end takes no more now. Only then is the kernel asked to
// tell when it does: otherwise it would tell after each read of the program's.
func (s *sock) full() {
	s.writable = false
	if !s.armed {
		s.armed = true
		s.l.rewatch(s.far, farEvents|unix.EPOLLOUT)
	}
}

// dropFar closes the far end.
func (s *sock) dropFar() {
	if s.far < 0 {
		return
	}
	s.l.forget(s.far)
	sysClose(s.far)
	s.far, s.armed, s.ended = -1, false, false
}

// release closes the socket, which the program has closed.
func (s *sock) release() {
	if s.gone {
		return
	}
	s.gone = true
	for len(s.waiting) > 0 {
		s.waiting[0].cancel()
	}
	s.dropFar()
	s.l.drop(&s.up)
	s.l.drop(&s.down)
	if s.listen != nil {
		s.unlisten()
	}
	if s.linger {
		s.u.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, make([]byte, 8))
	}
	s.l.set.Remove(s.u)
	s.u.Close()
	if s.l.socks[s.id] == s {
		delete(s.l.socks, s.id)
	}
	delete(s.l.silent, s)
}

// reset closes the socket with an RST.
func (s *sock) reset() {
	if s.gone {
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
		s.l.scanLater()
	} else {
		delete(s.l.silent, s)
	}
}

// ready implements source: something happened at the far end.
func (s *sock) ready(events uint32) {
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.readable = true
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.ended = true
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.writable = true
		if s.armed {
			s.armed = false
			s.l.rewatch(s.far, farEvents)
		}
	}
	if s.stream && events&unix.EPOLLERR != 0 && s.upEnd && !s.closed {
		s.reset() // closed, with data unread
		return
	}
	if s.stream && events&unix.EPOLLHUP != 0 && s.upEnd && !s.closed {
		s.l.scanSoon() // shut down in both directions, or closed
	}
	s.pump()
}

// stackEvent handles the host's socket's events.
func (s *sock) stackEvent(ev usock.Events) {
	if s.gone {
		return
	}
	switch {
	case !s.stream:
		s.pump()
	case s.listen != nil:
		s.acceptAll()
	case s.phase == connecting:
		s.connectOutcome(ev)
	case s.phase == connected && s.downEnd && ev&usock.POLLERR != 0:
		s.failed(s.takeError()) // reset after the end of the stream: writing fails now
	case s.phase == connected:
		s.pump()
	}
	s.retry()
}

// pump moves what can be moved, in both directions.
func (s *sock) pump() {
	if s.gone || s.far < 0 {
		return
	}
	if !s.stream {
		s.pumpDatagrams()
		return
	}
	if s.phase != connected {
		if s.phase == connecting {
			s.watchConnecting()
		}
		return
	}
	more := s.pumpUp()
	if !s.gone && s.far >= 0 {
		more = s.pumpDown() || more
	}
	if s.gone {
		return
	}
	if more {
		s.l.later(s)
	}
	if len(s.waiting) > 0 {
		s.retry()
	}
}

// drain passes on what the program has written up to now, announced by the kernel
// or not yet.
func (s *sock) drain() {
	s.readable = true
	s.pump()
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

// later has the loop pump s soon.
func (l *loop) later(s *sock) {
	if !s.queued && !s.gone {
		s.queued = true
		l.again = append(l.again, s)
	}
}
