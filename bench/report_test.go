//go:build linux

package main

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	v := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 3, 0.6: 3.4, 1: 5} {
		if got := quantile(v, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if got := spread(v); math.Abs(got-100*1/3.) > 1e-9 {
		t.Errorf("spread %v", got)
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("quantile of nothing: %v", got)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0.001: "0", 0.234: "0.23", 12.34: "12.3", 123.4: "123", 1234: "1234", 12345: "12,300", 2_345_678: "2,345,700",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

// sample is a report of one workload that is better by more and one by less.
func sample() *Report {
	r := &Report{Date: time.Unix(0, 0).UTC(), CPU: "a & b"}
	for i, name := range []string{"bulk-1", "round-trip"} {
		w, _ := findWorkload(name)
		for run := range 5 {
			r.add(w, "usock", Result{Value: float64(2 + run), More: map[string]float64{"allocations": 0}})
			r.add(w, "kernel", Result{Value: float64(2 + 6*i)})
		}
	}
	return r
}

// wantLines holds that a report has each of the lines.
func wantLines(t *testing.T, table string, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if !strings.Contains(table, want) {
			t.Errorf("no line\n%s\nin\n%s", want, table)
		}
	}
}

func TestTable(t *testing.T) {
	table := sample().table()
	wantLines(t, table,
		"| bulk TCP, 1 connection, one host | Gbit/s | 5 | 4.00 ±25% | – | 2.00 ±0% | – | – | 2.00 | ≥ 1.3 × kernel: met |",
		"| 1-byte round trip, p50 | µs | 5 | 4.00 ±25% | – | 8.00 ±0% | – | – | 0.50 | ≤ 0.5 × kernel: met |",
		"| 1-byte round trip, p50: allocations | 0 | – | – |",
	)
}

func TestTake(t *testing.T) {
	r, old := sample(), sample()
	r.Rows = r.Rows[1:]
	if err := r.take(old); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2 || r.Rows[0].Workload != "bulk-1" || r.Rows[0] != old.Rows[0] || r.Rows[1] == old.Rows[1] {
		t.Errorf("rows %v", r.Rows)
	}
	old.CPU = "another"
	if err := r.take(old); err == nil {
		t.Error("took another machine's report")
	}
}

func TestChart(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(chart("less < more", sample().Rows)))
	bars := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			bars++
		}
	}
	if bars != 4 {
		t.Errorf("%d bars, want 4", bars)
	}
}

// The curves have a table and a plot, also when not all points were measured.
func TestCurves(t *testing.T) {
	r := sample()
	for _, n := range []string{"scale-routes-1000", "scale-routes-1000000", "scale-timers-1000"} {
		w, err := findWorkload(n)
		if err != nil {
			t.Fatal(err)
		}
		r.add(w, "usock", Result{Value: 0.5, More: map[string]float64{"first": 3}})
	}
	for _, want := range []string{
		"| routes: added | 3.00 | – | – | 3.00 |",
		"| routes: datagram | 0.50 | – | – | 0.50 |",
		"| deadlines: set anew, and passed | 0.50 | – | – | – |",
	} {
		if !strings.Contains(r.table(), want) {
			t.Errorf("no line\n%s\nin\n%s", want, r.table())
		}
	}
	if n := strings.Count(curveChart(r.points()), "<circle"); n != 3 {
		t.Errorf("%d points, want 3", n)
	}
}

// grown is a report of one processor and of two.
func grown() *Report {
	r := &Report{Date: time.Unix(0, 0).UTC(), CPU: "a & b", Processors: []int{3, 5}, Neighbours: []float64{50, 210}, Runs: 3}
	add := func(name, stack string, one, two float64) {
		w, _ := findWorkload(name)
		for i := range 3 {
			f := 1 + float64(i-1)/10
			for n, v := range []float64{one, two} {
				k := on(stack, n+1)
				x := r.add(w, k, Result{Value: f * v, More: map[string]float64{"CPU µs": v / 10}})
				x.Foreign[k] = append(x.Foreign[k], float64(i)/10+float64(n))
			}
		}
	}
	add("udp-64-2", "usock", 100, 180)
	add("udp-64-2", beforeStack, 100, 90)
	add("udp-64-2", "kernel", 20, 50)
	add("round-trip", "usock", 2, 4)
	add("round-trip", beforeStack, 2, 2)
	add("udp-flood-64", "usock", 800e3, 1e6)
	r.row("udp-64-2").Neighbours = []float64{45, 50, 230}
	w, _ := findWorkload("udp-64-2")
	for _, share := range []float64{0.5, 0.4, 0.6} {
		r.addLocks(w, Result{Value: 150, Locks: map[string]LockShare{"host": {1, share, share, share}, "connection": {4, 0.3, 0.1, 0.05}}})
	}
	r.Settings = map[string]string{"kernel": "congestion control cubic"}
	return r
}

func TestGrowthTable(t *testing.T) {
	table := grown().text()
	wantLines(t, table,
		"One processor: number 3. Two: 3 and 5. They are, by what handing a word over takes: near, 50 ns at the start, far, 210 ns at the end.",
		"| UDP, 64 bytes, two pairs, received | 1/s | 100 ±5% | 180 ±5% | 1.80 | – | – | – | 20.0 ±5% | 50.0 ±5% | 2.50 | – | 3.60 "+
			"| near and far, 50 (45–230) ns | 0.10 (0.20), 1.10 (1.20) | ≥ 1.7 2:1: met, ≥ 4 × kernel: missed |",
		// Less is better: on two it is half as fast.
		"| 1-byte round trip, p50 | µs | 2.00 ±5% | 4.00 ±5% | 0.50 |",
		"≥ 700,000 on one: met, ≥ 1,200,000 on two: missed |",
		"| UDP, 64 bytes, two pairs, received | 1/s | 100 ±5% | 90.0 ±5% | 0.90 | 1.00 | 2.00 | ≥ 0.95 on one: met |",
		"| 1-byte round trip, p50 | µs | 2.00 ±5% | 2.00 ±5% | 1.00 | 1.00 | 0.50 | ≥ 0.97 on one: met, ≥ 0.97 on two: missed |",
		"| UDP, 64 bytes, two pairs, received | connection | 4 | 30.0 | 10.0 | 5.00 | 1/s | 150 | 2000 |",
		"| UDP, 64 bytes, two pairs, received | host | 1 | 50.0 | 50.0 | 50.0 | 1/s | 150 | 300 |",
		"| UDP, 64 bytes, two pairs, received: CPU µs | 10.0 | 18.0 | – | – | 2.00 | 5.00 |",
		"- kernel: congestion control cubic",
	)
}

// What is measured on one processor and on two exists, and its stacks have each the same
// part in being first.
func TestTurns(t *testing.T) {
	for _, g := range growth {
		if _, err := findWorkload(g.workload); err != nil {
			t.Error(err)
		}
	}
	names := []string{"a", "b", "c"}
	first := make(map[turn]int)
	for round := range 6 {
		all := turns(round, names)
		seen := make(map[turn]bool)
		for _, x := range all {
			seen[x] = true
		}
		if len(all) != 6 || len(seen) != 6 {
			t.Fatalf("round %d: %v", round, all)
		}
		first[all[0]]++
	}
	for _, n := range names {
		for p := 1; p <= 2; p++ {
			if first[turn{n, p}] != 1 {
				t.Errorf("%s on %d begins %d of 6 rounds", n, p, first[turn{n, p}])
			}
		}
	}
}

func TestTakeOtherKind(t *testing.T) {
	if err := grown().take(sample()); err == nil {
		t.Error("rows of all processors taken among those of one and of two")
	}
	r := grown()
	r.Rows = r.Rows[:1]
	if err := r.take(grown()); err != nil || len(r.Rows) != 3 {
		t.Errorf("%d rows, %v", len(r.Rows), err)
	}
}

func TestNeighbourhood(t *testing.T) {
	for want, ns := range map[string][]float64{
		"–":                            nil,
		"near, 50 ns":                  {50, 51, 49},
		"far, 200 ns":                  {200},
		"far, 210 (150–230) ns":        {150, 210, 230},
		"near and far, 60 (50–200) ns": {50, 60, 200},
	} {
		if got := neighbourhood(ns); got != want {
			t.Errorf("%v: %q, want %q", ns, got, want)
		}
	}
}

func TestBusy(t *testing.T) {
	const stat = `cpu  999 999 999 999 0 0 0 999 0 0
cpu0 100 20 30 4000 5 6 7 8 0 0
cpu1 1 2 3 4000 5 6 7 4 0 0
cpu12 1 0 0 0 0 0 0 0 0 0
intr 1 2 3 4 5 6 7 8 9
`
	for _, c := range []struct {
		cpus []int
		want time.Duration
	}{{[]int{0}, 1580 * time.Millisecond}, {[]int{1}, 100 * time.Millisecond}, {nil, 1690 * time.Millisecond}, {[]int{2}, 0}} {
		if got := busy(stat, c.cpus); got != c.want {
			t.Errorf("processors %v: %v, want %v", c.cpus, got, c.want)
		}
	}
	if got := foreign(2*time.Second, time.Second, 4*time.Second); got != 0.25 {
		t.Errorf("foreign load %v, want 0.25", got)
	}
	if got := foreign(time.Second, 2*time.Second, time.Second); got != 0 {
		t.Errorf("foreign load %v, want none", got)
	}
}

func TestFairnessTable(t *testing.T) {
	r := sample()
	w, _ := findWorkload(fairness)
	for _, v := range []float64{50, 90, 400} {
		r.add(w, "usock", Result{Value: v, More: map[string]float64{
			"getsockname p99": v, "getsockname max": 100 * v, "further ms": 3 * v,
		}})
		r.add(w, "kernel", Result{Value: 1, More: map[string]float64{"getsockname p99": 1}})
	}
	table := r.text()
	wantLines(t, table,
		"| getsockname, p99, µs | 90.0 | – | 1.00 | ≤ 100: met |",
		"| getsockname, longest of all runs, µs | 40,000 | – | – | ≤ 30,000: missed |",
		"| connect, p99, µs | – | – | – | ≤ 100: not measured |",
		"| 64 further connections set up, ms | 270 | – | – | ≤ 1000: met |",
		"| the same, longest of all runs, ms | 1200 | – | – | ≤ 1000: missed |",
	)
	if strings.Contains(table, w.title) {
		t.Errorf("the newcomers stand in another table, too:\n%s", table)
	}
}

// What the slowest round trips take is told without the warm-up's.
func TestTail(t *testing.T) {
	times := make([]uint32, 0, 8000)
	for i := range 8000 {
		d := uint32(7000-i%7000) * 1000
		if i < 1000 {
			d = 1e9
		}
		times = append(times, d)
	}
	more := make(map[string]float64)
	if p50 := tail(more, "of: ", times); p50 != 3500 {
		t.Errorf("p50 %v", p50)
	}
	for name, want := range map[string]float64{"p90": 6300, "p99": 6930, "p99.9": 6993, "longest": 7000} {
		if got := more["of: "+name+" µs"]; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
