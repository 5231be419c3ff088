package shape

import (
	"errors"
	"fmt"
	"time"

	"usock/link"
)

// Shape is what is done to a link. Its zero value does nothing.
//
// Up is the direction from those who begin: on a host's way to others what the host sends, on a loopback link what the side
// of a connection sends that has connected.
type Shape struct {
	Up, Down link.Impairment

	// OneWay says that on a loopback link Up is for all packets, and Down for none: one queue for both directions.
	OneWay bool

	// Course is how Up and Down change with time.
	Course Course

	// Rules are about some of the packets. They act before Up and Down, in their order, as pieces of the way that only
	// those packets pass: delays add up, and the slowest rate is what comes through.
	Rules []Rule
}

// Course is a sequence of impairments.
type Course struct {
	Steps []Step        // in the order of their times
	Every time.Duration // after which the steps begin again; 0: the last one lasts
}

// Step is what Up and Down are from a time on.
type Step struct {
	At       time.Duration // since the beginning, or since that of the course's turn
	Up, Down link.Impairment
}

// Check returns an error for a shape that makes no sense.
func (s *Shape) Check() error {
	if err := checkBoth(&s.Up, &s.Down); err != nil {
		return err
	}
	if err := s.Course.check(); err != nil {
		return err
	}
	if s.OneWay && s.Course.Steps != nil {
		return errors.New("a course has two directions")
	}
	if len(s.Rules) > MaxRules {
		return fmt.Errorf("%d rules: up to %d are possible", len(s.Rules), MaxRules)
	}
	for i := range s.Rules {
		if err := s.Rules[i].Check(); err != nil {
			return fmt.Errorf("rule %q: %w", &s.Rules[i], err)
		}
	}
	return nil
}

func checkBoth(up, down *link.Impairment) error {
	if err := up.Check(); err != nil {
		if *up == *down {
			return err
		}
		return fmt.Errorf("up: %w", err)
	}
	if err := down.Check(); err != nil {
		return fmt.Errorf("down: %w", err)
	}
	return nil
}

func (c *Course) check() error {
	last := time.Duration(-1)
	for i := range c.Steps {
		s := &c.Steps[i]
		if s.At <= last {
			return fmt.Errorf("the course's step at %v does not come after the one before", s.At)
		}
		last = s.At
		if err := checkBoth(&s.Up, &s.Down); err != nil {
			return fmt.Errorf("from %v: %w", s.At, err)
		}
	}
	switch {
	case c.Every < 0 || c.Every > 0 && c.Every <= last:
		return fmt.Errorf("the course begins again after %v, and its last step comes at %v", c.Every, last)
	case c.Every > 0 && len(c.Steps) == 0:
		return errors.New("a course without steps that begins again")
	}
	return nil
}

// at returns the step that holds at a time since the beginning, nil if none does yet, and when the next one comes; 0: never.
func (c *Course) at(t time.Duration) (now *Step, next time.Duration) {
	if len(c.Steps) == 0 {
		return nil, 0
	}
	turn := time.Duration(0)
	if c.Every > 0 {
		turn = t / c.Every * c.Every
	}
	if turn > 0 {
		now = &c.Steps[len(c.Steps)-1] // of the turn before, until the first step of this one
	}
	for i := range c.Steps {
		if s := &c.Steps[i]; turn+s.At > t {
			return now, turn + s.At
		} else {
			now = s
		}
	}
	if c.Every > 0 {
		return now, turn + c.Every + c.Steps[0].At
	}
	return now, 0
}
