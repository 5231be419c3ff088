package inet

import (
	"net/netip"

	"usock/internal/abi"
)

// Owner returns the process that acts at local towards remote: by a connection, or else a
// listener (IPPROTO_TCP), by a UDP socket, or by one for echo requests with local's port for
// identifier (IPPROTO_ICMP and IPPROTO_ICMPV6), or else a raw one. 0: nobody that is known.
// Locked.
func (s *Stack) Owner(proto int, local, remote netip.AddrPort) int32 {
	switch proto {
	case abi.IPPROTO_TCP:
		k := tuple{laddr: local.Addr(), raddr: remote.Addr(), lport: local.Port(), rport: remote.Port()}
		if e, ok := s.tcp.conns.find(&k).(*tcpEndpoint); ok {
			return e.owner()
		}
		if e := s.tcp.listenerFor(&k, 0); e != nil {
			return e.owner()
		}
	case abi.IPPROTO_UDP:
		if e := s.udp.lookup(local.Addr(), remote.Addr(), local.Port(), remote.Port(), 0); e != nil {
			return e.s.Owner
		}
	default:
		if e := s.ping.lookup(local.Addr().Is6(), local.Port(), local.Addr(), 0); e != nil {
			return e.s.Owner
		}
		for _, e := range s.raw.all {
			if int(e.s.Protocol) == proto {
				return e.s.Owner
			}
		}
	}
	return 0
}
