package main

import (
	"fmt"
	"os"
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
	seed       uint64
	mtu        int
	pcap       string
	on         string // where the impairment acts: onLoopback, onOutside or both

	file *os.File
	w    *link.PcapWriter
}

// option is one of the impairment's options as a flag.
type option struct {
	shape *shape
	name  string
	text  string
}

func (o *option) String() string { return o.text }
func (o *option) Type() string   { return "value" }

func (o *option) Set(text string) error {
	o.text, o.shape.impaired = text, true
	return o.shape.impairment.Set(o.name, text)
}

func (s *shape) flags(f *pflag.FlagSet) {
	f.StringVar(&s.pcap, "pcap", "", "record all packets to this `file`, in pcapng")
	for _, o := range link.ImpairmentOptions() {
		f.Var(&option{shape: s, name: o.Name}, o.Name, o.Usage)
	}
	f.Uint64Var(&s.seed, "seed", 0, "of the random choices that --loss and others make; 0: a different one each time")
	f.IntVar(&s.mtu, "mtu", 0, fmt.Sprintf("largest packet in bytes; %d if the link is impaired", impairedMTU))
}

// open checks the flags and begins the recording.
func (s *shape) open() error {
	if err := s.impairment.Check(); err != nil {
		return fmt.Errorf("the link's flags do not fit together: %w (--help shows them)", err)
	}
	if s.mtu != 0 && s.mtu < 1280 {
		return fmt.Errorf("--mtu %d: IPv6 needs 1280 bytes; give 1280 or more", s.mtu)
	}
	if s.mtu == 0 && s.impaired {
		s.mtu = impairedMTU
	}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	if s.pcap == "" {
		return nil
	}
	var err error
	if s.file, err = os.Create(s.pcap); err != nil {
		return fmt.Errorf("--pcap: %w; name a file that you can write", err)
	}
	s.w = link.NewPcapWriter(s.file, 0)
	return nil
}

// loopback returns the host's loopback link as the flags want it; nil if they want
// nothing.
func (s *shape) loopback() func(link.Link) link.Link {
	return s.shaped(s.on != onOutside, link.ImpairConfig{Out: s.impairment, Seed: s.seed, MTU: s.mtu}, link.Sent)
}

// outside returns the link to the gateway as the flags want it; nil if they want nothing.
func (s *shape) outside() func(link.Link) link.Link {
	return s.shaped(s.on != onLoopback, link.ImpairConfig{Out: s.impairment, In: s.impairment, Seed: s.seed, MTU: s.mtu}, link.BothWays)
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

// close ends the recording.
func (s *shape) close() error {
	if s.w == nil {
		return nil
	}
	err := s.w.Close()
	if e := s.file.Close(); err == nil { // ends a Write that is stuck
		err = e
	}
	n := s.w.Dropped()
	switch {
	case err != nil && n > 0:
		return fmt.Errorf("recording to %s: %w; %d packets were left out", s.pcap, err, n)
	case err != nil:
		return fmt.Errorf("recording to %s: %w", s.pcap, err)
	case n > 0:
		return fmt.Errorf("recording to %s: %d packets were left out, as what reads it fell behind", s.pcap, n)
	}
	return nil
}
