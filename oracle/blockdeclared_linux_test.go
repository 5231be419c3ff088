package oracle

// declaredWaiting are the differences in calls that wait, as in declared.
var declaredWaiting = []declaration{
	// By the application's own doing.
	{name: "own close/*", reason: ownClose},
	{name: "low water set/*", reason: setMeanwhile},
	{name: "dissolved/tcp", reason: dissolved},

	// Receives.
	{name: "receive/tcp/recv 0*", reason: noBytes},
	{name: "timeout/tcp/recv 0*", reason: noBytes},
	{name: "receive/tcp/low 3: recv 2/shutdown wr", sometimes: true, reason: otherEvents},
	{name: "receive/tcp/recv 5 peek waitall/taken by another", reason: peeksBehind},
	{name: "timeout/tcp/recv 5 peek waitall, data", reason: lowTimeout},
	{name: "timeout/tcp/low *", reason: lowTimeout},
	{name: "timeout/unix stream*/low *", reason: lowTimeout},
	{name: "receive/unix stream*/low *", reason: inPieces},
	{name: "receive/unix stream/recv 5 oob/*", usock: "ENOTSUP", kernel: "EINVAL", reason: unixUrgent},
	{name: "timeout/unix stream*/recv 5 oob", usock: "ENOTSUP", kernel: "EINVAL", reason: unixUrgent},
	{name: "no waiting/unix stream*/recv 5 oob", usock: "ENOTSUP*", kernel: "EINVAL*", reason: unixUrgent},
	{name: "two peekers/*", reason: peekers},

	// Calls that wait for room.
	{name: "send/timeout, part sent/*", what: "c poll", sometimes: true, reason: memory},
	{name: "send/peer closes/unix stream", reason: unixAnew},
	{name: "send/full, own shutdown wr/unix datagram", reason: unixAnew},
	{name: "send/full, peer shuts down rd/unix datagram", reason: unixAnew},
	{name: "send/full, reconnected/unix datagram", reason: unixAnew},
	{name: "connect/backlog full, shut down/unix stream", reason: unixAnew},
	{name: "connect/backlog full, two callers/unix stream", sometimes: true, reason: inTurn},
	{name: "poll/out/closed/unix stream", sometimes: true, reason: unixAnew},
}

// The reasons.
const (
	ownClose     = "Close ends the calls that wait on the socket with EBADF and ends the connection at once; on Linux they go on, and it lives as long as they do."
	setMeanwhile = "SO_RCVLOWAT that is set while a receive waits holds for it from its next look on; on Linux for the next call."
	dissolved    = "A receive that waits on a connection which is dissolved (connect to AF_UNSPEC) takes the ECONNRESET; on Linux it gets EPIPE, and the next call ECONNRESET."
	noBytes      = "A receive of no bytes that waits on a TCP stream returns 0 on Linux whatever wakes it, and when its time is up."
	otherEvents  = "A receive of fewer bytes than SO_RCVLOWAT says is not woken by them; on Linux an event of the other direction may wake it."
	peeksBehind  = "MSG_PEEK with MSG_WAITALL goes on behind what it has seen, also if another has taken that meanwhile; usock's sees what is there at the end."
	lowTimeout   = "A receive whose time is up before there is enough for SO_RCVLOWAT, or for MSG_PEEK with MSG_WAITALL, gives EAGAIN and leaves what came; Linux's returns it."
	inPieces     = "A receive on an AF_UNIX stream takes nothing before there is enough for SO_RCVLOWAT; Linux's takes what comes, as others and poll see."
	unixUrgent   = "AF_UNIX has no urgent data: MSG_OOB is EOPNOTSUPP, as of a kernel without CONFIG_AF_UNIX_OOB."
	peekers      = "Two receives that peek at the datagram that comes both see it; Linux wakes one of them."
	unixAnew     = "A call on AF_UNIX that waits for room looks at everything anew: its own shutdown, the peer's, a new peer. Linux's sleeps on, and tells a pending error before EPIPE."
	inTurn       = "Of several sockets that wait for room at one AF_UNIX socket any may be the next; Linux has them take turns."
)
