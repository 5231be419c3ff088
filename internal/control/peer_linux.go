package control

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Who may use a control socket: processes of the same user that are in no run. A run's program
// could else look at what other runs do, and at what its own may not do.
//
// That a process is in a run cannot be told by what it says, nor by its name or environment,
// which it may change. But a program under usock run has a seccomp filter, as have all that
// come of it, and nobody gets rid of one. So a process without filter is in no run. One with a
// filter may have it from a container, a service or a sandbox: it is in a run if one of those
// that it comes of is a supervisor. Those are known by the name of a thread (Mark), which only
// a process itself can give its threads. A program that names a thread so only keeps its own
// descendants out. What cannot be seen, in /proc or in another PID namespace, is refused.
//
// A process's parents lead to its supervisor, whatever it does: the supervisor is the reaper of
// its orphans (PR_SET_CHILD_SUBREAPER).

// peer is the process that has connected.
type peer struct {
	pid   int
	pidfd int // -1: the kernel has none for it, before Linux 6.5
}

// Judge returns why the process that has connected is refused; nil: it is not.
func Judge(c *net.UnixConn) *Error {
	raw, err := c.SyscallConn()
	if err != nil {
		return &Error{Refused, err.Error()}
	}
	var cred *unix.Ucred
	p := peer{pidfd: -1}
	if e := raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			if n, e := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD); e == nil {
				p.pidfd = n
			}
		}
	}); e != nil {
		err = e
	}
	if p.pidfd >= 0 {
		defer unix.Close(p.pidfd)
	}
	switch {
	case err != nil:
		return &Error{Refused, err.Error()}
	case cred.Uid != uint32(os.Geteuid()):
		return errUser
	case cred.Pid == 0:
		return errNamespace
	}
	p.pid = int(cred.Pid)
	return p.judge("/proc")
}

// judge is Judge by what is in proc.
func (p *peer) judge(proc string) *Error {
	s, err := readStatus(proc, p.pid)
	if err != nil || p.ended() {
		return errEndedPeer
	}
	if !s.filtered {
		return nil
	}
	// The process itself may be a supervisor: that of another run may ask.
	for pid := s.parent; pid != 0; pid = s.parent {
		in, err := supervises(proc, pid)
		if err == nil && !in {
			s, err = readStatus(proc, pid)
		}
		switch {
		case err != nil:
			return &Error{Refused, fmt.Sprintf("whether the process that asks is in a run cannot be seen: %v", err)}
		case in:
			return errInRun
		}
	}
	if p.ended() {
		return errEndedPeer // its number may have been another's, whose parents were looked at
	}
	return nil
}

// ended reports whether the process has ended.
func (p *peer) ended() bool {
	if p.pidfd < 0 {
		return false // it cannot be told
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// supervises reports whether a process is a supervisor.
func supervises(proc string, pid int) (bool, error) {
	list, err := filepath.Glob(filepath.Join(proc, strconv.Itoa(pid), "task", "*", "comm"))
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("process %d is hidden", pid)
	}
	if err != nil {
		return false, err
	}
	for _, name := range list {
		b, err := os.ReadFile(name)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ESRCH):
			continue // the thread has ended: a supervisor's do not
		case err != nil:
			return false, err
		case string(bytes.TrimSpace(b)) == Mark:
			return true, nil
		}
	}
	return false, nil
}

// status is what proc(5) tells of a process.
type status struct {
	parent   int // 0: none, or one that is outside of the PID namespace
	filtered bool
}

func readStatus(proc string, pid int) (s status, err error) {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "status"))
	if err != nil {
		return s, err
	}
	parent, ok := statusField(b, "PPid")
	if !ok {
		return s, fmt.Errorf("process %d has no parent", pid)
	}
	if s.parent, err = strconv.Atoi(parent); err != nil {
		return s, err
	}
	mode, ok := statusField(b, "Seccomp")
	s.filtered = !ok || mode != "0"
	return s, nil
}

// statusField returns the value of a field of /proc/PID/status. The name of a process, in the
// first line, has its line breaks escaped.
func statusField(b []byte, name string) (string, bool) {
	for line := range bytes.Lines(b) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && string(key) == name {
			return string(bytes.TrimSpace(value)), true
		}
	}
	return "", false
}
