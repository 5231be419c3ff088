//go:build amd64 || arm64

package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// sender says where one of the program's unread datagrams is from.
//
// The datagrams in the kernel's queue are the payload alone, so that a plain read
// is right. Their senders are kept here in the same order, each with a time not
// before the one at which the kernel queued the datagram and before that of the
// next. A trapped receive gets the kernel's time with the datagram, drops the
// senders of those that were read without a trap, and takes the first that is left.
type sender struct {
	at      int64 // CLOCK_REALTIME in nanoseconds
	from    usock.Addr
	control []byte
	flags   int
}

type senders []sender

// take returns the sender of the datagram that the kernel queued at the time at, and
// removes those before it, and itself unless it is only looked at.
func (q *senders) take(at int64, look bool) (m sender, ok bool) {
	i := 0
	for i < len(*q) && (*q)[i].at < at {
		i++
	}
	if ok = i < len(*q); ok {
		m = (*q)[i]
		if !look {
			i++
		}
	}
	*q = (*q)[i:]
	if len(*q) == 0 {
		*q = nil
	}
	return m, ok
}

// datagramPair returns the program's end and the far end of a datagram socket. As
// each is the other's peer, what is queued is bounded in bytes only.
func datagramPair(nonb int) (fd, far int, e syscall.Errno) {
	fd, far, e = sysSocketpair(unix.SOCK_DGRAM)
	if e != 0 {
		return -1, -1, e
	}
	sysSetInt(fd, unix.SO_TIMESTAMPNS, 1)
	sysSetInt(fd, unix.SO_SNDBUF, 2*defaultSndBuf) // a burst is EAGAIN the later
	unix.SetNonblock(far, true)
	if nonb != 0 {
		unix.SetNonblock(fd, true)
	}
	return fd, far, 0
}

// datagramCost is what the kernel charges for a datagram at least, besides its bytes. So
// a round of a pump takes more than what its queue holds at one time.
const datagramCost = 512

// pumpDatagrams moves datagrams in both directions.
func (s *sock) pumpDatagrams() {
	more := s.datagramsUp()
	some, again := s.datagramsDown()
	if some {
		s.wakeAll()
	}
	if more || again {
		s.l.later(s)
	}
}

// datagramsUp sends what the program sent without a trap: to the peer. It reports
// whether it stopped only to let others have their turn. A round takes more than can be
// queued at one time, and the stack never has a datagram wait: so what was sent before a
// call that drains is sent.
func (s *sock) datagramsUp() (more bool) {
	for moved := 0; s.far.readable || len(s.held) > 0 || !s.l.arrived.empty(); {
		if moved >= maxRound && s.l.arrived.empty() {
			return true
		}
		if len(s.held) > 0 {
			moved += s.sendHeld()
			continue
		}
		b, e := s.nextUp()
		if e != 0 {
			return e != unix.EAGAIN
		}
		moved += datagramCost + len(b)
		if _, err := s.u.Send(b, 0); err != nil {
			s.raise(errno(err))
		}
	}
	return false
}

// arrivals are datagrams that were received together, by one system call. Those of a socket
// are all taken before another's pump receives.
type arrivals struct {
	heads [arrivalsMax]mmsghdr
	iovs  [arrivalsMax]unix.Iovec
	at, n int // heads[at:n] are not taken yet
}

const (
	arrivalsMax = 16
	arrivalSize = 64 << 10 // room for each
)

// mmsghdr is a struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

func (a *arrivals) empty() bool { return a.at == a.n }

// receive receives what there is into buf, which has room for arrivalsMax.
func (a *arrivals) receive(fd int, buf []byte) syscall.Errno {
	for i := range a.heads {
		a.iovs[i].Base = &buf[i*arrivalSize]
		a.iovs[i].SetLen(arrivalSize)
		a.heads[i].hdr = unix.Msghdr{Iov: &a.iovs[i]}
		a.heads[i].hdr.SetIovlen(1)
	}
	n, e := sysRecvMany(fd, a.heads[:])
	a.at, a.n = 0, n
	return e
}

// next returns the next one, in buf.
func (a *arrivals) next(buf []byte) []byte {
	i := a.at
	a.at++
	return buf[i*arrivalSize:][:a.heads[i].n]
}

// nextUp takes what the program has sent next, in the loop's buffer. It fails with EAGAIN if
// that was all, and else for want of memory.
func (s *sock) nextUp() ([]byte, syscall.Errno) {
	a := &s.l.arrived
	if a.empty() {
		if !s.far.readable {
			return nil, unix.EAGAIN
		}
		e := a.receive(s.far.fd, s.l.arrivalsRoom())
		if e != 0 && e != unix.EAGAIN && e != unix.ENOMEM && e != unix.ENOBUFS {
			e = a.receive(s.far.fd, s.l.arrivalsRoom()) // it was an earlier datagram's, and is cleared
		}
		if e != 0 {
			s.far.readable = e != unix.EAGAIN
			return nil, e
		}
		if a.n < arrivalsMax {
			s.far.readable = false // that was all, and what comes will be told
		}
	}
	return a.next(s.l.arrivalsRoom()), 0
}

// setAside takes all that the program has sent up to now out of the kernel's queue, to be sent
// later.
func (s *sock) setAside() {
	for s.far.readable = true; ; {
		b, e := s.nextUp()
		if e != 0 {
			return
		}
		s.held = append(s.held, bytes.Clone(b))
	}
}

// sendHeld sends what was set aside, and returns what that counts for. An error is raised once
// for all: each time, what the program has sent meanwhile is set aside, and a sender that
// floods would have more set aside than is sent.
func (s *sock) sendHeld() (moved int) {
	var last syscall.Errno
	for len(s.held) > 0 {
		b := shift(&s.held)
		moved += datagramCost + len(b)
		if _, err := s.u.Send(b, 0); err != nil {
			last = errno(err)
		}
	}
	if last != 0 {
		s.raise(last)
	}
	return moved
}

// datagramsClosed says that the program has closed its end. What it sent before is at the
// far end still.
func (s *sock) datagramsClosed() {
	if s.state == released {
		return
	}
	s.far.readable = true
	s.datagramsUp()
	s.release()
}

// datagramsDown hands the program what has arrived. It reports whether it did, and
// whether it stopped only to let others have their turn.
func (s *sock) datagramsDown() (some, more bool) {
	for moved := 0; s.far.writable; {
		if moved >= maxRound {
			return some, true
		}
		b, from := s.down.buf, s.down.from
		if s.down.empty() {
			m := &s.l.message
			m.Bufs, m.Control = append(m.Bufs[:0], s.l.downBuf), s.l.control[:]
			n, err := s.u.RecvMsg(context.Background(), m, 0)
			if e := errno(err); e == unix.EAGAIN {
				return some, more
			} else if e != 0 {
				s.raise(e)
				return true, true
			}
			b = s.l.downBuf[:n]
			from = sender{from: m.Name, flags: m.Flags}
			if len(m.Control) > 0 {
				from.control = bytes.Clone(m.Control)
			}
		}
		moved += datagramCost + len(b)
		if s.peer {
			// If the program has closed it, the kernel throws away what it sent with the
			// datagram that is refused.
			s.far.readable = true
			more = s.datagramsUp() || more
		}
		switch e := s.queue(b); e {
		case 0:
			from.at = wall().UnixNano()
			s.remember(from)
			s.l.drop(&s.down.pending)
			some = true
		case unix.EAGAIN, unix.ENOBUFS:
			if s.down.empty() {
				s.l.keep(&s.down.pending, &s.l.downBuf, b)
				s.down.from = from
			}
			s.full()
			return some, more
		case unix.EPIPE:
			// Shut down for reading: a trapped receive gets it.
			if s.down.empty() {
				s.l.keep(&s.down.pending, &s.l.downBuf, b)
				s.down.from = from
			}
			s.far.writable = false
			return some, more
		case unix.ECONNREFUSED, unix.ENOTCONN:
			// The program has closed it. Had that been known, the sender would have
			// been told.
			name, _ := s.u.GetSockName()
			s.l.drop(&s.down.pending)
			s.datagramsClosed()
			s.l.refuseFrom(from.from, name.Port)
			return false, false
		default:
			s.l.drop(&s.down.pending)
		}
	}
	return some, more
}

// is reports the socket's type and protocol; protocol 0 is any.
func (s *sock) is(typ, protocol int) bool {
	t, _ := s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_TYPE)
	p, _ := s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_PROTOCOL)
	return t == typ && (protocol == 0 || p == protocol)
}

// refuseFrom raises ECONNREFUSED for a sender that is connected to a port whose
// socket was found closed.
func (l *loop) refuseFrom(a usock.Addr, port uint16) {
	if port == 0 || a.Port == 0 {
		return
	}
	for _, s := range l.socks {
		if s.stream || s.sctp != nil || s.state == released {
			continue
		}
		peer, err := s.u.GetPeerName()
		if err != nil || peer.Port != port {
			continue
		}
		if name, err := s.u.GetSockName(); err == nil && name.Port == a.Port && name.IP.Unmap() == a.IP.Unmap() {
			s.raise(unix.ECONNREFUSED)
			return
		}
	}
}

// queue puts a datagram into the program's queue. The far end's SO_SNDBUF bounds that, as
// SO_RCVBUF does with UDP, for which one that is larger is no reason to refuse it.
func (s *sock) queue(b []byte) syscall.Errno {
	_, e := sysSend(s.far.fd, b)
	if e != unix.EMSGSIZE {
		return e
	}
	room := sysGetInt(s.far.fd, unix.SO_SNDBUF)
	if unsent(s.far.fd) >= room {
		return unix.EAGAIN
	}
	sysSetInt(s.far.fd, unix.SO_SNDBUF, room+len(b))
	_, e = sysSend(s.far.fd, b)
	sysSetInt(s.far.fd, unix.SO_SNDBUF, room/2) // the kernel doubles it
	return e
}

// boundQueue bounds the program's queue of datagrams by its SO_RCVBUF.
func (s *sock) boundQueue() {
	if n, err := s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF); err == nil {
		sysSetInt(s.far.fd, unix.SO_SNDBUF, n/2)
		s.most = max(s.most, mostQueued(s.far.fd))
	}
}

// mostQueued returns how many datagrams of the far end's can wait at most.
func mostQueued(far int) int { return sysGetInt(far, unix.SO_SNDBUF)/datagramCost + 2 }

// remember keeps the sender of the program's newest datagram, and of those before it as
// many as its queue can hold: those that it has read without a trap are not told.
func (s *sock) remember(m sender) {
	if s.most == 0 {
		s.most = mostQueued(s.far.fd)
	}
	if old := len(s.from) + 1 - s.most; old >= s.most {
		s.from = append(make(senders, 0, 2*s.most), s.from[old:]...)
	}
	s.from = append(s.from, m)
}

// raise makes e the program's pending error. Its end shows an error when its peer
// turns away from it with something unread.
func (s *sock) raise(e syscall.Errno) {
	s.err = e
	s.reach(func(dup int) {
		if dup < 0 || s.err == 0 || s.far.fd < 0 {
			return
		}
		name, ok := boundName(dup)
		if !ok {
			return
		}
		s.setAside() // the disconnect throws it away
		if _, e := sysSend(dup, []byte{0}); e != 0 {
			return
		}
		nobody := [2]byte{unix.AF_UNSPEC}
		if sysConnect(s.far.fd, nobody[:]) != 0 {
			n := len(s.held)
			if s.setAside(); len(s.held) > n {
				s.held = slices.Delete(s.held, n, n+1) // the bait
			}
			s.l.later(s)
			return
		}
		sysConnect(s.far.fd, name)
		s.far.readable = true
		s.l.later(s)
		s.wakeAll()
	})
}

// boundName returns the address of fd, which it gives an unused abstract name if it
// has none. Nobody but its peer can send to it.
func boundName(fd int) ([]byte, bool) {
	sa := [2]byte{unix.AF_UNIX}
	unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&sa)), 2)
	name := make([]byte, 128)
	n := uint32(len(name))
	_, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&n)))
	return name[:min(int(n), len(name))], e == 0 && n > 2
}

// received is a datagram, or bytes of a stream, that a trapped call receives.
type received struct {
	data    []byte
	n       int64 // the call's value
	name    usock.Addr
	raw     []byte // in place of name: a struct sockaddr of another family
	control []byte
	flags   int
}

// sockaddr returns the sender's struct sockaddr, if there is one, with room for storeName.
func (r *received) sockaddr() []byte {
	if r.raw != nil || r.name.Family == usock.AF_UNSPEC {
		return r.raw
	}
	return r.name.AppendSockaddr(make([]byte, 0, abi.SizeofInet6+4))
}

// receiveDatagram takes the next datagram from the program's end into b.
func (c *call) receiveDatagram(b []byte, m *message) (r received, e syscall.Errno) {
	s, flags := c.s, m.flags
	if flags&usock.MSG_ERRQUEUE != 0 {
		r, e = c.receiveStack(b, flags)
		if e == 0 && s.err != 0 && s.u.Events()&usock.POLLERR == 0 {
			s.err = 0 // it was this error
			c.clearNative()
		}
		return r, e
	}
	if flags&usock.MSG_OOB != 0 && !s.is(usock.SOCK_DGRAM, usock.IPPROTO_UDP) {
		return r, unix.EOPNOTSUPP
	}
	if e := s.err; e != 0 {
		s.err = 0
		if c.clearNative() {
			return r, e
		}
	}
	var control [64]byte
	h := unix.Msghdr{Control: &control[0]}
	h.SetControllen(len(control))
	look := flags & usock.MSG_PEEK
	n, e := c.take(b, &h, unix.MSG_TRUNC|look)
	if e == unix.EAGAIN && s.shutRd {
		return c.receiveShut(b, m)
	}
	if e != 0 {
		return r, e
	}
	from, _ := s.from.take(kernelTime(control[:h.Controllen]), look != 0)
	r.data, r.name, r.control = b[:min(n, len(b))], from.from, from.control
	r.n, r.flags = int64(len(r.data)), from.flags&^(usock.MSG_TRUNC|usock.MSG_CTRUNC)
	if n > len(b) {
		r.flags |= usock.MSG_TRUNC
		if flags&usock.MSG_TRUNC != 0 && (s.is(usock.SOCK_DGRAM, usock.IPPROTO_UDP) || s.is(usock.SOCK_RAW, 0)) {
			r.n = int64(n)
		}
	}
	if look == 0 && !s.down.empty() {
		s.far.writable = true
		s.l.later(s)
	}
	return r, 0
}

// receiveShut receives after SHUT_RD: the kernel queues nothing more then, and a
// receive that may wait gives 0.
func (c *call) receiveShut(b []byte, m *message) (r received, e syscall.Errno) {
	s, flags := c.s, m.flags
	if s.down.empty() {
		if r, e = c.receiveStack(b, flags); e == unix.EAGAIN && c.mayWait(m) {
			e = 0
		}
		return r, e
	}
	from := s.down.from
	r = received{data: b[:copy(b, s.down.buf)], name: from.from, control: from.control, flags: from.flags}
	if len(s.down.buf) > len(b) {
		r.flags |= usock.MSG_TRUNC
	}
	r.n = int64(len(r.data))
	if flags&usock.MSG_TRUNC != 0 {
		r.n = int64(len(s.down.buf))
	}
	if flags&usock.MSG_PEEK == 0 {
		s.l.drop(&s.down.pending)
	}
	return r, 0
}

// receiveStack receives from the host's socket itself: the error queue, urgent data.
func (c *call) receiveStack(b []byte, flags int) (r received, e syscall.Errno) {
	m := usock.Msg{Bufs: [][]byte{b}, Control: make([]byte, 1024)}
	n, err := c.s.u.RecvMsg(context.Background(), &m, flags&^usock.MSG_WAITALL)
	if err != nil {
		return r, errno(err)
	}
	return received{data: b[:min(n, len(b))], n: int64(n), name: m.Name, control: m.Control, flags: m.Flags}, 0
}

// kernelTime returns the time in a control buffer that holds SCM_TIMESTAMPNS; 0 if
// it holds none.
func kernelTime(control []byte) int64 {
	msgs, _ := abi.ParseCmsgs(control)
	for _, m := range msgs {
		if m.Level == unix.SOL_SOCKET && m.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			sec := int64(binary.NativeEndian.Uint64(m.Data))
			return sec*1e9 + int64(binary.NativeEndian.Uint64(m.Data[8:]))
		}
	}
	return 0
}
