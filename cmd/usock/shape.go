package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"usock/link"
	"usock/shape"
)

// impairedMTU is what an impaired loopback link shows, unless told otherwise: the
// loss of one packet in a hundred means little where packets have 64 KiB.
const impairedMTU = 1500

// conditions is what is done to a host's links: they are made worse, and recorded.
type conditions struct {
	profile profileValue
	traces  []*traceValue // those that were given, and of both directions first
	options []*option     // those that were given
	shape   shape.Shape
	seed    seedValue
	mtu     mtuValue
	on      string // where the shape acts: onLoopback, onOutside or both

	recording
}

// impaired reports whether anything is done to packets.
func (s *conditions) impaired() bool {
	return s.profile.Name != "" || len(s.traces) > 0 || len(s.options) > 0
}

// option is one of the impairment's options as a flag, of both directions or of one.
type option struct {
	of        *conditions
	direction string // upward, downward or "": both
	name      string
	text      string
}

// What the names of one direction's flags begin with.
const (
	upward   = "up-"
	downward = "down-"
)

func (o *option) String() string { return o.text }
func (o *option) Type() string   { return "VALUE" }

func (o *option) Set(text string) error {
	if o.text == "" {
		o.of.options = append(o.of.options, o)
	}
	o.text = text
	var m link.Impairment
	err := m.Set(o.name, text)
	if cause := errors.Unwrap(err); cause != nil {
		return cause // without the option and its text, which the flag's error names
	}
	return err
}

// apply sets the option in the directions that it is of.
func (o *option) apply(up, down *link.Impairment) error {
	for _, m := range []struct {
		not string
		m   *link.Impairment
	}{{downward, up}, {upward, down}} {
		// A way that is cut stays so: a share of loss in its place would join it.
		if o.direction == m.not || o.name == "loss" && m.m.Loss == 1 && o.of.profile.Name != "" {
			continue
		}
		if o.name == "rate" {
			m.m.Trace = nil
		}
		if err := m.m.Set(o.name, o.text); err != nil {
			return err
		}
	}
	return nil
}

// profileValue is --profile.
type profileValue struct{ shape.Profile }

// String implements pflag.Value.
func (v *profileValue) String() string { return v.Name }

// Type implements pflag.Value.
func (v *profileValue) Type() string { return "NAME" }

// Set implements pflag.Value.
func (v *profileValue) Set(text string) error {
	p, err := shape.FindProfile(text)
	if err == nil {
		v.Profile = p
	}
	return err
}

func (s *conditions) flags(f *pflag.FlagSet) {
	s.recording.flags(f)
	f.Var(&s.profile, "profile", "be as the network of this `NAME`, such as slow-3g; usock profiles lists them, and the flags below win over it")
	for _, direction := range []string{"", upward, downward} {
		f.Var(&traceValue{of: s, direction: direction}, direction+traceFlag, traceUsage)
		f.Lookup(direction + traceFlag).Hidden = direction != ""
	}
	for _, o := range link.ImpairmentOptions() {
		f.Var(&option{of: s, name: o.Name}, o.Name, o.Usage)
		for _, direction := range []string{upward, downward} {
			// Shown once for all of them, in the help's text.
			f.Var(&option{of: s, direction: direction, name: o.Name}, direction+o.Name, "--"+o.Name+" of one direction")
			f.Lookup(direction + o.Name).Hidden = true
		}
	}
	f.Var(&s.seed, "seed", "of the random choices that --loss and others make, a `NUMBER`; without it, or 0: another one each time")
	f.Var(&s.mtu, "mtu", fmt.Sprintf("largest packet in `BYTES`, %d to %d; without it %d if the link is impaired", minMTU, maxMTU, impairedMTU))
}

// check makes the shape of the flags, and looks whether they fit together.
func (s *conditions) check() error {
	if err := s.readTraces(); err != nil {
		return err
	}
	if err := s.build(); err != nil {
		return fmt.Errorf("the link's flags do not fit together: %w (--help shows them)", err)
	}
	return s.recording.check()
}

// build makes the shape: the profile's, over which traces win, and over both the other flags: those that are of both directions, and
// over them those of one.
func (s *conditions) build() error {
	s.shape = s.profile.Shape
	s.shape.Course.Steps = slices.Clone(s.shape.Course.Steps)
	slices.SortStableFunc(s.options, func(a, b *option) int { return cmp.Compare(len(a.direction), len(b.direction)) })
	s.shape.OneWay = s.profile.Name == ""
	if err := s.applyTraces(); err != nil {
		return err
	}
	for _, o := range s.options {
		if err := o.apply(&s.shape.Up, &s.shape.Down); err != nil {
			return err
		}
		for i := range s.shape.Course.Steps {
			step := &s.shape.Course.Steps[i]
			if err := o.apply(&step.Up, &step.Down); err != nil {
				return err
			}
		}
		s.shape.OneWay = s.shape.OneWay && o.direction == ""
	}
	if err := s.tracesAct(); err != nil {
		return err
	}
	return s.shape.Check()
}

// open checks the flags and opens the recording's file.
func (s *conditions) open() error {
	if err := s.check(); err != nil {
		return err
	}
	if s.mtu == 0 && s.impaired() {
		s.mtu = impairedMTU
	}
	if s.seed == 0 {
		s.seed = seedValue(time.Now().UnixNano())
	}
	return s.recording.open()
}

// loopback returns the host's loopback link as the flags want it; nil if they want
// nothing.
func (s *conditions) loopback() func(link.Link) link.Link {
	c := s.config()
	c.Loopback = true
	return s.shaped(s.on != onOutside, c, link.Sent)
}

// outside returns the link to the gateway as the flags want it; nil if they want nothing.
func (s *conditions) outside() func(link.Link) link.Link {
	return s.shaped(s.on != onLoopback, s.config(), link.BothWays)
}

func (s *conditions) config() shape.Config {
	return shape.Config{Seed: uint64(s.seed), MTU: int(s.mtu)}
}

// shaped returns what makes a link as the flags want it, which act on it or do not; nil if
// they want nothing.
func (s *conditions) shaped(acts bool, c shape.Config, seen link.Directions) func(link.Link) link.Link {
	acts = acts && (s.impaired() || s.mtu != 0)
	if !acts && s.w == nil {
		return nil
	}
	return func(l link.Link) link.Link {
		if acts {
			i, err := shape.Impair(l, s.shape, c)
			if err != nil {
				panic(err) // open has checked the shape, and the links carry IP
			}
			l = i
		}
		if s.w != nil {
			l = link.Pcap(l, s.w, seen)
		}
		return l
	}
}
