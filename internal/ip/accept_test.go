package ip

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// pieces is a packet of the bytes, cut at the places; the first piece is its head, if inHead.
func pieces(b []byte, inHead bool, cuts ...int) *packet.Packet {
	p := packet.New()
	from := 0
	for i, to := range append(cuts, len(b)) {
		if i == 0 && inHead {
			copy(p.Prepend(to), b)
		} else if to > from {
			p.Payload.Append(packet.Copy(b[from:to]))
		}
		from = to
	}
	return p
}

// A header that lies in pieces is made whole, its options, too, and what follows the packet on the
// link is cut off in any case.
func TestHeadersInPieces(t *testing.T) {
	body := append(udpHeader(4), "data"...)
	opts := make([]byte, 40)
	for i := range opts {
		opts[i] = wire.IPv4OptNOP
	}
	dest := func(next uint8, n int) []byte {
		b := make([]byte, n)
		b[0], b[1], b[2], b[3] = next, uint8(n/8-1), 1, uint8(n-4)
		return b
	}
	frag := make([]byte, wire.IPv6FragmentLen)
	(&wire.FragmentHeader{Next: wire.IPv6DestOpts}).Put(frag)
	for name, whole := range map[string][]byte{
		"no options":      packetBytes(peerA, hostA, ProtoUDP, body, nil),
		"all options":     packetBytes(peerA, hostA, ProtoUDP, body, func(h *wire.IPv4, _ *wire.IPv6) { h.Options = opts }),
		"IPv6":            packetBytes(peerB, hostB, ProtoUDP, body, nil),
		"IPv6, options":   packetBytes(peerB, hostB, wire.IPv6DestOpts, slices.Concat(dest(ProtoUDP, 24), body), nil),
		"IPv6, fragment":  packetBytes(peerB, hostB, wire.IPv6Fragment, slices.Concat(frag, dest(ProtoUDP, 8), body), nil),
		"IPv6, all three": packetBytes(peerB, hostB, wire.IPv6DestOpts, slices.Concat(dest(wire.IPv6Fragment, 8), frag, dest(ProtoUDP, 16), body), nil),
	} {
		headers := len(whole) - len(body)
		for cut := range len(whole) {
			for _, inHead := range []bool{false, true} {
				for _, padding := range []int{0, 1, 30} {
					b := newBench(t, Config{})
					p := pieces(append(slices.Clone(whole), make([]byte, padding)...), inHead, cut)
					b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{p}) })
					g := b.udp.one()
					if !bytes.Equal(g.header, whole[:headers]) || !bytes.Equal(g.data, body) || g.meta.Proto != ProtoUDP {
						t.Fatalf("%s, cut at %d, %d more: %x %x", name, cut, padding, g.header, g.data)
					}
				}
			}
		}
	}
}

// What a transport gets begins with the whole of its header, however it came: eight bytes, or all of
// a TCP header with its options.
func TestTransportHeaderInPieces(t *testing.T) {
	tcp := pattern(80)
	tcp[12] = 15 << 4
	for _, c := range []struct {
		proto uint8
		body  []byte
		whole int
	}{{ProtoUDP, pattern(20), 8}, {ProtoTCP, tcp, 60}, {ProtoTCP, tcp[:40], 40}, {ProtoTCP, tcp[:16], 16}, {ProtoUDP, pattern(5), 5}, {99, pattern(20), 8}} {
		for cut := range len(c.body) {
			b := newBench(t, Config{})
			front := 0
			b.l.table.Transport[c.proto] = fronts{&front}
			p := pieces(packetBytes(peerA, hostA, c.proto, c.body, nil), true, 20, 20+cut)
			b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{p}) })
			if front < c.whole {
				t.Errorf("protocol %d, cut at %d: %d bytes in one piece, want %d", c.proto, cut, front, c.whole)
			}
		}
	}
}

// fronts is a transport that keeps how long the front of a packet is.
type fronts struct{ n *int }

func (f fronts) Input(p *packet.Packet, _ *Meta) bool { *f.n = len(p.Front()); p.Free(); return true }
func (f fronts) Error(*Error)                         {}

// Pulling up joins as many bytes as a block has, and no more; it leaves the bytes as they are.
func TestPullUp(t *testing.T) {
	for _, c := range []struct {
		front, all, n int
		ok            bool
		then          int // bytes in one piece
	}{
		{20, 30, 20, true, 20}, {20, 30, 21, true, 30}, {20, 30, 30, true, 30}, {20, 30, 31, false, 20}, {0, 30, 8, true, 30}, {20, 20, 0, true, 20},
		{20, packet.MaxBlock, 21, true, packet.MaxBlock}, {20, packet.MaxBlock + 1, 21, false, 20}, {20, packet.MaxBlock + 1, 20, true, 20},
	} {
		for _, inHead := range []bool{false, true} {
			if inHead && c.front > 100 {
				continue
			}
			whole := pattern(c.all)
			cuts := []int{c.front}
			if c.all > packet.MaxBlock {
				cuts = append(cuts, c.all/2)
			}
			p := pieces(whole, inHead, cuts...)
			if ok := pullUp(p, c.n); ok != c.ok || c.front > 0 && len(p.Front()) != c.then || !bytes.Equal(p.AppendTo(nil), whole) {
				t.Errorf("%+v: %v, %d bytes in one piece", c, ok, len(p.Front()))
			}
			p.Free()
		}
	}
}

// A host that stands in for others takes what comes by a link for any address, but for those that
// mean another host on each link, or none on any.
func TestStandsIn(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		b := newBench(t, Config{Foreign: foreign})
		for _, c := range []struct {
			src, dst string
			taken    bool
		}{
			{peerA, "192.0.2.1", true}, {peerA, "10.0.0.77", true}, {peerA, "127.0.0.1", false}, {peerA, "224.1.2.3", false}, {peerA, "169.254.1.1", false},
			{peerB, "2001:db8:7::1", true}, {peerB, "fe80::77", false}, {peerB, "::1", false}, {peerB, "ff02::77", false},
		} {
			b.arrive(packetBytes(c.src, c.dst, ProtoUDP, udpHeader(0), nil))
			if n := len(b.udp.take()); (n == 1) != (c.taken && foreign) {
				t.Errorf("Foreign is %v: %v: %d delivered", foreign, c, n)
			}
			b.do(func() {
				b.l.Whole().Input(b.lo, []*packet.Packet{packet.FromBytes(packetBytes(c.src, c.dst, ProtoUDP, udpHeader(0), nil))})
			})
			if n := len(b.udp.take()); (n == 1) != (c.dst == "127.0.0.1" || c.dst == "::1") {
				t.Errorf("Foreign is %v: %v by loopback: %d delivered", foreign, c, n)
			}
		}
	}
}

// Whom a host that stands in for others speaks for.
func TestSpeaksFor(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		b := newBench(t, Config{Foreign: foreign})
		for src, want := range map[string]bool{hostA: true, "127.0.0.1": true, "::1": true, hostB: true, "192.0.2.1": foreign, "2001:db8:7::1": foreign, "127.255.255.255": false} {
			if got := b.l.speaksFor(addr(src)); got != want {
				t.Errorf("Foreign is %v: speaks for %s: %v", foreign, src, got)
			}
		}
	}
}

// What a raw socket puts on the loopback interface with a header of its own is this host's, whatever
// that says.
func TestIncludedOnLoopback(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct {
		to  string
		raw []byte
	}{
		{"127.0.0.1", packetBytes("192.0.2.1", "192.0.2.2", ProtoUDP, udpHeader(0), nil)},
		{"127.0.0.1", packetBytes("224.0.0.1", "127.0.0.1", ProtoUDP, udpHeader(0), nil)},
		{"::1", packetBytes("2001:db8:9::1", "2001:db8:9::2", ProtoUDP, udpHeader(0), nil)},
		{"::1", packetBytes("ff02::1", "::1", ProtoUDP, udpHeader(0), nil)},
	} {
		path, err := b.route(c.to, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		p := packet.FromBytes(c.raw)
		p.Owner = packet.Owner{PID: 7}
		b.do(func() {
			if err := b.l.Whole().Output(p, &path, &Out{HeaderIncluded: true}); err != nil {
				t.Error(err)
			}
		})
		if g := b.udp.one(); g.meta.Iface != b.lo || g.meta.Broadcast || !bytes.Equal(g.header, c.raw[:len(g.header)]) {
			t.Errorf("%+v", g.meta)
		}
	}
	if len(b.sent()) != 0 || b.l.Whole().Stats.InMartians != 0 {
		t.Errorf("%+v", b.l.Whole().Stats)
	}
}

// Where the type of the header stands that is not known (RFC 4443, section 3.4: the pointer).
func TestUnknownNextPointer(t *testing.T) {
	opts := func(next uint8, n int) []byte {
		b := make([]byte, n)
		b[0], b[1], b[2], b[3] = next, uint8(n/8-1), 1, uint8(n-4)
		return b
	}
	frag := make([]byte, wire.IPv6FragmentLen)
	(&wire.FragmentHeader{Next: 200}).Put(frag)
	fragThen := make([]byte, wire.IPv6FragmentLen)
	(&wire.FragmentHeader{Next: wire.IPv6DestOpts}).Put(fragThen)
	for _, c := range []struct {
		name string
		next uint8
		body []byte
		want uint32
	}{
		{"in the fixed header", 200, nil, 6},
		{"in the first", wire.IPv6DestOpts, opts(200, 8), 40},
		{"in the second", wire.IPv6DestOpts, slices.Concat(opts(wire.IPv6DestOpts, 24), opts(200, 8)), 64},
		{"in a fragment header", wire.IPv6Fragment, frag, 40},
		{"in a fragment header that is not all zero", wire.IPv6Fragment, slices.Concat([]byte{wire.IPv6DestOpts, 5}, fragThen[2:], opts(200, 16)), 48},
		{"behind a fragment header", wire.IPv6Fragment, slices.Concat(fragThen, opts(200, 16)), 48},
		{"in a fragment header behind options", wire.IPv6DestOpts, slices.Concat(opts(wire.IPv6Fragment, 16), frag), 56},
		{"hop-by-hop behind a fragment header", wire.IPv6DestOpts, slices.Concat(opts(wire.IPv6HopByHop, 16), opts(ProtoUDP, 8)), 40},
	} {
		b := newBench(t, Config{})
		b.arrive(packetBytes(peerB, hostB, c.next, append(c.body, pattern(8)...), nil))
		_, _, m := validate(t, b.oneSent())
		if h, _ := wire.ParseICMP(m); h.Type != wire.ICMPv6ParameterProblem || h.Code != wire.ICMPv6UnknownNext || h.Info != c.want {
			t.Errorf("%s: %+v, want the pointer %d", c.name, h, c.want)
		}
	}
}

// Raw sockets see what comes before the transport takes it. A protocol that they alone know counts
// as delivered.
func TestDelivers(t *testing.T) {
	for _, c := range []struct {
		name                string
		proto               uint8
		transport, raw      bool
		delivered, unknown  uint64
		unreachable, tapped int
	}{
		{"a transport", ProtoUDP, true, false, 1, 0, 0, 1},
		{"both", ProtoUDP, true, true, 1, 0, 0, 1},
		{"a raw socket", 99, false, true, 1, 0, 0, 1},
		{"nobody", 99, false, false, 0, 1, 1, 1},
	} {
		for _, v6 := range []bool{false, true} {
			b := newBench(t, Config{})
			r := &tap{take: c.raw}
			b.l.table.Raw = r
			src, dst := peerA, hostA
			if v6 {
				src, dst = peerB, hostB
			}
			b.arrive(packetBytes(src, dst, c.proto, udpHeader(0), nil))
			got := fmt.Sprint(len(b.udp.take()) == 1, b.l.Whole().Stats.InDelivers, b.l.Whole().Stats.InUnknownProtos, len(b.sent()), r.n)
			if want := fmt.Sprint(c.transport, c.delivered, c.unknown, c.unreachable, c.tapped); got != want {
				t.Errorf("%s, IPv6 %v: %s, want %s", c.name, v6, got, want)
			}
		}
	}
	// ICMP of the other version is a protocol like any other.
	b := newBench(t, Config{})
	b.l.table.Transport[ProtoICMP], b.l.table.Transport[ProtoICMPv6] = nil, nil
	b.arrive(packetBytes(peerA, hostA, ProtoICMPv6, icmp4(wire.ICMPv6Echo, 0, 0, nil), nil))
	b.arrive(packetBytes(peerB, hostB, ProtoICMP, icmp4(wire.ICMPv4Echo, 0, 0, nil), nil))
	if b.l.Whole().ICMP.InMsgs != 0 || b.l.Whole().Stats.InUnknownProtos != 2 {
		t.Errorf("%+v %+v", b.l.Whole().ICMP, b.l.Whole().Stats)
	}
}
