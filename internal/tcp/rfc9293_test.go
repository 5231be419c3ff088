package tcp

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"usock/internal/wait"
)

// RFC 9293, section 3.10.7: what a segment does, state by state.

// Section 3.10.7.1, CLOSED: a segment is answered by a RST, unless it is one.
func TestClosedAnswersReset(t *testing.T) {
	for _, c := range []struct {
		in, out string // numbers as they are
	}{
		{"S 0", "R. 0 ack 1"},
		{"S 0+10", "R. 0 ack 11"},
		{"SF 5+10", "R. 0 ack 17"},
		{". 7 ack 9", "R 9"},
		{"F. 7+3 ack 9", "R 9"},
		{"S. 7 ack 9", "R 9"},
		{"R 7", ""},
		{"R. 7 ack 9", ""},
	} {
		t.Run(c.in, func(t *testing.T) {
			tc := newScript(t)
			tc.p.ISS, tc.irs = 0, 0
			tc.recv(c.in)
			if c.out != "" {
				tc.want(c.out)
			}
			tc.wantIdle("answered")
		})
	}
}

// Section 3.10.7.3, SYN-SENT.
func TestSynSent(t *testing.T) {
	for _, c := range []struct {
		name, in, out string
		state         State
		err           syscall.Errno
	}{
		{"ACK of nothing", ". 0 ack 0", "R 0", SynSent, 0},
		{"ACK beyond", ". 0 ack 2", "R 2", SynSent, 0},
		{"SYN-ACK of the wrong number", "S. 0 ack 77", "R 77", SynSent, 0},
		{"SYN-ACK below", "S. 0 ack 0", "R 0", SynSent, 0},
		{"RST with wrong ACK", "R. 0 ack 5", "", SynSent, 0},
		{"RST without ACK", "R 0", "", SynSent, 0},
		{"RST with ACK", "R. 0 ack 1", "", Closed, syscall.ECONNREFUSED},
		{"ACK without SYN", ". 0 ack 1", "", SynSent, 0},
		{"FIN alone", "F 0", "", SynSent, 0},
		{"data alone", "P 5+10", "", SynSent, 0},
		{"SYN-ACK", "S. 0 ack 1 <mss 1460>", ". 1 ack 1", Established, 0},
		{"SYN-ACK with data", "S. 0+10 ack 1 <mss 1460>", ". 1 ack 11", Established, 0},
		{"SYN-ACK with FIN", "SF. 0 ack 1 <mss 1460>", ". 1 ack 2", CloseWait, 0},
		{"SYN-ACK with data and FIN", "SF. 0+10 ack 1 <mss 1460>", ". 1 ack 12", CloseWait, 0},
		{"SYN", "S 0 <mss 1460>", "S. 0 ack 1 <mss 1460>", SynRcvd, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			tc.c.Connect(tc.now, &tc.p)
			tc.pump()
			tc.want("S 0 <mss 1460>")
			tc.recv(c.in)
			if c.out != "" {
				tc.want(c.out)
			}
			tc.wantIdle("done")
			tc.wantState(c.state)
			tc.wantErr(c.err)
		})
	}
}

// Section 3.5, figure 7: simultaneous open.
func TestSimultaneousOpen(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.recv("S 0 <mss 1460>")
	tc.want("S. 0 ack 1 <mss 1460>")
	tc.wantState(SynRcvd)
	tc.recv("S. 0 ack 1 <mss 1460>")
	tc.wantState(Established)
	tc.want(". 1 ack 1")
	tc.write(10)
	tc.want("P. 1+10 ack 1")
	tc.recv(". 1 ack 11")
	tc.wantIdle("all is acknowledged")
}

// The SYN of a simultaneous open comes again: alone it is challenged, and in the SYN-ACK it is a
// duplicate (RFC 2883), as Linux 6.18 was seen to answer.
func TestSimultaneousOpenRepeated(t *testing.T) {
	tc := newScript(t, noTS, noWS)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460,sackok>")
	tc.recv("S 0 <mss 1460,sackok>")
	tc.want("S. 0 ack 1 <mss 1460,sackok>")
	tc.recv("S 0 <mss 1460,sackok>")
	tc.want(". 1 ack 1")
	tc.wantState(SynRcvd)
	tc.recv("S. 0 ack 1 <mss 1460,sackok>")
	tc.want(". 1 ack 1 <sack 0-1>")
	tc.wantState(Established)
	tc.wantCounts("DelayedACKLost 1 TCPDSACKOldSent 1 TCPChallengeACK 1 TCPSYNChallenge 1")
	tc.recv(". 1 ack 1")
	tc.wantIdle("both know")
}

// A refused simultaneous open (section 3.10.7.4, second check, SYN-RECEIVED).
func TestSimultaneousOpenRefused(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.Connect(tc.now, &tc.p)
	tc.pump()
	tc.want("S 0 <mss 1460>")
	tc.recv("S 0 <mss 1460>")
	tc.want("S. 0 ack 1 <mss 1460>")
	tc.recv("R 1")
	tc.wantState(Closed)
	tc.wantErr(syscall.ECONNREFUSED)
	tc.wantIdle("a RST is not answered")
	tc.wantCounts("AttemptFails 1")
}

// Section 3.10.7.4, SYN-RECEIVED; RST and SYN in the window as Linux 6.18 was seen to
// take them.
func TestSynRcvd(t *testing.T) {
	for _, c := range []struct {
		name, in, out string
		state         State
	}{
		{"ACK", ". 1 ack 1", "", Established},
		{"ACK with data", "P. 1+10 ack 1", ". 1 ack 11", Established},
		{"ACK with FIN", "F. 1 ack 1", "", CloseWait},
		{"ACK of the wrong number", ". 1 ack 9", "R 9", SynRcvd},
		{"ACK below", ". 1 ack 0", "R 0", SynRcvd},
		{"the SYN again", "S 0 <mss 1460>", "S. 0 ack 1 <mss 1460>", SynRcvd},
		{"RST", "R 1", "", Closed},
		{"RST elsewhere in the window", "R 100", "", Closed},
		{"RST outside", "R 100000", "", SynRcvd},
		{"segment outside", ". 100000 ack 1", ". 1 ack 1", SynRcvd},
		{"SYN in the window", "S 5", "R. -0xfffffc00 ack 6", Closed},
		{"no ACK", "P 1+10", "", SynRcvd},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := newScript(t, plain)
			g, _ := tc.parse("S 0 <mss 1460>")
			tc.c.Accept(tc.now, &tc.p, &g)
			tc.pump()
			tc.want("S. 0 ack 1 <mss 1460>")
			tc.recv(c.in)
			if c.out != "" {
				tc.want(c.out)
			}
			tc.wantState(c.state)
		})
	}
}

// reach brings a connection without options into a state.
func reach(tc *script, st State) {
	tc.t.Helper()
	tc.accept()
	switch st {
	case Established:
	case FinWait1, FinWait2, Closing, TimeWait:
		tc.shutdown()
		tc.want("F. 1 ack 1")
		switch st {
		case FinWait2:
			tc.recv(". 1 ack 2")
		case Closing:
			tc.recv("F. 1 ack 1")
			tc.want(". 2 ack 2")
		case TimeWait:
			tc.recv("F. 1 ack 2")
			tc.want(". 2 ack 2")
		}
	case CloseWait, LastAck:
		tc.recv("F. 1 ack 1")
		tc.wantAfter(ackTick, ". 1 ack 2")
		if st == LastAck {
			tc.shutdown()
			tc.want("F. 1 ack 2")
		}
	}
	tc.wantState(st)
	tc.ev = 0
	tc.sleep(time.Second / 2)
	for len(tc.out) > 0 {
		tc.out = tc.out[1:] // retransmissions of the FIN
	}
}

var synchronizedStates = []State{
	Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait,
}

// numbers returns what the connection sends and expects next, relative.
func numbers(tc *script) (seq, ack uint32) {
	return uint32(tc.c.snd.nxt - origin), uint32(tc.c.rcv.nxt - origin)
}

// First check: an unacceptable segment is answered by an ACK, and dropped.
func TestUnacceptableSegment(t *testing.T) {
	for _, st := range synchronizedStates {
		for name, off := range map[string]int{"before": -10, "behind": 1 << 20} {
			t.Run(fmt.Sprint(st, " ", name), func(t *testing.T) {
				tc := newScript(t, plain)
				reach(tc, st)
				seq, ack := numbers(tc)
				tc.recv(fmt.Sprintf("P. %d+5 ack %d", int(ack)+off, seq))
				tc.want(fmt.Sprintf(". %d ack %d", seq, ack))
				tc.wantState(st)
			})
		}
	}
}

// The same for a RST: no answer (first check), and no effect (RFC 5961, section 3).
func TestUnacceptableReset(t *testing.T) {
	for _, st := range synchronizedStates {
		for name, off := range map[string]int{"before": -10, "behind": 1 << 20} {
			t.Run(fmt.Sprint(st, " ", name), func(t *testing.T) {
				tc := newScript(t, plain)
				reach(tc, st)
				_, ack := numbers(tc)
				tc.recv(fmt.Sprintf("R %d", int(ack)+off))
				tc.wantIdle("a RST is not answered")
				tc.wantState(st)
			})
		}
	}
}

// Second check: a RST with the exact number ends the connection.
func TestReset(t *testing.T) {
	for _, st := range synchronizedStates {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			_, ack := numbers(tc)
			tc.recv(fmt.Sprintf("R %d", ack))
			tc.wantIdle("a RST is not answered")
			tc.wantState(Closed)
			want := syscall.ECONNRESET
			switch st {
			case CloseWait:
				want = syscall.EPIPE
			case TimeWait:
				want = 0
			}
			tc.wantErr(want)
		})
	}
}

// RFC 5961, section 3.2: a RST elsewhere in the window gets a challenge ACK.
func TestResetInWindow(t *testing.T) {
	for _, st := range []State{Established, FinWait1, FinWait2} {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			seq, ack := numbers(tc)
			tc.recv(fmt.Sprintf("R %d", ack+100))
			tc.want(fmt.Sprintf(". %d ack %d", seq, ack))
			tc.wantState(st)
			// The peer, having reset, answers the challenge with the right number.
			tc.recv(fmt.Sprintf("R %d", ack))
			tc.wantState(Closed)
		})
	}
}

// Fourth check, by RFC 5961, section 4.2: any SYN gets a challenge ACK.
func TestSYNInSynchronized(t *testing.T) {
	for _, st := range []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck} {
		for name, off := range map[string]int{"at": 0, "inside": 100, "before": -5, "outside": 1 << 20} {
			t.Run(fmt.Sprint(st, " ", name), func(t *testing.T) {
				tc := newScript(t, plain)
				reach(tc, st)
				seq, ack := numbers(tc)
				tc.recv(fmt.Sprintf("S %d", int(ack)+off))
				tc.want(fmt.Sprintf(". %d ack %d", seq, ack))
				tc.wantState(st)
			})
		}
	}
}

// Fifth check: a segment without ACK is dropped.
func TestNoACK(t *testing.T) {
	for _, st := range []State{Established, FinWait1, FinWait2, CloseWait} {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			_, ack := numbers(tc)
			tc.recv(fmt.Sprintf("P %d+10", ack))
			tc.wantIdle("it is dropped")
			if tc.c.Buffered() != 0 {
				t.Fatal("data was taken")
			}
		})
	}
}

// Fifth check: an ACK of what was not sent is answered and dropped.
func TestACKOfUnsent(t *testing.T) {
	for _, st := range []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck} {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			seq, ack := numbers(tc)
			tc.recv(fmt.Sprintf("P. %d+10 ack %d", ack, seq+1))
			tc.want(fmt.Sprintf(". %d ack %d", seq, ack))
			if tc.c.Buffered() != 0 {
				t.Fatal("data was taken")
			}
			tc.wantState(st)
		})
	}
}

// Fifth check: ACK moves FIN-WAIT-1, CLOSING and LAST-ACK on.
func TestACKOfFIN(t *testing.T) {
	for st, next := range map[State]State{FinWait1: FinWait2, Closing: TimeWait, LastAck: Closed} {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			seq, ack := numbers(tc)
			tc.recv(fmt.Sprintf(". %d ack %d", ack, seq))
			tc.wantIdle("nothing to say")
			tc.wantState(next)
			tc.wantErr(0)
		})
	}
}

// Seventh check: text is taken in ESTABLISHED, FIN-WAIT-1 and FIN-WAIT-2, and
// ignored after the peer's FIN.
func TestText(t *testing.T) {
	for _, st := range synchronizedStates {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			seq, ack := numbers(tc)
			tc.recv(fmt.Sprintf("P. %d+10 ack %d", ack, min(seq, uint32(tc.c.snd.una-origin))))
			want := 0
			switch st {
			case Established, FinWait1, FinWait2:
				want = 10
			}
			if n := tc.c.Buffered(); n != want {
				t.Fatalf("%d bytes taken", n)
			}
			if want > 0 || st == TimeWait {
				tc.want(fmt.Sprintf(". %d ack %d", seq, int(ack)+want))
			}
		})
	}
}

// Eighth check: the FIN.
func TestFIN(t *testing.T) {
	for st, next := range map[State]State{
		Established: CloseWait, FinWait1: Closing, FinWait2: TimeWait,
		CloseWait: CloseWait, Closing: Closing, LastAck: LastAck, TimeWait: TimeWait,
	} {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			_, ack := numbers(tc)
			if st >= CloseWait {
				ack-- // the FIN again
			}
			tc.recv(fmt.Sprintf("F. %d ack 1", ack))
			tc.wantState(next)
			if st != Established {
				seq, ack := numbers(tc)
				tc.want(fmt.Sprintf(". %d ack %d", seq, ack))
			}
			if !tc.c.EOF() {
				t.Fatal("no end of stream")
			}
		})
	}
}

// Section 3.6, figure 13: simultaneous close.
func TestSimultaneousClose(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.close()
	tc.want("F. 1 ack 1")
	tc.recv("F. 1 ack 1")
	tc.want(". 2 ack 2")
	tc.wantState(Closing)
	tc.recv(". 2 ack 2")
	tc.wantState(TimeWait)
	tc.silent(secs(59), "TIME-WAIT lasts a minute")
	tc.wantState(TimeWait)
	tc.silent(secs(1), "and ends")
	tc.wantState(Closed)
}

// A FIN and the ACK of ours at once: FIN-WAIT-1 to TIME-WAIT.
func TestFINWithACKOfFIN(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.shutdown()
	tc.want("F. 1 ack 1")
	tc.recv("F. 1 ack 2")
	tc.want(". 2 ack 2")
	tc.wantState(TimeWait)
	tc.wantReady(wait.In | wait.Out | wait.Hup | wait.RdHup)
}

// Half-close: data flows after our FIN (section 3.6).
func TestHalfClose(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.shutdown()
	tc.want("F. 101 ack 1")
	tc.recv(". 1 ack 102")
	tc.wantState(FinWait2)
	tc.wantReady(wait.Out)
	for i := range 5 {
		tc.recv(fmt.Sprintf("P. %d+1000 ack 102", 1+1000*i))
		tc.want(fmt.Sprintf(". 102 ack %d", 1001+1000*i))
		tc.read(5000, 1000)
	}
	tc.recv("F. 5001 ack 102")
	tc.want(". 102 ack 5002")
	tc.wantState(TimeWait)
}

// The other half: we send after the peer's FIN.
func TestHalfClosed(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("F. 1 ack 1")
	tc.wantState(CloseWait)
	tc.wantReady(wait.In | wait.Out | wait.RdHup)
	tc.write(2000)
	tc.want(". 1+1460 ack 2")
	tc.want("P. 1461+540 ack 2")
	tc.recv(". 2 ack 2001")
	tc.close()
	tc.want("F. 2001 ack 2")
	tc.wantState(LastAck)
	tc.recv(". 2 ack 2002")
	tc.wantState(Closed)
	tc.wantReady(wait.In | wait.Out | wait.Hup | wait.RdHup)
}

// Section 3.6.1 and RFC 2525, section 2.17: closing with unread data resets.
func TestCloseWithUnreadData(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("P. 1+10 ack 1")
	tc.want(". 1 ack 11")
	tc.close()
	tc.want("R. 1 ack 11")
	tc.wantState(Closed)
	tc.wantCounts("EstabResets 1 OutRsts 1 TCPAbortOnClose 1")
}

// RFC 1122, section 4.2.2.13: data for a program that is gone resets.
func TestDataAfterClose(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.close()
	tc.want("F. 1 ack 1")
	tc.recv("P. 1+10 ack 2")
	tc.want("R 2")
	tc.wantState(Closed)
	tc.wantCounts("OutRsts 1 TCPAbortOnData 1")
}

// An orphan in FIN-WAIT-2 ends after Config.FinTimeout (Linux).
func TestOrphanFinWait2(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.close()
	tc.want("F. 1 ack 1")
	tc.recv(". 1 ack 2")
	tc.wantState(FinWait2)
	tc.silent(secs(59), "the peer may still close")
	tc.wantState(FinWait2)
	tc.silent(secs(2), "the state ends")
	tc.wantState(Closed)
}

// TCP_LINGER2 sets that time, and a negative one ends the state at once.
func TestLinger2(t *testing.T) {
	tc := newScript(t, plain)
	tc.c.SetLinger2(5)
	tc.connect()
	tc.close()
	tc.want("F. 1 ack 1")
	tc.recv(". 1 ack 2")
	tc.silent(secs(4), "the peer may still close")
	tc.wantState(FinWait2)
	tc.silent(secs(2), "the state ends")
	tc.wantState(Closed)

	tc = newScript(t, plain)
	tc.c.SetLinger2(-1)
	tc.connect()
	tc.close()
	tc.want("F. 1 ack 1")
	tc.recv(". 1 ack 2")
	tc.want("R. 2 ack 1")
	tc.wantState(Closed)
	tc.wantCounts("OutRsts 1 TCPAbortOnLinger 1")
}

// A FIN-WAIT-2 whose program still holds it waits for ever.
func TestFinWait2Held(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.shutdown()
	tc.want("F. 1 ack 1")
	tc.recv(". 1 ack 2")
	tc.silent(secs(3600), "the program may wait")
	tc.wantState(FinWait2)
	tc.close()
	tc.silent(secs(61), "now it ends")
	tc.wantState(Closed)
}

// Section 3.10.5, ABORT.
func TestAbort(t *testing.T) {
	for st, want := range map[State]string{
		Established: "R. 1 ack 1", FinWait1: "R. 2 ack 1", FinWait2: "R. 2 ack 1",
		CloseWait: "R. 1 ack 2", Closing: "", LastAck: "", TimeWait: "",
	} {
		t.Run(st.String(), func(t *testing.T) {
			tc := newScript(t, plain)
			reach(tc, st)
			tc.call(func(c *Conn) { c.Abort(tc.now) })
			if want != "" {
				tc.want(want)
			}
			tc.wantIdle("it is over")
			tc.wantState(Closed)
		})
	}
}

// The FIN is sent again like data (section 3.8.1).
func TestFINRetransmission(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.close()
	tc.want("F. 1 ack 1")
	d := leastRTO
	for range 9 {
		tc.wantAfter(d, "F. 1 ack 1")
		d *= 2
	}
	tc.silent(d, "an orphan gives up after what eight timeouts take, counted from the first")
	tc.wantState(Closed)
}

// Data and FIN in one segment are taken in one step, and out of order later.
func TestFINOutOfOrder(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("F. 101 ack 1")
	tc.want(". 1 ack 1")
	tc.wantState(Established)
	tc.recv("P. 1+100 ack 1")
	tc.want(". 1 ack 102")
	tc.wantState(CloseWait)
	tc.read(200, 100)
	if !tc.c.EOF() {
		t.Fatal("no end of stream")
	}
}

// Overlaps are trimmed on both sides (section 3.10.7.4, seventh check).
func TestOverlap(t *testing.T) {
	tc := newScript(t, plain)
	tc.connect()
	tc.recv("P. 1+100 ack 1")
	tc.want(". 1 ack 101")
	tc.recv("P. 51+100 ack 1")
	tc.want(". 1 ack 151")
	tc.recv("P. 301+100 ack 1") // hole
	tc.want(". 1 ack 151")
	tc.recv("P. 251+200 ack 1") // over it and beyond
	tc.want(". 1 ack 151")
	tc.recv("P. 101+160 ack 1")
	tc.want(". 1 ack 451")
	tc.read(1000, 450)
}

// What lies behind the window is not taken (section 3.4).
func TestBehindWindow(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.RcvBuf = 4000 // a window of 2000
	tc.connect()
	tc.recv(". 1+1460 ack 1")
	tc.want(". 1 ack 1461")
	tc.recv(". 1461+1460 ack 1")
	if n := tc.c.Buffered(); n > 2000 {
		t.Fatalf("%d bytes in a window of 2000", n)
	}
	tc.rest(". 1 ack 1461")
}

// Eighth check: nothing behind a FIN is part of the stream, whichever comes first, the FIN, what
// contradicts it, or what was missing before both.
func TestDataBehindFIN(t *testing.T) {
	const gap, fin, behind = ". 1+100 ack 1", "F. 101+100 ack 1", ". 201+100 ack 1"
	for _, order := range [][]string{
		{gap, fin, behind}, {gap, behind, fin}, {fin, gap, behind}, {fin, behind, gap}, {behind, gap, fin}, {behind, fin, gap},
		{". 150+100 ack 1", fin, gap, ". 101+100 ack 1"}, {fin, ". 150+100 ack 1", gap}, {fin, "F. 201+100 ack 1", gap},
	} {
		for _, opt := range []scriptOption{noTS, plain} {
			tc := newScript(t, opt)
			tc.connect()
			for _, in := range order {
				tc.recv(in)
			}
			tc.sleep(secs(1))
			last := tc.out[len(tc.out)-1].Ack - tc.irs
			tc.out = nil
			tc.wantState(CloseWait)
			tc.read(1000, 200)
			if !tc.c.EOF() || last != 202 {
				t.Errorf("%q: end %v, acknowledged up to %d", order, tc.c.EOF(), last)
			}
		}
	}
}
