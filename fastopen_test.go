package usock_test

import (
	"syscall"
	"testing"

	"usock"
	"usock/internal/wire"
	"usock/link"
)

// recorder is a link that shows the TCP headers of what is sent.
type recorder struct {
	link.Direct
	sent func(h wire.TCP, data int)
}

func (r recorder) Send(batch []*link.Packet) int {
	for _, p := range batch {
		b := p.AppendTo(nil)
		if _, n, err := wire.ParseIPv4(b); err == nil {
			if h, k, err := wire.ParseTCP(b[n:]); err == nil {
				r.sent(h, len(b)-n-k)
			}
		}
	}
	return r.Direct.Send(batch)
}

// fastOpen is a host's settings with these bits of tcp_fastopen.
func fastOpen(bits int) *usock.TCPConfig {
	c := usock.DefaultTCPConfig()
	c.FastOpen = bits
	return c
}

// TestFastOpen has a client get a cookie with its first connection and send data in
// the SYN of the next ones (RFC 7413).
func TestFastOpen(t *testing.T) {
	var synData []int
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	rec := recorder{x, func(h wire.TCP, n int) {
		if h.Flags&(wire.SYN|wire.ACK) == wire.SYN {
			synData = append(synData, n)
		}
	}}
	a := newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: rec, Addrs: prefixes("10.0.0.1/24")}}})
	b := newHost(t, usock.Config{TCP: fastOpen(usock.FastOpenServer), Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24")}}})
	l := mustSocket(t, b, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.SetSockOptInt(usock.SOL_TCP, usock.TCP_FASTOPEN, 5); err != nil {
		t.Fatal(err)
	}
	to := mustAddr(t, "10.0.0.2:7000")
	if err := l.Bind(to); err != nil {
		t.Fatal(err)
	}
	l.Listen(10)
	talk := func(c *usock.Socket) {
		t.Helper()
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if n, err := s.Recv(buf, 0); string(buf[:n]) != "request" || err != nil {
			t.Fatalf("request: %q, %v", buf[:n], err)
		}
		if _, err := s.Send([]byte("answer"), 0); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Recv(buf, 0); string(buf[:n]) != "answer" || err != nil {
			t.Fatalf("answer: %q, %v", buf[:n], err)
		}
		s.Close()
		c.Close()
	}
	for range 3 {
		c := mustSocket(t, a, usock.AF_INET, usock.SOCK_STREAM)
		if n, err := c.SendTo([]byte("request"), usock.MSG_FASTOPEN, to); n != 7 || err != nil {
			t.Fatal(n, err)
		}
		talk(c)
	}
	// TCP_FASTOPEN_CONNECT: connect succeeds at once, the SYN goes with the data.
	c := mustSocket(t, a, usock.AF_INET, usock.SOCK_STREAM)
	if err := c.SetSockOptInt(usock.SOL_TCP, usock.TCP_FASTOPEN_CONNECT, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(to); err != nil {
		t.Fatal(err)
	}
	if len(synData) != 3 {
		t.Errorf("connect sent a SYN: %v", synData)
	}
	if err := c.Connect(to); err != syscall.EISCONN {
		t.Errorf("second connect: %v, want EISCONN", err)
	}
	if _, err := c.Send([]byte("request"), 0); err != nil {
		t.Fatal(err)
	}
	talk(c)
	if want := []int{0, 7, 7, 7}; len(synData) != 4 || [4]int(synData) != [4]int(want) {
		t.Errorf("data in the SYNs: %v, want %v", synData, want)
	}
}
