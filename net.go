package usock

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"usock/internal/abi"
)

// The net package's types over sockets of a host:
//
//	dialer.go   Dialer and Dial          conn.go     TCPConn
//	listen.go   ListenConfig and Listen  udpconn.go  UDPConn, and udpbatch.go, multicast.go
//	neterr.go   the shape of errors      netunix.go  AF_UNIX
//	resolver.go names, with names.go (tables) and dnsclient.go (name servers)

// kind is what a network's name says.
type kind struct {
	network  string
	typ      int
	protocol int  // 0: that of the type
	family   byte // '4', '6' or 0
}

func parseNetwork(network string) (kind, error) {
	k := kind{network: network}
	base := network
	if n := len(network); n > 0 && (network[n-1] == '4' || network[n-1] == '6') {
		base, k.family = network[:n-1], network[n-1]
	}
	switch base {
	case "tcp":
		k.typ = abi.SOCK_STREAM
	case "udp":
		k.typ = abi.SOCK_DGRAM
	default:
		return k, net.UnknownNetworkError(network)
	}
	return k, nil
}

// takes reports whether addresses like a are the kind's.
func (k kind) takes(a netip.Addr) bool {
	return k.family == 0 || (k.family == '4') == a.Unmap().Is4()
}

// addr returns the net.Addr of ap.
func (k kind) addr(ap netip.AddrPort) net.Addr {
	switch {
	case k.protocol == abi.IPPROTO_SCTP:
		return SCTPAddr(ap)
	case k.typ == abi.SOCK_STREAM:
		return net.TCPAddrFromAddrPort(ap)
	}
	return net.UDPAddrFromAddrPort(ap)
}

// local is addr, nil for the zero AddrPort.
func (k kind) local(ap netip.AddrPort) net.Addr {
	if !ap.IsValid() {
		return nil
	}
	return k.addr(ap)
}

// unmapped returns a's IP and port, of an IPv4-mapped address as IPv4.
func unmapped(a Addr) netip.AddrPort {
	ip := a.IP.Unmap()
	if a.Scope != 0 {
		ip = ip.WithZone(strconv.Itoa(int(a.Scope)))
	}
	return netip.AddrPortFrom(ip, a.Port)
}

// ipLookup is what resolving takes of a resolver.
type ipLookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// resolve turns "host:port" into addresses of the kind's family, the best first. passive
// says that they are to be listened on: no host means every address then.
func (h *Host) resolve(ctx context.Context, k kind, r ipLookup, address string, passive bool) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := h.Resolver().LookupPort(ctx, k.network, service)
	if err != nil {
		return nil, err
	}
	if host == "" && passive {
		any := netip.IPv6Unspecified()
		if k.family == '4' {
			any = netip.IPv4Unspecified()
		}
		return []netip.AddrPort{netip.AddrPortFrom(any, uint16(port))}, nil
	}

	if ip, err := netip.ParseAddr(host); err == nil && k.takes(ip) {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}

	ips, err := h.resolveHost(ctx, r, host)
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, ip := range h.sorted(ips, passive || k.typ == abi.SOCK_DGRAM) {
		if k.takes(ip) {
			out = append(out, netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	if len(out) == 0 {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return out, nil
}

// resolveHost turns an address or a name into addresses.
func (h *Host) resolveHost(ctx context.Context, r ipLookup, host string) ([]netip.Addr, error) {
	if host == "" || host == "localhost" {
		return loopbacks[:], nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	if r == nil {
		r = h.Resolver()
	}
	ips, err := r.LookupNetIP(ctx, "ip", host)
	if err == nil && len(ips) == 0 {
		err = notFound(host)
	}
	return ips, err
}
