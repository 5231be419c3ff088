package pcapfilter

import "strconv"

// protocol is a word that says what a packet is, and of whose header a relation has bytes.
type protocol struct {
	number  uint8 // over IP; 0: it is IP itself
	version int   // of IP; 0: both
}

// protocols are those that the language knows.
var protocols = map[string]*protocol{
	"ip": {version: 4}, "ip6": {version: 6},
	"tcp": {number: protoTCP}, "udp": {number: protoUDP}, "sctp": {number: protoSCTP},
	"icmp": {number: protoICMP, version: 4}, "icmp6": {number: protoICMPv6, version: 6},
	"igmp": {number: protoIGMP, version: 4}, "pim": {number: protoPIM}, "ah": {number: protoAH}, "esp": {number: protoESP},
}

// carries reports whether p is of the protocol.
func (t *protocol) carries(p *packet) bool {
	return p.version != 0 && (t.version == 0 || p.version == t.version) && (t.number == 0 || p.proto == t.number)
}

// header returns where the protocol's header begins in p, if it has one.
func (t *protocol) header(p *packet) (int, bool) {
	if !t.carries(p) {
		return 0, false
	}
	if t.number == 0 {
		return 0, true
	}
	return p.upper, p.upper != 0
}

// constants are the names of offsets and values (pcap-filter(7)).
var constants = map[string]uint32{
	"tcpflags": 13, "icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1,
	"tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08, "tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8, "icmp-routeradvert": 9,
	"icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14,
	"icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
	"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4, "icmp6-echo": 128,
	"icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131,
	"icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135,
	"icmp6-neighboradvert": 136, "icmp6-redirect": 137,
}

var comparisons = []string{"<", "<=", "=", "==", "!=", ">=", ">"}

// operators are those between numbers, the weakest first; those of a line are equally strong and go from the left.
var operators = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"}}

func isOperator(text string) bool {
	for _, level := range operators {
		for _, o := range level {
			if o == text {
				return true
			}
		}
	}
	return false
}

// value is a number of a packet, of 32 bits without a sign; not ok: the packet has not got the header.
type value func(*packet) (n uint32, ok bool)

// relation reads two numbers and what is between them.
func (p *parser) relation() (matcher, error) {
	a, err := p.number(0)
	if err != nil {
		return nil, err
	}
	op := p.peek()
	if !p.take(comparisons...) {
		return nil, p.fail("a number is compared, such as len > 100; here =, !=, <, <=, > or >= is to stand")
	}
	b, err := p.number(0)
	if err != nil {
		return nil, err
	}
	return func(k *packet) bool {
		x, has := a(k)
		y, have := b(k)
		return has && have && compare(op, x, y)
	}, nil
}

func compare(op string, x, y uint32) bool {
	switch op {
	case "<":
		return x < y
	case "<=":
		return x <= y
	case ">":
		return x > y
	case ">=":
		return x >= y
	case "!=":
		return x != y
	}
	return x == y
}

// number reads a sum of what binds stronger than the operators of a level.
func (p *parser) number(level int) (value, error) {
	if level == len(operators) {
		return p.operand()
	}
	a, err := p.number(level + 1)
	for err == nil {
		op := p.peek()
		if !p.take(operators[level]...) {
			return a, nil
		}
		var b value
		if b, err = p.number(level + 1); err == nil {
			a = join(op, a, b)
		}
	}
	return nil, err
}

// join is an operation. What divides by zero matches no packet, as in BPF.
func join(op string, a, b value) value {
	return func(k *packet) (uint32, bool) {
		x, has := a(k)
		y, have := b(k)
		if !has || !have {
			return 0, false
		}
		switch op {
		case "|":
			return x | y, true
		case "^":
			return x ^ y, true
		case "&":
			return x & y, true
		case "<<":
			return x << y, true
		case ">>":
			return x >> y, true
		case "+":
			return x + y, true
		case "-":
			return x - y, true
		case "*":
			return x * y, true
		}
		if y == 0 {
			k.short = true
			return 0, true
		}
		if op == "/" {
			return x / y, true
		}
		return x % y, true
	}
}

func (p *parser) operand() (value, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	t := p.peek()
	if known, ok := protocols[t]; ok {
		p.next()
		return p.bytes(known)
	}
	switch {
	case p.take("("):
		v, err := p.number(0)
		if err == nil && !p.take(")") {
			err = p.fail("a parenthesis is not closed here; add a ')'")
		}
		return v, err
	case p.take("-"):
		v, err := p.operand()
		if err != nil {
			return nil, err
		}
		return func(k *packet) (uint32, bool) { n, ok := v(k); return -n, ok }, nil
	case p.take("len"):
		return func(k *packet) (uint32, bool) { return uint32(k.n), true }, nil
	}
	if n, ok := constants[t]; ok {
		p.next()
		return func(*packet) (uint32, bool) { return n, true }, nil
	}
	n, err := strconv.ParseUint(t, 0, 32)
	if err != nil {
		return nil, p.fail("a number is to stand here, or what has one: len, tcp[13], ip[2:2]")
	}
	p.next()
	return func(*packet) (uint32, bool) { return uint32(n), true }, nil
}

// bytes reads what stands in brackets behind a protocol.
func (p *parser) bytes(t *protocol) (value, error) {
	if !p.take("[") {
		return nil, p.fail("which bytes of the header is to stand here, such as [13] or [2:2]")
	}
	at, err := p.number(0)
	if err != nil {
		return nil, err
	}
	size := int64(1)
	if p.take(":") {
		switch p.peek() {
		case "1", "2", "4":
			size = int64(p.peek()[0] - '0')
			p.next()
		default:
			return nil, p.fail("a number has 1, 2 or 4 bytes")
		}
	}
	if !p.take("]") {
		return nil, p.fail("a bracket is not closed here; add a ']'")
	}
	return func(k *packet) (uint32, bool) {
		begin, ok := t.header(k)
		if !ok {
			return 0, false
		}
		off, ok := at(k)
		return k.load(int64(begin)+int64(off), size), ok
	}, nil
}
