package usock_test

import (
	"net/netip"
	"syscall"
	"testing"

	"usock"
	"usock/link"
)

// SO_DONTROUTE and MSG_DONTROUTE reach what is on the link, and nothing beyond a router.
func TestDontRoute(t *testing.T) {
	x, _ := link.Pipe(link.PipeConfig{MTU: 1500})
	h := newHost(t, usock.Config{Interfaces: []usock.Interface{{
		Link: x, Addrs: prefixes("10.0.0.1/24"),
		Routes: []usock.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.0.0.2")}},
	}}})
	near, far, own := mustAddr(t, "10.0.0.9:9"), mustAddr(t, "192.0.2.1:9"), mustAddr(t, "127.0.0.1:9")
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	for _, c := range []struct {
		to    usock.Addr
		flags int
		want  error
	}{{near, 0, nil}, {far, 0, nil}, {near, usock.MSG_DONTROUTE, nil}, {own, usock.MSG_DONTROUTE, nil}, {far, usock.MSG_DONTROUTE, syscall.ENETUNREACH}, {far, 0, nil}} {
		if _, err := s.SendTo([]byte("x"), c.flags, c.to); err != c.want {
			t.Errorf("send to %v with flags %#x: %v, want %v", c.to, c.flags, err, c.want)
		}
	}
	for _, typ := range []int{usock.SOCK_DGRAM, usock.SOCK_STREAM} {
		s := mustSocket(t, h, usock.AF_INET, typ)
		if err := s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_DONTROUTE, 1); err != nil {
			t.Fatal(err)
		}
		s.SetNonblock(true)
		if err := s.Connect(far); err != syscall.ENETUNREACH {
			t.Errorf("type %d: connect beyond a router: %v", typ, err)
		}
		if err := s.Connect(near); err != nil && err != syscall.EINPROGRESS {
			t.Errorf("type %d: connect on the link: %v", typ, err)
		}
	}
}
