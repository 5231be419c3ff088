package usock

import (
	"cmp"
	"net/netip"
	"slices"
)

// Which of several addresses of a name to try first: RFC 6724 §6, as far as a host knows:
// rule 1 (avoid unusable destinations), 2 (prefer matching scope), 5 (matching label) and 6
// (higher precedence); the order of the answer otherwise (rule 10).

// policies is the default policy table (RFC 6724 §2.1) for IPv6, longer prefixes first.
var policies = []struct {
	prefix            netip.Prefix
	precedence, label int
}{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/0"), 40, 1},
}

func policyOf(a netip.Addr) (precedence, label int) {
	if a.Unmap().Is4() { // as ::ffff:0:0/96
		return 35, 4
	}
	for _, p := range policies {
		if p.prefix.Contains(a.WithZone("")) {
			return p.precedence, p.label
		}
	}
	return 40, 1
}

// scopeOf is an address's scope (RFC 6724 §3.1): 2 link-local, 14 global.
func scopeOf(a netip.Addr) int {
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return 2
	case a.IsMulticast() && !a.Is4():
		return int(a.As16()[1] & 0xf)
	}
	return 14
}

// candidate is a destination with what the rules compare.
type candidate struct {
	addr                netip.Addr
	usable, scope, same bool
	precedence          int
}

// sorted returns addresses with the best destination first. v4first says that nobody can
// tell whether the one is answered: for datagrams and for listening IPv4 comes first, as
// most servers have that.
func (h *Host) sorted(addrs []netip.Addr, v4first bool) []netip.Addr {
	if len(addrs) == 1 {
		return []netip.Addr{addrs[0].Unmap()}
	}
	list := make([]candidate, len(addrs))
	for i, a := range addrs {
		c := candidate{addr: a.Unmap()}
		var label int
		c.precedence, label = policyOf(c.addr)
		if p, err := h.Path(c.addr.WithZone(""), netip.Addr{}, h.zoneIndex(c.addr.Zone())); err == nil {
			_, from := policyOf(p.Src)
			c.usable, c.scope, c.same = true, scopeOf(p.Src) == scopeOf(c.addr), from == label
		}
		list[i] = c
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		if v4first {
			return cmp.Or(yes(a.usable, b.usable), yes(a.addr.Is4(), b.addr.Is4()))
		}
		return cmp.Or(yes(a.usable, b.usable), yes(a.scope, b.scope), yes(a.same, b.same), b.precedence-a.precedence)
	})
	out := make([]netip.Addr, len(list))
	for i, c := range list {
		out[i] = c.addr
	}
	return out
}

// yes orders what holds before what does not.
func yes(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
