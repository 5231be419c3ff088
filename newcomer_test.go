package usock

import (
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// connected returns both ends of a connection from h to its listener l.
func connected(t *testing.T, h *Host, l net.Listener) (client, server *TCPConn) {
	t.Helper()
	c, err := h.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*TCPConn), s.(*TCPConn)
}

// Who needs the whole host gets it beside connections that keep all processors busy.
func TestNewcomerBesideTraffic(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))))
	h, err := NewHost(Config{})
	if err != nil {
		t.Fatal(err)
	}
	var traffic sync.WaitGroup
	defer traffic.Wait() // blocks are counted by the next test
	defer h.Close()
	l, err := h.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		c, s := connected(t, h, l)
		traffic.Go(func() { io.Copy(s, s) })
		traffic.Go(func() {
			for b := []byte{1}; ; {
				if _, err := c.Write(b); err != nil {
					return
				}
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		})
	}

	const calls = 200
	begin := time.Now()
	var took []time.Duration
	for len(took) < calls {
		at := time.Now()
		c, err := h.Dial("udp", "127.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		took = append(took, time.Since(at))
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d of %d sockets were opened, connected and closed in 20 s", len(took), calls)
		}
	}
	slices.Sort(took)
	t.Logf("median %v, slowest %v", took[calls/2], took[calls-1])
}
