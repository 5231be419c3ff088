package usock_test

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock"
	"usock/clock"
	"usock/internal/wire"
	"usock/link"
)

// scarceMem are limits that a test can reach.
var scarceMem = [3]int{3 << 20, 4 << 20, 6 << 20}

// leastMem is what one connection may hold whatever the others do: the least of a buffer in each
// direction, which a block or a segment may exceed.
const leastMem = 3 * 4096

func scarceConfig() *usock.TCPConfig {
	c := usock.DefaultTCPConfig()
	c.Mem = scarceMem
	return c
}

// scarceHosts returns a host with little memory for TCP and another one, on a link.
func scarceHosts(t *testing.T) (a, b *usock.Host) {
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	a = newHost(t, usock.Config{TCP: scarceConfig(), Interfaces: []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.1/24")}}})
	b = newHost(t, usock.Config{Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24")}}})
	return a, b
}

// joined returns n connections between a and b, of sockets that do not wait.
func joined(t *testing.T, a, b *usock.Host, n int) (as, bs []*usock.Socket) {
	t.Helper()
	l := mustSocket(t, a, usock.AF_INET, usock.SOCK_STREAM)
	defer l.Close()
	if err := l.Bind(mustAddr(t, "10.0.0.1:7000")); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(10); err != nil {
		t.Fatal(err)
	}
	for range n {
		c := mustSocket(t, b, usock.AF_INET, usock.SOCK_STREAM)
		if err := c.Connect(mustAddr(t, "10.0.0.1:7000")); err != nil {
			t.Fatal(err)
		}
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.SetNonblock(true)
		c.SetNonblock(true)
		as, bs = append(as, s), append(bs, c)
	}
	return as, bs
}

// carries has size bytes go from one socket to the other, and checks them.
func carries(t *testing.T, from, to *usock.Socket, size int) {
	t.Helper()
	from.SetNonblock(false)
	to.SetNonblock(false)
	for _, s := range []*usock.Socket{from, to} {
		s.SetDeadline(time.Now().Add(time.Minute))
	}
	want := make([]byte, size)
	for i := range want {
		want[i] = patterned(1, i)
	}
	done := make(chan error, 1)
	go func() {
		_, err := from.Send(want, 0)
		done <- err
	}()
	got := make([]byte, size)
	n, err := to.Recv(got, usock.MSG_WAITALL)
	if err != nil || n != size || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came, or others: %v", n, size, err)
	}
	if err := <-done; err != nil {
		t.Error("send:", err)
	}
}

// wantMem asserts that TCP's queues hold no more than most.
func wantMem(t *testing.T, h *usock.Host, what string, most int) {
	t.Helper()
	if n := h.Stats().Sockets.TCPMem; n > most {
		t.Errorf("%s: TCP holds %d bytes, want at most %d", what, n, most)
	}
}

func reset(t *testing.T, list []*usock.Socket) {
	for _, s := range list {
		s.SetSockOpt(usock.SOL_SOCKET, usock.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

const crowded = 1000

// TestMemoryPeersThatNeverRead has a host send to a thousand peers that take nothing.
func TestMemoryPeersThatNeverRead(t *testing.T) {
	a, b := scarceHosts(t)
	as, bs := joined(t, a, b, crowded+1)
	live, liveB := as[crowded], bs[crowded]
	block := make([]byte, 10000)
	for range 20 {
		for _, s := range as[:crowded] {
			s.Send(block, 0)
		}
	}
	wantMem(t, a, "peers that never read", scarceMem[2]+crowded*leastMem)
	if n := a.Stats().TCP.TCPMemoryPressures; n == 0 {
		t.Error("no pressure")
	}
	// How many wait at one moment changes as acknowledgments come: at some moment it is most of them.
	for end := time.Now().Add(30 * time.Second); ; {
		blocked := 0
		for _, s := range as[:crowded] {
			if s.Events()&usock.POLLOUT == 0 {
				blocked++
			}
			if _, err := s.Send(block, 0); err != nil && err != syscall.EAGAIN {
				t.Fatal(err)
			}
		}
		if blocked >= crowded/2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d are not writable", blocked, crowded)
		}
	}
	wantMem(t, a, "peers that never read, and more is sent", scarceMem[2]+crowded*leastMem)
	carries(t, live, liveB, 300000)
	carries(t, liveB, live, 300000)

	// Who waits for memory goes on when there is some.
	s := as[0]
	s.SetNonblock(false)
	done := make(chan error, 1)
	go func() {
		_, err := s.Send(make([]byte, 60000), 0)
		done <- err
	}()
	reset(t, as[1:crowded])
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a sender still waits for memory")
	}
	reset(t, append(as[:1], live))
	wantMem(t, a, "afterwards", 0)
}

// Who waits for memory is told at once that others have freed it, whatever way they ended: nothing else happens
// here that could.
func TestMemoryFreedIsTold(t *testing.T) {
	for name, end := range map[string]func(*usock.Socket) error{
		"disconnect": func(s *usock.Socket) error { return s.Connect(usock.Addr{Family: usock.AF_UNSPEC}) },
		"close":      func(s *usock.Socket) error { reset(t, []*usock.Socket{s}); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			h, p, l := listenRaw(t, usock.Config{Clock: new(clock.Manual), TCP: scarceConfig()}, 100)
			var list []*usock.Socket
			for port := uint16(1); port <= 101; port++ {
				p.handshake(port)
				s, _, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				s.SetNonblock(true)
				list = append(list, s)
			}
			waits := list[100]
			for range 10 {
				for _, s := range list {
					s.Send(make([]byte, 30000), 0) // of which the peer acknowledges nothing
				}
			}
			if _, err := waits.Send([]byte("x"), 0); err != syscall.EAGAIN || h.Stats().TCP.TCPMemoryPressures == 0 {
				t.Fatalf("no pressure: %v", err)
			}
			set := h.NewPollSet()
			if err := set.Add(waits, usock.POLLOUT|usock.EPOLLET, nil); err != nil {
				t.Fatal(err)
			}
			for _, s := range list[:100] {
				if err := end(s); err != nil {
					t.Fatal(err)
				}
			}
			ev := make([]usock.Event, 1)
			if n, err := set.Wait(t.Context(), ev); n != 1 || err != nil {
				t.Errorf("%d events, %v", n, err)
			}
		})
	}
}

// TestMemoryProgramsThatNeverRead has a host's programs leave a thousand connections unread.
func TestMemoryProgramsThatNeverRead(t *testing.T) {
	a, b := scarceHosts(t)
	as, bs := joined(t, a, b, crowded+1)
	live, liveB := as[crowded], bs[crowded]
	block := make([]byte, 1400)
	for range 40 {
		for _, s := range bs[:crowded] {
			s.Send(block, 0)
		}
	}
	wantMem(t, a, "programs that never read", scarceMem[2]+crowded*leastMem)
	n := a.Stats().TCP
	if n.PruneCalled == 0 || n.TCPRcvQDrop == 0 {
		t.Errorf("%d segments found no memory, and %d were dropped", n.PruneCalled, n.TCPRcvQDrop)
	}
	carries(t, live, liveB, 300000)
	carries(t, liveB, live, 300000)

	// All that was dropped comes again.
	s := as[0]
	s.SetNonblock(false)
	s.SetDeadline(time.Now().Add(time.Minute))
	reset(t, as[1:crowded])
	want := 40 * len(block)
	got := 0
	for got < want {
		k, err := s.Recv(make([]byte, 1<<16), 0)
		if err != nil {
			t.Fatal(got, err)
		}
		got += k
	}
	reset(t, append(as[:1], live))
	wantMem(t, a, "afterwards", 0)
}

// TestMemoryOutOfOrderJunk has a thousand peers send what never comes in order.
func TestMemoryOutOfOrderJunk(t *testing.T) {
	h, p, l := listenRaw(t, usock.Config{TCP: scarceConfig()}, 10)
	junk := strings.Repeat("x", 1000)
	var list []*usock.Socket
	var acks []wire.TCP
	accept := func(port uint16) wire.TCP {
		ack := p.handshake(port)
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
		return ack
	}
	for port := uint16(1); port <= crowded; port++ {
		acks = append(acks, accept(port))
	}
	for i := range 30 {
		for _, g := range acks {
			g.Seq += uint32(2000*i + 1000)
			p.send(g, junk)
		}
	}
	wantMem(t, h, "junk out of order", scarceMem[2]+crowded*leastMem)
	n := h.Stats().TCP
	if n.OfoPruned == 0 && n.TCPOFODrop == 0 {
		t.Error("nothing was pruned or dropped")
	}

	// Another one is served.
	g := accept(crowded + 1)
	s := list[crowded]
	for range 100 {
		got := p.send(g, junk)
		if k, err := s.Recv(make([]byte, 2000), usock.MSG_DONTWAIT); k != len(junk) || err != nil {
			t.Fatalf("%d bytes, %v", k, err)
		}
		g.Seq += uint32(len(junk))
		if len(got) > 0 && got[0].Ack != g.Seq {
			t.Fatalf("acknowledged to %d, want %d", got[0].Ack, g.Seq)
		}
	}
	// One of the junk senders that fills its gap after all is, too.
	g = acks[0]
	p.send(g, junk)
	if k, err := list[0].Recv(make([]byte, 2000), usock.MSG_DONTWAIT); k < len(junk) || err != nil {
		t.Errorf("%d bytes, %v", k, err)
	}
	reset(t, list)
	wantMem(t, h, "afterwards", 0)
	if n.TCPMemoryPressures == 0 {
		t.Error("no pressure")
	}
}

// TestMaxOrphans closes more connections with data outstanding than the host keeps.
func TestMaxOrphans(t *testing.T) {
	c := usock.DefaultTCPConfig()
	c.MaxOrphans = 10
	h, p, l := listenRaw(t, usock.Config{TCP: c}, 100)
	for port := uint16(1); port <= 30; port++ {
		p.handshake(port)
		s, _, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send([]byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		p.got = nil
		s.Close()
		if got := p.got; len(got) != 1 || got[0].Flags&wire.RST != 0 != (port > 10) {
			t.Fatalf("close %d: %+v", port, got)
		}
	}
	n := h.Stats()
	if n.Sockets.TCPOrphan != 10 || n.TCP.TCPAbortOnMemory != 20 {
		t.Errorf("%d orphans, %d reset", n.Sockets.TCPOrphan, n.TCP.TCPAbortOnMemory)
	}
}

// What the limits are where they are not set, and what they may be.
func TestMemoryLimits(t *testing.T) {
	for _, m := range [][3]int{{0, 1, 2}, {2, 1, 3}, {1, 3, 2}, {-1, 2, 3}} {
		c := usock.DefaultTCPConfig()
		c.Mem = m
		if _, err := usock.NewHost(usock.Config{TCP: c}); err == nil {
			t.Errorf("%v is accepted", m)
		}
	}
	c := usock.DefaultTCPConfig()
	c.MaxOrphans = -1
	if _, err := usock.NewHost(usock.Config{TCP: c}); err == nil {
		t.Error("a negative number of orphans is accepted")
	}
}
