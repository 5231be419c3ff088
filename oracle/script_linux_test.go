package oracle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"usock/internal/abi"
)

// script carries out lines on a system. Each line gives a result, which two
// systems must agree on. The lines are
//
//	a = KIND[!]                    a = socket DOMAIN TYPE PROTOCOL
//	c = accept a                   a close
//	p = peeloff a ID [FLAGS]
//	a bind ADDR     a connect ADDR     a finish ADDR  a listen N
//	a shutdown rd|wr|rdwr|N
//	a send TEXT [to ADDR] [cmsg OPTION HEX] [with CONTROL FIELDS…] [FLAG…]
//	a sendn COUNT …                a sendx HEX …    a echo COUNT …
//	a recv SIZE [room:N] [FLAG…]   a drain          a fill
//	a await EVENT, until poll has it
//	a recvx SIZE [FLAG…], of an IPv4 packet, without what differs by nature
//	a set OPTION N                 a setx OPTION HEX
//	a get OPTION [SIZE]            a queued         a block on|off
//	a ask OPTION HEX [MORE], get with a buffer that begins with HEX and has MORE bytes
//	a unsent                       a stamp
//
// An ADDR is HOST:PORT, where HOST is a name of hosts or an IP address and PORT a
// number or the name of a socket, whose local port is meant; @a, the local address
// of a; unspec; unspec:HOST:PORT, an IPv4 address of no family; un:NAME, an abstract name of
// AF_UNIX; unix; or family:N.
// A suffix ~X is flow information in hexadecimal. A suffix /N cuts the structure to N bytes, or fills it up with zeroes, and %N is
// an IPv6 scope. An OPTION is a name of optionNames or LEVEL:NUMBER.
type script struct {
	sys   system
	ports ports
	fds   map[string]int
	seen  symbols
	plain bool // receive by recvfrom: no flags, no control messages
}

func newScript(s system) *script { return &script{sys: s, fds: make(map[string]int)} }

// names returns the open sockets' names in order.
func (c *script) names() []string {
	var out []string
	for n := range c.fds {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// run carries out a line.
func (c *script) run(line string) string {
	f := strings.Fields(line)
	if len(f) > 2 && f[1] == "=" {
		return c.make(f[0], f[2], f[3:])
	}
	s, ok := c.fds[f[0]]
	if !ok {
		return "no socket"
	}
	verb, args := f[1], f[2:]
	if out, ok := c.address(s, verb, args); ok {
		return out
	}
	if out, ok := c.transfer(s, verb, args); ok {
		return out
	}
	if out, ok := c.option(s, verb, args); ok {
		return out
	}
	switch verb {
	case "listen":
		return errname(c.sys.listen(s, number(args[0])))
	case "shutdown":
		how, ok := map[string]int{"rd": abi.SHUT_RD, "wr": abi.SHUT_WR, "rdwr": abi.SHUT_RDWR}[args[0]]
		if !ok {
			how = number(args[0])
		}
		return errname(c.sys.shutdown(s, how))
	case "close":
		delete(c.fds, f[0])
		c.ports.gone(f[0])
		return errname(c.sys.close(s))
	case "queued":
		in, out, err := c.sys.queued(s)
		if err != nil {
			return errname(err)
		}
		return fmt.Sprintf("in %d, out %d", in, out)
	case "await":
		return c.await(s, args[0])
	case "unsent":
		n, err := c.sys.unsent(s)
		if err != nil {
			return errname(err)
		}
		return fmt.Sprint(n)
	case "stamp":
		return errname(c.sys.stamp(s))
	case "block":
		c.sys.block(s, args[0] == "on")
		return "ok"
	}
	panic("no such verb: " + line)
}

// await waits until poll shows an event.
func (c *script) await(s int, event string) string {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if slices.Contains(strings.Split(eventString(c.sys.poll(s)), "|"), event) {
			return "ok"
		}
		if time.Now().After(end) {
			return "no " + event
		}
	}
}

func number(s string) int {
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		panic(err)
	}
	return int(n)
}

func (c *script) make(name, kind string, args []string) string {
	if kind == "accept" {
		l, ok := c.fds[args[0]]
		if !ok {
			return "no socket"
		}
		s, from, err := c.sys.accept(l)
		if err != nil {
			return errname(err)
		}
		c.fds[name] = s
		return "from " + c.ports.text(from)
	}
	if kind == "peeloff" {
		return c.peeloff(name, args)
	}
	kind, quick := strings.CutSuffix(kind, "!")
	k, ok := kinds[kind]
	if kind == "socket" {
		k = [3]int{number(args[0]), number(args[1]), number(args[2])}
	} else if !ok {
		panic("no such kind: " + kind)
	}
	s, err := c.sys.socket(k[0], k[1], k[2])
	if err == nil {
		c.fds[name] = s
		if quick {
			err = c.quicken(s)
		}
	}
	return errname(err)
}

func (c *script) address(s int, verb string, args []string) (string, bool) {
	switch verb {
	case "bind":
		return errname(c.sys.bind(s, c.addr(args[0]))), true
	case "connect":
		return errname(c.sys.connect(s, c.addr(args[0]))), true
	case "finish":
		return errname(c.sys.finish(s, c.addr(args[0]))), true
	}
	return "", false
}

// addr returns the struct sockaddr of an ADDR.
func (c *script) addr(text string) []byte {
	text, size, cut := strings.Cut(text, "/")
	b := c.fullAddr(text)
	if cut {
		n := number(size)
		for len(b) < n {
			b = append(b, 0)
		}
		b = b[:n]
	}
	return b
}

func (c *script) fullAddr(text string) []byte {
	switch {
	case text == "unspec":
		return pad(abi.AF_UNSPEC, 16)
	case text == "unix":
		return pad(abi.AF_UNIX, 16)
	case strings.HasPrefix(text, "family:"):
		return pad(number(text[7:]), 16)
	case strings.HasPrefix(text, "un:"):
		return abi.AppendAddr(nil, abi.Addr{Family: abi.AF_UNIX, Path: "\x00" + text[3:]})
	case text[0] == '@':
		b, err := c.sys.name(c.fds[text[1:]])
		if err != nil {
			panic(err)
		}
		return b
	case strings.HasPrefix(text, "unspec:"):
		b := c.fullAddr(text[7:])
		binary.NativeEndian.PutUint16(b, abi.AF_UNSPEC)
		return b
	}
	i := strings.LastIndexByte(text, ':')
	host, port := text[:i], text[i+1:]
	host, flow, _ := strings.Cut(host, "~")
	host, scope, scoped := strings.Cut(host, "%")
	if h, ok := hosts[host]; ok {
		host = h
	}
	a := abi.AddrFrom(netip.AddrPortFrom(netip.MustParseAddr(host), 0))
	if scoped {
		a.Scope = uint32(number(scope))
	}
	if flow != "" {
		n, err := strconv.ParseUint(flow, 16, 32)
		if err != nil {
			panic(err)
		}
		a.Flow = uint32(n)
	}
	if s, ok := c.fds[port]; ok {
		b, err := c.sys.name(s)
		if err != nil {
			panic(err)
		}
		a.Port = binary.BigEndian.Uint16(b[2:])
	} else {
		a.Port = uint16(number(port))
	}
	return abi.AppendAddr(nil, a)
}

func (c *script) transfer(s int, verb string, args []string) (string, bool) {
	switch verb {
	case "send", "sendn", "sendx", "echo":
		m := message{data: content(verb, args[0])}
		for i := 1; i < len(args); i++ {
			switch args[i] {
			case "to":
				i++
				m.name = c.addr(args[i])
			case "cmsg":
				o := option(args[i+1])
				data, err := hex.DecodeString(strings.TrimPrefix(args[i+2], "-"))
				if err != nil {
					panic(err)
				}
				m.control = abi.AppendCmsg(m.control, o.level, o.name, data)
				i += 2
			case "with":
				i += c.with(&m, args[i+1:])
			default:
				m.flags |= msgFlag(args[i])
			}
		}
		n, err := c.sys.send(s, m)
		if err != nil {
			return errname(err), true
		}
		return fmt.Sprint(n), true
	case "recv", "recvx":
		flags, room := 0, 512
		for _, a := range args[1:] {
			if n, ok := strings.CutPrefix(a, "room:"); ok {
				room = number(n)
			} else {
				flags |= msgFlag(a)
			}
		}
		if c.plain {
			room = 0
		}
		m, n, err := c.sys.recv(s, number(args[0]), room, flags)
		if c.plain {
			m.flags, m.control = 0, nil
		}
		if err != nil {
			return errname(err), true
		}
		if verb == "recvx" && len(m.data) >= 20 {
			// Identification and checksum are the system's own.
			copy(m.data[4:6], "id")
			copy(m.data[10:12], "ck")
		}
		return c.received(m, n), true
	case "drain":
		total := 0
		for {
			_, n, err := c.sys.recv(s, 1<<16, 0, 0)
			if err != nil || n == 0 {
				return fmt.Sprintf("%d bytes, then %s", total, errname(err)), true
			}
			total += n
		}
	case "fill":
		for block := pattern(1 << 14); ; {
			if _, err := c.sys.send(s, message{data: block}); err != nil {
				return errname(err), true
			}
		}
	}
	return "", false
}

// content returns the bytes that a line sends.
func content(verb, arg string) []byte {
	switch verb {
	case "sendn":
		return pattern(number(arg))
	case "echo":
		b := pattern(number(arg))
		copy(b, []byte{8, 0, 0, 0, 0, 0, 0, 1})
		return b
	case "sendx":
		b, err := hex.DecodeString(arg)
		if err != nil {
			panic(err)
		}
		return b
	}
	if arg == `""` {
		return nil
	}
	return []byte(arg)
}

func msgFlag(name string) int {
	f, ok := flagNames[name]
	if !ok {
		panic("no such flag: " + name)
	}
	return f
}

// pattern returns n bytes.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// received writes what recvmsg has returned.
func (c *script) received(m message, n int) string {
	data := strconv.Quote(string(m.data))
	if m.flags&msgNotification != 0 {
		data = c.notification(m.data)
	} else if len(m.data) > 32 {
		data = fmt.Sprintf("sha256 %x", sha256.Sum256(m.data))[:20]
	}
	out := fmt.Sprintf("%d %s", n, data)
	if from := c.ports.text(m.name); from != "none" {
		out += " from " + from
	}
	if m.flags != 0 {
		out += fmt.Sprintf(" flags %#x", m.flags)
	}
	list, err := abi.ParseCmsgs(m.control)
	if err != nil {
		return out + " control " + hex.EncodeToString(m.control)
	}
	for _, k := range list {
		out += fmt.Sprintf(" cmsg %d:%d %s", k.Level, k.Type, c.control(k))
	}
	return out
}

// control writes a control message, without what the clock or chance has put in.
func (c *script) control(k abi.Cmsg) string {
	switch {
	case k.Level == solSCTP && k.Type < len(sctpControls):
		return sctpControls[k.Type].name + " " + c.show(sctpControls[k.Type].form, k.Data)
	case k.Level == abi.SOL_SOCKET:
		return fmt.Sprintf("%d bytes", len(k.Data))
	case k.Level == abi.SOL_IP && k.Type == abi.IP_RECVERR, k.Level == abi.SOL_IPV6 && k.Type == abi.IPV6_RECVERR:
		if len(k.Data) > 16 {
			return hex.EncodeToString(k.Data[:16]) + " by " + c.ports.text(k.Data[16:])
		}
	case k.Level == abi.SOL_IP && k.Type == abi.IP_RECVORIGDSTADDR, k.Level == abi.SOL_IPV6 && k.Type == abi.IPV6_RECVORIGDSTADDR:
		return c.ports.text(k.Data)
	case k.Level == abi.SOL_IPV6 && k.Type == abi.IPV6_FLOWINFO && len(k.Data) == 4:
		info := binary.BigEndian.Uint32(k.Data)
		label := fmt.Sprintf("%x", info&0xfffff)
		if !slices.Contains(givenLabels, info&0xfffff) {
			label = "by hash"
		}
		return fmt.Sprintf("class %x, label %s", info>>20, label)
	}
	return hex.EncodeToString(k.Data)
}

// givenLabels are the flow labels that scripts name.
var givenLabels = []uint32{0, 0x12345, 0x333, 0x444, 0x555}

// option finds an OPTION.
func option(text string) optionName {
	for _, o := range optionNames {
		if o.text == text {
			return o
		}
	}
	level, name, ok := strings.Cut(text, ":")
	if !ok {
		panic("no such option: " + text)
	}
	return optionName{text, number(level), number(name)}
}

func (c *script) option(s int, verb string, args []string) (string, bool) {
	if len(args) > 0 && strings.HasPrefix(args[0], "sctp:") {
		return c.sctpOptionLine(s, verb, args), true
	}
	switch verb {
	case "set":
		o := option(args[0])
		return errname(c.sys.setopt(s, o.level, o.name, abi.AppendInt(nil, number(args[1])))), true
	case "setx":
		o := option(args[0])
		v := []byte{}
		if len(args) > 1 {
			var err error
			if v, err = hex.DecodeString(args[1]); err != nil {
				panic(err)
			}
		}
		return errname(c.sys.setopt(s, o.level, o.name, v)), true
	case "ask":
		o := option(args[0])
		v, err := hex.DecodeString(args[1])
		if err != nil {
			panic(err)
		}
		if len(args) > 2 {
			v = append(v, make([]byte, number(args[2]))...)
		}
		if v, err = c.sys.getopt(s, o.level, o.name, v); err != nil {
			return errname(err), true
		}
		return fmt.Sprintf("%d bytes %s", len(v), hex.EncodeToString(v)), true
	case "get":
		o := option(args[0])
		size := 4
		if len(args) > 1 {
			size = number(args[1])
		}
		v, err := c.sys.getopt(s, o.level, o.name, make([]byte, size))
		switch {
		case err != nil:
			return errname(err), true
		case args[0] == "so:meminfo" && len(v) == 36:
			w := make([]uint32, 9)
			for i := range w {
				w[i] = binary.NativeEndian.Uint32(v[4*i:])
			}
			return fmt.Sprintf("received %t, rcvbuf %d, sndbuf %d, drops %d", w[0] != 0, w[1], w[3], w[8]), true
		case args[0] == "so:meminfo" && len(v) == 4:
			return fmt.Sprintf("received %t", binary.NativeEndian.Uint32(v) != 0), true
		case args[0] == "tcp:cc_info":
			return fmt.Sprintf("%d bytes", len(v)), true
		case len(v) == 4 && size == 4:
			n, _ := abi.ParseInt(v)
			return fmt.Sprint(n), true
		}
		v = bytes.Clone(v)
		return fmt.Sprintf("%d bytes %s", len(v), hex.EncodeToString(v)), true
	}
	return "", false
}

// look returns what a socket shows without being changed: its readiness and
// addresses.
func (c *script) look(name string) [3]string {
	s := c.fds[name]
	show := func(sa []byte, err error) string {
		if err != nil {
			return errname(err)
		}
		return c.ports.text(sa)
	}
	own := func(sa []byte, err error) string {
		if err != nil {
			return errname(err)
		}
		return c.ports.own(name, sa)
	}
	return [3]string{
		eventString(c.sys.poll(s)),
		own(c.sys.name(s)),
		show(c.sys.peer(s)),
	}
}

var looks = [3]string{"poll", "name", "peer"}
