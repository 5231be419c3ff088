//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// call is a trapped call that waits for its answer.
type call struct {
	l   *loop
	n   notification
	t   *task
	s   *sock // the socket that its first argument names
	dup int   // a duplicate of the program's end; -1: none
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

func (c *call) fail(e syscall.Errno) result { return result{err: e} }

// failErr is fail with an error of the stack. It tells the user of what usock does
// not have.
func (c *call) failErr(err error) result {
	e := errno(err)
	switch e {
	case unix.EOPNOTSUPP, unix.ENOPROTOOPT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT, unix.EAFNOSUPPORT:
		c.l.log.refused(c, e)
	}
	return c.fail(e)
}

// handlers are the calls by number. All but socket have a socket of the host as
// their first argument.
var handlers = map[int32]func(*call) result{
	unix.SYS_CONNECT:     callConnect,
	unix.SYS_ACCEPT:      callAccept,
	unix.SYS_ACCEPT4:     callAccept4,
	unix.SYS_BIND:        callBind,
	unix.SYS_LISTEN:      callListen,
	unix.SYS_GETSOCKNAME: callGetsockname,
	unix.SYS_GETPEERNAME: callGetpeername,
	unix.SYS_SETSOCKOPT:  callSetsockopt,
	unix.SYS_GETSOCKOPT:  callGetsockopt,
	unix.SYS_SHUTDOWN:    callShutdown,
	unix.SYS_SENDTO:      callSendto,
	unix.SYS_RECVFROM:    callRecvfrom,
	unix.SYS_SENDMSG:     callSendmsg,
	unix.SYS_RECVMSG:     callRecvmsg,
	unix.SYS_SENDMMSG:    callSendmmsg,
	unix.SYS_RECVMMSG:    callRecvmmsg,
	unix.SYS_IOCTL:       callIoctl,
}

// handle carries out the call that the notification announces.
func (l *loop) handle(n *notification) {
	c := call{l: l, n: *n, dup: -1}
	t, e := l.task(int(n.pid))
	if e != 0 {
		if e != unix.ESRCH {
			l.notify.send(&response{id: n.id, error: -int32(e)})
		}
		return
	}
	c.t = t
	if t.parked != nil {
		t.parked.leave()
	}
	if t.replay.again(n) {
		t.replay.ok = false
		t.replay.resp.id = n.id
		l.notify.send(&t.replay.resp)
		return
	}
	t.replay.ok = false
	c.finish(c.carryOut())
}

func (c *call) carryOut() result {
	if c.n.data.arch != native.arch {
		c.l.log.printf(c.t, "system call %d of a 32-bit program: not supported", c.n.data.nr)
		return c.fail(unix.ENOSYS)
	}
	if c.n.data.nr == unix.SYS_SOCKET {
		return callSocket(c)
	}
	h := handlers[c.n.data.nr]
	if h == nil {
		return c.fail(unix.ENOSYS)
	}
	ours, e := c.find()
	if e != 0 {
		return c.fail(e)
	}
	if !ours {
		return result{how: byKernel}
	}
	return h(c)
}

// finish sends the answer, unless the call waits on.
func (c *call) finish(r result) {
	if r.how == park {
		return
	}
	sysClose(c.dup)
	c.dup = -1
	if r.how == done {
		return
	}
	resp := response{id: c.n.id, val: r.val, error: -int32(r.err)}
	if r.how == byKernel {
		resp.flags = flagContinue
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

// callSocket is socket(domain, type, protocol).
func callSocket(c *call) result {
	args := &c.n.data.args
	domain, typ, protocol := int(int32(args[0])), int(int32(args[1])), int(int32(args[2]))
	if typ&^(usock.SOCK_TYPE_MASK|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC) != 0 {
		return c.fail(unix.EINVAL)
	}
	u, err := c.l.host.Socket(domain, typ&usock.SOCK_TYPE_MASK|usock.SOCK_NONBLOCK, protocol)
	if err != nil {
		return c.failErr(err)
	}
	var (
		fd, far = -1, -1
		e       syscall.Errno
		stream  = typ&usock.SOCK_TYPE_MASK == usock.SOCK_STREAM
		nonb    = typ & unix.SOCK_NONBLOCK
	)
	if stream {
		fd, e = sysSocket(unix.SOCK_STREAM | nonb)
	} else {
		fd, far, e = datagramPair(nonb)
	}
	if e != 0 {
		u.Close()
		return c.fail(e)
	}
	s := c.l.adopt(fd, u, stream)
	got, e := c.answerFD(fd, typ&unix.SOCK_CLOEXEC)
	sysClose(fd)
	if e != 0 {
		sysClose(far)
		s.release()
		return c.fail(e)
	}
	s.tid, s.fd = c.t.tid, got
	s.own(c)
	if far >= 0 {
		s.setFar(far)
	}
	s.watchStack()
	s.hush(true)
	return result{how: done}
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
	a, err := abi.ParseAddr(b[:n])
	return a, errno(err)
}

// storeAddr stores a struct sockaddr at addr, cut to the int at size, which it
// replaces by the whole length.
func (c *call) storeAddr(a usock.Addr, addr, size uint64) syscall.Errno {
	var room [4]byte
	if e := c.read(size, room[:]); e != 0 {
		return e
	}
	n := int(int32(binary.NativeEndian.Uint32(room[:])))
	if n < 0 {
		return unix.EINVAL
	}
	var few [abi.SizeofInet6 + 4]byte
	b := few[:0]
	if a.Family != usock.AF_UNSPEC {
		b = abi.AppendAddr(b, a)
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
