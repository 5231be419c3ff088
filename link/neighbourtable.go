package link

import (
	"net/netip"
	"time"
)

// Which neighbours are known is bounded, and none that is in use gives way to a flood: of messages
// from addresses that nobody has, or of packets to such (RFC 6583). The least worth are guests, who
// have asked for this host and have been sent nothing: they are heard again when they are needed.
// They give way to each other, and to whom the host seeks. Next are those that are sought and have
// not answered, then those that have been sent nothing for longest, but for the last seconds (Linux,
// neigh_forced_gc: gc_thresh2, gc_thresh3).
const (
	maxNeighbours = 1024
	maxGuests     = 512
	inUse         = 5 * time.Second // after a packet was sent to it, a neighbour gives way to nobody
)

// neighbourList is a list of neighbours, the oldest first.
type neighbourList struct {
	first, last *neighbour
	n           int
}

func (q *neighbourList) push(n *neighbour) {
	n.list, n.prev, n.next = q, q.last, nil
	if q.last != nil {
		q.last.next = n
	} else {
		q.first = n
	}
	q.last = n
	q.n++
}

func (q *neighbourList) remove(n *neighbour) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		q.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		q.last = n.prev
	}
	n.list, n.next, n.prev = nil, nil, nil
	q.n--
}

// newNeighbour adds an unknown neighbour to the guests or to those that are sought, in place of one
// that is worth less if there are too many; nil if there is none.
func (f *Framed) newNeighbour(a netip.Addr, q *neighbourList) *neighbour {
	guest := q == &f.guests
	if guest && f.guests.n >= maxGuests || len(f.neighbours) >= maxNeighbours {
		n := f.guests.first
		if n == nil && !guest {
			if n = f.sought.first; n == nil {
				n = f.idle()
			}
		}
		if n == nil {
			return nil
		}
		f.forget(n.at)
	}
	n := &neighbour{at: a, used: f.clock.Now()}
	f.neighbours[a] = n
	q.push(n)
	return n
}

// idle returns the neighbour that has been sent nothing for longest; nil if all are in use.
func (f *Framed) idle() (idle *neighbour) {
	// A look at each, at most once a second when it finds none: that many neighbours in use are rare.
	now := f.clock.Now()
	if now < f.allBusy {
		return nil
	}

	// Two of one age are told apart by address: the choice must not depend on the order of a map, or
	// a run with the same seed would not be the same.
	for _, n := range f.neighbours {
		if now-n.used > inUse && (idle == nil || n.used < idle.used || n.used == idle.used && n.at.Less(idle.at)) {
			idle = n
		}
	}
	if idle == nil {
		f.allBusy = now + time.Second
	}
	return idle
}

// forget takes a neighbour out of the table, with what waits for it.
func (f *Framed) forget(a netip.Addr) {
	n := f.neighbours[a]
	for p := f.popPending(n); p != nil; p = f.popPending(n) {
		p.Free()
	}
	if n.list != nil {
		n.list.remove(n)
	}
	delete(f.neighbours, a)
	if n.known {
		f.changed()
	}
}
