package usock

import (
	"slices"
	"syscall"

	"usock/link"
	"usock/packet"
)

// Wrap has an interface use another link from now on, while the host goes on: what wrap makes of its own, such as an impaired or a
// recorded one ([link.Impair], [link.Pcap]). Packets that are on their way to the old link, or from it, may pass by the new one, and
// those to an impaired link that is left are not recorded ([Host.Record]).
// The loopback interface of a host without Config.Loopback has no link, which costs least; wrap is given a [link.Loopback] then.
//
// wrap returns a [link.Direct] around what it is given, and does not call the host. The interface keeps its MTU (SetMTU).
//
// Errors: ENODEV if there is no such interface, EOPNOTSUPP if its link, or what wrap returns, is not Direct (link.TUN is not) or
// carries no IP, EBADF if the host is closed.
func (h *Host) Wrap(name string, wrap func(link.Link) link.Link) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return syscall.EBADF
	}
	h.h.Enter()
	i := h.stack.IP.IfaceByName(name)
	h.h.Leave()
	if i == nil {
		return syscall.ENODEV
	}
	at := slices.IndexFunc(h.links, func(a attached) bool { return a.iface == i })
	own := link.Link(link.Loopback())
	if at >= 0 {
		own = h.links[at].link
	}
	if _, ok := own.(link.Direct); !ok {
		return syscall.EOPNOTSUPP
	}
	input := func(batch []*packet.Packet) { h.stack.IP.Input(i, batch) }
	outer, ok := wrap(own).(link.Direct)
	if !ok || outer.Info().Medium != link.IP {
		h.deliver(own, input)
		return syscall.EOPNOTSUPP
	}
	link.UseClock(outer, h.h.Clock())
	link.UseTakers(outer, h.takers(i))
	info := outer.Info()
	out := h.stack.IP.NewPort(outer, info.Segments, info.Checksum)
	outer.Deliver(input)
	lossy := false
	for _, r := range h.recorders {
		lossy = r.watch(i, outer)
	}
	h.h.Enter()
	i.Rewire(out, info.Checksum, info.CRC32c, info.Segments)
	for _, r := range h.recorders {
		r.leaves(i, lossy)
	}
	h.h.Leave()
	a := attached{link: outer, iface: i, port: out, index: i.Index()}
	if at >= 0 {
		a.before = slices.DeleteFunc(append(h.links[at].before, h.links[at].port), port.Idle)
		h.links[at] = a
	} else {
		h.links = append(h.links, a)
	}
	return nil
}

// SetMTU changes the size of the largest packet of an interface (SIOCSIFMTU of netdevice(7)). Connections keep to it from the next
// segment on. Errors: ENODEV if there is no such interface, EINVAL if mtu is less than 68 (RFC 791), or than 1280 where the interface
// has an address of IPv6 (RFC 8200, section 5), or more than its link carries, EBADF if the host is closed.
func (h *Host) SetMTU(name string, mtu int) error {
	err := h.setMTU(name, mtu)
	if err == nil {
		h.tellChange()
	}
	return err
}

func (h *Host) setMTU(name string, mtu int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return syscall.EBADF
	}
	h.h.Enter()
	defer h.h.Leave()
	i := h.stack.IP.IfaceByName(name)
	if i == nil {
		return syscall.ENODEV
	}
	most := link.Loopback().Info().MTU
	if at := slices.IndexFunc(h.links, func(a attached) bool { return a.iface == i }); at >= 0 {
		most = h.links[at].link.Info().MTU
	}
	least := 68
	for _, a := range i.Addrs() {
		if a.Addr().Is6() {
			least = 1280
		}
	}
	if mtu < least || mtu > most {
		return syscall.EINVAL
	}
	i.SetMTU(mtu)
	return nil
}

// closePorts closes the ports by which packets leave.
func (a *attached) closePorts() {
	a.port.Close()
	for _, p := range a.before {
		p.Close()
	}
}
