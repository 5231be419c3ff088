//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// message is where a program wants a message to be put, or has one, and how much of
// it was moved: a call that moves a stream's bytes and waits in between goes on where
// it was.
type message struct {
	hdr   uint64 // of its struct msghdr; 0: another call's
	bare  bool   // a read's or write's
	h     msghdr
	spans []span
	total int
	flags int
	done  int
	base  uint64 // of a peek: how many bytes were taken off the program's end before it
	waits bool   // its call waits: that O_NONBLOCK is set meanwhile is not about it

	opened   bool       // its call has begun a connection, which is made
	to       usock.Addr // it was sent to
	opens    int32      // SCTP: the association that it was sent to, which it may have opened
	received bool       // by a receive, which tells more than the bytes' count
}

// rest returns the spans of what was not moved yet.
func (m *message) rest() []span {
	skip := uint64(m.done)
	for i, s := range m.spans {
		if skip < s.size {
			if skip == 0 {
				return m.spans[i:]
			}
			rest := append([]span(nil), m.spans[i:]...)
			rest[0] = span{s.addr + skip, s.size - skip}
			return rest
		}
		skip -= s.size
	}
	return nil
}

// moved ends a call that fails with e after some bytes: it returns their count. Of a
// call that nobody waits for any more the bytes stand all the same (replay).
func (c *call) moved(m *message, e syscall.Errno) result {
	if m.done == 0 {
		return c.fail(e)
	}
	if m.received {
		if e := c.storeRest(m, c.streamRest()); e != 0 && e != errGone {
			return c.fail(e)
		}
	}
	return c.answer(int64(m.done))
}

// parkMessage parks a call on a message. A signal or its time ends it with what was
// moved.
func (c *call) parkMessage(m *message, try func(*call) result, d timeout) result {
	began := c.s.dissolved
	r := c.park(&c.s.waiting, func(c *call) result {
		if c.s.dissolved != began {
			return c.lostPeer(m)
		}
		return try(c)
	}, d, unix.EAGAIN)
	if r.how != park {
		return c.moved(m, r.err)
	}
	m.waits = true
	if c.waits.leave == nil { // sendFastOpen has one of its own
		c.waits.leave = func(c *call) result {
			if m.done > 0 {
				return c.moved(m, 0)
			}
			return result{how: park}
		}
	}
	return r
}

// lostPeer ends a call whose connection another has dissolved: it is not about what the
// socket is connected to next. A send tells the error that this has left (Linux, sk_stream_error).
func (c *call) lostPeer(m *message) result {
	if m.received {
		return c.moved(m, unix.EPIPE)
	}
	if m.done == 0 {
		if e := c.overError(); e != 0 {
			return c.fail(e)
		}
	}
	return c.failSend(m, unix.EPIPE)
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

// loadSent is loadMessage for a message that is sent, which has a bound for its control messages (Linux, ____sys_sendmsg).
func (c *call) loadSent(addr uint64, flags int) (m message, e syscall.Errno) {
	if m, e = c.loadMessage(addr, flags); e == 0 && m.h.controlLen > 1<<31-1 {
		e = unix.ENOBUFS
	}
	return m, e
}

// loadControl reads the control messages of a message that is sent.
func (c *call) loadControl(m *message) ([]byte, syscall.Errno) {
	if m.h.controlLen >= maxOption-1 {
		return nil, unix.ENOBUFS // sock_kmalloc
	}
	return c.bytes(m.h.control, m.h.controlLen, maxOption)
}

// plainMessage returns the message of a sendto or recvfrom.
func (c *call) plainMessage() *message {
	args := &c.n.data.args
	m := &message{flags: int(int32(args[3])), total: int(min(args[2], maxTransfer))}
	m.spans = []span{{args[1], uint64(m.total)}}
	return m
}

// plain reports whether the kernel can carry the message's call out: a stream's
// bytes and nothing else.
func (c *call) plain(m *message) bool {
	return c.s.stream && m.h.name == 0 && m.flags&peekAll != peekAll && m.flags&(usock.MSG_OOB|usock.MSG_FASTOPEN|usock.MSG_ERRQUEUE|usock.MSG_ZEROCOPY|usock.MSG_TRUNC) == 0 && c.s.joined() &&
		(m.flags&usock.MSG_MORE == 0 || !c.l.packets)
}

// nowait reports whether a call that begins must not wait.
func (c *call) nowait(flags int) bool {
	return flags&usock.MSG_DONTWAIT != 0 || nonblocking(c.dup)
}

// mayWait reports whether the call may wait for the message to be moved. The error queue
// and urgent bytes are not waited for, whatever the socket says of waiting.
func (c *call) mayWait(m *message) bool {
	switch {
	case m.received && (m.flags&usock.MSG_ERRQUEUE != 0 || m.flags&usock.MSG_OOB != 0 && c.s.stream):
		return false
	case m.waits:
		return true
	}
	return !c.nowait(m.flags)
}

// some is the result of a call on many messages that failed with e after i of them.
func (c *call) some(i uint64, e syscall.Errno) result {
	if i > 0 {
		return c.answer(int64(i))
	}
	return c.fail(e)
}

func (c *call) putLen(addr uint64, n int64) syscall.Errno {
	var w [4]byte
	binary.NativeEndian.PutUint32(w[:], uint32(n))
	return c.write(addr, w[:])
}

// maxMany is how many bytes a call on many messages moves before others have their
// turn.
const maxMany = 1 << 20

// storeRest stores all of a message but its bytes.
func (c *call) storeRest(m *message, got *received) syscall.Errno {
	if m.hdr == 0 {
		args := &c.n.data.args
		if m.bare || args[4] == 0 {
			return 0
		}
		return c.storeName(got.sockaddr(), args[4], args[5])
	}
	if m.h.name != 0 {
		if e := c.storeName(got.sockaddr(), m.h.name, m.hdr+offNameLen); e != 0 {
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
