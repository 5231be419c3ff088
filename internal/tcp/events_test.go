package tcp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"usock/cc"
	"usock/trace"
)

// Events in packet scripts: a script made with traced notes the text of each event.
//
//	tc := newScript(t, traced)
//	tc.wantEvent("cwnd reduced: TLP repaired")  // the next event of which the text begins so
//	tc.wantNoEvent("lost")                      // none up to now
//
// What an assertion has passed over is not looked at again.

func traced(s *script) {
	s.audience++
	s.cfg.Trace, s.cfg.Kinds = s.audience, trace.KindsOf()
}

// takeEvents moves what the core has told into s.heard.
func (s *script) takeEvents() {
	if s.cfg.Trace == 0 {
		return
	}
	s.c.TellOn(&s.tape)
	s.c.Tell(s.now)
	told := s.c.Events()
	if len(told) != s.tape.Written() {
		s.t.Errorf("%d events of %d", len(told), s.tape.Written())
	}
	if len(told) > 0 {
		r := s.tape.Cut()
		s.heard = append(s.heard, r.Events()...)
		r.Done()
	}
}

// wantEvent asserts that an event was told whose text begins with what is given, and returns it.
func (s *script) wantEvent(text string) trace.Event {
	s.t.Helper()
	s.takeEvents()
	for i := range s.heard {
		if e := s.heard[i]; strings.HasPrefix(e.Text(), text) {
			s.heard = s.heard[i+1:]
			return e
		}
	}
	s.t.Fatalf("want event %q\n got %s", text, s.events())
	panic("unreachable")
}

// wantNoEvent asserts that no such event was told.
func (s *script) wantNoEvent(text string) {
	s.t.Helper()
	s.takeEvents()
	for i := range s.heard {
		if strings.HasPrefix(s.heard[i].Text(), text) {
			s.t.Fatalf("event that was not to come: %s", s.heard[i].Text())
		}
	}
}

// events lists what was told and not looked at.
func (s *script) events() string {
	var b strings.Builder
	for i := range s.heard {
		b.WriteString("\n  " + s.heard[i].Text())
	}
	return b.String()
}

// sendMSS1000 connects and sends n segments of 1000 bytes, which are looked at.
func sendMSS1000(t *testing.T, n int, opts ...scriptOption) *script {
	t.Helper()
	tc := newScript(t, append(opts, noTS, traced)...)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.write(1000 * n)
	tc.rest(fmt.Sprintf("P. 1..%d/1000 ack 1", 1+1000*n))
	return tc
}

// Section 7.4.2 of RFC 8985: a probe that was answered without sign of a duplicate, by one that
// acknowledges more, has repaired a loss, and the window is reduced for it, once.
func TestTLPRepaired(t *testing.T) {
	tc := sendMSS1000(t, 10)
	tc.sleep(msec(50))
	tc.recv(". 1 ack 9001") // the last was lost
	tc.wantEvent("acknowledged 1+9000 rtt 50ms")
	tc.wantAfter(msec(250), "P. 9001+1000 ack 1")
	tc.wantEvent("tail loss timer expired")
	tc.wantEvent("sent P. 9001+1000 ack 1 win 65024, again (2): tail loss probe")
	tc.sleep(msec(50))
	tc.recv(". 1 ack 10001")
	tc.wantEvent("acknowledged 9001+1000")
	tc.wantNoEvent("cwnd")
	before := tc.c.snd.cwnd()
	tc.write(1000)
	tc.want("P. 10001+1000 ack 1")
	tc.recv(". 1 ack 11001")
	e := tc.wantEvent("cwnd reduced: TLP repaired")
	if e.CWnd >= before || e.SSThresh >= before || tc.c.snd.cwnd() >= before {
		t.Errorf("cwnd was %d, and after %+v is %d", before, e, tc.c.snd.cwnd())
	}
	tc.write(1000)
	tc.want("P. 11001+1000 ack 1")
	tc.recv(". 1 ack 12001")
	tc.wantNoEvent("cwnd")
	tc.wantCounts("RetransSegs 1 TCPLossProbes 1 TCPLossProbeRecovery 1")
}

// A DSACK says that the probe was needless (RFC 8985, section 7.4.2): no reduction.
func TestTLPNeedlessEvents(t *testing.T) {
	tc := sendMSS1000(t, 10)
	tc.sleep(msec(50))
	tc.recv(". 1 ack 9001")
	tc.wantAfter(msec(250), "P. 9001+1000 ack 1")
	tc.recv(". 1 ack 10001 <sack 9001-10001>")
	tc.write(1000)
	tc.want("P. 10001+1000 ack 1")
	tc.recv(". 1 ack 11001")
	tc.wantEvent("acknowledged 10001+1000")
	tc.wantNoEvent("cwnd")
}

// Fast recovery: what is lost and why, the reduction, and its end.
func TestRecoveryEvents(t *testing.T) {
	tc := sendMSS1000(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.wantEvent("acknowledged 1001+3000 cwnd 10000 in flight 7000")
	tc.wantEvent("lost 1+1000: RACK")
	e := tc.wantEvent("cwnd reduced: recovery began")
	if e.SSThresh != 5000 {
		t.Errorf("ssthresh is %d", e.SSThresh)
	}
	tc.want(". 1+1000 ack 1")
	tc.wantEvent("sent . 1+1000 ack 1 win 65024, again (2): RACK")
	tc.sleep(msec(50))
	tc.recv(". 1 ack 10001")
	tc.wantEvent("cwnd: recovery ended")
	tc.wantEvent("acknowledged 1+10000")
	tc.wantEvent("waits for the program")
}

// Without SACK, duplicate acknowledgments tell (RFC 5681, section 3.2).
func TestDuplicateEvents(t *testing.T) {
	tc := sendMSS1000(t, 6, noSACK)
	tc.recv(". 1 ack 1") // the window, which is scaled from now on
	for range 3 {
		tc.wantNoEvent("lost")
		tc.recv(". 1 ack 1")
	}
	tc.wantEvent("lost 1+1000: duplicate ACKs")
	tc.wantEvent("cwnd reduced: recovery began")
	tc.wantEvent("sent . 1+1000 ack 1 win 65024, again (2): duplicate ACKs")
	tc.rest(". 1+1000 ack 1")
}

// A timeout, which proves needless by F-RTO (RFC 5682).
func TestTimeoutEvents(t *testing.T) {
	tc := sendMSS1000(t, 3, noSACK)
	tc.wantEvent("retransmission timer set to")
	tc.wantAfter(msec(250), ". 1+1000 ack 1")
	tc.wantEvent("retransmission timer expired")
	tc.wantEvent("lost 1+3000: timeout")
	e := tc.wantEvent("cwnd reduced: timed out")
	if e.CWnd != 1000 {
		t.Errorf("cwnd is %d", e.CWnd)
	}
	tc.wantEvent("sent . 1+1000 ack 1 win 65024, again (2): timeout")
	tc.wantEvent("waits for the path")
	tc.write(3000)
	tc.recv(". 1 ack 1001")
	tc.recv(". 1 ack 2001")
	e = tc.wantEvent("cwnd restored: undone")
	if e.CWnd < 3000 {
		t.Errorf("cwnd is %d", e.CWnd)
	}
	tc.rest("P. 3001..6001/1000 ack 1")
}

// ECN (RFC 3168, section 6.1.2).
func TestECNEvents(t *testing.T) {
	tc := newScript(t, noTS, traced, func(s *script) { s.cfg.ECN = ECNOn })
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.rest("SEW 0 <mss 1460,sackok,ws 7>")
	tc.recv("S.E 0 ack 1 <mss 1460,sackok,ws 0>")
	tc.wantEvent("sent SEW 0+1 win")
	tc.wantEvent("received S.E 0+1")
	tc.wantEvent("SYN-SENT -> ESTABLISHED")
	tc.write(1460)
	tc.recv(".E 1 ack 1461")
	tc.wantEvent("cwnd reduced: ECN")
	tc.rest(". 1 ack 1", "P. 1+1460 ack 1 ect")
}

// The peer's window and its probes; whom data waits for.
func TestWindowEvents(t *testing.T) {
	tc := newScript(t, noTS, noWS, traced)
	tc.connect()
	tc.wantEvent("waits for the program")
	tc.recv(". 1 ack 1 win 0")
	tc.wantEvent("peer's window closed: 0")
	tc.write(1000)
	tc.wantEvent("persist timer set to")
	tc.wantEvent("waits for the receiver's window")
	tc.recv(". 1 ack 1 win 500")
	tc.wantEvent("peer's window open: 500")
}

// Nagle's rule holds a small segment back (RFC 1122, section 4.2.3.4).
func TestNagleEvents(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.connect()
	tc.write(100)
	tc.wantEvent("goes on")
	tc.write(100)
	tc.wantEvent("waits for Nagle")
	tc.rest("P. 1+100 ack 1")
}

// A full congestion window, and pacing.
func TestSenderEvents(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.connect()
	tc.write(20 * 1460)
	tc.wantEvent("waits for acknowledgments")
	tc.rest(". 1..14601/1460 ack 1")

	tc = newScript(t, noTS, traced, func(s *script) { s.cfg.CC = "bbr" })
	tc.connectIn(msec(50))
	tc.write(20 * 1460)
	tc.wantEvent("paced at ")
	tc.rest(". 1..14601/1460 ack 1") // which are not paced
}

// The way to TIME-WAIT, and a reset.
func TestStateEvents(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.connect()
	tc.c.ShutdownWrite(tc.now)
	tc.pump()
	tc.wantEvent("ESTABLISHED -> FIN-WAIT-1")
	tc.wantEvent("sent F. 1+1 ack 1")
	tc.recv(". 1 ack 2")
	tc.wantEvent("FIN-WAIT-1 -> FIN-WAIT-2")
	tc.recv("F. 1 ack 2")
	tc.wantEvent("received F. 1+1 ack 2")
	tc.wantEvent("FIN-WAIT-2 -> TIME-WAIT")
	tc.rest("F. 1 ack 1", ". 2 ack 2")

	tc = newScript(t, noTS, traced)
	tc.connect()
	tc.recv("R 1")
	tc.wantEvent("received R 1 win 0")
	tc.wantEvent("ESTABLISHED -> CLOSED")
}

// The SYN of a cookie's connection came long ago: that it was received is not told again.
func TestCookieEvents(t *testing.T) {
	tc := newScript(t, plain, traced)
	g, _ := tc.parse(". 1 ack 1")
	tc.c.AcceptCookie(tc.now, &tc.p, &g, &CookieState{MSS: 536})
	tc.wantNoEvent("received")
	tc.recv(". 1 ack 1")
	tc.wantEvent("CLOSED -> SYN-RECEIVED")
	tc.wantEvent("received . 1 ack 1")
	tc.wantEvent("SYN-RECEIVED -> ESTABLISHED")
}

// A pause (RFC 5681, section 4.1), and another congestion control.
func TestPauseEvents(t *testing.T) {
	tc := sendMSS1000(t, 10)
	tc.sleep(msec(50))
	tc.recv(". 1 ack 10001")
	tc.sleep(10 * time.Second)
	tc.write(1000)
	tc.wantEvent("cwnd reduced: after idle")
	if err := tc.c.SetCC(tc.now, "cubic"); err != nil {
		t.Fatal(err)
	}
	tc.wantEvent("cwnd kept: set by the program")
	if tc.c.snd.flight.cc.Name() != "cubic" || tc.c.snd.flight.loss.state != cc.Open {
		t.Error("the congestion control is", tc.c.snd.flight.cc.Name())
	}
	tc.rest("P. 10001+1000 ack 1")
}

// Nobody listens: nothing is made. Who listens and stops hears nothing of what comes later, and what
// is kept of a connection ends with it.
func TestEventsStop(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.connect()
	tc.takeEvents()
	if tc.c.lazy.tales == nil {
		t.Error("nothing is remembered")
	}
	tc.cfg.Trace = 0
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	if n := tc.tape.Written(); n != 0 {
		t.Errorf("%d events", n)
	}
	tc.cfg.Trace = 1
	tc.c.Release()
	if tc.c.lazy.tales != nil {
		t.Error("a closed connection is remembered")
	}
}
