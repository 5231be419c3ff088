package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestRulesAreChecked has what usock run says of rules and scripts that are none, and usock check of the same scripts.
func TestRulesAreChecked(t *testing.T) {
	const flags = " (usock run --help shows the flags)"
	for rule, want := range map[string]string{
		"udp: dealy 5ms":  `column 6: "dealy" is no effect; delay is meant?`,
		"to api.test:443": "column 16: the colon is missing, and the effect; a rule is a condition, a colon and an effect, such as 'udp: delay 200ms'",
	} {
		if got, status := complaint(t, "run", "--rule", rule, "--", "true"); got != "--rule "+rule+": "+want+flags || status != exitOwn {
			t.Errorf("%s: %s, status %d", rule, got, status)
		}
	}
	if got, _ := complaint(t, "run", "--script", "", "--", "true"); got != `--script "": no file is named; give a script, such as bad-day.usock`+flags {
		t.Error(got)
	}
	if got, status := complaint(t, "check"); got != "no script is named: usock check FILE" || status != 1 {
		t.Errorf("%s, status %d", got, status)
	}
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.usock"), filepath.Join(dir, "bad.usock")
	write(t, good, "profile dsl\nat 5s: cut\nudp: delay 5ms\nfault connect refused to api.test:443 from 5s until 8s\n")
	write(t, bad, "at 5: cut\n# and\n  tdp: cut\n fault connect refuse to :80\n")
	said := bad + ":1:4: the unit of \"5\" is missing, as in 5s\n" + bad + `:3:3: "tdp" is no condition; tcp is meant?` + "\n" + bad + `:4:16: "refuse": did you mean "refused"? refused, timed or late is wanted`
	for _, command := range []string{"run --", "demo"} {
		args := strings.Fields(command + " --script " + bad)
		if args[0] == "run" {
			args = []string{"run", "--script", bad, "--", "true"}
		}
		if got, _ := complaint(t, args...); got != said {
			t.Errorf("%s: %s, want\n%s", command, got, said)
		}
	}
	for _, c := range []struct {
		files      []string
		out, wrong string
	}{
		{[]string{good}, "", ""},
		{[]string{bad}, said + "\n", bad + " cannot be run"},
		{[]string{good, bad, dir}, said + "\n" + dir + ": is a directory\n", "2 of 3 scripts cannot be run"},
	} {
		var out strings.Builder
		err := check(c.files, &out)
		if out.String() != c.out || (err == nil) != (c.wrong == "") || err != nil && err.Error() != c.wrong {
			t.Errorf("%q: %s\n%v", c.files, &out, err)
		}
	}
	want := "the link's flags do not fit together: --profile wifi says what the link is, and so does " + good + "; its line would be profile wifi (--help shows them)"
	if got, _ := complaint(t, "run", "--profile", "wifi", "--script", good, "--", "true"); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestShapeOfAll has the shape that a profile, a script, flags and rules make together.
func TestShapeOfAll(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script.usock")
	write(t, script, "delay 20ms\nat 5s: delay 30ms\nudp: cut\n")
	rules := filepath.Join(t.TempDir(), "rules.usock")
	write(t, rules, "udp: cut\n")
	for args, want := range map[string]string{
		"--rule 'tcp: delay 5ms' --rule 'to a: cut'":           "--rule 'tcp: delay 5ms' --rule 'to a: cut' --mtu 1500; one way, up 0s, down 0s; tcp: delay 5ms; to a: cut",
		"--script " + script:                                   "--script " + script + " --mtu 1500; up 20ms, down 20ms; 0s 20ms 20ms; 5s 30ms 30ms; udp: cut",
		"--script " + script + " --down-delay 7ms":             "--script " + script + " --down-delay 7ms --mtu 1500; up 20ms, down 7ms; 0s 20ms 7ms; 5s 30ms 7ms; udp: cut",
		"--profile apple-high-latency-dns --script " + rules:   "--profile apple-high-latency-dns --script " + rules + " --mtu 1500; up 0s, down 0s; down to :53: delay 3s; udp: cut",
		"--delay 3ms --script " + rules + " --rule 'any: cut'": "--script " + rules + " --delay 3ms --rule 'any: cut' --mtu 1500; one way, up 3ms, down 3ms; udp: cut; any: cut",
	} {
		var s conditions
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.flags(f)
		if err := f.Parse(words(args)); err != nil {
			t.Fatal(err)
		}
		if err := s.open(); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		b.WriteString(s.String() + "; ")
		if s.shape.OneWay {
			b.WriteString("one way, ")
		}
		b.WriteString("up " + s.shape.Up.Delay.String() + ", down " + s.shape.Down.Delay.String())
		for _, step := range s.shape.Course.Steps {
			b.WriteString("; " + step.At.String() + " " + step.Up.Delay.String() + " " + step.Down.Delay.String())
		}
		for i := range s.shape.Rules {
			b.WriteString("; " + s.shape.Rules[i].String())
		}
		if b.String() != want {
			t.Errorf("%s:\n%s, want\n%s", args, &b, want)
		}
	}
}

func TestQuoted(t *testing.T) {
	if got := quoted("it's"); got != `'it'\''s'` {
		t.Error(got)
	}
}
