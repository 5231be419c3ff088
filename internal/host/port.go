package host

import (
	"sync"

	"usock/internal/pkt"
)

// Sender takes packets that leave a host. Send takes over all of them and returns
// how many it accepted; it never blocks and is called with no lock held, by one
// goroutine at a time.
type Sender interface {
	Send(batch []*pkt.Packet) int
}

const (
	// batchSize is how many packets a port hands to its link at once.
	batchSize = 64
	// maxBatches is after how many batches a goroutine that flushes a port passes
	// the work on, so that no program's call carries the others' packets for ever.
	maxBatches = 64
	// maxQueue is how many packets wait in a port while its link is busy.
	maxQueue = 16 << 10
)

// Port is where packets leave a host for a link. Packets pushed under the host's
// lock are sent in that order after it is released, by the goroutine that left
// the host or by one that is flushing the port already.
type Port struct {
	host  *Host
	link  Sender
	dirty bool // in host.dirty; guarded by the host's lock

	mu      sync.Mutex
	queue   pkt.Queue // guarded by mu
	busy    bool      // a goroutine is flushing; guarded by mu
	dropped uint64    // packets that did not fit; guarded by mu
	batch   [batchSize]*pkt.Packet
}

// NewPort returns a port of h that sends to link.
func (h *Host) NewPort(link Sender) *Port { return &Port{host: h, link: link} }

// Push queues a packet for the link and takes it over. The host's lock must be
// held.
func (p *Port) Push(k *pkt.Packet) {
	p.mu.Lock()
	if p.queue.Len() >= maxQueue {
		p.dropped++
		p.mu.Unlock()
		k.Free()
		return
	}
	p.queue.Push(k)
	busy := p.busy
	p.mu.Unlock()
	if !p.dirty && !busy {
		p.dirty = true
		p.host.dirty = append(p.host.dirty, p)
	}
}

// Dropped returns how many packets found the queue or the link full.
func (p *Port) Dropped() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

// flush sends what is queued, unless someone is doing so.
func (p *Port) flush() {
	p.mu.Lock()
	if p.busy {
		p.mu.Unlock()
		return
	}
	p.busy = true
	p.mu.Unlock()
	p.drain()
}

func (p *Port) drain() {
	for range maxBatches {
		n := 0
		p.mu.Lock()
		for n < batchSize {
			k := p.queue.Pop()
			if k == nil {
				break
			}
			p.batch[n] = k
			n++
		}
		if n == 0 {
			p.busy = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		if sent := p.link.Send(p.batch[:n]); sent < n {
			p.mu.Lock()
			p.dropped += uint64(n - sent)
			p.mu.Unlock()
		}
		clear(p.batch[:n])
	}
	go p.drain()
}
