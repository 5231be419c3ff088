//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"usock/link"
)

const kernelNote = "Kernel: the net package's sockets, in network namespaces that bench makes and that end with its processes. " +
	"One host: lo. Two hosts: a veth pair between two namespaces; at MTU 1500 with TSO, GSO and GRO off and checksum offload on, " +
	"at 64 KiB, and where TSO is named, with all offloads on. Buffers as the kernel tunes them. Congestion control: CUBIC unless said otherwise, set " +
	"on both ends of each connection, and for programs by the routes of lo, as a fresh namespace has the machine's default. " +
	"Lossy: two TUN devices with usock's link.Impair between them."

// kernelNet is the sockets of the network namespace in which a thread is.
type kernelNet struct {
	do func(func())
	cc string // congestion control
}

func (n kernelNet) DialTCP(to netip.AddrPort) (net.Conn, error) {
	var c *net.TCPConn
	var err error
	n.do(func() { c, err = net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(to)) })
	if err != nil {
		return nil, err
	}
	return c, n.choose(c)
}

// ListenTCP's connections inherit its congestion control.
func (n kernelNet) ListenTCP(at netip.AddrPort) (net.Listener, error) {
	var l *net.TCPListener
	var err error
	n.do(func() { l, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at)) })
	if err != nil {
		return nil, err
	}
	return l, n.choose(l)
}

// choose sets a socket's congestion control, whatever its namespace has.
func (n kernelNet) choose(s syscall.Conn) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	err2 := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.SOL_TCP, unix.TCP_CONGESTION, n.cc)
	})
	return errors.Join(err, err2)
}

func (n kernelNet) DialUDP(to netip.AddrPort) (net.Conn, error) { return n.udp(nil, to) }

func (n kernelNet) ListenUDP(at netip.AddrPort) (net.Conn, error) {
	var c *net.UDPConn
	var err error
	n.do(func() { c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)) })
	if err != nil {
		return nil, err
	}
	return c, c.SetReadBuffer(udpBuffer)
}

func (n kernelNet) udp(from *net.UDPAddr, to netip.AddrPort) (net.Conn, error) {
	var c *net.UDPConn
	var err error
	n.do(func() { c, err = net.DialUDP("udp4", from, net.UDPAddrFromAddrPort(to)) })
	if err != nil {
		return nil, err
	}
	return c, c.SetReadBuffer(udpBuffer)
}

// here is the namespace of the process itself, which its parent has made for it.
func here(cc string) kernelNet { return kernelNet{func(f func()) { f() }, cc} }

func kernelPair(t topology) (*pair, error) {
	cc := "cubic"
	if t == lossyBBR {
		cc = "bbr"
	}
	if err := prepare(cc); err != nil {
		return nil, err
	}
	if t == loopback {
		return &pair{here(cc), here(cc), localhost}, nil
	}
	switch t {
	case wire1500, wire1500tso, wire1500off, wire64k, lossy, lossyBBR:
	default:
		return nil, errNotServed
	}
	there, ns, err := otherNamespace(cc)
	if err != nil {
		return nil, err
	}
	if t == lossy || t == lossyBBR {
		return kernelLossy(there)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = "bench0", 1500
	if t == wire64k {
		attrs.MTU = 65535
	}
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace, veth.PeerMTU = "bench1", netlink.NsFd(ns), uint32(attrs.MTU)
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("veth: %w", err)
	}
	if err := up("bench0", clientIP, t != wire1500); err != nil {
		return nil, err
	}
	there.do(func() {
		if err = prepare(cc); err == nil {
			err = up("bench1", serverIP, t != wire1500)
		}
	})
	return &pair{here(cc), there, serverIP}, err
}

// kernelLossy joins the namespaces by two TUN devices and the path between these.
func kernelLossy(there kernelNet) (*pair, error) {
	a, err := tun("bench0", clientIP, true)
	if err != nil {
		return nil, err
	}
	var b link.Link
	there.do(func() {
		if err = prepare(there.cc); err == nil {
			b, err = tun("bench1", serverIP, true)
		}
	})
	if err != nil {
		return nil, err
	}
	// Seen from a's Impair, what the kernel sends comes in.
	path := link.ImpairConfig{In: lossyPath.Out, Out: lossyPath.In, Seed: lossyPath.Seed}
	impaired, err := link.Impair(a, path)
	if err != nil {
		return nil, err
	}
	splice(impaired, b)
	return &pair{here(there.cc), there, serverIP}, nil
}

// overTUN is the pair of a stack at clientIP and the kernel at serverIP.
func overTUN(t topology, stack network) *pair {
	if t == tunOut || t == tapOut {
		return &pair{stack, here("cubic"), serverIP}
	}
	return &pair{here("cubic"), stack, clientIP}
}

// prepare makes a fresh namespace fit for the workloads, with a congestion control: its
// own default is the machine's, whatever that is.
func prepare(cc string) error {
	if err := ownNamespace(); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	if err := congestion(lo, cc); err != nil {
		return err
	}
	// The files of /proc/sys/net belong to the namespace of the thread that opens
	// them.
	for file, value := range map[string]string{
		"ipv4/ip_local_port_range": "1024 65535",
		"ipv4/tcp_tw_reuse":        "1",
		"core/somaxconn":           "65535",
	} {
		if err := os.WriteFile("/proc/sys/net/"+file, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// ownNamespace fails where the thread is in the network namespace of the process's parent:
// what prepare changes would be the machine's.
func ownNamespace() error {
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	parents, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", os.Getppid()))
	if err == nil && own == parents {
		err = errors.New("this is not a network namespace of its own")
	}
	return err
}

// congestion gives the routes of a namespace's loopback interface a congestion control, for
// programs that choose none. A namespace may have it as its default only if the whole
// machine lets everybody use it (tcp_allowed_congestion_control), which is not bench's to
// change.
func congestion(lo netlink.Link, cc string) error {
	filter := netlink.Route{LinkIndex: lo.Attrs().Index, Table: unix.RT_TABLE_LOCAL}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Type != unix.RTN_LOCAL {
			continue
		}
		r.Congctl = cc
		if err := netlink.RouteReplace(&r); err != nil {
			return fmt.Errorf("route to %v: %w", r.Dst, err)
		}
	}
	return nil
}

// otherNamespace returns a second network namespace, which lives as long as the
// process, and a descriptor of it.
func otherNamespace(cc string) (kernelNet, int, error) {
	type ready struct {
		fd  int
		err error
	}
	made, calls := make(chan ready), make(chan func())
	go func() {
		runtime.LockOSThread() // for good: the thread is in another namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- ready{err: fmt.Errorf("unshare: %w", err)}
			return
		}
		fd, err := unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		made <- ready{fd, err}
		for f := range calls {
			f()
		}
	}()
	r := <-made
	do := func(f func()) {
		done := make(chan struct{})
		calls <- func() { f(); close(done) }
		<-done
	}
	return kernelNet{do, cc}, r.fd, r.err
}

// up gives an interface its address, sets its offloads and turns it on.
func up(name string, a netip.Addr, offloads bool) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(netip.PrefixFrom(a, 24).String())
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, addr); err != nil {
		return err
	}
	if !offloads {
		for _, cmd := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO} {
			if err := ethtool(name, cmd, 0); err != nil {
				return fmt.Errorf("ethtool %#x on %s: %w", cmd, name, err)
			}
		}
	}
	return netlink.LinkSetUp(l)
}
