package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// length is how long is simulated, ns.
const length = 4e6

func main() {
	file := flag.String("measured", "model/measured.json", "the `file` that bench -cores -json has written")
	list := flag.String("cores", "1,2,4,16,64", "the `numbers` of cores")
	flag.Parse()
	if err := run(os.Stdout, *file, *list); err != nil {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, file, list string) error {
	m, err := read(file)
	if err != nil {
		return err
	}
	var cores []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 1024 {
			return fmt.Errorf("-cores: %q is no number of cores", s)
		}
		cores = append(cores, n)
	}
	fmt.Fprintf(out, "Measured on two processors: %s, Linux %s, %s, %s. A line comes in %.0f ns from a neighbour, in %d from further away; "+
		"%.0f %% of the work is in lanes; who loses his core in one stays away for %.0f ms.\n\n",
		m.CPU, m.Kernel, m.Go, m.Date.Format("2006-01-02 15:04"), m.near(), far, 100*m.inLane(), m.away()/1e6)
	if err := m.growth(out, cores); err != nil {
		return err
	}
	most := slices.Max(cores)
	if err := m.whole(out, cores); err != nil {
		return err
	}
	return m.next(out, most)
}

// growth tells how each workload grows, and what is used up first.
func (m *measured) growth(out io.Writer, cores []int) error {
	fmt.Fprintf(out, "| × one core |")
	for _, n := range cores {
		fmt.Fprintf(out, " %d |", n)
	}
	fmt.Fprintf(out, " one core | the last | 2:1 predicted | measured | first used up | in use at each number, %% |\n|---|%s---|---|---|---|---|---|\n", strings.Repeat("---|", len(cores)))
	for _, w := range workloads {
		one, err := m.at(w, 1, nil)
		if err != nil {
			return err
		}
		two, err := m.at(w, 2, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "| %s |", w.name)
		var last result
		var use []string
		var all []result
		for _, n := range cores {
			if last, err = m.at(w, n, nil); err != nil {
				return err
			}
			all = append(all, last)
			fmt.Fprintf(out, " %.1f |", last.ops/one.ops)
		}
		name := "–"
		if k := busiest(last); k >= 0 {
			x, _ := m.machine(w, 1)
			name = x.classes[k].name
			for _, r := range all {
				use = append(use, fmt.Sprintf("%.0f", 100*r.busy[k]))
			}
		}
		ratio := "–"
		if r := m.rate(w.measured, 2); r > 0 && !w.link {
			ratio = fmt.Sprintf("%.2f", r/m.rate(w.measured, 1))
		}
		fmt.Fprintf(out, " %.0fk/s | %.0fk/s | %.2f | %s | %s | %s |\n", one.ops/1e3, last.ops/1e3, two.ops/one.ops, ratio, name, strings.Join(use, ", "))
	}
	return nil
}

// at simulates a workload; change, if not nil, makes the machine another one.
func (m *measured) at(w workload, cores int, change func(*machine)) (result, error) {
	x, err := m.machine(w, cores)
	if err != nil {
		return result{}, err
	}
	if change != nil {
		change(&x)
	}
	return x.run(length), nil
}

// busiest returns the class that is in use most; -1: there is none.
func busiest(r result) int {
	k := -1
	for i, b := range r.busy {
		if k < 0 || b > r.busy[k] {
			k = i
		}
	}
	return k
}

// whole tells what entries of the whole host leave of the round trips beside them.
func (m *measured) whole(out io.Writer, cores []int) error {
	rates := []float64{100, 1e3, 1e4, 1e5}
	fmt.Fprint(out, "\n| entries of the whole host wanted a second: had, µs of one, round trips left |")
	for _, r := range rates {
		fmt.Fprintf(out, " %.0f |", r)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(rates)))
	for _, gate := range []bool{false, true} {
		for _, n := range cores {
			base, err := m.at(workloads[0], n, nil)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "| %d cores%s |", n, map[bool]string{true: ", with a gate"}[gate])
			for _, rate := range rates {
				x, _ := m.machine(workloads[0], n)
				x.wholeEvery, x.gate = 1e9/rate, gate
				r := x.run(max(length, 4e9/rate))
				if r.wholes == 0 {
					fmt.Fprint(out, " none |")
					continue
				}
				fmt.Fprintf(out, " %.0f, %.0f, %.0f %% |", r.wholes, r.wholeTook/1e3, 100*r.ops/base.ops)
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}

// next tells what changes would bring, one after another.
func (m *measured) next(out io.Writer, cores int) error {
	split := func(name string, n int) func(*machine) {
		return func(x *machine) {
			for i := range x.classes {
				if x.classes[i].name == name {
					x.classes[i].n = n
				}
			}
		}
	}
	part := func(names ...string) func(*machine) { // each core has its own
		return func(x *machine) {
			for i := range x.classes {
				if slices.Contains(names, x.classes[i].name) {
					x.classes[i].lines, x.classes[i].n = 0, 16*x.cores
				}
			}
		}
	}
	changes := []struct {
		name string
		f    func(*machine)
	}{
		{"as it is", func(*machine) {}},
		{"memory account by lane", part("tcp.Memory (line)")},
		{"lanes by core", func(x *machine) { x.apart = true }},
		{"ports in 64 parts", split("inet.portTable", 64)},
		{"registry by lane", part("socket.Registry")},
		{"a listener a core", part("inet.listener", "listener's counters (line)")},
		{"counters by lane, paths without a lock", part("tcpProto.timeWaits (line)", "Stack.prf (line)", "Stack.paths (line)")},
		{"1024 stripes", split("inet.connStripe", 1024)},
	}
	fmt.Fprintf(out, "\n| × one core, %d cores: alone, with all above |", cores)
	for _, w := range workloads[:5] {
		fmt.Fprintf(out, " %s |", w.name)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", 5))
	for i, c := range changes {
		fmt.Fprintf(out, "| %s |", c.name)
		for _, w := range workloads[:5] {
			one, err := m.at(w, 1, nil)
			if err != nil {
				return err
			}
			alone, _ := m.at(w, cores, c.f)
			above, _ := m.at(w, cores, func(x *machine) {
				for _, c := range changes[:i+1] {
					c.f(x)
				}
			})
			fmt.Fprintf(out, " %.1f, %.1f |", alone.ops/one.ops, above.ops/one.ops)
		}
		fmt.Fprintln(out)
	}
	return nil
}
