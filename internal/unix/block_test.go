package unix

import (
	"bytes"
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/packet"
)

// blocking runs f in a bubble of virtual time with a host, and checks that
// nothing is left of it.
func blocking(t *testing.T, f func(t *testing.T, u *user)) {
	t.Helper()
	packet.Track(true)
	defer packet.Track(false)
	before := packet.Live()
	synctest.Test(t, func(t *testing.T) {
		u := newUser(Cred{1, 2, 3}, false)
		f(t, u)
		u.closeAll()
		u.end()
	})
	if n := packet.Live(); n != before {
		t.Errorf("%d blocks are left", n-before)
	}
}

// make returns a blocking socket.
func (u *user) make(t *testing.T, typ int) *socket.Socket {
	t.Helper()
	s, err := u.open(typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.SetNonblock(false)
	return s
}

func (u *user) makePair(t *testing.T, typ int) (a, b *socket.Socket) {
	t.Helper()
	a, b = u.make(t, typ), u.make(t, typ)
	u.h.Enter()
	Pair(a, b)
	u.h.Leave()
	return a, b
}

func (u *user) listener(t *testing.T, typ, backlog int) *socket.Socket {
	t.Helper()
	l := u.make(t, typ)
	if err := errors.Join(l.Bind(u.addr("p:l")), l.Listen(backlog)); err != nil {
		t.Fatal(err)
	}
	return l
}

// waits starts f and checks that it does not return by itself. The returned
// function checks that it has returned, and what.
func waits(t *testing.T, f func() error) (returned func(want error)) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	synctest.Wait()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	return func(want error) {
		t.Helper()
		synctest.Wait()
		select {
		case err := <-done:
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		default:
			t.Fatal("still waits")
		}
	}
}

func send(s *socket.Socket, p []byte) error {
	n, err := s.Send(background, p, &socket.Msg{})
	if err == nil && n != len(p) {
		return errors.New("short send")
	}
	return err
}

func recv(s *socket.Socket, n int) (string, error) {
	p := make([]byte, n)
	n, err := s.Recv(background, p, &socket.Msg{})
	return string(p[:n]), err
}

func TestRecvWaits(t *testing.T) {
	for _, typ := range []int{abi.SOCK_STREAM, abi.SOCK_DGRAM, abi.SOCK_SEQPACKET} {
		blocking(t, func(t *testing.T, u *user) {
			a, b := u.makePair(t, typ)
			var got string
			read := func() (err error) { got, err = recv(a, 10); return err }
			done := waits(t, read)
			if err := send(b, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if done(nil); got != "hello" {
				t.Errorf("got %q", got)
			}
			done = waits(t, read)
			if err := a.Shutdown(abi.SHUT_RD); err != nil {
				t.Fatal(err)
			}
			if done(nil); got != "" {
				t.Errorf("got %q after shutdown", got)
			}
		})
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	blocking(t, func(t *testing.T, u *user) {
		a, b := u.makePair(t, abi.SOCK_STREAM)
		own := waits(t, func() error { _, err := recv(a, 1); return err })
		peer := waits(t, func() error {
			s, err := recv(b, 1)
			if s != "" {
				t.Errorf("got %q", s)
			}
			return err
		})
		a.Close()
		own(syscall.EBADF)
		peer(nil)

		l := u.listener(t, abi.SOCK_STREAM, 1)
		accept := waits(t, func() error { _, err := l.Accept(background); return err })
		l.Close()
		accept(syscall.EBADF)
	})
}

func TestSendWaitsForRoom(t *testing.T) {
	blocking(t, func(t *testing.T, u *user) {
		a, b := u.makePair(t, abi.SOCK_STREAM)
		data := make([]byte, 3<<20)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		done := waits(t, func() error { return send(a, data) })
		if ev := a.Ready(); ev != 0 {
			t.Errorf("a full socket is ready for %v", ev)
		}
		var got []byte
		for len(got) < len(data) {
			s, err := recv(b, 50_000)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, s...)
		}
		done(nil)
		if !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		fill := waits(t, func() error { _, err := a.Send(background, data, &socket.Msg{}); return err })
		b.Close()
		fill(nil) // some of it was taken
		if err := send(a, data); err != syscall.EPIPE {
			t.Errorf("got %v", err)
		}
	})
}

func TestConnectWaitsForBacklog(t *testing.T) {
	blocking(t, func(t *testing.T, u *user) {
		l := u.listener(t, abi.SOCK_SEQPACKET, 0)
		connect := func() error {
			s := u.make(t, abi.SOCK_SEQPACKET)
			return s.Connect(background, u.addr("p:l"))
		}
		if err := connect(); err != nil {
			t.Fatal(err)
		}
		first, second := waits(t, connect), waits(t, connect)
		for range 3 {
			if _, err := l.Accept(background); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		first(nil)
		second(nil)
		if err := connect(); err != nil {
			t.Fatal(err)
		}
		refused := waits(t, connect)
		l.Close()
		refused(syscall.ECONNREFUSED)

		l = u.make(t, abi.SOCK_STREAM)
		if err := errors.Join(l.Bind(u.addr("a:m")), l.Listen(0)); err != nil {
			t.Fatal(err)
		}
		c := u.make(t, abi.SOCK_STREAM)
		if err := c.Connect(background, u.addr("a:m")); err != nil {
			t.Fatal(err)
		}
		c = u.make(t, abi.SOCK_STREAM)
		if err := c.SetOpt(abi.SOL_SOCKET, abi.SO_SNDTIMEO, abi.AppendTimeval(nil, time.Second)); err != nil {
			t.Fatal(err)
		}
		timed := waits(t, func() error { return c.Connect(background, u.addr("a:m")) })
		time.Sleep(time.Second)
		timed(syscall.EAGAIN)
	})
}

func TestDatagramWaitsForReceiver(t *testing.T) {
	blocking(t, func(t *testing.T, u *user) {
		s := u.make(t, abi.SOCK_DGRAM)
		if err := s.Bind(u.addr("p:s")); err != nil {
			t.Fatal(err)
		}
		a, b := u.make(t, abi.SOCK_DGRAM), u.make(t, abi.SOCK_DGRAM)
		to := func(s *socket.Socket) error {
			_, err := s.Send(background, []byte("x"), &socket.Msg{HasAddr: true, Addr: u.addr("p:s")})
			return err
		}
		for range maxDatagrams + 1 {
			if err := to(a); err != nil {
				t.Fatal(err)
			}
		}
		first, second := waits(t, func() error { return to(a) }), waits(t, func() error { return to(b) })
		for range 2 {
			if _, err := recv(s, 1); err != nil {
				t.Fatal(err)
			}
		}
		first(nil)
		second(nil)
		refused := waits(t, func() error { return to(b) })
		b.SetWriteDeadline(time.Now().Add(time.Minute))
		time.Sleep(time.Minute)
		refused(os.ErrDeadlineExceeded)
		b.SetWriteDeadline(time.Time{})
		refused = waits(t, func() error { return to(b) })
		s.Close()
		refused(syscall.ECONNREFUSED)
	})
}

// A sender that gives up and closes leaves nothing at the receiver that it waited
// for.
func TestWaitersAreForgotten(t *testing.T) {
	blocking(t, func(t *testing.T, u *user) {
		s := u.make(t, abi.SOCK_DGRAM)
		if err := s.Bind(u.addr("p:s")); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			a := u.make(t, abi.SOCK_DGRAM)
			_, err := a.Send(background, []byte("x"), &socket.Msg{
				HasAddr: true, Addr: u.addr("p:s"), Flags: abi.MSG_DONTWAIT,
			})
			if err != nil && err != syscall.EAGAIN {
				t.Fatal(err)
			}
			a.Close()
		}
		if n := len(pcb(s).waiters); n != 0 {
			t.Errorf("%d senders are remembered", n)
		}
	})
}

func TestLowWater(t *testing.T) {
	blocking(t, func(t *testing.T, u *user) {
		a, b := u.makePair(t, abi.SOCK_STREAM)
		if err := b.SetOpt(abi.SOL_SOCKET, abi.SO_RCVLOWAT, abi.AppendInt(nil, 4)); err != nil {
			t.Fatal(err)
		}
		if err := send(a, []byte("abc")); err != nil {
			t.Fatal(err)
		}
		var got string
		done := waits(t, func() (err error) { got, err = recv(b, 10); return err })
		if err := send(a, []byte("d")); err != nil {
			t.Fatal(err)
		}
		if done(nil); got != "abcd" {
			t.Errorf("got %q", got)
		}
		done = waits(t, func() (err error) { got, err = recv(b, 10); return err })
		if err := send(a, []byte("ef")); err != nil {
			t.Fatal(err)
		}
		a.Close()
		if done(nil); got != "ef" {
			t.Errorf("got %q", got)
		}
	})
}

func TestContextEndsWaiting(t *testing.T) {
	blocking(t, func(t *testing.T, u *user) {
		a, _ := u.makePair(t, abi.SOCK_STREAM)
		ctx, cancel := context.WithCancel(background)
		done := waits(t, func() error {
			_, err := a.Recv(ctx, make([]byte, 1), &socket.Msg{})
			return err
		})
		cancel()
		done(context.Canceled)
	})
}

// A steady exchange allocates nothing.
func TestAllocations(t *testing.T) {
	u := newUser(Cred{}, false)
	defer u.end()
	a, b := u.makePair(t, abi.SOCK_STREAM)
	defer a.Close()
	defer b.Close()
	in, out := &socket.Msg{}, &socket.Msg{}
	p := []byte("hello")
	q := make([]byte, 10)
	n := testing.AllocsPerRun(1000, func() {
		a.Send(background, p, in)
		b.Recv(background, q, out)
	})
	if n > 0 {
		t.Errorf("%v allocations a message", n)
	}
}
