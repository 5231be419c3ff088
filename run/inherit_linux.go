//go:build amd64 || arm64

package run

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// tellInherited names the sockets of the kernel's network that the program inherits,
// as one of inetd or of socket activation does. They stay the kernel's: the filter
// stops the making of sockets, and knows no descriptor that it has not given.
func (g *logger) tellInherited() {
	if g.w == nil {
		return
	}
	for _, fd := range inherited() {
		if what := kernelSocket(fd); what != "" {
			g.put(g.w, fmt.Sprintf("descriptor %d is a socket of the kernel's network, %s: it stays the kernel's", fd, what), nil)
		}
	}
}

// inherited returns the descriptors that a program started now would have, in order.
func inherited() []int {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var fds []int
	for _, d := range dir {
		fd, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		// The program is given the first three, whatever their flags are here.
		if err == nil && (fl&unix.FD_CLOEXEC == 0 || fd <= 2) {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	return fds
}

// kernelSocket says which socket fd is: protocol, own address and peer. It returns ""
// for what is not a socket of a network.
func kernelSocket(fd int) string {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return ""
	}
	switch {
	case domain == unix.AF_INET || domain == unix.AF_INET6:
	case domain == unix.AF_PACKET:
		return "packet"
	case domain == unix.AF_VSOCK:
		return "vsock"
	case slices.Contains(kernelFamilies, uint32(domain)):
		return ""
	default:
		return fmt.Sprintf("family %d", domain)
	}
	protocol, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	typ, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	what := protocolName(typ, protocol)
	if own, err := unix.Getsockname(fd); err == nil {
		what += " " + addrText(own)
	}
	if peer, err := unix.Getpeername(fd); err == nil {
		what += " to " + addrText(peer)
	}
	return what
}

func protocolName(typ, protocol int) string {
	switch {
	case typ == unix.SOCK_RAW:
		return fmt.Sprintf("raw protocol %d", protocol)
	case protocol == unix.IPPROTO_TCP:
		return "tcp"
	case protocol == unix.IPPROTO_UDP:
		return "udp"
	case protocol == unix.IPPROTO_MPTCP:
		return "mptcp"
	case protocol == unix.IPPROTO_SCTP:
		return "sctp"
	}
	return fmt.Sprintf("protocol %d", protocol)
}

func addrText(sa unix.Sockaddr) string {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	}
	return "?"
}
