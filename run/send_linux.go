//go:build amd64 || arm64

package run

import (
	"context"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// callSendto is sendto(fd, buf, len, flags, addr, addrlen).
func callSendto(c *call) result {
	args := &c.n.data.args
	m := c.plainMessage()
	m.h.name, m.h.nameLen = args[4], uint32(args[5])
	allowed := nativeSend
	if c.s.stream && !c.l.packets {
		allowed |= msgMore // where nobody sees packets, it has no effect
	}
	if c.kernelServes(m, allowed) && !c.l.traps.Sends { // it may be as long as what musl sends to netlink
		return result{how: byKernel}
	}
	return c.sendMessage(m)
}

// callSendmsg is sendmsg(fd, msg, flags).
func callSendmsg(c *call) result {
	m, e := c.loadSent(c.n.data.args[1], int(int32(c.n.data.args[2])))
	if e != 0 {
		return c.fail(e)
	}
	if c.plain(&m) && !c.l.traps.Sends && (m.h.control == 0 || m.h.controlLen == 0) {
		return result{how: byKernel}
	}
	return c.sendMessage(&m)
}

// callSendmmsg is sendmmsg(fd, msgvec, vlen, flags).
func callSendmmsg(c *call) result {
	args := &c.n.data.args
	n := min(uint32(args[2]), maxIovec)
	b := &bundle{addr: args[1], n: uint64(n), flags: int(int32(args[3])), began: c.s.dissolved}
	return c.sendMany(b)
}

// bundle are the messages of a sendmmsg or recvmmsg, and how far it is.
type bundle struct {
	addr  uint64
	n, i  uint64
	flags int
	m     *message // the one that is under way; nil: none is
	until timeout
	began uint32    // sock.dissolved when the call began
	left  uint64    // of a recvmmsg with a time of its own: where the rest of it is stored
	end   time.Time // and when it is up
}

// next goes on to the next message, for which the call may wait as long as for the last.
func (b *bundle) next(c *call) {
	b.m = nil
	b.i++
	if c.waits != nil {
		c.waits.unlimited()
	}
}

func (b *bundle) at() uint64 { return b.addr + b.i*mmsghdrSize }

// sendMany sends messages. It waits for the first byte of the first alone, unless a
// stream has taken a part of one: that one is sent whole, as by sendmsg.
func (c *call) sendMany(b *bundle) result {
	try := func(c *call) result { return c.sendMany(b) }
	for sent := 0; b.i < b.n; {
		if b.m == nil {
			m, e := c.loadSent(b.at(), b.flags)
			if e != 0 {
				return c.ended(b, e)
			}
			b.m = &m
		}
		if b.began != c.s.dissolved {
			return c.lostPeers(b)
		}
		r := c.trySend(b.m)
		if r.how == park {
			if !c.mayWait(b.m) {
				if b.m.done == 0 {
					return c.ended(b, unix.EAGAIN)
				}
				r = c.answer(int64(b.m.done))
			} else if c.sendInterrupted(b.m) {
				return c.partly(b, unix.EINTR)
			} else {
				return c.parkMany(b, try, c.s.times[sndTimeo])
			}
		}
		if r.err == 0 {
			r.err = c.putLen(b.at()+offMsgLen, r.val)
		}
		if r.err != 0 {
			return c.ended(b, r.err)
		}
		short := int(r.val) < b.m.total
		if b.next(c); short {
			break
		}
		if sent += int(r.val); sent >= maxMany && b.i < b.n {
			return c.yield(b, try)
		}
	}
	return c.ended(b, 0)
}

// parkMany parks a call on many messages. A signal or its time ends it with those
// that are done.
func (c *call) parkMany(b *bundle, try func(*call) result, d timeout) result {
	r := c.park(&c.s.waiting, try, d, unix.EAGAIN)
	if r.how != park {
		return c.partly(b, r.err)
	}
	b.m.waits = true
	c.leaves(b)
	return r
}

// leaves has a signal or its time end a call on many messages with those that are done.
func (c *call) leaves(b *bundle) {
	c.waits.leave = func(c *call) result {
		if b.i == 0 && (b.m == nil || b.m.done == 0) {
			return result{how: park}
		}
		return c.partly(b, 0)
	}
}

// yield has the loop go on with the call after the others have had their turn.
func (c *call) yield(b *bundle, try func(*call) result) result {
	r := c.park(&c.s.waiting, try, noTimeout, 0)
	c.leaves(b)
	c.waits.wake(c.l)
	return r
}

// partly ends a call on many messages with those that are done, the last one in part.
func (c *call) partly(b *bundle, e syscall.Errno) result {
	if b.m != nil && b.m.done > 0 {
		r := c.moved(b.m, 0)
		if r.err == 0 {
			r.err = c.putLen(b.at()+offMsgLen, r.val)
		}
		if r.err != 0 {
			return c.ended(b, r.err)
		}
		b.i++
	}
	return c.ended(b, e)
}

// ended is the result of a call on many messages that ends, or fails with e, after those that
// are done.
func (c *call) ended(b *bundle, e syscall.Errno) result {
	if b.i == 0 {
		return c.fail(e)
	}
	if e != 0 && e != unix.EAGAIN && c.s.stream && b.m != nil && b.m.received {
		c.s.takeError()
		c.s.err = e // the next call's (do_recvmmsg)
	}
	if b.left != 0 {
		if e := c.storeLeft(b); e != 0 && e != errGone {
			return c.fail(e)
		}
	}
	return c.answer(int64(b.i))
}

// lostPeers is lostPeer for a call on many messages.
func (c *call) lostPeers(b *bundle) result {
	if b.m.done > 0 {
		return c.partly(b, 0)
	}
	return c.ended(b, c.lostPeer(b.m).err)
}

func (c *call) sendMessage(m *message) result {
	r := c.trySend(m)
	if r.how != park {
		return r
	}
	if !c.mayWait(m) {
		return c.moved(m, unix.EAGAIN)
	}
	if c.sendInterrupted(m) {
		return c.moved(m, unix.EINTR)
	}
	return c.parkMessage(m, func(c *call) result { return c.trySend(m) }, c.s.times[sndTimeo])
}

// trySend sends a message, or as much of it as can be sent now.
func (c *call) trySend(m *message) result {
	s := c.s
	switch {
	case s.sctp != nil:
		return c.trySendMessage(m)
	case !s.stream:
		return c.sendDatagram(m)
	case m.flags&usock.MSG_FASTOPEN != 0:
		return c.sendFastOpen(m)
	case s.state == over || s.state == fresh:
		if e := c.overError(); e != 0 {
			return c.failSend(m, e)
		}
		return c.sendStack(m)
	case s.joined() && m.flags&usock.MSG_OOB != 0:
		return c.sendUrgent(m)
	case s.joined() && m.flags&usock.MSG_MORE != 0 && c.l.packets:
		return c.sendMore(m)
	case s.joined():
		return c.sendStream(m)
	}
	return c.sendStack(m)
}

// load reads the next bytes of the message, as many as the loop's buffer holds.
func (c *call) load(m *message) ([]byte, syscall.Errno) {
	b := c.l.msgBuf[:min(m.total-m.done, len(c.l.msgBuf))]
	return b, c.transfer(false, b, m.rest())
}

// sendDatagram sends a datagram by the stack, after what was sent without a trap.
func (c *call) sendDatagram(m *message) result {
	s := c.s
	s.drain()
	if e := s.err; e != 0 {
		s.err = 0
		if c.clearNative() {
			return c.fail(e)
		}
	}
	return c.sendStack(m)
}

// sendStack sends a message by the stack: a datagram, or what a stream is told that is
// not connected.
func (c *call) sendStack(m *message) result {
	s := c.s
	if s.state == released {
		return c.fail(unix.EPIPE)
	}
	if m.total > len(c.l.msgBuf) && !s.stream {
		return c.fail(unix.EMSGSIZE)
	}
	b, e := c.load(m)
	if e != 0 {
		return c.fail(e)
	}
	out := usock.Msg{Bufs: [][]byte{b}}
	named := m.h.name != 0 && !s.stream // it says nothing to a stream
	if named {
		if out.Name, e = c.loadAddr(m.h.name, uint64(m.h.nameLen)); e != 0 {
			return c.fail(e)
		}
		m.to = out.Name
	}
	if m.h.control != 0 && m.h.controlLen > 0 {
		if out.Control, e = c.loadControl(m); e != 0 {
			return c.fail(e)
		}
	}
	var n int
	var err error
	flags := m.flags &^ usock.MSG_DONTWAIT
	if named && len(out.Control) == 0 {
		n, err = s.u.SendTo(b, flags, out.Name) // an address without family is one, too
	} else {
		n, err = s.u.SendMsg(context.Background(), &out, flags)
	}
	switch e := errno(err); e {
	case 0:
		return c.answer(int64(n))
	case unix.EAGAIN:
		return result{how: park}
	case unix.EPIPE:
		return c.failSend(m, e)
	default:
		return c.failErr(err)
	}
}

// failSend fails a send, with SIGPIPE where that belongs to it, which is to streams and SCTP; or returns how much
// was sent.
func (c *call) failSend(m *message, e syscall.Errno) result {
	if m.done == 0 && e == unix.EPIPE && m.flags&usock.MSG_NOSIGNAL == 0 && (c.s.stream || c.s.sctp != nil) {
		c.t.pipeSignal()
	}
	return c.moved(m, e)
}

// sendStream writes a stream's bytes to the program's end: the address, if any, says
// nothing there.
func (c *call) sendStream(m *message) result {
	if m.done == 0 && m.h.control != 0 && m.h.controlLen > 0 {
		// The stack judges it: an AF_UNIX socket would send descriptors.
		control, e := c.loadControl(m)
		if e != 0 {
			return c.fail(e)
		}
		_, err := c.s.u.SendMsg(context.Background(), &usock.Msg{Control: control}, usock.MSG_NOSIGNAL)
		if e := errno(err); e != 0 && e != unix.EAGAIN && e != unix.EPIPE {
			return c.fail(e)
		}
	}
	for {
		b, e := c.load(m)
		if e != 0 {
			return c.moved(m, e)
		}
		n, e := sysSend(c.dup, b)
		m.done += n
		switch {
		case e == unix.EAGAIN || e == 0 && n < len(b):
			return result{how: park} // until the far end has read
		case e != 0:
			return c.failSend(m, e)
		case m.done == m.total:
			return c.answer(int64(m.done))
		}
	}
}

// sendUrgent sends by the stack, after all that was written before. Of a message in
// pieces the last byte of the last one is urgent.
func (c *call) sendUrgent(m *message) result {
	s := c.s
	for {
		s.drain()
		if !s.joined() {
			return c.trySend(m) // it has broken down
		}
		if !s.up.empty() || s.state == connecting {
			return result{how: park}
		}
		b, e := c.load(m)
		if e != 0 {
			return c.moved(m, e)
		}
		flags := m.flags &^ usock.MSG_DONTWAIT
		if m.done+len(b) < m.total {
			flags &^= usock.MSG_OOB
		}
		n, err := s.u.Send(b, flags|usock.MSG_NOSIGNAL)
		m.done += max(n, 0)
		switch e := errno(err); {
		case e == unix.EAGAIN || e == 0 && n < len(b):
			return result{how: park}
		case e != 0:
			return c.failSend(m, e)
		case m.done == m.total:
			return c.answer(int64(m.done))
		}
	}
}

// sendMore sends by the stack, after all that was written before, what more is to follow.
// What does not fit there goes by the program's end as ever: only that shows when there is
// room again.
func (c *call) sendMore(m *message) result {
	s := c.s
	if s.drain(); !s.joined() {
		return c.trySend(m) // it has broken down
	}
	for s.state == connected && s.up.empty() && !s.far.readable && m.done < m.total {
		b, e := c.load(m)
		if e != 0 {
			return c.moved(m, e)
		}
		n, err := s.u.Send(b, usock.MSG_MORE|usock.MSG_NOSIGNAL)
		m.done += max(n, 0)
		switch e := errno(err); {
		case e == unix.EAGAIN:
			return c.sendStream(m)
		case e != 0:
			return c.failSend(m, e)
		case m.done == m.total:
			return c.answer(int64(m.done))
		}
	}
	return c.sendStream(m)
}

// sendFastOpen is a send with MSG_FASTOPEN: connect and send in one (tcp(7)). The
// program's end follows the connect.
func (c *call) sendFastOpen(m *message) result {
	s := c.s
	if m.done > 0 {
		return c.sendStream(m)
	}
	var to usock.Addr
	if m.h.name != 0 {
		var e syscall.Errno
		if to, e = c.loadAddr(m.h.name, uint64(m.h.nameLen)); e != 0 {
			return c.fail(e)
		}
	}
	send := func(b []byte, flags int) (int, error) {
		if m.h.name == 0 {
			return s.u.Send(b, flags)
		}
		return s.u.SendTo(b, flags, to)
	}
	if s.state != fresh {
		_, err := send(nil, m.flags|usock.MSG_DONTWAIT|usock.MSG_NOSIGNAL)
		switch e := errno(err); {
		case e == unix.EALREADY && c.mayWait(m):
			return c.openAndSend(m, 0, e)
		case e != 0 && e != unix.EINPROGRESS:
			return c.failErr(err) // as connect fails
		}
		m.flags &^= usock.MSG_FASTOPEN // it has just become connected, or its deferred connect begun
		return c.trySend(m)
	}
	b, e := c.load(m)
	if e != 0 {
		return c.fail(e)
	}
	if m.h.name != 0 {
		c.l.checkListeners(to.Port)
	}
	n, err := send(b, m.flags&^usock.MSG_DONTWAIT)
	e = errno(err)
	switch {
	case e == unix.EALREADY && c.mayWait(m): // for the attempt of another
		return c.openAndSend(m, 0, e)
	case e != 0 && e != unix.EINPROGRESS:
		return c.failErr(err)
	case c.mayWait(m):
		return c.openAndSend(m, n, unix.EINPROGRESS)
	}
	c.onFail(s.dissolve)
	if e := s.begin(c.dup, !nonblocking(c.dup)); e != 0 {
		return c.undone(e)
	}
	if e != 0 {
		return c.fail(e)
	}
	return c.answer(int64(n))
}

// openAndSend waits for the connection that a send has begun, n bytes of which went with the SYN, and
// sends the others after it. The program is told how the handshake has failed; where the time is
// up before, what went with the SYN counts, and expired is the error if that is nothing.
func (c *call) openAndSend(m *message, n int, expired syscall.Errno) result {
	rest := *m
	rest.flags &^= usock.MSG_FASTOPEN
	rest.done = n
	wait := c.s.outcomeFor()
	r := c.park(&c.s.waiting, func(c *call) result { return c.afterConnect(&rest, wait) }, c.s.times[sndTimeo], expired)
	leave := func(c *call) result {
		r := goOn(c)
		if r.how == park && rest.done > 0 {
			return c.answer(int64(rest.done))
		}
		return r
	}
	if r.how == park {
		c.waits.leave = leave
		c.waits.wake(c.l)
		return r
	}
	if left := leave(c); left.how != park { // a negative SO_SNDTIMEO
		return left
	}
	return r
}

// afterConnect sends a message once the connection that its call has begun is made.
func (c *call) afterConnect(m *message, wait func(*call) result) result {
	if !m.opened {
		switch r := wait(c); {
		case r.err == unix.EPIPE:
			return c.lostPeer(m)
		case r.how == park || r.err != 0:
			return r
		}
		m.opened = true
	}
	if m.done == m.total && m.done > 0 {
		return c.answer(int64(m.done))
	}
	return c.trySend(m)
}

// pipeSignal sends the thread SIGPIPE, as the kernel does with EPIPE.
func (t *task) pipeSignal() {
	unix.Tgkill(int(t.process()), t.tid, unix.SIGPIPE)
}
