package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
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
	pcap       fileValue
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
	s.pcap.hint = "give one, such as trace.pcapng, or - for stdout"
	f.Var(&s.pcap, "pcap", "record all packets to this `FILE`, in pcapng; - is stdout, a FIFO waits for its reader")
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
	return nil
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
	if s.pcap.name == "" {
		return nil
	}
	var err error
	s.file, err = openOutput(pcapFlag, s.pcap.name, os.Stderr)
	return err
}

// record begins the recording.
func (s *shape) record() {
	if s.file != nil {
		s.w = link.NewPcapWriter(s.file, 0)
	}
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

// close ends the recording. Its error says that packets are missing.
func (s *shape) close() error {
	if s.w == nil {
		return nil
	}
	err := s.w.Close()
	if e := s.file.Close(); err == nil { // ends a Write that is stuck
		err = e
	}
	return recordingError(s.pcap.name, err, s.w.Dropped())
}

// recordingError says what became of a recording from which packets were left out. After an
// error nobody has counted them.
func recordingError(name string, err error, missing uint64) error {
	packets := fmt.Sprintf("%d packets are missing", missing)
	if missing == 1 {
		packets = "1 packet is missing"
	}
	switch {
	case err == nil && missing == 0:
		return nil
	case err == nil:
		return fmt.Errorf("the recording to %s has gaps: %s, as what reads it fell behind; record to a file", name, packets)
	case errors.Is(err, link.ErrPcapStuck):
		return fmt.Errorf("the recording to %s has no end: what reads it takes nothing; %s", name, packets)
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the recording to %s was cut short: its reader has gone", name)
	}
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "; make room, or record to another disk"
	case errors.Is(err, syscall.EFBIG):
		hint = "; raise the limit of file sizes (ulimit -f)"
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		err = e // without the path, which is there already
	}
	return fmt.Errorf("the recording to %s was cut short: %w%s", name, err, hint)
}
