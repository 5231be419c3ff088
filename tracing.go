package usock

import "usock/trace"

// Trace has f called with what the host's stack and the calls on its sockets do from now on,
// until stop is called: the events of one entry of the host together, in order. f is called by
// one goroutine at a time, with no lock held, and may use the host; it must not keep the slice.
// Who calls f is whoever has brought the events about, unless another call of f is under way: so f
// should not take long. When 65,536 events wait, others are left out, and an event of kind
// trace.Missed says how many. Without listener nothing is made. A call of f that
// is under way when stop is called goes on.
func (h *Host) Trace(f func([]trace.Event)) (stop func()) { return h.h.Trace(f) }
