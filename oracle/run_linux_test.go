package oracle

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	batch      = 1000 // sequences that one usock run plays
	batchLimit = 2 * time.Minute
	nobody     = 65534
)

// runner is where the programs and the recordings are: a folder that everyone can
// enter.
type runner struct{ dir string }

func newRunner(t *testing.T) *runner {
	dir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	r := &runner{dir}
	for _, args := range [][]string{
		{"test", "-c", "-o", r.path("oracle.test"), "."},
		{"build", "-o", r.path("usock"), "../cmd/usock"},
	} {
		c := exec.Command("go", args...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	return r
}

func (r *runner) path(name string) string { return filepath.Join(r.dir, name) }

// play has the recordings played under usock run, as root or as an ordinary user,
// and returns the differences.
func (r *runner) play(t *testing.T, name string, list []recording, user uint32) (out []difference) {
	in, found := r.path(name+".json"), r.path(name+".found")
	writeRecordings(t, in, list)
	ctx, cancel := context.WithTimeout(context.Background(), batchLimit)
	defer cancel()
	c := exec.CommandContext(ctx, r.path("usock"), "run", "--", r.path("oracle.test"),
		"-test.run", "^TestReplay$", "-test.timeout", (batchLimit - 5*time.Second).String(), "-replay", in, "-found", found)
	c.Dir = r.dir
	c.Env = append(os.Environ(), "TMPDIR="+r.dir)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	c.WaitDelay = time.Second
	if text, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
		return nil
	}
	f, err := os.Open(found)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var x [5]string
		if err := d.Decode(&x); err != nil {
			t.Error(err)
			return out
		}
		out = append(out, difference{x[0], x[1], x[2], x[3], x[4]})
	}
	return out
}

// playAll plays the recordings in batches, two at a time.
func (r *runner) playAll(t *testing.T, list []recording) (out []difference) {
	type part struct {
		name string
		list []recording
		user uint32
	}
	var parts []part
	for _, user := range []uint32{0, nobody} {
		var mine []recording
		for _, x := range list {
			if x.Unprivileged == (user != 0) {
				mine = append(mine, x)
			}
		}
		for i := 0; i < len(mine); i += batch {
			parts = append(parts, part{"batch" + string(rune('a'+len(parts))), mine[i:min(i+batch, len(mine))], user})
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan part)
	for range 2 {
		wg.Go(func() {
			for p := range next {
				found := r.play(t, p.name, p.list, p.user)
				mu.Lock()
				out = append(out, found...)
				mu.Unlock()
			}
		})
	}
	for _, p := range parts {
		next <- p
	}
	close(next)
	wg.Wait()
	return out
}

// TestRun holds usock run to the kernel: what the kernel answers is recorded, and
// the same system calls are made in a program under usock run.
func TestRun(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the kernel's side needs a network namespace: run as root")
	}
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	r := newRunner(t)
	list := recordAll(t, allCases())
	calls := 0
	for i := range list {
		calls += len(list[i].Steps)
	}
	used := make([]int, len(declaredRun))
	excusedOnes := 0
	for _, d := range r.playAll(t, list) {
		if *findAll {
			t.Logf("%s: %v", d.name, d)
		}
		if excusedRun(d, used) {
			excusedOnes++
		} else {
			t.Errorf("%s: %s: %s: usock run %s, kernel %s", d.name, d.line, d.what, d.usock, d.kernel)
		}
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("declared, but there is no such difference: %+v", declaredRun[i])
		}
	}
	t.Logf("%d sequences, %d calls, %d declared differences", len(list), calls, excusedOnes)
}

// excusedRun reports whether d is declared, and counts that. A field may have
// several patterns, separated by "; ".
func excusedRun(d difference, used []int) bool {
	ok := false
	for i := range declaredRun {
		e := &declaredRun[i]
		if anyMatch(e.name, d.name) && anyMatch(e.line, d.line) && anyMatch(e.what, d.what) &&
			anyMatch(e.usock, d.usock) && anyMatch(e.kernel, d.kernel) {
			used[i]++
			ok = true
		}
	}
	return ok
}

func anyMatch(patterns, s string) bool {
	if patterns == "" {
		return true
	}
	for _, p := range strings.Split(patterns, "; ") {
		if match(p, s) {
			return true
		}
	}
	return false
}
