package ip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// datagram is a UDP datagram as an endpoint makes it: its header is the packet's head.
func datagram() *packet.Packet {
	p := packet.New()
	p.Payload.Append(packet.Copy([]byte("data")))
	copy(p.Prepend(wire.UDPLen), udpHeader(4))
	return p
}

// What the network header of a packet says, by what was asked for.
func TestOutputHeader(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		dst  string
		o    Out
		want string // source, destination, TOS, TTL, flow label
	}{
		{"nothing", Config{}, peerA, Out{}, "10.0.0.1 10.0.0.2 0 64 0"},
		{"a host's own limit", Config{HopLimit: 7}, peerA, Out{}, "10.0.0.1 10.0.0.2 0 7 0"},
		{"all", Config{}, peerA, Out{TTL: 9, TOS: 0xb8, Src: addr("192.0.2.1"), Dst: addr("10.0.0.3")}, "192.0.2.1 10.0.0.3 184 9 0"},
		{"a group", Config{HopLimit: 7}, "224.1.2.3", Out{}, "10.0.0.1 224.1.2.3 0 1 0"},
		{"a group and a limit", Config{}, "224.1.2.3", Out{TTL: 9}, "10.0.0.1 224.1.2.3 0 9 0"},
		{"IPv6, nothing", Config{}, peerB, Out{}, "2001:db8::1 2001:db8::2 0 64 0"},
		{"IPv6, a host's own limit", Config{HopLimit: 7}, peerB, Out{}, "2001:db8::1 2001:db8::2 0 7 0"},
		{"IPv6, all", Config{}, peerB, Out{TTL: 9, TOS: 0xb8, Flow: 0x12345, Src: addr("2001:db8::9"), Dst: addr("2001:db8::3")}, "2001:db8::9 2001:db8::3 184 9 74565"},
		{"IPv6, a group", Config{}, "ff05::1", Out{}, "2001:db8::1 ff05::1 0 1 0"},
	} {
		b := newBench(t, c.cfg)
		path, err := b.route(c.dst, "", b.eth.Index())
		if err != nil {
			t.Fatal(err)
		}
		c.o.Proto, c.o.Checksum = ProtoUDP, sumUDP
		b.do(func() { err = b.l.Whole().Output(datagram(), &path, &c.o) })
		h4, h6, _ := validate(t, b.oneSent())
		got := fmt.Sprintln(h4.Src, h4.Dst, h4.TOS, h4.TTL, 0)
		if addr(c.dst).Is6() {
			got = fmt.Sprintln(h6.Src, h6.Dst, h6.TOS, h6.HopLimit, h6.Flow)
		}
		if err != nil || got != c.want+"\n" {
			t.Errorf("%s: %q, want %q, %v", c.name, got, c.want, err)
		}
		if b.l.Whole().Stats.OutRequests != 1 {
			t.Errorf("%s: %+v", c.name, b.l.Whole().Stats)
		}
	}
}

// Loopback addresses are not seen on a link (RFC 1122, section 3.2.1.3): the packet is dropped, and
// nobody told.
func TestOutputMartian(t *testing.T) {
	b := newBench(t, Config{})
	for i, o := range []Out{{Src: addr("127.0.0.1")}, {Dst: addr("127.0.0.1")}, {Src: addr("127.0.0.1"), Dst: addr("127.0.0.1")}} {
		path, err := b.route(peerA, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		o.Proto = ProtoUDP
		b.do(func() { err = b.l.Whole().Output(packet.FromBytes(udpHeader(0)), &path, &o) })
		if err != nil || len(b.sent()) != 0 || b.l.Whole().Stats.InMartians != uint64(i+1) {
			t.Errorf("%+v: %v, %+v", o, err, b.l.Whole().Stats)
		}
	}
}

// How large a packet may be: the path's MTU where it must not be fragmented, what the length field can
// say in any case.
func TestOutputSizes(t *testing.T) {
	opts := bytes.Repeat([]byte{wire.IPv4OptNOP}, 40)
	for _, c := range []struct {
		name string
		dst  string
		n    int // bytes behind the network header
		o    Out
		err  error
		sent int
		df   bool
	}{
		{"the MTU", peerA, 1480, Out{DontFragment: true}, nil, 1, true},
		{"one more", peerA, 1481, Out{DontFragment: true}, syscall.EMSGSIZE, 0, false},
		{"the MTU, to be discovered", peerA, 1480, Out{Discover: true}, nil, 1, true},
		{"the MTU, fragments allowed", peerA, 1480, Out{}, nil, 1, false},
		{"one more, to be discovered", peerA, 1481, Out{Discover: true}, nil, 2, false},
		{"all options", peerA, 1440, Out{DontFragment: true, Options: opts}, nil, 1, true},
		{"all options, one more", peerA, 1441, Out{DontFragment: true, Options: opts}, syscall.EMSGSIZE, 0, false},
		{"too many options", peerA, 8, Out{Options: append(opts, 1, 1, 1, 1)}, syscall.EMSGSIZE, 0, false},
		{"the largest", peerA, 65515, Out{}, nil, 45, false},
		{"larger", peerA, 65516, Out{}, syscall.EMSGSIZE, 0, false},
		{"IPv6, the MTU", peerB, 1460, Out{DontFragment: true}, nil, 1, false},
		{"IPv6, one more", peerB, 1461, Out{DontFragment: true}, syscall.EMSGSIZE, 0, false},
		{"IPv6, one more, fragments allowed", peerB, 1461, Out{}, nil, 2, false},
		{"IPv6, the largest", peerB, 65535, Out{}, nil, 46, false},
		{"IPv6, larger", peerB, 65536, Out{}, syscall.EMSGSIZE, 0, false},
	} {
		b := newBench(t, Config{})
		c.o.Proto = 99
		err := b.send(c.dst, nil, pattern(c.n), c.o)
		notes := b.wire.out
		var df bool
		if len(notes) > 0 {
			df = notes[0].DontFragment
		}
		out := b.sent()
		if !errors.Is(err, c.err) || len(out) != c.sent {
			t.Errorf("%s: %v, %d packets, want %v, %d", c.name, err, len(out), c.err, c.sent)
			continue
		}
		for _, p := range out {
			if p[0]>>4 == 6 {
				continue
			}
			h, _, err := wire.ParseIPv4(p)
			if err != nil || h.DontFragment != c.df {
				t.Errorf("%s: may be fragmented: %v, %v", c.name, !h.DontFragment, err)
			}
			if h.DontFragment != (h.ID == 0) {
				t.Errorf("%s: number %d", c.name, h.ID) // RFC 6864, section 4.1: atomic datagrams need none
			}
		}
		if v6 := addr(c.dst).Is6(); v6 && len(out) > 0 && df != c.o.DontFragment {
			t.Errorf("%s: the receiver in this process is told %v", c.name, df)
		}
	}
}

// The receiver within the host is told whether a datagram could have been fragmented
// (IP_MTU_DISCOVER of a tunnel asks for it).
func TestDontFragmentIsTold(t *testing.T) {
	b := newBench(t, Config{})
	for _, dst := range []string{"127.0.0.1", "::1"} {
		for _, df := range []bool{false, true} {
			if err := b.send(dst, udpHeader(0), nil, Out{Proto: ProtoUDP, DontFragment: df}); err != nil {
				t.Fatal(err)
			}
			if g := b.udp.one(); g.meta.DontFragment != df {
				t.Errorf("%s: %v", dst, g.meta.DontFragment)
			}
		}
	}
}

// Datagrams that may be fragmented have numbers that do not come back early: each destination's go
// up by one, from a random one on (RFC 6864, section 4.3; RFC 7739).
func TestIdent(t *testing.T) {
	ids := func(seed uint64) (out []uint16) {
		n := seed
		b := newBench(t, Config{Rand: func() uint64 { n = n*6364136223846793005 + 1442695040888963407; return n >> 16 }})
		for range 3 {
			if err := b.send(peerA, udpHeader(0), nil, Out{Proto: ProtoUDP, Checksum: sumUDP}); err != nil {
				t.Fatal(err)
			}
			h, _, _ := validate(t, b.oneSent())
			out = append(out, h.ID)
		}
		return out
	}
	a, b := ids(1), ids(2)
	if a[1] != a[0]+1 || a[2] != a[1]+1 || b[1] != b[0]+1 {
		t.Errorf("%v, %v: not one after the other", a, b)
	}
	if a[0] == b[0] {
		t.Errorf("%v, %v: two hosts begin with the same", a, b)
	}
	// Few of many destinations share a counter.
	host := newBench(t, Config{Rand: func() uint64 { return 0x123456789abcdef }})
	before := host.l.idents
	for i := range 1000 {
		host.l.Whole().ident(addr(fmt.Sprintf("10.%d.%d.1", i/200, i%200)))
		host.l.Whole().ident(addr(fmt.Sprintf("2001:db8::%x", i)))
	}
	changed := 0
	for i := range before {
		if before[i] != host.l.idents[i] {
			changed++
		}
	}
	if changed < len(before)/2 {
		t.Errorf("%d counters of %d are used by 2,000 destinations", changed, len(before))
	}
}

// What an error will quote is kept of what leaves: of several fragments the first.
func TestOutputCopy(t *testing.T) {
	for _, dst := range []string{peerA, peerB} {
		for _, n := range []int{100, 5000} {
			b := newBench(t, Config{})
			var c []byte
			if err := b.send(dst, udpHeader(n), pattern(n), Out{Proto: ProtoUDP, Copy: &c}); err != nil {
				t.Fatal(err)
			}
			if out := b.sent(); !bytes.Equal(c, out[0]) {
				t.Errorf("%s, %d bytes: %d copied, of %d", dst, n, len(c), len(out[0]))
			}
		}
	}
}

// A multicast that does not leave the host, and one that does not come back (IP_MULTICAST_TTL 0,
// IP_MULTICAST_LOOP 0); a broadcast always comes back.
func TestOwnCopies(t *testing.T) {
	for _, c := range []struct {
		dst           string
		o             Out
		member        bool
		heard, leaves int
	}{
		{"224.1.2.3", Out{}, false, 0, 1}, {"224.1.2.3", Out{}, true, 1, 1}, {"224.1.2.3", Out{NoLoop: true}, true, 0, 1},
		{"224.1.2.3", Out{HostOnly: true}, true, 1, 0}, {"224.1.2.3", Out{HostOnly: true, NoLoop: true}, true, 0, 0}, {"224.1.2.3", Out{HostOnly: true}, false, 0, 0},
		{"ff05::77", Out{}, false, 0, 1}, {"ff05::77", Out{}, true, 1, 1}, {"ff05::77", Out{NoLoop: true}, true, 0, 1}, {"ff05::77", Out{HostOnly: true}, true, 1, 0},
		{"10.0.0.255", Out{}, false, 1, 1}, {"10.0.0.255", Out{NoLoop: true}, false, 1, 1}, {"255.255.255.255", Out{}, false, 1, 1},
		{peerA, Out{NoLoop: true}, false, 0, 1},
	} {
		b := newBench(t, Config{})
		path, err := b.route(c.dst, "", b.eth.Index())
		if err != nil {
			t.Fatal(err)
		}
		c.o.Proto = ProtoUDP
		b.do(func() {
			if c.member {
				b.l.Join(b.eth, addr(c.dst), &Filter{})
			}
			if err := b.l.Whole().Output(datagram(), &path, &c.o); err != nil {
				t.Error(err)
			}
		})
		heard := b.udp.take()
		if len(heard) != c.heard || len(b.sent()) != c.leaves {
			t.Errorf("%+v: %d heard", c, len(heard))
		}
		if len(heard) == 1 && (heard[0].meta.Iface != b.eth || heard[0].meta.Broadcast == addr(c.dst).IsMulticast()) {
			t.Errorf("%+v: %+v", c, heard[0].meta)
		}
		if n := len(b.l.looped); n != 0 {
			t.Errorf("%+v: %d copies are noted still", c, n)
		}
	}
}

// What of an IPv4 header that a program brings is completed (raw(7), IP_HDRINCL), and which headers
// are none.
func TestIncludedHeader(t *testing.T) {
	b := newBench(t, Config{})
	send := func(dst string, raw []byte) error {
		path, err := b.route(dst, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		p := packet.FromBytes(raw)
		p.Owner = packet.Owner{PID: 7}
		b.h.Enter()
		defer b.h.Leave()
		return b.l.Whole().Output(p, &path, &Out{HeaderIncluded: true})
	}
	for _, c := range []struct {
		name string
		dst  string
		raw  []byte
		err  error
	}{
		{"a header alone", peerA, packetBytes(hostA, peerA, 99, nil, nil), nil},
		{"less", peerA, packetBytes(hostA, peerA, 99, nil, nil)[:19], syscall.EINVAL},
		{"options", peerA, packetBytes(hostA, peerA, 99, nil, func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{1, 1, 1, 0} }), nil},
		{"less than its options", peerA, packetBytes(hostA, peerA, 99, nil, func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{1, 1, 1, 0} })[:23], syscall.EINVAL},
		{"a length of four words", peerA, append([]byte{0x44}, make([]byte, 30)...), syscall.EINVAL},
		{"the MTU", peerA, packetBytes(hostA, peerA, 99, pattern(1480), nil), nil},
		{"larger", peerA, packetBytes(hostA, peerA, 99, pattern(1481), nil), syscall.EMSGSIZE},
		{"the largest", "127.0.0.1", packetBytes("127.0.0.1", "127.0.0.1", 99, pattern(65515), nil), nil},
		{"more than a length can say", "127.0.0.1", append(packetBytes("127.0.0.1", "127.0.0.1", 99, pattern(65515), nil), 1), syscall.EMSGSIZE},
		{"IPv6, a header alone", peerB, packetBytes(hostB, peerB, 99, nil, nil), nil},
		{"IPv6, less", peerB, packetBytes(hostB, peerB, 99, nil, nil)[:39], syscall.EINVAL},
	} {
		if err := send(c.dst, c.raw); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if n := len(b.wire.out); n == 1 && b.wire.out[0].Owner.PID != 7 {
			t.Errorf("%s: of program %v", c.name, b.wire.out[0].Owner)
		}
		b.sent()
	}

	for _, c := range []struct{ id, wantID uint16 }{{0x0100, 0x0100}, {0x0001, 1}, {0x0101, 0x0101}, {0, 0xffff}} {
		for _, src := range []string{"0.0.0.0", "192.0.2.1"} {
			raw := packetBytes(src, peerA, 99, pattern(5), func(h *wire.IPv4, _ *wire.IPv6) { h.ID = c.id })
			raw[10], raw[11] = 9, 9
			if err := send(peerA, raw); err != nil {
				t.Fatal(err)
			}
			out := b.oneSent()
			h, n, err := wire.ParseIPv4(out)
			wantSrc := addr(src)
			if src == "0.0.0.0" {
				wantSrc = addr(hostA)
			}
			if err != nil || wire.ChecksumOf(out[:n]) != 0 || h.Src != wantSrc || c.id != 0 && h.ID != c.wantID || c.id == 0 && h.ID == 0 {
				t.Errorf("%+v from %s: %+v, %v", c, src, h, err)
			}
		}
	}
}

// Who sends to a group with a header of his own is heard by it, from the source that stands there.
func TestIncludedToGroup(t *testing.T) {
	for _, c := range []struct{ group, src string }{{"224.1.2.3", "10.0.0.8"}, {"ff05::77", "2001:db8::8"}} {
		b := newBench(t, Config{})
		path, err := b.route(c.group, "", b.eth.Index())
		if err != nil {
			t.Fatal(err)
		}
		b.do(func() { b.l.Join(b.eth, addr(c.group), &Filter{Include: true, Sources: []netip.Addr{addr(c.src)}}) })
		for _, src := range []string{c.src, path.Src.String()} {
			b.do(func() {
				p := packet.FromBytes(packetBytes(src, c.group, ProtoUDP, udpHeader(0), nil))
				if err := b.l.Whole().Output(p, &path, &Out{HeaderIncluded: true}); err != nil {
					t.Error(err)
				}
			})
			if n := len(b.udp.take()); (n == 1) != (src == c.src) || len(b.sent()) != 1 {
				t.Errorf("%s from %s: %d heard", c.group, src, n)
			}
		}
	}
}

// The Internet checksum of a datagram that sums up to nothing is sent as all ones in UDP, where zero
// says that there is none (RFC 768); in other protocols it is zero. CRC32c and it are told apart by
// the place.
func TestChecksumZero(t *testing.T) {
	for _, c := range []struct {
		proto uint8
		at    Checksum
		want  uint16
	}{{ProtoUDP, sumUDP, 0xffff}, {ProtoTCP, sumTCP, 0}} {
		b := newBench(t, Config{})
		head := make([]byte, 20)
		// The last two bytes make up what is missing to all ones.
		var sum wire.Checksum
		sum.AddPseudo(addr(hostA), addr(peerA), c.proto, 22)
		sum.Add(head)
		data := binary.BigEndian.AppendUint16(nil, sum.Sum())
		if err := b.send(peerA, head, data, Out{Proto: c.proto, Checksum: c.at}); err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint16(b.oneSent()[20+int(c.at):]); got != c.want {
			t.Errorf("protocol %d: %#x, want %#x", c.proto, got, c.want)
		}
	}
}

// An Internet checksum of what has come is over pseudo-header and all bytes, wherever they lie.
func TestInternetSum(t *testing.T) {
	body := append(udpHeader(60), pattern(60)...)
	var sum wire.Checksum
	sum.AddPseudo(addr(peerA), addr(hostA), ProtoUDP, len(body))
	sum.Add(body)
	binary.BigEndian.PutUint16(body[6:], sum.Sum())
	m := &Meta{Src: addr(peerA), Dst: addr(hostA), Proto: ProtoUDP}
	for _, inHead := range []bool{false, true} {
		for _, cuts := range [][]int{{40}, {20, 30}, {8}} {
			p := pieces(body, inHead, cuts...)
			if !InternetSumOK(p, m) || !sumUDP.OK(p, m) {
				t.Errorf("in pieces %v: refused", cuts)
			}
			for _, other := range []Meta{
				{Src: addr("10.0.0.3"), Dst: m.Dst, Proto: m.Proto}, {Src: m.Src, Dst: addr("10.0.0.3"), Proto: m.Proto}, {Src: m.Src, Dst: m.Dst, Proto: ProtoTCP},
			} {
				if InternetSumOK(p, &other) || sumUDP.OK(p, &other) {
					t.Errorf("%+v: accepted", other)
				}
			}
			p.Free()
		}
		for at := range body {
			bad := slices.Clone(body)
			bad[at] ^= 4
			p := pieces(bad, inHead, 20, 30)
			if InternetSumOK(p, m) {
				t.Errorf("byte %d changed: accepted", at)
			}
			p.Free()
		}
	}
}
