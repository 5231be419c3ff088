package oracle

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"

	"usock/internal/abi"
)

// storage is a struct sockaddr_storage.
func storage(a string) []byte {
	b := abi.AppendAddr(nil, abi.AddrFrom(netip.AddrPortFrom(netip.MustParseAddr(a), 0)))
	return append(b, make([]byte, 128-len(b))...)
}

// groupReq, sourceReq and groupFilter are the structures of RFC 3678 for any family, in
// hexadecimal; mreqSource and msfilter those of IPv4.
func groupReq(index int, group string) string {
	b := binary.NativeEndian.AppendUint64(nil, uint64(index))
	return hex.EncodeToString(append(b, storage(group)...))
}

func sourceReq(index int, group, source string) string {
	return groupReq(index, group) + hex.EncodeToString(storage(source))
}

func groupFilter(index int, group string, mode, count int, sources ...string) string {
	b := binary.NativeEndian.AppendUint32(nil, uint32(mode))
	b = binary.NativeEndian.AppendUint32(b, uint32(count))
	for _, s := range sources {
		b = append(b, storage(s)...)
	}
	return groupReq(index, group) + hex.EncodeToString(b)
}

func four(a string) string {
	b := netip.MustParseAddr(a).As4()
	return hex.EncodeToString(b[:])
}

func mreqSource(group, iface, source string) string { return four(group) + four(iface) + four(source) }

func msfilter(group, iface string, mode, count int, sources ...string) string {
	b := binary.NativeEndian.AppendUint32(nil, uint32(mode))
	out := four(group) + four(iface) + hex.EncodeToString(binary.NativeEndian.AppendUint32(b, uint32(count)))
	for _, s := range sources {
		out += four(s)
	}
	return out
}

// Options at SOL_IP (0) and SOL_IPV6 (41) of RFC 3678.
const (
	mcastJoin        = 42
	mcastBlock       = 43
	mcastUnblock     = 44
	mcastLeave       = 45
	mcastJoinSource  = 46
	mcastLeaveSource = 47
	mcastFilter      = 48
)

// heard has a, which listens on port 7000, hear from 127.0.0.1 and 127.0.0.2 on the
// loopback interface, and a bystander who is in no group.
const (
	sources  = "a = udp; a set so:reuseaddr 1; a bind any:7000; a set ip:multicast_all 0; o = udp; o set so:reuseaddr 1; o bind any:7000; x = udp; x bind lo:7001; x setx ip:multicast_if 7f000001; y = udp; y bind lo2:7002; y setx ip:multicast_if 7f000001;"
	heard    = "; x send x to mc:7000; a recv 9; o recv 9; y send y to mc:7000; a recv 9; o recv 9"
	sources6 = "a = udp6; a bind any6:7000; x = udp6; x bind lo6:7001; x set ipv6:multicast_if 1;"
	heard6   = "; x send x to mc6:7000; a recv 9"
)

// sourceCases are memberships with source filters.
func sourceCases() []sequence {
	const g, g6, lo, one, two = "224.1.2.3", "ff02::123", "127.0.0.1", "127.0.0.1", "127.0.0.2"
	set := func(name int, v string) string { return fmt.Sprintf("; a setx 0:%d %s", name, v) }
	set6 := func(name int, v string) string { return fmt.Sprintf("; a setx 41:%d %s", name, v) }
	src := func(name int, source string) string { return set(name, mreqSource(g, lo, source)) }
	ask := func(count int) string { return "; a ask 0:41 " + msfilter(g, lo, 9, count) + " 64" }
	const add, drop, block, unblock = abi.IP_ADD_SOURCE_MEMBERSHIP, abi.IP_DROP_SOURCE_MEMBERSHIP, abi.IP_BLOCK_SOURCE, abi.IP_UNBLOCK_SOURCE
	many := ""
	for i := range 12 {
		many += src(add, fmt.Sprintf("10.0.0.%d", i+1))
	}
	join := func(i int) string { return set(mcastJoin, groupReq(1, fmt.Sprintf("224.1.3.%d", i))) }
	leave := func(i int) string { return set(mcastLeave, groupReq(1, fmt.Sprintf("224.1.3.%d", i))) }
	groups, groups6, filtered6 := "", "", ""
	for i := range 22 {
		groups += join(i)
	}
	groups += join(3) + leave(4) + join(21) + join(4) + src(add, one)
	all := make([]string, 64)
	for i := range all {
		all[i] = fmt.Sprintf("fd00::%x", i+1)
	}
	for i := range 2342 {
		groups6 += set6(mcastJoin, groupReq(1, fmt.Sprintf("ff02::1:%x", i)))
	}
	for i := range 120 {
		to := fmt.Sprintf("ff02::1:%x", i)
		filtered6 += set6(mcastJoin, groupReq(1, to)) + set6(mcastFilter, groupFilter(1, to, 1, 64, all...))
	}
	for i := range 8 {
		filtered6 += set6(mcastBlock, sourceReq(1, fmt.Sprintf("ff02::1:%x", 117+i/4), all[i]))
	}
	return []sequence{
		{name: "too many groups", lines: "a = udp" + groups},
		{name: "too many groups, IPv6", lines: "a = udp6" + groups6},
		{name: "too many groups with sources, IPv6", lines: "a = udp6" + filtered6},
		{name: "any source", lines: sources + set(mcastJoin, groupReq(1, g)) + heard + set(mcastJoin, groupReq(1, g)) + ask(4) + set(mcastLeave, groupReq(1, g)) + set(mcastLeave, groupReq(1, g)) + heard + set(mcastJoin, groupReq(9, g)) + set(mcastJoin, groupReq(1, "10.1.2.3")) + set(mcastJoin, groupReq(1, g6)) + "; a setx 0:42 0100; a get 0:42; a get 0:45" + set(mcastJoin, groupReq(1, g)) + set(mcastLeave, groupReq(0, g)) + heard},
		{name: "one source", lines: sources + src(add, one) + heard + src(add, one) + ask(4) + src(add, two) + heard + ask(4) + ask(1) + ask(0) + src(drop, "127.0.0.3") + src(drop, one) + heard + src(drop, two) + ask(4) + src(drop, two) + heard},
		{name: "blocked source", lines: sources + src(block, one) + "; a " + joinLo + src(block, one) + heard + src(block, one) + ask(4) + src(unblock, two) + src(add, two) + src(block, two) + heard + src(unblock, one) + heard + src(unblock, two) + src(drop, two) + ask(4) + heard + "; a " + leaveLo},
		{name: "modes change while empty", lines: sources + "; a " + joinLo + src(add, two) + ask(4) + heard + src(block, one) + src(drop, two) + ask(4) + heard},
		{name: "too many sources", lines: "a = udp" + many + "; a ask 0:41 " + msfilter(g, lo, 0, 12) + " 80"},
		{name: "any family", lines: sources + set(mcastJoinSource, sourceReq(1, g, two)) + heard + set(mcastJoinSource, sourceReq(1, g, two)) + set(mcastLeaveSource, sourceReq(1, g, one)) + set(mcastLeaveSource, sourceReq(1, g, two)) + heard + set(mcastJoin, groupReq(1, g)) + set(mcastBlock, sourceReq(1, g, two)) + heard + set(mcastUnblock, sourceReq(1, g, two)) + heard + set(mcastUnblock, sourceReq(1, g, two)) + set(mcastJoinSource, sourceReq(1, g, g6)) + set(mcastJoinSource, sourceReq(9, g, two)) + set(mcastJoinSource, sourceReq(1, "10.0.0.1", two)) + "; a setx 0:46 0100"},
		{name: "whole filter", lines: sources + set(41, msfilter(g, lo, 1, 1, one)) + "; a " + joinLo + set(41, msfilter(g, lo, 1, 1, two)) + ask(4) + heard + set(41, msfilter(g, lo, 0, 1, two)) + ask(4) + heard + set(41, msfilter(g, lo, 0, 0)) + ask(4) + heard + set(41, msfilter(g, lo, 2, 1, one)) + set(41, msfilter(g, lo, 1, 2, one)) + set(41, msfilter(g, lo, 1, 11, one)) + set(41, msfilter("10.0.0.1", lo, 1, 1, one)) + set(41, msfilter(g, "192.0.2.1", 1, 1, one)) + set(41, msfilter(g, lo, 1, 0)) + ask(4) + heard + "; a setx 0:41 0102; a ask 0:41 " + msfilter("10.0.0.1", lo, 1, 1) + "; a ask 0:41 0102; a get 0:41"},
		{name: "whole filter of any family", lines: sources + set(mcastFilter, groupFilter(1, g, 1, 1, one)) + set(mcastJoin, groupReq(1, g)) + set(mcastFilter, groupFilter(1, g, 1, 2, one, two)) + heard + "; a ask 0:48 " + groupFilter(1, g, 7, 4) + " 512; a ask 0:48 " + groupFilter(1, g, 7, 1) + " 128; a ask 0:48 " + groupFilter(1, g, 7, 0) + ask(4) + set(mcastFilter, groupFilter(1, g, 0, 1, one)) + heard + set(mcastFilter, groupFilter(1, g, 1, 2, one)) + set(mcastFilter, groupFilter(1, g, 2, 1, one)) + set(mcastFilter, groupFilter(9, g, 1, 1, one)) + set(mcastFilter, groupFilter(1, g, 1, 1, g6)) + set(mcastFilter, groupFilter(1, g6, 1, 0)) + set(mcastFilter, groupFilter(1, "10.0.0.1", 1, 1, one)) + set(mcastFilter, groupFilter(1, g, 1, 11, one)) + set(mcastFilter, groupFilter(1, g, 1, 0)) + heard + "; a setx 0:48 0100; a ask 0:48 0100; a ask 0:48 " + groupFilter(2, g, 7, 4)},
		{name: "v6", lines: sources6 + set6(mcastJoin, groupReq(1, g6)) + heard6 + set6(mcastJoin, groupReq(1, g6)) + set6(mcastBlock, sourceReq(1, g6, "::1")) + heard6 + "; a ask 41:48 " + groupFilter(1, g6, 7, 4) + " 256" + set6(mcastUnblock, sourceReq(1, g6, "::1")) + heard6 + set6(mcastLeave, groupReq(1, g6)) + heard6 + set6(mcastJoinSource, sourceReq(1, g6, "::2")) + heard6 + set6(mcastJoinSource, sourceReq(1, g6, "::1")) + heard6 + set6(mcastLeaveSource, sourceReq(1, g6, "::1")) + heard6 + set6(mcastLeaveSource, sourceReq(1, g6, "::2")) + set6(mcastLeave, groupReq(1, g6)) + set6(mcastJoin, groupReq(1, g)) + set6(mcastJoinSource, sourceReq(1, g6, one)) + set6(mcastJoin, groupReq(9, g6)) + set6(mcastJoin, groupReq(1, "::1")) + set6(mcastFilter, groupFilter(1, g6, 1, 1, "::1")) + set6(mcastJoin, groupReq(1, g6)) + set6(mcastFilter, groupFilter(1, g6, 1, 1, "::1")) + heard6 + set6(mcastFilter, groupFilter(1, g6, 0, 1, "::1")) + heard6 + set6(mcastFilter, groupFilter(1, g6, 1, 0)) + heard6},
		{name: "of IPv4 on a socket of IPv6", lines: "a = udp6; a bind any6:7000; x = udp; x bind lo:7001; x setx ip:multicast_if 7f000001" + set(mcastJoinSource, sourceReq(1, g, one)) + "; x send x to mc:7000; a recv 9" + set(mcastLeaveSource, sourceReq(1, g, one)) + set(mcastJoinSource, sourceReq(1, g, two)) + "; x send x to mc:7000; a recv 9"},
		{name: "two members", lines: sources + "b = udp; b set so:reuseaddr 1; b bind any:7000; b setx 0:39 " + mreqSource(g, lo, two) + src(add, one) + "; x send x to mc:7000; a recv 9; b recv 9; y send y to mc:7000; a recv 9; b recv 9; b close; y send y to mc:7000; a recv 9; o recv 9; o recv 9; o recv 9"},
		{name: "closed", lines: sources + src(add, one) + heard + "; a close; x send x to mc:7000; o recv 9; a = udp; a set so:reuseaddr 1; a bind any:7000" + src(add, one) + heard},
	}
}
