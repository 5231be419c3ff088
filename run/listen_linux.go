//go:build amd64 || arm64

package run

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// listenQueue is what a listening socket has besides.
//
// The program's end listens in the kernel too, at a hidden path. For each connection
// that the host's socket accepts, the supervisor connects to that path: so the
// program's end is readable exactly while connections wait, for every process and
// every way of waiting. What accept takes out of the kernel's queue is known by its
// peer's name; what is not known was put there by a stranger and is closed.
//
// A connection that was taken and could not be given to the program, because it has no
// number for it or its call is gone, is the next one to be given. A token in the
// kernel's queue stands for it there: an end without connection.
//
//	host's queue ─► held ─► kernel's queue: entries ─► taken ─► the program
//	                              ▲ token ──────────────┘
type listenQueue struct {
	path     int     // O_PATH descriptor
	port     uint16  // where it listens
	entries  []entry // in the kernel's queue, in order
	taken    []taken // out of it, and not given to the program
	tokens   int     // entries that are tokens
	counted  int     // what the host's socket was told of waiting
	shut     bool    // shut down: the host's socket does not listen any more
	held     *sock   // accepted from the host; the kernel's queue is full
	starving bool    // in loop.starved
}

// waiting is how many connections the program has not accepted yet that the host's socket
// has none of any more. With its own they are bounded by the backlog.
func (q *listenQueue) waiting() int {
	n := len(q.entries) - q.tokens + len(q.taken)
	if q.held != nil {
		n++
	}
	return n
}

// count tells the host's socket how many those are, and more on top.
func (s *sock) count(more int) {
	q := s.listen
	if n := q.waiting() + more; n != q.counted {
		q.counted = n
		s.u.Hold(n)
	}
}

// entry is an end that is connected to the program's.
type entry struct {
	name  name
	s     *sock // nil: a token
	token int   // its descriptor
}

// taken is a connection whose descriptor has reached nobody yet.
type taken struct {
	s    *sock
	fd   int // the program's end
	nonb int // SOCK_NONBLOCK, if it has that now
}

// callListen is listen(fd, backlog).
func callListen(c *call) result {
	s, backlog := c.s, int(int32(c.n.data.args[1]))
	if s.sctp != nil {
		return c.listenMessages(backlog)
	}
	if s.state == over || s.listen != nil && s.listen.shut {
		c.noteRegistrations()
	}
	before, _ := s.u.GetSockName()
	err := s.u.Listen(backlog)
	if errno(err) == unix.EADDRINUSE && !c.scanned {
		return c.afterScan(callListen) // it may be held by a socket that the program has closed
	}
	if err != nil {
		return c.failErr(err)
	}
	if s.listen == nil || s.listen.shut {
		c.onFail(func() { s.listensNot(before) })
	}
	if s.state == over || s.listen != nil && s.listen.shut {
		if e := c.renew(); e != 0 {
			return c.undone(e)
		}
	}
	if s.listen == nil {
		if e := s.listens(c.dup); e != 0 {
			return c.undone(e)
		}
	}
	if e := sysListen(c.dup, backlog); e != 0 {
		return c.undone(e)
	}
	s.acceptAll()
	return c.ok()
}

// listensNot undoes what a listen has done to the host's socket, whose address was
// before. A port that bind did not name goes with the end of a listener.
func (s *sock) listensNot(before usock.Addr) {
	s.u.Shutdown(usock.SHUT_RD)
	if before.Port != 0 {
		s.u.Bind(before)
	}
}

// refuse resets the connections that were not accepted, after a shutdown.
func (s *sock) refuse() {
	s.listen.shut = true
	s.listen.clear(s.l)
}

// clear resets the connections that wait. What is left in the kernel's queue has
// nothing at its other end, and is closed when it is accepted.
func (q *listenQueue) clear(l *loop) {
	held, entries, out := q.held, q.entries, q.taken
	q.held, q.entries, q.taken, q.tokens = nil, nil, nil, 0
	if held != nil {
		held.reset()
	}
	for _, t := range out {
		t.s.reset()
		sysClose(t.fd)
		l.space.give(1)
	}
	for _, e := range entries {
		if e.s != nil {
			e.s.reset()
		} else {
			sysClose(e.token)
			l.space.give(1)
		}
	}
}

// unlisten frees what a listener has, and resets the connections that were not
// accepted.
func (s *sock) unlisten() {
	q := s.listen
	q.clear(s.l)
	s.listen = nil
	sysClose(q.path)
	s.l.space.give(1)
	same := func(o *sock) bool { return o == s }
	if rest := slices.DeleteFunc(s.l.ports[q.port], same); len(rest) > 0 {
		s.l.ports[q.port] = rest
	} else {
		delete(s.l.ports, q.port)
	}
	s.l.starved = slices.DeleteFunc(s.l.starved, same)
}

// acceptAll connects each connection that the host's socket has ready to the
// program's end, as far as there are descriptors and the kernel's queue has room.
// It may be called again and again.
func (s *sock) acceptAll() {
	q := s.listen
	for q != nil && !q.shut && s.state == listening {
		var e syscall.Errno
		switch {
		case q.tokens < len(q.taken):
			e = s.addToken()
		case q.held == nil && !s.hold():
			return
		default:
			e = s.offer(q.held)
		}
		switch e {
		case 0:
			s.wakeAll()
		case unix.EAGAIN:
			return // until one is accepted
		case unix.ECONNREFUSED, unix.ENOENT:
			s.release() // the program has closed the listener
			return
		default:
			s.l.starve(s)
			return
		}
	}
}

// hold accepts the next connection of the host's socket, if there is one and a
// descriptor for it.
func (s *sock) hold() bool {
	if s.u.Events()&usock.POLLIN == 0 {
		return false
	}
	if !s.l.space.take(1) {
		s.l.starve(s)
		return false
	}
	s.count(1) // before it leaves the host's queue
	u, err := s.u.AcceptAhead()
	if err != nil {
		s.count(0)
		s.l.space.give(1)
		return false
	}
	u.SetNonblock(true)
	s.listen.held = &sock{l: s.l, u: u, stream: true, state: connected, far: end{fd: -1}, fd: -1, times: s.times, inq: s.inq}
	return true
}

// offer connects the far end of n to the program's end.
func (s *sock) offer(n *sock) syscall.Errno {
	fd, id, e := s.connectEnd()
	if e != 0 {
		return e
	}
	if e := n.setFar(fd); e != 0 {
		// What was connected is nobody's now.
		sysClose(fd)
		return e
	}
	s.listen.held = nil
	s.listen.entries = append(s.listen.entries, entry{name: id, s: n})
	n.watchStack()
	return 0
}

// addToken puts a token into the kernel's queue.
func (s *sock) addToken() syscall.Errno {
	fd, id, e := s.connectEnd()
	if e != 0 {
		return e
	}
	s.l.space.force(1)
	s.listen.entries = append(s.listen.entries, entry{name: id, token: fd})
	s.listen.tokens++
	return 0
}

// connectEnd makes an end and connects it to the program's, which listens.
func (s *sock) connectEnd() (fd int, id name, e syscall.Errno) {
	fd, e = sysSocket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	if e != 0 {
		return -1, 0, e
	}
	if id, e = s.l.naming.give(fd); e == 0 {
		e = connectHidden(fd, s.listen.path)
	}
	if e != 0 {
		sysClose(fd)
		return -1, 0, e
	}
	return fd, id, 0
}

// callAccept is accept(fd, addr, addrlen).
func callAccept(c *call) result { return c.accept(0) }

// callAccept4 is accept4(fd, addr, addrlen, flags).
func callAccept4(c *call) result {
	flags := int(int32(c.n.data.args[3]))
	if flags&^(unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) != 0 {
		return c.fail(unix.EINVAL)
	}
	return c.accept(flags)
}

func (c *call) accept(flags int) result {
	s := c.s
	if s.sctp != nil {
		return c.acceptMessages(flags)
	}
	r := c.tryAccept(flags)
	switch {
	case r.how != park && r.err == 0:
		return r
	case !c.t.room():
		// The number for the connection comes first on Linux (net/socket.c,
		// __sys_accept4_file).
		return c.fail(unix.EMFILE)
	case r.how != park:
		return r
	case nonblocking(c.dup):
		return c.fail(unix.EAGAIN)
	}
	if c.interrupted("accept") {
		return c.fail(unix.EINTR)
	}
	return c.park(&s.waiting, func(c *call) result { return c.tryAccept(flags) }, s.times[rcvTimeo], unix.EAGAIN)
}

func (c *call) tryAccept(flags int) result {
	s := c.s
	if s.listen == nil {
		u, _, err := s.u.Accept()
		if err == nil {
			u.Close()
			return c.fail(unix.EINVAL)
		}
		return c.failErr(err)
	}
	q := s.listen
	if q.shut {
		return c.fail(unix.EINVAL)
	}
	if e := c.takeEntry(flags & unix.SOCK_NONBLOCK); e != 0 {
		return c.lacksOwn(e)
	}
	if len(q.taken) == 0 {
		switch {
		case s.u.Events()&usock.POLLHUP != 0:
			return c.fail(unix.EINVAL)
		case q.starving:
			return c.fail(unix.EMFILE)
		}
		return result{how: park}
	}
	if r, struck := c.acceptFault(); struck {
		return r
	}
	n := q.taken[0]
	q.taken = q.taken[1:]
	r := c.deliver(n, flags)
	if q := s.listen; q != nil {
		s.count(0)
		if q.held != nil || q.tokens != len(q.taken) {
			s.acceptAll()
		}
	}
	return r
}

// takeEntry takes an entry out of the kernel's queue, if there is one. A token's is
// already taken. One whose connection has broken down since is given to the program
// all the same: Linux does so.
func (c *call) takeEntry(nonb int) syscall.Errno {
	s := c.s
	q := s.listen
	for len(q.entries) > 0 || c.closeStrangers() {
		fd, id, e := s.l.naming.accept(c.dup, nonb)
		switch e {
		case 0:
		case unix.EAGAIN:
			// A process outside of the run has the listener and has accepted them.
			q.clear(s.l)
			s.count(0)
			return 0
		case unix.EINTR:
			continue
		default:
			if e == unix.EMFILE && s.l.forgetTasks() {
				continue
			}
			return e
		}
		i := slices.IndexFunc(q.entries, func(e entry) bool { return e.name == id })
		if i < 0 {
			sysClose(fd) // a stranger's, or nobody's
			continue
		}
		x := q.entries[i]
		if q.entries = slices.Delete(q.entries, i, i+1); len(q.entries) == 0 {
			q.entries = nil
		}
		if x.s == nil {
			sysClose(fd)
			sysClose(x.token)
			s.l.space.give(1)
			q.tokens--
			return 0
		}
		s.l.space.force(1)
		q.taken = append(q.taken, taken{x.s, fd, nonb})
		x.s.accepted(fd, s)
		return 0
	}
	return 0
}

// closeStrangers closes what is in the kernel's queue and nobody's: poll would go on to
// show it, and no accept take it. As many as a queue holds are enough at a time. It
// reports whether there is an entry then, for which there was no room.
func (c *call) closeStrangers() bool {
	q, closed := c.s.listen, 0
	for closed < hiddenBacklog && pollNow(c.dup, unix.POLLIN)&unix.POLLIN != 0 {
		fd, _, e := sysAccept(c.dup, unix.SOCK_NONBLOCK, nil)
		if e != 0 {
			break
		}
		sysClose(fd)
		closed++
	}
	if closed == 0 {
		return false
	}
	c.s.acceptAll()
	return len(q.entries) > 0
}

// accepted says that fd is the program's end, which was accepted from listener's.
func (s *sock) accepted(fd int, listener *sock) {
	listener.setNative(fd)
	s.native = slices.Clone(listener.native)
	s.linger = listener.linger
	if s.state == released {
		return
	}
	s.identify(fd)
	if s.state == over {
		s.breakFar(fd)
	}
}

// deliver gives the program the accepted connection n, which is not in the queue. If
// it gets nowhere, it is the first one again.
func (c *call) deliver(n taken, flags int) result {
	if nonb := flags & unix.SOCK_NONBLOCK; nonb != n.nonb {
		unix.SetNonblock(n.fd, nonb != 0)
		n.nonb = nonb
	}
	args := &c.n.data.args
	if args[1] != 0 {
		peer, _ := n.s.u.GetPeerName()
		switch e := c.storeAddr(peer, args[1], args[2]); {
		case e == 0:
		case e == errGone || !c.l.notify.valid(c.n.id):
			return c.putBack(n, errGone)
		default:
			// Linux closes the connection then (accept4, move_addr_to_user).
			sysClose(n.fd)
			c.l.space.give(1)
			return c.fail(e)
		}
	}
	// Until the supervisor's copy is closed the program's close is none: bytes that came
	// after it would be taken for bytes left unread.
	n.s.giving, n.s.waits = true, n.nonb == 0
	got, e := c.answerFD(n.fd, flags&unix.SOCK_CLOEXEC)
	if n.s.giving = false; n.s.delayed {
		n.s.delayed = false
		defer n.s.pump()
	}
	if e != 0 {
		return c.putBack(n, e)
	}
	n.s.seen(c.t, got)
	n.s.own(c)
	c.l.space.give(1)
	return result{how: done}
}

// putBack makes n the next connection to be given, after the call has failed with e:
// the program's process has no number for it, or the call is gone.
func (c *call) putBack(n taken, e syscall.Errno) result {
	q := c.s.listen
	if q == nil || q.shut {
		n.s.reset()
		sysClose(n.fd)
		c.l.space.give(1)
	} else {
		q.taken = slices.Insert(q.taken, 0, n)
		c.s.acceptAll() // for the token
		c.s.wakeAll()
	}
	return c.lacks(e)
}

// callBind is bind(fd, addr, addrlen).
func callBind(c *call) result {
	a, e := c.loadAddr(c.n.data.args[1], c.n.data.args[2])
	if e != 0 {
		return c.fail(e)
	}
	return c.bind(a)
}

func (c *call) bind(a usock.Addr) result {
	err := c.s.u.Bind(a)
	if errno(err) == unix.EADDRINUSE && c.s.sctp != nil {
		c.l.drainMessages()
		err = c.s.u.Bind(a)
	}
	if errno(err) == unix.EADDRINUSE && !c.scanned {
		// The port may be held by a socket that the program has closed.
		return c.afterScan(func(c *call) result { return c.bind(a) })
	}
	if err != nil {
		return c.failErr(err)
	}
	return c.ok()
}

// checkListeners closes listeners on the port that the program has closed, so that
// a connect to it is refused.
func (l *loop) checkListeners(port uint16) {
	for _, s := range slices.Clone(l.ports[port]) {
		if !l.listens(s) {
			s.release()
		}
	}
}

// listens reports whether the program has the end of the listener s.
func (l *loop) listens(s *sock) bool {
	return connectHidden(l.probe, s.listen.path) != unix.ECONNREFUSED
}
