package usock_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"usock"
	"usock/internal/wire"
	"usock/link"
)

// counted lists the counters that have counted, NAME N, but for those of octets.
func counted(counters any) string {
	var out []string
	v := reflect.ValueOf(counters)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if n := v.Field(i).Uint(); n != 0 && !strings.HasSuffix(name, "Octets") {
			out = append(out, fmt.Sprint(name, " ", n))
		}
	}
	return strings.Join(out, " ")
}

func wantCounted(t *testing.T, counters any, want string) {
	t.Helper()
	if got := counted(counters); got != want {
		t.Errorf("%T: %q, want %q", counters, got, want)
	}
}

// listenRaw returns a listener at port 8080 of a host whose peer makes its segments by hand.
func listenRaw(t *testing.T, c usock.Config, backlog int) (*usock.Host, *rawPeer, *usock.Socket) {
	t.Helper()
	h, p := newRawPeer(t, c)
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "0.0.0.0:8080")); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(backlog); err != nil {
		t.Fatal(err)
	}
	return h, p, l
}

// handshake has the peer connect from port, and returns what it sends next.
func (p *rawPeer) handshake(port uint16) wire.TCP {
	p.t.Helper()
	syn := wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}
	got := p.send(syn, "")
	if len(got) != 1 {
		p.t.Fatalf("answers to a SYN: %+v", got)
	}
	ack := wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1001, Ack: got[0].Seq + 1, Flags: wire.ACK, Window: 65535}
	p.send(ack, "")
	return ack
}

// TestCountersListen counts what comes to a listener: more connections than it has room for, more
// SYNs, cookies that are good and that are not, and segments from too far away.
func TestCountersListen(t *testing.T) {
	h, p, _ := listenRaw(t, usock.Config{}, 1)
	p.handshake(1)
	p.handshake(2)
	p.send(wire.TCP{SrcPort: 3, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}, "")
	wantCounted(t, h.Stats().TCP, "PassiveOpens 2 InSegs 5 OutSegs 2 ListenOverflows 1 ListenDrops 1")

	h, p, _ = listenRaw(t, usock.Config{}, 1)
	var last wire.TCP
	for port := uint16(1); port <= 3; port++ {
		last = p.send(wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}, "")[0]
	}
	ack := wire.TCP{SrcPort: 3, DstPort: 8080, Seq: 1001, Ack: last.Seq + 77, Flags: wire.ACK, Window: 65535}
	p.send(ack, "")
	ack.Ack = last.Seq + 1
	p.send(ack, "")
	wantCounted(t, h.Stats().TCP, "PassiveOpens 1 InSegs 5 OutSegs 4 OutRsts 1 "+
		"SyncookiesSent 1 SyncookiesRecv 1 SyncookiesFailed 1 TCPReqQFullDoCookies 1")

	h, p, l := listenRaw(t, usock.Config{}, 5)
	ack = p.handshake(1)
	s, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetSockOptInt(usock.SOL_IP, usock.IP_MINTTL, 200); err != nil {
		t.Fatal(err)
	}
	p.send(ack, "x")
	wantCounted(t, h.Stats().TCP, "PassiveOpens 1 InSegs 3 OutSegs 1 TCPMinTTLDrop 1")
}

// TestCountersFastOpen counts SYNs that ask for a cookie, that bring a good one, and a bad one, and
// one for which there is no room.
func TestCountersFastOpen(t *testing.T) {
	h, p, l := listenRaw(t, usock.Config{TCP: fastOpen(usock.FastOpenServer)}, 5)
	if err := l.SetSockOptInt(usock.SOL_TCP, usock.TCP_FASTOPEN, 1); err != nil {
		t.Fatal(err)
	}
	syn := func(port uint16, cookie []byte) wire.TCP {
		s := wire.TCP{SrcPort: port, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535}
		s.Options.HasFastOpen, s.Options.NCookie = true, uint8(copy(s.Options.Cookie[:], cookie))
		return s
	}
	o := p.send(syn(1, nil), "")[0].Options
	p.send(syn(2, make([]byte, 8)), "request")
	p.send(syn(3, o.Cookie[:o.NCookie]), "request")
	p.send(syn(4, o.Cookie[:o.NCookie]), "request")
	wantCounted(t, h.Stats().TCP, "PassiveOpens 1 InSegs 4 OutSegs 4 TCPFastOpenPassive 1 TCPFastOpenPassiveFail 1 "+
		"TCPFastOpenListenOverflow 1 TCPFastOpenCookieReqd 1")
}

// TestCountersFlows counts the SYNs that no handler has room for: it answers none.
func TestCountersFlows(t *testing.T) {
	h, p := newRawPeer(t, usock.Config{Flows: &asked{}, StandIn: true})
	p.host = netip.MustParseAddr("192.0.2.1") // not the host itself
	for i := range 4096 + 3 {
		p.send(wire.TCP{SrcPort: uint16(1 + i%60000), DstPort: 80, Seq: 1000, Flags: wire.SYN, Window: 65535}, "")
	}
	wantCounted(t, h.Stats().TCP, "InSegs 4099 FlowDrops 3")
}

// rawBytes sends the peer's IPv4 packet whose checksums are to be looked at.
func (p *rawPeer) rawBytes(proto uint8, to netip.Addr, transport []byte) {
	b := make([]byte, 20, 20+len(transport))
	ip := wire.IPv4{TotalLen: uint16(cap(b)), TTL: 64, Proto: proto, Src: p.local, Dst: to}
	ip.Put(b)
	p.link.Send([]*link.Packet{link.NewPacket(append(b, transport...))})
}

// TestCountersChecksum counts segments and datagrams with a wrong checksum, or none that makes sense.
func TestCountersChecksum(t *testing.T) {
	h, p, _ := listenRaw(t, usock.Config{}, 5)
	syn := wire.TCP{SrcPort: 1, DstPort: 8080, Seq: 1000, Flags: wire.SYN, Window: 65535, Checksum: 0x1234}
	b := make([]byte, syn.Len())
	syn.Put(b)
	b[16], b[17] = 0x12, 0x34
	p.rawBytes(6, p.host, b)
	p.rawBytes(6, p.host, b[:10])
	wantCounted(t, h.Stats().TCP, "InSegs 2 InErrs 2 InCsumErrors 1")
	p.rawBytes(17, p.host, []byte{0, 1, 0, 2, 0, 8, 0x12, 0x34})
	p.rawBytes(17, p.host, []byte{0, 1, 0, 2, 0, 80, 0, 0})
	p.rawBytes(17, netip.MustParseAddr("224.0.0.1"), []byte{0, 1, 0, 2, 0, 8, 0, 0})
	wantCounted(t, h.Stats().UDP, "InErrors 2 InCsumErrors 1 IgnoredMulti 1")
}

// TestCountersSockets counts what calls bring about.
func TestCountersSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, usock.Config{Privileged: true})
		u := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
		defer u.Close()
		if _, err := u.SendTo([]byte("x"), 0, mustAddr(t, "192.0.2.1:9")); err != syscall.ENETUNREACH {
			t.Errorf("send where no route leads: %v", err)
		}
		full := mustSocket(t, h, usock.AF_INET, usock.SOCK_DGRAM)
		defer full.Close()
		full.SetSockOptInt(usock.SOL_SOCKET, usock.SO_RCVBUF, 4096)
		if err := full.Bind(mustAddr(t, "127.0.0.1:5000")); err != nil {
			t.Fatal(err)
		}
		const datagrams = 50
		for range datagrams {
			u.SendTo(make([]byte, 1000), 0, mustAddr(t, "127.0.0.1:5000"))
		}
		got := h.Stats().UDP
		if n := got.RcvbufErrors; n == 0 || got.InErrors != n || got.InDatagrams != datagrams-n || got.OutDatagrams != datagrams {
			t.Errorf("%+v", got)
		}
		if n := h.Stats().IP.OutNoRoutes; n != 1 {
			t.Errorf("OutNoRoutes %d", n)
		}

		ping, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, usock.IPPROTO_ICMP)
		if err != nil {
			t.Fatal(err)
		}
		defer ping.Close()
		raw, err := h.Socket(usock.AF_INET, usock.SOCK_RAW, usock.IPPROTO_ICMP)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		for _, s := range []*usock.Socket{ping, raw} {
			if _, err := s.SendTo([]byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, 0, mustAddr(t, "127.0.0.1:0")); err != nil {
				t.Fatal(err)
			}
		}
		wantCounted(t, h.Stats().ICMP, "InMsgs 4 InEchos 2 InEchoReps 2 OutMsgs 4 OutEchos 2 OutEchoReps 2")

		// One connection ends in TIME-WAIT, and one is reset by SO_LINGER.
		l, err := h.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for i := range 2 {
			c, err := h.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				c.(*usock.TCPConn).SetLinger(0)
			}
			c.Close()
			s.Close()
		}
		time.Sleep(2 * time.Minute)
		if got := h.Stats().TCP; got.TW != 1 || got.TCPAbortOnData != 1 || got.EstabResets != 2 || got.OutRsts != 1 || got.ActiveOpens != 2 || got.PassiveOpens != 2 {
			t.Errorf("%+v", got)
		}
	})
}

// Each counter is brought about by some test of the packages that count, but for those that take
// more than a test can have.
func TestCountersTested(t *testing.T) {
	untested := map[string]bool{
		"TCPTimeWaitOverflow": true, // beyond 262144 connections in TIME-WAIT
	}
	var tests strings.Builder
	for _, dir := range []string{".", "internal/tcp", "internal/ip", "internal/inet", "internal/sctp"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(b)
		}
	}
	for _, section := range []any{usock.IPStats{}, usock.ICMPStats{}, usock.TCPStats{}, usock.UDPStats{}, usock.SCTPStats{}} {
		v := reflect.TypeOf(section)
		for i := range v.NumField() {
			if name := v.Field(i).Name; !strings.Contains(tests.String(), name) && !untested[name] {
				t.Errorf("%s.%s: no test", v.Name(), name)
			}
		}
	}
}
