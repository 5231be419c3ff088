package sctp

import "testing"

// TestResetIncoming: the next message of the stream is number 0, and what is not whole is dropped.
func TestResetIncoming(t *testing.T) {
	for _, interleaved := range []bool{false, true} {
		r := newReceives(t, func(r *receives) { r.interleaved = interleaved })
		r.message(1, 2, 0, "BE", "a")
		r.message(2, 2, 1, "BE", "b")
		if !r.reached(uint32(r.first+1)) || r.reached(uint32(r.first+2)) {
			t.Fatal("reached")
		}
		r.message(4, 2, 3, "B", "x")
		r.resetStreams([]uint16{2})
		r.resetStreams([]uint16{10})
		r.message(3, 2, 0, "BE", "c")
		r.want("2.0:a", "2.1:b", "2.0:c")
		if r.charged != 0 {
			t.Fatalf("charged %d", r.charged)
		}
	}
}

// TestResetOutgoing: a stream that is held keeps its messages until the peer has agreed, and begins
// with number 0 then.
func TestResetOutgoing(t *testing.T) {
	s := newSends(t)
	if !s.streamEmpty(3) {
		t.Fatal("a stream that was never used is not empty")
	}
	s.message(outMessage{stream: 3}, 10)
	if s.streamEmpty(3) {
		t.Fatal("empty")
	}
	s.want(s.packet(s.f), "1:3.0(10)EB")
	if s.streamEmpty(3) {
		t.Fatal("empty")
	}
	s.sack(1)
	if !s.streamEmpty(3) {
		t.Fatal("not empty")
	}
	s.hold(3, true)
	s.message(outMessage{stream: 3}, 11)
	s.message(outMessage{stream: 4}, 12)
	s.want(s.packet(s.f), "2:4.0(12)EB")
	s.resetStream(3)
	s.resetStream(9)
	s.hold(3, false)
	s.want(s.packet(s.f), "3:3.0(11)EB")

	// One that waits is held, too.
	s.message(outMessage{stream: 5}, 13)
	s.hold(5, true)
	s.want(s.packet(s.f), "")
	s.hold(5, false)
	s.want(s.packet(s.f), "4:5.0(13)EB")
	s.sack(4)
	if !s.empty() {
		t.Fatal("not empty")
	}
}

// TestRenumber: RFC 6525, 5.1.4 and 5.2.4. TSNs begin anew.
func TestRenumber(t *testing.T) {
	s := newSends(t)
	s.queue(10)
	s.want(s.packet(s.f), "1:0.0(10)EB")
	s.sack(1)
	s.renumber(7000)
	s.first = s.una
	s.queue(11)
	s.want(s.packet(s.f), "1:0.1(11)EB")
	s.sack(1)
	if !s.empty() {
		t.Fatal("not empty")
	}

	r := newReceives(t)
	r.message(1, 0, 0, "BE", "a")
	r.message(3, 0, 1, "B", "b")
	r.renumber(7000)
	r.first = epoch + 7000
	r.sack()
	r.message(1, 0, 1, "BE", "c")
	r.now += r.sackDelay
	r.wantSack("1")
	r.want("0.0:a", "0.1:c")
	if r.charged != 0 || r.tsns.a != nil {
		t.Fatalf("charged %d", r.charged)
	}
}
