package wire

import (
	"encoding/binary"
	"net/netip"
)

// Sizes of an IPv4 header in bytes.
const (
	IPv4MinLen = 20
	IPv4MaxLen = 60
)

// Bits of the IPv4 flags and fragment offset field.
const (
	ipv4DF      = 0x4000
	ipv4MF      = 0x2000
	ipv4OffMask = 0x1fff
)

// IPv4 is an IPv4 header (RFC 791, section 3.1).
type IPv4 struct {
	Src, Dst      netip.Addr
	TotalLen      uint16 // bytes of header and payload
	ID            uint16
	FragmentOff   uint16 // in bytes, a multiple of 8
	Checksum      uint16 // as read; Put computes it
	TOS           uint8
	TTL           uint8
	Proto         uint8
	DontFragment  bool
	MoreFragments bool
	Options       []byte // refers to what was parsed; Put pads to a multiple of 4
}

// IsFragment reports whether the packet is a part of a datagram.
func (h *IPv4) IsFragment() bool { return h.MoreFragments || h.FragmentOff != 0 }

// ParseIPv4 reads the header at the start of b and returns its length. The total
// length is at least that; whether as many bytes follow is for the caller to see,
// as is the checksum.
func ParseIPv4(b []byte) (h IPv4, n int, err error) {
	if len(b) < IPv4MinLen || b[0]>>4 != 4 {
		return h, 0, ErrMalformed
	}

	// A header longer than the bytes given, or than the datagram, would have the parser read
	// what is not of it.
	n = int(b[0]&15) * 4
	h.TotalLen = binary.BigEndian.Uint16(b[2:])
	if n < IPv4MinLen || n > len(b) || int(h.TotalLen) < n {
		return h, 0, ErrMalformed
	}
	h.TOS = b[1]
	h.ID = binary.BigEndian.Uint16(b[4:])
	f := binary.BigEndian.Uint16(b[6:])
	h.DontFragment = f&ipv4DF != 0
	h.MoreFragments = f&ipv4MF != 0
	h.FragmentOff = f & ipv4OffMask << 3
	h.TTL = b[8]
	h.Proto = b[9]
	h.Checksum = binary.BigEndian.Uint16(b[10:])
	h.Src = netip.AddrFrom4([4]byte(b[12:16]))
	h.Dst = netip.AddrFrom4([4]byte(b[16:20]))

	// With its capacity cut: an append must not run into the payload.
	if n > IPv4MinLen {
		h.Options = b[IPv4MinLen:n:n]
	}
	return h, n, nil
}

// Len returns the length of the header with its options.
func (h *IPv4) Len() int { return IPv4MinLen + (len(h.Options)+3)&^3 }

// Put writes the header into b, which has exactly h.Len() bytes, checksum
// included. Src and Dst must be IPv4 addresses.
func (h *IPv4) Put(b []byte) {
	b[0] = 4<<4 | byte(len(b)/4)
	b[1] = h.TOS
	binary.BigEndian.PutUint16(b[2:], h.TotalLen)
	binary.BigEndian.PutUint16(b[4:], h.ID)
	f := h.FragmentOff >> 3
	if h.DontFragment {
		f |= ipv4DF
	}
	if h.MoreFragments {
		f |= ipv4MF
	}
	binary.BigEndian.PutUint16(b[6:], f)
	b[8] = h.TTL
	b[9] = h.Proto
	b[10], b[11] = 0, 0
	src, dst := h.Src.As4(), h.Dst.As4()
	copy(b[12:16], src[:])
	copy(b[16:20], dst[:])

	// Zero is the end of options, and pads to whole words.
	clear(b[IPv4MinLen+copy(b[IPv4MinLen:], h.Options):])
	binary.BigEndian.PutUint16(b[10:], ChecksumOf(b))
}

// IPv4 option kinds (IANA, IP option numbers).
const (
	IPv4OptEnd         = 0
	IPv4OptNOP         = 1
	IPv4OptRecordRoute = 7
	IPv4OptTimestamp   = 68
	IPv4OptLSRR        = 131
	IPv4OptRouterAlert = 148
	IPv4OptSSRR        = 137
)

// IPv4OptCopied reports whether an option is repeated in every fragment (RFC 791,
// section 3.1).
func IPv4OptCopied(kind uint8) bool { return kind&0x80 != 0 }

// CheckIPv4Options returns the offset in opts of the first byte that is wrong:
// -1 if all options have a possible length.
func CheckIPv4Options(opts []byte) int {
	for i := 0; i < len(opts); {
		switch opts[i] {
		case IPv4OptEnd:
			return -1
		case IPv4OptNOP:
			i++
			continue
		}

		// An option without its length byte.
		if i+1 >= len(opts) {
			return i
		}
		n := int(opts[i+1])

		// The length counts kind and length: less than two would never get on.
		if n < 2 || i+n > len(opts) {
			return i + 1
		}
		i += n
	}
	return -1
}

// IPv4FragmentOptions returns the options that go with fragments after the first:
// those with the copied flag. opts has passed CheckIPv4Options.
func IPv4FragmentOptions(opts []byte) []byte {
	var out []byte
	for i := 0; i < len(opts) && opts[i] != IPv4OptEnd; {
		n := 1
		if opts[i] != IPv4OptNOP {
			n = int(opts[i+1])
			if IPv4OptCopied(opts[i]) {
				out = append(out, opts[i:i+n]...)
			}
		}
		i += n
	}
	return out
}
