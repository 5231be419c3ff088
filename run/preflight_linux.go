//go:build amd64 || arm64

package run

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// preflight checks that this process may do to its programs what it has to, and
// says what to do where it may not. Looking into itself is always allowed, unless
// the calls as such are denied.
func preflight() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return denied("pidfd_open", err, "5.3")
	}
	defer unix.Close(fd)
	dup, err := unix.PidfdGetfd(fd, fd, 0)
	if err != nil {
		return denied("pidfd_getfd", err, "5.6")
	}
	unix.Close(dup)
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if err == nil && bytes.ContainsAny(scope, "23") && os.Geteuid() != 0 {
		return errors.New("the kernel allows only administrators to look into other processes: kernel.yama.ptrace_scope must be 0 or 1")
	}
	return nil
}

func denied(call string, err error, since string) error {
	switch err {
	case unix.ENOSYS:
		return fmt.Errorf("%s: Linux %s or later is needed, or a container's profile that allows it", call, since)
	case unix.EPERM:
		return fmt.Errorf("%s is denied, perhaps by a container's seccomp profile: start the container with --cap-add SYS_PTRACE or --security-opt seccomp=unconfined", call)
	}
	return fmt.Errorf("%s: %w", call, err)
}
