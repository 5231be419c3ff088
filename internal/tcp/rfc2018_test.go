package tcp

import (
	"fmt"
	"testing"
	"time"

	"usock/cc"
)

// RFC 2018, section 4: what a receiver tells.

func TestSACKBlocks(t *testing.T) {
	tc := newScript(t, noTS, noWS)
	tc.connect()
	steps := []struct{ in, out string }{
		{". 101+100 ack 1", ". 1 ack 1 <sack 101-201>"},
		// A block grows at either side.
		{". 201+100 ack 1", ". 1 ack 1 <sack 101-301>"},
		{". 51+50 ack 1", ". 1 ack 1 <sack 51-301>"},
		// The block that changed last comes first.
		{". 501+100 ack 1", ". 1 ack 1 <sack 501-601,sack 51-301>"},
		{". 801+100 ack 1", ". 1 ack 1 <sack 801-901,sack 501-601,sack 51-301>"},
		{". 601+50 ack 1", ". 1 ack 1 <sack 501-651,sack 801-901,sack 51-301>"},
		{". 1101+100 ack 1", ". 1 ack 1 <sack 1101-1201,sack 501-651,sack 801-901,sack 51-301>"},
		// A fifth displaces the oldest.
		{". 1401+100 ack 1", ". 1 ack 1 <sack 1401-1501,sack 1101-1201,sack 501-651,sack 801-901>"},
		// A segment that joins two.
		{". 651+150 ack 1", ". 1 ack 1 <sack 501-901,sack 1401-1501,sack 1101-1201>"},
		// What is acknowledged is no longer told.
		{". 1+50 ack 1", ". 1 ack 301 <sack 501-901,sack 1401-1501,sack 1101-1201>"},
		{". 301+200 ack 1", ". 1 ack 901 <sack 1401-1501,sack 1101-1201>"},
		{". 901+500 ack 1", ". 1 ack 1501"},
	}
	for _, s := range steps {
		tc.recv(s.in)
		tc.want(s.out)
	}
	tc.read(1<<20, 1500)
}

// With timestamps three blocks fit.
func TestSACKBlocksWithTimestamps(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	for i := range 4 {
		tc.recv(fmt.Sprintf(". %d+100 ack 1", 101+200*i))
	}
	tc.want(". 1 ack 1 <sack 101-201>")
	tc.want(". 1 ack 1 <sack 301-401,sack 101-201>")
	tc.want(". 1 ack 1 <sack 501-601,sack 301-401,sack 101-201>")
	tc.want(". 1 ack 1 <sack 701-801,sack 501-601,sack 301-401>")
}

// Data that leaves carries the blocks too (section 4).
func TestSACKOnData(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connect()
	tc.recv(". 101+100 ack 1")
	tc.want(". 1 ack 1 <sack 101-201>")
	tc.write(10)
	tc.want("P. 1+10 ack 1 <sack 101-201>")
}

// Without the option on both sides there are no blocks.
func TestNoSACK(t *testing.T) {
	tc := newScript(t, noTS, noSACK)
	tc.connect()
	tc.recv(". 101+100 ack 1")
	tc.want(". 1 ack 1")
	tc.recv(". 1+100 ack 1")
	tc.want(". 1 ack 201")
}

// A FIN out of order is held; it is no part of a block.
func TestSACKFIN(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connect()
	tc.recv("F. 101+100 ack 1")
	tc.want(". 1 ack 1 <sack 101-201>")
	tc.recv(". 1+100 ack 1")
	tc.want(". 1 ack 202")
	tc.wantState(CloseWait)
}

// RFC 2883: duplicates are told first.
func TestDSACK(t *testing.T) {
	for _, c := range []struct {
		name, counts string
		steps        [][2]string
	}{
		{"full segment below the acknowledgment (section 4.1)", "DelayedACKLost 1 TCPDSACKOldSent 1", [][2]string{
			{". 1+500 ack 1", ". 1 ack 501"},
			{". 501+500 ack 1", ". 1 ack 1001"},
			{". 1+500 ack 1", ". 1 ack 1001 <sack 1-501>"},
			{". 1001+500 ack 1", ". 1 ack 1501"},
		}},
		{"full segment above, in a block (section 4.1.2)", "TCPDSACKOfoSent 1 TCPOFOQueue 2", [][2]string{
			{". 501+500 ack 1", ". 1 ack 1 <sack 501-1001>"},
			{". 501+500 ack 1", ". 1 ack 1 <sack 501-1001,sack 501-1001>"},
			{". 1+500 ack 1", ". 1 ack 1001"},
		}},
		{"partial segment (section 4.2.1)", "TCPDSACKOldSent 1", [][2]string{
			{". 1+500 ack 1", ". 1 ack 501"},
			{". 251+500 ack 1", ". 1 ack 751 <sack 251-501>"},
		}},
		{"partial segment above, in a block (section 4.2.3)", "TCPDSACKOldSent 1 TCPDSACKOfoSent 1 TCPOFOQueue 2", [][2]string{
			{". 5001+1000 ack 1", ". 1 ack 1 <sack 5001-6001>"},
			{". 5501+1000 ack 1", ". 1 ack 1 <sack 5501-6001,sack 5001-6501>"},
			{". 1+3000 ack 1", ". 1 ack 3001 <sack 5001-6501>"},
			{". 501+5000 ack 1", ". 1 ack 6501 <sack 501-3001>"},
		}},
		{"told once", "DelayedACKLost 1 TCPDSACKOldSent 1 TCPOFOQueue 1", [][2]string{
			{". 1+500 ack 1", ". 1 ack 501"},
			{". 1+500 ack 1", ". 1 ack 501 <sack 1-501>"},
			{". 1001+500 ack 1", ". 1 ack 501 <sack 1001-1501>"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, noTS)
			tc.connect()
			for _, s := range c.steps {
				tc.recv(s[0])
				tc.want(s[1])
			}
			tc.wantCounts(c.counts)
		})
	}
}

// What the sender makes of it.

// inFlight connects with a round trip of 100 ms and has n segments of 1000 bytes in
// flight.
func inFlight(t *testing.T, n int, opts ...scriptOption) *script {
	t.Helper()
	tc := newScript(t, append([]scriptOption{noTS}, opts...)...)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(1000 * n)
	for i := range n {
		f := "."
		if i == n-1 {
			f = "P."
		}
		tc.want(fmt.Sprintf("%s %d+1000 ack 1", f, 1+1000*i))
	}
	tc.sleep(msec(100))
	return tc
}

// Three segments SACKed behind one: it is lost, and sent at once (RFC 8985, section
// 6.2, step 4: RACK.reo_wnd is zero then).
func TestFastRetransmit(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.wantIdle("it may be reordering")
	tc.recv(". 1 ack 1 <sack 1001-3001>")
	tc.wantIdle("it may be reordering")
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.want(". 1+1000 ack 1")
	if st := tc.c.snd.flight.loss.state; st != cc.Recovery {
		t.Fatalf("state %d", st)
	}
	tc.sleep(msec(100))
	tc.recv(". 1 ack 10001")
	if st := tc.c.snd.flight.loss.state; st != cc.Open {
		t.Fatalf("state %d", st)
	}
	// Half, and a segment for the seven delivered at the end: congestion avoidance.
	if w := tc.c.snd.cwnd(); w != 6000 {
		t.Fatalf("cwnd %d", w)
	}
	tc.wantIdle("all is acknowledged")
	tc.wantCounts("RetransSegs 1 TCPSackRecovery 1 TCPFastRetrans 1")
}

// All holes that a later SACK shows are sent, in order, as the window allows.
func TestSeveralHoles(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-2001,sack 3001-4001,sack 5001-6001>")
	tc.want(". 1+1000 ack 1")
	tc.recv(". 1 ack 1 <sack 7001-8001,sack 5001-6001,sack 3001-4001>")
	tc.recv(". 1 ack 1 <sack 7001-10001,sack 5001-6001,sack 3001-4001>")
	tc.want(". 2001+1000 ack 1")
	tc.want(". 4001+1000 ack 1")
	tc.rest(". 6001+1000 ack 1")
}

// A lost retransmission is found by RACK (RFC 8985, section 3).
func TestLostRetransmission(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.want(". 1+1000 ack 1")
	tc.sleep(msec(10))
	tc.write(5000)
	tc.recv(". 1 ack 1 <sack 1001-9001>")
	for len(tc.out) > 0 {
		tc.out = tc.out[1:]
	}
	n := tc.c.snd.nxt - origin
	if n <= 10001 {
		t.Fatalf("no new data was sent: %d", n)
	}
	tc.sleep(msec(110))
	// New data sent after the retransmission arrived, the retransmission did not.
	tc.recv(fmt.Sprintf(". 1 ack 1 <sack 1001-%d>", n))
	tc.want(". 1+1000 ack 1")
	tc.rest("P. 13001..15001/1000 ack 1")
	tc.wantCounts("RetransSegs 2 TCPSackRecovery 1 TCPLostRetransmit 1 TCPFastRetrans 2")
}

// Blocks that make no sense are ignored: they must not mark anything (RFC 2018,
// section 5; hostile peers).
func TestSACKNonsense(t *testing.T) {
	for _, b := range []string{
		"sack 5001-5001", "sack 6001-5001", "sack 20001-30001", "sack 5001-99001",
		"sack 4294962296-2001", "sack 1-0", "sack 2000000000-5001",
	} {
		t.Run(b, func(t *testing.T) {
			tc := inFlight(t, 10)
			tc.recv(". 1 ack 1 <" + b + ">")
			if n := tc.c.snd.flight.loss.sacked; n != 0 {
				t.Fatalf("%d bytes marked", n)
			}
			tc.wantIdle("nothing happened")
		})
	}
}

// SACK edges inside segments are rounded inwards, so that sent segments stay few.
func TestSACKRounding(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1501-3501>")
	if n := tc.c.snd.flight.loss.sacked; n != 1000 {
		t.Fatalf("%d bytes marked", n)
	}
	for i := range 500 {
		tc.recv(fmt.Sprintf(". 1 ack 1 <sack %d-%d>", 4001+3*i, 4002+3*i))
	}
	if n := tc.c.snd.flight.scoreboard.n; n > 10 {
		t.Fatalf("%d sent segments for ten segments", n)
	}
}

// Reneging: at a timeout everything SACKed is sent again if the peer asks for what it
// had SACKed (RFC 2018, section 8).
func TestReneging(t *testing.T) {
	tc := inFlight(t, 3)
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.recv(". 1 ack 1001")
	tc.wantIdle("perhaps an acknowledgment is late")
	for len(tc.out) == 0 {
		tc.now = tc.c.Deadline()
		tc.c.Expire(tc.now)
		tc.pump()
	}
	tc.want(". 1001+1000 ack 1")
	tc.recv(". 1 ack 2001")
	tc.want("P. 2001+1000 ack 1")
	tc.recv(". 1 ack 3001")
	tc.wantCounts("RetransSegs 2 TCPSACKReneging 1 TCPSACKReorder 1 TCPSlowStartRetrans 1 TCPTimeouts 1")
}

// RFC 3042: each of the first two SACKs lets a new segment go.
func TestLimitedTransmit(t *testing.T) {
	tc := inFlight(t, 10)
	tc.write(5000)
	tc.wantIdle("the congestion window is full")
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.want(". 10001+1000 ack 1")
	tc.recv(". 1 ack 1 <sack 1001-3001>")
	tc.want(". 11001+1000 ack 1")
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.want(". 1+1000 ack 1")
}

// The same without SACK.
func TestLimitedTransmitNoSACK(t *testing.T) {
	tc := inFlight(t, 10, noSACK)
	tc.recv(". 1 ack 1") // the first after the SYN-ACK updates the window
	tc.write(5000)
	tc.wantIdle("no duplicate yet")
	tc.recv(". 1 ack 1")
	tc.want(". 10001+1000 ack 1")
	tc.recv(". 1 ack 1")
	tc.want(". 11001+1000 ack 1")
	tc.recv(". 1 ack 1")
	tc.want(". 1+1000 ack 1")
}

// RFC 6582: NewReno, for peers without SACK.
func TestNewReno(t *testing.T) {
	tc := inFlight(t, 10, noSACK)
	for range 1 + 3 { // the first after the SYN-ACK updates the window
		tc.recv(". 1 ack 1")
	}
	tc.want(". 1+1000 ack 1")
	for range 5 {
		tc.recv(". 1 ack 1")
	}
	// Two were lost: the partial acknowledgment (section 3.2, step 3) sends the next.
	tc.sleep(msec(100))
	tc.recv(". 1 ack 4001")
	tc.want(". 4001+1000 ack 1")
	if st := tc.c.snd.flight.loss.state; st != cc.Recovery {
		t.Fatalf("state %d", st)
	}
	tc.sleep(msec(100))
	tc.recv(". 1 ack 10001")
	if st := tc.c.snd.flight.loss.state; st != cc.Open {
		t.Fatalf("state %d", st)
	}
	tc.wantIdle("all is acknowledged")
	tc.wantCounts("RetransSegs 2 TCPRenoRecovery 1 TCPFastRetrans 2")
}

// Two duplicates are not enough (RFC 5681, section 3.2).
func TestTwoDuplicates(t *testing.T) {
	tc := inFlight(t, 10, noSACK)
	tc.recv(". 1 ack 1")
	tc.recv(". 1 ack 1")
	tc.wantIdle("it may be reordering")
	tc.recv(". 1 ack 10001")
	tc.wantIdle("all is acknowledged")
}

// Not duplicates by RFC 5681, section 2: with data, or with another window.
func TestNotDuplicates(t *testing.T) {
	tc := inFlight(t, 10, noSACK, func(s *script) { s.wnd = 50000 })
	for i := range 5 {
		tc.recv(fmt.Sprintf(". 1 ack 1 win %d", 50001+i))
	}
	for i := range 5 {
		tc.recv(fmt.Sprintf("P. %d+10 ack 1 win 50005", 1+10*i))
		tc.want(fmt.Sprintf(". 10001 ack %d", 11+10*i))
	}
	tc.wantIdle("nothing is lost")
}

// RFC 5681, section 3.1: the initial window (RFC 6928) and slow start.
func TestSlowStart(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(60000)
	for i := range 10 {
		tc.want(fmt.Sprintf(". %d+1000 ack 1", 1+1000*i))
	}
	tc.wantIdle("the initial window is ten segments")
	n := 10
	for i := range 10 {
		tc.recv(fmt.Sprintf(". 1 ack %d", 1001+1000*i))
		for range 2 {
			tc.want(fmt.Sprintf(". %d+1000 ack 1", 1+1000*n))
			n++
		}
	}
	tc.wantIdle("the window has doubled")
	if w := tc.c.snd.cwnd(); w != 20000 {
		t.Fatalf("cwnd %d", w)
	}
}

// RFC 5681, section 4.1: after idleness the window starts anew.
func TestRestartAfterIdle(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 10001")
	if w := tc.c.snd.cwnd(); w != 20000 {
		t.Fatalf("cwnd %d", w)
	}
	tc.sleep(time.Minute)
	tc.write(30000)
	n := len(tc.out)
	if n != 10 {
		t.Fatalf("%d segments after a minute", n)
	}
	tc.rest(". 10001..20001/1000 ack 1")
}

// The window does not grow while the program is what limits (RFC 7661's concern,
// Linux's rule).
func TestApplicationLimited(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	for i := range 50 {
		tc.write(1000)
		tc.want(fmt.Sprintf("P. %d+1000 ack 1", 1+1000*i))
		tc.sleep(msec(100))
		tc.recv(fmt.Sprintf(". 1 ack %d", 1001+1000*i))
	}
	if w := tc.c.snd.cwnd(); w != 10000 {
		t.Fatalf("cwnd %d", w)
	}
}

// RFC 2883 §4: a first block below the acknowledgment of its own segment tells of a duplicate. One
// that only later acknowledgments have passed does not: they have overtaken this one.
func TestOvertakenIsNoDSACK(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.want(". 1+1000 ack 1")
	tc.recv(". 1 ack 4001")
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.wantLossState(cc.Recovery)
	tc.wantCounts("RetransSegs 1 TCPSackRecovery 1 TCPFastRetrans 1")
}
