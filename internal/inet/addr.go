package inet

import (
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
)

// v6only reports the option IPV6_V6ONLY.
func v6only(s *socket.Socket) bool { return ipOptionsOf(s).v6only }

// unspecified returns the wildcard of the socket's domain.
func unspecified(s *socket.Socket) netip.Addr {
	if s.Domain == abi.AF_INET6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// addrOf returns the address and port as sockets of s's domain show them: IPv4
// ones are mapped on an AF_INET6 socket.
func addrOf(s *socket.Socket, a netip.Addr, port uint16, scope uint32) abi.Addr {
	if s.Domain == abi.AF_INET6 {
		if !a.IsValid() {
			a = netip.IPv6Unspecified()
		}
		out := abi.Addr{Family: abi.AF_INET6, IP: netip.AddrFrom16(a.As16()), Port: port}
		if a.IsLinkLocalUnicast() && a.Is6() {
			out.Scope = scope
		}
		return out
	}
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	return abi.Addr{Family: abi.AF_INET, IP: a, Port: port}
}

// bindAddr checks an address for bind(2) and returns it without mapping.
func (s *Stack) bindAddr(k *socket.Socket, a abi.Addr) (netip.Addr, error) {
	var addr netip.Addr
	switch {
	case k.Domain == abi.AF_INET:
		// An unspecified family passes with the wildcard address (ip(7)).
		if a.Family != abi.AF_INET && !(a.Family == abi.AF_UNSPEC && a.IP.IsUnspecified()) {
			return addr, syscall.EAFNOSUPPORT
		}
		addr = a.IP
	case a.Family != abi.AF_INET6:
		return addr, syscall.EAFNOSUPPORT
	default:
		addr = a.IP.Unmap()
		if addr.Is4() && v6only(k) {
			return addr, syscall.EINVAL
		}
		if addr.Is6() && addr.IsLinkLocalUnicast() && a.Scope == 0 && ipOptionsOf(k).device(k) == 0 {
			return addr, syscall.EINVAL
		}
	}
	if addr.IsUnspecified() || s.IP.IsLocal(addr) || ipOptionsOf(k).freebind {
		return addr, nil
	}
	if k.Type != abi.SOCK_STREAM && (addr.IsMulticast() || s.IP.IsBroadcast(addr)) {
		return addr, nil
	}
	return addr, syscall.EADDRNOTAVAIL
}

// checkPort applies the rule about ports of the privileged.
func (s *Stack) checkPort(port uint16) error {
	if port != 0 && port < unprivilegedStart && !s.privileged {
		return syscall.EACCES
	}
	return nil
}

// peerAddr checks an address to connect or send to and returns it without mapping.
func (s *Stack) peerAddr(k *socket.Socket, a abi.Addr) (netip.Addr, error) {
	switch {
	case a.Family == abi.AF_INET && k.Domain == abi.AF_INET:
		return a.IP, nil
	case a.Family == abi.AF_INET && k.Type != abi.SOCK_STREAM && !v6only(k):
		return a.IP, nil
	case a.Family == abi.AF_INET6 && k.Domain == abi.AF_INET6:
		addr := a.IP.Unmap()
		if addr.Is4() && v6only(k) {
			return addr, syscall.ENETUNREACH
		}
		if addr.Is6() && addr.IsLinkLocalUnicast() && a.Scope == 0 && ipOptionsOf(k).device(k) == 0 {
			return addr, syscall.EINVAL
		}
		return addr, nil
	}
	return netip.Addr{}, syscall.EAFNOSUPPORT
}
