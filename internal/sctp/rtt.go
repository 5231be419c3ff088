package sctp

import "time"

// RTOBounds are RTO.Initial, RTO.Min and RTO.Max (RFC 9260, section 16).
type RTOBounds struct{ RTOInitial, RTOMin, RTOMax time.Duration }

// rtt is the round-trip time of a path and what is made of it (RFC 9260, section 6.3.1).
type rtt struct {
	srtt, rttvar time.Duration // 0: not measured
	rto          time.Duration // with backoff
}

// granularity is G of rule C3: what Linux's clock has.
const granularity = time.Millisecond

// sample takes a measurement, of DATA that was sent once or of a HEARTBEAT.
func (r *rtt) sample(m time.Duration, b *RTOBounds) {
	if r.srtt == 0 {
		// Rule C2.
		r.srtt, r.rttvar = max(m, 1), m/2
	} else {
		// Rule C3, RTTVAR with the old SRTT: RTO.Beta is 1/4, RTO.Alpha 1/8.
		r.rttvar += ((r.srtt - m).Abs() - r.rttvar) / 4
		r.srtt = max(r.srtt+(m-r.srtt)/8, 1)
	}
	r.rttvar = max(r.rttvar, granularity)
	r.rto = r.srtt + 4*r.rttvar
	r.bound(b)
}

// backOff doubles the RTO (rule E2 of section 6.3.3). The next measurement ends that.
func (r *rtt) backOff(b *RTOBounds) {
	r.rto *= 2
	r.bound(b)
}

// bound holds to rules C6 and C7.
func (r *rtt) bound(b *RTOBounds) { r.rto = min(max(r.rto, b.RTOMin), b.RTOMax) }
