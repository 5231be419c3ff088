//go:build linux

package uml

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"usock/clock"
	"usock/internal/abi"
)

// Conn is a TCP connection of the machine's kernel as a net.Conn.
type Conn struct {
	*Socket
	local, remote net.Addr
	deadline      atomic.Pointer[time.Time] // of reading
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// stream makes a socket for TCP that prepare, if it is not nil, has set up.
func (m *Machine) stream(a netip.Addr, prepare func(*Socket) error) (*Socket, error) {
	s, err := m.Socket(family(a), unix.SOCK_STREAM, 0)
	if err != nil || prepare == nil {
		return s, err
	}
	if err := prepare(s); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Dial connects to an address by TCP, with a socket that prepare has set up.
func (m *Machine) Dial(a netip.AddrPort, prepare func(*Socket) error) (*Conn, error) {
	s, err := m.stream(a.Addr(), prepare)
	if err != nil {
		return nil, err
	}
	if err := s.Connect(abi.AddrFrom(a)); err != nil {
		s.Close()
		return nil, err
	}
	return conn(s, a)
}

func conn(s *Socket, remote netip.AddrPort) (*Conn, error) {
	local, err := s.Name()
	if err != nil {
		s.Close()
		return nil, err
	}
	return &Conn{
		Socket: s,
		local:  net.TCPAddrFromAddrPort(netip.AddrPortFrom(local.IP, local.Port)),
		remote: net.TCPAddrFromAddrPort(remote),
	}, nil
}

// Listener is a TCP listener of the machine's kernel as a net.Listener.
type Listener struct {
	*Socket
	addr net.Addr
}

// ListenTCP listens at an address, with a socket that prepare has set up.
func (m *Machine) ListenTCP(a netip.AddrPort, prepare func(*Socket) error) (*Listener, error) {
	s, err := m.stream(a.Addr(), prepare)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.SetInt(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), s.Bind(abi.AddrFrom(a)), s.Listen(16)); err != nil {
		s.Close()
		return nil, err
	}
	return &Listener{s, net.TCPAddrFromAddrPort(a)}, nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	s, a, err := l.Socket.Accept()
	if err != nil {
		return nil, err
	}
	return conn(s, netip.AddrPortFrom(a.IP, a.Port))
}

// maxRead is how much is read at a time, in bytes: it crosses the line as text.
const maxRead = 16 << 10

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	millis := limit
	if d := c.deadline.Load(); d != nil {
		millis = int(max(d.Sub(clock.Wall(clock.System())).Milliseconds(), 0))
	}
	b, _, err := c.recv(min(len(p), maxRead), 0, millis)
	switch {
	case err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, err
	case len(b) == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return copy(p, b), nil
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = c.Send(p[n:min(len(p), n+maxRead)], 0)
		n += k
	}
	return n, err
}

// CloseWrite ends what is sent.
func (c *Conn) CloseWrite() error { return c.Shutdown(unix.SHUT_WR) }

// CloseRead ends what is received.
func (c *Conn) CloseRead() error { return c.Shutdown(unix.SHUT_RD) }

// SetLinger sets SO_LINGER, in seconds.
func (c *Conn) SetLinger(sec int) error {
	return c.SetBytes(unix.SOL_SOCKET, unix.SO_LINGER, abi.AppendInt(abi.AppendInt(nil, 1), sec))
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.deadline.Store(&t)
	if t.IsZero() {
		c.deadline.Store(nil)
	}
	return nil
}

// SetWriteDeadline implements net.Conn. The socket has a limit of its own.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }
