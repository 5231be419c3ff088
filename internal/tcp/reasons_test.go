package tcp

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"usock/internal/wait"
	"usock/trace"
)

// Why something is sent again is what had it taken for lost, whatever state that led to.

// What the path does not take is sent again for that reason, and not by timeout (RFC 8201 §5.4).
func TestMTUEvents(t *testing.T) {
	tc := sendMSS1000(t, 3)
	tc.icmp(1, syscall.EMSGSIZE, 600)
	tc.wantEvent("refused 1: message too long")
	tc.wantEvent("lost 1+3000: path MTU")
	tc.wantEvent("sent . 1+600 ack 1 win 65024, again (2): path MTU")
	tc.wantNoEvent("waits for the path")
	tc.recv(". 1 ack 601")
	tc.wantEvent("sent . 601+600 ack 1 win 65024, again (2): path MTU")
	tc.rest("P. 1..3001/600 ack 1")
}

// One that ICMP had sent again and the timer has to send once more is sent by timeout.
func TestMTUThenTimeoutEvents(t *testing.T) {
	tc := sendMSS1000(t, 1)
	tc.icmp(1, syscall.EMSGSIZE, 600)
	tc.wantEvent("sent . 1+600 ack 1 win 65024, again (2): path MTU")
	tc.rest("P. 1..1001/600 ack 1")
	tc.wantNoEvent("sent . 1+600")
	tc.sleep(2 * time.Second)
	tc.wantEvent("lost 1+600: timeout")
	tc.wantEvent("sent . 1+600 ack 1 win 65024, again (3): timeout")
	tc.rest("3 * . 1+600 ack 1")
}

// An error that changes nothing yet is told all the same; one about what is not in flight is not believed.
func TestICMPEvents(t *testing.T) {
	tc := sendMSS1000(t, 1)
	tc.icmp(5000, syscall.EHOSTUNREACH, 0)
	tc.wantNoEvent("refused")
	tc.icmp(1, syscall.EHOSTUNREACH, 0)
	tc.wantEvent("refused 1: no route to host")

	tc = newScript(t, noTS, traced)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.icmp(0, syscall.ECONNREFUSED, 0)
	tc.wantEvent("refused 0: connection refused")
	tc.wantEvent("SYN-SENT -> CLOSED")
	tc.rest("S 0 <mss 1460,sackok,ws 7>")
}

// A range that RACK has marked and that leaves once more by the timer leaves by timeout.
func TestLostAgainEvents(t *testing.T) {
	tc := sendMSS1000(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.wantEvent("sent . 1+1000 ack 1 win 65024, again (2): RACK")
	tc.sleep(time.Second)
	tc.wantEvent("lost 1+1000: timeout")
	tc.wantEvent("sent . 1+1000 ack 1 win 65024, again (3): timeout")
	tc.wantEvent("waits for the path")
	tc.rest("3 * . 1+1000 ack 1")
}

// A SYN is sent again by its timer; a SYN-ACK also because the SYN has come again.
func TestSYNEvents(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.wantEvent("sent S 0+1 win")
	tc.wantNoEvent("waits")
	tc.sleep(time.Second)
	if e := tc.wantEvent("sent S 0+1"); e.Why != trace.ByTimeout || e.Times != 2 {
		t.Errorf("%s", &e)
	}
	tc.wantEvent("waits for the path")
	tc.rest("2 * S 0 <mss 1460,sackok,ws 7>")

	tc = newScript(t, noTS, traced)
	syn, _ := tc.parse("S 0 <mss 1460>")
	tc.c.Accept(tc.now, &tc.p, &syn)
	tc.pump()
	tc.wantEvent("sent S. 0+1")
	tc.recv("S 0 <mss 1460>")
	if e := tc.wantEvent("sent S. 0+1"); e.Why != trace.ByPeer || e.Times != 2 {
		t.Errorf("%s", &e)
	}
	tc.sleep(2 * time.Second)
	if e := tc.wantEvent("sent S. 0+1"); e.Why != trace.ByTimeout || e.Times != 3 {
		t.Errorf("%s", &e)
	}
	tc.rest("3 * S. 0 ack 1 <mss 1460>")
}

// HyStart++ ends slow start without a loss (RFC 9406 §4.2): ssthresh changes, and that is told.
func TestControllerEvents(t *testing.T) {
	tc := newScript(t, noTS, traced, func(s *script) { s.cfg.CC = "cubic" })
	tc.connectIn(msec(50))
	tc.queue(1 << 20)
	tc.pump()
	for round, acked := 0, 1; round < 12; round++ {
		tc.sleep(msec(50 + 10*round))
		for at := int(offset(tc.c.snd.nxt)); acked < at; {
			acked = min(acked+2*1460, at)
			tc.recv(". 1 ack " + strconv.Itoa(acked))
		}
		tc.out = nil
		tc.queue(1 << 20)
		tc.pump()
	}
	e := tc.wantEvent("cwnd set: congestion control")
	if e.SSThresh == trace.NoThreshold || e.SSThresh != tc.c.snd.flight.cc.SSThresh() {
		t.Errorf("ssthresh is %d: %s", tc.c.snd.flight.cc.SSThresh(), &e)
	}
	tc.wantNoEvent("cwnd set")
}

// Stalls: whom a sender waits for, told when it begins.

// A cork holds back what the program has written: it is the program who is waited for.
func TestCorkEvents(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.connect()
	tc.call(func(c *Conn) { c.SetCork(tc.now, true) })
	tc.write(100)
	tc.wantIdle("corked")
	tc.wantNoEvent("waits for Nagle")
	if w := tc.c.stall(tc.now); w != trace.ByProgram {
		t.Errorf("waits for %v", w)
	}
	tc.call(func(c *Conn) { c.SetCork(tc.now, false) })
	tc.want("P. 1+100 ack 1")
	tc.wantEvent("goes on")
}

// In recovery, with all written and all sent, what is lost waits for room in the window.
func TestRecoveryStallEvents(t *testing.T) {
	tc := sendMSS1000(t, 10)
	tc.recv(". 1 ack 1 <sack 7001-10001>")
	tc.wantEvent("lost 1+7000: RACK")
	tc.wantEvent("waits for acknowledgments")
	if tc.c.snd.flight.loss.lost == 0 {
		t.Error("nothing waits to be sent again")
	}
	tc.rest(". 1..3001/1000 ack 1")
}

// After a timeout the path is waited for until it answers, and no longer: then the rules are the usual ones.
func TestPathEvents(t *testing.T) {
	tc := sendMSS1000(t, 10)
	tc.sleep(2 * time.Second)
	tc.wantEvent("waits for the path")
	tc.rest("P. 9001+1000 ack 1", "3 * . 1+1000 ack 1")
	tc.wantNoEvent("goes on")
	tc.recv(". 1 ack 2001")
	tc.wantEvent("goes on")
	tc.recv(". 1 ack 10001")
	tc.wantEvent("waits for the program")
}

// A window that is closed while the pacing timer runs is told at once, not when the timer has expired.
func TestPacedWindowEvents(t *testing.T) {
	tc := newScript(t, noTS, traced)
	tc.connect()
	tc.write(unpaced * 1460)
	tc.recv(". 1 ack 14601")
	tc.c.SetMaxPacing(10_000)
	tc.write(4 * 1460)
	tc.wantEvent("waits for pacing")
	tc.recv(". 1 ack 14601 win 0")
	tc.wantEvent("peer's window closed")
	tc.wantEvent("waits for the receiver's window")
	tc.recv(". 1 ack 14601 win 65535")
	tc.wantEvent("waits for pacing")
	tc.rest("P. 1..14601/1460 ack 1", ". 14601+1460 ack 1")
}

// A FIN behind the window's edge, and one that has left: nothing is waited for but its acknowledgment.
func TestFINEvents(t *testing.T) {
	tc := newScript(t, noTS, noWS, traced)
	tc.connect()
	tc.recv(". 1 ack 1 win 1000")
	tc.write(1000)
	tc.want("P. 1+1000 ack 1")
	tc.shutdown()
	tc.wantEvent("waits for the receiver's window")
	tc.recv(". 1 ack 1001 win 1000")
	tc.want("F. 1001 ack 1")
	tc.wantEvent("goes on")
	tc.recv(". 1 ack 1002 win 1000")
	tc.wantNoEvent("waits")
}

// What is remembered of a connection ends with it, however it ends, and however often the listener came and went.
func TestEventsForgotten(t *testing.T) {
	for name, end := range map[string]func(tc *script){
		"reset":    func(tc *script) { tc.recv("R 1") },
		"abort":    func(tc *script) { tc.call(func(c *Conn) { c.Abort(tc.now) }); tc.rest("R. 3001 ack 1") },
		"released": func(tc *script) { tc.c.Release() },
		"timeout":  func(tc *script) { tc.write(1000); tc.sleep(time.Hour); tc.rest("18 * P. 3001+1000 ack 1") },
		"time-wait": func(tc *script) {
			tc.shutdown()
			tc.recv("F. 1 ack 3002")
			tc.rest("F. 3001 ack 1", ". 3002 ack 2")
			tc.wantState(TimeWait)
			tc.c.Release()
		},
		"last ack": func(tc *script) {
			tc.recv("F. 1 ack 3001")
			tc.shutdown()
			tc.recv(". 2 ack 3002")
			tc.rest("F. 3001 ack 2")
			tc.wantState(Closed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc := newScript(t, noTS, traced)
			tc.connect()
			if tc.c.lazy.tales == nil {
				t.Fatal("nothing is remembered")
			}
			tc.cfg.Trace = 0
			tc.write(3000)
			tc.rest("P. 1..3001/1460 ack 1")
			traced(tc) // by another log, as the host does when the first listener comes
			tc.heard = nil
			tc.recv(". 1 ack 3001")
			tc.wantEvent("acknowledged 1+3000")
			tc.wantEvent("waits for the program")
			tc.wantNoEvent("waits")
			end(tc)
			tc.takeEvents()
			if tc.c.lazy.tales != nil {
				t.Errorf("still remembered in state %v", tc.c.State())
			}
			tc.ev &^= wait.Out
		})
	}
}
