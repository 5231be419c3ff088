package inet

import (
	"net/netip"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/packet"
)

// Owner returns the process that acts at local towards remote: by a connection, or else a
// listener (IPPROTO_TCP), by a UDP socket, or by one for echo requests with local's port for
// identifier (IPPROTO_ICMP and IPPROTO_ICMPV6), or else a raw one, or by what another
// protocol's row says. 0: nobody that is known. Locked.
func (s *Stack) Owner(proto int, local, remote netip.AddrPort) int32 {
	if proto >= 0 && proto < len(s.protocols) && s.protocols[proto] != nil {
		return s.protocols[proto].Owner(proto, local, remote)
	}
	return s.raw.owner(proto)
}

// Owner implements Protocol.
func (t *tcpProto) Owner(_ int, local, remote netip.AddrPort) int32 {
	k := tuple{laddr: local.Addr(), raddr: remote.Addr(), lport: local.Port(), rport: remote.Port()}
	if e, ok := t.conns.find(&k).(*tcpEndpoint); ok {
		return e.owner()
	}
	if e := t.listenerFor(&k, 0); e != nil {
		return e.owner()
	}
	return 0
}

// Taker returns the process and the socket that are to take packets of TCP, UDP or SCTP for local from remote. What is in another
// domain than the lane is nobody's, unless visits says that packets come in the lane: then it goes there, if that is not busy.
func (s *Stack) Taker(l *host.Lane, visits bool, proto uint8, local, remote netip.AddrPort) packet.Owner {
	in := func(d *host.Domain) bool { return l.In(d) || visits && l.Visit(d) }
	switch proto {
	case abi.IPPROTO_TCP:
		return s.tcp.taker(in, &tuple{laddr: local.Addr(), raddr: remote.Addr(), lport: local.Port(), rport: remote.Port()})
	case abi.IPPROTO_UDP:
		if e := s.udp.lookup(local.Addr(), remote.Addr(), local.Port(), remote.Port(), 0); e != nil {
			return packet.Owner{PID: e.s.Owner, Socket: e.s.ID}
		}
	case abi.IPPROTO_SCTP:
		return s.sctp.taker(in, local, remote)
	}
	return packet.Owner{}
}

func (t *tcpProto) taker(in func(*host.Domain) bool, k *tuple) packet.Owner {
	if e, ok := t.conns.find(k).(*tcpEndpoint); ok {
		if !in(e.dom) {
			return packet.Owner{}
		}
		o := packet.Owner{PID: e.owner(), Socket: e.sid}
		if p := e.parent; p != nil && p.s != nil {
			o.Socket = p.s.ID // until it is accepted
		}
		return o
	}
	if e := t.listenerFor(k, 0); e != nil {
		return packet.Owner{PID: e.s.Owner, Socket: e.s.ID}
	}
	return packet.Owner{}
}

func (t *sctpProto) taker(in func(*host.Domain) bool, local, remote netip.AddrPort) packet.Owner {
	if !in(t.dom) {
		return packet.Owner{}
	}
	var e *sctpEndpoint
	if x := t.find(local.Port(), remote, local.Addr()); x != nil {
		e = x.e
	} else {
		e = t.listenerFor(local, 0, tuple{})
	}
	if e == nil || e.s == nil {
		return packet.Owner{}
	}
	return packet.Owner{PID: e.s.Owner, Socket: e.s.ID}
}
