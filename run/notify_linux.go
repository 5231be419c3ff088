//go:build amd64 || arm64

package run

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The structures of seccomp_unotify(2).
type (
	notification struct {
		id    uint64
		pid   uint32
		flags uint32
		data  struct {
			nr   int32
			arch uint32
			ip   uint64
			args [6]uint64
		}
	}
	response struct {
		id    uint64
		val   int64
		error int32
		flags uint32
	}
	addFD struct {
		id         uint64
		flags      uint32
		srcFD      uint32
		newFD      uint32
		newFDFlags uint32
	}
)

// Requests of seccomp_unotify(2).
const (
	ioctlRecv    = 0xc0502100
	ioctlSend    = 0xc0182101
	ioctlIDValid = 0x40082102
	ioctlAddFD   = 0x40182103
)

const flagContinue = 1 // the kernel carries the call out

// notifier is where trapped calls come from and their answers go: the kernel, or a
// test that plays the program.
type notifier interface {
	// recv takes the notification that poll has announced.
	recv(*notification) syscall.Errno
	// send answers a call; ENOENT if it does not wait any more.
	send(*response) syscall.Errno
	// valid reports whether the call is still waiting for its answer. What was read
	// from its process before that is its own, and not that of a later process with
	// the same number.
	valid(id uint64) bool
	// addFD gives the process a copy of fd, and answers the call with its number if
	// answer is true. It waits until the thread has been let onto a processor.
	addFD(id uint64, fd, flags int, answer bool) (int, syscall.Errno)
	// replaceFD puts a copy of fd in place of the process's descriptor target, and
	// waits in the same way.
	replaceFD(id uint64, fd, target, flags int) syscall.Errno
}

// listener is the descriptor of seccomp notifications.
type listener int

func (l listener) recv(n *notification) syscall.Errno {
	*n = notification{}
	_, e := sysIoctl(int(l), ioctlRecv, unsafe.Pointer(n))
	return e
}

func (l listener) send(r *response) syscall.Errno {
	if e := failing(opAnswer); e != 0 {
		return e
	}
	_, e := sysIoctl(int(l), ioctlSend, unsafe.Pointer(r))
	return e
}

func (l listener) valid(id uint64) bool {
	_, e := sysIoctl(int(l), ioctlIDValid, unsafe.Pointer(&id))
	return e == 0
}

// The calling thread must have signals blocked: one that arrived here would end the
// call with 0 and no descriptor.
func (l listener) addFD(id uint64, fd, flags int, answer bool) (int, syscall.Errno) {
	a := addFD{id: id, srcFD: uint32(fd), newFDFlags: uint32(flags)}
	if answer {
		a.flags = unix.SECCOMP_ADDFD_FLAG_SEND
	}
	return l.add(&a)
}

func (l listener) add(a *addFD) (int, syscall.Errno) {
	if e := failing(opAddFD); e != 0 {
		return 0, e
	}
	n, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(l), ioctlAddFD, uintptr(unsafe.Pointer(a)))
	return int(n), e
}

func (l listener) replaceFD(id uint64, fd, target, flags int) syscall.Errno {
	a := addFD{
		id: id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, srcFD: uint32(fd),
		newFD: uint32(target), newFDFlags: uint32(flags),
	}
	_, e := l.add(&a)
	return e
}

// install puts the filter on the calling thread, which must be locked to its
// goroutine for ever: whatever it starts inherits it. want says that the kernel is
// to keep a call, once taken, from being interrupted by anything but a fatal signal,
// and killable whether it does (Linux 5.19).
func install(want bool, what filterFor) (l listener, killable bool, err error) {
	raw, err := bpf.Assemble(filter(&native, rows(), what))
	if err != nil {
		return -1, false, err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, false, denied("PR_SET_NO_NEW_PRIVS", err, "3.5")
	}
	flags := []uintptr{unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 0}
	if !want {
		flags = flags[1:]
	}
	for _, wait := range flags {
		fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
			unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|wait, uintptr(unsafe.Pointer(&prog)))
		switch e {
		case 0:
			return listener(fd), wait != 0, nil
		case unix.EINVAL:
			continue
		case unix.EBUSY:
			return -1, false, errors.New("this process is itself under a supervisor of system calls (usock run, perhaps), and the kernel allows one; under usock run the program has usock's sockets without another: run it by its own name")
		default:
			return -1, false, denied("seccomp", e, KernelNeeded)
		}
	}
	return -1, false, errors.New("the kernel has no seccomp notifications (Linux " + KernelNeeded + " is needed)")
}
