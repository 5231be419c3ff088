package wire

import (
	"encoding/binary"
	"net/netip"
)

// IPv6Len is the size of an IPv6 header in bytes, extension headers not counted.
const IPv6Len = 40

// IPv6 is the fixed IPv6 header (RFC 8200, section 3).
type IPv6 struct {
	Src, Dst   netip.Addr
	Flow       uint32 // flow label, 20 bits
	PayloadLen uint16 // bytes that follow the header
	TOS        uint8  // traffic class
	Next       uint8  // type of the header that follows
	HopLimit   uint8
}

// ParseIPv6 reads the header at the start of b. Whether the payload is there is
// for the caller to see.
func ParseIPv6(b []byte) (h IPv6, err error) {
	if len(b) < IPv6Len || b[0]>>4 != 6 {
		return h, ErrMalformed
	}
	w := binary.BigEndian.Uint32(b)
	h.TOS = uint8(w >> 20)
	h.Flow = w & 0xfffff
	h.PayloadLen = binary.BigEndian.Uint16(b[4:])
	h.Next = b[6]
	h.HopLimit = b[7]
	h.Src = netip.AddrFrom16([16]byte(b[8:24]))
	h.Dst = netip.AddrFrom16([16]byte(b[24:40]))
	return h, nil
}

// Put writes the header into b, which has IPv6Len bytes.
func (h *IPv6) Put(b []byte) {
	binary.BigEndian.PutUint32(b, 6<<28|uint32(h.TOS)<<20|h.Flow&0xfffff)
	binary.BigEndian.PutUint16(b[4:], h.PayloadLen)
	b[6] = h.Next
	b[7] = h.HopLimit
	src, dst := h.Src.As16(), h.Dst.As16()
	copy(b[8:24], src[:])
	copy(b[24:40], dst[:])
}

// Extension headers (IANA, protocol numbers).
const (
	IPv6HopByHop = 0
	IPv6Routing  = 43
	IPv6Fragment = 44
	IPv6NoNext   = 59
	IPv6DestOpts = 60
)

// IPv6FragmentLen is the size of a fragment header in bytes.
const IPv6FragmentLen = 8

// FragmentHeader is the IPv6 fragment header (RFC 8200, section 4.5).
type FragmentHeader struct {
	ID   uint32
	Off  uint16 // in bytes, a multiple of 8
	Next uint8
	More bool
}

// ParseFragmentHeader reads the fragment header at the start of b.
func ParseFragmentHeader(b []byte) (h FragmentHeader, err error) {
	if len(b) < IPv6FragmentLen {
		return h, ErrMalformed
	}
	h.Next = b[0]

	// Thirteen bits of offset in units of eight bytes, so that masking gives bytes; the two
	// below are reserved and ignored.
	f := binary.BigEndian.Uint16(b[2:])
	h.Off = f &^ 7
	h.More = f&1 != 0
	h.ID = binary.BigEndian.Uint32(b[4:])
	return h, nil
}

// Put writes the header into b, which has IPv6FragmentLen bytes.
func (h *FragmentHeader) Put(b []byte) {
	b[0], b[1] = h.Next, 0
	f := h.Off &^ 7
	if h.More {
		f |= 1
	}
	binary.BigEndian.PutUint16(b[2:], f)
	binary.BigEndian.PutUint32(b[4:], h.ID)
}

// Fault says what a node does with a packet whose extension headers it cannot
// accept.
type Fault uint8

// The faults.
const (
	NoFault      Fault = iota
	Truncated          // a header goes beyond the bytes given
	Discard            // drop the packet without a word
	Complain           // drop it and send a parameter problem
	ComplainHost       // the same, unless it was sent to a group
)

// IPv6Chain is what WalkIPv6 found.
type IPv6Chain struct {
	Next   uint8 // of the header behind the chain: a transport, IPv6Fragment, IPv6NoNext, or an unknown one
	Len    int   // bytes of the extension headers passed
	NextAt int   // where Next was read, in bytes from the start of the chain; -1: in the header before it

	Fault   Fault
	Code    uint8 // of the parameter problem
	Pointer int   // of the parameter problem, from the start of the chain; may be -1 as NextAt
}

// WalkIPv6 passes over the extension headers at the start of b, of which the first
// has type next, as the destination does (RFC 8200, section 4), and stops before a
// fragment header. first says that b follows the fixed header: only there may a
// hop-by-hop header stand.
func WalkIPv6(next uint8, b []byte, first bool) IPv6Chain {
	c := IPv6Chain{Next: next, NextAt: -1}
	for {
		switch c.Next {
		case IPv6HopByHop:
			// Only directly behind the fixed header, so that routers need not look for it.
			if !first || c.Len != 0 {
				c.fault(Complain, ICMPv6UnknownNext, c.NextAt)
				return c
			}
		case IPv6DestOpts, IPv6Routing:
		default:
			return c
		}

		// All three have their length in the second byte, in units of eight behind the first
		// eight.
		rest := b[c.Len:]
		if len(rest) < 8 || len(rest) < (int(rest[1])+1)*8 {
			c.fault(Truncated, 0, c.Len)
			return c
		}
		n := (int(rest[1]) + 1) * 8
		if c.Next == IPv6Routing {
			// Section 4.4: a type that is not recognised, and no type is, is passed
			// over when it has no segments left.
			if rest[3] != 0 {
				c.fault(Complain, ICMPv6ErroneousField, c.Len+2)
				return c
			}
		} else if f, at := checkIPv6Options(rest[2:n]); f != NoFault {
			c.fault(f, ICMPv6UnknownOption, c.Len+2+at)
			return c
		}
		c.Next, c.NextAt = rest[0], c.Len
		c.Len += n
	}
}

// CheckHopByHop looks at the hop-by-hop options at the start of b as a router does.
// Only the fault, if any, and its place are filled in.
func CheckHopByHop(b []byte) (c IPv6Chain) {
	if len(b) < 8 || len(b) < (int(b[1])+1)*8 {
		c.fault(Truncated, 0, 0)
	} else if f, at := checkIPv6Options(b[2 : (int(b[1])+1)*8]); f != NoFault {
		c.fault(f, ICMPv6UnknownOption, 2+at)
	}
	return c
}

func (c *IPv6Chain) fault(f Fault, code uint8, pointer int) {
	c.Fault, c.Code, c.Pointer = f, code, pointer
}

const (
	ipv6OptPad1        = 0
	ipv6OptRouterAlert = 5
	ipv6OptPadN        = 1
)

// checkIPv6Options looks at the options of a hop-by-hop or destination options
// header. The two highest bits of an unknown option say what is to be done (RFC
// 8200, section 4.2).
func checkIPv6Options(b []byte) (f Fault, at int) {
	for i := 0; i < len(b); {
		if b[i] == ipv6OptPad1 {
			i++
			continue
		}

		// The options do not fill their header: there is no saying where a complaint should
		// point.
		if i+1 >= len(b) || i+2+int(b[i+1]) > len(b) {
			return Discard, i
		}
		if b[i] != ipv6OptPadN && b[i] != ipv6OptRouterAlert {
			// 00: passed over. Whoever defines an option chooses what nodes do that do not know
			// it.
			switch b[i] >> 6 {
			case 1:
				return Discard, i
			case 2:
				return Complain, i
			case 3:
				return ComplainHost, i
			}
		}
		i += 2 + int(b[i+1])
	}
	return NoFault, 0
}
