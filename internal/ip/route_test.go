package ip

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// What Linux's "ip route get" and connect answer on a host with lo and one
// interface that has 10.0.0.1/24, 10.0.0.6/24, 2001:db8::1/64 and no default route.
func TestRouteAsLinux(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() { b.l.AddAddr(b.eth, prefix("10.0.0.6/24")) })
	const lo, eth = 1, 2
	for _, c := range []struct {
		dst, src string
		via      int
		wantSrc  string
		wantDev  int
		err      error
	}{
		{dst: "127.0.0.5", wantSrc: "127.0.0.1", wantDev: lo},
		{dst: "127.0.0.0", wantSrc: "127.0.0.1", wantDev: lo},
		{dst: "127.255.255.255", wantSrc: "127.0.0.1", wantDev: lo},
		{dst: "10.0.0.1", wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "10.0.0.6", wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "10.0.0.9", wantSrc: "10.0.0.1", wantDev: eth},
		{dst: "10.0.0.255", wantSrc: "10.0.0.1", wantDev: eth},
		{dst: "8.8.8.8", err: syscall.ENETUNREACH},
		{dst: "255.255.255.255", err: syscall.ENETUNREACH},
		{dst: "224.1.1.1", err: syscall.ENETUNREACH},
		{dst: "0.1.2.3", err: syscall.ENETUNREACH},
		{dst: "8.8.8.8", via: eth, wantSrc: "10.0.0.1", wantDev: eth},
		{dst: "8.8.8.8", via: lo, wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "224.1.1.1", via: lo, wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "224.1.1.1", via: eth, wantSrc: "10.0.0.1", wantDev: eth},
		{dst: "255.255.255.255", via: eth, wantSrc: "10.0.0.1", wantDev: eth},
		{dst: "10.0.0.1", via: lo, wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "10.0.0.1", via: eth, wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "127.0.0.1", via: eth, wantSrc: "10.0.0.1", wantDev: eth},
		{dst: "10.0.0.9", src: "127.0.0.1", err: syscall.EINVAL},
		{dst: "127.0.0.1", src: "10.0.0.1", wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "10.0.0.9", src: "9.9.9.9", err: syscall.ENETUNREACH},
		{dst: "10.0.0.9", src: "224.0.0.1", err: syscall.EINVAL},
		{dst: "10.0.0.9", src: "10.0.0.6", wantSrc: "10.0.0.6", wantDev: eth},
		{dst: "224.1.1.1", src: "10.0.0.1", wantSrc: "10.0.0.1", wantDev: eth},
		{dst: "224.1.1.1", src: "127.0.0.1", wantSrc: "127.0.0.1", wantDev: lo},
		{dst: "255.255.255.255", src: "127.0.0.1", wantSrc: "127.0.0.1", wantDev: lo},
		{dst: "0.0.0.0", wantSrc: "127.0.0.1", wantDev: lo},
		{dst: "0.0.0.0", src: "10.0.0.1", wantSrc: "10.0.0.1", wantDev: lo},
		{dst: "10.0.0.9", via: 77, err: syscall.ENODEV},

		{dst: "::1", wantSrc: "::1", wantDev: lo},
		{dst: "::", wantSrc: "::1", wantDev: lo},
		{dst: "::", src: "2001:db8::1", wantSrc: "2001:db8::1", wantDev: lo},
		{dst: "::", via: eth, err: syscall.ENETUNREACH},
		{dst: "2001:db8::1", wantSrc: "2001:db8::1", wantDev: lo},
		{dst: "2001:db8::9", wantSrc: "2001:db8::1", wantDev: eth},
		{dst: "2001:db8::9", src: "::1", wantSrc: "::1", wantDev: eth},
		{dst: "2001:4860::1", err: syscall.ENETUNREACH},
		{dst: "2001:4860::1", via: eth, err: syscall.ENETUNREACH},
		{dst: "ff02::1", via: lo, err: syscall.ENETUNREACH},
		{dst: "ff05::1", via: eth, wantSrc: "2001:db8::1", wantDev: eth},
		{dst: "ff02::1", via: eth, wantSrc: "fe80::1", wantDev: eth},
		{dst: "::1", via: eth, err: syscall.ENETUNREACH},
		{dst: "2001:db8::1", via: eth, wantSrc: "2001:db8::1", wantDev: lo},
		{dst: "2001:db8::1", via: lo, err: syscall.ENETUNREACH},
		{dst: "fe80::9", via: eth, wantSrc: "fe80::1", wantDev: eth},
		{dst: "fe80::1", via: eth, wantSrc: "fe80::1", wantDev: lo},
		{dst: "::ffff:1.2.3.4", err: syscall.ENETUNREACH},
	} {
		p, err := b.route(c.dst, c.src, c.via)
		if !errors.Is(err, c.err) {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil && (c.err != nil || p.Src.String() != c.wantSrc || p.Iface.Index() != c.wantDev || p.Local != (c.wantDev == lo && b.l.IsLocal(p.Dst))) {
			t.Errorf("%+v: src %v dev %s local %v", c, p.Src, p.Iface.Name(), p.Local)
		}
	}
}

func TestRouteLongestPrefix(t *testing.T) {
	b := newBench(t, Config{})
	add := func(dst, via string, metric, mtu int) error {
		r := Route{Dst: prefix(dst), Metric: metric, MTU: mtu}
		if via != "" {
			r.Via = addr(via)
		} else {
			r.Iface = b.eth
		}
		b.h.Enter()
		defer b.h.Leave()
		return b.l.AddRoute(r)
	}
	gen := b.l.Generation()
	for _, r := range []struct {
		dst, via    string
		metric, mtu int
	}{
		{"0.0.0.0/0", "10.0.0.254", 0, 0},
		{"192.168.0.0/16", "10.0.0.2", 10, 1400},
		{"192.168.0.0/16", "10.0.0.3", 5, 0},
		{"192.168.7.0/24", "10.0.0.4", 0, 0},
		{"192.168.7.7/32", "", 0, 0},
		{"::/0", "fe80::99", 0, 0},
		{"2001:db8:1::/48", "2001:db8::9", 0, 1300},
	} {
		if err := add(r.dst, r.via, r.metric, r.mtu); err != nil {
			t.Fatal(r, err)
		}
	}
	if b.l.Generation() == gen {
		t.Error("the generation did not change")
	}
	for _, c := range []struct {
		dst, next string
		mtu       int
	}{
		{"8.8.8.8", "10.0.0.254", 1500},
		{"192.168.1.1", "10.0.0.3", 1500},
		{"192.168.7.1", "10.0.0.4", 1500},
		{"192.168.7.7", "192.168.7.7", 1500},
		{"10.0.0.77", "10.0.0.77", 1500},
		{"2002::1", "fe80::99", 1500},
		{"2001:db8:1:2::3", "2001:db8::9", 1300},
	} {
		if p, err := b.route(c.dst, "", 0); err != nil || p.Next.String() != c.next || p.MTU != c.mtu {
			t.Errorf("%s: next %v MTU %d, %v", c.dst, p.Next, p.MTU, err)
		}
	}
	for _, c := range []struct {
		dst, via string
		metric   int
		err      error
	}{
		{"0.0.0.0/0", "10.0.0.254", 0, syscall.EEXIST},
		{"1.0.0.0/8", "11.0.0.1", 0, syscall.ENETUNREACH}, // itself behind a gateway
		{"1.0.0.1/8", "10.0.0.9", 0, syscall.EINVAL},
		{"1.0.0.0/8", "2001:db8::9", 0, syscall.EINVAL},
		{"1.0.0.0/8", hostA, 0, syscall.EINVAL},
	} {
		if err := add(c.dst, c.via, c.metric, 0); !errors.Is(err, c.err) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	remove := func(dst, via string, metric int) error {
		b.h.Enter()
		defer b.h.Leave()
		return b.l.RemoveRoute(Route{Dst: prefix(dst), Via: addr(via), Metric: metric})
	}
	if err := remove("192.168.0.0/16", "10.0.0.3", 5); err != nil {
		t.Error(err)
	}
	if err := remove("192.168.0.0/16", "10.0.0.3", 5); !errors.Is(err, syscall.ESRCH) {
		t.Error(err)
	}
	if p, _ := b.route("192.168.1.1", "", 0); p.Next != addr("10.0.0.2") || p.MTU != 1400 {
		t.Errorf("%+v", p)
	}
	if n := len(b.l.Routes()); n != 6+3 {
		t.Errorf("%d routes: %v", n, b.l.Routes())
	}
}

func TestAddresses(t *testing.T) {
	b := newBench(t, Config{})
	do := func(f func() error) error {
		b.h.Enter()
		defer b.h.Leave()
		return f()
	}
	for a, want := range map[string]error{
		hostA + "/24": syscall.EEXIST, "127.0.0.2/8": syscall.EINVAL, "0.0.0.0/8": syscall.EINVAL,
		"224.0.0.1/4": syscall.EINVAL, "255.255.255.255/32": syscall.EINVAL, "::ffff:1.2.3.4/128": syscall.EINVAL,
		"::/128": syscall.EINVAL, "10.0.0.6/24": nil,
	} {
		if err := do(func() error { return b.l.AddAddr(b.eth, prefix(a)) }); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", a, err, want)
		}
	}
	if !b.l.IsBroadcast(addr("10.0.0.255")) || b.l.IsBroadcast(addr("10.0.1.255")) || !b.l.IsBroadcast(limitedBroadcast) {
		t.Error("broadcast addresses")
	}
	// The second address of a network takes over from the first.
	if err := do(func() error { return b.l.RemoveAddr(b.eth, prefix(hostA+"/24")) }); err != nil {
		t.Fatal(err)
	}
	if p, err := b.route("10.0.0.9", "", 0); err != nil || p.Src != addr("10.0.0.6") {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := b.route("10.0.0.6", "", 0); err != nil || p.Src != addr("10.0.0.6") || !p.Local {
		t.Errorf("%+v %v", p, err)
	}
	if b.l.IsLocal(addr(hostA)) || !b.l.IsBroadcast(addr("10.0.0.255")) {
		t.Error("after removal")
	}
	if err := do(func() error { return b.l.RemoveAddr(b.eth, prefix(hostA+"/24")) }); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Error(err)
	}
	b.do(func() { b.l.RemoveIface(b.eth) })
	if b.l.IsLocal(addr(hostB)) || b.l.IsBroadcast(addr("10.0.0.255")) || len(b.l.Routes()) != 0 || b.l.Iface(2) != nil {
		t.Error("after the interface's removal")
	}
	if _, err := b.route("10.0.0.9", "", 0); !errors.Is(err, syscall.ENETUNREACH) {
		t.Error(err)
	}
}

func TestDirectedBroadcast(t *testing.T) {
	for a, want := range map[string]string{
		"10.1.2.3/8": "10.255.255.255", "10.1.2.3/12": "10.15.255.255", "10.1.2.3/24": "10.1.2.255",
		"10.1.2.3/30": "10.1.2.3", "10.1.2.3/31": "", "10.1.2.3/32": "", "10.1.2.3/0": "255.255.255.255",
	} {
		got, ok := directedBroadcast(prefix(a))
		if ok != (want != "") || ok && got != addr(want) {
			t.Errorf("%s: %v %v", a, got, ok)
		}
	}
}

func TestPathMTU(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() {
		gen := b.l.Generation()
		for _, c := range []struct {
			dst  string
			mtu  int
			want bool
			then int
		}{
			{peerA, 1400, true, 1400},
			{peerA, 1450, false, 1400}, // only ever lower
			{peerA, 100, true, 552},
			{peerB, 1300, true, 1300},
			{peerB, 68, true, 1280},
			{hostA, 600, false, 0},
			{"8.8.8.8", 600, false, 0}, // no route
		} {
			if got := b.l.LowerPathMTU(addr(c.dst), c.mtu); got != c.want || b.l.PathMTU(addr(c.dst)) != c.then {
				t.Errorf("%+v: %v, %d", c, got, b.l.PathMTU(addr(c.dst)))
			}
		}
		if b.l.Generation() == gen {
			t.Error("the generation did not change")
		}
	})
	if p, _ := b.route(peerA, "", 0); p.MTU != 552 {
		t.Errorf("MTU %d", p.MTU)
	}
	b.clock.Advance(mtuAge - 1)
	gen := b.l.Generation()
	if p, _ := b.route(peerB, "", 0); p.MTU != 1280 {
		t.Errorf("MTU %d", p.MTU)
	}
	b.clock.Advance(1)
	if p, _ := b.route(peerB, "", 0); p.MTU != 1500 || b.l.Generation() == gen {
		t.Errorf("MTU %d after it is too old", p.MTU)
	}
	if len(b.l.mtus) != 0 {
		t.Errorf("%d MTUs remembered", len(b.l.mtus))
	}
}

func TestPathMTUBound(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() {
		b.l.AddRoute(Route{Dst: prefix("0.0.0.0/0"), Via: addr(peerA)})
		for i := range maxMTUs + 100 {
			b.l.LowerPathMTU(netip.AddrFrom4([4]byte{20, 0, byte(i >> 8), byte(i)}), 1000)
		}
		// A quarter of them has made room, those of the first ones.
		if n := len(b.l.mtus); n != maxMTUs*3/4+100 {
			t.Errorf("%d", n)
		}
	})
}

// The table finds what a search through all routes finds.
func TestRouteTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ifaces := []*Iface{{}, {}}
		pick := rapid.Custom(func(t *rapid.T) Route {
			// Few addresses, so that routes often meet.
			a := netip.AddrFrom4([4]byte{byte(rapid.IntRange(0, 3).Draw(t, "a")), byte(rapid.IntRange(0, 3).Draw(t, "b")), 0, 1})
			p, _ := a.Prefix(rapid.SampledFrom([]int{0, 1, 7, 8, 15, 16, 32}).Draw(t, "bits"))
			return Route{Dst: p, Metric: rapid.IntRange(0, 2).Draw(t, "metric"), Iface: rapid.SampledFrom(ifaces).Draw(t, "iface")}
		})
		var table routeTable
		var all []Route
		find := func(r Route) int {
			return slices.IndexFunc(all, func(o Route) bool { return r.same(&o) })
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				r := pick.Draw(t, "route")
				if known := find(r) >= 0; table.add(r) == known {
					t.Fatalf("add %v: known %v", r, known)
				} else if !known {
					all = append(all, r)
				}
			},
			"remove": func(t *rapid.T) {
				r := pick.Draw(t, "route")
				i := find(r)
				if table.remove(r) != (i >= 0) {
					t.Fatalf("remove %v: at %d", r, i)
				}
				if i >= 0 {
					all = slices.Delete(all, i, i+1)
				}
			},
			"removeIface": func(t *rapid.T) {
				i := rapid.SampledFrom(ifaces).Draw(t, "iface")
				table.removeIface(i)
				all = slices.DeleteFunc(all, func(r Route) bool { return r.Iface == i })
			},
			"": func(t *rapid.T) {
				if n := len(table.all(nil)); n != len(all) {
					t.Fatalf("%d routes, want %d", n, len(all))
				}
				dst := pick.Draw(t, "dst").Dst.Addr()
				for _, via := range append(ifaces, nil) {
					var best *Route
					for i, r := range all {
						if r.Dst.Contains(dst) && (via == nil || r.Iface == via) && (best == nil || r.Dst.Bits() > best.Dst.Bits() ||
							r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric) {
							best = &all[i]
						}
					}
					got := table.lookup(dst, via)
					if (got == nil) != (best == nil) || got != nil && (got.Dst != best.Dst || got.Metric != best.Metric) {
						t.Fatalf("%v: %v, want %v", dst, got, best)
					}
				}
			},
		})
	})
}

// A lookup costs as many steps as there are prefix lengths, not routes.
func BenchmarkRoute100000(b *testing.B) {
	tb := newBench(b, Config{})
	tb.h.Enter()
	defer tb.h.Leave()
	for i := range 100000 {
		net := netip.PrefixFrom(netip.AddrFrom4([4]byte{20 + byte(i>>16), byte(i >> 8), byte(i), 0}), 24)
		if err := tb.l.AddRoute(Route{Dst: net, Via: addr(peerA)}); err != nil {
			b.Fatal(err)
		}
	}
	dst := addr("20.30.40.50")
	for b.Loop() {
		if _, err := tb.l.Route(dst, netip.Addr{}, 0); err != nil {
			b.Fatal(err)
		}
	}
}
