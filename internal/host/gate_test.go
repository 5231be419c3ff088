package host

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"usock/clock"
)

// Who waits for a lane that is taken has the others wait at the gate, however many lanes are free by then.
func TestGate(t *testing.T) {
	h, d, a, b := twoLanes()
	first := busy(d) // waits for a lane
	for !h.gate.closed.Load() {
		runtime.Gosched()
	}
	second := make(chan struct{})
	e := h.NewDomain()
	go func() {
		e.Enter()
		e.Leave()
		close(second)
	}()
	for e.mu.TryLock() { // until it waits, too
		e.mu.Unlock()
		runtime.Gosched()
	}
	a.Leave()
	b.Leave()
	await(t, first)
	await(t, second)
	if h.gate.closed.Load() {
		t.Error("the gate is shut")
	}
}

// Who waits at the gate goes on, though there is always somebody who has it shut.
func TestGateNeverOpen(t *testing.T) {
	var g gate
	shutters := func(n int) bool {
		g.want.Lock()
		defer g.want.Unlock()
		return g.n == n
	}
	waits := func() bool {
		g.want.Lock()
		defer g.want.Unlock()
		return g.wait != nil
	}
	type shutter struct{ has, opens, gone chan struct{} }
	shut := func() shutter {
		s := shutter{make(chan struct{}), make(chan struct{}), make(chan struct{})}
		go func() {
			g.shut()
			close(s.has)
			<-s.opens
			g.open()
			close(s.gone)
		}()
		return s
	}
	has := shut()
	await(t, has.has)
	for range 2 {
		passed := make(chan struct{})
		go func() {
			g.pass()
			close(passed)
		}()
		for !waits() {
			runtime.Gosched()
		}
		for range maxShut {
			if !waits() {
				t.Fatal("who waits goes on before others have had their turns")
			}
			next := shut()
			for !shutters(2) {
				runtime.Gosched()
			}
			close(has.opens)
			await(t, next.has)
			await(t, has.gone)
			has = next
		}
		await(t, passed)
		if !g.closed.Load() {
			t.Error("the gate is open")
		}
	}
	close(has.opens)
	await(t, has.gone)
	if g.closed.Load() {
		t.Error("the gate is shut")
	}
	g.pass()
}

// Those who enter domains do so beside others who take the whole host again and again.
func TestEntriesBesideWholes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	h := NewWithLanes(clock.System(), 8)
	var stop atomic.Bool
	var wholes sync.WaitGroup
	defer wholes.Wait()
	defer stop.Store(true)
	var n atomic.Int64
	for range 8 {
		wholes.Go(func() {
			for !stop.Load() {
				h.Enter()
				h.Leave()
				n.Add(1)
			}
		})
	}
	for n.Load() < 1<<16 {
		runtime.Gosched()
	}
	for range 50 {
		done := make(chan struct{})
		go func() {
			d := h.NewDomain()
			d.Enter()
			d.Leave()
			h.EnterLane(0).Leave()
			close(done)
		}()
		await(t, done)
	}
}

// Entries of all kinds at once come to their end.
func TestGateOfMany(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	h := NewWithLanes(clock.System(), 2)
	done := make(chan struct{})
	const each = 2000
	for i := range 12 {
		go func() {
			d := h.NewDomain()
			for k := range each {
				switch {
				case i%4 == 3 && k%16 == 0:
					h.Enter()
					h.Leave()
				case i%4 == 2:
					h.EnterLane(i).Leave()
				default:
					d.Enter()
					if k%64 == 0 {
						runtime.Gosched()
					}
					d.Leave()
				}
			}
			done <- struct{}{}
		}()
	}
	for range 12 {
		await(t, done)
	}
}

// Who enters again and again beside others yields once his turn is over. Who comes now and then does not, nor who is alone.
func TestTurn(t *testing.T) {
	h := NewWithLanes(clock.System(), 2)
	d := [2]*Domain{h.NewDomain(), h.NewDomain()}
	for _, c := range []struct {
		name   string
		every  time.Duration
		others int
		yields int // of each, in 10 turns
	}{
		{"again and again", time.Microsecond, 1, 9},
		{"with short pauses", pauses / 2, 1, 9},
		{"now and then", pauses + 1, 1, 0},
		{"alone", time.Microsecond, 0, 0},
	} {
		var lanes [2]Lane
		var yields [2]int
		h.turned.Store(uintptr(unsafe.Pointer(d[0])))
		for now := time.Hour; now < time.Hour+10*turn; now += c.every {
			for i := range 1 + c.others {
				l := &lanes[i]
				l.host, l.dom, l.now = h, d[i], now
				l.takeTurn()
				if l.yield {
					yields[i]++
				}
				l.yield = false
			}
		}
		for i, n := range yields[:1+c.others] {
			if n < c.yields-1 || n > c.yields {
				t.Errorf("%s: %d yields of number %d, want %d", c.name, n, i, c.yields)
			}
		}
	}
}
