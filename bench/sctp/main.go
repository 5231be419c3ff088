//go:build linux

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime/pprof"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sctp:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	way, work   *regexp.Regexp
	runs        int
	time        time.Duration
	md, profile string
}

func run() error {
	var (
		o     options
		child = flag.String("child", "", "measure this `task` in this process")
		way   = flag.String("way", ".", "`regexp` of the ways to measure")
		work  = flag.String("work", ".", "`regexp` of the work to measure")
	)
	flag.IntVar(&o.runs, "runs", 5, "how often each is measured")
	flag.DurationVar(&o.time, "time", time.Second, "how long each measurement takes")
	flag.StringVar(&o.md, "md", "", "write the table to this `file` as well")
	flag.StringVar(&o.profile, "cpuprofile", "", "`prefix` of files for CPU profiles of the ways that are in Go")
	flag.Parse()
	if *child != "" {
		return serve(*child)
	}
	var err error
	if o.way, err = regexp.Compile(*way); err != nil {
		return err
	}
	if o.work, err = regexp.Compile(*work); err != nil {
		return err
	}
	defer removeUsrsctp()
	r := o.measure()
	text := r.table()
	fmt.Print(text)
	if o.md != "" {
		return os.WriteFile(o.md, []byte(text), 0o644)
	}
	return nil
}

// task is what a child process is asked to measure.
type task struct {
	Way, Work string
	Time      time.Duration
	Profile   string // file for a CPU profile; "": none
}

// result is what it found.
type result struct {
	Value    float64            // in the work's unit
	More     map[string]float64 `json:",omitempty"` // what else was counted
	Settings string
}

// measure runs everything, in rounds.
func (o *options) measure() *report {
	r := newReport(o)
	for i := range works {
		k := &works[i]
		if !o.work.MatchString(k.name) {
			continue
		}
		for round := range o.runs {
			for n := range ways {
				w := &ways[(round+n)%len(ways)]
				if !o.way.MatchString(w.name) || k.only != "" && k.only != w.name {
					continue
				}
				t := task{Way: w.name, Work: k.name, Time: o.time}
				if o.profile != "" {
					t.Profile = fmt.Sprintf("%s-%s-%s-%d", o.profile, w.name, k.name, round)
				}
				r.add(k, w, t)
			}
		}
	}
	return r
}

// spawn measures in a process of its own.
func (t task) spawn() (res result, err error) {
	b, err := json.Marshal(t)
	if err != nil {
		return res, err
	}
	self, err := os.Executable()
	if err != nil {
		return res, err
	}
	out, err := output(exec.Command(self, "-child", string(b)), t.Time)
	if err == nil {
		err = json.Unmarshal(out, &res)
	}
	return res, err
}

// output runs a command, which takes a measurement's time and what is around it.
func output(c *exec.Cmd, measured time.Duration) ([]byte, error) {
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Start(); err != nil {
		return nil, err
	}
	const around = 20 * time.Second
	late := time.AfterFunc(measured+around, func() { c.Process.Kill() })
	defer late.Stop()
	if err := c.Wait(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	return []byte(out.String()), nil
}

// serve measures in this process.
func serve(text string) error {
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return err
	}
	if t.Profile != "" {
		f, err := os.Create(t.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	res, err := t.do()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(res)
}

// do carries a task out.
func (t task) do() (result, error) {
	k, w := findWork(t.Work), findWay(t.Way)
	if k == nil || w == nil {
		return result{}, fmt.Errorf("no work %q by way %q", t.Work, t.Way)
	}
	s, err := w.open(k.prompt)
	if err != nil {
		return result{}, err
	}
	res, err := k.run(s, t.Time)
	res.Settings = s.settings()
	return res, err
}
