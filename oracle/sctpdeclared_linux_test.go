package oracle

// declaredSCTP are the differences from the kernel's SCTP that are known, as declared has them.
var declaredSCTP = []declaration{
	{line: "? ?et sctp:*", what: "result", usock: "ENOPROTOOPT", reason: notBuilt},
	{name: "values/unknown", line: "a get 132:111 16", reason: notBuilt},
	{name: "values/unknown", line: "a get 132:102", reason: notBuilt},

	// What time or memory decides.
	{line: "? get sctp:status*", usock: "*rto=1000*", kernel: "*rto=3000*", reason: handshakeTime},
	{name: "values/path info", line: "c get sctp:*", reason: handshakeTime},
	{name: "events/paths*", reason: probes},
	{name: "one/fill", line: "s drain", sometimes: true, reason: memory},
	{name: "one/sizes", line: "c sendn 200000", sometimes: true, reason: memory},
	{name: "one/sizes", line: "s recv 200001", sometimes: true, reason: pieces},
	{name: "many/fill", line: "l recv 65536", sometimes: true, reason: memory},
	{name: "messages/partial delivery", line: "s recv *", sometimes: true, reason: pieces},
	{name: "messages/interleaving of levels", line: "l recv *", sometimes: true, reason: pieces},

	// What options say.
	{line: "? get sctp:laddrs*", reason: optionLengths},
	{name: "options/*: max_burst", line: "x get sctp:max_burst/12", reason: optionLengths},
	{line: "? queued", reason: sctpQueues},
	{name: "one/buffers", line: "? get sctp:associnfo", reason: windows},
	{name: "values/path, connected", line: "c get sctp:status id=A1", reason: windows},
	{name: "one/inherited", line: "s get ip:tos", reason: ipOptions},
	{name: "one/ip options, connected", reason: ipOptions},

	// Messages.
	{line: "s recv *", usock: "*cumtsn=*", kernel: "*cumtsn=*", reason: unordered},
	{name: "messages/policies", line: "s recv 9", reason: lifetimes},
	{name: "messages/flags of sndinfo", line: "s recv 9", reason: lifetimes},
	{name: "messages/record ends", line: "c send abc more", reason: corked},
	{name: "one/shut down for reading", line: "c recv 9", reason: shutReading},
	{name: "events/data of the dead*", line: "l recv *", reason: failedOrder},

	// Addresses.
	{name: "one/short names", line: "b bind *", reason: lengths},
	{name: "six/family", line: "e connect lo6:9/2?", reason: lengths},
	{name: "six/family", line: "e connect far6:9", what: "e name", reason: lengths},
	{name: "one/unreachable", line: "c connect zero:7000", reason: scopes},
	{name: "one/bound and connected", line: "e connect lo:7000", reason: scopes},
	{name: "one/bound and connected", line: "u = accept l", reason: scopes},
	{name: "six/pair", line: "s get sctp:*", reason: sctpSix},
	{name: "six/many", line: "c get sctp:status *", reason: sctpSix},
	{name: "six/not mapped", reason: sctpSix},
	{name: "six/connectx", line: "c get sctp:path *", reason: sctpSix},
}

// The reasons.
const (
	handshakeTime = "SCTP: usock takes a first round-trip time from the handshake (RFC 9260, section 6.3.1), Linux from the first message or heartbeat."
	probes        = "SCTP: usock probes addresses that are not confirmed at once (RFC 9260, section 5.4), Linux after an RTO; and the error of SCTP_PEER_ADDR_CHANGE is Linux's own."
	pieces        = "SCTP: how much of a message that is delivered in part is there at a time depends on when it is read, and on the window's accounting."
	optionLengths = "SCTP: SCTP_GET_LOCAL_ADDRS leaves its structure's head out of Linux's optlen, and SCTP_MAX_BURST does not shorten it; usock tells what it has written."
	sctpQueues    = "SCTP: SIOCOUTQ is ENOTTY on Linux, and SIOCINQ ENOTCONN on a listener."
	windows       = "SCTP: the local window that SCTP_ASSOCINFO shows, and the congestion window after SPP_PMTUD_DISABLE has set an MTU."
	ipOptions     = "SCTP: Linux does not inherit IP_TOS, stamps messages (SO_TIMESTAMP), and shows the MTU of the route rather than of the path."
	unordered     = "SCTP: the cumulative TSN told with an unordered message is that of its arrival on Linux, that of its reading in usock."
	lifetimes     = "SCTP: a policy of RFC 7496 in sinfo_flags without a value is a lifetime of none on Linux: such a message is never sent."
	corked        = "SCTP: MSG_MORE holds a message back on Linux."
	shutReading   = "SCTP: after SHUT_RD Linux drops what comes."
	failedOrder   = "SCTP: whether a message that an association's end has caught is told as sent or unsent, and before which notification of others."
	scopes        = "SCTP: Linux sends nothing from an address of wider scope to one of loopback."
	sctpSix       = "SCTP: IPv6 on loopback: Linux's MTU is not rounded to 4 bytes, its peer's address may have a scope, fragments go by the socket's family, and getpeername of a socket without SCTP_I_WANT_MAPPED_V4_ADDR is of IPv4."
)
