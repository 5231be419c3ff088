package host

import (
	"runtime"
	"testing"
	"time"

	"usock/clock"
	"usock/packet"
)

// did notes in which order tasks were done.
type did struct {
	n  int
	to *[]int
	do func(*Lane)
}

func (d did) Run(l *Lane, _ *packet.Packet) {
	*d.to = append(*d.to, d.n)
	if d.do != nil {
		d.do(l)
	}
}

// busy has a goroutine wait for a lane to enter d with, and returns what ends once it has left d. All lanes are
// taken.
func busy(d *Domain) (left chan struct{}) {
	left = make(chan struct{})
	go func() {
		d.Enter()
		d.Leave()
		close(left)
	}()
	for d.mu.TryLock() {
		d.mu.Unlock()
		runtime.Gosched()
	}
	return left
}

// twoLanes returns a host with two lanes, which are taken, and a domain of it.
func twoLanes() (h *Host, d *Domain, a, b *Lane) {
	h = NewWithLanes(clock.System(), 2)
	return h, h.NewDomain(), h.EnterLane(0), h.EnterLane(1)
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("waited in vain")
	}
}

// What is posted in the whole host comes after what was left in the box before.
func TestWholeAfterBox(t *testing.T) {
	h, d, a, b := twoLanes()
	left := busy(d)
	var got []int
	a.Post(d, did{n: 1, to: &got}, nil)
	a.run() // looks for d, which is busy

	// The test has all lanes: the whole host.
	a.whole = true
	if a.Visit(d) {
		t.Error("a lane that has the whole host passes over what is in a box")
	}
	a.Post(d, did{n: 2, to: &got}, nil)
	a.run()
	a.whole = false
	a.Leave()
	b.Leave()
	await(t, left)

	left = nil
	a, b = h.EnterLane(0), h.EnterLane(1)
	left = busy(d)
	a.Post(d, did{n: 3, to: &got}, nil)
	a.Leave()
	b.Leave()
	d.EnterWhole()
	if want := []int{1, 2, 3}; len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 3 {
		t.Errorf("done in the order %v, want %v", got, want)
	}
	d.Leave()
	await(t, left)
}

// Who enters a domain is in it, whatever was in its box.
func TestFoundInBox(t *testing.T) {
	_, d, a, b := twoLanes()
	left := busy(d)
	var got []int
	found := d
	a.Post(d, did{n: 1, to: &got, do: func(l *Lane) { found = l.Found() }}, nil)
	a.Leave()
	b.Leave()
	await(t, left)
	if found != d {
		t.Error("a lane has left the domain in whose box it was at work")
	}

	a = d.Host().EnterLane(0)
	if found = a.Found(); found == d || a.Domain() != found {
		t.Error("a lane that is in no domain has found none")
	}
	a.Leave()
}

// In no domain does time go back, though whoever comes had looked at the clock before the one who was there last.
func TestTimeInDomain(t *testing.T) {
	h := NewWithLanes(clock.System(), 2)
	d := h.NewDomain()
	for _, visit := range []func(l *Lane){
		func(l *Lane) {
			if !l.Visit(d) {
				t.Fatal("the domain is busy")
			}
		},
		func(l *Lane) {
			var got []int
			l.Post(d, did{n: 1, to: &got, do: func(l *Lane) { l.Now() }}, nil)
			l.run()
		},
	} {
		l := h.EnterLane(0)
		l.Now()
		var last time.Duration
		left := make(chan struct{})
		go func() {
			for begin := d.Clock().Now(); d.Clock().Now() == begin; {
				runtime.Gosched()
			}
			d.Enter()
			last = d.Now()
			d.Leave()
			close(left)
		}()
		await(t, left)
		visit(l)
		if now := l.Now(); now < last {
			t.Errorf("%v after %v", now, last)
		}
		l.Leave()
	}
}
