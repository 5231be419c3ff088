//go:build linux

package gateway

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// stream is a TCP connection inside and the one outside that carries it on.
//
//	asked: outer socket connects ──► joined ──► up ended, down ended ──► gone
//	            │ refused, unreachable             │ a reset on either side
//	            ▼                                  ▼
//	      the flow is answered so               the other side is reset
//
// Up is from the host to the outside, down the other way. What was taken from one side and
// not yet by the other stands in pending: at most one read. Besides that the inner socket's
// receive buffer (tcp_rmem: 6 MiB at most) holds what the program has sent and the outer
// socket does not take.
type stream struct {
	g    *Gateway
	side *side
	flow *usock.Flow
	in   *usock.Socket // nil: not joined yet
	fd   int

	up, down half
	readable bool // outside
	writable bool
	failed   bool // the outer connection has an error
	urgent   bool // an urgent byte is on its way from outside
	queued   bool // in g.again
	gone     bool
	began    time.Time
}

// half is one direction.
type half struct {
	pending []byte // taken, and not given yet
	ended   bool   // and that was passed on
}

// maxRound is how many bytes a stream moves before the others have their turn.
const maxRound = 1 << 20

// connect begins a stream for a flow.
func (g *Gateway) connect(side *side, f *usock.Flow) {
	to := f.Local()
	if errno := g.forbidden(to.Addr(), side.own); errno != 0 {
		g.refuse(side, f, -1, errno)
		return
	}
	if g.halfOpen >= maxHalfOpen || len(g.streams) >= maxStreams {
		g.reap()
		if g.halfOpen >= maxHalfOpen || len(g.streams) >= maxStreams {
			f.Drop()
			g.warn("usock: the gateway carries %d connections, %d of them not made yet: more must wait", len(g.streams), g.halfOpen)
			return
		}
	}
	fd, e := outerSocket(to.Addr(), unix.SOCK_STREAM, 0)
	if e != 0 {
		f.Drop()
		g.warn("usock: the gateway has no socket for another connection: %v%s", e, limitHint(e))
		return
	}
	// The inner stack has done Nagle's work already.
	setInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	setInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	setTOS(fd, to.Addr(), f.TOS())
	setTTL(fd, to.Addr(), f.TTL())
	s := &stream{g: g, side: side, flow: f, fd: fd, began: time.Now()}
	e = sysConnect(fd, to)
	if e != 0 && e != unix.EINPROGRESS {
		g.refuse(side, f, fd, e)
		sysClose(fd)
		return
	}
	if err := g.watch(fd, s); err != nil {
		f.Drop()
		sysClose(fd)
		return
	}
	g.streams[s] = struct{}{}
	g.halfOpen++
	// What becomes of a connect to the machine's own addresses is known by now, though
	// connect does not tell.
	s.outcome(polled(fd))
}

// setTOS gives an outer socket the DSCP of an inner packet. ECN's bits are each side's own.
func setTOS(fd int, a netip.Addr, tos uint8) {
	switch tos &= 0xfc; {
	case tos == 0:
	case a.Is4():
		setInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(tos))
	default:
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(tos))
	}
}

// setTTL gives an outer socket the time to live, or hop limit, of an inner packet.
func setTTL(fd int, a netip.Addr, ttl uint8) {
	if a.Is4() {
		setInt(fd, unix.IPPROTO_IP, unix.IP_TTL, int(ttl))
	} else {
		setInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, int(ttl))
	}
}

// reap ends the streams that connect for programs that have given up.
func (g *Gateway) reap() {
	for s := range g.streams {
		if s.in == nil && (!s.flow.Waiting() || !g.inner.Connects(s.flow.Remote(), s.flow.Local())) {
			s.flow.Drop()
			s.end()
		}
	}
}

// ready implements source.
func (s *stream) ready(ev uint32) {
	if s.gone {
		return
	}
	if ev == 0 {
		s.queued = false
	}
	if s.in == nil {
		s.outcome(ev)
		return
	}
	s.readable = s.readable || ev&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	s.writable = s.writable || ev&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0
	s.urgent = s.urgent || ev&unix.EPOLLPRI != 0
	s.failed = s.failed || ev&unix.EPOLLERR != 0
	s.pump()
}

// outcome looks what became of the outer connect.
func (s *stream) outcome(ev uint32) {
	if s.gone || ev&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return
	}
	// SO_ERROR comes first: to read the error queue clears it.
	switch e := syscall.Errno(getInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)); e {
	case 0:
		if ev&unix.EPOLLERR != 0 {
			return // an entry in the error queue, and no end
		}
		s.join()
		if !s.gone {
			s.ready(ev)
		}
	default:
		s.g.refuse(s.side, s.flow, s.fd, e)
		s.end()
	}
}

// join answers the program: the outer connection is made.
func (s *stream) join() {
	in, err := s.flow.Accept()
	if err != nil {
		reset(s.fd)
		s.end()
		return
	}
	s.g.halfOpen--
	s.in = in
	s.readable, s.writable = true, true
	set := s.g.set
	if s.side.own {
		set = s.g.own
	}
	in.SetSockOptInt(usock.SOL_TCP, usock.TCP_NODELAY, 1)
	if err := set.Add(in, usock.POLLIN|usock.POLLOUT|usock.POLLPRI|usock.POLLRDHUP|usock.EPOLLET, s); err != nil {
		s.abort()
	}
}

// inside is told of the inner socket's events.
func (s *stream) inside(ev usock.Events) {
	if s.gone {
		return
	}
	s.pump()
}

// pump moves what can be moved, in both directions.
func (s *stream) pump() {
	if s.gone || s.in == nil {
		return
	}
	more := s.pumpUp()
	if s.gone {
		return
	}
	more = s.pumpDown() || more
	switch {
	case s.gone:
	case s.up.ended && s.down.ended:
		s.in.Close()
		s.end()
	case more && !s.queued:
		s.queued = true
		s.g.later(s)
	}
}

// pumpUp moves bytes from the host to the outside. It reports whether it stopped only to let
// others have their turn.
func (s *stream) pumpUp() bool {
	for moved := 0; !s.up.ended; {
		if len(s.up.pending) > 0 {
			n, e := sysSend(s.fd, s.up.pending, 0)
			if e != 0 {
				return s.notSent(e)
			}
			if s.up.pending = s.up.pending[n:]; len(s.up.pending) > 0 {
				s.writable = false
				return false
			}
			s.up.pending = nil
		}
		if !s.writable {
			return false
		}
		if moved >= maxRound {
			return true
		}
		if at, _ := s.in.AtMark(); at && s.passUrgent() {
			continue
		}
		n, err := s.in.Recv(s.g.buf, 0)
		switch {
		case err == unix.EAGAIN:
			return false
		case err != nil:
			s.abort() // the program has reset the connection, or it timed out
			return false
		case n == 0:
			s.up.ended = true
			sysShutdown(s.fd, unix.SHUT_WR)
			return false
		}
		moved += n
		k, e := sysSend(s.fd, s.g.buf[:n], 0)
		if e != 0 && e != unix.EAGAIN {
			return s.notSent(e)
		}
		if k < n {
			s.up.pending = append([]byte(nil), s.g.buf[k:n]...)
			s.writable = false
			return false
		}
	}
	return false
}

// notSent deals with an error of the outer socket's send.
func (s *stream) notSent(e syscall.Errno) bool {
	switch e {
	case unix.EAGAIN:
		s.writable = false
	case unix.ENOBUFS, unix.ENOMEM:
		return true
	default:
		// The connection is over. What came before is there to be read still.
		s.failed, s.readable = true, true
		s.up.pending, s.up.ended = nil, true
	}
	return false
}

// passUrgent hands on the urgent byte, which is the next one, and reports whether it did.
func (s *stream) passUrgent() bool {
	var b [1]byte
	if n, err := s.in.Recv(b[:], usock.MSG_OOB); err != nil || n != 1 {
		return false
	}
	if _, e := sysSend(s.fd, b[:], unix.MSG_OOB); e != 0 {
		s.up.pending = b[:] // in its place, if not as what it was
	}
	return true
}

// pumpDown moves bytes from the outside to the host.
func (s *stream) pumpDown() bool {
	for moved := 0; !s.down.ended; {
		if len(s.down.pending) > 0 && !s.give(s.down.pending) {
			return false
		}
		if !s.readable {
			return false
		}
		if moved >= maxRound {
			return true
		}
		flags, room := 0, s.g.buf
		if s.urgent {
			if atMark(s.fd) {
				flags, room = usock.MSG_OOB, room[:1]
				s.urgent = false
			}
		}
		n, e := sysRecv(s.fd, room, 0)
		switch {
		case e == unix.EAGAIN:
			s.readable = false
			return false
		case e != 0, n == 0 && s.failed:
			s.reset()
			return false
		case n == 0:
			s.down.ended = true
			s.in.Shutdown(usock.SHUT_WR)
			return false
		}
		moved += n
		if flags != 0 {
			if _, err := s.in.Send(room[:n], flags); err == nil {
				continue
			}
		}
		if !s.give(room[:n]) {
			return false
		}
	}
	if s.failed && !s.gone {
		s.reset() // after the end came a reset
	}
	return false
}

// give hands bytes to the inner socket and keeps those that it does not take; then it
// reports false.
func (s *stream) give(b []byte) bool {
	for len(b) > 0 {
		n, err := s.in.Send(b, usock.MSG_NOSIGNAL)
		b = b[max(n, 0):]
		if err == nil {
			continue
		}
		if err != unix.EAGAIN {
			s.abort()
			return false
		}
		if len(s.down.pending) > 0 && &s.down.pending[len(s.down.pending)-1] == &b[len(b)-1] {
			s.down.pending = b
		} else {
			s.down.pending = append([]byte(nil), b...)
		}
		return false
	}
	s.down.pending = nil
	return true
}

// reset passes a reset on to the program.
func (s *stream) reset() {
	s.in.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, lingerNot)
	s.in.Close()
	s.end()
}

// abort resets both sides.
func (s *stream) abort() {
	if s.gone {
		return
	}
	reset(s.fd)
	if s.in == nil {
		s.flow.Drop()
		s.end()
		return
	}
	s.reset()
}

// end forgets the stream and closes the outer socket.
func (s *stream) end() {
	if s.gone {
		return
	}
	s.gone = true
	if s.in == nil {
		s.g.halfOpen--
	}
	delete(s.g.streams, s)
	s.up.pending, s.down.pending = nil, nil
	s.g.drop(s.fd)
}

// lingerNot is the value of SO_LINGER that has close reset the connection.
var lingerNot = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 1), 0)

// reset has the close of an outer socket reset its connection.
func reset(fd int) {
	v := unix.Linger{Onoff: 1}
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
}

// atMark reports whether the next byte of an outer socket is the urgent one.
func atMark(fd int) bool {
	var at int32
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCATMARK, uintptr(unsafe.Pointer(&at)))
	return e == 0 && at != 0
}
