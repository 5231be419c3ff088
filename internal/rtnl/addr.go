package rtnl

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
)

// dumpAddrs is RTM_GETADDR of all (net/ipv4/devinet.c, inet_dump_ifaddr; net/ipv6/addrconf.c).
func (s *Session) dumpAddrs(r *request, family uint8) Errno {
	index := 0
	if s.Strict {
		if len(r.body) < sizeIfaddrmsg {
			return s.failList(r, EINVAL)
		}
		a, whole := parseAttrs(r.body[sizeIfaddrmsg:])
		if !whole || !zero(r.body[1:4]) || !a.only() {
			return s.failList(r, EINVAL)
		}
		index = int(int32(binary.NativeEndian.Uint32(r.body[4:])))
	}
	v := s.View()
	if index != 0 && v.Link(index) == nil {
		s.failList(r, ENODEV)
		s.filtered(true, true)
		return 0
	}
	type item struct {
		l *Link
		n int
	}
	var items []item
	for _, f := range familiesOf(family) {
		for i := range v.Links {
			l := &v.Links[i]
			for n, p := range l.Addrs {
				if familyOf(p.Addr()) == f && (index == 0 || index == l.Index) {
					items = append(items, item{l, n})
				}
			}
		}
	}
	s.list(r, len(items), func(i int) (answer, bool) {
		return items[i].l.addrMessage(rtmNewAddr, items[i].n), true
	})
	s.filtered(index != 0, index != 0)
	return 0
}

// familiesOf returns the families that a request for one asks for: one that no protocol has
// is any.
func familiesOf(family uint8) []uint8 {
	switch family {
	case afInet, afInet6:
		return []uint8{family}
	}
	return []uint8{afInet, afInet6}
}

// getAddr is RTM_GETADDR of one, which IPv6 has (inet6_rtm_getaddr).
func (s *Session) getAddr(r *request, family uint8) Errno {
	if family != afInet6 {
		return EOPNOTSUPP
	}
	if len(r.body) < sizeIfaddrmsg {
		return EINVAL
	}
	a, whole := parseAttrs(r.body[sizeIfaddrmsg:])
	if s.Strict && (!whole || !zero(r.body[1:4]) || !a.only(ifaAddress, ifaLocal)) {
		return EINVAL
	}
	addr, ok := a.addr(ifaLocal, family)
	if ok && !addr.IsValid() {
		addr, ok = a.addr(ifaAddress, family)
	}
	switch {
	case !ok:
		return ERANGE
	case !addr.IsValid():
		return EINVAL
	}
	index := int(int32(binary.NativeEndian.Uint32(r.body[4:])))
	v := s.View()
	for i := range v.Links {
		l := &v.Links[i]
		for n, p := range l.Addrs {
			if p.Addr() == addr && (index == 0 || index == l.Index) {
				s.reply(r, l.addrMessage(rtmNewAddr, n))
				return 0
			}
		}
	}
	return EADDRNOTAVAIL
}

// addrMessage describes the link's n-th address (inet_fill_ifaddr, inet6_fill_ifaddr).
func (l *Link) addrMessage(typ uint16, n int) answer {
	p := l.Addrs[n]
	a := p.Addr()
	flags := uint8(ifaPermanent)
	if l.secondary(n) {
		flags |= ifaSecondary
	}
	b := []byte{familyOf(a), uint8(p.Bits()), flags, addrScope(a)}
	b = binary.NativeEndian.AppendUint32(b, uint32(l.Index))
	return answer{typ, withAttrs(b, func(e *netlink.AttributeEncoder) {
		putAddr(e, ifaAddress, a)
		if a.Is4() {
			putAddr(e, ifaLocal, a)
			putAddr(e, ifaBroadcast, l.Broadcast(p))
			e.String(ifaLabel, l.Label())
		}
		cache := binary.NativeEndian.AppendUint32(nil, forever) // preferred, and
		cache = binary.NativeEndian.AppendUint32(cache, forever)
		e.Bytes(ifaCacheinfo, append(cache, make([]byte, 8)...)) // when it was made and changed
		e.Uint32(ifaFlags, uint32(flags))
	})}
}
