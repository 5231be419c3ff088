package usock

import (
	"maps"
	"net/netip"
	"slices"

	"usock/internal/ip"
)

// InterfaceInfo describes an interface of a host.
type InterfaceInfo struct {
	Index    int // its number, from 1, as sockets name it (IP_PKTINFO, SO_BINDTOIFINDEX)
	Name     string
	MTU      int            // bytes of the largest IP packet
	Loopback bool           // packets to it come back
	Addrs    []netip.Prefix // in the order in which they were added
	Stats    InterfaceStats // since the host was made
}

// InterfaceStats counts the packets that an interface has carried, and the bytes of their IP
// headers and data. Dropped are packets that found a queue full.
type InterfaceStats struct {
	RxPackets, RxBytes, RxErrors, RxDropped uint64
	TxPackets, TxBytes, TxErrors, TxDropped uint64
}

// RouteInfo is a row of a host's routing table.
type RouteInfo struct {
	Route
	Interface int        // its index
	Src       netip.Addr // the source that its packets prefer; the zero Addr: chosen by the rules of RFC 6724
	Metric    int        // of two routes to one Dst the lower one is used
	MTU       int        // 0: the interface's
}

// PathInfo is the way to a destination.
type PathInfo struct {
	Src       netip.Addr // the source address of packets along it
	Via       netip.Addr // the gateway; the zero Addr: the destination is on the link
	Interface int        // its index
	MTU       int        // bytes of the largest packet, as far as that is known
	Local     bool       // it leads to the host itself
	Broadcast bool       // the destination is a broadcast address
}

// Interfaces lists the host's interfaces by their index, the loopback interface first. It
// waits for the host's lock alone; what it returns is the caller's.
func (h *Host) Interfaces() []InterfaceInfo {
	h.h.Enter()
	defer h.h.Leave()
	list := h.stack.IP.Ifaces()
	out := make([]InterfaceInfo, len(list))
	for n, i := range list {
		out[n] = InterfaceInfo{
			Index: i.Index(), Name: i.Name(), MTU: i.MTU(), Loopback: i.Flags()&ip.FlagLoopback != 0,
			Addrs: i.Addrs(), Stats: InterfaceStats(i.Stats()),
		}
	}
	return out
}

// Routes lists the host's routes, those to the networks of its addresses included: IPv4 ones
// first, and longer prefixes before shorter ones. It waits for the host's lock alone.
func (h *Host) Routes() []RouteInfo {
	h.h.Enter()
	defer h.h.Leave()
	list := h.stack.IP.Routes()
	out := make([]RouteInfo, len(list))
	for n, r := range list {
		out[n] = RouteInfo{Route{r.Dst, r.Via}, r.Iface.Index(), r.Src, r.Metric, r.MTU}
	}
	return out
}

// Path finds the way that packets to dst would take: from src, if that is valid, and through
// the interface with the index, if it is not 0. Nothing is sent. Errors are those of a
// connect: ENETUNREACH, EADDRNOTAVAIL, EINVAL, and ENODEV if there is no such interface.
func (h *Host) Path(dst, src netip.Addr, index int) (PathInfo, error) {
	h.h.Enter()
	defer h.h.Leave()
	p, err := h.stack.IP.Route(dst, src, index)
	if err != nil {
		return PathInfo{}, err
	}
	out := PathInfo{Src: p.Src, Interface: p.Iface.Index(), MTU: p.MTU, Local: p.Local, Broadcast: p.Broadcast}
	if p.Next != p.Dst {
		out.Via = p.Next
	}
	return out, nil
}

// OnChange has f called after each change of the host's interfaces, addresses, routes and
// neighbours, until stop is called. f is called by the goroutine that made the change, with no lock
// held, and should not take long. Of two changes at one time the calls may come in either order,
// and one that is under way when stop is called goes on. Neighbours that a link finds, sees move or
// gives up are told of soon afterwards, several with one call, by a goroutine of the link's or the
// one that moves the host's clock; that one was heard of again, or falls silent, is not told
// (link.NeighbourNotifier).
func (h *Host) OnChange(f func()) (stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = make(map[*func()]struct{})
	}
	key := &f
	h.watchers[key] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, key)
	}
}

// tellChange calls what OnChange was given.
func (h *Host) tellChange() {
	h.mu.Lock()
	list := slices.Collect(maps.Keys(h.watchers))
	h.mu.Unlock()
	for _, f := range list {
		(*f)()
	}
}
