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
// nothing but /proc/TID/status: 6 to 10 µs. So 200 calls are looked at every time, and
// of thousands as many as a tenth of a processor allows, in turn.
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
	l     *loop
	calls []*parked
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
	kickEvery = 20 * time.Millisecond
	kickShare = 2 * time.Millisecond // of that
)

func (k *kicker) add(p *parked) {
	p.kick = len(k.calls)
	k.calls = append(k.calls, p)
	if k.at.IsZero() {
		k.at = time.Now().Add(kickEvery)
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
}

func (k *kicker) tick(now time.Time) {
	if k.at.IsZero() || now.Before(k.at) {
		return
	}
	k.at = time.Time{}
	for n := len(k.calls); n > 0 && len(k.calls) > 0; n-- {
		if k.pos >= len(k.calls) {
			k.pos = 0
		}
		p := k.calls[k.pos]
		k.pos++
		if now.Sub(p.since) < kickEvery {
			continue
		}
		k.look(p)
		if n&15 == 0 && time.Since(now) > kickShare {
			break
		}
	}
	if len(k.calls) > 0 {
		k.at = now.Add(kickEvery)
	}
}

// look ends p if it has to end.
func (k *kicker) look(p *parked) {
	if !k.l.notify.valid(p.c.n.id) {
		p.gone()
		return
	}
	if !k.l.killable {
		return
	}
	if sig := pendingSignals(p.c.t.tid); sig.any {
		k.interrupt(p, sig.sure)
	}
}

// signals is what is pending for a thread and not blocked by it.
type signals struct {
	any  bool
	sure bool // this thread is the one that handles it
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
	// The fields follow each other; the groups, before them, may be many.
	b := room[:n]
	if i := bytes.Index(b, []byte("\nThreads:")); i >= 0 {
		b = b[i+1:]
	}
	threads, _ := field(b, "Threads:")
	blocked := hexField(b, "SigBlk:")
	own, shared := hexField(b, "SigPnd:")&^blocked, hexField(b, "ShdPnd:")&^blocked
	return signals{any: own|shared != 0, sure: own != 0 || threads == "1"}
}

func hexField(status []byte, name string) uint64 {
	s, _ := field(status, name)
	v, _ := strconv.ParseUint(s, 16, 64)
	return v
}

// interrupt ends p with ERESTARTSYS, or EINTR where a timeout is set, as Linux does.
func (k *kicker) interrupt(p *parked, sure bool) {
	if !p.until.IsZero() {
		p.stop(p.c.fail(unix.EINTR))
		return
	}
	if p.leave != nil && !p.trying {
		if own := p.leave(&p.c); own.how != park {
			p.end(own)
			return
		}
	}
	if sure || p.trying {
		p.end(p.c.fail(errRestart))
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

// start makes the thread that stops others. It is there before the program: later
// there may be no room for it.
func (k *kicker) start() {
	k.work = make(chan kick, 256)
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
