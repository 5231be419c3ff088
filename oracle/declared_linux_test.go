package oracle

// declared are the differences from the kernel that are known and meant. Each
// field but the reason is a pattern; an empty one fits everything.
// docs/CONFORMANCE.md gives the reasons, in the same words.
var declared = []declaration{
	// A kernel without SCTP.
	{name: "socket/*", line: "a = socket * 132", sometimes: true, reason: noSCTP},
	{name: "socket/* 0x5*", line: "a = socket * 5 *", sometimes: true, reason: noSCTP},
	{name: "socket/*", line: "a close", usock: "ok", kernel: "EBADF", sometimes: true, reason: noSCTP},

	// Options that usock does not have.
	{name: "options/* ip:local_port_range", reason: notBuilt},
	{name: "options/* ip:options", reason: notBuilt},
	{name: "options/* ip:transparent", reason: notBuilt},
	{name: "options/* ipv6:addrform", reason: notBuilt},
	{name: "options/* ipv6:pktinfo", reason: notBuilt},
	{name: "options/* so:attach_bpf", kernel: "EINVAL", reason: notBuilt}, // the descriptor is open, and no program
	{name: "options/tcp* so:timestamping", reason: notBuilt},              // a stream's stamps without OPT_TSONLY
	{name: "options/* tcp:save_syn", reason: notBuilt},
	{name: "options/* tcp:timestamp", reason: notBuilt},
	{name: "options/* tcp:tx_delay", reason: notBuilt},
	{name: "options/tcp* ip:*_source*", reason: notBuilt},
	{name: "options/tcp* ip:msfilter", reason: notBuilt},
	{name: "optionuse/save syn", reason: notBuilt},
	{name: "privileges/*", line: "a ?et ip:transparent*", reason: notBuilt},
	{name: "privileges/options", line: "a set tcp:tx_delay 5", reason: notBuilt},
	{name: "privileges/options", line: "a set 6:19 1", reason: notBuilt},
	{name: "cmsg/receive*", line: "b set *", usock: "ENOPROTOOPT", reason: notBuilt},
	{name: "cmsg/tcp6 *", line: "l set *", usock: "ENOPROTOOPT", reason: notBuilt},
	{name: "cmsg/send ip:retopts *", reason: notBuilt},
	{name: "cmsg/sticky pktinfo", reason: notBuilt},
	{name: "cmsg/tcp6 so:timestamp", sometimes: true, reason: notBuilt},
	{name: "tcp6/addrform", reason: notBuilt},
	{name: "udp*/freebind", reason: notBuilt},
	{name: "bind/* set ip:transparent 1 *", reason: notBuilt},
	{name: "bind/local port range", reason: notBuilt},
	{name: "options/* unknown", reason: unknownLevels},

	// Numbers that only a kernel's build or configuration explains.
	{name: "options/* so:rcvtimeo*", reason: ticks},
	{name: "options/* so:sndtimeo*", reason: ticks},
	{name: "udp*/timeouts", line: "a get so:rcvtimeo 16", reason: ticks},
	{name: "options/* so:linger", reason: ticks},
	{name: "tcp/fill", line: "s drain", sometimes: true, reason: memory},
	{name: "tcpstates/full*", sometimes: true, reason: memory},

	// Addresses whose length and family disagree.
	{name: "lengths/*", reason: lengths},
	{name: "tcp6/names cut short", reason: lengths},
	{name: "tcp6/odd peers", line: "a connect lo6:9/23", reason: lengths},
	{name: "udp*/bad lengths", reason: lengths},
	{name: "connect/raw unspec/2", reason: lengths},
	{name: "connect/udp6 lo6:9/24", reason: mixed},

	// Corners of IPv6 sockets that carry IPv4.
	{name: "connect/udp6 *", reason: mixed},
	{name: "connect/raw6 *", reason: mixed},
	{name: "connect/tcp6 *", reason: mixed},
	{name: "udpstates/six*", reason: mixed},
	{name: "udpstates/raw6*", reason: mixed},
	{name: "tcp6/dissolve", reason: mixed},
	{name: "options/*6 ip:multicast_all", reason: mixed},

	// An interface that is asked for makes everything reachable through it.
	{name: "connect/tcp *", reason: onLink},
	{name: "connect/udp *", reason: onLink},
	{name: "connect/ping *", reason: onLink},
	{name: "connect/raw *", reason: onLink},
	{name: "optionuse/device and listener", reason: onLink},
	{name: "cmsg/send ip:pktinfo 020000000000000000000000", reason: onLink},
	{name: "optionuse/mtu", line: "a get ip:mtu", reason: onLink},

	// Raw sockets.
	{name: "raw/sizes", line: "a recv 70000", reason: idents},
	{name: "raw/flags", reason: idents},

	// TCP.
	{line: "? get tcp:maxseg", reason: segments},
	{name: "tcpstates/*", line: "x get tcp:maxseg", reason: segments},
	{line: "? queued", reason: queues},
	{name: "tcpstates/dissolved*", reason: lateErrors},
	{name: "tcplisten/inherited", line: "s get tcp:window_clamp", reason: clamp},
	{name: "optionuse/window clamp", reason: clamp},
	{name: "tcplisten/option set after", reason: inherit},
	{name: "optionuse/info", reason: inherit},

	// Multicast and datagrams.
	{name: "multicast/membership*", reason: membership},
	{name: "multicast/on loopback", reason: membership},
	{name: "options/* ip:drop_membership", reason: membership},
	{name: "options/* ip:multicast_if", reason: membership},
	{name: "udp*/sizes without fragments", reason: localErrors},
	{name: "cmsg/set while waiting", reason: localErrors},
	{name: "zerocopy/stream, large", line: "c sendn *", what: "c poll", reason: zeroCopy},
}

// declaration is one difference, or a family of them.
type declaration struct {
	name, line, what, usock, kernel string
	sometimes                       bool // timing decides whether it shows
	reason                          string
}

// The reasons.
const (
	noSCTP        = "SCTP: most kernels do not have it, and say EPROTONOSUPPORT or ESOCKTNOSUPPORT to socket(2). What it does beside one that has it is held to User-mode Linux."
	notBuilt      = "usock does not have the option or control message: ENOPROTOOPT or EINVAL, where the kernel has it."
	unknownLevels = "Levels of protocols that the kernel has besides (UDP-Lite, multicast routing): ENOPROTOOPT."
	ticks         = "The kernel rounds times to its ticks (HZ, chosen at its build); usock keeps what was set."
	memory        = "The kernel's limits are configured, and its memory is counted by sk_buff. usock's are its own defaults."
	lengths       = "An address shorter or longer than its family's structure is judged before the socket sees it; the errno and the early choice of a port can differ."
	mixed         = "IPv6 sockets that changed between IPv4-mapped and IPv6 peers, or took options of the other family: rare sequences in which the kernel keeps state of both families."
	onLink        = "With an interface bound or named, the kernel takes every IPv4 destination for on-link and for unicast, and chooses its address by the interface; usock asks its routes."
	idents        = "Packets that never leave the host carry no IPv4 identification in usock, and their header's checksum differs by it; raw sockets see that."
	segments      = "TCP_MAXSEG: the kernel bounds segments by half of the largest window seen and subtracts options before there is a connection."
	queues        = "SIOCINQ and SIOCOUTQ: EINVAL on the kernel's listeners, ENOTTY on its ping sockets, and a SYN that failed goes on to count there."
	lateErrors    = "The order in which an old error and a new one are told after several failures."
	clamp         = "The kernel shows the receive window's own bound where TCP_WINDOW_CLAMP was not set, and rounds it by the buffer."
	inherit       = "A connection takes its socket options over when it is accepted, in the kernel when its handshake ends; TCP_INFO of a socket that has become TIME-WAIT."
	membership    = "The order of the checks of a membership request, and the source address of multicast on the loopback interface."
	zeroCopy      = "A send with MSG_ZEROCOPY is complete at once: its bytes were copied, which is what SO_EE_CODE_ZEROCOPY_COPIED says."
	localErrors   = "Errors that the host itself has found (EMSGSIZE) are not queued for MSG_ERRQUEUE, and IP_PKTINFO set after a datagram has come shows it all the same."
)
