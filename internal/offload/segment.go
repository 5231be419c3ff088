package offload

import (
	"encoding/binary"

	"usock/internal/wire"
	"usock/packet"
)

// Segment cuts p, a whole IPv4 or IPv6 packet with a large TCP segment, into
// segments of at most p.SegmentSize bytes of data, with their checksums filled in,
// and hands each to emit, which takes it over. It takes over p. A packet that has no
// such note is completed and emitted as it is; one that cannot be what its note
// says is freed, and Segment returns false.
func Segment(p *packet.Packet, emit func(*packet.Packet)) bool {
	size := int(p.SegmentSize)
	if size == 0 {
		if !Complete(p, 0) {
			p.Free()
			return false
		}
		emit(p)
		return true
	}
	return cut(p, size, false, emit)
}

// Cut is Segment, with a note of its own for each segment, for a link that completes checksums: p has one, and a size.
// Where p must not be fragmented its number, by which fragments would be put together, is that of all
// (RFC 6864, section 4.1).
func Cut(p *packet.Packet, emit func(*packet.Packet)) bool {
	return cut(p, int(p.SegmentSize), true, emit)
}

// cut cuts p into segments of size bytes of data, and completes their checksums or leaves that to others.
func cut(p *packet.Packet, size int, left bool, emit func(*packet.Packet)) bool {
	defer p.Free()

	// All headers at once, wherever they stand: each segment begins with a copy.
	var head [wire.IPv4MaxLen + wire.TCPMaxLen]byte
	n := copy(head[:], p.Head())
	n += p.Payload.CopyTo(head[n:], 0)
	net, tcp, ok := headers(head[:n])
	if !ok {
		return false
	}
	hl := net + tcp
	flags := head[net+13]
	seq := binary.BigEndian.Uint32(head[net+4:])
	id, step := binary.BigEndian.Uint16(head[4:]), uint16(1)
	if left && head[6]&dontFragment != 0 {
		step = 0
	}
	data := p.Len() - hl
	for off, i := 0, 0; off < data || i == 0; off, i = off+size, i+1 {
		k := min(size, data-off)
		s := packet.New()
		s.Trusted, s.Owner = p.Trusted, p.Owner
		b := s.Prepend(hl)
		copy(b, head[:hl])
		slice(s, p, hl+off, k)

		// FIN and PSH are of the last byte: only the last segment has it.
		f := flags
		if off+k < data {
			f &^= uint8(wire.FIN | wire.PSH)
		}
		if i > 0 {
			f &^= uint8(wire.CWR) // said once (RFC 3168, section 6.1.2)
		}
		b[net+13] = f
		binary.BigEndian.PutUint32(b[net+4:], seq+uint32(off))
		binary.BigEndian.PutUint16(b[net+tcpField:], 0)
		var c wire.Checksum
		if b[0]>>4 == 4 {
			binary.BigEndian.PutUint16(b[2:], uint16(hl+k))

			// A number for each, as each is a datagram that may be fragmented.
			binary.BigEndian.PutUint16(b[4:], id+uint16(i)*step)
			b[10], b[11] = 0, 0
			binary.BigEndian.PutUint16(b[10:], wire.ChecksumOf(b[:net]))
			c.Add(b[12:20])
		} else {
			binary.BigEndian.PutUint16(b[4:], uint16(hl+k-wire.IPv6Len))
			c.Add(b[8:40])
		}
		c.AddUint16(6) // TCP, the pseudo-header's protocol
		c.AddUint16(uint16(tcp + k))
		if left {
			binary.BigEndian.PutUint16(b[net+tcpField:], c.Partial())
			s.ChecksumStart, s.ChecksumOffset = uint16(net), tcpField
			emit(s)
			continue
		}
		c.Add(b[net:])
		for _, v := range s.Payload.Views() {
			c.Add(v.Bytes())
		}
		binary.BigEndian.PutUint16(b[net+tcpField:], c.Sum())
		emit(s)
	}
	return true
}

const (
	tcpField     = 16   // where a TCP header has its checksum
	dontFragment = 0x40 // of byte 6 of an IPv4 header
)

// headers returns the lengths of the network and the TCP header at the start of b.
func headers(b []byte) (net, tcp int, ok bool) {
	if h, n, err := wire.ParseIPv4(b); err == nil && h.Proto == 6 && !h.IsFragment() {
		net = n
	} else if h, err := wire.ParseIPv6(b); err == nil && h.Next == 6 {
		net = wire.IPv6Len
	} else {
		return 0, 0, false
	}
	_, tcp, err := wire.ParseTCP(b[net:])
	return net, tcp, err == nil
}

// slice appends the bytes [off, off+n) of p to s's payload, by reference where they
// are in blocks.
func slice(s, p *packet.Packet, off, n int) {
	if h := p.Head(); off < len(h) {
		k := min(n, len(h)-off)
		s.Payload.Append(packet.Copy(h[off : off+k]))
		off, n = 0, n-k
	} else {
		off -= len(h)
	}
	for _, v := range p.Payload.Views() {
		if n == 0 {
			return
		}
		if off >= v.Len() {
			off -= v.Len()
			continue
		}
		k := min(n, v.Len()-off)
		part := v.Slice(off, off+k)
		part.Retain()
		s.Payload.Append(part)
		off, n = 0, n-k
	}
}
