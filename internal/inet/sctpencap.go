package inet

import (
	"encoding/binary"
	"math"
	"net/netip"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/sctp"
	"usock/internal/socket"
	"usock/internal/wire"
	"usock/packet"
)

// SCTP in UDP (RFC 6951) is a matter of what comes before the common header. A host has one UDP port for
// all of it, which no socket can have meanwhile: packets leave from there and arrive there. The port at
// the peer's end is a parameter of the path, which the core follows (section 5.4).
//
//	core ──► put ── Out.Encap? ── encapsulate ──► IP ──► ...
//	core ◄── input ◄── In.Encap ── decapsulate ◄── udpProto.Input ◄── ...
//
// Linux sends from port 0 where net.sctp.udp_port is 0, so that nothing comes back. Here a free port is taken
// once the first packet has to leave: a program needs no setting of the host's to have its option mean something.

// takeUDP claims a UDP port for encapsulated packets; 0 is a free one. The whole host is entered.
func (t *sctpProto) takeUDP(port uint16) error {
	t.encap.addr, t.encap.six, t.encap.explicit = netip.IPv6Unspecified(), true, port != 0
	err := t.udp.ports.bind(&t.encap, port, 0, t.prf.random())
	if err == nil {
		t.encapPort.Store(uint32(t.encap.bucket.port))
	}
	return err
}

// encapsulated reports whether what arrives at a UDP port is SCTP. A lane is taken.
func (t *sctpProto) encapsulated(port uint16) bool {
	return t.encap.bucket != nil && t.encap.bucket.port == port
}

// encapOwner returns the process of the oldest association with packets to the UDP port.
func (t *sctpProto) encapOwner(peer netip.AddrPort) (owner int32) {
	first := int32(math.MaxInt32)
	for n, x := range t.byID {
		p, ok := x.core.Path(peer.Addr())
		if ok && p.Options.EncapPort == peer.Port() && x.e.s != nil && n < first {
			first, owner = n, x.e.s.Owner.Load()
		}
	}
	return owner
}

// encapVia returns the options of an association whose paths are encapsulated where the one that it begins with
// leaves by the interface of the settings, and of one whose addresses are translated there.
func (t *sctpProto) encapVia(first *ip.Path, o *sctp.Options) *sctp.Options {
	via := first.Iface.Name()
	encap, translated := o.Path.EncapPort == 0 && t.cfg.EncapVia == via, t.cfg.TranslatedVia == via
	if !encap && !translated {
		return o
	}
	own := *o
	own.Translated = translated
	if encap {
		own.Path.EncapPort = t.cfg.EncapPort
	}
	return &own
}

// encapsulate sends a packet in UDP, to the port; it is dropped if there is no port to send it from.
func (t *sctpProto) encapsulate(p *packet.Packet, to uint16, path *ip.Path) {
	if t.encap.bucket == nil {
		o := t.ipOut
		t.dom.Lane().AfterWhole(host.Call(func() {
			if t.encap.bucket == nil && t.takeUDP(0) != nil {
				p.Free()
				return
			}
			t.ipOut = o
			t.encapsulate(p, to, path)
		}), nil)
		return
	}

	// What is left to a link is the sum of the outer header.
	var sum wire.CRC32c
	sum.Add(p.Head())
	for _, v := range p.Payload.Views() {
		sum.Add(v.Bytes())
	}
	binary.LittleEndian.PutUint32(p.Head()[sctpKind.sum&^ip.CRC32c:], uint32(sum))

	h := wire.UDP{SrcPort: t.encap.bucket.port, DstPort: to, Len: uint16(udpHeader + p.Len())}
	h.Put(p.Prepend(udpHeader))
	t.ipOut.Proto, t.ipOut.Checksum = ip.ProtoUDP, udpKind.sum
	t.output(p, path)
}

// decapsulate takes a datagram, or the several that p holds, from a port of the peer's.
func (t *sctpProto) decapsulate(p *packet.Packet, m *ip.Meta, from uint16) {
	p.Consume(udpHeader)
	size, n := int(p.SegmentSize), p.Len()
	p.SegmentSize = 0
	switch {
	case from == 0:
		p.Free() // there is no way back (RFC 768), and 0 would mean another one
	case size == 0 || n <= size:
		t.input(p, m, from)
	default:
		for off := 0; off < n; off += size {
			k := packet.New()
			k.Payload.Append(copyPart(&p.Payload, off, min(size, n-off)))
			t.input(k, m, from)
		}
		p.Free()
	}
}

// encapError takes an ICMP error about a datagram with SCTP in it. That nobody has the UDP port says what
// else the error does that there is no SCTP (section 5.5).
func (t *sctpProto) encapError(x *ip.Error) {
	y := *x
	y.Quote = x.Quote[udpHeader:]
	switch {
	case !x.V6 && x.Type == wire.ICMPv4Unreachable && x.Code == wire.ICMPv4PortUnreachable:
		y.Code = wire.ICMPv4ProtoUnreachable
	case x.V6 && x.Type == wire.ICMPv6Unreachable && x.Code == wire.ICMPv6PortUnreachable:
		y.Type, y.Code = wire.ICMPv6ParameterProblem, wire.ICMPv6UnknownNext
	}
	t.Error(&y)
}

// encapRow is SCTP_REMOTE_UDP_ENCAPS_PORT: the peer's port of a path, of all paths, or of those to come.
func encapRow() socket.Option {
	return structRow(abi.SCTP_REMOTE_UDP_ENCAPS_PORT,
		func(e *sctpEndpoint, v *abi.SCTPUdpencaps) error {
			_, _, p, err := e.paths(v.AssocID, v.Address)
			if err == nil {
				v.Port = p.EncapPort
			}
			return err
		},
		func(e *sctpEndpoint, v *abi.SCTPUdpencaps) error {
			x, addr, _, err := e.paths(v.AssocID, v.Address)
			if err != nil {
				return err
			}
			return e.setPaths(x, addr, func(p *sctp.PathOptions) { p.EncapPort = v.Port })
		})
}
