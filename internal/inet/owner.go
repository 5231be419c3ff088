package inet

import (
	"net/netip"

	"usock/internal/abi"
	"usock/internal/socket"
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

// Taker returns the process and the socket that are to take packets of TCP, UDP or SCTP for local from remote that come in by an
// interface. It is asked in any lane, and goes into no domain: what is at work there is waited for by nobody.
func (s *Stack) Taker(ifindex int, proto uint8, local, remote netip.AddrPort) packet.Owner {
	k := tuple{laddr: local.Addr(), raddr: remote.Addr(), lport: local.Port(), rport: remote.Port()}
	switch proto {
	case abi.IPPROTO_TCP:
		if e, ok := s.tcp.conns.find(&k).(*tcpEndpoint); ok {
			return ownerOf(e.acts.Load())
		}
		if e := s.tcp.listenerFor(&k, ifindex); e != nil {
			return ownerOf(e.s)
		}
	case abi.IPPROTO_UDP:
		if e := s.udp.lookup(k.laddr, k.raddr, k.lport, k.rport, ifindex); e != nil {
			return ownerOf(e.s)
		}
	case abi.IPPROTO_SCTP:
		return s.sctp.taker(ifindex, &k)
	}
	return packet.Owner{}
}

func (t *sctpProto) taker(ifindex int, k *tuple) packet.Owner {
	t.names.Lock()
	defer t.names.Unlock()
	local := netip.AddrPortFrom(k.laddr, k.lport)
	var e *sctpEndpoint
	if x := t.find(k.lport, netip.AddrPortFrom(k.raddr, k.rport), k.laddr); x != nil {
		e = x.e
	} else {
		e = t.listenerFor(local, ifindex, *k)
	}
	if e == nil || e.s == nil {
		return packet.Owner{}
	}
	return ownerOf(e.s)
}

func ownerOf(s *socket.Socket) packet.Owner { return packet.Owner{PID: s.Owner.Load(), Socket: s.ID} }

// EncapPort returns the UDP port from which packets of SCTP leave in UDP, and to which they come; 0: none has left yet. It may be asked in
// no lane.
func (s *Stack) EncapPort() uint16 { return uint16(s.sctp.encapPort.Load()) }
