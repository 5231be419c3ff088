package inet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
)

// What bind(2) says to an address, by kind of socket (Linux, inet_bind, inet6_bind, ping_bind and
// raw_bind), and what the socket's name is then.
func TestBindAddresses(t *testing.T) {
	for _, c := range []struct {
		kinds string
		at    string
		want  string // an error, or the local address
	}{
		{"tcp4 udp4", addrA + ":7", addrA + ":7"}, {"tcp4 udp4", "127.0.0.1:7", "127.0.0.1:7"}, {"tcp4 udp4", "127.9.9.9:7", "127.9.9.9:7"}, {"tcp4 udp4", "0.0.0.0:7", "0.0.0.0:7"},
		{"tcp4 udp4 ping4 raw4:99", addrB + ":7", "EADDRNOTAVAIL"},
		{"tcp4 udp4", "224.1.2.3:7", "224.1.2.3:7"}, {"tcp4 udp4", "10.0.0.255:7", "10.0.0.255:7"}, {"tcp4 udp4", "255.255.255.255:7", "255.255.255.255:7"},
		{"ping4", "224.1.2.3:7", "EADDRNOTAVAIL"}, {"ping4", "10.0.0.255:7", "EADDRNOTAVAIL"}, {"ping4", addrA + ":7", addrA + ":7"}, {"ping4", "0.0.0.0:7", "0.0.0.0:7"},
		{"raw4:99", addrA + ":7", addrA + ":99"}, {"raw4:99", "224.1.2.3:7", "224.1.2.3:99"}, {"raw4:99", "0.0.0.0:7", "0.0.0.0:99"},
		{"tcp4 udp4 ping4", "[::1]:7", "EAFNOSUPPORT"}, {"raw4:99", "[::1]:7", "0.0.0.0:99"}, {"tcp4 udp4", "", "0.0.0.0:*"},
		{"tcp6 udp6", "[" + addrA6 + "]:7", "[" + addrA6 + "]:7"}, {"tcp6 udp6", "[::]:7", "[::]:7"}, {"tcp6 udp6", "[::1]:7", "[::1]:7"},
		{"tcp6 udp6 ping6 raw6:99", "[" + addrB6 + "]:7", "EADDRNOTAVAIL"},
		{"tcp6 udp6", "[::ffff:" + addrA + "]:7", "[::ffff:" + addrA + "]:7"}, {"ping6", "[::ffff:" + addrA + "]:7", "EINVAL"}, {"raw6:99", "[::ffff:" + addrA + "]:7", "EADDRNOTAVAIL"},
		{"tcp6 udp6", "[::ffff:0.0.0.0]:7", "[::ffff:0.0.0.0]:7"}, {"tcp6 udp6", "[::ffff:" + addrB + "]:7", "EADDRNOTAVAIL"},
		{"tcp6", "[ff05::1]:7", "EINVAL"}, {"udp6", "[ff05::1]:7", "[ff05::1]:7"}, {"raw6:99", "[ff05::1]:7", "[ff05::1]:99"}, {"ping6", "[ff05::1]:7", "EINVAL"},
		{"tcp6 udp6 ping6 raw6:99", "[fe80::1]:7", "EINVAL"}, {"tcp6 udp6", "[fe80::1%2]:7", "[fe80::1%2]:7"}, {"tcp6 udp6", "[fe80::1%1]:7", "EADDRNOTAVAIL"}, {"tcp6 udp6 ping6 raw6:99", "[fe80::1%9]:7", "ENODEV"},
		{"ping6", "[fe80::1%2]:7", "[fe80::1%2]:7"}, {"raw6:99", "[fe80::1%2]:7", "[fe80::1%2]:99"},
		{"udp6", "[ff02::1%2]:7", "[ff02::1%2]:7"}, {"udp6", "[ff02::1]:7", "EINVAL"}, {"udp6 tcp6", "[" + addrA6 + "%9]:7", "[" + addrA6 + "]:7"}, {"ping6", "[" + addrA6 + "%9]:7", "ENODEV"}, {"ping6", "[" + addrA6 + "%1]:7", "EADDRNOTAVAIL"}, {"ping6", "[" + addrA6 + "%2]:7", "[" + addrA6 + "]:7"},
		{"tcp6 udp6 ping6 raw6:99", "", "EINVAL"},
	} {
		for _, kind := range strings.Fields(c.kinds) {
			a, _ := newPair(t, Config{})
			s := a.open(kind)
			got := name(s.bind(c.at))
			if got == "<nil>" {
				got = s.local()
				if i := strings.LastIndexByte(got, ':'); strings.HasSuffix(c.want, ":*") && s.port() != 0 {
					got = got[:i] + ":*"
				}
			}
			if got != c.want {
				t.Errorf("%s binds to %q: %s, want %s", kind, c.at, got, c.want)
			}
			if got == c.want && strings.HasPrefix(c.want, "E") && !strings.HasPrefix(kind, "raw") && s.port() != 0 {
				t.Errorf("%s: refused, and yet it has port %d", kind, s.port())
			}
		}
	}
}

// A socket is bound once; one that is bound to an address that is not the host's may be, where it has
// IP_FREEBIND; IPV6_V6ONLY keeps IPv4 out.
func TestBindTwice(t *testing.T) {
	a, _ := newPair(t, Config{})
	for kind, want := range map[string]string{"tcp4": "EINVAL", "udp4": "EINVAL", "ping4": "EINVAL", "raw4:99": "<nil>", "tcp6": "EINVAL", "udp6": "EINVAL", "ping6": "EINVAL", "raw6:99": "<nil>"} {
		at := addrA + ":0"
		if strings.Contains(kind, "6") {
			at = "[" + addrA6 + "]:0"
		}
		s := a.open(kind).at(at)
		if got := name(s.bind(at)); got != want {
			t.Errorf("%s binds twice: %s, want %s", kind, got, want)
		}
	}
	// So may not one that has a peer.
	for _, kind := range []string{"udp4", "raw4:99"} {
		s := a.open(kind).with(addrB + ":7")
		if err := s.bind(addrA + ":8"); err != syscall.EINVAL {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []string{"udp4", "tcp4", "udp6", "tcp6"} {
		at, level := addrB+":7", abi.SOL_IP
		opt := abi.IP_FREEBIND
		if strings.Contains(kind, "6") {
			at, level, opt = "["+addrB6+"]:7", abi.SOL_IPV6, abi.IPV6_FREEBIND
		}
		a.open(kind).set(level, opt, 1).at(at).Close()
	}
	for _, kind := range []string{"udp6", "tcp6"} {
		s := a.open(kind).set(abi.SOL_IPV6, abi.IPV6_V6ONLY, 1)
		if err := s.bind("[::ffff:" + addrA + "]:7"); err != syscall.EINVAL {
			t.Errorf("%s: %v", kind, err)
		}
		s.at("[::]:7")
		if err := s.SetOpt(abi.SOL_IPV6, abi.IPV6_V6ONLY, ints(0)); err != syscall.EINVAL {
			t.Errorf("%s: IPV6_V6ONLY of a bound socket: %v", kind, err)
		}
		// A socket that is bound to one address of IPv6 has no use for IPv4; one that could not be bound goes on as it was.
		for i, want := range []int{1, 0} {
			s = a.open(kind)
			if err := s.bind("[" + addrA6 + "]:8"); (err == nil) != (i == 0) || s.get(abi.SOL_IPV6, abi.IPV6_V6ONLY) != want {
				t.Errorf("%s: %v; IPV6_V6ONLY is %d", kind, err, 1-want)
			}
		}
		if s.local() != "[::]:0" {
			t.Errorf("%s: refused, and bound to %s", kind, s.local())
		}
	}
}

// Which sockets may share a port (Linux, inet_csk_bind_conflict and udp_lib_lport_inuse).
func TestBindConflicts(t *testing.T) {
	const reuse, reuseport, only6, listens, dev = 1, 2, 4, 8, 16
	for _, c := range []struct {
		first  string
		f      int
		second string
		g      int
		tcp    string
		udp    string
	}{
		{addrA, 0, addrA, 0, "EADDRINUSE", "EADDRINUSE"}, {addrA, 0, "127.0.0.1", 0, "<nil>", "<nil>"}, {addrA, 0, "0.0.0.0", 0, "EADDRINUSE", "EADDRINUSE"}, {"0.0.0.0", 0, addrA, 0, "EADDRINUSE", "EADDRINUSE"},
		{addrA, reuse, addrA, 0, "EADDRINUSE", "EADDRINUSE"}, {addrA, 0, addrA, reuse, "EADDRINUSE", "EADDRINUSE"}, {addrA, reuse, addrA, reuse, "<nil>", "<nil>"}, {"0.0.0.0", reuse, addrA, reuse, "<nil>", "<nil>"},
		{addrA, reuse | listens, addrA, reuse, "EADDRINUSE", "<nil>"}, {addrA, reuseport, addrA, reuseport, "<nil>", "<nil>"}, {addrA, reuseport | listens, addrA, reuseport, "<nil>", "<nil>"},
		{addrA, reuseport, addrA, 0, "EADDRINUSE", "EADDRINUSE"}, {addrA, reuseport, addrA, reuse, "EADDRINUSE", "EADDRINUSE"},
		{"0.0.0.0", 0, "::", 0, "EADDRINUSE", "EADDRINUSE"}, {"0.0.0.0", 0, "::", only6, "<nil>", "<nil>"}, {"::", only6, "0.0.0.0", 0, "<nil>", "<nil>"}, {"::", 0, addrA, 0, "EADDRINUSE", "EADDRINUSE"},
		{addrA, 0, "::", 0, "EADDRINUSE", "EADDRINUSE"}, {addrA6, 0, "0.0.0.0", 0, "<nil>", "<nil>"}, {addrA6, 0, "::", 0, "EADDRINUSE", "EADDRINUSE"}, {addrA6, 0, "::", only6, "EADDRINUSE", "EADDRINUSE"}, {addrA6, 0, "::1", 0, "<nil>", "<nil>"},
		{"::ffff:" + addrA, 0, addrA, 0, "EADDRINUSE", "EADDRINUSE"}, {"::ffff:0.0.0.0", 0, addrA6, 0, "<nil>", "<nil>"}, {"::", reuse, "0.0.0.0", reuse, "<nil>", "<nil>"},
		{addrA, dev, addrA, 0, "EADDRINUSE", "EADDRINUSE"}, {addrA, dev, addrA, dev, "EADDRINUSE", "EADDRINUSE"}, {"0.0.0.0", dev, "0.0.0.0", dev << 1, "<nil>", "<nil>"},
	} {
		for _, kind := range []string{"tcp", "udp"} {
			a, _ := newPair(t, Config{})
			open := func(at string, f int) (*sock, error) {
				family := "4"
				if strings.Contains(at, ":") {
					family, at = "6", "["+at+"]"
				}
				s := a.open(kind + family)
				for bit, o := range map[int][3]int{reuse: {abi.SOL_SOCKET, abi.SO_REUSEADDR, 1}, reuseport: {abi.SOL_SOCKET, abi.SO_REUSEPORT, 1}, only6: {abi.SOL_IPV6, abi.IPV6_V6ONLY, 1}, dev: {abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2}, dev << 1: {abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 1}} {
					if f&bit != 0 {
						s.set(o[0], o[1], o[2])
					}
				}
				err := s.bind(at + ":5000")
				if err == nil && f&listens != 0 && kind == "tcp" {
					err = s.Listen(1)
				}
				return s, err
			}
			s, err := open(c.first, c.f)
			if err != nil {
				t.Fatal(c, err)
			}
			want := c.tcp
			if kind == "udp" {
				want = c.udp
			}
			o, err := open(c.second, c.g)
			if name(err) != want {
				t.Errorf("%s: %s (%d), then %s (%d): %s, want %s", kind, c.first, c.f, c.second, c.g, name(err), want)
			}
			// The port is free again once both are closed.
			s.Close()
			o.Close()
			if _, err := open("0.0.0.0", 0); err != nil {
				t.Errorf("%s: %v: not free: %v", kind, c, err)
			}
		}
	}
}

// What connect(2) says to an address (Linux, __ip4_datagram_connect, __ip6_datagram_connect,
// tcp_v4_connect, tcp_v6_connect), and the names of a datagram socket then.
func TestConnectAddresses(t *testing.T) {
	for _, c := range []struct {
		kinds string
		at    string // bound to; "": not
		to    string
		want  string // an error, or LOCAL PEER
	}{
		{"udp4", "", addrB + ":7", addrA + ":* " + addrB + ":7"}, {"udp4", "", "127.0.0.1:7", "127.0.0.1:* 127.0.0.1:7"}, {"udp4", "", "0.0.0.0:7", "127.0.0.1:* 127.0.0.1:7"},
		{"udp4", "", addrA + ":7", addrA + ":* " + addrA + ":7"}, {"udp4", "127.0.0.1:5", addrB + ":7", "EINVAL"}, {"udp4", addrA + ":5", addrB + ":7", addrA + ":5 " + addrB + ":7"}, {"udp4", "0.0.0.0:5", addrB + ":7", addrA + ":5 " + addrB + ":7"},
		{"udp4 tcp4 ping4 raw4:99", "", "8.8.8.8:7", "ENETUNREACH"}, {"udp4 tcp4 ping4 raw4:99", "", "[" + addrB6 + "]:7", "EAFNOSUPPORT"},
		{"udp4", "", "10.0.0.255:7", "EACCES"}, {"ping4 raw4:99", "", "10.0.0.255:7", "EACCES"}, {"tcp4", "", "10.0.0.255:7", "ENETUNREACH"}, {"tcp4", "", "224.1.2.3:7", "ENETUNREACH"}, {"udp4", "", "224.1.2.3:7", "ENETUNREACH"},
		{"udp4", "", addrB + ":0", addrA + ":* ENOTCONN"}, {"tcp4", "", addrB + ":7", "EINPROGRESS"},
		{"udp6", "", "[" + addrB6 + "]:7", "[" + addrA6 + "]:* [" + addrB6 + "]:7"}, {"udp6", "", "[::]:7", "[::1]:* [::1]:7"}, {"udp6", "", "[::ffff:" + addrB + "]:7", "[::ffff:" + addrA + "]:* [::ffff:" + addrB + "]:7"},
		{"udp6", "[::ffff:" + addrA + "]:5", "[::]:7", "[::ffff:" + addrA + "]:5 [::ffff:127.0.0.1]:7"},
		{"udp6", "[" + addrA6 + "]:5", "[::ffff:" + addrB + "]:7", "ENETUNREACH"}, {"udp6", "[::ffff:" + addrA + "]:5", "[" + addrB6 + "]:7", "EAFNOSUPPORT"},
		{"tcp6", "", "[::ffff:" + addrB + "]:7", "EINPROGRESS"}, {"tcp6", "[::ffff:" + addrA + "]:5", "[" + addrB6 + "]:7", "EAFNOSUPPORT"}, {"tcp6", "[::ffff:" + addrA + "]:5", "[2002::1]:7", "ENETUNREACH"},
		{"ping6", "", "[::ffff:" + addrB + "]:7", "ENETUNREACH"},
		{"udp6 ping6 raw6:99 tcp6", "", "[fe80::2]:7", "EINVAL"}, {"udp6", "", "[fe80::2%2]:7", "[fe80::1%2]:* [fe80::2%2]:7"}, {"udp6 tcp6", "", "[fe80::2%9]:7", "ENETUNREACH"}, {"udp6", "[fe80::1%2]:5", "[fe80::2%1]:7", "EINVAL"}, {"udp6", "[fe80::1%2]:5", "[fe80::2]:7", "[fe80::1%2]:5 [fe80::2%2]:7"},
		{"tcp6", "", "[ff05::1]:7", "ENETUNREACH"}, {"tcp6", "", "[fe80::2%2]:7", "EINPROGRESS"}, {"udp6 tcp6 ping6 raw6:99", "", "[2002::1]:7", "ENETUNREACH"},
	} {
		for _, kind := range strings.Fields(c.kinds) {
			a, _ := newPair(t, Config{})
			a.cut = true
			s := a.open(kind)
			if c.at != "" {
				s.at(c.at)
			}
			got := name(s.connect(c.to))
			if got == "<nil>" {
				got = s.local() + " " + s.remote()
				if !strings.Contains(c.at, ":5") {
					got = strings.Replace(got, fmt.Sprintf(":%d ", s.port()), ":* ", 1)
				}
			}
			if got != c.want {
				t.Errorf("%s at %q connects to %s: %s, want %s", kind, c.at, c.to, got, c.want)
			}
		}
	}
}

// Addresses of another family than the socket's (Linux: by length first, then by family).
func TestAddressFamilies(t *testing.T) {
	a, b := newPair(t, Config{})
	four := abi.Addr{Family: abi.AF_INET, IP: addr(addrB), Port: 7}
	none := abi.Addr{Family: abi.AF_UNSPEC, IP: addr(addrB), Port: 7}
	six := abi.Addr{Family: abi.AF_INET6, IP: addr(addrB6), Port: 7}
	r := b.open("udp4").at(addrB + ":7")
	data := strings.Repeat("x", 20)
	for _, c := range []struct {
		kind    string
		a       abi.Addr
		connect string
		send    string
	}{
		{"udp4", six, "EAFNOSUPPORT", "EAFNOSUPPORT"}, {"udp4", four, "<nil>", "<nil>"}, {"udp4", none, "<nil>", "<nil>"}, {"raw4:99", none, "<nil>", "<nil>"}, {"ping4", none, "<nil>", "EAFNOSUPPORT"},
		{"udp6", four, "<nil>", "<nil>"}, {"udp6", none, "<nil>", "EDESTADDRREQ"}, {"raw6:99", four, "EAFNOSUPPORT", "EINVAL"}, {"ping6", four, "EAFNOSUPPORT", "EINVAL"}, {"tcp6", four, "EINVAL", "EPIPE"}, {"tcp4", six, "EAFNOSUPPORT", "EPIPE"},
		{"raw6:99", none, "<nil>", "EINVAL"}, {"ping6", none, "<nil>", "EINVAL"},
	} {
		if got := name(a.open(c.kind).Connect(noContext, c.a)); got != c.connect {
			t.Errorf("%s connects to family %d: %s, want %s", c.kind, c.a.Family, got, c.connect)
		}
		msg := data
		if c.kind[:4] == "ping" {
			msg = "\x08\x00\x00\x00" + data
			if c.kind == "ping6" {
				msg = "\x80\x00\x00\x00" + data
			}
		}
		_, err := a.open(c.kind).Send(noContext, []byte(msg), &socket.Msg{Addr: c.a, HasAddr: true})
		if got := name(err); got != c.send {
			t.Errorf("%s sends to family %d: %s, want %s", c.kind, c.a.Family, got, c.send)
		}
	}
	if got := r.text(); got != strings.Join([]string{data, data, data}, " ") {
		t.Errorf("%q", got)
	}
	// IPV6_V6ONLY keeps from IPv4, mapped or not.
	s := a.open("udp6").set(abi.SOL_IPV6, abi.IPV6_V6ONLY, 1)
	for _, c := range []struct {
		a             abi.Addr
		connect, send string
	}{{four, "EAFNOSUPPORT", "ENETUNREACH"}, {abi.Addr{Family: abi.AF_INET6, IP: addr("::ffff:" + addrB), Port: 7}, "ENETUNREACH", "ENETUNREACH"}} {
		_, err := s.Send(noContext, []byte("x"), &socket.Msg{Addr: c.a, HasAddr: true})
		if got := name(err); got != c.send {
			t.Errorf("%v: %s", c.a, got)
		}
		if got := name(s.Connect(noContext, c.a)); got != c.connect {
			t.Errorf("%v: %s", c.a, got)
		}
	}
}

// What dissolving a peer leaves: the address and port that bind has named, no others.
func TestDissolve(t *testing.T) {
	a, _ := newPair(t, Config{})
	for _, c := range []struct{ kind, at, to, then string }{
		{"udp4", "", addrB + ":7", "0.0.0.0:0"}, {"udp4", addrA + ":5", addrB + ":7", addrA + ":5"}, {"udp4", "0.0.0.0:5", addrB + ":7", "0.0.0.0:5"}, {"udp4", addrA + ":0", addrB + ":7", addrA + ":0"},
		{"udp6", "", "[" + addrB6 + "]:7", "[::]:0"}, {"udp6", "[" + addrA6 + "]:5", "[" + addrB6 + "]:7", "[" + addrA6 + "]:5"}, {"udp6", "[::]:5", "[::ffff:" + addrB + "]:7", "[::]:5"},
		{"ping4", "", addrB + ":7", "0.0.0.0:0"}, {"ping4", addrA + ":5", addrB + ":7", addrA + ":5"}, {"ping4", "0.0.0.0:5", addrB + ":7", "0.0.0.0:5"},
		{"raw4:99", "", addrB + ":7", "0.0.0.0:0"},
	} {
		s := a.open(c.kind)
		if c.at != "" {
			s.at(c.at)
		}
		s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2).with(c.to)
		if err := s.connect(""); err != nil {
			t.Error(err)
		}
		if got := s.local(); got != c.then || s.remote() != "ENOTCONN" || s.get(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX) != 0 {
			t.Errorf("%s at %q: %s, %s", c.kind, c.at, got, s.remote())
		}
		s.Close()
	}
}

// Which of several sockets a datagram is for: the one with the peer, then the one with the address,
// then with the interface; an IPv4 socket before one of both families; the last of equals (Linux,
// udp4_lib_lookup2, compute_score).
func TestUDPLookup(t *testing.T) {
	for _, c := range []struct {
		name  string
		socks []string // AT, AT>PEER, AT@INDEX
		to    string
		want  int // which one; -1: none
	}{
		{"the address before the wildcard", []string{addrB + ":7", "0.0.0.0:7"}, addrB, 0},
		{"the wildcard", []string{"127.0.0.1:7", "0.0.0.0:7"}, addrB, 1},
		{"none", []string{"127.0.0.1:7", "0.0.0.0:8"}, addrB, -1},
		{"the peer before the address", []string{"0.0.0.0:7>" + addrA + ":5000", addrB + ":7"}, addrB, 0},
		{"another peer", []string{"0.0.0.0:7>" + addrA + ":5001", "0.0.0.0:7"}, addrB, 1},
		{"another address of the peer", []string{"0.0.0.0:7>10.0.0.9:5000"}, addrB, -1},
		{"the interface before none", []string{"0.0.0.0:7@2", "0.0.0.0:7"}, addrB, 0},
		{"another interface", []string{"0.0.0.0:7@1", "0.0.0.0:7"}, addrB, 1},
		{"the address before the interface", []string{addrB + ":7", "0.0.0.0:7@2"}, addrB, 0},
		{"the last of equals", []string{"0.0.0.0:7", "0.0.0.0:7", "0.0.0.0:7"}, addrB, 2},
		{"IPv4 before both families", []string{"0.0.0.0:7", "[::]:7"}, addrB, 0},
		{"both families", []string{"[::]:7"}, addrB, 0},
		{"IPv6 alone", []string{"[::]:7!"}, addrB, -1},
		{"a mapped address", []string{"[::ffff:" + addrB + "]:7", "0.0.0.0:7"}, addrB, 0},
		{"IPv6", []string{"0.0.0.0:7", "[::]:7"}, addrB6, 1},
		{"IPv6 not to IPv4", []string{"0.0.0.0:7"}, addrB6, -1},
		{"IPv6, the address", []string{"[" + addrB6 + "]:7", "[::]:7"}, addrB6, 0},
	} {
		a, b := newPair(t, Config{})
		var socks []*sock
		for _, x := range c.socks {
			kind := "udp4"
			if strings.HasPrefix(x, "[") {
				kind = "udp6"
			}
			s := b.open(kind).set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1)
			if strings.HasSuffix(x, "!") {
				s.set(abi.SOL_IPV6, abi.IPV6_V6ONLY, 1)
			}
			at, peer, _ := strings.Cut(strings.TrimSuffix(x, "!"), ">")
			at, index, _ := strings.Cut(at, "@")
			if index != "" {
				s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, int(index[0]-'0'))
			}
			s.at(at)
			if peer != "" {
				s.with(peer)
			}
			socks = append(socks, s)
		}
		from, to := "udp4", c.to+":7"
		at := addrA + ":5000"
		if strings.Contains(c.to, ":") {
			from, to, at = "udp6", "["+c.to+"]:7", "["+addrA6+"]:5000"
		}
		s := a.open(from).at(at)
		if err := s.send("x", to); err != nil {
			t.Fatal(err)
		}
		got := -1
		for i, r := range socks {
			if r.text() == "x" {
				if got >= 0 {
					t.Errorf("%s: delivered twice", c.name)
				}
				got = i
			}
		}
		if got != c.want {
			t.Errorf("%s: delivered to %d, want %d", c.name, got, c.want)
		}
		stats := b.st.udpStats()
		if c.want < 0 && (stats.NoPorts != 1 || stats.InDatagrams != 0) || c.want >= 0 && (stats.InDatagrams != 1 || stats.NoPorts != 0) {
			t.Errorf("%s: %+v", c.name, stats)
		}
	}
}

// Sockets with SO_REUSEPORT share what comes, by the sender: each sender's goes to one of them, and
// each of them gets something (socket(7)).
func TestReusePortShares(t *testing.T) {
	a, b := newPair(t, Config{})
	var socks []*sock
	for range 3 {
		socks = append(socks, b.open("udp4").set(abi.SOL_SOCKET, abi.SO_REUSEPORT, 1).at("0.0.0.0:7"))
	}
	for i := range 60 {
		s := a.open("udp4").at(fmt.Sprintf("%s:%d", addrA, 5000+i))
		for range 2 {
			s.send(fmt.Sprint(i), addrB+":7")
		}
	}
	var all []string
	for i, r := range socks {
		got := strings.Fields(r.text())
		if len(got) < 10 || len(got) > 80 {
			t.Errorf("socket %d has %d datagrams", i, len(got))
		}
		for k := 0; k+1 < len(got); k += 2 {
			if got[k] != got[k+1] {
				t.Errorf("socket %d: of one sender's two one went elsewhere: %q", i, got[k:k+2])
				break
			}
		}
		all = append(all, got...)
	}
	slices.Sort(all)
	if len(all) != 120 || len(slices.Compact(all)) != 60 {
		t.Errorf("%d datagrams", len(all))
	}
}

// Who acts at an address: a connection's process before a listener's, a ping socket's before a raw
// one's; nobody where there is none.
func TestOwner(t *testing.T) {
	a, b := newPair(t, Config{})
	own := func(s *sock, pid int32) *sock { s.Owner.Store(pid); return s }
	l := own(b.open("tcp4").at("0.0.0.0:80"), 1)
	l.Listen(5)
	own(b.open("udp4").at(addrB+":53"), 2)
	own(b.open("ping4").at("0.0.0.0:9"), 3)
	own(b.open("raw4:1"), 4)
	own(b.open("raw4:99"), 5)
	own(b.open("ping6").at("[::]:9"), 6)
	c := own(a.open("tcp4").at(addrA+":5000").with(addrB+":80"), 8)
	n, _ := l.Accept(noContext)
	n.Owner.Store(7)
	for _, x := range []struct {
		m             *machine
		proto         int
		local, remote string
		want          int32
	}{
		{b, abi.IPPROTO_TCP, addrB + ":80", addrA + ":5000", 7}, {b, abi.IPPROTO_TCP, addrB + ":80", addrA + ":5001", 1}, {b, abi.IPPROTO_TCP, addrB + ":81", addrA + ":5000", 0},
		{a, abi.IPPROTO_TCP, addrA + ":5000", addrB + ":80", 8}, {b, abi.IPPROTO_UDP, addrB + ":53", addrA + ":1", 2}, {b, abi.IPPROTO_UDP, "127.0.0.1:53", addrA + ":1", 0},
		{b, abi.IPPROTO_ICMP, addrB + ":9", addrA + ":0", 3}, {b, abi.IPPROTO_ICMP, addrB + ":8", addrA + ":0", 4}, {b, abi.IPPROTO_ICMPV6, "[" + addrB6 + "]:9", "[" + addrA6 + "]:0", 6}, {b, abi.IPPROTO_ICMPV6, "[" + addrB6 + "]:8", "[" + addrA6 + "]:0", 0},
		{b, 99, addrB + ":0", addrA + ":0", 5}, {b, 98, addrB + ":0", addrA + ":0", 0}, {b, -1, addrB + ":0", addrA + ":0", 0}, {b, 256, addrB + ":0", addrA + ":0", 0},
	} {
		x.m.do(func() {
			if got := x.m.st.Owner(x.proto, addrport(x.local), addrport(x.remote)); got != x.want {
				t.Errorf("protocol %d at %s: %d, want %d", x.proto, x.local, got, x.want)
			}
		})
	}
	c.Close()
	a.do(func() {
		if got := a.st.Owner(abi.IPPROTO_TCP, addrport(addrA+":5000"), addrport(addrB+":80")); got != 8 {
			t.Errorf("a closed connection is of %d", got)
		}
	})
}

// Who listens on a port, and when that is told; which ports sockets have.
func TestListening(t *testing.T) {
	var told []string
	a, _ := newPair(t, Config{Watcher: func(proto int, port uint16) { told = append(told, fmt.Sprint(proto, " ", port)) }})
	listening := func(proto int, port uint16) string {
		a.h.Enter()
		defer a.h.Leave()
		var s []string
		for _, x := range a.st.Listening(proto, port) {
			s = append(s, x.String())
		}
		slices.Sort(s)
		return strings.Join(s, " ")
	}
	tell := func(want ...string) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		told = nil
	}
	l := a.open("tcp6").at("[::]:80")
	tell()
	l.Listen(1)
	tell("6 80")
	v := a.open("tcp6").set(abi.SOL_IPV6, abi.IPV6_V6ONLY, 1).at("[::]:81")
	v.Listen(1)
	u := a.open("udp4").at(addrA + ":53")
	tell("6 81", "17 53")
	anon := a.open("udp4").at(addrA + ":0")
	tell()
	for _, c := range []struct {
		proto int
		port  uint16
		want  string
	}{{6, 80, "0.0.0.0 ::"}, {6, 81, "::"}, {6, 82, ""}, {17, 53, addrA}, {17, anon.port(), ""}, {17, 80, ""}} {
		if got := listening(c.proto, c.port); got != c.want {
			t.Errorf("%d/%d: %q, want %q", c.proto, c.port, got, c.want)
		}
	}
	bound := func(proto int, at string) bool {
		a.h.Enter()
		defer a.h.Leave()
		return a.st.Bound(proto, addrport(at))
	}
	for at, want := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "127.0.0.1:81": false, "[::1]:81": true, "127.0.0.1:82": false} {
		if bound(abi.IPPROTO_TCP, at) != want {
			t.Errorf("TCP at %s is bound: %v", at, !want)
		}
	}
	for at, want := range map[string]bool{addrA + ":53": true, "127.0.0.1:53": false, "[::1]:53": false, addrA + ":80": false} {
		if bound(abi.IPPROTO_UDP, at) != want {
			t.Errorf("UDP at %s is bound: %v", at, !want)
		}
	}
	l.Shutdown(abi.SHUT_RD)
	tell("6 80")
	v.Close()
	u.Close()
	anon.Close()
	tell("6 81", "17 53")
	if listening(6, 80)+listening(6, 81)+listening(17, 53) != "" {
		t.Error("somebody listens still")
	}
}

// Paths are remembered until something changes, and not without bound.
func TestPathCache(t *testing.T) {
	a, _ := newPair(t, Config{})
	a.do(func() {
		p, err := a.st.path(addr(addrB), netip.Addr{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if q, _ := a.st.path(addr(addrB), netip.Addr{}, 0); q != p {
			t.Error("a path is looked up twice")
		}
		if q, _ := a.st.path(addr(addrB), addr(addrA), 0); q == p {
			t.Error("a path with another source is the same")
		}
		if q, _ := a.st.path(addr(addrB), netip.Addr{}, 2); q == p {
			t.Error("a path over an interface is the same")
		}
		a.st.IP.AddRoute(ip.Route{Dst: netip.MustParsePrefix(addrB + "/32"), Iface: a.eth, MTU: 1000})
		if q, _ := a.st.path(addr(addrB), netip.Addr{}, 0); q.MTU != 1000 {
			t.Errorf("MTU %d", q.MTU)
		}
		for i := range 3 * maxPaths {
			a.st.path(netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)}), netip.Addr{}, 0)
			if len(a.st.paths.of) > maxPaths {
				t.Fatalf("%d paths", len(a.st.paths.of))
			}
		}
		n := a.st.IP.Counters().OutNoRoutes
		for _, c := range []struct {
			dst   string
			index int
			want  error
			count uint64
		}{{"8.8.8.8", 0, syscall.ENETUNREACH, 1}, {"8.8.8.8", 9, syscall.ENODEV, 0}, {"2002::1", 9, syscall.ENETUNREACH, 1}} {
			_, err := a.st.path(addr(c.dst), netip.Addr{}, c.index)
			if got := a.st.IP.Counters().OutNoRoutes - n; err != c.want || got != c.count {
				t.Errorf("%+v: %v, counted %d", c, err, got)
			}
			n = a.st.IP.Counters().OutNoRoutes
		}
	})
}

// The scope of a link-local name is the interface that the socket is tied to, by whatever call; a
// peer's, too, and that of an address that needs none is not told (Linux, inet6_getname).
func TestScopeOfNames(t *testing.T) {
	a, _ := newPair(t, Config{})
	a.cut = true
	for _, kind := range []string{"tcp6", "udp6", "raw6:7"} {
		s := a.open(kind).set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2).at("[fe80::1]:7")
		if got := s.local(); got != "[fe80::1%2]:7" {
			t.Errorf("%s: %s", kind, got)
		}
	}
	s := a.open("udp6").set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2).at("[::]:8").with("[fe80::2]:7")
	if got := s.local() + " " + s.remote(); got != "[fe80::1%2]:8 [fe80::2%2]:7" {
		t.Error(got)
	}
	if s.with("[" + addrB6 + "]:7"); s.remote() != "["+addrB6+"]:7" {
		t.Error(s.remote())
	}
}
