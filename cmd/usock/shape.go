package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"usock/link"
)

// impairedMTU is what an impaired loopback link shows, unless told otherwise: the
// loss of one packet in a hundred means little where packets have 64 KiB.
const impairedMTU = 1500

// shape is what is done to a host's links: they are made worse, and recorded.
type shape struct {
	impairment link.Impairment
	impaired   bool
	texts      map[string]string // the impairment's options, as they were given
	seed       seedValue
	mtu        mtuValue
	on         string // where the impairment acts: onLoopback, onOutside or both

	recording
}

// option is one of the impairment's options as a flag.
type option struct {
	shape *shape
	name  string
	text  string
}

func (o *option) String() string { return o.text }
func (o *option) Type() string   { return "VALUE" }

func (o *option) Set(text string) error {
	o.text, o.shape.impaired = text, true
	if o.shape.texts == nil {
		o.shape.texts = make(map[string]string)
	}
	o.shape.texts[o.name] = text
	err := o.shape.impairment.Set(o.name, text)
	if cause := errors.Unwrap(err); cause != nil {
		return cause // without the option and its text, which the flag's error names
	}
	return err
}

func (s *shape) flags(f *pflag.FlagSet) {
	s.recording.flags(f)
	for _, o := range link.ImpairmentOptions() {
		f.Var(&option{shape: s, name: o.Name}, o.Name, o.Usage)
	}
	f.Var(&s.seed, "seed", "of the random choices that --loss and others make, a `NUMBER`; without it, or 0: another one each time")
	f.Var(&s.mtu, "mtu", fmt.Sprintf("largest packet in `BYTES`, %d to %d; without it %d if the link is impaired", minMTU, maxMTU, impairedMTU))
}

// check looks whether the flags fit together.
func (s *shape) check() error {
	if err := s.impairment.Check(); err != nil {
		return fmt.Errorf("the link's flags do not fit together: %w (--help shows them)", err)
	}
	return s.recording.check()
}

// open checks the flags and opens the recording's file.
func (s *shape) open() error {
	if err := s.check(); err != nil {
		return err
	}
	if s.mtu == 0 && s.impaired {
		s.mtu = impairedMTU
	}
	if s.seed == 0 {
		s.seed = seedValue(time.Now().UnixNano())
	}
	return s.recording.open()
}

// loopback returns the host's loopback link as the flags want it; nil if they want
// nothing.
func (s *shape) loopback() func(link.Link) link.Link {
	return s.shaped(s.on != onOutside, link.ImpairConfig{Out: s.impairment, Seed: uint64(s.seed), MTU: int(s.mtu)}, link.Sent)
}

// outside returns the link to the gateway as the flags want it; nil if they want nothing.
func (s *shape) outside() func(link.Link) link.Link {
	return s.shaped(s.on != onLoopback, link.ImpairConfig{Out: s.impairment, In: s.impairment, Seed: uint64(s.seed), MTU: int(s.mtu)}, link.BothWays)
}

// shaped returns what makes a link as the flags want it, which act on it or do not; nil if
// they want nothing.
func (s *shape) shaped(acts bool, c link.ImpairConfig, seen link.Directions) func(link.Link) link.Link {
	acts = acts && (s.impaired || s.mtu != 0)
	if !acts && s.w == nil {
		return nil
	}
	return func(l link.Link) link.Link {
		if acts {
			i, err := link.Impair(l, c)
			if err != nil {
				panic(err) // open has checked the impairment, and the links carry IP
			}
			l = i
		}
		if s.w != nil {
			l = link.Pcap(l, s.w, seen)
		}
		return l
	}
}
