package usock_test

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"usock"
)

// newHost returns a host that is closed at the end of the test.
func newHost(t testing.TB, c usock.Config) *usock.Host {
	t.Helper()
	h, err := usock.NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func mustSocket(t testing.TB, h *usock.Host, domain, typ int) *usock.Socket {
	t.Helper()
	s, err := h.Socket(domain, typ, 0)
	if err != nil {
		t.Fatalf("socket: %v", err)
	}
	s.SetDeadline(time.Now().Add(10 * time.Second))
	return s
}

func mustAddr(t testing.TB, s string) usock.Addr {
	t.Helper()
	a, err := usock.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestUDPLoopback(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:5000", "[::1]:5000", "127.9.9.9:5000"} {
		t.Run(addr, func(t *testing.T) {
			h := newHost(t, usock.Config{})
			a := mustAddr(t, addr)
			srv := mustSocket(t, h, a.Family, usock.SOCK_DGRAM)
			if err := srv.Bind(a); err != nil {
				t.Fatal(err)
			}
			cli := mustSocket(t, h, a.Family, usock.SOCK_DGRAM)
			if _, err := cli.SendTo([]byte("hello"), 0, a); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			n, from, err := srv.RecvFrom(buf, 0)
			if err != nil || string(buf[:n]) != "hello" {
				t.Fatalf("received %q, %v", buf[:n], err)
			}
			name, _ := cli.GetSockName()
			if from.Port != name.Port || from.Port == 0 {
				t.Errorf("from %v, sender's name is %v", from, name)
			}
			if _, err := srv.SendTo([]byte("back"), 0, from); err != nil {
				t.Fatal(err)
			}
			n, from, err = cli.RecvFrom(buf, 0)
			if err != nil || string(buf[:n]) != "back" || from.AddrPort() != a.AddrPort() {
				t.Fatalf("received %q from %v, %v", buf[:n], from, err)
			}
		})
	}
}

func TestUDPRefused(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:5001", "[::1]:5001"} {
		h := newHost(t, usock.Config{})
		a := mustAddr(t, addr)
		s := mustSocket(t, h, a.Family, usock.SOCK_DGRAM)
		if err := s.Connect(a); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send([]byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		if ev := s.Events(); ev&usock.POLLERR == 0 {
			t.Errorf("%s: events %#x want POLLERR", addr, ev)
		}
		if _, err := s.Recv(make([]byte, 1), 0); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: recv: %v, want ECONNREFUSED", addr, err)
		}
		if _, err := s.Recv(make([]byte, 1), usock.MSG_DONTWAIT); err != syscall.EAGAIN {
			t.Errorf("%s: second recv: %v, want EAGAIN", addr, err)
		}
	}
}

func TestUDPTruncation(t *testing.T) {
	h := newHost(t, usock.Config{})
	a := mustAddr(t, "127.0.0.1:5002")
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	if err := s.Bind(a); err != nil {
		t.Fatal(err)
	}
	s.SendTo([]byte("0123456789"), 0, a)
	buf := make([]byte, 4)
	if n, _ := s.Recv(buf, usock.MSG_PEEK|usock.MSG_TRUNC); n != 10 {
		t.Errorf("MSG_PEEK|MSG_TRUNC: %d, want 10", n)
	}
	m := usock.Msg{Bufs: [][]byte{buf[:2], buf[2:]}}
	n, err := s.RecvMsg(context.Background(), &m, 0)
	if n != 4 || err != nil || m.Flags&usock.MSG_TRUNC == 0 || string(buf) != "0123" {
		t.Errorf("recvmsg: %d, %v, flags %#x, %q", n, err, m.Flags, buf)
	}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestUDPMore(t *testing.T) {
	h := newHost(t, usock.Config{})
	a := mustAddr(t, "127.0.0.1:5003")
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	if err := s.Bind(a); err != nil {
		t.Fatal(err)
	}
	c := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	c.SendTo([]byte("one "), usock.MSG_MORE, a)
	c.SendTo([]byte("two"), 0, a)
	c.SetSockOptInt(usock.SOL_UDP, usock.UDP_CORK, 1)
	c.SendTo([]byte("three "), 0, a)
	if n, err := s.InQueue(); n != 7 || err != nil {
		t.Errorf("queue: %d, %v", n, err)
	}
	c.SendTo([]byte("four"), 0, a)
	c.SetSockOptInt(usock.SOL_UDP, usock.UDP_CORK, 0)
	for _, want := range []string{"one two", "three four"} {
		b := make([]byte, 100)
		if n, err := s.Recv(b, 0); string(b[:n]) != want || err != nil {
			t.Errorf("received %q, %v, want %q", b[:n], err, want)
		}
	}
}

// A sender that does not wait leaves who receives a processor, also where there is one: what it sends would
// find no room for the 10 ms that Go lets it run.
func TestFloodedReceiver(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	h := newHost(t, usock.Config{})
	c, err := h.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.Dial("udp", c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	var received atomic.Int64
	go func() {
		b := make([]byte, 64)
		for {
			if _, _, err := c.ReadFrom(b); err != nil {
				return
			}
			received.Add(1)
		}
	}()
	const n = 100_000
	for range n {
		if _, err := out.Write(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
	}
	if got := received.Load(); got < n/2 {
		t.Errorf("%d of %d datagrams were received", got, n)
	}
}
