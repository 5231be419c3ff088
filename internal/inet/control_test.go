package inet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"usock/internal/abi"
	"usock/internal/ip"
	"usock/internal/wait"
	"usock/internal/wire"
)

func in4(a string) []byte { b := addr(a).As4(); return b[:] }
func in6(a string) []byte { b := addr(a).As16(); return b[:] }

// The control messages of what is received, each by its option (ip(7), ipv6(7)).
func TestReceivedControl(t *testing.T) {
	a, b := newPair(t, Config{})
	sin := func(ap string) []byte { return abi.AppendAddr(nil, abi.AddrFrom(addrport(ap))) }
	for _, c := range []struct {
		name       string
		kind, to   string
		level, opt int
		want       string
	}{
		{"IP_PKTINFO", "udp4", addrB, abi.SOL_IP, abi.IP_PKTINFO, fmt.Sprintf("0/8=%x%x%x", ints(2), in4(addrB), in4(addrB))},
		{"IP_PKTINFO of a broadcast", "udp4", "10.0.0.255", abi.SOL_IP, abi.IP_PKTINFO, fmt.Sprintf("0/8=%x%x%x", ints(2), in4(addrB), in4("10.0.0.255"))},
		{"IP_PKTINFO of a group", "udp4", "224.0.0.1", abi.SOL_IP, abi.IP_PKTINFO, fmt.Sprintf("0/8=%x%x%x", ints(2), in4(addrB), in4("224.0.0.1"))},
		{"IP_RECVTTL", "udp4", addrB, abi.SOL_IP, abi.IP_RECVTTL, fmt.Sprintf("0/2=%x", ints(33))},
		{"IP_RECVTOS", "udp4", addrB, abi.SOL_IP, abi.IP_RECVTOS, "0/1=48"},
		{"IP_RECVORIGDSTADDR", "udp4", addrB, abi.SOL_IP, abi.IP_RECVORIGDSTADDR, fmt.Sprintf("0/20=%x", sin(addrB+":7"))},
		{"IP_RECVOPTS without options", "udp4", addrB, abi.SOL_IP, abi.IP_RECVOPTS, ""},
		{"IPV6_RECVPKTINFO", "udp6", addrB6, abi.SOL_IPV6, abi.IPV6_RECVPKTINFO, fmt.Sprintf("41/50=%x%x", in6(addrB6), ints(2))},
		{"IPV6_RECVHOPLIMIT", "udp6", addrB6, abi.SOL_IPV6, abi.IPV6_RECVHOPLIMIT, fmt.Sprintf("41/52=%x", ints(33))},
		{"IPV6_RECVTCLASS", "udp6", addrB6, abi.SOL_IPV6, abi.IPV6_RECVTCLASS, fmt.Sprintf("41/67=%x", ints(0x48))},
		{"IPV6_FLOWINFO", "udp6", addrB6, abi.SOL_IPV6, abi.IPV6_FLOWINFO, fmt.Sprintf("41/11=%x", []byte{4, 0x81, 0x23, 0x45})},
		{"IPV6_RECVORIGDSTADDR", "udp6", addrB6, abi.SOL_IPV6, abi.IPV6_RECVORIGDSTADDR, fmt.Sprintf("41/74=%x", sin("["+addrB6+"]:7"))},
		{"IP_RECVTTL of a mapped one", "udp6", addrB, abi.SOL_IP, abi.IP_RECVTTL, fmt.Sprintf("0/2=%x", ints(33))},
		{"IPV6_RECVPKTINFO of a mapped one", "udp6", addrB, abi.SOL_IPV6, abi.IPV6_RECVPKTINFO, fmt.Sprintf("41/50=%x%x", in6("::ffff:"+addrB), ints(2))},
		{"IPV6_RECVHOPLIMIT of a mapped one", "udp6", addrB, abi.SOL_IPV6, abi.IPV6_RECVHOPLIMIT, ""},
		{"IP_RECVTTL of IPv6", "udp6", addrB6, abi.SOL_IP, abi.IP_RECVTTL, ""},
		{"IP_RECVORIGDSTADDR of a raw socket", "raw4:17", addrB, abi.SOL_IP, abi.IP_RECVORIGDSTADDR, fmt.Sprintf("0/20=%x", sin(addrB+":7"))},
		{"IPV6_RECVORIGDSTADDR of a raw socket", "raw6:17", addrB6, abi.SOL_IPV6, abi.IPV6_RECVORIGDSTADDR, fmt.Sprintf("41/74=%x", sin("["+addrB6+"]:7"))},
	} {
		r := b.open(c.kind)
		if strings.HasPrefix(c.kind, "udp") {
			r.at(map[string]string{"udp4": "0.0.0.0:7", "udp6": "[::]:7"}[c.kind])
		}
		s, to := a.open("udp4"), c.to+":7"
		if addr(c.to).Is6() {
			s, to = a.open("udp6"), "["+c.to+"]:7"
			s.set(abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, 33).set(abi.SOL_IPV6, abi.IPV6_TCLASS, 0x48)
		} else {
			s.set(abi.SOL_IP, abi.IP_TTL, 33).set(abi.SOL_IP, abi.IP_TOS, 0x48).set(abi.SOL_SOCKET, abi.SO_BROADCAST, 1).set(abi.SOL_IP, abi.IP_MULTICAST_TTL, 5)
			s.SetOpt(abi.SOL_IP, abi.IP_MULTICAST_IF, in4(addrA))
		}
		send := func() {
			t.Helper()
			var err error
			if addr(c.to).Is6() {
				err = s.send("data", to, cmsg(abi.SOL_IPV6, abi.IPV6_FLOWINFO, []byte{0, 1, 0x23, 0x45}))
			} else {
				err = s.send("data", to)
			}
			if err != nil {
				t.Fatal(c.name, err)
			}
		}
		send()
		if g := r.recv(0); g.err != nil || g.said() != "" {
			t.Errorf("%s, not asked for: %s, %v", c.name, g.said(), g.err)
		}
		r.set(c.level, c.opt, 1)
		send()
		if g := r.recv(abi.MSG_PEEK); g.said() != c.want {
			t.Errorf("%s, looked at: %s, want %s", c.name, g.said(), c.want)
		}
		if g := r.recv(0); g.said() != c.want {
			t.Errorf("%s: %s, want %s", c.name, g.said(), c.want)
		}
		s.Close()
		r.Close()
	}
}

// IPv4 options that have come: the host has added itself to those that record, and gives back for an
// answer those that go on recording (RFC 791, section 3.1; RFC 1122, section 3.2.1.8).
func TestReceivedOptions(t *testing.T) {
	dst := in4(addrB)
	at := time.Unix(0, 0)
	stampNow := func(ms uint32) []byte { return binary.BigEndian.AppendUint32(nil, ms) }
	for _, c := range []struct {
		name                  string
		in, received, return_ []byte
	}{
		{"nothing that records", []byte{wire.IPv4OptRouterAlert, 4, 0, 0}, []byte{wire.IPv4OptRouterAlert, 4, 0, 0}, nil},
		{"a route", []byte{7, 7, 4, 0, 0, 0, 0, 0}, append(append([]byte{7, 7, 8}, dst...), 0), append(append([]byte{7, 7, 8}, dst...), 0)},
		{"a route with room for one more", []byte{1, 7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0}, append([]byte{1, 7, 11, 12, 9, 9, 9, 9}, dst...), append(append([]byte{7, 11, 12, 9, 9, 9, 9}, dst...), 0)},
		{"a route without room", []byte{7, 7, 8, 9, 9, 9, 9, 0}, []byte{7, 7, 8, 9, 9, 9, 9, 0}, []byte{7, 7, 8, 9, 9, 9, 9, 0}},
		{"times", []byte{68, 8, 5, 0, 0, 0, 0, 0}, append([]byte{68, 8, 9, 0}, stampNow(3723004)...), append([]byte{68, 8, 9, 0}, stampNow(3723004)...)},
		{"times and addresses", append([]byte{68, 12, 5, 1}, make([]byte, 8)...), append(append([]byte{68, 12, 13, 1}, dst...), stampNow(3723004)...), append(append([]byte{68, 12, 13, 1}, dst...), stampNow(3723004)...)},
		{"times of this host", append(append([]byte{68, 12, 5, 3}, dst...), 0, 0, 0, 0), append(append([]byte{68, 12, 13, 3}, dst...), stampNow(3723004)...), nil},
		{"times of another host", append([]byte{68, 12, 5, 3, 9, 9, 9, 9}, 0, 0, 0, 0), append([]byte{68, 12, 5, 3, 9, 9, 9, 9}, 0, 0, 0, 0), nil},
		{"times without room", []byte{68, 8, 9, 0x20, 1, 2, 3, 4}, []byte{68, 8, 9, 0x30, 1, 2, 3, 4}, nil},
		{"times without room, too often", []byte{68, 8, 9, 0xf0, 1, 2, 3, 4}, []byte{68, 8, 9, 0xf0, 1, 2, 3, 4}, nil},
		{"times of no kind", []byte{68, 12, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{68, 12, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0}, nil},
		{"both", append([]byte{68, 8, 5, 0, 0, 0, 0, 0}, 7, 7, 4, 0, 0, 0, 0, 0), append(append(append([]byte{68, 8, 9, 0}, stampNow(3723004)...), append([]byte{7, 7, 8}, dst...)...), 0), append(append(append([]byte{7, 7, 8}, dst...), append([]byte{68, 8, 9, 0}, stampNow(3723004)...)...), 0)},
	} {
		_, b := newPair(t, Config{})
		var now time.Time
		b.do(func() { now = b.h.Wall() })
		b.clock.Advance(at.Add(24*time.Hour*20000).Add(3723004*time.Millisecond).Sub(now)%(24*time.Hour) + 24*time.Hour)
		r := b.open("udp4").at("0.0.0.0:7").set(abi.SOL_IP, abi.IP_RECVOPTS, 1).set(abi.SOL_IP, abi.IP_RETOPTS, 1)
		udp := []byte{0, 9, 0, 7, 0, 8, 0, 0}
		h := wire.IPv4{Src: addr(addrA), Dst: addr(addrB), TTL: 64, Proto: ip.ProtoUDP, Options: c.in}
		h.TotalLen = uint16(h.Len() + len(udp))
		p := make([]byte, h.Len())
		h.Put(p)
		b.arrive(append(p, udp...))
		g := r.recv(0)
		want := fmt.Sprintf("0/6=%x 0/7=%x", c.received, c.return_)
		if c.return_ == nil {
			want = fmt.Sprintf("0/6=%x 0/7=%x", c.received, returnedOptions(c.received))
		}
		if g.err != nil || g.said() != want {
			t.Errorf("%s: %s, want %s, %v", c.name, g.said(), want, g.err)
		}
	}
}

// Control messages of a send: what they say of the packet, and what they may not (Linux, ip_cmsg_send,
// ip6_datagram_send_ctl, __sock_cmsg_send).
func TestSentControl(t *testing.T) {
	a, _ := newPair(t, Config{})
	a.cut = true
	a.do(func() {
		a.st.IP.AddAddr(a.eth, netip.MustParsePrefix("10.0.0.6/24"))
		a.st.IP.AddAddr(a.eth, netip.MustParsePrefix("2001:db8::6/64"))
	})
	pktinfo := func(index int, a string) []byte {
		return cmsg(abi.SOL_IP, abi.IP_PKTINFO, append(append(ints(index), in4(a)...), 0, 0, 0, 0))
	}
	pktinfo6 := func(a string, index int) []byte {
		return cmsg(abi.SOL_IPV6, abi.IPV6_PKTINFO, append(in6(a), ints(index)...))
	}
	const plain4, plain6 = "10.0.0.1 64 0", "2001:db8::1 64 0"
	for _, c := range []struct {
		kind, to string
		control  []byte
		want     string // an error, or source, hop limit and class
	}{
		{"udp4", addrB, nil, plain4},
		{"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TTL, ints(9)), "10.0.0.1 9 0"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TTL, ints(1)), "10.0.0.1 1 0"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TTL, ints(255)), "10.0.0.1 255 0"},
		{"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TTL, ints(0)), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TTL, ints(256)), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TTL, []byte{9}), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TTL, ints(9, 0)), "EINVAL"},
		{"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TOS, ints(0x10)), "10.0.0.1 64 16"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TOS, []byte{0x10}), "10.0.0.1 64 16"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TOS, ints(0)), plain4},
		{"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TOS, ints(256)), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TOS, ints(-1)), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_IP, abi.IP_TOS, []byte{1, 2}), "EINVAL"},
		{"udp4", addrB, pktinfo(0, "10.0.0.6"), "10.0.0.6 64 0"}, {"udp4", addrB, pktinfo(2, "0.0.0.0"), plain4}, {"udp4", addrB, pktinfo(0, "10.0.0.9"), "ENETUNREACH"}, {"udp4", addrB, pktinfo(9, "0.0.0.0"), "ENODEV"}, {"udp4", addrB, pktinfo(0, "0.0.0.0")[:24], "EINVAL"}, {"udp4", addrB, pktinfo(0, "224.0.0.1"), plain4},
		{"udp4", addrB, cmsg(abi.SOL_IP, 99, ints(9)), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_IPV6, abi.IPV6_TCLASS, ints(9)), plain4}, {"udp4", addrB, cmsg(99, 99, ints(9)), plain4}, {"udp4", addrB, []byte{1, 2, 3}, plain4},
		{"udp6", addrB6, nil, plain6}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_HOPLIMIT, ints(9)), "2001:db8::1 9 0"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_HOPLIMIT, ints(-1)), plain6}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_HOPLIMIT, ints(256)), "EINVAL"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_HOPLIMIT, ints(-2)), "EINVAL"},
		{"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_TCLASS, ints(0x20)), "2001:db8::1 64 32"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_TCLASS, ints(-1)), "2001:db8::1 64 255"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_TCLASS, ints(256)), "EINVAL"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_TCLASS, ints(1, 2)), "EINVAL"},
		{"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_DONTFRAG, ints(1)), plain6}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_DONTFRAG, ints(2)), "EINVAL"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_DONTFRAG, ints(-1)), "EINVAL"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, 99, ints(1)), "EINVAL"},
		{"udp6", addrB6, pktinfo6("2001:db8::6", 0), "2001:db8::6 64 0"}, {"udp6", addrB6, pktinfo6("2001:db8::6", 2), "2001:db8::6 64 0"}, {"udp6", addrB6, pktinfo6("2001:db8::6", 1), "EINVAL"}, {"udp6", addrB6, pktinfo6("::", 2), plain6}, {"udp6", addrB6, pktinfo6("::", 9), "ENODEV"}, {"udp6", addrB6, pktinfo6("2001:db8::9", 0), "EINVAL"}, {"udp6", addrB6, cmsg(abi.SOL_IPV6, abi.IPV6_PKTINFO, make([]byte, 19)), "EINVAL"},
		{"udp6", "::ffff:" + addrB, cmsg(abi.SOL_IP, abi.IP_TTL, ints(9)), "10.0.0.1 9 0"}, {"udp6", "::ffff:" + addrB, cmsg(abi.SOL_IPV6, abi.IPV6_HOPLIMIT, ints(9)), plain4}, {"udp6", "::ffff:" + addrB, pktinfo6("::ffff:10.0.0.6", 0), "10.0.0.6 64 0"}, {"udp6", "::ffff:" + addrB, pktinfo6("2001:db8::6", 0), "EINVAL"},
		{"udp6", addrB6, cmsg(abi.SOL_IP, abi.IP_TTL, ints(9)), plain6},
		{"udp4", addrB, cmsg(abi.SOL_SOCKET, 1, ints(0)), plain4}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, 2, ints(0)), plain4}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, 99, ints(0)), "EINVAL"},
		{"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_PRIORITY, ints(3)), plain4}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_PRIORITY, ints(7)), "EPERM"}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_PRIORITY, []byte{1}), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_PRIORITY, ints(3, 0)), "EINVAL"},
		{"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_MARK, ints(3)), "EPERM"}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_TXTIME, make([]byte, 8)), "EINVAL"},
		{"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(2)), plain4}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(16)), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, []byte{2}), "EINVAL"}, {"udp4", addrB, cmsg(abi.SOL_SOCKET, abi.SCM_TS_OPT_ID, ints(7)), "EINVAL"},
	} {
		a.lacks = map[int]bool{abi.CAP_NET_RAW: true, abi.CAP_NET_ADMIN: true}
		s := a.open(c.kind)
		to := c.to + ":7"
		if c.kind == "udp6" {
			to = "[" + c.to + "]:7"
		}
		for _, connected := range []bool{false, true} {
			if connected {
				s.with(to)
				to = "-"
			}
			a.took()
			got := name(s.send("data", to, c.control))
			if got == "<nil>" {
				p := a.took()[0]
				if p[0]>>4 == 4 {
					h, _, _ := wire.ParseIPv4(p)
					got = fmt.Sprint(h.Src, " ", h.TTL, " ", h.TOS)
				} else {
					h, _ := wire.ParseIPv6(p)
					got = fmt.Sprint(h.Src, " ", h.HopLimit, " ", h.TOS)
				}
			}
			if got != c.want {
				t.Errorf("%s to %s, connected %v, %x: %s, want %s", c.kind, c.to, connected, c.control, got, c.want)
			}
		}
	}
	a.lacks = map[int]bool{}
	s := a.open("udp4").set(abi.SOL_SOCKET, abi.SO_MARK, 1)
	s.SetOpt(abi.SOL_SOCKET, abi.SO_TXTIME, ints(1, 0))
	for _, c := range []struct {
		control []byte
		want    error
	}{
		{cmsg(abi.SOL_SOCKET, abi.SO_PRIORITY, ints(7)), nil}, {cmsg(abi.SOL_SOCKET, abi.SO_MARK, ints(3)), nil}, {cmsg(abi.SOL_SOCKET, abi.SO_MARK, []byte{3}), syscall.EINVAL},
		{cmsg(abi.SOL_SOCKET, abi.SO_TXTIME, make([]byte, 8)), nil}, {cmsg(abi.SOL_SOCKET, abi.SO_TXTIME, make([]byte, 7)), syscall.EINVAL},
	} {
		if err := s.send("x", addrB+":9", c.control); err != c.want {
			t.Errorf("%x: %v, want %v", c.control, err, c.want)
		}
	}
	// A stream checks them, and has no use for most.
	for _, c := range []struct {
		control []byte
		want    string
	}{
		{cmsg(abi.SOL_IP, abi.IP_TTL, ints(0)), "EPIPE"}, {cmsg(abi.SOL_SOCKET, 99, ints(0)), "EINVAL"}, {cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(2)), "EPIPE"}, {cmsg(abi.SOL_SOCKET, 1, ints(2)), "EPIPE"},
	} {
		if got := name(a.open("tcp4").send("x", "-", c.control)); got != c.want {
			t.Errorf("stream: %x: %s, want %s", c.control, got, c.want)
		}
	}
}

// What the options say of what is sent: hops, class, whether it may be cut.
func TestSentOptions(t *testing.T) {
	a, _ := newPair(t, Config{})
	for _, c := range []struct {
		kind, to      string
		level, opt, v int
		want          string // hops, class, don't fragment
	}{
		{"udp4", addrB, abi.SOL_IP, abi.IP_TTL, 9, "9 0 true"}, {"udp4", addrB, abi.SOL_IP, abi.IP_TOS, 9, "64 9 true"}, {"udp4", addrB, abi.SOL_IP, abi.IP_MULTICAST_TTL, 9, "64 0 true"},
		{"udp4", "224.1.2.3", abi.SOL_IP, abi.IP_TTL, 9, "1 0 true"}, {"udp4", "224.1.2.3", abi.SOL_IP, abi.IP_MULTICAST_TTL, 9, "9 0 true"},
		{"udp4", addrB, abi.SOL_IP, abi.IP_MTU_DISCOVER, 0, "64 0 false"}, {"udp4", addrB, abi.SOL_IP, abi.IP_MTU_DISCOVER, 1, "64 0 true"}, {"udp4", addrB, abi.SOL_IP, abi.IP_MTU_DISCOVER, 2, "64 0 true"}, {"udp4", addrB, abi.SOL_IP, abi.IP_MTU_DISCOVER, 3, "64 0 true"}, {"udp4", addrB, abi.SOL_IP, abi.IP_MTU_DISCOVER, 4, "64 0 false"}, {"udp4", addrB, abi.SOL_IP, abi.IP_MTU_DISCOVER, 5, "64 0 false"},
		{"udp6", addrB6, abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, 9, "9 0 false"}, {"udp6", addrB6, abi.SOL_IPV6, abi.IPV6_TCLASS, 9, "64 9 false"}, {"udp6", addrB6, abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS, 9, "64 0 false"}, {"udp6", addrB6, abi.SOL_IP, abi.IP_TTL, 9, "64 0 false"},
		{"udp6", "ff05::1", abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS, 9, "9 0 false"}, {"udp6", "ff05::1", abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, 9, "1 0 false"},
		{"udp6", "::ffff:" + addrB, abi.SOL_IP, abi.IP_TTL, 9, "9 0 true"}, {"udp6", "::ffff:" + addrB, abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, 9, "64 0 true"},
	} {
		s := a.open(c.kind).set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2).set(c.level, c.opt, c.v)
		to := c.to + ":7"
		if c.kind == "udp6" {
			to = "[" + c.to + "]:7"
		}
		a.took()
		if err := s.send("data", to); err != nil {
			t.Fatal(c, err)
		}
		p := a.took()[0]
		got := ""
		if p[0]>>4 == 4 {
			h, _, _ := wire.ParseIPv4(p)
			got = fmt.Sprint(h.TTL, " ", h.TOS, " ", h.DontFragment)
		} else {
			h, _ := wire.ParseIPv6(p)
			got = fmt.Sprint(h.HopLimit, " ", h.TOS, " false")
		}
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c, got, c.want)
		}
	}
	// What is larger than the path, by IP_MTU_DISCOVER.
	for v, want := range map[int]string{0: "<nil> 2", 1: "<nil> 2", 2: "EMSGSIZE 0", 3: "<nil> 1", 4: "<nil> 1", 5: "<nil> 1"} {
		b := newMachine(t, a.clock, Config{}, addrA+"/24")
		b.do(func() { b.st.IP.LowerPathMTU(addr(addrB), 1000) })
		s := b.open("udp4").set(abi.SOL_IP, abi.IP_MTU_DISCOVER, v)
		err := s.send(strings.Repeat("x", 1200), addrB+":7")
		if got := fmt.Sprint(name(err), " ", len(b.took())); got != want {
			t.Errorf("IP_MTU_DISCOVER %d: %s, want %s", v, got, want)
		}
	}
	// IP_MTU is what is known of the path to the peer, also once that has changed.
	s := a.open("udp4").with(addrB + ":7")
	if got := s.get(abi.SOL_IP, abi.IP_MTU); got != 1500 {
		t.Error(got)
	}
	a.do(func() { a.st.IP.LowerPathMTU(addr(addrB), 1000) })
	if got := s.get(abi.SOL_IP, abi.IP_MTU); got != 1000 {
		t.Error(got)
	}
}

// An ICMP error about a datagram: the pending error of a socket with that peer, where it is hard or
// where IP_RECVERR asks for all, and then the queue of errors, with who complains (ip(7)).
func TestDatagramErrors(t *testing.T) {
	for _, c := range []struct {
		name      string
		kind      string
		connected bool
		recverr   bool
		typ, code uint8
		info      uint32
		pending   string
		queued    bool
	}{
		{"a port, without peer", "udp4", false, false, wire.ICMPv4Unreachable, 3, 0, "EAGAIN", false},
		{"a port", "udp4", true, false, wire.ICMPv4Unreachable, 3, 0, "ECONNREFUSED", false},
		{"a host", "udp4", true, false, wire.ICMPv4Unreachable, 1, 0, "EAGAIN", false},
		{"a host, asked for", "udp4", false, true, wire.ICMPv4Unreachable, 1, 0, "EHOSTUNREACH", true},
		{"a port, asked for", "udp4", false, true, wire.ICMPv4Unreachable, 3, 0, "ECONNREFUSED", true},
		{"too large", "udp4", true, false, wire.ICMPv4Unreachable, 4, 1000, "EMSGSIZE", false},
		{"too large, asked for", "udp4", true, true, wire.ICMPv4Unreachable, 4, 1000, "EMSGSIZE", true},
		{"IPv6, a port", "udp6", true, false, wire.ICMPv6Unreachable, 4, 0, "ECONNREFUSED", false},
		{"IPv6, a port, asked for", "udp6", false, true, wire.ICMPv6Unreachable, 4, 0, "ECONNREFUSED", true},
		{"IPv6, no route", "udp6", true, false, wire.ICMPv6Unreachable, 0, 0, "EAGAIN", false},
		{"IPv6, too large, asked for", "udp6", true, true, wire.ICMPv6PacketTooBig, 0, 1400, "EMSGSIZE", true},
	} {
		a, _ := newPair(t, Config{})
		a.cut = true
		s := a.open(c.kind)
		to, level, opt, v6 := addrB+":7", abi.SOL_IP, abi.IP_RECVERR, c.kind == "udp6"
		src, dst, router := addrA, addrB, "10.0.0.254"
		if v6 {
			to, level, opt, src, dst, router = "["+addrB6+"]:7", abi.SOL_IPV6, abi.IPV6_RECVERR, addrA6, addrB6, "2001:db8::fe"
		}
		if c.recverr {
			s.set(level, opt, 1)
		}
		if c.connected {
			s.with(to)
		}
		if err := s.send("some data", to); err != nil {
			t.Fatal(err)
		}
		sent := a.took()[0]
		b := make([]byte, wire.ICMPLen)
		(&wire.ICMP{Type: c.typ, Code: c.code, Info: c.info}).Put(b)
		b = append(b, sent...)
		proto := uint8(ip.ProtoICMP)
		var sum wire.Checksum
		if v6 {
			proto = ip.ProtoICMPv6
			sum.AddPseudo(addr(router), addr(src), proto, len(b))
		}
		sum.Add(b)
		binary.BigEndian.PutUint16(b[2:], sum.Sum())
		a.arrive(whole(router, src, proto, b))

		if ev := s.ready() & wait.Err; (ev != 0) != (c.pending != "EAGAIN" || c.queued) {
			t.Errorf("%s: ready for %x", c.name, ev)
		}
		if c.queued {
			if g := s.recv(abi.MSG_ERRQUEUE | abi.MSG_PEEK); g.data == "" {
				t.Errorf("%s: %+v", c.name, g)
			} else if want := extended(s, c.pending, c.typ, c.code, c.info, router, v6); g.data != "some data" || g.from != netip.AddrPortFrom(addr(dst), 7).String() || g.flags != abi.MSG_ERRQUEUE || g.said() != want {
				t.Errorf("%s: %+v\n%s, want\n%s", c.name, g, g.said(), want)
			}
			if g := s.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN {
				t.Errorf("%s: %+v", c.name, g)
			}
			if g := s.recv(0); g.err != syscall.EAGAIN {
				t.Errorf("%s: the pending error is told twice: %+v", c.name, g)
			}
			a.arrive(whole(router, src, proto, b))
			if g := s.recvInto(4, abi.MSG_ERRQUEUE); g.data != "some" || g.flags != abi.MSG_ERRQUEUE|abi.MSG_TRUNC {
				t.Errorf("%s: %+v", c.name, g)
			}
			a.arrive(whole(router, src, proto, b))
		}
		if g := s.recv(0); name(g.err) != c.pending {
			t.Errorf("%s: %v, want %s", c.name, g.err, c.pending)
		}
		if c.info != 0 {
			s.with(to)
			if mtu := s.get(level, map[int]int{abi.SOL_IP: abi.IP_MTU, abi.SOL_IPV6: abi.IPV6_MTU}[level]); mtu != int(c.info) {
				t.Errorf("%s: an MTU of %d", c.name, mtu)
			}
		}
	}
}

// extended is the control message with a struct sock_extended_err and the offender's address.
func extended(s *sock, errno string, typ, code uint8, info uint32, from string, v6 bool) string {
	var e syscall.Errno
	for k, n := range names {
		if n == errno {
			e = k
		}
	}
	origin, level, opt := byte(originICMP), abi.SOL_IP, abi.IP_RECVERR
	if v6 {
		origin, level, opt = originICMP6, abi.SOL_IPV6, abi.IPV6_RECVERR
	}
	v := append(ints(int(e)), origin, typ, code, 0)
	v = append(v, ints(int(info), 0)...)
	v = abi.AppendAddr(v, abi.AddrFrom(netip.AddrPortFrom(addr(from), 0)))
	return fmt.Sprintf("%d/%d=%x", level, opt, v)
}

// Several errors wait in order, and the pending one is that of the next; not without bound.
func TestErrorQueue(t *testing.T) {
	a, _ := newPair(t, Config{})
	s := a.open("udp4").set(abi.SOL_IP, abi.IP_RECVERR, 1)
	udp := func(i int) []byte {
		return []byte{5000 >> 8, 5000 & 0xff, 0, 7, 0, 9, 0, 0, byte(i)}
	}
	s.at("0.0.0.0:5000")
	fail := func(i int, errno syscall.Errno, mtu int) {
		a.do(func() {
			a.st.udp.Error(&ip.Error{Src: addr(addrA), Dst: addr(addrB), From: addr(addrB), Iface: a.eth, Proto: ip.ProtoUDP, Errno: errno, MTU: mtu, Quote: udp(i)})
		})
	}
	fail(1, syscall.ECONNREFUSED, 0)
	fail(2, syscall.EHOSTUNREACH, 0)
	if g := s.recv(abi.MSG_ERRQUEUE); g.data != "\x01" {
		t.Errorf("%+v", g)
	}
	if g := s.recv(0); g.err != syscall.EHOSTUNREACH {
		t.Errorf("%+v", g)
	}
	if g := s.recv(abi.MSG_ERRQUEUE); g.data != "\x02" {
		t.Errorf("%+v", g)
	}
	for i := range maxErrors + 5 {
		fail(i, syscall.ECONNREFUSED, 0)
	}
	n := 0
	for ; s.recv(abi.MSG_ERRQUEUE).err == nil; n++ {
	}
	if n != maxErrors {
		t.Errorf("%d errors are kept", n)
	}
	// One that says less than a header, one of nobody's port, and one about the size where nobody asks for it.
	a.do(func() {
		a.st.udp.Error(&ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: syscall.ECONNREFUSED, Quote: udp(1)[:7]})
		b := udp(1)
		b[0] ^= 1
		a.st.udp.Error(&ip.Error{Src: addr(addrA), Dst: addr(addrB), Errno: syscall.ECONNREFUSED, Quote: b})
	})
	s.set(abi.SOL_IP, abi.IP_MTU_DISCOVER, 0)
	fail(1, syscall.EMSGSIZE, 1000)
	if g := s.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN || a.mtuTo(addrB) != 1500 {
		t.Errorf("%+v", g)
	}
}

func (m *machine) mtuTo(dst string) (mtu int) {
	m.do(func() {
		if p, err := m.st.path(addr(dst), netip.Addr{}, 0); err == nil {
			mtu = p.MTU
		}
	})
	return mtu
}

// When datagrams came and left is told as it was asked for
// (Documentation/networking/timestamping.rst).
func TestDatagramStamps(t *testing.T) {
	a, b := newPair(t, Config{})
	var now int64
	a.do(func() { now = a.h.Stamp() })
	ts := func(ns int64) []byte {
		v := binary.NativeEndian.AppendUint64(nil, uint64(ns/1e9))
		return append(binary.NativeEndian.AppendUint64(v, uint64(ns%1e9)), make([]byte, 32)...)
	}
	r := b.open("udp4").at(addrB+":7").set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, abi.SOF_TIMESTAMPING_RX_SOFTWARE|abi.SOF_TIMESTAMPING_SOFTWARE)
	const soft, tx, sched, id, only, cm = abi.SOF_TIMESTAMPING_SOFTWARE, abi.SOF_TIMESTAMPING_TX_SOFTWARE, abi.SOF_TIMESTAMPING_TX_SCHED, abi.SOF_TIMESTAMPING_OPT_ID, abi.SOF_TIMESTAMPING_OPT_TSONLY, abi.SOF_TIMESTAMPING_OPT_CMSG
	var s *sock
	for _, c := range []struct {
		name    string
		flags   int
		control []byte
		kinds   []int // of stamps
		key     int
		data    bool
		from    bool
	}{
		{"none", soft, nil, nil, 0, false, false},
		{"sent", soft | tx, nil, []int{0}, 0, true, false},
		{"both", soft | tx | sched, nil, []int{1, 0}, 0, true, false},
		{"numbered", soft | tx | id | only, nil, []int{0}, 0, false, false},
		{"numbered, the next", soft | tx | id | only, nil, []int{0}, 1, false, false},
		{"numbered, by its own", soft | tx | id | only, cmsg(abi.SOL_SOCKET, abi.SCM_TS_OPT_ID, ints(77)), []int{0}, 77, false, false},
		{"numbered, the one after", soft | tx | id | only, nil, []int{0}, 2, false, false},
		{"with the interface", soft | tx | cm, nil, []int{0}, 0, true, true},
		{"asked for with the datagram", soft | only, cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(sched)), []int{1}, 0, false, false},
		{"another one with the datagram", soft | only | tx, cmsg(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ints(sched)), []int{1}, 0, false, false},
	} {
		if !strings.HasPrefix(c.name, "numbered, ") {
			s = a.open("udp4").set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, c.flags)
		}
		a.took()
		if err := s.send("data", addrB+":7", c.control); err != nil {
			t.Fatal(c.name, err)
		}
		sent := a.took()[0]
		if g := r.recv(0); g.said() != fmt.Sprintf("%d/%d=%x", abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ts(now)) {
			t.Errorf("%s: received %s", c.name, g.said())
		}
		for _, kind := range c.kinds {
			g := s.recv(abi.MSG_ERRQUEUE)
			e := append(ints(int(syscall.ENOMSG)), originTimestamping, 0, 0, 0)
			e = append(e, ints(kind, c.key)...)
			if c.from {
				e = abi.AppendAddr(e, abi.AddrFrom(addrport(addrA+":0")))
			} else {
				e = append(e, make([]byte, 16)...)
			}
			want := fmt.Sprintf("%d/%d=%x %d/%d=%x", abi.SOL_SOCKET, abi.SO_TIMESTAMPING, ts(now), abi.SOL_IP, abi.IP_RECVERR, e)
			if g.said() != want || c.data && !bytes.Equal([]byte(g.data), sent) || !c.data && g.data != "" || g.from != "unspec" {
				t.Errorf("%s: %q from %s\n%s, want\n%s", c.name, g.data, g.from, g.said(), want)
			}
			if g := s.recv(0); g.err != syscall.EAGAIN {
				t.Errorf("%s: %v", c.name, g.err)
			}
		}
		if g := s.recv(abi.MSG_ERRQUEUE); g.err != syscall.EAGAIN {
			t.Errorf("%s: one more: %s", c.name, g.said())
		}
	}
	// On the loopback interface there is an Ethernet header in front.
	for dst, link := range map[string][]byte{"127.0.0.1": loopbackHeader4[:], "[::1]": loopbackHeader6[:]} {
		kind := "udp4"
		if dst == "[::1]" {
			kind = "udp6"
		}
		s := a.open(kind).set(abi.SOL_SOCKET, abi.SO_TIMESTAMPING, soft|tx)
		if err := s.send("data", dst+":7"); err != nil {
			t.Fatal(err)
		}
		if g := s.recv(abi.MSG_ERRQUEUE); !strings.HasPrefix(g.data, string(link)) || !strings.HasSuffix(g.data, "data") || len(g.control) != 2 || (kind == "udp6") != slices.Contains(g.control[1].Data[16:], 1) {
			t.Errorf("%s: %x, %s", dst, g.data, g.said())
		}
	}
}
