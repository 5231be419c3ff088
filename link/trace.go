package link

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
)

// TraceBytes is what may leave at each opportunity of a trace: bytes of IP. Mahimahi, from which the unit is, counts four bytes
// of its device's header with each packet, and 1504.
const TraceBytes = 1500

// What a trace has at most.
const (
	MaxOpportunities = 10_000_000
	MaxTracePeriod   = 7 * 24 * time.Hour
)

// Trace says when a link carries something, in place of a rate: at each opportunity TraceBytes bytes may leave. One that finds
// nothing waiting is lost. What a packet leaves of one is for those behind it that wait by then; a packet that does not fit
// into one goes on in the next, and has left with its last byte. It begins with the link, and again at the time of its last
// opportunity. A Trace does not change, and any number of links may have it.
type Trace struct{ at []time.Duration }

// NewTrace returns a trace of opportunities at these times since the link's beginning, of which none is less than that before;
// several at one time add up.
func NewTrace(at []time.Duration) (*Trace, error) {
	switch n := len(at); {
	case n == 0:
		return nil, errors.New("a trace without opportunities")
	case n > MaxOpportunities:
		return nil, fmt.Errorf("a trace of %d opportunities, and up to %d are possible", n, MaxOpportunities)
	case at[0] < 0:
		return nil, fmt.Errorf("an opportunity at %v, before the beginning", at[0])
	case !slices.IsSorted(at):
		return nil, errors.New("an opportunity that is earlier than the one before")
	case at[n-1] == 0:
		return nil, errors.New("the last opportunity is at 0, and it is when the trace begins again")
	case at[n-1] > MaxTracePeriod:
		return nil, fmt.Errorf("a trace of %v, and up to %v is possible", at[n-1], MaxTracePeriod)
	}
	return &Trace{slices.Clone(at)}, nil
}

// Period returns the time after which the trace begins again.
func (t *Trace) Period() time.Duration { return t.at[len(t.at)-1] }

// Count returns how many opportunities there are until a time since the beginning, that time included.
func (t *Trace) Count(until time.Duration) int {
	if until < 0 {
		return 0
	}
	turns, i := t.after(until)
	return turns*len(t.at) + i
}

// after returns the first opportunity after a time, in which turn.
func (t *Trace) after(now time.Duration) (turns, i int) {
	in := now % t.Period()
	return int(now / t.Period()), sort.Search(len(t.at), func(i int) bool { return t.at[i] > in })
}

// in returns how many bytes leave in such a time at most, in the mean.
func (t *Trace) in(d time.Duration) float64 {
	return float64(len(t.at)) * TraceBytes * float64(d) / float64(t.Period())
}

// place is how far a link has come in its trace.
type place struct {
	turn time.Duration // when the trace has begun this time
	i    int           // the opportunity that is being used
	left int           // what is left of it
}

// skip goes on to the first opportunity after now: those until then have found nothing that waits.
func (c *place) skip(t *Trace, now time.Duration) {
	turns, i := t.after(now)
	*c = place{time.Duration(turns) * t.Period(), i, TraceBytes}
}

// take returns when the last of so many bytes leaves that wait by now.
func (c *place) take(t *Trace, bytes int) time.Duration {
	for bytes > c.left {
		bytes -= c.left
		c.left = TraceBytes
		if c.i++; c.i == len(t.at) {
			c.i, c.turn = 0, c.turn+t.Period()
		}
	}
	c.left -= bytes
	return c.turn + t.at[c.i]
}

// begins returns when the last bit of p leaves, which has come to an empty queue at the time now.
func (d *netem) begins(p *Packet, now time.Duration) time.Duration {
	if t := d.imp.Trace; t != nil {
		d.place.skip(t, now)
	}
	return d.follows(p, now)
}

// follows returns when the last bit of p leaves, which has waited for the one before it to leave at the time at.
func (d *netem) follows(p *Packet, at time.Duration) time.Duration {
	if t := d.imp.Trace; t != nil {
		return d.place.take(t, p.Len())
	}
	return at + d.sending(p)
}

// retrace has what is waiting, the first packet included, wait anew, as the trace has changed: the old one may have had nothing
// more for long.
func (d *netem) retrace(now time.Duration) {
	if p := d.sends; p != nil {
		d.done = d.begins(p, now)
		d.wake()
	}
}
