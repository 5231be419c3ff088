package host

import (
	"sync/atomic"

	"usock/internal/rank"
)

// gate is where those wait who come while somebody waits for lanes that are taken, or for the whole host.
//
// Whoever has a lane may have lost his processor, on which Go runs others by turns of 10 ms, and each of those takes
// another lane: so he would have it back only after all of them, and who waits for his lane would wait as long. With the
// gate shut there is nobody left to run but those who have lanes, and then he who waits.
//
// Where one after another shuts it, there may be no time at which it is open. So who has waited for maxShut of them goes
// on all the same, to take a lane that is free or to shut it himself, in a queue with them.
type gate struct {
	mu rank.Gate // of him who has shut it, until he opens it

	closed atomic.Bool // changed with want: n is more than 0

	want  rank.Leaf
	n     int           // want: who have shut it or are about to
	wait  chan struct{} // want: closed once those who wait are to go on; nil: nobody waits
	shuts int           // want: how many have opened it since the first of them came
}

// maxShut is for how many entries in a row those wait at the gate who want a lane.
const maxShut = 16

// shut shuts the gate, and waits until nobody else has it shut.
func (g *gate) shut() {
	g.want.Lock()
	g.n++
	g.closed.Store(true)
	g.want.Unlock()
	g.mu.Lock()
}

// open ends that. All who wait go on at once: each may wait for a processor, and none must wait for another.
func (g *gate) open() {
	g.mu.Unlock()
	g.want.Lock()
	if g.n--; g.n == 0 {
		g.closed.Store(false)
	}
	if g.wait != nil {
		if g.shuts++; g.n == 0 || g.shuts >= maxShut {
			close(g.wait)
			g.wait = nil
		}
	}
	g.want.Unlock()
}

// pass waits while the gate is shut, or until that was so for maxShut entries.
func (g *gate) pass() {
	if !g.closed.Load() {
		return
	}
	g.want.Lock()
	if g.n == 0 {
		g.want.Unlock()
		return
	}
	if g.wait == nil {
		g.wait, g.shuts = make(chan struct{}), 0
	}
	c := g.wait
	g.want.Unlock()
	<-c
}
