package usock_test

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/clock"
	"usock/packet"
)

// patterned returns the byte at i of the stream that connection n carries.
func patterned(n, i int) byte { return byte(n*31 + i*7 + n>>8 + i>>8) }

// crowd drives many connections from one goroutine.
type crowd struct {
	t       *testing.T
	poll    *usock.PollSet
	size    int // bytes each way
	pending int // ends that are not done yet
}

// member is one end of a connection: a client sends the stream of its number and
// expects it back, a server returns what comes.
type member struct {
	s          *usock.Socket
	n          int // number of the connection; -1: a server's
	sent, read int
	echo       []byte // what a server has still to return
	closed     bool
}

// TestTenThousandConnections holds 10,000 connections at once in one host, all of
// them carrying data both ways, of which every byte is checked. One goroutine
// drives them, and the host has none for them.
func TestTenThousandConnections(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 1000
	}
	packet.Track(true)
	defer packet.Track(false)
	blocks := packet.Live()
	h := newHost(t, usock.Config{})
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(1000); err != nil {
		t.Fatal(err)
	}
	l.SetNonblock(true)
	at, _ := l.GetSockName()
	before := runtime.NumGoroutine()
	c := &crowd{t: t, poll: h.NewPollSet(), size: 20000}
	var servers []*member
	for i := range n {
		s := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
		s.SetNonblock(true)
		if err := s.Connect(at); err != syscall.EINPROGRESS && err != nil {
			t.Fatal("connect:", err)
		}
		c.join(&member{s: s, n: i})
		a, _, err := l.Accept()
		if err != nil {
			t.Fatal("accept:", err)
		}
		a.SetNonblock(true)
		m := &member{s: a, n: -1}
		servers = append(servers, m)
		c.join(m)
	}
	if grown := runtime.NumGoroutine() - before; grown > 5 {
		t.Errorf("%d connections have brought %d goroutines", n, grown)
	}
	c.run()
	if grown := runtime.NumGoroutine() - before; grown > 5 {
		t.Errorf("%d busy connections have brought %d goroutines", n, grown)
	}
	for _, m := range servers {
		if m.read != c.size {
			t.Fatalf("a server has read %d bytes of %d", m.read, c.size)
		}
	}
	c.poll.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	within(t, "blocks are released", func() error {
		if left := packet.Live() - blocks; left != 0 {
			return fmt.Errorf("%d blocks are left", left)
		}
		return nil
	})
}

func (c *crowd) join(m *member) {
	m.s.SetDeadline(time.Time{}) // run has one for all
	if err := c.poll.Add(m.s, usock.POLLIN|usock.POLLOUT|usock.EPOLLET, m); err != nil {
		c.t.Fatal(err)
	}
	c.pending++
}

// run carries on until every end is closed.
func (c *crowd) run() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var events [64]usock.Event
	for c.pending > 0 {
		n, err := c.poll.Wait(ctx, events[:])
		if err != nil {
			c.t.Fatalf("%v, %d ends are not done", err, c.pending)
		}
		for _, e := range events[:n] {
			m := e.Data.(*member)
			if m.closed {
				continue
			}
			if c.serve(m) {
				m.closed = true
				c.pending--
				if err := m.s.Close(); err != nil {
					c.t.Fatal("close:", err)
				}
			}
		}
	}
}

// serve does what can be done on m and reports whether that was all.
func (c *crowd) serve(m *member) bool {
	for progress := true; progress; {
		progress = false
		if c.write(m) {
			progress = true
		}
		var p [8192]byte
		n, err := m.s.Recv(p[:], 0)
		switch {
		case err == syscall.EAGAIN:
			continue
		case err != nil:
			c.t.Fatalf("connection %d: receive after %d bytes: %v", m.n, m.read, err)
		case n == 0:
			return c.ended(m)
		}
		progress = true
		c.check(m, p[:n])
	}
	return false
}

func (c *crowd) check(m *member, p []byte) {
	if m.n < 0 {
		m.echo = append(m.echo, p...)
		m.read += len(p)
		return
	}
	for i, b := range p {
		if want := patterned(m.n, m.read+i); b != want {
			c.t.Fatalf("connection %d: byte %d is %#x, not %#x", m.n, m.read+i, b, want)
		}
	}
	m.read += len(p)
}

// write sends what m has to send, and reports whether some of it was taken.
func (c *crowd) write(m *member) bool {
	var p []byte
	if m.n < 0 {
		p = m.echo
	} else if m.sent < c.size {
		p = make([]byte, min(8192, c.size-m.sent))
		for i := range p {
			p[i] = patterned(m.n, m.sent+i)
		}
	}
	if len(p) == 0 {
		return false
	}
	n, err := m.s.Send(p, 0)
	if err == syscall.EAGAIN {
		return false
	}
	if err != nil {
		c.t.Fatalf("connection %d: send: %v", m.n, err)
	}
	m.sent += n
	if m.n < 0 {
		m.echo = m.echo[n:]
	} else if m.sent == c.size {
		if err := m.s.Shutdown(usock.SHUT_WR); err != nil {
			c.t.Fatal("shutdown:", err)
		}
	}
	return n > 0
}

// ended follows the peer's end of the stream.
func (c *crowd) ended(m *member) bool {
	if m.n < 0 {
		return len(m.echo) == 0
	}
	if m.read != c.size {
		c.t.Fatalf("connection %d ends after %d bytes of %d", m.n, m.read, c.size)
	}
	return true
}

// TestCyclesKeepMemory connects, sends and closes 100,000 times: the heap does not
// grow.
func TestCyclesKeepMemory(t *testing.T) {
	rounds, each := 20, 5000
	if testing.Short() {
		each = 500
	}
	clock := new(clock.Manual)
	h := newHost(t, usock.Config{Clock: clock})
	l := mustSocket(t, h, usock.AF_INET, usock.SOCK_STREAM)
	if err := l.Bind(mustAddr(t, "127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(10); err != nil {
		t.Fatal(err)
	}
	l.SetDeadline(time.Time{}) // the clock is going to jump
	at, _ := l.GetSockName()
	var heap []uint64
	for range rounds {
		for i := range each {
			cycle(t, h, l, at, i)
			clock.Advance(100 * time.Microsecond)
		}
		clock.Advance(2 * time.Minute) // TIME-WAIT ends
		if n := h.Timers(); n != 0 {
			t.Fatalf("%d timers are left", n)
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = append(heap, m.HeapAlloc)
	}
	// The first rounds fill pools and tables.
	early, late := heap[rounds/4], heap[rounds-1]
	if late > early+256<<10 {
		t.Errorf("the heap grows from %d to %d bytes: %v", early, late, heap)
	}
	t.Logf("%d cycles; heap %d KiB after a quarter, %d KiB at the end", rounds*each, early>>10, late>>10)
}

// cycle is one connection: data both ways, closed by either end first.
func cycle(t *testing.T, h *usock.Host, l *usock.Socket, at usock.Addr, i int) {
	c, err := h.Socket(usock.AF_INET, usock.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(at); err != nil {
		t.Fatal("connect:", err)
	}
	s, _, err := l.Accept()
	if err != nil {
		t.Fatal("accept:", err)
	}
	var p [64]byte
	if n, err := c.Send([]byte("question"), 0); n != 8 || err != nil {
		t.Fatal("send:", n, err)
	}
	if n, err := s.Recv(p[:], 0); string(p[:n]) != "question" || err != nil {
		t.Fatalf("received %q, %v", p[:n], err)
	}
	if n, err := s.Send([]byte("answer"), 0); n != 6 || err != nil {
		t.Fatal("send:", n, err)
	}
	first, second := c, s
	if i%2 == 0 {
		first, second = s, c
	}
	if n, err := c.Recv(p[:], 0); string(p[:n]) != "answer" || err != nil {
		t.Fatalf("received %q, %v", p[:n], err)
	}
	if err := first.Close(); err != nil {
		t.Fatal("close:", err)
	}
	if n, err := second.Recv(p[:], 0); n != 0 || err != nil {
		t.Fatalf("received %q, %v behind the end", p[:n], err)
	}
	if err := second.Close(); err != nil {
		t.Fatal("close:", err)
	}
}
