//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// callRecvfrom is recvfrom(fd, buf, len, flags, addr, addrlen).
func callRecvfrom(c *call) result {
	m := c.plainMessage()
	m.h.name = c.n.data.args[4]
	if c.urgent(m) || c.kernelServes(m, nativeRecv) && !c.l.traps.Receives {
		return result{how: byKernel}
	}
	return c.receiveMessage(m)
}

// callRecvmsg is recvmsg(fd, msg, flags).
func callRecvmsg(c *call) result {
	m, e := c.loadMessage(c.n.data.args[1], int(int32(c.n.data.args[2])))
	if e != 0 {
		return c.fail(e)
	}
	if c.plain(&m) && !c.l.traps.Receives && !(c.s.inq && m.h.control != 0) || c.urgent(&m) {
		return result{how: byKernel}
	}
	return c.receiveMessage(&m)
}

// streamRest is what a receive on a stream tells besides its bytes: with TCP_INQ how many
// are left, and one for the end of the stream (Linux, tcp_inq_hint).
func (c *call) streamRest() *received {
	s, r := c.s, new(received)
	if !s.inq {
		return r
	}
	left, _ := s.u.InQueue()
	left += len(s.down.buf) - s.down.off + max(0, unread(c.dup))
	if s.down.half == ended || s.u.Events()&usock.POLLRDHUP != 0 {
		left++
	}
	r.control = abi.AppendCmsg(nil, usock.SOL_TCP, usock.TCP_INQ, abi.AppendInt(nil, left))
	return r
}

// urgent reports whether the call receives urgent data, which the pump has handed on.
func (c *call) urgent(m *message) bool {
	return m.flags&usock.MSG_OOB != 0 && c.s.stream && c.s.state == connected
}

func (c *call) receiveMessage(m *message) result {
	r := c.tryReceive(m)
	if r.how != park {
		return r
	}
	if !c.mayWait(m) {
		return c.moved(m, unix.EAGAIN)
	}
	if c.interrupted("recv") {
		return c.moved(m, unix.EINTR)
	}
	return c.parkMessage(m, func(c *call) result { return c.tryReceive(m) }, c.s.times[rcvTimeo])
}

// tryReceive receives a message if there is one.
func (c *call) tryReceive(m *message) result {
	m.received = true
	s := c.s
	if s.stream && s.joined() && m.flags&(usock.MSG_OOB|usock.MSG_ERRQUEUE) == 0 {
		return c.receiveStream(m)
	}
	var got received
	var e syscall.Errno
	b := c.l.msgBuf[:min(m.total-m.done, len(c.l.msgBuf))]
	switch {
	case s.sctp != nil:
		got, e = c.receiveMessagePart(b, m)
	case !s.stream:
		got, e = c.receiveDatagram(b, m)
	case s.state == over && m.flags&(usock.MSG_OOB|usock.MSG_ERRQUEUE) == 0:
		if r := c.receiveStream(m); r.how != park && (r.err != 0 || r.val > 0 || m.total == 0) {
			return r // what is left, and then the error
		}
		got, e = c.receiveOver(b, m.flags)
	default:
		got, e = c.receiveStack(b, m.flags)
	}
	switch e {
	case 0:
	case unix.EAGAIN:
		return result{how: park}
	default:
		return c.moved(m, e)
	}
	if e := c.writev(got.data, m.rest()); e != 0 {
		if s.sctp != nil {
			c.dropMessage(&got, m)
		}
		return c.fail(e)
	}
	if e := c.storeRest(m, &got); e != 0 {
		return c.fail(e)
	}
	return c.answer(int64(m.done) + got.n)
}

// receiveStream receives a stream's bytes from the program's end. A bad buffer
// consumes nothing, so it is tried before. With MSG_WAITALL it goes on until the
// buffer is full, or nothing more can come. With MSG_TRUNC the bytes are discarded.
func (c *call) receiveStream(m *message) result {
	if m.flags&peekAll == peekAll {
		return c.peekAtAll(m)
	}
	all := m.flags&usock.MSG_WAITALL != 0
	for {
		n, e := c.receiveBytes(m)
		if e == unix.EAGAIN {
			return result{how: park}
		}
		if e != 0 {
			return c.receiveFailed(m, e)
		}
		m.done += n
		if n == 0 || m.done == m.total || !all {
			break
		}
		if c.endComes() && unread(c.dup) <= 0 {
			break // an error is the next call's
		}
	}
	if m.done == 0 {
		if e := c.storeRest(m, c.streamRest()); e != 0 {
			return c.fail(e)
		}
		return c.answer(0)
	}
	return c.moved(m, 0)
}

// peekAll are the flags of a receive that looks at bytes, and waits until all are there.
const peekAll = usock.MSG_PEEK | usock.MSG_WAITALL

// peekAtAll is receiveStream for a receive that peeks and waits for all. What it has shown
// stays in the buffer while it waits, and counts when a signal or its time ends it.
func (c *call) peekAtAll(m *message) result {
	have := max(0, unread(c.dup))
	if m.done > 0 && have == 0 && c.endComes() {
		return c.moved(m, 0) // the error is the next call's
	}
	at := c.peekFrom(m, have)
	want := at + min(m.total-m.done, max(1, have-at))
	if m.total == m.done {
		want = 0
	}
	b := c.l.msgBuf
	if want > len(b) {
		b = make([]byte, want)
	}
	n, e := c.take(b[:want], new(unix.Msghdr), usock.MSG_PEEK)
	switch {
	case e == unix.EAGAIN:
		return result{how: park}
	case e != 0:
		return c.receiveFailed(m, e)
	case n == 0 && m.done > 0:
		return c.moved(m, 0)
	case n == 0:
		if e := c.storeRest(m, c.streamRest()); e != 0 {
			return c.fail(e)
		}
		return c.answer(0)
	}
	if n > at {
		if m.flags&usock.MSG_TRUNC == 0 {
			if e := c.writev(b[at:n], m.rest()); e != 0 {
				return c.moved(m, e)
			}
		}
		m.done += n - at
	}
	if m.done == m.total || n < min(want, have) || c.endComes() { // or it is at the urgent byte
		return c.moved(m, 0)
	}
	return result{how: park}
}

// peekFrom returns at which of the bytes that the program's end has, have in number, a peek is
// to look that has shown m.done before. If others have received meanwhile, it goes on with
// what is the first byte by now (Linux, tcp_recvmsg_locked).
func (c *call) peekFrom(m *message, have int) int {
	base := c.s.given - uint64(have)
	if m.done == 0 {
		m.base = base
	}
	if m.base != base {
		return 0
	}
	return m.done
}

// receiveFailed is the result of a receive on a stream whose program's end gives e: the
// error that the kernel shows there stands for the stack's.
func (c *call) receiveFailed(m *message, e syscall.Errno) result {
	s := c.s
	if m.done == 0 && s.state == over && s.raised {
		s.raised = false
		if p := s.takeError(); p != 0 {
			return c.fail(p)
		}
	}
	return c.moved(m, e)
}

// endComes reports whether no more bytes can come to the program's end than there are.
func (c *call) endComes() bool {
	return pollNow(c.dup, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// receiveBytes takes the next bytes off the program's end and stores them. Where a signal
// may have ended the call unseen (before Linux 5.19), they are taken once they are stored.
func (c *call) receiveBytes(m *message) (int, syscall.Errno) {
	spans := m.rest()
	want := min(m.total-m.done, pumpSize)
	flags := m.flags & usock.MSG_PEEK
	discard := m.flags&usock.MSG_TRUNC != 0
	if !discard && flags == 0 && want > 0 {
		have := unread(c.dup)
		if have > 0 {
			want = min(want, have)
			if e := c.writable(spans, want); e != 0 {
				return 0, e
			}
		}
	}
	b := c.l.msgBuf[:want]
	later := !c.l.killable && !discard && flags == 0
	if later {
		flags = usock.MSG_PEEK
	}
	n, e := c.take(b, new(unix.Msghdr), flags)
	if e != 0 {
		return 0, e
	}
	if !discard {
		e = c.writev(b[:n], spans)
	}
	if later && n > 0 && e == 0 {
		n, e = c.take(b[:n], new(unix.Msghdr), 0)
	}
	return n, e
}

// take takes bytes or a datagram off the program's end. The kernel lets one receive at
// a time do that, and one that it carries out itself may have to wait for its page:
// the call is away meanwhile, and others of the socket's wait for it. That there is
// nothing is true only if nothing has happened to the socket since.
func (c *call) take(b []byte, h *unix.Msghdr, flags int) (n int, e syscall.Errno) {
	s := c.s
	if s.taking != notTaking {
		s.taking = takingWoken
		return 0, unix.EAGAIN
	}
	var gone syscall.Errno
	for woken, again := false, true; again; {
		s.taking = isTaking
		gone = c.away(func() { n, e = recvMsg(c.dup, b, h, flags) })
		again = s.taking == takingWoken
		woken = woken || again
		s.taking = notTaking
		if again = again && gone == 0 && e == unix.EAGAIN; !again && woken {
			s.wakeAll()
		}
	}
	if gone != 0 {
		return 0, gone
	}
	if e != 0 && e != unix.EAGAIN {
		e = c.l.lack(c.row, e)
	}
	return n, e
}

// receiveOver receives from a connection that has broken down, after its last bytes:
// the error, and then what the stack says.
func (c *call) receiveOver(b []byte, flags int) (r received, e syscall.Errno) {
	if c.s.raised {
		// An earlier call has taken the error off the program's end.
		c.s.raised = false
		c.s.takeError()
	}
	return c.receiveStack(b, flags)
}

// callRecvmmsg is recvmmsg(fd, msgvec, vlen, flags, timeout).
func callRecvmmsg(c *call) result {
	b, e := c.loadBundle()
	if e != 0 {
		return c.fail(e)
	}
	b.until, b.began = c.s.times[rcvTimeo], c.s.dissolved
	if c.s.stream && (c.s.state == over || c.s.state == fresh) {
		// It tells a pending error before the bytes that came ahead of it (do_recvmmsg).
		if e := c.overError(); e != 0 {
			return c.fail(e)
		}
	}
	return c.receiveMany(b)
}

// loadBundle reads what a recvmmsg is asked for.
func (c *call) loadBundle() (*bundle, syscall.Errno) {
	args := &c.n.data.args
	b := &bundle{addr: args[1], n: uint64(min(uint32(args[2]), maxIovec)), flags: int(int32(args[3]))}
	if args[4] == 0 {
		return b, 0
	}
	var ts [16]byte
	if e := c.read(args[4], ts[:]); e != 0 {
		return b, e
	}
	sec, nsec := int64(binary.NativeEndian.Uint64(ts[:])), int64(binary.NativeEndian.Uint64(ts[8:]))
	if sec < 0 || nsec < 0 || nsec >= 1e9 {
		return b, unix.EINVAL
	}
	b.left, b.end = args[4], wall().Add(time.Duration(min(sec, 1<<30))*time.Second+time.Duration(nsec))
	return b, 0
}

// receiveMany receives messages. SO_RCVTIMEO is for each of them, and the call's own time is
// looked at when one has come (recvmmsg(2), BUGS).
func (c *call) receiveMany(b *bundle) result {
	try := func(c *call) result { return c.receiveMany(b) }
	for got := 0; b.i < b.n; {
		if b.m == nil {
			m, e := c.loadMessage(b.at(), b.flags&^unix.MSG_WAITFORONE)
			if e != 0 {
				return c.ended(b, e)
			}
			if b.i > 0 && b.flags&unix.MSG_WAITFORONE != 0 {
				m.flags |= usock.MSG_DONTWAIT
			}
			m.received = true
			b.m = &m
		}
		if b.began != c.s.dissolved {
			return c.lostPeers(b)
		}
		r := c.tryReceive(b.m)
		if r.how == park {
			if !c.mayWait(b.m) {
				return c.partly(b, unix.EAGAIN)
			}
			if c.interrupted("recv") {
				return c.partly(b, unix.EINTR)
			}
			return c.parkMany(b, try, b.until)
		}
		if r.err == 0 {
			r.err = c.putLen(b.at()+offMsgLen, r.val)
		}
		if r.err != 0 {
			return c.ended(b, r.err)
		}
		if b.next(c); b.left != 0 && !wall().Before(b.end) {
			break
		}
		if got += int(r.val); got >= maxMany && b.i < b.n {
			return c.yield(b, try)
		}
	}
	return c.ended(b, 0)
}

// storeLeft stores how much of a recvmmsg's time is left.
func (c *call) storeLeft(b *bundle) syscall.Errno {
	left := max(0, b.end.Sub(wall()))
	ts := binary.NativeEndian.AppendUint64(nil, uint64(left/time.Second))
	return c.write(b.left, binary.NativeEndian.AppendUint64(ts, uint64(left%time.Second)))
}
