package ip

import (
	"bytes"
	"encoding/binary"

	"usock/internal/wire"
	"usock/packet"
)

// Behind returns the packet that came in behind the one that the transport was given with m, if nobody else has to see it before
// the transport, and its network header says the same: it differs in its length at most, and in IPv4 in its number. nil: there
// is none. It stays the lane's, until Take. Its transport header begins behind as many bytes of Front as m.Header has.
func (l *Lane) Behind(m *Meta) *packet.Packet {
	if len(l.behind) == 0 || l.tap != nil || m.Iface.cfg.Loopback || l.table.Raw != nil && l.table.Raw.Has(m.Proto) {
		return nil
	}
	p := l.behind[0]
	b, h := p.Front(), m.Header
	if len(b) < len(h) {
		return nil
	}
	if m.V6 {
		if len(h) != wire.IPv6Len || !bytes.Equal(b[:4], h[:4]) || !bytes.Equal(b[6:wire.IPv6Len], h[6:]) ||
			int(binary.BigEndian.Uint16(b[4:])) != p.Len()-wire.IPv6Len {
			return nil
		}
		return p
	}
	const fragment = 0x3fff // More Fragments, and the offset
	if len(h) != wire.IPv4MinLen || !bytes.Equal(b[:2], h[:2]) || !bytes.Equal(b[6:10], h[6:10]) || !bytes.Equal(b[12:wire.IPv4MinLen], h[12:]) ||
		int(binary.BigEndian.Uint16(b[2:])) != p.Len() || binary.BigEndian.Uint16(b[6:])&fragment != 0 {
		return nil
	}
	if !p.Trusted && wire.ChecksumOf(b[:wire.IPv4MinLen]) != 0 {
		return nil
	}
	return p
}

// Take hands the packet of Behind to the transport, as if it had been given it by Input, without its network header.
func (l *Lane) Take(m *Meta) *packet.Packet {
	p := l.behind[0]
	l.behind = l.behind[1:]
	c := l.carried(m.Iface)
	c.RxPackets++
	c.RxBytes += uint64(p.Len())
	l.Stats.InDelivers++
	p.Consume(len(m.Header))
	return p
}
