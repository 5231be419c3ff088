package ip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"usock/internal/wire"
)

// Routers' messages change nothing and are not answered: the host is configured by who made it. An
// attacker on the link can neither turn its traffic to himself by a redirect or an advertisement, nor
// lower its MTU or hop limit, nor fill its memory (RFC 4861 sections 6.1.2 and 8.1 leave it to the host
// not to listen).
func TestRouterMessagesChangeNothing(t *testing.T) {
	router := "fe80::fe"
	prefixInfo := append([]byte{3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, append([]byte{0x20, 1, 0xd, 0xb8, 0xff}, make([]byte, 11)...)...)
	mtu := []byte{5, 1, 0, 0, 0, 0, 5, 0}
	where := []byte{1, 1, 2, 0, 0, 0, 0, 9}
	to := addr(peerB).As16()
	better := addr("fe80::bad").As16()
	quoted := packetBytes(hostB, peerB, ProtoUDP, udpHeader(4), nil)
	redirect := append(append(append(make([]byte, 0, 200), better[:]...), to[:]...), append([]byte{4, byte(1 + (len(quoted)+7)/8), 0, 0, 0, 0, 0, 0}, quoted...)...)
	quoted4 := packetBytes(hostA, peerA, ProtoUDP, udpHeader(4), nil)
	for name, p := range map[string][]byte{
		"advertisement": packetBytes(router, "ff02::1", ProtoICMPv6, icmp6(router, "ff02::1", 134, 0, 0x40c00708,
			append(append(append(make([]byte, 8), prefixInfo...), mtu...), where...)), func(_ *wire.IPv4, h *wire.IPv6) { h.HopLimit = 255 }),
		"advertisement from afar": packetBytes(router, hostB, ProtoICMPv6, icmp6(router, hostB, 134, 0, 0, make([]byte, 8)), nil),
		"advertisement with an option of length 0": packetBytes(router, "ff02::1", ProtoICMPv6,
			icmp6(router, "ff02::1", 134, 0, 0, append(make([]byte, 8), 3, 0, 0, 0, 0, 0, 0, 0)), func(_ *wire.IPv4, h *wire.IPv6) { h.HopLimit = 255 }),
		"solicitation":  packetBytes(router, "ff02::1", ProtoICMPv6, icmp6(router, "ff02::1", 133, 0, 0, where), nil),
		"redirect":      packetBytes(router, hostB, ProtoICMPv6, icmp6(router, hostB, wire.ICMPv6Redirect, 0, 0, redirect), func(_ *wire.IPv4, h *wire.IPv6) { h.HopLimit = 255 }),
		"IPv4 redirect": packetBytes("10.0.0.254", hostA, ProtoICMP, icmp4(wire.ICMPv4Redirect, 1, 0x0a000063, quoted4), nil),
		"source quench": packetBytes("10.0.0.254", hostA, ProtoICMP, icmp4(wire.ICMPv4SourceQuench, 0, 0, quoted4), nil),
		"IPv4 router":   packetBytes("10.0.0.254", "224.0.0.1", ProtoICMP, icmp4(9, 0, 0x01020708, []byte{10, 0, 0, 99, 0, 0, 0, 1}), nil),
		"address mask":  packetBytes("10.0.0.254", hostA, ProtoICMP, icmp4(18, 0, 0, []byte{255, 0, 0, 0}), nil),
		"timestamp":     packetBytes("10.0.0.254", hostA, ProtoICMP, icmp4(13, 0, 0, make([]byte, 12)), nil),
	} {
		b := newBench(t, Config{})
		before, _ := b.route(peerB, "", 0)
		before4, _ := b.route(peerA, "", 0)
		gen := b.l.Generation()
		b.arrive(p)
		after, _ := b.route(peerB, "", 0)
		after4, _ := b.route(peerA, "", 0)
		if n := len(b.sent()); n != 0 || len(b.udp.errs) != 0 || b.l.Generation() != gen || len(b.l.mtus) != 0 ||
			fmt.Sprint(before, before4) != fmt.Sprint(after, after4) {
			t.Errorf("%s: %d answers, %d errors, generation %d of %d, %d MTUs", name, n, len(b.udp.errs), b.l.Generation(), gen, len(b.l.mtus))
		}
	}
}

// Jumbograms (RFC 2675) are none that a link of this host carries: whatever says that it is one is
// dropped. The option is one that a node which does not know it answers (its type has the bits 11);
// a payload length of zero leaves no header to answer about.
func TestJumbograms(t *testing.T) {
	dgram := append(udpHeader(8), pattern(8)...)
	jumbo := func(n uint32, next byte) []byte {
		return binary.BigEndian.AppendUint32([]byte{next, 0, 0xc2, 4}, n)
	}
	for _, c := range []struct {
		name     string
		dst      string
		options  []byte
		length   int // payload length; -1: the true one
		answered bool
	}{
		{"as it should be", hostB, jumbo(65536, ProtoUDP), 0, false},
		{"shorter than it needs to be", hostB, jumbo(24, ProtoUDP), 0, false},
		{"longest", hostB, jumbo(1<<32-1, ProtoUDP), 0, false},
		{"with a payload length", hostB, jumbo(65536, ProtoUDP), -1, true},
		{"short, with a payload length", hostB, jumbo(24, ProtoUDP), -1, true},
		{"to a group", "ff02::1", jumbo(65536, ProtoUDP), -1, false},
		{"of the wrong size", hostB, []byte{ProtoUDP, 0, 0xc2, 3, 0, 1, 0, 0}, -1, true},
		{"beyond its header", hostB, []byte{ProtoUDP, 0, 0xc2, 40, 0, 1, 0, 0}, -1, false},
		{"no option", hostB, []byte{ProtoUDP, 0, 1, 4, 0, 0, 0, 0}, 0, false},
		{"in front of a fragment", hostB, append(jumbo(65536, wire.IPv6Fragment), ProtoUDP, 0, 0, 1, 0, 0, 0, 1), -1, true},
	} {
		for _, forwarded := range []bool{false, true} {
			r := newRouter(t, IfaceConfig{})
			dst := c.dst
			if forwarded && dst == hostB {
				dst = "2001:db8:1::2"
			}
			p := packetBytes(peerB, dst, wire.IPv6HopByHop, append(bytes.Clone(c.options), dgram...), func(_ *wire.IPv4, h *wire.IPv6) {
				if c.length >= 0 {
					h.PayloadLen = uint16(c.length)
				}
			})
			if c.length >= 0 {
				binary.BigEndian.PutUint16(p[4:], uint16(c.length))
			}
			r.arrive(p)
			if n := len(r.udp.take()); n != 0 || len(r.sent1()) != 0 || len(r.l.frags.all) != 0 {
				t.Errorf("%s, forwarded %v: taken", c.name, forwarded)
			}
			out := r.sent()
			if (len(out) == 1) != c.answered || len(out) > 1 {
				t.Errorf("%s, forwarded %v: %d answers", c.name, forwarded, len(out))
				continue
			}
			if len(out) == 1 {
				_, _, m := validate(t, out[0])
				h, _ := wire.ParseICMP(m)
				if h.Type != wire.ICMPv6ParameterProblem || h.Code != wire.ICMPv6UnknownOption || h.Info != 42 {
					t.Errorf("%s, forwarded %v: %+v", c.name, forwarded, h)
				}
			}
		}
	}
}

// A first fragment without the transport's header is dropped and answered, so that no filter is
// passed by one that it cannot judge (RFC 8200, section 4.5; RFC 7112).
func TestFirstFragmentIncomplete(t *testing.T) {
	options := []byte{ProtoTCP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, c := range []struct {
		name  string
		next  byte
		off   int
		data  []byte
		taken bool
	}{
		{"half of TCP's header", ProtoTCP, 0, pattern(16), false},
		{"TCP's header", ProtoTCP, 0, pattern(24), true},
		{"UDP's header", ProtoUDP, 0, pattern(8), true},
		{"an echo", ProtoICMPv6, 0, pattern(8), true},
		{"half of the options", wire.IPv6DestOpts, 0, options[:8], false},
		{"the options alone", wire.IPv6DestOpts, 0, options, false},
		{"options and half of TCP's header", wire.IPv6DestOpts, 0, append(bytes.Clone(options), pattern(8)...), false},
		{"options and TCP's header", wire.IPv6DestOpts, 0, append(bytes.Clone(options), pattern(24)...), true},
		{"another protocol", 200, 0, pattern(8), true},
		{"no next header", wire.IPv6NoNext, 0, pattern(8), true},
		{"a later one", ProtoTCP, 8, pattern(8), true},
	} {
		b := newBench(t, Config{})
		f := make([]byte, wire.IPv6FragmentLen)
		(&wire.FragmentHeader{ID: 1, Off: uint16(c.off), More: true, Next: c.next}).Put(f)
		b.arrive(packetBytes(peerB, hostB, wire.IPv6Fragment, append(f, c.data...), nil))
		if taken := len(b.l.frags.all) == 1; taken != c.taken {
			t.Errorf("%s: taken %v", c.name, taken)
		}
		out := b.sent()
		if (len(out) == 1) == c.taken {
			t.Errorf("%s: %d answers", c.name, len(out))
			continue
		}
		if !c.taken {
			_, _, m := validate(t, out[0])
			if h, _ := wire.ParseICMP(m); h.Type != wire.ICMPv6ParameterProblem || h.Code != wire.ICMPv6Incomplete || h.Info != 0 {
				t.Errorf("%s: %+v", c.name, h)
			}
		}
	}
}
