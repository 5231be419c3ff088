//go:build amd64 || arm64

package run

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// question is a call that asked for something that usock does not have, as this process
// asks the kernel the same, on a socket of its own.
type question struct {
	call                  string // its row's name
	domain, typ, protocol int    // of the socket
	level, name           int    // of the option
	value                 []byte // given, or as large as what is asked for
}

// question returns the call's.
func (c *call) question() *question {
	a := &c.n.data.args
	q := &question{call: c.row.name}
	if c.s == nil {
		q.domain, q.typ, q.protocol = int(int32(a[0])), int(int32(a[1])), int(int32(a[2]))
		return q
	}
	q.domain, _ = c.s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_DOMAIN)
	q.typ, _ = c.s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_TYPE)
	q.protocol, _ = c.s.u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_PROTOCOL)
	q.level, q.name, q.value = int(int32(a[1])), int(int32(a[2])), c.value
	return q
}

// refused reports whether the kernel refuses it, too: it does not have it either, or
// not for this user. What it says of a socket in another state it cannot be asked.
func (q *question) refused() bool {
	e := q.ask()
	return lacking(e) || e == unix.EPERM || e == unix.EACCES
}

// lacking reports whether e is the error of what is not there.
func lacking(e syscall.Errno) bool {
	switch e {
	case unix.EOPNOTSUPP, unix.ENOPROTOOPT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT, unix.EAFNOSUPPORT:
		return true
	}
	return false
}

// ask returns the kernel's answer. It may load a module for it.
func (q *question) ask() syscall.Errno {
	if q.call == "socketpair" {
		fds, err := unix.Socketpair(q.domain, q.typ|unix.SOCK_CLOEXEC, q.protocol)
		if err == nil {
			sysClose(fds[0])
			sysClose(fds[1])
		}
		return errno(err)
	}
	fd, err := unix.Socket(q.domain, q.typ|unix.SOCK_CLOEXEC, q.protocol)
	if err != nil {
		if q.call == "socket" {
			return errno(err)
		}
		return 0 // there is nothing to ask about the option
	}
	defer sysClose(fd)
	p, n := unsafe.Pointer(unsafe.SliceData(q.value)), uint32(len(q.value))
	var e syscall.Errno
	switch q.call {
	case "setsockopt":
		_, _, e = unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(q.level), uintptr(q.name), uintptr(p), uintptr(n), 0)
	case "getsockopt":
		_, _, e = unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(q.level), uintptr(q.name), uintptr(p), uintptr(unsafe.Pointer(&n)), 0)
	}
	return e
}
