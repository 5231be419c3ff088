package usock_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/link"
)

// asked is a FlowHandler that does what the test says, and notes what it was asked.
type asked struct {
	mu    sync.Mutex
	flows []*usock.Flow
	tcp   func(*usock.Flow)
	udp   func(*usock.Datagram)
	echo  func(*usock.Echo)
	at    *usock.Host // which asks
}

func (a *asked) HandleTCP(f *usock.Flow) {
	a.mu.Lock()
	a.flows = append(a.flows, f)
	a.mu.Unlock()
	if a.tcp != nil {
		a.tcp(f)
	}
}

func (a *asked) HandleUDP(d *usock.Datagram) {
	if a.udp != nil {
		a.udp(d)
	}
}

func (a *asked) HandleEcho(e *usock.Echo) {
	if a.echo != nil {
		a.echo(e)
	}
}

func (a *asked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.flows)
}

// world returns a host whose link leads to one that stands in for all others.
func world(t testing.TB, h *asked, c usock.Config) (host, router *usock.Host) {
	t.Helper()
	x, y := link.Pipe(link.PipeConfig{Names: [2]string{"eth0", "gw0"}})
	router = newHost(t, usock.Config{Flows: h, StandIn: true,
		Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.1/24", "fd00::1/64")}}})
	c.Interfaces = []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.2/24", "fd00::2/64"), Routes: []usock.Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.0.0.1")},
		{Dst: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("fd00::1")},
	}}}
	return newHost(t, c), router
}

// foreign are addresses that nobody of the tests has, and ports of a host's own that nobody
// holds.
var foreign = []string{"192.0.2.7:80", "[2001:db8::7]:80", "127.0.0.1:80", "127.3.2.1:80", "[::1]:80"}

// eachForeign calls f with a host, the handler that is asked about an address, and that.
func eachForeign(t *testing.T, f func(t *testing.T, host *usock.Host, h *asked, to usock.Addr)) {
	for _, s := range foreign {
		t.Run(s, func(t *testing.T) {
			h := new(asked)
			host, router := world(t, h, usock.Config{Flows: h})
			if h.at = router; mustAddr(t, s).IP.IsLoopback() {
				h.at = host
			}
			f(t, host, h, mustAddr(t, s))
		})
	}
}

func TestFlowAccept(t *testing.T) {
	eachForeign(t, func(t *testing.T, host *usock.Host, h *asked, to usock.Addr) {
		var in *usock.Socket
		h.tcp = func(f *usock.Flow) {
			if f.Local() != to.AddrPort() || f.TTL() != 64 || f.TOS() != 0xb8 || !f.Waiting() {
				t.Errorf("flow to %v, TTL %d, TOS %#x, waiting %v", f.Local(), f.TTL(), f.TOS(), f.Waiting())
			}
			var err error
			if in, err = f.Accept(); err != nil {
				t.Error(err)
			}
			if _, err := f.Accept(); !errors.Is(err, syscall.ECONNABORTED) || f.Waiting() {
				t.Errorf("a second accept: %v", err)
			}
			f.Refuse() // without effect
		}
		s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
		if to.Family == usock.AF_INET {
			s.SetSockOptInt(usock.SOL_IP, usock.IP_TOS, 0xb8)
		} else {
			s.SetSockOptInt(usock.SOL_IPV6, usock.IPV6_TCLASS, 0xb8)
		}
		s.SetNonblock(true)
		// The outcome is known at once, as on Linux's loopback.
		if err := s.Connect(to); !errors.Is(err, syscall.EINPROGRESS) {
			t.Fatal(err)
		}
		if err := s.FinishConnect(); err != nil {
			t.Fatal(err)
		}
		s.SetNonblock(false)
		in.SetNonblock(false)
		in.SetDeadline(time.Now().Add(10 * time.Second))
		name, _ := in.GetSockName()
		peer, _ := in.GetPeerName()
		own, _ := s.GetSockName()
		if name.AddrPort() != to.AddrPort() || peer.AddrPort() != own.AddrPort() {
			t.Errorf("the flow's socket is %v to %v, and should be %v to %v", name, peer, to, own)
		}
		// Both ways, both ends.
		data := bytes.Repeat([]byte("0123456789"), 50000)
		go s.Send(data, 0)
		if got := recvAll(t, in, len(data)); !bytes.Equal(got, data) {
			t.Error("the bytes differ")
		}
		go in.Send(data, 0)
		if got := recvAll(t, s, len(data)); !bytes.Equal(got, data) {
			t.Error("the bytes differ")
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Recv(make([]byte, 1), 0); n != 0 || err != nil {
			t.Errorf("after the end: %d, %v", n, err)
		}
		s.Close()
		if n := h.count(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// recvAll receives n bytes.
func recvAll(t *testing.T, s *usock.Socket, n int) []byte {
	t.Helper()
	out := make([]byte, 0, n)
	buf := make([]byte, 64<<10)
	for len(out) < n {
		k, err := s.Recv(buf, 0)
		if err != nil || k == 0 {
			t.Fatalf("%d bytes after %d: %v", k, len(out), err)
		}
		out = append(out, buf[:k]...)
	}
	return out
}

func TestFlowRefuse(t *testing.T) {
	eachForeign(t, func(t *testing.T, host *usock.Host, h *asked, to usock.Addr) {
		h.tcp = func(f *usock.Flow) { f.Refuse() }
		s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
		if err := s.Connect(to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect: %v", err)
		}
	})
}

func TestFlowUnreachable(t *testing.T) {
	for _, c := range []struct {
		to        string
		from      string
		typ, code uint8
		want      syscall.Errno
	}{
		{"192.0.2.7:80", "", 3, 0, syscall.ENETUNREACH},
		{"192.0.2.7:80", "203.0.113.1", 3, 1, syscall.EHOSTUNREACH},
		{"192.0.2.7:80", "203.0.113.1", 3, 13, syscall.EHOSTUNREACH},
		{"192.0.2.7:80", "203.0.113.1", 11, 0, syscall.EHOSTUNREACH},
		{"[2001:db8::7]:80", "", 1, 0, syscall.ENETUNREACH},
		{"[2001:db8::7]:80", "2001:db8:1::1", 1, 1, syscall.EACCES},
		{"[2001:db8::7]:80", "2001:db8:1::1", 1, 3, syscall.EHOSTUNREACH},
		{"127.0.0.1:80", "", 3, 13, syscall.EHOSTUNREACH},
	} {
		h := &asked{tcp: func(f *usock.Flow) {
			from, _ := netip.ParseAddr(c.from)
			f.Unreachable(from, c.typ, c.code)
		}}
		host, _ := world(t, h, usock.Config{Flows: h})
		to := mustAddr(t, c.to)
		s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
		if err := s.Connect(to); !errors.Is(err, c.want) {
			t.Errorf("%s, type %d code %d: %v instead of %v", c.to, c.typ, c.code, err, c.want)
		}
	}
}

// TestFlowLater answers long after the SYN: its repetitions ask nobody again.
func TestFlowLater(t *testing.T) {
	eachForeign(t, func(t *testing.T, host *usock.Host, h *asked, to usock.Addr) {
		s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
		s.SetNonblock(true)
		if err := s.Connect(to); !errors.Is(err, syscall.EINPROGRESS) {
			t.Fatal(err)
		}
		own, _ := s.GetSockName()
		if !host.Connects(own.AddrPort(), to.AddrPort()) {
			t.Error("the attempt is not seen")
		}
		f := h.flows[0]
		if _, err := f.Accept(); err != nil {
			t.Fatal(err)
		}
		if err := s.FinishConnect(); err != nil {
			t.Error(err)
		}
		if h.count() != 1 {
			t.Errorf("asked %d times", h.count())
		}
	})
}

func TestFlowFails(t *testing.T) {
	eachForeign(t, func(t *testing.T, host *usock.Host, h *asked, to usock.Addr) {
		h.tcp = func(f *usock.Flow) {
			f.Drop()
			if !host.FailConnect(f.Remote(), f.Local(), syscall.EPERM) {
				t.Error("there is no attempt")
			}
		}
		s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
		if err := s.Connect(to); !errors.Is(err, syscall.EPERM) {
			t.Errorf("connect: %v", err)
		}
		if host.FailConnect(netip.MustParseAddrPort("10.0.0.2:1"), to.AddrPort(), syscall.EPERM) {
			t.Error("an attempt that nobody made failed")
		}
	})
}

// TestFlowGivenUp has the one who asked go away before there is an answer.
func TestFlowGivenUp(t *testing.T) {
	h := new(asked)
	host, _ := world(t, h, usock.Config{})
	to := mustAddr(t, "192.0.2.7:80")
	s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
	s.SetNonblock(true)
	s.Bind(mustAddr(t, "10.0.0.2:4000"))
	s.Connect(to)
	s.Close()
	if host.Connects(netip.MustParseAddrPort("10.0.0.2:4000"), to.AddrPort()) {
		t.Error("a closed socket connects")
	}
	// The same ports again: another attempt, of which the handler hears.
	s = mustSocket(t, host, to.Family, usock.SOCK_STREAM)
	s.SetNonblock(true)
	s.Bind(mustAddr(t, "10.0.0.2:4000"))
	s.Connect(to)
	if h.count() != 2 || h.flows[0].Waiting() || !h.flows[1].Waiting() {
		t.Fatalf("asked %d times; waiting: %v", h.count(), h.flows[0].Waiting())
	}
	if _, err := h.flows[0].Accept(); !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("the attempt that was given up: %v", err)
	}
	// What answers too late meets a reset.
	in, err := h.flows[1].Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.FinishConnect(); err != nil {
		t.Fatal(err)
	}
	s.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	s.Close()
	if _, err := in.Recv(make([]byte, 1), 0); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the reset: %v", err)
	}
}

// TestFlowsBounded asks for more connections than may wait.
func TestFlowsBounded(t *testing.T) {
	const most = 4096
	h := new(asked)
	host, _ := world(t, h, usock.Config{})
	to := mustAddr(t, "192.0.2.7:80")
	for range most + 10 {
		s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
		s.SetNonblock(true)
		if err := s.Connect(to); !errors.Is(err, syscall.EINPROGRESS) {
			t.Fatal(err)
		}
	}
	if h.count() != most {
		t.Errorf("asked about %d, not %d", h.count(), most)
	}
	h.flows[0].Refuse()
	s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
	s.SetNonblock(true)
	s.Connect(to)
	if h.count() != most+1 {
		t.Error("there is no room after an answer")
	}
}

func TestFlowDatagrams(t *testing.T) {
	eachForeign(t, func(t *testing.T, host *usock.Host, h *asked, to usock.Addr) {
		long := bytes.Repeat([]byte("x"), 60000)
		h.udp = func(d *usock.Datagram) {
			data := bytes.Join(d.Data, nil)
			if d.Dst != to.AddrPort() || d.TTL != 9 || d.TOS != 8 {
				t.Errorf("to %v, TTL %d, TOS %d", d.Dst, d.TTL, d.TOS)
			}
			answer := *d
			answer.Src, answer.Dst, answer.Data, answer.TTL = d.Dst, d.Src, [][]byte{[]byte("re: "), data}, 33
			if err := h.at.SendDatagram(&answer); err != nil {
				t.Error(err)
			}
		}
		s := mustSocket(t, host, to.Family, usock.SOCK_DGRAM)
		if to.Family == usock.AF_INET {
			s.SetSockOptInt(usock.SOL_IP, usock.IP_TTL, 9)
			s.SetSockOptInt(usock.SOL_IP, usock.IP_TOS, 8)
		} else {
			s.SetSockOptInt(usock.SOL_IPV6, usock.IPV6_UNICAST_HOPS, 9)
			s.SetSockOptInt(usock.SOL_IPV6, usock.IPV6_TCLASS, 8)
		}
		for _, data := range [][]byte{[]byte("hello"), nil, long} {
			if _, err := s.SendTo(data, 0, to); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 65536)
			n, from, err := s.RecvFrom(buf, 0)
			if err != nil || string(buf[:n]) != "re: "+string(data) || from.AddrPort() != to.AddrPort() {
				t.Fatalf("received %d bytes from %v, %v", n, from, err)
			}
		}
	})
}

func TestFlowErrors(t *testing.T) {
	for _, c := range []struct {
		to        string
		typ, code uint8
		info      uint32
		want      syscall.Errno
	}{
		{"192.0.2.7:53", 3, 3, 0, syscall.ECONNREFUSED},
		{"192.0.2.7:53", 3, 13, 0, syscall.EHOSTUNREACH},
		{"[2001:db8::7]:53", 1, 4, 0, syscall.ECONNREFUSED},
		{"[2001:db8::7]:53", 1, 1, 0, syscall.EACCES},
	} {
		var router *usock.Host
		h := new(asked)
		h.udp = func(d *usock.Datagram) {
			err := router.SendICMPError(&usock.ICMPError{Src: d.Src, Dst: d.Dst, Proto: usock.IPPROTO_UDP,
				TTL: d.TTL, Type: c.typ, Code: c.code, Info: c.info, Data: d.Data})
			if err != nil {
				t.Error(err)
			}
		}
		var host *usock.Host
		host, router = world(t, h, usock.Config{})
		to := mustAddr(t, c.to)
		s := mustSocket(t, host, to.Family, usock.SOCK_DGRAM)
		if err := s.Connect(to); err != nil {
			t.Fatal(err)
		}
		s.Send([]byte("hello"), 0)
		if _, err := s.Recv(make([]byte, 10), usock.MSG_DONTWAIT); !errors.Is(err, c.want) {
			t.Errorf("%s, type %d code %d: %v instead of %v", c.to, c.typ, c.code, err, c.want)
		}
		if !host.FailSend(sockName(t, s), to.AddrPort(), syscall.EPERM, true) {
			t.Error("there is no such socket")
		}
		if _, err := s.Send([]byte("hello"), 0); !errors.Is(err, syscall.EPERM) {
			t.Errorf("send: %v", err)
		}
	}
}

func sockName(t *testing.T, s *usock.Socket) netip.AddrPort {
	t.Helper()
	a, err := s.GetSockName()
	if err != nil {
		t.Fatal(err)
	}
	return a.AddrPort()
}

func TestFlowEcho(t *testing.T) {
	for _, to := range []string{"192.0.2.7", "2001:db8::7"} {
		var router *usock.Host
		h := &asked{echo: func(e *usock.Echo) {
			answer := *e
			answer.Src, answer.Dst = e.Dst, e.Src
			if err := router.SendEchoReply(&answer); err != nil {
				t.Error(err)
			}
		}}
		host, r := world(t, h, usock.Config{})
		router = r
		a := netip.MustParseAddr(to)
		domain, proto, typ := usock.AF_INET, usock.IPPROTO_ICMP, byte(8)
		if a.Is6() {
			domain, proto, typ = usock.AF_INET6, usock.IPPROTO_ICMPV6, 128
		}
		s := must[*usock.Socket](t)(host.Socket(domain, usock.SOCK_DGRAM, proto))
		if _, err := s.SendTo([]byte{typ, 0, 0, 0, 0, 0, 0, 7, 'x', 'y'}, 0, usock.Inet(netip.AddrPortFrom(a, 0))); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := s.RecvFrom(buf, usock.MSG_DONTWAIT)
		if err != nil || from.IP != a || n != 10 || buf[7] != 7 || string(buf[8:n]) != "xy" {
			t.Errorf("received %x from %v, %v", buf[:n], from, err)
		}
	}
}

// TestStandInNeedsFlows is for a configuration that makes no sense.
func TestStandInNeedsFlows(t *testing.T) {
	if _, err := usock.NewHost(usock.Config{StandIn: true}); err == nil || !strings.Contains(err.Error(), "Flows") {
		t.Error(err)
	}
}

// TestFlowsOfOthers are not asked about: the host's own addresses, and ports that somebody has.
func TestFlowsOfOthers(t *testing.T) {
	h := new(asked)
	h.udp = func(d *usock.Datagram) { t.Errorf("asked about %v", d.Dst) }
	host, _ := world(t, h, usock.Config{Flows: h})
	for _, a := range []string{"10.0.0.2:80", "10.0.0.1:80", "[fd00::2]:80"} {
		to := mustAddr(t, a)
		s := mustSocket(t, host, to.Family, usock.SOCK_STREAM)
		if err := s.Connect(to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", a, err)
		}
		u := mustSocket(t, host, to.Family, usock.SOCK_DGRAM)
		u.SendTo([]byte("x"), 0, to)
	}
	l := mustSocket(t, host, usock.AF_INET, usock.SOCK_STREAM)
	if err := errors.Join(l.Bind(mustAddr(t, "127.0.0.1:8099")), l.Listen(1)); err != nil {
		t.Fatal(err)
	}
	s := mustSocket(t, host, usock.AF_INET, usock.SOCK_STREAM)
	if err := s.Connect(mustAddr(t, "127.0.0.1:8099")); err != nil {
		t.Error(err)
	}
	if h.count() != 0 {
		t.Errorf("asked %d times", h.count())
	}
}

// TestListening has the watcher told of who listens, and the truth be told when it asks.
func TestListening(t *testing.T) {
	type change struct {
		proto int
		port  uint16
	}
	var told []change
	host := newHost(t, usock.Config{Privileged: true, Listening: func(proto int, port uint16) { told = append(told, change{proto, port}) }})
	expect := func(when string, proto int, want ...string) {
		t.Helper()
		if len(told) != 1 || told[0] != (change{proto, 80}) {
			t.Errorf("%s: told of %v", when, told)
		}
		told = nil
		var got []string
		for _, a := range host.Listening(proto, 80) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, not %v", when, got, want)
		}
	}
	for _, c := range []struct {
		at   string
		want []string
	}{{"127.0.0.1:80", []string{"127.0.0.1"}}, {"0.0.0.0:80", []string{"0.0.0.0"}}, {"[::1]:80", []string{"::1"}}, {"[::]:80", []string{"::", "0.0.0.0"}}} {
		a := mustAddr(t, c.at)
		s := mustSocket(t, host, a.Family, usock.SOCK_STREAM)
		if err := s.Bind(a); err != nil || len(told) != 0 {
			t.Fatal(err, told)
		}
		for _, end := range []func(){func() { s.Shutdown(usock.SHUT_RD) }, func() { s.Close() }} {
			if err := s.Listen(1); err != nil {
				t.Fatal(err)
			}
			expect("listening on "+c.at, usock.IPPROTO_TCP, c.want...)
			end()
			expect("after the end", usock.IPPROTO_TCP)
		}
		u := mustSocket(t, host, a.Family, usock.SOCK_DGRAM)
		if err := u.Bind(a); err != nil {
			t.Fatal(err)
		}
		expect("bound to "+c.at, usock.IPPROTO_UDP, c.want...)
		u.Close()
		expect("after the end", usock.IPPROTO_UDP)
	}
	// A port that nobody has named is none.
	u := mustSocket(t, host, usock.AF_INET, usock.SOCK_DGRAM)
	u.Bind(mustAddr(t, "127.0.0.1:0"))
	u.Close()
	if len(told) != 0 {
		t.Errorf("told of %v", told)
	}
}

// TestOriginate begins connections from addresses and ports that are others'.
func TestOriginate(t *testing.T) {
	h := new(asked)
	host, router := world(t, h, usock.Config{Privileged: true})
	for _, c := range []struct {
		at       *usock.Host
		from, to string
	}{
		{host, "127.0.0.1:80", "127.0.0.1:7000"}, {host, "[::1]:4000", "[::1]:7000"}, // the first from a listener's port
		{router, "192.0.2.7:80", "10.0.0.2:7000"}, {router, "[2001:db8::7]:80", "[fd00::2]:7000"},
	} {
		from, to := netip.MustParseAddrPort(c.from), netip.MustParseAddrPort(c.to)
		refused, err := c.at.Originate(from, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := refused.FinishConnect(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s, without a listener: %v", c.to, err)
		}
		refused.Close()
		l, err := host.Listen("tcp", c.to)
		if err != nil {
			t.Fatal(err)
		}
		if from.Addr().IsLoopback() {
			other, err := host.Listen("tcp", c.from)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
		}
		s, err := c.at.Originate(from, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishConnect(); err != nil {
			t.Errorf("%s: %v", c.to, err)
		}
		if _, err := c.at.Originate(from, to); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("%s once more: %v", c.to, err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := in.RemoteAddr().String(); got != c.from {
			t.Errorf("the listener sees %s, not %s", got, c.from)
		}
		s.Send([]byte("hello"), 0)
		b := make([]byte, 10)
		if n, err := in.Read(b); err != nil || string(b[:n]) != "hello" {
			t.Errorf("received %q, %v", b[:n], err)
		}
		in.Close()
		s.Close()
		l.Close()
	}
	if _, err := host.Originate(netip.MustParseAddrPort("192.0.2.7:80"), netip.MustParseAddrPort("10.0.0.1:80")); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("a host that stands in for nobody: %v", err)
	}
}
