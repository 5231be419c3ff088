//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// growth says which workloads are measured on one and on two processors, and what usock
// is to reach there.
var growth = []struct {
	workload string
	bars     growthBars
}{
	{"udp-flood-64-2", growthBars{ratio: 1.7, kernel: 4}},
	{"udp-64-2", growthBars{ratio: 1.7, kernel: 4}},
	{"udp-flood-64", growthBars{one: 0.7e6, two: 1.2e6}},
	{"udp-64", growthBars{ratio: 0.9, kernel: 4}},
	{"round-trips-64", growthBars{ratio: 1.7, kernel: 3}},
	{"http", growthBars{ratio: 1.7, kernel: 1.6}},
	{"connect-64", growthBars{ratio: 1.7, kernel: 2.2}},
	{"bulk-8", growthBars{ratio: 1.5, kernel: 2}},
	{"bulk-1500-8", growthBars{ratio: 1.6, kernel: 2}},
	{"bulk-1500-tso-8", growthBars{kernel: 0.6}},
	{"bulk-1500-off-8", growthBars{kernel: 0.6}},
	{"bulk-1", growthBars{before: single}},
	{"round-trip", growthBars{before: single}},
	{"connect-1", growthBars{before: single}},
}

// growthBars are what usock is to reach at least. 0: no bar.
type growthBars struct {
	ratio    float64 // two processors' speed to one's
	kernel   float64 // to the kernel's speed, both on two processors
	one, two float64 // the figure itself, on one and on two processors
	before   float64 // to the speed of usock before, on one and on two processors; 0: anyBefore, on one
}

const (
	single    = 0.97 // of single flows nothing is to be lost
	anyBefore = 0.95 // nor of anything on one processor
)

// beforeStack is the name of usock as another binary of bench has it (-before).
const beforeStack = "before"

// on is the key of a stack's figures on a number of processors.
func on(stack string, processors int) string { return fmt.Sprintf("%s on %d", stack, processors) }

// turn is one measurement of a round.
type turn struct {
	stack      string
	processors int
}

// turns returns a round's measurements in their order. Stacks take turns, the one that
// begins moves on with every round, and so does who of one and two processors is first.
func turns(round int, stacks []string) []turn {
	var all []turn
	for k := range stacks {
		s := stacks[(round+k)%len(stacks)]
		first := 1 + (round+k/len(stacks))%2
		all = append(all, turn{s, first}, turn{s, 3 - first})
	}
	return all
}

// processors returns the two processors that the flag names, or the first two on which
// this process may run.
func processors(list string) ([]int, error) {
	may, err := allowed()
	if err != nil {
		return nil, err
	}
	if list == "" {
		return may[:min(2, len(may))], nil
	}
	var cpus []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || !slices.Contains(may, n) || slices.Contains(cpus, n) {
			return nil, fmt.Errorf("-cpus %s: %q is not one more of the processors %v", list, s, may)
		}
		cpus = append(cpus, n)
	}
	if len(cpus) != 2 {
		return nil, fmt.Errorf("-cpus %s: two processors are needed", list)
	}
	return cpus, nil
}

// measureGrowth runs what shows how stacks grow with processors, in rounds, and what a
// newcomer gets beside it.
func (o *options) measureGrowth() (*Report, error) {
	if len(o.cpus) < 2 {
		return nil, errors.New("-cores takes two processors")
	}
	r := newReport(o)
	r.Processors = o.cpus
	names := o.stacks()
	if o.before != "" {
		names = append(names, beforeStack)
	}
	r.Neighbours = append(r.Neighbours, o.distance(r))
	o.settings(r, names)
	for i := range growth {
		w, err := findWorkload(growth[i].workload)
		if err != nil {
			return nil, err
		}
		if !o.workload.MatchString(w.name) {
			continue
		}
		for round := range o.runs {
			near := o.distance(r)
			for _, t := range turns(round, names) {
				o.child(r, w, place{stack: t.stack, key: on(t.stack, t.processors), cpus: o.cpus[:t.processors]}, round)
			}
			if slices.Contains(names, stacks[0].name) {
				o.child(r, w, place{stack: stacks[0].name, cpus: o.cpus, locks: true}, round)
			}
			if x := r.row(w.name); x != nil && near > 0 {
				x.Neighbours = append(x.Neighbours, near)
			}
		}
	}
	if w, err := findWorkload(fairness); err == nil && o.workload.MatchString(fairness) {
		o.rounds(r, w, o.runs)
	}
	r.Neighbours = append(r.Neighbours, o.distance(r))
	return r, nil
}

// distance returns the ns of a hand-over between the two processors; 0: not known.
func (o *options) distance(r *Report) float64 {
	res, _, err := (Task{Stack: "machine", Workload: handover, Time: handoverTime}).spawn(place{cpus: o.cpus})
	if err != nil {
		r.Failures = append(r.Failures, fmt.Sprintf("hand-over between processors: %v", err))
		return 0
	}
	return res.Value
}

// handoverTime is how long hand-overs are measured between other measurements.
const handoverTime = 30 * time.Millisecond

// settings asks the stacks for their settings.
func (o *options) settings(r *Report, names []string) {
	r.Settings = make(map[string]string)
	for _, s := range names {
		if s == beforeStack {
			continue
		}
		res, _, err := (Task{Stack: s, Workload: settings.name}).spawn(place{})
		if err != nil {
			r.Failures = append(r.Failures, fmt.Sprintf("settings of %s: %v", s, err))
			continue
		}
		r.Settings[s] = res.Notes
	}
}

// speedup returns how many times as fast what the one key names is as what the other does.
func (x *Row) speedup(key, than string) float64 {
	a, b := median(x.Values[key]), median(x.Values[than])
	if x.w.less {
		a, b = b, a
	}
	return a / b
}

// growthBar says what was to be reached on one and two processors and whether it was.
func (x *Row) growthBar(b growthBars) string {
	usock, kernel := stacks[0].name, "kernel"
	var all []string
	say := func(bar, v float64, of string, less bool) {
		if bar != 0 {
			all = append(all, verdict(v, bar, of, less))
		}
	}
	say(b.ratio, x.speedup(on(usock, 2), on(usock, 1)), " 2:1", false)
	say(b.kernel, x.speedup(on(usock, 2), on(kernel, 2)), " × kernel", false)
	say(b.one, median(x.Values[on(usock, 1)]), " on one", x.w.less)
	say(b.two, median(x.Values[on(usock, 2)]), " on two", x.w.less)
	if all == nil {
		return "–"
	}
	return strings.Join(all, ", ")
}

// loads says how much foreign load a row's measurements had beside them, in processors,
// on one and on two: the median, and the most.
func (x *Row) loads() string {
	var all []string
	for n := 1; n <= 2; n++ {
		text := "–"
		if f := x.foreign(on("", n)); len(f) > 0 {
			text = fmt.Sprintf("%.2f (%.2f)", median(f), slices.Max(f))
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// growthTable is the report of what was measured on one and on two processors.
func (r *Report) growthTable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s UTC, %d processors of %s, Linux %s, %s; %d times %v. Medians, ± half the distance between the quartiles.\n",
		r.when(), r.Cores, r.CPU, r.Kernel, r.Go, r.Runs, r.Time)
	fmt.Fprintf(&b, "One processor: number %d. Two: %d and %d. They are, by what handing a word over takes: %s at the start, %s at the end.\n\n",
		r.Processors[0], r.Processors[0], r.Processors[1], r.neighbours(0), r.neighbours(1))
	b.WriteString("| workload | unit |")
	for _, s := range stacks {
		name := shortName(s.name)
		fmt.Fprintf(&b, " %s on one | on two | 2:1 |", name)
	}
	b.WriteString(" usock : gVisor on two | usock : kernel on two | processors | foreign load on one, on two | bar |\n|---|---|")
	b.WriteString(strings.Repeat("---|", 3*len(stacks)+5) + "\n")
	usock := stacks[0].name
	for _, g := range growth {
		x := r.row(g.workload)
		if x == nil {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s |", x.Title, x.Unit)
		for _, s := range stacks {
			one, two := on(s.name, 1), on(s.name, 2)
			fmt.Fprintf(&b, " %s | %s | %s |", x.cell(one), x.cell(two), ratioCell(x.speedup(two, one)))
		}
		fmt.Fprintf(&b, " %s | %s | %s | %s | %s |\n", ratioCell(x.speedup(on(usock, 2), on("gvisor", 2))),
			ratioCell(x.speedup(on(usock, 2), on("kernel", 2))), neighbourhood(x.Neighbours), x.loads(), x.growthBar(g.bars))
	}
	b.WriteString("\nRatios are of speed: above 1 is faster, also where less of the unit is better. Foreign load: the processors that others had " +
		"of those measured on, the hypervisor's part included, median (most).\n")
	r.beforeTable(&b)
	r.lockTable(&b)
	r.fairness(&b)
	r.growthBesides(&b)
	r.notes(&b)
	return b.String()
}

// growthBesides tells what else was counted.
func (r *Report) growthBesides(b *strings.Builder) {
	var keys []string
	b.WriteString("\n| besides |")
	for _, s := range stacks {
		keys = append(keys, on(s.name, 1), on(s.name, 2))
		fmt.Fprintf(b, " %s on one | on two |", shortName(s.name))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(keys)) + "\n")
	for _, g := range growth {
		if x := r.row(g.workload); x != nil {
			x.besides(b, keys)
		}
	}
}

// beforeTable compares with usock before.
func (r *Report) beforeTable(b *strings.Builder) {
	begun := false
	usock := stacks[0].name
	for _, g := range growth {
		x := r.row(g.workload)
		if x == nil || len(x.Values[on(beforeStack, 1)])+len(x.Values[on(beforeStack, 2)]) == 0 {
			continue
		}
		if !begun {
			begun = true
			b.WriteString("\n| usock before | unit | on one | on two | 2:1 | now : before on one | now : before on two | bar |\n|---|---|---|---|---|---|---|---|\n")
		}
		one, two := on(beforeStack, 1), on(beforeStack, 2)
		nowOne, nowTwo := x.speedup(on(usock, 1), one), x.speedup(on(usock, 2), two)
		bar := verdict(nowOne, anyBefore, " on one", false)
		if g.bars.before != 0 {
			bar = verdict(nowOne, g.bars.before, " on one", false) + ", " + verdict(nowTwo, g.bars.before, " on two", false)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", x.Title, x.Unit, x.cell(one), x.cell(two),
			ratioCell(x.speedup(two, one)), ratioCell(nowOne), ratioCell(nowTwo), bar)
	}
}

// neighbours says where the processors lay at the start (0) and at the end (1) of the run.
func (r *Report) neighbours(at int) string {
	if at >= len(r.Neighbours) || r.Neighbours[at] == 0 {
		return "not known"
	}
	return neighbourhood(r.Neighbours[at : at+1])
}

// shortName is a stack's name at the head of a column.
func shortName(stack string) string {
	if stack == "gvisor" {
		return "gVisor"
	}
	return stack
}

// usable reports what is wrong with a binary of bench that is to measure usock before.
func usable(binary string) error {
	if binary == "" {
		return nil
	}
	s, err := os.Stat(binary)
	if err == nil && s.Mode()&0o111 == 0 {
		err = fmt.Errorf("%s is no program", binary)
	}
	return err
}
