package usock

import (
	"context"

	"usock/internal/socket"
	"usock/internal/wait"
)

// Events is a set of readiness events, with the bits of poll(2).
type Events uint32

// The events of poll(2).
const (
	POLLIN    = Events(wait.In)    // data, a connection or the end of the stream can be read
	POLLPRI   = Events(wait.Pri)   // urgent data
	POLLOUT   = Events(wait.Out)   // a send would not wait
	POLLERR   = Events(wait.Err)   // an error is pending, or the error queue is not empty
	POLLHUP   = Events(wait.Hup)   // both directions are closed
	POLLRDHUP = Events(wait.RdHup) // the peer has shut down its sending direction
)

// What a PollSet's mask may hold besides events (epoll_ctl(2)).
const (
	// EPOLLET reports a socket once for each change, instead of as long as it is ready.
	EPOLLET = Events(socket.EdgeTriggered)
	// EPOLLONESHOT reports a socket once until the next Modify.
	EPOLLONESHOT = Events(socket.OneShot)
)

// Event says that a socket of a PollSet is ready.
type Event struct {
	Events Events
	Socket *Socket
	Data   any // as given to Add
}

// PollSet lets one goroutine watch thousands of sockets of one host, as epoll(7)
// does.
type PollSet struct{ set *socket.PollSet }

type watched struct {
	s    *Socket
	data any
}

// NewPollSet returns an empty poll set for the host's sockets.
func (h *Host) NewPollSet() *PollSet { return &PollSet{socket.NewPollSet(h.h)} }

// Add watches s for the events of mask, and POLLERR and POLLHUP in any case. The
// mask may hold EPOLLET and EPOLLONESHOT. data comes back with each event. EEXIST
// if s is in the set, EBADF if it is closed.
func (p *PollSet) Add(s *Socket, mask Events, data any) error {
	return p.set.Add(s.in, wait.Events(mask), watched{s, data})
}

// Modify changes the mask and data of s; ENOENT if it is not in the set.
func (p *PollSet) Modify(s *Socket, mask Events, data any) error {
	return p.set.Modify(s.in, wait.Events(mask), watched{s, data})
}

// Remove stops watching s; ENOENT if it is not in the set. A socket that is closed
// leaves the set by itself, as with epoll(7): no event of it comes any more, but for what a
// Wait of another goroutine has taken already.
func (p *PollSet) Remove(s *Socket) error { return p.set.Remove(s.in) }

// Wait stores up to len(out) events and returns how many. It waits for at least
// one, or until ctx ends, whose error it returns then. With a nil ctx it does not
// wait. EBADF once the set or the host is closed.
func (p *PollSet) Wait(ctx context.Context, out []Event) (int, error) {
	var few [64]socket.Event
	evs := few[:min(len(out), len(few))]
	n, err := p.set.Wait(ctx, evs)
	for i, e := range evs[:n] {
		w := e.Data.(watched)
		out[i] = Event{Events(e.Events), w.s, w.data}
	}
	return n, err
}

// OnReady has f called whenever a socket of the set may have become ready, for a
// caller that waits for other things besides: f tells it to call Wait with a nil
// context. f must not block, nor call anything of the host.
func (p *PollSet) OnReady(f func()) { p.set.OnReady(f) }

// AfterReady has f called as OnReady does, but by the goroutine that leaves the host, when
// it has unlocked: f may call Wait with a nil context, and all else. It is called once for
// all that became ready meanwhile, and by several goroutines at one time. It takes the place
// of OnReady's function.
func (p *PollSet) AfterReady(f func()) { p.set.AfterReady(f) }

// Close empties the set; a Wait under way returns EBADF.
func (p *PollSet) Close() error { return p.set.Close() }
