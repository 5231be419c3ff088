//go:build linux

package uml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Kernel is the program's name.
const Kernel = "linux.uml"

// nobody is the user who runs the kernel where the caller is root: the kernel takes no privilege,
// and what is root in it should have none outside.
const nobody = 65534

// ErrMissing says that the kernel's program is not installed.
var ErrMissing = errors.New("linux.uml is not installed (Debian: apt-get install user-mode-linux)")

// Dir makes a folder for a kernel's files, which the user who runs it may write. The caller removes it.
func Dir() (string, error) {
	dir, err := os.MkdirTemp("", "uml-")
	if err != nil {
		return "", err
	}
	err = os.Chmod(dir, 0o755)
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(dir, nobody, nobody)
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// Command returns the kernel, not started: as an ordinary user, with its files in dir, init as its
// first process and further arguments. The kernel's console is its standard error. When ctx
// ends it is killed with its processes.
func Command(ctx context.Context, dir, init string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(Kernel)
	if err != nil {
		return nil, ErrMissing
	}
	c := exec.CommandContext(ctx, path, append([]string{
		"uml_dir=" + dir + "/", "mem=256M", "rootfstype=hostfs", "rw", "root=/dev/root", "rootflags=/",
		"init=" + init, "con=null", "con0=null,fd:2",
	}, args...)...)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	// It has processes of its own, which go with their group.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	if os.Getuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return c, nil
}

// modules are IPv6 with what it needs, in order, below the kernel's folder of modules.
var modules = []string{"lib/crc-ccitt", "crypto/hmac", "net/ipv6/ipv6"}

// modulePath returns the file of a module.
func modulePath(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/uml/modules/*/kernel/" + name + ".ko")
	if len(found) == 0 {
		return "", fmt.Errorf("no module %s for User-mode Linux", name)
	}
	return found[0], nil
}
