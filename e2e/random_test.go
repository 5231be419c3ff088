//go:build linux

package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The random driver (testdata/random.c) runs each seed on the kernel's sockets and under
// usock run, and what it prints must be the same:
//
//	go test ./e2e -run TestRandom -random.seeds 2000 -timeout 60m
//	go test ./e2e -run TestRandom -random.seed 17 -v
//	go test ./e2e -run TestRandom -random.seeds 200 -random.limit 120
var (
	randomSeeds   = flag.Int("random.seeds", 40, "how many seeds the random driver runs")
	randomFirst   = flag.Int("random.first", 1, "the first of them")
	randomSeed    = flag.Int("random.seed", 0, "run this seed alone")
	randomSteps   = flag.Int("random.steps", 60, "steps of a seed")
	randomWithout = flag.String("random.without", "", "kinds of steps that are left out, with commas between")
	randomRoot    = flag.Bool("random.root", false, "run as root where the tests do")
	randomCPU     = flag.Bool("random.cpu", false, "on one processor")
	randomLimit   = flag.Int("random.limit", 0, "descriptors that usock and the programs may have: errors are right then, "+
		"wrong bytes and hangs are not")
	randomNative = flag.Bool("random.native", false, "compare the kernel with itself")
)

// batch is how many seeds run in one usock run: they share its host, and some of
// them run at a time.
const batch = 20

func TestRandom(t *testing.T) {
	needC(t)
	first, n := *randomFirst, *randomSeeds
	if *randomSeed != 0 {
		first, n = *randomSeed, 1
	}
	for bad := 0; n > 0 && bad < 10; {
		k := min(n, batch)
		bad += randomBatch(t, first, k)
		first, n = first+k, n-k
	}
}

// randomBatch runs seeds and returns how many went wrong.
func randomBatch(t *testing.T, first, n int) (bad int) {
	t.Helper()
	var want map[int][]string
	if *randomLimit == 0 {
		want = randomRun(t, first, n, false)
	}
	got := randomRun(t, first, n, !*randomNative)
	for seed := first; seed < first+n; seed++ {
		w, g := want[seed], got[seed]
		if *randomLimit == 0 && slices.Equal(w, g) && right(g) || *randomLimit != 0 && right(g) {
			continue
		}
		bad++
		t.Errorf("seed %d: kernel -, usock +\n%s\nreplay: %s", seed, different(w, g), replay(seed))
	}
	return bad
}

// right tells whether the driver itself has found nothing wrong.
func right(log []string) bool {
	return len(log) > 0 && strings.HasSuffix(log[len(log)-1], " done") &&
		!slices.ContainsFunc(log, func(l string) bool { return strings.Contains(l, "FAULT") || strings.Contains(l, "HANG") })
}

// replay returns the command that runs a seed again.
func replay(seed int) string {
	s := fmt.Sprintf("go test ./e2e -run 'TestRandom$' -random.seed %d -random.steps %d", seed, *randomSteps)
	if *randomWithout != "" {
		s += " -random.without " + *randomWithout
	}
	if *randomRoot {
		s += " -random.root"
	}
	if *randomCPU {
		s += " -random.cpu"
	}
	if *randomLimit != 0 {
		s += fmt.Sprintf(" -random.limit %d", *randomLimit)
	}
	return s
}

// different returns the lines around the first difference and those that tell a fault.
func different(want, got []string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	var b strings.Builder
	for _, l := range want[max(0, i-8):i] {
		fmt.Fprintln(&b, " ", l)
	}
	for _, l := range want[i:min(len(want), i+4)] {
		fmt.Fprintln(&b, "-", l)
	}
	for _, l := range got[i:min(len(got), i+24)] {
		fmt.Fprintln(&b, "+", l)
	}
	return b.String()
}

// randomRun runs seeds, under usock or not, and returns the log of each.
func randomRun(t *testing.T, first, n int, usock bool) map[int][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit+time.Duration(n)*15*time.Second)
	defer cancel()
	driver := []string{filepath.Join(bin, "random"), strconv.Itoa(first), strconv.Itoa(n), "-s", strconv.Itoa(*randomSteps)}
	if *randomWithout != "" {
		driver = append(driver, "-w", *randomWithout)
	}
	if *randomLimit != 0 {
		driver = append(driver, "-x", "1", "-j", "1") // each seed has the limit for itself
	}
	c, marker := randomCommand(t, ctx, driver, usock)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if ctx.Err() != nil || c.ProcessState == nil {
		t.Fatalf("seeds from %d: %v\n%s%s", first, err, tail(stdout.Bytes()), tail(stderr.Bytes()))
	}
	leavesNothing(t, marker, c.Dir)
	logs := map[int][]string{}
	seed := 0
	for l := range strings.Lines(stdout.String()) {
		l = strings.TrimSuffix(l, "\n")
		if s, ok := strings.CutPrefix(l, "seed "); ok {
			seed, _ = strconv.Atoi(s)
		} else {
			logs[seed] = append(logs[seed], l)
		}
	}
	if stderr.Len() > 0 {
		t.Logf("seeds from %d: stderr: %s", first, tail(stderr.Bytes()))
	}
	return logs
}

// randomCommand returns the driver's command, and the marker that its descendants have.
func randomCommand(t *testing.T, ctx context.Context, driver []string, usock bool) (*exec.Cmd, string) {
	t.Helper()
	user := uint32(nobody)
	if *randomRoot {
		user = 0
	}
	c, marker := commandAs(t, ctx, user, append([]string{"--"}, driver...)...)
	if !usock {
		c.Path, c.Args = driver[0], driver
	}
	if *randomLimit != 0 {
		c.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, *randomLimit)}, c.Args...)
		c.Path = lookPath(t, "sh")
	}
	if *randomCPU {
		c.Args = append([]string{"taskset", "-c", "0"}, c.Args...)
		c.Path = lookPath(t, "taskset")
	}
	// A driver that is not done is killed with its whole group.
	c.SysProcAttr.Setpgid = true
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	return c, marker
}

func lookPath(t *testing.T, program string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
