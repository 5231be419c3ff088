package oracle

// left are scenarios that are left out: package socket's own part in waiting differs
// in them.
var left = []string{
	// MSG_ERRQUEUE never waits but on AF_UNIX; MSG_OOB waits on UDP, which ignores it.
	"receive/tcp*/recv 5 errqueue/*", "receive/udp*/recv 5 errqueue/*", "receive/udp*/recv 5 oob/*",
	"timeout/tcp*/recv 5 errqueue", "timeout/udp*/recv 5 errqueue", "timeout/udp*/recv 5 oob",
	// MSG_WAITALL ends at the urgent byte.
	"receive/tcp*waitall/*urgent",
	// A receive or send that has carried bytes drops an error of AF_UNIX, and keeps none
	// that was not pending.
	"receive/unix stream*waitall/data, close, unread", "receive/unix stream*/low *: recv 5/data, close, unread",
	"send/peer closes, part sent/unix stream", "send/own shutdown wr, part sent/tcp",
	// O_NONBLOCK is what it was when the call began.
	"set non-blocking/*all", "set non-blocking/accept, shutdown", "set non-blocking/connect", "set non-blocking/send",
	// A connect that waits does not begin anew.
	"connect/nobody, shutdown*", "connect/nobody, dissolved", "connect/nobody, two callers", "connect/nobody, non-blocking before",
	"connect/own close",
	// poll waits on a non-blocking socket.
	"poll/non-blocking*",
}
