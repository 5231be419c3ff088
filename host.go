package usock

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"usock/clock"
	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/inet"
	"usock/internal/ip"
	"usock/internal/relay"
	"usock/internal/socket"
	"usock/internal/tcp"
	"usock/internal/unix"
	"usock/link"
	"usock/packet"
	"usock/shape"
)

// Host is a network host: its interfaces, addresses and routes, its ports, and
// the sockets that were made on it. It has no goroutine of its own but one for
// each link that cannot deliver by itself, or for each queue of it.
type Host struct {
	h     *host.Host
	name  string
	stack *inet.Stack
	unix  *unix.Domain
	table *table

	faults   *shape.Faults // nil: nothing goes wrong
	names    *Names
	servers  []netip.AddrPort
	search   []string
	resolver Resolver

	mu    sync.Mutex
	links []attached // mu

	recorders []*recorder    // mu; not changed in place
	readers   sync.WaitGroup // goroutines that read links
	closed    bool           // mu

	watchers map[*func()]struct{} // mu: OnChange
}

// attached is a link of a host, and the interface that it is of.
type attached struct {
	link  link.Link
	iface *ip.Iface
	port  port
	index int

	before []port // by which packets left until Wrap, and what was queued there leaves still
}

// port is where packets leave for a link.
type port interface {
	ip.Port
	Close()
}

// NewHost makes a host. It fails if the configuration makes no sense; the links
// in it are the caller's then.
func NewHost(c Config) (*Host, error) {
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	h := &Host{h: host.New(c.Clock), name: c.Name, faults: c.Faults, names: c.Names, servers: slices.Clone(c.NameServers), search: slices.Clone(c.Search)}
	h.resolver.h = h
	if c.Faults != nil {
		c.Faults.Begin(c.Clock.Now)
	}
	var err error
	if c.StandIn && c.Flows == nil {
		return nil, errStandIn
	}
	sockets := socket.NewRegistry(h.h)
	h.stack, err = inet.New(h.h, inet.Config{
		Sockets:    sockets,
		Handler:    h.handler(c.Flows),
		Watcher:    c.Listening,
		Settings:   c.StreamSettings,
		Ended:      tellEnded(c.Ended),
		Foreign:    c.StandIn,
		Capable:    c.capable,
		Forwarding: c.Forward,
		Congestion: c.Congestion,
		TCP:        (*tcp.Settings)(c.TCP),
		SCTP:       c.SCTP.settings(),
		Seed:       c.Seed,
		Faults:     streamFaults(&c),
	})
	if err != nil {
		return nil, fmt.Errorf("usock: %w", err)
	}
	h.unix = unix.New(unix.Config{
		Sockets: sockets,
		Cred:    unix.Cred(c.cred()), Capable: c.capable, Random: h.stack.Random(),
	})
	h.table = protocols(h.stack, h.unix)
	if err := h.addLoopback(c.Loopback); err != nil {
		return nil, err
	}
	for _, i := range c.Interfaces {
		if err := h.AddInterface(i); err != nil {
			h.Close()
			return nil, err
		}
	}
	return h, nil
}

// Name returns the host's name, as given in its Config.
func (h *Host) Name() string { return h.name }

func (h *Host) addLoopback(wrap func(link.Link) link.Link) error {
	c := ip.IfaceConfig{Name: "lo", Loopback: true}
	if wrap == nil {
		h.h.Enter()
		h.stack.IP.AddIface(c)
		h.h.Leave()
		return nil
	}
	_, err := h.attach(wrap(link.Loopback()), c)
	return err
}

// AddInterface gives the host a link. Its addresses and routes are in force when
// AddInterface returns. If one of them makes no sense, the link is taken away again, and closed.
// Errors besides those of AddAddr and AddRoute: EEXIST if the host has an interface of that name,
// EBADF if it is closed.
func (h *Host) AddInterface(i Interface) error {
	if i.Link == nil {
		return errors.New("usock: interface without link")
	}
	info := i.Link.Info()
	if info.Medium != link.IP {
		return fmt.Errorf("usock: link %s carries Ethernet frames: a host takes IP links", info.Name)
	}
	ifc, err := h.attach(i.Link, ip.IfaceConfig{Name: info.Name})
	if err != nil {
		return err
	}
	err = h.locked(func() error {
		for _, a := range i.Addrs {
			if err := h.stack.IP.AddAddr(ifc, a); err != nil {
				return fmt.Errorf("usock: address %v on %s: %w", a, info.Name, err)
			}
		}
		for _, r := range i.Routes {
			if err := h.stack.IP.AddRoute(ip.Route{Dst: r.Dst, Via: r.Via, Iface: ifc}); err != nil {
				return fmt.Errorf("usock: route to %v on %s: %w", r.Dst, info.Name, err)
			}
		}
		h.stack.AddrsChanged()
		return nil
	})
	if err != nil {
		h.detach(func(a attached) bool { return a.iface == ifc })
		return err
	}
	h.tellChange()
	return nil
}

// RemoveInterface takes an interface away with its addresses, routes and memberships, and closes
// its link. Connections from its addresses find no way any more. Packets that are on their way
// to the link or from it may still pass. Errors: ENODEV if there is no such interface, EOPNOTSUPP
// of the loopback interface, EBADF if the host is closed, or the link's own from Close.
func (h *Host) RemoveInterface(name string) error {
	h.h.Enter()
	i := h.stack.IP.IfaceByName(name)
	h.h.Leave()
	switch {
	case i == nil:
		return syscall.ENODEV
	case i.Flags()&ip.FlagLoopback != 0:
		return syscall.EOPNOTSUPP
	}
	err := h.detach(func(a attached) bool { return a.iface == i })
	h.tellChange()
	return err
}

// named reports whether there is an interface of the name.
func (h *Host) named(name string) bool {
	h.h.Enter()
	defer h.h.Leave()
	return h.stack.IP.IfaceByName(name) != nil
}

// detach undoes attach for the link that which reports.
func (h *Host) detach(which func(attached) bool) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return syscall.EBADF
	}
	at := slices.IndexFunc(h.links, which)
	if at < 0 {
		h.mu.Unlock()
		return syscall.ENODEV
	}
	a := h.links[at]
	h.links = slices.Delete(h.links, at, at+1)
	h.mu.Unlock()

	h.h.Enter()
	h.stack.IP.RemoveIface(a.iface)
	h.stack.AddrsChanged()
	h.h.Leave()
	a.closePorts()
	return a.link.Close()
}

// attach makes an interface of a link and has its packets delivered.
func (h *Host) attach(l link.Link, c ip.IfaceConfig) (*ip.Iface, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, syscall.EBADF
	}
	info := l.Info()
	if info.MTU < 68 {
		return nil, fmt.Errorf("usock: link %s: MTU %d is below 68 (RFC 791)", info.Name, info.MTU)
	}
	if h.named(c.Name) {
		return nil, fmt.Errorf("usock: interface %s: %w", c.Name, syscall.EEXIST)
	}
	c.MTU, c.Checksum, c.CRC32c, c.Segments = info.MTU, info.Checksum, info.CRC32c, info.Segments
	link.UseClock(l, h.h.Clock())
	if n, ok := neighbourly(l).(link.NeighbourNotifier); ok {
		n.NotifyNeighbours(h.tellChange)
	}
	queues := []link.Queue{l}
	var out port
	parallel, _ := l.(link.Parallel)
	c.Cuts = parallel != nil
	if h.h.Alone() {
		parallel = nil
	}
	if parallel != nil {
		out = h.flows(parallel)
	} else if c.Cuts {
		out = h.stack.IP.NewPort(l, info.Segments, info.Checksum)
	} else if q, ok := l.(link.Queued); ok {
		queues = q.Queues()
		out = h.spread(q)
	} else {
		out = h.h.NewPort(l)
	}
	c.Out = out
	h.h.Enter()
	ifc := h.stack.IP.AddIface(c)
	h.h.Leave()
	link.UseTakers(l, h.takers(ifc))
	h.links = append(h.links, attached{link: l, iface: ifc, port: out, index: ifc.Index()})
	for _, r := range h.recorders {
		r.attach(ifc, l)
	}
	input := func(batch []*packet.Packet) { h.stack.IP.Input(ifc, batch) }
	if h.deliver(l, input) {
		return ifc, nil
	}
	for _, q := range queues {
		h.readers.Go(func() { receive(q, input) })
	}
	return ifc, nil
}

// deliver has the packets of a link that hands them over itself go to input; false: it does not.
func (h *Host) deliver(l link.Link, input func([]*packet.Packet)) bool {
	if p, ok := l.(link.Parallel); ok && !h.h.Alone() {
		p.DeliverFlows(input)
		return true
	}
	d, ok := l.(link.Direct)
	if ok {
		d.Deliver(input)
	}
	return ok
}

// spread returns the port of a link with several queues: a relay for each, so that they are sent to side by side.
func (h *Host) spread(l link.Queued) *relay.Spread {
	s := &relay.Spread{Choose: l.QueueOf}
	for _, q := range l.Queues() {
		s.To = append(s.To, h.h.NewPort(q))
	}
	return s
}

// flows returns the port of a link through which flows pass side by side: as many relays as there are lanes.
func (h *Host) flows(l link.Parallel) *relay.Spread {
	n, i := h.h.Lanes(), l.Info()
	s := &relay.Spread{Choose: func(p *packet.Packet) int { return int(l.Flow(p) % uint64(n)) }}
	for range n {
		s.To = append(s.To, h.stack.IP.NewPort(sendFlow{l}, i.Segments, i.Checksum))
	}
	return s
}

// sendFlow is the relays' end of such a link.
type sendFlow struct{ link.Parallel }

// Send implements relay.Sender.
func (s sendFlow) Send(batch []*packet.Packet) int { return s.SendFlow(batch) }

// receive hands on what comes by a queue, until that ends.
func receive(q link.Queue, input func([]*packet.Packet)) {
	batch := make([]*packet.Packet, 64)
	for {
		n, err := q.Recv(batch)
		if err != nil {
			return
		}
		input(batch[:n])
		clear(batch[:n])
	}
}

// Socket makes a socket (socket(2)). typ may hold SOCK_NONBLOCK; SOCK_CLOEXEC is
// ignored. protocol 0 is the type's default. Errors: EAFNOSUPPORT, EINVAL,
// ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPERM.
func (h *Host) Socket(domain, typ, protocol int) (*Socket, error) {
	return h.SocketFor(0, domain, typ, protocol)
}

// SocketFor is Socket on behalf of a process (Socket.SetOwner).
func (h *Host) SocketFor(pid int32, domain, typ, protocol int) (*Socket, error) {
	if err := h.socketFault(pid, domain, typ, protocol); err != nil {
		return nil, err
	}
	in, err := h.open(domain, typ, protocol)
	if err != nil {
		return nil, err
	}
	if pid != 0 {
		in.SetOwner(pid)
	}
	return &Socket{in, h}, nil
}

func (h *Host) open(domain, typ, protocol int) (*socket.Socket, error) {
	c, err := h.table.lookup(domain, typ&^(abi.SOCK_NONBLOCK|abi.SOCK_CLOEXEC), protocol)
	if err != nil {
		return nil, err
	}
	d := h.stack.DomainFor(c.proto)
	d.Enter()
	defer d.Leave()
	if d.Closed() {
		return nil, syscall.ENETDOWN
	}
	s := h.stack.NewSocketIn(d, c.proto, c.domain, c.typ, c.protocol)
	if err := c.proto.Attach(s); err != nil {
		h.stack.Forget(s)
		return nil, err
	}
	if typ&abi.SOCK_NONBLOCK != 0 {
		s.InitNonblock()
	}
	return s, nil
}

// Addrs returns the host's addresses, the loopback ones included.
func (h *Host) Addrs() []netip.Prefix {
	h.h.Enter()
	defer h.h.Leave()
	var out []netip.Prefix
	for _, i := range h.stack.IP.Ifaces() {
		if i != nil {
			out = append(out, i.Addrs()...)
		}
	}
	return out
}

// Close ends the host: every socket, timer and link. Calls that wait fail with
// EBADF. Peers hear nothing more, as when a machine loses its power; close the
// sockets first to end connections in order. Close waits for the goroutines that read links (link.TUN):
// a function that the host calls, which may be one of them, must not call it where there are any.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return syscall.EBADF
	}
	h.closed = true
	links := h.links
	h.mu.Unlock()
	h.h.Enter()
	h.stack.Close()
	h.h.Close()
	h.h.Leave()
	var err error
	for _, l := range links {
		err = errors.Join(err, l.link.Close())
	}
	h.readers.Wait()
	return err
}
