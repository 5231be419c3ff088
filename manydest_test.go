package usock_test

import (
	"net/netip"
	"testing"

	"usock"
	"usock/internal/wire"
)

// A SYN to a broadcast or multicast address is dropped in silence, whoever listens
// (RFC 9293 MUST-57); one to the host's own address is answered.
func TestSYNToMany(t *testing.T) {
	h, p := newRawPeer(t, usock.Config{})
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "0.0.0.0:8080")); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(4); err != nil {
		t.Fatal(err)
	}

	syn := wire.TCP{SrcPort: 4000, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}
	for _, to := range []string{"10.0.0.255", "255.255.255.255", "224.0.0.1"} {
		p.host = netip.MustParseAddr(to)
		if got := p.send(syn, ""); len(got) != 0 {
			t.Errorf("a SYN to %s is answered by %+v", to, got)
		}
	}

	p.host = netip.MustParseAddr("10.0.0.2")
	if got := p.send(syn, ""); len(got) != 1 || got[0].Flags != wire.SYN|wire.ACK {
		t.Errorf("a SYN to the host is answered by %+v", got)
	}
}
