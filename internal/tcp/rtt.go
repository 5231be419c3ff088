package tcp

import "time"

// rtt is the round-trip time and what is made of it: RFC 6298, with Linux's
// variance, which follows a sudden rise at once and decays once a round trip.
type rtt struct {
	srtt    uint32 // µs, times 8
	mdev    uint32 // µs, times 4: mean deviation
	mdevMax uint32 // largest mdev in the round trip
	rttvar  uint32 // µs, times 4
	seq     uint64 // the round trip ends when this is acknowledged
	min     uint32 // µs: smallest RTT of the last minutes; 0: none
	minAt   uint32 // s: when min was measured
	rto     uint32 // µs, with backoff
	backoff uint8
}

// minRTTWindow is how long a smallest RTT is believed, in seconds.
const minRTTWindow = 300

// sample takes a measurement. una and nxt are snd.una and snd.nxt.
func (r *rtt) sample(now, m time.Duration, una, nxt uint64, minRTO uint32) {
	us := uint32(max(m/time.Microsecond, 1))
	sec := uint32(now / time.Second)

	// A path may become longer: the minimum is of the last five minutes (RFC 8985 §6.2 step 1
	// asks for a windowed one).
	if r.min == 0 || us <= r.min || sec-r.minAt > minRTTWindow {
		r.min, r.minAt = us, sec
	}

	if r.srtt == 0 {
		// The first sample is SRTT, and half of it the deviation, of which RTTVAR here is four
		// times (RFC 6298 §2.2).
		r.srtt = us << 3
		r.mdev = us << 1
		r.rttvar = max(r.mdev, minRTO)
		r.mdevMax = r.rttvar
		r.seq = nxt
		return
	}

	// SRTT gains an eighth of the difference (RFC 6298 §2.3).
	d := int32(us) - int32(r.srtt>>3)
	r.srtt = max(uint32(int32(r.srtt)+d), 1)
	if d < 0 {
		// A smaller RTT must not raise the variance much: gain 1/32.
		d = -d - int32(r.mdev>>2)
		if d > 0 {
			d >>= 3
		}
	} else {
		d -= int32(r.mdev >> 2)
	}

	// A rise counts at once ...
	r.mdev = uint32(int32(r.mdev) + d)
	if r.mdev > r.mdevMax {
		r.mdevMax = r.mdev
		r.rttvar = max(r.rttvar, r.mdevMax)
	}

	// ... and a fall once a round trip, by a quarter: with many samples in each, RFC 6298's
	// gains would forget too fast (RFC 7323 Appendix G).
	if una > r.seq {
		if r.mdevMax < r.rttvar {
			r.rttvar -= (r.rttvar - r.mdevMax) >> 2
		}
		r.seq = nxt
		r.mdevMax = minRTO
	}
}

// smoothed returns the smoothed RTT, 0 if there is none.
func (r *rtt) smoothed() time.Duration {
	return time.Duration(r.srtt>>3) * time.Microsecond
}

// least returns the smallest RTT, 0 if there is none.
func (r *rtt) least() time.Duration { return time.Duration(r.min) * time.Microsecond }

// setRTO computes RTO = SRTT + 4*RTTVAR without backoff (RFC 6298, rule 2.3).
func (r *rtt) setRTO(cfg *Config) {
	r.backoff = 0
	if r.srtt == 0 {
		// RFC 6298 §2.1: one second before the first sample.
		r.rto = uint32(cfg.InitialRTO / time.Microsecond)
		return
	}

	// RFC 6298 rounds up to a second (rule 2.4). Here the floor is MinRTO, and in RTTVAR, so
	// that it comes on top of SRTT: Linux's way, without which a lost segment on a short path
	// would cost a second.
	r.rto = min(r.srtt>>3+r.rttvar, uint32(cfg.MaxRTO/time.Microsecond))
}

// backOff doubles the RTO (RFC 6298, rule 5.5).
func (r *rtt) backOff(cfg *Config) {
	// Beyond that the timeout is MaxRTO long since (rule 2.5 allows a bound of a minute or
	// more).
	if r.backoff < 32 {
		r.backoff++
	}

	r.rto = min(r.rto*2, uint32(cfg.MaxRTO/time.Microsecond))
}

func (r *rtt) timeout() time.Duration { return time.Duration(r.rto) * time.Microsecond }

// sampleRTT takes a measurement of the round trip.
func (s *sender) sampleRTT(t *tcb, now, m time.Duration) {
	if m < 0 {
		return
	}
	t.rtt.sample(now, m, s.una, s.nxt, uint32(t.cfg.MinRTO/time.Microsecond))
	t.rtt.setRTO(t.cfg)
}

// takeRTT samples the round trip by what was acknowledged, not by what was sent
// twice (Karn), unless timestamps tell which transmission arrived. It returns the
// newest sample, for the controller.
func (s *sender) takeRTT(t *tcb, now time.Duration, seg *Segment, a *ackInfo) time.Duration {
	rto, newest := time.Duration(-1), time.Duration(0)

	switch {
	case a.haveAcked && !a.retransAck:
		// The oldest of what was acknowledged, as the timer has to allow for the delay of
		// acknowledgments; the newest for the controller.
		rto, newest = now-a.firstSent, now-a.lastSent
	case a.haveSacked:
		rto = now - a.sackSent
		newest = rto
	case t.flags&useTS != 0 && seg.Options.HasTimestamp && seg.Options.TSEcr != 0 && a.acked > 0:
		// Timestamps tell which transmission arrived, if the acknowledgment is of new data: an
		// old echo would count the time that nothing was sent (RFC 7323 §4.1).
		d := int32(s.tsNow(now) - seg.Options.TSEcr)

		if d >= 0 {
			rto = max(time.Duration(d)*time.Millisecond, time.Millisecond)
			newest = rto
		}
	}

	if rto < 0 {
		return 0
	}
	s.sampleRTT(t, now, rto)
	return max(newest, 1)
}

// synSample takes the handshake's RTT (RFC 6298 §3: not of a SYN sent
// twice, unless timestamps tell which).
func (s *sender) synSample(t *tcb, now time.Duration, seg *Segment) {
	var m time.Duration
	switch {
	case s.retrans == 0:
		m = now - t.timer.since
	case t.flags&useTS != 0 && seg.Options.HasTimestamp && seg.Options.TSEcr != 0:
		m = time.Duration(s.tsNow(now)-seg.Options.TSEcr) * time.Millisecond
	default:
		return
	}

	s.sampleRTT(t, now, m)
}

// plausibleEcho reports whether TSecr can be of a SYN that we sent.
func (s *sender) plausibleEcho(t *tcb, now time.Duration, ecr uint32) bool {
	// Between the first SYN and now: an echo of anything else belongs to an older connection
	// with the same ports.
	first := s.tsNow(t.timer.since)
	return int32(ecr-first) >= 0 && int32(s.tsNow(now)-ecr) >= 0
}

// tripOf returns how long the round trip was at least at the end of which s came, which echoes what the other end had heard last; 0: it is not
// known. The clock's ticks are a part of it.
func (s *sender) tripOf(t *tcb, now time.Duration, seg *Segment) time.Duration {
	if t.flags&useTS == 0 || !seg.Options.HasTimestamp || seg.Options.TSEcr == 0 {
		return 0
	}
	return time.Duration(max(int32(s.tsNow(now)-seg.Options.TSEcr)-1, 0)) * time.Millisecond
}
