package usock

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"usock/internal/abi"
)

// SyscallConn returns a way to set and to read the socket's options by descriptor, for
// programs that know no other: quic-go, golang.org/x/net/ipv4 and ipv6.
//
// There is no descriptor of the socket. Control calls f with that of a UDP socket of the
// kernel that stands in for it, is bound to nothing, and is closed when f returns. It begins
// with the values of usock's socket, and what f has changed is set on that afterwards: of the
// options whose value is an int those in standIns. An error is Control's. Whatever else f does
// with the descriptor, binding it or joining a group, has no effect; JoinGroup and Socket are
// for that. What the kernel bounds (net.core.rmem_max) f sees bounded so.
//
// Read and Write of it fail with errors.ErrUnsupported: the data are not the kernel's.
// ReadBatch, ReadMsgUDP and their kin are for these. Connections of TCP and AF_UNIX and
// listeners have no SyscallConn: programs that find one read from its descriptor.
//
// It is there on Linux, whose option numbers usock's are.
func (c *UDPConn) SyscallConn() (syscall.RawConn, error) { return standIn{c}, nil }

// standIn is the syscall.RawConn of a UDPConn.
type standIn struct{ c *UDPConn }

// standIns are the options that a stand-in has from its socket and gives to it.
var standIns = []struct {
	level int
	names []int
}{
	{abi.SOL_SOCKET, []int{
		abi.SO_BROADCAST, abi.SO_SNDBUF, abi.SO_RCVBUF, abi.SO_TIMESTAMP, abi.SO_TIMESTAMPNS, abi.SO_RXQ_OVFL, abi.SO_DONTROUTE,
	}},
	{abi.SOL_IP, []int{
		abi.IP_TOS, abi.IP_TTL, abi.IP_PKTINFO, abi.IP_MTU_DISCOVER, abi.IP_RECVERR, abi.IP_RECVTTL, abi.IP_RECVTOS,
		abi.IP_MULTICAST_TTL, abi.IP_MULTICAST_LOOP, abi.IP_MULTICAST_ALL, abi.IP_RECVORIGDSTADDR,
	}},
	{abi.SOL_IPV6, []int{
		abi.IPV6_UNICAST_HOPS, abi.IPV6_MULTICAST_HOPS, abi.IPV6_MULTICAST_LOOP, abi.IPV6_MTU_DISCOVER, abi.IPV6_RECVERR,
		abi.IPV6_RECVPKTINFO, abi.IPV6_RECVHOPLIMIT, abi.IPV6_RECVTCLASS, abi.IPV6_TCLASS, abi.IPV6_DONTFRAG,
		abi.IPV6_MULTICAST_ALL, abi.IPV6_RECVORIGDSTADDR,
	}},
	{abi.SOL_UDP, []int{abi.UDP_SEGMENT, abi.UDP_GRO}},
}

// option is one that both sockets have, with the stand-in's value.
type option struct{ level, name, value int }

// Control calls f as SyscallConn says.
func (s standIn) Control(f func(fd uintptr)) error {
	in := &s.c.s
	if _, err := in.GetSockOptInt(abi.SOL_SOCKET, abi.SO_TYPE); err != nil {
		return s.opError("raw-control", sysError("getsockopt", err))
	}
	fd, err := unix.Socket(int(in.in.Domain), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return s.opError("raw-control", os.NewSyscallError("socket", err))
	}
	defer unix.Close(fd)

	both := lend(in, fd)
	f(uintptr(fd))
	for _, o := range both {
		v, err := unix.GetsockoptInt(fd, o.level, o.name)
		if err != nil || v == o.value {
			continue
		}
		if err := in.SetSockOptInt(o.level, o.name, halved(o.name, o.level, v)); err != nil {
			return s.opError("raw-control", sysError("setsockopt", err))
		}
	}
	return nil
}

// lend gives the stand-in the values of the socket's options, and returns those that both
// have.
func lend(in *Socket, fd int) []option {
	var both []option
	for _, group := range standIns {
		for _, name := range group.names {
			v, err := in.GetSockOptInt(group.level, name)
			if err != nil {
				continue
			}
			had, err := unix.GetsockoptInt(fd, group.level, name)
			if err != nil {
				continue
			}
			if had != v {
				// Where the kernel does not take it, f sees the kernel's.
				unix.SetsockoptInt(fd, group.level, name, halved(name, group.level, v))
				if had, err = unix.GetsockoptInt(fd, group.level, name); err != nil {
					continue
				}
			}
			both = append(both, option{group.level, name, had})
		}
	}
	return both
}

// halved is the value with which an option is set that reads v: buffer sizes read twice what
// they are set to (socket(7)).
func halved(name, level, v int) int {
	if level == abi.SOL_SOCKET && (name == abi.SO_SNDBUF || name == abi.SO_RCVBUF) {
		return v / 2
	}
	return v
}

// Read fails with errors.ErrUnsupported.
func (s standIn) Read(func(fd uintptr) bool) error {
	return s.opError("raw-read", errors.ErrUnsupported)
}

// Write fails with errors.ErrUnsupported.
func (s standIn) Write(func(fd uintptr) bool) error {
	return s.opError("raw-write", errors.ErrUnsupported)
}

func (s standIn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: s.c.k.network, Addr: s.c.addresses().local, Err: err}
}

var _ syscall.Conn = (*UDPConn)(nil)
