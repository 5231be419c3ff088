//go:build amd64 || arm64

package run

import (
	"golang.org/x/sys/unix"

	"usock"
)

// callShutdown is shutdown(fd, how).
func callShutdown(c *call) result {
	s, how := c.s, int(int32(c.n.data.args[1]))
	switch {
	case how < unix.SHUT_RD || how > unix.SHUT_RDWR:
		return c.fail(unix.EINVAL)
	case s.sctp != nil:
		return c.shutdownMessages(how)
	case !s.stream:
		return c.shutdownDatagrams(how)
	case s.state == connected:
		return c.shutdownStream(how)
	}
	if err := s.u.Shutdown(how); err != nil {
		return c.tooLate(err)
	}
	if s.state == listening {
		if how != unix.SHUT_WR {
			s.refuse()
		}
		sysShutdown(c.dup, how)
	}
	s.wakeAll()
	return c.ok()
}

// shutdownDatagrams has the program send nothing more, and then the stack what was sent
// before.
func (c *call) shutdownDatagrams(how int) result {
	s := c.s
	if how != unix.SHUT_RD {
		sysShutdown(c.dup, unix.SHUT_WR)
		s.drain()
	}
	err := s.u.Shutdown(how)
	if err == nil || errno(err) == unix.ENOTCONN {
		s.shutRd = s.shutRd || how != unix.SHUT_WR
		sysShutdown(c.dup, how) // poll shows it, whether there is a peer or not
		s.wakeAll()
	}
	return c.failErr(err)
}

// tooLate fails a shutdown of a stream. Of one that has ended it wakes who waits, as
// Linux's does (inet_shutdown): it is an edge for EPOLLET.
func (c *call) tooLate(err error) result {
	s := c.s
	if errno(err) == unix.ENOTCONN && (s.state == over || s.up.half == ended && s.down.half == ended) {
		sysShutdown(c.dup, unix.SHUT_RDWR)
	}
	return c.failErr(err)
}

// shutdownStream ends a direction of a connection or both. What was written goes
// before the end: where the stack's queue is full, the end follows once the rest is
// taken.
func (c *call) shutdownStream(how int) result {
	s := c.s
	writes := how != unix.SHUT_RD
	if writes {
		s.drain()
	}
	switch {
	case s.state != connected:
		return c.fail(unix.ENOTCONN) // it has broken down meanwhile
	case writes && s.up.half != ended && (!s.up.empty() || s.far.readable):
		if how == unix.SHUT_RDWR {
			s.u.Shutdown(usock.SHUT_RD)
			s.shutRd = true
		}
		s.up.half, s.far.readable, s.far.ended = ending, true, true
		sysShutdown(c.dup, how)
		s.wakeAll()
		return c.ok()
	}
	if err := s.u.Shutdown(how); err != nil {
		return c.tooLate(err)
	}
	if how != unix.SHUT_WR {
		s.shutRd = true
	}
	if writes && s.up.half != ended {
		// One byte stays unread at the far end from now on: with it a reset
		// shows as an error at the program's end.
		if n, e := sysSend(c.dup, []byte{0}); e == 0 {
			s.filler += n
		}
		s.up.half, s.far.readable = ended, false
		s.hush(s.shutRd || s.down.half == ended)
	}
	sysShutdown(c.dup, how)
	s.wakeAll()
	return c.ok()
}
