package host

import (
	"sync/atomic"

	"usock/internal/rank"
	"usock/packet"
)

// Task is something to be done in a domain, with a packet or without.
type Task interface {
	// Run is called in the lane l, which is in the domain and goes into no other meanwhile. It takes over p.
	Run(l *Lane, p *packet.Packet)
}

// Call is a Task that is a function, and takes no packet.
type Call func()

// Run implements Task.
func (c Call) Run(*Lane, *packet.Packet) { c() }

// box is what others have left for a domain that was busy, first in, first out.
//
// Whoever leaves something then tries to enter the domain, to do it himself; whoever has it entered looks
// into the box after he has unlocked it. One of the two sees what the other did, so that nothing stays in a
// box while nobody is in its domain.
type box struct {
	n     atomic.Int32 // tasks in list
	mu    rank.Leaf
	list  []left // mu
	spare []left // of whoever is in the domain
}

type left struct {
	task Task
	p    *packet.Packet
}

// left reports whether something waits in the domain's box. Anybody may ask.
func (d *Domain) left() bool {
	b := d.box.Load()
	return b != nil && b.n.Load() > 0
}

// maxBox is how many packets wait in a box, as in a port (maxQueue): whoever has the domain may have been taken
// off his processor.
const maxBox = maxQueue

// Full reports whether there is no room for more packets for the domain. Anybody may ask.
func (d *Domain) Full() bool {
	b := d.box.Load()
	return b != nil && b.n.Load() >= maxBox
}

// leaveFor puts a task into the box.
func (d *Domain) leaveFor(t Task, p *packet.Packet) {
	b := d.box.Load()
	if b == nil {
		b = new(box)
		if !d.box.CompareAndSwap(nil, b) {
			b = d.box.Load()
		}
	}
	b.mu.Lock()
	b.list = append(b.list, left{t, p})
	b.n.Store(int32(len(b.list)))
	b.mu.Unlock()
}

// maxSpareBox is how long a box may be that is kept for reuse.
const maxSpareBox = 1024

// drain does what is in the box of the domain that l is in.
func (l *Lane) drain(d *Domain) {
	b := d.box.Load()
	b.mu.Lock()
	list := b.list
	b.list = b.spare[:0]
	b.spare = nil
	b.n.Store(0)
	b.mu.Unlock()

	l.pinned = true
	for _, x := range list {
		l.do(x.task, x.p)
	}
	l.pinned = false
	l.drained += len(list)
	if cap(list) <= maxSpareBox {
		clear(list)
		b.spare = list[:0]
	}
}
