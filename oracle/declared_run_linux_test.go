package oracle

// declaredRun are the differences of usock run from the kernel that the library
// does not have. Each field but the reason may have several patterns, separated by
// "; "; an empty one fits everything. docs/CONFORMANCE.md has the same list, for
// people.
var declaredRun = []struct {
	name, line, what, usock, kernel string
	plain                           bool // with send(2) and recv(2) only, which the kernel carries out on the descriptor
	reason                          string
}{
	{
		plain: true, line: "* recv *", what: "result", usock: "EINVAL", kernel: "ENOTCONN; 0 \"\"; ECONNRESET; ECONNREFUSED",
		reason: "the kernel answers a receive on an unconnected AF_UNIX stream with EINVAL, and has not seen the stack's error",
	},
	{
		plain: true, line: "* send *", what: "result", usock: "ENOTCONN", kernel: "EPIPE; ECONNRESET; ECONNREFUSED",
		reason: "the kernel answers a send on an unconnected AF_UNIX stream with ENOTCONN, and has not seen the stack's error",
	},
	{
		plain: true, line: "* send *", what: "result", usock: "EPIPE", kernel: "ECONNRESET; ECONNREFUSED",
		reason: "a send to an AF_UNIX stream whose peer has gone is EPIPE, and leaves the error to the next receive or SO_ERROR",
	},
	{
		plain: true, line: "* send *", what: "* poll", usock: "IN|OUT|ERR|HUP|RDHUP", kernel: "IN|OUT|HUP|RDHUP",
		reason: "and so the error is still shown after it",
	},
	{
		plain: true, line: "* recv *", what: "result", usock: "ECONNRESET", kernel: "0 \"\"; ECONNREFUSED",
		reason: "and told by the receive; AF_UNIX has one error for all",
	},
	{
		plain: true, line: "* get so:error", what: "result", usock: "104; 111; 32", kernel: "0",
		reason: "and by SO_ERROR",
	},
	{
		plain: true, line: "* recv *", what: "result", usock: "0 \"\"", kernel: "ENOTCONN",
		reason: "a receive after a failed connect, whose error was told, gives 0",
	},
	{
		plain: true, line: "d connect lo:9", what: "result; * poll; * name", name: "tcp/refused",
		reason: "connect tells an error that a send has not",
	},
	{
		name: "tcp/finished, re*", line: "c finish lo:7000; d finish lo:9; c get so:error", what: "result; c poll",
		reason: "a second connect does not know an attempt that was made and reset before it, nor one whose error a send has told",
	},
	{
		name:   "tcp/peek offset*; udp*/peek offset*; options/* so:peek_off",
		reason: "SO_PEEK_OFF is the stack's, and not the descriptor's, which MSG_PEEK looks at",
	},
	{
		plain: true, name: "tcp/low water; tcpstates/*cork*", what: "* poll",
		reason: "as with the calls that are trapped",
	},
	{
		line: "* tcp:cork*", what: "result",
		reason: "TCP_CORK is answered without looking at the socket, for speed, and is not remembered",
	},
	{
		name:   "tcp/cork*; tcp/flags on send; tcpstates/*cork*; tcpstates/*more*; tcp6/*cork*",
		reason: "TCP_CORK and MSG_MORE hold nothing back: what is written goes to the stack",
	},
	{
		what: "* poll", usock: "IN|OUT|HUP|RDHUP", kernel: "IN|OUT|ERR|HUP|RDHUP",
		reason: "a reset after the end of the stream (EPIPE) shows no POLLERR: an AF_UNIX socket with one would fail the read that gives 0",
	},
	{
		what: "* poll", usock: "IN|OUT|HUP|RDHUP", kernel: "OUT|HUP",
		reason: "after a failed connect the descriptor shows that, until the next connect or listen puts a fresh one in its place",
	},
	{
		line: "* connect *", what: "* poll", usock: "OUT|HUP", kernel: "OUT|ERR|HUP",
		reason: "connect to AF_UNSPEC leaves an error that the fresh descriptor cannot show; SO_ERROR tells it",
	},
	{
		what: "* poll", usock: "IN|RDHUP; IN|HUP|RDHUP", kernel: "",
		reason: "a listener that was shut down shows that; TCP's is as new, and a program that waits for it in epoll would miss a fresh descriptor",
	},
	{
		line: "* shutdown *; x send v", what: "* poll", kernel: "OUT; IN|OUT|RDHUP; IN|OUT|HUP|RDHUP; IN|OUT|ERR|HUP|RDHUP", usock: "; IN|RDHUP; OUT|HUP; IN|HUP|RDHUP",
		reason: "shutdown of an unconnected socket, or of one whose buffer is full, does not change what poll says of writing",
	},
	{
		name: "udp*; connect/udp*; ping*; cmsg*", what: "* poll", usock: "OUT", kernel: "OUT|ERR",
		reason: "an error that is told is not shown again for what is left in the error queue",
	},
	{
		name: "udpstates/refused*; connect/udp*", line: "* send *", what: "result; x name",
		reason: "a send tells an earlier error before it looks at its arguments",
	},
	{
		name: "udpstates/refused*", line: "x send v; x recv 4", what: "",
		reason: "and so the calls after it find none, or another",
	},
	{
		name:   "udp*/the last bound gets it; bindrandom/udp 91",
		reason: "a datagram socket that was closed is found closed by the next datagram, or within a second",
	},
	{
		name:   "cmsg/set while waiting; effects/received options",
		reason: "what options add to a datagram is decided when it reaches the descriptor, not when it is received",
	},
	{
		line: "* queued; * get tcp:info *", what: "result",
		reason: "what is on its way is in two places, and acknowledgments come when they come; SIOCINQ of an AF_UNIX listener is EINVAL",
	},
	{
		name: "tcp/low water", what: "* poll",
		reason: "poll does not wait for SO_RCVLOWAT bytes",
	},
	{
		name: "tcpstates/full*", what: "y poll",
		reason: "an error is shown after the bytes before it have fitted into the descriptor",
	},
	{
		name:   "udp*/small buffer; udp*/overflow is counted; effects/overflow is told",
		reason: "there are two queues, the stack's and the descriptor's, and SO_RCVBUF bounds each",
	},
	{
		name:   "tcp/urgent*; tcpstates/*oob*",
		reason: "urgent data is AF_UNIX's: its byte is readable at the mark, and SO_OOBINLINE is the descriptor's own",
	},
	{
		name: "connect/udp*", what: "* name",
		reason: "a send that tells an earlier error does not choose a port",
	},
	{
		name:   "tcp/shut down for reading*; tcp/self, both queues",
		reason: "what arrives after SHUT_RD is dropped: the kernel queues nothing for an AF_UNIX socket then",
	},
	{
		name: "tcp/fill", line: "* drain", what: "",
		reason: "the descriptor has buffers of its own: how much fits is another number",
	},
	{
		name: "effects/time of the last", line: "b stamp", what: "result",
		reason: "SIOCGSTAMP tells of what has reached the descriptor last, received or not",
	},
	{
		line: "* get so:meminfo *", what: "result",
		reason: "SO_MEMINFO counts what the stack holds, not what has reached the descriptor",
	},
	{
		name: "effects/not sent", what: "s poll; result",
		reason: "TCP_CORK has no effect",
	},
	{
		name: "sources/two members; sources/closed", line: "o recv 9; x send x to mc:7000",
		reason: "a datagram socket that was closed is found closed by the next datagram, or within a second",
	},
	{
		name: "segments/received whole", line: "b recv 9", what: "result",
		reason: "what options add to a datagram is decided when it reaches the descriptor, not when it is received",
	},
	{
		line: "* so:zerocopy*; * so:timestamping*", what: "result", usock: "ENOTSUP", kernel: "ok",
		reason: "SO_ZEROCOPY and times of what a socket sends are EOPNOTSUPP: poll does not show what is in the queue of errors alone",
	},
	{
		name: "options/* so:zerocopy; options/* so:timestamping", line: "* get so:*", what: "result",
		reason: "and so they read as before",
	},
	{
		name: "effects/bytes left to read", line: "c send q oob; s recv 9 oob",
		reason: "urgent data is AF_UNIX's, and its receive the kernel's",
	},
	{
		name:   "stamps/*; zerocopy/*; cmsg/tcp6 so:timestamp",
		reason: "times and completions: a stream's receives carry no control messages, and poll does not show what is in the queue of errors alone",
	},
}
