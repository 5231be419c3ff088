package shape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"usock/link"
)

// What a file of a trace has at most.
const (
	maxTraceBytes = 128 << 20
	maxTraceRows  = 100_000
)

// Trace is how a network was, or is to be, as a file says. There are three kinds:
//
// Mahimahi's: each line is a time in milliseconds since the beginning, at which 1,500 bytes of IP may leave (link.Trace); after
// the last one it begins again.
//
// CSV: a line of names, and then one for each time from which on something else holds. The names are time, rate, delay, jitter,
// loss and limit, each but time also with up_ or down_ before it, for one direction, and each with a unit behind it for values
// that have none: rate_mbit, down_delay_ms. Without a unit anywhere, time is in seconds, rate in bits a second, delay and jitter in
// milliseconds, loss a share of 1, and limit in packets. Delay is that of one way. A rate of 0 stops the link: packets wait. An
// empty value is the one before. The last line holds from then on; or it is a time and the word repeat, at which the trace begins
// again.
//
// JSON: an array of objects with the same names and values; at the end there may be {"time": 60, "repeat": true}.
type Trace struct {
	opportunities *link.Trace // mahimahi's; nil: rows
	rows          []traceRow
	every         time.Duration // after which the rows begin again; 0: the last one lasts
}

// traceRow is what holds from a time on.
type traceRow struct {
	at    time.Duration
	cells []cell
}

// cell is a value of an option of one direction, or both.
type cell struct {
	column
	text string // as link.Impairment.Set has it; of a rate, stopped too
}

// stopped is the rate at which nothing leaves.
const stopped = "0"

// ParseTrace reads a trace. Its content tells the kind. Errors are about a line and a column.
func ParseTrace(r io.Reader) (*Trace, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTraceBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxTraceBytes:
		return nil, fmt.Errorf("more than %d MiB, which is as large as a trace can be", maxTraceBytes>>20)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	first, _, _ := bytes.Cut(bytes.TrimLeft(text, " \t\r\n"), []byte("\n"))
	switch first = bytes.TrimSpace(first); {
	case len(first) == 0:
		return nil, errors.New("nothing is in it; a trace is mahimahi's (a time in ms on each line), CSV or JSON")
	case first[0] == '[' || first[0] == '{':
		return parseJSON(text)
	case strings.IndexByte("0123456789-+.", first[0]) >= 0 && bytes.IndexByte(first, ',') < 0:
		return parseMahimahi(text)
	}
	return parseCSV(text)
}

// Opportunities returns mahimahi's trace, nil if the trace is of another kind.
func (t *Trace) Opportunities() *link.Trace { return t.opportunities }

// Apply has the directions of s be as the trace says, link.Sent being up, in place of the rate and of what else the trace speaks of.
func (t *Trace) Apply(s *Shape, to link.Directions) error {
	if to != link.BothWays && t.oneSided() {
		return errors.New("it names directions itself, in its columns; give it for both")
	}
	s.OneWay = false
	if t.opportunities != nil {
		set := func(up, down *link.Impairment) {
			for _, m := range pick(up, down, to) {
				m.Rate, m.Trace = 0, t.opportunities
			}
		}
		set(&s.Up, &s.Down)
		s.Course.Steps = slices.Clone(s.Course.Steps) // others may have them, too
		for i := range s.Course.Steps {
			set(&s.Course.Steps[i].Up, &s.Course.Steps[i].Down)
		}
		return nil
	}
	c, err := t.course(s.Up, s.Down, to)
	if err != nil {
		return err
	}
	if len(s.Course.Steps) > 0 {
		return s.join(c, to)
	}
	s.Course = c
	return nil
}

// pick returns those of the two that are meant.
func pick(up, down *link.Impairment, which link.Directions) (list []*link.Impairment) {
	if which&link.Sent != 0 {
		list = append(list, up)
	}
	if which&link.Received != 0 {
		list = append(list, down)
	}
	return list
}

// oneSided reports whether a column is about one direction.
func (t *Trace) oneSided() bool {
	for _, r := range t.rows {
		for _, c := range r.cells {
			if c.of != link.BothWays {
				return true
			}
		}
	}
	return false
}

// course returns the rows as steps, that begin with up and down.
func (t *Trace) course(up, down link.Impairment, to link.Directions) (c Course, err error) {
	c.Every = t.every
	ups, downs := running{Impairment: up}, running{Impairment: down}
	for _, r := range t.rows {
		for _, x := range r.cells {
			for _, m := range [...]struct {
				of link.Directions
				*running
			}{{link.Sent, &ups}, {link.Received, &downs}} {
				if m.of&to&x.of == 0 {
					continue
				}
				if err := m.set(x.option, x.text); err != nil {
					return Course{}, err
				}
			}
		}
		c.Steps = append(c.Steps, Step{At: r.at, Up: ups.step(), Down: downs.step()})
	}
	return c, nil
}

// running is what holds in one direction while rows are gone through.
type running struct {
	link.Impairment
	stopped bool
}

func (r *running) set(option, text string) error {
	if option != "rate" {
		return r.Impairment.Set(option, text)
	}
	r.Trace, r.stopped = nil, text == stopped
	if r.stopped {
		return nil // the rate before has made the queue, which stays
	}
	return r.Impairment.Set(option, text)
}

// step returns what holds now.
func (r *running) step() link.Impairment {
	m := r.Impairment
	if !r.stopped {
		return m
	}
	if m.Limit == (link.Amount{}) {
		m.Limit = link.DefaultLimit(m.Rate)
	}
	m.Rate, m.Trace = 0, standstill
	return m
}

// standstill is a link on which nothing leaves: its first opportunity is a week hence.
var standstill = func() *link.Trace {
	t, err := link.NewTrace([]time.Duration{link.MaxTracePeriod})
	if err != nil {
		panic(err)
	}
	return t
}()

// join has one direction be as the course c says, and the other one stay as it is.
func (s *Shape) join(c Course, of link.Directions) error {
	old := s.Course
	switch {
	case of == link.BothWays:
		return errors.New("there is another course already, and both directions cannot have two")
	case old.Every != c.Every || c.Every > 0 && old.Steps[0].At != c.Steps[0].At:
		return errors.New("the other direction has a course that begins again at another time, and they share one")
	}
	joined, now := Course{Every: c.Every}, Step{Up: s.Up, Down: s.Down}
	for i, k := 0, 0; i < len(old.Steps) || k < len(c.Steps); {
		now.At = min(timeOf(old.Steps, i), timeOf(c.Steps, k))
		for _, from := range []struct {
			steps []Step
			next  *int
			of    link.Directions
		}{{old.Steps, &i, link.BothWays &^ of}, {c.Steps, &k, of}} {
			if timeOf(from.steps, *from.next) != now.At {
				continue
			}
			step := &from.steps[*from.next]
			*from.next++
			if from.of == link.Sent {
				now.Up = step.Up
			} else {
				now.Down = step.Down
			}
		}
		joined.Steps = append(joined.Steps, now)
	}
	s.Course = joined
	return nil
}

// timeOf returns when a step is, of one that is not there never.
func timeOf(steps []Step, i int) time.Duration {
	if i == len(steps) {
		return math.MaxInt64
	}
	return steps[i].At
}
