//go:build amd64 || arm64

package run

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// listenHidden makes a hidden listener and connects to it.
func listenHidden(t *testing.T, h *hiddenDir) {
	t.Helper()
	fd, e := sysSocket(unix.SOCK_STREAM)
	if e != 0 {
		t.Fatal(e)
	}
	defer sysClose(fd)
	path, err := h.bind(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer sysClose(path)
	if e := sysListen(fd, 1); e != 0 {
		t.Fatal(e)
	}
	c, e := sysSocket(unix.SOCK_STREAM)
	if e != 0 {
		t.Fatal(e)
	}
	defer sysClose(c)
	if e := connectHidden(c, path); e != 0 {
		t.Fatal(e)
	}
}

func TestHiddenDirIsTheFirstThatWorks(t *testing.T) {
	good := filepath.Join(t.TempDir(), strings.Repeat("long", 50)) // longer than an address
	if err := os.Mkdir(good, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := hiddenDir{dirs: []string{"/nonexistent", file, "/proc/self", good, t.TempDir()}}
	if err := h.try(); err != nil {
		t.Fatal(err)
	}
	if h.parent != good {
		t.Errorf("took %s", h.parent)
	}
	listenHidden(t, &h)
	if left, _ := os.ReadDir(good); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestHiddenDirNone(t *testing.T) {
	h := hiddenDir{dirs: []string{"/nonexistent", "/proc/self"}}
	err := h.try()
	want := "no directory can have usock's sockets; set TMPDIR to one on a local file system, such as a tmpfs " +
		"(/nonexistent: no such file or directory, /proc/self: no such file or directory)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := h.bind(-1); err == nil {
		t.Error("bind worked")
	}
}

// TestHiddenDirIsRemoved takes the directory away that was found, as a program does
// that clears its temporary files.
func TestHiddenDirIsRemoved(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	h := hiddenDir{dirs: []string{first, second}}
	if err := h.try(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(first); err != nil {
		t.Fatal(err)
	}
	listenHidden(t, &h)
	if h.parent != second {
		t.Errorf("took %s", h.parent)
	}
}

func TestHiddenDirWithoutDescriptors(t *testing.T) {
	h := hiddenDir{dirs: []string{t.TempDir(), t.TempDir()}}
	if err := h.try(); err != nil {
		t.Fatal(err)
	}
	fd, e := sysSocket(unix.SOCK_STREAM)
	if e != 0 {
		t.Fatal(e)
	}
	defer sysClose(fd)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := h.bind(fd)
	unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	if errno(err) != unix.EMFILE {
		t.Errorf("got %v", err)
	}
	listenHidden(t, &h)
}

// TestHiddenDirUmask binds under a umask that takes everything away.
func TestHiddenDirUmask(t *testing.T) {
	h := hiddenDir{dirs: []string{t.TempDir()}}
	defer syscall.Umask(syscall.Umask(0o777))
	if err := h.try(); err != nil {
		t.Fatal(err)
	}
	listenHidden(t, &h)
}

func TestHiddenDirPlaces(t *testing.T) {
	t.Setenv("TMPDIR", "/a")
	t.Setenv("XDG_RUNTIME_DIR", "")
	h := newHiddenDir()
	if h.dirs[0] != "/a" || slices.Contains(h.dirs, "") || !slices.Contains(h.dirs, "/dev/shm") {
		t.Errorf("%q", h.dirs)
	}
}
