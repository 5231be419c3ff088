//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// maxRound is how many bytes a pump moves in one direction before it lets the
// other sockets have their turn.
const maxRound = 4 * pumpSize

// hidden is the listener that the program's ends are connected to. It has no name
// any more: an O_PATH descriptor leads to it, so nobody else can connect.
type hidden struct {
	fd   int
	path int
}

func (h *hidden) open(dir *hiddenDir) (err error) {
	h.path = -1
	if h.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	if h.path, err = dir.bind(h.fd); err != nil {
		return err
	}
	return unix.Listen(h.fd, 16)
}

func (h *hidden) close() {
	sysClose(h.fd)
	sysClose(h.path)
}

// join connects the program's end, of which dup is a duplicate, and makes what
// accept gives the far end.
func (s *sock) join(dup int) syscall.Errno {
	if e := connectHidden(dup, s.l.hidden.path); e != 0 {
		return e
	}
	fd, e := sysAccept(s.l.hidden.fd, unix.SOCK_NONBLOCK)
	if e != 0 {
		return e
	}
	s.setFar(fd)
	s.hush(false)
	return 0
}

// fill makes the joined program's end not writable, as a connecting socket is.
func (s *sock) fill(dup int) {
	sysSetInt(dup, unix.SO_SNDBUF, 1)
	var junk [2048]byte
	for {
		n, e := sysSend(dup, junk[:])
		if e != 0 {
			return
		}
		s.filler += n
	}
}

// unfill takes the filler out again.
func (s *sock) unfill() {
	if dup := s.reach(); dup >= 0 {
		sysSetInt(dup, unix.SO_SNDBUF, defaultSndBuf)
		sysClose(dup)
	}
	for s.filler > 0 {
		n, e := sysRecv(s.far, s.l.upBuf[:min(s.filler, len(s.l.upBuf))], 0)
		if e != 0 || n == 0 {
			return
		}
		s.filler -= n
	}
}

// connectOutcome looks whether a connect under way has succeeded or failed.
func (s *sock) connectOutcome(ev usock.Events) {
	switch {
	case ev&(usock.POLLERR|usock.POLLHUP) != 0:
		// The error stays with the stack, whose connect tells it.
		s.phase, s.raised = over, true
		s.dropFar() // with the filler unread: the program sees an error
		s.hush(true)
	case ev&usock.POLLOUT != 0:
		s.unfill()
		s.phase = connected
		s.pump()
	}
}

// watchConnecting looks whether the program has closed a socket that connects.
func (s *sock) watchConnecting() {
	n, e := sysRecv(s.far, s.l.upBuf[:1], unix.MSG_PEEK)
	if e == unix.EAGAIN || e == 0 && n > 0 && !s.hungUp() {
		return
	}
	s.release()
}

// hungUp reports whether the far end is shut down in both directions.
func (s *sock) hungUp() bool { return polled(s.far)&unix.POLLHUP != 0 }

// polled returns what poll shows of fd, besides input and output.
func polled(fd int) int16 {
	p := unix.PollFd{Fd: int32(fd), Events: unix.POLLRDHUP}
	var zero unix.Timespec
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&zero)), 0, 0, 0)
	return p.Revents
}

// pumpUp moves bytes from the program to the stack. It reports whether it stopped
// only to let others have their turn.
func (s *sock) pumpUp() bool {
	for moved := 0; ; {
		if !s.up.empty() {
			if !s.sendUp() {
				return false
			}
		}
		if s.closed {
			s.finish()
			return false
		}
		if !s.readable || s.upEnd {
			return false // after the end there is only the byte that stays unread
		}
		if moved >= maxRound {
			return true
		}
		b := s.l.upBuf
		n, e := sysRead(s.far, b)
		switch {
		case e == unix.EAGAIN:
			s.readable = false
			return false
		case e != 0:
			// Closed with data unread.
			s.closed, s.abort = true, true
		case n == 0 && s.endUp:
			s.endSent()
		case n == 0:
			s.closed = true // a shutdown is trapped: it would have set upEnd
		default:
			if n < len(b) && !s.ended {
				s.readable = false // that was all, and what comes will be told
			}
			if n = s.skipFiller(b, n); n == 0 {
				continue
			}
			moved += n
			if !s.passUp(b[:n]) {
				return false
			}
		}
	}
}

// skipFiller takes the supervisor's own bytes off the head of b[:n] and returns
// how many are left.
func (s *sock) skipFiller(b []byte, n int) int {
	if s.filler == 0 {
		return n
	}
	k := min(s.filler, n)
	s.filler -= k
	return copy(b, b[k:n])
}

// passUp hands bytes to the stack and keeps those that it does not take; then it
// reports false.
func (s *sock) passUp(b []byte) bool {
	for len(b) > 0 {
		n, err := s.u.Send(b, usock.MSG_NOSIGNAL)
		b = b[max(n, 0):]
		if err == nil {
			continue
		}
		if e := errno(err); e != unix.EAGAIN {
			s.failed(e)
			return false
		}
		s.l.keep(&s.up, &s.l.upBuf, b)
		return false
	}
	return true
}

// sendUp sends the kept bytes and reports whether all are sent.
func (s *sock) sendUp() bool {
	for s.up.off < len(s.up.buf) {
		n, err := s.u.Send(s.up.buf[s.up.off:], usock.MSG_NOSIGNAL)
		s.up.off += max(n, 0)
		if err == nil {
			continue
		}
		if e := errno(err); e != unix.EAGAIN {
			s.l.drop(&s.up)
			s.failed(e)
		}
		return false
	}
	s.l.drop(&s.up)
	return true
}

// finish closes a socket that the program has closed, after all that it sent was
// handed to the stack.
func (s *sock) finish() {
	if s.abort || !s.down.empty() {
		s.reset()
		return
	}
	s.release()
}

// pumpDown moves bytes from the stack to the program.
func (s *sock) pumpDown() bool {
	if s.downEnd {
		return false
	}
	for moved := 0; ; {
		if !s.down.empty() && !s.sendDown() {
			return false
		}
		if !s.writable {
			return false
		}
		if moved >= maxRound {
			return true
		}
		// A receive at the mark would skip the urgent byte.
		if at, _ := s.u.AtMark(); at && s.passUrgent() {
			continue
		}
		b := s.l.downBuf
		n, err := s.u.Recv(b, 0)
		if err != nil {
			e := errno(err)
			if e != unix.EAGAIN {
				s.failed(e)
			}
			return false
		}
		if n == 0 {
			s.downEnd = true
			sysShutdown(s.far, unix.SHUT_WR)
			s.hush(s.upEnd)
			return false
		}
		moved += n
		k, e := sysSend(s.far, b[:n])
		if e != 0 {
			k = 0
		}
		if k < n {
			s.l.keep(&s.down, &s.l.downBuf, b[k:n])
		}
	}
}

// passUrgent hands on the urgent byte, which comes after all that was received up to
// its mark, and reports whether it did: it may have been handed on already, be inline,
// or not have arrived. AF_UNIX streams have urgent data as TCP has.
func (s *sock) passUrgent() bool {
	var b [1]byte
	if n, err := s.u.Recv(b[:], usock.MSG_OOB); err != nil || n != 1 {
		return false
	}
	unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.far), uintptr(unsafe.Pointer(&b)), 1,
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_OOB, 0, 0)
	return true
}

// sendDown sends the kept bytes to the program and reports whether all are sent.
func (s *sock) sendDown() bool {
	for s.down.off < len(s.down.buf) {
		n, e := sysSend(s.far, s.down.buf[s.down.off:])
		switch {
		case e == unix.EAGAIN:
			s.full()
			return false
		case e != 0:
			// The program does not receive any more. What is on its way is
			// dropped; if it closed, the pump upwards sees that.
			s.l.drop(&s.down)
			return true
		}
		s.down.off += n
	}
	s.l.drop(&s.down)
	return true
}

// failed passes on that the connection has broken down: the program's next call
// fails. A close with bytes unread is what raises an error at the other end of an
// AF_UNIX stream, so one is put there unless there is one.
func (s *sock) failed(e syscall.Errno) {
	if s.closed {
		s.release()
		return
	}
	s.err = e
	s.flushDown()
	s.phase = over
	s.l.drop(&s.up)
	if s.id == (inode{}) {
		return // not accepted yet: it is broken when it is
	}
	dup := -1
	if unread(s.far) == 0 && s.filler == 0 {
		dup = s.reach()
	}
	s.breakFar(dup)
	sysClose(dup)
	s.retry()
}

// breakFar closes the far end of a connection that has broken down with s.err, so
// that the program's end, of which dup is a duplicate, shows an error. EPIPE comes
// after the end of the stream, where reading goes on to give 0.
func (s *sock) breakFar(dup int) {
	s.raised = s.err != unix.EPIPE || unread(s.far) > 0 || s.filler > 0
	if s.raised && dup >= 0 {
		sysSend(dup, []byte{0})
	}
	s.dropFar()
	s.hush(true)
}

// flushDown hands the program what came before the connection broke down, as far as
// it takes it.
func (s *sock) flushDown() {
	if !s.down.empty() && !s.sendDown() {
		return
	}
	for {
		n, err := s.u.Recv(s.l.downBuf, 0)
		if err != nil || n <= 0 {
			return
		}
		if k, e := sysSend(s.far, s.l.downBuf[:n]); e != 0 || k < n {
			return
		}
	}
}

// defaultSndBuf is what SO_SNDBUF is set to so that the kernel doubles it to its
// default.
const defaultSndBuf = 106496

// lingerAbort is the value of SO_LINGER that has close reset the connection.
var lingerAbort = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 1), 0)
