package usock_test

import (
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/clock"
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

// fastServer is a server that a test answers as: the option that its SYN-ACKs have, and the SYNs
// that came.
type fastServer struct {
	t    *testing.T
	host *usock.Host
	peer *rawPeer
}

// connect has the host open a connection by a send of text with MSG_FASTOPEN, answers its SYN with the
// options given, and returns the SYN.
func (f *fastServer) connect(text string, o wire.TCPOptions) wire.TCP {
	f.t.Helper()
	f.peer.got = nil
	s := mustSocket(f.t, f.host, usock.AF_INET, usock.SOCK_STREAM|usock.SOCK_NONBLOCK)
	s.SendTo([]byte(text), usock.MSG_FASTOPEN, mustAddr(f.t, "10.0.0.1:80"))
	if len(f.peer.got) != 1 {
		f.t.Fatalf("segments %+v", f.peer.got)
	}
	syn := f.peer.got[0]
	f.peer.send(wire.TCP{SrcPort: 80, DstPort: syn.SrcPort, Seq: 1000, Ack: syn.Seq + 1, Flags: wire.SYN | wire.ACK, Window: 65535, Options: o}, "")
	s.Close()
	return syn
}

// What a client remembers of a server (RFC 7413, section 4.1.3, and Linux's tcp_metrics): the MSS of each
// SYN-ACK, the cookie, and which form of the option was answered.
func TestFastOpenMemory(t *testing.T) {
	type opt = wire.TCPOptions
	cookie := [16]byte{1, 2, 3, 4}
	t.Run("MSS", func(t *testing.T) {
		h, p := newRawPeer(t, usock.Config{})
		f := fastServer{t, h, p}
		f.connect("", opt{MSS: 1000, HasFastOpen: true, NCookie: 4, Cookie: cookie})
		for _, c := range []struct {
			told uint16 // in the SYN-ACK
			data int    // what the next SYN takes
		}{{700, 960}, {1400, 660}, {1200, 1360}, {1200, 1160}} {
			s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM|usock.SOCK_NONBLOCK)
			p.got = nil
			if n, err := s.SendTo(make([]byte, 5000), usock.MSG_FASTOPEN, mustAddr(t, "10.0.0.1:80")); n != c.data || err != nil {
				t.Errorf("sent %d, %v, want %d", n, err, c.data)
			}
			syn := p.got[0]
			if syn.Options.NCookie != 4 || syn.Options.Cookie != cookie {
				t.Errorf("options %+v", syn.Options)
			}
			p.send(wire.TCP{SrcPort: 80, DstPort: syn.SrcPort, Seq: 1000, Ack: syn.Seq + 1, Flags: wire.SYN | wire.ACK, Window: 65535, Options: opt{MSS: c.told}}, "")
			s.Close()
		}
	})
	none, std, exp := opt{MSS: 1000}, opt{MSS: 1000, HasFastOpen: true, NCookie: 4, Cookie: cookie}, opt{MSS: 1000, HasFastOpen: true, ExpFastOpen: true, NCookie: 4, Cookie: cookie}
	for _, c := range []struct {
		name    string
		answers []opt
		asks    string // the form of each SYN: s or e, and S or E with a cookie
	}{
		{"standard", []opt{std, none, none}, "sSS"},
		{"experimental alone", []opt{none, exp, none, none}, "seEE"},
		{"none", []opt{none, none, none, none}, "sess"},
		{"standard again", []opt{none, exp, std, none}, "seES"},
		{"standard, late", []opt{none, none, std, none}, "sesS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, p := newRawPeer(t, usock.Config{})
			f := fastServer{t, h, p}
			got := ""
			for _, a := range c.answers {
				o := f.connect("x", a).Options
				form := map[[2]bool]string{{false, false}: "s", {true, false}: "e", {false, true}: "S", {true, true}: "E"}[[2]bool{o.ExpFastOpen, o.NCookie > 0}]
				if !o.HasFastOpen {
					form = "-"
				}
				got += form
			}
			if got != c.asks {
				t.Errorf("asks %s, want %s", got, c.asks)
			}
		})
	}
}

// A listener answers in the form of the question, and takes cookies of the key before, for which it gives
// new ones.
func TestFastOpenKeys(t *testing.T) {
	h, p, l := listenRaw(t, usock.Config{TCP: fastOpen(usock.FastOpenServer)}, 5)
	if err := l.SetSockOptInt(usock.SOL_TCP, usock.TCP_FASTOPEN, 5); err != nil {
		t.Fatal(err)
	}
	port := uint16(0)
	ask := func(o wire.TCPOptions, data string) wire.TCP {
		t.Helper()
		port++
		got := p.send(wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535, Options: o}, data)
		if len(got) != 1 {
			t.Fatalf("answers %+v", got)
		}
		return got[0]
	}
	first := ask(wire.TCPOptions{HasFastOpen: true, ExpFastOpen: true}, "").Options
	if !first.HasFastOpen || !first.ExpFastOpen || first.NCookie != 8 {
		t.Fatalf("answer to the experimental form: %+v", first)
	}
	key := make([]byte, 32)
	copy(key[16:], "of the listener.")
	set := func(k []byte) {
		t.Helper()
		if err := l.SetSockOpt(usock.SOL_TCP, usock.TCP_FASTOPEN_KEY, k); err != nil {
			t.Fatal(err)
		}
	}
	set(key[16:])
	a := ask(first, "data")
	if a.Ack != 1001 || !a.Options.ExpFastOpen || a.Options.Cookie == first.Cookie {
		t.Errorf("a cookie of another key: %+v", a)
	}
	old := a.Options
	if a := ask(old, "data"); a.Ack != 1005 || a.Options.HasFastOpen {
		t.Errorf("a good cookie: %+v", a)
	}
	set(key)
	if a = ask(old, "data"); a.Ack != 1005 || !a.Options.ExpFastOpen || a.Options.NCookie != 8 || a.Options.Cookie == old.Cookie {
		t.Errorf("a cookie of the key before: %+v", a)
	}
	if a = ask(a.Options, "data"); a.Ack != 1005 || a.Options.HasFastOpen {
		t.Errorf("a cookie of the new key: %+v", a)
	}
	set(key[:16])
	if a = ask(old, "data"); a.Ack != 1001 {
		t.Errorf("a cookie of the key before, which is forgotten: %+v", a)
	}
	wantCounted(t, h.Stats().TCP, "PassiveOpens 3 InSegs 6 OutSegs 6 TCPFastOpenPassive 3 TCPFastOpenPassiveFail 2 "+
		"TCPFastOpenPassiveAltKey 1 TCPFastOpenCookieReqd 1")
}

// Who may do what by the settings of the host. Between the kernel's hosts and usock's package oracle
// compares the calls; here is what the segments have.
func TestFastOpenSettings(t *testing.T) {
	for _, c := range []struct {
		name    string
		bits    int
		listens int  // TCP_FASTOPEN
		option  bool // the SYN asks for a cookie
		taken   bool // the data of a SYN without a good cookie
		cookie  bool // the SYN-ACK has one
	}{
		{"off", 0, 5, true, false, false},
		{"client", usock.FastOpenClient, 5, true, false, false},
		{"server", usock.FastOpenServer, 5, true, false, true},
		{"server, not asked", usock.FastOpenServer, 5, false, false, false},
		{"server, listener has no option", usock.FastOpenServer, 0, true, false, false},
		{"listeners", usock.FastOpenServer | usock.FastOpenListeners, 0, true, false, true},
		{"without cookie", usock.FastOpenServer | usock.FastOpenServerNoCookie, 5, false, true, false},
		{"without cookie, asked all the same", usock.FastOpenServer | usock.FastOpenServerNoCookie, 5, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, p := newRawPeer(t, usock.Config{TCP: fastOpen(c.bits)})
			l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
			l.Bind(mustAddr(t, "0.0.0.0:8080"))
			if c.listens > 0 {
				l.SetSockOptInt(usock.SOL_TCP, usock.TCP_FASTOPEN, c.listens)
			}
			l.Listen(5)
			got := p.send(wire.TCP{SrcPort: 1, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535, Options: wire.TCPOptions{HasFastOpen: c.option}}, "data")
			if len(got) != 1 {
				t.Fatalf("answers %+v", got)
			}
			if taken := got[0].Ack == 1005; taken != c.taken || got[0].Options.HasFastOpen != c.cookie {
				t.Errorf("answer %+v", got[0])
			}
		})
	}
}

// What is no SYN for a listener: one with a FIN is dropped, as on Linux.
func TestListenerSYNFIN(t *testing.T) {
	_, p, _ := listenRaw(t, usock.Config{}, 5)
	if got := p.send(wire.TCP{SrcPort: 1, DstPort: 8080, Seq: 1000, Flags: wire.SYN | wire.FIN, Window: 65535}, "data"); len(got) != 0 {
		t.Errorf("answers %+v", got)
	}
}

// A connection that a SYN with data has made and a program has accepted, and that the peer resets before the handshake ends, counts against
// the listener's queue for a minute more (RFC 7413, section 5.1); one whose handshake ends does not.
func TestFastOpenResetCounts(t *testing.T) {
	clk := new(clock.Manual)
	h, p, l := listenRaw(t, usock.Config{Clock: clk, TCP: fastOpen(usock.FastOpenServer | usock.FastOpenServerNoCookie)}, 5)
	if err := l.SetSockOptInt(usock.SOL_TCP, usock.TCP_FASTOPEN, 2); err != nil {
		t.Fatal(err)
	}
	port := uint16(0)
	taken := func(want bool) wire.TCP {
		t.Helper()
		port++
		got := p.send(wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}, "data")
		if len(got) != 1 || got[0].Ack == 1005 != want {
			t.Fatalf("SYN %d: %+v, taken should be %v", port, got, want)
		}
		return got[0]
	}
	answer := func(a wire.TCP, f wire.TCPFlags) {
		t.Helper()
		o := wire.TCP{SrcPort: a.DstPort, DstPort: 8080, Seq: a.Ack, Flags: f, Window: 65535}
		if f&wire.ACK != 0 {
			o.Ack = a.Seq + 1
		}
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := p.send(o, ""); len(got) != 0 {
			t.Fatalf("answers %+v", got)
		}
		s.Close()
	}
	for range 3 {
		answer(taken(true), wire.ACK)
	}
	answer(taken(true), wire.RST)
	clk.Advance(30 * time.Second)
	answer(taken(true), wire.RST)
	taken(false)
	clk.Advance(29 * time.Second)
	taken(false)
	clk.Advance(2 * time.Second)
	answer(taken(true), wire.ACK) // in the place of the first
	answer(taken(true), wire.ACK)
	clk.Advance(30 * time.Second)
	taken(true)
	taken(true)
	taken(false)
	if n := h.Stats().TCP.TCPFastOpenListenOverflow; n != 3 {
		t.Errorf("%d overflows", n)
	}
}
