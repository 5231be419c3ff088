//go:build amd64 || arm64

package run

import (
	"bytes"
	"context"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// SCTP's sockets, of either style.
//
// The program's end is half of an AF_UNIX SOCK_SEQPACKET pair, which keeps messages whole both ways.
//
//	write, send ─► far end ─► held ─► usock.Socket
//	recvmsg ◄── program's queue: one message, or the bait ◄── usock.Socket
//	                   ▲ head: whose it is, and how it came
//
// One message at a time lies in the program's queue, and the next one follows once it is empty. So head
// is about that message whichever way the others were read, and what a trapped receive has no room for
// is put back. (A plain read that has no room for all loses the rest: the kernel cuts it.)
//
// A listening socket of one-to-one style is readable while connections wait: the bait is a byte that
// stands for them.
type sctpEnd struct {
	one        bool   // one-to-one style
	head       sender // of the message in the program's queue
	bait       bool   // it is no message
	ended      bool   // the program's end was told that nothing comes any more
	connecting bool   // an attempt is under way: what the program writes waits for its outcome
}

// sctpPair is datagramPair for a socket of SCTP.
func sctpPair(nonb int) (fd, far int, e syscall.Errno) {
	fd, far, e = sysSocketpair(unix.SOCK_SEQPACKET)
	if e != 0 {
		return -1, -1, e
	}
	unix.SetNonblock(far, true)
	if nonb != 0 {
		unix.SetNonblock(fd, true)
	}
	return fd, far, 0
}

// isSCTP reports whether socket(2)'s arguments are of SCTP.
func isSCTP(typ, protocol int) bool {
	return typ == usock.SOCK_SEQPACKET || typ == usock.SOCK_STREAM && protocol == usock.IPPROTO_SCTP
}

// pumpSCTP moves messages in both directions.
func (s *sock) pumpSCTP() {
	s.messagesUp()
	if s.state != released {
		s.messagesDown()
		s.wakeAll()
	}
}

// messagesUp sends what the program has sent without a trap, and closes the socket once the program
// has and all of it is sent.
func (s *sock) messagesUp() {
	if s.settling() {
		return
	}
	for moved := 0; ; {
		if len(s.held) == 0 {
			n, e := sysRecv(s.far.fd, s.l.arrivalsRoom(), 0)
			switch {
			case e == closedUnread:
				s.reset()
				return
			case e != 0:
				return
			case n == 0:
				s.lookClosedSCTP()
				return
			}
			s.held = append(s.held, bytes.Clone(s.l.arrivalsRoom()[:n]))
		}
		n, err := s.u.Send(s.held[0], usock.MSG_NOSIGNAL)
		e := errno(err)
		if e == unix.EAGAIN {
			return
		}
		if shift(&s.held); e != 0 {
			s.err = e
		}
		if moved += datagramCost + n; moved > maxRound {
			s.l.later(s)
			return
		}
	}
}

// lookClosedSCTP looks whether the program has closed a socket of which nothing more comes. The far end
// shows a close and a shutdown alike where nothing goes to the program any more.
func (s *sock) lookClosedSCTP() {
	switch {
	case polled(s.far.fd)&unix.POLLHUP == 0:
	case s.shutRd || s.sctp.ended:
		s.hush(true)
		s.l.scanner.soon()
	default:
		s.release()
	}
}

// settling looks whether an attempt to connect is under way still.
func (s *sock) settling() bool {
	if s.sctp.connecting {
		e := errno(s.u.FinishConnect())
		if e == unix.EALREADY {
			return true
		}
		s.sctp.connecting = false
		if e != 0 {
			s.err = e
		}
	}
	return false
}

// messagesDown hands the program the next message, if it has read the last one.
func (s *sock) messagesDown() {
	p := s.sctp
	if p.ended || s.far.fd < 0 || unsent(s.far.fd) > 0 {
		return
	}
	p.bait = false
	if on, _ := s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ACCEPTCONN); p.one && on != 0 {
		if s.u.Events()&usock.POLLIN != 0 {
			_, e := sysSend(s.far.fd, []byte{0})
			p.bait = e == 0
		}
		return
	}
	m := &s.l.message
	m.Bufs, m.Control = append(m.Bufs[:0], s.l.downBuf), s.l.control[:]
	n, err := s.u.RecvMsg(context.Background(), m, usock.MSG_DONTWAIT)
	switch e := errno(err); {
	case e == unix.EAGAIN:
	case e != 0 || n == 0:
		// A plain read is told of an error as of an end: the kernel has no other word for it.
		if s.err = e; p.one {
			p.ended = true
			sysShutdown(s.far.fd, unix.SHUT_WR)
		}
	default:
		p.head = sender{from: m.Name, flags: m.Flags, control: bytes.Clone(m.Control)}
		if e := s.queue(s.l.downBuf[:n]); e != 0 && e != unix.EPIPE {
			s.err = e
		}
	}
}

// receiveSCTP takes the next message from the program's end into b, or as much of it as b has room for.
func (c *call) receiveSCTP(b []byte, m *message) (r received, e syscall.Errno) {
	s := c.s
	if m.flags&usock.MSG_ERRQUEUE != 0 {
		return c.receiveStack(b, m.flags)
	}
	look := m.flags & usock.MSG_PEEK
	whole := make([]byte, pumpSize)
	var h unix.Msghdr
	n, e := 0, syscall.Errno(unix.EAGAIN)
	if !s.sctp.bait {
		if n, e = c.take(whole, &h, look); e == unix.EAGAIN {
			s.messagesDown()
			n, e = c.take(whole, &h, look)
		}
	}
	switch {
	case (e == unix.EAGAIN || e == 0 && n == 0) && s.err != 0:
		e, s.err = s.err, 0
		return r, e
	case e == unix.EAGAIN && s.sctp.bait:
		return r, unix.ENOTCONN
	case e != 0 || n == 0:
		return r, e
	}
	head := &s.sctp.head
	r.n = int64(copy(b, whole[:n]))
	r.data, r.name, r.control, r.flags = b[:r.n], head.from, head.control, head.flags
	if rest := whole[r.n:n]; len(rest) > 0 {
		r.flags &^= usock.MSG_EOR
		if look == 0 {
			s.queue(rest)
		}
	} else if look == 0 {
		s.l.later(s)
	}
	return r, 0
}

// sendSCTP sends a message by the stack, after what was sent without a trap.
func (c *call) sendSCTP(m *message) result {
	if c.s.messagesUp(); len(c.s.held) > 0 {
		return result{how: park}
	}
	return c.sendStack(m)
}

// connectSCTP is connect. The program's end is writable while it is under way; what is written waits.
func (c *call) connectSCTP(a usock.Addr) result {
	s := c.s
	s.messagesUp() // what was sent goes to whom it was for
	err := s.u.Connect(a)
	switch e := errno(err); {
	case e != unix.EINPROGRESS:
		return c.failErr(err)
	case nonblocking(c.dup):
		s.sctp.connecting = true
		return c.fail(e)
	}
	try := func(c *call) result {
		if e := errno(c.s.u.FinishConnect()); e != unix.EALREADY {
			return c.fail(e)
		}
		return result{how: park}
	}
	if r := try(c); r.how != park {
		return r
	}
	return c.park(&s.waiting, try, s.times[sndTimeo], unix.EINPROGRESS)
}

// acceptSCTP is accept4 on a socket of one-to-one style.
func (c *call) acceptSCTP(flags int) result {
	s := c.s
	if !c.l.space.take(1) {
		return c.lacksOwn(unix.EMFILE)
	}
	u, from, err := s.u.Accept()
	if err != nil {
		c.l.space.give(1)
		if errno(err) == unix.EAGAIN {
			return result{how: park}
		}
		return c.failErr(err)
	}
	if s.sctp.bait && s.u.Events()&usock.POLLIN == 0 {
		s.sctp.bait = false
		sysRecv(c.dup, make([]byte, 1), 0)
	}
	n, fd, e := c.newSCTP(u, true, flags)
	if e != 0 {
		return c.undone(e)
	}
	defer sysClose(fd)
	if args := &c.n.data.args; args[1] != 0 {
		if e := c.storeAddr(from, args[1], args[2]); e != 0 {
			return c.undone(e)
		}
	}
	got, e := c.answerFD(fd, flags&unix.SOCK_CLOEXEC)
	if e != 0 {
		return c.undone(e)
	}
	n.arrived(c, got)
	return result{how: done}
}

// newSCTP makes the sock of an association that has become a socket of its own, and the program's end
// of it. A descriptor was counted for it; should the call fail it goes.
func (c *call) newSCTP(u *usock.Socket, one bool, flags int) (n *sock, fd int, e syscall.Errno) {
	u.SetNonblock(true)
	fd, far, e := sctpPair(flags & unix.SOCK_NONBLOCK)
	if e != 0 {
		c.l.space.give(1)
		u.Close()
		return nil, -1, e
	}
	n = c.l.adopt(fd, u, false)
	n.sctp, n.times = &sctpEnd{one: one}, c.s.times
	c.onFail(n.release)
	if e := n.setFar(far); e != 0 {
		sysClose(far)
		sysClose(fd)
		return nil, -1, e
	}
	return n, fd, 0
}

// arrived begins the life of a socket that the program has got as descriptor fd.
func (s *sock) arrived(c *call, fd int) {
	s.seen(c.t, fd)
	s.own(c)
	s.watchStack()
	s.hush(true)
	s.pumpSCTP()
}

// peelOff is SCTP_SOCKOPT_PEELOFF, or with flags SCTP_SOCKOPT_PEELOFF_FLAGS, which give the program a
// descriptor (sctp_peeloff(3)): v is the structure that it lies in.
func (c *call) peelOff(v []byte) result {
	args := &c.n.data.args
	var p abi.SCTPPeeloffFlags
	whole := append(slices.Clone(v), make([]byte, 4)...)
	if err := abi.ParseStruct(whole, &p); err != nil || int(p.Flags)&^(unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) != 0 {
		return c.fail(unix.EINVAL)
	}
	if e := c.write(args[3], v); e != 0 { // that it can be stored is to be known before
		return c.fail(e)
	}
	if !c.l.space.take(1) {
		return c.lacksOwn(unix.EMFILE)
	}
	u, err := c.s.u.PeelOff(p.AssocID)
	if err != nil {
		c.l.space.give(1)
		return c.failErr(err)
	}
	n, fd, e := c.newSCTP(u, false, int(p.Flags))
	if e != 0 {
		return c.undone(e)
	}
	defer sysClose(fd)
	got, e := c.addFD(fd, int(p.Flags)&unix.SOCK_CLOEXEC, false)
	if e != 0 {
		return c.undone(e)
	}
	p.SD = int32(got)
	n.arrived(c, got)
	if e := c.write(args[3], abi.AppendStruct(nil, &p)[:len(v)]); e != 0 {
		return c.fail(e)
	}
	return c.answer(int64(got))
}

// sctpClosed says that the program has closed its end. What it has sent before goes first.
func (s *sock) sctpClosed() {
	if s.state == released {
		return
	}
	if s.shutRd = false; len(s.held) == 0 {
		s.messagesUp()
	}
	if len(s.held) == 0 {
		s.release()
	}
}

// shutdownSCTP is shutdown. A socket of one-to-many style has no use for it.
func (c *call) shutdownSCTP(how int) result {
	s := c.s
	s.messagesUp()
	err := s.u.Shutdown(how)
	if e := errno(err); s.sctp.one && (e == 0 || e == unix.ENOTCONN) {
		s.shutRd = s.shutRd || how != unix.SHUT_WR
		sysShutdown(c.dup, how)
	}
	s.wakeAll()
	return c.failErr(err)
}

// peelSizes are the sizes of the structures of the options that give a descriptor, by name.
var peelSizes = map[int]int{
	usock.SCTP_SOCKOPT_PEELOFF:       abi.Sizeof(&abi.SCTPPeeloff{}),
	usock.SCTP_SOCKOPT_PEELOFF_FLAGS: abi.Sizeof(&abi.SCTPPeeloffFlags{}),
}
