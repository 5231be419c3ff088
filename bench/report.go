//go:build linux

package main

import (
	"bufio"
	"errors"
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
	Settings map[string]string // by stack

	Processors []int     `json:",omitempty"` // of what was measured on one and on two; nil: on all
	Neighbours []float64 `json:",omitempty"` // ns of a hand-over between these, at the start and at the end
}

// Row is a workload's measurements.
type Row struct {
	Workload, Title, Unit string
	Date                  time.Time
	Values                map[string][]float64            // by stack
	More                  map[string]map[string][]float64 // by stack and name
	Foreign               map[string][]float64            // foreign load beside the measurements, by stack
	Neighbours            []float64                       `json:",omitempty"` // ns of a hand-over before each round
	Locks                 map[string][]LockShare          `json:",omitempty"` // by name
	LockRates             []float64                       `json:",omitempty"` // the figures beside which locks were looked at
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

// add notes a measurement and returns its row.
func (r *Report) add(w *workload, stack string, res Result) *Row {
	x := r.rowOf(w)
	x.Values[stack] = append(x.Values[stack], res.Value)
	for name, v := range res.More {
		if x.More[stack] == nil {
			x.More[stack] = make(map[string][]float64)
		}
		x.More[stack][name] = append(x.More[stack][name], v)
	}
	return x
}

// addLocks notes for how much of the time locks were held.
func (r *Report) addLocks(w *workload, res Result) {
	x := r.rowOf(w)
	if x.Locks == nil {
		x.Locks = make(map[string][]LockShare)
	}
	for name, s := range res.Locks {
		x.Locks[name] = append(x.Locks[name], s)
	}
	x.LockRates = append(x.LockRates, res.Value)
}

// rowOf returns the row of a workload, a new one perhaps.
func (r *Report) rowOf(w *workload) *Row {
	x := r.row(w.name)
	if x == nil {
		x = &Row{
			Workload: w.name, Title: w.title, Unit: w.unit, Date: r.Date, w: w,
			Values: make(map[string][]float64), More: make(map[string]map[string][]float64),
			Foreign: make(map[string][]float64),
		}
		r.Rows = append(r.Rows, x)
	}
	return x
}

// take adds the rows of an earlier report, of the same machine, for what was not
// measured now, and puts all into the order of the workloads.
func (r *Report) take(old *Report) error {
	if old.CPU != r.CPU || old.Cores != r.Cores || old.Kernel != r.Kernel {
		return fmt.Errorf("the earlier report is of another machine: %d cores of %s, Linux %s", old.Cores, old.CPU, old.Kernel)
	}
	if (old.Processors == nil) != (r.Processors == nil) {
		return errors.New("the earlier report is of the other kind: -cores or not")
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
	var all []string
	say := func(bar, v float64, of string, less bool) {
		if bar != 0 {
			all = append(all, verdict(v, bar, of, less))
		}
	}
	b := &x.w.bars
	k, g, v, p := x.ratio("kernel"), x.ratio("gvisor"), median(x.Values["usock"]), median(x.More["usock"]["peak MiB"])
	say(b.kernel, k, " × kernel", x.w.less)
	say(b.gvisor, g, " × gVisor", x.w.less)
	say(b.value, v, "", x.w.less)
	say(b.peak, p, " MiB peak", true)
	if all == nil {
		return "–"
	}
	return strings.Join(all, ", ")
}

// verdict says what was to be reached and whether it was; "–" without a bar.
func verdict(v, bar float64, of string, less bool) string {
	if bar == 0 {
		return "–"
	}
	sign, met := "≥", v >= bar
	if less {
		sign, met = "≤", v <= bar
	}
	word := "missed"
	switch {
	case math.IsNaN(v):
		word = "not measured"
	case met:
		word = "met"
	}
	figure := fmt.Sprint(bar)
	if bar >= 1e4 {
		figure = thousands(int(bar))
	}
	return fmt.Sprintf("%s %s%s: %s", sign, figure, of, word)
}

// when is when the report's figures were measured.
func (r *Report) when() string {
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
	return when
}

// text is the report for people.
func (r *Report) text() string {
	if r.Processors != nil {
		return r.growthTable()
	}
	return r.table()
}

// table is the report of the stacks beside each other.
func (r *Report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s UTC, %d cores of %s, Linux %s, %s. Medians, ± half the distance between the quartiles. %s\n\n",
		r.when(), r.Cores, r.CPU, r.Kernel, r.Go, foreignNote(r.foreign("")))
	b.WriteString("| workload | unit | runs | usock | gVisor | kernel | machine's limit | usock : gVisor | usock : kernel | bar |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rows {
		if x.w.topology == machine || x.w.name == fairness {
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
		if x.w.curve == nil && x.w.name != fairness {
			x.besides(&b, []string{"usock", "gvisor", "kernel"})
		}
	}
	b.WriteString("\n| the machine at best | unit | |\n|---|---|---|\n")
	for _, x := range r.Rows {
		if x.w.topology == machine && x.w.curve == nil {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", x.Title, x.Unit, x.cell("machine"))
		}
	}
	r.curves(&b)
	r.fairness(&b)
	r.notes(&b)
	return b.String()
}

// foreign returns the foreign loads beside the measurements of all rows whose stack's key
// ends so.
func (r *Report) foreign(suffix string) (loads []float64) {
	for _, x := range r.Rows {
		loads = append(loads, x.foreign(suffix)...)
	}
	return loads
}

func (x *Row) foreign(suffix string) (loads []float64) {
	for _, k := range sortedKeys(x.Foreign) {
		if strings.HasSuffix(k, suffix) {
			loads = append(loads, x.Foreign[k]...)
		}
	}
	return loads
}

// foreignNote says how much foreign load there was; nothing where that is not known.
func foreignNote(loads []float64) string {
	if len(loads) == 0 {
		return ""
	}
	return fmt.Sprintf("Foreign load: %.2f processors, at most %.2f.", median(loads), slices.Max(loads))
}

// notes says how the stacks were set, what foreign load there was, and what failed.
func (r *Report) notes(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s\n\n%s\n\n%s\n", usockNote, gvisorNote, kernelNote)
	if len(r.Settings) > 0 {
		b.WriteString("\nSettings, as the sockets have them on one host:\n\n")
	}
	for _, s := range stacks {
		if text := r.Settings[s.name]; text != "" {
			fmt.Fprintf(b, "- %s: %s\n", shortName(s.name), text)
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintf(b, "\nFailed: %s\n", f)
	}
}

// sortedKeys returns a map's keys in their order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

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

// besides writes what else was counted, a column for each of the keys.
func (x *Row) besides(b *strings.Builder, keys []string) {
	names := make(map[string]bool)
	for _, m := range x.More {
		for n := range m {
			names[n] = true
		}
	}
	for _, n := range sortedKeys(names) {
		fmt.Fprintf(b, "| %s: %s |", x.Title, n)
		for _, k := range keys {
			fmt.Fprintf(b, " %s |", number(median(x.More[k][n])))
		}
		b.WriteString("\n")
	}
}
