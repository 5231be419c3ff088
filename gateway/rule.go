package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Rule says of some flows that they are allowed or denied. Make one with ParseRule.
type Rule struct {
	Allow bool

	text     string
	host     hostKind
	name     string         // named, below: in lower case, without a dot at its end
	absolute bool           // the name is none that gets a suffix
	prefixes []netip.Prefix // byAddr
	ports    []portSpan     // nil: all
	proto    uint8          // IPPROTO_TCP, IPPROTO_UDP or IPPROTO_ICMP, which stands for ICMPv6 too; 0: all
	loopback bool           // the prefixes are the loopback interface's, with 127.0.0.1 or ::1
}

type hostKind uint8

const (
	anyHost hostKind = iota
	named            // by name
	below            // names that end with a dot and name
	byAddr           // by address
)

type portSpan struct{ first, last uint16 }

// maxRules bounds the rules of a policy, as each flow is compared with all of them.
const maxRules = 4096

const ruleForms = "a rule is [HOST][:PORTS][/PROTO], such as api.example:443, *.example, 10.0.0.0/8:80,8000-8999/tcp, [2001:db8::/32]:53/udp, :25 or */icmp"

// ParseRule reads a rule: [HOST][:PORTS][/PROTO].
//
//   - HOST is a name; *. and a name, for all names that end so; an address; a prefix, such as
//     10.0.0.0/8; localhost, for all addresses of the loopback interface; or * or nothing, for
//     all. An IPv6 address, or prefix, with ports behind it stands in brackets.
//   - PORTS are ports and ranges of ports, with commas between them.
//   - PROTO is tcp, udp or icmp. A rule with ports is about TCP and UDP.
//
// A name with a dot at its end is only as it is; others are also meant with what a search list
// appends.
func ParseRule(allow bool, text string) (Rule, error) {
	r := Rule{Allow: allow, text: text}
	if err := r.parse(text); err != nil {
		return Rule{}, fmt.Errorf("%w; %s", err, ruleForms)
	}
	return r, nil
}

// String returns the rule as it was given.
func (r *Rule) String() string { return r.text }

func (r *Rule) parse(text string) error {
	if text == "" {
		return errors.New("it is empty (* stands for everything)")
	}
	if i := strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }); i >= 0 {
		return fmt.Errorf("there is a %q in it", text[i])
	}
	host, ports, proto, err := splitRule(text)
	if err != nil {
		return err
	}
	if err := r.setProto(proto); err != nil {
		return err
	}
	if ports != "" {
		if r.proto == icmpProto {
			return errors.New("icmp has no ports")
		}
		if err := r.setPorts(ports); err != nil {
			return err
		}
	}
	return r.setHost(host)
}

// splitRule takes a rule apart. Parts that are not there are empty.
func splitRule(text string) (host, ports, proto string, err error) {
	rest := text
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if host, rest, ok = strings.Cut(inner, "]"); !ok {
			return "", "", "", errors.New("the bracket does not end")
		}
		if !strings.Contains(host, ":") {
			return "", "", "", fmt.Errorf("%q is no IPv6 address, and only those stand in brackets", host)
		}
		if rest != "" && rest[0] != ':' && rest[0] != '/' {
			return "", "", "", fmt.Errorf("%q stands behind the bracket, where a port has a colon before it", rest)
		}
	}
	if i := strings.LastIndexByte(rest, '/'); i >= 0 && (i+1 == len(rest) || rest[i+1] < '0' || rest[i+1] > '9') {
		if rest, proto = rest[:i], rest[i+1:]; proto == "" {
			return "", "", "", errors.New("a protocol is missing behind the last /")
		}
	}
	var has bool
	if host != "" {
		if strings.Contains(rest, "/") {
			return "", "", "", fmt.Errorf("%q stands behind the bracket; the length of a prefix stands in it: [2001:db8::/32]:53", rest)
		}
		ports, has = strings.CutPrefix(rest, ":")
	} else if strings.Count(rest, ":") > 1 {
		addr, length, _ := strings.Cut(rest, "/")
		if _, err := netip.ParseAddr(addr); err != nil || strings.Contains(length, ":") {
			return "", "", "", fmt.Errorf("%q is no IPv6 address; one with a port behind it stands in brackets: [2001:db8::1]:443", rest)
		}
		host = rest
	} else {
		host, ports, has = strings.Cut(rest, ":")
	}
	if has && ports == "" {
		return "", "", "", errors.New("a port is missing behind the colon")
	}
	return host, ports, proto, nil
}

func (r *Rule) setProto(name string) error {
	switch strings.ToLower(name) {
	case "":
	case "tcp":
		r.proto = syscall.IPPROTO_TCP
	case "udp":
		r.proto = syscall.IPPROTO_UDP
	case "icmp":
		r.proto = icmpProto
	default:
		return fmt.Errorf("%q is no protocol: there are tcp, udp and icmp", name)
	}
	return nil
}

func (r *Rule) setPorts(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		a, b, has := strings.Cut(part, "-")
		first, err := rulePort(a)
		last := first
		if err == nil && has {
			last, err = rulePort(b)
		}
		if err != nil {
			return err
		}
		if last < first {
			return fmt.Errorf("the range %s ends before it begins", part)
		}
		r.ports = append(r.ports, portSpan{first, last})
	}
	return nil
}

func rulePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port: those are 1 to 65535", text)
	}
	return uint16(n), nil
}

func (r *Rule) setHost(host string) error {
	name := lower(strings.TrimSuffix(host, "."))
	switch {
	case host == "" || host == "*":
		r.host = anyHost
		return nil
	case name == "localhost" || strings.HasSuffix(name, ".localhost"): // RFC 6761, section 6.3
		r.host, r.prefixes, r.loopback = byAddr, loopbackPrefixes, true
		return nil
	case strings.Contains(host, "/") || strings.Contains(host, ":") || numeric(name):
		p, err := parsePrefix(host)
		if err != nil {
			return err
		}
		r.host, r.prefixes = byAddr, []netip.Prefix{p}
		r.loopback = slices.ContainsFunc(loopbackPrefixes, func(l netip.Prefix) bool {
			return l.Bits() <= p.Bits() && p.Contains(localhost(l.Addr().Is4()))
		})
		return nil
	}
	r.host, r.absolute = named, strings.HasSuffix(host, ".")
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		r.host, name = below, rest
	}
	if strings.Contains(name, "*") {
		return fmt.Errorf("%q has a * within; it stands alone, or for what is before a dot: *.example", host)
	}
	if r.name = name; strings.HasSuffix(name, ".") {
		return fmt.Errorf("%q has an empty part between its dots", host) // checkName allows one dot at the end
	}
	return checkName(name)
}

var loopbackPrefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// numeric reports whether a name's last part is a number, as no name's is that is not an
// address (RFC 3696, section 2): libc would take it for one (inet_aton(3)).
func numeric(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, "0123456789abcdef"
	}
	return last != "" && strings.Trim(last, digits) == ""
}

// parsePrefix reads a prefix, or an address as one of its own. IPv4 in IPv6's form is IPv4.
func parsePrefix(text string) (netip.Prefix, error) {
	addr, length, has := strings.Cut(text, "/")
	a, err := netip.ParseAddr(addr)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is no address", addr)
	case a.Zone() != "":
		return netip.Prefix{}, fmt.Errorf("%q has a zone, which leads to nobody outside of the run", addr)
	}
	bits := a.BitLen()
	if has {
		n, err := strconv.ParseUint(length, 10, 8)
		if err != nil || int(n) > bits {
			return netip.Prefix{}, fmt.Errorf("%q is no length of a prefix of %v: those are 0 to %d", length, a, bits)
		}
		bits = int(n)
	}
	if a.Is4In6() {
		if bits < 96 {
			return netip.Prefix{}, fmt.Errorf("%q has more than the IPv4 addresses in it; they end at length 96", text)
		}
		a, bits = a.Unmap(), bits-96
	}
	p := netip.PrefixFrom(a, bits)
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("%v has bits that its length leaves out: give %v, or %v alone", p, p.Masked(), a)
	}
	return p, nil
}

// about reports whether the rule is about flows of a protocol to a port.
func (r *Rule) about(proto uint8, port uint16) bool {
	if r.proto != 0 && r.proto != proto {
		return false
	}
	return r.ports == nil || proto != icmpProto &&
		slices.ContainsFunc(r.ports, func(s portSpan) bool { return s.first <= port && port <= s.last })
}

// whole reports whether the rule is about all flows of its hosts.
func (r *Rule) whole() bool { return r.ports == nil && r.proto == 0 }

// names reports whether a rule is about names.
func (r *Rule) names() bool { return r.host == named || r.host == below }

// matchesName reports whether the rule is about a name, in lower case and without a dot at its
// end.
func (r *Rule) matchesName(name string, c *search) bool {
	if r.isName(name) {
		return true
	}
	if r.absolute {
		return false
	}
	for _, suffix := range c.suffixes {
		if short, ok := strings.CutSuffix(name, suffix); ok && strings.Count(short, ".") < c.ndots && r.isName(short) {
			return true
		}
	}
	return false
}

func (r *Rule) isName(name string) bool {
	if r.host == below {
		head, ok := strings.CutSuffix(name, r.name)
		return ok && len(head) > 1 && head[len(head)-1] == '.'
	}
	return r.host == named && name == r.name
}

// search is how programs' resolvers make long names of short ones (resolv.conf(5)).
type search struct {
	suffixes []string // with a dot before them and none behind, in lower case
	ndots    int
}
