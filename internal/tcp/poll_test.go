package tcp

import (
	"fmt"
	"testing"
	"time"

	"usock/internal/wait"
)

// What every segment carries, and which numbers those without data have: RFC 9293 §3.10.7.4, RFC 7323, RFC
// 3168.

// The number of a segment without data is SND.NXT, but for a peer that has taken window back one that it
// accepts; what rounding alone takes is no shrinking (Linux, tcp_acceptable_seq).
func TestAcceptableNumber(t *testing.T) {
	for _, c := range []struct {
		wnd    uint32
		scaled bool
		want   uint32
	}{
		{10000, false, 1001}, {1000, false, 1001}, {999, false, 1000}, {500, false, 501}, {0, false, 1},
		{1000, true, 1001}, {999, true, 1001}, {1000 - 127, true, 1001}, {1000 - 128, true, 1000 - 128 + 1}, {0, true, 1},
	} {
		opt := plain
		if c.scaled {
			opt = func(s *script) { noTS(s); noSACK(s) }
		}
		tc := newScript(t, opt)
		tc.connect()
		tc.write(1000)
		tc.want("P. 1+1000 ack 1")
		tc.c.snd.wnd = c.wnd
		tc.call(func(x *Conn) { x.ackNow() })
		tc.want(fmt.Sprintf(". %d ack 1", c.want))
		tc.call(func(x *Conn) { x.Abort(tc.now) })
		tc.want(fmt.Sprintf("R. %d ack 1", c.want))
	}
}

// A RST has timestamps where they are in use, if it acknowledges (RFC 7323 §3.2); it is counted and told
// as every segment.
func TestResetSegment(t *testing.T) {
	tc := newScript(t, traced, func(s *script) { s.p.TSOffset = 777 })
	tc.p.TSOffset = 777
	tc.connectIn(msec(20))
	tc.recv("P. 1+10 ack 1")
	tc.want(". 1 ack 11")
	tc.heard = nil
	tc.c.Close(tc.now) // what was not read is lost
	tc.pump()
	tc.want(fmt.Sprintf("R. 1 ack 11 <ts %d:%d>", uint32(tc.now/time.Millisecond)+777, tc.tsv()))
	tc.wantEvent("sent R. 1 ack 11")
	tc.wantInfo("reset", map[string]uint64{"SegsOut": 4})

	tc = newScript(t)
	tc.connectIn(msec(20))
	tc.c.Fail(0)
	tc.c.resetWith(scriptISS + 5) // answers a segment: no ACK
	tc.pump()
	tc.want("R 5 <nots>")
}

// TSval is the clock in milliseconds and the connection's own offset, in SYNs, data and acknowledgments, and
// in what TIME-WAIT answers (RFC 7323 §5.4).
func TestTimestampOffset(t *testing.T) {
	const offset = 0x10000
	tc := newScript(t, noSACK, noWS)
	tc.p.TSOffset = offset
	clock := func() uint32 { return uint32(tc.now/time.Millisecond) + offset }
	tc.accept()
	tc.sleep(msec(30))
	tc.write(10)
	tc.want(fmt.Sprintf("P. 1+10 ack 1 <ts %d:%d>", clock(), clock()-30-offset))
	tc.recv("F. 1 ack 11")
	tc.sleep(msec(1))
	tc.out = nil
	tc.shutdown()
	tc.recv(". 2 ack 12")
	tc.out = nil
	tc.wantState(Closed)

	tc, w := timeWait(t, noSACK, noWS, func(s *script) { s.cfg.MTUProbing = 0 })
	w.tsOffset = offset
	g, _ := tc.parse("F. 1 ack 2")
	var reply Segment
	w.Segment(tc.now+msec(5), &g, &reply)
	if got, want := reply.Options.TSVal, uint32((tc.now+msec(5))/time.Millisecond)+offset; got != want {
		t.Errorf("TIME-WAIT answers with %d, want %d", got, want)
	}
}

// ECN: what has no data is never taken for a mark, the first mark is acknowledged at once, CWR with data as
// well, and CWR leaves once (RFC 3168 §6.1.2 and 6.1.3).
func TestECNMarks(t *testing.T) {
	tc := ecnConnect(t)
	tc.recv(". 1 ack 1 ce")
	tc.wantIdle("a mark on what has no data")
	tc.recv("P. 1+100 ack 1")
	tc.want(". 1 ack 101")
	tc.c.rcv.ack = acking{ato: ackMin, lastRcv: tc.now}
	tc.recv("P. 101+100 ack 1 ce")
	tc.want(".E 1 ack 201") // at once
	tc.recv("P. 201+100 ack 1 ce")
	tc.wantIdle("the second mark is no news")
	tc.wantAfter(ackMin, ".E 1 ack 301")
	tc.c.rcv.ack = acking{ato: ackMin, lastRcv: tc.now}
	tc.recv(".W 301 ack 1")
	tc.wantIdle("CWR without data")
	tc.recv("P.W 301+100 ack 1")
	tc.want(". 1 ack 401")

	tc.write(3000)
	tc.rest("P. 1..3001/1000 ack 401 ect")
	tc.sleep(msec(100))
	tc.recv(".E 401 ack 1001")
	tc.write(2000)
	tc.out = nil
	tc.recv(".E 401 ack 3001")
	tc.recv(". 401 ack 3001")
	n := 0
	for range 4 {
		tc.write(1000)
		for _, g := range tc.out {
			if g.Flags&0x80 != 0 {
				n++
			}
		}
		tc.out = nil
		tc.recv(fmt.Sprintf(". 401 ack %d", tc.c.snd.nxt-origin))
	}
	if n > 1 {
		t.Errorf("CWR left %d times", n)
	}
}

// A mark that is echoed when nothing is in flight any more reduces the window, and that is over at once.
func TestECNAtRest(t *testing.T) {
	ctl := &recorder{}
	tc := newScript(t, plain, ecnOn, recorded(ctl))
	tc.p.MSS = 1000
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("SEW 0 <mss 1000>")
	tc.sleep(msec(100))
	tc.recv("S.E 0 ack 1 <mss 1000>")
	tc.want(". 1 ack 1")
	tc.write(1000)
	tc.want("P. 1+1000 ack 1 ect")
	tc.recv(".E 1 ack 1001")
	if got := fmt.Sprint(ctl.calls); got != "[congestion recovered]" {
		t.Errorf("the controller hears %s", got)
	}
	tc.write(1000)
	tc.want("P.W 1001+1000 ack 1 ect")
	tc.write(1000)
	tc.want("P. 2001+1000 ack 1 ect")
}

// A FIN makes readable and tells of the end; with the program's own direction ended, of a hang-up. What waits
// for its acknowledgment waits for the program's FIN. Repeated, it is acknowledged again, as a duplicate.
func TestFINTold(t *testing.T) {
	for _, st := range []State{Established, FinWait1, FinWait2} {
		tc := newScript(t, plain)
		inState(tc, st)
		seq, ack := numbers(tc)
		una := map[State]uint32{Established: 1, FinWait1: 1, FinWait2: 2}[st]
		tc.ev = 0
		tc.recv(fmt.Sprintf("F. %d ack %d", ack, una))
		want := wait.In | wait.RdHup
		if st != Established {
			want |= wait.Hup
		}
		if st == FinWait2 {
			want |= wait.Out
		}
		tc.wantEvents(want)
		if st == Established {
			tc.wantIdle("the program's FIN may carry it")
			if tc.c.QuickAck() {
				t.Error("an answer is expected")
			}
			tc.shutdown()
			tc.want(fmt.Sprintf("F. %d ack %d", seq, ack+1))
			continue
		}
		tc.want(fmt.Sprintf(". %d ack %d", seq, ack+1))
	}

	tc := newScript(t, noTS)
	tc.connect()
	tc.recv("F. 1+100 ack 1")
	tc.wantAfter(ackMin, ". 1 ack 102")
	tc.recv("F. 1+100 ack 1")
	tc.want(". 1 ack 102 <sack 1-102>")
	tc.recv("F. 101 ack 1")
	tc.want(". 1 ack 102 <sack 101-102>")
	tc.recv(". 102 ack 1")
	tc.wantIdle("nothing is repeated")
	tc.recv("R 101") // one below: from before its own FIN was acknowledged
	tc.wantState(Closed)
}

// Data for a program that has gone is lost, and the peer is told (RFC 9293 SHLD-3): after close, or after
// shutdown of both directions. What repeats itself, and a FIN, is none.
func TestDataForNobody(t *testing.T) {
	for _, c := range []struct {
		name  string
		ends  func(tc *script)
		in    string
		reset bool
	}{
		{"after close", func(tc *script) { tc.close() }, "P. 11+10 ack 2", true},
		{"after close, not acknowledged", func(tc *script) { tc.close() }, "P. 11+10 ack 1", true},
		{"after both shutdowns", func(tc *script) { tc.shutdown(); tc.c.ShutdownRead(tc.now) }, "P. 11+10 ack 2", true},
		{"after the shutdown of reading", func(tc *script) { tc.c.ShutdownRead(tc.now) }, "P. 11+10 ack 1", false},
		{"after the shutdown of writing", func(tc *script) { tc.shutdown() }, "P. 11+10 ack 2", false},
		{"old data", func(tc *script) { tc.close() }, "P. 1+10 ack 2", false},
		{"a FIN", func(tc *script) { tc.close() }, "F. 11 ack 2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.connect()
			tc.recv("P. 1+10 ack 1")
			tc.read(100, 10)
			tc.out = nil
			c.ends(tc)
			tc.out = nil
			tc.recv(c.in)
			if got := tc.c.State() == Closed; got != c.reset {
				t.Errorf("it is reset: %v", got)
			}
			if c.reset {
				g, _ := tc.parse(c.in)
				tc.rest(fmt.Sprintf("R %d", g.Ack-tc.p.ISS))
			}
			tc.out = nil
		})
	}
}
