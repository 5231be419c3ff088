package link

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"usock/clock"
	"usock/packet"
)

func mustTrace(t testing.TB, at ...time.Duration) *Trace {
	t.Helper()
	x, err := NewTrace(at)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestTraceRefuses(t *testing.T) {
	for _, c := range []struct {
		at   []time.Duration
		want string
	}{
		{nil, "a trace without opportunities"},
		{[]time.Duration{0, 0}, "the last opportunity is at 0, and it is when the trace begins again"},
		{[]time.Duration{-1, 3}, "an opportunity at -1ns, before the beginning"},
		{[]time.Duration{5, 3}, "an opportunity that is earlier than the one before"},
		{[]time.Duration{MaxTracePeriod + 1}, "a trace of 168h0m0.000000001s, and up to 168h0m0s is possible"},
		{make([]time.Duration, MaxOpportunities+1), "a trace of 10000001 opportunities, and up to 10000000 are possible"},
	} {
		if _, err := NewTrace(c.at); err == nil || err.Error() != c.want {
			t.Errorf("%d opportunities: %v, want %s", len(c.at), err, c.want)
		}
	}
	m := Impairment{Rate: 1e6, Trace: mustTrace(t, ms)}
	if err := m.Check(); err == nil || err.Error() != "rate: either a rate or a trace" {
		t.Errorf("a rate and a trace: %v", err)
	}
}

// still is a clock that is set by hand, and whose alarms never go off.
type still struct{ now time.Duration }

func (c *still) Now() time.Duration          { return c.now }
func (c *still) NewAlarm(func()) clock.Alarm { return stillAlarm{} }
func (c *still) step(to time.Duration)       { c.now = to }
func (stillAlarm) Set(time.Duration)         {}
func (stillAlarm) Stop()                     {}

type stillAlarm struct{}

// offered is a packet that comes to a queue.
type offered struct {
	at   time.Duration
	size int
}

// departures has packets come to a netem and returns when each of those that it takes has left, in order. The netem's alarm goes
// off at its time, or never.
func departures(imp Impairment, in []offered, alarms bool) (out []time.Duration) {
	imp.Delay = maxDelay // so that all that has left is still there to be looked at
	manual, byHand := new(clock.Manual), new(still)
	var c clock.Clock = byHand
	if alarms {
		c = manual
	}
	d := newNetem(c, imp, 1, 0, func([]*Packet) {})
	for _, p := range in {
		manual.Advance(p.at - manual.Now())
		byHand.step(p.at)
		d.push([]*Packet{packet.FromBytes(make([]byte, p.size))}, moment{}, true)
	}
	d.advance(math.MaxInt64 / 4)
	for d.line.len() > 0 {
		x := d.line.pop()
		out = append(out, x.at-maxDelay)
		x.p.Free()
	}
	return out
}

// model is the queue of a trace as one reads it from the rule: opportunity by opportunity, byte by byte, with no place kept.
func model(at []time.Duration, packets int, in []offered) (out []time.Duration) {
	type waiting struct{ left int }
	var queue []waiting
	for turn := time.Duration(0); len(in) > 0 || len(queue) > 0; turn += at[len(at)-1] {
		for _, x := range at {
			now := turn + x
			for len(in) > 0 && in[0].at < now {
				if len(queue) < packets {
					queue = append(queue, waiting{in[0].size})
				}
				in = in[1:]
			}
			for range TraceBytes {
				if len(queue) == 0 {
					break
				}
				if queue[0].left--; queue[0].left == 0 {
					out = append(out, now)
					queue = queue[1:]
				}
			}
		}
	}
	return out
}

// What leaves, and when, is what the rule says, for any trace and any packets, whenever alarms go off.
func TestTraceModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 60).Draw(t, "at")) * ms
		}), 1, 40).Draw(t, "trace")
		slices.Sort(at)
		at[len(at)-1] = max(at[len(at)-1], ms)
		var in []offered
		now := time.Duration(0)
		for range rapid.IntRange(1, 80).Draw(t, "packets") {
			// On the opportunities' own times as often as between them.
			now += rapid.SampledFrom([]time.Duration{0, 0, ms / 2, ms, 3 * ms, 61 * ms}).Draw(t, "gap")
			in = append(in, offered{now, rapid.SampledFrom([]int{1, 40, 499, 500, 1000, 1499, 1500, 1501, 3000, 9000}).Draw(t, "size")})
		}
		trace, err := NewTrace(at)
		if err != nil {
			t.Fatal(err)
		}
		packets := rapid.IntRange(1, 20).Draw(t, "limit")
		want := model(at, packets, in)
		for _, alarms := range []bool{true, false} {
			got := departures(Impairment{Trace: trace, Limit: Amount{Packets: packets}}, in, alarms)
			if !slices.Equal(got, want) {
				t.Fatalf("trace %v, %v, alarms %v:\n%v, want\n%v", at, in, alarms, got, want)
			}
		}
	})
}

// The cases that the rule is about, worked by hand.
func TestTraceRule(t *testing.T) {
	trace := mustTrace(t, 2*ms, 5*ms, 5*ms, 10*ms)
	for _, c := range []struct {
		name string
		in   []offered
		want []time.Duration
	}{
		{"one that finds nothing waiting is lost", []offered{{3 * ms, 1500}}, []time.Duration{5 * ms}},
		{"of one at the same time, too", []offered{{5 * ms, 1500}}, []time.Duration{10 * ms}},
		{"its rest is for those that wait", []offered{{0, 500}, {1 * ms, 900}, {1 * ms, 200}}, []time.Duration{2 * ms, 2 * ms, 5 * ms}},
		{"and not for those that come", []offered{{0, 500}, {2 * ms, 100}}, []time.Duration{2 * ms, 5 * ms}},
		{"a large packet goes on in the next", []offered{{0, 1501}, {0, 2999}}, []time.Duration{5 * ms, 5 * ms}},
		{"several at one time add up", []offered{{4 * ms, 1500}, {4 * ms, 1500}, {4 * ms, 1}}, []time.Duration{5 * ms, 5 * ms, 10 * ms}},
		{"it begins again", []offered{{11 * ms, 1500}, {25 * ms, 1500}, {1000 * ms, 4500}}, []time.Duration{12 * ms, 30 * ms, 1005 * ms}},
	} {
		if got := departures(Impairment{Trace: trace}, c.in, true); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}

	// A line of 0 is at the beginning, and at each turn's.
	if n := mustTrace(t, 0, 10*ms).Count(20 * ms); n != 5 {
		t.Errorf("%d opportunities until 20 ms, want 5", n)
	}
}

// A sender that always has something waiting gets, in each 100 ms, the bytes of that time's opportunities: exactly where a packet is
// one, and but for a packet's rest otherwise.
func TestTraceSaturated(t *testing.T) {
	for _, size := range []int{1500, 1000, 1280, 9000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			trace := mustTrace(t, cellular(10_000)...)
			manual := new(clock.Manual)
			var windows [300]int // of 100 ms, in three turns
			carried := func(batch []*Packet) {
				for _, p := range batch {
					// An opportunity at a window's end is of that window, as Count has it.
					if w := int((manual.Now() - 1) / (100 * ms)); w < len(windows) {
						windows[w] += p.Len()
					}
					p.Free()
				}
			}
			d := newNetem(manual, Impairment{Trace: trace, Limit: Amount{Packets: 1000}}, 1, 0, carried)
			defer d.close()
			for manual.Now() < 30*time.Second {
				for d.statistics().Waiting < 500 {
					d.push([]*Packet{packet.FromBytes(make([]byte, size))}, moment{}, true)
				}
				manual.Advance(10 * ms)
			}
			sent, due := 0, 0
			for w, got := range windows {
				from, to := time.Duration(w)*100*ms, time.Duration(w+1)*100*ms
				want := (trace.Count(to) - trace.Count(from)) * TraceBytes
				if size == TraceBytes && got != want {
					t.Errorf("%v: %d bytes, want %d", from, got, want)
				}
				sent, due = sent+got, due+want
				if sent > due || due-sent >= size {
					t.Fatalf("until %v: %d bytes, want less than a packet from %d", to, sent, due)
				}
			}
		})
	}
}

// cellular is a trace of a rate that goes from none to 24 Mbit/s and back, over milliseconds up to end.
func cellular(end int) (at []time.Duration) {
	credit := 0.0
	for i := 1; i <= end; i++ {
		credit += 1 + math.Sin(float64(i)/700) - 0.3*math.Sin(float64(i)/90)
		for ; credit >= 1; credit-- {
			at = append(at, time.Duration(i)*ms)
		}
	}
	return append(at, time.Duration(end)*ms)
}

// What waits when a trace is put in place of another one, of a rate or of none, waits for the new one.
func TestTraceSet(t *testing.T) {
	manual := new(clock.Manual)
	var got []time.Duration
	d := newNetem(manual, Impairment{Trace: mustTrace(t, MaxTracePeriod)}, 1, 0, func(batch []*Packet) {
		for _, p := range batch {
			got = append(got, manual.Now())
			p.Free()
		}
	})
	send := func() {
		for range 2 {
			d.push([]*Packet{packet.FromBytes(make([]byte, 1500))}, moment{}, true)
		}
	}
	send()
	manual.Advance(7 * ms)
	d.set(Impairment{Trace: mustTrace(t, 3*ms, 4*ms)}) // at 8, 11, 12 ms
	manual.Advance(93 * ms)
	d.set(Impairment{Trace: mustTrace(t, MaxTracePeriod)})
	send()
	manual.Advance(50 * ms)
	d.set(Impairment{Rate: 12e6})
	manual.Advance(50 * ms)
	d.set(Impairment{Trace: mustTrace(t, MaxTracePeriod)})
	send()
	manual.Advance(50 * ms)
	d.set(Impairment{})
	manual.Advance(0)
	if want := []time.Duration{8 * ms, 11 * ms, 151 * ms, 152 * ms, 250 * ms, 250 * ms}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTraceDefaultLimit(t *testing.T) {
	fast := Impairment{Trace: mustTrace(t, ms/2, ms, ms)} // 36 Mbit/s
	slow := Impairment{Trace: mustTrace(t, 100*ms)}
	if a, b := fast.limit(), slow.limit(); a != (Amount{Bytes: 450000}) || b != (Amount{Bytes: 15000}) {
		t.Errorf("%v, %v", a, b)
	}
}

// A queue that is full drops what comes, as with a rate.
func TestTraceQueue(t *testing.T) {
	in := make([]offered, 20)
	for i := range in {
		in[i] = offered{0, 1000}
	}
	imp := Impairment{Trace: mustTrace(t, 100*ms), Limit: Amount{Bytes: 8000}}
	if got := departures(imp, in, true); len(got) != 8 {
		t.Errorf("%d packets, want 8", len(got))
	}
}

func BenchmarkNetem(b *testing.B) {
	// Both at 12 Gbit/s.
	per := make([]time.Duration, 1000)
	for i := range per {
		per[i] = time.Duration(i+1) * time.Microsecond
	}
	for _, c := range []struct {
		name string
		imp  Impairment
	}{{"rate", Impairment{Rate: 12e9}}, {"trace", Impairment{Trace: mustTrace(b, per...)}}} {
		b.Run(c.name, func(b *testing.B) {
			manual := new(clock.Manual)
			var back []*Packet
			d := newNetem(manual, c.imp, 1, 0, func(batch []*Packet) { back = append(back, batch...) })
			defer d.close()
			for range 64 {
				back = append(back, packet.FromBytes(make([]byte, 1400)))
			}
			batch := make([]*Packet, 0, 64)
			b.ReportAllocs()
			for i := 0; i < b.N; i += len(batch) {
				batch = append(batch[:0], back...)
				back = back[:0]
				d.push(batch, moment{}, true)
				manual.Advance(100 * time.Microsecond)
			}
			if n := d.statistics().Carried; n < uint64(b.N) {
				b.Errorf("%d of %d packets came through", n, b.N)
			}
		})
	}
}

// A trace takes no memory as time goes on.
func TestTraceAllocates(t *testing.T) {
	manual := new(clock.Manual)
	var back []*Packet
	d := newNetem(manual, Impairment{Trace: mustTrace(t, cellular(1000)...)}, 1, 0, func(batch []*Packet) { back = append(back, batch...) })
	defer d.close()
	for range 8 {
		back = append(back, packet.FromBytes(make([]byte, 1400)))
	}
	batch := make([]*Packet, 0, 8)
	n := testing.AllocsPerRun(1000, func() {
		batch = append(batch[:0], back...)
		back = back[:0]
		d.push(batch, moment{}, true)
		manual.Advance(3 * ms)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
