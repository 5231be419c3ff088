package link

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func (q *pie) share() float64 { return float64(q.prob) / maxProb }

func newPieOf(t *testing.T, text string) (*waiter, *pie) {
	t.Helper()
	w := newWaiter(t, "queue "+text)
	return w, w.q.(*pie)
}

// Worked by hand (RFC 8033 section 4.2): with alpha 1/8, beta 5/4 and a target of 15 ms, a first delay of 20 ms makes
// 1/8*0.005 + 5/4*0.020 = 0.025625, of which below one millionth a 2048th is taken: 1.2512e-5. The same again is
// 1/8*0.005 and, beyond a hundred-thousandth, a 128th of that: 4.883e-6 more.
func TestPIEProbability(t *testing.T) {
	_, q := newPieOf(t, "pie")
	near := func(want float64) {
		t.Helper()
		if got := q.share(); math.Abs(got-want) > want/1000 {
			t.Errorf("%g, want %g", got, want)
		}
	}
	q.qdelay = 20 * ms
	q.update()
	near(1.25122e-5)
	q.update()
	near(1.25122e-5 + 4.88281e-6)

	// From a tenth on the gains are whole, and the step is not more than 2 %.
	q.prob = maxProb / 5
	q.update()
	near(0.2 + 0.125*0.005)
	q.qdelay = 120 * ms
	q.update()
	near(0.2 + 0.125*0.005 + 0.02)

	// Above 250 ms there are 2 % more.
	q.qdelay, q.qdelayOld, q.prob = 300*ms, 300*ms, maxProb/2
	q.update()
	near(0.5 + 0.04)

	// Without a delay a 64th is taken off, after what the delay below the target makes.
	q.qdelay, q.qdelayOld, q.prob = 0, 0, maxProb/2
	q.update()
	near((0.5 - 0.125*0.015) * 63 / 64)

	// And it ends at nothing, when the burst is allowed again.
	q.burstTime = 0
	for range 2000 {
		q.update()
	}
	if q.prob != 0 || q.burstTime != pieMaxBurst {
		t.Errorf("%g, %v", q.share(), q.burstTime)
	}
}

// A burst is let pass for 150 ms of departures, however long it waits.
func TestPIEBurst(t *testing.T) {
	w, q := newPieOf(t, "pie")
	w.add(0, 100, 1, 1500, 0)
	q.prob = maxProb / 2
	now := time.Duration(0)
	for ; now <= 140*ms; now += 10 * ms {
		w.pop(now)
		w.add(now, 1, 1, 1500, 0)
	}
	if w.lost != nil || q.burstTime != 10*ms {
		t.Errorf("lost %v, %v left", w.lost, q.burstTime)
	}
	for ; now <= 300*ms; now += 10 * ms {
		w.pop(now)
		w.add(now, 1, 1, 1500, 0)
	}
	if len(w.lost) < 5 {
		t.Errorf("lost %v", w.lost)
	}
}

// congested is a PIE past its burst, with a queue that has waited for 100 ms and a probability that no update changes.
func congested(t *testing.T, text string, prob uint64) (*waiter, *pie) {
	w, q := newPieOf(t, text+",tupdate,1000s")
	w.env.limit = Amount{Packets: 1 << 20}
	w.add(0, 100, 1, 1500, 0)
	q.burstTime, q.qdelay, q.prob = 0, 100*ms, prob
	return w, q
}

// Drops are spread out (section 5.4): with a probability of a tenth none comes before eight and a half packets' worth
// of it, and none is later than 85 packets.
func TestPIESpreads(t *testing.T) {
	w, q := congested(t, "pie", maxProb/10)
	last, gaps, n := w.sent, 0, 0
	for range 10000 {
		before := len(w.lost)
		w.add(0, 1, 1, 1500, 0)
		if len(w.lost) == before {
			continue
		}
		if gap := w.sent - last; n > 0 && (gap < 9 || gap > 86) {
			t.Fatalf("%d packets between drops", gap)
		}
		last, gaps, n = w.sent, gaps+w.sent-last, n+1
	}
	// 8 that pass, and then 10 in the mean.
	if mean := float64(gaps) / float64(n); mean < 16 || mean > 20 {
		t.Errorf("%.1f packets between drops", mean)
	}
	if q.prob != maxProb/10 {
		t.Error("the probability has changed")
	}
}

// Marks in place of drops up to a tenth, and drops beyond, and of what is not capable.
func TestPIEMarks(t *testing.T) {
	for _, c := range []struct {
		prob         uint64
		ecn          uint8
		marks, drops bool
	}{
		{maxProb / 10, 2, true, false},
		{maxProb / 10, 0, false, true},
		{maxProb/10 + 1, 2, false, true},
	} {
		w, _ := congested(t, "pie,ecn", c.prob)
		w.add(0, 1000, 1, 1500, c.ecn)
		if (w.ce > 0) != c.marks || (len(w.lost) > 0) != c.drops {
			t.Errorf("%+v: %d marked, %d dropped", c, w.ce, len(w.lost))
		}
	}
}

// With bytemode a packet's probability is in proportion to its length.
func TestPIEByteMode(t *testing.T) {
	count := func(text string, size int) int {
		w, _ := congested(t, text, maxProb/2)
		w.add(0, 20000, 1, size, 0)
		return len(w.lost)
	}
	small, large := count("pie,bytemode", 150), count("pie,bytemode", 1500)
	if same := count("pie", 150); same != large {
		t.Errorf("without bytemode %d small ones and %d large ones are lost", same, large)
	}
	// With a half one packet passes and then every other is lost; with a twentieth 16 pass, and then every 20th is.
	if large < 20000/3-200 || large > 20000/3+200 || small < 20000/36-60 || small > 20000/36+60 {
		t.Errorf("%d small ones and %d large ones are lost", small, large)
	}
}

// Fewer than two packets' bytes are no queue, and a delay below half of the target is none.
func TestPIELeavesShortQueues(t *testing.T) {
	w, q := congested(t, "pie", maxProb/6)
	q.qdelay = 7 * ms
	w.add(0, 1000, 1, 1500, 0)
	if w.lost != nil {
		t.Errorf("%d are lost of a short delay", len(w.lost))
	}
	w, _ = newPieOf(t, "pie,tupdate,1000s")
	q = w.q.(*pie)
	q.burstTime, q.qdelay, q.prob = 0, 100*ms, maxProb/2
	w.add(0, 1, 1, 1500, 0)
	for range 1000 {
		w.pop(0)
		q.qdelay = 100 * ms
		w.add(0, 1, 1, 1499, 0)
	}
	if w.lost != nil {
		t.Errorf("%d are lost of a short queue", len(w.lost))
	}

	// And where the probability has fallen to nothing, what has been summed up is forgotten.
	w, q = congested(t, "pie", 0)
	q.accuProb = maxProb
	if w.add(0, 1, 1, 1500, 0); w.lost != nil || q.accuProb != 0 {
		t.Errorf("lost %v, %d summed up", w.lost, q.accuProb)
	}
}

// The rate at which packets leave is measured over 16 KiB, and the delay follows from it (section 5.3). Worked by hand, of
// 1500 bytes each 10 ms: from 0 on, 16500 bytes have left at 100 ms; from there as many at 210 ms, which counts an eighth.
func TestPIERate(t *testing.T) {
	w, q := newPieOf(t, "pie,dq_rate_estimator")
	w.add(0, 60, 1, 1500, 0)
	for now := time.Duration(0); now < 300*ms; now += 10 * ms {
		w.pop(now)
		want := int64(0)
		if now >= 100*ms {
			want = 165_000
		}
		if now >= 210*ms {
			want = 165_000 - 165_000/8 + 150_000/8
		}
		if q.avgDQRate != want {
			t.Fatalf("at %v: %d bytes a second, want %d", now, q.avgDQRate, want)
		}
	}
	if d := q.qdelay; d < 280*ms || d > 330*ms { // 30 packets of 10 ms
		t.Errorf("a delay of %v", d)
	}
	if q.burstTime != 0 || q.prob == 0 {
		t.Errorf("%v, %g", q.burstTime, q.share())
	}
}

// A measurement begins, and goes on, while 16 KiB wait.
func TestPIEMeasuresWhileBusy(t *testing.T) {
	for _, c := range []struct{ packets, count int }{{32, 0}, {31, -1}} {
		w, q := newPieOf(t, "pie,dq_rate_estimator")
		w.add(0, c.packets, 1, 1024, 0)
		for now := time.Duration(0); now < 160*ms; now += 10 * ms {
			w.pop(now)
		}
		if q.dqCount != c.count || q.avgDQRate == 0 {
			t.Errorf("%d packets: %d counted, %d bytes a second", c.packets, q.dqCount, q.avgDQRate)
		}
	}
}

// No timer is needed: a PIE that is asked at each of the times at which a timer would go off does as one that is not,
// also after minutes without a packet.
func TestPIENeedsNoTimer(t *testing.T) {
	for _, text := range []string{"pie", "pie,ecn,tupdate,7ms", "pie,dq_rate_estimator"} {
		run := func(timer bool) (fates []string, prob []uint64) {
			w, q := newPieOf(t, text)
			r := rand.New(rand.NewPCG(5, 6))
			now, rung := time.Duration(0), time.Duration(0)
			for i := range 6000 {
				switch {
				case i%1500 == 1499:
					now += 10 * time.Minute
				case i/500%2 == 0:
					now += time.Duration(r.IntN(900)) * time.Microsecond
				default:
					now += time.Duration(r.IntN(2400)) * time.Microsecond
				}
				for timer && i > 0 && rung <= now {
					q.catchUp(rung)
					rung += w.env.TUpdate
				}
				if i == 0 {
					rung = now + w.env.TUpdate // its times count from the first packet
				}
				if r.IntN(2) == 0 {
					w.add(now, 1, 1, 1500, 2)
				} else {
					w.pop(now)
				}
				prob = append(prob, q.prob)
			}
			return w.lost, prob
		}
		lazy, lazyProb := run(false)
		rung, rungProb := run(true)
		if !slices.Equal(lazy, rung) || !slices.Equal(lazyProb, rungProb) || len(lazy) == 0 {
			t.Errorf("%s: %d lost, with a timer %d", text, len(lazy), len(rung))
		}
	}
}
