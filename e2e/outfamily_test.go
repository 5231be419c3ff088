//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// resolving is the shell's part of a way of running that has a resolv.conf of its own, %s. Root
// begins it, and becomes an ordinary user.
const resolving = `exec unshare -m sh -c '
mount --bind %s /etc/resolv.conf
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"' sh "$@"`

// TestOuterOneFamily has clients on a machine with routes of one family only reach a name with
// addresses of both; the other family is unreachable at once.
func TestOuterOneFamily(t *testing.T) {
	need(t, "python3", "python3")
	need(t, "node", "nodejs")
	needNameServer(t)
	for _, c := range []struct{ family, with, without, via, own string }{
		{"IPv6", serverAddr6, serverAddr4, "10.77.1.1", "10.77.1.2/24"},
		{"IPv4", serverAddr4, serverAddr6, "fd77:1::1", "fd77:1::2/64"},
	} {
		t.Run(c.family, func(t *testing.T) {
			t.Parallel() // most of the time they wait
			n := newNetwork(t)
			n.outerServers()
			const name = "both.test"
			n.nameServer(name)
			n.ip(clientSide, "route del default via "+c.via, "addr del "+c.own+" dev right1")
			conf := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(conf, []byte("nameserver "+c.with+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			open(t, filepath.Dir(conf))
			w := n.from(asRoot)
			w.sh = fmt.Sprintf(resolving, conf)
			twin(t, w, fmt.Sprintf("python3 %s named %s %s; node %s %s",
				script(t, "outclient.py"), name, c.without, script(t, "outclient.js"), name))
		})
	}
}

// nameServer starts a name server on the server's side, that knows a name of the server's.
func (n *network) nameServer(name string) {
	n.t.Helper()
	c := exec.Command("nsenter", "--net="+n.path(serverSide), "dnsmasq", "-d", "-C", "/dev/null", "--user=root", "--pid-file=",
		"--no-hosts", "--no-resolv", "--local=/#/", "--bind-interfaces", "--listen-address="+serverAddr4+","+serverAddr6,
		"--host-record="+name+","+serverAddr4+","+serverAddr6)
	c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	c.WaitDelay = time.Second
	if err := c.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if n.t.Failed() {
			n.t.Logf("dnsmasq: %s", &log)
		}
	})
	for _, a := range []string{serverAddr4, serverAddr6} {
		eventually(n.t, "the name server is there", func() (ok bool) {
			n.in(serverSide, func() { ok = !refuses(net.JoinHostPort(a, "53")) }) // it has the port for streams, too
			return ok
		})
	}
}
