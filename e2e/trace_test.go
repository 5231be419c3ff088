//go:build linux

package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A program gets in a second what the trace of its run has, within 5 %, and never more: as the file says when, whatever its kind.
// A processor that is busy with others can only take from it, and does not in all of three seconds. The opportunities of
// mahimahi's come in bursts that are the same in each second, so that it does not matter when the first one begins.
func TestTrace(t *testing.T) {
	need(t, "python3", "python3")
	bursts := ""
	for i := range 10 {
		for k := range 80 {
			bursts += fmt.Sprintln(i*100 + 1 + k/2) // 80 within 40 ms, then none for 60 ms
		}
	}
	for _, c := range []struct{ name, flag, text string }{
		{"mahimahi", "--down-trace", bursts + "1000\n"},
		{"CSV", "--trace", "time,down_rate\n0,1mbit\n0.02,9612kbit\n"}, // it holds when the program begins
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for p := dir; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
				os.Chmod(p, 0o755) // the program is nobody's
			}
			file := filepath.Join(dir, "trace")
			if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			r := usock(t, []string{"--isolated", c.flag, file}, "python3 "+script(t, "flood.py")+" 3")
			if r.code != 0 {
				t.Fatalf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
			}
			if want := "isolated; on its loopback link: " + c.flag + " " + file + " --mtu 1500 --seed "; !strings.Contains(r.stderr, want) {
				t.Errorf("no %q in %s", want, r.stderr)
			}
			var seconds [3]float64
			if n, err := fmt.Sscan(r.stdout, &seconds[0], &seconds[1], &seconds[2]); err != nil {
				t.Fatalf("%d numbers in %q: %v", n, r.stdout, err)
			}
			const want = 801 * 1500
			if got := slices.Max(seconds[:]); math.Abs(got-want) > 0.05*want {
				t.Errorf("at most %.0f bytes in a second, want %d: %.0f", got, want, seconds)
			}
		})
	}
}
