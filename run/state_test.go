//go:build linux && (amd64 || arm64)

package run

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	isUnconnected = unix.POLLOUT | unix.POLLHUP
	isBroken      = unix.POLLIN | unix.POLLOUT | unix.POLLERR | unix.POLLHUP | unix.POLLRDHUP
)

// TestTransitions takes each transition of the drawing, and looks what the program
// sees of it. None is left out.
func TestTransitions(t *testing.T) {
	walk.mu.Lock()
	clear(walk.taken[:])
	walk.mu.Unlock()
	for _, c := range []struct {
		name string
		f    func(*player)
	}{
		{"connect", walkConnect},
		{"refused", walkRefused},
		{"connect under way", walkUnderWay},
		{"refused later", walkRefusedLater},
		{"disconnect under way", walkDisconnectUnderWay},
		{"close under way", walkCloseUnderWay},
		{"reset", walkReset},
		{"close", walkClose},
		{"close after shutdown", walkCloseAfterShutdown},
		{"shutdown twice", walkShutdownTwice},
		{"disconnect", walkDisconnect},
		{"listen again", walkListenAgain},
		{"connect after listen", walkConnectAfterListen},
		{"close of a listener", walkCloseListener},
		{"a shutdown that comes too late", walkLateShutdown},
		{"a join that fails", walkSpoiled},
		{"no descriptor to begin with", walkWanting},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newGatedPlayer(t)
			before := p.census()
			c.f(p)
			for fd := range p.fds {
				p.close(fd)
			}
			p.settle()
			left(t, before, p.census())
		})
	}
	if t.Failed() {
		return
	}
	for from, drawn := range transitions {
		for to := range released + 1 {
			if drawn&^walk.taken[from]&(1<<to) != 0 {
				t.Errorf("%v → %v is drawn, and was never taken", state(from), to)
			}
		}
	}
}

func walkConnect(p *player) {
	l, port := p.listener()
	p.is(l, listening)
	p.shows(l, 0)
	c := p.stream(0)
	p.is(c, fresh)
	p.shows(c, isUnconnected)
	p.must(p.connect(c, port))
	p.is(c, connected)
	p.shows(c, unix.POLLOUT)
	p.shows(l, unix.POLLIN)
	s, e := p.accept(l)
	p.must(e)
	p.shows(l, 0)
	p.is(s, connected)
	p.says(c, s, "up")
	p.says(s, c, "down")
	own, e := p.port(c)
	p.must(e)
	if peer, e := p.peerPort(s); e != 0 || peer != own {
		p.t.Errorf("the server's peer is %d, %v; want %d", peer, e, own)
	}
	p.wants(p.connect(c, port), unix.EISCONN)
	p.wants(p.listen(c, 1), unix.EINVAL)
}

// walkRefused takes a refusal that is known at once: a blocking socket stays fresh.
func walkRefused(p *player) {
	l, port := p.listener()
	p.close(l)
	c := p.stream(0)
	p.wants(p.connect(c, port), unix.ECONNREFUSED)
	p.is(c, fresh)
	p.shows(c, isUnconnected)
	p.close(c)
	p.scan() // fresh → released
	n := p.stream(unix.SOCK_NONBLOCK)
	p.wants(p.connect(n, port), unix.EINPROGRESS)
	p.is(n, over)
	p.shows(n, isBroken)
	p.wants(p.soError(n), unix.ECONNREFUSED)
	p.must(p.soError(n))
}

func walkUnderWay(p *player) {
	l, port := p.listener()
	p.gate.close()
	c := p.stream(unix.SOCK_NONBLOCK)
	p.wants(p.connect(c, port), unix.EINPROGRESS)
	p.is(c, connecting)
	p.shows(c, 0)
	p.wants(p.connect(c, port), unix.EALREADY)
	b := p.stream(0)
	waits := p.startConnect(b, port)
	if !p.blocked(waits) {
		p.t.Error("a blocking connect does not wait")
	}
	p.is(b, fresh)
	p.gate.open()
	p.shows(c, unix.POLLOUT)
	p.is(c, connected)
	p.must(p.soError(c))
	p.must(p.connect(c, port)) // tells the outcome, once
	p.wants(p.connect(c, port), unix.EISCONN)
	p.end(waits)
	p.must(waits.errno())
	p.is(b, connected)
	for _, end := range []int{c, b} {
		s, e := p.accept(l)
		p.must(e)
		p.says(end, s, "none of it is the filler")
		p.says(s, end, "down")
	}
}

func walkRefusedLater(p *player) {
	l, port := p.listener()
	p.close(l)
	p.scan()
	p.gate.close()
	c := p.stream(unix.SOCK_NONBLOCK)
	p.wants(p.connect(c, port), unix.EINPROGRESS)
	p.is(c, connecting)
	p.gate.open()
	p.shows(c, isBroken)
	p.is(c, over)
	p.wants(p.connect(c, port), unix.ECONNREFUSED)
	// over → fresh → ..., with a new file in the old one's place
	l, port = p.listener()
	p.wants(p.connect(c, port), unix.EINPROGRESS)
	p.is(c, connected)
	s, e := p.accept(l)
	p.must(e)
	p.says(c, s, "again")
}

func walkDisconnectUnderWay(p *player) {
	l, port := p.listener()
	p.gate.close()
	c := p.stream(unix.SOCK_NONBLOCK)
	p.wants(p.connect(c, port), unix.EINPROGRESS)
	p.must(p.disconnect(c))
	p.is(c, fresh)
	p.shows(c, isUnconnected)
	p.gate.open()
	p.idle()
	p.wants(p.connect(c, port), unix.EINPROGRESS)
	p.is(c, connected)
	for { // the first attempt may have left a connection that was reset
		s, e := p.accept(l)
		p.must(e)
		own, e := p.port(c)
		p.must(e)
		if peer, e := p.peerPort(s); e == 0 && peer == own {
			p.says(c, s, "the second one")
			return
		}
	}
}

func walkCloseUnderWay(p *player) {
	_, port := p.listener()
	p.gate.close()
	c := p.stream(unix.SOCK_NONBLOCK)
	p.wants(p.connect(c, port), unix.EINPROGRESS)
	s := p.sock(c)
	p.close(c)
	p.until("it is released", func() bool { return s.state == released })
	p.gate.open()
}

func walkReset(p *player) {
	c, s := p.pair()
	p.must(p.write(s, []byte("last words")))
	p.idle()
	p.reset(s)
	p.shows(c, isBroken)
	p.is(c, over)
	if b, e := p.readAll(c, len("last words")); e != 0 || string(b) != "last words" {
		p.t.Errorf("%q, %v before the reset", b, e)
	}
	_, e := p.read(c, 1)
	p.wants(e, unix.ECONNRESET)
	if b, e := p.read(c, 1); e != 0 || len(b) != 0 {
		p.t.Errorf("%q, %v after the reset was told", b, e)
	}
	p.must(p.soError(c))
	p.wants(p.write(c, []byte{1}), unix.EPIPE)
}

func walkClose(p *player) {
	c, s := p.pair()
	p.must(p.write(c, []byte("bye")))
	p.close(c)
	if b, e := p.readAll(s, 10); e != 0 || string(b) != "bye" {
		p.t.Errorf("%q, %v", b, e)
	}
	p.shows(s, unix.POLLIN|unix.POLLOUT|unix.POLLRDHUP)
}

// walkCloseAfterShutdown is what a server does that ends politely: it shuts down, and
// closes later. What comes after that is reset.
func walkCloseAfterShutdown(p *player) {
	c, s := p.pair()
	p.must(p.shutdown(s, unix.SHUT_WR))
	p.shows(c, unix.POLLIN|unix.POLLOUT|unix.POLLRDHUP)
	p.is(s, connected)
	p.says(c, s, "half open")
	of := p.sock(s)
	p.close(s)
	p.until("it is released", func() bool { return of.state == released })
	p.must(p.write(c, []byte("for nobody")))
	p.until("the reset", func() bool { return p.sock(c).state == over })
	p.wants(p.write(c, []byte{1}), unix.EPIPE)
}

// walkShutdownTwice ends a stream, and again, while nobody has room for all that was
// written.
func walkShutdownTwice(p *player) {
	for _, second := range []int{unix.SHUT_WR, unix.SHUT_RDWR} {
		c, s := p.pair()
		sent := p.fill(c)
		p.must(p.shutdown(c, unix.SHUT_WR))
		p.must(p.shutdown(c, second))
		got := 0
		for {
			b, e := p.read(s, pumpSize)
			p.must(e)
			if len(b) == 0 {
				break
			}
			got += len(b)
		}
		if got != sent {
			p.t.Errorf("%d of %d bytes came", got, sent)
		}
		p.close(c)
		p.close(s)
		p.idle()
	}
}

func walkDisconnect(p *player) {
	c, s := p.pair()
	p.must(p.disconnect(c))
	p.is(c, fresh)
	p.shows(c, isUnconnected)
	p.shows(s, isBroken) // Linux resets (tcp_disconnect)
	l, port := p.listener()
	p.must(p.connect(c, port))
	again, e := p.accept(l)
	p.must(e)
	p.says(c, again, "a new one")
}

func walkListenAgain(p *player) {
	l, port := p.listener()
	c := p.stream(0)
	p.must(p.connect(c, port))
	p.must(p.shutdown(l, unix.SHUT_RD))
	p.shows(c, isBroken) // it was not accepted
	_, e := p.accept(l)
	p.wants(e, unix.EINVAL)
	p.must(p.listen(l, 1))
	p.is(l, listening)
	port, e = p.port(l) // another one, as bind did not ask for it (tcp_disconnect)
	p.must(e)
	d := p.stream(0)
	p.must(p.connect(d, port))
	s, e := p.accept(l)
	p.must(e)
	p.says(d, s, "after all")
}

// walkConnectAfterListen connects with what was a listener.
func walkConnectAfterListen(p *player) {
	l, port := p.listener()
	for _, flags := range []int{0, unix.SOCK_NONBLOCK} {
		was := p.stream(flags)
		p.must(p.listen(was, 1))
		p.wants(p.connect(was, port), unix.EISCONN)
		p.must(p.shutdown(was, unix.SHUT_RDWR))
		if e := p.connect(was, port); e != 0 && (flags == 0 || e != unix.EINPROGRESS) {
			p.t.Fatal(e)
		}
		p.is(was, connected)
		p.shows(was, unix.POLLOUT)
		s, e := p.accept(l)
		p.must(e)
		p.says(was, s, "a client now")
	}
}

// walkLateShutdown has a shutdown of what has ended wake who waits.
func walkLateShutdown(p *player) {
	l, port := p.listener()
	c := p.stream(0)
	p.must(p.connect(c, port))
	s, e := p.accept(l)
	p.must(e)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		p.t.Fatal(err)
	}
	defer unix.Close(ep)
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, c, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}); err != nil {
		p.t.Fatal(err)
	}
	edges := func() int {
		p.idle()
		n, _ := unix.EpollWait(ep, make([]unix.EpollEvent, 4), 0)
		return n
	}
	p.must(p.shutdown(c, unix.SHUT_WR))
	p.must(p.shutdown(s, unix.SHUT_WR))
	edges()
	if n := edges(); n != 0 {
		p.t.Errorf("%d edges with nothing new", n)
	}
	p.wants(p.shutdown(c, unix.SHUT_WR), unix.ENOTCONN)
	if n := edges(); n != 1 {
		p.t.Errorf("%d edges after the shutdown that was too late", n)
	}
}

func walkCloseListener(p *player) {
	l, port := p.listener()
	c := p.stream(0)
	p.must(p.connect(c, port))
	p.close(l)
	p.scan()
	p.shows(c, isBroken)
	_, e := p.read(c, 1)
	p.wants(e, unix.ECONNRESET)
}

// walkWanting has the loop find no descriptor to look at a call's socket with: the call
// waits for one, and fails when there is none for long. One that makes a socket fails
// at once, as it does at a limit of the program's own.
func walkWanting(p *player) {
	s := p.stream(0)
	for _, o := range []op{opGetFD, opPidfdOpen} {
		for _, stays := range []bool{false, true} {
			for _, want := range map[bool][]syscall.Errno{false: {0, 0}, true: {unix.ENOBUFS}}[stays] {
				p.l.forgetTasks()
				injector.plan(o, unix.EMFILE, 1, stays)
				_, e := p.port(s)
				if hit, _ := injector.stop(); !hit {
					p.t.Errorf("%s was not called", opNames[o])
				}
				p.wants(e, want)
			}
		}
	}
	p.l.forgetTasks()
	p.l.space.wantFor = time.Hour
	injector.plan(opPidfdOpen, unix.EMFILE, 1, true)
	e := p.call("socket", unix.AF_INET, unix.SOCK_STREAM, 0).errno()
	injector.stop()
	p.wants(e, unix.EMFILE)
}

// walkSpoiled has the loop find no descriptor for the far end of a program's end that
// is connected already.
func walkSpoiled(p *player) {
	l, port := p.listener()
	c := p.stream(0)
	injector.plan(opAccept, unix.EMFILE, 1, false)
	e := p.connect(c, port)
	injector.stop()
	if e != unix.ENOBUFS && e != unix.EMFILE {
		p.t.Errorf("connect: %v", e)
	}
	p.is(c, over)
	p.wants(p.connect(c, port), syscall.Errno(0)) // with a new file
	p.is(c, connected)
	for {
		s, e := p.accept(l)
		p.must(e)
		own, e := p.port(c)
		p.must(e)
		if peer, e := p.peerPort(s); e == 0 && peer == own {
			p.says(c, s, "paired")
			return
		}
	}
}
