package tcp

import (
	"fmt"
	"testing"

	"usock/cc"
)

// RFC 8985: RACK-TLP.

// Section 7.2: the probe comes after two round trips, before the timeout.
func TestTLP(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(3000)
	tc.want(". 1+1000 ack 1")
	tc.want(". 1001+1000 ack 1")
	tc.want("P. 2001+1000 ack 1")
	tc.wantAfter(msec(102), "P. 2001+1000 ack 1")
	// One probe only; the timeout is next, counted from the probe (section 7.3).
	tc.wantAfter(msec(250), ". 1+1000 ack 1")
	tc.wantCounts("RetransSegs 2 TCPTimeouts 1 TCPLossProbes 1")
}

// A single segment in flight may wait for a delayed acknowledgment: the probe comes
// when the timeout would have, and the timeout after it.
func TestTLPSingle(t *testing.T) {
	tc := newScript(t, noTS)
	tc.connectIn(msec(50))
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.wantAfter(msec(250), "P. 1+100 ack 1")
	if st := tc.c.snd.flight.loss.state; st != cc.Open {
		t.Fatalf("state %d", st)
	}
	tc.wantAfter(msec(250), "P. 1+100 ack 1")
	if st := tc.c.snd.flight.loss.state; st != cc.Loss {
		t.Fatalf("state %d", st)
	}
	tc.wantAfter(msec(500), "P. 1+100 ack 1")
}

// Section 7.3: new data serves as the probe.
func TestTLPNewData(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(11000) // one more than the window
	for i := range 10 {
		tc.want(fmt.Sprintf(". %d+1000 ack 1", 1+1000*i))
	}
	tc.wantAfter(msec(102), "P. 10001+1000 ack 1")
	tc.wantCounts("TCPLossProbes 1")
}

// A probe is one segment, also on a link that cuts large ones: it may exceed the congestion window
// by that much and no more.
func TestTLPNewDataIsOneSegment(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS, tc.p.MaxSegment = 1000, 64000
	tc.connectIn(msec(50))
	tc.write(40000) // 30 kB more than the window
	for i := range 5 {
		tc.want(fmt.Sprintf("P. %d+2000 ack 1 gso 1000", 1+2000*i))
	}
	tc.wantIdle("the congestion window is full")
	tc.wantAfter(msec(102), "P. 10001+1000 ack 1")
	tc.wantIdle("one probe")
	tc.sleep(msec(50))
	tc.recv(". 1 ack 11001")
	for at := 11001; at < 31001; at += 2000 { // what the window lets go
		tc.want(fmt.Sprintf("P. %d+2000 ack 1 gso 1000", at))
	}
	tc.rest(". 31001+1000 ack 1")
}

// A single segment of many that is left may wait for a delayed acknowledgment, too.
func TestTLPLastOfMany(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(10000)
	for i := range 10 {
		f := "."
		if i == 9 {
			f = "P."
		}
		tc.want(fmt.Sprintf("%s %d+1000 ack 1", f, 1+1000*i))
	}
	tc.sleep(msec(50))
	tc.recv(". 1 ack 9001") // the last was lost
	tc.wantAfter(msec(250), "P. 9001+1000 ack 1")
	tc.wantIdle("one probe")
}

// The tail: two lost, the probe's SACK shows them.
func TestTLPThenRecovery(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(5000)
	for i := range 5 {
		f := "."
		if i == 4 {
			f = "P."
		}
		tc.want(fmt.Sprintf("%s %d+1000 ack 1", f, 1+1000*i))
	}
	tc.sleep(msec(50))
	tc.recv(". 1 ack 2001") // 3, 4 and 5 are lost
	tc.wantAfter(msec(102), "P. 4001+1000 ack 1")
	tc.sleep(msec(50))
	tc.recv(". 1 ack 2001 <sack 4001-5001>")
	tc.want(". 2001+1000 ack 1")
	tc.recv(". 1 ack 3001 <sack 4001-5001>")
	tc.want(". 3001+1000 ack 1")
	tc.recv(". 1 ack 5001")
	tc.wantIdle("all is acknowledged")
}

// Section 7.4.2, case: a DSACK says that the probe was needless.
func TestTLPDSACK(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(3000)
	tc.rest("P. 1..3001/1000 ack 1")
	tc.wantAfter(msec(102), "P. 2001+1000 ack 1")
	w := tc.c.snd.cwnd()
	tc.recv(". 1 ack 3001")
	tc.recv(". 1 ack 3001 <sack 2001-3001>")
	if tc.c.snd.cwnd() < w {
		t.Fatalf("cwnd fell from %d to %d", w, tc.c.snd.cwnd())
	}
	tc.wantIdle("all is acknowledged")
}

// No probe in recovery, nor without SACK (section 7.2; Linux).
func TestNoTLPWithoutSACK(t *testing.T) {
	tc := newScript(t, noTS, noSACK)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(3000)
	tc.rest("P. 1..3001/1000 ack 1")
	tc.wantAfter(msec(250), ". 1+1000 ack 1")
}

// Section 6.2, step 5: with fewer than three SACKed, the reordering timer decides:
// a quarter of the smallest RTT.
func TestReorderingTimer(t *testing.T) {
	tc := inFlight(t, 3)
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.wantIdle("it may be reordering")
	tc.wantAfter(msec(25+2), ". 1+1000 ack 1")
}

// Step 4: reordering that was seen keeps the window open after three SACKs.
func TestReorderingSeen(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.recv(". 1 ack 2001") // the first was only late
	if !tc.c.snd.flight.loss.rack.seen {
		t.Fatal("reordering was not seen")
	}
	tc.recv(". 1 ack 2001 <sack 3001-4001>")
	tc.recv(". 1 ack 2001 <sack 3001-5001>")
	tc.recv(". 1 ack 2001 <sack 3001-6001>")
	tc.wantIdle("it may be reordering again")
	tc.wantAfter(msec(25+2), ". 2001+1000 ack 1")
	tc.wantCounts("RetransSegs 1 TCPSackRecovery 1 TCPSACKReorder 1 TCPFastRetrans 1")
}

// Linux's metric: how far, in segments, reordering reached.
func TestReorderingMetric(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-3001>")
	tc.recv(". 1 ack 3001")
	var in Info
	tc.c.Info(tc.now, &in)
	if in.Reordering != 3 || in.ReordSeen != 1 {
		t.Fatalf("reordering %d, seen %d", in.Reordering, in.ReordSeen)
	}
	tc.recv(". 1 ack 3001 <sack 4001-5001>")
	tc.recv(". 1 ack 3001 <sack 4001-10001>")
	tc.recv(". 1 ack 10001")
	tc.c.Info(tc.now, &in)
	if in.Reordering != 7 || in.ReordSeen != 2 {
		t.Fatalf("reordering %d, seen %d", in.Reordering, in.ReordSeen)
	}
	tc.wantIdle("nothing was lost")
}

// Step 4: DSACKs widen the window, sixteen recoveries without narrow it.
func TestReoWndSteps(t *testing.T) {
	l := &loss{}
	l.steps = 1
	l.dsackSeen = true
	l.adaptReoWnd(1000, 500)
	if l.steps != 2 || l.persist != 16 {
		t.Fatalf("steps %d persist %d", l.steps, l.persist)
	}
	// Not twice in a round trip.
	l.dsackSeen = true
	l.adaptReoWnd(1500, 900)
	if l.steps != 2 {
		t.Fatalf("steps %d", l.steps)
	}
	l.dsackSeen = true
	l.adaptReoWnd(2500, 1000)
	if l.steps != 3 {
		t.Fatalf("steps %d", l.steps)
	}
	l.persist = 0
	l.adaptReoWnd(5000, 4000)
	if l.steps != 1 {
		t.Fatalf("steps %d", l.steps)
	}
}

// Small segments are found lost as well as full ones.
func TestSmallSegmentsLoss(t *testing.T) {
	tc := newScript(t, noTS)
	tc.c.SetNoDelay(tc.now, true)
	tc.connectIn(msec(100))
	for i := range 5 {
		tc.write(10)
		tc.want(fmt.Sprintf("P. %d+10 ack 1", 1+10*i))
	}
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1 <sack 11-21>")
	tc.recv(". 1 ack 1 <sack 11-31>")
	tc.wantIdle("it may be reordering")
	tc.recv(". 1 ack 1 <sack 11-41>")
	tc.want("P. 1+10 ack 1")
	tc.recv(". 1 ack 51")
}

// A timeout leaves alone what was sent a moment ago (Linux; section 6.3).
func TestTimeoutSparesFresh(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(2000)
	tc.rest("P. 1..2001/1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1001")
	tc.wantAfter(msec(300), "P. 1001+1000 ack 1") // the probe
	tc.sleep(msec(250))
	tc.write(1000)
	tc.want("P. 2001+1000 ack 1")
	tc.wantAfter(msec(50), "P. 1001+1000 ack 1")
	if n := tc.c.snd.flight.loss.lost; n != 0 {
		t.Fatalf("%d bytes marked besides the oldest", n)
	}
}

// Section 7.2: no probe is scheduled while something is SACKed. New data that leaves then does not put off
// RACK's reordering timer.
func TestTLPNotBehindSACK(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(6000)
	tc.out = nil
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1 <sack 1001-2001>")
	tc.recv(". 1 ack 2001") // the path reorders
	tc.wantIdle("all is there up to here")
	tc.recv(". 1 ack 2001 <sack 3001-4001>")
	tc.write(1000)
	tc.want("P. 6001+1000 ack 1")
	tc.wantAfter(msec(27), ". 2001+1000 ack 1") // a quarter of the least round trip, and 2 ms
	tc.recv(". 1 ack 7001")
}
