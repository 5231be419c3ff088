package inet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wait"
	"usock/internal/wire"
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
	n, err := s.Accept(nil)
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

// segment is what a test's own peer sends: it has no stack.
type segment struct {
	from, to string
	wire.TCP
	data string
	bad  bool // its checksum is wrong
}

func (g segment) packet() []byte {
	src, dst := addrport(g.from), addrport(g.to)
	g.SrcPort, g.DstPort = src.Port(), dst.Port()
	b := make([]byte, g.TCP.Len())
	g.TCP.Put(b)
	b = append(b, g.data...)
	var c wire.Checksum
	c.AddPseudo(src.Addr(), dst.Addr(), ip.ProtoTCP, len(b))
	c.Add(b)
	binary.BigEndian.PutUint16(b[16:], c.Sum())
	if g.bad {
		b[17] ^= 1
	}
	return whole(src.Addr().String(), dst.Addr().String(), ip.ProtoTCP, b)
}

// segments are those that a machine has sent since took was called last: FLAGS SEQ ACK LENGTH each, with
// absolute numbers.
func (m *machine) segments() (out []wire.TCP) {
	for _, p := range m.took() {
		at := 20
		if p[0]>>4 == 6 {
			at = 40
		}
		h, _, err := wire.ParseTCP(p[at:])
		if err != nil {
			m.t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
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
				_, err := s.Accept(nil)
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
		if c.stat != nil && c.stat(&a.st.tcp.Stats) != 1 {
			t.Errorf("%s: %+v", c.name, a.st.tcp.Stats)
		}
		s.Close()
		// Whatever it was, nothing is left but TIME-WAIT, and that for a minute.
		n := a.connections()
		if want := map[bool]int{true: 1, false: 0}[c.state == "CLOSE-WAIT"]; n != want {
			t.Errorf("%s: %d connections are left", c.name, n)
		}
		a.clock.Advance(61 * time.Second)
		if n, m := a.connections(), b.connections(); n+m != 0 || a.st.tcp.timeWaits != 0 || a.timers()+b.timers() != 0 {
			t.Errorf("%s: %d and %d connections are left, %d timers", c.name, n, m, a.timers())
		}
	}
}

func (m *machine) connections() (n int) {
	m.do(func() { n = m.st.tcp.conns.n })
	return n
}

func (m *machine) timers() (n int) {
	m.do(func() { n = m.st.Timers() })
	return n
}

// SO_LINGER has close wait until all is acknowledged, and no longer.
func TestLinger(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	a.cut = true
	c.send("data", "-")
	linger := func() (left bool) {
		a.do(func() { left = a.st.tcp.Linger(c.Socket) })
		return left
	}
	if !linger() || !linger() || c.state() != "FIN-WAIT-1" {
		t.Error("does not wait", c.state())
	}
	a.cut = false
	a.clock.Advance(time.Second)
	if linger() || c.state() != "FIN-WAIT-2" || s.text() != "data " {
		t.Error("waits still", c.state())
	}
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

// The accept queue takes one more than the backlog, in order; what comes then is dropped and comes again
// (listen(2); Linux, sk_acceptq_is_full).
func TestBacklog(t *testing.T) {
	for _, backlog := range []int{0, 1, 3} {
		a, b := newPair(t, Config{})
		l := b.open("tcp4").at(addrB + ":80")
		if err := l.Listen(backlog); err != nil {
			t.Fatal(err)
		}
		var clients []*sock
		for i := range backlog + 3 {
			c := a.open("tcp4").at(fmt.Sprintf("%s:%d", addrA, 5000+i)).with(addrB + ":80")
			clients = append(clients, c)
			if i == 0 && l.ready() != wait.In {
				t.Error("not told")
			}
		}
		var in socket.Info
		b.do(func() { b.st.tcp.Describe(l.Socket, &in) })
		if in.RecvQ != backlog+1 || in.SendQ != backlog || in.State != "LISTEN" || b.st.tcp.Stats.ListenOverflows != 2 || b.st.tcp.Stats.ListenDrops != 2 {
			t.Errorf("backlog %d: %+v, %d overflows, %d drops", backlog, in, b.st.tcp.Stats.ListenOverflows, b.st.tcp.Stats.ListenDrops)
		}
		v := make([]byte, 104)
		if _, err := l.GetOpt(abi.SOL_TCP, abi.TCP_INFO, v); err != nil || v[0] != 10 || binary.NativeEndian.Uint32(v[24:]) != uint32(backlog+1) || binary.NativeEndian.Uint32(v[28:]) != uint32(backlog) {
			t.Errorf("TCP_INFO: %x, %v", v[:32], err)
		}
		for i := range backlog + 1 {
			if got := l.accept().remote(); got != fmt.Sprintf("%s:%d", addrA, 5000+i) {
				t.Errorf("backlog %d: %s is number %d", backlog, got, i)
			}
		}
		if _, err := l.Accept(nil); err != syscall.EAGAIN || l.ready() != 0 {
			t.Error(err)
		}
		a.clock.Advance(1500 * time.Millisecond) // their SYNs come again
		var late []string
		for range min(backlog+1, 2) {
			late = append(late, l.accept().remote())
		}
		slices.Sort(late)
		if want := []string{fmt.Sprintf("%s:%d", addrA, 5000+backlog+1), fmt.Sprintf("%s:%d", addrA, 5000+backlog+2)}; backlog > 0 && !slices.Equal(late, want) {
			t.Errorf("backlog %d: then %v", backlog, late)
		}
		// Connections that were accepted may count still (Hold).
		l.Hold(backlog + 1)
		a.open("tcp4").with(addrB + ":80")
		if _, err := l.Accept(nil); err != syscall.EAGAIN {
			t.Errorf("backlog %d: what is held does not count: %v", backlog, err)
		}
	}
	// A negative one is as large as can be, and one may be set anew.
	_, b := newPair(t, Config{})
	l := b.open("tcp4").at(addrB + ":80")
	for _, c := range []struct{ set, want int }{{-1, 4096}, {5, 5}, {1 << 20, 4096}, {0, 0}} {
		l.Listen(c.set)
		var in socket.Info
		if b.do(func() { b.st.tcp.Describe(l.Socket, &in) }); in.SendQ != c.want {
			t.Errorf("backlog %d is %d", c.set, in.SendQ)
		}
	}
}

// A listener that ends resets what nobody has accepted and forgets what is incomplete; its port is free.
func TestStopListening(t *testing.T) {
	for _, how := range []string{"close", "shutdown", "connect"} {
		a, b := newPair(t, Config{})
		l := b.open("tcp4").at(addrB + ":80")
		l.Listen(5)
		c := a.open("tcp4").with(addrB + ":80")
		b.cut = true // the handshake of the second stays incomplete
		d := a.open("tcp4").with(addrB + ":80")
		b.cut = false
		if d.state() != "SYN-SENT" || b.connections() != 2 {
			t.Fatal(d.state(), b.connections())
		}
		switch how {
		case "close":
			l.Close()
		case "shutdown":
			if err := l.Shutdown(abi.SHUT_WR); err != nil || l.state() != "LISTEN" {
				t.Error("writing is no business of a listener", err)
			}
			if err := l.Shutdown(abi.SHUT_RD); err != nil || l.state() != "UNCONN" {
				t.Error(err, l.state())
			}
		case "connect":
			if err := l.connect(""); err != nil || l.state() != "UNCONN" {
				t.Error(err, l.state())
			}
		}
		if g := c.recv(0); g.err != syscall.ECONNRESET || b.connections() != 0 {
			t.Errorf("%s: %+v, %d connections", how, g, b.connections())
		}
		a.clock.Advance(2 * time.Second)
		if got := name(d.connect(addrB + ":80")); got != "ECONNREFUSED" {
			t.Errorf("%s: %s", how, got)
		}
		if how == "close" {
			b.open("tcp4").at(addrB + ":80")
		}
	}
}

// Which listener a SYN is for: the address before the wildcard, the interface before none, IPv4 before
// both families; with SO_REUSEPORT all get some.
func TestListenerLookup(t *testing.T) {
	for _, c := range []struct {
		name  string
		socks []string
		want  int
	}{
		{"the address before the wildcard", []string{"0.0.0.0:80", addrB + ":80"}, 1}, {"the wildcard", []string{"127.0.0.1:80", "0.0.0.0:80"}, 1},
		{"the interface", []string{"0.0.0.0:80", "0.0.0.0:80@2"}, 1}, {"another interface", []string{"0.0.0.0:80@1", "0.0.0.0:80"}, 1},
		{"IPv4 before both", []string{"[::]:80", "0.0.0.0:80"}, 1}, {"both", []string{"[::]:80"}, 0}, {"none", []string{"127.0.0.1:80"}, -1},
	} {
		a, b := newPair(t, Config{})
		var socks []*sock
		for _, x := range c.socks {
			kind := "tcp4"
			if strings.HasPrefix(x, "[") {
				kind = "tcp6"
			}
			s := b.open(kind).set(abi.SOL_SOCKET, abi.SO_REUSEPORT, 1)
			at, index, _ := strings.Cut(x, "@")
			if index != "" {
				s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, int(index[0]-'0'))
			}
			if err := s.at(at).Listen(5); err != nil {
				t.Fatal(err)
			}
			socks = append(socks, s)
		}
		a.open("tcp4").with(addrB + ":80")
		got := -1
		for i, s := range socks {
			if _, err := s.Accept(nil); err == nil {
				got = i
			}
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	a, b := newPair(t, Config{})
	var socks []*sock
	for range 3 {
		s := b.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEPORT, 1).at("0.0.0.0:80")
		s.Listen(100)
		socks = append(socks, s)
	}
	for range 60 {
		a.open("tcp4").with(addrB + ":80")
	}
	for i, s := range socks {
		n := 0
		for ; ; n++ {
			if _, err := s.Accept(nil); err != nil {
				break
			}
		}
		if n < 5 {
			t.Errorf("listener %d has %d of 60", i, n)
		}
	}
}

// Segments of no connection are answered with a reset, but for resets and what a listener drops (RFC
// 9293, section 3.10.7).
func TestStraySegments(t *testing.T) {
	const from = addrA + ":5000"
	for _, c := range []struct {
		name     string
		listens  bool
		flags    wire.TCPFlags
		seq, ack uint32
		data     string
		bad      bool
		want     string // flags, sequence and acknowledgment of the answer
	}{
		{"an ACK", false, wire.ACK, 100, 200, "", false, "R 200 0"}, {"a SYN", false, wire.SYN, 100, 0, "", false, "RA 0 101"}, {"data", false, 0, 100, 0, "abc", false, "RA 0 103"}, {"a FIN", false, wire.FIN, 100, 0, "", false, "RA 0 101"},
		{"a reset", false, wire.RST, 100, 0, "", false, ""}, {"a reset with an ACK", false, wire.RST | wire.ACK, 100, 200, "", false, ""}, {"a bad checksum", false, wire.SYN, 100, 0, "", true, ""},
		{"an ACK to a listener", true, wire.ACK, 100, 200, "", false, "R 200 0"}, {"a SYN with an ACK to a listener", true, wire.SYN | wire.ACK, 100, 200, "", false, "R 200 0"}, {"neither, to a listener", true, 0, 100, 0, "abc", false, ""}, {"a reset to a listener", true, wire.RST, 100, 0, "", false, ""},
	} {
		a, b := newPair(t, Config{})
		b.cut = true
		if c.listens {
			b.open("tcp4").at(addrB + ":80").Listen(5)
		}
		b.arrive(segment{from, addrB + ":80", wire.TCP{Flags: c.flags, Seq: c.seq, Ack: c.ack}, c.data, c.bad}.packet())
		got := ""
		for _, h := range b.segments() {
			if h.Flags&wire.RST != 0 {
				got += "R"
			}
			if h.Flags&wire.ACK != 0 {
				got += "A"
			}
			got += fmt.Sprintf(" %d %d", h.Seq, h.Ack)
		}
		n := b.st.tcp.Stats
		if got != c.want || n.InSegs != 1 || (n.OutRsts == 1) != (c.want != "") || (n.InCsumErrors == 1) != c.bad || (n.InErrs == 1) != c.bad {
			t.Errorf("%s: %q, want %q; %d %d %d %d", c.name, got, c.want, n.InSegs, n.OutRsts, n.InErrs, n.InCsumErrors)
		}
		_ = a
	}
	// To all or to a group nothing is TCP's; what is too short is an error.
	_, b := newPair(t, Config{})
	b.arrive(segment{from, "10.0.0.255:80", wire.TCP{Flags: wire.SYN}, "", false}.packet())
	b.arrive(segment{from, "224.0.0.1:80", wire.TCP{Flags: wire.SYN}, "", false}.packet())
	if n := b.st.tcp.Stats; n.InSegs != 0 || len(b.took()) != 0 {
		t.Errorf("%+v", n)
	}
	b.arrive(whole(addrA, addrB, ip.ProtoTCP, make([]byte, 19)))
	if n := b.st.tcp.Stats; n.InSegs != 1 || n.InErrs != 1 || len(b.took()) != 0 {
		t.Errorf("%+v", n)
	}
}

// With more incomplete connections than the backlog, SYNs are answered with cookies, from which the ACK
// makes the connection: with the MSS, the window scale and SACK of the SYN (RFC 4987, section 3.6).
func TestSYNCookies(t *testing.T) {
	for _, c := range []struct {
		name  string
		mss   uint16
		ts    bool
		scale int // -1: none
		sack  bool
		kept  uint16 // the MSS that is remembered
	}{
		{"all", 1460, true, 7, true, 1460}, {"no timestamps", 1460, false, 7, true, 1460}, {"no scale", 1460, true, -1, true, 1460}, {"no SACK", 1460, true, 3, false, 1460}, {"scale 0", 1460, true, 0, false, 1460},
		{"an MSS in between", 1459, true, 7, true, 1440}, {"a small MSS", 100, true, 7, true, 48}, {"the least", 48, true, 7, true, 48}, {"a large MSS", 9000, true, 7, true, 8960}, {"536", 536, false, -1, false, 536}, {"535", 535, false, -1, false, 48},
	} {
		_, b := newPair(t, Config{})
		b.cut = true
		l := b.open("tcp4").at(addrB + ":80")
		l.Listen(1)
		for i := range 2 { // fill the queue of those that are incomplete
			b.arrive(segment{fmt.Sprintf("10.0.0.9:%d", i+1), addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 1, Window: 1000}, "", false}.packet())
		}
		if b.connections() != 2 || b.st.tcp.Stats.SyncookiesSent != 0 {
			t.Fatal(b.connections())
		}
		b.took()
		syn := segment{addrA + ":5000", addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 1000, Window: 1000}, "", false}
		syn.Options.MSS = c.mss
		syn.Options.HasTimestamp, syn.Options.TSVal, syn.Options.SACKPermitted = c.ts, 77, c.sack
		if c.scale >= 0 {
			syn.Options.HasWScale, syn.Options.WScale = true, uint8(c.scale)
		}
		b.arrive(syn.packet())
		out := b.segments()
		if len(out) != 1 || out[0].Flags != wire.SYN|wire.ACK || out[0].Ack != 1001 || b.connections() != 2 || b.st.tcp.Stats.SyncookiesSent != 1 || b.st.tcp.Stats.TCPReqQFullDoCookies != 1 {
			t.Fatalf("%s: %+v, %d connections", c.name, out, b.connections())
		}
		o := out[0].Options
		if o.HasTimestamp != c.ts || o.HasWScale != (c.ts && c.scale >= 0) || o.SACKPermitted != (c.ts && c.sack) {
			t.Errorf("%s: the SYN-ACK offers %+v", c.name, o)
		}
		ack := segment{addrA + ":5000", addrB + ":80", wire.TCP{Flags: wire.ACK, Seq: 1001, Ack: out[0].Seq + 1, Window: 1000}, "", false}
		ack.Options.HasTimestamp, ack.Options.TSVal, ack.Options.TSEcr = c.ts, 78, o.TSVal
		bad := ack
		bad.Ack += 1 << 8
		b.arrive(bad.packet())
		if n := b.st.tcp.Stats; n.SyncookiesFailed != 1 || n.SyncookiesRecv != 0 || b.connections() != 2 {
			t.Errorf("%s: a wrong cookie is taken", c.name)
		}
		b.took()
		b.clock.Advance(cookiePeriod) // good in the next period still
		b.arrive(ack.packet())
		if n := b.st.tcp.Stats; n.SyncookiesRecv != 1 {
			t.Errorf("%s: %d cookies taken, %d failed", c.name, n.SyncookiesRecv, n.SyncookiesFailed)
			continue
		}
		s := l.accept()
		v := make([]byte, tcp.InfoLen)
		s.GetOpt(abi.SOL_TCP, abi.TCP_INFO, v)
		opts := v[5] // TCPI_OPT_TIMESTAMPS 1, SACK 2, WSCALE 4
		wantOpts := byte(0)
		scale := byte(0)
		if c.ts {
			wantOpts |= 1
			if c.sack {
				wantOpts |= 2
			}
			if c.scale >= 0 {
				wantOpts |= 4
				scale = byte(c.scale)
			}
		}
		mss := binary.NativeEndian.Uint32(v[16:])
		want := uint32(min(c.kept, 1460))
		if c.ts {
			want -= 12
		}
		if opts&7 != wantOpts || v[6]&15 != scale || mss != max(want, 36) && mss != want {
			t.Errorf("%s: options %d, scale %d, MSS %d; want %d, %d, %d", c.name, opts&7, v[6]&15, mss, wantOpts, scale, want)
		}
	}
}

// A cookie is good for its period and the next, and only after an overflow.
func TestCookieAge(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		good  bool
	}{{0, true}, {63 * time.Second, true}, {cookiePeriod, true}, {2 * cookiePeriod, false}, {3 * cookiePeriod, false}} {
		_, b := newPair(t, Config{})
		b.cut = true
		b.clock.Advance(cookiePeriod - time.Hour%cookiePeriod) // the beginning of a period
		l := b.open("tcp4").at(addrB + ":80")
		l.Listen(0)
		b.arrive(segment{"10.0.0.9:1", addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 1, Window: 1000}, "", false}.packet())
		b.took()
		b.arrive(segment{addrA + ":5000", addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 1000, Window: 1000}, "", false}.packet())
		iss := b.segments()[0].Seq
		b.clock.Advance(c.after)
		b.arrive(segment{addrA + ":5000", addrB + ":80", wire.TCP{Flags: wire.ACK, Seq: 1001, Ack: iss + 1, Window: 1000}, "", false}.packet())
		if _, err := l.Accept(nil); (err == nil) != c.good {
			t.Errorf("after %v: %v", c.after, err)
		}
	}
}

// A connection in TIME-WAIT gives way to one whose numbers cannot be mistaken, in and out; its port is
// bound until then (RFC 6191; RFC 9293, section 3.6.1).
func TestTimeWait(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	c.send("data", "-")
	if s.text() != "data" {
		t.Fatal("no data")
	}
	local := c.local()
	c.Close()
	s.Close()
	if a.connections() != 1 || a.st.tcp.timeWaits != 1 || b.connections() != 0 {
		t.Fatal(a.connections(), b.connections())
	}
	var rest []socket.Info
	a.do(func() { rest = a.st.Sockets() })
	if len(rest) != 1 || rest[0].State != "TIME-WAIT" || rest[0].Local.String() != local || rest[0].Peer.String() != addrB+":80" || rest[0].Left != time.Minute || rest[0].Domain != abi.AF_INET {
		t.Errorf("%+v", rest)
	}
	// A listener of its port is not there, so that bind without SO_REUSEADDR fails.
	if err := a.open("tcp4").bind(local); err != syscall.EADDRINUSE {
		t.Error(err)
	}
	// At once, a port that the program has not named is not reused; one that it has is, as timestamps tell the two apart after a second.
	l := b.open("tcp4").at(addrB + ":80")
	l.Listen(5)
	again := a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1)
	if err := again.bind(local); err != syscall.EADDRINUSE && err != nil {
		t.Error(err)
	}
	a.clock.Advance(2 * time.Second)
	again = a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1)
	if err := again.bind(local); err == nil {
		if got := name(again.connect(addrB + ":80")); got != "EINPROGRESS" || a.st.tcp.timeWaits != 0 {
			t.Error(got, a.st.tcp.timeWaits)
		}
		if l.accept().remote() != local {
			t.Error("another one")
		}
	}
	again.Close()

	// TIME-WAIT at the server: a SYN that goes on with the numbers is let in, one that does not is answered.
	a, b = newPair(t, Config{})
	l = b.open("tcp4").at(addrB + ":80")
	l.Listen(5)
	c = a.open("tcp4").at(addrA + ":5000").with(addrB + ":80")
	s = l.accept()
	s.Close()
	c.Close()
	if b.st.tcp.timeWaits != 1 {
		t.Fatal("no TIME-WAIT")
	}
	b.clock.Advance(2 * time.Second)
	c = a.open("tcp4").at(addrA + ":5000").with(addrB + ":80")
	if _, err := l.Accept(nil); err != nil || b.st.tcp.timeWaits != 0 {
		t.Errorf("%v, %d in TIME-WAIT", err, b.st.tcp.timeWaits)
	}
}

// After a minute TIME-WAIT is over, and counted.
func TestTimeWaitExpires(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	c.Close()
	s.Close()
	a.clock.Advance(time.Minute - 1)
	if a.connections() != 1 || a.st.tcp.Stats.TW != 0 {
		t.Error("over too early")
	}
	a.clock.Advance(1)
	if a.connections() != 0 || a.st.tcp.Stats.TW != 1 || a.st.tcp.timeWaits != 0 || len(a.st.tcp.ports.buckets) != 0 {
		t.Errorf("%d connections, %d ports", a.connections(), len(a.st.tcp.ports.buckets))
	}
	// The record serves the next one.
	if len(a.st.tcp.spare) != 1 {
		t.Errorf("%d records to spare", len(a.st.tcp.spare))
	}
	c, s = joined(t, a, b, addrB+":80")
	c.Close()
	s.Close()
	if len(a.st.tcp.spare) != 0 || a.st.tcp.timeWaits != 1 {
		t.Errorf("%d records to spare", len(a.st.tcp.spare))
	}
}

// What is received, by flags and options (tcp(7), recv(2), socket(7)).
func TestStreamRecv(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	s.send("abcdefgh", "-")
	for i, x := range []struct {
		room, flags int
		want        string
		n           int
	}{{3, abi.MSG_PEEK, "abc", 3}, {3, 0, "abc", 3}, {2, abi.MSG_TRUNC, "\x00\x00", 2}, {9, abi.MSG_PEEK, "fgh", 3}, {0, 0, "", 0}, {9, 0, "fgh", 3}} {
		buf := make([]byte, x.room)
		n, err := c.Recv(nil, buf, &socket.Msg{Flags: x.flags | abi.MSG_DONTWAIT})
		if err != nil || n != x.n || string(buf[:n]) != x.want {
			t.Errorf("%d: %d %q %v", i, n, buf, err)
		}
	}
	in, out, _ := c.Queued()
	if n, err := c.Unsent(); in != 0 || out != 0 || n != 0 || err != nil {
		t.Error(in, out, n, err)
	}
	// SO_PEEK_OFF.
	c.set(abi.SOL_SOCKET, abi.SO_PEEK_OFF, 1)
	s.send("abcd", "-")
	for i, x := range []struct {
		room, flags int
		want        string
		off         int
	}{{2, abi.MSG_PEEK, "bc", 3}, {9, abi.MSG_PEEK, "d", 4}, {3, 0, "abc", 1}, {9, 0, "d", 0}} {
		if g := c.recvInto(x.room, x.flags); g.data != x.want || c.get(abi.SOL_SOCKET, abi.SO_PEEK_OFF) != x.off {
			t.Errorf("%d: %+v, then at %d", i, g, c.get(abi.SOL_SOCKET, abi.SO_PEEK_OFF))
		}
	}
	c.set(abi.SOL_SOCKET, abi.SO_PEEK_OFF, -1)
	// TCP_INQ tells what is left.
	c.set(abi.SOL_TCP, abi.TCP_INQ, 1)
	s.send("abcd", "-")
	for _, want := range []int{3, 2} {
		if g := c.recvInto(1, 0); g.said() != fmt.Sprintf("%d/%d=%x", abi.SOL_TCP, abi.TCP_INQ, ints(want)) {
			t.Errorf("%s, want %d", g.said(), want)
		}
	}
	c.set(abi.SOL_TCP, abi.TCP_INQ, 0)
	if g := c.recv(0); g.said() != "" || g.data != "cd" {
		t.Errorf("%+v", g)
	}
	// SO_RCVLOWAT keeps from being ready; a receive that does not wait takes what there is.
	c.set(abi.SOL_SOCKET, abi.SO_RCVLOWAT, 4)
	s.send("abc", "-")
	if c.ready()&wait.In != 0 {
		t.Error("ready for less than SO_RCVLOWAT")
	}
	s.send("d", "-")
	if c.ready()&wait.In == 0 {
		t.Error("not ready")
	}
	if got := c.text(); got != "abcd" {
		t.Error(got)
	}
	c.set(abi.SOL_SOCKET, abi.SO_RCVLOWAT, 1)

	// Urgent data: apart, or in line; where it stands (RFC 6093).
	urgent := func(data string) {
		t.Helper()
		if _, err := s.Send(nil, []byte(data), &socket.Msg{Flags: abi.MSG_OOB}); err != nil {
			t.Fatal(err)
		}
	}
	if g := c.recv(abi.MSG_OOB); g.err != syscall.EINVAL {
		t.Errorf("%+v", g)
	}
	urgent("abX")
	if c.ready()&wait.Pri == 0 {
		t.Error("urgent data is not told")
	}
	if at, _ := c.AtMark(); at {
		t.Error("at the mark already")
	}
	if g := c.recv(abi.MSG_OOB | abi.MSG_PEEK); g.data != "X" || g.flags != abi.MSG_OOB {
		t.Errorf("%+v", g)
	}
	if g := c.recvInto(0, abi.MSG_OOB|abi.MSG_PEEK); g.data != "" || g.flags != abi.MSG_OOB|abi.MSG_TRUNC {
		t.Errorf("%+v", g)
	}
	if g := c.recv(0); g.data != "ab" {
		t.Errorf("%+v", g)
	}
	if at, _ := c.AtMark(); !at {
		t.Error("not at the mark")
	}
	if g := c.recv(abi.MSG_OOB); g.data != "X" {
		t.Errorf("%+v", g)
	}
	if g := c.recv(abi.MSG_OOB); g.err != syscall.EINVAL {
		t.Errorf("%+v", g)
	}
	c.set(abi.SOL_SOCKET, abi.SO_OOBINLINE, 1)
	urgent("cdY")
	if g := c.recv(abi.MSG_OOB); g.err != syscall.EINVAL {
		t.Errorf("%+v", g)
	}
	if got := c.text(); got != "Xcd Y" {
		t.Error(got)
	}
}

// MSG_MORE and TCP_CORK keep a segment that is not full; TCP_NODELAY and the end of both send it
// (tcp(7)).
func TestStreamCork(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	more := func(data string, flags int) {
		t.Helper()
		if _, err := c.Send(nil, []byte(data), &socket.Msg{Flags: flags}); err != nil {
			t.Fatal(err)
		}
	}
	more("a", abi.MSG_MORE)
	if got := s.text(); got != "" || c.get(abi.SOL_TCP, abi.TCP_CORK) != 0 {
		t.Errorf("%q is sent already", got)
	}
	if n, _ := c.Unsent(); n != 1 {
		t.Error(n)
	}
	more("b", 0)
	if got := s.text(); got != "ab" {
		t.Error(got)
	}
	c.set(abi.SOL_TCP, abi.TCP_CORK, 1)
	more("c", 0)
	more("d", abi.MSG_MORE)
	more("e", 0)
	if got := s.text(); got != "" {
		t.Errorf("%q is sent already", got)
	}
	c.set(abi.SOL_TCP, abi.TCP_CORK, 0)
	if got := s.text(); got != "cde" {
		t.Error(got)
	}
	more("f", abi.MSG_MORE)
	c.set(abi.SOL_TCP, abi.TCP_CORK, 0) // takes MSG_MORE off, too
	if got := s.text(); got != "f" {
		t.Error(got)
	}
}

// When bytes came and left is told as it was asked for.
func TestStreamStamps(t *testing.T) {
	a, b := newPair(t, Config{})
	c, s := joined(t, a, b, addrB+":80")
	const soft, rx, tx, sched, ack, id, idTCP, only = abi.SOF_TIMESTAMPING_SOFTWARE, abi.SOF_TIMESTAMPING_RX_SOFTWARE, abi.SOF_TIMESTAMPING_TX_SOFTWARE, abi.SOF_TIMESTAMPING_TX_SCHED, abi.SOF_TIMESTAMPING_TX_ACK, abi.SOF_TIMESTAMPING_OPT_ID, abi.SOF_TIMESTAMPING_OPT_ID_TCP, abi.SOF_TIMESTAMPING_OPT_TSONLY
	var now func() int64 = func() (n int64) { a.do(func() { n = a.h.Stamp() }); return n }
	ts := func(ns int64) string {
		v := binary.NativeEndian.AppendUint64(nil, uint64(ns/1e9))
		return fmt.Sprintf("%d/%d=%x", abi.SOL_SOCKET, abi.SO_TIMESTAMPING, append(binary.NativeEndian.AppendUint64(v, uint64(ns%1e9)), make([]byte, 32)...))
	}
	// Arrivals: that of the last byte that a receive gives.
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|rx)
	s.send("ab", "-")
	first := now()
	a.clock.Advance(time.Second)
	s.send("cd", "-")
	second := now()
	for i, x := range []struct {
		room, flags int
		want        string
		at          int64
	}{{1, abi.MSG_PEEK, "a", first}, {9, abi.MSG_PEEK, "abcd", second}, {2, 0, "ab", first}, {1, 0, "c", second}, {1, 0, "d", second}} {
		if g := c.recvInto(x.room, x.flags); g.data != x.want || g.said() != ts(x.at) {
			t.Errorf("%d: %q %s, want %s", i, g.data, g.said(), ts(x.at))
		}
	}
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, 0)
	s.send("x", "-")
	if g := c.recv(0); g.said() != "" {
		t.Errorf("%+v", g)
	}
	// What leaves: by its last byte, when it was sent and acknowledged, with the number of that byte.
	for _, bad := range []int{soft | tx, soft | ack} {
		if err := c.SetOpt(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(bad)); err != syscall.ENOPROTOOPT {
			t.Errorf("stamps with data: %v", err)
		}
	}
	if err := a.open("tcp4").SetOpt(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(id)); err != syscall.EINVAL {
		t.Errorf("numbers without a connection: %v", err)
	}
	told := func(want ...string) {
		t.Helper()
		for _, w := range want {
			g := c.recv(abi.MSG_ERRQUEUE)
			got := "nothing"
			if len(g.control) == 2 {
				e := g.control[1].Data
				got = fmt.Sprint(binary.NativeEndian.Uint32(e[8:]), " ", binary.NativeEndian.Uint32(e[12:]))
				if e[4] != originTimestamping || syscall.Errno(binary.NativeEndian.Uint32(e)) != syscall.ENOMSG || g.flags != abi.MSG_ERRQUEUE || g.control[0].Type != abi.SO_TIMESTAMPING {
					t.Errorf("%+v", g)
				}
			}
			if got != w {
				t.Errorf("told %s, want %s", got, w)
			}
		}
		if g := c.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN {
			t.Errorf("one more: %s", g.said())
		}
	}
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|sched|tx|ack|id|only)
	c.send("abc", "-")
	if c.ready()&wait.Err == 0 {
		t.Error("not told")
	}
	told("1 2", "0 2", "2 2")
	c.send("de", "-")
	told("1 4", "0 4", "2 4")
	a.cut = true
	c.send("f", "-")
	told("1 5", "0 5")
	a.cut = false
	a.clock.Advance(time.Second)
	told("2 5")
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|tx|only)
	c.send("g", "-")
	told("0 0")
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|only)
	c.send("h", "-", cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(tx)))
	told("0 0")
	if err := c.send("h", "-", cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(soft))); err != syscall.EINVAL {
		t.Error(err)
	}
	// Numbers begin at the first byte that is not acknowledged, or with OPT_ID_TCP at the next one.
	for flag, want := range map[int]string{0: "0 5", idTCP: "0 2"} {
		c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, 0)
		a.cut = true
		c.send("xyz", "-")
		c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|tx|id|flag|only)
		a.cut = false
		a.clock.Advance(time.Second)
		c.send("123", "-")
		told(want)
	}
	// MSG_ZEROCOPY.
	c.set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, 0).set(abi.SOL_SOCKET, abi.SO_ZEROCOPY, 1)
	for range 2 {
		if _, err := c.Send(nil, []byte("zero"), &socket.Msg{Flags: abi.MSG_ZEROCOPY}); err != nil {
			t.Fatal(err)
		}
	}
	if g := c.recv(abi.MSG_ERRQUEUE); len(g.control) != 1 || !bytes.Equal(g.control[0].Data[4:16], append([]byte{originZeroCopy, 0, zeroCopyCopied, 0}, ints(0, 1)...)) {
		t.Errorf("%s", g.said())
	}
}

// An ICMP error ends an attempt if it is hard, and no connection; one about the size lowers the MSS, where
// it quotes what is under way (RFC 5927; RFC 1191).
func TestStreamErrors(t *testing.T) {
	report := func(m *machine, e *ip.Error) {
		m.do(func() { m.st.tcp.Error(e) })
	}
	quote := func(m *machine) []byte { // of the last segment that was sent
		out := m.took()
		return out[len(out)-1][20:]
	}
	for _, c := range []struct {
		errno syscall.Errno
		hard  bool
		want  string
	}{{syscall.ECONNREFUSED, true, "ECONNREFUSED"}, {syscall.EHOSTUNREACH, false, "EHOSTUNREACH"}, {syscall.ENETUNREACH, false, "ENETUNREACH"}} {
		a, _ := newPair(t, Config{})
		a.cut = true
		s := a.open("tcp4").with(addrB + ":80")
		q := quote(a)
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: c.errno, Hard: c.hard, Quote: q[:7]})
		report(a, &ip.Error{Src: addr(addrA), Dst: addr("10.0.0.9"), Errno: c.errno, Hard: c.hard, Quote: q})
		if s.state() != "SYN-SENT" {
			t.Errorf("%v: ends by a message that says too little", c.errno)
		}
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: c.errno, Hard: c.hard, Quote: q})
		if got := name(s.connect(addrB + ":80")); got != c.want || s.state() != "UNCONN" {
			t.Errorf("%v: %s, %s", c.errno, got, s.state())
		}
	}
	for _, v := range []int{1, 0} {
		a, b := newPair(t, Config{})
		c, _ := joined(t, a, b, addrB+":80")
		c.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, v)
		a.cut = true
		a.took()
		c.send(strings.Repeat("x", 2000), "-")
		q := a.took()[0][20:]
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: syscall.EMSGSIZE, MTU: 1000, Quote: q})
		want := map[int]int{1: 1000, 0: 1500}[v]
		if got := c.get(abi.SOL_IP, abi.IP_MTU); got != want || c.state() != "ESTAB" {
			t.Errorf("IP_MTU_DISCOVER %d: an MTU of %d", v, got)
		}
		old := bytes.Clone(q)
		old[4] ^= 0x80 // not under way
		report(a, &ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: syscall.EMSGSIZE, MTU: 900, Quote: old})
		if got := c.get(abi.SOL_IP, abi.IP_MTU); got != want {
			t.Errorf("an MTU of %d by a segment that was never sent", got)
		}
	}
}

// IP_MINTTL drops what came from farther away, of connections and of listeners, and counts it
// (RFC 5082).
func TestMinTTL(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.open("tcp4").at(addrB+":80").set(abi.SOL_IP, abi.IP_MINTTL, 64)
	l.Listen(5)
	a.open("tcp4").with(addrB + ":80")
	s := l.accept()
	near, far := a.open("tcp4").set(abi.SOL_IP, abi.IP_TTL, 64), a.open("tcp4").set(abi.SOL_IP, abi.IP_TTL, 63)
	near.with(addrB + ":80")
	far.with(addrB + ":80")
	if _, err := l.Accept(nil); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(nil); err != syscall.EAGAIN {
		t.Error("a connection from too far away")
	}
	before := b.st.tcp.Stats.TCPMinTTLDrop
	s.set(abi.SOL_IP, abi.IP_MINTTL, 65)
	b.arrive(segment{s.remote(), addrB + ":80", wire.TCP{Flags: wire.ACK, Seq: 1, Ack: 1}, "", false}.packet())
	if b.st.tcp.Stats.TCPMinTTLDrop != before+1 || len(b.segments()) > 3 {
		t.Errorf("%d dropped", b.st.tcp.Stats.TCPMinTTLDrop)
	}
	// A datagram, too.
	r, u := b.open("udp4").at(addrB+":7").set(abi.SOL_IP, abi.IP_MINTTL, 64), a.open("udp4")
	u.send("a", addrB+":7")
	u.set(abi.SOL_IP, abi.IP_TTL, 63).send("b", addrB+":7")
	if got := r.text(); got != "a" {
		t.Error(got)
	}
}

// The table of connections finds each of many, and none that has gone, as it grows and shrinks.
func TestConnTable(t *testing.T) {
	var table connTable
	table.init(0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)
	var all []*tcpEndpoint
	key := func(i int) tuple {
		k := tuple{laddr: addr(addrA), raddr: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), lport: uint16(i % 7), rport: uint16(i % 11)}
		if i%2 == 1 {
			k.laddr, k.raddr = addr(addrA6), netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i >> 8), 15: byte(i)})
		}
		return k
	}
	check := func(from, to int) {
		t.Helper()
		if table.n != to-from {
			t.Errorf("%d in the table, want %d", table.n, to-from)
		}
		seen := 0
		table.each(func(nodeOwner) { seen++ })
		if seen != to-from {
			t.Errorf("%d are seen, want %d", seen, to-from)
		}
		for i, e := range all {
			k := key(i)
			if got := table.find(&k); (got == nodeOwner(e)) != (i >= from && i < to) || got != nil && got != nodeOwner(e) {
				t.Fatalf("%d: found %v", i, got != nil)
			}
		}
		longest := 0
		for _, n := range table.slots {
			k := 0
			for ; n != nil; n = n.next {
				k++
			}
			longest = max(longest, k)
		}
		if longest > 12 || len(table.slots) > max(8*(to-from), minSlots)*2 {
			t.Errorf("%d in one slot, %d slots for %d", longest, len(table.slots), to-from)
		}
	}
	const most = 1000
	for i := range most {
		e := new(tcpEndpoint)
		e.tuple = key(i)
		all = append(all, e)
		table.add(&e.node, e)
	}
	check(0, most)
	for i := range most {
		table.remove(&all[i].node)
		table.remove(&all[i].node) // is out
		if i%100 == 50 {
			check(i+1, most)
		}
	}
	check(most, most)
	if len(table.slots) != minSlots {
		t.Errorf("%d slots", len(table.slots))
	}
}
