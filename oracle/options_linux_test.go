package oracle

import (
	"fmt"
	"strings"

	"usock/internal/abi"
)

var optionKinds = []string{"tcp", "tcp6", "udp", "udp6", "ping", "ping6", "raw", "raw6"}

// optionValues are what int options are set to.
var optionValues = []int{0, 1, 2, -1, 3, 5, 7, 16, 64, 87, 88, 127, 128, 255, 256, 1000, 1023, 1279, 1280, 2303, 32767, 32768, 65535, 65536, 212992, 5000000, 1 << 30, 1<<31 - 1, -2, -1 << 31}

// structured are options whose values are no ints, or that chance decides on.
var structured = map[string]bool{
	"so:cookie": true, "tcp:info": true, "so:incoming_cpu": true, "so:meminfo": true, "tcp:cc_info": true, "so:incoming_napi_id": true, "so:peercred": true,
}

// optionCases are all the options of package abi on every kind of socket: the
// default, cut short and read long, legal and illegal values and lengths.
func optionCases() []sequence {
	var out []sequence
	for _, k := range optionKinds {
		for _, o := range optionNames {
			var b strings.Builder
			fmt.Fprintf(&b, "a = %s;", k)
			if structured[o.text] {
				fmt.Fprintf(&b, "a get %s 0; a set %s 1; a setx %s;", o.text, o.text, o.text)
				out = append(out, sequence{name: k + " " + o.text, lines: b.String()})
				continue
			}
			for _, size := range []int{4, 0, 1, 2, 3, 5, 8, 16, 32} {
				fmt.Fprintf(&b, "a get %s %d;", o.text, size)
			}
			for _, v := range optionValues {
				fmt.Fprintf(&b, "a set %s %d; a get %s;", o.text, v, o.text)
			}
			fmt.Fprintf(&b, "a set %s 0;", o.text)
			for _, v := range []string{"", "01", "0100", "010000", "0100000000", "0100000002000000", "ff", "0a", "00", "010000000000000000000000", "01000000000000000000000000000000", "05000000000000000500000000000000", "ffffffffffffffff0000000000000000", "000000000000000040420f0000000000", "6c6f00", "6c6f", "74300000", "6375626963", "72656e6f00", "6e6f6e65"} {
				fmt.Fprintf(&b, "a setx %s %s; a get %s 16;", o.text, v, o.text)
			}
			out = append(out, sequence{name: k + " " + o.text, lines: b.String()})
		}
		// What no socket has.
		var b strings.Builder
		fmt.Fprintf(&b, "a = %s;", k)
		for _, o := range []string{"1:200", "1:0", "0:190", "0:0", "6:200", "6:0", "17:200", "41:200", "41:0", "58:1", "58:9", "255:1", "255:9", "99:1", "-1:1", "1:-1", "132:1", "136:10", "136:1", "263:1", "269:1", "284:1"} {
			fmt.Fprintf(&b, "a get %s; a get %s 0; a set %s 1; a setx %s 00;", o, o, o, o)
		}
		out = append(out, sequence{name: k + " unknown", lines: b.String()})
	}
	return out
}

var optionUseCases = []sequence{
	{name: "error is read once", lines: `a = udp; a connect lo:9; a send x; a get so:error 1; a get so:error; a set so:error 1; a send x; a get so:error 0; a get so:error`},
	{name: "buffers of a connection", lines: pair + `c get so:rcvbuf; s get so:rcvbuf; c set so:rcvbuf 4000; c get so:rcvbuf; c set so:sndbuf 4000; c get so:sndbuf; c set so:rcvbuf 0; c get so:rcvbuf; c set so:sndbuf 0; c get so:sndbuf; c set so:rcvbuf 100000000; c get so:rcvbuf; c set so:sndbufforce 100; c get so:sndbuf; c set so:rcvbufforce 100000000; c get so:rcvbuf; l get so:rcvbuf; l get so:sndbuf`},
	{name: "segments", lines: listening + `c = tcp; c set tcp:maxseg 500; c get tcp:maxseg; c connect lo:7000; s = accept l; c get tcp:maxseg; s get tcp:maxseg; c set tcp:maxseg 400; c get tcp:maxseg; s set tcp:maxseg 300; s get tcp:maxseg; c set tcp:maxseg 87; c set tcp:maxseg 0`},
	{name: "segments of the listener", lines: `l = tcp; l set tcp:maxseg 700; l bind lo:7000; l listen 1; c = tcp; c connect lo:7000; s = accept l; c get tcp:maxseg; s get tcp:maxseg; l get tcp:maxseg`},
	{name: "keepalive", lines: pair + `c set so:keepalive 1; c set tcp:keepidle 1; c get tcp:keepidle; c set tcp:keepidle 32768; c set tcp:keepidle 0; c set tcp:keepcnt 128; c set tcp:keepintvl 0; c get so:keepalive; s close; c set so:keepalive 0`},
	{name: "congestion control", lines: `a = tcp; a get tcp:congestion 16; a setx tcp:congestion 72656e6f; a get tcp:congestion 16; a get tcp:congestion 4; a setx tcp:congestion 6e6f7065; a setx tcp:congestion; a setx tcp:congestion 6375626963; a get tcp:congestion 20; a setx tcp:congestion 726200`},
	{name: "quick acknowledgments", lines: pair + `c get tcp:quickack; c set tcp:quickack 0; c get tcp:quickack; c set tcp:quickack 1; c get tcp:quickack; s get tcp:quickack`},
	{name: "tos", lines: `a = tcp; a set ip:tos 255; a get ip:tos; a set ip:tos 3; a get ip:tos; a set ip:tos 16; a get so:priority; b = udp; b set ip:tos 255; b get ip:tos; b set ip:tos 8; b get so:priority; c = tcp6; c set ipv6:tclass 255; c get ipv6:tclass; c set ipv6:tclass -1; c get ipv6:tclass; c set ip:tos 4; c get ip:tos; c get ipv6:tclass`},
	{name: "ttl of both", lines: `a = tcp6; a set ip:ttl 9; a get ip:ttl; a get ipv6:unicast_hops; a set ipv6:unicast_hops 8; a get ip:ttl; a get ipv6:unicast_hops; b = udp6; b set ip:multicast_ttl 5; b get ip:multicast_ttl; b get ipv6:multicast_hops; b set ipv6:multicast_hops 4; b get ip:multicast_ttl; b set ip:multicast_loop 0; b get ipv6:multicast_loop; b set ip:mtu_discover 2; b get ipv6:mtu_discover; b set ipv6:mtu_discover 3; b get ip:mtu_discover; b set ip:multicast_all 0; b get ipv6:multicast_all`},
	{name: "mtu", lines: `a = udp; a get ip:mtu; a set ip:mtu 1000; a connect lo:9; a get ip:mtu; a connect net:9; a get ip:mtu; a connect unspec; a get ip:mtu; b = udp6; b get ipv6:mtu; b connect lo6:9; b get ipv6:mtu; b set ipv6:mtu 1280; b get ipv6:mtu; b set ipv6:mtu 0; b set ipv6:mtu 100; b get ip:mtu; c = udp6; c connect m:9; c get ipv6:mtu; c get ip:mtu; d = tcp; d connect net:9; d get ip:mtu`},
	{name: "device", lines: `a = tcp; a setx so:bindtodevice 6c6f00; a get so:bindtodevice 16; a get so:bindtodevice 3; a get so:bindtodevice 2; a get so:bindtodevice 0; a get so:bindtoifindex; a setx so:bindtodevice; a get so:bindtodevice 16; a setx so:bindtodevice 6e6f7065; a set so:bindtoifindex 2; a get so:bindtodevice 16; a set so:bindtoifindex 9; a set so:bindtoifindex -1; a set so:bindtoifindex 0; a connect lo:9; b = tcp; b set so:bindtoifindex 2; b connect lo:9; c = udp; c set so:bindtoifindex 2; c bind any:7000; d = udp; d send x to lo:7000; c recv 9; c set so:bindtoifindex 1; d send y to lo:7000; c recv 9; e = tcp; e setx so:bindtodevice 6c6f00000000000000000000000000000000000000; e setx so:bindtodevice 00; e get so:bindtodevice 16`},
	{name: "device and listener", lines: `l = tcp; l set so:bindtoifindex 2; l bind any:7000; l listen 1; c = tcp; c connect lo:7000; c get so:error; m = tcp; m set so:bindtoifindex 1; m bind any:7000; m listen 1; d = tcp; d connect lo:7000; s = accept m; s get so:bindtoifindex; e = tcp; e connect own:7000; t = accept m; u = accept l`},
	{name: "window clamp", lines: pair + `c get tcp:window_clamp; c set tcp:window_clamp 100; c get tcp:window_clamp; c set tcp:window_clamp 0; a = tcp; a set tcp:window_clamp 100; a get tcp:window_clamp; a set tcp:window_clamp 0; a get tcp:window_clamp`},
	{name: "deferred accept", lines: `a = tcp; a set tcp:defer_accept 1; a get tcp:defer_accept; a set tcp:defer_accept 2; a get tcp:defer_accept; a set tcp:defer_accept 10; a get tcp:defer_accept; a set tcp:defer_accept 100000; a get tcp:defer_accept; a set tcp:defer_accept -1; a get tcp:defer_accept`},
	{name: "fast open", lines: `a = tcp; a get tcp:fastopen; a set tcp:fastopen 5; a get tcp:fastopen; a listen 1; a get tcp:fastopen; a set tcp:fastopen 0; b = tcp; b set tcp:fastopen_connect 1; b get tcp:fastopen_connect; c = tcp; c connect lo:a; c set tcp:fastopen 1; c set tcp:fastopen_connect 1; d = tcp; d listen 1; d set tcp:fastopen 7; d get tcp:fastopen; d set tcp:fastopen -1`},
	{name: "timestamps", lines: `a = udp; a set so:timestamp 1; a get so:timestamp; a get so:timestampns; a set so:timestampns 1; a get so:timestamp; a get so:timestampns; a set so:timestamp 0; a get so:timestampns; a set so:timestamping 16; a get so:timestamping; a set so:timestamping 65535; a set so:timestamping 8388608`},
	{name: "inq", lines: pair + `s set tcp:inq 1; s get tcp:inq; c send hello; s recv 2; s recv 9; s set tcp:inq 2; s set tcp:inq 0`},
	{name: "info", lines: `a = tcp; a get tcp:info 1; a get tcp:info 0; a listen 1; a get tcp:info 1; b = tcp; b connect net:9; b get tcp:info 1; ` + pair + `c get tcp:info 1; s shutdown wr; c get tcp:info 1; s get tcp:info 1; c shutdown wr; s get tcp:info 1; c get tcp:info 1; a get tcp:info 7; c get tcp:info 8`},
	{name: "save syn", lines: `l = tcp; l set tcp:save_syn 1; l get tcp:save_syn; l set tcp:save_syn 3; l set tcp:save_syn -1`},
	{name: "zero optlen on bools", lines: `a = tcp; a setx so:keepalive; a setx so:keepalive 01; a setx so:keepalive 010000; a setx tcp:nodelay; a setx ip:ttl; a setx ip:ttl 05; a get ip:ttl; a setx ip:ttl 0500; a get ip:ttl; a setx ip:recvttl; a setx ip:recvttl 01; a get ip:recvttl; a setx ip:tos 10; a get ip:tos; a get ip:tos 1; a get ip:tos 2; a get ip:ttl 3; a get ip:ttl 5`},
}

// unseen uses the options that have no effect to be seen.
const unseen = `a = udp; b = udp; b bind lo:7000; a get so:mark; a set so:mark 77; a get so:mark; a setx so:mark 0100; a set so:mark -1; a get so:mark; a set so:mark 0
	a get so:busy_poll; a set so:busy_poll 0; a set so:busy_poll -1; a set so:busy_poll 50; a set so:busy_poll 40; a get so:busy_poll
	a get so:prefer_busy_poll; a set so:prefer_busy_poll 0; a set so:prefer_busy_poll 5; a get so:prefer_busy_poll
	a get so:busy_poll_budget; a set so:busy_poll_budget 8; a set so:busy_poll_budget 9; a set so:busy_poll_budget -1; a set so:busy_poll_budget 70000; a set so:busy_poll_budget 3; a set so:busy_poll_budget 4
	a get so:incoming_cpu; a set so:incoming_cpu 1; a get so:incoming_cpu; a set so:incoming_cpu -7; a get so:incoming_cpu; a set so:incoming_napi_id 1; a get so:incoming_napi_id
	a get so:txtime 8; a get so:txtime; a send x to lo:7000 cmsg so:txtime 0000000000000000; a setx so:txtime 0100000001000000; a get so:txtime 8; a setx so:txtime 0000000000000000; a setx so:txtime 0b00000002000000; a get so:txtime 8; a setx so:txtime 0100000004000000; a setx so:txtime 01000000; a setx so:txtime 010000000100000000; a setx so:txtime 6300000000000000; a setx so:txtime ffffffff00000000; a get so:txtime 16
	a send x to lo:7000 cmsg so:txtime 0000000000000000; b recv 9; a send y to lo:7000 cmsg so:txtime 00000000; a send z to lo:7000 cmsg so:mark 05000000; b recv 9; a send z to lo:7000 cmsg so:mark 0500; b recv 9
	l = tcp; l set so:mark 9; l set so:busy_poll 20; l set so:prefer_busy_poll 1; l setx so:txtime 0100000001000000; l bind lo:7000; l listen 5; c = tcp; c connect lo:7000; s = accept l; s get so:mark; s get so:busy_poll; s get so:prefer_busy_poll; s get so:txtime 8`

// capabilityCases are programs that have one capability.
func capabilityCases() (out []sequence) {
	lines := `a = raw; b = rawicmp; b set so:mark 1; c = raw6
		l = tcp; l bind any:80; l bind any:7000; u = udp6; u bind any6:1023; u bind any6:1024
		t = tcp; t set so:priority 7; t get so:priority; t set so:mark 9; t get so:mark; t set so:rcvbufforce 9000000; t get so:rcvbuf; t set so:sndbufforce 9000000; t get so:sndbuf
		t set so:debug 1; t get so:debug; t set so:prefer_busy_poll 1; t get so:prefer_busy_poll; t set so:busy_poll_budget 9; t setx so:txtime 0b00000000000000; t get so:txtime 8
		t setx so:bindtodevice 6c6f00; t setx so:bindtodevice 743000; t get so:bindtodevice 16; t set so:bindtoifindex 0; t get so:bindtoifindex
		r = udp; r bind lo:7001; d = udp; d send x to lo:7001 cmsg so:mark 05000000; r recv 9; d send y to lo:7001 cmsg so:priority 07000000; r recv 9`
	for _, c := range []int{abi.CAP_NET_RAW, abi.CAP_NET_BIND_SERVICE, abi.CAP_NET_ADMIN, abi.CAP_SYS_ADMIN, abi.CAP_SETUID} {
		out = append(out, sequence{name: fmt.Sprint("capability ", c), unprivileged: true, but: []int{c}, lines: lines})
	}
	return out
}

// privilegeCases are programs without capabilities.
var privilegeCases = []sequence{
	{name: "raw", unprivileged: true, lines: `a = raw; a = raw6; a = rawicmp; a = rawraw; b = ping; b bind any:0; c = socket 2 3 0; c = socket 2 3 -1; c = socket 10 3 300`},
	{name: "options", unprivileged: true, lines: `a = tcp; a set so:priority 6; a set so:priority 7; a set so:priority -1; a get so:priority; a set so:mark 1; a get so:mark; a set so:mark 0; a set so:rcvbufforce 9000; a get so:rcvbuf; a set so:sndbufforce 9000; a set so:debug 1; a set so:debug 0; a get so:debug; a setx so:bindtodevice 6c6f00; a get so:bindtodevice 16; a setx so:bindtodevice 743000; a set so:bindtoifindex 2; a set so:bindtoifindex 0; a set ip:transparent 1; a set ip:transparent 0; a get ip:transparent; a set ip:freebind 1; a set so:busy_poll 50; a set tcp:tx_delay 5; a setx tcp:congestion 72656e6f; a setx tcp:congestion 626272; a set ip:tos 192; a get so:priority; a set 1:61 5; a set 1:46 0; a set 6:19 1`},
	{name: "options of root", lines: `a = tcp; a set so:priority 6; a set so:priority 7; a set so:priority -1; a get so:priority; a set so:mark 1; a get so:mark; a set so:mark 0; a set so:rcvbufforce 9000; a get so:rcvbuf; a set so:sndbufforce 9000; a get so:sndbuf; a set so:debug 1; a get so:debug; a setx so:bindtodevice 743000; a set so:bindtoifindex 1; a set ip:transparent 1; a get ip:transparent; a set so:busy_poll 50; a get so:busy_poll`},
	{name: "control", unprivileged: true, lines: `b = udp; b bind lo:7000; a = udp; a send x to lo:7000 cmsg so:mark 05000000; b recv 9; a send x to lo:7000 cmsg so:priority 07000000; a send y to lo:7000 cmsg so:priority 03000000; b recv 9; c = udp6; a send x to lo:7000 cmsg 1:19 05000000`},
	{name: "without effect", unprivileged: true, lines: unseen},
	{name: "without effect, of root", lines: unseen},
	{name: "sends", unprivileged: true, lines: `a = udp; a send x to lo:9; a send x to bc:9; a connect lo:9; a send x; a get so:error; l = tcp; l bind lo:1023; l bind lo:7000; l listen 1; c = tcp; c connect lo:7000; s = accept l`},
}
