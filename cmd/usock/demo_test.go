package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"usock"
)

func TestDemo(t *testing.T) {
	data := bytes.Repeat([]byte("a file to be carried. "), 30_000)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options map[string]string
	}{
		{"plain", nil},
		{"slow and lossy", map[string]string{"delay": "1ms", "loss": "1%"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			d := &demo{file: path, out: &out}
			d.shape.seed = 1
			for name, text := range c.options {
				if err := (&option{of: &d.shape.wishes, name: name}).Set(text); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.run(); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			got := out.String()
			for _, want := range []string{
				fmt.Sprintf("alpha (10.0.0.1) sends %d bytes to beta (10.0.0.2) over TCP\n", len(data)),
				"100%  0.6 of 0.6 MiB",
				fmt.Sprintf("SHA-256 sent      %x\n", sha256.Sum256(data)),
				fmt.Sprintf("SHA-256 received  %x\n", sha256.Sum256(data)),
			} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			for _, want := range []string{
				`(?m)^tcp +ESTAB +0 +0 +10\.0\.0\.1:\d+ +10\.0\.0\.2:5001$`,
				`(?m)^tcp +LISTEN +0 +4096 +10\.0\.0\.2:5001 +\*:\*$`,
				`(?m)^tcp +ESTAB +0 +(0|32) +10\.0\.0\.2:5001 +10\.0\.0\.1:\d+$`, // the digest may be under way
				`(?m)^\t .*cubic .*retrans:0/\d+`,
			} {
				if !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("nothing matches %s in\n%s", want, got)
				}
			}
		})
	}
}

func TestDemoSeesDamage(t *testing.T) {
	var out strings.Builder
	done := false
	d := &demo{size: 1, out: &out, corrupt: func(p []byte) {
		if !done {
			p[0]++
			done = true
		}
	}}
	if err := d.run(); err == nil || err.Error() != "the digests differ" {
		t.Errorf("got %v\n%s", err, &out)
	}
}

func TestDemoErrors(t *testing.T) {
	for _, d := range []*demo{
		{file: filepath.Join(t.TempDir(), "missing")},
		{file: t.TempDir()},
		{size: -1},
		{size: 1, shape: conditions{wishes: wishes{options: []*option{{of: new(wishes), name: "jitter", text: "1ms"}}}}},
	} {
		var out strings.Builder
		d.out = &out
		if err := d.run(); err == nil {
			t.Errorf("%+v: no error", d)
		}
	}
}

func TestDemoEmptyFile(t *testing.T) {
	var out strings.Builder
	d := &demo{out: &out}
	if err := d.run(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestLiveProgress(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, true, 4<<20)
	p.add(2 << 20)
	p.add(2 << 20)
	p.end()
	got := out.String()
	for _, want := range []string{
		"\r[" + strings.Repeat("=", 15) + strings.Repeat(" ", 15) + "]  50%  2.0 of 4.0 MiB",
		"\r[" + strings.Repeat("=", 30) + "] 100%  4.0 of 4.0 MiB",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if !strings.HasSuffix(got, "\n") {
		t.Errorf("the line does not end: %q", got)
	}
}

func TestPlainProgress(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, false, 1000)
	for range 100 {
		p.add(10)
	}
	p.end()
	if got := regexp.MustCompile(`(?m)^ *\d+%`).FindAllString(out.String(), -1); fmt.Sprint(got) != "[ 25%  50%  75% 100%]" {
		t.Errorf("got %q", out.String())
	}
	out.Reset()
	p = newProgress(&out, false, 1000)
	p.add(600)
	p.add(400)
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines: %q", n, out.String())
	}
}

func TestPrintSockets(t *testing.T) {
	var out strings.Builder
	err := printSockets(&out, "host", []usock.SocketInfo{
		{Proto: "udp", State: "UNCONN", RecvQ: 3},
		{Proto: "unix", Domain: usock.AF_UNIX, State: "ESTAB", Path: "@a", PeerPath: "/b"},
		{Proto: "tcp", State: "ESTAB", Congestion: "reno", TCP: &usock.TCPInfo{
			Options: usock.TCPI_OPT_TIMESTAMPS | usock.TCPI_OPT_SACK | usock.TCPI_OPT_WSCALE | usock.TCPI_OPT_ECN, SndWScale: 7, RcvWScale: 8,
			RTO: 204000, RTT: 1500, RTTVar: 250, SndMSS: 1448, SndCwnd: 10, SndSSThresh: 7, TotalRetrans: 12, Retrans: 2,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "host  State   Recv-Q  Send-Q  Local Address:Port  Peer Address:Port\n" +
		"udp   UNCONN  3       0       *:*                 *:*\n" +
		"unix  ESTAB   0       0       @a                  /b\n" +
		"tcp   ESTAB   0       0       *:*                 *:*\n" +
		"\t ts sack ecn reno wscale:7,8 rto:204 rtt:1.5/0.25 mss:1448 cwnd:10 ssthresh:7 send 77.2Mbps retrans:2/12\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
