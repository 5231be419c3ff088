package inet

import (
	"strings"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
)

// joined returns both ends of a connection from a to b.
func joined(t testing.TB, a, b *machine, at string) (c, s *sock) {
	t.Helper()
	kind := "tcp4"
	if strings.HasPrefix(at, "[") {
		kind = "tcp6"
	}
	l := b.open(kind).at(at)
	if err := l.Listen(5); err != nil {
		t.Fatal(err)
	}
	c = a.open(kind).with(at)
	s = l.accept()
	l.Close()
	return c, s
}

// accept takes a connection, which must be there.
func (s *sock) accept() *sock {
	s.m.t.Helper()
	n, err := s.Accept(noContext)
	if err != nil {
		s.m.t.Fatal(err)
	}
	n.SetNonblock(true)
	return &sock{n, s.m}
}

func (s *sock) state() string {
	var in socket.Info
	s.m.do(func() { s.Proto.Describe(s.Socket, &in) })
	return in.State
}

// What the calls of a stream say in each state (Linux, tcp_sendmsg, tcp_recvmsg, inet_shutdown,
// __inet_stream_connect, inet_csk_accept).
func TestStreamStates(t *testing.T) {
	const in, out, hup, rdhup, err = wait.In, wait.Out, wait.Hup, wait.RdHup, wait.Err
	for _, c := range []struct {
		name                                                string
		make                                                func(a, b *machine) *sock
		state                                               string
		ready                                               wait.Events
		send, recv, connect, accept, listen, peer, shutdown string
	}{
		{"fresh", func(a, b *machine) *sock { return a.open("tcp4") }, "UNCONN", out | hup, "EPIPE", "ENOTCONN", "EINPROGRESS", "EINVAL", "<nil>", "ENOTCONN", "ENOTCONN"},
		{"bound", func(a, b *machine) *sock { return a.open("tcp4").at(addrA + ":5") }, "UNCONN", out | hup, "EPIPE", "ENOTCONN", "EINPROGRESS", "EINVAL", "<nil>", "ENOTCONN", "ENOTCONN"},
		{"listening", func(a, b *machine) *sock { s := a.open("tcp4").at(addrA + ":5"); s.Listen(1); return s }, "LISTEN", 0, "EPIPE", "ENOTCONN", "EISCONN", "EAGAIN", "<nil>", "ENOTCONN", "<nil>"},
		{"connecting", func(a, b *machine) *sock { a.cut = true; return a.open("tcp4").with(addrB + ":80") }, "SYN-SENT", 0, "EAGAIN", "EAGAIN", "EALREADY", "EINVAL", "EINVAL", "ENOTCONN", "<nil>"},
		{"connected", func(a, b *machine) *sock { c, _ := joined(t, a, b, addrB+":80"); c.connect(addrB + ":80"); return c }, "ESTAB", out, "<nil>", "EAGAIN", "EISCONN", "EINVAL", "EINVAL", addrB + ":80", "<nil>"},
		{"accepted", func(a, b *machine) *sock { _, s := joined(t, a, b, addrB+":80"); return s }, "ESTAB", out, "<nil>", "EAGAIN", "EISCONN", "EINVAL", "EINVAL", "PEER", "<nil>"},
		{"refused", func(a, b *machine) *sock { s := a.open("tcp4").with(addrB + ":80"); return s }, "UNCONN", in | out | err | hup | rdhup, "ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED", "EINVAL", "EINVAL", "ENOTCONN", "ENOTCONN"},
		{"the peer has closed", func(a, b *machine) *sock { c, s := joined(t, a, b, addrB+":80"); s.Close(); return c }, "CLOSE-WAIT", in | out | rdhup, "<nil>", "", "<nil>", "EINVAL", "EINVAL", addrB + ":80", "<nil>"},
		{"writing is shut", func(a, b *machine) *sock {
			c, _ := joined(t, a, b, addrB+":80")
			c.Shutdown(abi.SHUT_WR)
			a.clock.Advance(time.Second)
			return c
		}, "FIN-WAIT-2", out, "EPIPE", "EAGAIN", "EISCONN", "EINVAL", "EINVAL", addrB + ":80", "<nil>"},
		{"reading is shut", func(a, b *machine) *sock { c, _ := joined(t, a, b, addrB+":80"); c.Shutdown(abi.SHUT_RD); return c }, "ESTAB", in | out | rdhup, "<nil>", "", "EISCONN", "EINVAL", "EINVAL", addrB + ":80", "<nil>"},
		{"both are shut", func(a, b *machine) *sock {
			c, s := joined(t, a, b, addrB+":80")
			s.Shutdown(abi.SHUT_WR)
			c.Shutdown(abi.SHUT_WR)
			return s
		}, "TIME-WAIT", in | out | hup | rdhup, "EPIPE", "", "EISCONN", "EINVAL", "EINVAL", "ENOTCONN", "ENOTCONN"},
		{"reset", func(a, b *machine) *sock {
			c, s := joined(t, a, b, addrB+":80")
			c.connect(addrB + ":80")
			s.Opt.Linger = 0
			s.Close()
			return c
		}, "UNCONN", in | out | err | hup | rdhup, "ECONNRESET", "ECONNRESET", "EISCONN", "EINVAL", "EINVAL", "ENOTCONN", "ENOTCONN"},
	} {
		for _, call := range []string{"send", "recv", "shutdown", "connect", "accept", "listen", "peer", "state"} {
			a, b := newPair(t, Config{})
			s := c.make(a, b)
			if st := s.state(); st != c.state {
				t.Errorf("%s: %s, want %s", c.name, st, c.state)
				break
			}
			if ev := s.ready(); ev != c.ready {
				t.Errorf("%s: ready for %#x, want %#x", c.name, ev, c.ready)
				break
			}
			got, want := "", ""
			switch call {
			case "send":
				got, want = name(s.send("x", "-")), c.send
			case "recv":
				g := s.recv(0)
				if got, want = g.data, c.recv; g.err != nil {
					got = name(g.err)
				}
			case "shutdown":
				got, want = name(s.Shutdown(abi.SHUT_RDWR)), c.shutdown
			case "connect":
				got, want = name(s.connect(addrB+":80")), c.connect
			case "accept":
				_, err := s.Accept(noContext)
				got, want = name(err), c.accept
			case "listen":
				got, want = name(s.Listen(3)), c.listen
			case "peer":
				if got, want = s.remote(), c.peer; want == "PEER" && strings.HasPrefix(got, addrA+":") {
					want = got
				}
			}
			if got != want {
				t.Errorf("%s: %s: %s, want %s", c.name, call, got, want)
			}
		}
	}
}

// How a closed connection ends: a FIN that is acknowledged, a reset where data was not read or SO_LINGER
// is 0 (RFC 9293, section 3.6; RFC 2525, section 2.17).
func TestStreamClose(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(c, s *sock)
		state string // of the peer
		peer  string // what it receives
		stat  func(n *tcp.Counters) uint64
	}{
		{"nothing is left", func(c, s *sock) { c.Close() }, "CLOSE-WAIT", "", nil},
		{"data is under way", func(c, s *sock) { c.send("data", "-"); c.Close() }, "CLOSE-WAIT", "data ", nil},
		{"data was not read", func(c, s *sock) { s.send("data", "-"); c.Close() }, "UNCONN", "ECONNRESET ", func(n *tcp.Counters) uint64 { return n.TCPAbortOnClose }},
		{"SO_LINGER is 0", func(c, s *sock) { c.Opt.Linger = 0; c.Close() }, "UNCONN", "ECONNRESET ", func(n *tcp.Counters) uint64 { return n.TCPAbortOnData }},
		{"SO_LINGER is 0, and data was not read", func(c, s *sock) { s.send("data", "-"); c.Opt.Linger = 0; c.Close() }, "UNCONN", "ECONNRESET ", func(n *tcp.Counters) uint64 { return n.TCPAbortOnClose }},
	} {
		a, b := newPair(t, Config{})
		k, s := joined(t, a, b, addrB+":80")
		c.do(k, s)
		if got := s.state(); got != c.state {
			t.Errorf("%s: the peer is in %s, want %s", c.name, got, c.state)
		}
		if got := s.text(); got != c.peer {
			t.Errorf("%s: the peer receives %q, want %q", c.name, got, c.peer)
		}
		if c.stat != nil && c.stat(a.st.tcp.Stats) != 1 {
			t.Errorf("%s: %+v", c.name, a.st.tcp.Stats)
		}
		s.Close()
		// Whatever it was, nothing is left but TIME-WAIT, and that for a minute.
		n := a.connections()
		if want := map[bool]int{true: 1, false: 0}[c.state == "CLOSE-WAIT"]; n != want {
			t.Errorf("%s: %d connections are left", c.name, n)
		}
		a.clock.Advance(61 * time.Second)
		if n, m := a.connections(), b.connections(); n+m != 0 || a.st.tcp.timeWaits.Load() != 0 || a.timers()+b.timers() != 0 {
			t.Errorf("%s: %d and %d connections are left, %d timers", c.name, n, m, a.timers())
		}
	}
}

func (m *machine) connections() (n int) {
	m.do(func() { n = m.st.tcp.conns.len() })
	return n
}

func (m *machine) timers() (n int) {
	m.do(func() { n = m.st.Timers() })
	return n
}

// SO_LINGER has close wait until all is acknowledged, and no longer, also where the program has shut the connection down before.
func TestLinger(t *testing.T) {
	a, b := newPair(t, Config{})
	var c, s *sock
	linger := func() (left bool) {
		a.do(func() { left = a.st.tcp.Linger(c.Socket) })
		return left
	}
	for port, shut := range map[string]bool{":80": false, ":90": true} {
		c, s = joined(t, a, b, addrB+port)
		a.cut = true
		c.send("data", "-")
		if shut {
			c.Shutdown(abi.SHUT_WR)
		}
		for range 2 {
			if !linger() || c.state() != "FIN-WAIT-1" {
				t.Errorf("does not wait: %s, shut down before: %v", c.state(), shut)
			}
		}
		a.cut = false
		a.clock.Advance(time.Second)
		if linger() || c.state() != "FIN-WAIT-2" || s.text() != "data " {
			t.Errorf("waits still: %s, shut down before: %v", c.state(), shut)
		}
	}
	// Nor where what came after a shutdown waits to be read.
	c, s = joined(t, a, b, addrB+":91")
	a.cut = true
	c.Shutdown(abi.SHUT_WR)
	s.send("data", "-")
	if linger() || c.state() != "FIN-WAIT-1" {
		t.Error("waits for a reset of what was shut down", c.state())
	}
	a.cut = false
	// Not where data waits to be read, which makes it a reset, nor where there is no connection.
	c, s = joined(t, a, b, addrB+":81")
	s.send("data", "-")
	if linger() || c.state() != "ESTAB" {
		t.Error("waits for a reset")
	}
	c = a.open("tcp4")
	if linger() {
		t.Error("waits for nothing")
	}
}
