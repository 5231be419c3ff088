package sctp

import "testing"

// RFC 6951: UDP encapsulation.
func TestRFC6951(t *testing.T) {
	to := func(s *script) { s.o.Path.EncapPort = 9899 }
	runCases(t, []scriptCase{
		{name: "a client sends to the port that it was told", opts: []scriptOption{to, multihomed("AB")}, run: func(tc *script) {
			tc.peer.addrs = ""
			tc.open()
			tc.want("udp=9899 INIT") // and no addresses, nor what families they may be of
			if n := len(tc.a.Local()); n != 0 {
				tc.t.Fatalf("%d addresses are told", n)
			}
			tc.recv("udp=9899 INIT-ACK")
			tc.want("udp=9899 COOKIE-ECHO")
			tc.recv("udp=9899 COOKIE-ACK")
			tc.send(3000)
			tc.want("udp=9899 DATA 1 B 0:0 1444") // a UDP header less than else
			tc.want("udp=9899 DATA 2 - 0:0 1444")
			tc.want("udp=9899 DATA 3 E 0:0 112")
		}},
		{name: "5.4 a server answers to the port that packets come from", run: func(tc *script) {
			tc.recv("udp=40000 INIT")
			tc.want("udp=40000 INIT-ACK")
			tc.recv("udp=40000 COOKIE-ECHO")
			tc.want("udp=40000 COOKIE-ACK")
			tc.send(10)
			tc.want("udp=40000 DATA 1 BE 0:0 10")
			tc.recv("udp=40001 SACK 1")
			tc.wantNote("COMM-UP 10/10")
			tc.wantNote("dry")
			tc.send(10)
			tc.want("udp=40001 DATA 2 BE 0:1 10")
			tc.recv("udp=50000 tag=5 SACK 2")
			tc.wantAfter(ms(1000), "udp=40001 DATA 2 BE 0:1 10")
		}},
		{name: "5.4 the peer does without", opts: []scriptOption{to}, run: func(tc *script) {
			tc.open()
			tc.want("udp=9899 INIT")
			tc.recv("INIT-ACK")
			tc.want("COOKIE-ECHO")
		}},
		{name: "out of the blue: the same way back", run: func(tc *script) {
			var o Out
			if !OutOfTheBlue(tc.packet("udp=7 tag=9 DATA 1 BE 0:0 10"), &o) {
				tc.t.Fatal("no answer")
			}
			tc.sent(&o)
			tc.want("tag=0x9 udp=7 ABORT T")
		}},
		{name: "ABORT and HEARTBEAT ACK", run: func(tc *script) {
			tc.recv("udp=40000 INIT")
			tc.want("udp=40000 INIT-ACK")
			tc.recv("udp=40000 COOKIE-ECHO")
			tc.want("udp=40000 COOKIE-ACK")
			tc.recv("udp=40000 HEARTBEAT")
			tc.want("udp=40000 HEARTBEAT-ACK")
			tc.a.Abort(tc.now, nil)
			tc.pump()
			tc.want("udp=40000 ABORT cause=12")
		}},
	})
}
