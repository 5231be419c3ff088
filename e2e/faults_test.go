//go:build linux

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// faulty are programs of one kind in several languages (testdata/faults.py says what they do).
var faulty = []struct {
	language, command, needs, debian string
}{
	{"c", "faults", "cc", "gcc libc6-dev"},
	{"go", "gofaults", "sh", "dash"},
	{"python", "python3 %s", "python3", "python3"},
	{"node", "node %s", "node", "nodejs"},
}

// commandOf returns how a program is called.
func commandOf(t *testing.T, i int) string {
	f := &faulty[i]
	need(t, f.needs, f.debian)
	switch f.language {
	case "python":
		return fmt.Sprintf(f.command, script(t, "faults.py"))
	case "node":
		return fmt.Sprintf(f.command, script(t, "faults.js"))
	}
	return f.command
}

// faultCases are faults, each at a port of its own, what a program does there, and what it says then: in all languages, or in C, Go,
// Python and Node, as regular expressions. Who does not wait in its calls but in epoll may hear of a reset before it knows that it
// is connected. Of a reset that comes close behind data libuv may tell as of an end, natively, too, and of an accept
// that finds no descriptor it makes one that it closes.
var faultCases = []struct {
	fault, does string
	says        []string
}{
	{"", "up 5000", []string{"server: 5000; client: EOF"}},
	{"connect refused", "up 5000", []string{"connect: ECONNREFUSED"}},
	{"connect timed out after 400ms", "up 5000", []string{"connect: ETIMEDOUT late"}},
	{"connect late by 400ms", "up 5000", []string{"server: 5000; client: late EOF"}},
	{"reset after 1000 bytes", "up 5000", []string{
		"server: 1000 ECONNRESET; client: ECONNRESET", "server: 1000 ECONNRESET; client: ECONNRESET",
		"server: 1000 ECONNRESET; client: ECONNRESET", "server: 1000 (ECONNRESET|EOF); client: ECONNRESET",
	}},
	{"reset after 1000 bytes received", "up 5000", []string{
		"server: 1000 ECONNRESET; client: ECONNRESET", "server: 1000 ECONNRESET; client: ECONNRESET",
		"server: 1000 ECONNRESET; client: ECONNRESET", "server: 1000 (ECONNRESET|EOF); client: ECONNRESET",
	}},
	{"reset at accept", "up 5000", []string{
		"server: ECONNRESET; client: (ECONNRESET|EPIPE)", "(server: ECONNRESET; client|connect): (ECONNRESET|EPIPE)",
		"server: ECONNRESET; client: (ECONNRESET|EPIPE)", "(server: ECONNRESET; client|connect): (ECONNRESET|EPIPE)",
	}},
	{"read in pieces of 1,7,100 bytes", "down 216", []string{"server: EOF; client: 1 7 100 1 7 100"}},
	{"stop reading for 500ms after 1kb", "down 3000", []string{"server: EOF; client: 1024 1976 late"}},
	{"peer stops reading for 500ms after 1000 bytes", "down 3000", []string{"server: EOF; client: 1000 2000 late"}},
	{"accept fails with EMFILE once", "up 10", []string{
		"server: EMFILE 10; client: EOF", "server: EMFILE 10; client: EOF", "server: EMFILE 10; client: EOF", "server: none; client: (EOF|ECONNRESET)",
	}},
	{"accept fails with ENFILE once", "up 10", []string{
		"server: ENFILE 10; client: EOF", "server: ENFILE 10; client: EOF", "server: ENFILE 10; client: EOF", "server: none; client: (EOF|ECONNRESET)",
	}},
	{"accept fails with ENOBUFS once", "up 10", []string{
		"server: ENOBUFS 10; client: EOF", "server: ENOBUFS 10; client: EOF", "server: ENOBUFS 10; client: EOF", "server: 10; client: EOF",
	}},
	{"accept fails with ENOMEM once", "up 10", []string{
		"server: ENOMEM 10; client: EOF", "server: ENOMEM 10; client: EOF", "server: ENOMEM 10; client: EOF", "server: 10; client: EOF",
	}},
	{"interrupt recv at the 1st", "down 10", []string{
		"server: (EINTR )?EOF; client: (EINTR )?10", "server: EOF; client: 10", "server: EOF; client: 10", "server: EOF; client: 10",
	}},
}

// TestFault has programs in each language meet each fault, in one run for each language.
func TestFault(t *testing.T) {
	const first = 7100
	for i := range faulty {
		t.Run(faulty[i].language, func(t *testing.T) {
			t.Parallel()
			command := commandOf(t, i)
			flags := []string{"--seed", "7", "--pcap", "packets.pcapng"}
			var sh strings.Builder
			for k, c := range faultCases {
				if c.fault != "" {
					flags = append(flags, "--fault", fmt.Sprintf("%s to localhost:%d", c.fault, first+k))
				}
				fmt.Fprintf(&sh, "%s %d %s\n", command, first+k, c.does)
			}
			says := func(k int) string { return faultCases[k].says[min(i, len(faultCases[k].says)-1)] }
			var r result
			var lines []string
			for try, busy := 1, true; busy && try <= 3; try++ {
				r = usock(t, flags, sh.String())
				lines = strings.Split(strings.TrimSpace(r.stdout), "\n")
				if r.code != 0 || len(lines) != len(faultCases) {
					t.Fatalf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
				}
				busy = false
				for k := range lines {
					busy = busy || alsoLate(lines[k], says(k))
				}
			}
			for k, c := range faultCases {
				want := says(k)
				if !regexp.MustCompile("^" + want + "$").MatchString(lines[k]) {
					t.Errorf("%q: %q, want %q", c.fault, lines[k], want)
				}
				told := strings.Contains(r.stderr, fmt.Sprintf(" to 127.0.0.1:%d, ", first+k))
				if told != (c.fault != "") && !strings.HasPrefix(c.fault, "interrupt") {
					t.Errorf("%q: told on stderr: %v\n%s", c.fault, told, r.stderr)
				}
			}
			if got, told := strings.Count(r.stdout, "EINTR"), strings.Count(r.stderr, "interrupt recv:"); i == 0 && got != told {
				t.Errorf("%d calls were interrupted, and %d told of", got, told) // whether one waits is chance
			}
			if i == 0 {
				checkResets(t, filepath.Join(r.dir, "packets.pcapng"), first+4, first+5)
			}
		})
	}
}

// alsoLate reports whether a program has said what is wanted, a regular expression, but for more that was late: a machine that is
// busy with others makes it so, but not each time.
func alsoLate(got, want string) bool {
	const late = " late"
	soon := func(s string) string { return strings.ReplaceAll(s, late, "") }
	return strings.Count(got, late) > strings.Count(want, late) && regexp.MustCompile("^"+soon(want)+"$").MatchString(soon(got))
}

// checkResets looks with tshark at a connection to a port that a reset has ended behind the 1000th byte that the client has sent, and at
// one that it has ended behind the 1000th that the server has received.
func checkResets(t *testing.T, file string, sent, received int) {
	t.Helper()
	need(t, "tshark", "tshark")
	out, err := exec.Command("tshark", "-r", file, "-Y", fmt.Sprintf("tcp.port==%d || tcp.port==%d", sent, received),
		"-T", "fields", "-e", "tcp.dstport", "-e", "tcp.srcport", "-e", "tcp.flags.reset", "-e", "tcp.seq", "-e", "tcp.len").Output()
	if err != nil {
		t.Fatal(err)
	}
	type stream struct{ most, reset int }
	of := map[int]*stream{sent: {0, -1}, received: {0, -1}}
	for line := range strings.Lines(string(out)) {
		var to, from, seq, size int
		var reset string
		if _, err := fmt.Sscan(line, &to, &from, &reset, &seq, &size); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		s, up := of[to], true
		if s == nil {
			s, up = of[from], false
		}
		resets := up == (s == of[sent]) // it is of the end that resets
		if s.reset >= 0 && resets {
			t.Errorf("behind the RST: %s", line) // the other end may not have it yet
		}
		if up && size > 0 {
			s.most = max(s.most, seq-1+size)
		}
		if reset == "1" || reset == "True" {
			s.reset = seq
			if !resets {
				t.Errorf("the RST is the other end's: %s", line)
			}
		}
	}
	if s := of[sent]; s.most != 1000 || s.reset != 1001 {
		t.Errorf("sent: %d bytes, and the RST at %d", s.most, s.reset)
	}
	if s := of[received]; s.reset != 1 { // the server has sent nothing
		t.Errorf("received: the RST at %d", s.reset)
	}
}

// TestFaultSocket has no socket made.
func TestFaultSocket(t *testing.T) {
	for i := range faulty {
		t.Run(faulty[i].language, func(t *testing.T) {
			t.Parallel()
			command := commandOf(t, i)
			r := usock(t, []string{"--fault", "socket fails with ENOBUFS process " + strings.Fields(command)[0]}, command+" 7000 up 10")
			if r.code != 0 || r.stdout != "ENOBUFS\n" {
				t.Errorf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

// TestFaultMissed has the faults that have not struck be told of at the end, and no others.
func TestFaultMissed(t *testing.T) {
	t.Parallel()
	needC(t)
	r := usock(t, []string{"--isolated", "--fault", "read in pieces of 100 bytes once", "--fault", "reset after 10kb", "--fault", "dns SERVFAIL"}, "faults 7001 up 5000")
	const want = "usock: fault 'reset after 10kb' has not struck: no connection that it is about came so far; it counts what the program sends, and 'reset after 10kb received' what it receives\n" +
		"usock: fault 'dns SERVFAIL' has not struck: there was no DNS question\n"
	if r.code != 0 || !strings.HasSuffix(r.stderr, want) || strings.Count(r.stderr, "has not struck") != 2 {
		t.Errorf("exit status %d\nstderr: %s\nwant at its end: %s", r.code, r.stderr, want)
	}
}

// TestFaultNames has programs in each language meet each fault of names, both of those that the run knows and of those that a server
// does.
func TestFaultNames(t *testing.T) {
	t.Parallel()
	needNameServer(t)
	flags := []string{"--seed", "7"}
	for _, x := range []string{"nx", "late", "six", "c.wrong", "go.wrong", "python.wrong", "node.wrong"} {
		flags = append(flags, "--host", x+".test=192.0.2.7", "--host", x+".test=2001:db8::7")
	}
	for _, x := range []string{
		"dns NXDOMAIN for nx.test", "dns SERVFAIL for server.test", "dns late by 400ms for late.test", "dns AAAA only for six.test",
		"dns wrong first for *.wrong.test",
	} {
		flags = append(flags, "--fault", x)
	}
	var sh, want strings.Builder
	says := map[string][4]string{
		"nx.test":     {"EAI_NONAME", "no such host", "EAI_NONAME", "ENOTFOUND"},
		"server.test": {"EAI_AGAIN", "server misbehaving", "EAI_AGAIN", "EAI_AGAIN"},
	}
	const both, wrong = "2001:db8::7 192.0.2.7", "2001:db8::1 192.0.2.1"
	for i := range faulty {
		command := commandOf(t, i)
		for _, name := range []string{"nx.test", "server.test"} {
			fmt.Fprintf(&sh, "%s name %s\n", command, name)
			fmt.Fprintln(&want, says[name][i])
		}
		fmt.Fprintf(&sh, "%[1]s name late.test; %[1]s name six.test; %[1]s name %[2]s.wrong.test; %[1]s name %[2]s.wrong.test\n", command, faulty[i].language)
		fmt.Fprintf(&want, "%s late\n2001:db8::7\n%s\n%s\n", both, wrong, both)
	}
	// By TCP, and what no fault is about.
	sh.WriteString("dig +tcp nx.test | grep -o 'status: NXDOMAIN'; dig +tcp server.test | grep -o 'status: SERVFAIL'; dig +tcp +short late.test\n" +
		"dig +tcp +short many.test | wc -l; dig +short small.test TXT\n")
	want.WriteString("status: NXDOMAIN\nstatus: SERVFAIL\n192.0.2.7\n60\n\"hello\"\n")
	// Of other types, and of both transports.
	sh.WriteString("for way in +notcp +tcp; do dig $way nx.test MX | grep -o 'status: NXDOMAIN'; dig $way server.test TXT | grep -o 'status: SERVFAIL'; " +
		"echo a: $(dig $way +short six.test); dig $way +short six.test AAAA; done\n")
	want.WriteString(strings.Repeat("status: NXDOMAIN\nstatus: SERVFAIL\na:\n2001:db8::7\n", 2))
	r := lookUpSaying(t, "192.0.2.1", flags, false, sh.String())
	for try := 2; try <= 3 && alsoLate(r.stdout, regexp.QuoteMeta(want.String())); try++ {
		r = lookUpSaying(t, "192.0.2.1", flags, false, sh.String())
	}
	if r.stdout != want.String() {
		t.Errorf("stdout: %s\nwant: %s\nstderr: %s", r.stdout, want.String(), r.stderr)
	}
}

// TestFaultInterrupt has all kinds of calls that wait be interrupted, and what a call has sent before it waits count; and datagrams of UDP
// be not sent.
func TestFaultInterrupt(t *testing.T) {
	t.Parallel()
	needC(t)
	flags := []string{"--isolated", "--seed", "7", "--fault", "send fails with ENOBUFS at the 2nd"}
	for _, n := range []string{"1st", "2nd", "3rd", "4th"} {
		flags = append(flags, "--fault", "interrupt recv tcp at the "+n, "--fault", "interrupt recv sctp at the "+n)
	}
	for _, n := range []string{"1st", "2nd", "3rd", "4th", "5th"} {
		flags = append(flags, "--fault", "interrupt send tcp at the "+n)
	}
	r := usock(t, flags, "eintr")
	const reads = "read: EINTR\nreadv: EINTR\nrecv: EINTR\nrecvmsg: EINTR\nrecv that does not wait: EAGAIN\nread: 5\n"
	want := reads + "write: a part\nwrite: EINTR\nwritev: EINTR\nsend: EINTR\nsendmsg: EINTR\nwrite: all\nleft: 0\n" +
		reads + "UDP: send: 1\nUDP: write: ENOBUFS\nUDP: sendto: 1\nUDP: 1 has come\nUDP: 3 has come\n"
	if r.code != 0 || r.stdout != want {
		t.Errorf("exit status %d\n%s\nwant\n%s\nstderr: %s", r.code, r.stdout, want, r.stderr)
	}
	if n := strings.Count(r.stderr, "usock: fault: "); n != 14 {
		t.Errorf("%d faults are told of\n%s", n, r.stderr)
	}
}

// TestFaultScript has the faults of a script strike, and a recording say at each place what has struck.
func TestFaultScript(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	r := usock(t, []string{"--isolated", "--seed", "7", "--pcap", "packets.pcapng", "--script", script(t, "day.usock")}, fmt.Sprintf("python3 %[1]s 7101 up 5000; python3 %[1]s 7102 up 10; python3 %[1]s 7103 up 10\n", script(t, "faults.py")))
	if want := "server: 1000 ECONNRESET; client: ECONNRESET\nserver: EMFILE 10; client: EOF\nserver: 10; client: EOF\n"; r.code != 0 || r.stdout != want {
		t.Fatalf("exit status %d\n%s\nwant\n%s\nstderr: %s", r.code, r.stdout, want, r.stderr)
	}
	lines := tsharkLines(t, filepath.Join(r.dir, "packets.pcapng"), "-T", "fields", "-e", "tcp.flags.reset", "-e", "tcp.port", "-e", "frame.comment", "-Y", `frame.comment contains "fault"`)
	for i, want := range []string{`^(1|True)\t.*fault: reset after 1000 bytes: python3\[\d+\] to 127.0.0.1:7101, 1st, seed 7$`, `^(0|False)\t.*fault: accept fails with EMFILE: python3\[\d+\] to 127.0.0.1:7102, 1st, seed 7$`} {
		if len(lines) != 2 || !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("the recording says %q, want %q", lines, want)
		}
	}
}
