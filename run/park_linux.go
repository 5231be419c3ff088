//go:build amd64 || arm64

package run

import (
	"container/heap"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parked is a call that waits.
type parked struct {
	c       call
	try     func(*call) result
	until   time.Time // zero: no limit
	expired syscall.Errno
	index   int // in the heap of timers; -1: not there
	since   time.Time
	over    bool
	trying  bool
}

// park leaves the call until try, called after each event of its socket, has a
// result. After d, if not 0, it ends with the error expired.
func (c *call) park(try func(*call) result, d time.Duration, expired syscall.Errno) result {
	p := &parked{c: *c, try: try, expired: expired, index: -1, since: time.Now()}
	if d > 0 {
		p.until = p.since.Add(d)
		heap.Push(&c.l.timers, p)
	}
	p.c.t.parked = p
	p.c.s.waiting = append(p.c.s.waiting, p)
	c.l.kicker.add(p)
	return result{how: park}
}

// retry tries the calls that wait for s again, the longest waiting first.
func (s *sock) retry() {
	if len(s.waiting) == 0 {
		return
	}
	for _, p := range slices.Clone(s.waiting) {
		if p.over || p.trying {
			continue // what it does may bring the loop here again
		}
		p.trying = true
		r := p.try(&p.c)
		p.trying = false
		if r.how != park {
			p.end(r)
		}
	}
}

// end answers the call.
func (p *parked) end(r result) {
	if p.over {
		return
	}
	p.unlink()
	p.c.finish(r)
}

// leave forgets the call, because its thread is gone or has left it.
func (p *parked) leave() {
	if !p.over {
		p.unlink()
		p.c.finish(result{how: done})
	}
}

// cancel ends the call, because its socket is closed.
func (p *parked) cancel() {
	if !p.over {
		p.unlink()
		p.c.finish(result{err: unix.EBADF})
	}
}

func (p *parked) unlink() {
	p.over = true
	l := p.c.l
	if p.index >= 0 {
		heap.Remove(&l.timers, p.index)
	}
	if p.c.t.parked == p {
		p.c.t.parked = nil
	}
	if i := slices.Index(p.c.s.waiting, p); i >= 0 {
		p.c.s.waiting = slices.Delete(p.c.s.waiting, i, i+1)
	}
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
		p.end(p.c.fail(p.expired))
	}
}

// kicker ends parked calls whose thread has a signal to handle.
//
// A call that the supervisor has taken waits so that only a fatal signal ends it
// (WAIT_KILLABLE_RECV): no call is carried out twice. The price is that the signals
// of those that wait long have to be looked for. Such a call ends with ERESTARTSYS,
// which the kernel turns into EINTR or a restart while it delivers the signal. If
// another thread has taken the signal in between, the number would reach the
// program; a ptrace stop makes the thread pass through signal delivery in any case.
type kicker struct {
	l     *loop
	calls []*parked // who has waited
	at    time.Time // when to look again; zero: never
	pos   int       // where to go on in calls
	work  chan kick
}

// kick is a request to the thread that stops others.
type kick struct {
	tid int
	id  uint64
}

const (
	kickEvery  = 20 * time.Millisecond
	kickAtOnce = 64 // calls looked at in one turn
)

func (k *kicker) add(p *parked) {
	if !k.l.killable {
		return // signals end the wait by themselves
	}
	k.calls = append(k.calls, p)
	if k.at.IsZero() {
		k.at = time.Now().Add(kickEvery)
	}
}

func (k *kicker) remove(p *parked) {
	if i := slices.Index(k.calls, p); i >= 0 {
		k.calls[i] = k.calls[len(k.calls)-1]
		k.calls[len(k.calls)-1] = nil
		k.calls = k.calls[:len(k.calls)-1]
	}
}

func (k *kicker) next() time.Time { return k.at }

func (k *kicker) tick(now time.Time) {
	if k.at.IsZero() || now.Before(k.at) {
		return
	}
	k.at = time.Time{}
	for range min(kickAtOnce, len(k.calls)) {
		if len(k.calls) == 0 {
			break
		}
		if k.pos >= len(k.calls) {
			k.pos = 0
		}
		p := k.calls[k.pos]
		k.pos++
		if now.Sub(p.since) >= kickEvery && signalled(p.c.t.tid) {
			k.interrupt(p)
		}
	}
	if len(k.calls) > 0 {
		k.at = now.Add(kickEvery)
	}
}

// signalled reports whether the thread has a signal to handle.
func signalled(tid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return false
	}
	return (hexField(b, "SigPnd:")|hexField(b, "ShdPnd:"))&^hexField(b, "SigBlk:") != 0
}

func hexField(status []byte, name string) uint64 {
	s, _ := field(status, name)
	v, _ := strconv.ParseUint(s, 16, 64)
	return v
}

// interrupt ends p with ERESTARTSYS, or EINTR where a timeout is set, as Linux
// does.
func (k *kicker) interrupt(p *parked) {
	if !p.until.IsZero() {
		p.end(p.c.fail(unix.EINTR))
		return
	}
	tid, id := p.c.t.tid, p.c.n.id
	p.unlink()
	p.c.finish(result{how: done})
	if k.work == nil {
		k.work = make(chan kick, 256)
		go stopper(k.l.notify, k.work)
	}
	select {
	case k.work <- kick{tid, id}:
	default:
		k.l.notify.send(&response{id: id, error: -int32(unix.EINTR)})
	}
}

const errRestart = 512 // ERESTARTSYS

// tracing keeps the reaping of children apart from the stops of traced threads,
// which wait4 would report as well.
var tracing sync.Mutex

// stopper ends the calls that come from work. Tracing belongs to one thread.
func stopper(l listener, work <-chan kick) {
	runtime.LockOSThread()
	for w := range work {
		tracing.Lock()
		stopAndRestart(l, w)
		tracing.Unlock()
	}
}

func stopAndRestart(l listener, w kick) {
	if sysPtrace(unix.PTRACE_SEIZE, w.tid) != 0 {
		l.send(&response{id: w.id, error: -int32(unix.EINTR)})
		return
	}
	sysPtrace(unix.PTRACE_INTERRUPT, w.tid)
	l.send(&response{id: w.id, error: -errRestart})
	var st unix.WaitStatus
	for {
		_, err := unix.Wait4(w.tid, &st, unix.WALL, nil)
		if err != unix.EINTR {
			break
		}
	}
	sysPtrace(unix.PTRACE_DETACH, w.tid)
}
