//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// policyCase is what one flow is to come to. It has a port of its own, by which the log and
// the capture know it.
type policyCase struct {
	kind, target, arg string // of policy.py

	sees string // what the program sees
	log  string // outcome, errno and name of its record; "": there is none
	wire string // what the capture has of it, each thing once
}

// policyGroup is the cases of one run.
type policyGroup struct {
	name  string
	flags string
	cases []policyCase
	told  []string // on stderr
}

// Cases that are alike.

func passesTCP(target, arg string) policyCase {
	return policyCase{"tcp", target, arg, "ok", "closed", "syn synack"}
}

func passesUDP(target, arg string) policyCase {
	return policyCase{"udp", target, arg, "ok", "closed", "out in"}
}

// prohibited is a case that is denied as administratively prohibited.
func prohibited(kind, target, arg string) policyCase {
	begin := map[string]string{"tcp": "syn", "fastopen": "syn", "ping": "echo"}[kind]
	if begin == "" {
		begin = "out"
	}
	if a, err := netip.ParseAddr(target); err == nil && a.Unmap().Is6() {
		return policyCase{kind, target, arg, "EACCES", "denied EACCES", begin + " 1/1"}
	}
	return policyCase{kind, target, arg, "EHOSTUNREACH", "denied EHOSTUNREACH", begin + " 3/13"}
}

// about returns the case with the name that its record has.
func (c policyCase) about(name string) policyCase {
	c.log += " " + name
	return c
}

// after returns the case as one that asks for a name before.
func (c policyCase) after(kind, name string) policyCase {
	c.kind, c.target, c.arg = kind, name, c.kind+","+c.target+","+c.arg
	return c
}

func refusedName(kind, name, arg string) policyCase {
	c := policyCase{kind, name, arg, "rcode 5, 0", "denied REFUSED", "out in"}
	c = c.about(strings.ToLower(strings.TrimSuffix(name, ".")))
	if kind == "dnstcp" {
		c.log, c.wire = c.log+", closed", "syn synack"
	}
	return c
}

func policyGroups() []policyGroup {
	const own4, own6 = "10.77.1.2", "fd77:1::2" // the machine's
	return []policyGroup{
		{"deny", "--mtu 1500 --deny 10.77.3.2:7001/tcp --deny [fd77:3::2]:7002 --deny 10.77.9.0/24 --deny fd77:9::/64 --deny :7009/udp", []policyCase{
			prohibited("tcp", serverAddr4, "7001"),
			passesTCP(serverAddr4, "7002"),
			passesUDP(serverAddr4, "7001"),
			prohibited("tcp", serverAddr6, "7002"),
			passesTCP(serverAddr6, "7001"),
			prohibited("udp", serverAddr6, "7002"),
			passesUDP(serverAddr6, "7001"),
			prohibited("tcp", "10.77.9.9", "7001"),
			prohibited("tcp", "fd77:9::9", "7001"),
			prohibited("udp", "10.77.9.9", "7001"),
			prohibited("ping", "10.77.9.9", "-"),
			prohibited("ping", "fd77:9::9", "-"),
			{"ping", serverAddr4, "-", "ok", "closed", "echo echoreply"},
			{"ping", serverAddr6, "-", "ok", "closed", "echo echoreply"},
			prohibited("tcp", "::ffff:10.77.3.2", "7001"), // the same in IPv6's form
			prohibited("udp", "::ffff:10.77.9.9", "7001"),
			{"tcp", "::ffff:10.77.3.2", "7002", "ok", "closed", "syn synack"},
			prohibited("fastopen", serverAddr4, "7001"),
			{"fastopen", serverAddr4, "7002", "ok", "closed", "syn synack"},
			prohibited("fragments", "10.77.9.9", "7001"),
			{"fragments", serverAddr4, "7001", "ok", "closed", "out in"},
			{"errqueue", "10.77.9.9", "7001", "EHOSTUNREACH 3/13 of 7001", "denied EHOSTUNREACH", "out 3/13"},
			{"errqueue", serverAddr6, "7002", "EACCES 1/1 of 7002", "denied EACCES", "out 1/1"},
			{"elsewhere", serverAddr4, "7001,7009", "ok EHOSTUNREACH ok", "denied EHOSTUNREACH, closed", "out in 3/13"},
			{"elsewhere", serverAddr4, "7001,7002", "ok ok ok", "closed, closed", "out in"},
			{"stranger", serverAddr4, "7001", "timeout", "denied, closed", "out"}, // from port 7009
		}, []string{"10.77.3.2:7001/tcp was denied: --deny 10.77.3.2:7001/tcp", "10.77.9.9/icmp was denied: --deny 10.77.9.0/24",
			"10.77.3.2:7009/udp, which came in for port 7009, was denied: --deny :7009/udp"}},

		{"allow", "--allow 10.77.3.2:7001,7003-7004/tcp --allow [fd77:3::/64]:7001/udp --allow 10.77.9.9/icmp --allow 10.77.9.9:7002", []policyCase{
			passesTCP(serverAddr4, "7001"),
			prohibited("tcp", serverAddr4, "7002"),
			passesTCP(serverAddr4, "7003"),
			passesTCP(serverAddr4, "7004"),
			prohibited("tcp", serverAddr4, "7005"),
			prohibited("udp", serverAddr4, "7001"),
			passesUDP(serverAddr6, "7001"),
			prohibited("udp", serverAddr6, "7002"),
			prohibited("tcp", serverAddr6, "7001"),
			{"ping", "10.77.9.9", "-", "ok", "closed", "echo echoreply"},
			prohibited("ping", serverAddr4, "-"),
			prohibited("ping", serverAddr6, "-"),
			passesTCP("10.77.9.9", "7002"),
			passesUDP("10.77.9.9", "7002"),
			prohibited("tcp", "127.0.0.1", "7103"),
			{"group", "224.0.0.5", "7001", "timeout", "", "out"},
			{"group", "255.255.255.255", "7001", "timeout", "", "out"},
			prohibited("udp", nameServer4, "53"), // no rule is about a name: the name server is one like others
		}, []string{"10.77.3.2:7002/tcp was denied: no --allow is about it"}},

		{"order", "--allow 10.77.3.2:7001 --deny 10.77.3.0/24 --allow 10.77.0.0/16:7002 --deny * --allow *", []policyCase{
			passesTCP(serverAddr4, "7001"),
			prohibited("tcp", serverAddr4, "7002"),
			passesTCP("10.77.9.9", "7002"),
			prohibited("tcp", "10.77.9.9", "7001"),
			prohibited("tcp", serverAddr6, "7001"),
		}, nil},
		{"other order", "--deny 10.77.3.0/24 --allow 10.77.3.2:7001 --allow *:7002", []policyCase{
			prohibited("tcp", serverAddr4, "7001"),
			passesTCP("10.77.9.9", "7002"),
			prohibited("tcp", "10.77.9.9", "7001"),
		}, nil},

		{"reset", "--deny 10.77.9.9 --deny fd77:9::9 --deny localhost:7101 --deny-with reset", []policyCase{
			{"tcp", "10.77.9.9", "7001", "ECONNREFUSED", "denied ECONNREFUSED", "syn rst"},
			{"tcp", "fd77:9::9", "7001", "ECONNREFUSED", "denied ECONNREFUSED", "syn rst"},
			{"udp", "10.77.9.9", "7001", "ECONNREFUSED", "denied ECONNREFUSED", "out 3/3"},
			{"udp", "fd77:9::9", "7001", "ECONNREFUSED", "denied ECONNREFUSED", "out 1/4"},
			{"ping", "10.77.9.9", "-", "ECONNREFUSED", "denied ECONNREFUSED", "echo 3/3"},
			{"ping", "fd77:9::9", "-", "ECONNREFUSED", "denied ECONNREFUSED", "echo 1/4"},
			{"tcp", "127.0.0.1", "7101", "ECONNREFUSED", "denied ECONNREFUSED", "syn rst"},
			{"tcp", "::1", "7101", "ECONNREFUSED", "denied ECONNREFUSED", "syn rst"},
			{"udp", "127.0.0.1", "7101", "ECONNREFUSED", "denied ECONNREFUSED", "out 3/3"},
			{"udp", "::1", "7101", "ECONNREFUSED", "denied ECONNREFUSED", "out 1/4"},
			passesTCP("127.0.0.1", "7103"),
		}, nil},
		{"drop", "--deny 10.77.9.9 --deny fd77:9::9 --deny localhost:7101 --deny-with drop", []policyCase{
			{"silent", "10.77.9.9", "7001", "timeout", "denied", "syn"},
			{"silent", "fd77:9::9", "7001", "timeout", "denied", "syn"},
			{"udpsilent", "10.77.9.9", "7001", "timeout", "denied", "out"},
			{"udpsilent", "fd77:9::9", "7001", "timeout", "denied", "out"},
			{"ping", "10.77.9.9", "silent", "timeout", "denied", "echo"},
			{"silent", "127.0.0.1", "7101", "timeout", "denied", "syn"},
			{"udpsilent", "::1", "7101", "timeout", "denied", "out"},
			passesUDP(serverAddr4, "7001"),
		}, nil},

		{"loopback", "--deny localhost:7101 --deny 127.0.0.0/8:7102", []policyCase{
			prohibited("tcp", "127.0.0.1", "7101"),
			prohibited("tcp", "::1", "7101"),
			prohibited("udp", "127.0.0.1", "7101"),
			prohibited("udp", "::1", "7101"),
			prohibited("tcp", "127.0.0.1", "7102"),
			prohibited("tcp", "127.9.9.9", "7101"),
			prohibited("tcp", "0.0.0.0", "7101"), // which is 127.0.0.1
			prohibited("udp", "0.0.0.0", "7101"),
			prohibited("tcp", "::", "7101"), // and ::1
			prohibited("tcp", "::ffff:127.0.0.1", "7101"),
			prohibited("tcp", "::ffff:0.0.0.0", "7101"),
			prohibited("fastopen", "127.0.0.1", "7101"),
			prohibited("tcp", own4, "7101"), // the same server by the machine's other addresses
			prohibited("tcp", own6, "7101"),
			prohibited("udp", own4, "7101"),
			passesTCP(own4, "7103"),
			passesTCP(own6, "7103"),
			passesTCP("127.0.0.1", "7103"),
			passesTCP("::1", "7103"),
			passesUDP("127.0.0.1", "7103"),
			prohibited("tcp", "::1", "7102"), // the same server, once more
			{"errqueue", "127.0.0.1", "7101", "EHOSTUNREACH 3/13 of 7101", "denied EHOSTUNREACH", "out 3/13"},
			{"elsewhere", "127.0.0.1", "7103,7101", "ok EHOSTUNREACH ok", "denied EHOSTUNREACH, closed", "out in 3/13"},
		}, nil},

		{"names", "--allow api.test:7001 --allow *.wild.test:7001/tcp --allow short:7001 --allow xn--bcher-kva.test:7001 --allow rebind.test --allow svc.test:7001 --allow filed:7001 --allow given:7001 --host given=10.77.10.13", []policyCase{
			passesTCP(serverAddr4, "7001").after("named", "api.test").about("api.test"),
			passesTCP(serverAddr6, "7001").after("named", "api.test").about("api.test"),
			passesUDP(serverAddr4, "7001").after("named", "API.Test.").about("api.test"),
			prohibited("tcp", serverAddr4, "7002").after("named", "api.test").about("api.test"),
			prohibited("ping", serverAddr4, "-").after("named", "api.test").about("api.test"),
			passesTCP("10.77.10.1", "7001").after("named", "a.wild.test").about("a.wild.test"),
			passesTCP("10.77.10.7", "7001").after("named", "b.c.wild.test").about("b.c.wild.test"),
			prohibited("udp", "10.77.10.1", "7001").after("named", "a.wild.test").about("a.wild.test"),
			passesTCP("10.77.10.2", "7001").after("named", "alias.wild.test").about("alias.wild.test"), // a CNAME of hidden.test
			passesTCP("10.77.10.3", "7001").after("named", "xn--bcher-kva.test").about("xn--bcher-kva.test"),
			passesTCP("10.77.10.3", "7001").after("named", "XN--BCHER-KVA.TEST").about("xn--bcher-kva.test"),
			passesTCP("10.77.10.4", "7001").after("hinted", "svc.test").about("svc.test"),
			{"libc", "short", "7001", "ok", "closed short.corp.test", "syn synack"},
			{"libc", "filed", "7001", "ok", "closed", "syn synack"},
			{"libc", "given", "7001", "ok", "closed given.corp.test", "syn synack"},
			prohibited("tcp", "127.0.0.1", "7103").after("named", "rebind.test"), // who owns the name shall not open the machine
			prohibited("tcp", "10.77.10.9", "7001"),                              // nobody asked for its name
			{"dns", "api.test", "A", "rcode 0, 1", "closed", "out in"},
			{"dnstcp", "api.test", "AAAA", "rcode 0, 1", "closed", "syn synack"},
			refusedName("dns", "evil.test", "A"),
			refusedName("dns", "Evil.Test.", "AAAA"),
			refusedName("dns", "exfil.evil.test", "TXT"),
			refusedName("dns", "evil.test", "HTTPS"),
			refusedName("dns", "wild.test", "A"),
			refusedName("dns", "hidden.test", "A"),
			refusedName("dns", "api.test.evil.test", "A"),
			refusedName("dnstcp", "evil.test", "A"),
			refusedName("dns", "9.10.77.10.in-addr.arpa", "PTR"),
			{"dnsodd", "api.test", "two", "rcode 5, 0", "denied REFUSED", "out in"},
			{"dnsodd", "version.bind", "chaos", "rcode 5, 0", "denied REFUSED", "out in"},
			{"dnscut", "evil.test", "-", "end", "closed", "syn synack"},
			{"dnsurgent", "urgent.evil.test", "-", "timeout", "closed", "syn synack"},
			{"libc", "evil.test", "7001", "gai -3", "", ""},
			prohibited("udp", "10.77.9.9", "53"), // another name server
		}, []string{"its question about evil.test was refused: no rule can allow that name", "10.77.3.2:7002/tcp (api.test) was denied: no --allow is about it",
			"its message to the name server 10.77.10.53:53 was refused: it is no plain question"}},

		{"denied names", "--deny evil.test --deny *.bad.test --deny part.test:7001/tcp", []policyCase{
			refusedName("dns", "evil.test", "A"),
			refusedName("dns", "EVIL.TEST.", "AAAA"),
			refusedName("dns", "very.bad.test", "A"),
			{"dns", "bad.test", "A", "rcode 3, 0", "closed", "out in"},
			{"dns", "api.test", "A", "rcode 0, 1", "closed", "out in"},
			prohibited("tcp", "10.77.10.5", "7001").after("named", "part.test").about("part.test"),
			passesTCP("10.77.10.5", "7002").after("named", "part.test").about("part.test"),
			passesUDP(serverAddr4, "7001").after("named", "api.test").about("api.test"),
			prohibited("tcp", "10.77.10.6", "7001").after("named", "innocent.test").about("innocent.test"), // a CNAME of evil.test
			passesTCP("10.77.10.9", "7001"),
		}, nil},
	}
}

// policyServers are the servers of a network of this test: echoes on all addresses of the
// server and on the client's loopback interface, and a name server.
func (n *network) policyServers() *zone {
	n.t.Helper()
	n.ip(hopOne, "route add 10.77.10.0/24 via 10.77.2.2")
	n.ip(hopTwo, "route add 10.77.10.0/24 via 10.77.3.2")
	for _, i := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 53} {
		n.ip(serverSide, fmt.Sprintf("addr add 10.77.10.%d/32 dev lo", i))
	}
	n.sysctl(clientSide, "net/ipv4/ping_group_range", "0 2147483647")
	n.sysctl(clientSide, "net/ipv6/bindv6only", "0")
	for port := 7001; port <= 7004; port++ {
		n.echoes(serverSide, "", port)
	}
	for port := 7101; port <= 7103; port++ {
		n.echoes(clientSide, "", port)
	}
	for _, a := range []string{serverAddr4, serverAddr6, "10.77.9.9", "fd77:9::9"} {
		n.echoes(serverSide, a, 7001)
		n.echoes(serverSide, a, 7002)
	}
	for _, a := range []string{"127.0.0.1", "::1", "10.77.1.2"} {
		n.echoes(clientSide, a, 7101)
		n.echoes(clientSide, a, 7103)
	}
	return n.zoneServer()
}

// echoes echoes datagrams at an address, or streams at all. What says "other" is answered
// from port 7009.
func (n *network) echoes(ns, addr string, port int) {
	n.t.Helper()
	to := net.JoinHostPort(addr, strconv.Itoa(port))
	var l io.Closer
	var err error
	if addr == "" {
		n.in(ns, func() { l, err = net.Listen("tcp", to) })
		if err == nil {
			go accept(l.(net.Listener), func(c *net.TCPConn) { io.Copy(c, c) })
		}
	} else {
		var other net.PacketConn
		n.in(ns, func() {
			l, err = net.ListenPacket("udp", to)
			if err == nil && addr == serverAddr4 && port == 7001 {
				other, err = net.ListenPacket("udp", net.JoinHostPort(addr, "7009"))
			}
		})
		if other != nil {
			n.t.Cleanup(func() { other.Close() })
		}
		if err == nil {
			go echo(l.(net.PacketConn), other)
		}
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
}

func echo(p, other net.PacketConn) {
	b := make([]byte, 1<<16)
	for {
		k, from, err := p.ReadFrom(b)
		switch {
		case err != nil:
			return
		case other != nil && string(b[:k]) == "other":
			other.WriteTo(b[:k], from)
		default:
			p.WriteTo(b[:k], from)
		}
	}
}

// governed runs a command under usock run with the flags, in a network's client, with its
// name server, as an ordinary user. Its folder has the log flows.json and the capture
// trace.pcapng.
func (n *network) governed(ctx context.Context, flags []string, argv ...string) *exec.Cmd {
	n.t.Helper()
	args := append([]string{"--log-flows", "flows.json", "--pcap", "trace.pcapng"}, flags...)
	c, marker := commandAs(n.t, ctx, nobody, append(append(args, "--"), argv...)...)
	reaches(c)
	n.t.Cleanup(func() { leavesNothing(n.t, marker, c.Dir) })
	for name, text := range map[string]string{
		"resolv.conf":   "nameserver " + nameServer4 + "\nsearch corp.test\n",
		"hosts":         "127.0.0.1 localhost\n10.77.10.8 filed\n",
		"nsswitch.conf": "hosts: files dns\n",
	} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
	c.Args = append([]string{"nsenter", "--net=" + n.path(clientSide), "unshare", "-m", "sh", "-c",
		`for f in resolv.conf hosts nsswitch.conf; do mount --bind $f /etc/$f; done; exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`,
		"sh", c.Path}, c.Args[1:]...)
	c.Path, c.Err = exec.LookPath("nsenter")
	c.SysProcAttr.Credential = nil
	return c
}

// firstPolicyPort is the first of the ports that tell cases apart.
const firstPolicyPort = 20000

// TestPolicy has a program try what rules allow and deny.
func TestPolicy(t *testing.T) {
	t.Parallel() // in networks of its own
	needPolicy(t)
	n := newNetwork(t)
	server := n.policyServers()
	py := script(t, "policy.py")
	port := firstPolicyPort
	cases := 0
	for _, g := range policyGroups() {
		first := port
		port += len(g.cases)
		cases += len(g.cases)
		t.Run(g.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			m := *n
			m.t = t
			c := m.governed(ctx, strings.Fields(g.flags), "python3", py, "cases")
			var lines strings.Builder
			for i, x := range g.cases {
				fmt.Fprintln(&lines, first+i, x.kind, x.target, x.arg)
			}
			if err := os.WriteFile(filepath.Join(c.Dir, "cases"), []byte(lines.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr strings.Builder
			c.Stdout, c.Stderr = &stdout, &stderr
			if err := c.Run(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, &stdout, &stderr)
			}
			sees := make(map[int]string)
			for line := range strings.Lines(stdout.String()) {
				id, text, _ := strings.Cut(strings.TrimSpace(line), " ")
				k, _ := strconv.Atoi(id)
				sees[k] = text
			}
			logs, wires := flowLogOf(t, c.Dir), captureOf(t, c.Dir)
			for i, x := range g.cases {
				id := first + i
				got, bytes := logs.of(id, x)
				if carried := x.sees == "ok" && (strings.Contains(x.kind+x.arg, "tcp") || strings.Contains(x.kind+x.arg, "udp")); carried && bytes != 2 {
					t.Errorf("%s %s %s: %d bytes were carried, of one each way", x.kind, x.target, x.arg, bytes)
				}
				if sees[id] != x.sees || got != x.log || wires[id] != x.wire {
					t.Errorf("%s %s %s:\nsees %q, want %q\nlog  %q, want %q\nwire %q, want %q", x.kind, x.target, x.arg,
						sees[id], x.sees, got, x.log, wires[id], x.wire)
				}
			}
			for _, want := range g.told {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("stderr has no %q:\n%s", want, &stderr)
				}
			}
		})
	}
	t.Logf("%d cases", cases)
	if cases < 60 {
		t.Errorf("only %d cases", cases)
	}
	for name := range server.asked() {
		if strings.HasSuffix(name, "evil.test.") && name != "evil.test." || name == "hidden.test." {
			t.Errorf("the server was asked for %s", name)
		}
	}
}

func needPolicy(t *testing.T) {
	t.Helper()
	needRoot(t)
	need(t, "python3", "python3")
	need(t, "tshark", "tshark")
	need(t, "setpriv", "util-linux")
}

// flowRecord is a line of --log-flows.
type flowRecord struct {
	Start, End                                                time.Time
	Proto, Direction, Process, Name, Outcome, By, Errno, Rule string
	Local, Remote                                             string
	PID                                                       int
	Sent, Received                                            uint64
}

type flowRecords []flowRecord

// flowLogOf reads the log of a run.
func flowLogOf(t *testing.T, dir string) (all flowRecords) {
	t.Helper()
	path := filepath.Join(dir, "flows.json")
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("the log has mode %v", st.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r flowRecord
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if r.Start.IsZero() || r.End.Before(r.Start) || r.PID == 0 || !strings.HasPrefix(r.Process, "python3") {
			t.Errorf("a record lacks something: %s", lines.Bytes())
		}
		if r.Outcome == "denied" && r.Sent+r.Received > 0 {
			t.Errorf("denied, and yet something was carried: %s", lines.Bytes())
		}
		all = append(all, r)
	}
	return all
}

// of returns what the log says of a case, in the order of ends. What is open when the run ends
// may be closed by then, or not. bytes are those of both ways.
func (all flowRecords) of(id int, c policyCase) (text string, bytes uint64) {
	var out []string
	for _, r := range all {
		mine := strings.HasSuffix(r.Local, fmt.Sprintf(":%d", id)) || strings.HasSuffix(r.Remote, fmt.Sprintf(":%d", id))
		if r.Proto == "icmp" {
			mine = strings.Contains(c.kind+","+c.arg, "ping") && strings.Contains(","+c.target+","+c.arg+",", ","+r.Remote+",")
		}
		if !mine {
			continue
		}
		bytes += r.Sent + r.Received
		text := strings.Replace(r.Outcome, "run ended", "closed", 1)
		for _, s := range []string{r.Errno, r.Name} {
			if s != "" {
				text += " " + s
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, ", "), bytes
}

// captureOf returns what a run's capture has of each case: what is there more than once is
// said once.
func captureOf(t *testing.T, dir string) map[int]string {
	t.Helper()
	fields := []string{"tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "icmp.ident", "icmpv6.echo.identifier",
		"icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code", "tcp.flags"}
	args := []string{"-r", filepath.Join(dir, "trace.pcapng"), "-n", "-T", "fields", "-E", "separator=;", "-E", "occurrence=f"}
	for _, p := range []string{"tcp", "udp"} {
		args = append(args, "-d", p+".port==1-65535,data")
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	b, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	wires := make(map[int]string)
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ";")
		num := func(i int) int {
			v, err := strconv.ParseInt(f[i], 0, 32)
			if err != nil {
				return -1
			}
			return int(v)
		}
		src, dst := max(num(0), num(2)), max(num(1), num(3))
		typ, code := max(num(6), num(8)), max(num(7), num(9))
		id, what := src, ""
		ours := func(p int) bool { return p >= firstPolicyPort && p < firstPolicyPort+1000 }
		switch ident := max(num(4), num(5)); {
		case typ == 8 || typ == 128:
			id, what = ident, "echo"
		case typ == 0 || typ == 129:
			id, what = ident, "echoreply"
		case typ >= 0 && ident >= 0:
			id, what = ident, fmt.Sprintf("%d/%d", typ, code)
		case typ >= 0:
			what = fmt.Sprintf("%d/%d", typ, code)
		case num(10) >= 0 && num(10)&4 != 0:
			id, what = dst, "rst"
		case num(10) >= 0 && num(10)&0x12 == 2:
			what = "syn"
		case num(10) >= 0 && num(10)&0x12 == 0x12:
			id, what = dst, "synack"
		case num(2) >= 0 && ours(src):
			what = "out"
		case num(2) >= 0:
			id, what = dst, "in"
		}
		if what != "" && ours(id) && !strings.Contains(" "+wires[id]+" ", " "+what+" ") {
			wires[id] = strings.TrimSpace(wires[id] + " " + what)
		}
	}
	return wires
}

// TestPolicyPublished has clients come to published ports.
func TestPolicyPublished(t *testing.T) {
	t.Parallel() // in networks of its own
	needPolicy(t)
	n := newNetwork(t)
	n.policyServers()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	flags := strings.Fields("--deny 10.77.9.0/24:7301 --deny fd77:9::/64 --allow 10.77.0.0/16:7301/tcp --allow [fd77::/16]:7301 --allow 127.0.0.1:7301 --deny 10.77.3.2:7302 --allow 10.77.3.2" +
		" -p 0.0.0.0:7301:7201 -p [::]:7301:7201 -p 0.0.0.0:7301:7201/udp -p [::]:7301:7201/udp -p 0.0.0.0:7302:7201")
	c := n.governed(ctx, flags, "python3", script(t, "policy.py"), "cases", "7201")
	if err := os.WriteFile(filepath.Join(c.Dir, "cases"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if lines.Scan(); lines.Text() != "serving" {
		t.Fatalf("%q\n%s", lines.Text(), &stderr)
	}
	const own4, own6 = "10.77.1.2", "fd77:1::2"
	clients := []struct {
		ns, proto, from, to string
		sees, log           string
	}{
		{serverSide, "tcp", serverAddr4, own4 + ":7301", "ok", "closed"},
		{serverSide, "tcp", "10.77.9.9", own4 + ":7301", "reset", "denied"},
		{serverSide, "tcp", serverAddr6, "[" + own6 + "]:7301", "ok", "closed"},
		{serverSide, "tcp", "fd77:9::9", "[" + own6 + "]:7301", "reset", "denied"},
		{serverSide, "tcp", serverAddr4, own4 + ":7302", "reset", "denied"},
		{serverSide, "tcp", "10.77.10.1", own4 + ":7301", "ok", "closed"},
		{serverSide, "udp", serverAddr6, "[" + own6 + "]:7301", "ok", "closed"},
		{serverSide, "udp", "fd77:9::9", "[" + own6 + "]:7301", "silence", "denied"},
		{serverSide, "udp", serverAddr4, own4 + ":7301", "ok", "closed"}, // by the last rule
		{serverSide, "udp", "10.77.10.1", own4 + ":7301", "silence", "denied"},
		{clientSide, "tcp", "127.0.0.1", "127.0.0.1:7301", "ok", "closed"},
		{clientSide, "tcp", "::1", "[::1]:7301", "reset", "denied"},
		{clientSide, "udp", "127.0.0.1", "127.0.0.1:7301", "ok", "closed"},
		{clientSide, "udp", "::1", "[::1]:7301", "silence", "denied"},
	}
	for i, x := range clients {
		var got string
		n.in(x.ns, func() {
			got = knock(x.proto, netip.AddrPortFrom(netip.MustParseAddr(x.from), uint16(firstPolicyPort+i)), x.to, x.sees == "silence")
		})
		if got != x.sees {
			t.Errorf("%v: sees %q", x, got)
		}
	}
	in.Close()
	visitors := make(map[string]bool)
	for lines.Scan() {
		visitors[strings.TrimPrefix(lines.Text(), "visitor ")] = true
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	logs, wires := flowLogOf(t, c.Dir), captureOf(t, c.Dir)
	for i, x := range clients {
		id := firstPolicyPort + i
		came := visitors[fmt.Sprintf("%s %d", x.proto, id)]
		if got, _ := logs.of(id, policyCase{}); got != x.log || came != (x.sees == "ok") || (wires[id] != "") != came {
			t.Errorf("%v: log %q, came in: %v, wire %q", x, got, came, wires[id])
		}
	}
	if want := "10.77.9.9:20001/tcp, which came in for port 7301, was denied: --deny 10.77.9.0/24:7301"; !strings.Contains(stderr.String(), want) {
		t.Errorf("stderr has no %q:\n%s", want, &stderr)
	}
}

// knock sends a byte from an address and port, and returns what becomes of it.
// Where silence is expected it waits for less.
func knock(proto string, from netip.AddrPort, to string, silence bool) string {
	d := net.Dialer{Timeout: limit, LocalAddr: net.TCPAddrFromAddrPort(from)}
	wait := limit
	if proto == "udp" {
		d.LocalAddr = net.UDPAddrFromAddrPort(from)
	}
	if silence {
		wait = 300 * time.Millisecond
	}
	c, err := d.Dial(proto, to)
	if errors.Is(err, syscall.ECONNRESET) {
		return "reset"
	}
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(wait))
	b := make([]byte, 10)
	k := 0
	if _, err = c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) { // who hears of the reset first has taken it from the other
		k, err = c.Read(b)
	}
	switch {
	case err == nil && string(b[:k]) == "x":
		return "ok"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	}
	return fmt.Sprint(err)
}
