//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"usock/internal/freeport"
)

// TestPublishWrk has wrk, on this machine, load an nginx inside, which knows its clients.
func TestPublishWrk(t *testing.T) {
	need(t, "nginx", "nginx-light")
	port := freeport.Get(t)
	r := publish(t, []string{fmt.Sprintf("%d:8080", port)}, publishedNginx)
	for _, host := range []string{"127.0.0.1", "::1"} {
		eventually(t, "nginx is there", func() bool { return !refuses(at(host, port)) })
		load(t, r, nil, host, at(host, port))
	}
}

// load has wrk, begun by a prefix of its command, ask for a small file over many connections,
// and compares the clients in nginx's log with those that the kernel of wrk's side has.
func load(t *testing.T, r *running, prefix []string, from, to string) {
	t.Helper()
	need(t, "wrk", "wrk")
	log := filepath.Join(r.c.Dir, "access.log")
	if err := os.Truncate(log, 0); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	const clients = 40
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := append(slices.Clone(prefix), "wrk", "-t", "2", "-c", strconv.Itoa(clients), "-d", fmt.Sprintf("%ds", count(1, 10)), "http://"+to+"/small")
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var ports []string
	eventually(t, "all clients are connected", func() bool {
		ports = connectedTo(c.Process.Pid, netip.MustParseAddrPort(to))
		return len(ports) == clients
	})
	if err := <-ended; err != nil || strings.Contains(out.String(), "Socket errors") || strings.Contains(out.String(), "Non-2xx") {
		t.Errorf("wrk: %v\n%s", err, &out)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasPrefix(line, "Requests/sec") {
			t.Log(to, line)
		}
	}
	seen := make(map[string]int)
	lines, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	for s := bufio.NewScanner(lines); s.Scan(); {
		client, path, _ := strings.Cut(strings.TrimPrefix(s.Text(), from+" "), " ")
		if path == "/small" {
			seen[client]++
		}
	}
	for _, p := range ports {
		if seen[p] == 0 {
			t.Errorf("%s port %s is not in the log", from, p)
		}
	}
	if len(seen) > clients+1 { // wrk looks for the server first
		t.Errorf("%d clients in the log instead of %d", len(seen), clients)
	}
}

// connectedTo returns the local ports of the connections to an address, in the network
// namespace of a process.
func connectedTo(pid int, to netip.AddrPort) (ports []string) {
	const local, remote, state, established = 1, 2, 3, "01"
	name, words := "tcp", to.Addr().AsSlice()
	if to.Addr().Is6() {
		name = "tcp6"
	}
	for w := words; len(w) > 0; w = w[4:] { // words of 32 bits in the machine's order
		slices.Reverse(w[:4])
	}
	want := fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(words)), to.Port())
	table, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > state && f[remote] == want && f[state] == established {
			_, port, _ := strings.Cut(f[local], ":")
			n, _ := strconv.ParseUint(port, 16, 16)
			ports = append(ports, fmt.Sprint(n))
		}
	}
	return ports
}

// TestPublishNetwork has clients on another machine, three hops away, reach ports that are
// published at one address and at all: the server sees who they are.
func TestPublishNetwork(t *testing.T) {
	t.Parallel() // in networks of its own
	need(t, "python3", "python3")
	need(t, "nginx", "nginx-light")
	n := newNetwork(t)
	const second4, second6 = "10.77.1.22", "fd77:1::22" // besides .2 and ::2
	n.ip(clientSide, "addr add "+second4+"/24 dev right1", "addr add "+second6+"/64 dev right1 nodad")
	w := n.from(asUser)
	ports := []string{"0.0.0.0:7300:8080", "[::]:7300:8080"}
	for _, suffix := range []string{"", "/udp"} {
		for _, p := range []string{"10.77.1.2:7100", "[fd77:1::2]:7100", "0.0.0.0:7200", "[::]:7200"} {
			ports = append(ports, p+":7000"+suffix)
		}
	}
	r := publishFrom(t, w, ports, fmt.Sprintf("python3 %s 7000 &\n%s", script(t, "whose.py"), publishedNginx))
	r.prints(t, "ready")
	for _, c := range []struct{ side, to string }{
		{serverSide, "10.77.1.2:7100"},
		{serverSide, "[fd77:1::2]:7100"},
		{serverSide, "10.77.1.2:7200"},
		{serverSide, second4 + ":7200"},
		{serverSide, "[fd77:1::2]:7200"},
		{serverSide, "[" + second6 + "]:7200"},
		{hopOne, second4 + ":7200"},
		{hopOne, "[" + second6 + "]:7200"},
		{clientSide, "127.0.0.1:7200"},
		{clientSide, "[::1]:7200"},
		{clientSide, second4 + ":7200"},
		{clientSide, "[" + second6 + "]:7200"},
	} {
		for _, proto := range []string{"tcp", "udp"} {
			var got, want string
			var err error
			n.in(c.side, func() { got, want, err = askWho(proto, c.to) })
			if err != nil || got != want {
				t.Errorf("%s from %s to %s: %q instead of %q, %v", proto, c.side, c.to, got, want, err)
			}
		}
	}
	for _, other := range []string{"127.0.0.1:7100", second4 + ":7100", "[::1]:7100", "[" + second6 + "]:7100"} {
		n.in(clientSide, func() {
			if !refuses(other) {
				t.Errorf("%s is not published, and does not refuse", other)
			}
		})
	}
	for _, c := range []struct{ to, from string }{{"10.77.1.2:7300", serverAddr4}, {"[" + second6 + "]:7300", serverAddr6}} {
		eventually(t, "nginx is there", func() (ok bool) {
			n.in(serverSide, func() { ok = !refuses(c.to) })
			return ok
		})
		load(t, r, []string{"nsenter", "--net=" + n.path(serverSide)}, c.from, c.to)
	}
}

// askWho returns what whose.py says of a client, and what it should.
func askWho(proto, to string) (got, want string, err error) {
	c, err := net.Dial(proto, to)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	host, port, _ := net.SplitHostPort(c.LocalAddr().String())
	want = host + " " + port
	b := make([]byte, 100)
	n := 0
	if proto == "udp" {
		c.Write([]byte("who"))
		n, err = c.Read(b)
	} else {
		b, err = io.ReadAll(c)
		n = len(b)
	}
	return string(b[:n]), want, err
}
