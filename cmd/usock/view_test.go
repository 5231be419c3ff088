package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"usock/internal/control"
	"usock/internal/ss"
)

var psList = []psRun{
	{Run: control.Run{ID: "9366994f", Name: "web", Program: []string{"/usr/bin/python3", "server.py", "--port", "8000", "--verbose"}, Shape: "--delay 20ms --loss 1% --mtu 1500"}, Age: 59.9, Sockets: 5, RxRate: 12500, TxRate: 125_000_000},
	{Run: control.Run{ID: "aa000001", Program: []string{"sh", "-c", "echo\nthis"}}, Age: 90061, Sockets: 100000},
	{Run: control.Run{ID: "bb000001", Name: strings.Repeat("n", 64)}, Age: 3725},
}

func TestPSTable(t *testing.T) {
	for _, c := range []struct {
		width int
		list  []psRun
		want  string
	}{
		{0, psList[:2], `
ID        NAME  AGE    SOCKETS  RX       TX     PROGRAM                                  SHAPE
9366994f  web   59s    5        100kbps  1Gbps  python3 server.py --port 8000 --verbose  --delay 20ms --loss 1% --mtu 1500
aa000001  -     1d01h  100000   0bps     0bps   sh -c echothis                           -
`},
		{80, psList, `
ID        NAME        AGE    SOCKETS  RX       TX     PROGRAM           SHAPE
9366994f  web         59s    5        100kbps  1Gbps  python3 server.…  --delay…
aa000001  -           1d01h  100000   0bps     0bps   sh -c echothis    -
bb000001  nnnnnnnnn…  1h02m  0        0bps     0bps   -                 -
`},
	} {
		var out strings.Builder
		if err := (&ps{width: c.width}).table(&out, c.list); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + out.String(); got != c.want {
			t.Errorf("%d columns: got%s\nwant%s", c.width, got, c.want)
		}
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(line)) - 1; c.width > 0 && n > c.width {
				t.Errorf("%d of %d columns: %s", n, c.width, line)
			}
		}
	}
}

func TestAge(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0s", 59.99: "59s", 60: "1m00s", 3599: "59m59s", 3600: "1h00m", 86399: "23h59m", 86400: "1d00h", 864000: "10d00h"} {
		if got := age(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}

func TestRates(t *testing.T) {
	at := func(us int64, rx, tx uint64) *control.Traffic {
		return &control.Traffic{At: us, Interfaces: []control.InterfaceTraffic{{RxBytes: rx}, {TxBytes: tx}}}
	}
	if rx, tx := rates(at(0, 100, 50), at(500_000, 600, 50)); rx != 1000 || tx != 0 {
		t.Error(rx, tx)
	}
	if rx, _ := rates(at(7, 0, 0), at(7, 1, 0)); rx != 1000 { // no time has passed
		t.Error(rx)
	}
}

func TestScreen(t *testing.T) {
	for _, c := range []struct {
		rows int
		want string
	}{
		{0, "\x1b[Ha\x1b[K\r\nb\x1b[K\r\nc\x1b[K\r\n\x1b[J"},
		{4, "\x1b[Ha\x1b[K\r\nb\x1b[K\r\nc\x1b[K\r\n\x1b[J"},
		{3, "\x1b[Ha\x1b[K\r\n... and 2 lines more\x1b[K\r\n\x1b[J"},
		{1, "\x1b[H... and 3 lines more\x1b[K\r\n\x1b[J"},
	} {
		if got := screen("a\nb\nc\n", c.rows); got != c.want {
			t.Errorf("%d rows: got %q, want %q", c.rows, got, c.want)
		}
	}
}

// TestTitles has runs of one name called by their ids.
func TestTitles(t *testing.T) {
	client := func(id, name string) *control.Client { return &control.Client{Run: control.Run{ID: id, Name: name}} }
	got := titles([]*control.Client{client("1", "web"), client("2", "db"), client("3", "web"), client("4", "")})
	if s := strings.Join(got, " "); s != "1 db 3 4" {
		t.Error(s)
	}
}

func TestRunAndFilter(t *testing.T) {
	for args, want := range map[string]string{
		"":                                "|",
		"web":                             "web|",
		"web state established":           "web|state established",
		"state established":               "|state established",
		"( sport = :80 )":                 "|( sport = :80 )",
		"0123abcd sport = :80 or dport 1": "0123abcd|sport = :80 or dport 1",
	} {
		run, filter, err := runAndFilter(strings.Fields(args))
		if err != nil || run+"|"+filter != want {
			t.Errorf("%s: %s|%s, %v", args, run, filter, err)
		}
	}
}

// TestStates are those that ss chooses by its flags.
func TestStates(t *testing.T) {
	for _, c := range []struct {
		flags ssFlags
		want  ss.States
	}{
		{ssFlags{}, ss.Connected}, {ssFlags{tcp: true}, ss.Connected}, {ssFlags{udp: true}, ss.Established}, {ssFlags{udp: true, tcp: true}, ss.Connected},
		{ssFlags{raw: true}, ss.Established}, {ssFlags{listening: true, udp: true}, ss.Listening}, {ssFlags{all: true, listening: true}, ss.All},
	} {
		if got := c.flags.states(); got != c.want {
			t.Errorf("%+v: %b, want %b", c.flags, got, c.want)
		}
	}
}

func TestPrintJSON(t *testing.T) {
	for _, c := range []struct {
		rows []ss.Row
		want string
	}{
		{nil, "[]\n"},
		{[]ss.Row{{Run: "a", Socket: &control.Socket{Proto: "udp", State: "UNCONN"}}, {Run: "b", Socket: new(control.Socket)}},
			`[{"run":"a","proto":"udp","state":"UNCONN","recv_q":0,"send_q":0},` + "\n" + `{"run":"b","proto":"","state":"","recv_q":0,"send_q":0}]` + "\n"},
	} {
		var out bytes.Buffer
		if err := printJSON(&out, c.rows); err != nil || out.String() != c.want {
			t.Errorf("%v: got %s, want %s", err, &out, c.want)
		}
	}
}

// TestWatchOnce has a command without --watch show once, and its error come through.
func TestWatchOnce(t *testing.T) {
	failed := errors.New("failed")
	shown := 0
	err := watch(0, os.Stdout, func(io.Writer) error { shown++; return failed })
	if shown != 1 || err != failed {
		t.Error(shown, err)
	}
}

// TestDrawable has each reason why no screen can be drawn told, with what to do instead.
func TestDrawable(t *testing.T) {
	for _, c := range []struct {
		in, out    bool
		kind, want string
	}{
		{true, true, "xterm", ""}, {true, true, "dumb", "of type dumb ($TERM)"}, {false, true, "xterm", "stdin is none"},
		{true, false, "xterm", "stdout is none"}, {false, false, "", "stdin and stdout are none"},
	} {
		got := ""
		if err := drawable(c.in, c.out, c.kind); err != nil {
			got = strings.TrimPrefix(err.Error(), "usock top ")
			if !strings.HasSuffix(got, c.want+": usock top --once prints a screen as text") {
				t.Errorf("%+v: %s", c, got)
			}
		}
		if (got == "") != (c.want == "") {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
