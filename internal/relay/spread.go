package relay

import "usock/packet"

// Spread is several relays, to places that are sent to at once, and the choice among them. It is made
// by setting the fields, which stay as they are.
type Spread struct {
	To     []*Relay
	Choose func(*packet.Packet) int // the index in To of the relay that a packet goes by
}

// For returns the relay of a packet.
func (s *Spread) For(p *packet.Packet) *Relay { return s.To[s.Choose(p)] }

// Dropped returns how many packets the relays or their places had no room for.
func (s *Spread) Dropped() (n uint64) {
	for _, r := range s.To {
		n += r.Dropped()
	}
	return n
}

// Idle reports whether all relays are.
func (s *Spread) Idle() bool {
	for _, r := range s.To {
		if !r.Idle() {
			return false
		}
	}
	return true
}

// Close closes the relays.
func (s *Spread) Close() {
	for _, r := range s.To {
		r.Close()
	}
}
