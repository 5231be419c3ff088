//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// network is four network namespaces in a row, so that a server is three hops away:
//
//	client ── one ── two ── server
//	   .2 1 .1  .1 2 .2  .1 3 .2     10.77.N.x, fd77:N::x
//
// The last link has an MTU of 1300, the others of 1500. On the server's loopback stand
// 10.77.9.9 and fd77:9::9. The router one has routes that fail, for 10.77.64.0/24 and the
// three that follow (and fd77:64:: to fd77:67::): unreachable, prohibit, blackhole, and one
// to an address of its link that nobody has. The client has the same in 10.77.72.0/24 and on.
type network struct {
	t    *testing.T
	name string // the common part of the namespaces' names
}

const (
	clientSide, hopOne, hopTwo, serverSide = "client", "one", "two", "server"

	serverAddr4, serverAddr6 = "10.77.3.2", "fd77:3::2"
)

var networks atomic.Int64

// newNetwork makes the namespaces, which end with the test.
func newNetwork(t *testing.T) *network {
	t.Helper()
	needRoot(t)
	need(t, "ip", "iproute2")
	need(t, "nsenter", "util-linux")
	n := &network{t, fmt.Sprintf("usock%d-%d", os.Getpid(), networks.Add(1))}
	for _, ns := range []string{clientSide, hopOne, hopTwo, serverSide} {
		if out, err := exec.Command("ip", "netns", "add", n.ns(ns)).CombinedOutput(); err != nil {
			t.Skipf("no network namespace: %v\n%s", err, out)
		}
		t.Cleanup(func() { exec.Command("ip", "netns", "del", n.ns(ns)).Run() })
		n.ip(ns, "link set lo up")
		// A limit of ICMP errors would have them depend on what the tests did before.
		n.sysctl(ns, "net/ipv4/icmp_ratelimit", "0")
		n.sysctl(ns, "net/ipv6/icmp/ratelimit", "0")
		n.sysctl(ns, "net/ipv4/icmp_msgs_per_sec", "100000")
		n.sysctl(ns, "net/ipv4/icmp_msgs_burst", "10000")
		// Duplicate address detection would delay the neighbours' first packets.
		n.sysctl(ns, "net/ipv6/conf/default/accept_dad", "0")
		n.sysctl(ns, "net/ipv6/conf/all/accept_dad", "0")
	}
	for i, ends := range [][2]string{{clientSide, hopOne}, {hopOne, hopTwo}, {hopTwo, serverSide}} {
		a, b := fmt.Sprintf("right%d", i+1), fmt.Sprintf("left%d", i+1)
		n.ip(ends[0], fmt.Sprintf("link add %s type veth peer name %s netns %s", a, b, n.ns(ends[1])))
		mtu := 1500
		if i == 2 {
			mtu = 1300
		}
		left, right := 1, 2
		if i == 0 {
			left, right = 2, 1
		}
		n.end(ends[0], a, i+1, left, mtu)
		n.end(ends[1], b, i+1, right, mtu)
	}
	n.route()
	for _, a := range []string{serverAddr4, serverAddr6} {
		eventually(t, a+" is reached", func() bool { // and the neighbours know each other
			var err error
			n.in(clientSide, func() { _, err = net.DialTimeout("tcp", net.JoinHostPort(a, "1"), time.Second) })
			return errors.Is(err, syscall.ECONNREFUSED)
		})
	}
	return n
}

// end gives one end of a link its addresses.
func (n *network) end(ns, dev string, link, host, mtu int) {
	n.ip(ns,
		fmt.Sprintf("addr add 10.77.%d.%d/24 dev %s", link, host, dev),
		fmt.Sprintf("addr add fd77:%d::%d/64 dev %s nodad", link, host, dev),
		fmt.Sprintf("link set %s mtu %d up", dev, mtu))
}

// route makes the routes.
func (n *network) route() {
	n.ip(clientSide, "route add default via 10.77.1.1", "route add default via fd77:1::1")
	n.ip(hopOne, "route add 10.77.3.0/24 via 10.77.2.2", "route add fd77:3::/64 via fd77:2::2",
		"route add 10.77.9.9 via 10.77.2.2", "route add fd77:9::9 via fd77:2::2")
	n.ip(hopTwo, "route add 10.77.1.0/24 via 10.77.2.1", "route add fd77:1::/64 via fd77:2::1",
		"route add 10.77.9.9 via 10.77.3.2", "route add fd77:9::9 via fd77:3::2")
	n.ip(serverSide, "route add default via 10.77.3.1", "route add default via fd77:3::1",
		"addr add 10.77.9.9/32 dev lo", "addr add fd77:9::9/128 dev lo nodad")
	for i, kind := range []string{"unreachable", "prohibit", "blackhole"} {
		n.ip(hopOne, fmt.Sprintf("route add %s 10.77.%d.0/24", kind, 64+i), fmt.Sprintf("route add %s fd77:%d::/64", kind, 64+i))
		n.ip(clientSide, fmt.Sprintf("route add %s 10.77.%d.0/24", kind, 72+i), fmt.Sprintf("route add %s fd77:%d::/64", kind, 72+i))
	}
	n.ip(hopOne, "route add 10.77.67.0/24 via 10.77.2.77", "route add fd77:67::/64 via fd77:2::77")
	for _, ns := range []string{hopOne, hopTwo} {
		n.sysctl(ns, "net/ipv4/ip_forward", "1")
		n.sysctl(ns, "net/ipv6/conf/all/forwarding", "1")
	}
}

// ns is a namespace's name, path where it stands.
func (n *network) ns(which string) string   { return n.name + which[:1] + which[len(which)-1:] }
func (n *network) path(which string) string { return "/run/netns/" + n.ns(which) }

// ip runs commands of ip(8) in a namespace.
func (n *network) ip(ns string, commands ...string) {
	n.t.Helper()
	c := exec.Command("ip", "-n", n.ns(ns), "-batch", "-")
	c.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := c.CombinedOutput(); err != nil {
		n.t.Fatalf("ip: %v: %s\nof: %s", err, out, strings.Join(commands, "\n"))
	}
}

// sysctl sets a value of a namespace, if the kernel has it.
func (n *network) sysctl(ns, name, value string) {
	n.t.Helper()
	n.in(ns, func() {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil && !os.IsNotExist(err) {
			n.t.Errorf("%s: %v", name, err)
		}
	})
}

// in calls f in a namespace: the sockets that it makes by itself are there.
func (n *network) in(ns string, f func()) {
	n.t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		fd, err := unix.Open(n.path(ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		n.t.Fatalf("namespace %s: %v", ns, err)
	}
}

// from is a way of running in the client's namespace, that reaches the outside.
func (n *network) from(w way) way {
	w.reach, w.netns = true, n.path(clientSide)
	return w
}
