package link

import (
	"cmp"
	"sync"
	"sync/atomic"

	"usock/internal/offload"
	"usock/internal/pcapfilter"
	"usock/packet"
)

// PcapInterface is a link as a capture has it. Pcap makes one for a link that it wraps; others are for who sees packets
// elsewhere.
type PcapInterface struct {
	w       *PcapWriter
	index   uint32
	network int  // where packets have their network header
	learns  bool // w.mu: those that come are whose the flow is

	loopback bool // what is sent comes back

	takers atomic.Pointer[Takers] // nil: nobody is asked

	watching sync.Mutex
	watched  *Impaired // watching: by Watch
	unwatch  func()    // watching: ends that
}

const ethernetLen = 14

// Interface describes a link in the capture. Packets that are recorded to it later have the link's name.
func (p *PcapWriter) Interface(info Info) *PcapInterface {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := &PcapInterface{w: p, index: uint32(len(p.ifaces)), loopback: info.Loopback}
	if info.Medium == Ethernet {
		i.network = ethernetLen
	}
	p.ifaces = append(p.ifaces, pcapIface{info: info})
	if p.err == nil && !p.closed {
		p.begun()
		p.buf = p.appendInterface(p.buf, info)
		if len(p.ifaces) == 1 {
			p.buf = appendNames(p.buf, p.hosts.list) // which have waited for it (interfacesLen)
		}
		p.write()
	}
	return i
}

// Record records packets, which stay the caller's, as sent or as received. It may be called by several goroutines at once, and
// waits for nothing but a regular file.
func (i *PcapInterface) Record(d Directions, batch []*Packet) {
	i.record(d, batch, "", i.ask(d, batch))
}

// learn has packets that come be those of the process that has sent the other way.
func (i *PcapInterface) learn() {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	i.learns = i.network == 0
}

// Watch has the packets that an impaired link is given to send recorded, and of those that it receives the ones that it loses,
// each with what becomes of it, until stop is called. Not ok: the link is not impaired, and the caller is to record what
// it sends. One link is watched at a time: another one ends that, and the same one, of which no packet is missed, goes on.
func (i *PcapInterface) Watch(l Link) (stop func(), ok bool) {
	i.learn()
	m := impairedOf(l)
	i.watching.Lock()
	defer i.watching.Unlock()
	if m != i.watched {
		i.end()
	}
	if m == nil {
		return nil, false
	}
	if i.watched == nil {
		i.watched, i.unwatch = m, i.watch(m, BothWays)
	}
	return func() {
		i.watching.Lock()
		defer i.watching.Unlock()
		if i.watched == m {
			i.end()
		}
	}, true
}

// end ends what Watch has begun. The caller holds watching.
func (i *PcapInterface) end() {
	if i.watched != nil {
		i.unwatch()
		i.watched, i.unwatch = nil, nil
	}
}

// impairedOf returns the impaired link that l is, or records; nil if there is none.
func impairedOf(l Link) *Impaired {
	for {
		if p, ok := l.(interface{ recorded() Link }); ok {
			l = p.recorded()
			continue
		}
		break
	}
	if of, ok := l.(interface{ impaired() *Impaired }); ok {
		return of.impaired()
	}
	return nil
}

func (i *PcapInterface) watch(m *Impaired, which Directions) (stop func()) {
	sees := func(d Directions, all bool) *watcher {
		one := make([]*Packet, 1) // the watcher is called with the netem locked
		return &watcher{func(k *Packet, fate string, again bool) {
			switch one[0] = k; {
			case fate == "" && all:
				i.record(d, one, "", nil)
			case fate != "" && again && all:
				i.record(d, one, "dropped later: "+fate, nil)
			case fate != "":
				i.record(d, one, "dropped: "+fate, nil)
			}
		}}
	}
	var ends []func()
	if which&Sent != 0 {
		ends = append(ends, m.out.watch(sees(Sent, true)))
	}
	if which&Received != 0 {
		ends = append(ends, m.in.watch(sees(Received, false)))
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// record records packets, with a comment on what became of them ("": they are carried), and with what was asked about them.
func (i *PcapInterface) record(d Directions, batch []*Packet, fate string, of asked) {
	sctp := i.sctpPort()
	p := i.w
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.closed {
		return
	}
	now := p.now()
	if p.c.Every != 0 && p.file.packets > 0 && now-p.file.begun >= uint64(p.c.Every) {
		p.nextFile()
	}
	for _, k := range batch {
		if fate == "" {
			name, addrs := i.resolves(k)
			for _, a := range addrs {
				p.resolved(a, name)
			}
		}
		whose := i.owner(d, k, sctp, of)
		matches := i.matches(k, whose, now)
		if matches && p.c.Size != 0 && p.file.packets > 0 && p.file.size+int64(len(p.buf)+min(k.Len(), p.c.SnapLen)+pcapExtra) > p.c.Size {
			p.nextFile()
		}
		c := &p.ifaces[i.index].counts // of this file
		c.passed++
		if !matches {
			continue
		}
		c.matched++
		if !p.room(k.Len()) {
			c.dropped++
			p.queue.dropped++
			continue
		}
		p.packet(i, d, now, k, whose, fate)
		p.count++
		if p.file.packets == 0 {
			p.file.begun = now
		}
		p.file.packets++
	}
	p.write()
}

// matches reports whether the capture is to have k. The caller holds the writer's mu, as for those below.
func (i *PcapInterface) matches(k *Packet, whose packet.Owner, now uint64) bool {
	p := i.w
	if len(p.c.Filters) == 0 {
		return true
	}
	p.whole = k.AppendTo(p.whole[:0])
	b := p.whole[min(i.network, len(p.whole)):]
	offload.CompleteCopy(b, k)
	who := pcapfilter.Process{PID: whose.PID, Program: p.names.of(whose.PID, now)}
	for _, f := range p.c.Filters {
		if !f.f.Match(b, len(b), who) {
			return false
		}
	}
	return true
}

// owner returns whose a packet is; of a fragment, whose the first one was.
func (i *PcapInterface) owner(d Directions, k *Packet, sctp uint16, of asked) packet.Owner {
	if !i.learns {
		return k.Owner
	}
	whose := i.flowOwner(d, k, sctp, of)
	if part, ok := pcapfilter.FragmentOf(k.Front()); !ok {
	} else if whose == (packet.Owner{}) {
		return i.w.parts.get(part)
	} else {
		i.w.parts.set(part, whose)
	}
	return whose
}

// flowOwner is owner by the ports that the packet has; of one that comes and is no process's, who has sent to where it comes from, or who
// will take it; of an error of ICMP, whose the packet is that it is about.
func (i *PcapInterface) flowOwner(d Directions, k *Packet, sctp uint16, of asked) packet.Owner {
	flow, quotes, ok := flowOf(k, sctp)
	switch {
	case !ok:
	case d == Sent && k.Owner.PID == 0 && i.loopback:
		// It is a gateway's, or this process's, of which the packets keep their sockets.
		if whose := cmp.Or(i.w.flows.owner(flow), of[flow]); whose.PID != 0 {
			return whose
		}
		if !quotes {
			i.w.flows.set(flow, k.Owner)
		}
	case d == Sent && k.Owner != (packet.Owner{}):
		i.w.flows.set(flow, k.Owner)
	case d == Received && k.Owner.PID == 0:
		// And not the socket of another host that has sent it.
		if whose := i.w.flows.owner(flow); whose != (packet.Owner{}) {
			return whose
		}
		if whose, ok := of[flow]; ok {
			return whose
		}
	}
	return k.Owner
}
