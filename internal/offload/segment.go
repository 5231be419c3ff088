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
	var h template
	n := copy(h.head[:], p.Head())
	if !h.parse(n) {
		n += p.Payload.CopyTo(h.head[n:], 0)
		if !h.parse(n) {
			return false
		}
	}
	h.sameID = left && h.head[6]&dontFragment != 0
	hl := h.net + h.tcp
	data := p.Len() - hl
	for off, i := 0, 0; off < data || i == 0; off, i = off+size, i+1 {
		k := min(size, data-off)
		s := packet.New()
		s.Trusted, s.Owner = p.Trusted, p.Owner
		b := s.Prepend(hl)
		sum := h.put(b, off, k, i, off+k >= data)
		slice(s, p, hl+off, k)
		if left {
			binary.BigEndian.PutUint16(b[h.net+tcpField:], sum.Partial())
			s.ChecksumStart, s.ChecksumOffset = uint16(h.net), tcpField
			emit(s)
			continue
		}
		sum.Add(b[h.net:])
		for _, v := range s.Payload.Views() {
			sum.Add(v.Bytes())
		}
		binary.BigEndian.PutUint16(b[h.net+tcpField:], sum.Sum())
		emit(s)
	}
	return true
}

// template is the headers of a large segment, of which those of its pieces are made. What is different in each is zero in it, so that the sums
// of the rest are made once.
type template struct {
	head     [wire.IPv4MaxLen + wire.TCPMaxLen]byte
	net, tcp int // lengths of the headers
	v4       bool
	sameID   bool // the pieces have one IPv4 identification
	seq      uint32
	id       uint16
	flags    wire.TCPFlags
	ofNet    wire.Checksum // over the IPv4 header
	ofPseudo wire.Checksum // over the pseudo-header
}

// parse makes the template of the first n bytes of head. It reports false if those are no headers.
func (t *template) parse(n int) (ok bool) {
	b := t.head[:]
	if t.net, t.tcp, ok = headers(b[:n]); !ok {
		return false
	}
	t.v4 = b[0]>>4 == 4
	t.seq, t.flags = binary.BigEndian.Uint32(b[t.net+4:]), wire.TCPFlags(b[t.net+13])
	clear(b[t.net+tcpField:][:2])
	if t.v4 {
		t.id = binary.BigEndian.Uint16(b[4:])
		clear(b[2:6])
		clear(b[10:12])
		t.ofNet.Add(b[:t.net])
		t.ofPseudo.Add(b[12:20])
	} else {
		t.ofPseudo.Add(b[8:40])
	}
	t.ofPseudo.AddUint16(6) // TCP
	return true
}

// put writes the headers of piece i, k bytes of data from off on, to b, without TCP's checksum, and returns the sum over its pseudo-header.
func (t *template) put(b []byte, off, k, i int, last bool) wire.Checksum {
	copy(b, t.head[:])
	if t.v4 {
		// A number for each, as each is a datagram that may be fragmented.
		id := t.id
		if !t.sameID {
			id += uint16(i)
		}
		n := uint16(len(b) + k)
		sum := t.ofNet
		sum.AddUint16(n)
		sum.AddUint16(id)
		binary.BigEndian.PutUint16(b[2:], n)
		binary.BigEndian.PutUint16(b[4:], id)
		binary.BigEndian.PutUint16(b[10:], sum.Sum())
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)+k-wire.IPv6Len))
	}

	// FIN and PSH are of the last byte: only the last segment has it.
	f := t.flags
	if !last {
		f &^= wire.FIN | wire.PSH
	}
	if i > 0 {
		f &^= wire.CWR // said once (RFC 3168, section 6.1.2)
	}
	b[t.net+13] = uint8(f)
	binary.BigEndian.PutUint32(b[t.net+4:], t.seq+uint32(off))
	sum := t.ofPseudo
	sum.AddUint16(uint16(t.tcp + k))
	return sum
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
