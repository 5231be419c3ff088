package host

import (
	"usock/clock"
	"usock/internal/relay"
)

// maxQueue is how many packets wait in a port while its link is busy.
const maxQueue = 16 << 10

// NewPort returns the relay by which packets leave h for link. They are pushed by Lane.Send, and sent
// after the lane is left, with no lock held and from one goroutine at a time: that which left the host,
// or one that is flushing the relay already.
func (h *Host) NewPort(link relay.Sender) *relay.Relay {
	return &relay.Relay{To: link, Bound: maxQueue, Later: func(f func()) { clock.Go(h.clock, f) }}
}
