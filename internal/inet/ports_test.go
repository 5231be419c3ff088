package inet

import (
	"net/netip"
	"syscall"
	"testing"

	"usock/internal/host"
)

// A client can open connections to one place until every ephemeral port is used,
// the odd ones last, and each port serves one of them.
func TestChoosePortAll(t *testing.T) {
	st, err := New(host.New(&host.Manual{}), Config{})
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
		e.tuple = k
		st.tcp.conns.add(&e.node, e)
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
