//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// crowded is a user of this test's own: the limit of processes counts all of a user.
const crowded = 64999

// TestNoMoreProcesses has the program use up all the processes that its user may
// have. The supervisor is the same user's, and needs no thread any more.
func TestNoMoreProcesses(t *testing.T) {
	needRoot(t)
	need(t, "python3", "python3")
	need(t, "taskset", "util-linux")
	crowd := script(t, "crowd.py")
	for _, c := range []struct {
		name, env string
		before    []string
	}{
		{"as usual", "", nil},
		{"GOMAXPROCS=1", "GOMAXPROCS=1", nil},
		{"one CPU", "", []string{"taskset", "-c", "0"}},
		{"Linux 5.14", "", append([]string{filepath.Join(bin, "confine")},
			deny("wait_killable=EINVAL", "pidfd_thread=EINVAL", "sync_wake_up=EINVAL")...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			cmd, marker := commandAs(t, ctx, crowded, "--pcap", "trace", "--", "python3", crowd)
			if c.env != "" {
				cmd.Env = append(cmd.Env, c.env)
			}
			wrap(cmd, append(c.before, filepath.Join(bin, "confine"), "-nproc", "100")...)
			r := finish(t, ctx, cmd, marker)
			if r.code != 0 || r.stdout != "refused\nserved\n" || r.stderr != "" {
				t.Errorf("exit status %d, signal %d\nstdout: %s\nstderr: %s", r.code, r.signal, r.stdout, r.stderr)
			}
		})
	}
}

// wrap has another program execute c.
func wrap(c *exec.Cmd, with ...string) {
	if len(with) == 0 {
		return
	}
	c.Args = append(with, append([]string{c.Path}, c.Args[1:]...)...)
	c.Path, c.Err = exec.LookPath(with[0])
}

// TestNoRoomForThreads starts usock where its user may have few processes: it runs
// the program or says in one line that there are too few, and never shows Go's own
// account of its end.
func TestNoRoomForThreads(t *testing.T) {
	needRoot(t)
	const line = "usock: no room for the supervisor's threads: raise the limit of processes " +
		"(ulimit -u, a container's --pids-limit), or end some of this user's processes\n"
	refused, ran := 0, 0
	for _, n := range []int{10, 15, 20, 25, 30, 35, 40, 50, 60, 80} {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		cmd, marker := commandAs(t, ctx, crowded, "--", "echo", "started")
		wrap(cmd, filepath.Join(bin, "confine"), "-nproc", fmt.Sprint(n))
		r := finish(t, ctx, cmd, marker)
		cancel()
		switch {
		case r.code == 125 && r.stdout == "" && r.stderr == line:
			refused++
			if ran > 0 {
				t.Errorf("refused at %d, but fewer were enough", n)
			}
		case r.code == 0 && r.stdout == "started\n" && r.stderr == "":
			ran++
		default:
			t.Errorf("%d processes: exit status %d\nstdout: %s\nstderr: %s", n, r.code, r.stdout, r.stderr)
		}
	}
	if refused == 0 || ran == 0 {
		t.Errorf("refused %d times, ran %d times", refused, ran)
	}
}

// raised prints a program's limits and those of its supervisor, which raises them once the program has begun.
const raised = `ulimit -Sn; ulimit -Hn
for i in $(seq 500); do
	set -- $(grep '^Max open files' /proc/$PPID/limits)
	[ "$4" != %s ] || break
	sleep 0.01
done
echo $4 $5`

// TestLimitsOfDescriptors checks that a program has the limits that usock was started
// with, and the supervisor the most that it can have.
func TestLimitsOfDescriptors(t *testing.T) {
	type limits struct {
		user            uint32
		soft, hard, own string
	}
	cases := []limits{
		{nobody, "256", "1000", "1000"}, {nobody, "1000", "1000", "1000"}, {nobody, "999", "1000", "1000"}, {nobody, "100", "101", "101"},
	}
	if hasCapability(t, capSysResource) {
		cases = append(cases, limits{0, "256", "1000", "1048576"})
	}
	for _, c := range cases {
		r := confined(t, c.user, []string{"-nofile", c.soft + ":" + c.hard},
			fmt.Sprintf(raised, c.own))
		if want := fmt.Sprintf("%s\n%s\n%s %s\n", c.soft, c.hard, c.own, c.own); r.code != 0 || r.stdout != want {
			t.Errorf("started with %s and %s: exit status %d\n%swant\n%s%s", c.soft, c.hard, r.code, r.stdout, want, r.stderr)
		}
	}
}

const capSysResource = 24

// hasCapability reports whether this process has the capability.
func hasCapability(t *testing.T, n uint) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "CapEff:\t")
	set, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseUint(set, 16, 64)
	return err == nil && v>>n&1 != 0
}

// TestSupervisorIsOutOfReach has a program of the same user try to get at the
// supervisor and at its guard. The program itself stays as open as it always is.
func TestSupervisorIsOutOfReach(t *testing.T) {
	need(t, "python3", "python3")
	r := passes(t, "python3 "+script(t, "reach.py"), "the program can be traced\n", "out of reach: 2\n")
	if strings.Contains(r.stdout, "reached") {
		t.Errorf("%s", r.stdout)
	}
}
