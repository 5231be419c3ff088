package buf

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"usock/packet"
)

func fill(b []byte, off uint64) {
	for i := range b {
		b[i] = pattern(off + uint64(i))
	}
}

func pattern(off uint64) byte { return byte(off>>8*7 ^ off) }

// view returns a view of n bytes of the stream, somewhere in a block.
func view(off uint64, n, pad int) packet.View {
	b := packet.NewBlock(pad + n)
	fill(b.Bytes()[pad:pad+n], off)
	return b.View(pad, pad+n)
}

func noLeaks(t *testing.T) {
	t.Helper()
	packet.Track(true)
	before := packet.Live()
	t.Cleanup(func() {
		if n := packet.Live() - before; n != 0 {
			t.Errorf("%d blocks leak", n)
		}
	})
}

// A queue against a plain slice of bytes, under random calls.
func TestQueueRandom(t *testing.T) {
	noLeaks(t)
	for seed := range uint64(200) {
		randomQueue(t, seed)
	}
}

func randomQueue(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	var q Queue
	base := uint64(seed) << 31
	q.Reset(base)
	var model []byte
	for range 300 {
		switch end := base + uint64(len(model)); r.IntN(8) {
		case 0, 1:
			n := r.IntN(5000)
			v := view(end, n, r.IntN(100))
			model = append(model, v.Bytes()...)
			q.Push(v)
		case 2:
			p := make([]byte, 1+r.IntN(700))
			fill(p, end)
			if r.IntN(2) == 0 {
				q.Append(p)
				model = append(model, p...)
			} else if q.Extend(p) {
				model = append(model, p...)
			}
		case 3:
			n := r.IntN(len(model) + 1)
			q.Drop(base + uint64(n))
			model, base = model[n:], base+uint64(n)
		case 4:
			n := r.IntN(4000)
			views := q.Take(n, nil)
			var got []byte
			for _, v := range views {
				got = append(got, v.Bytes()...)
				v.Release()
			}
			n = min(n, len(model))
			if !bytes.Equal(got, model[:n]) {
				t.Fatalf("seed %d: took other bytes", seed)
			}
			model, base = model[n:], base+uint64(n)
		case 5:
			if len(model) == 0 {
				continue
			}
			at := r.IntN(len(model))
			n := r.IntN(len(model) - at + 1)
			var x packet.Vec
			got := q.Slice(base+uint64(at), n, &x)
			if got < n && !x.Full() || got > n || !bytes.Equal(x.AppendTo(nil), model[at:at+got]) {
				t.Fatalf("seed %d: slice [%d,+%d) gave %d", seed, at, n, got)
			}
			x.Release()
		case 6:
			at, max := r.IntN(len(model)+2), r.IntN(3000)
			var got []byte
			for _, v := range q.Peek(base+uint64(at), max, nil) {
				got = append(got, v.Bytes()...)
				v.Release()
			}
			want := model[min(at, len(model)):]
			if !bytes.Equal(got, want[:min(max, len(want))]) {
				t.Fatalf("seed %d: peek at %d", seed, at)
			}
		case 7:
			if len(model) == 0 {
				continue
			}
			at := r.IntN(len(model))
			p := make([]byte, r.IntN(len(model)-at+1))
			q.CopyTo(p, base+uint64(at))
			if !bytes.Equal(p, model[at:at+len(p)]) {
				t.Fatalf("seed %d: copy at %d", seed, at)
			}
			if b := q.CopyByte(base + uint64(at)); b != model[at] {
				t.Fatalf("seed %d: byte %d is %d", seed, at, b)
			}
		}
		checkQueue(t, &q)
		if q.Base() != base || q.Len() != len(model) || q.End() != base+uint64(len(model)) {
			t.Fatalf("seed %d: [%d,%d), want [%d,+%d)", seed, q.Base(), q.End(), base, len(model))
		}
		if len(model) == 0 && (q.Mem() != 0 || q.r.a != nil) {
			t.Fatalf("seed %d: an empty queue holds %d", seed, q.Mem())
		}
	}
	q.Reset(0)
}

// checkQueue checks that the pieces follow each other from base to end, and what they cost.
func checkQueue(t *testing.T, q *Queue) {
	t.Helper()
	mem, at := 0, q.base
	for i := range q.r.n {
		p := q.r.at(i)
		if p.pos != at || p.Len() == 0 {
			t.Fatalf("piece %d of %d bytes begins at %d, want %d", i, p.Len(), p.pos, at)
		}
		at = p.end()
		mem += p.Cap()
	}
	if at != q.end || mem != q.Mem() {
		t.Fatalf("pieces to %d cost %d, want to %d for %d", at, mem, q.end, q.Mem())
	}
}

// A queue that is emptied keeps nothing, and its arrays hold no view of what was in it.
func TestQueueArraysAreClean(t *testing.T) {
	noLeaks(t)
	for _, n := range []int{1, arrayMin, arrayMin + 1, 5 * arrayMin} {
		var q Queue
		var back Reassembly
		used := map[*array]bool{}
		for i := range n {
			q.Push(view(uint64(10*i), 10, 1))
			back.Insert(uint64(20*i), view(uint64(20*i), 10, 1))
			used[q.r.a], used[back.r.a] = true, true
		}
		if len(q.r.a.p) < n {
			t.Fatalf("%d pieces in an array of %d", n, len(q.r.a.p))
		}
		q.Drop(q.End())
		for !back.Empty() {
			back.DropBack()
		}
		if q.r.a != nil || back.r.a != nil {
			t.Errorf("%d pieces: an empty queue holds an array", n)
		}
		for a := range used {
			for i, p := range a.p {
				if p != (piece{}) {
					t.Fatalf("%d pieces: an array of %d that was given back holds %v at %d", n, len(a.p), p, i)
				}
			}
		}
	}
}

// Views that continue each other in one block become one again.
func TestQueueJoins(t *testing.T) {
	noLeaks(t)
	b := packet.NewBlock(64 << 10)
	var q Queue
	for i := range 44 {
		b.Retain()
		q.Push(b.View(1460*i, 1460*(i+1)))
	}
	b.Release()
	if q.r.n != 1 || q.Mem() != 64<<10 {
		t.Fatalf("%d pieces, %d bytes", q.r.n, q.Mem())
	}
	if q.Len() != 44*1460 {
		t.Errorf("%d bytes", q.Len())
	}
	q.Reset(0)
}

// The views of a packet are moved, and stay in their order.
func TestQueuePushVec(t *testing.T) {
	noLeaks(t)
	var x packet.Vec
	for i := range 3 {
		x.Append(view(uint64(100*i), 100, i))
	}
	var q Queue
	q.PushVec(&x)
	if x.Len() != 0 || len(x.Views()) != 0 {
		t.Errorf("%d bytes are left", x.Len())
	}
	got := make([]byte, 300)
	q.CopyTo(got, 0)
	want := make([]byte, 300)
	fill(want, 0)
	if q.Len() != 300 || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, or other ones", q.Len())
	}
	q.Reset(0)
}

// What is asked for outside of a queue: nothing, or a panic where only usock could have done it.
func TestQueueBounds(t *testing.T) {
	noLeaks(t)
	var q Queue
	q.Reset(1000)
	q.Push(view(1000, 100, 0))

	if v := q.Take(0, nil); len(v) != 0 {
		t.Errorf("took %d views of nothing", len(v))
	}
	for _, off := range []uint64{999, 1100, 1101} {
		if v := q.Peek(off, 10, nil); len(v) != 0 {
			t.Errorf("%d views at %d", len(v), off)
		}
	}
	for name, f := range map[string]func(*packet.Vec){
		"before":           func(x *packet.Vec) { q.Slice(999, 2, x) },
		"behind":           func(x *packet.Vec) { q.Slice(1100, 1, x) },
		"across the end":   func(x *packet.Vec) { q.Slice(1050, 51, x) },
		"drop too much":    func(*packet.Vec) { q.Drop(1101) },
		"far behind":       func(x *packet.Vec) { q.Slice(5000, 1, x) },
		"nothing, outside": func(x *packet.Vec) { q.Slice(1101, 0, x) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			var x packet.Vec
			f(&x)
		}()
	}
	var x packet.Vec
	if n := q.Slice(1099, 1, &x); n != 1 {
		t.Errorf("the last byte is %d", n)
	}
	x.Release()
	q.Reset(0)
}

// A block that others refer to is never written to.
func TestQueueSharedBlock(t *testing.T) {
	noLeaks(t)
	b := packet.NewBlock(256)
	other := b.View(0, 256)
	other.Retain()
	fill(b.Bytes(), 0)
	var q Queue
	q.Push(b.View(0, 10))
	if q.Extend([]byte("x")) {
		t.Fatal("wrote into a shared block")
	}
	q.Append([]byte("xyz")) // into a block of its own
	if got := other.Bytes()[10]; got != pattern(10) || q.Len() != 13 || q.r.n != 2 {
		t.Fatalf("wrote %d into a shared block; %d bytes in %d pieces", got, q.Len(), q.r.n)
	}
	if !q.Extend([]byte("w")) || q.r.n != 2 {
		t.Error("a block that nobody else has is not used")
	}

	// The last piece counts: after one that can be extended comes one that cannot.
	other.Retain()
	q.Push(other.Slice(100, 110))
	if q.Extend([]byte("x")) {
		t.Fatal("wrote into a shared block behind a block of its own")
	}
	other.Release()
	q.Reset(0)
}

// A reassembly queue against a map of bytes, under random insertions.
func TestReassemblyRandom(t *testing.T) {
	noLeaks(t)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 9))
		var q Reassembly
		var dst Queue
		dst.Reset(1000)
		have := map[uint64]bool{}
		for range 100 {
			switch r.IntN(10) {
			default:
				off := dst.End() + uint64(r.IntN(4000))
				n := 1 + r.IntN(600)
				want := 0
				for k := range uint64(n) {
					if !have[off+k] {
						have[off+k] = true
						want++
					}
				}
				if got, from, to := q.Insert(off, view(off, n, r.IntN(50))); got != want || (from < to) != (want < n) {
					t.Fatalf("seed %d: %d bytes new, want %d", seed, got, want)
				}
			case 7:
				// The next bytes arrive.
				n := 1 + r.IntN(300)
				dst.Push(view(dst.End(), n, 0))
				q.MoveTo(&dst)
			case 8:
				if q.Empty() {
					continue
				}
				end := q.End()
				q.DropBack()
				for off := max(q.End(), dst.End()); off < end; off++ {
					delete(have, off)
				}
			}
			n := 0
			for off := range have {
				if off < dst.End() {
					delete(have, off)
				} else {
					n++
				}
			}
			if q.Len() != n {
				t.Fatalf("seed %d: %d bytes, want %d", seed, q.Len(), n)
			}
			if have[dst.End()] {
				q.MoveTo(&dst)
				if q.r.n > 0 && q.r.at(0).pos <= dst.End() {
					t.Fatalf("seed %d: %d has come, and was not moved", seed, dst.End())
				}
			}
			checkPieces(t, &q)
		}
		off := dst.Base()
		for _, v := range dst.Take(1<<30, nil) {
			for _, b := range v.Bytes() {
				if b != pattern(off) {
					t.Fatalf("seed %d: byte %d is wrong", seed, off)
				}
				off++
			}
			v.Release()
		}
		q.Reset()
		if !q.Empty() || q.Len() != 0 || q.Mem() != 0 {
			t.Fatalf("seed %d: %d bytes in %d after Reset", seed, q.Len(), q.Mem())
		}
	}
}

// Pieces that continue each other in one block are one, also those that close a gap.
func TestReassemblyJoins(t *testing.T) {
	noLeaks(t)
	b := packet.NewBlock(64 << 10)
	var q Reassembly
	for _, i := range []int{1, 0, 2, 5, 3} {
		b.Retain()
		q.Insert(uint64(1000+100*i), b.View(100*i, 100*(i+1)))
	}
	// 0; 1 to 3; 5. A piece is joined to the one before it.
	if q.Pieces() != 3 || q.Mem() != 3*64<<10 || q.Len() != 500 {
		t.Errorf("%d pieces, %d bytes in %d", q.Pieces(), q.Len(), q.Mem())
	}

	// The same place of the block again, at another place of the stream, is another piece.
	b.Retain()
	q.Insert(5000, b.View(600, 700))
	if q.Pieces() != 4 {
		t.Errorf("%d pieces", q.Pieces())
	}
	b.Release()
	q.Reset()
}

// The first range that had come already is told: what a DSACK is about (RFC 2883 §4).
func TestReassemblyTellsDuplicates(t *testing.T) {
	noLeaks(t)
	for _, c := range []struct {
		off        uint64
		n, added   int
		from, to   uint64
		whereAgain string
	}{
		{100, 100, 0, 100, 200, "all of a piece"},
		{150, 10, 0, 150, 160, "the midst of a piece"},
		{50, 100, 50, 100, 150, "the begin of a piece"},
		{150, 100, 50, 150, 200, "the end of a piece"},
		{50, 400, 150, 100, 200, "two pieces with a gap between: the first"},
		{300, 150, 0, 300, 450, "two pieces without a gap: as one range"},
		{200, 100, 100, 0, 0, "nothing"},
	} {
		var q Reassembly
		q.Insert(100, view(100, 100, 0))
		q.Insert(300, view(300, 100, 0))
		q.Insert(400, view(400, 50, 0)) // of another block
		added, from, to := q.Insert(c.off, view(c.off, c.n, 0))
		if added != c.added || to > from != (c.to > c.from) || to > from && (from != c.from || to != c.to) {
			t.Errorf("%s: %d new and [%d,%d), want %d and [%d,%d)", c.whereAgain, added, from, to, c.added, c.from, c.to)
		}
		q.Reset()
	}
}

func checkPieces(t *testing.T, q *Reassembly) {
	t.Helper()
	n, mem, last := 0, 0, uint64(0)
	for i := range q.r.n {
		p := q.r.at(i)
		if p.pos < last || p.Len() == 0 {
			t.Fatalf("piece %d overlaps", i)
		}
		last = p.end()
		n += p.Len()
		mem += p.Cap()
	}
	if n != q.Len() || mem != q.Mem() {
		t.Fatalf("%d bytes in %d, want %d in %d", q.Len(), q.Mem(), n, mem)
	}
}

func TestVecCuts(t *testing.T) {
	noLeaks(t)
	var x packet.Vec
	off := uint64(0)
	for range packet.VecCap {
		if !x.Append(view(off, 100, 3)) {
			t.Fatal("full too early")
		}
		off += 100
	}
	v := view(off, 1, 0)
	if x.Append(v) {
		t.Fatal("one too many")
	}
	v.Release()
	x.TrimFront(150)
	x.Truncate(300)
	got := x.AppendTo(nil)
	for i, b := range got {
		if b != pattern(150+uint64(i)) {
			t.Fatalf("byte %d", i)
		}
	}
	if len(got) != 300 || x.Len() != 300 {
		t.Fatalf("%d bytes", len(got))
	}
	var p [50]byte
	if n := x.CopyTo(p[:], 120); n != 50 || p[0] != pattern(270) {
		t.Fatalf("%d bytes", n)
	}
	x.Release()
}
