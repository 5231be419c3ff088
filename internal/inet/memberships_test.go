package inet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"usock/internal/abi"
	"usock/internal/ip"
)

// The structures of multicast options (include/uapi/linux/in.h, in6.h).
func mreq(group, iface string) []byte { return append(in4(group), in4(iface)...) }

func mreqn(group, iface string, index int) []byte { return append(mreq(group, iface), ints(index)...) }

func mreq6(group string, index int) []byte { return append(in6(group), ints(index)...) }

func mreqSource(group, iface, src string) []byte { return append(mreq(group, iface), in4(src)...) }

func stored(a string) []byte { return appendStorage(nil, addr(a)) }

func groupReq(index int, group string) []byte { return append(ints(index, 0), stored(group)...) }

func groupSource(index int, group, src string) []byte {
	return append(groupReq(index, group), stored(src)...)
}

// msfilter is a struct ip_msfilter, groupFilter a struct group_filter.
func msfilter(group, iface string, mode int, list ...string) []byte {
	b := append(mreq(group, iface), ints(mode, len(list))...)
	for _, a := range list {
		b = append(b, in4(a)...)
	}
	return b
}

func groupFilter(index int, group string, mode int, list ...string) []byte {
	b := append(groupReq(index, group), ints(mode, len(list))...)
	for _, a := range list {
		b = append(b, stored(a)...)
	}
	return b
}

// groupStep is a call on a socket, and which senders' datagrams to the group it receives then.
type groupStep struct {
	what  string
	opt   int
	v     []byte
	err   error
	hears string // of the senders x and y
}

const (
	group4, srcX, srcY   = "232.1.2.3", "10.0.0.8", "10.0.0.9"
	group6, srcX6, srcY6 = "ff05::123", "2001:db8::8", "2001:db8::9"
	group4b              = "232.1.2.4"
)

// As many sources as a filter may have.
var tenSources = strings.Fields("1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8 1.0.0.9 1.0.0.10")

var manySources6 = func() (all []string) {
	for i := range 64 {
		all = append(all, fmt.Sprintf("2001:db8::1:%x", i))
	}
	return all
}()

// memberships are calls one after the other, by each structure.
var memberships = []struct {
	name  string
	level int
	steps []groupStep
}{
	{"by address", abi.SOL_IP, []groupStep{
		{"nothing", 0, nil, nil, ""},
		{"leave", abi.IP_DROP_MEMBERSHIP, mreq(group4, addrA), syscall.EADDRNOTAVAIL, ""},
		{"join", abi.IP_ADD_MEMBERSHIP, mreq(group4, addrA), nil, "xy"},
		{"join again", abi.IP_ADD_MEMBERSHIP, mreq(group4, addrA), syscall.EADDRINUSE, "xy"},
		{"join another", abi.IP_ADD_MEMBERSHIP, mreq(group4b, addrA), nil, "xy"},
		{"leave that", abi.IP_DROP_MEMBERSHIP, mreq(group4b, addrA), nil, "xy"},
		{"leave at another interface", abi.IP_DROP_MEMBERSHIP, mreq(group4, "127.0.0.1"), syscall.EADDRNOTAVAIL, "xy"},
		{"leave", abi.IP_DROP_MEMBERSHIP, mreq(group4, addrA), nil, ""},
	}},
	{"by index", abi.SOL_IP, []groupStep{
		{"join", abi.IP_ADD_MEMBERSHIP, mreqn(group4, "0.0.0.0", 2), nil, "xy"},
		{"the index counts", abi.IP_DROP_MEMBERSHIP, mreqn(group4, addrA, 1), syscall.EADDRNOTAVAIL, "xy"},
		{"no such interface", abi.IP_DROP_MEMBERSHIP, mreqn(group4, addrA, 9), syscall.ENODEV, "xy"},
		{"leave", abi.IP_DROP_MEMBERSHIP, mreqn(group4, "0.0.0.0", 2), nil, ""},
	}},
	{"by route", abi.SOL_IP, []groupStep{
		{"join", abi.IP_ADD_MEMBERSHIP, mreq(group4, "0.0.0.0"), nil, "xy"},
		{"leave at any", abi.IP_DROP_MEMBERSHIP, mreq(group4, "0.0.0.0"), nil, ""},
		{"not joined", abi.IP_DROP_MEMBERSHIP, mreq(group4, "0.0.0.0"), syscall.EADDRNOTAVAIL, ""},
	}},
	{"nonsense", abi.SOL_IP, []groupStep{
		{"no group", abi.IP_ADD_MEMBERSHIP, mreq("10.0.0.1", addrA), syscall.EINVAL, ""},
		{"no interface's address", abi.IP_ADD_MEMBERSHIP, mreq(group4, "10.0.0.99"), syscall.ENODEV, ""},
		{"no such interface", abi.IP_ADD_MEMBERSHIP, mreqn(group4, addrA, 9), syscall.ENODEV, ""},
		{"too short", abi.IP_ADD_MEMBERSHIP, mreq(group4, addrA)[:7], syscall.EINVAL, ""},
		{"too short to leave", abi.IP_DROP_MEMBERSHIP, mreq(group4, addrA)[:7], syscall.EINVAL, ""},
		{"no group to leave", abi.IP_DROP_MEMBERSHIP, mreq("10.0.0.1", addrA), syscall.EINVAL, ""},
	}},
	{"IPv6", abi.SOL_IPV6, []groupStep{
		{"leave", abi.IPV6_DROP_MEMBERSHIP, mreq6(group6, 2), syscall.EADDRNOTAVAIL, ""},
		{"join", abi.IPV6_ADD_MEMBERSHIP, mreq6(group6, 2), nil, "xy"},
		{"join again", abi.IPV6_ADD_MEMBERSHIP, mreq6(group6, 2), syscall.EADDRINUSE, "xy"},
		{"no such interface", abi.IPV6_ADD_MEMBERSHIP, mreq6(group6, 9), syscall.ENODEV, "xy"},
		{"no group", abi.IPV6_ADD_MEMBERSHIP, mreq6(addrB6, 2), syscall.EINVAL, "xy"},
		{"too short", abi.IPV6_ADD_MEMBERSHIP, mreq6(group6, 2)[:19], syscall.EINVAL, "xy"},
		{"another interface", abi.IPV6_DROP_MEMBERSHIP, mreq6(group6, 1), syscall.EADDRNOTAVAIL, "xy"},
		{"leave at any", abi.IPV6_DROP_MEMBERSHIP, mreq6(group6, 0), nil, ""},
		{"join by route", abi.IPV6_ADD_MEMBERSHIP, mreq6(group6, 0), nil, "xy"},
		{"leave", abi.IPV6_DROP_MEMBERSHIP, mreq6(group6, 2), nil, ""},
	}},
	{"of either family", abi.SOL_IP, []groupStep{
		{"join", abi.MCAST_JOIN_GROUP, groupReq(2, group4), nil, "xy"},
		{"join again", abi.MCAST_JOIN_GROUP, groupReq(2, group4), syscall.EADDRINUSE, "xy"},
		{"no such interface", abi.MCAST_JOIN_GROUP, groupReq(9, group4b), syscall.ENODEV, "xy"},
		{"of the other", abi.MCAST_JOIN_GROUP, groupReq(2, group6), syscall.EINVAL, "xy"},
		{"no group", abi.MCAST_JOIN_GROUP, groupReq(2, addrB), syscall.EINVAL, "xy"},
		{"too short", abi.MCAST_JOIN_GROUP, groupReq(2, group4b)[:groupReqLen-1], syscall.EINVAL, "xy"},
		{"a source, and more", abi.MCAST_JOIN_SOURCE_GROUP, append(groupSource(2, group4b, srcX), 0), syscall.EINVAL, "xy"},
		{"leave", abi.MCAST_LEAVE_GROUP, groupReq(2, group4), nil, ""},
	}},
	{"of either family, IPv6", abi.SOL_IPV6, []groupStep{
		{"join", abi.MCAST_JOIN_GROUP, groupReq(2, group6), nil, "xy"},
		{"of the other", abi.MCAST_JOIN_GROUP, groupReq(2, group4), syscall.EADDRNOTAVAIL, "xy"},
		{"no group", abi.MCAST_JOIN_GROUP, groupReq(2, addrB6), syscall.EINVAL, "xy"},
		{"leave at any", abi.MCAST_LEAVE_GROUP, groupReq(0, group6), nil, ""},
	}},
	{"sources that are wanted", abi.SOL_IP, []groupStep{
		{"join x", abi.IP_ADD_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcX), nil, "x"},
		{"join x again", abi.IP_ADD_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcX), syscall.EADDRNOTAVAIL, "x"},
		{"join y", abi.IP_ADD_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcY), nil, "xy"},
		{"block is for others", abi.IP_BLOCK_SOURCE, mreqSource(group4, addrA, srcY), syscall.EINVAL, "xy"},
		{"leave x", abi.IP_DROP_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcX), nil, "y"},
		{"leave x again", abi.IP_DROP_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcX), syscall.EADDRNOTAVAIL, "y"},
		{"leave y", abi.IP_DROP_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcY), nil, ""},
		{"left", abi.IP_DROP_MEMBERSHIP, mreq(group4, addrA), syscall.EADDRNOTAVAIL, ""},
		{"too short", abi.IP_ADD_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcX)[:11], syscall.EINVAL, ""},
		{"no group", abi.IP_ADD_SOURCE_MEMBERSHIP, mreqSource(addrB, addrA, srcX), syscall.EINVAL, ""},
		{"no interface", abi.IP_ADD_SOURCE_MEMBERSHIP, mreqSource(group4, "10.0.0.99", srcX), syscall.ENODEV, ""},
		{"nothing to leave", abi.IP_DROP_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcX), syscall.EINVAL, ""},
	}},
	{"sources that are not", abi.SOL_IP, []groupStep{
		{"without joining", abi.IP_BLOCK_SOURCE, mreqSource(group4, addrA, srcX), syscall.EINVAL, ""},
		{"join", abi.IP_ADD_MEMBERSHIP, mreq(group4, addrA), nil, "xy"},
		{"block x", abi.IP_BLOCK_SOURCE, mreqSource(group4, addrA, srcX), nil, "y"},
		{"block x again", abi.IP_BLOCK_SOURCE, mreqSource(group4, addrA, srcX), syscall.EADDRNOTAVAIL, "y"},
		{"block y", abi.IP_BLOCK_SOURCE, mreqSource(group4, addrA, srcY), nil, ""},
		{"unblock x", abi.IP_UNBLOCK_SOURCE, mreqSource(group4, addrA, srcX), nil, "x"},
		{"unblock x again", abi.IP_UNBLOCK_SOURCE, mreqSource(group4, addrA, srcX), syscall.EADDRNOTAVAIL, "x"},
		{"wanting is for others", abi.IP_ADD_SOURCE_MEMBERSHIP, mreqSource(group4, addrA, srcX), syscall.EINVAL, "x"},
		{"leave", abi.IP_DROP_MEMBERSHIP, mreq(group4, addrA), nil, ""},
	}},
	{"sources of either family", abi.SOL_IPV6, []groupStep{
		{"join x", abi.MCAST_JOIN_SOURCE_GROUP, groupSource(2, group6, srcX6), nil, "x"},
		{"join y", abi.MCAST_JOIN_SOURCE_GROUP, groupSource(2, group6, srcY6), nil, "xy"},
		{"leave x", abi.MCAST_LEAVE_SOURCE_GROUP, groupSource(2, group6, srcX6), nil, "y"},
		{"of the other", abi.MCAST_JOIN_SOURCE_GROUP, groupSource(2, group6, srcX), syscall.EADDRNOTAVAIL, "y"},
		{"a group of the other", abi.MCAST_JOIN_SOURCE_GROUP, groupSource(2, group4, srcX6), syscall.EADDRNOTAVAIL, "y"},
		{"no group", abi.MCAST_JOIN_SOURCE_GROUP, groupSource(2, addrB6, srcX6), syscall.EINVAL, "y"},
		{"no interface", abi.MCAST_JOIN_SOURCE_GROUP, groupSource(9, group6, srcX6), syscall.ENODEV, "y"},
		{"too short", abi.MCAST_JOIN_SOURCE_GROUP, groupSource(2, group6, srcX6)[:groupSourceLen-1], syscall.EINVAL, "y"},
		{"longer", abi.MCAST_LEAVE_SOURCE_GROUP, append(groupSource(2, group6, srcY6), 0), nil, ""}, // of IPv4 alone that is EINVAL
		{"join", abi.MCAST_JOIN_GROUP, groupReq(2, group6), nil, "xy"},
		{"block x", abi.MCAST_BLOCK_SOURCE, groupSource(2, group6, srcX6), nil, "y"},
		{"unblock x", abi.MCAST_UNBLOCK_SOURCE, groupSource(2, group6, srcX6), nil, "xy"},
	}},
	{"a whole filter", abi.SOL_IP, []groupStep{
		{"without joining", abi.IP_MSFILTER, msfilter(group4, addrA, filterInclude, srcX), syscall.EINVAL, ""},
		{"join", abi.IP_ADD_MEMBERSHIP, mreq(group4, addrA), nil, "xy"},
		{"all but x", abi.IP_MSFILTER, msfilter(group4, addrA, filterExclude, srcX), nil, "y"},
		{"only x", abi.IP_MSFILTER, msfilter(group4, addrA, filterInclude, srcX), nil, "x"},
		{"all", abi.IP_MSFILTER, msfilter(group4, addrA, filterExclude), nil, "xy"},
		{"a mode that is none", abi.IP_MSFILTER, msfilter(group4, addrA, 2, srcX), syscall.EINVAL, "xy"},
		{"no group", abi.IP_MSFILTER, msfilter(addrB, addrA, filterInclude, srcX), syscall.EINVAL, "xy"},
		{"no interface", abi.IP_MSFILTER, msfilter(group4, "10.0.0.99", filterInclude, srcX), syscall.ENODEV, "xy"},
		{"ten", abi.IP_MSFILTER, msfilter(group4, addrA, filterExclude, tenSources...), nil, "xy"},
		{"eleven by one", abi.IP_BLOCK_SOURCE, mreqSource(group4, addrA, srcX), syscall.ENOBUFS, "xy"},
		{"eleven", abi.IP_MSFILTER, msfilter(group4, addrA, filterExclude, append(tenSources, srcX)...), syscall.ENOBUFS, "xy"},
		{"shorter than it says", abi.IP_MSFILTER, msfilter(group4, addrA, filterExclude, srcX, srcY)[:23], syscall.EINVAL, "xy"},
		{"too short", abi.IP_MSFILTER, msfilter(group4, addrA, filterExclude)[:15], syscall.EINVAL, "xy"},
		{"nobody, which is to leave", abi.IP_MSFILTER, msfilter(group4, addrA, filterInclude), nil, ""},
		{"left", abi.IP_DROP_MEMBERSHIP, mreq(group4, addrA), syscall.EADDRNOTAVAIL, ""},
	}},
	{"a whole filter of either family", abi.SOL_IPV6, []groupStep{
		{"join", abi.MCAST_JOIN_GROUP, groupReq(2, group6), nil, "xy"},
		{"all but x", abi.MCAST_MSFILTER, groupFilter(2, group6, filterExclude, srcX6), nil, "y"},
		{"only x", abi.MCAST_MSFILTER, groupFilter(2, group6, filterInclude, srcX6), nil, "x"},
		{"of the other", abi.MCAST_MSFILTER, groupFilter(2, group6, filterInclude, srcX), syscall.EADDRNOTAVAIL, "x"},
		{"one of the other", abi.MCAST_MSFILTER, groupFilter(2, group6, filterInclude, srcX, srcX6), syscall.EADDRNOTAVAIL, "x"},
		{"a group of the other", abi.MCAST_MSFILTER, groupFilter(2, group4, filterInclude, srcX6), syscall.EADDRNOTAVAIL, "x"},
		{"a mode that is none", abi.MCAST_MSFILTER, groupFilter(2, group6, 2, srcX6), syscall.EINVAL, "x"},
		{"no interface", abi.MCAST_MSFILTER, groupFilter(9, group6, filterInclude, srcX6), syscall.ENODEV, "x"},
		{"sixty-four", abi.MCAST_MSFILTER, groupFilter(2, group6, filterExclude, manySources6...), nil, "xy"},
		{"sixty-five by one", abi.MCAST_BLOCK_SOURCE, groupSource(2, group6, srcX6), syscall.ENOBUFS, "xy"},
		{"sixty-five", abi.MCAST_MSFILTER, groupFilter(2, group6, filterExclude, append(manySources6, srcX6)...), syscall.ENOBUFS, "xy"},
		{"shorter than it says", abi.MCAST_MSFILTER, groupFilter(2, group6, filterExclude, srcX6)[:groupFilterLen+storageLen-1], syscall.EINVAL, "xy"},
		{"too short", abi.MCAST_MSFILTER, groupFilter(2, group6, filterExclude)[:groupFilterLen-1], syscall.EINVAL, "xy"},
		{"nobody", abi.MCAST_MSFILTER, groupFilter(2, group6, filterInclude), nil, ""},
	}},
}

// Joining, leaving and filtering, by each structure (ip(7), ipv6(7); RFC 3678; Linux, ip_mc_source,
// ip_mc_msfilter).
func TestMemberships(t *testing.T) {
	for _, c := range memberships {
		a, _ := newPair(t, Config{})
		a.do(func() { a.st.IP.AddRoute(ip.Route{Dst: netip.MustParsePrefix("224.0.0.0/4"), Iface: a.eth}) })
		kind, at, to, from, all, level := "udp4", "0.0.0.0:7", group4, []string{srcX, srcY}, abi.IP_MULTICAST_ALL, abi.SOL_IP
		if c.level == abi.SOL_IPV6 {
			kind, at, to, from, all, level = "udp6", "[::]:7", group6, []string{srcX6, srcY6}, abi.IPV6_MULTICAST_ALL, abi.SOL_IPV6
		}
		s := a.open(kind).at(at).set(level, all, 0)
		for _, x := range c.steps {
			if x.v != nil {
				if err := s.SetOpt(c.level, x.opt, x.v); err != x.err {
					t.Errorf("%s: %s: %v, want %v", c.name, x.what, err, x.err)
				}
			}
			hears := ""
			for i, src := range from {
				udp := []byte{0, 9, 0, 7, 0, 9, 0, 0, "xy"[i]}
				if addr(src).Is6() {
					p := whole(src, to, ip.ProtoUDP, udp)
					sumUDP6(p)
					a.arrive(p)
				} else {
					a.arrive(whole(src, to, ip.ProtoUDP, udp))
				}
				hears += s.text()
			}
			if hears != x.hears {
				t.Errorf("%s: after %s it hears %q, want %q", c.name, x.what, hears, x.hears)
			}
		}
		// The host does not hear the group any more.
		s.Close()
		before := a.eth.Stats().RxDropped
		a.arrive(whole(from[0], to, ip.ProtoUDP, []byte{0, 9, 0, 7, 0, 8, 0, 0}))
		if a.eth.Stats().RxDropped != before+1 {
			t.Errorf("%s: the group is not left with the socket", c.name)
		}
	}
}

// sumUDP6 fills in the checksum of a UDP packet of IPv6 without extension headers.
func sumUDP6(p []byte) {
	p[46], p[47] = 0, 0
	var sum uint32
	add := func(b []byte) {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(b[i])<<8 | uint32(b[i+1])
		}
		if len(b)%2 != 0 {
			sum += uint32(b[len(b)-1]) << 8
		}
	}
	add(p[8:40])
	sum += uint32(len(p)-40) + ip.ProtoUDP
	add(p[40:])
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(p[46:], ^uint16(sum))
}

// What is read of a filter: its mode, how many sources it has, and as many as there is room for.
func TestReadFilter(t *testing.T) {
	a, _ := newPair(t, Config{})
	const g, x, y = "232.1.2.3", "10.0.0.8", "10.0.0.9"
	const g6, x6, y6 = "ff05::123", "2001:db8::8", "2001:db8::9"
	s := a.open("udp6")
	get := func(level, opt int, ask []byte, room int) ([]byte, error) {
		b := make([]byte, max(room, len(ask)))
		copy(b, ask)
		n, err := s.GetOpt(level, opt, b)
		return b[:n], err
	}
	for _, c := range []struct {
		level, opt int
		v          []byte
	}{
		{abi.SOL_IP, abi.IP_ADD_MEMBERSHIP, mreq(g, addrA)}, {abi.SOL_IP, abi.IP_MSFILTER, msfilter(g, addrA, filterExclude, x, y)},
		{abi.SOL_IPV6, abi.MCAST_JOIN_GROUP, groupReq(2, g6)}, {abi.SOL_IPV6, abi.MCAST_MSFILTER, groupFilter(2, g6, filterInclude, x6, y6)},
	} {
		if err := s.SetOpt(c.level, c.opt, c.v); err != nil {
			t.Fatal(err)
		}
	}
	count := func(b []byte, at, n int) []byte { return append(append(bytes.Clone(b[:at]), ints(n)...), b[at+4:]...) }
	for _, c := range []struct {
		name  string
		level int
		opt   int
		ask   []byte
		want  []byte
		err   error
	}{
		{"all", abi.SOL_IP, abi.IP_MSFILTER, msfilter(g, addrA, 7, x, x), msfilter(g, addrA, filterExclude, x, y), nil},
		{"one", abi.SOL_IP, abi.IP_MSFILTER, msfilter(g, addrA, 7, x), count(msfilter(g, addrA, filterExclude, x), 12, 2), nil},
		{"more room", abi.SOL_IP, abi.IP_MSFILTER, msfilter(g, addrA, 7, x, x, x), msfilter(g, addrA, filterExclude, x, y), nil},
		{"not joined", abi.SOL_IP, abi.IP_MSFILTER, msfilter("232.1.2.9", addrA, 7), nil, syscall.EADDRNOTAVAIL},
		{"no group", abi.SOL_IP, abi.IP_MSFILTER, msfilter(addrB, addrA, 7), nil, syscall.EINVAL},
		{"no interface", abi.SOL_IP, abi.IP_MSFILTER, msfilter(g, "10.0.0.99", 7), nil, syscall.ENODEV},
		{"too short", abi.SOL_IP, abi.IP_MSFILTER, msfilter(g, addrA, 7)[:15], nil, syscall.EINVAL},
		{"of either family", abi.SOL_IPV6, abi.MCAST_MSFILTER, groupFilter(2, g6, 7, x6, x6), groupFilter(2, g6, filterInclude, x6, y6), nil},
		{"one of either family", abi.SOL_IPV6, abi.MCAST_MSFILTER, groupFilter(2, g6, 7, x6), count(groupFilter(2, g6, filterInclude, x6), groupReqLen+4, 2), nil},
		{"of IPv4", abi.SOL_IP, abi.MCAST_MSFILTER, groupFilter(2, g, 7, x, x), groupFilter(2, g, filterExclude, x, y), nil},
		{"at another interface", abi.SOL_IPV6, abi.MCAST_MSFILTER, groupFilter(1, g6, 7), nil, syscall.EADDRNOTAVAIL},
		{"no group of either family", abi.SOL_IPV6, abi.MCAST_MSFILTER, groupFilter(2, addrB6, 7), nil, syscall.EINVAL},
		{"of the other family", abi.SOL_IPV6, abi.MCAST_MSFILTER, groupFilter(2, g, 7), nil, syscall.EINVAL},
		{"too short for either family", abi.SOL_IPV6, abi.MCAST_MSFILTER, groupFilter(2, g6, 7)[:groupFilterLen-1], nil, syscall.EINVAL},
	} {
		if got, err := get(c.level, c.opt, c.ask, 0); err != c.err || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x, %v, want %x, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// Which sockets get a datagram to a group or to all: each with the port that has the address or the
// wildcard, is a member or takes those of any group, and has that sender for its peer if it has one.
func TestGroupDelivery(t *testing.T) {
	const g = "232.1.2.3"
	for _, c := range []struct {
		name string
		to   string
		set  func(b *machine) *sock
		want string
	}{
		{"a member", g, func(b *machine) *sock { return b.open("udp4").at("0.0.0.0:7").member(g) }, "x"},
		{"bound to the group", g, func(b *machine) *sock { return b.open("udp4").at(g + ":7").member(g) }, "x"},
		{"bound to another group", g, func(b *machine) *sock { return b.open("udp4").at("232.1.2.4:7").member(g) }, ""},
		{"bound to an address", g, func(b *machine) *sock { return b.open("udp4").at(addrB + ":7").member(g) }, ""},
		{"another port", g, func(b *machine) *sock { return b.open("udp4").at("0.0.0.0:8").member(g) }, ""},
		{"no member, but of any", g, func(b *machine) *sock { b.open("udp4").member(g); return b.open("udp4").at("0.0.0.0:7") }, "x"},
		{"no member", g, func(b *machine) *sock {
			b.open("udp4").member(g)
			return b.open("udp4").at("0.0.0.0:7").set(abi.SOL_IP, abi.IP_MULTICAST_ALL, 0)
		}, ""},
		{"its peer", g, func(b *machine) *sock { return b.open("udp4").at(g + ":7").member(g).with(addrA + ":5000") }, "x"},
		{"another's peer", g, func(b *machine) *sock { return b.open("udp4").at(g + ":7").member(g).with(addrA + ":5001") }, ""},
		{"tied to the interface", g, func(b *machine) *sock {
			return b.open("udp4").set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2).at("0.0.0.0:7").member(g)
		}, "x"},
		{"tied to another one", g, func(b *machine) *sock {
			return b.open("udp4").set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 1).at("0.0.0.0:7").member(g)
		}, ""},
		{"all", "10.0.0.255", func(b *machine) *sock { return b.open("udp4").at("0.0.0.0:7") }, "x"},
		{"bound to all", "10.0.0.255", func(b *machine) *sock { return b.open("udp4").at("10.0.0.255:7") }, "x"},
		{"all, bound to an address", "10.0.0.255", func(b *machine) *sock { return b.open("udp4").at(addrB + ":7") }, ""},
		{"few hops", g, func(b *machine) *sock {
			return b.open("udp4").at("0.0.0.0:7").member(g).set(abi.SOL_IP, abi.IP_MINTTL, 2)
		}, "x"},
	} {
		a, b := newPair(t, Config{})
		r := c.set(b)
		also := b.open("udp4").set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1)
		if r.set(abi.SOL_SOCKET, abi.SO_REUSEADDR, 1); also.bind("0.0.0.0:7") != nil {
			t.Fatal(c.name)
		}
		s := a.open("udp4").set(abi.SOL_SOCKET, abi.SO_BROADCAST, 1).at(addrA + ":5000")
		if err := s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2).send("x", c.to+":7"); err != nil {
			t.Fatal(err)
		}
		if got := r.text(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := also.text(); got != "x" {
			t.Errorf("%s: another socket has %q", c.name, got)
		}
		if c.want == "" && r.drops() != 0 {
			t.Errorf("%s: dropped", c.name)
		}
	}
	// What nobody takes is counted, and not answered.
	a, b := newPair(t, Config{})
	s := a.open("udp4").set(abi.SOL_SOCKET, abi.SO_BROADCAST, 1)
	if err := s.send("x", "10.0.0.255:7"); err != nil || b.st.udpStats().IgnoredMulti != 1 || b.st.udpStats().NoPorts != 0 || len(b.took()) != 0 {
		t.Errorf("%v, %+v", err, b.st.udpStats())
	}
}

// member has the socket join a group on eth0.
func (s *sock) member(group string) *sock {
	s.m.t.Helper()
	if err := s.SetOpt(abi.SOL_IP, abi.IP_ADD_MEMBERSHIP, mreqn(group, "0.0.0.0", 2)); err != nil {
		s.m.t.Fatal(err)
	}
	return s
}

func (s *sock) drops() uint32 { return holder(s.Socket).drops }

// By which interface and with which source a datagram to a group leaves (ip(7), IP_MULTICAST_IF).
func TestGroupSend(t *testing.T) {
	a, _ := newPair(t, Config{})
	a.do(func() { a.st.IP.AddAddr(a.eth, netip.MustParsePrefix("10.0.7.1/24")) })
	for _, c := range []struct {
		name string
		kind string
		to   string
		set  func(s *sock)
		want string // the source, or an error; of what is on the wire
	}{
		{"no route", "udp4", "232.1.2.3:7", func(*sock) {}, "ENETUNREACH"},
		{"by address", "udp4", "232.1.2.3:7", func(s *sock) { s.SetOpt(abi.SOL_IP, abi.IP_MULTICAST_IF, in4("10.0.7.1")) }, addrA},
		{"by index", "udp4", "232.1.2.3:7", func(s *sock) { s.SetOpt(abi.SOL_IP, abi.IP_MULTICAST_IF, mreqn("0.0.0.0", "0.0.0.0", 2)) }, addrA},
		{"by loopback", "udp4", "232.1.2.3:7", func(s *sock) { s.SetOpt(abi.SOL_IP, abi.IP_MULTICAST_IF, in4("127.0.0.1")) }, "none"},
		{"taken back", "udp4", "232.1.2.3:7", func(s *sock) {
			s.SetOpt(abi.SOL_IP, abi.IP_MULTICAST_IF, in4("10.0.7.1"))
			s.send("x", "232.1.2.3:7")
			s.SetOpt(abi.SOL_IP, abi.IP_MULTICAST_IF, in4("0.0.0.0"))
		}, "ENETUNREACH"},
		{"by the device", "udp4", "232.1.2.3:7", func(s *sock) { s.set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2) }, addrA},
		{"IP_UNICAST_IF is for others", "udp4", "232.1.2.3:7", func(s *sock) { s.SetOpt(abi.SOL_IP, abi.IP_UNICAST_IF, []byte{0, 0, 0, 2}) }, "ENETUNREACH"},
		{"IP_UNICAST_IF", "udp4", "8.8.8.8:7", func(s *sock) { s.SetOpt(abi.SOL_IP, abi.IP_UNICAST_IF, []byte{0, 0, 0, 2}) }, addrA},
		{"IP_MULTICAST_IF is for others", "udp4", "8.8.8.8:7", func(s *sock) { s.SetOpt(abi.SOL_IP, abi.IP_MULTICAST_IF, in4(addrA)) }, "ENETUNREACH"},
		{"IPv6", "udp6", "[ff05::1]:7", func(*sock) {}, addrA6},
		{"IPv6, of the link", "udp6", "[ff02::1]:7", func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_MULTICAST_IF, 2) }, "fe80::1"},
		{"IPv6, by loopback", "udp6", "[ff05::1]:7", func(s *sock) { s.set(abi.SOL_IPV6, abi.IPV6_MULTICAST_IF, 1) }, "ENETUNREACH"},
		{"IPv6, IPV6_UNICAST_IF", "udp6", "[" + addrB6 + "]:7", func(s *sock) { s.SetOpt(abi.SOL_IPV6, abi.IPV6_UNICAST_IF, []byte{0, 0, 0, 1}) }, "ENETUNREACH"},
	} {
		s := a.open(c.kind)
		c.set(s)
		a.took()
		got := name(s.send("x", c.to))
		if got == "<nil>" {
			if got = "none"; len(a.sent) == 1 {
				p := a.sent[0]
				if got = netip.AddrFrom16([16]byte(append(p[8:24:24], make([]byte, 16)...))).String(); p[0]>>4 == 4 {
					got = netip.AddrFrom4([4]byte(p[12:16])).String()
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Who sends to a group that a socket of his host has joined is heard by it, unless he does not want that
// (IP_MULTICAST_LOOP, which on Linux is the sender's).
func TestGroupLoop(t *testing.T) {
	a, _ := newPair(t, Config{})
	for _, c := range []struct {
		kind, at, to string
		level, opt   int
		join         []byte
		loop, index  int
	}{
		{"udp4", "0.0.0.0:7", group4 + ":7", abi.SOL_IP, abi.IP_ADD_MEMBERSHIP, mreqn(group4, "0.0.0.0", 2), abi.IP_MULTICAST_LOOP, 2},
		{"udp6", "[::]:7", "[" + group6 + "]:7", abi.SOL_IPV6, abi.IPV6_ADD_MEMBERSHIP, mreq6(group6, 2), abi.IPV6_MULTICAST_LOOP, 2},
	} {
		r, s := a.open(c.kind).at(c.at), a.open(c.kind).set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, c.index)
		if err := r.SetOpt(c.level, c.opt, c.join); err != nil {
			t.Fatal(err)
		}
		for _, loop := range []int{1, 0, 1} {
			a.took()
			if err := s.set(c.level, c.loop, loop).send("x", c.to); err != nil {
				t.Fatal(err)
			}
			if heard := r.text() == "x"; heard != (loop == 1) || len(a.took()) != 1 {
				t.Errorf("%s: the option is %d, heard %v", c.kind, loop, heard)
			}
		}
		r.Close()
	}
}
