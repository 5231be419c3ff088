package usock_test

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"usock"
)

// What a program sets by the descriptor that SyscallConn lends is set on usock's socket, what
// it reads is usock's, and data do not go that way.
func TestSyscallConn(t *testing.T) {
	h := newHost(t, usock.Config{})
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		p, err := h.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c := p.(*usock.UDPConn)
		c.Socket().SetSockOptInt(usock.SOL_IP, usock.IP_TTL, 7)
		c.SetReadBuffer(30_000)
		r, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var ttl, room int
		var set error
		err = r.Control(func(fd uintptr) {
			ttl, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL)
			room, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
			set = errors.Join(
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 20_000))
		})
		if err != nil || set != nil || ttl != 7 || room != 60_000 {
			t.Errorf("%s: %v, %v, TTL %d, want 7, SO_RCVBUF %d, want 60000", addr, err, set, ttl, room)
		}
		for _, o := range []struct{ level, name, want int }{
			{usock.SOL_IP, usock.IP_TTL, 7},
			{usock.SOL_IP, usock.IP_RECVTOS, 1},
			{usock.SOL_IP, usock.IP_MTU_DISCOVER, usock.PMTUDISC_PROBE},
			{usock.SOL_UDP, usock.UDP_GRO, 1},
			{usock.SOL_SOCKET, usock.SO_SNDBUF, 40_000},
			{usock.SOL_SOCKET, usock.SO_RCVBUF, 60_000},
		} {
			if v, err := c.Socket().GetSockOptInt(o.level, o.name); err != nil || v != o.want {
				t.Errorf("%s: option %d of level %d is %d, %v, want %d", addr, o.name, o.level, v, err, o.want)
			}
		}
		if err := r.Read(func(uintptr) bool { return true }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("read: %v", err)
		}
		c.Close()
		if err := r.Control(func(uintptr) { t.Error("called after Close") }); !errors.Is(err, net.ErrClosed) {
			t.Errorf("control after Close: %v", err)
		}
	}
}

// golang.org/x/net/ipv4 sets its options so.
func TestSyscallConnPackage(t *testing.T) {
	h := newHost(t, usock.Config{})
	p, err := h.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := ipv4.NewPacketConn(p).SetTTL(9); err != nil {
		t.Fatal(err)
	}
	v, err := p.(*usock.UDPConn).Socket().GetSockOptInt(usock.SOL_IP, usock.IP_TTL)
	if v != 9 || err != nil {
		t.Errorf("TTL %d, %v, want 9", v, err)
	}
}
