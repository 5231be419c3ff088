package usock_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usock"
	"usock/clock"
	"usock/link"
	"usock/trace"
)

// TestTraceSigned has connections end and change in unusual ways: each event says whose it is and when,
// and none comes before an earlier one.
func TestTraceSigned(t *testing.T) {
	c := new(clock.Manual)
	c.Advance(time.Second)
	h := newHost(t, usock.Config{Clock: c})
	var told heard
	defer h.Trace(told.hear)()

	a, b := pair(t, h, "127.0.0.1:5100")
	a.Send([]byte("hello"), 0)
	c.Advance(time.Second)
	if err := a.SetSockOpt(usock.IPPROTO_TCP, usock.TCP_CONGESTION, []byte("reno")); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Second)
	if err := a.Connect(usock.Addr{Family: usock.AF_UNSPEC}); err != nil { // dissolves the connection: a reset
		t.Fatal(err)
	}
	reset := mustAddr(t, "127.0.0.1:5100")
	b.Recv(make([]byte, 10), 0)
	b.Close()
	c.Advance(time.Second)
	cli, srv := pair(t, h, "127.0.0.1:5102")
	srv.Shutdown(usock.SHUT_WR)
	cli.Shutdown(usock.SHUT_WR)
	c.Advance(5 * time.Minute)
	cli.Close()
	srv.Close()

	last, resets, kept := time.Second, 0, 0
	for _, e := range told.take() {
		if e.Time < last {
			t.Errorf("goes back in time, from %v: %s", last, &e)
		}
		last = e.Time
		if !e.Local.IsValid() || !e.Peer.IsValid() || e.Protocol != 6 || e.Local.Port() == 0 || e.Peer.Port() == 0 {
			t.Errorf("nobody's: %s", &e)
		}
		if e.Kind == trace.Sent && e.Flags&trace.RST != 0 && e.Peer.Port() == reset.Port && e.Time == 3*time.Second {
			resets++
		}
		if e.Why == trace.ProgramSet && e.Time == 2*time.Second {
			kept++
		}
	}
	if resets != 1 || kept != 1 {
		t.Errorf("%d resets of the dissolved connection, %d choices of a congestion control", resets, kept)
	}
}

// TestTraceClose closes the host from within a listener, and uses what is left.
func TestTraceClose(t *testing.T) {
	h := newHost(t, usock.Config{})
	a, _ := pair(t, h, "127.0.0.1:5100")
	closed := 0
	var told heard
	stop := h.Trace(func(events []trace.Event) {
		if closed++; closed == 1 {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
		told.hear(events)
	})
	a.Send([]byte("x"), 0)
	mustEvent(t, told.events, "send = 1")
	told.take()
	for range 3 {
		a.Send([]byte("x"), 0)
		a.Recv(make([]byte, 1), usock.MSG_DONTWAIT)
	}
	for _, e := range told.take() {
		t.Errorf("told by a host that is closed: %s", &e)
	}
	stop()
	h.Trace(told.hear)()
}

// TestTraceInside sends, receives, closes, traces and stops from within a listener, on two hosts.
func TestTraceInside(t *testing.T) {
	x, y := twoHosts(t, link.PipeConfig{MTU: 1500})
	a, b := boundUDP(t, x, "10.0.0.1:4000"), boundUDP(t, y, "10.0.0.2:5000")
	var left, inner atomic.Int64
	left.Store(200) // more than one turn of a relay: other goroutines go on with it
	done := make(chan bool)
	again := func(events []trace.Event) {
		for i := range events {
			if events[i].Kind == trace.Received && left.Load() > 0 {
				if left.Add(-1) == 0 {
					close(done)
				}
				b.SendTo([]byte("pong"), 0, mustAddr(t, "10.0.0.1:4000"))
				b.Recv(make([]byte, 10), usock.MSG_DONTWAIT)
				y.Trace(func([]trace.Event) { inner.Add(1) })()
			}
		}
	}
	defer y.Trace(again)()
	defer x.Trace(func(events []trace.Event) {
		for i := range events {
			if events[i].Kind == trace.Received {
				a.Recv(make([]byte, 10), usock.MSG_DONTWAIT)
				a.SendTo([]byte("ping"), 0, mustAddr(t, "10.0.0.2:5000"))
			}
		}
	})()
	a.SendTo([]byte("ping"), 0, mustAddr(t, "10.0.0.2:5000"))
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Errorf("%d answers were not given", left.Load())
	}
}

// TestTraceWhileUsed turns events on and off while connections carry data, end and begin (the race
// detector's test): what is told is a sequence in time, each event somebody's.
func TestTraceWhileUsed(t *testing.T) {
	h := newHost(t, usock.Config{})
	defer use(t, h)()
	for range 100 {
		last, some := time.Duration(0), make(chan bool, 1)
		stop := h.Trace(func(events []trace.Event) {
			for i := range events {
				e := &events[i]
				if e.Time < last || e.Kind != trace.Called && !e.Local.IsValid() {
					t.Errorf("nobody's, or before %v: %s", last, e)
				}
				last = e.Time
			}
			select {
			case some <- true:
			default:
			}
		})
		<-some
		stop()
	}
}

// use has connections carry data, end and begin, until it is ended.
func use(t *testing.T, h *usock.Host) (stop func()) {
	end := make(chan bool)
	var used sync.WaitGroup
	for i := range 2 {
		used.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				a, b := pair(t, h, "127.0.0.1:0")
				b.SetSockOptInt(usock.IPPROTO_TCP, usock.TCP_NODELAY, i)
				a.Send(make([]byte, 1000), 0)
				b.Recv(make([]byte, 1000), 0)
				a.Close()
				b.Close()
			}
		})
	}
	return func() {
		close(end)
		used.Wait()
	}
}

// TestTraceKindsWhileUsed has who listens to some kinds come and go beside who listens to all of them, or to others: he is told
// of the same events of his kinds, none more and none less, and the others of all of theirs.
func TestTraceKindsWhileUsed(t *testing.T) {
	h := newHost(t, usock.Config{})
	defer use(t, h)()
	type heard struct {
		mu   sync.Mutex
		list []trace.Event
		more chan bool
	}
	hear := func(kinds ...trace.Kind) (l *heard, stop func()) {
		l = &heard{more: make(chan bool, 1)}
		return l, h.Trace(func(events []trace.Event) {
			l.mu.Lock()
			defer l.mu.Unlock()
			for i := range events {
				if !trace.KindsOf(kinds...).Has(events[i].Kind) {
					t.Errorf("told who listens to %v: %s", kinds, &events[i])
				}
				if events[i].Kind == trace.State {
					l.list = append(l.list, events[i])
				}
			}
			if len(l.list) > 0 {
				select {
				case l.more <- true:
				default:
				}
			}
		}, kinds...)
	}
	for _, beside := range [][]trace.Kind{nil, {trace.State, trace.Sent}, {trace.State}} {
		for range 20 {
			all, stopAll := hear(beside...)
			<-all.more
			some, stop := hear(trace.State, trace.Called)
			_, stopNone := hear(trace.Stalled)
			<-some.more
			stopNone()
			<-some.more
			stop()
			some.mu.Lock() // a call may be under way
			first, far := some.list[0], false
			some.mu.Unlock()
			for !far {
				<-all.more
				all.mu.Lock()
				far = all.list[len(all.list)-1].Time > first.Time
				all.mu.Unlock()
			}
			stopAll()
			all.mu.Lock()
			some.mu.Lock()
			at := slices.Index(all.list, first)
			if k := min(len(some.list), len(all.list)-at); at < 0 || !slices.Equal(all.list[at:at+k], some.list[:k]) {
				t.Errorf("beside %v: %d of %d, from %d on, are others", beside, k, len(all.list), at)
			}
			some.mu.Unlock()
			all.mu.Unlock()
		}
	}
}
