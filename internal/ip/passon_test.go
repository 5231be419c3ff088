package ip

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// What is passed on must fit the next link: the largest that does passes whole, one more byte is cut
// where that is allowed, else told (RFC 1812, section 4.2.2.7; RFC 8200, section 5).
func TestForwardSizes(t *testing.T) {
	for _, c := range []struct {
		src, dst  string
		n         int
		df        bool
		out, back int
	}{
		{peerA, "10.1.0.2", 1280, false, 1, 0}, {peerA, "10.1.0.2", 1280, true, 1, 0}, {peerA, "10.1.0.2", 1281, false, 2, 0}, {peerA, "10.1.0.2", 1281, true, 0, 1},
		{peerB, "2001:db8:1::2", 1260, false, 1, 0}, {peerB, "2001:db8:1::2", 1261, false, 0, 1},
	} {
		r := newRouter(t, IfaceConfig{})
		r.arrive(packetBytes(c.src, c.dst, 99, pattern(c.n), func(h *wire.IPv4, _ *wire.IPv6) {
			if h != nil {
				h.DontFragment = c.df
			}
		}))
		if out, back := len(r.sent1()), len(r.sent()); out != c.out || back != c.back {
			t.Errorf("%+v: %d passed on, %d answers", c, out, back)
		}
	}
}

// What a router counts of what it passes on, and of what it does not.
func TestForwardCounters(t *testing.T) {
	ttl := func(n uint8) func(*wire.IPv4, *wire.IPv6) {
		return func(h4 *wire.IPv4, h6 *wire.IPv6) {
			if h4 != nil {
				h4.TTL = n
			} else {
				h6.HopLimit = n
			}
		}
	}
	head := make([]byte, wire.TCPMinLen)
	(&wire.TCP{Flags: wire.ACK}).Put(head)
	segment := append(head, pattern(2500)...)
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"two hops left", packetBytes(peerA, "10.1.0.2", 99, nil, ttl(2)), "ForwDatagrams 1 OutTransmits 1"},
		{"none", packetBytes(peerA, "10.1.0.2", 99, nil, ttl(0)), "InHdrErrors 1 OutRequests 1 OutTransmits 1"},
		{"IPv6, two hops left", packetBytes(peerB, "2001:db8:1::2", 99, nil, ttl(2)), "ForwDatagrams 1 OutTransmits 1"},
		{"IPv6, one", packetBytes(peerB, "2001:db8:1::2", 99, nil, ttl(1)), "InHdrErrors 1 OutRequests 1 OutTransmits 1"},
		{"IPv6, none", packetBytes(peerB, "2001:db8:1::2", 99, nil, ttl(0)), "InHdrErrors 1 OutRequests 1 OutTransmits 1"},
		{"IPv6, no route", packetBytes(peerB, "2002::1", 99, nil, nil), "InNoRoutes 1 OutRequests 1 OutTransmits 1"},
		{"IPv6, out of its scope", packetBytes("fe80::2", "2001:db8:1::2", 99, nil, nil), "OutRequests 1 OutTransmits 1"},
		{"IPv6, options of a router that are cut", packetBytes(peerB, "2001:db8:1::2", wire.IPv6HopByHop, []byte{ProtoUDP, 1, 0, 0, 0, 0, 0, 0}, nil), "InHdrErrors 1"},
		{"to a host of its own", packetBytes(peerA, "127.0.0.1", 99, nil, nil), "InMartians 1"},
		{"IPv6, stays on its link", packetBytes(peerB, "fe80::77", 99, nil, nil), "InAddrErrors 1"},
		{"a large segment", packetBytes(peerA, "10.1.0.2", ProtoTCP, segment, nil), "ForwDatagrams 1 OutTransmits 3"},
		{"IPv6, a large segment", packetBytes(peerB, "2001:db8:1::2", ProtoTCP, segment, nil), "ForwDatagrams 1 OutTransmits 3"},
	} {
		r := newRouter(t, IfaceConfig{})
		p := packet.FromBytes(c.in)
		if len(c.in) > 2500 {
			p.SegmentSize = 1000
		}
		r.do(func() { r.l.Whole().Input(r.eth, []*packet.Packet{p}) })
		if got := nonzero(r.l.Counters()); got != "InReceives 1 "+c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// A router does not pass on what its own loopback interface brings, nor into it.
func TestForwardNotLoopback(t *testing.T) {
	r := newRouter(t, IfaceConfig{})
	r.do(func() {
		r.l.AddRoute(Route{Dst: prefix("192.0.2.0/24"), Iface: r.lo})
		r.l.AddRoute(Route{Dst: prefix("2001:db8:7::/64"), Iface: r.lo})
		for _, in := range [][]byte{packetBytes(peerA, "10.1.0.2", 99, nil, nil), packetBytes(peerB, "2001:db8:1::2", 99, nil, nil)} {
			r.l.Whole().Input(r.lo, []*packet.Packet{packet.FromBytes(in)})
		}
	})
	if len(r.sent())+len(r.sent1()) != 0 || r.l.Whole().Stats.InAddrErrors != 2 || r.lo.Stats().RxDropped != 2 {
		t.Errorf("passed on from loopback: %+v", r.l.Whole().Stats)
	}
	for _, in := range [][]byte{packetBytes(peerA, "192.0.2.1", 99, nil, nil), packetBytes(peerB, "2001:db8:7::1", 99, nil, nil)} {
		r.clock.Advance(maxTokens)
		r.arrive(in)
		if n := len(r.sent()); n != 1 || r.lo.Stats().TxPackets != 0 {
			t.Errorf("%d answers, %+v", n, r.lo.Stats())
		}
	}
}

// A checksum that was left to a device is made where the next link takes none without, and left where
// it does; a whole one stays as it is.
func TestForwardChecksums(t *testing.T) {
	for _, takes := range []bool{false, true} {
		for _, left := range []bool{false, true} {
			for _, n := range []int{100, 1400} {
				for _, c := range []struct{ src, dst string }{{peerA, "10.1.0.2"}, {peerB, "2001:db8:1::2"}} {
					if n > 1300 && addr(c.src).Is6() {
						continue
					}
					r := newRouter(t, IfaceConfig{Checksum: takes})
					udp := append(udpHeader(n), pattern(n)...)
					var sum wire.Checksum
					sum.AddPseudo(addr(c.src), addr(c.dst), ProtoUDP, len(udp))
					partial := sum.Partial()
					sum.Add(udp)
					whole := sum.Sum()
					at := wire.IPv4MinLen
					if addr(c.src).Is6() {
						at = wire.IPv6Len
					}
					udp[6], udp[7] = byte(whole>>8), byte(whole)
					if left {
						udp[6], udp[7] = byte(partial>>8), byte(partial)
					}
					p := packet.FromBytes(packetBytes(c.src, c.dst, ProtoUDP, udp, nil))
					if left {
						p.ChecksumStart, p.ChecksumOffset = uint16(at), 6
					}
					r.do(func() { r.l.Whole().Input(r.eth, []*packet.Packet{p}) })
					note := r.wire1.out[0].ChecksumOffset != 0
					out := r.sent1()
					got := fmt.Sprintf("%x", out[0][at+6:at+8])
					want, wantNote := fmt.Sprintf("%04x", whole), false
					if left && takes && len(out) == 1 {
						want, wantNote = fmt.Sprintf("%04x", partial), true
					}
					if got != want || note != wantNote {
						t.Errorf("%s, %d bytes, left %v, the link takes it %v: %s %v, want %s %v", c.src, n, left, takes, got, note, want, wantNote)
					}
				}
			}
		}
	}
}

// Options of a packet that is passed on are those that came, wherever they lay.
func TestForwardOptions(t *testing.T) {
	opts := []byte{wire.IPv4OptRouterAlert, 4, 0, 0}
	in := packetBytes(peerA, "10.1.0.2", 99, pattern(3000), func(h *wire.IPv4, _ *wire.IPv6) { h.Options = opts })
	for _, inHead := range []bool{false, true} {
		for _, cut := range []int{20, 24, 100} {
			r := newRouter(t, IfaceConfig{})
			p := pieces(in, inHead && cut < 100, cut)
			r.do(func() { r.l.Whole().Input(r.eth, []*packet.Packet{p}) })
			for _, f := range r.sent1() {
				h, n, err := wire.ParseIPv4(f)
				if err != nil || !bytes.Equal(h.Options, opts) || wire.ChecksumOf(f[:n]) != 0 || h.TTL != 63 {
					t.Errorf("cut at %d: %+v, %v", cut, h, err)
				}
			}
		}
	}
}

// A filter lets through what it names, or all else.
func TestFilterAllows(t *testing.T) {
	x, y := addr("10.0.0.8"), addr("10.0.0.9")
	for _, c := range []struct {
		f    Filter
		x, y bool
	}{
		{Filter{}, true, true}, {Filter{Include: true}, false, false},
		{Filter{Sources: []netip.Addr{x}}, false, true}, {Filter{Include: true, Sources: []netip.Addr{x}}, true, false},
		{Filter{Include: true, Sources: []netip.Addr{y, x}}, true, true},
	} {
		if c.f.Allows(x) != c.x || c.f.Allows(y) != c.y {
			t.Errorf("%+v allows %v and %v", c.f, c.f.Allows(x), c.f.Allows(y))
		}
	}
}

// A group remembers the sources of its members' filters, and none of those that are gone.
func TestGroupForgetsSources(t *testing.T) {
	b := newBench(t, Config{})
	b.h.Enter()
	defer b.h.Leave()
	g, x := addr("232.1.2.3"), addr("10.0.0.8")
	b.l.Join(b.eth, g, &Filter{})
	for _, include := range []bool{true, false} {
		f := &Filter{Include: include, Sources: []netip.Addr{x}}
		b.l.Join(b.eth, g, f)
		b.l.Join(b.eth, g, f)
		if k := b.eth.groups[g]; k.wanted[x]+k.blocked[x] != 2 || k.members != 3 {
			t.Errorf("%+v", k)
		}
		b.l.Leave(b.eth, g, f)
		b.l.Leave(b.eth, g, f)
		if k := b.eth.groups[g]; len(k.wanted)+len(k.blocked) != 0 || k.members != 1 {
			t.Errorf("%+v", k)
		}
	}
}

// Which groups can be joined, how often one is to be left, and which are every host's
// (RFC 1112, section 4; RFC 4291, section 2.8).
func TestGroups(t *testing.T) {
	b := newBench(t, Config{})
	b.h.Enter()
	defer b.h.Leave()
	for a, ok := range map[string]bool{"224.0.0.0": true, "239.255.255.255": true, "ff02::2": true, "223.255.255.255": false, "240.0.0.0": false, "::ffff:224.1.2.3": false, peerB: false} {
		if err := b.l.Join(b.eth, addr(a), &Filter{}); (err == nil) != ok {
			t.Errorf("%s: %v", a, err)
		}
		if err := b.l.Leave(b.eth, addr(a), &Filter{}); (err == nil) != ok {
			t.Errorf("%s: left, %v", a, err)
		}
	}
	g := addr("224.1.2.3")
	for range 3 {
		b.l.Join(b.eth, g, &Filter{})
	}
	for i := range 3 {
		if !b.eth.hears(g, addr(peerA)) || b.lo.hears(g, addr(peerA)) {
			t.Errorf("left %d times: not heard", i)
		}
		if err := b.l.Leave(b.eth, g, &Filter{}); err != nil {
			t.Error(err)
		}
	}
	if b.eth.hears(g, addr(peerA)) || b.l.Leave(b.eth, g, &Filter{}) == nil || len(b.eth.groups) != 0 {
		t.Error("not left")
	}
	var heard []string
	for _, a := range []string{"224.0.0.1", "224.0.0.2", "ff01::1", "ff02::1", "ff02::2", "ff05::1", "ff02::1:ff00:1", "ff02::1:ff00:2", "ff02::1:ff01:1", "ff02::1:fe00:1", "ff05::1:ff00:1"} {
		if b.eth.hears(addr(a), addr(peerA)) {
			heard = append(heard, a)
		}
	}
	if want := []string{"224.0.0.1", "ff01::1", "ff02::1", "ff02::1:ff00:1"}; !slices.Equal(heard, want) {
		t.Errorf("%v, want %v", heard, want)
	}
	// The last bytes of an IPv4 address are no reason to hear a group of IPv6.
	b.l.AddAddr(b.eth, prefix("10.0.7.7/24"))
	if b.eth.hears(addr("ff02::1:ff00:707"), addr(peerA)) {
		t.Error("an IPv4 address has a solicited-node group")
	}
}
