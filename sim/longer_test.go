package sim_test

import (
	"testing"
	"time"

	"usock/link"
	"usock/sim"
)

// A path that becomes long under a connection is filled as if it had been from the start: the window that is right for the
// short one does not stay.
func TestPathBecomesLong(t *testing.T) {
	const rate, begun, after, end = 100e6, 200 * time.Millisecond, 3 * time.Second, 5 * time.Second
	n, a, b, l := manualPair(t, 1, sim.Both(link.Impairment{Delay: 10 * time.Microsecond, Rate: 1e9, Limit: link.Amount{Bytes: 16 << 20}}))
	n.Start()
	f := n.Flow(a, b, sim.FlowConfig{Duration: 6 * time.Second, Congestion: "cubic", Chunk: 256 << 10})
	n.Sleep(begun)
	m := link.Impairment{Delay: 50 * time.Millisecond, Rate: rate, Limit: link.Amount{Bytes: 16 << 20}}
	if err := l.Set(m, m); err != nil {
		t.Fatal(err)
	}
	n.Sleep(end)
	if got := f.Meter.Rate(begun+after, begun+end); got < 0.9*rate {
		t.Errorf("%.1f Mbit/s, want at least %.1f", got/1e6, 0.9*rate/1e6)
	}
}
