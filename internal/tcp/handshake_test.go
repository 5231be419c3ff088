package tcp

import (
	"syscall"
	"testing"

	"usock/internal/wait"
)

// RFC 9293, section 3.5: establishing a connection.

// An acknowledgment of something else may be of a peer that still has an older connection with these ports, which our
// reset ends: the SYN follows at once, but not twice (Linux, tcp_rcv_synsent_state_process).
func TestSYNAfterReset(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.sleep(msec(100))
	tc.recv(". 5000 ack 300")
	tc.want("R 300")
	tc.wantAfter(timeoutMin, "S 0 <mss 1460>")
	tc.recv(". 5000 ack 300")
	tc.want("R 300")
	tc.wantAfter(secs(1), "S 0 <mss 1460>")
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.want(". 1 ack 1")
}

func TestHandshakeActive(t *testing.T) {
	tc := newScript(t)
	tc.c.Connect(tc.now, &tc.p)
	tc.wantState(SynSent)
	tc.pump()
	// Linux's options, in its order, and its first window.
	tc.want("S 0 win 64240 <mss 1460,sackok,ts 100000:0,ws 7>")
	tc.wantIdle("the SYN is in flight")
	tc.wantReady(0)
	tc.recv("S. 0 ack 1 win 5000 <mss 1400,sackok,ts 7:100000,ws 3>")
	tc.want(". 1 ack 1 win 502 <ts 100000:7>")
	tc.wantState(Established)
	tc.wantEvents(wait.Out)
	tc.wantReady(wait.Out)
	if tc.c.snd.wnd != 5000 || tc.c.snd.mss != 1388 {
		t.Fatalf("wnd %d, mss %d", tc.c.snd.wnd, tc.c.snd.mss)
	}
}

func TestHandshakePassive(t *testing.T) {
	tc := newScript(t)
	g, _ := tc.parse("S 0 win 1000 <mss 1460,sackok,ts 9:0,ws 7>")
	tc.c.Accept(tc.now, &tc.p, &g)
	tc.pump()
	tc.want("S. 0 ack 1 win 65160 <mss 1460,sackok,ts 100000:9,ws 7>")
	tc.wantState(SynRcvd)
	tc.wantReady(0)
	tc.recv(". 1 ack 1 win 10 <ts 10:100000>")
	tc.wantState(Established)
	tc.wantIdle("the handshake is over")
	tc.wantEvents(wait.Out)
	if tc.c.snd.wnd != 10<<7 {
		t.Fatalf("window %d", tc.c.snd.wnd)
	}
	tc.wantCounts("PassiveOpens 1")
}

func TestSYNRetransmission(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	// Linux: four linear timeouts, then doubling; 67 s to the last, and 64 s more.
	for _, s := range []int{1, 1, 1, 1, 1, 2, 4, 8, 16, 32} {
		tc.wantAfter(secs(s), "S 0 <mss 1460>")
	}
	tc.silent(secs(63), "the last timeout")
	tc.wantState(SynSent)
	tc.silent(secs(1), "the connection has failed")
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
	tc.wantCounts("AttemptFails 1 RetransSegs 10 TCPTimeouts 11 TCPAbortOnTimeout 1 TCPSynRetrans 10")
}

func TestSYNACKRetransmission(t *testing.T) {
	tc := newScript(t, plain)
	g, _ := tc.parse("S 0 <mss 1460>")
	tc.c.Accept(tc.now, &tc.p, &g)
	tc.pump()
	tc.want("S. 0 ack 1 <mss 1460>")
	for _, s := range []int{1, 2, 4, 8, 16} {
		tc.wantAfter(secs(s), "S. 0 ack 1 <mss 1460>")
	}
	tc.silent(secs(32), "the connection has failed")
	tc.wantState(Closed)
	tc.wantCounts("OutSegs 5 RetransSegs 5 TCPSynRetrans 5")
}
