package usock

import (
	"time"

	"usock/clock"
	"usock/trace"
)

// Epoch returns the time of day of the host's epoch, from which the times of events count
// (trace.NewWriter). Where somebody sets the machine's date, it moves.
func (h *Host) Epoch() time.Time {
	c := h.h.Clock()
	return clock.Wall(c).Add(-c.Now())
}

// Trace has f called with what the host's stack and the calls on its sockets do from now on, or
// with events of some kinds of that alone, until stop is called, in order. f is called by one goroutine at a time, with no lock held, and may use
// the host, and stop; it must neither keep the slice nor write to it, as other listeners read the same.
//
// Who calls f is whoever has brought the events about, unless another call of f is under way, and for no more than
// some thousand events, after which a goroutine of its own goes on: so f should neither take long nor wait for
// packets, which the goroutine that waits may have to carry, and it must not close a host with a link that is
// read by a goroutine (link.TUN), for which Close waits.
//
// When 65,536 events wait for f, others are left out, and an event of kind trace.Missed says how many, in their
// place. Listeners do not hold each other up. After a panic of f it is called again with later events.
// What nobody listens to is not made. A call of f that is under way when stop is called goes on; none begins
// after it.
//
// That a send or receive has ended is told when its last entry into the host has done what it asks for, before the packets that this brings about
// are carried.
//
// A host's events are in the order in which they were made, and of their times: what two connections do at
// once, on two processors, is told with the later of both times where it was made later. On a manual clock
// they are a function of what is done. Those of two hosts can be put in order by their times, if the clock is
// one; at the same time, one host's "received" may be told before the other's "sent". A host that is closed
// goes on to tell of calls, which fail.
func (h *Host) Trace(f func([]trace.Event), kinds ...trace.Kind) (stop func()) {
	return h.h.Trace(f, kinds...)
}
