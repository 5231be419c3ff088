package sctp

import (
	"testing"
	"time"
)

// TestFragments: 6.9. Fragments fill packets; B and E mark the ends, and a message has one Stream
// Sequence Number.
func TestFragments(t *testing.T) {
	s := newSends(t)
	s.message(outMessage{stream: 3, ppid: 7}, 2*full+100)
	s.message(outMessage{stream: 3}, 10)
	s.want(s.packet(s.f), "1:3.0(1452)B")
	s.want(s.packet(s.f), "2:3.0(1452)")
	s.want(s.packet(s.f), "3:3.0(100)E 4:3.1(10)EB")
	s.want(s.packet(s.f), "")
}

// TestMaxSeg: SCTP_MAXSEG bounds the user data of a chunk, which is a multiple of four but at the end.
func TestMaxSeg(t *testing.T) {
	s := newSends(t, func(s *sends) { s.maxSeg = 501 })
	s.queue(1100)
	s.want(s.packet(s.f), "1:0.0(500)B 2:0.0(500) 3:0.0(100)E")
}

// TestMaxPayload: what fits into every path's packets, with padding.
func TestMaxPayload(t *testing.T) {
	s := newSends(t)
	if n := s.maxPayload(); n != full {
		t.Fatal(n)
	}
	g := new(flow)
	s.addFlow(g, 1281, testOverhead)
	if n := s.maxPayload(); n != 1281-testOverhead-16-1 {
		t.Fatal(n)
	}
	s.interleaved = true
	if n := s.maxPayload(); n != 1281-testOverhead-20-1 {
		t.Fatal(n)
	}
	s.removeFlow(g)
	s.setMTU(s.f, 65536, testOverhead)
	if n := s.maxPayload(); n != 65536-testOverhead-20 {
		t.Fatal(n)
	}
	s.setMTU(s.f, 1<<20, testOverhead)
	if n := s.maxPayload(); n != maxChunk-20 {
		t.Fatal(n)
	}
}

// TestBundling: 6.10. Messages share packets; one that would fit into the next packet is not torn, one
// that would not fills this one up.
func TestBundling(t *testing.T) {
	s := newSends(t)
	s.queue(500, 501, 500, 3000)
	s.want(s.packet(s.f), "1:0.0(500)EB 2:0.1(501)EB")
	s.want(s.packet(s.f), "3:0.2(500)EB 4:0.3(936)B")
	s.want(s.packet(s.f), "5:0.3(1452)")
	s.want(s.packet(s.f), "6:0.3(612)E")
}

// TestRoom: a packet that holds other chunks gets what fits beside them.
func TestRoom(t *testing.T) {
	s := newSends(t)
	s.queue(3000)
	var d outData
	l := load{room: 100}
	if s.next(s.now, s.f, &l, &d) {
		t.Fatal("a message is torn for little room")
	}
	s.message(outMessage{}, 300)
	l = load{room: 1000}
	if !s.next(s.now, s.f, &l, &d) || d.payload.Len() != 984 || l.room != 0 || l.n != 1 {
		t.Fatalf("%d bytes, room %d", d.payload.Len(), l.room)
	}
	s.packet(s.f)

	// What fits to the byte is not cut.
	s.want(s.packet(s.f), "3:0.0(564)E 4:0.1(300)EB")
	s.message(outMessage{}, 300)
	s.f.cwnd = 1 << 20
	l = load{room: 316}
	if !s.next(s.now, s.f, &l, &d) || d.payload.Len() != 300 {
		t.Fatalf("%d bytes", d.payload.Len())
	}
}

// TestSmallerMTU: 7.3. A chunk that was cut keeps its size, and goes alone in a packet that IP
// fragments. New ones are smaller.
func TestSmallerMTU(t *testing.T) {
	s := newSends(t)
	s.queue(2*full, 100)
	s.want(s.packet(s.f), "1:0.0(1452)B")
	s.now += s.f.rto
	s.timeout(s.now, s.f)
	s.setMTU(s.f, 1280, testOverhead)
	s.want(s.packet(s.f), "1:0.0(1452)B")
	s.want(s.packet(s.f), "2:0.0(1232)")
	s.sack(2)
	s.want(s.packet(s.f), "3:0.0(220)E 4:0.1(100)EB")
}

// TestNagle: a small message waits while something is outstanding and no packet is full.
func TestNagle(t *testing.T) {
	s := newSends(t, func(s *sends) { s.noDelay = false })
	s.queue(100)
	s.want(s.packet(s.f), "1:0.0(100)EB")
	s.queue(600)
	s.want(s.packet(s.f), "")
	s.queue(600)
	s.want(s.packet(s.f), "")
	s.queue(300)
	s.want(s.packet(s.f), "2:0.1(600)EB 3:0.2(600)EB")
	s.want(s.packet(s.f), "")
	s.sack(3)
	s.want(s.packet(s.f), "4:0.3(300)EB")
	s.queue(50)
	s.flush = true // SHUTDOWN-PENDING
	s.want(s.packet(s.f), "5:0.4(50)EBI")
	s.flush = false
	s.queue(2000) // one that is cut anyway does not wait, nor does its rest
	s.want(s.packet(s.f), "6:0.5(1452)B")
	s.want(s.packet(s.f), "7:0.5(548)E")
}

// TestNagleFullBuffer: where half of SO_SNDBUF is used nothing waits for a packet that may never be full.
func TestNagleFullBuffer(t *testing.T) {
	s := newSends(t, func(s *sends) { s.noDelay, s.bufSize = false, 2*(3*messageCost+120) })
	s.queue(40)
	s.want(s.packet(s.f), "1:0.0(40)EB")
	s.queue(40)
	s.want(s.packet(s.f), "")
	s.queue(40)
	s.want(s.packet(s.f), "2:0.1(40)EB 3:0.2(40)EB")
}

// TestRetransmissionsFirst: 6.1 C. Nothing new leaves before what is marked, which may go elsewhere
// (6.4.1).
func TestRetransmissionsFirst(t *testing.T) {
	s := newSends(t)
	other := new(flow)
	s.addFlow(other, testMTU, testOverhead)
	s.queue(full, full)
	s.want(s.tsns(s.f), "1 | 2")
	s.queue(full)
	s.retran = other
	s.now += s.f.rto
	s.timeout(s.now, s.f)
	s.want(s.tsns(s.f), "")
	s.want(s.packet(other), "1:0.0(1452)EB")
	s.want(s.packet(s.f), "")
	s.want(s.packet(other), "2:0.1(1452)EB")
	s.want(s.packet(s.f), "3:0.2(1452)EB")
	if other.flight != 2*full || s.f.flight != full || other.cwnd != 4380 || s.f.cwnd != 1500 {
		t.Fatal(other.flight, s.f.flight)
	}
	s.sack(3)
	if !s.empty() || other.flight != 0 || other.acked != 2*full {
		t.Fatal("not empty")
	}
}

// TestRemoveFlow: what is outstanding on a path that goes is sent again by another.
func TestRemoveFlow(t *testing.T) {
	s := newSends(t)
	other := new(flow)
	s.addFlow(other, testMTU, testOverhead)
	s.message(outMessage{to: other}, 100)
	s.want(s.packet(other), "1:0.0(100)EB")
	s.message(outMessage{to: other}, 101)
	s.removeFlow(other)
	s.want(s.packet(s.f), "1:0.0(100)EB 2:0.1(101)EB")
	s.sack(2)
	if !s.empty() {
		t.Fatal("not empty")
	}
}

// TestDownFlow: a message that asks for a path that has failed goes where the others go.
func TestDownFlow(t *testing.T) {
	s := newSends(t)
	other := new(flow)
	s.addFlow(other, testMTU, testOverhead)
	other.down = true
	s.message(outMessage{to: other}, 100)
	s.want(s.packet(s.f), "1:0.0(100)EB")
}

// TestUnordered: an unordered message takes no Stream Sequence Number; with I-DATA it has numbers of
// its own.
func TestUnordered(t *testing.T) {
	for _, c := range []struct {
		interleaved bool
		want        string
	}{
		{false, "1:1.0(10)EB 2:1.0(11)EBU 3:1.0(12)EBU 4:1.1(13)EB"},
		{true, "1:1.0+0(10)EB 2:1.0+0(11)EBU 3:1.1+0(12)EBU 4:1.1+0(13)EB"},
	} {
		s := newSends(t, func(s *sends) { s.interleaved = c.interleaved })
		for i := range 4 {
			s.message(outMessage{stream: 1, unordered: i == 1 || i == 2}, 10+i)
		}
		s.want(s.packet(s.f), c.want)
	}
}

// TestImmediate: the last chunk of a message carries the I bit that the program asks for.
func TestImmediate(t *testing.T) {
	s := newSends(t)
	s.message(outMessage{immediate: true}, full+10)
	s.want(s.packet(s.f), "1:0.0(1452)B")
	s.want(s.packet(s.f), "2:0.0(10)EI")
}

// TestViews: a message of many views is cut where a packet's payload has no room for more, and what is
// sent again is the same.
func TestViews(t *testing.T) {
	h := newHalves(t)
	lose := true
	h.net = func(*flow) (p passage) {
		p.lost, lose = lose, false
		return p
	}
	m := outMessage{}
	views, want := many(40)
	h.snd.push(h.now, &m, views)
	h.finish()
	h.want(want)
}

// TestTooManyStreams: what was sent to streams that the peer does not have has failed.
func TestTooManyStreams(t *testing.T) {
	s := newSends(t)
	s.message(outMessage{stream: 5}, 10)
	s.message(outMessage{stream: 6}, 10)
	s.agree(1000, 6)
	if m := s.takeFailed(); m == nil || m.stream != 6 || m.begun() {
		t.Fatalf("%+v", m)
	} else {
		m.free()
	}
	s.want(s.packet(s.f), "1:5.0(10)EB")
}

// TestFail: every message that is not acknowledged fails when the association is over, those sent first.
func TestFail(t *testing.T) {
	s := newSends(t)
	s.f.cwnd = 2 * full
	s.queue(10, full, 3*full, 20)
	s.want(s.tsns(s.f), "1 | 2 | 3")
	s.sack(1)
	s.fail()
	var sizes []uint32
	for m := s.takeFailed(); m != nil; m = s.takeFailed() {
		sizes = append(sizes, m.n)
		if m.begun() != (m.n != 20) {
			t.Errorf("message of %d bytes: begun %v", m.n, m.begun())
		}
		m.free()
	}
	if len(sizes) != 3 || sizes[0] != full || sizes[1] != 3*full || sizes[2] != 20 || s.queued != 0 || !s.empty() {
		t.Fatal(sizes)
	}
	s.timer(0)
}

// TestBeginAnew: a restart begins with new numbers and windows (5.2.4.1).
func TestBeginAnew(t *testing.T) {
	s := newSends(t)
	s.queue(10)
	s.tsns(s.f)
	s.now += time.Hour
	s.fail()
	s.begin(100)
	s.first = s.una
	s.queue(11)
	s.want(s.packet(s.f), "1:0.0(11)EB")
	s.sack(1)
	if !s.empty() {
		t.Fatal("not empty")
	}
}
