package usock_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/clock"
	"usock/link"
	"usock/packet"
)

// leaks fails the test if, once f has returned and all that it woke has run,
// goroutines, blocks or timers are left. f must have closed its host, which it
// returns; it runs in a synctest bubble, which is what finds the goroutines.
func leaks(t *testing.T, f func(t *testing.T) *usock.Host) {
	t.Helper()
	packet.Track(true)
	defer packet.Track(false)
	blocks := packet.Live()
	synctest.Test(t, func(t *testing.T) {
		h := f(t)
		synctest.Wait()
		if n := h.Timers(); n != 0 {
			t.Errorf("%d timers are left", n)
		}
	})
	if n := packet.Live(); n != blocks {
		t.Errorf("%d blocks are left", n-blocks)
	}
}

// within waits until cond holds.
func within(t *testing.T, what string, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// must fails the test for an error.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestCloseLeavesNothing ends hosts in the middle of everything.
func TestCloseLeavesNothing(t *testing.T) {
	loops := map[string]func(link.Link) link.Link{
		"built in": nil,
		"a link":   func(l link.Link) link.Link { return l },
	}
	for name, loop := range loops {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			leaks(t, func(t *testing.T) *usock.Host {
				h := must[*usock.Host](t)(usock.NewHost(usock.Config{Privileged: true, Loopback: loop}))
				busy(t, h)
				if err := h.Close(); err != nil {
					t.Error(err)
				}
				return h
			})
		})
	}
}

// busy leaves a host with connections in every state, data in every queue, calls
// that wait and timers that run.
func busy(t *testing.T, h *usock.Host) {
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(3); err != nil {
		t.Fatal(err)
	}
	at, _ := l.GetSockName()
	var socks []*usock.Socket
	for range 8 {
		c := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
		c.SetNonblock(true)
		c.Connect(at)
		c.Send(make([]byte, 100000), 0)
		socks = append(socks, c)
	}
	for i := range 3 {
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.Send([]byte("unread"), 0)
		switch i {
		case 0:
			s.Shutdown(usock.SHUT_WR)
			socks[0].Shutdown(usock.SHUT_WR)
		case 1:
			s.Close()
		}
	}
	nowhere := mustSocket(t, h, usock.AF_INET6, usock.SOCK_STREAM)
	nowhere.SetNonblock(true)
	nowhere.Connect(mustAddr(t, "[::ffff:127.0.0.1]:9"))
	u := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	u.Bind(mustAddr(t, "127.0.0.1:0"))
	to, _ := u.GetSockName()
	for range 20 {
		u.SendTo(make([]byte, 1000), 0, to)
	}
	u.SetSockOptInt(usock.SOL_UDP, usock.UDP_CORK, 1)
	u.SendTo([]byte("held"), 0, to)
	ping, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, usock.IPPROTO_ICMP)
	if err != nil {
		t.Fatal(err)
	}
	ping.SendTo([]byte{8, 0, 0, 0, 0, 0, 0, 1}, 0, to)
	raw, err := h.Socket(usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_UDP)
	if err != nil {
		t.Fatal(err)
	}
	u.SetSockOptInt(usock.SOL_UDP, usock.UDP_CORK, 0)
	raw.Events()
	p := h.NewPollSet()
	p.Add(u, usock.POLLIN, nil)

	// Calls that wait when the host ends.
	var waiting []chan error
	wait := func(f func() error) {
		done := make(chan error, 1)
		waiting = append(waiting, done)
		go func() { done <- f() }()
	}
	idle := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	idle.SetDeadline(time.Now().Add(time.Hour))
	wait(func() error { _, err := idle.Recv(make([]byte, 1), 0); return err })
	timed := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	timed.SetSockOpt(usock.SOL_SOCKET, usock.SO_RCVTIMEO, append([]byte{0x10, 0x0e}, make([]byte, 14)...))
	wait(func() error { _, err := timed.Recv(make([]byte, 1), 0); return err })
	synctest.Wait() // the calls wait
	t.Cleanup(func() {
		for _, w := range waiting {
			if err := <-w; err == nil {
				t.Error("a call on a closed host succeeded")
			}
		}
	})
}

// TestCloseSocketsLeavesNothing closes sockets, not the host, and lets time pass
// until nothing is left of their connections.
func TestCloseSocketsLeavesNothing(t *testing.T) {
	packet.Track(true)
	defer packet.Track(false)
	blocks := packet.Live()
	clock := new(clock.Manual)
	h := newHost(t, usock.Config{Clock: clock})
	for i := range 50 {
		c, s := pair(t, h, "127.0.0.1:0")
		c.Send(make([]byte, 10*i), 0)
		s.Send(make([]byte, i), 0)
		if i%2 == 0 {
			s.Shutdown(usock.SHUT_WR)
		}
		if i%3 == 0 {
			c.Close()
			s.Close()
		} else {
			s.Close()
			c.Close()
		}
	}
	clock.Advance(10 * time.Minute)
	if n := h.Timers(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
	if n := packet.Live(); n != blocks {
		t.Errorf("%d blocks are left", n-blocks)
	}
	if n := len(h.Sockets()); n != 0 {
		t.Errorf("%d sockets are listed", n)
	}
}
