package inspect

import (
	"context"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
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

// TestStallByResolver has a program ask a name server that is on the same host, once by datagrams that are packets and once by such that are none,
// and one that is asked by TCP.
func TestStallByResolver(t *testing.T) {
	message := func(id byte, name string) []byte {
		return append(append([]byte{0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(name))}, name...), 0, 0, 1, 0, 1)
	}
	server := netip.MustParseAddrPort("127.0.0.1:53")
	for what, c := range map[string]usock.Config{
		"straight": {},
		"packets":  {Loopback: func(l link.Link) link.Link { return link.Pcap(l, link.NewPcapWriter(io.Discard, 0), link.Sent) }},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all Summary
				c.Ended, c.Privileged = all.Ended, true
				h, err := usock.NewHost(c)
				if err != nil {
					t.Fatal(err)
				}
				defer h.Close()
				of := func(proto string, local net.Addr) *usock.SocketInfo {
					t.Helper()
					list := h.Sockets()
					i := slices.IndexFunc(list, func(in usock.SocketInfo) bool { return in.Proto == proto && in.Local.String() == local.String() })
					if i < 0 {
						t.Fatal("it is not listed")
					}
					return &list[i]
				}
				s, err := h.ListenPacket("udp", server.String())
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				u, err := h.ListenPacket("udp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				stalls := func(want string) {
					t.Helper()
					synctest.Wait()
					if got := Stall(of("udp", u.LocalAddr())); got != want {
						t.Errorf("%q, want %q", got, want)
					}
				}
				ask := func(id byte, name string) { u.(*usock.UDPConn).WriteToUDPAddrPort(message(id, name), server) }
				answers := func(id byte, name string) {
					b := message(id, name)
					b[2] |= 0x80
					s.(*usock.UDPConn).WriteTo(b, u.LocalAddr())
					u.ReadFrom(make([]byte, 100))
				}
				ask(1, "quick")
				answers(1, "quick")
				stalls("")
				ask(2, "slow\x1b")
				time.Sleep(2 * time.Second)
				ask(3, "slow\x1b") // again
				ask(4, "other")
				time.Sleep(time.Second)
				stalls("resolver: no answer from 127.0.0.1:53 for 3s to a question about slow")
				answers(4, "other")
				stalls("resolver: no answer from 127.0.0.1:53 for 3s to a question about slow")
				answers(9, "other") // which nobody has asked
				answers(3, "slow\x1b")
				stalls("")
				if got, want := Waited(of("udp", u.LocalAddr())), "resolver: the slowest answer of 127.0.0.1:53 took 3s, to a question about slow"; got != want {
					t.Errorf("%q, want %q", got, want)
				}
				ask(6, "") // the root
				stalls("resolver: no answer from 127.0.0.1:53 for 0s to a question about .")
				answers(6, "")
				ask(5, "none")
				time.Sleep(time.Second)
				u.Close()
				synctest.Wait()
				want := "resolver: 127.0.0.1:53 had not answered for 1s, a question about none"
				if got := all.Lines(h); !slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, want) }) {
					t.Errorf("no %s in %q", want, got)
				}

				l, err := h.Listen("tcp", server.String())
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				k, err := h.Dial("tcp", server.String())
				if err != nil {
					t.Fatal(err)
				}
				defer k.Close()
				k.Write(append([]byte{0, 22}, message(1, "slow")...))
				time.Sleep(2 * time.Second)
				if got, want := Stall(of("tcp", k.LocalAddr())), "resolver: no answer from 127.0.0.1:53 for 2s"; got != want {
					t.Errorf("%q, want %q", got, want)
				}
			})
		})
	}
}
