package usock

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"usock/internal/abi"
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

// named notes the addresses that the socket has got.
func (c *conn) named() error {
	name, peer, err := c.s.in.Names()
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
	a := c.addresses()
	return &net.OpError{
		Op: op, Net: c.k.network, Source: a.local, Addr: a.remote, Err: callError(context.Background(), call, err),
	}
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
func (c *conn) SetDeadline(t time.Time) error { return c.opError("set", "set", c.s.SetDeadline(t)) }

// SetReadDeadline bounds reads.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", "set", c.s.SetReadDeadline(t))
}

// SetWriteDeadline bounds writes.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", "set", c.s.SetWriteDeadline(t))
}

// Socket returns the socket behind the connection.
func (c *conn) Socket() *Socket { return &c.s }

// SetReadBuffer sets SO_RCVBUF.
func (c *conn) SetReadBuffer(bytes int) error {
	return c.opError("set", "setsockopt", c.s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_RCVBUF, bytes))
}

// SetWriteBuffer sets SO_SNDBUF.
func (c *conn) SetWriteBuffer(bytes int) error {
	return c.opError("set", "setsockopt", c.s.SetSockOptInt(abi.SOL_SOCKET, abi.SO_SNDBUF, bytes))
}

// TCPConn is the net.Conn of a TCP connection.
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

// ReadFrom copies r to the connection.
func (c *TCPConn) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{c}, r, make([]byte, 64<<10))
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
	seconds := int((d + time.Second - 1) / time.Second)
	err := c.s.SetSockOptInt(abi.SOL_TCP, abi.TCP_KEEPINTVL, seconds)
	if err == nil {
		err = c.s.SetSockOptInt(abi.SOL_TCP, abi.TCP_KEEPIDLE, seconds)
	}
	return c.opError("set", "setsockopt", err)
}

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

// UDPConn is the net.Conn and net.PacketConn of a UDP socket.
type UDPConn struct{ conn }

// Read receives a datagram; what does not fit into p is lost.
func (c *UDPConn) Read(p []byte) (int, error) {
	n, err := c.s.Recv(p, 0)
	return n, c.opError("read", "read", err)
}

// ReadFrom is Read with the sender's address, a *net.UDPAddr.
func (c *UDPConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.s.RecvFrom(p, 0)
	if err != nil {
		return n, nil, c.opError("read", "recvfrom", err)
	}
	return n, c.k.addr(unmapped(from)), nil
}

// ReadFromUDPAddrPort is ReadFrom without an allocation.
func (c *UDPConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	n, from, err := c.s.RecvFrom(p, 0)
	return n, unmapped(from), c.opError("read", "recvfrom", err)
}

// WriteTo sends p as a datagram to the address, a *net.UDPAddr.
func (c *UDPConn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.opError("write", "sendto", syscall.EINVAL)
	}
	return c.WriteToUDPAddrPort(p, a.AddrPort())
}

// WriteToUDPAddrPort is WriteTo with another form of address.
func (c *UDPConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	if c.peer.IsValid() {
		return 0, &net.OpError{
			Op: "write", Net: c.k.network, Source: c.addresses().local, Addr: c.k.addr(to),
			Err: net.ErrWriteToConnected,
		}
	}
	n, err := c.s.SendTo(p, 0, c.sockAddr(to))
	return n, c.opError("write", "sendto", err)
}

// sockAddr returns to as an address of the socket's domain.
func (c *UDPConn) sockAddr(to netip.AddrPort) Addr {
	a := Inet(netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	if zone := to.Addr().Zone(); zone != "" {
		for _, n := range zone {
			if n < '0' || n > '9' {
				return a
			}
			a.Scope = a.Scope*10 + uint32(n-'0')
		}
	}
	if abi.FamilyOf(c.laddr.Addr()) == abi.AF_INET6 && a.Family == abi.AF_INET {
		a.Family, a.IP = abi.AF_INET6, netip.AddrFrom16(a.IP.As16())
	}
	return a
}
