package oracle

import (
	"fmt"
	"strings"
)

// socketCases are socket(2) over domains, types and protocols. AF_UNIX, AF_NETLINK
// and AF_PACKET are left out: they are not an Internet host's.
func socketCases() []sequence {
	var out []sequence
	protocols := []int{-1, 0, 1, 2, 6, 17, 33, 41, 58, 99, 132, 255, 256, 263, 1000, 1 << 30}
	for _, domain := range []int{-1, 0, 2, 10, 46, 100, 1 << 20} {
		for _, typ := range []int{-1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 15, 16, 1 | 0x100, 1 | 0x800, 2 | 0x80000, 1 | 0x1000, 2 | 0x40000000} {
			if domain == 2 && typ == 10 {
				continue // SOCK_PACKET: an AF_PACKET socket
			}
			var b strings.Builder
			for _, p := range protocols {
				fmt.Fprintf(&b, "a = socket %d %d %d; a close;", domain, typ, p)
			}
			for _, unprivileged := range []bool{false, true} {
				who := ""
				if unprivileged {
					who = " unprivileged"
				}
				out = append(out, sequence{name: fmt.Sprintf("%d %#x%s", domain, typ, who), lines: b.String(), unprivileged: unprivileged})
			}
		}
	}
	return out
}

var bindAddrs = []string{
	"any:7000", "lo:7000", "lo2:7000", "own:7000", "net:7000", "far:7000", "bc:7000", "lobc:7000", "netbc:7000", "mc:7000",
	"class_e:7000", "zero:7000", "any:0", "lo:0", "any:80", "any6:7000", "lo6:7000", "m:7000", "m0:7000", "mfar:7000", "mmc:7000",
	"far6:7000", "ll:7000", "ll%1:7000", "ll%2:7000", "ll%9:7000", "mc6:7000", "mc6%1:7000", "compat:7000", "any6:0", "lo6%1:7000", "any6%1:7000",
	"unspec", "unspec:any:7000", "unspec:lo:7000", "unix", "family:99",
}

var inetKinds = []string{"tcp", "tcp6", "udp", "udp6"}

// bindCases bind each kind to each address, alone.
func bindCases() []sequence {
	var out []sequence
	for _, k := range append([]string{"ping", "ping6", "raw", "raw6", "rawicmp", "rawicmp6"}, inetKinds...) {
		for _, a := range bindAddrs {
			out = append(out, sequence{name: k + " " + a, lines: "a = " + k + "; a bind " + a + "; a bind lo:7001; a connect unspec; a bind " + a})
		}
	}
	for _, k := range inetKinds {
		for _, set := range []string{"set ip:freebind 1", "set ip:bind_no_port 1", "set ipv6:v6only 1", "setx so:bindtodevice 6c6f00", "setx so:bindtodevice 743000", "set so:bindtoifindex 2", "set ip:transparent 1"} {
			for _, a := range []string{"any:7000", "far:7000", "net:7000", "own:7000", "lo:0", "any6:7000", "lo6:0", "m:7000", "m0:7000", "far6:7000", "any:0"} {
				out = append(out, sequence{name: k + " " + set + " " + a, lines: "a = " + k + "; a " + set + "; a bind " + a + "; a " + set + "; b = " + k + "; b bind " + a})
			}
		}
	}
	return append(out, bindOddCases...)
}

var bindOddCases = []sequence{
	{name: "zero twice", lines: "a = tcp; a bind any:0; a bind any:0; a bind lo:7000; b = udp; b bind any:0; b bind any:0"},
	{name: "after listen", lines: "a = tcp; a listen 1; a bind any:7000; b = udp; b connect lo:9; b bind any:7000"},
	{name: "after failed connect", lines: "a = tcp; a connect lo:9; a bind any:7000; a connect lo:9; a bind any:7000; a get so:error; a bind any:7000"},
	{name: "low ports", unprivileged: true, lines: `a = tcp; a bind any:80; a bind any:1023; a bind any:1024; b = udp; b bind lo:53; b bind lo:1024
		c = tcp6; c bind any6:80; d = udp6; d bind m:80; e = ping; e bind lo:5; f = tcp; f bind far:80; g = udp; g bind unix`},
	{name: "low ports of root", lines: `a = tcp; a bind any:80; b = udp; b bind lo:53; c = tcp6; c bind any6:443; d = udp6; d bind m:80`},
	{name: "v6only first", lines: "a = tcp6; a set ipv6:v6only 1; a bind any6:7000; b = tcp; b bind any:7000; c = tcp6; c bind any6:7000; d = tcp6; d bind m0:7000"},
	{name: "v6only late", lines: "a = tcp6; a bind any6:7000; a set ipv6:v6only 1; a get ipv6:v6only; b = udp6; b connect lo6:9; b set ipv6:v6only 1; c = tcp6; c connect lo6:9; c set ipv6:v6only 1"},
	{name: "closed frees", lines: "a = tcp; a bind any:7000; b = tcp; b bind any:7000; a close; b bind any:7000; b listen 1; b close; c = tcp; c bind any:7000"},
	{name: "udp closed frees", lines: "a = udp; a bind any:7000; b = udp; b bind any:7000; a close; b bind any:7000"},
	{name: "reuse with TIME-WAIT", lines: pair + `l close; c close; s close; a = tcp; a bind lo:7000; a set so:reuseaddr 1; a bind lo:7000; a listen 1
		d = tcp; d bind @a`},
	{name: "TIME-WAIT of the server", lines: pair + `s close; c close; l close; a = tcp; a bind lo:7000; a bind any:7000; a bind lo2:7000; b = tcp; b set so:reuseaddr 1; b bind any:7000; b listen 3
		c = tcp; c connect lo:7000; s = accept b`},
	{name: "TIME-WAIT, reuse on both", lines: `l = tcp; l set so:reuseaddr 1; l bind lo:7000; l listen 5; c = tcp; c connect lo:7000; s = accept l; s get so:reuseaddr
		s close; c close; l close; a = tcp; a set so:reuseaddr 1; a bind lo:7000; a listen 3`},
	{name: "connected, server port", lines: pair + `l close; a = tcp; a bind any:7000; a set so:reuseaddr 1; a bind any:7000; s get so:reuseaddr; s set so:reuseaddr 1; a bind any:7000; a listen 3`},
	{name: "connected, client port", lines: pair + `a = tcp; a bind lo:c; b = tcp; b set so:reuseaddr 1; b bind lo:c; b listen 1`},
	{name: "reuse changed late", lines: "a = tcp; a bind any:7000; a set so:reuseaddr 1; b = tcp; b set so:reuseaddr 1; b bind any:7000; a listen 1; b listen 1; b connect lo:9"},
	{name: "two bound, both listen", lines: "a = tcp; a set so:reuseaddr 1; a bind any:7000; b = tcp; b set so:reuseaddr 1; b bind any:7000; a listen 1; b listen 1; a close; b listen 1"},
	{name: "two reuseport listeners", lines: "a = tcp; a set so:reuseport 1; a bind any:7000; b = tcp; b set so:reuseport 1; b bind any:7000; a listen 1; b listen 1; c = tcp; c bind any:7000; c set so:reuseport 1; c bind lo:7000; c listen 1"},
	{name: "connect shares port", lines: `l = tcp; l bind lo:7000; l listen 5; a = tcp; a set so:reuseaddr 1; a bind lo:7001; a connect lo:7000; b = tcp; b set so:reuseaddr 1; b bind lo:7001; b connect lo:7000; b connect lo2:7000
		b listen 1; c = tcp; c set so:reuseaddr 1; c bind any:7001; c connect lo:7000; c connect own:9`},
	{name: "bind no port", lines: "l = tcp; l bind any:7000; l listen 1; a = tcp; a set ip:bind_no_port 1; a bind lo2:0; a connect lo:7000; b = tcp; b set ip:bind_no_port 1; b bind lo2:0; b listen 1; c = udp; c set ip:bind_no_port 1; c bind lo2:0; c connect lo:9"},
	{name: "tcp and udp apart", lines: "a = tcp; a bind any:7000; b = udp; b bind any:7000; c = ping; c bind any:7000; d = ping; d bind any:7000; e = ping6; e bind any6:7000"},
	{name: "local port range", lines: "a = tcp; a set ip:local_port_range 0x75317530; a get ip:local_port_range; a bind lo:0; a bind lo:0; a set ip:local_port_range 0x75307531; a set ip:local_port_range 0"},
}

// bindPairCases bind two sockets to one port: addresses, families and sharing
// options in all combinations, the first one just bound or listening.
func bindPairCases() []sequence {
	var out []sequence
	addrs := []struct{ kind, addr string }{
		{"", "any"}, {"", "lo"}, {"", "lo2"}, {"6", "any6"}, {"6", "lo6"}, {"6", "m"}, {"6", "m0"}, {"6 only", "any6"},
	}
	share := []struct{ name, first, second string }{
		{"none", "", ""}, {"reuseaddr", "x set so:reuseaddr 1;", "x set so:reuseaddr 1;"}, {"reuseaddr first", "x set so:reuseaddr 1;", ""},
		{"reuseaddr second", "", "x set so:reuseaddr 1;"}, {"reuseport", "x set so:reuseport 1;", "x set so:reuseport 1;"},
		{"reuseport first", "x set so:reuseport 1;", ""}, {"reuseport second", "", "x set so:reuseport 1;"},
		{"addr and port", "x set so:reuseaddr 1;", "x set so:reuseport 1;"}, {"devices", "x set so:bindtoifindex 1;", "x set so:bindtoifindex 2;"},
		{"a device", "x set so:bindtoifindex 1;", ""},
	}
	for _, proto := range []string{"tcp", "tcp listening", "udp"} {
		for _, a := range addrs {
			for _, b := range addrs {
				var lines strings.Builder
				for i, s := range share {
					make := func(x string, e struct{ kind, addr string }, set string) {
						only := strings.HasSuffix(e.kind, " only")
						fmt.Fprintf(&lines, "%s = %s%s;", x, proto[:3], strings.TrimSuffix(e.kind, " only"))
						if only {
							fmt.Fprintf(&lines, "%s set ipv6:v6only 1;", x)
						}
						fmt.Fprintf(&lines, "%s %s bind %s:%d;", strings.ReplaceAll(set, "x set", x+" set"), x, e.addr, 7000+i)
					}
					x, y := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
					make(x, a, s.first)
					if strings.HasSuffix(proto, "listening") {
						fmt.Fprintf(&lines, "%s listen 1;", x)
					}
					make(y, b, s.second)
					if proto != "udp" {
						fmt.Fprintf(&lines, "%s listen 1;", y)
					}
					fmt.Fprintf(&lines, "%s close; %s close;", x, y)
				}
				out = append(out, sequence{name: fmt.Sprintf("%s %s%s %s%s", proto, a.addr, a.kind, b.addr, b.kind), lines: lines.String()})
			}
		}
	}
	return out
}
