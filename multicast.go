package usock

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"usock/internal/abi"
)

// ListenMulticastUDP listens for what is sent to a group of IPv4 or IPv6, joined on the
// interface with the name; "" is the one that the routes say. network is "udp", "udp4" or
// "udp6". As with net.ListenMulticastUDP the socket is bound to the wildcard address and the
// group's port, others may share it (SO_REUSEADDR), what it sends to groups leaves by that
// interface, and does not come back to this host (IP_MULTICAST_LOOP). Further groups are
// joined with JoinGroup.
func (h *Host) ListenMulticastUDP(network, ifname string, group netip.AddrPort) (*UDPConn, error) {
	fail := func(err error) (*UDPConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(group), Err: err}
	}
	k, err := parseNetwork(network)
	switch {
	case err == nil && k.typ != abi.SOCK_DGRAM:
		err = net.UnknownNetworkError(network)
	case err == nil && (!group.Addr().IsMulticast() || !k.takes(group.Addr())):
		err = &net.AddrError{Err: "no suitable address found", Addr: group.String()}
	}
	if err != nil {
		return fail(err)
	}

	c, err := h.listenUDP(k, group, nil)
	if err != nil {
		return fail(err)
	}
	if err := c.multicastDefaults(ifname, group.Addr()); err != nil {
		c.s.Close()
		return fail(err)
	}
	return c, nil
}

func (c *UDPConn) multicastDefaults(ifname string, group netip.Addr) error {
	level, out, loop := abi.SOL_IP, abi.IP_MULTICAST_IF, abi.IP_MULTICAST_LOOP
	if !group.Unmap().Is4() {
		level, out, loop = abi.SOL_IPV6, abi.IPV6_MULTICAST_IF, abi.IPV6_MULTICAST_LOOP
	}
	index, err := c.s.host.interfaceNamed(ifname)
	if err == nil && index != 0 {
		v := abi.AppendInt(nil, index)
		if level == abi.SOL_IP {
			v = append(make([]byte, 8), v...) // struct ip_mreqn
		}
		err = os.NewSyscallError("setsockopt", c.s.SetSockOpt(level, out, v))
	}
	if err == nil {
		err = os.NewSyscallError("setsockopt", c.s.SetSockOptInt(level, loop, 0))
	}
	if err == nil {
		err = c.group(abi.MCAST_JOIN_GROUP, ifname, group)
	}
	return err
}

// JoinGroup makes the socket receive what is sent to the group on the interface with the
// name; "" is the one that the routes say. Errors: those of MCAST_JOIN_GROUP (ip(7)), ENODEV
// if there is no such interface.
func (c *UDPConn) JoinGroup(ifname string, group netip.Addr) error {
	return c.setError(c.group(abi.MCAST_JOIN_GROUP, ifname, group))
}

// LeaveGroup takes JoinGroup back.
func (c *UDPConn) LeaveGroup(ifname string, group netip.Addr) error {
	return c.setError(c.group(abi.MCAST_LEAVE_GROUP, ifname, group))
}

// JoinSourceGroup is JoinGroup for what one source sends to the group (RFC 3678).
func (c *UDPConn) JoinSourceGroup(ifname string, group, source netip.Addr) error {
	return c.setError(c.group(abi.MCAST_JOIN_SOURCE_GROUP, ifname, group, source))
}

// LeaveSourceGroup takes JoinSourceGroup back.
func (c *UDPConn) LeaveSourceGroup(ifname string, group, source netip.Addr) error {
	return c.setError(c.group(abi.MCAST_LEAVE_SOURCE_GROUP, ifname, group, source))
}

func (c *UDPConn) setError(err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: "set", Net: c.k.network, Addr: c.addresses().local, Err: err}
}

// group sets an option whose value is a struct group_req of the addresses, a group and
// perhaps a source (RFC 3678 §5.1).
func (c *UDPConn) group(option int, ifname string, addrs ...netip.Addr) error {
	const storage = 128 // struct sockaddr_storage
	index, err := c.s.host.interfaceNamed(ifname)
	if err != nil {
		return err
	}

	level := abi.SOL_IP
	v := append(abi.AppendInt(nil, index), 0, 0, 0, 0)
	for _, a := range addrs {
		if a = a.Unmap(); !a.Is4() {
			level = abi.SOL_IPV6
		}
		n := len(v)
		v = abi.AppendAddr(v, abi.AddrFrom(netip.AddrPortFrom(a, 0)))
		v = append(v, make([]byte, n+storage-len(v))...)
	}
	return sysError("setsockopt", c.s.SetSockOpt(level, option, v))
}

// interfaceNamed returns the index of the interface with the name, 0 of "".
func (h *Host) interfaceNamed(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	if index := h.interfaceIndex(name); index != 0 {
		return index, nil
	}
	return 0, os.NewSyscallError("setsockopt", syscall.ENODEV)
}
