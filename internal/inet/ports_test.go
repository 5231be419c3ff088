package inet

import (
	"net/netip"
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
