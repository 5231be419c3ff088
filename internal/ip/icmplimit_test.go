package ip

import (
	"net/netip"
	"testing"
	"time"

	"usock/internal/wire"
)

// refused has datagrams for a closed port come from each of n sources from first on, and returns how
// many errors that brings about.
func (b *bench) refused(first netip.Addr, n, each int) int {
	b.udp.refuse = true
	a := first.As4()
	for i := range n {
		k := int(a[2])<<8 + int(a[3]) + i
		src := netip.AddrFrom4([4]byte{a[0], a[1] + byte(k>>16), byte(k >> 8), byte(k)})
		for range each {
			b.arrive(packetBytes(src.String(), hostA, ProtoUDP, udpHeader(0), nil))
		}
	}
	return len(b.sent())
}

func limitBench(t *testing.T) *bench {
	b := newBench(t, Config{})
	b.do(func() { b.l.AddRoute(Route{Dst: prefix("10.0.0.0/8"), Iface: b.eth}) })
	return b
}

func TestErrorRateLimit(t *testing.T) {
	b := limitBench(t)
	if n := b.refused(addr(peerA), 1, 20); n != errorBurst {
		t.Errorf("burst of %d", n)
	}
	if n := b.refused(addr("10.0.0.3"), 1, 1); n != 1 {
		t.Error("one destination limits another")
	}
	// Of several in turn each has its own burst, and no more.
	b.clock.Advance(maxTokens)
	n := 0
	for range 20 {
		n += b.refused(addr("10.0.0.5"), 3, 1)
	}
	if n != 3*errorBurst {
		t.Errorf("bursts of %d for three in turn", n)
	}
	b.refused(addr(peerA), 1, 20)
	b.clock.Advance(2500 * time.Millisecond)
	if n := b.refused(addr(peerA), 1, 20); n != 2 {
		t.Errorf("%d after 2.5 s", n)
	}
	b.clock.Advance(maxTokens)
	if n := b.refused(addr(peerA), 1, 20); n != errorBurst {
		t.Errorf("burst of %d after %v", n, maxTokens)
	}
	// In the middle of a period nothing is forgotten.
	b.clock.Advance(maxTokens - time.Millisecond)
	if n := b.refused(addr("10.0.0.4"), 1, errorBurst); n != errorBurst {
		t.Errorf("another destination: burst of %d", n)
	}
	b.clock.Advance(2 * time.Millisecond)
	if n := b.refused(addr("10.0.0.4"), 1, 20); n != 0 {
		t.Errorf("%d more when the period has turned", n)
	}
}

// All destinations together: 1000 a second, and no flood of forged sources fills memory.
func TestErrorHostLimit(t *testing.T) {
	b := limitBench(t)
	sent, at := 0, 0
	for range 400 { // 20 s of 4000 a second
		sent += b.refused(netip.AddrFrom4([4]byte{10, byte(1 + at>>16), byte(at >> 8), byte(at)}), 200, 1)
		at += 200
		b.clock.Advance(50 * time.Millisecond)
	}
	if lo, hi := 20*hostPerSec*9/10, 20*hostPerSec*11/10; sent < lo || sent > hi {
		t.Errorf("%d errors in 20 s, want %d", sent, 20*hostPerSec)
	}
	if n, most := len(b.l.limits.recent)+len(b.l.limits.older), 3*errorBurst*hostPerSec; n > most {
		t.Errorf("%d destinations remembered, want at most %d", n, most)
	}
	if b.l.Whole().ICMP.OutRateLimitGlobal != uint64(at-sent) || b.l.Whole().ICMP.OutRateLimitHost != 0 {
		t.Errorf("counted: %+v", b.l.Whole().ICMP)
	}
	b.clock.Advance(time.Second)
	if n := b.refused(addr("10.0.0.3"), 1, 20); n != errorBurst {
		t.Errorf("burst of %d after the flood", n)
	}
}

// The host's credit is 50, and grows by one a millisecond, no sooner than 20 ms after the last time (Linux,
// icmp_global_allow); a charge of two may take more than there is.
func TestErrorHostCredit(t *testing.T) {
	for _, charge := range []uint64{0, 1, 2} {
		var r limiter
		r.init(func() uint64 { return charge })
		now := time.Hour
		allowed := func() (n int) {
			for n < 1000 && r.hostAllows(now) {
				r.charge()
				n++
			}
			return n
		}
		for _, c := range []struct {
			after time.Duration
			want  [3]int
		}{
			// It has never grown, so that it does at once, when it is used up.
			{0, [3]int{1000, 100, 50}},
			{19 * time.Millisecond, [3]int{1000, 0, 0}}, {time.Millisecond - 1, [3]int{1000, 0, 0}}, {1, [3]int{1000, 20, 10}},
			{21 * time.Millisecond, [3]int{1000, 21, 11}}, {20 * time.Millisecond, [3]int{1000, 20, 10}}, {time.Hour, [3]int{1000, 50, 25}}, {0, [3]int{1000, 0, 0}},
		} {
			now += c.after
			if n := allowed(); n != c.want[charge] {
				t.Errorf("%v later, with a charge of %d: %d, want %d", c.after, charge, n, c.want[charge])
			}
		}
	}
}

// Destinations that had no error for two periods are forgotten.
func TestErrorLimitForgets(t *testing.T) {
	b := limitBench(t)
	b.refused(addr("10.1.0.0"), 40, 1)
	for _, after := range []time.Duration{maxTokens, 2 * maxTokens} {
		b.clock.Advance(after)
		b.refused(addr(peerA), 1, 1)
		if n := len(b.l.limits.older); (n != 0) != (after < 2*maxTokens) || len(b.l.limits.recent) != 1 {
			t.Errorf("%v later %d and %d are remembered", after, n, len(b.l.limits.recent))
		}
	}
}

// What a forger of sources sees by his own errors tells him neither how many others were sent, as
// the host's credit is charged at random, nor anything at all of those that a destination's limit
// has withheld (CVE-2020-25705).
func TestErrorLimitTellsNothing(t *testing.T) {
	seen := map[int]bool{}
	for range 40 {
		b := limitBench(t)
		seen[b.refused(addr("10.1.0.0"), 2*hostBurst, 1)] = true
	}
	if len(seen) < 5 {
		t.Errorf("of 100 errors to as many destinations %v were sent each time", seen)
	}
	b := limitBench(t)
	b.refused(addr("10.1.0.0"), 1, errorBurst)
	credit := b.l.limits.credit
	if n := b.refused(addr("10.1.0.0"), 1, 1000); n != 0 || b.l.limits.credit != credit {
		t.Errorf("%d errors to who has had his; credit %d, want %d", n, b.l.limits.credit, credit)
	}
}

// Path MTU discovery's messages are not limited.
func TestTooBigUnlimited(t *testing.T) {
	for _, c := range []struct {
		v6        bool
		typ, code uint8
		limited   bool
	}{
		{false, wire.ICMPv4Unreachable, wire.ICMPv4FragNeeded, false},
		{false, wire.ICMPv4Unreachable, wire.ICMPv4PortUnreachable, true},
		{false, wire.ICMPv4TimeExceeded, wire.ICMPv4FragNeeded, true},
		{true, wire.ICMPv6PacketTooBig, 0, false},
		{true, wire.ICMPv6Unreachable, wire.ICMPv4FragNeeded, true},
	} {
		if got := limited(c.v6, &wire.ICMP{Type: c.typ, Code: c.code}); got != c.limited {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Who shares a counter of identifications with a destination cannot count what was sent to it: the
// time that has passed moves it on at random. At one moment it counts one by one.
func TestIdentTellsNothing(t *testing.T) {
	b := newBench(t, Config{})
	to := addr(peerA)
	ident := func() (n uint16) {
		b.do(func() { n = b.l.Whole().ident(to) })
		return n
	}
	if n := ident(); ident() != n+1 {
		t.Error("two of one moment are not in a row")
	}
	steps := map[uint16]bool{}
	for range 50 {
		before := ident()
		b.clock.Advance(100 * time.Millisecond)
		step := ident() - before
		if steps[step] = true; step == 0 || step > 100 {
			t.Fatalf("a step of %d in 100 ms", step)
		}
	}
	if len(steps) < 10 {
		t.Errorf("steps %v", steps)
	}
}
