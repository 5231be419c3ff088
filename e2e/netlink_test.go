//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// loneNamespace makes a network namespace that has a loopback interface and nothing else, as
// an isolated run has.
func loneNamespace(t *testing.T) string {
	t.Helper()
	needRoot(t)
	need(t, "ip", "iproute2")
	need(t, "nsenter", "util-linux")
	name := fmt.Sprintf("usock%d-lone%d", os.Getpid(), networks.Add(1))
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("no network namespace: %v\n%s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	if out, err := exec.Command("ip", "-n", name, "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("ip: %v\n%s", err, out)
	}
	return "/run/netns/" + name
}

// TestNetlink makes the same calls on netlink sockets, and the same requests about interfaces,
// in an isolated run and natively where there is a loopback interface and nothing else.
func TestNetlink(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	ns := loneNamespace(t)
	py := script(t, "netlink.py")
	asMany(t, func(t *testing.T, w way) {
		w.netns = ns
		for _, part := range []string{"sockets", "addresses", "options", "transfers", "sharing", "mmsg", "requests"} {
			if part == "transfers" && w.user == 0 {
				continue // one asks for a change, which the kernel lets root make
			}
			t.Run(part, func(t *testing.T) { twin(t, w, "python3 "+py+" "+part) })
		}
	})
}

// TestNetlinkNamespace asks in a network namespace that the program has made: the kernel
// answers.
func TestNetlinkNamespace(t *testing.T) {
	need(t, "ip", "iproute2")
	need(t, "unshare", "util-linux")
	need(t, "python3", "python3")
	needNamespaces(t)
	twin(t, asUser, `unshare -rn sh -c '
ip -br link; ip addr; ip route get 127.0.0.1 2>&1; ss -tln; ip link set lo up; ip -br addr; ip link add x type veth peer name y; ip -br link | cut -c1-30
python3 -c "
import socket
print(socket.if_nameindex(), [socket.if_nametoindex(n) for i, n in socket.if_nameindex()])"'`)
}

// ipCommands show or ask for something that both have, or neither.
var ipCommands = []string{
	"ip addr", "ip link", "ip -4 addr", "ip -6 addr", "ip -o addr", "ip -br link", "ip -j addr", "ip addr show dev lo", "ip addr show to 127.0.0.0/8",
	"ip route", "ip -6 route", "ip route show table all", "ip -6 route show table all", "ip route show table local", "ip route show table 100",
	"ip route show dev lo", "ip -d route show table local", "ip route get 127.0.0.1", "ip route get 127.0.0.1 from 127.0.0.1", "ip route get ::1",
	"ip route get 10.0.0.1", "ip route get 2001:db8::1", "ip route get fibmatch 127.0.0.1", "ip route get fibmatch ::1", "ip route get 127.0.0.1 iif lo",
	"ip rule", "ip -6 rule", "ip neigh", "ip neigh show dev lo", "ip neigh get 10.0.0.1 dev lo", "ip nexthop", "ip mroute",
	"ip link show lo", "ip link show none", "ip link show type veth", "ip link show master lo", "ip addr show dev none",
	"ip addr add 10.0.0.1/8 dev lo", "ip link set lo down", "ip route add default dev lo", "ip link add x type bridge", "ip neigh add 10.0.0.1 dev lo",
	"bridge link", "bridge fdb", "bridge vlan", "tc qdisc show", "tc class show dev lo", "tc filter show dev lo",
	"ss -tlnp", "ss -uan", "ss -tan", "ss -San", "ss -Man", "ss -tan sport = :80", "ss -tan state listening",
}

// TestIproute runs iproute2's commands in both.
func TestIproute(t *testing.T) {
	need(t, "ss", "iproute2")
	w := asUser
	w.netns, w.limit = loneNamespace(t), limit
	var sh strings.Builder
	for _, c := range ipCommands {
		fmt.Fprintf(&sh, "echo '%s:'; %s 2>&1 || echo \"status $?\"\n", c, c)
	}
	twin(t, w, sh.String())
}

// lister is a program that lists addresses of interfaces. What it does not tell is cut out of
// what the others do.
type lister struct {
	name          string
	program, from string // what is needed, and its Debian package
	prepare, run  string
	cut           func(line string) string
}

func listers() []lister {
	whole := func(line string) string { return line }
	c := func(name, cc, debian, flags string) lister {
		return lister{name, cc, debian, cc + " -O1 -w " + flags + " -o $bin/interfaces-" + name + " testdata/interfaces.c", "interfaces-" + name, whole}
	}
	return []lister{
		c("glibc", "cc", "gcc libc6-dev", ""), c("musl", "musl-gcc", "musl-tools", "-static"),
		{"go", "go", "golang", "CGO_ENABLED=0 go build -o $bin/gointerfaces ./testdata/gointerfaces", "gointerfaces", whole},
		{"node", "node", "nodejs", "cp testdata/interfaces.js $bin", "node $bin/interfaces.js", func(line string) string {
			f := strings.Fields(line)
			return f[0] + " " + f[2]
		}},
		{"java", "javac", "default-jdk-headless", "javac -d $bin testdata/Interfaces.java", "java -Xshare:auto -cp $bin Interfaces", func(line string) string {
			if strings.Count(line, ":") > 0 {
				return "" // those come from /proc/net
			}
			return line
		}},
	}
}

// The addresses of a run that is given the network 10.213.7.0/24.
var (
	innerNetwork   = []string{"--addr", "10.213.7.0/24"}
	innerAddresses = []string{"lo 1 127.0.0.1/8", "lo 1 ::1/128", "eth0 2 10.213.7.2/24", "eth0 2 2001:db8:7573:6f63::2/64"}
)

// TestInterfaces has languages list the addresses of a run: they are the host's, and not
// those of the network in which it runs.
func TestInterfaces(t *testing.T) {
	t.Parallel() // in networks of its own
	w := newNetwork(t).from(asUser)
	w.flags, w.limit = innerNetwork, limit
	for _, l := range listers() {
		t.Run(l.name, func(t *testing.T) {
			if l.name == "java" {
				large(t, l.program, l.from)
			} else {
				need(t, l.program, l.from)
			}
			c := exec.Command("sh", "-c", l.prepare)
			c.Env = append(os.Environ(), "bin="+bin)
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", l.prepare, err, out)
			}
			var want []string
			for _, line := range innerAddresses {
				if line = l.cut(line); line != "" {
					want = append(want, line)
				}
			}
			// In the order of names, and the shorter address of each first.
			order := " | sort"
			o := under(t, w, "bin="+bin+"\n"+l.run+order)
			sorted, err := exec.Command("sh", "-c", "printf '%s\\n' '"+strings.Join(want, "' '")+"'"+order).Output()
			if err != nil {
				t.Fatal(err)
			}
			if o.code != 0 || o.stdout != string(sorted) {
				t.Errorf("want:\n%s%v", sorted, o)
			}
		})
	}
}

// TestInterfacesAgree holds what a run shows of its interfaces and routes against what bind
// and connect do.
func TestInterfacesAgree(t *testing.T) {
	t.Parallel() // in networks of its own
	need(t, "python3", "python3")
	w := newNetwork(t).from(asUser)
	w.flags, w.limit = innerNetwork, limit
	prints(t, w, "python3 "+script(t, "interfaces.py")+" "+serverAddr4+" "+serverAddr6+" 10.77.1.2 fd77:1::2",
		"lo 1 127.0.0.1/8 True", "lo 1 ::1/128 True", "eth0 2 10.213.7.2/24 True", "eth0 2 2001:db8:7573:6f63::2/64 True",
		"10.77.1.2 Cannot assign requested address False", "fd77:1::2 Cannot assign requested address False",
		"to the outside 10.213.7.2 eth0 10.213.7.1", "to the outside 2001:db8:7573:6f63::2 eth0 2001:db8:7573:6f63::1",
		"carried [1, 100, 1, 100]")
}

// TestStatistics holds what ss shows of a run's sockets against what the sockets say: addresses,
// states, queues, and the process and descriptor of each.
func TestStatistics(t *testing.T) {
	need(t, "ss", "iproute2")
	need(t, "python3", "python3")
	asMany(t, func(t *testing.T, w way) {
		prints(t, w, "python3 "+script(t, "statistics.py"),
			"listener ['LISTEN', '1', '7']",
			"client ['ESTAB', '1000', '0'] ['cubic', 'bytes_received:1000']",
			"server ['ESTAB', '0', '0'] ['bytes_acked:1000']",
			"unaccepted ['ESTAB']",
			"IPv6 LISTEN",
			"families [[True], [True]]",
			"mapped ESTAB ::ffff:127.0.0.1",
			"of IPv4 6 of IPv6 4",
			"bound ['UNCONN', '300', '0']",
			"joined ['ESTAB', '0', '0']",
			"filtered [3, 2, 6, 6, 0]",
			"half closed FIN-WAIT-2 CLOSE-WAIT",
			"closed ['TIME-WAIT']",
			"AF_UNIX 1",
			"shared True True True")
	})
}

// TestRouteNews follows with ip monitor how a run's addresses and routes change when those of
// its machine do.
func TestRouteNews(t *testing.T) {
	t.Parallel() // in networks of its own
	n := newNetwork(t)
	w := n.from(asUser)
	w.flags, w.limit = innerNetwork, limit
	r := w.start(t, true, `ip monitor address route >news &
until_ok test -e done
kill $!`)
	told := func(want string) bool {
		b, _ := os.ReadFile(filepath.Join(r.c.Dir, "news"))
		return strings.Contains(string(b), want)
	}
	// What changes before it listens is not told, nor what changes and is at once as it was.
	has := true
	change := func() {
		if has {
			n.ip(clientSide, "route del default via fd77:1::1", "addr del fd77:1::2/64 dev right1")
		} else {
			n.ip(clientSide, "addr add fd77:1::2/64 dev right1 nodad", "route add default via fd77:1::1")
		}
		has = !has
	}
	eventually(t, "something is told", func() bool {
		change()
		return told("Deleted")
	})
	if !has {
		change()
	}
	for _, want := range []string{
		"Deleted default via 2001:db8:7573:6f63::1 dev eth0", "Deleted 2: eth0    inet6 2001:db8:7573:6f63::2/64",
		"\n2: eth0    inet6 2001:db8:7573:6f63::2/64", "\ndefault via 2001:db8:7573:6f63::1 dev eth0",
	} {
		eventually(t, want, func() bool { return told(want) })
	}
	if err := os.WriteFile(filepath.Join(r.c.Dir, "done"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if o := r.wait(t); o.code != 0 || o.late {
		t.Error(o)
	}
}
