package main

import (
	"sync/atomic"
	"time"

	"usock/clock"
)

// ownClock runs ten times as fast as the machine's, and counts who asks it.
type ownClock struct {
	clock.Manual
	asked atomic.Int64
	ended chan struct{}
}

func newClock() *ownClock {
	c := &ownClock{ended: make(chan struct{})}
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.Advance(10 * time.Millisecond)
			case <-c.ended:
				return
			}
		}
	}()
	return c
}

// Now implements clock.Clock.
func (c *ownClock) Now() time.Duration {
	c.asked.Add(1)
	return c.Manual.Now()
}

func (c *ownClock) stop() { close(c.ended) }
