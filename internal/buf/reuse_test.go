//go:build !race

package buf

import "testing"

// What grows and becomes empty again takes its arrays from those that were given back.
// (Under the race detector sync.Pool drops some of what it is given.)
func TestQueueArraysAreUsedAgain(t *testing.T) {
	v := view(0, 1, 0)
	defer v.Release()
	other := view(0, 1, 0)
	defer other.Release()
	var q Queue
	n := testing.AllocsPerRun(100, func() {
		for i := range 3 * arrayMin {
			w := v
			if i%2 == 1 {
				w = other // no two in a row of one block
			}
			w.Retain()
			q.Push(w)
		}
		q.Drop(q.End())
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
