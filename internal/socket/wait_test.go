package socket

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/abi"
	"usock/internal/wait"
	"usock/packet"
)

// done is what became of a call on another goroutine.
type done struct {
	n   int
	err error
}

// begin runs a call on another goroutine and returns once it is over or waits.
func begin(f func() (int, error)) chan done {
	c := make(chan done, 1)
	go func() {
		n, err := f()
		c <- done{n, err}
	}()
	synctest.Wait()
	return c
}

// still reports whether the call waits.
func still(c chan done) bool { synctest.Wait(); return len(c) == 0 }

func receiveText(s *Socket, n int, m *Msg) (string, error) {
	b := make([]byte, n)
	n, err := s.Recv(noContext, b, m)
	return string(b[:min(n, len(b))]), err
}

// waitingCall is a call that waits where there is nothing to do.
type waitingCall struct {
	name string
	call func(context.Context, *Socket, int) (int, error)
	read bool
}

var waitingCalls = []waitingCall{
	{"recv", func(ctx context.Context, s *Socket, flags int) (int, error) {
		return s.Recv(ctx, make([]byte, 8), &Msg{Flags: flags})
	}, true},
	{"send", func(ctx context.Context, s *Socket, flags int) (int, error) {
		return s.Send(ctx, []byte("data"), &Msg{Flags: flags})
	}, false},
	{"accept", func(ctx context.Context, s *Socket, _ int) (int, error) {
		_, err := s.Accept(ctx)
		return 0, err
	}, true},
	{"recvviews", func(ctx context.Context, s *Socket, flags int) (int, error) {
		return 0, s.RecvViews(ctx, 8, &Msg{Flags: flags})
	}, true},
	{"sendviews", func(ctx context.Context, s *Socket, flags int) (int, error) {
		v := packet.Copy([]byte("data"))
		defer v.Release()
		return s.SendViews(ctx, []packet.View{v}, &Msg{Flags: flags})
	}, false},
	{"poll", func(ctx context.Context, s *Socket, _ int) (int, error) {
		_, err := s.Poll(ctx, wait.In)
		return 0, err
	}, true},
}

// The ways in which a call that has nothing to do may end, of each direction.
func TestEndsOfWaiting(t *testing.T) {
	for _, c := range []struct {
		name  string
		read  bool // of those that receive alone
		write bool
		flags int
		set   func(*Socket)
		after time.Duration // how long the call waits; 0: not at all; negative: for ever
		err   error
	}{
		{"nothing", true, true, 0, func(*Socket) {}, -1, nil},
		{"non-blocking", true, true, 0, func(s *Socket) { s.SetNonblock(true) }, 0, syscall.EAGAIN},
		{"non-blocking from the start", true, true, 0, func(s *Socket) { s.InitNonblock() }, 0, syscall.EAGAIN},
		{"blocking again", true, true, 0, func(s *Socket) { s.SetNonblock(true); s.SetNonblock(false) }, -1, nil},
		{"a time to receive", true, false, 0, func(s *Socket) { s.SetTimeo(3*time.Second, 0) }, 3 * time.Second, syscall.EAGAIN},
		{"a time to receive, of others", false, true, 0, func(s *Socket) { s.SetTimeo(3*time.Second, 0) }, -1, nil},
		{"a time to send", false, true, 0, func(s *Socket) { s.SetTimeo(0, 3*time.Second) }, 3 * time.Second, syscall.EAGAIN},
		{"a time to send, of others", true, false, 0, func(s *Socket) { s.SetTimeo(0, 3*time.Second) }, -1, nil},
		{"no time at all", true, true, 0, func(s *Socket) { s.SetTimeo(-1, -1) }, 0, syscall.EAGAIN},
		{"a deadline", true, true, 0, func(s *Socket) { s.SetDeadline(time.Now().Add(2 * time.Second)) }, 2 * time.Second, os.ErrDeadlineExceeded},
		{"a deadline to read", true, false, 0, func(s *Socket) { s.SetReadDeadline(time.Now().Add(2 * time.Second)) }, 2 * time.Second, os.ErrDeadlineExceeded},
		{"a deadline to write", true, false, 0, func(s *Socket) { s.SetWriteDeadline(time.Now().Add(2 * time.Second)) }, -1, nil},
		{"a deadline to write, of sends", false, true, 0, func(s *Socket) { s.SetWriteDeadline(time.Now().Add(2 * time.Second)) }, 2 * time.Second, os.ErrDeadlineExceeded},
		{"a deadline that has passed", true, true, 0, func(s *Socket) { s.SetDeadline(time.Now().Add(-time.Second)) }, 0, os.ErrDeadlineExceeded},
		{"a deadline that passes now", true, true, 0, func(s *Socket) { s.SetDeadline(time.Now()) }, 0, os.ErrDeadlineExceeded},
		{"a deadline that is taken off", true, true, 0, func(s *Socket) { s.SetDeadline(time.Now().Add(-time.Second)); s.SetDeadline(time.Time{}) }, -1, nil},
		{"a deadline and a longer time", true, true, 0, func(s *Socket) {
			s.SetTimeo(3*time.Second, 3*time.Second)
			s.SetDeadline(time.Now().Add(2 * time.Second))
		}, 2 * time.Second, os.ErrDeadlineExceeded},
		{"a time and a later deadline", true, true, 0, func(s *Socket) {
			s.SetTimeo(time.Second, time.Second)
			s.SetDeadline(time.Now().Add(2 * time.Second))
		}, time.Second, syscall.EAGAIN},
		{"closed", true, true, 0, func(s *Socket) { s.Close() }, 0, syscall.EBADF},
	} {
		for _, k := range waitingCalls {
			if k.read && !c.read || !k.read && !c.write || k.name == "poll" && (c.err == syscall.EAGAIN || strings.Contains(c.name, "a time")) {
				continue // O_NONBLOCK and the socket's times are not about poll
			}
			synctest.Test(t, func(t *testing.T) {
				s := newFake(t, stream())
				c.set(s)
				began := time.Now()
				call := begin(func() (int, error) { return k.call(noContext, s, c.flags) })
				if waits := len(call) == 0; waits != (c.after != 0) {
					t.Errorf("%s, %s: waits %v", c.name, k.name, waits)
				}
				if c.after >= 0 {
					d := <-call
					if !errors.Is(d.err, c.err) || time.Since(began) != c.after || d.n > 0 {
						t.Errorf("%s, %s: %d, %v after %v, want %v after %v", c.name, k.name, d.n, d.err, time.Since(began), c.err, c.after)
					}
				} else {
					time.Sleep(time.Hour)
					if !still(call) {
						t.Errorf("%s, %s: over without reason", c.name, k.name)
						return
					}
					s.Close()
					if d := <-call; d.err != syscall.EBADF {
						t.Errorf("%s, %s: closed: %v", c.name, k.name, d.err)
					}
				}
				s.Host.Enter()
				if n := s.Host.Host().Timers(); n > 2 || c.after == 3*time.Second && n != 0 {
					t.Errorf("%s, %s: %d timers are left", c.name, k.name, n)
				}
				if s.Waited() {
					t.Errorf("%s, %s: something is left in the queue", c.name, k.name)
				}
				s.Host.Leave()
				s.Close()
			})
		}
	}
}

// A context that ends has a call return its cause.
func TestContextEndsWaiting(t *testing.T) {
	cause := errors.New("cause")
	for _, k := range waitingCalls {
		synctest.Test(t, func(t *testing.T) {
			s := newFake(t, stream())
			defer s.Close()
			ctx, cancel := context.WithCancelCause(t.Context())
			call := begin(func() (int, error) { return k.call(ctx, s, 0) })
			time.Sleep(time.Hour)
			if !still(call) {
				t.Errorf("%s: over without reason", k.name)
			}
			cancel(cause)
			if d := <-call; d.err != cause {
				t.Errorf("%s: %v", k.name, d.err)
			}
			if _, err := k.call(ctx, s, 0); err != cause {
				t.Errorf("%s, cancelled before: %v", k.name, err)
			}
			if k.name == "accept" || k.name == "poll" {
				return
			}
			if _, err := k.call(noContext, s, abi.MSG_DONTWAIT); err != syscall.EAGAIN {
				t.Errorf("%s: MSG_DONTWAIT: %v", k.name, err)
			}
		})
	}
}

// Poll waits whatever O_NONBLOCK and the socket's times say (poll(2)).
func TestPollWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stream()
		s := newFake(t, f)
		s.SetNonblock(true)
		s.SetTimeo(time.Second, -1)
		call := begin(func() (int, error) {
			ev, err := s.Poll(noContext, wait.In)
			return int(ev), err
		})
		time.Sleep(time.Hour)
		if !still(call) {
			t.Fatal("over without reason")
		}
		s.change(wait.In, func() { f.in = []string{"data"} })
		if d := <-call; wait.Events(d.n) != wait.In || d.err != nil {
			t.Errorf("%+v", d)
		}
		s.Close()
	})
}

// A call that waits goes on as soon as it can, and one with a deadline that is moved away or near ends
// by the one that holds.
func TestWaitingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stream()
		s := newFake(t, f)
		defer s.Close()
		r := begin(func() (int, error) { return s.Recv(noContext, make([]byte, 8), &Msg{}) })
		s.change(wait.Out, func() {})
		if !still(r) {
			t.Fatal("a receive ends by room to send")
		}
		s.change(wait.In, func() { f.in = []string{"data"} })
		if d := <-r; d.n != 4 || d.err != nil {
			t.Errorf("%+v", d)
		}
		w := begin(func() (int, error) { return s.Send(noContext, []byte("datagram"), &Msg{}) })
		s.change(wait.In, func() {})
		if !still(w) {
			t.Fatal("a send ends by data to receive")
		}
		for range 2 {
			s.change(wait.Out, func() { f.room = 3 })
			if !still(w) {
				t.Fatal("a send ends before all is sent")
			}
		}
		s.change(wait.Out, func() { f.room = 3 })
		if d := <-w; d.n != 8 || d.err != nil || strings.Join(f.sent, "|") != "dat|agr|am" {
			t.Errorf("%+v, %q", d, f.sent)
		}

		s.SetReadDeadline(time.Now().Add(time.Hour))
		r = begin(func() (int, error) { return s.Recv(noContext, make([]byte, 8), &Msg{}) })
		began := time.Now()
		s.SetReadDeadline(time.Now().Add(3 * time.Second))
		if d := <-r; !errors.Is(d.err, os.ErrDeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("%+v after %v", d, time.Since(began))
		}
		s.SetReadDeadline(time.Now().Add(3 * time.Second))
		r = begin(func() (int, error) { return s.Recv(noContext, make([]byte, 8), &Msg{}) })
		s.SetReadDeadline(time.Time{})
		time.Sleep(time.Hour)
		if !still(r) {
			t.Fatal("a deadline holds that was taken off")
		}
		s.SetReadDeadline(time.Now().Add(-time.Hour))
		if d := <-r; !errors.Is(d.err, os.ErrDeadlineExceeded) {
			t.Errorf("%+v", d)
		}
	})
}

// Of several who wait to receive one goes on for each event, and what it leaves over is the next one's.
func TestWaitingTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := record()
		s := newFake(t, f)
		var mu sync.Mutex
		var all []string
		for i := range 4 {
			go func() {
				text, err := receiveText(s, 8, &Msg{})
				mu.Lock()
				defer mu.Unlock()
				all = append(all, fmt.Sprint(i, text, err))
			}()
			synctest.Wait()
		}
		over := func() []string { // in the order in which they began: who is over first is nobody's business
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Sorted(slices.Values(all))
		}
		s.change(wait.In, func() { f.in = append(f.in, "a") })
		if want := []string{"0a<nil>"}; !slices.Equal(over(), want) {
			t.Errorf("%q, want %q", over(), want)
		}
		s.change(wait.In, func() { f.in = append(f.in, "b", "c") }) // one event for two records
		if want := []string{"0a<nil>", "1b<nil>", "2c<nil>"}; !slices.Equal(over(), want) {
			t.Errorf("%q, want %q", over(), want)
		}
		s.Close()
		if want := fmt.Sprint(3, "", syscall.EBADF); len(over()) != 4 || over()[3] != want {
			t.Errorf("%q, want %q", over(), want)
		}
	})
}

// Connecting waits for the outcome, says that it is under way where it does not wait, and why it has
// waited where the time is up (connect(2)).
func TestConnectWaits(t *testing.T) {
	under := func(last error) func(int) error {
		return func(tries int) error {
			switch tries {
			case 1:
				return syscall.EINPROGRESS
			case 2:
				return syscall.EALREADY
			}
			return last
		}
	}
	for _, c := range []struct {
		name string
		conn func(int) error
		set  func(*Socket)
		wake int // how often the socket is told of something
		err  error
	}{
		{"at once", func(int) error { return nil }, func(*Socket) {}, 0, nil},
		{"refused at once", func(int) error { return syscall.ECONNREFUSED }, func(*Socket) {}, 0, syscall.ECONNREFUSED},
		{"connected before", func(int) error { return syscall.EISCONN }, func(*Socket) {}, 0, syscall.EISCONN},
		{"connected later, told so", under(nil), func(*Socket) {}, 2, nil},
		{"refused later", under(syscall.ECONNREFUSED), func(*Socket) {}, 2, syscall.ECONNREFUSED},
		{"non-blocking", under(nil), func(s *Socket) { s.SetNonblock(true) }, 0, syscall.EINPROGRESS},
		{"the time is up", func(int) error { return syscall.EINPROGRESS }, func(s *Socket) { s.SetTimeo(0, time.Second) }, 0, syscall.EINPROGRESS},
		{"under way already", func(int) error { return syscall.EALREADY }, func(s *Socket) { s.SetTimeo(0, time.Second) }, 0, syscall.EALREADY},
		{"the time is up after a while", under(syscall.EALREADY), func(s *Socket) { s.SetTimeo(0, time.Second) }, 1, syscall.EINPROGRESS},
		{"a deadline", under(syscall.EALREADY), func(s *Socket) { s.SetWriteDeadline(time.Now().Add(time.Second)) }, 0, os.ErrDeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := stream()
			f.conn = c.conn
			s := newFake(t, f)
			defer s.Close()
			c.set(s)
			call := begin(func() (int, error) { return 0, s.Connect(noContext, abi.Addr{}) })
			for range c.wake {
				if !still(call) {
					t.Errorf("%s: does not wait", c.name)
				}
				s.change(wait.Out, func() {})
			}
			if d := <-call; !errors.Is(d.err, c.err) {
				t.Errorf("%s: %v, want %v", c.name, d.err, c.err)
			}
		})
	}
}

// finisher is a stream whose connects end later.
type finisher struct {
	*fake
	outcome error
}

func (f *finisher) FinishConnect(*Socket, bool) error { return f.outcome }

// What became of a connect can be asked without beginning another one.
func TestFinishConnect(t *testing.T) {
	f := &finisher{stream(), syscall.EALREADY}
	s := newFake(t, f)
	if err := s.FinishConnect(); err != syscall.EALREADY {
		t.Error(err)
	}
	f.outcome = nil
	if err := s.FinishConnect(); err != nil {
		t.Error(err)
	}
	s.Close()
	if err := s.FinishConnect(); err != syscall.EBADF {
		t.Error(err)
	}
	r := record()
	s = newFake(t, r)
	if err := s.FinishConnect(); err != syscall.ENOTCONN {
		t.Error(err)
	}
	r.hasPeer = true
	if err := s.FinishConnect(); err != nil || r.tries != 0 {
		t.Error(err)
	}
}

// lingerer is a stream with data under way.
type lingerer struct {
	*fake
	left bool
}

func (l *lingerer) Linger(*Socket) bool { l.calls = append(l.calls, "linger"); return l.left }

// Closing waits for what is under way, for as long as SO_LINGER says; a socket that does not wait
// lingers all the same (Linux, inet_release).
func TestCloseLingers(t *testing.T) {
	for _, c := range []struct {
		name   string
		linger int32
		left   bool
		set    func(*Socket)
		after  time.Duration // how long it takes where nothing comes
		calls  string
	}{
		{"not asked", -1, true, func(*Socket) {}, 0, "close"},
		{"for no time", 0, true, func(*Socket) {}, 0, "close"},
		{"off, the time is kept", -4, true, func(*Socket) {}, 0, "close"},
		{"nothing is under way", 3, false, func(*Socket) {}, 0, "linger close"},
		{"the time is up", 3, true, func(*Socket) {}, 3 * time.Second, "linger linger close"},
		{"non-blocking", 3, true, func(s *Socket) { s.SetNonblock(true) }, 3 * time.Second, "linger linger close"},
		{"with a deadline that has passed", 3, true, func(s *Socket) { s.SetDeadline(time.Now().Add(-1)) }, 3 * time.Second, "linger linger close"},
		{"with another limit", 3, true, func(s *Socket) { s.SetTimeo(0, time.Second) }, 3 * time.Second, "linger linger close"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &lingerer{stream(), c.left}
			s := newFake(t, l)
			s.Opt.Linger = c.linger
			c.set(s)
			began := time.Now()
			if err := s.Close(); err != nil || time.Since(began) != c.after || strings.Join(l.calls, " ") != c.calls {
				t.Errorf("%s: %v after %v, %q, want %v, %q", c.name, err, time.Since(began), l.calls, c.after, c.calls)
			}
			if err := s.Close(); err != syscall.EBADF || time.Since(began) != c.after {
				t.Errorf("%s: closed twice: %v", c.name, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		l := &lingerer{stream(), true}
		s := newFake(t, l)
		s.Opt.Linger = 3
		call := begin(func() (int, error) { return 0, s.Close() })
		if !still(call) {
			t.Error("does not wait")
		}
		began := time.Now()
		s.change(wait.Out, func() { l.left = false })
		if d := <-call; d.err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", d.err, time.Since(began))
		}
	})
	s := newFake(t, record()) // what cannot linger does not
	s.Opt.Linger = 100
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
