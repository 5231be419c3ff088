package host

import (
	"sync/atomic"

	"usock/internal/rank"
)

// gate is where those wait who come while somebody waits for lanes that are taken.
//
// Whoever has a lane may have lost his processor, on which Go runs others by turns of 10 ms, and each of those takes
// another lane: so he would have it back only after all of them, and who waits for his lane would wait as long. With the
// gate shut there is nobody left to run but those who have lanes, and then he who waits.
type gate struct {
	mu rank.Gate // of him who has shut it, until he opens it

	want rank.Leaf
	n    int                           // want: who have shut it or are about to
	c    atomic.Pointer[chan struct{}] // changed with want: closed once they have opened it; nil: it is open
}

// shut shuts the gate, and waits until nobody else has it shut.
func (g *gate) shut() {
	g.want.Lock()
	if g.n++; g.n == 1 {
		c := make(chan struct{})
		g.c.Store(&c)
	}
	g.want.Unlock()
	g.mu.Lock()
}

// open ends that. All who wait go on at once: each may wait for a processor, and none must wait for another.
func (g *gate) open() {
	g.mu.Unlock()
	g.want.Lock()
	if g.n--; g.n == 0 {
		close(*g.c.Swap(nil))
	}
	g.want.Unlock()
}

// pass waits while the gate is shut.
func (g *gate) pass() {
	if c := g.c.Load(); c != nil {
		<-*c
	}
}
