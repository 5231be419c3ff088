package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	batch      = 1000 // sequences that one usock run plays
	batchLimit = 5 * time.Minute
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

// part is what one usock run plays.
type part struct {
	list  []recording
	user  uint32
	plain bool // with send(2) and recv(2) on streams
}

// parts divides the recordings by user, and what is about streams once more with
// plain calls.
func parts(list []recording) (out []part) {
	add := func(p part, keep func(*recording) bool) {
		var mine []recording
		for i := range list {
			if keep(&list[i]) {
				mine = append(mine, list[i])
			}
		}
		for i := 0; i < len(mine); i += batch {
			p.list = mine[i:min(i+batch, len(mine))]
			out = append(out, p)
		}
	}
	add(part{user: 0}, func(r *recording) bool { return !r.Unprivileged })
	add(part{user: nobody}, func(r *recording) bool { return r.Unprivileged })
	add(part{user: 0, plain: true}, func(r *recording) bool { return !r.Unprivileged && anyMatch("tcp*; connect/tcp*", r.Name) })
	return out
}

// play has a part played under usock run and returns the differences.
func (r *runner) play(t *testing.T, p part) (out []difference) {
	dir, err := os.MkdirTemp(r.dir, "")
	if err != nil {
		t.Error(err)
		return nil
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Error(err)
		return nil
	}
	in, found := filepath.Join(dir, "recordings"), filepath.Join(dir, "found")
	writeRecordings(t, in, p.list)
	ctx, cancel := context.WithTimeout(context.Background(), batchLimit)
	defer cancel()
	c := exec.CommandContext(ctx, r.path("usock"), "run", "--isolated", "--", r.path("oracle.test"),
		"-test.run", "^TestReplay$", "-test.timeout", (batchLimit - 5*time.Second).String(), "-replay", in, "-found", found, fmt.Sprintf("-plain=%t", p.plain), "-settle", settle.String())
	c.Dir = dir
	c.Env = append(os.Environ(), "TMPDIR="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.user, Gid: p.user}}
	c.WaitDelay = time.Second
	if text, err := c.CombinedOutput(); err != nil {
		t.Errorf("usock run: %v\n%s", err, text)
		return nil
	}
	f, err := os.Open(found)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var x [5]string
		if err := d.Decode(&x); err != nil {
			t.Error(err)
			return out
		}
		if p.plain {
			x[0] = plainPrefix + x[0]
		}
		out = append(out, difference{x[0], x[1], x[2], x[3], x[4]})
	}
	return out
}

// plainPrefix is before the names of sequences that were played with plain calls.
const plainPrefix = "plain: "

// playAll plays the parts, two at a time.
func (r *runner) playAll(t *testing.T, list []part) (out []difference) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan part)
	for range 2 {
		wg.Go(func() {
			for p := range next {
				found := r.play(t, p)
				mu.Lock()
				out = append(out, found...)
				mu.Unlock()
			}
		})
	}
	for _, p := range list {
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
	list := parts(recordAll(t, allCases()))
	sequences, calls := 0, 0
	for _, p := range list {
		sequences += len(p.list)
		for i := range p.list {
			calls += len(p.list[i].Steps)
		}
	}
	used := make([]int, len(declaredRun))
	excusedOnes := 0
	var undeclared []difference
	for _, d := range r.playAll(t, list) {
		if *findAll {
			t.Logf("%s: %v", d.name, d)
		}
		if excusedRun(d, used) {
			excusedOnes++
		} else {
			undeclared = append(undeclared, d)
		}
	}
	for range 4 { // each on a machine with other work
		undeclared = r.again(t, undeclared)
	}
	for _, d := range undeclared {
		t.Errorf("%s: %s: %s: usock run %s, kernel %s", d.name, d.line, d.what, d.usock, d.kernel)
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("declared, but there is no such difference: %+v", declaredRun[i])
		}
	}
	t.Logf("%d sequences, %d calls, %d declared differences", sequences, calls, excusedOnes)
}

// again records and plays the sequences of the differences once more, and returns
// those that are seen again: a look at either system may have come before the packets
// that were on their way had arrived.
func (r *runner) again(t *testing.T, found []difference) (out []difference) {
	if len(found) == 0 {
		return nil
	}
	names := make(map[string]bool)
	for _, d := range found {
		t.Logf("once more: %s: %s: %s: usock run %s, kernel %s", d.name, d.line, d.what, d.usock, d.kernel)
		names[strings.TrimPrefix(d.name, plainPrefix)] = true
	}
	cases := slices.DeleteFunc(allCases(), func(c sequence) bool { return !names[c.name] })
	seen := make(map[[3]string]bool)
	patiently(func() {
		for _, d := range r.playAll(t, parts(recordAll(t, cases))) {
			seen[[3]string{d.name, d.line, d.what}] = true
		}
	})
	for _, d := range found {
		if seen[[3]string{d.name, d.line, d.what}] {
			out = append(out, d)
		}
	}
	return out
}

// excusedRun reports whether d is declared, and counts that. A field may have
// several patterns, separated by "; ".
func excusedRun(d difference, used []int) bool {
	ok := false
	name, plain := strings.CutPrefix(d.name, plainPrefix)
	for i := range declaredRun {
		e := &declaredRun[i]
		if (plain || !e.plain) && anyMatch(e.name, name) && anyMatch(e.line, d.line) && anyMatch(e.what, d.what) &&
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
