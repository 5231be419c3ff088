//go:build linux

package gateway

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// The gateway's system calls on outer sockets. None waits, so they skip the scheduler's
// bookkeeping: RawSyscall.

func sysClose(fd int) {
	if fd >= 0 {
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	}
}

func epollWait(fd int, evs []unix.EpollEvent) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(evs))), uintptr(len(evs)), 0, 0, 0)
	return int(n), e
}

// polled returns what poll shows of fd now. Its bits are epoll's.
func polled(fd int) uint32 {
	p := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLPRI}
	var now unix.Timespec
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return uint32(uint16(p.Revents))
}

func sysRecv(fd int, p []byte, flags int) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	if e != 0 {
		n = 0
	}
	return int(n), e
}

func sysSend(fd int, p []byte, flags int) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL), 0, 0)
	if e != 0 {
		n = 0
	}
	return int(n), e
}

// sysReadData reads into blocks.
func sysReadData(fd int, to *blocks) (int, syscall.Errno) {
	var iov [len(to)]unix.Iovec
	for i := range to {
		b := to.room(i)
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	n, _, e := unix.RawSyscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	if e != 0 {
		n = 0
	}
	return int(n), e
}

// sysSendData sends pieces, the first 64 at most.
func sysSendData(fd int, pieces []usock.Data) (int, syscall.Errno) {
	var iov [64]unix.Iovec
	k := min(len(pieces), len(iov))
	for i := range pieces[:k] {
		b := pieces[i].Bytes()
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	h := unix.Msghdr{Iov: &iov[0]}
	h.SetIovlen(k)
	n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if e != 0 {
		n = 0
	}
	return int(n), e
}

func sysShutdown(fd, how int) { unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0) }

func setInt(fd, level, name, v int) syscall.Errno {
	x := int32(v)
	_, _, e := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&x)), 4, 0)
	return e
}

func getInt(fd, level, name int) int {
	var x int32
	n := uint32(4)
	unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&x)), uintptr(unsafe.Pointer(&n)), 0)
	return int(x)
}

// sockaddr is a struct sockaddr_in or sockaddr_in6.
type sockaddr struct {
	raw [28]byte
	n   uint32
}

func sockaddrOf(ap netip.AddrPort) (s sockaddr) {
	be := func(i int, v uint16) { s.raw[i], s.raw[i+1] = byte(v>>8), byte(v) }
	if ap.Addr().Is4() {
		*(*uint16)(unsafe.Pointer(&s.raw)) = unix.AF_INET
		a := ap.Addr().As4()
		copy(s.raw[4:], a[:])
		s.n = unix.SizeofSockaddrInet4
	} else {
		*(*uint16)(unsafe.Pointer(&s.raw)) = unix.AF_INET6
		a := ap.Addr().As16()
		copy(s.raw[8:], a[:])
		s.n = unix.SizeofSockaddrInet6
	}
	be(2, ap.Port())
	return s
}

func (s *sockaddr) addrPort() netip.AddrPort {
	port := uint16(s.raw[2])<<8 | uint16(s.raw[3])
	switch *(*uint16)(unsafe.Pointer(&s.raw)) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.raw[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s.raw[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}

func sysConnect(fd int, to netip.AddrPort) syscall.Errno {
	a := sockaddrOf(to)
	_, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.n))
	return e
}

// localAddr returns the address and port that a socket has.
func localAddr(fd int) netip.AddrPort {
	var a sockaddr
	a.n = uint32(len(a.raw))
	unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.n)))
	return a.addrPort()
}

// sysDisconnect takes a datagram socket's peer off.
func sysDisconnect(fd int) syscall.Errno {
	var a sockaddr // AF_UNSPEC
	_, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), unix.SizeofSockaddrInet4)
	return e
}

func sysBind(fd int, to netip.AddrPort) syscall.Errno {
	a := sockaddrOf(to)
	_, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.n))
	return e
}

func sysListen(fd, backlog int) syscall.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_LISTEN, uintptr(fd), uintptr(backlog), 0)
	return e
}

// sysAccept accepts a connection, which is non-blocking, of a non-blocking listener.
func sysAccept(fd int) (int, netip.AddrPort, syscall.Errno) {
	var a sockaddr
	a.n = uint32(len(a.raw))
	n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.n)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, netip.AddrPort{}, e
	}
	return int(n), a.addrPort(), 0
}

// outerSocket makes a non-blocking socket for the family of a.
func outerSocket(a netip.Addr, typ, proto int) (int, syscall.Errno) {
	domain := unix.AF_INET
	if a.Is6() {
		domain = unix.AF_INET6
	}
	fd, _, e := unix.RawSyscall(unix.SYS_SOCKET, uintptr(domain), uintptr(typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), uintptr(proto))
	return int(fd), e
}

// message is what recvmsg and sendmsg take.
type message struct {
	h    unix.Msghdr
	name sockaddr
	iov  []unix.Iovec
}

func (m *message) prepare(bufs [][]byte, control []byte) {
	m.iov = m.iov[:0]
	for _, b := range bufs {
		if len(b) > 0 {
			v := unix.Iovec{Base: unsafe.SliceData(b)}
			v.SetLen(len(b))
			m.iov = append(m.iov, v)
		}
	}
	m.h = unix.Msghdr{Name: &m.name.raw[0], Namelen: m.name.n}
	if len(m.iov) > 0 {
		m.h.Iov = &m.iov[0]
		m.h.SetIovlen(len(m.iov))
	}
	if len(control) > 0 {
		m.h.Control = &control[0]
		m.h.SetControllen(len(control))
	}
}

// recv receives a message into p, and its control messages into control.
func (m *message) recv(fd int, p, control []byte, flags int) (n int, ctl []byte, e syscall.Errno) {
	m.name.n = uint32(len(m.name.raw))
	m.prepare([][]byte{p}, control)
	r, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.h)), uintptr(flags|unix.MSG_DONTWAIT))
	if e != 0 {
		return 0, nil, e
	}
	m.name.n = m.h.Namelen
	return int(r), control[:m.h.Controllen], 0
}

// send sends bufs to an address, with control messages.
func (m *message) send(fd int, to netip.AddrPort, bufs [][]byte, control []byte) syscall.Errno {
	m.name = sockaddrOf(to)
	m.prepare(bufs, control)
	_, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return e
}

// eachCmsg calls f with the control messages of b.
func eachCmsg(b []byte, f func(level, typ int32, data []byte)) {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(b) {
			return
		}
		f(h.Level, h.Type, b[unix.CmsgLen(0):n])
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
}

// appendCmsg appends a control message.
func appendCmsg(b []byte, level, typ int32, data []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(len(data)))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[at]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[at+unix.CmsgLen(0):], data)
	return b
}

// bell is an eventfd: a descriptor that is readable from ring to quiet.
type bell int

func newBell() (bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return bell(fd), err
}

func (b bell) ring() {
	one := uint64(1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(b), uintptr(unsafe.Pointer(&one)), 8)
}

func (b bell) quiet() {
	var n uint64
	unix.RawSyscall(unix.SYS_READ, uintptr(b), uintptr(unsafe.Pointer(&n)), 8)
}
