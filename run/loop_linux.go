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
	"usock/shape"
)

// source is something that epoll watches for the loop.
type source interface{ ready(events uint32) }

type watched struct {
	src source
	gen int32 // tells a descriptor from an earlier one with its number
}

// loop is the supervisor. All its fields but the last group belong to the thread
// that has the turn (turn_linux.go).
//
// A round of the loop is: what waits and may go on (settle), then the kernel's
// events. Nothing in it waits, and nothing takes long: what is of unbounded size is
// done a slice a round, and notifications are looked for in between.
type loop struct {
	host     *usock.Host
	set      *usock.PollSet
	calls    map[int32]*row
	notify   notifier
	notifyFD int
	killable bool
	packets  bool                // Options.Packets
	every    bool                // Options.EveryCall
	outside  Worker              // Options.Outside
	absent   map[string]bool     // Options.Absent, as socketPath has them
	named    func(int32, string) // Options.Named
	reaches  bool                // Options.Reaches
	faults   *shape.Faults       // of the host's Config; nil: none
	traps    shape.Traps         // that the filter has for them
	near     nearness
	log      *logger
	guard    *guard // nil: none
	space    space  // for descriptors

	epoll   int
	sources []watched // by descriptor
	gen     int32
	batch   []unix.EpollEvent // what epoll has told
	pos     int               // batch[pos:] is not handled yet
	stack   []usock.Event
	looked  time.Time // when notifications were looked for last
	early   bool      // and one was found since epoll has told

	socks            map[inode]*sock
	silent           map[*sock]struct{} // whose end the kernel does not announce
	ports            map[uint16][]*sock // listeners
	messages         bool               // there is a socket of SCTP's, or was
	messageListeners map[*sock]struct{} // SCTP's, of one-to-one style
	netlinks         map[inode]*netlinkSock
	netlink          netlinkPorts
	vacated          map[place]bool // by listeners of TCP's
	cookie           uint64         // of the supervisor's network namespace; 0: not known
	tasks            map[int]*task
	procs            map[int32]*process
	dir              hiddenDir
	hidden           hidden
	naming           naming
	scanner          scanner
	finder           finder
	netns            inode
	caller           *Caller

	probe int // a datagram socket that asks whether a name is in use

	runnable []*parked      // calls that may go on
	late     []notification // of slow processes, postponed
	again    []*sock        // pumps with more to do
	ending   []*sock        // whose program's end is gone, or half of it
	endings  uint64         // how many were taken off it
	starved  []*sock        // listeners for whose connections there was no descriptor
	wanting  []wanting      // calls for which there was none
	feedAt   time.Time      // when they look again, if nothing happens before

	blocks    blocks       // what a stream's pump reads into, before the stack takes it
	pieces    []usock.Data // what one receives
	upBuf     []byte       // arrivalsRoom; nil: not made yet
	arrived   arrivals     // what datagrams are read into
	spare     [][]byte     // more such buffers
	message   usock.Msg    // what a pump receives
	control   [1024]byte
	msgBuf    []byte // what a trapped call sends or receives
	downBuf   []byte
	timers    timers
	peeks     peeks
	kicker    kicker
	registrar registrar
	note      notification
	done      bool
	turns     turns
	begun     bool // the calls are served

	// Shared with others.

	wake      int         // eventfd
	asleep    atomic.Bool // in epoll_wait, or about to be
	stackTold atomic.Bool // the poll set has events
	mu        sync.Mutex
	inbox     []func() // mu: work for the loop
}

const pumpSize = 256 << 10

// blocks are read into together. Those that are empty are made for it.
type blocks [pumpSize / usock.MaxData]usock.Data

// room returns a block's bytes.
func (b *blocks) room(i int) []byte {
	if b[i].Len() == 0 {
		b[i] = usock.NewData(usock.MaxData)
	}
	return b[i].Room()
}

// arrivalsRoom is where datagrams are read into.
func (l *loop) arrivalsRoom() []byte {
	if l.upBuf == nil {
		l.upBuf = make([]byte, arrivalsMax*arrivalSize)
	}
	return l.upBuf
}

// Each is what one kind of work may take of a round, before the others have their
// turn.
const (
	slice     = 500 * time.Microsecond
	lookEvery = 500 * time.Microsecond // for notifications
)

func newLoop(h *usock.Host, who *Caller, log *logger) (l *loop, err error) {
	l = &loop{
		host: h, caller: who, set: h.NewPollSet(), calls: callTable(), log: log, notifyFD: -1, epoll: -1, wake: -1, probe: -1,
		batch: make([]unix.EpollEvent, 0, 128), stack: make([]usock.Event, 16),
		socks: make(map[inode]*sock), silent: make(map[*sock]struct{}),
		ports: make(map[uint16][]*sock), messageListeners: make(map[*sock]struct{}), vacated: make(map[place]bool), netlinks: make(map[inode]*netlinkSock), tasks: make(map[int]*task), procs: make(map[int32]*process),
		downBuf: make([]byte, pumpSize), msgBuf: make([]byte, pumpSize),
	}
	l.dir = newHiddenDir()
	l.hidden.fd, l.hidden.path = -1, -1
	l.scanner.l, l.finder.l, l.space.l, l.space.wantFor = l, l, l, wantFor
	l.kicker.init(l)
	l.turns.init()
	defer func(l *loop) {
		if err != nil {
			l.close()
		}
	}(l)
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	if l.probe, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, err
	}
	if err := l.dir.try(); err != nil {
		return nil, err
	}
	if err := l.naming.init(); err != nil {
		return nil, err
	}
	if err := l.hidden.open(&l.dir); err != nil {
		return nil, err
	}
	l.netns, _ = namespace("self", "net")
	l.cookie = netCookie(l.probe)
	if e := l.watch(l.wake, unix.EPOLLIN, (*waker)(l)); e != 0 {
		return nil, e
	}
	l.set.OnReady(l.tell)
	return l, nil
}

// watch has src told of fd's events.
func (l *loop) watch(fd int, events uint32, src source) syscall.Errno {
	for len(l.sources) <= fd {
		l.sources = append(l.sources, watched{})
	}
	l.gen++
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.gen}
	if e := sysEpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); e != 0 {
		return e
	}
	l.sources[fd] = watched{src, l.gen}
	return 0
}

// rewatch changes the events of fd that its source is told of. That cannot fail: fd
// is watched, and nothing is allocated for it.
func (l *loop) rewatch(fd int, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.sources[fd].gen}
	unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epoll), unix.EPOLL_CTL_MOD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
}

// unwatch ends the watch of fd, whose description others have.
func (l *loop) unwatch(fd int) {
	var ev unix.EpollEvent
	sysEpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, &ev)
	l.forget(fd)
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

// ring wakes the loop, if it has not ended: its descriptor may be another's then.
func (l *loop) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := uint64(1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(l.wake), uintptr(unsafe.Pointer(&one)), 8)
}

// do has f called by the loop, between two of its steps.
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
	unix.RawSyscall(unix.SYS_READ, uintptr(l.wake), uintptr(unsafe.Pointer(&b)), 8)
	l.mu.Lock()
	fns := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range fns {
		f()
	}
}

// intake is the loop as the source of its notifications.
type intake loop

func (t *intake) ready(events uint32) {
	l := (*loop)(t)
	if events&unix.EPOLLIN == 0 {
		// Nobody has the filter any more.
		var ev unix.EpollEvent
		sysEpollCtl(l.epoll, unix.EPOLL_CTL_DEL, l.notifyFD, &ev)
		return
	}
	// What epoll has told may have been taken since (look), and to receive nothing
	// waits.
	if !l.early || pollNow(l.notifyFD, unix.POLLIN)&unix.POLLIN != 0 {
		l.take()
	}
}

// take handles the notification that poll has announced.
func (l *loop) take() {
	if l.notify.recv(&l.note) == 0 {
		l.handle(&l.note)
	}
}

// look handles a notification that has come while something else was done for long.
func (l *loop) look() {
	if l.notifyFD < 0 {
		return
	}
	if now := wall(); now.Sub(l.looked) >= lookEvery {
		if pollNow(l.notifyFD, unix.POLLIN)&unix.POLLIN != 0 {
			l.early = true
			l.take()
		}
		l.looked = wall()
	}
}

// happened tells an event to whose it is, and reports whether there was anybody.
func (l *loop) happened(e *unix.EpollEvent) bool {
	if e.Fd < 0 {
		l.outside.Event(e.Events, e.Fd, e.Pad)
		return true
	}
	w := l.sources[e.Fd]
	if w.gen != e.Pad || w.src == nil {
		return false
	}
	w.src.ready(e.Events)
	return true
}

// round is one round of the loop. It returns false when the turn is another thread's.
func (l *loop) round(me *turn) bool {
	for l.pos < len(l.batch) {
		e := &l.batch[l.pos]
		l.pos++
		if !l.happened(e) {
			continue
		}
		if me.guest != nil {
			return false
		}
		l.look()
		if me.guest != nil {
			return false
		}
	}
	l.expire()
	if !l.settle(me) {
		return false
	}
	// What the events bring about in the stack is served after all of them: a
	// program that is woken finds more to do.
	if !l.done {
		l.wait(l.timeout())
	}
	return true
}

// settle carries on with what waits and may go on. It returns false when the turn is
// another thread's.
func (l *loop) settle(me *turn) bool {
	l.serveStack()
	for n := len(l.again); n > 0 && len(l.again) > 0; n-- {
		s := shift(&l.again)
		s.queued = false
		s.pump()
		l.serveStack()
	}
	l.end()
	if !l.feed(me) {
		return false
	}
	for n := len(l.late); n > 0 && len(l.late) > 0; n-- {
		if note := shift(&l.late); l.notify.valid(note.id) {
			l.handle(&note)
		}
		if me.guest != nil {
			return false
		}
	}
	for n := len(l.runnable); n > 0 && len(l.runnable) > 0; n-- {
		shift(&l.runnable).run()
		if me.guest != nil {
			return false
		}
		l.serveStack()
	}
	l.look()
	return me.guest == nil
}

// shift takes the first element off a queue.
func shift[T any](q *[]T) T {
	x := (*q)[0]
	*q = (*q)[1:]
	if len(*q) == 0 {
		*q = nil
	}
	return x
}

// end serves far ends whose other end was closed or shut down: a slice, since a
// program that ends may leave thousands; and a little of one while there are as many
// events as epoll tells at once, since who waits for an answer may come after those.
func (l *loop) end() {
	if len(l.ending) == 0 {
		return
	}
	share := slice
	if len(l.batch) == cap(l.batch) {
		share = slice / 8
	}
	for begin := wall(); len(l.ending) > 0; {
		s := shift(&l.ending)
		l.endings++
		s.toEnd = false
		s.pump()
		if since(begin) > share {
			break
		}
	}
}

func (l *loop) wait(ms int) {
	if ms != 0 {
		l.asleep.Store(true)
		if l.stackTold.Load() {
			ms = 0
		}
	}
	var n uintptr
	var e syscall.Errno
	l.batch = l.batch[:cap(l.batch)]
	p := uintptr(unsafe.Pointer(&l.batch[0]))
	if ms == 0 {
		n, _, e = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), p, uintptr(len(l.batch)), 0, 0, 0)
	} else {
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), p, uintptr(len(l.batch)), uintptr(ms), 0, 0)
	}
	l.asleep.Store(false)
	if e != 0 {
		n = 0
	}
	l.batch, l.pos, l.early = l.batch[:n], 0, false
	l.looked = wall() // epoll has told of notifications
}

// serveStack handles what the host's sockets have to say, a slice at most.
func (l *loop) serveStack() {
	if !l.stackTold.Load() {
		return
	}
	var begin time.Time
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
			if n < len(l.stack) {
				continue
			}
			if now := wall(); begin.IsZero() {
				begin = now
			} else if now.Sub(begin) > slice {
				l.stackTold.Store(true)
				return
			}
		}
	}
}

// timeout returns for how many milliseconds the loop may sleep; -1: for ever.
func (l *loop) timeout() int {
	if len(l.again) > 0 || len(l.ending) > 0 || len(l.runnable) > 0 || len(l.late) > 0 || l.scanner.more() {
		return 0
	}
	at := sooner(sooner(sooner(l.timers.next(), l.feedAt), sooner(l.scanner.at, l.kicker.at)), l.peeks.at)
	if at.IsZero() {
		return -1
	}
	d := at.Sub(wall())
	if d <= 0 {
		return 0
	}
	return int(d/time.Millisecond) + 1
}

// sooner returns the earlier of two times; zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// expire does what is due.
func (l *loop) expire() {
	l.scanner.release()
	if l.timers.empty() && l.scanner.at.IsZero() && l.kicker.at.IsZero() && l.peeks.at.IsZero() {
		return
	}
	now := wall()
	l.timers.expire(now)
	l.peeks.expire(now)
	if !l.scanner.at.IsZero() && !now.Before(l.scanner.at) {
		l.scanner.start()
	}
	l.kicker.tick(now)
}

// close frees everything. The host's sockets are closed in order, as those of a
// process that exits.
func (l *loop) close() {
	for _, s := range l.socks {
		s.release()
	}
	for _, s := range l.netlinks {
		s.release()
	}
	for _, t := range l.tasks {
		t.drop()
	}
	l.set.Close()
	l.hidden.close()
	l.mu.Lock()
	defer l.mu.Unlock() // a close(2) that lingers rings later still
	for _, fd := range []int{l.probe, l.wake, l.epoll, l.notifyFD} {
		sysClose(fd)
	}
	l.wake, l.notifyFD = -1, -1
}
