package usock

import (
	"net"
	"net/netip"
	"syscall"

	"usock/link"
)

// NeighbourInfo is a row of a host's table of neighbours.
type NeighbourInfo struct {
	link.Neighbour
	Interface int // the index of the interface that it is reached through
}

// Neighbours lists what the host's links know of the addresses on their networks, interface by
// interface. Links without hardware addresses, such as pipes, have no neighbours; those that
// link.Frames has made do, also inside of a link.Wrapper.
func (h *Host) Neighbours() []NeighbourInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []NeighbourInfo
	for _, a := range h.links {
		l := neighbourly(a.link)
		if l == nil {
			continue
		}
		for _, n := range l.Neighbours() {
			out = append(out, NeighbourInfo{n, a.index})
		}
	}
	return out
}

// AddNeighbour notes where an address on the network of the interface of that name is, for good.
// Errors: ENODEV if there is no such interface, EOPNOTSUPP if it has no neighbours, EEXIST if
// something is known of the address, EINVAL if it is none that a neighbour can have, ENOBUFS.
func (h *Host) AddNeighbour(iface string, a netip.Addr, address net.HardwareAddr) error {
	return h.withNeighbours(iface, func(l link.Neighbourly) error { return l.AddNeighbour(a, address) })
}

// RemoveNeighbour forgets what is known of an address, added or found. Errors: ENODEV,
// EOPNOTSUPP, and ENOENT if nothing is known of it.
func (h *Host) RemoveNeighbour(iface string, a netip.Addr) error {
	return h.withNeighbours(iface, func(l link.Neighbourly) error { return l.RemoveNeighbour(a) })
}

// withNeighbours changes the neighbours of an interface.
func (h *Host) withNeighbours(name string, f func(link.Neighbourly) error) error {
	h.h.Enter()
	i := h.stack.IP.IfaceByName(name)
	h.h.Leave()
	if i == nil {
		return syscall.ENODEV
	}
	h.mu.Lock()
	var l link.Neighbourly
	for _, a := range h.links {
		if a.iface == i {
			l = neighbourly(a.link)
		}
	}
	h.mu.Unlock()
	if l == nil {
		return syscall.EOPNOTSUPP
	}
	if err := f(l); err != nil {
		return err
	}
	h.tellChange()
	return nil
}

// neighbourly returns l, or what it is a wrapper of, as a link that has neighbours; nil if
// none of them does.
func neighbourly(l link.Link) link.Neighbourly {
	for {
		switch at := l.(type) {
		case link.Neighbourly:
			return at
		case link.Wrapper:
			l = at.Unwrap()
		default:
			return nil
		}
	}
}
