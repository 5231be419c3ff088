package inspect

import (
	"context"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
)

// stalled is a connection between two hosts over a link that can be made bad.
type stalled struct {
	t    *testing.T
	bad  *link.Impaired
	h    *usock.Host
	c, s *usock.TCPConn
	far  *usock.Host

	all Summary // of h

	mu    sync.Mutex
	ended []usock.SocketInfo // mu; of h
}

// stall makes one, whose round trip is 20 ms.
func stall(t *testing.T) *stalled {
	t.Helper()
	a, b := link.Pipe(link.PipeConfig{MTU: 1500})
	bad, err := link.Impair(a, link.ImpairConfig{Out: link.Impairment{Delay: 10 * time.Millisecond}, In: link.Impairment{Delay: 10 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	x := &stalled{t: t, bad: bad}
	host := func(l link.Link, addr string, ended func(usock.SocketInfo)) *usock.Host {
		h, err := usock.NewHost(usock.Config{Ended: ended, Interfaces: []usock.Interface{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	x.h, x.far = host(bad, "10.0.0.1/24", x.end), host(b, "10.0.0.2/24", nil)
	l, err := x.far.Listen("tcp", "10.0.0.2:8000")
	if err != nil {
		t.Fatal(err)
	}
	c, err := x.h.Dial("tcp", "10.0.0.2:8000")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	x.c, x.s = c.(*usock.TCPConn), s.(*usock.TCPConn)
	t.Cleanup(func() { c.Close(); s.Close(); l.Close() })
	return x
}

// end is told what has ended on h.
func (x *stalled) end(in usock.SocketInfo) {
	x.mu.Lock()
	x.ended = append(x.ended, in)
	x.mu.Unlock()
	x.all.Ended(in)
}

// over returns what has ended on h.
func (x *stalled) over() []usock.SocketInfo {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.ended)
}

// says looks what is said of a host's connection.
func (x *stalled) says(h *usock.Host, want string) {
	x.t.Helper()
	for _, in := range h.Sockets() {
		if in.TCP == nil {
			continue
		}
		if got := Stall(&in); !regexp.MustCompile("^(" + want + ")$").MatchString(got) {
			x.t.Errorf("%s: %q, want %s", h.Interfaces()[1].Addrs, got, want)
		}
	}
}

// writes has the program write as long as it may.
func (x *stalled) writes(c net.Conn, n int) {
	go c.Write(make([]byte, n))
	synctest.Wait()
}

// TestStall makes each situation and looks what is said of it, at both ends.
func TestStall(t *testing.T) {
	for name, situation := range map[string]func(x *stalled){
		"nothing to say": func(x *stalled) {
			time.Sleep(3 * time.Second)
			x.says(x.h, "program: nothing to send for 3.0?[0-9]?s, nothing came for 3.0?[0-9]?s")
		},
		"slow reader": func(x *stalled) {
			x.writes(x.c, 64<<20)
			time.Sleep(10 * time.Second)
			x.says(x.h, "receiver: its window is closed, the program there does not read; [0-9]+ [KM]iB wait")
			x.says(x.far, "program: it does not read, so that the window is closed; [0-9]+ [KM]iB wait, the last for .*s")
			io.ReadFull(x.s, make([]byte, 1<<20))
		},
		"unread": func(x *stalled) {
			x.writes(x.c, 300)
			time.Sleep(2 * time.Second)
			x.says(x.h, "program: nothing to send for (2s|1.9+s), nothing came for .*s")
			x.says(x.far, "program: it has not read 300 bytes, the last for (2s|1.9+s)")
		},
		"congestion": func(x *stalled) {
			go io.Copy(io.Discard, x.s)
			x.writes(x.c, 8<<20)
			x.says(x.h, "congestion: the window of 10 segments is full, for a round trip of 2[0-9.]*ms; [0-9]+ [KM]iB wait")
		},
		"lost way": func(x *stalled) {
			if err := x.bad.Set(link.Impairment{Loss: 1}, link.Impairment{}); err != nil {
				x.t.Fatal(err)
			}
			x.writes(x.c, 300)
			time.Sleep(5 * time.Second)
			x.says(x.h, "path: no answer for 5.[0-9]*s to 300 bytes, sent [45] times")
		},
		"Nagle with delayed acknowledgments": func(x *stalled) {
			if err := x.c.SetNoDelay(false); err != nil {
				x.t.Fatal(err)
			}
			for range 20 { // beyond the acknowledgments that come at once at first
				x.writes(x.c, 2000)
				io.ReadFull(x.s, make([]byte, 2000))
				time.Sleep(time.Second)
			}
			x.writes(x.c, 100)
			x.writes(x.c, 100)
			x.says(x.h, "Nagle: 100 bytes wait for the acknowledgment of what was sent 0s ago, which the peer may delay; TCP_NODELAY sends them at once")
		},
		"no answer to the SYN": func(x *stalled) {
			if err := x.bad.Set(link.Impairment{Loss: 1}, link.Impairment{}); err != nil {
				x.t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(x.t.Context(), 10*time.Second)
			defer cancel()
			go x.h.DialContext(ctx, "tcp", "10.0.0.2:8001")
			time.Sleep(2 * time.Second)
			x.says(x.h, "path: no answer to [23] SYNs|program: nothing .*")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { situation(stall(t)) })
		})
	}
}
