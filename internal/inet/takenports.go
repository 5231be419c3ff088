package inet

import (
	"math/bits"
	"net/netip"
	"sync/atomic"
)

// The search for an ephemeral port looks at one after another. Where most connections to one
// destination are, it would look at thousands, under the host's lock: so it remembers which were
// taken for a destination, and passes over them by words.

const (
	ephemerals = ephemeralLast - ephemeralFirst + 1
	pairs      = ephemerals / 2 // of an even port and the odd one behind it

	learnAfter = 64 // ports looked at in vain, before they are remembered
	maxTaken   = 64 // destinations that are remembered
)

// portBits is a set of ephemeral ports: the even ones and the odd ones, by pair.
type portBits struct {
	words [2][(pairs + 63) / 64]uint64
	n     int
}

func (b *portBits) has(pair, odd uint32) bool { return b.words[odd][pair/64]>>(pair%64)&1 != 0 }

func (b *portBits) add(pair, odd uint32) {
	if !b.has(pair, odd) {
		b.words[odd][pair/64] |= 1 << (pair % 64)
		b.n++
	}
}

func (b *portBits) remove(pair, odd uint32) {
	if b.has(pair, odd) {
		b.words[odd][pair/64] &^= 1 << (pair % 64)
		b.n--
	}
}

// run returns how many members follow one another from a pair on, as far as its word goes: what a search
// passes over. A set that is nil has none.
func (b *portBits) run(pair, odd uint32) uint32 {
	if b == nil {
		return 0
	}
	n := uint32(bits.TrailingZeros64(^(b.words[odd][pair/64] >> (pair % 64))))
	return min(n, 64-pair%64, pairs-pair)
}

// ephemeral returns where in portBits a port is; false if it is no ephemeral one.
func ephemeral(port uint16) (pair, odd uint32, ok bool) {
	k := uint32(port) - ephemeralFirst
	return k / 2, k % 2, port >= ephemeralFirst && port <= ephemeralLast
}

// destination is what the connections that a client makes to one place have in common.
type destination struct {
	laddr, raddr netip.Addr
	rport        uint16
}

// takenPorts are, by destination, ports that a search has found to be another connection's, or
// bind's. A port leaves the set when that ends.
type takenPorts struct {
	of   map[destination]*portBits // guarded by the lock of the table of ports
	some atomic.Bool               // there are any
}

// begin makes the set of a destination, in place of any other if there are too many.
func (t *takenPorts) begin(d destination) *portBits {
	if t.of == nil {
		t.of = make(map[destination]*portBits)
	}
	if len(t.of) >= maxTaken {
		least := d
		for o, b := range t.of {
			if l := t.of[least]; l == nil || b.n < l.n {
				least = o
			}
		}
		delete(t.of, least)
	}
	b := new(portBits)
	t.of[d] = b
	t.some.Store(true)
	return b
}

// gone is told of every tuple that leaves the table of connections.
func (t *takenPorts) gone(k *tuple) {
	if len(t.of) == 0 {
		return
	}
	d := destination{k.laddr, k.raddr, k.rport}
	if b := t.of[d]; b != nil {
		if pair, odd, ok := ephemeral(k.lport); ok {
			b.remove(pair, odd)
		}

		// One that a search has begun and found nothing for goes, too: the next search begins anew.
		if b.n == 0 {
			delete(t.of, d)
			t.some.Store(len(t.of) > 0)
		}
	}
}

// unbound is told of every port that is no longer bind's.
func (t *takenPorts) unbound(port uint16) {
	if len(t.of) == 0 {
		return
	}
	if pair, odd, ok := ephemeral(port); ok {
		for d, b := range t.of {
			if b.remove(pair, odd); b.n == 0 {
				delete(t.of, d)
			}
		}
		t.some.Store(len(t.of) > 0)
	}
}
