//go:build linux && (amd64 || arm64)

package run

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// injector has system calls of the loop fail as planned. It is asked by the loop and
// by the goroutines that search for it.
var injector faults

type faults struct {
	mu    sync.Mutex
	op    op
	errno syscall.Errno
	nth   int  // which one fails, from 1 on; 0: none
	stays bool // and all later ones
	count [ops]int
	hit   bool
}

func init() { fault = injector.fail }

func (f *faults) fail(o op) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count[o]++
	if f.nth == 0 || o != f.op {
		return 0
	}
	if n := f.count[o]; n == f.nth || n > f.nth && f.stays {
		f.hit = true
		return f.errno
	}
	return 0
}

// plan has the nth call from now on fail, and all later ones if it stays.
func (f *faults) plan(o op, e syscall.Errno, nth int, stays bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.errno, f.nth, f.stays = o, e, nth, stays
	f.count, f.hit = [ops]int{}, false
}

// stop ends it, and reports whether a call has failed and how often each was made.
func (f *faults) stop() (hit bool, count [ops]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nth = 0
	return f.hit, f.count
}

var opNames = [ops]string{
	"read", "recv", "send", "socket", "socketpair", "bind", "listen", "connect", "accept",
	"pidfd_getfd", "pidfd_open", "epoll_ctl", "process_vm", "addfd", "answer", "dup",
}

var faultErrnos = []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.ESRCH, unix.EINTR, unix.EAGAIN}

// plausible reports whether the kernel can mean it. EAGAIN of a read is a statement, that
// nothing is there, after which it tells of what comes: as a lie it takes bytes away. An
// answer reaches its call or not, and fails in one way. EINTR goes away when the call
// is made again.
func plausible(o op, e syscall.Errno, stays bool) bool {
	if e == unix.EINTR && stays {
		return false
	}
	switch o {
	case opRead, opRecv:
		return e != unix.EAGAIN
	case opAnswer:
		return e == faultErrnos[0]
	}
	return true
}

// mayFail are the errors that Linux gives for a call of a program that has done nothing
// wrong (the calls' man pages, and ENOBUFS of POSIX), where more than noMemory.
var mayFail = map[string][]syscall.Errno{
	"socket":     {unix.EMFILE, unix.ENFILE},
	"accept4":    {unix.EMFILE, unix.ENFILE, unix.EAGAIN, unix.ECONNABORTED},
	"connect":    {unix.EINPROGRESS, unix.EALREADY, unix.ECONNREFUSED, unix.ECONNABORTED},
	"shutdown":   {unix.ENOTCONN},
	"sendto":     {unix.EAGAIN, unix.ECONNREFUSED},
	"recvfrom":   {unix.EAGAIN, unix.ECONNREFUSED},
	"getsockopt": nil, "setsockopt": nil, "bind": nil, "listen": nil, "getsockname": nil,
	"getpeername": {unix.ENOTCONN},
	"read":        {unix.ECONNRESET, unix.ECONNREFUSED, unix.EPIPE},
	"write":       {unix.ECONNRESET, unix.ECONNREFUSED, unix.EPIPE, unix.ENOTCONN},
}

var noMemory = []syscall.Errno{unix.ENOMEM, unix.ENOBUFS}

// script is a scenario being played. Its calls report whether they have succeeded,
// which each has to where nothing is injected.
type script struct {
	*player
	strict bool
	memory bool // EFAULT may be: the program's memory cannot be read
	hit    bool // what was planned has happened, and is over
}

func (s *script) ok(call string, e syscall.Errno) bool {
	s.t.Helper()
	switch {
	case e == 0:
		return true
	case s.strict:
		s.t.Fatalf("%s: %s", call, unix.ErrnoName(e))
	case e == unix.EFAULT && s.memory || slices.Contains(noMemory, e) || slices.Contains(mayFail[call], e):
	default:
		s.t.Errorf("%s fails with %s, which Linux does not", call, unix.ErrnoName(e))
	}
	return false
}

// stuck returns a condition that holds when nothing more happens: the loop has come to
// rest, or tries the same again and again.
func (s *script) stuck() func() bool {
	rounds := 0
	return func() bool {
		rounds++
		return s.resting() && !s.l.finder.busy || !s.strict && rounds > 300
	}
}

// idle runs rounds until nothing more happens.
func (s *script) idle() {
	s.t.Helper()
	s.until("the loop comes to rest", s.stuck())
}

// try makes a call. One that waits when the loop has come to rest is ended by a signal,
// as is one whose answer was lost.
func (s *script) try(c *played) bool {
	s.t.Helper()
	stuck := s.stuck()
	s.until(c.name+" ends", func() bool { return c.done || c.lost || stuck() })
	switch {
	case c.byKernel:
		s.t.Fatalf("%s is left to the kernel: the loop does not know the socket any more", c.name)
	case c.done:
		return s.ok(c.name, c.err)
	case s.strict:
		s.t.Fatalf("%s does not end", c.name)
	case !c.lost:
		s.gone(c)
	}
	return false
}

func (s *script) socket(typ int) (int, bool) {
	s.t.Helper()
	c := s.start("socket", unix.AF_INET, uint64(typ), 0)
	ok := s.try(c)
	return int(c.val), ok
}

func (s *script) bind(fd int, port uint16) bool {
	s.t.Helper()
	a, n := s.addr(port)
	return s.try(s.start("bind", uint64(fd), a, n))
}

// listen is a listen. After it has failed for want of something nobody listens, the
// socket keeps its port, and with the fault gone it listens.
func (s *script) listen(fd int) bool {
	s.t.Helper()
	of := s.sock(fd)
	before, _ := of.u.GetSockName()
	port, first := before.Port, of.state == fresh
	c := s.start("listen", uint64(fd), 8)
	if s.try(c) {
		return true
	}
	if c.lost {
		return false
	}
	s.mended()
	if o, ok := s.socket(unix.SOCK_STREAM); ok {
		if e := s.player.connect(o, port); e != unix.ECONNREFUSED {
			s.t.Errorf("connect to who does not listen: %s", unix.ErrnoName(e))
		}
	}
	ok := s.try(s.start("listen", uint64(fd), 8))
	if now, _ := s.port(fd); now != port && first {
		s.t.Errorf("port %d, and before listen %d", now, port)
	}
	return ok
}

func (s *script) port(fd int) (uint16, bool) {
	s.t.Helper()
	r := s.room()
	ok := s.try(s.start("getsockname", uint64(fd), at(r.b), at(r.n)))
	if !ok {
		return 0, false
	}
	return r.port(s.t), true
}

// connect is a connect that waits, or one of a non-blocking socket that is under way then.
// After it has failed for want of something the socket is as before: with the fault gone
// it connects.
func (s *script) connect(fd int, port uint16) bool {
	s.t.Helper()
	c := s.startConnect(fd, port)
	stuck := s.stuck()
	s.until("connect ends", func() bool { return c.done || c.lost || stuck() })
	if c.err == unix.EINPROGRESS || !c.done || s.ok("connect", c.err) {
		return c.done || s.try(c)
	}
	s.mended()
	e := s.player.connect(fd, port)
	if e == unix.ECONNABORTED { // the first attempt's end
		e = s.player.connect(fd, port)
	}
	return e == unix.EINPROGRESS || s.ok("connect again", e)
}

// mended ends what is injected: from here on all has to succeed.
func (s *script) mended() {
	hit, _ := injector.stop()
	s.hit, s.strict = s.hit || hit, true
	s.l.feedAt = time.Time{} // starved listeners look again
}

func (s *script) accept(fd int) (int, bool) {
	s.t.Helper()
	c := s.startAccept(fd)
	ok := s.try(c)
	return int(c.val), ok
}

func (s *script) shutdown(fd, how int) bool {
	s.t.Helper()
	return s.try(s.start("shutdown", uint64(fd), uint64(how)))
}

// listener returns a socket that listens, and its port.
func (s *script) listener() (fd int, port uint16, ok bool) {
	s.t.Helper()
	if fd, ok = s.socket(unix.SOCK_STREAM); ok {
		ok = s.bind(fd, 0) && s.listen(fd)
	}
	if ok {
		port, ok = s.port(fd)
	}
	return fd, port, ok
}

// write and read are the kernel's. They give up when the loop has come to rest.
func (s *script) write(fd int, text string) bool {
	s.t.Helper()
	n, err := unix.SendmsgN(fd, []byte(text), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return s.ok("write", errno(err)) && n == len(text)
}

// read returns what comes up to n bytes, or the end, an error, or nothing more.
func (s *script) read(fd, n int) (string, bool) {
	s.t.Helper()
	b, have := make([]byte, n), 0
	var e syscall.Errno
	stuck := s.stuck()
	s.until("read ends", func() bool {
		for have < n {
			k, _, err := unix.Recvfrom(fd, b[have:], unix.MSG_DONTWAIT)
			if e = errno(err); e == unix.EAGAIN {
				return stuck()
			}
			if e != 0 || k == 0 {
				return true
			}
			have += k
		}
		return true
	})
	if s.strict && have < n {
		s.t.Fatalf("%d bytes of %d, and then %s", have, n, unix.ErrnoName(e))
	}
	if e != 0 && e != unix.EAGAIN {
		s.ok("read", e)
	}
	return string(b[:have]), have == n
}

// moves sends bytes that name the connection both ways, and looks whether they are its
// own.
func (s *script) moves(client, server int) bool {
	s.t.Helper()
	own, ok := s.port(client)
	if !ok {
		return false
	}
	up, down := fmt.Sprintf("from %5d", own), fmt.Sprintf("to %5d", own)
	if !s.write(client, up) {
		return false
	}
	got, whole := s.read(server, len(up))
	if !strings.HasPrefix(up, got) {
		s.t.Errorf("the server of %d is sent %q", own, got)
	}
	if !whole || !s.write(server, down) {
		return false
	}
	if got, whole = s.read(client, len(down)); !strings.HasPrefix(down, got) {
		s.t.Errorf("the client %d is sent %q", own, got)
	}
	return whole
}

// meets accepts the connections of clients, besides those of attempts that have failed,
// and has each move bytes. It returns the last one.
func (s *script) meets(l int, clients ...int) (server int, ok bool) {
	s.t.Helper()
	by := make(map[uint16]int)
	for _, c := range clients {
		port, ok := s.port(c)
		if !ok {
			return 0, false
		}
		by[port] = c
	}
	for tries := 0; len(by) > 0; tries++ {
		if tries == 20 {
			s.t.Fatal("accept gives connections without end")
		}
		if server, ok = s.accept(l); !ok {
			return 0, false
		}
		r := s.room()
		c := s.start("getpeername", uint64(server), at(r.b), at(r.n))
		s.end(c)
		if c.err == unix.ENOTCONN {
			continue // it was reset
		}
		if !s.try(c) {
			return 0, false
		}
		port := r.port(s.t)
		client, ours := by[port]
		if !ours {
			continue
		}
		delete(by, port)
		if !s.moves(client, server) {
			return 0, false
		}
	}
	return server, ok
}

// ends reads the end of a stream.
func (s *script) ends(fd int) bool {
	s.t.Helper()
	var b [1]byte
	n, e := -1, syscall.Errno(0)
	stuck := s.stuck()
	s.until("the end comes", func() bool {
		k, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT)
		n, e = k, errno(err)
		return e != unix.EAGAIN || stuck()
	})
	if s.strict && (n != 0 || e != 0) {
		s.t.Fatalf("%d, %s where the end was to come", n, unix.ErrnoName(e))
	}
	return n == 0 && e == 0
}

// scenarios are played with each system call failing in turn.
var scenarios = []struct {
	name string
	play func(*script)
}{
	{"transfer", playTransfer},
	{"accept", playAccept},
	{"listen", playListen},
	{"nonblocking", playNonblocking},
	{"underway", playUnderWay},
	{"datagram", playDatagram},
	{"shutdown", playShutdown},
	{"close", playClose},
	{"sctp", playSCTP},
	{"many", playSCTPMany},
}

func playTransfer(s *script) {
	l, port, ok := s.listener()
	if !ok {
		return
	}
	c, ok := s.socket(unix.SOCK_STREAM)
	if !ok || !s.connect(c, port) {
		return
	}
	s.meets(l, c)
}

// playAccept has two connections wait, and accepts them in turn.
func playAccept(s *script) {
	l, port, ok := s.listener()
	if !ok {
		return
	}
	var clients []int
	for range 2 {
		if c, ok := s.socket(unix.SOCK_STREAM); ok && s.connect(c, port) {
			clients = append(clients, c)
		}
	}
	s.meets(l, clients...)
}

// playListen listens, stops and listens again.
func playListen(s *script) {
	l, port, ok := s.listener()
	if !ok {
		return
	}
	c, ok := s.socket(unix.SOCK_STREAM)
	if !ok || !s.connect(c, port) || !s.shutdown(l, unix.SHUT_RD) || !s.listen(l) {
		return
	}
	if port, ok = s.port(l); !ok {
		return
	}
	if c, ok = s.socket(unix.SOCK_STREAM); !ok || !s.connect(c, port) {
		return
	}
	s.meets(l, c)
}

// playNonblocking is refused, and connects again with the same descriptor.
func playNonblocking(s *script) {
	gone, port, ok := s.listener()
	if !ok {
		return
	}
	s.close(gone)
	c, ok := s.socket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	if !ok || !s.connect(c, port) {
		return
	}
	v, n := s.alloc(4), s.put([]byte{4, 0, 0, 0})
	if !s.try(s.start("getsockopt", uint64(c), unix.SOL_SOCKET, unix.SO_ERROR, at(v), at(n))) {
		return
	}
	l, port, ok := s.listener()
	if !ok {
		return
	}
	// The first attempt's end is told once more, as ECONNABORTED (__inet_stream_connect).
	s.end(s.startConnect(c, port))
	if !s.connect(c, port) {
		return
	}
	s.meets(l, c)
}

// playUnderWay connects while no packet gets through.
func playUnderWay(s *script) {
	defer s.gate.open()
	l, port, ok := s.listener()
	if !ok {
		return
	}
	c, ok := s.socket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	if !ok {
		return
	}
	s.gate.close()
	if !s.connect(c, port) {
		return
	}
	s.idle()
	s.gate.open()
	s.meets(l, c)
}

func playDatagram(s *script) {
	a, ok := s.socket(unix.SOCK_DGRAM)
	if !ok || !s.bind(a, 0) {
		return
	}
	b, ok := s.socket(unix.SOCK_DGRAM)
	if !ok || !s.bind(b, 0) {
		return
	}
	to, ok1 := s.port(a)
	from, ok2 := s.port(b)
	if !ok1 || !ok2 {
		return
	}
	send := func(fd int, text string, port uint16) bool {
		m := s.put([]byte(text))
		addr, n := s.addr(port)
		return s.try(s.start("sendto", uint64(fd), at(m), uint64(len(m)), 0, addr, n))
	}
	first := true // it may be there
	if send(b, "by address", to) {
		s.idle()
		m, r := s.alloc(20), s.room()
		c := s.start("recvfrom", uint64(a), at(m), 20, 0, at(r.b), at(r.n))
		if first = !s.try(c); !first && (string(m[:c.val]) != "by address" || r.port(s.t) != from) {
			s.t.Errorf("%q from %d, want %d", m[:c.val], r.port(s.t), from)
		}
	}
	if !s.connect(b, to) || !s.write(b, "to the peer") {
		return
	}
	s.idle()
	for { // the first one is still there where recvfrom has failed
		var one [20]byte
		n, _, err := unix.Recvfrom(a, one[:], unix.MSG_DONTWAIT)
		if err != nil {
			s.ok("recvfrom", err.(syscall.Errno))
			return
		}
		got := string(one[:n])
		if got == "to the peer" {
			break
		}
		if !first || got != "by address" {
			s.t.Fatalf("%q", got)
		}
	}
	s.close(a)
	s.l.scanner.wait()
	s.idle()
	// The peer is gone, which a later send is told, with the kernel's errno for an
	// AF_UNIX socket.
	if s.write(b, "for nobody") {
		s.idle()
		_, err := unix.SendmsgN(b, []byte("."), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.ECONNRESET && s.strict {
			s.t.Errorf("send to a closed port: %v", err)
		}
	}
}

func (s *script) pair() (client, server int, ok bool) {
	s.t.Helper()
	l, port, ok := s.listener()
	if !ok {
		return 0, 0, false
	}
	if client, ok = s.socket(unix.SOCK_STREAM); !ok || !s.connect(client, port) {
		return 0, 0, false
	}
	server, ok = s.meets(l, client)
	return client, server, ok
}

func playShutdown(s *script) {
	c, a, ok := s.pair()
	if !ok || !s.shutdown(c, unix.SHUT_WR) || !s.ends(a) {
		return
	}
	if s.write(a, "after the end") {
		s.read(c, len("after the end"))
	}
	if s.shutdown(a, unix.SHUT_RDWR) {
		s.ends(c)
	}
}

// playClose closes with bytes on their way, and unread ones.
func playClose(s *script) {
	c, a, ok := s.pair()
	if !ok || !s.write(c, "last words") {
		return
	}
	s.close(c)
	if _, ok := s.read(a, len("last words")); ok {
		s.ends(a)
	}
	if c, a, ok = s.pair(); !ok || !s.write(c, "for nobody") {
		return
	}
	s.idle()
	s.close(a)
	s.idle()
	var b [1]byte
	if _, _, err := unix.Recvfrom(c, b[:], unix.MSG_DONTWAIT); err != unix.ECONNRESET && s.strict {
		s.t.Errorf("after a reset: %v", err)
	}
}

// sctp returns a socket of SCTP's, that listens if it is to.
func (s *script) sctp(typ int, listens bool) (fd int, port uint16, ok bool) {
	s.t.Helper()
	c := s.start("socket", unix.AF_INET, uint64(typ), unix.IPPROTO_SCTP)
	if fd, ok = int(c.val), s.try(c); ok {
		fd = int(c.val)
	}
	if ok && listens {
		if ok = s.bind(fd, 0) && s.try(s.start("listen", uint64(fd), 8)); ok {
			port, ok = s.port(fd)
		}
	}
	return fd, port, ok
}

// playSCTP has an association that is made, ends in order, and is made anew by the same socket.
func playSCTP(s *script) {
	l, port, ok := s.sctp(unix.SOCK_STREAM, true)
	if !ok {
		return
	}
	c, _, ok := s.sctp(unix.SOCK_STREAM, false)
	if !ok || !s.connect(c, port) {
		return
	}
	a, ok := s.accept(l)
	if !ok || !s.moves(c, a) {
		return
	}
	s.close(a)
	s.ends(c)
	if c, _, ok = s.sctp(unix.SOCK_STREAM|unix.SOCK_NONBLOCK, false); !ok || !s.connect(c, port) {
		return
	}
	s.idle()
	if a, ok = s.accept(l); ok {
		s.moves(c, a)
	}
}

// playSCTPMany sends to a socket of one-to-many style.
func playSCTPMany(s *script) {
	l, port, ok := s.sctp(unix.SOCK_SEQPACKET, true)
	if !ok {
		return
	}
	c, _, ok := s.sctp(unix.SOCK_SEQPACKET, false)
	if !ok {
		return
	}
	const text = "one of many"
	to, size := s.addr(port)
	if s.try(s.start("sendto", uint64(c), at(s.put([]byte(text))), uint64(len(text)), 0, to, size)) {
		s.read(l, len(text))
	}
}

// play plays a scenario, and ends as a program does. It reports whether a call has
// failed as planned.
func (p *player) play(f func(*script), s script) (hit bool) {
	p.t.Helper()
	s.player = p
	f(&s)
	hit, _ = injector.stop()
	hit = hit || s.hit
	p.call("getsockname", 1<<31) // no earlier call of this thread's is waiting any more
	for fd := range p.fds {
		p.close(fd)
	}
	p.l.feedAt = time.Time{} // starved listeners look again
	p.settle()
	return hit
}

var allFaults = flag.Bool("faults", false, "inject each errno at each call, and not only some")

// TestFaults plays each scenario with each system call failing once, or from then on,
// with each errno. Whatever becomes of it, the program is told what Linux could tell it,
// nothing is left over, no byte reaches another connection, and when the fault is gone
// the same works.
func TestFaults(t *testing.T) {
	for _, sc := range scenarios {
		for o := range ops {
			t.Run(sc.name+"/"+opNames[o], func(t *testing.T) { injectAll(t, sc.play, o) })
		}
	}
}

// injectAll has each call of one kind fail.
func injectAll(t *testing.T, play func(*script), o op) {
	t.Cleanup(func() { injector.stop() })
	p := newGatedPlayer(t)
	for range 2 {
		p.play(play, script{strict: true})
	}
	before := p.census()
	p.l.forgetTasks() // so that they are opened anew
	injector.plan(ops, 0, 0, false)
	play(&script{player: p, strict: true})
	_, count := injector.stop()
	p.play(func(*script) {}, script{})
	for nth := 1; nth <= count[o]; nth++ {
		for i, e := range faultErrnos {
			for _, stays := range []bool{false, true} {
				if !plausible(o, e, stays) || !*allFaults && !chosen(nth, i, stays) {
					continue
				}
				how := fmt.Sprintf("%s number %d failing with %s, stays: %v", opNames[o], nth, unix.ErrnoName(e), stays)
				p.l.forgetTasks()
				injector.plan(o, e, nth, stays)
				hit := p.play(play, script{memory: o == opMemory})
				if !hit && nth == 1 { // how often far ends are read depends on the moment
					t.Error("no call has failed")
				}
				left(t, before, p.census())
				p.play(play, script{strict: true})
				left(t, before, p.census())
				if t.Failed() {
					t.Fatal(how)
				}
			}
		}
	}
}

// chosen picks some of the faults: EMFILE that stays everywhere, and once at every other
// call, where another errno has its turn at the rest.
func chosen(nth, errno int, stays bool) bool {
	switch {
	case errno == 0:
		return stays || nth%2 == 1
	case testing.Short():
		return false
	}
	return nth%2 == 0 && errno == 1+nth/2%(len(faultErrnos)-1) && stays == (nth%4 == 0)
}

func left(t *testing.T, want, got census) {
	t.Helper()
	if got != want {
		t.Errorf("left over:\n%+v\nwant\n%+v", got, want)
	}
}
