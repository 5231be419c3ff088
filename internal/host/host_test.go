package host

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/timer"
	"usock/packet"
)

// sink is a link that collects what it is sent.
type sink struct {
	mu   sync.Mutex
	busy bool
	got  []byte
	do   func()
}

func (s *sink) Send(batch []*packet.Packet) int {
	s.mu.Lock()
	if s.busy {
		panic("two goroutines in Send")
	}
	s.busy = true
	s.mu.Unlock()
	if s.do != nil {
		s.do()
	}
	s.mu.Lock()
	for _, p := range batch {
		s.got = append(s.got, p.Payload.Front()...)
		p.Free()
	}
	s.busy = false
	s.mu.Unlock()
	return len(batch)
}

func (s *sink) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// TestPortOrder has many goroutines push through one port: each one's packets stay
// in order, none is lost, and the link is entered by one at a time.
func TestPortOrder(t *testing.T) {
	h := New(clock.System())
	s := &sink{}
	p := h.NewPort(s)
	const each, goroutines = 2000, 8
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				h.Enter()
				h.Lane().Send(p, packet.FromBytes([]byte{byte(g), byte(i), byte(i >> 8)}))
				h.Leave()
			}
		})
	}
	wg.Wait()
	for end := time.Now().Add(10 * time.Second); s.len() < 3*each*goroutines; {
		if time.Now().After(end) {
			t.Fatalf("%d of %d packets sent, %d dropped", s.len()/3, each*goroutines, p.Dropped())
		}
	}
	var next [goroutines]int
	for b := s.got; len(b) > 0; b = b[3:] {
		if i := int(b[1]) | int(b[2])<<8; i != next[b[0]] {
			t.Fatalf("goroutine %d: packet %d, want %d", b[0], i, next[b[0]])
		}
		next[b[0]]++
	}
}

// TestPortReentry has a link lead back into the host that sends, as a pipe whose
// peer answers does: the answer is sent by the flush that is under way.
func TestPortReentry(t *testing.T) {
	h := New(clock.System())
	s := &sink{}
	p := h.NewPort(s)
	n := 0
	s.do = func() {
		if n++; n < 1000 {
			h.Enter()
			h.Lane().Send(p, packet.FromBytes([]byte{1}))
			h.Leave()
		}
	}
	h.Enter()
	h.Lane().Send(p, packet.FromBytes([]byte{1}))
	h.Leave()
	for end := time.Now().Add(10 * time.Second); s.len() < 1000; {
		if time.Now().After(end) {
			t.Fatalf("%d packets of 1000", s.len())
		}
	}
}

func TestLoop(t *testing.T) {
	h := New(clock.System())
	var got []byte
	h.Input = func(l *Lane, p *packet.Packet) {
		b := p.Payload.Front()[0]
		got = append(got, b)
		p.Free()
		if b < 5 {
			l.Loop(packet.FromBytes([]byte{b + 1}))
			l.Loop(packet.FromBytes([]byte{b + 10}))
		}
	}
	h.Enter()
	h.Lane().Loop(packet.FromBytes([]byte{1}))
	h.Leave()
	want := []byte{1, 2, 11, 3, 12, 4, 13, 5, 14}
	if string(got) != string(want) {
		t.Errorf("looped %v, want %v", got, want)
	}
}

type alarmed struct {
	timer.Entry
	at []time.Duration
}

func (a *alarmed) Expired(_ *timer.Entry, now time.Duration) { a.at = append(a.at, now) }

func TestManualClock(t *testing.T) {
	c := new(clock.Manual)
	h := New(c)
	var a alarmed
	a.On = &a
	set := func(at time.Duration) {
		h.Enter()
		h.SetTimer(&a.Entry, at)
		h.Leave()
	}
	set(5 * time.Second)
	c.Advance(4 * time.Second)
	set(7 * time.Second) // later: the alarm goes off early and finds nothing due
	c.Advance(2 * time.Second)
	if len(a.at) != 0 {
		t.Fatalf("expired at %v", a.at)
	}
	c.Advance(2 * time.Second)
	if len(a.at) != 1 || a.at[0] != 7*time.Second {
		t.Fatalf("expired at %v, want 7s", a.at)
	}
	set(9 * time.Second)
	h.Enter()
	h.Close()
	h.Leave()
	c.Advance(time.Minute)
	if len(a.at) != 1 {
		t.Error("a timer expired after Close")
	}
}

// Many goroutines enter a host at once: one is in it at a time, and all get their turn.
func TestContention(t *testing.T) {
	const goroutines, entries = 100, 200
	h := New(&clock.Manual{})
	var in, most, n int // guarded by the host's lock
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range entries {
				h.Enter()
				in++
				most = max(most, in)
				if n++; n%97 == 0 {
					runtime.Gosched() // with the lock held: the others have to wait
				}
				in--
				h.Leave()
			}
		})
	}
	all.Wait()
	if most != 1 || n != goroutines*entries {
		t.Errorf("%d goroutines at once, %d entries", most, n)
	}
}

// What an entry has brought about for others comes, also where a function of the user's panics or ends the goroutine.
func TestAfterPanics(t *testing.T) {
	for name, does := range map[string]func(){"panic": func() { panic("user") }, "end": runtime.Goexit} {
		h := NewWithLanes(clock.System(), 2)
		d := h.NewDomain()
		s := &sink{}
		p := h.NewPort(s)
		called := 0
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { recover() }()
			d.Enter()
			d.Lane().Send(p, packet.FromBytes([]byte{1}))
			d.After(does)
			d.After(func() { called++ })
			d.Leave()
		})
		wg.Wait()
		if called != 1 || s.len() != 1 {
			t.Errorf("%s: the next function was called %d times, %d packets were sent; want 1 and 1", name, called, s.len())
		}
		d.Enter()
		d.Leave()
	}
}

// task is a Task that is a function.
type task func(*Lane)

func (f task) Run(l *Lane, _ *packet.Packet) { f(l) }

// What makes something new while it is done in a busy domain's stead does not take the lane out of that: the rest
// of what was left there comes yet.
func TestFoundStays(t *testing.T) {
	h := NewWithLanes(clock.System(), 4)
	d := h.NewDomain()
	l := h.EnterLane(0)
	d.mu.TryLock() // busy
	var first, second, third *Domain
	free := false
	l.Post(d, task(func(l *Lane) { first = l.Found() }), nil)
	l.Post(d, task(func(l *Lane) {
		second = l.Domain()
		if free = d.mu.TryLock(); free {
			d.mu.Unlock()
		}
	}), nil)
	d.mu.Unlock()
	l.Leave()
	if first != d || second != d || free {
		t.Errorf("what is new is in the right domain: %v, what comes then: %v, which others may enter: %v", first == d, second == d, free)
	}
	l = h.EnterLane(0)
	if third = l.Found(); third == d || l.Domain() != third {
		t.Error("without need it was put into a domain that there was")
	}
	l.Leave()
}
