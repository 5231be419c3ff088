package main

import (
	"sync"
	"sync/atomic"

	"usock/link"
	"usock/packet"
)

// end is one end of a cable: a link that hands packets to the other end as they are, and
// counts the bytes of data in them.
type end struct {
	info    link.Info
	payload atomic.Int64
	peer    *end

	mu      sync.Mutex
	deliver func([]*packet.Packet) // mu; nil before Deliver and after Close
	handing sync.Mutex             // one goroutine at a time delivers
}

// newCable returns both ends of a cable.
func newCable(name string, mtu int) (*end, *end) {
	a := &end{info: link.Info{Name: name, MTU: mtu}}
	b := &end{info: a.info, peer: a}
	a.peer = b
	return a, b
}

// Info implements link.Link.
func (e *end) Info() link.Info { return e.info }

// Send implements link.Link.
func (e *end) Send(batch []*packet.Packet) int {
	for i, p := range batch {
		for _, v := range p.Payload.Views() {
			e.payload.Add(int64(len(v.Bytes())))
		}
		if i%2 == 0 { // every other one arrives as a copy, as from a device
			batch[i] = again(p)
		}
	}
	e.peer.mu.Lock()
	f := e.peer.deliver
	e.peer.mu.Unlock()
	if f == nil {
		for _, p := range batch {
			p.Free()
		}
		return 0
	}
	e.peer.handing.Lock()
	defer e.peer.handing.Unlock()
	f(batch)
	return len(batch)
}

// again returns a packet with p's bytes in a block of its own, and frees p.
func again(p *packet.Packet) *packet.Packet {
	block := packet.NewBlock(p.Len())
	b := p.AppendTo(block.Bytes()[:0])
	q := packet.New()
	q.Payload.Append(block.View(0, len(b)))
	p.Free()
	return q
}

// Deliver implements link.Direct.
func (e *end) Deliver(f func([]*packet.Packet)) {
	e.mu.Lock()
	e.deliver = f
	e.mu.Unlock()
}

// Recv implements link.Link. Nobody calls it of a link that is Direct.
func (e *end) Recv([]*packet.Packet) (int, error) { return 0, link.ErrClosed }

// Close implements link.Link.
func (e *end) Close() error {
	e.Deliver(nil)
	return nil
}

var _ link.Direct = (*end)(nil)
