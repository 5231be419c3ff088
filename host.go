package usock

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"usock/internal/abi"
	"usock/internal/host"
	"usock/internal/inet"
	"usock/internal/ip"
	"usock/internal/pkt"
	"usock/internal/socket"
	"usock/internal/unix"
	"usock/link"
)

// Host is a network host: its interfaces, addresses and routes, its ports, and
// the sockets that were made on it. It has no goroutine of its own but one for
// each link that cannot deliver by itself.
type Host struct {
	h     *host.Host
	name  string
	stack *inet.Stack
	unix  *unix.Domain
	table *table

	names    *Names
	servers  []netip.AddrPort
	search   []string
	resolver Resolver

	mu      sync.Mutex
	links   []link.Link    // mu
	readers sync.WaitGroup // goroutines that read links
	closed  bool           // mu

	watchers map[*func()]struct{} // mu: OnChange
}

// NewHost makes a host. It fails if the configuration makes no sense; the links
// in it are the caller's then.
func NewHost(c Config) (*Host, error) {
	clock := c.Clock
	if clock == nil {
		clock = host.System()
	}
	h := &Host{h: host.New(clock), name: c.Name, names: c.Names, servers: slices.Clone(c.NameServers), search: slices.Clone(c.Search)}
	h.resolver.h = h
	var err error
	if c.StandIn && c.Flows == nil {
		return nil, errStandIn
	}
	h.stack, err = inet.New(h.h, inet.Config{
		Handler:    h.handler(c.Flows),
		Watcher:    c.Listening,
		Settings:   c.StreamSettings,
		Foreign:    c.StandIn,
		Capable:    c.capable,
		Forwarding: c.Forward,
		Congestion: c.Congestion,
		TCP:        c.TCP,
	})
	if err != nil {
		return nil, fmt.Errorf("usock: %w", err)
	}
	h.unix = unix.New(unix.Config{
		New: h.stack.NewSocket, Forget: h.stack.Forget,
		Cred: c.cred(), Capable: c.capable,
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
// AddInterface returns.
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
	defer h.tellChange()
	return h.locked(func() error {
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
		return nil
	})
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
	c.MTU, c.Checksum, c.Segments = info.MTU, info.Checksum, info.Segments
	c.Out = h.h.NewPort(l)
	h.h.Enter()
	ifc := h.stack.IP.AddIface(c)
	h.h.Leave()
	h.links = append(h.links, l)
	input := func(batch []*pkt.Packet) {
		h.h.Enter()
		h.stack.IP.Input(ifc, batch)
		h.h.Leave()
	}
	if d, ok := l.(link.Direct); ok {
		d.Deliver(input)
		return ifc, nil
	}
	h.readers.Add(1)
	go func() {
		defer h.readers.Done()
		batch := make([]*pkt.Packet, 64)
		for {
			n, err := l.Recv(batch)
			if err != nil {
				return
			}
			input(batch[:n])
			clear(batch[:n])
		}
	}()
	return ifc, nil
}

// Socket makes a socket (socket(2)). typ may hold SOCK_NONBLOCK; SOCK_CLOEXEC is
// ignored. protocol 0 is the type's default. Errors: EAFNOSUPPORT, EINVAL,
// ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPERM.
func (h *Host) Socket(domain, typ, protocol int) (*Socket, error) {
	in, err := h.open(domain, typ, protocol)
	if err != nil {
		return nil, err
	}
	return &Socket{in, h}, nil
}

func (h *Host) open(domain, typ, protocol int) (*socket.Socket, error) {
	c, err := h.table.lookup(domain, typ&^(abi.SOCK_NONBLOCK|abi.SOCK_CLOEXEC), protocol)
	if err != nil {
		return nil, err
	}
	h.h.Enter()
	defer h.h.Leave()
	if h.h.Closed() {
		return nil, syscall.ENETDOWN
	}
	s := h.stack.NewSocket(c.proto, c.domain, c.typ, c.protocol)
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
// sockets first to end connections in order.
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
		err = errors.Join(err, l.Close())
	}
	h.readers.Wait()
	return err
}
