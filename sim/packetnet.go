package sim

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"usock"
	"usock/link"
)

// PacketNet is a network of UDP sockets at any addresses: each IP address is a host of its
// own, and all are on one switch. It has the shape of golang.org/issue/77362, over real UDP
// and IP.
type PacketNet struct {
	t    TB
	c    link.Impairment
	seed uint64
	sw   *link.Switch

	mu    sync.Mutex
	hosts map[netip.Addr]*usock.Host // mu
}

// NewPacketNet returns a network that does to each packet what c says, when its sender sends
// it. It is closed when the test ends. The seed of what it draws is Seed's.
func NewPacketNet(t TB, c link.Impairment) *PacketNet {
	t.Helper()
	n := &PacketNet{
		t: t, c: c, seed: Seed(t), sw: link.NewSwitch(link.SwitchConfig{MTU: 1500}), hosts: make(map[netip.Addr]*usock.Host),
	}
	t.Cleanup(n.shut)
	tellSeed(t, n.seed)
	return n
}

func (n *PacketNet) shut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.hosts {
		h.Close()
	}
	n.sw.Close()
}

// Host returns the host with the address, made if there is none.
func (n *PacketNet) Host(a netip.Addr) (*usock.Host, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[a]; h != nil {
		return h, nil
	}
	imp, err := link.Impair(n.sw.Port(a.String()), link.ImpairConfig{Out: n.c, Seed: n.seed<<16 + uint64(len(n.hosts))})
	if err != nil {
		return nil, err
	}
	everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if !a.Is4() {
		everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	h, err := usock.NewHost(usock.Config{Name: a.String(), Privileged: true, Interfaces: []usock.Interface{{
		Link: imp, Addrs: []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, Routes: []usock.Route{{Dst: everything}},
	}}})
	if err != nil {
		imp.Close()
		return nil, err
	}
	n.hosts[a] = h
	return h, nil
}

// NewConn returns a socket at the address; port 0 stands for one that is free. It fails with
// EADDRINUSE if there is one already.
func (n *PacketNet) NewConn(at netip.AddrPort) (*PacketConn, error) {
	h, err := n.Host(at.Addr().Unmap())
	if err != nil {
		return nil, err
	}
	c, err := h.ListenPacket("udp", netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String())
	if err != nil {
		return nil, err
	}
	return &PacketConn{UDPConn: c.(*usock.UDPConn)}, nil
}

// PacketConn is a UDP socket whose calls can be made to fail. It is a net.PacketConn with the
// methods of usock.UDPConn, of which ReadFrom and WriteTo fail so.
type PacketConn struct {
	*usock.UDPConn
	reads, writes, closes fault
	closed                atomic.Bool
}

// ReadFrom implements net.PacketConn. The address is a *net.UDPAddr.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	var from net.Addr
	n, err := c.reads.read(func(ctx context.Context, flags int) (int, error) {
		m := usock.Msg{Bufs: [][]byte{p}}
		n, err := c.Socket().RecvMsg(ctx, &m, flags)
		if err == nil {
			from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(m.Name.IP.Unmap(), m.Name.Port))
		}
		return n, err
	})
	return n, from, netError(c, "read", "recvfrom", err)
}

// WriteTo implements net.PacketConn. The address is a *net.UDPAddr. What goes to an address
// that nobody has is lost.
func (c *PacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	if _, err := c.writes.get(); err != nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Source: c.LocalAddr(), Addr: to, Err: err}
	}
	return c.UDPConn.WriteTo(p, to)
}

// Close closes the socket.
func (c *PacketConn) Close() error {
	c.closed.Store(true)
	err := c.UDPConn.Close()
	if _, fault := c.closes.get(); fault != nil && err == nil {
		return netError(c, "close", "close", fault)
	}
	return err
}

// IsClosed reports whether Close was called.
func (c *PacketConn) IsClosed() bool { return c.closed.Load() }

// CanRead reports whether ReadFrom would return at once.
func (c *PacketConn) CanRead() bool { return c.reads.canRead(c.Socket()) }

// SetReadError has ReadFrom fail with a *net.OpError about err, once what has come was read:
// calls under way and to come, until it is set to nil.
func (c *PacketConn) SetReadError(err error) { c.reads.set(err) }

// SetWriteError has WriteTo fail with a *net.OpError about err and send nothing, until it is
// set to nil.
func (c *PacketConn) SetWriteError(err error) { c.writes.set(err) }

// SetCloseError has Close return a *net.OpError about err. It closes all the same.
func (c *PacketConn) SetCloseError(err error) { c.closes.set(err) }

var _ net.PacketConn = (*PacketConn)(nil)
