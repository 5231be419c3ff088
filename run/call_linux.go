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

// call is a trapped call that waits for its answer.
type call struct {
	l    *loop
	n    notification
	row  *row
	t    *task
	s    *sock        // the socket that its first argument names
	nl   *netlinkSock // or the netlink socket
	dup  int          // a duplicate of the program's end; -1: none
	sets []registered // that a new file is to be given to
	undo []func()     // what was done and must not stay if the call fails

	third     bool      // its socket is its third argument, where it may be the first
	scanned   bool      // it has waited for a scan
	starved   bool      // nothing was done, for want of a descriptor
	wantUntil time.Time // it waits for one so long; zero: it has not
	waits     *parked   // nil: it has not waited yet
	comes     *incoming // what it waits for on a socket of the kernel's
	lost      *process  // whose call was away when the turn was taken
}

// how a call ends.
type how uint8

const (
	answered how = iota // with val or err
	byKernel            // the kernel carries it out
	park                // it waits: see park_linux.go
	done                // it was answered already
)

type result struct {
	val int64
	err syscall.Errno
	how how
}

func (c *call) answer(v int64) result { return result{val: v} }

func (c *call) ok() result { return result{} }

func (c *call) fail(e syscall.Errno) result { return result{err: e} }

// failErr is fail with an error of the stack, or ok. It tells the user of what usock
// does not have.
func (c *call) failErr(err error) result {
	e := errno(err)
	if lacking(e) {
		c.l.log.refused(c, e)
	}
	return c.fail(e)
}

// lack is the error with which the program's call fails where a step of the
// supervisor's own has failed with e. That it has no descriptors concerns a program only
// that asks for one; ENOBUFS is what any call on a socket may give for want of something
// (POSIX, of each of them), and the user is told once what helps.
func (l *loop) lack(r *row, e syscall.Errno) syscall.Errno {
	switch {
	case noRoom(e) && r != nil && r.is&gives != 0:
		return e // it may be the program's own limit
	case noRoom(e):
		l.space.tell()
		return unix.ENOBUFS
	}
	switch e {
	case unix.EINTR, unix.EAGAIN, unix.ESRCH, unix.ECONNABORTED:
		return unix.ENOBUFS
	}
	return e
}

// noRoom reports whether e is the want of a descriptor.
func noRoom(e syscall.Errno) bool { return e == unix.EMFILE || e == unix.ENFILE }

// lacks is fail with lack.
func (c *call) lacks(e syscall.Errno) result { return c.fail(c.l.lack(c.row, e)) }

// lacksOwn is lacks for a call that gives the program a descriptor, where it is the
// supervisor that has none for it.
func (c *call) lacksOwn(e syscall.Errno) result {
	if noRoom(e) {
		c.l.space.tell()
	}
	return c.lacks(e)
}

// onFail says how to undo a step that was made, should a later one fail.
func (c *call) onFail(f func()) { c.undo = append(c.undo, f) }

// undone undoes the steps that were made, the last one first, and fails as lacks does.
func (c *call) undone(e syscall.Errno) result {
	for i := len(c.undo) - 1; i >= 0; i-- {
		c.undo[i]()
	}
	c.undo = nil
	return c.lacks(e)
}

// handle carries out the call that the notification announces. One for which there is no
// descriptor to begin with is kept until there is one, for a while.
func (l *loop) handle(n *notification) { l.handleUntil(*n, time.Time{}) }

// handleUntil has a notification of its own: the loop's is the next one's once a step of
// the call has been away.
func (l *loop) handleUntil(n notification, until time.Time) {
	t, e := l.task(int(n.pid))
	if e != 0 {
		if e != unix.ESRCH && !(noRoom(e) && l.wantRoom(n, until)) {
			l.notify.send(&response{id: n.id, error: -int32(l.lack(l.calls[n.data.nr], e))})
		}
		return
	}
	if l.postpone(t, &n) {
		return
	}
	if t.parked != nil {
		t.parked.gone()
	}
	if t.replay.again(&n) {
		t.replay.ok = false
		t.replay.resp.id = n.id
		l.notify.send(&t.replay.resp)
		return
	}
	t.replay.ok = false
	c := call{l: l, n: n, t: t, dup: -1}
	t.receives = -1
	t.calls++
	was := l.caller.calls(&c)
	r := c.carryOut()
	l.caller.calls(was)
	if c.starved && l.wantRoom(n, until) {
		sysClose(c.dup)
	} else {
		c.finish(r)
	}
	t.calls--
}

func (c *call) carryOut() result {
	if c.n.data.arch != native.arch {
		c.l.log.warnFirst("32-bit", c.t, "this is a 32-bit program, for which usock has no Internet sockets: its calls give ENOSYS; run its 64-bit build")
		return c.fail(unix.ENOSYS)
	}
	c.row = c.l.calls[c.n.data.nr]
	if c.row == nil || c.row.handle == nil {
		return c.fail(unix.ENOSYS)
	}
	if c.row.is&free == 0 {
		ours, e := c.find()
		if e != 0 {
			c.starved = noRoom(e)
			return c.lacks(e)
		}
		switch {
		case ours:
		case c.row.is&paths != 0:
			return connectKernel(c)
		case c.dup >= 0:
			return c.receivePassed()
		default:
			return result{how: byKernel}
		}
	}
	if c.nl != nil {
		if c.row.netlink == nil {
			return result{how: byKernel}
		}
		c.nl.catchUp()
		return c.row.netlink(c)
	}
	return c.row.handle(c)
}

// finish sends the answer, unless the call waits on.
func (c *call) finish(r result) {
	if r.how == park {
		return
	}
	if c.comes != nil {
		c.l.unwatch(c.dup)
	}
	sysClose(c.dup)
	c.dup = -1
	if r.how == done {
		return
	}
	resp := response{id: c.n.id, val: r.val, error: -int32(r.err)}
	if r.how == byKernel {
		resp.flags = flagContinue
		if c.row.is&brings != 0 && c.s == nil && c.nl == nil {
			c.t.receives = c.descriptor()
		}
	}
	if r.err != 0 {
		resp.val = 0
	}
	if c.l.notify.send(&resp) == unix.ENOENT && r.how == answered && !c.l.killable && !isGone(r.err) {
		c.t.replay = replay{true, c.n, resp}
	}
}

// isGone reports whether a call failed because nobody waits for its answer any more:
// a descriptor could not be added, or memory not be written.
func isGone(e syscall.Errno) bool { return e == unix.ENOENT || e == errGone }

// replaceFD puts a copy of fd in place of the program's descriptor target.
func (c *call) replaceFD(fd, target, flags int) (e syscall.Errno) {
	id := c.n.id
	if gone := c.away(func() { e = c.l.notify.replaceFD(id, fd, target, flags) }); gone != 0 && e == 0 {
		return 0 // it is there, whether the call still waits or not
	}
	return e
}

// addFD gives the program a copy of fd. If answer is true it answers the call too, and closes fd at once: while the
// supervisor holds a copy the program's close is none, and the thread may wait long for its next turn.
func (c *call) addFD(fd, flags int, answer bool) (n int, e syscall.Errno) {
	id := c.n.id
	c.away(func() {
		if n, e = c.l.notify.addFD(id, fd, flags, answer); e == 0 && answer {
			sysClose(fd)
		}
	})
	return n, e
}

// callSocket is socket(domain, type, protocol).
func callSocket(c *call) result {
	args := &c.n.data.args
	domain, typ, protocol := int(int32(args[0])), int(int32(args[1])), int(int32(args[2]))
	if c.elsewhere() {
		return result{how: byKernel}
	}
	if domain == unix.AF_NETLINK {
		return c.netlinkSocket(typ, protocol)
	}
	if domain != usock.AF_INET && domain != usock.AF_INET6 {
		return c.refuseFamily()
	}
	if e := badSocket(domain, typ); e != 0 {
		return c.fail(e)
	}
	if !c.l.space.take(1) {
		if !c.scanned {
			return c.afterScan(callSocket) // some may be closed
		}
		c.l.space.tell()
		return c.fail(unix.EMFILE)
	}
	u, err := c.l.host.SocketFor(c.t.process(), domain, typ&usock.SOCK_TYPE_MASK|usock.SOCK_NONBLOCK, protocol)
	if err != nil {
		c.l.space.give(1)
		return c.failErr(err)
	}
	if protocol == usock.IPPROTO_SCTP || typ&usock.SOCK_TYPE_MASK == usock.SOCK_SEQPACKET {
		return c.messageSocket(u, typ)
	}
	stream := typ&usock.SOCK_TYPE_MASK == usock.SOCK_STREAM
	fd, far, e := programEnd(stream, typ&unix.SOCK_NONBLOCK)
	if e != 0 {
		c.l.space.give(1)
		u.Close()
		return c.lacksOwn(e)
	}
	s := c.l.adopt(fd, u, stream)
	c.onFail(s.release)
	if far >= 0 {
		if e := s.setFar(far); e != 0 {
			sysClose(far)
			sysClose(fd)
			return c.undone(e)
		}
	}
	got, e := c.answerFD(fd, typ&unix.SOCK_CLOEXEC)
	if e != 0 {
		sysClose(fd)
		return c.undone(e)
	}
	if s.state == released {
		return result{how: done}
	}
	s.seen(c.t, got)
	s.own(c)
	s.watchStack()
	s.hush(true)
	return result{how: done}
}

// programEnd returns the program's end of a new socket and, of a datagram socket, its
// far end. It is never left half-made.
func programEnd(stream bool, nonb int) (fd, far int, e syscall.Errno) {
	if stream {
		fd, e = sysSocket(unix.SOCK_STREAM | nonb)
		return fd, -1, e
	}
	return datagramPair(nonb)
}

// loadAddr reads a struct sockaddr.
func (c *call) loadAddr(addr, size uint64) (usock.Addr, syscall.Errno) {
	n := int(int32(size))
	if n < 0 || n > abi.SizeofStorage {
		return usock.Addr{}, unix.EINVAL
	}
	var b [abi.SizeofStorage]byte
	if e := c.read(addr, b[:n]); e != 0 {
		return usock.Addr{}, e
	}
	a, err := usock.ParseSockaddr(b[:n])
	return a, errno(err)
}

// storeAddr is storeName with an address of the Internet.
func (c *call) storeAddr(a usock.Addr, addr, size uint64) syscall.Errno {
	var few [abi.SizeofInet6 + 4]byte
	b := few[:0]
	if a.Family != usock.AF_UNSPEC {
		b = a.AppendSockaddr(b)
	}
	return c.storeName(b, addr, size)
}

// storeName stores a struct sockaddr, b, which has room for four bytes more, at addr, cut to
// the int at size, which it replaces by the whole length.
func (c *call) storeName(b []byte, addr, size uint64) syscall.Errno {
	var room [4]byte
	if e := c.read(size, room[:]); e != 0 {
		return e
	}
	n := int(int32(binary.NativeEndian.Uint32(room[:])))
	if n < 0 {
		return unix.EINVAL
	}
	whole := len(b)
	b = b[:min(n, whole)]
	spans := [2]span{{addr, uint64(len(b))}, {size, 4}}
	return c.writev(binary.NativeEndian.AppendUint32(b, uint32(whole)), spans[:])
}

// callGetsockname is getsockname(fd, addr, addrlen).
func callGetsockname(c *call) result {
	a, err := c.s.u.GetSockName()
	if err != nil {
		return c.failErr(err)
	}
	return c.fail(c.storeAddr(a, c.n.data.args[1], c.n.data.args[2]))
}

// callGetpeername is getpeername(fd, addr, addrlen).
func callGetpeername(c *call) result {
	a, err := c.s.u.GetPeerName()
	if err != nil {
		return c.failErr(err)
	}
	return c.fail(c.storeAddr(a, c.n.data.args[1], c.n.data.args[2]))
}

// afterScan has the call tried again once it is known what was closed before now, whether epoll tells of
// it or not. No signal but a fatal one ends that: it is over soon, and the calls that need it are not interrupted on Linux.
func (c *call) afterScan(try func(*call) result) result {
	c.scanned = true
	n := &c.l.scanner
	need := n.wait()
	r := c.park(&n.waiting, func(c *call) result {
		if !n.enough(need) || len(n.closed) > 0 {
			return result{how: park}
		}
		c.waits.firm = false
		return try(c)
	}, noTimeout, 0)
	c.waits.firm = true
	return r
}

// own tells captures and listings which process the socket belongs to.
func (s *sock) own(c *call) {
	pid := c.t.process()
	s.u.SetOwner(pid)
	if c.l.named == nil {
		return
	}
	if name := command(int(pid)); name != unknownCommand {
		c.l.named(pid, name)
	}
}
