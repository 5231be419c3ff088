package usock

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"usock/internal/abi"
)

// unixTypes are the net package's names of AF_UNIX's types.
var unixTypes = map[string]int{
	"unix": abi.SOCK_STREAM, "unixgram": abi.SOCK_DGRAM, "unixpacket": abi.SOCK_SEQPACKET,
}

// unixAddr returns the socket address written as the net package does: "@name" is
// an abstract name.
func unixAddr(name string) Addr {
	if name != "" && name[0] == '@' {
		name = "\x00" + name[1:]
	}
	return Unix(name)
}

func netUnixAddr(network string, a Addr) *net.UnixAddr {
	return &net.UnixAddr{Net: network, Name: a.String()}
}

// dialUnix is DialContext for the networks of unixTypes.
func (h *Host) dialUnix(ctx context.Context, network, name string, control func(string, *Socket) error) (net.Conn, error) {
	addr := &net.UnixAddr{Net: network, Name: name}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
	}
	s, err := h.Socket(abi.AF_UNIX, unixTypes[network], 0)
	if err != nil {
		return fail(os.NewSyscallError("socket", err))
	}
	if control != nil {
		if err := control(network, s); err != nil {
			s.Close()
			return fail(err)
		}
	}
	if err := s.ConnectContext(ctx, unixAddr(name)); err != nil {
		s.Close()
		return fail(callError(ctx, "connect", err))
	}
	return newUnixConn(s, network), nil
}

// boundUnix returns a socket that is bound to the name.
func (h *Host) boundUnix(network, name string, op string) (*Socket, error) {
	fail := func(call string, err error) (*Socket, error) {
		return nil, &net.OpError{
			Op: op, Net: network, Addr: &net.UnixAddr{Net: network, Name: name}, Err: callError(context.Background(), call, err),
		}
	}
	s, err := h.Socket(abi.AF_UNIX, unixTypes[network], 0)
	if err != nil {
		return fail("socket", err)
	}
	if err := s.Bind(unixAddr(name)); err != nil {
		s.Close()
		return fail("bind", err)
	}
	return s, nil
}

func (h *Host) listenUnix(network, name string) (net.Listener, error) {
	s, err := h.boundUnix(network, name, "listen")
	if err != nil {
		return nil, err
	}
	l := &UnixListener{s: s, network: network}
	at, err := s.GetSockName()
	if err == nil {
		l.addr = at
		err = s.Listen(abi.SOMAXCONN)
	}
	if err != nil {
		s.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Addr: l.Addr(), Err: callError(context.Background(), "listen", err)}
	}
	return l, nil
}

func (h *Host) listenPacketUnix(network, name string) (net.PacketConn, error) {
	s, err := h.boundUnix(network, name, "listen")
	if err != nil {
		return nil, err
	}
	c := newUnixConn(s, network)
	c.unlink = true
	return c, nil
}

// unlinkBound frees the path of a socket that was closed. It may be free already,
// and an abstract name is.
func unlinkBound(h *Host, name string) {
	if name != "" && name[0] != '@' {
		_ = h.Unlink(name)
	}
}

// UnixConn is the net.Conn and, for datagrams, the net.PacketConn of an AF_UNIX
// socket.
type UnixConn struct {
	s           *Socket
	network     string
	laddr, peer *net.UnixAddr // peer is nil if not connected
	unlink      bool          // Close frees the path
}

func newUnixConn(s *Socket, network string) *UnixConn {
	c := &UnixConn{s: s, network: network}
	if a, err := s.GetSockName(); err == nil {
		c.laddr = netUnixAddr(network, a)
	}
	if a, err := s.GetPeerName(); err == nil {
		c.peer = netUnixAddr(network, a)
	}
	return c
}

func (c *UnixConn) opError(op, call string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: callError(context.Background(), call, err)}
}

// Read receives bytes or a record. io.EOF is the end of the connection, and an
// empty record of a "unixpacket" connection, which cannot be told from it.
func (c *UnixConn) Read(p []byte) (int, error) {
	n, err := c.s.Recv(p, 0)
	if err != nil {
		return n, c.opError("read", "read", err)
	}
	if n == 0 && len(p) > 0 && c.network != "unixgram" {
		return 0, io.EOF
	}
	return n, nil
}

// Write sends p: all of it on a stream, as one record otherwise.
func (c *UnixConn) Write(p []byte) (int, error) {
	n, err := c.s.Send(p, 0)
	for err == nil && n < len(p) {
		var k int
		k, err = c.s.Send(p[n:], 0)
		n += k
	}
	return n, c.opError("write", "write", err)
}

// ReadFrom is Read with the sender's address, a *net.UnixAddr; nil if it has none.
func (c *UnixConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.s.RecvFrom(p, 0)
	if err != nil {
		return n, nil, c.opError("read", "recvfrom", err)
	}
	if from.Family != abi.AF_UNIX || from.Path == "" {
		return n, nil, nil
	}
	return n, netUnixAddr(c.network, from), nil
}

// WriteTo sends p to the address, a *net.UnixAddr.
func (c *UnixConn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UnixAddr)
	switch {
	case !ok || a.Net != c.network:
		return 0, c.opError("write", "sendto", syscall.EAFNOSUPPORT)
	case c.peer != nil:
		return 0, &net.OpError{Op: "write", Net: c.network, Source: c.LocalAddr(), Addr: to, Err: net.ErrWriteToConnected}
	}
	n, err := c.s.SendTo(p, 0, unixAddr(a.Name))
	return n, c.opError("write", "sendto", err)
}

// Close closes the socket. The path that ListenPacket has bound is free again.
func (c *UnixConn) Close() error {
	err := c.s.Close()
	if err == nil && c.unlink {
		unlinkBound(c.s.host, c.laddr.Name)
	}
	return c.opError("close", "close", err)
}

// CloseRead ends the receiving direction.
func (c *UnixConn) CloseRead() error {
	return c.opError("close", "shutdown", c.s.Shutdown(abi.SHUT_RD))
}

// CloseWrite ends the sending direction: the peer reads to the end of the stream.
func (c *UnixConn) CloseWrite() error {
	return c.opError("close", "shutdown", c.s.Shutdown(abi.SHUT_WR))
}

// LocalAddr returns the local address, a *net.UnixAddr.
func (c *UnixConn) LocalAddr() net.Addr { return c.laddr }

// RemoteAddr returns the peer's address, nil without one.
func (c *UnixConn) RemoteAddr() net.Addr {
	if c.peer == nil {
		return nil
	}
	return c.peer
}

// SetDeadline bounds reads and writes, those under way included.
func (c *UnixConn) SetDeadline(t time.Time) error {
	return c.opError("set", "set", c.s.SetDeadline(t))
}

// SetReadDeadline bounds reads.
func (c *UnixConn) SetReadDeadline(t time.Time) error {
	return c.opError("set", "set", c.s.SetReadDeadline(t))
}

// SetWriteDeadline bounds writes.
func (c *UnixConn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", "set", c.s.SetWriteDeadline(t))
}

// Socket returns the socket behind the connection.
func (c *UnixConn) Socket() *Socket { return c.s }

// UnixListener is the net.Listener of AF_UNIX.
type UnixListener struct {
	s       *Socket
	network string
	addr    Addr
}

// Accept waits for the next connection: a *UnixConn.
func (l *UnixListener) Accept() (net.Conn, error) {
	s, _, err := l.s.Accept()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: l.network, Addr: l.Addr(), Err: callError(context.Background(), "accept", err)}
	}
	return newUnixConn(s, l.network), nil
}

// Close stops listening and frees the path, as net.UnixListener does.
func (l *UnixListener) Close() error {
	if err := l.s.Close(); err != nil {
		return &net.OpError{Op: "close", Net: l.network, Addr: l.Addr(), Err: callError(context.Background(), "close", err)}
	}
	unlinkBound(l.s.host, l.addr.String())
	return nil
}

// Addr returns the address that is listened on.
func (l *UnixListener) Addr() net.Addr { return netUnixAddr(l.network, l.addr) }

// SetDeadline bounds the Accepts that are under way and to come.
func (l *UnixListener) SetDeadline(t time.Time) error { return l.s.SetDeadline(t) }

// Socket returns the socket behind the listener.
func (l *UnixListener) Socket() *Socket { return l.s }

var (
	_ net.Listener   = (*UnixListener)(nil)
	_ net.Conn       = (*UnixConn)(nil)
	_ net.PacketConn = (*UnixConn)(nil)
)
