package link

import (
	"net/netip"
	"sync"

	"usock/clock"
	"usock/internal/relay"
	"usock/internal/wire"
)

// SwitchConfig describes a switch. Its zero value carries packets of 64 KiB and
// segments as large as they come.
type SwitchConfig struct {
	MTU           int         // 0: 65536
	SmallSegments bool        // as in PipeConfig
	Clock         clock.Clock // when what a port has too much of is carried; nil: the first host's
}

// Switch joins any number of hosts in memory. It learns behind which port an
// address is from the packets that come from it, and sends what goes to an address
// that it does not know, to a group or to everybody out of all other ports. All
// methods may be called from any goroutine.
type Switch struct {
	c SwitchConfig

	mu    sync.Mutex
	ports []*switchPort              // mu; replaced, never changed in place
	where map[netip.Addr]*switchPort // mu
	clock clock.Clock                // mu; nil: no host has told of its own yet
}

// maxLearned bounds how many addresses a switch remembers, against a host that
// sends from ever new ones. Others are reached all the same.
const maxLearned = 64 << 10

// NewSwitch returns a switch without ports.
func NewSwitch(c SwitchConfig) *Switch {
	if c.MTU == 0 {
		c.MTU = memoryMTU
	}
	return &Switch{c: c, where: make(map[netip.Addr]*switchPort), clock: c.Clock}
}

// Port adds a port and returns the link for the host that it serves. Closing the
// link removes the port.
func (s *Switch) Port(name string) Direct {
	p := &switchPort{
		inbox: newInbox(),
		s:     s,
		info:  Info{Name: name, MTU: s.c.MTU, Checksum: true, CRC32c: true, Segments: !s.c.SmallSegments},
	}
	p.out.To, p.out.Bound, p.out.Later = (*portInbox)(p.inbox), queueBound, s.later
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports = append(s.ports[:len(s.ports):len(s.ports)], p)
	return p
}

// later is the relays' Later.
func (s *Switch) later(f func()) {
	s.mu.Lock()
	c := s.clock
	s.mu.Unlock()
	if c == nil {
		go f()
		return
	}
	clock.Go(c, f)
}

// Close closes the links of all ports.
func (s *Switch) Close() error {
	s.mu.Lock()
	ports := s.ports
	s.mu.Unlock()
	for _, p := range ports {
		p.Close()
	}
	return nil
}

// learn notes where the sender of a packet is, and returns where it is to go: to
// one port or, if that is nil, to all of the ports but from.
func (s *Switch) learn(from *switchPort, src, dst netip.Addr) (to *switchPort, all []*switchPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.removed {
		return nil, nil
	}

	// Groups send nothing, and the unspecified address is anybody's: neither says where
	// somebody is.
	if at := s.where[src]; at != from && !src.IsUnspecified() && !src.IsMulticast() &&
		(at != nil || len(s.where) < maxLearned) {
		s.where[src] = from
	}
	if to = s.where[dst]; to != nil {
		return to, nil
	}
	return nil, s.ports
}

func (s *Switch) remove(p *switchPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rest []*switchPort
	for _, o := range s.ports {
		if o != p {
			rest = append(rest, o)
		}
	}
	s.ports = rest
	p.removed = true

	// What was behind it is unknown again, and is found by going to all.
	for a, at := range s.where {
		if at == p {
			delete(s.where, a)
		}
	}
}

// switchPort is a port of a switch, and the link of the host that it serves.
//
// Several hosts may send to one port at once, but its host is delivered to by one
// goroutine at a time: that is what the relay is for.
type switchPort struct {
	*inbox
	s    *Switch
	info Info

	removed bool        // s.mu
	out     relay.Relay // on the way to the host
}

// portInbox is a port's inbox as its relay sees it.
type portInbox inbox

// Send implements relay.Sender.
func (b *portInbox) Send(batch []*Packet) int { return (*inbox)(b).put(batch) }

// Info implements Link.
func (p *switchPort) Info() Info { return p.info }

// UseClock implements Timed.
func (p *switchPort) UseClock(c clock.Clock) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.clock == nil {
		p.s.clock = c
	}
}

// Send implements Link.
func (p *switchPort) Send(batch []*Packet) int {
	n := 0
	var last *switchPort // packets in a row mostly go to one port: flushed together
	for _, k := range batch {
		src, dst, ok := endpoints(k)
		if !ok {
			k.Free()
			continue
		}
		to, all := p.s.learn(p, src, dst)
		if to == nil {
			for _, o := range all {
				if o == p {
					continue
				}
				if o.out.Push(k.Clone()) {
					o.out.Flush()
				}
			}
			k.Free()
			n++
			continue
		}
		if to == p {
			k.Free() // the host sends to itself what it does not own any more
			continue
		}
		if to != last && last != nil {
			last.out.Flush()
		}
		if to.out.Push(k) {
			n++
		}
		last = to
	}
	if last != nil {
		last.out.Flush()
	}
	return n
}

// Close implements Link.
func (p *switchPort) Close() error {
	p.s.remove(p)
	p.out.Close()
	p.inbox.close()
	return nil
}

// endpoints returns the addresses of an IP packet.
func endpoints(k *Packet) (src, dst netip.Addr, ok bool) {
	b := k.Front()
	var joined [wire.IPv6Len]byte
	if len(b) < len(joined) && k.Len() > len(b) {
		n := copy(joined[:], k.Head())
		n += k.Payload.CopyTo(joined[n:], 0)
		b = joined[:n]
	}
	switch {
	case len(b) >= wire.IPv4MinLen && b[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), true
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), true
	}
	return src, dst, false
}
