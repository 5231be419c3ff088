package link

import (
	"encoding/binary"

	"usock/internal/wire"
)

// vnetLen is the length of the virtio-net header (virtio 1.2 section 5.1.6) that
// stands before each packet on a TUN or TAP device, in the machine's byte order.
const vnetLen = 10

// Flags and segmentation types of a virtio-net header.
const (
	vnetNeedsChecksum = 1
	vnetDataValid     = 2

	vnetNone  = 0
	vnetTCPv4 = 1
	vnetTCPv6 = 4
	vnetECN   = 0x80 // with a TCP type: the first segment alone has CWR
)

// putVnet writes the header that tells a device p's notes. skip is the length of
// the link header that p begins with. It reports false if p does not bear its notes
// out.
func putVnet(b *[vnetLen]byte, p *Packet, skip int) bool {
	*b = [vnetLen]byte{}
	if p.ChecksumOffset == 0 {
		return p.SegmentSize == 0
	}
	n := binary.NativeEndian
	start := skip + int(p.ChecksumStart)
	b[0] = vnetNeedsChecksum
	n.PutUint16(b[6:], uint16(start))
	n.PutUint16(b[8:], p.ChecksumOffset)
	if p.SegmentSize == 0 {
		return true
	}
	f := p.Front()
	if len(f) < start+wire.TCPMinLen || len(f) <= skip {
		return false
	}
	switch f[skip] >> 4 {
	case 4:
		b[1] = vnetTCPv4
	case 6:
		b[1] = vnetTCPv6
	default:
		return false
	}
	if wire.TCPFlags(f[start+13])&wire.CWR != 0 {
		b[1] |= vnetECN
	}
	head := start + int(f[start+12]>>4)*4

	// What is one segment already is none to be cut.
	if p.Len()-head <= int(p.SegmentSize) {
		b[1] = vnetNone
		return true
	}
	n.PutUint16(b[2:], uint16(head))
	n.PutUint16(b[4:], p.SegmentSize)
	return true
}

// setVnet makes notes of the header b on p. It reports false for a header that
// asks for something that was not offered.
func setVnet(b *[vnetLen]byte, p *Packet, skip int) bool {
	n := binary.NativeEndian
	if b[0]&vnetNeedsChecksum != 0 {
		start, offset := int(n.Uint16(b[6:])), n.Uint16(b[8:])

		// The kernel is trusted, but a packet from elsewhere on its machine may have made the
		// header: it is believed within the packet only.
		if start < skip || start+int(offset)+2 > p.Len() || offset == 0 {
			return false
		}
		p.ChecksumStart, p.ChecksumOffset = uint16(start-skip), offset
	}
	// Both flags say that what arrived is what was sent: the sender is on this
	// machine, or the device has verified the checksum.
	p.Trusted = b[0]&(vnetNeedsChecksum|vnetDataValid) != 0
	switch b[1] &^ vnetECN {
	case vnetNone:
	case vnetTCPv4, vnetTCPv6:
		p.SegmentSize = n.Uint16(b[4:])
	default:
		return false
	}
	return true
}
