package ip

import (
	"net/netip"
	"slices"
	"syscall"

	"usock/internal/offload"
	"usock/internal/relay"
	"usock/packet"
)

// IfaceConfig describes an interface.
type IfaceConfig struct {
	Name string
	MTU  int // 0: 65536 for a loopback interface, else 1500

	// Loopback makes it the interface for packets to the host's own addresses. It
	// gets 127.0.0.1/8 and ::1/128.
	Loopback bool

	// Out takes the packets to the link. Without one the interface is the host's
	// built-in loopback: packets go through the host's loopback queue, trusted.
	Out Port

	Checksum bool // the link takes packets without transport checksum
	CRC32c   bool // and those without CRC32c
	Segments bool // the link takes TCP segments larger than the MTU

	// Cuts says that Out cuts such segments where the link does not take them (offload.Cutter): to make one and cut it
	// costs less than to make many (Linux's GSO).
	Cuts bool
}

// Port is where packets leave for a link: a relay.Relay, or for a link with several queues a
// relay.Spread.
type Port interface {
	// For returns the relay that a packet goes by.
	For(p *packet.Packet) *relay.Relay

	// Dropped returns how many packets the port or the link had no room for.
	Dropped() uint64

	// Idle reports whether Dropped stays as it is unless more packets come.
	Idle() bool
}

// NewPort returns a relay to link that large segments are made for (IfaceConfig.Cuts). segments says that the link takes them, checksum that it
// completes checksums.
func (l *Layer) NewPort(link relay.Sender, segments, checksum bool) *relay.Relay {
	if segments {
		return l.host.NewPort(link)
	}
	r := l.host.NewPort(&offload.Cutter{To: link, Checksum: checksum})
	r.Count = func(p *packet.Packet) int {
		n, _ := offload.Pieces(p)
		return n
	}
	return r
}

const (
	loopbackMTU = 65536
	defaultMTU  = 1500
)

// IfaceStats counts what an interface carried.
type IfaceStats struct {
	RxPackets, RxBytes, RxErrors, RxDropped uint64
	TxPackets, TxBytes, TxErrors, TxDropped uint64
}

// IfaceFlags are the properties of an interface.
type IfaceFlags uint8

// The flags.
const (
	FlagUp IfaceFlags = 1 << iota
	FlagLoopback
	FlagMulticast
)

// Iface is an interface of the host.
type Iface struct {
	layer  *Layer
	cfg    IfaceConfig
	index  int // 0: removed
	number int // index, for good
	addrs  []netip.Prefix
	groups map[netip.Addr]*group
	lanes  []ifaceLane // by the lane's number

	reports reports

	before  []Port // by which packets left until Rewire, and what was queued there leaves still
	dropped uint64 // of those by which nothing leaves any more
}

// ifaceLane is what the packets of one lane leave behind on an interface. A cache line has one.
type ifaceLane struct {
	stats    IfaceStats
	admitted admissions
}

// admissions are the addresses of the last packets on an interface that were
// plausible, the destination being this host: the last ones first, and those before them. The next packet mostly has the same,
// or goes the other way of two that answer each other, and is spared the look-ups: a seventh of what the layer costs.
type admissions [2]admission

type admission struct {
	src, dst netip.Addr
	gen      uint32 // the layer's generation then
}

func (a *admissions) has(src, dst netip.Addr, gen uint32) bool {
	return a[0].is(src, dst, gen) || a[1].is(src, dst, gen)
}

// add notes what has does not know.
func (a *admissions) add(src, dst netip.Addr, gen uint32) {
	a[0], a[1] = admission{src, dst, gen}, a[0]
}

func (a *admission) is(src, dst netip.Addr, gen uint32) bool {
	return a.src == src && a.dst == dst && a.gen == gen
}

// AddIface adds an interface. The first one has index 1, and should be the
// loopback interface.
func (l *Layer) AddIface(c IfaceConfig) *Iface {
	if c.MTU == 0 {
		c.MTU = defaultMTU
		if c.Loopback {
			c.MTU = loopbackMTU
		}
	}

	// Indices are never used again: a socket or route that still names a removed interface
	// finds nothing, not another one.
	i := &Iface{layer: l, cfg: c, index: len(l.ifaces) + 1, number: len(l.ifaces) + 1, groups: make(map[netip.Addr]*group), lanes: make([]ifaceLane, l.host.Lanes())}
	l.ifaces = append(l.ifaces, i)
	if c.Loopback && l.lo == nil {
		l.lo = i
	}
	if c.Loopback {
		for _, a := range [...]string{"127.0.0.1/8", "::1/128"} {
			i.insert(netip.MustParsePrefix(a))
		}
	}
	l.changed()
	return i
}

// RemoveIface removes an interface with its addresses, routes and groups.
func (l *Layer) RemoveIface(i *Iface) {
	if i.index == 0 {
		return
	}
	for len(i.addrs) > 0 {
		i.remove(i.addrs[0])
	}
	l.rt4.removeIface(i)
	l.rt6.removeIface(i)
	l.frags.removeIface(i)
	carried := i.carried()
	l.Whole().Stats.add(&carried)
	l.ifaces[i.index-1] = nil
	i.index = 0 // copies that are on their way to it are dropped by receive
	if l.lo == i {
		l.lo = nil
		for _, o := range l.ifaces {
			if o != nil && o.cfg.Loopback {
				l.lo = o
				break
			}
		}
	}
	l.changed()
}

// Rewire has packets leave by another port from now on, to a link that completes checksums or does not. The caller has the whole
// host.
func (i *Iface) Rewire(out Port, checksum, crc32c, segments bool) {
	if i.cfg.Out != nil {
		i.before = append(i.before, i.cfg.Out)
	}
	i.before = slices.DeleteFunc(i.before, func(p Port) bool {
		idle := p.Idle() // for good: nobody is in the host, and who comes has packets leave by out
		if idle {
			i.dropped += p.Dropped()
		}
		return idle
	})
	i.cfg.Out, i.cfg.Checksum, i.cfg.CRC32c, i.cfg.Segments = out, checksum, crc32c, segments
	i.layer.changed()
}

// SetMTU changes the size of the largest packet. Connections learn of it when they send. The caller has the whole host.
func (i *Iface) SetMTU(mtu int) {
	i.cfg.MTU = mtu
	i.layer.changed()
}

// Tap has f called with each packet that leaves by an interface, and with each that comes in by one that is not the loopback
// interface; nil: nobody is. f is called in the packet's lane, which it may have go into a domain where the packet is received, by
// several goroutines at once, and must not keep or change the packet. The caller has the whole host.
func (l *Layer) Tap(f func(l *Lane, i *Iface, p *packet.Packet, sent bool)) { l.tap = f }

// Ifaces returns the interfaces, in the order of their indices.
func (l *Layer) Ifaces() []*Iface {
	return slices.DeleteFunc(slices.Clone(l.ifaces), func(i *Iface) bool { return i == nil })
}

// Iface returns the interface with the index, nil if there is none.
func (l *Layer) Iface(index int) *Iface {
	if index < 1 || index > len(l.ifaces) {
		return nil
	}
	return l.ifaces[index-1]
}

// IfaceByName returns the interface with the name, nil if there is none.
func (l *Layer) IfaceByName(name string) *Iface {
	for _, i := range l.ifaces {
		if i != nil && i.cfg.Name == name {
			return i
		}
	}
	return nil
}

// Loopback returns the loopback interface, nil if there is none.
func (l *Layer) Loopback() *Iface { return l.lo }

// Index returns the interface's number, from 1; 0 after its removal.
func (i *Iface) Index() int { return i.index }

// Name returns the interface's name.
func (i *Iface) Name() string { return i.cfg.Name }

// MTU returns the size of the largest packet.
func (i *Iface) MTU() int { return i.cfg.MTU }

// Random returns a number that nobody guesses but who knows the host's seed.
func (i *Iface) Random() uint64 { return i.layer.cfg.Rand() }

// Flags returns the interface's properties.
func (i *Iface) Flags() IfaceFlags {
	if i.cfg.Loopback {
		return FlagUp | FlagLoopback
	}
	return FlagUp | FlagMulticast
}

// carried returns what all lanes have counted.
func (i *Iface) carried() (sum IfaceStats) {
	for k := range i.lanes {
		sum.add(&i.lanes[k].stats)
	}
	return sum
}

func (s *IfaceStats) add(o *IfaceStats) {
	s.RxPackets += o.RxPackets
	s.RxBytes += o.RxBytes
	s.RxErrors += o.RxErrors
	s.RxDropped += o.RxDropped
	s.TxPackets += o.TxPackets
	s.TxBytes += o.TxBytes
	s.TxErrors += o.TxErrors
	s.TxDropped += o.TxDropped
}

// Stats returns the interface's counters. The whole host must be entered.
func (i *Iface) Stats() IfaceStats {
	s := i.carried()
	s.TxDropped += i.dropped
	for _, p := range i.before {
		s.TxDropped += p.Dropped()
	}
	if i.cfg.Out != nil {
		s.TxDropped += i.cfg.Out.Dropped()
	}
	return s
}

// Addrs returns the interface's addresses with the length of their networks, in
// the order in which they were added.
func (i *Iface) Addrs() []netip.Prefix { return slices.Clone(i.addrs) }

// HasAddr reports whether a is an address of the interface.
func (i *Iface) HasAddr(a netip.Addr) bool {
	o := i.layer.own[a]
	return o != nil && o.iface == i
}

// AddAddr gives the interface an address; the rest of the prefix becomes
// reachable through it. EEXIST if the host has the address, EINVAL if it is none
// that a host can have.
func (l *Layer) AddAddr(i *Iface, a netip.Prefix) error {
	addr := a.Addr()
	switch {
	case i.index == 0:
		return syscall.ENODEV
	case !a.IsValid(), addr.Is4In6(), addr.Zone() != "", addr.IsUnspecified(), addr.IsMulticast(),
		addr == limitedBroadcast:
		return syscall.EINVAL
	case addr.IsLoopback() && !i.cfg.Loopback:
		return syscall.EINVAL
	case l.own[addr] != nil:
		return syscall.EEXIST
	}
	i.insert(a)
	l.changed()
	return nil
}

func (i *Iface) insert(a netip.Prefix) {
	l := i.layer

	// The first address of a network is the source for all that is sent to it; later ones are
	// secondary, as on Linux.
	o := &ownAddr{iface: i, src: a.Addr()}
	for _, p := range i.addrs {
		if p.Masked() == a.Masked() {
			o.src = p.Addr()
			break
		}
	}
	i.addrs = append(i.addrs, a)
	l.own[a.Addr()] = o
	if b, ok := directedBroadcast(a); ok {
		l.broadcasts[b]++
	}

	// One route for a network, however many addresses the host has in it.
	if o.src == a.Addr() && !a.IsSingleIP() && !i.cfg.Loopback {
		l.routes(a.Addr()).add(Route{Dst: a.Masked(), Iface: i, Src: a.Addr()})
	}
}

// RemoveAddr takes the address away; EADDRNOTAVAIL if it is not there.
func (l *Layer) RemoveAddr(i *Iface, a netip.Prefix) error {
	if !slices.Contains(i.addrs, a) {
		return syscall.EADDRNOTAVAIL
	}
	i.remove(a)
	l.changed()
	return nil
}

func (i *Iface) remove(a netip.Prefix) {
	l := i.layer
	n := slices.Index(i.addrs, a)
	i.addrs = slices.Delete(i.addrs, n, n+1)
	o := l.own[a.Addr()]
	delete(l.own, a.Addr())
	if b, ok := directedBroadcast(a); ok {
		if l.broadcasts[b]--; l.broadcasts[b] == 0 {
			delete(l.broadcasts, b)
		}
	}

	// The network's route stays with its first address (Linux, fib_del_ifaddr).
	if o != nil && o.src != a.Addr() {
		return
	}
	l.routes(a.Addr()).remove(Route{Dst: a.Masked(), Iface: i, Src: a.Addr()})

	// Another address of the same network takes over as its source.
	heir := netip.Addr{}
	for _, p := range i.addrs {
		if p.Masked() != a.Masked() {
			continue
		}
		if o := l.own[p.Addr()]; o.src == a.Addr() {
			if !heir.IsValid() {
				heir = p.Addr()
				if !i.cfg.Loopback {
					l.routes(heir).add(Route{Dst: p.Masked(), Iface: i, Src: heir})
				}
			}
			o.src = heir
		}
	}
}

var (
	limitedBroadcast  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	loopbackBroadcast = netip.AddrFrom4([4]byte{127, 255, 255, 255})
	loopback4         = netip.AddrFrom4([4]byte{127, 0, 0, 1})
)

// directedBroadcast returns the broadcast address of a's network, if it has one:
// networks of two addresses do not (RFC 3021).
func directedBroadcast(a netip.Prefix) (netip.Addr, bool) {
	if !a.Addr().Is4() || a.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := a.Addr().As4()
	for i := range b {
		host := 8*(i+1) - a.Bits() // bits of this byte that number the host
		b[i] |= byte(1<<min(max(host, 0), 8) - 1)
	}
	return netip.AddrFrom4(b), true
}

// IsLocal reports whether a is an address of this host: one of 127.0.0.0/8, ::1,
// or an interface's own.
func (l *Layer) IsLocal(a netip.Addr) bool {
	// All of 127.0.0.0/8 is this host, not the one address alone (RFC 1122, section 3.2.1.3).
	if a.Is4() && a.IsLoopback() {
		return l.lo != nil && a != loopbackBroadcast
	}
	return l.own[a] != nil
}

// IsBroadcast reports whether a is the limited broadcast address or that of a
// network that the host is on.
func (l *Layer) IsBroadcast(a netip.Addr) bool {
	if !a.Is4() || a.IsLoopback() {
		return a == loopbackBroadcast && l.lo != nil
	}
	return a == limitedBroadcast || l.broadcasts[a] > 0
}

// transmit sends p, a complete packet, through the interface and takes it over. A large segment that is to be cut is so by the port, but
// where somebody looks at each packet.
func (l *Lane) transmit(i *Iface, p *packet.Packet) {
	if i.cfg.Out == nil {
		l.leave(i, nil, p)
		return
	}
	out := i.cfg.Out.For(p)
	switch {
	case p.SegmentSize == 0 || i.cfg.Segments || l.tap == nil && i.cfg.Cuts:
		l.leave(i, out, p)
	case i.cfg.Checksum:
		offload.Cut(p, func(s *packet.Packet) { l.leave(i, out, s) })
	default:
		offload.Segment(p, func(s *packet.Packet) { l.leave(i, out, s) })
	}
}

// leave is transmit for a packet that is as the interface's port takes it. A link's goes out by a relay.
func (l *Lane) leave(i *Iface, out *relay.Relay, p *packet.Packet) {
	c := l.carried(i)
	packets, bytes := 1, p.Len()
	if !i.cfg.Segments && out != nil {
		packets, bytes = offload.Pieces(p)
	}
	c.TxPackets += uint64(packets)
	c.TxBytes += uint64(bytes)
	if l.tap != nil {
		l.tap(l, i, p, true)
	}
	if out == nil {
		l.at.Loop(p)
		return
	}
	l.at.Send(out, p)
}
