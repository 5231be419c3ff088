package oracle

import (
	"fmt"
	"strings"
)

// uPair is two UDP sockets, a connected to b.
const uPair = "b = udp; b bind lo:7001; a = udp; a bind lo:7000; a connect lo:7001;"

var udpCases = []sequence{
	{name: "fresh", lines: `a = udp; a send x; a recv 1; a send ""; a queued; a listen 1; b = accept a; a shutdown rd; a shutdown wr; a get so:error; a send x to lo:9; a recv 1; a connect unspec; a close`},
	{name: "plain", lines: `a = udp; a bind lo:7000; b = udp; b send hello to lo:7000; b send "" to lo:7000; b sendn 100 to lo:7000; a queued; a recv 3; a queued; a recv 5; a queued; a recv 50 trunc; a recv 1; a queued; b queued; b send x to lo:7000; a recv 0; a recv 1; b send abc to lo:7000; a recv 1 peek; a recv 1 peek trunc; a recv 9; b send q to lo:7000; a recv 0 peek; a recv 0 trunc`},
	{name: "connected", lines: uPair + `a send x; b recv 9; b send y to lo:7000; a recv 9; c = udp; c send z to lo:7000; a recv 9; a send w to @c; c recv 9; a connect lo:7002; b send z to lo:7000; a recv 9; a connect unspec; b send v to lo:7000; a recv 9; a send x; a recv 1`},
	{name: "connected both", lines: uPair + `b connect lo:7000; a send x; b recv 9; b connect lo:9; a send y; b recv 9; a get so:error; a send z; a recv 1`},
	{name: "connect drops nothing", lines: `a = udp; a bind lo:7000; b = udp; b send x to lo:7000; a connect lo:9; a recv 9; a get so:error`},
	{name: "refused", lines: `a = udp; a connect lo:9; a send x; a recv 1; a recv 1; a send x; a send x; a send x; a get so:error; a send x; a get so:error; a get so:error; a connect lo:8; a send x; a connect unspec; a recv 1`},
	{name: "refused, not connected", lines: `a = udp; a send x to lo:9; a recv 1; a get so:error; a set ip:recverr 1; a send x to lo:9; a get so:error; a recv 9 errqueue; a send x to lo:9; a send y to lo:9; a recv 9; a recv 9 errqueue; a recv 9 errqueue; a recv 9 errqueue`},
	{name: "refused, sendto connected", lines: `a = udp; a connect lo:9; a send x to lo:8; a get so:error; a recv 1; b = udp; b bind lo:7000; a send x to lo:7000; b recv 1; b connect lo:9; a send x to lo:7000; a get so:error; a recv 1`},
	{name: "refused, v6", lines: `a = udp6; a connect lo6:9; a send x; a recv 1; a set ipv6:recverr 1; a send x; a recv 9; a recv 9 errqueue; a recv 9 errqueue; b = udp6; b set ip:recverr 1; b connect m:9; b send x; b recv 9 errqueue; b get so:error; c = udp6; c set ipv6:recverr 1; c send hello to m:9; c recv 2 errqueue; c recv 9 errqueue; d = udp6; d set ip:recverr 1; d set ipv6:recverr 1; d send hello to m:9; d recv 9 errqueue`},
	{name: "error queue", lines: `a = udp; a set ip:recverr 1; a connect lo:9; a send hello; a recv 9 errqueue; a recv 9 errqueue; a send x; a send y; a get so:error; a recv 9 errqueue peek; a recv 9 errqueue; a set ip:recverr 0; a recv 1 errqueue; a get ip:recverr`},
	{name: "shut down", lines: uPair + `a shutdown rd; a recv 1; b send x to lo:7000; a recv 9; a recv 9; a send y; b recv 9; a shutdown wr; a send x; a send x to lo:7001; b recv 1; a get so:error; a connect unspec; a send x to lo:7001; a recv 1`},
	{name: "shut down for writing", lines: uPair + `a shutdown wr; a send x; b send y to lo:7000; a recv 9; a recv 9; a shutdown rd; a recv 9`},
	{name: "shut down, data there", lines: uPair + `b send y to lo:7000; a shutdown rd; a recv 9; a recv 9; a shutdown rdwr; a recv 9`},
	{name: "shut down, not connected", lines: `a = udp; a bind lo:7000; a shutdown rd; a recv 1; a shutdown wr; a send x to lo:9; a shutdown rdwr; a connect lo:9; a send x; a recv 1; a shutdown 5`},
	{name: "sizes", lines: `b = udp; b bind lo:7001; a = udp; a sendn 65507 to lo:7001; a sendn 65508 to lo:7001; a sendn 70000 to lo:7001; b recv 70000; b recv 1; a connect lo:7001; a sendn 65508; a set so:sndbuf 4000; a sendn 60000; a sendn 3000; b recv 70000; b recv 70000; c = udp6; c bind lo6:7002; d = udp6; d sendn 65507 to lo6:7002; d sendn 65527 to lo6:7002; d sendn 65528 to lo6:7002; c recv 70000; c recv 70000`},
	{name: "sizes without fragments", lines: `a = udp; a set ip:mtu_discover 2; a sendn 1472 to net:9; a sendn 1473 to net:9; a get so:error; a set ip:mtu_discover 0; a sendn 1473 to net:9; a sendn 65507 to net:9; a sendn 65508 to net:9; a set ip:mtu_discover 3; a sendn 1473 to net:9; a set ip:mtu_discover 4; a sendn 1473 to net:9; a set ip:mtu_discover 5; a sendn 1473 to net:9; a connect net:9; a get ip:mtu; a set ip:mtu_discover 2; a sendn 1473; a set ip:recverr 1; a sendn 1473; a recv 1 errqueue; a recv 1 errqueue`},
	{name: "small buffer", lines: `b = udp; b set so:rcvbuf 1; b get so:rcvbuf; b bind lo:7001; a = udp; a sendn 3000 to lo:7001; a sendn 3000 to lo:7001; a sendn 3000 to lo:7001; b recv 9000; b recv 9000; b recv 9000; a send x to lo:7001; b recv 9; b set so:rxq_ovfl 1; a send y to lo:7001; b recv 9`},
	{name: "overflow is counted", lines: `b = udp; b set so:rcvbuf 1; b set so:rxq_ovfl 1; b bind lo:7001; a = udp; a sendn 6000 to lo:7001; a sendn 6000 to lo:7001; a sendn 6000 to lo:7001; a sendn 6000 to lo:7001; b recv 1; a send x to lo:7001; b recv 1; b recv 1`},
	{name: "broadcast", lines: `a = udp; a send x to bc:9; a send x to netbc:9; a send x to lobc:9; a connect bc:9; a connect netbc:9; a connect lobc:9; a set so:broadcast 1; a get so:broadcast; a send x to netbc:9; a send x to lobc:9; a send x to bc:9; a connect netbc:9; a send x; a recv 1`},
	{name: "broadcast received", lines: `b = udp; b bind any:7000; c = udp; c bind lobc:7001; a = udp; a set so:broadcast 1; a send x to lobc:7000; b recv 9; a send y to lobc:7001; c recv 9; c send z to @a; a recv 9; d = udp; d bind lo:7002; a send w to lobc:7002; d recv 9; e = udp; e set so:reuseaddr 1; e bind any:7003; f = udp; f set so:reuseaddr 1; f bind any:7003; a send v to lobc:7003; e recv 9; f recv 9; g = udp; g bind netbc:7004; g send x to lo:9; g connect lo:9`},
	{name: "the last bound gets it", lines: `a = udp; a set so:reuseaddr 1; a bind any:7000; b = udp; b set so:reuseaddr 1; b bind any:7000; c = udp; c send x to lo:7000; a recv 9; b recv 9; b close; c send y to lo:7000; a recv 9; d = udp; d set so:reuseaddr 1; d bind lo:7000; c send z to lo:7000; a recv 9; d recv 9; c send w to lo2:7000; a recv 9; d recv 9`},
	{name: "the connected gets it", lines: `a = udp; a set so:reuseaddr 1; a bind lo:7000; b = udp; b set so:reuseaddr 1; b bind lo:7000; c = udp; c bind lo:7001; d = udp; d bind lo:7002; a connect lo:7001; c send x to lo:7000; a recv 9; b recv 9; d send y to lo:7000; a recv 9; b recv 9; b connect lo:7002; d send z to lo:7000; b recv 9; e = udp; e send q to lo:7000; e get so:error; e connect lo:7000; e send q; e get so:error`},
	{name: "reuseport keeps to one", lines: `a = udp; a set so:reuseport 1; a bind lo:7000; b = udp; b set so:reuseport 1; b bind any:7000; c = udp; c send x to lo:7000; a recv 9; b recv 9; c send y to lo2:7000; a recv 9; b recv 9`},
	{name: "names", lines: `a = udp; a bind any:7000; a connect lo:9; a connect own:9; a connect unspec; a connect net:9; b = udp; b connect lo:9; b connect unspec; b connect lo:9; b bind lo:7001; c = udp; c bind lo:0; c connect lo:9; c connect unspec; c connect own:9; c connect net:9`},
	{name: "port zero", lines: `a = udp; a send x to lo:0; a connect lo:0; a send x; a get so:error; b = udp6; b send x to lo6:0; b connect lo6:0; b send x`},
	{name: "flags", lines: uPair + `a send x oob; a send x dontroute; b recv 9; a send x confirm; b recv 9; a send x eor; b recv 9; a send x trunc; b recv 9; a send x errqueue; b recv 1 oob; b recv 1 eor; b recv 1 waitall; b recv 1 dontroute; a send q fastopen; b recv 1 confirm; b recv 1 ctrunc; a send x to far:9 dontroute; a set so:dontroute 1; a send x; b recv 1`},
	{name: "corked", lines: uPair + `a send x more; b recv 9; a send y; b recv 9; a set udp:cork 1; a send ab; a send cd; b recv 9; a set udp:cork 0; b recv 9; a send more more; a send to to lo:9; b recv 9; a send "" more; a send ""; b recv 9; a queued`},
	{name: "segmented", lines: uPair + `a set udp:segment 3; a get udp:segment; a send abcdefgh; b recv 9; b recv 9; b recv 9; a set udp:segment 0; a send abcdef; b recv 9; a set udp:segment -1; a set udp:segment 65536; b set udp:gro 1; b get udp:gro`},
	{name: "far", lines: uPair + `b set ip:minttl 255; a send x; b recv 9; a set ip:ttl 1; a send y; b recv 9; a sendn 9000; b recv 9000; c = udp; c set ip:minttl 255; c bind any:7002; a send z to lo:7002; c recv 9`},
	{name: "closed port", lines: `a = udp; a bind lo:7000; b = udp; b connect lo:7000; b send x; a close; b send y; b get so:error; b send z; b recv 1; a = udp; a bind lo:7000; b send w; a recv 9`},
	{name: "self", lines: `a = udp; a bind lo:7000; a connect lo:7000; a send x; a recv 9; a connect own:7000; a send x; a recv 9; b = udp; b bind any:7001; b connect any:7001; b send y; b recv 9; c = udp; c send z to any:7001; b recv 9`},
	{name: "wildcard destination", lines: `a = udp; a bind any:7000; b = udp; b send x to any:7000; a recv 9; c = udp; c bind lo2:0; c send y to any:7000; a recv 9; d = udp; d bind own:0; d send z to any:7000; a recv 9; e = udp; e connect any:7000; e send w; a recv 9`},
	{name: "timeouts", lines: uPair + `a block on; a setx so:rcvtimeo 00000000000000001027000000000000; a recv 1; b send x to lo:7000; a recv 1; a recv 1 dontwait; a get so:rcvtimeo 16; a get so:sndtimeo 16`},
	{name: "bad lengths", lines: `a = udp; a send x to lo:9/1; a send x to unix; a send x to lo6:9; a send x to m:9; a connect lo:9; a send x to lo:9/0`},
	{name: "peek offset, many", lines: uPair + `a send abc; a send ""; a send de; a send f; a send ghij; a send k; a send lm; b recv 9; b set so:peek_off 0; b recv 2 peek; b recv 9 peek; b recv 9 peek; b recv 9 peek; b recv 9 peek; b recv 9 peek trunc; b get so:peek_off; b recv 1; b get so:peek_off; b recv 9; b get so:peek_off; b set so:peek_off 3; b recv 2 peek; b recv 9 trunc; b get so:peek_off; b recv 9 peek; b recv 9 peek; b recv 9 peek; b recv 9 peek; b set so:peek_off 100; b recv 9 peek; b get so:peek_off; b set so:peek_off -5; b get so:peek_off; b recv 9 peek; b recv 9`},
	{name: "peek offset, truncated", lines: uPair + `b set so:peek_off 1; a send abcdef; b recv 2 peek trunc; b get so:peek_off; b recv 2 trunc; b get so:peek_off; b set so:peek_off 1; a send abcdef; b recv 5 peek; b recv 0 peek; b get so:peek_off; b recv 0; b get so:peek_off; a send ""; b set so:peek_off 0; b recv 9 peek; b recv 9 peek; b set so:peek_off 0; b recv 9 peek; b recv 9`},
	{name: "peek offset elsewhere", lines: `a = ping; a set so:peek_off 1; a get so:peek_off; a = raw; a set so:peek_off 1; a get so:peek_off; a set so:peek_off -1; a = udp6; a set so:peek_off 7; a get so:peek_off; a setx so:peek_off 00`},
	{name: "peek offset", lines: uPair + `b set so:peek_off 0; b get so:peek_off; a send hello; a send world; b recv 2 peek; b recv 2 peek; b recv 9 peek; b recv 9 peek; b recv 9; b recv 9 peek; b set so:peek_off -1; b recv 2 peek`},
	{name: "held back, too long", lines: uPair + `a sendn 60000 more; a sendn 10000; b recv 9; a send abc; b recv 9; a set udp:cork 1; a send ab; a sendn 65527; a set udp:cork 0; b recv 9; a sendn 65500 more; a sendn 8; b recv 9; a sendn 65500 more; a sendn 7; b recv 9 trunc`},
	{name: "many waiting", lines: uPair + strings.Repeat("a send x;", 20) + strings.Repeat("b recv 1;", 21)},
	{name: "low water", lines: uPair + `b set so:rcvlowat 5; a send x; b recv 9`},
	{name: "error and data", lines: `a = udp; a bind lo:7000; a connect lo:7001; b = udp; a send x; b bind lo:7001; b send y to lo:7000; a recv 9; a recv 9; a recv 9`},
	{name: "freebind", lines: `a = udp; a set ip:freebind 1; a bind far:7000; a send x to lo:9; a connect lo:9; b = udp; b set ip:transparent 1; b bind far:7001; b send x to lo:9`},
	{name: "multicast interface", lines: `a = udp; a setx ip:multicast_if 7f000001; a get ip:multicast_if; a setx ip:multicast_if 0a090001; a get ip:multicast_if; a setx ip:multicast_if c0000201; a setx ip:multicast_if 00000000; a setx ip:multicast_if 000000007f000001; a get ip:multicast_if; a setx ip:multicast_if 000000000000000002000000; a get ip:multicast_if; a setx ip:multicast_if 000000000000000009000000; a setx ip:multicast_if 7f00; a get ip:multicast_if 8; b = udp6; b set ipv6:multicast_if 1; b get ipv6:multicast_if; b set ipv6:multicast_if 9; b set ipv6:multicast_if 0; b set ipv6:multicast_if -1; b set so:bindtoifindex 1; b set ipv6:multicast_if 2; a set so:bindtoifindex 1; a setx ip:multicast_if 0a090001`},
}

// udpPlainCases are udpCases with recvfrom in place of recvmsg, which usock serves by
// a way of its own.
func udpPlainCases() []sequence {
	out := append([]sequence(nil), udpCases...)
	for i := range out {
		out[i].plain = true
	}
	return out
}

// Memberships: of 224.1.2.3 on lo and t0 (struct ip_mreqn), of ff02::123 on both.
const (
	joinLo  = "setx ip:add_membership e00102030000000001000000"
	joinT0  = "setx ip:add_membership e00102030000000002000000"
	leaveLo = "setx ip:drop_membership e00102030000000001000000"
	leaveT0 = "setx ip:drop_membership e00102030000000002000000"
	join6   = "setx ipv6:add_membership ff020000000000000000000000000123"
	leave6  = "setx ipv6:drop_membership ff020000000000000000000000000123"
)

var multicastCases = []sequence{
	{name: "membership", lines: "a = udp; a " + joinT0 + "; a " + joinT0 + "; a " + joinLo + "; a " + leaveT0 + "; a " + leaveT0 + "; a " + leaveLo + `; a setx ip:add_membership e00102030a090001; a setx ip:drop_membership e00102030a090001; a setx ip:add_membership e001020300000000; a setx ip:add_membership 7f00000100000000; a setx ip:drop_membership 7f00000100000000; a setx ip:add_membership e0010203c0000201; a setx ip:add_membership e00102; a setx ip:add_membership e00102030000000009000000; a setx ip:drop_membership e001020300000000; a get ip:add_membership`},
	{name: "membership v6", lines: "a = udp6; a " + join6 + "02000000; a " + join6 + "02000000; a " + join6 + "01000000; a " + leave6 + "02000000; a " + leave6 + "02000000; a " + join6 + "00000000; a " + join6 + "09000000; a " + leave6 + "00000000; a " + leave6 + `00000000; a setx ipv6:add_membership 0000000000000000000000000000000102000000; a setx ipv6:add_membership ff02; a setx ip:add_membership e00102030a090001; b = udp; b ` + join6 + "02000000; c = tcp6; c " + join6 + "02000000; d = tcp; d " + joinT0 + "; d " + leaveT0},
	{name: "loop", lines: `a = udp; a bind any:7000; a ` + joinT0 + `; b = udp; b setx ip:multicast_if 0a090001; b send x to mc:7000; a recv 9; b set ip:multicast_loop 0; b send y to mc:7000; a recv 9; b set ip:multicast_loop 1; b set ip:multicast_ttl 0; b send z to mc:7000; a recv 9; b send w to mc:7001; b get so:error; b send q to mc:7000; c = udp; c bind any:7000; a ` + leaveT0 + `; a recv 9; b send r to mc:7000; a recv 9`},
	{name: "on loopback", lines: `a = udp; a bind any:7000; a ` + joinLo + `; b = udp; b setx ip:multicast_if 7f000001; b send x to mc:7000; a recv 9; b set ip:multicast_loop 0; b send y to mc:7000; a recv 9; a ` + leaveLo + `; b set ip:multicast_loop 1; b send z to mc:7000; a recv 9`},
	{name: "several", lines: `a = udp; a set so:reuseaddr 1; a bind any:7000; a ` + joinT0 + `; b = udp; b set so:reuseaddr 1; b bind any:7000; c = udp; c set so:reuseaddr 1; c bind mc:7000; d = udp; d set so:reuseaddr 1; d set ip:multicast_all 0; d bind any:7000; e = udp; e setx ip:multicast_if 0a090001; e send x to mc:7000; a recv 9; b recv 9; c recv 9; d recv 9; d ` + joinT0 + `; e send y to mc:7000; a recv 9; b recv 9; c recv 9; d recv 9`},
	{name: "bound to the group", lines: `a = udp; a bind mc:7000; a ` + joinT0 + `; b = udp; b setx ip:multicast_if 0a090001; b send x to mc:7000; a recv 9; b send y to own:7000; a recv 9; a send z to @b; a setx ip:multicast_if 0a090001; a connect mc:7000; a send q; a recv 9`},
	{name: "bound to a device", lines: `a = udp; a set so:bindtoifindex 2; a bind any:7000; a ` + joinT0 + `; b = udp; b set so:bindtoifindex 2; b send x to mc:7000; a recv 9; c = udp; c send x to mc:7000; c connect mc:7000; d = udp; d bind own:0; d send y to mc:7000; a recv 9; d connect mc:7000`},
	{name: "no route", lines: `a = udp; a send x to mc:7000; a connect mc:7000; a bind lo:0; a send x to mc:7000; b = udp; b set so:broadcast 1; b send x to bc:7000; b bind own:0; b send x to bc:7000`},
	{name: "v6", lines: `a = udp6; a bind any6:7000; a ` + join6 + `01000000; b = udp6; b send x to mc6%1:7000; a recv 9; b set ipv6:multicast_if 1; b send y to mc6:7000; a recv 9; b set ipv6:multicast_loop 0; b send z to mc6:7000; a recv 9; b set ipv6:multicast_hops 0; b set ipv6:multicast_loop 1; b send w to mc6:7000; a recv 9; a ` + leave6 + `01000000; b set ipv6:multicast_hops 1; b send v to mc6:7000; a recv 9; c = udp6; c bind mc6%1:7001; c ` + join6 + `01000000; b send u to mc6:7001; c recv 9; b connect mc6%1:7001; b send t; c recv 9`},
	{name: "several share a join", lines: `a = udp; a set so:reuseaddr 1; a bind any:7000; a ` + joinT0 + `; b = udp; b set so:reuseaddr 1; b bind any:7000; b ` + joinT0 + `; a close; e = udp; e setx ip:multicast_if 0a090001; e send x to mc:7000; b recv 9; b close; b = udp; b bind any:7000; e send y to mc:7000; b recv 9`},
	{name: "connected filters", lines: `a = udp; a bind any:7000; a ` + joinT0 + `; b = udp; b bind own:7001; b setx ip:multicast_if 0a090001; a connect own:7001; b send x to mc:7000; a recv 9; b send y to own:7000; a recv 9`},
	{name: "control", lines: `a = udp; a bind any:7000; a ` + joinT0 + `; a set ip:pktinfo 1; a set ip:recvttl 1; b = udp; b setx ip:multicast_if 0a090001; b send x to mc:7000; a recv 9; b set ip:multicast_ttl 7; b send x to mc:7000; a recv 9`},
}

var udpStates = []struct{ name, lines string }{
	{"fresh", "x = udp;"},
	{"bound", "x = udp; x bind lo:7001;"},
	{"connected", "y = udp; y bind lo:7002; x = udp; x connect lo:7002;"},
	{"with data", "y = udp; y bind lo:7002; x = udp; x bind lo:7001; x connect lo:7002; y send hello to lo:7001;"},
	{"refused", "x = udp; x connect lo:9; x send q;"},
	{"shut for reading", "y = udp; y bind lo:7002; x = udp; x connect lo:7002; x shutdown rd;"},
	{"shut for writing", "y = udp; y bind lo:7002; x = udp; x connect lo:7002; x shutdown wr;"},
	{"shut both", "y = udp; y bind lo:7002; x = udp; x connect lo:7002; x shutdown rdwr;"},
	{"dissolved", "x = udp; x connect lo:9; x connect unspec;"},
	{"bound and dissolved", "x = udp; x bind lo:7001; x connect lo:9; x connect unspec;"},
	{"six", "x = udp6;"},
	{"six connected", "y = udp6; y bind lo6:7002; x = udp6; x connect lo6:7002;"},
	{"six connected to four", "y = udp; y bind lo:7002; x = udp6; x connect m:7002;"},
	{"ping", "x = ping;"}, {"ping connected", "x = ping; x connect lo:0;"}, {"ping6 bound", "x = ping6; x bind lo6:77;"},
	{"raw", "x = raw;"}, {"raw connected", "x = raw; x connect lo:0;"}, {"raw6", "x = raw6;"}, {"raw6 bound", "x = raw6; x bind lo6:0;"},
}

var udpCalls = []string{
	"x bind lo:7005", "x bind any:0", "x bind lo6:7005", "x listen 1", "x connect lo:9", "x connect lo6:9", "x connect m:9", "x connect unspec", "x connect unix", "z = accept x",
	"x send w", `x send ""`, "x send w to lo:9", "x send w to lo6:9", "x send w to m:9", "x send w oob", "x recv 3", "x recv 0", "x recv 3 peek", "x recv 9 waitall", "x recv 3 trunc", "x recv 1 oob", "x recv 9 errqueue",
	"x shutdown rd", "x shutdown wr", "x shutdown rdwr", "x queued", "x get so:error", "x get ip:mtu", "x get ipv6:mtu", "x set so:rcvbuf 9000", "x set ipv6:v6only 1", "x set so:reuseaddr 1", "x set ip:ttl 3",
	"x set ipv6:unicast_hops 3", "x set tcp:nodelay 1", "x get tcp:maxseg", "x set so:bindtoifindex 1", "x set ip:recverr 1", "x set ipv6:recverr 1", "x set so:keepalive 1", "x set udp:cork 1", "x get so:acceptconn", "x set ip:hdrincl 1", "x close",
}

func udpStateCases() []sequence {
	var out []sequence
	for _, st := range udpStates {
		for _, call := range udpCalls {
			out = append(out, sequence{name: st.name + ": " + call, lines: st.lines + call + "; x send v; x recv 4; x get so:error; x shutdown wr; x recv 4; x close"})
		}
	}
	return out
}

// Echo requests of 8 and 12 bytes: type, code, checksum, identifier, sequence.
var pingCases = []sequence{
	{name: "echo", lines: `a = ping; a bind any:70; a sendx 0800000000000001 to lo:0; a recv 99; a sendx 080000001234000161626364 to lo:0; a recv 99; a recv 4; a sendx 0800 to lo:0; a sendx 0000000000000001 to lo:0; a sendx 0801000000000001 to lo:0; a send x; a sendx 0800000000000001; a connect lo:5; a sendx 0800000000000002; a recv 99; a sendx 0800000000000003 to lo2:0; a recv 99; a connect unspec; a sendx 0800000000000002`},
	{name: "echo, bound", lines: `a = ping; a bind lo:4660; a sendx 0800000000000001 to lo:0; a recv 99; b = ping; b bind lo:4660; b bind any:4661; b bind lo:1; c = ping; c set so:reuseaddr 1; c bind lo:4660`},
	{name: "echo v6", lines: `a = ping6; a bind any6:77; a sendx 8000000000000001 to lo6:0; a recv 99; a sendx 800000001234000161626364 to lo6:0; a recv 99; a sendx 8100000000000001 to lo6:0; a sendx 0800000000000001 to lo6:0; a sendx 8000000000000001 to m:0; a connect lo6:7; a sendx 8000000000000001; a recv 99; a connect m:0; a connect lo:0; b = ping6; b bind m:5; b bind lo6:5; c = ping; c connect lo6:0; c sendx 0800000000000001 to m:0`},
	{name: "unreachable", lines: `a = ping; a bind any:70; a sendx 0800000000000001 to far:0; a sendx 0800000000000001 to bc:0; a sendx 0800000000000001 to netbc:0; a sendx 0800000000000001 to net:0; a sendx 0800000000000001 to mc:0; a sendx 0800000000000001 to unix; a sendx 0800000000000001 to lo:0/8; a sendx 0800000000000001 to any:0; a recv 99`},
	{name: "shut down", lines: `a = ping; a connect lo:0; a shutdown wr; a sendx 0800000000000001; a shutdown rd; a recv 9; b = ping; b bind any:71; b shutdown rd; b recv 1; b sendx 0800000000000001 to lo:0; b recv 99`},
	{name: "options", lines: `a = ping; a bind any:78; a set ip:recverr 1; a set ip:recvttl 1; a sendx 0800000000000001 to lo:0; a recv 99; a get so:protocol; a set ip:ttl 1; a sendx 0800000000000001 to lo:0; a recv 99; b = ping6; b bind any6:79; b set ipv6:recvhoplimit 1; b set ipv6:recvpktinfo 1; b sendx 8000000000000001 to lo6:0; b recv 99`},
	{name: "flags", lines: `a = ping; a bind any:70; a sendx 0800000000000001 to lo:0 oob; a sendx 0800000000000001 to lo:0 dontroute; a recv 99 oob; a recv 4 peek; a recv 4 trunc; a recv 9 errqueue; a queued`},
	{name: "big", lines: `a = ping; a bind any:70; a echo 65507 to lo:0; a recv 70000; a echo 65508 to lo:0; a echo 65535 to lo:0; a echo 65536 to lo:0; a echo 0 to lo:0; a recv 1`},
	{name: "another's", lines: `a = ping; a bind lo:77; b = rawicmp; a sendx 0800000000000001 to lo:0; a recv 99; b recv 1; b recv 1; b sendx 0000ffb1004d0001 to lo:0; a recv 99; b sendx 0800f7b1004d0001 to lo:0; a recv 99`},
}

var rawCases = []sequence{
	{name: "plain", lines: `a = raw; a bind lo:0; b = raw; b send hello to lo:0; a recvx 99; b recvx 99; a recv 1; b send x to lo:55; a recvx 99; b send x; b connect lo:0; b send x; a recvx 99; b recvx 99; a shutdown wr; b shutdown rd; b recv 1`},
	{name: "v6", lines: `a = raw6; a bind lo6:0; b = raw6; b send hello to lo6:0; a recv 99; b recv 99; b send x to lo6:253; a recv 99; b send x to lo6:17; b send x to m:0; b connect lo6:0; b send y; b recv 99; b connect unspec; b send x`},
	{name: "unreachable protocol", lines: `a = raw; a connect lo:0; a send x; a recvx 99; a close; a = raw; a shutdown rd; b = rawicmp; a send x to lo:0; b recv 0`},
	{name: "icmp", lines: `a = rawicmp; a sendx 0800f7fe00000001 to lo:0; a recvx 99; a recvx 99; a setx 255:1 00000000; a setx 255:1 feffffff; a sendx 0800f7fe00000001 to lo:0; a recvx 99; a recvx 99; a get 255:1; a get 255:1 2; a setx 255:1 00; b = raw; b setx 255:1 00000000; b get 255:1`},
	{name: "icmp6", lines: `a = rawicmp6; a sendx 8000000000000001 to lo6:0; a recv 99; a recv 99; a setx 58:1 ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff; a sendx 8000000000000001 to lo6:0; a recv 99; a get 58:1 32; a setx 58:1 0000; a get 58:1 8; a set ipv6:checksum 2; a get ipv6:checksum; b = raw6; b get ipv6:checksum; b set ipv6:checksum 2; b set ipv6:checksum 3; b sendx 00000000 to lo6:0; b recv 9; b sendx 00 to lo6:0; b set ipv6:checksum -1; b send x to lo6:0; b recv 9`},
	{name: "udp tapped", lines: `a = rawudp; u = udp; u bind lo:7000; v = udp; v send hello to lo:7000; u recv 9; a queued; a recv 0; a recv 0; v send x to lo:9; a recv 0; b = udp; b bind lo:7001; a sendx 1b581b590009000061 to lo:0; b recv 9; a sendx 1b58 to lo:0`},
	{name: "header included", lines: `a = rawraw; a get ip:hdrincl; a recv 1; a send x to lo:0; b = raw; b set ip:hdrincl 1; b get ip:hdrincl; b send x to lo:0; b sendx 4500001500000000 to lo:0; b sendx 450000150000000040fd00007f0000017f00000161 to lo:0; b recvx 99; b sendx 45000000000000004000000000000000000000006162 to lo:0; b sendx 450000150000000040fd0000000000007f00000161 to lo:0; b recvx 99`},
	{name: "bound", lines: `a = raw; a bind lo:0; a bind lo2:7; b = raw; b bind far:0; b bind mc:0; b bind lobc:0; c = raw; c send x to lo:0; a recvx 99; c send x to lo2:0; a recvx 99; c send q to far:0; c send q to bc:0; c send q to lobc:0; c set so:broadcast 1; c send q to lobc:0; a recvx 99`},
	{name: "many", lines: `a = raw; b = raw; c = socket 2 3 252; d = raw; d set so:bindtoifindex 2; e = raw; e connect lo2:0; f = raw; f send x to lo:0; a recvx 99; b recvx 99; c recv 1; d recv 1; e recv 1; f recvx 99; f bind lo2:0; f send y to lo:0; e recvx 99`},
	{name: "sizes", lines: `a = raw; a sendn 65515 to lo:0; a recv 70000; a sendn 65516 to lo:0; a sendn 65536 to lo:0; a sendn 0 to lo:0; a recvx 99; a sendn 3000 to net:0; a set ip:mtu_discover 2; a sendn 1480 to net:0; a sendn 1481 to net:0; b = raw6; b sendn 65536 to lo6:0; b sendn 65535 to lo6:0; b sendn 100 to lo6:0; b recv 200`},
	{name: "options", lines: `a = raw; a set ip:recvttl 1; a set ip:pktinfo 1; a set ip:recvtos 1; a set ip:ttl 7; a set ip:tos 8; a send x to lo:0; a recvx 99; b = raw6; b set ipv6:recvpktinfo 1; b set ipv6:recvhoplimit 1; b set ipv6:recvtclass 1; b set ipv6:unicast_hops 9; b set ipv6:tclass 4; b send x to lo6:0; b recv 9; b set ipv6:v6only 1; b get ipv6:v6only; a set so:reuseaddr 1; a get so:type; a get so:protocol`},
	{name: "flags", lines: `a = raw; a send x to lo:0 oob; a recv 1 oob; a send x to lo:0; a recv 5 peek; a recv 5 trunc; a send "" to lo:0; a recvx 40; a send x to lo:0/8; a send x to unix; a send x to lo6:0; a send x to unspec:lo:0`},
}

// cmsgCases receive and send control messages.
func cmsgCases() []sequence {
	var out []sequence
	add := func(name, lines string) { out = append(out, sequence{name: name, lines: lines}) }
	recv4 := []string{"ip:recvttl", "ip:recvtos", "ip:pktinfo", "ip:recvorigdstaddr", "ip:recvopts", "ip:retopts", "so:timestamp", "so:timestampns", "so:rxq_ovfl", "so:passcred", "ip:recvttl 1; b set so:timestamp", "so:timestamp 1; b set so:timestampns"}
	recv6 := []string{"ipv6:recvpktinfo", "ipv6:recvhoplimit", "ipv6:recvtclass", "ipv6:pktinfo", "ipv6:hoplimit", "ip:recvttl", "ip:pktinfo", "ip:recvtos", "so:timestamp", "41:72", "41:74"}
	for _, o := range recv4 {
		add("receive "+o, fmt.Sprintf("b = udp; b bind any:7000; b set %s 1; a = udp; a set ip:ttl 9; a set ip:tos 16; a send x to lo:7000; b recv 9; a send y to lo2:7000; b recv 9 peek; b recv 9", o))
		add("receive on a mapped address "+o, fmt.Sprintf("b = udp6; b bind any6:7000; b set %s 1; a = udp; a set ip:ttl 9; a set ip:tos 16; a send x to lo:7000; b recv 9", o))
	}
	for _, o := range recv6 {
		add("receive6 "+o, fmt.Sprintf("b = udp6; b bind any6:7000; b set %s 1; a = udp6; a set ipv6:unicast_hops 9; a set ipv6:tclass 16; a send x to lo6:7000; b recv 9; c = udp; c send y to lo:7000; b recv 9", o))
		add("tcp6 "+o, fmt.Sprintf("l = tcp6; l set %s 1; l bind any6:7000; l listen 1; c = tcp6; c connect lo6:7000; s = accept l; c send x; s recv 9; d = tcp; d connect lo:7000; t = accept l; d send x; t recv 9", o))
	}
	for _, s := range []struct{ o, v string }{
		{"ip:ttl", "07000000"}, {"ip:ttl", "00000000"}, {"ip:ttl", "00010000"}, {"ip:ttl", "07"}, {"ip:ttl", "0700000000000000"}, {"ip:tos", "10000000"}, {"ip:tos", "10"}, {"ip:tos", "1000"}, {"ip:tos", "00010000"},
		{"ip:pktinfo", "01000000000000007f000001"}, {"ip:pktinfo", "000000007f00000200000000"}, {"ip:pktinfo", "00000000c000020100000000"}, {"ip:pktinfo", "090000000000000000000000"}, {"ip:pktinfo", "020000000000000000000000"}, {"ip:pktinfo", "0000"},
		{"ip:recverr", "00000000"}, {"0:99", "00000000"}, {"ip:retopts", "01010101"}, {"so:mark", "05000000"}, {"so:timestamping", "01000000"}, {"1:99", "00000000"}, {"1:1", "00000000"}, {"1:2", "000000000000000000000000"}, {"so:priority", "02000000"},
		{"6:1", "01000000"}, {"41:52", "07000000"}, {"17:103", "0200"}, {"17:103", "02000000"}, {"99:1", "-"},
	} {
		add("send "+s.o+" "+s.v, fmt.Sprintf("b = udp; b bind any:7000; b set ip:recvttl 1; b set ip:recvtos 1; b set ip:pktinfo 1; a = udp; a send xyz to lo:7000 cmsg %s %s; b recv 9; b recv 9; a connect lo:7000; a send xyz cmsg %s %s; b recv 9; c = udp6; c send xyz to m:7000 cmsg %s %s; b recv 9; l = tcp; l listen 1; d = tcp; d connect lo:l; d send x cmsg %s %s", s.o, s.v, s.o, s.v, s.o, s.v, s.o, s.v))
	}
	six := "00000000000000000000000000000001"
	for _, s := range []struct{ o, v string }{
		{"ipv6:hoplimit", "07000000"}, {"ipv6:hoplimit", "ffffffff"}, {"ipv6:hoplimit", "00010000"}, {"ipv6:hoplimit", "07"}, {"ipv6:tclass", "10000000"}, {"ipv6:tclass", "ffffffff"}, {"ipv6:tclass", "00010000"}, {"ipv6:pktinfo", six + "00000000"}, {"ipv6:pktinfo", six + "01000000"},
		{"ipv6:pktinfo", "00000000000000000000000000000000" + "01000000"}, {"ipv6:pktinfo", "20010db8000000000000000000000001" + "00000000"}, {"ipv6:pktinfo", six + "09000000"}, {"ipv6:pktinfo", six + "02000000"}, {"ipv6:pktinfo", "0000"}, {"ipv6:dontfrag", "01000000"}, {"ipv6:dontfrag", "02000000"}, {"41:99", "00000000"}, {"ip:ttl", "07000000"}, {"so:mark", "01000000"},
	} {
		add("send6 "+s.o+" "+s.v, fmt.Sprintf("b = udp6; b bind any6:7000; b set ipv6:recvhoplimit 1; b set ipv6:recvtclass 1; b set ipv6:recvpktinfo 1; a = udp6; a send xyz to lo6:7000 cmsg %s %s; b recv 9; a send xyz to m:7000 cmsg %s %s; b recv 9; a connect lo6:7000; a send xyz cmsg %s %s; b recv 9", s.o, s.v, s.o, s.v, s.o, s.v))
	}
	add("sticky pktinfo", "b = udp6; b bind any6:7000; a = udp6; a setx ipv6:pktinfo "+six+"00000000; a send x to lo6:7000; b recv 9; a get ipv6:pktinfo 20; a setx ipv6:pktinfo 20010db800000000000000000000000100000000; a setx ipv6:pktinfo 00; a setx ipv6:pktinfo; a get ipv6:pktinfo 20; a set ipv6:hoplimit 1")
	add("set while waiting", "b = udp; b bind any:7000; a = udp; a send x to lo:7000; b set ip:recvttl 1; b set so:timestamp 1; b set ip:pktinfo 1; b recv 9; a send y to lo:7000; b set so:timestamp 0; b recv 9")
	return out
}
