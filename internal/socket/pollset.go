package socket

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"syscall"

	"usock/internal/host"
	"usock/internal/rank"
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
// epoll(7) does. It has a lock of its own, which is taken after that of a socket's domain.
type PollSet struct {
	host *host.Host

	mu      rank.Set
	items   map[*Socket]*item // mu, like all below
	ready   itemList          // told, and not yet found idle by Wait
	taking  int               // taken off ready, and being looked at
	missed  bool              // somebody has begun to wait meanwhile
	queue   wait.Queue        // goroutines in Wait
	idle    []*wait.Waiter    // for reuse
	close   bool
	onReady func(*host.Domain) // nil: none
}

// item is a socket in a set. What it has of the socket's queue is guarded by the socket's domain, the rest by
// the set's lock; its mask changes under both.
type item struct {
	wait.Entry
	set    *PollSet
	s      *Socket
	mask   wait.Events
	data   any
	listed bool  // in set.ready
	next   *item // there
	spent  bool  // has had its one shot
	gone   bool  // removed
}

// itemList is a queue of items, each at most once.
type itemList struct {
	first, last *item
	n           int
}

// push puts i at the end, if it is not listed yet.
func (l *itemList) push(i *item) {
	if i.listed {
		return
	}
	i.listed = true
	if l.last == nil {
		l.first = i
	} else {
		l.last.next = i
	}
	l.last = i
	l.n++
}

// pop takes the first item out; the list must not be empty.
func (l *itemList) pop() *item {
	i := l.first
	l.first = i.next
	if l.first == nil {
		l.last = nil
	}
	i.next, i.listed = nil, false
	l.n--
	return i
}

// NewPollSet returns an empty set for sockets of h.
func NewPollSet(h *host.Host) *PollSet {
	return &PollSet{host: h, items: make(map[*Socket]*item)}
}

// Notify implements wait.Target.
func (i *item) Notify(_ *wait.Entry, _ wait.Events, l *wait.List) {
	p := i.set
	p.mu.Lock()
	if i.s.closed {
		// As with epoll(7), a closed socket is out of the set and makes no event. Those in
		// Wait look again, as the host may be what closes.
		p.drop(i)
		p.queue.Notify(wait.In, l)
		p.mu.Unlock()
		return
	}
	if i.spent {
		p.mu.Unlock()
		return
	}
	f := p.list(i, l)
	p.mu.Unlock()
	if f != nil {
		f(i.s.Host)
	}
}

// OnReady has f called whenever a socket of the set may have become ready, for a
// caller that waits for other things besides: f tells it to call Wait with a nil
// context. f is called with the socket's domain entered, by several goroutines at once; it must not block, nor
// enter the host.
func (p *PollSet) OnReady(f func()) { p.setOnReady(func(*host.Domain) { f() }) }

// AfterReady has f called without a lock, once for each time that a domain is left after
// sockets of the set may have become ready.
func (p *PollSet) AfterReady(f func()) {
	var told atomic.Bool
	call := func() {
		told.Store(false)
		f()
	}
	p.setOnReady(func(d *host.Domain) {
		if !told.Swap(true) {
			d.After(call)
		}
	})
}

func (p *PollSet) setOnReady(f func(*host.Domain)) {
	p.mu.Lock()
	p.onReady = f
	p.mu.Unlock()
}

// list puts i among those to be looked at, and returns what is to be called once mu is free.
func (p *PollSet) list(i *item, l *wait.List) func(*host.Domain) {
	if !i.gone {
		p.ready.push(i)
	}
	if !p.queue.Empty() {
		p.queue.Notify(wait.In, l)
	}
	return p.onReady
}

// Add watches s for the events of mask, Err and Hup; data comes back with each
// event. EEXIST if s is in the set, EINVAL for a socket of another host, EBADF
// for a closed one.
func (p *PollSet) Add(s *Socket, mask wait.Events, data any) error {
	if s.Host.Host() != p.host {
		return syscall.EINVAL
	}
	s.Host.Enter()
	defer s.Host.Leave()
	p.mu.Lock()
	if s.closed || p.close {
		p.mu.Unlock()
		return syscall.EBADF
	}
	if p.items[s] != nil {
		p.mu.Unlock()
		return syscall.EEXIST
	}
	i := &item{set: p, s: s, mask: mask, data: data}
	i.Target, i.Mask = i, mask
	p.items[s] = i
	p.mu.Unlock()
	s.queue.Add(&i.Entry)
	p.look(i)
	return nil
}

// Modify changes the mask and data of s. ENOENT if it is not in the set.
func (p *PollSet) Modify(s *Socket, mask wait.Events, data any) error {
	s.Host.Enter()
	defer s.Host.Leave()
	p.mu.Lock()
	i := p.items[s]
	if i == nil {
		p.mu.Unlock()
		return syscall.ENOENT
	}
	i.mask, i.Mask, i.data, i.spent = mask, mask, data, false
	p.mu.Unlock()
	p.look(i)
	return nil
}

// Remove stops watching s. ENOENT if it is not in the set. A socket that is
// closed leaves the set by itself, without an event.
func (p *PollSet) Remove(s *Socket) error {
	s.Host.Enter()
	defer s.Host.Leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.items[s]
	if i == nil {
		return syscall.ENOENT
	}
	if p.drop(i); len(p.items) == 0 {
		p.queue.Notify(wait.In, s.Host.Wakes()) // see untilClosed
	}
	return nil
}

// drop takes i out. The socket's domain is entered, and mu held.
func (p *PollSet) drop(i *item) {
	i.gone = true
	i.Entry.Remove()
	delete(p.items, i.s)
}

// look lists i if its socket is ready. The socket's domain is entered.
func (p *PollSet) look(i *item) {
	if p.readiness(i) == 0 {
		return
	}
	p.mu.Lock()
	f := p.list(i, i.s.Host.Wakes())
	p.mu.Unlock()
	if f != nil {
		f(i.s.Host)
	}
}

// readiness returns the events that i is to be told of. The socket's domain is entered.
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
	for {
		n, err := p.collect(out)
		if n > 0 || err != nil || ctx == nil {
			return n, err
		}
		p.mu.Lock()
		if p.ready.n > 0 || p.close || p.host.Closed() {
			p.mu.Unlock()
			continue
		}
		p.missed = p.missed || p.taking > 0
		w := p.waiter()
		w.Mask = wait.In
		p.queue.Add(&w.Entry)
		empty := len(p.items) == 0
		p.mu.Unlock()
		stop := func() {}
		if empty {
			stop = p.untilClosed()
		}
		c := call{ctx: ctx}
		received := c.wait(w)
		stop()
		p.mu.Lock()
		w.Remove()
		if !received && w.Listed() {
			p.mu.Unlock()
			<-w.C
			p.mu.Lock()
			received = true
		}
		if received {
			w.Received()
		}
		p.idle = append(p.idle, w)
		p.mu.Unlock()
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}

// untilClosed has those in Wait look again when the host is closed, of which an empty set hears by no socket.
func (p *PollSet) untilClosed() (stop func()) {
	stop = p.host.AtClose(p.wake)
	if p.host.Closed() {
		var l wait.List
		p.wake(&l)
		l.Signal()
	}
	return stop
}

// wake has those in Wait look again.
func (p *PollSet) wake(l *wait.List) {
	p.mu.Lock()
	p.queue.Notify(wait.In, l)
	p.mu.Unlock()
}

// waiter returns a waiter that is in no queue. mu is held.
func (p *PollSet) waiter() *wait.Waiter {
	n := len(p.idle)
	if n == 0 {
		return wait.NewWaiter()
	}
	w := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return w
}

// collect takes events off the ready list. A level-triggered socket goes to its
// end again, so that it is looked at the next time and the others have their turn.
func (p *PollSet) collect(out []Event) (n int, err error) {
	var l wait.List
	p.mu.Lock()
	defer func() {
		p.mu.Unlock()
		l.Signal()
	}()
	if p.close || p.host.Closed() {
		return 0, syscall.EBADF
	}

	// Those alone that are listed by now: a level-triggered one would come again and again.
	for k := p.ready.n; k > 0 && p.ready.n > 0 && n < len(out); k-- {
		i := p.ready.pop()
		if i.gone {
			continue
		}
		p.taking++
		p.mu.Unlock()
		ok := p.take(i, &out[n])
		p.mu.Lock()
		p.taking--
		if ok {
			n++
		}
	}

	// Who has found nothing while it was in this one's hands is told of what is still ready.
	if p.missed && p.taking == 0 {
		p.missed = false
		if p.ready.n > 0 {
			p.queue.Notify(wait.In, &l)
		}
	}
	return n, nil
}

// take stores what i is to be told of, if there is something.
func (p *PollSet) take(i *item, out *Event) bool {
	i.s.Host.Enter()
	defer i.s.Host.Leave()
	if i.s.closed {
		return false
	}
	ev := p.readiness(i)
	p.mu.Lock()
	defer p.mu.Unlock()
	if ev == 0 || i.gone || i.spent {
		return false
	}
	*out = Event{ev, i.data}
	switch {
	case i.mask&OneShot != 0:
		i.spent = true
	case i.mask&EdgeTriggered == 0:
		p.ready.push(i)
	}
	return true
}

// Close empties the set. A Wait under way returns EBADF.
func (p *PollSet) Close() error {
	p.mu.Lock()
	if p.close {
		p.mu.Unlock()
		return syscall.EBADF
	}
	p.close = true
	items := slices.Collect(maps.Values(p.items))
	p.mu.Unlock()
	for _, i := range items {
		i.s.Host.Enter()
		p.mu.Lock()
		if !i.gone {
			p.drop(i)
		}
		p.mu.Unlock()
		i.s.Host.Leave()
	}
	var l wait.List
	p.mu.Lock()
	p.ready = itemList{}
	p.queue.Notify(wait.In, &l)
	p.mu.Unlock()
	l.Signal()
	return nil
}
