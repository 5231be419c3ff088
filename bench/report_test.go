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

func TestTable(t *testing.T) {
	table := sample().table()
	for _, want := range []string{
		"| bulk TCP, 1 connection, one host | Gbit/s | 5 | 4.00 ±25% | – | 2.00 ±0% | – | – | 2.00 | ≥ 1.3 × kernel: met |",
		"| 1-byte round trip, p50 | µs | 5 | 4.00 ±25% | – | 8.00 ±0% | – | – | 0.50 | ≤ 0.5 × kernel: met |",
		"| 1-byte round trip, p50: allocations | 0 | – | – |",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no line\n%s\nin\n%s", want, table)
		}
	}
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
