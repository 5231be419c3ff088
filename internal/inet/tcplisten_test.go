package inet

import (
	"encoding/binary"
	"fmt"
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
	"usock/packet"
)

// The accept queue takes one more than the backlog, in order; what comes then is dropped and comes again
// (listen(2); Linux, sk_acceptq_is_full).
func TestBacklog(t *testing.T) {
	for _, backlog := range []int{0, 1, 3} {
		a, b := newPair(t, Config{})
		l := b.open("tcp4").at(addrB + ":80")
		if err := l.Listen(backlog); err != nil {
			t.Fatal(err)
		}
		for i := range backlog + 3 {
			a.open("tcp4").at(fmt.Sprintf("%s:%d", addrA, 5000+i)).with(addrB + ":80")
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
		if _, err := l.Accept(noContext); err != syscall.EAGAIN || l.ready() != 0 {
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
		if _, err := l.Accept(noContext); err != syscall.EAGAIN {
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
			if _, err := s.Accept(noContext); err == nil {
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
			if _, err := s.Accept(noContext); err != nil {
				break
			}
		}
		if n < 5 {
			t.Errorf("listener %d has %d of 60", i, n)
		}
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
		if _, err := l.Accept(noContext); (err == nil) != c.good {
			t.Errorf("after %v: %v", c.after, err)
		}
	}
}

// The last ACK of a handshake by cookie and the data behind it may come at the same time: what finds the connection
// made does not reset it.
func TestCookieTwice(t *testing.T) {
	_, b := newPair(t, Config{})
	b.cut = true
	l := b.open("tcp4").at(addrB + ":80")
	l.Listen(1)
	for i := range 2 {
		b.arrive(segment{fmt.Sprintf("10.0.0.9:%d", i+1), addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 1, Window: 1000}, "", false}.packet())
	}
	b.took()
	b.arrive(segment{addrA + ":5000", addrB + ":80", wire.TCP{Flags: wire.SYN, Seq: 1000, Window: 1000}, "", false}.packet())
	out := b.segments()
	if len(out) != 1 || b.st.tcp.Stats.SyncookiesSent != 1 {
		t.Fatal(out)
	}
	ack := segment{addrA + ":5000", addrB + ":80", wire.TCP{Flags: wire.ACK, Seq: 1001, Ack: out[0].Seq + 1, Window: 1000}, "", false}
	b.arrive(ack.packet())
	b.do(func() { // as if it had looked for the connection before
		k := tuple{laddr: addr(addrB), raddr: addr(addrA), lport: 80, rport: 5000}
		m := &ip.Meta{Iface: b.eth, Lane: b.st.IP.Whole(), Src: k.raddr, Dst: k.laddr, TTL: 64}
		seg := &tcp.Segment{TCP: ack.TCP}
		seg.Data.Append(packet.Copy([]byte("data")))
		b.st.tcp.stray(endpointOf(l.Socket), &k, m, seg, 0, &b.h.Domain)
	})
	if out := b.segments(); len(out) != 0 || l.accept().state() != "ESTAB" {
		t.Errorf("answered with %+v", out)
	}
}

// A socket that is accepted and does not have its connection yet is listed once, and if it is closed then gives back
// all that this has.
func TestClosedBeforeAdopted(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.open("tcp4").at(addrB + ":80")
	l.Listen(5)
	a.open("tcp4").with(addrB+":80").send("data", "-")
	b.do(func() {
		n, err := b.st.tcp.Accept(l.Socket, 0)
		if err != nil {
			t.Fatal(err)
		}
		if list := b.st.Sockets(); len(list) != 2 {
			t.Errorf("it is listed twice: %+v", list)
		}
		n.CloseLocked()
		b.st.tcp.Adopt(n)
		if c := endpointOf(n); c.s != nil || !c.released || b.st.TCPMemory() != 0 {
			t.Errorf("released: %v, %d bytes", c.released, b.st.TCPMemory())
		}
	})
}
