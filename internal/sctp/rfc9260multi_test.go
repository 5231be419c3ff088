package sctp

import (
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// RFC 9260, sections 5.1.2 and 6.4: several addresses.
func TestRFC9260Multihoming(t *testing.T) { runCases(t, multihomingCases) }

// openTo opens the association to addresses of the peer's.
func openTo(tc *script, letters string) {
	p := Params{Port: scriptPort, PeerPort: peerPort, Options: tc.o}
	for _, l := range letters {
		p.Peers = append(p.Peers, scriptAddrs[string(l)][0])
	}
	tc.a = new(Assoc)
	tc.a.Connect(tc.now, &tc.e, &p)
	tc.pump()
}

// peersAre asserts which addresses the peer has.
func peersAre(tc *script, letters string) {
	tc.t.Helper()
	got := tc.a.Peers(nil)
	if len(got) != len(letters) {
		tc.t.Fatalf("the peer's addresses: %v", got)
	}
	for i, l := range letters {
		if got[i] != scriptAddrs[string(l)][0] {
			tc.t.Fatalf("the peer's addresses: %v", got)
		}
	}
}

var multihomingCases = []scriptCase{
	{name: "5.1.2 both ends tell their addresses", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.open()
		tc.want("INIT param=5:0a000001 param=5:0a010001")
		tc.recv("INIT-ACK addr=A,B,C")
		tc.want("COOKIE-ECHO")
		peersAre(tc, "ABC")
		tc.recv("COOKIE-ACK")
		tc.rest("@B HEARTBEAT", "@C HEARTBEAT")
	}},
	{name: "5.1.2 an end with one address names none", run: func(tc *script) {
		tc.open()
		tc.want("INIT param=12:0005")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		peersAre(tc, "A")
	}},
	{name: "5.1.2 addresses that cannot be the peer's are passed over", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.recv("INIT addr=B param=5:e0000001 param=5:ffffffff param=5:00000000 param=6:ff020000000000000000000000000001 param=6:00000000000000000000ffff0a000003")
		tc.want("INIT-ACK")
		tc.recv("COOKIE-ECHO")
		tc.rest("COOKIE-ACK", "@B HEARTBEAT")
		peersAre(tc, "AB")
	}},
	{name: "5.1.2 an IPv6 address where this end has none", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK addr=B param=6:fd000000000000000000000000000001")
		tc.want("COOKIE-ECHO")
		peersAre(tc, "AB")
	}},
	{name: "sctp_connectx: the next address when one does not answer", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		openTo(tc, "AB")
		tc.want("INIT")
		tc.wantAfter(ms(1000), "@B INIT")
		tc.wantAfter(ms(1000), "INIT")
		tc.wantAfter(ms(2000), "@B INIT")
		tc.recv("@B INIT-ACK addr=B")
		tc.want("@B COOKIE-ECHO")
		peersAre(tc, "B")
		tc.recv("@B COOKIE-ACK")
		tc.wantState(Established)
		tc.send(10)
		tc.want("@B DATA 1 BE 0:0 10")
	}},
	{name: "5.1.2 INIT ACK from an address that it does not name", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		openTo(tc, "A")
		tc.want("INIT")
		tc.recv("@B INIT-ACK addr=A")
		tc.want("@B COOKIE-ECHO")
		tc.recv("@B COOKIE-ACK")
		tc.wantState(Established)
	}},
	{name: "COOKIE ECHO to another address", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.wantAfter(ms(1000), "@B COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.wantState(Established)
		tc.want("@B HEARTBEAT")
	}},
	{name: "5.1 the COOKIE ACK goes where the COOKIE ECHO came from", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.recv("@B COOKIE-ECHO")
		tc.want("@B COOKIE-ACK; HEARTBEAT")
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
	}},
	{name: "9.2 SHUTDOWN goes to another address when it is lost", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		tc.a.Shutdown(tc.now)
		tc.pump()
		tc.want("SHUTDOWN 0")
		tc.wantAfter(ms(1000), "@B SHUTDOWN 0")
		tc.recv("@B SHUTDOWN-ACK")
		tc.want("@B SHUTDOWN-COMPLETE")
	}},
	{name: "8.1 all paths count for the association", opts: []scriptOption{multihomed("AB"), retrans(3, 5)}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "@B DATA 1 BE 0:0 10")
		tc.advance(time.Minute)
		tc.wantState(Closed)
		tc.wantError(syscall.ETIMEDOUT)
		tc.out = nil
	}},
	{name: "8.3 an address that was never confirmed does not speak for the peer", opts: []scriptOption{multihomed("AB"), retrans(3, 2)}, run: func(tc *script) {
		tc.accept()
		tc.advance(2 * time.Minute)
		tc.wantState(Established)
		for _, p := range tc.out {
			if p.Dst != scriptAddrs["B"][0] {
				tc.t.Fatal(tc.format(&p))
			}
		}
		tc.out = nil
		if i, _ := tc.a.Path(scriptAddrs["B"][0]); i.State != PathUnconfirmed {
			tc.t.Fatalf("state %v", i.State)
		}
	}},
	{name: "RFC 7829 potentially failed paths are asked every RTO, and come back", opts: []scriptOption{multihomed("AB"), retrans(10, 5)}, run: func(tc *script) {
		tc.o.Path.ExposePF = true
		tc.accept()
		tc.confirm("B")
		o := tc.a.opt.Path
		o.NoHB, o.HBInterval, o.ExposePF = false, time.Hour, true
		tc.a.SetPath(tc.now, netip.Addr{}, &o)
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "@B DATA 1 BE 0:0 10")
		tc.wantNote("A PF")
		tc.recv("@B SACK 1")
		tc.wantNote("dry")
		if errno := tc.a.Heartbeat(tc.now, scriptAddrs["A"][0]); errno != 0 {
			tc.t.Fatal(errno)
		}
		tc.pump()
		tc.want("HEARTBEAT")
		tc.wantAfter(ms(2000), "HEARTBEAT")
		tc.recv("HEARTBEAT-ACK")
		tc.wantNote("A available")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10")
	}},
}

// RFC 3758: partial reliability, as packets show it.
func TestRFC3758Packets(t *testing.T) { runCases(t, forwardCases) }

// skips has both ends know FORWARD-TSN.
func skips(s *script) { s.o.PR, s.peer.params = true, []string{"0xc000:"} }

var forwardCases = []scriptCase{
	{name: "3.1 it is offered, and agreed to", opts: []scriptOption{skips}, run: func(tc *script) {
		tc.open()
		tc.want("INIT param=49152: param=32776:c0")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		if tc.a.caps&capPR == 0 {
			tc.t.Fatal("not agreed to")
		}
	}},
	{name: "3.1 the peer does not know it: messages are reliable", run: func(tc *script) {
		tc.connect()
		tc.sendInfo(10, &SendInfo{PR: PRRtx, PRValue: 0})
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "DATA 1 BE 0:0 10")
	}},
	{name: "3.5 a message that was given up: FORWARD-TSN, until it is acknowledged", opts: []scriptOption{skips}, run: func(tc *script) {
		tc.connect()
		tc.sendInfo(10, &SendInfo{Stream: 2, PR: PRRtx, PRValue: 0})
		tc.want("DATA 1 BE 2:0 10")
		tc.wantAfter(ms(1000), "FORWARD-TSN 1 streams=2:0")
		tc.wantNote("failed 2:10 sent")
		tc.wantNote("failed 2:10 sent")
		tc.wantAfter(ms(2000), "FORWARD-TSN 1 streams=2:0")
		tc.recv("SACK 1")
		tc.advance(time.Minute)
	}},
	{name: "3.5 a message that nobody has sent in time takes no TSN", opts: []scriptOption{skips}, run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.recv("SACK 1 rwnd=0")
		tc.wantNote("dry")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10")
		tc.sendInfo(10, &SendInfo{PR: PRTTL, PRValue: 500})
		tc.advance(ms(600))
		tc.send(20)
		tc.recv("SACK 2 rwnd=1000")
		tc.want("DATA 3 BE 0:2 20")
		tc.wantNote("failed 0:10 unsent")
		tc.wantNote("failed 0:10 unsent")
	}},
	{name: "3.6 FORWARD-TSN passes over what is missing", opts: []scriptOption{skips}, run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 3 BE 0:1 10")
		tc.want("SACK 0 gap=3-3")
		tc.recv("FORWARD-TSN 2 streams=0:0")
		tc.want("SACK 3")
		tc.wantRead(100, "0:1 10 eor")
		tc.recv("DATA 4 BE 0:2 10; DATA 5 BEI 0:3 10")
		tc.want("SACK 5")
	}},
	{name: "3.6 an old FORWARD-TSN is acknowledged", opts: []scriptOption{skips}, run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("FORWARD-TSN 1 streams=0:0")
		tc.want("SACK 1")
		tc.wantRead(100, "0:0 10 eor")
	}},
	{name: "3.2 not agreed to: an unknown chunk", run: func(tc *script) {
		tc.connect()
		tc.recv("FORWARD-TSN 5 streams=0:0")
		tc.want("ERROR cause=6")
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
	}},
	{name: "3.6 a stream that there is not: ABORT", opts: []scriptOption{skips}, run: func(tc *script) {
		tc.connect()
		tc.recv("FORWARD-TSN 2 streams=99:0")
		tc.want("ABORT cause=13")
	}},
}

// RFC 8260: I-DATA, as packets show it.
func TestRFC8260Packets(t *testing.T) { runCases(t, idataCases) }

// interleaves has both ends know I-DATA.
func interleaves(s *script) { s.o.IData, s.peer.params = true, []string{"0x8008:40"} }

var idataCases = []scriptCase{
	{name: "2.2.1 agreed to: I-DATA alone", opts: []scriptOption{interleaves}, run: func(tc *script) {
		tc.connect()
		tc.send(3000)
		tc.want("I-DATA 1 B 0:0:0 1448")
		tc.want("I-DATA 2 - 0:0:1 1448")
		tc.want("I-DATA 3 E 0:0:2 104")
		tc.recv("I-DATA 1 B 1:0:0 10; I-DATA 2 B 2:0:0 10; I-DATA 3 E 1:0:1 5; I-DATA 4 E 2:0:1 6")
		tc.want("SACK 4")
		tc.wantRead(100, "1:0 15 eor")
		tc.wantRead(100, "2:0 16 eor")
	}},
	{name: "2.2.1 DATA then: ABORT", opts: []scriptOption{interleaves}, run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("ABORT cause=13")
	}},
	{name: "2.2.1 I-DATA that was not agreed to", run: func(tc *script) {
		tc.connect()
		tc.recv("I-DATA 1 BE 0:0:0 10")
		tc.want("ERROR cause=6")
	}},
	{name: "2.1 unordered messages have numbers of their own", opts: []scriptOption{interleaves}, run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("I-DATA 1 BE 0:0:0 10")
		tc.sendInfo(10, &SendInfo{Unordered: true})
		tc.want("I-DATA 2 BEU 0:0:0 10")
		tc.send(10)
		tc.want("I-DATA 3 BE 0:1:0 10")
	}},
}
