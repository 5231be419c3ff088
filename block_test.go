package usock_test

import (
	"bytes"
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
