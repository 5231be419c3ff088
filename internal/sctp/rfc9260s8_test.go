package sctp

import (
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// RFC 9260, section 3.2: chunks that are not known, by their high bits; section 3.3.10: causes.
func TestRFC9260Chunks(t *testing.T) {
	runCases(t, []scriptCase{
		{name: "3.2 00: stop, silently", run: func(tc *script) {
			tc.connect()
			tc.recv("0x3f; DATA 1 BE 0:0 10")
			tc.wantIdle("the packet is discarded")
			tc.recv("DATA 1 BE 0:0 10; 0x3f 01; DATA 2 BE 0:1 10")
			tc.want("SACK 1")
		}},
		{name: "3.2 01: stop, and report", run: func(tc *script) {
			tc.connect()
			tc.recv("0x7f 0102; DATA 1 BE 0:0 10")
			tc.want("ERROR cause=6:7f00000601020000")
		}},
		{name: "3.2 10: skip, silently", run: func(tc *script) {
			tc.connect()
			tc.recv("0xbf 0102; DATA 1 BE 0:0 10")
			tc.want("SACK 1")
		}},
		{name: "3.2 11: skip, and report", run: func(tc *script) {
			tc.connect()
			tc.recv("0xff 0102; DATA 1 BE 0:0 10")
			tc.want("ERROR cause=6:ff00000601020000")
			tc.want("SACK 1")
		}},
		{name: "6.10 a partial chunk is dropped", run: func(tc *script) {
			tc.connect()
			in := tc.packet("DATA 1 BE 0:0 10; SACK 5")
			in.Body.Truncate(in.Body.Len() - 1)
			tc.a.Packet(tc.now, in)
			tc.pump()
			tc.want("SACK 1")
			tc.wantState(Established)
		}},
		{name: "3.3.10 ERROR is told", run: func(tc *script) {
			tc.connect()
			tc.recv("ERROR cause=6:ff000004 cause=1:00050000")
			tc.wantNote("error 6:ff000004")
			tc.wantNote("error 1:00050000")
			tc.wantState(Established)
		}},
		{name: "3.3.7 ABORT with a reason", run: func(tc *script) {
			tc.connect()
			tc.recv("ABORT cause=12:62796520")
			tc.wantState(Closed)
			tc.wantError(syscall.ECONNRESET)
			tc.wantNote("COMM-LOST 12")
			tc.wantIdle("ABORT is not answered")
		}},
		{name: "RFC 4820 PAD is nothing", run: func(tc *script) {
			tc.connect()
			tc.recv("PAD 000000; DATA 1 BE 0:0 10")
			tc.want("SACK 1")
		}},
		{name: "6.10 INIT ACK and SHUTDOWN COMPLETE behind others", run: func(tc *script) {
			tc.connect()
			tc.recv("DATA 1 BE 0:0 10; INIT; DATA 2 BE 0:1 10")
			tc.want("SACK 1")
			tc.recv("DATA 2 BE 0:1 10; SHUTDOWN-COMPLETE; DATA 3 BE 0:2 10")
			tc.wantAfter(ms(200), "SACK 2")
		}},
	})
}

// RFC 9260, section 8: faults.
func TestRFC9260Faults(t *testing.T) { runCases(t, faultCases) }

var faultCases = []scriptCase{
	{name: "8.1 too many retransmissions", opts: []scriptOption{retrans(3, 5)}, run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		for _, d := range []int{1000, 2000, 4000} {
			tc.wantAfter(ms(d), "DATA 1 BE 0:0 10")
		}
		tc.advance(ms(7999))
		tc.wantState(Established)
		tc.advance(ms(1))
		tc.wantState(Closed)
		tc.wantError(syscall.ETIMEDOUT)
		tc.wantNote("COMM-LOST")
		tc.wantNote("failed 0:10 sent")
		tc.wantNote("failed 0:10 sent")
		tc.wantIdle("the peer is not there")
	}},
	{name: "8.1 an answer clears the count", opts: []scriptOption{retrans(3, 5)}, run: func(tc *script) {
		tc.connect()
		for range 4 {
			tc.send(10)
			tc.out = nil
			tc.advance(ms(7001))
			tc.out = nil
			n := uint32(tc.a.snd.nxt - 1)
			tc.recv("SACK " + itoa(n-tc.peer.coreTSN+1))
			tc.wantNote("dry")
		}
		tc.wantState(Established)
	}},
	{name: "8.3 heartbeats on an idle path", opts: []scriptOption{beats}, run: func(tc *script) {
		tc.connect()
		tc.advance(5499 * time.Millisecond)
		tc.wantIdle("HB.interval and half the RTO have not passed")
		tc.advance(1001 * time.Millisecond)
		tc.want("HEARTBEAT")
		tc.recv("HEARTBEAT-ACK")
		tc.advance(tc.a.paths[0].hb.last + 5499*time.Millisecond - tc.now)
		tc.wantIdle("again")
		tc.advance(1001 * time.Millisecond)
		tc.want("HEARTBEAT")
		tc.recv("HEARTBEAT-ACK")
	}},
	{name: "8.3 heartbeats that are not answered fail the path and the association", opts: []scriptOption{beats, retrans(2, 1)}, run: func(tc *script) {
		tc.connect()
		tc.advance(60 * time.Second)
		tc.wantState(Closed)
		tc.wantError(syscall.ETIMEDOUT)
		tc.rest("HEARTBEAT", "HEARTBEAT", "HEARTBEAT")
		tc.wantNote("A unreachable")
		tc.wantNote("COMM-LOST")
	}},
	{name: "8.3 a HEARTBEAT is answered with what it holds", run: func(tc *script) {
		tc.connect()
		tc.recv("HEARTBEAT 0001000801020304")
		tc.want("HEARTBEAT-ACK 0001000801020304")
	}},
	{name: "8.3 a HEARTBEAT ACK that nobody asked for", opts: []scriptOption{beats}, run: func(tc *script) {
		tc.connect()
		tc.advance(6500 * time.Millisecond)
		tc.want("HEARTBEAT")
		forged := append([]byte(nil), tc.peer.heartbeat...)
		forged[30] ^= 1
		tc.recv("HEARTBEAT-ACK " + hexOf(forged))
		if !tc.a.paths[0].hb.waiting {
			tc.t.Fatal("it was taken for the answer")
		}
		tc.recv("HEARTBEAT-ACK")
		if tc.a.paths[0].hb.waiting {
			tc.t.Fatal("it was not taken for the answer")
		}
		tc.recv("HEARTBEAT-ACK 00010004")
		tc.recv("HEARTBEAT-ACK")
		tc.wantState(Established)
	}},
	{name: "5.4 addresses are confirmed by their own heartbeats", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.want("@B HEARTBEAT")
		tc.wantAfter(ms(1000), "@B HEARTBEAT")
		tc.recv("@B HEARTBEAT-ACK")
		tc.wantNote("B confirmed")
		tc.advance(time.Minute)
		tc.wantIdle("no heartbeats are asked for")
	}},
	{name: "5.4 data does not go to an address that is not confirmed", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.want("@B HEARTBEAT")
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.advance(ms(1000))
		tc.want("DATA 1 BE 0:0 10")
		tc.want("@B HEARTBEAT")
	}},
	{name: "6.4 what was lost is sent again elsewhere, new data goes to the primary", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		tc.a.SetPath(tc.now, netip.Addr{}, noPF(tc.a))
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "@B DATA 1 BE 0:0 10")
		tc.recv("@B SACK 1")
		tc.wantNote("dry")
		tc.send(10)
		tc.want("DATA 2 BE 0:1 10")
	}},
	{name: "6.2 and 6.4 a SACK goes where the data came from", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		tc.recv("@B DATA 1 BE 0:0 10")
		tc.want("@B SACK 1")
		tc.recv("DATA 2 BE 0:1 10; DATA 3 BE 0:2 10")
		tc.recv("DATA 4 BE 0:3 10")
		tc.want("SACK 4")
	}},
	{name: "8.2 a path that fails: another is used, the program is told; it comes back", opts: []scriptOption{multihomed("AB"), retrans(10, 1)}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		tc.a.SetPath(tc.now, netip.Addr{}, noPF(tc.a))
		for i, ssn := range []string{"0", "1"} {
			tc.send(10)
			tc.want("DATA " + itoa(uint32(i+1)) + " BE 0:" + ssn + " 10")
			tc.wantAfter(ms(1000<<i), "@B DATA "+itoa(uint32(i+1))+" BE 0:"+ssn+" 10")
			tc.recv("@B SACK " + itoa(uint32(i+1)))
		}
		tc.wantNote("dry")
		tc.wantNote("A unreachable")
		tc.wantNote("dry")
		tc.send(10)
		tc.want("@B DATA 3 BE 0:2 10")
		tc.recv("@B SACK 3")
		tc.wantNote("dry")
		if err := tc.a.Heartbeat(tc.now, scriptAddrs["A"][0]); err != 0 {
			tc.t.Fatal(err)
		}
		tc.pump()
		tc.want("HEARTBEAT")
		tc.recv("HEARTBEAT-ACK")
		tc.wantNote("A available")
		tc.send(10)
		tc.want("DATA 4 BE 0:3 10")
	}},
	{name: "RFC 7829 a path is potentially failed by its first error: new data goes elsewhere", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.wantAfter(ms(1000), "@B DATA 1 BE 0:0 10")
		tc.send(10)
		tc.want("@B DATA 2 BE 0:1 10")
		if i, _ := tc.a.Path(scriptAddrs["A"][0]); i.State != PathPF {
			tc.t.Fatalf("state %v", i.State)
		}
		tc.recv("@B SACK 2")
		tc.wantNote("dry")
	}},
	{name: "SCTP_PRIMARY_ADDR", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		if err := tc.a.SetPrimary(tc.now, scriptAddrs["C"][0]); err != syscall.EINVAL {
			tc.t.Fatal(err)
		}
		tc.a.SetPrimary(tc.now, scriptAddrs["B"][0])
		tc.wantNote("B primary")
		tc.send(10)
		tc.want("@B DATA 1 BE 0:0 10")
	}},
	{name: "SCTP_ADDR_OVER", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.accept()
		tc.confirm("B")
		tc.sendInfo(10, &SendInfo{Dst: scriptAddrs["B"][0]})
		tc.want("@B DATA 1 BE 0:0 10")
	}},
	{name: "8.5 another tag is nothing", run: func(tc *script) {
		tc.connect()
		tc.recv("tag=5 DATA 1 BE 0:0 10")
		tc.recv("tag=5 ABORT")
		tc.recv("tag=5 SHUTDOWN 0")
		tc.recv("tag=5 SACK 5")
		tc.recv("tag=5 ABORT T")
		tc.recv("tag=own ABORT")
		tc.recv("ABORT T")
		tc.recv("tag=own SHUTDOWN-COMPLETE T")
		tc.wantState(Established)
		tc.wantIdle("forged packets do nothing")
		tc.recv("tag=own ABORT T")
		tc.wantState(Closed)
	}},
	{name: "8.5.1 SHUTDOWN ACK while opening", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("tag=0x55 SHUTDOWN-ACK")
		tc.want("tag=0x55 SHUTDOWN-COMPLETE T")
		tc.wantState(CookieWait)
	}},
}

// RFC 9260, section 8.4: packets out of the blue.
func TestRFC9260OutOfTheBlue(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"rule 2 ABORT", "tag=7 ABORT", ""},
		{"rule 2 ABORT behind others", "tag=7 DATA 1 BE 0:0 10; ABORT", ""},
		{"rule 3 INIT where nobody listens", "INIT", "ABORT"},
		{"rule 5 SHUTDOWN ACK", "tag=7 SHUTDOWN-ACK", "tag=0x7 SHUTDOWN-COMPLETE T"},
		{"rule 6 SHUTDOWN COMPLETE", "tag=7 SHUTDOWN-COMPLETE", ""},
		{"rule 7 COOKIE ACK", "tag=7 COOKIE-ACK", ""},
		{"rule 7 Stale Cookie", "tag=7 ERROR cause=3:00000001", ""},
		{"rule 8 DATA", "tag=7 DATA 1 BE 0:0 10", "tag=0x7 ABORT T"},
		{"rule 8 ERROR of another cause", "tag=7 ERROR cause=1:00000001", "tag=0x7 ABORT T"},
		{"rule 8 HEARTBEAT", "tag=7 HEARTBEAT", "tag=0x7 ABORT T"},
		{"INIT behind others", "tag=7 DATA 1 BE 0:0 10; INIT", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t)
			var o Out
			if send := OutOfTheBlue(tc.packet(c.in), &o); send {
				tc.sent(&o)
			}
			if c.want != "" {
				tc.want(c.want)
			}
			tc.wantIdle("nothing else")
		})
	}
	t.Run("rule 1 no unicast address", func(t *testing.T) {
		tc := newScript(t)
		in := tc.packet("tag=7 DATA 1 BE 0:0 10")
		in.Src = netip.MustParseAddr("224.0.0.1")
		var o Out
		if OutOfTheBlue(in, &o) {
			t.Fatal("an answer to a group")
		}
	})
	t.Run("COOKIE ECHO where nobody listens any more", func(t *testing.T) {
		tc := newScript(t)
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.e.Listen = false
		tc.recv("COOKIE-ECHO")
		tc.want("tag=own ABORT T")
	})
}

// RFC 9260, section 9: the end.
func TestRFC9260End(t *testing.T) { runCases(t, endCases) }

var endCases = []scriptCase{
	{name: "9.1 ABORT of the program, with a reason", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.a.Abort(tc.now, []byte("bye"))
		tc.pump()
		tc.want("ABORT cause=12:627965")
		tc.wantState(Closed)
		tc.wantNote("COMM-LOST 12")
		tc.wantNote("failed 0:10 sent")
		tc.wantNote("failed 0:10 sent")
	}},
	{name: "9.1 ABORT before there is a peer", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.a.Abort(tc.now, nil)
		tc.pump()
		tc.wantIdle("nobody knows of it")
		tc.wantState(Closed)
	}},
	{name: "9.2 shutdown, begun here", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		shut(tc)
		tc.want("SHUTDOWN 1")
		tc.wantState(ShutdownSent)
		if err := tc.trySend(1, &SendInfo{}); err != syscall.EPIPE {
			tc.t.Fatal(err)
		}
		tc.recv("SHUTDOWN-ACK")
		tc.want("SHUTDOWN-COMPLETE")
		tc.wantState(Closed)
		tc.wantRead(100, "0:0 10 eor")
		tc.wantNote("SHUTDOWN-COMP")
		tc.wantError(0)
	}},
	{name: "9.2 what was sent is acknowledged before", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		shut(tc)
		tc.wantState(ShutdownPending)
		tc.wantIdle("not all is acknowledged")
		tc.wantAfter(ms(1000), "DATA 1 BEI 0:0 10")
		tc.recv("SACK 1")
		tc.want("SHUTDOWN 0")
	}},
	{name: "9.2 shutdown, begun by the peer", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.wantState(ShutdownAckSent)
		tc.wantNote("shutdown")
		tc.recv("SHUTDOWN-COMPLETE")
		tc.wantState(Closed)
		tc.wantNote("SHUTDOWN-COMP")
	}},
	{name: "9.2 the peer's shutdown waits for what was sent", run: func(tc *script) {
		tc.connect()
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
		tc.send(20)
		tc.want("DATA 2 BE 0:1 20")
		tc.recv("SHUTDOWN 1")
		tc.wantState(ShutdownReceived)
		tc.wantNote("shutdown")
		if err := tc.trySend(1, &SendInfo{}); err != syscall.EPIPE {
			tc.t.Fatal(err)
		}
		tc.wantAfter(ms(1000), "DATA 2 BEI 0:1 20")
		tc.recv("SHUTDOWN 2")
		tc.want("SHUTDOWN-ACK")
		tc.recv("SHUTDOWN-COMPLETE")
		tc.wantState(Closed)
	}},
	{name: "9.2 both at once", run: func(tc *script) {
		tc.connect()
		shut(tc)
		tc.want("SHUTDOWN 0")
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.wantState(ShutdownAckSent)
		tc.recv("SHUTDOWN-ACK")
		tc.want("SHUTDOWN-COMPLETE")
		tc.wantState(Closed)
	}},
	{name: "9.2 data that comes after SHUTDOWN was sent", run: func(tc *script) {
		tc.connect()
		shut(tc)
		tc.want("SHUTDOWN 0")
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SHUTDOWN 1; SACK 1")
		tc.wantRead(100, "0:0 10 eor")
	}},
	{name: "9.2 T2: SHUTDOWN is sent again", opts: []scriptOption{func(s *script) { s.o.MaxRetrans = 2 }}, run: func(tc *script) {
		tc.connect()
		shut(tc)
		tc.want("SHUTDOWN 0")
		tc.wantAfter(ms(1000), "SHUTDOWN 0")
		tc.wantAfter(ms(2000), "SHUTDOWN 0")
		tc.advance(ms(4000))
		tc.wantState(Closed)
		tc.wantError(syscall.ETIMEDOUT)
		tc.wantNote("COMM-LOST")
	}},
	{name: "9.2 T2: SHUTDOWN ACK is sent again", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.wantAfter(ms(1000), "SHUTDOWN-ACK")
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
	}},
	{name: "9.2 behind SHUTDOWN ACK nothing is acknowledged", run: func(tc *script) {
		tc.connect()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.recv("DATA 2 BE 0:1 10")
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.recv("DATA 2 BE 0:1 10")
		tc.wantIdle("the peer has nothing outstanding, and may be gone")
		tc.wantAfter(ms(1000), "SHUTDOWN-ACK")
	}},
	{name: "9.2 T5: a shutdown that does not end", opts: []scriptOption{func(s *script) { s.o.MaxRetrans = 1000; s.o.RTOMax = 10 * time.Second }}, run: func(tc *script) {
		tc.connect()
		shut(tc)
		tc.want("SHUTDOWN 0")
		for i := 0; tc.a.State() == ShutdownSent; i++ {
			if i > 100 {
				tc.t.Fatal("no end")
			}
			tc.advance(time.Second)
			tc.recv("SACK 0")
		}
		tc.out = tc.out[len(tc.out)-1:]
		tc.want("ABORT")
		tc.wantError(syscall.ETIMEDOUT)
	}},
	{name: "9.2 shutdown before the handshake is over", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		shut(tc)
		tc.wantState(Closed)
		tc.wantIdle("nobody knows of it")
	}},
	{name: "9.2 SHUTDOWN in COOKIE-ECHOED", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("SHUTDOWN 0")
		tc.wantState(CookieEchoed)
	}},
	{name: "8.5.1 SHUTDOWN COMPLETE with the reflected tag", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.recv("tag=own SHUTDOWN-COMPLETE T")
		tc.wantState(Closed)
	}},
	{name: "9.2 SHUTDOWN ACK and COMPLETE when nobody shuts down", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN-ACK")
		tc.recv("SHUTDOWN-COMPLETE")
		tc.wantState(Established)
		tc.wantIdle("they are nothing")
	}},
	{name: "SCTP_AUTOCLOSE", opts: []scriptOption{func(s *script) { s.o.AutoClose = 10 * time.Second }}, run: func(tc *script) {
		tc.connect()
		tc.advance(6 * time.Second)
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.wantAfter(10*time.Second, "SHUTDOWN 1")
	}},
}

// RFC 9260, section 10: ICMP.
func TestRFC9260ICMP(t *testing.T) {
	runCases(t, []scriptCase{
		{name: "ICMP4 packet too big: the next are smaller", run: func(tc *script) {
			tc.connect()
			tc.icmp(&ICMPError{MTU: 1000})
			tc.send(1452)
			tc.want("DATA 1 B 0:0 952")
			tc.want("DATA 2 E 0:0 500")
		}},
		{name: "ICMP4 what was sent larger goes in fragments", run: func(tc *script) {
			tc.connect()
			tc.send(1452)
			tc.want("DATA 1 BE 0:0 1452")
			tc.send(100)
			tc.want("DATA 2 BE 0:1 100")
			tc.icmp(&ICMPError{MTU: 1000})
			if !tc.out[0].Fragment {
				tc.t.Fatal("it may not be fragmented")
			}
			tc.want("DATA 1 BE 0:0 1452")
			tc.wantIdle("the other one was small enough")
			tc.recv("SACK 2")
			tc.wantNote("dry")
			tc.send(952)
			if tc.out[0].Fragment {
				tc.t.Fatal("it may be fragmented")
			}
			tc.want("DATA 3 BE 0:2 952")
		}},
		{name: "ICMP4 next to nothing", run: func(tc *script) {
			tc.connect()
			tc.icmp(&ICMPError{MTU: 100})
			tc.send(500)
			if !tc.out[0].Fragment {
				tc.t.Fatal("it may not be fragmented")
			}
			tc.want("DATA 1 B 0:0 464")
			tc.want("DATA 2 E 0:0 36")
		}},
		{name: "ICMP7 another tag is nothing", run: func(tc *script) {
			tc.connect()
			tc.icmp(&ICMPError{MTU: 1000, VTag: 9})
			tc.icmp(&ICMPError{MTU: 1000, VTag: 0xffffffff})
			tc.send(1452)
			tc.want("DATA 1 BE 0:0 1452")
		}},
		{name: "ICMP5 no SCTP there", run: func(tc *script) {
			tc.open()
			tc.want("INIT")
			tc.a.ICMP(tc.now, &ICMPError{Peer: scriptAddrs["A"][0], Init: tc.a.tag + 1, Proto: true})
			tc.wantState(CookieWait)
			tc.a.ICMP(tc.now, &ICMPError{Peer: scriptAddrs["A"][0], Init: tc.a.tag, Proto: true})
			tc.wantState(Closed)
		}},
		{name: "ICMP1 unreachable when established is nothing", run: func(tc *script) {
			tc.connect()
			tc.icmp(&ICMPError{Errno: syscall.EHOSTUNREACH})
			tc.wantState(Established)
			tc.wantError(0)
		}},
	})
}

// icmp gives the core an ICMP error about a packet to A.
func (s *script) icmp(e *ICMPError) {
	s.t.Helper()
	e.Peer = scriptAddrs["A"][0]
	if e.VTag == 0 {
		e.VTag = s.peer.tag
	}
	s.ev |= s.a.ICMP(s.now, e)
	s.pump()
}

// A million INITs leave nothing behind.
func TestInitFlood(t *testing.T) {
	tc := newScript(t)
	in := tc.packet("INIT")
	raw := in.Body.AppendTo(nil)
	in.Body.Release()
	n := 1_000_000
	if testing.Short() {
		n = 10_000
	}
	var o Out
	for i := range n {
		x := In{Src: netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), Dst: in.Dst, SCTP: in.SCTP, Head: raw}
		a, send := tc.e.Answer(tc.now, &x, &o)
		if a != nil || !send {
			t.Fatal("no answer, or state")
		}
		o.Body.Release()
	}
	if tc.cfg.Counters.PassiveEstabs != 0 {
		t.Fatal("associations")
	}
}

// retrans bounds how often packets are sent again, of the association and of a path.
func retrans(assoc, path int) scriptOption {
	return func(s *script) { s.o.MaxRetrans, s.o.Path.MaxRetrans = uint16(assoc), uint16(path) }
}

// beats has heartbeats go.
func beats(s *script) { s.o.Path.NoHB, s.o.Path.HBInterval = false, 5*time.Second }

// shut has the program shut down.
func shut(tc *script) { tc.ev |= tc.a.Shutdown(tc.now); tc.pump() }
