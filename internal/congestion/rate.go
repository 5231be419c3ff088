package congestion

import (
	"time"

	"usock/cc"
)

// Rate makes delivery-rate samples (draft-cheng-iccrg-delivery-rate-estimation).
// The core keeps one for each connection, and a Stamp with each segment that is
// in flight:
//
//	on sending (or sending again)  OnSend
//	on an acknowledgment           Begin, OnDelivered for each segment acknowledged
//	                               or SACKed for the first time, then Sample
//	when it runs out of data       OnAppLimited
type Rate struct {
	delivered   uint64        // C.delivered: bytes
	lost        uint64        // C.lost: bytes
	deliveredAt time.Duration // C.delivered_time
	firstSent   time.Duration // C.first_sent_time
	appLimited  uint64        // C.app_limited: 0, or until delivered passes it
	s           cc.Sample     // RS, of the acknowledgment being processed
	priorAt     time.Duration
	sent        time.Duration // newest send time among what was acknowledged
	have        bool
}

// Stamp is what a segment in flight remembers of the time it was sent. Its zero
// value is that of a segment never sent.
type Stamp struct {
	Sent        time.Duration // P.sent_time: last transmission
	firstSent   time.Duration
	deliveredAt time.Duration
	delivered   uint64
	lost        uint64
	inFlight    uint32
	appLimited  bool
	valid       bool
}

// Delivered returns C.delivered: all bytes that reached the peer so far.
func (r *Rate) Delivered() uint64 { return r.delivered }

// OnSend stamps a segment that is sent now. inFlight is what is in flight
// without it, bytes its size.
func (r *Rate) OnSend(p *Stamp, now time.Duration, inFlight, bytes uint32) {
	// The interval begins with the first segment after idleness: time without sending is no
	// time in which the path was slow.
	if inFlight == 0 {
		r.firstSent, r.deliveredAt = now, now
	}
	*p = Stamp{
		Sent: now, firstSent: r.firstSent, deliveredAt: r.deliveredAt,
		delivered: r.delivered, lost: r.lost, inFlight: add(inFlight, bytes),
		appLimited: r.appLimited != 0, valid: true,
	}
}

// Widen says that bytes more were sent at the same moment and share the stamp.
func (p *Stamp) Widen(bytes uint32) { p.inFlight = add(p.inFlight, bytes) }

// Narrow says that the last bytes of what shares the stamp have one of their own.
func (p *Stamp) Narrow(bytes uint32) { p.inFlight -= min(p.inFlight, bytes) }

// OnLost counts a segment that is newly marked lost, bytes long, and returns what is known of it
// for a cc.LossObserver.
func (r *Rate) OnLost(p *Stamp, bytes uint32) cc.LostSegment {
	r.lost += uint64(bytes)
	return cc.LostSegment{
		Bytes: bytes, InFlight: p.inFlight, Lost: r.lost - p.lost, Delivered: r.delivered,
		AppLimited: p.appLimited,
	}
}

// OnAppLimited says that the sender has less than a segment to send, nothing
// lost to send again, and room in its window.
func (r *Rate) OnAppLimited(inFlight uint32) {
	// Until all that is in flight now has arrived, samples show what the program sent.
	r.appLimited = max(r.delivered+uint64(inFlight), 1)
}

// Begin begins with an acknowledgment.
func (r *Rate) Begin() { r.s, r.have = cc.Sample{}, false }

// OnDelivered counts a segment acknowledged or SACKed for the first time. retrans
// says that it was sent more than once.
func (r *Rate) OnDelivered(p *Stamp, now time.Duration, bytes uint32, retrans bool) {
	r.delivered += uint64(bytes)

	// Without a stamp, or with one that was used, it counts and gives no sample.
	if !p.valid {
		return
	}
	r.deliveredAt = now

	// Of all that one acknowledgment brings, the newest sent counts: its flight began last.
	if !r.have || p.delivered > r.s.PriorDelivered ||
		p.delivered == r.s.PriorDelivered && p.Sent >= r.sent {
		r.have = true
		r.s.PriorDelivered, r.s.Lost = p.delivered, p.lost
		r.s.AppLimited, r.s.InFlight, r.s.Retransmitted = p.appLimited, p.inFlight, retrans
		r.priorAt, r.sent = p.deliveredAt, p.Sent
		r.s.Interval = p.Sent - p.firstSent // send_elapsed
		r.firstSent = p.Sent
	}
	p.valid = false
}

// Sample returns the sample of the acknowledgment. minRTT is the smallest RTT
// known; a shorter interval cannot be right and gives none.
func (r *Rate) Sample(minRTT time.Duration) cc.Sample {
	if r.appLimited != 0 && r.delivered > r.appLimited {
		r.appLimited = 0
	}
	s := r.s
	s.Total = r.delivered
	if !r.have {
		return s
	}
	s.Delivered = r.delivered - s.PriorDelivered
	s.Lost = r.lost - s.Lost

	// The longer of the two phases: acknowledgments that were held up and come all at once
	// would show a rate that the path never had, and so would a burst of the sender.
	s.Interval = max(s.Interval, r.deliveredAt-r.priorAt)
	if s.Interval < minRTT {
		s.Interval = 0
	}
	return s
}
