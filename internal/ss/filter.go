package ss

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The filters of ss (ss(8), STATE-FILTER and EXPRESSION; misc/ssfilter.y of iproute2 has the
// grammar):
//
//	filter  = { ("state" | "exclude") STATE } [ list ]
//	list    = not { ["&" | "&&" | "and" | "|" | "||" | "or"] not }
//	not     = ("!" | "not") not | "(" list ")" | test
//	test    = ("src" | "dst") ["=" | "!="] HOST
//	        | ("sport" | "dport") [OPERATOR] PORT
//
// An operator is a sign or a word: = == eq, != ne neq, < lt, > gt, <= le leq, >= ge geq. HOST
// is an address or a prefix, with ":PORT" or without, "*" for any, IPv6 in brackets where a port
// follows. PORT is a number or a service's name, with ":" before it or without. A word that
// begins a test ends where a blank or a sign does.
//
// Left out are the kernel's own matters: dev, fwmark, cgroup, autobound.

// Filter decides which sockets are shown. The nil Filter shows all.
type Filter struct {
	States States
	Stated bool // a state was named: the command's own choice of states does not hold
	expr   expr // nil: any
}

// ErrFilter is wrapped by all errors of Parse.
var ErrFilter = errors.New("bad filter")

// maxFilter bounds a filter, and maxDepth how deep it is nested.
const (
	maxFilter = 4096
	maxDepth  = 100
)

// Parse reads a filter. services finds the number of a service by its name.
func Parse(text string, services func(string) (uint16, bool)) (*Filter, error) {
	if len(text) > maxFilter {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrFilter, maxFilter)
	}
	p := parser{rest: text, services: services}
	f := &Filter{States: All}
	for {
		word := p.peek()
		exclude := word == "exclude" || word == "excl"
		if word != "state" && !exclude {
			break
		}
		p.next()
		name := p.next()
		states, ok := stateNames(name)
		switch {
		case name == "":
			return nil, p.fail("%s wants a state, such as established or listening", word)
		case !ok:
			return nil, p.fail("%q is no state; give established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, closed, close-wait, last-ack, listening, closing, all, connected, synchronized, bucket or big", name)
		case exclude:
			f.States &^= states // of all, or of those that were named before
		case !f.Stated:
			f.States = states
		default:
			f.States |= states
		}
		f.Stated = true
	}
	if p.peek() == "" {
		return f, nil
	}
	var err error
	if f.expr, err = p.list(); err != nil {
		return nil, err
	}
	if word := p.peek(); word != "" {
		return nil, p.fail("%q has nothing to end", word)
	}
	return f, nil
}

// Begins reports whether a word can be the first of a filter.
func Begins(text string) bool {
	p := parser{rest: text}
	word := p.peek()
	return slices.Contains(firstWords, word) || word == ""
}

var firstWords = []string{
	"state", "exclude", "excl", "(", "!", "not", "src", "dst", "sport", "dport",
	"dev", "fwmark", "cgroup", "autobound", // which are refused in words
}

// parser reads words.
type parser struct {
	rest     string
	word     string // what peek has seen
	seen     bool
	depth    int
	services func(string) (uint16, bool)
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFilter}, args...)...)
}

// signs end a word. The colon and the brackets of addresses do not.
const signs = "()!=<>|&"

// peek returns the next word; "" at the end.
func (p *parser) peek() string {
	if p.seen {
		return p.word
	}
	p.seen = true
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	n := 0
	switch {
	case p.rest == "":
	case strings.ContainsRune("()", rune(p.rest[0])):
		n = 1
	case strings.ContainsRune(signs, rune(p.rest[0])):
		n = 1
		if len(p.rest) > 1 && slices.Contains([]string{"!=", "==", "<=", ">=", "||", "&&"}, p.rest[:2]) {
			n = 2
		}
	default:
		if n = strings.IndexAny(p.rest, signs+" \t\n"); n < 0 {
			n = len(p.rest)
		}
	}
	p.word, p.rest = p.rest[:n], p.rest[n:]
	return p.word
}

func (p *parser) next() string {
	w := p.peek()
	p.seen = false
	return w
}

// list is a list of conditions. As ss has it, all that joins them binds alike, from the left.
func (p *parser) list() (expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("it is nested too deep")
	}
	defer func() { p.depth-- }()
	left, err := p.not()
	for err == nil {
		alternative := false
		switch p.peek() {
		case "", ")":
			return left, nil
		case "|", "||", "or":
			alternative = true
			p.next()
		case "&", "&&", "and":
			p.next()
		}
		var right expr
		if right, err = p.not(); err == nil {
			if alternative {
				left = either{left, right}
			} else {
				left = both{left, right}
			}
		}
	}
	return nil, err
}

func (p *parser) not() (expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("it is nested too deep")
	}
	defer func() { p.depth-- }()
	switch p.peek() {
	case "!", "not":
		p.next()
		x, err := p.not()
		return negated{x}, err
	case "(":
		p.next()
		x, err := p.list()
		if err != nil {
			return nil, err
		}
		if p.next() != ")" {
			return nil, p.fail("a ) is missing")
		}
		return x, nil
	}
	return p.test()
}

// test is what is asked of an address or a port.
func (p *parser) test() (expr, error) {
	word := p.next()
	switch word {
	case "src", "dst":
		op, ok := operators[p.peek()]
		if ok {
			p.next()
		}
		if op != equal && op != unequal {
			return nil, p.fail("%s is compared by = or !=", word)
		}
		h, err := p.host(p.next())
		if err != nil {
			return nil, err
		}
		h.peer = word == "dst"
		if op == unequal {
			return negated{h}, nil
		}
		return h, nil
	case "sport", "dport":
		op, ok := operators[p.peek()]
		if ok {
			p.next()
		}
		n, any, err := p.port(p.next())
		return port{peer: word == "dport", op: op, port: n, any: any}, err
	case "dev", "fwmark", "cgroup", "autobound":
		return nil, p.fail("%s is the kernel's, and no matter of usock's sockets", word)
	case "":
		return nil, p.fail("it ends too early")
	}
	return nil, p.fail("%q is neither src, dst, sport nor dport", word)
}

// operator is how a port is compared.
type operator uint8

const (
	equal operator = iota
	unequal
	less
	greater
	lessEqual
	greaterEqual
)

var operators = map[string]operator{
	"=": equal, "==": equal, "eq": equal, "!=": unequal, "ne": unequal, "neq": unequal,
	"<": less, "lt": less, ">": greater, "gt": greater,
	"<=": lessEqual, "le": lessEqual, "leq": lessEqual, ">=": greaterEqual, "ge": greaterEqual, "geq": greaterEqual,
}

// port reads a port. any says that it is a * .
func (p *parser) port(word string) (n uint16, any bool, err error) {
	name := strings.TrimPrefix(word, ":")
	switch {
	case word == "":
		return 0, false, p.fail("a port is missing at its end, such as :443")
	case name == "*" || name == "":
		return 0, true, nil
	}
	if v, err := strconv.ParseUint(name, 0, 16); err == nil {
		return uint16(v), false, nil
	} else if errors.Is(err, strconv.ErrRange) {
		return 0, false, p.fail("%s is no port, which are 0 to 65535", name)
	}
	if n, ok := p.services(name); ok {
		return n, false, nil
	}
	return 0, false, p.fail("there is no service %q; give a port, such as :443", name)
}

// host reads an address with or without a port.
func (p *parser) host(word string) (host, error) {
	h := host{anyPort: true}
	for _, family := range []string{"inet6:", "inet:"} {
		if rest, ok := strings.CutPrefix(word, family); ok {
			word = rest
			break
		}
	}
	addr, portText, err := p.cutHost(word)
	if err != nil {
		return h, err
	}
	if portText != "" {
		if h.port, h.anyPort, err = p.port(portText); err != nil {
			return h, err
		}
	}
	if addr == "" || addr == "*" {
		return h, nil
	}
	if h.prefix, err = netip.ParsePrefix(addr); err == nil {
		return h, nil
	}
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return h, p.fail("%q is neither an address nor a prefix, such as 192.0.2.7, 10.0.0.0/8 or [2001:db8::/32]", addr)
	}
	h.prefix = netip.PrefixFrom(a.WithZone(""), a.BitLen())
	return h, nil
}

// cutHost cuts an address from its port, which keeps its colon.
func (p *parser) cutHost(word string) (addr, port string, err error) {
	switch {
	case word == "":
		return "", "", p.fail("an address is missing at its end, such as 10.0.0.0/8")
	case word[0] == '[':
		end := strings.IndexByte(word, ']')
		if end < 0 {
			return "", "", p.fail("%s: a ] is missing", word)
		}
		addr, port = word[1:end], word[end+1:]
		if port != "" && port[0] != ':' {
			return "", "", p.fail("%s: after the ] comes a : and a port, or nothing", word)
		}
		return addr, port, nil
	case strings.Count(word, ":") > 1:
		return word, "", nil // IPv6 without brackets has no port
	}
	if i := strings.LastIndexByte(word, ':'); i >= 0 {
		return word[:i], word[i:], nil
	}
	return word, "", nil
}
