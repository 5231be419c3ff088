package sctp

import (
	"time"

	"usock/internal/timer"
	"usock/internal/wire"
)

// acking is when a SACK leaves (RFC 9260, section 6.2): with the second packet of DATA, after sackDelay
// at the latest, and at once where something is missing, came twice, or was sent with the I bit.
type acking struct {
	at        time.Duration // when one is due; never: none is
	packets   uint32        // of DATA that are not acknowledged
	data      bool          // the packet that is being processed has DATA
	immediate bool          // and is to be acknowledged at once
	now       bool          // one is due
}

// maxDups bounds the duplicates that a SACK tells, as Linux does.
const maxDups = 16

func (r *receiver) duplicate(tsn uint32) {
	if len(r.dups) < maxDups {
		r.dups = append(r.dups, tsn)
	}
	r.ack.immediate = true
}

// packet says that a packet has been processed.
func (r *receiver) packet(now time.Duration) {
	k := &r.ack
	if !k.data {
		return
	}
	k.data = false
	if r.incoming != nil {
		r.ecn.lowest = 0
	}
	k.packets++
	switch {
	case k.immediate, r.high > r.cum, k.packets >= r.sackFreq, r.sackDelay <= 0:
		k.now = true
	case k.at == timer.Never:
		k.at = now + r.sackDelay
	}
}

// ackNow has a SACK leave with the next packet.
func (r *receiver) ackNow() { r.ack.now = true }

// sackDue says that a SACK must leave now.
func (r *receiver) sackDue(now time.Duration) bool { return r.ack.now || now >= r.ack.at }

// sackPending says that one may leave with a packet that leaves anyway.
func (r *receiver) sackPending() bool { return r.ack.now || r.ack.packets > 0 }

// appendSack writes a SACK of at most room bytes behind b: it counts as sent.
func (r *receiver) appendSack(b []byte, room int) []byte {
	k := &r.ack
	k.at, k.packets, k.now, k.immediate = timer.Never, 0, false, false
	if r.incoming == nil {
		return wire.AppendSack(b, uint32(r.cum), r.advertise(), nil, nil)
	}

	most := max(room-wire.SackLen(0, 0), 0) / 4
	r.gaps = r.gaps[:0]
	if r.high > r.cum {
		r.gaps = r.tsns.gaps(r.gaps, r.cum, r.high, most)
	}
	dups := r.dups[:min(len(r.dups), most-len(r.gaps))]
	b = wire.AppendSack(b, uint32(r.cum), r.advertise(), r.gaps, dups)

	r.dups = r.dups[:0]
	if len(r.gaps) == 0 && cap(r.gaps) > 64 {
		r.gaps = nil
	}
	return b
}
