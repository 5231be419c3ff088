//go:build linux

package gateway

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock"
)

// turned calls f with the gateway's turn.
func (r *run) turned(f func()) {
	done := make(chan struct{})
	r.g.leave(func() {
		defer close(done)
		f()
	})
	<-done
}

func peerAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 53)
}

// TestAccountsBounded has a socket talk with more peers than there is room for: the one that
// was used longest ago is displaced, and the idle ones are ended.
func TestAccountsBounded(t *testing.T) {
	p := new(paper)
	l := NewFlowLog(p)
	r := newRun(t, Config{FlowLog: l})
	r.turned(func() {
		var with peers
		local := netip.MustParseAddrPort("198.18.77.2:1000")
		for i := range maxAccounts {
			with.open(r.g, unix.IPPROTO_UDP, outward, local, peerAddr(i))
		}
		with.open(r.g, unix.IPPROTO_UDP, outward, local, peerAddr(0)).carried(7, 0)
		with.open(r.g, unix.IPPROTO_UDP, outward, local, peerAddr(maxAccounts))
		if n := r.g.recent.Len(); n != maxAccounts || len(with.by) != maxAccounts {
			t.Errorf("%d accounts, %d of the socket", n, len(with.by))
		}
		if with.find(peerAddr(1)) != nil || with.find(peerAddr(0)) == nil {
			t.Error("the wrong one was displaced")
		}
		with.find(peerAddr(0)).used = r.g.clock.Now()
		r.g.sweepAccounts(r.g.clock.Now() + mappingIdle + time.Second)
		if r.g.recent.Len() != 0 || len(with.by) != 0 || with.last != nil {
			t.Errorf("%d accounts are left", r.g.recent.Len())
		}
	})
	l.Close() // with lines left out, perhaps
	text := p.String()
	if n := strings.Count(text, `"outcome":"displaced"`); n != 1 {
		t.Errorf("%d displaced", n)
	}
	if !strings.Contains(text, `"outcome":"idle"`) {
		t.Error("none was idle")
	}
}

// TestFlowLogBurst has all flows of a gateway end at one time, faster than anything is written.
func TestFlowLogBurst(t *testing.T) {
	p := new(paper)
	l := NewFlowLog(p)
	p.mu.Lock()
	for range maxStreams + maxAccounts {
		l.put(someRecord())
	}
	p.mu.Unlock()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(p.String(), "\n"); n != maxStreams+maxAccounts {
		t.Errorf("%d lines", n)
	}
}

// TestDenialsBounded tells of each denial once in a while, of so many at most.
func TestDenialsBounded(t *testing.T) {
	var d denials
	now := time.Duration(0)
	key := func(i int) denialKey { return denialKey{proto: unix.IPPROTO_UDP, remote: peerAddr(i)} }
	for i := range 2 * maxDenials {
		if !d.first(key(i), now) || d.first(key(i), now) {
			t.Fatalf("%d is not new, or new twice", i)
		}
	}
	if len(d.known) != maxDenials || d.recent.Len() != maxDenials {
		t.Errorf("%d are known, %d in order", len(d.known), d.recent.Len())
	}
	if last := key(2*maxDenials - 1); d.first(last, now+mappingIdle) || !d.first(last, now+3*mappingIdle) {
		t.Error("a denial is told of at the wrong time")
	}
}

// TestAlertsBounded tells the user of so much and no more.
func TestAlertsBounded(t *testing.T) {
	p := new(paper)
	r := newRun(t, Config{Rules: rulesOf(t, "-10.0.0.0/8")})
	r.turned(func() {
		r.g.alerts.close(func() {})
		r.g.alerts = newLines(p)
		for range 2 {
			for i := range maxToldDenials + 100 {
				if !r.g.denies(unix.IPPROTO_UDP, outward, netip.MustParseAddrPort("198.18.77.2:1000"), peerAddr(i)) {
					t.Fatal("it was allowed")
				}
			}
		}
		r.g.alerts.close(func() {})
		r.g.alerts = nil
	})
	lines := strings.Split(strings.TrimSpace(p.String()), "\n")
	if len(lines) != maxToldDenials+1 {
		t.Fatalf("%d lines", len(lines))
	}
	if want := "usock: a process: 10.0.0.0:53/udp was denied: --deny 10.0.0.0/8"; lines[0] != want {
		t.Errorf("%q, want %q", lines[0], want)
	}
	if want := "usock: more is denied than is told here (--log-flows has it all)"; lines[maxToldDenials] != want {
		t.Errorf("%q", lines[maxToldDenials])
	}
}

// TestDenialsInOneLine has a question about a name that would be lines of its own.
func TestDenialsInOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"api.example": "api.example", "übung.example": "übung.example", "a b": "a b",
		"a\nusock: b": `"a\nusock: b"`, "\x1b[31m": `"\x1b[31m"`, "\xff.example": `"\xff.example"`, "a\u202eb": `"a\u202eb"`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is told as %s, want %s", text, got, want)
		}
	}
	p := new(paper)
	r := newRun(t, Config{Rules: rulesOf(t, "+api.example")})
	r.turned(func() {
		r.g.alerts.close(func() {})
		r.g.alerts = newLines(p)
		r.g.denyName(unix.IPPROTO_UDP, netip.MustParseAddrPort("198.18.77.2:1000"), peerAddr(1), "evil\nusock: all is well")
		r.g.alerts.close(func() {})
		r.g.alerts = nil
	})
	if want := `usock: a process: its question about "evil\nusock: all is well" was refused: no rule can allow that name` + "\n"; p.String() != want {
		t.Errorf("%q, want %q", p, want)
	}
}

// TestIsHere knows the machine's addresses, and broadcast ones of its networks.
func TestIsHere(t *testing.T) {
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	broadcasts := 0
	for _, i := range list {
		on, _ := i.Addrs()
		for _, a := range on {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || p.Addr().IsLinkLocalUnicast() || i.Flags&net.FlagUp == 0 {
				continue
			}
			if !isHere(p.Addr()) {
				t.Errorf("%v, of the machine's, is another's", p.Addr())
			}
			if p.Addr().Is4() && p.Bits() < 31 && i.Flags&net.FlagBroadcast != 0 {
				raw := p.Addr().As4()
				binary.BigEndian.PutUint32(raw[:], binary.BigEndian.Uint32(raw[:])|(1<<(32-p.Bits())-1))
				broadcasts++
				if b := netip.AddrFrom4(raw); !isHere(b) {
					t.Errorf("%v, to all of the machine's network, does not come to it", b)
				}
			}
		}
	}
	for _, a := range []string{"192.0.2.77", "2001:db8::77"} {
		if isHere(netip.MustParseAddr(a)) {
			t.Errorf("%s is the machine's own", a)
		}
	}
	t.Logf("%d broadcast addresses", broadcasts)
}

// TestPolicyChangesItsMind learns that an allowed peer's address is a denied name's: the next
// datagram is denied.
func TestPolicyChangesItsMind(t *testing.T) {
	p := new(paper)
	l := NewFlowLog(p)
	r := newRun(t, Config{Rules: rulesOf(t, "-evil.example:1-65535"), FlowLog: l})
	echo := echoUDP(t, netip.MustParseAddr("127.0.0.1"))
	s, err := r.host.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Connect(usock.Inet(echo)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Send([]byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Recv(make([]byte, 10), 0); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	r.turned(func() { r.g.table.fix(echo.Addr(), "evil.example") })
	s.Send([]byte("x"), 0)
	if _, err := s.Recv(make([]byte, 10), 0); err != unix.EHOSTUNREACH {
		t.Errorf("%v", err)
	}
	r.turned(func() {})
	l.Close()
	end := fmt.Sprintf(`"remote":"%v","sent":2,"received":2,"outcome":"denied"}`, echo)
	if !strings.Contains(p.String(), end) || !strings.Contains(p.String(), `"outcome":"denied","errno":"EHOSTUNREACH","rule":"evil.example:1-65535"`) {
		t.Errorf("no %s in\n%s", end, p)
	}
}

// TestPolicyForgetsAGuest learns that a client's address is a denied name's: neither its
// datagrams nor the answers to it pass any more.
func TestPolicyForgetsAGuest(t *testing.T) {
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
	p := new(paper)
	l := NewFlowLog(p)
	r := newRun(t, Config{
		Publish: []Publish{{Proto: unix.IPPROTO_UDP, Addr: at.Addr(), Port: at.Port(), Inner: inner}},
		Rules:   rulesOf(t, "-evil.example"), FlowLog: l,
	})
	s := r.bindInner(false)
	c := dialUDP(t, at)
	ask(t, s, at, c)
	c.Write([]byte("last"))
	b := make([]byte, 10)
	_, from, err := s.RecvFrom(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.turned(func() { r.g.table.fix(at.Addr(), "evil.example") })
	if _, err := s.SendTo([]byte("answer"), 0, from); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("more"))
	within(t, "the client is forgotten", func() bool { return r.guests() == 0 })
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(b); err == nil {
		t.Errorf("the client received %q", b[:n])
	}
	if n, _, err := s.RecvFrom(b, usock.MSG_DONTWAIT); err == nil {
		t.Errorf("the server received %q", b[:n])
	}
	s.Close()
	r.settle()
	r.turned(func() {})
	l.Close()
	if !strings.Contains(p.String(), `"direction":"in"`) || strings.Count(p.String(), `"outcome":"denied"`) < 2 {
		t.Errorf("the log:\n%s", p)
	}
}
