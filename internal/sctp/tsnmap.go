package sctp

import (
	"math/bits"
	"sync"

	"usock/internal/wire"
)

// tsnMap says which TSNs behind the Cumulative TSN have come, and which of them begin and end a
// message. It takes a ring of words, from a pool, as long as there is a gap; while TSNs come in a row
// there is none.
type tsnMap struct {
	a *tsnArray
}

type tsnArray struct {
	w     []tsnWord
	class int
}

// tsnWord is of 64 TSNs, the first of which is a multiple of 64.
type tsnWord struct{ seen, begin, end uint64 }

// Arrays have 8, 32, 128, 512 or 2048 words, of which the last reach over maxAhead.
const (
	tsnArrayMin   = 8
	tsnArrayShift = 2
	tsnArrayTop   = 4
)

var tsnArrays [tsnArrayTop + 1]sync.Pool

func newTSNArray(class int) *tsnArray {
	if a, _ := tsnArrays[class].Get().(*tsnArray); a != nil {
		return a
	}
	return &tsnArray{make([]tsnWord, tsnArrayMin<<(tsnArrayShift*class)), class}
}

func (m *tsnMap) word(tsn uint64) *tsnWord { return &m.a.w[tsn>>6&uint64(len(m.a.w)-1)] }

// seen reports whether a TSN between cum and cum + maxAhead has come.
func (m *tsnMap) seen(tsn, cum uint64) bool {
	return m.within(tsn, cum) && m.word(tsn).seen>>(tsn&63)&1 != 0
}

// begins and ends tell of a TSN that was seen.
func (m *tsnMap) begins(tsn uint64) bool { return m.word(tsn).begin>>(tsn&63)&1 != 0 }
func (m *tsnMap) ends(tsn uint64) bool   { return m.word(tsn).end>>(tsn&63)&1 != 0 }

// within reports whether the words have a place for a TSN.
func (m *tsnMap) within(tsn, cum uint64) bool {
	return m.a != nil && tsn > cum && tsn>>6-(cum+1)>>6 < uint64(len(m.a.w))
}

// set notes that a TSN came.
func (m *tsnMap) set(tsn, cum uint64, begin, end bool) {
	for !m.within(tsn, cum) {
		old := m.a
		if old == nil {
			m.a = newTSNArray(0)
			continue
		}
		m.a = newTSNArray(old.class + 1)
		for k := (cum + 1) >> 6; k < (cum+1)>>6+uint64(len(old.w)); k++ {
			w := &old.w[k&uint64(len(old.w)-1)]
			*m.word(k << 6) = *w
			*w = tsnWord{}
		}
		tsnArrays[old.class].Put(old)
	}
	w, bit := m.word(tsn), uint64(1)<<(tsn&63)
	w.seen |= bit
	if begin {
		w.begin |= bit
	}
	if end {
		w.end |= bit
	}
}

// clear takes back that a TSN came.
func (m *tsnMap) clear(tsn uint64) {
	w, bit := m.word(tsn), ^(uint64(1) << (tsn & 63))
	w.seen &= bit
	w.begin &= bit
	w.end &= bit
}

// forget clears the TSNs of [from, to), of which the words have all.
func (m *tsnMap) forget(from, to uint64) {
	for from < to {
		n := min(64-from&63, to-from)
		mask := ^uint64(0) >> (64 - n) << (from & 63)
		w := m.word(from)
		w.seen &^= mask
		w.begin &^= mask
		w.end &^= mask
		from += n
	}
}

// run returns the length of the run of TSNs from tsn on, up to most, that came or did not.
func (m *tsnMap) run(tsn, most uint64, came bool) uint64 {
	n := uint64(0)
	for n < most {
		w := m.word(tsn + n).seen
		if came {
			w = ^w
		}
		at := (tsn + n) & 63
		k := uint64(bits.TrailingZeros64(w >> at))
		if k < 64-at {
			return min(n+k, most)
		}
		n += 64 - at
	}
	return most
}

// gaps appends the Gap Ack Blocks for what came of (cum, high], at most so many.
func (m *tsnMap) gaps(dst []wire.GapBlock, cum, high uint64, most int) []wire.GapBlock {
	for t := cum + 1; t <= high && len(dst) < most; {
		t += m.run(t, high+1-t, false)
		if t > high {
			break
		}
		n := m.run(t, high+1-t, true)
		dst = append(dst, wire.GapBlock{Start: uint16(t - cum), End: uint16(t + n - 1 - cum)})
		t += n
	}
	return dst
}

// top returns the highest TSN of (cum, high] that came, cum if none did.
func (m *tsnMap) top(cum, high uint64) uint64 {
	for high > cum && m.word(high).seen>>(high&63)&1 == 0 {
		high--
	}
	return high
}

// release gives the words back, which are clear.
func (m *tsnMap) release() {
	if m.a != nil {
		tsnArrays[m.a.class].Put(m.a)
		m.a = nil
	}
}

// drop gives the words back as they are.
func (m *tsnMap) drop() {
	if m.a != nil {
		clear(m.a.w)
		m.release()
	}
}
