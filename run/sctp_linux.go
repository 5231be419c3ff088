//go:build amd64 || arm64

package run

import (
	"bytes"
	"context"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// SCTP's sockets, of both styles.
//
// A program's end is one half of an AF_UNIX pair of type SOCK_SEQPACKET from the
// beginning to the end, whatever the socket does: of all that the kernel has, only this
// keeps what one write has written together, knows the end of a stream and a reset, and
// tells the far end at once when it is closed. So there is no joining here, and no state
// but those of a stream that has its peer:
//
//   - A listener's end shows that there is something to accept by a token, a message that
//     nobody is to read. All accepts are trapped, and the last one takes the tokens out.
//   - One that is not to be writable is filled, as a stream's is that connects: one that has no
//     association yet, a listener, and one whose send buffer was full for a call that does not wait.
//   - Where an association of one-to-one style has broken down the far end is closed with a
//     byte unread, which the program's end shows as an error. If it is to connect again it is
//     given another pair in place of the old one.
//
// The program's end shows the first message that the stack has, by a copy: for poll, for FIONREAD, and for
// a receive that the kernel carries out. The message itself stays in the stack until it is received. So what comes
// with it is what the socket's options are by then, a receive that has room for a part leaves the rest, and the peer's window
// is what the program has not read. A trapped receive takes the copy away, receives from the stack, and has
// the next one shown, or the rest. Where the kernel has given the copy to the program the message is dropped
// from the stack. Up, the kernel has a message for each write; a trapped send goes after those.
//
// Poll shows the end of an association behind the last message, and no copy can be shown any more then. So that
// the message is known to be the last it is taken from the stack, and lies in down from then on.
//
// The calls that the filter does not stop on other sockets (read and write among them) it stops by the
// descriptor's number, which is a marked one (marked_linux.go). Where that could not be, they are
// the kernel's: a receive takes a message whole, and if it is longer than the buffer the rest is lost.

// sctpSock is what an SCTP socket has besides.
type sctpSock struct {
	one        bool            // one-to-one style
	shown      int             // bytes of the message that the program's end shows; 0: none
	flags      int             // of that message
	connecting bool            // an association is being made, for which the program does not wait in a call
	listening  bool            // of one-to-one style
	fillers    int             // messages that the far end has, with which the program's end is not writable
	tokens     int             // a listener's
	accepted   []*usock.Socket // and could not be given to the program yet
}

// messagePair returns the program's end and the far end of an SCTP socket.
func messagePair(u *usock.Socket, nonb int) (fd, far int, e syscall.Errno) {
	if fd, far, e = sysSocketpair(unix.SOCK_SEQPACKET); e != 0 {
		return -1, -1, e
	}
	boundMessages(u, fd)
	unix.SetNonblock(far, true)
	if nonb != 0 {
		unix.SetNonblock(fd, true)
	}
	return fd, far, 0
}

// messageReserve is what the kernel wants of SO_SNDBUF besides a message
// (net/unix/af_unix.c, unix_dgram_sendmsg).
const messageReserve = 32

// boundMessages has the program's end take messages as long as the stack does. The kernel doubles the value.
func boundMessages(u *usock.Socket, fd int) {
	if n, err := u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_SNDBUF); err == nil {
		sysSetInt(fd, unix.SO_SNDBUF, (n+messageReserve+1)/2)
	}
}

// newMessages makes the socket of the stack's u, with an end for the program, fd. The caller has
// taken the space for it, which is given back where it fails.
func (l *loop) newMessages(u *usock.Socket, nonb int) (s *sock, fd int, e syscall.Errno) {
	fd, far, e := messagePair(u, nonb)
	if e != 0 {
		l.space.give(1)
		return nil, -1, e
	}
	s = l.adopt(fd, u, false)
	typ, _ := u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_TYPE)
	s.sctp = &sctpSock{one: typ == usock.SOCK_STREAM}
	if !l.messages {
		l.recall()
	}
	s.to(connected)
	if e := s.setFar(far); e != 0 {
		s.abandon()
		sysClose(far)
		sysClose(fd)
		return nil, -1, e
	}
	return s, fd, 0
}

// messageSocket is socket(2), for which u was made.
func (c *call) messageSocket(u *usock.Socket, typ int) result {
	c.l.space.give(1) // giveMessages takes it
	r := c.giveMessages(u, typ, func(s *sock, fd int) (int, syscall.Errno) {
		n, e := c.giveMarked(fd, typ&unix.SOCK_CLOEXEC)
		if e != 0 {
			return n, e
		}
		if s.sctp.one && c.l.stops(n) { // else a write is the kernel's, and is to fail rather than to wait
			s.fillMessages(fd)
		}
		return n, c.answerNumber(n)
	})
	if r.err != 0 {
		u.Close()
	}
	return r
}

// pumpMessages moves messages in both directions.
func (s *sock) pumpMessages() {
	x := s.sctp
	more := false
	switch {
	case x.listening:
		more = s.announce()
	case x.connecting:
		s.messagesOutcome()
	case x.fillers > 0 && s.u.Events()&usock.POLLOUT != 0:
		s.unfillMessages()
	}
	if s.state == over || s.far.fd < 0 {
		return
	}
	more = s.messagesUp() || more
	if s.state == connected && !x.listening && !x.connecting {
		more = s.messagesDown() || more
	}
	if s.state == connected && s.up.half == ended {
		s.lookClosed()
	}
	if more {
		s.l.later(s)
	}
}

// messagesUp sends what the program has sent without a trap. It reports whether it stopped only to
// let others have their turn.
func (s *sock) messagesUp() (more bool) {
	for moved := 0; ; {
		if !s.sendMessages(&moved) {
			return false
		}
		if s.state == closing {
			s.messagesClosed()
			return false
		}
		if !s.far.readable || s.up.half == ended || s.sctp.fillers > 0 && !s.far.ended {
			return false
		}
		if moved >= maxRound {
			return true
		}
		b := s.l.arrivalsRoom()
		n, e := sysRecv(s.far.fd, b, 0)
		switch {
		case e == closedUnread:
			s.abort = s.abort || !s.sctp.listening && s.sctp.flags&usock.MSG_NOTIFICATION == 0
		case e != 0:
			s.far.readable = e != unix.EAGAIN
			return s.far.readable
		case s.sctp.fillers > 0:
			s.sctp.fillers-- // it is closed
		case n > 0:
			s.held = append(s.held, bytes.Clone(b[:n]))
		case polled(s.far.fd)&unix.POLLRDHUP == 0:
			// Nothing was written: SCTP has no such message.
		case s.up.half == ending:
			s.endSent()
			s.hush(s.shutRd || s.down.half == ended)
		default:
			s.messagesClosed()
			return false
		}
	}
}

// sendMessages sends what was taken from the far end, and reports whether that is all sent.
func (s *sock) sendMessages(moved *int) bool {
	for len(s.held) > 0 {
		b := s.held[0]
		_, err := s.u.Send(b, usock.MSG_NOSIGNAL|usock.MSG_DONTWAIT)
		e := errno(err)
		if e == unix.EAGAIN {
			return false
		}
		*moved += datagramCost + len(b)
		shift(&s.held)
		switch {
		case e == 0 || s.state == closing:
		case s.sctp.one && s.down.half == ended:
			s.held = nil
			s.brokeDown(unix.EPIPE)
			return false
		default:
			s.err = e
		}
	}
	s.held = nil
	return true
}

// messagesClosed says that the program has closed its end. What it has sent goes out first.
func (s *sock) messagesClosed() {
	switch {
	case s.state == released:
	case len(s.held) > 0 && !s.abort:
		if s.state == connected {
			s.to(closing)
		}
	case s.abort:
		s.reset()
	default:
		if s.sctp.shown > 0 {
			s.dropShown() // it was read, or is a notification: no reason for an ABORT
		}
		s.release()
	}
}

// messagesDown shows the program its next message, if it has taken the last. It reports whether it is to
// be tried again.
func (s *sock) messagesDown() (again bool) {
	x := s.sctp
	for s.down.half != ended && s.taking == notTaking {
		if x.shown > 0 {
			if !s.taken() {
				s.showEnd()
				return false
			}
			s.dropShown()
		}
		b := s.down.buf[s.down.off:]
		if s.down.empty() {
			n, flags, e := s.lookAhead()
			switch {
			case e == unix.EAGAIN && s.up.half == ended && !s.l.stops(s.fd) && s.parted():
				n = 0 // ENOTCONN, on Linux, to who may wait: this is what the kernel can tell
			case e == unix.EAGAIN:
				return false
			case e != 0 && x.one:
				s.brokeDown(e)
				return false
			case e != 0:
				s.err = e
				return true
			}
			if n == 0 {
				s.endDown()
				return false
			}
			b, x.flags = s.l.downBuf[:n], flags
		}
		switch e := s.queue(b); e {
		case 0:
			x.shown = len(b)
		case unix.EAGAIN, unix.EINTR, unix.ENOBUFS, unix.ENOMEM:
			return true // nothing tells when there is memory again
		default: // the program has closed it, which the pump upwards sees
			s.abort = s.abort || x.flags&usock.MSG_NOTIFICATION == 0
			return false
		}
	}
	return false
}

// lookAhead reads the stack's first message into the loop's buffer, and leaves it there.
func (s *sock) lookAhead() (n, flags int, e syscall.Errno) {
	m := &s.l.message
	m.Bufs, m.Control = append(m.Bufs[:0], s.l.downBuf), nil
	n, err := s.u.RecvMsg(context.Background(), m, usock.MSG_PEEK|usock.MSG_DONTWAIT)
	return n, m.Flags, errno(err)
}

// dropShown drops what the kernel has given to the program.
func (s *sock) dropShown() {
	n := s.sctp.shown
	s.sctp.shown = 0
	if s.down.empty() {
		s.u.Recv(s.l.downBuf[:n], usock.MSG_DONTWAIT)
		return
	}
	if s.down.off += n; s.down.off >= len(s.down.buf) {
		s.l.drop(&s.down.pending)
	}
}

// showEnd has poll show what comes behind the message that the program's end shows, if that is the end.
func (s *sock) showEnd() {
	events := s.u.Events()
	switch {
	case s.sctp.one && events&usock.POLLERR != 0:
		s.brokeDown(s.takeError())
		return
	case events&usock.POLLRDHUP == 0:
		return
	}
	if s.down.empty() {
		m := &s.l.message
		m.Bufs, m.Control = append(m.Bufs[:0], s.l.downBuf[:s.sctp.shown]), s.l.control[:]
		n, err := s.u.RecvMsg(context.Background(), m, usock.MSG_DONTWAIT)
		if err != nil || n == 0 {
			return
		}
		s.down.buf = bytes.Clone(s.l.downBuf[:n])
		s.down.from = sender{from: m.Name, flags: m.Flags, control: bytes.Clone(m.Control)}
	}
	if n, _, e := s.lookAhead(); n == 0 && e == 0 {
		s.endDown()
	}
}

// taken reports whether the program's end has no message. The kernel says that one was taken just before
// it takes the last of its bytes off the count (net/core/sock.c, sock_wfree).
func (s *sock) taken() bool { return unsent(s.far.fd) < datagramCost }

// endDown says that nothing more comes.
func (s *sock) endDown() {
	s.down.half = ended
	sysShutdown(s.far.fd, unix.SHUT_WR)
	s.hush(s.up.half == ended)
}

// parted reports whether nothing can come: a socket that does not listen has no association (Linux,
// sctp_wait_for_packet).
func (s *sock) parted() bool {
	if on, _ := s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ACCEPTCONN); on != 0 {
		return false
	}
	if s.sctp.one {
		_, err := s.u.GetSockOpt(usock.SOL_SCTP, usock.SCTP_STATUS, make([]byte, sizeStatus))
		return err != nil
	}
	var count [4]byte
	n, err := s.u.GetSockOpt(usock.SOL_SCTP, usock.SCTP_GET_ASSOC_NUMBER, count[:])
	return err == nil && n == len(count) && count == [4]byte{}
}

// sizeStatus is more than struct sctp_status has bytes.
const sizeStatus = 256

// brokeDown passes on that the association of a socket of one-to-one style is over: connected → over.
func (s *sock) brokeDown(e syscall.Errno) {
	if s.state != connected {
		return
	}
	s.err = e
	s.to(over)
	s.wakeAll()
	s.reach(func(dup int) {
		if s.state == over && s.far.fd >= 0 {
			s.breakFar(dup)
		}
		s.wakeAll()
	})
}

// fillMessages makes the program's end, of which dup is a duplicate, not writable.
func (s *sock) fillMessages(dup int) {
	sysSetInt(dup, unix.SO_SNDBUF, 1)
	var junk [2048]byte
	for {
		if _, e := sysSend(dup, junk[:]); e != 0 {
			return
		}
		s.sctp.fillers++
	}
}

// unfillMessages makes it writable again.
func (s *sock) unfillMessages() {
	s.sctp.connecting = false
	s.reach(func(dup int) {
		if dup >= 0 {
			boundMessages(s.u, dup)
		}
		for ; s.sctp.fillers > 0 && s.far.fd >= 0; s.sctp.fillers-- {
			if _, e := sysRecv(s.far.fd, s.l.control[:1], 0); e != 0 && e != unix.EAGAIN {
				break // it is tried again
			}
		}
		s.l.later(s)
		s.wakeAll()
	})
}

// messagesOutcome looks what has become of an association that is being made, for which the program
// does not wait in a call.
func (s *sock) messagesOutcome() {
	switch e := errno(s.u.FinishConnect()); e {
	case unix.EALREADY:
	case 0:
		s.unfillMessages()
	default:
		s.sctp.connecting, s.sctp.fillers = false, 0
		s.brokeDown(e)
	}
}

// announce shows at a listener's end whether there is something to accept. Each one that comes is
// an edge for EPOLLET. It reports whether it is to be tried again.
func (s *sock) announce() (again bool) {
	if n := len(s.sctp.accepted); n == 0 && s.u.Events()&usock.POLLIN == 0 || s.sctp.tokens >= maxTokens {
		return false
	}
	_, e := sysSend(s.far.fd, []byte{0})
	if e == 0 {
		s.sctp.tokens++
	}
	return e != 0 && e != unix.EPIPE && s.sctp.tokens == 0
}

const maxTokens = 16

// acceptNone takes the tokens out of a listener's end, of which dup is a duplicate, if there is nothing
// to accept any more.
func (s *sock) acceptNone(dup int) {
	if len(s.sctp.accepted) > 0 || s.u.Events()&usock.POLLIN != 0 {
		return
	}
	for ; s.sctp.tokens > 0; s.sctp.tokens-- {
		var b [1]byte
		if _, e := sysRecv(dup, b[:], 0); e != 0 && e != unix.EAGAIN {
			break // it is tried again
		}
	}
}

// acceptMessages is accept(2).
func (c *call) acceptMessages(flags int) result {
	r := c.tryAcceptMessages(flags)
	switch {
	case r.how != park:
		return r
	case !c.t.room():
		return c.fail(unix.EMFILE)
	case nonblocking(c.dup):
		return c.fail(unix.EAGAIN)
	}
	return c.park(&c.s.waiting, func(c *call) result { return c.tryAcceptMessages(flags) }, c.s.times[rcvTimeo], unix.EAGAIN)
}

func (c *call) tryAcceptMessages(flags int) result {
	s, x := c.s, c.s.sctp
	if len(x.accepted) == 0 {
		u, _, err := s.u.Accept()
		switch e := errno(err); e {
		case 0:
			u.SetNonblock(true)
			x.accepted = append(x.accepted, u)
		case unix.EAGAIN:
			s.acceptNone(c.dup)
			return result{how: park}
		default:
			return c.failErr(err)
		}
	}
	u := shift(&x.accepted)
	s.acceptNone(c.dup) // before the program goes on, and polls
	peer, _ := u.GetPeerName()
	r := c.giveMessages(u, flags, func(n *sock, fd int) (int, syscall.Errno) {
		if args := &c.n.data.args; args[1] != 0 {
			if e := c.storeAddr(peer, args[1], args[2]); e != 0 {
				return -1, e
			}
		}
		n.times = s.times
		s.setNative(fd)
		n.native = slices.Clone(s.native)
		got, e := c.giveMarked(fd, flags&unix.SOCK_CLOEXEC)
		if e != 0 {
			return got, e
		}
		return got, c.answerNumber(got)
	})
	if r.err != 0 {
		if x.accepted = slices.Insert(x.accepted, 0, u); s.state == released {
			x.refuse()
			return r
		}
		s.pump()
		s.wakeAll()
	}
	return r
}

// giveMessages gives the program an end of the stack's socket u. give does that, and returns its number.
// Where it fails u is as it was.
func (c *call) giveMessages(u *usock.Socket, flags int, give func(n *sock, fd int) (int, syscall.Errno)) result {
	if !c.l.space.take(1) {
		c.l.space.tell()
		return c.fail(unix.EMFILE)
	}
	n, fd, e := c.l.newMessages(u, flags&unix.SOCK_NONBLOCK)
	if e != 0 {
		return c.lacksOwn(e)
	}
	got, e := give(n, fd)
	sysClose(fd)
	if e != 0 {
		n.abandon()
		return c.lacks(e)
	}
	if n.linger = c.s != nil && c.s.linger; n.state != released {
		n.seen(c.t, got)
		n.own(c)
		n.watchStack()
		n.pump()
	}
	return result{val: int64(got), how: done}
}

// refuse ends the associations that a listener has accepted and the program has not got.
func (x *sctpSock) refuse() {
	for _, u := range x.accepted {
		u.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, lingerAbort)
		u.Close()
	}
	x.accepted = nil
}

// abandon forgets s, but not the stack's socket.
func (s *sock) abandon() {
	s.to(released)
	s.dropFar()
	if s.l.socks[s.id] == s {
		delete(s.l.socks, s.id)
	}
	s.l.space.give(1)
}

// listenMessages is listen(2).
func (c *call) listenMessages(backlog int) result {
	s, x := c.s, c.s.sctp
	err := s.u.Listen(backlog)
	if errno(err) == unix.EADDRINUSE {
		c.l.drainMessages()
		err = s.u.Listen(backlog)
	}
	if err != nil {
		return c.failErr(err)
	}
	if x.one && x.listening != (backlog != 0) {
		if x.listening = backlog != 0; x.listening {
			c.l.messageListeners[s] = struct{}{}
			s.fillMessages(c.dup)
		} else {
			delete(c.l.messageListeners, s)
			s.acceptNone(c.dup)
		}
	}
	s.pump()
	return c.ok()
}

// checkMessageListeners releases the listeners that the program has closed, so that a connect to one is refused.
func (l *loop) checkMessageListeners() {
	for s := range l.messageListeners {
		s.catchUp()
	}
}

// catchUp takes note of what the program has done with its end, announced by the kernel or not yet.
func (s *sock) catchUp() {
	s.far.ended = s.far.ended || polled(s.far.fd)&unix.POLLHUP != 0
	s.drain()
}

// drainMessages takes note of which sockets of SCTP's the program has closed, and of what it has sent.
func (l *loop) drainMessages() {
	for _, s := range l.socks {
		if s.sctp != nil && s.state == connected {
			s.catchUp()
		}
	}
}

// connectMessages is connect(2), for which begin has the stack begin it. then is told how it has ended.
func (c *call) connectMessages(begin func() error, then func(*call, syscall.Errno) result) result {
	s := c.s
	c.l.checkMessageListeners()
	s.drain()
	err := begin()
	e := errno(err)
	if e == unix.EINPROGRESS && s.state == over {
		c.noteRegistrations()
		if e := c.renewMessages(); e != 0 {
			return c.lacks(e)
		}
	}
	switch {
	case e != unix.EINPROGRESS:
		if e != 0 {
			return c.failErr(err)
		}
		s.pump() // it is writable
		return then(c, 0)
	case nonblocking(c.dup):
		if s.sctp.one {
			s.sctp.connecting = true
			s.fillMessages(c.dup)
			s.pump()
		}
		return then(c, e)
	}
	s.err = 0
	wait := func(c *call) result {
		e := errno(c.s.u.FinishConnect())
		if e == unix.EALREADY {
			return result{how: park}
		}
		c.s.pump() // it is writable
		return then(c, e)
	}
	if r := wait(c); r.how != park {
		return r
	}
	return c.park(&s.waiting, wait, s.times[sndTimeo], unix.EINPROGRESS)
}

// renewMessages gives the program another end in place of the one that has shown an error.
func (c *call) renewMessages() syscall.Errno {
	s, nonb := c.s, 0
	if nonblocking(c.dup) {
		nonb = unix.SOCK_NONBLOCK
	}
	fd, far, e := messagePair(s.u, nonb)
	if e != 0 {
		return e
	}
	number := s.fd
	if e := c.replaceFD(fd, number, c.closeOnExec()); e != 0 {
		sysClose(far)
		sysClose(fd)
		return e
	}
	sysClose(c.dup)
	c.dup = fd
	*s.sctp = sctpSock{one: s.sctp.one}
	s.renewed(fd)
	s.to(connected)
	s.abort = false
	if e = s.setFar(far); e != 0 {
		sysClose(far)
		s.spoiled()
	} else {
		s.hush(false)
	}
	c.reregister(number)
	return e
}

// receiveMessagePart receives what b has room for of the next message.
func (c *call) receiveMessagePart(b []byte, m *message) (r received, e syscall.Errno) {
	s := c.s
	if s.sctp.listening {
		return c.receiveStack(b, m.flags|usock.MSG_DONTWAIT)
	}
	if e := s.err; e != 0 && s.state == connected {
		s.err = 0
		return r, e
	}
	if m.flags&usock.MSG_ERRQUEUE != 0 {
		return c.receiveStack(b, m.flags)
	}
	if m.flags&usock.MSG_PEEK == 0 {
		if e := c.takeShown(); e != 0 {
			return r, e
		}
	}
	if !s.down.empty() {
		r = s.takeRest(b, m)
		s.pump()
		return r, 0
	}
	r, e = c.receiveStack(b, m.flags|usock.MSG_DONTWAIT)
	if e != 0 && e != unix.EAGAIN && s.sctp.one {
		s.brokeDown(e)
	}
	if e != 0 && s.state == over {
		if told := c.overError(); told != 0 {
			return r, told
		}
	}
	switch {
	case e == 0:
		s.pump() // what is next, before the program polls
	case e == unix.EAGAIN && c.mayWait(m) && s.parted():
		e = unix.ENOTCONN
	}
	return r, e
}

// takeShown takes the copy of a message off the program's end, if there is one.
func (c *call) takeShown() syscall.Errno {
	s := c.s
	if s.sctp.shown == 0 {
		return 0
	}
	if s.state == over && s.raised {
		s.raised = false
		c.clearNative() // the error is told behind the message (Linux, sctp_skb_recv_datagram)
	}
	var b [1]byte
	_, e := c.take(b[:], new(unix.Msghdr), 0)
	switch {
	case e == 0:
		s.sctp.shown = 0
	case e == unix.EAGAIN && s.taking == notTaking && s.sctp.shown > 0:
		s.dropShown() // the kernel has given it to the program
		e = 0
	}
	return e
}

// takeRest receives what b has room for of the message that was taken from the stack before.
func (s *sock) takeRest(b []byte, m *message) received {
	p := &s.down
	n := copy(b, p.buf[p.off:])
	r := received{data: b[:n], n: int64(n), name: p.from.from, control: p.from.control, flags: p.from.flags}
	if p.off+n < len(p.buf) {
		r.flags &^= usock.MSG_EOR
	}
	switch {
	case m.flags&usock.MSG_PEEK != 0:
	case p.off+n == len(p.buf):
		s.l.drop(&p.pending)
	default:
		p.off += n
	}
	return r
}

// dropMessage drops the rest of a message that could not be stored, as Linux does (sctp_recvmsg).
func (c *call) dropMessage(got *received, m *message) {
	if m.flags&usock.MSG_PEEK != 0 {
		return
	}
	rest := message{flags: usock.MSG_DONTWAIT}
	for got.flags&usock.MSG_EOR == 0 && got.n > 0 {
		next, e := c.receiveMessagePart(c.l.msgBuf, &rest)
		if e != 0 {
			return
		}
		*got = next
	}
}

// shutdownMessages is shutdown(2). What was sent goes before the end.
func (c *call) shutdownMessages(how int) result {
	s := c.s
	writes := how != unix.SHUT_RD
	s.drain()
	if writes && len(s.held) > 0 {
		if how == unix.SHUT_RDWR {
			s.u.Shutdown(usock.SHUT_RD)
		}
		s.up.half = ending
	} else if err := s.u.Shutdown(how); err != nil {
		return c.failErr(err)
	}
	if writes {
		if s.up.half != ending {
			s.up.half = ended
		}
		sysShutdown(c.dup, unix.SHUT_WR)
	}
	if how != unix.SHUT_WR {
		s.shutRd = true
		s.down.half = ended
		sysShutdown(s.far.fd, unix.SHUT_WR)
	}
	s.hush(s.up.half == ended && s.down.half == ended)
	s.wakeAll()
	return c.ok()
}
