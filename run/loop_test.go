//go:build linux && (amd64 || arm64)

package run

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestStarvedListener has a connection come while there is no descriptor: it is shown
// as soon as there is one, without anything else happening.
func TestStarvedListener(t *testing.T) {
	p := newPlayer(t)
	l, port := p.listener()
	c := p.stream(0)
	t.Cleanup(func() { injector.stop() })
	injector.plan(opSocket, unix.EMFILE, 1, true)
	p.must(p.connect(c, port))
	p.shows(l, 0)
	_, e := p.accept(l)
	p.wants(e, unix.EMFILE)
	injector.stop()
	p.until("the listener is readable", func() bool { return pollNow(l, unix.POLLIN) != 0 })
	s, e := p.accept(l)
	p.must(e)
	p.says(c, s, "late")
}

// TestAcceptPutBack has the program have no number for a connection: it stays the next
// one, and is shown to be there.
func TestAcceptPutBack(t *testing.T) {
	p := newPlayer(t)
	l, port := p.listener()
	var clients, servers []int
	for range 2 {
		c := p.stream(0)
		p.must(p.connect(c, port))
		clients = append(clients, c)
	}
	for range 2 {
		p.addErr = unix.EMFILE
		_, e := p.accept(l)
		p.wants(e, unix.EMFILE)
		p.addErr = 0
		p.shows(l, unix.POLLIN)
	}
	for range clients {
		s, e := p.accept(l)
		p.must(e)
		servers = append(servers, s)
	}
	p.shows(l, 0)
	for i := range clients { // in the order in which they came
		p.says(clients[i], servers[i], "mine")
	}
}

// TestPumpsGoOn has each read and write of a far end fail once, in a way that says nothing
// of the program: no byte is lost, and nothing has to happen for the rest to come.
func TestPumpsGoOn(t *testing.T) {
	p := newPlayer(t)
	t.Cleanup(func() { injector.stop() })
	c, s := p.pair()
	text := bytes.Repeat([]byte("0123456789abcdef"), 40<<10) // more than the ends hold
	for _, o := range []op{opRead, opSend} {
		for _, e := range []unix.Errno{unix.EINTR, unix.ENOMEM, unix.ENOBUFS, unix.EMFILE} {
			for nth := 1; nth <= 4; nth++ {
				if o == opSend && e == unix.EMFILE {
					continue
				}
				injector.plan(o, e, nth, false)
				sent, got := 0, 0
				b := make([]byte, 64<<10)
				p.until(fmt.Sprintf("all has come, with %s number %d failing with %s", opNames[o], nth, unix.ErrnoName(e)), func() bool {
					for moved := true; moved; {
						n, _ := unix.SendmsgN(c, text[sent:], nil, nil, unix.MSG_DONTWAIT)
						k, _, _ := unix.Recvfrom(s, b, unix.MSG_DONTWAIT)
						n, k = max(n, 0), max(k, 0)
						if !bytes.Equal(b[:k], text[got:got+k]) {
							t.Fatalf("other bytes at %d", got)
						}
						sent, got = sent+n, got+k
						moved = n+k > 0
					}
					return got == len(text)
				})
				if hit, _ := injector.stop(); !hit && nth == 1 {
					t.Error("no call has failed")
				}
			}
		}
	}
}

// TestNoMemory has no memory for what a program is to receive: it comes when there is
// some again, without anything else happening.
func TestNoMemory(t *testing.T) {
	p := newPlayer(t)
	t.Cleanup(func() { injector.stop() })
	c, s := p.pair()
	injector.plan(opSend, unix.ENOMEM, 1, true)
	p.must(p.write(c, []byte("text")))
	for range 10 {
		p.round()
	}
	if _, _, err := unix.Recvfrom(s, make([]byte, 8), unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Fatal(err)
	}
	injector.stop()
	if b, e := p.readAll(s, 4); e != 0 || string(b) != "text" {
		t.Errorf("%q, %v", b, e)
	}
}

// TestInterruptedConnect ends a blocking connect by a signal: it goes on, and poll tells
// its end.
func TestInterruptedConnect(t *testing.T) {
	p := newGatedPlayer(t)
	l, port := p.listener()
	for _, killable := range []bool{true, false} {
		p.l.killable = killable
		p.gate.close()
		c := p.stream(0)
		call := p.startConnect(c, port)
		if !p.blocked(call) {
			t.Fatal("connect does not wait")
		}
		if killable { // the loop looks at the signals, and ends the call
			s := p.sock(c)
			p.l.kicker.interrupt(s.waiting[0], true)
			p.end(call)
			p.wants(call.errno(), errRestart)
		} else { // the call is gone, and its thread makes another
			p.gone(call)
			if _, e := p.port(c); e != 0 {
				t.Error(e)
			}
		}
		p.shows(c, 0)
		p.is(c, connecting)
		p.gate.open()
		p.shows(c, unix.POLLOUT)
		s, e := p.accept(l)
		p.must(e)
		p.says(c, s, "after all")
	}
}

// TestReplay has answers not reach their calls, which are made again after the signal's
// handler (before WAIT_KILLABLE_RECV): they are not carried out twice.
func TestReplay(t *testing.T) {
	p := newPlayer(t)
	t.Cleanup(func() { injector.stop() })
	p.l.killable = false
	a, e := p.socket(unix.SOCK_DGRAM)
	p.must(e)
	p.must(p.bind(a, 0))
	b, e := p.socket(unix.SOCK_DGRAM)
	p.must(e)
	to, e := p.port(a)
	p.must(e)
	addr, n := p.addr(to)
	m := p.put([]byte("once"))
	injector.plan(opAnswer, unix.ENOENT, 1, false)
	c := p.call("sendto", uint64(b), at(m), uint64(len(m)), 0, addr, n)
	if hit, _ := injector.stop(); !hit || !c.lost {
		t.Fatal("the answer was not lost")
	}
	p.again(c)
	p.end(c)
	if c.err != 0 || c.val != int64(len(m)) {
		t.Errorf("%d, %v", c.val, c.err)
	}
	p.idle()
	var got [10]byte
	if n, _, err := unix.Recvfrom(a, got[:], unix.MSG_DONTWAIT); err != nil || string(got[:n]) != "once" {
		t.Errorf("%q, %v", got[:max(n, 0)], err)
	}
	if _, _, err := unix.Recvfrom(a, got[:], unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Errorf("a second one: %v", err)
	}
}

// TestThreadEnds ends a thread whose call waits: what it holds is let go, and the socket,
// which others have, stays.
func TestThreadEnds(t *testing.T) {
	p := newPlayer(t)
	l, port := p.listener()
	before := p.census()
	tid, end := p.thread()
	var call *played
	p.as(tid, func() { call = p.startAccept(l) })
	if !p.blocked(call) {
		t.Fatal("accept does not wait")
	}
	p.gone(call)
	end()
	p.until("the thread is forgotten", func() bool { return p.l.tasks[tid] == nil })
	p.idle()
	left(t, before, p.census())
	c := p.stream(0)
	p.must(p.connect(c, port))
	s, e := p.accept(l)
	p.must(e)
	p.says(c, s, "to another thread")
}

// TestTwoThreadsAccept has two threads wait for one listener: each gets a connection.
func TestTwoThreadsAccept(t *testing.T) {
	p := newPlayer(t)
	l, port := p.listener()
	var waits []*played
	for range 2 {
		tid, _ := p.thread()
		p.as(tid, func() { waits = append(waits, p.startAccept(l)) })
	}
	for _, c := range waits {
		if !p.blocked(c) {
			t.Fatal("accept does not wait")
		}
	}
	var clients, ports []uint16
	for range waits {
		c := p.stream(0)
		p.must(p.connect(c, port))
		own, e := p.port(c)
		p.must(e)
		clients = append(clients, own)
	}
	for _, c := range waits {
		p.end(c)
		p.must(c.errno())
		peer, e := p.peerPort(int(c.val))
		p.must(e)
		ports = append(ports, peer)
	}
	slices.Sort(clients)
	slices.Sort(ports)
	if !slices.Equal(ports, clients) {
		t.Errorf("accepted from %v, connected %v", ports, clients)
	}
}

// TestDatagramsInTurn has a program send datagrams as fast as they are taken: a round of
// the loop ends all the same.
func TestDatagramsInTurn(t *testing.T) {
	p := newPlayer(t)
	to, e := p.socket(unix.SOCK_DGRAM)
	p.must(e)
	p.must(p.bind(to, 0))
	port, e := p.port(to)
	p.must(e)
	fd, e := p.socket(unix.SOCK_DGRAM)
	p.must(e)
	p.must(p.connect(fd, port))
	taken := 0
	last := fault
	fault = func(o op) unix.Errno {
		if o == opRecv && taken < 100_000 {
			taken++
			unix.SendmsgN(fd, []byte{1}, nil, nil, unix.MSG_DONTWAIT)
		}
		return last(o)
	}
	defer func() { fault = last }()
	unix.SendmsgN(fd, []byte{1}, nil, nil, unix.MSG_DONTWAIT)
	p.round()
	p.round()
	if taken == 0 || taken >= 100_000 {
		t.Errorf("%d datagrams in two rounds", taken)
	}
	taken = 100_000
	p.idle()
}

// TestDatagrams sends and receives by address.
func TestDatagrams(t *testing.T) {
	p := newPlayer(t)
	var fds [2]int
	var ports [2]uint16
	for i := range fds {
		fd, e := p.socket(unix.SOCK_DGRAM)
		p.must(e)
		p.must(p.bind(fd, 0))
		ports[i], e = p.port(fd)
		p.must(e)
		p.shows(fd, unix.POLLOUT)
		fds[i] = fd
	}
	for i, fd := range fds {
		text := fmt.Sprintf("from %d", i)
		n, e := p.sendto(fd, []byte(text), ports[1-i])
		if e != 0 || n != len(text) {
			t.Errorf("%d, %v", n, e)
		}
		p.shows(fds[1-i], unix.POLLIN|unix.POLLOUT)
		for _, flags := range []int{unix.MSG_PEEK, 0} {
			b, port, e := p.recvfrom(fds[1-i], 20, flags)
			if e != 0 || string(b) != text || port != ports[i] {
				t.Errorf("%q from %d, %v; want %q from %d", b, port, e, text, ports[i])
			}
		}
		_, _, e = p.recvfrom(fds[1-i], 20, unix.MSG_DONTWAIT)
		p.wants(e, unix.EAGAIN)
	}
	p.close(fds[1])
	p.scan()
	p.must(p.connect(fds[0], ports[1]))
	_, e := p.sendto(fds[0], []byte("for nobody"), ports[1])
	p.must(e)
	_, _, e = p.recvfrom(fds[0], 20, 0)
	p.wants(e, unix.ECONNREFUSED)
}

// TestListWithGaps has the list of sockets lack some that are there, as it may: none is
// taken for closed, and what is closed is found all the same.
func TestListWithGaps(t *testing.T) {
	p := newPlayer(t)
	l, _ := p.listener()
	open, closed := p.stream(0), p.stream(0)
	gone := p.sock(closed)
	p.close(closed)
	all := func(but ...int) map[uint64]struct{} {
		set := make(map[uint64]struct{})
		for _, s := range p.l.socks {
			set[s.id.ino] = struct{}{}
		}
		delete(set, gone.id.ino)
		for _, fd := range but {
			delete(set, p.sock(fd).id.ino)
		}
		return set
	}
	n := &p.l.scanner
	for _, but := range [][]int{{open, l}, {l}, {open}} {
		n.number++
		n.compare(all(but...), n.number)
	}
	n.release()
	p.is(l, listening)
	p.is(open, fresh)
	if gone.state != released {
		t.Error("what is closed was not found")
	}
}

// TestWaitForScan has calls wait for scans. Each waits for those that begin after it, and
// not for what others want later.
func TestWaitForScan(t *testing.T) {
	p := newPlayer(t)
	n := &p.l.scanner
	need := n.wait() // nothing to look for, but what epoll may tell of
	if n.enough(need) {
		t.Error("nobody has looked at what epoll tells of")
	}
	p.until("epoll is asked", func() bool { return n.enough(need) })
	fd := p.stream(0)
	all := map[uint64]struct{}{p.sock(fd).id.ino: {}}
	n.busy, n.number, n.done = true, 10, 9 // a scan is under way
	first := n.wait()
	n.done, n.busy = 10, false
	if n.enough(first) {
		t.Error("the scan that had begun before is enough")
	}
	n.number = 11
	n.busy = true
	second := n.wait()
	n.busy, n.done = false, 11
	n.compare(all, 11)
	if !n.enough(first) {
		t.Error("one that has begun since, and misses nothing, is not enough")
	}
	if n.enough(second) {
		t.Error("it is enough for who came meanwhile")
	}
	p.sock(fd).scan = 0
	n.compare(nil, 12)
	n.done = 12
	if n.enough(second) {
		t.Error("one that misses something is enough")
	}
	if n.done = 13; !n.enough(second) {
		t.Error("the second is not enough")
	}
	n.missing, n.number = nil, 13
}

// TestClosedJustBefore has a program close a socket and ask for what it held before the loop is told
// of the close.
func TestClosedJustBefore(t *testing.T) {
	t.Run("port", func(t *testing.T) {
		p := newPlayer(t)
		client, _ := p.pair()
		port, e := p.port(client)
		p.must(e)
		p.must(p.setOption(client, unix.SOL_SOCKET, unix.SO_LINGER, lingerAbort))
		s := p.stream(0)
		p.before = func() { p.close(client) }
		p.must(p.bind(s, port))
	})
	t.Run("netlink port", func(t *testing.T) {
		p := newPlayer(t)
		bind := func(fd int) syscall.Errno {
			a := sockaddrNL{port: 4242}.bytes()
			return p.call("bind", uint64(fd), at(p.put(a)), uint64(len(a))).err
		}
		first, e := p.netlink(unix.NETLINK_ROUTE)
		p.must(e)
		second, e := p.netlink(unix.NETLINK_ROUTE)
		p.must(e)
		p.must(bind(first))
		p.wants(bind(second), unix.EADDRINUSE)
		p.before = func() { p.close(first) }
		p.must(bind(second))
	})
	for _, kind := range []string{"socket", "netlink socket"} {
		t.Run(kind, func(t *testing.T) {
			p := newPlayer(t)
			client, server := p.pair()
			limit := p.l.space.limit
			p.l.space.limit = p.l.space.used // none is left
			defer func() { p.l.space.limit = limit }()
			open := func() syscall.Errno {
				if kind == "socket" {
					_, e := p.socket(unix.SOCK_STREAM)
					return e
				}
				_, e := p.netlink(unix.NETLINK_ROUTE)
				return e
			}
			p.wants(open(), unix.EMFILE)
			p.before = func() {
				p.close(client)
				p.close(server)
			}
			p.must(open())
		})
	}
}
