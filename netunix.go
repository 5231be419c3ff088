package usock

import (
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
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

// netUnixAddr returns a as package net has it: that of a socket without name is "@".
func netUnixAddr(network string, a Addr) *net.UnixAddr {
	if a.Path == "" {
		return &net.UnixAddr{Net: network, Name: "@"}
	}
	return &net.UnixAddr{Net: network, Name: a.String()}
}

// opUnixAddr is a as a net.Addr, nil of nil.
func opUnixAddr(a *net.UnixAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// dialUnix is DialContext for the networks of unixTypes.
func (h *Host) dialUnix(ctx context.Context, network, name string, control func(string, *Socket) error) (net.Conn, error) {
	addr := &net.UnixAddr{Net: network, Name: name}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: addr, Err: err}
	}
	if err := endedBy(ctx); err != nil {
		return fail(contextError(err))
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
func (c *ListenConfig) boundUnix(network, name string) (*Socket, error) {
	fail := func(err error) (*Socket, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: &net.UnixAddr{Net: network, Name: name}, Err: err}
	}
	s, err := c.Host.Socket(abi.AF_UNIX, unixTypes[network], 0)
	if err != nil {
		return fail(sysError("socket", err))
	}
	if c.Control != nil {
		if err := c.Control(network, s); err != nil {
			s.Close()
			return fail(err)
		}
	}
	if err := s.Bind(unixAddr(name)); err != nil {
		s.Close()
		return fail(sysError("bind", err))
	}
	return s, nil
}

func (c *ListenConfig) listenUnix(network, name string) (net.Listener, error) {
	s, err := c.boundUnix(network, name)
	if err != nil {
		return nil, err
	}
	l := &UnixListener{s: s, network: network}
	at, err := s.GetSockName()
	if err == nil {
		l.addr = at
		backlog := c.Backlog
		if backlog == 0 {
			backlog = abi.SOMAXCONN
		}
		err = s.Listen(backlog)
	}
	if err != nil {
		s.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Addr: l.Addr(), Err: sysError("listen", err)}
	}
	return l, nil
}

func (c *ListenConfig) listenPacketUnix(network, name string) (net.PacketConn, error) {
	s, err := c.boundUnix(network, name)
	if err != nil {
		return nil, err
	}
	u := newUnixConn(s, network)
	u.unlink = true
	return u, nil
}

// unlinkBound frees the path of a socket that was closed. It may be free already,
// and an abstract name is.
func unlinkBound(h *Host, name string) {
	if name != "" && name[0] != '@' {
		_ = h.Unlink(name)
	}
}

// UnixConn is the net.Conn and, for datagrams, the net.PacketConn of an AF_UNIX
// socket, with the methods of net.UnixConn but for File and SyscallConn: there is no
// descriptor behind it, and Socket has the options.
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
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: sysError(call, err)}
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
	n, from, err := c.ReadFromUnix(p)
	return n, opUnixAddr(from), err
}

// ReadFromUnix is ReadFrom with another type of address.
func (c *UnixConn) ReadFromUnix(p []byte) (int, *net.UnixAddr, error) {
	n, from, err := c.s.RecvFrom(p, 0)
	if err != nil {
		return n, nil, c.opError("read", "recvfrom", err)
	}
	return n, c.sender(from), nil
}

// ReadMsgUnix receives bytes or a record into p and control messages, in Linux's layout
// (cmsg(3)), into oob: SCM_CREDENTIALS if SO_PASSCRED asks for it. It returns how much was
// stored of each, MSG_TRUNC and MSG_CTRUNC where that is not all, and the sender, nil if it
// has no name.
func (c *UnixConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	n, oobn, flags, a, err := c.s.recvMsg(p, oob, 0)
	if err != nil {
		return n, oobn, flags, nil, c.opError("read", "recvmsg", err)
	}
	if n == 0 && len(p) > 0 && c.network == "unix" {
		err = io.EOF
	}
	return n, oobn, flags, c.sender(a), err
}

func (c *UnixConn) sender(a Addr) *net.UnixAddr {
	if a.Family != abi.AF_UNIX || a.Path == "" {
		return nil
	}
	return netUnixAddr(c.network, a)
}

// WriteTo sends p to the address, a *net.UnixAddr.
func (c *UnixConn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UnixAddr)
	if !ok {
		return 0, c.writeError(to, syscall.EINVAL)
	}
	return c.WriteToUnix(p, a)
}

// WriteToUnix is WriteTo with another type of address.
func (c *UnixConn) WriteToUnix(p []byte, to *net.UnixAddr) (int, error) {
	switch {
	case c.peer != nil:
		return 0, c.writeError(opUnixAddr(to), net.ErrWriteToConnected)
	case to == nil:
		return 0, c.writeError(nil, errMissingAddress)
	case to.Net != c.network:
		return 0, c.writeError(to, syscall.EAFNOSUPPORT)
	}
	n, err := c.s.SendTo(p, 0, unixAddr(to.Name))
	if err != nil {
		err = c.writeError(to, sysError("sendto", err))
	}
	return n, err
}

// WriteMsgUnix sends p with the control messages of oob, in Linux's layout (cmsg(3)), to an
// address, or with none to the peer of a stream. Descriptors are not passed (EINVAL).
func (c *UnixConn) WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error) {
	switch {
	case c.network == "unixgram" && c.peer != nil:
		return 0, 0, c.writeError(opUnixAddr(to), net.ErrWriteToConnected)
	case to != nil && to.Net != c.network:
		return 0, 0, c.writeError(to, syscall.EAFNOSUPPORT)
	}
	m := Msg{Bufs: [][]byte{p}, Control: oob}
	if to != nil {
		m.Name = unixAddr(to.Name)
	}
	n, err = c.s.SendMsg(context.Background(), &m, 0)
	if err != nil {
		return n, 0, c.writeError(opUnixAddr(to), sysError("sendmsg", err))
	}
	return n, len(oob), nil
}

// writeError is the error of a send to an address.
func (c *UnixConn) writeError(to net.Addr, err error) error {
	return &net.OpError{Op: "write", Net: c.network, Source: c.LocalAddr(), Addr: to, Err: err}
}

// SetReadBuffer sets SO_RCVBUF.
func (c *UnixConn) SetReadBuffer(bytes int) error {
	return c.setError("setsockopt", c.s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_RCVBUF, bytes))
}

// SetWriteBuffer sets SO_SNDBUF.
func (c *UnixConn) SetWriteBuffer(bytes int) error {
	return c.setError("setsockopt", c.s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_SNDBUF, bytes))
}

// setError is the error of what package net tells with the local address alone.
func (c *UnixConn) setError(call string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: "set", Net: c.network, Addr: c.LocalAddr(), Err: sysError(call, err)}
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
	return c.setError("set", c.s.SetDeadline(t))
}

// SetReadDeadline bounds reads.
func (c *UnixConn) SetReadDeadline(t time.Time) error {
	return c.setError("set", c.s.SetReadDeadline(t))
}

// SetWriteDeadline bounds writes.
func (c *UnixConn) SetWriteDeadline(t time.Time) error {
	return c.setError("set", c.s.SetWriteDeadline(t))
}

// Socket returns the socket behind the connection.
func (c *UnixConn) Socket() *Socket { return c.s }

// UnixListener is the net.Listener of AF_UNIX. It has no SyscallConn, as UnixConn.
type UnixListener struct {
	s       *Socket
	network string
	addr    Addr
	keep    atomic.Bool // Close leaves the path bound
}

// Accept waits for the next connection: a *UnixConn.
func (l *UnixListener) Accept() (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptUnix is Accept with another type.
func (l *UnixListener) AcceptUnix() (*UnixConn, error) {
	s, _, err := l.s.Accept()
	if err != nil {
		return nil, l.opError("accept", "accept", err)
	}
	return newUnixConn(s, l.network), nil
}

func (l *UnixListener) opError(op, call string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: l.network, Addr: l.Addr(), Err: sysError(call, err)}
}

// SetUnlinkOnClose says whether Close frees the path; it does unless this says no.
func (l *UnixListener) SetUnlinkOnClose(unlink bool) { l.keep.Store(!unlink) }

// Close stops listening and frees the path, as net.UnixListener does.
func (l *UnixListener) Close() error {
	err := l.s.Close()
	if err == nil && !l.keep.Load() {
		unlinkBound(l.s.host, l.addr.String())
	}
	return l.opError("close", "close", err)
}

// Addr returns the address that is listened on.
func (l *UnixListener) Addr() net.Addr { return netUnixAddr(l.network, l.addr) }

// SetDeadline bounds the Accepts that are under way and to come.
func (l *UnixListener) SetDeadline(t time.Time) error {
	return sysError("set", l.s.SetDeadline(t)) // as it is, as with net.UnixListener
}

// Socket returns the socket behind the listener.
func (l *UnixListener) Socket() *Socket { return l.s }

var (
	_ net.Listener   = (*UnixListener)(nil)
	_ net.Conn       = (*UnixConn)(nil)
	_ net.PacketConn = (*UnixConn)(nil)
)
