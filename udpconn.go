package usock

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/socket"
)

// UDPConn is the net.Conn and net.PacketConn of a UDP socket, with the methods of
// net.UDPConn. Addresses of IPv4 peers are IPv4 addresses, on a socket for both families
// too.
type UDPConn struct{ conn }

// Read receives a datagram; what does not fit into p is lost.
func (c *UDPConn) Read(p []byte) (int, error) {
	n, err := c.s.Recv(p, 0)
	return n, c.opError("read", "read", err)
}

// ReadFrom is Read with the sender's address, a *net.UDPAddr.
func (c *UDPConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.s.RecvFrom(p, 0)
	if err != nil {
		return n, nil, c.opError("read", "recvfrom", err)
	}
	return n, net.UDPAddrFromAddrPort(unmapped(from)), nil
}

// ReadFromUDP is ReadFrom with another type of address.
func (c *UDPConn) ReadFromUDP(p []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.s.RecvFrom(p, 0)
	if err != nil {
		return n, nil, c.opError("read", "recvfrom", err)
	}
	return n, net.UDPAddrFromAddrPort(unmapped(from)), nil
}

// ReadFromUDPAddrPort is ReadFrom without an allocation.
func (c *UDPConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	n, from, err := c.s.RecvFrom(p, 0)
	return n, unmapped(from), c.opError("read", "recvfrom", err)
}

// ReadMsgUDP receives a datagram into p and its control messages, in Linux's layout
// (cmsg(3)), into oob: those that the socket's options ask for, such as IP_RECVTOS and
// UDP_GRO. It returns how much was stored of each, MSG_TRUNC and MSG_CTRUNC where that is
// not all, and the sender.
func (c *UDPConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, oobn, flags, ap, err := c.ReadMsgUDPAddrPort(p, oob)
	if ap.IsValid() {
		from = net.UDPAddrFromAddrPort(ap)
	}
	return n, oobn, flags, from, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP with another form of address.
func (c *UDPConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	n, oobn, flags, a, err := c.s.recvMsg(p, oob, 0)
	if err != nil {
		return n, oobn, flags, netip.AddrPort{}, c.opError("read", "recvmsg", err)
	}
	return n, oobn, flags, unmapped(a), nil
}

// WriteTo sends p as a datagram to the address, a *net.UDPAddr.
func (c *UDPConn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.writeError(to, syscall.EINVAL)
	}
	return c.WriteToUDP(p, a)
}

// WriteToUDP is WriteTo with another type of address.
func (c *UDPConn) WriteToUDP(p []byte, to *net.UDPAddr) (int, error) {
	n, err := c.sendTo(p, addrPortOf(to))
	if err != nil {
		err = c.writeError(netUDPAddr(to), err)
	}
	return n, err
}

// WriteToUDPAddrPort is WriteTo without an allocation.
func (c *UDPConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	n, err := c.sendTo(p, to)
	if err != nil {
		err = c.writeError(udpAddrPort{to}, err)
	}
	return n, err
}

// WriteMsgUDP sends p as a datagram with the control messages of oob, in Linux's layout
// (cmsg(3)): IP_TOS, IPV6_TCLASS, IP_PKTINFO, UDP_SEGMENT and the like. to is nil on a
// connected socket, and there only.
func (c *UDPConn) WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	n, oobn, err = c.sendMsg(p, oob, addrPortOf(to))
	if err != nil {
		err = c.writeError(netUDPAddr(to), err)
	}
	return n, oobn, err
}

// WriteMsgUDPAddrPort is WriteMsgUDP with another form of address: the zero AddrPort on a
// connected socket.
func (c *UDPConn) WriteMsgUDPAddrPort(p, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	n, oobn, err = c.sendMsg(p, oob, to)
	if err != nil {
		err = c.writeError(udpAddrPort{to}, err)
	}
	return n, oobn, err
}

func (c *UDPConn) sendTo(p []byte, to netip.AddrPort) (int, error) {
	switch {
	case c.peer.IsValid():
		return 0, net.ErrWriteToConnected
	case !to.IsValid():
		return 0, errMissingAddress
	}

	a, err := c.sockAddr(to)
	if err != nil {
		return 0, err
	}
	n, err := c.s.SendTo(p, 0, a)
	if err != nil {
		err = sysError("sendto", err)
	}
	return n, err
}

func (c *UDPConn) sendMsg(p, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	switch {
	case c.peer.IsValid() && to.IsValid():
		return 0, 0, net.ErrWriteToConnected
	case !c.peer.IsValid() && !to.IsValid():
		return 0, 0, errMissingAddress
	}

	m := msgPool.Get().(*socket.Msg)
	defer msgPool.Put(m)
	m.Flags, m.HasAddr, m.Control = 0, to.IsValid(), oob
	if m.HasAddr {
		a, err := c.sockAddr(to)
		if err != nil {
			return 0, 0, err
		}
		m.Addr = abi.Addr(a)
	}
	n, err = c.s.sendDatagram(context.Background(), p, m)
	m.Control = nil
	if err != nil {
		return n, 0, sysError("sendmsg", err)
	}
	return n, len(oob), nil
}

// writeError is the error of a send to an address.
func (c *UDPConn) writeError(to net.Addr, err error) error {
	return &net.OpError{Op: "write", Net: c.k.network, Source: c.addresses().local, Addr: to, Err: err}
}

// udpAddrPort is the address of an error where the program gave an AddrPort.
type udpAddrPort struct{ netip.AddrPort }

// Network implements net.Addr.
func (udpAddrPort) Network() string { return "udp" }

// addrPortOf returns a's address, the zero AddrPort of nil. One without IP is the wildcard,
// as package net has it.
func addrPortOf(a *net.UDPAddr) netip.AddrPort {
	switch {
	case a == nil:
		return netip.AddrPort{}
	case len(a.IP) == 0:
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(a.Port))
	}
	return a.AddrPort()
}

// netUDPAddr is a as a net.Addr, nil of nil.
func netUDPAddr(a *net.UDPAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// sockAddr returns to as an address of the socket's domain.
func (c *UDPConn) sockAddr(to netip.AddrPort) (Addr, error) {
	a := c.s.host.inet(to)
	switch {
	case int(c.s.in.Domain) == abi.AF_INET && a.Family != abi.AF_INET:
		return a, &net.AddrError{Err: "non-IPv4 address", Addr: to.Addr().String()}
	case int(c.s.in.Domain) == abi.AF_INET6 && a.Family == abi.AF_INET:
		if a.IP.IsUnspecified() {
			a.IP = netip.IPv6Unspecified()
		}
		a.Family, a.IP = abi.AF_INET6, netip.AddrFrom16(a.IP.As16())
	}
	return a, nil
}

// recvMsg is recvmsg(2) into one buffer, with room for control messages.
func (s *Socket) recvMsg(p, oob []byte, flags int) (n, oobn, got int, from Addr, err error) {
	m := msgPool.Get().(*socket.Msg)
	m.Flags, m.Want, m.Addr, m.Control = flags, len(oob) > 0, abi.Addr{}, nil
	n, err = s.in.Recv(context.Background(), p, m)
	got, from = m.Flags, Addr(m.Addr)

	control, cut := abi.CutCmsgs(m.Control, len(oob))
	if cut {
		got |= abi.MSG_CTRUNC
	}
	oobn = copy(oob, control)
	m.Control = nil
	msgPool.Put(m)
	return n, oobn, got, from, err
}

var (
	_ net.Conn       = (*UDPConn)(nil)
	_ net.PacketConn = (*UDPConn)(nil)
)
