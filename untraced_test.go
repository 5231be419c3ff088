//go:build !race

package usock_test

import (
	"sync/atomic"
	"testing"

	"usock"
	"usock/trace"
)

// Events are made when somebody listens, and only then: before and after, a round trip allocates
// nothing. (Under the race detector sync.Pool drops some of what it is given.)
func TestNothingIsTracedForNobody(t *testing.T) {
	h := newHost(t, usock.Config{})
	trip := roundTrips(t, h)
	for range 2 {
		if n := testing.AllocsPerRun(200, trip); n != 0 {
			t.Errorf("a round trip that nobody listens to allocates %v times", n)
		}

		var told atomic.Int64
		stop := h.Trace(func(e []trace.Event) { told.Add(int64(len(e))) })
		trip()
		stop()
		if told.Load() == 0 {
			t.Error("a listener is told nothing of a round trip")
		}
	}
}
