package usock_test

import (
	"encoding/binary"
	"syscall"
	"testing"

	"usock"
	"usock/internal/abi"
)

// Config.Capable is asked for the capability that Linux asks for, when a call needs it,
// and Privileged then counts for nothing.
func TestCapable(t *testing.T) {
	has := 0 // a capability; 0: none
	h := newHost(t, usock.Config{
		Privileged: true,
		Capable:    func(c int) bool { return c == has },
		Cred:       &usock.Cred{PID: 1, UID: 2, GID: 3},
	})
	socket := func(domain, typ, protocol int) *usock.Socket {
		s, err := h.Socket(domain, typ, protocol)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	tcp, local := socket(usock.AF_INET, usock.SOCK_STREAM, 0), socket(usock.AF_UNIX, usock.SOCK_STREAM, 0)
	a, _, err := h.SocketPair(usock.AF_UNIX, usock.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	states := func(pid, uid, gid uint32) error {
		var b []byte
		for _, v := range []uint32{pid, uid, gid} {
			b = binary.NativeEndian.AppendUint32(b, v)
		}
		const credentials = 2 // SCM_CREDENTIALS
		m := usock.Msg{Bufs: [][]byte{{1}}, Control: abi.AppendCmsg(nil, usock.SOL_SOCKET, credentials, b)}
		_, err := a.SendMsg(t.Context(), &m, usock.MSG_DONTWAIT)
		return err
	}
	for _, x := range []struct {
		what  string
		takes []int
		ask   func() error
		want  error
	}{
		{"a raw socket", []int{usock.CAP_NET_RAW}, func() error {
			s, err := h.Socket(usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_ICMP)
			if err == nil {
				s.Close()
			}
			return err
		}, syscall.EPERM},
		{"port 80", []int{usock.CAP_NET_BIND_SERVICE}, func() error {
			s := socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
			defer s.Close()
			return s.Bind(mustAddr(t, "127.0.0.1:80"))
		}, syscall.EACCES},
		{"SO_MARK", []int{usock.CAP_NET_RAW, usock.CAP_NET_ADMIN}, func() error {
			return tcp.SetSockOptInt(usock.SOL_SOCKET, usock.SO_MARK, 1)
		}, syscall.EPERM},
		{"SO_RCVBUFFORCE of AF_UNIX", []int{usock.CAP_NET_ADMIN}, func() error {
			return local.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUFFORCE, 1<<20)
		}, syscall.EPERM},
		{"another's process", []int{usock.CAP_SYS_ADMIN}, func() error { return states(9, 2, 3) }, syscall.EPERM},
		{"another's user", []int{usock.CAP_SETUID}, func() error { return states(1, 9, 3) }, syscall.EPERM},
		{"another's group", []int{usock.CAP_SETGID}, func() error { return states(1, 2, 9) }, syscall.EPERM},
	} {
		enough := make(map[int]bool)
		for _, c := range x.takes {
			enough[c] = true
		}
		for _, has = range []int{0, usock.CAP_SETGID, usock.CAP_SETUID, usock.CAP_NET_BIND_SERVICE, usock.CAP_NET_ADMIN, usock.CAP_NET_RAW, usock.CAP_SYS_ADMIN} {
			want := x.want
			if enough[has] {
				want = nil
			}
			if err := x.ask(); err != want {
				t.Errorf("%s with capability %d: %v, want %v", x.what, has, err, want)
			}
		}
	}
}
