package usock

import (
	"net/netip"
	"os"

	"usock/clock"
	"usock/link"
	"usock/shape"
)

// Config says how a host is made. The zero value is an unprivileged host with a
// loopback interface and nothing else, in real time.
type Config struct {
	// Name is the host's name, for people, and of its own addresses (Resolver).
	Name string

	// Names, if not nil, is a table of names that the host knows, shared with other hosts
	// perhaps.
	Names *Names

	// NameServers are asked about other names, over the host's own links (Resolver). Without
	// them there are no other names.
	NameServers []netip.AddrPort

	// Search are domains in which names without dot are looked up (resolv.conf(5)).
	Search []string

	// Privileged hosts' programs may open raw sockets, bind ports below 1024 and set what
	// takes privilege, as root may (capabilities(7)).
	Privileged bool

	// Capable, if not nil, takes the place of Privileged: it reports whether the program
	// on whose behalf a call is made has a capability, one of CAP_*. It is asked by the
	// calling goroutine whenever a call asks for something that takes one, with the
	// host locked: it must not call the host, nor take long.
	Capable func(capability int) bool

	// Interfaces are the host's links, in order. The loopback interface comes
	// before them by itself.
	Interfaces []Interface

	// Loopback, if not nil, is given the host's loopback link and returns the link
	// to be used in its place: one that records it or slows it down. Without it,
	// packets to the host itself take a shorter way.
	Loopback func(link.Link) link.Link

	// Forward passes packets on between the host's links: the host is a router.
	Forward bool

	// Flows, if not nil, is asked about connections and datagrams that nobody of the host
	// takes. Those are refused otherwise.
	Flows FlowHandler

	// Listening, if not nil, is called when a TCP socket begins or ceases to listen on a port,
	// and when a UDP socket takes one by bind or leaves it: what Host.Listening returns may
	// have changed. proto is IPPROTO_TCP or IPPROTO_UDP. It is called by the goroutine that
	// brought the change about, with no lock held; of two changes at one time the calls may
	// come in either order. It should not take long.
	Listening func(proto int, port uint16)

	// StreamSettings, if not nil, is called when the program of a TCP connection has set one
	// of the options that Host.StreamSettings returns, by the goroutine that did, with no lock
	// held. Those that were set before connect are there when the flow is asked about (Flows).
	// It should not take long.
	StreamSettings func(local, remote netip.AddrPort)

	// Ended, if not nil, is called with each TCP connection and SCTP association that has ended, and each attempt to make one: what
	// it carried, and how long it lasted (SocketInfo.TCP, Age; SocketInfo.SCTP.Assocs has one). Its State is TIME-WAIT, which is
	// about to begin, or UNCONN; where the host was closed it is what it was before. Handshakes that a listener's peers have not
	// completed are not told. It is called with each UDP socket that is closed and has carried something, too. It is called by the goroutine that
	// brought the end about, with no lock held; several may call at one time. It should not take long.
	Ended func(SocketInfo)

	// StandIn has the host take what its links bring for addresses that are not its own, and
	// answer in their place as Flows says. Without, it is dropped, or passed on by a router.
	StandIn bool

	// Cred is who the host's programs are, for AF_UNIX (SO_PEERCRED); nil is this
	// process. A socket that acts for another process (SetOwner) has its number.
	Cred *Cred

	// Faults, if not nil, decides what goes wrong, on purpose, at the calls of the host's sockets of the Internet: those of
	// TCP, the making of sockets, and the lookups of Resolver. It may be shared by hosts.
	Faults *shape.Faults

	// Clock is where the time comes from; nil is the machine's, which testing/synctest
	// makes virtual. The host hands it on to links that keep time (link.Timed).
	Clock clock.Clock

	// Seed, if not 0, is what all follows from that the host draws at random: initial
	// sequence numbers, ports, identifications. It is for tests that are to run the same
	// way again: who knows it can guess what nobody should. 0 is the machine's randomness.
	Seed uint64

	// Congestion names the congestion control of connections that ask for none
	// (TCP_CONGESTION); "" is that of TCP.
	Congestion string

	// TCP holds the host's settings of TCP: buffer limits, retries, ECN and so on.
	// nil is DefaultTCPConfig(). It must not be changed while the host is in use.
	TCP *TCPConfig

	// SCTP holds the host's settings of SCTP. nil is DefaultSCTPConfig(). It must not be changed
	// while the host is in use.
	SCTP *SCTPConfig
}

// Interface is a link of a host with its addresses.
type Interface struct {
	Link link.Link

	// Addrs are the host's addresses on the link. The networks of their prefixes
	// are reached through it.
	Addrs []netip.Prefix

	// Routes are what else is reached through the link.
	Routes []Route
}

// Route says that a network is reached through a gateway, or on the link itself
// where Via is the zero Addr.
type Route struct {
	Dst netip.Prefix
	Via netip.Addr
}

// Cred is who a process is: struct ucred of unix(7).
type Cred struct {
	PID      int32
	UID, GID uint32
}

func (c *Config) capable(capability int) bool {
	if c.Capable != nil {
		return c.Capable(capability)
	}
	return c.Privileged
}

func (c *Config) cred() Cred {
	if c.Cred != nil {
		return *c.Cred
	}
	return Cred{PID: int32(os.Getpid()), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
}
