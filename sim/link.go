package sim

import (
	"fmt"
	"io"
	"sync/atomic"

	"usock/link"
	"usock/shape"
)

// LinkConfig says how a link begins.
type LinkConfig struct {
	MTU  int             // 0: 1500
	To   link.Impairment // from the first host to the second
	Back link.Impairment // from the second host to the first

	// Shape is in place of To and Back, or beside them its rules alone: a profile, rules, what changes with time. Up is to the
	// second host. Rules know the hosts by their names.
	Shape shape.Shape

	// Faults strike at the calls of the network's hosts, as those of Net.Faults.
	Faults []shape.Fault

	// BlackHole, if not 0, is the length in bytes of the largest packet that comes
	// through. Larger ones are lost without a word, MTU or not.
	BlackHole int

	// Capture is written what passes at the first host's end, as pcapng, and
	// CaptureFar what passes at the second's.
	Capture, CaptureFar io.Writer
}

// Both is a link that is the same both ways.
func Both(m link.Impairment) LinkConfig { return LinkConfig{To: m, Back: m} }

// Shaped is a link as a script says (shape.ParseScript): "profile slow-3g", or "to server:443 from 1s until 2s: cut", and the script's
// faults. It panics if that is none.
func Shaped(script string) LinkConfig {
	s, err := shape.ParseScript(script)
	if err != nil {
		panic(fmt.Sprintf("sim: %q: %v", script, err))
	}
	return LinkConfig{Shape: s.Shape, Faults: s.Faults}
}

// Link is a link between two hosts.
type Link struct {
	a, b    *Host
	index   int
	config  LinkConfig
	seed    uint64
	imp     *shape.Link
	shape   shape.Shape // but for Cut
	ends    [2]link.Link
	pcaps   [2]*link.PcapWriter
	largest atomic.Int64 // bytes; 0: any packet passes
}

// Link joins two hosts.
func (n *Net) Link(a, b *Host, c LinkConfig) *Link {
	n.t.Helper()
	if n.started || len(n.links) > 0xffff {
		n.t.Fatalf("sim: links are added before the start, and up to 65536")
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	l := &Link{a: a, b: b, index: len(n.links), config: c, seed: n.seed<<16 + uint64(len(n.links))}
	l.largest.Store(int64(c.BlackHole))
	a.links, b.links = append(a.links, l), append(b.links, l)
	n.links = append(n.links, l)
	n.faults = append(n.faults, c.Faults...)
	return l
}

func (l *Link) name() string { return l.a.name + "-" + l.b.name }

// open makes the two ends. The impairments are at the first host's.
func (l *Link) open() error {
	x, y := link.Pipe(link.PipeConfig{
		Names:         [2]string{short(l.b.name), short(l.a.name)},
		MTU:           l.config.MTU,
		SmallSegments: true,
	})
	l.shape = l.config.Shape
	if none := (link.Impairment{}); l.config.To != none || l.config.Back != none {
		l.shape.Up, l.shape.Down, l.shape.Course = l.config.To, l.config.Back, shape.Course{}
	}
	imp, err := shape.Impair(x, l.shape, shape.Config{Seed: l.seed, Clock: l.a.net.clock})
	if err != nil {
		return err
	}
	l.imp = imp
	if len(l.shape.Rules) > 0 {
		for _, h := range l.a.net.hosts {
			for _, k := range h.links {
				imp.Resolved(k.addr4(h), h.name)
				imp.Resolved(k.addr6(h), h.name)
			}
		}
	}
	l.ends = [2]link.Link{&hole{Direct: imp, l: l}, y}
	for i, w := range [2]io.Writer{l.config.Capture, l.config.CaptureFar} {
		if w != nil {
			l.pcaps[i] = link.NewPcapWriter(w, 0)
			l.ends[i] = link.Pcap(l.ends[i], l.pcaps[i], link.BothWays)
		}
	}
	return nil
}

func (l *Link) close() {
	for _, e := range l.ends {
		if e != nil {
			e.Close()
		}
	}
	for _, w := range l.pcaps {
		if w != nil {
			w.Close()
		}
	}
}

// short cuts an interface's name to Linux's length.
func short(s string) string { return s[:min(len(s), 15)] }

// Set changes the link while it carries packets, and ends what changes by itself. Rules go on.
func (l *Link) Set(to, back link.Impairment) error {
	s := l.shape
	s.Up, s.Down, s.Course = to, back, shape.Course{}
	err := l.imp.SetShape(s)
	if err == nil {
		l.shape = s
	}
	return err
}

// Cut parts the two hosts: nothing comes through until Heal.
func (l *Link) Cut() { l.CutTo(true, true) }

// CutTo breaks the direction to the second host, or back, or both.
func (l *Link) CutTo(to, back bool) {
	s := l.shape
	s.Each(func(up, down *link.Impairment) error {
		if to {
			up.Loss, up.Burst = 1, link.Burst{}
		}
		if back {
			down.Loss, down.Burst = 1, link.Burst{}
		}
		return nil
	})
	l.set(s)
}

// Heal ends a Cut.
func (l *Link) Heal() { l.set(l.shape) }

func (l *Link) set(s shape.Shape) {
	if err := l.imp.SetShape(s); err != nil {
		l.a.net.t.Fatalf("sim: %v", err)
	}
}

// SetBlackHole changes the length of the largest packet that comes through; 0: all
// do.
func (l *Link) SetBlackHole(largest int) { l.largest.Store(int64(largest)) }

// Stats returns the counters of both directions.
func (l *Link) Stats() (to, back link.ImpairStats) { return l.imp.Stats() }

// hole loses packets that are too large, both ways.
type hole struct {
	link.Direct
	l *Link
}

func (h *hole) pass(batch []*link.Packet) []*link.Packet {
	largest := int(h.l.largest.Load())
	if largest == 0 {
		return batch
	}
	n := 0
	for _, p := range batch {
		if p.Len() > largest {
			p.Free()
			continue
		}
		batch[n] = p
		n++
	}
	return batch[:n]
}

// Send implements link.Link.
func (h *hole) Send(batch []*link.Packet) int {
	n := len(batch)
	if batch = h.pass(batch); len(batch) > 0 {
		h.Direct.Send(batch)
	}
	return n
}

// Deliver implements link.Direct.
func (h *hole) Deliver(f func([]*link.Packet)) {
	h.Direct.Deliver(func(batch []*link.Packet) {
		if batch = h.pass(batch); len(batch) > 0 {
			f(batch)
		}
	})
}
