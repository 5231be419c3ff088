package unix

import (
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

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
