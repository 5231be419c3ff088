package ip

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

func TestInputDelivers(t *testing.T) {
	b := newBench(t, Config{})
	body := append(udpHeader(100), pattern(100)...)
	opts := []byte{wire.IPv4OptRouterAlert, 4, 0, 0}
	in := packetBytes(peerA, hostA, ProtoUDP, body, func(h *wire.IPv4, _ *wire.IPv6) { h.TOS, h.TTL, h.Options = 3, 7, opts })
	padded := append(slices.Clone(in), make([]byte, 20)...) // link padding
	for _, p := range [][]byte{in, padded} {
		b.arrive(p)
		g := b.udp.one()
		m := g.meta
		if m.Src != addr(peerA) || m.Dst != addr(hostA) || m.Iface != b.eth || m.TOS != 3 || m.TTL != 7 || m.V6 || m.Broadcast ||
			!slices.Equal(g.header, in[:24]) || !slices.Equal(g.data, body) {
			t.Errorf("%+v", g)
		}
	}
	in = packetBytes(peerB, hostB, ProtoUDP, body, func(_ *wire.IPv4, h *wire.IPv6) { h.TOS, h.HopLimit, h.Flow = 0xe1, 7, 0x12345 })
	b.arrive(in)
	g := b.udp.one()
	m := g.meta
	if m.Src != addr(peerB) || m.Dst != addr(hostB) || m.TOS != 0xe1 || m.TTL != 7 || m.Flow != 0x12345 || !m.V6 ||
		!slices.Equal(g.header, in[:40]) || !slices.Equal(g.data, body) {
		t.Errorf("%+v", g)
	}
	if s := b.eth.Stats(); s.RxPackets != 3 || s.RxErrors != 0 || s.RxBytes == 0 {
		t.Errorf("%+v", s)
	}
}

// Headers that lie in several views are made whole.
func TestInputSplit(t *testing.T) {
	ext := []byte{wire.IPv6DestOpts, 0, 1, 4, 0, 0, 0, 0, ProtoUDP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	body := append(udpHeader(100), pattern(100)...)
	for _, whole := range [][]byte{
		packetBytes(peerA, hostA, ProtoUDP, body, nil),
		packetBytes(peerB, hostB, ProtoUDP, body, nil),
		packetBytes(peerB, hostB, wire.IPv6HopByHop, append(slices.Clone(ext), body...), nil),
	} {
		for cut := 1; cut < len(whole)-90; cut++ {
			for _, inHead := range []bool{false, true} {
				b := newBench(t, Config{})
				p := packet.New()
				if inHead {
					copy(p.Prepend(cut), whole)
				} else {
					p.Payload.Append(packet.Copy(whole[:cut]))
				}
				p.Payload.Append(packet.Copy(whole[cut : cut+1]))
				p.Payload.Append(packet.Copy(whole[cut+1:]))
				b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{p}) })
				g := b.udp.one()
				if !slices.Equal(g.data, body) || !slices.Equal(g.header, whole[:len(whole)-len(body)]) {
					t.Fatalf("cut at %d: %x", cut, g.header)
				}
			}
		}
	}
}

func TestInputExtensionHeaders(t *testing.T) {
	b := newBench(t, Config{})
	body := append(udpHeader(4), "data"...)
	routing := []byte{ProtoUDP, 0, 4, 0, 0, 0, 0, 0}
	in := packetBytes(peerB, hostB, wire.IPv6Routing, append(slices.Clone(routing), body...), nil)
	b.arrive(in)
	if g := b.udp.one(); g.meta.Proto != ProtoUDP || len(g.header) != 48 || !slices.Equal(g.data, body) {
		t.Errorf("%+v", g)
	}
	complain := func(name string, in []byte, code uint8, pointer uint32) {
		t.Helper()
		b.clock.Advance(maxTokens)
		b.arrive(in)
		if len(b.udp.take()) != 0 {
			t.Errorf("%s: delivered", name)
		}
		_, _, m := validate(t, b.oneSent())
		if h, _ := wire.ParseICMP(m); h.Type != wire.ICMPv6ParameterProblem || h.Code != code || h.Info != pointer {
			t.Errorf("%s: %+v", name, h)
		}
	}
	routing[3] = 2
	complain("segments left", packetBytes(peerB, hostB, wire.IPv6Routing, append(slices.Clone(routing), body...), nil), wire.ICMPv6ErroneousField, 42)
	unknown := []byte{ProtoUDP, 0, 0x80, 4, 0, 0, 0, 0}
	complain("unknown option", packetBytes(peerB, hostB, wire.IPv6HopByHop, append(slices.Clone(unknown), body...), nil), wire.ICMPv6UnknownOption, 42)
	complain("unknown option to a group", packetBytes(peerB, "ff02::1", wire.IPv6HopByHop, append(slices.Clone(unknown), body...), nil), wire.ICMPv6UnknownOption, 42)
	second := slices.Concat([]byte{wire.IPv6HopByHop, 0, 1, 4, 0, 0, 0, 0}, []byte{ProtoUDP, 0, 1, 4, 0, 0, 0, 0}, body)
	complain("hop-by-hop second", packetBytes(peerB, hostB, wire.IPv6DestOpts, second, nil), wire.ICMPv6UnknownNext, 40)
	b.clock.Advance(maxTokens)
	unknown[2] = 0xc0
	b.arrive(packetBytes(peerB, "ff02::1", wire.IPv6HopByHop, append(slices.Clone(unknown), body...), nil))
	unknown[2] = 0x40
	b.arrive(packetBytes(peerB, hostB, wire.IPv6HopByHop, append(slices.Clone(unknown), body...), nil))
	b.arrive(packetBytes(peerB, hostB, wire.IPv6HopByHop, []byte{ProtoUDP, 9, 0, 0, 0, 0, 0, 0}, nil))
	if len(b.sent()) != 0 || len(b.udp.take()) != 0 {
		t.Error("complaint or delivery")
	}
}

// atomicFragments returns a packet of n fragment headers that are about no fragment (RFC 6946), and a datagram.
func atomicFragments(n int) []byte {
	var b []byte
	for i := range n {
		next := uint8(wire.IPv6Fragment)
		if i == n-1 {
			next = ProtoUDP
		}
		b = append(b, next, 0, 0, 0, 0, 0, 0, byte(i))
	}
	return packetBytes(peerB, hostB, wire.IPv6Fragment, append(b, udpHeader(0)...), nil)
}

// A packet of many headers costs by their number, and not by its square.
func TestManyHeaders(t *testing.T) {
	b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: 65535})
	perHeader := func(n int) time.Duration {
		in := atomicFragments(n)
		least := time.Hour
		for range 10 {
			began := time.Now()
			b.arrive(in)
			least = min(least, time.Since(began))
			if g := b.udp.one(); !slices.Equal(g.header, in[:len(in)-wire.UDPLen]) {
				t.Fatalf("%d headers: those of the packet are not what came", n)
			}
		}
		return least / time.Duration(n)
	}
	if few, many := perHeader(400), perHeader(8000); many > 3*few {
		t.Errorf("a header costs %v in a packet of 400, and %v in one of 8,000", few, many)
	}
}

// Addresses that cannot be on a link.
func TestInputMartians(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct{ src, dst string }{
		{"127.0.0.1", hostA}, {peerA, "127.0.0.1"}, {"224.0.0.1", hostA}, {"255.255.255.255", hostA},
		{"10.0.0.255", hostA}, {"0.0.0.0", hostA}, {"0.1.2.3", hostA}, {peerA, "0.0.0.0"}, {hostA, hostA},
		{hostA, peerA}, {"127.0.0.1", "10.0.0.255"},
		{"::1", hostB}, {peerB, "::1"}, {"ff02::1", hostB}, {peerB, "::"}, {hostB, hostB},
		{"::ffff:10.0.0.2", hostB}, {peerB, "::ffff:10.0.0.1"}, {peerB, "ff01::1"}, {peerB, "ff00::1"},
	} {
		martians := b.l.Whole().Stats.InMartians
		b.arrive(packetBytes(c.src, c.dst, ProtoUDP, udpHeader(0), nil))
		if len(b.udp.take()) != 0 || b.l.Whole().Stats.InMartians != martians+1 || len(b.sent()) != 0 {
			t.Errorf("%v accepted", c)
		}
	}
	// A host that has no address yet.
	b.arrive(packetBytes("0.0.0.0", "255.255.255.255", ProtoUDP, udpHeader(0), nil))
	if g := b.udp.one(); !g.meta.Broadcast {
		t.Errorf("%+v", g.meta)
	}
	b.arrive(packetBytes("::", hostB, ProtoUDP, udpHeader(0), nil))
	b.udp.one()
}

func TestInputNotLocal(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct{ src, dst string }{
		{peerA, "10.0.0.77"}, {peerA, "8.8.8.8"}, {peerA, "224.5.6.7"}, {peerA, "10.0.1.255"},
		{peerB, "2001:db8::77"}, {"fe80::2", "fe80::77"}, {peerB, "ff02::77"},
	} {
		n := b.l.Whole().Stats.InAddrErrors
		b.arrive(packetBytes(c.src, c.dst, ProtoUDP, udpHeader(0), nil))
		if len(b.udp.take()) != 0 || b.l.Whole().Stats.InAddrErrors != n+1 || len(b.sent()) != 0 {
			t.Errorf("%v: not dropped silently", c)
		}
	}
}

func TestInputMalformed(t *testing.T) {
	b := newBench(t, Config{})
	good := packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), nil)
	good6 := packetBytes(peerB, hostB, ProtoUDP, udpHeader(0), nil)
	edit := func(p []byte, at int, v byte) []byte {
		c := slices.Clone(p)
		c[at] = v
		return c
	}
	for name, p := range map[string][]byte{
		"version 5":          edit(good, 0, 0x55),
		"short":              good[:12],
		"header length":      edit(good, 0, 0x4f),
		"longer than packet": good[:27],
		"short IPv6":         good6[:39],
		"payload missing":    good6[:47],
		"options":            packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{7, 1, 0, 0} }),
	} {
		n := b.l.Whole().Stats.InHdrErrors + b.l.Whole().Stats.InTruncatedPkts
		b.arrive(p)
		if len(b.udp.take()) != 0 || b.l.Whole().Stats.InHdrErrors+b.l.Whole().Stats.InTruncatedPkts != n+1 {
			t.Errorf("%s: accepted", name)
		}
	}
	// Bad options are told of (RFC 1122, section 3.2.2.5), nothing else is.
	_, _, m := validate(t, b.oneSent())
	if h, _ := wire.ParseICMP(m); h.Type != wire.ICMPv4ParameterProblem || h.Info != 21<<24 {
		t.Errorf("%+v", h)
	}
	b.arrive(edit(good, 8, 9)) // header checksum
	if len(b.udp.take()) != 0 || b.l.Whole().Stats.InCsumErrors != 1 {
		t.Error("bad header checksum accepted")
	}
	b.arrive(packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{wire.IPv4OptLSRR, 7, 4, 1, 2, 3, 4, 0} }))
	if len(b.udp.take()) != 0 || b.l.Whole().Stats.InMartians != 1 {
		t.Error("source route accepted")
	}
}

// A layer that is closed keeps nothing of what still comes.
func TestClosed(t *testing.T) {
	b := newBench(t, Config{})
	path, err := b.route(peerA, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	b.arrive(frag4(1, 0, true, pattern(8)))
	b.do(b.l.Close)
	b.arrive(frag4(1, 8, true, pattern(8)))
	b.arrive(packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), nil))
	b.h.Enter()
	err = b.l.Whole().Output(packet.FromBytes(udpHeader(0)), &path, &Out{Proto: ProtoUDP})
	b.h.Leave()
	if len(b.udp.take()) != 0 || len(b.l.frags.all) != 0 || b.h.Timers() != 0 || !errors.Is(err, syscall.ENETDOWN) || len(b.sent()) != 0 {
		t.Error("still at work", err)
	}
}

// tap is a Raw that counts.
type tap struct {
	n    int
	take bool
	errs int
}

func (r *tap) Tap(*packet.Packet, *Meta) bool { r.n++; return r.take }
func (r *tap) Error(*Error)                   { r.errs++ }
func (r *tap) Has(uint8) bool                 { return true }

func TestRawTap(t *testing.T) {
	b := newBench(t, Config{})
	r := new(tap)
	b.l.table.Raw = r
	b.arrive(packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), nil))
	b.udp.one()
	b.arrive(packetBytes(peerA, hostA, 99, udpHeader(0), nil))
	if len(b.sent()) != 1 {
		t.Error("no protocol unreachable")
	}
	r.take = true
	b.arrive(packetBytes(peerA, hostA, 99, udpHeader(0), nil))
	if len(b.sent()) != 0 || r.n != 3 {
		t.Error("protocol unreachable although a raw socket took it")
	}
	b.arrive(packetBytes(peerA, hostA, ProtoICMP, icmp4(wire.ICMPv4Unreachable, 1, 0, packetBytes(hostA, peerA, 99, pattern(8), nil)), nil))
	if r.errs != 1 {
		t.Error("no error")
	}
}

func TestMulticast(t *testing.T) {
	for _, c := range []struct{ group, src, peer string }{
		{"239.1.2.3", hostA, peerA}, {"ff05::123", hostB, peerB},
	} {
		b := newBench(t, Config{})
		send := func(o Out, ifindex int) {
			path, err := b.route(c.group, "", ifindex)
			if err != nil {
				t.Fatal(err)
			}
			o.Proto, o.Checksum = ProtoUDP, sumUDP
			p := packet.New()
			copy(p.Prepend(wire.UDPLen), udpHeader(0))
			b.do(func() {
				if err := b.l.Whole().Output(p, &path, &o); err != nil {
					t.Error(err)
				}
			})
		}
		b.do(func() { b.l.AddRoute(Route{Dst: prefix("224.0.0.0/4"), Iface: b.eth}) })
		send(Out{}, 0)
		if len(b.udp.take()) != 0 || len(b.sent()) != 1 {
			t.Error("heard without having joined, or not sent")
		}
		b.arrive(packetBytes(c.peer, c.group, ProtoUDP, udpHeader(0), nil))
		if len(b.udp.take()) != 0 {
			t.Error("received without having joined")
		}
		b.do(func() {
			for range 2 {
				if err := b.l.Join(b.eth, addr(c.group), &Filter{}); err != nil {
					t.Error(err)
				}
			}
		})
		send(Out{}, 0)
		g := b.udp.one()
		if g.meta.Iface != b.eth || g.meta.TTL != 1 || !g.meta.Multicast() || g.meta.Dst != addr(c.group) || len(b.sent()) != 1 {
			t.Errorf("%+v", g.meta)
		}
		send(Out{NoLoop: true, TTL: 5}, 0)
		if len(b.udp.take()) != 0 || len(b.sent()) != 1 {
			t.Error("NoLoop")
		}
		send(Out{HostOnly: true}, 0)
		b.udp.one()
		if len(b.sent()) != 0 {
			t.Error("HostOnly")
		}
		b.arrive(packetBytes(c.peer, c.group, ProtoUDP, udpHeader(0), nil))
		b.udp.one()
		b.do(func() {
			if b.l.Leave(b.eth, addr(c.group), &Filter{}) != nil || !b.eth.hears(addr(c.group), addr(c.peer)) || b.l.Leave(b.eth, addr(c.group), &Filter{}) != nil ||
				b.eth.hears(addr(c.group), addr(c.peer)) || b.l.Leave(b.eth, addr(c.group), &Filter{}) == nil {
				t.Error("leave")
			}
		})
		if addr(c.group).Is6() {
			continue
		}
		b.do(func() { b.l.Join(b.lo, addr(c.group), &Filter{}) })
		send(Out{}, b.lo.Index())
		if g := b.udp.one(); g.meta.Iface != b.lo {
			t.Errorf("%+v", g.meta)
		}
	}
}

func TestSolicitedNode(t *testing.T) {
	b := newBench(t, Config{})
	peer := addr("fe80::9")
	if !b.eth.hears(addr("ff02::1:ff00:1"), peer) || b.eth.hears(addr("ff02::1:ff00:2"), peer) || b.lo.hears(addr("ff02::1:ff00:2"), peer) {
		t.Error("solicited-node groups")
	}
}

func TestBroadcast(t *testing.T) {
	b := newBench(t, Config{})
	path, err := b.route("10.0.0.255", "", 0)
	if err != nil || !path.Broadcast {
		t.Fatal(path, err)
	}
	if err := b.send("10.0.0.255", udpHeader(0), nil, Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
		t.Fatal(err)
	}
	// The sender is on the network too.
	if g := b.udp.one(); !g.meta.Broadcast || g.meta.Iface != b.eth || len(b.sent()) != 1 {
		t.Errorf("%+v", g.meta)
	}
	if err := b.send("127.255.255.255", udpHeader(0), nil, Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
		t.Fatal(err)
	}
	if g := b.udp.one(); !g.meta.Broadcast || g.meta.Iface != b.lo {
		t.Errorf("%+v", g.meta)
	}
}

func TestLinkLocalNeedsItsLink(t *testing.T) {
	b := newBench(t, Config{})
	var other *Iface
	b.do(func() {
		other = b.l.AddIface(IfaceConfig{Name: "eth1", Out: b.h.NewPort(b.wire)})
		b.l.AddAddr(other, prefix("fe80::9/64"))
	})
	in := packetBytes("fe80::2", "fe80::1", ProtoUDP, udpHeader(0), nil)
	b.arrive(in)
	b.udp.one()
	b.do(func() { b.l.Whole().Input(other, []*packet.Packet{packet.FromBytes(in)}) })
	if len(b.udp.take()) != 0 {
		t.Error("accepted on another link")
	}
	if p, err := b.route("fe80::77", "", other.Index()); err != nil || p.Src != addr("fe80::9") || p.Iface != other {
		t.Errorf("%+v %v", p, err)
	}
}

// Receiving and sending on loopback allocate nothing.
func TestNoAllocations(t *testing.T) {
	b := newBench(t, Config{})
	n := 0
	b.l.table.Transport[ProtoUDP] = counter{&n}
	for _, dst := range []string{"127.0.0.1", "::1", hostA} {
		path, err := b.route(dst, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		o := Out{Proto: ProtoUDP, Checksum: sumUDP}
		head := udpHeader(0)
		got := testing.AllocsPerRun(1000, func() {
			b.h.Enter()
			p := packet.New()
			copy(p.Prepend(len(head)), head)
			b.l.Whole().Output(p, &path, &o)
			b.h.Leave()
		})
		if got != 0 && !raceEnabled {
			t.Errorf("%s: %v allocations a packet", dst, got)
		}
	}
	if n != 3*1001 {
		t.Errorf("%d packets", n)
	}
}

type counter struct{ n *int }

func (c counter) Input(p *packet.Packet, _ *Meta) bool { *c.n++; p.Free(); return true }
func (c counter) Error(*Error)                         {}

func BenchmarkLoopback(b *testing.B) {
	tb := newBench(b, Config{})
	n := 0
	tb.l.table.Transport[ProtoUDP] = counter{&n}
	for _, dst := range []string{"127.0.0.1", "::1"} {
		b.Run(dst, func(b *testing.B) {
			path, _ := tb.route(dst, "", 0)
			o := Out{Proto: ProtoUDP, Checksum: sumUDP}
			head := udpHeader(0)
			b.ReportAllocs()
			for b.Loop() {
				tb.h.Enter()
				p := packet.New()
				copy(p.Prepend(len(head)), head)
				tb.l.Whole().Output(p, &path, &o)
				tb.h.Leave()
			}
		})
	}
}

// What was accepted once is not accepted any more when addresses change.
func TestAdmissionEnds(t *testing.T) {
	for _, c := range []struct{ src, dst, own string }{{peerA, hostA, hostA + "/24"}, {peerB, hostB, hostB + "/64"}} {
		b := newBench(t, Config{})
		in := packetBytes(c.src, c.dst, ProtoUDP, udpHeader(0), nil)
		for range 3 {
			b.arrive(in)
			b.udp.one()
		}
		b.do(func() { b.l.AddAddr(b.eth, prefix(c.src+"/32")) })
		b.arrive(in)
		if len(b.udp.take()) != 0 || b.l.Whole().Stats.InMartians != 1 {
			t.Error("accepted from this host's own address")
		}
		b.do(func() { b.l.RemoveAddr(b.eth, prefix(c.src+"/32")) })
		b.arrive(in)
		b.udp.one()
		b.do(func() { b.l.RemoveAddr(b.eth, prefix(c.own)) })
		b.arrive(in)
		if len(b.udp.take()) != 0 || b.l.Whole().Stats.InAddrErrors != 1 {
			t.Error("accepted for an address that was removed")
		}
	}
}
