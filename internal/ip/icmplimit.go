package ip

import (
	"net/netip"
	"time"

	"usock/internal/wire"
)

// How many ICMP errors leave (RFC 1812, section 4.3.2.8; RFC 4443, section 2.4(f)): to each
// destination one a second after a burst (Linux's icmp_ratelimit), and of the host so many a second
// (icmp_msgs_per_sec, icmp_msgs_burst).
//
// Whoever forges sources can use up what all share, and see by his own errors whether he has: so he
// would learn which ports answer to others. Therefore the destination's limit comes first, and what
// it withholds costs the host nothing; the host's credit is charged with a random number; and its
// rate bounds the destinations that are remembered: no table is ever full, which would tell as well.
type limiter struct {
	rand func() uint64

	credit int           // messages that the host may send; may be below zero
	at     time.Duration // when credit was last added to

	// The destinations of this period and of the one before: who is in neither has all his tokens
	// again.
	recent, older map[netip.Addr]bucket
	turned        time.Duration // when the period began
}

type bucket struct {
	tokens time.Duration // time's worth of messages that may be sent at once
	at     time.Duration // when tokens was right
}

const (
	errorEvery = time.Second
	errorBurst = 6
	maxTokens  = errorBurst * errorEvery // what is full after this time, and may be forgotten

	hostPerSec = 1000
	hostBurst  = 50
	hostRefill = 20 * time.Millisecond // no sooner is credit added
)

func (r *limiter) init(rand func() uint64) {
	r.rand, r.credit = rand, hostBurst
	r.recent = make(map[netip.Addr]bucket)
}

// limited reports whether a message is one of those that are limited: not path MTU discovery's,
// without which connections would hang (Linux, icmpv4_mask_allow, icmpv6_mask_allow).
func limited(v6 bool, h *wire.ICMP) bool {
	if v6 {
		return h.Type != wire.ICMPv6PacketTooBig
	}
	return h.Type != wire.ICMPv4Unreachable || h.Code != wire.ICMPv4FragNeeded
}

// mayTell reports whether an error may be sent to a destination now, and counts what is withheld.
func (l *Lane) mayTell(to netip.Addr) bool {
	now := l.at.Now()
	switch {
	case !l.limits.hostAllows(now):
		l.ICMP.OutRateLimitGlobal++
		return false
	case !l.limits.allow(to, now):
		l.ICMP.OutRateLimitHost++
		return false
	}
	l.limits.charge()
	return true
}

// hostAllows reports whether the host has credit left (Linux, icmp_global_allow).
func (r *limiter) hostAllows(now time.Duration) bool {
	if r.credit > 0 {
		return true
	}
	passed := min(now-r.at, time.Second)
	if passed < hostRefill {
		return false
	}
	r.credit = min(r.credit+int(passed*hostPerSec/time.Second), hostBurst)
	r.at = now
	return r.credit > 0
}

// charge takes a message off the host's credit: none, one or two, so that nobody can count
// (CVE-2020-25705; Linux, icmp_global_consume).
func (r *limiter) charge() { r.credit -= int(r.rand() % 3) }

// allow reports whether a destination has a token left, and takes it.
func (r *limiter) allow(to netip.Addr, now time.Duration) bool {
	if now-r.turned >= maxTokens {
		r.older = r.recent
		if now-r.turned >= 2*maxTokens {
			r.older = nil
		}
		r.recent, r.turned = make(map[netip.Addr]bucket), now
	}
	b, ok := r.recent[to]
	if !ok {
		if b, ok = r.older[to]; !ok {
			b = bucket{maxTokens, now}
		}
	}

	// Time is the tokens' currency: no timer fills the buckets.
	b.tokens = min(b.tokens+now-b.at, maxTokens)
	b.at = now
	ok = b.tokens >= errorEvery
	if ok {
		b.tokens -= errorEvery
	}
	r.recent[to] = b
	return ok
}
