package congestion

import "usock/cc"

// Usage keeps track of whether the congestion window is what holds a sender
// back. A window grows only while it is: an application or a receive window that
// sends less proves nothing about the network (RFC 7661; the rule is Linux's).
type Usage struct {
	end     uint64 // the round trip under observation ends with this offset
	most    uint32 // most bytes in flight in it
	limited bool   // the window was full in it
}

// Sent is called after the core has sent what it may. inFlight counts all of it,
// and full says that more was ready and only the congestion window forbade it.
func (u *Usage) Sent(sndUna, sndNxt uint64, inFlight uint32, full bool) {
	// A new round trip, a full window, or more in flight than before in this one: what says
	// most about the round stays.
	if sndUna >= u.end || full || !u.limited && inFlight > u.most {
		u.limited, u.most, u.end = full, inFlight, sndNxt
	}
}

// Full reports whether the window was used up in the last round trip.
func (u *Usage) Full() bool { return u.limited }

// Limited reports whether the window was used up in the last round trip. In slow
// start half of it is enough, since what is sent doubles.
func (u *Usage) Limited(c cc.Controller) bool {
	if u.limited {
		return true
	}
	cwnd := c.CWnd()
	return cwnd < c.SSThresh() && uint64(cwnd) < 2*uint64(u.most)
}
