package wire

import "encoding/binary"

// UDPLen is the size of a UDP header in bytes.
const UDPLen = 8

// UDP is a UDP header (RFC 768).
type UDP struct {
	SrcPort, DstPort uint16
	Len              uint16 // bytes of header and data; 0: as many as there are (RFC 2675)
	Checksum         uint16 // 0: none was computed
}

// ParseUDP reads the header at the start of b. Len is 0 or at least UDPLen; whether
// as many bytes are there is for the caller to see.
func ParseUDP(b []byte) (h UDP, err error) {
	if len(b) < UDPLen {
		return h, ErrMalformed
	}
	h.SrcPort = binary.BigEndian.Uint16(b)
	h.DstPort = binary.BigEndian.Uint16(b[2:])
	h.Len = binary.BigEndian.Uint16(b[4:])
	h.Checksum = binary.BigEndian.Uint16(b[6:])

	// Less than the header itself; zero is a jumbogram's (RFC 2675).
	if h.Len != 0 && h.Len < UDPLen {
		return h, ErrMalformed
	}
	return h, nil
}

// Put writes the header into b, which has UDPLen bytes.
func (h *UDP) Put(b []byte) {
	binary.BigEndian.PutUint16(b, h.SrcPort)
	binary.BigEndian.PutUint16(b[2:], h.DstPort)
	binary.BigEndian.PutUint16(b[4:], h.Len)
	binary.BigEndian.PutUint16(b[6:], h.Checksum)
}
