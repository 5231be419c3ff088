//go:build amd64 || arm64

package run

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// listening is what a listening socket has besides.
//
// The program's end listens in the kernel too, at a hidden path. For each connection
// that the host's socket accepts, the supervisor connects to that path: so the
// program's end is readable exactly while connections wait, for every process and
// every way of waiting. Only the supervisor accepts from it, so that the kernel's
// queue and pending stay in step.
type listening struct {
	path    int     // O_PATH descriptor
	port    uint16  // where it listens
	pending []*sock // connected to the path and not yet accepted, in order
	lost    []lost  // accepted for a call that was gone before its answer
	shut    bool    // shut down: the host's socket does not listen any more
	held    *sock   // accepted from the host; the kernel's queue is full
}

// lost is an accepted connection whose descriptor reached nobody.
type lost struct {
	s  *sock
	fd int // the program's end
}

// callListen is listen(fd, backlog).
func callListen(c *call) result {
	s, backlog := c.s, int(int32(c.n.data.args[1]))
	err := s.u.Listen(backlog)
	if errno(err) == unix.EADDRINUSE {
		c.l.scan() // by a socket that the program has closed?
		err = s.u.Listen(backlog)
	}
	if err != nil {
		return c.failErr(err)
	}
	if s.phase == over || s.listen != nil && s.listen.shut {
		if e := c.renew(); e != 0 {
			return c.fail(e)
		}
	}
	if s.listen == nil {
		path, err := c.l.dir.bind(c.dup)
		if err != nil {
			return c.failErr(err)
		}
		s.listen = &listening{path: path}
		if a, err := s.u.GetSockName(); err == nil {
			s.listen.port = a.Port
			s.l.ports[a.Port] = append(s.l.ports[a.Port], s)
		}
		s.phase = listens
		s.hush(true)
	}
	if e := sysListen(c.dup, backlog); e != 0 {
		return c.fail(e)
	}
	s.acceptAll()
	return c.answer(0)
}

// refuse resets the connections that were not accepted, after a shutdown.
func (s *sock) refuse(dup int) {
	ls := s.listen
	ls.shut = true
	if ls.held != nil {
		ls.held.reset()
		ls.held = nil
	}
	for _, n := range ls.pending {
		if fd, e := sysAccept(dup, 0); e == 0 {
			sysClose(fd)
		}
		n.reset()
	}
	ls.pending = nil
}

// unlisten frees what a listener has, and resets the connections that were not
// accepted.
func (s *sock) unlisten() {
	ls := s.listen
	s.listen = nil
	sysClose(ls.path)
	if ls.held != nil {
		ls.held.reset()
	}
	for _, n := range ls.pending {
		n.reset()
	}
	for _, n := range ls.lost {
		sysClose(n.fd)
		n.s.reset()
	}
	same := func(o *sock) bool { return o == s }
	if rest := slices.DeleteFunc(s.l.ports[ls.port], same); len(rest) > 0 {
		s.l.ports[ls.port] = rest
	} else {
		delete(s.l.ports, ls.port)
	}
}

// acceptAll connects each connection that the host's socket has ready to the
// program's end.
func (s *sock) acceptAll() {
	for !s.gone {
		n := s.listen.held
		if n == nil {
			u, _, err := s.u.Accept()
			if err != nil {
				return
			}
			u.SetNonblock(true)
			n = &sock{l: s.l, u: u, stream: true, phase: connected, far: -1, fd: -1}
		}
		s.listen.held = nil
		fd, e := sysSocket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
		if e != 0 {
			s.listen.held = n
			return
		}
		switch e := connectHidden(fd, s.listen.path); e {
		case 0:
			n.setFar(fd)
			n.watchStack()
			s.listen.pending = append(s.listen.pending, n)
			s.retry()
		case unix.EAGAIN:
			sysClose(fd)
			s.listen.held = n
			return
		default:
			// The program has closed the listener.
			s.l.metDead = true
			sysClose(fd)
			n.reset()
			s.release()
			return
		}
	}
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
	if s.listen == nil {
		u, _, err := s.u.Accept()
		if err == nil {
			u.Close()
			return c.fail(unix.EINVAL)
		}
		return c.failErr(err)
	}
	r := c.tryAccept(flags)
	if r.how == park && nonblocking(c.dup) {
		return c.fail(unix.EAGAIN)
	}
	if r.how == park {
		return c.park(func(c *call) result { return c.tryAccept(flags) }, s.timeout(usock.SO_RCVTIMEO), unix.EAGAIN)
	}
	return r
}

func (c *call) tryAccept(flags int) result {
	ls := c.s.listen
	switch {
	case ls == nil:
		return c.fail(unix.EINVAL)
	case len(ls.lost) > 0:
		n := ls.lost[0]
		ls.lost = ls.lost[1:]
		return c.deliver(n.s, n.fd, flags)
	case len(ls.pending) == 0:
		if c.s.u.Events()&usock.POLLHUP != 0 {
			return c.fail(unix.EINVAL)
		}
		return result{how: park}
	}
	// An entry of pending whose connection has broken down since is still in the
	// kernel's queue, and accept returns it: Linux does the same.
	fd, e := sysAccept(c.dup, flags&unix.SOCK_NONBLOCK)
	if e != 0 {
		return c.fail(e)
	}
	c.s.setNative(fd)
	n := ls.pending[0]
	n.native = slices.Clone(c.s.native)
	ls.pending = ls.pending[1:]
	if len(ls.pending) == 0 {
		ls.pending = nil
	}
	n.id, _ = sysInode(fd)
	if old := c.l.socks[n.id]; old != nil {
		old.release()
	}
	if !n.gone {
		c.l.socks[n.id] = n
		if n.phase == over {
			n.breakFar(fd)
		}
	}
	r := c.deliver(n, fd, flags)
	if ls.held != nil {
		c.s.acceptAll()
	}
	return r
}

// deliver gives the program the accepted descriptor fd of n.
func (c *call) deliver(n *sock, fd, flags int) result {
	args := &c.n.data.args
	if args[1] != 0 {
		peer, _ := n.u.GetPeerName()
		switch e := c.storeAddr(peer, args[1], args[2]); e {
		case 0:
		case errGone:
			return c.keepLost(n, fd)
		default:
			sysClose(fd)
			return c.fail(e)
		}
	}
	got, e := c.answerFD(fd, flags&unix.SOCK_CLOEXEC)
	switch e {
	case 0:
		n.tid, n.fd = c.t.tid, got
		n.own(c)
	case unix.ENOENT, unix.EINPROGRESS:
		return c.keepLost(n, fd)
	default:
		sysClose(fd)
		return c.fail(e)
	}
	sysClose(fd)
	return result{how: done}
}

// keepLost keeps an accepted connection whose caller is gone, for the next one.
func (c *call) keepLost(n *sock, fd int) result {
	if n.gone || c.s.listen == nil {
		sysClose(fd)
	} else {
		c.s.listen.lost = append(c.s.listen.lost, lost{n, fd})
		c.l.do(c.s.retry)
	}
	return result{how: done}
}

// callBind is bind(fd, addr, addrlen).
func callBind(c *call) result {
	a, e := c.loadAddr(c.n.data.args[1], c.n.data.args[2])
	if e != 0 {
		return c.fail(e)
	}
	err := c.s.u.Bind(a)
	if errno(err) == unix.EADDRINUSE {
		c.l.scan() // the port may be held by a socket that the program has closed
		err = c.s.u.Bind(a)
	}
	if err != nil {
		return c.failErr(err)
	}
	return c.answer(0)
}

// checkListeners closes listeners on the port that the program has closed, so that
// a connect to it is refused.
func (l *loop) checkListeners(port uint16) {
	for _, s := range slices.Clone(l.ports[port]) {
		if e := connectHidden(l.probe, s.listen.path); e == unix.ECONNREFUSED {
			s.release()
		}
	}
}

// callShutdown is shutdown(fd, how).
func callShutdown(c *call) result {
	s, how := c.s, int(int32(c.n.data.args[1]))
	writes := how == unix.SHUT_WR || how == unix.SHUT_RDWR
	if s.stream && s.phase == connected && writes {
		s.drain() // what was written goes before the end
	}
	if s.gone {
		return c.fail(unix.ENOTCONN)
	}
	if writes && s.stream && !s.up.empty() && !s.upEnd {
		// The stack's queue is full. The end follows once the rest is taken.
		if how == unix.SHUT_RDWR {
			s.u.Shutdown(usock.SHUT_RD)
		}
		s.endUp, s.readable, s.ended = true, true, true
		sysShutdown(c.dup, how)
		return c.answer(0)
	}
	return c.shutdown(how)
}

// endSent ends the stream after a shutdown that found the stack's queue full.
func (s *sock) endSent() {
	s.u.Shutdown(usock.SHUT_WR)
	s.endUp, s.upEnd, s.readable = false, true, false
	s.hush(true)
}

func (c *call) shutdown(how int) result {
	s := c.s
	err := s.u.Shutdown(how)
	if !s.stream && (err == nil || errno(err) == unix.ENOTCONN) {
		s.shutRd = s.shutRd || how != unix.SHUT_WR
		sysShutdown(c.dup, how) // poll shows it, whether there is a peer or not
	}
	if err != nil {
		return c.failErr(err)
	}
	if s.stream && (s.phase == connected || s.listen != nil) {
		if how != unix.SHUT_RD && s.phase == connected && !s.upEnd {
			// One byte stays unread at the far end from now on: with it a reset
			// shows as an error at the program's end.
			s.upEnd = true
			if n, e := sysSend(c.dup, []byte{0}); e == 0 {
				s.filler += n
			}
			s.readable = false
			s.hush(s.downEnd || how == unix.SHUT_RDWR)
		}
		if s.listen != nil && how != unix.SHUT_WR {
			s.refuse(c.dup)
		}
		sysShutdown(c.dup, how)
	}
	s.retry()
	return c.answer(0)
}

// timeout returns the time of SO_RCVTIMEO or SO_SNDTIMEO.
func (s *sock) timeout(name int) time.Duration {
	b := make([]byte, 16)
	n, err := s.u.GetSockOpt(usock.SOL_SOCKET, name, b)
	if err != nil {
		return 0
	}
	d, _ := abi.ParseTimeval(b[:n])
	return d
}

// own tells captures and listings which process the socket belongs to.
func (s *sock) own(c *call) { s.u.SetOwner(c.t.process()) }
