//go:build linux && (amd64 || arm64)

package run

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// decide runs this machine's filter on a call.
func decide(t *testing.T, arch uint32, nr int, args ...uint64) uint32 {
	t.Helper()
	return decideFor(t, &native, filterFor{}, arch, nr, args...)
}

// decideFor runs the filter for a machine on a call. The interpreter loads words in
// network byte order, so the structure is built in it.
func decideFor(t *testing.T, m *machine, what filterFor, arch uint32, nr int, args ...uint64) uint32 {
	t.Helper()
	vm, err := bpf.NewVM(filter(m, rows(), what))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNr:], uint32(nr))
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		// The halves are loaded each by itself, the lower one first.
		binary.BigEndian.PutUint32(data[offArgs+i*argSize:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+i*argSize+argHigh:], uint32(a>>32))
	}
	v, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

func TestFilter(t *testing.T) {
	const pointer = 0x7fff_0000_1000
	for _, c := range []struct {
		name string
		nr   int
		args []uint64
		want uint32
	}{
		{"socket of AF_INET", unix.SYS_SOCKET, []uint64{unix.AF_INET}, retNotify},
		{"socket of AF_INET6", unix.SYS_SOCKET, []uint64{unix.AF_INET6}, retNotify},
		{"socket of AF_INET with junk above the int", unix.SYS_SOCKET, []uint64{1<<40 | unix.AF_INET}, retNotify},
		{"socket of AF_UNIX", unix.SYS_SOCKET, []uint64{unix.AF_UNIX}, retAllow},
		{"socket of NETLINK_ROUTE", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, retNotify},
		{"socket of NETLINK_SOCK_DIAG", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG}, retNotify},
		{"socket of NETLINK_KOBJECT_UEVENT", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT}, retAllow},
		{"socketpair of AF_NETLINK", unix.SYS_SOCKETPAIR, []uint64{unix.AF_NETLINK}, retAllow},
		{"socketpair of AF_UNIX", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX}, retAllow},
		{"socketpair of AF_TIPC", unix.SYS_SOCKETPAIR, []uint64{unix.AF_TIPC}, retNotify},
		{"connect", unix.SYS_CONNECT, nil, retNotify},
		{"accept4", unix.SYS_ACCEPT4, nil, retNotify},
		{"sendmmsg", unix.SYS_SENDMMSG, nil, retNotify},
		{"unshare of the network", unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWUSER | unix.CLONE_NEWNET}, retNotify},
		{"unshare of others", unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWUSER | unix.CLONE_NEWNS}, retAllow},
		{"setns to a network", unix.SYS_SETNS, []uint64{3, unix.CLONE_NEWNET}, retNotify},
		{"setns to whatever it is", unix.SYS_SETNS, []uint64{3, 0}, retNotify},
		{"setns to another kind", unix.SYS_SETNS, []uint64{3, unix.CLONE_NEWNS}, retAllow},
		{"read", unix.SYS_READ, []uint64{3}, retAllow},
		{"write", unix.SYS_WRITE, []uint64{3}, retAllow},
		{"close", unix.SYS_CLOSE, []uint64{3}, retAllow},
		{"read below the marked numbers", unix.SYS_READ, []uint64{firstMarked - 1}, retAllow},
		{"read of the first", unix.SYS_READ, []uint64{firstMarked}, retNotify},
		{"read of the last, with junk above the int", unix.SYS_READ, []uint64{1<<40 | firstMarked + markedRange - 1}, retNotify},
		{"read above them", unix.SYS_READ, []uint64{firstMarked + markedRange}, retAllow},
		{"read of -1", unix.SYS_READ, []uint64{1<<64 - 1}, retAllow},
		{"writev of a marked one", unix.SYS_WRITEV, []uint64{firstMarked, pointer, 2}, retNotify},
		{"recv of a marked one", unix.SYS_RECVFROM, []uint64{firstMarked, pointer, 10, 0, 0, 0}, retNotify},
		{"send of a marked one", unix.SYS_SENDTO, []uint64{firstMarked, pointer, 10, 0, 0, 0}, retNotify},
		{"dup", unix.SYS_DUP, []uint64{3}, retAllow},
		{"dup of a marked one", unix.SYS_DUP, []uint64{firstMarked}, retNotify},
		{"dup3 of a marked one to stdin", unix.SYS_DUP3, []uint64{firstMarked, 0, 0}, retNotify},
		{"dup3 of a marked one to another", unix.SYS_DUP3, []uint64{firstMarked, firstMarked + 1, 0}, retAllow},
		{"dup3 of a file", unix.SYS_DUP3, []uint64{3, 0, 0}, retAllow},
		{"F_DUPFD", unix.SYS_FCNTL, []uint64{3, unix.F_DUPFD, 0}, retAllow},
		{"F_DUPFD_CLOEXEC of a marked one", unix.SYS_FCNTL, []uint64{firstMarked, unix.F_DUPFD_CLOEXEC, 0}, retNotify},
		{"F_GETFL of a marked one", unix.SYS_FCNTL, []uint64{firstMarked, unix.F_GETFL}, retAllow},
		{"send", unix.SYS_SENDTO, []uint64{3, pointer, 10, unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT, 0, 0}, retAllow},
		{"send as long as musl's question of netlink", unix.SYS_SENDTO, []uint64{3, pointer, 20, 0, 0, 0}, retNotify},
		{"send as long as that with a flag", unix.SYS_SENDTO, []uint64{3, pointer, 20, unix.MSG_NOSIGNAL, 0, 0}, retAllow},
		{"send without a flag", unix.SYS_SENDTO, []uint64{3, pointer, 21, 0, 0, 0}, retAllow},
		{"send of urgent data", unix.SYS_SENDTO, []uint64{3, pointer, 10, unix.MSG_OOB, 0, 0}, retNotify},
		{"sendto", unix.SYS_SENDTO, []uint64{3, pointer, 10, 0, pointer, 16}, retNotify},
		{"send with MSG_MORE", unix.SYS_SENDTO, []uint64{3, pointer, 10, unix.MSG_MORE, 0, 0}, retNotify},
		{"send with MSG_MORE on a stream", unix.SYS_SENDTO, []uint64{3, pointer, 10, unix.MSG_MORE | unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL, 0, 0}, retAllow},
		{"send of urgent data with MSG_MORE", unix.SYS_SENDTO, []uint64{3, pointer, 10, unix.MSG_MORE | unix.MSG_NOSIGNAL | unix.MSG_OOB, 0, 0}, retNotify},
		{"sendto an address in the upper half", unix.SYS_SENDTO, []uint64{3, pointer, 10, 0, 1 << 32, 16}, retNotify},
		{"sendto an address in the lower half", unix.SYS_SENDTO, []uint64{3, pointer, 10, 0, 0x1000, 16}, retNotify},
		{"recv", unix.SYS_RECVFROM, []uint64{3, pointer, 10, unix.MSG_PEEK, 0, 0}, retAllow},
		{"recv of all", unix.SYS_RECVFROM, []uint64{3, pointer, 10, unix.MSG_WAITALL | unix.MSG_DONTWAIT, 0, 0}, retAllow},
		{"recv that peeks at all", unix.SYS_RECVFROM, []uint64{3, pointer, 10, unix.MSG_PEEK | unix.MSG_WAITALL, 0, 0}, retNotify},
		{"recv of the error queue", unix.SYS_RECVFROM, []uint64{3, pointer, 10, unix.MSG_ERRQUEUE, 0, 0}, retNotify},
		{"recv of a length", unix.SYS_RECVFROM, []uint64{3, pointer, 10, unix.MSG_TRUNC, 0, 0}, retNotify},
		{"recvfrom", unix.SYS_RECVFROM, []uint64{3, pointer, 10, 0, pointer, pointer}, retNotify},
		{"TCP_CORK", unix.SYS_SETSOCKOPT, []uint64{3, unix.IPPROTO_TCP, unix.TCP_CORK}, retErrno},
		{"TCP_NODELAY", unix.SYS_SETSOCKOPT, []uint64{3, unix.IPPROTO_TCP, unix.TCP_NODELAY}, retNotify},
		{"option 3 of SOL_SOCKET", unix.SYS_SETSOCKOPT, []uint64{3, unix.SOL_SOCKET, 3}, retNotify},
		{"FIONREAD", unix.SYS_IOCTL, []uint64{3, unix.TIOCINQ}, retAllow},
		{"SIOCOUTQ", unix.SYS_IOCTL, []uint64{3, unix.SIOCOUTQ}, retNotify},
		{"SIOCGIFCONF", unix.SYS_IOCTL, []uint64{3, unix.SIOCGIFCONF}, retNotify},
		{"TCGETS", unix.SYS_IOCTL, []uint64{3, unix.TCGETS}, retAllow},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, retErrno | enosys},
	} {
		if got := decide(t, native.arch, c.nr, c.args...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	for _, nr := range native.foreign {
		if got := decide(t, native.foreignArch, int(nr)); got != retNotify {
			t.Errorf("call %d of the other architecture: %#x", nr, got)
		}
	}
	if got := decide(t, native.foreignArch, 1); got != retAllow {
		t.Errorf("call 1 of the other architecture: %#x", got)
	}
	if got := decide(t, 0, unix.SYS_CONNECT); got != retAllow {
		t.Errorf("an unknown architecture: %#x", got)
	}
	if native.x32 != 0 {
		if got := decide(t, native.arch, int(native.x32)|unix.SYS_READ); got != retErrno|enosys {
			t.Errorf("x32: %#x", got)
		}
	}
}

// TestFilterForMore has filters that leave less to the kernel: where packets are seen, and where every call stops.
func TestFilterForMore(t *testing.T) {
	for name, c := range map[string][]uint64{
		"TCP_CORK": {unix.SYS_SETSOCKOPT, 3, unix.IPPROTO_TCP, unix.TCP_CORK},
		"MSG_MORE": {unix.SYS_SENDTO, 3, 0x7fff_0000_1000, 10, unix.MSG_MORE | unix.MSG_NOSIGNAL, 0, 0},
	} {
		if got := decideFor(t, &native, filterFor{seen: true}, native.arch, int(c[0]), c[1:]...); got != retNotify {
			t.Errorf("%s, where packets are seen: %#x", name, got)
		}
	}
	for nr, want := range map[int]uint32{
		unix.SYS_READ: retNotify, unix.SYS_WRITEV: retNotify, unix.SYS_RECVFROM: retNotify, unix.SYS_SENDTO: retNotify, unix.SYS_CLOSE: retNotify,
		unix.SYS_SPLICE: retNotify, unix.SYS_DUP3: retAllow, unix.SYS_DUP: retAllow, unix.SYS_FCNTL: retAllow, unix.SYS_LSEEK: retAllow,
	} {
		if got := decideFor(t, &native, filterFor{every: true}, native.arch, nr, 3, 0); got != want {
			t.Errorf("%d, where every call stops: %#x, want %#x", nr, got, want)
		}
	}
}

// TestFilterSize keeps the program within what the kernel takes.
func TestFilterSize(t *testing.T) {
	raw, err := bpf.Assemble(filter(&native, rows(), filterFor{seen: true}))
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 4096 {
		t.Errorf("%d instructions", len(raw))
	}
}
