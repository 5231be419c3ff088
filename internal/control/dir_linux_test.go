package control

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// private returns a folder that is this user's alone.
func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openDir(t *testing.T) *Dir {
	t.Helper()
	d, err := open(filepath.Join(private(t), "usock"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// TestPaths has a relative $XDG_RUNTIME_DIR ignored.
func TestPaths(t *testing.T) {
	tmp := "/tmp/usock-" + strconv.Itoa(os.Geteuid())
	for xdg, want := range map[string]string{
		"": tmp, "run/user": tmp, ".": tmp, "/run/user/7": "/run/user/7/usock " + tmp, "/x/": "/x/usock " + tmp,
	} {
		t.Setenv("XDG_RUNTIME_DIR", xdg)
		if got := strings.Join(Paths(), " "); got != want {
			t.Errorf("%q: got %s, want %s", xdg, got, want)
		}
	}
}

// TestOpen has directories refused that are not this user's alone.
func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		make func(dir string) error // dir's parent is private
		want error
	}{
		"new":               {func(string) error { return nil }, nil},
		"there":             {func(d string) error { return os.Mkdir(d, 0o700) }, nil},
		"open to a group":   {func(d string) error { return errors.Join(os.Mkdir(d, 0o700), os.Chmod(d, 0o710)) }, errOpen},
		"open to all":       {func(d string) error { return errors.Join(os.Mkdir(d, 0o700), os.Chmod(d, 0o777)) }, errOpen},
		"a symbolic link":   {func(d string) error { return errors.Join(os.Mkdir(d+"2", 0o700), os.Symlink(d+"2", d)) }, unix.ENOTDIR},
		"a dangling link":   {func(d string) error { return os.Symlink(d+"2", d) }, unix.ENOTDIR},
		"a file":            {func(d string) error { return os.WriteFile(d, nil, 0o600) }, unix.ENOTDIR},
		"another user's":    {func(d string) error { return errors.Join(os.Mkdir(d, 0o700), os.Chown(d, 7, 7)) }, errOthers},
		"in another user's": {func(d string) error { return os.Chown(filepath.Dir(d), 7, 7) }, errOthers},
		"in a shared one":   {func(d string) error { return os.Chmod(filepath.Dir(d), 0o777) }, errOpen},
		"in a sticky one":   {func(d string) error { return os.Chmod(filepath.Dir(d), 0o777|os.ModeSticky) }, nil},
		"nowhere":           {func(d string) error { return os.Remove(filepath.Dir(d)) }, unix.ENOENT},
		"below a file": {func(d string) error {
			p := filepath.Dir(d)
			return errors.Join(os.Remove(p), os.WriteFile(p, nil, 0o600))
		}, unix.ENOTDIR},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "another user") && os.Getuid() != 0 {
				t.Skip("only root can give files away")
			}
			path := filepath.Join(private(t), "p", "usock")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			d, err := open(path, true)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil {
				d.Close()
			}
		})
	}
}

// TestOpenWhateverTheUmask makes a directory that its owner can use.
func TestOpenWhateverTheUmask(t *testing.T) {
	path := filepath.Join(private(t), "usock")
	defer unix.Umask(unix.Umask(0o777))
	dir, err := open(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	st, err := os.Stat(dir.Path())
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Fatal(st, err)
	}
	l, id, err := dir.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if st, err = os.Stat(filepath.Join(dir.Path(), id)); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatal(st, err)
	}
}

func names(t *testing.T, d *Dir) string {
	t.Helper()
	entries, err := os.ReadDir(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// TestStaleIsRemoved has the sockets of processes that have ended removed by who meets them,
// and those of others left.
func TestStaleIsRemoved(t *testing.T) {
	d := openDir(t)
	live, liveID, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	stale, staleID, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	stale.Close() // as the kernel closes it when the process is killed
	half, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(half)
	if err := unix.Bind(half, &unix.SockaddrUnix{Name: d.at(".00000000").Name}); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(d.Path(), "other"), nil, 0o600)

	ids, err := d.IDs()
	if err != nil || len(ids) != 2 {
		t.Fatal(ids, err)
	}
	if _, err := d.connect(staleID); !errors.Is(err, errEnded) {
		t.Error(err)
	}
	c, err := d.connect(liveID)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got, want := names(t, d), liveID+" other"; got != want && got != "other "+liveID {
		t.Errorf("left: %s, want %s", got, want)
	}
	if _, err := d.connect(staleID); !errors.Is(err, errEnded) {
		t.Error("again:", err)
	}
}

// TestFullBacklogIsNotStale leaves the socket of a process that does not accept.
func TestFullBacklogIsNotStale(t *testing.T) {
	d := openDir(t)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const id = "0123abcd"
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: d.at(id).Name}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	var full error
	for range 10 {
		c, err := d.connect(id)
		if err != nil {
			full = err
			break
		}
		defer c.Close()
	}
	if !errors.Is(full, unix.EAGAIN) || names(t, d) != id {
		t.Errorf("%v; left: %s", full, names(t, d))
	}
}

// TestPick finds runs by id, name and the beginning of an id.
func TestPick(t *testing.T) {
	run := func(id, name string) Found {
		return Found{ID: id, Client: &Client{Run: Run{ID: id, Name: name}, conn: new(net.UnixConn)}}
	}
	list := []Found{run("aa000001", "web"), run("aa000002", "db"), run("ab000003", "db"), run("deadbeef", "aa000001"), run("ff000001", "aa")}
	for name, want := range map[string]string{
		"aa000001": "aa000001", // the id goes before the name
		"web":      "aa000001", "aa": "ff000001", "ab": "ab000003", "dead": "deadbeef", "aa000002": "aa000002",
		"db": "2 runs are called \"db\": give the id of one, aa000002 or ab000003",
		"a":  "3 runs are called \"a\": give the id of one, aa000001 or aa000002 or ab000003",
		"x":  "there is no run \"x\" (usock ps lists those that there are)",
	} {
		f, err := Pick(append([]Found(nil), list...), name)
		switch {
		case err != nil && err.Error() != want:
			t.Errorf("%s: %v", name, err)
		case err == nil && f.ID != want:
			t.Errorf("%s: %s, want %s", name, f.ID, want)
		}
	}
}
