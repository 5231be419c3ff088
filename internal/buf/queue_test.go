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
		}
		if q.Base() != base || q.Len() != len(model) || q.End() != base+uint64(len(model)) {
			t.Fatalf("seed %d: [%d,%d), want [%d,+%d)", seed, q.Base(), q.End(), base, len(model))
		}
		if len(model) == 0 && (q.Mem() != 0 || q.r.a != nil) {
			t.Fatalf("seed %d: an empty queue holds %d", seed, q.Mem())
		}
	}
	q.Reset(0)
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
