package link

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"usock/internal/wire"
)

var (
	victim4, victim6 = netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")
	macC             = hardware{2, 0, 0, 0, 0, 0xc}
)

// What RFC 4861 section 7.1 has discarded is: nothing is learned from it, and nothing answered.
func TestNDValidity(t *testing.T) {
	unspecified, group := netip.IPv6Unspecified(), netip.MustParseAddr("ff02::77")
	source, target := option(ndSourceAddress, macC), option(ndTargetAddress, macC)
	type edit = func(h *wire.IPv6, m []byte)
	for _, c := range []struct {
		name     string
		kind     byte
		flags    byte
		src, dst netip.Addr
		target   netip.Addr
		options  []byte
		edit     edit
	}{
		{"hop limit 254", ndSolicitation, 0, victim6, own6, own6, source, func(h *wire.IPv6, _ []byte) { h.HopLimit = 254 }},
		{"hop limit 1", ndAdvertisement, ndSolicited | ndOverride, victim6, own6, victim6, target, func(h *wire.IPv6, _ []byte) { h.HopLimit = 1 }},
		{"code 1", ndSolicitation, 0, victim6, own6, own6, source, func(_ *wire.IPv6, m []byte) { m[1] = 1 }},
		{"code 1 of an answer", ndAdvertisement, ndSolicited | ndOverride, victim6, own6, victim6, target, func(_ *wire.IPv6, m []byte) { m[1] = 1 }},
		{"too short", ndSolicitation, 0, victim6, own6, own6, nil, func(h *wire.IPv6, _ []byte) { h.PayloadLen = ndLen - 1 }},
		{"longer than it is", ndSolicitation, 0, victim6, own6, own6, source, func(h *wire.IPv6, _ []byte) { h.PayloadLen++ }},
		{"no payload", ndSolicitation, 0, victim6, own6, own6, source, func(h *wire.IPv6, _ []byte) { h.PayloadLen = 0 }},
		{"target a group", ndSolicitation, 0, victim6, own6, netip.MustParseAddr("ff02::1"), source, nil},
		{"answer about a group", ndAdvertisement, ndOverride, victim6, own6, netip.MustParseAddr("ff02::1"), target, nil},
		{"option of length 0", ndSolicitation, 0, victim6, own6, own6, append([]byte{77, 0, 0, 0, 0, 0, 0, 0}, source...), nil},
		{"the option has length 0", ndAdvertisement, ndSolicited | ndOverride, victim6, own6, victim6, []byte{ndTargetAddress, 0, 2, 0, 0, 0, 0, 0xc}, nil},
		{"option longer than the message", ndSolicitation, 0, victim6, own6, own6, append(slices.Clone(source), 77, 2, 0, 0, 0, 0, 0, 0), nil},
		{"half an option", ndSolicitation, 0, victim6, own6, own6, append(slices.Clone(source), 77), nil},
		{"from a group", ndSolicitation, 0, group, own6, own6, source, nil},
		{"answer from a group", ndAdvertisement, ndOverride, group, own6, victim6, target, nil},
		{"from nobody, with a source", ndSolicitation, 0, unspecified, solicitedNode(own6), own6, source, nil},
		{"from nobody, to the host", ndSolicitation, 0, unspecified, own6, own6, nil, nil},
		{"from nobody, to all", ndSolicitation, 0, unspecified, allNodes, own6, nil, nil},
		{"answer to a group, solicited", ndAdvertisement, ndSolicited | ndOverride, victim6, allNodes, victim6, target, nil},
		{"about another", ndSolicitation, 0, victim6, own6, netip.MustParseAddr("fd00::9"), source, nil},
		{"from the host's own address", ndSolicitation, 0, own6, own6, own6, source, nil},
		{"a group's hardware address", ndAdvertisement, ndSolicited | ndOverride, victim6, own6, victim6, option(ndTargetAddress, hardware{0x33, 0x33, 0, 0, 0, 1}), nil},
	} {
		x := newAttacked(t)
		x.to(victim6, 10)
		x.answer(victim6, macB)
		before := x.state(victim6)
		x.take()
		m := ndMessage(c.kind, c.flags, c.src, c.dst, c.target, c.options, c.edit)
		x.in(macA, macC, etherIPv6, m)
		if n := len(x.take()); n != 0 || x.state(victim6) != before || len(x.neighbours) != 1 {
			t.Errorf("%s: %d answers; the peer is %s, was %s; %d neighbours", c.name, n, x.state(victim6), before, len(x.neighbours))
		}
		// A wrong sum is the same.
		x.in(macA, macC, etherIPv6, func() []byte {
			m := ndMessage(ndAdvertisement, ndSolicited|ndOverride, victim6, own6, victim6, target, nil)
			m[42] ^= 1
			return m
		}())
		if x.state(victim6) != before {
			t.Error("learned from a message with a wrong sum")
		}
	}
}

// What an advertisement changes, by its flags and what is known (RFC 4861 section 7.2.5). Only an
// answer to a question confirms; a question never does.
func TestNDOverride(t *testing.T) {
	const none, reachableB, staleB, staleC, reachableC = "none", "REACHABLE 02000000000b", "STALE 02000000000b", "STALE 02000000000c", "REACHABLE 02000000000c"
	const incomplete = "INCOMPLETE "
	advertise := func(flags byte, dst netip.Addr, options []byte) func(x *attacked) {
		return func(x *attacked) {
			x.in(macA, macC, etherIPv6, ndMessage(ndAdvertisement, flags, victim6, dst, victim6, options, nil))
		}
	}
	b, c := option(ndTargetAddress, macB), option(ndTargetAddress, macC)
	for _, k := range []struct {
		name                          string
		first                         func(x *attacked)
		unknown, sought, known, stale string
	}{
		{"solicited, override", advertise(ndSolicited|ndOverride, own6, c), none, reachableC, reachableC, reachableC},
		{"solicited", advertise(ndSolicited, own6, c), none, reachableC, staleB, staleB},
		{"solicited, the same", advertise(ndSolicited, own6, b), none, reachableB, reachableB, reachableB},
		{"override", advertise(ndOverride, allNodes, c), none, staleC, staleC, staleC},
		{"override, the same", advertise(ndOverride, allNodes, b), none, staleB, reachableB, staleB},
		{"neither", advertise(0, allNodes, c), none, staleC, staleB, staleB},
		{"without an address", advertise(ndSolicited, own6, nil), none, incomplete, reachableB, reachableB},
		{"a question", func(x *attacked) { x.ask(victim6, macC) }, staleC, staleC, staleC, staleC},
		{"a question, the same", func(x *attacked) { x.ask(victim6, macB) }, staleB, staleB, reachableB, staleB},
	} {
		for when, want := range []string{k.unknown, k.sought, k.known, k.stale} {
			x := newAttacked(t)
			if when > 0 {
				x.to(victim6, 10)
			}
			if when > 1 {
				x.answer(victim6, macB)
			}
			if when > 2 {
				x.clock.Advance(reachable + time.Second)
			}
			k.first(x)
			if got := x.state(victim6); got != want {
				t.Errorf("%s, of one %s: %s, want %s", k.name, []string{"unknown", "sought", "known", "stale"}[when], got, want)
			}
			x.check(t)
		}
	}
}

// A question over ARP, an announcement, and an answer that is not to the host alone tell where a
// neighbour is, but do not confirm that it is there; then the host asks itself.
func TestARPConfirms(t *testing.T) {
	for _, k := range []struct {
		name string
		op   byte
		to   hardware
		dst  netip.Addr
		want string
	}{
		{"answer", arpReply, macA, own4, "REACHABLE 02000000000c"},
		{"answer to all", arpReply, everyone, own4, "STALE 02000000000c"},
		{"question", arpRequest, everyone, own4, "STALE 02000000000c"},
		{"announcement", arpRequest, everyone, victim4, "STALE 02000000000c"},
	} {
		x := newAttacked(t)
		x.to(victim4, 10)
		x.answer(victim4, macB)
		x.in(k.to, macC, etherARP, arpMessage(k.op, macC, victim4, macA, k.dst))
		if got := x.state(victim4); got != k.want {
			t.Errorf("%s: %s, want %s", k.name, got, k.want)
		}
		x.clock.Advance(firstProbe + time.Second)
		x.take()
		x.to(victim4, 10)
		asked := slices.ContainsFunc(x.take(), func(b []byte) bool { return b[13] == 0x06 })
		if want := k.want[0] == 'S'; asked != want {
			t.Errorf("%s: asked %v after %v, want %v", k.name, asked, firstProbe, want)
		}
	}
}

// Nobody is remembered to whom nothing would be sent: who is behind the gateway, broadcast and
// loopback addresses, groups.
func TestNoGuests(t *testing.T) {
	x := newAttacked(t, netip.MustParseAddr("10.0.0.254"), netip.MustParseAddr("fe80::254"))
	for _, a := range []string{"192.0.2.1", "10.255.255.255", "255.255.255.255", "127.0.0.1", "224.0.0.1", "0.0.0.0", "10.0.0.1", "2001:db8::1", "::1"} {
		x.ask(netip.MustParseAddr(a), macC)
		if n := len(x.neighbours); n != 0 {
			t.Fatalf("%s is remembered", a)
		}
	}
	for _, a := range []string{"10.2.3.4", "fd00::9", "fe80::9"} {
		if x.ask(netip.MustParseAddr(a), macC); x.state(netip.MustParseAddr(a)) == "none" {
			t.Errorf("%s is not", a)
		}
	}
}
