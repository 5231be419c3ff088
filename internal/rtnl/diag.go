package rtnl

import "net/netip"

// Socket is what inet_diag tells of a socket.
type Socket struct {
	Family     uint8
	State      uint8 // TCP_*: as Linux numbers them
	Local      netip.AddrPort
	Peer       netip.AddrPort
	Link       uint32
	Cookie     uint64
	RecvQ      uint32
	SendQ      uint32
	UID, Inode uint32
	Info       []byte // struct tcp_info; nil: none
	Congestion string
	Drops      uint32
}

func (s *Session) diag(*request) Errno { return EINVAL }
