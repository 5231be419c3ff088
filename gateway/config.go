package gateway

import (
	"io"
	"net/netip"

	"usock/clock"
	"usock/link"
	"usock/shape"
)

// Config says how a gateway is made.
type Config struct {
	// Network is the inner IPv4 network: the first address is the gateway's, the second the
	// host's. The zero Prefix: one that no route of the machine covers.
	Network netip.Prefix

	// Link, if not nil, is given the host's end of the link, which carries packets of 64 KiB
	// and segments as large as they come, and returns the one to be used in its place: one
	// that records it, slows it down, or has a smaller MTU.
	Link func(link.Link) link.Link

	// SCTP has SCTP leave as it is, where the gateway may have raw sockets (CAP_NET_RAW) and the kernel has no SCTP, which
	// would abort what comes back: see CarriesSCTP. What is in UDP needs neither.
	SCTP bool

	// Publish names ports of the machine at which the host's are reached. They are bound by
	// New, and listen while somebody inside does.
	Publish []Publish

	// Rules say what the run may reach, and who may reach it: the first that matches a flow
	// decides. What matches none is denied if one of them allows, else allowed. They hold for
	// connections, datagrams both ways and ICMP echo requests to and from all that is outside
	// of the run, the machine's loopback interface included; of published ports, HOST is the
	// client's and PORTS are the machine's. A rule about a name holds for the addresses that
	// the servers of /etc/resolv.conf gave for it, or /etc/hosts or Hosts say: with such rules
	// these servers can be asked, whatever else the rules say, and only about names that some
	// rule can allow; other questions are refused.
	Rules []Rule

	// DenyWith is what a program sees of what is denied. A client of a published port is
	// reset, and a datagram of one dropped, in any case.
	DenyWith Refusal

	// FlowLog, if not nil, has a record of each flow. It is the caller's.
	FlowLog *FlowLog

	// Named, if not nil, is told which name an address was given for by Hosts or a name server, each time. It is called on
	// the gateway's goroutine and must not block.
	Named func(netip.Addr, string)

	// Faults, if not nil, decides what goes wrong, on purpose, with questions about names to the servers that /etc/resolv.conf names.
	Faults *shape.Faults

	// Log, if not nil, is told what is published.
	Log io.Writer

	// Hosts are names that the run knows besides the machine's own: questions about them to the
	// servers that /etc/resolv.conf names, as it is when the gateway is made, are answered by
	// the gateway. By TCP that takes a server that accepts the connection.
	Hosts []Host

	// Isolated has no outside. Of the gateway there is only what answers questions about
	// names, where /etc/resolv.conf names a server on the loopback interface: others than
	// Hosts are refused, and so is all else. Network, Link and Publish are without effect.
	Isolated bool

	// Clock is where the gateway and its router take their time from; nil is the machine's.
	Clock clock.Clock

	// Warn, if not nil, receives what the user must know, each thing once.
	Warn io.Writer
}

// Publish is a port of the machine at which a port of the run is reached.
type Publish struct {
	Proto int        // IPPROTO_TCP or IPPROTO_UDP
	Addr  netip.Addr // of the machine; not valid: 127.0.0.1, and ::1 if it has that
	Port  uint16     // of the machine
	Inner uint16     // of the run

	// Auto stands for each port of the run, on loopback under its own number, while
	// somebody listens on it (TCP) or has taken it by bind (UDP). Addr, Port and Inner are
	// not looked at.
	Auto bool
}
