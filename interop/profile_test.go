//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"usock/link"
	"usock/shape"
)

// profileWay is one direction of a profile, as the kernel's netem has it.
type profileWay struct {
	queueTrace
	name string
	is   link.Impairment
}

// First less than the rate, where delays are seen, and then more, where the rate is.
const quietFor, fullFor = 2500 * time.Millisecond, 3 * time.Second

// profileWays are directions of profiles that the machine is fast enough for, all at once.
func profileWays(t *testing.T) (out []profileWay) {
	for _, c := range []struct {
		name string
		of   func(*shape.Shape) *link.Impairment
	}{
		{"regular-3g", func(s *shape.Shape) *link.Impairment { return &s.Down }},
		{"slow-3g", func(s *shape.Shape) *link.Impairment { return &s.Up }},
		{"apple-edge", func(s *shape.Shape) *link.Impairment { return &s.Up }},
		{"apple-very-bad", func(s *shape.Shape) *link.Impairment { return &s.Down }},
		{"good-3g", func(s *shape.Shape) *link.Impairment { return &s.Down }},
		{"regular-4g", func(s *shape.Shape) *link.Impairment { return &s.Down }},
	} {
		p, err := shape.FindProfile(c.name)
		if err != nil {
			t.Fatal(err)
		}
		m := *c.of(&p.Shape)
		q := queueTrace{Own: true, Rate: int(m.Rate), Offers: []offer{{quietFor, []float64{0.5}}, {fullFor, []float64{1.4}}}}

		// What netem's limit counts is under way as well as waiting, and what is being sent.
		one := time.Duration(traceFrame * 8 * int(time.Second) / q.Rate)
		limit := link.DefaultLimit(m.Rate).Bytes/traceFrame + 1 + int(m.Delay/one)
		q.Qdisc = fmt.Sprintf("netem limit %d delay %dus rate %dbit", limit, m.Delay.Microseconds(), m.Rate)
		if m.Loss > 0 {
			q.Qdisc += fmt.Sprintf(" loss %g%%", m.Loss*100)
		}
		out = append(out, profileWay{q, c.name, m})
	}
	return out
}

// A profile is what the kernel's netem makes of its figures: the same trace of arrivals through both, with the kernel's times of
// sending.
func TestProfiles(t *testing.T) {
	kernel := newMachine(t)
	if err := kernel.Load("drivers/net/veth", "net/sched/sch_netem"); err != nil {
		t.Fatal(err)
	}
	ways := profileWays(t)
	traces := make([]queueTrace, len(ways))
	for i := range ways {
		traces[i] = ways[i].queueTrace
	}
	question, err := json.Marshal(traces)
	if err != nil {
		t.Fatal(err)
	}
	data, err := kernel.Ask("disciplines", question)
	if err != nil {
		t.Fatal(err)
	}
	var played []playedTrace
	if err := json.Unmarshal(data, &played); err != nil {
		t.Fatal(err)
	}
	for i := range ways {
		w, p := &ways[i], &played[i]
		own := w.through(t, w.is, p.Sent)
		wrong := w.compare(t, w.seen(p.Sent, p.Arrived), w.seen(p.Sent, own))
		if late := w.late(p); len(wrong) > 0 && late < onTime {
			t.Errorf("%s: %q", w.name, wrong)
		} else if len(wrong) > 0 {
			t.Logf("%s: %q, but the machine had no time to be judged by: it was %v late", w.name, wrong, late)
		}
	}
}

// wayFigures is what is seen of a way.
type wayFigures struct {
	delay      time.Duration // the shortest one while less comes than the rate
	rate       float64       // bits a second while more does
	quiet, all int           // that were sent: in the first part, and in all
	quietLost  int           // of those of the first part
	allLost    int
}

func (w *profileWay) seen(in []sent, out []arrived) (f wayFigures) {
	f.delay, f.all, f.allLost = time.Hour, len(in), len(in)-len(out)
	for _, s := range in {
		if s.At < quietFor {
			f.quiet++
		}
	}
	f.quietLost = f.quiet
	var full []time.Duration
	for _, a := range out {
		s := in[a.Number]
		if a.Number < f.quiet {
			f.quietLost--
			f.delay = min(f.delay, a.At-s.At)
		}

		// From when the queue has filled until the last one has come that was sent while more came than leaves.
		if s.At > quietFor+fullFor/3 {
			full = append(full, a.At)
		}
	}
	if n := len(full); n > 1 {
		f.rate = float64(n-1) * traceFrame * 8 / (full[n-1] - full[0]).Seconds()
	}
	return f
}

// compare says what differs by more than chance explains and that the kernel is a program here: its shortest delay by 2 ms, its rate by a
// thirtieth. Loss by chance is within four standard deviations of the difference of two counts; where the queue is full, as many are lost in
// both but for those, and three.
func (w *profileWay) compare(t *testing.T, kernel, own wayFigures) (wrong []string) {
	t.Helper()
	t.Logf("%-15s asked: %v, %d bit/s, %g%%; kernel: %v, %.0f bit/s, lost %d of %d and %d of %d; usock: %v, %.0f bit/s, lost %d and %d", w.name, w.is.Delay, w.is.Rate,
		w.is.Loss*100, kernel.delay, kernel.rate, kernel.quietLost, kernel.quiet, kernel.allLost, kernel.all, own.delay, own.rate, own.quietLost, own.allLost)
	chance := func(n int) float64 { return 4 * math.Sqrt(2*float64(n)*w.is.Loss*(1-w.is.Loss)) }
	least := w.is.Delay + time.Duration(traceFrame*8*float64(time.Second)/float64(w.is.Rate))
	if d := kernel.delay - own.delay; d < -time.Millisecond/2 || d > 2*time.Millisecond {
		wrong = append(wrong, "delay")
	}
	if d := own.delay - least; d < 0 || d > time.Microsecond {
		wrong = append(wrong, "usock's delay")
	}
	for _, f := range []wayFigures{kernel, own} {
		if math.Abs(f.rate/float64(w.is.Rate)-1) > 1./30 {
			wrong = append(wrong, "rate")
		}
	}
	if d := math.Abs(float64(kernel.quietLost - own.quietLost)); d > chance(own.quiet) {
		wrong = append(wrong, "loss")
	}
	if d := math.Abs(float64(kernel.allLost - own.allLost)); d > chance(own.all)+3 {
		wrong = append(wrong, "loss where the queue is full")
	}
	return wrong
}
