//go:build linux && (amd64 || arm64)

package run

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"usock"
	"usock/clock"
	"usock/internal/abi"
	"usock/link"
)

// player plays a program to a real loop with a real host, in this process. It is the
// loop's notifier: a call that it makes is a notification whose pointers lead into
// this process's memory, and the descriptors that it is given are this process's. What
// no filter stops (read, write, poll, close), it does itself. A test and the loop
// take turns on one thread: where the test waits, it runs rounds of the loop.
type player struct {
	t    testing.TB
	l    *loop
	gate *gate // on the loopback link; nil: the host has its own
	me   *turn
	fd   int // counts the notifications that nobody has received
	bell int // an event that keeps a round from sleeping
	tid  int // that calls

	last   uint64 // id
	queue  []*played
	calls  map[uint64]*played // that wait for an answer
	mem    []byte
	used   int
	fds    map[int]bool // that it was given, and has not closed
	addErr syscall.Errno

	// before is done once, when the loop has asked for events and takes the next call: what
	// the program did just before it, and the loop is not told of yet.
	before func()
}

// played is a call that a player has made.
type played struct {
	name     string
	n        notification
	done     bool
	lost     bool // it is not waiting any more, and was not answered
	byKernel bool
	val      int64
	err      syscall.Errno
}

// patience is how long what a test waits for may take, and a round of the loop.
const patience = 10 * time.Second

func newPlayer(t testing.TB) *player { return playerOf(t, usock.Config{}) }

// newGatedPlayer has a gate on the loopback link, which is open.
func newGatedPlayer(t testing.TB) *player {
	g := new(gate)
	p := playerOf(t, usock.Config{Loopback: func(l link.Link) link.Link {
		g.Direct = l.(link.Direct)
		return g
	}})
	p.gate = g
	return p
}

func playerOf(t testing.TB, config usock.Config) *player {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	// Its time stands still, so that no timer's goroutine is in the host, where it would
	// carry the loop's packets a moment later: what the loop has sent has come.
	config.Clock = new(clock.Manual)
	who := new(Caller)
	if config.Capable == nil {
		config.Capable = who.Capable
	}
	host, err := usock.NewHost(config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(host, who, newLogger(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	p := &player{
		t: t, l: l, me: new(turn), tid: unix.Gettid(),
		calls: make(map[uint64]*played), fds: make(map[int]bool),
	}
	if p.fd, err = unix.Eventfd(0, unix.EFD_SEMAPHORE|unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if e := l.watch(p.bell, unix.EPOLLIN, deaf{}); e != 0 {
		t.Fatal(e)
	}
	if p.mem, err = unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
		t.Fatal(err)
	}
	l.notify, l.notifyFD, l.killable = p, p.fd, true
	l.space.wantFor = 10 * time.Millisecond
	if e := l.watch(p.fd, unix.EPOLLIN, (*intake)(l)); e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() {
		for fd := range p.fds {
			unix.Close(fd)
		}
		p.settle()
		l.close()
		unix.Close(p.bell)
		l.log.close()
		host.Close()
		unix.Munmap(p.mem)
		walk.mu.Lock()
		defer walk.mu.Unlock()
		for _, bad := range walk.bad {
			t.Error("not in the drawing: ", bad)
		}
		walk.bad = nil
	})
	return p
}

// must fails the test on an error of a call that has to succeed.
func (p *player) must(e syscall.Errno) {
	p.t.Helper()
	if e != 0 {
		p.t.Fatal(unix.ErrnoName(e))
	}
}

// wants fails the test unless a call has failed with want.
func (p *player) wants(got, want syscall.Errno) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%q, want %s", unix.ErrnoName(got), unix.ErrnoName(want))
	}
}

// shows fails the test unless poll shows want of a descriptor.
func (p *player) shows(fd int, want int16) {
	p.t.Helper()
	if got := p.poll(fd); got != want {
		p.t.Errorf("poll shows %s, want %s", events(got), events(want))
	}
}

func events(ev int16) string {
	text := ""
	for _, x := range []struct {
		bit  int16
		name string
	}{
		{unix.POLLIN, "IN"}, {unix.POLLPRI, "PRI"}, {unix.POLLOUT, "OUT"}, {unix.POLLERR, "ERR"},
		{unix.POLLHUP, "HUP"}, {unix.POLLRDHUP, "RDHUP"}, {unix.POLLNVAL, "NVAL"},
	} {
		if ev&x.bit != 0 {
			text += " " + x.name
		}
	}
	return "[" + strings.TrimPrefix(text, " ") + "]"
}

// stream returns a socket that has to be there.
func (p *player) stream(flags int) int {
	p.t.Helper()
	fd, e := p.socket(unix.SOCK_STREAM | flags)
	p.must(e)
	return fd
}

// listener returns a socket that listens, and its port.
func (p *player) listener() (fd int, port uint16) {
	p.t.Helper()
	fd = p.stream(0)
	p.must(p.bind(fd, 0))
	p.must(p.listen(fd, 8))
	port, e := p.port(fd)
	p.must(e)
	return fd, port
}

// pair returns the ends of a connection.
func (p *player) pair() (client, server int) {
	p.t.Helper()
	l, port := p.listener()
	client = p.stream(0)
	p.must(p.connect(client, port))
	server, e := p.accept(l)
	p.must(e)
	p.close(l)
	p.scan()
	return client, server
}

// sock returns the loop's view of a descriptor.
func (p *player) sock(fd int) *sock {
	p.t.Helper()
	id, _ := sysInode(fd)
	s := p.l.socks[id]
	if s == nil {
		p.t.Fatalf("%d is no socket of the host", fd)
	}
	return s
}

// is fails the test unless the socket is in a state.
func (p *player) is(fd int, want state) {
	p.t.Helper()
	if s := p.sock(fd); s.state != want {
		p.t.Errorf("%v, want %v", s.state, want)
	}
}

// says sends bytes one way and has them read.
func (p *player) says(from, to int, text string) {
	p.t.Helper()
	p.must(p.write(from, []byte(text)))
	b, e := p.readAll(to, len(text))
	if e != 0 || string(b) != text {
		p.t.Errorf("%q, %q, want %q", b, unix.ErrnoName(e), text)
	}
}

// reset closes a descriptor so that the connection is reset.
func (p *player) reset(fd int) {
	p.t.Helper()
	p.must(p.setOption(fd, unix.SOL_SOCKET, unix.SO_LINGER, lingerAbort))
	p.close(fd)
	p.idle()
}

// recv implements notifier.
func (p *player) recv(n *notification) syscall.Errno {
	if f := p.before; f != nil {
		p.before = nil
		f()
	}
	var b [8]byte
	unix.Read(p.fd, b[:])
	if len(p.queue) == 0 {
		return unix.ENOENT
	}
	c := shift(&p.queue)
	if p.calls[c.n.id] != c {
		return unix.ENOENT
	}
	*n = c.n
	return 0
}

// send implements notifier. An answer that fails has not reached the call, which is
// ended by a signal.
func (p *player) send(r *response) syscall.Errno {
	c := p.calls[r.id]
	if c == nil {
		return unix.ENOENT
	}
	delete(p.calls, r.id)
	if e := failing(opAnswer); e != 0 {
		c.lost = true
		return unix.ENOENT
	}
	c.done, c.val, c.err, c.byKernel = true, r.val, syscall.Errno(-r.error), r.flags&flagContinue != 0
	return 0
}

// valid implements notifier.
func (p *player) valid(id uint64) bool { return p.calls[id] != nil }

// addFD implements notifier.
func (p *player) addFD(id uint64, fd, flags int, answer bool) (int, syscall.Errno) {
	c := p.calls[id]
	if c == nil {
		return 0, unix.ENOENT
	}
	if e := failing(opAddFD); e != 0 {
		return 0, e
	}
	if p.addErr != 0 {
		return 0, p.addErr
	}
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return 0, err.(syscall.Errno)
	}
	if flags&unix.O_CLOEXEC == 0 {
		unix.FcntlInt(uintptr(n), unix.F_SETFD, 0)
	}
	p.fds[n] = true
	// Nothing waits for a timer, as Nagle's algorithm does for a delayed acknowledgement.
	if own, _ := sysInode(fd); p.l.socks[own] != nil && p.l.socks[own].stream {
		p.l.socks[own].u.SetSockOptInt(usock.IPPROTO_TCP, usock.TCP_NODELAY, 1)
	}
	if answer {
		delete(p.calls, id)
		c.done, c.val = true, int64(n)
	}
	return n, 0
}

// replaceFD implements notifier.
func (p *player) replaceFD(id uint64, fd, target, flags int) syscall.Errno {
	if p.calls[id] == nil {
		return unix.ENOENT
	}
	if e := failing(opAddFD); e != 0 {
		return e
	}
	p.fds[target] = true
	return errno(unix.Dup3(fd, target, flags))
}

// rowNumbers are this machine's numbers of the calls.
var rowNumbers = func() map[string]int32 {
	m := make(map[string]int32)
	for _, r := range rows() {
		m[r.name] = r.number(&native)
	}
	return m
}()

// start makes a call, which is served in the rounds to come.
func (p *player) start(name string, args ...uint64) *played {
	nr, ok := rowNumbers[name]
	if !ok {
		p.t.Fatal("no call ", name)
	}
	p.last++
	c := &played{name: name}
	c.n.id, c.n.pid = p.last, uint32(p.tid)
	c.n.data.nr, c.n.data.arch = nr, native.arch
	copy(c.n.data.args[:], args)
	p.post(c)
	return c
}

func (p *player) post(c *played) {
	p.calls[c.n.id] = c
	p.queue = append(p.queue, c)
	one := binary.NativeEndian.AppendUint64(nil, 1)
	if _, err := unix.Write(p.fd, one); err != nil {
		p.t.Fatal(err)
	}
}

// again makes a lost call again, as the kernel does after the signal's handler.
func (p *player) again(c *played) {
	p.last++
	c.n.id, c.lost = p.last, false
	p.post(c)
}

// gone ends a call that waits, as a signal does.
func (p *player) gone(c *played) {
	delete(p.calls, c.n.id)
	c.lost = true
}

// call makes a call and waits for its end.
func (p *player) call(name string, args ...uint64) *played {
	p.t.Helper()
	c := p.start(name, args...)
	p.end(c)
	return c
}

func (p *player) end(c *played) {
	p.t.Helper()
	p.until(c.name+" ends", func() bool { return c.done || c.lost })
}

// blocked reports that a call is waiting and nothing is left to do.
func (p *player) blocked(c *played) bool {
	p.idle()
	return !c.done && !c.lost && p.calls[c.n.id] == c
}

// round runs a round of the loop, which does not sleep: the test has something to do.
func (p *player) round() {
	stuck := time.AfterFunc(2*patience, func() { panic("a round of the loop does not end") })
	unix.Write(p.bell, binary.NativeEndian.AppendUint64(nil, 1))
	p.l.round(p.me)
	unix.Read(p.bell, make([]byte, 8))
	stuck.Stop()
}

// deaf is the bell as a source.
type deaf struct{}

func (deaf) ready(uint32) {}

// resting reports whether the loop would sleep now.
func (p *player) resting() bool {
	l := p.l
	return len(l.batch) <= 1 && len(p.queue) == 0 && !l.stackTold.Load() && // the bell's event is always there
		len(l.again)+len(l.ending)+len(l.runnable)+len(l.late)+len(l.wanting) == 0 && !l.scanner.more()
}

// sleep waits in the loop's place, until something happens or d has passed.
func (p *player) sleep(d time.Duration) {
	l := p.l
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	if l.stackTold.Load() {
		return
	}
	ms := int(d/time.Millisecond) + 1
	if own := l.timeout(); own >= 0 {
		ms = min(ms, own)
	}
	unix.Poll([]unix.PollFd{{Fd: int32(l.epoll), Events: unix.POLLIN}}, ms)
}

// doing says what keeps the loop from resting.
func (p *player) doing() string {
	l := p.l
	text := fmt.Sprintf("%d notifications, again %d, ending %d, runnable %d, late %d, stack %v, scanner %v, finder %v",
		len(p.queue), len(l.again), len(l.ending), len(l.runnable), len(l.late), l.stackTold.Load(), l.scanner.more(), l.finder.busy)
	for _, ev := range l.batch {
		text += fmt.Sprintf(", %T %#x", l.sources[ev.Fd].src, ev.Events)
	}
	return text
}

// until runs rounds of the loop until cond holds.
func (p *player) until(what string, cond func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; {
		p.round()
		if cond() { // it may be a call whose success is not repeated
			return
		}
		left := time.Until(end)
		if left <= 0 {
			p.t.Fatalf("waited in vain until %s: %s", what, p.doing())
		}
		if p.resting() {
			p.sleep(left)
		}
	}
}

// idle runs rounds until the loop has nothing to do but wait.
func (p *player) idle() {
	p.t.Helper()
	p.until("the loop comes to rest", func() bool {
		return p.resting() && !p.l.finder.busy && (!p.l.scanner.busy || len(p.l.scanner.waiting)+len(p.l.scanner.lookers) == 0)
	})
}

// scan has the loop look for what the program has closed.
func (p *player) scan() {
	p.t.Helper()
	n := &p.l.scanner
	need := n.wait()
	p.until("the scan ends", func() bool { return n.enough(need) && !n.busy && !n.more() })
	p.idle()
}

// settle has the loop find all that the program has closed. What was made while a
// scan went on is found by the next.
func (p *player) settle() {
	p.t.Helper()
	p.idle()
	for range 2 {
		if len(p.l.silent) > 0 {
			p.scan()
		}
	}
}

// census are the things of which none may be left over. Threads are not: they are
// known until they end.
type census struct {
	fds, space, socks, silent, ports, parked, timers, starved, wanting, waiting int
	hosts                                                                       string
}

func (p *player) census() (c census) {
	l := p.l
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		p.t.Fatal(err)
	}
	c.fds = len(fds) - len(l.tasks) - len(p.fds)
	c.space = l.space.used - len(l.tasks)
	c.socks, c.silent, c.ports = len(l.socks), len(l.silent), len(l.ports)
	c.parked, c.timers, c.starved, c.wanting = len(l.kicker.calls), len(l.timers), len(l.starved), len(l.wanting)
	c.waiting = len(l.scanner.waiting)
	count := make(map[string]int)
	for _, s := range l.host.Sockets() {
		if s.State != "TIME-WAIT" {
			count[s.Proto+" "+s.State]++
		}
	}
	c.hosts = fmt.Sprint(count)
	return c
}

// alloc returns memory that outlives the calls of a test.
func (p *player) alloc(n int) []byte {
	n = (n + 15) &^ 15
	if p.used+n > len(p.mem) {
		p.used = 0
	}
	b := p.mem[p.used : p.used+n : p.used+n]
	p.used += n
	clear(b)
	return b
}

func at(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

func (p *player) put(b []byte) []byte {
	m := p.alloc(len(b))[:len(b)]
	copy(m, b)
	return m
}

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// addr returns the struct sockaddr of a port of this host.
func (p *player) addr(port uint16) (addr, size uint64) {
	b := p.put(usock.Addr{Family: usock.AF_INET, IP: localhost, Port: port}.AppendSockaddr(nil))
	return at(b), uint64(len(b))
}

// room is a struct sockaddr to be filled in, with its length.
type room struct{ b, n []byte }

func (p *player) room() room {
	r := room{p.alloc(abi.SizeofStorage), p.alloc(4)}
	binary.NativeEndian.PutUint32(r.n, abi.SizeofStorage)
	return r
}

func (r room) port(t testing.TB) uint16 {
	a, err := abi.ParseAddr(r.b[:binary.NativeEndian.Uint32(r.n)])
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

// The calls, as a program makes them.

func (p *player) socket(typ int) (int, syscall.Errno) {
	c := p.call("socket", unix.AF_INET, uint64(typ), 0)
	return int(c.val), c.errno()
}

// errno is the error of a call; EINTR for one that was lost.
func (c *played) errno() syscall.Errno {
	if c.lost {
		return unix.EINTR
	}
	return c.err
}

func (p *player) startConnect(fd int, port uint16) *played {
	a, n := p.addr(port)
	return p.start("connect", uint64(fd), a, n)
}

func (p *player) connect(fd int, port uint16) syscall.Errno {
	c := p.startConnect(fd, port)
	p.end(c)
	return c.errno()
}

// disconnect is connect to AF_UNSPEC.
func (p *player) disconnect(fd int) syscall.Errno {
	return p.call("connect", uint64(fd), at(p.alloc(16)), 16).errno()
}

func (p *player) bind(fd int, port uint16) syscall.Errno {
	a, n := p.addr(port)
	return p.call("bind", uint64(fd), a, n).errno()
}

func (p *player) listen(fd, backlog int) syscall.Errno {
	return p.call("listen", uint64(fd), uint64(backlog)).errno()
}

func (p *player) startAccept(fd int) *played { return p.start("accept4", uint64(fd), 0, 0, 0) }

func (p *player) accept(fd int) (int, syscall.Errno) {
	c := p.startAccept(fd)
	p.end(c)
	return int(c.val), c.errno()
}

func (p *player) shutdown(fd, how int) syscall.Errno {
	return p.call("shutdown", uint64(fd), uint64(how)).errno()
}

func (p *player) port(fd int) (uint16, syscall.Errno) {
	r := p.room()
	if e := p.call("getsockname", uint64(fd), at(r.b), at(r.n)).errno(); e != 0 {
		return 0, e
	}
	return r.port(p.t), 0
}

func (p *player) peerPort(fd int) (uint16, syscall.Errno) {
	r := p.room()
	if e := p.call("getpeername", uint64(fd), at(r.b), at(r.n)).errno(); e != 0 {
		return 0, e
	}
	return r.port(p.t), 0
}

func (p *player) setOption(fd, level, name int, v []byte) syscall.Errno {
	b := p.put(v)
	return p.call("setsockopt", uint64(fd), uint64(level), uint64(name), at(b), uint64(len(b))).errno()
}

func (p *player) option(fd, level, name int) (int, syscall.Errno) {
	v, n := p.alloc(4), p.alloc(4)
	binary.NativeEndian.PutUint32(n, 4)
	e := p.call("getsockopt", uint64(fd), uint64(level), uint64(name), at(v), at(n)).errno()
	return int(int32(binary.NativeEndian.Uint32(v))), e
}

func (p *player) soError(fd int) syscall.Errno {
	v, e := p.option(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if e != 0 {
		p.t.Fatal(e)
	}
	return syscall.Errno(v)
}

func (p *player) sendto(fd int, b []byte, port uint16) (int, syscall.Errno) {
	m := p.put(b)
	a, n := p.addr(port)
	c := p.call("sendto", uint64(fd), at(m), uint64(len(m)), 0, a, n)
	return int(c.val), c.errno()
}

func (p *player) recvfrom(fd, size, flags int) (b []byte, port uint16, e syscall.Errno) {
	m, r := p.alloc(size), p.room()
	c := p.call("recvfrom", uint64(fd), at(m), uint64(size), uint64(flags), at(r.b), at(r.n))
	if e := c.errno(); e != 0 {
		return nil, 0, e
	}
	if binary.NativeEndian.Uint32(r.n) > 0 {
		port = r.port(p.t)
	}
	return m[:c.val], port, 0
}

// What the kernel carries out.

func (p *player) close(fd int) {
	if !p.fds[fd] {
		p.t.Fatalf("%d is not open", fd)
	}
	delete(p.fds, fd)
	unix.Close(fd)
}

// write is a write that waits until all is taken, or returns an error.
func (p *player) write(fd int, b []byte) (e syscall.Errno) {
	p.t.Helper()
	p.until("write ends", func() bool {
		n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		b, e = b[max(n, 0):], errno(err)
		return e != unix.EAGAIN && (e != 0 || len(b) == 0)
	})
	return e
}

// fill writes until nothing more is taken, and returns how much was.
func (p *player) fill(fd int) (sent int) {
	p.t.Helper()
	b := make([]byte, 1<<14)
	for p.poll(fd)&unix.POLLOUT != 0 {
		for {
			n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if sent += max(n, 0); err != nil {
				break
			}
		}
	}
	return sent
}

// read is a read that waits.
func (p *player) read(fd, size int) (b []byte, e syscall.Errno) {
	p.t.Helper()
	b = make([]byte, size)
	n := 0
	p.until("read ends", func() bool {
		var err error
		n, _, err = unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		e = errno(err)
		return e != unix.EAGAIN
	})
	return b[:max(n, 0)], e
}

// readAll reads n bytes, or up to the end or an error.
func (p *player) readAll(fd, n int) (all []byte, e syscall.Errno) {
	p.t.Helper()
	for len(all) < n {
		b, e := p.read(fd, n-len(all))
		if e != 0 || len(b) == 0 {
			return all, e
		}
		all = append(all, b...)
	}
	return all, 0
}

const pollAll = unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP | unix.POLLPRI

// poll is what poll shows of a descriptor when the loop has come to rest.
func (p *player) poll(fd int) int16 {
	p.idle()
	return pollNow(fd, pollAll)
}

// thread makes another thread of this process that does nothing, and returns its
// number and what ends it.
func (p *player) thread() (tid int, end func()) {
	started, over := make(chan int), make(chan struct{})
	body := func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		started <- unix.Gettid()
		<-over
	}
	go body()
	if tid = <-started; tid == os.Getpid() {
		go body() // the runtime keeps the first thread
		tid = <-started
	}
	end = sync.OnceFunc(func() { close(over) })
	p.t.Cleanup(end)
	return tid, end
}

// as has calls made by another thread.
func (p *player) as(tid int, f func()) {
	own := p.tid
	p.tid = tid
	f()
	p.tid = own
}

// gate holds packets back while it is shut.
type gate struct {
	link.Direct
	mu   sync.Mutex
	shut bool
	held []*link.Packet
}

func (g *gate) Send(batch []*link.Packet) int {
	g.mu.Lock()
	shut := g.shut
	if shut {
		g.held = append(g.held, batch...)
	}
	g.mu.Unlock()
	if shut {
		return len(batch)
	}
	return g.Direct.Send(batch)
}

func (g *gate) close() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
}

// open lets through what was held.
func (g *gate) open() {
	g.mu.Lock()
	held := g.held
	g.held, g.shut = nil, false
	g.mu.Unlock()
	if len(held) > 0 {
		g.Direct.Send(held)
	}
}

func (s state) String() string {
	names := [...]string{"fresh", "connecting", "connected", "listening", "over", "closing", "released"}
	if int(s) < len(names) {
		return names[s]
	}
	return strconv.Itoa(int(s))
}

// walk records the transitions that were taken.
var walk struct {
	mu    sync.Mutex
	taken [len(transitions)]uint8
	bad   []string
}

func init() {
	onTransition = func(from, to state, drawn bool) {
		walk.mu.Lock()
		defer walk.mu.Unlock()
		walk.taken[from] |= 1 << to
		if bad := fmt.Sprintf("%v → %v", from, to); !drawn && !slices.Contains(walk.bad, bad) {
			walk.bad = append(walk.bad, bad)
		}
	}
}
