package inet

import (
	"net/netip"
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
