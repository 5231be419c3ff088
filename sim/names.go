package sim

import (
	"net/netip"

	"usock"
)

// names is the table by which the network's hosts know each other. The address on a host's
// first link comes first.
func (n *Net) names() *usock.Names {
	table := new(usock.Names)
	for _, h := range n.hosts {
		var addrs []netip.Addr
		for _, l := range h.links {
			addrs = append(addrs, l.addr4(h), l.addr6(h))
		}
		table.Set(h.name, addrs...)
	}
	return table
}
