//go:build linux

package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// long asks for the full counts and for all the ways of running:
//
//	go test ./e2e -long -timeout 30m
var long = flag.Bool("long", false, "full counts, and every twin as ordinary user, as root and on one processor")

// nativeOnly leaves usock out: the twins' first half, which shows what the kernel does.
var nativeOnly = flag.Bool("native", false, "run the twins on the kernel only, and print what they say")

// count is how often something is done: few by default, many with -long.
func count(few, many int) int {
	if *long {
		return many
	}
	return few
}

// way is how a script is run natively and under usock run.
type way struct {
	name  string
	user  uint32
	one   bool          // on the first processor only
	sh    string        // what the shell does before it becomes usock or the script's shell
	flags []string      // of usock run
	limit time.Duration // 0: twinLimit
	reach bool          // the outside
	netns string        // "", or the path of the network namespace in which both run
	again func()        // has what the first run has left in the network be as before; nil: nothing
}

// twinLimit bounds each run of a twin. What natively takes a second or two has
// enough of it on a loaded machine, and a hang costs no more.
const twinLimit = 20 * time.Second

// asUser, asRoot and onOne are the ways of the tests.
var (
	asUser = way{name: "user", user: nobody}
	asRoot = way{name: "root"}
	onOne  = way{name: "one", user: nobody, one: true}
)

// everyWay calls f with each of the three ways, or with the first alone unless
// all or -long is given. Where the tests are not run by root, all users are one.
func everyWay(t *testing.T, all bool, f func(*testing.T, way)) {
	t.Helper()
	ways := []way{asUser}
	if all || *long {
		ways = append(ways, onOne)
		if os.Getuid() == 0 {
			ways = append(ways, asRoot)
		}
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}

// needRoot skips the test unless root runs it.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// outcome is how a twin's run ended. It may have been ended: then late is set.
type outcome struct {
	result
	late bool
}

func (o outcome) String() string {
	end := fmt.Sprintf("exit status %d, signal %d", o.code, o.signal)
	if o.late {
		end = "not done in time"
	}
	return fmt.Sprintf("%s\n--- stdout\n%s--- stderr\n%s", end, tail([]byte(o.stdout)), tail([]byte(o.stderr)))
}

// natively runs a script on the kernel's sockets.
func natively(t *testing.T, w way, script string) outcome {
	t.Helper()
	return w.start(t, false, script).wait(t)
}

// under runs a script under usock run.
func under(t *testing.T, w way, script string) outcome {
	t.Helper()
	return w.start(t, true, script).wait(t)
}

// running is a script that has been started. Its output goes to files, for a pipe
// that nobody reads, or that a survivor holds, must not decide when it has ended.
type running struct {
	c        *exec.Cmd
	marker   string
	out, err *os.File
	limit    time.Duration
	native   bool
	cancel   context.CancelFunc
	ctx      context.Context
}

// start starts a script. The variable SUP is its parent: the supervisor, or the test.
func (w way) start(t *testing.T, usock bool, script string) *running {
	t.Helper()
	r := &running{limit: w.limit, native: !usock}
	if r.limit == 0 {
		r.limit = twinLimit
	}
	r.ctx, r.cancel = context.WithTimeout(context.Background(), r.limit)
	t.Cleanup(r.cancel)
	args := append([]string{}, w.flags...)
	r.c, r.marker = commandAs(t, r.ctx, w.user, append(args, "-v", "--", "sh", "-c", fmt.Sprintf(prelude, bin)+"SUP=$PPID; export SUP\n"+script)...)
	if w.reach {
		reaches(r.c)
	}
	argv := []string{"exec \"$@\"", "sh"} // sh -c 'ulimit -n 100; exec "$@"' sh usock run ...
	if w.sh != "" {
		argv[0] = w.sh + "\n" + argv[0]
	}
	if w.one {
		argv = append(argv, "taskset", "-c", "0")
	}
	if usock {
		argv = append(append(argv, r.c.Path), r.c.Args[1:]...)
	} else {
		argv = append(argv, r.c.Args[len(r.c.Args)-3:]...)
	}
	r.c.Path, r.c.Args = "/bin/sh", append([]string{"sh", "-c"}, argv...)
	if w.netns != "" {
		r.enter(w.netns, w.user)
	}
	r.c.SysProcAttr.Setpgid = true
	for _, f := range []**os.File{&r.out, &r.err} {
		var e error
		if *f, e = os.CreateTemp(bin, "output-"); e != nil {
			t.Fatal(e)
		}
		t.Cleanup(func() { (*f).Close(); os.Remove((*f).Name()) })
	}
	r.c.Stdout, r.c.Stderr = r.out, r.err
	if err := r.c.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// enter has the script start in a network namespace, which root may enter and then becomes
// the user.
func (r *running) enter(netns string, user uint32) {
	id := strconv.Itoa(int(user))
	r.c.Path = "/usr/bin/nsenter"
	r.c.Args = append([]string{"nsenter", "--net=" + netns, "-S", id, "-G", id, "--", "/bin/sh"}, r.c.Args[1:]...)
	r.c.SysProcAttr.Credential = nil
}

// wait waits for the end of a script, which its limit bounds, and ends what it has
// left: that is the test's failure.
func (r *running) wait(t *testing.T) outcome {
	t.Helper()
	r.c.Wait()
	o := outcome{late: r.ctx.Err() != nil}
	if !o.late && r.native {
		// usock run ends when all of its processes have, a shell does not wait for what
		// was killed.
		eventually(t, "the script's processes end", func() bool { return len(marked(r.marker)) == 0 })
	}
	if !o.late {
		leavesNothing(t, r.marker, r.c.Dir)
	}
	for _, p := range marked(r.marker) {
		pid, _, _ := strings.Cut(p, " ")
		n, _ := strconv.Atoi(pid)
		syscall.Kill(n, syscall.SIGKILL)
	}
	out, _ := os.ReadFile(r.out.Name())
	err, _ := os.ReadFile(r.err.Name())
	o.result = result{stdout: string(out), stderr: string(err), dir: r.c.Dir, code: r.c.ProcessState.ExitCode()}
	if st := r.c.ProcessState.Sys().(syscall.WaitStatus); st.Signaled() {
		o.signal = st.Signal()
	}
	return o
}

// output is what a running script has written so far.
func (r *running) output() string {
	out, _ := os.ReadFile(r.out.Name())
	return string(out)
}

// says waits until the script has written a line, or its first process has ended.
func (r *running) says(t *testing.T, line string) {
	t.Helper()
	eventually(t, "the script says "+line, func() bool {
		var end unix.Siginfo
		err := unix.Waitid(unix.P_PID, r.c.Process.Pid, &end, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		return strings.Contains(r.output(), line+"\n") || err == nil && end.Signo != 0
	})
}

// twin runs a script natively and under usock run, where it must print the same
// and end in the same way. Lines that begin with # are for the reader: measures.
func twin(t *testing.T, w way, script string) {
	t.Helper()
	native := natively(t, w, script)
	if native.late || native.code != 0 {
		t.Fatalf("natively: %v", native)
	}
	measures(t, "natively", native)
	if *nativeOnly {
		t.Log(native)
		return
	}
	if w.again != nil {
		w.again()
	}
	o := under(t, w, script)
	measures(t, "under usock run", o)
	if o.late || o.code != native.code || canonical(o.stdout) != canonical(native.stdout) {
		t.Errorf("%s\n--- natively\n%s--- under usock run: %v", differing(native.stdout, o.stdout), native.stdout, o)
	}
}

// prints runs a script under usock run, where it must print the given lines, and
// succeed.
func prints(t *testing.T, w way, script string, want ...string) outcome {
	t.Helper()
	if *nativeOnly {
		t.Skip("says nothing of the kernel")
	}
	o := under(t, w, script)
	measures(t, "under usock run", o)
	if o.late || o.code != 0 || canonical(o.stdout) != strings.Join(want, "\n")+"\n" {
		t.Errorf("want:\n%s\n--- under usock run: %v", strings.Join(want, "\n"), o)
	}
	return o
}

// canonical is the output without the lines of measures.
func canonical(out string) string {
	var b bytes.Buffer
	for _, l := range strings.SplitAfter(out, "\n") {
		if !strings.HasPrefix(l, "#") {
			b.WriteString(l)
		}
	}
	return b.String()
}

func measures(t *testing.T, where string, o outcome) {
	t.Helper()
	for _, l := range strings.Split(o.stdout, "\n") {
		if strings.HasPrefix(l, "#") {
			t.Logf("%s: %s", where, l[1:])
		}
	}
}

// differing names the first line that is not the same.
func differing(native, under string) string {
	a, b := strings.Split(canonical(native), "\n"), strings.Split(canonical(under), "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d:\n native: %s\n usock:  %s", i+1, x, y)
		}
	}
	return "the lines are the same"
}
