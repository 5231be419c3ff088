//go:build linux

package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
)

// addresses are those of the inner networks, each with its length.
type addresses struct {
	gateway4, host4 netip.Prefix
	gateway6, host6 netip.Prefix
}

// has reports whether a is the gateway's or the host's, or in their networks.
func (a *addresses) has(x netip.Addr) bool {
	return a.gateway4.Masked().Contains(x) || a.gateway6.Masked().Contains(x)
}

// router returns the gateway's own address.
func (a *addresses) router(v4 bool) netip.Addr {
	if v4 {
		return a.gateway4.Addr()
	}
	return a.gateway6.Addr()
}

// candidates are IPv4 networks that may be free: of those for benchmarks (RFC 2544), which
// nobody routes, and of the private ones (RFC 1918) some that few use.
var candidates = []string{"198.18.77.0/24", "10.213.77.0/24", "172.29.77.0/24", "192.168.213.0/24", "198.19.77.0/24"}

// inner6 is the inner IPv6 network. It is of the documentation's (RFC 3849), which nobody
// routes; a unique local one would stand behind IPv4 in the order of RFC 6724, section 2.1.
const inner6 = "2001:db8:7573:6f63::/64"

// chooseAddresses returns the addresses in the IPv4 network, or in one that no route covers.
func chooseAddresses(network netip.Prefix) (addresses, error) {
	taken, err := routedNetworks()
	if err != nil {
		return addresses{}, err
	}
	overlaps := func(p netip.Prefix) *netip.Prefix {
		for i := range taken {
			if taken[i].Bits() > 0 && taken[i].Overlaps(p) {
				return &taken[i]
			}
		}
		return nil
	}
	if network.IsValid() {
		switch {
		case !network.Addr().Is4() || network.Bits() > 30 || network.Bits() < 8:
			return addresses{}, fmt.Errorf("%v is no IPv4 network with room for two addresses (of length 8 to 30)", network)
		case network.Addr().IsLoopback() || network.Addr().IsMulticast() || network.Addr().IsUnspecified():
			return addresses{}, fmt.Errorf("%v is no network for hosts", network)
		}
		if o := overlaps(network.Masked()); o != nil {
			return addresses{}, fmt.Errorf("%v is in use: the machine has a route to %v", network, *o)
		}
		return addressesIn(network.Masked()), nil
	}
	for _, c := range candidates {
		if p := netip.MustParsePrefix(c); overlaps(p) == nil {
			return addressesIn(p), nil
		}
	}
	return addresses{}, errors.New("the machine has routes to all networks that usock tries for the inside: name one")
}

func addressesIn(p netip.Prefix) addresses {
	first := p.Addr().Next()
	six := netip.MustParsePrefix(inner6)
	first6 := six.Addr().Next()
	return addresses{
		gateway4: netip.PrefixFrom(first, p.Bits()), host4: netip.PrefixFrom(first.Next(), p.Bits()),
		gateway6: netip.PrefixFrom(first6, six.Bits()), host6: netip.PrefixFrom(first6.Next(), six.Bits()),
	}
}

// routedNetworks returns the destinations of the machine's routes, but for those of its
// loopback interface, with the default ones.
func routedNetworks() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rib, err := syscall.NetlinkRIB(unix.RTM_GETROUTE, family)
		if err != nil {
			return nil, fmt.Errorf("the machine's routes: %w", err)
		}
		msgs, err := syscall.ParseNetlinkMessage(rib)
		if err != nil {
			return nil, fmt.Errorf("the machine's routes: %w", err)
		}
		for i := range msgs {
			if p, ok := routeOf(&msgs[i], family); ok {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// routeOf returns the destination of a route that leads to other machines.
func routeOf(m *syscall.NetlinkMessage, family int) (netip.Prefix, bool) {
	const dstLen, table, typ = 1, 4, 7 // struct rtmsg
	none := netip.Prefix{}
	if m.Header.Type != unix.RTM_NEWROUTE || len(m.Data) < unix.SizeofRtMsg || int(m.Data[0]) != family {
		return none, false
	}
	if m.Data[typ] != unix.RTN_UNICAST || m.Data[table] == unix.RT_TABLE_LOCAL {
		return none, false
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return none, false
	}
	dst := netip.IPv4Unspecified()
	if family == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.RTA_DST {
			if x, ok := netip.AddrFromSlice(a.Value); ok {
				dst = x
			}
		}
	}
	p := netip.PrefixFrom(dst, int(m.Data[dstLen]))
	return p, !dst.IsLoopback() && !dst.IsLinkLocalUnicast() && !dst.IsMulticast()
}

// routes gives the host an address and a default route of each family that the machine has
// a route for, and follows what changes.
type routes struct {
	g      *Gateway
	fd     int     // a netlink socket that is told of changes; -1: none
	served [2]bool // IPv4, IPv6
}

func (r *routes) open(g *Gateway) error {
	r.g = g
	fd, _, e := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if e == 0 {
		r.fd = int(fd)
		groups := uint32(1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1))
		if err := unix.Bind(r.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil || g.watch(r.fd, unix.EPOLLIN, r) != nil {
			sysClose(r.fd)
			r.fd = -1
		}
	}
	// Where changes are not told (netlink denied), it stays as it is now.
	return r.follow()
}

// serves reports whether the host has an address of the family.
func (r *routes) serves(v4 bool) bool {
	if v4 {
		return r.served[0]
	}
	return r.served[1]
}

func (r *routes) close() { sysClose(r.fd) }

// ready implements source: something has changed.
func (r *routes) ready(uint32) {
	for {
		if _, e := sysRecv(r.fd, r.g.buf, 0); e != 0 && e != unix.ENOBUFS {
			break
		}
	}
	r.follow()
}

// follow looks which families the machine has routes for.
func (r *routes) follow() error {
	nets, err := routedNetworks()
	if err != nil {
		return err
	}
	var has [2]bool
	for _, p := range nets {
		if p.Addr().Is4() {
			has[0] = true
		} else {
			has[1] = true
		}
	}
	for i, v4 := range []bool{true, false} {
		if has[i] != r.served[i] {
			if err := r.serve(v4, has[i]); err != nil {
				return err
			}
			r.served[i] = has[i]
		}
	}
	return nil
}

// serve gives the host a family, or takes it away.
func (r *routes) serve(v4, on bool) error {
	g := r.g
	name := g.iface.Link.Info().Name
	addr, route := g.addrs.host4, usock.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: g.addrs.gateway4.Addr()}
	if !v4 {
		addr, route = g.addrs.host6, usock.Route{Dst: netip.MustParsePrefix("::/0"), Via: g.addrs.gateway6.Addr()}
	}
	if on {
		if err := g.inner.AddAddr(name, addr); err != nil {
			return err
		}
		return g.inner.AddRoute(name, route)
	}
	if err := g.inner.RemoveRoute(name, route); err != nil {
		return err
	}
	return g.inner.RemoveAddr(name, addr)
}
