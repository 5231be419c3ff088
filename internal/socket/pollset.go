package socket

import (
	"context"
	"sync/atomic"
	"syscall"

	"usock/internal/host"
	"usock/internal/wait"
)

// Event says that a socket of a poll set is ready.
type Event struct {
	Events wait.Events
	Data   any // as given to Add
}

// EdgeTriggered, or-ed into a mask, reports a socket once for each change instead
// of as long as it is ready (EPOLLET); OneShot reports it once until the next
// Modify (EPOLLONESHOT).
const (
	EdgeTriggered wait.Events = 1 << 31
	OneShot       wait.Events = 1 << 30
)

// PollSet watches many sockets of one host for one or a few goroutines, as
// epoll(7) does.
type PollSet struct {
	host  *host.Domain
	items map[*Socket]*item // guarded by the host's lock, like all below
	ready []*item           // told, and not yet found idle by Wait
	spare []*item
	queue wait.Queue // goroutines in Wait
	close bool

	onReady func() // nil: none
}

type item struct {
	wait.Entry
	set    *PollSet
	s      *Socket
	mask   wait.Events
	data   any
	listed bool // in set.ready
	gone   bool // removed
}

// NewPollSet returns an empty set for sockets of h.
func NewPollSet(h *host.Domain) *PollSet {
	return &PollSet{host: h, items: make(map[*Socket]*item)}
}

// Notify implements wait.Target.
func (i *item) Notify(_ *wait.Entry, _ wait.Events, l *wait.List) {
	if i.s.closed {
		// As with epoll(7), a closed socket is out of the set and makes no event. Those in
		// Wait look again, as the host may be what closes.
		i.set.drop(i)
		i.set.queue.Notify(wait.In, l)
		return
	}
	i.list()
	if !i.set.queue.Empty() {
		i.set.queue.Notify(wait.In, l)
	}
	if f := i.set.onReady; f != nil {
		f()
	}
}

// OnReady has f called whenever a socket of the set may have become ready, for a
// caller that waits for other things besides: f tells it to call Wait with a nil
// context. f is called with the host's lock held; it must not block, nor enter the
// host.
func (p *PollSet) OnReady(f func()) {
	p.host.Enter()
	p.onReady = f
	p.host.Leave()
}

// AfterReady has f called without the lock, once for each time that the host is left after
// sockets of the set may have become ready.
func (p *PollSet) AfterReady(f func()) {
	var told atomic.Bool
	call := func() {
		told.Store(false)
		f()
	}
	p.OnReady(func() {
		if !told.Swap(true) {
			p.host.After(call)
		}
	})
}

func (i *item) list() {
	if !i.listed && !i.gone {
		i.listed = true
		i.set.ready = append(i.set.ready, i)
	}
}

// Add watches s for the events of mask, Err and Hup; data comes back with each
// event. EEXIST if s is in the set, EINVAL for a socket of another host, EBADF
// for a closed one.
func (p *PollSet) Add(s *Socket, mask wait.Events, data any) error {
	if s.Host != p.host {
		return syscall.EINVAL
	}
	p.host.Enter()
	defer p.host.Leave()
	if s.closed || p.close {
		return syscall.EBADF
	}
	if p.items[s] != nil {
		return syscall.EEXIST
	}
	i := &item{set: p, s: s, mask: mask, data: data}
	i.Target, i.Mask = i, mask
	p.items[s] = i
	s.queue.Add(&i.Entry)
	p.look(i)
	return nil
}

// Modify changes the mask and data of s. ENOENT if it is not in the set.
func (p *PollSet) Modify(s *Socket, mask wait.Events, data any) error {
	p.host.Enter()
	defer p.host.Leave()
	i := p.items[s]
	if i == nil {
		return syscall.ENOENT
	}
	i.mask, i.Mask, i.data = mask, mask, data
	p.look(i)
	return nil
}

// Remove stops watching s. ENOENT if it is not in the set. A socket that is
// closed leaves the set by itself, without an event.
func (p *PollSet) Remove(s *Socket) error {
	p.host.Enter()
	defer p.host.Leave()
	i := p.items[s]
	if i == nil {
		return syscall.ENOENT
	}
	p.drop(i)
	return nil
}

func (p *PollSet) drop(i *item) {
	i.gone = true
	i.Entry.Remove()
	delete(p.items, i.s)
}

func (p *PollSet) look(i *item) {
	if p.readiness(i) != 0 {
		i.list()
		p.host.Notify(&p.queue, wait.In)
		if p.onReady != nil {
			p.onReady()
		}
	}
}

func (p *PollSet) readiness(i *item) wait.Events {
	return i.s.Proto.Ready(i.s) & (i.mask&^(EdgeTriggered|OneShot) | wait.Err | wait.Hup)
}

// Wait stores up to len(out) events and returns how many, at least one. It waits
// until there is one or ctx ends, and returns ctx's error then; a nil ctx does
// not wait at all and may return 0. EBADF once the set or the host is closed.
func (p *PollSet) Wait(ctx context.Context, out []Event) (int, error) {
	if len(out) == 0 {
		return 0, syscall.EINVAL
	}
	h := p.host
	h.Enter()
	defer h.Leave()
	for {
		if p.close || h.Closed() {
			return 0, syscall.EBADF
		}
		if n := p.collect(out); n > 0 || ctx == nil {
			return n, nil
		}
		w := h.Waiter()
		w.Mask = wait.In
		p.queue.Add(&w.Entry)
		h.Leave()
		c := call{ctx: ctx}
		received := c.wait(w)
		h.Enter()
		w.Remove()
		if !received && w.Listed() {
			h.Leave()
			<-w.C
			h.Enter()
			received = true
		}
		if received {
			w.Received()
		}
		h.PutWaiter(w)
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}

// collect takes events off the ready list. A level-triggered socket goes to its
// end again, so that it is looked at the next time and the others have their turn.
func (p *PollSet) collect(out []Event) int {
	n, k := 0, 0
	again := p.spare[:0]
	for ; k < len(p.ready) && n < len(out); k++ {
		i := p.ready[k]
		i.listed = false
		if i.gone {
			continue
		}
		ev := p.readiness(i)
		if ev == 0 {
			continue
		}
		out[n] = Event{ev, i.data}
		n++
		switch {
		case i.mask&OneShot != 0:
			i.mask, i.Mask = OneShot, 0
		case i.mask&EdgeTriggered == 0:
			i.listed = true
			again = append(again, i)
		}
	}
	rest := copy(p.ready, p.ready[k:])
	clear(p.ready[rest:])
	p.ready = append(p.ready[:rest], again...)
	clear(again)
	p.spare = again[:0]
	return n
}

// Close empties the set. A Wait under way returns EBADF.
func (p *PollSet) Close() error {
	p.host.Enter()
	defer p.host.Leave()
	if p.close {
		return syscall.EBADF
	}
	p.close = true
	for _, i := range p.items {
		p.drop(i)
	}
	p.ready = nil
	p.host.Notify(&p.queue, wait.In)
	return nil
}
