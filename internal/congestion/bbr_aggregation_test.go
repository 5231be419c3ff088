package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

// acked is what BBR.Ack does for its aggregates.
func acked(b *BBR, a *cc.Ack) { b.acked(a, b.bw.max(), b.cwnd, b.roundStart, bbrAggRounds) }

// Linux, bbr_update_ack_aggregation: in an epoch, which ends when no more was acknowledged than the
// bandwidth allows, what was acknowledged beyond that is extra, a window at most.
func TestBBRExtraAcked(t *testing.T) {
	b := steadyBBR()
	for i, c := range []struct {
		at        time.Duration
		bw        uint64
		delivered uint32
		extra     uint32
	}{
		{1 * ms, 1_000_000, 5000, 5000},   // begins an epoch
		{3 * ms, 1_000_000, 3000, 6000},   // 8000 in 2 ms
		{4 * ms, 1_000_000, 0, 0},         // tells nothing
		{8 * ms, 1_000_000, 1000, 2000},   // 9000 in 7 ms
		{10 * ms, 1_000_000, 2000, 2000},  // as much as the bandwidth allows: an epoch begins
		{11 * ms, 500_000, 2000, 3500},    // 4000 in 1 ms, of which the new bandwidth allows 500
		{90 * ms, 500_000, 1500, 1500},    // behind: another
		{91 * ms, 500_000, 90_000, 46000}, // a window at most
	} {
		b.extra = [2]uint32{}
		b.bw = maxFilter{}
		b.bw.update(c.bw, 0, bbrBWRounds)
		acked(b, &cc.Ack{Now: c.at, Delivered: c.delivered})
		if got := max(b.extra[0], b.extra[1]); got != c.extra {
			t.Errorf("step %d: %d, want %d", i, got, c.extra)
		}
	}

	// An epoch ends before its bytes become too many, and with idleness.
	for _, c := range []struct {
		name  string
		acked uint64
		idle  bool
		want  uint64
	}{
		{"goes on", 100_000, false, 101_000},
		{"too many", bbrAggReset + 1, false, 1000},
		{"idle", 100_000, true, 1000},
	} {
		b := steadyBBR()
		b.aggAcked = c.acked
		if c.idle {
			b.Sent(ms, 0, testMSS)
		}
		if acked(b, &cc.Ack{Now: 20 * ms, Delivered: 1000}); b.aggAcked != c.want {
			t.Errorf("%s: %d bytes in the epoch, want %d", c.name, b.aggAcked, c.want)
		}
	}
}

// The greatest is kept in two slots of five rounds: for no less than five rounds, and no more than ten.
func TestBBRExtraAckedWindow(t *testing.T) {
	for before := range bbrAggRounds {
		b := steadyBBR()
		quiet := func(start bool) { // keeps to the bandwidth
			b.roundStart = start
			b.aggAcked = 0
			acked(b, &cc.Ack{Now: ms, Delivered: 1})
		}
		for range before {
			quiet(true)
			quiet(false)
		}
		b.roundStart = false
		acked(b, &cc.Ack{Now: ms, Delivered: 7000})

		rounds := 0
		for ; max(b.extra[0], b.extra[1]) >= 7000 && rounds < 20; rounds++ {
			quiet(true)
			quiet(false)
		}
		if want := 2*bbrAggRounds - before; rounds != want {
			t.Errorf("found %d rounds after a slot began and forgotten after %d, want %d", before, rounds, want)
		}
	}
}

// Linux, bbr_ack_aggregation_cwnd: the window has room for the extra, 100 ms of the bandwidth at
// most, once the bandwidth is known.
func TestBBRAggregationWindow(t *testing.T) {
	for _, c := range []struct {
		filled bool
		extra  [2]uint32
		want   uint32
	}{
		{true, [2]uint32{9000, 3000}, 9000},
		{true, [2]uint32{3000, 9000}, 9000},
		{true, [2]uint32{300_000, 0}, 100_000},
		{false, [2]uint32{9000, 3000}, 0},
	} {
		b := steadyBBR()
		b.filled, b.extra = c.filled, c.extra
		if got := b.aggregation(); got != c.want {
			t.Errorf("filled %v, %v: %d, want %d", c.filled, c.extra, got, c.want)
		}
	}

	b := steadyBBR()
	b.Ack(&cc.Ack{Now: 10 * ms, SRTT: 20 * ms, Delivered: 12_000, InFlight: 20_000})
	if b.cwnd != 58*testMSS {
		t.Errorf("12 segments acknowledged at once: window %d, want 46 segments and these", b.cwnd)
	}
}

// A burst of more than 2^30 bytes is over: the count begins anew.
func TestBBRAggregationReset(t *testing.T) {
	for was, want := range map[uint64]uint64{bbrAggReset: bbrAggReset + 1000, bbrAggReset + 1: 1000} {
		g := aggregates{aggAcked: was}
		if g.acked(&cc.Ack{Now: ms, Delivered: 1000}, 0, 90_000, false, bbrAggRounds); g.aggAcked != want {
			t.Errorf("%d bytes of the burst, then %d", was, g.aggAcked)
		}
	}
}
