package usock

import (
	"context"
	"net"
	"net/netip"
	"os"
	"time"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/socket"
	"usock/internal/timer"
)

// Dialer dials from a host with the net package's types. The zero value but for
// Host is ready for use.
type Dialer struct {
	Host *Host

	// Local is the address to dial from; the zero AddrPort: any.
	Local netip.AddrPort

	// Timeout bounds a dial, the look-up of the name included; 0: the protocol's own
	// patience. It is measured by the host's clock (Config.Clock), as all waiting of a dial is
	// but for a deadline that its context has: that is the caller's, and a time of day.
	Timeout time.Duration

	// FallbackDelay is how long a TCP dial to a name with addresses of both families waits
	// for the preferred one before it tries the other beside it (RFC 8305, 'Happy
	// Eyeballs'); 0 is 300 ms, negative tries one address after another.
	FallbackDelay time.Duration

	// KeepAlive is the idle time before keepalive probes; 0 is 15 s, negative is
	// none, as in net.Dialer.
	KeepAlive time.Duration

	// KeepAliveConfig takes the place of KeepAlive if its Enable is true.
	KeepAliveConfig net.KeepAliveConfig

	// Control, if not nil, is called with the socket before it connects.
	Control func(network string, s *Socket) error

	// Resolver looks up names; nil is the host's own (Host.Resolver). A *net.Resolver is
	// one, too. "localhost" and "" need none.
	Resolver interface {
		LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	}
}

// Dial connects to the address on the network as net.Dial does: networks "tcp",
// "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixgram" and "unixpacket". Names are the
// host's affair (Host.Resolver). Errors are *net.OpError.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

// DialContext is Dial, given up when ctx ends.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := Dialer{Host: h}
	return d.DialContext(ctx, network, address)
}

// DialContext connects to the address on the network.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, until, cancel := d.bounded(ctx)
	defer cancel()
	if unixTypes[network] != 0 {
		return d.Host.dialUnix(ctx, network, address, d.Control)
	}
	k, err := parseNetwork(network)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	addrs, err := d.Host.resolve(ctx, k, d.Resolver, address, false)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}

	first, second := addrs, []netip.AddrPort(nil)
	if k.typ == abi.SOCK_STREAM && d.FallbackDelay >= 0 {
		first, second = byFamily(addrs)
	}
	c, err := d.race(ctx, until, k, first, second)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// bounded is ctx with the Dialer's Timeout, and the time of the host's clock at which it ends;
// timer.Never: nobody knows. The deadline of ctx itself is a time of day, which a clock other than
// the machine's says nothing about.
func (d *Dialer) bounded(ctx context.Context) (_ context.Context, until time.Duration, _ context.CancelFunc) {
	until = timer.Never
	c := d.Host.h.Clock()
	if end, ok := ctx.Deadline(); ok && clock.IsSystem(c) {
		until = c.Now() + end.Sub(clock.Wall(c))
	}
	if d.Timeout <= 0 {
		return ctx, until, func() {}
	}
	until = min(until, c.Now()+d.Timeout)
	ctx, cancel := d.Host.within(ctx, d.Timeout)
	return ctx, until, cancel
}

// byFamily divides addresses into those of the first one's family and the others.
func byFamily(addrs []netip.AddrPort) (first, second []netip.AddrPort) {
	if len(addrs) == 1 {
		return addrs, nil
	}
	for _, a := range addrs {
		if a.Addr().Is4() == addrs[0].Addr().Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	return first, second
}

// dialed is the outcome of dialing some addresses.
type dialed struct {
	c       net.Conn
	err     error
	primary bool
}

// race dials first and, if that has no connection after a while or fails, second beside it.
// The first connection is taken and the other given up (RFC 8305 §5). The error is that of
// first.
func (d *Dialer) race(ctx context.Context, until time.Duration, k kind, first, second []netip.AddrPort) (net.Conn, error) {
	if len(second) == 0 {
		return d.each(ctx, until, k, first)
	}

	racer := *d // the goroutines' own: most dialers dial one address and need not outlive the call
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := make(chan dialed) // nobody receives from it after the end of race
	over := make(chan struct{})
	defer close(over)
	try := func(addrs []netip.AddrPort, primary bool) {
		c, err := racer.each(ctx, until, k, addrs)
		select {
		case out <- dialed{c, err, primary}:
		case <-over:
			if c != nil {
				c.Close()
			}
		}
	}
	go try(first, true)

	delay := d.FallbackDelay
	if delay == 0 {
		delay = 300 * time.Millisecond
	}
	due := make(chan struct{}, 1)
	fallback := newAlarm(d.Host, delay, func() { due <- struct{}{} })
	defer fallback.stop()
	running, started := 1, false
	var failed error // of first
	for {
		select {
		case <-due:
		case o := <-out:
			if o.err == nil {
				return o.c, nil
			}
			if running--; o.primary || failed == nil {
				failed = o.err
			}
		}
		switch {
		case !started:
			started = true
			running++
			go try(second, false)
		case running == 0:
			return nil, failed
		}
	}
}

// each dials one address after another and returns the first connection, or the first
// error. Each has its share of the time that is left until then, as with package net.
func (d *Dialer) each(ctx context.Context, until time.Duration, k kind, addrs []netip.AddrPort) (net.Conn, error) {
	var first error
	for i, a := range addrs {
		part, cancel := d.Host.share(ctx, until, len(addrs)-i)
		c, err := d.dial(part, k, a)
		cancel()
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = &net.OpError{Op: "dial", Net: k.network, Source: k.local(d.Local), Addr: k.addr(a), Err: err}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// share is ctx, bounded to the n-th part of the time until then, and at least 2 s of it.
func (h *Host) share(ctx context.Context, until time.Duration, n int) (context.Context, context.CancelFunc) {
	if until == timer.Never || n <= 1 {
		return ctx, func() {}
	}
	const least = 2 * time.Second
	left := until - h.h.Clock().Now()
	return h.within(ctx, max(left/time.Duration(n), min(left, least)))
}

// DialTCP connects to raddr on the network "tcp", "tcp4" or "tcp6", from laddr if
// that is valid or else from Local.
func (d *Dialer) DialTCP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*TCPConn, error) {
	c := new(TCPConn)
	if err := d.dialAddr(ctx, network, abi.SOCK_STREAM, laddr, raddr, &c.conn); err != nil {
		return nil, err
	}
	return c, nil
}

// DialUDP is DialTCP for the networks "udp", "udp4" and "udp6".
func (d *Dialer) DialUDP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*UDPConn, error) {
	c := new(UDPConn)
	if err := d.dialAddr(ctx, network, abi.SOCK_DGRAM, laddr, raddr, &c.conn); err != nil {
		return nil, err
	}
	return c, nil
}

func (d *Dialer) dialAddr(ctx context.Context, network string, typ int, laddr, raddr netip.AddrPort, c *conn) error {
	k, err := parseNetwork(network)
	switch {
	case err == nil && k.typ != typ:
		err = net.UnknownNetworkError(network)
	case err == nil && (!raddr.IsValid() || !k.takes(raddr.Addr())):
		err = &net.AddrError{Err: "no suitable address found", Addr: raddr.String()}
	}
	if err != nil {
		return &net.OpError{Op: "dial", Net: network, Err: err}
	}
	ctx, _, cancel := d.bounded(ctx)
	defer cancel()
	if !laddr.IsValid() {
		laddr = d.Local
	}
	raddr = netip.AddrPortFrom(raddr.Addr().Unmap(), raddr.Port())
	if err := d.connect(ctx, k, laddr, raddr, c); err != nil {
		return &net.OpError{Op: "dial", Net: network, Source: k.local(laddr), Addr: k.addr(raddr), Err: err}
	}
	return nil
}

func (d *Dialer) dial(ctx context.Context, k kind, to netip.AddrPort) (net.Conn, error) {
	if k.typ == abi.SOCK_STREAM {
		c := new(TCPConn)
		return c, d.connect(ctx, k, d.Local, to, &c.conn)
	}
	c := new(UDPConn)
	return c, d.connect(ctx, k, d.Local, to, &c.conn)
}

// connect makes c a connection to the address.
func (d *Dialer) connect(ctx context.Context, k kind, from, to netip.AddrPort, c *conn) error {
	if err := endedBy(ctx); err != nil {
		return contextError(err)
	}
	in, err := d.Host.open(abi.FamilyOf(to.Addr()), k.typ, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	c.s, c.k = Socket{in, d.Host}, k
	fail := func(call string, err error) error {
		c.s.Close()
		return callError(ctx, call, err)
	}
	if d.Control != nil {
		if err := d.Control(k.network, &c.s); err != nil {
			c.s.Close()
			return err
		}
	}
	if from.IsValid() {
		if err := c.s.Bind(d.Host.inet(from)); err != nil {
			return fail("bind", err)
		}
	}
	var options []socket.Setting
	if k.typ == abi.SOCK_STREAM {
		options = streamDefaults(d.KeepAlive, d.KeepAliveConfig)
	}
	if err := c.connected(ctx, d.Host.inet(to), options); err != nil {
		return fail("connect", err)
	}
	return nil
}

// alarm calls a function, with no lock held, when some time has passed by the host's clock.
type alarm struct {
	timer.Entry
	h *Host
	f func()
}

func newAlarm(h *Host, d time.Duration, f func()) *alarm {
	a := &alarm{h: h, f: f}
	a.On = a
	h.h.Enter()
	h.h.SetTimer(&a.Entry, h.h.Now()+d)
	h.h.Leave()
	return a
}

// Expired implements timer.Expirer.
func (a *alarm) Expired(*timer.Entry, time.Duration) { a.h.h.After(a.f) }

func (a *alarm) stop() {
	a.h.h.Enter()
	a.h.h.RemoveTimer(&a.Entry)
	a.h.h.Leave()
}
