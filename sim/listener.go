package sim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"usock"
)

// Listener is a net.Listener on a host of its own, and the way to it: a client host that a
// link joins it to. It has the shapes of golang.org/issue/77362, over real TCP:
//
//	l := sim.NewListener(t, sim.Both(link.Impairment{Delay: 20 * time.Millisecond, Loss: 0.01}))
//	go server.Serve(l)
//	c := l.NewConn()
//
// For net/http and gRPC see NewServer, DialContext and Dialer.
type Listener struct {
	*usock.TCPListener
	t              TB
	net            *Net
	client         *Host
	link           *Link
	accepts, close fault

	mu   sync.Mutex
	ends map[netip.AddrPort]*Conn // mu: those whose other end is not known yet, by the client's address

	addr   atomic.Pointer[net.TCPAddr] // what Addr tells in place of the true one; nil: that
	taking sync.Mutex                  // held by the Accept that takes what is there; nobody waits with it
}

// NewListener returns a listener at port 80 of a host "server", which a link joins to a host
// "client". All is closed when the test ends. The seed of what the link draws is Seed's, and that of the faults, which strike
// on both hosts.
func NewListener(t TB, c LinkConfig, faults ...Fault) *Listener {
	t.Helper()
	n := New(t, Seed(t))
	if len(faults) > 0 {
		n.Faults(faults...)
	}
	client, server := n.Host("client"), n.Host("server")
	way := n.Link(client, server, c)
	n.Start()
	l, err := server.Listen("tcp", netip.AddrPortFrom(server.Addr(), 80).String())
	if err != nil {
		t.Fatalf("sim: listen: %v", err)
	}
	return &Listener{
		TCPListener: l.(*usock.TCPListener), t: t, net: n, client: client, link: way, ends: make(map[netip.AddrPort]*Conn),
	}
}

// Net returns the network, Client its host that connects, and Link what is between that and
// the listener: it can be changed, cut and healed while the connections live.
func (l *Listener) Net() *Net     { return l.net }
func (l *Listener) Client() *Host { return l.client }
func (l *Listener) Link() *Link   { return l.link }

// Addr implements net.Listener: a *net.TCPAddr.
func (l *Listener) Addr() net.Addr {
	if a := l.addr.Load(); a != nil {
		return a
	}
	return l.TCPListener.Addr()
}

// SetAddr has Addr tell a. The listener stays where it is, and DialContext reaches it there.
func (l *Listener) SetAddr(a netip.AddrPort) { l.addr.Store(net.TCPAddrFromAddrPort(a)) }

// NewConn returns a connection to the listener, whose Accept returns the other end. It waits
// as long as the link takes, and fails the test if there is none.
func (l *Listener) NewConn() *Conn { return l.NewConnConfig(nil) }

// NewConnConfig is NewConn with a dialer that f, if not nil, has changed: the address to
// connect from, options of the socket, keepalive.
func (l *Listener) NewConnConfig(f func(*usock.Dialer)) *Conn {
	l.t.Helper()
	d := usock.Dialer{Host: l.client.Host}
	if f != nil {
		f(&d)
	}
	c, err := l.dial(context.Background(), &d)
	if err != nil {
		l.t.Fatalf("sim: connect: %v", err)
	}
	return c
}

func (l *Listener) dial(ctx context.Context, d *usock.Dialer) (*Conn, error) {
	c, err := d.DialContext(ctx, "tcp", l.TCPListener.Addr().String())
	if err != nil {
		return nil, err
	}
	out := &Conn{TCPConn: c.(*usock.TCPConn)}
	l.meet(out, out.LocalAddr())
	return out, nil
}

// meet tells both ends of each other when the second one is known.
func (l *Listener) meet(c *Conn, client net.Addr) {
	at := client.(*net.TCPAddr).AddrPort()
	l.mu.Lock()
	defer l.mu.Unlock()
	other := l.ends[at]
	if other == nil {
		l.ends[at] = c
		return
	}
	delete(l.ends, at)
	c.peer.Store(other)
	other.peer.Store(c)
}

// DialContext connects to the listener, whatever the address: for http.Transport.
func (l *Listener) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := l.dial(ctx, &usock.Dialer{Host: l.client.Host})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Dialer is DialContext for gRPC:
//
//	grpc.NewClient("passthrough:///server", grpc.WithContextDialer(l.Dialer), …)
func (l *Listener) Dialer(ctx context.Context, address string) (net.Conn, error) {
	return l.DialContext(ctx, "tcp", address)
}

// Accept waits for the next connection: a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		ctx, fault := l.accepts.get()
		if fault == nil {
			_, err := l.Socket().Poll(ctx, usock.POLLIN)
			if errors.Is(err, errChanged) {
				continue
			}
		}
		c, err := l.take(fault)
		if err != syscall.EAGAIN {
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
}

// take accepts the connection that is there; without one it returns fault, or EAGAIN if that
// is nil.
func (l *Listener) take(fault error) (*Conn, error) {
	l.taking.Lock()
	defer l.taking.Unlock()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Socket().Poll(ended, usock.POLLIN); errors.Is(err, context.Canceled) {
		if fault != nil {
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: fault}
		}
		return nil, syscall.EAGAIN
	}
	c, err := l.AcceptTCP() // does not wait
	if err != nil {
		return nil, err
	}
	out := &Conn{TCPConn: c}
	l.meet(out, out.RemoteAddr())
	return out, nil
}

// Close stops listening.
func (l *Listener) Close() error {
	err := l.TCPListener.Close()
	if _, fault := l.close.get(); fault != nil && err == nil {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: fault}
	}
	return err
}

// SetAcceptError has Accept fail with a *net.OpError about err, once what waits was accepted:
// calls under way and to come, until it is set to nil.
func (l *Listener) SetAcceptError(err error) { l.accepts.set(err) }

// SetCloseError has Close return a *net.OpError about err. It closes all the same.
func (l *Listener) SetCloseError(err error) { l.close.set(err) }

// NewServer is httptest.NewServer over a network of its own: its Client reaches the handler by
// a link, and in a bubble of testing/synctest in virtual time. It is closed when the test
// ends.
//
//	srv := sim.NewServer(t, handler, sim.Both(link.Impairment{Delay: 50 * time.Millisecond}))
//	r, err := srv.Client().Get(srv.URL)
func NewServer(t TB, handler http.Handler, c LinkConfig, faults ...Fault) *httptest.Server {
	t.Helper()
	l := NewListener(t, c, faults...)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	srv.Start()
	t.Cleanup(srv.Close)
	srv.Client().Transport = &http.Transport{DialContext: l.DialContext}
	t.Cleanup(srv.Client().CloseIdleConnections)
	return srv
}

var _ net.Listener = (*Listener)(nil)
