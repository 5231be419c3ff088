package oracle

import (
	"fmt"
	"strings"
)

// scopeCases name a scope with addresses of every kind, in every call that takes one. Linux
// looks at it where the address means something on one link only.
func scopeCases() []sequence {
	var out []sequence
	addrs := []string{"lo6", "any6", "m", "m0", "far6", "ll", "mc6", "mc6n", "ff05::123", "ff0e::123", "fec0::1", "compat"}
	for _, kind := range []string{"tcp6", "udp6", "ping6", "raw6", "rawicmp6"} {
		for _, a := range addrs {
			var b strings.Builder
			say := func(format string, args ...any) { fmt.Fprintf(&b, format+";", args...) }
			if kind == "tcp6" || kind == "udp6" {
				say("r = %s", kind)
				say("r bind any6:7000")
			}
			if kind == "tcp6" {
				say("r listen 30")
			}
			for i, scope := range []int{0, 1, 2, 9999, 1 << 31} {
				to := fmt.Sprintf("%s%%%d:7000", a, scope)
				if strings.HasPrefix(kind, "raw") {
					to = fmt.Sprintf("%s%%%d:0", a, scope)
				}
				say("c%d = %s", i, kind)
				say("c%d connect %s", i, to)
				if kind != "tcp6" {
					say("c%d send %d", i, i)
					say("s%d = %s", i, kind)
					say("s%d sendx 8000000000000001 to %s", i, to)
					say("s%d set ipv6:multicast_if 2", i)
					say("s%d sendx 8000000000000001 to %s", i, to)
					say("t%d = %s", i, kind)
					say("t%d set so:bindtoifindex 1", i)
					say("t%d sendx 8000000000000001 to %s", i, to)
					if kind == "udp6" {
						say("r drain")
					}
				} else {
					say("x%d = accept r", i)
					say("x%d close", i)
				}
				say("d%d = %s", i, kind)
				say("d%d set so:bindtoifindex 1", i)
				say("d%d connect %s", i, to)
				say("b%d = %s", i, kind)
				say("b%d bind %s", i, strings.Replace(to, ":7000", ":7001", 1))
				say("b%d get so:bindtoifindex", i)
				for _, x := range "bcdst" {
					if kind != "tcp6" || x != 's' && x != 't' {
						say("%c%d close", x, i)
					}
				}
			}
			out = append(out, sequence{name: kind + " " + a, lines: b.String()})
		}
	}
	return out
}
