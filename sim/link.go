package sim

import (
	"io"
	"sync/atomic"

	"usock/link"
)

// LinkConfig says how a link begins.
type LinkConfig struct {
	MTU  int             // 0: 1500
	To   link.Impairment // from the first host to the second
	Back link.Impairment // from the second host to the first

	// BlackHole, if not 0, is the length in bytes of the largest packet that comes
	// through. Larger ones are lost without a word, MTU or not.
	BlackHole int

	// Capture is written what passes at the first host's end, as pcapng, and
	// CaptureFar what passes at the second's.
	Capture, CaptureFar io.Writer
}

// Both is a link that is the same both ways.
func Both(m link.Impairment) LinkConfig { return LinkConfig{To: m, Back: m} }

// Link is a link between two hosts.
type Link struct {
	a, b    *Host
	index   int
	config  LinkConfig
	seed    uint64
	imp     *link.Impaired
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
	imp, err := link.Impair(x, link.ImpairConfig{Out: l.config.To, In: l.config.Back, Seed: l.seed, Clock: l.a.net.clock})
	if err != nil {
		return err
	}
	l.imp = imp
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

// Set changes the link while it carries packets.
func (l *Link) Set(to, back link.Impairment) error {
	l.config.To, l.config.Back = to, back
	return l.imp.Set(to, back)
}

// Cut parts the two hosts: nothing comes through until Heal.
func (l *Link) Cut() { l.CutTo(true, true) }

// CutTo breaks the direction to the second host, or back, or both.
func (l *Link) CutTo(to, back bool) {
	m, k := l.config.To, l.config.Back
	if to {
		m.Loss, m.Burst = 1, link.Burst{}
	}
	if back {
		k.Loss, k.Burst = 1, link.Burst{}
	}
	if err := l.imp.Set(m, k); err != nil {
		l.a.net.t.Fatalf("sim: %v", err)
	}
}

// Heal ends a Cut.
func (l *Link) Heal() {
	if err := l.imp.Set(l.config.To, l.config.Back); err != nil {
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
