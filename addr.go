package usock

import (
	"net/netip"

	"usock/internal/abi"
)

// Addr is a socket address of any family: what a struct sockaddr holds (socket(7)).
type Addr struct {
	Family int        // AF_UNSPEC, AF_INET, AF_INET6 or AF_UNIX
	IP     netip.Addr // AF_INET: an IPv4 address; AF_INET6: an IPv6 address, perhaps IPv4-mapped, without zone
	Port   uint16
	Scope  uint32 // AF_INET6: the interface index of a link-local address
	Flow   uint32 // AF_INET6: flow information
	Path   string // AF_UNIX: a path, a name that begins with NUL, or "" for none
}

// Inet returns the address of family AF_INET or AF_INET6 with ap's IP and port. It ignores a
// zone.
func Inet(ap netip.AddrPort) Addr { return Addr(abi.AddrFrom(ap)) }

// Unix returns the AF_UNIX address with the path, or with an abstract name where
// it begins with a NUL byte.
func Unix(path string) Addr { return Addr{Family: AF_UNIX, Path: path} }

// ParseAddr returns the address written as "127.0.0.1:80" or "[::1]:80".
func ParseAddr(s string) (Addr, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return Addr{}, err
	}
	return Inet(ap), nil
}

// AddrPort returns IP and port; the zero AddrPort for other families.
func (a Addr) AddrPort() netip.AddrPort { return abi.Addr(a).AddrPort() }

// String returns the address as ss(8) prints it: "127.0.0.1:80", "[::1]:80", a path,
// "@name" for an abstract name, or "unspec".
func (a Addr) String() string { return abi.Addr(a).String() }

// ParseSockaddr reads a struct sockaddr of len(b) bytes in Linux's layout, as control messages
// and the values of options hold them. EINVAL where the length is too short for the family. Of
// a family that Addr does not have, nothing but its number is read.
func ParseSockaddr(b []byte) (Addr, error) {
	a, err := abi.ParseAddr(b)
	return Addr(a), err
}

// AppendSockaddr appends the struct sockaddr of a to b, in Linux's layout.
func (a Addr) AppendSockaddr(b []byte) []byte { return abi.AppendAddr(b, abi.Addr(a)) }
