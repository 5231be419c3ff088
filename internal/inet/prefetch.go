package inet

import (
	"iter"

	"usock/internal/rank"
	"usock/internal/socket"
)

// prefetched is datagrams that were taken out of a receive queue for calls to come: a chunk
// of it. A receiver that has found several of them enters the socket's domain once for all: it
// does not compete for that with the sender of each.
//
//	push ──► dgram.queue ──fetch──► prefetched ──RecvPrefetched──► program
//	     (domain)        (domain)        (its own lock)
//
// What stands in prefetched came before what stands in the queue. Its bytes count
// against the receive buffer until the next fetch (Linux, udp_rmem_release, is as
// late). Whatever changes the outcome of a receive other than by its datagram has
// calls enter the host again (recall): a pending error, a deadline, MSG_PEEK.
type prefetched struct {
	mu   rank.Leaf
	c    *chunk // detached from the queue; nil: there is none
	next int    // c.p[next:end] is what is left
	end  int
	held bool // calls are to enter the host
}

// minPrefetch is how many datagrams must wait for a fetch to be worth while.
const minPrefetch = 4

// take takes the first datagram. free says that the caller has not entered the
// host.
func (a *prefetched) take(free bool) (g datagram, ok bool) {
	a.mu.Lock()
	if a.next < a.end && !(free && a.held) {
		g, ok = a.c.p[a.next], true
		a.next++
	}
	a.mu.Unlock()
	return g, ok
}

// peek returns the first datagram without taking it. The caller has entered the
// host and keeps others from taking it by held.
func (a *prefetched) peek() (*datagram, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == a.end {
		return nil, false
	}
	a.held = true
	return &a.c.p[a.next], true
}

// left are the datagrams that nobody has taken. a is locked.
func (a *prefetched) left() []datagram {
	if a.c == nil {
		return nil
	}
	return a.c.p[a.next:a.end]
}

func (a *prefetched) empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next == a.end
}

// fetch moves datagrams from the queue, once what was fetched before is used up.
func (d *dgram) fetch() {
	a := d.prefetched.Load()
	if a == nil {
		if !d.prefetchPays() {
			return
		}
		a = new(prefetched)
		d.prefetched.Store(a)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next < a.end {
		return
	}
	d.settle(a)
	a.held = false
	if !d.prefetchPays() {
		return
	}
	d.s.Received(&d.arrival, 0)
	a.c, a.next, a.end = d.queue.detach()
	d.fetched = a.c.cost
	if d.queue.len() == 0 {
		d.run = run{}
	}
}

// settle gives back what was fetched and is used up.
func (d *dgram) settle(a *prefetched) {
	if a.c != nil {
		d.queue.takeBack(a.c)
	}
	a.c, a.next, a.end = nil, 0, 0
	d.bytes -= d.fetched
	d.fetched = 0
}

// prefetchPays reports whether datagrams are to be set aside. SO_PEEK_OFF counts what is
// taken, and SIOCGSTAMP tells of the one that was taken last.
func (d *dgram) prefetchPays() bool {
	return d.queue.len() >= minPrefetch && d.s.Opt.PeekOff < 0 && !d.s.Opt.Has(socket.StampAsked)
}

// RecvPrefetched implements socket.Prefetcher.
func (u *udpProto) RecvPrefetched(s *socket.Socket, m *socket.Msg) (int, bool) {
	d := &udpOf(s).dgram
	a := d.prefetched.Load()
	if a == nil || u.Host.Tracing() {
		return 0, false
	}
	g, ok := a.take(true)
	if !ok {
		return 0, false
	}
	m.Flags = 0
	return d.receive(m, &g, 0, 0), true
}

// Recall implements socket.Prefetcher.
func (u *udpProto) Recall(s *socket.Socket) { udpOf(s).recall() }

// recall has calls enter the host until the next fetch.
func (d *dgram) recall() {
	if a := d.prefetched.Load(); a != nil {
		a.mu.Lock()
		a.held = true
		a.mu.Unlock()
	}
}

// readable reports whether a datagram is to be received.
func (d *dgram) readable() bool {
	if d.queue.len() > 0 {
		return true
	}
	a := d.prefetched.Load()
	return a != nil && !a.empty()
}

// waiting returns the first datagram that is to be received, nil if there is none.
func (d *dgram) waiting() *datagram {
	if a := d.prefetched.Load(); a != nil {
		if g, ok := a.peek(); ok {
			return g
		}
	}
	return d.queue.front()
}

// all are the datagrams that are to be received, in order. Others are kept from taking
// them by held.
func (d *dgram) all() iter.Seq[*datagram] {
	return func(yield func(*datagram) bool) {
		if a := d.prefetched.Load(); a != nil {
			a.mu.Lock()
			a.held = true
			left := a.left()
			a.mu.Unlock()
			for i := range left {
				if !yield(&left[i]) {
					return
				}
			}
		}
		for g := range d.queue.all() {
			if !yield(g) {
				return
			}
		}
	}
}

// first takes the first datagram that is to be received.
func (d *dgram) first() (datagram, bool) {
	if a := d.prefetched.Load(); a != nil {
		if g, ok := a.take(false); ok {
			return g, true
		}
	}
	if d.queue.len() == 0 {
		return datagram{}, false
	}
	return d.pop(), true
}
