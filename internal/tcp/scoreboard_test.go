package tcp

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"usock/internal/wire"
)

// list returns the sent segments in order, and checks that they are where they should be.
func (b *scoreboard) list(t testing.TB) (out []sentSegment) {
	t.Helper()
	for p := b.first(); p < b.end(); p = b.next(p) {
		if r := b.at(p); len(out) > 0 && b.prev(p) >= p {
			t.Fatalf("the one before %d is %d", p, b.prev(p))
		} else {
			out = append(out, *r)
		}
	}
	if int(b.n) != len(out) {
		t.Fatalf("n is %d of %d", b.n, len(out))
	}
	for k, q := range b.parts {
		if q.lo >= q.hi || int(q.hi) > len(q.a.r) || len(b.parts) > 1 && k > 0 && q.a.class != segmentArrayTop {
			t.Fatalf("part %d is %d to %d of %d", k, q.lo, q.hi, len(q.a.r))
		}
	}
	if n := len(out); n > 0 && (b.at(b.last()).end() != out[n-1].end() || b.at(b.prev(b.end())).end() != out[n-1].end()) {
		t.Fatal("the last one is another")
	}
	return out
}

// A scoreboard does what a plain list does, whatever is pushed, split, SACKed and taken off.
func TestScoreboardModel(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		most := []int{5, 40, 400, 3000}[seed%4]
		var b scoreboard
		var model []sentSegment
		end := uint64(1)
		for step := range 4000 {
			i := 0
			if len(model) > 0 {
				i = rnd.IntN(len(model))
			}
			switch op := rnd.IntN(10); {
			case len(model) == 0 || op < 3 && len(model) < most:
				r := b.push()
				if *r != (sentSegment{}) {
					t.Fatalf("seed %d: a new one is %+v", seed, *r)
				}
				r.start, r.n, r.sent = end, 1+rnd.Uint32N(40), 1
				model = append(model, *r)
				end = r.end()
			case op == 3 && len(model) > most/2:
				b.popFront()
				model = model[1:]
			case op < 7:
				if r := &model[i]; r.n > 1 && r.flags == 0 && len(model) < most {
					off := r.start + 1 + rnd.Uint64N(uint64(r.n-1))
					p := b.split(b.find(r.start), off)
					r2 := *r
					r2.start, r2.n = off, uint32(r.end()-off)
					r.n -= r2.n
					model = slices.Insert(model, i+1, r2)
					if *b.at(p) != model[i] || *b.at(b.next(p)) != model[i+1] {
						t.Fatalf("seed %d: split into %+v and %+v, want %+v and %+v", seed, *b.at(p), *b.at(b.next(p)), model[i], model[i+1])
					}
				}
			case model[i].flags == 0:
				whole := model[i]
				r := whole
				r.start += rnd.Uint64N(2) * rnd.Uint64N(uint64(r.n))
				r.n = uint32(whole.end() - r.start)
				r.n -= rnd.Uint32N(2) * rnd.Uint32N(r.n)
				r.flags, r.segs = segSacked, 1
				p := b.sack(b.find(r.start), &r)
				if p != b.end() && b.at(p).start < r.end() || p != b.first() && b.at(b.prev(p)).end() < r.end() {
					t.Fatalf("seed %d: it goes on at %d, not at %d", seed, b.at(p).start, r.end())
				}
				parts := []sentSegment{r}
				if r.start > whole.start {
					l := whole
					l.n = uint32(r.start - whole.start)
					parts = append([]sentSegment{l}, parts...)
				}
				if r.end() < whole.end() {
					l := whole
					l.start, l.n = r.end(), uint32(whole.end()-r.end())
					parts = append(parts, l)
				}
				model = slices.Replace(model, i, i+1, parts...)
				for k := max(i-1, 0); k+1 < len(model) && k < i+3; {
					if l, r := &model[k], &model[k+1]; l.flags&r.flags&segSacked != 0 {
						l.absorb(r)
						model = slices.Delete(model, k+1, k+2)
					} else {
						k++
					}
				}
			}
			if step%37 == 0 || len(model) < 10 {
				if got := b.list(t); !slices.Equal(got, model) {
					t.Fatalf("seed %d, step %d: %+v, want %+v", seed, step, got, model)
				}
				if len(model) > 0 {
					off := model[0].start + rnd.Uint64N(end-model[0].start)
					k := slices.IndexFunc(model, func(r sentSegment) bool { return r.end() > off })
					if *b.at(b.find(off)) != model[k] {
						t.Fatalf("seed %d: %d is found in another", seed, off)
					}
				}
				if b.find(end) != b.end() {
					t.Fatalf("seed %d: what was not sent is found", seed)
				}
			}
		}
		b.free()
		if b.n != 0 || b.parts != nil {
			t.Fatal("something is held")
		}
	}
}

// sackTarget returns a sender with n segments of 48 bytes in flight, in ranges of many.
func sackTarget(t *testing.T, n int) *script {
	tc := newScript(t, noTS)
	tc.p.MSS = 48
	tc.connectIn(msec(100))
	s := &tc.c.snd
	if s.flight == nil {
		s.newFlight(&tc.c.tcb, tc.now)
	}
	s.mss = 48
	for range n {
		s.recordSent(tc.now, s.nxt, 48, 0, true, false)
		s.nxt += 48
	}
	tc.now += msec(100)
	return tc
}

// sackEach SACKs the given segments, each by a block of its own, and returns the time that the
// cheapest tenth of the blocks took.
func sackEach(tc *script, which []int) time.Duration {
	s := &tc.c.snd
	var took []time.Duration
	for batch := range slices.Chunk(which, 200) {
		begin := time.Now()
		for _, k := range batch {
			a := ackInfo{now: tc.now, reord: ^uint64(0)}
			start := s.una + uint64(k)*48
			o := wire.TCPOptions{NSACK: 1}
			o.SACK[0] = wire.SACKBlock{Left: s.sndSeq(start), Right: s.sndSeq(start + 48)}
			s.takeSACK(&tc.c.tcb, tc.now, s.una, &o, &a)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[len(took)/10]
}

// A peer that SACKs every other segment of a large window, at random, makes each acknowledgment cost
// little more than in a small one, and what it has SACKed in a row is one entry afterwards.
func TestSACKSplitCost(t *testing.T) {
	cost := func(n int) time.Duration {
		tc := sackTarget(t, n)
		order := rand.New(rand.NewPCG(1, 2)).Perm(n / 2)
		for i := range order {
			order[i] = 2*order[i] + 1
		}
		sackEach(tc, order[:len(order)*3/4])
		d := sackEach(tc, order[len(order)*3/4:])
		b := &tc.c.snd.flight.scoreboard
		if got := len(b.list(t)); got != n {
			t.Fatalf("%d sent segments, want %d", got, n)
		}
		// No array is large, and they are not many.
		if k := len(b.parts); k > 1+n/(128/2-1) {
			t.Errorf("%d arrays for %d segments", k, n)
		}
		for i := range order {
			order[i]--
		}
		sackEach(tc, order)
		if b.n != 1 || len(b.parts) != 1 {
			t.Errorf("with all SACKed there are %d sent segments in %d arrays", b.n, len(b.parts))
		}
		return d
	}
	small, large := cost(8000), cost(64000)
	t.Logf("200 blocks: %v in 8000 segments, %v in 64000", small, large)
	if large > 4*small {
		t.Errorf("200 blocks take %v in 8000 segments and %v in 64000: they grow by more than half as much", small, large)
	}
}

// A long range that was sent again, of which the peer SACKs all but the end bit by bit, is not looked
// at anew by every acknowledgment, nor is what lies between two losses.
func TestResentLookedAtOnce(t *testing.T) {
	tc := sackTarget(t, 1000)
	s := &tc.c.snd
	l, b := &s.flight.loss, &s.flight.scoreboard
	for p := b.first(); p < b.end(); p = b.next(p) {
		for b.at(p).n > 48 {
			p = b.next(b.split(p, b.at(p).start+48))
		}
	}
	for p := b.first(); p < b.end(); p = b.next(p) {
		r := b.at(p)
		r.sent, r.Sent, r.flags = 2, tc.now, segRetrans
		l.retrans += r.n
		l.noteResent(r)
	}
	l.rack.at, l.rack.end, l.rtt = tc.now+msec(1), s.nxt, msec(100)
	for k := range 900 {
		a := ackInfo{now: tc.now, reord: ^uint64(0)}
		r := *b.at(b.find(s.una + uint64(k)*48))
		s.markSacked(&tc.c.tcb, tc.now, &r, &a)
		b.sack(b.find(r.start), &r)
		s.detectLossResent(&tc.c.tcb, tc.now, msec(100), &a)
	}
	if e := l.queue[l.head]; e.start < s.una+900*48 {
		t.Errorf("the queue begins at %d, want %d", e.start, s.una+900*48)
	}
	p := b.find(s.una + 950*48)
	s.markLost(&tc.c.tcb, tc.now, p, 0)
	l.hint = s.una
	if i, ok := s.nextLost(); !ok || i != p || l.hint != s.una+950*48 {
		t.Errorf("found %v, the hint is %d, want %d", ok, l.hint, s.una+950*48)
	}
}
