package ip

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"usock/internal/wire"
	"usock/packet"
)

// What one host fragments another one puts together, in any order.
func TestFragmentsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		from, to string
		opts     []byte
	}{
		{hostA, peerA, nil},
		{hostA, peerA, []byte{wire.IPv4OptNOP, wire.IPv4OptRecordRoute, 3, 4, wire.IPv4OptRouterAlert, 4, 0, 0}},
		{hostB, peerB, nil},
	} {
		for _, n := range []int{1473, 1500, 2960, 8000, 65507 - len(c.opts)} {
			b := newBench(t, Config{})
			data := pattern(n)
			if err := b.send(c.to, udpHeader(n), data, Out{Proto: ProtoUDP, Checksum: sumUDP, Options: c.opts}); err != nil {
				t.Fatal(err)
			}
			sent := b.sent()
			if want := (n + 8 + 1479) / 1480; addr(c.to).Is4() && c.opts == nil && len(sent) != want {
				t.Errorf("%d bytes: %d fragments, want %d", n, len(sent), want)
			}
			for i, f := range sent {
				if len(f) > 1500 {
					t.Fatalf("fragment of %d bytes", len(f))
				}
				if h, _, _ := validate(t, f); c.opts != nil && i > 0 && !bytes.Equal(h.Options, []byte{wire.IPv4OptRouterAlert, 4, 0, 0}) {
					t.Errorf("options %x", h.Options)
				}
			}
			o := newPeer(t)
			for range 20 {
				r.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })
				for i, f := range sent {
					if len(o.udp.in) != 0 {
						t.Fatal("delivered before it was complete")
					}
					o.arrive(f)
					if i%3 == 0 && i+1 < len(sent) {
						o.arrive(f) // duplicates change nothing
					}
				}
				g := o.udp.one()
				if !slices.Equal(g.data[8:], data) || g.meta.Proto != ProtoUDP {
					t.Fatal("data differ")
				}
				var sum wire.Checksum
				sum.AddPseudo(g.meta.Src, g.meta.Dst, ProtoUDP, len(g.data))
				sum.Add(g.data)
				if sum.Sum() != 0 {
					t.Fatal("checksum")
				}
			}
			if o.l.frags.cost != 0 || len(o.l.frags.all) != 0 || o.l.Whole().Stats.ReasmOKs != 20 {
				t.Errorf("left over: %d bytes, %d datagrams", o.l.frags.cost, len(o.l.frags.all))
			}
		}
	}
}

// newPeer is the host at the other end of a bench's link.
func newPeer(t testing.TB) *bench {
	b := newBench(t, Config{})
	b.do(func() {
		for _, a := range b.eth.Addrs() {
			b.l.RemoveAddr(b.eth, a)
		}
		b.l.AddAddr(b.eth, prefix(peerA+"/24"))
		b.l.AddAddr(b.eth, prefix(peerB+"/64"))
	})
	return b
}

// The smallest MTU: the transport header itself is cut (RFC 791, section 3.2).
func TestFragmentsOfHeader(t *testing.T) {
	b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: 68})
	head := pattern(60)
	if err := b.send(peerA, head, pattern(100), Out{Proto: 99}); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, f := range b.sent() {
		h, n, err := wire.ParseIPv4(f)
		if err != nil || len(f) > 68 || int(h.FragmentOff) != len(got) {
			t.Fatalf("%+v %v", h, err)
		}
		got = append(got, f[n:]...)
	}
	if !slices.Equal(got, append(head, pattern(100)...)) {
		t.Error("bytes differ")
	}
}

func TestOutputTooLarge(t *testing.T) {
	b := newBench(t, Config{})
	for _, dst := range []string{peerA, peerB} {
		for _, c := range []struct {
			n    int
			o    Out
			err  error
			sent int
		}{
			{1452, Out{DontFragment: true}, nil, 1},
			{1473, Out{DontFragment: true}, syscall.EMSGSIZE, 0},
			{1473, Out{Discover: true}, nil, 2},
			{65528, Out{}, syscall.EMSGSIZE, 0},
		} {
			c.o.Proto, c.o.Checksum = ProtoUDP, sumUDP
			if err := b.send(dst, udpHeader(0), pattern(c.n), c.o); !errors.Is(err, c.err) {
				t.Errorf("%s %+v: %v", dst, c, err)
			}
			sent := b.sent()
			if len(sent) != c.sent {
				t.Errorf("%s %+v: %d sent", dst, c, len(sent))
			}
			for _, p := range sent {
				if h, _, _ := validate(t, p); dst == peerA && h.DontFragment != (c.sent == 1) {
					t.Errorf("%+v: DF is %v", c, h.DontFragment)
				}
			}
		}
	}
	b.do(func() { b.l.LowerPathMTU(addr(peerA), 1000) })
	o := Out{Proto: ProtoUDP, DontFragment: true}
	if err := b.send(peerA, udpHeader(0), pattern(1200), o); !errors.Is(err, syscall.EMSGSIZE) {
		t.Error(err)
	}
	o.IgnorePathMTU = true
	if err := b.send(peerA, udpHeader(0), pattern(1200), o); err != nil || len(b.sent()) != 1 {
		t.Error(err)
	}
}

// frag4 and frag6 return a fragment of a datagram.
func frag4(id uint16, off int, more bool, data []byte) []byte {
	return packetBytes(peerA, hostA, ProtoUDP, data, func(h *wire.IPv4, _ *wire.IPv6) {
		h.ID, h.FragmentOff, h.MoreFragments = id, uint16(off), more
	})
}

func frag6(id uint32, off int, more bool, data []byte) []byte {
	b := make([]byte, wire.IPv6FragmentLen)
	(&wire.FragmentHeader{ID: id, Off: uint16(off), More: more, Next: ProtoUDP}).Put(b)
	return packetBytes(peerB, hostB, wire.IPv6Fragment, append(b, data...), nil)
}

func TestReassemblyRefuses(t *testing.T) {
	d := append(udpHeader(56), pattern(56)...)
	type step struct {
		off  int
		more bool
		data []byte
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"overlap in front", []step{{0, true, d[:32]}, {24, false, d[24:]}}},
		{"overlap behind", []step{{32, false, d[32:]}, {0, true, d[:40]}}},
		{"overlap in the middle", []step{{0, true, d[:8]}, {24, true, d[24:32]}, {8, true, d[8:32]}, {32, false, d[32:]}}},
		{"contained", []step{{0, true, d[:32]}, {8, true, d[8:16]}, {32, false, d[32:]}}},
		{"two ends", []step{{32, false, d[32:]}, {24, false, d[24:32]}, {0, true, d[:24]}}},
		{"data beyond the end", []step{{32, false, d[32:56]}, {56, true, d[56:]}, {0, true, d[:32]}}},
		{"an end before what is there", []step{{40, true, d[40:48]}, {8, false, d[8:40]}, {0, true, d[:8]}}},
	} {
		for _, v6 := range []bool{false, true} {
			b := newBench(t, Config{})
			for _, s := range c.steps {
				if v6 {
					b.arrive(frag6(9, s.off, s.more, s.data))
				} else {
					b.arrive(frag4(9, s.off, s.more, s.data))
				}
			}
			if len(b.udp.take()) != 0 {
				t.Errorf("%s: delivered", c.name)
			}
			if b.l.Whole().Stats.ReasmFails == 0 {
				t.Errorf("%s: not given up", c.name)
			}
		}
	}
}

func TestReassemblySizes(t *testing.T) {
	b := newBench(t, Config{})
	b.arrive(frag4(1, 0, true, pattern(9)))       // not a multiple of 8
	b.arrive(frag4(1, 65528, false, pattern(16))) // beyond 65535
	b.arrive(frag4(1, 8, false, nil))
	if b.l.Whole().Stats.InHdrErrors != 3 || len(b.l.frags.all) != 0 || len(b.sent()) != 0 {
		t.Errorf("%+v", b.l.Whole().Stats)
	}
	problem := func(in []byte, pointer uint32) {
		t.Helper()
		b.arrive(in)
		_, _, m := validate(t, b.oneSent())
		if h, _ := wire.ParseICMP(m); h.Type != wire.ICMPv6ParameterProblem || h.Code != 0 || h.Info != pointer {
			t.Errorf("%+v", h)
		}
	}
	problem(frag6(1, 0, true, pattern(9)), 4)        // RFC 8200, section 4.5
	problem(frag6(1, 65528, false, pattern(16)), 42) //
	if len(b.l.frags.all) != 0 {
		t.Error("kept")
	}
	// A whole datagram with a fragment header (RFC 6946).
	b.arrive(frag6(1, 0, true, udpHeader(8)))
	b.arrive(frag6(1, 0, false, udpHeader(0)))
	if g := b.udp.one(); len(g.header) != 48 || len(g.data) != 8 {
		t.Errorf("%+v", g)
	}
}

func TestReassemblyTimeout(t *testing.T) {
	b := newBench(t, Config{})
	first4, first6 := frag4(1, 0, true, pattern(80)), frag6(1, 0, true, pattern(80))
	b.arrive(first4)
	b.arrive(frag4(2, 8, true, pattern(8))) // without the first there is nobody to tell
	b.arrive(first6)
	b.clock.Advance(reasmTime4 - 1)
	if len(b.sent()) != 0 || len(b.l.frags.all) != 3 {
		t.Error("too early")
	}
	b.clock.Advance(1)
	h, _, m := validate(t, b.oneSent())
	e, _ := wire.ParseICMP(m)
	if e.Type != wire.ICMPv4TimeExceeded || e.Code != wire.ICMPReassembly || h.Dst != addr(peerA) || !bytes.Equal(m[8:], first4) {
		t.Errorf("%+v", e)
	}
	if len(b.l.frags.all) != 1 {
		t.Error("kept")
	}
	b.clock.Advance(reasmTime6 - reasmTime4)
	_, h6, m := validate(t, b.oneSent())
	e, _ = wire.ParseICMP(m)
	if e.Type != wire.ICMPv6TimeExceeded || e.Code != wire.ICMPReassembly || h6.Dst != addr(peerB) || !bytes.Equal(m[8:], first6) {
		t.Errorf("%+v", e)
	}
	if len(b.l.frags.all) != 0 || b.l.frags.cost != 0 || b.l.Whole().Stats.ReasmFails != 3 || b.h.Timers() != 0 {
		t.Errorf("%d left, %d bytes, %d timers", len(b.l.frags.all), b.l.frags.cost, b.h.Timers())
	}
}

// Memory is bounded against datagrams that are never completed; the oldest go.
func TestReassemblyBounds(t *testing.T) {
	b := newBench(t, Config{})
	for i := range 60000 {
		b.arrive(frag4(uint16(i), 8, true, pattern(1400)))
		b.arrive(frag6(uint32(i), 8, true, pattern(8)))
		if b.l.frags.cost > reasmBytes {
			t.Fatalf("%d bytes held", b.l.frags.cost)
		}
	}
	if n := len(b.l.frags.all); n < 1000 {
		t.Errorf("%d datagrams held", n)
	}
	d := append(udpHeader(8), pattern(8)...)
	b.arrive(frag4(60001, 0, true, d[:8]))
	b.arrive(frag4(60001, 8, false, d[8:]))
	b.udp.one() // new ones still get through
	// Pieces of one datagram.
	b = newBench(t, Config{})
	for i := range reasmPieces + 1 {
		b.arrive(frag4(1, 16*(reasmPieces+1-i), true, pattern(8)))
	}
	if len(b.l.frags.all) != 0 || b.l.Whole().Stats.ReasmOverlaps != 0 {
		t.Error("too many pieces held")
	}
}

// The bound is of the memory that is really held, also where each datagram has one small fragment.
func TestReassemblyMemory(t *testing.T) {
	b := newBench(t, Config{})
	heap := func() int {
		var m runtime.MemStats
		for range 3 { // what pools keep goes with the second collection
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	for i := range 30000 {
		b.arrive(frag6(uint32(i), 0, true, pattern(8)))
		b.arrive(frag4(uint16(i), 0, true, pattern(8)))
	}
	if n := heap() - before; n > reasmBytes*5/4 {
		t.Errorf("%d KiB are held, and %d KiB is the bound; %d counted", n>>10, reasmBytes>>10, b.l.frags.cost>>10)
	}
}

// A datagram is not mixed up with another one's fragments.
func TestReassemblyKeys(t *testing.T) {
	b := newBench(t, Config{})
	d := append(udpHeader(8), pattern(8)...)
	b.arrive(frag4(1, 0, true, d[:8]))
	other := func(edit func(*wire.IPv4)) {
		b.arrive(packetBytes(peerA, hostA, ProtoUDP, d[8:], func(h *wire.IPv4, _ *wire.IPv6) {
			h.ID, h.FragmentOff = 1, 8
			edit(h)
		}))
		if len(b.udp.take()) != 0 {
			t.Error("mixed up")
		}
	}
	other(func(h *wire.IPv4) { h.ID = 2 })
	other(func(h *wire.IPv4) { h.Proto = ProtoTCP })
	other(func(h *wire.IPv4) { h.Src = addr("10.0.0.3") })
	other(func(h *wire.IPv4) { h.Dst = addr("10.0.0.255") })
	b.arrive(frag4(1, 8, false, d[8:]))
	b.udp.one()
}

// Explicit congestion notification survives (RFC 3168, section 5.3).
func TestReassemblyECN(t *testing.T) {
	d := append(udpHeader(8), pattern(8)...)
	for _, c := range []struct{ a, b, want int }{{2, 3, 3}, {3, 1, 3}, {2, 2, 2}, {0, 3, -1}, {0, 0, 0}} {
		b := newBench(t, Config{})
		tos := c.a
		frag := func(off int, more bool, data []byte) {
			b.arrive(packetBytes(peerA, hostA, ProtoUDP, data, func(h *wire.IPv4, _ *wire.IPv6) {
				h.ID, h.FragmentOff, h.MoreFragments, h.TOS = 1, uint16(off), more, uint8(tos)
			}))
		}
		frag(0, true, d[:8])
		tos = c.b
		frag(8, false, d[8:])
		if in := b.udp.take(); c.want < 0 && len(in) != 0 || c.want >= 0 && (len(in) != 1 || int(in[0].meta.TOS) != c.want) {
			t.Errorf("%+v: %+v", c, in)
		}
		if fails := b.l.Whole().Stats.ReasmFails != 0; fails != (c.want < 0) || len(b.l.frags.all) != 0 {
			t.Errorf("%+v: given up: %v", c, fails)
		}
	}
}

// The header of a datagram that was put together is that of its first fragment, in whichever order they
// came (RFC 791, section 3.2; RFC 8200, section 4.5).
func TestReassemblyHeader(t *testing.T) {
	for _, first := range []bool{true, false} {
		b := newBench(t, Config{})
		for i := range 2 {
			off := 8 * i
			if !first {
				off = 8 - off
			}
			b.arrive(packetBytes(peerA, hostA, ProtoUDP, pattern(8), func(h *wire.IPv4, _ *wire.IPv6) {
				h.ID, h.FragmentOff, h.MoreFragments, h.TTL, h.TOS = 1, uint16(off), off == 0, uint8(50+off), uint8(4*off)
			}))
		}
		if g := b.udp.one(); g.meta.TTL != 50 || g.meta.TOS != 0 || g.header[8] != 50 {
			t.Errorf("%+v", g.meta)
		}
	}
}

// A large segment passes whole where the link takes it, and only as such.
func TestLargeSegments(t *testing.T) {
	for _, takes := range []bool{false, true} {
		b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", Checksum: true, Segments: takes})
		for _, dst := range []string{peerA, peerB} {
			path, _ := b.route(dst, "", 0)
			want := 65535 - 20
			if addr(dst).Is6() {
				want = 65535
			}
			if !takes {
				want = 0
			}
			if path.MaxSegment != want || path.MTU != 1500 {
				t.Errorf("%+v", path)
			}
			p := packet.New()
			p.SegmentSize = 1448
			p.Payload.Append(packet.Copy(pattern(30000)))
			h := wire.TCP{Flags: wire.ACK}
			h.Put(p.Prepend(wire.TCPMinLen))
			b.h.Enter()
			err := b.l.Whole().Output(p, &path, &Out{Proto: ProtoTCP, Checksum: sumTCP, DontFragment: true})
			b.h.Leave()
			if takes != (err == nil) || !takes && !errors.Is(err, syscall.EMSGSIZE) {
				t.Error(err)
			}
			if n := len(b.sent()); takes != (n == 1) {
				t.Errorf("%d packets", n)
			}
		}
	}
}

func TestHeaderIncluded(t *testing.T) {
	b := newBench(t, Config{})
	send := func(dst string, raw []byte) error {
		path, err := b.route(dst, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		p := packet.FromBytes(raw)
		b.h.Enter()
		defer b.h.Leave()
		return b.l.Whole().Output(p, &path, &Out{HeaderIncluded: true})
	}
	raw := packetBytes(peerA, peerA, 99, pattern(30), func(h *wire.IPv4, _ *wire.IPv6) { h.TTL, h.ID, h.Src = 3, 0, addr("0.0.0.0") })
	raw[2], raw[3], raw[10], raw[11] = 9, 9, 9, 9 // length and checksum are Linux's to fill in
	if err := send(peerA, raw); err != nil {
		t.Fatal(err)
	}
	out := b.oneSent()
	h, n, err := wire.ParseIPv4(out)
	if err != nil || h.TTL != 3 || h.ID == 0 || h.Src != addr(hostA) || h.Proto != 99 || int(h.TotalLen) != len(out) ||
		wire.ChecksumOf(out[:n]) != 0 || !slices.Equal(out[n:], pattern(30)) {
		t.Errorf("%+v %v", h, err)
	}
	if err := send(peerA, packetBytes(hostA, peerA, 99, pattern(1481), nil)); !errors.Is(err, syscall.EMSGSIZE) {
		t.Error(err)
	}
	if err := send(peerA, make([]byte, 20)); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
	raw = packetBytes(hostB, peerB, 99, pattern(30), nil)
	if err := send(peerB, raw); err != nil || !slices.Equal(b.oneSent(), raw) {
		t.Error(err)
	}
	if err := send(peerB, raw[:39]); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestOutputLoopbackStaysIn(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct{ dst, src string }{{"127.0.0.1", ""}, {"2001:db8::9", "::1"}} {
		path, err := b.route(c.dst, c.src, b.eth.Index())
		if err != nil {
			t.Fatal(err)
		}
		b.do(func() { b.l.Whole().Output(packet.FromBytes(udpHeader(0)), &path, &Out{Proto: ProtoUDP}) })
		if len(b.sent()) != 0 {
			t.Errorf("%+v left the host", c)
		}
	}
}
