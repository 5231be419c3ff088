//go:build linux

package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestPrivilege asks for what takes capabilities: as root, after setuid, with some of the
// capabilities dropped, by one thread and not another; and as a user, in a user namespace
// where it has them all, which counts for nothing.
func TestPrivilege(t *testing.T) {
	need(t, "python3", "python3")
	py := script(t, "privilege.py")
	for _, how := range []string{"setuid", "capset", "thread", "userns"} {
		t.Run("root "+how, func(t *testing.T) {
			needRoot(t)
			for _, c := range []uint{capSetgid, capSetuid, capNetAdmin, capNetRaw} {
				if !hasCapability(t, c) {
					t.Skip("needs root's capabilities")
				}
			}
			if how == "userns" {
				needNamespaces(t)
			}
			twin(t, asRoot, "python3 "+py+" "+how)
		})
	}
	t.Run("user userns", func(t *testing.T) {
		needNamespaces(t)
		twin(t, asUser, "python3 "+py+" userns")
	})
}

const capSetgid, capSetuid, capNetAdmin = 6, 7, 12

// TestUntraced runs programs that nobody may look into: what is the kernel's works, what
// is usock's is refused, and that is explained once. Root's supervisor sees them all the same.
func TestUntraced(t *testing.T) {
	t.Parallel()
	need(t, "python3", "python3")
	py := script(t, "untraced.py")
	// A copy of Python that its user can execute and not read.
	unreadable := `cp -L "$(command -v python3)" py; chmod 111 py
PYTHONHOME=$(python3 -c 'import sys; print(sys.prefix)') ./py ` + py
	ways := map[string]string{"prctl": "python3 " + py + " %s prctl", "exec": unreadable + " %s exec"}
	for name, sh := range ways {
		t.Run(name, func(t *testing.T) {
			run := func(which string) string { return strings.ReplaceAll(sh, "%s", which) }
			twin(t, asUser, run("kernel"))
			needNoTracer(t)
			o := under(t, asUser, run("inet"))
			_, got, _ := strings.Cut(o.stdout, "interface: 1\n")
			if want := "bind: EPERM\nlisten: EPERM\noption: EPERM\nqueue: EPERM\nin a child: listen: EPERM\n"; got != want || o.code != 0 {
				t.Errorf("of the Internet's:\n%s, want\n%s\n%v", got, want, o)
			}
			if n := strings.Count(o.stderr, "CAP_SYS_PTRACE"); n != 1 {
				t.Errorf("the refusal is explained %d times on stderr: %s", n, o.stderr)
			}
		})
	}
	t.Run("root", func(t *testing.T) {
		needRoot(t)
		if !hasCapability(t, capSysPtrace) {
			t.Skip("needs leave to trace")
		}
		twin(t, asRoot, "python3 "+py+" inet prctl")
	})
}

const capSysPtrace = 19

// needNoTracer skips the test where the user may trace everyone.
func needNoTracer(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 && hasCapability(t, capSysPtrace) {
		t.Skip("this user may trace everyone")
	}
}
