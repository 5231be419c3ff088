package link

import (
	"net/netip"

	"usock/internal/pcapfilter"
	"usock/packet"
)

// Takers is what a host tells of those who take packets, for whoever wants to know whose they are.
type Takers struct {
	// Taker returns for which process and socket the host takes packets of a protocol that go to local from remote: a connection's, or
	// those of a socket that listens, or is bound there. Nobody's are of the zero Owner. It waits for no socket.
	Taker func(proto uint8, local, remote netip.AddrPort) packet.Owner

	// SCTPPort returns the UDP port of the host's SCTP in UDP (RFC 6951); 0: none, or not yet. Anybody may ask.
	SCTPPort func() uint16
}

// Attributing is a Link that tells whose packets are, or wraps one that may, and so must know for whom those are that come.
type Attributing interface {
	Link

	// UseTakers has the link ask takers, with no lock held. A host calls it with its own when it takes the link, before it
	// receives, and again when it has wrapped the link, which goes on meanwhile.
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
	p.to.UseTakers(takers)
	UseTakers(p.Link, takers)
}

// UseTakers has Record ask takers for whom those packets are that come, are no process's, and to which nobody has sent the other way,
// as they open a connection. No lock is held then.
func (i *PcapInterface) UseTakers(takers Takers) { i.takers.Store(&takers) }

// sctpPort is the UDP port of the host's SCTP in UDP; 0: none that is known.
func (i *PcapInterface) sctpPort() uint16 {
	if t := i.takers.Load(); t != nil && t.SCTPPort != nil {
		return t.SCTPPort()
	}
	return 0
}

// asked are the owners of packets by flows, where nobody has sent the other way.
type asked map[pcapfilter.Flow]packet.Owner

// ask asks for whom packets are. The writer is not locked meanwhile: whoever answers may be recording.
func (i *PcapInterface) ask(d Directions, batch []*Packet) asked {
	takers := i.takers.Load()
	if takers == nil || takers.Taker == nil || !i.comes(d) {
		return nil
	}
	flows := i.strangers(batch)
	if len(flows) == 0 {
		return nil
	}
	of := make(asked, len(flows))
	for _, f := range flows {
		if _, ok := of[f]; !ok {
			of[f] = takers.Taker(f.Proto, f.Dst, f.Src)
		}
	}
	return of
}

// flowOf returns the flow that tells whose a packet is, as pcapfilter.FlowWithin has it: what it looks at may be behind the packet's head.
func flowOf(k *Packet, sctp uint16) (f pcapfilter.Flow, quotes, ok bool) {
	b := k.Head()
	if len(b) == 0 || len(b) >= flowLen {
		return pcapfilter.FlowWithin(k.Front(), sctp)
	}
	var near [flowLen]byte
	n := copy(near[:], b)
	n += copy(near[n:], k.Payload.Front())
	return pcapfilter.FlowWithin(near[:n], sctp)
}

// flowLen is as far as a flow is looked for: IPv6's headers, and IPv4's with options, of an error of ICMP and in it, and an SCTP port's in UDP.
const flowLen = 2*60 + 8 + 12

// comes reports whether packets of a direction come to the host: those that a loopback link is sent do.
func (i *PcapInterface) comes(d Directions) bool { return d == Received || i.loopback }

// strangers returns the flows of those packets that no process has sent, and that come from where nobody has sent to.
func (i *PcapInterface) strangers(batch []*Packet) (flows []pcapfilter.Flow) {
	sctp := i.sctpPort()
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
		if f, _, ok := flowOf(k, sctp); ok && p.flows.owner(f) == (packet.Owner{}) {
			flows = append(flows, f)
		}
	}
	return flows
}
