package shape_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"usock/link"
	"usock/shape"
)

// script reads a script.
func script(t *testing.T, text string) shape.Shape {
	t.Helper()
	s, err := shape.ParseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shape.Check(); err != nil {
		t.Fatal(err)
	}
	return s.Shape
}

// TestScripts has scripts, and what becomes of packets.
func TestScripts(t *testing.T) {
	const (
		out = "out tcp 10.0.0.1:1000>10.0.0.2:443"
		in  = "in tcp 10.0.0.2:443>10.0.0.1:1000"
	)
	for name, c := range map[string]struct {
		script string
		lines  []string
	}{
		"nothing":                         {"", []string{out + " → 0s"}},
		"comments":                        {"# nothing\n\n   # to say \"here\n", []string{out + " → 0s"}},
		"no end":                          {"delay 5ms", []string{out + " → 5ms", in + " → 5ms"}},
		"base":                            {"delay 5ms\nup delay 7ms\ndown loss 100%\n", []string{out + " → 7ms", in + " → lost"}},
		"rule":                            {"delay 5ms\ntcp: delay 7ms # more\nudp: cut\n", []string{out + " → 12ms", "out udp 10.0.0.1:1>10.0.0.2:2 → lost"}},
		"CRLF":                            {"\ufeffdelay 5ms\r\n\r\ntcp: delay 7ms\r\nat 10s: cut\r\n", []string{out + " → 12ms", "10s " + out + " → lost"}},
		"profile":                         {"profile apple-100-loss", []string{out + " → lost"}},
		"changes":                         {"at 10s: delay 100ms\nat 20s down: delay 7ms\nat 30s: clear\n", []string{out + " → 0s", "10s " + out + " → 100ms", "15s " + in + " → 100ms", "20s " + in + " → 7ms", "25s " + out + " → 100ms", "30s " + in + " → 0s"}},
		"any order":                       {"at 20s: cut\nat 10s: delay 5ms\nat 30s: heal\n", []string{"10s " + out + " → 5ms", "20s " + out + " → lost", "30s " + out + " → 5ms"}},
		"together":                        {"at 10s: delay 5ms\nat 10s down: delay 6ms\n", []string{"10s " + out + " → 5ms", "15s " + in + " → 6ms"}},
		"cut":                             {"delay 5ms\nat 10s up: cut\nat 20s: heal\n", []string{"10s " + out + " → lost", "15s " + in + " → 5ms", "20s " + out + " → 5ms"}},
		"cut loses what is set meanwhile": {"at 10s: cut\nat 20s: loss 0% delay 5ms\nat 30s: heal\n", []string{"20s " + out + " → lost", "30s " + out + " → 5ms"}},
		"clear one":                       {"delay 5ms\nat 10s up: clear\n", []string{"10s " + out + " → 0s", "15s " + in + " → 5ms"}},
		"every":                           {"at 0s: delay 5ms\nat 10s: cut\nat 20s: heal\nevery 30s\n", []string{out + " → 5ms", "10s " + out + " → lost", "20s " + out + " → 5ms", "41s " + out + " → lost", "50s " + out + " → 5ms", "3011s " + out + " → lost"}},
		"every, not from the beginning":   {"at 10s: delay 5ms\nat 20s: delay 6ms\nevery 30s\n", []string{out + " → 0s", "10s " + out + " → 5ms", "20s " + out + " → 6ms", "35s " + out + " → 6ms", "40s " + out + " → 5ms"}},
		"a profile that changes":          {"profile satellite-leo\nloss 0%\n", []string{"14900ms " + out + " → lost"}},
		"a profile that changes, later":   {"at 100s: profile satellite-leo\nat 130s: clear\n", []string{"90s " + out + " → 0s", "114900ms " + out + " → lost", "130s " + out + " → 0s", "144900ms " + out + " → 0s"}},
		"cut, and a profile that changes": {"profile satellite-leo\njitter 0ms\nat 5s: cut\nat 20s: heal\n", []string{out + " → 20.023466ms", "5s " + out + " → lost", "16s " + out + " → lost", "22s " + out + " → 26.023466ms", "29900ms " + out + " → lost"}},
		"a profile's rules": {"at 10s: profile apple-high-latency-dns\nat 20s: profile apple-100-loss\nat 30s: clear\nat 40s: profile apple-high-latency-dns", []string{
			"out udp 10.0.0.1:1000>10.0.0.2:53 → 0s", "in udp 10.0.0.2:53>10.0.0.1:1000 → 0s", "10s in udp 10.0.0.2:53>10.0.0.1:1000 → 3s", "20s in udp 10.0.0.2:53>10.0.0.1:1000 → lost",
			"30s in udp 10.0.0.2:53>10.0.0.1:1000 → 0s", "40s in udp 10.0.0.2:53>10.0.0.1:1000 → 3s", "45s " + out + " → 0s"}},
		"a profile's rules, again and again": {"profile apple-high-latency-dns\nat 10s: clear\nevery 20s", []string{
			"out udp 10.0.0.1:1000>10.0.0.2:53 → 0s", "5s in udp 10.0.0.2:53>10.0.0.1:1000 → 3s", "10s in udp 10.0.0.2:53>10.0.0.1:1000 → 0s", "25s in udp 10.0.0.2:53>10.0.0.1:1000 → 3s"}},
		"rules in their own time": {"at 10s: delay 5ms\nevery 20s\ntcp every 5s for 1s: delay 1ms\n up at 7s for 1s: delay 2ms", []string{out + " → 1ms", "7s " + out + " → 2ms", "30s " + out + " → 6ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := newPassage(t, script(t, c.script), shape.Config{})
			for _, line := range c.lines {
				x.run(line)
			}
		})
	}
}

// TestScriptFaults reads faults among other lines.
func TestScriptFaults(t *testing.T) {
	s, err := shape.ParseScript("delay 5ms\nfault connect refused to api.test:443 from 5s until 8s # for a while\nudp: cut\n  fault dns NXDOMAIN once\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := "[connect refused to api.test:443 from 5s until 8s dns NXDOMAIN once]"; fmt.Sprint(s.Faults) != want || len(s.Shape.Rules) != 1 || s.Shape.Up.Delay == 0 {
		t.Errorf("%v, %+v", s.Faults, s.Shape)
	}
}

// TestScriptErrors has scripts that are wrong, and all that is said of them.
func TestScriptErrors(t *testing.T) {
	for text, want := range map[string]string{
		"udp: dealy 5ms":                  `line 1, column 6: "dealy" is no effect; delay is meant?`,
		"\n\n  tdp: cut # x\nat 5: cut\n": "line 3, column 3: \"tdp\" is no condition; tcp is meant?\nline 4, column 4: the unit of \"5\" is missing, as in 5s",
		"profile":                         "line 1, column 1: the name of a profile is missing; usock profiles lists them",
		"profile slow-5g":                 `line 1, column 9: there is no profile "slow-5g"; usock profiles lists them, such as slow-4g, slow-3g`,
		"profile slow-3g delay 5ms":       `line 1, column 17: "delay" stands behind the profile, where nothing does; other options have a line of their own`,
		"at 5s up: profile slow-3g":       "line 1, column 11: a profile is of both directions",
		"at 5s:":                          "line 1, column 4: what is the link from then on? Such as profile slow-3g, delay 100ms, cut, heal or clear",
		"at 5s: cut now":                  `line 1, column 12: "now" stands behind cut, where nothing does`,
		"at 5s: heel":                     `line 1, column 8: "heel" is no effect; heal is meant?`,
		"at 5s: delay 5ms cut":            "line 1, column 18: cut stands alone",
		"at 5s: delay 5ms delay 6ms":      "line 1, column 18: delay is there twice",
		"at 5s: delay":                    "line 1, column 13: a value is missing behind delay",
		"at 3s: to db: cut":               "line 1, column 8: a rule has times of its own: to db from 3s: ...",
		"at 3s down: rate 1mbit until 5s": "line 1, column 24: a change holds until another one comes, which has a line of its own, such as at 5s: clear",
		"cut\nheal":                       "line 2, column 1: heal undoes what was before, at a time: at 22s: heal",
		"down clear":                      "line 1, column 6: clear undoes what was before, at a time: at 22s: clear",
		"at 5s: jitter 5ms":               "line 1, column 8: jitter: 5ms strays about a delay, and there is none; give one of 5ms or more",
		"at 5s: delay 10ms jitter 5ms\nat 6s: delay 1ms": "line 2, column 8: jitter: 5ms is more than the delay of 1ms",
		"delay 5":                                "line 1, column 7: delay 5: the unit is missing, as in 5ms",
		"every 60s":                              "line 1, column 7: nothing has a time that would come again",
		"at 60s: cut\nevery 60s":                 "line 2, column 7: line 1 comes at 1m0s, which is not before 1m0s",
		"at 5s: cut\nevery 60s\nevery 70s":       "line 3, column 1: every is there twice; line 2 has it",
		"every":                                  "line 1, column 1: every takes one time, such as every 60s; a rule has a colon",
		"every 0s":                               "line 1, column 7: every 0s is never done",
		"fault":                                  "line 1, column 1: which fault? Such as fault connect refused to api.test:443",
		"cut\n fault connect refuse # now":       `line 2, column 16: "refuse": did you mean "refused"? refused, timed or late is wanted`,
		"fault connect refused from 5s until 2s": "line 1, column 31: until 2s ends before it begins",
		"at 5s: fault connect refused":           "line 1, column 8: a fault has times of its own, at the end: fault connect refused from 5s",
		strings.Repeat("fault reset at accept\n", 257): "line 257, column 1: this is fault 257; up to 256 are possible",
		"every 60s: cut":                           "line 1, column 1: every 60s for how long? Give every 60s for 2s",
		"slow-3g":                                  `line 1, column 1: "slow-3g" is no condition; ` + words,
		"udp: cut\rtcp: cut":                       `line 1, column 9: there is a '\r' in it`,
		"process müsli: \x00":                      `line 1, column 16: there is a '\x00' in it`,
		"\xff\xfeu\x00":                            "line 1, column 1: this is no UTF-8",
		strings.Repeat(" ", 2000):                  "line 1, column 1025: it has 2000 bytes; up to 1024 are read",
		strings.Repeat("udp: delay 1ms\n", 257):    "line 257, column 1: this is rule 257; up to 256 are possible",
		strings.Repeat("at 5s: delay 1ms\n", 4097): "line 4097, column 1: this is change 4097 of the link; up to 4096 are possible",
		strings.Repeat("#", 1<<20+1):               "line 1, column 1: the script has 1048577 bytes; up to 1048576 are read",
	} {
		_, err := shape.ParseScript(text)
		if err == nil {
			t.Errorf("%.60q was taken", text)
		} else if err.Error() != want {
			t.Errorf("%.60q:\n%s, want\n%s", text, err, want)
		}
	}
	_, err := shape.ParseScript(strings.Repeat("x\n", 1000))
	if n := strings.Count(fmt.Sprint(err), "\n") + 1; n != 20 {
		t.Errorf("%d lines about a text that is no script", n)
	}
}

// TestHugeScript is read, and run.
func TestHugeScript(t *testing.T) {
	var b strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&b, "at %dms: delay %dms\n# and so on\n", 10*i, i%7+1)
	}
	x := newPassage(t, script(t, b.String()), shape.Config{})
	x.run("20001ms out tcp 10.0.0.1:1000>10.0.0.2:443 → 6ms")
}

// FuzzScript takes nothing that cannot be run, and complains about places in the text.
func FuzzScript(f *testing.F) {
	for _, text := range []string{
		"profile satellite-leo\nat 10s: delay 5ms loss 1%\nat 20s up: cut\nat 30s: heal\nevery 60s\nudp: delay 5ms # x\n", "delay 5ms\r\nat 1s: clear\r\n", "every 5s\nat 1s: profile slow-3g\n",
		"\ufeff#\"\nprofile apple-high-latency-dns\nat 5s down: clear\nevery 9s",
		"fault connect refused to *.test:80 process \"a b\" from 5s until 8s # x\nat 1s: cut\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := shape.ParseScript(text)
		if err != nil {
			all := []error{err}
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				all = joined.Unwrap()
			}
			for _, err := range all {
				if e, ok := err.(*shape.TextError); !ok || e.Line < 1 || e.Column < 1 || e.Line > strings.Count(text, "\n")+1 {
					t.Errorf("%q: %#v", text, err)
				}
			}
			return
		}
		if err := s.Shape.Check(); err != nil {
			t.Errorf("%q: %v", text, err)
			return
		}
		for _, x := range s.Faults {
			if again, err := shape.ParseFault(x.String()); err != nil || again.String() != x.String() {
				t.Errorf("%q has the fault %v, which is read as %v, %v", text, x, again, err)
			}
		}
		x := newPassage(t, s.Shape, shape.Config{})
		for range 20 {
			x.clock.Advance(time.Second)
			x.link.Send([]*link.Packet{packetOf(make([]byte, 40), 20)})
		}
	})
}
