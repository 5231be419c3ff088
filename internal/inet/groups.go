package inet

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/socket"
)

// wantsGroup reports whether a multicast datagram is for the socket: it has joined
// the group, or takes those of any (IP_MULTICAST_ALL).
func (d *dgram) wantsGroup(m *ip.Meta) bool {
	if !m.Dst.IsMulticast() {
		return true
	}
	o := d.ip()
	for k := range o.groups {
		if g := &o.groups[k]; g.group == m.Dst && g.iface == m.Iface {
			return g.Allows(m.Src)
		}
	}
	if m.Dst.Is4() {
		return o.mcastAll
	}
	return o.mcastAll6
}

// leaveAll leaves the groups that the socket has joined.
func (d *dgram) leaveAll() {
	for _, g := range d.ip().groups {
		d.stack.IP.Leave(g.iface, g.group, &g.Filter)
	}
	if d.opts != nil {
		d.opts.groups = nil
	}
}

func holder(s *socket.Socket) *dgram {
	return s.PCB.(interface{ base() *dgram }).base()
}

func (d *dgram) base() *dgram { return d }

// What a socket may have of memberships: of IPv4 so many (net.ipv4.igmp_max_memberships), of both
// families what fits the memory that Linux grants a socket beside its buffers
// (net.core.optmem_max) by the sizes of its structures, ip_mc_socklist, ipv6_mc_socklist,
// ip_sf_socklist and ip6_sf_socklist.
const (
	maxMemberships4 = 20
	maxOptionMemory = 128 << 10

	memberCost4, memberCost6 = 48, 56
	filterCost               = 24
	sourceCost4, sourceCost6 = 4, 16
	sourceBlock              = 10 // sources that a filter grows by
)

func memberCost(group netip.Addr) int {
	if group.Is4() {
		return memberCost4
	}
	return memberCost6
}

// listCost returns what room for n sources costs.
func listCost(group netip.Addr, n int) int {
	switch {
	case n == 0:
		return 0
	case group.Is4():
		return filterCost + n*sourceCost4
	}
	return filterCost + n*sourceCost6
}

// affords reports whether the socket may hold n bytes more.
func (d *dgram) affords(n int) bool {
	for _, g := range d.ip().groups {
		n += memberCost(g.group) + listCost(g.group, g.room)
	}
	return n < maxOptionMemory
}

// mayJoin refuses one membership too many, with the family's errno (Linux, ip_mc_join_group,
// ipv6_sock_mc_join).
func (d *dgram) mayJoin(group netip.Addr) error {
	if !group.Is4() {
		if !d.affords(memberCost6) {
			return syscall.ENOMEM
		}
		return nil
	}
	n := 0
	for _, g := range d.ip().groups {
		if g.group.Is4() {
			n++
		}
	}
	if n >= maxMemberships4 || !d.affords(memberCost4) {
		return syscall.ENOBUFS
	}
	return nil
}

// join adds a membership (IP_ADD_MEMBERSHIP). EADDRINUSE if there is one, ENOBUFS or ENOMEM if the
// socket has too many.
func (d *dgram) join(group netip.Addr, i *ip.Iface, f *ip.Filter) error {
	if d.member(group, i) != nil {
		return syscall.EADDRINUSE
	}
	if err := d.mayJoin(group); err != nil {
		return err
	}
	if err := d.stack.IP.Join(i, group, f); err != nil {
		return err
	}
	o := d.own()
	o.groups = append(o.groups[:len(o.groups):len(o.groups)], membership{group, i, *f, 0})
	return nil
}

// leave drops a membership; a nil interface stands for any.
func (d *dgram) leave(group netip.Addr, i *ip.Iface) error {
	for k, g := range d.ip().groups {
		if g.group == group && (i == nil || g.iface == i) {
			o := d.own()
			o.groups = append(o.groups[:k:k], o.groups[k+1:]...)
			return d.stack.IP.Leave(g.iface, group, &g.Filter)
		}
	}
	return syscall.EADDRNOTAVAIL
}

// leaveGroup drops the membership on the interface that is named, or on any.
func (s *Stack) leaveGroup(d *dgram, group netip.Addr, index int, addr netip.Addr) (err error) {
	var i *ip.Iface
	named := index != 0 || addr.IsValid() && !addr.IsUnspecified()
	if group.Is4() && !named {
		// Linux, ip_mc_leave_group: the group must have an interface all the same.
		if _, err := s.groupIface(0, addr, group); err != nil {
			return err
		}
	}
	if named {
		if i, err = s.groupIface(index, addr, group); err != nil {
			return err
		}
	}
	return d.leave(group, i)
}

// groupIface finds the interface that a membership request means: by index, by
// address, or the one that the group is routed to.
func (s *Stack) groupIface(index int, addr, group netip.Addr) (*ip.Iface, error) {
	if index != 0 {
		if i := s.IP.Iface(index); i != nil {
			return i, nil
		}
		return nil, syscall.ENODEV
	}
	if addr.IsValid() && !addr.IsUnspecified() {
		for _, i := range s.IP.Ifaces() {
			if i == nil {
				continue
			}
			for _, a := range i.Addrs() {
				if a.Addr() == addr {
					return i, nil
				}
			}
		}
		return nil, syscall.ENODEV
	}
	p, err := s.path(group, netip.Addr{}, 0)
	if err != nil {
		return nil, syscall.ENODEV
	}
	return p.Iface, nil
}

// parseMreq reads a struct ip_mreq or ip_mreqn.
func parseMreq(v []byte) (group, addr netip.Addr, index int, err error) {
	if len(v) < 8 {
		return group, addr, 0, syscall.EINVAL
	}
	group, addr = netip.AddrFrom4([4]byte(v[:4])), netip.AddrFrom4([4]byte(v[4:8]))
	if len(v) >= 12 {
		index = int(int32(binary.NativeEndian.Uint32(v[8:])))
	}
	if !group.IsMulticast() {
		err = syscall.EINVAL
	}
	return group, addr, index, err
}

// parseMreq6 reads a struct ipv6_mreq.
func parseMreq6(v []byte) (group netip.Addr, index int, err error) {
	if len(v) < 20 {
		return group, 0, syscall.EINVAL
	}
	group = netip.AddrFrom16([16]byte(v[:16]))
	if !group.IsMulticast() {
		err = syscall.EINVAL
	}
	return group, int(int32(binary.NativeEndian.Uint32(v[16:]))), err
}

// groupRows are the options about multicast membership and interfaces.
func groupRows(st *Stack) []socket.Option {
	member := func(level, name int, act func(d *dgram, v []byte) error) socket.Option {
		return socket.Option{Level: level, Name: name, Set: func(s *socket.Socket, v []byte) error {
			return act(holder(s), v)
		}}
	}
	return append(sourceRows(st), []socket.Option{
		member(abi.SOL_IP, abi.IP_ADD_MEMBERSHIP, func(d *dgram, v []byte) error {
			group, addr, index, err := parseMreq(v)
			if err != nil {
				return err
			}
			i, err := st.groupIface(index, addr, group)
			if err != nil {
				return err
			}
			return d.join(group, i, &ip.Filter{})
		}),
		member(abi.SOL_IP, abi.IP_DROP_MEMBERSHIP, func(d *dgram, v []byte) error {
			group, addr, index, err := parseMreq(v)
			if err != nil {
				return err
			}
			return st.leaveGroup(d, group, index, addr)
		}),
		member(abi.SOL_IPV6, abi.IPV6_ADD_MEMBERSHIP, func(d *dgram, v []byte) error {
			group, index, err := parseMreq6(v)
			if err != nil {
				return err
			}
			i, err := st.groupIface(index, netip.Addr{}, group)
			if err != nil {
				return err
			}
			return d.join(group, i, &ip.Filter{})
		}),
		member(abi.SOL_IPV6, abi.IPV6_DROP_MEMBERSHIP, func(d *dgram, v []byte) error {
			group, index, err := parseMreq6(v)
			if err != nil {
				return err
			}
			return st.leaveGroup(d, group, index, netip.Addr{})
		}),
		{
			Level: abi.SOL_IP, Name: abi.IP_MULTICAST_IF,
			Get: func(s *socket.Socket, b []byte) ([]byte, error) {
				a := ipOptionsOf(s).mcastAddr
				if !a.IsValid() {
					a = netip.IPv4Unspecified()
				}
				v := a.As4()
				return append(b, v[:]...), nil
			},
			Set: func(s *socket.Socket, v []byte) error { return st.setMulticastIf(s, v) },
		},
		socket.IntOption(abi.SOL_IPV6, abi.IPV6_MULTICAST_IF,
			func(s *socket.Socket) int { return int(ipOptionsOf(s).mcastIf6) },
			func(s *socket.Socket, v int) error {
				if v != 0 && st.IP.Iface(v) == nil {
					return syscall.ENODEV
				}
				if v != 0 && s.Opt.Device != 0 && int(s.Opt.Device) != v {
					return syscall.EINVAL
				}
				ownIPOptionsOf(s).mcastIf6 = int32(v)
				holder(s).rerouted()
				return nil
			}),
	}...)
}

// setMulticastIf is IP_MULTICAST_IF, of a struct in_addr, ip_mreq or ip_mreqn.
func (s *Stack) setMulticastIf(k *socket.Socket, v []byte) error {
	if len(v) < 4 {
		return syscall.EINVAL
	}
	addr, index := netip.AddrFrom4([4]byte(v[:4])), 0
	if len(v) >= 8 {
		addr = netip.AddrFrom4([4]byte(v[4:8]))
	}
	if len(v) >= 12 {
		index = int(int32(binary.NativeEndian.Uint32(v[8:])))
	}
	o := ownIPOptionsOf(k)
	holder(k).rerouted()
	if index == 0 && addr.IsUnspecified() {
		o.mcastIf, o.mcastAddr = 0, netip.Addr{}
		return nil
	}
	i, err := s.groupIface(index, addr, netip.Addr{})
	if err != nil {
		return syscall.EADDRNOTAVAIL
	}
	if k.Opt.Device != 0 && int(k.Opt.Device) != i.Index() {
		return syscall.EINVAL
	}
	o.mcastIf, o.mcastAddr = int32(i.Index()), addr
	return nil
}
