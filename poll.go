package usock

import (
	"context"
	"net/netip"

	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/wait"
)

// Addr is a socket address: what a struct sockaddr holds.
type Addr = abi.Addr

// Inet returns the address of family AF_INET or AF_INET6 with ap's IP and port.
func Inet(ap netip.AddrPort) Addr { return abi.AddrFrom(ap) }

// Unix returns the AF_UNIX address with the path, or with an abstract name where
// it begins with a NUL byte.
func Unix(path string) Addr { return Addr{Family: AF_UNIX, Path: path} }

// ParseAddr returns the address written as "127.0.0.1:80" or "[::1]:80".
func ParseAddr(s string) (Addr, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return Addr{}, err
	}
	return Inet(ap), nil
}

// Events is a set of readiness events, with the bits of poll(2).
type Events = wait.Events

// The events of poll(2).
const (
	POLLIN    = wait.In
	POLLPRI   = wait.Pri
	POLLOUT   = wait.Out
	POLLERR   = wait.Err
	POLLHUP   = wait.Hup
	POLLRDHUP = wait.RdHup
)

// What a PollSet's mask may hold besides events (epoll_ctl(2)).
const (
	EPOLLET      = socket.EdgeTriggered
	EPOLLONESHOT = socket.OneShot
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
	return p.set.Add(s.in, mask, watched{s, data})
}

// Modify changes the mask and data of s; ENOENT if it is not in the set.
func (p *PollSet) Modify(s *Socket, mask Events, data any) error {
	return p.set.Modify(s.in, mask, watched{s, data})
}

// Remove stops watching s; ENOENT if it is not in the set. A socket that is closed
// leaves the set by itself once its POLLHUP was delivered.
func (p *PollSet) Remove(s *Socket) error { return p.set.Remove(s.in) }

// Wait stores up to len(out) events and returns how many. It waits for at least
// one, or until ctx ends, whose error it returns then. With a nil ctx it does not
// wait.
func (p *PollSet) Wait(ctx context.Context, out []Event) (int, error) {
	var few [64]socket.Event
	evs := few[:min(len(out), len(few))]
	n, err := p.set.Wait(ctx, evs)
	for i, e := range evs[:n] {
		w := e.Data.(watched)
		out[i] = Event{e.Events, w.s, w.data}
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
