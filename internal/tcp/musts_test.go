package tcp

import (
	"testing"

	"usock/internal/wait"
)

// shut connects and closes the receive window: 2920 bytes wait, and the peer has been told
// that there is no room.
func shut(t *testing.T) *script {
	tc := newScript(t, plain)
	tc.p.RcvBuf = 4 * 1460
	tc.connect()
	tc.recv(". 1+1460 ack 1")
	tc.recv(". 1461+1460 ack 1")
	tc.rest(". 1 ack 1461", ". 1 ack 2921")
	tc.recv(". 2921+1 ack 1")
	tc.want(". 1 ack 2921 win 0")
	return tc
}

// A zero window takes RST and URG all the same (RFC 9293 MUST-66): the program learns that
// there is urgent data and gets it, as on Linux, before there is room for what it stands in.
func TestZeroWindowTakesURG(t *testing.T) {
	tc := shut(t)
	tc.wantEvents(wait.In)
	tc.recv("U. 2921+1 ack 1 urg 1")
	tc.want(". 1 ack 2921 win 0")
	tc.wantEvents(wait.Pri)
	wantUrgent(tc, false, streamByte(2921), nil)
	if n := tc.c.Buffered(); n != 2920 {
		t.Fatalf("%d bytes wait", n)
	}
}

// RFC 9293 MUST-66, for RST.
func TestZeroWindowTakesRST(t *testing.T) {
	tc := shut(t)
	tc.recv("R 2921")
	tc.wantState(Closed)
}

// A connection whose SYN was lost begins with one segment (RFC 5681 MUST-3.1d), one whose SYN
// was not with more.
func TestInitialWindowAfterLostSYN(t *testing.T) {
	for _, lost := range []bool{false, true} {
		tc := newScript(t, plain)
		tc.c.Connect(tc.now, &tc.p)
		tc.pump()
		tc.want("S 0 <mss 1460>")
		if lost {
			tc.wantAfter(secs(1), "S 0 <mss 1460>")
		}
		tc.recv("S. 0 ack 1 <mss 1460>")
		tc.want(". 1 ack 1")

		tc.write(5000)
		tc.want(". 1+1460 ack 1")
		if lost {
			tc.wantIdle("the window is one segment")
		} else {
			tc.rest("P. 1461..5001/1460 ack 1")
		}
	}
}
