package oracle

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
)

// system is what a script runs on: usock, or the kernel. Sockets are numbers, and
// non-blocking when they are made. Addresses are struct sockaddrs.
type system interface {
	socket(domain, typ, protocol int) (int, error)
	bind(s int, sa []byte) error
	connect(s int, sa []byte) error
	// finish tells what became of a connect to sa that has begun.
	finish(s int, sa []byte) error
	listen(s, backlog int) error
	accept(s int) (int, []byte, error)
	send(s int, m message) (int, error)
	recv(s, size, room, flags int) (message, int, error)
	shutdown(s, how int) error
	close(s int) error
	name(s int) ([]byte, error)
	peer(s int) ([]byte, error)
	setopt(s, level, name int, v []byte) error
	getopt(s, level, name int, v []byte) ([]byte, error) // changes v
	poll(s int) usock.Events
	queued(s int) (in, out int, err error)
	unsent(s int) (int, error) // SIOCOUTQNSD
	stamp(s int) error         // SIOCGSTAMP
	block(s int, on bool)
	end()
}

// message is what sendmsg and recvmsg carry.
type message struct {
	data    []byte
	name    []byte // nil: none
	control []byte
	flags   int
}

// errname names an errno, or says ok.
func errname(err error) string {
	var e syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		if n := unix.ErrnoName(e); n != "" {
			return n
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "deadline"
	}
	return err.Error()
}

var eventNames = []struct {
	ev   usock.Events
	name string
}{
	{usock.POLLIN, "IN"}, {usock.POLLPRI, "PRI"}, {usock.POLLOUT, "OUT"}, {usock.POLLERR, "ERR"}, {usock.POLLHUP, "HUP"}, {usock.POLLRDHUP, "RDHUP"},
}

func eventString(ev usock.Events) string {
	var out []string
	for _, e := range eventNames {
		if ev&e.ev != 0 {
			out = append(out, e.name)
		}
	}
	return strings.Join(out, "|")
}

// ports writes addresses with the ports that the system has chosen, not the script,
// numbered in the order in which sockets show them: e1, e2. Two sockets that have
// the same port, by chance or after each other, have two numbers.
type ports struct {
	asked  map[uint16]bool
	labels map[uint16]string // the last one for the port
	shown  map[string]bool   // sockets with their ports
	made   int
}

var portNumber = regexp.MustCompile(`:(\d+)`)

// asks notes the ports that a script names.
func (p *ports) asks(lines []string) {
	p.labels, p.shown = make(map[uint16]string), make(map[string]bool)
	p.asked = map[uint16]bool{0: true}
	if text := strings.Join(lines, ";"); strings.Contains(text, "= raw") {
		for _, protocol := range []uint16{1, 17, 58, 252, 253, 255} {
			p.asked[protocol] = true // what a raw socket shows for a port
		}
	}
	for _, l := range lines {
		for _, m := range portNumber.FindAllStringSubmatch(l, -1) {
			n, _ := strconv.Atoi(m[1])
			p.asked[uint16(n)] = true
		}
	}
}

// own is text of the name of a socket.
func (p *ports) own(socket string, sa []byte) string {
	if a, err := abi.ParseAddr(sa); err == nil && a.Port != 0 && !p.asked[a.Port] {
		if key := fmt.Sprint(socket, " ", a.Port); !p.shown[key] {
			p.shown[key] = true
			p.number(a.Port)
		}
	}
	return p.text(sa)
}

func (p *ports) number(port uint16) {
	p.made++
	p.labels[port] = fmt.Sprintf("e%d", p.made)
}

// gone forgets what a socket has shown.
func (p *ports) gone(socket string) {
	for key := range p.shown {
		if strings.HasPrefix(key, socket+" ") {
			delete(p.shown, key)
		}
	}
}

func (p *ports) text(sa []byte) string {
	if len(sa) == 0 {
		return "none"
	}
	a, err := abi.ParseAddr(sa)
	if err != nil {
		return fmt.Sprintf("% x", sa)
	}
	if a.Family != abi.AF_INET && a.Family != abi.AF_INET6 {
		return a.String()
	}
	port := fmt.Sprint(a.Port)
	if !p.asked[a.Port] {
		if p.labels[a.Port] == "" {
			p.number(a.Port)
		}
		port = p.labels[a.Port]
	}
	ip := a.IP.String()
	if a.Flow != 0 {
		port += fmt.Sprintf("~%x", a.Flow)
	}
	if a.Family == abi.AF_INET6 {
		if a.Scope != 0 {
			ip += fmt.Sprintf("%%%d", a.Scope)
		}
		ip = "[" + ip + "]"
	}
	return ip + ":" + port
}
