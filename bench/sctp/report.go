//go:build linux

package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is all that was measured.
type report struct {
	*options
	date     time.Time
	values   map[string]map[string][]float64            // by work and way
	more     map[string]map[string]map[string][]float64 // by work, name and way
	settings map[string]string                          // by way
	failures []string
}

func newReport(o *options) *report {
	return &report{
		options: o, date: time.Now(), values: make(map[string]map[string][]float64),
		more: make(map[string]map[string]map[string][]float64), settings: make(map[string]string),
	}
}

// add carries a task out, and notes what it found.
func (r *report) add(k *work, w *way, t task) {
	measure := t.spawn
	if w.open == nil {
		measure = t.usrsctp
	}
	res, err := measure()
	if err != nil {
		r.failures = append(r.failures, fmt.Sprintf("%s, %s: %v", w.name, k.title, err))
		return
	}
	if r.values[k.name] == nil {
		r.values[k.name] = make(map[string][]float64)
		r.more[k.name] = make(map[string]map[string][]float64)
	}
	r.values[k.name][w.name] = append(r.values[k.name][w.name], res.Value)
	for name, v := range res.More {
		if r.more[k.name][name] == nil {
			r.more[k.name][name] = make(map[string][]float64)
		}
		r.more[k.name][name][w.name] = append(r.more[k.name][name][w.name], v)
	}
	if r.settings[w.name] == "" {
		r.settings[w.name] = res.Settings
	}
}

// table returns the report in Markdown.
func (r *report) table() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s, %d processors, Linux %s, %s; %d runs of %v. Medians, ± half the distance between the quartiles.\n\n",
		r.date.UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), kernel(), runtime.Version(), r.runs, r.time)
	s.WriteString("| work | unit |")
	for _, w := range ways {
		fmt.Fprintf(&s, " %s |", w.name)
	}
	s.WriteString(" usock : better of the others | usock-udp : the same | bar |\n|---|---|" + strings.Repeat("---|", len(ways)+3) + "\n")
	for i := range works {
		if k := &works[i]; r.values[k.name] != nil {
			fmt.Fprintf(&s, "| %s | %s |%s %s | %s | %s |\n", k.title, k.unit, cells(r.values[k.name]),
				number(r.ratio(k, "usock")), number(r.ratio(k, "usock-udp")), r.bar(k))
		}
	}
	for i := range works {
		k := &works[i]
		for _, name := range slices.Sorted(maps.Keys(r.more[k.name])) {
			fmt.Fprintf(&s, "| %s: %s | |%s – | – | – |\n", k.title, name, cells(r.more[k.name][name]))
		}
	}
	s.WriteString("\n")
	for _, w := range ways {
		if text := r.settings[w.name]; text != "" {
			fmt.Fprintf(&s, "- %s: %s\n", w.name, text)
		}
	}
	for _, f := range r.failures {
		fmt.Fprintf(&s, "\nFailed: %s\n", f)
	}
	return s.String()
}

func cells(values map[string][]float64) string {
	var s strings.Builder
	for _, w := range ways {
		v := values[w.name]
		if len(v) == 0 {
			s.WriteString(" – |")
			continue
		}
		fmt.Fprintf(&s, " %s ±%.0f%% |", number(median(v)), spread(v))
	}
	return s.String()
}

// ratio returns the figure of a way of usock to the better one of the others.
func (r *report) ratio(k *work, name string) float64 {
	best := math.NaN()
	for _, w := range ways[2:] {
		v := median(r.values[k.name][w.name])
		if math.IsNaN(best) || k.less && v < best || !k.less && v > best {
			best = v
		}
	}
	return median(r.values[k.name][name]) / best
}

// bar says what was to be reached and whether it was, over usock's loopback.
func (r *report) bar(k *work) string {
	v, bar, of := median(r.values[k.name]["usock"]), k.value, ""
	if k.times != 0 {
		v, bar, of = r.ratio(k, "usock"), k.times, " × the better"
	}
	sign, met := "≥", v >= bar
	if k.less {
		sign, met = "≤", v <= bar
	}
	word := "missed"
	switch {
	case math.IsNaN(v):
		word = "not measured"
	case met:
		word = "met"
	}
	return fmt.Sprintf("%s %v%s: %s", sign, bar, of, word)
}

// quantile returns the q-quantile of the values, between neighbours in proportion.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

func median(v []float64) float64 { return quantile(v, 0.5) }

// spread is half the distance between the quartiles, in percent of the median.
func spread(v []float64) float64 {
	m := median(v)
	if m == 0 {
		return 0
	}
	return 50 * (quantile(v, 0.75) - quantile(v, 0.25)) / m
}

func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a < 0.005:
		return "0"
	}
	return fmt.Sprintf("%.2f", v)
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "of unknown release"
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-")
	return release
}
