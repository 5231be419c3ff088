package usock

import (
	"context"
	"net"
	"net/netip"
	"os"
	"time"

	"usock/internal/abi"
)

// ListenConfig listens on a host with the net package's types. The zero value but for Host
// is ready for use.
type ListenConfig struct {
	Host *Host

	// Control, if not nil, is called with the socket before it is bound, for options that
	// must be set by then (SO_REUSEPORT, IPV6_V6ONLY, ...).
	Control func(network string, s *Socket) error

	// Backlog is how many connections wait to be accepted (listen(2)); 0 is SOMAXCONN.
	Backlog int

	// KeepAlive is the idle time before keepalive probes of the connections that are
	// accepted; 0 is 15 s, negative is none, as in net.ListenConfig.
	KeepAlive time.Duration

	// KeepAliveConfig takes the place of KeepAlive if its Enable is true.
	KeepAliveConfig net.KeepAliveConfig
}

// Listen listens on the local address as net.Listen does: networks "tcp", "tcp4",
// "tcp6", "unix", "unixpacket". An address without host is every address of the
// host. Errors are *net.OpError.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	c := ListenConfig{Host: h}
	return c.Listen(context.Background(), network, address)
}

// ListenPacket listens for datagrams on the local address as net.ListenPacket
// does: networks "udp", "udp4", "udp6", "unixgram".
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	c := ListenConfig{Host: h}
	return c.ListenPacket(context.Background(), network, address)
}

// Listen is Host.Listen. ctx bounds the look-up of the address.
func (c *ListenConfig) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	fail := func(a net.Addr, err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: err}
	}
	switch unixTypes[network] {
	case abi.SOCK_STREAM, abi.SOCK_SEQPACKET:
		return c.listenUnix(network, address)
	case abi.SOCK_DGRAM:
		return fail(&net.UnixAddr{Net: network, Name: address}, wrongType(address))
	}
	k, at, err := c.local(ctx, network, address)
	switch {
	case err != nil:
		return fail(nil, err)
	case k.typ != abi.SOCK_STREAM:
		return fail(k.addr(at), wrongType(address))
	}

	reuse := func(s *Socket) { s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1) }
	s, err := c.Host.bound(k, at, reuse, c.Control)
	if err != nil {
		return fail(k.addr(at), err)
	}
	backlog := c.Backlog
	if backlog == 0 {
		backlog = abi.SOMAXCONN
	}
	err = s.Listen(backlog)
	if err != nil {
		s.Close()
		return fail(k.addr(at), os.NewSyscallError("listen", err))
	}
	name, err := s.GetSockName()
	if err != nil {
		s.Close()
		return fail(k.addr(at), sysError("getsockname", err))
	}
	return &TCPListener{s: s, k: k, addr: k.addr(unmapped(name)), keepAlive: c.KeepAlive, keepAliveConfig: c.KeepAliveConfig}, nil
}

// ListenPacket is Host.ListenPacket. ctx bounds the look-up of the address.
func (c *ListenConfig) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	fail := func(a net.Addr, err error) (net.PacketConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: err}
	}
	switch unixTypes[network] {
	case abi.SOCK_DGRAM:
		return c.listenPacketUnix(network, address)
	case abi.SOCK_STREAM, abi.SOCK_SEQPACKET:
		return fail(&net.UnixAddr{Net: network, Name: address}, wrongType(address))
	}
	k, at, err := c.local(ctx, network, address)
	switch {
	case err != nil:
		return fail(nil, err)
	case k.typ != abi.SOCK_DGRAM:
		return fail(k.addr(at), wrongType(address))
	}
	u, err := c.Host.listenUDP(k, at, c.Control)
	if err != nil {
		return fail(k.addr(at), err)
	}
	return u, nil
}

// wrongType is the error about a network that is known and not one to be listened on so.
func wrongType(address string) error {
	return &net.AddrError{Err: "unexpected address type", Addr: address}
}

// local finds out where to listen.
func (c *ListenConfig) local(ctx context.Context, network, address string) (kind, netip.AddrPort, error) {
	k, err := parseNetwork(network)
	if err != nil {
		return k, netip.AddrPort{}, err
	}
	addrs, err := c.Host.resolve(ctx, k, nil, address, true)
	if err != nil {
		return k, netip.AddrPort{}, err
	}
	return k, addrs[0], nil
}

// listenUDP returns the socket for datagrams to the address. One of a group is bound to the
// wildcard address, for any of the host's sockets to share, as with package net.
func (h *Host) listenUDP(k kind, at netip.AddrPort, control func(string, *Socket) error) (*UDPConn, error) {
	prepare := func(s *Socket) { s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_BROADCAST, 1) }
	if group := at.Addr().Unmap(); group.IsMulticast() {
		prepare = func(s *Socket) { s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1) }
		wildcard := netip.IPv6Unspecified()
		if group.Is4() {
			wildcard = netip.IPv4Unspecified()
		}
		at = netip.AddrPortFrom(wildcard, at.Port())
		k.family = 0 // what the address says is enough
	}
	s, err := h.bound(k, at, prepare, control)
	if err != nil {
		return nil, err
	}
	c := &UDPConn{conn{s: *s, k: k}}
	if err := c.named(); err != nil {
		s.Close()
		return nil, sysError("getsockname", err)
	}
	return c, nil
}

// bound returns a socket of the kind that is bound to the address.
func (h *Host) bound(k kind, at netip.AddrPort, prepare func(*Socket), control func(string, *Socket) error) (*Socket, error) {
	domain := abi.FamilyOf(at.Addr())
	s, err := h.Socket(domain, k.typ, k.protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if domain == abi.AF_INET6 {
		only := 0
		if k.family == '6' || !at.Addr().IsUnspecified() {
			only = 1
		}
		s.SetSockOptInt(abi.SOL_IPV6, abi.IPV6_V6ONLY, only)
	}
	prepare(s)
	if control != nil {
		if err := control(k.network, s); err != nil {
			s.Close()
			return nil, err
		}
	}
	if err := s.Bind(h.inet(at)); err != nil {
		s.Close()
		return nil, sysError("bind", err)
	}
	return s, nil
}

// TCPListener is the net.Listener of a Host. It has no SyscallConn: there is no descriptor
// behind it, and Socket has the options.
type TCPListener struct {
	s    *Socket
	k    kind
	addr net.Addr

	keepAlive       time.Duration
	keepAliveConfig net.KeepAliveConfig
}

// Accept waits for the next connection: a *TCPConn.
func (l *TCPListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTCP is Accept with another type.
func (l *TCPListener) AcceptTCP() (*TCPConn, error) {
	in, name, peer, err := l.s.in.AcceptWith(context.Background(), streamDefaults(l.keepAlive, l.keepAliveConfig))
	switch {
	case in == nil:
		return nil, l.opError("accept", "accept", err)
	case err != nil:
		in.Close()
		return nil, l.opError("accept", "getsockname", err)
	}
	c := &TCPConn{conn{s: Socket{in, l.s.host}, k: l.k}}
	c.laddr, c.peer = unmapped(Addr(name)), unmapped(Addr(peer))
	return c, nil
}

func (l *TCPListener) opError(op, call string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: l.k.network, Addr: l.addr, Err: sysError(call, err)}
}

// Close stops listening; an Accept under way fails with net.ErrClosed.
func (l *TCPListener) Close() error { return l.opError("close", "close", l.s.Close()) }

// Addr returns the address that is listened on.
func (l *TCPListener) Addr() net.Addr { return l.addr }

// SetDeadline bounds the Accepts that are under way and to come.
func (l *TCPListener) SetDeadline(t time.Time) error {
	return sysError("set", l.s.SetDeadline(t)) // as it is, as with net.TCPListener
}

// Socket returns the socket behind the listener.
func (l *TCPListener) Socket() *Socket { return l.s }

var _ net.Listener = (*TCPListener)(nil)
