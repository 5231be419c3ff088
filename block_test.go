package usock_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"usock"
)

// TestFlagsOfWaitingCall: what a receive was asked for holds for the attempt that
// succeeds, not only for the first, which had to wait.
func TestFlagsOfWaitingCall(t *testing.T) {
	kinds := []struct {
		name   string
		stream bool
		pair   func(t *testing.T, h *usock.Host) (a, b *usock.Socket)
	}{
		{"TCP", true, func(t *testing.T, h *usock.Host) (a, b *usock.Socket) { return pair(t, h, "127.0.0.1:0") }},
		{"UDP", false, func(t *testing.T, h *usock.Host) (a, b *usock.Socket) {
			a, b = mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM), mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
			for _, s := range []*usock.Socket{a, b} {
				if err := s.Bind(mustAddr(t, "127.0.0.1:0")); err != nil {
					t.Fatal(err)
				}
			}
			at, _ := a.GetSockName()
			if err := b.Connect(at); err != nil {
				t.Fatal(err)
			}
			return a, b
		}},
		{"UNIX stream", true, unixPair(usock.SOCK_STREAM)},
		{"UNIX datagram", false, unixPair(usock.SOCK_DGRAM)},
		{"UNIX seqpacket", false, unixPair(usock.SOCK_SEQPACKET)},
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, usock.Config{})
				a, b := k.pair(t, h)
				sent := []byte("hello")
				// waited is a receive that has to wait until sent is sent.
				waited := func(p []byte, flags int) int {
					t.Helper()
					done := make(chan struct{})
					var n int
					var err error
					go func() { n, err = a.Recv(p, flags); close(done) }()
					synctest.Wait()
					if _, err := b.Send(sent, 0); err != nil {
						t.Fatal(err)
					}
					<-done
					if err != nil {
						t.Fatal(err)
					}
					return n
				}
				p := make([]byte, 10)
				n := waited(p, usock.MSG_PEEK)
				if !bytes.Equal(p[:n], sent) {
					t.Errorf("peeked at %q", p[:n])
				}
				if n, err := a.Recv(p, usock.MSG_DONTWAIT); err != nil || !bytes.Equal(p[:n], sent) {
					t.Errorf("after MSG_PEEK: %q, %v", p[:n], err)
				}
				if k.stream {
					return
				}
				if n := waited(p[:2], usock.MSG_TRUNC); n != len(sent) {
					t.Errorf("MSG_TRUNC: %d", n)
				}
			})
		})
	}
}

func unixPair(typ int) func(t *testing.T, h *usock.Host) (a, b *usock.Socket) {
	return func(t *testing.T, h *usock.Host) (a, b *usock.Socket) {
		a, b, err := h.SocketPair(usock.AF_UNIX, typ, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a, b
	}
}

// TestOptionMakesRoom: an option that makes room lets the sender that waits go on, and
// poll sets tell it (Linux, sk_write_space).
func TestOptionMakesRoom(t *testing.T) {
	raise := func(level, name, value int) func(t *testing.T, s *usock.Socket) {
		return func(t *testing.T, s *usock.Socket) {
			if err := s.SetSockOptInt(level, name, value); err != nil {
				t.Error(err)
			}
		}
	}
	sndbuf := raise(usock.SOL_SOCKET, usock.SO_SNDBUF, 1<<19)
	forced := raise(usock.SOL_SOCKET, usock.SO_SNDBUFFORCE, 1<<19)
	unsent := raise(usock.SOL_TCP, usock.TCP_NOTSENT_LOWAT, 1<<30)
	tcp := func(t *testing.T, h *usock.Host) (a, b *usock.Socket) { return pair(t, h, "127.0.0.1:0") }
	for _, k := range []struct {
		name string
		pair func(t *testing.T, h *usock.Host) (a, b *usock.Socket)
		make func(t *testing.T, s *usock.Socket)
	}{
		{"TCP", tcp, sndbuf},
		{"TCP, forced", tcp, forced},
		{"TCP, unsent", func(t *testing.T, h *usock.Host) (a, b *usock.Socket) {
			a, b = tcp(t, h)
			raise(usock.SOL_TCP, usock.TCP_NOTSENT_LOWAT, 1)(t, a)
			return a, b
		}, func(t *testing.T, s *usock.Socket) { sndbuf(t, s); unsent(t, s) }},
		{"UNIX stream", unixPair(usock.SOCK_STREAM), sndbuf},
		{"UNIX stream, forced", unixPair(usock.SOCK_STREAM), forced},
		{"UNIX datagram", unixPair(usock.SOCK_DGRAM), sndbuf},
		{"UNIX seqpacket", unixPair(usock.SOCK_SEQPACKET), sndbuf},
	} {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, usock.Config{Privileged: true})
				a, b := k.pair(t, h)
				raise(usock.SOL_SOCKET, usock.SO_RCVBUF, 4096)(t, b)
				raise(usock.SOL_SOCKET, usock.SO_SNDBUF, 8192)(t, a)
				block := make([]byte, 1000)
				for {
					if _, err := a.Send(block, usock.MSG_DONTWAIT); err != nil {
						break
					}
				}
				p := h.NewPollSet()
				defer p.Close()
				if err := p.Add(a, usock.POLLOUT|usock.EPOLLET, nil); err != nil {
					t.Fatal(err)
				}
				var out [1]usock.Event
				ended, end := context.WithCancel(t.Context())
				end() // nothing is waited for
				if n, _ := p.Wait(ended, out[:]); n != 0 {
					t.Fatalf("events %#x", out[0].Events)
				}
				done := make(chan error, 1)
				go func() { _, err := a.Send(block[:1], 0); done <- err }()
				synctest.Wait()
				k.make(t, a)
				synctest.Wait()
				select {
				case err := <-done:
					if err != nil {
						t.Error(err)
					}
				default:
					t.Error("the sender waits on")
					a.Close()
				}
				if n, _ := p.Wait(ended, out[:]); n != 1 || out[0].Events != usock.POLLOUT {
					t.Errorf("%d events, %#x", n, out[0].Events)
				}
			})
		})
	}
}
