//go:build linux

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// confined runs a script under usock run, which runs under confine.
func confined(t *testing.T, user uint32, confine []string, script string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, marker := commandAs(t, ctx, user, "--", "sh", "-c", fmt.Sprintf(prelude, bin)+script)
	c.Path = filepath.Join(bin, "confine")
	c.Args = append(append([]string{"confine"}, confine...), c.Args...)
	c.Args[1+len(confine)] = filepath.Join(bin, "usock")
	return finish(t, ctx, c, marker)
}

// deny returns confine's flags.
func deny(rules ...string) (flags []string) {
	for _, r := range rules {
		flags = append(flags, "-deny", r)
	}
	return flags
}

// TestWithout runs programs where the kernel is older or a container denies calls, of
// which usock can do without. The names are confine's.
func TestWithout(t *testing.T) {
	t.Parallel()
	needC(t)
	need(t, "python3", "python3")
	exchange := script(t, "exchange.py")
	for _, c := range []struct {
		name   string
		denied []string
	}{
		{"Linux 5.14", []string{"wait_killable=EINVAL", "pidfd_thread=EINVAL", "sync_wake_up=EINVAL"}},
		{"Linux 6.1", []string{"pidfd_thread=EINVAL", "sync_wake_up=EINVAL"}},
		{"Linux 6.6", []string{"pidfd_thread=EINVAL"}},
		{"PIDFD_THREAD, EPERM", []string{"pidfd_thread=EPERM"}},
		{"others", []string{"landlock=EPERM", "prlimit=EPERM", "pidfd_send_signal=EPERM"}},
		{"process_vm, EPERM", []string{"process_vm_readv=EPERM", "process_vm_writev=EPERM"}},
		{"process_vm, ENOSYS", []string{"process_vm_readv=ENOSYS", "process_vm_writev=ENOSYS"}},
		{"ptrace, EPERM", []string{"ptrace=EPERM"}},
		{"ptrace, ENOSYS", []string{"ptrace=ENOSYS"}},
		{"affinity", []string{"sched_setaffinity=EPERM", "personality=EPERM"}},
		{"all of these", []string{"wait_killable=EINVAL", "pidfd_thread=EINVAL", "sync_wake_up=EINVAL", "ptrace=EPERM",
			"process_vm_readv=ENOSYS", "process_vm_writev=ENOSYS", "sched_setaffinity=EPERM", "personality=EPERM"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := confined(t, nobody, deny(c.denied...), "python3 "+exchange+"; interrupt")
			want := strings.Repeat("exchanged\ninterrupted\n", 2) + "20 restarts, 1 EINTR, 20 more restarts, accepted\n"
			if r.code != 0 || r.stdout != want || r.stderr != "" {
				t.Errorf("exit status %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

// TestCannotDoWithout is about what usock run needs: it says so before the program
// starts.
func TestCannotDoWithout(t *testing.T) {
	const container = "start the container with --cap-add SYS_PTRACE, or with --security-opt seccomp=unconfined"
	notThere := func(call, since string) string {
		return call + " is not there: usock run needs Linux " + since + " or later; in a container whose seccomp profile hides it, " + container
	}
	isDenied := func(call string) string {
		return call + " is denied, as by a container's seccomp profile: " + container
	}
	for _, c := range []struct{ denied, line string }{
		{"seccomp=EPERM", isDenied("seccomp")},
		{"seccomp=ENOSYS", notThere("seccomp", "5.14")},
		{"wait_killable=EPERM", isDenied("seccomp")},
		{"new_listener=EINVAL", "the kernel has no seccomp notifications (Linux 5.14 is needed)"},
		{"new_listener=EPERM", isDenied("seccomp")},
		{"no_new_privs=EPERM", isDenied("PR_SET_NO_NEW_PRIVS")},
		{"notif_recv=EPERM", isDenied("the ioctl SECCOMP_IOCTL_NOTIF_RECV")},
		{"notif_send=ENOSYS", notThere("the ioctl SECCOMP_IOCTL_NOTIF_SEND", "5.14")},
		{"notif_id_valid=EPERM", isDenied("the ioctl SECCOMP_IOCTL_NOTIF_ID_VALID")},
		{"notif_addfd=EPERM", isDenied("the ioctl SECCOMP_IOCTL_NOTIF_ADDFD")},
		{"notif_addfd=EINVAL", notThere("SECCOMP_ADDFD_FLAG_SEND", "5.14")}, // Linux 5.9
		{"pidfd_open=ENOSYS", notThere("pidfd_open", "5.3")},
		{"pidfd_open=EPERM", isDenied("pidfd_open")},
		{"pidfd_getfd=EPERM", isDenied("pidfd_getfd")}, // Docker's default profile
		{"pidfd_getfd=ENOSYS", notThere("pidfd_getfd", "5.6")},
		{"subreaper=EPERM", isDenied("PR_SET_CHILD_SUBREAPER")},
		{"dumpable=EPERM", isDenied("PR_SET_DUMPABLE")},
		{"unix=EACCES", "AF_UNIX sockets are denied (permission denied), perhaps by a service's RestrictAddressFamilies or a container's profile: allow AF_UNIX"},
		{"unix_pair=EPERM", "AF_UNIX sockets are denied (operation not permitted), perhaps by a service's RestrictAddressFamilies or a container's profile: allow AF_UNIX"},
	} {
		r := confined(t, nobody, deny(c.denied), "echo started")
		if want := "usock: " + c.line + "\n"; r.code != 125 || r.stdout != "" || r.stderr != want {
			t.Errorf("%s: exit status %d\nstdout: %s\nstderr: %s\nwant    %s", c.denied, r.code, r.stdout, r.stderr, want)
		}
		if n := strings.Count(r.stderr, "\n"); n != 1 {
			t.Errorf("%s: %d lines", c.denied, n)
		}
	}
}
