package inet

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/wire"
	"usock/packet"
)

// opens is a configuration with the bits of tcp_fastopen.
func opens(bits int) Config {
	s := tcp.DefaultSettings()
	s.FastOpen = bits
	return Config{TCP: s}
}

// cookieOption is the Fast Open option: a cookie or, empty, a request.
func cookieOption(cookie string, exp bool) wire.TCPOptions {
	o := wire.TCPOptions{MSS: 1460, HasFastOpen: true, ExpFastOpen: exp, NCookie: uint8(len(cookie))}
	copy(o.Cookie[:], cookie)
	return o
}

// optionText says which Fast Open option a segment has: "-" none, "ask", or the cookie, and its form.
func optionText(o *wire.TCPOptions) string {
	out := "ask"
	switch {
	case !o.HasFastOpen:
		return "-"
	case o.NCookie > 0:
		out = fmt.Sprintf("%x", o.Cookie[:o.NCookie])
	}
	if o.ExpFastOpen {
		out += " exp"
	}
	return out
}

// cookieOf is the cookie of the client addrB by key i of k.
func cookieOf(k *fastOpenKeys, i int) string {
	b := k.cookie(i, &tuple{laddr: addr(addrA), raddr: addr(addrB)})
	return string(b[:])
}

// How a listener answers SYNs: by the host's setting, its own options, the option and the data that come (RFC
// 7413, section 4.2; Linux, tcp_try_fastopen).
func TestFastOpenOffer(t *testing.T) {
	const server, listeners, free = tcp.FastOpenServer, tcp.FastOpenListeners, tcp.FastOpenServerNoCookie
	own, err := parseFastOpenKeys(upTo(32))
	if err != nil {
		t.Fatal(err)
	}
	now, before := cookieOf(own, 0), cookieOf(own, 1)
	hex := func(s string) string { return fmt.Sprintf("%x", s) }
	ask, none := cookieOption("", false), wire.TCPOptions{MSS: 1460}
	for _, c := range []struct {
		name   string
		bits   int
		set    string // the listener's options
		o      wire.TCPOptions
		data   string
		answer string // the option of the SYN-ACK
		taken  bool   // the data is acknowledged, and to be received at once
		count  string
	}{
		{"asked", server, "q", ask, "", hex(now), false, "asked"},
		{"asked, with data", server, "q", ask, "data", hex(now), false, "asked"},
		{"asked in the old form", server, "q", cookieOption("", true), "", hex(now) + " exp", false, "asked"},
		{"off", tcp.FastOpenClient, "q", ask, "", "-", false, "asked"},
		{"not on here", server, "", ask, "", "-", false, "asked"},
		{"on for all", server | listeners, "", ask, "", hex(now), false, "asked"},
		{"for all, but off", listeners, "", ask, "", "-", false, "asked"},
		{"a cookie", server, "q", cookieOption(now, false), "data", "-", true, ""},
		{"a cookie in the old form", server, "q", cookieOption(now, true), "data", "-", true, ""},
		{"a cookie, no data", server, "q", cookieOption(now, false), "", "-", true, ""},
		{"a cookie, off", tcp.FastOpenClient, "q", cookieOption(now, false), "data", "-", false, ""},
		{"a cookie of before", server, "q", cookieOption(before, false), "data", hex(now), true, "before"},
		{"a cookie of before in the old form", server, "q", cookieOption(before, true), "data", hex(now) + " exp", true, "before"},
		{"a wrong cookie", server, "q", cookieOption("12345678", false), "data", hex(now), false, "wrong"},
		{"a part of a cookie", server, "q", cookieOption(now[:4], false), "data", hex(now), false, "wrong"},
		{"no option", server, "q", none, "data", "-", false, ""},
		{"no option needed", server | free, "q", none, "data", "-", true, ""},
		{"no option needed, no data", server | free, "q", none, "", "-", false, ""},
		{"no option needed, asked", server | free, "q", ask, "", "-", true, "asked"},
		{"no option needed, but off", free, "q", none, "data", "-", false, ""},
		{"no option needed, but not on here", server | free, "", none, "data", "-", false, ""},
		{"no option needed here", server, "qn", none, "data", "-", true, ""},
		{"a wrong cookie, but none is needed", server, "qn", cookieOption("12345678", false), "data", "-", true, ""},
	} {
		a, _ := newPair(t, opens(c.bits))
		a.cut = true
		l := a.open("tcp4").at(addrA + ":80")
		if err := l.SetOpt(abi.SOL_TCP, abi.TCP_FASTOPEN_KEY, upTo(32)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.set, "q") {
			l.set(abi.SOL_TCP, abi.TCP_FASTOPEN, 5)
		}
		if strings.Contains(c.set, "n") {
			l.set(abi.SOL_TCP, abi.TCP_FASTOPEN_NO_COOKIE, 1)
		}
		l.Listen(5)
		a.arrive(segment{addrB + ":5000", addrA + ":80", wire.TCP{Flags: wire.SYN, Seq: 100, Window: 1000, Options: c.o}, c.data, false}.packet())
		out := a.segments()
		if len(out) != 1 || out[0].Flags&(wire.SYN|wire.ACK) != wire.SYN|wire.ACK {
			t.Fatalf("%s: %+v", c.name, out)
		}
		acked := uint32(101)
		if c.taken {
			acked += uint32(len(c.data))
		}
		if got := optionText(&out[0].Options); got != c.answer || out[0].Ack != acked {
			t.Errorf("%s: option %s, acknowledges %d, want %s, %d", c.name, got, out[0].Ack, c.answer, acked)
		}
		// The program has the connection before the handshake is over.
		n, err := l.Accept(noContext)
		if (err == nil) != c.taken {
			t.Errorf("%s: accept: %v", c.name, err)
		}
		if err == nil {
			n.SetNonblock(true)
			want := c.data
			if got := (&sock{n, a}).text(); got != want {
				t.Errorf("%s: received %q", c.name, got)
			}
		}
		s := a.st.tcp.Stats
		for name, n := range map[string]uint64{"asked": s.TCPFastOpenCookieReqd, "wrong": s.TCPFastOpenPassiveFail, "before": s.TCPFastOpenPassiveAltKey, "full": s.TCPFastOpenListenOverflow} {
			if want := name == c.count; (n == 1) != want || n > 1 {
				t.Errorf("%s: counted %d as %s", c.name, n, name)
			}
		}
	}
}

// So many connections as TCP_FASTOPEN says may be open before their handshake is over; what comes beyond has its
// handshake first. One whose handshake is over, or that was reset, leaves its place to others (RFC 7413, section
// 5.1; Linux, tcp_fastopen_queue_check).
func TestFastOpenQueue(t *testing.T) {
	keys, err := parseFastOpenKeys(upTo(16))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := newPair(t, opens(tcp.FastOpenServer))
	a.cut = true
	l := a.open("tcp4").at(addrA+":80").set(abi.SOL_TCP, abi.TCP_FASTOPEN, 2)
	if err := l.SetOpt(abi.SOL_TCP, abi.TCP_FASTOPEN_KEY, upTo(16)); err != nil {
		t.Fatal(err)
	}
	l.Listen(9)
	port := 5000
	var last wire.TCP
	seqs := map[int]uint32{} // of the SYN-ACKs
	at := func(port int) string { return fmt.Sprintf("%s:%d", addrB, port) }
	syn := func() (taken bool) {
		port++
		a.arrive(segment{at(port), addrA + ":80", wire.TCP{Flags: wire.SYN, Seq: 100, Window: 1000, Options: cookieOption(cookieOf(keys, 0), false)}, "data", false}.packet())
		out := a.segments()
		last = out[len(out)-1]
		seqs[port] = last.Seq
		return last.Ack == 105
	}
	for i := range 2 {
		if !syn() {
			t.Fatalf("no room for two, but %d", i)
		}
	}
	if syn() || a.st.tcp.Stats.TCPFastOpenListenOverflow != 1 || last.Options.HasFastOpen {
		t.Errorf("room for three, %d overflows, option %s", a.st.tcp.Stats.TCPFastOpenListenOverflow, optionText(&last.Options))
	}
	for _, flags := range []wire.TCPFlags{wire.ACK, wire.RST | wire.ACK} {
		port := port - 1 // the last that was taken
		if flags == wire.ACK {
			port--
		}
		a.arrive(segment{at(port), addrA + ":80", wire.TCP{Flags: flags, Seq: 105, Ack: seqs[port] + 1, Window: 1000}, "", false}.packet())
		a.took()
		if !syn() {
			t.Errorf("no room after %v", flags)
		}
		if syn() {
			t.Errorf("too much room after %v", flags)
		}
	}
}

// Who sets no key has the host's, which is nobody else's; a socket's own is one or two (tcp(7); RFC 7413, section
// 4.1.2).
func TestFastOpenKeySet(t *testing.T) {
	a, b := newPair(t, opens(tcp.FastOpenServer))
	for _, n := range []int{0, 1, 15, 17, 31, 33, 48} {
		if err := a.open("tcp4").SetOpt(abi.SOL_TCP, abi.TCP_FASTOPEN_KEY, upTo(n)); err != syscall.EINVAL {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, n := range []int{16, 32} {
		s := a.open("tcp4")
		if err := s.SetOpt(abi.SOL_TCP, abi.TCP_FASTOPEN_KEY, upTo(n)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		got := make([]byte, 64)
		if k, err := s.GetOpt(abi.SOL_TCP, abi.TCP_FASTOPEN_KEY, got); err != nil || string(got[:k]) != string(upTo(n)) {
			t.Errorf("%d bytes: %x, %v", n, got[:k], err)
		}
	}
	host := &a.st.tcp.fastOpenKeys
	if again := newMachine(t, a.clock, Config{}); again.st.tcp.fastOpenKeys != *host {
		t.Error("the same seed gives another key")
	} else {
		again.do(func() { again.st.Close() })
		again.do(again.h.Close)
	}
	halves := [2]string{string(host.key[0][:8]), string(host.key[0][8:])}
	if host.n != 1 || halves[0] == halves[1] || strings.Count(halves[0]+halves[1], "\x00") > 4 {
		t.Errorf("%d keys, %x", host.n, host.key)
	}
	l := a.open("tcp4").at(addrA+":80").set(abi.SOL_TCP, abi.TCP_FASTOPEN, 5)
	l.Listen(5)
	a.cut = true
	a.arrive(segment{addrB + ":5000", addrA + ":80", wire.TCP{Flags: wire.SYN, Window: 1000, Options: cookieOption("", false)}, "", false}.packet())
	if out := a.segments(); optionText(&out[0].Options) != fmt.Sprintf("%x", cookieOf(host, 0)) {
		t.Errorf("%s", optionText(&out[0].Options))
	}
	_ = b
}

// client is a machine whose peer is the test: it sends SYNs, and is answered by hand.
type client struct {
	*machine
	to string // ADDR:PORT
}

// sendOpen sends with MSG_FASTOPEN.
func (s *sock) sendOpen(data, to string, flags int) (int, error) {
	m := socket.Msg{Flags: abi.MSG_FASTOPEN | flags}
	if to != "" {
		m.Addr, m.HasAddr = s.sockaddr(to), true
	}
	return s.Send(noContext, []byte(data), &m)
}

// answer answers a SYN with the option, acknowledging n bytes of it.
func (c *client) answer(s *sock, syn wire.TCP, n int, o wire.TCPOptions) {
	o.MSS = max(o.MSS, 536)
	c.arrive(segment{c.to, s.local(), wire.TCP{Flags: wire.SYN | wire.ACK, Seq: 1000, Ack: syn.Seq + 1 + uint32(n), Window: 1000, Options: o}, "", false}.packet())
}

// A send that opens fails where connect would, and says how much went with the SYN: nothing without a cookie,
// what there is room for with one (tcp(7), RFC 7413, section 4.1.3; Linux, tcp_sendmsg_fastopen).
func TestFastOpenSend(t *testing.T) {
	const on, free, to = tcp.FastOpenClient, tcp.FastOpenClient | tcp.FastOpenClientNoCookie, addrB + ":80"
	big := strings.Repeat("x", 3000)
	for _, c := range []struct {
		name   string
		bits   int
		set    func(s *sock)
		data   string
		to     string
		cookie string // that is known
		n      int
		err    error
		option string // of the SYN; "": none is sent
		went   int    // bytes with it
	}{
		{"no cookie", on, nil, "data", to, "", 0, syscall.EINPROGRESS, "ask", 0},
		{"a cookie", on, nil, "data", to, "cookie", 4, nil, "636f6f6b6965", 4},
		{"a cookie, no data", on, nil, "", to, "cookie", 0, syscall.EINPROGRESS, "636f6f6b6965", 0},
		{"a cookie, more data than goes", on, nil, big, to, "cookie", 496, nil, "636f6f6b6965", 496}, // 536 of the SYN-ACK, 40 for options
		{"without cookies", free, nil, "data", to, "", 4, nil, "-", 4},
		{"a cookie that is not wanted", free, nil, "data", to, "cookie", 4, nil, "-", 4},
		{"without cookies, of the socket", on, func(s *sock) { s.set(abi.SOL_TCP, abi.TCP_FASTOPEN_NO_COOKIE, 1) }, "data", to, "", 4, nil, "-", 4},
		{"off", 0, nil, "data", to, "", 0, syscall.EOPNOTSUPP, "", 0},
		{"off, without cookies", tcp.FastOpenClientNoCookie, nil, "data", to, "", 0, syscall.EOPNOTSUPP, "", 0},
		{"to nobody", on, nil, "data", "", "", 0, syscall.EINVAL, "", 0},
		{"of a listener", on, func(s *sock) { s.Listen(1) }, "data", to, "", 0, syscall.EISCONN, "", 0},
		{"under way", on, func(s *sock) { s.with(to); s.m.took() }, "data", to, "", 0, syscall.EALREADY, "", 0},
		{"under way, to nobody", on, func(s *sock) { s.with(to); s.m.took() }, "data", "", "", 0, syscall.EALREADY, "", 0},
		{"unreachable", on, nil, "data", "192.0.2.1:80", "", 0, syscall.ENETUNREACH, "", 0},
	} {
		a, _ := newPair(t, opens(c.bits))
		k := client{a, to}
		a.cut = true
		if c.cookie != "" {
			a.st.tcp.fastOpen.of = map[netip.Addr]fastOpenServer{addr(addrB): {mss: 536, nCookie: uint8(len(c.cookie)), cookie: [16]byte([]byte(c.cookie + "0123456789")[:16])}}
		}
		s := a.open("tcp4")
		if c.set != nil {
			c.set(s)
		}
		n, err := s.sendOpen(c.data, c.to, abi.MSG_DONTWAIT)
		if n != c.n || err != c.err {
			t.Errorf("%s: %d, %v, want %d, %v", c.name, n, err, c.n, c.err)
		}
		var went int
		option := ""
		for _, p := range a.sent {
			h, head, _ := wire.ParseTCP(p[20:])
			option, went = optionText(&h.Options), len(p)-20-head
		}
		if option != c.option || went != c.went || len(a.sent) > 1 {
			t.Errorf("%s: %d segments, option %s, %d bytes, want %s, %d", c.name, len(a.sent), option, went, c.option, c.went)
		}
		if c.err != syscall.EINPROGRESS && c.err != nil {
			continue
		}

		// What went with the SYN, and was acknowledged with it, is not sent again.
		out := a.segments()
		k.answer(s, out[0], went, wire.TCPOptions{})
		if n, err := s.Send(noContext, []byte("more"), &socket.Msg{}); n != 4 || err != nil {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
		sent := ""
		for _, p := range a.sent {
			if _, head, err := wire.ParseTCP(p[20:]); err == nil {
				sent += string(p[20+head:])
			}
		}
		if sent != "more" {
			t.Errorf("%s: %q goes after the handshake", c.name, sent)
		}
	}
	// Not to say where to is to dissolve.
	a, _ := newPair(t, opens(on))
	s := a.open("tcp4")
	if n, err := s.Send(noContext, []byte("data"), &socket.Msg{Flags: abi.MSG_FASTOPEN, HasAddr: true, Addr: s.sockaddr("")}); n != 0 || err != syscall.EOPNOTSUPP {
		t.Errorf("to AF_UNSPEC: %d, %v", n, err)
	}
}

// A send that opens and waits gets the outcome of the handshake, and has then sent all, whatever went with the SYN.
func TestFastOpenSendWaits(t *testing.T) {
	const to = addrB + ":80"
	for _, c := range []struct {
		name  string
		known bool // a cookie is
		end   func(k *client, s *sock, syn wire.TCP)
		n     int
		err   error
		sent  string // after the SYN
	}{
		{"no cookie", false, func(k *client, s *sock, syn wire.TCP) { k.answer(s, syn, 0, wire.TCPOptions{}) }, 4, nil, "data"},
		{"a cookie", true, func(k *client, s *sock, syn wire.TCP) { k.answer(s, syn, 4, wire.TCPOptions{}) }, 4, nil, ""},
		{"a cookie, the data is not taken", true, func(k *client, s *sock, syn wire.TCP) { k.answer(s, syn, 0, wire.TCPOptions{}) }, 4, nil, "data"},
		{"refused", false, func(k *client, s *sock, syn wire.TCP) {
			k.arrive(segment{to, s.local(), wire.TCP{Flags: wire.RST | wire.ACK, Ack: syn.Seq + 1}, "", false}.packet())
		}, 0, syscall.ECONNREFUSED, ""},
		{"dissolved", false, func(k *client, s *sock, syn wire.TCP) { s.connect("") }, 0, syscall.ECONNRESET, ""},
		{"the time is up", false, func(*client, *sock, wire.TCP) {}, 0, syscall.EINPROGRESS, ""},
		{"the time is up, but some went", true, func(*client, *sock, wire.TCP) {}, 4, nil, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, _ := newPair(t, opens(tcp.FastOpenClient))
			k := client{a, to}
			a.cut = true
			if c.known {
				a.st.tcp.fastOpen.of = map[netip.Addr]fastOpenServer{addr(addrB): {mss: 536, nCookie: 8, cookie: [16]byte{1}}}
			}
			s := a.open("tcp4")
			s.SetNonblock(false)
			s.SetTimeo(0, 900*time.Millisecond) // less than the first retransmission takes
			type result struct {
				n   int
				err error
			}
			done := make(chan result, 1)
			go func() {
				n, err := s.sendOpen("data", to, 0)
				done <- result{n, err}
			}()
			synctest.Wait()
			out := a.segments()
			if len(done) != 0 || len(out) != 1 {
				t.Fatalf("%s: over: %v, %d segments", c.name, len(done), len(out))
			}
			c.end(&k, s, out[0])
			if synctest.Wait(); len(done) == 0 {
				a.clock.Advance(900 * time.Millisecond)
			}
			d := <-done
			sent := ""
			for _, p := range a.sent {
				if _, head, err := wire.ParseTCP(p[20:]); err == nil {
					sent += string(p[20+head:])
				}
			}
			if d.n != c.n || d.err != c.err || sent != c.sent {
				t.Errorf("%s: %d, %v, %q, want %d, %v, %q", c.name, d.n, d.err, sent, c.n, c.err, c.sent)
			}
			s.SetNonblock(true)
		})
	}
}

// What a client remembers is of one server, and of a thousand at most: then a part of them is forgotten (RFC 7413,
// section 4.1.3).
func TestFastOpenServers(t *testing.T) {
	a, _ := newPair(t, opens(tcp.FastOpenClient))
	a.cut = true
	a.do(func() { a.st.IP.AddAddr(a.eth, netip.MustParsePrefix("10.7.0.1/16")) })
	at := func(i int) string { return fmt.Sprintf("10.7.%d.%d:80", 1+i/250, 1+i%250) }
	open := func(i int, o wire.TCPOptions) (option string) {
		s := a.open("tcp4")
		defer s.Close()
		s.sendOpen("", at(i), abi.MSG_DONTWAIT)
		out := a.segments()
		k := client{a, at(i)}
		k.answer(s, out[len(out)-1], 0, o)
		a.took()
		return optionText(&out[len(out)-1].Options)
	}
	for i := range maxFastOpenServers {
		if got := open(i, cookieOption(fmt.Sprintf("%08d", i), false)); got != "ask" {
			t.Fatalf("server %d: %s", i, got)
		}
		if n := len(a.st.tcp.fastOpen.of); n != i+1 {
			t.Fatalf("%d servers are known of %d", n, i+1)
		}
	}
	for i := 0; i < maxFastOpenServers; i += 100 {
		if got, want := open(i, cookieOption("another!", false)), fmt.Sprintf("%x", fmt.Sprintf("%08d", i)); got != want {
			t.Errorf("server %d: %s, want %s", i, got, want)
		}
	}
	if n := len(a.st.tcp.fastOpen.of); n != maxFastOpenServers {
		t.Errorf("%d servers are known", n)
	}
	open(maxFastOpenServers, cookieOption("the last", false))
	if n, want := len(a.st.tcp.fastOpen.of), maxFastOpenServers-maxFastOpenServers/4; n != want {
		t.Errorf("%d servers are known, want %d", n, want)
	}
	if got, want := open(maxFastOpenServers, cookieOption("", false)), fmt.Sprintf("%x", "the last"); got != want {
		t.Errorf("the last server: %s, want %s", got, want)
	}
}

// What a client remembers of a server: the MSS of each SYN-ACK, the cookie, and which form of the option it answers:
// servers older than RFC 7413 know the experimental one alone, and who answers neither is asked in the standard one
// (RFC 7413, section 4.1.3; Linux, tcp_fastopen_cache_set and tcp_fastopen_cookie_check).
func TestFastOpenRemembers(t *testing.T) {
	const to = addrB + ":80"
	none, std, exp := wire.TCPOptions{}, cookieOption("standard", false), cookieOption("old form", true)
	s, e := fmt.Sprintf("%x", "standard"), fmt.Sprintf("%x", "old form")+" exp"
	for _, c := range []struct {
		name    string
		answers []wire.TCPOptions
		asks    []string // by each SYN
	}{
		{"standard", []wire.TCPOptions{std, none, none}, []string{"ask", s, s}},
		{"experimental alone", []wire.TCPOptions{none, exp, none, none}, []string{"ask", "ask exp", e, e}},
		{"none", []wire.TCPOptions{none, none, none, none}, []string{"ask", "ask exp", "ask", "ask"}},
		{"standard again", []wire.TCPOptions{none, exp, std, none}, []string{"ask", "ask exp", e, s}},
		{"standard, late", []wire.TCPOptions{none, none, std, none}, []string{"ask", "ask exp", "ask", s}},
		{"an empty one is an answer", []wire.TCPOptions{cookieOption("", false), none}, []string{"ask", "ask"}},
	} {
		a, _ := newPair(t, opens(tcp.FastOpenClient))
		a.cut = true
		k := client{a, to}
		for i, o := range c.answers {
			x := a.open("tcp4")
			x.sendOpen("x", to, abi.MSG_DONTWAIT)
			out := a.segments()
			if got := optionText(&out[0].Options); got != c.asks[i] {
				t.Errorf("%s, connection %d: %s, want %s", c.name, i, got, c.asks[i])
			}
			k.answer(x, out[0], 0, o)
			x.Close()
			a.took()
		}
	}

	a, _ := newPair(t, opens(tcp.FastOpenClient))
	a.cut = true
	k := client{a, to}
	for _, c := range []struct {
		told uint16 // in the SYN-ACK
		goes int    // with the SYN before: 40 bytes less than was told before that
	}{{1000, 0}, {700, 960}, {1400, 660}, {536, 1360}, {536, 496}} {
		x := a.open("tcp4")
		n, _ := x.sendOpen(strings.Repeat("x", 5000), to, abi.MSG_DONTWAIT)
		out := a.segments()
		if n != c.goes {
			t.Errorf("%d bytes go, want %d", n, c.goes)
		}
		o := std
		o.MSS = c.told
		k.answer(x, out[0], n, o)
		x.Close()
		a.took()
	}
}

// With TCP_FASTOPEN_CONNECT a connect succeeds at once where data may go with the SYN, which the first send sends;
// where none may it is as any (tcp(7)).
func TestFastOpenConnect(t *testing.T) {
	const client0, free, to = tcp.FastOpenClient, tcp.FastOpenClientNoCookie, addrB + ":80"
	for _, c := range []struct {
		name     string
		bits     int
		noCookie bool
		cookie   bool
		option   string // of the SYN
		deferred bool
	}{
		{"no cookie", client0, false, false, "ask", false}, {"a cookie", client0, false, true, "0100000000000000", true},
		{"without cookies", client0 | free, false, false, "-", true}, {"without cookies, of the socket", client0, true, false, "-", true}, {"a cookie that is not wanted", client0, true, true, "-", true},
	} {
		a, _ := newPair(t, opens(c.bits))
		a.cut = true
		if c.cookie {
			a.st.tcp.fastOpen.of = map[netip.Addr]fastOpenServer{addr(addrB): {mss: 536, nCookie: 8, cookie: [16]byte{1}}}
		}
		s := a.open("tcp4").set(abi.SOL_TCP, abi.TCP_FASTOPEN_CONNECT, 1)
		if c.noCookie {
			s.set(abi.SOL_TCP, abi.TCP_FASTOPEN_NO_COOKIE, 1)
		}
		err := s.connect(to)
		if deferred := err == nil; deferred != c.deferred || err != nil && err != syscall.EINPROGRESS || len(a.sent) != toInt(!c.deferred) {
			t.Errorf("%s: %v, %d segments", c.name, err, len(a.sent))
		}
		if c.deferred {
			if err := s.connect(to); err != syscall.EISCONN {
				t.Errorf("%s: connected again: %v", c.name, err)
			}
			if n, err := s.Send(noContext, []byte("data"), &socket.Msg{Flags: abi.MSG_DONTWAIT}); n != 4 || err != nil {
				t.Errorf("%s: %d, %v", c.name, n, err)
			}
			// The next one waits for the handshake as any does.
			if n, err := s.Send(noContext, []byte("more"), &socket.Msg{Flags: abi.MSG_DONTWAIT}); n != 0 || err != syscall.EAGAIN {
				t.Errorf("%s: a second send: %d, %v", c.name, n, err)
			}
		}
		out := a.segments()
		if len(out) != 1 || optionText(&out[0].Options) != c.option {
			t.Errorf("%s: %d segments, option %s", c.name, len(out), optionText(&out[0].Options))
		}
	}
}

// TCP_FASTOPEN_CONNECT is for sockets that are neither connected nor listen, where the host may send with SYNs; the
// options of listeners are for the same and for these (Linux, do_tcp_setsockopt).
func TestFastOpenOptionStates(t *testing.T) {
	a, b := newPair(t, opens(tcp.FastOpenClient))
	listening := a.open("tcp4").at(addrA + ":80")
	listening.Listen(1)
	connected, _ := joined(t, a, b, addrB+":80")
	for _, c := range []struct {
		s                        *sock
		connect, queue, noCookie string
	}{
		{a.open("tcp4"), "<nil>", "<nil>", "<nil>"}, {listening, "EINVAL", "<nil>", "<nil>"}, {connected, "EINVAL", "EINVAL", "EINVAL"}, {b.open("tcp4"), "<nil>", "<nil>", "<nil>"},
	} {
		for opt, want := range map[int]string{abi.TCP_FASTOPEN_CONNECT: c.connect, abi.TCP_FASTOPEN: c.queue, abi.TCP_FASTOPEN_NO_COOKIE: c.noCookie} {
			if err := c.s.SetOpt(abi.SOL_TCP, opt, ints(1)); name(err) != want && fmt.Sprint(err) != want {
				t.Errorf("option %d: %v, want %s", opt, err, want)
			}
		}
	}
	off, _ := newPair(t, opens(tcp.FastOpenServer))
	if err := off.open("tcp4").SetOpt(abi.SOL_TCP, abi.TCP_FASTOPEN_CONNECT, ints(1)); err != syscall.EOPNOTSUPP {
		t.Errorf("off: %v", err)
	}
}

// Views are cut behind so many bytes, and what is behind them is let go of.
func TestFirstBytes(t *testing.T) {
	live := packet.Live()
	for n, want := range []string{"", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdef"} {
		var views []packet.View
		for _, s := range []string{"ab", "c", "def"} {
			views = append(views, packet.Copy([]byte(s)))
		}
		got := ""
		for _, v := range firstBytes(views, n) {
			got += string(v.Bytes())
			v.Release()
		}
		if got != want || packet.Live() != live {
			t.Errorf("%d bytes: %q, %d blocks are left", n, got, packet.Live()-live)
		}
	}
}
