//go:build amd64 || arm64

package run

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock/internal/control"
)

// Some system calls of the loop can be made to take as long as a program likes:
// reading memory whose page is served late (userfaultfd, FUSE), adding a descriptor
// to a thread that is not let onto a processor. So the loop is not one thread. Several
// can run it, and one has the turn. Before such a call (away) the thread says so; if it
// is not back after a while, the watch gives the turn to the next thread, and everybody
// else's calls go on. The one that was away asks the loop to be let in when it is back,
// ends its own call while the loop stands still, and waits for the next turn.
//
//	thread A   handle ─ away(read memory ············· page served ┐
//	watch              └─ 2 ticks: A is stuck ─► turn to B         │
//	thread B                                     round, round, ... ▼ let A end its call, round, ...
//
// A process that has done that is slow, from when its turn is given away: its next calls
// give the turn away at once, and one at a time of them is let in, so that it holds one
// thread. What can change
// while a thread was away is all of the loop's state; away tells whether it did.
type turns struct {
	now   *turn         // who has the turn
	give  chan struct{} // to a thread that waits for it
	free  atomic.Int32  // threads that wait
	away  atomic.Uint64 // the number of the call that the thread with the turn is in; 0: none
	calls uint64
	whose *call // that call, if its process is not slow yet

	idle   atomic.Bool   // the watch sleeps
	poke   chan struct{} // wakes it
	closed chan struct{}
}

// turn is a thread's turn, from when it is given to when it is lost.
type turn struct {
	guest *visit // it was lost, and the thread is let in to end its call
}

// visit is a thread's stay in the loop of another.
type visit struct{ enter, leave chan struct{} }

const (
	// loopThreads bounds how many processes can each hold a thread before the loop
	// has to wait with them.
	loopThreads = 12
	watchTick   = 5 * time.Millisecond

	// Where one process is stuck, others may be: it is looked more often for a while.
	hurriedTick = time.Millisecond
	hurryFor    = 100 // ticks
)

func (t *turns) init() {
	t.give = make(chan struct{}, 1)
	t.poke = make(chan struct{}, 1)
	t.closed = make(chan struct{})
}

// prepare makes the loop's threads, before the program is there: later there may be
// no room for them.
func (l *loop) prepare() {
	l.kicker.start()
	l.registrar.start(l.turns.closed)
	for range loopThreads {
		ready := make(chan struct{})
		go l.thread(ready)
		<-ready
	}
	go l.watchTurns()
}

// begin serves the calls that come from notify.
func (l *loop) begin(notify listener) error {
	l.near.init(notify.syncWake())
	l.notify, l.notifyFD = notify, int(notify)
	if e := l.watch(l.notifyFD, unix.EPOLLIN, (*intake)(l)); e != 0 {
		return e
	}
	l.turns.give <- struct{}{}
	l.begun = true
	return nil
}

// stop ends the loop, and closes it.
func (l *loop) stop() {
	if l.begun {
		l.do(func() { l.done = true })
		<-l.turns.closed
	} else {
		close(l.turns.closed)
	}
	l.close()
	l.log.close()
}

// markThread gives the thread the name by which control sockets know a supervisor, and refuse
// what comes of it. It lasts as long as the loop, which is longer than any program does.
func markThread() {
	var name [16]byte // TASK_COMM_LEN
	copy(name[:], control.Mark)
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
}

// thread runs the loop whenever it gets the turn, on a thread of its own whose signals
// are blocked. It returns when the loop is done.
func (l *loop) thread(ready chan<- struct{}) {
	runtime.LockOSThread() // and never unlocked: its signals are blocked
	if _, err := blockSignals(); err != nil {
		panic(err) // the call fails for wrong arguments only
	}
	markThread()
	l.turns.free.Add(1)
	close(ready)
	for {
		select {
		case <-l.turns.give:
		case <-l.turns.closed:
			return
		}
		l.turns.free.Add(-1)
		if l.serve() {
			close(l.turns.closed)
			return
		}
		l.turns.free.Add(1)
	}
}

// serve has the turn until the loop is done, then it returns true, or the turn is lost.
func (l *loop) serve() (done bool) {
	me := new(turn)
	l.turns.now = me
	if c := l.turns.whose; c != nil { // the turn was taken from it
		l.turns.whose = nil
		c.lost = l.process(c.t)
		c.lost.away++
	}
	for !l.done {
		if !l.round(me) {
			if me.guest != nil {
				me.guest.leave <- struct{}{}
			}
			return false
		}
	}
	return true
}

// away calls f, which may take long and must not touch the loop. It reports whether
// the turn was kept: if not, all of the loop's state may have changed.
func (l *loop) away(slow bool, f func()) (kept bool) {
	t := &l.turns
	me := t.now
	if me == nil { // before the loop runs, and in tests
		f()
		return true
	}
	if me.guest != nil {
		l.giveBuffer()
		me.guest.leave <- struct{}{}
		me.guest = nil
		f()
		l.enter(me)
		return false
	}
	if slow && l.pass() {
		f()
		l.enter(me)
		return false
	}
	t.calls++
	n := t.calls
	t.away.Store(n)
	t.awake()
	f()
	if t.away.CompareAndSwap(n, 0) {
		return true
	}
	l.enter(me)
	return false
}

// pass gives the turn to a thread that waits for it, if there is one.
func (l *loop) pass() bool {
	if l.turns.free.Load() == 0 {
		return false
	}
	l.giveBuffer()
	l.turns.give <- struct{}{}
	return true
}

// giveBuffer leaves the loop's buffer for calls to the thread that is away, which goes
// on using it.
func (l *loop) giveBuffer() { l.msgBuf = make([]byte, pumpSize) }

// enter waits until the loop stands still for this thread, whose turn is over.
func (l *loop) enter(me *turn) {
	v := &visit{make(chan struct{}), make(chan struct{})}
	l.do(func() {
		was := l.turns.now
		l.turns.now = me
		v.enter <- struct{}{}
		<-v.leave
		l.turns.now = was
	})
	select {
	case <-v.enter:
		me.guest = v
	case <-l.turns.closed:
		runtime.Goexit() // the run is over
	}
}

// watch gives the turn of a thread that is stuck to the next. It ends with the loop.
func (l *loop) watchTurns() {
	t := &l.turns
	tick, every := newAlarm(), watchTick
	defer tick.Stop()
	last, quiet, hurry := uint64(0), 0, 0
	for {
		tick.Set(every)
		select {
		case <-t.closed:
			return
		case <-tick.C:
		}
		if hurry > 0 {
			if hurry--; hurry == 0 {
				every = watchTick
			}
		}
		n := t.away.Load()
		if n != 0 && n == last {
			if t.free.Load() > 0 && t.away.CompareAndSwap(n, 0) {
				l.pass()
				hurry, every = hurryFor, hurriedTick
			}
			continue
		}
		last = n
		if n != 0 {
			quiet = 0
			continue
		}
		if quiet++; quiet < 3 {
			continue
		}
		quiet = 0
		t.idle.Store(true)
		if t.away.Load() == 0 {
			select {
			case <-t.closed:
				return
			case <-t.poke:
			}
		}
		t.idle.Store(false)
	}
}

// awake tells the watch that a call is away.
func (t *turns) awake() {
	if t.idle.Load() {
		select {
		case t.poke <- struct{}{}:
		default:
		}
	}
}

// process is what is known of a process whose calls have been away.
type process struct {
	slowUntil time.Time
	penalty   time.Duration  // how long it was slow the last time
	away      int            // calls of its that are away now
	queue     []notification // what it asks meanwhile
}

// How long a process counts as slow after a call of its took long: longer each time, since
// each time may have held up the others, and not for long the first time, since the
// machine may have been busy with something else.
const (
	slowFirst = 20 * time.Millisecond
	slowMost  = time.Second
	forgiven  = 10 * slowMost // without another
)

func (p *process) slow() bool { return p != nil && (p.away > 0 || wall().Before(p.slowUntil)) }

// late takes note of a call that took long.
func (p *process) late(now time.Time) {
	if now.Sub(p.slowUntil) > forgiven {
		p.penalty = 0
	}
	p.penalty = max(slowFirst, min(2*p.penalty, slowMost))
	p.slowUntil = now.Add(p.penalty)
}

// away is loop.away for a system call about the call's thread. It returns errGone if
// nobody waits for the call any more, and everything about it may have changed.
func (c *call) away(f func()) syscall.Errno {
	l, p := c.l, c.t.proc
	slow := p.slow() || l.turns.now != nil && l.turns.now.guest != nil
	if slow {
		p = l.process(c.t)
		p.away++
	} else {
		l.turns.whose = c
	}
	var took time.Duration
	kept := l.away(slow, func() {
		begin := wall()
		f()
		took = since(begin)
	})
	switch {
	case slow:
		p.away--
	case kept:
		l.turns.whose = nil
	default:
		p = c.lost // who has the turn has counted it
		p.away--
	}
	if kept {
		return 0
	}
	l.caller.calls(c)
	if !slow || took >= watchTick {
		p.late(wall())
	}
	if p.away == 0 {
		l.late, p.queue = append(l.late, p.queue...), nil
	}
	if !l.notify.valid(c.n.id) {
		return errGone
	}
	return 0
}

// process returns the record of a thread's process, and remembers it with the thread.
func (l *loop) process(t *task) *process {
	if t.proc != nil {
		return t.proc
	}
	pid := t.process()
	p := l.procs[pid]
	if p == nil {
		p = new(process)
		l.procs[pid] = p
	}
	for _, o := range l.tasks {
		if o.owner == pid {
			o.proc = p
		}
	}
	t.proc = p
	return p
}

// postpone keeps a notification of a slow process for later, if another call of its
// is away: each process holds one thread at most.
func (l *loop) postpone(t *task, n *notification) bool {
	if t.proc == nil || t.proc.away == 0 {
		return false
	}
	t.proc.queue = append(t.proc.queue, *n)
	return true
}
