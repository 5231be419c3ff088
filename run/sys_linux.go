//go:build amd64 || arm64

package run

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// The loop's own system calls. Those here never wait, so they skip the scheduler's
// bookkeeping: RawSyscall. What may wait is in memory_linux.go and notify_linux.go.

// op names a system call that the loop makes, so that a test can have it fail.
type op uint8

const (
	opRead op = iota
	opRecv
	opSend
	opSocket
	opSocketpair
	opBind
	opListen
	opConnect
	opAccept
	opGetFD
	opPidfdOpen
	opEpollCtl
	opMemory
	opAddFD
	opAnswer
	opDup
	ops
)

// fault, set by tests alone, returns the error with which a call is to fail instead
// of being made, or 0.
var fault func(op) syscall.Errno

func failing(o op) syscall.Errno {
	if fault == nil {
		return 0
	}
	return fault(o)
}

// moved is what a call that counts bytes returns: none, if it failed.
func moved(n uintptr, e syscall.Errno) (int, syscall.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

func sysRecv(fd int, p []byte, flags int) (int, syscall.Errno) {
	if e := failing(opRecv); e != 0 {
		return 0, e
	}
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	return moved(n, e)
}

// recvMsg receives a message into p, with the rest of it where h says. It may wait for
// another receive of the same socket.
func recvMsg(fd int, p []byte, h *unix.Msghdr, flags int) (int, syscall.Errno) {
	if e := failing(opRecv); e != 0 {
		return 0, e
	}
	iov := unix.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	h.Iov, h.Iovlen = &iov, 1
	n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), uintptr(flags|unix.MSG_DONTWAIT))
	return moved(n, e)
}

func sysSend(fd int, p []byte) (int, syscall.Errno) { return sysSendFlags(fd, p, 0) }

func sysSendFlags(fd int, p []byte, flags int) (int, syscall.Errno) {
	if e := failing(opSend); e != 0 {
		return 0, e
	}
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL), 0, 0)
	return moved(n, e)
}

// sysReadAll reads into the pieces of room.
func sysReadAll(fd int, to *blocks) (int, syscall.Errno) {
	if e := failing(opRead); e != 0 {
		return 0, e
	}
	var iov [len(to)]unix.Iovec
	for i := range to {
		b := to.room(i)
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	n, _, e := unix.RawSyscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	return moved(n, e)
}

// sysRecvMany receives messages, as many as there are, and returns how many.
func sysRecvMany(fd int, heads []mmsghdr) (int, syscall.Errno) {
	if e := failing(opRecv); e != 0 {
		return 0, e
	}
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(heads))), uintptr(len(heads)), unix.MSG_DONTWAIT, 0, 0)
	return moved(n, e)
}

// sysSendAll sends pieces of a stream.
func sysSendAll(fd int, pieces []usock.Data) (int, syscall.Errno) {
	if len(pieces) == 1 {
		return sysSend(fd, pieces[0].Bytes())
	}
	if e := failing(opSend); e != 0 {
		return 0, e
	}
	var iov [64]unix.Iovec
	n := min(len(pieces), len(iov))
	for i := range pieces[:n] {
		b := pieces[i].Bytes()
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	h := unix.Msghdr{Iov: &iov[0]}
	h.SetIovlen(n)
	k, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return moved(k, e)
}

func sysClose(fd int) {
	if fd >= 0 {
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	}
}

func sysShutdown(fd, how int) syscall.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0)
	return e
}

func sysIoctl(fd int, req uintptr, arg unsafe.Pointer) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg))
	return int(n), e
}

func sysDup(fd int) (int, syscall.Errno) {
	if e := failing(opDup); e != 0 {
		return -1, e
	}
	n, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	return int(n), 0
}

func sysSocket(typ int) (int, syscall.Errno) {
	if e := failing(opSocket); e != 0 {
		return -1, e
	}
	fd, _, e := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_UNIX, uintptr(typ|unix.SOCK_CLOEXEC), 0)
	if e != 0 {
		return -1, e
	}
	return int(fd), 0
}

func sysSocketpair(typ int) (a, b int, e syscall.Errno) {
	if e := failing(opSocketpair); e != 0 {
		return -1, -1, e
	}
	var fds [2]int32
	_, _, e = unix.RawSyscall6(unix.SYS_SOCKETPAIR, unix.AF_UNIX, uintptr(typ|unix.SOCK_CLOEXEC), 0, uintptr(unsafe.Pointer(&fds)), 0, 0)
	if e != 0 {
		return -1, -1, e
	}
	return int(fds[0]), int(fds[1]), 0
}

// sysAccept accepts a connection and stores in b the name of who has connected, as far as
// there is room.
func sysAccept(fd, flags int, b []byte) (int, []byte, syscall.Errno) {
	if e := failing(opAccept); e != 0 {
		return -1, nil, e
	}
	size := uint32(len(b))
	n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(&size)),
		uintptr(flags|unix.SOCK_CLOEXEC), 0, 0)
	if e != 0 {
		return -1, nil, e
	}
	return int(n), b[:min(int(size), len(b))], 0
}

func sysListen(fd, backlog int) syscall.Errno {
	if e := failing(opListen); e != 0 {
		return e
	}
	_, _, e := unix.RawSyscall(unix.SYS_LISTEN, uintptr(fd), uintptr(backlog), 0)
	return e
}

// sysConnect connects fd to a raw AF_UNIX address.
func sysConnect(fd int, addr []byte) syscall.Errno {
	if e := failing(opConnect); e != 0 {
		return e
	}
	_, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr)))
	return e
}

// sysBind binds fd to a raw AF_UNIX address.
func sysBind(fd int, addr []byte) syscall.Errno {
	if e := failing(opBind); e != 0 {
		return e
	}
	_, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr)))
	return e
}

// sysSetInt sets an int option at SOL_SOCKET. It fails for no socket and option
// that the supervisor uses, so there is no result.
func sysSetInt(fd, name, v int) {
	w := int32(v)
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(name), uintptr(unsafe.Pointer(&w)), 4, 0)
}

func sysGetInt(fd, name int) int {
	v, n := int32(0), uint32(4)
	unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(name), uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0)
	return int(v)
}

func sysSetOpt(fd, level, name int, v []byte) syscall.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(v))), uintptr(len(v)), 0)
	return e
}

// nonblocking reports whether O_NONBLOCK is set on fd's description.
func nonblocking(fd int) bool {
	fl, _, _ := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0)
	return fl&unix.O_NONBLOCK != 0
}

// polled returns what poll shows of fd, besides input and output.
func polled(fd int) int16 { return pollNow(fd, unix.POLLRDHUP) }

// pollNow returns what poll shows of fd now.
func pollNow(fd int, events int16) int16 {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	var zero unix.Timespec
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&zero)), 0, 0, 0)
	return p.Revents
}

// unread returns how many bytes wait to be read from fd.
func unread(fd int) int {
	v := int32(0)
	sysIoctl(fd, unix.TIOCINQ, unsafe.Pointer(&v))
	return int(v)
}

// unsent returns how many bytes written to fd the other end has not read.
func unsent(fd int) int {
	v := int32(0)
	sysIoctl(fd, unix.TIOCOUTQ, unsafe.Pointer(&v))
	return int(v)
}

// inode identifies an open file.
type inode struct{ dev, ino uint64 }

// link is where a socket's link in /proc/PID/fd leads.
func (i inode) link() string { return "socket:[" + strconv.FormatUint(i.ino, 10) + "]" }

// sysInode returns fd's identity, and whether it is an AF_UNIX socket. Of any other
// file it asks nothing: a file's attributes come from its file system, which may take
// its time (FUSE, NFS).
func sysInode(fd int) (inode, bool) {
	if sysGetInt(fd, unix.SO_DOMAIN) != unix.AF_UNIX {
		return inode{}, false
	}
	return statInode(fd)
}

// statInode returns the identity of whatever file fd is, for which it may have to wait.
func statInode(fd int) (inode, bool) {
	var st unix.Stat_t
	_, _, e := unix.Syscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(&st)), 0)
	return inode{uint64(st.Dev), st.Ino}, e == 0
}

// sysGetFD duplicates the descriptor fd of pidfd's process.
func sysGetFD(pidfd, fd int) (int, syscall.Errno) {
	if e := failing(opGetFD); e != 0 {
		return -1, e
	}
	n, _, e := unix.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	if e != 0 {
		return -1, e
	}
	return int(n), 0
}

func sysPidfdOpen(pid, flags int) (int, syscall.Errno) {
	if e := failing(opPidfdOpen); e != 0 {
		return -1, e
	}
	n, _, e := unix.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(pid), uintptr(flags), 0)
	if e != 0 {
		return -1, e
	}
	return int(n), 0
}

func sysEpollCtl(epoll, what, fd int, ev *unix.EpollEvent) syscall.Errno {
	if e := failing(opEpollCtl); e != 0 {
		return e
	}
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), uintptr(what), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}

// blockSignals keeps signals from the calling thread, which must be locked to its
// goroutine, and returns the mask that it had.
func blockSignals() (old unix.Sigset_t, err error) {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	err = unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old)
	return old, err
}

// sysPtrace makes a request of ptrace(2) that takes nothing but the thread.
func sysPtrace(req uintptr, tid int) syscall.Errno {
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, req, uintptr(tid), 0, 0, 0, 0)
	return e
}

// errno returns err as an errno; EIO for an error that is none.
func errno(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return unwrapErrno(err)
}
