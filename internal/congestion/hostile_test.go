package congestion

import (
	"math/rand/v2"
	"testing"
	"time"

	"usock/cc"
)

// Whatever a controller is told, it gives a window that lets data leave and that is within bounds, and
// a rate if it paces: clocks that stand still and jump by days, volumes of nothing and of the most that
// 32 bits hold, an MSS that changes, events in any order.
func TestControllersTakeAnything(t *testing.T) {
	for _, name := range Names() {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 7))
			c, _ := New(name)
			mss := anyMSS(r)
			c.Start(cc.Start{Now: anyTime(r), MSS: mss, CWnd: cc.InitialWindow(mss), SRTT: anyTime(r), MinRTT: anyTime(r)})
			paces := c.PacingRate() != 0
			now, state := time.Duration(0), cc.Open
			for i := range 500 {
				now += anyTime(r)
				switch r.IntN(12) {
				case 0:
					c.Sent(now, anyVolume(r), anyVolume(r)>>8)
				case 1:
					if o, ok := c.(cc.LossObserver); ok {
						o.Lost(cc.LostSegment{
							Now: now, Start: uint64(anyVolume(r)), Bytes: anyVolume(r), InFlight: anyVolume(r), Lost: uint64(anyVolume(r)),
							Delivered: uint64(anyVolume(r)), AppLimited: r.IntN(2) == 0, SACK: r.IntN(2) == 0,
						})
					}
				case 2:
					c.Congestion(&cc.Event{Now: now, Cause: cc.Cause(r.IntN(2)), InFlight: anyVolume(r), SndNxt: uint64(anyVolume(r))})
				case 3:
					c.Recovered(now)
				case 4:
					c.Timeout(&cc.Event{Now: now, InFlight: anyVolume(r), SndNxt: uint64(anyVolume(r)), Repeated: r.IntN(2) == 0})
				case 5:
					c.Undo(now)
				case 6:
					c.Restart(now, anyTime(r), anyTime(r))
				case 7:
					mss = anyMSS(r)
					c.SetMSS(mss)
				default:
					state = cc.State(r.IntN(4))
					c.Ack(anyAck(r, now, state))
				}
				if w := c.CWnd(); w < min(mss, 536) || w > cc.MaxWindow || paces && c.PacingRate() == 0 {
					t.Fatalf("%s, seed %d, step %d: window %d of MSS %d, %d bytes a second", name, seed, i, w, mss, c.PacingRate())
				}
			}
		}
	}
}

func anyAck(r *rand.Rand, now time.Duration, state cc.State) *cc.Ack {
	coin := func() bool { return r.IntN(2) == 0 }
	return &cc.Ack{
		Now: now, RTT: anyTime(r), SRTT: anyTime(r), MinRTT: anyTime(r), Delivered: anyVolume(r), Acked: anyVolume(r), Lost: anyVolume(r),
		PriorInFlight: anyVolume(r), InFlight: anyVolume(r), SndUna: uint64(anyVolume(r)), SndNxt: uint64(anyVolume(r)),
		State: state, CWndLimited: coin(), CWndFull: coin(), Reordering: coin(), ECE: coin(),
		Rate: cc.Sample{
			Delivered: uint64(anyVolume(r)), Interval: anyTime(r), PriorDelivered: uint64(anyVolume(r)), Total: uint64(anyVolume(r)),
			Lost: uint64(anyVolume(r)), InFlight: anyVolume(r), AppLimited: coin(), Retransmitted: coin(),
		},
	}
}

func anyMSS(r *rand.Rand) uint32 { return []uint32{48, 536, 1460, 9000, 65483}[r.IntN(5)] }

func anyTime(r *rand.Rand) time.Duration {
	return []time.Duration{0, 1, time.Microsecond, 20 * ms, time.Duration(r.Int64N(int64(time.Second))), 11 * time.Second, 100 * 24 * time.Hour}[r.IntN(7)]
}

func anyVolume(r *rand.Rand) uint32 {
	return []uint32{0, 1, 1460, uint32(r.IntN(100_000)), uint32(r.IntN(100_000)), cc.MaxWindow, ^uint32(0)}[r.IntN(7)]
}
