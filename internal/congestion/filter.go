package congestion

// maxFilter is the greatest of the values of the last rounds, kept as the best
// three of which each is newer than the one before (Kathleen Nichols's
// algorithm).
type maxFilter struct {
	best [3]struct {
		value uint64
		round uint32
	}
}

// max returns the greatest value.
func (f *maxFilter) max() uint64 { return f.best[0].value }

// update adds the value v of a round; those of more than window rounds ago are
// forgotten.
func (f *maxFilter) update(v uint64, round, window uint32) {
	e := f.best[0]
	e.value, e.round = v, round

	// As good as the best, or all are too old: whatever came before can never be the greatest
	// again.
	b := &f.best
	if v >= b[0].value || round-b[2].round > window {
		b[0], b[1], b[2] = e, e, e
		return
	}
	if v >= b[1].value {
		b[1], b[2] = e, e
	} else if v >= b[2].value {
		b[2] = e
	}

	// The second and third best are to be of later parts of the window, so that one is there
	// when the best grows too old.
	switch age := round - b[0].round; {
	case age > window:
		b[0], b[1], b[2] = b[1], b[2], e
		if round-b[0].round > window {
			b[0], b[1], b[2] = b[1], b[2], e
		}
	case b[1].round == b[0].round && age > window/4:
		b[1], b[2] = e, e
	case b[2].round == b[1].round && age > window/2:
		b[2] = e
	}
}
