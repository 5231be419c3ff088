//go:build !race

package usock_test

import (
	"errors"
	"runtime/debug"
	"syscall"
	"testing"

	"usock"
)

// A flood that fills the receive buffer again and again, and is received each time, takes no memory
// but what is used again: no allocation a datagram, nor bytes of one that is larger. (The race
// detector has sync.Pool drop what it is given.)
func TestFloodAllocatesNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		rcvbuf int // of SO_RCVBUF, in bytes; 0: the default
		size   int // of a datagram
		least  int // datagrams that fill the buffer
	}{
		{"default buffer", 0, 64, 300},
		{"large buffer", 8 << 20, 64, 10000},
		{"large datagrams", 8 << 20, 1400, 3000},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, usock.Config{Capable: func(int) bool { return true }})
			s := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
			from := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
			to := mustAddr(t, "127.0.0.1:6000")
			if err := errors.Join(s.Bind(to), from.Connect(to)); err != nil {
				t.Fatal(err)
			}
			if c.rcvbuf != 0 {
				if err := s.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUFFORCE, c.rcvbuf); err != nil {
					t.Fatal(err)
				}
			}
			b := make([]byte, c.size)
			sent := 0
			burst := func(n int) (got int) {
				for range n {
					if _, err := from.Send(b, 0); err != nil {
						t.Fatal(err)
					}
					sent++
				}
				for {
					n, err := s.Recv(b, usock.MSG_DONTWAIT)
					if err == syscall.EAGAIN {
						return got
					}
					if err != nil || n != c.size {
						t.Fatalf("received %d bytes, %v", n, err)
					}
					got++
				}
			}
			full := burst(40000)
			t.Logf("%d datagrams fill the buffer", full)
			if full < c.least || full == 40000 {
				t.Fatalf("%d datagrams fill the buffer", full)
			}

			// A collection empties pools: what it costs is no datagram's.
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			n := testing.AllocsPerRun(20, func() {
				if got := burst(full + 10); got != full {
					t.Errorf("received %d of a burst, want %d", got, full)
				}
			})
			if n > 0 {
				t.Errorf("%.0f allocations for %d datagrams", n, full)
			}
		})
	}
}
