package sim_test

import (
	"testing"
	"time"

	"usock/link"
	"usock/sim"
)

// A stream comes as early as slow start lets it (RFC 5681, RFC 6928): the window is ten segments, and twice as many with each round
// trip, until it fills the rate. Neither the receiver's window nor an early end of slow start (RFC 9406) holds it back.
func TestSlowStartIsNotHeldBack(t *testing.T) {
	const segment, headers = 1448, 52
	for _, c := range []struct {
		delay time.Duration
		mbit  int
	}{{20 * time.Millisecond, 5}, {20 * time.Millisecond, 50}, {5 * time.Millisecond, 400}, {75 * time.Millisecond, 50}} {
		rate := uint64(c.mbit) * 1e6
		n, a, b, _ := manualPair(t, 1, sim.Both(link.Impairment{Delay: c.delay, Rate: rate, Limit: link.Amount{Bytes: 16 << 20}}))
		n.Start()
		f := n.Flow(a, b, sim.FlowConfig{Duration: 4 * time.Second, Congestion: "cubic", Chunk: 256 << 10})

		// The connection is there after a round trip, and its first bytes come half a one later. From when a round's segments take longer
		// than a round trip the link is busy.
		trip, each := 2*c.delay, time.Duration((segment+headers)*8*uint64(time.Second)/rate)
		begun, segments := trip+c.delay, 10
		early := int64(0)
		for time.Duration(segments)*each < trip {
			early += int64(segments)
			begun, segments = begun+trip, 2*segments
		}
		full := begun + 10*trip
		n.Sleep(full)
		ideal := (early + int64((full-begun)/each)) * segment
		if got := f.Meter.Bytes(); got < ideal*99/100 || got > ideal*101/100 {
			t.Errorf("%d Mbit/s, %v each way: %d bytes after %v, want %d", c.mbit, c.delay, got, full, ideal)
		}
		for _, s := range a.Sockets() {
			if s.TCP != nil && s.TCP.RwndLimited > uint64(time.Millisecond/time.Microsecond) {
				t.Errorf("%d Mbit/s, %v each way: held back by the peer's window for %d µs", c.mbit, c.delay, s.TCP.RwndLimited)
			}
		}
		n.Close()
	}
}
