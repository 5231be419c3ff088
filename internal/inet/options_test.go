package inet

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"syscall"
	"testing"

	"usock/internal/abi"
)

// step is a value that an option is set to, what the call says, and what is read then.
type step struct {
	set any // an int, or bytes; nil: not set
	err error
	get any // an int, bytes, or the error of reading; nil: as before
}

func value(v any) []byte {
	switch v := v.(type) {
	case int:
		return ints(v)
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return nil
}

// optionCase is an option of sockets of some kinds.
type optionCase struct {
	name       string
	kinds      string // of sockets, in words
	level, opt int
	steps      []step
}

func (c *optionCase) run(t *testing.T, m *machine) {
	for _, kind := range strings.Fields(c.kinds) {
		s := m.open(kind)
		var want any
		for i, x := range c.steps {
			if x.set != nil {
				if err := s.SetOpt(c.level, c.opt, value(x.set)); err != x.err {
					t.Errorf("%s of %s, step %d: set to %v: %v, want %v", c.name, kind, i, x.set, err, x.err)
				}
			}
			if x.get != nil {
				want = x.get
			}
			b := make([]byte, 64)
			n, err := s.GetOpt(c.level, c.opt, b)
			if e, ok := want.(syscall.Errno); ok {
				if err != e {
					t.Errorf("%s of %s, step %d, set to %v: reads %v, want %v", c.name, kind, i, x.set, err, e)
				}
			} else if err != nil || !bytes.Equal(b[:n], value(want)) {
				t.Errorf("%s of %s, step %d, set to %v: reads %x, %v, want %x", c.name, kind, i, x.set, b[:n], err, value(want))
			}
		}
		s.Close()
	}
}

const (
	all4   = "tcp4 udp4 ping4 raw4:99"
	all6   = "tcp6 udp6 ping6 raw6:99"
	with4  = "tcp4 tcp6 udp4 udp6 ping4 ping6 raw4:99" // sockets that have options at SOL_IP
	dgram4 = "udp4 udp6 ping4 ping6 raw4:99"
	dgram6 = "udp6 ping6 raw6:99"
)

// flagSteps are those of an option that is on or off; at SOL_IP a byte will do.
func flagSteps(level, def int) []step {
	s := []step{{nil, nil, def}, {1, nil, 1}, {0, nil, 0}, {-5, nil, 1}, {0, nil, 0}}
	if level == abi.SOL_IP {
		return append(s, step{[]byte{7}, nil, 1}, step{[]byte{0, 9}, nil, 0}, step{1, nil, 1})
	}
	return append(s, step{[]byte{1, 1, 1}, syscall.EINVAL, 0}, step{[]byte{}, syscall.EINVAL, 0}, step{1, nil, 1})
}

// Options that are on or off: what they are at first, and that each is one of its own.
func TestFlagOptions(t *testing.T) {
	a, _ := newPair(t, Config{})
	type flag struct {
		name       string
		kinds      string
		level, opt int
		def        int
		empty      bool // set by no bytes at all
	}
	flags := []flag{
		{"IP_BIND_NO_PORT", with4, abi.SOL_IP, abi.IP_BIND_NO_PORT, 0, true}, {"IP_RECVERR", with4, abi.SOL_IP, abi.IP_RECVERR, 0, true},
		{"IP_RECVTTL", with4, abi.SOL_IP, abi.IP_RECVTTL, 0, true}, {"IP_RECVTOS", with4, abi.SOL_IP, abi.IP_RECVTOS, 0, true},
		{"IP_PKTINFO", with4, abi.SOL_IP, abi.IP_PKTINFO, 0, true}, {"IP_RECVORIGDSTADDR", with4, abi.SOL_IP, abi.IP_RECVORIGDSTADDR, 0, true},
		{"IP_RECVOPTS", with4, abi.SOL_IP, abi.IP_RECVOPTS, 0, true}, {"IP_RETOPTS", with4, abi.SOL_IP, abi.IP_RETOPTS, 0, true},
		{"IP_MULTICAST_LOOP", with4, abi.SOL_IP, abi.IP_MULTICAST_LOOP, 1, false}, {"IP_FREEBIND", with4, abi.SOL_IP, abi.IP_FREEBIND, 0, false},
		{"IP_HDRINCL", "raw4:99", abi.SOL_IP, abi.IP_HDRINCL, 0, true},
		{"IPV6_MULTICAST_ALL", all6, abi.SOL_IPV6, abi.IPV6_MULTICAST_ALL, 1, false}, {"IPV6_RECVERR", all6, abi.SOL_IPV6, abi.IPV6_RECVERR, 0, false},
		{"IPV6_RECVPKTINFO", all6, abi.SOL_IPV6, abi.IPV6_RECVPKTINFO, 0, false}, {"IPV6_RECVHOPLIMIT", all6, abi.SOL_IPV6, abi.IPV6_RECVHOPLIMIT, 0, false},
		{"IPV6_RECVTCLASS", all6, abi.SOL_IPV6, abi.IPV6_RECVTCLASS, 0, false}, {"IPV6_DONTFRAG", all6, abi.SOL_IPV6, abi.IPV6_DONTFRAG, 0, true},
		{"IPV6_RECVORIGDSTADDR", all6, abi.SOL_IPV6, abi.IPV6_RECVORIGDSTADDR, 0, false}, {"IPV6_FREEBIND", all6, abi.SOL_IPV6, abi.IPV6_FREEBIND, 0, false},
		{"IPV6_FLOWINFO", all6, abi.SOL_IPV6, abi.IPV6_FLOWINFO, 0, false}, {"IPV6_FLOWINFO_SEND", all6, abi.SOL_IPV6, abi.IPV6_FLOWINFO_SEND, 0, false},
		{"IPV6_HDRINCL", "raw6:99", abi.SOL_IPV6, abi.IPV6_HDRINCL, 0, false},
		{"SO_REUSEADDR", "tcp4 udp6", abi.SOL_SOCKET, abi.SO_REUSEADDR, 0, false}, {"SO_REUSEADDR", "ping4 raw6:99", abi.SOL_SOCKET, abi.SO_REUSEADDR, 1, false},
		{"SO_REUSEPORT", "tcp4 udp6 ping4 raw6:99", abi.SOL_SOCKET, abi.SO_REUSEPORT, 0, false},
		{"SO_KEEPALIVE", "tcp4 udp6", abi.SOL_SOCKET, abi.SO_KEEPALIVE, 0, false}, {"SO_OOBINLINE", "tcp4 udp6", abi.SOL_SOCKET, abi.SO_OOBINLINE, 0, false},
		{"UDP_CORK", "udp4 udp6", abi.SOL_UDP, abi.UDP_CORK, 0, false}, {"UDP_GRO", "udp4 udp6", abi.SOL_UDP, abi.UDP_GRO, 0, false},
		{"TCP_NODELAY", "tcp4 tcp6", abi.SOL_TCP, abi.TCP_NODELAY, 0, false}, {"TCP_CORK", "tcp4 tcp6", abi.SOL_TCP, abi.TCP_CORK, 0, false},
		{"SO_LOCK_FILTER", "", abi.SOL_SOCKET, abi.SO_LOCK_FILTER, 0, false},
	}
	for _, f := range flags {
		steps := flagSteps(f.level, f.def)
		switch {
		case f.empty && f.level == abi.SOL_IPV6:
			for i := range steps {
				steps[i].err = nil // what is no int is 0
			}
		case f.empty:
			steps = append(steps, step{[]byte{}, nil, 0})
		case f.level == abi.SOL_IP:
			steps = append(steps, step{[]byte{}, syscall.EINVAL, 1})
		}
		(&optionCase{f.name, f.kinds, f.level, f.opt, steps}).run(t, a)
	}

	// What one sets no other reads.
	for _, kind := range []string{"tcp6", "udp4", "udp6", "ping6", "raw4:99", "raw6:99"} {
		s := a.open(kind)
		var mine []flag
		for _, f := range flags {
			if slices.Contains(strings.Fields(f.kinds), kind) && f.opt != abi.SO_REUSEADDR && f.name != "IPV6_FREEBIND" { // which is IP_FREEBIND
				mine = append(mine, f)
			}
		}
		for i, f := range mine {
			s.set(f.level, f.opt, 1-f.def)
			for k, o := range mine {
				want := o.def
				if k <= i {
					want = 1 - o.def
				}
				if got := s.get(o.level, o.opt); got != want {
					t.Errorf("%s: after %s was set, %s is %d", kind, f.name, o.name, got)
				}
			}
		}
	}
}

// Options with a range (ip(7), ipv6(7), tcp(7), udp(7); Linux, do_ip_setsockopt, do_ipv6_setsockopt,
// do_tcp_setsockopt).
func TestNumberOptions(t *testing.T) {
	a, _ := newPair(t, Config{})
	none := []byte{}
	for _, c := range []optionCase{
		{"IP_TTL", with4, abi.SOL_IP, abi.IP_TTL, []step{{nil, nil, 64}, {1, nil, 1}, {255, nil, 255}, {0, syscall.EINVAL, 255}, {256, syscall.EINVAL, 255}, {-2, syscall.EINVAL, 255}, {-1, nil, 64}, {[]byte{9}, nil, 9}}},
		{"IP_MULTICAST_TTL", dgram4, abi.SOL_IP, abi.IP_MULTICAST_TTL, []step{{nil, nil, 1}, {0, nil, 0}, {255, nil, 255}, {256, syscall.EINVAL, 255}, {-2, syscall.EINVAL, 255}, {[]byte{}, syscall.EINVAL, 255}, {-1, nil, 1}}},
		{"IP_MINTTL", with4, abi.SOL_IP, abi.IP_MINTTL, []step{{nil, nil, 0}, {255, nil, 255}, {256, syscall.EINVAL, 255}, {-1, syscall.EINVAL, 255}, {none, syscall.EINVAL, 255}, {0, nil, 0}}},
		{"IP_MULTICAST_ALL", dgram4, abi.SOL_IP, abi.IP_MULTICAST_ALL, []step{{nil, nil, 1}, {0, nil, 0}, {1, nil, 1}, {2, syscall.EINVAL, 1}, {-1, syscall.EINVAL, 1}, {none, syscall.EINVAL, 1}}},
		{"IP_MTU_DISCOVER", with4, abi.SOL_IP, abi.IP_MTU_DISCOVER, []step{{nil, nil, 1}, {0, nil, 0}, {5, nil, 5}, {6, syscall.EINVAL, 5}, {-1, syscall.EINVAL, 5}}},
		{"IP_TOS", "udp4 udp6 ping4 raw4:99", abi.SOL_IP, abi.IP_TOS, []step{{nil, nil, 0}, {0x1f, nil, 0x1f}, {0xff, nil, 0xff}, {0x101, nil, 1}, {[]byte{0x10}, nil, 0x10}}},
		{"IP_TOS, whose last bits are TCP's own", "tcp4 tcp6", abi.SOL_IP, abi.IP_TOS, []step{{nil, nil, 0}, {0x1f, nil, 0x1c}, {0xff, nil, 0xfc}, {3, nil, 0}}},
		{"IP_HDRINCL", "udp4 tcp4", abi.SOL_IP, abi.IP_HDRINCL, []step{{nil, nil, 0}, {1, syscall.ENOPROTOOPT, 0}}},
		{"IP_OPTIONS", with4, abi.SOL_IP, abi.IP_OPTIONS, []step{{nil, nil, none}}},
		{"IP_MTU", with4, abi.SOL_IP, abi.IP_MTU, []step{{nil, nil, syscall.ENOTCONN}, {1, syscall.ENOPROTOOPT, syscall.ENOTCONN}}},
		{"IPV6_MTU", all6, abi.SOL_IPV6, abi.IPV6_MTU, []step{{nil, nil, syscall.ENOTCONN}, {1280, nil, syscall.ENOTCONN}, {0, nil, syscall.ENOTCONN}, {1279, syscall.EINVAL, syscall.ENOTCONN}, {-1, syscall.EINVAL, syscall.ENOTCONN}, {none, syscall.EINVAL, syscall.ENOTCONN}}},
		{"IPV6_UNICAST_HOPS", all6, abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, []step{{nil, nil, 64}, {0, nil, 0}, {255, nil, 255}, {256, syscall.EINVAL, 255}, {-2, syscall.EINVAL, 255}, {-1, nil, 64}, {[]byte{1}, syscall.EINVAL, 64}}},
		{"IPV6_MULTICAST_HOPS", dgram6, abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS, []step{{nil, nil, 1}, {0, nil, 0}, {255, nil, 255}, {256, syscall.EINVAL, 255}, {-2, syscall.EINVAL, 255}, {-1, nil, 1}}},
		{"IPV6_MULTICAST_LOOP", dgram6, abi.SOL_IPV6, abi.IPV6_MULTICAST_LOOP, []step{{nil, nil, 1}, {0, nil, 0}, {1, nil, 1}, {2, syscall.EINVAL, 1}, {-1, syscall.EINVAL, 1}}},
		{"IPV6_TCLASS", dgram6, abi.SOL_IPV6, abi.IPV6_TCLASS, []step{{nil, nil, 0}, {255, nil, 255}, {256, syscall.EINVAL, 255}, {-2, syscall.EINVAL, 255}, {-1, nil, 0}}},
		{"IPV6_TCLASS, whose last bits are TCP's own", "tcp6", abi.SOL_IPV6, abi.IPV6_TCLASS, []step{{nil, nil, 0}, {255, nil, 252}, {-1, nil, 0}}},
		{"IPV6_MTU_DISCOVER", all6, abi.SOL_IPV6, abi.IPV6_MTU_DISCOVER, []step{{nil, nil, 1}, {0, nil, 0}, {5, nil, 5}, {6, syscall.EINVAL, 5}, {-1, syscall.EINVAL, 5}}},
		{"IPV6_AUTOFLOWLABEL", all6, abi.SOL_IPV6, abi.IPV6_AUTOFLOWLABEL, []step{{nil, nil, 1}, {0, nil, 0}, {5, nil, 1}, {[]byte{1}, nil, 0}}},
		{"IPV6_V6ONLY", "tcp6 udp6 raw6:99", abi.SOL_IPV6, abi.IPV6_V6ONLY, []step{{nil, nil, 0}}},
		{"IPV6_V6ONLY", "ping6", abi.SOL_IPV6, abi.IPV6_V6ONLY, []step{{nil, nil, 1}, {0, nil, 0}}},
		{"IPV6_V6ONLY", "tcp6 udp6", abi.SOL_IPV6, abi.IPV6_V6ONLY, []step{{5, nil, 1}, {0, nil, 0}, {[]byte{1}, syscall.EINVAL, 0}}},
		{"IP_UNICAST_IF", with4, abi.SOL_IP, abi.IP_UNICAST_IF, []step{{nil, nil, 0}, {[]byte{0, 0, 0, 2}, nil, []byte{0, 0, 0, 2}}, {[]byte{0, 0, 0, 3}, syscall.EADDRNOTAVAIL, nil}, {[]byte{0, 0, 0}, syscall.EINVAL, nil}, {0, nil, 0}}},
		{"IPV6_UNICAST_IF", all6, abi.SOL_IPV6, abi.IPV6_UNICAST_IF, []step{{nil, nil, 0}, {[]byte{0, 0, 0, 1}, nil, []byte{0, 0, 0, 1}}, {[]byte{0, 0, 0, 3}, syscall.EADDRNOTAVAIL, nil}, {0, nil, 0}}},
		{"IPV6_MULTICAST_IF", dgram6, abi.SOL_IPV6, abi.IPV6_MULTICAST_IF, []step{{nil, nil, 0}, {2, nil, 2}, {3, syscall.ENODEV, 2}, {0, nil, 0}}},
		{"IP_MULTICAST_IF", dgram4, abi.SOL_IP, abi.IP_MULTICAST_IF, []step{{nil, nil, 0}, {[]byte{10, 0, 0, 1}, nil, []byte{10, 0, 0, 1}}, {[]byte{10, 0, 0, 9}, syscall.EADDRNOTAVAIL, nil}, {[]byte{10, 0, 0}, syscall.EINVAL, nil},
			{append(make([]byte, 4), 127, 0, 0, 1), nil, []byte{127, 0, 0, 1}}, {append(make([]byte, 8), ints(2)...), nil, 0}, {append(make([]byte, 8), ints(7)...), syscall.EADDRNOTAVAIL, 0}, {make([]byte, 4), nil, 0}}},

		// Those of multicast are read, and refused, of a stream.
		{"IP_MULTICAST_TTL", "tcp4 tcp6", abi.SOL_IP, abi.IP_MULTICAST_TTL, []step{{nil, nil, 1}, {5, syscall.EINVAL, 1}}},
		{"IP_MULTICAST_IF", "tcp4 tcp6", abi.SOL_IP, abi.IP_MULTICAST_IF, []step{{nil, nil, 0}, {make([]byte, 4), syscall.EINVAL, 0}}},
		{"IP_ADD_MEMBERSHIP", "tcp4", abi.SOL_IP, abi.IP_ADD_MEMBERSHIP, []step{{make([]byte, 8), syscall.EPROTO, syscall.ENOPROTOOPT}}},
		{"IPV6_ADD_MEMBERSHIP", "tcp6", abi.SOL_IPV6, abi.IPV6_ADD_MEMBERSHIP, []step{{make([]byte, 20), syscall.EPROTO, syscall.ENOPROTOOPT}, {make([]byte, 19), syscall.EINVAL, syscall.ENOPROTOOPT}}},
		{"IPV6_MULTICAST_HOPS", "tcp6", abi.SOL_IPV6, abi.IPV6_MULTICAST_HOPS, []step{{nil, nil, 1}, {5, syscall.ENOPROTOOPT, 1}}},

		{"UDP_SEGMENT", "udp4 udp6", abi.SOL_UDP, abi.UDP_SEGMENT, []step{{nil, nil, 0}, {65535, nil, 65535}, {65536, syscall.EINVAL, 65535}, {-1, syscall.EINVAL, 65535}, {0, nil, 0}}},
		{"SO_ZEROCOPY", "udp4 tcp6", abi.SOL_SOCKET, abi.SO_ZEROCOPY, []step{{nil, nil, 0}, {1, nil, 1}, {2, syscall.EINVAL, 1}}},
		{"SO_ZEROCOPY", "ping4 raw6:99", abi.SOL_SOCKET, abi.SO_ZEROCOPY, []step{{nil, nil, 0}, {1, syscall.EOPNOTSUPP, 0}}},
		{"SO_PEERCRED", "udp4 tcp6 ping4 raw6:99", abi.SOL_SOCKET, abi.SO_PEERCRED, []step{{nil, nil, append(ints(0), ints(-1, -1)...)}, {1, syscall.ENOPROTOOPT, nil}}},
		{"SO_PEEK_OFF", "udp4 tcp6", abi.SOL_SOCKET, abi.SO_PEEK_OFF, []step{{nil, nil, -1}, {5, nil, 5}}},
		{"SO_PEEK_OFF", "ping4 raw6:99", abi.SOL_SOCKET, abi.SO_PEEK_OFF, []step{{nil, nil, syscall.EOPNOTSUPP}}},
		{"SO_PRIORITY", "udp4 tcp6 ping4 raw6:99", abi.SOL_SOCKET, abi.SO_PRIORITY, []step{{nil, nil, 0}, {6, nil, 6}, {7, nil, 7}, {0, nil, 0}}},
		{"SO_BINDTOIFINDEX", "udp4 tcp6 ping4 raw6:99", abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, []step{{nil, nil, 0}, {2, nil, 2}, {-1, syscall.EINVAL, 2}, {0, nil, 0}}},
		{"SO_BINDTODEVICE", "udp4 tcp6 ping4 raw6:99", abi.SOL_SOCKET, abi.SO_BINDTODEVICE, []step{{nil, nil, none}, {"eth0", nil, "eth0\x00"}, {"lo\x00th0", nil, "lo\x00"}, {"eth1", syscall.ENODEV, "lo\x00"}, {"", nil, none}, {"eth0\x00", nil, "eth0\x00"}, {"\x00", nil, none}}},
		{"SO_RCVBUFFORCE", "udp4 tcp6", abi.SOL_SOCKET, abi.SO_RCVBUFFORCE, []step{{100 << 20, nil, syscall.ENOPROTOOPT}}},

		{"TCP_THIN_LINEAR_TIMEOUTS", "tcp4", abi.SOL_TCP, abi.TCP_THIN_LINEAR_TIMEOUTS, []step{{nil, nil, 0}, {1, nil, 1}, {2, syscall.EINVAL, 1}, {-1, syscall.EINVAL, 1}, {0, nil, 0}}},
		{"TCP_KEEPIDLE", "tcp4", abi.SOL_TCP, abi.TCP_KEEPIDLE, []step{{nil, nil, 7200}, {1, nil, 1}, {32767, nil, 32767}, {32768, syscall.EINVAL, 32767}, {0, syscall.EINVAL, 32767}}},
		{"TCP_KEEPINTVL", "tcp4", abi.SOL_TCP, abi.TCP_KEEPINTVL, []step{{nil, nil, 75}, {1, nil, 1}, {32767, nil, 32767}, {32768, syscall.EINVAL, 32767}, {0, syscall.EINVAL, 32767}}},
		{"TCP_KEEPCNT", "tcp4", abi.SOL_TCP, abi.TCP_KEEPCNT, []step{{nil, nil, 9}, {1, nil, 1}, {127, nil, 127}, {128, syscall.EINVAL, 127}, {0, syscall.EINVAL, 127}}},
		{"TCP_SYNCNT", "tcp4", abi.SOL_TCP, abi.TCP_SYNCNT, []step{{nil, nil, 6}, {1, nil, 1}, {127, nil, 127}, {128, syscall.EINVAL, 127}, {0, syscall.EINVAL, 127}}},
		{"TCP_USER_TIMEOUT", "tcp4", abi.SOL_TCP, abi.TCP_USER_TIMEOUT, []step{{nil, nil, 0}, {1000, nil, 1000}, {-1, syscall.EINVAL, 1000}, {0, nil, 0}}},
		{"TCP_LINGER2", "tcp4", abi.SOL_TCP, abi.TCP_LINGER2, []step{{nil, nil, 60}, {5, nil, 5}, {-1, nil, -1}, {-9, nil, -1}, {0, nil, 60}, {121, nil, 120}}},
		{"TCP_MAXSEG", "tcp4", abi.SOL_TCP, abi.TCP_MAXSEG, []step{{nil, nil, 536}, {1000, nil, 1000}, {87, syscall.EINVAL, 1000}, {32768, syscall.EINVAL, 1000}}},
		{"TCP_WINDOW_CLAMP", "tcp4", abi.SOL_TCP, abi.TCP_WINDOW_CLAMP, []step{{nil, nil, 0}, {5000, nil, 5000}, {0, nil, 0}}},
		{"TCP_NOTSENT_LOWAT", "tcp4", abi.SOL_TCP, abi.TCP_NOTSENT_LOWAT, []step{{nil, nil, 0}, {5000, nil, 5000}, {-1, nil, -1}}},
		{"TCP_FASTOPEN", "tcp4", abi.SOL_TCP, abi.TCP_FASTOPEN, []step{{nil, nil, 0}, {5, nil, 5}, {-1, syscall.EINVAL, 5}, {1 << 20, nil, 4096}, {0, nil, 0}}},
		{"TCP_FASTOPEN_CONNECT", "tcp4", abi.SOL_TCP, abi.TCP_FASTOPEN_CONNECT, []step{{nil, nil, 0}, {1, nil, 1}, {2, syscall.EINVAL, 1}, {-1, syscall.EINVAL, 1}, {0, nil, 0}}},
		{"TCP_DEFER_ACCEPT", "tcp4", abi.SOL_TCP, abi.TCP_DEFER_ACCEPT, []step{{nil, nil, 0}, {1, nil, 1}, {2, nil, 3}, {3, nil, 3}, {4, nil, 7}, {0, nil, 0}, {100, nil, 127}, {200, nil, 247}, {300, nil, 367}}},
		{"TCP_INQ", "tcp4", abi.SOL_TCP, abi.TCP_INQ, []step{{nil, nil, 0}, {1, nil, 1}, {2, syscall.EINVAL, 1}, {-1, syscall.EINVAL, 1}, {0, nil, 0}}},
		{"TCP_ULP", "tcp4", abi.SOL_TCP, abi.TCP_ULP, []step{{nil, nil, none}, {"tls", syscall.ENOENT, none}, {"", syscall.EINVAL, none}}},
		{"TCP_CONGESTION", "tcp4", abi.SOL_TCP, abi.TCP_CONGESTION, []step{{nil, nil, "cubic" + strings.Repeat("\x00", 11)}, {"reno", nil, "reno" + strings.Repeat("\x00", 12)}, {"cubic\x00junk", nil, "cubic" + strings.Repeat("\x00", 11)}, {"none", syscall.ENOENT, nil}, {"", syscall.EINVAL, nil}, {"\x00", syscall.ENOENT, nil}}},
		{"SO_ACCEPTCONN", "tcp4 udp4", abi.SOL_SOCKET, abi.SO_ACCEPTCONN, []step{{nil, nil, 0}, {1, syscall.ENOPROTOOPT, 0}}},
		{"SO_RCVBUF", "tcp4", abi.SOL_SOCKET, abi.SO_RCVBUF, []step{{nil, nil, 131072}, {5000, nil, 10000}, {0, nil, 2304}}},
		{"SO_SNDBUF", "tcp4", abi.SOL_SOCKET, abi.SO_SNDBUF, []step{{nil, nil, 16384}, {5000, nil, 10000}, {0, nil, 4608}}},
		{"SO_RCVLOWAT", "tcp4", abi.SOL_SOCKET, abi.SO_RCVLOWAT, []step{{nil, nil, 1}, {100, nil, 100}, {0, nil, 1}, {-1, nil, 30 << 20}}},
		{"SO_ATTACH_BPF", "udp4 tcp6 ping4 raw6:99", abi.SOL_SOCKET, abi.SO_ATTACH_BPF, []step{{5, syscall.EBADF, syscall.ENOPROTOOPT}, {[]byte{1, 2, 3, 4, 5}, syscall.EINVAL, nil}}},

		{"IPV6_CHECKSUM", "raw6:99", abi.SOL_IPV6, abi.IPV6_CHECKSUM, []step{{nil, nil, -1}, {4, nil, 4}, {3, syscall.EINVAL, 4}, {-9, nil, -1}, {0, nil, 0}}},
		{"IPV6_CHECKSUM", "raw6:99", abi.SOL_RAW, abi.IPV6_CHECKSUM, []step{{nil, nil, -1}, {4, nil, 4}, {3, syscall.EINVAL, 4}}},
		{"IPV6_CHECKSUM, which is ICMPv6's", "raw6:58", abi.SOL_IPV6, abi.IPV6_CHECKSUM, []step{{nil, nil, 2}, {4, syscall.EINVAL, 2}}},
		{"IPV6_CHECKSUM at SOL_RAW", "raw6:58", abi.SOL_RAW, abi.IPV6_CHECKSUM, []step{{nil, nil, 2}, {4, nil, 4}}},
		{"IPV6_CHECKSUM", "raw4:99", abi.SOL_RAW, abi.IPV6_CHECKSUM, []step{{4, syscall.ENOPROTOOPT, syscall.ENOPROTOOPT}}},
		{"ICMP_FILTER", "raw4:1", abi.SOL_RAW, icmpFilter, []step{{nil, nil, 0}, {-2, nil, -2}, {[]byte{0}, nil, 0xffffff00 - 1<<32}, {append(ints(5), 9), nil, 5}}},
		{"ICMP_FILTER", "raw4:99", abi.SOL_RAW, icmpFilter, []step{{1, syscall.EOPNOTSUPP, syscall.EOPNOTSUPP}}},
		{"ICMP_FILTER", "raw6:58", abi.SOL_RAW, icmpFilter, []step{{1, syscall.ENOPROTOOPT, syscall.ENOPROTOOPT}, {[]byte{1, 0, 0}, syscall.EINVAL, syscall.ENOPROTOOPT}}},
		{"ICMP6_FILTER", "raw6:58", abi.SOL_ICMPV6, icmpFilter, []step{{nil, nil, make([]byte, 32)}, {bytes.Repeat([]byte{7}, 32), nil, bytes.Repeat([]byte{7}, 32)}, {ints(1), nil, append(ints(1), bytes.Repeat([]byte{7}, 28)...)}}},
		{"ICMP6_FILTER", "raw6:99", abi.SOL_ICMPV6, icmpFilter, []step{{1, syscall.EOPNOTSUPP, syscall.EOPNOTSUPP}}},
		{"ICMP6_FILTER", "raw4:99", abi.SOL_ICMPV6, icmpFilter, []step{{1, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP}}},

		// Levels that a socket does not have.
		{"of IPv6", "udp4 tcp4 ping4", abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, []step{{5, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP}}},
		{"of IPv4", "raw6:99", abi.SOL_IP, abi.IP_TTL, []step{{5, syscall.ENOPROTOOPT, syscall.ENOPROTOOPT}}},
		{"of another protocol", "udp4", abi.SOL_TCP, abi.TCP_NODELAY, []step{{5, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP}}},
		{"of another protocol", "udp6", abi.SOL_TCP, abi.TCP_NODELAY, []step{{5, syscall.ENOPROTOOPT, syscall.ENOPROTOOPT}}},
		{"of none", "udp4 tcp4", abi.SOL_IP, 9999, []step{{5, syscall.ENOPROTOOPT, syscall.ENOPROTOOPT}}},
		{"of its own protocol", "udp4", abi.SOL_UDP, 9999, []step{{5, syscall.ENOPROTOOPT, syscall.ENOPROTOOPT}}},
	} {
		c.run(t, a)
	}
}

// At SOL_IP an int below 256 is stored as one byte where there is no room for more.
func TestByteOptions(t *testing.T) {
	a, _ := newPair(t, Config{})
	for _, c := range []struct {
		kind string
		opt  int
		set  int
		want []byte
	}{
		{"udp4", abi.IP_TTL, 200, []byte{200}}, {"udp4", abi.IP_TOS, 0xff, []byte{0xff}}, {"udp4", abi.IP_MULTICAST_TTL, 9, []byte{9}}, {"tcp4", abi.IP_MULTICAST_TTL, -1, []byte{1}},
		{"udp4", abi.IP_RECVTTL, 1, []byte{1}}, {"udp4", abi.IP_MTU_DISCOVER, 5, []byte{5}}, {"udp4", abi.IP_HDRINCL, -1, []byte{0}},
	} {
		s := a.open(c.kind)
		if c.set >= 0 {
			s.set(abi.SOL_IP, c.opt, c.set)
		}
		b := make([]byte, 2)
		if n, err := s.GetOpt(abi.SOL_IP, c.opt, b); err != nil || !bytes.Equal(b[:n], c.want) {
			t.Errorf("%+v: %x, %v", c, b[:n], err)
		}
	}
	s := a.open("udp6")
	b := make([]byte, 2)
	if n, err := s.GetOpt(abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, b); n != 2 || err != nil {
		t.Error(n, err)
	}
}

// The priority that goes with a type of service (Linux, rt_tos2priority), where that changes.
func TestTOSPriority(t *testing.T) {
	a, _ := newPair(t, Config{})
	s := a.open("udp4")
	for _, c := range []struct{ tos, want int }{{0x10, 6}, {0x08, 2}, {0x18, 4}, {0x02, 0}, {0x1e, 4}, {0xf0, 6}, {0, 0}, {0x0c, 2}, {0x14, 6}} {
		s.set(abi.SOL_IP, abi.IP_TOS, c.tos)
		if got := s.get(abi.SOL_SOCKET, abi.SO_PRIORITY); got != c.want {
			t.Errorf("a type of service of %#x has the priority %d, want %d", c.tos, got, c.want)
		}
	}
	s.set(abi.SOL_SOCKET, abi.SO_PRIORITY, 5).set(abi.SOL_IP, abi.IP_TOS, 0x14)
	if got := s.get(abi.SOL_SOCKET, abi.SO_PRIORITY); got != 5 {
		t.Errorf("the same type of service changes the priority to %d", got)
	}
}

// What a program without capabilities may not (capabilities(7)).
func TestOptionsTakeCapabilities(t *testing.T) {
	a, _ := newPair(t, Config{})
	a.lacks[abi.CAP_NET_RAW], a.lacks[abi.CAP_NET_ADMIN], a.lacks[abi.CAP_NET_BIND_SERVICE] = true, true, true
	s := a.open("udp4")
	try := func(opt int, v any, want error) {
		t.Helper()
		if err := s.SetOpt(abi.SOL_SOCKET, opt, value(v)); err != want {
			t.Errorf("option %d to %v: %v, want %v", opt, v, err, want)
		}
	}
	try(abi.SO_PRIORITY, 6, nil)
	try(abi.SO_PRIORITY, 7, syscall.EPERM)
	try(abi.SO_PRIORITY, -1, syscall.EPERM)
	try(abi.SO_BINDTODEVICE, "eth0", nil) // once
	try(abi.SO_BINDTODEVICE, "lo", syscall.EPERM)
	try(abi.SO_BINDTOIFINDEX, -1, syscall.EPERM)
	try(abi.SO_BINDTOIFINDEX, 1, syscall.EPERM)
	try(abi.SO_BINDTODEVICE, "", syscall.EPERM)
	try(abi.SO_RCVBUFFORCE, 1, syscall.EPERM)
	try(abi.SO_SNDBUFFORCE, 1, syscall.EPERM)
	a.lacks[abi.CAP_NET_RAW] = false
	try(abi.SO_BINDTODEVICE, "lo", nil)
	try(abi.SO_PRIORITY, 7, nil)
	a.lacks[abi.CAP_NET_RAW], a.lacks[abi.CAP_NET_ADMIN] = true, false
	try(abi.SO_PRIORITY, 8, nil)
	try(abi.SO_RCVBUFFORCE, 20<<20, nil)
	try(abi.SO_SNDBUFFORCE, 30<<20, nil)
	if r, w := s.get(abi.SOL_SOCKET, abi.SO_RCVBUF), s.get(abi.SOL_SOCKET, abi.SO_SNDBUF); r != 40<<20 || w != 60<<20 {
		t.Error(r, w)
	}
	c := a.open("tcp4").set(abi.SOL_SOCKET, abi.SO_RCVBUFFORCE, 20<<20).set(abi.SOL_SOCKET, abi.SO_SNDBUFFORCE, 30<<20)
	if r, w := c.get(abi.SOL_SOCKET, abi.SO_RCVBUF), c.get(abi.SOL_SOCKET, abi.SO_SNDBUF); r != 40<<20 || w != 60<<20 {
		t.Error(r, w)
	}
	if _, err := a.tryOpen("raw4:99"); err != syscall.EPERM {
		t.Errorf("a raw socket: %v", err)
	}
	for at, want := range map[string]error{addrA + ":1023": syscall.EACCES, addrA + ":1024": nil} {
		for _, kind := range []string{"udp4", "tcp4", "udp6", "tcp6"} {
			if err := a.open(kind).bind(strings.Replace(at, addrA, map[bool]string{false: addrA, true: "[" + addrA6 + "]"}[strings.HasSuffix(kind, "6")], 1)); err != want {
				t.Errorf("%s binds to %s: %v, want %v", kind, at, err, want)
			}
		}
	}
	if err := a.open("ping4").bind(addrA + ":5"); err != nil {
		t.Errorf("an identifier: %v", err)
	}
}

// An interface that a socket is tied to must be that of IP_UNICAST_IF and of a group's.
func TestDeviceAndOtherInterfaces(t *testing.T) {
	a, _ := newPair(t, Config{})
	for _, kind := range []string{"udp4", "udp6"} {
		s := a.open(kind).set(abi.SOL_SOCKET, abi.SO_BINDTOIFINDEX, 2)
		level, unicast, group := abi.SOL_IP, abi.IP_UNICAST_IF, abi.IP_MULTICAST_IF
		index := func(n int) []byte { return append(make([]byte, 8), ints(n)...) }
		if kind == "udp6" {
			level, unicast, group = abi.SOL_IPV6, abi.IPV6_UNICAST_IF, abi.IPV6_MULTICAST_IF
			index = func(n int) []byte { return ints(n) }
		}
		for _, c := range []struct {
			opt int
			v   []byte
			err error
		}{{unicast, []byte{0, 0, 0, 2}, syscall.EINVAL}, {unicast, []byte{0, 0, 0, 0}, nil}, {group, index(1), syscall.EINVAL}, {group, index(2), nil}, {group, index(0), nil}} {
			if err := s.SetOpt(level, c.opt, c.v); err != c.err {
				t.Errorf("%s: option %d to %x: %v, want %v", kind, c.opt, c.v, err, c.err)
			}
		}
	}
}

// A filter is read as it was attached; a locked one stays (socket(7)).
func TestFilterOptions(t *testing.T) {
	a, b := newPair(t, Config{})
	ins := func(code uint16, k uint32) []byte {
		v := binary.NativeEndian.AppendUint16(nil, code)
		return binary.NativeEndian.AppendUint32(append(v, 0, 0), k)
	}
	all, none, some := ins(6, 0xffffffff), ins(6, 0), ins(6, 12) // returns so many bytes
	for _, c := range []struct {
		kind string
		at   string
		send func(s *sock) error
		cut  string
	}{
		{"udp4", addrB + ":1000", func(s *sock) error { return s.send("datagram", addrB+":1000") }, "data"},
		{"udp6", "[" + addrB6 + "]:1000", func(s *sock) error { return s.send("datagram", "["+addrB6+"]:1000") }, "data"},
	} {
		r, s := b.open(c.kind).at(c.at), a.open(c.kind)
		try := func(what string, opt int, v []byte, want error) {
			t.Helper()
			if err := r.SetOpt(abi.SOL_SOCKET, opt, v); err != want {
				t.Errorf("%s: %s: %v, want %v", c.kind, what, err, want)
			}
		}
		hears := func(want string) {
			t.Helper()
			if err := c.send(s); err != nil {
				t.Fatal(err)
			}
			if got := r.text(); got != want {
				t.Errorf("%s: %q, want %q", c.kind, got, want)
			}
		}
		hears("datagram")
		try("no filter to take off", abi.SO_DETACH_FILTER, ints(0), syscall.ENOENT)
		try("none of eight bytes", abi.SO_ATTACH_FILTER, all[:7], syscall.EINVAL)
		hears("datagram")
		try("all", abi.SO_ATTACH_FILTER, all, nil)
		hears("datagram")
		try("nothing", abi.SO_ATTACH_FILTER, none, nil)
		hears("")
		try("some", abi.SO_ATTACH_FILTER, some, nil)
		hears(c.cut)
		v := make([]byte, 16)
		if n, err := r.GetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, v); err != nil || !bytes.Equal(v[:n], some) {
			t.Errorf("%x, %v", v[:n], err)
		}
		if _, err := r.GetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, v[:7]); err != syscall.EINVAL {
			t.Error(err)
		}
		try("a lock", abi.SO_LOCK_FILTER, ints(1), nil)
		try("a lock is no more taken off", abi.SO_LOCK_FILTER, ints(0), syscall.EPERM)
		try("a lock again", abi.SO_LOCK_FILTER, ints(1), nil)
		try("another one", abi.SO_ATTACH_FILTER, all, syscall.EPERM)
		try("none", abi.SO_DETACH_FILTER, ints(0), syscall.EPERM)
		try("eBPF", abi.SO_ATTACH_BPF, ints(0), syscall.EPERM)
		hears(c.cut)
		if r.get(abi.SOL_SOCKET, abi.SO_LOCK_FILTER) != 1 {
			t.Error("the lock does not show")
		}
		r.Close()
	}
	r := a.open("udp4")
	v := make([]byte, 16)
	if n, err := r.GetOpt(abi.SOL_SOCKET, abi.SO_ATTACH_FILTER, v); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// What a connection takes over from its listener, and what it does not.
func TestInheritedOptions(t *testing.T) {
	a, b := newPair(t, Config{})
	l := b.open("tcp6").at("[" + addrB6 + "]:80")
	set := []struct{ level, opt, v, want int }{
		{abi.SOL_IP, abi.IP_TTL, 9, 9}, {abi.SOL_IP, abi.IP_TOS, 0x10, 0x10}, {abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, 8, 8}, {abi.SOL_IPV6, abi.IPV6_TCLASS, 0x20, 0x20},
		{abi.SOL_IPV6, abi.IPV6_RECVERR, 1, 1}, {abi.SOL_SOCKET, abi.SO_KEEPALIVE, 1, 1}, {abi.SOL_SOCKET, abi.SO_PRIORITY, 3, 0}, {abi.SOL_TCP, abi.TCP_NODELAY, 1, 1},
		{abi.SOL_TCP, abi.TCP_KEEPCNT, 3, 3}, {abi.SOL_TCP, abi.TCP_INQ, 1, 1}, {abi.SOL_SOCKET, abi.SO_RCVBUF, 50000, 100000}, {abi.SOL_SOCKET, abi.SO_SNDBUF, 60000, 120000},
		{abi.SOL_TCP, abi.TCP_MAXSEG, 1000, 1000}, {abi.SOL_TCP, abi.TCP_USER_TIMEOUT, 5000, 5000},
	}
	for _, o := range set {
		l.set(o.level, o.opt, o.v)
	}
	l.Owner.Store(7)
	if err := l.Listen(5); err != nil {
		t.Fatal(err)
	}
	a.open("tcp6").with("[" + addrB6 + "]:80")
	n, err := l.Accept(noContext)
	if err != nil {
		t.Fatal(err)
	}
	c := &sock{n, b}
	for _, o := range set {
		if got := c.get(o.level, o.opt); got != o.want && !(o.opt == abi.TCP_MAXSEG && got == 988) {
			t.Errorf("%d/%d is %d, want %d", o.level, o.opt, got, o.want)
		}
	}
	if n.Owner.Load() != 7 || c.get(abi.SOL_SOCKET, abi.SO_ACCEPTCONN) != 0 || l.get(abi.SOL_SOCKET, abi.SO_ACCEPTCONN) != 1 {
		t.Errorf("%d", n.Owner.Load())
	}
	// Its packets say so.
	b.took()
	if err := c.send("x", "-"); err != nil {
		t.Fatal(err)
	}
	if p := b.took()[0]; p[7] != 8 || uint(p[0]&15)<<4|uint(p[1]>>4) != 0x20 {
		t.Errorf("hop limit %d, class %x", p[7], p[:2])
	}
	c.set(abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS, 77)
	if l.get(abi.SOL_IPV6, abi.IPV6_UNICAST_HOPS) != 8 {
		t.Error("a connection's option is its listener's")
	}
}
