package oracle

// Prologues: a one-to-many socket that others can connect to, and two with an association.
const (
	manyListening = "l = many!; l bind lo:7000; l listen 5;"
	manyPair      = manyListening + "c = many!; c connect lo:7000; c get sctp:assoc_ids; l get sctp:assoc_ids;"
	// allEvents are all but those of addresses, which come when their time has come.
	allEvents = "data=1 assoc=1 failure=1 error=1 shutdown=1 partial=1 adaptation=1 auth=1 dry=1 stream_reset=1 assoc_reset=1 stream_change=1 failure_event=1"
)

var manyCases = []sequence{
	{name: "fresh", lines: `a = many!; a send x; a recv 1; a recv 0; a send ""; a shutdown rd; a shutdown wr; a shutdown rdwr; a get so:error; b = accept a; a queued; a get so:type; a get so:protocol; a get so:acceptconn
		a get sctp:assoc_number; a get sctp:assoc_ids; a get sctp:status; a close`},
	{name: "implicit", lines: manyListening + `c = many!; c send hello to lo:7000; l recv 3 peek; l recv 9; l get sctp:assoc_number; l get sctp:assoc_ids; c get sctp:assoc_ids; c get sctp:status id=A2; l get sctp:status id=A1; l send back to lo:c; c recv 9; c recv 9; c send again to lo:7000; l recv 9`},
	{name: "implicit, refused", lines: `c = many!; c send hello to lo:9; c get so:error; c recv 9; c get sctp:assoc_number; c send hello to lo:9; c set sctp:events ` + allEvents + `; c send hello to lo:9; c recv 400; c recv 400; c recv 400; c recv 400`},
	{name: "implicit, nobody", lines: `c = many!; c set sctp:events ` + allEvents + `; c set sctp:rtoinfo initial=50 min=20 max=60; c set sctp:initmsg attempts=1; c send hello to net:7000; c get sctp:assoc_number; c await IN; c recv 400; c recv 400; c recv 400; c get sctp:assoc_number; c get so:error`},
	{name: "connect", lines: manyPair + `c connect lo:7000; c connect lo:7001; c get so:error; c get sctp:assoc_number; c send x; c send x with sndinfo id=A1; l recv 9; c send x with sndinfo id=A2; c send x with sndinfo id=777; l recv 9`},
	{name: "connect, blocking", lines: manyListening + `c = many!; c block on; c connect lo:7000; c connect lo:7000; c connect lo:9; c get sctp:assoc_number; c get sctp:assoc_ids; c send x to lo:7000; l recv 9`},
	{name: "connect to several", lines: manyListening + `k = many!; k bind lo:7001; k listen 1; c = many!; c connect lo:7000; c connect lo:7001; c get sctp:assoc_number; c get sctp:assoc_ids; c send one to lo:7000; c send two to lo:7001; l recv 9; k recv 9; c send a with sndinfo id=A1; c send b with sndinfo id=A2; l recv 9; k recv 9; c send all with sndinfo flags=0x40; l recv 9; k recv 9; c send all with sndinfo id=2; l recv 9`},
	{name: "not listening", lines: `l = many!; l bind lo:7000; c = many!; c connect lo:7000; c get so:error; c send x to lo:7000; c get so:error; c recv 1; l listen 1; c send x to lo:7000; l recv 1; l listen 0; l recv 1; d = many!; d send x to lo:7000; d get so:error; c send y to lo:7000; l recv 9`},
	{name: "bind", lines: `a = many!; a bind lo:7000; a bind lo:7000; a bind any:0; b = many!; b bind lo:7000; b bind any:7000; b bind lo2:7000; d = many!; d bind far:7001; d bind mc:7001; d bind own:0; d listen 1; d bind own:7005; e = many!; e listen 1; e listen 1; e listen 0`},
	{name: "bind, reuse", lines: `a = many!; a set so:reuseaddr 1; a bind lo:7000; b = many!; b set so:reuseaddr 1; b bind lo:7000; a listen 1; b listen 1; d = one!; d set so:reuseaddr 1; d bind lo:7000`},
	{name: "short names", lines: `a = many!; a connect lo:9/0; a connect lo:9/1; a connect lo:9/8; a connect lo:9/15; a connect unspec; a connect unix; a connect lo6:9; a send x to lo:9/0; a send x to lo:9/1; a send x to lo:9/8; a send x to unspec; a send x to unix; a send x to lo6:9; a bind lo:7000/8`},
	{name: "destinations", lines: `a = many!; a send x to far:7000; a send x to bc:7000; a send x to mc:7000; a send x to any:7000; a send x to lo:0; a send x to class_e:7; a connect bc:9; a connect mc:9; a connect any:9; a connect lo:0`},
	{name: "eof", lines: manyPair + `c send bye to lo:7000 with sndrcv flags=0x200; c send "" to lo:7000 with sndrcv flags=0x200; l recv 9; l get sctp:assoc_number; c get sctp:assoc_number; c send x with sndinfo id=A1; c send "" to lo:7000 with sndrcv flags=0x200; c send "" with sndinfo id=A1 flags=0x200; l recv 9`},
	{name: "eof, by message flag", lines: manyPair + `c send "" to lo:7000 fin; l recv 9; l get sctp:assoc_number; c get sctp:assoc_number`},
	{name: "abort", lines: manyPair + `c send bye to lo:7000 with sndrcv flags=4; l recv 9; l get sctp:assoc_number; c get sctp:assoc_number; c send "" to lo:7000 with sndrcv flags=4; c send "" with sndinfo id=A1 flags=4`},
	{name: "abort, by the other", lines: manyPair + `l send bye with sndinfo id=A2 flags=4; c recv 9; l get sctp:assoc_number; c get sctp:assoc_number; c get so:error; l get so:error`},
	{name: "eof of what is not there", lines: `c = many!; c send "" to lo:7000 with sndrcv flags=0x200; c send "" to lo:7000 with sndrcv flags=4; c send x to lo:7000 with sndrcv flags=4; c send x to lo:7000 with sndrcv flags=0x200; c send x to lo:7000 with sndrcv flags=0x204; c get sctp:assoc_number`},
	{name: "close", lines: manyPair + `c close; l recv 9; l get sctp:assoc_number; l send x with sndinfo id=A2; l send x to lo:7001`},
	{name: "close, data unread", lines: manyPair + `l send x with sndinfo id=A2; c set so:keepalive 1; c close; l recv 9; l get sctp:assoc_number; l get so:error`},
	{name: "close, several", lines: manyListening + `a = many!; a send x to lo:7000; b = many!; b send y to lo:7000; l get sctp:assoc_number; l close; a recv 1; b recv 1; a get sctp:assoc_number; a get so:error; b get so:error`},
	{name: "linger", lines: manyPair + `c setx ` + abortive + `; c close; l recv 9; l get sctp:assoc_number; l get so:error`},
	{name: "shutdown", lines: manyPair + `c shutdown wr; c shutdown rd; c shutdown rdwr; c send x to lo:7000; l recv 9; l shutdown wr`},
	{name: "accept", lines: manyPair + `x = accept l; x = accept c`},
	{name: "one beside many", lines: manyListening + `c = one!; c connect lo:7000; c send x; l recv 9; l get sctp:assoc_ids; l send y with sndinfo id=A1; c recv 9; c close; l get sctp:assoc_number; k = one!; k bind lo:7001; k listen 1; d = many!; d send x to lo:7001; s = accept k; s recv 9; s send back; d recv 9; d get sctp:assoc_number; s close; d get sctp:assoc_number; d recv 9`},
	{name: "receive", lines: manyPair + `c send abcdef to lo:7000; c send gh to lo:7000; l recv 2 peek; l recv 2; l recv 2 trunc; l recv 9; l recv 9; l recv 1; c send i to lo:7000; l recv 0; l recv 1 waitall; l recv 1 oob; l recv 1 errqueue`},
	{name: "pieces of two", lines: manyListening + `a = many!; a send abcd to lo:7000; b = many!; b send efgh to lo:7000; l recv 2; l recv 2; l recv 2; l recv 2; l recv 2`},
	{name: "fill", lines: manyPair + `c sendn 60000 to lo:7000; c sendn 60000 to lo:7000; c sendn 60000 to lo:7000; c sendn 60000 to lo:7000; c queued; l queued; l recv 65536; l recv 65536`},
	{name: "autoclose", lines: manyListening + `c = many!; c get sctp:autoclose; c set sctp:autoclose 1; c get sctp:autoclose; c set sctp:events ` + allEvents + `; c send x to lo:7000; c recv 400; c recv 400; c recv 400; c recv 400; l recv 9; c await IN; c recv 400; c recv 400; c get sctp:assoc_number; l get sctp:assoc_number; c set sctp:autoclose -1; c get sctp:autoclose; c set sctp:autoclose/3 1; c set sctp:autoclose 0`},
	{name: "without an association", lines: `c = many!; c send x with sndinfo id=0; c send x with sndinfo id=1; c send x with sndinfo id=2; c send x with sndinfo id=5; c send x to lo:9 with sndinfo id=777; c send x to lo:9 with sndrcv id=777`},
	{name: "both ways to say whom", lines: manyListening + `k = many!; k bind lo:7001; k listen 1; c = many!; c send a to lo:7000; c send b to lo:7001; c get sctp:assoc_ids; c send c to lo:7001 with sndinfo id=A1; c send d to lo:7001 with sndinfo flags=2 id=A1; l recv 9; l recv 9; l recv 9; k recv 9; k recv 9`},
	{name: "init", lines: manyListening + `c = many!; c send x to lo:7000 with init out=3 in=4; c get sctp:assoc_ids; c get sctp:status id=A1; l get sctp:assoc_ids; l get sctp:status id=A2; d = many!; d send x to lo:7000 with init out=3 with sndinfo sid=2; d send x to lo:7000 with sndinfo sid=3; e = many!; e send x to lo:7000 with init out=3 with sndinfo sid=3; e get sctp:assoc_number`},
	{name: "restart", lines: manyListening + `l set sctp:events ` + allEvents + `; c = many!; c bind lo:7001; c send x to lo:7000; l recv 400; l recv 400; l recv 400; l recv 400; c setx ` + abortive + `; c close; l recv 400; l recv 400; c = many!; c bind lo:7001; c send y to lo:7000; l recv 400; l recv 400; l recv 400; l recv 400; l recv 400`},
	{name: "collision", lines: `a = many!; a bind lo:7000; a listen 1; b = many!; b bind lo:7001; b listen 1; a set sctp:events data=1 assoc=1; b set sctp:events data=1 assoc=1; a send x to lo:7001; b send y to lo:7000; a recv 400; a recv 400; a recv 400; b recv 400; b recv 400; b recv 400; a get sctp:assoc_number; b get sctp:assoc_number`},
	{name: "to itself", lines: `a = many!; a bind lo:7000; a listen 1; a send x to lo:7000; a recv 9; a get sctp:assoc_number; a get so:error`},
	{name: "associnfo", lines: manyPair + `c get sctp:associnfo; c get sctp:associnfo id=A1; c set sctp:associnfo id=A1 maxrxt=3; c get sctp:associnfo id=A1; c get sctp:associnfo; c get sctp:rtoinfo id=A1; c get sctp:rtoinfo id=777; c get sctp:rtoinfo id=2; c get sctp:rtoinfo id=1`},
}

// manyStates are ways to bring a one-to-many socket x into a state, with a peer y where there is one. It knows the
// association as A1.
var manyStates = []struct{ name, lines string }{
	{"fresh", "x = many!;"},
	{"bound", "x = many!; x bind lo:7001;"},
	{"listening", "x = many!; x bind lo:7001; x listen 2;"},
	{"COOKIE-WAIT", "x = many!; x connect net:7001; x get sctp:assoc_ids;"},
	{"refused", "x = many!; x connect lo:9;"},
	{"ESTABLISHED", "y = many!; y bind lo:7000; y listen 2; x = many!; x connect lo:7000; x get sctp:assoc_ids;"},
	{"accepted", "x = many!; x bind lo:7001; x listen 2; y = many!; y connect lo:7001; x get sctp:assoc_ids;"},
	{"with data", "x = many!; x bind lo:7001; x listen 2; y = many!; y send hello to lo:7001; x get sctp:assoc_ids;"},
	{"closed by peer", "y = many!; y bind lo:7000; y listen 2; x = many!; x connect lo:7000; x get sctp:assoc_ids; y close;"},
	{"aborted by peer", "y = many!; y bind lo:7000; y listen 2; x = many!; x connect lo:7000; x get sctp:assoc_ids; y setx " + abortive + "; y close;"},
	{"ended", `y = many!; y bind lo:7000; y listen 2; x = many!; x connect lo:7000; x get sctp:assoc_ids; x send "" with sndinfo id=A1 flags=0x200;`},
}

var manyCalls = []string{
	"x bind lo:7005", "x listen 1", "x connect lo:7000", "x connect unspec", "z = accept x", "z = peeloff x A1", "x send w", "x send w to lo:9", "x send w with sndinfo id=A1",
	`x send "" with sndinfo id=A1 flags=0x200`, `x send w with sndinfo id=A1 flags=4`, "x recv 3", "x shutdown wr", "x get sctp:status id=A1",
	"x get sctp:laddrs id=A1", "x get sctp:paddrs id=A1", "x set sctp:connectx lo:9", "x set sctp:bindx_add lo2:7001", "x close",
}

// manyStateCases are every call in every state, and what the usual calls say after it.
func manyStateCases() []sequence {
	var out []sequence
	for _, st := range manyStates {
		for _, call := range manyCalls {
			out = append(out, sequence{name: st.name + ": " + call, lines: st.lines + call + "; x send v with sndinfo id=A1; x recv 9; x get so:error; x get sctp:assoc_number; x close"})
		}
	}
	return out
}
