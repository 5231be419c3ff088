package tcp

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"usock/cc"
)

// The retransmission timer and those beside it: RFC 6298 §5, RFC 8985 §6.2, §7.2 and §7.4, RFC 2018 §8.

// wantTimer asserts which timer is set, and when it expires from now on.
func (s *script) wantTimer(kind rtxKind, in time.Duration) {
	s.t.Helper()
	if got := s.c.timer; got.kind != kind || got.rtx-s.now != in {
		s.t.Fatalf("timer %d in %v, want %d in %v", got.kind, got.rtx-s.now, kind, in)
	}
}

// The timeout is the oldest segment's: later ones do not put it off (RFC 6298 §5.1), and a loss probe comes
// no later than it (RFC 8985 §7.2).
func TestTimerOfOldest(t *testing.T) {
	tc := newScript(t, noTS)
	tc.c.SetNoDelay(tc.now, true)
	tc.connectIn(msec(100))
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.wantTimer(rtxTLP, msec(300)) // 2*SRTT and 200 ms are more than the RTO
	tc.sleep(msec(20))
	tc.write(100)
	tc.want("P. 101+100 ack 1")
	tc.wantTimer(rtxTLP, msec(202)) // 2*SRTT and a little
	tc.sleep(msec(180))
	tc.write(100)
	tc.want("P. 201+100 ack 1")
	tc.wantTimer(rtxTLP, msec(100)) // the first one's RTO
	tc.wantAfter(msec(100), "P. 201+100 ack 1")
	tc.wantTimer(rtxRTO, msec(300))
	// With what is overdue there is a moment for the acknowledgment that may be on its way.
	for after, want := range map[time.Duration]time.Duration{0: msec(1), -msec(2): msec(2), msec(60): msec(1)} {
		now := tc.now + after
		if got := tc.c.snd.headRTO(&tc.c.tcb, now) - now; got != want {
			t.Errorf("%v behind its timeout the oldest has %v", after, got)
		}
	}
	tc.recv(". 1 ack 301")
}

// Without SACK there is no probe, and an acknowledgment of new data alone starts the timer anew.
func TestTimerWithoutProbe(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetNoDelay(tc.now, true)
	tc.connectIn(msec(100))
	for range 3 {
		tc.write(100)
		tc.sleep(msec(50))
	}
	tc.rest("P. 1+100 ack 1", "P. 101+100 ack 1", "P. 201+100 ack 1")
	tc.wantTimer(rtxRTO, msec(150))
	tc.recv(". 1 ack 1")
	tc.recv(". 1 ack 1")
	tc.wantTimer(rtxRTO, msec(150))
	tc.recv(". 1 ack 101")
	tc.wantTimer(rtxRTO, tc.c.rtt.timeout())
	tc.recv(". 1 ack 301")
	if tc.c.timer.rtx != never {
		t.Error("the timer runs, and all is acknowledged")
	}
}

// Each timeout doubles the time to the next, and is cut where TCP_USER_TIMEOUT ends, counted from the
// first; progress begins the count anew.
func TestTimerUserTimeout(t *testing.T) {
	tc := newScript(t, plain)
	tc.connectIn(msec(100))
	tc.c.SetUserTimeout(1000)
	tc.write(2000)
	tc.rest("P. 1..2001/1460 ack 1")
	tc.wantAfter(msec(300), ". 1+1460 ack 1")
	tc.wantTimer(rtxRTO, msec(600))
	tc.sleep(msec(500))
	tc.recv(". 1 ack 1461") // progress
	tc.want("P. 1461+540 ack 1")
	tc.wantTimer(rtxRTO, msec(600))
	tc.wantAfter(msec(600), "P. 1461+540 ack 1")
	tc.wantTimer(rtxRTO, msec(1000)) // not 1200
	tc.silent(msec(999), "not yet")
	tc.wantState(Established)
	tc.silent(msec(1), "given up")
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
}

// A thin stream is one with fewer than four segments in flight.
func TestThinStream(t *testing.T) {
	for n, linear := range map[int]bool{3999: true, 4000: false} {
		tc := newScript(t, plain)
		tc.p.MSS = 1000
		tc.c.SetThinLinear(true)
		tc.connectIn(msec(100))
		tc.write(n)
		tc.out = nil
		tc.wantAfter(msec(300), ". 1+1000 ack 1")
		tc.wantTimer(rtxRTO, map[bool]time.Duration{true: msec(300), false: msec(600)}[linear])
	}
}

// How often a SYN is sent again without backoff, and how long: tcp_syn_linear_timeouts and tcp_syn_retries.
func TestSYNTimes(t *testing.T) {
	tc := newScript(t, plain)
	tc.cfg.SynLinear, tc.cfg.SynRetries = 2, 3
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	for _, s := range []int{1, 1, 1, 2, 4} {
		tc.wantAfter(secs(s), "S 0 <mss 1460>")
	}
	tc.silent(secs(6)-1, "15 s in all")
	tc.wantState(SynSent)
	tc.silent(secs(3), "given up")
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
}

// A timeout in SYN-RECEIVED counts for the connection that a program has opened, not for a listener's.
func TestCountsOfSYNTimeouts(t *testing.T) {
	tc := newScript(t, plain)
	tc.cfg.SynAckRetries = 1
	inState(tc, SynRcvd)
	tc.sleep(secs(10))
	tc.rest("S. 0 ack 1 <mss 1460>")
	tc.wantState(Closed)
	tc.wantCounts("OutSegs 1 RetransSegs 1 TCPSynRetrans 1")

	tc = newScript(t, plain)
	tc.cfg.SynAckRetries = 1
	inState(tc, SynSent)
	tc.recv("S 0 <mss 1460>") // simultaneous open
	tc.want("S. 0 ack 1 <mss 1460>")
	tc.wantState(SynRcvd)
	tc.sleep(secs(10))
	tc.rest("S. 0 ack 1 <mss 1460>")
	tc.wantState(Closed)
	tc.wantErr(syscall.ETIMEDOUT)
	tc.wantCounts("AttemptFails 1 OutSegs 1 RetransSegs 1 TCPTimeouts 2 TCPAbortOnTimeout 1 TCPSynRetrans 1")
}

// The peer asks for what it has SACKed: it has reneged, or an acknowledgment is late. Half a round trip is
// waited, ten milliseconds at the least; then no SACK is believed (RFC 2018 §8).
func TestRenegingWait(t *testing.T) {
	for rtt, wait := range map[int]int{100: 50, 10: 10} {
		tc := newScript(t, noTS)
		tc.p.MSS = 1000
		tc.connectIn(msec(rtt))
		tc.write(3000)
		tc.rest("P. 1..3001/1000 ack 1")
		tc.sleep(msec(rtt))
		tc.recv(". 1 ack 1 <sack 1001-2001>")
		tc.recv(". 1 ack 1001")
		tc.wantTimer(rtxRTO, msec(wait))
		tc.recv(". 1 ack 1001") // a duplicate does not put it off
		tc.wantTimer(rtxRTO, msec(wait))
		tc.wantAfter(msec(wait), ". 1001+1000 ack 1")
		if n := tc.c.snd.flight.loss.sacked; n != 0 {
			t.Errorf("%d bytes are taken to be there still", n)
		}
		tc.recv(". 1 ack 1001 <sack 2001-3001>") // the same block as ever, after the scoreboard forgot
		tc.out = nil
	}
}

// What answers a loss probe (RFC 8985 §7.4.2). New data as a probe is over with its acknowledgment; of a
// retransmission a duplicate or a DSACK says that it was needless, and more that it was not.
func TestProbeOutcome(t *testing.T) {
	for _, c := range []struct {
		name     string
		new      bool // the probe is new data
		acks     []string
		repaired bool
		over     bool
	}{
		{"new data", true, []string{". 1 ack 11001"}, false, true},
		{"new data, less", true, []string{". 1 ack 10001"}, false, false},
		{"the segment itself", false, []string{". 1 ack 10001"}, false, false},
		{"then a duplicate", false, []string{". 1 ack 10001", "write", ". 1 ack 10001"}, false, true},
		{"then a DSACK", false, []string{". 1 ack 10001", "write", ". 1 ack 10001 <sack 9001-10001>"}, false, true},
		{"then more", false, []string{". 1 ack 10001", "write", ". 1 ack 11001"}, true, true},
		{"then more, with a DSACK", false, []string{". 1 ack 10001", "write", ". 1 ack 11001 <sack 9001-10001>"}, false, true},
		{"then something SACKed", false, []string{". 1 ack 10001", "write", ". 1 ack 10001 <sack 11001-12001>"}, false, false},
		{"less", false, []string{". 1 ack 9001"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctl := &recorder{}
			tc := newScript(t, noTS, recorded(ctl))
			tc.p.MSS = 1000
			tc.connectIn(msec(100))
			tc.write(10000)
			tc.rest("P. 1..10001/1000 ack 1")
			if c.new {
				tc.write(1000)
				tc.wantAfter(msec(202), "P. 10001+1000 ack 1")
			} else {
				tc.wantAfter(msec(202), "P. 9001+1000 ack 1")
			}
			for _, in := range c.acks {
				if in == "write" {
					tc.write(2000)
					tc.rest("P. 10001..12001/1000 ack 1")
					continue
				}
				tc.recv(in)
			}
			if got := tc.c.snd.flight.loss.tlpHigh == 0; got != c.over {
				t.Errorf("it is over: %v", got)
			}
			want := "[]"
			if c.repaired {
				want = "[congestion recovered]"
			}
			if got := fmt.Sprint(ctl.calls); got != want {
				t.Errorf("the controller hears %s, want %s", got, want)
			}
			if c.repaired {
				if e := ctl.events[0]; e.InFlight != 2000 || e.Cause != cc.ByLoss || e.SndNxt != tc.c.snd.nxt {
					t.Errorf("%+v", e)
				}
			}
			if tc.c.snd.flight.loss.rack.dsackSeen || tc.c.snd.flight.loss.steps != 1 {
				t.Error("the probe's DSACK is taken for a sign of reordering")
			}
			tc.sleep(secs(2))
			tc.out = nil
		})
	}
}

// The window of the peer holds for retransmissions: what it has taken back is not sent, but for the first
// segment, which serves as a probe (RFC 9293 SHLD-16 and MAY-7).
func TestRetransmitInWindow(t *testing.T) {
	for _, c := range []struct {
		win  int
		want []string
	}{
		{65535, []string{". 1..4001/1000 ack 1"}},
		{4000, []string{". 1..4001/1000 ack 1"}},
		{2500, []string{". 1..2001/1000 ack 1", ". 2001+500 ack 1"}},
		{2000, []string{". 1..2001/1000 ack 1"}},
		{300, []string{". 1+300 ack 1"}},
		{0, []string{". 1+1000 ack 1"}},
	} {
		t.Run(fmt.Sprint(c.win), func(t *testing.T) {
			ctl := &recorder{owns: true}
			tc := newScript(t, noTS, noWS, recorded(ctl))
			tc.p.MSS = 1000
			tc.connectIn(msec(100))
			ctl.cwnd = 1 << 20
			tc.write(8000)
			tc.rest("P. 1..8001/1000 ack 1")
			ctl.cwnd = 1 << 20
			tc.sleep(msec(100))
			tc.c.snd.wl1 = 0
			tc.c.snd.wnd = uint32(c.win) // taken back
			tc.recv(fmt.Sprintf(". 1 ack 1 win %d <sack 4001-8001>", c.win))
			tc.rest(c.want...)
		})
	}
}

// However often a segment is sent again, it counts as that: in flight twice until it is acknowledged.
func TestRetransmittedForEver(t *testing.T) {
	tc := newScript(t)
	tc.cfg.Retries2, tc.cfg.MaxRTO = 1000, time.Second
	tc.connect()
	tc.write(1000)
	tc.out = nil
	for tc.c.stats.retransSegs < 255 {
		tc.now = tc.c.Deadline()
		tc.c.Expire(tc.now)
		tc.out = nil
		tc.pump() // which checks the sums
	}
	tc.out = nil
	tc.recv(". 1 ack 1001") // the 256th transmission
	if l := &tc.c.snd.flight.loss; l.retrans != 0 || l.lost != 0 {
		t.Errorf("%d bytes sent again, %d lost", l.retrans, l.lost)
	}
}
