package shape

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"usock/clock"
	"usock/link"
	"usock/packet"
)

func mustParse(t testing.TB, text string) *Trace {
	t.Helper()
	x, err := ParseTrace(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return x
}

// applied returns what a trace makes of a shape.
func applied(t testing.TB, text string, s Shape, to link.Directions) Shape {
	t.Helper()
	if err := mustParse(t, text).Apply(&s, to); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if err := s.Check(); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

// The three kinds are told apart by what is in them.
func TestTraceKinds(t *testing.T) {
	for _, text := range []string{"5\n", "604800000\n", "\ufeff0\r\n3\r\n3\r\n\r\n", "  7 \n9"} {
		if mustParse(t, text).Opportunities() == nil {
			t.Errorf("%q is not mahimahi's", text)
		}
	}
	x := mustParse(t, "0\n3\n3\n10\n").Opportunities()
	if x.Period() != 10*ms || x.Count(2*ms) != 1 || x.Count(3*ms) != 3 || x.Count(10*ms) != 5 {
		t.Errorf("%v, %d, %d, %d", x.Period(), x.Count(2*ms), x.Count(3*ms), x.Count(10*ms))
	}
	want := []Step{
		{At: 0, Up: way(5*mbit, 20*ms), Down: way(5*mbit, 20*ms)},
		{At: 1500 * ms, Up: lossy(way(5*mbit, 20*ms), 0.02), Down: way(5*mbit, 20*ms)},
		{At: 2 * time.Second, Up: lossy(way(250*kbit, 20*ms), 0.02), Down: way(250*kbit, 40*ms)},
	}
	for _, text := range []string{
		"time,rate,delay,up_loss,down_delay_ms\n0,5mbit,20,,\n",
		"time,rate,up_delay,up_loss,down_delay\n0,5mbit,20,,20\n1.5,,,2%,\n2,250000,,,40ms\n3,repeat\n",
		"# measured\ntime_ms , RATE_mbit,up_delay, up_loss_percent,down_delay_us\n\n0,5,20,,20000\n1500,5,20ms,2,\n 2s,0.25,,,40000\n3000,repeat,,,\n",
		`[{"time": 0, "rate": "5mbit", "up_delay": 20, "down_delay": "20ms"}, {"time": 1.5, "up_loss": 0.02, "rate": null},
		  {"rate": 2.5e5, "time": "2s", "down_delay": 40}, {"time": 3, "repeat": true}]`,
	} {
		x, err := ParseTrace(strings.NewReader(text))
		if text == "time,rate,delay,up_loss,down_delay_ms\n0,5mbit,20,,\n" {
			if err == nil || err.Error() != "line 1, column 25: delay is there twice for one direction" {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var s Shape
		if err := x.Apply(&s, link.BothWays); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if !slices.Equal(s.Course.Steps, want) || s.Course.Every != 3*time.Second || s.OneWay {
			t.Errorf("%q:\n%+v\nwant\n%+v", text, s.Course, want)
		}
	}
}

// What is no trace is refused, with its place and what was meant.
func TestTraceErrors(t *testing.T) {
	const hint = ": give time, rate, delay, jitter, loss or limit, with up_ or down_ before it or a unit behind it, as down_rate_mbit"
	for text, want := range map[string]string{
		"":                              "nothing is in it; a trace is mahimahi's (a time in ms on each line), CSV or JSON",
		" \n\t\n":                       "nothing is in it; a trace is mahimahi's (a time in ms on each line), CSV or JSON",
		"1\n2x\n":                       `line 2, column 1: "2x" is no time: milliseconds since the beginning are wanted, a whole number`,
		"-1\n2\n":                       `line 1, column 1: "-1" is no time: milliseconds since the beginning are wanted, a whole number`,
		"1.5\n":                         `line 1, column 1: "1.5" is no time: milliseconds since the beginning are wanted, a whole number`,
		"5\n7\n6\n":                     "line 3, column 1: 6 ms comes before 7 ms, the line above; times stay or rise",
		"5\n\n6\n":                      "line 2, column 1: nothing is in it, and a time is wanted: milliseconds since the beginning",
		"0\n0\n":                        "line 2, column 1: the last opportunity is at 0, and it is when the trace begins again",
		"1\n99999999999999999999999\n":  `line 2, column 1: "99999999999999999999999" ms is more than 168h0m0s`,
		"604800001\n":                   `line 1, column 1: "604800001" ms is more than 168h0m0s`,
		"time,speed\n":                  `line 1, column 6: "speed" is no column of a trace` + hint,
		"time,rate_mb\n":                `line 1, column 6: "rate_mb": rate "1mb": "mb" is no unit of rate: bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes`,
		"time,up_time\n":                `line 1, column 6: "up_time" is no column of a trace` + hint,
		"time,repeat\n":                 "line 1, column 6: repeat is no column: it is the word behind the last time",
		"rate,delay\n5,5\n":             "line 1, column 1: no column is time",
		"0,5mbit\n1,6mbit\n":            `line 1, column 1: "0" is no column of a trace` + hint,
		"time,rate,rate\n":              "line 1, column 11: rate is there twice for one direction",
		"time,rate,up_rate\n":           "line 1, column 11: rate is there twice for one direction",
		"time,rate\n0,5mb\n":            `line 2, column 3: rate "5mb": "mb" is no unit of rate: bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes`,
		"time,rate\n0,5mbit,3\n":        "line 2, column 9: 3 values, and 2 columns have names",
		"time,rate\n,5mbit\n":           "line 2, column 1: there is no time in it, from which on it holds",
		"time,rate\nsoon,5mbit\n":       `line 2, column 1: time "soon": not a number with a unit`,
		"time,rate\n-1,5mbit\n":         `line 2, column 1: time "-1s": it cannot be negative`,
		"time,rate\n100000,5mbit\n":     `line 2, column 1: time "100000s": more than 24h0m0s`,
		"time,rate\n1,5mbit\n1,6mbit\n": "line 3, column 1: 1s is not after 1s, the time before; times rise",
		"time,loss\n0,2\n":              "line 2, column 3: loss: a share of 2 is more than all; 2% or 0.02 is two in a hundred",
		"time,loss\n0,200%\n":           `line 2, column 3: loss "200%": more than 100%`,
		"time,delay\n0,-5\n":            `line 2, column 3: delay "-5ms": it cannot be negative`,
		"time,rate\n3,repeat\n":         "line 2, column 3: there is nothing to be repeated before it",
		"time,rate\n0,1mbit\n3,repeat\n4,2mbit\n":  "line 4, column 1: the trace has begun again above, and this would never be reached",
		"time,rate\n0,1mbit\n0,repeat\n":           "line 3, column 1: 0s is not after 0s, the time before; times rise",
		"time,rate\n":                              "it says nothing: no value of a rate, delay or loss is in it",
		"time,rate\n0,\n":                          "it says nothing: no value of a rate, delay or loss is in it",
		"time,\"rate\n":                            `line 1, column 12: extraneous or missing " in quoted-field`,
		"{}":                                       `line 1, column 1: an array of objects is wanted, as [{"time": 0, "rate": "5mbit"}, ...]`,
		"[3]":                                      `line 1, column 2: an object is wanted, as {"time": 0, "rate": "5mbit"}`,
		"[\n {\"time\": 0, \"rate\": \"5mb\"}]":    `line 2, column 22: rate "5mb": "mb" is no unit of rate: bit, kbit, mbit, gbit, or bps, kbps, mbps for bytes`,
		`[{"time": 0, "speed": 5}]`:                `line 1, column 14: "speed" is no column of a trace` + hint,
		`[{"time": 0, "rate": [5]}]`:               "line 1, column 22: rate: a number or a string is wanted",
		`[{"time": 0, "rate": true}]`:              "line 1, column 22: true stands behind repeat alone",
		`[{"rate": 5}]`:                            "line 1, column 2: there is no time in it, from which on it holds",
		`[{"time": 0, "rate": 5, "repeat": true}]`: "line 1, column 35: with repeat there is a time and nothing else",
		`[{"time": 0, "rate": 5}`:                  "line 1, column 24: it ends before the array does",
		`[{"time": 0, "rate": 5}] 1`:               "line 1, column 26: something follows the array",
		"[{\"time\": 0,\n \"rate\": 5 5}]":         "line 2, column 12: invalid character '5' after object key:value pair",
		`[]`:                                       "it says nothing: no value of a rate, delay or loss is in it",
	} {
		if _, err := ParseTrace(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

// Files have bounds.
func TestTraceBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("reads hundreds of megabytes")
	}
	var b strings.Builder
	b.WriteString("time,rate\n")
	for i := range maxTraceRows + 1 {
		fmt.Fprintf(&b, "%d.%d,1mbit\n", i/10, i%10)
	}
	if _, err := ParseTrace(strings.NewReader(b.String())); err == nil || err.Error() != "line 100002, column 1: a trace has up to 100000 of these" {
		t.Errorf("rows: %v", err)
	}
	lines := strings.NewReader(strings.Repeat("1\n", link.MaxOpportunities+1))
	if _, err := ParseTrace(lines); err == nil || err.Error() != "line 10000001, column 1: a trace has up to 10000000 lines" {
		t.Errorf("lines: %v", err)
	}
	if _, err := ParseTrace(zeros{}); err == nil || err.Error() != "more than 128 MiB, which is as large as a trace can be" {
		t.Errorf("without end: %v", err)
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}

// A trace is in place of a profile's rate, and leaves what it does not speak of.
func TestTraceOverProfile(t *testing.T) {
	slow, err := FindProfile("slow-3g")
	if err != nil {
		t.Fatal(err)
	}
	s := applied(t, "10\n20\n", slow.Shape, link.Received)
	if s.Down.Trace == nil || s.Down.Rate != 0 || s.Down.Delay != 150*ms || s.Up != slow.Shape.Up {
		t.Errorf("%+v", s)
	}
	leo, err := FindProfile("satellite-leo")
	if err != nil {
		t.Fatal(err)
	}
	s = applied(t, "10\n20\n", leo.Shape, link.BothWays)
	if leo.Shape.Course.Steps[0].Down.Trace != nil {
		t.Error("the profile's own steps have the trace")
	}
	for i, step := range s.Course.Steps {
		if step.Down.Trace == nil || step.Up.Trace == nil || step.Down.Rate != 0 || step.Down.Loss != leo.Shape.Course.Steps[i].Down.Loss {
			t.Errorf("step %d: %+v", i, step)
		}
	}
	s = applied(t, "time,rate\n0,5mbit\n1,repeat\n", slow.Shape, link.Received)
	if c := s.Course.Steps[0]; c.Down.Rate != 5*mbit || c.Down.Delay != 150*ms || c.Up != slow.Shape.Up {
		t.Errorf("%+v", s)
	}
}

// Two courses, one for each direction, become one with the steps of both.
func TestTraceCourses(t *testing.T) {
	s := applied(t, "time,rate\n0,5mbit\n2,6mbit\n", Shape{}, link.Received)
	s = applied(t, "time,rate\n1,1mbit\n2,2mbit\n3,3mbit\n", s, link.Sent)
	want := []Step{
		{At: 0, Up: link.Impairment{}, Down: way(5*mbit, 0)},
		{At: 1 * time.Second, Up: way(1*mbit, 0), Down: way(5*mbit, 0)},
		{At: 2 * time.Second, Up: way(2*mbit, 0), Down: way(6*mbit, 0)},
		{At: 3 * time.Second, Up: way(3*mbit, 0), Down: way(6*mbit, 0)},
	}
	if !slices.Equal(s.Course.Steps, want) {
		t.Errorf("%+v\nwant\n%+v", s.Course.Steps, want)
	}
	for _, c := range []struct {
		text string
		to   link.Directions
		want string
	}{
		{"time,rate\n0,5mbit\n", link.BothWays, "there is another course already, and both directions cannot have two"},
		{"time,rate\n0,5mbit\n9,repeat\n", link.Sent, "the other direction has a course that begins again at another time, and they share one"},
		{"time,down_rate\n0,5mbit\n", link.Received, "it names directions itself, in its columns; give it for both"},
	} {
		if err := mustParse(t, c.text).Apply(&s, c.to); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v\nwant %s", c.text, err, c.want)
		}
	}
}

// measured is a link of a trace in manual time, over which packets of size bytes are sent down, each gap.
type measured struct {
	*clock.Manual
	got []arrival
}

type arrival struct {
	sent, at time.Duration
}

// over sends packets for so long over a link with a shape.
func over(t *testing.T, s Shape, size int, gap, end time.Duration) *measured {
	t.Helper()
	m := &measured{Manual: new(clock.Manual)}
	a, b := link.Pipe(link.PipeConfig{})
	l, err := Impair(a, s, Config{Seed: 7, Clock: m.Manual})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var times []time.Duration
	b.Deliver(func(batch []*link.Packet) {
		for _, p := range batch {
			n := 0
			for _, x := range p.AppendTo(nil)[:4] {
				n = n<<8 | int(x)
			}
			m.got = append(m.got, arrival{times[n], m.Now()})
			p.Free()
		}
	})
	for m.Now() < end {
		data := make([]byte, size)
		n := len(times)
		copy(data, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		times = append(times, m.Now())
		l.Send([]*link.Packet{packet.FromBytes(data)})
		m.Advance(gap)
	}
	m.Advance(time.Minute)
	return m
}

// What holds in each step of a course is what the file says: the rate where there is always something to send, delay and loss where
// nothing waits.
func TestTraceMeasured(t *testing.T) {
	steps := []struct {
		rate  float64 // Mbit/s
		delay time.Duration
		loss  float64
	}{{5, 20 * ms, 0}, {1, 60 * ms, 0.1}, {12, 5 * ms, 0.02}, {0.5, 100 * ms, 0.3}, {8, 10 * ms, 0.01}}
	const each = 20 * time.Second
	rates, others := "time,rate_mbit\n", "time,delay,loss\n"
	for i, s := range steps {
		rates += fmt.Sprintf("%g,%g\n", (time.Duration(i) * each).Seconds(), s.rate)
		others += fmt.Sprintf("%g,%dms,%g\n", (time.Duration(i) * each).Seconds(), s.delay.Milliseconds(), s.loss)
	}
	end := time.Duration(len(steps)) * each
	repeat := fmt.Sprintf("%g,repeat\n", end.Seconds())
	near := func(what string, i int, got, want, by float64) {
		if d := got - want; d > by || d < -by {
			t.Errorf("step %d: %s %g, want %g within %g", i, what, got, want, by)
		}
	}
	m := over(t, applied(t, rates+repeat, Shape{}, link.BothWays), 1000, 500*time.Microsecond, 2*end) // 16 Mbit/s
	for i := range 2 * len(steps) {
		from, bytes := time.Duration(i)*each, 0
		for _, a := range m.got {
			if a.at > from && a.at <= from+each {
				bytes += 1000
			}
		}
		want := steps[i%len(steps)].rate
		near("rate", i, float64(bytes)*8/each.Seconds()/1e6, want, want*0.02)
	}
	m = over(t, applied(t, others+repeat, Shape{}, link.BothWays), 100, 200*time.Microsecond, end)
	for i, s := range steps {
		from, n, sum := time.Duration(i)*each, 0, time.Duration(0)
		for _, a := range m.got {
			// A packet that was sent before waits for the delay that was longer.
			if a.sent >= from+100*ms && a.sent < from+each {
				n++
				sum += a.at - a.sent
			}
		}
		sent := float64((each - 100*ms) / (200 * time.Microsecond))
		near("delay", i, float64(sum)/float64(n), float64(s.delay), float64(s.delay)*0.001)
		near("loss", i, 1-float64(n)/sent, s.loss, max(s.loss*0.02, 0.0005)+3e-3*s.loss)
	}
}

// A rate of 0 stops the link, and what waits goes on when there is one again.
func TestTraceStops(t *testing.T) {
	s := applied(t, "time,rate\n0,12mbit\n0.01,0\n0.05,12mbit\n", Shape{}, link.BothWays)
	m := over(t, s, 1500, 2*ms, 80*ms) // a millisecond each
	for i, a := range m.got {
		want := a.sent + ms
		if a.sent >= 9*ms && i < 45 {
			want = max(want, 51*ms+time.Duration(i-5)*ms)
		}
		if a.at != want {
			t.Errorf("packet %d, sent at %v, came at %v, want %v", i, a.sent, a.at, want)
		}
	}
	if len(m.got) != 40 {
		t.Errorf("%d packets, want 40", len(m.got))
	}
}
