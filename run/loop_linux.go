//go:build amd64 || arm64

package run

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
)

// source is something that epoll watches for the loop.
type source interface{ ready(events uint32) }

type watched struct {
	src source
	gen int32 // tells a descriptor from an earlier one with its number
}

// loop is the supervisor. All its fields but the last group belong to the
// goroutine in run.
type loop struct {
	host     *usock.Host
	set      *usock.PollSet
	notify   listener
	killable bool
	near     bool // threads that take turns are woken on one CPU
	log      *logger
	guard    *guard // nil: none

	epoll   int
	sources []watched // by descriptor
	gen     int32
	stack   []usock.Event

	socks  map[inode]*sock
	silent map[*sock]struct{} // whose end the kernel does not announce
	ports  map[uint16][]*sock // listeners
	tasks  map[int]*task
	hidden hidden
	dir    hiddenDir

	metDead bool // a connection came for a listener that its program has closed
	probe   int  // a datagram socket that asks whether a name is in use

	again    []*sock   // pumps with more to do
	upBuf    []byte    // what a pump reads into, before the stack takes it
	spare    [][]byte  // more such buffers
	message  usock.Msg // what a pump receives
	control  [1024]byte
	msgBuf   []byte // what a trapped call sends or receives
	downBuf  []byte
	timers   timers
	nextScan time.Time // zero: none is due
	scanTook time.Duration
	kicker   kicker
	note     notification
	done     bool

	// Shared with others.

	wake      int         // eventfd
	asleep    atomic.Bool // in epoll_wait, or about to be
	stackTold atomic.Bool // the poll set has events
	mu        sync.Mutex
	inbox     []func() // mu: work for the loop
}

const pumpSize = 256 << 10

func newLoop(h *usock.Host, log *logger) (*loop, error) {
	l := &loop{
		host: h, set: h.NewPollSet(), log: log, notify: -1, epoll: -1, wake: -1, probe: -1,
		stack: make([]usock.Event, 64),
		socks: make(map[inode]*sock), silent: make(map[*sock]struct{}),
		ports: make(map[uint16][]*sock), tasks: make(map[int]*task),
		upBuf: make([]byte, pumpSize), downBuf: make([]byte, pumpSize), msgBuf: make([]byte, pumpSize),
	}
	l.kicker.l = l
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	if l.probe, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, err
	}
	l.dir = newHiddenDir()
	if err := l.dir.try(); err != nil {
		return nil, err
	}
	if err := l.hidden.open(&l.dir); err != nil {
		return nil, err
	}
	l.watch(l.wake, unix.EPOLLIN, (*waker)(l))
	l.set.OnReady(l.tell)
	return l, nil
}

// watch has src told of fd's events.
func (l *loop) watch(fd int, events uint32, src source) {
	for len(l.sources) <= fd {
		l.sources = append(l.sources, watched{})
	}
	l.gen++
	l.sources[fd] = watched{src, l.gen}
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.gen}
	unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epoll), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
}

// rewatch changes the events of fd that its source is told of.
func (l *loop) rewatch(fd int, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.sources[fd].gen}
	unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epoll), unix.EPOLL_CTL_MOD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
}

// forget ends the watch of fd, which is about to be closed. With its description,
// of which nobody else has a descriptor, it leaves the epoll set.
func (l *loop) forget(fd int) {
	if fd >= 0 && fd < len(l.sources) {
		l.sources[fd] = watched{}
	}
}

// tell is called, under the host's lock, when the poll set has events.
func (l *loop) tell() {
	l.stackTold.Store(true)
	if l.asleep.Load() {
		l.ring()
	}
}

func (l *loop) ring() {
	one := uint64(1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(l.wake), uintptr(unsafe.Pointer(&one)), 8)
}

// do has f called by the loop.
func (l *loop) do(f func()) {
	l.mu.Lock()
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	l.ring()
}

// waker is the loop as the source of its eventfd.
type waker loop

func (w *waker) ready(uint32) {
	l := (*loop)(w)
	var b [8]byte
	sysRead(l.wake, b[:])
	l.mu.Lock()
	fns := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range fns {
		f()
	}
}

// trap is the loop as the source of its notifications.
type trap loop

func (t *trap) ready(events uint32) {
	l := (*loop)(t)
	if events&unix.EPOLLIN == 0 {
		// Nobody has the filter any more.
		var ev unix.EpollEvent
		unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epoll), unix.EPOLL_CTL_DEL, uintptr(l.notify), uintptr(unsafe.Pointer(&ev)), 0, 0)
		return
	}
	if l.notify.recv(&l.note) == 0 {
		l.handle(&l.note)
	}
}

// run serves the program until stop. It must be the only code of its thread, whose
// signals are blocked.
func (l *loop) run() {
	events := make([]unix.EpollEvent, 128)
	for !l.done {
		l.settle()
		wait := l.timeout()
		// What the events bring about in the stack is served after all of them: a
		// program that is woken finds more to do.
		n := l.wait(events, wait)
		for i := range events[:n] {
			e := &events[i]
			if w := l.sources[e.Fd]; w.gen == e.Pad && w.src != nil {
				w.src.ready(e.Events)
			}
		}
		l.expire()
	}
}

// settle carries on with pumps that stopped to let others have their turn.
func (l *loop) settle() {
	l.serveStack()
	for n := len(l.again); n > 0 && len(l.again) > 0; n-- {
		s := l.again[0]
		l.again = l.again[1:]
		s.queued = false
		s.pump()
		l.serveStack()
	}
	if len(l.again) == 0 {
		l.again = nil
	}
}

func (l *loop) wait(events []unix.EpollEvent, ms int) int {
	if ms != 0 {
		l.asleep.Store(true)
		if l.stackTold.Load() {
			ms = 0
		}
	}
	var n uintptr
	var e syscall.Errno
	p := uintptr(unsafe.Pointer(&events[0]))
	if ms == 0 {
		n, _, e = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), p, uintptr(len(events)), 0, 0, 0)
	} else {
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), p, uintptr(len(events)), uintptr(ms), 0, 0)
	}
	l.asleep.Store(false)
	if e != 0 {
		return 0
	}
	return int(n)
}

// serveStack handles what the host's sockets have to say.
func (l *loop) serveStack() {
	for l.stackTold.Swap(false) {
		for {
			n, _ := l.set.Wait(nil, l.stack) //lint:ignore SA1012 without a context it does not wait
			if n == 0 {
				break
			}
			for i := range l.stack[:n] {
				e := &l.stack[i]
				s := e.Data.(*sock)
				*e = usock.Event{Events: e.Events}
				s.stackEvent(e.Events)
			}
		}
	}
}

// timeout returns for how many milliseconds the loop may sleep; -1: for ever.
func (l *loop) timeout() int {
	if len(l.again) > 0 {
		return 0
	}
	at := l.timers.next()
	if !l.nextScan.IsZero() && (at.IsZero() || l.nextScan.Before(at)) {
		at = l.nextScan
	}
	if k := l.kicker.next(); !k.IsZero() && (at.IsZero() || k.Before(at)) {
		at = k
	}
	if at.IsZero() {
		return -1
	}
	d := time.Until(at)
	if d <= 0 {
		return 0
	}
	return int(d/time.Millisecond) + 1
}

// expire does what is due.
func (l *loop) expire() {
	if l.timers.empty() && l.nextScan.IsZero() && l.kicker.next().IsZero() {
		return
	}
	now := time.Now()
	l.timers.expire(now)
	if !l.nextScan.IsZero() && !now.Before(l.nextScan) {
		l.nextScan = time.Time{}
		l.scan()
	}
	l.kicker.tick(now)
}

// close frees everything. The host's sockets are closed in order, as those of a
// process that exits.
func (l *loop) close() {
	for _, s := range l.socks {
		s.release()
	}
	for _, t := range l.tasks {
		t.drop()
	}
	l.set.Close()
	l.hidden.close()
	for _, fd := range []int{l.probe, l.wake, l.epoll} {
		sysClose(fd)
	}
	if l.notify >= 0 {
		sysClose(int(l.notify))
		l.notify = -1
	}
}
