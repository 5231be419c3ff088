package sctp

import (
	"encoding/hex"
	"syscall"
	"testing"
	"time"
)

// scriptCase is a packet script by its section of an RFC.
type scriptCase struct {
	name string
	opts []scriptOption
	run  func(tc *script)
}

func runCases(t *testing.T, cases []scriptCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(newScript(t, c.opts...)) })
	}
}

// RFC 9260, section 5.1: normal establishment.
func TestRFC9260Establishment(t *testing.T) { runCases(t, establishmentCases) }

var establishmentCases = []scriptCase{
	{name: "5.1 client", run: func(tc *script) {
		tc.open()
		tc.wantState(CookieWait)
		tc.want("INIT rwnd=106496 os=10 is=65535")
		tc.recv("INIT-ACK")
		tc.wantState(CookieEchoed)
		tc.want("COOKIE-ECHO " + hex.EncodeToString([]byte("cookie")))
		tc.recv("COOKIE-ACK")
		tc.wantState(Established)
		tc.wantIdle("the handshake is over")
		if d := tc.a.Deadline(); d != never {
			tc.t.Fatalf("a timer runs: %v", d)
		}
	}},
	{name: "5.1 server keeps nothing before COOKIE ECHO", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK os=10 is=65535")
		if tc.a != nil {
			tc.t.Fatal("an association was made")
		}
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantState(Established)
	}},
	{name: "5.1.1 streams are the lesser of both wishes", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK os=3 is=2")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.wantNote("COMM-UP 2/3")
		if err := tc.trySend(10, &SendInfo{Stream: 2}); err != syscall.EINVAL {
			tc.t.Fatalf("stream 2 of 2: %v", err)
		}
	}},
	{name: "5.1.1 no streams: ABORT", run: func(tc *script) {
		tc.recv("INIT os=0")
		tc.want("ABORT cause=7")
		tc.recv("INIT is=0")
		tc.want("ABORT cause=7")
	}},
	{name: "3.3.2 a tag of zero: discarded", run: func(tc *script) {
		tc.recv("INIT tag=0")
		tc.wantIdle("there is no tag to answer to")
	}},
	{name: "3.3.2 a window below 1500: ABORT", run: func(tc *script) {
		tc.recv("INIT rwnd=1499")
		tc.want("ABORT cause=7")
		tc.recv("INIT rwnd=1500")
		tc.want("INIT-ACK")
	}},
	{name: "3.3.3 INIT ACK with a tag of zero: the association is gone", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tag := tc.peer.tag
		tc.recv("INIT-ACK tag=0")
		tc.peer.tag = tag
		tc.wantState(Closed)
		tc.wantNote("CANT-START 7")
		tc.wantIdle("nothing to be sent to")
	}},
	{name: "3.3.3 INIT ACK without cookie: ABORT", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK nocookie=1")
		tc.want("ABORT cause=2:000000010007")
		tc.wantState(Closed)
		tc.wantError(syscall.ECONNREFUSED)
	}},
	{name: "3.3.3 INIT ACK without streams: ABORT", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK os=0")
		tc.want("ABORT cause=7")
	}},
	{name: "5.1.2 host name: ABORT with Unresolvable Address", run: func(tc *script) {
		tc.recv("INIT param=11:6100")
		tc.want("ABORT cause=5")
	}},
	{name: "5.1 B INIT is refused: ABORT", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("ABORT")
		tc.wantState(Closed)
		tc.wantError(syscall.ECONNREFUSED)
		tc.wantNote("CANT-START")
	}},
	{name: "5.1 C data goes with COOKIE ECHO", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.send(100)
		tc.wantIdle("nothing goes before the INIT ACK")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO; DATA 1 BE 0:0 100")
		tc.send(100)
		tc.wantIdle("nothing more goes before the COOKIE ACK")
		tc.recv("COOKIE-ACK; SACK 1")
		tc.want("DATA 2 BE 0:1 100")
	}},
	{name: "5.1 D data comes with COOKIE ECHO", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.recv("COOKIE-ECHO; DATA 1 BE 0:0 100")
		tc.want("COOKIE-ACK; SACK 1")
		tc.wantNote("COMM-UP 10/10")
		tc.wantRead(1000, "0:0 100 eor")
	}},
	{name: "5.1 INIT goes alone", run: func(tc *script) {
		tc.recv("INIT; DATA 1 BE 0:0 10")
		tc.wantIdle("INIT is not bundled")
	}},
	{name: "5.1.3 a cookie that was not made here", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.peer.cookie[40] ^= 1
		tc.recv("COOKIE-ECHO")
		tc.wantIdle("the signature is wrong")
		tc.peer.cookie[40] ^= 1
		tc.peer.cookie[0] ^= 1
		tc.recv("COOKIE-ECHO")
		tc.wantIdle("the signature is wrong")
		tc.recv("COOKIE-ECHO 00")
		tc.wantIdle("that is no cookie")
		tc.peer.cookie[0] ^= 1
		tc.recv("tag=5 COOKIE-ECHO")
		tc.wantIdle("the tag is not the cookie's")
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
	}},
	{name: "5.1.5 a cookie that is too old", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.now += 60*time.Second + 5*time.Microsecond
		tc.recv("COOKIE-ECHO")
		tc.want("ERROR cause=3:00000005")
	}},
	{name: "5.1.5 a cookie lives its time, over a change of the secret", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.now += 3540 * time.Second
		tc.e.Config.secret.since = tc.now - 2*time.Hour + time.Minute
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.now += 60 * time.Second
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
	}},
	{name: "5.2.6 Cookie Preservative", run: func(tc *script) {
		tc.recv("INIT param=9:00001388")
		tc.want("INIT-ACK")
		tc.now += 65 * time.Second
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
	}},
	{name: "5.2.6 Stale Cookie: INIT again, with a preservative", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("ERROR cause=3:000f4240")
		tc.wantState(CookieWait)
		tc.want("INIT param=9:000007d0")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
	}},
	{name: "5.1.6 INIT is sent again", opts: []scriptOption{func(s *script) { s.o.MaxInitRetrans = 3 }}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.wantAfter(ms(1000), "INIT")
		tc.wantAfter(ms(2000), "INIT")
		tc.wantAfter(ms(4000), "INIT")
		tc.advance(ms(8000))
		tc.wantState(Closed)
		tc.wantError(syscall.ETIMEDOUT)
		tc.wantNote("CANT-START")
	}},
	{name: "5.1.6 COOKIE ECHO is sent again", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.wantAfter(ms(1000), "COOKIE-ECHO")
		tc.wantAfter(ms(2000), "COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.wantState(Established)
	}},
	{name: "SCTP_INITMSG bounds the wait", opts: []scriptOption{func(s *script) { s.o.MaxInitTimeout = ms(1500) }}, run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.wantAfter(ms(1000), "INIT")
		tc.wantAfter(ms(1500), "INIT")
		tc.wantAfter(ms(1500), "INIT")
	}},
	{name: "3.2.1 unknown parameters of INIT", run: func(tc *script) {
		// 0x3fff: stop, silently; 0x7fff: stop and report; 0xbfff: skip; 0xffff: skip and report.
		tc.recv("INIT param=0xffff:01 param=0xbfff:02 param=0x7fff:0303 param=0xfffe:04")
		tc.want("INIT-ACK param=8:ffff000501 param=8:7fff00060303")
		if s := tc.a; s != nil {
			tc.t.Fatal("state")
		}
	}},
	{name: "3.2.1 unknown parameter that ends the chunk", run: func(tc *script) {
		tc.recv("INIT param=0x3fff:01 param=0xffff:02")
		tc.want("INIT-ACK")
	}},
	{name: "3.2.1 unknown parameters of INIT ACK are reported behind COOKIE ECHO", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK param=0xffff:01020304")
		tc.want("COOKIE-ECHO; ERROR cause=8:ffff000801020304")
	}},
	{name: "3.2.1 a parameter of a wrong length: ABORT", run: func(tc *script) {
		in := tc.packet("0x01 " + "77000001" + "00010000" + "000a000a" + "00000001" + "ffff0003")
		var o Out
		if _, send := tc.e.Answer(tc.now, in, &o); !send {
			tc.t.Fatal("no answer")
		}
		tc.sent(&o)
		tc.want("ABORT cause=13")
	}},
}
