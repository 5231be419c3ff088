package congestion

import (
	"time"

	"usock/cc"
)

// The constants of RFC 9406 section 4.3.
const (
	hsMinRTTThresh  = 4 * time.Millisecond
	hsMaxRTTThresh  = 16 * time.Millisecond
	hsRTTDivisor    = 8
	hsRTTSamples    = 8
	hsGrowthDivisor = 4
	hsRounds        = 5
)

// hsLimit is L: how many segments one acknowledgment may grow the window by. A
// receiver that merges segments acknowledges up to 64 KiB at once, which counts
// whole whatever the segment size is.
const (
	hsLimit      = 8
	hsLimitBytes = 64 << 10
)

// hyStart is HyStart++ (RFC 9406): it leaves slow start when round-trip times
// grow, by way of Conservative Slow Start, which goes back to slow start if the
// growth turns out to be noise. Its zero value is ready.
type hyStart struct {
	windowEnd uint64        // the round ends when this offset is acknowledged
	last      time.Duration // lastRoundMinRTT; 0: none
	current   time.Duration // currentRoundMinRTT; 0: none
	baseline  time.Duration // cssBaselineMinRtt; 0: not in CSS
	samples   uint8         // rttSampleCount
	rounds    uint8         // of CSS that were begun
}

// grow returns by how much the window grows for n bytes acknowledged, and
// whether slow start is over.
func (h *hyStart) grow(a *cc.Ack, n, mss uint32) (uint32, bool) {
	done := false
	if a.SndUna > h.windowEnd || h.windowEnd == 0 {
		// Five rounds in which the delay did not come back: it is a queue (section 4.2).
		done = h.baseline != 0 && h.rounds >= hsRounds
		h.round(a.SndNxt)
	}
	if a.RTT > 0 {
		h.sample(a.RTT)
	}

	// One acknowledgment of very much must not release a burst (L of section 4.3).
	n = min(n, max(hsLimit*mss, hsLimitBytes))
	if h.baseline != 0 {
		n /= hsGrowthDivisor
	}
	return n, done
}

// round begins a round that ends when snd.nxt is acknowledged.
func (h *hyStart) round(sndNxt uint64) {
	h.windowEnd = sndNxt
	h.last, h.current, h.samples = h.current, 0, 0
	if h.baseline != 0 {
		h.rounds++
	}
}

// sample takes an RTT sample into account: into CSS when the round's least RTT
// is well above the last round's, and back when it falls below that again.
func (h *hyStart) sample(rtt time.Duration) {
	if h.current == 0 || rtt < h.current {
		h.current = rtt
	}
	if h.samples < hsRTTSamples {
		h.samples++
	}

	// A minimum of fewer than eight samples may be noise (N_RTT_SAMPLE).
	if h.samples < hsRTTSamples {
		return
	}
	if h.baseline != 0 {
		// The delay has gone: it was the noise of a link, and no queue.
		if h.current < h.baseline {
			h.baseline, h.rounds = 0, 0
		}
		return
	}
	if h.last == 0 {
		return
	}

	// An eighth of the round trip, but no less than 4 ms, which are noise on a short path, and
	// no more than 16 ms, which are a queue on a long one.
	thresh := min(max(hsMinRTTThresh, h.last/hsRTTDivisor), hsMaxRTTThresh)
	if h.current >= h.last+thresh {
		h.baseline, h.rounds = h.current, 1
	}
}
