package unix

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"usock/internal/abi"
	"usock/internal/wait"
)

// script carries out lines on a system. Each line gives a line of results, which
// two systems must agree on. The lines are
//
//	a = socket TYPE [PROTOCOL]     a b = pair TYPE [PROTOCOL]    c = accept a
//	a bind ADDR     a listen N     a connect ADDR     a shutdown rd|wr|rdwr
//	a send TEXT [to ADDR] [FLAG]   a sendn COUNT [to ADDR]
//	a cred self|other|short        a rights COUNT     a scm TYPE
//	a recv SIZE [FLAG…]            a close            a poll
//	a name          a peer         a set OPTION N     a get OPTION [SIZE]
//	a inq           unlink ADDR
type script struct {
	sys  system
	self Cred
	fds  map[string]int
}

func newScript(s system, self Cred) *script {
	return &script{sys: s, self: self, fds: make(map[string]int)}
}

var types = map[string]int{
	"stream": abi.SOCK_STREAM, "dgram": abi.SOCK_DGRAM, "seqpacket": abi.SOCK_SEQPACKET,
	"raw": abi.SOCK_RAW, "rdm": 4,
}

var optionNames = map[string]int{
	"error": abi.SO_ERROR, "type": abi.SO_TYPE, "domain": abi.SO_DOMAIN, "protocol": abi.SO_PROTOCOL,
	"acceptconn": abi.SO_ACCEPTCONN, "passcred": abi.SO_PASSCRED, "peercred": abi.SO_PEERCRED,
	"peekoff": abi.SO_PEEK_OFF, "rcvlowat": abi.SO_RCVLOWAT, "sndbuf": abi.SO_SNDBUF,
	"rcvbuf": abi.SO_RCVBUF, "keepalive": abi.SO_KEEPALIVE, "reuseaddr": abi.SO_REUSEADDR,
}

var flagNames = map[string]int{
	"peek": abi.MSG_PEEK, "trunc": abi.MSG_TRUNC, "waitall": abi.MSG_WAITALL, "oob": abi.MSG_OOB,
	"eor": abi.MSG_EOR, "more": abi.MSG_MORE, "dontwait": abi.MSG_DONTWAIT,
}

// run carries out a line.
func (c *script) run(line string) string {
	f := strings.Fields(line)
	for i, w := range f {
		if w == "=" {
			return c.make(f[:i], f[i+1], f[i+2:])
		}
	}
	if f[0] == "unlink" {
		return errname(c.sys.unlink(f[1]))
	}
	s, ok := c.fds[f[0]]
	if !ok {
		return "no socket"
	}
	return c.call(s, f[0], f[1], f[2:])
}

func (c *script) make(out []string, verb string, args []string) string {
	protocol := 0
	if verb != "accept" && len(args) > 1 {
		protocol, _ = strconv.Atoi(args[1])
	}
	switch verb {
	case "socket":
		s, err := c.sys.socket(types[args[0]], protocol)
		if err == nil {
			c.fds[out[0]] = s
		}
		return errname(err)
	case "pair":
		a, b, err := c.sys.pair(types[args[0]], protocol)
		if err == nil {
			c.fds[out[0]], c.fds[out[1]] = a, b
		}
		return errname(err)
	case "accept":
		l, ok := c.fds[args[0]]
		if !ok {
			return "no socket"
		}
		s, peer, err := c.sys.accept(l)
		if err != nil {
			return errname(err)
		}
		c.fds[out[0]] = s
		return "from " + peer
	}
	panic(verb)
}

func (c *script) call(s int, name, verb string, args []string) string {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	n, _ := strconv.Atoi(arg(0))
	switch verb {
	case "bind":
		return errname(c.sys.bind(s, arg(0)))
	case "listen":
		return errname(c.sys.listen(s, n))
	case "connect":
		return errname(c.sys.connect(s, arg(0)))
	case "shutdown":
		how := map[string]int{"rd": abi.SHUT_RD, "wr": abi.SHUT_WR, "rdwr": abi.SHUT_RDWR}[arg(0)]
		return errname(c.sys.shutdown(s, how))
	case "close":
		delete(c.fds, name)
		return errname(c.sys.close(s))
	case "poll":
		return events(c.sys.poll(s))
	case "name":
		return text(c.sys.name(s))
	case "peer":
		return text(c.sys.peer(s))
	case "send", "sendn", "cred", "rights", "scm":
		return c.send(s, verb, args)
	case "recv":
		return c.recv(s, n, args[1:])
	case "set":
		v, _ := strconv.Atoi(arg(1))
		return errname(c.sys.setopt(s, optionNames[arg(0)], v))
	case "get":
		size := 4
		if arg(1) != "" {
			size, _ = strconv.Atoi(arg(1))
		}
		v, err := c.sys.getopt(s, optionNames[arg(0)], size)
		if err != nil {
			return errname(err)
		}
		if arg(0) == "peercred" && len(v) == sizeofCred {
			return c.who(parseCred(v))
		}
		if len(v) == 4 {
			return strconv.Itoa(int(int32(binary.NativeEndian.Uint32(v))))
		}
		return fmt.Sprintf("% x", v)
	case "inq":
		n, err := c.sys.inq(s)
		if err != nil {
			return errname(err)
		}
		return strconv.Itoa(n)
	}
	panic(verb)
}

func text(s string, err error) string {
	if err != nil {
		return errname(err)
	}
	return s
}

// who names credentials, for the systems run as different ones.
func (c *script) who(x Cred) string {
	if x == c.self {
		return "self"
	}
	return fmt.Sprintf("%d %d %d", x.PID, int32(x.UID), int32(x.GID))
}

func (c *script) send(s int, verb string, args []string) string {
	m := msg{flags: abi.MSG_NOSIGNAL, data: "x"}
	switch verb {
	case "send":
		if m.data = args[0]; m.data == `""` {
			m.data = ""
		}
		args = args[1:]
	case "sendn":
		n, _ := strconv.Atoi(args[0])
		m.data = strings.Repeat("x", n)
		args = args[1:]
	case "cred":
		cred := c.self
		b := cred.append(nil)
		switch args[0] {
		case "other":
			cred.UID++
			b = cred.append(nil)
		case "short":
			b = b[:8]
		}
		m.control = abi.AppendCmsg(nil, abi.SOL_SOCKET, scmCredentials, b)
		args = args[1:]
	case "rights":
		n, _ := strconv.Atoi(args[0])
		var b []byte
		for range n {
			b = abi.AppendInt(b, -1)
		}
		m.control = abi.AppendCmsg(nil, abi.SOL_SOCKET, scmRights, b)
		args = args[1:]
	case "scm":
		n, _ := strconv.Atoi(args[0])
		m.control = abi.AppendCmsg(nil, abi.SOL_SOCKET, n, abi.AppendInt(nil, 0))
		args = args[1:]
	}
	for i := 0; i < len(args); i++ {
		if args[i] == "to" {
			i++
			m.name = args[i]
		} else {
			m.flags |= flagNames[args[i]]
		}
	}
	n, err := c.sys.send(s, m)
	if err != nil {
		return errname(err)
	}
	return strconv.Itoa(n)
}

func (c *script) recv(s, size int, flags []string) string {
	f, room := 0, 128
	for _, name := range flags {
		if name == "noroom" {
			room = 0
			continue
		}
		f |= flagNames[name]
	}
	m, n, err := c.sys.recv(s, size, room, f)
	if err != nil {
		return errname(err)
	}
	data := m.data
	if len(data) > 40 {
		data = fmt.Sprintf("%.10s… of %d", data, len(data))
	}
	out := fmt.Sprintf("%d %q from %s", n, data, m.name)
	if m.flags&abi.MSG_TRUNC != 0 {
		out += " trunc"
	}
	if m.flags&abi.MSG_EOR != 0 {
		out += " eor"
	}
	cmsgs, err := abi.ParseCmsgs(m.control)
	if err != nil {
		return out + " control " + err.Error()
	}
	for _, x := range cmsgs {
		if x.Level == abi.SOL_SOCKET && x.Type == scmCredentials && len(x.Data) == sizeofCred {
			out += " by " + c.who(parseCred(x.Data))
		} else {
			out += fmt.Sprintf(" cmsg %d/%d % x", x.Level, x.Type, x.Data)
		}
	}
	return out
}

func events(ev wait.Events) string {
	var out []string
	for _, e := range []struct {
		ev   wait.Events
		name string
	}{
		{wait.In, "in"}, {wait.Out, "out"}, {wait.Pri, "pri"}, {wait.RdHup, "rdhup"},
		{wait.Hup, "hup"}, {wait.Err, "err"},
	} {
		if ev&e.ev != 0 {
			out = append(out, e.name)
		}
	}
	return strings.Join(out, "|")
}
