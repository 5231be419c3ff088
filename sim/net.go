package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"usock"
	"usock/clock"
	"usock/link"
	"usock/shape"
)

// TB is the part of testing.TB that a network needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Net is a network: first it is described with Host, Router and Link, then
// started.
type Net struct {
	t       TB
	seed    uint64
	hosts   []*Host
	links   []*Link
	started bool
	ports   uint16
	faults  []shape.Fault

	clock    clock.Clock
	manual   *clock.Manual     // the clock, if it is one
	programs []func() Progress // in manual time
	driving  bool              // time passes
}

// New returns an empty network. It is closed when the test ends.
func New(t TB, seed uint64) *Net {
	n := &Net{t: t, seed: seed, ports: 10000, clock: clock.System()}
	t.Cleanup(n.Close)
	tellSeed(t, seed)
	return n
}

// Host is a host of a network. Its usock host exists once the network was started.
type Host struct {
	*usock.Host

	// Config is what the host is made with, to be changed before the network is
	// started. Name, Interfaces and Forward are filled in, and Clock and Seed where they are
	// not set.
	Config usock.Config

	name  string
	net   *Net
	links []*Link
}

// Host adds a host.
func (n *Net) Host(name string) *Host {
	h := &Host{name: name, net: n}
	h.Config.Privileged = true
	n.hosts = append(n.hosts, h)
	return h
}

// Router adds a host that passes packets on between its links.
func (n *Net) Router(name string) *Host {
	h := n.Host(name)
	h.Config.Forward = true
	return h
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Addr returns the host's IPv4 address on its first link.
func (h *Host) Addr() netip.Addr { return h.links[0].addr4(h) }

// Addr6 returns the host's IPv6 address on its first link.
func (h *Host) Addr6() netip.Addr { return h.links[0].addr6(h) }

// Start makes the hosts with their links, addresses, and the shortest routes to
// all networks.
func (n *Net) Start() {
	n.t.Helper()
	if n.started {
		n.t.Fatalf("sim: started twice")
	}
	n.started = true
	for _, l := range n.links {
		if err := l.open(); err != nil {
			n.t.Fatalf("sim: link %s: %v", l.name(), err)
		}
	}
	var faults *shape.Faults
	if len(n.faults) > 0 {
		faults = shape.NewFaults(n.seed, n.faults...)
	}
	names := n.names()
	random := rand.New(rand.NewPCG(n.seed, 1))
	for _, h := range n.hosts {
		c := h.Config
		c.Name = h.name
		if c.Names == nil {
			c.Names = names
		}
		if c.Clock == nil {
			c.Clock = n.clock
		}
		if seed := random.Uint64(); c.Seed == 0 {
			c.Seed = seed | 1
		}
		if c.Faults == nil {
			c.Faults = faults
		}
		c.Interfaces = h.interfaces()
		var err error
		if h.Host, err = usock.NewHost(c); err != nil {
			n.t.Fatalf("sim: host %s: %v", h.name, err)
		}
	}
}

// Close ends all hosts and links, as a loss of power does.
func (n *Net) Close() {
	for _, h := range n.hosts {
		if h.Host != nil {
			h.Host.Close()
			h.Host = nil
		}
	}
	for _, l := range n.links {
		l.close()
	}
	n.links = nil
}

// interfaces returns the host's links with addresses and routes.
func (h *Host) interfaces() []usock.Interface {
	via := h.firstHops()
	out := make([]usock.Interface, len(h.links))
	for i, l := range h.links {
		out[i] = usock.Interface{
			Link: l.end(h),
			Addrs: []netip.Prefix{
				netip.PrefixFrom(l.addr4(h), 24),
				netip.PrefixFrom(l.addr6(h), 64),
			},
		}
	}
	for _, l := range h.net.links {
		first, ok := via[l]
		if !ok {
			continue
		}
		for i, own := range h.links {
			if own != first {
				continue
			}
			peer := own.other(h)
			out[i].Routes = append(out[i].Routes,
				usock.Route{Dst: netip.PrefixFrom(l.addr4(l.a), 24).Masked(), Via: own.addr4(peer)},
				usock.Route{Dst: netip.PrefixFrom(l.addr6(l.a), 64).Masked(), Via: own.addr6(peer)})
		}
	}
	return out
}

// firstHops returns, for each link that the host is not on but reaches, the link
// of the host that begins a shortest way there.
func (h *Host) firstHops() map[*Link]*Link {
	via := map[*Link]*Link{}
	first := map[*Host]*Link{h: nil}
	for queue := []*Host{h}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != h && !at.Config.Forward {
			continue
		}
		for _, l := range at.links {
			if at != h && via[l] == nil && l.a != h && l.b != h {
				via[l] = first[at]
			}
			next := l.other(at)
			if _, seen := first[next]; !seen {
				first[next] = first[at]
				if at == h {
					first[next] = l
				}
				queue = append(queue, next)
			}
		}
	}
	return via
}

// port returns a port for a flow's listener.
func (n *Net) port() uint16 {
	n.ports++
	return n.ports
}

// addr4 returns the host's address on the link: link k is network 10.k.k.0/24.
func (l *Link) addr4(h *Host) netip.Addr {
	b := [4]byte{10}
	binary.BigEndian.PutUint16(b[1:], uint16(l.index))
	b[3] = l.side(h)
	return netip.AddrFrom4(b)
}

func (l *Link) addr6(h *Host) netip.Addr {
	b := [16]byte{0: 0xfd, 15: l.side(h)}
	binary.BigEndian.PutUint16(b[6:], uint16(l.index))
	return netip.AddrFrom16(b)
}

func (l *Link) side(h *Host) byte {
	if h == l.a {
		return 1
	}
	return 2
}

func (l *Link) other(h *Host) *Host {
	if h == l.a {
		return l.b
	}
	return l.a
}

func (l *Link) end(h *Host) link.Link {
	if h == l.a {
		return l.ends[0]
	}
	return l.ends[1]
}
