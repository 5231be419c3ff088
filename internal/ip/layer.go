package ip

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"usock/internal/host"
	"usock/internal/rank"
	"usock/internal/timer"
	"usock/internal/wire"
	"usock/packet"
)

// Numbers of the protocols that the layer itself knows (IANA, protocol numbers).
const (
	ProtoICMP   = 1
	ProtoIGMP   = 2
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Transport is a protocol over IP: one row of the protocol table.
type Transport interface {
	// Input takes over p, whose Front begins with the transport header and holds
	// all of it that arrived in one piece. If nobody wants the packet, Input
	// returns false and leaves p as it was: the layer then answers with an ICMP
	// error, where the rules allow one, and frees it.
	Input(p *packet.Packet, m *Meta) bool

	// Error reports an ICMP error about a packet that this host seems to have
	// sent. Whether to believe it (RFC 5927) is the transport's business; one that
	// believes a message with an MTU calls Layer.LowerPathMTU.
	Error(e *Error)
}

// Raw is told of every packet for this host before its transport is.
type Raw interface {
	// Tap may look at p and clone it, but neither keeps nor changes it. It reports
	// whether somebody took a copy: no protocol-unreachable error is sent then.
	Tap(p *packet.Packet, m *Meta) bool

	// Error reports an ICMP error before the transport hears of it.
	Error(e *Error)

	// Has reports whether somebody may want packets of the protocol. It is called in any lane, Tap and Error
	// in the whole host.
	Has(proto uint8) bool
}

// Table is the protocol table. For ICMP and ICMPv6, which the layer serves itself,
// the transport in the table is given the echo replies only and is told of errors
// about echo requests.
type Table struct {
	Transport [256]Transport
	Raw       Raw // nil: none

	// Echo, if not nil, is shown echo requests before they are answered. Those that it
	// takes over (true) it answers.
	Echo func(p *packet.Packet, m *Meta, h wire.ICMP) bool
}

// Config says how a layer behaves. Its zero value is a host with Linux's defaults.
type Config struct {
	Forwarding bool          // pass packets on between links
	Foreign    bool          // packets for others are for this host, which answers in their place
	HopLimit   uint8         // of packets that ask for none of their own; 0: 64
	Rand       func() uint64 // nil: a generator with a random seed; called by several goroutines at once
}

const defaultHopLimit = 64

// Layer is the IP layer of one host. What is configured, and what is learnt of paths, changes only while
// the whole host is entered; who has entered any of its domains may read it. The rest is in its lanes.
type Layer struct {
	host  *host.Host
	lanes []*Lane // by number
	cfg   Config
	table Table
	gen   uint32

	closed bool

	noRoutes atomic.Uint64 // OutNoRoutes

	ifaces     []*Iface // by index-1; nil where removed
	lo         *Iface
	own        map[netip.Addr]*ownAddr
	broadcasts map[netip.Addr]int // directed broadcast addresses: networks that have them

	rt4, rt6 routeTable
	mtus     map[netip.Addr]pathMTU
	frags    reassembly
	limits   limiter
	timer    timer.Entry // the earliest of mtus, frags and reports of groups

	identMu  rank.Leaf // of idents
	identKey [2]uint64 // of the hash that chooses an ident
	idents   [256]identCounter

	// looped says which interface a packet in the host's loopback queue stands
	// for, if it is not lo: copies of multicasts and broadcasts.
	looped map[*packet.Packet]*Iface

	tap func(l *Lane, i *Iface, p *packet.Packet, sent bool) // see Tap
}

// Lane is a layer as those see it who are in one lane of the host: packets are sent and received in it.
type Lane struct {
	*Layer
	at *host.Lane

	Stats LayerStats
	ICMP  ICMPStats

	meta    Meta             // of the packet that is being received
	behind  []*packet.Packet // that came with it, and are not received yet
	scratch []byte           // its header, where that is not in the packet's head

	_ [host.CacheLine]byte // another lane's is on another cache line
}

// Lane returns the layer in a lane.
func (l *Layer) Lane(at *host.Lane) *Lane { return l.lanes[at.ID] }

// In returns the layer in the lane of whoever has entered d.
func (l *Layer) In(d *host.Domain) *Lane { return l.lanes[d.Lane().ID] }

// Whole returns the layer in the lane of whoever has entered the whole host.
func (l *Layer) Whole() *Lane { return l.lanes[0] }

// At returns the host's lane.
func (l *Lane) At() *host.Lane { return l.at }

// carried returns where the lane counts what i carries.
func (l *Lane) carried(i *Iface) *IfaceStats { return &i.lanes[l.at.ID].stats }

// ownAddr is an address of this host.
type ownAddr struct {
	iface *Iface
	src   netip.Addr // the source for packets to it: its network's first address
}

// New returns the layer of h and makes it the receiver of h's loopback queue.
func New(h *host.Host, cfg Config, table *Table) *Layer {
	if cfg.HopLimit == 0 {
		cfg.HopLimit = defaultHopLimit
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Uint64
	}
	l := &Layer{
		host:       h,
		cfg:        cfg,
		table:      *table,
		gen:        1,
		own:        make(map[netip.Addr]*ownAddr),
		broadcasts: make(map[netip.Addr]int),
		mtus:       make(map[netip.Addr]pathMTU),
		looped:     make(map[*packet.Packet]*Iface),
		identKey:   [2]uint64{cfg.Rand() | 1, cfg.Rand() | 1},
	}
	l.timer.On = l
	l.frags.init(l)
	l.limits.init(cfg.Rand)

	// From random numbers on: a host that restarts must not use those of the datagrams it has
	// just sent.
	for i := range l.idents {
		l.idents[i].last = uint16(cfg.Rand())
	}
	for n := range h.Lanes() {
		l.lanes = append(l.lanes, &Lane{Layer: l, at: h.LaneAt(n)})
	}
	h.Input = func(at *host.Lane, p *packet.Packet) { l.lanes[at.ID].inputLooped(p) }
	return l
}

// SetTransport makes t the transport with the number, before there are packets of it.
func (l *Layer) SetTransport(number uint8, t Transport) { l.table.Transport[number] = t }

// Generation changes whenever a Path returned by Route may have become wrong.
func (l *Layer) Generation() uint32 { return l.gen }

func (l *Layer) changed() { l.gen++ }

// Close frees the fragments that wait for others and stops the timer. Packets that
// come or are sent later are dropped.
func (l *Layer) Close() {
	l.closed = true
	l.frags.clear()
	clear(l.looped)
	l.host.RemoveTimer(&l.timer)
}

// Expired implements timer.Expirer.
func (l *Layer) Expired(_ *timer.Entry, now time.Duration) {
	l.frags.expire(now)
	l.expireMTUs(now)
	for _, i := range l.ifaces {
		if i != nil {
			i.reportDue(now)
		}
	}
}

// arm makes the layer's timer go off at at or earlier.
func (l *Layer) arm(at time.Duration) {
	if at < l.timer.At() {
		l.host.SetTimer(&l.timer, at)
	}
}
