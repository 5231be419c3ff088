package inet

import (
	"net/netip"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/host"
)

// Initial sequence numbers go up with the clock, a number in 4 µs, for the same four of
// address and port (RFC 9293 MUST-8), and are set apart for others, and on other hosts,
// by what nobody outside can compute (RFC 9293 MUST-9).
func TestISN(t *testing.T) {
	made := func() (*clock.Manual, *tcpProto) {
		manual := &clock.Manual{}
		st, err := New(host.New(manual), Config{})
		if err != nil {
			t.Fatal(err)
		}
		return manual, st.tcp
	}
	isn := func(p *tcpProto, k tuple) uint32 {
		p.Host.Enter()
		defer p.Host.Leave()
		return p.isn(&k)
	}
	manual, p := made()
	_, other := made()

	k := tuple{laddr: netip.MustParseAddr("10.0.0.1"), raddr: netip.MustParseAddr("10.0.0.2"), lport: 4000, rport: 80}
	first := isn(p, k)
	manual.Advance(4 * time.Millisecond)
	if got := isn(p, k) - first; got != 1000 {
		t.Errorf("after 4 ms the number is %d further, want 1000", got)
	}

	// Eight ports on each of two hosts: sixteen numbers, of which two may be the same by chance.
	seen := map[uint32]bool{}
	for range 8 {
		k.lport++
		seen[isn(p, k)] = true
		seen[isn(other, k)] = true
	}
	if len(seen) < 15 {
		t.Errorf("%d different numbers of 16", len(seen))
	}
}
