package tcp

import (
	"syscall"
	"testing"

	"usock/internal/wait"
)

// inState brings a connection without options into any state, a listener's but for SYN-SENT.
func inState(tc *script, st State) {
	tc.t.Helper()
	switch st {
	case Closed:
		return
	case SynSent:
		tc.c.Connect(tc.now, &tc.p)
		tc.pump()
		tc.want("S 0 <mss 1460>")
	case SynRcvd:
		g, _ := tc.parse("S 0 <mss 1460>")
		tc.c.Accept(tc.now, &tc.p, &g)
		tc.pump()
		tc.want("S. 0 ack 1 <mss 1460>")
	default:
		reach(tc, st)
	}
	tc.ev = 0
}

const (
	readable = wait.In | wait.RdHup
	ended    = wait.In | wait.Out | wait.RdHup | wait.Hup
)

// callRow is a state, the one after a call, what leaves, and what poll(2) says then.
type callRow struct {
	st, next State
	out      string
	ready    wait.Events
}

var callsInStates = []struct {
	name string
	call func(tc *script)
	err  syscall.Errno
	rows []callRow
}{
	{"shutdown of writing", func(tc *script) { tc.c.ShutdownWrite(tc.now) }, 0, []callRow{
		{Closed, Closed, "", wait.Out | wait.Hup},
		{SynSent, SynSent, "", 0},
		{SynRcvd, SynRcvd, "", 0},
		{Established, FinWait1, "F. 1 ack 1", wait.Out},
		{FinWait1, FinWait1, "", wait.Out},
		{FinWait2, FinWait2, "", wait.Out},
		{CloseWait, LastAck, "F. 1 ack 2", ended},
		{Closing, Closing, "", ended},
		{LastAck, LastAck, "", ended},
		{TimeWait, TimeWait, "", ended},
	}},
	{"shutdown of reading", func(tc *script) { tc.c.ShutdownRead(tc.now) }, 0, []callRow{
		{SynSent, SynSent, "", readable},
		{SynRcvd, SynRcvd, "", readable},
		{Established, Established, "", readable | wait.Out},
		{FinWait1, FinWait1, "", ended},
		{FinWait2, FinWait2, "", ended},
		{CloseWait, CloseWait, "", readable | wait.Out},
		{LastAck, LastAck, "", ended},
	}},
	{"close", func(tc *script) { tc.c.Close(tc.now) }, 0, []callRow{
		{Closed, Closed, "", wait.Out | wait.Hup},
		{SynSent, Closed, "", ended},
		{SynRcvd, Closed, "R. 1 ack 1", ended},
		{Established, FinWait1, "F. 1 ack 1", ended},
		{FinWait1, FinWait1, "", ended},
		{FinWait2, FinWait2, "", ended},
		{CloseWait, LastAck, "F. 1 ack 2", ended},
		{Closing, Closing, "", ended},
		{LastAck, LastAck, "", ended},
		{TimeWait, TimeWait, "", ended},
	}},
	{"abort", func(tc *script) { tc.c.Abort(tc.now) }, 0, []callRow{
		{Closed, Closed, "", ended},
		{SynSent, Closed, "", ended},
		{SynRcvd, Closed, "R. 1 ack 1", ended},
		{Established, Closed, "R. 1 ack 1", ended},
		{FinWait1, Closed, "R. 2 ack 1", ended},
		{FinWait2, Closed, "R. 2 ack 1", ended},
		{CloseWait, Closed, "R. 1 ack 2", ended},
		{Closing, Closed, "", ended},
		{LastAck, Closed, "", ended},
		{TimeWait, Closed, "", ended},
	}},
	{"failure", func(tc *script) { tc.ev |= tc.c.Fail(syscall.ENETDOWN) }, syscall.ENETDOWN, []callRow{
		{SynSent, Closed, "", ended | wait.Err},
		{SynRcvd, Closed, "", ended | wait.Err},
		{Established, Closed, "", ended | wait.Err},
		{FinWait2, Closed, "", ended | wait.Err},
		{CloseWait, Closed, "", ended | wait.Err},
		{LastAck, Closed, "", ended | wait.Err},
		{TimeWait, Closed, "", ended | wait.Err},
	}},
}

// What a program's call does in each state: the state after it, what leaves, and what poll(2) says then
// (RFC 9293 §3.10.4 CLOSE and §3.10.5 ABORT; shutdown(2), tcp_poll on Linux).
func TestCallsInStates(t *testing.T) {
	for _, c := range callsInStates {
		for _, r := range c.rows {
			t.Run(c.name+" "+r.st.String(), func(t *testing.T) {
				tc := newScript(t, plain)
				inState(tc, r.st)
				before := tc.c.Ready()
				c.call(tc)
				tc.ev |= tc.c.take()
				tc.pump()
				if r.out != "" {
					tc.want(r.out)
				}
				tc.wantIdle("nothing else is to be said")
				tc.wantState(r.next)
				tc.wantReady(r.ready)
				if got, want := tc.c.ReadShut(), r.ready&wait.RdHup != 0; got != want {
					t.Errorf("reading has ended: %v", got)
				}
				// Who waits is told where the connection is over at once; a shutdown is the program's own.
				if r.next == Closed && (r.st != Closed || c.name == "abort") {
					tc.wantEvents(ended | r.ready&wait.Err)
				} else {
					tc.wantEvents(0)
				}
				tc.wantErr(c.err)
				tc.wantErr(0) // once
				if r.next == Closed && r.st != Closed {
					if d := tc.c.Deadline(); d != never {
						t.Errorf("a timer in CLOSED, and %v before", events(before))
					}
					if tc.c.snd.flight != nil || tc.c.rcv.ooo != nil {
						t.Error("CLOSED, and something is kept")
					}
					tc.recv(". 1 ack 1")
					tc.want("R 1") // RFC 9293 §3.10.7.1
				}
			})
		}
	}
}

// What is in the queues when the program lets go.
func TestCallsWithData(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(tc *script)
		call   func(c *Conn, tc *script)
		out    []string
		next   State
		counts string
		left   int // bytes that can still be read
	}{
		{"close with data that was not read (RFC 9293 SHLD-3)", func(tc *script) {
			tc.recv("P. 1+100 ack 1")
			tc.rest(". 1 ack 101")
		}, func(c *Conn, tc *script) { c.Close(tc.now) }, []string{"R. 1 ack 101"}, Closed, "EstabResets 1 OutRsts 1 TCPAbortOnClose 1", 0},
		{"close with data out of order", func(tc *script) {
			tc.recv("P. 101+100 ack 1")
			tc.rest(". 1 ack 1 <sack 101-201>")
		}, func(c *Conn, tc *script) { c.Close(tc.now) }, []string{"F. 1 ack 1"}, FinWait1, "TCPOFOQueue 1", 0},
		{"close with data that was not sent", func(tc *script) {
			tc.recv(". 1 ack 1 win 0")
			tc.write(100)
		}, func(c *Conn, tc *script) { c.Close(tc.now) }, nil, FinWait1, "", 0},
		{"failure with data that was not read", func(tc *script) {
			tc.recv("P. 1+100 ack 1")
			tc.rest(". 1 ack 101")
		}, func(c *Conn, tc *script) { c.Fail(syscall.ECONNRESET) }, nil, Closed, "EstabResets 1", 100},
		{"abort with data that was not read", func(tc *script) {
			tc.recv("P. 1+100 ack 1")
			tc.rest(". 1 ack 101")
		}, func(c *Conn, tc *script) { c.Abort(tc.now) }, []string{"R. 1 ack 101"}, Closed, "EstabResets 1 OutRsts 1", 0},
		{"abort of a FIN that has not left", func(tc *script) {
			tc.recv("F. 1 ack 1 win 0")
			tc.wantAfter(ackTick, ". 1 ack 2")
			tc.write(100)
			tc.shutdown()
			tc.wantState(LastAck)
		}, func(c *Conn, tc *script) { c.Abort(tc.now) }, []string{"R. 1 ack 2"}, Closed, "OutRsts 1 DelayedACKs 1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, noTS, noWS)
			tc.connect()
			c.before(tc)
			tc.call(func(x *Conn) { c.call(x, tc) })
			tc.rest(c.out...)
			tc.wantState(c.next)
			tc.wantCounts(c.counts)
			if n := tc.c.Buffered(); n != c.left {
				t.Errorf("%d bytes can be read", n)
			}
		})
	}
}

// An orphan in FIN-WAIT-2 waits for the peer's FIN a bounded time: tcp_fin_timeout, or TCP_LINGER2, and
// below zero not at all. Keepalive is over with the program.
func TestOrphanFinWait2Times(t *testing.T) {
	for _, c := range []struct {
		name    string
		linger2 int
		first   bool // close comes before the FIN is acknowledged
		seconds int
	}{
		{"the host's", 0, false, 60}, {"its own", 5, false, 5}, {"not at all", -1, false, 0},
		{"the host's, from the acknowledgment on", 0, true, 60}, {"its own, from there", 5, true, 5}, {"not at all then", -1, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.cfg.KeepIdle = secs(3)
			tc.connect()
			tc.c.SetKeepAlive(tc.now, true)
			if c.linger2 != 0 {
				tc.c.SetLinger2(c.linger2)
			}
			if !c.first {
				tc.shutdown()
			} else {
				tc.close()
			}
			tc.want("F. 1 ack 1")
			tc.recv(". 1 ack 2")
			if !c.first {
				tc.wantState(FinWait2)
				tc.close()
			}
			if c.seconds == 0 {
				tc.rest("R. 2 ack 1")
				tc.wantState(Closed)
				return
			}
			tc.silent(secs(c.seconds)-1, "waits")
			tc.wantState(FinWait2)
			tc.silent(1, "over")
			tc.wantState(Closed)
		})
	}
}
