package unix

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
	"usock/internal/wait"
)

// kernel is Linux's own AF_UNIX as the system of a script.
type kernel struct {
	names
	t    failer
	open map[int]bool
}

// recent skips the test on a kernel whose order of checks is another one: that of
// sendmsg(2) and the counting of empty records changed on the way to Linux 6.18.
func recent(t *testing.T) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	release := unix.ByteSliceToString(u.Release[:])
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Fatal(release, err)
	}
	if major < 6 || major == 6 && minor < 18 {
		t.Skipf("Linux %s: the tests compare with 6.18", release)
	}
}

func newKernel(t failer) *kernel {
	dir, err := os.MkdirTemp("", "u")
	if err != nil {
		t.Fatal(err)
	}
	return &kernel{names{dir + "/", dir + "-"}, t, make(map[int]bool)}
}

func (k *kernel) end() {
	for fd := range k.open {
		unix.Close(fd)
	}
	os.RemoveAll(k.paths[:len(k.paths)-1])
}

func (k *kernel) put(fd int) int {
	k.open[fd] = true
	return fd
}

func (k *kernel) socket(typ, protocol int) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, err
	}
	return k.put(fd), nil
}

func (k *kernel) pair(typ, protocol int) (int, int, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, -1, err
	}
	return k.put(fds[0]), k.put(fds[1]), nil
}

// raw carries out a call with the address that a script names.
func (k *kernel) raw(call uintptr, s int, addr string) error {
	b := abi.AppendAddr(nil, k.addr(addr))
	for len(b) < 16 && addr == "inet" {
		b = append(b, 0)
	}
	_, _, e := unix.Syscall(call, uintptr(s), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if e != 0 {
		return e
	}
	return nil
}

func (k *kernel) bind(s int, addr string) error    { return k.raw(unix.SYS_BIND, s, addr) }
func (k *kernel) connect(s int, addr string) error { return k.raw(unix.SYS_CONNECT, s, addr) }
func (k *kernel) listen(s, backlog int) error      { return unix.Listen(s, backlog) }
func (k *kernel) shutdown(s, how int) error        { return unix.Shutdown(s, how) }
func (k *kernel) unlink(path string) error         { return unix.Unlink(k.addr(path).Path) }
func (k *kernel) inq(s int) (int, error)           { return unix.IoctlGetInt(s, unix.SIOCINQ) }
func (k *kernel) setopt(s, name, value int) error {
	return unix.SetsockoptInt(s, unix.SOL_SOCKET, name, value)
}

func (k *kernel) close(s int) error {
	delete(k.open, s)
	return unix.Close(s)
}

// address reads a sockaddr as the kernel stored it.
func (k *kernel) address(b []byte) string {
	if len(b) == 0 {
		return "none"
	}
	a, err := abi.ParseAddr(b)
	if err != nil {
		k.t.Errorf("address % x: %v", b, err)
	}
	return k.text(a)
}

func (k *kernel) accept(s int) (int, string, error) {
	b, n := make([]byte, 128), uint32(128)
	fd, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(s), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, "", e
	}
	return k.put(int(fd)), k.address(b[:n]), nil
}

func (k *kernel) stored(call uintptr, s int) (string, error) {
	b, n := make([]byte, 128), uint32(128)
	if _, _, e := unix.Syscall(call, uintptr(s), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n))); e != 0 {
		return "none", e
	}
	return k.address(b[:n]), nil
}

func (k *kernel) name(s int) (string, error) { return k.stored(unix.SYS_GETSOCKNAME, s) }
func (k *kernel) peer(s int) (string, error) { return k.stored(unix.SYS_GETPEERNAME, s) }

func (k *kernel) send(s int, m msg) (int, error) {
	var h unix.Msghdr
	var iov unix.Iovec
	data := []byte(m.data)
	if len(data) > 0 {
		iov.Base = &data[0]
		iov.SetLen(len(data))
		h.Iov, h.Iovlen = &iov, 1
	}
	if m.name != "" {
		b := abi.AppendAddr(nil, k.addr(m.name))
		for len(b) < 16 && m.name == "inet" {
			b = append(b, 0)
		}
		h.Name, h.Namelen = &b[0], uint32(len(b))
	}
	if len(m.control) > 0 {
		h.Control = &m.control[0]
		h.SetControllen(len(m.control))
	}
	n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(s), uintptr(unsafe.Pointer(&h)), uintptr(m.flags|unix.MSG_NOSIGNAL))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func (k *kernel) recv(s, size, room, flags int) (msg, int, error) {
	var h unix.Msghdr
	var iov unix.Iovec
	data, name, control := make([]byte, size+1), make([]byte, 128), make([]byte, room+1)
	iov.Base = &data[0]
	iov.SetLen(size)
	h.Iov, h.Iovlen = &iov, 1
	h.Name, h.Namelen = &name[0], uint32(len(name))
	h.Control = &control[0]
	h.SetControllen(room)
	n, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(s), uintptr(unsafe.Pointer(&h)), uintptr(flags))
	if e != 0 {
		return msg{}, 0, e
	}
	out := msg{
		data:    string(data[:min(int(n), size)]),
		name:    k.address(name[:h.Namelen]),
		control: control[:h.Controllen],
		flags:   int(h.Flags) &^ unix.MSG_CMSG_CLOEXEC,
	}
	return out, int(n), nil
}

func (k *kernel) poll(s int) wait.Events {
	p := []unix.PollFd{{Fd: int32(s), Events: int16(wait.In | wait.Out | wait.RdHup)}}
	err := unix.EINTR
	for err == unix.EINTR { // the Go scheduler's signals
		_, e := unix.Poll(p, 0)
		err, _ = e.(unix.Errno)
	}
	if err != 0 {
		k.t.Error(err)
	}
	return wait.Events(uint16(p[0].Revents))
}

func (k *kernel) getopt(s, name, size int) ([]byte, error) {
	b, n := make([]byte, size), uint32(size)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s), unix.SOL_SOCKET, uintptr(name), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return nil, e
	}
	return b[:n], nil
}

// failer is what testing.TB and rapid.TB have in common.
type failer interface {
	Fatal(args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
}
