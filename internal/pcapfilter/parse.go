package pcapfilter

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The grammar, which is that of pcap-filter(7) for packets of IP:
//
//	expr      = term { ("and" | "or") term }           equal precedence, from the left
//	term      = "not" term | "(" expr ")" | relation | primitive
//	primitive = protocol | "less" N | "greater" N | "process" NAME | "pid" N
//	          | [protocol] [direction] [kind] id
//	direction = "src" | "dst" | "src or dst" | "src and dst"
//	kind      = "host" | "net" | "port" | "portrange" | "proto"
//	id        = value | "(" id { ("and" | "or") id } ")"
//	relation  = number ( "<" | "<=" | "=" | "==" | "!=" | ">=" | ">" ) number
//	number    = N | constant | "len" | protocol "[" number [ ":" size ] "]" | number op number | "(" number ")"
//
// An id without qualifiers has those of the primitive before it: port 80 or 443. 'process' and 'pid' are not tcpdump's.

// A Filter says of packets whether they match. It is not changed by that: several goroutines may use it.
type Filter struct {
	text  string
	match matcher
}

// String returns the text that was parsed.
func (f *Filter) String() string { return f.text }

// matcher is a part of a filter.
type matcher func(*packet) bool

// Parse reads a filter. No text matches all packets. Its errors are *Error.
func Parse(text string) (*Filter, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text, tokens: tokens}
	if p.peek() == "" {
		return &Filter{text, func(*packet) bool { return true }}, nil
	}
	m, err := p.expr()
	if err == nil && p.peek() != "" {
		err = p.fail("here a filter goes on with 'and' or 'or'")
	}
	if err != nil {
		return nil, err
	}
	return &Filter{text, m}, nil
}

// Match reports whether a packet matches: b is what there is of it from its IP header on, n its length on the wire, who
// whose it is. A packet of which a relation asks for bytes that b has not matches no filter (pcap-filter(7)).
func (f *Filter) Match(b []byte, n int, who Process) bool {
	var p packet
	p.parse(b, n, who)
	return f.match(&p) && !p.short
}

// maxDepth bounds how deep parentheses and negations may be, as parsing and matching are recursive.
const maxDepth = 200

// parser walks the tokens of a filter.
type parser struct {
	text   string
	tokens []token
	at     int
	depth  int
	last   qualifiers // of the primitive before
}

func (p *parser) peek() string { return p.tokens[p.at].text }

func (p *parser) next() string {
	t := p.tokens[p.at].text
	if p.at < len(p.tokens)-1 {
		p.at++
	}
	return t
}

// take takes the next token, if it is one of texts.
func (p *parser) take(texts ...string) bool {
	if p.peek() == "" || !slices.Contains(texts, p.peek()) {
		return false
	}
	p.next()
	return true
}

// fail is an error at the next token.
func (p *parser) fail(text string) error { return &Error{p.text, p.tokens[p.at].at, text} }

// enter goes one level deeper.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail("more than 200 levels of parentheses and negations; write it flatter")
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) expr() (matcher, error) { return p.chain(p.term) }

// chain reads one or more of what one reads, with 'and' or 'or' between them.
func (p *parser) chain(one func() (matcher, error)) (matcher, error) {
	m, err := one()
	for err == nil {
		var b matcher
		a := m
		switch {
		case p.take("and", "&&"):
			if b, err = one(); err == nil {
				m = func(k *packet) bool { return a(k) && b(k) }
			}
		case p.take("or", "||"):
			if b, err = one(); err == nil {
				m = func(k *packet) bool { return a(k) || b(k) }
			}
		default:
			return m, nil
		}
	}
	return nil, err
}

func (p *parser) term() (matcher, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if p.take("not", "!") {
		m, err := p.term()
		if err != nil {
			return nil, err
		}
		return func(k *packet) bool { return !m(k) }, nil
	}

	// What begins with a number, or with a parenthesis that has one, is a relation; that it is none shows only behind it.
	begin := *p
	if p.startsNumber() {
		m, err := p.relation()
		if err == nil || begin.peek() != "(" {
			return m, err
		}
		inRelation := p.at
		*p = begin
		p.next()
		m, other := p.group(p.expr)
		if other != nil && p.at < inRelation {
			return nil, err
		}
		return m, other
	}
	return p.primitive()
}

// group reads what is before a closing parenthesis.
func (p *parser) group(inner func() (matcher, error)) (matcher, error) {
	m, err := inner()
	if err == nil && !p.take(")") {
		err = p.fail("a parenthesis is not closed here; add a ')'")
	}
	return m, err
}

// startsNumber reports whether the next tokens may begin a relation.
func (p *parser) startsNumber() bool {
	t := p.peek()
	if t == "(" || t == "len" || t == "-" {
		return true
	}
	after := p.tokens[min(p.at+1, len(p.tokens)-1)].text
	if _, ok := protocols[t]; ok {
		return after == "["
	}
	_, constant := constants[t]
	_, err := strconv.ParseUint(t, 0, 32)
	return (constant || err == nil) && (slices.Contains(comparisons, after) || isOperator(after))
}

// qualifiers are the words before an id.
type qualifiers struct {
	protocol  string // "", or a name in protocols
	direction string // "", "src", "dst", "and"
	kind      string // "host", "net", "port", "portrange", "proto"
}

var kinds = []string{"host", "net", "port", "portrange", "proto"}

func (p *parser) primitive() (matcher, error) {
	switch t := p.peek(); {
	case t == "less" || t == "greater":
		p.next()
		n, err := p.number32()
		if err != nil {
			return nil, err
		}
		if t == "less" {
			return func(k *packet) bool { return k.n <= int(n) }, nil
		}
		return func(k *packet) bool { return k.n >= int(n) }, nil
	case t == "process":
		p.next()
		name := p.peek()
		if name == "" {
			return nil, p.fail("name the program, such as process curl")
		}
		p.next()
		return func(k *packet) bool { return k.who.Program == name }, nil
	case t == "pid":
		p.next()
		n, err := p.number32()
		if err != nil {
			return nil, err
		}
		return func(k *packet) bool { return uint32(k.who.PID) == n }, nil
	}
	if text, ok := refused[p.peek()]; ok {
		return nil, p.fail(text)
	}
	return p.qualified()
}

// refused are words of tcpdump's language that say nothing of a packet of IP.
var refused = map[string]string{
	"ether": "frames are not looked at; use IP addresses", "arp": "only packets of IP are looked at", "rarp": "only packets of IP are looked at",
	"vlan": "frames are not looked at", "mpls": "frames are not looked at", "gateway": "frames are not looked at; use host",
	"broadcast": "an address says it, such as dst host 255.255.255.255", "multicast": "a net says it, such as dst net 224.0.0.0/4",
	"inbound": "directions are those of a link; use src and dst", "outbound": "directions are those of a link; use src and dst",
	"protochain": "extension headers are not followed; use ip6 proto",
}

// qualified reads a protocol that stands alone, or qualifiers and their id.
func (p *parser) qualified() (matcher, error) {
	var q qualifiers
	first := p.at
	if _, ok := protocols[p.peek()]; ok {
		q.protocol = p.next()
	}
	if p.take("src") {
		q.direction = "src"
		if p.tokens[min(p.at+1, len(p.tokens)-1)].text == "dst" {
			switch {
			case p.take("or"):
				p.next()
				q.direction = ""
			case p.take("and"):
				p.next()
				q.direction = "and"
			}
		}
	} else if p.take("dst") {
		q.direction = "dst"
	}
	directed := p.at > first && (q.protocol == "" || p.at > first+1)
	if slices.Contains(kinds, p.peek()) {
		q.kind = p.next()
	}
	if q.protocol != "" && !directed && q.kind == "" {
		p.last = qualifiers{kind: "host"}
		return protocols[q.protocol].carries, nil
	}
	if p.at == first {
		q = p.last
	}
	if q.kind == "" {
		q.kind = "host"
	}
	p.last = q
	return p.id(q)
}

// id reads a value, or several in parentheses.
func (p *parser) id(q qualifiers) (matcher, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	one := func() (matcher, error) { return p.id(q) }
	if p.take("(") {
		return p.group(func() (matcher, error) { return p.chain(one) })
	}
	if p.take("not", "!") {
		m, err := one()
		if err != nil {
			return nil, err
		}
		return func(k *packet) bool { return !m(k) }, nil
	}
	switch q.kind {
	case "port", "portrange":
		return p.port(q)
	case "proto":
		return p.proto(q)
	}
	return p.host(q)
}

// host reads an address or a net.
func (p *parser) host(q qualifiers) (matcher, error) {
	var only matcher
	switch q.protocol {
	case "":
	case "ip", "ip6":
		only = protocols[q.protocol].carries
	default:
		return nil, p.fail(q.protocol + " has no addresses; write '" + q.protocol + " and " + q.kind + " ...'")
	}
	net, err := p.prefix(q.kind)
	if err != nil {
		return nil, err
	}
	var m matcher
	switch q.direction {
	case "src":
		m = func(k *packet) bool { return net.Contains(k.src) }
	case "dst":
		m = func(k *packet) bool { return net.Contains(k.dst) }
	case "and":
		m = func(k *packet) bool { return net.Contains(k.src) && net.Contains(k.dst) }
	default:
		m = func(k *packet) bool { return net.Contains(k.src) || net.Contains(k.dst) }
	}
	return both(only, m), nil
}

// both is a and b; a may be nil.
func both(a, b matcher) matcher {
	if a == nil {
		return b
	}
	return func(k *packet) bool { return a(k) && b(k) }
}

// prefix reads the value of host or net.
func (p *parser) prefix(kind string) (netip.Prefix, error) {
	const wanted = "here an address is to stand, such as 192.0.2.7 or 2001:db8::7; names are not looked up, as one may have several addresses"
	t, at := p.peek(), p.at
	if kind != "net" {
		a, err := netip.ParseAddr(t)
		if err != nil {
			return netip.Prefix{}, p.fail(wanted)
		}
		p.next()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	a, bits, ok := parseNet(t)
	if !ok {
		return netip.Prefix{}, p.fail("here a net is to stand, such as 192.0.2.0/24, 192.0.2 or 2001:db8::/32")
	}
	p.next()
	switch {
	case p.take("/"):
		n, err := strconv.Atoi(p.peek())
		if err != nil || n < 0 || n > a.BitLen() {
			return netip.Prefix{}, p.fail("the length of a prefix is to stand here, at most " + strconv.Itoa(a.BitLen()))
		}
		p.next()
		bits = n
	case p.take("mask"):
		mask := net.ParseIP(p.peek()).To4()
		ones, size := net.IPMask(mask).Size()
		if !a.Is4() || size != 32 {
			return netip.Prefix{}, p.fail("a mask of IPv4 is to stand here, such as 255.255.255.0")
		}
		p.next()
		bits = ones
	}
	net := netip.PrefixFrom(a, bits)
	if net.Masked() != net {
		p.at = at
		return netip.Prefix{}, p.fail("the address has bits beyond the net; write " + net.Masked().String())
	}
	return net, nil
}

// parseNet reads an address, of IPv4 possibly without its last bytes (10 is 10.0.0.0/8), and how many bits of it
// were written.
func parseNet(text string) (a netip.Addr, bits int, ok bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a, a.BitLen(), true
	}
	dots := strings.Count(text, ".")
	if dots > 2 {
		return a, 0, false
	}
	a, err := netip.ParseAddr(text + strings.Repeat(".0", 3-dots))
	return a, 8 * (dots + 1), err == nil
}

// port reads a port, or a range of them.
func (p *parser) port(q qualifiers) (matcher, error) {
	switch q.protocol {
	case "", "tcp", "udp", "sctp":
	default:
		return nil, p.fail(q.protocol + " has no ports; tcp, udp and sctp have")
	}
	low, high, transport, err := p.ports(q.kind == "portrange", q.protocol)
	if err != nil {
		return nil, err
	}
	in := func(port uint16) bool { return low <= port && port <= high }
	var m matcher
	switch q.direction {
	case "src":
		m = func(k *packet) bool { return k.ports && in(k.sport) }
	case "dst":
		m = func(k *packet) bool { return k.ports && in(k.dport) }
	case "and":
		m = func(k *packet) bool { return k.ports && in(k.sport) && in(k.dport) }
	default:
		m = func(k *packet) bool { return k.ports && (in(k.sport) || in(k.dport)) }
	}
	if transport == "" {
		return m, nil
	}
	return both(protocols[transport].carries, m), nil
}

// ports reads a port, or a range of them, of a protocol; "": of any. The name of a service that only one protocol has
// is that protocol's.
func (p *parser) ports(span bool, transport string) (low, high uint16, of string, err error) {
	from, to, cut := strings.Cut(p.peek(), "-")
	if !span || !cut {
		from, to = p.peek(), p.peek() // a hyphen may be of the name of a service
	}
	low, of, ok := lookUp(from, transport)
	high, ofHigh, okHigh := lookUp(to, transport)
	switch {
	case (!ok || !okHigh) && span:
		return 0, 0, "", p.fail("a range of ports is to stand here, such as 6000-6010")
	case !ok:
		return 0, 0, "", p.fail("a port is to stand here, 0 to 65535 or the name of a service")
	case of == "":
		of = ofHigh
	}
	p.next()
	return min(low, high), max(low, high), of, nil
}

// lookUp returns a port's number. transport is the protocol that is asked for, and the one that is meant.
func lookUp(text, transport string) (port uint16, of string, ok bool) {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return uint16(n), transport, true
	}
	if text == "" || !isName(text) {
		return 0, "", false
	}
	tcp, errTCP := net.LookupPort("tcp", text)
	udp, errUDP := net.LookupPort("udp", text)
	switch {
	case transport == "tcp" || transport == "sctp" || transport == "" && errUDP != nil:
		if transport == "" {
			transport = "tcp"
		}
		return uint16(tcp), transport, errTCP == nil
	case transport == "udp" || errTCP != nil:
		return uint16(udp), "udp", errUDP == nil
	case tcp != udp:
		return uint16(tcp), "tcp", true
	}
	return uint16(tcp), "", true
}

// proto reads the number or name of a protocol over IP.
func (p *parser) proto(q qualifiers) (matcher, error) {
	p.take(`\`)
	t := p.peek()
	n, err := strconv.ParseUint(t, 0, 8)
	if known, ok := protocols[t]; ok && known.number != 0 {
		n, err = uint64(known.number), nil
	}
	if err != nil {
		return nil, p.fail("a protocol is to stand here, 0 to 255 or a name such as tcp")
	}
	var m matcher = func(k *packet) bool { return k.version != 0 && (k.proto == uint8(n) || n == protoFrag && k.frag) }
	switch q.protocol {
	case "":
	case "ip", "ip6":
		m = both(protocols[q.protocol].carries, m)
	default:
		return nil, p.fail(q.protocol + " carries no protocols; ip and ip6 do")
	}
	p.next()
	return m, nil
}

// number32 reads a number that stands alone.
func (p *parser) number32() (uint32, error) {
	n, err := strconv.ParseUint(p.peek(), 0, 32)
	if err != nil {
		return 0, p.fail("a number is to stand here")
	}
	p.next()
	return uint32(n), nil
}
