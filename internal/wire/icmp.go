package wire

import "encoding/binary"

// ICMPLen is the size of an ICMP or ICMPv6 header in bytes.
const ICMPLen = 8

// ICMP is the header of an ICMP (RFC 792) or ICMPv6 (RFC 4443) message.
type ICMP struct {
	Type, Code uint8
	Checksum   uint16 // Put leaves it to the caller
	Info       uint32 // the second word: identifier and sequence number, pointer, MTU
}

// ICMP types (IANA, ICMP parameters).
const (
	ICMPv4EchoReply        = 0
	ICMPv4Unreachable      = 3
	ICMPv4SourceQuench     = 4
	ICMPv4Redirect         = 5
	ICMPv4Echo             = 8
	ICMPv4TimeExceeded     = 11
	ICMPv4ParameterProblem = 12
	ICMPv4Timestamp        = 13
	ICMPv4TimestampReply   = 14
)

// Codes of ICMPv4Unreachable.
const (
	ICMPv4NetUnreachable   = 0
	ICMPv4HostUnreachable  = 1
	ICMPv4ProtoUnreachable = 2
	ICMPv4PortUnreachable  = 3
	ICMPv4FragNeeded       = 4
	ICMPv4SourceRouteFail  = 5
	ICMPv4NetUnknown       = 6
	ICMPv4HostUnknown      = 7
	ICMPv4HostIsolated     = 8
	ICMPv4NetProhibited    = 9
	ICMPv4HostProhibited   = 10
	ICMPv4NetTOS           = 11
	ICMPv4HostTOS          = 12
	ICMPv4Filtered         = 13
	ICMPv4PrecViolation    = 14
	ICMPv4PrecCutoff       = 15
)

// ICMPv6 types (IANA, ICMPv6 parameters).
const (
	ICMPv6Unreachable      = 1
	ICMPv6PacketTooBig     = 2
	ICMPv6TimeExceeded     = 3
	ICMPv6ParameterProblem = 4
	ICMPv6Echo             = 128
	ICMPv6EchoReply        = 129
	ICMPv6RouterSolicit    = 133
	ICMPv6RouterAdvert     = 134
	ICMPv6NeighborSolicit  = 135
	ICMPv6NeighborAdvert   = 136
	ICMPv6Redirect         = 137
)

// Codes of ICMPv6Unreachable.
const (
	ICMPv6NoRoute            = 0
	ICMPv6Prohibited         = 1
	ICMPv6BeyondScope        = 2
	ICMPv6AddressUnreachable = 3
	ICMPv6PortUnreachable    = 4
	ICMPv6PolicyFail         = 5
	ICMPv6RejectRoute        = 6
)

// Codes of time exceeded, in both versions.
const (
	ICMPHopLimit   = 0
	ICMPReassembly = 1
)

// Codes of ICMPv6ParameterProblem.
const (
	ICMPv6ErroneousField = 0
	ICMPv6UnknownNext    = 1
	ICMPv6UnknownOption  = 2
	ICMPv6Incomplete     = 3 // a first fragment without all headers (RFC 7112)
)

// ParseICMP reads the header at the start of b.
func ParseICMP(b []byte) (h ICMP, err error) {
	if len(b) < ICMPLen {
		return h, ErrMalformed
	}
	return ICMP{b[0], b[1], binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])}, nil
}

// Put writes the header into b, which has ICMPLen bytes.
func (h *ICMP) Put(b []byte) {
	b[0], b[1] = h.Type, h.Code
	binary.BigEndian.PutUint16(b[2:], h.Checksum)
	binary.BigEndian.PutUint32(b[4:], h.Info)
}

// ID returns the identifier of an echo message.
func (h *ICMP) ID() uint16 { return uint16(h.Info >> 16) }

// Seq returns the sequence number of an echo message.
func (h *ICMP) Seq() uint16 { return uint16(h.Info) }

// IsError4 reports whether an ICMP message of type t is about another packet: such
// a message never causes an error message itself (RFC 1122, section 3.2.2).
func IsError4(t uint8) bool {
	switch t {
	case ICMPv4Unreachable, ICMPv4SourceQuench, ICMPv4Redirect, ICMPv4TimeExceeded, ICMPv4ParameterProblem:
		return true
	}
	return false
}

// IsError6 reports whether an ICMPv6 message of type t is an error message (RFC
// 4443, section 2.1).
func IsError6(t uint8) bool { return t < 128 }
