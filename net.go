package usock

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
)

// Dialer dials from a host with the net package's types. The zero value but for
// Host is ready for use.
type Dialer struct {
	Host *Host

	// Local is the address to dial from; the zero AddrPort: any.
	Local netip.AddrPort

	// Timeout bounds a dial; 0: the protocol's own patience.
	Timeout time.Duration

	// KeepAlive is the idle time before keepalive probes; 0 is 15 s, negative is
	// none, as in net.Dialer.
	KeepAlive time.Duration

	// Control, if not nil, is called with the socket before it connects.
	Control func(network string, s *Socket) error

	// Resolver looks up names; nil is net.DefaultResolver. "localhost" and "" need
	// none.
	Resolver *net.Resolver
}

// Dial connects to the address on the network as net.Dial does: networks "tcp",
// "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixgram" and "unixpacket".
// Errors are *net.OpError.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

// DialContext is Dial, given up when ctx ends.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := Dialer{Host: h}
	return d.DialContext(ctx, network, address)
}

// DialContext connects to the address on the network.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	if unixTypes[network] != 0 {
		return d.Host.dialUnix(ctx, network, address, d.Control)
	}
	k, err := parseNetwork(network)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	addrs, err := k.resolve(ctx, d.Resolver, address, false)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first error
	for _, a := range addrs {
		c, err := d.dial(ctx, k, a)
		if err == nil {
			return c, nil
		}
		err = &net.OpError{Op: "dial", Net: network, Source: k.local(d.Local), Addr: k.addr(a), Err: err}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// DialTCP connects to raddr on the network "tcp", "tcp4" or "tcp6", from laddr if
// that is valid or else from Local.
func (d *Dialer) DialTCP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*TCPConn, error) {
	c := new(TCPConn)
	if err := d.dialAddr(ctx, network, abi.SOCK_STREAM, laddr, raddr, &c.conn); err != nil {
		return nil, err
	}
	return c, nil
}

// DialUDP is DialTCP for the networks "udp", "udp4" and "udp6".
func (d *Dialer) DialUDP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*UDPConn, error) {
	c := new(UDPConn)
	if err := d.dialAddr(ctx, network, abi.SOCK_DGRAM, laddr, raddr, &c.conn); err != nil {
		return nil, err
	}
	return c, nil
}

func (d *Dialer) dialAddr(ctx context.Context, network string, typ int, laddr, raddr netip.AddrPort, c *conn) error {
	k, err := parseNetwork(network)
	raddr = netip.AddrPortFrom(raddr.Addr().Unmap(), raddr.Port())
	switch {
	case err == nil && k.typ != typ:
		err = net.UnknownNetworkError(network)
	case err == nil && (!raddr.IsValid() || k.family != 0 && (k.family == '4') != raddr.Addr().Is4()):
		err = &net.AddrError{Err: "no suitable address found", Addr: raddr.String()}
	}
	if err != nil {
		return &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	if !laddr.IsValid() {
		laddr = d.Local
	}
	if err := d.connect(ctx, k, laddr, raddr, c); err != nil {
		return &net.OpError{Op: "dial", Net: network, Source: k.local(laddr), Addr: k.addr(raddr), Err: err}
	}
	return nil
}

func (d *Dialer) dial(ctx context.Context, k kind, to netip.AddrPort) (net.Conn, error) {
	if k.typ == abi.SOCK_STREAM {
		c := new(TCPConn)
		return c, d.connect(ctx, k, d.Local, to, &c.conn)
	}
	c := new(UDPConn)
	return c, d.connect(ctx, k, d.Local, to, &c.conn)
}

// connect makes c a connection to the address.
func (d *Dialer) connect(ctx context.Context, k kind, from, to netip.AddrPort, c *conn) error {
	in, err := d.Host.open(abi.FamilyOf(to.Addr()), k.typ, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	c.s, c.k = Socket{in, d.Host}, k
	fail := func(call string, err error) error {
		c.s.Close()
		return callError(ctx, call, err)
	}
	if d.Control != nil {
		if err := d.Control(k.network, &c.s); err != nil {
			c.s.Close()
			return err
		}
	}
	if from.IsValid() {
		if err := c.s.Bind(Inet(from)); err != nil {
			return fail("bind", err)
		}
	}
	if err := c.s.ConnectContext(ctx, Inet(to)); err != nil {
		return fail("connect", err)
	}
	if err := c.named(); err != nil {
		return fail("getsockname", err)
	}
	if k.typ == abi.SOCK_STREAM {
		c.streamDefaults(d.KeepAlive)
	}
	return nil
}

// callError gives a call's error the shape that the net package's errors have.
func callError(ctx context.Context, call string, err error) error {
	switch {
	case ctx != nil && ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded):
		return os.ErrDeadlineExceeded
	case ctx != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case err == syscall.EBADF:
		return net.ErrClosed
	case call == "bind" && err == syscall.EACCES:
		err = forbiddenPort{}
	}
	return os.NewSyscallError(call, err)
}

// streamDefaults is what the net package sets on every TCP connection.
func (c *conn) streamDefaults(idle time.Duration) {
	switch {
	case idle < 0:
		c.s.in.SetOpts(streamSettings[:1])
	case idle == 0:
		c.s.in.SetOpts(streamSettings)
	default:
		c.s.in.SetOpts(settingsFor(idle))
	}
}

// streamSettings has the net package's keepalive.
var streamSettings = settingsFor(15 * time.Second)

func settingsFor(idle time.Duration) []socket.Setting {
	seconds := int((idle + time.Second - 1) / time.Second)
	return []socket.Setting{
		{Level: abi.SOL_TCP, Name: abi.TCP_NODELAY, Value: abi.AppendInt(nil, 1)},
		{Level: abi.SOL_SOCKET, Name: abi.SO_KEEPALIVE, Value: abi.AppendInt(nil, 1)},
		{Level: abi.SOL_TCP, Name: abi.TCP_KEEPIDLE, Value: abi.AppendInt(nil, seconds)},
		{Level: abi.SOL_TCP, Name: abi.TCP_KEEPINTVL, Value: abi.AppendInt(nil, seconds)},
	}
}

// Listen listens on the local address as net.Listen does: networks "tcp", "tcp4",
// "tcp6", "unix", "unixpacket". An address without host is every address of the
// host.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	if network == "unix" || network == "unixpacket" {
		return h.listenUnix(network, address)
	}
	fail := func(a net.Addr, err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: err}
	}
	k, err := parseNetwork(network)
	if err == nil && k.typ != abi.SOCK_STREAM {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return fail(nil, err)
	}
	s, a, err := h.bound(k, address, func(s *Socket) { s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1) })
	if err != nil {
		return fail(a, err)
	}
	if err := s.Listen(abi.SOMAXCONN); err != nil {
		s.Close()
		return fail(a, os.NewSyscallError("listen", err))
	}
	name, err := s.GetSockName()
	if err != nil {
		s.Close()
		return fail(a, err)
	}
	return &TCPListener{s: s, k: k, addr: k.addr(unmapped(name))}, nil
}

// ListenPacket listens for datagrams on the local address as net.ListenPacket
// does: networks "udp", "udp4", "udp6", "unixgram".
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	if network == "unixgram" {
		return h.listenPacketUnix(network, address)
	}
	fail := func(a net.Addr, err error) (net.PacketConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: err}
	}
	k, err := parseNetwork(network)
	if err == nil && k.typ != abi.SOCK_DGRAM {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return fail(nil, err)
	}
	s, a, err := h.bound(k, address, func(s *Socket) { s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_BROADCAST, 1) })
	if err != nil {
		return fail(a, err)
	}
	c := &UDPConn{conn{s: *s, k: k}}
	if err := c.named(); err != nil {
		s.Close()
		return fail(a, err)
	}
	return c, nil
}

// bound returns a socket of the kind that is bound to the address.
func (h *Host) bound(k kind, address string, prepare func(*Socket)) (*Socket, net.Addr, error) {
	addrs, err := k.resolve(context.Background(), nil, address, true)
	if err != nil {
		return nil, nil, err
	}
	ap := addrs[0]
	domain := abi.FamilyOf(ap.Addr())
	s, err := h.Socket(domain, k.typ, 0)
	if err != nil {
		return nil, k.addr(ap), os.NewSyscallError("socket", err)
	}
	if domain == abi.AF_INET6 {
		only := 0
		if k.family == '6' || !ap.Addr().IsUnspecified() {
			only = 1
		}
		s.SetSockOptInt(abi.SOL_IPV6, abi.IPV6_V6ONLY, only)
	}
	prepare(s)
	if err := s.Bind(Inet(ap)); err != nil {
		s.Close()
		return nil, k.addr(ap), callError(context.Background(), "bind", err)
	}
	return s, k.addr(ap), nil
}

// kind is what a network's name says.
type kind struct {
	network string
	typ     int
	family  byte // '4', '6' or 0
}

func parseNetwork(network string) (kind, error) {
	k := kind{network: network}
	base := network
	if n := len(network); n > 0 && (network[n-1] == '4' || network[n-1] == '6') {
		base, k.family = network[:n-1], network[n-1]
	}
	switch base {
	case "tcp":
		k.typ = abi.SOCK_STREAM
	case "udp":
		k.typ = abi.SOCK_DGRAM
	default:
		return k, net.UnknownNetworkError(network)
	}
	return k, nil
}

// addr returns the net.Addr of ap.
func (k kind) addr(ap netip.AddrPort) net.Addr {
	if k.typ == abi.SOCK_STREAM {
		return net.TCPAddrFromAddrPort(ap)
	}
	return net.UDPAddrFromAddrPort(ap)
}

// local is addr, nil for the zero AddrPort.
func (k kind) local(ap netip.AddrPort) net.Addr {
	if !ap.IsValid() {
		return nil
	}
	return k.addr(ap)
}

// unmapped returns a's IP and port, of an IPv4-mapped address as IPv4.
func unmapped(a Addr) netip.AddrPort {
	ip := a.IP.Unmap()
	if a.Scope != 0 {
		ip = ip.WithZone(strconv.Itoa(int(a.Scope)))
	}
	return netip.AddrPortFrom(ip, a.Port)
}

// resolve turns "host:port" into addresses of the kind's family, IPv4 ones first
// as most servers have those. passive says that no host means every address.
func (k kind) resolve(ctx context.Context, r *net.Resolver, address string, passive bool) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = net.DefaultResolver
	}
	name := "tcp"
	if k.typ == abi.SOCK_DGRAM {
		name = "udp"
	}
	port := 0
	if n, err := strconv.ParseUint(service, 10, 16); err == nil {
		port = int(n)
	} else if service != "" {
		if port, err = r.LookupPort(ctx, name, service); err != nil {
			return nil, err
		}
	}
	var ips []netip.Addr
	switch {
	case host == "" && passive:
		ips = []netip.Addr{netip.IPv6Unspecified()}
		if k.family == '4' {
			ips[0] = netip.IPv4Unspecified()
		}
	case host == "" || host == "localhost":
		ips = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	default:
		if ip, err := netip.ParseAddr(host); err == nil {
			ips = []netip.Addr{ip.Unmap()}
		} else if ips, err = r.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, err
		}
	}
	var out []netip.AddrPort
	for _, v4 := range []bool{true, false} {
		for _, ip := range ips {
			ip = ip.Unmap()
			if ip.Is4() == v4 && (k.family == 0 || (k.family == '4') == v4) {
				out = append(out, netip.AddrPortFrom(ip, uint16(port)))
			}
		}
	}
	if len(out) == 0 {
		return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return out, nil
}

// TCPListener is the net.Listener of a Host.
type TCPListener struct {
	s    *Socket
	k    kind
	addr net.Addr
}

// Accept waits for the next connection: a *TCPConn.
func (l *TCPListener) Accept() (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "accept", Net: l.k.network, Addr: l.addr, Err: callError(context.Background(), "accept", err)}
	}
	in, err := l.s.in.Accept(context.Background())
	if err != nil {
		return fail(err)
	}
	c := &TCPConn{conn{s: Socket{in, l.s.host}, k: l.k}}
	if err := c.named(); err != nil {
		c.s.Close()
		return fail(err)
	}
	c.streamDefaults(0)
	return c, nil
}

// Close stops listening; an Accept under way fails with net.ErrClosed.
func (l *TCPListener) Close() error {
	if err := l.s.Close(); err != nil {
		return &net.OpError{Op: "close", Net: l.k.network, Addr: l.addr, Err: callError(context.Background(), "close", err)}
	}
	return nil
}

// Addr returns the address that is listened on.
func (l *TCPListener) Addr() net.Addr { return l.addr }

// SetDeadline bounds the Accepts that are under way and to come.
func (l *TCPListener) SetDeadline(t time.Time) error { return l.s.SetDeadline(t) }

// Socket returns the socket behind the listener.
func (l *TCPListener) Socket() *Socket { return l.s }

var (
	_ net.Listener   = (*TCPListener)(nil)
	_ net.Conn       = (*TCPConn)(nil)
	_ net.Conn       = (*UDPConn)(nil)
	_ net.PacketConn = (*UDPConn)(nil)
	_ io.ReaderFrom  = (*TCPConn)(nil)
)
