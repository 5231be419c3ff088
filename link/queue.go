package link

import (
	"sync"
	"sync/atomic"

	"usock/packet"
)

// inbox is the receiving side of a link in memory: packets go to the function that
// Deliver has set or else, up to a bound, into a queue for Recv.
type inbox struct {
	bound int // packets; not changed after the start

	mu       sync.Mutex
	arrived  sync.Cond
	deliver  func([]*Packet) // mu
	draining bool            // mu: Deliver hands on what was queued before
	closed   bool            // mu
	queue    packet.Queue    // mu

	flows atomic.Pointer[func([]*Packet)] // changed under mu: deliver, if it may be called by several goroutines at once
}

// queueBound is how many packets wait for a Recv.
const queueBound = 4096

func newInbox() *inbox {
	b := &inbox{bound: queueBound}
	b.arrived.L = &b.mu
	return b
}

// put takes over the packets of batch and returns how many it accepted. Calls must
// not be made from two goroutines at once.
func (b *inbox) put(batch []*Packet) int {
	n, f := b.store(batch)
	if f != nil {
		f(batch)
	}
	return n
}

// store is put for several goroutines at once, but for what is to be delivered: that remains the caller's, for the
// function that is returned.
func (b *inbox) store(batch []*Packet) (n int, deliver func([]*Packet)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deliver != nil && !b.draining && !b.closed {
		return len(batch), b.deliver
	}
	for _, p := range batch {
		if b.closed || b.queue.Len() >= b.bound {
			p.Free()
			continue
		}
		b.queue.Push(p)
		n++
	}
	b.arrived.Signal()
	return n, nil
}

// Recv implements Link.
func (b *inbox) Recv(batch []*Packet) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.queue.Len() == 0 && !b.closed {
		b.arrived.Wait()
	}
	if b.closed {
		return 0, ErrClosed
	}
	return b.queue.PopTo(batch), nil
}

// Deliver implements Direct. Packets that came before are handed on first. It may be called again: f has what comes from then on, but
// for what is being delivered.
func (b *inbox) Deliver(f func([]*Packet)) {
	var batch [64]*Packet
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flows.Store(nil)
	b.deliver, b.draining = f, true
	for {
		n := b.queue.PopTo(batch[:])
		if n == 0 {
			b.draining = false
			return
		}
		b.mu.Unlock()
		f(batch[:n])
		b.mu.Lock()
	}
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.flows.Store(nil)
	b.queue.Free()
	b.arrived.Broadcast()
}
