package tcp

import (
	"testing"
	"time"
)

// checkConn asserts what must hold of a connection after every event.
func checkConn(t testing.TB, c *Conn, now time.Duration) {
	t.Helper()
	s := &c.snd
	if c.state != Closed && (s.una > s.nxt || s.nxt > c.snd.sndEnd(&c.tcb) && s.nxt > origin+1) {
		t.Fatalf("snd.una %d, snd.nxt %d, end %d", s.una, s.nxt, c.snd.sndEnd(&c.tcb))
	}
	if c.state.synchronized() && c.state != TimeWait {
		if s.q.Base() != min(s.una, s.q.End()) {
			t.Fatalf("send queue begins at %d, snd.una is %d", s.q.Base(), s.una)
		}
		if fin := c.rcv.nxt - c.rcv.q.End(); fin > 1 || (fin == 1) != (c.flags&finRcvd != 0) {
			t.Fatalf("rcv.nxt %d, receive queue ends at %d", c.rcv.nxt, c.rcv.q.End())
		}
	}
	// Nothing is taken that was not offered; a FIN needs no room.
	if c.state.synchronized() && c.state != TimeWait && c.rcv.q.End() > c.rcv.adv {
		t.Fatalf("received up to %d, the window ended at %d", c.rcv.q.End(), c.rcv.adv)
	}
	if o := c.rcv.ooo; o != nil && !o.q.Empty() && o.q.End() > c.rcv.adv {
		t.Fatalf("held up to %d, the window ended at %d", o.q.End(), c.rcv.adv)
	}
	checkBoard(t, c)
	checkTimers(t, c)
}

// checkBoard asserts that the sent segments cover what is in flight, once, and that the
// sums are those of the sent segments.
func checkBoard(t testing.TB, c *Conn) {
	t.Helper()
	f := c.snd.flight
	if f == nil {
		return
	}
	l := &f.loss
	var sacked, lost, retrans uint32
	at := max(c.snd.una, origin+1)
	b, n := &f.scoreboard, uint32(0)
	for i := b.first(); i < b.end(); i = b.next(i) {
		r := b.at(i)
		n++
		if r.start != at || r.n == 0 {
			t.Fatalf("record %d is [%d,+%d), want it at %d", i, r.start, r.n, at)
		}
		at = r.end()
		switch {
		case r.flags&segSacked != 0:
			sacked += r.n
			if r.flags&(segLost|segRetrans) != 0 {
				t.Fatalf("record %d: flags %b", i, r.flags)
			}
		case r.flags&segLost != 0:
			lost += r.n
			if r.start < l.hint {
				t.Fatalf("record %d is lost below the hint", i)
			}
		case r.flags&segRetrans != 0:
			retrans += r.n
		}
	}
	if n != b.n {
		t.Fatalf("%d sent segments, %d are there", b.n, n)
	}
	if at != c.snd.nxt && f.scoreboard.n > 0 || f.scoreboard.n == 0 && c.snd.nxt > max(c.snd.una, origin+1) {
		t.Fatalf("sent segments end at %d, snd.nxt is %d", at, c.snd.nxt)
	}
	if sacked != l.sacked || lost != l.lost || retrans != l.retrans {
		t.Fatalf("sacked %d lost %d retrans %d; sent segments say %d %d %d", l.sacked, l.lost, l.retrans, sacked, lost, retrans)
	}
}

// checkTimers asserts that nothing waits for what nobody will do.
func checkTimers(t testing.TB, c *Conn) {
	t.Helper()
	if c.timer.rtx != never {
		return
	}
	switch {
	case c.state == Closed || c.state == TimeWait:
	case c.state == SynSent || c.state == SynRcvd:
		if c.flags&synOnce != 0 {
			t.Fatalf("%v without a timer", c.state)
		}
	case c.snd.nxt > c.snd.una:
		t.Fatalf("data in flight without a timer")
	case c.snd.una < c.snd.sndEnd(&c.tcb) && c.timer.pace == never:
		t.Fatalf("data waits and nothing is in flight, without a timer")
	}
	if c.state == TimeWait && c.timer.keep == never {
		t.Fatal("TIME-WAIT without an end")
	}
	if c.state == FinWait2 && c.shut&orphan != 0 && c.timer.keep == never {
		t.Fatal("FIN-WAIT-2 of an orphan without an end")
	}
}
