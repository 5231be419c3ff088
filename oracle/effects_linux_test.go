package oracle

import "fmt"

// effectCases set an option, read it back, and use what it is about: what it does must
// be the same on both systems.
var effectCases = []sequence{
	{name: "memory", lines: uPair + `b get so:meminfo 36; b get so:meminfo 40; b get so:meminfo 8; b set so:meminfo 1; a send hello; b get so:meminfo 36; b recv 9; b set so:rcvbuf 1; b get so:meminfo 36; a sendn 6000; a sendn 6000; a sendn 6000; b get so:meminfo 36; r = raw6; r get so:meminfo 36; p = ping; p set so:sndbuf 9000; p get so:meminfo 36`},
	{name: "memory of a stream", lines: pair + `s get so:meminfo 4; c send hello; s get so:meminfo 4; s recv 9; s get so:meminfo 0`},
	{name: "maximal pacing rate", lines: `a = tcp; a get so:max_pacing_rate 8; a get so:max_pacing_rate; a set so:max_pacing_rate 1000; a get so:max_pacing_rate 8; a get so:max_pacing_rate 5; a setx so:max_pacing_rate 0000000005000000; a get so:max_pacing_rate; a get so:max_pacing_rate 8; a set so:max_pacing_rate -1; a get so:max_pacing_rate 8; a setx so:max_pacing_rate 0100; b = udp; b set so:max_pacing_rate 7; b get so:max_pacing_rate 8; ` + pairOn("7001") + `l set so:max_pacing_rate 5000; d = tcp; d connect lo:7001; t = accept l; t get so:max_pacing_rate`},
	{name: "unicast interface", lines: `a = udp; a send x to far:9; a setx ip:unicast_if 00000002; a get ip:unicast_if; a send x to far:9; a connect far:9; a connect unspec; a setx ip:unicast_if 00000009; a setx ip:unicast_if 0000; a setx ip:unicast_if 0000000200; a setx ip:unicast_if 00000000; a send x to far:9; a setx so:bindtodevice 743000; a setx ip:unicast_if 00000001; a setx ip:unicast_if 00000000; b = udp6; b setx ipv6:unicast_if 00000002; b get ipv6:unicast_if; b get ip:unicast_if; b send x to far6:9; b send x to lo6:9; b setx ipv6:unicast_if 00000007; b setx ipv6:unicast_if 00000000; b send x to lo6:9; r = raw; r send x to far:0; r setx ip:unicast_if 00000002; r send x to far:0; t = tcp; t setx ip:unicast_if 00000002; t connect far:9`},
	{name: "unicast interface and groups", lines: `a = udp; a setx ip:unicast_if 00000002; a send x to mc:7000; b = udp; b bind any:7000; b ` + joinT0 + `; c = udp; c setx ip:multicast_if 0a090001; c send x to mc:7000; b recv 9; c setx ip:unicast_if 00000001; c send y to mc:7000; b recv 9`},
	{name: "free bind v6", lines: `a = udp6; a bind far6:7000; a set ipv6:freebind 1; a get ipv6:freebind; a get ip:freebind; a bind far6:7000; a set ipv6:freebind 0; b = tcp6; b set ip:freebind 1; b get ipv6:freebind; b bind far6:7000; b listen 1; c = tcp6; c bind far6:7000; d = udp6; d set ip:freebind 1; d bind mfar:7000; e = raw6; e set ipv6:freebind 1; e bind far6:0`},
	{name: "original destination", lines: `b = udp6; b bind any6:7000; b set ipv6:recvorigdstaddr 1; a = udp6; a send x to lo6:7000; b recv 9; c = udp; c send y to lo2:7000; b recv 9; b set ip:recvorigdstaddr 1; c send y to lo2:7000; b recv 9; a send x to lo6:7000; b recv 9; r = raw6; r set ipv6:recvorigdstaddr 1; s = raw6; s send hello to lo6:0; r recv 9; s send x to lo6:0; r recv 9`},
	{name: "received options", lines: ownHeader + `b set ip:recvopts 1; b get ip:recvopts; a sendx ` + nopUDP + ` to lo:0; b recv 9; b set ip:retopts 1; a sendx ` + nopUDP + ` to lo:0; b recv 9; a sendx ` + routeUDP + ` to lo:0; b recv 9; a sendx ` + fullUDP + ` to lo:0; b recv 9; b set ip:recvopts 0; a sendx ` + routeUDP + ` to lo:0; b recv 9; b set ip:retopts 0; a sendx ` + routeUDP + ` to lo:0; b recv 9; a sendx ` + routeUDP + ` to lo:0; b set ip:retopts 1; b recv 9; c = udp; c send x to lo:7000; b recv 9; b set ip:recvopts 1; a sendx ` + timesUDP + ` to lo:0; b recv 9; a sendx ` + othersTimeUDP + ` to lo:0; b recv 9`},
	{name: "bytes left to read", lines: pair + `s set tcp:inq 1; s get tcp:inq; c send hello; s recv 2; s recv 2 peek; s recv 9; s recv 9; c send abc; s recv 1; s set tcp:inq 0; s recv 1; s set tcp:inq 1; s recv 0; s recv 1 trunc; c send q oob; s recv 9 oob; s recv 9; c send xy; c shutdown wr; s recv 1; s recv 1; s recv 1; s recv 1 errqueue; a = tcp; a set tcp:inq 1; a recv 1; u = udp; u set tcp:inq 1`},
	{name: "bytes left to read, of a listener", lines: `l = tcp; l set tcp:inq 1; l bind lo:7000; l listen 1; c = tcp; c connect lo:7000; s = accept l; s get tcp:inq; c send hello; s recv 2`},
	{name: "congestion control tells", lines: `a = tcp; a get tcp:cc_info 20; a setx tcp:congestion 626272; a get tcp:cc_info 20; a get tcp:cc_info 8; a set tcp:cc_info 1; ` + pairOn("7001") + `c get tcp:cc_info 20; c setx tcp:congestion 626272; c send x; s recv 9; c get tcp:cc_info 40; l get tcp:cc_info 20; u = udp; u get tcp:cc_info 20`},
	{name: "upper-layer protocol", lines: `a = tcp; a get tcp:ulp 16; a setx tcp:ulp 746c73; a setx tcp:ulp; a setx tcp:ulp 00; ` + pairOn("7001") + `c setx tcp:ulp 746c7300; c get tcp:ulp 16; l setx tcp:ulp 746c73; s setx tcp:ulp 737a; u = udp; u setx tcp:ulp 746c73`},
	{name: "time of the last", lines: uPair + `b stamp; a send x; b stamp; b recv 9; b stamp; b get so:timestamp; a send y; b recv 9; b stamp; r = raw6; r stamp; r stamp; p = ping; p stamp; c = udp; c bind lo:7005; d = udp; d send x to lo:7005; c recv 9; c stamp; c stamp; e = udp; e bind lo:7006; e set so:timestamp 1; d send x to lo:7006; e recv 9; e stamp`},
	{name: "time of the last, of a stream", lines: pair + `s stamp; c send x; s recv 9; s stamp; l stamp`},
	{name: "not sent", lines: pair + `c unsent; c set tcp:cork 1; c send x; c unsent; c set tcp:cork 0; c unsent; l unsent; u = udp; u unsent; r = raw; r unsent; p = ping6; p unsent; a = tcp; a unsent; s recv 9`},
	{name: "flow information", lines: `b = udp6; b bind any6:7000; b set ipv6:flowinfo 1; b get ipv6:flowinfo; a = udp6; a send x to lo6:7000; b recv 9; a set ipv6:autoflowlabel 0; a get ipv6:autoflowlabel; a send x to lo6:7000; b recv 9; a set ipv6:tclass 32; a send x to lo6:7000; b recv 9; a send x to lo6~12345:7000; b recv 9; a set ipv6:flowinfo_send 1; a get ipv6:flowinfo_send; a send x to lo6~12345:7000; b recv 9; a send x to lo6:7000; b recv 9; a connect lo6~333:7000; a send y; b recv 9; a send y to lo6~444:7000; b recv 9; a send y to lo6:7000; b recv 9; a set ipv6:flowinfo_send 0; a send y; b recv 9; a connect lo6~555:7000; a send y; b recv 9; a send z cmsg ipv6:flowinfo 00012345; b recv 9; a send z cmsg ipv6:flowinfo 0001; c = udp; c send x to lo:7000; b recv 9; b set ipv6:flowinfo 0; a send z; b recv 9; a setx ipv6:autoflowlabel; a get ipv6:autoflowlabel; a setx ipv6:autoflowlabel 0100000000; a get ipv6:autoflowlabel`},
	{name: "flow information of others", lines: `b = raw6; b bind lo6:0; b set ipv6:flowinfo 1; a = raw6; a set ipv6:flowinfo_send 1; a send hello to lo6~12345:0; b recv 9; a connect lo6~333:0; a send hello; b recv 9; p = ping6; p bind any6:77; p set ipv6:flowinfo 1; t = tcp6; t set ipv6:flowinfo_send 1; l = tcp6; l bind lo6:7000; l listen 1; t connect lo6~333:7000; s = accept l; t set ipv6:flowinfo_send 0; t set ipv6:flowinfo_send 1; s set ipv6:flowinfo_send 1; s get ipv6:flowinfo_send`},
	{name: "leased flow labels", lines: `b = udp6; b bind any6:7000; b set ipv6:flowinfo 1; a = udp6; a set ipv6:flowinfo_send 1; a ` + flow("12345", "00", "ff", "00") + `; a ` + flow("12345", "00", "ff", "01") + `; a ` + flow("12345", "00", "ff", "01") + `; a ` + flow("12345", "00", "ff", "03") + `; a ` + flow("12345", "00", "01", "01") + `; a ` + flow("100001", "00", "ff", "01") + `; a ` + flow("00333", "00", "07", "01") + `; a ` + flow("00333", "02", "ff", "00") + `; a ` + flow("00333", "01", "ff", "00") + `; a ` + flow("12345", "02", "ff", "00") + `; a ` + flow("12345", "03", "ff", "00") + `; a ` + flow("12345", "00", "ff", "04") + `; a send x to lo6~12345:7000; b recv 9; a send x to lo6~444:7000; b recv 9; c = udp6; c set ipv6:flowinfo_send 1; c ` + flow("00444", "00", "01", "01") + `; a ` + flow("00444", "00", "01", "01") + `; a send x to lo6~444:7000; a connect lo6~444:7000; c send x to lo6~444:7000; b recv 9; a connect lo6~12345:7000; a send x; b recv 9; t = tcp6; t set ipv6:flowinfo_send 1; t connect lo6~555:7000; a ` + flow("12345", "01", "ff", "00") + `; a send x; a send x to lo6:7000; b recv 9; a setx ipv6:flowlabel_mgr 00; a setx ipv6:flowlabel_mgr 000000000000000000000000000000000000000100ff01000600060000000000; u = udp; u setx ipv6:flowlabel_mgr 00`},
	{name: "no checksum", lines: `r = rawudp; b = udp; b bind lo:7000; a = udp; a bind lo:7001; a set so:no_check 1; a get so:no_check; a send hello to lo:7000; r recvx 99; b recv 9`},
	{name: "overflow is told", lines: `b = udp; b set so:rxq_ovfl 1; b set so:rcvbuf 1; b bind lo:7001; a = udp; a send x to lo:7001; b recv 1; a sendn 6000 to lo:7001; a sendn 6000 to lo:7001; a sendn 6000 to lo:7001; b recv 1; a send x to lo:7001; b recv 1; b get so:meminfo 36; b set so:rxq_ovfl 0; a send x to lo:7001; b recv 1`},
}

// segmentCases send several datagrams at once, and receive them so.
var segmentCases = []sequence{
	{name: "control message", lines: uPair + `a send abcde cmsg udp:segment 0200; b recv 9; b recv 9; b recv 9; b recv 9; a send abcde cmsg udp:segment 02000000; a send abcde cmsg udp:segment 02; a send abcde cmsg udp:segment 0000; b recv 9; a send abcde cmsg udp:segment 0500; b recv 9; a send abc cmsg 17:1 01000000; a send abc cmsg 17:104 0200; a send "" cmsg udp:segment 0500; b recv 9; a send abcdef to lo:7001 cmsg udp:segment 0300; b recv 9; b recv 9`},
	{name: "how many", lines: uPair + `b set so:rcvbuf 4000000; a sendn 128 cmsg udp:segment 0100; b drain; a sendn 129 cmsg udp:segment 0100; a sendn 65507 cmsg udp:segment 0002; b drain; a sendn 65507 cmsg udp:segment ff01; a sendn 65508 cmsg udp:segment 0002; a sendn 65507 cmsg udp:segment e3ff; b recv 70000; a sendn 70000 cmsg udp:segment ffff; a sendn 65507 cmsg udp:segment c005; b recv 70000; b recv 70000; b drain`},
	{name: "option", lines: uPair + `a set udp:segment 3; a get udp:segment; a send abcdefgh; b recv 9; b recv 9; b recv 9; b recv 9; a send abcd cmsg udp:segment 0000; b recv 9; a send abcd cmsg udp:segment 0200; b recv 9; b recv 9; a set udp:cork 1; a send abcd; a send ef; a set udp:cork 0; b recv 9; b recv 9; a send ab more; a send cdef; b recv 9; b recv 9; a set so:no_check 1; a send abcdef; a send ab; a set so:no_check 0; a set udp:segment 0; a send abcdef; b recv 9`},
	{name: "larger than the path", lines: `a = udp; a sendn 3000 to net:9 cmsg udp:segment c005; a sendn 3000 to net:9 cmsg udp:segment c105; a sendn 1472 to net:9 cmsg udp:segment c105; a sendn 1473 to net:9 cmsg udp:segment c105; a sendn 12800 to net:9 cmsg udp:segment 6400; a sendn 12801 to net:9 cmsg udp:segment 6400; a get so:error` + discover("c105") + discover("c005") + `; b = udp6; b sendn 3000 to lo6:9 cmsg udp:segment 0002; b get so:error`},
	{name: "received whole", lines: uPair + `b set udp:gro 1; b get udp:gro; a send abcde cmsg udp:segment 0200; b queued; b recv 9; a send abcd cmsg udp:segment 0200; b recv 9 peek; b recv 3; a send ab cmsg udp:segment 0200; b recv 9; a send x; a send y; b recv 9; b recv 9; a sendn 128 cmsg udp:segment 0100; b recv 200; a sendn 65493 cmsg udp:segment c005; b recv 70000; a sendn 65494 cmsg udp:segment c005; b recv 70000; b drain; b set ip:recvttl 1; b set so:timestamp 1; a send abcde cmsg udp:segment 0200; b set udp:gro 0; b recv 9; a send abcde cmsg udp:segment 0200; b recv 9; b recv 9; b recv 9`},
	{name: "received whole, without control messages", lines: uPair + `b set udp:gro 1; a send abcdef cmsg udp:segment 0200; b recv 4 trunc; a send abcdef cmsg udp:segment 0200; b shutdown rd; b recv 9`},
	{name: "of others", lines: `p = ping; p bind any:77; p sendx 0800000000000001 to lo:0 cmsg udp:segment 0400; p recv 99; p set udp:segment 5; p set udp:gro 1; r = raw; r send hello to lo:0 cmsg udp:segment 0200; r recv 0; t = tcp; t set udp:segment 5; ` + pairOn("7002") + `c send hello cmsg udp:segment 0200; s recv 9`},
	{name: "tapped", lines: `r = rawudp; b = udp; b bind lo:7000; a = udp; a send abcdef to lo:7000 cmsg udp:segment 0200; r recv 0 trunc; r recv 0 trunc; b recv 9; a send x to lo:9 cmsg udp:segment 0200; a connect lo:9; a send abcd cmsg udp:segment 0200; a get so:error`},
	{name: "to a group", lines: `b = udp; b set so:reuseaddr 1; b bind any:7000; b ` + joinLo + `; c = udp; c set so:reuseaddr 1; c bind any:7000; c set udp:gro 1; a = udp; a bind lo:7001; a setx ip:multicast_if 7f000001; a send abcd to mc:7000 cmsg udp:segment 0200; b recv 9; b recv 9; c recv 9; c recv 9`},
	{name: "v6", lines: `b = udp6; b bind any6:7000; a = udp6; a send abcde to lo6:7000 cmsg udp:segment 0200; b recv 9; b recv 9; b recv 9; b set udp:gro 1; a send abcde to lo6:7000 cmsg udp:segment 0200; b recv 9; a send abcde to m:7000 cmsg udp:segment 0200; b recv 9; a sendn 65527 to lo6:7000 cmsg udp:segment 0040; b recv 70000; b recv 70000; b drain`},
}

// discover sends 3000 bytes in datagrams of a size with each way of path MTU discovery.
func discover(size string) (out string) {
	for v := range 6 {
		out += fmt.Sprintf("; a set ip:mtu_discover %d; a sendn 3000 to net:9 cmsg udp:segment %s", v, size)
	}
	return out
}

// flow sets IPV6_FLOWLABEL_MGR: a label in hexadecimal, action, share and flags, for ::1.
func flow(label, action, share, flags string) string {
	for len(label) < 8 {
		label = "0" + label
	}
	return "setx ipv6:flowlabel_mgr 00000000000000000000000000000001" + label + action + share + flags + "000600060000000000"
}

// UDP datagrams to 127.0.0.1:7000 with IPv4 options: one NOP; a recorded route with room
// for three, and with room for none; times with room for none, and one that another host is
// to give.
const (
	nopUDP        = "460000000000000040110000" + "7f0000017f000001" + "01010101" + udpHello
	routeUDP      = "490000000000000040110000" + "7f0000017f000001" + "070f0400000000000000000000000000" + udpHello
	fullUDP       = "470000000000000040110000" + "7f0000017f000001" + "0707087f00000901" + udpHello
	timesUDP      = "480000000000000040110000" + "7f0000017f000001" + "440c0d000000000000000000" + udpHello
	othersTimeUDP = "480000000000000040110000" + "7f0000017f000001" + "440c05030a09000700000000" + udpHello
	udpHello      = "1b591b58000d000068656c6c6f"
)

// ownHeader is a raw socket that brings its own headers, and a receiver.
const ownHeader = "a = rawraw; b = udp; b bind lo:7000;"
