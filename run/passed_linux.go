//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// Descriptors that a program receives in messages (SCM_RIGHTS).
//
// SCTP's are to have marked numbers (marked_linux.go) wherever they are, and the kernel gives one that comes the lowest number
// that is free. So as soon as a run has such a socket, recvmsg(2) and recvmmsg(2) with room for control messages on the program's
// own AF_UNIX sockets are carried out here: the supervisor receives what the program would have received, and gives it
// that. Whether an SCTP socket is in a message is not looked at before: another receiver may take the one that was looked at. A call that
// waits waits here, too.
//
// Where the supervisor would not receive the same, the call is the kernel's (receivesSame).

const (
	// passedMax is how many descriptors a message may have (SCM_MAX_FD).
	passedMax = 253
	// passedControl is room for them, and all that can come with them: credentials, a label, times.
	passedControl = 4096
	// passedMost is room for what a datagram may hold with what administrators usually allow for SO_SNDBUF.
	passedMost = 1 << 20

	sizeCmsghdr = 16
)

// incoming has calls wait for messages on a socket of the kernel's.
type incoming struct {
	l       *loop
	waiting waiters
}

// ready implements source.
func (w *incoming) ready(uint32) { w.waiting.wake(w.l) }

// mayBring reports whether what fd is may bring the call descriptors of SCTP's.
func (c *call) mayBring(fd int) bool {
	return c.row.is&brings != 0 && c.l.messages && c.l.killable && sysGetInt(fd, unix.SO_DOMAIN) == unix.AF_UNIX
}

// takesFDs reports whether the message has room for descriptors.
func (m *message) takesFDs() bool { return m.h.control != 0 && m.h.controlLen >= sizeCmsghdr+4 }

// receivesSame reports whether the supervisor receives what the program would receive into m.
func (c *call) receivesSame(m *message) bool {
	switch p := &c.l.space; {
	case m.flags&(unix.MSG_OOB|unix.MSG_ERRQUEUE) != 0:
		return false // no descriptors come with these
	case m.takesFDs() && p.limit > 0 && p.limit-p.used < int(min((m.h.controlLen-sizeCmsghdr)/4, passedMax)):
		return false // what the supervisor has no descriptors for would be lost
	case m.flags&peekAll == peekAll, m.flags&unix.MSG_PEEK != 0 && sysGetInt(c.dup, unix.SO_PEEK_OFF) >= 0, sysGetInt(c.dup, unix.SO_RCVLOWAT) != 1:
		return false // it waits for bytes without taking them
	case sysGetInt(c.dup, unix.SO_PASSCRED) == 0:
		return true
	}
	return c.shares("pid") && c.shares("user") // credentials are translated for who receives them
}

// recall has the threads that the kernel has receive since before the run had an SCTP socket make their calls anew, as a signal
// without a handler would. One with SO_RCVTIMEO would get EINTR for it, and stays.
func (l *loop) recall() {
	if l.messages = true; !l.killable {
		return
	}
	for tid, t := range l.tasks {
		if t.receives < 0 || !l.mayReceive(tid) {
			continue
		}
		dup, e := t.fetch(t.receives)
		if e != 0 {
			continue
		}
		tv, err := unix.GetsockoptTimeval(dup, unix.SOL_SOCKET, unix.SO_RCVTIMEO)
		sysClose(dup)
		if err != nil || tv.Nano() != 0 {
			continue
		}
		select {
		case l.kicker.work <- kick{tid: tid}:
		default: // so many: the rest is served as the kernel can
			return
		}
	}
}

// mayReceive reports whether the thread is in a call that may bring descriptors, or on its way into it
// (proc_pid_syscall(5)).
func (l *loop) mayReceive(tid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/syscall")
	if err != nil {
		return false
	}
	nr, _, _ := strings.Cut(string(b), " ")
	n, err := strconv.Atoi(nr)
	if err != nil {
		return true // "running"
	}
	r := l.calls[int32(n)]
	return r != nil && r.is&brings != 0
}

// shares reports whether the calling thread is in the supervisor's namespace of the kind.
func (c *call) shares(kind string) bool {
	own, ok := namespace("self", kind)
	its, known := namespace(strconv.Itoa(c.t.tid), kind)
	return ok && known && own == its
}

// receivePassed is recvmsg(2) or recvmmsg(2) on an AF_UNIX socket of the program's.
func (c *call) receivePassed() result {
	many := c.row.name == "recvmmsg"
	args := &c.n.data.args
	b := &bundle{addr: args[1], n: 1, flags: int(int32(args[2]))}
	if many {
		var e syscall.Errno
		if b, e = c.loadBundle(); e != 0 {
			return c.fail(e)
		}
	}
	if b.n == 0 {
		return result{how: byKernel}
	}
	m, e := c.loadMessage(b.at(), b.flags&^unix.MSG_WAITFORONE)
	if e != 0 {
		return c.fail(e)
	}
	if b.m = &m; !m.takesFDs() || !c.receivesSame(&m) {
		return result{how: byKernel}
	}
	if e := sysGetInt(c.dup, unix.SO_ERROR); many && e != 0 {
		return c.fail(syscall.Errno(e)) // it tells a pending error before the bytes that came ahead of it (do_recvmmsg)
	}
	if tv, err := unix.GetsockoptTimeval(c.dup, unix.SOL_SOCKET, unix.SO_RCVTIMEO); err == nil {
		b.until.after = time.Duration(tv.Nano())
	}
	return c.receivePassedMany(b, many)
}

func (c *call) receivePassedMany(b *bundle, many bool) result {
	for b.i < b.n {
		if b.m == nil {
			m, e := c.loadMessage(b.at(), b.flags&^unix.MSG_WAITFORONE)
			if e != 0 {
				return c.endedPassed(b, e)
			}
			if b.m = &m; b.flags&unix.MSG_WAITFORONE != 0 {
				m.flags |= unix.MSG_DONTWAIT
			}
		}
		if (b.i > 0 || b.m.waits) && !c.receivesSame(b.m) { // any more
			return c.leftPassed(b, many, result{how: byKernel})
		}
		r := c.tryPassed(b.m)
		if r.how == park {
			if !b.m.waits && c.nowait(b.m.flags) {
				return c.leftPassed(b, many, c.fail(unix.EAGAIN))
			}
			if r = c.endPassed(b.m); r.how == park {
				return c.awaitPassed(b, many)
			}
		}
		switch {
		case !many:
			return r
		case r.err == 0:
			r.err = c.putLen(b.at()+offMsgLen, r.val)
		}
		if r.err != 0 {
			return c.endedPassed(b, r.err)
		}
		if b.next(c); b.left != 0 && !wall().Before(b.end) {
			break
		}
	}
	return c.endedPassed(b, 0)
}

// endPassed is tryPassed for a call that would wait: on a socket that is shut for reading none does, and what
// does not wait is told of that on a connected one alone (Linux, __skb_wait_for_more_packets, unix_dgram_recvmsg).
func (c *call) endPassed(m *message) result {
	if pollNow(c.dup, unix.POLLRDHUP)&unix.POLLRDHUP == 0 {
		return result{how: park}
	}
	r := c.tryPassed(m) // what came before that
	if r.how == park {
		r = c.storePassed(m, new(received))
	}
	return r
}

// endedPassed is ended for such a call.
func (c *call) endedPassed(b *bundle, e syscall.Errno) result {
	if b.i > 0 && b.left != 0 {
		if e := c.storeLeft(b); e != 0 && e != errGone {
			return c.fail(e)
		}
	}
	return c.some(b.i, e)
}

// awaitPassed leaves the call until something comes.
func (c *call) awaitPassed(b *bundle, many bool) result {
	if c.comes == nil {
		w := &incoming{l: c.l}
		if e := c.l.watch(c.dup, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET, w); e != 0 {
			return c.leftPassed(b, many, result{how: byKernel})
		}
		c.comes = w
	}
	r := c.park(&c.comes.waiting, func(c *call) result { return c.receivePassedMany(b, many) }, b.until, unix.EAGAIN)
	if r.how != park {
		return c.leftPassed(b, many, r)
	}
	b.m.waits = true
	c.waits.leave = func(c *call) result { return c.leftPassed(b, many, result{how: park}) }
	return r
}

// leftPassed is the result of a call that has to end before all is there: what it has, or else none.
func (c *call) leftPassed(b *bundle, many bool, none result) result {
	switch m := b.m; {
	case m != nil && m.done > 0 && !many:
		return c.storePassed(m, new(received))
	case m != nil && m.done > 0:
		r := c.storePassed(m, new(received))
		if r.err == 0 {
			r.err = c.putLen(b.at()+offMsgLen, r.val)
		}
		if r.err != 0 {
			return c.endedPassed(b, r.err)
		}
		b.i++
	case b.i == 0:
		return none
	}
	return c.endedPassed(b, 0)
}

// tryPassed receives a message if there is one. With MSG_WAITALL a stream's bytes are received until control
// messages come with them, which ends a receive on Linux, too.
func (c *call) tryPassed(m *message) result {
	stream := sysGetInt(c.dup, unix.SO_TYPE) == unix.SOCK_STREAM
	for {
		got, e := c.takePassed(m, stream)
		switch {
		case e == unix.EAGAIN:
			return result{how: park}
		case e != 0 && m.done > 0:
			return c.storePassed(m, new(received))
		case e != 0:
			return c.fail(e)
		}
		if e := c.writev(got.data, m.rest()); e != 0 {
			c.closePassed(got.control)
			return c.fail(e)
		}
		m.done += int(got.n)
		if !stream || m.flags&unix.MSG_WAITALL == 0 || got.n == 0 || len(got.control) > 0 || m.done >= m.total {
			return c.storePassed(m, &got)
		}
	}
}

// takePassed takes what there is off the socket, with descriptors of the supervisor's in the control messages.
func (c *call) takePassed(m *message, stream bool) (got received, e syscall.Errno) {
	queued := max(0, unread(c.dup))
	want := m.total - m.done
	if stream && m.flags&unix.MSG_PEEK == 0 {
		if e := c.writable(m.rest(), min(want, queued)); e != 0 {
			return got, e // and it stays where it is
		}
	}
	if !stream && want > len(c.l.msgBuf) {
		c.l.msgBuf = make([]byte, max(min(want, passedMost), pumpSize)) // the next is not what is queued now, if others receive
	}
	b := c.l.msgBuf
	if queued > len(b) {
		b = make([]byte, min(want, queued))
	}
	b = b[:min(want, len(b))]
	name := make([]byte, sizeofStorage, sizeofStorage+4)
	h := unix.Msghdr{Name: &name[0], Namelen: uint32(len(name))}
	var control []byte
	if m.h.control != 0 && m.h.controlLen > 0 {
		control = make([]byte, min(m.h.controlLen, passedControl))
		h.Control = &control[0]
		h.SetControllen(len(control))
	}
	n := 0
	gone := c.away(func() { n, e = recvMsg(c.dup, b, &h, m.flags|unix.MSG_CMSG_CLOEXEC) })
	if e != 0 {
		return got, e
	}
	got = received{n: int64(n), data: b[:min(n, len(b))], raw: name[:h.Namelen], control: control[:h.Controllen], flags: int(h.Flags) &^ unix.MSG_CMSG_CLOEXEC}
	if gone != 0 {
		c.closePassed(got.control)
	}
	return got, gone
}

// storePassed gives the program what came with m's bytes, which it has, and returns their number.
func (c *call) storePassed(m *message, got *received) result {
	flags := 0
	if m.flags&unix.MSG_CMSG_CLOEXEC != 0 {
		flags = unix.O_CLOEXEC
	}
	passed := got.control
	got.control = nil
	list, _ := abi.ParseCmsgs(passed)
	bad := c.writable([]span{{m.h.control, uint64(len(passed))}}, len(passed)) != 0
	for _, x := range list {
		data := x.Data
		rights := x.Level == unix.SOL_SOCKET && x.Type == unix.SCM_RIGHTS
		switch {
		case bad: // and nothing is told (Linux, put_cmsg) but that descriptors are lost
			data = nil
		case rights:
			data = c.handOver(x.Data, flags)
		case x.Level == unix.SOL_SOCKET && x.Type == unix.SCM_PIDFD:
			data = c.handOverProcess(passedFD(x.Data))
		}
		if rights && len(data) < len(x.Data) {
			got.flags |= unix.MSG_CTRUNC // it has no numbers left
		}
		if len(data) > 0 {
			got.control = abi.AppendCmsg(got.control, x.Level, x.Type, data)
		}
	}
	c.closePassed(passed)
	if e := c.storeRest(m, got); e != 0 {
		return c.fail(e)
	}
	return c.answer(int64(m.done))
}

// handOver gives the program the descriptors of a control message, and returns the numbers that it has them under: fewer,
// where there is no number for one.
func (c *call) handOver(data []byte, flags int) (numbers []byte) {
	for ; len(data) >= 4; data = data[4:] {
		fd := passedFD(data)
		var n int
		var e syscall.Errno
		if s := c.l.messagesOf(fd); s == nil {
			n, e = c.addFD(fd, flags, false)
		} else if n, e = c.giveMarked(fd, flags); e == 0 {
			s.seen(c.t, n)
		}
		if e != 0 {
			break
		}
		numbers = binary.NativeEndian.AppendUint32(numbers, uint32(n))
	}
	return numbers
}

// handOverProcess gives the program the descriptor of a process (SCM_PIDFD), or the error for which there is none.
func (c *call) handOverProcess(fd int) []byte {
	if fd >= 0 {
		n, e := c.addFD(fd, unix.O_CLOEXEC, false)
		if fd = n; e != 0 {
			fd = -int(e)
		}
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(fd))
}

func passedFD(data []byte) int { return int(int32(binary.NativeEndian.Uint32(data))) }

// messagesOf returns the SCTP socket whose program's end fd is; nil: it is none.
func (l *loop) messagesOf(fd int) *sock {
	id, ok := sysInode(fd)
	if s := l.socks[id]; ok && s != nil && s.sctp != nil {
		return s
	}
	return nil
}

// closePassed closes the supervisor's descriptors in control messages. What they are may take its time for that.
func (c *call) closePassed(control []byte) {
	list, _ := abi.ParseCmsgs(control)
	var fds []int
	for _, x := range list {
		if x.Level != unix.SOL_SOCKET || x.Type != unix.SCM_RIGHTS && x.Type != unix.SCM_PIDFD {
			continue
		}
		for data := x.Data; len(data) >= 4; data = data[4:] {
			if fd := passedFD(data); fd >= 0 {
				fds = append(fds, fd)
			}
		}
	}
	if len(fds) > 0 {
		c.away(func() {
			for _, fd := range fds {
				unix.Close(fd)
			}
		})
	}
}
