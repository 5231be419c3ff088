//go:build amd64 || arm64

package run

import (
	"container/heap"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parked is a call that waits. All that waits, waits so: it is in a list of what it
// waits for (a socket's, the scan's), whoever changes that wakes the list, and the loop
// tries it again when its round comes to it.
type parked struct {
	c       call
	try     func(*call) result
	list    *waiters
	until   time.Time // zero: no limit
	expired syscall.Errno
	index   int // in the heap of timers; -1: not there
	kick    int // in the kicker's list; -1: not there
	since   time.Time
	firm    bool // no signal ends it that does not end its thread

	// leave is for a call that is ended by a signal or by its time, and has begun
	// something. Its result stands, if it is not park. nil: there is nothing to do.
	leave func(*call) result

	over   bool
	woken  bool // in loop.runnable
	trying bool // and may be away: see turn_linux.go
	again  bool // woken while it was tried
	final  result
}

// waiters are the calls that wait for one thing, the longest waiting first.
type waiters []*parked

// wake has the calls tried again.
func (w waiters) wake(l *loop) {
	for _, p := range w {
		p.wake(l)
	}
}

func (s *sock) wakeAll() {
	if s.taking == isTaking {
		s.taking = takingWoken
	}
	s.waiting.wake(s.l)
}

func (p *parked) wake(l *loop) {
	switch {
	case p.trying:
		p.again = true
	case !p.woken:
		p.woken = true
		l.runnable = append(l.runnable, p)
	}
}

// park leaves the call until try, called after each event of what it waits for, has a
// result. After d, if it is a limit, it ends with the error expired. A call that is
// being tried waits on as it did, but for a limit that it had not.
func (c *call) park(list *waiters, try func(*call) result, d timeout, expired syscall.Errno) result {
	if d.now {
		return c.fail(expired)
	}
	if c.waits != nil {
		c.waits.limit(d, expired)
		return result{how: park}
	}
	p := &parked{try: try, list: list, index: -1, kick: -1, since: wall()}
	c.waits = p
	p.c = *c
	p.limit(d, expired)
	c.l.space.force(1) // the duplicate
	p.c.t.parked = p
	*list = append(*list, p)
	c.l.kicker.add(p)
	return result{how: park}
}

// limit ends the call after d with expired, unless it has a limit.
func (p *parked) limit(d timeout, expired syscall.Errno) {
	if d.after > 0 && p.until.IsZero() {
		p.until, p.expired = wall().Add(d.after), expired
		heap.Push(&p.c.l.timers, p)
	}
}

// unlimited takes the call's limit off it.
func (p *parked) unlimited() {
	if p.index >= 0 {
		heap.Remove(&p.c.l.timers, p.index)
	}
	p.until = time.Time{}
}

// run tries the call again. One whose thread is gone must not take what is another's: the
// thread's number may be that of a new program by now (execve of another thread).
func (p *parked) run() {
	p.woken = false
	if p.over {
		return
	}
	if !p.c.l.notify.valid(p.c.n.id) {
		p.gone()
		return
	}
	r := p.during(p.try)
	switch {
	case p.over:
		// It was ended while it was away. What it has done meanwhile stands.
		if r.how == park {
			r = p.left(p.final)
		}
		p.c.finish(r)
	case r.how != park:
		p.end(r)
	case p.again:
		p.again = false
		p.wake(p.c.l)
	}
}

// during has f work on the call, which may be away meanwhile.
func (p *parked) during(f func(*call) result) result {
	t, who := p.c.t, p.c.l.caller
	p.trying = true
	t.calls++
	was := who.calls(&p.c)
	r := f(&p.c)
	who.calls(was)
	t.calls--
	p.trying = false
	return r
}

// end answers the call, now or, while it is tried, after that.
func (p *parked) end(r result) {
	if p.over {
		return
	}
	p.over = true
	p.unlink()
	if p.trying {
		p.final = r
		return
	}
	p.c.finish(r)
}

// stop ends a call that a signal or its time has ended, with r or what it has done.
func (p *parked) stop(r result) {
	switch {
	case p.over:
	case p.trying:
		p.end(r)
	default:
		if r = p.left(r); p.over { // ended meanwhile
			p.c.finish(r)
			return
		}
		p.end(r)
	}
}

// left has the call leave what it has begun, and returns its result: r, if it has none
// of its own.
func (p *parked) left(r result) result {
	if p.leave == nil {
		return r
	}
	if own := p.during(p.leave); own.how != park {
		return own
	}
	return r
}

// gone forgets the call, because its thread is gone or has left it. What it has moved is
// answered all the same: the thread may make it again (replay).
func (p *parked) gone() { p.stop(result{how: done}) }

func (p *parked) unlink() {
	l := p.c.l
	if p.index >= 0 {
		heap.Remove(&l.timers, p.index)
	}
	if p.c.t.parked == p {
		p.c.t.parked = nil
	}
	if i := slices.Index(*p.list, p); i >= 0 {
		if *p.list = slices.Delete(*p.list, i, i+1); len(*p.list) == 0 {
			*p.list = nil
		}
	}
	l.space.give(1)
	l.kicker.remove(p)
}

// timers is a heap of parked calls by the end of their time.
type timers []*parked

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].until.Before(t[j].until) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}
func (t *timers) Push(x any) {
	p := x.(*parked)
	p.index = len(*t)
	*t = append(*t, p)
}
func (t *timers) Pop() any {
	last := len(*t) - 1
	p := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	p.index = -1
	return p
}

func (t timers) empty() bool { return len(t) == 0 }

func (t timers) next() time.Time {
	if len(t) == 0 {
		return time.Time{}
	}
	return t[0].until
}

func (t *timers) expire(now time.Time) {
	for len(*t) > 0 && !now.Before((*t)[0].until) {
		p := (*t)[0]
		p.stop(p.c.fail(p.expired))
	}
}

// timeout is SO_RCVTIMEO or SO_SNDTIMEO.
type timeout struct {
	after time.Duration // 0: no limit
	now   bool          // a negative time was set: nothing waits (sock_set_timeout)
}

const (
	rcvTimeo = 0
	sndTimeo = 1
)

var noTimeout timeout

const errRestart = unix.Errno(512) // ERESTARTSYS
