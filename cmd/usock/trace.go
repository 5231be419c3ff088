package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"usock/link"
	"usock/shape"
)

const (
	traceFlag  = "trace"
	traceUsage = "be as this `FILE` says, in each direction, or in one with --up-trace or --down-trace: mahimahi's (each line is the millisecond at which 1,500 bytes may leave), or CSV or JSON of time, rate, delay and loss; it wins over a profile"
)

// traceValue is --trace, --up-trace or --down-trace.
type traceValue struct {
	of        *wishes
	direction string // upward, downward or "": both
	name      string // of the file
	trace     *shape.Trace
}

// String implements pflag.Value.
func (v *traceValue) String() string { return v.name }

// Type implements pflag.Value.
func (v *traceValue) Type() string { return "FILE" }

// Set implements pflag.Value.
func (v *traceValue) Set(name string) error {
	if name == "" {
		return errors.New("no file is named; give one of mahimahi's, or of CSV or JSON")
	}
	if v.name == "" {
		v.of.traces = append(v.of.traces, v)
	}
	v.name = name
	return nil
}

// read reads the file.
func (v *traceValue) read() error {
	f, err := os.Open(v.name)
	if err != nil {
		return v.fail(withoutName(err))
	}
	defer f.Close()
	if v.trace, err = shape.ParseTrace(f); err != nil {
		return v.fail(withoutName(err))
	}
	return nil
}

// readTraces reads the files of all traces.
func (w *wishes) readTraces() error {
	for _, v := range w.traces {
		if err := v.read(); err != nil {
			return err
		}
	}
	return nil
}

// withoutName is what is wrong with a file whose name is said by who tells.
func withoutName(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// directions are those that the trace is for.
func (v *traceValue) directions() link.Directions {
	switch v.direction {
	case upward:
		return link.Sent
	case downward:
		return link.Received
	}
	return link.BothWays
}

// applyTraces has s be as the traces say: those of both directions first.
func (w *wishes) applyTraces(s *shape.Shape) error {
	slices.SortStableFunc(w.traces, func(a, b *traceValue) int { return cmp.Compare(len(a.direction), len(b.direction)) })
	for _, v := range w.traces {
		if err := v.trace.Apply(s, v.directions()); err != nil {
			return v.fail(err)
		}
	}
	return nil
}

func (v *traceValue) fail(err error) error {
	return fmt.Errorf("--%s%s %s: %w", v.direction, traceFlag, v.name, err)
}

// tracesAct looks whether the flags that win over a trace leave something of it in s.
func (w *wishes) tracesAct(s *shape.Shape) error {
	for _, v := range w.traces {
		t := v.trace.Opportunities()
		if t != nil && s.Up.Trace != t && s.Down.Trace != t {
			return v.fail(errors.New("other flags win over all of it, a rate or another trace; leave them out, or it"))
		}
	}
	return nil
}
