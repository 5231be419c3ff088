package unix

import (
	"encoding/binary"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// A priority beyond those of all takes a capability, as everywhere (Linux, sk_set_prio_allowed).
func TestPriority(t *testing.T) {
	for _, privileged := range []bool{false, true} {
		u := newUser(self(), privileged)
		fd, err := u.socket(abi.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		for v, want := range map[int]error{6: nil, 7: syscall.EPERM, -1: syscall.EPERM} {
			if privileged {
				want = nil
			}
			if err := u.fds[fd].SetOpt(abi.SOL_SOCKET, abi.SO_PRIORITY, abi.AppendInt(nil, v)); err != want {
				t.Errorf("%d, privileged %v: %v, want %v", v, privileged, err, want)
			}
		}
		u.end()
	}
}

// Every option at every level is set and read on usock and on the kernel. usock
// refuses more of them at SOL_SOCKET, with ENOPROTOOPT; those that it has must give
// what the kernel gives.
func TestOptionsAsKernel(t *testing.T) {
	recent(t)
	for _, typ := range []int{abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET} {
		u, k := newUser(self(), os.Getuid() == 0), newKernel(t)
		us, err1 := u.socket(typ, 0)
		ks, err2 := k.socket(typ, 0)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		has := 0
		for _, level := range []int{abi.SOL_IP, abi.SOL_SOCKET, abi.SOL_TCP, abi.SOL_IPV6, 99} {
			for name := range 100 {
				// The one takes eight bytes, the other what the caller's privilege allows.
				if level == abi.SOL_SOCKET && (name == abi.SO_COOKIE || name == abi.SO_PRIORITY) {
					continue
				}
				for _, v := range []int{0, 1, 5000} {
					got := errname(u.fds[us].SetOpt(level, name, abi.AppendInt(nil, v)))
					if level == abi.SOL_SOCKET && got == "ENOPROTOOPT" {
						continue
					}
					if want := errname(unix.SetsockoptInt(ks, level, name, v)); got != want {
						t.Errorf("type %d: set %d/%d to %d: usock says %s, the kernel %s", typ, level, name, v, got, want)
					}
				}
				var b [4]byte
				n, err := u.fds[us].GetOpt(level, name, b[:])
				if level == abi.SOL_SOCKET && errname(err) == "ENOPROTOOPT" {
					continue
				}
				got := int(int32(binary.NativeEndian.Uint32(b[:])))
				want, err2 := unix.GetsockoptInt(ks, level, name)
				if errname(err) != errname(err2) || err == nil && (n != 4 || got != want) {
					t.Errorf("type %d: get %d/%d: usock says %d, %v, the kernel %d, %v", typ, level, name, got, err, want, err2)
				}
				if err == nil {
					has++
				}
			}
		}
		if has < 20 {
			t.Errorf("type %d has %d options", typ, has)
		}
		u.end()
		k.end()
	}
}
