//go:build amd64 || arm64

package run

import (
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// callConnect is connect(fd, addr, addrlen).
func callConnect(c *call) result {
	a, e := c.loadAddr(c.n.data.args[1], c.n.data.args[2])
	if e != 0 {
		return c.fail(e)
	}
	switch {
	case c.s.sctp != nil:
		return c.connectMessages(func() error { return c.s.u.Connect(a) }, (*call).fail)
	case !c.s.stream:
		c.s.drain() // what was sent goes to the peer of then
		err := c.s.u.Connect(a)
		if err == nil {
			c.s.peer = a.Family != usock.AF_UNSPEC
		}
		if a.Port == portDNS { // others connect datagram sockets to see whether there is a route
			c.noRoute(a, errno(err))
		}
		return c.failErr(err)
	case a.Family == usock.AF_UNSPEC:
		return c.disconnect(a)
	}
	if c.s.state == connecting {
		c.l.serveStack() // its outcome may be known
	}
	c.l.checkListeners(a.Port)
	c.errorTold()
	if e := c.l.room(); e != 0 {
		c.starved = noRoom(e)
		return c.lacks(e)
	}
	return c.connect(a)
}

const portDNS = 53

// noRoute tells the user once that a connect has failed as there is no way out. Of IPv6 it
// says nothing: many machines have none, and programs that try it first go on with IPv4.
func (c *call) noRoute(a usock.Addr, e syscall.Errno) {
	if e == unix.ENETUNREACH && c.l.reaches && a.Family == usock.AF_INET && unrouted(a.IP.As4()) {
		c.l.log.warnFirst("no route", c.t, "no route to "+a.IP.String()+": this machine has no IPv4 route to other networks, so the run has none (ip route shows the machine's)")
	}
}

// unrouted reports whether the machine has no route to an address either.
func unrouted(a [4]byte) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer sysClose(fd)
	return unix.Connect(fd, &unix.SockaddrInet4{Addr: a, Port: portDNS}) == unix.ENETUNREACH // it sends nothing
}

// connect has the stack connect, or tell how an earlier attempt has ended. The
// program's end follows.
func (c *call) connect(a usock.Addr) result {
	s := c.s
	if s.state == over || s.state == listening {
		c.noteRegistrations()
	}
	err := s.u.Connect(a)
	c.stackTold()
	e := errno(err)
	if s.state == fresh {
		c.noRoute(a, e)
	}
	switch {
	case (e == unix.EINPROGRESS || e == 0) && (s.state == over || s.state == listening):
		// A new attempt. The kernel does not let the program's end connect again, nor
		// one that has listened.
		c.onFail(s.dissolve)
		if e := c.renew(); e != 0 {
			return c.undone(e)
		}
	case e == unix.EALREADY && s.state == connecting && !nonblocking(c.dup):
		return c.park(&s.waiting, s.outcomeFor(), s.times[sndTimeo], unix.EALREADY)
	case e == 0 && s.state == connecting:
		s.outcome(s.u.Events())
		return c.ok()
	}
	nowait := nonblocking(c.dup) || s.times[sndTimeo].now
	again := e == unix.EALREADY && !nowait // it waits for the attempt of another
	switch {
	case s.state != fresh || e != 0 && e != unix.EINPROGRESS && !again:
		return c.failErr(err)
	case e == 0: // Fast Open: the SYN waits for data
		return c.attach()
	case nowait:
		c.onFail(s.dissolve)
		if e := s.begin(c.dup, !nonblocking(c.dup)); e != 0 {
			return c.undone(e)
		}
		return c.fail(e)
	}
	s.err = 0
	wait := s.outcomeFor()
	r := wait(c)
	if r.how != park {
		return r
	}
	if c.interrupted("connect") {
		if r := goOn(c); r.how != park {
			return r
		}
		return c.fail(unix.EINTR)
	}
	r = c.park(&s.waiting, wait, s.times[sndTimeo], e)
	c.waits.leave = goOn
	return r
}

// outcomeFor returns what looks for the outcome of a blocking connect that begins, during
// which the program's end stays as it was: after a refusal it can be used again. Of several
// calls that wait for one attempt the first has its error, and the others, as those whose
// attempt was dissolved, EPIPE (Linux, __inet_stream_connect).
func (s *sock) outcomeFor() func(*call) result {
	began := s.dissolved
	return func(c *call) result {
		if c.s.dissolved != began {
			return c.fail(unix.EPIPE)
		}
		if c.s.state != fresh {
			return waitConnecting(c)
		}
		return c.waitFresh()
	}
}

func (c *call) waitFresh() result {
	switch e := errno(c.s.u.FinishConnect()); e {
	case 0:
		if noRoom(c.l.room()) && c.wantsRoom() {
			return result{how: park}
		}
		return c.attach()
	case unix.EALREADY:
		return result{how: park}
	case unix.ENOTCONN:
		// A shutdown has ended the attempt.
		if e = c.s.takeError(); e == 0 {
			e = unix.ECONNABORTED
		}
		fallthrough
	default:
		c.s.attemptOver()
		return c.fail(e)
	}
}

// attemptOver tells those who wait for an attempt to connect that it is over.
func (s *sock) attemptOver() {
	s.dissolved++
	s.wakeAll()
}

// goOn is for a blocking connect that a signal or its time has ended: the attempt goes
// on, and poll tells its end (connect(2), EINTR and EINPROGRESS).
func goOn(c *call) result {
	if c.s.state == fresh {
		if e := c.s.begin(c.dup, !nonblocking(c.dup)); e != 0 {
			c.s.dissolve()
			return c.lacks(e)
		}
	}
	return result{how: park}
}

// waitConnecting looks for the outcome where the program's end is joined already.
func waitConnecting(c *call) result {
	switch c.s.state {
	case connecting:
		return result{how: park}
	case connected:
		c.s.u.FinishConnect() // this call has the outcome, not the next
		return c.ok()
	}
	// The error of the attempt is this call's, and the stack is to know that it was told.
	e := c.overError()
	if told := errno(c.s.u.FinishConnect()); e == 0 {
		e = told
	}
	if e == 0 || e == unix.ENOTCONN {
		e = unix.ECONNABORTED
	}
	c.s.attemptOver()
	return c.fail(e)
}

// attach answers a connect that has succeeded.
func (c *call) attach() result {
	if e := c.s.attach(c.dup); e != 0 {
		c.onFail(c.s.dissolve)
		return c.undone(e)
	}
	c.s.pump()
	return c.ok()
}

// dissolve ends what the stack's socket has begun, and leaves it unconnected.
func (s *sock) dissolve() { s.u.Connect(usock.Addr{Family: usock.AF_UNSPEC}) }

// disconnect is connect to AF_UNSPEC.
func (c *call) disconnect(a usock.Addr) result {
	s := c.s
	c.noteRegistrations()
	if err := s.u.Connect(a); err != nil {
		return c.failErr(err)
	}
	s.attemptOver()
	if s.state == fresh {
		return c.ok()
	}
	if e := c.renewKeeping(true); e != 0 {
		return c.lacks(e)
	}
	return c.ok()
}

// errorTold takes note that the kernel has told the error of a broken connection.
func (c *call) errorTold() {
	if c.s.raised && polled(c.dup)&unix.POLLERR == 0 {
		c.s.raised = false
		c.s.takeError()
	}
}

// stackTold takes note that the stack has.
func (c *call) stackTold() {
	if c.s.raised && c.s.err == 0 && c.s.u.Events()&usock.POLLERR == 0 {
		c.s.raised = false
		c.clearNative()
	}
}

// renew puts a fresh descriptor in place of the program's, which the kernel does
// not let connect again.
func (c *call) renew() syscall.Errno { return c.renewKeeping(false) }

// renewKeeping is renew. With untold, an error that was not told outlives the
// connection, also one that comes while the descriptor is being replaced.
func (c *call) renewKeeping(untold bool) syscall.Errno {
	s := c.s
	nonb := 0
	if nonblocking(c.dup) {
		nonb = unix.SOCK_NONBLOCK
	}
	fd, e := sysSocket(unix.SOCK_STREAM | nonb)
	if e != 0 {
		return e
	}
	number := s.fd
	if e := c.replaceFD(fd, s.fd, c.closeOnExec()); e != 0 {
		sysClose(fd)
		return e
	}
	sysClose(c.dup)
	c.dup = fd
	pending := s.err
	s.renewed(fd)
	if untold {
		s.err = pending
	}
	c.reregister(number)
	return 0
}
