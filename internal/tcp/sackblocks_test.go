package tcp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"usock/internal/wait"
)

// held is what a receiver must have, byte by byte, and which ranges it has heard of last.
type heldBytes struct {
	have   []bool // by relative sequence number
	nxt    int
	recent [][2]int // ranges above nxt, the one that changed last first
}

// around returns the range of bytes that are there around at.
func (h *heldBytes) around(at int) [2]int {
	from, to := at, at
	for ; from > h.nxt && h.have[from-1]; from-- {
	}
	for ; h.have[to]; to++ {
	}
	return [2]int{from, to}
}

// take takes a segment and returns what of it is a duplicate: its first run of bytes that were there.
func (h *heldBytes) take(from, to int) (dup [2]int) {
	for i := from; i < to; i++ {
		if h.have[i] || i < h.nxt {
			if dup[1] == 0 {
				dup[0] = i
			} else if dup[1] != i {
				break
			}
			dup[1] = i + 1
		}
	}
	for i := from; i < to; i++ {
		h.have[i] = true
	}
	for ; h.have[h.nxt]; h.nxt++ {
	}
	var ranges [][2]int
	if to > h.nxt {
		ranges = append(ranges, h.around(to-1))
	}
	for _, r := range h.recent {
		if r[1] <= h.nxt {
			continue
		}
		if r := h.around(r[1] - 1); !slices.Contains(ranges, r) {
			ranges = append(ranges, r)
		}
	}
	h.recent = ranges
	return dup
}

// RFC 2018 §4: the first block has the segment that has just come, the others follow in the order in which
// they were told last, and all are as large as what is there without a hole. RFC 2883 §4: a duplicate is
// told before them, once, and above the acknowledgment the block that it lies in follows. Each segment that
// is out of order, repeats something or fills a gap is acknowledged at once (RFC 5681 §4.2).
func TestSACKBlocksRandom(t *testing.T) {
	for seed := range 40 {
		for name, opts := range map[string][]scriptOption{"four blocks": {noTS}, "three": nil, "none": {noTS, noSACK}} {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) { blocksRandom(t, uint64(seed), opts) })
		}
	}
}

func blocksRandom(t *testing.T, seed uint64, opts []scriptOption) {
	tc := newScript(t, opts...)
	tc.connect()
	rnd := rand.New(rand.NewPCG(seed, 5))
	h := &heldBytes{have: make([]bool, 70000), nxt: 1}
	most := 4
	if tc.cfg.Timestamps {
		most = 3
	}
	for range 150 {
		from := max(h.nxt+rnd.IntN(900)-200, 1)
		to := from + 1 + rnd.IntN(250)
		if !blocksFit(h, from, to) {
			continue
		}
		was, waited := h.nxt, len(h.recent) > 0
		dup := h.take(from, to)
		tc.ev = 0
		tc.recv(fmt.Sprintf(". %d+%d ack 1", from, to-from))
		if got := tc.ev&wait.In != 0; got != (h.nxt > was) {
			t.Fatalf("%d to %d: the program is told %v, nxt was %d and is %d", from, to, got, was, h.nxt)
		}

		want := fmt.Sprintf(". 1 ack %d", h.nxt)
		if blocks := h.recent; tc.cfg.SACK && (dup[1] != 0 || len(blocks) > 0) {
			if dup[1] != 0 {
				blocks = append([][2]int{dup}, blocks...)
			}
			for i, b := range blocks[:min(len(blocks), most)] {
				want += fmt.Sprintf("%ssack %d-%d", map[bool]string{true: " <", false: ","}[i == 0], b[0], b[1])
			}
			want += ">"
		}
		if was != h.nxt && !waited && dup[1] == 0 {
			tc.out = nil // in order: it may be acknowledged later
			tc.sleep(msec(200))
			tc.out = nil
			continue
		}
		tc.rest(want)
		if rnd.IntN(5) == 0 {
			tc.read(1<<20, tc.c.Buffered())
			tc.out = nil
		}
	}
	tc.read(1<<20, tc.c.Buffered())
	tc.out = nil
}

// blocksFit reports whether a segment leaves four ranges at most, as many as are told, and neither
// reaches from what is acknowledged over a hole into what is held.
func blocksFit(h *heldBytes, from, to int) bool {
	if from <= h.nxt {
		for i := h.nxt; i < to; i++ {
			if h.have[i] {
				return false
			}
		}
	}
	if to > 64000 {
		return false
	}
	n := 1
	for _, r := range h.recent {
		if r[1] < from || r[0] > to {
			n++
		}
	}
	return n <= 4
}
