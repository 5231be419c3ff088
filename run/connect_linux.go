//go:build amd64 || arm64

package run

import (
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// callConnect is connect(fd, addr, addrlen).
func callConnect(c *call) result {
	s := c.s
	a, e := c.loadAddr(c.n.data.args[1], c.n.data.args[2])
	if e != 0 {
		return c.fail(e)
	}
	if !s.stream {
		s.drain() // what was sent goes to the peer of then
		if err := s.u.Connect(a); err != nil {
			return c.failErr(err)
		}
		return c.answer(0)
	}
	if s.raised && polled(c.dup)&unix.POLLERR == 0 {
		s.raised = false // the kernel has told the error
		s.takeError()
	}
	err := s.u.Connect(a)
	if s.raised && s.err == 0 && s.u.Events()&usock.POLLERR == 0 {
		s.raised = false // connect has
		c.clearNative()
	}
	if errno(err) == unix.EINPROGRESS {
		err = c.meetDead(a, err)
	}
	switch e := errno(err); {
	case err != nil && e != unix.EINPROGRESS && e != unix.EALREADY:
		return c.failErr(err)
	case s.phase == over || a.Family == usock.AF_UNSPEC && s.phase != fresh:
		pending := s.err
		if e := c.renew(); e != 0 {
			return c.fail(e)
		}
		if a.Family == usock.AF_UNSPEC {
			s.err = pending // an error that was not told outlives the connection
		}
	case s.phase == connecting:
		if nonblocking(c.dup) {
			return c.failErr(err)
		}
		return c.park(waitConnecting, s.timeout(usock.SO_SNDTIMEO), unix.EINPROGRESS)
	}
	if a.Family == usock.AF_UNSPEC {
		return c.fail(0)
	}
	s.err = 0
	if err == nil {
		return c.connected()
	}
	if nonblocking(c.dup) {
		return c.connectLater(err)
	}
	wait := func(c *call) result { return c.waitFresh(a) }
	r := wait(c)
	if r.how == park {
		return c.park(wait, s.timeout(usock.SO_SNDTIMEO), unix.EINPROGRESS)
	}
	return r
}

// meetDead carries on with a connect that has just begun, which may have met a
// listener that its program has closed. On a link without delay the connection is
// made by now and was refused by the kernel, where the listener's end is gone: the
// next attempt is refused as it should be. Otherwise the listener goes before the
// SYN arrives.
func (c *call) meetDead(a usock.Addr, err error) error {
	l, s := c.l, c.s
	l.metDead = false
	l.serveStack()
	if l.metDead {
		s.takeError()
		for range 2 { // the first call may tell the outcome of the attempt before
			if err = s.u.Connect(a); err == nil || errno(err) == unix.EINPROGRESS || errno(err) == unix.ECONNREFUSED {
				break
			}
		}
		return err
	}
	if s.u.Events()&(usock.POLLOUT|usock.POLLERR|usock.POLLHUP) == 0 {
		l.checkListeners(a.Port)
	}
	return err
}

// connectLater answers a non-blocking connect. Where the outcome is known already,
// as on loopback, the program finds the socket ready at once.
func (c *call) connectLater(err error) result {
	s := c.s
	if s.phase != fresh {
		return c.failErr(err)
	}
	if e := s.join(c.dup); e != 0 {
		return c.fail(e)
	}
	ev := s.u.Events()
	if ev&(usock.POLLERR|usock.POLLHUP) == 0 && ev&usock.POLLOUT != 0 {
		s.phase = connected
		s.pump()
		return c.failErr(err)
	}
	s.phase = connecting
	s.fill(c.dup)
	s.connectOutcome(ev)
	return c.failErr(err)
}

// waitFresh looks for the outcome of a blocking connect, during which the program's
// end stays as it was: after a refusal it can be used again.
func (c *call) waitFresh(a usock.Addr) result {
	s := c.s
	ev := s.u.Events()
	switch {
	case ev&usock.POLLERR != 0:
		switch e := errno(s.u.Connect(a)); e { // it tells the error of this attempt
		case unix.EALREADY, unix.EINPROGRESS:
			return result{how: park} // it was only about what is in the error queue
		default:
			return c.fail(e)
		}
	case ev&usock.POLLHUP != 0:
		return c.fail(unix.ECONNREFUSED)
	case ev&usock.POLLOUT != 0:
		// The stack tells the outcome to the next connect. This one has it.
		if peer, err := s.u.GetPeerName(); err == nil {
			s.u.Connect(peer)
		}
		return c.connected()
	}
	return result{how: park}
}

// waitConnecting looks for the outcome where the program's end is joined already.
func waitConnecting(c *call) result {
	s := c.s
	switch s.phase {
	case connecting:
		return result{how: park}
	case connected:
		return c.answer(0)
	}
	return c.fail(c.overError())
}

// connected answers a connect that has succeeded.
func (c *call) connected() result {
	s := c.s
	if s.phase == fresh {
		if e := s.join(c.dup); e != 0 {
			return c.fail(e)
		}
		s.phase = connected
	}
	s.pump()
	return c.answer(0)
}

// renew puts a fresh descriptor in place of the program's, which the kernel does
// not let connect again.
func (c *call) renew() syscall.Errno {
	s := c.s
	nonb := 0
	if nonblocking(c.dup) {
		nonb = unix.SOCK_NONBLOCK
	}
	fd, e := sysSocket(unix.SOCK_STREAM | nonb)
	if e != 0 {
		return e
	}
	if e := c.l.notify.replaceFD(c.n.id, fd, s.fd, c.closeOnExec()); e != 0 {
		sysClose(fd)
		return e
	}
	sysClose(c.dup)
	c.dup = fd
	s.setNative(fd)
	s.dropFar()
	if s.listen != nil {
		s.unlisten()
	}
	delete(c.l.socks, s.id)
	s.id, _ = sysInode(fd)
	c.l.socks[s.id] = s
	s.phase, s.err, s.raised, s.filler, s.endUp, s.upEnd, s.downEnd = fresh, 0, false, 0, false, false, false
	s.l.drop(&s.up)
	s.l.drop(&s.down)
	s.hush(true)
	return 0
}
