package ip

import (
	"usock/internal/host"
	"usock/internal/pkt"
)

// Numbers of the protocols that the layer itself knows (IANA, protocol numbers).
const (
	ProtoHopByHop = 0
	ProtoICMP     = 1
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoICMPv6   = 58
	ProtoNone     = 59
	ProtoDestOpts = 60
	ProtoSCTP     = 132
)

// Transport is a protocol over IP: one row of the protocol table.
type Transport interface {
	// Input takes over p, whose Front begins with the transport header and holds
	// all of it that arrived in one piece. If nobody wants the packet, Input
	// returns false and leaves p as it was: the layer then answers with an ICMP
	// error, where the rules allow one, and frees it.
	Input(p *pkt.Packet, m *Meta) bool

	// Error reports an ICMP error about a packet that this host seems to have
	// sent. Whether to believe it (RFC 5927) is the transport's business; one that
	// believes a message with an MTU calls Layer.LowerPathMTU.
	Error(e *Error)
}

// Raw is told of every packet for this host before its transport is.
type Raw interface {
	// Tap may look at p and clone it, but neither keeps nor changes it. It reports
	// whether somebody took a copy: no protocol-unreachable error is sent then.
	Tap(p *pkt.Packet, m *Meta) bool

	// Error reports an ICMP error before the transport hears of it.
	Error(e *Error)
}

// Table is the protocol table. For ICMP and ICMPv6, which the layer serves itself,
// the transport in the table is given the echo replies only and is told of errors
// about echo requests.
type Table struct {
	Transport [256]Transport
	Raw       Raw // nil: none
}

// Config says how a layer behaves. Its zero value is a host with Linux's defaults.
type Config struct {
	Forwarding bool          // pass packets on between links
	HopLimit   uint8         // of packets that ask for none of their own; 0: 64
	Rand       func() uint64 // nil: a generator with a random seed
}

// Layer is the IP layer of one host. The host's lock guards all of it.
type Layer struct {
	host   *host.Host
	cfg    Config
	table  Table
	ifaces []*Iface // by index-1; nil where removed
	gen    uint32
}

// New returns the layer of h and makes it the receiver of h's loopback queue.
func New(h *host.Host, cfg Config, table *Table) *Layer {
	l := &Layer{host: h, cfg: cfg, table: *table}
	return l
}

// Generation changes whenever a Path returned by Route may have become wrong.
func (l *Layer) Generation() uint32 { return l.gen }
