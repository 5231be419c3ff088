//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"usock/internal/freeport"
)

// usrsctpBuilt compiles the peer on libusrsctp, once.
var usrsctpBuilt = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("cc", "-O1", "-Wall", "-Wextra", "-o", filepath.Join(bin, "usrsctp"), "testdata/usrsctp/usrsctp.c", "-lusrsctp", "-lpthread").CombinedOutput()
})

// needUsrsctp has the peer on libusrsctp, as usrsctp.
func needUsrsctp(t *testing.T) {
	t.Helper()
	needC(t)
	if _, err := os.Stat("/usr/include/usrsctp.h"); err != nil {
		need(t, "usrsctp.h", "libusrsctp-dev") // says so
	}
	if out, err := usrsctpBuilt(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// peer starts a program outside, and waits until it listens.
func (w way) peer(t *testing.T, script string) *running {
	t.Helper()
	r := startedIn(t, w, script)
	r.says(t, "listening")
	return r
}

// outerAddr is an address of the machine that a run reaches by the gateway, and not by its loopback.
func outerAddr(t *testing.T) string {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() && p.Addr().Is4() {
			return p.Addr().String()
		}
	}
	t.Skip("the machine has no address but those of loopback")
	return ""
}

// cameBack is what sctpencap.py says of a peer that echoes.
const cameBack = "came back: True\nport %d\n"

// TestSCTPEncap has programs talk with a peer outside, by a flag and by an option of their own, and without either.
func TestSCTPEncap(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	needUsrsctp(t)
	at, port := outerAddr(t), freeport.Get(t)
	asUser.peer(t, fmt.Sprintf("exec usrsctp serve %d 0.0.0.0 100", port))
	py := "python3 " + script(t, "sctpencap.py")
	flag := []string{"--sctp-encap", fmt.Sprint(port)}
	const refused = "connect: Connection refused\n"
	for _, c := range []struct {
		name, script string
		flags        []string
		want         string
		told         bool
	}{
		{"by the flag", fmt.Sprintf("%s ask %s 5000", py, at), flag, fmt.Sprintf(cameBack, port), false},
		{"by the option", fmt.Sprintf("%s ask %s 5000 %d", py, at, port), nil, fmt.Sprintf(cameBack, port), false},
		{"by the option on loopback", fmt.Sprintf("%s ask 127.0.0.1 5000 %d", py, port), nil, fmt.Sprintf(cameBack, port), false},
		{"several at once", fmt.Sprintf("for i in 1 2 3; do %s ask %s 5000 >out$i & done\nwait\ncat out1 out2 out3", py, at), flag, strings.Repeat(fmt.Sprintf(cameBack, port), 3), false},
		{"without", fmt.Sprintf("%s ask %s 5000; %[1]s ask %[2]s 5000", py, at), nil, refused + refused, true},
		{"where nobody has the port", fmt.Sprintf("%s ask %s 5000 %d", py, at, freeport.Get(t)), nil, refused, false},
		{"where rules deny it", fmt.Sprintf("%s ask %s 5000", py, at), append([]string{"--deny", fmt.Sprintf(":%d/udp", port), "--deny-with", "reset"}, flag...), refused, false},
		{"within the run", fmt.Sprintf("%s serve 127.0.0.1 5000 >log & listening log\n%[1]s ask 127.0.0.1 5000\nwait", py), flag, fmt.Sprintf(cameBack, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := reaching()
			w.flags = c.flags
			o := under(t, w, c.script)
			if o.late || o.code != 0 || o.stdout != c.want {
				t.Errorf("want %q: %v", c.want, o)
			}
			line := fmt.Sprintf("usock: SCTP to %s was refused: as it is it leaves the run of a user with CAP_NET_RAW alone, on a kernel without SCTP; --sctp-encap PORT has it leave in UDP, with a peer that takes it at that port (RFC 6951; mostly 9899)\n", at)
			want := 0
			if c.told {
				want = 1
			}
			if n := strings.Count(o.stderr, line); n != want {
				t.Errorf("%d times, want %d: %s", n, want, o.stderr)
			}
		})
	}
}

// TestSCTPEncapTools has Debian's programs talk with the peer.
func TestSCTPEncapTools(t *testing.T) {
	need(t, "sctp_test", "lksctp-tools")
	need(t, "socat", "socat")
	needUsrsctp(t)
	at, port := outerAddr(t), freeport.Get(t)
	asUser.peer(t, fmt.Sprintf("exec usrsctp serve %d 0.0.0.0 100", port))
	w := reaching()
	w.flags = []string{"--sctp-encap", fmt.Sprint(port)}
	o := under(t, w, fmt.Sprintf(`mkfifo in
socat - SCTP-CONNECT:%[1]s:5000 <in >out & c=$!
exec 3>in
echo hello >&3
until_ok grep hello out
exec 3>&-
wait $c
cat out
sctp_test -H 0.0.0.0 -P 5001 -h %[1]s -p 5000 -s -c 1 -x 3 >log 2>&1
echo status $?`, at))
	if o.late || o.code != 0 || o.stdout != "hello\nstatus 0\n" {
		t.Error(o)
	}
}

// TestSCTPEncapPublished has a peer outside begin, with a program at a published port.
func TestSCTPEncapPublished(t *testing.T) {
	need(t, "python3", "python3")
	needUsrsctp(t)
	for _, at := range []string{"127.0.0.1", "::1", outerAddr(t)} {
		port := freeport.Get(t)
		w := reaching()
		w.flags = []string{"--sctp-encap", fmt.Sprint(port), "-p", fmt.Sprintf("%d/udp", port)}
		any := "0.0.0.0"
		if strings.Contains(at, ":") {
			any = "::"
		} else if !strings.HasPrefix(at, "127.") {
			w.flags[3] = at + ":" + w.flags[3]
		}
		r := w.start(t, true, fmt.Sprintf("exec python3 %s serve %s 5001", script(t, "sctpencap.py"), any))
		r.says(t, "listening")
		o := natively(t, asUser, fmt.Sprintf("exec usrsctp ask %d %s 5001 %d 10000", freeport.Get(t), at, port))
		if o.code != 0 || o.stdout != "20 messages came back\n" {
			t.Errorf("%s: %v", at, o)
		}
		if o := r.wait(t); o.late || o.code != 0 || o.stdout != "listening\nechoed 20\n" {
			t.Errorf("%s: %v", at, o)
		}
	}
}

// TestSCTPEncapNetwork has a server three hops away, behind a link with a smaller MTU: messages arrive, and
// a recording has neither a malformed packet nor a wrong sum.
func TestSCTPEncapNetwork(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	need(t, "tshark", "tshark")
	needUsrsctp(t)
	n := newNetwork(t)
	server := asRoot
	server.netns = n.path(serverSide)
	for _, at := range []string{serverAddr4, serverAddr6} {
		t.Run(at, func(t *testing.T) {
			server.peer(t, fmt.Sprintf("exec usrsctp serve 9899 %s 1", at))
			w := n.from(asUser)
			w.limit = 2 * twinLimit
			w.flags = []string{"--sctp-encap", "9899", "--pcap", "trace.pcapng"}
			o := under(t, w, fmt.Sprintf("python3 %s ask %s 5000", script(t, "sctpencap.py"), at))
			if want := fmt.Sprintf(cameBack, 9899); o.late || o.code != 0 || o.stdout != want {
				t.Errorf("%s: %v", at, o)
			}
			inUDP(t, filepath.Join(o.dir, "trace.pcapng"), 9899)
		})
	}
}

// inUDP has tshark find all SCTP of a recording in UDP to or from the port, and nothing wrong with it.
func inUDP(t *testing.T, file string, port int) {
	t.Helper()
	count := func(filter string) int {
		out, err := exec.Command("tshark", "-r", file, "-n", "-d", fmt.Sprintf("udp.port==%d,sctp", port),
			"-d", "sctp.port==1-65535,data", "-o", "sctp.checksum:crc32c", "-o", "udp.check_checksum:TRUE", "-Y", filter).Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		return strings.Count(string(out), "\n")
	}
	if n := count("udp && sctp"); n < 10 {
		t.Errorf("%d packets of SCTP in UDP", n)
	}
	for _, filter := range []string{"sctp && !udp", "_ws.malformed", "sctp.checksum.status == 0", "udp.checksum.status == 0", "_ws.expert.severity == error"} {
		if n := count(filter); n != 0 {
			t.Errorf("%d packets: %s", n, filter)
		}
	}
}
