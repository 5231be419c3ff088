package sctp

// streamRuns are the runs of a stream that are not ready, by id and first: a list, and a balanced tree (of
// Adelson-Velsky and Landis), in which a place is found among as many as a peer may leave holes.
type streamRuns struct{ first, root *run }

// before returns the last run in front of a place, nil if there is none.
func (l *streamRuns) before(id, pos uint64) (prev *run) {
	for x := l.root; x != nil; {
		if x.before(id, pos) {
			prev, x = x, x.right
		} else {
			x = x.left
		}
	}
	return prev
}

// insert puts x behind o, or in front of all where o is nil.
func (l *streamRuns) insert(o, x *run) {
	next := l.first
	if o != nil {
		next = o.snext
		o.snext = x
	} else {
		l.first = x
	}
	x.sprev, x.snext = o, next
	if next != nil {
		next.sprev = x
	}
	l.root = l.root.with(x)
}

func (l *streamRuns) remove(x *run) {
	if x.sprev != nil {
		x.sprev.snext = x.snext
	} else {
		l.first = x.snext
	}
	if x.snext != nil {
		x.snext.sprev = x.sprev
	}
	x.sprev, x.snext = nil, nil
	l.root = l.root.without(x)
	x.left, x.right = nil, nil
}

// with returns the root of the tree t with x.
func (t *run) with(x *run) *run {
	switch {
	case t == nil:
		x.height = 1
		return x
	case t.before(x.id, x.first):
		t.right = t.right.with(x)
	default:
		t.left = t.left.with(x)
	}
	return t.balanced()
}

// without returns the root of the tree t without x, which is in it.
func (t *run) without(x *run) *run {
	switch {
	case t == x && t.right == nil:
		return t.left
	case t == x:
		least := t.right
		for least.left != nil {
			least = least.left
		}
		least.right = t.right.without(least)
		least.left = t.left
		return least.balanced()
	case t.before(x.id, x.first):
		t.right = t.right.without(x)
	default:
		t.left = t.left.without(x)
	}
	return t.balanced()
}

func (t *run) tall() int8 {
	if t == nil {
		return 0
	}
	return t.height
}

// lean is by how much the right side is taller than the left one.
func (t *run) lean() int8 { return t.right.tall() - t.left.tall() }

func (t *run) measure() { t.height = 1 + max(t.left.tall(), t.right.tall()) }

// balanced returns the root of the tree t after one of its sides has grown or shrunk by one.
func (t *run) balanced() *run {
	t.measure()
	switch t.lean() {
	case 2:
		if t.right.lean() < 0 {
			t.right = t.right.turnRight()
		}
		return t.turnLeft()
	case -2:
		if t.left.lean() > 0 {
			t.left = t.left.turnLeft()
		}
		return t.turnRight()
	}
	return t
}

// turnLeft has the right side be the root.
func (t *run) turnLeft() *run {
	r := t.right
	t.right, r.left = r.left, t
	t.measure()
	r.measure()
	return r
}

// turnRight has the left side be the root.
func (t *run) turnRight() *run {
	l := t.left
	t.left, l.right = l.right, t
	t.measure()
	l.measure()
	return l
}
