package usock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock"
)

// network is package net over the kernel, or usock.
type network struct {
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	listen func(ctx context.Context, network, address string) (net.Listener, error)
	packet func(ctx context.Context, network, address string) (net.PacketConn, error)
	dir    string // for AF_UNIX
}

func (n *network) path(name string) string { return filepath.Join(n.dir, name) }

// errorsOf are cases by name, each of which returns errors of package net's types.
var errorsOf = []struct {
	name string
	of   func(t *testing.T, n *network) []error
}{
	{"dial to an unknown network", func(t *testing.T, n *network) []error {
		_, err := n.dial(t.Context(), "foo", "127.0.0.1:1")
		_, err2 := n.listen(t.Context(), "udp", "127.0.0.1:0")
		_, err3 := n.packet(t.Context(), "tcp", "127.0.0.1:0")
		return []error{err, err2, err3}
	}},
	{"bad addresses", func(t *testing.T, n *network) []error {
		_, err := n.dial(t.Context(), "tcp", "127.0.0.1")
		_, err2 := n.dial(t.Context(), "tcp", "127.0.0.1:no-such-service")
		_, err3 := n.dial(t.Context(), "tcp", "127.0.0.1:70000")
		_, err4 := n.dial(t.Context(), "tcp6", "127.0.0.1:70")
		_, err5 := n.listen(t.Context(), "tcp", "127.0.0.1:http2x")
		_, err6 := n.listen(t.Context(), "tcp4", "[::1]:0")
		return []error{err, err2, err3, err4, err5, err6}
	}},
	{"dial refused", func(t *testing.T, n *network) []error {
		l := have(n.listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
		l.Close()
		_, err := n.dial(t.Context(), "tcp", l.Addr().String())
		return []error{err}
	}},
	{"dial with a context that has ended", func(t *testing.T, n *network) []error {
		l := have(n.listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
		defer l.Close()
		late, stop := context.WithTimeout(t.Context(), 0)
		defer stop()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := n.dial(late, "tcp", l.Addr().String())
		_, err2 := n.dial(gone, "tcp", l.Addr().String())
		_, err3 := n.dial(gone, "udp", l.Addr().String())
		return []error{err, err2, err3}
	}},
	{"listen on an address in use, or not the host's", func(t *testing.T, n *network) []error {
		l := have(n.listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
		defer l.Close()
		p := have(n.packet(t.Context(), "udp", "127.0.0.1:0"))(t)
		defer p.Close()
		_, err := n.listen(t.Context(), "tcp", l.Addr().String())
		_, err2 := n.packet(t.Context(), "udp", p.LocalAddr().String())
		_, err3 := n.listen(t.Context(), "tcp", "192.0.2.1:0")
		return []error{err, err2, err3}
	}},
	{"a listener with a deadline, closed", func(t *testing.T, n *network) []error {
		l := have(n.listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
		d := l.(interface{ SetDeadline(time.Time) error })
		d.SetDeadline(time.Unix(1, 0))
		_, err := l.Accept()
		l.Close()
		_, err2 := l.Accept()
		return []error{err, err2, l.Close(), d.SetDeadline(time.Time{})}
	}},
	{"a TCP connection with deadlines", func(t *testing.T, n *network) []error {
		a, b := n.pair(t, "tcp", "127.0.0.1:0")
		defer b.Close()
		defer a.Close()
		a.SetDeadline(time.Unix(1, 0))
		_, err := a.Read(make([]byte, 1))
		_, err2 := a.Write(make([]byte, 1))
		return []error{err, err2}
	}},
	{"a TCP connection, closed", func(t *testing.T, n *network) []error {
		a, b := n.pair(t, "tcp", "127.0.0.1:0")
		b.Close()
		a.Close()
		return closedStream(a)
	}},
	{"a TCP connection, reset", func(t *testing.T, n *network) []error {
		a, b := n.pair(t, "tcp", "127.0.0.1:0")
		defer a.Close()
		b.(interface{ SetLinger(int) error }).SetLinger(0)
		b.Close()
		_, err := a.Read(make([]byte, 1))
		_, err2 := a.Write(make([]byte, 1))
		_, err3 := io.Copy(a, strings.NewReader("x"))
		return []error{err, err2, err3}
	}},
	{"a TCP connection, its own side ended", func(t *testing.T, n *network) []error {
		a, b := n.pair(t, "tcp", "127.0.0.1:0")
		defer b.Close()
		defer a.Close()
		w := a.(interface{ CloseWrite() error })
		err := w.CloseWrite()
		_, err2 := a.Write(make([]byte, 1))
		b.Close()
		_, err3 := a.Read(make([]byte, 1))
		return []error{err, err2, err3}
	}},
	{"a UDP socket with deadlines, closed", func(t *testing.T, n *network) []error {
		c := have(n.packet(t.Context(), "udp", "127.0.0.1:0"))(t)
		c.SetDeadline(time.Unix(1, 0))
		_, _, err := c.ReadFrom(make([]byte, 1))
		c.Close()
		return append([]error{err}, closedDatagrams(c)...)
	}},
	{"a UDP socket with peer", func(t *testing.T, n *network) []error {
		to := have(n.packet(t.Context(), "udp", "127.0.0.1:0"))(t)
		c := have(n.dial(t.Context(), "udp", to.LocalAddr().String()))(t)
		defer c.Close()
		u := c.(udpConn)
		at := to.LocalAddr().(*net.UDPAddr)
		_, err := u.WriteTo([]byte("x"), at)
		_, err2 := u.WriteToUDP([]byte("x"), at)
		_, err3 := u.WriteToUDPAddrPort([]byte("x"), at.AddrPort())
		_, _, err4 := u.WriteMsgUDP([]byte("x"), nil, at)
		_, _, err5 := u.WriteMsgUDPAddrPort([]byte("x"), nil, at.AddrPort())
		to.Close()
		c.Write([]byte("x"))
		c.SetReadDeadline(time.Now().Add(10 * time.Second)) // the answer is on its way
		_, err6 := c.Read(make([]byte, 1))
		return []error{err, err2, err3, err4, err5, err6}
	}},
	{"a UDP socket without peer", func(t *testing.T, n *network) []error {
		c := have(n.packet(t.Context(), "udp", "127.0.0.1:0"))(t)
		defer c.Close()
		u := c.(udpConn)
		to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
		six := &net.UDPAddr{IP: net.IPv6loopback, Port: 9}
		_, err := u.Write([]byte("x"))
		_, err2 := u.WriteTo([]byte("x"), &net.TCPAddr{IP: to.IP, Port: 1})
		_, err3 := u.WriteToUDP([]byte("x"), nil)
		_, err4 := u.WriteToUDPAddrPort([]byte("x"), netip.AddrPort{})
		_, _, err5 := u.WriteMsgUDP([]byte("x"), nil, nil)
		_, err6 := u.WriteTo([]byte("x"), six)
		_, _, err7 := u.WriteMsgUDP(make([]byte, 70000), nil, to)
		_, err8 := u.WriteTo(make([]byte, 70000), to)
		_, _, err9 := u.WriteMsgUDP([]byte("x"), []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, to)
		return []error{err, err2, err3, err4, err5, err6, err7, err8, err9}
	}},
	{"AF_UNIX names", func(t *testing.T, n *network) []error {
		_, err := n.dial(t.Context(), "unix", n.path("nobody"))
		l := have(n.listen(t.Context(), "unix", n.path("l")))(t)
		_, err2 := n.listen(t.Context(), "unix", n.path("l"))
		_, err3 := n.dial(t.Context(), "unixgram", n.path("l"))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err4 := n.dial(gone, "unix", n.path("l"))
		d := l.(interface{ SetDeadline(time.Time) error })
		d.SetDeadline(time.Unix(1, 0))
		_, err5 := l.Accept()
		l.Close()
		_, err6 := l.Accept()
		return []error{err, err2, err3, err4, err5, err6, l.Close(), d.SetDeadline(time.Time{})}
	}},
	{"an AF_UNIX stream, closed", func(t *testing.T, n *network) []error {
		a, b := n.pair(t, "unix", n.path("s"))
		a.SetDeadline(time.Unix(1, 0))
		_, err := a.Read(make([]byte, 1))
		a.SetDeadline(time.Time{})
		u := a.(unixConn)
		_, err2 := u.WriteToUnix([]byte("x"), &net.UnixAddr{Net: "unix", Name: n.path("s")})
		b.Close()
		_, err3 := a.Write([]byte("x"))
		a.Close()
		_, err4 := u.WriteToUnix([]byte("x"), nil)
		_, _, _, _, err5 := u.ReadMsgUnix(make([]byte, 1), nil)
		_, _, err6 := u.WriteMsgUnix([]byte("x"), nil, nil)
		return append([]error{err, err2, err3, err4, err5, err6}, closedStream(a)...)
	}},
	{"AF_UNIX datagrams", func(t *testing.T, n *network) []error {
		c := have(n.packet(t.Context(), "unixgram", n.path("g")))(t)
		u := c.(unixConn)
		_, err := u.WriteTo([]byte("x"), &net.UnixAddr{Net: "unixgram", Name: n.path("nobody")})
		_, err2 := u.WriteTo([]byte("x"), &net.UnixAddr{Net: "unix", Name: n.path("g")})
		_, err3 := u.WriteTo([]byte("x"), &net.TCPAddr{})
		_, err4 := u.WriteToUnix([]byte("x"), nil)
		_, err5 := u.Write([]byte("x"))
		d := have(n.dial(t.Context(), "unixgram", n.path("g")))(t)
		_, _, err6 := d.(unixConn).WriteMsgUnix([]byte("x"), nil, &net.UnixAddr{Net: "unixgram", Name: n.path("g")})
		d.Close()
		c.Close()
		_, _, err7 := u.ReadFromUnix(make([]byte, 1))
		return []error{err, err2, err3, err4, err5, err6, err7, u.SetReadBuffer(1000), u.SetDeadline(time.Time{})}
	}},
}

// closedStream are the errors of all methods of a connection that was closed.
func closedStream(c net.Conn) (out []error) {
	note := func(_ any, err error) { out = append(out, err) }
	note(c.Read(make([]byte, 1)))
	note(c.Write(make([]byte, 1)))
	out = append(out, c.Close(), c.SetDeadline(time.Time{}), c.SetReadDeadline(time.Unix(1, 0)), c.SetWriteDeadline(time.Unix(1, 0)))
	both := c.(interface {
		CloseRead() error
		CloseWrite() error
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	})
	out = append(out, both.CloseRead(), both.CloseWrite(), both.SetReadBuffer(1000), both.SetWriteBuffer(1000))
	if s, ok := c.(interface {
		io.ReaderFrom
		io.WriterTo
		SetNoDelay(bool) error
		SetLinger(int) error
		SetKeepAlive(bool) error
		SetKeepAlivePeriod(time.Duration) error
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}); ok {
		note(s.ReadFrom(strings.NewReader("x")))
		note(s.WriteTo(io.Discard))
		out = append(out, s.SetNoDelay(true), s.SetLinger(1), s.SetKeepAlive(true), s.SetKeepAlivePeriod(time.Second),
			s.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}))
	}
	return out
}

// udpConn is what net.UDPConn and usock.UDPConn have.
type udpConn interface {
	net.Conn
	net.PacketConn
	ReadFromUDP([]byte) (int, *net.UDPAddr, error)
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error)
	ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error)
	WriteToUDP([]byte, *net.UDPAddr) (int, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	WriteMsgUDP(b, oob []byte, to *net.UDPAddr) (n, oobn int, err error)
	WriteMsgUDPAddrPort(b, oob []byte, to netip.AddrPort) (n, oobn int, err error)
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}

// unixConn is what net.UnixConn and usock.UnixConn have.
type unixConn interface {
	net.Conn
	net.PacketConn
	CloseRead() error
	CloseWrite() error
	ReadFromUnix([]byte) (int, *net.UnixAddr, error)
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error)
	WriteToUnix([]byte, *net.UnixAddr) (int, error)
	WriteMsgUnix(b, oob []byte, to *net.UnixAddr) (n, oobn int, err error)
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}

var (
	_, _ udpConn  = (*net.UDPConn)(nil), (*usock.UDPConn)(nil)
	_, _ unixConn = (*net.UnixConn)(nil), (*usock.UnixConn)(nil)
)

// closedDatagrams are the errors of all methods of a UDP socket that was closed.
func closedDatagrams(c net.PacketConn) (out []error) {
	u := c.(udpConn)
	b, to := make([]byte, 1), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
	at := netip.MustParseAddrPort("127.0.0.1:9") // of an IPv4-mapped one package net writes all
	note := func(err error) { out = append(out, err) }
	_, err := u.Read(b)
	note(err)
	_, _, err = u.ReadFrom(b)
	note(err)
	_, _, err = u.ReadFromUDP(b)
	note(err)
	_, _, err = u.ReadFromUDPAddrPort(b)
	note(err)
	_, _, _, _, err = u.ReadMsgUDP(b, b)
	note(err)
	_, err = u.Write(b)
	note(err)
	_, err = u.WriteTo(b, to)
	note(err)
	_, err = u.WriteToUDPAddrPort(b, at)
	note(err)
	_, _, err = u.WriteMsgUDP(b, nil, to)
	note(err)
	_, _, err = u.WriteMsgUDPAddrPort(b, nil, at)
	note(err)
	return append(out, u.Close(), u.SetDeadline(time.Time{}), u.SetReadBuffer(1000), u.SetWriteBuffer(1000))
}

// pair returns both ends of a connection.
func (n *network) pair(t *testing.T, network, address string) (a, b net.Conn) {
	t.Helper()
	l := have(n.listen(t.Context(), network, address))(t)
	defer l.Close()
	a = have(n.dial(t.Context(), network, l.Addr().String()))(t)
	return a, have(l.Accept())(t)
}

func have[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestErrors has every error of the net types be that of package net over the kernel: its
// text but for the ports, the types that package net has inside of each other, and what
// errors.Is and net.Error's Timeout say of it.
func TestErrors(t *testing.T) {
	h := newHost(t, usock.Config{})
	lc, d := usock.ListenConfig{Host: h}, usock.Dialer{Host: h}
	dir := t.TempDir()
	ours := &network{dial: d.DialContext, listen: lc.Listen, packet: lc.ListenPacket, dir: dir}
	var klc net.ListenConfig
	klc.SetMultipathTCP(false)
	theirs := &network{dial: new(net.Dialer).DialContext, listen: klc.Listen, packet: klc.ListenPacket, dir: dir}
	for _, c := range errorsOf {
		t.Run(c.name, func(t *testing.T) {
			got, want := c.of(t, ours), c.of(t, theirs)
			if len(got) != len(want) {
				t.Fatalf("%d errors, %d of package net", len(got), len(want))
			}
			for i := range want {
				if g, w := describe(got[i]), describe(want[i]); g != w {
					t.Errorf("error %d:\n    usock %s\nwant net   %s", i+1, g, w)
				}
			}
		})
	}
}

var port = regexp.MustCompile(`:\d+\b`)

// describe says all of an error that a program can ask for.
func describe(err error) string {
	if err == nil {
		return "none"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q", port.ReplaceAllString(err.Error(), ":port"))
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e.(type) {
		case *net.OpError, *os.SyscallError, syscall.Errno, *net.AddrError, *net.DNSError, net.UnknownNetworkError:
			fmt.Fprintf(&b, " %T", e)
		}
	}
	for _, target := range []error{net.ErrClosed, os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled, io.EOF,
		net.ErrWriteToConnected, os.ErrPermission, os.ErrNotExist} {
		if errors.Is(err, target) {
			fmt.Fprintf(&b, " is(%v)", target)
		}
	}
	var n net.Error
	if errors.As(err, &n) {
		fmt.Fprintf(&b, " timeout=%t", n.Timeout())
	}
	return b.String()
}
