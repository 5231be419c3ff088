package abi

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
)

// Addr is a socket address of any family: what Linux's struct sockaddr holds.
type Addr struct {
	Family int        // AF_UNSPEC, AF_INET, AF_INET6 or AF_UNIX
	IP     netip.Addr // AF_INET: an IPv4 address; AF_INET6: an IPv6 address, perhaps IPv4-mapped, without zone
	Port   uint16
	Scope  uint32 // AF_INET6: the interface index of a link-local address
	Flow   uint32 // AF_INET6: flow information
	Path   string // AF_UNIX: a path, a name that begins with NUL, or "" for none
}

// FamilyOf returns the family of addresses like a: AF_INET or AF_INET6.
func FamilyOf(a netip.Addr) int {
	if a.Is4() {
		return AF_INET
	}
	return AF_INET6
}

// AddrFrom returns the address of family AF_INET or AF_INET6 with ap's IP and
// port. It ignores a zone.
func AddrFrom(ap netip.AddrPort) Addr {
	ip := ap.Addr().WithZone("")
	if ip.Is4() {
		return Addr{Family: AF_INET, IP: ip, Port: ap.Port()}
	}
	return Addr{Family: AF_INET6, IP: ip, Port: ap.Port()}
}

// AddrPort returns IP and port.
func (a Addr) AddrPort() netip.AddrPort { return netip.AddrPortFrom(a.IP, a.Port) }

// String returns the address as ss(8) prints it: "127.0.0.1:80", "[::1]:80",
// a path, or "@name" for an abstract name.
func (a Addr) String() string {
	switch a.Family {
	case AF_INET:
		return a.AddrPort().String()
	case AF_INET6:
		ip := a.IP
		if a.Scope != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(a.Scope), 10))
		}
		return netip.AddrPortFrom(ip, a.Port).String()
	case AF_UNIX:
		if a.Path != "" && a.Path[0] == 0 {
			return "@" + a.Path[1:]
		}
		return a.Path
	}
	return "unspec"
}

// Sizes of Linux's address structures in bytes.
const (
	SizeofInet  = 16
	SizeofInet6 = 28
	// MinInet6 is the least length that Linux takes for an AF_INET6 address: all
	// but the scope (SIN6_LEN_RFC2133).
	MinInet6 = 24
	// SizeofStorage is the longest address that Linux reads.
	SizeofStorage = 128
	maxUnixPath   = 108
)

// ParseAddr reads a struct sockaddr of len(b) bytes. It fails with EINVAL where
// the length is too short for the family. AF_UNSPEC needs no more than the family;
// of a family that is none of Addr's, nothing but its number is read: what is wrong
// with it depends on the socket.
func ParseAddr(b []byte) (Addr, error) {
	if len(b) < 2 || len(b) > SizeofStorage {
		return Addr{}, syscall.EINVAL
	}
	a := Addr{Family: int(binary.NativeEndian.Uint16(b))}
	switch a.Family {
	case AF_UNSPEC:
		// bind(2) takes an AF_UNSPEC address as AF_INET if it is the wildcard.
		a.IP = netip.IPv4Unspecified()
		if len(b) >= SizeofInet {
			a.Port = binary.BigEndian.Uint16(b[2:])
			a.IP = netip.AddrFrom4([4]byte(b[4:8]))
		}
	case AF_INET:
		if len(b) < SizeofInet {
			return Addr{}, syscall.EINVAL
		}
		a.Port = binary.BigEndian.Uint16(b[2:])
		a.IP = netip.AddrFrom4([4]byte(b[4:8]))
	case AF_INET6:
		if len(b) < MinInet6 {
			return Addr{}, syscall.EINVAL
		}
		a.Port = binary.BigEndian.Uint16(b[2:])
		a.Flow = binary.BigEndian.Uint32(b[4:])
		a.IP = netip.AddrFrom16([16]byte(b[8:24]))
		if len(b) >= SizeofInet6 {
			a.Scope = binary.NativeEndian.Uint32(b[24:])
		}
	case AF_UNIX:
		p := b[2:]
		if len(p) > maxUnixPath {
			return Addr{}, syscall.EINVAL
		}
		if len(p) > 0 && p[0] != 0 {
			for i, c := range p {
				if c == 0 {
					p = p[:i]
					break
				}
			}
		}
		a.Path = string(p)
	}
	return a, nil
}

// AppendAddr appends the struct sockaddr of a to b.
func AppendAddr(b []byte, a Addr) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(a.Family))
	switch a.Family {
	case AF_INET:
		b = binary.BigEndian.AppendUint16(b, a.Port)
		ip := netip.IPv4Unspecified()
		if u := a.IP.Unmap(); u.Is4() {
			ip = u
		}
		v4 := ip.As4()
		b = append(b, v4[:]...)
		b = append(b, make([]byte, 8)...)
	case AF_INET6:
		b = binary.BigEndian.AppendUint16(b, a.Port)
		b = binary.BigEndian.AppendUint32(b, a.Flow)
		v6 := [16]byte{}
		if a.IP.IsValid() {
			v6 = a.IP.As16()
		}
		b = append(b, v6[:]...)
		b = binary.NativeEndian.AppendUint32(b, a.Scope)
	case AF_UNIX:
		b = append(b, a.Path...)
		if a.Path != "" && a.Path[0] != 0 {
			b = append(b, 0)
		}
	}
	return b
}
