package ip

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"usock/internal/relay"
	"usock/internal/wire"
	"usock/packet"
)

// What an interface says of itself, by its kind.
func TestIfaceProperties(t *testing.T) {
	b := newBenchIface(t, Config{}, IfaceConfig{Name: "eth0", MTU: 1280})
	var eth1, eth2 *Iface
	b.do(func() {
		eth1 = b.l.AddIface(IfaceConfig{Name: "eth1", Out: b.h.NewPort(b.wire)})
		b.l.AddAddr(eth1, prefix("192.0.2.1/24"))
	})
	for _, c := range []struct {
		i     *Iface
		name  string
		index int
		mtu   int
		flags IfaceFlags
		addrs string
	}{
		{b.lo, "lo", 1, 65536, FlagUp | FlagLoopback, "[127.0.0.1/8 ::1/128]"},
		{b.eth, "eth0", 2, 1280, FlagUp | FlagMulticast, "[10.0.0.1/24 2001:db8::1/64 fe80::1/64]"},
		{eth1, "eth1", 3, 1500, FlagUp | FlagMulticast, "[192.0.2.1/24]"},
	} {
		if c.i.Name() != c.name || c.i.Index() != c.index || c.i.MTU() != c.mtu || c.i.Flags() != c.flags || fmt.Sprint(c.i.Addrs()) != c.addrs {
			t.Errorf("%s: %d, MTU %d, flags %d, %v", c.i.Name(), c.i.Index(), c.i.MTU(), c.i.Flags(), c.i.Addrs())
		}
		if b.l.Iface(c.index) != c.i || b.l.IfaceByName(c.name) != c.i {
			t.Errorf("%s is not found", c.name)
		}
	}
	if b.l.Iface(0) != nil || b.l.Iface(-1) != nil || b.l.Iface(4) != nil || b.l.IfaceByName("eth2") != nil || b.l.Loopback() != b.lo {
		t.Error("an interface that is not there")
	}

	// An address is that of one interface.
	if !b.eth.HasAddr(addr(hostA)) || !b.eth.HasAddr(addr("fe80::1")) || eth1.HasAddr(addr(hostA)) || b.eth.HasAddr(addr(peerA)) || !b.lo.HasAddr(addr("::1")) {
		t.Error("HasAddr")
	}

	// Numbers are not used again, and paths are asked for anew.
	b.do(func() {
		b.l.RemoveIface(b.eth)
		b.l.RemoveIface(b.eth)
		gen := b.l.Generation()
		if eth2 = b.l.AddIface(IfaceConfig{Name: "eth2"}); b.l.Generation() == gen {
			t.Error("the generation did not change")
		}
	})
	if b.eth.Index() != 0 || eth2.Index() != 4 || b.l.IfaceByName("eth0") != nil || !slices.Equal(b.l.Ifaces(), []*Iface{b.lo, eth1, eth2}) {
		t.Errorf("%d, %d, %v", b.eth.Index(), eth2.Index(), b.l.Ifaces())
	}
}

// Nothing of an interface outlives it, and paths over it are asked for anew.
func TestRemoveIface(t *testing.T) {
	b := newBench(t, Config{})
	group := addr("239.1.2.3")
	path, err := b.route(group.String(), "", b.eth.Index())
	if err != nil {
		t.Fatal(err)
	}
	b.do(func() {
		for _, r := range []Route{{Dst: prefix("0.0.0.0/0"), Via: addr(peerA)}, {Dst: prefix("::/0"), Via: addr(peerB)}, {Dst: prefix("192.0.2.0/24"), Iface: b.eth}} {
			if err := b.l.AddRoute(r); err != nil {
				t.Error(err)
			}
		}
		b.l.Join(b.eth, group, &Filter{})
	})
	b.arrive(frag4(1, 0, true, pattern(8)))
	b.do(func() { b.l.Whole().Input(b.lo, []*packet.Packet{packet.FromBytes(frag6(1, 0, true, pattern(8)))}) })

	gen := b.l.Generation()
	b.do(func() {
		// A copy of what was sent to the group is on its way in when the interface goes.
		if err := b.l.Whole().Output(packet.FromBytes(udpHeader(0)), &path, &Out{Proto: ProtoUDP}); err != nil {
			t.Error(err)
		}
		b.l.RemoveIface(b.eth)
	})
	b.sent()
	if len(b.udp.take()) != 0 {
		t.Error("a copy was delivered")
	}
	if b.l.Generation() == gen {
		t.Error("the generation did not change")
	}
	if r := b.l.Routes(); len(r) != 0 {
		t.Errorf("routes are left: %v", r)
	}
	if n := len(b.l.frags.all); n != 1 || b.l.Whole().Stats.ReasmFails != 1 || len(b.l.frags.all) == 1 && b.l.frags.all[key(frag6(1, 0, true, nil))] == nil {
		t.Errorf("%d datagrams are kept, %d given up", n, b.l.Whole().Stats.ReasmFails)
	}
	b.do(func() {
		for what, err := range map[string]error{
			"AddAddr":  b.l.AddAddr(b.eth, prefix("192.0.2.1/24")),
			"AddRoute": b.l.AddRoute(Route{Dst: prefix("192.0.2.0/24"), Iface: b.eth}),
			"Join":     b.l.Join(b.eth, group, &Filter{}),
		} {
			if !errors.Is(err, syscall.ENODEV) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := b.l.Whole().Output(packet.FromBytes(udpHeader(0)), &path, &Out{Proto: ProtoUDP}); !errors.Is(err, syscall.ENETDOWN) {
			t.Error(err)
		}
		b.l.Whole().Input(b.eth, []*packet.Packet{packet.FromBytes(packetBytes(peerA, hostA, ProtoUDP, udpHeader(0), nil))})
	})
	if len(b.udp.take()) != 0 || len(b.sent()) != 0 {
		t.Error("packets pass")
	}
}

// Without its loopback interface a host is not reached by itself, unless it has another one.
func TestRemoveLoopback(t *testing.T) {
	b := newBench(t, Config{})
	var second *Iface
	b.do(func() { second = b.l.AddIface(IfaceConfig{Name: "lo2", Loopback: true}) })
	if b.l.Loopback() != b.lo {
		t.Error("the first one is not the one")
	}
	b.do(func() { b.l.RemoveIface(b.lo) })
	if p, err := b.route("127.0.0.1", "", 0); b.l.Loopback() != second || err != nil || p.Iface != second {
		t.Error("the second one does not take over", err)
	}
	b.do(func() { b.l.RemoveIface(second) })
	if _, err := b.route("127.0.0.1", "", 0); b.l.Loopback() != nil || b.l.IsLocal(addr("127.0.0.1")) || b.l.IsBroadcast(loopbackBroadcast) ||
		!errors.Is(err, syscall.ENETUNREACH) {
		t.Error("after the last one", err)
	}
	if _, err := b.route("127.255.255.255", "", 0); !errors.Is(err, syscall.ENETUNREACH) {
		t.Error(err)
	}
	if !b.l.IsLocal(addr(hostA)) {
		t.Error("other addresses went, too")
	}
}

// The network of an address has one route and one broadcast address for as long as there is an
// address in it.
func TestNetworkOfAddresses(t *testing.T) {
	b := newBench(t, Config{})
	state := func() (routes int, broadcast bool) {
		for _, r := range b.l.Routes() {
			if r.Dst == prefix("192.0.2.0/24") {
				routes++
			}
		}
		return routes, b.l.IsBroadcast(addr("192.0.2.255"))
	}
	check := func(what string, err error, routes int, broadcast bool) {
		t.Helper()
		if r, is := state(); err != nil || r != routes || is != broadcast {
			t.Errorf("%s: %v, %d routes, broadcast %v", what, err, r, is)
		}
	}
	b.h.Enter()
	defer b.h.Leave()
	gen := b.l.Generation()
	check("one", b.l.AddAddr(b.eth, prefix("192.0.2.1/24")), 1, true)
	if b.l.Generation() == gen {
		t.Error("the generation did not change")
	}
	check("two", b.l.AddAddr(b.eth, prefix("192.0.2.2/24")), 1, true)
	check("the second is gone", b.l.RemoveAddr(b.eth, prefix("192.0.2.2/24")), 1, true)
	check("two again", b.l.AddAddr(b.eth, prefix("192.0.2.2/24")), 1, true)
	check("of another network", b.l.AddAddr(b.eth, prefix("192.0.2.129/25")), 1, true)
	gen = b.l.Generation()
	check("the first is gone", b.l.RemoveAddr(b.eth, prefix("192.0.2.1/24")), 1, true)
	if b.l.Generation() == gen {
		t.Error("the generation did not change")
	}
	check("the third is gone", b.l.RemoveAddr(b.eth, prefix("192.0.2.129/25")), 1, true)
	check("all are gone", b.l.RemoveAddr(b.eth, prefix("192.0.2.2/24")), 0, false)
	if err := b.l.AddAddr(b.eth, prefix("198.51.100.1/32")); err != nil || b.l.IsBroadcast(addr("198.51.100.1")) || len(b.l.Routes()) != 3 {
		t.Errorf("%v: a single address has a network: %v", err, b.l.Routes())
	}
	for a, want := range map[string]bool{
		"255.255.255.255": true, "127.255.255.255": true, "127.0.0.255": false, "10.0.0.255": true, "10.0.0.1": false, "ff02::1": false, "2001:db8::ff": false,
	} {
		if b.l.IsBroadcast(addr(a)) != want {
			t.Errorf("%s is a broadcast address: %v", a, !want)
		}
	}
	for a, want := range map[string]bool{"127.0.0.1": true, "127.1.2.3": true, "127.255.255.255": false, hostA: true, peerA: false, "::1": true, hostB: true} {
		if b.l.IsLocal(addr(a)) != want {
			t.Errorf("%s is local: %v", a, !want)
		}
	}
}

// brim is a link that takes one packet of each batch.
type brim struct{ wireSender }

func (w *brim) Send(batch []*packet.Packet) int {
	w.out = append(w.out, batch[0])
	for _, p := range batch[1:] {
		p.Free()
	}
	return 1
}

// What an interface counts of a packet: what came and what became of it, what left and what the
// link had no room for.
func TestIfaceStats(t *testing.T) {
	udp := append(udpHeader(8), pattern(8)...)
	good4, good6 := packetBytes(peerA, hostA, ProtoUDP, udp, nil), packetBytes(peerB, hostB, ProtoUDP, udp, nil)
	badICMP := packetBytes(peerA, hostA, ProtoICMP, append(icmp4(wire.ICMPv4Echo, 0, 0, nil)[:7], 1), nil)
	set := func(b []byte, at int, v byte) []byte {
		b = slices.Clone(b)
		b[at] = v
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want IfaceStats // RxPackets and RxBytes are of every packet
	}{
		{"delivered", good4, IfaceStats{}},
		{"empty", nil, IfaceStats{RxErrors: 1}},
		{"of no version", set(good4, 0, 0x55), IfaceStats{RxErrors: 1}},
		{"header too short", set(good4, 0, 0x44), IfaceStats{RxErrors: 1}},
		{"less than a header", good4[:19], IfaceStats{RxErrors: 1}},
		{"header checksum", set(good4, 8, 1), IfaceStats{RxErrors: 1}},
		{"cut off", good4[:30], IfaceStats{RxErrors: 1}},
		{"less than an IPv6 header", good6[:39], IfaceStats{RxErrors: 1}},
		{"IPv6 cut off", good6[:50], IfaceStats{RxErrors: 1}},
		{"from nowhere", packetBytes("224.0.0.1", hostA, ProtoUDP, udp, nil), IfaceStats{RxDropped: 1}},
		{"for a group", packetBytes(peerA, "224.1.2.3", ProtoUDP, udp, nil), IfaceStats{RxDropped: 1}},
		{"for an IPv6 group", packetBytes(peerB, "ff05::77", ProtoUDP, udp, nil), IfaceStats{RxDropped: 1}},
		{"for somebody else", packetBytes(peerA, "10.0.0.77", ProtoUDP, udp, nil), IfaceStats{RxDropped: 1}},
		{"a source route", packetBytes(peerA, hostA, ProtoUDP, udp, func(h *wire.IPv4, _ *wire.IPv6) { h.Options = []byte{wire.IPv4OptSSRR, 7, 4, 1, 2, 3, 4, 0} }), IfaceStats{RxDropped: 1}},
		{"ICMP checksum", badICMP, IfaceStats{RxErrors: 1}},
		{"a header that is none", packetBytes(peerB, hostB, wire.IPv6HopByHop, []byte{ProtoUDP, 9, 0, 0, 0, 0, 0, 0}, nil), IfaceStats{RxErrors: 1}},
	} {
		b := newBench(t, Config{})
		b.arrive(c.in)
		c.want.RxPackets, c.want.RxBytes = 1, uint64(len(c.in))
		if got := b.eth.Stats(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if c.want.RxErrors+c.want.RxDropped != uint64(1-len(b.udp.take())) || len(b.sent()) != 0 {
			t.Errorf("%s: delivered although it counts, or the other way round", c.name)
		}
	}

	b := newBench(t, Config{})
	full := new(brim)
	var eth1 *Iface
	b.do(func() {
		eth1 = b.l.AddIface(IfaceConfig{Name: "eth1", Out: b.h.NewPort(full)})
		b.l.AddAddr(eth1, prefix("192.0.2.1/24"))
	})
	path, err := b.route("192.0.2.2", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	b.do(func() {
		for range 3 {
			b.l.Whole().Output(packet.FromBytes(udpHeader(0)), &path, &Out{Proto: ProtoUDP})
		}
	})
	if got, want := eth1.Stats(), (IfaceStats{TxPackets: 3, TxBytes: 3 * 28, TxDropped: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}

	// A port that packets leave by no more counts on for as long as something waits there, as that may still be dropped.
	was := eth1.cfg.Out.(*relay.Relay)
	b.do(func() {
		was.Push(packet.New())
		was.Push(packet.New())
		eth1.Rewire(b.h.NewPort(full), false, false, false)
	})
	was.Bound = 0
	was.Push(packet.New())
	if got := eth1.Stats().TxDropped; got != 3 {
		t.Errorf("%d dropped, want 3", got)
	}
	was.Flush()
	for range 2 {
		if got := eth1.Stats().TxDropped; got != 4 {
			t.Errorf("%d dropped, want 4", got)
		}
		b.do(func() { eth1.Rewire(b.h.NewPort(full), false, false, false) })
	}
	if len(eth1.before) != 0 {
		t.Errorf("%d ports are kept by which nothing leaves", len(eth1.before))
	}
	(&bench{wire: &full.wireSender}).sent()
	path, err = b.route("::1", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	b.do(func() { b.l.Whole().Output(packet.FromBytes(udpHeader(0)), &path, &Out{Proto: ProtoUDP}) })
	b.udp.one()
	if got, want := b.lo.Stats(), (IfaceStats{TxPackets: 1, TxBytes: 48, RxPackets: 1, RxBytes: 48}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Packets for an address that was the host's a moment ago, and those of a sender that it took for
// another one, are looked at anew: what the last packet was lets pass only its like.
func TestAdmissionIsOfBoth(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct {
		src, dst string
		ok       bool
	}{
		{peerA, hostA, true}, {"224.0.0.1", hostA, false}, {peerA, hostA, true}, {peerA, "10.0.0.77", false},
		{peerB, hostB, true}, {"ff02::1", hostB, false}, {peerB, hostB, true}, {peerB, "2001:db8::77", false},
		{peerA, "10.0.0.255", true}, {peerA, "10.0.0.255", true}, {peerB, "ff02::1", true}, {peerB, "ff02::2", false},
	} {
		b.arrive(packetBytes(c.src, c.dst, ProtoUDP, udpHeader(0), nil))
		if n := len(b.udp.take()); (n == 1) != c.ok {
			t.Errorf("%+v: %d delivered", c, n)
		}
	}
}
