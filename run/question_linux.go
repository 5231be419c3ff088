//go:build amd64 || arm64

package run

import (
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// question is a call that asked for something that usock does not have, as this process
// asks the kernel for it, on a socket of its own. An option's value is not the program's: it
// may hold an address, or change more than the socket, and this process may do more.
type question struct {
	call                  string // its row's name
	domain, typ, protocol int    // of the socket
	level, name           int    // of the option
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
	q.level, q.name = int(int32(a[1])), int(int32(a[2]))
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
	switch q.call {
	case "setsockopt":
		return errno(unix.SetsockoptInt(fd, q.level, q.name, 0))
	case "getsockopt":
		_, err = unix.GetsockoptInt(fd, q.level, q.name)
	}
	return errno(err)
}
