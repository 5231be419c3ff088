package sctp

import "testing"

// RFC 9260, section 5.2: duplicate or unexpected INIT, INIT ACK, COOKIE ECHO and COOKIE ACK.
func TestRFC9260Collision(t *testing.T) { runCases(t, collisionCases) }

var collisionCases = []scriptCase{
	{name: "5.2.1 INIT in COOKIE-WAIT: the same tag", run: func(tc *script) {
		tc.open()
		tag := tc.a.tag
		tc.want("INIT")
		tc.recv("INIT")
		tc.want("INIT-ACK")
		tc.wantState(CookieWait)
		if tc.peer.coreTag != tag {
			tc.t.Fatal("another tag")
		}
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantState(Established)
		tc.wantNote("COMM-UP 10/10")
		tc.recv("INIT-ACK")
		tc.wantIdle("INIT ACK comes too late (5.2.3)")
		tc.send(10)
		tc.want("DATA 1 BE 0:0 10")
	}},
	{name: "5.2.1 INIT in COOKIE-ECHOED, action B: the peer's new tag counts", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("INIT tag=0x99 tsn=55")
		tc.want("INIT-ACK")
		tc.wantState(CookieEchoed)
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantState(Established)
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
	}},
	{name: "5.2.1 INIT in COOKIE-ECHOED names a new address: ABORT", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("INIT addr=B")
		tc.want("ABORT cause=11:00050008" + "0a010002")
		tc.wantState(CookieEchoed)
		tc.recv("COOKIE-ACK")
		tc.wantState(Established)
	}},
	{name: "5.2.4 action D: COOKIE ECHO in COOKIE-ECHOED", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("INIT")
		tc.want("INIT-ACK")
		cookie := tc.peer.cookie
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.peer.cookie = cookie
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantState(Established)
		tc.wantNote("COMM-UP 10/10")
		tc.recv("COOKIE-ACK")
		tc.wantNote("nothing")
	}},
	{name: "5.2.4 action D: COOKIE ECHO comes twice", run: func(tc *script) {
		tc.accept()
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
		tc.wantState(Established)
		tc.wantNote("nothing")
	}},
	{name: "5.2.4 action D: however late", run: func(tc *script) {
		tc.accept()
		tc.advance(ms(100000))
		tc.recv("COOKIE-ECHO")
		tc.want("COOKIE-ACK")
	}},
	{name: "5.2.4 action C: a cookie of before", run: func(tc *script) {
		tc.recv("INIT")
		tc.want("INIT-ACK")
		old, tag := tc.peer.cookie, tc.peer.coreTag
		tc.accept()
		tc.peer.cookie = old
		now := tc.peer.coreTag
		tc.peer.coreTag = tag
		tc.recv("COOKIE-ECHO")
		tc.wantIdle("nothing is to be said")
		tc.peer.coreTag = now
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
	}},
	{name: "5.2.2 and 5.2.4 action A: the peer restarts", run: func(tc *script) {
		tc.accept()
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
		tc.send(30)
		tc.want("DATA 1 BE 0:0 30")
		tag := tc.peer.coreTag
		tc.recv("INIT tag=0x99 tsn=77")
		tc.want("INIT-ACK")
		if tc.peer.coreTag == tag {
			tc.t.Fatal("the tag is the old one")
		}
		tc.wantState(Established)
		tc.recv("COOKIE-ECHO; DATA 1 BE 0:0 20")
		tc.want("COOKIE-ACK; SACK 1")
		tc.wantRead(100, "0:0 10 eor")
		tc.wantNote("failed 0:30 sent")
		tc.wantNote("failed 0:30 sent")
		tc.wantNote("RESTART 10/10")
		tc.wantRead(100, "0:0 20 eor")
		tc.send(40)
		tc.want("DATA 1 BE 0:0 40")
		tc.recv("SACK 1")
		tc.wantNote("dry")
	}},
	{name: "5.2.2 a restart must not bring new addresses", run: func(tc *script) {
		tc.accept()
		tc.recv("INIT tag=0x99 addr=B")
		tc.want("ABORT cause=11:00050008" + "0a010002")
		tc.wantState(Established)
	}},
	{name: "5.2.2 an INIT changes nothing", run: func(tc *script) {
		tc.accept()
		tag, peer := tc.peer.coreTag, tc.peer
		for range 5 {
			tc.recv("INIT tag=0x99 tsn=77")
			tc.want("INIT-ACK")
		}
		tc.peer.coreTag, tc.peer.coreTSN = tag, peer.coreTSN
		tc.peer.tag, tc.peer.tsn = peer.tag, peer.tsn
		tc.recv("DATA 1 BE 0:0 10")
		tc.want("SACK 1")
	}},
	{name: "9.2 a restart while SHUTDOWN ACK is on its way", run: func(tc *script) {
		tc.accept()
		tc.recv("INIT tag=0x99 tsn=77")
		tc.want("INIT-ACK")
		restart, rtag := tc.peer.cookie, tc.peer.coreTag
		tc.peer.tag, tc.peer.tsn, tc.peer.coreTag = 0x77000001, 0xffff_fffe, tc.a.tag
		tc.peer.coreTSN = uint32(tc.a.snd.nxt)
		tc.recv("SHUTDOWN 0")
		tc.want("SHUTDOWN-ACK")
		tc.recv("INIT")
		tc.want("SHUTDOWN-ACK")
		tc.peer.cookie, tc.peer.coreTag = restart, rtag
		tc.recv("COOKIE-ECHO")
		tc.want("ERROR cause=10")
		tc.want("SHUTDOWN-ACK")
		tc.wantState(ShutdownAckSent)
	}},
	{name: "5.2.3 INIT ACK when established", run: func(tc *script) {
		tc.accept()
		tc.recv("INIT-ACK")
		tc.wantIdle("nothing is to be said")
		tc.wantState(Established)
	}},
	{name: "5.2.5 COOKIE ACK when established, and in COOKIE-WAIT", run: func(tc *script) {
		tc.open()
		tc.want("INIT")
		tc.recv("COOKIE-ACK")
		tc.wantState(CookieWait)
		tc.recv("INIT-ACK")
		tc.want("COOKIE-ECHO")
		tc.recv("COOKIE-ACK")
		tc.recv("COOKIE-ACK")
		tc.wantState(Established)
		tc.wantIdle("nothing is to be said")
	}},
}
