package ip

import (
	"net/netip"
	"syscall"

	"usock/internal/pkt"
)

// Where the checksum stands in a transport header: values of Out.Checksum.
const (
	ChecksumTCP    = 16
	ChecksumUDP    = 6
	ChecksumICMPv6 = 2
)

// Out says what the network header of a packet is to say.
type Out struct {
	Src, Dst netip.Addr
	Flow     uint32 // IPv6 flow label, 20 bits
	Proto    uint8
	TTL      uint8 // 0: the layer's default, or 1 for multicast destinations
	TOS      uint8

	// Checksum is where in the transport header the Internet checksum over header,
	// payload and pseudo-header belongs; 0: the packet is ready as it is. Where
	// the link allows it the sum is left to it, or left out.
	Checksum uint8

	// DontFragment refuses packets larger than the path's MTU with EMSGSIZE and, in
	// IPv4, forbids routers to fragment.
	DontFragment bool

	// IgnorePathMTU sends packets up to the interface's MTU, whatever the path's
	// (IP_PMTUDISC_PROBE, IP_PMTUDISC_INTERFACE).
	IgnorePathMTU bool

	NoLoop bool // no copy of a multicast to this host (IP_MULTICAST_LOOP 0)

	// HeaderIncluded says that the packet begins with its network header. The layer
	// completes length, checksum and, where they are zero, identification and
	// source.
	HeaderIncluded bool

	Options []byte // IPv4 options, a multiple of 4 and at most 40 bytes
}

// Output sends p, which begins with the transport header, along path. It takes
// over p, also when it fails. path.Gen must be current.
func (l *Layer) Output(p *pkt.Packet, path *Path, o *Out) error {
	p.Free()
	return syscall.ENETUNREACH
}
