package oracle

// declaredSCTP are the differences from the kernel's SCTP that are known, as declared has them.
var declaredSCTP = []declaration{
	{name: "values/unknown", line: "a get 132:111 16", reason: notBuilt},
	{name: "values/unknown", line: "a get 132:102", reason: notBuilt},

	// What time or memory decides.
	{line: "? get sctp:status*", usock: "*rto=1000*", kernel: "*rto=3000*", reason: handshakeTime},
	{name: "values/path info", line: "c get sctp:*", reason: handshakeTime},
	{line: "? get sctp:stats*", usock: "*maxrto=*", kernel: "*maxrto=*", reason: counted},
	{name: "events/paths*", reason: probes},
	{name: "one/fill", line: "s drain", sometimes: true, reason: shutWindow},
	{name: "one/fill", line: "c await OUT", what: "s poll", sometimes: true, reason: shutWindow},
	{name: "one/sizes", line: "c sendn 200000", sometimes: true, reason: memory},
	{name: "one/sizes", line: "s recv 200001", sometimes: true, reason: pieces},
	{name: "many/fill", line: "l recv 65536", sometimes: true, reason: memory},
	{name: "messages/partial delivery", line: "s recv *", sometimes: true, reason: pieces},
	{name: "messages/interleaving of levels", line: "l recv *", sometimes: true, reason: pieces},

	// What options say.
	{name: "values/path, connected", line: "c get sctp:status id=A1", reason: windows},
	{name: "values/given up", line: "c get sctp:pr_assoc_status id=A1 policy=0x[28]0", what: "result", reason: arrived},
	{name: "values/scheduler", line: "c set sctp:scheduler value=[34]", what: "result", usock: "ok", kernel: "EINVAL", reason: schedulers},
	{name: "extensions/auth", line: "a get sctp:hmac_ident", what: "result", usock: "8 bytes n=2 ids=3,1", reason: hashes},
	{name: "extensions/addresses that change, not authenticated", reason: unauthenticated},

	// Messages.
	{name: "events/data of the dead*", line: "l recv *", reason: failedOrder},

	// Addresses.
	{name: "six/family", line: "e connect lo6:9/2?", reason: lengths},
	{name: "six/family", line: "e connect far6:9", what: "e name", reason: lengths},
	{name: "one/bound and connected", line: "e connect lo:7000", reason: scopes},
	{name: "one/bound and connected", line: "u = accept l", reason: scopes},
	{name: "six/pair", line: "s get sctp:*", reason: sctpSix},
	{name: "six/many", line: "c get sctp:laddrs*", reason: sctpSix},
	{name: "six/not mapped", reason: sctpSix},
}

// The reasons.
const (
	handshakeTime   = "SCTP: usock takes a first round-trip time from the handshake (RFC 9260, section 6.3.1), Linux from the first message or heartbeat."
	probes          = "SCTP: usock probes addresses that are not confirmed at once (RFC 9260, section 5.4), Linux after an RTO."
	shutWindow      = "SCTP: a chunk that has probed a shut window in vain usock sends again when the window opens, Linux when T3-rtx expires (RFC 9260, section 6.1 A, leaves that open)."
	pieces          = "SCTP: how much of a message that is delivered in part is there at a time depends on when it is read, and on the window's accounting."
	counted         = "SCTP: SCTP_GET_ASSOC_STATS has the highest RTO in ms, Linux in its ticks; and it counts the heartbeats that confirm addresses at once."
	arrived         = "SCTP: SCTP_PR_ASSOC_STATUS counts on Linux, as given up, a message that was not to be sent again and has arrived."
	schedulers      = "SCTP: the schedulers SCTP_SS_FC and SCTP_SS_WFQ, which Linux has since 6.4."
	hashes          = "SCTP: SCTP_HMAC_IDENT begins with SHA-256 and SHA-1, with SHA-1 alone on Linux."
	unauthenticated = "SCTP: addresses change only where chunks are authenticated (RFC 5061): there is no addip_noauth_enable."
	windows         = "SCTP: the congestion window after SPP_PMTUD_DISABLE has set an MTU."
	failedOrder     = "SCTP: whether a message that an association's end has caught is told as sent or unsent, and before which notification of others."
	scopes          = "SCTP: Linux sends nothing from an address of wider scope to one of loopback."
	sctpSix         = "SCTP: IPv6: the peer's address on loopback has a scope on Linux, and fragments go by the socket's family."
)
