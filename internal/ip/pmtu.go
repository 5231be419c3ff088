package ip

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"usock/internal/timer"
)

const (
	minPMTU4 = 552  // Linux's default; RFC 791 would allow 68
	MinPMTU6 = 1280 // RFC 8200, section 5

	// mtuAge is how long a path MTU that was learnt is believed (RFC 1191, section
	// 6.3; RFC 8201, section 4: no less than 5, recommended 10 minutes).
	mtuAge = 10 * time.Minute

	maxMTUs = 4096 // destinations remembered
)

// pathMTU is what a router said about the way to a destination.
type pathMTU struct {
	mtu     int
	expires time.Duration
}

// PathMTU returns what is known of the MTU on the way to dst beyond the first
// link, 0 if nothing.
func (l *Layer) PathMTU(dst netip.Addr) int {
	if len(l.mtus) == 0 {
		return 0
	}
	m, ok := l.mtus[dst]
	if !ok || m.expires <= l.host.Clock().Now() {
		return 0
	}
	return m.mtu
}

// LowerPathMTU records a smaller path MTU to dst, at least 552 (IPv4) or 1280
// (IPv6); it is forgotten after 10 minutes. It reports whether the path's MTU is
// lower than before.
func (l *Layer) LowerPathMTU(dst netip.Addr, mtu int) bool {
	// Within the host nothing is too big, and a group has no single path.
	if l.IsLocal(dst) || dst.IsMulticast() {
		return false
	}

	// A floor: a forged message could else have us send a packet for every few bytes.
	if dst.Is4() {
		mtu = max(mtu, minPMTU4)
	} else {
		mtu = max(mtu, MinPMTU6)
	}

	// Only downwards: whoever says that a path takes more than we thought may lie, and the path
	// would swallow packets. Time raises it (expireMTUs).
	path, err := l.Route(dst, netip.Addr{}, 0)
	if err != nil || mtu >= path.MTU {
		return false
	}

	// A quarter at once, so that a flood of new destinations does not sort the list for each.
	if _, ok := l.mtus[dst]; !ok && len(l.mtus) >= maxMTUs {
		l.forgetMTUs()
	}
	expires := l.host.Now() + mtuAge
	l.mtus[dst] = pathMTU{mtu, expires}
	l.arm(expires)
	l.changed()
	return true
}

// forgetMTUs forgets the quarter of the path MTUs that expires first.
func (l *Layer) forgetMTUs() {
	first := slices.SortedFunc(maps.Keys(l.mtus), func(a, b netip.Addr) int {
		if c := cmp.Compare(l.mtus[a].expires, l.mtus[b].expires); c != 0 {
			return c
		}
		return a.Compare(b)
	})
	for _, dst := range first[:len(first)/4] {
		delete(l.mtus, dst)
	}
}

// expireMTUs forgets what is too old, so that a larger MTU is tried again.
func (l *Layer) expireMTUs(now time.Duration) {
	next := timer.Never
	for dst, m := range l.mtus {
		if m.expires <= now {
			delete(l.mtus, dst)
			l.changed()
		} else {
			next = min(next, m.expires)
		}
	}
	l.arm(next)
}
