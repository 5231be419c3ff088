package sctp

import (
	"encoding/hex"
	"fmt"
	"testing"

	"usock/internal/wire"
)

// ecnConnect goes through the handshake, as a client, with a peer that knows ECN or not.
func (s *script) ecnConnect(knows bool) {
	s.t.Helper()
	param := ""
	if knows {
		param = fmt.Sprintf(" param=%d:", wire.ParamECN)
	}
	s.open()
	s.want(fmt.Sprintf("INIT param=%d", wire.ParamECN))
	s.recv("INIT-ACK" + param)
	s.want("COOKIE-ECHO")
	s.recv("COOKIE-ACK")
	s.wantNote("COMM-UP 10/10")
}

// marked gives the core a packet that was marked on its way.
func (s *script) marked(text string) {
	s.t.Helper()
	in := s.packet(text)
	in.CE = true
	s.ev |= s.a.Packet(s.now, in)
	s.pump()
}

// tsnHex is what ECNE and CWR hold: a TSN, counted from 1, behind the first.
func tsnHex(first uint32, n int) string {
	return hex.EncodeToString(wire.AppendTSN(nil, wire.ChunkCWR, first+uint32(n)-1)[wire.ChunkHeaderLen:])
}

// TestECN: RFC 4960, appendix A, both ways.
func TestECN(t *testing.T) {
	runCases(t, []scriptCase{
		{name: "a packet that was marked is told of with each SACK until CWR comes", run: func(tc *script) {
			tc.ecnConnect(true)
			told := "ECNE " + tsnHex(tc.peer.tsn, 1)
			tc.marked("DATA 1 BE 0:0 10")
			tc.want(told + "; SACK 1")
			tc.recv("DATA 2 BE 0:1 10; DATA 3 BE 0:2 10")
			tc.wantAfter(ms(200), told+"; SACK 3")
			tc.recv("CWR " + tsnHex(tc.peer.tsn, 1))
			tc.recv("DATA 4 BEI 0:3 10")
			tc.want("SACK 4")
		}},
		{name: "with data, too", run: func(tc *script) {
			tc.ecnConnect(true)
			tc.marked("DATA 1 BE 0:0 10")
			tc.out = nil
			tc.recv("DATA 2 BE 0:1 10")
			tc.send(50)
			tc.want("ECNE " + tsnHex(tc.peer.tsn, 1) + "; SACK 2; DATA 1 BE 0:0 50")
			if tc.a.snd.una == tc.a.snd.nxt {
				tc.t.Fatal("nothing is outstanding")
			}
			tc.recv("SACK 1")
		}},
		{name: "ECNE halves the window once, and is answered each time", run: func(tc *script) {
			tc.ecnConnect(true)
			tc.send(3 * 1452)
			for range 3 {
				if !tc.out[0].ECT {
					tc.t.Fatal("DATA is not ECN-capable")
				}
				tc.want("DATA")
			}
			tc.a.use.cwnd = 20000
			tc.recv("ECNE " + tsnHex(tc.peer.coreTSN, 1))
			if tc.out[0].ECT {
				tc.t.Fatal("a packet without DATA is ECN-capable")
			}
			tc.want("CWR " + tsnHex(tc.peer.coreTSN, 1))
			tc.recv("ECNE " + tsnHex(tc.peer.coreTSN, 1))
			tc.want("CWR " + tsnHex(tc.peer.coreTSN, 1))
			if w := tc.a.use.cwnd; w != 10000 {
				tc.t.Fatalf("cwnd %d", w)
			}
			tc.recv("SACK 3")
			tc.wantNote("dry")
		}},
		{name: "where it was not agreed nothing is done", run: func(tc *script) {
			tc.ecnConnect(false)
			tc.marked("DATA 1 BE 0:0 10")
			tc.want("SACK 1")
			tc.send(10)
			if tc.out[0].ECT {
				tc.t.Fatal("DATA is ECN-capable")
			}
			tc.want("DATA")
			tc.recv("ECNE " + tsnHex(tc.peer.coreTSN, 1))
			tc.wantIdle("no CWR")
			tc.recv("SACK 1")
		}},
	})
}
