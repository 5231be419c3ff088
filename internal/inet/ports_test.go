package inet

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"

	"usock/clock"
	"usock/internal/host"
)

// A client can open connections to one place until every ephemeral port is used,
// the odd ones last, and each port serves one of them.
func TestChoosePortAll(t *testing.T) {
	st, err := New(host.New(&clock.Manual{}), Config{})
	if err != nil {
		t.Fatal(err)
	}
	lo := netip.MustParseAddr("127.0.0.1")
	const all = ephemeralLast - ephemeralFirst + 1
	seen := make(map[uint16]bool)
	odd := 0
	for i := range all {
		e := &tcpEndpoint{proto: st.tcp}
		k := tuple{laddr: lo, raddr: lo, rport: 80}
		if _, err := st.tcp.choosePort(e, &k); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if k.lport < ephemeralFirst || k.lport > ephemeralLast || seen[k.lport] {
			t.Fatalf("connection %d has port %d", i, k.lport)
		}
		seen[k.lport] = true
		if k.lport&1 != 0 {
			odd++
		}
		if i == all/4 && odd > all/100 {
			t.Errorf("%d of the first %d ports are odd", odd, i)
		}
	}
	k := tuple{laddr: lo, raddr: lo, rport: 80}
	if _, err := st.tcp.choosePort(&tcpEndpoint{proto: st.tcp}, &k); err != syscall.EADDRNOTAVAIL {
		t.Errorf("with all ports taken: %v, want EADDRNOTAVAIL", err)
	}
	// They are free for another destination.
	k = tuple{laddr: lo, raddr: lo, rport: 81}
	if _, err := st.tcp.choosePort(&tcpEndpoint{proto: st.tcp}, &k); err != nil {
		t.Errorf("another destination: %v", err)
	}
}

// With every ephemeral port taken, port 0 gives a TCP socket none that another one overlaps
// with, though both have SO_REUSEADDR (net.ipv4.ip_autobind_reuse is 0); another address's
// are free for it, and UDP shares (Linux, udp_lib_lport_inuse).
func TestAutobindShares(t *testing.T) {
	for _, c := range []struct {
		name         string
		strict       bool
		theirs, ours string
		reuse        bool
		want         error
	}{
		{"TCP", true, "127.0.0.1", "0.0.0.0", true, syscall.EADDRINUSE},
		{"TCP, another address", true, "127.0.0.1", "127.0.0.2", false, nil},
		{"TCP, IPv6 beside it", true, "127.0.0.1", "::1", false, nil},
		{"UDP", false, "127.0.0.1", "0.0.0.0", true, nil},
		{"UDP, not shared", false, "127.0.0.1", "0.0.0.0", false, syscall.EADDRINUSE},
	} {
		t.Run(c.name, func(t *testing.T) {
			var table portTable
			table.init(c.strict)
			for p := ephemeralFirst; p <= ephemeralLast; p++ {
				b := &binding{addr: netip.MustParseAddr(c.theirs), reuse: true}
				if err := table.bind(b, uint16(p), 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			b := &binding{addr: netip.MustParseAddr(c.ours), reuse: c.reuse}
			b.six = b.addr.Is6()
			if err := table.bind(b, 0, 0, 12345); err != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// A port that is to be avoided is not drawn, wherever the draw begins.
func TestPortAvoided(t *testing.T) {
	const avoid = ephemeralFirst + 1 // the first that is tried from random number 0
	for random := range uint64(4) {
		var table portTable
		table.init(false)
		b := &binding{addr: netip.MustParseAddr("127.0.0.1")}
		if err := table.bind(b, 0, avoid, random); err != nil || b.bucket.port == avoid {
			t.Errorf("%d: port %d, %v", random, b.bucket.port, err)
		}
	}
}

// A search is given up unseen only where a look at each port would have found none.
func TestMeetsAll(t *testing.T) {
	addrs := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified(), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	var every []binding
	for i := range 1 << 7 {
		b := binding{addr: addrs[i&3], six: i&4 != 0, v6only: i&8 != 0, device: int32(i >> 4 & 1), reuse: i&32 != 0}
		b.six = b.six || b.addr.Is6()
		b.v6only = b.v6only && b.six
		b.reuseport = i&64 != 0
		every = append(every, b)
	}
	all := 0
	for _, strict := range []bool{true, false} {
		for _, theirs := range every {
			var table portTable
			table.init(strict)
			table.claim(&theirs, 40000)
			for _, ours := range every {
				if !table.meetsAll(&ours) {
					continue
				}
				all++
				if !table.meetsAny(&ours, 40000) {
					t.Fatalf("strict %v: %+v does not meet %+v", strict, ours, theirs)
				}
			}
			table.remove(&theirs)
			if table.v6only != 0 {
				t.Fatalf("%d that are IPv6 alone are left", table.v6only)
			}
		}
	}
	if all == 0 {
		t.Error("it holds for none")
	}

	// What an ordinary server asks for is among them.
	var table portTable
	table.init(true)
	for _, b := range []binding{{addr: addrs[0]}, {addr: addrs[1], six: true}} {
		if !table.meetsAll(&b) {
			t.Errorf("not for %v", b.addr)
		}
	}
}

// One binding stands for all of a listener's connections on the port, as long as there are any: what they bind is as taken as if each
// were in the list, and one that is not like them, or changes, is in it.
func TestAlike(t *testing.T) {
	var table portTable
	table.init(true)
	lo, other := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	l := &binding{addr: netip.IPv4Unspecified(), listening: true}
	table.claim(l, 80)
	k := l.bucket
	k.like = new(alike)
	listed := func() (n int) {
		for b := k.head; b != nil; b = b.next {
			n++
		}
		return n
	}
	want := func(after string, bindings int, counted int32, conflict bool) {
		t.Helper()
		if n := listed(); n != bindings || k.like.n.Load() != counted {
			t.Errorf("%s: %d bindings in the list and %d counted, want %d and %d", after, n, k.like.n.Load(), bindings, counted)
		}
		if got := table.conflict(&binding{addr: lo}, 80); got != conflict {
			t.Errorf("%s: conflict %v, want %v", after, got, conflict)
		}
	}
	members := []*binding{{addr: lo}, {addr: lo}, {addr: lo}, {addr: other}, {addr: lo, reuse: true}}
	for _, b := range members {
		table.join(k, b)
		if b.bucket != k || b.like != (b.addr == lo && !b.reuse) {
			t.Errorf("%+v", b)
		}
	}
	table.remove(l)
	want("without listener", 3, 3, true)
	table.alone(members[0])
	if members[0].addr = other; members[0].like || members[0].bucket != k {
		t.Errorf("alone: %+v", members[0])
	}
	want("one alone", 4, 2, true)
	table.leave(members[4])
	table.leave(members[1])
	want("one left", 3, 1, true)
	table.leave(members[2])
	table.leave(members[2])
	want("none left", 2, 0, false)
	again := &binding{addr: lo, reuse: true}
	table.join(k, again)
	want("another kind", 3, 1, true)
	table.remove(again)
	want("and none of it", 2, 0, false)
	table.leave(members[0])
	table.leave(members[3])
	if table.buckets.n != 0 {
		t.Errorf("%d ports are left", table.buckets.n)
	}
}

// Those who come and go at once, of two kinds, leave as many as have stayed.
func TestAlikeAtOnce(t *testing.T) {
	var table portTable
	table.init(true)
	l := &binding{addr: netip.IPv4Unspecified(), listening: true}
	table.claim(l, 80)
	l.bucket.like = new(alike)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 2000 {
				b := &binding{addr: netip.AddrFrom4([4]byte{127, 0, 0, byte(i & 1)})}
				table.join(l.bucket, b)
				if i >= 2 {
					table.mu.Lock()
					table.alone(b)
					table.mu.Unlock()
				}
				table.leave(b)
			}
		})
	}
	wg.Wait()
	if n := l.bucket.like.n.Load(); n != 0 || l.bucket.head != l || l.next != nil || table.buckets.n != 1 {
		t.Errorf("%d are counted, %+v is in the list", n, l.bucket.head)
	}
}

// anyBinding returns a binding of one of the addresses.
func anyBinding(r *rand.Rand, addrs []netip.Addr) binding {
	b := binding{addr: addrs[r.IntN(len(addrs))], device: int32(r.IntN(3) / 2), reuse: r.IntN(2) == 0, reuseport: r.IntN(2) == 0}
	b.six = b.addr.Is6() || r.IntN(4) == 0
	b.v6only = b.addr.Is6() && r.IntN(2) == 0
	return b
}

// A table in which a listener's connections are counted refuses and grants what one does that lists them all, whatever comes, goes, changes
// and is handed on, and nothing is left of any.
func TestAlikeRandom(t *testing.T) {
	const port = 40000
	addrs := []netip.Addr{
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.IPv6Loopback(), netip.IPv4Unspecified(), netip.IPv6Unspecified(),
	}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		var tables [2]portTable // of which the second lists all
		var taken [2]takenPorts
		for i := range tables {
			tables[i].init(true)
			tables[i].taken = &taken[i]
			taken[i].begin(destination{}).add((port-ephemeralFirst)/2, 0)
		}
		type pair [2]*binding
		two := func(b binding) pair { c := b; return pair{&b, &c} }
		kind := func() binding { return anyBinding(r, addrs) }
		var listeners, children []pair
		for step := range 200 {
			switch n := len(children); r.IntN(8) {
			case 0: // bind and listen
				l := two(kind())
				l[0].listening, l[1].listening = true, true
				var refused [2]bool
				for i := range tables {
					if refused[i] = tables[i].conflict(l[i], port); !refused[i] {
						tables[i].claim(l[i], port)
						if k := l[i].bucket; k.like == nil {
							k.like = new(alike)
						}
					}
				}
				if refused[0] != refused[1] {
					t.Fatalf("seed %d, step %d: %+v is refused: %v", seed, step, *l[0], refused)
				}
				if !refused[0] {
					listeners = append(listeners, l)
				}
			case 1, 2, 3: // a connection
				if len(listeners) == 0 {
					continue
				}
				l := listeners[r.IntN(len(listeners))]
				c := two(binding{addr: l[0].addr, six: l[0].six, device: l[0].device, reuse: l[0].reuse, reuseport: l[0].reuseport, v6only: l[0].v6only})
				if c[0].addr.IsUnspecified() {
					c[0].addr = addrs[r.IntN(2)]
					c[1].addr = c[0].addr
				}
				tables[0].join(l[0].bucket, c[0])
				tables[1].add(c[1], port)
				children = append(children, c)
			case 4: // an option
				if n > 0 {
					c, to := children[r.IntN(n)], kind()
					tables[0].alone(c[0])
					for _, b := range c {
						b.reuse, b.reuseport, b.device = to.reuse, to.reuseport, to.device
					}
				}
			case 5, 6: // an end
				if n > 0 {
					i := r.IntN(n)
					tables[0].leave(children[i][0])
					tables[1].remove(children[i][1])
					children = slices.Delete(children, i, i+1)
				}
			case 7:
				if n := len(listeners); n > 0 {
					i := r.IntN(n)
					tables[0].remove(listeners[i][0])
					tables[1].remove(listeners[i][1])
					listeners = slices.Delete(listeners, i, i+1)
				}
			}
			for range 4 {
				b := kind()
				for name, f := range map[string]func(*portTable) bool{
					"conflict": func(t *portTable) bool { return t.conflict(&b, port) },
					"meets":    func(t *portTable) bool { return t.meetsAny(&b, port) },
					"sharable": func(t *portTable) bool { return t.sharable(port) },
					"bound":    func(t *portTable) bool { return t.buckets.get(port) != nil },
					"all":      func(t *portTable) bool { return t.meetsAll(&b) },
					"taken":    func(t *portTable) bool { return t.taken.some.Load() },
				} {
					if got, want := f(&tables[0]), f(&tables[1]); got != want {
						t.Fatalf("seed %d, step %d: %s of %+v: %v, want %v", seed, step, name, b, got, want)
					}
				}
			}
		}
		for _, b := range append(listeners, children...) {
			tables[0].leave(b[0])
		}
		if n := tables[0].buckets.n; n != 0 || tables[0].v6only != 0 {
			t.Errorf("seed %d: %d ports are left, %d with IPv6 only", seed, n, tables[0].v6only)
		}
	}
}
