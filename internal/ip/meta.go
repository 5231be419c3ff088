package ip

import (
	"net/netip"
	"syscall"
)

// Meta is what the network header of a received packet said.
type Meta struct {
	Src, Dst  netip.Addr
	Iface     *Iface // where the packet came in; for looped packets where it went out
	Lane      *Lane  // that it is received in
	Flow      uint32 // IPv6 flow label
	Proto     uint8
	TTL       uint8 // time to live or hop limit
	TOS       uint8 // type of service or traffic class, ECN bits included
	V6        bool
	Broadcast bool // Dst is a broadcast address

	DontFragment bool // IPv4's bit, or what an IPv6 packet's sender in this process wants

	// Header is the whole network header as received, options and extension
	// headers included. It is valid until the packet is freed or Input returns.
	Header []byte
}

// Multicast reports whether the packet was sent to a group.
func (m *Meta) Multicast() bool { return m.Dst.IsMulticast() }

// Error is an ICMP error about a packet that this host sent.
type Error struct {
	Src, Dst   netip.Addr // of the packet that was sent
	From       netip.Addr // who complains
	Iface      *Iface     // where the message came in
	Proto      uint8      // of the packet that was sent
	V6         bool       // the message is ICMPv6
	Type, Code uint8
	MTU        int           // fragmentation needed, packet too big: the next hop's MTU; else 0
	Info       uint32        // the second word of the message
	Errno      syscall.Errno // Linux's translation
	Hard       bool          // Linux aborts an operation with it, not only reports it
	Quote      []byte        // the transport header of the quoted packet, at least 8 bytes
}
