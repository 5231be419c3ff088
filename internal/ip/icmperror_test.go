package ip

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// Which errno each code of destination unreachable is, and whether it ends an operation (Linux,
// icmp_err_convert and icmpv6_err_convert).
func TestUnreachableCodes(t *testing.T) {
	b := newBench(t, Config{})
	sent4 := packetBytes(hostA, peerA, ProtoTCP, pattern(20), nil)
	sent6 := packetBytes(hostB, peerB, ProtoTCP, pattern(20), nil)
	const soft, hard = false, true
	for code, want := range []verdict{
		{syscall.ENETUNREACH, soft}, {syscall.EHOSTUNREACH, soft}, {syscall.ENOPROTOOPT, hard}, {syscall.ECONNREFUSED, hard},
		{syscall.EMSGSIZE, soft}, {syscall.EOPNOTSUPP, soft}, {syscall.ENETUNREACH, hard}, {syscall.EHOSTDOWN, hard},
		{errHostIsolated, hard}, {syscall.ENETUNREACH, hard}, {syscall.EHOSTUNREACH, hard}, {syscall.ENETUNREACH, soft},
		{syscall.EHOSTUNREACH, soft}, {syscall.EHOSTUNREACH, hard}, {syscall.EHOSTUNREACH, hard}, {syscall.EHOSTUNREACH, hard},
	} {
		b.arrive(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, uint8(code), 0, sent4), nil))
		if e := b.tcp.oneError(); e.Errno != want.errno || e.Hard != want.hard || e.From != addr(peerA) || e.Iface != b.eth || e.Src != addr(hostA) || e.Dst != addr(peerA) {
			t.Errorf("code %d: %+v", code, e)
		}
	}
	b.arrive(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, 16, 0, sent4), nil))
	if len(b.tcp.errs) != 0 {
		t.Error("a code that is none is told")
	}
	for code, want := range []verdict{
		{syscall.ENETUNREACH, soft}, {syscall.EACCES, hard}, {syscall.EHOSTUNREACH, soft}, {syscall.EHOSTUNREACH, soft},
		{syscall.ECONNREFUSED, hard}, {syscall.EACCES, hard}, {syscall.EACCES, hard},
		{syscall.EPROTO, soft}, // of no meaning
	} {
		b.arrive(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Unreachable, uint8(code), 0, sent6), nil))
		if e := b.tcp.oneError(); e.Errno != want.errno || e.Hard != want.hard || e.From != addr(peerB) || e.Iface != b.eth || e.Src != addr(hostB) || e.Dst != addr(peerB) {
			t.Errorf("IPv6, code %d: %+v", code, e)
		}
	}
}

// The MTU that an error tells: the field, the most that a length can say, or, where a router has
// left it empty, a guess by the size of what did not pass (RFC 1191, section 5).
func TestToldMTU(t *testing.T) {
	b := newBench(t, Config{})
	big := packetBytes(hostA, peerA, ProtoTCP, pattern(20), nil)
	big[2], big[3] = 1500>>8, 1500&0xff
	for _, c := range []struct {
		in   []byte
		want int
	}{
		{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, wire.ICMPv4FragNeeded, 7<<16|1400, big), nil), 1400},
		{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, wire.ICMPv4FragNeeded, 0, big), nil), 1492},
		{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, wire.ICMPv4HostUnreachable, 1400, big), nil), 0},
		{packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6PacketTooBig, 0, 1400, packetBytes(hostB, peerB, ProtoTCP, pattern(20), nil)), nil), 1400},
		{packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6PacketTooBig, 0, 1<<31, packetBytes(hostB, peerB, ProtoTCP, pattern(20), nil)), nil), 65575},
	} {
		b.arrive(c.in)
		if e := b.tcp.oneError(); e.MTU != c.want {
			t.Errorf("%+v, want an MTU of %d", e, c.want)
		}
	}
}

// What of the packet an error must quote to be told: all of the network headers and eight bytes of
// the transport's, of a first fragment that this host may have sent (RFC 792; RFC 4443, section 3).
func TestQuotation(t *testing.T) {
	fragment := func(off int, more bool) []byte {
		h := make([]byte, wire.IPv6FragmentLen)
		(&wire.FragmentHeader{Next: ProtoTCP, Off: uint16(off), More: more, ID: 1}).Put(h)
		return h
	}
	opts := []byte{ProtoTCP, 0, 1, 4, 0, 0, 0, 0}
	toFragment := []byte{wire.IPv6Fragment, 0, 1, 4, 0, 0, 0, 0}
	unknown := []byte{ProtoTCP, 0, 0x80, 4, 0, 0, 0, 0}
	tcp := pattern(20)
	v6 := func(next uint8, parts ...[]byte) []byte {
		return packetBytes(hostB, peerB, next, slices.Concat(parts...), nil)
	}
	for _, c := range []struct {
		name  string
		quote []byte
		told  bool
		bad   bool // counts as one that makes no sense
		want  []byte
	}{
		{"eight bytes", packetBytes(hostA, peerA, ProtoTCP, tcp[:8], nil), true, false, tcp[:8]},
		{"seven bytes", packetBytes(hostA, peerA, ProtoTCP, tcp[:7], nil), false, true, nil},
		{"no header", packetBytes(hostA, peerA, ProtoTCP, tcp, nil)[:19], false, true, nil},
		{"options", packetBytes(hostA, peerA, ProtoTCP, tcp, func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{1, 1, 1, 0} }), true, false, tcp},
		{"a first fragment", packetBytes(hostA, peerA, ProtoTCP, tcp, func(h *wire.IPv4, _ *wire.IPv6) { h.MoreFragments = true }), true, false, tcp},
		{"a later fragment", packetBytes(hostA, peerA, ProtoTCP, tcp, func(h *wire.IPv4, _ *wire.IPv6) { h.FragmentOff = 8 }), false, false, nil},
		{"of somebody else", packetBytes(peerA, hostA, ProtoTCP, tcp, nil), false, false, nil},
		{"IPv6, eight bytes", v6(ProtoTCP, tcp[:8]), true, false, tcp[:8]},
		{"IPv6, seven bytes", v6(ProtoTCP, tcp[:7]), false, true, nil},
		{"IPv6, no header", v6(ProtoTCP, tcp)[:39], false, true, nil},
		{"IPv6, of somebody else", packetBytes(peerB, hostB, ProtoTCP, tcp, nil), false, false, nil},
		{"a destination option", v6(wire.IPv6DestOpts, opts, tcp), true, false, tcp},
		{"a header that is cut", v6(wire.IPv6DestOpts, opts[:7]), false, false, nil},
		{"an option that is complained about", v6(wire.IPv6DestOpts, unknown, tcp), true, false, append(slices.Clone(unknown), tcp...)},
		{"IPv6, a first fragment", v6(wire.IPv6Fragment, fragment(0, true), tcp), true, false, tcp},
		{"IPv6, a later fragment", v6(wire.IPv6Fragment, fragment(8, false), tcp), false, false, nil},
		{"IPv6, a fragment header that is cut", v6(wire.IPv6Fragment, fragment(0, true)[:7]), false, false, nil},
		{"options and a fragment", v6(wire.IPv6DestOpts, toFragment, fragment(0, true), tcp), true, false, tcp},
	} {
		b := newBench(t, Config{})
		r := new(tap)
		b.l.table.Raw = r
		all := &fake{t: t}
		for i := range b.l.table.Transport {
			b.l.table.Transport[i] = all
		}
		if len(c.quote) > 0 && c.quote[0]>>4 == 4 {
			b.arrive(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4TimeExceeded, 0, 0, c.quote), nil))
		} else {
			b.arrive(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6TimeExceeded, 0, 0, c.quote), nil))
		}
		if told := len(all.errs) == 1; told != c.told || told && !bytes.Equal(all.errs[0].Quote, c.want) || r.errs != len(all.errs) {
			t.Errorf("%s: %+v; raw sockets are told of %d", c.name, all.errs, r.errs)
		}
		if bad := b.l.Whole().ICMP.InErrors != 0; bad != c.bad {
			t.Errorf("%s: counts as bad: %v", c.name, bad)
		}
	}
}

// A host that stands in for others is told of errors about what they would have sent.
func TestErrorsForForeign(t *testing.T) {
	b := newBench(t, Config{Foreign: true})
	for src, told := range map[string]bool{"192.0.2.1": true, "127.0.0.1": true, "2001:db8:7::1": true} {
		if a := addr(src); a.Is4() {
			b.arrive(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4TimeExceeded, 0, 0, packetBytes(src, peerA, ProtoTCP, pattern(20), nil)), nil))
		} else {
			b.arrive(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6TimeExceeded, 0, 0, packetBytes(src, peerB, ProtoTCP, pattern(20), nil)), nil))
		}
		if n := len(b.tcp.errs); (n == 1) != told {
			t.Errorf("%s: %d errors", src, n)
		}
		b.tcp.errs = nil
	}
}

// Whom and what no error is sent about, beside TestNoErrorAbout: each is of an unknown protocol or
// port, to which there is an answer otherwise (RFC 1122, section 3.2.2; RFC 4443, section 2.4(e)).
func TestErrorsOnlyAbout(t *testing.T) {
	opts := func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{7, 1, 0, 0} } // a parameter problem
	unknown := func(next, action uint8, body []byte) []byte {
		return append([]byte{next, 0, action, 4, 0, 0, 0, 0}, body...)
	}
	for _, c := range []struct {
		name string
		in   []byte
		sent int
	}{
		{"a datagram", packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), opts), 1},
		{"an echo request", packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 0, nil), opts), 1},
		{"an echo reply", packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4EchoReply, 0, 0, nil), opts), 1},
		{"an error", packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, 0, 0, nil), opts), 0},
		{"a redirect", packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Redirect, 0, 0, nil), opts), 0},
		{"what may be an error", packetBytes(peerA, hostA, ProtoICMP, nil, opts), 0},
		{"the last class E", packetBytes("239.255.255.255", hostA, ProtoUDP, udpHeader(0), opts), 0},
		{"the first of no class", packetBytes("240.0.0.0", hostA, ProtoUDP, udpHeader(0), opts), 0},
		{"the last class C", packetBytes("223.255.255.255", hostA, ProtoUDP, udpHeader(0), opts), 1},
		{"a group", packetBytes(peerA, "224.0.0.1", ProtoUDP, udpHeader(0), opts), 0},
		{"a later fragment", packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), func(h *wire.IPv4, _ *wire.IPv6) { h.Options, h.FragmentOff = []byte{7, 1, 0, 0}, 8 }), 0},

		{"IPv6, a datagram", packetBytes(peerB, hostB, wire.IPv6DestOpts, unknown(ProtoUDP, 0x80, udpHeader(0)), nil), 1},
		{"IPv6, a message that is no error", packetBytes(peerB, hostB, wire.IPv6DestOpts, unknown(ProtoICMPv6, 0x80, icmp6(peerB, hostB, wire.ICMPv6Echo, 0, 0, nil)), nil), 1},
		{"IPv6, to a group", packetBytes(peerB, "ff02::1", wire.IPv6DestOpts, unknown(ProtoUDP, 0x80, udpHeader(0)), nil), 1},
		{"IPv6, to a group, not for groups", packetBytes(peerB, "ff02::1", wire.IPv6DestOpts, unknown(ProtoUDP, 0xc0, udpHeader(0)), nil), 0},
		{"IPv6, of nobody", packetBytes("::", hostB, wire.IPv6DestOpts, unknown(ProtoUDP, 0x80, udpHeader(0)), nil), 0},
		{"IPv6, an unknown header to a group", packetBytes(peerB, "ff02::1", 200, udpHeader(0), nil), 0},
		{"IPv6, unknown", packetBytes(peerB, hostB, 200, udpHeader(0), nil), 1},
	} {
		b := newBench(t, Config{})
		b.udp.refuse = true
		b.do(func() {
			b.l.AddRoute(Route{Dst: prefix("0.0.0.0/0"), Via: addr(peerA)})
			b.l.AddRoute(Route{Dst: prefix("::/0"), Via: addr(peerB)})
		})
		b.arrive(c.in)
		if n := len(b.sent()); n != c.sent || int(b.l.Whole().ICMP.OutMsgs) != n {
			t.Errorf("%s: %d errors, want %d", c.name, n, c.sent)
		}
	}
}

// Messages of ICMPv6 whose kind does not matter reach sendError6 as they are in a packet's front: an
// error about a reassembly that ran out of time is about what the first fragment was.
func TestNoErrorAboutFragmentsOfErrors(t *testing.T) {
	for typ, want := range map[uint8]int{wire.ICMPv6Echo: 1, wire.ICMPv6Unreachable: 0, wire.ICMPv6Redirect: 0, 127: 0} {
		b := newBench(t, Config{})
		h := make([]byte, wire.IPv6FragmentLen)
		(&wire.FragmentHeader{ID: 1, More: true, Next: ProtoICMPv6}).Put(h)
		b.arrive(packetBytes(peerB, hostB, wire.IPv6Fragment, append(h, icmp6(peerB, hostB, typ, 0, 0, pattern(8))...), nil))
		b.clock.Advance(reasmTime6)
		if n := len(b.sent()); n != want {
			t.Errorf("IPv6, type %d: %d errors", typ, n)
		}
	}
	for typ, want := range map[uint8]int{wire.ICMPv4Echo: 1, wire.ICMPv4Unreachable: 0, wire.ICMPv4SourceQuench: 0} {
		b := newBench(t, Config{})
		b.arrive(packetBytes(peerA, hostA, ProtoICMP, icmp4(typ, 0, 0, pattern(8)), func(h *wire.IPv4, _ *wire.IPv6) { h.MoreFragments = true }))
		b.clock.Advance(reasmTime4)
		if n := len(b.sent()); n != want {
			t.Errorf("IPv4, type %d: %d errors", typ, n)
		}
	}
}

// An error comes from the address that the packet was sent to, over the interface that a
// link-local sender is on, with the precedence of internetwork control (RFC 1122, section
// 3.2.2; RFC 1812, section 4.3.2.5).
func TestErrorHeader(t *testing.T) {
	b := newBench(t, Config{})
	b.udp.refuse = true
	var eth1 *Iface
	wire1 := new(wireSender)
	b.do(func() {
		b.l.AddAddr(b.eth, prefix("10.0.0.6/24"))
		b.l.AddAddr(b.eth, prefix("2001:db8::6/64"))
		eth1 = b.l.AddIface(IfaceConfig{Name: "eth1", Out: b.h.NewPort(wire1)})
		b.l.AddAddr(eth1, prefix("fe80::9/64"))
	})
	for _, c := range []struct {
		src, dst string
		tos      uint8
		want     uint8
	}{
		{peerA, "10.0.0.6", 0, 0xc0}, {peerA, hostA, 0xff, 0xde}, {peerA, hostA, 0x21, 0xc0}, {peerA, hostA, 0x12, 0xd2},
		{peerB, "2001:db8::6", 0, 0}, {peerB, hostB, 0xff, 0}, {"fe80::2", "fe80::1", 0, 0},
	} {
		b.clock.Advance(maxTokens)
		b.arrive(packetBytes(c.src, c.dst, ProtoUDP, udpHeader(0), func(h4 *wire.IPv4, h6 *wire.IPv6) {
			if h4 != nil {
				h4.TOS = c.tos
			} else {
				h6.TOS = c.tos
			}
		}))
		h4, h6, _ := validate(t, b.oneSent())
		got := fmt.Sprint(h4.Src, h4.Dst, h4.TOS, h4.TTL)
		if addr(c.src).Is6() {
			got = fmt.Sprint(h6.Src, h6.Dst, h6.TOS, h6.HopLimit)
		}
		if want := fmt.Sprint(addr(c.dst), addr(c.src), c.want, 64); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
	b.do(func() {
		b.l.Whole().Input(eth1, []*packet.Packet{packet.FromBytes(packetBytes("fe80::2", "fe80::9", ProtoUDP, udpHeader(0), nil))})
	})
	if len(b.sent()) != 0 {
		t.Error("the answer has left by the other link")
	}
	w1 := &bench{t: t, wire: wire1}
	if _, h, _ := validate(t, w1.oneSent()); h.Src != addr("fe80::9") {
		t.Errorf("%+v", h)
	}
	// Any other one is answered the way that leads to him.
	b.do(func() {
		b.l.Whole().Input(eth1, []*packet.Packet{packet.FromBytes(packetBytes(peerB, hostB, ProtoUDP, udpHeader(0), nil)), packet.FromBytes(packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Echo, 0, 0, nil), nil))})
	})
	if n, m := len(b.sent()), len(w1.sent()); n != 2 || m != 0 {
		t.Errorf("%d answers by the way to the asker, %d by that on which he asked", n, m)
	}
	// The answer to a link-local asker leaves by his link.
	b.do(func() {
		b.l.Whole().Input(eth1, []*packet.Packet{packet.FromBytes(packetBytes("fe80::2", "ff02::1", ProtoICMPv6, icmp6("fe80::2", "ff02::1", wire.ICMPv6Echo, 0, 0, nil), nil))})
	})
	if _, h, _ := validate(t, w1.oneSent()); h.Src != addr("fe80::9") || h.Dst != addr("fe80::2") || len(b.sent()) != 0 {
		t.Errorf("%+v", h)
	}
}

// An echo reply has the data, the class and the flow label of the request, and nothing of the notes
// on its packet: the checksum and the program are of the sender.
func TestEchoReply(t *testing.T) {
	b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", Checksum: true})
	for _, c := range []struct {
		in    []byte
		typ   uint8
		reply string
	}{
		{packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 7, pattern(60)), nil), wire.ICMPv4EchoReply, "v4"},
		{packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Echo, 0, 7, pattern(60)), func(_ *wire.IPv4, h *wire.IPv6) { h.TOS, h.Flow = 0x28, 0x12345 }), wire.ICMPv6EchoReply, "v6"},
	} {
		p := packet.FromBytes(c.in)
		p.Owner = packet.Owner{PID: 7}
		p.ChecksumStart, p.ChecksumOffset = 20, 6
		p.Trusted = true
		b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{p}) })
		if len(b.wire.out) != 1 {
			t.Fatalf("%s: %d packets", c.reply, len(b.wire.out))
		}
		out := b.wire.out[0]
		if out.Owner != (packet.Owner{}) {
			t.Errorf("%s: of program %v", c.reply, out.Owner)
		}
		if want := map[string]uint16{"v4": 0, "v6": 2}[c.reply]; out.ChecksumOffset != want {
			t.Errorf("%s: checksum left at %d, want %d", c.reply, out.ChecksumOffset, want)
		}
		raw := b.oneSent()
		if c.reply == "v6" {
			if h, _ := wire.ParseIPv6(raw); h.TOS != 0x28 || h.Flow != 0x12345 {
				t.Errorf("%+v", h)
			}
			raw = raw[20:]
		}
		m, _ := wire.ParseICMP(raw[20:])
		if m.Type != c.typ || m.Info != 7 || !bytes.Equal(raw[28:], pattern(60)) {
			t.Errorf("%s: %+v", c.reply, m)
		}
	}
	if b.l.Whole().ICMP.InMsgs != 2 || b.l.Whole().ICMP.InEchos != 2 || b.l.Whole().ICMP.OutMsgs != 2 || b.l.Whole().ICMP.OutEchoReps != 2 {
		t.Errorf("%+v", b.l.Whole().ICMP)
	}
	// An asker to whom no way leads gets none; neither do all at once; nor does what is too short.
	for _, in := range [][]byte{
		packetBytes("192.0.2.1", hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 7, nil), nil),
		packetBytes(peerA, "10.0.0.255", ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 7, nil), nil),
		packetBytes(peerA, "224.0.0.1", ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 7, nil), nil),
		packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 7, nil)[:7], nil),
		packetBytes(peerB, hostB, ProtoICMPv6, icmp6(peerB, hostB, wire.ICMPv6Echo, 0, 7, nil)[:7], nil),
	} {
		b.arrive(in)
		if len(b.sent()) != 0 {
			t.Errorf("%x is answered", in)
		}
	}
	if b.l.Whole().ICMP.InErrors != 2 {
		t.Errorf("%+v", b.l.Whole().ICMP)
	}
}

// Who is shown requests may answer in place of the host; replies without a transport are dropped.
func TestEchoTaken(t *testing.T) {
	b := newBench(t, Config{})
	take := true
	var seen []wire.ICMP
	b.l.table.Echo = func(p *packet.Packet, m *Meta, h wire.ICMP) bool {
		seen = append(seen, h)
		if take {
			p.Free()
		}
		return take
	}
	in := packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 7, nil), nil)
	b.arrive(in)
	if len(b.sent()) != 0 || len(seen) != 1 || seen[0].Info != 7 {
		t.Errorf("%+v", seen)
	}
	take = false
	b.arrive(in)
	b.oneSent()

	reply := packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4EchoReply, 0, 7, nil), nil)
	b.arrive(reply)
	b.icmp.one()
	b.icmp.refuse = true
	b.arrive(reply)
	b.l.table.Transport[ProtoICMP] = nil
	b.arrive(reply)
	if len(b.sent()) != 0 {
		t.Error("a reply is answered")
	}
}
