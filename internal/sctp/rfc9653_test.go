package sctp

import "testing"

// zeroSums has an endpoint take packets without checksum.
func zeroSums(s *script) { s.o.EDMID = EDMIDDTLS }

const zeroParam = "param=32769:00000001"

// RFC 9653: packets without checksum.
func TestRFC9653(t *testing.T) { runCases(t, zeroSumCases) }

var zeroSumCases = []scriptCase{
	{name: "5.1 and 5.2 a client: all but INIT and COOKIE ECHO go without", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.open()
		tc.want("INIT " + zeroParam)
		tc.recv("INIT-ACK " + zeroParam)
		tc.want("COOKIE-ECHO")
		tc.recv("zero COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.send(100)
		tc.want("zero DATA 1 BE 0:0 100")
		tc.recv("zero SACK 1; DATA 1 BEI 0:0 10")
		tc.want("zero SACK 1")
		tc.wantNote("dry")
		tc.wantNote("0:0 10 eor")
		tc.recv("HEARTBEAT 00010008aabbccdd")
		tc.want("zero HEARTBEAT-ACK 00010008aabbccdd")
		tc.a.Abort(tc.now, nil)
		tc.pump()
		tc.want("zero ABORT cause=12:")
	}},
	{name: "5.1 and 5.2 a server: its INIT ACK says so, and keeps nothing", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.recv("INIT " + zeroParam)
		tc.want("INIT-ACK " + zeroParam)
		tc.recv("zero COOKIE-ECHO")
		tc.wantIdle("it is taken without an association")
		tc.recv("COOKIE-ECHO")
		tc.want("zero COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.recv("zero SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.wantNote("shutdown")
		tc.recv("zero SHUTDOWN-COMPLETE")
		tc.wantState(Closed)
		tc.wantNote("SHUTDOWN-COMP")
	}},
	{name: "5.2 the peer does not take them: all have one", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.connect()
		tc.send(100)
		tc.want("DATA 1 BE 0:0 100")
		tc.recv("zero SACK 1") // it may send them, as this end takes them
		tc.send(100)
		tc.want("DATA 2 BE 0:1 100")
	}},
	{name: "5.2 another method is none", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK param=0x8001:00000002")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.send(100)
		tc.want("DATA 1 BE 0:0 100")
	}},
	{name: "5.3 an end that has not told: they are nothing, and it has one each time", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("zero INIT-ACK " + zeroParam)
		tc.wantIdle("no checksum")
		tc.recv("INIT-ACK " + zeroParam)
		tc.want("COOKIE-ECHO")
		tc.recv("zero COOKIE-ACK")
		tc.wantState(CookieEchoed)
		tc.recv("COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.recv("zero DATA 1 BEI 0:0 10")
		tc.wantIdle("no checksum")
		tc.recv("DATA 1 BEI 0:0 10")
		tc.want("SACK 1")
		tc.wantNote("0:0 10 eor")
	}},
	{name: "5.3 INIT and what has another tag are nothing", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.recv("zero INIT " + zeroParam)
		tc.wantIdle("no checksum")
		tc.recv("zero DATA 1 BE 0:0 10")
		tc.wantIdle("out of the blue")
		tc.recv("INIT " + zeroParam)
		tc.want("INIT-ACK")
		tc.recv("COOKIE-ECHO")
		tc.want("zero COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.recv("tag=own zero ABORT T")
		tc.wantState(Established)
		tc.recv("zero INIT tag=0x99 " + zeroParam)
		tc.wantIdle("a restart shows itself by a checksum")
	}},
	{name: "the peer restarts without: it counts", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.recv("INIT " + zeroParam)
		tc.want("INIT-ACK")
		tc.recv("COOKIE-ECHO")
		tc.want("zero COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.recv("INIT tag=0x99 tsn=77")
		tc.want("INIT-ACK " + zeroParam)
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantNote("RESTART 10/10")
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
	}},
	{name: "the option changes after INIT ACK: what was told counts", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.recv("INIT " + zeroParam)
		tc.want("INIT-ACK " + zeroParam)
		tc.o.EDMID = 0
		tc.recv("COOKIE-ECHO")
		tc.want("zero COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
		tc.recv("zero DATA 1 BEI 0:0 10")
		tc.want("zero SACK 1")
		tc.wantNote("0:0 10 eor")
	}},
	{name: "a parameter of a wrong length is none", opts: []scriptOption{zeroSums}, run: func(tc *script) {
		tc.recv("INIT param=0x8001:01")
		tc.want("INIT-ACK")
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantNote("COMM-UP 10/10")
	}},
}
