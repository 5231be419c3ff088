package link

import (
	"errors"
	"net/netip"
	"sync"

	"usock/clock"
	"usock/packet"
)

// FramesConfig is what a host is on an Ethernet.
type FramesConfig struct {
	// Addresses are the host's, each with the network that is reached directly.
	Addresses []netip.Prefix

	// Gateways take what is on none of these networks, one of each family. Without
	// one every address is taken to be on the link.
	Gateways []netip.Addr

	// Clock is where the time comes from that neighbours are waited for; nil: that of
	// the host that takes the link, and the machine's until one does. SetConfig
	// does not change it.
	Clock clock.Clock
}

// Frames returns a link that carries IP packets over l, a link that carries
// Ethernet frames. It finds neighbours by ARP (RFC 826) and neighbour discovery
// (RFC 4861), answers for the host's addresses, and tells the host by ICMP that a
// neighbour does not answer. It closes l when it is closed.
func Frames(l Link, c FramesConfig) (*Framed, error) {
	info := l.Info()
	if info.Medium != Ethernet {
		return nil, errors.New("link: frames need an Ethernet")
	}
	f := &Framed{
		inbox: newInbox(), inner: l, address: info.Address,
		clock: c.Clock, given: c.Clock != nil, neighbours: map[netip.Addr]*neighbour{},
	}
	if !f.given {
		f.clock = clock.System()
	}
	info.Medium = IP
	f.info = info
	f.alarm = f.clock.NewAlarm(f.tick)
	f.SetConfig(c)
	f.reader.Go(f.receive)
	return f, nil
}

// Framed is a link made by Frames.
type Framed struct {
	*inbox  // IP packets that came in
	inner   Link
	info    Info
	address hardware
	given   bool // the clock is that of the configuration
	reader  sync.WaitGroup

	// handing is held while packets are put into the inbox, which may lead to a
	// Send: it is never taken under mu.
	handing sync.Mutex

	mu         sync.Mutex
	config     FramesConfig              // mu
	neighbours map[netip.Addr]*neighbour // mu
	fixed      map[netip.Addr]hardware   // mu: those added by hand
	clock      clock.Clock               // mu
	alarm      clock.Alarm               // mu: set while a neighbour is asked for
	ticking    bool                      // mu
	shut       bool                      // mu
	batch      [64]*Packet               // mu: frames for inner.Send
	one        [1]*Packet                // mu
}

// hardware is an Ethernet address.
type hardware = [6]byte

var everyone = hardware{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Ethernet types (IANA, IEEE 802 numbers).
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

// Info implements Link.
func (f *Framed) Info() Info { return f.info }

// UseClock implements Timed. What is known of neighbours keeps its age.
func (f *Framed) UseClock(c clock.Clock) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.given && !f.shut {
		// Times on two clocks have nothing in common but their differences.
		for _, n := range f.neighbours {
			n.heard += c.Now() - f.clock.Now()
		}
		f.alarm.Stop()
		f.clock, f.alarm = c, c.NewAlarm(f.tick)
		if f.ticking {
			f.alarm.Set(retransTime)
		}
	}
	UseClock(f.inner, c)
}

// SetConfig changes the host's addresses and gateways, and announces the
// addresses.
func (f *Framed) SetConfig(c FramesConfig) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.config = FramesConfig{
		Addresses: append([]netip.Prefix(nil), c.Addresses...),
		Gateways:  append([]netip.Addr(nil), c.Gateways...),
	}

	// Switches learn the port, and neighbours that know the address elsewhere learn better.
	for _, a := range f.config.Addresses {
		f.announce(a.Addr())
	}
}

// Send implements Link. A packet whose neighbour is not known yet is accepted and
// waits.
func (f *Framed) Send(batch []*Packet) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	accepted, n := 0, 0
	for _, p := range batch {
		to, ok, taken := f.resolve(p)
		if taken {
			accepted++
		}
		if !ok {
			continue
		}
		frame(p, to, f.address, etherType(p))
		f.batch[n] = p

		// In batches: the link below has its own cost for each call.
		if n++; n == len(f.batch) {
			accepted += f.inner.Send(f.batch[:n])
			n = 0
		}
	}
	if n > 0 {
		accepted += f.inner.Send(f.batch[:n])
	}
	clear(f.batch[:])
	return accepted
}

// etherType returns the type of the frame for an IP packet.
func etherType(p *Packet) uint16 {
	if p.Front()[0]>>4 == 6 {
		return etherIPv6
	}
	return etherIPv4
}

// frame puts an Ethernet header in front of p.
func frame(p *Packet, to, from hardware, kind uint16) {
	b := p.Prepend(ethernetLen)
	copy(b, to[:])
	copy(b[6:], from[:])
	b[12], b[13] = byte(kind>>8), byte(kind)
}

// transmit sends one frame. The caller holds mu.
func (f *Framed) transmit(p *Packet) {
	f.one[0] = p
	f.inner.Send(f.one[:])
	f.one[0] = nil
}

// receive takes the frames apart until the link ends.
func (f *Framed) receive() {
	var batch [64]*Packet
	for {
		n, err := f.inner.Recv(batch[:])
		if err != nil {
			f.inbox.close()
			return
		}
		k := 0
		for _, p := range batch[:n] {
			if f.input(p) {
				batch[k] = p
				k++
			} else {
				p.Free()
			}
		}
		f.hand(batch[:k])
		clear(batch[:n])
	}
}

// hand passes IP packets to the host.
func (f *Framed) hand(batch []*Packet) {
	if len(batch) == 0 {
		return
	}
	f.handing.Lock()
	defer f.handing.Unlock()
	f.inbox.put(batch)
}

// input takes the Ethernet header off p and reports whether an IP packet for the
// host is left. Frames for others are not, nor what is between neighbours.
func (f *Framed) input(p *Packet) bool {
	b := p.Front()
	if len(b) < ethernetLen || p.Len() == ethernetLen {
		return false
	}
	to, from := hardware(b), hardware(b[6:])
	kind := uint16(b[12])<<8 | uint16(b[13])

	// A hub or a switch that has not learnt yet brings frames for others. The lowest bit of the
	// first byte is a group's, and a group sends nothing.
	if to != f.address && to[0]&1 == 0 || from[0]&1 != 0 {
		return false
	}
	p.Consume(ethernetLen)
	switch kind {
	case etherIPv4:
		return p.Front()[0]>>4 == 4
	case etherIPv6:
		return p.Front()[0]>>4 == 6 && !f.inputND(p.Front())
	case etherARP:
		f.inputARP(p.Front())
	}
	return false
}

// Close implements Link.
func (f *Framed) Close() error {
	f.mu.Lock()
	f.shut = true
	f.alarm.Stop()
	for _, n := range f.neighbours {
		n.pending.Free()
	}
	clear(f.neighbours)
	f.mu.Unlock()
	f.inbox.close()
	err := f.inner.Close()
	f.reader.Wait()
	return err
}

// newFrame returns a packet of n bytes to be filled in: a message to neighbours.
func newFrame(n int) (*Packet, []byte) {
	p := packet.New()
	return p, p.Prepend(n)
}
