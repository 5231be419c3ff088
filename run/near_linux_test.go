//go:build amd64 || arm64

package run

import (
	"testing"
	"time"
)

// Descriptors go the way that is the quicker one, which is found out soon, and again
// when it changes. What a busy machine does to one of them decides nothing.
func TestNearness(t *testing.T) {
	var n nearness
	n.init(true)
	give := func(away, here time.Duration, times int) (ways [2]int) {
		for i := range times {
			way, took := n.next(), away
			if way {
				ways[1], took = ways[1]+1, here
			} else {
				ways[0]++
			}
			if i%100 == 50 {
				took = time.Second
			}
			n.note(way, took)
		}
		return ways
	}
	give(30*time.Microsecond, 45*time.Microsecond, 8*tryFor)
	if ways := give(30*time.Microsecond, 45*time.Microsecond, 2*tryEvery); ways[1] > 3*tryFor {
		t.Errorf("%d of %d the slower way, here", ways[1], 2*tryEvery)
	}
	give(90*time.Microsecond, 45*time.Microsecond, 2*tryEvery)
	if ways := give(90*time.Microsecond, 45*time.Microsecond, 2*tryEvery); ways[0] > 3*tryFor {
		t.Errorf("%d of %d the slower way, away", ways[0], 2*tryEvery)
	}
}
