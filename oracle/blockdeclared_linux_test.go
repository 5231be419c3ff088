package oracle

// declaredWaiting are the differences in calls that wait, as in declared.
var declaredWaiting = []declaration{
	// By the application's own doing.
	{name: "own close/*", reason: ownClose},

	// Receives.
	{name: "receive/tcp/low 3: recv 2/shutdown wr", sometimes: true, reason: otherEvents},
	{name: "receive/unix stream/recv 5 oob/*", usock: "ENOTSUP", kernel: "EINVAL", reason: unixUrgent},
	{name: "timeout/unix stream*/recv 5 oob", usock: "ENOTSUP", kernel: "EINVAL", reason: unixUrgent},
	{name: "no waiting/unix stream*/recv 5 oob", usock: "ENOTSUP*", kernel: "EINVAL*", reason: unixUrgent},
	{name: "two peekers/*", reason: peekers},

	// Calls that wait for room.
	{name: "send/timeout, part sent/*", what: "c poll", sometimes: true, reason: memory},
	{name: "send/full, own shutdown wr/unix datagram", reason: unixAnew},
	{name: "send/full, peer shuts down rd/unix datagram", reason: unixAnew},
	{name: "send/full, reconnected/unix datagram", reason: unixAnew},
	{name: "connect/backlog full, shut down/unix stream", reason: unixAnew},
	{name: "connect/backlog full, two callers/unix stream", sometimes: true, reason: inTurn},
	{name: "poll/out/closed/unix stream", sometimes: true, reason: unixAnew},

	// What two receivers are both woken for.
	{name: "left/two receivers, reset/unix stream", sometimes: true, reason: firstWoken},
}

// The reasons.
const (
	ownClose    = "Close ends the calls that wait on the socket with EBADF and ends the connection at once; on Linux they go on, and it lives as long as they do."
	otherEvents = "A receive of fewer bytes than SO_RCVLOWAT says is not woken by them; on Linux an event of the other direction may wake it."
	unixUrgent  = "AF_UNIX has no urgent data: MSG_OOB is EOPNOTSUPP, as of a kernel without CONFIG_AF_UNIX_OOB."
	peekers     = "Two receives that peek at the datagram that comes both see it; Linux wakes one of them."
	unixAnew    = "A call on AF_UNIX that waits for room looks at everything anew: its own shutdown, the peer's, a new peer. Linux's sleeps on, and tells a pending error before EPIPE."
	inTurn      = "Of several sockets that wait for room at one AF_UNIX socket any may be the next; Linux has them take turns."
	firstWoken  = "A reset wakes both receivers, and who runs first has the error; the one that has some bytes already drops it, and the other then sees the end (unix_stream_read_generic). Who is first the scheduler decides, on Linux as well."
)
