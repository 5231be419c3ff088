package unix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/socket"
	"usock/internal/wait"
)

// message of a call of the scripts.
type msg struct {
	data    string
	name    string // address
	control []byte
	flags   int
}

// system is what a script runs on. Sockets are numbers; all calls are
// non-blocking. Addresses are written "p:name" for a path, "a:name" for an
// abstract name, "-" for a name of no length, "unspec" and "inet" for those
// families.
type system interface {
	socket(typ, protocol int) (int, error)
	pair(typ, protocol int) (int, int, error)
	bind(s int, addr string) error
	listen(s, backlog int) error
	connect(s int, addr string) error
	accept(s int) (int, string, error)
	send(s int, m msg) (int, error)
	recv(s, size, room, flags int) (msg, int, error)
	shutdown(s, how int) error
	close(s int) error
	poll(s int) wait.Events
	name(s int) (string, error)
	peer(s int) (string, error)
	setopt(s, name, value int) error
	getopt(s, name, size int) ([]byte, error)
	inq(s int) (int, error)
	unlink(path string) error
}

// names translates the addresses of scripts.
type names struct{ paths, abstract string }

func (n names) addr(text string) abi.Addr {
	kind, name, _ := strings.Cut(text, ":")
	switch kind {
	case "unspec":
		return abi.Addr{}
	case "inet":
		return abi.Addr{Family: abi.AF_INET}
	case "p":
		return abi.Addr{Family: abi.AF_UNIX, Path: n.paths + name}
	case "a":
		return abi.Addr{Family: abi.AF_UNIX, Path: "\x00" + n.abstract + name}
	case "-":
		return abi.Addr{Family: abi.AF_UNIX}
	}
	panic("address " + text)
}

func (n names) text(a abi.Addr) string {
	switch {
	case a.Family != abi.AF_UNIX:
		return "none"
	case a.Path == "":
		return "unnamed"
	case a.Path[0] != 0:
		return "p:" + strings.TrimPrefix(a.Path, n.paths)
	}
	if name, ok := strings.CutPrefix(a.Path[1:], n.abstract); ok {
		return "a:" + name
	}
	if len(a.Path) == 6 && strings.Trim(a.Path[1:], "0123456789abcdef") == "" {
		return "auto"
	}
	return fmt.Sprintf("%q", a.Path)
}

// user is usock as the system of a script.
type user struct {
	names
	h       *host.Host
	d       *Domain
	sockets *socket.Registry
	fds     []*socket.Socket
}

func newUser(cred Cred, privileged bool) *user {
	u := &user{names: names{"/t/", "t-"}, h: host.New(clock.System())}
	u.sockets = socket.NewRegistry(u.h)
	u.d = New(Config{Sockets: u.sockets, Cred: cred, Capable: func(int) bool { return privileged }})
	return u
}

func (u *user) end() {
	for _, s := range u.fds {
		s.Close()
	}
	u.h.Enter()
	u.h.Close()
	u.h.Leave()
}

// closeAll closes every socket that is open.
func (u *user) closeAll() {
	u.h.Enter()
	left := slices.Clone(u.sockets.All())
	u.h.Leave()
	for _, s := range left {
		s.Close()
	}
}

func (u *user) put(s *socket.Socket) int {
	u.fds = append(u.fds, s)
	return len(u.fds) - 1
}

func (u *user) open(typ, protocol int) (*socket.Socket, error) {
	typ, err := Lookup(typ, protocol)
	if err != nil {
		return nil, err
	}
	u.h.Enter()
	defer u.h.Leave()
	p := u.d.Proto(typ)
	s := u.sockets.NewSocket(p, abi.AF_UNIX, typ, 0)
	s.InitNonblock()
	return s, p.Attach(s)
}

func (u *user) socket(typ, protocol int) (int, error) {
	s, err := u.open(typ, protocol)
	if err != nil {
		return -1, err
	}
	return u.put(s), nil
}

func (u *user) pair(typ, protocol int) (int, int, error) {
	a, err := u.open(typ, protocol)
	if err != nil {
		return -1, -1, err
	}
	b, err := u.open(typ, protocol)
	if err != nil {
		return -1, -1, err
	}
	u.h.Enter()
	Pair(a, b)
	u.h.Leave()
	return u.put(a), u.put(b), nil
}

var background = context.Background()

func (u *user) bind(s int, addr string) error { return u.fds[s].Bind(u.addr(addr)) }
func (u *user) listen(s, backlog int) error   { return u.fds[s].Listen(backlog) }
func (u *user) shutdown(s, how int) error     { return u.fds[s].Shutdown(how) }
func (u *user) close(s int) error             { return u.fds[s].Close() }
func (u *user) poll(s int) wait.Events        { return u.fds[s].Ready() }
func (u *user) setopt(s, name, value int) error {
	return u.fds[s].SetOpt(1, name, abi.AppendInt(nil, value))
}

func (u *user) connect(s int, addr string) error {
	return u.fds[s].Connect(background, u.addr(addr))
}

func (u *user) accept(s int) (int, string, error) {
	n, err := u.fds[s].Accept(background)
	if err == nil {
		n.SetNonblock(true)
	}
	if err != nil {
		return -1, "", err
	}
	peer, err := n.Peer()
	return u.put(n), u.text(peer), err
}

func (u *user) send(s int, m msg) (int, error) {
	in := &socket.Msg{Flags: m.flags, Control: m.control}
	if m.name != "" {
		in.HasAddr, in.Addr = true, u.addr(m.name)
	}
	return u.fds[s].Send(background, []byte(m.data), in)
}

func (u *user) recv(s, size, room, flags int) (msg, int, error) {
	p := make([]byte, size)
	in := &socket.Msg{Flags: flags, Want: true}
	n, err := u.fds[s].Recv(background, p, in)
	if err != nil {
		return msg{}, n, err
	}
	return msg{string(p[:min(n, size)]), u.text(in.Addr), in.Control, in.Flags}, n, nil
}

func (u *user) name(s int) (string, error) {
	a, err := u.fds[s].Name()
	return u.text(a), err
}

func (u *user) peer(s int) (string, error) {
	a, err := u.fds[s].Peer()
	return u.text(a), err
}

func (u *user) getopt(s, name, size int) ([]byte, error) {
	b := make([]byte, size)
	n, err := u.fds[s].GetOpt(1, name, b)
	return b[:n], err
}

func (u *user) inq(s int) (int, error) {
	return u.fds[s].Queued(false)
}

func (u *user) unlink(path string) error {
	u.h.Enter()
	defer u.h.Leave()
	return u.d.Unlink(u.addr(path).Path)
}

// errname returns an errno's name.
func errname(err error) string {
	if err == nil {
		return "ok"
	}
	for _, e := range []struct {
		err  syscall.Errno
		name string
	}{
		{syscall.EADDRINUSE, "EADDRINUSE"}, {syscall.EAGAIN, "EAGAIN"}, {syscall.EBADF, "EBADF"},
		{syscall.ECONNREFUSED, "ECONNREFUSED"}, {syscall.ECONNRESET, "ECONNRESET"},
		{syscall.EINVAL, "EINVAL"}, {syscall.EISCONN, "EISCONN"}, {syscall.EMSGSIZE, "EMSGSIZE"},
		{syscall.ENOENT, "ENOENT"}, {syscall.ENOTCONN, "ENOTCONN"}, {syscall.EOPNOTSUPP, "EOPNOTSUPP"},
		{syscall.EPERM, "EPERM"}, {syscall.EPIPE, "EPIPE"}, {syscall.EPROTOTYPE, "EPROTOTYPE"},
		{syscall.EPROTONOSUPPORT, "EPROTONOSUPPORT"}, {syscall.ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"},
		{syscall.ENOPROTOOPT, "ENOPROTOOPT"}, {syscall.EAFNOSUPPORT, "EAFNOSUPPORT"},
	} {
		if errors.Is(err, e.err) {
			return e.name
		}
	}
	return err.Error()
}
