package congestion

import (
	"testing"
	"time"

	"usock/cc"
)

// hyStartRounds feeds h with a round trip for each list of samples, and reports whether it is in
// Conservative Slow Start afterwards.
func hyStartRounds(h *hyStart, rounds ...[]time.Duration) bool {
	una := h.windowEnd
	for _, samples := range rounds {
		for i, rtt := range samples {
			if i == 0 {
				una++ // beyond the end of the last round
			}
			h.grow(&cc.Ack{RTT: rtt, SndUna: una, SndNxt: una + testMSS}, testMSS, testMSS)
		}
		una = h.windowEnd
	}
	return h.baseline != 0
}

func repeat(n int, rtt time.Duration) []time.Duration {
	s := make([]time.Duration, n)
	for i := range s {
		s[i] = rtt
	}
	return s
}

// RFC 9406 section 4.2: slow start turns conservative when the least of a round's RTTs, of which
// there must be eight, is an eighth above the last round's, but not less than 4 ms and not more
// than 16 ms.
func TestHyStartThreshold(t *testing.T) {
	for _, c := range []struct{ last, enough time.Duration }{
		{16 * ms, 20 * ms}, {40 * ms, 45 * ms}, {200 * ms, 216 * ms},
	} {
		for rtt, want := range map[time.Duration]bool{c.enough: true, c.enough - 1: false} {
			var h hyStart
			if got := hyStartRounds(&h, repeat(8, c.last), repeat(8, rtt)); got != want {
				t.Errorf("%v after %v: conservative %v", rtt, c.last, got)
			}
		}
	}

	for _, c := range []struct {
		name   string
		second []time.Duration
		want   bool
	}{
		{"seven samples", repeat(7, 60*ms), false},
		{"eight", repeat(8, 60*ms), true},
		{"many", repeat(300, 60*ms), true},
		{"one is small", append(repeat(7, 60*ms), 41*ms), false},
		{"the first is small", append([]time.Duration{41 * ms}, repeat(7, 60*ms)...), false},
		{"acknowledgments without a sample", append(repeat(7, 60*ms), repeat(9, 0)...), false},
		{"and one with it", append(repeat(9, 0), 60*ms), false},
		{"and an eighth with it", append(append(repeat(7, 60*ms), repeat(9, 0)...), 60*ms), true},
	} {
		var h hyStart
		if got := hyStartRounds(&h, repeat(8, 40*ms), c.second); got != c.want {
			t.Errorf("%s: conservative %v", c.name, got)
		}
	}
}

// RFC 9406 section 4.2: an acknowledgment grows the window by L segments at most, or by 64 KiB.
func TestHyStartLimit(t *testing.T) {
	for _, c := range []struct{ mss, n, want uint32 }{
		{1000, 3000, 3000}, {1000, 100_000, 64 << 10}, {9000, 100_000, 72_000},
	} {
		var h hyStart
		if got, _ := h.grow(&cc.Ack{SndUna: 1, SndNxt: 1000}, c.n, c.mss); got != c.want {
			t.Errorf("%d bytes in segments of %d: %d, want %d", c.n, c.mss, got, c.want)
		}
	}
}
