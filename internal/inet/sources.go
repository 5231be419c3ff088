package inet

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
)

// Source filters of multicast memberships (RFC 3678): the same list is changed by a source
// at a time, with structures of IPv4 or of any family, or set as a whole.

// The most sources of one filter (net.ipv4.igmp_max_msf, net.ipv6.mld_max_msf).
const (
	maxSources4 = 10
	maxSources6 = 64
)

// Lengths of the structures (include/uapi/linux/in.h).
const (
	mreqSourceLen  = 12
	msfilterLen    = 16
	storageLen     = 128
	groupReqLen    = 8 + storageLen
	groupSourceLen = groupReqLen + storageLen
	groupFilterLen = groupReqLen + 8

	filterExclude, filterInclude = 0, 1
)

// member finds the membership in a group on an interface.
func (d *dgram) member(group netip.Addr, i *ip.Iface) *membership {
	if d.opts == nil {
		return nil
	}
	for k := range d.opts.groups {
		if g := &d.opts.groups[k]; g.group == group && g.iface == i {
			return g
		}
	}
	return nil
}

// filter replaces the filter of a membership, which now has room for so many sources.
func (d *dgram) filter(g *membership, f ip.Filter, room int) {
	d.stack.IP.Leave(g.iface, g.group, &g.Filter)
	d.stack.IP.Join(g.iface, g.group, &f)
	g.Filter, g.room = f, room
}

// source is one source of a group to be included or excluded, or no longer.
type source struct {
	group, addr netip.Addr
	iface       *ip.Iface
	include     bool
	add         bool
}

// change carries out a request about one source. The first that is included joins, the
// last one that is taken away leaves. A filter that had sources keeps its mode, also when
// it has none any more (Linux, ip_mc_source).
func (d *dgram) change(c source) error {
	if !c.group.IsMulticast() {
		return syscall.EINVAL
	}
	if c.include && c.add {
		if err := d.join(c.group, c.iface, &ip.Filter{Include: true}); err != nil && err != syscall.EADDRINUSE {
			return err
		}
	}
	g := d.member(c.group, c.iface)
	if g == nil || g.Include != c.include && g.Sources != nil {
		return syscall.EINVAL
	}
	f := ip.Filter{Include: c.include, Sources: slices.Clone(g.Sources)}
	at, room := slices.Index(f.Sources, c.addr), g.room
	if c.add && len(f.Sources) == room {
		room += sourceBlock
	}
	switch {
	case !c.add && at < 0, c.add && at >= 0:
		d.filter(g, f, g.room) // the mode has changed all the same
		return syscall.EADDRNOTAVAIL
	case c.add && len(f.Sources) >= maxSources(c.group),
		room > g.room && !d.affords(listCost(c.group, room)): // beside the one that it replaces
		return syscall.ENOBUFS
	case c.add:
		f.Sources = append(f.Sources, c.addr)
	case c.include && len(f.Sources) == 1:
		return d.leave(c.group, c.iface)
	default:
		f.Sources = slices.Delete(f.Sources, at, at+1)
	}
	d.filter(g, f, room)
	return nil
}

func maxSources(group netip.Addr) int {
	if group.Is4() {
		return maxSources4
	}
	return maxSources6
}

// setFilter replaces a whole filter. To include nobody is to leave (Linux,
// ip_mc_msfilter).
func (d *dgram) setFilter(group netip.Addr, i *ip.Iface, mode uint32, list []netip.Addr) error {
	if mode == filterInclude && len(list) == 0 {
		return d.leave(group, i)
	}
	g := d.member(group, i)
	if g == nil {
		return syscall.EINVAL
	}
	if len(list) > 0 && !d.affords(listCost(group, len(list))) {
		return syscall.ENOBUFS
	}
	d.filter(g, ip.Filter{Include: mode == filterInclude, Sources: list}, len(list))
	return nil
}

// checkFilter checks what a filter is to be set to, before its interface is looked for.
func checkFilter(group netip.Addr, mode uint32) error {
	if !group.IsMulticast() || mode != filterExclude && mode != filterInclude {
		return syscall.EINVAL
	}
	return nil
}

// fitsOption checks how long the value of a filter is.
func fitsOption(v []byte, least int) error {
	switch {
	case len(v) < least:
		return syscall.EINVAL
	case len(v) > maxOptionMemory:
		return syscall.ENOBUFS
	}
	return nil
}

func modeOf(f *ip.Filter) uint32 {
	if f.Include {
		return filterInclude
	}
	return filterExclude
}

// sourceRow4 is one of the options with a struct ip_mreq_source.
func sourceRow4(st *Stack, name int, include, add bool) socket.Option {
	return socket.Option{Level: abi.SOL_IP, Name: name, Set: func(s *socket.Socket, v []byte) error {
		if len(v) != mreqSourceLen {
			return syscall.EINVAL
		}
		c := source{
			group: netip.AddrFrom4([4]byte(v)), addr: netip.AddrFrom4([4]byte(v[8:])),
			include: include, add: add,
		}
		if !c.group.IsMulticast() {
			return syscall.EINVAL
		}
		var err error
		if c.iface, err = st.groupIface(0, netip.AddrFrom4([4]byte(v[4:])), c.group); err != nil {
			return err
		}
		return holder(s).change(c)
	}}
}

// storage reads a struct sockaddr_storage of an address of the level's family.
func storage(level int, b []byte) (netip.Addr, bool) {
	a, err := abi.ParseAddr(b[:storageLen])
	want := abi.AF_INET
	if level == abi.SOL_IPV6 {
		want = abi.AF_INET6
	}
	return a.IP, err == nil && a.Family == want
}

func appendStorage(b []byte, a netip.Addr) []byte {
	n := len(b)
	b = abi.AppendAddr(b, abi.AddrFrom(netip.AddrPortFrom(a, 0)))
	return append(b, make([]byte, storageLen-(len(b)-n))...)
}

// joinRow is MCAST_JOIN_GROUP or MCAST_LEAVE_GROUP, of a struct group_req.
func joinRow(st *Stack, level, name int) socket.Option {
	return socket.Option{Level: level, Name: name, Set: func(s *socket.Socket, v []byte) error {
		if len(v) < groupReqLen {
			return syscall.EINVAL
		}
		index := int(int32(binary.NativeEndian.Uint32(v)))
		group, ok := storage(level, v[8:])
		switch {
		case !ok && level == abi.SOL_IPV6:
			return syscall.EADDRNOTAVAIL
		case !ok || !group.IsMulticast():
			return syscall.EINVAL
		}
		if name == abi.MCAST_LEAVE_GROUP {
			return st.leaveGroup(holder(s), group, index, netip.Addr{})
		}
		i, err := st.groupIface(index, netip.Addr{}, group)
		if err != nil {
			return err
		}
		return holder(s).join(group, i, &ip.Filter{})
	}}
}

// sourceRow is one of the options with a struct group_source_req.
func sourceRow(st *Stack, level, name int, include, add bool) socket.Option {
	return socket.Option{Level: level, Name: name, Set: func(s *socket.Socket, v []byte) error {
		if len(v) < groupSourceLen || level == abi.SOL_IP && len(v) > groupSourceLen { // Linux, copy_group_source_from_sockptr
			return syscall.EINVAL
		}
		c := source{include: include, add: add}
		var ok, too bool
		c.group, ok = storage(level, v[8:])
		c.addr, too = storage(level, v[groupReqLen:])
		if !ok || !too {
			return syscall.EADDRNOTAVAIL
		}
		if !c.group.IsMulticast() {
			return syscall.EINVAL
		}
		var err error
		if c.iface, err = st.groupIface(int(int32(binary.NativeEndian.Uint32(v))), netip.Addr{}, c.group); err != nil {
			return err
		}
		return holder(s).change(c)
	}}
}

// filterRow4 is IP_MSFILTER, of a struct ip_msfilter.
func filterRow4(st *Stack) socket.Option {
	return socket.Option{
		Level: abi.SOL_IP, Name: abi.IP_MSFILTER,
		Set: func(s *socket.Socket, v []byte) error {
			if err := fitsOption(v, msfilterLen); err != nil {
				return err
			}
			mode, n := binary.NativeEndian.Uint32(v[8:]), binary.NativeEndian.Uint32(v[12:])
			switch {
			case n > maxSources4:
				return syscall.ENOBUFS
			case len(v) < msfilterLen+4*int(n):
				return syscall.EINVAL
			}
			var list []netip.Addr
			for k := range int(n) {
				list = append(list, netip.AddrFrom4([4]byte(v[msfilterLen+4*k:])))
			}
			group := netip.AddrFrom4([4]byte(v))
			if err := checkFilter(group, mode); err != nil {
				return err
			}
			i, err := st.groupIface(0, netip.AddrFrom4([4]byte(v[4:])), group)
			if err != nil {
				return err
			}
			return holder(s).setFilter(group, i, mode, list)
		},
		Ask: func(s *socket.Socket, v []byte) ([]byte, error) {
			if len(v) < msfilterLen || !netip.AddrFrom4([4]byte(v)).IsMulticast() {
				return nil, syscall.EINVAL
			}
			group := netip.AddrFrom4([4]byte(v))
			i, err := st.groupIface(0, netip.AddrFrom4([4]byte(v[4:])), group)
			if err != nil {
				return nil, err
			}
			g := holder(s).member(group, i)
			if g == nil {
				return nil, syscall.EADDRNOTAVAIL
			}
			b := binary.NativeEndian.AppendUint32(slices.Clone(v[:8]), modeOf(&g.Filter))
			b = binary.NativeEndian.AppendUint32(b, uint32(len(g.Sources)))
			for _, a := range g.Sources[:min(uint32(len(g.Sources)), binary.NativeEndian.Uint32(v[12:]))] {
				x := a.As4()
				b = append(b, x[:]...)
			}
			return b, nil
		},
	}
}

// filterRow is MCAST_MSFILTER, of a struct group_filter.
func filterRow(st *Stack, level, most int) socket.Option {
	return socket.Option{
		Level: level, Name: abi.MCAST_MSFILTER,
		Set: func(s *socket.Socket, v []byte) error {
			if err := fitsOption(v, groupFilterLen); err != nil {
				return err
			}
			mode, n := binary.NativeEndian.Uint32(v[groupReqLen:]), binary.NativeEndian.Uint32(v[groupReqLen+4:])
			switch {
			case n > uint32(most):
				return syscall.ENOBUFS
			case len(v) < groupFilterLen+storageLen*int(n):
				return syscall.EINVAL
			}
			group, ok := storage(level, v[8:])
			var list []netip.Addr
			for k := range int(n) {
				a, fits := storage(level, v[groupFilterLen+storageLen*k:])
				list, ok = append(list, a), ok && fits
			}
			if !ok {
				return syscall.EADDRNOTAVAIL
			}
			if err := checkFilter(group, mode); err != nil {
				return err
			}
			i, err := st.groupIface(int(int32(binary.NativeEndian.Uint32(v))), netip.Addr{}, group)
			if err != nil {
				return err
			}
			return holder(s).setFilter(group, i, mode, list)
		},
		Ask: func(s *socket.Socket, v []byte) ([]byte, error) {
			if len(v) < groupFilterLen {
				return nil, syscall.EINVAL
			}
			group, ok := storage(level, v[8:])
			if !ok || !group.IsMulticast() {
				return nil, syscall.EINVAL
			}
			g := holder(s).member(group, st.IP.Iface(int(int32(binary.NativeEndian.Uint32(v)))))
			if g == nil {
				return nil, syscall.EADDRNOTAVAIL
			}
			b := binary.NativeEndian.AppendUint32(slices.Clone(v[:groupReqLen]), modeOf(&g.Filter))
			b = binary.NativeEndian.AppendUint32(b, uint32(len(g.Sources)))
			for _, a := range g.Sources[:min(uint32(len(g.Sources)), binary.NativeEndian.Uint32(v[groupReqLen+4:]))] {
				b = appendStorage(b, a)
			}
			return b, nil
		},
	}
}

// sourceRows are the options about source filters, and those that join a group whose
// address may be of either family.
func sourceRows(st *Stack) []socket.Option {
	rows := []socket.Option{
		sourceRow4(st, abi.IP_ADD_SOURCE_MEMBERSHIP, true, true),
		sourceRow4(st, abi.IP_DROP_SOURCE_MEMBERSHIP, true, false),
		sourceRow4(st, abi.IP_BLOCK_SOURCE, false, true),
		sourceRow4(st, abi.IP_UNBLOCK_SOURCE, false, false),
		filterRow4(st),
		filterRow(st, abi.SOL_IP, maxSources4),
		filterRow(st, abi.SOL_IPV6, maxSources6),
	}
	for _, level := range [...]int{abi.SOL_IP, abi.SOL_IPV6} {
		rows = append(rows,
			joinRow(st, level, abi.MCAST_JOIN_GROUP),
			joinRow(st, level, abi.MCAST_LEAVE_GROUP),
			sourceRow(st, level, abi.MCAST_JOIN_SOURCE_GROUP, true, true),
			sourceRow(st, level, abi.MCAST_LEAVE_SOURCE_GROUP, true, false),
			sourceRow(st, level, abi.MCAST_BLOCK_SOURCE, false, true),
			sourceRow(st, level, abi.MCAST_UNBLOCK_SOURCE, false, false))
	}
	return rows
}
