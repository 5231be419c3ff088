//go:build linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFlowLog has flows end in all ways, without a rule.
func TestFlowLog(t *testing.T) {
	t.Parallel() // in networks of its own
	needPolicy(t)
	n := newNetwork(t)
	n.outerServers()
	n.sysctl(clientSide, "net/ipv4/ping_group_range", "0 2147483647")
	cases := []policyCase{
		{"tcp", serverAddr4, "7001", "ok", "closed out 1 1", ""},
		{"tcp", serverAddr6, "7001", "ok", "closed out 1 1", ""},
		{"tcp", serverAddr4, "7099", "ECONNREFUSED", "refused ECONNREFUSED out 0 0", ""},
		{"tcp", serverAddr6, "7099", "ECONNREFUSED", "refused ECONNREFUSED out 0 0", ""},
		{"tcp", "10.77.64.1", "7001", "EHOSTUNREACH", "refused EHOSTUNREACH out 0 0", ""},
		{"tcp", "10.77.72.1", "7001", "EHOSTUNREACH", "refused EHOSTUNREACH out 0 0", ""},
		{"tcp", "127.0.0.1", "7099", "ECONNREFUSED", "refused ECONNREFUSED out 0 0", ""},
		{"reset", serverAddr4, "7002", "ECONNRESET", "reset by remote out 4 5", ""},
		{"cut", serverAddr4, "7001", "ok", "reset by run out 1 1", ""},
		{"udp", serverAddr4, "7001", "ok", "closed out 1 1", ""},
		{"udp", serverAddr4, "7099", "ECONNREFUSED", "closed out 1 0", ""},
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := n.governed(ctx, nil, "python3", script(t, "policy.py"), "cases")
	var lines strings.Builder
	for i, x := range cases {
		fmt.Fprintln(&lines, firstPolicyPort+i, x.kind, x.target, x.arg)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "cases"), []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	logs := flowLogOf(t, c.Dir)
	for i, x := range cases {
		id := firstPolicyPort + i
		if want := fmt.Sprintf("%d %s\n", id, x.sees); !strings.Contains(string(out), want) {
			t.Errorf("%v: no %q in\n%s", x, want, out)
		}
		got := ""
		for _, r := range logs {
			if strings.HasSuffix(r.Local, fmt.Sprintf(":%d", id)) {
				got += strings.Replace(r.Outcome, "run ended", "closed", 1)
				if r.By != "" {
					got += " by " + r.By
				}
				if r.Errno != "" {
					got += " " + r.Errno
				}
				got += fmt.Sprintf(" %s %d %d", r.Direction, r.Sent, r.Received)
			}
		}
		if got != x.log {
			t.Errorf("%v: log %q", x, got)
		}
	}
}

// TestFlowLogFiles writes the log to what is no file, or cannot be written.
func TestFlowLogFiles(t *testing.T) {
	need(t, "python3", "python3")
	port := outerServer(t, func(c *net.TCPConn) { io.Copy(c, c) })
	run := func(sh, path string) (int, string, string) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		c, marker := command(t, ctx, "--log-flows", path, "--", "python3", "-c",
			fmt.Sprintf("import socket; s = socket.create_connection(('127.0.0.1', %d)); s.send(b'x'); s.recv(1); print('done')", port))
		reaches(c)
		c.Args = append([]string{"sh", "-c", sh, "sh", c.Path}, c.Args[1:]...)
		c.Path, c.Err = exec.LookPath("sh")
		r := finish(t, ctx, c, marker)
		return r.code, r.stdout, r.stderr
	}
	record := fmt.Sprintf(`"remote":"127.0.0.1:%d","sent":1,"received":1`, port)
	for name, x := range map[string]struct{ sh, path string }{
		"fifo":       {`mkfifo log; cat log & "$@"; wait`, "log"},
		"descriptor": {`"$@" 3>&1 | cat`, "/dev/fd/3"},
	} {
		code, out, stderr := run(x.sh, x.path)
		if code != 0 || !strings.Contains(out, record) || !strings.Contains(out, "done\n") || stderr != "" {
			t.Errorf("%s: %d\n%s%s", name, code, out, stderr)
		}
	}
	for path, want := range map[string]string{
		"":              `usock: --log-flows "": name a file, such as flows.json (usock run --help shows the flags)` + "\n",
		"nowhere/flows": "usock: --log-flows nowhere/flows: no such file or directory; name a file that you can write\n",
		"/":             "usock: --log-flows /: is a directory; name a file that you can write\n",
	} {
		if code, out, stderr := run(`"$@"`, path); code != 125 || out != "" || stderr != want {
			t.Errorf("%q: %d\n%s%s", path, code, out, stderr)
		}
	}
	if code, out, stderr := run(`"$@"`, "/dev/full"); code != 0 || out != "done\n" ||
		stderr != "usock: --log-flows /dev/full: write /dev/full: no space left on device; 1 flows were left out\n" {
		t.Errorf("a full disk: %d\n%s%s", code, out, stderr)
	}
}

// TestPolicyFlags has what makes no sense refused in plain words.
func TestPolicyFlags(t *testing.T) {
	const help = " (usock run --help shows the flags)\n"
	const forms = "; a rule is [HOST][:PORTS][/PROTO], such as api.example:443, *.example, 10.0.0.0/8:80,8000-8999/tcp, [2001:db8::/32]:53/udp, :25 or */icmp" + help
	for flags, want := range map[string]string{
		"--allow 443":               `usock: --allow 443: "443" is no address` + forms,
		"--deny api.example/dccp":   `usock: --deny api.example/dccp: "dccp" is no protocol: there are tcp, udp, sctp and icmp` + forms,
		"--deny=":                   `usock: --deny "": it is empty (* stands for everything)` + forms,
		"--deny-with no":            `usock: --deny-with no: give prohibit, reset or drop` + help,
		"--deny-with drop":          "usock: --deny-with says how what rules deny is refused, and there is neither --allow nor --deny\n",
		"--isolated --deny *:25":    "usock: --allow and --deny say what passes, and nothing leaves an isolated run or enters it: leave out --isolated or the rules (*:25)\n",
		"--isolated --log-flows no": "usock: --log-flows no: an isolated run has no flows to the outside; leave out --isolated or --log-flows\n",
	} {
		c := exec.Command(filepath.Join(bin, "usock"), append(append([]string{"run"}, strings.Fields(flags)...), "--", "true")...)
		var stderr strings.Builder
		c.Stderr = &stderr
		err := c.Run()
		if e, ok := err.(*exec.ExitError); !ok || e.Sys().(syscall.WaitStatus).ExitStatus() != 125 || stderr.String() != want {
			t.Errorf("%s: %v\n%s, want\n%s", flags, err, stderr.String(), want)
		}
	}
}
