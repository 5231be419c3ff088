package oracle

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// kernel is Linux's own sockets, in a network namespace of the calling thread's:
// a loopback interface, and a second one, t0, that nobody answers on.
type kernel struct {
	t    testing.TB
	open map[int]bool
	tun  int
}

// newPlainKernel unshares the network of the calling thread, which must be locked to
// its goroutine for good. It has the interface that a host of usock run has: loopback.
func newPlainKernel(t testing.TB) *kernel {
	k := &kernel{t: t, open: make(map[int]bool), tun: -1}
	k.must(unix.Unshare(unix.CLONE_NEWNET), "unshare")
	k.up("lo")
	k.must(os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0), "ping_group_range")
	k.turnStampsOn()
	return k
}

// newKernel is newPlainKernel with the second interface.
func newKernel(t testing.TB) *kernel {
	k := newPlainKernel(t)
	k.must(os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0), "tcp_congestion_control")
	var err error
	k.tun, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	k.must(err, "/dev/net/tun")
	ifr, _ := unix.NewIfreq("t0")
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	k.must(unix.IoctlIfreq(k.tun, unix.TUNSETIFF, ifr), "TUNSETIFF")
	for _, x := range []struct {
		req  uint
		addr string
	}{{unix.SIOCSIFADDR, t0Addr}, {unix.SIOCSIFNETMASK, "255.255.255.0"}} {
		ifr, _ := unix.NewIfreq("t0")
		a := netip.MustParseAddr(x.addr).As4()
		k.must(ifr.SetInet4Addr(a[:]), "address")
		k.set(x.req, ifr, "address of t0")
	}
	// No address by itself, and no duplicate address detection to wait for.
	k.must(os.WriteFile("/proc/sys/net/ipv6/conf/t0/accept_dad", []byte("0"), 0), "accept_dad")
	k.must(os.WriteFile("/proc/sys/net/ipv6/conf/t0/addr_gen_mode", []byte("1"), 0), "addr_gen_mode")
	k.up("t0")
	return k
}

// t0Addr is the address of the interface t0, in a network of 24 bits.
const t0Addr = "10.9.0.1"

func (k *kernel) up(name string) {
	ifr, _ := unix.NewIfreq(name)
	k.set(unix.SIOCGIFFLAGS, ifr, "flags")
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	k.set(unix.SIOCSIFFLAGS, ifr, "up")
}

// set carries out a request about an interface.
func (k *kernel) set(req uint, ifr *unix.Ifreq, what string) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	k.must(err, "socket")
	defer unix.Close(fd)
	k.must(unix.IoctlIfreq(fd, req, ifr), what)
}

func (k *kernel) must(err error, what string) {
	if err != nil {
		panic(what + ": " + err.Error())
	}
}

// drop gives up the thread's effective capabilities, but for some.
func (k *kernel) drop(but ...int) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	k.must(unix.Capget(&h, &d[0]), "capget")
	d[0].Effective, d[1].Effective = 0, 0
	for _, c := range but {
		d[c/32].Effective |= 1 << (c % 32)
	}
	for i := range d {
		d[i].Effective &= d[i].Permitted
	}
	k.must(unix.Capset(&h, &d[0]), "capset")
}

func (k *kernel) end() {
	for fd := range k.open {
		unix.Close(fd)
	}
	unix.Close(k.tun)
}

func (k *kernel) put(fd int) int {
	k.open[fd] = true
	return fd
}

func (k *kernel) socket(domain, typ, protocol int) (int, error) {
	fd, err := unix.Socket(domain, typ|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return -1, err
	}
	return k.put(fd), nil
}

func first(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Pointer(&b[0])
}

func (k *kernel) raw(call uintptr, s int, sa []byte) error {
	if _, _, e := unix.Syscall(call, uintptr(s), uintptr(first(sa)), uintptr(len(sa))); e != 0 {
		return e
	}
	return nil
}

func (k *kernel) bind(s int, sa []byte) error    { return k.raw(unix.SYS_BIND, s, sa) }
func (k *kernel) connect(s int, sa []byte) error { return k.raw(unix.SYS_CONNECT, s, sa) }
func (k *kernel) listen(s, backlog int) error    { return unix.Listen(s, backlog) }
func (k *kernel) shutdown(s, how int) error      { return unix.Shutdown(s, how) }
func (k *kernel) block(s int, on bool)           { k.must(unix.SetNonblock(s, !on), "nonblock") }

// finish is the second connect(2), which tells the outcome of the first.
func (k *kernel) finish(s int, sa []byte) error {
	if err := k.connect(s, sa); err != unix.EISCONN {
		return err
	}
	return nil
}

func (k *kernel) close(s int) error {
	delete(k.open, s)
	return unix.Close(s)
}

func (k *kernel) accept(s int) (int, []byte, error) {
	b, n := make([]byte, 128), uint32(128)
	fd, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(s), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), unix.SOCK_NONBLOCK, 0, 0)
	if e != 0 {
		return -1, nil, e
	}
	return k.put(int(fd)), b[:n], nil
}

func (k *kernel) stored(call uintptr, s int) ([]byte, error) {
	b, n := make([]byte, 128), uint32(128)
	if _, _, e := unix.Syscall(call, uintptr(s), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n))); e != 0 {
		return nil, e
	}
	return b[:n], nil
}

func (k *kernel) name(s int) ([]byte, error) { return k.stored(unix.SYS_GETSOCKNAME, s) }
func (k *kernel) peer(s int) ([]byte, error) { return k.stored(unix.SYS_GETPEERNAME, s) }

func (k *kernel) send(s int, m message) (int, error) {
	var h unix.Msghdr
	var iov unix.Iovec
	if len(m.data) > 0 {
		iov.Base = &m.data[0]
		iov.SetLen(len(m.data))
		h.Iov, h.Iovlen = &iov, 1
	}
	if len(m.name) > 0 {
		h.Name, h.Namelen = &m.name[0], uint32(len(m.name))
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

func (k *kernel) recv(s, size, room, flags int) (message, int, error) {
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
		return message{}, 0, e
	}
	return message{
		data:    data[:min(int(n), size)],
		name:    name[:h.Namelen],
		control: control[:h.Controllen],
		flags:   int(h.Flags) &^ unix.MSG_CMSG_CLOEXEC,
	}, int(n), nil
}

// peeloff implements peeler.
func (k *kernel) peeloff(s int, assoc int32, flags int) (int, error) {
	v := binary.NativeEndian.AppendUint32(nil, uint32(assoc)) // sctp_peeloff_arg_t
	v = binary.NativeEndian.AppendUint32(v, 0)
	name := sctpPeeloff
	if flags >= 0 {
		v, name = binary.NativeEndian.AppendUint32(v, uint32(flags)), sctpPeeloffFlags
	}
	v, err := k.getopt(s, solSCTP, name, v)
	if err != nil {
		return -1, err
	}
	fd := int(int32(binary.NativeEndian.Uint32(v[4:])))
	k.block(fd, false)
	return k.put(fd), nil
}

func (k *kernel) poll(s int) usock.Events {
	p := []unix.PollFd{{Fd: int32(s), Events: int16(usock.POLLIN | usock.POLLOUT | usock.POLLPRI | usock.POLLRDHUP)}}
	_, err := unix.Poll(p, 0)
	for err == unix.EINTR {
		_, err = unix.Poll(p, 0)
	}
	k.must(err, "poll")
	return usock.Events(uint16(p[0].Revents))
}

func (k *kernel) setopt(s, level, name int, v []byte) error {
	if level == unix.SOL_SOCKET && name == unix.SO_ATTACH_FILTER && len(v) > 0 && len(v)%unix.SizeofSockFilter == 0 {
		// A struct sock_fprog, which points to the program.
		f := unix.SockFprog{Len: uint16(len(v) / unix.SizeofSockFilter), Filter: (*unix.SockFilter)(first(v))}
		return unix.SetsockoptSockFprog(s, level, name, &f)
	}
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(s), uintptr(level), uintptr(name), uintptr(first(v)), uintptr(len(v)), 0)
	if e != 0 {
		return e
	}
	return nil
}

func (k *kernel) getopt(s, level, name int, v []byte) ([]byte, error) {
	b, n := append(v, make([]byte, spare)...), uint32(len(v))
	unit := uint32(1)
	if level == unix.SOL_SOCKET && name == unix.SO_GET_FILTER {
		unit = unix.SizeofSockFilter // lengths count instructions
		n /= unit
	}
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return nil, e
	}
	return b[:n*unit], nil
}

// spare is room behind the buffer of getsockopt, of which IP_MSFILTER does not mind the end.
const spare = 64

func (k *kernel) queued(s int) (in, out int, err error) {
	if in, err = unix.IoctlGetInt(s, unix.SIOCINQ); err != nil {
		return 0, 0, err
	}
	out, err = unix.IoctlGetInt(s, unix.SIOCOUTQ)
	return in, out, err
}

func (k *kernel) unsent(s int) (int, error) {
	const siocOutqNSD = 0x894b
	return unix.IoctlGetInt(s, siocOutqNSD)
}

func (k *kernel) stamp(s int) error {
	const siocGStamp = 0x8906
	var v [2]int64
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), siocGStamp, uintptr(unsafe.Pointer(&v))); e != 0 {
		return e
	}
	return recent(time.Unix(v[0], 0))
}

// recent fails for a time that is not about now.
func recent(at time.Time) error {
	if d := time.Since(at); d < -time.Minute || d > time.Minute {
		return fmt.Errorf("stamped %v", at)
	}
	return nil
}

// pad returns sa, an address that abi cannot write, of the family and length.
func pad(family, length int) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(family))
	for len(b) < length {
		b = append(b, 0)
	}
	return b[:length]
}
