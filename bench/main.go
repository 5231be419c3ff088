//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	workload, stack *regexp.Regexp
	runs            int
	time            time.Duration
	profile, trace  string

	cpus   []int   // the processors of what is measured on one and on two
	before string  // another binary of bench, which has usock before
	quiet  float64 // foreign load, in processors, above which a measurement is made again; 0: any will do
}

func run() error {
	var (
		o        options
		child    = flag.String("child", "", "measure this `task` in this process")
		workload = flag.String("workload", ".", "`regexp` of the workloads to run")
		stack    = flag.String("stack", ".", "`regexp` of the stacks to compare")
		jsonFile = flag.String("json", "", "write the measurements to this `file`")
		mdFile   = flag.String("md", "", "write the table to this `file`, in Markdown")
		with     = flag.String("with", "", "take what is not measured now from this earlier JSON `file`")
		svgDir   = flag.String("svg", "", "write the plots into this `directory`")
		cores    = flag.Bool("cores", false, "measure on one processor and on two: how each stack grows")
		cpus     = flag.String("cpus", "", "the two processors for that, `A,B`: the first alone, and both")
		looks    = flag.Bool("look", false, "look at the locks of another process, which standard input tells")
	)
	flag.StringVar(&o.before, "before", "", "with -cores: another `binary` of bench, built with usock before, to take turns with")
	flag.Float64Var(&o.quiet, "quiet", 0, "measure again, up to twice, what had more foreign `load` than so many processors; the quietest counts")
	flag.IntVar(&o.runs, "runs", 5, "how often each is measured")
	flag.DurationVar(&o.time, "time", time.Second, "how long each measurement takes")
	flag.StringVar(&o.profile, "cpuprofile", "", "`prefix` of files for CPU profiles")
	flag.StringVar(&o.trace, "trace", "", "`prefix` of files for execution traces")
	flag.Parse()
	if *child != "" {
		return serve(*child)
	}
	if *looks {
		return look()
	}
	err := usable(o.before)
	if err != nil {
		return err
	}
	if *cores && *svgDir != "" {
		return errors.New("-cores has no plots")
	}
	if o.cpus, err = processors(*cpus); err != nil {
		return err
	}
	if o.workload, err = regexp.Compile(*workload); err != nil {
		return err
	}
	if o.stack, err = regexp.Compile(*stack); err != nil {
		return err
	}
	measure := o.measure
	if *cores {
		measure = o.measureGrowth
	}
	report, err := measure()
	if err != nil {
		return err
	}
	if *with != "" {
		if err := report.load(*with); err != nil {
			return err
		}
	}
	fmt.Print(report.text())
	if *mdFile != "" {
		err = errors.Join(err, os.WriteFile(*mdFile, []byte(report.text()), 0o644))
	}
	if *jsonFile != "" {
		b, err2 := json.MarshalIndent(report, "", "\t")
		err = errors.Join(err, err2, os.WriteFile(*jsonFile, b, 0o644))
	}
	if *svgDir != "" {
		err = errors.Join(err, report.plot(*svgDir))
	}
	return err
}

// load takes an earlier report from a file.
func (r *Report) load(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var old Report
	if err := json.Unmarshal(b, &old); err != nil {
		return err
	}
	return r.take(&old)
}

// measure runs everything, in rounds.
func (o *options) measure() (*Report, error) {
	r := newReport(o)
	for i := range workloads {
		w := &workloads[i]
		if !o.workload.MatchString(w.name) {
			continue
		}
		runs := o.runs
		if w.runs > 0 {
			runs = min(runs, w.runs)
		}
		o.rounds(r, w, runs)
	}
	for round := range o.runs {
		for i := range limits {
			p := place{stack: "machine"}
			if limits[i].name == handover {
				p.cpus = o.cpus
			}
			o.child(r, &limits[i], p, round)
		}
	}
	o.settings(r, o.stacks())
	return r, nil
}

// stacks returns the names of those that are to be compared.
func (o *options) stacks() (names []string) {
	for _, s := range stacks {
		if o.stack.MatchString(s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

// rounds measures a workload on all stacks. What a newcomer gets is a matter of two
// processors, all else may have what the machine has.
func (o *options) rounds(r *Report, w *workload, runs int) {
	names := o.stacks()
	for round := range runs {
		for k := range names {
			p := place{stack: names[(round+k)%len(names)]}
			if w.name == fairness {
				p.cpus = o.cpus
			}
			o.child(r, w, p, round)
		}
	}
}

// place says where and how a task is carried out.
type place struct {
	stack string
	key   string // of the figures; "": the stack's name
	cpus  []int  // the processors; nil: all
	exe   string // the binary; "": this one
	locks bool   // look at the locks, and note nothing else
}

// again is how often a measurement is made at most that had too much foreign load.
const again = 3

// child has a process of its own measure w once and notes what it found.
func (o *options) child(r *Report, w *workload, p place, round int) {
	stack := p.stack
	t := Task{Stack: stack, Workload: w.name, Time: o.time, Locks: p.locks}
	if stack == beforeStack {
		t.Stack, p.exe = stacks[0].name, o.before
	}
	if p.key == "" {
		p.key = stack
	}
	if w.topology == programsOnly {
		var err error
		if t.Command, err = command(); err != nil {
			r.Failures = append(r.Failures, fmt.Sprintf("%s: building cmd/usock: %v", w.title, err))
			return
		}
	}
	if o.profile != "" {
		t.Profile = fmt.Sprintf("%s%s-%s.pprof", o.profile, w.name, stack)
	}
	if o.trace != "" {
		t.Trace = fmt.Sprintf("%s%s-%s.trace", o.trace, w.name, stack)
	}
	res, load, err := t.spawn(p)
	for i := 1; i < again && err == nil && o.quiet > 0 && load > o.quiet; i++ {
		res2, load2, err2 := t.spawn(p)
		if err2 == nil && load2 < load {
			res, load = res2, load2
		}
	}
	switch {
	case err == nil && p.locks:
		r.addLocks(w, res)
	case err == nil:
		x := r.add(w, p.key, res)
		x.Foreign[p.key] = append(x.Foreign[p.key], load)
		fmt.Fprintf(os.Stderr, "%-14s %-12s %2d  %12.4g %-6s beside %.2f\n", w.name, p.key, round+1, res.Value, w.unit, load)
	case strings.Contains(err.Error(), errNotServed.Error()):
	default:
		r.Failures = append(r.Failures, fmt.Sprintf("%s, %s: %v", w.title, p.key, err))
		fmt.Fprintf(os.Stderr, "%-14s %-12s %2d  failed: %v\n", w.name, p.key, round+1, err)
	}
}

// patience is how long a child may take for everything besides its measurement.
const patience = 4 * time.Minute

// spawn carries the task out in a child process, which has a network namespace of
// its own, and returns the foreign load that it had beside it.
func (t Task) spawn(p place) (r Result, load float64, err error) {
	arg, err := json.Marshal(t)
	if err != nil {
		return r, 0, err
	}
	if p.exe == "" {
		p.exe = "/proc/self/exe"
	}
	cmd := exec.Command(p.exe, "-child", string(arg))
	var out bytes.Buffer
	var errors strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	timer := time.AfterFunc(patience+t.Time, func() {
		if cmd.Process != nil {
			cmd.Process.Kill()
		}
	})
	defer timer.Stop()
	begin, before := time.Now(), busyNow(p.cpus)
	if err = start(cmd, p.cpus); err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return r, 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(errors.String()))
	}
	own := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	load = foreign(busyNow(p.cpus)-before, own, time.Since(begin))
	return r, load, json.Unmarshal(out.Bytes(), &r)
}

// start starts a process on the processors; nil: on all. A process begins with those of
// the thread that starts it, as taskset(1) has it.
func start(cmd *exec.Cmd, cpus []int) error {
	if cpus == nil {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	for _, n := range cpus {
		some.Set(n)
	}
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", len(cpus)))
	err := cmd.Start()
	return errors.Join(err, unix.SchedSetaffinity(0, &all))
}

// serve is the child's part.
func serve(arg string) error {
	var t Task
	if err := json.Unmarshal([]byte(arg), &t); err != nil {
		return err
	}
	r, err := t.do()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// record begins a CPU profile or an execution trace into the file, unless its name
// is empty.
func record(name string, start func(io.Writer) error, stop func()) (func(), error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := start(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		stop()
		f.Close()
	}, nil
}
