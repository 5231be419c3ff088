package host

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usock/clock"
	"usock/trace"
)

// happen logs n events, numbered from first on, in one entry.
func happen(h *Host, first, n int) {
	h.Enter()
	if tape := h.Tape(); tape != nil {
		for i := range n {
			e := tape.Next(trace.Called, trace.NoReason)
			e.Time, e.Result = h.Now(), first+i
		}
	}
	h.Leave()
}

// numbers collects the numbers of events; a Missed counts as minus how many.
type numbers struct{ got []int }

func (n *numbers) hear(events []trace.Event) {
	for _, e := range events {
		if e.Kind == trace.Missed {
			n.got = append(n.got, -e.Result)
		} else {
			n.got = append(n.got, e.Result)
		}
	}
}

// A listener that does not return holds up neither another one nor the host, and misses what is
// too much for it alone, which it is told behind what came before.
func TestListenersApart(t *testing.T) {
	h := New(&clock.Manual{})
	entered, leave := make(chan bool), make(chan bool)
	var slow, fast numbers
	defer h.Trace(func(e []trace.Event) {
		if len(slow.got) == 0 {
			close(entered)
			<-leave
		}
		slow.hear(e)
	})()
	done := make(chan bool)
	go func() { happen(h, 0, 1); close(done) }()
	<-entered
	defer h.Trace(fast.hear)()

	const beyond = 7
	for i := range maxTraced + beyond {
		happen(h, 1+i, 1)
	}
	if n := len(fast.got); n != maxTraced+beyond || fast.got[0] != 1 || fast.got[n-1] != n {
		t.Fatalf("the fast one, which came second, is told of %d events from %d on", n, fast.got[0])
	}
	close(leave)
	<-done
	happen(h, -100, 1)
	want := maxTraced + 3 // the first, the queue, what is missing, and one more
	if len(slow.got) != want || slow.got[maxTraced] != maxTraced || slow.got[maxTraced+1] != -beyond || slow.got[maxTraced+2] != -100 {
		t.Errorf("the slow one is told of %d events, want %d; the last ones are %v", len(slow.got), want, slow.got[len(slow.got)-3:])
	}
}

// Who is stopped while another listener is called is not called any more, and who joins then is
// told of nothing from before.
func TestListenerStoppedByOther(t *testing.T) {
	h := New(&clock.Manual{})
	var stopSecond, stopThird func()
	var second, third numbers
	defer h.Trace(func([]trace.Event) {
		if stopThird == nil {
			stopSecond()
			stopThird = h.Trace(third.hear)
		}
	})()
	stopSecond = h.Trace(second.hear)
	happen(h, 1, 3)
	happen(h, 4, 1)
	if len(second.got) != 0 {
		t.Errorf("called after its end with %v", second.got)
	}
	if len(third.got) != 1 || third.got[0] != 4 {
		t.Errorf("who joined in the midst heard %v", third.got)
	}
	stopThird()
	stopThird()
	stopSecond()
}

// A listener that panics, or ends its goroutine, is called again with what comes later, and
// others miss nothing.
func TestListenerPanics(t *testing.T) {
	h := New(&clock.Manual{})
	var all numbers
	bad := 0
	defer h.Trace(func(e []trace.Event) {
		switch bad += len(e); bad {
		case 1:
			panic("listener")
		case 2:
			runtime.Goexit()
		}
	})()
	defer h.Trace(all.hear)()
	for i := range 3 {
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { recover() }()
			happen(h, i, 1)
		})
		wg.Wait()
	}
	if bad != 3 || len(all.got) != 3 {
		t.Errorf("%d and %d events were told, of 3", bad, len(all.got))
	}
}

// Listeners come and go from many goroutines, and from within listeners, while events are made and the host closes: each
// hears numbers that rise by one, from where it began, and nothing is kept in the end.
func TestListenersComeAndGo(t *testing.T) {
	h := New(clock.System())
	var next atomic.Int64
	var events, comers sync.WaitGroup
	end := make(chan bool)
	for range 2 {
		events.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				h.Enter()
				if tape := h.Tape(); tape != nil {
					tape.Next(trace.Called, trace.NoReason).Result = int(next.Add(1))
				}
				h.Leave()
			}
		})
	}
	for range 4 {
		comers.Go(func() {
			for range 50 {
				last, heard := 0, make(chan bool)
				inner := func() {}
				stop := h.Trace(func(e []trace.Event) {
					for _, e := range e {
						if last != 0 && e.Result != last+1 {
							t.Errorf("%d comes after %d", e.Result, last)
						}
						if last == 0 {
							inner = h.Trace(func([]trace.Event) {})
							close(heard)
						}
						last = e.Result
					}
				})
				<-heard
				stop()
				inner()
			}
		})
	}
	comers.Wait()
	h.Enter()
	h.Close()
	h.Leave()
	close(end)
	events.Wait()
	if h.Tracing() || len(h.tracing.listeners) != 0 {
		t.Errorf("%d listeners are left", len(h.tracing.listeners))
	}
}

// A queue that has grown long is not kept.
func TestLongQueueIsGivenBack(t *testing.T) {
	h := New(&clock.Manual{})
	told := 0
	defer h.Trace(func(e []trace.Event) {
		if told += len(e); told == 1 {
			for range maxTraced {
				happen(h, 0, 1)
			}
			if n := len(h.tracing.listeners[0].queue); n <= maxSpare {
				t.Errorf("a queue of %d runs is not long", n)
			}
		}
	})()
	happen(h, 0, 1)
	if l := h.tracing.listeners[0]; cap(l.queue) > maxSpare || told != 1+maxTraced {
		t.Errorf("room for %d runs is kept; %d events were told", cap(l.queue), told)
	}
}

// Whose call has begun to tell a listener of events is let go, though there are always more of them.
func TestListenerNeverIdle(t *testing.T) {
	h := New(clock.System())
	var over atomic.Bool
	var n numbers
	idle := make(chan struct{})
	defer h.Trace(func(e []trace.Event) {
		n.hear(e)
		if over.Load() {
			close(idle)
			return
		}
		var other sync.WaitGroup
		other.Go(func() { happen(h, len(n.got), 1) })
		other.Wait()
	})()
	done := make(chan struct{})
	go func() {
		happen(h, 0, 1)
		close(done)
	}()
	await(t, done)
	over.Store(true)
	await(t, idle)
	for i, got := range n.got {
		if got != i {
			t.Fatalf("event %d is number %d", i, got)
		}
	}
}

// What is told and what is missing are all there was, and in the order of their times, however a queue fills and empties again.
func TestMissedAddsUp(t *testing.T) {
	var l listener
	var tape trace.Tape
	made, told, missed := 0, 0, 0
	var last time.Duration
	put := func(n int) {
		for range n {
			e := tape.Next(trace.Called, trace.NoReason)
			e.Result, e.Time = made, time.Duration(made)
			made++
		}
		r := tape.Cut()
		l.put(r)
		r.Done()
	}
	take := func() {
		r := l.take()
		for _, e := range r.Events() {
			if e.Time < last {
				t.Fatalf("%v at %v comes after %v", e.Kind, e.Time, last)
			}
			if last = e.Time; e.Kind == trace.Missed {
				if missed += e.Result; e.Time != time.Duration(told+missed-1) {
					t.Fatalf("what is missing up to number %d has the time of number %d", told+missed-1, e.Time)
				}
			} else if told++; e.Result != told+missed-1 {
				t.Fatalf("number %d comes after %d told and %d missing", e.Result, told-1, missed)
			}
		}
		r.Done()
	}
	put(1)
	put(2 * maxTraced)
	for range 5 {
		take()
		put(3)
		put(maxTraced)
		put(2)
		if l.waiting > maxTraced+1 {
			t.Fatalf("%d events wait", l.waiting)
		}
	}
	for l.waiting+l.missed > 0 {
		take()
	}
	if told+missed != made || missed == 0 {
		t.Errorf("%d told and %d missing of %d", told, missed, made)
	}
}
