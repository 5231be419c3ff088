package oracle

// Prologues: a one-to-one listener, and an association made through it.
const (
	oneListening = "l = one!; l bind lo:7000; l listen 5;"
	onePair      = oneListening + "c = one!; c connect lo:7000; s = accept l; c connect lo:7000;"
	// oneWaiting is an attempt that stays in COOKIE-WAIT: nobody answers there.
	oneWaiting = "c = one!; c connect net:7000;"
	abortive   = "so:linger 0100000000000000"
)

var oneCases = []sequence{
	{name: "fresh", lines: `a = one!; a send x; a recv 1; a recv 0; a send ""; a shutdown rd; a shutdown wr; a shutdown rdwr; a get so:error; b = accept a; a queued
		a get so:type; a get so:protocol; a get so:domain; a get so:acceptconn; a connect lo:9; a get so:error; a close`},
	{name: "connect", lines: onePair + `c get so:error; c connect lo:7000; s send hello; c recv 3 peek; c recv 10; c recv 1; c get sctp:status; c close; s recv 1; s recv 1; s send x`},
	{name: "refused", lines: `a = one!; a connect lo:9; a connect lo:9; a get so:error; a send x; a recv 1; b = one!; b connect lo:9; b get so:error; b get so:error; b connect lo:9; b recv 1; b recv 1; b send x; d = one!; d connect lo:9; d send x; d send x; d connect lo:9; d shutdown wr`},
	{name: "refused, then another", lines: oneListening + `a = one!; a connect lo:9; a get so:error; a connect lo:7000; a connect lo:7000; s = accept l; a send x; s recv 9`},
	{name: "refused, blocking", lines: `a = one!; a block on; a connect lo:9; a connect lo:9; a get so:error; a send x`},
	{name: "refused, then listen", lines: `a = one!; a connect lo:9; a get so:error; a listen 1; b = one!; b connect lo:a; x = accept a`},
	{name: "connect, blocking", lines: oneListening + `c = one!; c block on; c connect lo:7000; c connect lo:7000; s = accept l; c send x; s recv 1`},
	{name: "in progress", lines: oneWaiting + `c connect net:7000; c connect lo:9; c get so:error; c recv 1; c listen 1; c bind lo:1; d = accept c; c queued; c get sctp:status; c send x; c get sctp:status; c close`},
	{name: "in progress, shut down", lines: oneWaiting + `c shutdown rd; c recv 1; c shutdown wr; c connect net:7000; c get so:error; c shutdown rdwr; c send x`},
	{name: "in progress, shut down for writing", lines: oneWaiting + `c shutdown wr; c connect net:7000; c send x; c recv 1; c get so:error; c connect lo:9`},
	{name: "in progress, waiting is bounded", lines: `c = one!; c block on; c setx so:sndtimeo 00000000000000001027000000000000; c connect net:7000; c connect net:7000; c get so:error; c send x`},
	{name: "in progress, initmsg timeo", lines: `c = one!; c set sctp:initmsg attempts=1 timeo=100; c set sctp:rtoinfo initial=100 min=50 max=200; c connect net:7000; c await ERR; c get so:error; c get so:error; c connect net:7000`},
	{name: "unreachable", lines: `c = one!; c connect far:7000; c get so:error; c connect bc:7000; c connect mc:7000; c connect zero:7000; c connect class_e:7; c connect netbc:7; c connect lobc:7`},
	{name: "to itself", lines: `a = one!; a bind lo:7000; a connect lo:7000; a get so:error; a send x; a recv 1; b = one!; b bind lo:7001; b listen 1; b connect lo:7001; x = accept b`},
	{name: "to port zero", lines: `a = one!; a connect lo:0; b = one!; b connect any:7000; l = one!; l bind any:7000; l listen 1; c = one!; c connect any:7000; s = accept l`},
	{name: "dissolve", lines: onePair + `s send hello; c connect unspec; c recv 9; s recv 1; s send x; c connect unspec/2; c connect unix; c connect lo6:9; c connect lo:9/8; c connect lo:9/1; c connect lo:9/0; c connect lo:7000`},
	{name: "short names", lines: `a = one!; a connect lo:9/0; a connect lo:9/1; a connect lo:9/2; a connect lo:9/8; a connect lo:9/15; a connect family:99; a connect unix; a connect lo6:9; a connect unspec; a bind lo:7000/0; a bind lo:7000/1; a bind lo:7000/2; a bind lo:7000/8; a bind lo:7000/15; a bind lo:7000/128; b = one!; b bind family:99; b bind unix; b bind unspec; b bind lo6:7001; b bind lo:7001/130`},

	{name: "bind", lines: `a = one!; a bind lo:7000; a bind lo:7000; a bind lo:7001; a bind any:0; b = one!; b bind lo:7000; b bind any:7000; b bind lo2:7000; d = one!; d bind any:7000; d bind net:7000; e = one!; e bind far:7001; e bind mc:7001; e bind bc:7001; e bind own:0; e bind own:0`},
	{name: "bind low ports", lines: `a = one!; a bind lo:1; a bind lo:1023; b = one!; b bind any:80; d = one!; d bind lo:65535`},
	{name: "bind, reuse", lines: `a = one!; a set so:reuseaddr 1; a bind lo:7000; b = one!; b bind lo:7000; b set so:reuseaddr 1; b bind lo:7000; a listen 1; d = one!; d set so:reuseaddr 1; d bind lo:7000; b listen 1; a close; b listen 1`},
	{name: "bind, reuse port", lines: `a = one!; a set sctp:reuse_port 1; a bind lo:7000; b = one!; b set sctp:reuse_port 1; b bind lo:7000; a listen 1; b listen 1; d = one!; d bind lo:7000; e = one!; e set so:reuseport 1; e bind lo:7000; a get sctp:reuse_port; a set sctp:reuse_port 1; e set sctp:reuse_port/3 1; e set sctp:reuse_port 7; e get sctp:reuse_port`},
	{name: "bind beside many", lines: `a = one!; a bind lo:7000; b = many!; b bind lo:7000; b bind lo:7001; a listen 1; b listen 1; t = tcp; t bind lo:7000; u = udp; u bind lo:7000`},
	{name: "wildcard and specific", lines: `a = one!; a set so:reuseaddr 1; a bind any:7000; a listen 3; b = one!; b set so:reuseaddr 1; b bind lo:7000; b listen 3; c = one!; c connect lo:7000; x = accept a; x = accept b`},
	{name: "bound and connected", lines: oneListening + `c = one!; c bind lo2:7001; c connect lo:7000; s = accept l; c connect lo:7000; d = one!; d bind any:7002; d connect lo:7000; t = accept l; e = one!; e bind own:0; e connect lo:7000; u = accept l; s send x; c recv 1`},

	{name: "listen", lines: `a = one!; a listen 1; a listen 0; a listen -1; a get so:acceptconn; b = one!; b connect lo:a; x = accept a; a bind lo:7000; a connect lo:9; a send x; a recv 1; a shutdown rd; a shutdown wr; a shutdown rdwr; y = accept a`},
	{name: "listen zero unhashes", lines: oneListening + `l listen 0; c = one!; c connect lo:7000; c get so:error; l listen 2; d = one!; d connect lo:7000; x = accept l; l get so:acceptconn`},
	{name: "backlog", lines: `l = one!; l bind lo:7000; l listen 1; a = one!; a connect lo:7000; b = one!; b connect lo:7000; c = one!; c connect lo:7000; d = one!; d connect lo:7000; x = accept l; y = accept l; z = accept l; w = accept l; d get so:error`},
	{name: "listener is closed", lines: `l = one!; l bind lo:7000; l listen 3; a = one!; a connect lo:7000; l close; a recv 1; a get so:error; a send x; b = one!; b connect lo:7000; b get so:error`},
	{name: "peer is gone before accept", lines: `l = one!; l bind lo:7000; l listen 3; a = one!; a connect lo:7000; a send hello; a close; s = accept l; s recv 9; s recv 9; s get so:error; s send x`},
	{name: "peer aborts before accept", lines: `l = one!; l bind lo:7000; l listen 3; a = one!; a connect lo:7000; a send hello; a setx ` + abortive + `; a close; s = accept l; s recv 9; s recv 9; s get so:error; s send x`},
	{name: "accept on others", lines: `a = many!; x = accept a; a bind lo:7000; a listen 1; x = accept a; b = one!; x = accept b; b bind lo:7001; x = accept b; ` + `d = one!; d connect lo:7000; x = accept d`},
	{name: "inherited", lines: `l = one!; l bind lo:7000; l set sctp:nodelay 1; l set sctp:rtoinfo initial=2000 max=5000 min=500; l set sctp:associnfo maxrxt=5 cookie_life=30000; l set sctp:initmsg out=5 in=7; l set sctp:maxseg value=900; l set sctp:delayed_sack delay=100 freq=3; l set sctp:disable_fragments 1
		l set sctp:recvrcvinfo 1; l set sctp:recvnxtinfo 1; l set sctp:events data=1 assoc=1; l set sctp:adaptation 77; l set sctp:context value=9; l set sctp:interleave 1; l set sctp:pd_point 500; l set sctp:max_burst value=7; l set sctp:mapped 0; l set sctp:default_sndinfo sid=2 ppid=5; l set so:rcvbuf 5000; l set so:sndbuf 6000; l setx so:linger 0100000003000000; l set so:keepalive 1; l set ip:tos 16; l set ip:ttl 9; l set so:reuseaddr 1
		l listen 3; c = one!; c connect lo:7000; s = accept l; s get sctp:nodelay; s get sctp:rtoinfo; s get sctp:associnfo; s get sctp:initmsg; s get sctp:maxseg; s get sctp:delayed_sack; s get sctp:disable_fragments; s get sctp:recvrcvinfo; s get sctp:recvnxtinfo; s get sctp:events; s get sctp:adaptation; s get sctp:context; s get sctp:interleave; s get sctp:pd_point; s get sctp:max_burst; s get sctp:mapped
		s get sctp:default_sndinfo; s get so:rcvbuf; s get so:sndbuf; s get so:linger 8; s get so:keepalive; s get ip:tos; s get ip:ttl; s get so:reuseaddr; s get sctp:status; c get sctp:status; s get so:acceptconn; s recv 100`},

	{name: "half close", lines: onePair + `c shutdown wr; c send x; s recv 1; s recv 1; s send later; c recv 9; s get so:error; s shutdown wr; c recv 9; s recv 1; c shutdown wr; c shutdown rd; c shutdown rdwr; s shutdown rdwr; c get sctp:status`},
	{name: "shut down for reading", lines: onePair + `c shutdown rd; c recv 1; s send hello; c recv 9; c recv 9; c send x; s recv 9; s close; c recv 1; c send x`},
	{name: "shut down at all", lines: onePair + `c shutdown rdwr; c recv 1; c send x; s recv 1; s send x; c recv 1; s send y; s get so:error; s close`},
	{name: "shut down with data", lines: onePair + `c send one; c send two; c shutdown wr; s recv 9; s recv 9; s recv 9; s recv 9; s send x; c recv 1; c recv 1`},
	{name: "shut down both", lines: onePair + `c shutdown wr; s shutdown wr; c recv 1; s recv 1; c send x; s send x; c connect lo:7000`},
	{name: "shut down how", lines: onePair + `c shutdown 3; c shutdown -1; c shutdown 99; c shutdown 0; c shutdown 0; c shutdown 1; c shutdown 1; c shutdown 2; d = one!; d shutdown 3`},
	{name: "after shutdown, again", lines: onePair + `c shutdown wr; s recv 1; c recv 1; c connect lo:7000; c connect lo:7000; t = accept l; c send x; t recv 1; c listen 2`},
	{name: "close, data unread", lines: onePair + `c send hello; s close; c recv 1; c recv 1; c send x; c send x; c get so:error; c shutdown wr`},
	{name: "close, data unread, error asked", lines: onePair + `c send hello; s close; c get so:error; c get so:error; c recv 1; c send x; c connect lo:7000`},
	{name: "abort by linger", lines: onePair + `s setx ` + abortive + `; s close; c recv 1; c recv 1; c get so:error; c send x; c connect lo:7000; c connect lo:7000; t = accept l; c send x; t recv 1`},
	{name: "abort by linger, data there", lines: onePair + `s send hello; s setx ` + abortive + `; s close; c recv 9; c recv 1; c recv 1; c send x; c get so:error`},
	{name: "abort by flag", lines: onePair + `s send bye with sndrcv flags=4; c recv 1; c recv 1; s recv 1; s send x; s close`},
	{name: "abort by flag, nothing", lines: onePair + `s send "" with sndrcv flags=4; c recv 1; c recv 1; s recv 1; s send x; s close`},
	{name: "eof by flag", lines: onePair + `s send bye with sndrcv flags=0x200; s send "" with sndrcv flags=0x200; c recv 9; c recv 9; c send x; s recv 1; s send x; s close`},
	{name: "eof by message flag", lines: onePair + `s send "" fin; c recv 9; s send x; s recv 1`},
	{name: "linger", lines: onePair + `s setx so:linger 0100000001000000; s get so:linger 8; s send x; s close; c recv 9; c recv 9; d = one!; d setx so:linger 01; d setx so:linger 0100000000000000; d close`},

	{name: "messages keep their ends", lines: onePair + `c send one; c send three; s recv 2; s recv 9; s recv 9; c send abcdef; s recv 2 peek; s recv 2 trunc; s recv 2; s recv 2; s recv 2; s recv 0; c send zz; s recv 0; s recv 0 peek; s recv 1 waitall; s recv 5 waitall`},
	{name: "flags", lines: onePair + `c send x oob; c send x more; c send x eor; c send x dontroute; c send x confirm; c send x dontwait; c send x fastopen; c send x zerocopy; s recv 1 oob; s recv 1 errqueue; s recv 9; s recv 9; s recv 9; s recv 9; s recv 9; s recv 9; c send ""; c send "" to lo:7000`},
	{name: "nagle", lines: `l = one; l bind lo:7000; l listen 5; c = one; c connect lo:7000; s = accept l; c send one; c send two; c send three; s recv 9; s recv 9; s await IN; s recv 9; s recv 9`},
	{name: "empty", lines: onePair + `c send ""; c send "" with sndinfo; s recv 1`},
	{name: "sizes", lines: onePair + `c sendn 1; s recv 10; c sendn 1000; s recv 2000; c sendn 60000; s recv 65536; c sendn 100000; s await IN; s recv 70000; s await IN; s recv 70000; c sendn 200000; s await IN; s recv 200001; c sendn 300000; c get so:sndbuf; s get so:rcvbuf`},
	{name: "send to", lines: onePair + `c send x to lo:7000; s recv 1; c send x to lo:9; c send x to lo2:7000; c send x to unix; c send x to lo6:7000; c send x to lo:7000/8; c send x to lo:7000/1; s recv 1; s recv 1; a = one!; a send x to lo:7000; t = accept l; t recv 1; a send y; t recv 1; b = one!; b send x to lo:9; b recv 1; b send y to lo:7000; u = accept l; u recv 9; l send x to lo:7000; l send x`},
	{name: "sendto by init", lines: oneListening + `a = one!; a send x to lo:7000 with init out=3 in=4 attempts=2 timeo=500; s = accept l; s get sctp:status; a get sctp:status; a get sctp:initmsg; a send y to lo:7000 with init out=3; a send z with init out=5; s recv 1; s recv 1`},
	{name: "streams", lines: onePair + `s set sctp:recvrcvinfo 1; s set sctp:events data=1; c send a with sndinfo sid=0; c send b with sndinfo sid=9 ppid=77 context=5; c send c with sndinfo sid=10; c send d with sndinfo sid=65535; c send e with sndinfo sid=9 flags=1; s recv 5; s recv 5; s recv 5; s recv 5`},
	{name: "initmsg", lines: `l = one!; l bind lo:7000; l set sctp:initmsg out=3 in=4; l listen 5; c = one!; c set sctp:initmsg out=20 in=2; c connect lo:7000; s = accept l; c get sctp:status; s get sctp:status; c send x with sndinfo sid=4; c send x with sndinfo sid=3; s send x with sndinfo sid=2; s send x with sndinfo sid=1; c get sctp:initmsg; s get sctp:initmsg`},
	{name: "fill", lines: onePair + `c fill; c send x; c queued; s drain; c await OUT; c send x`},
	{name: "queued", lines: onePair + `c send hello; s queued; c queued; c send you; s queued; s recv 2; s queued; s recv 9; s queued; l queued; d = one!; d queued; s unsent; c unsent`},
	{name: "buffers", lines: onePair + `c set so:rcvbuf 100; c get so:rcvbuf; c set so:sndbuf 100; c get so:sndbuf; c sendn 5000; c sendn 2000; c get sctp:status; s get sctp:status; c get sctp:associnfo; s get sctp:associnfo`},
	{name: "receive timeout", lines: onePair + `c block on; c setx so:rcvtimeo 00000000000000001027000000000000; c recv 1; s send ab; c recv 5; c recv 1; l block on; l setx so:rcvtimeo 00000000000000001027000000000000; x = accept l`},
	{name: "keepalive and others", lines: `a = one!; a set so:keepalive 1; a get so:keepalive; a set so:oobinline 1; a set so:broadcast 1; a get so:broadcast; a set so:priority 3; a get so:priority; a set so:rcvlowat 3; a get so:rcvlowat; a set tcp:nodelay 1; a get tcp:nodelay; a set ip:tos 0x10; a get ip:tos; a set ip:recvtos 1; a set ip:mtu_discover 2; a get ip:mtu_discover; a get ip:mtu; a set ip:recverr 1; a set ipv6:v6only 1; a set udp:cork 1`},
	{name: "ip options, connected", lines: onePair + `s set ip:pktinfo 1; s set ip:recvttl 1; s set ip:recvtos 1; s set so:timestamp 1; c set ip:tos 8; c send x; s recv 9; c get ip:mtu; c get ip:ttl; c set ip:ttl 3; c send y; s recv 9`},
	{name: "shutdown, blocked peers", lines: onePair + `c sendn 60000; c sendn 60000; c shutdown wr; c get sctp:status; s await IN; s recv 65536; s await IN; s recv 65536; s await RDHUP; s recv 1; c recv 1; c get sctp:status`},
	{name: "simultaneous", lines: `a = one!; a bind lo:7000; b = one!; b bind lo:7001; a connect lo:7001; b connect lo:7000; a get so:error; b get so:error`},
	{name: "restart of a port", lines: onePair + `c close; s close; d = one!; d bind lo:7001; d connect lo:7000; t = accept l; d setx ` + abortive + `; d close; d = one!; d bind lo:7001; d connect lo:7000; u = accept l; t recv 1; d send x; u recv 1`},
	{name: "debug names", lines: `a = one!; a set so:bindtodevice 1; a setx so:bindtodevice 6c6f00; a bind lo:7000; a listen 1; b = one!; b connect lo:7000; x = accept a; b get so:cookie; a get so:incoming_cpu 1`},
}

// oneStates are ways to bring a one-to-one socket x into a state, with a peer y where there is one.
var oneStates = []struct{ name, lines string }{
	{"fresh", "x = one!;"},
	{"bound", "x = one!; x bind lo:7001;"},
	{"listening", "x = one!; x bind lo:7001; x listen 2;"},
	{"listening with one", "x = one!; x bind lo:7001; x listen 2; y = one!; y connect lo:7001;"},
	{"COOKIE-WAIT", "x = one!; x connect net:7001;"},
	{"refused", "x = one!; x connect lo:9;"},
	{"refused and told", "x = one!; x connect lo:9; x get so:error;"},
	{"ESTABLISHED", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close;"},
	{"accepted", "l = one!; l bind lo:7000; l listen 2; y = one!; y connect lo:7000; x = accept l; l close;"},
	{"with data", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close; y send hello;"},
	{"closed by peer", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close; y close;"},
	{"closed by peer, data", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close; y send hello; y close;"},
	{"shut for writing", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close; x shutdown wr;"},
	{"SHUTDOWN-PENDING", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close; y set so:rcvbuf 256; x sendn 60000; x sendn 60000; x shutdown wr;"},
	{"aborted", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close; y setx " + abortive + "; y close;"},
	{"aborted and told", "l = one!; l bind lo:7000; l listen 2; x = one!; x connect lo:7000; y = accept l; l close; y setx " + abortive + "; y close; x recv 1;"},
}

// oneCalls are carried out in every state, each on a socket of its own.
var oneCalls = []string{
	"x bind lo:7005", "x listen 1", "x connect lo:9", "x connect unspec", "z = accept x", "x send w", "x recv 3",
	"x shutdown rd", "x shutdown wr", "x get so:error", "x get sctp:status", "x get sctp:laddrs", "x get sctp:paddrs",
	"x set sctp:connectx lo:9", "x set sctp:bindx_add lo2:7001", "x send w with sndrcv flags=4", "x send w with sndrcv flags=0x200", "x close",
}

// oneStateCases are every call in every state, and what the usual calls say after it.
func oneStateCases() []sequence {
	var out []sequence
	for _, st := range oneStates {
		for _, call := range oneCalls {
			out = append(out, sequence{name: st.name + ": " + call, lines: st.lines + call + "; x send v; x recv 9; x get so:error; x close"})
		}
	}
	return out
}
