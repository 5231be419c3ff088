package relay

import (
	"sync"

	"usock/packet"
)

// Sender takes packets. Send takes over all of them and returns how many it
// accepted, less than none where it has made several of one and lost more; it never blocks.
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
// by setting the exported fields, and not copied.
type Relay struct {
	To    Sender         // called without a lock
	Bound int            // packets that wait at most
	Later func(f func()) // has another goroutine, or this one afterwards, call f

	// Count says how many packets one is for the place, and so how many are dropped with it; nil: one.
	Count func(*packet.Packet) int

	mu      sync.Mutex
	queue   fifo
	busy    bool // a goroutine hands on
	closed  bool
	dropped uint64                     // packets that did not fit
	batch   [relayBatch]*packet.Packet // of the goroutine that hands on
}

// Push queues p for the next Flush and takes it over. It reports false if p was dropped: for
// want of room, or as the relay is closed.
func (r *Relay) Push(p *packet.Packet) bool {
	r.mu.Lock()
	if r.closed || r.queue.len() >= r.Bound {
		n := 1
		if r.Count != nil {
			n = r.Count(p)
		}
		r.dropped += uint64(n)
		r.mu.Unlock()
		p.Free()
		return false
	}
	r.queue.push(p)
	r.mu.Unlock()
	return true
}

// For returns the relay that p goes by: r, whatever it is.
func (r *Relay) For(*packet.Packet) *Relay { return r }

// Dropped returns how many packets the relay or the place had no room for.
func (r *Relay) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Idle reports whether nothing is queued and nobody hands on: until the next Push, Dropped stays as it is.
func (r *Relay) Idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.busy && r.queue.len() == 0
}

// Flush hands on what is queued, unless someone is doing so. Where the place panics or ends the goroutine, the rest waits
// for the next Flush.
func (r *Relay) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		return
	}
	r.busy = true
	goesOn := false
	defer func() { r.busy = goesOn }()

	for range relayTurn {
		n := r.queue.popTo(r.batch[:])
		if n == 0 {
			return
		}
		sent := r.send(r.batch[:n])
		r.dropped += uint64(n - sent)
	}

	// The turn is over. Until it goes on there is somebody at it, so that nobody else's call gets
	// these packets to carry.
	goesOn = true
	r.Later(func() {
		r.mu.Lock()
		r.busy = false
		r.mu.Unlock()
		r.Flush()
	})
}

// send hands on a batch without the lock, which its caller holds, and holds again whatever the place does.
func (r *Relay) send(batch []*packet.Packet) int {
	r.mu.Unlock()
	defer r.mu.Lock()
	defer clear(batch)
	return r.To.Send(batch)
}

// Close frees what is queued, and what is pushed from now on.
func (r *Relay) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.queue.free()
}
