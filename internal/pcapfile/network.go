package pcapfile

import "encoding/binary"

// Link types (IANA).
const (
	linkNull     = 0 // BSD's loopback: the family, in its machine's order
	linkEthernet = 1
	linkRawOld   = 12
	linkRawBSD   = 14
	linkRaw      = 101
	linkLoop     = 108 // as linkNull, in network order
	linkCooked   = 113 // Linux's, of tcpdump -i any
	linkIPv4     = 228
	linkIPv6     = 229
	linkCooked2  = 276
)

// What an EtherType says.
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100
	etherQinQ  = 0x88a8
	etherIEEE2 = 0x9100
)

// outgoing is the type of a cooked packet that its machine has sent (packet(7)).
const outgoing = 4

// IP returns the IP packet in p, as much as was captured, and how long it was. A cooked packet's direction is set. Not ok: there
// is none.
func (p *Packet) IP() (b []byte, length int, ok bool) {
	b = p.Data
	switch p.Link {
	case linkRaw, linkRawOld, linkRawBSD, linkIPv4, linkIPv6:
		ok = true
	case linkNull, linkLoop:
		if ok = len(b) >= 4; ok {
			b = b[4:]
		}
	case linkEthernet:
		b, ok = behindEthernet(b)
	case linkCooked:
		if ok = len(b) >= 16 && isIP(binary.BigEndian.Uint16(b[14:])); ok {
			p.cooked(binary.BigEndian.Uint16(b))
			b = b[16:]
		}
	case linkCooked2:
		if ok = len(b) >= 20 && isIP(binary.BigEndian.Uint16(b)); ok {
			p.cooked(uint16(b[10]))
			b = b[20:]
		}
	}
	if !ok || len(b) == 0 {
		return nil, 0, false
	}

	// The header's length: there may be padding behind the packet, and less of it captured. Segments that a device is to cut up
	// may have none.
	around := len(p.Data) - len(b)
	switch {
	case b[0]>>4 == 4 && len(b) >= 20:
		length = int(binary.BigEndian.Uint16(b[2:]))
	case b[0]>>4 == 6 && len(b) >= 40:
		if length = int(binary.BigEndian.Uint16(b[4:])); length != 0 {
			length += 40
		}
	default:
		return nil, 0, false
	}
	if length == 0 {
		length = max(p.Len-around, 0)
	}
	return b[:min(len(b), length)], length, true
}

// cooked sets the direction of a cooked packet.
func (p *Packet) cooked(kind uint16) {
	if p.Direction = In; kind == outgoing {
		p.Direction = Out
	}
}

func isIP(ether uint16) bool { return ether == etherIPv4 || ether == etherIPv6 }

// behindEthernet returns what an Ethernet frame carries, past tags of VLANs.
func behindEthernet(b []byte) ([]byte, bool) {
	at := 12
	for at+2 <= len(b) {
		switch kind := binary.BigEndian.Uint16(b[at:]); kind {
		case etherVLAN, etherQinQ, etherIEEE2:
			at += 4
		default:
			return b[at+2:], isIP(kind)
		}
	}
	return nil, false
}
