package oracle

// A timeout of a second, in the kernel's layout: long enough that what is a matter of less
// comes in time.
const secondTimeo = " 01000000000000000000000000000000"

// Prologues for what a call holds to.
const (
	emptyUnix = "c = pair us s; c set so:sndbuf 16384; c block on;"
	inline    = pair + "c set so:oobinline 1; c block on;"
	rawEnds   = "c = raw; c bind lo:0; s = raw; s bind lo:0; s connect lo:0;"
)

// heldTable are scenarios of what a call that waits holds to from its begin on, of what it
// is not about any more, and of what it leaves to the next.
var heldTable = []sequence{
	// O_NONBLOCK and times that are set meanwhile.
	{name: "set non-blocking/unix datagram", lines: records[3].lines + "; c block on; > c recv 5; > c recv 5 peek; c block off; s send ab; s send cd"},
	{name: "set non-blocking/low water, unix stream", lines: "c = pair us s; c set so:rcvlowat 3; c block on; > c recv 5; c block off; s send ab; s send c"},
	{name: "set non-blocking/peek, all", lines: pair + "c block on; > c recv 5 peek waitall; c block off; s send ab; s send cdef; c recv 9"},
	{name: "set non-blocking/send, unix stream", lines: fullUnix + "> c sendn 100000; c block off; s empty"},
	{name: "set non-blocking/send, unix datagram", lines: fullDatagrams + "> c send ab; c block off; c send x; s recv 9; s empty"},
	{name: "set non-blocking/connect, unix stream", lines: fullListener + "> c connect un:l; c block off; x = accept l; y = accept l"},
	{name: "set non-blocking/poll", lines: pair + "c block on; > c poll in; c block off; s send ab"},
	{name: "set non-blocking/close", lines: fullTCP + "c " + lingers + "; > c close; s empty; s empty"},
	{name: "set blocking/all", lines: pair + "s send ab; c recv 5 waitall; c block on; > c recv 5 waitall; s send cdefg"},
	{name: "timeout set/all", lines: pair + "c block on; > c recv 5 waitall; s send a; c setx so:rcvtimeo" + shortTimeo + "; s send b; wait; s send cde"},
	{name: "timeout set/send", lines: fullTCP + "> c sendn 100000; c setx so:sndtimeo" + shortTimeo + "; s pump 2000; wait; s empty"},
	{name: "timeout set/unix stream", lines: "c = pair us s; c set so:rcvlowat 3; c block on; > c recv 5; s send a; c setx so:rcvtimeo" + shortTimeo + "; s send b; wait; s send c"},
	{name: "timeout taken off/tcp", lines: pair + "c setx so:rcvtimeo" + shortTimeo + "; c block on; > c recv 5; c setx so:rcvtimeo 00000000000000000000000000000000; wait"},
	{name: "timeout made negative/udp", lines: records[0].lines + "; c block on; > c recv 5; c setx so:rcvtimeo" + noTimeo + "; s send ab"},
	{name: "low water raised/tcp", lines: pair + "c block on; > c recv 5; c set so:rcvlowat 4; s send abcd"},
	{name: "low water raised/unix stream", lines: "c = pair us s; c set so:rcvlowat 2; c block on; > c recv 5; s send a; c set so:rcvlowat 4; s send b"},

	// Time that is for all of a call, or for each part of it.
	{name: "time/receive/tcp", lines: pair + "c setx so:rcvtimeo" + secondTimeo + "; c block on; > c recv 5 waitall; wait 600; s send a; wait 800; s send bcde"},
	{name: "time/receive/unix stream", lines: "c = pair us s; c setx so:rcvtimeo" + secondTimeo + "; c block on; > c recv 5 waitall; wait 600; s send a; wait 800; s send bcde"},
	{name: "time/send/tcp", lines: fullTCP + "c setx so:sndtimeo" + secondTimeo + "; > c sendn 300000; wait 600; s pump 20000; wait 800; s empty"},
	{name: "time/send/unix stream", lines: fullUnix + "c setx so:sndtimeo" + secondTimeo + "; > c sendn 600000; wait 600; s pump 70000; wait 600; s pump 70000; wait 600; s pump 70000; wait; s empty"},
	{name: "time/connect, then send", lines: blackholed + "c setx so:sndtimeo" + shortTimeo + "; c block on; >> c connect net:7000; >> c send ab; c shutdown rdwr; c get so:error"},

	// Connections that are dissolved, and what comes after them.
	{name: "anew/receive", lines: listening + "c = tcp; c connect lo:7000; s = accept l; c connect lo:7000; c block on; > c recv 5; > c recv 5; c connect unspec; c get so:error; c block off; c connect lo:7000; x = accept l; c connect lo:7000; x send ab; c recv 9"},
	{name: "anew/receive, some came", lines: pair + "c block on; > c recv 5 waitall; s send ab; c connect unspec; c get so:error; c recv 9 dontwait"},
	{name: "anew/peek", lines: pair + "c block on; > c recv 5 peek waitall; s send ab; c connect unspec; c get so:error"},
	{name: "anew/send", lines: fullTCP + "> c sendn 100000; > c sendn 100000; c connect unspec; c get so:error; c send x dontwait"},
	{name: "anew/send, part sent", lines: emptyTCP + "> c sendn 1000000; c connect unspec; c get so:error; c send x dontwait"},
	{name: "anew/poll", lines: pair + "c block on; > c poll in; > c poll rdhup; > c poll; c connect unspec; c get so:error"},
	{name: "anew/connect, refused then", lines: blackholed + "c block on; > c connect net:7000; c shutdown rdwr; c block off; c connect lo:9; c connect lo:9; c get so:error"},
	{name: "anew/connect, made then", lines: listening + blackholed + "c block on; > c connect net:7000; c connect unspec; c get so:error; c block off; c connect lo:7000; c connect lo:7000; s = accept l; c send ab; s recv 9"},
	{name: "anew/connect, three callers", lines: blackholed + "c block on; > c connect net:7000; > c connect net:7000; > c connect net:7000; c shutdown wr; c get so:error; c connect lo:9"},
	{name: "anew/connect, refused, two callers", lines: blackholed + "c block on; > c connect net:7000; > c connect net:7000; c connect unspec; c get so:error"},
	{name: "anew/connect, receiver", lines: blackholed + "c connect net:7000; c block on; > c recv 5; > c connect net:7000; c connect unspec; c get so:error"},
	{name: "anew/connect, polled", lines: blackholed + "c block on; > c connect net:7000; > c poll out; > c poll in; c connect unspec; c get so:error"},
	{name: "anew/connect, shut down, one receives", lines: blackholed + "c connect net:7000; c block on; > c recv 5; c shutdown rdwr; c get so:error; c recv 5"},
	{name: "anew/connect, shut down, one sends", lines: blackholed + "c connect net:7000; c block on; > c send ab; c shutdown rdwr; c get so:error; c recv 5"},
	{name: "anew/connect, shut down, one connects", lines: blackholed + "c connect net:7000; c block on; > c connect net:7000; c shutdown rdwr; c get so:error; c recv 5"},
	{name: "anew/connect, shut down, receiver and sender", races: true, lines: blackholed + "c connect net:7000; c block on; > c recv 5; > c send ab; > c connect net:7000; c shutdown rdwr; c get so:error"},
	{name: "anew/accept, then listening", lines: listening + "l block on; > x = accept l; l connect unspec; l listen 5; c = tcp; c connect lo:7000"},
	{name: "anew/udp", lines: records[0].lines + "; c block on; > c recv 5; > c recv 5; c connect unspec; c connect lo:7002; s send ab"},
	{name: "anew/unix datagram", lines: records[3].lines + "; d = ud; d bind un:d; c connect un:s; c block on; > c recv 5; c connect un:d; d send ab to un:c"},

	// poll, whatever the socket says of waiting.
	{name: "poll/non-blocking/udp", lines: records[0].lines + "; > c poll in; > c poll pri; s send ab; c shutdown rdwr"},
	{name: "poll/non-blocking/listener", lines: listening + "> l poll in; > l poll; c = tcp; c connect lo:7000; x = accept l; l shutdown rd"},
	{name: "poll/non-blocking/connect", lines: blackholed + "c connect net:7000; > c poll out; > c poll in; c shutdown rdwr"},
	{name: "poll/non-blocking/unix stream", lines: "c = pair us s; > c poll in; > c poll rdhup; s send ab; s close"},
	{name: "poll/non-blocking/full, unix stream", lines: "c = pair us s; c set so:sndbuf 16384; c stuff; > c poll out; s empty"},
	{name: "poll/non-blocking/unix datagram", lines: records[3].lines + "; > c poll in; s send ab; > c poll in"},
	{name: "poll/timeouts", lines: pair + "c setx so:rcvtimeo" + shortTimeo + "; c setx so:sndtimeo" + shortTimeo + "; c block on; > c poll in; > c poll pri; wait; s send ab"},
	{name: "poll/negative timeouts", lines: pair + "c setx so:rcvtimeo" + noTimeo + "; c setx so:sndtimeo" + noTimeo + "; c block on; > c poll in; > c poll out; s send ab"},

	// MSG_ERRQUEUE never waits, and MSG_OOB where it means nothing, or is not there yet.
	{name: "flags/error queue", lines: "u = udp6; p = ping; r = raw; q = raw6; p bind lo:77; u block on; p block on; r block on; q block on; > u recv 5 errqueue; > p recv 5 errqueue; > r recv 5 errqueue; > q recv 5 errqueue; > u recv 5 errqueue waitall; > r recv 5 errqueue peek"},
	{name: "flags/error queue, unix", lines: records[3].lines + "; c block on; > c recv 5 errqueue; s send ab; x = pair uq y; x block on; > x recv 5 errqueue; y send ab; z = pair us w; z block on; > z recv 5 errqueue; w send ab"},
	{name: "flags/error queue, listener", lines: listening + "l block on; > l recv 5 errqueue; a = tcp; a block on; > a recv 5 errqueue; > a recv 5"},
	{name: "flags/error queue, filled", lines: "c = udp; c set ip:recverr 1; c connect lo:9; c block on; c send x; > c recv 5 errqueue; > c recv 5 errqueue; c get so:error"},
	{name: "flags/error queue, time", lines: pair + "c setx so:rcvtimeo" + secondTimeo + "; c block on; > c recv 5 errqueue"},
	{name: "flags/urgent, udp6", lines: "c = udp6; c bind lo6:7001; s = udp6; s bind lo6:7002; s connect lo6:7001; c block on; > c recv 5 oob; s send ab; s send x oob; s send cd oob; c recv 5 oob peek; c recv 9"},
	{name: "flags/urgent, udp", lines: records[0].lines + "; c block on; > c recv 5 oob waitall; s send ab; s send x oob; s send x to lo:7001 oob; s send ab; c recv 9 oob dontwait"},
	{name: "flags/urgent, raw", lines: rawEnds + "c block on; > c recv 99 oob; s send x oob; q = raw6; q block on; > q recv 5 oob; q send x to lo6:0 oob; p = ping; p bind lo:77; p block on; > p recv 9 oob"},
	{name: "flags/urgent, unix datagrams", lines: records[3].lines + "; c block on; > c recv 5 oob; s send x oob; s send x oob to un:c; x = pair uq y; x block on; > x recv 5 oob; y send x oob"},

	// The urgent byte, at which a receive ends that has had some.
	{name: "mark/all, in parts", lines: pair + "c block on; > c recv 9 waitall; s send ab; s send cd; s send x oob; s send ef; c recv 9 dontwait"},
	{name: "mark/all, read before", lines: pair + "s send x oob; c recv 1 oob; c block on; > c recv 5 waitall; s send ab; s send cde"},
	{name: "mark/all, at once", lines: pair + "s send x oob; c block on; > c recv 5 waitall; s send ab; s send cde"},
	{name: "mark/all, second", lines: pair + "s send x oob; c block on; > c recv 5 waitall; s send ab; s send y oob; s send cde; c recv 9 dontwait; c recv 1 oob"},
	{name: "mark/all, inline", lines: inline + "> c recv 9 waitall; s send ab; s send cx oob; s send de; c recv 9 dontwait; c recv 9 dontwait"},
	{name: "mark/all, inline, at once", lines: inline + "> c recv 5 waitall; s send x oob; s send ab; s send cde"},
	{name: "mark/all, inline, low water", lines: inline + "c set so:rcvlowat 3; > c recv 5; s send ax oob; s send b; c recv 9 dontwait"},
	{name: "mark/low water", lines: pair + "c set so:rcvlowat 3; c block on; > c recv 5; s send ax oob; s send bcd; c recv 9 dontwait"},
	{name: "mark/low water, at once", lines: pair + "c set so:rcvlowat 3; c block on; > c recv 5; s send x oob; s send ab; s send c"},
	{name: "mark/peek, all", lines: pair + "c block on; > c recv 9 peek waitall; s send ab; s send cx oob; s send de; c recv 9 dontwait; c recv 9 dontwait"},
	{name: "mark/peek, all, at once", lines: pair + "s send x oob; c block on; > c recv 5 peek waitall; s send ab; s send cde; c recv 9 dontwait"},
	{name: "mark/peek, all, inline", lines: inline + "> c recv 9 peek waitall; s send ab; s send cx oob; s send de; c recv 9 dontwait"},
	{name: "mark/peek offset, all", lines: pair + "c set so:peek_off 1; c block on; > c recv 4 peek waitall; s send ab; s send cde; c get so:peek_off; c recv 9 dontwait"},
	{name: "mark/discarded, all", lines: pair + "c block on; > c recv 9 waitall trunc; s send ab; s send cx oob; s send de; c recv 9 dontwait"},
	{name: "mark/no bytes", lines: pair + "c block on; > c recv 0 waitall; s send x oob; > c recv 0"},
	{name: "mark/announced", lines: "l = tcp; l set so:rcvbuf 2304; l bind lo:7000; l listen 5; c = tcp; c connect lo:7000; s = accept l; c connect lo:7000; c stuff; c send x oob; s block on; > s recv 1 oob; > s recv 1 oob peek"},
	{name: "mark/left to the next", lines: pair + "c block on; > c recv 4 waitall; s send abcd; s send x oob; > c recv 4 waitall; s send efgh"},
	{name: "mark/time", lines: pair + "c setx so:rcvtimeo" + longTimeo + "; c block on; > c recv 9 waitall; s send x oob; s send ab; wait; c recv 1 oob"},

	// Errors that come when some bytes were carried: the next call has them, or nobody.
	{name: "left/receive, reset/tcp", lines: pair + "c block on; > c recv 5 waitall; s send ab; s " + resets + "; s close; c recv 9 dontwait; c recv 9 dontwait; c send x dontwait"},
	{name: "left/receive, reset, asked", lines: pair + "c block on; > c recv 5 waitall; s send ab; s " + resets + "; s close; c get so:error; c recv 9 dontwait; c send x dontwait"},
	{name: "left/receive, reset, sent", lines: pair + "c block on; > c recv 5 waitall; s send ab; s " + resets + "; s close; c send x dontwait; c send x dontwait; c recv 9 dontwait"},
	{name: "left/peek, reset/tcp", lines: pair + "c block on; > c recv 5 peek waitall; s send ab; s " + resets + "; s close; c recv 9 dontwait; c recv 9 dontwait"},
	{name: "left/low water, reset/tcp", lines: pair + "c set so:rcvlowat 3; c block on; > c recv 5; s send ab; s " + resets + "; s close; c recv 9 dontwait"},
	{name: "left/low water, FIN/tcp", lines: pair + "c set so:rcvlowat 3; c block on; > c recv 5; s send ab; s shutdown wr; c recv 9 dontwait; s close"},
	{name: "left/send, reset, part sent/tcp", lines: emptyTCP + "> c sendn 1000000; s " + resets + "; s close; c recv 1 dontwait; c send x dontwait; c get so:error"},
	{name: "left/send, reset, part sent, asked", lines: emptyTCP + "> c sendn 1000000; s " + resets + "; s close; c get so:error; c send x dontwait"},
	{name: "left/send, user timeout, part sent", lines: emptyTCP + "c set tcp:user_timeout 300; > c sendn 1000000; wait; c send x dontwait; c get so:error"},
	{name: "left/send, own shutdown, part sent/unix stream", lines: emptyUnix + "> c sendn 1000000; c shutdown wr; c get so:error; c send x dontwait; s empty"},
	{name: "left/send, peer closes, part sent/unix stream", lines: emptyUnix + "> c sendn 1000000; s close; c send x dontwait; c get so:error"},
	{name: "left/send, peer shuts down rd, part sent/unix stream", lines: emptyUnix + "> c sendn 1000000; s shutdown rd; c get so:error; c send x dontwait"},
	{name: "left/send, peer closes, two callers/unix stream", lines: fullUnix + "> c sendn 1000; > c sendn 1000; s close; c get so:error"},
	{name: "left/two receivers, reset/unix stream", lines: "c = pair us s; c block on; c send x; > c recv 5 waitall; s send ab; > c recv 5; s close; c get so:error"},
	{name: "left/send, nothing fits/unix datagram", lines: fullDatagrams + "> c send ab; s close; c get so:error"},

	// Several writers, whom SO_PASSCRED tells apart.
	{name: "credentials/all", lines: "c = pair us s; c set so:passcred 1; c block on; > c recv 5 waitall; s send ab; s send cde"},
	{name: "credentials/all, end", lines: "c = pair us s; c set so:passcred 1; c block on; > c recv 5 waitall; s send ab; s close; c recv 5"},
	{name: "credentials/all, turned on", lines: "c = pair us s; s send ab; c set so:passcred 1; c block on; > c recv 5 waitall; s send cde; c recv 9 dontwait"},
	{name: "credentials/low water", lines: "c = pair us s; s send a; c set so:passcred 1; c set so:rcvlowat 3; c block on; > c recv 5; s send b; s send cd; c recv 9 dontwait"},

	// What is told beside the bytes, of all of them.
	{name: "told/bytes left", lines: pair + "c set tcp:inq 1; c block on; > c recv 5 waitall; s send ab; s send cdefgh; > c recv 5 waitall; s close"},
	{name: "told/bytes left, time", lines: pair + "c set tcp:inq 1; c setx so:rcvtimeo" + longTimeo + "; c block on; > c recv 5 waitall; s send ab; wait"},
	{name: "told/bytes left, low water", lines: pair + "c set tcp:inq 1; c set so:rcvlowat 3; c block on; > c recv 5; s send ab; s send cdefgh"},
	{name: "told/sender", lines: streams[2].lines + "; s block on; > s recv 5 waitall; c send ab; c send cde; c block on; > c recv 5 waitall; s send ab; s close"},
}
