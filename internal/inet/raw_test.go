package inet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wire"
)

// What a raw socket receives: of its protocol, for its address, from its peer and by its interface; in
// IPv4 with the header (raw(7)).
func TestRawReceives(t *testing.T) {
	for _, c := range []struct {
		name string
		kind string
		set  func(s *sock)
		want bool
	}{
		{"of the protocol", "raw4:99", func(*sock) {}, true}, {"of another", "raw4:98", func(*sock) {}, false}, {"of the other family", "raw6:99", func(*sock) {}, false},
		{"its address", "raw4:99", func(s *sock) { s.at(addrB + ":0") }, true}, {"another address", "raw4:99", func(s *sock) { s.at("127.0.0.1:0") }, false},
		{"its peer", "raw4:99", func(s *sock) { s.with(addrA + ":0") }, true}, {"another peer", "raw4:99", func(s *sock) { s.with("10.0.0.9:0") }, false},
		{"its interface", "raw4:99", func(s *sock) { s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2) }, true}, {"another interface", "raw4:99", func(s *sock) { s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 1) }, false},
		{"dissolved", "raw4:99", func(s *sock) { s.with(addrA + ":0"); s.connect("") }, false},
	} {
		_, b := newPair(t, Config{})
		s := b.open(c.kind)
		c.set(s)
		p := whole(addrA, addrB, 99, []byte("payload"))
		b.arrive(p)
		g := s.recv(0)
		if (g.err == nil) != c.want || c.want && (g.data != string(p) || g.from != addrA+":0") {
			t.Errorf("%s: %+v", c.name, g)
		}
		if n := len(b.took()); (n == 0) != c.want {
			t.Errorf("%s: %d answers", c.name, n)
		}
	}
	// IPv6 without the header, and each socket has its own.
	_, b := newPair(t, Config{})
	one, two := b.open("raw6:99"), b.open("raw6:99")
	b.arrive(whole(addrA6, addrB6, 99, []byte("payload")))
	for _, s := range []*sock{one, two} {
		if g := s.recv(0); g.data != "payload" || g.from != "["+addrA6+"]:0" {
			t.Errorf("%+v", g)
		}
	}
	two.Close()
	b.arrive(whole(addrA6, addrB6, 99, []byte("more")))
	if got := one.text(); got != "more" {
		t.Errorf("%q", got)
	}
	if g := one.recv(abi.MSG_OOB); g.err != syscall.EOPNOTSUPP {
		t.Errorf("%+v", g)
	}
	for _, err := range []error{one.Listen(1), second(one.Accept(noContext))} {
		if err != syscall.EOPNOTSUPP {
			t.Error(err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// ICMP_FILTER and ICMP6_FILTER keep types out, each its own (icmp(7); RFC 3542, section 3.2).
func TestRawICMPFilter(t *testing.T) {
	_, b := newPair(t, Config{})
	s4, s6 := b.open("raw4:1"), b.open("raw6:58")
	hears := func(typ byte) (four, six bool) {
		msg := make([]byte, 12)
		msg[0] = typ
		var sum wire.Checksum
		sum.Add(msg)
		binary.BigEndian.PutUint16(msg[2:], sum.Sum())
		b.arrive(whole(addrA, addrB, ip.ProtoICMP, msg))
		four = s4.recv(0).err == nil
		msg[2], msg[3] = 0, 0
		sum = wire.Checksum{}
		sum.AddPseudo(addr(addrA6), addr(addrB6), ip.ProtoICMPv6, len(msg))
		sum.Add(msg)
		binary.BigEndian.PutUint16(msg[2:], sum.Sum())
		b.arrive(whole(addrA6, addrB6, ip.ProtoICMPv6, msg))
		return four, s6.recv(0).err == nil
	}
	for _, typ := range []byte{0, 3, 8, 13, 31, 32, 100, 128, 135, 255} {
		if four, six := hears(typ); !four || !six {
			t.Errorf("type %d without filter: %v %v", typ, four, six)
		}
		f4, f6 := make([]byte, 4), make([]byte, 32)
		if typ < 32 {
			binary.NativeEndian.PutUint32(f4, 1<<typ)
		}
		binary.NativeEndian.PutUint32(f6[typ/32*4:], 1<<(typ%32))
		for _, set := range []struct {
			s  *sock
			v  []byte
			at int
		}{{s4, f4, abi.SOL_RAW}, {s6, f6, abi.SOL_ICMPV6}} {
			if err := set.s.SetOpt(set.at, icmpFilter, set.v); err != nil {
				t.Fatal(err)
			}
		}
		if four, six := hears(typ); four != (typ >= 32) || six {
			t.Errorf("type %d kept out: %v %v", typ, four, six)
		}
		if four, six := hears(typ ^ 1); !four || !six {
			t.Errorf("type %d beside it: %v %v", typ^1, four, six)
		}
		s4.SetOpt(abi.SOL_RAW, icmpFilter, make([]byte, 4))
		s6.SetOpt(abi.SOL_ICMPV6, icmpFilter, make([]byte, 32))
	}
}

// What sendto(2) of a raw socket says, and what is on the wire (raw(7), RFC 3542).
func TestRawSends(t *testing.T) {
	header := func(src, dst string) string { return string(whole(src, dst, 99, []byte("inside"))) }
	for _, c := range []struct {
		name  string
		kind  string
		set   func(s *sock)
		data  string
		to    string
		flags int
		want  string // an error, or what follows the header
	}{
		{"the payload", "raw4:99", nil, "payload", addrB + ":0", 0, "payload"}, {"nothing", "raw4:99", nil, "", addrB + ":0", 0, ""}, {"to nobody", "raw4:99", nil, "x", "-", 0, "EDESTADDRREQ"}, {"to the peer", "raw4:99", func(s *sock) { s.with(addrB + ":0") }, "x", "-", 0, "x"},
		{"urgent", "raw4:99", nil, "x", addrB + ":0", abi.MSG_OOB, "EOPNOTSUPP"}, {"no route", "raw4:99", nil, "x", "8.8.8.8:0", 0, "ENETUNREACH"}, {"the MTU", "raw4:99", func(s *sock) { s.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, 2) }, strings.Repeat("x", 1481), addrB + ":0", 0, "EMSGSIZE"},
		{"shut down, which Linux does not ask", "raw4:99", func(s *sock) { s.Shutdown(abi.SHUT_WR) }, "x", addrB + ":0", 0, "x"}, {"a pending error, neither", "raw4:99", func(s *sock) { s.m.do(func() { s.SetErr(syscall.EPIPE) }) }, "x", addrB + ":0", 0, "x"},
		{"ICMP", "raw4:1", nil, "\x08\x00abcd", addrB + ":0", 0, "\x08\x00abcd"}, {"ICMP without code", "raw4:1", nil, "\x08", addrB + ":0", 0, "EFAULT"}, {"ICMP without code, to nobody", "raw4:1", nil, "\x08", "-", 0, "EDESTADDRREQ"}, {"ICMP without code, without route", "raw4:1", nil, "\x08", "8.8.8.8:0", 0, "EFAULT"},
		{"its own header", "raw4:255", nil, header(addrA, addrB), addrB + ":0", 0, "inside"}, {"its own header, asked for", "raw4:99", func(s *sock) { s.set(abi.SOL_IP, abi.IP_HDRINCL, 1) }, header(addrA, addrB), addrB + ":0", 0, "inside"}, {"not all of it", "raw4:255", nil, header(addrA, addrB)[:19], addrB + ":0", 0, "EINVAL"},
		{"its own header, shut down", "raw4:255", func(s *sock) { s.Shutdown(abi.SHUT_WR) }, header(addrA, addrB), addrB + ":0", 0, "EPIPE"}, {"its own header, a pending error", "raw4:255", func(s *sock) { s.m.do(func() { s.SetErr(syscall.EPIPE) }) }, header(addrA, addrB), addrB + ":0", 0, "EPIPE"},
		{"IPv6", "raw6:99", nil, "payload", "[" + addrB6 + "]:0", 0, "payload"}, {"IPv6, the protocol for a port", "raw6:99", nil, "payload", "[" + addrB6 + "]:99", 0, "payload"}, {"IPv6, another port", "raw6:99", nil, "payload", "[" + addrB6 + "]:98", 0, "EINVAL"}, {"IPv6, mapped", "raw6:99", nil, "x", "[::ffff:" + addrB + "]:0", 0, "ENETUNREACH"},
		{"IPv6, its own header", "raw6:255", nil, header(addrA6, addrB6), "[" + addrB6 + "]:0", 0, "inside"}, {"IPv6, not all of it", "raw6:255", nil, header(addrA6, addrB6)[:39], "[" + addrB6 + "]:0", 0, "EINVAL"}, {"ICMPv6 without code", "raw6:58", nil, "\x80", "[" + addrB6 + "]:0", 0, "EFAULT"},
		{"too short for its checksum", "raw6:99", func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_CHECKSUM, 4) }, "12345", "[" + addrB6 + "]:0", 0, "EINVAL"},
	} {
		a, _ := newPair(t, Config{})
		a.cut = true
		s := a.open(c.kind)
		if c.set != nil {
			c.set(s)
		}
		m := socket.Msg{Flags: c.flags}
		if c.to != "-" {
			m.Addr, m.HasAddr = s.sockaddr(c.to), true
		}
		n, err := s.Send(noContext, []byte(c.data), &m)
		got := name(err)
		if out := a.took(); err == nil && len(out) == 1 && n == len(c.data) {
			got = string(out[0][20:])
			if out[0][0]>>4 == 6 {
				got = string(out[0][40:])
			}
			if proto := out[0][map[byte]int{4: 9, 6: 6}[out[0][0]>>4]]; !strings.HasSuffix(c.kind, fmt.Sprint(":", proto)) && proto != 99 {
				t.Errorf("%s: protocol %d", c.name, proto)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// IPV6_CHECKSUM has the checksum put into what is sent, and looked at in what comes (RFC 3542, section
// 3.1).
func TestRawChecksum(t *testing.T) {
	a, b := newPair(t, Config{})
	for _, c := range []struct {
		proto, at int
		data      string
	}{{99, 0, "abcdef"}, {99, 4, "abcdef"}, {99, 4, "abcdefg"}, {17, 6, "12345678"}, {58, 2, "\x80\x00abcdef"}} {
		s, r := a.open(fmt.Sprint("raw6:", c.proto)), b.open(fmt.Sprint("raw6:", c.proto))
		for _, x := range []*sock{s, r} {
			if c.proto != 58 {
				x.set(abi.SOL_IPV6, abi.IPV6_CHECKSUM, c.at)
			}
		}
		a.took()
		if err := s.send(c.data, "["+addrB6+"]:0"); err != nil {
			t.Fatal(err)
		}
		p := a.took()[0]
		var sum wire.Checksum
		sum.AddPseudo(addr(addrA6), addr(addrB6), uint8(c.proto), len(c.data))
		sum.Add(p[40:])
		rest := append(append([]byte(nil), p[40:40+c.at]...), p[42+c.at:]...)
		if sum.Sum() != 0 || string(rest) != c.data[:c.at]+c.data[c.at+2:] {
			t.Errorf("%+v: sent %x", c, p[40:])
		}
		if got := r.text(); got != string(p[40:]) {
			t.Errorf("%+v: %q", c, got)
		}
		bad := bytes.Clone(p)
		bad[41] ^= 1
		b.arrive(bad)
		if got := r.text(); got != "" || r.drops() != 1 {
			t.Errorf("%+v: %q with a bad checksum; %d dropped", c, got, r.drops())
		}
		s.Close()
		r.Close()
	}
	// What sums up to nothing is all ones in UDP alone.
	for proto, want := range map[int]uint16{17: 0xffff, 99: 0} {
		s := a.open(fmt.Sprint("raw6:", proto)).set(abi.SOL_IPV6, abi.IPV6_CHECKSUM, 6)
		data := make([]byte, 10)
		var sum wire.Checksum
		sum.AddPseudo(addr(addrA6), addr(addrB6), uint8(proto), len(data))
		binary.BigEndian.PutUint16(data[8:], sum.Sum())
		a.took()
		if err := s.send(string(data), "["+addrB6+"]:0"); err != nil {
			t.Fatal(err)
		}
		if p := a.took()[0]; binary.BigEndian.Uint16(p[46:]) != want {
			t.Errorf("protocol %d: %x", proto, p[40:])
		}
	}
}

// An error is told to the raw sockets of the protocol that have that peer or none.
func TestRawErrors(t *testing.T) {
	a, _ := newPair(t, Config{})
	none, peer, other, wrong, six := a.open("raw4:99"), a.open("raw4:99").with(addrB+":0"), a.open("raw4:99").with("10.0.0.9:0"), a.open("raw4:98"), a.open("raw6:99")
	for _, s := range []*sock{none, peer, other, wrong} {
		s.set(abi.SOL_IP, abi.IP_RECVERR, 1)
	}
	six.set(abi.SOL_IPV6, abi.IPV6_RECVERR, 1)
	a.do(func() {
		a.st.raw.Error(&ip.Error{Src: addr(addrA), Dst: addr(addrB), From: addr(addrB), Proto: 99, Errno: syscall.EHOSTUNREACH, Quote: []byte("quotation")})
	})
	for i, s := range []*sock{none, peer, other, wrong, six} {
		g := s.recv(abi.MSG_ERRQUEUE)
		if (g.err == nil) != (i < 2) || i < 2 && g.data != "quotation" {
			t.Errorf("%d: %+v", i, g)
		}
	}
}

// Echo requests without privilege: the identifier is the socket's port, only requests leave, and replies
// come to the one who has asked (icmp(7)).
func TestPing(t *testing.T) {
	a, _ := newPair(t, Config{})
	for _, c := range []struct {
		kind, to string
		echo     byte
		reply    byte
		from     string
	}{{"ping4", addrB + ":0", 8, 0, addrB + ":0"}, {"ping6", "[" + addrB6 + "]:0", 128, 129, "[" + addrB6 + "]:0"}} {
		s, other := a.open(c.kind), a.open(c.kind)
		msg := func(typ, code byte, data string) string {
			return string([]byte{typ, code, 9, 9, 7, 7, 0, 1}) + data
		}
		if err := s.send(msg(c.echo, 0, "data"), c.to); err != nil {
			t.Fatal(err)
		}
		if err := other.send(msg(c.echo, 0, "more"), c.to); err != nil {
			t.Fatal(err)
		}
		id := s.port()
		if id == 0 || id == other.port() {
			t.Errorf("%s: identifiers %d and %d", c.kind, id, other.port())
		}
		g := s.recv(0)
		want := string([]byte{c.reply, 0, 0, 0, byte(id >> 8), byte(id), 0, 1}) + "data"
		if g.err != nil || g.from != c.from || len(g.data) != len(want) || g.data[:2]+"\x00\x00"+g.data[4:] != want {
			t.Errorf("%s: %+v", c.kind, g)
		}
		if g := other.recv(0); !strings.HasSuffix(g.data, "more") {
			t.Errorf("%s: %+v", c.kind, g)
		}
		for _, x := range []struct {
			name, data string
			flags      int
			set        func()
			want       string
		}{
			{"a reply", msg(c.reply, 0, ""), 0, nil, "EINVAL"}, {"a code", msg(c.echo, 1, ""), 0, nil, "EINVAL"}, {"seven bytes", msg(c.echo, 0, "")[:7], 0, nil, "EINVAL"}, {"eight bytes", msg(c.echo, 0, ""), 0, nil, "<nil>"},
			{"urgent", msg(c.echo, 0, ""), abi.MSG_OOB, nil, "EOPNOTSUPP"}, {"too large", msg(c.echo, 0, strings.Repeat("x", 65528)), 0, nil, "EMSGSIZE"},
			{"a pending error", msg(c.echo, 0, ""), 0, func() { a.do(func() { s.SetErr(syscall.EPIPE) }) }, "EPIPE"}, {"shut down", msg(c.echo, 0, ""), 0, func() { s.Shutdown(abi.SHUT_WR) }, "EPIPE"},
		} {
			if x.set != nil {
				x.set()
			}
			_, err := s.Send(noContext, []byte(x.data), &socket.Msg{Flags: x.flags, Addr: s.sockaddr(c.to), HasAddr: true})
			if got := name(err); got != x.want {
				t.Errorf("%s: %s: %s, want %s", c.kind, x.name, got, x.want)
			}
		}
		if g := s.recv(abi.MSG_OOB); g.err != syscall.EOPNOTSUPP {
			t.Errorf("%+v", g)
		}
		for _, err := range []error{s.Listen(1), second(s.Accept(noContext))} {
			if err != syscall.EOPNOTSUPP {
				t.Error(err)
			}
		}
		// One that does not ask for the length of the whole is not told.
		if err := other.send(msg(c.echo, 0, "0123456789"), c.to); err != nil {
			t.Fatal(err)
		}
		if g := other.recvInto(10, abi.MSG_TRUNC); len(g.data) != 10 || g.flags != abi.MSG_TRUNC {
			t.Errorf("%+v", g)
		}
		s.Close()
		other.Close()
	}
	if n := a.st.IP.ICMPCounters(); n.OutEchos != 8 || n.InEchoReps != 8 {
		t.Errorf("%+v", n)
	}
}

// Identifiers: who shares one, whose a reply is, and that they are given back.
func TestPingIdentifiers(t *testing.T) {
	a, _ := newPair(t, Config{})
	reply := func(dst string, id uint16) {
		msg := []byte{0, 0, 0, 0, byte(id >> 8), byte(id), 0, 1}
		binary.BigEndian.PutUint16(msg[2:], wire.ChecksumOf(msg))
		a.arrive(whole(addrB, dst, ip.ProtoICMP, msg))
	}
	hears := func(s ...*sock) (out string) {
		for i, x := range s {
			if x.recv(0).err == nil {
				out += fmt.Sprint(i)
			}
		}
		return out
	}
	first, last := a.open("ping4").at("0.0.0.0:9"), a.open("ping4").at("0.0.0.0:9") // both have SO_REUSEADDR
	if reply(addrA, 9); hears(first, last) != "1" {
		t.Error("not the last one bound")
	}
	last.Close()
	if reply(addrA, 9); hears(first) != "0" {
		t.Error("not the one that is left")
	}
	if err := a.open("ping4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 0).bind("0.0.0.0:9"); err != syscall.EADDRINUSE {
		t.Error(err)
	}
	first.set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 0)
	if err := a.open("ping4").bind("0.0.0.0:9"); err != syscall.EADDRINUSE {
		t.Error(err)
	}
	six := a.open("ping6").at("[::]:9") // of the other family: another one's
	first.Close()
	here, there := a.open("ping4").at(addrA+":9"), a.open("ping4").at("127.0.0.1:9")
	if reply(addrA, 9); hears(here, there, six) != "0" {
		t.Error("not the one with the address")
	}
	if reply(addrA, 8); hears(here, there, six) != "" {
		t.Error("another identifier's")
	}
	tied := a.open("ping4").set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 1).at("0.0.0.0:7")
	if reply(addrA, 7); hears(tied) != "" {
		t.Error("by another interface")
	}
	if tied.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2); true {
		if reply(addrA, 7); hears(tied) != "0" {
			t.Error("not by its interface")
		}
	}
	// An error about a request comes to who has sent it.
	here.set(abi.SOL_IP, abi.IP_RECVERR, 1)
	for _, n := range []int{7, 8} {
		a.do(func() {
			a.st.ping.Error(&ip.Error{Src: addr(addrA), Dst: addr(addrB), From: addr(addrB), Proto: ip.ProtoICMP, Errno: syscall.EHOSTUNREACH, Quote: []byte{8, 0, 0, 0, 0, 9, 0, 1}[:n]})
		})
	}
	if g := here.recv(abi.MSG_ERRQUEUE); g.err != nil || len(g.data) != 8 || g.from != addrB+":0" {
		t.Errorf("%+v", g)
	}
	if g := here.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN {
		t.Errorf("%+v", g)
	}
}

// Where an IPv6 echo request may go (Linux, ping_v6_sendmsg).
func TestPingScopes(t *testing.T) {
	a, _ := newPair(t, Config{})
	a.cut = true
	const echo = "\x80\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct {
		to   string
		set  func(s *sock)
		want string
	}{
		{"[fe80::2]:0", nil, "EINVAL"}, {"[fe80::2%2]:0", nil, "<nil>"}, {"[fe80::2]:0", func(s *sock) { s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2) }, "<nil>"},
		{"[fe80::2%1]:0", func(s *sock) { s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2) }, "EINVAL"}, {"[::]:0", nil, "ENETUNREACH"}, {"[ff02::1]:0", nil, "EINVAL"}, {"[ff02::1]:0", func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_MULTICAST_IF, 2) }, "<nil>"},
		{"[" + addrB6 + "%9]:0", nil, "<nil>"},
	} {
		s := a.open("ping6")
		if c.set != nil {
			c.set(s)
		}
		if got := name(s.send(echo, c.to)); got != c.want {
			t.Errorf("to %s: %s, want %s", c.to, got, c.want)
		}
	}
}

// A struct in6_flowlabel_req.
func flowRequest(dst string, label uint32, action, share byte, flags, expires, linger int) []byte {
	b := in6(dst)
	b = binary.BigEndian.AppendUint32(b, label)
	b = append(b, action, share)
	for _, v := range []int{flags, expires, linger} {
		b = binary.NativeEndian.AppendUint16(b, uint16(v))
	}
	return append(b, 0, 0, 0, 0)
}

// Leasing flow labels: who may have which, and who shares them (Linux, ip6_flowlabel.c).
func TestFlowLeases(t *testing.T) {
	a, _ := newPair(t, Config{})
	one, two, third := a.open("udp6"), a.open("udp6"), a.open("udp6")
	for s, pid := range map[*sock]int32{one: 1, two: 1, third: 2} {
		s.Owner.Store(pid)
	}
	const create, excl = flowCreate, flowCreate | flowExclusive
	for i, c := range []struct {
		s    *sock
		v    []byte
		want string
	}{
		{one, flowRequest(addrB6, 0x111, flowGet, shareExclusive, 0, 0, 0), "ENOENT"}, {one, flowRequest(addrB6, 0x111, flowGet, shareExclusive, create, 0, 0), "<nil>"}, {two, flowRequest(addrB6, 0x111, flowGet, shareExclusive, create, 0, 0), "EPERM"}, {one, flowRequest(addrB6, 0x111, flowGet, shareExclusive, excl, 0, 0), "EEXIST"},
		{one, flowRequest(addrB6, 0x222, flowGet, shareProcess, create, 0, 0), "<nil>"}, {two, flowRequest(addrB6, 0x222, flowGet, shareProcess, create, 0, 0), "<nil>"}, {third, flowRequest(addrB6, 0x222, flowGet, shareProcess, create, 0, 0), "EPERM"}, {two, flowRequest(addrB6, 0x222, flowGet, shareUser, create, 0, 0), "EPERM"},
		{one, flowRequest(addrB6, 0x333, flowGet, shareUser, create, 0, 0), "<nil>"}, {third, flowRequest(addrB6, 0x333, flowGet, shareUser, 0, 0, 0), "<nil>"}, {one, flowRequest(addrB6, 0x444, flowGet, shareAny, create, 0, 0), "<nil>"}, {third, flowRequest(addrB6, 0x444, flowGet, shareAny, 0, 0, 0), "<nil>"},
		{one, flowRequest(addrB6, 0x100000, flowGet, shareAny, create, 0, 0), "EINVAL"}, {one, flowRequest("::", 0x555, flowGet, shareAny, create, 0, 0), "EINVAL"}, {one, flowRequest("::ffff:10.0.0.2", 0x555, flowGet, shareAny, create, 0, 0), "EINVAL"}, {one, flowRequest(addrB6, 0x555, flowGet, 9, create, 0, 0), "EINVAL"}, {one, flowRequest(addrB6, 0x555, 9, shareAny, create, 0, 0), "EINVAL"}, {one, flowRequest(addrB6, 0x555, flowGet, shareAny, flowReflect, 0, 0), "EPERM"}, {one, flowRequest(addrB6, 0x555, flowGet, shareAny, create, 0, 0)[:31], "EINVAL"},
		{one, flowRequest(addrB6, 0x111, flowRenew, 0, 0, 5, 5), "<nil>"}, {two, flowRequest(addrB6, 0x111, flowRenew, 0, 0, 5, 5), "ESRCH"}, {two, flowRequest(addrB6, 0x111, flowPut, 0, 0, 0, 0), "ESRCH"}, {one, flowRequest(addrB6, 0x111, flowPut, 0, 0, 0, 0), "<nil>"}, {one, flowRequest(addrB6, 0x111, flowPut, 0, 0, 0, 0), "ESRCH"},
		{two, flowRequest(addrB6, 0x111, flowGet, shareExclusive, excl, 0, 0), "<nil>"},
		{one, flowRequest(addrB6, 0x222, flowPut, 0, 0, 0, 0), "<nil>"}, {third, flowRequest(addrB6, 0x222, flowGet, shareAny, create, 0, 0), "EPERM"}, // two has it still
	} {
		if got := name(c.s.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, c.v)); got != c.want {
			t.Errorf("%d: %x: %s, want %s", i, c.v, got, c.want)
		}
	}
	// A label of 0 is chosen, and written where it was asked for.
	v := flowRequest(addrB6, 0, flowGet, shareAny, create, 0, 0)
	if err := one.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, v); err != nil || binary.BigEndian.Uint32(v[16:]) == 0 || binary.BigEndian.Uint32(v[16:]) > labelMask {
		t.Errorf("%x, %v", v, err)
	}
	for _, s := range []*sock{one, two, third} {
		s.Close()
	}
	a.do(func() {
		if len(a.st.flows) != 0 {
			t.Errorf("%d leases are left", len(a.st.flows))
		}
	})
	// How long they are kept takes a capability, beyond a bound; who has it may have as many as there are.
	a.lacks[abi.CAP_NET_ADMIN] = true
	s := a.open("udp6")
	for _, c := range []struct {
		expires, linger int
		want            string
	}{{150, 150, "<nil>"}, {151, 0, "EPERM"}, {0, 151, "EPERM"}} {
		if got := name(s.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, flowRequest(addrB6, 0, flowGet, shareAny, create, c.expires, c.linger))); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	n := 1
	for ; s.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, flowRequest(addrB6, 0, flowGet, shareAny, create, 0, 0)) == nil && n < 100; n++ {
	}
	if n != maxFlowsOf {
		t.Errorf("%d labels", n)
	}
	a.lacks[abi.CAP_NET_ADMIN] = false
	if err := s.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, flowRequest(addrB6, 0, flowGet, shareAny, create, 1000, 1000)); err != nil {
		t.Error(err)
	}
	for i := range uint32(maxFlows) {
		a.do(func() { a.st.flows[1<<19|i] = &flowLease{} })
	}
	if err := s.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, flowRequest(addrB6, 5, flowGet, shareAny, create, 0, 0)); err != syscall.ENOBUFS {
		t.Error(err)
	}
}

// Which label a packet carries: that of a control message, of the address or of the peer, else a hash of
// the flow, unless that is off; and what is read of a lease (RFC 6437).
func TestFlowLabels(t *testing.T) {
	a, b := newPair(t, Config{})
	b.open("udp6").at("[::]:7")
	label := func(m *machine) uint32 {
		out := m.took()
		h, err := wire.ParseIPv6(out[len(out)-1])
		if err != nil {
			t.Fatal(err)
		}
		return h.Flow
	}
	s := a.open("udp6").at("[" + addrA6 + "]:5000")
	to := s.sockaddr("[" + addrB6 + "]:7")
	send := func(flow uint32, control ...byte) (uint32, error) {
		x := to
		x.Flow = flow
		a.took()
		_, err := s.Send(noContext, []byte("x"), &socket.Msg{Addr: x, HasAddr: true, Control: control})
		if err != nil {
			return 0, err
		}
		return label(a), nil
	}
	hash, _ := send(0x777)
	again, _ := send(0)
	to.Port = 8
	other, _ := send(0)
	to.Port = 7
	if hash == 0 || hash != again || hash == other || hash == 0x777 || hash > labelMask {
		t.Errorf("%#x, %#x, %#x", hash, again, other)
	}
	s.set(abi.SOL_IPV6, abi.IPV6_AUTOFLOWLABEL, 0)
	if got, _ := send(0); got != 0 {
		t.Errorf("%#x though it is off", got)
	}
	s.set(abi.SOL_IPV6, abi.IPV6_FLOWINFO_SEND, 1)
	if got, _ := send(0xf0000777); got != 0x777 {
		t.Errorf("%#x, want that of the address", got)
	}
	if got, _ := send(0x777, cmsg(abi.SOL_IPV6, abi.IPV6_FLOWINFO, []byte{0, 0, 8, 0x88})...); got != 0x888 {
		t.Errorf("%#x, want that of the control message", got)
	}
	// Of a peer.
	x := to
	x.Flow = 0x999
	if err := s.Connect(noContext, x); err != nil {
		t.Fatal(err)
	}
	a.took()
	s.send("x", "-")
	if got := label(a); got != 0x999 {
		t.Errorf("%#x, want the peer's", got)
	}
	if p, _ := s.Peer(); p.Flow != 0x999 {
		t.Errorf("%+v", p)
	}
}

// Once somebody has leased a label for himself, no other one is sent but by who has leased that; what is
// read of a lease, and that it ends.
func TestFlowLabelsAreLeased(t *testing.T) {
	a, _ := newPair(t, Config{})
	a.cut = true
	s, l := a.open("udp6").set(abi.SOL_IPV6, abi.IPV6_FLOWINFO_SEND, 1), a.open("udp6")
	x := s.sockaddr("[" + addrB6 + "]:7")
	send := func(flow uint32, control ...byte) (uint32, error) {
		to := x
		to.Flow = flow
		_, err := s.Send(noContext, []byte("x"), &socket.Msg{Addr: to, HasAddr: true, Control: control})
		return 0, err
	}
	if err := l.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, flowRequest(addrB6, 0x123, flowGet, shareExclusive, flowCreate, 10, 20)); err != nil {
		t.Fatal(err)
	}
	if _, err := send(0x777); err != syscall.EINVAL {
		t.Error(err)
	}
	if _, err := send(0, cmsg(abi.SOL_IPV6, abi.IPV6_FLOWINFO, []byte{0, 0, 7, 0x77})...); err != syscall.EINVAL {
		t.Error(err)
	}
	x.Flow = 0x123
	if err := s.Connect(noContext, x); err != syscall.EINVAL {
		t.Error(err)
	}
	l.set(abi.SOL_IPV6, abi.IPV6_FLOWINFO_SEND, 1)
	if err := l.Connect(noContext, x); err != nil {
		t.Fatal(err)
	}
	a.took()
	l.send("x", "-")
	if h, _ := wire.ParseIPv6(a.took()[0]); h.Flow != 0x123 {
		t.Errorf("%#x", h.Flow)
	}
	ask := flowRequest("::", 0, flowGet, 0, 0, 0, 0)
	want := flowRequest(addrB6, 0x123, 0, shareExclusive, 0, 20, 20)
	n, err := l.GetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, ask)
	if err != nil || !bytes.Equal(ask[:n], want) {
		t.Errorf("%x, want %x, %v", ask[:n], want, err)
	}
	for _, c := range []struct {
		s    *sock
		v    []byte
		want string
	}{{s, flowRequest("::", 0, flowGet, 0, 0, 0, 0), "ENOENT"}, {l, flowRequest("::", 0, flowPut, 0, 0, 0, 0), "EINVAL"}, {l, flowRequest("::", 0, flowGet, 0, 0, 0, 0)[:31], "EINVAL"}, {l, flowRequest("::", 0, flowGet, 0, flowRemote, 0, 0), "<nil>"}} {
		if _, err := c.s.GetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, c.v); name(err) != c.want {
			t.Errorf("%x: %v, want %s", c.v, err, c.want)
		}
	}
	// A lease that is put back is no peer's label any more.
	if err := l.SetOpt(abi.SOL_IPV6, abi.IPV6_FLOWLABEL_MGR, flowRequest("::", 0x123, flowPut, 0, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if p, _ := l.Peer(); p.Flow != 0 {
		t.Errorf("%+v", p)
	}
}

// The whole of a connection has one label.
func TestFlowLabelOfStream(t *testing.T) {
	a, b := newPair(t, Config{})
	srv := b.open("tcp6").at("[::]:80")
	srv.Listen(1)
	a.took()
	c := a.open("tcp6").with("[" + addrB6 + "]:80")
	c.send("x", "-")
	seen := map[uint32]bool{}
	for _, p := range a.took() {
		h, _ := wire.ParseIPv6(p)
		seen[h.Flow] = true
	}
	if len(seen) != 1 || seen[0] {
		t.Errorf("%v", seen)
	}
}

// Messages that raw sockets send count by their type, in IPv4 also behind a header of the program's (Linux,
// icmp_out_count, raw_send_hdrinc).
func TestRawCountsICMP(t *testing.T) {
	for _, c := range []struct {
		kind, data, to string
		echo, all      uint64
	}{
		{"raw4:1", "\x08\x00abcd", addrB + ":0", 1, 1}, {"raw4:1", "\x03\x00abcd", addrB + ":0", 0, 1}, {"raw6:58", "\x80\x00abcd", "[" + addrB6 + "]:0", 1, 1}, {"raw6:58", "\x08\x00abcd", "[" + addrB6 + "]:0", 0, 1},
		{"raw4:99", "\x08\x00abcd", addrB + ":0", 0, 0}, {"raw4:255", string(whole(addrA, addrB, 1, []byte("\x08\x00abcdef"))), addrB + ":0", 1, 1}, {"raw4:255", string(whole(addrA, addrB, 1, []byte("\x08\x00abcde"))), addrB + ":0", 0, 0}, {"raw4:255", string(whole(addrA, addrB, 99, []byte("\x08\x00abcdef"))), addrB + ":0", 0, 0},
		{"raw6:255", string(whole(addrA6, addrB6, 58, []byte("\x80\x00abcdef"))), "[" + addrB6 + "]:0", 0, 0},
	} {
		a, _ := newPair(t, Config{})
		a.cut = true
		if err := a.open(c.kind).send(c.data, c.to); err != nil {
			t.Fatal(c, err)
		}
		if n := a.st.IP.ICMPCounters(); n.OutEchos != c.echo || n.OutMsgs != c.all {
			t.Errorf("%s sends %q: %d echo requests, %d messages", c.kind, c.data, n.OutEchos, n.OutMsgs)
		}
	}
}
