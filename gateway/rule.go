package gateway

import (
	"fmt"

	"usock/internal/target"
)

// Rule says of some flows that they are allowed or denied. Make one with ParseRule.
type Rule struct {
	Allow bool

	text   string
	target target.Target
}

// maxRules bounds the rules of a policy, as each flow is compared with all of them.
const maxRules = 4096

const ruleForms = "a rule is [HOST][:PORTS][/PROTO], such as api.example:443, *.example, 10.0.0.0/8:80,8000-8999/tcp, [2001:db8::/32]:53/udp, :25 or */icmp"

// ParseRule reads a rule: [HOST][:PORTS][/PROTO].
//
//   - HOST is a name; *. and a name, for all names that end so; an address; a prefix, such as
//     10.0.0.0/8; localhost, for all addresses of the loopback interface; or * or nothing, for
//     all. An IPv6 address, or prefix, with ports behind it stands in brackets.
//   - PORTS are ports and ranges of ports, with commas between them.
//   - PROTO is tcp, udp, sctp or icmp. A rule with ports is about all but ICMP. SCTP in UDP is UDP.
//
// A name with a dot at its end is only as it is; others are also meant with what a search list
// appends.
func ParseRule(allow bool, text string) (Rule, error) {
	t, err := target.Parse(text, "tcp", "udp", "sctp", "icmp")
	if err != nil {
		return Rule{}, fmt.Errorf("%w; %s", err, ruleForms)
	}
	return Rule{allow, text, t}, nil
}

// String returns the rule as it was given.
func (r *Rule) String() string { return r.text }
