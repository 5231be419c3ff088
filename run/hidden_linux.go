//go:build amd64 || arm64

package run

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// hiddenDir makes hidden listeners: sockets bound to a path in a directory that only
// this user can enter, which is then removed together with the path. What leads to
// the socket is an O_PATH descriptor of it.
//
// Not every file system can do that. On some a socket's path does not lead to the
// socket (User-mode Linux's hostfs), others have no sockets at all or are read-only.
// So each directory is tried out with all that is needed of it.
type hiddenDir struct {
	dirs   []string // where to look, in this order
	parent string   // the one that has worked; "": none yet
}

// newHiddenDir returns a hiddenDir that looks in the usual places.
func newHiddenDir() hiddenDir {
	var dirs []string
	for _, d := range []string{
		os.TempDir(), "/dev/shm", os.Getenv("XDG_RUNTIME_DIR"), "/run/user/" + strconv.Itoa(os.Getuid()),
		"/tmp", "/var/tmp", "/run", os.Getenv("HOME"),
	} {
		if d != "" && !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return hiddenDir{dirs: dirs}
}

// try looks for a directory that can have hidden listeners, and remembers it.
func (h *hiddenDir) try() error {
	var why []string
	for _, d := range h.dirs {
		err := tryHidden(d)
		if err == nil {
			h.parent = d
			return nil
		}
		var denied *socketError
		if errors.As(err, &denied) {
			return err // no directory helps
		}
		why = append(why, d+": "+reason(err))
	}
	return fmt.Errorf("no directory can have usock's sockets; set TMPDIR to one on a local file system, such as a tmpfs (%s)",
		strings.Join(why, ", "))
}

// reason returns an error without the name of what it is about.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

// bind binds fd to a hidden path and returns a descriptor that leads there. Where the
// directory has become unusable since it was tried, another one is looked for.
func (h *hiddenDir) bind(fd int) (path int, err error) {
	if h.parent != "" {
		path, err = bindHiddenIn(h.parent, fd)
		switch err := errno(err); err {
		case 0:
			return path, nil
		case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EINVAL:
			return -1, err // another directory does not help
		}
	}
	if e := h.try(); e != nil {
		if err == nil {
			err = e
		}
		return -1, err
	}
	return bindHiddenIn(h.parent, fd)
}

// bindHiddenIn is bind in the directory parent.
func bindHiddenIn(parent string, fd int) (path int, err error) {
	dir, err := os.MkdirTemp(parent, "usock-")
	if err != nil {
		return -1, err
	}
	defer os.Remove(dir)
	// The user's umask may take away what this user needs.
	if err := os.Chmod(dir, 0o700); err != nil {
		return -1, err
	}
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	// A socket is bound once, so from there on nothing must be missing: this keeps a
	// descriptor for the end.
	kept, err := unix.FcntlInt(uintptr(at), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if kept >= 0 {
			unix.Close(kept)
		}
	}()
	// Whatever the directory's name, this one is short enough for an address.
	name := "/proc/self/fd/" + strconv.Itoa(at) + "/s"
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		return -1, err
	}
	defer unix.Unlinkat(at, "s", 0)
	if err := unix.Fchmodat(at, "s", 0o600, 0); err != nil {
		return -1, err
	}
	unix.Close(kept)
	kept = -1
	return unix.Openat(at, "s", unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
}

// connectHidden connects fd to the listener behind the descriptor path.
func connectHidden(fd, path int) syscall.Errno {
	b := binary.NativeEndian.AppendUint16(make([]byte, 0, 40), unix.AF_UNIX)
	b = strconv.AppendInt(append(b, "/proc/self/fd/"...), int64(path), 10)
	return sysConnect(fd, append(b, 0))
}

// socketError is the failure to make an AF_UNIX socket.
type socketError struct{ errno syscall.Errno }

func (e *socketError) Error() string {
	return fmt.Sprintf("AF_UNIX sockets are denied (%v), perhaps by a service's RestrictAddressFamilies or a container's profile: allow AF_UNIX", e.errno)
}

func (e *socketError) Unwrap() error { return e.errno }

// tryHidden does in the directory parent what is to be done there: it binds a
// listener, connects to it by its descriptor, and looks whether the connection is
// the one that the listener has.
func tryHidden(parent string) error {
	var fds [2]int
	for i := range fds {
		fd, e := sysSocket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
		if e != 0 {
			return &socketError{e}
		}
		defer sysClose(fd)
		fds[i] = fd
	}
	listener, client := fds[0], fds[1]
	path, err := bindHiddenIn(parent, listener)
	if err != nil {
		return err
	}
	defer sysClose(path)
	if e := sysListen(listener, 1); e != 0 {
		return e
	}
	if e := connectHidden(client, path); e != 0 {
		return fmt.Errorf("a socket's path does not lead to it there: %w", e)
	}
	got, _, e := sysAccept(listener, unix.SOCK_NONBLOCK, nil)
	if e != 0 {
		return fmt.Errorf("a socket's path leads elsewhere: %w", e)
	}
	defer sysClose(got)
	if _, e := sysSend(client, []byte{1}); e != 0 {
		return e
	}
	var b [1]byte
	if _, e := sysRecv(got, b[:], 0); e != 0 {
		return e
	}
	return nil
}
