package packet

import "sync"

// Headroom is the room for headers in a packet: virtio-net, Ethernet, IPv4 or
// IPv6 with options, and TCP with options.
const Headroom = 160

// Packet is one packet. Its bytes are Head() followed by the views of Payload.
//
// A packet that was built by a host has all its headers in the head and only
// data in Payload. One that was read from a device has an empty head, and all its
// headers in the first view. Front and Consume hide the difference.
//
// The fields stand in the order of their use: what every packet needs is on the first cache
// line, and the headers of most are on the last one.
type Packet struct {
	next *Packet
	off  uint8 // Head is head[off:end]
	end  uint8

	// CRC32c says that the checksum to be completed is not the Internet checksum but
	// the CRC32c over the bytes from ChecksumStart on, 4 bytes with the least
	// significant one first, which are zero until then (RFC 9260, section 6.8).
	CRC32c bool

	// Trusted says that the packet never left memory, so that its checksums need
	// not be verified.
	Trusted bool

	// ForHost says that the packet is for the host whose loopback interface it is on,
	// whatever its header says (IP_HDRINCL).
	ForHost bool

	// DontFragment says that an IPv6 packet is not to be fragmented by its sender, which its
	// header, unlike IPv4's, cannot say: a gateway sends on what it carries accordingly.
	DontFragment bool

	// ChecksumStart and ChecksumOffset say, if ChecksumOffset is not zero, that
	// the transport checksum holds only the pseudo-header's sum and is to be
	// completed by whoever takes the packet out of memory: the sum over the bytes
	// from ChecksumStart on is stored at ChecksumStart+ChecksumOffset. Both count
	// from the first byte of the network header.
	ChecksumStart, ChecksumOffset uint16

	// SegmentSize, if not zero, says that the packet is one large TCP segment
	// that is to be cut into segments of that many bytes of data each. In a host's
	// own loopback queue, and nowhere else, it may be a UDP datagram, too.
	SegmentSize uint16

	Payload Vec // owns a reference for each view

	// Owner says for whom the packet was sent, 0 and 0 where nobody in particular.
	Owner Owner

	// Note is what recordings say of the packet; "": nothing.
	Note string

	head [Headroom]byte
}

// Owner identifies the program and the socket behind a packet.
type Owner struct {
	PID    int32  // process, as its own kernel numbers it; 0: unknown
	Socket uint64 // the host's number of the socket; 0: none
}

var pool = sync.Pool{New: func() any { return new(Packet) }}

// New returns an empty packet with full headroom.
func New() *Packet {
	p := pool.Get().(*Packet)
	p.off, p.end = Headroom, Headroom
	return p
}

// Free releases the payload and gives the packet back.
func (p *Packet) Free() {
	p.Payload.Release()
	p.ChecksumStart, p.ChecksumOffset, p.SegmentSize = 0, 0, 0
	p.CRC32c, p.Trusted, p.ForHost, p.DontFragment, p.Owner, p.next = false, false, false, false, Owner{}, nil
	if p.Note != "" {
		p.Note = ""
	}
	pool.Put(p)
}

// Len returns the number of bytes, head and payload.
func (p *Packet) Len() int { return int(p.end-p.off) + p.Payload.Len() }

// Head returns the headers that stand before the payload.
func (p *Packet) Head() []byte { return p.head[p.off:p.end] }

// Prepend makes room for n bytes in front of the head and returns them, to be
// filled. It panics if the headroom does not suffice, which no header chain that
// usock builds can bring about.
func (p *Packet) Prepend(n int) []byte {
	if n > int(p.off) {
		panic("packet: out of headroom")
	}
	p.off -= uint8(n)
	return p.head[p.off : int(p.off)+n]
}

// Front returns the bytes in which the next header is to be found: what is left
// of the head or, when that is used up, of the first view.
func (p *Packet) Front() []byte {
	if p.off < p.end {
		return p.head[p.off:p.end]
	}
	return p.Payload.Front()
}

// Consume drops n bytes of Front: a header that has been read.
func (p *Packet) Consume(n int) {
	if p.off < p.end {
		if n > int(p.end-p.off) {
			panic("packet: consumed beyond the head")
		}
		p.off += uint8(n)
		return
	}
	p.Payload.TrimFront(n)
}

// Truncate keeps the first n bytes: what stands behind a datagram's length is
// link padding.
func (p *Packet) Truncate(n int) {
	if h := int(p.end - p.off); n < h {
		p.end = p.off + uint8(n)
		p.Payload.Release()
	} else {
		p.Payload.Truncate(n - h)
	}
}

// Clone returns a packet with the same bytes and notes. The payload's blocks are
// shared.
func (p *Packet) Clone() *Packet {
	c := pool.Get().(*Packet)

	// Head and notes by value, the payload's views with a reference more each: neither packet
	// can change the other's bytes.
	*c = *p
	c.next = nil
	c.Payload.Retain()
	return c
}

// AppendTo appends all bytes of the packet to b.
func (p *Packet) AppendTo(b []byte) []byte {
	return p.Payload.AppendTo(append(b, p.Head()...))
}

// FromBytes returns a packet that holds a copy of b, as if read from a device.
// b has at most MaxBlock bytes.
func FromBytes(b []byte) *Packet {
	p := New()
	p.Payload.Append(Copy(b))
	return p
}
