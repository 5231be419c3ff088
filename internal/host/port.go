package host

import (
	"usock/clock"
	"usock/internal/relay"
	"usock/packet"
)

// maxQueue is how many packets wait in a port while its link is busy.
const maxQueue = 16 << 10

// Port is where packets leave a host for a link. Packets pushed under the host's
// lock are sent in that order after it is released, by the goroutine that left
// the host or by one that is flushing the port already.
type Port struct {
	host  *Host
	dirty bool // in host.dirty; guarded by the host's lock
	out   relay.Relay
}

// NewPort returns a port of h that sends to link, with no lock held and from one
// goroutine at a time.
func (h *Host) NewPort(link relay.Sender) *Port {
	later := func(f func()) { clock.Go(h.clock, f) }
	return &Port{host: h, out: relay.Relay{To: link, Bound: maxQueue, Later: later}}
}

// Push queues a packet for the link and takes it over. The host's lock must be
// held.
func (p *Port) Push(k *packet.Packet) {
	if _, idle := p.out.Push(k); idle && !p.dirty {
		p.dirty = true
		p.host.dirty = append(p.host.dirty, p)
	}
}

// Close frees what waits for the link, and what is pushed from now on.
func (p *Port) Close() { p.out.Close() }

// Dropped returns how many packets found the queue or the link full.
func (p *Port) Dropped() uint64 { return p.out.Dropped() }
