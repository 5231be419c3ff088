//go:build linux

package interop

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
	"usock/internal/wire"
	"usock/link"
)

// groupSocket is a socket of either stack.
type groupSocket interface {
	set(level, name int, value []byte) error
}

type usockGroups struct{ *usock.Socket }

func (s usockGroups) set(level, name int, value []byte) error {
	return s.SetSockOpt(level, name, value)
}

type setBytes interface {
	SetBytes(level, name int, value []byte) error
}

type kernelGroups struct{ setBytes }

func (s kernelGroups) set(level, name int, value []byte) error { return s.SetBytes(level, name, value) }

// talker is a stack and what it says of groups.
type talker struct {
	name    string
	index   int // its interface
	skip    int // bytes before the IP header
	wire    link.Link
	sockets [2]groupSocket // IPv4, IPv6

	mu   sync.Mutex
	said map[string]int // mu: how often
}

// listen notes what comes until the link ends.
func (k *talker) listen() {
	batch := make([]*link.Packet, 64)
	for {
		n, err := k.wire.Recv(batch)
		if err != nil {
			return
		}
		for _, p := range batch[:n] {
			b := p.AppendTo(nil)[k.skip:]
			p.Free()
			k.mu.Lock()
			for _, s := range reportsIn(b) {
				k.said[s]++
			}
			k.mu.Unlock()
		}
	}
}

// take returns what was said since the last call, in order and with how often.
func (k *talker) take() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, s := range slices.Sorted(maps.Keys(k.said)) {
		out = append(out, fmt.Sprintf("%d× %s", k.said[s], s))
	}
	clear(k.said)
	return strings.Join(out, "\n")
}

// Groups and sources of the comparison.
var (
	comparedGroups  = [2][2]netip.Addr{{netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("239.1.2.4")}, {netip.MustParseAddr("ff05::1:3"), netip.MustParseAddr("ff05::1:4")}}
	comparedSources = [2][2]netip.Addr{{netip.MustParseAddr("10.78.0.8"), netip.MustParseAddr("10.78.0.9")}, {netip.MustParseAddr("fd78::8"), netip.MustParseAddr("fd78::9")}}
)

// reportsIn returns the messages about compared groups in a packet: its network header in hex, but
// for what every packet has of its own (source, identification, checksum) or that follows from the
// number of records, and the message, or of a report each record.
func reportsIn(b []byte) (out []string) {
	var head, m []byte
	width := 4
	switch {
	case len(b) > 24 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_IGMP:
		n := int(b[0]&15) * 4
		head, m = slices.Clone(b[:n]), b[n:binary.BigEndian.Uint16(b[2:])]
		clear(head[2:6])
		clear(head[10:16])
		if binary.BigEndian.Uint16(b[6:]) != 0 {
			head[6], head[7] = b[6], b[7]
		}
	case len(b) > 48 && b[0]>>4 == 6 && b[6] == unix.IPPROTO_HOPOPTS && b[40] == unix.IPPROTO_ICMPV6:
		head, m, width = slices.Clone(b[:48]), b[48:40+int(binary.BigEndian.Uint16(b[4:]))], 16
		clear(head[4:6])
		clear(head[8:24])
	default:
		return nil
	}
	compared := func(b []byte) bool {
		a, _ := netip.AddrFromSlice(b[:width])
		return a == comparedGroups[width/16][0] || a == comparedGroups[width/16][1]
	}
	switch m[0] {
	case wire.IGMPv3Report, wire.MLDv2Report:
		r := m[8:]
		for range binary.BigEndian.Uint16(m[6:]) {
			n := 4 + width*(1+int(binary.BigEndian.Uint16(r[2:])))
			if compared(r[4:]) {
				out = append(out, fmt.Sprintf("%x %x%x %x", head, m[:2], m[4:6], r[:n]))
			}
			r = r[n:]
		}
	case wire.IGMPv1Report, wire.IGMPv2Report, wire.IGMPLeave, wire.MLDv1Report, wire.MLDDone:
		if compared(m[len(m)-width:]) {
			out = append(out, fmt.Sprintf("%x %x%x", head, m[:2], m[4:]))
		}
	}
	return out
}

// groupQuery is a packet with a question: of the latest version with sources or without, or of the older one.
func groupQuery(v6, older bool, group netip.Addr, sources ...netip.Addr) []byte {
	tail := []byte{2, 125, 0, byte(len(sources))}
	for _, s := range sources {
		tail = append(tail, s.AsSlice()...)
	}
	if older {
		tail = nil
	}
	if !v6 {
		dst := group
		if group.IsUnspecified() {
			dst = netip.MustParseAddr("224.0.0.1")
		}
		m := append(append([]byte{wire.IGMPQuery, 1, 0, 0}, group.AsSlice()...), tail...)
		binary.BigEndian.PutUint16(m[2:], wire.ChecksumOf(m))
		h := wire.IPv4{Src: netip.MustParseAddr("10.78.0.99"), Dst: dst, Proto: unix.IPPROTO_IGMP, TTL: 1, Options: []byte{148, 4, 0, 0}}
		h.TotalLen = uint16(h.Len() + len(m))
		b := make([]byte, h.Len())
		h.Put(b)
		return append(b, m...)
	}
	dst, src := group, netip.MustParseAddr("fe80::99")
	if group.IsUnspecified() {
		dst = netip.MustParseAddr("ff02::1")
	}
	m := append(append([]byte{wire.MLDQuery, 0, 0, 0, 0, 100, 0, 0}, group.AsSlice()...), tail...)
	var c wire.Checksum
	c.AddPseudo(src, dst, unix.IPPROTO_ICMPV6, len(m))
	c.Add(m)
	binary.BigEndian.PutUint16(m[2:], c.Sum())
	m = append([]byte{unix.IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}, m...)
	h := wire.IPv6{Src: src, Dst: dst, HopLimit: 1, Next: unix.IPPROTO_HOPOPTS, PayloadLen: uint16(len(m))}
	b := make([]byte, wire.IPv6Len)
	h.Put(b)
	return append(b, m...)
}

// send has the host receive a packet to a group.
func (k *talker) send(b []byte) {
	if k.skip != 0 {
		head := []byte{1, 0, 0x5e, b[17] & 0x7f, b[18], b[19], 2, 0, 0, 0, 0, 9, 8, 0}
		if b[0]>>4 == 6 {
			head = append([]byte{0x33, 0x33}, append(slices.Clone(b[36:40]), 2, 0, 0, 0, 0, 9, 0x86, 0xdd)...)
		}
		b = append(head, b...)
	}
	k.wire.Send([]*link.Packet{link.NewPacket(b)})
}

// option sets an option about a group, and perhaps a source.
func (k *talker) option(name int, v6 bool, addrs ...netip.Addr) error {
	level, s := unix.SOL_IP, k.sockets[0]
	if v6 {
		level, s = unix.SOL_IPV6, k.sockets[1]
	}
	b := append(abi.AppendInt(nil, k.index), 0, 0, 0, 0) // struct group_req, group_source_req
	for _, a := range addrs {
		n := len(b)
		b = abi.AppendAddr(b, abi.AddrFrom(netip.AddrPortFrom(a, 0)))
		b = append(b, make([]byte, n+128-len(b))...)
	}
	return s.set(level, name, b)
}

// talkers returns both stacks, each alone on its link.
func talkers(t *testing.T) (same, kernel *talker) {
	n := newMachine(t)
	kernel = &talker{name: "the kernel", skip: 14, wire: n.plug(t, card, 1500, kernel4, kernel6), said: map[string]int{}}
	var err error
	kernel.index, err = n.Index(card)
	must(t, err)

	a, b := link.Pipe(link.PipeConfig{})
	h := host(t, usock.Config{Privileged: true, Interfaces: []usock.Interface{{
		Link: a, Addrs: []netip.Prefix{usock4, usock6, netip.MustParsePrefix("fe80::7/64")},
	}}})
	same = &talker{name: "usock", wire: b, index: h.Interfaces()[1].Index, said: map[string]int{}}
	for i, domain := range []int{unix.AF_INET, unix.AF_INET6} {
		k, err := n.Socket(domain, unix.SOCK_DGRAM, 0)
		must(t, err)
		t.Cleanup(func() { k.Close() })
		kernel.sockets[i] = kernelGroups{k}
		s, err := h.Socket(domain, usock.SOCK_DGRAM, 0)
		must(t, err)
		same.sockets[i] = usockGroups{s}
	}
	for _, k := range []*talker{same, kernel} {
		var done sync.WaitGroup
		done.Go(k.listen)
		t.Cleanup(func() {
			k.wire.Close()
			done.Wait()
		})
	}
	return same, kernel
}

// Both stacks tell a router the same when their programs join and leave groups and change filters,
// and when it asks, in the latest version and the one before: byte for byte, and as often.
func TestUMLGroupReports(t *testing.T) {
	same, kernel := talkers(t)
	set := func(name, group int, source ...int) func(k *talker, v6 bool) error {
		return func(k *talker, v6 bool) error {
			f := 0
			if v6 {
				f = 1
			}
			addrs := []netip.Addr{comparedGroups[f][group]}
			for _, s := range source {
				addrs = append(addrs, comparedSources[f][s])
			}
			return k.option(name, v6, addrs...)
		}
	}
	ask := func(older bool, group int, source ...int) func(k *talker, v6 bool) error {
		return func(k *talker, v6 bool) error {
			f, g := 0, netip.IPv4Unspecified()
			if v6 {
				f, g = 1, netip.IPv6Unspecified()
			}
			if group >= 0 {
				g = comparedGroups[f][group]
			}
			var addrs []netip.Addr
			for _, s := range source {
				addrs = append(addrs, comparedSources[f][s])
			}
			k.send(groupQuery(v6, older, g, addrs...))
			return nil
		}
	}
	for _, step := range []struct {
		name string
		do   func(k *talker, v6 bool) error
		each int // messages of each protocol
	}{
		// While the kernel still reports the groups of its new addresses, changes come among them.
		{"- join", set(unix.MCAST_JOIN_GROUP, 0), 2},
		{"- leave", set(unix.MCAST_LEAVE_GROUP, 0), 2},
		{"join", set(unix.MCAST_JOIN_GROUP, 0), 2},
		{"block a source", set(unix.MCAST_BLOCK_SOURCE, 0, 0), 2},
		{"unblock it", set(unix.MCAST_UNBLOCK_SOURCE, 0, 0), 2},
		{"join for a source", set(unix.MCAST_JOIN_SOURCE_GROUP, 1, 0), 2},
		{"and for another", set(unix.MCAST_JOIN_SOURCE_GROUP, 1, 1), 2},
		{"a query for all", ask(false, -1), 2}, // of two groups
		{"a query for a group", ask(false, 0), 1},
		{"a query for a group with sources", ask(false, 1), 1},
		{"a query for a source", ask(false, 1, 1), 1},
		{"a query for a source of those not excluded", ask(false, 0, 1), 1},
		{"leave a source", set(unix.MCAST_LEAVE_SOURCE_GROUP, 1, 1), 2},
		{"leave the group of the other", set(unix.MCAST_LEAVE_GROUP, 1), 2},
		{"leave", set(unix.MCAST_LEAVE_GROUP, 0), 2},
		{"an older query", ask(true, -1), 0},
		{"join, older", set(unix.MCAST_JOIN_GROUP, 0), 1},
		{"a query for a group, older", ask(true, 0), 1},
		{"leave, older", set(unix.MCAST_LEAVE_GROUP, 0), 1},
	} {
		compare := !strings.HasPrefix(step.name, "-")
		same.take()
		kernel.take()
		for _, k := range []*talker{same, kernel} {
			for _, v6 := range []bool{false, true} {
				if err := step.do(k, v6); err != nil {
					t.Fatalf("%s, %s: %v", step.name, k.name, err)
				}
			}
		}
		total := func(k *talker) (n int) {
			k.mu.Lock()
			defer k.mu.Unlock()
			for _, c := range k.said {
				n += c
			}
			return n
		}
		settle(t, "report: "+step.name, func() bool { return total(same) >= 2*step.each && total(kernel) >= 2*step.each })
		if a, b := same.take(), kernel.take(); a != b && compare {
			t.Errorf("%s: usock says\n%s\nthe kernel\n%s", step.name, a, b)
		}
	}
}
