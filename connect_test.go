package usock_test

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

// slowHosts returns two hosts, 10.0.0.1 and 10.0.0.2, with 10 ms between them each way.
func slowHosts(t *testing.T) (a, b *usock.Host) {
	t.Helper()
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	slow := link.Impairment{Delay: 10 * time.Millisecond}
	far, err := link.Impair(x, link.ImpairConfig{Out: slow, In: slow})
	if err != nil {
		t.Fatal(err)
	}
	a = newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: far, Addrs: prefixes("10.0.0.1/24")}}})
	b = newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24")}}})
	return a, b
}

// begin makes a non-blocking socket of h that has begun to connect to the address.
func begin(t *testing.T, h *usock.Host, to string) *usock.Socket {
	t.Helper()
	s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM|usock.SOCK_NONBLOCK)
	if err := s.FinishConnect(); err != syscall.ENOTCONN {
		t.Errorf("before connect: %v", err)
	}
	if err := s.Connect(mustAddr(t, to)); err != syscall.EINPROGRESS {
		t.Fatalf("connect: %v", err)
	}
	return s
}

// ready waits for an event of mask on s, which is non-blocking.
func ready(t *testing.T, s *usock.Socket, mask usock.Events) usock.Events {
	t.Helper()
	p := s.Host().NewPollSet()
	defer p.Close()
	if err := p.Add(s, mask, nil); err != nil {
		t.Fatal(err)
	}
	var out [1]usock.Event
	if _, err := p.Wait(t.Context(), out[:]); err != nil {
		t.Fatal(err)
	}
	return out[0].Events
}

func TestFinishConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := slowHosts(t)
		l := mustSocket(t, b, usock.AF_INET, usock.SOCK_STREAM)
		to := mustAddr(t, "10.0.0.2:7000")
		if err := l.Bind(to); err != nil {
			t.Fatal(err)
		}
		l.Listen(10)
		expect := func(what string, err, want error) {
			t.Helper()
			if err != want {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}

		s := begin(t, a, "10.0.0.2:7000")
		expect("under way", s.FinishConnect(), syscall.EALREADY)
		expect("still under way", s.FinishConnect(), syscall.EALREADY)
		if ev := ready(t, s, usock.POLLOUT); ev != usock.POLLOUT {
			t.Fatalf("events %#x", ev)
		}
		expect("made", s.FinishConnect(), nil)
		expect("made, again", s.FinishConnect(), nil)
		expect("connect", s.Connect(to), syscall.EISCONN)
		c, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		expect("accepted", c.FinishConnect(), nil)
		expect("a listener", l.FinishConnect(), syscall.ENOTCONN)

		// What ends the connection later is no failure of the attempt.
		c.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		c.Close()
		ready(t, s, usock.POLLIN)
		expect("reset since", s.FinishConnect(), nil)
		if _, err := s.Recv(make([]byte, 1), 0); err != syscall.ECONNRESET {
			t.Errorf("receive: %v", err)
		}
		s.Close()
		expect("closed", s.FinishConnect(), syscall.EBADF)
	})
}

func TestFinishConnectFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := slowHosts(t)
		refused := func() *usock.Socket {
			s := begin(t, a, "10.0.0.2:9")
			if ev := ready(t, s, usock.POLLOUT); ev&usock.POLLERR == 0 {
				t.Fatalf("events %#x", ev)
			}
			return s
		}
		s := refused()
		if err := s.FinishConnect(); err != syscall.ECONNREFUSED {
			t.Errorf("%v, want ECONNREFUSED", err)
		}
		if err := s.FinishConnect(); err != syscall.ENOTCONN {
			t.Errorf("told twice: %v", err)
		}
		if e, err := s.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ERROR); e != 0 || err != nil {
			t.Errorf("SO_ERROR is %d after the error was told (%v)", e, err)
		}

		// The socket can connect again: the attempt after a failure that was told.
		l := mustSocket(t, b, usock.AF_INET, usock.SOCK_STREAM)
		to := mustAddr(t, "10.0.0.2:7000")
		l.Bind(to)
		l.Listen(1)
		if err := s.Connect(to); err != syscall.EINPROGRESS {
			t.Errorf("connect after a failure: %v", err)
		}
		ready(t, s, usock.POLLOUT)
		if err := s.FinishConnect(); err != nil {
			t.Errorf("second attempt: %v", err)
		}

		s = refused()
		if e, _ := s.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ERROR); syscall.Errno(e) != syscall.ECONNREFUSED {
			t.Errorf("SO_ERROR is %v", syscall.Errno(e))
		}
		if err := s.FinishConnect(); err != syscall.ECONNABORTED {
			t.Errorf("after SO_ERROR: %v, want ECONNABORTED", err)
		}
		if err := s.FinishConnect(); err != syscall.ENOTCONN {
			t.Errorf("after ECONNABORTED: %v", err)
		}

		// Of a connect that has waited in vain, the outcome was told by itself.
		s = mustSocket(t, a, usock.AF_INET, usock.SOCK_STREAM)
		if err := s.Connect(mustAddr(t, "10.0.0.2:9")); err != syscall.ECONNREFUSED {
			t.Errorf("connect: %v", err)
		}
		if err := s.FinishConnect(); err != syscall.ENOTCONN {
			t.Errorf("after a connect that was refused: %v", err)
		}

		s = begin(t, a, "10.0.0.2:9")
		s.Shutdown(usock.SHUT_RDWR)
		if err := s.FinishConnect(); err != syscall.ENOTCONN {
			t.Errorf("after a shutdown in SYN-SENT: %v", err)
		}
	})
}

// TestFinishConnectAtOnce is about protocols whose connect has no delay.
func TestFinishConnectAtOnce(t *testing.T) {
	h := newHost(t, usock.Config{})
	u := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
	finish := func(s *usock.Socket, want error) {
		t.Helper()
		if err := s.FinishConnect(); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	finish(u, syscall.ENOTCONN)
	u.SetSockOptInt(usock.SOL_IP, usock.IP_RECVERR, 1)
	if err := u.Connect(mustAddr(t, "127.0.0.1:9")); err != nil {
		t.Fatal(err)
	}
	finish(u, nil)
	u.Send([]byte("x"), 0) // refused: an error in the queue, and a pending one
	finish(u, nil)
	if e, _ := u.GetSockOptInt(usock.SOL_SOCKET, usock.SO_ERROR); syscall.Errno(e) != syscall.ECONNREFUSED {
		t.Errorf("the pending error is %v", syscall.Errno(e))
	}
	u.Connect(usock.Addr{})
	finish(u, syscall.ENOTCONN)

	for _, typ := range []int{usock.SOCK_STREAM, usock.SOCK_DGRAM, usock.SOCK_SEQPACKET} {
		finish(mustSocket(t, h, usock.AF_UNIX, typ), syscall.ENOTCONN)
		a, b, err := h.SocketPair(usock.AF_UNIX, typ, 0)
		if err != nil {
			t.Fatal(err)
		}
		finish(a, nil)
		b.Close()
		finish(a, nil)
	}
}
