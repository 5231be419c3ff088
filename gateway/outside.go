package gateway

import (
	"net/netip"
	"time"
)

// Outside is what the networks of the machine have been like, as far as programs have waited for them.
type Outside struct {
	Asked, Answered int // questions to name servers, asked again or not, and those that were answered

	// The question that took longest.
	Slowest     time.Duration // until the answer, or until now or the socket's end
	Name        string        // that was asked for
	Server      netip.AddrPort
	NoAnswer    bool          // it has none
	Full        time.Duration // in which outer connections had no room for what was sent, all of them together
	Fullest     time.Duration // that of one
	FullestPeer netip.AddrPort
}
