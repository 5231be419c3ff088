package relay

import (
	"sync"

	"usock/packet"
)

// Sender takes packets. Send takes over all of them and returns how many it
// accepted; it never blocks.
type Sender interface {
	Send(batch []*packet.Packet) int
}

const (
	// relayBatch is how many packets a relay hands on at once.
	relayBatch = 64
	// relayTurn is after how many batches a goroutine that hands packets on leaves the
	// rest for later, so that no program's call carries the others' packets for ever.
	relayTurn = 64
)

// Relay is a queue of packets on their way to one place. Any number of goroutines
// push packets and flush; whoever finds nobody doing so hands on what is queued, in
// order, so that the place is sent to by one goroutine at a time. A relay is made
// by setting To, Bound and Later, and not copied.
type Relay struct {
	To    Sender         // called without a lock
	Bound int            // packets that wait at most
	Later func(f func()) // has another goroutine, or this one afterwards, call f

	mu      sync.Mutex
	queue   packet.Queue
	busy    bool // a goroutine hands on
	closed  bool
	dropped uint64                     // packets that did not fit
	batch   [relayBatch]*packet.Packet // of the goroutine that hands on
}

// Push queues p and takes it over. ok says that it was not dropped: for want of
// room, or as the relay is closed. idle says that nobody hands packets on, so that
// p waits for a Flush.
func (r *Relay) Push(p *packet.Packet) (ok, idle bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.queue.Len() >= r.Bound {
		r.dropped++
		p.Free()
		return false, false
	}
	r.queue.Push(p)
	return true, !r.busy
}

// Dropped returns how many packets the relay or the place had no room for.
func (r *Relay) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Flush hands on what is queued, unless someone is doing so.
func (r *Relay) Flush() {
	r.mu.Lock()
	if r.busy {
		r.mu.Unlock()
		return
	}
	r.busy = true
	r.mu.Unlock()
	r.carry()
}

func (r *Relay) carry() {
	for range relayTurn {
		r.mu.Lock()
		n := r.queue.PopTo(r.batch[:])
		if n == 0 {
			r.busy = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		if sent := r.To.Send(r.batch[:n]); sent < n {
			r.mu.Lock()
			r.dropped += uint64(n - sent)
			r.mu.Unlock()
		}
		clear(r.batch[:n])
	}
	r.Later(r.carry)
}

// Close frees what is queued, and what is pushed from now on.
func (r *Relay) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.queue.Free()
}
