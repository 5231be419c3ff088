package ip

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"usock/internal/wire"
	"usock/packet"
)

// A path MTU that was learnt is believed for its time, each for its own, and only a lower one than
// what the path has is news.
func TestPathMTUAges(t *testing.T) {
	b := newBench(t, Config{})
	other := "10.0.0.3"
	lower := func(dst string, mtu int) (news bool) {
		b.do(func() { news = b.l.LowerPathMTU(addr(dst), mtu) })
		return news
	}
	known := func(dst string) int {
		b.h.Enter()
		defer b.h.Leave()
		return b.l.PathMTU(addr(dst))
	}
	for _, c := range []struct {
		dst  string
		mtu  int
		news bool
		then int
	}{
		{peerA, 1500, false, 0}, {peerA, 1499, true, 1499}, {peerA, 1499, false, 1499}, {peerA, 1498, true, 1498},
		{"224.1.2.3", 1000, false, 0}, {"127.0.0.1", 1000, false, 0}, {hostA, 1000, false, 0}, {"192.0.2.1", 1000, false, 0},
		{peerB, 1279, true, 1280}, {other, 551, true, 552},
	} {
		if news := lower(c.dst, c.mtu); news != c.news || known(c.dst) != c.then {
			t.Errorf("%+v: %v, then %d", c, news, known(c.dst))
		}
	}

	// One that came a minute later is forgotten a minute later.
	b.clock.Advance(time.Minute)
	lower(other, 552)
	lower("10.0.0.4", 1000)
	for _, c := range []struct {
		after           time.Duration
		first, last, at int
	}{{mtuAge - time.Minute - 1, 1498, 1000, 4}, {1, 0, 1000, 1}, {time.Minute - 1, 0, 1000, 1}, {1, 0, 0, 0}} {
		gen := b.l.Generation()
		b.clock.Advance(c.after)
		if a, z := known(peerA), known("10.0.0.4"); a != c.first || z != c.last || len(b.l.mtus) != c.at {
			t.Errorf("%+v: %d, %d, %d remembered", c, a, z, len(b.l.mtus))
		}
		if changed := b.l.Generation() != gen; changed != (c.after == 1) {
			t.Errorf("%+v: the generation changed: %v", c, changed)
		}
	}
	if n := b.h.Timers(); n != 0 {
		t.Errorf("%d timers", n)
	}
}

// Where the memory of path MTUs is full, those go that would have gone first, however they came.
func TestPathMTUForgets(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() { b.l.AddRoute(Route{Dst: prefix("0.0.0.0/0"), Via: addr(peerA)}) })
	dst := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{20, 0, byte(i >> 8), byte(i)}) }
	for _, some := range []int{1, 0} { // those with odd numbers first
		for i := some; i < maxMTUs; i += 2 {
			b.do(func() { b.l.LowerPathMTU(dst(i), 1000) })
		}
		b.clock.Advance(time.Second)
	}
	b.do(func() {
		b.l.LowerPathMTU(dst(1), 999) // is known: nobody must make room
		if n := len(b.l.mtus); n != maxMTUs {
			t.Errorf("%d are remembered", n)
		}
		b.l.LowerPathMTU(dst(maxMTUs), 1000)
		if n := len(b.l.mtus); n != maxMTUs*3/4+1 {
			t.Errorf("%d are remembered", n)
		}
		for i := range maxMTUs {
			// The first quarter that was told is that of the odd ones below half.
			gone := i%2 == 1 && i != 1 && i <= maxMTUs/2+1
			if (b.l.PathMTU(dst(i)) == 0) != gone {
				t.Fatalf("number %d: forgotten is %v", i, !gone)
			}
		}
	})
}

// Fragments that wait are given up in the order in which their datagrams began, of both families.
func TestReassemblyGivesUpOldest(t *testing.T) {
	for _, first := range []string{"v4", "v6"} {
		b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: 65535})
		old := [2][]byte{frag4(1, 0, true, pattern(60000)), frag6(1, 0, true, pattern(60000))}
		end := [2][]byte{frag4(1, 60000, false, pattern(8)), frag6(1, 60000, false, pattern(8))}
		later := [2]func(i int) []byte{
			func(i int) []byte { return frag4(uint16(i), 8, true, pattern(60000)) },
			func(i int) []byte { return frag6(uint32(i), 8, true, pattern(60000)) },
		}
		k := 0
		if first == "v6" {
			k = 1
		}
		// The oldest, then many of the other family, until one has to go.
		b.arrive(old[k])
		n := 0
		for i := 2; b.l.Whole().Stats.ReasmFails == 0; i++ {
			b.arrive(later[1-k](i))
			n++
		}
		if b.l.Whole().Stats.ReasmFails != 1 || len(b.l.frags.all) != n {
			t.Errorf("%s: %d given up, %d wait, of %d", first, b.l.Whole().Stats.ReasmFails, len(b.l.frags.all), n+1)
		}
		if b.arrive(end[k]); len(b.udp.take()) != 0 {
			t.Errorf("%s: the oldest is not the one that went", first)
		}
		// Now one of the other family again, from its list's front.
		fails := b.l.Whole().Stats.ReasmFails
		for i := 1000; b.l.Whole().Stats.ReasmFails == fails; i++ {
			b.arrive(later[k](i))
		}
		if _, is := b.l.frags.all[key(later[1-k](2))]; is {
			t.Errorf("%s: the second oldest is not the one that went", first)
		}
	}
}

// key is that of a fragment's datagram.
func key(b []byte) fragKey {
	if b[0]>>4 == 4 {
		h, _, _ := wire.ParseIPv4(b)
		return fragKey{h.Src, h.Dst, uint32(h.ID), h.Proto}
	}
	h, _ := wire.ParseIPv6(b)
	f, _ := wire.ParseFragmentHeader(b[wire.IPv6Len:])
	return fragKey{h.Src, h.Dst, f.ID, 0}
}

// Whichever of several datagrams is complete first, the others wait on, and time runs out for each.
func TestReassemblyInAnyOrder(t *testing.T) {
	d := append(udpHeader(8), pattern(8)...)
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}} {
		for late := range 3 {
			b := newBench(t, Config{})
			for id := range 3 {
				b.arrive(frag4(uint16(id), 0, true, d[:8]))
				b.clock.Advance(time.Second)
			}
			for _, id := range order {
				if id != late {
					b.arrive(frag4(uint16(id), 8, false, d[8:]))
					if g := b.udp.one(); !bytes.Equal(g.data, d) {
						t.Errorf("%v: %x", order, g.data)
					}
				}
			}
			b.clock.Advance(reasmTime4 - 3*time.Second + time.Duration(late)*time.Second - 1)
			if len(b.sent()) != 0 || len(b.l.frags.all) != 1 {
				t.Fatalf("%v but %d: given up too early", order, late)
			}
			b.clock.Advance(1)
			_, _, m := validate(t, b.oneSent())
			if q, _, err := wire.ParseIPv4(m[wire.ICMPLen:]); err != nil || int(q.ID) != late {
				t.Errorf("%v but %d: %+v %v", order, late, q, err)
			}
			if l := b.l.frags; len(l.all) != 0 || l.cost != 0 || l.v4.first != nil || l.v4.last != nil || b.h.Timers() != 0 {
				t.Errorf("%v but %d: something is left", order, late)
			}
		}
	}
}

// The last fragment says how long a datagram is, also one of nothing but the last; a piece may come
// again, and no more of them than the bound.
func TestReassemblyEnds(t *testing.T) {
	type step struct {
		off  int
		more bool
		n    int
	}
	for _, c := range []struct {
		name  string
		steps []step
		fails uint64
		whole int // bytes delivered
	}{
		{"the end first", []step{{8, false, 8}, {0, true, 8}}, 0, 16},
		{"the end twice", []step{{8, false, 8}, {8, false, 8}, {0, true, 8}}, 0, 16},
		{"a piece twice", []step{{0, true, 8}, {0, true, 8}, {8, false, 8}}, 0, 16},
		{"the end as a middle piece, too", []step{{8, false, 8}, {8, true, 8}, {0, true, 8}}, 0, 16},
		{"a longer end", []step{{8, false, 8}, {8, false, 16}, {0, true, 8}}, 1, 0},
		{"a shorter end", []step{{8, false, 16}, {8, false, 8}, {0, true, 8}}, 1, 0},
		{"the end where the last piece ends", []step{{8, true, 8}, {0, true, 8}, {16, false, 3}}, 0, 19},
		{"the end before the last piece's", []step{{16, true, 16}, {8, false, 8}}, 1, 0},
		{"an end that is another piece's", []step{{16, true, 8}, {8, false, 16}}, 1, 0},
		{"the largest", []step{{0, true, 32768}, {32768, false, 32747}}, 0, 65515},
	} {
		b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: 65535})
		data := pattern(65535)
		for _, s := range c.steps {
			b.arrive(frag4(1, s.off, s.more, data[s.off:s.off+s.n]))
		}
		in := b.udp.take()
		if b.l.Whole().Stats.ReasmFails != c.fails || (len(in) == 1) != (c.whole != 0) || len(in) == 1 && !bytes.Equal(in[0].data, data[:c.whole]) {
			t.Errorf("%s: %d given up, %d delivered", c.name, b.l.Whole().Stats.ReasmFails, len(in))
		}
	}
	b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: 65535})
	for _, c := range []struct {
		off, n int
		ok     bool
	}{{32768, 32747, true}, {32768, 32748, false}, {65512, 3, true}, {65512, 4, false}} {
		bad := b.l.Whole().Stats.InHdrErrors
		b.arrive(frag4(2, c.off, false, pattern(c.n)))
		if ok := b.l.Whole().Stats.InHdrErrors == bad; ok != c.ok {
			t.Errorf("IPv4, %d bytes at %d: %v", c.n, c.off, ok)
		}
		b.do(b.l.frags.clear)
	}
	for _, c := range []struct {
		off, n int
		ok     bool
	}{{32768, 32767, true}, {65528, 7, true}, {65528, 8, false}} {
		b.clock.Advance(maxTokens)
		b.arrive(frag6(2, c.off, false, pattern(c.n)))
		if ok := len(b.sent()) == 0; ok != c.ok {
			t.Errorf("IPv6, %d bytes at %d: %v", c.n, c.off, ok)
		}
		b.do(b.l.frags.clear)
	}
}

// Only what was all sent in this process is trusted as a whole, and it is its sender's.
func TestReassemblyTrust(t *testing.T) {
	for _, c := range []struct{ first, last, whole bool }{{true, true, true}, {true, false, false}, {false, true, false}, {false, false, false}} {
		b := newBench(t, Config{})
		var trusted bool
		var owner packet.Owner
		b.l.table.Transport[ProtoUDP] = noter{&trusted, &owner}
		for i, trust := range []bool{c.first, c.last} {
			p := packet.FromBytes(frag4(1, i*8, i == 0, pattern(8)))
			p.Trusted, p.Owner.PID = trust, int32(i+7)
			b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{p}) })
		}
		if trusted != c.whole || owner.PID != 7 {
			t.Errorf("%+v: trusted %v, of program %d", c, trusted, owner.PID)
		}
	}
	// So with fragments that this host sends: they have their packet's notes.
	b := newBench(t, Config{})
	path, err := b.route(peerA, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, unverified := range []bool{false, true} {
		p := packet.FromBytes(pattern(3000))
		p.Owner.PID = 7
		b.do(func() { err = b.l.Whole().Output(p, &path, &Out{Proto: 99, Unverified: unverified}) })
		if err != nil || len(b.wire.out) != 3 {
			t.Fatalf("%d fragments, %v", len(b.wire.out), err)
		}
		for _, f := range b.wire.out {
			if f.Trusted == unverified || f.Owner.PID != 7 {
				t.Errorf("trusted %v, of program %d", f.Trusted, f.Owner.PID)
			}
		}
		b.sent()
	}
}

// noter is a transport that keeps a packet's notes.
type noter struct {
	trusted *bool
	owner   *packet.Owner
}

func (n noter) Input(p *packet.Packet, _ *Meta) bool {
	*n.trusted, *n.owner = p.Trusted, p.Owner
	p.Free()
	return true
}
func (n noter) Error(*Error) {}

// A fragment that holds much more memory than it has bytes is copied, and is charged what it holds.
func TestReassemblyCopies(t *testing.T) {
	for _, c := range []struct {
		room, n int
		copied  bool
	}{{4096, 8, true}, {4096, 4088, false}, {65536, 8192, true}} {
		b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: 65535})
		block := packet.NewBlock(c.room)
		n := copy(block.Bytes(), frag4(1, 8, true, pattern(c.n)))
		held := block.View(0, n).Cap()
		p := packet.New()
		p.Payload.Append(block.View(0, n))
		b.do(func() { b.l.Whole().Input(b.eth, []*packet.Packet{p}) })
		cost := b.l.frags.cost - partialCost - pieceCost
		if copied := cost < held; copied != c.copied || cost < c.n {
			t.Errorf("%+v: charged %d of %d", c, cost, held)
		}
	}
}

// Pieces that a host makes: as many bytes as fit, in eights, with the options that belong to all
// (RFC 791, section 3.2).
func TestFragmentSizes(t *testing.T) {
	for _, c := range []struct {
		name string
		dst  string
		mtu  int
		opts []byte
		n    int
		want string // offset+bytes of each
	}{
		{"two", peerA, 68, nil, 96, "0+48 48+48"},
		{"a byte more", peerA, 68, nil, 97, "0+48 48+48 96+1"},
		{"not a multiple of eight", peerA, 73, nil, 102, "0+48 48+48 96+6"},
		{"an end that fits", peerA, 73, nil, 101, "0+48 48+53"},
		{"options of the first alone", peerA, 68, []byte{wire.IPv4OptRecordRoute, 3, 4, 0}, 96, "0+40 40+48 88+8"},
		{"no options at all", peerA, 68, []byte{}, 96, "0+48 48+48"},
		{"all options, eight bytes of data", peerA, 68, bytes.Repeat([]byte{wire.IPv4OptNOP}, 40), 16, "0+8 8+8"},
		{"IPv6", peerB, 1280, nil, 1241, "0+1232 1232+9"},
		{"IPv6, full", peerB, 1280, nil, 2464, "0+1232 1232+1232"},
		{"IPv6, not a multiple of eight", peerB, 1287, nil, 1248, "0+1232 1232+16"},
	} {
		for _, head := range []int{0, 8, 60} {
			b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: c.mtu})
			if head > c.n {
				continue
			}
			whole := pattern(c.n)
			if err := b.send(c.dst, whole[:head], whole[head:], Out{Proto: 99, Options: c.opts}); err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			var got string
			var joined []byte
			out := b.sent()
			for i, f := range out {
				off, n, more := 0, 0, false
				if f[0]>>4 == 4 {
					h, hl, _ := wire.ParseIPv4(f)
					off, n, more = int(h.FragmentOff), len(f)-hl, h.MoreFragments
				} else {
					h, _ := wire.ParseFragmentHeader(f[wire.IPv6Len:])
					off, n, more = int(h.Off), len(f)-48, h.More
				}
				got += fmt.Sprintf(" %d+%d", off, n)
				joined = append(joined, f[len(f)-n:]...)
				if more != (i < len(out)-1) {
					t.Errorf("%s: piece %d says more: %v", c.name, i, more)
				}
			}
			if got != " "+c.want || !bytes.Equal(joined, whole) {
				t.Errorf("%s, %d in the head: %s, want %s", c.name, head, got, c.want)
			}
			if n := uint64(len(out)); b.l.Whole().Stats.FragCreates != n || b.l.Whole().Stats.FragOKs != 1 {
				t.Errorf("%s: %+v", c.name, b.l.Whole().Stats)
			}
		}
	}
	// A link too small for eight bytes of data has none pass.
	for _, c := range []struct {
		dst  string
		mtu  int
		sent bool
	}{{peerA, 27, false}, {peerA, 28, true}, {peerB, 55, false}, {peerB, 56, true}} {
		b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: c.mtu})
		if err := b.send(c.dst, nil, pattern(100), Out{Proto: 99}); (err == nil) != c.sent || (len(b.sent()) > 0) != c.sent {
			t.Errorf("%+v: %v", c, err)
		}
	}
	// Options that are none cannot be told apart for later fragments.
	b := newBench(t, Config{})
	for _, bad := range [][]byte{{0xff, 1, 0, 0}, {wire.IPv4OptNOP, 7, 1, 0}} {
		if err := b.send(peerA, nil, pattern(3000), Out{Proto: 99, Options: bad}); err == nil || len(b.sent()) != 0 {
			t.Errorf("options %x are cut", bad)
		}
	}
}

// A closed layer keeps nothing: neither fragments nor copies under way, nor a timer.
func TestCloseForgets(t *testing.T) {
	b := newBench(t, Config{})
	path, err := b.route("10.0.0.255", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	b.arrive(frag4(1, 0, true, pattern(8)))
	b.do(func() {
		b.l.LowerPathMTU(addr(peerA), 1000)
		b.l.Whole().Output(datagram(), &path, &Out{Proto: ProtoUDP})
		b.l.Close()
		if len(b.l.looped) != 0 || len(b.l.frags.all) != 0 || b.l.frags.cost != 0 {
			t.Error("something is kept")
		}
	})
	b.sent()
	if len(b.udp.take()) != 0 || b.h.Timers() != 0 {
		t.Error("something is delivered, or a timer runs")
	}
}

// The layer's one timer is that of whatever comes first.
func TestTimerIsOfTheEarliest(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() { b.l.LowerPathMTU(addr(peerA), 1000) }) // ten minutes
	b.arrive(frag6(1, 0, true, pattern(8)))              // one minute
	b.arrive(frag4(1, 0, true, pattern(8)))              // half a minute
	var left []int
	for range 3 {
		left = append(left, len(b.l.frags.all)+len(b.l.mtus))
		b.clock.Advance(reasmTime4)
	}
	b.sent()
	left = append(left, len(b.l.frags.all)+len(b.l.mtus))
	b.clock.Advance(mtuAge)
	left = append(left, len(b.l.frags.all)+len(b.l.mtus))
	if want := []int{3, 2, 1, 1, 0}; !slices.Equal(left, want) || b.h.Timers() != 0 {
		t.Errorf("%v, want %v; %d timers", left, want, b.h.Timers())
	}
}
