//go:build linux

package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// bin is the folder with usock and the compiled programs.
var bin string

// nobody runs the programs where the tests run as root.
const nobody = 65534

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	os.Chmod(bin, 0o755)
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Those that run beside others wait for programs more than they compute. The command line's -parallel counts.
	flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	return m.Run()
}

func build() error {
	for _, b := range []struct{ out, pkg string }{{"usock", "../cmd/usock"}, {"gonet", "./testdata/gonet"}, {"gofaults", "./testdata/gofaults"}, {"confine", "./testdata/confine"}} {
		c := exec.Command("go", "build", "-o", filepath.Join(bin, b.out), b.pkg)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", b.pkg, err, out)
		}
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		return nil // the tests that need it tell
	}
	sources, _ := filepath.Glob("../examples/c/*.c")
	own, _ := filepath.Glob("testdata/*.c")
	for _, src := range append(sources, own...) {
		name := strings.TrimSuffix(filepath.Base(src), ".c")
		out, err := exec.Command(cc, "-O1", "-Wall", "-Wextra", "-pthread", "-o", filepath.Join(bin, name), src).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", src, err, out)
		}
	}
	return nil
}

// need skips the test if the program is not installed, or fails it where it should
// be (CI=true).
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if _, err := os.Stat(filepath.Join("/usr/sbin", program)); err == nil {
		return
	}
	msg := fmt.Sprintf("%s is not installed (Debian: apt-get install %s)", program, debian)
	if os.Getenv("CI") == "true" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

func needC(t *testing.T) {
	t.Helper()
	need(t, "cc", "gcc libc6-dev")
}

// prelude is what every script can use.
const prelude = `set -e
PATH=` + "%s" + `:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
export PATH
# until_ok runs a command until it succeeds; the test's deadline is the limit.
until_ok() { until "$@" >/dev/null 2>&1; do sleep 0.02; done; }
# listening waits for a server to say so in its output.
listening() { until_ok grep -qi listening "$1"; }
`

var runs atomic.Int64

// result is how a command ended.
type result struct {
	stdout, stderr string
	dir            string // where it ran
	code           int
	signal         syscall.Signal
}

const limit = 60 * time.Second

// isolated is the flag of runs that have no outside: all but those whose test says so.
const isolated = "--isolated"

// reaches has a run reach the outside.
func reaches(c *exec.Cmd) {
	c.Args = slices.DeleteFunc(c.Args, func(a string) bool { return a == isolated })
}

// command returns usock run with its arguments, as an ordinary user in a folder of
// its own, and the marker that is in the environment of all its descendants.
func command(t *testing.T, ctx context.Context, args ...string) (*exec.Cmd, string) {
	t.Helper()
	return commandAs(t, ctx, nobody, args...)
}

// commandAs is command as the given user, where the tests run as root.
func commandAs(t *testing.T, ctx context.Context, user uint32, args ...string) (*exec.Cmd, string) {
	t.Helper()
	dir := t.TempDir()
	marker := fmt.Sprintf("USOCK_E2E=%d.%d;", os.Getpid(), runs.Add(1)) // none is part of another
	c := exec.CommandContext(ctx, filepath.Join(bin, "usock"), append([]string{"run", isolated}, args...)...)
	c.Dir = dir
	c.Env = append(os.Environ(), marker, "HOME="+dir, "TMPDIR="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{}
	if os.Getuid() == 0 && user != 0 {
		// The parents of a test's folder are closed to others.
		open(t, dir)
		if err := os.Chown(dir, int(user), int(user)); err != nil {
			t.Fatal(err)
		}
		c.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
	} else if user != 0 {
		// Tests that look at all of a user's runs have a user of their own only where root runs them.
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		c.Env = append(c.Env, "XDG_RUNTIME_DIR="+dir)
	}
	c.WaitDelay = 5 * time.Second
	return c, marker
}

// open lets others into dir.
func open(t *testing.T, dir string) {
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// usock runs a script under usock run.
func usock(t *testing.T, flags []string, script string) result {
	t.Helper()
	return usockAs(t, nobody, flags, script)
}

func usockAs(t *testing.T, user uint32, flags []string, script string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := append(flags, "-v", "--", "sh", "-c", fmt.Sprintf(prelude, bin)+script)
	c, marker := commandAs(t, ctx, user, args...)
	return finish(t, ctx, c, marker)
}

// finish runs the command to its end, which must leave nothing.
func finish(t *testing.T, ctx context.Context, c *exec.Cmd, marker string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if ctx.Err() != nil {
		t.Fatalf("not done after %v\nstdout: %s\nstderr: %s", limit, &stdout, &stderr)
	}
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	leavesNothing(t, marker, c.Dir)
	r := result{stdout: stdout.String(), stderr: stderr.String(), dir: c.Dir, code: c.ProcessState.ExitCode()}
	if st := c.ProcessState.Sys().(syscall.WaitStatus); st.Signaled() {
		r.signal = st.Signal()
	}
	return r
}

// passes runs a script that must succeed and print what is wanted.
func passes(t *testing.T, script string, want ...string) result {
	t.Helper()
	r := usock(t, nil, script)
	if r.code != 0 {
		t.Fatalf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
	}
	for _, w := range want {
		if !strings.Contains(r.stdout, w) {
			t.Errorf("no %q in the output\nstdout: %s\nstderr: %s", w, r.stdout, r.stderr)
		}
	}
	return r
}

// complaints is what a run has written to stderr, without the line with which -v begins.
func complaints(stderr string) string {
	if line, rest, _ := strings.Cut(stderr, "\n"); strings.HasPrefix(line, "usock: ") && strings.Contains(line, " runs on usock's sockets") {
		return rest
	}
	return stderr
}

// leavesNothing fails the test if a process with the marker, or a folder for hidden
// sockets, is left.
func leavesNothing(t *testing.T, marker, tmp string) {
	t.Helper()
	if left := marked(marker); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
	if dirs, _ := filepath.Glob(filepath.Join(tmp, "usock-*")); len(dirs) > 0 {
		t.Errorf("left behind: %v", dirs)
	}
}

// marked returns the processes that have the marker in their environment.
func marked(marker string) (left []string) {
	procs, _ := os.ReadDir("/proc")
	for _, p := range procs {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		env, _ := os.ReadFile("/proc/" + p.Name() + "/environ")
		if bytes.Contains(env, []byte(marker)) {
			line, _ := os.ReadFile("/proc/" + p.Name() + "/cmdline")
			left = append(left, p.Name()+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	return left
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// script returns the path of a file of testdata, where every user can read it.
func script(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(bin, name)
	// Programs of other tests may be reading it.
	next := fmt.Sprintf("%s.%d", path, runs.Add(1))
	err = os.WriteFile(next, b, 0o644)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
