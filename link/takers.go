package link

import (
	"net/netip"

	"usock/internal/pcapfilter"
	"usock/packet"
)

// Takers tells for which process and socket a host takes packets of a protocol that go to local from remote: a connection's, or
// those of a socket that listens, or is bound there. Nobody's are of the zero Owner.
type Takers func(proto uint8, local, remote netip.AddrPort) packet.Owner

// Attributing is a Link that tells whose packets are, or wraps one that may, and so must know for whom those are that come.
type Attributing interface {
	Link

	// UseTakers has the link ask takers, with no lock held. A host calls it with its own when it takes the link, before it sends
	// and receives, and again when it has wrapped the link, which goes on meanwhile.
	UseTakers(takers Takers)
}

// UseTakers hands takers on to a link that tells whose packets are, or to the one that it wraps (Wrapper).
func UseTakers(l Link, takers Takers) {
	for {
		if a, ok := l.(Attributing); ok {
			a.UseTakers(takers)
			return
		}
		w, ok := l.(Wrapper)
		if !ok {
			return
		}
		l = w.Unwrap()
	}
}

// UseTakers implements Attributing.
func (p *pcap) UseTakers(takers Takers) {
	p.takers.Store(&takers)
	UseTakers(p.Link, takers)
}

// asks returns whom to ask; nil: nobody.
func (p *pcap) asks() Takers {
	if t := p.takers.Load(); t != nil {
		return *t
	}
	return nil
}

// asked are the owners of packets by flows, where nobody has sent the other way.
type asked map[pcapfilter.Flow]packet.Owner

// ask asks for whom packets are. The writer is not locked meanwhile: whoever answers may be recording.
func (i *PcapInterface) ask(takers Takers, d Directions, batch []*Packet) asked {
	if !i.comes(d) {
		return nil
	}
	flows := i.strangers(batch)
	if len(flows) == 0 {
		return nil
	}
	of := make(asked, len(flows))
	for _, f := range flows {
		if _, ok := of[f]; !ok {
			of[f] = takers(f.Proto, f.Dst, f.Src)
		}
	}
	return of
}

// comes reports whether packets of a direction come to the host: those that a loopback link is sent do.
func (i *PcapInterface) comes(d Directions) bool { return d == Received || i.loopback }

// strangers returns the flows of those packets that no process has sent, and that come from where nobody has sent to.
func (i *PcapInterface) strangers(batch []*Packet) (flows []pcapfilter.Flow) {
	p := i.w
	p.mu.Lock()
	defer p.mu.Unlock()
	if !i.learns || p.err != nil || p.closed {
		return nil
	}
	for _, k := range batch {
		if k.Owner.PID != 0 {
			continue
		}
		if f, ok := pcapfilter.FlowOf(k.Front()); ok && p.flows.owner(f) == (packet.Owner{}) {
			flows = append(flows, f)
		}
	}
	return flows
}
