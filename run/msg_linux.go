//go:build amd64 || arm64

package run

import (
	"context"
	"encoding/binary"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// message is where a program wants a message to be put, or has one.
type message struct {
	hdr   uint64 // of its struct msghdr; 0: a sendto or recvfrom
	h     msghdr
	spans []span
	total int
	flags int
}

// loadMessage reads the struct msghdr at addr and its iovecs.
func (c *call) loadMessage(addr uint64, flags int) (m message, e syscall.Errno) {
	var b [msghdrSize]byte
	if e := c.read(addr, b[:]); e != 0 {
		return m, e
	}
	if m.h, e = parseMsghdr(b[:]); e != 0 {
		return m, e
	}
	m.hdr, m.flags = addr, flags
	iov := make([]byte, m.h.iovLen*iovecSize)
	if e := c.read(m.h.iov, iov); e != 0 {
		return m, e
	}
	m.spans, m.total, e = parseIovecs(iov)
	return m, e
}

// plain reports whether the kernel can carry the message's call out: a stream's
// bytes and nothing else.
func (c *call) plain(m *message) bool {
	return c.s.stream && m.h.name == 0 && m.flags&(usock.MSG_OOB|usock.MSG_FASTOPEN|usock.MSG_ERRQUEUE|usock.MSG_ZEROCOPY|usock.MSG_TRUNC) == 0 && c.s.joined()
}

// urgent reports whether the call receives urgent data, which the pump has handed on.
func (c *call) urgent(m *message) bool {
	return m.flags&usock.MSG_OOB != 0 && c.s.stream && c.s.phase == connected
}

// callSendto is sendto(fd, buf, len, flags, addr, addrlen).
func callSendto(c *call) result {
	args := &c.n.data.args
	m := message{flags: int(int32(args[3])), total: int(min(args[2], maxTransfer))}
	m.spans = []span{{args[1], uint64(m.total)}}
	m.h.name, m.h.nameLen = args[4], uint32(args[5])
	return c.sendMessage(&m)
}

// callSendmsg is sendmsg(fd, msg, flags).
func callSendmsg(c *call) result {
	m, e := c.loadMessage(c.n.data.args[1], int(int32(c.n.data.args[2])))
	if e != 0 {
		return c.fail(e)
	}
	if c.plain(&m) && (m.h.control == 0 || m.h.controlLen == 0) {
		return result{how: byKernel}
	}
	return c.sendMessage(&m)
}

// callSendmmsg is sendmmsg(fd, msgvec, vlen, flags).
func callSendmmsg(c *call) result {
	args := &c.n.data.args
	n, flags := uint64(min(uint32(args[2]), maxIovec)), int(int32(args[3]))
	return c.sendMany(args[1], n, 0, flags)
}

// sendMany sends the messages from number i on.
func (c *call) sendMany(addr, n, i uint64, flags int) result {
	for ; i < n; i++ {
		at := addr + i*mmsghdrSize
		m, e := c.loadMessage(at, flags)
		if e != 0 {
			return c.some(i, e)
		}
		r := c.trySend(&m)
		if r.how == park {
			if i > 0 || c.nowait(flags) {
				return c.some(i, unix.EAGAIN)
			}
			return c.park(func(c *call) result {
				if m := m; c.wouldSend(&m) {
					return c.sendMany(addr, n, 0, flags|unix.MSG_DONTWAIT)
				}
				return result{how: park}
			}, c.s.timeout(usock.SO_SNDTIMEO), unix.EAGAIN)
		}
		if r.err != 0 {
			return c.some(i, r.err)
		}
		c.putLen(at+offMsgLen, r.val)
	}
	return c.answer(int64(i))
}

// wouldSend reports whether a message that had to wait may be sent now.
func (c *call) wouldSend(*message) bool {
	return c.s.u.Events()&(usock.POLLOUT|usock.POLLERR|usock.POLLHUP) != 0
}

// some is the result of a call on many messages that failed with e after i of them.
func (c *call) some(i uint64, e syscall.Errno) result {
	if i > 0 {
		return c.answer(int64(i))
	}
	return c.fail(e)
}

func (c *call) putLen(addr uint64, n int64) {
	var w [4]byte
	binary.NativeEndian.PutUint32(w[:], uint32(n))
	c.write(addr, w[:])
}

// nowait reports whether the call must not wait.
func (c *call) nowait(flags int) bool {
	return flags&usock.MSG_DONTWAIT != 0 || nonblocking(c.dup)
}

func (c *call) sendMessage(m *message) result {
	r := c.trySend(m)
	if r.how != park {
		return r
	}
	if c.nowait(m.flags) {
		return c.fail(unix.EAGAIN)
	}
	keep := *m
	return c.park(func(c *call) result { return c.trySend(&keep) }, c.s.timeout(usock.SO_SNDTIMEO), unix.EAGAIN)
}

// trySend sends a message if it can be sent now.
func (c *call) trySend(m *message) result {
	s := c.s
	if s.joined() && m.flags&(usock.MSG_OOB|usock.MSG_FASTOPEN) == 0 {
		return c.sendStream(m)
	}
	if s.stream && (s.phase == over || s.phase == fresh) {
		if e := c.overError(); e != 0 {
			return c.failSend(e, m.flags)
		}
	}
	s.drain() // what was sent before goes before
	if s.gone {
		return c.fail(unix.EPIPE)
	}
	if !s.stream && s.err != 0 {
		e := s.err
		s.err = 0
		if c.clearNative() {
			return c.fail(e)
		}
	}
	if m.total > len(c.l.msgBuf) {
		return c.fail(unix.EMSGSIZE)
	}
	b := c.l.msgBuf[:m.total]
	if e := c.t.transfer(false, b, m.spans); e != 0 {
		return c.fail(e)
	}
	out := usock.Msg{Bufs: [][]byte{b}}
	named := m.h.name != 0 && (!s.stream || m.flags&usock.MSG_FASTOPEN != 0) // it says nothing to a stream
	if named {
		var e syscall.Errno
		if out.Name, e = c.loadAddr(m.h.name, uint64(m.h.nameLen)); e != 0 {
			return c.fail(e)
		}
	}
	if m.h.control != 0 && m.h.controlLen > 0 {
		var e syscall.Errno
		if out.Control, e = c.bytes(m.h.control, m.h.controlLen, 1<<16); e != 0 {
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
		return c.failSend(e, m.flags)
	default:
		return c.failErr(err)
	}
}

// failSend fails a send, with SIGPIPE where that belongs to it.
func (c *call) failSend(e syscall.Errno, flags int) result {
	if e == unix.EPIPE && flags&usock.MSG_NOSIGNAL == 0 {
		c.t.pipeSignal()
	}
	return c.fail(e)
}

// sendStream writes a stream's bytes to the program's end: the address, if any, says
// nothing there. A long blocking send may stop short, as it may when a signal comes.
func (c *call) sendStream(m *message) result {
	b := c.l.msgBuf[:min(m.total, len(c.l.msgBuf))]
	if e := c.t.transfer(false, b, m.spans); e != 0 {
		return c.fail(e)
	}
	if m.h.control != 0 && m.h.controlLen > 0 {
		// The stack judges it: an AF_UNIX socket would send descriptors.
		control, e := c.bytes(m.h.control, m.h.controlLen, 1<<16)
		if e != 0 {
			return c.fail(e)
		}
		_, err := c.s.u.SendMsg(context.Background(), &usock.Msg{Control: control}, usock.MSG_NOSIGNAL)
		if e := errno(err); e != 0 && e != unix.EAGAIN && e != unix.EPIPE {
			return c.fail(e)
		}
	}
	n, e := sysSend(c.dup, b)
	switch e {
	case 0:
		return c.answer(int64(n))
	case unix.EAGAIN:
		return result{how: park}
	}
	return c.failSend(e, m.flags)
}

// pipeSignal sends the thread SIGPIPE, as the kernel does with EPIPE.
func (t *task) pipeSignal() {
	unix.Tgkill(int(t.process()), t.tid, unix.SIGPIPE)
}

// callRecvfrom is recvfrom(fd, buf, len, flags, addr, addrlen).
func callRecvfrom(c *call) result {
	args := &c.n.data.args
	m := message{flags: int(int32(args[3])), total: int(min(args[2], maxTransfer))}
	m.spans = []span{{args[1], uint64(m.total)}}
	if c.urgent(&m) {
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
	if c.plain(&m) || c.urgent(&m) {
		return result{how: byKernel}
	}
	return c.receiveMessage(m)
}

func (c *call) receiveMessage(m message) result {
	r := c.tryReceive(&m)
	if r.how != park {
		return r
	}
	if c.nowait(m.flags) || m.flags&(usock.MSG_ERRQUEUE|usock.MSG_OOB) != 0 {
		return c.fail(unix.EAGAIN)
	}
	return c.park(func(c *call) result { return c.tryReceive(&m) }, c.s.timeout(usock.SO_RCVTIMEO), unix.EAGAIN)
}

// tryReceive receives a message if there is one.
func (c *call) tryReceive(m *message) result {
	var got received
	var e syscall.Errno
	b := c.l.msgBuf[:min(m.total, len(c.l.msgBuf))]
	switch {
	case !c.s.stream:
		got, e = c.receiveDatagram(b, m.flags)
	case !c.s.joined() && c.s.phase != over || m.flags&(usock.MSG_OOB|usock.MSG_ERRQUEUE) != 0:
		got, e = c.receiveStack(b, m.flags)
	case c.s.phase == over:
		got, e = c.receiveOver(b, m.flags)
	default:
		got, e = c.receiveStream(b, m.flags)
	}
	switch e {
	case 0:
	case unix.EAGAIN:
		return result{how: park}
	default:
		return c.fail(e)
	}
	if e := c.writev(got.data, m.spans); e != 0 {
		return c.fail(e)
	}
	if e := c.storeRest(m, &got); e != 0 {
		return c.fail(e)
	}
	return c.answer(got.n)
}

// receiveStream receives from the program's end. With MSG_TRUNC the bytes are
// discarded.
func (c *call) receiveStream(b []byte, flags int) (r received, e syscall.Errno) {
	n, e := sysRecv(c.dup, b, flags&usock.MSG_PEEK)
	if e != 0 {
		return r, e
	}
	if r.n = int64(n); flags&usock.MSG_TRUNC == 0 {
		r.data = b[:n]
	}
	return r, 0
}

// receiveOver receives what is left of a connection that has broken down: the bytes,
// then the error, and then what the stack says.
func (c *call) receiveOver(b []byte, flags int) (r received, e syscall.Errno) {
	s := c.s
	if r, e = c.receiveStream(b, flags); e == 0 && (r.n > 0 || len(b) == 0) {
		return r, 0
	}
	if s.raised {
		// The receive has taken the error off the program's end, or an earlier call.
		s.raised = false
		if p := s.takeError(); p != 0 && e != 0 {
			return r, p
		}
	}
	return c.receiveStack(b, flags)
}

// storeRest stores all of a message but its bytes.
func (c *call) storeRest(m *message, got *received) syscall.Errno {
	if m.hdr == 0 {
		args := &c.n.data.args
		if args[4] == 0 {
			return 0
		}
		return c.storeAddr(got.name, args[4], args[5])
	}
	if m.h.name != 0 {
		if e := c.storeAddr(got.name, m.h.name, m.hdr+offNameLen); e != 0 {
			return e
		}
	}
	control, cut := abi.CutCmsgs(got.control, int(min(m.h.controlLen, 1<<20)))
	if cut {
		got.flags |= usock.MSG_CTRUNC
	}
	if m.h.control != 0 {
		if e := c.write(m.h.control, control); e != 0 {
			return e
		}
	}
	var b [12]byte // msg_controllen and msg_flags
	binary.NativeEndian.PutUint64(b[:], uint64(len(control)))
	binary.NativeEndian.PutUint32(b[8:], uint32(got.flags|m.flags&usock.MSG_CMSG_CLOEXEC))
	return c.write(m.hdr+offControlLen, b[:])
}

// callRecvmmsg is recvmmsg(fd, msgvec, vlen, flags, timeout).
func callRecvmmsg(c *call) result {
	args := &c.n.data.args
	limit := time.Duration(0)
	if args[4] != 0 {
		var b [16]byte
		if e := c.read(args[4], b[:]); e != 0 {
			return c.fail(e)
		}
		sec, nsec := int64(binary.NativeEndian.Uint64(b[:])), int64(binary.NativeEndian.Uint64(b[8:]))
		if sec < 0 || nsec < 0 || nsec >= 1e9 {
			return c.fail(unix.EINVAL)
		}
		limit = time.Duration(min(sec, 1<<30))*time.Second + time.Duration(nsec)
	}
	n, flags := uint64(min(uint32(args[2]), maxIovec)), int(int32(args[3]))
	count := uint64(0)
	try := func(c *call) result {
		for count < n {
			at := args[1] + count*mmsghdrSize
			m, e := c.loadMessage(at, flags&^unix.MSG_WAITFORONE)
			if e != 0 {
				return c.some(count, e)
			}
			r := c.tryReceive(&m)
			if r.how == park {
				if count > 0 && (flags&unix.MSG_WAITFORONE != 0 || c.nowait(flags)) {
					return c.answer(int64(count))
				}
				return r
			}
			if r.err != 0 {
				return c.some(count, r.err)
			}
			c.putLen(at+offMsgLen, r.val)
			count++
		}
		return c.answer(int64(count))
	}
	r := try(c)
	if r.how != park {
		return r
	}
	if c.nowait(flags) {
		return c.fail(unix.EAGAIN)
	}
	if limit == 0 {
		limit = c.s.timeout(usock.SO_RCVTIMEO)
	}
	return c.park(try, limit, unix.EAGAIN)
}
