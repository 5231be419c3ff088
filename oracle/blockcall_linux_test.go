package oracle

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// waiter is a system whose calls can wait, each on a thread of its own.
type waiter interface {
	system
	// pair makes two connected sockets.
	pair(domain, typ int) (int, int, error)
	// start begins a call.
	start(*call) *pending
	// register makes a socket that a call has accepted known.
	register(*outcome) int
}

// call is a call that may wait. Everything that it names is looked up when it begins.
type call struct {
	verb  string
	fd    int           // the kernel's
	sock  *usock.Socket // usock's
	as    string        // accept: the new socket's name
	data  []byte
	name  []byte
	sizes []int // of the buffers of a receive
	flags int
	mask  usock.Events
}

// outcome is what a call has returned.
type outcome struct {
	n    int
	err  error
	m    message
	fd   int
	sock *usock.Socket
	ev   usock.Events
}

// pending is a call that has begun.
type pending struct {
	call   *call
	out    atomic.Pointer[outcome]
	thread atomic.Int32 // the kernel's
}

// prepare returns the call of a line. Besides the script's own they are
//
//	x = accept a          a close                a connect ADDR
//	a send TEXT [FLAG…]   a sendn COUNT [FLAG…]  a sendto ADDR TEXT [FLAG…]
//	a recv SIZES [FLAG…]  a recvfrom SIZE [FLAG…]  a read SIZE [FLAG…]
//	a poll EVENT…
//
// where SIZES are the lengths of one or more buffers, with commas between them.
func (c *script) prepare(line string) *call {
	f := strings.Fields(line)
	k := &call{verb: f[1]}
	who, args := f[0], f[2:]
	if f[1] == "=" {
		k.verb, k.as, who, args = f[2], f[0], f[3], nil
	}
	s, ok := c.fds[who]
	if !ok {
		return nil
	}
	k.fd = s
	if u, ok := c.sys.(*user); ok {
		k.sock = u.fds[s]
	}
	switch k.verb {
	case "accept":
	case "close":
		delete(c.fds, who)
		c.ports.gone(who)
		switch sys := c.sys.(type) {
		case *kernel:
			delete(sys.open, s)
		case *user:
			delete(sys.fds, s)
		}
	case "connect":
		k.name, args = c.addr(args[0]), nil
	case "sendto":
		k.name, k.data, args = c.addr(args[0]), content("send", args[1]), args[2:]
	case "send", "sendn", "echo":
		k.data, args = content(k.verb, args[0]), args[1:]
	case "recv", "recvfrom", "read":
		for _, size := range strings.Split(args[0], ",") {
			k.sizes = append(k.sizes, number(size))
		}
		args = args[1:]
	case "poll":
		for _, a := range args {
			for _, e := range eventNames {
				if strings.EqualFold(a, e.name) {
					k.mask |= e.ev
				}
			}
		}
		args = nil
	default:
		panic("no such call: " + line)
	}
	for _, a := range args {
		k.flags |= msgFlag(a)
	}
	return k
}

// told writes what a call has returned.
func (c *script) told(k *call, o *outcome) string {
	if o.err != nil {
		return errname(o.err)
	}
	switch k.verb {
	case "accept":
		c.fds[k.as] = c.sys.(waiter).register(o)
		return "from " + c.ports.text(o.m.name)
	case "recv", "recvfrom", "read":
		return c.received(o.m, o.n)
	case "poll":
		return eventString(o.ev)
	case "sendn":
		switch {
		case o.n == len(k.data):
			return "whole"
		case o.n > 0:
			return "part" // how much is a matter of the systems' buffers
		}
	}
	return strconv.Itoa(o.n)
}

func (u *user) pair(domain, typ int) (int, int, error) {
	a, b, err := u.host.SocketPair(domain, typ|abi.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, -1, err
	}
	return u.put(a), u.put(b), nil
}

func (u *user) register(o *outcome) int {
	o.sock.SetNonblock(true)
	return u.put(o.sock)
}

func (u *user) start(k *call) *pending {
	p := &pending{call: k}
	go func() {
		o := k.onUsock()
		p.out.Store(&o)
	}()
	return p
}

// onUsock carries the call out on usock.
func (k *call) onUsock() (o outcome) {
	s := k.sock
	var from usock.Addr
	switch k.verb {
	case "accept":
		o.sock, from, o.err = s.Accept()
	case "close":
		o.err = s.Close()
	case "connect", "sendto":
		var to usock.Addr
		if to, o.err = usock.ParseSockaddr(k.name); o.err != nil {
			return o
		}
		if k.verb == "connect" {
			o.err = s.Connect(to)
		} else {
			o.n, o.err = s.SendTo(k.data, k.flags, to)
		}
	case "send", "sendn", "echo":
		o.n, o.err = s.Send(k.data, k.flags)
	case "poll":
		o.ev, o.err = s.Poll(context.Background(), k.mask)
	case "recv":
		m := usock.Msg{Control: make([]byte, 512)}
		for _, size := range k.sizes {
			m.Bufs = append(m.Bufs, make([]byte, size))
		}
		o.n, o.err = s.RecvMsg(context.Background(), &m, k.flags)
		o.m = message{data: joined(m.Bufs, o.n), control: m.Control, flags: m.Flags}
		from = m.Name
	case "recvfrom":
		o.m.data = make([]byte, k.sizes[0])
		o.n, from, o.err = s.RecvFrom(o.m.data, k.flags)
		o.m.data = o.m.data[:min(o.n, len(o.m.data))]
	case "read":
		o.m.data = make([]byte, k.sizes[0])
		o.n, o.err = s.Recv(o.m.data, k.flags)
		o.m.data = o.m.data[:min(o.n, len(o.m.data))]
	}
	if from.Family != abi.AF_UNSPEC {
		o.m.name = from.AppendSockaddr(nil)
	}
	return o
}

// joined returns the first n bytes of bufs, or all.
func joined(bufs [][]byte, n int) []byte {
	b := bytes.Join(bufs, nil)
	return b[:max(0, min(n, len(b)))]
}

func (k *kernel) pair(domain, typ int) (int, int, error) {
	s, err := unix.Socketpair(domain, typ|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, -1, err
	}
	return k.put(s[0]), k.put(s[1]), nil
}

func (k *kernel) register(o *outcome) int { return k.put(o.fd) }

// numbers are the system calls of the verbs.
var numbers = map[string]int{
	"accept": unix.SYS_ACCEPT4, "close": unix.SYS_CLOSE, "connect": unix.SYS_CONNECT, "poll": unix.SYS_PPOLL,
	"send": unix.SYS_SENDTO, "sendn": unix.SYS_SENDTO, "sendto": unix.SYS_SENDTO, "echo": unix.SYS_SENDTO,
	"recv": unix.SYS_RECVMSG, "recvfrom": unix.SYS_RECVFROM, "read": unix.SYS_RECVFROM,
}

// start begins a call on a thread that takes no signals: one would end a call that
// has a timeout with EINTR.
func (k *kernel) start(c *call) *pending {
	p := &pending{call: c}
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var all unix.Sigset_t
		for i := range all.Val {
			all.Val[i]--
		}
		k.must(unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil), "sigmask")
		p.thread.Store(int32(unix.Gettid()))
		o := c.onKernel()
		p.out.Store(&o)
	}()
	return p
}

// blocked reports whether the thread sleeps in the call, as the kernel sees it.
func (p *pending) blocked() bool {
	id := p.thread.Load()
	if id == 0 {
		return false
	}
	dir := fmt.Sprintf("/proc/self/task/%d/", id)
	call, err := os.ReadFile(dir + "syscall")
	if err != nil {
		return false
	}
	number, _, _ := strings.Cut(string(call), " ")
	if number != strconv.Itoa(numbers[p.call.verb]) {
		return false
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "S")
}

// longest bounds the kernel's poll, which no close wakes.
const longest = 20 * time.Second

// onKernel carries the call out on the kernel.
func (k *call) onKernel() (o outcome) {
	fd := uintptr(k.fd)
	var n uintptr
	var e unix.Errno
	name, size := make([]byte, 128), uint32(128)
	switch k.verb {
	case "accept":
		n, _, e = unix.Syscall6(unix.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK, 0, 0)
		o.fd, o.m.name = int(n), name[:size]
	case "close":
		o.err = unix.Close(k.fd)
		return o
	case "connect":
		_, _, e = unix.Syscall(unix.SYS_CONNECT, fd, uintptr(first(k.name)), uintptr(len(k.name)))
	case "send", "sendn", "echo", "sendto":
		n, _, e = unix.Syscall6(unix.SYS_SENDTO, fd, uintptr(first(k.data)), uintptr(len(k.data)),
			uintptr(k.flags|unix.MSG_NOSIGNAL), uintptr(first(k.name)), uintptr(len(k.name)))
	case "poll":
		p := []unix.PollFd{{Fd: int32(k.fd), Events: int16(k.mask)}}
		limit := unix.NsecToTimespec(longest.Nanoseconds())
		_, o.err = unix.Ppoll(p, &limit, nil)
		o.ev = usock.Events(uint16(p[0].Revents))
		return o
	case "recv":
		return k.recvmsg()
	case "recvfrom":
		b := make([]byte, k.sizes[0]+1)
		n, _, e = unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(k.sizes[0]),
			uintptr(k.flags), uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&size)))
		o.m = message{data: b, name: name[:min(size, 128)]}
	case "read":
		b := make([]byte, k.sizes[0]+1)
		n, _, e = unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(k.sizes[0]), uintptr(k.flags), 0, 0)
		o.m.data = b
	}
	if e != 0 {
		return outcome{err: e}
	}
	o.n = int(n)
	if len(k.sizes) > 0 {
		o.m.data = o.m.data[:min(o.n, k.sizes[0])]
	}
	return o
}

func (k *call) recvmsg() (o outcome) {
	var h unix.Msghdr
	name, control := make([]byte, 128), make([]byte, 512)
	bufs, iovs := make([][]byte, len(k.sizes)), make([]unix.Iovec, len(k.sizes))
	for i, size := range k.sizes {
		b := make([]byte, size+1)
		bufs[i], iovs[i].Base = b[:size], &b[0]
		iovs[i].SetLen(size)
	}
	h.Iov, h.Name, h.Namelen, h.Control = &iovs[0], &name[0], uint32(len(name)), &control[0]
	h.SetIovlen(len(iovs))
	h.SetControllen(len(control))
	n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(k.fd), uintptr(unsafe.Pointer(&h)), uintptr(k.flags))
	if e != 0 {
		return outcome{err: e}
	}
	return outcome{n: int(n), m: message{
		data:    joined(bufs, int(n)),
		name:    name[:h.Namelen],
		control: control[:h.Controllen],
		flags:   int(h.Flags) &^ unix.MSG_CMSG_CLOEXEC,
	}}
}
