package sim

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"

	"usock"
)

// Conn is one end of a TCP connection whose calls can be made to fail. It is a net.Conn with
// the methods of usock.TCPConn. SetReadBuffer and SetWriteBuffer bound how much is under way
// before a write waits.
type Conn struct {
	*usock.TCPConn
	peer          atomic.Pointer[Conn]
	reads, writes fault
	closes        fault
	closed        atomic.Uint32 // readEnd, writeEnd, both

	local, remote atomic.Pointer[net.TCPAddr] // what is told in place of the true ones; nil: those
}

// The bits of Conn.closed.
const (
	readEnd  = 1
	writeEnd = 2
	both     = readEnd | writeEnd
)

// NewConnPair returns both ends of a TCP connection between two hosts, which a link joins. It
// is closed, and the hosts with it, when the test ends.
func NewConnPair(t TB, c LinkConfig) (client, server *Conn) {
	t.Helper()
	l := NewListener(t, c)
	client = l.NewConn()
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("sim: accept: %v", err)
	}
	return client, conn.(*Conn)
}

// Peer returns the other end; nil as long as that is not accepted, or as its connect has not
// returned.
func (c *Conn) Peer() *Conn { return c.peer.Load() }

// LocalAddr implements net.Conn: a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr {
	if a := c.local.Load(); a != nil {
		return a
	}
	return c.TCPConn.LocalAddr()
}

// RemoteAddr implements net.Conn: a *net.TCPAddr. It is what SetRemoteAddr has set, or else the
// peer's LocalAddr.
func (c *Conn) RemoteAddr() net.Addr {
	if a := c.remote.Load(); a != nil {
		return a
	}
	if p := c.Peer(); p != nil {
		return p.LocalAddr()
	}
	return c.TCPConn.RemoteAddr()
}

// SetLocalAddr has LocalAddr tell a, and RemoteAddr of the peer, too, once both ends know each
// other. Packets have the true address all the same; Listener.NewConnConfig connects from another
// one.
func (c *Conn) SetLocalAddr(a netip.AddrPort) { c.local.Store(net.TCPAddrFromAddrPort(a)) }

// SetRemoteAddr has RemoteAddr tell a. Packets go where they went.
func (c *Conn) SetRemoteAddr(a netip.AddrPort) { c.remote.Store(net.TCPAddrFromAddrPort(a)) }

// SetReadBufferSize bounds what the peer can write before it waits for a Read: to size bytes, and
// what the buffers hold besides, which are of TCP and never less than a few KiB. It sets SO_RCVBUF
// here and SO_SNDBUF there, if both ends know each other.
func (c *Conn) SetReadBufferSize(size int) error {
	if p := c.Peer(); p != nil {
		if err := p.SetWriteBuffer(size); err != nil {
			return err
		}
	}
	return c.SetReadBuffer(size)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.reads.read(func(ctx context.Context, flags int) (int, error) {
		return c.Socket().RecvMsg(ctx, &usock.Msg{Bufs: [][]byte{p}}, flags)
	})
	if n == 0 && err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return n, netError(c, "read", "read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n := 0
	for {
		ctx, err := c.writes.get()
		if err == nil {
			var k int
			k, err = c.Socket().SendMsg(ctx, &usock.Msg{Bufs: [][]byte{p[n:]}}, 0)
			n += k
			if context.Cause(ctx) == errChanged && (err == nil || err == errChanged) && n < len(p) {
				continue
			}
		}
		if err != nil || n >= len(p) {
			return n, netError(c, "write", "write", err)
		}
	}
}

// ReadFrom copies r to the connection, by Write.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{c}, r) }

// WriteTo copies what is received to w, by Read.
func (c *Conn) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{c}) }

// Close closes the connection.
func (c *Conn) Close() error {
	c.closed.Or(both)
	err := c.TCPConn.Close()
	if _, fault := c.closes.get(); fault != nil && err == nil {
		return netError(c, "close", "close", fault)
	}
	return err
}

// CloseRead ends the receiving direction.
func (c *Conn) CloseRead() error {
	c.closed.Or(readEnd)
	return c.TCPConn.CloseRead()
}

// CloseWrite ends the sending direction: the peer reads to the end of the stream.
func (c *Conn) CloseWrite() error {
	c.closed.Or(writeEnd)
	return c.TCPConn.CloseWrite()
}

// IsClosed reports whether Close was called, or CloseRead and CloseWrite. Whether the other
// end is closed, Peer().IsClosed() says.
func (c *Conn) IsClosed() bool { return c.closed.Load() == both }

// CanRead reports whether Read would return at once.
func (c *Conn) CanRead() bool { return c.reads.canRead(c.Socket()) }

// SetReadError has Read fail with a *net.OpError about err, once what has come was read: calls
// under way and to come, until it is set to nil.
func (c *Conn) SetReadError(err error) { c.reads.set(err) }

// SetWriteError has Write fail with a *net.OpError about err and send nothing: calls under way
// and to come, until it is set to nil.
func (c *Conn) SetWriteError(err error) { c.writes.set(err) }

// SetCloseError has Close return a *net.OpError about err. It closes all the same.
func (c *Conn) SetCloseError(err error) { c.closes.set(err) }

var _ net.Conn = (*Conn)(nil)
