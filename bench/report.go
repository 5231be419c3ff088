//go:build linux

package main

import (
	"bufio"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is all that was measured.
type Report struct {
	Date     time.Time
	CPU      string
	Cores    int
	Kernel   string
	Go       string
	Runs     int
	Time     time.Duration
	Rows     []*Row
	Failures []string
}

// Row is a workload's measurements.
type Row struct {
	Workload, Title, Unit string
	Date                  time.Time
	Values                map[string][]float64            // by stack
	More                  map[string]map[string][]float64 // by stack and name
	w                     *workload
}

func newReport(o *options) *Report {
	return &Report{
		Date: time.Now().UTC().Truncate(time.Second), CPU: cpu(), Cores: runtime.NumCPU(),
		Kernel: kernelRelease(), Go: runtime.Version(), Runs: o.runs, Time: o.time,
	}
}

// cpu returns the processor's name as /proc/cpuinfo has it.
func cpu() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernelRelease() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	release, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-")
	return release
}

func (r *Report) row(name string) *Row {
	for _, x := range r.Rows {
		if x.Workload == name {
			return x
		}
	}
	return nil
}

func (r *Report) add(w *workload, stack string, res Result) {
	x := r.row(w.name)
	if x == nil {
		x = &Row{
			Workload: w.name, Title: w.title, Unit: w.unit, Date: r.Date, w: w,
			Values: make(map[string][]float64), More: make(map[string]map[string][]float64),
		}
		r.Rows = append(r.Rows, x)
	}
	x.Values[stack] = append(x.Values[stack], res.Value)
	for name, v := range res.More {
		if x.More[stack] == nil {
			x.More[stack] = make(map[string][]float64)
		}
		x.More[stack][name] = append(x.More[stack][name], v)
	}
}

// take adds the rows of an earlier report, of the same machine, for what was not
// measured now, and puts all into the order of the workloads.
func (r *Report) take(old *Report) error {
	if old.CPU != r.CPU || old.Cores != r.Cores || old.Kernel != r.Kernel {
		return fmt.Errorf("the earlier report is of another machine: %d cores of %s, Linux %s", old.Cores, old.CPU, old.Kernel)
	}
	for _, x := range old.Rows {
		w, err := findWorkload(x.Workload)
		if err != nil {
			return err
		}
		if x.w = w; r.row(x.Workload) == nil {
			r.Rows = append(r.Rows, x)
		}
	}
	order := make(map[string]int)
	for i := range workloads {
		order[workloads[i].name] = i
	}
	for i := range limits {
		order[limits[i].name] = len(workloads) + i
	}
	slices.SortFunc(r.Rows, func(a, b *Row) int { return order[a.Workload] - order[b.Workload] })
	return nil
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
	return 50 * (quantile(v, 0.75) - quantile(v, 0.25)) / median(v)
}

func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 1e4:
		return thousands(int(math.Round(v/100)) * 100)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a < 0.005:
		return "0"
	}
	return fmt.Sprintf("%.2f", v)
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func (x *Row) cell(stack string) string {
	v := x.Values[stack]
	if len(v) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s ±%.0f%%", number(median(v)), spread(v))
}

// ratio returns usock's median to another stack's.
func (x *Row) ratio(stack string) float64 {
	return median(x.Values["usock"]) / median(x.Values[stack])
}

func ratioCell(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

// bar says what was to be reached and whether it was.
func (x *Row) bar() string {
	sign, than := "≥", func(v, bar float64) bool { return v >= bar }
	if x.w.less {
		sign, than = "≤", func(v, bar float64) bool { return v <= bar }
	}
	var all []string
	say := func(bar, v float64, sign, of string, met bool) {
		verdict := "missed"
		switch {
		case bar == 0:
			return
		case math.IsNaN(v):
			verdict = "not measured"
		case met:
			verdict = "met"
		}
		all = append(all, fmt.Sprintf("%s %v%s: %s", sign, bar, of, verdict))
	}
	b := &x.w.bars
	k, g, v, p := x.ratio("kernel"), x.ratio("gvisor"), median(x.Values["usock"]), median(x.More["usock"]["peak MiB"])
	say(b.kernel, k, sign, " × kernel", than(k, b.kernel))
	say(b.gvisor, g, sign, " × gVisor", than(g, b.gvisor))
	say(b.value, v, sign, "", than(v, b.value))
	say(b.peak, p, "≤", " MiB peak", p <= b.peak)
	if all == nil {
		return "–"
	}
	return strings.Join(all, ", ")
}

// table is the report for people.
func (r *Report) table() string {
	var b strings.Builder
	first := r.Date
	for _, x := range r.Rows {
		if x.Date.Before(first) {
			first = x.Date
		}
	}
	when := first.Format("2006-01-02 15:04")
	if first != r.Date {
		when += " to " + r.Date.Format("15:04")
	}
	fmt.Fprintf(&b, "%s UTC, %d cores of %s, Linux %s, %s. Medians, ± half the distance between the quartiles.\n\n",
		when, r.Cores, r.CPU, r.Kernel, r.Go)
	b.WriteString("| workload | unit | runs | usock | gVisor | kernel | machine's limit | usock : gVisor | usock : kernel | bar |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rows {
		if x.w.topology == machine {
			continue
		}
		limit := "–"
		if l := r.row(x.w.limit); l != nil {
			limit = number(median(l.Values["machine"]))
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s |\n", x.Title, x.Unit, len(x.Values["usock"]),
			x.cell("usock"), x.cell("gvisor"), x.cell("kernel"), limit,
			ratioCell(x.ratio("gvisor")), ratioCell(x.ratio("kernel")), x.bar())
	}
	b.WriteString("\n| besides | usock | gVisor | kernel |\n|---|---|---|---|\n")
	for _, x := range r.Rows {
		if x.w.curve == nil {
			x.besides(&b)
		}
	}
	b.WriteString("\n| the machine at best | unit | |\n|---|---|---|\n")
	for _, x := range r.Rows {
		if x.w.topology == machine && x.w.curve == nil {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", x.Title, x.Unit, x.cell("machine"))
		}
	}
	r.curves(&b)
	fmt.Fprintf(&b, "\n%s\n\n%s\n\n%s\n", usockNote, gvisorNote, kernelNote)
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "\nFailed: %s\n", f)
	}
	return b.String()
}

// curves is the table of the curves, by size: what the first and the then of each
// takes.
func (r *Report) curves(b *strings.Builder) {
	point := func(c *curve, n int) *Row {
		for _, x := range r.points() {
			if x.w.curve == c && x.w.n == n {
				return x
			}
		}
		return nil
	}
	if r.points() == nil {
		return
	}
	b.WriteString("\n| µs of processor time with |")
	for _, n := range curveSizes {
		fmt.Fprintf(b, " %s |", thousands(n))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(curveSizes)) + "\n")
	for _, c := range curves {
		line := func(what string, value func(*Row) []float64) {
			fmt.Fprintf(b, "| %s: %s |", c.name, what)
			for _, n := range curveSizes {
				v := math.NaN()
				if x := point(c, n); x != nil {
					v = median(value(x))
				}
				fmt.Fprintf(b, " %s |", number(v))
			}
			b.WriteString("\n")
		}
		line(c.first, func(x *Row) []float64 { return x.More["usock"]["first"] })
		line(c.then, func(x *Row) []float64 { return x.Values["usock"] })
	}
}

func (x *Row) besides(b *strings.Builder) {
	names := make(map[string]bool)
	for _, m := range x.More {
		for n := range m {
			names[n] = true
		}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(b, "| %s: %s |", x.Title, n)
		for _, s := range stacks {
			fmt.Fprintf(b, " %s |", number(median(x.More[s.name][n])))
		}
		b.WriteString("\n")
	}
}
