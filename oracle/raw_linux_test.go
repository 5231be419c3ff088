package oracle

import (
	"fmt"
	"strings"
)

// Packets of raw sockets with checksums right and wrong, for a port that is taken, one that
// is not, and the host itself. Where a checksum counts, the wrong one is as good as lost.
var rawSums = []struct{ name, lines string }{
	{"udp right", "rawudp|a sendx 1b581b5900096a2861 to lo:0"},
	{"udp wrong", "rawudp|a sendx 1b581b5900096a2961 to lo:0"},
	{"udp wrong, no port", "rawudp|a sendx 1b580009000900ff61 to lo:0"},
	{"udp none, no port", "rawudp|a sendx 1b5800090009000061 to lo:0"},
	{"echo right", "rawicmp|a sendx 0800f7fe00000001 to lo:0"},
	{"echo wrong", "rawicmp|a sendx 0800f7fd00000001 to lo:0"},
	{"echo without", "rawicmp|a sendx 0800000000000001 to lo:0"},
	{"tcp wrong", "socket 2 3 6|a sendx 1b581b5a00000001000000005002ffff00ff0000 to lo:0"},
	{"tcp wrong, no port", "socket 2 3 6|a sendx 1b58000900000001000000005002ffff00ff0000 to lo:0"},
	{"udp6 none", "socket 10 3 17|a sendx 1b581b590009000061 to lo6:0"},
	{"udp6 wrong", "socket 10 3 17|a sendx 1b581b590009123461 to lo6:0"},
	{"udp6 computed", "socket 10 3 17|a set ipv6:checksum 6;a sendx 1b581b590009123461 to lo6:0;a sendx 1b580009000900ff61 to lo6:0"},
	{"udp6 computed elsewhere", "socket 10 3 17|a set ipv6:checksum 8;a sendx 1b581b59000affff6162 to lo6:0"},
	{"tcp6 wrong", "socket 10 3 6|a sendx 1b581b5a00000001000000005002ffff00ff0000 to lo6:0"},
	{"tcp6 computed", "socket 10 3 6|a set ipv6:checksum 16;a sendx 1b581b5a00000001000000005002ffff00ff0000 to lo6:0"},
	{"echo6", "rawicmp6|a sendx 8000fff200000001 to lo6:0"},
}

// rawUseCases are what raw sockets do besides sending and receiving.
func rawUseCases() []sequence {
	var out []sequence
	for _, c := range rawSums {
		kind, send, _ := strings.Cut(c.lines, "|")
		lines := fmt.Sprintf(`r = rawicmp; r6 = rawicmp6; u = udp; u bind lo:7001; u6 = udp6; u6 bind lo6:7001; l = tcp; l bind lo:7002; l listen 5; l6 = tcp6; l6 bind lo6:7002; l6 listen 5
			a = %s; %s; u recv 9; u6 recv 9; a drain; r drain; r6 drain; x = accept l`, kind, send)
		out = append(out, sequence{name: c.name, lines: lines})
	}
	for off := -2; off <= 12; off++ {
		out = append(out, sequence{name: fmt.Sprintf("checksum at %d", off), lines: fmt.Sprintf(`a = raw6; b = raw6; a set ipv6:checksum %[1]d; a get ipv6:checksum; a send hellofriends to lo6:0; b recv 99; a send hello to lo6:0; b recv 99
			a sendx 0000 to lo6:0; b recv 99; a sendx 00 to lo6:0; b recv 99; a sendn 300 to lo6:0; b recv 999; a drain
			b set ipv6:checksum %[1]d; b send x to lo6:0; c = raw6; c send helloxyzzy to lo6:0; b recv 99; a recv 99; c recv 99; a set 255:7 %[1]d; a get 255:7`, off)})
	}
	for _, off := range []int{62, 64, 66, 100, 254, 256, 298, 300, 70000} {
		out = append(out, sequence{name: fmt.Sprintf("checksum at %d", off), lines: fmt.Sprintf(`a = raw6; b = raw6; a set ipv6:checksum %d; a get ipv6:checksum; a sendn 300 to lo6:0; b recv 999; a recv 999; a sendn 2000 to lo6:0; b recv 9999`, off)})
	}
	for _, how := range []string{"rd", "wr", "rdwr"} {
		for _, kind := range []string{"raw", "raw6", "rawicmp", "rawicmp6", "rawraw", "ping", "ping6"} {
			lo, data := "lo", "0800f7fe00000001"
			if kind[len(kind)-1] == '6' {
				lo, data = "lo6", "8000000000000001"
			}
			if kind == "rawraw" {
				data = "450000150000000040fd00007f0000017f00000161"
			}
			for _, peer := range []string{"", "a connect " + lo + ":0; "} {
				out = append(out, sequence{name: kind + " shut " + how + " " + peer, lines: fmt.Sprintf(`b = %[1]s; a = %[1]s; %[2]sa shutdown %[3]s; a sendx %[4]s to %[5]s:0; a recv 0; a recv 0; a sendx %[4]s; a recv 0; b sendx %[4]s to %[5]s:0; a recv 0; a recv 0; a shutdown rdwr; a connect %[5]s:0; a sendx %[4]s; a recv 0; a connect unspec; a recv 0; a shutdown rd`, kind, peer, how, data, lo)})
			}
		}
	}
	return append(out, rawOddCases...)
}

var rawOddCases = []sequence{
	{name: "filters", lines: `a = rawicmp; a setx 58:1 00000000; a get 58:1 32; a setx 41:7 02000000; a get 41:7; a setx 255:7 02000000; a get 255:7; b = rawicmp6; b setx 255:1 00000000; b get 255:1; b get 255:7; b set 255:7 4; b get 255:7; b get 41:7; b set 255:7 -1; b get 255:7; b set 255:7 3; b setx 58:1 00; b setx 58:1; b get 58:1 3; b setx 58:2 00000000; b get 58:2
		c = raw6; c setx 58:1 00000000; c get 58:1 32; c setx 255:1 00000000; c get 255:1; d = raw; d setx 58:1 00000000; d setx 255:1 00000000; d get 255:1; e = udp6; e set ipv6:checksum 2; e get ipv6:checksum; e setx 58:1 00000000; e setx 255:1 00000000; f = tcp6; f set ipv6:checksum 2; g = ping6; g set ipv6:checksum 2; g get ipv6:checksum; g setx 58:1 00000000; h = ping; h setx 255:1 00000000`},
	{name: "filter of 6", lines: `a = rawicmp6; b = rawicmp6; a setx 58:1 ffffffffffffffffffffffffffffffff0100000000000000ffffffffffffffff; b sendx 8000000000000001 to lo6:0; a recv 99; a recv 99; b recv 99; b recv 99; b sendx 8100000000000001 to lo6:0; a recv 99; b recv 99; a setx 58:1 00000000000000000000000000000000; a get 58:1 32`},
	{name: "hdrincl", lines: `b = raw; a = rawraw; a sendx 450000150000000040fd00007f0000017f00000161 to lo:0; b recvx 99; a sendx 450000150000000040fd00007f0000017f00000261 to lo:0; b recvx 99; a sendx 450000150000000040fd0000c00002017f00000161 to lo:0; b recvx 99
		a sendx 450000150000000040fd00007f000001c000020161 to lo:0; b recvx 99; a sendx 450000150000000040fd00007f0000017f00000161 to lo2:0; b recvx 99; a sendx 450000150000000040fd0000000000007f00000161 to lo:0; b recvx 99; a sendx 450000150000000040fd00000a0900010a09000161 to own:0; b recvx 99
		a sendx 450000150000000040fd00007f0000017f00000161; a connect lo:0; a sendx 450000150000000040fd00007f0000017f00000161; b recvx 99; a sendx 450000150000000040fd00007f0000017f00000161 to far:0`},
	{name: "hdrincl short", lines: `b = raw; a = rawraw; a sendx 45 to lo:0; a send "" to lo:0; a sendx 450000130000000040fd00007f0000017f0000 to lo:0; a sendx 450000140000000040fd00007f0000017f000001 to lo:0; b recvx 99
		a sendx 460000140000000040fd00007f0000017f000001 to lo:0; b recvx 99; a sendx 440000140000000040fd00007f0000017f000001 to lo:0; b recvx 99; a sendx 4f0000140000000040fd00007f0000017f0000014142 to lo:0; b recvx 99; a sendx 650000140000000040fd00007f0000017f000001 to lo:0; b recvx 99; a sendx 460000180000000040fd00007f0000017f0000010101010061 to lo:0; b recvx 99; a sendn 1600 to net:0; a sendn 65535 to lo:0; a sendn 65536 to lo:0; a sendn 65537 to lo:0`},
	{name: "hdrincl, length and sum", lines: `b = raw; a = rawraw; a sendx 450000990000000040fd12347f0000017f00000161 to lo:0; b recvx 99; a sendx 450000001234000040fd12347f0000017f00000161 to lo:0; b recv 99`},
	{name: "hdrincl, others' protocols", lines: `u = udp; u bind lo:7001; r = rawicmp; a = rawraw; a sendx 4500001d00000000401100007f0000017f0000011b581b590009000061 to lo:0; u recv 9; a sendx 4500001d00000000401100007f0000017f0000011b581b590009ffff61 to lo:0; u recv 9; a sendx 4500001c00000000400100007f0000017f0000010800f7fe00000001 to lo:0; r recvx 99; r recvx 99; a sendx 4500001c00000000400100007f0000017f0000010800f7ff00000001 to lo:0; r recvx 99; r recvx 99; a sendx 4500001d00000000401100007f0000017f000001dddd00090009000061 to lo:0; r drain`},
	{name: "hdrincl by option", lines: `b = raw; a = raw; a set ip:hdrincl 1; a get ip:hdrincl; a sendx 450000150000000040fd00007f0000017f00000161 to lo:0; b recvx 99; a sendx 450000150000000040fd00007f0000017f00000161 to lo2:0; b recvx 99; a send x to lo:0; a set ip:hdrincl 0; a send x to lo:0; b recvx 99; u = udp; u set ip:hdrincl 1; u get ip:hdrincl; t = tcp; t set ip:hdrincl 1; p = ping; p set ip:hdrincl 1; c = raw6; c set ip:hdrincl 1; c get ip:hdrincl`},
	{name: "hdrincl 6", lines: `b = raw6; a = raw6; a get 41:36; a set 41:36 1; a get 41:36; a sendx 600000000001fd400000000000000000000000000000000100000000000000000000000000000001aa to lo6:0; b recv 99; a sendx 600000000001fd400000000000000000000000000000000100000000000000000000000000000002aa to lo6:0; b recv 99; a sendx 6000 to lo6:0; a set 41:36 0; a send x to lo6:0; b recv 9; c = socket 10 3 255; c get 41:36; c sendx 600000000001fd400000000000000000000000000000000100000000000000000000000000000001aa to lo6:0; b recv 9; c sendx 60 to lo6:0; c set ipv6:checksum 2; c sendx 600000000001fd400000000000000000000000000000000100000000000000000000000000000001aa to lo6:0; b recv 9; u = udp6; u set 41:36 1; u get 41:36`},
	{name: "raw of IPPROTO_RAW", lines: `a = rawraw; b = rawraw; b sendx 450000150000000040ff00007f0000017f00000161 to lo:0; a recvx 99; c = raw; b sendx 450000150000000040fd00007f0000017f00000161 to lo:0; c recvx 99; a recv 9`},
	{name: "connected", lines: `a = raw; a connect lo2:0; b = raw; b send x to lo:0; a recv 0; c = raw; c bind lo2:0; c send x to lo:0; a recv 0; c send x to lo2:0; a recvx 99; a connect lo:0; c send x to lo:0; a recvx 99; a connect unspec; c send x to lo:0; a recv 99; d = raw6; d connect lo6:0; e = raw6; e send x to lo6:0; d recv 9`},
}
