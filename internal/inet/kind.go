package inet

import (
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
)

// kind is the facts of a row of the Internet's protocols: those that others ask for, and what
// the files that all of them share must know. Most is in what bind(2), connect(2) and sendto(2)
// of Linux's protocols differ. It never changes.
type kind struct {
	socket.Kind
	sum ip.Checksum // of its packets; 0: what the endpoint says

	ports     bool // addresses have ports: a low one takes a capability, and nothing is sent to 0
	group     bool // bind takes addresses of groups and of networks
	group6    bool // and those of IPv6's groups
	single    bool // connect takes no group of IPv6
	anyFamily bool // bind on AF_INET does not look at the family (raw_bind)
	unspec    bool // sendto on AF_INET takes AF_UNSPEC for AF_INET
	plain4    bool // AF_INET6 sockets connect and send to AF_INET addresses (udpv6_pre_connect, udpv6_sendmsg)
	scoped    bool // sendto on AF_INET6 looks at the scope of every address (ping_v6_sendmsg)
	header4   bool // what is received begins with the IPv4 header

	// other is what connect on AF_INET6 says to an address of another family.
	other syscall.Errno

	// What the calls say to an IPv4-mapped address on AF_INET6; 0: it is taken, unless
	// IPV6_V6ONLY is set.
	bind4, connect4, send4 syscall.Errno

	// segment reads a control message at the level of the protocol's own, which says at how many
	// bytes a send is cut into datagrams; nil: there is none.
	segment func(abi.Cmsg) (int, error)
}
