package congestion

import (
	"encoding/binary"
	"time"

	"usock/cc"
)

// What the versions of BBR have in common.

// bbrCommon is the part of a version that does not depend on its model.
type bbrCommon struct {
	mss, cwnd, initial uint32
	prior              uint32        // prior_cwnd: before recovery or ProbeRTT
	pacing             uint64        // pacing_rate
	limited            uint64        // samples of what was sent before this much was delivered are ProbeRTT's
	srtt               time.Duration // 0: unknown
	state              cc.State      // of the last Ack

	aggregates
}

// newBBRCommon begins with the gain of Startup.
func newBBRCommon(s *cc.Start, gain float64) bbrCommon {
	return bbrCommon{
		mss: s.MSS, cwnd: s.CWnd, initial: cc.InitialWindow(s.MSS), srtt: s.SRTT,
		pacing: firstRate(gain, s.CWnd, s.SRTT), aggregates: aggregates{aggStart: s.Now},
	}
}

// takeSRTT sets the rate to the window in a round trip when the first one is known.
func (b *bbrCommon) takeSRTT(gain float64, srtt time.Duration) {
	if b.srtt == 0 && srtt > 0 {
		b.pacing = firstRate(gain, b.cwnd, srtt)
	}
	b.srtt = srtt
}

// pace sets the rate for the bandwidth bw. Until the pipe is known to be full it does not fall.
func (b *bbrCommon) pace(gain float64, bw uint64, full bool) {
	if bw == 0 {
		return
	}
	if rate := pacedRate(gain, bw, b.mss, b.srtt); full || rate > b.pacing {
		b.pacing = rate
	}
}

// isLimited says that the sample is a lower bound of the bandwidth only, since the sender was
// without data, or in ProbeRTT.
func (b *bbrCommon) isLimited(r *cc.Sample) bool { return r.AppLimited || r.PriorDelivered < b.limited }

// limitSamples marks what is in flight as ProbeRTT's: with little in flight the samples are low, and
// say nothing about the path.
func (b *bbrCommon) limitSamples(a *cc.Ack) { b.limited = a.Rate.Total + uint64(a.InFlight) }

// saveWindow remembers the window for the end of recovery and of ProbeRTT (SaveCwnd).
func (b *bbrCommon) saveWindow(probesRTT bool) {
	if b.state < cc.Recovery && !probesRTT {
		b.prior = b.cwnd
	} else {
		b.prior = max(b.prior, b.cwnd)
	}
}

// Restart implements Controller. Sent has done what is to be done.
func (*bbrCommon) Restart(now, idle, rto time.Duration) {}

// SetMSS implements Controller.
func (b *bbrCommon) SetMSS(mss uint32) {
	b.cwnd = resize(b.cwnd, b.mss, mss)
	b.mss, b.initial = mss, cc.InitialWindow(mss)
}

// CWnd implements Controller.
func (b *bbrCommon) CWnd() uint32 { return b.cwnd }

// SSThresh implements Controller. BBR has none.
func (*bbrCommon) SSThresh() uint32 { return cc.MaxWindow }

// PacingRate implements Controller.
func (b *bbrCommon) PacingRate() uint64 { return b.pacing }

// OwnsRecovery implements Controller.
func (*bbrCommon) OwnsRecovery() bool { return true }

const (
	bbrAggRounds = 5 // rounds of each of the two slots of extraAcked
	bbrAggLimit  = 100 * time.Millisecond
	bbrAggReset  = 1 << 30 // bytes
)

// aggregates is the search for how much more is acknowledged in one go than the bandwidth
// allows: that much has to be in flight beyond the BDP while acknowledgments are held up.
type aggregates struct {
	extra      [2]uint32 // extra_acked in the current and in the last rounds
	extraSlot  uint8
	extraRound uint8
	aggStart   time.Duration
	aggAcked   uint64
}

// begin counts anew: nothing was in flight, and what is acknowledged next is no measure of how
// acknowledgments gather.
func (g *aggregates) begin(now time.Duration) { g.aggStart, g.aggAcked = now, 0 }

// acked takes an acknowledgment. bw is the bandwidth, cwnd the window, and a slot lasts for so
// many rounds.
func (g *aggregates) acked(a *cc.Ack, bw uint64, cwnd uint32, roundStart bool, rounds uint8) {
	if a.Delivered == 0 {
		return
	}

	// Two slots that take turns: a maximum over five to ten rounds without a list of them.
	if roundStart {
		g.extraRound++
		if g.extraRound >= rounds {
			g.extraRound = 0
			g.extraSlot ^= 1
			g.extra[g.extraSlot] = 0
		}
	}

	// No more than the bandwidth explains: the burst is over, and the next is counted from
	// here.
	expected := volume(bw, a.Now-g.aggStart)
	if g.aggAcked <= expected || g.aggAcked > bbrAggReset {
		g.aggAcked, g.aggStart, expected = 0, a.Now, 0
	}
	g.aggAcked += uint64(a.Delivered)
	extra := uint32(min(g.aggAcked-min(expected, g.aggAcked), uint64(cwnd)))
	g.extra[g.extraSlot] = max(g.extra[g.extraSlot], extra)
}

// allowance is what the window allows for held-up acknowledgments (Linux,
// bbr_extra_acked_max_us).
func (g *aggregates) allowance(bw uint64) uint32 {
	return uint32(min(uint64(max(g.extra[0], g.extra[1])), volume(bw, bbrAggLimit)))
}

// volume is what flows in d at rate bytes a second.
func volume(rate uint64, d time.Duration) uint64 {
	// Bounded, so that the product stays within 64 bits.
	us := uint64(min(max(d, 0), time.Minute) / time.Microsecond)
	return min(rate, 1<<36) * us / 1e6
}

// draw is a number of the time and the stream, and not of a generator: a controller stays a
// function of what it is told.
func draw(now time.Duration, delivered uint64) uint64 {
	x := uint64(now)*0x9e3779b97f4a7c15 + delivered
	return x ^ x>>32
}

// firstRate paces the first window over the round-trip time, one millisecond while that is
// unknown.
func firstRate(gain float64, cwnd uint32, srtt time.Duration) uint64 {
	if srtt <= 0 {
		srtt = time.Millisecond
	}
	return max(uint64(gain*float64(cwnd)/srtt.Seconds()), 1) // 0 would be no pacing
}

// pacedRate is the rate for the bandwidth bw. The least window is not paced over more than a
// round trip: an estimate that timeouts have spoiled would take long to recover.
func pacedRate(gain float64, bw uint64, mss uint32, srtt time.Duration) uint64 {
	// One per cent less than the path has taken: a queue that an estimate a little too high has
	// made drains (Linux, bbr_pacing_margin_percent).
	rate := max(uint64(gain*bbrMargin*float64(bw)), 1)
	if srtt > 0 {
		rate = max(rate, uint64(bbrMinPipe*mss)*uint64(time.Second)/uint64(srtt))
	}
	return rate
}

// appendBBRInfo appends struct tcp_bbr_info: the bandwidth in bytes a second, the round-trip
// time in microseconds and the gains times 256.
func appendBBRInfo(p []byte, bw uint64, minRTT time.Duration, pacing, window float64) []byte {
	p = binary.NativeEndian.AppendUint64(p, bw)
	p = binary.NativeEndian.AppendUint32(p, uint32(minRTT/time.Microsecond))
	p = binary.NativeEndian.AppendUint32(p, uint32(256*pacing))
	return binary.NativeEndian.AppendUint32(p, uint32(256*window))
}
