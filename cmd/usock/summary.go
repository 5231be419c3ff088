package main

import (
	"fmt"
	"io"
	"time"

	"usock"
	"usock/gateway"
	"usock/inspect"
	"usock/internal/control"
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

// print tells of the run, whose host is open still, as is its way to the outside; nil: it has none.
func (s *summary) print(w io.Writer, h *usock.Host, g *gateway.Gateway) {
	if s == nil {
		return
	}
	lines := s.all.Lines(h)
	if g != nil {
		o := g.Outside()
		lines = append(lines, outsideLines(&o)...)
	}
	for _, line := range lines {
		tell(w, line)
	}
}

// outsideLines tell of name servers, and of peers outside that were slow.
func outsideLines(o *gateway.Outside) (lines []string) {
	if o.Asked > 0 {
		what := "the slowest answer took"
		if o.NoAnswer {
			what = "the slowest has none after"
		}
		lines = append(lines, fmt.Sprintf("names: %d asked for, %d answered; %s %v: %s, by %v", o.Asked, o.Answered, what,
			o.Slowest.Round(time.Millisecond), control.Printable(o.Name), o.Server))
	}
	if o.Full > 0 {
		lines = append(lines, fmt.Sprintf("outside: no room for what was sent for %v, most of it %v to %v", o.Full.Round(time.Millisecond),
			o.Fullest.Round(time.Millisecond), o.FullestPeer))
	}
	return lines
}
