//go:build linux

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tsharkLines reads a capture with the arguments, and returns the lines.
func tsharkLines(t *testing.T, file string, args ...string) []string {
	t.Helper()
	need(t, "tshark", "tshark")
	c := exec.Command("tshark", append([]string{"-r", file}, args...)...)
	var complaints strings.Builder
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil {
		t.Fatalf("tshark %q: %v\n%s", args, err, complaints.String())
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// recorded runs a program under usock run with the flags and a recording, and returns its result and the recording's
// name.
func recorded(t *testing.T, outside bool, flags []string, argv ...string) (result, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, marker := command(t, ctx)
	file := filepath.Join(c.Dir, "trace.pcapng")
	c.Args = slices.Concat(c.Args, []string{"--pcap", file}, flags, []string{"--"}, argv)
	if outside {
		reaches(c)
	}
	r := finish(t, ctx, c, marker)
	if r.code != 0 {
		t.Fatalf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
	}
	return r, file
}

// TestTLSKeys has the pages that programs fetch over TLS read in the recording, and nowhere else.
func TestTLSKeys(t *testing.T) {
	t.Parallel()
	need(t, "curl", "curl")
	need(t, "python3", "python3")
	need(t, "node", "nodejs")
	dir := t.TempDir()
	open(t, dir)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a page of "+r.URL.Path) }))
	ca := filepath.Join(dir, "ca.pem")
	s.TLS = &tls.Config{Certificates: []tls.Certificate{authority(t, ca, "localhost")}}
	s.StartTLS()
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	url := "https://localhost:" + port
	for name, argv := range map[string][]string{
		"curl":   {"curl", "-sS", "--cacert", ca, url + "/curl"},
		"python": {"python3", "-c", fmt.Sprintf("import ssl, urllib.request; print(urllib.request.urlopen(%q, context=ssl.create_default_context(cafile=%q)).read().decode())", url+"/python", ca)},
		"node":   {"node", "-e", fmt.Sprintf("require('https').get(%q, {ca: require('fs').readFileSync(%q)}, r => r.pipe(process.stdout))", url+"/node", ca)},
	} {
		t.Run(name, func(t *testing.T) {
			r, file := recorded(t, true, []string{"--tls-keys"}, argv...)
			want := "a page of /" + name
			if strings.TrimSpace(r.stdout) != want {
				t.Errorf("stdout: %s", r.stdout)
			}
			if warning := "usock: --tls-keys: whoever reads " + file + " can read what the program says and hears over TLS\n"; !strings.HasPrefix(r.stderr, warning) {
				t.Errorf("stderr: %s", r.stderr)
			}
			read := func(file string) []string {
				return tsharkLines(t, file, "-d", "tcp.port=="+port+",tls", "-Y", "http.response || http2.data.data", "-T", "fields", "-e", "http.file_data", "-e", "http2.data.data")
			}
			page := fmt.Sprintf("%s|%x", want, want)
			if got := read(file); len(got) != 1 || !regexp.MustCompile(page).MatchString(got[0]) {
				t.Errorf("in the recording: %q", got)
			}
			if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", st.Mode(), err)
			}
			if left, _ := filepath.Glob(filepath.Join(r.dir, "usock-tls-*")); len(left) > 0 {
				t.Errorf("secrets are left in %v", left)
			}
			if _, file := recorded(t, true, nil, argv...); len(read(file)) > 0 {
				t.Error("the page can be read without --tls-keys")
			}
		})
	}
}

// TestTLSKeysOfUser takes the log of secrets that the user's environment names, and leaves it to him.
func TestTLSKeysOfUser(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	open(t, filepath.Dir(keys))
	if err := os.WriteFile(keys, []byte("CLIENT_RANDOM of old\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(keys, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSLKEYLOGFILE", keys)
	_, file := recorded(t, false, []string{"--tls-keys"}, "sh", "-c", `echo "$SSLKEYLOGFILE" >&2; printf 'CLIENT_RANDOM of new\nhalf a line' >>"$SSLKEYLOGFILE"; python3 `+script(t, "traffic.py"))
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if has := string(b); strings.Contains(has, "of old") || !strings.Contains(has, "CLIENT_RANDOM of new\n") || strings.Contains(has, "half") {
		t.Errorf("the recording: %q", has)
	}
	if b, err := os.ReadFile(keys); err != nil || string(b) != "CLIENT_RANDOM of old\nCLIENT_RANDOM of new\nhalf a line" {
		t.Errorf("the log: %q, %v", b, err)
	}
}

// talkBoth has two programs talk to themselves over UDP and TCP.
const talkBoth = `python3 -c "
import socket
a = socket.create_server(('127.0.0.1', 7001)); c = socket.create_connection(('127.0.0.1', 7001)); s, _ = a.accept()
c.sendall(bytes(300)); s.recv(300, socket.MSG_WAITALL)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 7002)); u.sendto(b'to itself', ('127.0.0.1', 7002)); u.recv(100)
"`

// TestRecordingFilters records some of the packets.
func TestRecordingFilters(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	for flags, want := range map[string]string{
		"--pcap-filter udp":                           `17 7002 python3`,
		"--pcap-filter tcp[tcpflags]&tcp-syn!=0":      `6 7001 python3`,
		"--pcap-for :7002":                            `17 7002 python3`,
		"--pcap-for :7002 --pcap-for :7001":           `(6 7001|17 7002) python3`,
		"--pcap-for python3 --pcap-filter tcp":        `6 7001 python3`,
		"--pcap-filter process,python3,and,port,7002": `17 7002 python3`,
	} {
		args := strings.Fields(flags)
		for i, a := range args {
			args[i] = strings.ReplaceAll(a, ",", " ")
		}
		_, file := recorded(t, false, args, "sh", "-c", talkBoth)
		lines := tsharkLines(t, file, "-T", "fields", "-e", "ip.proto", "-e", "tcp.port", "-e", "udp.port", "-e", "frame.comment")
		if len(lines) == 0 {
			t.Errorf("%q: nothing is recorded", flags)
		}
		for _, line := range lines {
			f := strings.FieldsFunc(line, func(r rune) bool { return r == '\t' })
			port := "7002"
			if slices.Contains(strings.Split(f[1], ","), "7001") {
				port = "7001"
			}
			got := f[0] + " " + port
			if strings.Contains(f[len(f)-1], "(python3)") {
				got += " python3"
			}
			if !regexp.MustCompile("^" + want + "$").MatchString(got) {
				t.Errorf("%q: %s", flags, line)
			}
		}
	}
	_, file := recorded(t, false, []string{"--pcap-for", "curl"}, "sh", "-c", talkBoth)
	if lines := tsharkLines(t, file); len(lines) != 0 {
		t.Errorf("of another program: %q", lines)
	}
}

// TestRecordingSnap keeps the beginnings of packets.
func TestRecordingSnap(t *testing.T) {
	need(t, "python3", "python3")
	_, file := recorded(t, false, []string{"--pcap-snaplen", "60"}, "sh", "-c", talkBoth)
	long := false
	for _, line := range tsharkLines(t, file, "-T", "fields", "-e", "frame.len", "-e", "frame.cap_len") {
		size, kept, _ := strings.Cut(line, "\t")
		n, _ := strconv.Atoi(size)
		if kept != strconv.Itoa(min(n, 60)) {
			t.Errorf("%s of %d bytes are kept", kept, n)
		}
		long = long || n > 300
	}
	if !long {
		t.Error("no packet is long")
	}
}

// TestRecordingFiles has the packets in several files, of which the last ones are kept.
func TestRecordingFiles(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	of := func(flags ...string) (names []string, bytes int) {
		r, file := recorded(t, false, append([]string{"--mtu", "1500"}, flags...), "python3", script(t, "traffic.py"), "600")
		if r.stdout != "sent\n" {
			t.Errorf("stdout: %s", r.stdout)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("there is a file without number")
		}
		all, _ := filepath.Glob(filepath.Join(r.dir, "*.pcapng"))
		for _, f := range all {
			names = append(names, filepath.Base(f))
			if st, err := os.Stat(f); err != nil || st.Size() > 128<<10+1000 {
				t.Errorf("%s has %d bytes: %v", f, st.Size(), err)
			}
			for _, line := range tsharkLines(t, f, "-T", "fields", "-e", "tcp.len") {
				n, _ := strconv.Atoi(line)
				bytes += n
			}
		}
		return names, bytes
	}
	names, bytes := of("--pcap-size", "128kb")
	if bytes != 600_000 || len(names) < 5 || names[0] != "trace-00001.pcapng" {
		t.Errorf("%d bytes in %q", bytes, names)
	}
	if kept, _ := of("--pcap-size", "128kb", "--pcap-files", "2"); !slices.Equal(kept, names[len(names)-2:]) {
		t.Errorf("%q are kept, of %q", kept, names)
	}
}

// TestRecordingTells has what the run knew: the names, and which packets the link has lost.
func TestRecordingTells(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	_, file := recorded(t, true, []string{"--host", "peer.test=127.0.0.9", "--loss", "30%", "--seed", "3"}, "python3", "-c",
		"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); [s.sendto(b'x', ('127.0.0.9', 9)) for i in range(100)]")
	if hosts := tsharkLines(t, file, "-q", "-z", "hosts"); !slices.Contains(hosts, "127.0.0.9\tpeer.test") {
		t.Errorf("%q", hosts)
	}
	lost, all := 0, tsharkLines(t, file, "-Y", "ip.dst == 127.0.0.9 && !icmp", "-T", "fields", "-e", "frame.comment")
	for _, line := range all {
		if strings.HasSuffix(line, "dropped: loss") {
			lost++
		}
	}
	if len(all) != 100 || lost < 10 || lost > 50 {
		t.Errorf("%d packets, of which %d were lost", len(all), lost)
	}
}
