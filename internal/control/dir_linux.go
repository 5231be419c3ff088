package control

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is a directory of control sockets, opened and looked at: it is this user's, and nobody
// else's. All that is done in it is done by its descriptor, so that a name that comes to mean
// another directory meanwhile changes nothing.
type Dir struct {
	fd   int
	path string
}

// dirName is the directory's name below $XDG_RUNTIME_DIR.
const dirName = "usock"

// Paths are where control sockets may be: in $XDG_RUNTIME_DIR, if that is an absolute path, and
// in /tmp.
func Paths() (list []string) {
	if xdg := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(xdg) { // XDG Base Directory Specification 0.8: others are to be ignored
		list = append(list, filepath.Join(xdg, dirName))
	}
	return append(list, "/tmp/"+dirName+"-"+strconv.Itoa(os.Geteuid()))
}

// Dirs opens the directories that there are and that are this user's. What is wrong with
// others is no error: nothing of this user's is there.
func Dirs() (list []*Dir) {
	for _, p := range Paths() {
		if d, err := open(p, false); err == nil {
			list = append(list, d)
		}
	}
	return list
}

// MakeDir opens the first directory that can have control sockets, and makes it if it is not
// there.
func MakeDir() (*Dir, error) {
	var why error
	for _, p := range Paths() {
		d, err := open(p, true)
		switch {
		case err == nil:
			return d, nil
		case why == nil:
			why = err
		default:
			why = fmt.Errorf("%w; %w", why, err)
		}
	}
	return nil, why
}

// open opens a directory and looks whose it is.
func open(path string, create bool) (*Dir, error) {
	bad := func(err error) (*Dir, error) { return nil, fmt.Errorf("%s: %w", path, err) }
	parent, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return bad(err)
	}
	defer unix.Close(parent)
	if err := judgeParent(parent); err != nil {
		return bad(err)
	}
	name := filepath.Base(path)
	if create {
		switch err := unix.Mkdirat(parent, name, 0o700); err {
		case nil:
			unix.Fchmodat(parent, name, 0o700, 0) // the umask may have taken away what this user needs
		case unix.EEXIST:
		default:
			return bad(err)
		}
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return bad(err)
	}
	if err := judgeDir(fd); err != nil {
		unix.Close(fd)
		return bad(err)
	}
	return &Dir{fd, path}, nil
}

var (
	errOthers = errors.New("it is another user's")
	errOpen   = errors.New("others than its owner can use it (chmod 700)")
)

// judgeParent looks whether nobody but this user and root can rename what is in a directory.
func judgeParent(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch {
	case st.Uid != uint32(os.Geteuid()) && (st.Uid != 0 || st.Mode&unix.S_ISVTX == 0):
		return errOthers
	case st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0:
		return errOpen
	}
	return nil
}

// judgeDir looks whether a directory is this user's alone.
func judgeDir(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch {
	case st.Uid != uint32(os.Geteuid()):
		return errOthers
	case st.Mode&0o077 != 0:
		return errOpen
	}
	return nil
}

// Close closes the directory.
func (d *Dir) Close() { unix.Close(d.fd) }

// Path is the directory's name.
func (d *Dir) Path() string { return d.path }

// at is a name in the directory that is short enough for an address, and leads nowhere else.
func (d *Dir) at(name string) *net.UnixAddr {
	return &net.UnixAddr{Net: "unix", Name: "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + name}
}

// A socket is bound, made to listen, and only then given its name, so that one with a name
// which refuses connections is that of a process that has ended. Before, it has the name with
// a dot in front, and who finds it then may remove it: Listen makes another.
const unnamed = "."

// idLen is the length of an id, in hexadecimal digits.
const idLen = 8

// isID reports whether a name in the directory is an id's.
func isID(name string) bool {
	if len(name) != idLen {
		return false
	}
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// listenTries bounds how often Listen begins anew.
const listenTries = 8

// Listen makes a socket with a new id for a name.
func (d *Dir) Listen() (*net.UnixListener, string, error) {
	var err error
	for range listenTries {
		var random [idLen / 2]byte
		if _, err := rand.Read(random[:]); err != nil {
			return nil, "", err
		}
		id := hex.EncodeToString(random[:])
		var l *net.UnixListener
		if l, err = net.ListenUnix("unix", d.at(unnamed+id)); err != nil {
			return nil, "", err
		}
		l.SetUnlinkOnClose(false)
		unix.Fchmodat(d.fd, unnamed+id, 0o600, 0) // the directory is closed to others anyway
		err = unix.Renameat2(d.fd, unnamed+id, d.fd, id, unix.RENAME_NOREPLACE)
		if err == unix.EINVAL || err == unix.ENOSYS { // a file system without that flag
			err = unix.Renameat(d.fd, unnamed+id, d.fd, id)
		}
		if err == nil {
			return l, id, nil
		}
		l.Close()
		d.Remove(unnamed + id)
		if err != unix.ENOENT && err != unix.EEXIST {
			break
		}
	}
	return nil, "", err
}

// Remove removes a socket's name.
func (d *Dir) Remove(name string) { unix.Unlinkat(d.fd, name, 0) }

// IDs lists the names in the directory, in order, and removes those of sockets that were left
// half-made.
func (d *Dir) IDs() ([]string, error) {
	f, err := os.Open("/proc/self/fd/" + strconv.Itoa(d.fd))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, n := range names {
		switch {
		case isID(n):
			list = append(list, n)
		case len(n) > 0 && n[:1] == unnamed && isID(n[1:]):
			if c, err := d.connect(n); err == nil {
				c.Close()
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

// errEnded is a connection to a socket whose process has ended, which is removed.
var errEnded = errors.New("that run has ended")

// connectTime is how long a server may take to answer. It is enough for a machine that
// is overloaded, and a process that is stopped never answers.
const connectTime = 3 * time.Second

// connect connects to a socket. One that refuses is removed.
func (d *Dir) connect(name string) (*net.UnixConn, error) {
	c, err := net.DialUnix("unix", nil, d.at(name))
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, unix.ECONNREFUSED):
		d.Remove(name)
		return nil, errEnded
	case errors.Is(err, unix.ENOENT):
		return nil, errEnded
	}
	return nil, err
}
