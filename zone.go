package usock

import (
	"net/netip"
	"strconv"
)

// inet returns the socket address of ap, of an IPv4-mapped one the IPv4 address. A zone is
// the name or the index of one of the host's interfaces (RFC 4007 §11.2); one that is
// neither is left out.
func (h *Host) inet(ap netip.AddrPort) Addr {
	a := Inet(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
	if zone := ap.Addr().Zone(); zone != "" {
		a.Scope = uint32(h.zoneIndex(zone))
	}
	return a
}

// zoneIndex returns the index of the interface that a zone names; 0: of none.
func (h *Host) zoneIndex(zone string) int {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 31); err == nil {
		return int(n)
	}
	return h.interfaceIndex(zone)
}

// interfaceIndex returns the index of the interface with the name; 0: there is none.
func (h *Host) interfaceIndex(name string) int {
	h.h.Enter()
	defer h.h.Leave()
	if i := h.stack.IP.IfaceByName(name); i != nil {
		return i.Index()
	}
	return 0
}
