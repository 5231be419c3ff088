package oracle

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	"usock"
	"usock/internal/abi"
	"usock/link"
)

// user is usock as the system of a script: a host with the interfaces of kernel's
// namespace.
type user struct {
	host *usock.Host
	fds  map[int]*usock.Socket
	next int
}

func newUser(t testing.TB, privileged bool) *user {
	return newUserWith(t, func(int) bool { return privileged }, kernelLimits(t))
}

// kernelLimits are settings of TCP with the limits of buffers that the kernel has: SO_RCVLOWAT shows one
// of them.
func kernelLimits(t testing.TB) *usock.TCPConfig {
	c := usock.DefaultTCPConfig()
	for name, m := range map[string]*[3]int{"tcp_rmem": &c.RMem, "tcp_wmem": &c.WMem} {
		b, err := os.ReadFile("/proc/sys/net/ipv4/" + name)
		if err == nil {
			_, err = fmt.Sscan(string(b), &m[0], &m[1], &m[2])
		}
		if err != nil {
			t.Error(name, err)
		}
	}
	return c
}

// newUserWith is newUser of a program that has the capabilities which capable tells, on a host
// with these settings of TCP.
func newUserWith(t testing.TB, capable func(int) bool, tcp *usock.TCPConfig) *user {
	return newUserOf(t, usock.Config{Capable: capable, TCP: tcp})
}

// newUserOf is newUser on a host of these settings.
func newUserOf(t testing.TB, c usock.Config) *user {
	c.Congestion = "reno" // what every namespace may choose
	c.Interfaces = []usock.Interface{{
		Link:  &sink{closed: make(chan struct{})},
		Addrs: []netip.Prefix{netip.MustParsePrefix(t0Addr + "/24")},
	}}
	h, err := usock.NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	return &user{host: h, fds: make(map[int]*usock.Socket)}
}

// sink is a link that nobody answers on.
type sink struct {
	once   sync.Once
	closed chan struct{}
}

func (*sink) Info() link.Info { return link.Info{Name: "t0", MTU: 1500} }

func (*sink) Send(batch []*link.Packet) int {
	for _, p := range batch {
		p.Free()
	}
	return len(batch)
}

func (s *sink) Recv([]*link.Packet) (int, error) {
	<-s.closed
	return 0, link.ErrClosed
}

func (s *sink) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (u *user) end() {
	for _, s := range u.fds {
		s.Close()
	}
	u.host.Close()
}

func (u *user) put(s *usock.Socket) int {
	u.next++
	u.fds[u.next] = s
	return u.next
}

func (u *user) socket(domain, typ, protocol int) (int, error) {
	s, err := u.host.Socket(domain, typ|abi.SOCK_NONBLOCK, protocol)
	if err != nil {
		return -1, err
	}
	return u.put(s), nil
}

func (u *user) bind(s int, sa []byte) error {
	a, err := usock.ParseSockaddr(sa)
	if err != nil {
		return err
	}
	return u.fds[s].Bind(a)
}

func (u *user) connect(s int, sa []byte) error {
	a, err := usock.ParseSockaddr(sa)
	if err != nil {
		return err
	}
	return u.fds[s].Connect(a)
}

func (u *user) finish(s int, _ []byte) error { return u.fds[s].FinishConnect() }

func (u *user) listen(s, backlog int) error { return u.fds[s].Listen(backlog) }
func (u *user) shutdown(s, how int) error   { return u.fds[s].Shutdown(how) }
func (u *user) block(s int, on bool)        { u.fds[s].SetNonblock(!on) }

func (u *user) accept(s int) (int, []byte, error) {
	n, from, err := u.fds[s].Accept()
	if err != nil {
		return -1, nil, err
	}
	n.SetNonblock(true)
	return u.put(n), from.AppendSockaddr(nil), nil
}

func (u *user) close(s int) error {
	k := u.fds[s]
	delete(u.fds, s)
	return k.Close()
}

func (u *user) name(s int) ([]byte, error) {
	a, err := u.fds[s].GetSockName()
	if err != nil {
		return nil, err
	}
	return a.AppendSockaddr(nil), nil
}

func (u *user) peer(s int) ([]byte, error) {
	a, err := u.fds[s].GetPeerName()
	if err != nil {
		return nil, err
	}
	return a.AppendSockaddr(nil), nil
}

func (u *user) send(s int, m message) (int, error) {
	k := u.fds[s]
	typ, _ := k.GetSockOptInt(abi.SOL_SOCKET, abi.SO_TYPE)
	protocol, _ := k.GetSockOptInt(abi.SOL_SOCKET, abi.SO_PROTOCOL)
	if len(m.name) > 0 && (typ != abi.SOCK_STREAM || protocol == abi.IPPROTO_SCTP || m.flags&abi.MSG_FASTOPEN != 0) {
		a, err := usock.ParseSockaddr(m.name)
		if err != nil {
			return 0, err
		}
		if len(m.control) == 0 {
			return k.SendTo(m.data, m.flags, a)
		}
		return k.SendMsg(context.Background(), &usock.Msg{Bufs: [][]byte{m.data}, Name: a, Control: m.control}, m.flags)
	}
	return k.SendMsg(context.Background(), &usock.Msg{Bufs: [][]byte{m.data}, Control: m.control}, m.flags)
}

// peeloff implements peeler.
func (u *user) peeloff(s int, assoc int32, flags int) (int, error) {
	n, err := u.fds[s].PeelOff(assoc)
	if err != nil {
		return -1, err
	}
	n.SetNonblock(true)
	return u.put(n), nil
}

func (u *user) recv(s, size, room, flags int) (message, int, error) {
	if room == 0 {
		p := make([]byte, size)
		n, from, err := u.fds[s].RecvFrom(p, flags)
		if err != nil {
			return message{}, 0, err
		}
		out := message{data: p[:min(n, size)]}
		if from.Family != abi.AF_UNSPEC {
			out.name = from.AppendSockaddr(nil)
		}
		return out, n, nil
	}
	m := usock.Msg{Bufs: [][]byte{make([]byte, size)}, Control: make([]byte, room)}
	n, err := u.fds[s].RecvMsg(context.Background(), &m, flags)
	if err != nil {
		return message{}, 0, err
	}
	out := message{data: m.Bufs[0][:min(n, size)], control: m.Control, flags: m.Flags}
	if m.Name.Family != abi.AF_UNSPEC {
		out.name = m.Name.AppendSockaddr(nil)
	}
	return out, n, nil
}

func (u *user) poll(s int) usock.Events { return u.fds[s].Events() }

func (u *user) setopt(s, level, name int, v []byte) error {
	return u.fds[s].SetSockOpt(level, name, v)
}

func (u *user) getopt(s, level, name int, v []byte) ([]byte, error) {
	n, err := u.fds[s].GetSockOpt(level, name, v)
	if err != nil {
		return nil, err
	}
	return v[:n], nil
}

func (u *user) queued(s int) (in, out int, err error) {
	if in, err = u.fds[s].InQueue(); err != nil {
		return 0, 0, err
	}
	out, err = u.fds[s].OutQueue()
	return in, out, err
}

func (u *user) unsent(s int) (int, error) { return u.fds[s].OutQueueUnsent() }

func (u *user) stamp(s int) error {
	at, err := u.fds[s].Timestamp()
	if err != nil {
		return err
	}
	return recent(at)
}
