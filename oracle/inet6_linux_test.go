package oracle

import "fmt"

var tcp6Cases = []sequence{
	{name: "plain", lines: `l = tcp6; l bind any6:7000; l listen 5; c = tcp6; c connect lo6:7000; s = accept l; c send x; s recv 1; s close; c recv 1; c get ipv6:v6only; c get tcp:maxseg; c get ipv6:mtu; c get ip:mtu`},
	{name: "dual stack", lines: `l = tcp6; l bind any6:7000; l listen 5; c = tcp; c connect lo:7000; s = accept l; c send x; s recv 1; s get so:domain; s get tcp:maxseg; s get ip:ttl; s get ipv6:unicast_hops; s get ipv6:mtu; s get ip:mtu; d = tcp6; d connect m:7000; t = accept l; d send y; t recv 9; d get ipv6:mtu; d get ip:mtu`},
	{name: "v6 only", lines: `l = tcp6; l set ipv6:v6only 1; l bind any6:7000; l listen 5; c = tcp; c connect lo:7000; c get so:error; d = tcp6; d connect lo6:7000; s = accept l; e = tcp6; e set ipv6:v6only 1; e connect m:7000; e connect lo6:7000; s get ipv6:v6only; f = tcp6; f set ipv6:v6only 1; f bind m:0`},
	{name: "mapped bind", lines: `l = tcp6; l bind m:7000; l listen 5; c = tcp; c connect lo:7000; s = accept l; d = tcp6; d connect lo6:7000; d get so:error; e = tcp6; e bind m:0; e connect lo6:7000; e connect m:7000; t = accept l; f = tcp6; f bind lo6:0; f connect m:7000`},
	{name: "wildcards", lines: `l = tcp6; l bind any6:7000; l listen 5; c = tcp6; c connect any6:7000; s = accept l; d = tcp6; d connect m0:7000; t = accept l; e = tcp; e connect any:7000; u = accept l; f = tcp6; f bind m:0; f connect any6:7000; v = accept l; g = tcp6; g bind m0:0; g connect any6:7000; w = accept l`},
	{name: "odd peers", lines: `a = tcp6; a connect far6:9; a connect mc6:9; a connect mc6%1:9; a connect ll:9; a connect ll%1:9; a connect ll%2:9; a connect ll%9:9; a connect mfar:9; a connect mbc:9; a connect mmc:9; a connect lo:9; a connect lo6:9/23; a connect unix; a connect compat:9; a connect lo6%1:9; a get so:error; a connect lo6:9/24; a get so:error`},
	{name: "refused", lines: `a = tcp6; a connect lo6:9; a connect lo6:9; b = tcp6; b connect m:9; b get so:error; b connect lo6:9; b get so:error`},
	{name: "bound then either", lines: `l = tcp6; l bind any6:7000; l listen 5; a = tcp6; a bind any6:7001; a connect m:7000; s = accept l; b = tcp6; b bind any6:7002; b connect lo6:7000; t = accept l; c = tcp6; c bind any6:7003; c set ipv6:v6only 1; c connect m:7000`},
	{name: "dissolve", lines: `l = tcp6; l bind any6:7000; l listen 5; c = tcp6; c connect m:7000; c connect m:7000; c connect unspec; c connect lo6:7000; c connect lo6:7000; s = accept l; t = accept l; c connect unspec/2; u = udp6; u connect m:9; u connect unspec; u connect lo6:9`},
	{name: "udp dual stack", lines: `a = udp6; a bind any6:7000; b = udp; b bind lo:7001; b send x to lo:7000; a recv 9; a send y to m:7001; b recv 9; a send z to lo:7001; b recv 9; c = udp6; c bind lo6:7002; c send q to lo6:7000; a recv 9; a send r to lo6:7002; c recv 9; c send s to m:7000; c send s to lo:7000; a recv 9`},
	{name: "udp v6 only", lines: `a = udp6; a set ipv6:v6only 1; a bind any6:7000; a send x to m:9; a send x to lo:9; a connect m:9; a connect lo6:9; b = udp; b bind any:7000; b send x to lo:7000; b recv 9; a recv 9`},
	{name: "udp connected v6", lines: `a = udp6; a bind any6:7000; a connect m:7001; a send x; a get so:error; a connect lo6:7001; a send x to m:7001; a send x; a get so:error; b = udp6; b bind m0:7002; b connect lo6:9; b connect m:9; b send x to lo6:9`},
	{name: "udp ports shared", lines: `a = udp; a set so:reuseport 1; a bind any:7000; b = udp6; b set so:reuseport 1; b bind any6:7000; c = udp; c send x to lo:7000; a recv 9; b recv 9; d = udp6; d send y to lo6:7000; a recv 9; b recv 9; d send z to m:7000; a recv 9; b recv 9`},
	{name: "addrform", lines: `a = tcp6; a set ipv6:addrform 2; a connect m:9; b = udp6; b connect m:9; b set ipv6:addrform 2; b get so:domain; c = udp6; c connect lo6:9; c set ipv6:addrform 2; c set ipv6:addrform 10; d = tcp; d set ipv6:addrform 2`},
	{name: "scope", lines: `a = udp6; a bind lo6%1:7000; b = udp6; b connect lo6%1:7000; b send x; a recv 9; c = udp6; c send x to ll%2:9; c send x to ll:9; c connect ll%2:9; d = udp6; d set so:bindtoifindex 2; d connect ll:9; d send x; e = udp6; e send x to mc6:9; e send x to mc6%2:9; e send x to mc6%1:9`},
	{name: "names cut short", lines: `a = tcp6; a bind lo6:7000/26; b = udp6; b send x to lo6:9/24; b send x to lo6:9/23; b send x to lo:9/15; b send x to lo:9/16; c = udp; c send x to lo:9/15; c send x to lo:9/8; c send x to lo:9/128; c send x to unspec:lo:9; c send x to unspec:lo:9/15; b send x to unspec:lo:9; b send x to unspec; c send x to unspec; c send x to family:77; b send x to family:77; b send x to unspec:lo6:9`},
}

// connectCases connect each kind to each address.
func connectCases() []sequence {
	var out []sequence
	peers := []string{
		"lo:9", "lo2:9", "own:9", "net:9", "any:9", "far:9", "bc:9", "netbc:9", "lobc:9", "mc:9", "class_e:9", "zero:9", "lo:0",
		"lo6:9", "any6:9", "m:9", "m0:9", "mfar:9", "mbc:9", "mmc:9", "ll:9", "ll%1:9", "ll%2:9", "ll%9:9", "mc6:9", "mc6%1:9", "mc6%2:9", "mc6n:9", "far6:9", "lo6:0", "compat:9",
		"unspec", "unspec/2", "unspec:lo:9", "unix", "family:77", "lo6:9/24",
	}
	binds := []string{"", "any:0", "lo:0", "own:0", "any6:0", "lo6:0", "m:0", "m0:0"}
	sets := []string{"", "set so:broadcast 1", "set so:bindtoifindex 1", "set so:bindtoifindex 2", "set ip:multicast_if 0x0100090a", "set ipv6:multicast_if 2", "set ipv6:v6only 1"}
	for _, k := range []string{"tcp", "tcp6", "udp", "udp6", "ping", "ping6", "raw", "raw6"} {
		for _, p := range peers {
			lines := ""
			for i, b := range binds {
				x := fmt.Sprintf("a%d", i)
				lines += fmt.Sprintf("%s = %s;", x, k)
				if b != "" {
					lines += fmt.Sprintf("%s bind %s;", x, b)
				}
				lines += fmt.Sprintf("%s connect %s; %s get so:error; %s connect lo:8; %s close;", x, p, x, x, x)
			}
			for i, s := range sets {
				x := fmt.Sprintf("b%d", i)
				lines += fmt.Sprintf("%s = %s;", x, k)
				if s != "" {
					lines += fmt.Sprintf("%s %s;", x, s)
				}
				lines += fmt.Sprintf("%s connect %s; %s get so:error; %s send x; %s connect unspec; %s send x to %s; %s close;", x, p, x, x, x, x, p, x)
			}
			out = append(out, sequence{name: k + " " + p, lines: lines})
		}
	}
	return out
}

// lengthCases give each kind addresses that are cut short, or too long.
func lengthCases() []sequence {
	var out []sequence
	for _, k := range []string{"tcp", "tcp6", "udp", "udp6", "ping", "ping6", "raw", "raw6"} {
		for _, p := range []string{"unspec/1", "unspec/0", "lo:9/15", "lo:9/8", "lo:9/2", "lo:9/1", "lo:9/0", "lo:9/17", "lo:9/128", "lo6:9/24", "lo6:9/23", "lo6:9/16", "lo6:9/15", "lo6:9/27", "lo6:9/128", "unix/2", "unix/1"} {
			for _, call := range []string{"connect ", "bind ", "send x to "} {
				out = append(out, sequence{name: k + " " + call + p, lines: "a = " + k + "; a " + call + p})
			}
		}
	}
	return out
}
