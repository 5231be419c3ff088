package ip

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
	"usock/packet"
)

// MLD (RFC 2710, RFC 3810): how hosts tell routers of groups over IPv6. Its messages are ICMPv6's.

var (
	allRouters6 = netip.MustParseAddr("ff02::2")
	mldv2       = netip.MustParseAddr("ff02::16")
)

// routerAlert6 is a header of hop-by-hop options that has routers look at a packet that is not for
// them (RFC 2711), with padding.
var routerAlert6 = []byte{ProtoICMPv6, 0, routerAlertOption, 2, 0, 0, 1, 0}

const routerAlertOption = 5

// inputMLD takes over a query or a report of the first version. What does not come from the link,
// or does not say that routers are to look at it, is dropped (RFC 3810, section 6.2; RFC 2710,
// section 4).
func (l *Lane) inputMLD(p *packet.Packet, m *Meta, typ uint8) {
	defer p.Free()
	if !pullUp(p, p.Len()) || m.TTL != 1 || !m.Src.IsLinkLocalUnicast() || !alertsRouters(m.Header) || p.Len() < wire.MLDMinLen {
		l.ICMP.InErrors++
		return
	}
	b := p.Front()
	if typ == wire.MLDv1Report {
		m.Iface.heardReport(netip.AddrFrom16([16]byte(b[8:24])))
		return
	}
	q, err := wire.ParseMLDQuery(b)
	if err != nil {
		l.ICMP.InErrors++
		return
	}
	m.Iface.asked(true, &q)
}

// alertsRouters reports whether an IPv6 header, with the extension headers behind it, has a router
// alert that says MLD. The options have been checked.
func alertsRouters(header []byte) bool {
	if len(header) < wire.IPv6Len+8 || header[6] != wire.IPv6HopByHop {
		return false
	}
	options := header[wire.IPv6Len:]
	options = options[2:min(len(options), 8+8*int(options[1]))]
	for len(options) > 0 {
		if options[0] == 0 { // Pad1 has no length
			options = options[1:]
			continue
		}
		if len(options) < 2 || len(options) < 2+int(options[1]) {
			return false
		}
		if options[0] == routerAlertOption && options[1] == 2 && binary.BigEndian.Uint16(options[2:]) == 0 {
			return true
		}
		options = options[2+int(options[1]):]
	}
	return false
}

// sendMLD sends one message with records: of the first version one, about its group alone.
func (i *Iface) sendMLD(g wire.GroupGeneration, records []wire.GroupRecord) {
	var b []byte
	dst, group := mldv2, records[0].Group
	switch {
	case g == wire.ThirdGeneration:
		b = wire.AppendGroupReport(nil, wire.MLDv2Report, records)
	case records[0].Kind == wire.ChangeToInclude:
		b, dst = wire.AppendMLD(nil, wire.MLDDone, group), allRouters6
	default:
		b, dst = wire.AppendMLD(nil, wire.MLDv1Report, group), group
	}

	// A host without a link-local address reports all the same (RFC 3810, section 5.2.13).
	src := netip.IPv6Unspecified()
	for _, a := range i.addrs {
		if a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() {
			src = a.Addr()
			break
		}
	}
	var c wire.Checksum
	c.AddPseudo(src, dst, ProtoICMPv6, len(b))
	c.Add(b)
	binary.BigEndian.PutUint16(b[2:], c.Sum())
	l := i.layer.Whole()
	l.ICMP.CountOut(true, b[0])
	p := packet.FromBytes(b)
	copy(p.Prepend(len(routerAlert6)), routerAlert6)
	l.Output(p, i.direct(src, dst), &Out{Src: src, Dst: dst, Proto: wire.IPv6HopByHop, TTL: 1, NoLoop: true})
}
