//go:build amd64 || arm64

package run

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// abilities are what the kernel lets this process do, of what it can do without.
type abilities struct {
	// trace says that threads can be traced. Where they cannot, a signal has to be
	// able to end a call that waits.
	trace bool
}

// preflight tries what this process has to do to its programs, and says what to do
// where it may not. It tries it on a child, since many rules are about who looks
// into whom: Yama lets a process look into its descendants (scope 1), nobody but an
// administrator (2), or nobody at all (3); a container's seccomp profile denies the
// calls as such.
func preflight() (can abilities, err error) {
	tried := make(chan struct{})
	go func() {
		defer close(tried)
		runtime.LockOSThread() // the thread ends with this goroutine, and the filter with it
		if can, err = tryChild(); err != nil {
			return
		}
		if err = trySockets(); err == nil {
			err = tryFilter()
		}
	}()
	<-tried
	return can, err
}

// tryChild looks into a child.
func tryChild() (can abilities, err error) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return can, errors.New("/proc is not there: mount it (mount -t proc proc /proc)")
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return can, err
	}
	defer sysClose(ends[0])
	stack := new([256]byte)
	pid := spawnWaiter(unsafe.Pointer(&stack[len(stack)-16]), ends[0], ends[1])
	defer runtime.KeepAlive(stack)
	if pid < 0 {
		sysClose(ends[1])
		return can, forkError(syscall.Errno(-pid))
	}
	defer func() {
		sysClose(ends[1]) // the child ends
		unix.Wait4(pid, nil, unix.WALL, nil)
	}()
	if err := tryDescriptors(pid, ends[0]); err != nil {
		return can, err
	}
	if err := tryMemory(pid); err != nil {
		return can, err
	}
	can.trace = tryTrace(pid)
	return can, nil
}

func forkError(e syscall.Errno) error {
	if e == unix.EAGAIN || e == unix.ENOMEM {
		return errNoThreads
	}
	return fmt.Errorf("clone: %w; allow it in the container's seccomp profile", e)
}

// tryDescriptors takes a descriptor of the child.
func tryDescriptors(pid, fd int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return denied("pidfd_open", err, "5.3")
	}
	defer sysClose(pidfd)
	got, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return notThere("pidfd_getfd", err, "5.6")
	}
	sysClose(got)
	return nil
}

// tryMemory reads and writes a child's memory, in the two ways that there are. The
// child shares this process's.
func tryMemory(pid int) error {
	here := []byte{1}
	there := new([1]byte)
	t := task{tid: pid}
	at := []span{{uint64(uintptr(unsafe.Pointer(there))), 1}}
	defer runtime.KeepAlive(there)
	e := t.transfer(true, here, at)
	if e == 0 {
		e = t.transfer(false, here, at)
	}
	if e != 0 {
		return notThere("process_vm_readv, process_vm_writev and /proc/PID/mem", e, "3.2")
	}
	return nil
}

// tryTrace stops the child and lets it go on.
func tryTrace(pid int) bool {
	if sysPtrace(unix.PTRACE_SEIZE, pid) != 0 {
		return false
	}
	stopped := false
	if sysPtrace(unix.PTRACE_INTERRUPT, pid) == 0 {
		_, err := unix.Wait4(pid, nil, unix.WALL, nil)
		stopped = err == nil
	}
	return sysPtrace(unix.PTRACE_DETACH, pid) == 0 && stopped
}

// trySockets makes what a program will hold.
func trySockets() error {
	fd, e := sysSocket(unix.SOCK_STREAM)
	if e != 0 {
		return &socketError{e}
	}
	sysClose(fd)
	a, b, e := sysSocketpair(unix.SOCK_DGRAM)
	if e != 0 {
		return &socketError{e}
	}
	sysClose(a)
	sysClose(b)
	return nil
}

// tryFilter installs the filter on this thread, and looks whether its listener can
// do what is needed.
func tryFilter() error {
	l, _, err := install(true, filterFor{})
	if err != nil {
		return err
	}
	defer sysClose(int(l))
	return l.try()
}

// try makes the requests of the listener while no call waits. To receive would wait: it
// is asked to receive into what is not zeroed.
func (l listener) try() error {
	dirty, id := notification{flags: 1}, uint64(0)
	_, recv := sysIoctl(int(l), ioctlRecv, unsafe.Pointer(&dirty))
	_, valid := sysIoctl(int(l), ioctlIDValid, unsafe.Pointer(&id))
	_, add := l.addFD(0, int(l), 0, true)
	if add == unix.EINVAL { // the kernel looks at the flags first
		return denied("SECCOMP_ADDFD_FLAG_SEND", unix.ENOSYS, KernelNeeded)
	}
	for _, r := range []struct {
		name      string
		got, want syscall.Errno
	}{
		{"NOTIF_RECV", recv, unix.EINVAL}, {"NOTIF_SEND", l.send(new(response)), unix.ENOENT},
		{"NOTIF_ID_VALID", valid, unix.ENOENT}, {"NOTIF_ADDFD", add, unix.ENOENT},
	} {
		if r.got != r.want {
			return denied("the ioctl SECCOMP_IOCTL_"+r.name, r.got, KernelNeeded)
		}
	}
	return nil
}

// notThere is the error of a call that was denied on a child: because of the child,
// or as such.
func notThere(call string, err error, since string) error {
	if err != unix.EPERM && err != unix.EACCES {
		return denied(call, err, since)
	}
	switch yamaScope() {
	case "2":
		return errors.New("kernel.yama.ptrace_scope is 2: only administrators may look into other processes; " +
			"set it to 1 (sysctl kernel.yama.ptrace_scope=1), or run usock as root")
	case "3":
		return errors.New("kernel.yama.ptrace_scope is 3: nobody may look into other processes, until the machine is started anew; " +
			"set it to 1 in /etc/sysctl.d")
	}
	return denied(call, unix.EPERM, since)
}

func yamaScope() string {
	b, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	return strings.TrimSpace(string(b))
}

const profile = "start the container with --cap-add SYS_PTRACE, or with --security-opt seccomp=unconfined"

func denied(call string, err error, since string) error {
	switch err {
	case unix.ENOSYS:
		return fmt.Errorf("%s is not there: usock run needs Linux %s or later; in a container whose seccomp profile hides it, %s", call, since, profile)
	case unix.EPERM, unix.EACCES:
		return fmt.Errorf("%s is denied, as by a container's seccomp profile: %s", call, profile)
	}
	return fmt.Errorf("%s: %w; usock run needs it, see README.md, Limits", call, err)
}
