//go:build linux

package interop

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"usock"
	"usock/internal/abi"
	"usock/internal/uml"
	"usock/internal/wire"
	"usock/link"
)

// network is a usock host beside User-mode Linux.
type network struct {
	t      *testing.T
	kernel *umlKernel
	host   *usock.Host
	frames *link.Framed
	imp    *link.Impaired
	index  int // the machine's number of its card
}

// newNetwork joins a host with the addresses, by default usock4 and usock6, to the machine.
func newNetwork(t *testing.T, kernel *umlKernel, addrs ...netip.Prefix) *network {
	t.Helper()
	if addrs == nil {
		addrs = []netip.Prefix{usock4, usock6}
	}
	n := &network{t: t, kernel: kernel, frames: framed(t, kernel.plug(t, card, 1500, kernel4, kernel6), addrs...)}
	n.imp = impaired(t, n.frames, 1)
	n.host = host(t, usock.Config{Privileged: true, Interfaces: []usock.Interface{{Link: n.imp, Addrs: addrs}}})
	var err error
	if n.index, err = kernel.Index(card); err != nil {
		t.Fatal(err)
	}
	return n
}

func impaired(t *testing.T, l link.Link, seed uint64) *link.Impaired {
	t.Helper()
	imp, err := link.Impair(l, link.ImpairConfig{Seed: seed, MTU: l.Info().MTU})
	if err != nil {
		t.Fatal(err)
	}
	return imp
}

// host makes a host for the time of the test.
func host(t *testing.T, c usock.Config) *usock.Host {
	t.Helper()
	h, err := usock.NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// version is one of IP's, with the addresses of both.
type version struct {
	name           string
	usock, kernel  netip.Addr
	domain, icmp   int // protocol
	request, reply uint8
	headers        int // bytes, of IP and UDP
	group          netip.Addr
}

var versions = []version{
	{"IPv4", usock4.Addr(), kernel4.Addr(), unix.AF_INET, unix.IPPROTO_ICMP, wire.ICMPv4Echo, wire.ICMPv4EchoReply, 28, netip.MustParseAddr("239.1.2.3")},
	{"IPv6", usock6.Addr(), kernel6.Addr(), unix.AF_INET6, unix.IPPROTO_ICMPV6, wire.ICMPv6Echo, wire.ICMPv6EchoReply, 48, netip.MustParseAddr("ff05::1:3")},
}

// eachVersion runs the test for IPv4 and IPv6, beside the machine that they share.
func eachVersion(t *testing.T, f func(t *testing.T, n *network, v *version)) {
	kernel := newMachine(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) { f(t, newNetwork(t, kernel), &v) })
	}
}

// socket makes a socket of usock's.
func (n *network) socket(domain, typ, protocol int) *usock.Socket {
	n.t.Helper()
	s, err := n.host.Socket(domain, typ, protocol)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { s.Close() })
	s.SetDeadline(time.Now().Add(10 * time.Second))
	return s
}

// machineSocket makes a socket of the machine's.
func (n *network) machineSocket(domain, typ, protocol int) *uml.Socket {
	n.t.Helper()
	s, err := n.kernel.Socket(domain, typ, protocol)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { s.Close() })
	return s
}

// must ends the test at the first error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// echo is a message of ICMP, whose sum an ICMPv6 socket fills in.
func echo(v *version, typ uint8, sequence uint16, data []byte) []byte {
	b := append([]byte{typ, 0, 0, 0, 0x12, 0x34, byte(sequence >> 8), byte(sequence)}, data...)
	if v.domain == unix.AF_INET {
		binary.BigEndian.PutUint16(b[2:], wire.ChecksumOf(b))
	}
	return b
}

// Each finds the other by ARP or neighbour discovery, and answers its echo requests, those in
// fragments, too.
func TestUMLPing(t *testing.T) {
	eachVersion(t, func(t *testing.T, n *network, v *version) {
		for i, size := range []int{0, 56, 1472, 5000} {
			data := bytes.Repeat([]byte{byte(i + 1)}, size)
			s := n.socket(v.domain, usock.SOCK_DGRAM, v.icmp)
			_, err := s.SendTo(echo(v, v.request, uint16(i), data), 0, usock.Inet(netip.AddrPortFrom(v.kernel, 0)))
			must(t, err)
			b := make([]byte, 8000)
			k, from, err := s.RecvFrom(b, 0)
			if err != nil || b[0] != v.reply || !bytes.Equal(b[8:k], data) || from.AddrPort().Addr() != v.kernel {
				t.Fatalf("%d bytes from %v of type %d, %v", k, from, b[0], err)
			}

			m := n.machineSocket(v.domain, unix.SOCK_RAW, v.icmp)
			_, err = m.SendTo(echo(v, v.request, uint16(i), data), 0, abi.AddrFrom(netip.AddrPortFrom(v.usock, 0)))
			must(t, err)
			n.awaitReply(m, v, uint16(i), data)
		}
		at, err := n.kernel.Address(card)
		must(t, err)
		found := false
		for _, k := range n.frames.Neighbours() {
			found = found || k.Addr == v.kernel && bytes.Equal(k.Address, at[:]) && k.State == link.Reachable
		}
		if !found {
			t.Errorf("the machine is %x, and known are %v", at, n.frames.Neighbours())
		}
		if v.domain == unix.AF_INET {
			mac := n.frames.Info().Address
			if arp, err := n.kernel.ReadFile("/proc/net/arp"); err != nil || !strings.Contains(string(arp), net.HardwareAddr(mac[:]).String()) {
				t.Errorf("usock is %x, and the machine knows %s, %v", mac, arp, err)
			}
		}
	})
}

// awaitReply waits for the reply to an echo request on a raw socket, which brings others, too.
func (n *network) awaitReply(m *uml.Socket, v *version, sequence uint16, data []byte) {
	n.t.Helper()
	for {
		b, from, err := m.RecvFrom(8000, 0)
		must(n.t, err)
		if v.domain == unix.AF_INET {
			b = b[wire.IPv4MinLen:]
		}
		if b[0] == v.reply && from.IP == v.usock && binary.BigEndian.Uint16(b[6:]) == sequence {
			if !bytes.Equal(b[8:], data) {
				n.t.Fatalf("%d bytes came back of %d", len(b)-8, len(data))
			}
			return
		}
	}
}

// Datagrams both ways, of all sizes up to the largest: above the MTU in fragments, which
// arrive in order or not, some twice.
func TestUMLDatagrams(t *testing.T) {
	eachVersion(t, func(t *testing.T, n *network, v *version) {
		s := n.socket(v.domain, usock.SOCK_DGRAM, 0)
		m := n.machineSocket(v.domain, unix.SOCK_DGRAM, 0)
		must(t, s.Bind(usock.Inet(netip.AddrPortFrom(v.usock, port))), m.Bind(abi.AddrFrom(netip.AddrPortFrom(v.kernel, port))),
			s.Connect(usock.Inet(netip.AddrPortFrom(v.kernel, port))), m.Connect(abi.AddrFrom(netip.AddrPortFrom(v.usock, port))))
		shaken := link.Impairment{Delay: 2 * time.Millisecond, Reorder: 0.3, Duplicate: 0.1}
		largest := 65535 - 28
		r := rand.NewChaCha8([32]byte{1})
		for _, how := range []link.Impairment{{}, shaken} {
			must(t, n.imp.Set(how, how))
			for _, size := range []int{0, 1, 1500 - v.headers, 1500 - v.headers + 1, 4096, 20_000, largest} {
				data := make([]byte, size)
				r.Read(data)
				b := make([]byte, 1<<16)
				if k, err := s.Send(data, 0); k != size || err != nil {
					t.Fatal(size, k, err)
				}
				if got, err := n.datagram(m, data); err != nil {
					t.Fatalf("%d bytes to the kernel: %d, %v", size, len(got), err)
				}
				if k, err := m.Send(data, 0); k != size || err != nil {
					t.Fatal(size, k, err)
				}
				for {
					k, err := s.Recv(b, 0)
					if err != nil {
						t.Fatalf("%d bytes to usock: %v", size, err)
					}
					if bytes.Equal(b[:k], data) {
						break
					}
				}
			}
		}
	})
}

// datagram receives until the data comes: what was sent before may come once more.
func (n *network) datagram(m *uml.Socket, data []byte) ([]byte, error) {
	for {
		b, err := m.Recv(1<<16, 0)
		if err != nil || bytes.Equal(b, data) {
			return b, err
		}
	}
}

// A datagram to a port that nobody has is answered by ICMP, and the sender is told.
func TestUMLPortUnreachable(t *testing.T) {
	eachVersion(t, func(t *testing.T, n *network, v *version) {
		s := n.socket(v.domain, usock.SOCK_DGRAM, 0)
		must(t, s.Connect(usock.Inet(netip.AddrPortFrom(v.kernel, 9))))
		_, err := s.Send([]byte("x"), 0)
		must(t, err)
		if _, err := s.Recv(make([]byte, 1), 0); err != syscall.ECONNREFUSED {
			t.Errorf("usock: %v", err)
		}
		m := n.machineSocket(v.domain, unix.SOCK_DGRAM, 0)
		must(t, m.Connect(abi.AddrFrom(netip.AddrPortFrom(v.usock, 9))))
		_, err = m.Send([]byte("x"), 0)
		must(t, err)
		if _, err := m.Recv(1, 0); err != syscall.ECONNREFUSED {
			t.Errorf("the kernel: %v", err)
		}
	})
}

// Groups: who has joined hears, of either stack, on the interface asked for.
func TestUMLMulticast(t *testing.T) {
	eachVersion(t, func(t *testing.T, n *network, v *version) {
		to := netip.AddrPortFrom(v.group, port)
		level, join, out := unix.SOL_IP, unix.MCAST_JOIN_GROUP, unix.IP_MULTICAST_IF
		if v.domain == unix.AF_INET6 {
			level, out = unix.SOL_IPV6, unix.IPV6_MULTICAST_IF
		}
		m := n.machineSocket(v.domain, unix.SOCK_DGRAM, 0)
		request := make([]byte, 8, 136) // struct group_req
		binary.NativeEndian.PutUint32(request, uint32(n.index))
		request = abi.AppendAddr(request, abi.AddrFrom(netip.AddrPortFrom(v.group, 0)))
		request = append(request, make([]byte, 136-len(request))...)
		iface := abi.AppendInt(nil, n.index)
		if level == unix.SOL_IP {
			iface = append(make([]byte, 8), iface...) // struct ip_mreqn
		}
		wildcard := netip.IPv4Unspecified()
		if v.domain == unix.AF_INET6 {
			wildcard = netip.IPv6Unspecified()
		}
		must(t, m.SetInt(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), m.Bind(abi.AddrFrom(netip.AddrPortFrom(wildcard, port))),
			m.SetBytes(level, join, request), m.SetBytes(level, out, iface))

		c, err := n.host.ListenMulticastUDP("udp", n.imp.Info().Name, to)
		must(t, err)
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = c.WriteToUDPAddrPort([]byte("to the kernel"), to)
		must(t, err)
		if b, from, err := m.RecvFrom(100, 0); string(b) != "to the kernel" || err != nil || from.IP != v.usock {
			t.Errorf("the kernel has %q from %v, %v", b, from, err)
		}
		_, err = m.SendTo([]byte("to usock"), 0, abi.AddrFrom(to))
		must(t, err)
		b := make([]byte, 100)
		k, from, err := c.ReadFromUDPAddrPort(b)
		if string(b[:k]) != "to usock" || err != nil || v.domain == unix.AF_INET && from.Addr() != v.kernel {
			t.Errorf("usock has %q from %v, %v", b[:k], from, err)
		}
	})
}

// Link-local addresses, by zone and scope.
func TestUMLLinkLocal(t *testing.T) {
	kernel := newMachine(t)
	own := netip.MustParsePrefix("fe80::7/64")
	n := newNetwork(t, kernel, own)
	addrs, err := kernel.ReadFile("/proc/net/if_inet6")
	must(t, err)
	var there netip.Addr
	for line := range strings.Lines(string(addrs)) {
		if f := strings.Fields(line); f[5] == card && strings.HasPrefix(f[0], "fe80") {
			b, err := hex.DecodeString(f[0])
			must(t, err)
			there = netip.AddrFrom16([16]byte(b))
		}
	}
	if !there.IsValid() {
		t.Fatalf("the machine has no link-local address:\n%s", addrs)
	}
	scoped := func(a netip.AddrPort) abi.Addr {
		s := abi.AddrFrom(a)
		s.Scope = uint32(n.index)
		return s
	}
	// From usock, by the interface's name.
	m := n.machineSocket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	must(t, m.SetInt(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), m.Bind(scoped(netip.AddrPortFrom(there, port))), m.Listen(1))
	c, err := n.host.Dial("tcp", netip.AddrPortFrom(there.WithZone(n.imp.Info().Name), port).String())
	must(t, err)
	defer c.Close()
	p, from, err := m.Accept()
	must(t, err)
	if from.IP != own.Addr() || int(from.Scope) != n.index {
		t.Errorf("from %v", from)
	}
	p.Close()

	// From the machine.
	l, err := n.host.Listen("tcp", netip.AddrPortFrom(own.Addr().WithZone(n.imp.Info().Name), port).String())
	must(t, err)
	defer l.Close()
	q := n.machineSocket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	must(t, q.Connect(scoped(netip.AddrPortFrom(own.Addr(), port))))
	d, err := l.Accept()
	must(t, err)
	defer d.Close()
	index := n.host.Interfaces()[1].Index
	if got := d.RemoteAddr().(*net.TCPAddr).AddrPort(); got.Addr() != there.WithZone(strconv.Itoa(index)) {
		t.Errorf("from %v", got)
	}
	if _, err := q.Send([]byte("hello"), 0); err != nil {
		t.Error(err)
	}
	d.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 5)
	if _, err := d.Read(b); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
}

var (
	far4, router4 = netip.MustParsePrefix("10.79.0.1/24"), netip.MustParsePrefix("10.79.0.2/24")
	far6, router6 = netip.MustParsePrefix("fd79::1/64"), netip.MustParsePrefix("fd79::2/64")
)

const narrow = 1400

// The machine is a router between two hosts, with a narrower link behind it: its ICMP errors have
// usock lower a path's MTU, and TCP carries all across. A hop limit that ends there is told, too.
func TestUMLRouter(t *testing.T) {
	kernel := newMachine(t)
	for _, path := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		kernel.set(t, path, "1")
	}
	near := host(t, usock.Config{Privileged: true, Interfaces: []usock.Interface{{
		Link:   routed(t, kernel.plug(t, card, 1500, kernel4, kernel6), kernel4, kernel6, usock4, usock6),
		Addrs:  []netip.Prefix{usock4, usock6},
		Routes: []usock.Route{{Dst: far4.Masked(), Via: kernel4.Addr()}, {Dst: far6.Masked(), Via: kernel6.Addr()}},
	}}})
	far := host(t, usock.Config{Privileged: true, Interfaces: []usock.Interface{{
		Link:   routed(t, kernel.plug(t, card2, narrow, router4, router6), router4, router6, far4, far6),
		Addrs:  []netip.Prefix{far4, far6},
		Routes: []usock.Route{{Dst: usock4.Masked(), Via: router4.Addr()}, {Dst: usock6.Masked(), Via: router6.Addr()}},
	}}})
	for i, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			there := []netip.Addr{far4.Addr(), far6.Addr()}[i]
			to := netip.AddrPortFrom(there, port)
			l, err := far.Listen("tcp", to.String())
			must(t, err)
			defer l.Close()
			c, err := near.Dial("tcp", to.String())
			must(t, err)
			defer c.Close()
			s, err := l.Accept()
			must(t, err)
			defer s.Close()
			exchange(t, c.(stream), s.(stream), 200_000)
			if p, err := near.Path(there, netip.Addr{}, 0); err != nil || p.MTU != narrow {
				t.Errorf("the path's MTU is %d, %v; want %d", p.MTU, err, narrow)
			}

			level, ttl, recverr := unix.SOL_IP, unix.IP_TTL, unix.IP_RECVERR
			if v.domain == unix.AF_INET6 {
				level, ttl, recverr = unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVERR
			}
			u, err := near.Socket(v.domain, usock.SOCK_DGRAM, 0)
			must(t, err)
			defer u.Close()
			u.SetDeadline(time.Now().Add(10 * time.Second))
			must(t, u.SetSockOptInt(level, ttl, 1), u.SetSockOptInt(level, recverr, 1), u.Connect(usock.Inet(to)))
			_, err = u.Send([]byte("x"), 0)
			must(t, err)
			if _, err := u.Recv(make([]byte, 1), 0); err != syscall.EHOSTUNREACH {
				t.Errorf("a hop limit of 1: %v", err)
			}
		})
	}
}

// routed returns the link of a host that reaches the rest by gateways, one of each version.
func routed(t *testing.T, frames link.Link, gateway4, gateway6 netip.Prefix, addrs ...netip.Prefix) link.Link {
	t.Helper()
	f, err := link.Frames(frames, link.FramesConfig{Addresses: addrs, Gateways: []netip.Addr{gateway4.Addr(), gateway6.Addr()}})
	must(t, err)
	return f
}

// usock is the router: the kernel learns from its ICMP errors what the path's MTU is (RFC 1191,
// RFC 8201), and a large datagram that may not be cut is refused.
func TestUMLLearnsPathMTU(t *testing.T) {
	kernel := newMachine(t)
	frames := framed(t, kernel.plug(t, card, 1500, kernel4, kernel6), usock4, usock6)
	a, b := link.Pipe(link.PipeConfig{MTU: narrow})
	host(t, usock.Config{Privileged: true, Forward: true, Interfaces: []usock.Interface{
		{Link: frames, Addrs: []netip.Prefix{usock4, usock6}},
		{Link: a, Addrs: []netip.Prefix{router4, router6}},
	}})
	far := host(t, usock.Config{Privileged: true, Interfaces: []usock.Interface{{
		Link: b, Addrs: []netip.Prefix{far4, far6},
		Routes: []usock.Route{{Dst: kernel4.Masked(), Via: router4.Addr()}, {Dst: kernel6.Masked(), Via: router6.Addr()}},
	}}})
	must(t, kernel.Route(far4.Masked(), usock4.Addr(), card), kernel.Route(far6.Masked(), usock6.Addr(), card))
	for i, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			to := netip.AddrPortFrom([]netip.Addr{far4.Addr(), far6.Addr()}[i], port)
			level, discover, mtu := unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_MTU
			if v.domain == unix.AF_INET6 {
				level, discover, mtu = unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_MTU
			}
			m, err := kernel.Socket(v.domain, unix.SOCK_DGRAM, 0)
			must(t, err)
			defer m.Close()
			must(t, m.SetInt(level, discover, unix.IP_PMTUDISC_DO), m.Connect(abi.AddrFrom(to)))
			large := make([]byte, 1500-v.headers)
			_, err = m.Send(large, 0)
			must(t, err)
			settle(t, "path MTU", func() bool {
				k, err := m.Int(level, mtu)
				return err == nil && k == narrow
			})
			m.Int(unix.SOL_SOCKET, unix.SO_ERROR) // EMSGSIZE, which the ICMP error has left
			if _, err := m.Send(large, 0); err != syscall.EMSGSIZE {
				t.Errorf("a datagram that does not fit: %v", err)
			}

			// TCP learns the same, and goes on.
			l, err := far.Listen("tcp", to.String())
			must(t, err)
			defer l.Close()
			c, err := kernel.Dial(to, nil)
			must(t, err)
			defer c.Close()
			s, err := l.Accept()
			must(t, err)
			defer s.Close()
			exchange(t, c, s.(stream), 200_000)
		})
	}
}
