package inet

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/wait"
	"usock/internal/wire"
)

// asked is a handler that keeps what it is asked.
type asked struct {
	flows []*Flow
	udp   []Datagram
	echo  []Echo
}

func (h *asked) TCP(f *Flow) { h.flows = append(h.flows, f) }

func (h *asked) UDP(d *Datagram) {
	c := *d
	c.Data = [][]byte{bytes.Join(d.Data, nil)}
	h.udp = append(h.udp, c)
}

func (h *asked) Echo(e *Echo) {
	c := *e
	c.Data = [][]byte{bytes.Join(e.Data, nil)}
	h.echo = append(h.echo, c)
}

// newGateway returns a machine that stands in for all others, whose handler is asked, and one that uses it.
func newGateway(t testing.TB) (g, b *machine, h *asked) {
	h = &asked{}
	g, b = newPair(t, Config{Handler: h, Foreign: true})
	b.do(func() {
		b.st.IP.AddRoute(ip.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: addr(addrA)})
		b.st.IP.AddRoute(ip.Route{Dst: netip.MustParsePrefix("::/0"), Via: addr(addrA6)})
	})
	return g, b, h
}

const elsewhere4, elsewhere6 = "192.0.2.7", "2001:db8:7::7"

// What the handler is asked about: what is for nobody here, and not what is for this host or for many.
func TestHandlerIsAsked(t *testing.T) {
	g, b, h := newGateway(t)
	for _, c := range []struct {
		kind, to string
		asked    bool
	}{
		{"udp4", elsewhere4 + ":53", true}, {"udp6", "[" + elsewhere6 + "]:53", true}, {"udp4", addrA + ":53", false}, {"udp4", "10.0.0.255:53", false},
		{"tcp4", elsewhere4 + ":80", true}, {"tcp6", "[" + elsewhere6 + "]:80", true}, {"tcp4", addrA + ":80", false},
	} {
		*h = asked{}
		s := b.open(c.kind)
		if c.kind[:3] == "udp" {
			s.set(abi.SOL_SOCKET, abi.SO_BROADCAST, 1)
			if err := s.send("query", c.to); err != nil {
				t.Fatal(err)
			}
		} else {
			s.with(c.to)
		}
		if n := len(h.flows) + len(h.udp); (n == 1) != c.asked {
			t.Errorf("%s to %s: asked %d times", c.kind, c.to, n)
		}
		s.Close()
	}
	// On loopback addresses it is asked about ports that nobody has.
	*h = asked{}
	g.open("udp4").at("127.0.0.1:53")
	s := g.open("udp4")
	s.send("x", "127.0.0.1:53")
	if len(h.udp) != 0 {
		t.Error("asked about a port that somebody has")
	}
	s.send("y", "127.0.0.1:54")
	g.open("tcp4").with("127.0.0.1:81")
	if len(h.udp) != 1 || h.udp[0].Dst != addrport("127.0.0.1:54") || string(h.udp[0].Data[0]) != "y" || len(h.flows) != 1 {
		t.Errorf("%+v %+v", h.udp, h.flows)
	}
	// Echo requests for others, never those for loopback.
	*h = asked{}
	p := b.open("ping4")
	p.send("\x08\x00\x00\x00\x00\x00\x00\x05data", elsewhere4+":0")
	b.open("ping6").send("\x80\x00\x00\x00\x00\x00\x00\x06data6", "["+elsewhere6+"]:0")
	g.open("ping4").send("\x08\x00\x00\x00\x00\x00\x00\x05data", "127.0.0.1:0")
	if len(h.echo) != 2 || h.echo[0].Src != addr(addrB) || h.echo[0].Dst != addr(elsewhere4) || h.echo[0].ID != p.port() || h.echo[0].Seq != 5 || string(h.echo[0].Data[0]) != "data" || h.echo[0].TTL != 64 || h.echo[1].Seq != 6 || string(h.echo[1].Data[0]) != "data6" {
		t.Errorf("%+v", h.echo)
	}
	// What a datagram says.
	*h = asked{}
	s = b.open("udp4").at(addrB+":5000").set(abi.SOL_IP, abi.IP_TTL, 9).set(abi.SOL_IP, abi.IP_TOS, 0x10)
	s.send(strings.Repeat("x", 1400), elsewhere4+":53")
	if d := h.udp[0]; d.Src != addrport(addrB+":5000") || d.Dst != addrport(elsewhere4+":53") || d.TTL != 9 || d.TOS != 0x10 || !d.DontFragment || d.SegmentSize != 0 || len(d.Data[0]) != 1400 {
		t.Errorf("%+v", d)
	}
}

// A flow is asked about once, however often its SYN comes, and is accepted, refused, left or answered by an
// error; the one who asks sees a server of that address.
func TestFlows(t *testing.T) {
	for _, to := range []string{elsewhere4 + ":80", "[" + elsewhere6 + "]:80"} {
		kind := map[bool]string{true: "tcp6", false: "tcp4"}[to[0] == '[']
		for _, c := range []struct {
			name string
			do   func(f *Flow) error
			want string // what connect says then
		}{
			{"accepted", func(f *Flow) error { _, err := f.Accept(); return err }, "<nil>"},
			{"refused", func(f *Flow) error { f.Refuse(); return nil }, "ECONNREFUSED"},
			{"left", func(f *Flow) error { f.Drop(); return nil }, "EALREADY"},
			{"unreachable", func(f *Flow) error {
				if f.Local.Addr().Is4() {
					f.Unreachable(netip.Addr{}, wire.ICMPv4Unreachable, wire.ICMPv4HostUnreachable)
				} else {
					f.Unreachable(netip.Addr{}, wire.ICMPv6Unreachable, wire.ICMPv6AddressUnreachable)
				}
				return nil
			}, "EHOSTUNREACH"},
		} {
			g, b, h := newGateway(t)
			s := b.open(kind).set(abi.SOL_IP, abi.IP_TTL, 33).with(to)
			b.clock.Advance(1500 * time.Millisecond) // the SYN comes again
			if len(h.flows) != 1 {
				t.Fatalf("%s: asked %d times", c.name, len(h.flows))
			}
			f := h.flows[0]
			var waiting bool
			g.do(func() { waiting = f.Waiting() })
			if !waiting || f.Local != addrport(to) || f.Remote.String() != s.local() || kind == "tcp4" && f.TTL != 33 {
				t.Errorf("%s: %+v", c.name, f)
			}
			var err error
			g.do(func() { err = c.do(f) })
			if got := name(s.connect(to)); err != nil || got != c.want {
				t.Errorf("%s to %s: %s, want %s, %v", c.name, to, got, c.want, err)
			}
			g.do(func() {
				if f.Waiting() || g.st.tcp.flows != 0 {
					t.Errorf("%s: waits still", c.name)
				}
				if _, err := f.Accept(); err != syscall.ECONNABORTED {
					t.Errorf("%s: accepted twice: %v", c.name, err)
				}
				f.Refuse()
				f.Unreachable(netip.Addr{}, 3, 1)
			})
			if c.name == "left" {
				b.clock.Advance(3 * time.Second)
				if len(h.flows) != 2 {
					t.Errorf("not asked again: %d", len(h.flows))
				}
			}
		}
	}
	// What is accepted carries data both ways.
	g, b, h := newGateway(t)
	s := b.open("tcp4").with(elsewhere4 + ":80")
	var n *sock
	g.do(func() {
		x, err := h.flows[0].Accept()
		if err != nil {
			t.Fatal(err)
		}
		x.InitNonblock()
		n = &sock{x, g}
	})
	s.send("up", "-")
	n.send("down", "-")
	if got := n.text() + " " + s.text(); got != "up down" || n.local() != elsewhere4+":80" || n.remote() != s.local() {
		t.Errorf("%q, %s, %s", got, n.local(), n.remote())
	}
}

// A flow is forgotten after its time, by a reset, and by another attempt with the same ports; so many wait
// at once, and no more.
func TestFlowEnds(t *testing.T) {
	g, b, h := newGateway(t)
	b.cut = true
	const from, to = addrB + ":5000", elsewhere4 + ":80"
	syn := func(seq uint32) segment { return segment{from, to, wire.TCP{Flags: wire.SYN, Seq: seq}, "", false} }
	waiting := func() (n int) { g.do(func() { n = g.st.tcp.flows }); return n }
	g.arrive(syn(100).packet())
	g.arrive(syn(100).packet())
	if len(h.flows) != 1 || waiting() != 1 {
		t.Fatal(len(h.flows))
	}
	for _, c := range []struct {
		name string
		seg  segment
		left int
	}{
		{"an ACK", segment{from, to, wire.TCP{Flags: wire.ACK, Seq: 101, Ack: 1}, "", false}, 1},
		{"a reset of another number", segment{from, to, wire.TCP{Flags: wire.RST, Seq: 99}, "", false}, 1},
		{"a reset", segment{from, to, wire.TCP{Flags: wire.RST, Seq: 101}, "", false}, 0},
	} {
		if g.arrive(c.seg.packet()); waiting() != c.left {
			t.Errorf("%s: %d wait", c.name, waiting())
		}
	}
	g.arrive(syn(100).packet())
	if g.arrive((segment{from, to, wire.TCP{Flags: wire.RST, Seq: 100}, "", false}).packet()); waiting() != 0 {
		t.Error("a reset in front of the SYN's end")
	}
	g.arrive(syn(200).packet())
	g.arrive(syn(300).packet())
	if len(h.flows) != 4 || waiting() != 1 {
		t.Errorf("%d asked, %d wait", len(h.flows), waiting())
	}
	g.do(func() {
		if h.flows[2].Waiting() || !h.flows[3].Waiting() {
			t.Error("the first attempt waits still")
		}
	})
	g.clock.Advance(flowForgotten - 1)
	g.arrive(syn(300).packet())
	g.clock.Advance(flowForgotten - 1)
	if waiting() != 1 {
		t.Error("forgotten though its SYN came again")
	}
	if g.clock.Advance(1); waiting() != 0 {
		t.Error("not forgotten")
	}
	for i := range maxAsked + 5 {
		x := syn(1)
		x.from = fmt.Sprintf("%s:%d", addrB, 10000+i)
		g.arrive(x.packet())
	}
	if waiting() != maxAsked || g.st.tcp.Stats.FlowDrops != 5 {
		t.Errorf("%d wait, %d dropped", waiting(), g.st.tcp.Stats.FlowDrops)
	}
}

// Datagrams that are sent in the place of others are what those would have sent.
func TestSendDatagram(t *testing.T) {
	g, b, _ := newGateway(t)
	u4, u6 := b.open("udp4").at(addrB+":5000").set(abi.SOL_IP, abi.IP_RECVTTL, 1).set(abi.SOL_IP, abi.IP_RECVTOS, 1), b.open("udp6").at("["+addrB6+"]:5000")
	pieces := [][]byte{[]byte("an"), nil, []byte("swer")}
	if got := g.inHost(func() error {
		return g.st.SendDatagram(&Datagram{Src: addrport(elsewhere4 + ":53"), Dst: addrport(addrB + ":5000"), Data: pieces, TTL: 9, TOS: 0x10})
	}); got != "<nil>" {
		t.Error(got)
	}
	if r := u4.recv(0); r.data != "answer" || r.from != elsewhere4+":53" || r.said() != fmt.Sprintf("0/2=%x 0/1=10", ints(9)) {
		t.Errorf("%+v %s", r, r.said())
	}
	g.inHost(func() error {
		return g.st.SendDatagram(&Datagram{Src: addrport("[" + elsewhere6 + "]:53"), Dst: addrport("[" + addrB6 + "]:5000"), Data: [][]byte{}})
	})
	if r := u6.recv(0); r.data != "" || r.err != nil || r.from != "["+elsewhere6+"]:53" {
		t.Errorf("%+v", r)
	}
	// Several of one size, and sizes that cannot be.
	for _, c := range []struct {
		n, size int
		want    string
		got     []int
	}{{250, 100, "<nil>", []int{100, 100, 50}}, {100, 100, "<nil>", []int{100}}, {99, 100, "<nil>", []int{99}}, {65507, 0, "<nil>", []int{65507}}, {65508, 0, "EMSGSIZE", nil}} {
		got := g.inHost(func() error {
			return g.st.SendDatagram(&Datagram{Src: addrport(elsewhere4 + ":53"), Dst: addrport(addrB + ":5000"), Data: [][]byte{make([]byte, c.n)}, SegmentSize: c.size})
		})
		var sizes []int
		for r := u4.recv(0); r.err == nil; r = u4.recv(0) {
			sizes = append(sizes, len(r.data))
		}
		if got != c.want || !slices.Equal(sizes, c.got) {
			t.Errorf("%+v: %s, %v", c, got, sizes)
		}
	}
	if got := g.inHost(func() error {
		return g.st.SendDatagram(&Datagram{Src: addrport("[" + elsewhere6 + "]:53"), Dst: addrport("[" + addrB6 + "]:5000"), Data: [][]byte{make([]byte, 65528)}})
	}); got != "EMSGSIZE" {
		t.Error(got)
	}
	if got := g.inHost(func() error {
		return g.st.SendDatagram(&Datagram{Src: addrport(elsewhere4 + ":53"), Dst: addrport("203.0.113.1:5000")})
	}); got != "ENETUNREACH" {
		t.Error(got)
	}
}

// inHost runs f as an entry into the host and returns its error's name.
func (m *machine) inHost(f func() error) string {
	m.h.Enter()
	defer m.h.Leave()
	return name(f())
}

// Echo replies that are sent in the place of others.
func TestSendEchoReply(t *testing.T) {
	g, b, _ := newGateway(t)
	pieces := [][]byte{[]byte("an"), nil, []byte("swer")}
	for _, c := range []struct{ kind, from, to, msg string }{{"ping4", elsewhere4, addrB, "\x08"}, {"ping6", elsewhere6, addrB6, "\x80"}} {
		p := b.open(c.kind)
		at := netip.AddrPortFrom(addr(c.from), 0).String()
		b.cut = true
		p.send(c.msg+"\x00\x00\x00\x00\x00\x00\x05data", at)
		b.cut = false
		if got := g.inHost(func() error {
			return g.st.SendEchoReply(&Echo{Src: addr(c.from), Dst: addr(c.to), ID: p.port(), Seq: 7, Data: pieces})
		}); got != "<nil>" {
			t.Error(got)
		}
		if r := p.recv(0); !strings.HasSuffix(r.data, "\x00\x07answer") || r.from != at {
			t.Errorf("%+v", r)
		}
	}
}

// Errors about a datagram and about an echo request, in the name of whom the packet was for or of another.
func TestSendError(t *testing.T) {
	g, b, _ := newGateway(t)
	for _, c := range []struct {
		kind, src, dst, from string
		proto                uint8
		typ, code            uint8
		want                 string
	}{
		{"udp4", addrB, elsewhere4, "", ip.ProtoUDP, wire.ICMPv4Unreachable, 3, "ECONNREFUSED"}, {"udp4", addrB, elsewhere4, "192.0.2.99", ip.ProtoUDP, wire.ICMPv4Unreachable, 1, "EHOSTUNREACH"}, {"udp6", addrB6, elsewhere6, "", ip.ProtoUDP, wire.ICMPv6Unreachable, 4, "ECONNREFUSED"},
		{"udp4", addrB, elsewhere4, elsewhere6, ip.ProtoUDP, wire.ICMPv4Unreachable, 3, "ECONNREFUSED"}, {"ping4", addrB, elsewhere4, "", ip.ProtoICMP, wire.ICMPv4Unreachable, 1, "EHOSTUNREACH"}, {"ping6", addrB6, elsewhere6, "", ip.ProtoICMPv6, wire.ICMPv6Unreachable, 3, "EHOSTUNREACH"},
	} {
		s := b.open(c.kind)
		level, opt := abi.SOL_IP, abi.IP_RECVERR
		if addr(c.src).Is6() {
			level, opt = abi.SOL_IPV6, abi.IPV6_RECVERR
		}
		s.set(level, opt, 1).at(netip.AddrPortFrom(addr(c.src), 6000).String())
		e := &Error{Src: netip.AddrPortFrom(addr(c.src), 6000), Dst: netip.AddrPortFrom(addr(c.dst), 53), Proto: c.proto, TTL: 60, TOS: 0x1e, Type: c.typ, Code: c.code, Data: [][]byte{[]byte("some data")}, ID: 6000, Seq: 5}
		from := c.dst
		if c.from != "" {
			if e.From = addr(c.from); e.From.Is4() == addr(c.src).Is4() {
				from = c.from
			}
		}
		g.took()
		if got := g.inHost(func() error { return g.st.SendError(e) }); got != "<nil>" {
			t.Errorf("%+v: %s", c, got)
		}
		r := s.recv(abi.MSG_ERRQUEUE)
		if r.err != nil || !strings.HasSuffix(r.data, "some data") || r.said() != extended(s, c.want, c.typ, c.code, 0, from, addr(c.src).Is6()) {
			t.Errorf("%+v: %+v %s", c, r, r.said())
		}
		if p := g.took()[0]; p[0]>>4 == 4 && p[1] != 0xde {
			t.Errorf("%+v: class %#x", c, p[1])
		}
		s.Close()
	}
	if got := g.inHost(func() error {
		return g.st.SendError(&Error{Src: addrport(addrB + ":1"), Dst: addrport(elsewhere4 + ":2"), Proto: 99})
	}); got != syscall.EPROTONOSUPPORT.Error() {
		t.Error(got)
	}
	if got := g.inHost(func() error {
		return g.st.SendError(&Error{Src: addrport("203.0.113.1:1"), Dst: addrport(elsewhere4 + ":2"), Proto: ip.ProtoUDP})
	}); got != "ENETUNREACH" {
		t.Error(got)
	}
	// No more is quoted than an error may hold.
	for src, want := range map[string]int{addrB: 576, addrB6: 1280} {
		g.took()
		dst := map[string]string{addrB: elsewhere4, addrB6: elsewhere6}[src]
		g.inHost(func() error {
			return g.st.SendError(&Error{Src: netip.AddrPortFrom(addr(src), 1), Dst: netip.AddrPortFrom(addr(dst), 2), Proto: ip.ProtoUDP, Type: 3, Data: [][]byte{make([]byte, 5000)}})
		})
		if p := g.took()[0]; len(p) != want {
			t.Errorf("%d bytes about a packet of %s", len(p), src)
		}
	}
}

// A gateway makes connections in the place of others, and has attempts and sockets of its host fail.
func TestOriginateAndFail(t *testing.T) {
	g, b, _ := newGateway(t)
	l := b.open("tcp4").at("0.0.0.0:80")
	l.Listen(5)
	var n *sock
	g.do(func() {
		s, err := g.st.Originate(addrport(elsewhere4+":4000"), addrport(addrB+":80"))
		if err != nil {
			t.Fatal(err)
		}
		s.InitNonblock()
		n = &sock{s, g}
	})
	s := l.accept()
	if s.remote() != elsewhere4+":4000" || n.ready()&wait.Out == 0 || n.local() != elsewhere4+":4000" {
		t.Errorf("%s, %x", s.remote(), n.ready())
	}
	s.send("data", "-")
	if got := n.text(); got != "data" {
		t.Error(got)
	}
	g.do(func() {
		if _, err := g.st.Originate(addrport(elsewhere4+":4000"), addrport(addrB+":80")); err != syscall.EADDRNOTAVAIL {
			t.Error(err)
		}
		if _, err := g.st.Originate(addrport(elsewhere4+":4001"), addrport("203.0.113.1:80")); err != syscall.ENETUNREACH {
			t.Error(err)
		}
	})
	// Of its own sockets.
	g.cut = true
	c := g.open("tcp4").at(addrA + ":5000").with(addrB + ":81")
	u, free := g.open("udp4").at(addrA+":53").with(addrB+":7"), g.open("udp4").at(addrA+":54").set(abi.SOL_SOCKET, abi.SO_BROADCAST, 1)
	for _, x := range []struct {
		name string
		f    func() bool
		want bool
	}{
		{"a connection as if it were an attempt", func() bool {
			return g.st.FailConnect(addrport(elsewhere4+":4000"), addrport(addrB+":80"), syscall.EACCES)
		}, false},
		{"an attempt as if it were a connection", func() bool { return g.st.FailStream(addrport(addrA+":5000"), addrport(addrB+":81"), syscall.EACCES) }, false},
		{"an attempt", func() bool { return g.st.Connects(addrport(addrA+":5000"), addrport(addrB+":81")) }, true},
		{"another's", func() bool { return g.st.Connects(addrport(addrA+":5001"), addrport(addrB+":81")) }, false},
		{"an attempt that fails", func() bool { return g.st.FailConnect(addrport(addrA+":5000"), addrport(addrB+":81"), syscall.EACCES) }, true},
		{"a connection that fails", func() bool {
			return g.st.FailStream(addrport(elsewhere4+":4000"), addrport(addrB+":80"), syscall.EPIPE)
		}, true},
		{"none", func() bool {
			return g.st.FailStream(addrport(elsewhere4+":4009"), addrport(addrB+":80"), syscall.EPIPE)
		}, false},
		{"a datagram socket with the peer", func() bool { return g.st.FailSend(addrport(addrA+":53"), addrport(addrB+":7"), syscall.EACCES, true) }, true},
		{"one with another peer", func() bool { return g.st.FailSend(addrport(addrA+":53"), addrport(addrB+":8"), syscall.EACCES, false) }, false},
		{"one without, where it must have it", func() bool { return g.st.FailSend(addrport(addrA+":54"), addrport(addrB+":7"), syscall.EACCES, true) }, false},
		{"one without", func() bool { return g.st.FailSend(addrport(addrA+":54"), addrport(addrB+":7"), syscall.EPERM, false) }, true},
		{"may send to all", func() bool { return g.st.Broadcasts(addrport(addrA+":54"), addrport(addrB+":7")) }, true},
		{"may not", func() bool { return g.st.Broadcasts(addrport(addrA+":53"), addrport(addrB+":7")) }, false},
		{"is not there", func() bool { return g.st.Broadcasts(addrport(addrA+":55"), addrport(addrB+":7")) }, false},
	} {
		g.do(func() {
			if got := x.f(); got != x.want {
				t.Errorf("%s: %v", x.name, got)
			}
		})
	}
	if got := name(c.connect(addrB + ":81")); got != "EACCES" {
		t.Error(got)
	}
	if r := n.recv(0); r.err != syscall.EPIPE {
		t.Errorf("%+v", r)
	}
	if a, b := u.text(), free.text(); !strings.HasPrefix(a, "EACCES") || !strings.HasPrefix(b, "EPERM") {
		t.Error(a, b)
	}
}

// Settings of a connection that are about the way to its peer are told as they are set.
func TestSettings(t *testing.T) {
	var told []string
	a, b := newPair(t, Config{Settings: func(local, remote netip.AddrPort) { told = append(told, fmt.Sprint(local, " ", remote)) }})
	idle := a.open("tcp4").set(abi.SOL_TCP, abi.TCP_KEEPIDLE, 5)
	if len(told) != 0 {
		t.Errorf("told of a socket without connection: %q", told)
	}
	idle.Close()
	c, _ := joined(t, a, b, addrB+":80")
	for _, x := range []struct {
		level, opt, v int
		told          bool
	}{
		{abi.SOL_SOCKET, abi.SO_KEEPALIVE, 1, true}, {abi.SOL_TCP, abi.TCP_KEEPIDLE, 5, true}, {abi.SOL_TCP, abi.TCP_KEEPINTVL, 6, true}, {abi.SOL_TCP, abi.TCP_KEEPCNT, 7, true}, {abi.SOL_TCP, abi.TCP_USER_TIMEOUT, 8000, true},
		{abi.SOL_IP, abi.IP_TTL, 9, true}, {abi.SOL_IP, abi.IP_TOS, 0x10, true}, {abi.SOL_TCP, abi.TCP_NODELAY, 1, false}, {abi.SOL_SOCKET, abi.SO_RCVLOWAT, 5, false},
	} {
		told = nil
		c.set(x.level, x.opt, x.v)
		if (len(told) == 1) != x.told || x.told && told[0] != c.local()+" "+addrB+":80" {
			t.Errorf("%+v: told %q", x, told)
		}
	}
	told = nil
	if err := c.SetOpt(abi.SOL_TCP, abi.TCP_KEEPCNT, ints(0)); err == nil || len(told) != 0 {
		t.Errorf("told of what was refused: %q", told)
	}
	c.SetOpt(abi.SOL_TCP, abi.TCP_CONGESTION, []byte("reno"))
	local := addrport(c.local())
	a.do(func() {
		got, ok := a.st.Settings(local, addrport(addrB+":80"))
		if want := (Settings{KeepAlive: true, KeepIdle: 5, KeepIntvl: 6, KeepCnt: 7, UserTimeout: 8000, TTL: 9, TOS: 0x10, Congestion: "reno"}); !ok || got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if _, ok := a.st.Settings(local, addrport(addrB+":81")); ok {
			t.Error("settings of no connection")
		}
	})
}
