package usock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"

	"usock"
)

var unixNames atomic.Int64

func unixName(abstract bool) string {
	name := "/run/" + strconv.FormatInt(unixNames.Add(1), 10)
	if abstract {
		return "@" + filepath.Base(name)
	}
	return name
}

func newUnixHost(t *testing.T) *usock.Host {
	t.Helper()
	h, err := usock.NewHost(usock.Config{Cred: &usock.Cred{PID: 1, UID: 2, GID: 3}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestUnixConn(t *testing.T) {
	for _, abstract := range []bool{false, true} {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			h, err := usock.NewHost(usock.Config{})
			if err != nil {
				return nil, nil, nil, err
			}
			l, err := h.Listen("unix", unixName(abstract))
			if err != nil {
				return nil, nil, nil, err
			}
			if c1, err = h.Dial("unix", l.Addr().String()); err != nil {
				return nil, nil, nil, err
			}
			if c2, err = l.Accept(); err != nil {
				return nil, nil, nil, err
			}
			return c1, c2, func() { c1.Close(); c2.Close(); l.Close(); h.Close() }, nil
		})
	}
}

func TestUnixAddresses(t *testing.T) {
	h := newUnixHost(t)
	l, err := h.Listen("unixpacket", "/run/l")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Listen("unix", "/run/l"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	if _, err := h.Dial("unix", "/run/l"); !errors.Is(err, syscall.EPROTOTYPE) {
		t.Errorf("other type: %v", err)
	}
	c, err := h.Dial("unixpacket", "/run/l")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.LocalAddr().String(); got != "/run/l" {
		t.Errorf("local address %q", got)
	}
	if got := c.RemoteAddr(); got.String() != "/run/l" || got.Network() != "unixpacket" {
		t.Errorf("remote address %v %v", got.Network(), got)
	}
	for _, m := range []string{"a", "bc"} {
		if _, err := c.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 10)
	for _, m := range []string{"a", "bc"} {
		if n, err := s.Read(p); err != nil || string(p[:n]) != m {
			t.Errorf("got %q, %v", p[:n], err)
		}
	}
	c.Close()
	if _, err := s.Read(p); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	l.Close()
	if _, err := h.Dial("unixpacket", "/run/l"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after Close: %v", err)
	}
}

func TestUnixPackets(t *testing.T) {
	h := newUnixHost(t)
	s, err := h.ListenPacket("unixgram", "/run/s")
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.ListenPacket("unixgram", "@c")
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("big "), 50_000) // more than one block holds
	if n, err := c.WriteTo(big, s.LocalAddr()); err != nil || n != len(big) {
		t.Fatal(n, err)
	}
	p := make([]byte, 1<<20)
	n, from, err := s.ReadFrom(p)
	if err != nil || !bytes.Equal(p[:n], big) || from.String() != "@c" {
		t.Fatalf("%d bytes from %v, %v", n, from, err)
	}
	if _, err := s.WriteTo([]byte("re"), from); err != nil {
		t.Fatal(err)
	}
	if n, from, err := c.ReadFrom(p); err != nil || string(p[:n]) != "re" || from.String() != "/run/s" {
		t.Errorf("%q from %v, %v", p[:n], from, err)
	}
	d, err := h.Dial("unixgram", "/run/s")
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := d.Write([]byte("x")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("to a closed socket: %v", err)
	}
	if _, err := h.Dial("unixgram", "/run/s"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("after Close: %v", err)
	}
}

func TestSocketPair(t *testing.T) {
	h := newUnixHost(t)
	for _, c := range []struct {
		domain, typ, protocol int
		want                  error
	}{
		{usock.AF_UNIX, usock.SOCK_STREAM, 0, nil},
		{usock.AF_UNIX, usock.SOCK_DGRAM, usock.AF_UNIX, nil},
		{usock.AF_UNIX, usock.SOCK_SEQPACKET | usock.SOCK_NONBLOCK, 0, nil},
		{usock.AF_UNIX, usock.SOCK_RAW, 0, nil},
		{usock.AF_UNIX, usock.SOCK_STREAM, usock.IPPROTO_TCP, syscall.EPROTONOSUPPORT},
		{usock.AF_UNIX, 4, 0, syscall.ESOCKTNOSUPPORT},
		{usock.AF_INET, usock.SOCK_STREAM, 0, syscall.EOPNOTSUPP},
		{usock.AF_INET6, usock.SOCK_DGRAM, 0, syscall.EOPNOTSUPP},
		{usock.AF_INET, usock.SOCK_STREAM, usock.IPPROTO_UDP, syscall.EPROTONOSUPPORT},
		{99, usock.SOCK_STREAM, 0, syscall.EAFNOSUPPORT},
	} {
		a, b, err := h.SocketPair(c.domain, c.typ, c.protocol)
		if err != c.want {
			t.Errorf("%v: %v", c, err)
		}
		if err != nil {
			continue
		}
		if _, err := a.Send([]byte("hello"), 0); err != nil {
			t.Errorf("%v: send: %v", c, err)
		}
		var p [10]byte
		if n, err := b.Recv(p[:], 0); err != nil || string(p[:n]) != "hello" {
			t.Errorf("%v: received %q, %v", c, p[:n], err)
		}
		if _, err := b.Recv(p[:], usock.MSG_DONTWAIT); err != syscall.EAGAIN {
			t.Errorf("%v: nothing there: %v", c, err)
		}
		var cred [12]byte
		if n, err := a.GetSockOpt(usock.SOL_SOCKET, usock.SO_PEERCRED, cred[:]); n != 12 || err != nil {
			t.Errorf("%v: SO_PEERCRED: %d, %v", c, n, err)
		}
		a.Close()
		b.Close()
	}
	if list := h.Sockets(); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
}

func TestUnixInList(t *testing.T) {
	h := newUnixHost(t)
	l, err := h.Listen("unix", "@l")
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Dial("unix", "@l")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	list := h.Sockets()
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	if s := list[0]; s.Proto != "unix" || s.State != "LISTEN" || s.Path != "@l" || s.RecvQ != 1 || s.TCP != nil {
		t.Errorf("listener: %+v", s)
	}
	if s := list[1]; s.State != "ESTAB" || s.Path != "" || s.PeerPath != "@l" || s.SendQ == 0 {
		t.Errorf("client: %+v", s)
	}
	l.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("not accepted: %v", err)
	}
}

// A poll set watches sockets of all domains.
func TestUnixInPollSet(t *testing.T) {
	h := newUnixHost(t)
	a, b, err := h.SocketPair(usock.AF_UNIX, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	set := h.NewPollSet()
	defer set.Close()
	if err := set.Add(a, usock.POLLIN, "a"); err != nil {
		t.Fatal(err)
	}
	var out [4]usock.Event
	var none context.Context // do not wait
	if n, err := set.Wait(none, out[:]); n != 0 || err != nil {
		t.Errorf("idle: %d, %v", n, err)
	}
	b.Send([]byte("x"), 0)
	if n, err := set.Wait(t.Context(), out[:]); n != 1 || err != nil || out[0].Data != "a" {
		t.Errorf("readable: %d, %v", n, err)
	}
	b.Close()
	if n, err := set.Wait(t.Context(), out[:]); n != 1 || err != nil || out[0].Events&usock.POLLHUP == 0 {
		t.Errorf("closed: %d, %v, %v", n, err, out[0].Events)
	}
}
