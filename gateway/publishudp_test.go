//go:build linux

package gateway

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// bindInner has a UDP socket take the inner port on all addresses.
func (r *run) bindInner(six bool) *usock.Socket {
	r.t.Helper()
	domain, a := usock.AF_INET, netip.IPv4Unspecified()
	if six {
		domain, a = usock.AF_INET6, netip.IPv6Unspecified()
	}
	s := r.socket(domain, usock.SOCK_DGRAM)
	if err := s.Bind(usock.Inet(netip.AddrPortFrom(a, inner))); err != nil {
		r.t.Fatal(err)
	}
	r.settle()
	return s
}

func dialUDP(t *testing.T, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// ask has a client outside send to the inner socket, which answers; c is a new one if nil.
func ask(t *testing.T, s *usock.Socket, at netip.AddrPort, c *net.UDPConn) (seen netip.AddrPort) {
	t.Helper()
	if c == nil {
		c = dialUDP(t, at)
	}
	for _, size := range []int{0, 1, 1400, 9000, 60000} {
		data, b := bytes.Repeat([]byte{byte(size)}, size), make([]byte, 65536)
		if _, err := c.Write(data); err != nil {
			t.Fatal(err)
		}
		n, from, err := s.RecvFrom(b, 0)
		if err != nil || !bytes.Equal(b[:n], data) {
			t.Fatalf("by %v the server received %d bytes of %d: %v", at, n, size, err)
		}
		seen = netip.AddrPortFrom(from.IP.Unmap(), from.Port)
		if _, err := s.SendTo(b[:n], 0, from); err != nil {
			t.Fatal(err)
		}
		if n, err = c.Read(b); err != nil || !bytes.Equal(b[:n], data) {
			t.Fatalf("by %v the client received %d bytes of %d: %v", at, n, size, err)
		}
	}
	return seen
}

// reachable reports whether a datagram for the port is not refused.
func reachable(t *testing.T, at netip.AddrPort) bool {
	t.Helper()
	c := dialUDP(t, at)
	c.Write([]byte("x"))
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, syscall.ECONNREFUSED)
}

func TestPublishedDatagrams(t *testing.T) {
	published(t, unix.IPPROTO_UDP, func(t *testing.T, r *run, at netip.AddrPort) {
		for range 2 {
			if reachable(t, at) {
				t.Error("nobody has the port, and it is reached")
			}
			if c, err := net.ListenPacket("udp", at.String()); err == nil {
				c.Close()
				t.Error("another took the port")
			}
			s := r.bindInner(at.Addr().Is6())
			for range 3 {
				c := dialUDP(t, at)
				for range 2 {
					want := c.LocalAddr().(*net.UDPAddr).AddrPort()
					if seen := ask(t, s, at, c); seen != want {
						t.Errorf("the server sees %v, not %v", seen, want)
					}
				}
			}
			s.Close()
			r.settle()
		}
		within(t, "the clients are forgotten", func() bool { return r.guests() == 0 })
	})
}

func (r *run) guests() (n int) {
	done := make(chan struct{})
	r.g.leave(func() {
		n = len(r.g.guests)
		close(done)
	})
	<-done
	return n
}

// TestPublishedEverywhere has answers leave from the address that the client has asked.
func TestPublishedEverywhere(t *testing.T) {
	port := freePort(t)
	r := newRun(t, Config{Publish: []Publish{
		{Proto: unix.IPPROTO_UDP, Addr: netip.IPv4Unspecified(), Port: port, Inner: inner},
		{Proto: unix.IPPROTO_UDP, Addr: netip.IPv6Unspecified(), Port: port, Inner: inner},
	}})
	s := r.bindInner(true) // of both families
	for _, a := range append(addrs(t), netip.MustParseAddr("127.0.0.9")) {
		ask(t, s, netip.AddrPortFrom(a, port), nil)
	}
	s.Close()
	r.settle()
	for _, a := range addrs(t) {
		if reachable(t, netip.AddrPortFrom(a, port)) {
			t.Errorf("nobody has the port, and it is reached at %v", a)
		}
	}
}

// TestPublishedDatagramsBack has the inner socket told that a client is gone.
func TestPublishedDatagramsBack(t *testing.T) {
	published(t, unix.IPPROTO_UDP, func(t *testing.T, r *run, at netip.AddrPort) {
		s := r.bindInner(at.Addr().Is6())
		c := dialUDP(t, at)
		to := ask(t, s, at, c)
		c.Close()
		if err := s.Connect(usock.Inet(to)); err != nil {
			t.Fatal(err)
		}
		s.Send([]byte("are you there"), 0)
		if _, err := s.Recv(make([]byte, 1), 0); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("receive: %v", err)
		}
	})
}

func TestPublishedDatagramsClash(t *testing.T) {
	at := netip.AddrPortFrom(localhost(true), freePort(t))
	r := newRun(t, Config{Publish: []Publish{{Proto: unix.IPPROTO_UDP, Addr: at.Addr(), Port: at.Port(), Inner: inner}}})
	s := r.bindInner(false)
	c := dialUDP(t, at)
	other := r.socket(usock.AF_INET, usock.SOCK_DGRAM)
	if err := other.Bind(usock.Inet(c.LocalAddr().(*net.UDPAddr).AddrPort())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.Write([]byte("x"))
	}
	within(t, "it is told", func() bool { return strings.Count(r.warned(), "was refused at "+at.String()) == 1 })
	ask(t, s, at, nil)
	if n := r.guests(); n != 1 {
		t.Errorf("%d clients", n)
	}
}

func TestManyGuests(t *testing.T) {
	at := netip.AddrPortFrom(localhost(true), freePort(t))
	r := newRun(t, Config{Publish: []Publish{{Proto: unix.IPPROTO_UDP, Addr: at.Addr(), Port: at.Port(), Inner: inner}}})
	s := r.bindInner(false)
	b := make([]byte, 10)
	first := dialUDP(t, at)
	for i := range maxGuests + 100 {
		c := first
		if i > 0 {
			c = dialUDP(t, at)
		}
		c.Write([]byte("x"))
		if n, from, err := s.RecvFrom(b, 0); n != 1 || err != nil || from.AddrPort() != c.LocalAddr().(*net.UDPAddr).AddrPort() {
			t.Fatalf("client %d: %d bytes from %v, %v", i, n, from, err)
		}
	}
	if n := r.guests(); n != maxGuests {
		t.Errorf("%d clients", n)
	}
	ask(t, s, at, first) // it is one again
	done := make(chan struct{})
	r.g.leave(func() {
		for _, c := range r.g.guests {
			c.used -= guestIdle
		}
		r.g.sweep()
		close(done)
	})
	<-done
	if n := r.guests(); n != 0 {
		t.Errorf("%d clients after two minutes", n)
	}
}
