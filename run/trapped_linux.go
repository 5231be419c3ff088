//go:build amd64 || arm64

package run

import "golang.org/x/sys/unix"

// trapped are the calls that go to the supervisor whatever their arguments.
var trapped = []uint32{
	unix.SYS_CONNECT, unix.SYS_ACCEPT4, unix.SYS_ACCEPT, unix.SYS_BIND, unix.SYS_LISTEN,
	unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT,
	unix.SYS_SHUTDOWN, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDMMSG, unix.SYS_RECVMMSG,
}
