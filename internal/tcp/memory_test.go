package tcp

import (
	"fmt"
	"testing"

	"usock/packet"
)

// What a peer can make a connection hold (RFC 9293 has no word on it; DESIGN: the
// queues are bounded in bytes and in pieces).

// hugeBlock gives the core n bytes of data that sit in a block of 64 KiB.
func (s *script) hugeBlock(seq, n int) {
	s.t.Helper()
	g, _ := s.parse(fmt.Sprintf(". %d ack 1", seq))
	b := packet.NewBlock(packet.MaxBlock)
	for i := range n {
		b.Bytes()[i] = streamByte(uint64(seq + i))
	}
	g.Data.Append(b.View(0, n))
	s.c.Segment(s.now, &g)
	s.pump()
	s.out = nil
}

// held returns the memory of both queues.
func (s *script) held() int {
	n := s.c.rcv.q.Mem()
	if s.c.rcv.ooo != nil {
		n += s.c.rcv.ooo.q.Mem()
	}
	return n
}

func TestMemorySmallSegments(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	n := 0
	for tc.c.rcv.window() > 0 && n < 60000 {
		tc.hugeBlock(1+n, 1)
		n++
	}
	if got, limit := tc.held(), int(tc.c.rcv.bufSize)+64<<10+64<<10; got > limit {
		t.Fatalf("%d bytes of data hold %d of memory, want at most %d", n, got, limit)
	}
	tc.read(1<<20, n)
	tc.rest(". 1 ack 60001")
}

func TestMemoryOutOfOrder(t *testing.T) {
	tc := newScript(t)
	tc.connect()
	for i := range 30000 {
		tc.hugeBlock(3+2*i, 1)
	}
	if n := tc.c.rcv.ooo.q.Pieces(); n > maxPieces {
		t.Fatalf("%d pieces", n)
	}
	if got, limit := tc.held(), int(tc.c.rcv.bufSize)+64<<10+maxPieces*256; got > limit {
		t.Fatalf("%d of memory, want at most %d", got, limit)
	}
	tc.wantCounts("TCPOFOQueue 30000")
}

// A peer that never acknowledges, and a program that writes byte by byte.
func TestMemorySender(t *testing.T) {
	tc := newScript(t)
	tc.p.SndBuf = 1 << 20
	tc.c.SetNoDelay(tc.now, true)
	tc.connect()
	n := 0
	for tc.c.SendSpace() > 0 {
		tc.queue(1)
		n++
		var g Segment
		for tc.c.Poll(tc.now, &g) {
			g.Data.Release()
		}
	}
	tc.pump()
	records := 0
	if tc.c.snd.flight != nil {
		records = int(tc.c.snd.flight.scoreboard.n) * sentCost
	}
	if got := tc.c.snd.q.Mem() + records; got > 5<<20/2 {
		t.Fatalf("%d bytes of memory for a buffer of a megabyte", got)
	}
}

// A connection at rest has no buffers.
func TestAtRest(t *testing.T) {
	packet.Track(true)
	before := packet.Live()
	tc := newScript(t)
	tc.connect()
	if tc.c.snd.flight != nil || tc.c.rcv.ooo != nil || tc.c.lazy != nil {
		t.Fatal("a new connection holds more than itself")
	}
	tc.write(100)
	tc.want("P. 1+100 ack 1")
	tc.recv("P. 1+100 ack 101")
	tc.want(". 101 ack 101")
	tc.read(100, 100)
	if n := packet.Live() - before; n != 0 || tc.c.snd.flight.scoreboard.parts != nil {
		t.Fatalf("%d blocks at rest", n)
	}
}
