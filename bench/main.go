//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
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
	)
	flag.IntVar(&o.runs, "runs", 5, "how often each is measured")
	flag.DurationVar(&o.time, "time", time.Second, "how long each measurement takes")
	flag.StringVar(&o.profile, "cpuprofile", "", "`prefix` of files for CPU profiles")
	flag.StringVar(&o.trace, "trace", "", "`prefix` of files for execution traces")
	flag.Parse()
	if *child != "" {
		return serve(*child)
	}
	var err error
	if o.workload, err = regexp.Compile(*workload); err != nil {
		return err
	}
	if o.stack, err = regexp.Compile(*stack); err != nil {
		return err
	}
	report, err := o.measure()
	if err != nil {
		return err
	}
	if *with != "" {
		if err := report.load(*with); err != nil {
			return err
		}
	}
	fmt.Print(report.table())
	if *mdFile != "" {
		err = errors.Join(err, os.WriteFile(*mdFile, []byte(report.table()), 0o644))
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
		for round := range runs {
			for k := range stacks {
				s := stacks[(round+k)%len(stacks)].name
				if o.stack.MatchString(s) {
					o.child(r, w, s, round)
				}
			}
		}
	}
	for round := range o.runs {
		for i := range limits {
			o.child(r, &limits[i], "machine", round)
		}
	}
	return r, nil
}

// child has a process of its own measure w once and notes what it found.
func (o *options) child(r *Report, w *workload, stack string, round int) {
	t := Task{Stack: stack, Workload: w.name, Time: o.time}
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
	res, err := t.spawn()
	switch {
	case err == nil:
		r.add(w, stack, res)
		fmt.Fprintf(os.Stderr, "%-14s %-8s %2d  %12.4g %s\n", w.name, stack, round+1, res.Value, w.unit)
	case strings.Contains(err.Error(), errNotServed.Error()):
	default:
		r.Failures = append(r.Failures, fmt.Sprintf("%s, %s: %v", w.title, stack, err))
		fmt.Fprintf(os.Stderr, "%-14s %-8s %2d  failed: %v\n", w.name, stack, round+1, err)
	}
}

// patience is how long a child may take for everything besides its measurement.
const patience = 4 * time.Minute

// spawn carries the task out in a child process, which has a network namespace of
// its own.
func (t Task) spawn() (Result, error) {
	arg, err := json.Marshal(t)
	if err != nil {
		return Result{}, err
	}
	cmd := exec.Command("/proc/self/exe", "-child", string(arg))
	var errors strings.Builder
	cmd.Stderr = &errors
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	timer := time.AfterFunc(patience+t.Time, func() {
		if cmd.Process != nil {
			cmd.Process.Kill()
		}
	})
	defer timer.Stop()
	out, err := cmd.Output()
	if err != nil {
		return Result{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(errors.String()))
	}
	var r Result
	return r, json.Unmarshal(out, &r)
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
