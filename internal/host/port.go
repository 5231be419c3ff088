package host

import (
	"usock/clock"
	"usock/internal/relay"
)

// maxQueue is how many packets wait in a port while its link is busy.
const maxQueue = 16 << 10

// port is a relay to a link, and whether Leave is to flush it.
type port struct {
	relay.Relay
	dirty bool // in Domain.dirty; guarded by the host's lock
}

// NewPort returns the relay by which packets leave h for link. They are pushed under the host's
// lock, and sent in that order after it is released, with no lock held and from one goroutine at
// a time: that which left the host, or one that is flushing the relay already.
func (h *Domain) NewPort(link relay.Sender) *relay.Relay {
	later := func(f func()) { clock.Go(h.clock, f) }
	p := &port{Relay: relay.Relay{To: link, Bound: maxQueue, Later: later}}
	p.Idle = func() {
		if !p.dirty {
			p.dirty = true
			h.dirty = append(h.dirty, p)
		}
	}
	return &p.Relay
}
