package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"usock/clock"
	"usock/gateway"
	"usock/link"
	"usock/shape"
)

// impairedMTU is what an impaired loopback link shows, unless told otherwise: the
// loss of one packet in a hundred means little where packets have 64 KiB.
const impairedMTU = 1500

// conditions is what is done to a host's links: they are made worse, and recorded.
type conditions struct {
	wishes
	shape shape.Shape // of the wishes at the start
	seed  seedValue
	mtu   mtuValue
	clock *clock.Precise // of the shape; nil: the host's
	calls strikes        // what strikes at programs' calls
	on    string         // where the shape acts: onLoopback, onOutside or both
	links shapedLinks
	seen  func(netip.Addr, string) // is told of the names of addresses; nil: nobody is

	recording
}

// wishes are what flags, or usock set, say is to be done to packets.
type wishes struct {
	profile profileValue
	traces  []*traceValue // those that were given
	options []*option     // those that were given
	rules   shapeRules
	faults  faultList
	script  scriptValue
	since   shapeRules // those that usock set has added
}

// strikers are the faults, those of the script first.
func (w *wishes) strikers() []shape.Fault { return slices.Concat(w.script.Faults, w.faults.list) }

// impaired reports whether anything is done to packets.
func (w *wishes) impaired() bool {
	return w.profile.Name != "" || w.script.name != "" && !w.script.spares() || len(w.traces)+len(w.options)+len(w.rules.list)+len(w.since.list) > 0
}

// option is one of the impairment's options as a flag, of both directions or of one.
type option struct {
	of        *wishes
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

// compare orders options as they are applied: those of both directions first, each by its place in the help.
func (o *option) compare(p *option) int {
	place := func(o *option) int {
		return slices.IndexFunc(link.ImpairmentOptions(), func(x link.ImpairmentOption) bool { return x.Name == o.name })
	}
	return cmp.Or(cmp.Compare(len(o.direction), len(p.direction)), cmp.Compare(place(o), place(p)))
}

// apply sets the option in the directions that it is of.
func (o *option) apply(up, down *link.Impairment) error {
	for _, m := range []struct {
		not string
		m   *link.Impairment
	}{{downward, up}, {upward, down}} {
		// A way that is cut stays so: a share of loss in its place would join it.
		if o.direction == m.not || o.name == "loss" && m.m.Loss == 1 && (o.of.profile.Name != "" || o.of.script.changes()) {
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

const profileFlag = "profile"

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
	f.Var(&s.profile, profileFlag, "be as the network of this `NAME`, such as slow-3g; usock profiles lists them, and the flags below win over it")
	for _, direction := range []string{"", upward, downward} {
		f.Var(&traceValue{of: &s.wishes, direction: direction}, direction+traceFlag, traceUsage)
		f.Lookup(direction + traceFlag).Hidden = direction != ""
	}
	for _, o := range link.ImpairmentOptions() {
		f.Var(&option{of: &s.wishes, name: o.Name}, o.Name, o.Usage)
		for _, direction := range []string{upward, downward} {
			// Shown once for all of them, in the help's text.
			f.Var(&option{of: &s.wishes, direction: direction, name: o.Name}, direction+o.Name, "--"+o.Name+" of one direction")
			f.Lookup(direction + o.Name).Hidden = true
		}
	}
	f.Var(&s.rules, "rule", "do something to some of the packets, as a `RULE` says: 'udp: delay 200ms', 'to api.test:443 from 10s until 20s: loss 30%', 'process curl connection 2: cut'")
	f.Var(&s.faults, "fault", "what goes wrong at the program's calls, a `TEXT` such as 'connect refused to api.test:443 at 10%'; once for each, see usock run --help")
	f.Var(&s.script, "script", "do what this `FILE` says: rules, faults and how the link changes, a line each, checked before the start (usock check)")
	f.Var(&s.seed, "seed", "of the random choices that --loss and others make, a `NUMBER`; without it, or 0: another one each time")
	f.Var(&s.mtu, "mtu", fmt.Sprintf("largest packet in `BYTES`, %d to %d; without it %d if the link is impaired", minMTU, maxMTU, impairedMTU))
}

// check makes the shape of the flags, and looks whether they fit together.
func (s *conditions) check() error {
	err := cmp.Or(s.script.read(), s.readTraces())
	if err != nil {
		return err
	}
	if s.shape, err = s.build(); err == nil {
		err = s.tracesAct(&s.shape)
	}
	if err != nil {
		return fmt.Errorf("the link's flags do not fit together: %w (--help shows them)", err)
	}
	return s.recording.check()
}

// build makes the shape: the profile's or the script's, over which traces win, and over both the options: those that are of both
// directions, and over them those of one.
func (w *wishes) build() (shape.Shape, error) {
	s := w.profile.Shape
	if w.script.changes() {
		if w.profile.Name != "" {
			return s, fmt.Errorf("--profile %s says what the link is, and so does %s; its line would be profile %s", w.profile.Name, w.script.name, w.profile.Name)
		}
		s.Up, s.Down, s.Course = w.script.Shape.Up, w.script.Shape.Down, w.script.Shape.Course
	}
	s.OneWay = w.profile.Name == "" && !w.script.changes()
	slices.SortFunc(w.options, (*option).compare)
	if err := w.applyTraces(&s); err != nil {
		return s, err
	}
	for _, o := range w.options {
		if err := s.Each(o.apply); err != nil {
			return s, err
		}
		s.OneWay = s.OneWay && o.direction == ""
	}
	if n := len(w.strikers()); n > shape.MaxFaults {
		return s, fmt.Errorf("%d faults: up to %d are possible", n, shape.MaxFaults)
	}
	s.Rules = slices.Concat(s.Rules, w.script.Shape.Rules, w.rules.list, w.since.list)
	return s, s.Check()
}

// String returns the wishes as flags, in the order in which they are applied; "" for none.
func (w *wishes) String() string {
	words := w.links()
	for _, f := range w.faults.list {
		words = append(words, "--fault "+quoted(f.String()))
	}
	return strings.Join(words, " ")
}

// links returns those about packets.
func (w *wishes) links() (words []string) {
	if w.profile.Name != "" {
		words = append(words, "--profile "+w.profile.Name)
	}
	if w.script.name != "" {
		words = append(words, "--script "+w.script.name)
	}
	for _, v := range w.traces {
		words = append(words, "--"+v.direction+traceFlag+" "+v.name)
	}
	for _, o := range w.options {
		words = append(words, "--"+o.direction+o.name+" "+o.text)
	}
	for _, r := range slices.Concat(w.rules.list, w.since.list) {
		words = append(words, "--rule "+quoted(r.String()))
	}
	return words
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

// exact has a shape take its time from a precise clock, which is not virtual in testing/synctest. Without one, delays are up to a
// millisecond longer.
func (s *conditions) exact() {
	if s.clock == nil {
		s.clock, _ = clock.NewPrecise()
	}
}

// close ends the recording, and the clock.
func (s *conditions) close() error {
	err := s.recording.close()
	if s.clock != nil {
		s.clock.Close()
	}
	return err
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
	c := shape.Config{Seed: uint64(s.seed), MTU: int(s.mtu)}
	if s.clock != nil {
		c.Clock = s.clock
	}
	c.Suffixes, c.Dots = gateway.Search()
	return c
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
			l = s.impair(l, s.shape, c)
		} else if s.on == onBoth || c.Loopback == (s.on == onLoopback) {
			c.Standby = true // below the recording, so that it has what a shape to come loses
			l = s.impair(l, shape.Shape{OneWay: true}, c)
		}
		if s.w != nil {
			l = link.Pcap(l, s.w, seen)
		}
		return l
	}
}

// impair makes a link that can be shaped.
func (s *conditions) impair(l link.Link, first shape.Shape, c shape.Config) *shape.Link {
	i, err := shape.Impair(l, first, c)
	if err != nil {
		panic(err) // the shape has been checked, and the links carry IP
	}
	s.links.add(l.Info().Name, i)
	return i
}
