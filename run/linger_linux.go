//go:build amd64 || arm64

package run

import (
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// SO_LINGER. What a program closes is a file of the kernel's, and the supervisor learns of it afterwards: the loop never
// waits for what was sent, and neither does close(2) of what the filter does not know. That of SCTP's sockets stops, by
// their number (marked_linux.go), and waits for the association's end as Linux's does: of the last descriptor of the socket
// alone, and not while a process exits (inet_release).

// lingers returns the socket's SO_LINGER.
func (s *sock) lingers() (l abi.Linger) {
	v := make([]byte, 8)
	if n, err := s.u.GetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, v); err == nil {
		l, _ = abi.ParseLinger(v[:n])
	}
	return l
}

// closeStack closes the stack's socket. Where close(2) waits for what was sent, a goroutine does so.
func (s *sock) closeStack() {
	if len(s.lingering) > 0 {
		go func() {
			s.u.Close()
			s.l.do(func() {
				s.lingered = true
				s.lingering.wake(s.l)
			})
		}()
		return
	}
	if s.linger && s.lingers().Seconds > 0 {
		s.u.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, make([]byte, 8))
	}
	s.u.Close()
}

// callClose is close(fd). The kernel carries it out in any case. What it has to close by then is a file in place of the
// program's end: so it is known whether that was the last descriptor of it, and nobody can use it any more.
func callClose(c *call) result {
	s := c.s
	if !s.linger || s.sctp == nil && !s.stream || s.sctp != nil && (!s.sctp.one || s.sctp.listening) {
		return result{how: byKernel}
	}
	l := s.lingers()
	if !l.On || l.Seconds == 0 || s.state != connected || !c.replaceByNothing() {
		return result{how: byKernel}
	}
	sysClose(c.dup)
	c.dup = -1
	shown := polled(s.far.fd)
	if shown&unix.POLLHUP == 0 {
		return result{how: byKernel}
	}
	r := c.park(&s.lingering, func(c *call) result {
		if c.s.lingered {
			return result{how: byKernel}
		}
		return result{how: park}
	}, timeout{after: time.Duration(l.Seconds) * time.Second}, unix.EINTR)
	c.waits.leave = func(*call) result { return result{how: byKernel} } // a signal ends the wait, and is no error
	if s.stream {
		s.ready(uint32(uint16(shown)))
	}
	s.catchUp()
	return r
}

// replaceByNothing puts a file that can be neither read nor written in place of the program's descriptor.
func (c *call) replaceByNothing() bool {
	fd, err := unix.Open("/dev/null", unix.O_ACCMODE|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer sysClose(fd)
	return c.replaceFD(fd, int(int32(c.n.data.args[0])), 0) == 0
}
