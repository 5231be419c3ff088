package ip

import (
	"syscall"

	"usock/internal/wire"
	"usock/packet"
)

// fragment4 sends p, which begins behind the IPv4 header h, in pieces (RFC 791,
// section 3.2). Each piece's payload is copied into a block of its own: a piece of
// a packet may need more views than a packet has.
func (l *Lane) fragment4(p *packet.Packet, path *Path, h *wire.IPv4, mtu int, o *Out) error {
	defer p.Free()
	base, more, opts := int(h.FragmentOff), h.MoreFragments, h.Options

	// Options that are no options could not be told apart for the later fragments.
	if wire.CheckIPv4Options(opts) >= 0 {
		return syscall.EINVAL
	}
	l.Stats.FragOKs++

	// Offsets count eight bytes, so that all pieces but the last have a multiple of them. A
	// fragment that is fragmented again keeps its place and, but for its last piece, its flag.
	for off, total := 0, p.Len(); off < total; {
		hl := h.Len()
		n := mtu - hl
		if n < 8 {
			return syscall.EMSGSIZE
		}
		if n >= total-off {
			n = total - off
		} else {
			n &^= 7
		}
		h.FragmentOff = uint16(base + off)
		h.MoreFragments = more || off+n < total
		h.TotalLen = uint16(hl + n)
		f := piece(p, off, n)
		l.Stats.FragCreates++
		h.Put(f.Prepend(hl))
		l.send(f, path, h.Src, h.Dst, o)

		// Later pieces carry fewer options, and so more data.
		if off == 0 {
			h.Options = wire.IPv4FragmentOptions(opts)
		}
		off += n
	}
	return nil
}

// fragment6 sends p, which begins behind the IPv6 header h, in pieces (RFC 8200,
// section 4.5).
func (l *Lane) fragment6(p *packet.Packet, path *Path, h *wire.IPv6, mtu int, o *Out) error {
	defer p.Free()
	const hl = wire.IPv6Len + wire.IPv6FragmentLen
	room := (mtu - hl) &^ 7
	if room < 8 {
		return syscall.EMSGSIZE
	}

	// A random number: a counter would tell everybody how much the host sends, and let
	// fragments be forged (RFC 7739).
	fh := wire.FragmentHeader{ID: uint32(l.cfg.Rand()), Next: h.Next}
	h.Next = wire.IPv6Fragment
	l.Stats.FragOKs++
	for off, total := 0, p.Len(); off < total; off += room {
		n := min(room, total-off)
		fh.Off = uint16(off)
		fh.More = off+n < total
		h.PayloadLen = uint16(wire.IPv6FragmentLen + n)
		f := piece(p, off, n)
		l.Stats.FragCreates++
		fh.Put(f.Prepend(wire.IPv6FragmentLen))
		h.Put(f.Prepend(wire.IPv6Len))
		l.send(f, path, h.Src, h.Dst, o)
	}
	return nil
}

// piece returns a packet with a copy of the bytes [off, off+n) of p as its payload.
func piece(p *packet.Packet, off, n int) *packet.Packet {
	b := packet.NewBlock(n)
	k := 0
	head := p.Head()
	if off < len(head) {
		k = copy(b.Bytes()[:n], head[off:])
	}
	if k < n {
		p.Payload.CopyTo(b.Bytes()[k:n], off+k-len(head))
	}
	f := packet.New()
	f.Payload.Append(b.View(0, n))
	f.Trusted, f.Owner = p.Trusted, p.Owner
	return f
}
