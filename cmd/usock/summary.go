package main

import (
	"fmt"
	"io"

	"usock"
	"usock/inspect"
	"usock/run"
)

// summary is what --summary tells of a run at its end; nil: it was not asked for.
type summary struct{ all inspect.Summary }

// watch has the host tell of what has ended.
func (s *summary) watch(c *usock.Config) {
	if s != nil {
		c.Ended = s.all.Ended
	}
}

// name has the run tell the names of programs, besides to whom it tells them already.
func (s *summary) name(o *run.Options) {
	if s == nil {
		return
	}
	also := o.Named
	o.Named = func(pid int32, name string) {
		s.all.Named(pid, name)
		if also != nil {
			also(pid, name)
		}
	}
}

// print tells of the run, whose host is open still.
func (s *summary) print(w io.Writer, h *usock.Host) {
	if s == nil {
		return
	}
	for _, line := range s.all.Lines(h) {
		fmt.Fprintln(w, "usock:", line)
	}
}
