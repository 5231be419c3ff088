package inet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/ip"
	"usock/internal/socket"
	"usock/internal/wait"
	"usock/packet"
)

// Two machines on a wire, in manual time: what one sends the other has received when the call
// returns. Sockets do not wait.
const (
	addrA, addrB   = "10.0.0.1", "10.0.0.2"
	addrA6, addrB6 = "2001:db8::1", "2001:db8::2"
)

// machine is a host with a loopback interface (1) and eth0 (2).
type machine struct {
	t     testing.TB
	clock *clock.Manual
	h     *host.Host
	st    *Stack
	lo    *ip.Iface
	eth   *ip.Iface
	lacks map[int]bool // capabilities that programs have not

	to    *machine // at the other end of the wire; nil: nobody
	sent  [][]byte // what went into the wire, as bytes
	notes []string // the notes of what did
	cut   bool     // the wire loses all
}

// Send implements relay.Sender: it is the machine's end of the wire.
func (m *machine) Send(batch []*packet.Packet) int {
	for _, p := range batch {
		m.sent = append(m.sent, p.AppendTo(nil))
		if p.Note != "" {
			m.notes = append(m.notes, p.Note)
		}
		if m.cut || m.to == nil {
			p.Free()
			continue
		}
		m.to.h.Enter()
		m.to.st.IP.Whole().Input(m.to.eth, []*packet.Packet{p})
		m.to.h.Leave()
	}
	return len(batch)
}

// took returns what went into the wire since it was called last.
func (m *machine) took() [][]byte {
	out := m.sent
	m.sent = nil
	return out
}

// do runs f as an entry into the host.
func (m *machine) do(f func()) {
	m.h.Enter()
	defer m.h.Leave()
	f()
}

// arrive has the wire deliver a packet.
func (m *machine) arrive(b []byte) {
	m.do(func() { m.st.IP.Whole().Input(m.eth, []*packet.Packet{packet.FromBytes(b)}) })
}

func newMachine(t testing.TB, c *clock.Manual, cfg Config, addrs ...string) *machine {
	m := machineOf(t, host.New(c), cfg, addrs...)
	m.clock = c
	return m
}

// newWide returns a machine with several lanes, on the system's clock.
func newWide(t testing.TB, addrs ...string) *machine {
	packet.Track(true)
	live := packet.Live()
	m := machineOf(t, host.NewWithLanes(clock.System(), 4), Config{}, addrs...)
	t.Cleanup(func() {
		m.do(func() { m.st.Close() })
		m.do(m.h.Close)
		if n := packet.Live() - live; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
	})
	return m
}

// comes has packets come from the wire in a lane of their own. What it returns ends once they are received.
func (m *machine) comes(b ...[]byte) (done chan struct{}) {
	var batch []*packet.Packet
	for _, b := range b {
		batch = append(batch, packet.FromBytes(b))
	}
	done = make(chan struct{})
	go func() {
		m.st.IP.Input(m.eth, batch)
		close(done)
	}()
	return done
}

func machineOf(t testing.TB, h *host.Host, cfg Config, addrs ...string) *machine {
	m := &machine{t: t, h: h, lacks: map[int]bool{}}
	cfg.Sockets = socket.NewRegistry(m.h)
	cfg.Seed = 7
	cfg.Capable = func(n int) bool { return !m.lacks[n] }
	m.do(func() {
		var err error
		if m.st, err = New(m.h, cfg); err != nil {
			t.Fatal(err)
		}
		m.st.Register(ip.ProtoTCP, m.st.TCP())
		m.st.Register(ip.ProtoUDP, m.st.UDP())
		m.st.Register(ip.ProtoSCTP, m.st.SCTP())
		m.st.Register(ip.ProtoICMP, m.st.Ping())
		m.st.Register(ip.ProtoICMPv6, m.st.Ping())
		m.lo = m.st.IP.AddIface(ip.IfaceConfig{Name: "lo", Loopback: true})
		m.eth = m.st.IP.AddIface(ip.IfaceConfig{Name: "eth0", Out: m.h.NewPort(m)})
		for _, a := range addrs {
			if err := m.st.IP.AddAddr(m.eth, netip.MustParsePrefix(a)); err != nil {
				t.Fatal(err)
			}
		}
	})
	return m
}

// newPair returns two machines, the first of which has the configuration.
func newPair(t testing.TB, cfg Config) (a, b *machine) { return pairOf(t, cfg, Config{}) }

// pairOf returns two machines of the configurations.
func pairOf(t testing.TB, of, other Config) (a, b *machine) {
	packet.Track(true)
	live := packet.Live()
	c := &clock.Manual{}
	c.Advance(time.Hour)
	a = newMachine(t, c, of, addrA+"/24", addrA6+"/64", "fe80::1/64")
	b = newMachine(t, c, other, addrB+"/24", addrB6+"/64", "fe80::2/64")
	a.to, b.to = b, a
	t.Cleanup(func() {
		for _, m := range []*machine{a, b} {
			m.do(func() { m.st.Close() })
			m.do(m.h.Close)
		}
		if n := packet.Live() - live; n != 0 {
			t.Errorf("%d blocks not released", n)
		}
	})
	return a, b
}

// noContext is that of a call which none ends.
var noContext context.Context

// sock is a socket that does not wait.
type sock struct {
	*socket.Socket
	m *machine
}

// open returns a socket by its kind: tcp4, tcp6, udp4, udp6, ping4, ping6, raw4:NUMBER, raw6:NUMBER,
// and of SCTP's styles one4, one6, many4, many6.
func (m *machine) open(kind string) *sock {
	m.t.Helper()
	s, err := m.tryOpen(kind)
	if err != nil {
		m.t.Fatal(kind, err)
	}
	return s
}

func (m *machine) tryOpen(kind string) (*sock, error) {
	name, number, _ := strings.Cut(kind, ":")
	domain := abi.AF_INET
	if strings.HasSuffix(name, "6") {
		domain = abi.AF_INET6
	}
	var p socket.Proto
	typ, protocol := abi.SOCK_DGRAM, 0
	switch name[:len(name)-1] {
	case "tcp":
		p, typ, protocol = m.st.TCP(), abi.SOCK_STREAM, abi.IPPROTO_TCP
	case "udp":
		p, protocol = m.st.UDP(), abi.IPPROTO_UDP
	case "ping":
		p, protocol = m.st.Ping(), abi.IPPROTO_ICMP
		if domain == abi.AF_INET6 {
			protocol = abi.IPPROTO_ICMPV6
		}
	case "one":
		p, typ, protocol = m.st.SCTP(), abi.SOCK_STREAM, abi.IPPROTO_SCTP
	case "many":
		p, typ, protocol = m.st.SCTP(), abi.SOCK_SEQPACKET, abi.IPPROTO_SCTP
	case "raw":
		p, typ = m.st.Raw(), abi.SOCK_RAW
		fmt.Sscan(number, &protocol)
	}
	m.h.Enter()
	defer m.h.Leave()
	s := m.st.NewSocket(p, domain, typ, protocol)
	if err := p.Attach(s); err != nil {
		return nil, err
	}
	s.InitNonblock()
	return &sock{s, m}, nil
}

// sockaddr is an address of the socket's family: ADDR:PORT or [ADDR%SCOPE]:PORT, where an IPv4 address
// is mapped for a socket of IPv6. "" has no family.
func (s *sock) sockaddr(a string) abi.Addr {
	if a == "" {
		return abi.Addr{Family: abi.AF_UNSPEC, IP: netip.IPv4Unspecified()}
	}
	ap := netip.MustParseAddrPort(a)
	scope := uint32(0)
	if z := ap.Addr().Zone(); z != "" {
		fmt.Sscan(z, &scope)
	}
	addr := ap.Addr().WithZone("")
	out := abi.Addr{Family: abi.AF_INET, IP: addr, Port: ap.Port()}
	if addr.Is6() || s.Domain == abi.AF_INET6 {
		out = abi.Addr{Family: abi.AF_INET6, IP: netip.AddrFrom16(addr.As16()), Port: ap.Port(), Scope: scope}
	}
	return out
}

func (s *sock) bind(a string) error    { return s.Bind(s.sockaddr(a)) }
func (s *sock) connect(a string) error { return s.Connect(noContext, s.sockaddr(a)) }

// at is bind that must succeed.
func (s *sock) at(a string) *sock {
	s.m.t.Helper()
	if err := s.bind(a); err != nil {
		s.m.t.Fatalf("bind to %s: %v", a, err)
	}
	return s
}

// peer is connect that must succeed.
func (s *sock) with(a string) *sock {
	s.m.t.Helper()
	if err := s.connect(a); err != nil && err != syscall.EINPROGRESS {
		s.m.t.Fatalf("connect to %s: %v", a, err)
	}
	return s
}

// send sends to an address, or to the peer where that is "-".
func (s *sock) send(data, to string, control ...[]byte) error {
	m := socket.Msg{Flags: abi.MSG_DONTWAIT}
	if to != "-" {
		m.Addr, m.HasAddr = s.sockaddr(to), true
	}
	for _, c := range control {
		m.Control = append(m.Control, c...)
	}
	n, err := s.Send(noContext, []byte(data), &m)
	if err == nil && n != len(data) {
		return fmt.Errorf("%d bytes of %d were sent", n, len(data))
	}
	return err
}

// got is what a receive returned.
type got struct {
	data    string
	from    string
	flags   int
	control []abi.Cmsg
	err     error
}

// recv receives with the flags.
func (s *sock) recv(flags int) got { return s.recvInto(70000, flags) }

func (s *sock) recvInto(room, flags int) got {
	m := socket.Msg{Flags: flags | abi.MSG_DONTWAIT, Want: true}
	b := make([]byte, room)
	n, err := s.Recv(noContext, b, &m)
	g := got{data: string(b[:min(n, room)]), from: m.Addr.String(), flags: m.Flags, err: err}
	g.control, _ = abi.ParseCmsgs(m.Control)
	return g
}

// text is what waits to be received, in order: DATA or an error, each but the EAGAIN at the end.
func (s *sock) text() string {
	var out []string
	for range 1000 {
		g := s.recv(0)
		if g.err == syscall.EAGAIN {
			break
		}
		if g.err != nil {
			g.data = name(g.err)
		}
		out = append(out, g.data)
		if g.data == "" {
			break
		}
	}
	return strings.Join(out, " ")
}

// said returns the control messages, LEVEL/TYPE=HEX each.
func (g got) said() string {
	var out []string
	for _, c := range g.control {
		out = append(out, fmt.Sprintf("%d/%d=%x", c.Level, c.Type, c.Data))
	}
	return strings.Join(out, " ")
}

// name is an error's short name.
func name(err error) string {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	if n, ok := names[e]; ok {
		return n
	}
	return e.Error()
}

var names = map[syscall.Errno]string{
	syscall.EINVAL: "EINVAL", syscall.EADDRINUSE: "EADDRINUSE", syscall.EADDRNOTAVAIL: "EADDRNOTAVAIL", syscall.EAFNOSUPPORT: "EAFNOSUPPORT",
	syscall.EACCES: "EACCES", syscall.EPERM: "EPERM", syscall.ENODEV: "ENODEV", syscall.ENETUNREACH: "ENETUNREACH", syscall.ENOTCONN: "ENOTCONN",
	syscall.EISCONN: "EISCONN", syscall.ECONNREFUSED: "ECONNREFUSED", syscall.EMSGSIZE: "EMSGSIZE", syscall.EDESTADDRREQ: "EDESTADDRREQ",
	syscall.EOPNOTSUPP: "EOPNOTSUPP", syscall.ENOPROTOOPT: "ENOPROTOOPT", syscall.EPIPE: "EPIPE", syscall.EAGAIN: "EAGAIN", syscall.ESRCH: "ESRCH",
	syscall.EEXIST: "EEXIST", syscall.ENOENT: "ENOENT", syscall.ENOBUFS: "ENOBUFS", syscall.EPROTO: "EPROTO", syscall.EHOSTUNREACH: "EHOSTUNREACH",
	syscall.EFAULT: "EFAULT", syscall.EINPROGRESS: "EINPROGRESS", syscall.EALREADY: "EALREADY", syscall.ECONNRESET: "ECONNRESET", syscall.EBADF: "EBADF",
	syscall.ECONNABORTED: "ECONNABORTED", syscall.ETIMEDOUT: "ETIMEDOUT",
}

// local and remote are getsockname and getpeername.
func (s *sock) local() string { a, err := s.Name(); return addrOr(a, err) }

func (s *sock) remote() string { a, err := s.Peer(); return addrOr(a, err) }

func addrOr(a abi.Addr, err error) string {
	if err != nil {
		return name(err)
	}
	return a.String()
}

// port is the local port.
func (s *sock) port() uint16 { a, _ := s.Name(); return a.Port }

// set sets an option to an int.
func (s *sock) set(level, opt, v int) *sock {
	s.m.t.Helper()
	if err := s.SetOpt(level, opt, abi.AppendInt(nil, v)); err != nil {
		s.m.t.Fatalf("option %d/%d to %d: %v", level, opt, v, err)
	}
	return s
}

// get reads an option that is an int.
func (s *sock) get(level, opt int) int {
	s.m.t.Helper()
	b := make([]byte, 4)
	if _, err := s.GetOpt(level, opt, b); err != nil {
		s.m.t.Fatalf("option %d/%d: %v", level, opt, err)
	}
	return int(int32(binary.NativeEndian.Uint32(b)))
}

func (s *sock) ready() wait.Events { return s.Ready() }

func ints(v ...int) (b []byte) {
	for _, i := range v {
		b = abi.AppendInt(b, i)
	}
	return b
}

func cmsg(level, typ int, data []byte) []byte { return abi.AppendCmsg(nil, level, typ, data) }

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrport(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// The two machines reach each other, by each family and protocol.
func TestHarness(t *testing.T) {
	a, b := newPair(t, Config{})
	for _, c := range []struct{ kind, at, from string }{{"udp4", addrB + ":1000", addrA}, {"udp6", "[" + addrB6 + "]:1000", addrA6}, {"udp6", "[::ffff:" + addrB + "]:1001", "::ffff:" + addrA}} {
		r := b.open(c.kind).at(c.at)
		s := a.open(c.kind)
		if err := s.send("hello", c.at); err != nil {
			t.Fatal(err)
		}
		from := netip.AddrPortFrom(addr(c.from), s.port()).String()
		if g := r.recv(0); g.data != "hello" || g.from != from || g.err != nil {
			t.Errorf("%+v, want from %s", g, from)
		}
	}
	for _, c := range []struct{ kind, at string }{{"tcp4", addrB + ":80"}, {"tcp6", "[" + addrB6 + "]:80"}} {
		l := b.open(c.kind).at(c.at)
		if err := l.Listen(1); err != nil {
			t.Fatal(err)
		}
		s := a.open(c.kind).with(c.at)
		n, err := l.Accept(noContext)
		if err != nil {
			t.Fatal(err)
		}
		n.SetNonblock(true)
		if err := s.send("hello", "-"); err != nil {
			t.Fatal(err)
		}
		if got := (&sock{n, b}).text(); got != "hello" {
			t.Errorf("%q", got)
		}
	}
}

// udpStats returns what UDP has counted.
func (s *Stack) udpStats() UDPStats {
	_, u := s.Stats()
	return u
}
