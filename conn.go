package usock

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"usock/internal/abi"
	"usock/internal/socket"
)

// conn is what TCPConn and UDPConn share.
type conn struct {
	s           Socket
	k           kind
	laddr, peer netip.AddrPort // peer is zero if not connected
	addrs       atomic.Pointer[addrs]
}

// addrs are laddr and peer as the net package has them, made when they are first
// asked for.
type addrs struct{ local, remote net.Addr }

// named notes the addresses that the socket has got, once it has the options.
func (c *conn) named(options ...socket.Setting) error {
	return c.note(c.s.in.NamesWith(options))
}

// connected connects the socket and notes the addresses that it has got, once it has the options.
func (c *conn) connected(ctx context.Context, to Addr, options []socket.Setting) error {
	return c.note(c.s.in.ConnectWith(c.s.connecting(ctx), abi.Addr(to), options))
}

func (c *conn) note(name, peer abi.Addr, err error) error {
	if err != nil {
		return err
	}
	c.laddr = unmapped(Addr(name))
	if peer.Family != abi.AF_UNSPEC {
		c.peer = unmapped(Addr(peer))
	}
	return nil
}

func (c *conn) addresses() *addrs {
	a := c.addrs.Load()
	if a == nil {
		a = &addrs{c.k.addr(c.laddr), c.k.local(c.peer)}
		c.addrs.Store(a)
	}
	return a
}

// opError gives err the shape of the net package's errors; nil stays nil.
func (c *conn) opError(op, call string, err error) error {
	if err == nil {
		return nil
	}
	return c.failed(op, call, err)
}

// failed is opError of an error.
func (c *conn) failed(op, call string, err error) error {
	a := c.addresses()
	return &net.OpError{Op: op, Net: c.k.network, Source: a.local, Addr: a.remote, Err: sysError(call, err)}
}

// setError is opError for what package net tells with the local address alone.
func (c *conn) setError(call string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: "set", Net: c.k.network, Addr: c.addresses().local, Err: sysError(call, err)}
}

// Write sends p and returns when all of it is queued, or with the error that kept
// the rest from it.
func (c *conn) Write(p []byte) (int, error) {
	n := 0
	for {
		k, err := c.s.Send(p[n:], 0)
		n += k
		if err != nil || n >= len(p) {
			return n, c.opError("write", "write", err)
		}
	}
}

// Close closes the socket.
func (c *conn) Close() error { return c.opError("close", "close", c.s.Close()) }

// LocalAddr returns the local address.
func (c *conn) LocalAddr() net.Addr { return c.addresses().local }

// RemoteAddr returns the peer's address, nil without one.
func (c *conn) RemoteAddr() net.Addr { return c.addresses().remote }

// SetDeadline bounds reads and writes, those under way included.
func (c *conn) SetDeadline(t time.Time) error { return c.setError("set", c.s.SetDeadline(t)) }

// SetReadDeadline bounds reads.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.setError("set", c.s.SetReadDeadline(t))
}

// SetWriteDeadline bounds writes.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.setError("set", c.s.SetWriteDeadline(t))
}

// Socket returns the socket behind the connection.
func (c *conn) Socket() *Socket { return &c.s }

// SetReadBuffer sets SO_RCVBUF.
func (c *conn) SetReadBuffer(bytes int) error {
	return c.setError("setsockopt", c.s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_RCVBUF, bytes))
}

// SetWriteBuffer sets SO_SNDBUF.
func (c *conn) SetWriteBuffer(bytes int) error {
	return c.setError("setsockopt", c.s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_SNDBUF, bytes))
}

// TCPConn is the net.Conn of a TCP connection, with the methods of net.TCPConn but for
// File and SyscallConn: there is no descriptor behind it, and Socket has the options.
type TCPConn struct{ conn }

// Read receives up to len(p) bytes; io.EOF at the end of the stream.
func (c *TCPConn) Read(p []byte) (int, error) {
	n, err := c.s.Recv(p, 0)
	if err != nil {
		return n, c.opError("read", "read", err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// CloseRead ends the receiving direction.
func (c *TCPConn) CloseRead() error {
	return c.opError("close", "shutdown", c.s.Shutdown(abi.SHUT_RD))
}

// CloseWrite ends the sending direction: the peer reads to the end of the stream.
func (c *TCPConn) CloseWrite() error {
	return c.opError("close", "shutdown", c.s.Shutdown(abi.SHUT_WR))
}

// SetNoDelay sets TCP_NODELAY.
func (c *TCPConn) SetNoDelay(on bool) error {
	return c.setBool(abi.SOL_TCP, abi.TCP_NODELAY, on)
}

// SetKeepAlive sets SO_KEEPALIVE.
func (c *TCPConn) SetKeepAlive(on bool) error {
	return c.setBool(abi.SOL_SOCKET, abi.SO_KEEPALIVE, on)
}

// SetKeepAlivePeriod sets TCP_KEEPIDLE and TCP_KEEPINTVL, rounded up to seconds.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: c.keepsAlive(), Idle: d, Interval: d, Count: -1})
}

// SetKeepAliveConfig sets SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT. A field
// that is 0 stands for package net's default, 15 s, 15 s and 9, and one that is negative
// leaves the option as it is. Times are rounded up to seconds.
func (c *TCPConn) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	for _, o := range keepAlive(k) {
		if err := c.s.SetSockOpt(o.Level, o.Name, o.Value); err != nil {
			return c.opError("set", "setsockopt", err)
		}
	}
	return nil
}

func (c *TCPConn) keepsAlive() bool {
	v, _ := c.s.GetSockOptInt(abi.SOL_SOCKET, abi.SO_KEEPALIVE)
	return v != 0
}

// MultipathTCP reports whether the connection uses Multipath TCP (RFC 8684), which usock
// does not have: false.
func (c *TCPConn) MultipathTCP() (bool, error) { return false, nil }

// SetLinger sets SO_LINGER: how long, in seconds, Close waits for data to be
// delivered; 0 discards it and resets the connection; negative is the default.
func (c *TCPConn) SetLinger(sec int) error {
	v := abi.AppendLinger(nil, abi.Linger{On: sec >= 0, Seconds: max(sec, 0)})
	return c.opError("set", "setsockopt", c.s.SetSockOpt(abi.SOL_SOCKET, abi.SO_LINGER, v))
}

func (c *conn) setBool(level, name int, on bool) error {
	v := 0
	if on {
		v = 1
	}
	return c.opError("set", "setsockopt", c.s.SetSockOptInt(level, name, v))
}
