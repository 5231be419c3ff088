package link

import (
	"errors"
	"net/netip"
	"sync"
	"time"

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

	// Clock is where the time comes from that neighbours are waited for, and that of what
	// is inside, such as a capture; nil: that of the host that takes the link, and the
	// machine's until one does, when the addresses have been announced already.
	// SetConfig does not change it.
	Clock clock.Clock
}

// Frames returns a link that carries IP packets over l, a link that carries
// Ethernet frames. It finds neighbours by ARP (RFC 826) and neighbour discovery
// (RFC 4861), answers for the host's addresses, and tells the host by ICMP that a
// neighbour does not answer. It closes l when it is closed. What comes on a Direct link is worked
// off on the goroutine that brings it; another link is read by a goroutine of its own.
func Frames(l Link, c FramesConfig) (*Framed, error) {
	info := l.Info()
	if info.Medium != Ethernet {
		return nil, errors.New("link: frames need an Ethernet")
	}
	f := &Framed{
		inbox: newInbox(), inner: l, address: info.Address,
		clock: c.Clock, given: c.Clock != nil, neighbours: map[netip.Addr]*neighbour{},
	}
	if f.given {
		UseClock(l, c.Clock)
	} else {
		f.clock = clock.System()
	}
	info.Medium = IP
	f.info = info
	f.alarm = f.clock.NewAlarm(f.tick)
	if d, ok := l.(Direct); ok {
		d.Deliver(f.arrived)
	} else {
		f.reader.Go(f.receive)
	}
	f.SetConfig(c)
	return f, nil
}

// Framed is a link made by Frames.
//
// Nothing is sent nor handed to the host with a lock held: a Direct link may come back with
// frames on the same goroutine. Whoever finds nobody sending sends what is queued, in order, and
// the same goes for handing.
type Framed struct {
	*inbox  // IP packets that came in
	inner   Link
	info    Info
	address hardware
	given   bool // the clock is that of the configuration
	reader  sync.WaitGroup
	packets *[64]*Packet // of arrived; nil while that has it

	handing sync.Mutex   // of the two below; never taken under mu
	busy    bool         // handing: a goroutine hands packets to the host
	came    packet.Queue // handing: those that it has to hand on besides

	mu         sync.Mutex
	config     FramesConfig              // mu
	neighbours map[netip.Addr]*neighbour // mu
	guests     neighbourList             // mu: of neighbours, who have asked, and were sent nothing
	sought     neighbourList             // mu: of neighbours, those not known yet
	allBusy    time.Duration             // mu: until then no neighbour is idle
	waiting    int                       // mu: bytes that wait for neighbours
	fixed      map[netip.Addr]hardware   // mu: those added by hand
	clock      clock.Clock               // mu
	alarm      clock.Alarm               // mu: set while a neighbour is asked for
	ticking    bool                      // mu
	shut       bool                      // mu
	notify     func()                    // mu: NotifyNeighbours
	telling    bool                      // mu: notify is about to be called
	sending    bool                      // mu: a goroutine has the inner link's Send, and batch
	out        packet.Queue              // mu: frames for it
	batch      [64]*Packet               // of who is sending
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
			n.used += c.Now() - f.clock.Now()
		}
		f.allBusy = 0
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
	defer f.flush()
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
	accepted := 0
	for _, p := range batch {
		to, ok, taken := f.resolve(p)
		if ok || taken {
			accepted++
		}
		if ok {
			frame(p, to, f.address, etherType(p))
			f.out.Push(p)
		}
	}
	f.mu.Unlock()
	return max(accepted-f.flush(), 0)
}

// flush sends the frames that are queued, unless somebody does, and returns how many the link had
// no room for. It is called without a lock.
func (f *Framed) flush() (dropped int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sending {
		return 0
	}
	f.sending = true
	for n := f.out.PopTo(f.batch[:]); n > 0; n = f.out.PopTo(f.batch[:]) {
		f.mu.Unlock()
		dropped += n - f.inner.Send(f.batch[:n])
		clear(f.batch[:n])
		f.mu.Lock()
	}
	f.sending = false
	return dropped
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

// receive takes the frames apart until the link ends.
func (f *Framed) receive() {
	var batch [64]*Packet
	for {
		n, err := f.inner.Recv(batch[:])
		if err != nil {
			f.inbox.close()
			return
		}
		f.arrived(batch[:n])
		clear(batch[:n])
	}
}

// arrived takes frames apart: it answers the neighbours, and hands packets to the host. Either may
// lead back to it, on the same goroutine.
func (f *Framed) arrived(batch []*Packet) {
	packets := f.packets
	f.packets = nil
	if packets == nil {
		packets = new([64]*Packet)
	}
	for len(batch) > 0 {
		n, k := min(len(batch), len(packets)), 0
		for _, p := range batch[:n] {
			if f.input(p) {
				packets[k] = p
				k++
			} else {
				p.Free()
			}
		}
		batch = batch[n:]
		f.flush()
		f.hand(packets[:k])
	}
	clear(packets[:])
	f.packets = packets
}

// hand passes IP packets to the host, which sees them in order and from one goroutine at a time.
func (f *Framed) hand(batch []*Packet) {
	if len(batch) == 0 {
		return
	}
	f.handing.Lock()
	defer f.handing.Unlock()
	if f.busy {
		for _, p := range batch {
			if f.came.Len() >= queueBound {
				p.Free()
				continue
			}
			f.came.Push(p)
		}
		return
	}
	f.busy = true
	for n := len(batch); n > 0; n = f.came.PopTo(batch) {
		f.handing.Unlock()
		f.inbox.put(batch[:n])
		f.handing.Lock()
	}
	f.busy = false
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
		f.inputARP(p.Front(), to == f.address)
	}
	return false
}

// Close implements Link.
func (f *Framed) Close() error {
	f.mu.Lock()
	f.shut = true
	f.alarm.Stop()
	f.notify = nil
	for a := range f.neighbours {
		f.forget(a)
	}
	f.out.Free()
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
