package ip

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"
)

// Which address of several is the source for a destination (RFC 6724, section 5): the scope first,
// then the interface, then the longest common prefix. Addresses stand in the order in which they are
// added, of which nothing else may depend than which of two equal ones is taken.
func TestSourceSelection6(t *testing.T) {
	for _, c := range []struct {
		name     string
		here     []string // of the interface by which the packet leaves
		there    []string // of another one
		dst      string
		want     string
		inOrders bool // in each order of here
	}{
		{"global for global", []string{"fe80::1", "2001:db8::1"}, nil, "2001:db8:5::1", "2001:db8::1", true},
		{"link-local for link-local", []string{"fe80::1", "2001:db8::1"}, nil, "fe80::9", "fe80::1", true},
		{"link-local for a group of the link", []string{"fe80::1", "2001:db8::1"}, nil, "ff02::1", "fe80::1", true},
		{"global for a group of the site", []string{"fe80::1", "2001:db8::1"}, nil, "ff05::1", "2001:db8::1", true},
		{"the only one, of too small a scope", []string{"fe80::1"}, nil, "ff05::1", "fe80::1", true},
		{"global of another interface rather than link-local", []string{"fe80::1"}, []string{"2001:db8::1"}, "2001:db8:5::1", "2001:db8::1", true},
		{"link-local of another interface never", nil, []string{"fe80::1"}, "ff02::1", "", true},
		{"link-local of another interface never, whatever it is alike", []string{"2001:db8::1"}, []string{"fe80::1"}, "ff02::1", "2001:db8::1", true},
		{"the longest prefix", []string{"2001:db8:1::1", "2001:db8:2::1", "2001:db8:2:8000::1"}, nil, "2001:db8:2:8fff::9", "2001:db8:2:8000::1", true},
		{"the longest prefix by one bit", []string{"2001:db8::1", "2001:db8:0:4::1"}, nil, "2001:db8:0:6::9", "2001:db8:0:4::1", true},
		{"the first of two that are alike", []string{"2001:db8::3", "2001:db8::2"}, nil, "2001:db9::9", "2001:db8::3", false},
		{"of this interface rather than the longest", []string{"2001:db8:1::1"}, []string{"2001:db8:2::1"}, "2001:db8:2::9", "2001:db8:1::1", true},
	} {
		orders := [][]string{c.here}
		if c.inOrders {
			orders = append(orders, slices.Clone(c.here))
			slices.Reverse(orders[1])
		}
		for _, here := range orders {
			for _, first := range []bool{false, true} {
				b := newBench(t, Config{})
				var out, other *Iface
				b.do(func() {
					b.l.RemoveIface(b.eth)
					if first {
						out = b.l.AddIface(IfaceConfig{Name: "out", Out: b.h.NewPort(b.wire)})
						other = b.l.AddIface(IfaceConfig{Name: "other", Out: b.h.NewPort(b.wire)})
					} else {
						other = b.l.AddIface(IfaceConfig{Name: "other", Out: b.h.NewPort(b.wire)})
						out = b.l.AddIface(IfaceConfig{Name: "out", Out: b.h.NewPort(b.wire)})
					}
					for _, a := range here {
						b.l.AddAddr(out, netip.PrefixFrom(addr(a), 128))
					}
					for _, a := range c.there {
						b.l.AddAddr(other, netip.PrefixFrom(addr(a), 128))
					}
					b.l.AddRoute(Route{Dst: prefix("::/0"), Iface: out})
				})
				p, err := b.route(c.dst, "", out.Index())
				if c.want == "" {
					if !errors.Is(err, syscall.EADDRNOTAVAIL) {
						t.Errorf("%s: %v, %v", c.name, p.Src, err)
					}
				} else if err != nil || p.Src != addr(c.want) {
					t.Errorf("%s, %v: %v, want %s, %v", c.name, here, p.Src, c.want, err)
				}
			}
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"::", "::", 128}, {"2001:db8::", "2001:db8::1", 127}, {"2001:db8::", "2001:db9::", 31}, {"8000::", "::", 0}, {"2001:db8:4::", "2001:db8:6::", 46}} {
		if n := commonBits(addr(c.a), addr(c.b)); n != c.want {
			t.Errorf("%s and %s have %d bits in common, want %d", c.a, c.b, n, c.want)
		}
	}
}

// Which IPv4 address is the source: of the interface the one in the network of the next hop, else its
// first; else one of another interface; on the loopback interface 127.0.0.1; else none.
func TestSourceSelection4(t *testing.T) {
	for _, c := range []struct {
		name        string
		here, there []string
		dst, via    string
		want        string
	}{
		{"in the network", []string{"10.0.0.1/24", "10.1.0.1/24"}, nil, "10.1.0.9", "", "10.1.0.1"},
		{"in the gateway's network", []string{"10.0.0.1/24", "10.1.0.1/24"}, nil, "8.8.8.8", "10.1.0.9", "10.1.0.1"},
		{"the first", []string{"10.0.0.1/24", "10.1.0.1/24"}, nil, "8.8.8.8", "", "10.0.0.1"},
		{"the first, rather than another interface's", []string{"10.0.0.1/24", "10.1.0.1/24"}, []string{"10.2.0.1/24"}, "8.8.8.8", "", "10.0.0.1"},
		{"of another interface", nil, []string{"10.1.0.1/24"}, "8.8.8.8", "", "10.1.0.1"},
		{"IPv6 ones are none", []string{"2001:db8::1/64"}, []string{"2001:db8::2/64", "10.1.0.1/24"}, "8.8.8.8", "", "10.1.0.1"},
		{"none", []string{"2001:db8::1/64"}, nil, "8.8.8.8", "", "0.0.0.0"},
	} {
		b := newBench(t, Config{})
		b.do(func() {
			b.l.RemoveIface(b.eth)
			other := b.l.AddIface(IfaceConfig{Name: "other", Out: b.h.NewPort(b.wire)})
			out := b.l.AddIface(IfaceConfig{Name: "out", Out: b.h.NewPort(b.wire)})
			for _, a := range c.here {
				b.l.AddAddr(out, prefix(a))
			}
			for _, a := range c.there {
				b.l.AddAddr(other, prefix(a))
			}
			r := Route{Dst: prefix("8.0.0.0/8"), Iface: out}
			if c.via != "" {
				r = Route{Dst: prefix("8.0.0.0/8"), Via: addr(c.via)}
			}
			if err := b.l.AddRoute(r); err != nil {
				t.Error(err)
			}
		})
		if p, err := b.route(c.dst, "", 0); err != nil || p.Src != addr(c.want) {
			t.Errorf("%s: %v, want %s, %v", c.name, p.Src, c.want, err)
		}
	}

	// A host that has the loopback interface alone.
	b := newBench(t, Config{})
	b.do(func() {
		b.l.RemoveIface(b.eth)
		b.l.AddRoute(Route{Dst: prefix("8.0.0.0/8"), Iface: b.lo})
	})
	if p, err := b.route("8.8.8.8", "", 0); err != nil || p.Src != loopback4 {
		t.Errorf("%v, %v", p.Src, err)
	}
}

// What a route says besides where it leads: a source and an MTU; and what it may say.
func TestRouteFields(t *testing.T) {
	b := newBench(t, Config{})
	b.do(func() {
		b.l.AddAddr(b.eth, prefix("10.0.0.6/24"))
		b.l.AddAddr(b.eth, prefix("2001:db8::6/64"))
	})
	for _, c := range []struct {
		name string
		r    Route
		err  error
	}{
		{"a source of its own", Route{Dst: prefix("192.0.2.0/24"), Via: addr(peerA), Src: addr("10.0.0.6"), MTU: 1500}, nil},
		{"IPv6, a source of its own", Route{Dst: prefix("2001:db8:2::/64"), Via: addr(peerB), Src: addr("2001:db8::6"), MTU: 1400}, nil},
		{"a zone, which the interface is", Route{Dst: prefix("2001:db8:3::/64"), Via: netip.MustParseAddr("fe80::9%eth0"), Iface: b.eth}, nil},
		{"a group over a gateway", Route{Dst: prefix("ff05::/16"), Via: addr(peerB)}, nil},
		{"a source of somebody else", Route{Dst: prefix("198.51.100.0/24"), Via: addr(peerA), Src: addr("10.0.0.7")}, syscall.EINVAL},
		{"a negative MTU", Route{Dst: prefix("198.51.100.0/24"), Via: addr(peerA), MTU: -1}, syscall.EINVAL},
		{"no destination", Route{Via: addr(peerA)}, syscall.EINVAL},
		{"a mapped destination", Route{Dst: netip.PrefixFrom(addr("::ffff:1.2.3.0"), 120), Iface: b.eth}, syscall.EINVAL},
		{"neither gateway nor interface", Route{Dst: prefix("198.51.100.0/24")}, syscall.ENODEV},
		{"an unspecified gateway", Route{Dst: prefix("198.51.100.0/24"), Via: addr("0.0.0.0")}, syscall.EINVAL},
		{"a group for a gateway", Route{Dst: prefix("198.51.100.0/24"), Via: addr("224.0.0.1")}, syscall.EINVAL},
		{"a gateway on another interface", Route{Dst: prefix("198.51.100.0/24"), Via: addr(peerA), Iface: b.lo}, syscall.ENETUNREACH},
		{"a gateway that nobody knows", Route{Dst: prefix("198.51.100.0/24"), Via: addr("203.0.113.1")}, syscall.ENETUNREACH},
	} {
		b.do(func() {
			if err := b.l.AddRoute(c.r); !errors.Is(err, c.err) {
				t.Errorf("%s: %v, want %v", c.name, err, c.err)
			}
		})
	}
	for _, c := range []struct {
		dst, src string // asked
		from     string
		next     string
		mtu      int
	}{
		{"192.0.2.9", "", "10.0.0.6", peerA, 1500}, {"192.0.2.9", hostA, hostA, peerA, 1500}, {"192.0.2.9", "0.0.0.0", "10.0.0.6", peerA, 1500},
		{"2001:db8:2::9", "", "2001:db8::6", peerB, 1400}, {"2001:db8:2::9", hostB, hostB, peerB, 1400}, {"2001:db8:2::9", "::", "2001:db8::6", peerB, 1400},
		{"2001:db8:3::9", "", hostB, "fe80::9", 1500}, {"ff05::1", "", hostB, "ff05::1", 1500},
	} {
		p, err := b.route(c.dst, c.src, 0)
		if err != nil || p.Src != addr(c.from) || p.Next != addr(c.next) || p.MTU != c.mtu || p.Gen != b.l.Generation() || p.InMemory() {
			t.Errorf("%+v: %+v, %v", c, p, err)
		}
	}
	if p, err := b.route("127.0.0.1", "", 0); err != nil || !p.InMemory() || p.Gen != b.l.Generation() {
		t.Errorf("%+v, %v", p, err)
	}

	// Neither ::1 nor a mapped address leads anywhere, whatever the table says.
	b.do(func() { b.l.AddRoute(Route{Dst: prefix("::/0"), Via: addr(peerB)}) })
	for _, dst := range []string{"::1", "::ffff:1.2.3.4"} {
		if p, err := b.route(dst, "", b.eth.Index()); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("%s: %+v, %v", dst, p, err)
		}
	}
	b.do(func() { b.l.RemoveRoute(Route{Dst: prefix("::/0"), Via: addr(peerB)}) })

	// A route is removed by what names it, and the paths over it are asked for anew.
	for _, c := range []struct {
		r   Route
		err error
	}{
		{Route{Dst: prefix("192.0.2.0/24"), Via: addr(peerA), Metric: 1}, syscall.ESRCH},
		{Route{Dst: prefix("192.0.2.0/24"), Via: addr("10.0.0.3")}, syscall.ESRCH},
		{Route{Dst: prefix("192.0.2.0/25"), Via: addr(peerA)}, syscall.ESRCH},
		{Route{Dst: prefix("192.0.2.0/24"), Via: addr(peerA), Iface: b.lo}, syscall.ESRCH},
		{Route{Dst: prefix("192.0.2.0/24"), Via: addr(peerA)}, nil},
		{Route{Dst: prefix("2001:db8:2::/64"), Via: addr(peerB), Iface: b.eth}, nil},
	} {
		gen := b.l.Generation()
		b.do(func() {
			if err := b.l.RemoveRoute(c.r); !errors.Is(err, c.err) || (b.l.Generation() != gen) != (err == nil) {
				t.Errorf("%+v: %v, want %v", c.r, err, c.err)
			}
		})
	}
	if _, err := b.route("192.0.2.9", "", 0); !errors.Is(err, syscall.ENETUNREACH) {
		t.Error(err)
	}
}

// Of routes to one destination the one with the lowest metric is used; of equal ones the first.
func TestRouteMetrics(t *testing.T) {
	b := newBench(t, Config{})
	dst := prefix("192.0.2.0/24")
	b.do(func() {
		for _, r := range []Route{{Dst: dst, Via: addr("10.0.0.3"), Metric: 5}, {Dst: dst, Via: addr("10.0.0.4"), Metric: 5}, {Dst: dst, Via: addr("10.0.0.5"), Metric: 9}, {Dst: dst, Via: addr("10.0.0.6"), Metric: 9}} {
			if err := b.l.AddRoute(r); err != nil {
				t.Error(err)
			}
		}
		b.l.AddRoute(Route{Dst: prefix("198.51.100.0/24"), Iface: b.eth})
		b.l.AddRoute(Route{Dst: prefix("8.0.0.0/24"), Iface: b.eth})
	})
	for _, via := range []string{"10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"} {
		if p, err := b.route("192.0.2.9", "", 0); err != nil || p.Next != addr(via) {
			t.Errorf("%v, want %s, %v", p.Next, via, err)
		}
		b.do(func() {
			m := 9
			if via < "10.0.0.5" {
				m = 5
			}
			if err := b.l.RemoveRoute(Route{Dst: dst, Via: addr(via), Metric: m}); err != nil {
				t.Error(err)
			}
		})
	}
	if n := len(b.l.rt4.lens); n != 1 {
		t.Errorf("%d prefix lengths are looked at, of which one is in use", n) // 24
	}
	// Those that are listed stand by prefix length and network.
	var got []string
	for _, r := range b.l.Routes() {
		got = append(got, r.Dst.String())
	}
	if want := []string{"8.0.0.0/24", "10.0.0.0/24", "198.51.100.0/24", "2001:db8::/64", "fe80::/64"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Broadcasts and groups, by what is bound and asked for (ip(7); Linux, ip_route_output_key).
func TestRouteToMany(t *testing.T) {
	b := newBench(t, Config{})
	const lo, eth = 1, 2
	b.do(func() {
		b.l.AddRoute(Route{Dst: prefix("224.0.0.0/4"), Via: addr(peerA), MTU: 1000})
		b.l.AddRoute(Route{Dst: prefix("255.255.255.255/32"), Via: addr(peerA), MTU: 1000})
		b.l.AddRoute(Route{Dst: prefix("10.0.0.0/8"), Via: addr(peerA)})
	})
	// Where the interface is named, its own MTU counts, else the route's.
	for dst, via := range map[string]int{"224.1.1.1": eth, "255.255.255.255": eth} {
		for _, x := range []struct{ via, mtu int }{{via, 1500}, {0, 1000}} {
			if p, err := b.route(dst, "", x.via); err != nil || p.MTU != x.mtu {
				t.Errorf("%s by %d: an MTU of %d, want %d, %v", dst, x.via, p.MTU, x.mtu, err)
			}
		}
	}
	for _, c := range []struct {
		dst, src  string
		via       int
		from      string
		dev       int
		broadcast bool
		err       error
	}{
		{"127.255.255.255", "", 0, "127.0.0.1", lo, true, nil},
		{"127.255.255.255", "", lo, "127.0.0.1", lo, true, nil},
		{"127.255.255.255", hostA, 0, hostA, lo, true, nil},
		{"127.255.255.255", "", eth, "", 0, false, syscall.ENETUNREACH},
		{"224.1.1.1", "", 0, hostA, eth, false, nil}, // groups are on the link, whatever the table says
		{"10.0.0.255", "", 0, hostA, eth, true, nil},
		{"255.255.255.255", hostA, 0, hostA, eth, true, nil},
		{"255.255.255.255", "127.0.0.1", 0, "127.0.0.1", lo, true, nil},
		{"255.255.255.255", "127.0.0.7", 0, "127.0.0.7", lo, true, nil},
		{"224.1.1.1", "127.0.0.7", 0, "127.0.0.7", lo, false, nil},
		{"224.1.1.1", hostA, lo, hostA, lo, false, nil},
	} {
		p, err := b.route(c.dst, c.src, c.via)
		if !errors.Is(err, c.err) || err == nil && (p.Src != addr(c.from) || p.Iface.Index() != c.dev || p.Broadcast != c.broadcast || p.Next != addr(c.dst)) {
			t.Errorf("%+v: %+v, %v", c, p, err)
		}
	}
}
