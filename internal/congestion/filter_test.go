package congestion

import (
	"math/rand/v2"
	"testing"
)

// Against a plain maximum of the window: never more, so that nothing outlives the window, and no
// less than the newest value; the greatest of all until it is too old.
func TestMaxFilterRandom(t *testing.T) {
	type entry struct {
		value uint64
		round uint32
	}
	const window = 10
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var f maxFilter
		var all []entry
		round, step := uint32(0), 1+rnd.Uint32N(window)
		for range 60 {
			e := entry{rnd.Uint64N(100), round}
			all = append(all, e)
			f.update(e.value, round, window)

			var top, recent entry
			for _, e := range all {
				if e.value >= top.value {
					top = e
				}
				if round-e.round <= window && e.value >= recent.value {
					recent = e
				}
			}
			if f.max() > recent.value || f.max() < e.value || round-top.round <= window && f.max() != top.value {
				t.Fatalf("%v: %d, want %d at most", all, f.max(), recent.value)
			}
			round += rnd.Uint32N(step + 1)
		}
	}
}

// Kathleen Nichols's algorithm (Linux, lib/minmax.c): when the greatest is too old, the best of what
// came a quarter of the window after it or later follows, and then the best after half.
func TestMaxFilterCandidates(t *testing.T) {
	type entry struct {
		value uint64
		round uint32
	}
	const window = 10
	for _, c := range []struct {
		name string
		old  []entry
		last uint32 // round of a last value of 1
		want uint64
	}{
		{"a window old", []entry{{9, 0}}, 10, 9},
		{"older", []entry{{9, 0}}, 11, 1},
		{"renewed", []entry{{9, 0}, {9, 5}}, 15, 9},
		{"after a quarter", []entry{{9, 0}, {7, 3}}, 11, 7},
		{"not before it", []entry{{9, 0}, {7, 2}, {6, 3}}, 11, 6},
		{"only the first after it", []entry{{9, 0}, {7, 3}, {6, 4}}, 11, 7},
		{"or a better one", []entry{{9, 0}, {6, 3}, {7, 4}}, 11, 7},
		{"or a later one as good", []entry{{9, 0}, {7, 3}, {7, 5}}, 15, 7},
		{"a better one in the same round", []entry{{9, 0}, {6, 3}, {7, 3}}, 11, 7},
		{"both old, after half", []entry{{9, 0}, {7, 3}, {5, 6}}, 14, 5},
		{"not before half", []entry{{9, 0}, {7, 3}, {6, 5}, {5, 6}}, 14, 5},
		{"only the first after half", []entry{{9, 0}, {7, 3}, {6, 6}, {5, 7}}, 14, 6},
		{"or a better one", []entry{{9, 0}, {7, 3}, {5, 6}, {6, 7}}, 14, 6},
		{"or a later one as good", []entry{{9, 0}, {7, 3}, {6, 6}, {6, 8}}, 18, 6},
		{"or a later one as good, with one after it", []entry{{9, 0}, {7, 3}, {7, 5}, {5, 6}}, 16, 5},
		{"one after the other", []entry{{9, 0}, {7, 3}, {5, 6}, {1, 11}}, 14, 5},
		{"and what came when the first was too old", []entry{{9, 0}, {7, 3}, {5, 6}, {4, 11}, {1, 14}}, 17, 4},
		{"all old", []entry{{9, 0}, {7, 3}, {5, 6}}, 17, 1},
		{"the third a window old", []entry{{9, 0}, {7, 3}, {5, 6}}, 16, 5},
		{"the second a window old", []entry{{9, 0}, {7, 3}, {5, 6}}, 13, 7},
	} {
		var f maxFilter
		for _, e := range append(c.old, entry{1, c.last}) {
			f.update(e.value, e.round, window)
		}
		if f.max() != c.want {
			t.Errorf("%s: %v, then 1 in round %d: %d, want %d", c.name, c.old, c.last, f.max(), c.want)
		}
	}
}
