//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRules has rules, and what a program sees of them.
func TestRules(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	file := script(t, "rules.py")
	bad := filepath.Join(t.TempDir(), "bad.usock")
	open(t, filepath.Dir(bad))
	if err := os.WriteFile(bad, []byte("# a bad day\nudp: delay 200ms\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		flags []string
		argv  []string
		want  string
	}{
		{"protocol", []string{"--rule", "udp: delay 200ms"}, []string{"python3", file, "echo"}, "udp late\ntcp soon\n"},
		{"script", []string{"--script", bad}, []string{"python3", file, "echo"}, "udp late\ntcp soon\n"},
		{"direction", []string{"--rule", "up tcp: delay 400ms", "--on", "loopback"}, []string{"python3", file, "echo"}, "udp soon\ntcp late\n"},
		{"connection", []string{"--rule", "tcp to localhost connection 2: cut"}, []string{"python3", file, "several", "3"}, "1 is there\n2 timed out\n3 is there\n"},
		{"process", []string{"--rule", "process late: delay 200ms"}, []string{"sh", "-c", `
cp $(readlink -f $(python3 -c 'import sys; print(sys.executable)')) late || exit
python3 ` + file + ` serve_at port & server=$!
until [ -e port ]; do kill -0 $server && sleep 0.02; done
python3 ` + file + ` ask $(cat port)
PYTHONHOME=$(python3 -c 'import sys; print(sys.prefix)') ./late ` + file + ` ask $(cat port)
python3 ` + file + ` ask $(cat port)
kill $server`}, "soon\nlate\nsoon\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := recorded(t, false, c.flags, c.argv...)
			if r.stdout != c.want {
				t.Errorf("%s, want\n%s\n%s", r.stdout, c.want, r.stderr)
			}
		})
	}
}

// TestRuleInTime has a rule hold at times, and the capture tell of each packet that it has lost.
func TestRuleInTime(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	const rule = "udp every 600ms for 300ms: cut"
	_, file := recorded(t, false, []string{"--rule", rule}, "python3", script(t, "rules.py"), "tick", "1.3")
	var text strings.Builder
	for _, line := range tsharkLines(t, file, "-Y", "udp", "-T", "fields", "-e", "frame.number", "-e", "frame.comment") {
		if strings.Contains(line, "dropped: loss ("+rule+", up)") {
			text.WriteByte('x')
		} else {
			text.WriteByte('.')
		}
	}
	turns := strings.Count(text.String(), ".x") + strings.Count(text.String(), "x.")
	if lost := strings.Count(text.String(), "x"); lost < 10 || lost > text.Len()-10 || turns < 3 || turns > 5 {
		t.Errorf("%s", &text)
	}
}

// TestRuleByName has a rule about a name hold from the answer of a name server on.
func TestRuleByName(t *testing.T) {
	needNameServer(t)
	need(t, "python3", "python3")
	got := lookUp(t, "192.0.2.1", []string{"--rule", "tcp to near.test: delay 200ms"}, false, "python3 "+script(t, "rules.py")+" named near.test 192.0.2.1 53")
	if got != "before soon\nafter late\n" {
		t.Error(got)
	}
}
