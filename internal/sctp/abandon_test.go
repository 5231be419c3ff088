package sctp

import (
	"fmt"
	"testing"
	"time"

	"usock/internal/wire"
)

// forwardTSN returns the FORWARD-TSN that is due, as "TSN stream.number ...", U for unordered.
func (s *sends) forwardTSN(room int) string {
	b := s.appendForward(s.now, s.f, nil, room)
	if len(b) == 0 {
		return ""
	}
	if len(b) > room {
		s.t.Fatalf("FORWARD-TSN takes %d bytes of %d", len(b), room)
	}
	c, _, err := wire.ParseChunk(b)
	if err != nil {
		s.t.Fatal(err)
	}
	f, err := wire.ParseForwardTSN(c.Type, c.Value)
	if err != nil || f.Interleaved != s.interleaved {
		s.t.Fatal(f, err)
	}
	out := fmt.Sprint(wide(s.first, f.CumTSN) - s.first + 1)
	for i := range f.Streams() {
		k := f.Stream(i)
		out += fmt.Sprintf(" %d.%d", k.Stream, k.MID)
		if k.Unordered {
			out += "U"
		}
	}
	return out
}

// failed frees and counts what has failed.
func (s *sends) fails() (n int) {
	for m := s.takeFailed(); m != nil; m = s.takeFailed() {
		n++
		m.free()
	}
	return n
}

// TestTTL: a message whose time is over is not sent, or not sent again, and the peer is told to pass
// over it.
func TestTTL(t *testing.T) {
	s := newSends(t)
	s.message(outMessage{stream: 1, policy: PRTTL, value: 3000}, 10)
	s.message(outMessage{stream: 2, policy: PRTTL, value: 5000}, 10)
	s.want(s.packet(s.f), "1:1.0(10)EB 2:2.0(10)EB")
	s.message(outMessage{stream: 3, policy: PRTTL, value: 1}, 10)
	s.now += 3001 * time.Millisecond
	s.timeout(s.now, s.f)
	s.want(s.packet(s.f), "2:2.0(10)EB") // 3 had no number yet
	if s.fails() != 2 || s.queued != 10 {
		t.Fatalf("queued %d", s.queued)
	}
	s.want(s.forwardTSN(100), "1 1.0")
	s.want(s.forwardTSN(100), "")

	// It is told again with each SACK that has not passed it, and when T3-rtx expires.
	s.sack(0, 2, 2)
	s.want(s.forwardTSN(100), "1 1.0")
	s.timer(6 * time.Second)
	s.now += 6 * time.Second
	s.timeout(s.now, s.f)
	s.want(s.forwardTSN(100), "1 1.0")
	s.sack(2)
	s.want(s.forwardTSN(100), "")
	s.timer(0)
	if !s.empty() {
		t.Fatal("not empty")
	}
}

// TestTTLWithoutPR: a peer that does not know FORWARD-TSN gets all of what was begun, and nothing of
// what was not.
func TestTTLWithoutPR(t *testing.T) {
	s := newSends(t, func(s *sends) { s.partial = false })
	s.message(outMessage{policy: PRTTL, value: 10}, 10)
	s.want(s.packet(s.f), "1:0.0(10)EB")
	s.message(outMessage{policy: PRTTL, value: 10}, 10)
	s.now += s.f.rto
	s.timeout(s.now, s.f)
	s.want(s.packet(s.f), "1:0.0(10)EB")
	if s.fails() != 1 || s.forwardTSN(100) != "" {
		t.Fatal("given up")
	}
}

// TestRtx: a message is sent again so many times, and then given up.
func TestRtx(t *testing.T) {
	for _, limit := range []uint32{0, 1, 3} {
		s := newSends(t)
		s.message(outMessage{policy: PRRtx, value: limit}, 2*full)
		s.want(s.tsns(s.f), "1 | 2")
		for i := uint32(0); i < limit; i++ {
			s.now += s.f.rto
			s.timeout(s.now, s.f)
			s.want(s.tsns(s.f), "1 | 2")
		}
		s.now += s.f.rto
		s.timeout(s.now, s.f)
		s.want(s.tsns(s.f), "")
		s.want(s.forwardTSN(100), "2 0.0")
		if s.fails() != 1 || s.queued != 0 || s.urgent {
			t.Fatalf("queued %d, urgent %v", s.queued, s.urgent)
		}
		s.sack(2)
		if !s.empty() {
			t.Fatal("not empty")
		}
	}
}

// TestFastLossGivesUp: the third miss indication counts as a loss, too.
func TestFastLossGivesUp(t *testing.T) {
	s := newSends(t)
	s.message(outMessage{stream: 1, policy: PRRtx}, full)
	s.queue(full, full, full)
	s.tsns(s.f)
	for to := 2; to <= 4; to++ {
		s.sack(0, 2, to)
	}
	s.want(s.tsns(s.f), "")
	s.want(s.forwardTSN(100), "1 1.0")
}

// TestGivenUpHalfway: of a message of which a part was sent and acknowledged the rest takes one number,
// which is passed over.
func TestGivenUpHalfway(t *testing.T) {
	for _, interleaved := range []bool{false, true} {
		s := newSends(t, func(s *sends) { s.interleaved = interleaved })
		s.f.cwnd = 100
		s.message(outMessage{policy: PRTTL, value: 1000, unordered: interleaved}, 3000)
		s.want(s.tsns(s.f), "1")
		s.sack(1)
		s.message(outMessage{stream: 4}, 50)
		s.now += 1001 * time.Millisecond
		s.f.cwnd = 4380
		s.want(s.tsns(s.f), "3")
		want := "2 0.0"
		if interleaved {
			want = "2 0.0U"
		}
		s.want(s.forwardTSN(100), want)
		s.sack(3)
		if s.fails() != 1 || !s.empty() || s.queued != 0 {
			t.Fatalf("queued %d", s.queued)
		}
	}
}

// TestTimerGivenUp: where all that was outstanding on a path is given up its timer stops, though
// FORWARD-TSN cannot pass over it yet.
func TestTimerGivenUp(t *testing.T) {
	s := newSends(t)
	other := new(flow)
	s.addFlow(other, testMTU, testOverhead)
	s.message(outMessage{to: other}, 100)
	s.want(s.packet(other), "1:0.0(100)EB")
	s.message(outMessage{stream: 1, policy: PRPrio, value: 9}, 100)
	s.want(s.packet(s.f), "2:1.0(100)EB")
	s.timer(s.f.rto)
	s.prune(1, 1)
	s.timer(0)
	s.want(s.forwardTSN(100), "")
	s.sack(1)
	s.want(s.forwardTSN(100), "2 1.0")
	s.timer(s.f.rto)
	s.fails()
}

// TestForwardRoom: 3.5 C4. Streams that have no room are told of later.
func TestForwardRoom(t *testing.T) {
	s := newSends(t)
	for i := range 5 {
		s.message(outMessage{stream: uint16(i), policy: PRRtx}, 10)
	}
	s.message(outMessage{stream: 1, policy: PRRtx}, 10)
	s.tsns(s.f)
	s.now += s.f.rto
	s.timeout(s.now, s.f)
	s.want(s.forwardTSN(8+4*3), "3 0.0 1.0 2.0")
	s.sack(3)
	s.want(s.forwardTSN(8+4*3), "6 3.0 4.0 1.1")
	s.sack(6)
	s.fails()
}

// TestAcknowledgedInside: what gap blocks acknowledge of a message that is given up is passed over, too.
func TestAcknowledgedInside(t *testing.T) {
	s := newSends(t)
	s.message(outMessage{policy: PRRtx}, 3*full)
	s.tsns(s.f)
	s.sack(0, 2, 2)
	s.now += s.f.rto
	s.timeout(s.now, s.f)
	s.want(s.forwardTSN(100), "3 0.0")
	s.sack(0) // the peer has dropped it: nothing is outstanding by that
	s.windows(s.f.cwnd, s.f.ssthresh, 0, 0)
	s.sack(3)
	s.fails()
}

// TestPrune: RFC 7496, 3.3. What is worth less makes room, the least worth first.
func TestPrune(t *testing.T) {
	s := newSends(t)
	for i, prio := range []uint32{3, 9, 9, 1} {
		s.message(outMessage{stream: uint16(i), policy: PRPrio, value: prio}, 100)
	}
	s.want(s.packet(s.f), "1:0.0(100)EB 2:1.0(100)EB 3:2.0(100)EB 4:3.0(100)EB")
	s.message(outMessage{stream: 7, policy: PRPrio, value: 5}, 100)
	if n := s.prune(4, 50); n != 100 {
		t.Fatalf("%d bytes are free", n)
	}
	if m := s.takeFailed(); m.stream != 2 {
		t.Fatalf("stream %d: not the newest of the least worth", m.stream)
	} else {
		m.free()
	}
	if n := s.prune(4, 100); n != 100 {
		t.Fatalf("%d bytes are free", n)
	}
	if n := s.prune(2, 1000); n != 200 {
		t.Fatalf("%d bytes are free", n)
	}
	if s.queued != 100 || s.fails() != 3 {
		t.Fatalf("queued %d", s.queued)
	}
	s.want(s.forwardTSN(100), "3 0.0 1.0 2.0")
	s.partial = false
	if n := s.prune(0, 1000); n != 0 {
		t.Fatalf("%d bytes are free", n)
	}
}
