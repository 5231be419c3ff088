package oracle

// Prologues: a listener, and a connection made through it.
const (
	listening = "l = tcp; l bind lo:7000; l listen 5;"
	pair      = listening + "c = tcp; c connect lo:7000; s = accept l; c connect lo:7000;"
	// blackhole is an attempt that stays in SYN-SENT: nobody answers there.
	blackhole = "c = tcp; c connect net:7000;"
)

var tcpCases = []sequence{
	{name: "fresh", lines: `a = tcp; a send x; a recv 1; a recv 0; a send ""; a shutdown rd; a shutdown wr; a shutdown rdwr; a get so:error
		b = accept a; a queued; a listen 3; a listen 1; a connect lo:9; a get so:acceptconn; a close`},
	{name: "connect", lines: pair + `c get so:error; c connect lo:7000; s send hello; c recv 3 peek; c recv 10; c recv 1
		c send world; s recv 2; s queued; s recv 10; s close; c recv 1; c send x; c recv 1; c send x; c send x`},
	{name: "refused", lines: `a = tcp; a connect lo:9; a connect lo:9; a connect lo:9; a get so:error; a send x; a recv 1; b = tcp; b connect lo:9; b get so:error; b get so:error; b connect lo:9; b recv 1; b recv 1; b send x
		d = tcp; d connect lo:9; d send x; d send x; d connect lo:9; e = tcp; e connect lo:9; e shutdown rdwr; e connect lo:9; f = tcp; f connect lo:9; f listen 1; g = accept f`},
	{name: "refused, then another", lines: listening + `a = tcp; a connect lo:9; a get so:error; a connect lo:7000; a connect lo:7000; s = accept l; a send x; s recv 9`},
	{name: "refused, blocking", lines: `a = tcp; a block on; a connect lo:9; a connect lo:9; a get so:error; a send x`},
	{name: "finished", lines: listening + `c = tcp; c connect lo:7000; c finish lo:7000; c finish lo:7000; c connect lo:7000; s = accept l; s finish lo:7000; s close; c finish lo:7000; c recv 1; c shutdown rdwr; c finish lo:7000; c connect lo:7000`},
	{name: "finished, refused", lines: `a = tcp; a connect lo:9; a finish lo:9; a get so:error; a connect lo:9; a finish lo:9; a shutdown rd
		b = tcp; b connect lo:9; b get so:error; b finish lo:9; b connect lo:9; b recv 1; b finish lo:9; b get so:error; d = tcp; d connect lo:9; d send x; d finish lo:9; e = tcp; e connect lo:9; e shutdown rdwr; e finish lo:9; e finish lo:9; e get so:error`},
	{name: "finished, reset since", lines: listening + `c = tcp; c connect lo:7000; s = accept l; s setx so:linger 0100000000000000; s close; c finish lo:7000; c get so:error; d = tcp; d connect lo:7000; t = accept l; d send x; t recv 1; t close; d finish lo:7000; d recv 1; d connect lo:7000`},
	{name: "in progress, finished", lines: blackhole + `c finish net:7000; c finish net:7000; c get so:error; c connect unspec; c get so:error; d = tcp; d connect net:7001; d shutdown wr; d get so:error`},
	{name: "errors queued, finished", lines: `a = tcp; a set ip:recverr 1; a connect lo:9; a finish lo:9; a get so:error; l = tcp; l bind lo:7000; l listen 1; b = tcp; b set ip:recverr 1; b connect lo:7000; b finish lo:7000; b connect lo:7000`},
	{name: "bound and refused", lines: `a = tcp; a bind lo:7001; a connect lo:9; a connect lo:9; a connect lo:9; a bind lo:7002; b = tcp; b bind any:7003; b connect lo:9; b get so:error; b listen 1`},
	{name: "in progress", lines: blackhole + `c connect net:7000; c connect lo:9; c get so:error; c send x; c recv 1; c listen 1; c bind lo:1; d = accept c; c queued; c recv 1 oob; c send x oob; c recv 0; c send ""; c close`},
	{name: "in progress, shut down", lines: blackhole + `c shutdown rd; c recv 1; c shutdown wr; c connect net:7000; c connect net:7000; c get so:error; c shutdown rdwr`},
	{name: "in progress, shut down for writing", lines: blackhole + `c shutdown wr; c connect net:7000; c send x; c recv 1; c get so:error; c connect lo:9`},
	{name: "in progress, shut down at all", lines: blackhole + `c shutdown rdwr; c connect net:7000; c recv 1; c send x; c get so:error`},
	{name: "in progress, dissolved", lines: blackhole + `c connect unspec; c connect unspec; c send x; c recv 1; c get so:error; c bind lo:7001; c listen 1`},
	{name: "in progress, options", lines: blackhole + `c get tcp:maxseg; c set so:keepalive 1; c set tcp:nodelay 1; c get so:acceptconn; c get ip:mtu; c set ip:ttl 9; c set ipv6:v6only 1`},
	{name: "in progress, waiting is bounded", lines: `c = tcp; c block on; c setx so:sndtimeo 00000000000000001027000000000000; c connect net:7000; c connect net:7000; c send x; c get so:error`},
	{name: "receive timeout", lines: pair + `c block on; c setx so:rcvtimeo 00000000000000001027000000000000; c recv 1; c recv 5 waitall; s send ab; c recv 5 waitall; c recv 1; l block on; l setx so:rcvtimeo 00000000000000001027000000000000; x = accept l`},
	{name: "connect twice at once", lines: listening + `c = tcp; c connect lo:7000; c connect lo:7000; c connect lo:7000; c connect lo:9; c connect unspec; c connect lo:7000; c connect lo:7000; s = accept l; t = accept l; s recv 1; t recv 1`},
	{name: "connect, blocking", lines: listening + `c = tcp; c block on; c connect lo:7000; c connect lo:7000; s = accept l; c send x; s recv 1`},
	{name: "dissolve", lines: pair + `s send hello; c connect unspec; c recv 9; s recv 1; s send x; s recv 1; c connect lo:7000; c connect lo:7000; t = accept l; c send x; t recv 1; c bind lo:7003`},
	{name: "dissolve, data unread", lines: pair + `c send hello; s queued; c connect unspec; s recv 3; s recv 3; s get so:error; s send x; c get so:error`},
	{name: "dissolve, bound", lines: listening + `c = tcp; c bind lo:7005; c connect lo:7000; c connect lo:7000; c connect unspec; c connect lo:7000; c connect lo:7000; c connect unspec; c listen 2`},
	{name: "dissolve a listener", lines: listening + `c = tcp; c connect lo:7000; l connect unspec; c recv 1; l listen 1; d = tcp; d connect lo:7000; l get so:acceptconn`},
	{name: "dissolve nothing", lines: `a = tcp; a connect unspec; a bind lo:7000; a connect unspec; a connect unspec/2; a listen 1`},
	{name: "dissolve after FIN", lines: pair + `s close; c connect unspec; c connect unspec; c connect lo:7000; c connect lo:7000; t = accept l; c shutdown wr; c connect unspec; t recv 1; t recv 1`},
	{name: "dissolve after error", lines: pair + `c send x; s close; c connect unspec; c get so:error; c recv 1; c connect lo:7000`},
	{name: "self", lines: `a = tcp; a bind lo:7000; a connect lo:7000; a connect lo:7000; a send hello; a recv 9; a queued; a shutdown wr; a recv 9; a send x; a close; b = tcp; b bind lo:7000`},
	{name: "self, both queues", lines: `a = tcp; a bind any:7000; a connect lo:7000; a connect lo:7000; a send hello; a queued; a shutdown rd; a recv 9; a recv 9; a send x; a recv 1`},
	{name: "wildcard peer", lines: `l = tcp; l bind any:7000; l listen 5; c = tcp; c connect any:7000; s = accept l; d = tcp; d connect lo2:7000; t = accept l; e = tcp; e bind lo2:0; e connect any:7000; u = accept l; f = tcp; f connect own:7000; v = accept l; v send x; f recv 1`},
	{name: "odd peers", lines: `a = tcp; a connect bc:7000; a connect mc:7000; a connect far:7000; a connect netbc:7000; a connect lobc:7000; a connect class_e:7000; a connect zero:7000; a connect lo:0; a connect unix; a connect lo:7000/15; a connect lo:7000/2; a connect lo:7000/0; a connect lo6:7000; a connect m:7000; a connect family:99; a get so:error`},
	{name: "peer is on the bound address's side only", lines: `a = tcp; a bind lo:0; a connect own:9; a get so:error; b = tcp; b bind own:0; b connect lo:9; b connect net:9; c = tcp; c bind lo:0; c connect net:9; c connect far:9`},

	{name: "half close", lines: pair + `c shutdown wr; c send x; s recv 1; s recv 1; s send later; c recv 9; s get so:error; s shutdown wr; c recv 9; s recv 1; s send x; c shutdown wr; c shutdown rd; c shutdown rdwr; s shutdown rdwr`},
	{name: "half close of the server", lines: pair + `s shutdown wr; c send x; s recv 9; c recv 9; c shutdown wr; s recv 1; c recv 1; s close; c close`},
	{name: "both half close", lines: pair + `c shutdown wr; s shutdown wr; c recv 1; s recv 1; c send x; s send x; c shutdown rd; s shutdown rdwr; c get so:error`},
	{name: "shut down for reading", lines: pair + `c shutdown rd; c recv 1; s send hello; c recv 9; c recv 9; c send x; s recv 9; s close; c recv 1; c send x`},
	{name: "shut down for reading, data there", lines: pair + `s send hello; c shutdown rd; c recv 2; c recv 9; c recv 9; s send more; c recv 9; c shutdown wr; s recv 1; s send x`},
	{name: "shut down at all", lines: pair + `c shutdown rdwr; c recv 1; c send x; s recv 1; s send x; c recv 1; s send y; s get so:error; s close`},
	{name: "shut down how", lines: pair + `c shutdown 3; c shutdown -1; c shutdown 99; c shutdown 0; c shutdown 0; c shutdown 1; c shutdown 1; c shutdown 2; d = tcp; d shutdown 3`},
	{name: "shut down, then FIN", lines: pair + `c shutdown wr; s close; c recv 1; c shutdown rd; c shutdown wr; c shutdown rdwr; c connect lo:7000; c send x`},

	{name: "reset, data unread", lines: pair + `c send hello; s close; c recv 1; c recv 1; c send x; c send x; c get so:error; c shutdown wr`},
	{name: "reset, seen by error", lines: pair + `c send hello; s close; c get so:error; c get so:error; c recv 1; c send x; c connect lo:7000; c connect lo:7000; c connect lo:7000`},
	{name: "reset, seen by send", lines: pair + `c send hello; s close; c send x; c send x; c recv 1; c get so:error`},
	{name: "reset, with data to read", lines: pair + `c send hello; s send world; s close; c recv 2; c recv 9; c recv 9; c recv 9`},
	{name: "reset, with data to read, peeked", lines: pair + `c send hello; s send world; s close; c recv 2 peek; c queued; c get so:error; c recv 9; c recv 9`},
	{name: "reset by linger", lines: pair + `s setx so:linger 0100000000000000; s send hello; s close; c recv 9; c recv 9; c send x; c get so:error`},
	{name: "reset by linger after FIN", lines: pair + `c shutdown wr; s setx so:linger 0100000000000000; s close; c recv 9; c recv 9; c send x`},
	{name: "linger, nothing to send", lines: pair + `s setx so:linger 0100000005000000; s close; c recv 9; c close`},
	{name: "linger off", lines: pair + `s setx so:linger 0000000005000000; s get so:linger 8; s close; c recv 9`},
	{name: "close with FIN before", lines: pair + `c close; s recv 1; s send x; s recv 1; s send x; s get so:error`},
	{name: "write to the closed", lines: pair + `s close; c send a; c send b; c recv 1; c get so:error; c shutdown rdwr`},
	{name: "write to the closed, seen by recv", lines: pair + `s close; c send a; c recv 1; c recv 1; c get so:error; c send x`},
	{name: "write to the closed, seen by error", lines: pair + `s close; c send a; c get so:error; c recv 1; c send b`},
	{name: "unread data then FIN", lines: pair + `s send hello; s close; c queued; c recv 2; c send x; c recv 9; c recv 9; c get so:error`},
	{name: "unread data, shut for writing", lines: pair + `s send hello; s shutdown wr; c send more; s close; c recv 2; c recv 9; c recv 9`},

	{name: "peek", lines: pair + `s send hello; s send world; c recv 3 peek; c recv 99 peek; c recv 5; c recv 99 peek; c recv 0; c recv 0 peek; c recv 99; c recv 1 peek; s close; c recv 1 peek; c recv 1`},
	{name: "peek offset", lines: pair + `c get so:peek_off; c set so:peek_off 0; c get so:peek_off; s send hello; s send world; c recv 3 peek; c recv 4 peek; c recv 9 peek; c recv 9 peek; c get so:peek_off; c recv 4; c get so:peek_off; c recv 9 peek; c set so:peek_off 2; c recv 2 peek trunc; c recv 9 peek; c recv 99; c get so:peek_off; c recv 1 peek; c set so:peek_off 3; s send ab; c recv 9 peek; s close; c recv 9 peek; c recv 9; c get so:peek_off; c recv 9 peek; l set so:peek_off 4; d = tcp; d connect lo:7000; t = accept l; t get so:peek_off; d send abcdef; t recv 9 peek; t set so:peek_off -1; t recv 9 peek`},
	{name: "peek offset, urgent", lines: pair + `c set so:peek_off 0; s send ab; s send cde oob; s send fgh; c recv 3 peek; c recv 9 peek; c recv 9 peek; c recv 9 peek; c get so:peek_off`},
	{name: "truncate", lines: pair + `s send hello; c recv 3 trunc; c recv 9; s send abc; c recv 9 trunc; c recv 1 trunc; s send x; c recv 1 peek trunc; c recv 1`},
	{name: "wait for all", lines: pair + `s send hello; c recv 9 waitall; c recv 1 waitall; s send ab; c recv 2 waitall; s send ab; s close; c recv 9 waitall; c recv 9 waitall`},
	{name: "zero lengths", lines: pair + `c send ""; s recv 0; s recv 1; c send x; s recv 0; s recv 1; s close; c recv 0; c send ""; c recv 0; c send x; c send ""`},
	{name: "sendto with address", lines: pair + `c send x to lo:9; c send y to unix; c send z to lo6:9; s recv 9; d = tcp; d send x to lo:7000; d recv 1`},
	{name: "flags on send", lines: pair + `c send a more; s recv 9; c send b; s recv 9; c send c eor; s recv 9; c send d dontroute; s recv 9; c send e confirm; s recv 9; c send f dontwait; s recv 9; c send g trunc; c send h errqueue; s recv 9`},
	{name: "flags on recv", lines: pair + `s send abc; c recv 1 dontroute; c recv 1 errqueue; c recv 1 dontwait; c recv 1 eor; c recv 1 confirm`},
	{name: "urgent", lines: pair + `c send x oob; s recv 1 oob; s recv 1 oob; s recv 9; c send abc oob; s recv 9; s recv 9; s recv 1 oob peek; s recv 0 oob; s recv 1 oob; s recv 9; c send d; s recv 9`},
	{name: "urgent inline", lines: pair + `s set so:oobinline 1; c send ab oob; s recv 1 oob; s recv 9; s recv 9; c send cd; s recv 9; c send x oob; s set so:oobinline 0; s recv 1; s recv 1 oob`},
	{name: "urgent twice", lines: pair + `c send abc oob; c send def oob; s recv 1 oob; s recv 9; s recv 9; s recv 9; s recv 1 oob`},
	{name: "urgent skipped", lines: pair + `c send abc oob; c send def; s recv 9; s recv 9; s recv 9; s recv 1 oob`},
	{name: "urgent and FIN", lines: pair + `c send a oob; c close; s recv 9; s recv 1 oob; s recv 1; s recv 1 oob`},
	{name: "urgent in other states", lines: `a = tcp; a recv 1 oob; a send x oob; l = tcp; l listen 1; l recv 1 oob; l send x oob;` + pairOn("7001") + `s close; c recv 1 oob; c send x oob; c recv 1 oob; c recv 1`},
	{name: "low water", lines: pair + `c set so:rcvlowat 5; s send ab; c recv 1; s send cdef; c recv 9; s send g; s close; c get so:rcvlowat; c recv 9`},
	{name: "fill", lines: pair + `c fill; c send x; s drain; c send x; s drain; c shutdown wr; s drain`},
	{name: "fill and close", lines: pair + `c fill; s close; c send x; c recv 1; c send x`},
	{name: "fill and read off", lines: pair + `c fill; s recv 1; s shutdown rd; s recv 1; s close; c get so:error`},
	{name: "large", lines: pair + `c sendn 100000; s recv 200000 waitall; s sendn 30000; c recv 10000; c recv 10000; c queued; c recv 100000`},
	{name: "queues", lines: pair + `c queued; c send hello; c queued; s queued; s recv 2; s queued; s close; c queued; l queued; a = tcp; a queued`},
	{name: "accepted and closed first", lines: listening + `c = tcp; c connect lo:7000; c send hello; c close; s = accept l; s recv 2; s recv 9; s recv 9; s send x; s send x; s get so:error`},
	{name: "accepted after reset", lines: listening + `c = tcp; c connect lo:7000; c setx so:linger 0100000000000000; c close; s = accept l; s recv 1; s recv 1; s send x; s get so:error; t = accept l`},
	{name: "accepted after data and reset", lines: listening + `c = tcp; c connect lo:7000; c send hello; c setx so:linger 0100000000000000; c close; s = accept l; s get so:error; s recv 2; s recv 9; s recv 9; s send x`},
	{name: "shut down after reset", lines: pair + `c send x; s close; c shutdown rd; c shutdown wr; c get so:error; c shutdown rdwr`},
	{name: "listen when connected", lines: pair + `c listen 1; c get so:error; c send x; s recv 1; c close; s listen 1; s close`},
	{name: "listen after all", lines: pair + `s close; c close; c = tcp; c connect lo:9; c get so:error; c listen 2; d = tcp; d connect @c; e = accept c`},
	{name: "connect when bound to a name in use", lines: pair + `a = tcp; a set so:reuseaddr 1; a bind lo:c; a connect lo:7000`},
	{name: "simultaneous open", lines: `a = tcp; a bind lo:7001; b = tcp; b bind lo:7002; a connect lo:7002; b connect lo:7001; a get so:error; a connect lo:7002`},
	{name: "TIME-WAIT again", lines: listening + `c = tcp; c bind lo:7001; c connect lo:7000; s = accept l; c close; s close; d = tcp; d set so:reuseaddr 1; d bind lo:7001; d connect lo:7000; t = accept l; d send x; t recv 1`},
	{name: "CLOSE-WAIT sends", lines: pair + `s shutdown wr; c recv 1; c send a; c send b; s recv 9; c close; s recv 9; s recv 9; s send x`},
	{name: "FIN-WAIT-2 and reset", lines: pair + `c shutdown wr; s recv 1; s setx so:linger 0100000000000000; s close; c recv 1; c recv 1; c send x; c get so:error`},
	{name: "closed peer of a self-closed", lines: pair + `c shutdown wr; s close; c send x; c recv 1; c connect lo:7000; c connect unspec; c connect lo:7000; c connect lo:7000`},
	{name: "fast open", lines: listening + `c = tcp; c send hello fastopen; c send hello to lo:7000 fastopen; c connect lo:7000; s = accept l; s recv 9; c send x; s recv 9; d = tcp; d send x to lo:9 fastopen; d get so:error; c send y fastopen to lo:7000; s recv 9`},
	{name: "error queue", lines: pair + `c recv 9 errqueue; c set ip:recverr 1; c recv 9 errqueue; a = tcp; a set ip:recverr 1; a connect lo:9; a recv 9 errqueue; a get so:error`},
	{name: "cork", lines: pair + `c set tcp:cork 1; c send a; s recv 9; c send b; s recv 9; c set tcp:cork 0; s recv 9; c set tcp:cork 1; c send c; c set tcp:nodelay 1; s recv 9; c set tcp:nodelay 0; c send d; c close; s recv 9; s recv 9`},
	{name: "cork, and more that an acknowledgment lets go", lines: pair + `s set tcp:quickack 0; c send a; s recv 9; c send b more; s recv 9; s send x; s recv 9; s set tcp:quickack 0; c send d; s recv 9; c set tcp:cork 1; c send e; s recv 9; s send y; s recv 9; c set tcp:cork 0; s recv 9; c send f more; c send g; s recv 9; c send h more; c set tcp:nodelay 1; s recv 9; c send i more; s recv 9; c shutdown wr; s recv 9`},
	{name: "ttl and the rest", lines: pair + `s get ip:ttl; s set ip:ttl 5; s get ip:ttl; c send x; s recv 1; c get ip:mtu; c get tcp:maxseg; s get tcp:maxseg; c get ip:mtu_discover; s get so:reuseaddr`},
}

// pairOn is pair with another port for the listener, which is called k.
func pairOn(port string) string {
	return "k = tcp; k bind lo:" + port + "; k listen 5; c = tcp; c connect lo:" + port + "; s = accept k; c connect lo:" + port + ";"
}

var listenCases = []sequence{
	{name: "unbound", lines: `a = tcp; a listen 0; a listen 5; a listen -1; a listen 100000; a get so:acceptconn; a get so:error; a recv 1; a send x; a connect lo:9; a bind lo:1; b = tcp6; b listen 1; c = udp; c listen 1; d = accept c`},
	{name: "shut down", lines: listening + `c = tcp; c connect lo:7000; l shutdown wr; s = accept l; l shutdown rd; d = tcp; d connect lo:7000; d get so:error; l shutdown rd; x = accept l; l listen 1; e = tcp; e connect lo:7000; f = accept l`},
	{name: "shut down with pending", lines: listening + `c = tcp; c connect lo:7000; c send x; l shutdown rdwr; c recv 1; c get so:error; s = accept l; l get so:acceptconn; l connect lo:9; l get so:error; l bind lo:7001`},
	{name: "shut down unbound", lines: `a = tcp; a listen 1; a shutdown rd; a bind lo:7001; a listen 1; a shutdown rdwr; a listen 2`},
	{name: "closed with pending", lines: listening + `c = tcp; c connect lo:7000; c connect lo:7000; c send hello; d = tcp; d connect lo:7000; l close; c recv 1; c recv 1; c send x; d get so:error; d recv 1; e = tcp; e connect lo:7000; e get so:error; f = tcp; f bind lo:7000`},
	{name: "closed with accepted", lines: pair + `l close; c send x; s recv 1; d = tcp; d connect lo:7000; d get so:error; s close; c recv 1`},
	{name: "backlog 0", lines: `l = tcp; l bind lo:7000; l listen 0; a = tcp; a connect lo:7000; a connect lo:7000; b = tcp; b connect lo:7000; b connect lo:7000; s = accept l; t = accept l; b get so:error; a send x; s recv 1`},
	{name: "backlog 1", lines: `l = tcp; l bind lo:7000; l listen 1; a = tcp; a connect lo:7000; b = tcp; b connect lo:7000; c = tcp; c connect lo:7000; c connect lo:7000; c send x; s = accept l; t = accept l; u = accept l; c get so:error`},
	{name: "backlog raised", lines: `l = tcp; l bind lo:7000; l listen 0; a = tcp; a connect lo:7000; l listen 5; b = tcp; b connect lo:7000; c = tcp; c connect lo:7000; b connect lo:7000; c connect lo:7000; s = accept l; t = accept l; u = accept l; v = accept l`},
	{name: "order", lines: listening + `a = tcp; a bind lo:7001; a connect lo:7000; b = tcp; b bind lo:7002; b connect lo:7000; c = tcp; c bind lo:7003; c connect lo:7000; b close; x = accept l; y = accept l; z = accept l; w = accept l; y recv 1`},
	{name: "wildcard and specific", lines: `a = tcp; a set so:reuseaddr 1; a bind any:7000; b = tcp; b set so:reuseaddr 1; b bind lo:7000; a listen 1; b listen 1; b close; b = tcp; b set so:reuseport 1; b bind lo:7000; c = tcp; c connect lo:7000; x = accept a; d = tcp; d connect lo2:7000; y = accept a`},
	{name: "specific wins", lines: `a = tcp; a set so:reuseport 1; a bind any:7000; a listen 3; b = tcp; b set so:reuseport 1; b bind lo:7000; b listen 3; c = tcp; c connect lo:7000; x = accept a; x = accept b; d = tcp; d connect lo2:7000; y = accept b; y = accept a`},
	{name: "dual stack and four", lines: `a = tcp6; a set so:reuseport 1; a bind any6:7000; a listen 3; b = tcp; b set so:reuseport 1; b bind any:7000; b listen 3; c = tcp; c connect lo:7000; x = accept a; x = accept b; d = tcp6; d connect lo6:7000; y = accept b; y = accept a; e = tcp6; e connect m:7000; z = accept a; z = accept b`},
	{name: "inherited", lines: `l = tcp; l set so:keepalive 1; l set tcp:nodelay 1; l set so:rcvbuf 5000; l set so:sndbuf 6000; l set ip:ttl 9; l set ip:tos 16; l setx so:linger 0100000003000000; l set so:reuseaddr 1; l set so:oobinline 1
		l set tcp:keepidle 7; l set tcp:keepintvl 8; l set tcp:keepcnt 3; l set tcp:user_timeout 900; l set so:priority 3; l set so:rcvlowat 3; l set so:broadcast 1; l set ip:recvttl 1; l setx so:rcvtimeo 01000000000000000000000000000000; l set tcp:cork 1; l set tcp:linger2 5; l set tcp:maxseg 900; l set tcp:defer_accept 0; l set tcp:window_clamp 9000
		l set so:timestamp 1; l set so:mark 5; l set tcp:notsent_lowat 1000; l set ip:mtu_discover 2; l set so:rxq_ovfl 1; l set so:no_check 1; l set so:dontroute 1; l set so:debug 1; l set so:reuseport 1; l set tcp:syncnt 2; l setx tcp:congestion 72656e6f; l set ip:freebind 1; l set ip:bind_no_port 1; l set ip:minttl 1
		l bind lo:7000; l listen 1; c = tcp; c connect lo:7000; s = accept l
		s get so:keepalive; s get tcp:nodelay; s get so:rcvbuf; s get so:sndbuf; s get ip:ttl; s get ip:tos; s get so:linger 8; s get so:reuseaddr; s get so:oobinline; s get tcp:keepidle; s get tcp:keepintvl; s get tcp:keepcnt; s get tcp:user_timeout; s get so:priority; s get so:rcvlowat; s get so:broadcast
		s get ip:recvttl; s get so:rcvtimeo 16; s get tcp:cork; s get tcp:linger2; s get tcp:maxseg; s get tcp:window_clamp; s get so:timestamp; s get so:mark; s get tcp:notsent_lowat; s get ip:mtu_discover; s get so:rxq_ovfl; s get so:no_check; s get so:dontroute; s get so:debug; s get so:reuseport; s get tcp:syncnt; s get tcp:congestion 16; s get ip:freebind; s get ip:bind_no_port; s get ip:minttl; s get so:acceptconn; s get so:type; s get so:protocol; s get so:domain; c get tcp:maxseg`},
	{name: "option set after", lines: listening + `c = tcp; c connect lo:7000; l set tcp:nodelay 1; l set so:keepalive 1; s = accept l; s get tcp:nodelay; s get so:keepalive; l set tcp:maxseg 500; d = tcp; d connect lo:7000; t = accept l; t get tcp:maxseg; d get tcp:maxseg`},
	{name: "deferred", lines: `l = tcp; l set tcp:defer_accept 1; l get tcp:defer_accept; l bind lo:7000; l listen 3; c = tcp; c connect lo:7000; s = accept l; c send x; s = accept l; s recv 1; c recv 1`},
	{name: "listener has no peer", lines: listening + `l recv 1; l recv 1 peek; l send x; l send x to lo:9; l shutdown wr; l connect lo:9; l get tcp:maxseg; l get ip:mtu`},
	{name: "accept on others", lines: `a = udp; x = accept a; b = tcp; x = accept b; b bind lo:7000; x = accept b; c = ping; x = accept c; d = raw; x = accept d; d listen 1; c listen 1;` + pairOn("7001") + `x = accept c; x = accept s`},
	{name: "relisten on the port", lines: pair + `l close; a = tcp; a set so:reuseaddr 1; a bind lo:7000; a listen 1; b = tcp; b connect lo:7000; x = accept a; c send q; s recv 1`},
	{name: "bound twice over", lines: `a = tcp; a set so:reuseaddr 1; a bind lo:7000; b = tcp; b set so:reuseaddr 1; b bind lo:7000; b listen 1; a listen 1; a connect lo:9; a connect lo:9; b close; a listen 1`},
}

// tcpStates are ways to bring a socket x into a state, with a peer y where there is
// one.
var tcpStates = []struct{ name, lines string }{
	{"fresh", "x = tcp;"},
	{"bound", "x = tcp; x bind lo:7001;"},
	{"listening", "x = tcp; x bind lo:7001; x listen 2;"},
	{"listening with one", "x = tcp; x bind lo:7001; x listen 2; y = tcp; y connect lo:7001;"},
	{"SYN-SENT", "x = tcp; x connect net:7001;"},
	{"refused", "x = tcp; x connect lo:9;"},
	{"refused and told", "x = tcp; x connect lo:9; x get so:error;"},
	{"connected unseen", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; l close;"},
	{"ESTABLISHED", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close;"},
	{"accepted", "l = tcp; l bind lo:7000; l listen 2; y = tcp; y connect lo:7000; x = accept l; l close;"},
	{"with data", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y send hello;"},
	{"CLOSE-WAIT", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y shutdown wr;"},
	{"CLOSE-WAIT, peer gone", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y close;"},
	{"CLOSE-WAIT, data", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y send hello; y close;"},
	{"FIN-WAIT-2", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; x shutdown wr;"},
	{"TIME-WAIT", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; x shutdown wr; y shutdown wr;"},
	{"LAST-ACK done", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y shutdown wr; x shutdown wr;"},
	{"shut for reading", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; x shutdown rd;"},
	{"shut both", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; x shutdown rdwr;"},
	{"reset", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y setx so:linger 0100000000000000; y close;"},
	{"reset and told", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y setx so:linger 0100000000000000; y close; x recv 1;"},
	{"reset, with data", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y send hello; y setx so:linger 0100000000000000; y close;"},
	{"EPIPE", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; y close; x send q;"},
	{"dissolved", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; x connect unspec;"},
	{"full", "l = tcp; l bind lo:7000; l listen 2; x = tcp; x connect lo:7000; y = accept l; x connect lo:7000; l close; x fill;"},
	{"shut listener", "x = tcp; x bind lo:7001; x listen 2; x shutdown rd;"},
}

// tcpCalls are carried out in every state, each on a socket of its own.
var tcpCalls = []string{
	"x bind lo:7005", "x bind any:0", "x listen 1", "x connect lo:9", "x connect lo:7000", "x connect net:7001", "x connect unspec", "x connect unix", "x connect lo6:9",
	"z = accept x", "x send w", `x send ""`, "x send w to lo:9", "x send w oob", "x send w more", "x recv 3", "x recv 0", "x recv 3 peek", "x recv 9 waitall", "x recv 3 trunc", "x recv 1 oob", "x recv 9 errqueue",
	"x shutdown rd", "x shutdown wr", "x shutdown rdwr", "x queued", "x get so:error", "x get so:acceptconn", "x get tcp:maxseg", "x get ip:mtu", "x set tcp:maxseg 700", "x set so:keepalive 1",
	"x set so:rcvbuf 9000", "x set ipv6:v6only 1", "x get tcp:keepidle", "x set tcp:cork 1", "x set tcp:nodelay 1", "x set tcp:quickack 0", "x set so:reuseaddr 1", "x set so:reuseport 1", "x set tcp:window_clamp 5000", "x set tcp:window_clamp 0", "x set ip:ttl 3", "x setx tcp:congestion 72656e6f", "x set tcp:defer_accept 3", "x set tcp:user_timeout 5", "x set so:oobinline 1", "x set so:bindtoifindex 1", "x set tcp:fastopen 5", "x set tcp:fastopen_connect 1", "x close",
}

// tcpStateCases are every call in every state, and what the usual calls say after
// it.
func tcpStateCases() []sequence {
	var out []sequence
	for _, st := range tcpStates {
		for _, call := range tcpCalls {
			out = append(out, sequence{name: st.name + ": " + call, lines: st.lines + call + "; x send v; x recv 9; x get so:error; x shutdown wr; x recv 9; x close"})
		}
	}
	return out
}
