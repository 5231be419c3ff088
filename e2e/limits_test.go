//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limited is a way in which usock and all its programs have n descriptors each.
func limited(w way, n int) way {
	w.sh = fmt.Sprintf("ulimit -n %d", n)
	return w
}

// namesLimit fails the test if usock has not said once which limit was reached.
func namesLimit(t *testing.T, o outcome) {
	t.Helper()
	n := 0
	for _, l := range strings.Split(o.stderr, "\n") {
		if strings.Contains(l, "RLIMIT_NOFILE") || strings.Contains(l, "ulimit -n") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the limit is named %d times on stderr, want once:\n%s", n, o.stderr)
	}
}

// limits is a case of limits.py.
func limits(t *testing.T, args string) string {
	t.Helper()
	need(t, "python3", "python3")
	return "python3 " + script(t, "limits.py") + " " + args
}

// twinAtLimit is twin, where usock reaches its limit and must say so.
func twinAtLimit(t *testing.T, w way, script string) {
	t.Helper()
	native := natively(t, w, script)
	if native.late || native.code != 0 {
		t.Fatalf("natively: %v", native)
	}
	if *nativeOnly {
		t.Log(native)
		return
	}
	o := prints(t, w, script, strings.Split(strings.TrimSuffix(canonical(native.stdout), "\n"), "\n")...)
	namesLimit(t, o)
}

// TestSupervisorLimit has clients and servers in several processes that together
// need more descriptors than the supervisor has. Whatever is refused, no byte
// reaches another's connection, and all goes on when some are closed.
func TestSupervisorLimit(t *testing.T) {
	for i, kind := range []string{"blocking", "timeout", "nonblocking", "threads"} {
		for k, n := range []int{60, 120, 200} {
			if !*long && k != i%2 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", kind, n), func(t *testing.T) {
				twinAtLimit(t, limited(asUser, n), limits(t, fmt.Sprintf("crowd %s 4 %d 2", kind, 40)))
			})
		}
	}
	t.Run("one", func(t *testing.T) { twinAtLimit(t, limited(onOne, 120), limits(t, "crowd blocking 4 40 2")) })
	t.Run("root", func(t *testing.T) {
		needRoot(t) // root may raise the limit: nothing need be refused
		twin(t, limited(asRoot, 120), limits(t, "crowd blocking 4 40 2"))
	})
	if *long {
		t.Run("large", func(t *testing.T) {
			twinAtLimit(t, limited(asUser, 2000), limits(t, "crowd blocking 4 600 20"))
		})
	}
}

// TestSupervisorLimitRaised has a soft limit that the supervisor may raise: nothing
// is refused.
func TestSupervisorLimitRaised(t *testing.T) {
	w := asUser
	w.sh = "ulimit -Sn 60"
	twin(t, w, limits(t, "crowd blocking 4 40 40"))
}

// TestSupervisorLimitNoCallBlocks fails many connects; no later call may hang.
func TestSupervisorLimitNoCallBlocks(t *testing.T) {
	everyWay(t, false, func(t *testing.T, w way) { twin(t, limited(w, 120), limits(t, "blocks 90")) })
}

func TestSupervisorLimitDatagrams(t *testing.T) {
	for _, n := range []int{60, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { twinAtLimit(t, limited(asUser, n), limits(t, "udp 45")) })
	}
}

func TestSupervisorLimitListeners(t *testing.T) {
	twinAtLimit(t, limited(asUser, 100), limits(t, "listeners 150"))
}

// TestClosedDatagramsAreReclaimed closes datagram sockets, which the kernel does not
// announce, and opens others at once.
func TestClosedDatagramsAreReclaimed(t *testing.T) {
	twin(t, limited(asUser, 60), limits(t, fmt.Sprintf("reclaim %d", count(600, 5000))))
}

// TestSupervisorLimitEnds ends a run that has reached its limit.
func TestSupervisorLimitEnds(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			if *nativeOnly {
				t.Skip("says nothing of the kernel")
			}
			r := limited(asUser, 100).start(t, true, limits(t, "full"))
			eventually(t, "the descriptors run out", func() bool { return strings.Count(r.output(), "full") == 4 })
			at := time.Now()
			r.c.Process.Signal(sig)
			r.c.Wait()
			eventually(t, "the programs end", func() bool { return len(marked(r.marker)) == 0 })
			o := r.wait(t)
			// After SIGTERM programs have a second's grace, and without a supervisor two. Of themselves they go on for 40.
			if took := time.Since(at); took > twinLimit || o.late || o.signal != sig {
				t.Errorf("after %v: %v", took, o)
			}
		})
	}
}

// TestAcceptAtOwnLimit has a server without a number for the connection that it
// accepts. Linux's accept takes the number first (net/socket.c, __sys_accept4_file),
// so the connection stays where it is.
func TestAcceptAtOwnLimit(t *testing.T) {
	for _, kind := range []string{"accept4", "accept", "dup", "threads", "fork"} {
		t.Run(kind, func(t *testing.T) { twin(t, asUser, limits(t, "own "+kind)) })
	}
	t.Run("one", func(t *testing.T) { twin(t, onOne, limits(t, "own threads")) })
	t.Run("nothing queued", func(t *testing.T) { twin(t, asUser, limits(t, "nothing_queued")) })
}

// TestOwnLimitLeavesNothing fails calls at the program's limit, and the supervisor has
// few descriptors to lose.
func TestOwnLimitLeavesNothing(t *testing.T) {
	twin(t, limited(asUser, 100), limits(t, fmt.Sprintf("leaves %d", count(500, 5000))))
}

// TestManyConnections makes connections one after another.
func TestManyConnections(t *testing.T) {
	w := asUser
	w.limit = 90 * time.Second
	n := count(2000, 20000)
	twin(t, w, limits(t, fmt.Sprintf("many %d", n)))
}
