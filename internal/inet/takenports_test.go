package inet

import (
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"

	"usock/clock"
	"usock/internal/host"
)

// connectAll makes connections to k's destination until no port is left.
func connectAll(t *testing.T, st *Stack, k tuple) map[uint16]*tcpEndpoint {
	t.Helper()
	all := make(map[uint16]*tcpEndpoint)
	for {
		e := &tcpEndpoint{proto: st.tcp}
		if _, err := st.tcp.choosePort(e, &k); err != nil {
			return all
		}
		if all[k.lport] != nil {
			t.Fatalf("port %d twice", k.lport)
		}
		all[k.lport] = e
	}
}

func (e *tcpEndpoint) gone() {
	e.goneInSecret()
	e.proto.vacated(&e.tuple)
}

// goneInSecret is gone without a word to those who remember what is taken.
func (e *tcpEndpoint) goneInSecret() {
	e.proto.conns.remove(&e.node)
	e.proto.ports.remove(&e.binding)
}

// Where every port to a destination is taken, a search for one looks at none, and finds at once the
// one that has become free: by the end of a connection, of a TIME-WAIT, or of bind's claim.
func TestPortsExhausted(t *testing.T) {
	st, err := New(host.New(&clock.Manual{}), Config{})
	if err != nil {
		t.Fatal(err)
	}
	lo := netip.MustParseAddr("127.0.0.1")
	k := tuple{laddr: lo, raddr: lo, rport: 80}
	held := &binding{addr: lo}
	st.tcp.ports.claim(held, 40001)
	all := connectAll(t, st, k)
	if len(all) != ephemerals-1 {
		t.Fatalf("%d connections, want %d", len(all), ephemerals-1)
	}
	set := st.tcp.taken.of[destination{lo, lo, 80}]
	if set == nil || set.n != ephemerals {
		t.Fatalf("taken: %+v, want all", set != nil)
	}

	// What is free behind the set's back is not found: nothing was looked at.
	secret := all[50000]
	secret.goneInSecret()
	try := func() (uint16, error) {
		e, k := &tcpEndpoint{proto: st.tcp}, k
		_, err := st.tcp.choosePort(e, &k)
		if err == nil {
			all[k.lport] = e
		}
		return k.lport, err
	}
	if _, err := try(); err != syscall.EADDRNOTAVAIL {
		t.Errorf("a search has looked at what it knows to be taken: %v", err)
	}
	for _, port := range []uint16{ephemeralFirst, 33333, 50001, ephemeralLast} {
		all[port].gone()
		if got, err := try(); got != port || err != nil {
			t.Errorf("port %d, %v; want %d", got, err, port)
		}
		if _, err := try(); err != syscall.EADDRNOTAVAIL {
			t.Errorf("with none left: %v", err)
		}
	}
	st.tcp.ports.remove(held)
	if got, err := try(); got != 40001 || err != nil {
		t.Errorf("port %d, %v; want the one that bind had", got, err)
	}

	// A TIME-WAIT without timestamps gives way at its end.
	all[44444].gone()
	w := &timeWait{proto: st.tcp}
	w.tuple, w.addr, w.auto = tuple{lo, lo, 44444, 80}, lo, true
	st.tcp.conns.add(&w.node, w)
	st.tcp.ports.add(&w.binding, 44444)
	st.tcp.timeWaits.Add(1)
	if _, err := try(); err != syscall.EADDRNOTAVAIL {
		t.Errorf("a TIME-WAIT has given way: %v", err)
	}
	w.end(false)
	if got, err := try(); got != 44444 || err != nil {
		t.Errorf("port %d, %v; want 44444", got, err)
	}

	// When all are gone so is the set.
	st.tcp.taken.gone(&tuple{lo, lo, 50000, 80})
	for _, e := range all {
		if e.node.owner != nil {
			e.gone()
		}
	}
	if n := len(st.tcp.taken.of); n != 0 {
		t.Errorf("%d sets are left", n)
	}
}

// The choice stays random where most ports are taken: among those that are left each is found.
func TestPortsNearlyExhausted(t *testing.T) {
	st, err := New(host.New(&clock.Manual{}), Config{})
	if err != nil {
		t.Fatal(err)
	}
	lo := netip.MustParseAddr("127.0.0.1")
	k := tuple{laddr: lo, raddr: lo, rport: 80}
	all := connectAll(t, st, k)
	left := []uint16{34000, 41000, 48000, 55000}
	for _, p := range left {
		all[p].gone()
	}
	found := make(map[uint16]int)
	for range 20000 {
		e := &tcpEndpoint{proto: st.tcp}
		if _, err := st.tcp.choosePort(e, &k); err != nil {
			t.Fatal(err)
		}
		found[k.lport]++
		e.gone()
	}
	for _, p := range left {
		if found[p] < 2000 {
			t.Errorf("of 20000 searches found %v", found)
			break
		}
	}
}

// Destinations that are remembered are bounded, the fullest first.
func TestTakenPortsBounded(t *testing.T) {
	var tp takenPorts
	lo := netip.MustParseAddr("127.0.0.1")
	for i := range 3 * maxTaken {
		b := tp.begin(destination{lo, lo, uint16(i)})
		b.add(0, 0)
		if i == 7 {
			b.add(1, 0)
		}
	}
	if len(tp.of) != maxTaken || tp.of[destination{lo, lo, 7}] == nil {
		t.Errorf("%d destinations", len(tp.of))
	}
}

// A search for a port that may be shared passes over those that a search before has found to be none,
// and finds one that has become free for its address.
func TestSharedPortExhausted(t *testing.T) {
	var table portTable
	table.init(true)
	one, two := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	all := map[uint16]*binding{}
	for range ephemerals {
		b := &binding{addr: one}
		if err := table.bind(b, 0, 0, 12345); err != nil {
			t.Fatal(err)
		}
		all[b.bucket.port] = b
	}
	for range 2 {
		if err := table.bind(&binding{addr: one}, 0, 0, 12345); err != syscall.EADDRINUSE {
			t.Errorf("with none left: %v", err)
		}
	}
	if r := table.refusedTo(&binding{addr: one}); r == nil || r.n < ephemerals-learnAfter {
		t.Fatal("nothing is known of the address")
	}
	for _, p := range []uint16{ephemeralFirst, 45678, 45679, ephemeralLast} {
		// The one that has it connects: it has another address then.
		all[p].addr = two
		table.changed(p)
		b := &binding{addr: one}
		if err := table.bind(b, 0, 0, 777); err != nil || b.bucket.port != p {
			t.Fatalf("port %d: %v", p, err)
		}
		table.remove(b)
		b = &binding{addr: one}
		if err := table.bind(b, 0, p, 777); err != syscall.EADDRINUSE {
			t.Errorf("port %d, which is to be avoided: %v", p, err)
		}
		if err := table.bind(b, 0, 0, 777); err != nil || b.bucket.port != p {
			t.Errorf("port %d again: %v", p, err)
		}
	}
	for i := range maxTaken + 5 {
		a := netip.AddrFrom4([4]byte{127, 0, 1, byte(i)})
		table.beginRefused(&binding{addr: a})
	}
	if len(table.refused) != maxTaken || table.refusedTo(&binding{addr: one}) != nil {
		t.Errorf("%d addresses are remembered", len(table.refused))
	}
	table.init(false)
	if table.beginRefused(&binding{addr: one}) != nil {
		t.Error("of UDP, where SO_REUSEADDR counts")
	}
}

// What is remembered never hides a port: beside a look at each, with sockets of all kinds that come, go,
// connect and change their device.
func TestSharedPortRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.IPv6Loopback(), netip.IPv4Unspecified()}
	kind := func() *binding {
		b := &binding{addr: addrs[r.IntN(len(addrs))], device: int32(r.IntN(8) / 6), reuse: r.IntN(2) == 0}
		b.six = b.addr.Is6()
		b.v6only = b.six && r.IntN(2) == 0
		return b
	}
	var table portTable
	table.init(true)
	var bound []*binding
	for p := ephemeralFirst; p <= ephemeralLast; p++ {
		for _, addr := range addrs[:3] {
			b := &binding{addr: addr, six: addr.Is6()}
			table.add(b, uint16(p))
			bound = append(bound, b)
		}
	}
	found, none := 0, 0
	for range 400 {
		switch i := r.IntN(len(bound)); r.IntN(3) {
		case 0:
			table.remove(bound[i])
		case 1:
			if b := bound[i]; b.bucket != nil {
				table.changed(b.bucket.port)
				b.device = 1
			}
		case 2:
			b := kind()
			any := false
			for p := ephemeralFirst; p <= ephemeralLast && !any; p++ {
				any = !table.meetsAny(b, uint16(p))
			}
			err := table.bind(b, 0, 0, r.Uint64())
			if (err == nil) != any {
				t.Fatalf("%v for %+v, there is one: %v", err, *b, any)
			}
			if err == nil {
				found++
				bound = append(bound, b)
			} else {
				none++
			}
		}
	}
	if found == 0 || none == 0 {
		t.Errorf("%d found, %d without", found, none)
	}
}

// Which ports are ephemeral ones, and that a set without members is none (Linux, ip_local_port_range).
func TestTakenPortsEdges(t *testing.T) {
	for port, want := range map[uint16]bool{0: false, ephemeralFirst - 1: false, ephemeralFirst: true, ephemeralFirst + 1: true, ephemeralLast - 1: true, ephemeralLast: true, ephemeralLast + 1: false, 65535: false} {
		pair, odd, ok := ephemeral(port)
		if ok != want || ok && uint16(ephemeralFirst+2*pair+odd) != port {
			t.Errorf("port %d: %d, %d, %v", port, pair, odd, ok)
		}
	}
	var tp takenPorts
	lo := netip.MustParseAddr("127.0.0.1")
	tp.unbound(ephemeralFirst)
	one, two := tp.begin(destination{lo, lo, 1}), tp.begin(destination{lo, lo, 2})
	one.add(0, 1)
	two.add(0, 1)
	two.add(3, 0)
	tp.unbound(ephemeralFirst - 1)
	tp.unbound(ephemeralFirst)
	if len(tp.of) != 2 || one.n != 1 || two.n != 2 {
		t.Errorf("%d destinations, %d and %d ports", len(tp.of), one.n, two.n)
	}
	tp.unbound(ephemeralFirst + 1)
	if len(tp.of) != 1 || tp.of[destination{lo, lo, 2}] != two || two.n != 1 || two.has(0, 1) {
		t.Errorf("%d destinations, %d ports", len(tp.of), two.n)
	}
}

// bind's search passes over ports that are used by words, and a port that has become free is found.
func TestAutobindExhausted(t *testing.T) {
	var table portTable
	table.init(true)
	lo := netip.MustParseAddr("127.0.0.1")
	all := map[uint16]*binding{}
	for range ephemerals {
		b := &binding{addr: lo}
		if err := table.bind(b, 0, 0, 12345); err != nil {
			t.Fatal(err)
		}
		all[b.bucket.port] = b
	}
	if len(all) != ephemerals || table.used == nil || table.used.n != ephemerals {
		t.Fatalf("%d ports, used %v", len(all), table.used != nil)
	}
	b := &binding{addr: lo}
	if err := table.bind(b, 0, 0, 12345); err != syscall.EADDRINUSE {
		t.Errorf("with none left: %v", err)
	}
	for _, p := range []uint16{ephemeralFirst, 45678, ephemeralLast} {
		table.remove(all[p])
		if err := table.bind(all[p], 0, 0, 12345); err != nil || all[p].bucket.port != p {
			t.Errorf("port %d: %v", p, err)
		}
	}
	for _, b := range all {
		table.remove(b)
	}
	if table.used != nil || table.buckets.n != 0 {
		t.Errorf("%d buckets are left", table.buckets.n)
	}
}
