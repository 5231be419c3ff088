package ip

import (
	"bytes"
	"slices"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// router is a bench that forwards between eth0 and eth1, which has 10.1.0.1/24 and
// 2001:db8:1::1/64 and an MTU of 1300.
type router struct {
	*bench
	eth1  *Iface
	wire1 *wireSender
}

func newRouter(t *testing.T, eth1 IfaceConfig) *router {
	r := &router{bench: newBenchIface(t, Config{Forwarding: true}, IfaceConfig{Name: "eth0"}), wire1: new(wireSender)}
	r.do(func() {
		eth1.Name, eth1.MTU, eth1.Out = "eth1", 1300, r.h.NewPort(r.wire1)
		r.eth1 = r.l.AddIface(eth1)
		r.l.AddAddr(r.eth1, prefix("10.1.0.1/24"))
		r.l.AddAddr(r.eth1, prefix("2001:db8:1::1/64"))
	})
	t.Cleanup(func() { r.sent1() })
	return r
}

func (r *router) sent1() [][]byte {
	b := bench{wire: r.wire1}
	return b.sent()
}

func TestForward(t *testing.T) {
	r := newRouter(t, IfaceConfig{})
	body := append(udpHeader(100), pattern(100)...)
	for _, c := range []struct{ src, dst string }{{peerA, "10.1.0.2"}, {peerB, "2001:db8:1::2"}} {
		in := packetBytes(c.src, c.dst, ProtoUDP, body, nil)
		r.arrive(in)
		out := r.sent1()
		if len(out) != 1 || len(r.sent()) != 0 {
			t.Fatalf("%v: %d packets", c, len(out))
		}
		want := slices.Clone(in)
		if in[0]>>4 == 4 {
			want[8]--
			want[10], want[11] = out[0][10], out[0][11]
			if wire.ChecksumOf(out[0][:20]) != 0 {
				t.Error("header checksum")
			}
		} else {
			want[7]--
		}
		if !bytes.Equal(out[0], want) {
			t.Errorf("%x", out[0])
		}
		// It may have come in the head, as on a pipe between two hosts.
		p := packet.New()
		copy(p.Prepend(60), in)
		p.Payload.Append(packet.Copy(in[60:]))
		r.do(func() { r.l.Whole().Input(r.eth, []*packet.Packet{p}) })
		if out := r.sent1(); len(out) != 1 || !bytes.Equal(out[0], want) {
			t.Errorf("%v from the head", c)
		}
	}
	// Options go along, also of a packet that is nothing but its header.
	opts := []byte{wire.IPv4OptRouterAlert, 4, 0, 0}
	r.arrive(packetBytes(peerA, "10.1.0.2", 99, nil, func(h *wire.IPv4, _ *wire.IPv6) { h.Options = opts }))
	if out := r.sent1(); len(out) != 1 || !bytes.Equal(out[0][20:], opts) || wire.ChecksumOf(out[0]) != 0 {
		t.Errorf("%x", out)
	}
	if r.l.Whole().Stats.ForwDatagrams != 5 {
		t.Errorf("%+v", r.l.Whole().Stats)
	}
}

func TestForwardErrors(t *testing.T) {
	r := newRouter(t, IfaceConfig{})
	body := append(udpHeader(1300), pattern(1300)...)
	for _, c := range []struct {
		name      string
		in        []byte
		typ, code uint8
		info      uint32
		from      string
	}{
		{"TTL", packetBytes(peerA, "10.1.0.2", ProtoUDP, udpHeader(0), func(h *wire.IPv4, _ *wire.IPv6) { h.TTL = 1 }),
			wire.ICMPv4TimeExceeded, wire.ICMPHopLimit, 0, hostA},
		{"no route", packetBytes(peerA, "8.8.8.8", ProtoUDP, udpHeader(0), nil),
			wire.ICMPv4Unreachable, wire.ICMPv4NetUnreachable, 0, hostA},
		{"DF", packetBytes(peerA, "10.1.0.2", ProtoUDP, body, func(h *wire.IPv4, _ *wire.IPv6) { h.DontFragment = true }),
			wire.ICMPv4Unreachable, wire.ICMPv4FragNeeded, 1300, hostA},
		{"hop limit", packetBytes(peerB, "2001:db8:1::2", ProtoUDP, udpHeader(0), func(_ *wire.IPv4, h *wire.IPv6) { h.HopLimit = 1 }),
			wire.ICMPv6TimeExceeded, wire.ICMPHopLimit, 0, hostB},
		{"no IPv6 route", packetBytes(peerB, "2002::1", ProtoUDP, udpHeader(0), nil),
			wire.ICMPv6Unreachable, wire.ICMPv6NoRoute, 0, hostB},
		{"too big", packetBytes(peerB, "2001:db8:1::2", ProtoUDP, body, nil), wire.ICMPv6PacketTooBig, 0, 1300, hostB},
		{"scope", packetBytes("fe80::2", "2001:db8:1::2", ProtoUDP, udpHeader(0), nil),
			wire.ICMPv6Unreachable, wire.ICMPv6BeyondScope, 0, "fe80::1"},
		{"hop-by-hop option", packetBytes(peerB, "2001:db8:1::2", wire.IPv6HopByHop, append([]byte{ProtoUDP, 0, 0x80, 4, 0, 0, 0, 0}, udpHeader(0)...), nil),
			wire.ICMPv6ParameterProblem, wire.ICMPv6UnknownOption, 42, hostB},
	} {
		r.clock.Advance(maxTokens)
		r.arrive(c.in)
		if len(r.sent1()) != 0 {
			t.Errorf("%s: forwarded", c.name)
		}
		h4, h6, m := validate(t, r.oneSent())
		h, _ := wire.ParseICMP(m)
		if h.Type != c.typ || h.Code != c.code || h.Info != c.info || !bytes.HasPrefix(c.in, m[8:]) {
			t.Errorf("%s: %+v", c.name, h)
		}
		if h4.Src != addr(c.from) && h6.Src != addr(c.from) {
			t.Errorf("%s: from %v %v", c.name, h4.Src, h6.Src)
		}
	}
	// Neither forwarded nor answered.
	for _, in := range [][]byte{
		packetBytes(peerA, "10.1.0.255", ProtoUDP, udpHeader(0), nil), // a broadcast of the other link is ours, too
		packetBytes(peerA, "239.1.1.1", ProtoUDP, udpHeader(0), nil),
		packetBytes(peerB, "fe80::77", ProtoUDP, udpHeader(0), nil),
		packetBytes(peerB, "ff05::77", ProtoUDP, udpHeader(0), nil),
	} {
		r.arrive(in)
		if len(r.sent1()) != 0 || len(r.sent()) != 0 {
			t.Errorf("%x", in[:40])
		}
	}
}

func TestForwardFragments(t *testing.T) {
	r := newRouter(t, IfaceConfig{})
	data := pattern(1400)
	r.arrive(packetBytes(peerA, "10.1.0.2", ProtoUDP, append(udpHeader(1400), data...), nil))
	out := r.sent1()
	if len(out) != 2 {
		t.Fatalf("%d fragments", len(out))
	}
	// A fragment is fragmented again.
	r.arrive(packetBytes(peerA, "10.1.0.2", ProtoUDP, pattern(1400), func(h *wire.IPv4, _ *wire.IPv6) {
		h.FragmentOff, h.MoreFragments = 1480, true
	}))
	again := r.sent1()
	a, _, _ := wire.ParseIPv4(again[0])
	b, _, _ := wire.ParseIPv4(again[1])
	if a.FragmentOff != 1480 || !a.MoreFragments || int(b.FragmentOff) != 1480+int(a.TotalLen)-20 || !b.MoreFragments {
		t.Errorf("%+v %+v", a, b)
	}
}

// A large segment is cut where the next link takes none, and its checksum, left to
// a device until now, is completed.
func TestForwardSegments(t *testing.T) {
	for _, takes := range []bool{false, true} {
		r := newRouter(t, IfaceConfig{Segments: takes})
		for _, c := range []struct{ src, dst string }{{peerA, "10.1.0.2"}, {peerB, "2001:db8:1::2"}} {
			head := make([]byte, wire.TCPMinLen)
			h := wire.TCP{Flags: wire.ACK}
			h.Put(head)
			in := packetBytes(c.src, c.dst, ProtoTCP, append(head, pattern(5000)...), nil)
			p := packet.FromBytes(in)
			net := len(in) - 5020
			var sum wire.Checksum
			sum.AddPseudo(addr(c.src), addr(c.dst), ProtoTCP, 5020)
			p.Truncate(net + 16)
			p.Payload.Append(packet.Copy([]byte{byte(sum.Partial() >> 8), byte(sum.Partial())}))
			p.Payload.Append(packet.Copy(in[net+18:]))
			p.SegmentSize, p.ChecksumStart, p.ChecksumOffset = 1000, uint16(net), 16
			r.do(func() { r.l.Whole().Input(r.eth, []*packet.Packet{p}) })
			out := r.sent1()
			want := 5
			if takes {
				want = 1
			}
			if len(out) != want {
				t.Fatalf("%v: %d packets", takes, len(out))
			}
			var got []byte
			for _, o := range out {
				_, _, seg := validate(t, o)
				got = append(got, seg[20:]...)
			}
			if !bytes.Equal(got, pattern(5000)) {
				t.Error("data differ")
			}
		}
	}
}

func TestForwardingOff(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() { b.l.AddRoute(Route{Dst: prefix("0.0.0.0/0"), Via: addr("10.0.0.254")}) })
	b.arrive(packetBytes(peerA, "8.8.8.8", ProtoUDP, udpHeader(0), nil))
	if len(b.sent()) != 0 {
		t.Error("forwarded")
	}
}
