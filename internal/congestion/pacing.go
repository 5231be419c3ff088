package congestion

import (
	"time"

	"usock/cc"
)

// Quantum is how many bytes to send at once when pacing at rate bytes a second:
// what one millisecond carries, but one segment or two on slow paths and 64 KiB
// at most (draft-cardwell-iccrg-bbr-congestion-control-00 section 4.2.2).
func Quantum(rate uint64, mss uint32) uint32 {
	switch {
	case rate < 1_200_000/8:
		return mss
	case rate < 24_000_000/8:
		return 2 * mss
	}
	return uint32(max(min(rate/1000, 64<<10), 2*uint64(mss)))
}

// WindowRate is the rate in bytes a second at which a window is spread over a
// round trip, with room for it to grow: twice the window in slow start and 1.2
// times after it, as Linux has it. It is for a core that paces a controller which
// does not ask for it. 0: unknown.
func WindowRate(c cc.Controller, srtt time.Duration) uint64 {
	if srtt <= 0 {
		return 0
	}
	cwnd := uint64(c.CWnd())
	percent := uint64(120)
	if cwnd < uint64(c.SSThresh())/2 {
		percent = 200
	}
	return cwnd * percent * uint64(time.Second/100) / uint64(srtt)
}
