package sctp

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// RFC 9260, sections 3 to 5: what chunks may hold, and where.
func TestRFC9260Forms(t *testing.T) { runCases(t, formCases) }

var formCases = []scriptCase{
	{name: "3.3.1 DATA without header: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("0x00 00000001")
		tc.want("ABORT cause=13")
		tc.wantNote("COMM-LOST 13")
	}},
	{name: "3.3.1 the bits that are not used say nothing", run: func(tc *script) {
		tc.connect()
		b := "0x00 " + tsnHex(tc.peer.tsn, 1) + "0000" + "0000" + "00000000" + "61626364"
		in := tc.packet(b)
		v := in.Body.AppendTo(nil)
		in.Body.Release()
		v[1] = 0xf3 // B and E
		tc.recvBytes(v)
		tc.want("SACK 1")
		tc.wantNote("0:0 4 eor")
	}},
	{name: "3.3.4 a SACK that is too short: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("0x03 00000001")
		tc.want("ABORT cause=13")
		tc.wantNote("COMM-LOST 13")
	}},
	{name: "3.3.5 a HEARTBEAT without anything is answered so", run: func(tc *script) {
		tc.connect()
		tc.recv("0x04 ")
		tc.want("HEARTBEAT-ACK")
	}},
	{name: "3.3.6 a HEARTBEAT ACK of another form is nothing", run: func(tc *script) {
		tc.connect()
		tc.recv("0x05 ")
		tc.recv("0x05 0001")
		tc.recv("0x05 00010008aabbccdd")
		tc.wantState(Established)
	}},
	{name: "3.3.8 SHUTDOWN of a wrong length", run: func(tc *script) {
		tc.connect()
		tc.recv("0x07 0000")
		tc.want("ABORT cause=13")
		tc.wantNote("COMM-LOST 13")
	}},
	{name: "3.3.8 SHUTDOWN acknowledges what was not sent: ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN 5")
		tc.want("ABORT cause=13")
		tc.wantNote("COMM-LOST 13")
		tc.wantRead(100, "nothing")
	}},
	{name: "3.3.10 several causes are told each", run: func(tc *script) {
		tc.connect()
		tc.recv("ERROR cause=4: cause=99:01020304")
		tc.wantNote("error 4:")
		tc.wantNote("error 99:01020304")
	}},
	{name: "3.3.10 a cause whose length is wrong ends the chunk", run: func(tc *script) {
		tc.connect()
		tc.recv("0x09 0063000201020304")
		tc.wantState(Established)
		tc.wantRead(100, "nothing")
	}},
	{name: "3.3.7 ABORT with a cause that is cut is an ABORT", run: func(tc *script) {
		tc.connect()
		tc.recv("0x06 000c00ff61")
		tc.wantState(Closed)
		tc.wantNote("COMM-LOST")
	}},
	{name: "3.2 a chunk of length 0 ends the packet", run: func(tc *script) {
		tc.connect()
		tc.recvBytes([]byte{0xbf, 0, 0, 0, 11, 0, 0, 4})
		tc.wantState(Established)
	}},
	{name: "3.2 padding may be anything", run: func(tc *script) {
		tc.connect()
		tc.recvBytes([]byte{0xbf, 0, 0, 5, 1, 0xff, 0xff, 0xff, 4, 0, 0, 4})
		tc.want("HEARTBEAT-ACK")
	}},
	{name: "3.2.2 unknown parameters of INIT: those that are reported and those that are not", run: func(tc *script) {
		tc.recv("INIT param=0x8111:01 param=0xc111:0203 param=0x4111:04 param=0xc112:05")
		if text := tc.format(&tc.out[0]); strings.Contains(text, "c112") || strings.Contains(text, "8111") {
			tc.t.Errorf("not to be reported, or behind one that ends the chunk: %s", text)
		}
		tc.want("INIT-ACK param=8:c11100060203 param=8:4111000504")
	}},
	{name: "5.1.2 an address twice, and many", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.recv("INIT addr=B,B,B")
		tc.want("INIT-ACK")
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		if n := len(tc.a.Peers(nil)); n != 2 {
			tc.t.Errorf("%d addresses", n)
		}
		tc.confirm("B")
	}},
	{name: "5.1 E COOKIE ACK comes with data", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK; DATA 1 BE 0:0 10")
		tc.wantNote("COMM-UP 10/10")
		tc.want("SACK 1")
		tc.wantNote("0:0 10 eor")
	}},
	{name: "5.1 C data in front of COOKIE ACK is not taken", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("DATA 1 BE 0:0 10")
		tc.wantIdle("there is no association yet")
		tc.recv("COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
	}},
	{name: "5.1 B ERROR in COOKIE-WAIT is nothing", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("ERROR cause=3:00000001")
		tc.recv("HEARTBEAT 00010004")
		tc.recv("0xfe ")
		tc.wantState(CookieWait)
		tc.wantIdle("the peer has no association")
	}},
	{name: "5.1 B ABORT in COOKIE-WAIT with another tag is nothing", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("tag=99 ABORT")
		tc.wantState(CookieWait)
		tc.recv("ABORT")
		tc.wantState(Closed)
		tc.wantNote("CANT-START")
	}},
	{name: "5.1.5 COOKIE ECHO of other ports", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		in := tc.packet("COOKIE-ECHO")
		in.SrcPort++
		var o Out
		if a, send := tc.e.Answer(tc.now, in, &o); a != nil || send {
			tc.t.Error("it was made for another port")
		}
	}},
	{name: "5.1.5 COOKIE ECHO with another tag", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.recv("tag=99 COOKIE-ECHO")
		tc.wantIdle("the tag is the cookie's")
		if tc.a != nil {
			tc.t.Error("there is an association")
		}
	}},
	{name: "5.1.6 COOKIE ECHO is given up", opts: []scriptOption{func(s *script) { s.o.MaxInitRetrans = 2 }}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.wantAfter(ms(1000), "COOKIE-ECHO")
		tc.wantAfter(ms(2000), "COOKIE-ECHO")
		tc.advance(time.Minute)
		tc.wantState(Closed)
		tc.wantNote("CANT-START")
	}},
	{name: "5.3.1 tags are not 0, and each association's own", run: func(tc *script) {
		seen := map[uint32]bool{0: true}
		for range 50 {
			tc.recv("INIT")
			tc.want("INIT-ACK")
			if seen[tc.peer.coreTag] {
				tc.t.Fatalf("tag %#x", tc.peer.coreTag)
			}
			seen[tc.peer.coreTag] = true
		}
	}},
	{name: "5.4 an answer to the heartbeat of one address does not confirm another", opts: []scriptOption{multihomed("AB")}, run: func(tc *script) {
		tc.connect()
		tc.want("@B HEARTBEAT")
		b := tc.heartbeatTo("B")
		forged := append([]byte(nil), b...)
		forged[len(forged)-3] ^= 1 // the nonce
		tc.recv("@B HEARTBEAT-ACK " + hex.EncodeToString(forged))
		if p, _ := tc.a.Path(scriptAddrs["B"][0]); p.State != PathUnconfirmed {
			tc.t.Error("by another nonce")
		}
		tc.recv("@A HEARTBEAT-ACK " + hex.EncodeToString(b)) // section 5.4: from wherever it comes
		tc.wantNote("B confirmed")
	}},
	{name: "9.2 DATA and SACK in SHUTDOWN-ACK-SENT are nothing", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.wantNote("shutdown")
		tc.recv("DATA 1 BE 0:0 10")
		tc.recv("SACK 0")
		tc.wantIdle("the peer has said that nothing follows")
		tc.recv("SHUTDOWN-COMPLETE")
		tc.wantState(Closed)
		tc.wantNote("SHUTDOWN-COMP")
	}},
	{name: "9.2 SHUTDOWN comes again while SHUTDOWN ACK is on its way", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.wantNote("shutdown")
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.recv("SHUTDOWN-COMPLETE")
		tc.wantNote("SHUTDOWN-COMP")
	}},
	{name: "9.2 HEARTBEAT while shutting down is answered", run: func(tc *script) {
		tc.connect()
		tc.a.Shutdown(tc.now)
		tc.pump()
		tc.want("SHUTDOWN 0")
		tc.recv("HEARTBEAT 00010004")
		tc.want("HEARTBEAT-ACK 00010004")
	}},
	{name: "8.5.1 ABORT with the T bit and this end's tag is nothing", run: func(tc *script) {
		tc.connect()
		tc.recv("ABORT T")
		tc.wantState(Established)
		tc.recv("tag=own ABORT T")
		tc.wantState(Closed)
		tc.wantNote("COMM-LOST")
	}},
	{name: "8.5.1 SHUTDOWN COMPLETE with the T bit and this end's tag is nothing", run: func(tc *script) {
		tc.connect()
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.wantNote("shutdown")
		tc.recv("SHUTDOWN-COMPLETE T")
		tc.wantState(ShutdownAckSent)
		tc.recv("SHUTDOWN-COMPLETE")
		tc.wantNote("SHUTDOWN-COMP")
	}},
}

// recvBytes gives the core a packet of these chunks.
func (s *script) recvBytes(b []byte) {
	s.t.Helper()
	in := s.packet("0x81 ")
	in.Body.Release()
	in.Head = b
	s.ev |= s.a.Packet(s.now, in)
	s.pump()
}
