package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// unhex reads hexadecimal digits, between which spaces may stand.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestIPv4(t *testing.T) {
	// A header as Linux sends it.
	b := unhex("45000054a6f240004001" + "7fb4" + "0a000001" + "0a000002")
	h, n, err := ParseIPv4(b)
	if err != nil || n != 20 {
		t.Fatal(n, err)
	}
	want := IPv4{
		Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"),
		TotalLen: 84, ID: 0xa6f2, TTL: 64, Proto: 1, DontFragment: true, Checksum: 0x7fb4,
	}
	if !reflect.DeepEqual(h, want) || h.IsFragment() {
		t.Errorf("%+v", h)
	}
	if ChecksumOf(b) != 0 {
		t.Error("checksum")
	}
	out := make([]byte, h.Len())
	h.Put(out)
	if !bytes.Equal(out, b) {
		t.Errorf("%x", out)
	}
}

func TestIPv4Options(t *testing.T) {
	h := IPv4{
		Src: netip.MustParseAddr("1.2.3.4"), Dst: netip.MustParseAddr("5.6.7.8"),
		TotalLen: 28, Options: []byte{IPv4OptNOP, 148, 4, 0, 0}, MoreFragments: true, FragmentOff: 16,
	}
	if h.Len() != 28 {
		t.Fatal(h.Len())
	}
	b := bytes.Repeat([]byte{0xee}, h.Len())
	h.Put(b)
	g, n, err := ParseIPv4(b)
	if err != nil || n != 28 || !bytes.Equal(g.Options, []byte{1, 148, 4, 0, 0, 0, 0, 0}) || g.FragmentOff != 16 || !g.MoreFragments {
		t.Errorf("%+v %d %v", g, n, err)
	}
}

func TestIPv4Malformed(t *testing.T) {
	good := unhex("45000014000000004001000001020304" + "05060708")
	for name, edit := range map[string]func([]byte) []byte{
		"empty":               func(b []byte) []byte { return nil },
		"short":               func(b []byte) []byte { return b[:19] },
		"version":             func(b []byte) []byte { b[0] = 0x65; return b },
		"header length 16":    func(b []byte) []byte { b[0] = 0x44; return b },
		"header beyond bytes": func(b []byte) []byte { b[0] = 0x46; return b },
		"total below header":  func(b []byte) []byte { b[3] = 19; return b },
	} {
		if _, _, err := ParseIPv4(edit(bytes.Clone(good))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckIPv4Options(t *testing.T) {
	for _, c := range []struct {
		opts string
		want int
	}{
		{"", -1}, {"00", -1}, {"0101", -1}, {"01", -1}, {"07030400", -1}, {"00ffff", -1},
		{"07", 0}, {"0701", 1}, {"0700", 1}, {"010704", 2}, {"0107", 1}, {"07030494050000", 4},
	} {
		if got := CheckIPv4Options(unhex(c.opts)); got != c.want {
			t.Errorf("%s: %d, want %d", c.opts, got, c.want)
		}
	}
	if got := IPv4FragmentOptions(unhex("07030494040000" + "01" + "8303" + "04" + "00ff")); !bytes.Equal(got, unhex("94040000830304")) {
		t.Errorf("%x", got)
	}
}

func TestIPv6(t *testing.T) {
	b := unhex("6a5abcde" + "0010" + "11" + "40" + "20010db8000000000000000000000001" + "fe800000000000000000000000000002")
	h, err := ParseIPv6(b)
	want := IPv6{
		Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("fe80::2"),
		Flow: 0xabcde, TOS: 0xa5, PayloadLen: 16, Next: 17, HopLimit: 64,
	}
	if err != nil || h != want {
		t.Fatalf("%+v %v", h, err)
	}
	out := make([]byte, IPv6Len)
	h.Put(out)
	if !bytes.Equal(out, b) {
		t.Errorf("%x", out)
	}
	if _, err := ParseIPv6(b[:39]); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	b[0] = 0x45
	if _, err := ParseIPv6(b); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestFragmentHeader(t *testing.T) {
	h := FragmentHeader{ID: 0xdeadbeef, Off: 1448, Next: 17, More: true}
	b := make([]byte, IPv6FragmentLen)
	h.Put(b)
	if !bytes.Equal(b, unhex("110005a9deadbeef")) {
		t.Errorf("%x", b)
	}
	if g, err := ParseFragmentHeader(b); err != nil || g != h {
		t.Errorf("%+v %v", g, err)
	}
	if _, err := ParseFragmentHeader(b[:7]); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

// Extension headers, by the rules of RFC 8200, sections 4.1 to 4.6.
func TestWalkIPv6(t *testing.T) {
	const (
		pad  = "010400000000"     // PadN of 6 bytes
		dst0 = "1100" + pad       // destination options, then UDP
		rt0  = "3c0000000000ffff" // routing, no segments left, then destination options
		rt1  = "1100000100000000" // routing, one segment left
	)
	for _, c := range []struct {
		name  string
		next  uint8
		bytes string
		first bool
		want  IPv6Chain
	}{
		{"none", 17, "0000", true, IPv6Chain{Next: 17, NextAt: -1}},
		{"destination options", IPv6DestOpts, dst0, true, IPv6Chain{Next: 17, Len: 8, NextAt: 0}},
		{"hop-by-hop, routing, destination options", IPv6HopByHop, "2b00" + pad + rt0 + dst0, true,
			IPv6Chain{Next: 17, Len: 24, NextAt: 16}},
		{"hop-by-hop not first", IPv6DestOpts, "0000" + pad + "1100" + pad, true,
			IPv6Chain{Next: 0, Len: 8, NextAt: 0, Fault: Complain, Code: ICMPv6UnknownNext, Pointer: 0}},
		{"hop-by-hop behind a fragment", IPv6HopByHop, "1100" + pad, false,
			IPv6Chain{Next: 0, NextAt: -1, Fault: Complain, Code: ICMPv6UnknownNext, Pointer: -1}},
		{"routing with segments left", IPv6Routing, rt1, true,
			IPv6Chain{Next: IPv6Routing, NextAt: -1, Fault: Complain, Code: ICMPv6ErroneousField, Pointer: 2}},
		{"stops before a fragment header", IPv6DestOpts, "2c00" + pad + "1100000000000000", true,
			IPv6Chain{Next: IPv6Fragment, Len: 8, NextAt: 0}},
		{"no next header", IPv6DestOpts, "3b00" + pad, true, IPv6Chain{Next: IPv6NoNext, Len: 8, NextAt: 0}},
		{"cut off", IPv6DestOpts, "1101" + pad, true, IPv6Chain{Next: IPv6DestOpts, NextAt: -1, Fault: Truncated}},
		{"empty", IPv6DestOpts, "", true, IPv6Chain{Next: IPv6DestOpts, NextAt: -1, Fault: Truncated}},
		{"unknown option: skip", IPv6DestOpts, "1100" + "3e0400000000", true, IPv6Chain{Next: 17, Len: 8, NextAt: 0}},
		{"unknown option: discard", IPv6DestOpts, "1100" + "7e0400000000", true,
			IPv6Chain{Next: IPv6DestOpts, NextAt: -1, Fault: Discard, Code: ICMPv6UnknownOption, Pointer: 2}},
		{"unknown option: complain", IPv6DestOpts, "1100" + "00be03000000", true,
			IPv6Chain{Next: IPv6DestOpts, NextAt: -1, Fault: Complain, Code: ICMPv6UnknownOption, Pointer: 3}},
		{"unknown option: complain to a host", IPv6DestOpts, "1100" + "fe0400000000", true,
			IPv6Chain{Next: IPv6DestOpts, NextAt: -1, Fault: ComplainHost, Code: ICMPv6UnknownOption, Pointer: 2}},
		{"option beyond header", IPv6DestOpts, "1100" + "010500000000", true,
			IPv6Chain{Next: IPv6DestOpts, NextAt: -1, Fault: Discard, Code: ICMPv6UnknownOption, Pointer: 2}},
		{"router alert", IPv6HopByHop, "1100" + "050200000100", true, IPv6Chain{Next: 17, Len: 8, NextAt: 0}},
	} {
		if got := WalkIPv6(c.next, unhex(c.bytes), c.first); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestCheckHopByHop(t *testing.T) {
	for s, want := range map[string]Fault{
		"1100010400000000": NoFault, "1100be0400000000": Complain, "11": Truncated, "1101010400000000": Truncated,
	} {
		if c := CheckHopByHop(unhex(s)); c.Fault != want {
			t.Errorf("%s: %+v", s, c)
		}
	}
}

func TestUDP(t *testing.T) {
	b := unhex("0fa00fa1000d1234")
	h, err := ParseUDP(b)
	if err != nil || h != (UDP{4000, 4001, 13, 0x1234}) {
		t.Fatalf("%+v %v", h, err)
	}
	out := make([]byte, UDPLen)
	h.Put(out)
	if !bytes.Equal(out, b) {
		t.Errorf("%x", out)
	}
	for _, bad := range []string{"", "0fa00fa1000d12", "0fa00fa100071234"} {
		if _, err := ParseUDP(unhex(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestICMP(t *testing.T) {
	b := unhex("0800f7f512340001")
	h, err := ParseICMP(b)
	if err != nil || h.Type != ICMPv4Echo || h.ID() != 0x1234 || h.Seq() != 1 || h.Checksum != 0xf7f5 {
		t.Fatalf("%+v %v", h, err)
	}
	out := make([]byte, ICMPLen)
	h.Put(out)
	if !bytes.Equal(out, b) {
		t.Errorf("%x", out)
	}
	if _, err := ParseICMP(b[:7]); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if !IsError4(ICMPv4Unreachable) || IsError4(ICMPv4Echo) || !IsError6(ICMPv6PacketTooBig) || IsError6(ICMPv6Echo) {
		t.Error("error types")
	}
}
