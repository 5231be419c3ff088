package tcp

import (
	"testing"
	"time"

	"usock/trace"
)

// tells returns what Tell adds to the log now.
func (s *script) tells() []trace.Event {
	s.heard = nil
	s.takeEvents()
	ev := s.heard
	s.heard = nil
	return ev
}

// The next timer is told when it is due earlier than was told of it, or when what was told is over, and no more; a rate that has moved by
// more than an eighth either way.
func TestTellChanges(t *testing.T) {
	ctl := &recorder{}
	tc := newScript(t, noTS, traced, recorded(ctl))
	tc.connectIn(msec(50))
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	if ev := tc.tells(); len(ev) != 0 {
		t.Fatalf("nothing has changed, and %v is told", ev)
	}
	tc.now = secs(200)
	for _, c := range []struct {
		kind rtxKind
		at   time.Duration
		why  trace.Why
		told bool
	}{
		{rtxRTO, secs(300), trace.TimerRetransmit, true},
		{rtxRTO, secs(301), trace.TimerRetransmit, false}, // put off
		{rtxTLP, secs(301), trace.TimerTailLoss, true},
		{rtxTLP, never, trace.TimerTailLoss, false}, // stopped
		{rtxRTO, secs(302), trace.TimerRetransmit, false},
		{rtxTLP, secs(302), trace.TimerTailLoss, false},
		{rtxReorder, secs(301), trace.TimerReordering, true},
		{rtxWindowProbe, secs(301), trace.TimerPersist, true},
		{rtxTLP, secs(301) - 1, trace.TimerTailLoss, true},
		{rtxRTO, secs(300) - 1, trace.TimerRetransmit, true},
	} {
		tc.c.timer.kind, tc.c.timer.rtx = c.kind, c.at
		ev := tc.tells()
		if c.told != (len(ev) == 1 && ev[0].Kind == trace.TimerSet && ev[0].Why == c.why && ev[0].At == c.at) || !c.told && len(ev) > 0 {
			t.Errorf("%+v: %v", c, ev)
		}
		if ev := tc.tells(); len(ev) != 0 {
			t.Errorf("%+v: told again: %v", c, ev)
		}
	}
	tc.c.timer.ack, tc.c.timer.keep = secs(299), secs(300)
	if ev := tc.tells(); len(ev) != 1 || ev[0].Why != trace.TimerDelayedAck {
		t.Errorf("the first of three: %v", ev)
	}
	tc.c.timer.ack, tc.c.timer.keep = never, secs(299)
	if ev := tc.tells(); len(ev) != 1 || ev[0].Why != trace.TimerKeepAlive {
		t.Errorf("the first of two: %v", ev)
	}
	tc.c.timer.keep, tc.c.timer.rtx = never, never
	if ev := tc.tells(); len(ev) != 0 {
		t.Errorf("no timer: %v", ev)
	}

	// It was put off, and not told; it is told once it comes after what was told.
	tc.now, tc.c.timer.kind, tc.c.timer.rtx = secs(300)-2, rtxRTO, secs(400)
	if ev := tc.tells(); len(ev) != 0 {
		t.Errorf("before what was told is over: %v", ev)
	}
	tc.now++
	if ev := tc.tells(); len(ev) != 1 || ev[0].Why != trace.TimerRetransmit || ev[0].At != secs(400) {
		t.Errorf("what was told is over: %v", ev)
	}
	tc.c.timer.rtx = never

	for _, c := range []struct {
		rate uint64
		told bool
	}{{8000, true}, {9000, false}, {9001, true}, {8001, false}, {8000, true}, {7112, false}, {7111, true}, {7111, false}} {
		ctl.rate = c.rate
		ev := tc.tells()
		if got := len(ev) == 1 && ev[0].Kind == trace.Rate && ev[0].Rate == c.rate; got != c.told || !got && len(ev) > 0 {
			t.Errorf("rate %d: %v", c.rate, ev)
		}
	}
}

// What an event tells of the sender: the threshold only once there is one, the variance as RFC 6298 has it,
// windows in bytes.
func TestTellNumbers(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.c.snd.wscale = 3
	tc.write(10000)
	tc.rest("P. 1..10001/1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1001 win 9000")
	if e := tc.wantEvent("received . 1 ack 1001"); e.Window != 72000 {
		t.Errorf("a window of %d", e.Window)
	}
	e := tc.wantEvent("acknowledged 1+1000")
	if e.SSThresh != trace.NoThreshold || e.RTTVar != time.Duration(tc.c.rtt.rttvar)*time.Microsecond/4 || e.RTTVar < msec(40) {
		t.Errorf("%+v", e)
	}
	tc.recv(". 1 ack 1001 win 9000 <sack 2001-5001>")
	if e := tc.wantEvent("cwnd reduced: recovery began"); e.SSThresh == trace.NoThreshold {
		t.Errorf("%+v", e)
	}
	tc.out = nil
}

// The peer's window is told when it closes and when it opens, and not between.
func TestTellPeerWindow(t *testing.T) {
	tc := newScript(t, plain, traced)
	tc.connect()
	for _, c := range []struct {
		win, told string
	}{
		{"5000", ""}, {"0", "peer's window closed"}, {"0", ""}, {"1", "peer's window open"}, {"2", ""}, {"0", "peer's window closed"},
	} {
		tc.heard = nil
		tc.recv(". 1 ack 1 win " + c.win)
		if c.told == "" {
			tc.wantNoEvent("peer's window")
		} else {
			tc.wantEvent(c.told)
		}
	}
}
