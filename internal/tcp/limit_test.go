package tcp

import (
	"syscall"
	"testing"
	"time"
)

// No byte behind the limit leaves, and no FIN: a segment that would straddle it is cut there, and what was lost before it is
// sent again. Once it is reached a reset has the number behind it.
func TestLimit(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MSS = 1000
	tc.connectIn(msec(50))
	tc.c.SetLimit(2500)
	tc.write(2400)
	tc.want(". 1+1000 ack 1")
	tc.want(". 1001+1000 ack 1")
	tc.recv(". 1 ack 2001")
	tc.want("P. 2001+400 ack 1")
	if tc.c.AtLimit() {
		t.Error("100 bytes are left")
	}
	tc.write(5000)
	tc.call(func(c *Conn) { c.ShutdownWrite(tc.now) })
	tc.want(". 2401+100 ack 1") // Nagle's rule does not hold it: more is behind it
	tc.wantIdle("the rest is behind the limit")
	if !tc.c.AtLimit() {
		t.Error("all that may leave has left")
	}
	tc.recv(". 1 ack 2401")
	tc.wantAfter(238281*time.Microsecond, ". 2401+100 ack 1") // by timeout
	tc.call(func(c *Conn) { tc.ev |= c.Reset(true) })
	tc.want("R. 2501 ack 1")
	if tc.c.State() != Closed || tc.c.Err() != syscall.ECONNRESET {
		t.Error(tc.c.State(), tc.c.Err())
	}
	tc.wantIdle("it is over")
}

// The FIN is no byte: one that ends the stream before the limit leaves, and is no reason for anything; one right at the limit
// does not leave before that is gone.
func TestLimitAndFIN(t *testing.T) {
	for _, limit := range []uint64{100, 101} {
		tc := newScript(t, plain)
		tc.connectIn(msec(50))
		tc.c.SetLimit(limit)
		tc.write(100)
		tc.want("P. 1+100 ack 1")
		tc.call(func(c *Conn) { c.ShutdownWrite(tc.now) })
		if limit == 100 {
			tc.wantIdle("it stands behind the limit")
			if !tc.c.AtLimit() {
				t.Error("the limit is not reached")
			}
			tc.call(func(c *Conn) { c.Unlimit() })
		} else if tc.c.AtLimit() {
			t.Error("the FIN counts as a byte")
		}
		tc.want("F. 101 ack 1")
	}
}

// What was received can be read behind a reset, or is lost with the FIN that came behind it.
func TestResetKeeps(t *testing.T) {
	for _, keep := range []bool{true, false} {
		tc := newScript(t, plain)
		tc.connectIn(msec(50))
		tc.recv("PF. 1+10 ack 1")
		tc.call(func(c *Conn) { c.Reset(keep) })
		tc.want("R. 1 ack 12")
		if got := tc.c.Buffered(); (got == 10) != keep || !keep && (got != 0 || tc.c.EOF()) {
			t.Errorf("keep %v: %d bytes, EOF %v", keep, got, tc.c.EOF())
		}
	}
}

// A SYN that is held leaves when SendSYN says so, once, with a timer behind it.
func TestHeldSYN(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.Hold = true
	tc.call(func(c *Conn) { c.Connect(tc.now, &tc.p) })
	tc.wantIdle("it is held")
	if tc.c.Deadline() != never {
		t.Error("a timer runs")
	}
	tc.call(func(c *Conn) { c.SendSYN() })
	tc.want("S 0 <mss 1460>")
	tc.call(func(c *Conn) { c.SendSYN() })
	tc.wantIdle("it has left")
	if tc.c.Deadline() == never {
		t.Error("no timer runs")
	}
}
