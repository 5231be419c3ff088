package inet

import (
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
)

// v6only reports the option IPV6_V6ONLY.
func v6only(s *socket.Socket) bool { return ipOptionsOf(s).v6only }

// addrOf returns the address and port as sockets of s's domain show them: IPv4
// ones are mapped on an AF_INET6 socket.
func addrOf(s *socket.Socket, a netip.Addr, port uint16, scope uint32) abi.Addr {
	out := abi.Addr{Family: abi.AF_INET, IP: seenBy(s, a), Port: port}
	if s.Domain == abi.AF_INET6 {
		out.Family = abi.AF_INET6
		if needsScope(a) {
			out.Scope = scope
		}
	}
	return out
}

// seenBy returns the address as sockets of s's domain show it.
func seenBy(s *socket.Socket, a netip.Addr) netip.Addr {
	switch six := s.Domain == abi.AF_INET6; {
	case six && !a.IsValid():
		return netip.IPv6Unspecified()
	case six:
		return netip.AddrFrom16(a.As16())
	case !a.IsValid():
		return netip.IPv4Unspecified()
	}
	return a
}

// bindAddr checks an address for bind(2), and whether a socket that is bound or not may be,
// in the order of Linux's inet_bind_sk and __inet6_bind, and returns it without mapping.
func (s *Stack) bindAddr(k *socket.Socket, row *kind, a abi.Addr, bound bool) (netip.Addr, error) {
	addr, err := s.bindFamily(k, row, a)
	if err != nil {
		return addr, err
	}
	if k.Domain == abi.AF_INET {
		if err := s.canBind(k, row, addr, int(k.Opt.Device)); err != nil {
			return addr, err
		}
		return addr, s.mayBind(row, a.Port, bound)
	}
	if err := s.mayBind(row, a.Port, bound); err != nil {
		return addr, err
	}
	if err := s.bindScope(k, addr, a.Scope); err != nil {
		return addr, err
	}
	return addr, s.canBind(k, row, addr, int(k.Opt.Device))
}

// mayBind applies the rule about low ports, and that a socket is bound once.
func (s *Stack) mayBind(row *kind, port uint16, bound bool) error {
	switch {
	case row.ports && port != 0 && port < unprivilegedStart && !s.capable(abi.CAP_NET_BIND_SERVICE):
		return syscall.EACCES
	case bound:
		return syscall.EINVAL
	}
	return nil
}

// canBind reports why addr is none that the socket can have, on the interface if it is one
// of IPv6.
func (s *Stack) canBind(k *socket.Socket, row *kind, addr netip.Addr, device int) error {
	if addr.IsUnspecified() || ipOptionsOf(k).freebind {
		return nil
	}
	if s.IP.IsLocal(addr) {
		if i := s.IP.Iface(device); i != nil && addr.Is6() && !has(i, addr) {
			return syscall.EADDRNOTAVAIL
		}
		return nil
	}
	if row.group && (addr.IsMulticast() || s.IP.IsBroadcast(addr)) {
		return nil
	}
	return syscall.EADDRNOTAVAIL
}

// bindFamily returns the IP address that a means to bind(2). Linux looks at the
// length of an address before its family: an IPv6 socket takes what is no IPv6
// address for too short.
func (s *Stack) bindFamily(k *socket.Socket, row *kind, a abi.Addr) (netip.Addr, error) {
	if k.Domain == abi.AF_INET {
		switch {
		case row.anyFamily && a.IP.Is4():
			return a.IP, nil
		case row.anyFamily:
			return netip.IPv4Unspecified(), nil
		case a.Family == abi.AF_INET, a.Family == abi.AF_UNSPEC && a.IP.IsUnspecified():
			return a.IP, nil // the wildcard of no family: ip(7)
		}
		return netip.Addr{}, syscall.EAFNOSUPPORT
	}
	if a.Family != abi.AF_INET6 {
		return netip.Addr{}, syscall.EINVAL
	}
	addr := a.IP.Unmap()
	switch {
	case addr.Is4() && row.bind4 != 0:
		return addr, row.bind4
	case addr.Is4() && v6only(k):
		return addr, syscall.EINVAL
	case addr.Is6() && addr.IsMulticast() && !row.group6:
		return addr, syscall.EINVAL
	}
	return addr, nil
}

// bindScope ties a socket to the interface on which addr means something.
func (s *Stack) bindScope(k *socket.Socket, addr netip.Addr, scope uint32) error {
	switch {
	case !needsScope(addr):
	case scope == 0 && k.Opt.Device == 0:
		return syscall.EINVAL
	case scope != 0:
		k.Opt.Device = int32(scope) // for good, as on Linux
		if s.IP.Iface(int(scope)) == nil {
			return syscall.ENODEV
		}
	}
	return nil
}

func has(i *ip.Iface, addr netip.Addr) bool {
	for _, p := range i.Addrs() {
		if p.Addr() == addr {
			return true
		}
	}
	return false
}

// peerAddr checks an address to connect to and returns it without mapping. One that
// needs a scope ties the socket to that interface, as on Linux.
func (s *Stack) peerAddr(k *socket.Socket, row *kind, a abi.Addr) (netip.Addr, error) {
	none := netip.Addr{}
	if k.Domain == abi.AF_INET {
		if a.Family != abi.AF_INET {
			return none, syscall.EAFNOSUPPORT
		}
		return a.IP, nil
	}
	switch {
	case a.Family == abi.AF_INET6:
	case !row.plain4 || a.Family != abi.AF_INET:
		return none, row.other
	case v6only(k):
		return none, syscall.EAFNOSUPPORT
	default:
		return a.IP, nil
	}
	addr := a.IP.Unmap()
	if addr.Is6() && addr.IsUnspecified() && boundTo4(k) {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	switch {
	case row.single && addr.IsMulticast():
		return addr, syscall.ENETUNREACH
	case addr.Is4() && row.connect4 != 0:
		return addr, row.connect4
	case addr.Is4() && v6only(k):
		return addr, syscall.ENETUNREACH
	}
	if needsScope(addr) {
		if a.Scope != 0 {
			if k.Opt.Device != 0 && uint32(k.Opt.Device) != a.Scope {
				return addr, syscall.EINVAL
			}
			k.Opt.Device = int32(a.Scope)
		}
		if k.Opt.Device == 0 && (!addr.IsMulticast() || ipOptionsOf(k).mcastIf6 == 0) {
			return addr, syscall.EINVAL
		}
	}
	return addr, nil
}

// boundTo4 reports whether a socket of IPv6 has an IPv4 address of its own.
func boundTo4(k *socket.Socket) bool {
	b, ok := k.PCB.(holder4)
	return ok && b.to4()
}

// holder4 is an endpoint with a binding, which may be to an address of IPv4.
type holder4 interface{ to4() bool }

var _, _ holder4 = (*tcpEndpoint)(nil), (*dgram)(nil)

// linkOf returns the interface that an address names, if it means something on one link
// only; the scope of others is ignored.
func linkOf(a netip.Addr, scope uint32) int {
	if !needsScope(a) {
		return 0
	}
	return int(int32(scope))
}

// needsScope reports whether an address means something on one link only.
func needsScope(a netip.Addr) bool {
	return a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast())
}

// sendAddr checks the destination of a datagram and returns it without mapping; the
// zero Addr for an address of no family on an IPv6 socket, which is none.
func (s *Stack) sendAddr(k *socket.Socket, row *kind, a abi.Addr) (netip.Addr, error) {
	none := netip.Addr{}
	if k.Domain == abi.AF_INET {
		if a.Family == abi.AF_INET || a.Family == abi.AF_UNSPEC && row.unspec {
			return a.IP, nil
		}
		return none, syscall.EAFNOSUPPORT
	}
	switch {
	case a.Family == abi.AF_INET6:
	case !row.plain4:
		return none, syscall.EINVAL // too short
	case a.Family == abi.AF_UNSPEC:
		return none, nil
	case a.Family != abi.AF_INET:
		return none, syscall.EINVAL
	case v6only(k):
		return none, syscall.ENETUNREACH
	default:
		return a.IP, nil
	}
	addr := a.IP.Unmap()
	switch {
	case addr.Is4() && row.send4 != 0:
		return addr, row.send4
	case addr.Is4() && v6only(k):
		return addr, syscall.ENETUNREACH
	}
	return addr, nil
}
