package sctp

import (
	"bytes"
	"testing"

	"usock/internal/wire"
)

// TestECNSender: ECNE halves the window once for what is outstanding, and each one is answered.
func TestECNSender(t *testing.T) {
	s := newSends(t)
	s.f.cwnd = 20 * full
	s.queue(40 * full)
	s.tsns(s.f)
	cwr := func(tsn uint64) {
		t.Helper()
		if tsn != 0 && len(s.appendCWR(nil, 7)) != 0 {
			t.Fatal("CWR in 7 bytes")
		}
		b, want := s.appendCWR(nil, 8), []byte(nil)
		if tsn != 0 {
			want = wire.AppendTSN(nil, wire.ChunkCWR, uint32(s.first+tsn-1))
		}
		if !bytes.Equal(b, want) {
			t.Fatalf("CWR %x, want %x", b, want)
		}
	}
	cwr(0)
	s.onECNE(uint32(s.first + 4))
	s.windows(10*full, 10*full, 0, 20*full)
	cwr(5)
	cwr(0)
	s.onECNE(uint32(s.first + 6)) // of the same window
	s.windows(10*full, 10*full, 0, 20*full)
	cwr(7)
	s.sack(20)
	cwnd := s.f.cwnd
	s.want(s.packet(s.f)[:3], "21:")
	s.onECNE(uint32(s.first + 20))
	if s.f.cwnd != max(cwnd/2, 6000) {
		t.Fatalf("cwnd %d of %d", s.f.cwnd, cwnd)
	}
	cwr(21)
	s.onECNE(uint32(s.first + 90)) // of what was never sent
	cwr(0)
}

// TestECNPath: the window is that of the path by which the chunk left.
func TestECNPath(t *testing.T) {
	s := newSends(t)
	other := new(flow)
	s.addFlow(other, testMTU, testOverhead)
	other.cwnd = 20000
	s.message(outMessage{to: other}, 100)
	s.want(s.packet(other), "1:0.0(100)EB")
	s.onECNE(uint32(s.first))
	s.windows(4380, testWindow, 0, 0)
	if other.cwnd != 10000 {
		t.Fatalf("cwnd %d", other.cwnd)
	}
}

// TestECNReceiver: what was marked is told of with each SACK until CWR comes.
func TestECNReceiver(t *testing.T) {
	r := newReceives(t)
	ecne := func(tsn uint64) {
		t.Helper()
		b, want := r.appendECNE(nil, 24), []byte(nil)
		if tsn != 0 {
			want = wire.AppendTSN(nil, wire.ChunkECNE, uint32(r.first+tsn-1))
		}
		if !bytes.Equal(b, want) || len(r.appendECNE(nil, 23)) != 0 {
			t.Fatalf("ECNE %x, want %x", b, want)
		}
	}
	r.message(1, 0, 0, "BE", "a")
	r.sack()
	ecne(0)
	r.congested() // a packet without data
	ecne(0)
	r.chunk(3, 0, 2, "BE", "c")
	r.chunk(2, 0, 1, "BE", "b")
	r.congested()
	r.packet(r.now)
	ecne(2)
	r.wantSack("3")
	r.message(4, 0, 3, "BE", "d")
	ecne(2)
	r.onCWR(uint32(r.first))
	ecne(2)
	r.onCWR(uint32(r.first + 1))
	ecne(0)
	r.want("0.0:a", "0.1:b", "0.2:c", "0.3:d")
}
