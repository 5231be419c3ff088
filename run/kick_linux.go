//go:build amd64 || arm64

package run

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kicker ends parked calls whose thread has a signal to handle, or is gone.
//
// A call that the supervisor has taken waits so that only a fatal signal ends it
// (WAIT_KILLABLE_RECV): no call is carried out twice. The price is that the signals
// of those that wait have to be looked for, every 20 ms, for which the kernel has
// nothing but /proc/TID/status: 6 to 12 µs. A goroutine does it, so that the loop goes
// on, and takes at most a part of a processor: of 2,000 calls each is looked at every
// 200 to 400 ms. Before them it looks at each process with several: if it has a signal that
// any of its threads may handle, they are all looked at next.
//
// Such a call ends with ERESTARTSYS, which the kernel turns into EINTR or a restart
// while it delivers the signal. A signal that is the thread's own, or of the only thread
// of its process, is delivered to this thread for sure. One of a process with several
// may have been taken by another meanwhile, and the number would reach the program: a
// ptrace stop makes the thread pass through signal delivery in any case. Where it has a
// tracer already, it gets EINTR.
//
// Before Linux 5.19 a signal ends the call, and the supervisor is not told: it is asked
// whether it still waits.
type kicker struct {
	l       *loop
	calls   []*parked
	procs   map[int32]int      // parked calls of each process
	told    map[int32]struct{} // processes that have a signal for any of their threads
	at      time.Time          // when to look again; zero: never, or when it has been looked
	busy    bool               // it is being looked
	pos     int                // where to go on in calls
	toldPos int                // and there, for the calls of processes that were told
	list    []look
	looks   chan []look
	work    chan kick
}

// look is a question about a parked call or, without one, about a process.
type look struct {
	p     *parked
	pos   *int // the position that it was come from, which was
	index int
	tid   int
	id    uint64
	ask   bool // whether the call still waits

	seen bool // it has been looked; this was found:
	gone bool
	sig  signals
}

// kick is a request to the thread that stops others.
type kick struct {
	tid int
	id  uint64
}

const (
	kickEvery  = 20 * time.Millisecond
	kickAlways = 256                  // so many are looked at each time; if there are more,
	kickShare  = 20                   // one part in so many of the time goes into it,
	kickAtOnce = 5 * time.Millisecond // and so much at once
	maxLooks   = 1024
)

func (k *kicker) init(l *loop) {
	k.l = l
	k.procs, k.told = make(map[int32]int), make(map[int32]struct{})
	k.looks, k.work = make(chan []look, 1), make(chan kick, 256)
}

func (k *kicker) add(p *parked) {
	p.kick = len(k.calls)
	k.calls = append(k.calls, p)
	k.procs[p.c.t.process()]++
	if k.at.IsZero() && !k.busy {
		k.at = wall().Add(kickEvery)
	}
}

func (k *kicker) remove(p *parked) {
	if p.kick < 0 {
		return
	}
	last := len(k.calls) - 1
	moved := k.calls[last]
	k.calls[p.kick] = moved
	moved.kick = p.kick
	k.calls[last] = nil
	k.calls = k.calls[:last]
	p.kick = -1
	if pid := p.c.t.process(); k.procs[pid] > 1 {
		k.procs[pid]--
	} else {
		delete(k.procs, pid)
		delete(k.told, pid)
	}
}

// tick has it looked, if it is time.
func (k *kicker) tick(now time.Time) {
	if k.at.IsZero() || now.Before(k.at) {
		return
	}
	k.at = time.Time{}
	if len(k.calls) == 0 {
		return
	}
	k.list = k.list[:0]
	if len(k.told) > 0 {
		k.ask(&k.toldPos, now, func(p *parked) bool {
			_, told := k.told[p.c.t.process()]
			return told
		})
		clear(k.told)
	} else {
		if k.l.killable {
			for pid, n := range k.procs {
				if n > 1 {
					k.list = append(k.list, look{tid: int(pid)})
				}
			}
		}
		k.ask(&k.pos, now, func(*parked) bool { return true })
	}
	k.busy = true
	k.looks <- k.list
}

// ask puts those of the calls that are meant on the list, from pos on.
func (k *kicker) ask(pos *int, now time.Time, meant func(*parked) bool) {
	for range k.calls {
		if *pos >= len(k.calls) {
			*pos = 0
		}
		if p := k.calls[*pos]; now.Sub(p.since) >= kickEvery && meant(p) {
			k.list = append(k.list, look{p: p, pos: pos, index: *pos, tid: p.c.t.tid, id: p.c.n.id, ask: !k.announced(p)})
		}
		if *pos++; len(k.list) >= maxLooks {
			return
		}
	}
}

// announced reports whether nothing can end p's call unseen: what ends it ends its thread.
// The number of a process's first thread is taken over by the one that execs.
func (k *kicker) announced(p *parked) bool {
	t := p.c.t
	return k.l.killable && t.alive == "" && t.tid != int(t.process())
}

// look answers the questions, as many as there is time for.
func (k *kicker) look(list []look) {
	begin := wall()
	for i := range list {
		o := &list[i]
		o.gone = o.ask && !k.l.notify.valid(o.id)
		if !o.gone && k.l.killable {
			o.sig = pendingSignals(o.tid)
		}
		o.seen = true
		if i >= kickAlways && since(begin) > kickAtOnce {
			break
		}
	}
	next := begin.Add(kickEvery)
	if len(list) > kickAlways {
		next = begin.Add(max(kickEvery, kickShare*since(begin)))
	}
	k.l.do(func() { k.looked(list, next) })
}

// looked acts on the answers. It is to be looked again at next.
func (k *kicker) looked(list []look, next time.Time) {
	k.busy = false
	for i := range list {
		o := &list[i]
		if !o.seen {
			if o.p != nil {
				*o.pos = o.index // the first that there was no time for
			}
			break
		}
		switch {
		case o.p == nil:
			if _, there := k.procs[int32(o.tid)]; there && o.sig.shared {
				k.told[int32(o.tid)] = struct{}{}
				next = wall()
			}
		case o.p.over:
		case o.gone:
			o.p.gone()
		case o.sig.any:
			k.interrupt(o.p, o.sig.sure)
		}
	}
	clear(list)
	if len(k.calls) > 0 {
		k.at = next
	}
}

// signals is what is pending for a thread and not blocked by it.
type signals struct {
	any    bool
	sure   bool // this thread is the one that handles it
	shared bool // something is pending for any of its process's threads, blocked or not
}

// pendingSignals returns what signals the thread has to handle.
func pendingSignals(tid int) signals {
	var room [4096]byte
	path := append(strconv.AppendInt(append(make([]byte, 0, 40), "/proc/"...), int64(tid), 10), "/status\x00"...)
	at := unix.AT_FDCWD
	fd, _, e := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&path[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if e != 0 {
		return signals{}
	}
	n, _, e := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&room)), uintptr(len(room)))
	sysClose(int(fd))
	if e != 0 {
		return signals{}
	}
	return parseSignals(room[:n])
}

// parseSignals reads /proc/TID/status (proc_pid_status(5)).
func parseSignals(b []byte) signals {
	// The fields follow each other; the groups, before them, may be many.
	if i := bytes.Index(b, []byte("\nThreads:")); i >= 0 {
		b = b[i+1:]
	}
	threads := fieldUint(b, "Threads:", 10)
	blocked := fieldUint(b, "SigBlk:", 16)
	own, shared := fieldUint(b, "SigPnd:", 16)&^blocked, fieldUint(b, "ShdPnd:", 16)
	return signals{any: own|shared&^blocked != 0, sure: own != 0 || threads == 1, shared: shared != 0}
}

// fieldUint returns a number of a status file; 0 if it is not there.
func fieldUint(status []byte, name string, base uint64) (v uint64) {
	i := bytes.Index(status, []byte(name))
	if i < 0 {
		return 0
	}
	for _, d := range bytes.TrimLeft(status[i+len(name):], " \t") {
		switch {
		case '0' <= d && d <= '9':
			v = v*base + uint64(d-'0')
		case 'a' <= d && d <= 'f':
			v = v*base + uint64(d-'a') + 10
		default:
			return v
		}
	}
	return v
}

// interrupt ends p with ERESTARTSYS, or EINTR where a timeout is set, as Linux does.
func (k *kicker) interrupt(p *parked, sure bool) {
	if p.trying || p.firm {
		return // it is away, or soon over; its signal will be there then
	}
	if !p.until.IsZero() {
		p.stop(p.c.fail(unix.EINTR))
		return
	}
	r := p.left(p.c.fail(errRestart))
	if p.over { // ended meanwhile
		p.c.finish(r)
		return
	}
	if sure || r.err != errRestart {
		p.end(r)
		return
	}
	tid, id := p.c.t.tid, p.c.n.id
	p.end(result{how: done})
	select {
	case k.work <- kick{tid, id}:
	default:
		k.l.notify.send(&response{id: id, error: -int32(unix.EINTR)})
	}
}

// tracing keeps the reaping of children apart from the stops of traced threads,
// which wait4 would report as well.
var tracing sync.Mutex

// start makes what looks and the thread that stops others. They are there before the
// program: later there may be no room for them.
func (k *kicker) start() {
	go func() {
		for {
			select {
			case list := <-k.looks:
				k.look(list)
			case <-k.l.turns.closed:
				return
			}
		}
	}()
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread() // tracing belongs to one thread
		defer runtime.UnlockOSThread()
		close(ready)
		for {
			select {
			case w := <-k.work:
				tracing.Lock()
				stopAndRestart(k.l.notify, w)
				tracing.Unlock()
			case <-k.l.turns.closed:
				return
			}
		}
	}()
	<-ready
}

func stopAndRestart(l notifier, w kick) {
	if sysPtrace(unix.PTRACE_SEIZE, w.tid) != 0 {
		l.send(&response{id: w.id, error: -int32(unix.EINTR)})
		return
	}
	sysPtrace(unix.PTRACE_INTERRUPT, w.tid)
	l.send(&response{id: w.id, error: -int32(errRestart)})
	var st unix.WaitStatus
	for {
		_, err := unix.Wait4(w.tid, &st, unix.WALL, nil)
		if err != unix.EINTR {
			break
		}
	}
	sysPtrace(unix.PTRACE_DETACH, w.tid)
}
