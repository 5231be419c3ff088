package target

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Target is hosts, with ports and a protocol. Make one with Parse.
type Target struct {
	Host     Host
	Name     string         // Named, Below: in lower case, without a dot at its end
	Absolute bool           // the name is none that gets a suffix
	Prefixes []netip.Prefix // ByAddr
	Loopback bool           // the prefixes are the loopback interface's, with 127.0.0.1 or ::1
	Ports    []Span         // nil: all
	Proto    uint8          // one of the protocols below; 0: all
}

// Host is how a target tells hosts.
type Host uint8

// The ways to tell hosts.
const (
	AnyHost Host = iota
	Named        // by name
	Below        // names that end with a dot and Name
	ByAddr       // by address
)

// Span is a range of ports.
type Span struct{ First, Last uint16 }

// The protocols, by their numbers. ICMP stands for ICMPv6 too.
const (
	ICMP = 1
	TCP  = 6
	UDP  = 17
	SCTP = 132
)

// Protocol returns the number of a protocol, 0 if there is none of that name.
func Protocol(name string) uint8 {
	return map[string]uint8{"icmp": ICMP, "tcp": TCP, "udp": UDP, "sctp": SCTP}[strings.ToLower(name)]
}

// Parse reads a target: [HOST][:PORTS][/PROTO]. Those of the protocols that it may name are given by their names.
//
//   - HOST is a name; *. and a name, for all names that end so; an address; a prefix, such as
//     10.0.0.0/8; localhost, for all addresses of the loopback interface; or * or nothing, for
//     all. An IPv6 address, or prefix, with ports behind it stands in brackets.
//   - PORTS are ports and ranges of ports, with commas between them. They are of all protocols that have ports.
//   - PROTO is a protocol.
func Parse(text string, protocols ...string) (t Target, err error) {
	if text == "" {
		return t, errors.New("it is empty (* stands for everything)")
	}
	if i := strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }); i >= 0 {
		return t, fmt.Errorf("there is a %q in it", text[i])
	}
	host, ports, proto, err := split(text)
	if err != nil {
		return t, err
	}
	if proto != "" {
		if !slices.Contains(protocols, strings.ToLower(proto)) {
			last := len(protocols) - 1
			return t, fmt.Errorf("%q is no protocol: there are %s and %s", proto, strings.Join(protocols[:last], ", "), protocols[last])
		}
		t.Proto = Protocol(proto)
	}
	if ports != "" {
		if t.Proto == ICMP {
			return t, errors.New("icmp has no ports")
		}
		if err := t.setPorts(ports); err != nil {
			return t, err
		}
	}
	return t, t.setHost(host)
}

// split takes a target apart. Parts that are not there are empty.
func split(text string) (host, ports, proto string, err error) {
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

func (t *Target) setPorts(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		a, b, has := strings.Cut(part, "-")
		first, err := port(a)
		last := first
		if err == nil && has {
			last, err = port(b)
		}
		if err != nil {
			return err
		}
		if last < first {
			return fmt.Errorf("the range %s ends before it begins", part)
		}
		t.Ports = append(t.Ports, Span{first, last})
	}
	return nil
}

func port(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port: those are 1 to 65535", text)
	}
	return uint16(n), nil
}

func (t *Target) setHost(host string) error {
	name := Bare(host)
	switch {
	case host == "" || host == "*":
		t.Host = AnyHost
		return nil
	case name == "localhost" || strings.HasSuffix(name, ".localhost"): // RFC 6761, section 6.3
		t.Host, t.Prefixes, t.Loopback = ByAddr, []netip.Prefix{loopback4, loopback6}, true
		return nil
	case strings.Contains(host, "/") || strings.Contains(host, ":") || numeric(name):
		p, err := parsePrefix(host)
		if err != nil {
			return err
		}
		t.Host, t.Prefixes = ByAddr, []netip.Prefix{p}
		t.Loopback = within(loopback4, p) && p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || within(loopback6, p)
		return nil
	}
	return t.setName(host)
}

// ParseName reads a name, or *. and a name, for all that end so. What else may be a host is none.
func ParseName(text string) (t Target, err error) {
	if err = t.setName(text); err == nil && numeric(t.Name) {
		err = fmt.Errorf("%q is an address, and a name is wanted", text)
	}
	return t, err
}

// setName has the target be the hosts of a name.
func (t *Target) setName(host string) error {
	name := Bare(host)
	t.Host, t.Absolute = Named, strings.HasSuffix(host, ".")
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		t.Host, name = Below, rest
	}
	if strings.Contains(name, "*") {
		return fmt.Errorf("%q has a * within; it stands alone, or for what is before a dot: *.example", host)
	}
	if t.Name = name; strings.HasSuffix(name, ".") {
		return fmt.Errorf("%q has an empty part between its dots", host) // CheckName allows one dot at the end
	}
	return CheckName(name)
}

var loopback4, loopback6 = netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")

// within reports whether all addresses of a prefix are in another one.
func within(outer, p netip.Prefix) bool { return outer.Bits() <= p.Bits() && outer.Contains(p.Addr()) }

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

// About reports whether the target is about flows of a protocol to a port.
func (t *Target) About(proto uint8, port uint16) bool {
	if t.Proto != 0 && t.Proto != proto {
		return false
	}
	return t.Ports == nil || proto != ICMP &&
		slices.ContainsFunc(t.Ports, func(s Span) bool { return s.First <= port && port <= s.Last })
}

// Whole reports whether the target is about all flows of its hosts.
func (t *Target) Whole() bool { return t.Ports == nil && t.Proto == 0 }

// ByName reports whether the target is about names.
func (t *Target) ByName() bool { return t.Host == Named || t.Host == Below }

// Contains reports whether a target that tells hosts by address has that one.
func (t *Target) Contains(a netip.Addr) bool {
	return slices.ContainsFunc(t.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Is reports whether the target is about flows of a protocol to an address. names returns the names that the address was given for, each
// in lower case and without a dot at its end.
func (t *Target) Is(proto uint8, to netip.AddrPort, names func(netip.Addr) []string, c *Search) bool {
	switch {
	case !t.About(proto, to.Port()):
		return false
	case t.Host == AnyHost:
		return true
	case t.Host == ByAddr:
		return t.Contains(to.Addr())
	}
	return slices.ContainsFunc(names(to.Addr()), func(name string) bool { return t.MatchesName(name, c) })
}

// MatchesName reports whether the target is about a name, in lower case and without a dot at its end.
func (t *Target) MatchesName(name string, c *Search) bool {
	if t.isName(name) {
		return true
	}
	if t.Absolute {
		return false
	}
	for _, suffix := range c.Suffixes {
		if short, ok := strings.CutSuffix(name, suffix); ok && strings.Count(short, ".") < c.Dots && t.isName(short) {
			return true
		}
	}
	return false
}

func (t *Target) isName(name string) bool {
	if t.Host == Below {
		head, ok := strings.CutSuffix(name, t.Name)
		return ok && len(head) > 1 && head[len(head)-1] == '.'
	}
	return t.Host == Named && name == t.Name
}

// Search is how programs' resolvers make long names of short ones (resolv.conf(5)).
type Search struct {
	Suffixes []string // with a dot before them and none behind, in lower case
	Dots     int      // names with fewer are made longer
}
