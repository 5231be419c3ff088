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

// TestSCTPRaw has root's programs talk with a host three hops away that has SCTP as it is, behind a link with a smaller MTU. An
// ordinary user's are refused.
func TestSCTPRaw(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	if _, err := os.Stat("/proc/net/sctp"); err == nil {
		t.Skip("the kernel has SCTP, and would abort what comes back")
	}
	n := newNetwork(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("the peer needs a TUN device: %v", err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "sctppeer"), "./testdata/sctppeer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const at4, at6 = "10.77.12.2", "fd77:12::2"
	n.ip(hopOne, "route add 10.77.12.0/30 via 10.77.2.2", "route add fd77:12::/64 via fd77:2::2")
	n.ip(hopTwo, "route add 10.77.12.0/30 via 10.77.3.2", "route add fd77:12::/64 via fd77:3::2")
	n.ip(serverSide, "tuntap add dev peer0 mode tun", "addr add 10.77.12.1/30 dev peer0", "addr add fd77:12::1/64 dev peer0 nodad", "link set peer0 up")
	n.sysctl(serverSide, "net/ipv4/ip_forward", "1")
	n.sysctl(serverSide, "net/ipv6/conf/all/forwarding", "1")
	server := asRoot
	server.netns = n.path(serverSide)
	server.peer(t, fmt.Sprintf("exec sctppeer peer0 %s/30 %s/64", at4, at6))
	ask := func(at string, port int) string {
		return fmt.Sprintf("timeout 10 python3 %s ask %s %d || echo status $?\n", script(t, "sctpencap.py"), at, port)
	}
	const refused = "connect: Connection refused\n"
	for _, c := range []struct {
		name, script string
		way          way
		flags        []string
		want, told   string
	}{
		{"IPv4", ask(at4, 5000), asRoot, nil, fmt.Sprintf(cameBack, 0), ""},
		{"IPv6", ask(at6, 5000), asRoot, nil, fmt.Sprintf(cameBack, 0), ""},
		{"several at once", "for i in 1 2 3; do (" + strings.TrimSpace(ask(at4, 5000)) + ") >out$i & done\nwait\ncat out?", asRoot, nil, strings.Repeat(fmt.Sprintf(cameBack, 0), 3), ""},
		{"a smaller MTU inside", ask(at4, 5000) + ask(at6, 5000), asRoot, []string{"--mtu", "1280"}, strings.Repeat(fmt.Sprintf(cameBack, 0), 2), ""},
		{"a port that nobody has", ask(at4, 5001) + ask(at6, 5001), asRoot, nil, refused + refused, ""},
		{"a host without SCTP", ask(serverAddr4, 5000) + ask(serverAddr6, 5000), asRoot, nil, refused + refused, ""},
		{"the gateway itself", ask("10.213.7.1", 5000), asRoot, innerNetwork, refused, ""},
		{"what is denied", ask(at4, 5000), asRoot, []string{"--deny", at4}, refused, "was denied"},
		{"what a rule of SCTP's denies", ask(at4, 5000) + ask(at6, 5000), asRoot, []string{"--deny", "*:5000/sctp", "--allow", "*"}, refused + refused, "was denied"},
		{"an ordinary user", ask(at4, 5000), asUser, nil, refused, "usock: SCTP to " + at4 + " was refused: as it is it leaves the run of a user with CAP_NET_RAW alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := n.from(c.way)
			w.flags, w.limit = c.flags, 2*twinLimit
			o := under(t, w, c.script)
			if o.late || o.code != 0 || o.stdout != c.want {
				t.Errorf("want %q: %v", c.want, o)
			}
			if got := complaints(o.stderr); !strings.Contains(got, c.told) || c.told == "" && got != "" {
				t.Errorf("told: %q, want %q", got, c.told)
			}
		})
	}
}
