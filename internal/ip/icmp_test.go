package ip

import (
	"bytes"
	"encoding/binary"
	"slices"
	"syscall"
	"testing"

	"usock/internal/wire"
)

// icmp4 and icmp6 return a message with its checksum.
func icmp4(typ, code uint8, info uint32, data []byte) []byte {
	b := make([]byte, wire.ICMPLen)
	h := wire.ICMP{Type: typ, Code: code, Info: info}
	h.Put(b)
	b = append(b, data...)
	binary.BigEndian.PutUint16(b[2:], wire.ChecksumOf(b))
	return b
}

func icmp6(src, dst string, typ, code uint8, info uint32, data []byte) []byte {
	b := icmp4(typ, code, info, data)
	b[2], b[3] = 0, 0
	var c wire.Checksum
	c.AddPseudo(addr(src), addr(dst), ProtoICMPv6, len(b))
	c.Add(b)
	binary.BigEndian.PutUint16(b[2:], c.Sum())
	return b
}

func TestEchoFromLink(t *testing.T) {
	b := newBench(t, Config{})
	data := pattern(101)
	b.arrive(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 0x12340001, data), func(h *wire.IPv4, _ *wire.IPv6) { h.TOS = 0x10 }))
	h4, _, body := validate(t, b.oneSent())
	m, _ := wire.ParseICMP(body)
	if h4.Src != addr(hostA) || h4.Dst != addr(peerA) || h4.TOS != 0x10 || m.Type != wire.ICMPv4EchoReply || m.Info != 0x12340001 ||
		!bytes.Equal(body[8:], data) || wire.ChecksumOf(body) != 0 {
		t.Errorf("%+v %+v", h4, m)
	}
	b.arrive(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Echo, 0, 0x12340002, data), nil))
	_, h6, body := validate(t, b.oneSent())
	m, _ = wire.ParseICMP(body)
	if h6.Src != addr(hostB) || h6.Dst != addr(peerB) || m.Type != wire.ICMPv6EchoReply || m.Info != 0x12340002 || !bytes.Equal(body[8:], data) {
		t.Errorf("%+v %+v", h6, m)
	}
	// All nodes answer with an address of their own (RFC 4443, section 4.2).
	b.arrive(packetBytes("fe80::2", "ff02::1", ProtoICMPv6, icmp6("fe80::2", "ff02::1", wire.ICMPv6Echo, 0, 1, nil), nil))
	_, h6, _ = validate(t, b.oneSent())
	if h6.Src != addr("fe80::1") || h6.Dst != addr("fe80::2") {
		t.Errorf("%+v", h6)
	}
	// A broadcast request is not answered, nor one with a bad checksum.
	b.arrive(packetBytes(peerA, "10.0.0.255", ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 1, nil), nil))
	bad := packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 1, data), nil)
	bad[30] ^= 1
	b.arrive(bad)
	bad6 := packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Echo, 0, 1, data), nil)
	bad6[50] ^= 1
	b.arrive(bad6)
	if n := len(b.sent()); n != 0 {
		t.Errorf("%d answers", n)
	}
	if b.l.Whole().ICMP.InCsumErrors != 2 || b.l.Whole().ICMP.InErrors != 2 {
		t.Errorf("%+v", b.l.Whole().ICMP)
	}
}

func TestEchoOnLoopback(t *testing.T) {
	b := newBench(t, Config{})
	for _, dst := range []string{"127.0.0.1", "::1"} {
		proto, typ, reply, sum := uint8(ProtoICMP), uint8(wire.ICMPv4Echo), uint8(wire.ICMPv4EchoReply), Checksum(0)
		if dst == "::1" {
			proto, typ, reply, sum = ProtoICMPv6, wire.ICMPv6Echo, wire.ICMPv6EchoReply, ChecksumICMPv6
		}
		h := wire.ICMP{Type: typ, Info: 0x00070001}
		head := make([]byte, wire.ICMPLen)
		h.Put(head)
		if err := b.send(dst, head, []byte("ping"), Out{Proto: proto, Checksum: sum}); err != nil {
			t.Fatal(err)
		}
		g := b.icmp.one()
		m, _ := wire.ParseICMP(g.data)
		if m.Type != reply || m.Info != 0x00070001 || string(g.data[8:]) != "ping" || g.meta.Src != addr(dst) {
			t.Errorf("%s: %+v %+v", dst, g.meta, m)
		}
	}
}

// A datagram that nobody wants brings its sender a port unreachable, at once and
// without limit on loopback.
func TestPortUnreachable(t *testing.T) {
	for _, dst := range []string{"127.0.0.1", "::1", hostA, hostB} {
		b := newBench(t, Config{})
		b.udp.refuse = true
		for range 50 {
			if err := b.send(dst, udpHeader(3), []byte("abc"), Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
				t.Fatal(err)
			}
			e := b.udp.oneError()
			if e.Errno != syscall.ECONNREFUSED || !e.Hard || e.Dst != addr(dst) || e.From != addr(dst) || e.Proto != ProtoUDP ||
				e.V6 != addr(dst).Is6() || !bytes.Equal(e.Quote[:4], udpHeader(3)[:4]) || string(e.Quote[8:]) != "abc" {
				t.Fatalf("%s: %+v", dst, e)
			}
		}
	}
}

func TestUnreachableToLink(t *testing.T) {
	b := newBench(t, Config{})
	b.udp.refuse = true
	in := packetBytes(peerA, hostA, ProtoUDP, append(udpHeader(1000), pattern(1000)...), func(h *wire.IPv4, _ *wire.IPv6) {
		h.Options = []byte{wire.IPv4OptNOP, wire.IPv4OptNOP, wire.IPv4OptNOP, wire.IPv4OptEnd}
	})
	b.arrive(in)
	h, _, body := validate(t, b.oneSent())
	m, _ := wire.ParseICMP(body)
	if m.Type != wire.ICMPv4Unreachable || m.Code != wire.ICMPv4PortUnreachable || h.TotalLen != maxError4 || !bytes.Equal(body[8:], in[:len(body)-8]) {
		t.Errorf("%+v %+v", h, m)
	}
	in = packetBytes(peerB, hostB, ProtoUDP, append(udpHeader(1400), pattern(1400)...), nil)
	b.arrive(in)
	_, h6, body := validate(t, b.oneSent())
	m, _ = wire.ParseICMP(body)
	if m.Type != wire.ICMPv6Unreachable || m.Code != wire.ICMPv6PortUnreachable || h6.PayloadLen != maxError6-40 || !bytes.Equal(body[8:], in[:len(body)-8]) {
		t.Errorf("%+v %+v", h6, m)
	}
	// Unknown protocols.
	b.arrive(packetBytes(peerA, hostA, 200, pattern(20), nil))
	_, _, body = validate(t, b.oneSent())
	if body[0] != wire.ICMPv4Unreachable || body[1] != wire.ICMPv4ProtoUnreachable {
		t.Errorf("%x", body[:8])
	}
	in = packetBytes(peerB, hostB, wire.IPv6DestOpts, append([]byte{200, 0, 1, 4, 0, 0, 0, 0}, pattern(20)...), nil)
	b.arrive(in)
	_, _, body = validate(t, b.oneSent())
	if m, _ := wire.ParseICMP(body); m.Type != wire.ICMPv6ParameterProblem || m.Code != wire.ICMPv6UnknownNext || m.Info != 40 {
		t.Errorf("%+v", m)
	}
	b.arrive(packetBytes(peerB, hostB, 200, pattern(20), nil))
	_, _, body = validate(t, b.oneSent())
	if m, _ := wire.ParseICMP(body); m.Type != wire.ICMPv6ParameterProblem || m.Info != 6 {
		t.Errorf("%+v", m)
	}
	b.arrive(packetBytes(peerB, hostB, wire.IPv6NoNext, nil, nil))
	if n := len(b.sent()); n != 0 {
		t.Errorf("%d answers to no next header", n)
	}
}

// No error is sent about what RFC 1122, section 3.2.2, and RFC 4443, section
// 2.4(e), except.
func TestNoErrorAbout(t *testing.T) {
	b := newBench(t, Config{})
	b.udp.refuse = true
	dgram := append(udpHeader(4), "data"...)
	for name, p := range map[string][]byte{
		"an ICMP error":        packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, 3, 0, pattern(40)), nil),
		"a broadcast":          packetBytes(peerA, "10.0.0.255", ProtoUDP, dgram, nil),
		"a limited broadcast":  packetBytes(peerA, "255.255.255.255", ProtoUDP, dgram, nil),
		"a group":              packetBytes(peerA, "224.0.0.1", ProtoUDP, dgram, nil),
		"a source of nobody":   packetBytes("0.0.0.0", "255.255.255.255", ProtoUDP, dgram, nil),
		"a reserved source":    packetBytes("240.0.0.1", hostA, ProtoUDP, dgram, nil),
		"an ICMPv6 error":      packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, 100, 0, 0, pattern(60)), nil),
		"an IPv6 group":        packetBytes(peerB, "ff02::1", ProtoUDP, dgram, nil),
		"an unspecified IPv6":  packetBytes("::", hostB, ProtoUDP, dgram, nil),
		"an unknown ICMP type": packetBytes(peerA, hostA, ProtoICMP, icmp4(77, 0, 0, nil), nil),
	} {
		b.arrive(p)
		if n := len(b.sent()); n != 0 {
			t.Errorf("%s: %d errors", name, n)
		}
	}
}

func TestErrorTranslation(t *testing.T) {
	b := newBench(t, Config{})
	sent4 := packetBytes(hostA, peerA, ProtoTCP, pattern(20), nil)
	sent6 := packetBytes(hostB, peerB, ProtoTCP, pattern(20), nil)
	router4, router6 := "10.0.0.254", "2001:db8::fe"
	for _, c := range []struct {
		v6        bool
		typ, code uint8
		info      uint32
		errno     syscall.Errno
		hard      bool
		mtu       int
	}{
		{false, wire.ICMPv4Unreachable, 0, 0, syscall.ENETUNREACH, false, 0},
		{false, wire.ICMPv4Unreachable, 1, 0, syscall.EHOSTUNREACH, false, 0},
		{false, wire.ICMPv4Unreachable, 2, 0, syscall.ENOPROTOOPT, true, 0},
		{false, wire.ICMPv4Unreachable, 3, 0, syscall.ECONNREFUSED, true, 0},
		{false, wire.ICMPv4Unreachable, 4, 1400, syscall.EMSGSIZE, false, 1400},
		{false, wire.ICMPv4Unreachable, 4, 0, syscall.EMSGSIZE, false, 68},
		{false, wire.ICMPv4Unreachable, 5, 0, syscall.EOPNOTSUPP, false, 0},
		{false, wire.ICMPv4Unreachable, 7, 0, syscall.EHOSTDOWN, true, 0},
		{false, wire.ICMPv4Unreachable, 8, 0, errHostIsolated, true, 0},
		{false, wire.ICMPv4Unreachable, 13, 0, syscall.EHOSTUNREACH, true, 0},
		{false, wire.ICMPv4TimeExceeded, 0, 0, syscall.EHOSTUNREACH, false, 0},
		{false, wire.ICMPv4ParameterProblem, 0, 0, syscall.EPROTO, true, 0},
		{true, wire.ICMPv6Unreachable, 0, 0, syscall.ENETUNREACH, false, 0},
		{true, wire.ICMPv6Unreachable, 1, 0, syscall.EACCES, true, 0},
		{true, wire.ICMPv6Unreachable, 3, 0, syscall.EHOSTUNREACH, false, 0},
		{true, wire.ICMPv6Unreachable, 4, 0, syscall.ECONNREFUSED, true, 0},
		{true, wire.ICMPv6PacketTooBig, 0, 1300, syscall.EMSGSIZE, false, 1300},
		{true, wire.ICMPv6TimeExceeded, 0, 0, syscall.EHOSTUNREACH, false, 0},
		{true, wire.ICMPv6ParameterProblem, 0, 0, syscall.EPROTO, true, 0},
	} {
		if c.v6 {
			b.arrive(packetBytes(router6, hostB, ProtoICMPv6, icmp6(router6, hostB, c.typ, c.code, c.info, sent6), nil))
		} else {
			b.arrive(packetBytes(router4, hostA, ProtoICMP, icmp4(c.typ, c.code, c.info, sent4), nil))
		}
		e := b.tcp.oneError()
		if e.Errno != c.errno || e.Hard != c.hard || e.MTU != c.mtu || e.Type != c.typ || e.Code != c.code || e.V6 != c.v6 || !slices.Equal(e.Quote, pattern(20)) {
			t.Errorf("%+v: %+v", c, e)
		}
	}
	// Errors that are not believed: about a packet of somebody else, a later
	// fragment, too little of the packet, redirects and source quench.
	notOurs := packetBytes(peerA, hostA, ProtoTCP, pattern(20), nil)
	later := packetBytes(hostA, peerA, ProtoTCP, pattern(20), func(h *wire.IPv4, _ *wire.IPv6) { h.FragmentOff = 8 })
	for _, q := range [][]byte{notOurs, later, sent4[:27], sent4[:19], nil} {
		b.arrive(packetBytes(router4, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, 1, 0, q), nil))
	}
	b.arrive(packetBytes(router4, hostA, ProtoICMP, icmp4(wire.ICMPv4SourceQuench, 0, 0, sent4), nil))
	b.arrive(packetBytes(router4, hostA, ProtoICMP, icmp4(wire.ICMPv4Redirect, 0, 0, sent4), nil))
	b.arrive(packetBytes(router6, hostB, ProtoICMPv6, icmp6(router6, hostB, wire.ICMPv6Unreachable, 0, 0, sent6[:47]), nil))
	if len(b.tcp.errs) != 0 {
		t.Errorf("%+v", b.tcp.errs)
	}
}

// An ICMPv6 error may quote extension headers before the transport.
func TestErrorQuotesExtensions(t *testing.T) {
	b := newBench(t, Config{})
	fh := make([]byte, wire.IPv6FragmentLen)
	(&wire.FragmentHeader{Next: ProtoUDP, More: true, ID: 5}).Put(fh)
	body := slices.Concat([]byte{wire.IPv6Fragment, 0, 1, 4, 0, 0, 0, 0}, fh, udpHeader(8))
	sent := packetBytes(hostB, peerB, wire.IPv6DestOpts, body, nil)
	b.arrive(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Unreachable, 4, 0, sent), nil))
	if e := b.udp.oneError(); e.Proto != ProtoUDP || !slices.Equal(e.Quote, udpHeader(8)) {
		t.Errorf("%+v", e)
	}
}

func TestPlateau(t *testing.T) {
	for n, want := range map[int]int{65535: 32000, 1500: 1492, 1492: 1006, 68: 68, 20: 68} {
		if got := plateau(n); got != want {
			t.Errorf("%d: %d, want %d", n, got, want)
		}
	}
}
