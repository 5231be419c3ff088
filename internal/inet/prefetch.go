package inet

import (
	"iter"

	"usock/internal/rank"
	"usock/internal/socket"
)

// prefetched is datagrams that were taken out of a receive queue for calls to come. A
// receiver that has found several of them enters the host once for all: it does
// not compete for the host's lock with the sender of each.
//
//	push ──► dgram.queue ──fetch──► prefetched ──RecvPrefetched──► program
//	   (host's lock)   (host's lock)   (its own lock)
//
// What stands in prefetched came before what stands in the queue. Its bytes count
// against the receive buffer until the next fetch (Linux, udp_rmem_release, is as
// late). Whatever changes the outcome of a receive other than by its datagram has
// calls enter the host again (recall): a pending error, a deadline, MSG_PEEK.
type prefetched struct {
	mu   rank.Leaf
	list [maxPrefetch]datagram
	next int // list[next:end] is what is left
	end  int
	held bool // calls are to enter the host
}

const (
	maxPrefetch = 32
	// minPrefetch is how many datagrams must wait for a fetch to be worth while.
	minPrefetch = 4
)

// take takes the first datagram. free says that the caller has not entered the
// host.
func (a *prefetched) take(free bool) (g datagram, ok bool) {
	a.mu.Lock()
	if a.next < a.end && !(free && a.held) {
		g, ok = a.list[a.next], true
		a.list[a.next].p = nil
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
	return &a.list[a.next], true
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
	d.bytes -= d.fetched
	d.fetched = 0
	a.next, a.end, a.held = 0, 0, false
	if !d.prefetchPays() {
		return
	}
	d.s.Received(&d.arrival, 0)
	for a.end < maxPrefetch && d.queue.len() > 0 {
		before := d.bytes
		a.list[a.end] = d.pop()
		a.end++
		d.fetched += before - d.bytes
		d.bytes = before
	}
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
	if a == nil {
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
			left := a.list[a.next:a.end]
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
