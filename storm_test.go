package usock_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usock"
	"usock/link"
	"usock/packet"
	"usock/trace"
)

// storm is goroutines that use hosts all at once, each again and again, until they are closed.
type storm struct {
	over atomic.Bool
	all  sync.WaitGroup
	done []*atomic.Int64 // how often each kind has come to its end
}

// blow starts n goroutines that call f again and again.
func (s *storm) blow(n int, f func()) {
	done := new(atomic.Int64)
	s.done = append(s.done, done)
	for range n {
		s.all.Go(func() {
			for !s.over.Load() {
				f()
				done.Add(1)
			}
		})
	}
}

// each returns how often the kind that has done least has come to its end.
func (s *storm) each() int64 {
	least := s.done[0].Load()
	for _, n := range s.done {
		least = min(least, n.Load())
	}
	return least
}

// echoes has a listener of h's answer each connection with what comes.
func (s *storm) echoes(t *testing.T, h *usock.Host, at string) {
	l := must[net.Listener](t)(h.Listen("tcp", at))
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.all.Go(func() {
				io.Copy(c, c)
				c.Close()
			})
		}
	})
}

// trips returns what connects within a time, makes some round trips with deadlines that may pass, and closes.
func trips(h *usock.Host, to string) func() {
	var n atomic.Int64
	return func() {
		d := time.Duration(n.Add(97)%4000) * time.Microsecond
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		c, err := h.DialContext(ctx, "tcp", to)
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 3000)
		for range 20 {
			c.SetDeadline(time.Now().Add(d))
			if _, err := c.Write(b); err != nil {
				return
			}
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
		}
	}
}

// polls returns what waits for a set within a time, and what opens, watches and closes a socket.
func polls(h *usock.Host) (waits, watches func()) {
	set := h.NewPollSet()
	waits = func() {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Microsecond)
		defer cancel()
		set.Wait(ctx, make([]usock.Event, 2))
	}
	var n atomic.Int64
	watches = func() {
		s, err := h.Socket(usock.AF_INET, usock.SOCK_DGRAM, 0)
		if err != nil {
			return
		}
		set.Add(s, usock.POLLIN|usock.POLLOUT, nil)
		if n.Add(1)%2 == 0 {
			set.Remove(s)
		}
		s.Close()
	}
	return waits, watches
}

// Connections, datagrams for nobody, sockets that come and go, poll sets, listeners of events, goroutines with threads of
// their own and a number of processors that changes: each gets on beside the others, and ends when the hosts are closed.
func TestStorm(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	packet.Track(true)
	defer packet.Track(false)
	blocks := packet.Live()
	x, y := link.Pipe(link.PipeConfig{MTU: 1500})
	a := must[*usock.Host](t)(usock.NewHost(usock.Config{Interfaces: []usock.Interface{{Link: x, Addrs: prefixes("10.0.0.1/24")}}}))
	b := must[*usock.Host](t)(usock.NewHost(usock.Config{Interfaces: []usock.Interface{{Link: y, Addrs: prefixes("10.0.0.2/24")}}}))

	var s storm
	s.echoes(t, a, "127.0.0.1:7000")
	s.echoes(t, b, "10.0.0.2:7000")
	s.blow(4, trips(a, "127.0.0.1:7000"))
	s.blow(4, trips(a, "10.0.0.2:7000"))
	s.blow(2, func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if c, err := a.Dial("udp", "10.0.0.2:9"); err == nil {
			c.Write([]byte{1})
			c.Close()
		}
	})
	waits, watches := polls(a)
	s.blow(2, waits)
	s.blow(2, watches)
	s.blow(2, func() { a.Sockets(); b.Stats() })
	s.blow(1, func() { a.Trace(func([]trace.Event) { runtime.Gosched() })() })
	procs := 0
	s.blow(1, func() {
		procs = procs%4 + 1
		runtime.GOMAXPROCS(procs)
		waits()
	})

	within(t, "storm", func() error {
		if n := s.each(); n < 20 {
			return errors.New("not all have got on")
		}
		return nil
	})
	a.Close()
	b.Close()
	s.over.Store(true)
	ended := make(chan struct{})
	go func() {
		s.all.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("not all have ended with the hosts")
	}
	within(t, "storm", func() error {
		if packet.Live() != blocks {
			return errors.New("blocks are left")
		}
		return nil
	})
}
