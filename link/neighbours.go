package link

import (
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"usock/clock"
)

// Neighbour is what a link knows of an address on its network: a row of what ip-neighbour(8)
// shows.
type Neighbour struct {
	Addr    netip.Addr
	Address net.HardwareAddr // nil while it is not known
	State   NeighbourState
}

// NeighbourState says how sure a neighbour's hardware address is (RFC 4861 section 7.3.2).
type NeighbourState uint8

// The states. A neighbour that does not answer is forgotten.
const (
	Incomplete NeighbourState = iota // it is asked for, and packets wait
	Reachable                        // it has answered within half a minute
	Stale                            // it has not; a packet for it asks, at once or a few seconds later
	Probe                            // it is asked whether it is still there
	Permanent                        // it was added by hand
)

// String returns the state as ip-neighbour(8) names it.
func (s NeighbourState) String() string {
	return [...]string{"INCOMPLETE", "REACHABLE", "STALE", "PROBE", "PERMANENT"}[s]
}

// Neighbourly is a Link that finds its neighbours' hardware addresses. Its methods may be
// called by any goroutine.
type Neighbourly interface {
	Link

	// Neighbours lists what is known, by address.
	Neighbours() []Neighbour

	// AddNeighbour notes where an address is, for good: nobody is asked, and what others say
	// of it is not heard. Errors: EEXIST if something is known of the address, EINVAL if it is
	// none that a neighbour can have, ENOBUFS if there are too many, ENETDOWN after Close.
	AddNeighbour(a netip.Addr, address net.HardwareAddr) error

	// RemoveNeighbour forgets an address, added or found; ENOENT if nothing is known of it.
	RemoveNeighbour(a netip.Addr) error
}

// NeighbourNotifier is a Neighbourly link that says when it has found something out.
type NeighbourNotifier interface {
	Neighbourly

	// NotifyNeighbours has f called after a neighbour was found, has moved, or was lost again:
	// soon, not by whoever brought the news about, with no lock held, and once for several at a
	// time. That a neighbour was heard of again, or was not for a while, is no news, nor is what
	// AddNeighbour and RemoveNeighbour do. nil: nobody is called any more.
	NotifyNeighbours(f func())
}

// Wrapper is a Link over another Link.
type Wrapper interface {
	Link

	// Unwrap returns the Link inside.
	Unwrap() Link
}

// Unwrap implements Wrapper.
func (p *pcap) Unwrap() Link { return p.Link }

// Unwrap implements Wrapper.
func (i *Impaired) Unwrap() Link { return i.inner }

// maxFixed bounds the neighbours that were added by hand.
const maxFixed = 4096

// now is the time that neighbours are heard of at.
func (f *Framed) now() time.Duration { return f.clock.Now() }

// Neighbours implements Neighbourly.
func (f *Framed) Neighbours() []Neighbour {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Neighbour, 0, len(f.fixed)+len(f.neighbours))
	for a, h := range f.fixed {
		out = append(out, Neighbour{a, h[:], Permanent})
	}
	now := f.now()
	for a, n := range f.neighbours {
		k := Neighbour{Addr: a, State: Incomplete}
		if n.known {
			k.Address = slices.Clone(n.address[:])
			k.State = n.certainty(now)
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Neighbour) int { return a.Addr.Compare(b.Addr) })
	return out
}

// NotifyNeighbours implements NeighbourNotifier.
func (f *Framed) NotifyNeighbours(notify func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notify = notify
}

// changed has it told that a neighbour was found, has moved or was lost: later, as whoever brought
// this about may hold locks. The caller holds mu.
func (f *Framed) changed() {
	if f.notify == nil || f.telling {
		return
	}
	f.telling = true
	clock.Go(f.clock, func() {
		f.mu.Lock()
		f.telling = false
		notify := f.notify
		f.mu.Unlock()
		if notify != nil {
			notify()
		}
	})
}

// certainty is the state of a neighbour that is known.
func (n *neighbour) certainty(now time.Duration) NeighbourState {
	switch {
	case n.asks > 0:
		return Probe
	case !n.sure, now-n.heard > reachable:
		return Stale
	}
	return Reachable
}

// AddNeighbour implements Neighbourly.
func (f *Framed) AddNeighbour(a netip.Addr, address net.HardwareAddr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.shut:
		return syscall.ENETDOWN
	case len(address) != len(hardware{}), !a.IsValid(), a.Is4In6(), a.Zone() != "", a.IsUnspecified(), a.IsMulticast():
		return syscall.EINVAL
	case f.neighbours[a] != nil:
		return syscall.EEXIST
	case len(f.fixed) >= maxFixed:
		return syscall.ENOBUFS
	}
	if _, ok := f.fixed[a]; ok {
		return syscall.EEXIST
	}
	if f.fixed == nil {
		f.fixed = make(map[netip.Addr]hardware)
	}
	f.fixed[a] = hardware(address)
	return nil
}

// RemoveNeighbour implements Neighbourly. Packets that wait for the neighbour are dropped.
func (f *Framed) RemoveNeighbour(a netip.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.fixed[a]; ok {
		delete(f.fixed, a)
		return nil
	}
	n := f.neighbours[a]
	if n == nil {
		return syscall.ENOENT
	}
	n.known = false // not told: who has it removed knows
	f.forget(a)
	return nil
}
