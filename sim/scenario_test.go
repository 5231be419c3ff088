package sim_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/link"
	"usock/sim"
)

// listen returns a listening socket on the host.
func listen(t *testing.T, h *sim.Host, port uint16) *usock.Socket {
	t.Helper()
	s := socket(t, h)
	if err := s.Bind(addr(h, port)); err != nil {
		t.Fatal("bind:", err)
	}
	if err := s.Listen(10); err != nil {
		t.Fatal("listen:", err)
	}
	return s
}

func socket(t *testing.T, h *sim.Host) *usock.Socket {
	t.Helper()
	s, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal("socket:", err)
	}
	return s
}

func addr(h *sim.Host, port uint16) usock.Addr {
	return usock.Addr{Family: usock.AF_INET, IP: h.Addr(), Port: port}
}

// connect returns both ends of a connection from a to b.
func connect(t *testing.T, a, b *sim.Host) (x, y *usock.Socket) {
	t.Helper()
	l := listen(t, b, 80)
	defer l.Close()
	x = socket(t, a)
	if err := x.Connect(addr(b, 80)); err != nil {
		t.Fatal("connect:", err)
	}
	y, _, err := l.Accept()
	if err != nil {
		t.Fatal("accept:", err)
	}
	return x, y
}

func option(t *testing.T, s *usock.Socket, level, name, value int) {
	t.Helper()
	if err := s.SetSockOptInt(level, name, value); err != nil {
		t.Fatalf("option %d/%d: %v", level, name, err)
	}
}

// recv receives once and compares.
func recv(t *testing.T, s *usock.Socket, want string) {
	t.Helper()
	b := make([]byte, 100)
	n, err := s.Recv(b, 0)
	if err != nil || string(b[:n]) != want {
		t.Fatalf("received %q, %v; want %q", b[:n], err, want)
	}
}

func send(t *testing.T, s *usock.Socket, text string) {
	t.Helper()
	if n, err := s.Send([]byte(text), 0); n != len(text) || err != nil {
		t.Fatal("send:", n, err)
	}
}

func slow(d time.Duration) sim.LinkConfig { return sim.Both(link.Impairment{Delay: d}) }

// state returns what ss would show of the host's connection.
func state(h *sim.Host, s *usock.Socket) string {
	for _, k := range h.Sockets() {
		if k.ID == s.ID() {
			return k.State
		}
	}
	return "none"
}

// A partition that heals: the transfer goes on where it stopped, after a pause of
// about the partition's length at most, and at its old speed.
func TestPartitionHeals(t *testing.T) {
	for _, lasts := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			n, a, b, l := pair(t, 1, sim.Both(link.Impairment{Delay: 10 * time.Millisecond, Rate: 50e6}))
			n.Start()
			f := n.Flow(a, b, sim.FlowConfig{Duration: 40 * time.Second})
			time.Sleep(5 * time.Second)
			l.Cut()
			time.Sleep(lasts)
			l.Heal()
			res := f.Wait()
			if res.Err != nil {
				t.Fatal(res.Err)
			}
			cut := 5 * time.Second
			// What waits in the queue still leaves it, for 100 ms.
			if r := f.Meter.Rate(cut+150*time.Millisecond, cut+lasts); r != 0 {
				t.Errorf("cut for %v: %.1f Mbit/s meanwhile", lasts, r/1e6)
			}
			// The retransmission timer has doubled as long as the partition lasted.
			again := cut + 2*lasts + time.Second
			if r := f.Meter.Rate(again+2*time.Second, again+4*time.Second); r < 40e6 {
				t.Errorf("cut for %v: %.1f Mbit/s in the third second after", lasts, r/1e6)
			}
			if res.Info.TotalRetrans == 0 {
				t.Error("no retransmission was counted")
			}
		})
	}
}

// One direction breaks: acknowledgments are lost, or data is.
func TestOneWayPartition(t *testing.T) {
	for _, to := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n, a, b, l := pair(t, 1, sim.Both(link.Impairment{Delay: 10 * time.Millisecond, Rate: 50e6}))
			n.Start()
			f := n.Flow(a, b, sim.FlowConfig{Bytes: 20 << 20})
			time.Sleep(time.Second)
			l.CutTo(to, !to)
			time.Sleep(3 * time.Second)
			l.Heal()
			res := f.Wait()
			if res.Err != nil || res.Elapsed > 12*time.Second {
				t.Errorf("%v, %v", res.Elapsed, res.Err)
			}
		})
	}
}

// A path that swallows packets of more than 1200 bytes and says nothing: the
// sender finds out (RFC 4821, RFC 8899).
func TestBlackHole(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, a, b, l := pair(t, 1, slow(10*time.Millisecond))
			n.Start()
			l.SetBlackHole(1300)
			f := n.Flow(a, b, sim.FlowConfig{Bytes: 8 << 20, IPv6: v6})
			res := f.Wait()
			if res.Err != nil || res.Elapsed > 15*time.Second {
				t.Fatalf("%v, %v", res.Elapsed, res.Err)
			}
			if m := res.Info.SndMSS; m < 900 || m > 1260 {
				t.Errorf("MSS %d at the end", m)
			}
		})
	}
}

// A hole that opens while the connection is busy.
func TestBlackHoleOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := pair(t, 1, sim.Both(link.Impairment{Delay: 10 * time.Millisecond, Rate: 20e6}))
		n.Start()
		f := n.Flow(a, b, sim.FlowConfig{Bytes: 16 << 20})
		time.Sleep(time.Second)
		l.SetBlackHole(1000)
		if res := f.Wait(); res.Err != nil || res.Elapsed > 30*time.Second {
			t.Fatalf("%v, %v", res.Elapsed, res.Err)
		}
	})
}

// The path's MTU is smaller between two routers, which say so by ICMP: no timeout
// is needed.
func TestPathMTU(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := sim.New(t, 1)
			a, r1, r2, b := n.Host("a"), n.Router("r1"), n.Router("r2"), n.Host("b")
			n.Link(a, r1, slow(5*time.Millisecond))
			narrow := slow(5 * time.Millisecond)
			narrow.MTU = 1300
			n.Link(r1, r2, narrow)
			n.Link(r2, b, slow(5*time.Millisecond))
			n.Start()
			for range 2 {
				res := n.Flow(a, b, sim.FlowConfig{Bytes: 1 << 20, Back: 1 << 20, IPv6: v6}).Wait()
				if res.Err != nil || res.Elapsed > time.Second {
					t.Errorf("%v, %v", res.Elapsed, res.Err)
				}
				want := uint32(1300 - 20 - 20 - 12)
				if v6 {
					want -= 20
				}
				if x, y := res.Info, res.InfoBack; x.SndMSS != want || y.SndMSS != want || x.TotalRTO+y.TotalRTO > 0 {
					t.Errorf("MSS %d and %d, %d and %d timeouts; want %d, none",
						x.SndMSS, y.SndMSS, x.TotalRTO, y.TotalRTO, want)
				}
			}
		})
	}
}

// A program that does not read for a day: the window closes, probes keep the
// connection, and everything arrives when it reads again.
func TestZeroWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := pair(t, 1, slow(10*time.Millisecond))
		n.Start()
		x, y := connect(t, a, b)
		const size = 20 << 20
		sent := make(chan error)
		go func() {
			_, err := x.Send(make([]byte, size), 0)
			if err == nil {
				err = x.Close()
			}
			sent <- err
		}()
		time.Sleep(time.Minute)
		before, _ := l.Stats()
		time.Sleep(24 * time.Hour)
		after, _ := l.Stats()
		// Probes are at most 120 s apart, and do not come faster.
		if k := after.Packets - before.Packets; k < 700 || k > 800 {
			t.Errorf("%d probes in a day", k)
		}
		buf, got := make([]byte, 1<<20), 0
		for {
			k, err := y.Recv(buf, 0)
			if err != nil {
				t.Fatal(err)
			}
			if k == 0 {
				break
			}
			got += k
		}
		if err := <-sent; err != nil || got != size {
			t.Errorf("%d bytes, %v", got, err)
		}
		y.Close()
	})
}

// The peer's host vanishes: keepalive finds out after the idle time and the
// probes, by default after more than two hours.
func TestKeepaliveDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := pair(t, 1, slow(10*time.Millisecond))
		n.Start()
		x, y := connect(t, a, b)
		option(t, x, usock.SOL_SOCKET, usock.SO_KEEPALIVE, 1)
		option(t, x, usock.SOL_TCP, usock.TCP_KEEPIDLE, 60)
		option(t, x, usock.SOL_TCP, usock.TCP_KEEPINTVL, 10)
		option(t, x, usock.SOL_TCP, usock.TCP_KEEPCNT, 4)
		time.Sleep(10 * time.Minute)
		if st := state(a, x); st != "ESTAB" {
			t.Fatalf("the peer answers, and the state is %s", st)
		}
		send(t, x, "hello")
		recv(t, y, "hello")
		l.Cut()
		begin := time.Now()
		_, err := x.Recv(make([]byte, 1), 0)
		if took := time.Since(begin); err != syscall.ETIMEDOUT || took < 99*time.Second || took > 101*time.Second {
			t.Errorf("%v after %v, want ETIMEDOUT after 100 s", err, took)
		}
	})
}

// TCP_USER_TIMEOUT bounds how long data stays unacknowledged (RFC 5482).
func TestUserTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := pair(t, 1, slow(10*time.Millisecond))
		n.Start()
		x, _ := connect(t, a, b)
		option(t, x, usock.SOL_TCP, usock.TCP_USER_TIMEOUT, 5000)
		l.Cut()
		send(t, x, "hello")
		begin := time.Now()
		_, err := x.Recv(make([]byte, 1), 0)
		if took := time.Since(begin); err != syscall.ETIMEDOUT || took < 5*time.Second || took > 8*time.Second {
			t.Errorf("%v after %v, want ETIMEDOUT after 5 s", err, took)
		}
	})
}

// Both connect to each other at the same time, from the ports that they connect
// to: one connection, and no listener (RFC 9293, section 3.5, figure 7).
func TestSimultaneousOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _ := pair(t, 1, slow(10*time.Millisecond))
		n.Start()
		x, y := socket(t, a), socket(t, b)
		if err := errors.Join(x.Bind(addr(a, 1000)), y.Bind(addr(b, 2000))); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- x.Connect(addr(b, 2000)) }()
		go func() { done <- y.Connect(addr(a, 1000)) }()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		send(t, x, "from x")
		send(t, y, "from y")
		recv(t, y, "from x")
		recv(t, x, "from y")
		// Both close at the same time (figure 13): both see the end in order.
		if err := errors.Join(x.Shutdown(usock.SHUT_WR), y.Shutdown(usock.SHUT_WR)); err != nil {
			t.Fatal(err)
		}
		recv(t, x, "")
		recv(t, y, "")
		time.Sleep(time.Second)
		if p, q := state(a, x), state(b, y); p != "TIME-WAIT" && p != "UNCONN" || q != "TIME-WAIT" && q != "UNCONN" {
			t.Errorf("states %s and %s after both closed", p, q)
		}
		x.Close()
		y.Close()
		time.Sleep(time.Second)
		for _, h := range []*sim.Host{a, b} {
			if l := h.Sockets(); len(l) != 1 || l[0].State != "TIME-WAIT" {
				t.Errorf("host %s: %+v, want TIME-WAIT", h.Name(), l)
			}
		}
		time.Sleep(2 * time.Minute)
		for _, h := range []*sim.Host{a, b} {
			if l := h.Sockets(); len(l) != 0 {
				t.Errorf("host %s: %+v after TIME-WAIT", h.Name(), l)
			}
		}
	})
}

// One direction ends, the other goes on for an hour.
func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _ := pair(t, 1, slow(10*time.Millisecond))
		n.Start()
		x, y := connect(t, a, b)
		send(t, x, "question")
		if err := x.Shutdown(usock.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		recv(t, y, "question")
		recv(t, y, "")
		time.Sleep(time.Hour)
		if p, q := state(a, x), state(b, y); p != "FIN-WAIT-2" || q != "CLOSE-WAIT" {
			t.Errorf("states %s and %s", p, q)
		}
		send(t, y, "answer")
		recv(t, x, "answer")
		if _, err := x.Send([]byte("more"), 0); err != syscall.EPIPE {
			t.Errorf("sending after SHUT_WR: %v", err)
		}
		y.Close()
		recv(t, x, "")
		x.Close()
	})
}

// Data that is not read when a program closes resets the connection (RFC 2525,
// section 2.17); so does SO_LINGER with no time.
func TestReset(t *testing.T) {
	for _, how := range []string{"unread", "linger"} {
		synctest.Test(t, func(t *testing.T) {
			n, a, b, _ := pair(t, 1, slow(10*time.Millisecond))
			n.Start()
			x, y := connect(t, a, b)
			if how == "unread" {
				send(t, x, "not read")
				time.Sleep(time.Second)
			} else if err := y.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			y.Close()
			_, err := x.Recv(make([]byte, 1), 0)
			if err != syscall.ECONNRESET || time.Since(begin) != 10*time.Millisecond {
				t.Errorf("%s: %v after %v", how, err, time.Since(begin))
			}
			if st := state(a, x); st != "UNCONN" {
				t.Errorf("%s: state %s", how, st)
			}
			if _, err := x.Send([]byte("x"), 0); err != syscall.EPIPE {
				t.Errorf("%s: sending: %v", how, err)
			}
		})
	}
}

// A host that is not there, and a port where nobody listens.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, l := pair(t, 1, slow(10*time.Millisecond))
		n.Start()
		if err := socket(t, a).Connect(addr(b, 9)); err != syscall.ECONNREFUSED {
			t.Errorf("a port without listener: %v", err)
		}
		l.Cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := socket(t, a).ConnectContext(ctx, addr(b, 9)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that ends: %v", err)
		}
		begin := time.Now()
		err := socket(t, a).Connect(addr(b, 9))
		// SYNs after 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s, and 64 s more (Linux:
		// tcp_syn_linear_timeouts 4, tcp_syn_retries 6).
		if took := time.Since(begin); err != syscall.ETIMEDOUT || took != 131*time.Second {
			t.Errorf("a host that is not there: %v after %v", err, took)
		}
		s := socket(t, a)
		s.SetDeadline(time.Now().Add(time.Second))
		if err := s.Connect(addr(b, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline: %v", err)
		}
	})
}
