package gateway

import (
	"net/netip"
	"syscall"

	"usock/internal/target"
)

// Refusal is what who asks for a flow that is denied sees.
type Refusal uint8

const (
	// Prohibit tells by ICMP that it is administratively prohibited: EHOSTUNREACH for IPv4
	// (RFC 1812, section 5.2.7.1, code 13), EACCES for IPv6 (RFC 4443, section 3.1, code 1).
	Prohibit Refusal = iota
	// Reset answers as a host with nobody on the port: ECONNREFUSED.
	Reset
	// Drop does not answer.
	Drop
)

// policy decides with rules in order: the first that matches counts. What matches none is
// denied if one of them allows, else allowed. A nil policy allows everything.
type policy struct {
	rules   []Rule
	listed  bool // one of the rules allows
	byName  bool // one is about names
	refusal Refusal
	search  target.Search
	names   *nameTable
}

// asking is a flow that a policy is asked about.
type asking struct {
	proto uint8       // IPPROTO_TCP, IPPROTO_UDP or IPPROTO_ICMP (for ICMPv6, too)
	host  netip.Addr  // the other side
	port  uint16      // that the one who begins asks for
	here  func() bool // host is the machine itself
}

func newPolicy(rules []Rule, refusal Refusal, names *nameTable) *policy {
	if len(rules) == 0 {
		return nil
	}
	p := &policy{rules: rules, refusal: refusal, names: names}
	for i := range rules {
		p.listed = p.listed || rules[i].Allow
		p.byName = p.byName || rules[i].target.ByName()
	}
	return p
}

// filtersNames reports whether only some names may be asked for.
func (p *policy) filtersNames() bool { return p != nil && p.byName }

// decide reports whether a flow is allowed, and the rule that says so; nil: none matched.
func (p *policy) decide(a *asking) (bool, *Rule) {
	if p == nil {
		return true, nil
	}
	var names []string
	if p.byName {
		names = p.names.of(a.host)
	}
	for i := range p.rules {
		if r := &p.rules[i]; r.target.About(a.proto, a.port) && p.matches(r, a, names) {
			return r.Allow, r
		}
	}
	return !p.listed, nil
}

// matches reports whether a rule is about the host. What denies the loopback interface denies
// the machine's other addresses too, which lead to the same servers.
func (p *policy) matches(r *Rule, a *asking, names []string) bool {
	switch t := &r.target; t.Host {
	case target.AnyHost:
		return true
	case target.ByAddr:
		return t.Contains(a.host) || t.Loopback && !r.Allow && a.here()
	}
	for _, n := range names {
		if r.target.MatchesName(n, &p.search) {
			return true
		}
	}
	return false
}

// How a rule may be about the addresses of a name, or of one that is not known yet.
const (
	never = iota
	perhaps
	always
)

// mayAllow reports whether some rule can allow a flow to the hosts that about tells of.
func (p *policy) mayAllow(about func(*Rule) int) bool {
	for i := range p.rules {
		r := &p.rules[i]
		switch how := about(r); {
		case how == never:
		case r.Allow:
			return true
		case how == always && r.target.Whole():
			return false
		}
	}
	return !p.listed
}

// mayAllowName reports whether some rule can allow a flow to a name, in lower case and without
// a dot at its end: what stands for an address (PTR) is as good as that.
func (p *policy) mayAllowName(name string) bool {
	if addr, ok := reversed(name); ok {
		names := p.names.of(addr)
		return p.mayAllow(func(r *Rule) int {
			if p.matches(r, &asking{host: addr, here: func() bool { return false }}, names) {
				return always
			}
			return never
		})
	}
	return p.mayAllow(func(r *Rule) int {
		switch t := &r.target; {
		case t.Host == target.AnyHost || t.ByName() && t.MatchesName(name, &p.search):
			return always
		case t.Host == target.ByAddr && !t.Loopback:
			return perhaps
		}
		return never
	})
}

// icmpProto is how rules and records call ICMP of both families.
const icmpProto = target.ICMP

// protoText returns a protocol's name.
func protoText(proto uint8) string {
	switch proto {
	case syscall.IPPROTO_TCP:
		return "tcp"
	case syscall.IPPROTO_UDP:
		return "udp"
	case target.SCTP:
		return "sctp"
	}
	return "icmp"
}
