package rtnl

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
)

// route answers a request of NETLINK_ROUTE (net/core/rtnetlink.c, rtnetlink_rcv_msg).
func (s *Session) route(r *request) Errno {
	if r.typ > rtmMax {
		return EOPNOTSUPP
	}
	if len(r.body) < sizeRtgenmsg {
		return 0
	}
	family := r.body[0]
	if r.typ&rtmKind != rtmKindGet {
		return EPERM // nobody changes anything by this way
	}
	if r.flags&nlmDump != 0 {
		return s.dumpRoute(r, family)
	}
	switch r.typ {
	case rtmGetLink:
		return s.getLink(r)
	case rtmGetAddr:
		return s.getAddr(r, family)
	case rtmGetRoute:
		return s.getRoute(r, family)
	case rtmGetNeigh:
		return s.getNeigh(r)
	case rtmGetNSID:
		return s.getNSID(r)
	}
	return EOPNOTSUPP
}

// getNSID is RTM_GETNSID: no other namespace has a number here (net_namespace.c,
// rtnl_net_getid).
func (s *Session) getNSID(r *request) Errno {
	a, _ := parseAttrs(r.body[min(align(sizeRtgenmsg), len(r.body)):])
	if a[netnsaPID] == nil && a[netnsaFD] == nil && a[netnsaNSID] == nil {
		return EINVAL
	}
	s.reply(r, answer{rtmNewNSID, withAttrs(make([]byte, align(sizeRtgenmsg)), func(e *netlink.AttributeEncoder) {
		e.Int32(netnsaNSID, noNSID)
	})})
	return 0
}

// dumpRoute begins a dump of NETLINK_ROUTE.
func (s *Session) dumpRoute(r *request, family uint8) Errno {
	bridge := family == afBridge || family == afIPMR || family == afIP6MR // there are none
	switch r.typ {
	case rtmGetLink, rtmGetRoute, rtmGetNeigh:
		switch {
		case bridge:
			return s.list(r, 0, nil)
		case r.typ == rtmGetLink:
			return s.dumpLinks(r)
		case r.typ == rtmGetRoute:
			return s.dumpRoutes(r, family)
		}
		return s.dumpNone(r, sizeNdmsg) // IP links have no neighbours
	case rtmGetAddr:
		return s.dumpAddrs(r, family)
	case rtmGetRule:
		return s.dumpRules(r, family)
	case rtmGetQdisc:
		return s.dumpQdiscs(r)
	case rtmGetTClass, rtmGetTFilter, rtmGetChain, rtmGetNSID, rtmGetNeighTbl, rtmGetNetconf, rtmGetMDB, rtmGetNexthop:
		return s.list(r, 0, nil)
	}
	return EOPNOTSUPP
}

// dumpNone is a dump of what there is none of.
func (s *Session) dumpNone(r *request, size int) Errno {
	if s.Strict && len(r.body) < size {
		return s.failList(r, EINVAL)
	}
	return s.list(r, 0, nil)
}

// dumpQdiscs is RTM_GETQDISC of all: no link has a queue of the kind.
func (s *Session) dumpQdiscs(r *request) Errno {
	links := s.View().Links
	return s.list(r, len(links), func(i int) (answer, bool) {
		b := make([]byte, 4, 20) // struct tcmsg
		for _, v := range []uint32{uint32(links[i].Index), 0, tcRoot, 2} {
			b = binary.NativeEndian.AppendUint32(b, v)
		}
		return answer{rtmNewQdisc, withAttrs(b, func(e *netlink.AttributeEncoder) { e.String(tcaKind, noQueue) })}, true
	})
}

// noQueue is the queueing discipline of a link that has none.
const noQueue = "noqueue"

// getNeigh is RTM_GETNEIGH of one (net/core/neighbour.c, neigh_get).
func (s *Session) getNeigh(r *request) Errno {
	if len(r.body) < sizeNdmsg {
		return EINVAL
	}
	const ndaDst = 1
	if a, _ := parseAttrs(r.body[sizeNdmsg:]); a[ndaDst] == nil {
		return EINVAL
	}
	if index := int(int32(binary.NativeEndian.Uint32(r.body[4:]))); index != 0 && s.View().Link(index) == nil {
		return ENODEV
	}
	return s.fail(ENOENT, "Neighbour entry not found")
}

// dumpRoutes is RTM_GETROUTE of all (net/ipv4/fib_frontend.c, inet_dump_fib and
// ip_valid_fib_dump_req; net/ipv6/ip6_fib.c).
func (s *Session) dumpRoutes(r *request, family uint8) Errno {
	var table, oif uint32
	var proto, typ uint8
	flags := uint32(0)
	if len(r.body) >= sizeRtmsg {
		flags = binary.NativeEndian.Uint32(r.body[8:])
	}
	if s.Strict {
		if len(r.body) < sizeRtmsg {
			return s.failList(r, EINVAL)
		}
		a, whole := parseAttrs(r.body[sizeRtmsg:])
		if !whole || !zero(r.body[1:4]) || r.body[6] != 0 || flags&^(rtmFCloned|rtmFPrefix) != 0 || !a.only(rtaTable, rtaOif) {
			return s.failList(r, EINVAL)
		}
		table, proto, typ = uint32(r.body[4]), r.body[5], r.body[7]
		t, ok1 := a.u32(rtaTable)
		o, ok2 := a.u32(rtaOif)
		if !ok1 || !ok2 {
			return s.failList(r, ERANGE)
		}
		if oif = o; t != 0 {
			table = t
		}
	}
	v := s.View()
	asked := table != 0 || proto != 0 || typ != 0 || oif != 0 || s.Strict && flags&rtmFCloned != 0
	switch {
	case oif != 0 && v.Link(int(oif)) == nil:
		return s.failList(r, ENODEV)
	case s.Strict && flags&rtmFCloned != 0 || flags&rtmFPrefix != 0:
		s.list(r, 0, nil) // there is neither a cache of routes, nor one that a router told of
		s.filtered(false, asked)
		return 0
	case table != 0 && table != tableMain && table != tableLocal && table != tableDefault && family != afUnspec:
		version := "ipv4"
		if family == afInet6 {
			version = "ipv6"
		}
		s.failList(r, s.fail(ENOENT, version+": FIB table does not exist"))
		s.filtered(false, true)
		return 0
	}
	var rows []Route
	for _, f := range familiesOf(family) {
		rows = append(rows, v.table(f)...)
	}
	s.list(r, len(rows), func(i int) (answer, bool) {
		o := &rows[i]
		if table != 0 && table != uint32(o.table) || proto != 0 && proto != o.proto ||
			typ != 0 && typ != o.typ || oif != 0 && int(oif) != o.Link {
			return answer{}, false
		}
		return o.message(rtmNewRoute), true
	})
	s.filtered(asked || s.Strict, asked) // a strict dump leaves out what is cached
	return 0
}

// rtmsg appends a struct rtmsg.
func rtmsg(family uint8, dst, src int, tos, table, proto, scope, typ uint8, flags uint32) []byte {
	return binary.NativeEndian.AppendUint32([]byte{family, uint8(dst), uint8(src), tos, table, proto, scope, typ}, flags)
}

// message describes a row of a table (fib_dump_info, rt6_fill_node).
func (o *Route) message(typ uint16) answer {
	family := familyOf(o.Dst.Addr())
	b := rtmsg(family, o.Dst.Bits(), 0, 0, o.table, o.proto, o.scope, o.typ, 0)
	return answer{typ, withAttrs(b, func(e *netlink.AttributeEncoder) {
		e.Uint32(rtaTable, uint32(o.table))
		if o.Dst.Bits() > 0 {
			putAddr(e, rtaDst, o.Dst.Addr())
		}
		if o.Metric != 0 || family == afInet6 {
			e.Uint32(rtaPriority, uint32(o.Metric))
		}
		putAddr(e, rtaPrefsrc, o.Src)
		putMTU(e, o.MTU)
		putAddr(e, rtaGateway, o.Via)
		e.Uint32(rtaOif, uint32(o.Link))
		if family == afInet6 {
			putCache6(e)
		}
	})}
}

// putMTU encodes a route's metrics, of which there is the MTU.
func putMTU(e *netlink.AttributeEncoder, mtu int) {
	if mtu != 0 {
		e.Nested(rtaMetrics, func(n *netlink.AttributeEncoder) error {
			n.Uint32(rtaxMTU, uint32(mtu))
			return nil
		})
	}
}

// putCache6 encodes what each IPv6 route has: a struct rta_cacheinfo without an end, and
// the preference medium (RFC 4191).
func putCache6(e *netlink.AttributeEncoder) {
	e.Bytes(rtaCache, make([]byte, sizeRtaCache))
	e.Uint8(rtaPref, 0)
}

const sizeRtaCache = 32

// getRoute is RTM_GETROUTE of a destination: what a socket's packets to it would take
// (net/ipv4/route.c, inet_rtm_getroute; net/ipv6/route.c).
func (s *Session) getRoute(r *request, family uint8) Errno {
	if family != afInet && family != afInet6 {
		return EOPNOTSUPP
	}
	if len(r.body) < sizeRtmsg {
		return EINVAL
	}
	a, whole := parseAttrs(r.body[sizeRtmsg:])
	flags := binary.NativeEndian.Uint32(r.body[8:])
	if s.Strict {
		bits := uint8(32)
		if family == afInet6 {
			bits = 128
		}
		d, o := r.body[1], r.body[2]
		if !whole || d != 0 && d != bits || o != 0 && o != bits || !zero(r.body[4:8]) || flags&^(rtmFLookupTable|rtmFFibMatch) != 0 ||
			(a[rtaDst] != nil) != (d != 0) || (a[rtaSrc] != nil) != (o != 0) ||
			!a.only(rtaIif, rtaOif, rtaSrc, rtaDst, rtaMark, rtaUID, rtaSport, rtaDport, rtaIPProto) {
			return EINVAL
		}
	}
	dst, ok1 := a.addr(rtaDst, family)
	src, ok2 := a.addr(rtaSrc, family)
	oif, ok3 := a.u32(rtaOif)
	iif, ok4 := a.u32(rtaIif)
	uid, ok5 := a.u32(rtaUID)
	if a[rtaUID] == nil && s.User != nil {
		uid = s.User()
	}
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return ERANGE
	}
	if !dst.IsValid() {
		dst = netip.IPv4Unspecified()
		if family == afInet6 {
			dst = netip.IPv6Unspecified()
		}
	}
	v := s.View()
	if iif != 0 {
		// What a packet that comes in would take. Nobody forwards one.
		switch l := v.Link(int(iif)); {
		case l == nil:
			return ENODEV
		case l.Loopback:
			return EINVAL
		}
		return EHOSTUNREACH
	}
	if oif != 0 && v.Link(int(oif)) == nil {
		return ENODEV
	}
	p, e := s.Find(Query{dst, src, int(oif)})
	if e != 0 {
		return e
	}
	table := uint8(tableMain) // IPv4 looks local addresses up there, too
	if family == afInet6 && (p.Local || dst.IsMulticast()) {
		table = tableLocal
	}
	if flags&rtmFFibMatch != 0 {
		return s.matched(r, v, dst, &p, table)
	}
	s.reply(r, p.message(family, r.body[3], table, dst, src, uid))
	return 0
}

// matched answers with the row of a table that has decided (RTM_F_FIB_MATCH).
func (s *Session) matched(r *request, v *View, dst netip.Addr, p *Path, table uint8) Errno {
	var best *Route
	rows := v.table(familyOf(dst))
	for i := range rows {
		o := &rows[i]
		if o.Dst.Contains(dst) && o.Link == p.Link && (p.Local || p.Broadcast) == (o.table == tableLocal) &&
			(best == nil || o.Dst.Bits() > best.Dst.Bits()) {
			best = o
		}
	}
	if best == nil {
		return ENETUNREACH
	}
	best.table = table
	s.reply(r, best.message(rtmNewRoute))
	return 0
}

// message describes a path (rt_fill_info, rt6_fill_node).
func (p *Path) message(family, tos, table uint8, dst, src netip.Addr, uid uint32) answer {
	typ, flags := uint8(typeUnicast), uint32(0)
	switch {
	case p.Local:
		typ, flags = typeLocal, rtcfLocal
	case p.Broadcast:
		typ, flags = typeBroadcast, rtcfBroadcast
	case dst.IsMulticast():
		typ, flags = typeMulticast, rtcfMulticast
	}
	if family == afInet6 {
		return p.message6(tos, table, typ, dst, src)
	}
	from := 0
	if src.IsValid() {
		from = src.BitLen()
	}
	b := rtmsg(family, dst.BitLen(), from, tos, table, protoUnspec, scopeUniverse, typ, rtmFCloned|flags)
	return answer{rtmNewRoute, withAttrs(b, func(e *netlink.AttributeEncoder) {
		putAddr(e, rtaDst, dst)
		e.Uint32(rtaTable, uint32(table))
		putAddr(e, rtaSrc, src)
		e.Uint32(rtaOif, uint32(p.Link))
		putAddr(e, rtaGateway, p.Via)
		if p.Src != src {
			putAddr(e, rtaPrefsrc, p.Src)
		}
		putMTU(e, p.MTU)
		e.Uint32(rtaUID, uid)
		e.Bytes(rtaCache, make([]byte, sizeRtaCache))
	})}
}

// message6 is message of an IPv6 path, which is described as a route is.
func (p *Path) message6(tos, table, typ uint8, dst, src netip.Addr) answer {
	proto, metric := uint8(protoStatic), uint32(metricUser6)
	if !p.Via.IsValid() {
		proto, metric = protoKernel, metricKernel6
	}
	if typ == typeLocal {
		metric = 0
	}
	if !src.IsValid() {
		src = netip.IPv6Unspecified()
	}
	b := rtmsg(afInet6, dst.BitLen(), src.BitLen(), tos, table, proto, scopeUniverse, typ, 0)
	return answer{rtmNewRoute, withAttrs(b, func(e *netlink.AttributeEncoder) {
		putAddr(e, rtaDst, dst)
		putAddr(e, rtaSrc, src)
		e.Uint32(rtaTable, uint32(table))
		e.Uint32(rtaOif, uint32(p.Link))
		putAddr(e, rtaGateway, p.Via)
		if p.Src != src {
			putAddr(e, rtaPrefsrc, p.Src)
		}
		putMTU(e, p.MTU)
		e.Uint32(rtaPriority, metric)
		putCache6(e)
	})}
}

// dumpRules is RTM_GETRULE of all: the three that every host begins with, of which IPv6 lacks
// the last (net/core/fib_rules.c).
func (s *Session) dumpRules(r *request, family uint8) Errno {
	if s.Strict && (len(r.body) < sizeRulehdr || !zero(r.body[1:sizeRulehdr]) || len(r.body) > sizeRulehdr) {
		return s.failList(r, EINVAL)
	}
	type rule struct {
		family   uint8
		priority uint32
		table    uint8
	}
	var rules []rule
	for _, f := range familiesOf(family) {
		rules = append(rules, rule{f, 0, tableLocal}, rule{f, 32766, tableMain})
		if f == afInet {
			rules = append(rules, rule{f, 32767, tableDefault})
		}
	}
	return s.list(r, len(rules), func(i int) (answer, bool) {
		o := rules[i]
		b := rtmsg(o.family, 0, 0, 0, o.table, 0, 0, frActTable, 0)
		return answer{rtmNewRule, withAttrs(b, func(e *netlink.AttributeEncoder) {
			e.Uint32(fraTable, uint32(o.table))
			e.Uint32(fraSuppress, forever)
			if o.priority != 0 {
				e.Uint32(fraPriority, o.priority)
			}
		})}, true
	})
}
