package sctp

import (
	"testing"
	"time"
)

// TestSackInvalid: what was never sent cannot be acknowledged, and what is old says nothing (6.2.1).
func TestSackInvalid(t *testing.T) {
	s := newSends(t)
	s.queue(full, full)
	s.tsns(s.f)
	if res := s.sack(3); !res.invalid {
		t.Fatalf("%+v", res)
	}
	if res := s.sack(1); !res.newly || !res.room || res.old || res.invalid {
		t.Fatalf("%+v", res)
	}
	if res := s.sack(0); !res.old || s.una != s.first+1 {
		t.Fatalf("%+v", res)
	}
	if res := s.sack(1); res.newly || res.room {
		t.Fatalf("%+v", res)
	}
	a := s.chunks.a
	defer func() {
		for i := range a.c {
			if a.c[i] != (sentChunk{}) {
				t.Errorf("chunk %d is given back with what it held", i)
			}
		}
	}()
	if res := s.sack(2); !res.newly || !s.empty() || s.queued != 0 {
		t.Fatalf("%+v, queued %d", res, s.queued)
	}
}

// TestSackGaps: blocks out of order, that overlap, or that reach beyond what was sent do no harm.
func TestSackGaps(t *testing.T) {
	s := newSends(t)
	s.f.cwnd = 20 * full
	s.queue(10 * full)
	s.tsns(s.f)
	s.sack(1, 3, 3, 3, 5, 4, 4, 9, 200)
	s.windows(20*full, testWindow, 0, 4*full) // 2, 6, 7, 8
	if s.highGap != s.first+9 || s.f.acked != 6*full {
		t.Fatalf("highest %d, %d bytes acknowledged", s.highGap-s.first+1, s.f.acked)
	}
	s.sack(1, 2, 2, 65000, 65001)
	s.windows(20*full, testWindow, 0, 8*full) // 3, 4, 5, 9 and 10 were dropped by the peer
}

// TestShutdownKeepsGaps: section 3.3.8. A SHUTDOWN has no Gap Ack Blocks, and takes none back.
func TestShutdownKeepsGaps(t *testing.T) {
	s := newSends(t)
	s.queue(3 * full)
	s.tsns(s.f)
	s.sack(0, 2, 3)
	flight := s.f.flight
	s.onCumTSN(s.now, uint32(s.first-1))
	if s.f.flight != flight || s.highGap != s.first+2 {
		t.Fatalf("%d bytes outstanding of %d", s.f.flight, flight)
	}
	s.onCumTSN(s.now, uint32(s.first))
	if s.f.flight != 0 {
		t.Fatalf("%d bytes outstanding", s.f.flight)
	}
	s.sack(3)
}

// TestRenege: 6.2.1 D iii. What the peer has dropped is outstanding again, and T3-rtx runs for it (R4).
func TestRenege(t *testing.T) {
	s := newSends(t)
	s.queue(3 * full)
	s.tsns(s.f)
	s.sack(0, 1, 3)
	s.windows(4380, testWindow, 0, 0)
	s.timer(0)
	s.now += time.Second
	s.sack(0, 2, 2)
	s.windows(4380, testWindow, 0, 2*full)
	s.timer(s.f.rto)
	s.now += s.f.rto
	s.timeout(s.now, s.f)
	s.want(s.tsns(s.f), "1 | 3")

	// The earliest is 1 again, whatever was the earliest before.
	s.queue(full)
	s.sack(0, 1, 3)
	s.tsns(s.f)
	s.sack(0, 2, 3)
	s.now += 10 * time.Millisecond
	s.sack(1, 2, 3)
	s.timer(s.f.rto)
}

// TestFastRetransmit: 7.2.4. Three reports of what is missing have it sent again at once, with half the
// window, once a round trip.
func TestFastRetransmit(t *testing.T) {
	s := newSends(t)
	s.f.cwnd = 10 * full
	s.queue(40 * full)
	s.want(s.tsns(s.f), "1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10")
	s.now += 10 * time.Millisecond
	s.sack(0, 2, 2)
	s.want(s.tsns(s.f), "11 | 12") // slow start goes on meanwhile
	s.sack(0, 2, 3)
	s.want(s.tsns(s.f), "13 | 14")
	cwnd := s.f.cwnd
	s.sack(0, 2, 4)
	half := (cwnd + full) / 2
	if s.f.cwnd <= half-1500 || s.f.cwnd != s.f.ssthresh || s.fastExit != s.first+13 {
		t.Fatalf("cwnd %d of %d, exit %d", s.f.cwnd, cwnd, s.fastExit-s.first+1)
	}
	at := s.f.cwnd
	s.want(s.tsns(s.f), "1") // beyond cwnd
	s.timer(s.f.rto)         // it is the earliest

	// In Fast Recovery neither the window nor what was sent again changes by more reports.
	for to := 5; to <= 14; to++ {
		s.sack(0, 2, to)
		if s.f.cwnd != at {
			t.Fatalf("cwnd is %d in Fast Recovery, was %d", s.f.cwnd, at)
		}
	}
	if s.marked > 0 {
		t.Fatal("a chunk is sent again fast for the second time")
	}
	s.tsns(s.f)
	s.sack(13)
	if s.fastExit == 0 {
		t.Fatal("Fast Recovery is over too early")
	}
	s.sack(14)
	if s.fastExit != 0 {
		t.Fatal("Fast Recovery is not over")
	}
}

// TestHTNA: 7.2.4. A SACK reports missing what was sent before the highest TSN that it acknowledges
// newly, and in Fast Recovery, if it acknowledges cumulatively, all that is missing.
func TestHTNA(t *testing.T) {
	s := newSends(t)
	s.f.cwnd = 20 * full
	s.queue(20 * full)
	s.tsns(s.f)
	miss := func(tsn int) uint8 { return s.chunks.at(s.first + uint64(tsn) - 1).miss }
	s.sack(0, 5, 5)
	s.sack(0, 5, 5)
	s.sack(0, 3, 3, 5, 5)
	if miss(1) != 2 || miss(2) != 2 || miss(4) != 1 || miss(6) != 0 {
		t.Fatal(miss(1), miss(2), miss(4), miss(6))
	}
	s.sack(0, 3, 3, 5, 5, 10, 10)
	if s.fastExit == 0 || miss(4) != 2 || miss(6) != 1 {
		t.Fatal(s.fastExit, miss(4), miss(6))
	}
	s.want(s.packet(s.f)[:2], "1:")
	s.sack(1, 3, 3, 5, 5, 10, 10)
	if s.chunks.at(s.first+3).state&chunkMarked == 0 || miss(6) != 2 {
		t.Fatal("what is acknowledged cumulatively in Fast Recovery does not count for all")
	}
}

// TestReorderedPaths: what went another way is not missing because this way is faster.
func TestReorderedPaths(t *testing.T) {
	s := newSends(t)
	other := new(flow)
	s.addFlow(other, testMTU, testOverhead)
	s.message(outMessage{to: other}, full)
	s.want(s.tsns(s.f), "")
	s.want(s.tsns(other), "1")
	s.queue(full, full, full, full)
	s.tsns(s.f)
	for to := 2; to <= 5; to++ {
		s.sack(0, 2, to)
	}
	if s.marked != 0 || s.f.flight != 0 || other.flight != full {
		t.Fatalf("marked %d, flight %d and %d", s.marked, s.f.flight, other.flight)
	}
}

// TestKarn: 6.3.1 C5. What was sent twice gives no round trip; one chunk of a round trip is measured.
func TestKarn(t *testing.T) {
	s := newSends(t)
	s.queue(full, full)
	s.tsns(s.f)
	s.now += 3 * time.Second
	s.timeout(s.now, s.f)
	s.tsns(s.f)
	s.now += 100 * time.Millisecond
	s.sack(2)
	if s.f.srtt != 0 || s.f.rto != 6*time.Second {
		t.Fatalf("SRTT %v, RTO %v", s.f.srtt, s.f.rto)
	}
	s.queue(full, full)
	s.tsns(s.f)
	s.now += 100 * time.Millisecond
	s.sack(3)
	if s.f.srtt != 100*time.Millisecond || s.f.rto != time.Second {
		t.Fatalf("SRTT %v, RTO %v", s.f.srtt, s.f.rto)
	}
	s.now += 700 * time.Millisecond
	s.sack(4)
	if s.f.srtt != 100*time.Millisecond {
		t.Fatalf("SRTT %v", s.f.srtt)
	}
}

// TestTimerRules: 6.3.2.
func TestTimerRules(t *testing.T) {
	s := newSends(t)
	s.timer(0)
	s.queue(full, full, full)
	s.tsns(s.f)
	s.timer(3 * time.Second) // R1
	s.now += 100 * time.Millisecond
	s.sack(0, 2, 2)
	s.timer(2900 * time.Millisecond) // the earliest is still outstanding
	s.sack(1, 2, 2)                  // R3
	s.timer(time.Second)
	s.queue(full, full)
	s.tsns(s.f)
	s.now += 100 * time.Millisecond
	s.sack(1, 2, 3)
	s.timer(time.Second) // 3 was the earliest then
	s.now += 100 * time.Millisecond
	s.sack(1, 2, 3, 5, 5)
	s.timer(900 * time.Millisecond)
	s.sack(4)
	s.sack(5) // R2
	s.timer(0)
}

// TestWindow: 6.1 A. The peer's window is what it told less what is outstanding; where it is shut one
// chunk probes it.
func TestWindow(t *testing.T) {
	s := newSends(t)
	s.queue(full)
	s.tsns(s.f)
	s.sackWindow(1, 2*full)
	s.f.cwnd = 20 * full
	s.queue(5 * full)
	s.want(s.tsns(s.f), "2 | 3")
	if s.rwnd() != 0 || s.probing() {
		t.Fatalf("rwnd %d", s.rwnd())
	}
	s.sackWindow(3, 0)
	s.want(s.tsns(s.f), "4")
	s.want(s.tsns(s.f), "")
	if !s.probing() {
		t.Fatal("not probing")
	}
	s.now += s.f.rto
	s.timeout(s.now, s.f)
	s.want(s.tsns(s.f), "4")
	s.sackWindow(4, 100) // too little for a chunk: one probes
	s.want(s.tsns(s.f), "5")
	s.sackWindow(5, testWindow)
	s.want(s.tsns(s.f), "6")
}

// TestShutdownAck: the Cumulative TSN Ack of SHUTDOWN acknowledges (9.2).
func TestShutdownAck(t *testing.T) {
	s := newSends(t)
	s.queue(full, full)
	s.tsns(s.f)
	if res := s.onCumTSN(s.now, uint32(s.first+1)); !res.newly || !s.empty() || s.arwnd != testWindow {
		t.Fatalf("%+v", res)
	}
	if res := s.onCumTSN(s.now, uint32(s.first+2)); !res.invalid {
		t.Fatalf("%+v", res)
	}
}
