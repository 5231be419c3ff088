package ip

import (
	"syscall"

	"usock/internal/buf"
	"usock/internal/pkt"
	"usock/internal/wire"
)

// fragment4 sends p, which begins behind the IPv4 header h, in pieces (RFC 791,
// section 3.2). Each piece's payload is copied into a block of its own: a piece of
// a packet may need more views than a packet has.
func (l *Layer) fragment4(p *pkt.Packet, path *Path, h *wire.IPv4, mtu int, o *Out) error {
	defer p.Free()
	b := p.AppendTo(make([]byte, 0, p.Len()))
	base, more, opts := int(h.FragmentOff), h.MoreFragments, h.Options
	if wire.CheckIPv4Options(opts) >= 0 {
		return syscall.EINVAL
	}
	l.Stats.Fragmented++
	for off := 0; off < len(b); {
		hl := h.Len()
		n := mtu - hl
		if n < 8 {
			return syscall.EMSGSIZE
		}
		if n >= len(b)-off {
			n = len(b) - off
		} else {
			n &^= 7
		}
		h.FragmentOff = uint16(base + off)
		h.MoreFragments = more || off+n < len(b)
		h.TotalLen = uint16(hl + n)
		f := l.piece(p, b[off:off+n])
		h.Put(f.Prepend(hl))
		l.send(f, path, h.Dst, o)
		if off == 0 {
			h.Options = wire.IPv4FragmentOptions(opts)
		}
		off += n
	}
	return nil
}

// fragment6 sends p, which begins behind the IPv6 header h, in pieces (RFC 8200,
// section 4.5).
func (l *Layer) fragment6(p *pkt.Packet, path *Path, h *wire.IPv6, mtu int, o *Out) error {
	defer p.Free()
	const hl = wire.IPv6Len + wire.IPv6FragmentLen
	room := (mtu - hl) &^ 7
	if room < 8 {
		return syscall.EMSGSIZE
	}
	b := p.AppendTo(make([]byte, 0, p.Len()))
	fh := wire.FragmentHeader{ID: uint32(l.cfg.Rand()), Next: h.Next}
	h.Next = wire.IPv6Fragment
	l.Stats.Fragmented++
	for off := 0; off < len(b); off += room {
		n := min(room, len(b)-off)
		fh.Off = uint16(off)
		fh.More = off+n < len(b)
		h.PayloadLen = uint16(wire.IPv6FragmentLen + n)
		f := l.piece(p, b[off:off+n])
		fh.Put(f.Prepend(wire.IPv6FragmentLen))
		h.Put(f.Prepend(wire.IPv6Len))
		l.send(f, path, h.Dst, o)
	}
	return nil
}

// piece returns a packet with a copy of b as its payload, a part of p.
func (l *Layer) piece(p *pkt.Packet, b []byte) *pkt.Packet {
	f := pkt.New()
	f.Payload.Append(buf.Copy(b))
	f.Trusted, f.Owner = p.Trusted, p.Owner
	return f
}
