package ip

import (
	"encoding/binary"
	"net/netip"

	"usock/internal/wire"
	"usock/packet"
)

// IGMP (RFC 1112, RFC 2236, RFC 3376): how hosts tell routers of groups over IPv4.

var (
	allRouters = netip.AddrFrom4([4]byte{224, 0, 0, 2})
	igmpv3     = netip.AddrFrom4([4]byte{224, 0, 0, 22})
)

// routerAlert4 has routers look at a packet that is not for them (RFC 2113).
var routerAlert4 = []byte{wire.IPv4OptRouterAlert, 4, 0, 0}

// internetworkControl is the type of service of what networks run on (RFC 791), which Linux has
// IGMP sent with.
const internetworkControl = 0xc0

// inputIGMP takes over a message. What comes from farther than the link, with a hop count other
// than 1, is nobody's question here (RFC 3376, section 4).
func (l *Lane) inputIGMP(p *packet.Packet, m *Meta) {
	defer p.Free()
	if !pullUp(p, p.Len()) || p.Len() < wire.IGMPMinLen || m.TTL != 1 || !p.Trusted && sumOf(p, 0) != 0 {
		l.carried(m.Iface).RxErrors++
		return
	}
	switch b := p.Front(); b[0] {
	case wire.IGMPQuery:
		q, err := wire.ParseIGMPQuery(b)
		if err != nil {
			l.carried(m.Iface).RxErrors++
			return
		}
		m.Iface.asked(false, &q)
	case wire.IGMPv1Report, wire.IGMPv2Report:
		m.Iface.heardReport(netip.AddrFrom4([4]byte(b[4:8])))
	}
}

// sendIGMP sends one message with records: of the older versions one, about its group alone.
func (i *Iface) sendIGMP(g wire.GroupGeneration, records []wire.GroupRecord) {
	var b []byte
	dst, group := igmpv3, records[0].Group
	switch {
	case g == wire.ThirdGeneration:
		b = wire.AppendGroupReport(nil, wire.IGMPv3Report, records)
	case records[0].Kind == wire.ChangeToInclude:
		b, dst = wire.AppendIGMP(nil, wire.IGMPLeave, group), allRouters
	case g == wire.SecondGeneration:
		b, dst = wire.AppendIGMP(nil, wire.IGMPv2Report, group), group
	default:
		b, dst = wire.AppendIGMP(nil, wire.IGMPv1Report, group), group
	}
	binary.BigEndian.PutUint16(b[2:], wire.ChecksumOf(b))

	// A host without an address reports all the same (RFC 3376, section 4.2.13).
	src := netip.IPv4Unspecified()
	for _, a := range i.addrs {
		if a.Addr().Is4() {
			src = a.Addr()
			break
		}
	}
	i.layer.Whole().Output(packet.FromBytes(b), i.direct(src, dst), &Out{
		Proto: ProtoIGMP, TTL: 1, TOS: internetworkControl, DontFragment: true, NoLoop: true, Options: routerAlert4,
	})
}

// direct is the path from an address to another one on the link.
func (i *Iface) direct(src, dst netip.Addr) *Path {
	return &Path{Dst: dst, Src: src, Next: dst, Iface: i, MTU: i.cfg.MTU, Gen: i.layer.gen}
}
