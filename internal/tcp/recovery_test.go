package tcp

import (
	"fmt"
	"testing"
	"time"

	"usock/cc"
)

func (s *script) lossState() cc.State { return s.c.snd.flight.loss.state }

func (s *script) wantLossState(st cc.State) {
	s.t.Helper()
	if got := s.lossState(); got != st {
		s.t.Fatalf("recovery state %d, want %d", got, st)
	}
}

func (s *script) wantCwnd(n uint32) {
	s.t.Helper()
	if got := s.c.snd.cwnd(); got != n {
		s.t.Fatalf("cwnd %d, want %d", got, n)
	}
}

// RFC 6937, section 3: proportional rate reduction. Twenty segments, one lost: the
// window goes from 20 to 10 over a round trip, one segment for every two that are
// delivered.
func TestPRR(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.p.SndBuf = 1 << 20
	tc.connectIn(msec(100))
	tc.write(100000)
	tc.rest(". 1..10001/1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 10001") // the window is 20 now
	tc.rest(". 10001..30001/1000 ack 1")
	tc.wantCwnd(20000)
	tc.sleep(msec(100))
	una := 10001
	sent := 0
	for i := 1; i < 20; i++ {
		tc.recv(fmt.Sprintf(". 1 ack %d <sack %d-%d>", una, una+1000, una+1000+1000*i))
		sent += len(tc.out)
		tc.out = nil
	}
	// Limited transmit sends two before the loss is known, the retransmission is one,
	// and 17 more deliveries halve: the pipe is at ssthresh in the end.
	if sent < 9 || sent > 12 {
		t.Fatalf("%d segments left while 19 were delivered", sent)
	}
	tc.wantLossState(cc.Recovery)
	if n := tc.c.snd.inFlight(); n > 11000 || n < 9000 {
		t.Fatalf("%d in flight, want ssthresh", n)
	}
	tc.sleep(msec(100))
	tc.recv(fmt.Sprintf(". 1 ack %d", tc.c.snd.nxt-origin))
	tc.wantLossState(cc.Open)
	tc.wantCwnd(11000) // half, and congestion avoidance's segment for the window just acknowledged
	tc.rest(". 39001..50001/1000 ack 1")
}

// The slow-start part: when most of the window is lost, the pipe is rebuilt at the
// pace of what is delivered, not at once.
func TestPRRHeavyLoss(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 7001-8001>")
	tc.recv(". 1 ack 1 <sack 7001-9001>")
	tc.wantIdle("it may be reordering")
	tc.recv(". 1 ack 1 <sack 7001-10001>")
	tc.rest(". 1+1000 ack 1")
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1001 <sack 7001-10001>")
	tc.rest(". 1001..3001/1000 ack 1") // one for the one delivered, and one more (PRR-SSRB)
}

// RFC 5682, section 3.1: F-RTO. The timeout was spurious: the acknowledgment is for
// data sent before it.
func TestFRTOSpurious(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(10000)
	tc.rest("P. 1..10001/1000 ack 1")
	w := tc.c.snd.cwnd()
	tc.wantAfter(msec(202), "P. 9001+1000 ack 1") // probe
	tc.wantAfter(msec(300), ". 1+1000 ack 1")     // timeout
	tc.wantLossState(cc.Loss)
	tc.write(5000)
	// The delay was long; the acknowledgments of the first transmissions arrive.
	tc.recv(". 1 ack 1001")
	tc.want(". 10001+1000 ack 1") // step 2b: new data
	tc.want(". 11001+1000 ack 1")
	tc.recv(". 1 ack 2001") // step 3b
	tc.wantLossState(cc.Open)
	if tc.c.snd.cwnd() < w {
		t.Fatalf("cwnd %d, was %d before the timeout", tc.c.snd.cwnd(), w)
	}
	if n := tc.c.snd.flight.loss.lost; n != 0 {
		t.Fatalf("%d bytes still marked", n)
	}
	tc.rest(". 12001+1000 ack 1")
	tc.wantCounts("RetransSegs 2 TCPLossUndo 1 TCPTimeouts 1 TCPSpuriousRTOs 1 TCPLossProbes 1")
}

// The timeout was right: duplicates follow the new data.
func TestFRTOGenuine(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(10000)
	tc.rest("P. 1..10001/1000 ack 1")
	tc.wantAfter(msec(202), "P. 9001+1000 ack 1")
	tc.wantAfter(msec(300), ". 1+1000 ack 1")
	tc.write(5000)
	tc.recv(". 1 ack 1001")
	tc.want(". 10001+1000 ack 1")
	tc.want(". 11001+1000 ack 1")
	tc.recv(". 1 ack 1001 <sack 10001-11001>")
	tc.wantLossState(cc.Loss)
	tc.want(". 1001+1000 ack 1")
	tc.wantCounts("RetransSegs 3 TCPSlowStartRetrans 1 TCPTimeouts 1 TCPLossProbes 1")
}

// Without new data F-RTO ends and the rest is sent again (step 2b).
func TestFRTONoNewData(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(4000)
	tc.rest("P. 1..4001/1000 ack 1")
	tc.wantAfter(msec(202), "P. 3001+1000 ack 1")
	tc.wantAfter(msec(300), ". 1+1000 ack 1")
	tc.recv(". 1 ack 1001")
	tc.want(". 1001+1000 ack 1")
	tc.want(". 2001+1000 ack 1")
	tc.wantIdle("the window is two")
	tc.recv(". 1 ack 3001")
	tc.want("P. 3001+1000 ack 1")
	tc.recv(". 1 ack 4001")
	tc.wantLossState(cc.Open)
}

// RFC 3522 (Eifel): a timestamp from before the retransmission.
func TestEifelTimeout(t *testing.T) {
	tc := newScript(t)
	tc.p.MSS = 1012
	tc.connectIn(msec(100))
	tc.write(10000)
	tc.rest("P. 1..10001/1000 ack 1")
	sent := tc.lastTS()
	w := tc.c.snd.cwnd()
	tc.wantAfter(msec(202), "P. 9001+1000 ack 1")
	tc.wantAfter(msec(300), ". 1+1000 ack 1")
	tc.wantLossState(cc.Loss)
	tc.sleep(msec(10))
	tc.recv(fmt.Sprintf(". 1 ack 1001 <ts %d:%d>", tc.tsv(), sent))
	tc.wantLossState(cc.Open)
	if tc.c.snd.cwnd() < w {
		t.Fatalf("cwnd %d, was %d", tc.c.snd.cwnd(), w)
	}
	tc.wantCounts("RetransSegs 2 TCPLossUndo 1 TCPTimeouts 1 TCPLossProbes 1")
}

func TestEifelRecovery(t *testing.T) {
	tc := newScript(t)
	tc.p.MSS = 1012
	tc.connectIn(msec(100))
	tc.write(10000)
	tc.rest("P. 1..10001/1000 ack 1")
	sent := tc.lastTS()
	tc.sleep(msec(100))
	w := tc.c.snd.cwnd()
	tc.recv(fmt.Sprintf(". 1 ack 1 <ts %d:%d,sack 1001-4001>", tc.tsv(), sent))
	tc.want(". 1+1000 ack 1")
	tc.wantLossState(cc.Recovery)
	tc.sleep(msec(5))
	tc.recv(fmt.Sprintf(". 1 ack 4001 <ts %d:%d>", tc.tsv(), sent))
	tc.wantLossState(cc.Open)
	if tc.c.snd.cwnd() < w {
		t.Fatalf("cwnd %d, was %d", tc.c.snd.cwnd(), w)
	}
	tc.wantCounts("RetransSegs 1 TCPSackRecovery 1 TCPPartialUndo 1 TCPFastRetrans 1")
}

// RFC 3708: a DSACK for all that was sent again undoes the reduction.
func TestDSACKUndo(t *testing.T) {
	tc := inFlight(t, 10)
	w := tc.c.snd.cwnd()
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.want(". 1+1000 ack 1")
	tc.recv(". 1 ack 4001")
	tc.wantLossState(cc.Recovery)
	tc.recv(". 1 ack 4001 <sack 1-1001>")
	tc.wantLossState(cc.Open)
	if tc.c.snd.cwnd() < w {
		t.Fatalf("cwnd %d, was %d", tc.c.snd.cwnd(), w)
	}
	tc.recv(". 1 ack 10001")
	tc.wantIdle("all is acknowledged")
	tc.wantCounts("RetransSegs 1 TCPSackRecovery 1 TCPDSACKUndo 1 TCPFastRetrans 1 TCPDSACKRecv 1 TCPDSACKRecvSegs 1")
}

// A DSACK after recovery has ended undoes as well.
func TestDSACKUndoLate(t *testing.T) {
	tc := inFlight(t, 10)
	tc.write(3000)
	w := tc.c.snd.cwnd()
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.rest(". 1+1000 ack 1", ". 10001+1000 ack 1")
	tc.sleep(msec(50))
	tc.recv(fmt.Sprintf(". 1 ack %d <sack 1-1001>", tc.c.snd.nxt-origin))
	tc.wantLossState(cc.Open)
	if tc.c.snd.cwnd() < w {
		t.Fatalf("cwnd %d, was %d", tc.c.snd.cwnd(), w)
	}
	tc.rest("P. 11001..13001/1000 ack 1")
	tc.wantCounts("RetransSegs 1 TCPSackRecovery 1 TCPFullUndo 1 TCPFastRetrans 1 TCPDSACKRecv 1 TCPDSACKRecvSegs 1")
}

// One of two is answered: no undo.
func TestDSACKPartial(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 2001-7001>")
	tc.want(". 1+1000 ack 1")
	tc.recv(". 1 ack 1 <sack 2001-9001>")
	tc.want(". 1001+1000 ack 1")
	tc.recv(". 1 ack 9001 <sack 1-1001>")
	tc.wantLossState(cc.Recovery)
}

// At most one reduction a window (RFC 6582, section 3.2; RFC 6675, section 5.1).
func TestOneReduction(t *testing.T) {
	tc := inFlight(t, 10)
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.want(". 1+1000 ack 1")
	th := tc.c.snd.flight.cc.SSThresh()
	tc.recv(". 1 ack 1 <sack 1001-4001,sack 5001-9001>")
	if tc.c.snd.flight.cc.SSThresh() != th {
		t.Fatal("reduced twice")
	}
	tc.rest(". 4001+1000 ack 1")
}

// Repeated timeouts leave ssthresh alone (RFC 5681, section 3.1).
func TestRepeatedTimeout(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(10000)
	tc.rest("P. 1..10001/1000 ack 1")
	tc.wantAfter(msec(300), ". 1+1000 ack 1")
	th := tc.c.snd.flight.cc.SSThresh()
	if th != 5000 {
		t.Fatalf("ssthresh %d", th)
	}
	tc.wantAfter(msec(600), ". 1+1000 ack 1")
	if tc.c.snd.flight.cc.SSThresh() != th {
		t.Fatal("reduced twice")
	}
	tc.wantCwnd(1000)
}

// A FIN that is lost together with data.
func TestRecoverFIN(t *testing.T) {
	tc := inFlight(t, 5)
	tc.shutdown()
	tc.want("F. 5001 ack 1")
	tc.recv(". 1 ack 1 <sack 1001-4001>")
	tc.want(". 1+1000 ack 1")
	tc.recv(". 1 ack 4001")
	tc.sleep(msec(100))
	for range 10 {
		if len(tc.out) > 0 {
			break
		}
		tc.now = tc.c.Deadline()
		tc.c.Expire(tc.now)
		tc.pump()
	}
	if len(tc.out) == 0 {
		t.Fatal("nothing is sent")
	}
	tc.rest("P. 4001+1000 ack 1")
	tc.recv(". 1 ack 5002")
	tc.wantState(FinWait2)
}

// Numbers wrap in the middle of recovery.
func TestRecoveryWrap(t *testing.T) {
	for _, iss := range []uint32{0xffff_ffff, 0xffff_fc18, 0x7fff_ff00, 0} {
		t.Run(fmt.Sprintf("%#x", iss), func(t *testing.T) {
			tc := newScript(t, noTS)
			tc.p.ISS, tc.p.MSS = iss, 1000
			tc.connectIn(msec(100))
			tc.write(10000)
			tc.rest("P. 1..10001/1000 ack 1")
			tc.sleep(msec(100))
			tc.recv(". 1 ack 1 <sack 1001-4001>")
			tc.want(". 1+1000 ack 1")
			tc.recv(". 1 ack 10001")
			tc.wantLossState(cc.Open)
		})
	}
}

// Four gigabytes and more go through: offsets have 64 bits, numbers 32.
func TestWrapManyTimes(t *testing.T) {
	tc := newScript(t, plain)
	tc.p.MSS, tc.p.MaxSegment = 1000, 64000
	tc.connect()
	total := uint64(1)
	for total < 9<<30 {
		b := 60000
		v := tc.c.snd.q.End()
		tc.queueRaw(b)
		for {
			var s Segment
			if !tc.c.Poll(tc.now, &s) {
				break
			}
			if s.Seq != tc.p.ISS+uint32(total) {
				t.Fatalf("seq %d at %d", s.Seq, total)
			}
			total += uint64(s.Data.Len())
			s.Data.Release()
		}
		tc.now += time.Microsecond
		var s Segment
		s.Flags, s.Seq, s.Ack, s.Window = 1<<4, tc.irs+1, tc.p.ISS+uint32(total), 65535
		tc.c.Segment(tc.now, &s)
		if tc.c.snd.una-origin != total {
			t.Fatalf("una %d, want %d (queue was at %d)", tc.c.snd.una-origin, total, v-origin)
		}
	}
}

// RFC 5682, section 3.1 step 1: a timeout in fast recovery begins no F-RTO. What it has sent again is sent
// again without new data between.
func TestNoFRTOFromRecovery(t *testing.T) {
	tc := newScript(t, noTS)
	tc.p.MSS = 1000
	tc.connectIn(msec(100))
	tc.write(10000)
	tc.out = nil
	tc.sleep(msec(100))
	tc.recv(". 1 ack 1 <sack 7001-10001>")
	tc.wantLossState(cc.Recovery)
	tc.want(". 1+1000 ack 1")
	tc.want(". 1001+1000 ack 1")
	tc.want(". 2001+1000 ack 1")
	tc.write(5000)
	tc.wantAfter(msec(300), ". 1+1000 ack 1")
	tc.wantLossState(cc.Loss)
	tc.recv(". 1 ack 1001 <sack 7001-10001>")
	tc.want(". 1001+1000 ack 1") // with F-RTO new data would go first
	tc.out = nil
}

// A DSACK that comes when recovery is over undoes what it was for, whether data is in flight by then or
// not, once, and not if the window was reduced for something else since (Linux, tcp_try_undo_dsack).
func TestDSACKUndoAfterwards(t *testing.T) {
	for _, c := range []struct {
		name   string
		write  int
		rtx    int // segments sent again
		dsacks []string
		undone bool
	}{
		{"data in flight", 2000, 1, []string{"sack 1-1001"}, true},
		{"nothing in flight", 0, 1, []string{"sack 1-1001"}, true},
		{"one of two", 0, 2, []string{"sack 1-1001"}, false},
		{"both", 0, 2, []string{"sack 1-1001", "sack 1001-2001"}, true},
		{"both in one", 2000, 2, []string{"sack 1-2001"}, true},
		{"no DSACK", 2000, 1, []string{"sack 10001-10501"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tc := inFlight(t, 10)
			w := tc.c.snd.cwnd()
			tc.recv(fmt.Sprintf(". 1 ack 1 <sack %d-10001>", 1+1000*c.rtx))
			for i := range c.rtx {
				tc.want(fmt.Sprintf(". %d+1000 ack 1", 1+1000*i))
			}
			tc.wantIdle("the rest has arrived")
			tc.sleep(msec(50))
			tc.recv(". 1 ack 10001")
			tc.wantLossState(cc.Open)
			reduced := tc.c.snd.cwnd()
			if reduced >= w {
				t.Fatalf("cwnd %d, was %d", reduced, w)
			}
			if c.write > 0 {
				tc.write(c.write)
				tc.rest("P. 10001..12001/1000 ack 1")
			}
			for _, d := range c.dsacks {
				tc.recv(". 1 ack 10001 <" + d + ">")
			}
			if got := tc.c.snd.cwnd() >= w; got != c.undone {
				t.Errorf("cwnd %d, reduced from %d to %d", tc.c.snd.cwnd(), w, reduced)
			}
			if n := tc.c.count().TCPDSACKUndo; n != 0 != c.undone {
				t.Errorf("counted %d", n)
			}
			tc.recv(". 1 ack 10001 <sack 1-1001>")
			if n := tc.c.count().TCPDSACKUndo; n > 1 {
				t.Errorf("undone %d times", n)
			}
			tc.sleep(secs(1))
			tc.out = nil
		})
	}
}
