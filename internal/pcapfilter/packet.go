package pcapfilter

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
)

// Protocol numbers (IANA) that the language names.
const (
	protoICMP   = 1
	protoIGMP   = 2
	protoTCP    = 6
	protoUDP    = 17
	protoESP    = 50
	protoAH     = 51
	protoICMPv6 = 58
	protoPIM    = 103
	protoSCTP   = 132
	protoFrag   = 44 // IPv6's fragment header
)

// Process is whose a packet is.
type Process struct {
	PID     int32  // 0: nobody's, or not known
	Program string // its name; "": not known
}

// packet is what a filter sees: an IP packet, parsed as far as it goes.
type packet struct {
	b       []byte // from its network header; what was captured
	n       int    // its length on the wire
	version int    // 4, 6, or 0 where it is neither
	proto   uint8  // over IP; of IPv6 behind a fragment header
	frag    bool   // IPv6 has a fragment header
	upper   int    // where the transport header begins; 0: nowhere in this packet
	src     netip.Addr
	dst     netip.Addr
	ports   bool // has the two below
	sport   uint16
	dport   uint16

	who Process

	short bool // a relation looked beyond the end, which no packet matches
}

// parse reads an IP packet. As tcpdump's filters do, it looks past no extension header of IPv6 but a fragment's, and
// in fragments but the first there is no transport header.
func (p *packet) parse(b []byte, n int, who Process) {
	*p = packet{b: b, n: n, who: who}
	if len(b) == 0 {
		return
	}
	switch {
	case b[0]>>4 == 4 && len(b) >= wire.IPv4MinLen:
		p.version = 4
		p.proto = b[9]
		p.src = netip.AddrFrom4([4]byte(b[12:]))
		p.dst = netip.AddrFrom4([4]byte(b[16:]))
		if binary.BigEndian.Uint16(b[6:])&0x1fff == 0 {
			p.upper = int(b[0]&15) * 4
		}
	case b[0]>>4 == 6 && len(b) >= wire.IPv6Len:
		p.version = 6
		p.proto = b[6]
		p.src = netip.AddrFrom16([16]byte(b[8:]))
		p.dst = netip.AddrFrom16([16]byte(b[24:]))
		p.upper = wire.IPv6Len
		if p.proto == protoFrag {
			p.upper, p.frag = 0, true
			if len(b) > wire.IPv6Len {
				p.proto = b[wire.IPv6Len]
			}
		}
	}
	p.parsePorts()
}

// parsePorts reads the ports, if the transport header is there and has them.
func (p *packet) parsePorts() {
	if p.upper == 0 || len(p.b) < p.upper+4 {
		return
	}
	switch p.proto {
	case protoTCP, protoUDP, protoSCTP:
		p.ports = true
		p.sport = binary.BigEndian.Uint16(p.b[p.upper:])
		p.dport = binary.BigEndian.Uint16(p.b[p.upper+2:])
	}
}

// load returns size bytes, 1, 2 or 4, at off.
func (p *packet) load(off, size int64) uint32 {
	if off < 0 || off > int64(len(p.b))-size {
		p.short = true
		return 0
	}
	b := p.b[off:]
	switch size {
	case 1:
		return uint32(b[0])
	case 2:
		return uint32(binary.BigEndian.Uint16(b))
	}
	return binary.BigEndian.Uint32(b)
}
