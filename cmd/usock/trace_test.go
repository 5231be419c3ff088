package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"usock/link"
)

// file makes a file of that text and returns its name.
func file(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTraceMessages is what is said of traces that cannot be used.
func TestTraceMessages(t *testing.T) {
	plain := file(t, "a.trace", "5\n10\n")
	wrong := file(t, "b.trace", "5\n3\n")
	table := file(t, "c.csv", "time,rate,up_loss\n0,5mbit,1%\n")
	course := file(t, "d.csv", "time,rate\n0,5mbit\n")
	strays := file(t, "e.csv", "time,jitter\n0,5\n")
	const apart = "the link's flags do not fit together: "
	const help = " (--help shows them)"
	for _, c := range []struct{ flags, line string }{
		{"--trace=", `--trace "": no file is named; give one of mahimahi's, or of CSV or JSON (usock run --help shows the flags)`},
		{"--trace /nowhere/x", "--trace /nowhere/x: no such file or directory"},
		{"--down-trace /", "--down-trace /: is a directory"},
		{"--up-trace " + wrong, "--up-trace " + wrong + ": line 2, column 1: 3 ms comes before 5 ms, the line above; times stay or rise"},
		{"--up-trace " + table, apart + "--up-trace " + table + ": it names directions itself, in its columns; give it for both" + help},
		{"--trace " + plain + " --rate 5mbit", apart + "--trace " + plain + ": other flags win over all of it, a rate or another trace; leave them out, or it" + help},
		{"--down-trace " + plain + " --down-rate 5mbit", apart + "--down-trace " + plain + ": other flags win over all of it, a rate or another trace; leave them out, or it" + help},
		{"--trace " + course + " --profile satellite-leo", apart + "--trace " + course + ": there is another course already, and both directions cannot have two" + help},
		{"--trace " + strays, apart + "from 0s: jitter: 5ms strays about a delay, and there is none; give one of 5ms or more" + help},
	} {
		got, status := complaint(t, append(append([]string{"run"}, strings.Fields(c.flags)...), "--", "true")...)
		if got != c.line || status != exitOwn {
			t.Errorf("%s: status %d\n%s\nwant\n%s", c.flags, status, got, c.line)
		}
	}
	for args, line := range map[string]string{
		"profile from":                         "a capture is wanted, and only one: usock profile from [flags] CAPTURE",
		"profile from " + plain:                plain + ": this is no capture: neither pcapng nor pcap",
		"profile from /nowhere/x":              "/nowhere/x: no such file or directory",
		"profile from --format x " + plain:     `--format "x": give csv or mahimahi`,
		"profile from --direction in " + plain: `--direction "in": give up or down`,
		"profile from --window 1us " + plain:   "--window 1µs: give 1ms or more",
		"profile from --format mahimahi x":     "two directions are two files of mahimahi's: name them by -o, or choose one by --direction",
		"profile web":                          `usock profile takes no arguments, and "web" is one (usock profile --help)`,
	} {
		if got, _ := complaint(t, strings.Fields(args)...); got != line {
			t.Errorf("%s: %s\nwant %s", args, got, line)
		}
	}
}

// given returns the conditions of flags.
func given(t *testing.T, flags string) *conditions {
	t.Helper()
	s := new(conditions)
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	s.flags(f)
	if err := f.Parse(strings.Fields(flags)); err != nil {
		t.Fatal(err)
	}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTraceWins has a trace win over a profile, and flags over both, in their directions.
func TestTraceWins(t *testing.T) {
	plain := file(t, "a.trace", "5\n10\n")
	table := file(t, "c.csv", "time,rate,loss\n0,5mbit,1%\n2,6mbit,\n3,repeat\n")
	s := given(t, "--up-rate 1mbit --delay 7ms --trace "+plain+" --profile slow-3g --mtu 1500")
	up, down := s.shape.Up, s.shape.Down
	if up != (link.Impairment{Rate: 1e6, Delay: 7 * time.Millisecond}) || down.Trace == nil || down != (link.Impairment{Trace: down.Trace, Delay: 7 * time.Millisecond}) || s.shape.OneWay {
		t.Errorf("%+v", s.shape)
	}
	if got, want := s.String(), "--profile slow-3g --trace "+plain+" --delay 7ms --up-rate 1mbit --mtu 1500"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	s = given(t, "--down-loss 3% --trace "+table+" --profile slow-3g")
	for i, rate := range []uint64{5e6, 6e6} {
		x := s.shape.Course.Steps[i]
		want := link.Impairment{Rate: rate, Delay: 150 * time.Millisecond, Loss: 0.01}
		if x.Up != want {
			t.Errorf("step %d up: %+v, want %+v", i, x.Up, want)
		}
		if want.Loss = 0.03; x.Down != want {
			t.Errorf("step %d down: %+v, want %+v", i, x.Down, want)
		}
	}
	if s.shape.Course.Every != 3*time.Second {
		t.Errorf("%+v", s.shape.Course)
	}
}

// TestDemoTrace has a transfer over a trace recorded, and made a trace again: the same as far as the transfer filled it.
func TestDemoTrace(t *testing.T) {
	plain := file(t, "a.trace", "1\n2\n2\n2\n4\n6\n10\n")
	dir := t.TempDir()
	var out strings.Builder
	d := &demo{size: 2, out: &out}
	d.shape.seed = 1
	d.shape.pcap.name = filepath.Join(dir, "demo.pcapng")
	if err := (&traceValue{of: &d.shape.wishes, direction: upward}).Set(plain); err != nil {
		t.Fatal(err)
	}
	if err := d.run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	root := rootCmd()
	root.SetArgs([]string{"profile", "from", "--format", "mahimahi", "-o", filepath.Join(dir, "demo"), d.shape.pcap.name})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	up, err := os.ReadFile(filepath.Join(dir, "demo.up"))
	if err != nil {
		t.Fatal(err)
	}

	// It was seen before its way, and is paced by what came back: 2 MiB and headers, in 7 opportunities each 10 ms.
	lines := bytes.Count(up, []byte("\n"))
	var last int
	for line := range strings.Lines(string(up)) {
		last = 0
		for _, c := range strings.TrimSpace(line) {
			last = last*10 + int(c-'0')
		}
	}
	if lines < 1390 || lines > 1600 {
		t.Errorf("%d opportunities for 2 MiB", lines)
	}
	if least := lines * 10 / 7 * 8 / 10; last < least {
		t.Errorf("%d opportunities within %d ms, and the trace has them in %d ms", lines, last, least)
	}
	if _, err := os.Stat(filepath.Join(dir, "demo.down")); err != nil {
		t.Error(err)
	}
}

func TestTraceCompletion(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"run --trace", ":0\n"}, // files
		{"demo --down-trace", ":0\n"},
		{"profile from --format", "csv\nmahimahi\n:4\n"},
		{"profile from --direction", "down\nup\n:4\n"},
		{"profile from", ":0\n"},
	} {
		var out bytes.Buffer
		root := rootCmd()
		root.SetArgs(append(append([]string{"__complete"}, strings.Fields(c.args)...), ""))
		root.SetOut(&out)
		root.SetErr(new(bytes.Buffer))
		if err := root.Execute(); err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.args, err, &out, c.want)
		}
	}
}
